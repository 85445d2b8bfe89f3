package ikev1

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"sallyport/protocol/ikev1/isakmp"
)

// receiveInformational takes an informational exchange. Without protection it
// says nothing that we believe; the one exception only shortens a wait.
func (s *Session) receiveInformational(now time.Time, sa *isakmpSA, d Datagram, out *Out) {
	m, err := isakmp.Parse(slices.Clone(d.Data))
	switch {
	case err != nil:
		s.counts.Malformed++
	case m.Encrypted == nil:
		s.counts.Unauthenticated++
		s.plainRefusal(now, sa, m)
	case sa.keys.a == nil || sa.iv == nil || m.Header.MessageID == 0 || s.phase == phaseUp && !s.onPath(d):
		s.counts.Malformed++
	default:
		s.serveInformational(now, sa, m, d, out)
	}
}

// plainRefusal: anybody could have sent it, so an initiator waits a little for
// a better answer.
func (s *Session) plainRefusal(now time.Time, sa *isakmpSA, m *isakmp.Message) {
	n, ok := isakmp.Find[*isakmp.Notify](m.Payloads)
	if !ok || !n.Type.Error() || sa.hs == nil || !sa.initiator || sa.hs.refusal != nil {
		return
	}
	r := s.refusedByPeer(now, StageMain, n.Type)
	sa.hs.refusal, sa.hs.believe = &r, now.Add(refusalGrace)
}

// serveInformational acts on what is authentic: HASH is always checked, before
// anything is read (CVE-2019-10155). What ends the ISAKMP SA comes last, when
// nothing of it is needed any more (CVE-2023-38712).
func (s *Session) serveInformational(now time.Time, sa *isakmpSA, m *isakmp.Message, d Datagram, out *Out) {
	iv, err := sa.ivOf(m.Header.MessageID)
	if err != nil {
		return
	}
	o, err := sa.authentic(m, iv)
	if err != nil {
		s.counts.BadHash++
		return
	}
	probes := onlyProbes(o.payloads[1:])
	if !probes && !sa.fresh(m.Header.MessageID) {
		return // replayed
	}
	if sa.hs != nil {
		s.refusedInMain(now, sa, o.payloads, out)
		return
	}
	if !probes {
		s.heard(now)
	}
	s.serveContact(o.payloads, out)
	for n := range isakmp.All[*isakmp.Notify](o.payloads) {
		s.serveNotify(now, sa, n, d, out)
	}
	for del := range isakmp.All[*isakmp.Delete](o.payloads) {
		if del.Protocol == isakmp.ProtoESP {
			s.peerDeletes(now, del, out)
		}
	}
	for del := range isakmp.All[*isakmp.Delete](o.payloads) {
		if del.Protocol == isakmp.ProtoISAKMP && s.phase == phaseUp {
			s.peerDeletesISAKMP(now, sa, del, out)
		}
	}
}

// onlyProbes: a message of RFC 3706, which tells by its sequence number whether
// it is new.
func onlyProbes(ps []isakmp.Payload) bool {
	for _, p := range ps {
		n, ok := p.(*isakmp.Notify)
		if !ok || n.Type != isakmp.NotifyRUThere && n.Type != isakmp.NotifyRUThereAck {
			return false
		}
	}
	return len(ps) > 0
}

// refusedInMain: the responder has our keys and refuses us.
func (s *Session) refusedInMain(now time.Time, sa *isakmpSA, ps []isakmp.Payload, out *Out) {
	for n := range isakmp.All[*isakmp.Notify](ps) {
		if n.Type.Error() && sa.initiator {
			s.refuseMain(now, sa, s.refusedByPeer(now, StageAuth, n.Type), out)
			return
		}
	}
}

// serveContact takes an INITIAL-CONTACT that came with a hash over it.
func (s *Session) serveContact(ps []isakmp.Payload, out *Out) {
	for n := range isakmp.All[*isakmp.Notify](ps) {
		if n.Type == isakmp.NotifyInitialContact && s.role == Responder {
			out.Events = append(out.Events, InitialContact{Remote: s.path.remote})
			return
		}
	}
}

func (s *Session) serveNotify(now time.Time, sa *isakmpSA, n *isakmp.Notify, d Datagram, out *Out) {
	switch {
	case n.Type == isakmp.NotifyRUThere:
		s.answerProbe(now, sa, n, d, out)
	case n.Type == isakmp.NotifyRUThereAck:
		s.probeAnswered(now, sa, n, d, out)
	case aboutQuick(n.Type):
		s.quickRefused(now, n, out)
	}
}

// aboutQuick are the errors that decide a quick mode. That a copy could not be
// read, or a cookie or hash was wrong, decides nothing.
func aboutQuick(t isakmp.NotifyType) bool {
	switch t {
	case isakmp.NotifyDOINotSupported, isakmp.NotifySituationNotSupported, isakmp.NotifyInvalidSPI, isakmp.NotifyNoProposalChosen,
		isakmp.NotifyInvalidKeyInformation, isakmp.NotifyInvalidIDInformation, isakmp.NotifyAttributesNotSupported, isakmp.NotifyBadProposalSyntax:
		return true
	}
	return false
}

// quickRefused: an error beside a quick mode that is not done is about it. Peers
// fill in SPI and message ID as they like.
func (s *Session) quickRefused(now time.Time, n *isakmp.Notify, out *Out) {
	for _, q := range s.quicks {
		if q.done {
			continue
		}
		out.Events = append(out.Events, Refused{s.refusedByPeer(now, StageQuick, n.Type)})
		if q.initiator {
			s.quickFailed(now, q, errors.New("ikev1: quick mode: the peer answered "+n.Type.String()), out)
		} else {
			s.unconfirmed(now, q, out)
		}
		return
	}
}

// peerDeletes takes the SPIs of a Delete. What we do not know is gone already:
// peers send a Delete twice (trap 32).
func (s *Session) peerDeletes(now time.Time, del *isakmp.Delete, out *Out) {
	for _, spi := range del.SPIs {
		if c := s.childNamed(isakmp.SPI32(spi)); c != nil {
			s.childDown(now, c, "deleted by the peer", out)
		}
	}
}

// peerDeletesISAKMP: ESP SAs stay, until their own Delete or the end of their
// lifetime (trap 32). Only with nothing left the session is over.
func (s *Session) peerDeletesISAKMP(now time.Time, under *isakmpSA, del *isakmp.Delete, out *Out) {
	for _, spi := range del.SPIs {
		sa := s.isakmpNamed(spi)
		if sa == nil || !sa.up() {
			continue
		}
		s.dropISAKMP(now, sa, out)
		if s.sa == nil && len(s.children) == 0 {
			s.end(now, ClosedByPeer, nil, out)
			return
		}
		if sa == under {
			return
		}
	}
}

func (s *Session) isakmpNamed(spi []byte) *isakmpSA {
	for _, sa := range s.isakmpSAs() {
		if string(cookies(sa.cookieI, sa.cookieR)) == string(spi) {
			return sa
		}
	}
	return nil
}

// ---- What we send

// sendInformational sends payloads behind their hash.
func (s *Session) sendInformational(sa *isakmpSA, out *Out, ps ...isakmp.Payload) {
	id := s.messageID()
	iv, err := sa.ivOf(id)
	if err != nil {
		return
	}
	if !onlyProbes(ps) {
		sa.fresh(id)
	}
	if msg, _, err := sa.sealExchange(isakmp.ExchangeInformational, id, iv, ps); err == nil {
		s.send(sa, msg, out)
	}
}

func (s *Session) sendNotify(sa *isakmpSA, n *isakmp.Notify, out *Out) {
	s.sendInformational(sa, out, n)
}

// sendDeleteESP names our inbound SPIs.
func (s *Session) sendDeleteESP(spis []uint32, out *Out) {
	if !s.sa.up() || len(spis) == 0 {
		return
	}
	d := &isakmp.Delete{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoESP}
	for _, spi := range spis {
		d.SPIs = append(d.SPIs, binary.BigEndian.AppendUint32(nil, spi))
	}
	s.sendInformational(s.sa, out, d)
}

func (s *Session) sendDeleteISAKMP(sa *isakmpSA, out *Out) {
	s.sendInformational(sa, out, &isakmp.Delete{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoISAKMP, SPIs: [][]byte{cookies(sa.cookieI, sa.cookieR)}})
}

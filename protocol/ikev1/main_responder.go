package ikev1

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// receiveFirst answers message 1 with message 2.
func (s *Session) receiveFirst(now time.Time, d Datagram, out *Out) {
	m, err := isakmp.Parse(slices.Clone(d.Data))
	if err != nil || !Front(d).Accept {
		s.end(now, ClosedProtocol, fmt.Errorf("ikev1: %v: main mode: malformed first message", d.Remote), out)
		return
	}
	sa := &isakmpSA{cookieI: m.Header.CookieI, hs: &handshake{stage: awaitKE}}
	seen := signsOf(m.Payloads)
	s.kind = judge(seen)
	offer := m.Payloads[0].(*isakmp.SA) // as Front has seen
	offered := understand(offer, isakmp.ProtoISAKMP, readPhase1)
	c, ok := s.cfg.Policy.choosePhase1(offer, offered)
	if !ok {
		s.refuseFirst(now, sa, offered, out)
		return
	}
	s.readAbilities(sa, seen)
	sa.take(c, s.cfg.Policy.lifetime1())
	sa.hs.t.sa = slices.Clone(offer.Body)
	sa.cookieR = isakmp.Cookie(s.cfg.NewCookie())
	s.sa = sa
	out.Events = append(out.Events, CookieAdded{uint64(sa.cookieR)})
	s.answerFirst(now, sa, d.Data, seen, out)
}

func (s *Session) answerFirst(now time.Time, sa *isakmpSA, asked []byte, seen signs, out *Out) {
	var version [][]byte
	if _, vid := agreeNATT(seen); vid != nil {
		version = append(version, vid)
	}
	ps := append([]isakmp.Payload{sa.hs.choice.answer(sa.hs.choice.spi)}, s.abilities(version...)...)
	msg, err := sa.plain(ps)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.answer(now, sa, asked, msg, out)
}

// answer sends a message of main mode and keeps it for copies of what it
// answers. It is never sent without one.
func (s *Session) answer(now time.Time, sa *isakmpSA, asked, msg []byte, out *Out) {
	s.remember(now, sa, asked, s.send(sa, msg, out))
}

// refuseFirst answers NO-PROPOSAL-CHOSEN, once, in the clear, and shorter than
// any offer, and leaves nothing behind.
func (s *Session) refuseFirst(now time.Time, sa *isakmpSA, offered []proposed, out *Out) {
	out.Events = append(out.Events, Refused{s.proposalRecord(now, StageMain, offered)})
	s.sendPlainNotify(sa, isakmp.NotifyNoProposalChosen, out)
	s.end(now, ClosedRefused, fmt.Errorf("ikev1: %v: main mode: none of the proposals is acceptable", s.path.remote), out)
}

// sendPlainNotify tells a peer without keys what went wrong.
func (s *Session) sendPlainNotify(sa *isakmpSA, t isakmp.NotifyType, out *Out) {
	m := isakmp.Message{Header: sa.header(isakmp.ExchangeInformational, s.messageID()),
		Payloads: []isakmp.Payload{&isakmp.Notify{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoISAKMP, Type: t}}}
	if b, err := m.Append(nil); err == nil {
		sendTo(s.path, [][]byte{b}, out)
	}
}

// mainRequest takes message 3, then message 5.
func (s *Session) mainRequest(now time.Time, sa *isakmpSA, m *isakmp.Message, d Datagram, out *Out) {
	switch {
	case sa.hs.stage == awaitKE:
		s.receiveKE(now, sa, m, d, out)
	case sa.keys.d == nil:
		s.withKeys(now, sa, out,
			func(now time.Time, out *Out) { s.receiveProof(now, sa, m, d, out) },
			func(now time.Time, err error, out *Out) { s.refuseKeys(now, sa, err, out) })
	default:
		s.receiveProof(now, sa, m, d, out)
	}
}

// receiveKE answers message 3 with message 4. That the peer knows our cookie
// proves where it is; the key pair is made now, and the shared secret only when
// message 5 comes (trap 1).
func (s *Session) receiveKE(now time.Time, sa *isakmpSA, m *isakmp.Message, d Datagram, out *Out) {
	if err := sa.readKeys(m); err != nil {
		sa.hs.trouble = err
		s.counts.Malformed++
		return
	}
	sa.hs.readCertReqs(m.Payloads)
	s.detectNAT(sa, m.Payloads, path{d.Local, d.Remote})
	s.awaitMain(now, sa, GenerateKE{sa.suite.KE}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			s.end(now, ClosedInternal, fmt.Errorf("ikev1: %v: no key pair: %w", s.path.remote, err), out)
			return
		}
		sa.hs.ke, sa.hs.t.publicR, sa.hs.t.nonceR = ke, ke.Public(), s.newNonce()
		msg, err := sa.plain(s.keyPayloads(sa))
		if err != nil {
			s.end(now, ClosedInternal, err, out)
			return
		}
		sa.hs.stage = awaitAuth
		s.answer(now, sa, d.Data, msg, out)
	})
}

// refuseKeys: the public value is bad, or there is no pre-shared key for this
// address.
func (s *Session) refuseKeys(now time.Time, sa *isakmpSA, err error, out *Out) {
	r := s.authRecord(now, sa, err)
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		r.Notify = isakmp.NotifyInvalidKeyInformation
	}
	out.Events = append(out.Events, Refused{r})
	s.sendPlainNotify(sa, r.Notify, out)
	s.end(now, ClosedRefused, err, out)
}

// receiveProof takes message 5, which moves the session to where it came from
// (RFC 3947, Section 4).
func (s *Session) receiveProof(now time.Time, sa *isakmpSA, m *isakmp.Message, d Datagram, out *Out) {
	at := path{d.Local, d.Remote}
	if !s.mayProveAt(sa, at) {
		s.counts.Malformed++
		return
	}
	p := s.openProof(sa, m)
	if p == nil {
		s.undecipherable(now, sa, out)
		return
	}
	s.verify(now, sa, p, at, out,
		func(now time.Time, a *Admission, out *Out) {
			s.path = at
			sa.hs.contact = p.contact
			s.answerProof(now, sa, a, p, d.Data, out)
		},
		func(now time.Time, err error, out *Out) {
			s.path = at
			s.refuseProof(now, sa, p, err, out)
		},
		func(now time.Time, out *Out) { s.undecipherable(now, sa, out) })
}

// mayProveAt: without NAT traversal message 5 comes from where the others came.
// With a NAT it must have gone to port 4500 (trap 31), from whatever port and
// address the NAT gives it there; a client without one has but its address.
func (s *Session) mayProveAt(sa *isakmpSA, at path) bool {
	switch {
	case sa.natt == nattNone:
		return at == s.path
	case at.local.Port() == nattPort:
		return at.local.Addr() == s.path.local.Addr() && (s.natRemote || at.remote.Addr() == s.path.remote.Addr())
	case s.encap:
		sa.hs.trouble = errors.New("ikev1: there is a NAT, and the peer did not go to UDP port 4500: is it open")
		return false
	}
	return at == s.path
}

// undecipherable: with a wrong pre-shared key nothing decrypts, and nothing
// tells that from a forged message. So it is reported once, and changes nothing.
func (s *Session) undecipherable(now time.Time, sa *isakmpSA, out *Out) {
	s.counts.BadHash++
	if sa.hs.key == nil {
		sa.hs.trouble = errors.New("ikev1: main mode: message 5 does not decrypt")
		return
	}
	if sa.hs.reported {
		return
	}
	sa.hs.reported, sa.hs.trouble = true, errWrongKey
	r := s.record(now, StageAuth, isakmp.NotifyInvalidHash, "message 5 does not decrypt: most likely the pre-shared keys differ",
		"enter the pre-shared key again on both sides; mind spaces and capitals")
	out.Events = append(out.Events, Refused{r})
}

var errWrongKey = errors.New("ikev1: main mode: the pre-shared keys of both sides seem to differ")

// refuseProof: the peer has our keys, so it is told under their protection.
func (s *Session) refuseProof(now time.Time, sa *isakmpSA, p *proof, err error, out *Out) {
	r := s.authRecord(now, sa, err)
	out.Events = append(out.Events, Refused{r})
	sa.iv = p.lastBlock
	s.sendNotify(sa, &isakmp.Notify{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoISAKMP, Type: r.Notify}, out)
	s.end(now, ClosedRefused, err, out)
}

// answerProof sends message 6.
func (s *Session) answerProof(now time.Time, sa *isakmpSA, a *Admission, p *proof, asked []byte, out *Out) {
	s.prove(now, sa, out, func(now time.Time, ps []isakmp.Payload, out *Out) {
		msg, last, err := sa.seal(sa.header(isakmp.ExchangeMain, 0), p.lastBlock, ps)
		if err != nil {
			s.end(now, ClosedInternal, err, out)
			return
		}
		s.authenticated(now, sa, a, last, out)
		s.answer(now, sa, asked, msg, out)
	})
}

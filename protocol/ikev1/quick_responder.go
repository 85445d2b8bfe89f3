package ikev1

import (
	"crypto/hmac"
	"encoding/binary"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// serveQuick answers message 1 with message 2.
func (s *Session) serveQuick(now time.Time, sa *isakmpSA, m *isakmp.Message, d Datagram, out *Out) {
	iv, err := sa.ivOf(m.Header.MessageID)
	if err != nil || slices.Contains(sa.seen, m.Header.MessageID) {
		s.counts.Malformed++
		return
	}
	o, err := sa.authentic(m, iv)
	if err != nil {
		s.counts.BadHash++
		return
	}
	if !s.roomForQuick() || !sa.fresh(m.Header.MessageID) {
		s.counts.Malformed++
		return
	}
	s.heard(now)
	s.serveContact(o.payloads, out)
	parts, ok := readQuick(o.payloads)
	if !ok {
		s.refuseQuick(now, sa, isakmp.NotifyPayloadMalformed, s.record(now, StageQuick, isakmp.NotifyPayloadMalformed, "quick mode without SA or nonce", "report this client's version"), out)
		return
	}
	q := &quick{sa: sa, id: m.Header.MessageID, path: path{d.Local, d.Remote}, iv: o.next, nonceI: parts.nonce, replaces: s.outbound}
	if !s.chooseQuick(now, q, parts, out) {
		return
	}
	s.quicks = append(s.quicks, q)
	if q.choice.group == (suite.Transform{}) {
		s.answerQuick(now, q, parts, nil, d, out)
		return
	}
	q.peerKE = parts.ke
	s.await(now, GenerateKE{q.choice.group}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			s.dropQuick(q)
			return
		}
		q.ke = ke
		s.await(now, SharedSecret{ke, q.peerKE}, out, func(now time.Time, r Result, out *Out) {
			shared, err := value[secret.Bytes](r)
			if err != nil {
				s.dropQuick(q)
				s.refuseQuick(now, sa, isakmp.NotifyInvalidKeyInformation, s.record(now, StageQuick, isakmp.NotifyInvalidKeyInformation, "the public value of quick mode is not valid", ""), out)
				return
			}
			if s.quickOf(sa, q.id) == q { // the ISAKMP SA may be gone meanwhile
				s.answerQuick(now, q, parts, shared, d, out)
			}
		})
	})
}

// chooseQuick negotiates and looks at the identities, or says why not.
func (s *Session) chooseQuick(now time.Time, q *quick, parts quickParts, out *Out) bool {
	offered := understand(parts.sa, isakmp.ProtoESP, readPhase2)
	c, ok := s.cfg.Policy.choosePhase2(parts.sa, offered, s.encap)
	switch {
	case !ok:
		s.refuseQuick(now, q.sa, isakmp.NotifyNoProposalChosen, s.proposalRecord(now, StageQuick, offered), out)
		return false
	case isakmp.SPI32(c.spi) == 0:
		s.refuseQuick(now, q.sa, isakmp.NotifyInvalidSPI, s.record(now, StageQuick, isakmp.NotifyInvalidSPI, "the peer's SPI is 0", ""), out)
		return false
	case len(parts.ke) != suite.PublicSize(c.group):
		s.refuseQuick(now, q.sa, isakmp.NotifyInvalidKeyInformation, s.record(now, StageQuick, isakmp.NotifyInvalidKeyInformation, "the KE payload does not fit the group", ""), out)
		return false
	}
	client, server := parts.idI, parts.idR
	if s.role == Initiator {
		client, server = server, client // the gateway rekeys
	}
	if why := l2tpOnly(client, server); why != "" {
		s.refuseQuick(now, q.sa, isakmp.NotifyInvalidIDInformation, s.record(now, StageQuick, isakmp.NotifyInvalidIDInformation, why,
			"this zone serves L2TP/IPsec alone: set the client to L2TP, not to plain IPsec or Cisco IPsec"), out)
		return false
	}
	q.choice = c
	return true
}

// l2tpOnly holds the identities of quick mode to UDP and port 1701 of ours.
// Addresses in them are not looked at: behind a NAT they are private (trap 33),
// and old Windows sends its name (KB818043). The client's port may be anything.
func l2tpOnly(client, server *isakmp.ID) string {
	switch {
	case client == nil || server == nil:
		return "quick mode asks for all traffic between the two hosts, not for L2TP"
	case client.Protocol != protoUDP || server.Protocol != protoUDP:
		return "quick mode asks for a protocol that is not UDP"
	case server.Port != l2tpPort && server.Port != 0:
		return "quick mode asks for a UDP port that is not L2TP's"
	case server.Type.Addresses() == 0:
		return "quick mode names the gateway by something that is no address"
	}
	return ""
}

func (s *Session) refuseQuick(_ time.Time, sa *isakmpSA, t isakmp.NotifyType, r Record, out *Out) {
	out.Events = append(out.Events, Refused{r})
	s.sendNotify(sa, &isakmp.Notify{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoESP, Type: t}, out)
}

// answerQuick installs the SA, so that it can receive, and sends message 2.
func (s *Session) answerQuick(now time.Time, q *quick, parts quickParts, shared secret.Bytes, d Datagram, out *Out) {
	q.spiIn, q.nonceR = s.cfg.NewSPI(), s.newNonce()
	spi := binary.BigEndian.AppendUint32(nil, q.spiIn)
	ps := []isakmp.Payload{q.choice.answer(spi), &isakmp.Nonce{Data: q.nonceR}}
	if q.ke != nil {
		ps = append(ps, &isakmp.KE{Data: q.ke.Public()})
	}
	ps = append(ps, parts.idI, parts.idR)
	if s.encap {
		ps = append(ps, s.originals(q.sa, false)...)
	}
	msg, next, err := q.sa.sealExchange(isakmp.ExchangeQuick, q.id, q.iv, ps, q.nonceI)
	if err == nil {
		err = s.childOf(now, q, shared, parts, false, out)
	}
	if err != nil {
		s.dropQuick(q)
		return
	}
	q.iv = next
	datagrams := s.split(q.sa, msg)
	q.keep(d.Data, datagrams)
	if q.path == s.path {
		q.pending = s.transmit(now, datagrams, out)
		return
	}
	// Message 1 has nothing of ours in it and may be a replay, so the new place is
	// not proven yet: one answer, and copies for copies (CVE-2016-5361).
	sendTo(q.path, datagrams, out)
	q.forget = now.Add(answerKept)
}

// quickConfirmed takes message 3: the peer has the SA too. That its hash covers
// our nonce makes it new, so the session may follow it.
func (s *Session) quickConfirmed(now time.Time, q *quick, m *isakmp.Message, d Datagram, out *Out) {
	if q.spiIn == 0 {
		s.counts.Malformed++ // not answered yet
		return
	}
	if !s.hash3(q, m) {
		s.counts.BadHash++
		return
	}
	s.heard(now)
	s.follow(d.Remote, out)
	q.finish(now)
	if c := s.childIn(q.spiIn); c != nil {
		s.confirmed(now, c, out)
	}
}

// hash3 checks HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b).
func (s *Session) hash3(q *quick, m *isakmp.Message) bool {
	o, err := q.sa.open(m, q.iv)
	if err != nil {
		return false
	}
	h, ok := isakmp.Find[*isakmp.Hash](o.payloads)
	if !ok {
		return false
	}
	want, err := q.thirdHash()
	return err == nil && hmac.Equal(h.Data, want)
}

// thirdHash begins with an octet 0 where the others begin with the message ID.
func (q *quick) thirdHash() ([]byte, error) {
	prf, err := q.sa.prf()
	if err != nil {
		return nil, err
	}
	return prf.Sum(q.sa.keys.a, []byte{0}, binary.BigEndian.AppendUint32(nil, q.id), q.nonceI, q.nonceR), nil
}

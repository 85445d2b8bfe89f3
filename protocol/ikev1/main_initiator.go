package ikev1

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// mainWanted: the ISAKMP SA is old, or gone while a quick mode needs one.
func (s *Session) mainWanted() bool {
	if s.role != Initiator || s.next != nil {
		return false
	}
	needed := s.sa == nil && (len(s.children) == 0 || slices.ContainsFunc(s.children, func(c *child) bool { return c.due }))
	return s.wantMain || needed
}

func (s *Session) mainDue(now time.Time) bool { return s.mainWanted() && !now.Before(s.retryMain) }

// startMain sends message 1 of a new ISAKMP SA.
func (s *Session) startMain(now time.Time, out *Out) *isakmpSA {
	sa := &isakmpSA{initiator: true, cookieI: isakmp.Cookie(s.cfg.NewCookie()), hs: &handshake{identity: s.connect.Identity}}
	hs := sa.hs
	hs.until = now.Add(s.cfg.Policy.halfOpen())
	out.Events = append(out.Events, CookieAdded{uint64(sa.cookieI)})
	if s.phase == phaseMain {
		s.sa = sa
	}
	hs.methods = s.cfg.Policy.methodsOf(s.connect.Identity)
	hs.offer = s.cfg.Policy.offerPhase1(hs.methods)
	if len(hs.offer.Proposals[0].Transforms) == 0 {
		s.failMain(now, sa, ClosedInternal, errors.New("ikev1: nothing to offer: proposals, or a method that our identity can do, are missing"), out)
		return s.stillThere(sa)
	}
	ps := append([]isakmp.Payload{hs.offer}, s.abilities(vidNATT, vidNATT03, vidNATT02n)...)
	msg, err := sa.plain(ps)
	if err != nil {
		s.failMain(now, sa, ClosedInternal, err, out)
		return s.stillThere(sa)
	}
	m, _ := isakmp.Parse(msg)
	hs.t.sa = m.Payloads[0].(*isakmp.SA).Body
	s.request(now, sa, [][]byte{msg}, out)
	return sa
}

// stillThere is sa, unless it failed at once.
func (s *Session) stillThere(sa *isakmpSA) *isakmpSA {
	if s.sa == sa {
		return sa
	}
	return nil
}

// request sends a message of main mode and copies of it until it is answered.
func (s *Session) request(now time.Time, sa *isakmpSA, datagrams [][]byte, out *Out) {
	sa.pending = s.transmit(now, datagrams, out)
}

func (s *Session) transmit(now time.Time, datagrams [][]byte, out *Out) *request {
	plan := s.cfg.Policy.retransmit()
	sendTo(s.path, datagrams, out)
	return &request{datagrams: datagrams, tries: 1, wait: plan.First, next: now.Add(plan.First)}
}

// methodsOf are the allowed methods that an identity can do.
func (p *Policy) methodsOf(i *Identity) []suite.AuthMethod1 {
	var out []suite.AuthMethod1
	for _, m := range p.methods() {
		switch {
		case i == nil || len(i.Chain) == 0:
			if m == suite.AuthPSK1 {
				out = append(out, m)
			}
		case m.Signature() && m.Fits(i.Public) == nil:
			out = append(out, m)
		}
	}
	return out
}

// mainAnswer takes messages 2, 4 and 6. What does not fit is as if it had not
// come: until the last one anybody on the way could have sent it.
func (s *Session) mainAnswer(now time.Time, sa *isakmpSA, m *isakmp.Message, out *Out) {
	if sa.pending == nil {
		s.counts.Malformed++
		return
	}
	switch sa.hs.stage {
	case awaitSA:
		s.receiveChoice(now, sa, m, out)
	case awaitKE:
		s.receiveKEAnswer(now, sa, m, out)
	case awaitAuth:
		s.receiveProofAnswer(now, sa, m, out)
	}
}

// receiveChoice takes message 2 and sends message 3.
func (s *Session) receiveChoice(now time.Time, sa *isakmpSA, m *isakmp.Message, out *Out) {
	answer, ok := isakmp.Find[*isakmp.SA](m.Payloads)
	if !ok || m.Header.CookieR == 0 {
		s.counts.Malformed++
		return
	}
	c, ok := accept(sa.hs.offer, answer, readPhase1)
	if !ok {
		sa.hs.trouble = errors.New("ikev1: main mode: the peer chose what was not offered")
		s.counts.Malformed++
		return
	}
	seen := signsOf(m.Payloads)
	if s.phase == phaseMain {
		s.kind = judge(seen)
	}
	s.readAbilities(sa, seen)
	sa.take(c, s.cfg.Policy.lifetime1())
	sa.cookieR, sa.pending = m.Header.CookieR, nil
	sa.hs.answered()
	s.awaitMain(now, sa, GenerateKE{sa.suite.KE}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			s.failMain(now, sa, ClosedInternal, fmt.Errorf("ikev1: no key pair: %w", err), out)
			return
		}
		sa.hs.ke, sa.hs.t.publicI, sa.hs.t.nonceI = ke, ke.Public(), s.newNonce()
		msg, err := sa.plain(s.keyPayloads(sa))
		if err != nil {
			s.failMain(now, sa, ClosedInternal, err, out)
			return
		}
		sa.hs.stage = awaitKE
		s.request(now, sa, s.split(sa, msg), out)
	})
}

// receiveKEAnswer takes message 4, makes the keys, and sends message 5, on port
// 4500 when there is a NAT.
func (s *Session) receiveKEAnswer(now time.Time, sa *isakmpSA, m *isakmp.Message, out *Out) {
	if err := sa.readKeys(m); err != nil {
		sa.hs.trouble = err
		s.counts.Malformed++
		return
	}
	s.withKeys(now, sa, out, func(now time.Time, out *Out) {
		sa.pending = nil
		sa.hs.answered()
		sa.hs.readCertReqs(m.Payloads)
		if s.phase == phaseMain {
			s.detectNAT(sa, m.Payloads, s.path)
			s.floatPorts(sa)
		}
		s.sendProof(now, sa, out)
	}, func(now time.Time, err error, out *Out) {
		var refusal *Refusal
		if sa.hs.shared != nil || errors.As(err, &refusal) {
			s.refuseMain(now, sa, s.authRecord(now, sa, err), out) // no pre-shared key of ours
			return
		}
		sa.hs.trouble = err // a forged public value does not spoil the key pair; wait on
	})
}

func (s *Session) sendProof(now time.Time, sa *isakmpSA, out *Out) {
	s.prove(now, sa, out, func(now time.Time, ps []isakmp.Payload, out *Out) {
		if s.connect.InitialContact && s.phase == phaseMain {
			ps = append(ps, &isakmp.Notify{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoISAKMP, Type: isakmp.NotifyInitialContact, SPI: cookies(sa.cookieI, sa.cookieR)})
		}
		msg, last, err := sa.seal(sa.header(isakmp.ExchangeMain, 0), sa.hs.iv, ps)
		if err != nil {
			s.failMain(now, sa, ClosedInternal, err, out)
			return
		}
		sa.hs.iv, sa.iv = bytes.Clone(last), bytes.Clone(last)
		sa.hs.stage = awaitAuth
		s.request(now, sa, s.split(sa, msg), out)
	})
}

// receiveProofAnswer takes message 6.
func (s *Session) receiveProofAnswer(now time.Time, sa *isakmpSA, m *isakmp.Message, out *Out) {
	p := s.openProof(sa, m)
	if p == nil {
		s.counts.BadHash++
		sa.hs.trouble = errors.New("ikev1: main mode: message 6 does not decrypt")
		return
	}
	sa.hs.answered()
	s.verify(now, sa, p, s.path, out,
		func(now time.Time, a *Admission, out *Out) {
			if s.phase == phaseUp && !bytes.Equal(s.peerID.Octets(), (&isakmp.ID{Type: p.id.Type, Data: p.id.Data}).Octets()) {
				s.failMain(now, sa, ClosedRefused, errors.New("ikev1: somebody else answers now"), out)
				return
			}
			s.authenticated(now, sa, a, p.lastBlock, out)
		},
		func(now time.Time, err error, out *Out) {
			r := s.authRecord(now, sa, err)
			sa.iv = p.lastBlock
			s.sendNotify(sa, &isakmp.Notify{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoISAKMP, Type: r.Notify}, out)
			s.refuseMain(now, sa, r, out)
		},
		func(_ time.Time, _ *Out) {
			s.counts.BadHash++
			sa.hs.trouble = errors.New("ikev1: main mode: the hash of message 6 is wrong")
		})
}

// refuseMain ends a main mode with a record.
func (s *Session) refuseMain(now time.Time, sa *isakmpSA, r Record, out *Out) {
	out.Events = append(out.Events, Refused{r})
	s.failMain(now, sa, ClosedRefused, errors.New("ikev1: "+r.Reason), out)
}

// replaced: a new main mode is done. The old ISAKMP SA is deleted a little
// later; ESP SAs belong to neither.
func (s *Session) replaced(now time.Time, sa *isakmpSA) {
	s.next, s.wantMain = nil, false
	if s.sa != nil {
		s.sa.dropAt = now.Add(lingerOld)
		s.sa.rekeyAt = time.Time{}
		s.old = append(s.old, s.sa)
	}
	s.sa = sa
}

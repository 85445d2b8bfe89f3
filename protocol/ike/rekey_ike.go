package ike

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// rivalIKESA is what the peer's rekey of an IKE SA made while ours is out.
type rivalIKESA struct {
	sa     *ikeSA
	nonces nonces
}

// successor makes the IKE SA that a rekey agreed on (RFC 7296, Section 2.18).
func (s *Session) successor(now time.Time, old *ikeSA, initiator bool, spiI, spiR ikemsg.SPI, choice Choice, shared secret.Bytes, both nonces, out *Out) (*ikeSA, error) {
	sa := &ikeSA{initiator: initiator, spiI: spiI, spiR: spiR, suite: choice.IKE()}
	prf, err := suite.NewPRF(old.suite.PRF)
	if err != nil {
		return nil, err
	}
	seed := rekeySeed(prf, old.keys.d, shared, both.i, both.r)
	var unused authKeys
	sa.keys, unused, err = deriveKeys(sa.suite, seed, both.i, both.r, spiI, spiR, initiator)
	seed.Clear()
	shared.Clear()
	unused.clear()
	if err != nil {
		return nil, err
	}
	sa.rekeyAt, sa.expireAt = s.span(now, s.cfg.Policy.Lifetime, defaultIKELifetime)
	out.Events = append(out.Events, SPIAdded{sa.ours()})
	return sa, nil
}

// adopt makes next the current IKE SA; it inherits the Child SAs, which hang
// on the session. mine: we initiated the rekey and delete the old one.
func (s *Session) adopt(now time.Time, next *ikeSA, mine bool) {
	old := s.sa
	s.old = append(slices.DeleteFunc(s.old, func(o *ikeSA) bool { return o == next }), old)
	s.sa = next
	next.replaced, next.dropAt = false, time.Time{}
	old.replaced, old.rival, old.wantRekey, old.wantDelete = true, nil, false, mine
	old.dropAt = now.Add(staleAfter)
	// Address work starts over on the new SA (trap 22). What is out on the old
	// one stays out: giving up a message ID would block those after it.
	next.wantUpdate, next.wantCheck = old.wantUpdate, old.wantCheck
	old.wantCheck = false
	if old.pending != nil {
		switch old.pending.exchange.(type) {
		case *addressUpdate:
			next.wantUpdate = true
		case *returnCheck:
			next.wantCheck = true
		}
	}
	s.natSeen = nil // the hashes cover the SPIs
}

// ---- Responder of the exchange

// serveRekeyIKE answers the peer's rekey of the IKE SA. While a Child SA
// exchange of ours is out it has to wait (Section 2.25.1).
func (s *Session) serveRekeyIKE(now time.Time, in *inbound, offered *ikemsg.SA, nonce *ikemsg.Nonce, out *Out) {
	terms := Terms{PeerOrder: s.kind.quirks().peerOrder}
	ke, hasKE := ikemsg.Find[*ikemsg.KE](in.payloads)
	if hasKE {
		terms.Group = ke.Group
	}
	choice, ok := Negotiate(s.cfg.Policy.IKE, offered.Proposals, terms)
	group := choice.Of(suite.KE)
	switch {
	case s.childExchangeOut() || s.sa.rival != nil || len(s.old) >= maxOld:
		s.respondNotify(now, s.sa, in, ikemsg.NotifyTemporaryFailure, nil, out)
	case !ok || len(choice.SPI) != 8 || binary.BigEndian.Uint64(choice.SPI) == 0:
		out.Events = append(out.Events, Refused{s.proposalRecord(now, StageRekeyIKE, s.cfg.Policy.IKE, offered.Proposals, terms)})
		s.respondNotify(now, s.sa, in, ikemsg.NotifyNoProposalChosen, nil, out)
	case !hasKE || ke.Group != group.ID:
		s.wantGroup(now, in, StageRekeyIKE, group, terms.Group, out)
	default:
		s.agree(now, in, group, ke.Data, out, func(now time.Time, public []byte, shared secret.Bytes, out *Out) {
			s.answerRekeyIKE(now, in, choice, public, shared, slices.Clone(nonce.Data), out)
		})
	}
}

// childExchangeOut tells whether we are creating, rekeying or closing a Child
// SA.
func (s *Session) childExchangeOut() bool {
	if s.sa.pending == nil {
		return false
	}
	switch s.sa.pending.exchange.(type) {
	case *childExchange, *deleteChildren:
		return true
	}
	return false
}

func (s *Session) answerRekeyIKE(now time.Time, in *inbound, choice Choice, public []byte, shared secret.Bytes, nonceI []byte, out *Out) {
	if s.phase != phaseUp {
		s.respondNotify(now, s.sa, in, ikemsg.NotifyTemporaryFailure, nil, out)
		return
	}
	old, both := s.sa, nonces{nonceI, s.newNonce()}
	spiI, spiR := ikemsg.SPI(binary.BigEndian.Uint64(choice.SPI)), s.cfg.NewSPI()
	next, err := s.successor(now, old, false, spiI, spiR, choice, shared, both, out)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.respond(now, old, in, []ikemsg.Payload{
		choice.payload(ikemsg.ProtoIKE, binary.BigEndian.AppendUint64(nil, uint64(spiR))),
		&ikemsg.Nonce{Data: both.r},
		&ikemsg.KE{Group: choice.Of(suite.KE).ID, Data: public},
	}, out)
	if s.rekeyingIKE() {
		// Both at once: our answer decides (Section 2.8.2). Until then the peer
		// may already use or delete this one.
		s.old = append(s.old, next)
		next.replaced = true
		old.rival = &rivalIKESA{next, both}
		return
	}
	s.adopt(now, next, false)
}

// ---- Initiator of the exchange

// ikeRekey is our request to rekey the IKE SA.
type ikeRekey struct {
	spi           ikemsg.SPI
	offer         *ikemsg.SA
	nonce         []byte
	ke            suite.KeyExchange
	group         suite.Transform
	groups, tried []suite.Transform
}

// startRekeyIKE proposes what is in force, alone: that is what RFC 7296,
// Section 2.8 recommends and all that Windows understands. Only after a
// refusal the whole policy is offered.
func (s *Session) startRekeyIKE(now time.Time, out *Out) {
	sa := s.sa
	sa.wantRekey = false
	sa.rekeyAt = time.Time{}
	now0 := []suite.Proposal{{Protocol: suite.ProtocolIKE, Transforms: suiteTransforms(sa.suite)}}
	if sa.failures > 0 && !s.kind.quirks().sameSuiteOnly {
		now0 = append(now0, s.cfg.Policy.IKE...)
	}
	ex := &ikeRekey{spi: s.cfg.NewSPI(), nonce: s.newNonce(), groups: groups(now0)}
	ex.offer = offer(now0, ikemsg.ProtoIKE, binary.BigEndian.AppendUint64(nil, uint64(ex.spi)), false)
	ex.start(s, now, sa.suite.KE, out)
}

func suiteTransforms(s suite.IKE) []suite.Transform {
	ts := []suite.Transform{s.Encr, s.PRF}
	if s.Integ != (suite.Transform{}) {
		ts = append(ts, s.Integ)
	}
	return append(ts, s.KE)
}

func (ex *ikeRekey) start(s *Session, now time.Time, group suite.Transform, out *Out) {
	ex.group, ex.tried = group, append(ex.tried, group)
	s.await(now, GenerateKE{group}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			ex.failed(s, now)
			return
		}
		if s.phase != phaseUp {
			return
		}
		ex.ke = ke
		s.request(now, s.sa, ikemsg.ExchangeCreateChildSA, ex, []ikemsg.Payload{
			ex.offer, &ikemsg.Nonce{Data: ex.nonce}, &ikemsg.KE{Group: group.ID, Data: ke.Public()},
		}, out)
	})
}

// answered takes the response: an error, another group, or the new IKE SA.
func (ex *ikeRekey) answered(s *Session, now time.Time, sa *ikeSA, in *inbound, out *Out) {
	if n := errorNotify(in.payloads); n != nil {
		if group, ok := offeredGroup(n.Data, ex.groups, ex.tried); ok && n.Type == ikemsg.NotifyInvalidKEPayload {
			ex.start(s, now, group, out)
			return
		}
		if n.Type != ikemsg.NotifyTemporaryFailure {
			out.Events = append(out.Events, Refused{s.refusedByPeer(now, StageRekeyIKE, n, s.cfg.Policy.IKE)})
		}
		ex.failed(s, now)
		if sa.failures > maxRefused {
			s.close(now, ClosedProtocol, 0, errors.New("ike: the peer refuses to rekey the IKE SA"), out)
		}
		return
	}
	offered, okSA := ikemsg.Find[*ikemsg.SA](in.payloads)
	ke, okKE := ikemsg.Find[*ikemsg.KE](in.payloads)
	nonce, okNonce := ikemsg.Find[*ikemsg.Nonce](in.payloads)
	if !okSA || !okKE || !okNonce {
		ex.broken(s, now, out)
		return
	}
	choice, err := accept(ex.offer, offered)
	if err != nil || len(choice.SPI) != 8 || binary.BigEndian.Uint64(choice.SPI) == 0 || choice.Of(suite.KE) != ex.group || ke.Group != ex.group.ID {
		ex.broken(s, now, out)
		return
	}
	both := nonces{ex.nonce, slices.Clone(nonce.Data)}
	s.await(now, SharedSecret{ex.ke, ke.Data}, out, func(now time.Time, r Result, out *Out) {
		shared, err := value[secret.Bytes](r)
		if err != nil {
			ex.broken(s, now, out)
			return
		}
		if s.phase == phaseUp {
			ex.done(s, now, sa, choice, shared, both, out)
		}
	})
}

// done has the new IKE SA. If the peer made one too, the one with the lowest
// nonce goes, deleted by its creator, and the creator of the other deletes the
// old SA (Section 2.8.2).
func (ex *ikeRekey) done(s *Session, now time.Time, sa *ikeSA, choice Choice, shared secret.Bytes, both nonces, out *Out) {
	next, err := s.successor(now, sa, true, ex.spi, ikemsg.SPI(binary.BigEndian.Uint64(choice.SPI)), choice, shared, both, out)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	rival := sa.rival
	if rival != nil && both.lowerThan(rival.nonces) {
		s.old = append(s.old, next)
		next.replaced, next.wantDelete, next.dropAt = true, true, now.Add(staleAfter)
		s.adopt(now, rival.sa, false)
		return
	}
	s.adopt(now, next, true)
	if rival != nil {
		rival.sa.dropAt = now.Add(staleAfter) // its creator deletes it, or time does
	}
}

// failed puts the rekey off, unless the peer's own went through.
func (ex *ikeRekey) failed(s *Session, now time.Time) {
	sa := s.sa
	if sa.rival != nil {
		s.adopt(now, sa.rival.sa, false)
		return
	}
	sa.failures++
	sa.wantRekey, sa.retryAt = true, s.retryTime(now, sa.failures)
}

// broken: the peer believes in an IKE SA that we cannot have. The state is out
// of step, and only a new session mends that.
func (ex *ikeRekey) broken(s *Session, now time.Time, out *Out) {
	s.close(now, ClosedProtocol, 0, errors.New("ike: the answer to our rekey of the IKE SA does not fit"), out)
}

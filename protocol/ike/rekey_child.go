package ike

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
)

// rivalChild is the peer's successor of a Child SA that we are rekeying too.
type rivalChild struct {
	made   *child
	nonces nonces
}

// Retrying a refused rekey (RFC 7296, Section 2.25: wait, retry over several
// minutes, then conclude that the state is out of step and close).
const (
	firstRetry = 2 * time.Second
	maxRetry   = time.Minute
	maxRefused = 10 // about six minutes
)

func (s *Session) retryTime(now time.Time, failures uint8) time.Time {
	wait := min(firstRetry<<min(failures, 8), maxRetry)
	return now.Add(wait + s.jitter(wait)) // jitter, or two peers refuse each other in step (trap 6)
}

// mayRekey tells whether we lead. A Windows client behind a NAT answers our
// rekey with error 13863, so it has to; and whether it wants PFS is not known
// before its own first rekey: a wrong guess of ours ends in error 13816.
func (s *Session) mayRekey(c *child) bool {
	peerLeads := s.kind.quirks().leadsRekeys && s.role == Responder && (s.natRemote || !c.pfsKnown)
	return !c.policy.LetPeerRekey && !peerLeads
}

// rekeyDue starts the rekey of one Child SA.
func (s *Session) rekeyDue(now time.Time, out *Out) bool {
	for _, c := range s.children {
		if c.state == childLive && c.want == wantRekey && !now.Before(c.ready()) {
			c.want = wantNothing
			s.startChild(now, c.policy, c, out)
			return true
		}
	}
	return false
}

// ---- Responder of the exchange

// serveRekeyChild answers the peer's rekey of a Child SA (Sections 2.8.1 and
// 2.25.1). A second request for the same one is served again: Windows sends
// several before its first DELETE.
func (s *Session) serveRekeyChild(now time.Time, in *inbound, n *ikemsg.Notify, nonce *ikemsg.Nonce, out *Out) {
	var old *child
	if len(n.SPI) == 4 && n.Protocol == ikemsg.ProtoESP {
		old = s.childOut(binary.BigEndian.Uint32(n.SPI))
	}
	switch {
	case old == nil:
		// The SPI is copied as it came, whatever its length (CVE-2023-38710).
		s.respond(now, s.sa, in, []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyChildSANotFound, Protocol: n.Protocol, SPI: n.SPI}}, out)
	case old.want == wantDelete || old.state == childRedundant:
		s.respondNotify(now, s.sa, in, ikemsg.NotifyTemporaryFailure, nil, out)
	default:
		// A superset of the narrowed selectors is fine: it is narrowed again.
		s.serveChild(now, in, StageRekeyChild, old.policy, old, old.tsLocal, old.tsRemote, nonce, out)
	}
}

// replacedByPeer notes that the peer made a successor. While our own rekey is
// out, its answer decides which one stays.
func (s *Session) replacedByPeer(now time.Time, old, made *child, n nonces) {
	old.heir = made.spiIn
	if s.rekeyingChild(old) {
		old.byPeer = &rivalChild{made, n}
		return
	}
	s.awaitDelete(now, old)
}

// awaitDelete leaves a replaced Child SA to the peer, but not for ever.
func (s *Session) awaitDelete(now time.Time, old *child) {
	old.state, old.want, old.dropAt, old.byPeer = childReplaced, wantNothing, now.Add(staleAfter), nil
}

func (s *Session) rekeyingChild(c *child) bool {
	if s.sa.pending == nil {
		return false
	}
	ex, ok := s.sa.pending.exchange.(*childExchange)
	return ok && ex.old == c
}

// ---- Initiator of the exchange

// rekeyed has the successor of ex.old. When the peer made one as well, the one
// from the exchange with the lowest nonce goes, by its creator (Section 2.8.1).
func (ex *childExchange) rekeyed(s *Session, now time.Time, sa *ikeSA, c *chosenChild, shared secret.Bytes, both nonces, out *Out) {
	old, rival := ex.old, ex.old.byPeer
	old.byPeer = nil
	here := slices.Contains(s.children, old)
	if rival != nil && !slices.Contains(s.children, rival.made) {
		rival = nil // the peer saw that it lost, and deleted it already
	}
	if rival != nil && both.lowerThan(rival.nonces) {
		shared.Clear()
		s.discard(c)
		if here {
			s.awaitDelete(now, old)
		} else {
			s.switchOutbound(rival.made, out)
		}
		return
	}
	made := s.install(now, c, sa, shared, both.i, both.r, true, old, out)
	if made == nil {
		return
	}
	made.pfsKnown = true
	if here {
		old.state, old.want, old.heir = childReplaced, wantDelete, made.spiIn
	}
	if rival != nil {
		rival.made.state, rival.made.want, rival.made.dropAt = childRedundant, wantNothing, now.Add(staleAfter)
	}
}

// discard deletes a Child SA that the peer has and we never install.
func (s *Session) discard(c *chosenChild) {
	s.children = append(s.children, &child{
		spiIn: c.spiIn, spiOut: c.spiOut, policy: c.policy, suite: c.choice.ESP(), state: childRedundant, want: wantDelete,
	})
}

// refused takes an error answer.
func (ex *childExchange) refused(s *Session, now time.Time, n *ikemsg.Notify, out *Out) {
	if n.Type != ikemsg.NotifyTemporaryFailure && n.Type != ikemsg.NotifyChildSANotFound {
		out.Events = append(out.Events, Refused{s.refusedByPeer(now, ex.stage(), n, ex.policy.ESP)})
	}
	if n.Type == ikemsg.NotifyChildSANotFound && ex.old != nil {
		ex.notFound(s, now, out)
		return
	}
	ex.failed(s, now, n.Type)
	if ex.old != nil && ex.old.failures > maxRefused && n.Type == ikemsg.NotifyTemporaryFailure {
		s.close(now, ClosedProtocol, 0, errors.New("ike: the peer puts off the rekey of a Child SA for ever"), out)
	}
}

// notFound: the peer has not got the Child SA (Section 2.25). When it rekeyed
// it meanwhile that is as it should be, else it is made anew.
func (ex *childExchange) notFound(s *Session, now time.Time, out *Out) {
	old := ex.old
	if !slices.Contains(s.children, old) {
		return
	}
	if old.byPeer != nil || old.heir != 0 {
		s.awaitDelete(now, old)
		return
	}
	s.forgetChild(old, "the peer does not know it", out)
	if len(s.creates) < maxCreates {
		s.creates = append(s.creates, old.policy)
	}
}

// failed puts a rekey off. If the peer's own went through meanwhile, there is
// nothing left to do.
func (ex *childExchange) failed(s *Session, now time.Time, t ikemsg.NotifyType) {
	old := ex.old
	switch {
	case old == nil:
		if t == ikemsg.NotifyTemporaryFailure && len(s.creates) < maxCreates {
			s.creates = append(s.creates, ex.policy)
			s.createAt = s.retryTime(now, 0)
		}
	case !slices.Contains(s.children, old):
	case old.byPeer != nil:
		s.awaitDelete(now, old)
	default:
		old.failures++
		if old.failures <= maxRefused {
			old.want, old.retryAt = wantRekey, s.retryTime(now, old.failures)
		}
	}
}

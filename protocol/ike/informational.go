package ike

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

// serveInformational answers INFORMATIONAL (RFC 7296, Section 1.4): collect
// the answer first, act on a dead IKE SA last (CVE-2023-38712).
func (s *Session) serveInformational(now time.Time, sa *ikeSA, in *inbound, out *Out) {
	deletes := deletesIKE(in.payloads)
	if sa != s.sa && !deletes {
		return // replaced: only its DELETE counts any more (trap 6)
	}
	var ps []ikemsg.Payload
	if !deletes {
		if spis := s.peerDeletes(now, in.payloads, out); len(spis) > 0 {
			ps = append(ps, &ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: spis})
		}
		ps = append(ps, s.serveAddresses(in, out)...)
	}
	s.respond(now, sa, in, ps, out)
	switch {
	case s.phase == phaseDead:
	case deletes:
		s.peerDeletesIKE(now, sa, out)
	default:
		s.serveNotifies(now, in, out)
	}
}

func deletesIKE(ps []ikemsg.Payload) bool {
	for d := range ikemsg.All[*ikemsg.Delete](ps) {
		if d.Protocol == ikemsg.ProtoIKE {
			return true
		}
	}
	return false
}

// peerDeletes deletes Child SAs and gives our halves for the answer. A Child
// SA that we are deleting ourselves at this moment is not named again (Section
// 1.4.1), an unknown SPI is nothing to talk about.
func (s *Session) peerDeletes(now time.Time, ps []ikemsg.Payload, out *Out) []uint32 {
	var answer []uint32
	for d := range ikemsg.All[*ikemsg.Delete](ps) {
		if d.Protocol != ikemsg.ProtoESP {
			continue
		}
		for _, spi := range d.SPIs {
			c := s.childOut(spi)
			if c == nil {
				continue
			}
			if !s.deletingChild(c) {
				answer = append(answer, c.spiIn)
			}
			if heir := s.childIn(c.heir); heir != nil {
				s.switchOutbound(heir, out)
			}
			s.childGone(now, c, "deleted by the peer", out)
			s.reinstate(c.spiIn)
		}
	}
	return answer
}

// reinstate puts a Child SA back in force whose successor the peer deleted in
// its place: the rekey failed on its side.
func (s *Session) reinstate(heir uint32) {
	for _, c := range s.children {
		if c.heir == heir && c.state == childReplaced && c.want == wantNothing {
			c.state, c.heir, c.dropAt = childLive, 0, time.Time{}
		}
	}
}

func (s *Session) deletingChild(c *child) bool {
	if s.sa.pending == nil {
		return false
	}
	ex, ok := s.sa.pending.exchange.(*deleteChildren)
	return ok && slices.Contains(ex.spis, c.spiIn)
}

// peerDeletesIKE: the answer is out. The current SA takes the session with it,
// unless the peer has rekeyed it before (Section 2.8.2).
func (s *Session) peerDeletesIKE(now time.Time, sa *ikeSA, out *Out) {
	switch {
	case sa != s.sa:
		if s.sa.rival != nil && s.sa.rival.sa == sa {
			s.sa.rival = nil // the peer lost the collision
		}
		s.dropSA(sa, out)
	case s.phase == phaseClosing:
		s.end(now, s.closing, s.closeErr, out)
	case sa.rival != nil:
		// The peer did not see our rekey, or it won: forget ours.
		rival := sa.rival.sa
		s.adopt(now, rival, false)
		s.dropSA(sa, out)
	default:
		s.end(now, ClosedByPeer, nil, out)
	}
}

// serveNotifies acts on what an established peer tells.
func (s *Session) serveNotifies(now time.Time, in *inbound, out *Out) {
	for n := range ikemsg.All[*ikemsg.Notify](in.payloads) {
		switch n.Type {
		case ikemsg.NotifyAuthenticationFailed, ikemsg.NotifyInvalidSyntax:
			// Section 2.21.2: the initiator could not authenticate us, or found
			// our message broken. Its IKE SA is gone.
			out.Events = append(out.Events, Refused{s.refusedByPeer(now, StageAuth, n, nil)})
			s.end(now, ClosedByPeer, fmt.Errorf("ike: %v: the peer ended the session with %v", s.path.remote, n.Type), out)
			return
		case ikemsg.NotifyAuthLifetime:
			s.authLifetime(now, n)
		}
	}
}

// ---- Our own requests

// deleteChildren is our DELETE of Child SAs.
type deleteChildren struct{ spis []uint32 }

// deleteDue sends one DELETE for all Child SAs that have to go. The SPIs are
// our inbound ones (trap 8).
func (s *Session) deleteDue(now time.Time, out *Out) bool {
	ex := &deleteChildren{}
	for _, c := range s.children {
		if c.want == wantDelete && !now.Before(c.ready()) {
			ex.spis = append(ex.spis, c.spiIn)
		}
	}
	if ex.spis == nil {
		return false
	}
	s.request(now, s.sa, ikemsg.ExchangeInformational, ex, []ikemsg.Payload{&ikemsg.Delete{Protocol: ikemsg.ProtoESP, SPIs: ex.spis}}, out)
	return true
}

// answered: whatever it says, they are gone on the other side too.
func (ex *deleteChildren) answered(s *Session, now time.Time, _ *ikeSA, _ *inbound, out *Out) {
	for _, spi := range ex.spis {
		if c := s.childIn(spi); c != nil && c.state != childLingering {
			s.childGone(now, c, "deleted", out)
		}
	}
}

// deleteIKE is our DELETE of an IKE SA, or the notify in its place.
type deleteIKE struct{}

func (s *Session) sendDeleteIKE(now time.Time, sa *ikeSA, notify ikemsg.NotifyType, out *Out) {
	var p ikemsg.Payload = &ikemsg.Delete{Protocol: ikemsg.ProtoIKE}
	if notify != 0 {
		p = &ikemsg.Notify{Type: notify}
	}
	sa.wantDelete = false
	s.request(now, sa, ikemsg.ExchangeInformational, &deleteIKE{}, []ikemsg.Payload{p}, out)
}

func (*deleteIKE) answered(s *Session, now time.Time, sa *ikeSA, _ *inbound, out *Out) {
	if sa != s.sa {
		s.dropSA(sa, out)
		return
	}
	s.end(now, s.closing, s.closeErr, out)
}

// liveness is an empty INFORMATIONAL (Section 2.4). It goes out only when no
// other request is: that one is the liveness check then (trap 23).
type liveness struct{}

func (s *Session) sendLiveness(now time.Time, out *Out) {
	var ps []ikemsg.Payload
	if s.mobike && s.role == Initiator && s.natLocal {
		// RFC 4555, Section 3.8: the answer shows whether the NAT's mapping of
		// us has changed.
		ps = s.natPayloads(s.sa.spiI, s.sa.spiR, s.path)
	}
	s.request(now, s.sa, ikemsg.ExchangeInformational, &liveness{}, ps, out)
}

func (*liveness) answered(s *Session, _ time.Time, sa *ikeSA, in *inbound, _ *Out) {
	if sa == s.sa {
		s.noticeMapping(in.payloads)
	}
}

// errAddress ends a session whose path is gone and that has no MOBIKE.
var errAddress = errors.New("ike: the local address changed, and the peer has no MOBIKE")

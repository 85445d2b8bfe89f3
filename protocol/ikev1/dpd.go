package ikev1

import (
	"encoding/binary"
	"errors"
	"time"

	"sallyport/protocol/ikev1/isakmp"
)

// probe is our R-U-THERE that is out (RFC 3706, Section 5.3). Each copy has a
// sequence number of its own, and any of them may be answered.
type probe struct {
	sa    *isakmpSA // whose sequence numbers these are
	first uint32    // sequence number of the first copy
	tries int
	next  time.Time
	wait  time.Duration
}

// probeAt is when the peer has to be asked: it was silent for too long, or did
// not answer. Peers without RFC 3706, such as Windows, are never asked: L2TP
// finds out. Nobody is asked while a quick mode of ours is out, which asks as
// well: charon forgets its answer to that when something else comes between
// (trap 23).
func (s *Session) probeAt() time.Time {
	switch {
	case s.probe != nil:
		return s.probe.next
	case !s.sa.up() || !s.sa.dpd || s.quicksOut() || s.next != nil || s.cfg.Policy.dpd() < 0 || s.lastHeard.IsZero():
		return time.Time{}
	}
	return s.lastHeard.Add(s.cfg.Policy.dpd())
}

// probeDue asks the data plane first: ESP is a sign of life (trap 23).
func (s *Session) probeDue(now time.Time) bool {
	if !due(now, s.probeAt()) {
		return false
	}
	if s.cfg.Heard != nil {
		for _, c := range s.children {
			if t := s.cfg.Heard(c.spiIn); t.After(s.lastHeard) {
				s.lastHeard, s.probe = t, nil
			}
		}
	}
	return due(now, s.probeAt())
}

// sendProbe sends R-U-THERE, or gives the peer up.
func (s *Session) sendProbe(now time.Time, out *Out) {
	plan := s.cfg.Policy.retransmit()
	sa := s.sa
	switch {
	case !sa.up():
		s.probe = nil
		return
	case s.probe == nil || s.probe.sa != sa: // no one answers on what was replaced
		sa.beginDPD(s.cfg)
		s.probe = &probe{sa: sa, first: sa.dpdSent + 1, wait: plan.First}
	case s.probe.tries >= plan.Tries:
		s.end(now, ClosedTimeout, errors.New("ikev1: the peer does not answer any more"), out)
		return
	default:
		s.probe.wait = min(2*s.probe.wait, plan.Max)
	}
	s.probe.tries++
	s.probe.next = now.Add(s.probe.wait)
	sa.dpdSent++
	s.sendNotify(sa, sa.dpdNotify(isakmp.NotifyRUThere, sa.dpdSent), out)
}

// beginDPD chooses where our sequence numbers begin: at random, and low enough
// never to wrap (RFC 3706, Section 6.2).
func (sa *isakmpSA) beginDPD(c *Config) {
	if sa.dpdBegun {
		return
	}
	var b [4]byte
	c.random(b[:])
	sa.dpdBegun, sa.dpdFirst = true, isakmp.SPI32(b[:])>>1
	sa.dpdSent = sa.dpdFirst
}

func (sa *isakmpSA) dpdNotify(t isakmp.NotifyType, seq uint32) *isakmp.Notify {
	return &isakmp.Notify{DOI: isakmp.DOIIPsec, Protocol: isakmp.ProtoISAKMP, Type: t, SPI: cookies(sa.cookieI, sa.cookieR), Data: binary.BigEndian.AppendUint32(nil, seq)}
}

// sequence reads a notify of RFC 3706; its SPI names the ISAKMP SA.
func (sa *isakmpSA) sequence(n *isakmp.Notify) (uint32, bool) {
	return isakmp.SPI32(n.Data), len(n.Data) == 4 && string(n.SPI) == string(cookies(sa.cookieI, sa.cookieR))
}

// answerProbe answers R-U-THERE. A number that is not above the last is old
// (Section 6.2); one that is shows that the message is new. One of ours comes
// from somebody who sends back what we sent: both sides count from numbers at
// random, which do not meet.
func (s *Session) answerProbe(now time.Time, sa *isakmpSA, n *isakmp.Notify, d Datagram, out *Out) {
	seq, ok := sa.sequence(n)
	ours := sa.dpdBegun && seq > sa.dpdFirst && seq <= sa.dpdSent
	if !ok || ours || sa.dpdSeen != 0 && seq <= sa.dpdSeen {
		return
	}
	s.heard(now)
	if sa.dpdSeen != 0 {
		s.follow(d.Remote, out)
	}
	sa.dpdSeen = seq
	s.sendNotify(sa, sa.dpdNotify(isakmp.NotifyRUThereAck, seq), out)
}

// probeAnswered ends our asking.
func (s *Session) probeAnswered(now time.Time, sa *isakmpSA, n *isakmp.Notify, d Datagram, out *Out) {
	seq, ok := sa.sequence(n)
	if !ok || s.probe == nil || s.probe.sa != sa || seq < s.probe.first || seq > sa.dpdSent {
		return
	}
	s.probe = nil
	s.heard(now)
	s.follow(d.Remote, out)
}

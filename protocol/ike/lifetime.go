package ike

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// The defaults of Policy and ChildPolicy.
const (
	defaultFragmentSize = 1232 // 1280, IPv6's minimum, less IPv6 and UDP headers
	defaultHalfOpen     = 30 * time.Second
	defaultChildless    = time.Minute
	defaultDPD          = time.Minute
	defaultKeepalive    = 20 * time.Second
	defaultCookies      = 1000 // 100 half-open exchanges in ECP-256, or two in MODP-4096
	defaultFirst        = time.Second
	defaultMaxWait      = 64 * time.Second
	defaultTries        = 7
)

var (
	defaultIKELifetime   = Lifetime{Soft: 4 * time.Hour, Hard: 5 * time.Hour}
	defaultChildLifetime = Lifetime{Soft: 50 * time.Minute, Hard: time.Hour}
)

func or[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

func (p *Policy) fragmentSize() int        { return or(p.FragmentSize, defaultFragmentSize) }
func (p *Policy) halfOpen() time.Duration  { return or(p.HalfOpen, defaultHalfOpen) }
func (p *Policy) childless() time.Duration { return or(p.Childless, defaultChildless) }
func (p *Policy) dpd() time.Duration       { return or(p.DPD, defaultDPD) }
func (p *Policy) keepalive() time.Duration { return or(p.Keepalive, defaultKeepalive) }
func (p *Policy) cookies() int             { return or(p.CookieThreshold, defaultCookies) }

func (p *Policy) retransmit() Retransmit {
	r := p.Retransmit
	r.First, r.Max, r.Tries = or(r.First, defaultFirst), or(r.Max, defaultMaxWait), or(r.Tries, defaultTries)
	return r
}

// span is when an SA made now is rekeyed and when it ends.
func (s *Session) span(now time.Time, l, otherwise Lifetime) (soft, hard time.Time) {
	if l.Soft == 0 && l.Hard == 0 {
		l = otherwise
	}
	if l.Jitter == 0 {
		l.Jitter = l.Soft / 10
	}
	if l.Soft > 0 {
		soft = now.Add(l.Soft - s.jitter(l.Jitter))
	}
	if l.Hard > 0 {
		hard = now.Add(l.Hard)
	}
	return soft, hard
}

// jitter is a random duration under max.
func (s *Session) jitter(max time.Duration) time.Duration {
	if max <= 0 {
		return 0
	}
	var b [8]byte
	s.cfg.random(b[:])
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(max))
}

// heard notes a sign of life. Any authenticated message is one (trap 23).
func (s *Session) heard(now time.Time) {
	if now.After(s.lastHeard) {
		s.lastHeard = now
	}
}

// livenessDue tells whether the peer has been silent for so long that it has
// to be asked. ESP counts, as far as the data plane tells (RFC 7296, Section
// 2.4).
func (s *Session) livenessDue(now time.Time) bool {
	due := s.livenessAt()
	if s.phase != phaseUp || due.IsZero() || now.Before(due) {
		return false
	}
	if s.cfg.Heard != nil {
		for _, c := range s.children {
			if t := s.cfg.Heard(c.spiIn); t.After(s.lastHeard) {
				s.lastHeard = t
			}
		}
	}
	return !now.Before(s.livenessAt())
}

func (s *Session) livenessAt() time.Time {
	if s.cfg.Policy.dpd() < 0 || s.lastHeard.IsZero() {
		return time.Time{}
	}
	return s.lastHeard.Add(s.cfg.Policy.dpd())
}

// earliest keeps the nearest of the times that are set.
type earliest time.Time

func (e *earliest) add(t time.Time) {
	if !t.IsZero() && (time.Time(*e).IsZero() || t.Before(time.Time(*e))) {
		*e = earliest(t)
	}
}

// Deadline is when Timeout wants to be called next; zero = never.
func (s *Session) Deadline() time.Time {
	var e earliest
	if s.phase == phaseDead {
		return time.Time{}
	}
	e.add(s.limit)
	e.add(s.jobLimit)
	e.add(s.keepalive)
	e.add(s.authUntil)
	if !s.childless.IsZero() {
		e.add(s.childless.Add(s.cfg.Policy.childless()))
	}
	s.sa.deadline(&e)
	for _, sa := range s.old {
		sa.deadline(&e)
	}
	for _, c := range s.children {
		c.deadline(&e)
	}
	if s.phase == phaseUp && s.sa.pending == nil && s.then == nil {
		// While a request is out its retransmissions are the liveness check.
		e.add(s.livenessAt())
		s.deferred(&e)
	}
	return time.Time(e)
}

// deferred are wants that wait for their retry time in a free window.
func (s *Session) deferred(e *earliest) {
	if s.sa.wantRekey {
		e.add(s.sa.retryAt)
	}
	if len(s.creates) > 0 {
		e.add(s.createAt)
	}
	for _, c := range s.children {
		if c.want != wantNothing {
			e.add(c.ready())
		}
	}
}

func (sa *ikeSA) deadline(e *earliest) {
	if sa.pending != nil {
		e.add(sa.pending.next)
	}
	if sa.answer != nil {
		e.add(sa.forget)
	}
	if sa.parts != nil {
		e.add(sa.parts.since.Add(fragmentPatience))
	}
	e.add(sa.dropAt)
	if !sa.replaced {
		if !sa.wantRekey {
			e.add(sa.rekeyAt)
		}
		e.add(sa.expireAt)
	}
}

// Timeout does what is due at now.
func (s *Session) Timeout(now time.Time, out *Out) {
	if s.phase == phaseDead {
		return
	}
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case due(s.jobLimit):
		s.end(now, ClosedInternal, errors.New("ike: a job did not come back within a minute"), out)
	case due(s.limit):
		s.phaseOver(now, out)
	case due(s.sa.expireAt):
		s.sa.expireAt = time.Time{}
		s.close(now, ClosedExpired, 0, errors.New("ike: the IKE SA was not rekeyed in its hard lifetime"), out)
	}
	if s.phase == phaseDead {
		return
	}
	s.timeoutSAs(now, due, out)
	if s.phase == phaseDead {
		return
	}
	s.timeoutChildren(due, out)
	if due(s.keepalive) {
		s.sendKeepalive(now, out)
	}
	s.timeoutAuth(now, due, out)
	if !s.childless.IsZero() && due(s.childless.Add(s.cfg.Policy.childless())) {
		s.close(now, ClosedChildless, 0, errors.New("ike: there was no Child SA for too long"), out)
	}
	s.advance(now, out)
}

// phaseOver ends a phase that took too long.
func (s *Session) phaseOver(now time.Time, out *Out) {
	switch s.phase {
	case phaseRefused:
		s.end(now, ClosedRefused, s.closeErr, out)
	case phaseInit, phaseAuth:
		if s.role == Initiator && s.hs.refusal != nil {
			s.refused(now, *s.hs.refusal, out)
			s.end(now, ClosedRefused, s.closeErr, out)
			return
		}
		s.end(now, ClosedHalfOpen, errors.New("ike: the set-up was not finished in time"), out)
	case phaseClosing:
		s.end(now, s.closing, s.closeErr, out)
	}
}

// timeoutSAs retransmits, forgets and drops.
func (s *Session) timeoutSAs(now time.Time, due func(time.Time) bool, out *Out) {
	for _, sa := range append(slices.Clone(s.old), s.sa) {
		if sa.answer != nil && due(sa.forget) {
			sa.answer = nil
		}
		if sa.parts != nil && due(sa.parts.since.Add(fragmentPatience)) {
			sa.parts = nil
		}
		if !s.retransmit(now, sa, out) {
			s.unanswered(now, sa, out)
		} else if due(sa.dropAt) {
			s.dropSA(sa, out)
		}
		if s.phase == phaseDead {
			return
		}
	}
	if due(s.sa.rekeyAt) && s.phase == phaseUp {
		s.sa.wantRekey = true
	}
}

// unanswered: the peer did not answer any copy. On the current SA it is dead,
// an old SA is simply dropped.
func (s *Session) unanswered(now time.Time, sa *ikeSA, out *Out) {
	if sa != s.sa {
		s.dropSA(sa, out)
		return
	}
	switch ex := sa.pending.exchange.(type) {
	case *deleteIKE:
		s.end(now, s.closing, s.closeErr, out)
	case *initExchange:
		ex.unanswered(s, now, out)
	default:
		s.end(now, ClosedTimeout, errors.New("ike: the peer does not answer any more"), out)
	}
}

// timeoutChildren notices what is due; advance does it.
func (s *Session) timeoutChildren(due func(time.Time) bool, out *Out) {
	for _, c := range slices.Clone(s.children) {
		switch {
		case due(c.dropAt):
			c.dropAt = time.Time{}
			if c.state == childLingering {
				s.forgetChild(c, "rekeyed", out)
			} else if c.want != wantDelete {
				c.want = wantDelete // the peer should have deleted it long ago
			}
		case due(c.expireAt):
			c.expireAt = time.Time{}
			s.childDown(c, "hard lifetime over", out)
			c.want = wantDelete
		case due(c.rekeyAt):
			c.rekeyAt = time.Time{}
			if c.state == childLive && c.want == wantNothing && s.mayRekey(c) {
				c.want = wantRekey
			}
		}
	}
}

// noteChildless keeps the time since when there is no Child SA in force.
func (s *Session) noteChildless(now time.Time) {
	switch live := slices.ContainsFunc(s.children, func(c *child) bool { return c.state == childLive }); {
	case live || s.phase != phaseUp:
		s.childless = time.Time{}
	case s.childless.IsZero():
		s.childless = now
	}
}

// timeoutAuth ends an authentication lifetime (RFC 4478): the responder
// closes, the initiator was warned long before.
func (s *Session) timeoutAuth(now time.Time, due func(time.Time) bool, out *Out) {
	if !due(s.authUntil) {
		return
	}
	s.authUntil = time.Time{}
	if s.role == Responder {
		s.close(now, ClosedExpired, 0, errors.New("ike: the authentication lifetime is over"), out)
		return
	}
	out.Events = append(out.Events, ReauthDue{Before: s.reauthBefore})
}

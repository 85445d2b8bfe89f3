package ikev1

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"sallyport/protocol/suite"
)

// Defaults of Policy.
const (
	defaultLifetime1    = 8 * time.Hour
	defaultLifetime2    = time.Hour
	defaultHalfOpen     = 30 * time.Second
	defaultChildless    = time.Minute
	defaultDPD          = time.Minute
	defaultKeepalive    = 20 * time.Second
	defaultFragmentSize = 1232
	defaultFirst        = time.Second
	defaultMaxWait      = 32 * time.Second
	defaultTries        = 6
)

// minLifetime is the shortest lifetime that a peer gets: with less it would have
// us make keys all day.
const minLifetime = 30 * time.Second

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (p *Policy) lifetime1() time.Duration { return or(p.Lifetime1, defaultLifetime1) }
func (p *Policy) lifetime2() time.Duration { return or(p.Lifetime2, defaultLifetime2) }
func (p *Policy) halfOpen() time.Duration  { return or(p.HalfOpen, defaultHalfOpen) }
func (p *Policy) childless() time.Duration { return or(p.Childless, defaultChildless) }
func (p *Policy) dpd() time.Duration       { return or(p.DPD, defaultDPD) }
func (p *Policy) keepalive() time.Duration { return or(p.Keepalive, defaultKeepalive) }
func (p *Policy) fragmentSize() int        { return max(512, or(p.FragmentSize, defaultFragmentSize)) }

func (p *Policy) retransmit() Retransmit {
	r := p.Retransmit
	r.First, r.Max, r.Tries = or(r.First, defaultFirst), or(r.Max, defaultMaxWait), or(r.Tries, defaultTries)
	return r
}

func (p *Policy) methods() []suite.AuthMethod1 {
	if len(p.Methods) > 0 {
		return p.Methods
	}
	return []suite.AuthMethod1{suite.AuthRSA1, suite.AuthECDSA256, suite.AuthECDSA384, suite.AuthECDSA521}
}

// lesser is the lifetime of both sides: the shorter one, and no quarrel about a
// longer one.
func lesser(ours, peers time.Duration) time.Duration {
	if peers == 0 {
		return ours
	}
	return min(ours, max(peers, minLifetime))
}

// span is when an SA made now is rekeyed and when it ends. Who began it leads,
// with some jitter; the other side steps in only shortly before the end.
func (s *Session) span(now time.Time, life time.Duration, lead bool) (soft, hard time.Time) {
	early := life / 20
	if lead {
		early = life/5 + s.jitter(life/10)
	}
	return now.Add(life - early), now.Add(life)
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

// heard notes a sign of life (trap 23).
func (s *Session) heard(now time.Time) {
	if now.After(s.lastHeard) {
		s.lastHeard = now
	}
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
	if !s.childless.IsZero() {
		e.add(s.childless.Add(s.cfg.Policy.childless()))
	}
	if s.parts != nil {
		e.add(s.parts.since.Add(fragmentPatience))
	}
	for _, sa := range s.isakmpSAs() {
		sa.deadline(&e)
	}
	for _, q := range s.quicks {
		q.deadline(&e)
	}
	for _, c := range s.children {
		c.deadline(&e)
	}
	if s.phase == phaseUp && s.then == nil {
		e.add(s.probeAt())
		e.add(s.wantedAt())
	}
	return time.Time(e)
}

// wantedAt is when an exchange that is due and was put off may begin.
func (s *Session) wantedAt() time.Time {
	var e earliest
	if s.mainWanted() {
		e.add(s.retryMain)
	}
	if s.quickWanted() != nil || s.firstWanted() {
		e.add(s.retryQuick)
	}
	return time.Time(e)
}

func (sa *isakmpSA) deadline(e *earliest) {
	if sa.pending != nil {
		e.add(sa.pending.next)
	}
	if sa.answer != nil {
		e.add(sa.forget)
	}
	if sa.hs != nil {
		e.add(sa.hs.until)
		e.add(sa.hs.believe)
	} else {
		e.add(sa.rekeyAt)
		e.add(sa.expireAt)
	}
	e.add(sa.dropAt)
}

// Timeout does what is due at now.
func (s *Session) Timeout(now time.Time, out *Out) {
	if s.phase == phaseDead {
		return
	}
	switch {
	case due(now, s.jobLimit):
		s.end(now, ClosedInternal, errors.New("ikev1: a job did not come back within a minute"), out)
	case due(now, s.limit):
		s.halfOpenOver(now, out)
	}
	if s.parts != nil && due(now, s.parts.since.Add(fragmentPatience)) {
		s.parts = nil
	}
	s.timeoutISAKMP(now, out)
	s.timeoutQuicks(now, out)
	s.timeoutChildren(now, out)
	if s.phase == phaseDead {
		return
	}
	if due(now, s.keepalive) {
		s.sendKeepalive(now, out)
	}
	if !s.childless.IsZero() && due(now, s.childless.Add(s.cfg.Policy.childless())) {
		s.close(now, ClosedChildless, errors.New("ikev1: there was no ESP SA for too long"), "", out)
	}
	s.advance(now, out)
}

func due(now, t time.Time) bool { return !t.IsZero() && !now.Before(t) }

// halfOpenOver ends a set-up that took too long, with what was seen to be wrong.
func (s *Session) halfOpenOver(now time.Time, out *Out) {
	err := errors.New("ikev1: the set-up was not finished in time")
	if s.sa != nil && s.sa.hs != nil && s.sa.hs.trouble != nil {
		err = s.sa.hs.trouble
	}
	s.end(now, ClosedHalfOpen, err, out)
}

// timeoutISAKMP sends copies, forgets answers, and ends what is over.
func (s *Session) timeoutISAKMP(now time.Time, out *Out) {
	for _, sa := range s.isakmpSAs() {
		if s.phase == phaseDead {
			return
		}
		if sa.answer != nil && due(now, sa.forget) {
			sa.answer = nil
		}
		switch {
		case sa.hs != nil && (due(now, sa.hs.until) || due(now, sa.hs.believe)):
			s.mainOver(now, sa, out)
		case sa.pending != nil && !s.again(now, sa.pending, out):
			s.mainOver(now, sa, out)
		case sa.hs == nil && (due(now, sa.expireAt) || due(now, sa.dropAt)):
			s.retire(now, sa, out)
			if s.sa == nil && len(s.children) == 0 {
				s.end(now, ClosedExpired, nil, out)
			}
		case sa.hs == nil && due(now, sa.rekeyAt):
			sa.rekeyAt = time.Time{}
			s.wantMain = s.wantMain || s.role == Initiator && sa == s.sa // else the peer leads
		}
	}
}

// retire deletes an ISAKMP SA and tells the peer. ESP SAs live on.
func (s *Session) retire(now time.Time, sa *isakmpSA, out *Out) {
	s.sendDeleteISAKMP(sa, out)
	s.dropISAKMP(now, sa, out)
}

// again sends the next copy that is due; false: the plan is at its end.
func (s *Session) again(now time.Time, r *request, out *Out) bool {
	if now.Before(r.next) {
		return true
	}
	plan := s.cfg.Policy.retransmit()
	if r.tries >= plan.Tries {
		return false
	}
	r.tries++
	r.wait = min(2*r.wait, plan.Max)
	r.next = now.Add(r.wait)
	sendTo(s.path, r.datagrams, out)
	return true
}

// mainOver: our main mode took too long, or was refused by somebody unproven
// and nothing better came.
func (s *Session) mainOver(now time.Time, sa *isakmpSA, out *Out) {
	switch {
	case sa.hs.refusal != nil:
		s.refuseMain(now, sa, *sa.hs.refusal, out)
	case sa.hs.trouble != nil:
		s.failMain(now, sa, ClosedHalfOpen, sa.hs.trouble, out)
	case sa.hs.stage == awaitSA:
		s.failMain(now, sa, ClosedTimeout, errNoAnswer(s.path.remote), out)
	default:
		s.failMain(now, sa, ClosedTimeout, errors.New("ikev1: main mode was not finished: the peer fell silent after "+sa.hs.stage.String()), out)
	}
}

// timeoutChildren notices what is due; advance does it.
func (s *Session) timeoutChildren(now time.Time, out *Out) {
	for _, c := range slices.Clone(s.children) {
		switch {
		case due(now, c.dropAt):
			s.deleteChild(now, c, "rekeyed", out)
		case due(now, c.expireAt):
			s.deleteChild(now, c, "lifetime over", out)
		case due(now, c.rekeyAt):
			c.rekeyAt = time.Time{}
			// Only what is in use is replaced; what a crossing rekey left over
			// just ends.
			c.due = c.state == childLive && c.spiIn == s.outbound
		}
		if due(now, c.confirmBy) && s.childIn(c.spiIn) == c {
			s.confirmed(now, c, out) // CONNECTED was lost
		}
	}
}

// noteChildless keeps the time since when there is no ESP SA, and ends a session
// that has nothing left at all.
func (s *Session) noteChildless(now time.Time) {
	switch {
	case len(s.children) > 0:
		s.childless = time.Time{}
	case s.childless.IsZero():
		s.childless = now
	}
}

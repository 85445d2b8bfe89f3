package gateway

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"sallyport/protocol/eap"
)

// Bounds of guessing. The pauses belong to a user and a source together: who
// guesses at one user from a place of his own does not lock that user out
// elsewhere, and who guesses at many from one place is held by each.
const (
	freeTries    = 5               // people mistype, and phones send an old password a few times
	firstPause   = 2 * time.Second // doubling with every further failure
	longestPause = 5 * time.Minute
	forgetAfter  = 30 * time.Minute // without a failure
	maxPauses    = 16384            // some 2 MiB; above it the one longest without failure is forgotten
)

// pauses remembers who has tried in vain. A try counts when it begins, and no
// longer once it has succeeded: else a thousand conversations at one time would
// be a thousand guesses before the first is found wrong. The zero value is
// ready. It is safe for concurrent use.
type pauses struct {
	mu  sync.Mutex
	all map[pauseKey]*pause
}

type pauseKey struct {
	user   string
	source netip.Prefix
}

type pause struct {
	failures int
	last     time.Time
	until    time.Time
}

// sourceOf is where a client comes from: an IPv4 address, or an IPv6 /64, which
// is one customer.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// mayTry refuses a try during a pause, and counts any other.
func (p *pauses) mayTry(user string, from netip.Addr, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pauseKey{user, sourceOf(from)}
	e := p.all[key]
	if e == nil || !now.Before(e.until) {
		p.count(key, now)
		return nil
	}
	return &eap.Refusal{
		Reason: eap.ReasonLimit,
		Text:   fmt.Sprintf("%d wrong passwords for %q came from %v: it waits until %s", e.failures, user, sourceOf(from), e.until.UTC().Format(time.TimeOnly)),
		Hint:   "if it is the user: correct the password on the client and wait; if not, somebody is guessing",
	}
}

// succeeded takes back what mayTry has counted. The wrong ones before it stay:
// the guesser may sit behind the same address as the user.
func (p *pauses) succeeded(user string, from netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.all[pauseKey{user, sourceOf(from)}]; e != nil && e.failures > 0 {
		e.failures--
		e.until = time.Time{}
	}
}

func (p *pauses) count(key pauseKey, now time.Time) {
	e := p.all[key]
	if e == nil || now.Sub(e.last) > forgetAfter {
		if e == nil && len(p.all) >= maxPauses {
			p.forgetOne()
		}
		if p.all == nil {
			p.all = make(map[pauseKey]*pause)
		}
		e = new(pause)
		p.all[key] = e
	}
	e.failures++
	e.last = now
	if over := e.failures - freeTries; over >= 0 {
		e.until = now.Add(min(firstPause<<min(over, 10), longestPause))
	}
}

// forgetOne makes room: of a few that chance picks, the one without failure for
// longest. Looking at all would let a flood cost us a search for each.
func (p *pauses) forgetOne() {
	const looked = 16
	var oldest pauseKey
	n := 0
	for key, e := range p.all { // Go's order is random
		if n == 0 || e.last.Before(p.all[oldest].last) {
			oldest = key
		}
		if n++; n == looked {
			break
		}
	}
	delete(p.all, oldest)
}

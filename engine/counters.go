package engine

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
)

const (
	closeReasons = int(ike.ClosedInternal) + 1
	dropReasons  = int(ike.DropPrefix) + 1
)

// counters are what the engine counts instead of logging: nothing a stranger
// sends is worth a log line.
type counters struct {
	connects       atomic.Uint64
	established    atomic.Uint64
	refused        atomic.Uint64
	closed         [closeReasons]atomic.Uint64
	drops          [dropReasons]atomic.Uint64
	queueFull      atomic.Uint64
	halfOpenFull   atomic.Uint64
	sessionsFull   atomic.Uint64
	workersBusy    atomic.Uint64
	repliesLimited atomic.Uint64
	sendErrors     atomic.Uint64
	planeErrors    atomic.Uint64
	panics         atomic.Uint64
}

func (c *counters) drop(r ike.DropReason) { c.drops[min(int(r), dropReasons-1)].Add(1) }

// Stats are the engine's counters since its start, and its size now.
type Stats struct {
	Sessions    int    `json:"sessions"` // half-open ones too
	HalfOpen    int    `json:"half_open"`
	Established uint64 `json:"established"` // ever
	Refused     uint64 `json:"refused"`
	Panics      uint64 `json:"panics"`

	// Closed counts the ends of sessions by reason; only reasons that occurred.
	Closed map[string]uint64 `json:"closed,omitempty"`
	// Dropped counts datagrams by reason; only reasons that occurred.
	Dropped map[string]uint64 `json:"dropped,omitempty"`
	// Errors counts what failed on our side; only kinds that occurred.
	Errors map[string]uint64 `json:"errors,omitempty"`
}

// Stats reads the counters.
func (e *Engine) Stats() Stats {
	c := &e.counters
	s := Stats{
		Sessions: int(e.sessions.Load()), HalfOpen: e.halfOpen.count(),
		Established: c.established.Load(), Refused: c.refused.Load(), Panics: c.panics.Load(),
		Closed: make(map[string]uint64), Dropped: make(map[string]uint64), Errors: make(map[string]uint64),
	}
	note := func(m map[string]uint64, name string, n uint64) {
		if n > 0 {
			m[name] = n
		}
	}
	for r, name := range closeNames {
		note(s.Closed, name, c.closed[r].Load())
	}
	for r, name := range dropNames {
		note(s.Dropped, name, c.drops[r].Load())
	}
	note(s.Dropped, "queue full", c.queueFull.Load())
	note(s.Dropped, "too many half-open", c.halfOpenFull.Load())
	note(s.Dropped, "too many sessions", c.sessionsFull.Load())
	note(s.Dropped, "too many set-ups waiting", c.workersBusy.Load())
	note(s.Dropped, "answer over the rate limit", c.repliesLimited.Load())
	note(s.Errors, "sending", c.sendErrors.Load())
	note(s.Errors, "data plane", c.planeErrors.Load())
	return s
}

var dropNames = map[ike.DropReason]string{
	ike.DropMalformed:  "malformed",
	ike.DropVersion1:   "IKE version 1",
	ike.DropVersion:    "IKE version above 2",
	ike.DropUnknownSPI: "unknown SPI",
	ike.DropNotRequest: "not a first request",
	ike.DropCookie:     "no cookie yet",
	ike.DropPrefix:     "too many from one prefix",
}

// panicLog counts panics and logs each place once, with its stack: one peer
// that knows how to cause one must not fill the disk.
type panicLog struct {
	mu     sync.Mutex
	places map[uintptr]struct{}
}

// maxPanicPlaces bounds the memory of panicLog; a program has few such places.
const maxPanicPlaces = 64

// note counts a panic and makes an error of it. It must be called from the
// deferred function that recovered.
func (p *panicLog) note(e *Engine, value any) error {
	e.counters.panics.Add(1)
	err := fmt.Errorf("engine: panic: %v", value)
	place := panicPlace()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.places[place]; known || len(p.places) >= maxPanicPlaces {
		return err
	}
	if p.places == nil {
		p.places = make(map[uintptr]struct{})
	}
	p.places[place] = struct{}{}
	e.log.Error("a panic ended one session; please report it", "err", err, "stack", string(debug.Stack()))
	return err
}

// panicPlace is the program counter that panicked: the first frame after the
// runtime's own on the way down from recover.
func panicPlace() uintptr {
	var pcs [16]uintptr
	n := runtime.Callers(3, pcs[:])
	frames := runtime.CallersFrames(pcs[:n])
	for {
		f, more := frames.Next()
		if len(f.Function) < 8 || f.Function[:8] != "runtime." {
			return f.PC
		}
		if !more {
			return 0
		}
	}
}

// contained runs a job and turns a panic into its error.
func (e *Engine) contained(run func() (any, error)) (value any, err error) {
	defer func() {
		if p := recover(); p != nil {
			value, err = nil, e.panics.note(e, p)
		}
	}()
	return run()
}

// limiter bounds answers to strangers: so many per second in all and a few for
// each source, in a table of fixed size where sources may share a place.
type limiter struct {
	mu     sync.Mutex
	second int64
	total  int
	cells  [1024]uint8
}

// Answers per second to those who have proved nothing. A peer needs one or two.
const (
	maxReplies          = 100_000 // 10 MB/s at 100 octets each, so that spoofed requests do not starve real ones
	maxRepliesPerSource = 200     // an office behind one NAT after a power cut; 20 KB/s at a victim otherwise
)

// allow is called once per answer.
func (l *limiter) allow(now time.Time, a netip.Addr) bool {
	cell := &l.cells[cellOf(source(a))]
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := now.Unix(); s != l.second {
		l.second, l.total = s, 0
		clear(l.cells[:])
	}
	if l.total >= maxReplies || *cell >= maxRepliesPerSource {
		return false
	}
	l.total++
	*cell++
	return true
}

// cellOf is a plain hash: who can choose addresses that collide can as well
// use one address.
func cellOf(p netip.Prefix) int {
	h := uint32(2166136261)
	for _, b := range p.Addr().As16() {
		h = (h ^ uint32(b)) * 16777619
	}
	return int(h % 1024)
}

func changeName(c dataplane.Change) slog.Value {
	switch c := c.(type) {
	case dataplane.Add:
		return slog.StringValue(fmt.Sprintf("add %08x", c.SA.SPIIn))
	case dataplane.UseOutbound:
		return slog.StringValue(fmt.Sprintf("use %08x outbound", c.SPIIn))
	case dataplane.Move:
		return slog.StringValue(fmt.Sprintf("move %08x", c.SPIIn))
	case dataplane.Remove:
		return slog.StringValue(fmt.Sprintf("remove %08x", c.SPIIn))
	}
	return slog.StringValue("unknown")
}

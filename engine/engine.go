package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/bits"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

// Backend answers what the machines ask. Authenticate, Sign and Lease run on
// workers, concurrently, and may take their time. Event runs on the event loop
// of the session and must not block; everything a session says comes in order,
// Closed last.
type Backend interface {
	Authenticate(*ike.Authenticate) (*ike.Admission, error)
	Sign(*ike.Sign) (ike.Signed, error)
	Lease(*ike.Lease) (ike.Leased, error)
	Event(*Session, ike.Event)
}

// Options are what an engine is made from. Backend is required.
type Options struct {
	Backend Backend
	Logger  *slog.Logger // nil: nothing is logged
	Shards  int          // 0: GOMAXPROCS
	Workers int          // for jobs; 0: GOMAXPROCS-1, at least one
	Limits  Limits
	// Shape may change a Child SA right before the plane gets it, such as by
	// the [dataplane.Rate] of its session; nil changes nothing. It runs on the
	// event loop of the session, after its Established event, and must not
	// block. A rekey brings a new Child SA, which is shaped again.
	Shape func(*Session, *dataplane.ChildSA)
	// ShapeCall does the same for the L2TP call of a session of the legacy zone.
	ShapeCall func(*Session, *dataplane.Call)
}

// Limits bound what peers can make the engine keep. Zero means the default.
type Limits struct {
	Sessions  int // established and half-open together; default 200,000
	HalfOpen  int // see maxHalfOpen
	PerSource int // see maxHalfOpenPerSource
}

// Profile is what new sessions are made with. Its values are shared and must
// not change.
type Profile struct {
	Policy      *ike.Policy
	Authorities []byte // trust anchors named in CERTREQ (RFC 7296, Section 3.7)
	// NewEAP begins an EAP conversation, such as by [EAPServer.New]; nil: no EAP.
	NewEAP func() ike.Conversation
}

// Engine runs sessions. All methods are safe for concurrent use.
type Engine struct {
	backend   Backend
	shape     func(*Session, *dataplane.ChildSA) // nil: see Options
	shapeCall func(*Session, *dataplane.Call)    // likewise
	plane     dataplane.Plane
	control   dataplane.Control
	log       *slog.Logger
	limits    atomic.Pointer[Limits]
	start     time.Time
	started   atomic.Bool

	shards    []*shard
	shardBits int
	seed      maphash.Seed
	workers   *workers
	fronts    []front
	halfOpen  halfOpen
	replies   limiter
	responder atomic.Pointer[Profile] // nil: first requests are dropped
	legacy    atomic.Pointer[Legacy]  // nil: those of IKE version 1 are
	sessions  atomic.Int64
	counters  counters
	panics    panicLog
	loops     sync.WaitGroup
	closing   atomic.Bool
}

// maxSessions keeps a gateway without configured limit inside 2 GB.
const maxSessions = 200_000

// New makes an engine. A plane may be given its [Engine.Upcalls] at once; what
// they bring before [Engine.Start] is dropped.
func New(o Options) *Engine {
	e := &Engine{backend: o.Backend, shape: o.Shape, shapeCall: o.ShapeCall, log: o.Logger, start: time.Now(), seed: maphash.MakeSeed()}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.SetLimits(o.Limits)
	n := o.Shards
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	if n = min(n, maxShards); o.Workers <= 0 {
		o.Workers = processors()
	}
	e.shardBits = bits.Len(uint(n - 1))
	e.fronts = make([]front, n)
	e.workers = newWorkers(o.Workers, e.work)
	for i := range n {
		e.shards = append(e.shards, newShard(e, i))
	}
	return e
}

// Start runs the event loops on a plane.
func (e *Engine) Start(plane dataplane.Plane, control dataplane.Control) {
	e.plane, e.control = plane, control
	for _, s := range e.shards {
		e.loops.Go(s.loop)
	}
	e.started.Store(true)
}

// SetLimits changes the bounds for what comes from now on.
func (e *Engine) SetLimits(l Limits) {
	l.setDefaults()
	e.limits.Store(&l)
}

// maxShards leaves 26 bits of an ESP SPI to each shard.
const maxShards = 64

func (l *Limits) setDefaults() {
	if l.Sessions <= 0 {
		l.Sessions = maxSessions
	}
	if l.HalfOpen <= 0 {
		l.HalfOpen = maxHalfOpen
	}
	if l.PerSource <= 0 {
		l.PerSource = maxHalfOpenPerSource
	}
}

// Respond sets what new responder sessions are made with, from now on; nil
// stops accepting. Sessions that live keep what they were made with.
func (e *Engine) Respond(p *Profile) {
	for i := range e.fronts {
		e.fronts[i].reset(p)
	}
	e.responder.Store(p)
}

// RespondLegacy sets who makes new responder sessions of IKE version 1, from
// now on; nil stops accepting them, which is the default.
func (e *Engine) RespondLegacy(l Legacy) {
	if l == nil {
		e.legacy.Store(nil)
		return
	}
	e.legacy.Store(&l)
}

// Upcalls are what the plane must call.
func (e *Engine) Upcalls() dataplane.Upcalls {
	return dataplane.Upcalls{IKE: e.receive, Event: e.planeEvent, Inner: e.inner}
}

// Connect starts a session as initiator. What becomes of it comes as events.
func (e *Engine) Connect(p *Profile, c ike.Connect) (*Session, error) {
	if e.closing.Load() {
		return nil, errClosed
	}
	sh := e.shards[maphash.Comparable(e.seed, e.counters.connects.Add(1))%uint64(len(e.shards))]
	s := &Session{shard: sh, index: notInHeap}
	if !sh.inbox.put(item{class: classOwed, session: s, what: connect{p, c}}) {
		return nil, errClosed
	}
	return s, nil
}

var errClosed = errors.New("engine: closed")

// Each shows every session, half-open ones too, to f, on their event loops one
// after the other. f must be quick and must not keep machine.
func (e *Engine) Each(ctx context.Context, f func(s *Session, machine Machine)) error {
	for _, sh := range e.shards {
		err := sh.do(ctx, func() {
			for s := range sh.all {
				f(s, s.machine)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close ends every session, so that its peer gets a DELETE, waits for the
// answers until ctx ends, and stops the loops.
func (e *Engine) Close(ctx context.Context) error {
	if e.closing.Swap(true) {
		return nil
	}
	e.Respond(nil)
	e.RespondLegacy(nil)
	for _, sh := range e.shards {
		sh.inbox.put(item{class: classOwed, what: closeAll{}})
	}
	err := e.drained(ctx)
	for _, sh := range e.shards {
		close(sh.stop)
	}
	e.loops.Wait()
	e.workers.close()
	return err
}

// drained waits until no session is left.
func (e *Engine) drained(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for e.sessions.Load() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("engine: %d peers did not answer the DELETE: %w", e.sessions.Load(), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// Session is one peer, as the engine keeps it. Its fields belong to its shard.
type Session struct {
	// Data is the backend's own; it may be used in [Backend.Event] and
	// [Options.Shape] only.
	Data any

	machine  Machine
	shard    *shard
	half     *half // nil once established
	deadline instant
	index    int32    // in the shard's timer heap
	spis     int16    // IKE SPIs routed here
	joined   string   // its key in the shard's table of peers; empty: none
	heir     *Session // that has absorbed it; nil: none
	gone     bool
}

// half is what is needed only until a responder's peer has proved itself.
type half struct {
	key  initKey
	addr netip.Addr
	cost int
}

// initKey finds the session of a retransmitted IKE_SA_INIT request, which has
// no SPI of ours yet (RFC 7296, Section 2.1).
type initKey struct {
	spi    ikemsg.SPI
	remote netip.AddrPort
}

// Do gives the session a command; nothing happens if it is over.
func (s *Session) Do(c ike.Command) {
	s.shard.inbox.put(item{class: classOwed, session: s, what: c})
}

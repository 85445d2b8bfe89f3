package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// shard is one event loop: the only owner of its sessions, of the tables that
// find them and of their timers.
type shard struct {
	engine *Engine
	number uint64
	inbox  *mailbox
	stop   chan struct{}

	all     map[*Session]struct{}
	bySPI   map[ikemsg.SPI]*Session
	byChild map[uint32]*Session // by inbound ESP SPI
	byInit  map[initKey]*Session
	peers   map[string]*Session // see Join
	timers  timers
	due     []*Session // storage of expire
	out     ike.Out
	configs map[*Profile]*ike.Config
	owed    []func() // to be done after the step under way
}

// What a shard may find in an item besides an ike.Command, an ike.Result, an
// ike.Datagram, a dataplane.Event and a func().
type (
	initial struct { // an accepted first request
		datagram ike.Datagram
		profile  *Profile
		legacy   Legacy // in place of profile: version 1
		half     *half
	}
	connect struct {
		profile *Profile
		connect ike.Connect
	}
	closeAll struct{}
)

func newShard(e *Engine, number int) *shard {
	return &shard{
		engine: e, number: uint64(number), inbox: newMailbox(), stop: make(chan struct{}),
		all: make(map[*Session]struct{}), bySPI: make(map[ikemsg.SPI]*Session),
		byChild: make(map[uint32]*Session), byInit: make(map[initKey]*Session), peers: make(map[string]*Session),
		configs: make(map[*Profile]*ike.Config),
	}
}

// loop runs until the engine closes.
func (sh *shard) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var batch []item
	for {
		select {
		case <-sh.stop:
			sh.abandon()
			return
		case <-sh.inbox.wake:
		case <-timer.C:
		}
		batch = sh.inbox.take(batch)
		for i := range batch {
			sh.handle(&batch[i])
		}
		clear(batch)
		sh.expire()
		sh.wind(timer)
	}
}

// wind sets the timer to the earliest deadline.
func (sh *shard) wind(timer *time.Timer) {
	next := time.Hour
	if s, ok := sh.timers.next(); ok {
		next = max(0, time.Until(sh.engine.start.Add(time.Duration(s.deadline))))
	}
	timer.Reset(next)
}

// expire runs what is due, each session once per turn.
func (sh *shard) expire() {
	now := time.Now()
	at := since(sh.engine.start, now)
	for {
		s, ok := sh.timers.next()
		if !ok || s.deadline > at {
			break
		}
		sh.timers.remove(s)
		sh.due = append(sh.due, s)
	}
	for _, s := range sh.due {
		if !s.gone {
			sh.step(s, func() { s.machine.Timeout(now, &sh.out) })
		}
	}
	clear(sh.due)
	sh.due = sh.due[:0]
}

// handle carries out one item.
func (sh *shard) handle(it *item) {
	now := time.Now()
	s := it.session
	switch what := it.what.(type) {
	case ike.Datagram:
		sh.datagram(now, what)
	case initial:
		sh.accept(now, what)
	case connect:
		sh.initiate(now, s, what)
	case ike.Result:
		sh.result(now, s, what)
	case ike.Command:
		if !s.gone {
			sh.step(s, func() { s.machine.Do(now, what, &sh.out) })
		}
	case dataplane.Event:
		sh.planeEvent(now, what)
	case InnerMessage:
		if s, ok := sh.byChild[what.SPIIn]; ok {
			sh.step(s, func() { s.machine.Do(now, ike.Extra{Value: what}, &sh.out) })
		}
	case closeAll:
		for s := range sh.all {
			sh.step(s, func() { s.machine.Do(now, ike.CloseSession{Reason: "the gateway shuts down"}, &sh.out) })
		}
	case func():
		what()
	}
}

// datagram goes to the session of the SPI that the peer sent to us.
func (sh *shard) datagram(now time.Time, d ike.Datagram) {
	h, err := ikemsg.ParseHeader(d.Data)
	if err != nil {
		return // the front has parsed it already
	}
	s, ok := sh.bySPI[ourSPI(h)]
	if !ok {
		sh.engine.unknownSPI(now, h, d)
		return
	}
	sh.step(s, func() { s.machine.Receive(now, d, &sh.out) })
}

// accept makes a session for a first request, or hands the request to the
// session that its first copy made.
func (sh *shard) accept(now time.Time, in initial) {
	if s, ok := sh.byInit[in.half.key]; ok {
		sh.engine.halfOpen.end(in.half)
		sh.step(s, func() { s.machine.Receive(now, in.datagram, &sh.out) })
		return
	}
	s := &Session{shard: sh, index: notInHeap, half: in.half}
	sh.byInit[in.half.key] = s
	sh.add(s)
	sh.step(s, func() { s.machine = sh.responder(now, in) })
}

func (sh *shard) responder(now time.Time, in initial) Machine {
	if in.legacy != nil {
		return in.legacy.New(IDs{sh.newSPI, sh.newChildSPI, sh.heard}, now, in.datagram, &sh.out)
	}
	return ike.NewResponder(sh.config(in.profile), now, in.datagram, &sh.out)
}

func (sh *shard) initiate(now time.Time, s *Session, c connect) {
	sh.add(s)
	sh.step(s, func() { s.machine = ike.NewInitiator(sh.config(c.profile), c.connect, now, &sh.out) })
}

func (sh *shard) add(s *Session) {
	sh.all[s] = struct{}{}
	sh.engine.sessions.Add(1)
}

// result is the answer to a job, for a session that may be over by now.
func (sh *shard) result(now time.Time, s *Session, r ike.Result) {
	for s.heir != nil {
		s = s.heir
	}
	if !s.gone {
		sh.step(s, func() { s.machine.Done(now, r, &sh.out) })
	}
}

func (sh *shard) planeEvent(now time.Time, e dataplane.Event) {
	s, ok := sh.byChild[e.SPIIn]
	if !ok {
		return // removed while the event was on its way
	}
	c := ike.PlaneEvent{Kind: ike.PlaneKind(e.Kind), SPIIn: e.SPIIn, Remote: e.Remote}
	sh.step(s, func() { s.machine.Do(now, c, &sh.out) })
}

// step runs one machine call and everything it leads to: sends, events, cheap
// jobs. It is the only place where machines run, and no panic gets past it.
func (sh *shard) step(s *Session, call func()) {
	err := sh.contain(s, call)
	switch {
	case err != nil:
		sh.kill(s, err)
	case s.gone:
	case s.machine == nil || s.machine.Dead():
		sh.drop(s)
	default:
		sh.wait(s)
	}
	for len(sh.owed) > 0 {
		next := sh.owed[0]
		sh.owed = sh.owed[1:]
		next()
	}
}

// wait sets the session's timer to its machine's deadline.
func (sh *shard) wait(s *Session) {
	sh.timers.set(s, max(since(sh.engine.start, s.machine.Deadline()), since(sh.engine.start, time.Now())+minWait))
}

// minWait keeps a machine whose deadline does not move on from spinning the loop.
const minWait = instant(time.Millisecond)

// contain turns a panic of the machine or of the backend's hook into an error.
func (sh *shard) contain(s *Session, call func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = sh.engine.panics.note(sh.engine, p)
		}
		sh.out.Reset()
	}()
	call()
	for sh.carryOut(s) {
	}
	return nil
}

// carryOut does what the machine put into out; true means that a job was done
// in place and the machine may have put more.
func (sh *shard) carryOut(s *Session) (again bool) {
	out := sh.out
	sh.out = ike.Out{}
	for _, ev := range out.Events {
		sh.event(s, ev)
	}
	for _, d := range out.Send {
		sh.engine.send(d)
	}
	for _, j := range out.Jobs {
		if !inline(j.Task) {
			sh.engine.submit(s, j)
			continue
		}
		value, err := sh.engine.contained(runner(sh.engine.backend, j.Task))
		s.machine.Done(time.Now(), ike.Result{ID: j.ID, Value: value, Err: err}, &sh.out)
		again = true
	}
	if !again {
		out.Reset()
		sh.out = out // keep the storage
	}
	return again
}

// event keeps the shard's tables and the plane in step with the machine, then
// tells the backend.
func (sh *shard) event(s *Session, ev ike.Event) {
	switch ev := ev.(type) {
	case ike.SPIAdded:
		if sh.bySPI[ev.SPI] != s {
			sh.bySPI[ev.SPI] = s
			s.spis++
		}
	case ike.SPIRemoved:
		if sh.bySPI[ev.SPI] == s {
			delete(sh.bySPI, ev.SPI)
			s.spis--
		}
	case ike.Established:
		sh.engine.counters.established.Add(1)
		sh.settled(s)
	case ike.ChildUp:
		sh.childUp(s, ev.Child)
	case ike.ChildOutbound:
		sh.apply(s, ev.SPIIn, dataplane.UseOutbound{SPIIn: ev.SPIIn})
	case ike.ChildDown:
		sh.engine.backend.Event(s, ev) // while the plane still has its counts
		delete(sh.byChild, ev.SPIIn)
		sh.apply(s, 0, dataplane.Remove{SPIIn: ev.SPIIn})
		return
	case ike.Moved:
		for _, spi := range ev.Children {
			sh.apply(s, spi, dataplane.Move{SPIIn: spi, Local: ev.Local, Remote: ev.Remote})
		}
	case ike.Extra:
		if !sh.extra(s, ev.Value) {
			return
		}
	case ike.Refused:
		sh.engine.counters.refused.Add(1)
	case ike.Closed:
		sh.engine.counters.closed[min(int(ev.Reason), closeReasons-1)].Add(1)
	}
	sh.engine.backend.Event(s, ev)
}

func (sh *shard) childUp(s *Session, c ike.Child) {
	sh.byChild[c.SPIIn] = s
	encap := dataplane.Raw
	if c.Encap {
		encap = dataplane.UDP
	}
	sa := dataplane.ChildSA{
		SPIIn: c.SPIIn, SPIOut: c.SPIOut, Suite: c.Suite, KeyIn: c.KeyIn, KeyOut: c.KeyOut,
		Local: c.Local, Remote: c.Remote, Encap: encap, TSLocal: c.TSLocal, TSRemote: c.TSRemote,
		Replay: window(c.Policy), Outbound: c.Outbound,
		Limits: dataplane.Limits{
			SoftBytes: c.Limits.SoftBytes, HardBytes: c.Limits.HardBytes,
			SoftPackets: c.Limits.SoftPackets, HardPackets: c.Limits.HardPackets, Expires: c.Expires,
		},
	}
	if shape := sh.engine.shape; shape != nil {
		shape(s, &sa)
	}
	sh.apply(s, c.SPIIn, dataplane.Add{SA: sa})
}

func window(p *ike.ChildPolicy) dataplane.Window {
	if p == nil {
		return dataplane.DefaultWindow
	}
	return dataplane.Window(p.Window)
}

// apply changes the plane. When the plane cannot, the Child SA is closed: a
// tunnel that both ends believe in and that carries nothing is worse.
func (sh *shard) apply(s *Session, spi uint32, c dataplane.Change) {
	err := sh.engine.plane.Apply(c)
	if err == nil {
		return
	}
	sh.engine.counters.planeErrors.Add(1)
	sh.engine.log.Error("data plane refused a change", "err", err, "change", changeName(c))
	if spi != 0 {
		s.Do(ike.DeleteChild{SPIIn: spi})
	}
}

// settled ends the half-open life of a responder's session.
func (sh *shard) settled(s *Session) {
	if s.half == nil {
		return
	}
	delete(sh.byInit, s.half.key)
	sh.engine.halfOpen.end(s.half)
	s.half = nil
}

// drop forgets a session that ended in order: its events have emptied the tables.
func (sh *shard) drop(s *Session) {
	if s.gone {
		return
	}
	s.gone = true
	sh.settled(s)
	sh.timers.remove(s)
	if s.spis > 0 {
		sh.forgetSPIs(s)
	}
	delete(sh.all, s)
	if sh.peers[s.joined] == s {
		delete(sh.peers, s.joined)
	}
	if s.machine != nil {
		s.machine.Release()
	}
	s.machine = nil
	sh.engine.sessions.Add(-1)
}

// forgetSPIs walks the whole table: only for sessions that ended in a panic.
func (sh *shard) forgetSPIs(s *Session) {
	for spi, owner := range sh.bySPI {
		if owner == s {
			delete(sh.bySPI, spi)
		}
	}
}

// kill ends a session whose machine panicked: nothing it says is believed any
// more, its keys leave the plane, and the backend hears a last Closed.
func (sh *shard) kill(s *Session, err error) {
	if s.gone {
		return
	}
	for spi, owner := range sh.byChild {
		if owner == s {
			delete(sh.byChild, spi)
			sh.engine.plane.Apply(dataplane.Remove{SPIIn: spi})
		}
	}
	sh.drop(s)
	sh.contain(s, func() { sh.event(s, ike.Closed{Reason: ike.ClosedInternal, Err: err}) })
}

// abandon takes the keys out of the plane when the loop stops before every
// peer has answered.
func (sh *shard) abandon() {
	for _, it := range sh.inbox.close() {
		if f, ok := it.what.(func()); ok {
			f()
		}
	}
	for spi := range sh.byChild {
		sh.engine.plane.Apply(dataplane.Remove{SPIIn: spi})
	}
	clear(sh.byChild)
	clear(sh.bySPI)
	for s := range sh.all {
		s.spis = 0
		sh.kill(s, errClosed)
	}
}

// do runs f on the loop and waits for it.
func (sh *shard) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	if !sh.inbox.put(item{class: classOwed, what: func() { defer close(done); f() }}) {
		return errClosed
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// config is the machine's configuration for a profile, with SPIs of this shard.
// A reload brings a new profile; the few old ones are dropped by the next.
func (sh *shard) config(p *Profile) *ike.Config {
	if c, ok := sh.configs[p]; ok {
		return c
	}
	clear(sh.configs)
	c := &ike.Config{
		Policy: p.Policy, Authorities: p.Authorities, NewEAP: p.NewEAP,
		NewSPI: sh.newSPI, NewChildSPI: sh.newChildSPI, Heard: sh.heard,
	}
	sh.configs[p] = c
	return c
}

// newSPI draws an IKE SPI with this shard's number in the low bits.
func (sh *shard) newSPI() ikemsg.SPI {
	mask := uint64(1)<<sh.engine.shardBits - 1
	for {
		var b [8]byte
		rand.Read(b[:])
		spi := ikemsg.SPI(binary.BigEndian.Uint64(b[:])&^mask | sh.number)
		if _, used := sh.bySPI[spi]; !used && spi != 0 {
			return spi
		}
	}
}

// newChildSPI draws an ESP SPI likewise; 0 to 255 are reserved (RFC 4303,
// Section 2.1).
func (sh *shard) newChildSPI() uint32 {
	mask := uint32(1)<<sh.engine.shardBits - 1
	for {
		var b [4]byte
		rand.Read(b[:])
		spi := binary.BigEndian.Uint32(b[:])&^mask | uint32(sh.number)
		if _, used := sh.byChild[spi]; !used && spi > 255 {
			return spi
		}
	}
}

func (sh *shard) heard(spi uint32) time.Time {
	stats, _ := sh.engine.plane.Stats(spi)
	return stats.LastInbound
}

// inline tells which jobs are done on the loop: those that cost less than
// handing them over and back does (about 50 us at most).
func inline(t ike.Task) bool {
	switch t := t.(type) {
	case ike.GenerateKE:
		return cheap(t.Group)
	case ike.SharedSecret:
		return len(t.Peer) == 32 || len(t.Peer) == 64 // X25519, ECP-256
	}
	return false
}

// cheap groups are X25519 and ECP-256 (RFC 8031; RFC 5903).
func cheap(group suite.Transform) bool { return group.ID == 31 || group.ID == 19 }

// runner is what a worker calls for a task that ends when it returns.
func runner(b Backend, t ike.Task) func() (any, error) {
	return func() (any, error) {
		switch t := t.(type) {
		case ike.GenerateKE:
			return t.Run()
		case ike.SharedSecret:
			return t.Run()
		case ike.Work:
			return t.Run()
		case *ike.Authenticate:
			return b.Authenticate(t)
		case *ike.Sign:
			return b.Sign(t)
		case *ike.Lease:
			return b.Lease(t)
		}
		return nil, errUnknownTask
	}
}

var errUnknownTask = errors.New("engine: a task of unknown type")

// submit hands a job to the workers.
func (e *Engine) submit(s *Session, j ike.Job) {
	e.workers.submit(work{session: s, id: j.ID, task: j.Task}, s.half == nil)
}

// work runs a job on a worker and brings its result home.
func (e *Engine) work(w work) {
	deliver := func(value any, err error) {
		w.session.shard.inbox.put(item{class: classOwed, session: w.session, what: ike.Result{ID: w.id, Value: value, Err: err}})
	}
	t, ok := w.task.(*ike.EAP)
	if !ok {
		deliver(e.contained(runner(e.backend, w.task)))
		return
	}
	// A step that panics after it was done is delivered twice: the machine takes
	// the first.
	_, err := e.contained(func() (any, error) {
		t.Conversation.Step(t, func(step ike.EAPStep, err error) { deliver(step, err) })
		return nil, nil
	})
	if err != nil {
		deliver(nil, err)
	}
}

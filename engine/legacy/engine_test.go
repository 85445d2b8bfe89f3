package legacy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/dataplane"
	"sallyport/engine"
	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
	"sallyport/protocol/ikev1"
)

// The same clients, and a real engine in place of the gate: with its shards,
// workers and tables, in the time of a bubble.

// house is the engine with its backend, its plane and its way to the network.
type house struct {
	w    *world
	host *simnet.Host
	*engine.Engine

	mu       sync.Mutex
	send     []simnet.Datagram // from the engine's loops, for the network
	plane    plane
	sessions map[*engine.Session]*peer
}

func newHouse(t *testing.T, seed uint64, shape func(*engine.Session, *dataplane.Call)) *house {
	w := makeWorld(t, seed)
	h := &house{w: w, sessions: map[*engine.Session]*peer{}}
	h.plane = plane{w: w, name: "house", sas: map[uint32]*sa{}, send: h.post}
	w.net.Link.Jitter = 5 * time.Millisecond
	h.Engine = engine.New(engine.Options{Backend: h, Shards: 3, Workers: 2, ShapeCall: shape})
	h.Start(h.asPlane(), h)
	h.RespondLegacy(h)
	w.g.cfg.NewEAP = (&guarded{of: &w.g.logins}).begin
	w.g.host.Move(netip.MustParseAddr("198.51.100.99"), nil)
	h.host = w.net.Host(gateway, nil, simnet.Machine{Receive: h.receive})
	return h
}

// guarded makes logins safe for workers.
type guarded struct {
	mu sync.Mutex
	of *logins
}

type guardedLogin struct {
	g *guarded
	l ike.Conversation
}

func (g *guarded) begin() ike.Conversation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &guardedLogin{g, g.of.begin()}
}

func (l *guardedLogin) Step(t *ike.EAP, done func(ike.EAPStep, error)) {
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	l.l.Step(t, done)
}

func (l *guardedLogin) Close() {
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	l.l.Close()
}

// First and New implement [engine.Legacy].
func (h *house) First(_ time.Time, d ike.Datagram) (cost int, ok bool) {
	return 150, ikev1.Front(ikev1.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data}).Accept
}

func (h *house) New(ids engine.IDs, now time.Time, first ike.Datagram, out *ike.Out) engine.Machine {
	return New(h.w.g.cfg, ids, now, first, out)
}

// ---- The backend

func (h *house) Authenticate(*ike.Authenticate) (*ike.Admission, error) {
	return nil, errors.New("nobody comes by IKEv2")
}
func (h *house) Sign(*ike.Sign) (ike.Signed, error) {
	return ike.Signed{}, errors.New("there is no key")
}
func (h *house) Lease(t *ike.Lease) (ike.Leased, error) { return h.w.g.leaseOf(t) }

// Event checks the order of what sessions say.
func (h *house) Event(s *engine.Session, ev ike.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.sessions[s]
	if p == nil {
		p = &peer{}
		h.sessions[s] = p
	}
	switch ev := ev.(type) {
	case ike.Established:
		if p.up {
			h.w.t.Error("Established twice")
		}
		p.up, p.admits = true, ev.Admission
		p.est = append(p.est, ev)
	case ike.Closed:
		if !p.up && len(p.est) > 0 {
			h.w.t.Errorf("Closed twice: %+v", ev)
		}
		p.up = false
		p.closed = append(p.closed, ev)
	}
}

func (h *house) count() (established, closed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.sessions {
		established += len(p.est)
		if len(p.est) > 0 {
			closed += len(p.closed)
		}
	}
	return established, closed
}

// ---- The plane

// Apply implements [dataplane.Plane].
func (h *house) Apply(changes ...dataplane.Change) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		switch c := c.(type) {
		case dataplane.Add:
			h.plane.add(&sa{
				spiIn: c.SA.SPIIn, spiOut: c.SA.SPIOut, local: c.SA.Local, remote: c.SA.Remote, call: c.SA.Call, keyIn: c.SA.KeyIn, keyOut: c.SA.KeyOut,
			}, c.SA.Outbound)
		case dataplane.UseOutbound:
			h.plane.use(c.SPIIn, nil)
		case dataplane.Remove:
			h.plane.remove(c.SPIIn, nil)
		case dataplane.Move:
			h.plane.move(c.SPIIn, c.Local, c.Remote)
		case dataplane.SetCall:
			h.plane.setCall(c.SPIIn, nil, c.Call)
		}
	}
	return nil
}

func (h housePlane) Stats(spi uint32) (dataplane.Stats, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.plane.sas[spi]
	if a == nil {
		return dataplane.Stats{}, false
	}
	return dataplane.Stats{LastInbound: a.at}, true
}

// asPlane is h without the engine's Close.
func (h *house) asPlane() dataplane.Plane { return housePlane{h} }

type housePlane struct{ *house }

func (housePlane) Close() error { return nil }

// SendInner implements [dataplane.Inner].
func (h *house) SendInner(spi uint32, port uint16, msg []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.plane.sas[spi] == nil {
		return errors.New("no such SA")
	}
	h.plane.seal(spi, port, msg, nil)
	return nil
}

// SendIKE implements [dataplane.Control].
func (h *house) SendIKE(local, remote netip.AddrPort, msg []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.post(simnet.Datagram{Local: local, Remote: remote, Data: msg})
	return nil
}

func (h *house) post(d simnet.Datagram) { h.send = append(h.send, d) }

// receive is what the plane's readers do.
func (h *house) receive(_ time.Time, d simnet.Datagram) {
	p, ok := h.w.parsePacket(d.Data)
	if !ok {
		h.Upcalls().IKE(d.Local, d.Remote, d.Data)
		return
	}
	h.mu.Lock()
	a, events := h.plane.open(time.Now(), p, d)
	var call *dataplane.Call
	if a != nil {
		call = a.call
	}
	h.mu.Unlock()
	if a == nil {
		return
	}
	for _, ev := range events {
		e := ev.(ike.PlaneEvent)
		h.Upcalls().Event(dataplane.Event{Kind: dataplane.EventKind(e.Kind), SPIIn: e.SPIIn, Remote: e.Remote})
	}
	if call != nil {
		if text, ours := cargo(p.msg, call.Tunnel, call.Session); ours {
			if text != p.from.user {
				h.w.t.Errorf("%s's packet came into a call of %s", p.from.user, text)
			}
			p.from.carried++
			return
		}
	}
	h.Upcalls().Inner(p.spi, p.port, p.msg)
}

// ---- Time

// run lets time pass, in the bubble and on the network alike.
func (h *house) run(d time.Duration) {
	const step = 5 * time.Millisecond
	for range d / step {
		synctest.Wait()
		h.mu.Lock()
		send := h.send
		h.send = nil
		h.mu.Unlock()
		for _, d := range send {
			h.host.Send(d)
		}
		h.w.run(step)
		time.Sleep(step)
	}
}

func (h *house) until(what string, is func() bool) {
	h.w.t.Helper()
	for range 600 {
		if is() {
			return
		}
		h.run(100 * time.Millisecond)
	}
	h.w.t.Fatalf("after a minute still not: %s\n%s", what, h.w.g.story())
}

// works checks that a client's packets come through.
func (h *house) works(c *client) {
	h.w.t.Helper()
	before := c.carried
	for range 10 {
		if c.up() {
			c.say(load(c.call.PeerTunnel, c.call.PeerSession, c.user))
		}
		h.run(time.Second)
		if c.carried > before {
			return
		}
	}
	h.w.t.Fatalf("%s: no packet comes through\n%s", c.name, h.w.g.story())
}

// empty closes the engine and checks that nothing is left.
func (h *house) empty() {
	h.w.t.Helper()
	if st := h.Engine.Stats(); st.Sessions != 0 || st.HalfOpen != 0 || st.Panics != 0 {
		h.w.t.Errorf("%d sessions, %d half-open, %d panics", st.Sessions, st.HalfOpen, st.Panics)
	}
	h.close()
	if n := len(h.plane.sas); n != 0 {
		h.w.t.Errorf("%d SAs are left in the plane", n)
	}
	if n := h.w.g.logins.open; n != 0 {
		h.w.t.Errorf("%d conversations are open", n)
	}
	for _, p := range h.sessions {
		if p.up {
			h.w.t.Error("a session is up, and over")
		}
	}
}

func (h *house) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	h.Engine.Close(ctx)
}

func (h *house) wantCount(established, closed int) {
	h.w.t.Helper()
	if e, c := h.count(); e != established || c != closed {
		h.w.t.Errorf("%d Established and %d Closed, want %d and %d\n%s", e, c, established, closed, h.w.g.story())
	}
}

// TestTheEngineJoinsSessions: main mode anew, crashes and moves of several
// clients behind one NAT, with the shard's own tables.
func TestTheEngineJoinsSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4
		h := newHouse(t, 1, nil)
		nat := h.w.nat("203.0.113.7")
		for i := range n {
			h.w.client(fmt.Sprintf("user-%d", i), fmt.Sprintf("192.168.1.%d", i+2), nat).dial()
		}
		for _, c := range h.w.clients {
			h.until(c.name+" is up", c.up)
			h.works(c)
		}
		h.wantCount(n, 0)
		for range 3 {
			for _, c := range h.w.clients {
				c.rekey1()
				h.run(2 * time.Second)
				c.rekey2()
			}
			h.run(5 * time.Second)
			for _, c := range h.w.clients {
				h.works(c)
			}
			nat.Rebind(netip.Addr{}, 0)
			for _, c := range h.w.clients {
				h.works(c)
			}
		}
		h.wantCount(n, 0)
		if st := h.Stats(); st.Sessions != n {
			t.Errorf("%d sessions of %d clients", st.Sessions, n)
		}
		h.w.clients[0].crash()
		h.w.clients[0].dial()
		h.until("the first is up again", h.w.clients[0].up)
		for _, c := range h.w.clients {
			h.works(c)
		}
		h.wantCount(n+1, 1)
		if st := h.Stats(); st.Sessions != n {
			t.Errorf("%d sessions of %d clients", st.Sessions, n)
		}
		for _, c := range h.w.clients {
			c.leave()
		}
		h.run(2 * time.Minute)
		h.wantCount(n+1, n+1)
		h.empty()
	})
}

// TestTheEngineLetsAClientBackThatWasToldToGo: while its old session says
// farewell, it comes from the same port with a new main mode.
func TestTheEngineLetsAClientBackThatWasToldToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1, nil)
		c := h.w.client("alice", "192.168.1.2", h.w.nat("203.0.113.7"))
		c.dial()
		h.until("alice is up", c.up)
		h.each(func(s *engine.Session) { s.Do(ike.CloseSession{Reason: "the terms have changed"}) })
		h.run(500 * time.Millisecond)
		c.crash()
		c.dial()
		h.run(10 * time.Second)
		if !c.up() {
			t.Errorf("the client is not up 10 s later\n%s", h.w.g.story())
		}
		h.wantCount(2, 1)
		c.leave()
		h.run(2 * time.Minute)
		h.empty()
	})
}

// TestAShutdownTellsTheClientByIKEToo: what is not deleted stays on the client
// until it notices that nobody answers.
func TestAShutdownTellsTheClientByIKEToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1, nil)
		c := h.w.client("alice", "192.168.1.2", h.w.nat("203.0.113.7"))
		c.dial()
		h.until("alice is up", c.up)
		c.stops = stopEAP // and does not hang up by itself
		closed := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second) // as the gateway does
			defer cancel()
			closed <- h.Close(ctx)
		}()
		h.run(4 * time.Second)
		if err := <-closed; err != nil {
			t.Errorf("the engine: %v", err)
		}
		c.wantLog("being shut down", "is over: IKE 2")
		h.wantCount(1, 1)
	})
}

func (h *house) each(f func(*engine.Session)) {
	h.mu.Lock()
	var all []*engine.Session
	for s := range h.sessions {
		all = append(all, s)
	}
	h.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}

package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// puppet is a machine of version 1 that does what its door says.
type puppet struct {
	d     *door
	ids   IDs
	spi   ikemsg.SPI
	from  netip.AddrPort
	got   []string // names of calls
	inner []InnerMessage
	dead  bool
	freed bool
}

// door makes puppets, and keeps them.
type door struct {
	mu      sync.Mutex
	closed  bool
	puppets []*puppet
	new     func(p *puppet, out *ike.Out)
	receive func(p *puppet, d ike.Datagram, out *ike.Out)
	absorb  func(older, newer *puppet, out *ike.Out) bool
	done    func(p *puppet, r ike.Result)
}

func (d *door) First(time.Time, ike.Datagram) (cost int, ok bool) { return 150, !d.closed }

func (d *door) New(ids IDs, _ time.Time, first ike.Datagram, out *ike.Out) Machine {
	p := &puppet{d: d, ids: ids, spi: ids.Cookie(), from: first.Remote}
	d.mu.Lock()
	d.puppets = append(d.puppets, p)
	d.mu.Unlock()
	out.Events = append(out.Events, ike.SPIAdded{SPI: p.spi})
	if d.new != nil {
		d.new(p, out)
	}
	return p
}

func (p *puppet) Receive(_ time.Time, d ike.Datagram, out *ike.Out) {
	p.got = append(p.got, "Receive")
	if p.d.receive != nil {
		p.d.receive(p, d, out)
	}
}
func (p *puppet) Timeout(time.Time, *ike.Out) { p.got = append(p.got, "Timeout") }
func (p *puppet) Done(_ time.Time, r ike.Result, _ *ike.Out) {
	p.got = append(p.got, "Done")
	if p.d.done != nil {
		p.d.done(p, r)
	}
}
func (p *puppet) Do(_ time.Time, c ike.Command, out *ike.Out) {
	p.got = append(p.got, "Do")
	switch c := c.(type) {
	case ike.Extra:
		if m, ok := c.Value.(InnerMessage); ok {
			p.inner = append(p.inner, m)
		}
	case ike.CloseSession:
		p.end(out)
	}
}

// end closes the puppet with all it has.
func (p *puppet) end(out *ike.Out) {
	p.dead = true
	out.Events = append(out.Events, ike.SPIRemoved{SPI: p.spi}, ike.Closed{Reason: ike.ClosedByUs})
}

func (p *puppet) Absorb(_ time.Time, newer Machine, out *ike.Out) bool {
	p.got = append(p.got, "Absorb")
	return p.d.absorb(p, newer.(*puppet), out)
}
func (p *puppet) Deadline() time.Time                             { return time.Time{} }
func (p *puppet) Dead() bool                                      { return p.dead }
func (p *puppet) Release()                                        { p.freed = true }
func (p *puppet) Path() (local, remote netip.AddrPort)            { return }
func (p *puppet) NAT() (local, remote bool)                       { return }
func (p *puppet) SPIs() (ours, peers ikemsg.SPI)                  { return p.spi, 0 }
func (p *puppet) PeerKind() (k ike.PeerKind)                      { return }
func (p *puppet) Suite() (s suite.IKE)                            { return }
func (p *puppet) Leased() (l ike.Leased)                          { return }
func (p *puppet) Children(to []ike.ChildStatus) []ike.ChildStatus { return to }

// version1 is a header of version 1, with nothing behind it.
func version1(cookieI, cookieR uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, cookieI)
	b = binary.BigEndian.AppendUint64(b, cookieR)
	return append(b, 1, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 28)
}

// arrive brings a datagram from a client, and waits for what follows.
func (h *host) arrive(from string, b []byte) {
	h.Upcalls().IKE(netip.AddrPortFrom(h.addr, 500), netip.MustParseAddrPort(from), b)
	synctest.Wait()
}

// inBubble is a gateway whose legacy zone is d.
func inBubble(t *testing.T, d *door, test func(t *testing.T, net *lan, h *host)) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		h := net.join(t, "192.0.2.1", nil)
		if d != nil {
			h.RespondLegacy(d)
		}
		test(t, &net, h)
		closeBoth(t, h)
		if left := h.sizes(); left != "" {
			t.Errorf("the gateway still holds %s", left)
		}
		for _, sh := range h.shards {
			if len(sh.peers)+len(sh.owed) != 0 {
				t.Errorf("%d peers and %d debts are left", len(sh.peers), len(sh.owed))
			}
		}
	})
}

// TestTrap46_Version1WithoutAZoneIsDropped: without a word, and counted.
func TestTrap46_Version1WithoutAZoneIsDropped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, net *lan, h *host) {
		h.arrive("203.0.113.7:500", version1(1, 0))
		h.arrive("203.0.113.7:500", version1(1, 2))
		if n := h.Stats().Dropped["IKE version 1"]; n != 2 || len(net.sent) != 0 || h.Stats().Sessions != 0 {
			t.Errorf("%d dropped, %d answers, %d sessions", n, len(net.sent), h.Stats().Sessions)
		}
	})
}

func TestTrap46_Version1ForNobodyIsNotAnswered(t *testing.T) {
	d := &door{closed: true}
	inBubble(t, d, func(t *testing.T, net *lan, h *host) {
		h.arrive("203.0.113.7:500", version1(1, 0))
		h.arrive("203.0.113.7:500", version1(1, 0x770))
		h.arrive("203.0.113.7:500", version1(1, 0x773)) // of a shard that is not there
		st := h.Stats()
		if st.Dropped["IKE version 1"] != 1 || st.Dropped["unknown SPI"] != 2 || len(net.sent) != 0 || len(d.puppets) != 0 {
			t.Errorf("dropped %v, %d answers, %d machines", st.Dropped, len(net.sent), len(d.puppets))
		}
	})
}

// TestTrap46_AZoneThatIsGoneTakesNobody: what lives goes on, and nobody new.
func TestTrap46_AZoneThatIsGoneTakesNobody(t *testing.T) {
	d := &door{}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		h.arrive("203.0.113.7:500", version1(1, 0))
		h.RespondLegacy(nil)
		h.arrive("203.0.113.7:501", version1(2, 0))
		if len(d.puppets) != 1 {
			t.Errorf("%d machines", len(d.puppets))
		}
	})
}

func TestCopiesOfAFirstMessageMakeOneMachine(t *testing.T) {
	d := &door{}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		for range 5 {
			h.arrive("203.0.113.7:500", version1(1, 0))
		}
		if len(d.puppets) != 1 || len(d.puppets[0].got) != 4 {
			t.Errorf("%d machines", len(d.puppets))
		}
		if n := h.Stats().HalfOpen; n != 1 {
			t.Errorf("%d half-open, want 1", n)
		}
		h.arrive("203.0.113.7:501", version1(1, 0))
		if len(d.puppets) != 2 {
			t.Errorf("%d machines of two ports", len(d.puppets))
		}
	})
}

// TestOneAddressIsOneShard: so that a peer that authenticates anew meets itself,
// behind whatever port.
func TestOneAddressIsOneShard(t *testing.T) {
	d := &door{}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		for port := range uint16(30) {
			h.arrive(netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), 1000+port).String(), version1(uint64(port)+1, 0))
		}
		for _, p := range d.puppets {
			if p.spi&3 != d.puppets[0].spi&3 || ikemsg.SPI(p.ids.ChildSPI()&3) != p.spi&3 {
				t.Fatalf("cookie %x, the first has %x", p.spi, d.puppets[0].spi)
			}
		}
		for i := range byte(40) {
			h.arrive(netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 100 + i}), 500).String(), version1(uint64(i)+100, 0))
		}
		shards := map[ikemsg.SPI]bool{}
		for _, p := range d.puppets {
			shards[p.spi&3] = true
		}
		if len(shards) != 3 {
			t.Errorf("all clients are in %d of 3 shards", len(shards))
		}
	})
}

// TestACookieLeadsToItsMachine, from any port.
func TestACookieLeadsToItsMachine(t *testing.T) {
	d := &door{receive: func(p *puppet, in ike.Datagram, out *ike.Out) {
		out.Send = append(out.Send, ike.Datagram{Local: in.Local, Remote: in.Remote, Data: []byte("an answer")})
	}}
	inBubble(t, d, func(t *testing.T, net *lan, h *host) {
		h.arrive("203.0.113.7:500", version1(1, 0))
		h.arrive("203.0.113.8:500", version1(1, 0))
		second := d.puppets[1]
		h.arrive("203.0.113.8:4500", version1(1, uint64(second.spi)))
		if len(second.got) != 1 || len(d.puppets[0].got) != 0 || len(net.sent) != 1 {
			t.Errorf("the machines got %v and %v, %d answers", d.puppets[0].got, second.got, len(net.sent))
		}
	})
}

// TestVersionsDoNotMix: a cookie of one version in a message of the other reaches
// the session at most as a datagram that it cannot read.
func TestVersionsDoNotMix(t *testing.T) {
	d := &door{}
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		gateway.RespondLegacy(d)
		client.connect(t, gateway, 1000)
		settle(t, time.Second)
		for _, sh := range gateway.shards {
			for spi := range sh.bySPI {
				gateway.arrive("198.51.100.7:4500", version1(9, uint64(spi)))
			}
		}
		if len(d.puppets) != 0 {
			t.Error("a message of version 1 with an SPI of version 2 made a machine")
		}
		settle(t, time.Minute)
		wantPaired(t, gateway, client, 1)
		closeBoth(t, client, gateway)
	})
}

func TestHalfOpenMachinesOfOneSourceAreBounded(t *testing.T) {
	d := &door{}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		h.SetLimits(Limits{PerSource: 5})
		for port := range uint16(30) {
			h.arrive(netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), 1000+port).String(), version1(uint64(port)+1, 0))
		}
		if n := h.Stats().HalfOpen; n != 5 || len(d.puppets) != 5 {
			t.Errorf("%d half-open and %d machines, want 5", n, len(d.puppets))
		}
	})
}

// TestAPanicOfAMachineEndsOneSession, wherever it comes.
func TestAPanicOfAMachineEndsOneSession(t *testing.T) {
	d := &door{receive: func(p *puppet, _ ike.Datagram, _ *ike.Out) {
		if p.from.Port() == 666 {
			panic("a defect that a peer found")
		}
	}}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		h.arrive("203.0.113.7:500", version1(1, 0))
		h.arrive("203.0.113.7:666", version1(2, 0))
		h.arrive("203.0.113.7:666", version1(2, uint64(d.puppets[1].spi)))
		if st := h.Stats(); st.Panics != 1 || st.Sessions != 1 || !d.puppets[1].freed || d.puppets[0].freed {
			t.Errorf("%d panics, %d sessions left", st.Panics, st.Sessions)
		}
	})
}

// TestWorkIsDoneOnAWorker, and its panic is an error.
func TestWorkIsDoneOnAWorker(t *testing.T) {
	var mu sync.Mutex
	results := map[uint64]ike.Result{}
	d := &door{
		new: func(_ *puppet, out *ike.Out) {
			for i, run := range []func() (any, error){
				func() (any, error) { return "done", nil },
				func() (any, error) { return nil, errors.New("it does not work") },
				func() (any, error) { panic("a defect") },
			} {
				out.Jobs = append(out.Jobs, ike.Job{ID: uint64(i), Task: ike.Work{Run: run}})
			}
		},
		done: func(_ *puppet, r ike.Result) {
			mu.Lock()
			defer mu.Unlock()
			results[r.ID] = r
		},
	}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		h.arrive("203.0.113.7:500", version1(1, 0))
		if results[0].Value != "done" || results[1].Err == nil || results[2].Err == nil || h.Stats().Panics != 1 {
			t.Errorf("results %+v, %d panics", results, h.Stats().Panics)
		}
	})
}

// ---- What machines say beside the events of IKE

// innerPlane is a plane that carries L2TP.
type innerPlane struct {
	*dataplane.Null
	sent []InnerMessage
}

func (p *innerPlane) SendInner(spi uint32, port uint16, msg []byte) error {
	p.sent = append(p.sent, InnerMessage{spi, port, msg})
	return nil
}

func TestL2TPFindsItsMachine(t *testing.T) {
	var spis []uint32
	d := &door{new: func(p *puppet, out *ike.Out) {
		spi := p.ids.ChildSPI()
		spis = append(spis, spi)
		out.Events = append(out.Events, ike.Extra{Value: dataplane.Add{SA: dataplane.ChildSA{SPIIn: spi, Transport: true}}})
	}}
	d.receive = func(p *puppet, _ ike.Datagram, out *ike.Out) {
		out.Events = append(out.Events, ike.Extra{Value: InnerMessage{spis[0], 1701, []byte("hello")}}, ike.ChildDown{SPIIn: spis[0]})
	}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		plane := &innerPlane{Null: h.plane}
		h.Engine.plane = plane
		h.arrive("203.0.113.7:500", version1(1, 0))
		h.arrive("203.0.113.8:500", version1(1, 0))
		first, second := d.puppets[0], d.puppets[1]
		msg := []byte("a message")
		h.Upcalls().Inner(spis[0], 51701, msg)
		copy(msg, "XXXXXXXXX") // the reader's buffer, which it uses again
		h.Upcalls().Inner(spis[0]^4, 1701, []byte("for nobody"))
		h.Upcalls().Inner(3, 1701, []byte("for a shard that is not there"))
		synctest.Wait()
		if len(first.inner) != 1 || string(first.inner[0].Data) != "a message" || first.inner[0].Port != 51701 || len(second.inner) != 0 {
			t.Errorf("the machines got %v and %v", first.inner, second.inner)
		}
		h.arrive("203.0.113.7:500", version1(1, uint64(first.spi)))
		if len(plane.sent) != 1 || string(plane.sent[0].Data) != "hello" {
			t.Errorf("sent %v", plane.sent)
		}
		h.Upcalls().Inner(spis[0], 51701, msg)
		synctest.Wait()
		if len(first.inner) != 1 {
			t.Error("a message came for an SA that is gone")
		}
		h.each(t, func(m Machine) { m.(*puppet).d = &door{} })
		h.remove(spis[1])
	})
}

// remove takes an SA of a puppet away, which does not do so itself.
func (h *host) remove(spi uint32) {
	for _, sh := range h.shards {
		delete(sh.byChild, spi)
	}
	h.plane.Apply(dataplane.Remove{SPIIn: spi})
}

func (h *host) each(t *testing.T, f func(Machine)) {
	t.Helper()
	if err := h.Each(context.Background(), func(_ *Session, m Machine) { f(m) }); err != nil {
		t.Fatal(err)
	}
}

// TestACallIsShapedBeforeThePlaneHasIt, and its end is not.
func TestACallIsShapedBeforeThePlaneHasIt(t *testing.T) {
	rate := new(dataplane.Rate)
	var spi uint32
	d := &door{
		new: func(p *puppet, out *ike.Out) {
			spi = p.ids.ChildSPI()
			out.Events = append(out.Events,
				ike.Extra{Value: dataplane.Add{SA: dataplane.ChildSA{SPIIn: spi, Transport: true}}},
				ike.Extra{Value: dataplane.SetCall{SPIIn: spi, Call: &dataplane.Call{Tunnel: 7}}})
		},
		receive: func(_ *puppet, _ ike.Datagram, out *ike.Out) {
			out.Events = append(out.Events, ike.Extra{Value: dataplane.SetCall{SPIIn: spi}})
		},
	}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		h.shapeCall = func(_ *Session, c *dataplane.Call) { c.Rate = rate }
		h.arrive("203.0.113.7:500", version1(1, 0))
		if c := h.plane.SAs()[spi].Call; c == nil || c.Tunnel != 7 || c.Rate != rate {
			t.Errorf("the plane has the call %+v", c)
		}
		h.arrive("203.0.113.7:500", version1(1, uint64(d.puppets[0].spi)))
		if c := h.plane.SAs()[spi].Call; c != nil {
			t.Errorf("the plane still has the call %+v", c)
		}
		h.remove(spi)
	})
}

// ---- Join

// joining is a door whose machines say who they are with their second message.
func joining(absorb func(older, newer *puppet, out *ike.Out) bool) *door {
	return &door{absorb: absorb, receive: func(p *puppet, d ike.Datagram, out *ike.Out) {
		out.Events = append(out.Events, ike.Extra{Value: Join{Key: string(d.Data[28:])}})
	}}
}

// say brings a message of a puppet's peer, with a text.
func (h *host) say(p *puppet, text string) {
	h.arrive(p.from.String(), append(version1(1, uint64(p.spi)), text...))
}

// two are two machines of one address.
func two(h *host, d *door) (a, b *puppet) {
	h.arrive("203.0.113.7:500", version1(1, 0))
	h.arrive("203.0.113.7:501", version1(2, 0))
	return d.puppets[0], d.puppets[1]
}

func TestAMachineAbsorbsItsSuccessor(t *testing.T) {
	d := joining(func(older, newer *puppet, out *ike.Out) bool { return true })
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		a, b := two(h, d)
		h.say(a, "alice")
		h.say(b, "alice")
		if st := h.Stats(); st.Sessions != 1 || st.HalfOpen != 1 {
			t.Errorf("%d sessions, %d half-open", st.Sessions, st.HalfOpen)
		}
		before := len(a.got)
		h.say(b, "alice") // its cookie leads to the older one
		if len(a.got) != before+1 {
			t.Errorf("the machine got %v", a.got)
		}
		if n := count[ike.Closed](h.testBackend); n != 0 {
			t.Errorf("%d Closed", n)
		}
		h.each(t, func(m Machine) { m.(*puppet).d = &door{} })
	})
}

func TestAMachineThatDoesNotAbsorbIsLeftAlone(t *testing.T) {
	d := joining(func(older, newer *puppet, out *ike.Out) bool { return false })
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		a, b := two(h, d)
		h.say(a, "alice")
		h.say(b, "alice")
		h.say(b, "alice")
		if st := h.Stats(); st.Sessions != 2 || a.dead || strings.Join(b.got, " ") != "Receive Receive" {
			t.Errorf("%d sessions, the older got %v, the newer %v", st.Sessions, a.got, b.got)
		}
		// Whoever comes next meets the newer one.
		h.arrive("203.0.113.7:502", version1(3, 0))
		before := len(b.got)
		h.say(d.puppets[2], "alice")
		if len(b.got) != before+1 || b.got[before] != "Absorb" {
			t.Errorf("the newer got %v", b.got)
		}
	})
}

func TestAnotherKeyIsAnotherPeer(t *testing.T) {
	d := joining(func(older, newer *puppet, out *ike.Out) bool { t.Error("absorbed"); return true })
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		a, b := two(h, d)
		h.say(a, "alice")
		h.say(b, "bob")
		h.say(a, "alice, elsewhere") // she has moved
		h.arrive("203.0.113.7:502", version1(3, 0))
		h.say(d.puppets[2], "alice")
		if n := h.Stats().Sessions; n != 3 {
			t.Errorf("%d sessions", n)
		}
	})
}

func TestAPanicWhileAbsorbingEndsTheOlder(t *testing.T) {
	d := joining(func(older, newer *puppet, out *ike.Out) bool { panic("a defect") })
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		a, b := two(h, d)
		h.say(a, "alice")
		h.say(b, "alice")
		if st := h.Stats(); st.Sessions != 1 || st.Panics != 1 || !a.freed || b.freed {
			t.Errorf("%d sessions, %d panics", st.Sessions, st.Panics)
		}
	})
}

// TestAMachineThatEndsInTheStepOfItsJoin is not absorbed.
func TestAMachineThatEndsInTheStepOfItsJoin(t *testing.T) {
	d := joining(func(older, newer *puppet, out *ike.Out) bool { t.Error("absorbed"); return true })
	receive := d.receive
	d.receive = func(p *puppet, in ike.Datagram, out *ike.Out) {
		receive(p, in, out)
		if p.from.Port() == 501 {
			p.end(out)
		}
	}
	inBubble(t, d, func(t *testing.T, _ *lan, h *host) {
		a, b := two(h, d)
		h.say(a, "alice")
		h.say(b, "alice")
		if st := h.Stats(); st.Sessions != 1 || a.dead || !b.freed {
			t.Errorf("%d sessions", st.Sessions)
		}
	})
}

package ppp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

func TestServerAndClientAgreeOnEverything(t *testing.T) {
	w := newWorld(t, 1)
	w.connect(time.Second)
	w.wantUp(true, true)
	if w.server.up.LocalIPv4 != serverIPv4 {
		t.Errorf("the server's address is %v", w.server.up.LocalIPv4)
	}
	if want := []string{"10.70.0.1", "10.70.0.2"}; fmt.Sprint(w.client.up.DNS) != fmt.Sprint(want) {
		t.Errorf("the client was told the name servers %v, want %v", w.client.up.DNS, want)
	}
	if i := slices.IndexFunc(w.server.events, func(e Event) bool { _, ok := e.(Opened); return ok }); w.server.events[i] != (Opened{PeerMRU: 1400, ShortProtocol: true, ShortAddress: true}) {
		t.Errorf("%+v", w.server.events[i])
	}
	if i := slices.IndexFunc(w.client.events, func(e Event) bool { _, ok := e.(Opened); return ok }); w.client.events[i] != (Opened{PeerMRU: 1400}) {
		t.Errorf("%+v", w.client.events[i])
	}
	w.run(time.Hour)
	w.wantUp(true, true)
}

func TestOneProtocolAlone(t *testing.T) {
	for _, c := range []struct {
		what       string
		change     func(w *world)
		ipv4, ipv6 bool
	}{
		{"the server has no IPv6", func(w *world) { w.server.cfg.NoIPv6 = true }, true, false},
		{"the server has no IPv4", func(w *world) { w.server.cfg.NoIPv4 = true }, false, true},
		{"the client has no IPv6", func(w *world) { w.client.cfg.NoIPv6 = true }, true, false},
		{"the client has no IPv4", func(w *world) { w.client.cfg.NoIPv4 = true }, false, true},
		{"no /64 is free", func(w *world) {
			w.server.assign = func(Assign) (Assigned, error) { return Assigned{IPv4: clientIPv4, DNS: resolvers}, nil }
		}, true, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, 1)
			c.change(w)
			w.connect(time.Minute)
			w.wantUp(c.ipv4, c.ipv6)
		})
	}
}

func TestNothingInCommonEndsTheLink(t *testing.T) {
	w := newWorld(t, 1)
	w.server.cfg.NoIPv6, w.client.cfg.NoIPv4 = true, true
	w.connect(5 * time.Minute)
	if w.server.down == nil || w.client.down == nil {
		t.Fatalf("server %v, client %v", w.server.down, w.client.down)
	}
}

func TestCloseIsOrderly(t *testing.T) {
	for _, who := range []string{"server", "client"} {
		t.Run(who, func(t *testing.T) {
			w := newWorld(t, 1)
			w.connect(time.Second)
			w.wantUp(true, true)
			closer, other := w.server, w.client
			if who == "client" {
				closer, other = w.client, w.server
			}
			closer.do(Close{Text: "good night"})
			w.run(10 * time.Second)
			if closer.down == nil || closer.down.ByPeer {
				t.Errorf("the end that closes is down as %+v", closer.down)
			}
			if other.down == nil || !other.down.ByPeer || other.down.Reason != `the peer hung up: "good night"` {
				t.Errorf("the other end is down as %+v", other.down)
			}
			if !closer.link.Dead() || !closer.link.Deadline().IsZero() {
				t.Error("a link that is down still has a deadline")
			}
		})
	}
}

func TestWhenNobodyAnswersTheLinkEndsAfterMaxConfigure(t *testing.T) {
	s := newScript(t)
	s.wait(10 * 3 * time.Second)
	if len(s.sent) != 10 || s.down == nil {
		t.Errorf("%d requests were sent, and the link is down as %+v", len(s.sent), s.down)
	}
}

func TestPatienceEndsALinkThatGetsNowhere(t *testing.T) {
	s := ready(t)
	for range 30 { // it acknowledges everything and asks for nothing
		s.acknowledge(pppmsg.IPCP)
		s.acknowledge(pppmsg.IPV6CP)
		s.wait(4 * time.Second)
	}
	s.wait(20 * time.Second)
	if s.down == nil || s.down.Reason != "no network within 1m30s: the link was in network negotiation" {
		t.Errorf("down as %+v", s.down)
	}
}

func TestSeedsOfABadNetwork(t *testing.T) {
	seeds := uint64(3000)
	if testing.Short() {
		seeds = 300
	}
	ups := 0
	for seed := range seeds {
		w := newWorld(t, seed)
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0.2, 0.2, 0.3
		w.net.Link.Jitter = 5 * time.Millisecond
		// Ten lost round trips in a row leave one end of an NCP open and the other
		// Stopped, as the RFC has it; twenty do not happen here.
		w.server.cfg.MaxConfigure, w.client.cfg.MaxConfigure = 20, 20
		for _, e := range []*end{w.server, w.client} {
			e.later = func(f func()) {
				w.net.At(w.net.Now().Add(time.Duration(w.net.Rand.IntN(300))*time.Millisecond), f)
			}
		}
		w.connect(2 * time.Minute)
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0, 0, 0
		w.run(4 * time.Minute)
		switch s, c := w.server, w.client; {
		case s.down != nil && c.down != nil:
		case s.down == nil && c.down == nil && s.up != nil && c.up != nil:
			ups++
			w.wantUp(s.up.IPv4.IsValid(), s.up.IPv6Open)
		default:
			t.Fatalf("seed %d: the server is %+v %+v in %v, the client %+v %+v in %v", seed, s.up, s.down, s.link.phase, c.up, c.down, c.link.phase)
		}
	}
	if ups*100 < int(seeds)*95 {
		t.Errorf("%d of %d links came up", ups, seeds)
	}
}

func TestSeedsOfCorruption(t *testing.T) {
	for seed := range uint64(500) {
		w := newWorld(t, seed)
		w.net.Link.Loss, w.net.Link.Corrupt = 0.05, 0.2
		w.connect(10 * time.Minute)
		for _, e := range []*end{w.server, w.client} {
			if e.down == nil && e.up == nil && e.link.upBy.IsZero() {
				t.Fatalf("seed %d: a link is neither up nor down, and does not end", seed)
			}
		}
	}
}

func TestRenegotiationInOpenedStartsOver(t *testing.T) {
	w := newWorld(t, 1)
	w.connect(time.Second)
	w.wantUp(true, true)
	// The client's system forgets its link and starts another in the same call.
	w.client.link, w.client.up, w.client.down = nil, nil, nil
	w.client.start()
	w.run(time.Second)
	w.wantUp(true, true)
	logins := 0
	for _, e := range w.server.events {
		if _, ok := e.(Authenticated); ok {
			logins++
		}
	}
	if logins != 2 {
		t.Errorf("the client has authenticated %d times, and should have twice", logins)
	}
}

func TestSilenceEndsTheLink(t *testing.T) {
	w := newWorld(t, 1)
	w.connect(time.Second)
	w.client.link = nil
	last := w.net.Now()
	w.run(10 * time.Minute)
	if w.server.down == nil {
		t.Fatal("the server waits for ever")
	}
	if silence := 5 * 30 * time.Second; w.server.down.Reason != "the peer is silent: no answer to 4 Echo-Requests" || w.server.link.heard.Add(silence).Before(last) {
		t.Errorf("down as %+v", w.server.down)
	}
}

func TestDataPostponesEcho(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	echoes := func() (n int) {
		for _, f := range s.frames() {
			if strings.HasPrefix(f, "LCP Echo-Request") {
				n++
			}
		}
		return n
	}
	for range 20 {
		s.wait(20 * time.Second)
		s.link.Heard(s.clock)
	}
	if n := echoes(); n != 0 || s.down != nil {
		t.Errorf("%d Echo-Requests beside traffic, down as %+v", n, s.down)
	}
	s.wait(29 * time.Second)
	if n := echoes(); n != 0 {
		t.Errorf("%d Echo-Requests after 29 s of silence", n)
	}
	s.wait(2 * time.Second)
	if n := echoes(); n != 1 {
		t.Errorf("%d Echo-Requests after 31 s of silence", n)
	}
}

func TestAClientThatWantsAPasswordIsRefused(t *testing.T) {
	w := newWorld(t, 1)
	w.client.cfg.Wanted = pppmsg.Auth{Protocol: pppmsg.CHAP, Data: []byte{0x81}}
	w.connect(time.Minute)
	if len(w.server.refused) != 1 || w.server.refused[0].Wanted != "mschapv2" {
		t.Errorf("%+v", w.server.refused)
	}
	if w.client.down == nil || !w.client.down.ByPeer || !strings.Contains(w.client.down.Reason, "This server accepts EAP only") {
		t.Errorf("the client is down as %+v", w.client.down)
	}
}

func TestAClientThatInsistsOnItsAddressIsRefused(t *testing.T) {
	w := newWorld(t, 1)
	w.client.cfg.Address, w.client.cfg.Insist, w.client.cfg.NoIPv6 = mustAddr("192.168.1.5"), true, true
	w.connect(3 * time.Minute)
	if len(w.server.refused) != 1 || w.server.down == nil || w.client.down == nil || w.server.up != nil {
		t.Errorf("%+v, down as %+v", w.server.refused, w.server.down)
	}
}

func TestAClientGetsTheAddressItWishesForIfItIsTheOne(t *testing.T) {
	for _, wish := range []string{"10.70.0.9", "192.168.1.5"} {
		w := newWorld(t, 1)
		w.client.cfg.Address = mustAddr(wish)
		w.connect(time.Minute)
		w.wantUp(true, true)
	}
}

func TestIPv6NeedsItsMTU(t *testing.T) {
	for mru, ipv6 := range map[int]bool{1279: false, 1280: true} {
		w := newWorld(t, 1)
		w.client.cfg.MRU = mru
		w.connect(time.Minute)
		w.wantUp(true, ipv6)
	}
}

func TestRenegotiationNowAndThenIsAllowed(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	for i := range 100 {
		s.wait(time.Minute)
		s.link.Heard(s.clock)
		s.wait(time.Minute)
		s.link.Heard(s.clock)
		if i%6 == 0 {
			s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, uint8(i), "0306 0a460009")
			s.acknowledge(pppmsg.IPCP)
		}
	}
	if s.up == nil || s.down != nil {
		t.Errorf("down as %+v", s.down)
	}
}

// TestSeedsOfQuarrel lets a client start over, or either end hang up, at any
// time, over a bad network: both ends come to rest.
func TestSeedsOfQuarrel(t *testing.T) {
	ups := 0
	for seed := range uint64(2000) {
		w := newWorld(t, seed)
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0.1, 0.1, 0.2
		for _, e := range []*end{w.server, w.client} {
			e.later = func(f func()) {
				w.net.At(w.net.Now().Add(time.Duration(w.net.Rand.IntN(500))*time.Millisecond), f)
			}
		}
		w.connect(time.Duration(w.net.Rand.IntN(2000)) * time.Millisecond)
		for range w.net.Rand.IntN(4) {
			switch w.net.Rand.IntN(6) {
			case 0:
				w.server.do(Close{Text: "enough"})
			case 1:
				w.client.do(Close{Text: "enough"})
			default:
				// Its job of before comes back to nobody.
				w.client.link, w.client.up, w.client.down, w.client.pending = nil, nil, nil, 0
				conversation := &talk{rounds: 4}
				w.client.eap = conversation.step
				w.client.start()
			}
			w.run(time.Duration(w.net.Rand.IntN(4000)) * time.Millisecond)
		}
		w.run(2 * time.Minute)
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0, 0, 0
		w.run(10 * time.Minute)
		switch s, c := w.server, w.client; {
		case s.down != nil && c.down != nil:
		case s.down == nil && c.down == nil && s.up != nil && c.up != nil && s.up.IPv4 == c.up.IPv4 && s.up.IPv6Open == c.up.IPv6Open:
			ups++
		default:
			t.Fatalf("seed %d: the server is %+v %+v in %v, the client %+v %+v in %v", seed, s.up, s.down, s.link.phase, c.up, c.down, c.link.phase)
		}
	}
	if ups < 800 {
		t.Errorf("%d links came up", ups)
	}
}

package legacy

import (
	"net/netip"
	"testing"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ikev1"
)

// established brings one client up.
func established(w *world) (*client, *peer) {
	w.t.Helper()
	c := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
	c.dial()
	c.wantUp()
	return c, w.g.only()
}

// settle gives both ends the time for what is under way, with some traffic.
func (c *client) settle() {
	for range 30 {
		c.traffic()
		c.w.run(time.Second)
	}
}

// newest is the SA that was installed last.
func (p *peer) newest() *sa {
	return p.g.sas[p.m.sas[len(p.m.sas)-1].SPIIn]
}

// wantCall checks that the call goes on in the newest SA, with the client's ids.
func (c *client) wantCall(p *peer) {
	c.w.t.Helper()
	a, children := p.newest(), p.m.Children(nil)
	switch {
	case children[len(children)-1].Created.IsZero():
		c.w.t.Error("it is not known when the newest SA was made")
	case a.call == nil:
		c.w.t.Fatalf("the newest SA %08x has no call", a.spiIn)
	case a != c.g().inUse(p):
		c.w.t.Errorf("the newest SA %08x is not the one in use", a.spiIn)
	case a.call.PeerTunnel != c.call.Tunnel || a.call.PeerSession != c.call.Session || a.call.RemotePort != clientPort:
		c.w.t.Errorf("call %+v, the client's ids are %d and %d", *a.call, c.call.Tunnel, c.call.Session)
	case c.call.PeerTunnel != a.call.Tunnel || c.call.PeerSession != a.call.Session:
		c.w.t.Errorf("call %+v, the client knows %d and %d", *a.call, c.call.PeerTunnel, c.call.PeerSession)
	}
}

// TestTrap35_TheCallSurvivesARekeyOfPhase2: a new pair of SPIs carries the same
// tunnel, whoever began it, and packets go on while it happens.
func TestTrap35_TheCallSurvivesARekeyOfPhase2(t *testing.T) {
	for _, by := range []string{"the client", "the gateway", "both"} {
		t.Run(by, func(t *testing.T) {
			seeds(t, 150, func(t *testing.T, w *world) {
				c, p := established(w)
				w.rough()
				for range 3 {
					before := p.newest().spiIn
					if by != "the gateway" {
						c.rekey2()
					}
					if by != "the client" {
						w.g.do(p, ike.RekeyChild{SPIIn: w.g.inUse(p).spiIn})
					}
					w.until("there is another SA", func() bool { c.traffic(); return p.newest().spiIn != before })
					c.settle()
				}
				w.smooth()
				w.run(2 * time.Minute)
				c.works()
				c.wantCall(p)
				// What crossing rekeys leave over stays until its end.
				if n := len(p.m.sas); n > 4 {
					t.Errorf("%d SAs are left after three rekeys", n)
				}
				w.g.wantCount(1, 0)
				c.leave()
				w.run(5 * time.Minute)
				w.g.empty()
			})
		})
	}
}

// TestTheCallSurvivesARekeyOfPhase1: the client runs main mode anew, and the two
// sessions become one.
func TestTheCallSurvivesARekeyOfPhase1(t *testing.T) {
	seeds(t, 150, func(t *testing.T, w *world) {
		c, p := established(w)
		w.rough()
		for range 3 {
			first, _ := p.m.SPIs()
			c.rekey1()
			w.until("main mode is done anew", func() bool { c.traffic(); spi, _ := p.m.SPIs(); return spi != first })
			c.settle()
			before := p.newest().spiIn
			c.rekey2()
			w.until("there is another SA", func() bool { c.traffic(); return p.newest().spiIn != before })
			c.settle()
		}
		w.smooth()
		w.run(2 * time.Minute)
		c.works()
		c.wantCall(p)
		w.g.wantCount(1, 0)
		if w.g.only() != p || len(p.spis) > 3 {
			t.Errorf("the old ISAKMP SAs pile up: %v", p.spis)
		}
		c.leave()
		w.run(5 * time.Minute)
		w.g.empty()
	})
}

// TestADayOfRekeys: every lifetime ends many times, and one call lives on.
func TestADayOfRekeys(t *testing.T) {
	seeds(t, 20, func(t *testing.T, w *world) {
		c, p := established(w)
		w.net.Link.Loss = 0.02
		seen := map[uint32]bool{}
		for range 24 * 60 {
			c.traffic()
			w.run(time.Minute)
			seen[p.newest().spiIn] = true
		}
		if len(seen) < 20 {
			t.Errorf("%d SAs in a day", len(seen))
		}
		w.net.Link.Loss = 0
		c.works()
		c.wantCall(p)
		w.g.wantCount(1, 0)
		c.leave()
		w.run(5 * time.Minute)
		w.g.empty()
	})
}

// TestTheSessionFollowsARebindingNAT: the call goes on from the new port, and a
// main mode from there still meets its session.
func TestTheSessionFollowsARebindingNAT(t *testing.T) {
	seeds(t, 50, func(t *testing.T, w *world) {
		nat := w.nat("203.0.113.7")
		c := w.client("alice", "192.168.1.2", nat)
		c.dial()
		c.wantUp()
		p := w.g.only()
		for range 3 {
			_, before := p.m.Path()
			nat.Rebind(netip.Addr{}, 0)
			c.works()
			if _, now := p.m.Path(); now == before {
				t.Fatalf("the session is still at %v", now)
			}
			first, _ := p.m.SPIs()
			c.rekey1()
			w.until("main mode is done anew", func() bool { spi, _ := p.m.SPIs(); return spi != first })
			c.works()
		}
		w.g.wantCount(1, 0)
		c.wantCall(w.g.only())
	})
}

// TestAChildSAEndsByTheLowerVolume of what the zone says and the peer proposed.
func TestAChildSAEndsByTheLowerVolume(t *testing.T) {
	ours := ike.Limits{SoftBytes: 90, HardBytes: 100, SoftPackets: 9, HardPackets: 10}
	for what, c := range map[string]struct {
		ours ike.Limits
		sa   ikev1.SA
		want dataplane.Limits
	}{
		"the peer says nothing":  {ours, ikev1.SA{}, dataplane.Limits{SoftBytes: 90, HardBytes: 100, SoftPackets: 9, HardPackets: 10}},
		"the peer wants more":    {ours, ikev1.SA{SoftBytes: 180, HardBytes: 200}, dataplane.Limits{SoftBytes: 90, HardBytes: 100, SoftPackets: 9, HardPackets: 10}},
		"the peer wants less":    {ours, ikev1.SA{SoftBytes: 40, HardBytes: 50}, dataplane.Limits{SoftBytes: 40, HardBytes: 50, SoftPackets: 9, HardPackets: 10}},
		"the zone says nothing":  {ike.Limits{}, ikev1.SA{SoftBytes: 40, HardBytes: 50}, dataplane.Limits{SoftBytes: 40, HardBytes: 50}},
		"neither says something": {ike.Limits{}, ikev1.SA{}, dataplane.Limits{}},
	} {
		s := &Session{cfg: &Config{Limits: c.ours}}
		var out ike.Out
		s.saUp(begin, c.sa, &out)
		add, ok := out.Events[0].(ike.Extra).Value.(dataplane.Add)
		if !ok || add.SA.Limits != c.want {
			t.Errorf("%s: %+v, want %+v", what, add.SA.Limits, c.want)
		}
	}
}

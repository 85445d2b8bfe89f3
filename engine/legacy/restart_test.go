package legacy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ikev1/isakmp"
)

// TestTrap36_AClientThatCrashesComesBack: from the same port, as the same
// machine, with a new tunnel. The session says Closed, and Established again.
func TestTrap36_AClientThatCrashesComesBack(t *testing.T) {
	seeds(t, 100, func(t *testing.T, w *world) {
		c, p := established(w)
		w.rough()
		c.again = true
		for range 3 {
			c.crash()
			w.run(time.Duration(w.net.Rand.IntN(20)) * time.Second)
			c.dial()
			w.until("alice is up again", c.up)
		}
		w.smooth()
		c.works()
		if q := w.g.working(c); q == p {
			c.wantCall(p)
		}
		w.run(10 * time.Minute)
		c.works()
		if n := len(w.g.live()); n != 1 {
			t.Errorf("%d sessions live", n)
		}
		c.leave()
		w.run(5 * time.Minute)
		w.g.empty()
	})
}

func TestAJoinedSessionSaysClosedAndEstablished(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	c.crash()
	c.dial()
	c.wantUp()
	if w.g.only() != p {
		t.Error("the client's main mode has not come to its session")
	}
	w.g.wantCount(2, 1)
	w.g.wantClosed(ike.ClosedByPeer)
	c.wantCall(p)
}

// TestAClientThatComesBackElsewhereIsANewPeer: the old session dies by its
// timers.
func TestAClientThatComesBackElsewhereIsANewPeer(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	c.crash()
	c.port = 4501
	c.dial()
	c.wantUp()
	if w.g.working(c) == p {
		t.Error("the new main mode has come to the old session")
	}
	w.run(10 * time.Minute)
	c.works()
	if !p.gone {
		t.Error("the old session is still there")
	}
	w.g.wantCount(2, 1)
}

// TestTrap34_AnotherIdentityOnTheSamePort gets nothing of the session that was
// there before.
func TestTrap34_AnotherIdentityOnTheSamePort(t *testing.T) {
	w := newWorld(t, 1)
	nat := w.nat("203.0.113.7")
	alice := w.client("alice", "192.168.1.2", nat)
	bob := w.client("bob", "192.168.1.3", nat)
	nat.Rebind(netip.Addr{}, 30000)
	alice.dial()
	alice.wantUp()
	old := w.g.only()
	alice.crash()
	nat.Rebind(netip.Addr{}, 30000) // the NAT has rebooted, and begins anew
	bob.dial()
	bob.wantUp()
	if w.g.working(bob) == old {
		t.Fatal("bob has alice's session")
	}
	if _, at := w.g.working(bob).m.Path(); at != old.est[0].Remote {
		t.Fatalf("bob is at %v, alice was at %v", at, old.est[0].Remote)
	}
	w.run(10 * time.Minute)
	bob.works()
	if !old.gone {
		t.Error("alice's session is still there")
	}
	w.g.wantCount(2, 1)
}

// TestTrap34_AFormerPortIsNobodysSession: alice's NAT has given her another
// port, and somebody who claims her identity comes from the first one. Two homes
// behind one provider's NAT look like this, where clients go by their private
// addresses.
func TestTrap34_AFormerPortIsNobodysSession(t *testing.T) {
	w := newWorld(t, 1)
	nat := w.nat("203.0.113.7")
	same := isakmp.AddrID(netip.MustParseAddr("192.168.1.2"))
	alice, bob := w.client("alice", "100.64.0.1", nat), w.client("bob", "100.64.0.2", nat)
	alice.id, bob.id = &same, &same
	nat.Rebind(netip.Addr{}, 30000)
	alice.dial()
	alice.wantUp()
	old := w.g.only()
	nat.Rebind(netip.Addr{}, 40000)
	alice.works()
	nat.Rebind(netip.Addr{}, 40001)
	nat.Rebind(netip.Addr{}, 40000)
	alice.works()
	nat.Rebind(netip.Addr{}, 50000)
	alice.works()
	nat.Rebind(netip.Addr{}, 30000)
	bob.dial()
	w.until("bob is up", bob.up)
	alice.works()
	bob.works()
	if w.g.working(bob) == old || w.g.working(alice) != old {
		t.Error("bob has alice's session")
	}
	w.g.wantCount(2, 0)
}

// TestTrap34_AGroupsKeyAloneGetsNobodysCall: bob has the key that alice has too,
// her private address and, since the NAT has rebooted, her port. Her packets are
// not sealed with his keys, for he does not know her tunnel. When she runs main
// mode anew herself she does.
func TestTrap34_AGroupsKeyAloneGetsNobodysCall(t *testing.T) {
	w := newWorld(t, 1)
	w.g.shared = true
	nat := w.nat("203.0.113.7")
	same := isakmp.AddrID(netip.MustParseAddr("192.168.1.2"))
	alice, bob := w.client("alice", "100.64.0.1", nat), w.client("bob", "100.64.0.2", nat)
	alice.id, bob.id = &same, &same
	nat.Rebind(netip.Addr{}, 30000)
	alice.dial()
	alice.wantUp()
	p := w.g.only()

	alice.rekey1()
	first, _ := p.m.SPIs()
	w.until("alice has run main mode anew", func() bool { alice.traffic(); spi, _ := p.m.SPIs(); return spi != first })
	alice.rekey2()
	alice.settle()
	alice.works()
	alice.wantCall(p)

	alice.crash()
	nat.Rebind(netip.Addr{}, 30000)
	bob.stops = stopQuick
	before := p.newest().spiIn
	bob.dial()
	w.run(10 * time.Second)
	if p.newest().spiIn == before {
		t.Fatal("bob's SA is not in alice's session: this test tries nothing")
	}
	if p.newest().call != nil {
		t.Error("bob gets what is meant for alice")
	}
}

// TestTrap34_ManyClientsBehindOneNAT: with equal private addresses and equal ids
// of L2TP, each has its own session, and INITIAL-CONTACT of one harms no other.
func TestTrap34_ManyClientsBehindOneNAT(t *testing.T) {
	for _, n := range []int{2, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			seeds(t, 40, func(t *testing.T, w *world) {
				w.rough()
				same := isakmp.AddrID(netip.MustParseAddr("192.168.1.2"))
				nat := w.nat("203.0.113.7")
				for i := range n {
					c := w.client(fmt.Sprintf("user-%d", i), fmt.Sprintf("100.64.0.%d", i+1), nat)
					id := uint16(7)
					c.id, c.l2tp.NewID = &same, func() uint16 { id++; return id }
					c.again = true
					c.dial()
				}
				for _, c := range w.clients {
					w.until(c.name+" is up", c.up)
				}
				w.clients[0].crash()
				w.clients[0].dial()
				w.clients[1].rekey1()
				w.clients[1].rekey2()
				w.run(time.Minute)
				w.smooth()
				for _, c := range w.clients {
					w.until(c.name+" is up", c.up)
					c.works()
					w.g.working(c)
				}
				for _, c := range w.clients[1:] {
					if c.life > 0 {
						t.Errorf("%s was cut off: %v", c.name, c.log)
					}
				}
				for _, c := range w.clients {
					c.leave()
				}
				w.run(10 * time.Minute)
				w.g.empty()
			})
		})
	}
}

// TestTrap34_TwoHomesWithTheSamePrivateAddress and equal ids of L2TP: one crashes
// and comes back with INITIAL-CONTACT, and the other notices nothing.
func TestTrap34_TwoHomesWithTheSamePrivateAddress(t *testing.T) {
	w := newWorld(t, 1)
	same := isakmp.AddrID(netip.MustParseAddr("192.168.1.2"))
	for i, name := range []string{"alice", "bob"} {
		c := w.client(name, "192.168.1.2", w.nat(fmt.Sprintf("203.0.113.%d", i+1)))
		id := uint16(7)
		c.id, c.l2tp.NewID = &same, func() uint16 { id++; return id }
		c.dial()
	}
	for _, c := range w.clients {
		c.wantUp()
	}
	w.clients[0].crash()
	w.clients[0].dial()
	w.clients[0].wantUp()
	w.clients[1].works()
	if n := w.clients[1].ups; n != 1 {
		t.Errorf("bob came up %d times", n)
	}
	w.g.wantCount(3, 1)
}

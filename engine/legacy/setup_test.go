package legacy

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/cryptotest"
	"time"

	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
)

// seeds runs a test in so many worlds.
func seeds(t *testing.T, n int, f func(t *testing.T, w *world)) {
	t.Helper()
	if testing.Short() {
		n = max(1, n/20)
	}
	for seed := range uint64(n) {
		ok := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			f(t, makeWorld(t, seed))
		})
		if !ok {
			return // one is enough to look at
		}
	}
}

// rough is a bad radio link.
func (w *world) rough() {
	w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0.12, 0.1, 0.15
	w.net.Link.Jitter = 30 * time.Millisecond
}

func (w *world) smooth() {
	w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder, w.net.Link.Jitter = 0, 0, 0, 0
}

func (w *world) nat(outside string) *simnet.NAT {
	return w.net.NAT(netip.MustParseAddr(outside))
}

func TestASessionComesUpAndEnds(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client("alice", "192.0.2.1", nil)
	c.dial()
	c.wantUp()
	w.g.wantCount(1, 0)
	if p := w.g.only(); p.est[0].Admission.Identity != "alice" || p.m.Leased().IPv4.String() != "10.70.0.106" {
		t.Errorf("established as %+v with %v", p.est[0], p.m.Leased())
	}
	c.leave()
	w.run(time.Minute)
	w.g.wantCount(1, 1)
	w.g.wantClosed(ike.ClosedByPeer)
	w.g.empty()
}

// TestEverySeedComesUpOnABadNetwork: loss, copies and disorder, with a NAT that
// forgets in the middle of it.
func TestEverySeedComesUpOnABadNetwork(t *testing.T) {
	seeds(t, 2000, func(t *testing.T, w *world) {
		w.rough()
		nat := w.nat("203.0.113.7")
		c := w.client("alice", "192.168.1.2", nat)
		c.again = true
		c.dial()
		if w.net.Rand.IntN(3) == 0 {
			w.net.At(w.now().Add(time.Duration(w.net.Rand.IntN(5000))*time.Millisecond), func() { nat.Rebind(netip.Addr{}, 0) })
		}
		w.until("alice is up", c.up)
		w.smooth()
		c.works()
		p := w.g.working(c)
		if n := len(p.est); n != 1 {
			t.Errorf("%d Established of the session in use", n)
		}
		c.leave()
		w.run(5 * time.Minute)
		w.g.empty()
	})
}

package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
)

func TestTheChildrenOfASessionShareItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, clients := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		gateway.hook = func(s *Session, ev ike.Event) {
			if _, ok := ev.(ike.Established); ok && s.Data == nil {
				s.Data = new(dataplane.Rate)
			}
		}
		const sessions = 3
		for i := range sessions {
			clients.connect(t, gateway, uint16(1000+i))
		}
		settle(t, time.Minute)
		before, spis := rates(t, gateway)
		if len(before) != sessions {
			t.Fatalf("%d rates in the plane for %d sessions", len(before), sessions)
		}
		settle(t, 24*time.Hour)
		after, later := rates(t, gateway)
		for r := range after {
			if !before[r] {
				t.Error("a rekeyed Child SA has another rate than the one before it")
			}
		}
		for spi := range later {
			if spis[spi] {
				t.Errorf("Child SA %08x was not rekeyed within a day", spi)
			}
		}
		if len(after) != sessions {
			t.Errorf("%d rates after a day, want those of %d sessions", len(after), sessions)
		}
		for _, sa := range clients.plane.SAs() {
			if sa.Rate != nil {
				t.Error("a Child SA has a rate that nobody gave it")
			}
		}
		closeBoth(t, clients, gateway)
	})
}

// rates are the rates and the SPIs in the plane of h; each Child SA must have
// come with its rate.
func rates(t *testing.T, h *host) (seen map[*dataplane.Rate]bool, spis map[uint32]bool) {
	t.Helper()
	seen, spis = map[*dataplane.Rate]bool{}, map[uint32]bool{}
	for spi, sa := range h.plane.SAs() {
		if sa.Rate == nil {
			t.Errorf("Child SA %08x was added without its rate", spi)
		}
		seen[sa.Rate], spis[spi] = true, true
	}
	return seen, spis
}

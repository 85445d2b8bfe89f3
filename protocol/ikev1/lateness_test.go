package ikev1

import (
	"testing"
	"time"

	"sallyport/protocol/ikev1/isakmp"
)

// Sequence numbers belong to an ISAKMP SA. A peer that had just proved that it
// lives, by a new main mode, was given up because of a probe of the old one.
func TestProbeDoesNotOutliveItsISAKMPSA(t *testing.T) {
	w := newWorld(t, 1, true)
	w.g.policy.DPD = -1
	w.up()
	w.mangle = func(from *node, d Datagram) []Datagram {
		if h, err := isakmp.ParseHeader(d.Data); err == nil && from == w.g && h.Exchange == isakmp.ExchangeInformational {
			return nil
		}
		return []Datagram{d}
	}
	w.run(65 * time.Second)
	if w.c.session().probe == nil {
		t.Fatal("the client does not ask")
	}
	w.c.do(RekeyPhase1{})
	w.run(time.Second)
	w.mangle = nil
	w.run(3 * time.Minute)
	if len(w.c.closed) > 0 {
		t.Fatalf("%+v", w.c.closed)
	}
	w.works()
}

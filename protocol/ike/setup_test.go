package ike

import (
	"net/netip"
	"slices"
	"testing"

	"sallyport/protocol/ike/ikemsg"
)

func TestSetUpMakesATunnel(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	w.settled(1)
	c := w.i.installed[w.i.onlyChild()]
	if want := []ikemsg.TrafficSelector{
		ikemsg.PrefixSelector(netip.MustParsePrefix("10.60.0.7/32")), ikemsg.PrefixSelector(netip.MustParsePrefix("fd00:60::7/128")),
	}; !slices.Equal(c.TSLocal, want) {
		t.Errorf("client selectors %v, want %v", c.TSLocal, want)
	}
	if got := w.i.session.Leased(); got.IPv4 != w.r.pool.IPv4 || got.IPv6 != w.r.pool.IPv6 || !slices.Equal(got.DNS, w.r.pool.DNS) || !slices.Equal(got.Domains, w.r.pool.Domains) {
		t.Errorf("client was given %+v, want %+v", got, w.r.pool)
	}
	if !w.r.est.InitialContact {
		t.Error("INITIAL_CONTACT got lost")
	}
	if w.i.session.hs != nil || w.r.session.hs != nil {
		t.Error("set-up state is kept after the set-up")
	}
}

package guard

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

func TestSpansEndWithTheirPrefix(t *testing.T) {
	for prefix, last := range map[string]string{
		"10.0.0.0/8": "10.255.255.255", "10.60.7.7/32": "10.60.7.7", "0.0.0.0/0": "255.255.255.255", "10.1.2.128/25": "10.1.2.255",
		"fd00::/8": "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00:62::/59": "fd00:62:0:1f:ffff:ffff:ffff:ffff",
	} {
		p := netip.MustParsePrefix(prefix)
		if got := spanOf(p); got.first != p.Addr() || got.last.String() != last {
			t.Errorf("%s is %v to %v", prefix, got.first, got.last)
		}
	}
}

// TestReachAgreesWithItsRule compares the sets with the rule, address by address:
// in reach is what the narrowest statement about an address opens.
func TestReachAgreesWithItsRule(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		reach, closed := randomNetworks(random), randomNetworks(random)
		all, opened := allowed(spans(reach, false), spans(closed, false))
		for i := range 256 {
			a := netip.AddrFrom4([4]byte{255, 255, 255, byte(i)}) // the end of the address space too
			if got, want := holds(all, a), inReach(a, reach, closed, false); got != want {
				t.Fatalf("%v with reach %v and closed %v: %v, want %v (%v)", a, reach, closed, got, want, all)
			}
			if got, want := holds(opened, a), inReach(a, reach, closed, true); got != want {
				t.Fatalf("%v with reach %v and closed %v: opened %v, want %v (%v)", a, reach, closed, got, want, opened)
			}
		}
		for i, s := range all {
			if s.last.Less(s.first) || i > 0 && !all[i-1].last.Next().Less(s.first) {
				t.Fatalf("the spans are not apart: %v", all)
			}
		}
	}
}

func randomNetworks(random *rand.Rand) (list []netip.Prefix) {
	for range random.IntN(5) {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, byte(random.IntN(256))}), 24+random.IntN(9)).Masked())
	}
	return list
}

func holds(list []span, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(s span) bool { return s.holds(span{a, a}) })
}

// inReach is the rule in other words: a network in reach counts for an address
// that no closed network has, or if it is itself inside a closed one.
func inReach(a netip.Addr, reach, closed []netip.Prefix, openedOnly bool) bool {
	return slices.ContainsFunc(reach, func(r netip.Prefix) bool {
		named := slices.ContainsFunc(closed, func(c netip.Prefix) bool { return c.Bits() <= r.Bits() && c.Contains(r.Addr()) })
		shut := slices.ContainsFunc(closed, func(c netip.Prefix) bool { return c.Contains(a) })
		return r.Contains(a) && (named || !shut && !openedOnly)
	})
}

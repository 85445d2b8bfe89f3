package gateway

import (
	"net/netip"
	"testing"
	"time"
)

func TestArrivalsOfOneSourceAreBounded(t *testing.T) {
	var a arrivals
	now := time.Unix(1_800_000_000, 0)
	office, other := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	let := func(at time.Time, from netip.Addr, key uint64, want bool, what string) {
		t.Helper()
		if a.admit(at, from, key, 2) != want {
			t.Errorf("%s: admitted is %v", what, !want)
		}
	}
	let(now, office, 1, true, "the first of a second")
	let(now, office, 2, true, "the second")
	let(now, office, 3, false, "one too many")
	let(now, other, 4, true, "one of another source")
	for range 5 {
		let(now, office, 1, true, "a copy of what was let through")
	}
	let(now, office, 3, false, "a copy of what was not")
	let(now.Add(time.Second), office, 3, true, "it again a second later")
	let(now.Add(time.Second), office, 1, true, "an old copy")
	let(now.Add(time.Second), office, 5, true, "copies do not count")
	let(now.Add(time.Second), office, 6, false, "but the others do")
	six := netip.MustParseAddr("2001:db8::1")
	let(now, six, 7, true, "IPv6")
	let(now, netip.MustParseAddr("2001:db8::ffff"), 8, true, "the same /64")
	let(now, netip.MustParseAddr("2001:db8::aaaa:0:0:1"), 9, false, "the same /64, too many")
}

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
		if a.admit(at, netip.AddrPortFrom(from, 500), key, 2) != want {
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

// TestNoMessagePassesForTheCopyOfAnother: whoever knows how copies are told could
// send any number of first messages that look like one.
func TestNoMessagePassesForTheCopyOfAnother(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	source := netip.MustParseAddr("192.0.2.7")
	for what, sent := range map[string]func(n uint64) (netip.AddrPort, uint64){
		"other cookies from other ports": func(n uint64) (netip.AddrPort, uint64) {
			const inverse = 0xef7bdef7bdef7bdf // of 31: cookie*31 + port stays the same
			return netip.AddrPortFrom(source, uint16(1000+n)), 7 - n*inverse
		},
		"the cookie from other ports": func(n uint64) (netip.AddrPort, uint64) { return netip.AddrPortFrom(source, uint16(1000+n)), 7 },
		"one message for ever":        func(uint64) (netip.AddrPort, uint64) { return netip.AddrPortFrom(source, 500), 7 },
	} {
		var a arrivals
		in := 0
		for n := range uint64(1000) {
			if from, cookie := sent(n); a.admit(now, from, cookie, 2) {
				in++
			}
		}
		if most := 2 * (1 + maxCopies); in > most {
			t.Errorf("%s: %d were let in within a second, want %d at most", what, in, most)
		}
	}
}

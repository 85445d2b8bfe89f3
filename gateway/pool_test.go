package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func testPool(t *testing.T, v4, v6 string) *addressPool {
	t.Helper()
	parse := func(s string) netip.Prefix {
		if s == "" {
			return netip.Prefix{}
		}
		return netip.MustParsePrefix(s)
	}
	p, err := newAddressPool(parse(v4), parse(v6), 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDeviceKeepsItsAddressesWhileAway(t *testing.T) {
	p := testPool(t, "10.60.0.0/24", "fd00:60::/64")
	now := time.Unix(1000, 0)
	first, changed, _, err := p.acquire("laptop", addressing{}, true, true, now)
	if err != nil || !changed {
		t.Fatalf("first acquire: changed=%v err=%v", changed, err)
	}
	if got, want := first.IPv4, netip.MustParseAddr("10.60.0.2"); got != want {
		t.Errorf("first address is %v, want %v: .1 is the gateway's", got, want)
	}
	if !first.IPv6.IsValid() {
		t.Error("no IPv6 address")
	}
	p.begin("laptop")
	p.end("laptop", now)
	for i := range 50 {
		if _, _, _, err := p.acquire(fmt.Sprint("other", i), addressing{}, true, true, now); err != nil {
			t.Fatal(err)
		}
	}
	again, changed, _, err := p.acquire("laptop", addressing{}, true, true, now.Add(time.Hour))
	if err != nil || changed || again.IPv4 != first.IPv4 || again.IPv6 != first.IPv6 {
		t.Errorf("after coming back: %v %v changed=%v err=%v, want %v %v unchanged", again.IPv4, again.IPv6, changed, err, first.IPv4, first.IPv6)
	}
}

func TestTwoDevicesNeverShareAnAddress(t *testing.T) {
	p := testPool(t, "10.60.0.0/22", "fd00:60::/112")
	seen := make(map[netip.Addr]string)
	for i := range 1021 { // 1024 less network, broadcast and gateway
		d := fmt.Sprint("d", i)
		l, _, _, err := p.acquire(d, addressing{}, true, true, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []netip.Addr{l.IPv4, l.IPv6} {
			if other, taken := seen[a]; taken {
				t.Fatalf("%v given to %s and %s", a, other, d)
			}
			seen[a] = d
		}
	}
	if _, _, _, err := p.acquire("one too many", addressing{}, true, false, time.Now()); !errors.Is(err, errPoolFull) {
		t.Errorf("full pool: got %v", err)
	}
}

func TestFullPoolTakesFromTheDeviceLongestAway(t *testing.T) {
	p := testPool(t, "10.0.0.0/29", "") // five devices
	base := time.Unix(0, 0)
	for i := range 5 {
		if _, _, _, err := p.acquire(fmt.Sprint("d", i), addressing{}, true, false, base.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		p.begin(fmt.Sprint("d", i))
	}
	p.end("d1", base.Add(6*time.Hour))
	p.end("d3", base.Add(7*time.Hour))
	if _, _, _, err := p.acquire("early", addressing{}, true, false, base.Add(6*time.Hour)); !errors.Is(err, errPoolFull) {
		t.Fatalf("an address that was in use a moment ago was given away: %v", err)
	}
	l, changed, lost, err := p.acquire("new", addressing{}, true, false, base.Add(9*time.Hour))
	if err != nil || !changed || len(lost) != 1 || lost[0] != "d1" {
		t.Fatalf("lease %v changed=%v lost=%v err=%v, want the address of d1", l.IPv4, changed, lost, err)
	}
	if _, active := p.used(); active != 3 {
		t.Errorf("%d active, want 3", active)
	}
}

func TestReconnectBeforeTheOldSessionDiesTakesNoSecondAddress(t *testing.T) {
	p := testPool(t, "10.0.0.0/29", "")
	a, _, _, _ := p.acquire("phone", addressing{}, true, false, time.Now())
	for range 20 {
		b, changed, _, err := p.acquire("phone", addressing{}, true, false, time.Now())
		if err != nil || changed || a.IPv4 != b.IPv4 {
			t.Fatalf("reconnect got %v changed=%v err=%v, want %v again (trap 15)", b.IPv4, changed, err, a.IPv4)
		}
	}
}

func TestRestoreRefusesWhatThePoolNoLongerHas(t *testing.T) {
	p := testPool(t, "10.0.0.0/29", "")
	p.restore("kept", lease{IPv4: netip.MustParseAddr("10.0.0.4")})
	p.restore("outside", lease{IPv4: netip.MustParseAddr("10.9.0.4")})
	p.restore("gateway", lease{IPv4: netip.MustParseAddr("10.0.0.1")})
	p.restore("twin", lease{IPv4: netip.MustParseAddr("10.0.0.4")})
	for device, want := range map[string]bool{"kept": true, "outside": false, "gateway": false, "twin": false} {
		l, changed, _, err := p.acquire(device, addressing{}, true, false, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if changed == want {
			t.Errorf("%s: changed=%v (address %v), want kept=%v", device, changed, l.IPv4, want)
		}
	}
}

func TestPoolTooSmallIsAnError(t *testing.T) {
	for _, s := range []string{"10.0.0.0/32", "10.0.0.0/31", "fd00::/128"} {
		if _, err := newFamily(netip.MustParsePrefix(s), 0); err == nil {
			t.Errorf("pool %s was accepted", s)
		}
	}
}

// TestAnAddressIsNobodyElsesWhileASessionUsesIt: a session that is up keeps its
// address when the next one of the same device is given another.
func TestAnAddressIsNobodyElsesWhileASessionUsesIt(t *testing.T) {
	p := testPool(t, "10.60.0.0/29", "")
	now := time.Now()
	first, _, _, err := p.acquire("user:bob", addressing{}, true, false, now)
	if err != nil {
		t.Fatal(err)
	}
	p.begin("user:bob")
	own := InnerAddrs{IPv4: netip.MustParseAddr("10.60.0.5")}
	p.reserve([]InnerAddrs{own})
	next, _, _, err := p.acquire("user:bob", addressing{fixed: own}, true, false, now)
	if err != nil || next.IPv4 != own.IPv4 {
		t.Fatalf("bob's next session has %v, %v", next.IPv4, err)
	}
	p.begin("user:bob")
	got := map[netip.Addr]bool{}
	for i := range 4 { // 3, 4 and 6 are free, 5 is bob's own
		l, _, _, _ := p.acquire(fmt.Sprint("d", i), addressing{}, true, false, now)
		got[l.IPv4] = true
	}
	if got[first.IPv4] {
		t.Errorf("somebody else has %v, which a session of bob's uses", first.IPv4)
	}
	p.end("user:bob", now)
	p.end("user:bob", now)
	if l, _, _, err := p.acquire("late", addressing{}, true, false, now); err != nil || l.IPv4 != first.IPv4 {
		t.Errorf("with bob's sessions over, %v is not given out: %v, %v", first.IPv4, l.IPv4, err)
	}
}

func TestAnAddressOfItsOwnThatIsInUseIsToldFromAFullPool(t *testing.T) {
	p := testPool(t, "10.60.0.0/29", "")
	now := time.Now()
	held, _, _, err := p.acquire("eve", addressing{}, true, false, now)
	if err != nil {
		t.Fatal(err)
	}
	p.begin("eve")
	own := InnerAddrs{IPv4: held.IPv4}
	p.reserve([]InnerAddrs{own})
	if _, _, _, err := p.acquire("user:bob", addressing{fixed: own}, true, false, now); !errors.Is(err, errFixedHeld) {
		t.Errorf("while eve's session lasts: %v", err)
	}
	p.end("eve", now)
	if l, _, _, err := p.acquire("user:bob", addressing{fixed: own}, true, false, now); err != nil || l.IPv4 != own.IPv4 {
		t.Errorf("when it is over: %v, %v", l.IPv4, err)
	}
}

// TestALoginUnderWayKeepsTheAddressOfItsOwn: two machines of a user who have one
// address, and come back at one moment.
func TestALoginUnderWayKeepsTheAddressOfItsOwn(t *testing.T) {
	p := testPool(t, "10.60.0.0/24", "")
	own := addressing{fixed: InnerAddrs{IPv4: netip.MustParseAddr("10.60.0.7")}}
	now := time.Unix(1000, 0)
	if _, _, _, err := p.acquire("user:bob", own, true, false, now); err != nil {
		t.Fatal(err)
	}
	if l, _, _, err := p.acquire("user:bob#2", own, true, false, now); !errors.Is(err, errFixedHeld) {
		t.Errorf("the second machine got %v, %v", l.IPv4, err)
	}
	later := now.Add(recent + time.Second) // the first one never came up
	if l, _, _, err := p.acquire("user:bob#2", own, true, false, later); err != nil || l.IPv4 != own.fixed.IPv4 {
		t.Errorf("later it got %v, %v", l.IPv4, err)
	}
	p.begin("user:bob#2")
	if _, _, _, err := p.acquire("user:bob", own, true, false, later.Add(time.Hour)); !errors.Is(err, errFixedHeld) {
		t.Errorf("taken from a live session: %v", err)
	}
}

func TestAnAddressOfItsOwnIsGivenOrTheLoginRefused(t *testing.T) {
	p := testPool(t, "10.60.0.0/24", "fd00:60::/64")
	own := addressing{fixed: InnerAddrs{IPv4: netip.MustParseAddr("10.60.0.7")}}
	if _, _, _, err := p.acquire("a", own, true, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.begin("a")
	if l, _, _, err := p.acquire("b", own, true, true, time.Now()); !errors.Is(err, errFixedHeld) {
		t.Errorf("given %v and %v, %v", l.IPv4, l.IPv6, err)
	}
	own.fixed.IPv4 = netip.MustParseAddr("10.61.0.7")
	if l, _, _, err := p.acquire("c", own, true, true, time.Now()); !errors.Is(err, errFixedElsewhere) {
		t.Errorf("given %v and %v, %v", l.IPv4, l.IPv6, err)
	}
}

func TestDevicesOnPPPLinksGetANetworkEach(t *testing.T) {
	p, err := newAddressPool(netip.Prefix{}, netip.MustParsePrefix("fd00:61::/62"), 64)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, want := range []string{"fd00:61:0:1::", "fd00:61:0:2::", "fd00:61:0:3::"} {
		l, _, _, err := p.acquire(fmt.Sprint("d", i), addressing{}, false, true, now)
		if err != nil || l.IPv6.String() != want {
			t.Errorf("device %d got %v, %v, want %s", i, l.IPv6, err, want)
		}
		p.begin(fmt.Sprint("d", i))
	}
	if _, _, _, err := p.acquire("d3", addressing{}, false, true, now); !errors.Is(err, errPoolFull) {
		t.Errorf("a fifth network of four: %v", err)
	}
	fixed := addressing{fixed: InnerAddrs{IPv6: netip.MustParseAddr("fd00:61:0:2::7")}}
	if _, _, _, err := p.acquire("d4", fixed, false, true, now); !errors.Is(err, errFixedHeld) {
		t.Errorf("an address in the network of another device: %v", err)
	}
	if _, err := newAddressPool(netip.Prefix{}, netip.MustParsePrefix("fd00:61::/64"), 64); err == nil {
		t.Error("a pool of one network was taken: the gateway needs one, too")
	}
}

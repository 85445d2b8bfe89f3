package userspace

import (
	"net/netip"
	"runtime"
	"testing"

	"sallyport/dataplane"
	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
)

// budget is what one Child SA may cost in the plane, keys, window, path and
// routes included, in octets. A session may cost 8 KiB in all.
const budget = 4096

func TestOneChildSAStaysInItsMemoryBudget(t *testing.T) {
	t.Run("tunnel", func(t *testing.T) { wantInBudget(t, func(_, _ *dataplane.ChildSA) {}) })
	t.Run("L2TP", func(t *testing.T) { wantInBudget(t, overL2TP(numbered)) })
}

func wantInBudget(t *testing.T, change func(a, b *dataplane.ChildSA)) {
	const n = 5000
	o := newOffline(t)
	before := heap()
	for i := range uint32(n) {
		sa, peer := pairOf(gcm256, i, false)
		addr := netip.AddrFrom4([4]byte{10, 60, byte(i >> 8), byte(i)})
		sa.TSRemote = []ikemsg.TrafficSelector{{EndPort: 65535, Start: addr, End: addr}}
		sa.KeyIn, sa.KeyOut = make(secret.Bytes, 36), make(secret.Bytes, 36)
		sa.SPIIn = 0x10000 + i
		change(&sa, &peer)
		if err := o.Apply(dataplane.Add{SA: sa}); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / n
	t.Logf("%d octets of heap per Child SA", each)
	if each > budget {
		t.Errorf("a Child SA costs %d octets, budget %d", each, budget)
	}
	runtime.KeepAlive(o)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

package ppp

import (
	"runtime"
	"testing"

	"sallyport/protocol/ppp/pppmsg"
)

// budget is what an idle link may cost, in octets: there may be many thousands.
const budget = 1024

func TestAnIdleLinkFitsItsBudget(t *testing.T) {
	shared := &Config{Role: Server, Local: serverIPv4}
	kept := make([]*Link, 2000)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range kept {
		s := ready(t)
		s.openIPCP()
		s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 1, "010a 0000000000000007")
		s.acknowledge(pppmsg.IPV6CP)
		if !s.up.IPv6Open {
			t.Fatal("IPv6 is not open")
		}
		kept[i], s.link.cfg = s.link, shared // the rest of the script goes
	}
	each := (heap() - before) / uint64(len(kept))
	t.Logf("an idle link takes %d octets", each)
	if each > budget {
		t.Errorf("an idle link takes %d octets, and may take %d", each, budget)
	}
	runtime.KeepAlive(kept)
}

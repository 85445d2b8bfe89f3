package ikev1

import (
	"runtime"
	"testing"
	"time"
)

// sessionBudget is what an established session may keep on the heap.
const sessionBudget = 4096

func TestHeapPerEstablishedSession(t *testing.T) {
	const n = 300
	pair := func() *Session {
		w := newWorld(t, 1, true)
		w.up()
		s := w.g.session()
		var out Out
		later := w.now().Add(answerKept + time.Second)
		s.lastHeard = later // there is traffic
		s.Timeout(later, &out)
		s.cfg = nil // shared by all sessions; here it leads to the whole world
		s.admission = nil
		return s
	}
	pair()
	keep := make([]*Session, 0, n)
	before := heap()
	for range n {
		keep = append(keep, pair())
	}
	size := (heap() - before) / n
	t.Logf("%d octets per session", size)
	if size > sessionBudget || size < 200 {
		t.Errorf("%d octets per idle session, the budget is %d", size, sessionBudget)
	}
	runtime.KeepAlive(keep)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

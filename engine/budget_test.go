package engine

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"sallyport/protocol/ike"
)

// maxSessionHeap is the budget of one established session: 8 KB for all of it,
// of which the data plane and the gateway's tables have their share.
const maxSessionHeap = 6 << 10

// TestHeapPerSession sets sessions up, takes their initiators away and looks at
// what is left.
func TestHeapPerSession(t *testing.T) {
	if testing.Short() {
		t.Skip("short: sets up a thousand sessions")
	}
	const sessions = 1000
	got := heapPerSession(t, sessions)
	t.Logf("%d octets of heap per established session (at %d)", got, sessions)
	if got > maxSessionHeap {
		t.Errorf("an established session takes %d octets of heap, the budget is %d", got, maxSessionHeap)
	}
}

// BenchmarkSessions reports the heap of 20,000 established sessions.
func BenchmarkSessions(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(heapPerSession(b, 20_000)), "B/session")
	}
}

func heapPerSession(t testing.TB, sessions int) int {
	t.Helper()
	var net lan
	gateway := net.join(t, "192.0.2.1", nil)
	gateway.SetLimits(Limits{PerSource: 1 << 20, HalfOpen: 1 << 20})
	before := heap()
	connectAll(t, &net, gateway, sessions)
	after := heap()
	if n := gateway.Stats().Sessions; n != sessions {
		t.Fatalf("%d sessions, want %d", n, sessions)
	}
	runtime.KeepAlive(gateway)
	return (after - before) / sessions
}

// connectAll makes the sessions in batches, from hosts that then vanish.
func connectAll(t testing.TB, net *lan, gateway *host, sessions int) {
	t.Helper()
	const batch = 500
	for from := 0; from < sessions; from += batch {
		client := net.join(t, fmt.Sprintf("198.51.%d.%d", from/batch/200, 1+from/batch%200), nil)
		for i := range min(batch, sessions-from) {
			client.connect(t, gateway, uint16(1000+i))
		}
		deadline := time.Now().Add(time.Minute)
		for int(gateway.Stats().Established) < min(sessions, from+batch) {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d sessions after a minute: %+v", gateway.Stats().Established, from+batch, gateway.Stats())
			}
			time.Sleep(10 * time.Millisecond)
		}
		net.leave(client)
		client.abandonAll()
	}
}

// abandonAll stops a host without a word to anybody and lets go of its memory.
func (h *host) abandonAll() {
	h.closing.Store(true)
	for _, sh := range h.shards {
		close(sh.stop)
	}
	h.loops.Wait()
	h.workers.close()
	h.shards, h.plane, h.events = nil, nil, nil
}

func heap() int {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// BenchmarkSetup sets sessions up one after the other, both ends in this
// process: the time is that of initiator and responder together.
func BenchmarkSetup(b *testing.B) {
	var net lan
	gateway, client := net.join(b, "192.0.2.1", nil), net.join(b, "198.51.100.7", nil)
	gateway.SetLimits(Limits{PerSource: 1 << 20, HalfOpen: 1 << 20})
	done := make(chan struct{}, 1)
	gateway.hook = func(_ *Session, ev ike.Event) {
		if _, ok := ev.(ike.Established); ok {
			done <- struct{}{}
		}
	}
	b.ReportAllocs()
	for i := range b.N {
		client.connect(b, gateway, uint16(1000+i%60000))
		<-done
	}
}

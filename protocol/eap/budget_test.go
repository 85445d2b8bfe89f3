package eap

import (
	"crypto/tls"
	"runtime"
	"testing"
)

// heapOf is the heap that each of n conversations keeps, in octets, stacks of
// coroutines included.
func heapOf(n int, begin func() *Server) uint64 {
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	all := make([]*Server, 0, n)
	before := used()
	for range n {
		all = append(all, begin())
	}
	after := used()
	for _, s := range all {
		s.Close()
	}
	return (after - before) / uint64(n)
}

// A conversation before its ClientHello is what a flood of identities costs; in
// the middle of the handshake it is what a flood of hellos costs.
func TestConversationsFitTheirBudget(t *testing.T) {
	sc, pc := combination{method: TypeTLS, version: tls.VersionTLS13}.configs()
	p := soloPeer(t, pc)
	hello := bytesJoin(t, p, p.say(Packet{CodeRequest, 2, TypeTLS, []byte{flagStart}}))
	begin := func(withHello bool) func() *Server {
		return func() *Server {
			s, err := NewServer(sc)
			must(err)
			var out Out
			s.StartWith(start, "flood", 1, &out)
			if withHello {
				out.Reset()
				s.Receive(start, Packet{CodeResponse, 2, TypeTLS, hello}.Append(nil), &out)
				v, err := out.Jobs[0].Task.(*Handshake).Run()
				s.Done(start, Result{out.Jobs[0].ID, v, err}, &out)
			}
			return s
		}
	}
	const waiting, shaking = 1 << 10, 64 << 10
	if got := heapOf(1000, begin(false)); got > waiting {
		t.Errorf("a conversation that waits for a ClientHello keeps %d octets, over %d", got, waiting)
	} else {
		t.Logf("waiting for a ClientHello: %d octets", got)
	}
	if got := heapOf(200, begin(true)); got > shaking {
		t.Errorf("a conversation in its handshake keeps %d octets, over %d", got, shaking)
	} else {
		t.Logf("in the handshake: %d octets", got)
	}
}

// BenchmarkLogin is both ends of a login with mutual ECDSA P-256 certificates.
func BenchmarkLogin(b *testing.B) {
	for _, c := range []combination{{TypeTLS, InnerNone, tls.VersionTLS12}, {TypeTLS, InnerNone, tls.VersionTLS13}, {TypePEAP, InnerEAPMSCHAPv2, tls.VersionTLS13}} {
		b.Run(c.String(), func(b *testing.B) {
			sc, pc := c.configs()
			b.ReportAllocs()
			for b.Loop() {
				l := newLink(b, sc, pc)
				l.run()
				l.wantSuccess()
			}
		})
	}
}

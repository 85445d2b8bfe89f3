package userspace

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/dataplane"
)

func TestTwoPlanesCarryPingAndTCPOverL2TP(t *testing.T) {
	for _, c := range []struct {
		name    string
		cfg     Config
		v6outer bool
		change  []func(a, b *dataplane.Call)
	}{
		{"all offloads", Config{}, false, nil},
		{"numbered", Config{}, false, []func(a, b *dataplane.Call){numbered}},
		{"short, IPv6 outside", Config{}, true, []func(a, b *dataplane.Call){short}},
		{"no offload at all", Config{NoTUNOffload: true, NoUDPSegment: true, NoUDPCoalesce: true}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLink(t, c.cfg)
			l.connect(cbcSHA2, c.v6outer, overL2TP(c.change...))
			l.wantPing(innerB4)
			l.wantPing(innerB6)
			l.wantTransfer(innerB4, 8<<20)
			l.wantTransfer(innerB6, 8<<20)
			if n := l.a.counter("segment_refused") + l.b.counter("join_refused"); n > 0 {
				t.Errorf("an offload was refused %d times\n%s", n, l.counters())
			}
		})
	}
}

func TestAnL2TPPathNarrowerThanTheDeviceIsAnswered(t *testing.T) {
	l := newLink(t, Config{})
	for _, e := range []*end{l.a, l.b} {
		e.ip("link set out mtu 1280")
	}
	l.connect(gcm128, false, overL2TP())
	l.a.exec("ping -c 3 -i 0.2 -W 1 -M do -s 1372 " + innerB4)
	if n := l.a.counter("too_big"); n == 0 {
		t.Error("too_big was not counted")
	}
	l.wantPing("-M do -s 1172 " + innerB4) // 1200 octets fit
	l.wantTransfer(innerB4, 4<<20)
	l.wantTransfer(innerB6, 4<<20)
}

// TestTCPNeedsNoICMPOnANarrowPath is what the clamp is for: an ICMP error that
// somebody filters is not missed.
func TestTCPNeedsNoICMPOnANarrowPath(t *testing.T) {
	tunnel := func(_, _ *dataplane.ChildSA) {}
	for name, change := range map[string]func(a, b *dataplane.ChildSA){"tunnel": tunnel, "L2TP": overL2TP()} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t, Config{})
			for _, e := range []*end{l.a, l.b} {
				e.ip("link set out mtu 1280")
			}
			l.connect(gcm128, false, change)
			l.wantTransfer(innerB4, 4<<20)
			l.wantTransfer(innerB6, 4<<20)
			if n := l.a.counter("too_big") + l.b.counter("too_big"); n != 0 {
				t.Errorf("%d packets were too big\n%s", n, l.counters())
			}
			if l.a.counter("mss_clamped") == 0 {
				t.Errorf("nothing was clamped\n%s", l.counters())
			}
		})
	}
}

func TestL2TPMessagesTravelBothWays(t *testing.T) {
	for _, c := range []struct {
		name    string
		v6outer bool
		encap   dataplane.Encap
	}{{"UDP", false, dataplane.UDP}, {"IPv6", true, dataplane.UDP}, {"raw", false, dataplane.Raw}} {
		t.Run(c.name, func(t *testing.T) {
			l := newLink(t, Config{})
			l.connect(gcm128, c.v6outer, overL2TP(), func(a, b *dataplane.ChildSA) {
				a.Call, b.Call, a.Encap, b.Encap = nil, nil, c.encap, c.encap
			})
			msg := l2tpMessage(l2tpControl|l2tpLength|l2tpSequence, 0, 0, 0, random(3, 500)...)
			want := innerMessage{0x2001, 1701, string(msg)}
			for range 3 {
				if err := l.a.plane.SendInner(0x1001, 1701, msg); err != nil {
					t.Fatal(err)
				}
			}
			if got := l.b.wantInner(3); !slices.Equal(got, []innerMessage{want, want, want}) {
				t.Errorf("handed up %+v", got)
			}
			if st, _ := l.a.plane.Stats(0x1001); st.PacketsOut != 3 || st.BytesOut != 3*uint64(len(msg)) {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// wantInner waits for n messages.
func (e *end) wantInner(n int) []innerMessage {
	e.t.Helper()
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		e.mu.Lock()
		got := slices.Clone(e.inner)
		e.mu.Unlock()
		if len(got) >= n || time.Now().After(deadline) {
			return got
		}
	}
}

func TestSendInnerSaysWhatIsWrong(t *testing.T) {
	a, _ := couple(t, gcm128, overL2TP())
	tunnel, _ := couple(t, gcm128)
	expired, _ := couple(t, gcm128, overL2TP(), func(a, _ *dataplane.ChildSA) { a.Limits.Expires = time.Now().Add(-time.Hour) })
	spent, _ := couple(t, gcm256, overL2TP())
	spent.spis.lookup(0x1001).out.seq.Store(1<<32 - 1)
	msg := make([]byte, 12)
	for name, err := range map[string]error{
		"unknown SPI":     a.SendInner(0x7777, 1701, msg),
		"tunnel mode":     tunnel.SendInner(0x1001, 1701, msg),
		"empty":           a.SendInner(0x1001, 1701, nil),
		"too long":        a.SendInner(0x1001, 1701, make([]byte, innerMax+1)),
		"expired":         expired.SendInner(0x1001, 1701, msg),
		"no numbers left": spent.SendInner(0x1001, 1701, msg),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	spent.wantEvents(dataplane.Event{Kind: dataplane.HardLimit, SPIIn: 0x1001})
}

func TestAMessageOfTheEventLoopIsSealedForThePort(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP(), outside6)
	sa := a.spis.lookup(0x1001)
	msg := random(1, 333)
	d := sa.sealInner(sa.path.Load(), 1, 50123, msg)
	a.wire.datagrams = []datagram{{data: d}}
	want := spec{src: outerA6, dst: outerB6, proto: protoUDP, sport: 1701, dport: 50123, payload: msg}.build()
	if got := a.wire.opened(t, b, 0x2001)[0]; !bytes.Equal(got, want[40:]) {
		t.Errorf("datagram %x, want %x", got, want[40:])
	}
}

// TestCallsMayChangeWhilePacketsFlow is for the race detector, and loses no TCP
// connection.
func TestCallsMayChangeWhilePacketsFlow(t *testing.T) {
	l := newLink(t, Config{})
	var call *dataplane.Call
	l.connect(gcm128, false, overL2TP(numbered), func(a, _ *dataplane.ChildSA) { call = a.Call })
	var loop sync.WaitGroup
	done := make(chan struct{})
	loop.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
			c := *call
			next := &c
			if n%64 == 63 {
				next = nil
			}
			if err := l.a.plane.Apply(dataplane.SetCall{SPIIn: 0x1001, Call: next}); err != nil {
				t.Error(err)
			}
			if err := l.a.plane.SendInner(0x1001, 1701, l2tpMessage(l2tpControl|l2tpLength|l2tpSequence, 0, tunnelB, 0)); err != nil {
				t.Error(err)
			}
		}
	})
	l.wantTransfer(innerB4, 4<<20)
	close(done)
	loop.Wait()
	if n := l.a.counter("panics") + l.b.counter("panics"); n > 0 {
		t.Errorf("%d panics", n)
	}
}

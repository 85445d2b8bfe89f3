package userspace

import (
	"bytes"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
)

func TestTwoPlanesCarryPingAndTCP(t *testing.T) {
	for _, c := range []struct {
		name    string
		cfg     Config
		v6outer bool
	}{
		{"all offloads", Config{}, false},
		{"IPv6 outside", Config{}, true},
		{"one queue", Config{Queues: 1}, false},
		{"no TUN offload", Config{NoTUNOffload: true}, false},
		{"no UDP segmentation", Config{NoUDPSegment: true}, false},
		{"no UDP coalescing", Config{NoUDPCoalesce: true}, true},
		{"no offload at all", Config{NoTUNOffload: true, NoUDPSegment: true, NoUDPCoalesce: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLink(t, c.cfg)
			l.connect(gcm128, c.v6outer)
			l.wantPing(innerB4)
			l.wantPing(innerB6)
			l.wantPing("-Q 2 " + innerB4) // ECT(0): the outer header carries it too
			l.wantTransfer(innerB4, 8<<20)
			l.wantTransfer(innerB6, 8<<20)
			if n := l.a.counter("segment_refused") + l.b.counter("join_refused"); n > 0 {
				t.Errorf("an offload was refused %d times\n%s", n, l.counters())
			}
		})
	}
}

func TestUDPTrainsOfAnApplicationArriveWhole(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	for _, addr := range []string{innerB4, innerB6} {
		var in, out net.Conn
		var pc *net.UDPConn
		at := netip.AddrPortFrom(netip.MustParseAddr(addr), 7000)
		if err := l.b.do(func() (err error) { pc, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); return err }); err != nil {
			t.Fatal(err)
		}
		in = pc
		defer in.Close()
		if err := l.a.do(func() (err error) { out, err = net.Dial("udp", at.String()); return err }); err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		// QUIC servers send like this: one call, many datagrams (UDP_SEGMENT).
		raw, err := out.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1000) })
		if err != nil {
			t.Fatal(err)
		}
		train := random(9, 20*1000+300)
		if _, err := out.Write(train); err != nil {
			t.Fatal(err)
		}
		in.SetReadDeadline(time.Now().Add(3 * time.Second))
		buf := make([]byte, 4000)
		for off := 0; off < len(train); {
			n, err := in.Read(buf)
			want := train[off:min(off+1000, len(train))]
			if err != nil || !bytes.Equal(buf[:n], want) {
				t.Fatalf("%s: datagram at %d: %d octets, %v\n%s", addr, off, n, err, l.counters())
			}
			off += n
		}
	}
	if n := l.b.counter("join_refused"); n != 0 {
		t.Errorf("the device refused joined UDP frames %d times", n)
	}
}

func TestEverySuiteCarriesTraffic(t *testing.T) {
	l := newLink(t, Config{})
	for name, e := range allESP {
		t.Run(name, func(t *testing.T) {
			a, b := pairOf(e, 7, false)
			l.a.apply(dataplane.Add{SA: a})
			l.b.apply(dataplane.Add{SA: b})
			l.wantPing(innerB4)
			l.wantTransfer(innerB4, 4<<20)
			l.a.apply(dataplane.Remove{SPIIn: a.SPIIn})
			l.b.apply(dataplane.Remove{SPIIn: b.SPIIn})
		})
	}
}

func TestRawESPCarriesTraffic(t *testing.T) {
	for _, v6outer := range []bool{false, true} {
		l := newLink(t, Config{})
		a, b := pairOf(gcm128, 1, v6outer)
		a.Encap, b.Encap = dataplane.Raw, dataplane.Raw
		l.a.apply(dataplane.Add{SA: a})
		l.b.apply(dataplane.Add{SA: b})
		l.wantPing(innerB4)
		l.wantPing(innerB6)
		l.wantTransfer(innerB4, 4<<20)
		if n := l.b.seen(dataplane.PeerMoved); n != 0 {
			t.Errorf("a peer that stayed was reported as moved %d times", n)
		}
	}
}

func TestEitherSideMayEncapsulateAsItLikes(t *testing.T) {
	l := newLink(t, Config{})
	a, b := pairOf(gcm128, 1, false)
	b.Encap = dataplane.Raw
	l.a.apply(dataplane.Add{SA: a})
	l.b.apply(dataplane.Add{SA: b})
	l.wantPing(innerB4)
	if n := l.a.seen(dataplane.PeerMoved) + l.b.seen(dataplane.PeerMoved); n != 0 {
		t.Errorf("PeerMoved came %d times, and nobody moved", n)
	}
}

func TestEventsOfARealTunnel(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	l.wantPing(innerB4)
	for _, e := range []*end{l.a, l.b} {
		if n := e.seen(dataplane.FirstInbound); n != 1 {
			t.Errorf("%s: FirstInbound came %d times", e.name, n)
		}
		if n := e.seen(dataplane.PeerMoved); n != 0 {
			t.Errorf("%s: PeerMoved came %d times", e.name, n)
		}
	}
	st, ok := l.b.plane.Stats(0x2001)
	if !ok || st.PacketsIn < 3 || st.PacketsOut < 3 || st.BytesIn < 3*84 || time.Since(st.LastInbound) > 10*time.Second {
		t.Errorf("stats %+v", st)
	}
}

func TestAPeerBehindAChangingNATIsFollowed(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	l.wantPing(innerB4)
	l.a.ip("addr add 192.0.2.77/24 dev out")
	moved := netip.MustParseAddrPort("192.0.2.77:4500")
	l.a.apply(dataplane.Move{SPIIn: 0x1001, Local: moved, Remote: netip.MustParseAddrPort(outerB4 + ":4500")})
	l.a.exec("ping -c 1 -W 1 " + innerB4)
	if n := l.b.seen(dataplane.PeerMoved); n == 0 {
		t.Fatalf("b did not see that a moved\n%s", l.counters())
	}
	l.b.mu.Lock()
	last := l.b.events[len(l.b.events)-1]
	l.b.mu.Unlock()
	if last.Kind != dataplane.PeerMoved || last.Remote != moved {
		t.Fatalf("event %+v, want a move to %v", last, moved)
	}
	l.b.apply(dataplane.Move{SPIIn: 0x2001, Local: netip.MustParseAddrPort(outerB4 + ":4500"), Remote: last.Remote})
	l.wantPing(innerB4)
	if n := l.a.seen(dataplane.PeerMoved); n != 0 {
		t.Errorf("b did not move, and was reported %d times", n)
	}
}

func TestRekeyUnderTrafficLosesNothing(t *testing.T) {
	rekeyUnderTraffic(t, func(_, _ *dataplane.ChildSA) {})
}

// TestRekeyOfACallUnderTrafficLosesNothing is the same with L2TP: a Child SA
// after another carries the one call.
func TestRekeyOfACallUnderTrafficLosesNothing(t *testing.T) {
	var callA, callB *dataplane.Call
	rekeyUnderTraffic(t, func(a, b *dataplane.ChildSA) {
		overL2TP(numbered)(a, b)
		if callA == nil {
			callA, callB = a.Call, b.Call
		}
		a.Call, b.Call = callA, callB
	})
}

func rekeyUnderTraffic(t *testing.T, change func(a, b *dataplane.ChildSA)) {
	l := newLink(t, Config{})
	l.connect(gcm128, false, change)
	pinged := make(chan string, 1)
	go func() {
		out, _ := l.a.exec("ping -c 800 -i 0.002 -W 2 " + innerB4)
		pinged <- out
	}()
	transferred := make(chan bool)
	go func() { l.wantTransfer(innerB4, 48<<20); close(transferred) }()
	for n := uint32(1); n <= 6; n++ {
		time.Sleep(100 * time.Millisecond)
		oldA, oldB := dataplane.Remove{SPIIn: 0x1000 + n}, dataplane.Remove{SPIIn: 0x2000 + n}
		a, b := pairOf(gcm128, n+1, false)
		change(&a, &b)
		b.Outbound = false
		l.b.apply(dataplane.Add{SA: b}) // the responder: inbound first
		l.a.apply(dataplane.Add{SA: a}) // the initiator may use it at once
		time.Sleep(30 * time.Millisecond)
		l.b.apply(dataplane.UseOutbound{SPIIn: b.SPIIn}) // on the initiator's DELETE
		time.Sleep(100 * time.Millisecond)
		l.a.apply(oldA)
		l.b.apply(oldB)
	}
	<-transferred
	out := <-pinged
	if !strings.Contains(out, " 0% packet loss") {
		t.Errorf("%s\n%s", out[max(0, len(out)-300):], l.counters())
	}
}

func TestPacketsTooBigForTheTunnelAreAnsweredIntoIt(t *testing.T) {
	l := newLink(t, Config{})
	for _, e := range []*end{l.a, l.b} {
		e.ip("link set out mtu 1400") // a path narrower than the tunnel's 1400 needs
	}
	l.connect(gcm128, false)
	out, _ := l.a.exec("ping -c 3 -i 0.2 -W 1 -M do -s 1372 " + innerB4)
	m := regexp.MustCompile(`mtu ?= ?(\d+)`).FindStringSubmatch(out)
	if m == nil || m[1] < "1300" || m[1] >= "1400" {
		t.Errorf("ping of 1400 octets with DF: %s\n%s", out, l.counters())
	}
	if n := l.a.counter("too_big"); n == 0 {
		t.Error("too_big was not counted")
	}
	if out, err := l.a.exec("ping -c 2 -i 0.2 -W 1 -M dont -s 1372 " + innerB4); err != nil {
		t.Errorf("without DF it must pass in outer fragments: %s", out)
	}
	l.wantTransfer(innerB4, 8<<20)
	l.wantTransfer(innerB6, 8<<20)
}

func TestAPathThatShrinksIsFoundOut(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	l.wantTransfer(innerB4, 1<<20)
	for _, e := range []*end{l.a, l.b} {
		e.ip("link set out mtu 1350")
	}
	l.wantTransfer(innerB4, 8<<20)
	if got := l.a.plane.spis.lookup(0x1001).path.Load().mtu; got != 1350 {
		t.Errorf("the path's MTU is believed to be %d\n%s", got, l.counters())
	}
}

func TestIKETravelsBesideESP(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	for _, c := range []struct{ local, remote string }{
		{outerA4 + ":500", outerB4 + ":500"},
		{outerA4 + ":4500", outerB4 + ":4500"},
		{"[" + outerA6 + "]:500", "[" + outerB6 + "]:500"},
		{"[" + outerA6 + "]:4500", "[" + outerB6 + "]:4500"},
	} {
		local, remote := netip.MustParseAddrPort(c.local), netip.MustParseAddrPort(c.remote)
		if err := l.a.plane.SendIKE(local, remote, []byte("ike to "+c.remote)); err != nil {
			t.Fatal(err)
		}
		want := ikeMessage{remote, local, "ike to " + c.remote}
		deadline := time.Now().Add(2 * time.Second)
		for {
			l.b.mu.Lock()
			n := len(l.b.ike)
			var got ikeMessage
			if n > 0 {
				got = l.b.ike[n-1]
			}
			l.b.mu.Unlock()
			if got == want {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestKeepalivesEndInThePlane(t *testing.T) {
	l := newLink(t, Config{})
	if err := l.a.plane.SendKeepalive(netip.MustParseAddrPort(outerA4+":4500"), netip.MustParseAddrPort(outerB4+":4500")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Second); l.b.counter("keepalives") != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the keepalive was not counted\n%s", l.counters())
		}
	}
}

func TestRepliesLeaveFromTheNamedAddress(t *testing.T) {
	l := newLink(t, Config{})
	l.b.ip("addr add 192.0.2.99/24 dev out")
	a, b := pairOf(gcm128, 1, false)
	other := netip.MustParseAddrPort("192.0.2.99:4500")
	a.Remote, b.Local = other, other
	l.a.apply(dataplane.Add{SA: a})
	l.b.apply(dataplane.Add{SA: b})
	l.wantPing(innerB4)
	if n := l.a.seen(dataplane.PeerMoved); n != 0 {
		t.Errorf("b answered from another address: PeerMoved %d times", n)
	}
}

func TestCloseEndsEverythingPromptlyAndOpenWorksAgain(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	l.wantPing(innerB4)
	for range 3 {
		start := time.Now()
		if err := l.b.plane.Close(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("Close took %v", d)
		}
		if err := l.b.plane.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if err := l.b.plane.Apply(dataplane.UseOutbound{SPIIn: 1}); err == nil {
			t.Error("a closed plane took a change")
		}
		l.b.open(Config{})
	}
}

func TestTheDeviceMayDisappear(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	l.a.ip("link del vpn0")
	time.Sleep(50 * time.Millisecond)
	l.b.exec("ping -c 1 -W 1 " + innerA4)
	start := time.Now()
	l.a.plane.Close()
	if d := time.Since(start); d > time.Second {
		t.Errorf("Close took %v", d)
	}
	if n := l.a.counter("tun_errors"); n == 0 {
		t.Error("the errors of the device were not counted")
	}
	if n := l.a.counter("panics"); n != 0 {
		t.Errorf("%d panics", n)
	}
}

func TestTheDeviceMayGoDownAndUp(t *testing.T) {
	l := newLink(t, Config{})
	l.connect(gcm128, false)
	l.wantPing(innerB4)
	l.b.ip("link set vpn0 down")
	l.a.exec("ping -c 2 -i 0.05 -W 1 " + innerB4)
	l.b.ip("link set vpn0 up")
	l.b.ip("route replace " + innerA4 + "/32 dev vpn0")
	time.Sleep(1200 * time.Millisecond) // the longest pause of a worker after errors
	l.wantPing(innerB4)
}

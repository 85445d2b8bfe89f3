package userspace

import (
	"bytes"
	"encoding/binary"

	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
)

// slow is a Rate that lets one burst of 64 KiB pass and then, for the time of a
// test whose clock stands still, nothing.
func slow() *dataplane.Rate {
	r := new(dataplane.Rate)
	r.Set(1, 1)
	return r
}

func (o *offline) wantRateDrops(spi uint32, want uint64) {
	o.t.Helper()
	o.wantCount("over_rate", want)
	if st, ok := o.Stats(spi); !ok || st.RateDrops != want {
		o.t.Errorf("stats %+v, want %d RateDrops", st, want)
	}
}

func TestOutboundPacketsAboveTheRateAreDroppedAndCounted(t *testing.T) {
	a, b := couple(t, gcm128, func(a, _ *dataplane.ChildSA) { a.Rate = slow() })
	s := tcpAB4
	s.flags |= tcpPSH | tcpFIN
	h, pkt, packets := superPacket(s, 1000*40, 1000) // 40 packets of 1040 octets
	a.out(h, pkt)
	a.wantRateDrops(0x1001, 0)
	a.out(h, pkt)
	const passed = 65536/1040 - 40
	a.wantRateDrops(0x1001, 40-passed)
	// The first of the frame went, as they are: FIN and PSH belong to the last.
	want := append(packets[:40:40], packets[:passed]...)
	b.in(fromA, 0, a.wire.packets()...)
	wantPackets(t, b.singles(), want)
	for i, p := range a.wire.packets() {
		if seq := binary.BigEndian.Uint32(p[4:]); seq != uint32(i+1) {
			t.Fatalf("packet %d has the sequence number %d: dropped packets must take none", i, seq)
		}
	}
	if st, _ := a.Stats(0x1001); st.PacketsOut != 40+passed || st.BytesOut != (40+passed)*1040 {
		t.Errorf("stats %+v, want only what was sent", st)
	}
	a.sender.at += time.Hour
	a.out(vnetHeader{}, tcpAB4.build()) // 40 octets
	a.wantRateDrops(0x1001, 40-passed)
}

func TestInboundPacketsAboveTheRateAreDroppedAndCounted(t *testing.T) {
	a, b := couple(t, gcm128, func(_, b *dataplane.ChildSA) { b.Rate = slow() })
	h, pkt, packets := superPacket(tcpAB4, 1000*40, 1000)
	a.out(h, pkt)
	a.out(h, pkt)
	b.inTrains(a.wire.datagrams)
	const passed = 65536/1040 - 40
	b.wantRateDrops(0x2001, 40-passed)
	wantPackets(t, b.singles(), append(packets[:40:40], packets[:passed]...))
	if st, _ := b.Stats(0x2001); st.PacketsIn != 80 || st.BytesIn != 80*1040 {
		t.Errorf("stats %+v, want all that the peer sent", st)
	}
	b.receiver.at += time.Hour
	a.wire.datagrams = nil
	a.out(vnetHeader{}, tcpAB4.build())
	b.inTrains(a.wire.datagrams)
	b.wantRateDrops(0x2001, 40-passed)
}

func TestForgeriesDoNotUseUpTheRate(t *testing.T) {
	a, b := couple(t, gcm128, func(_, b *dataplane.ChildSA) { b.Rate = slow() })
	h, pkt, packets := superPacket(tcpAB4, 1000*40, 1000)
	a.out(h, pkt)
	for _, p := range a.wire.packets() {
		forged := bytes.Clone(p)
		forged[len(forged)-1] ^= 1
		b.in(fromA, 0, forged, forged, forged)
	}
	b.wantCount("auth", 120)
	b.in(fromA, 0, a.wire.packets()...)
	b.in(fromA, 0, a.wire.packets()...) // replays
	b.wantRateDrops(0x2001, 0)
	wantPackets(t, b.singles(), packets)
}

func TestARekeyedChildSharesTheRate(t *testing.T) {
	rate := slow()
	a, b := couple(t, gcm128, func(a, _ *dataplane.ChildSA) { a.Rate = rate })
	h, out, _ := superPacket(tcpAB4, 1000*40, 1000)
	back := spec{src: innerB4, dst: innerA4, proto: protoUDP, payload: random(1, 1000)}.build()
	bothWays := func() {
		a.out(h, out)
		b.wire.datagrams = nil
		for range 40 {
			b.out(vnetHeader{}, back)
		}
		a.in(outerB4+":4500", 0, b.wire.packets()...)
	}
	bothWays()
	a.wantRateDrops(0x1001, 0)
	nextA, nextB := pairOf(gcm128, 2, false)
	nextA.Rate = rate
	for _, step := range []struct {
		plane  *offline
		change dataplane.Change
	}{
		{b, dataplane.Add{SA: nextB}}, {a, dataplane.Add{SA: nextA}},
		{a, dataplane.Remove{SPIIn: 0x1001}}, {b, dataplane.Remove{SPIIn: 0x2001}},
	} {
		if err := step.plane.Apply(step.change); err != nil {
			t.Fatal(err)
		}
	}
	bothWays()
	const passedOut, passedIn = 65536 / 1040, 65536 / 1028 // of 80: one burst each way
	a.wantRateDrops(0x1002, 80-passedOut+80-passedIn)
	if n := len(a.singles()); n != passedIn {
		t.Errorf("%d packets came in, want a burst of %d", n, passedIn)
	}
}

func TestThePacketPathWithARateDoesNotAllocate(t *testing.T) {
	rate := new(dataplane.Rate)
	rate.Set(5_000_000, 10_000_000)
	a, b := couple(t, gcm128, func(a, b *dataplane.ChildSA) { a.Rate, b.Rate = rate, rate })
	oneTrip := trip(a, b, tcpAB4)
	n := testing.AllocsPerRun(1000, func() {
		a.sender.at += time.Millisecond // 10,000 octets of 32,000 leave, and half of them come in
		b.receiver.at += time.Millisecond
		oneTrip()
	})
	if n != 0 {
		t.Errorf("%v allocations for a frame of 24 packets", n)
	}
	st, _ := b.Stats(0x2001)
	if a.count("over_rate") < 10_000 || st.RateDrops < 1000 || st.PacketsIn < 2*st.RateDrops {
		t.Errorf("want that some packets pass and some do not: %d dropped by a; b: %+v", a.count("over_rate"), st)
	}
}

// TestTCPSettlesNearTheRate is what a limit is for: real TCP, with each of the
// kernel's congestion controls, fills it and does not collapse under it.
func TestTCPSettlesNearTheRate(t *testing.T) {
	if testing.Short() {
		t.Skip("short: TCP needs some seconds to settle")
	}
	const rate = 20_000_000 / 8
	out := func(a, _ *dataplane.ChildSA, r *dataplane.Rate) { r.Set(0, rate); a.Rate = r }
	in := func(_, b *dataplane.ChildSA, r *dataplane.Rate) { r.Set(rate, 0); b.Rate = r }
	for _, c := range []struct {
		name, congestion string
		limit            func(a, b *dataplane.ChildSA, r *dataplane.Rate)
	}{{"out", "cubic", out}, {"out", "reno", out}, {"out", "bbr", out}, {"in", "cubic", in}} {
		t.Run(c.name+"/"+c.congestion, func(t *testing.T) {
			t.Parallel()
			l := newLink(t, Config{})
			a, b := pairOf(gcm128, 1, false)
			c.limit(&a, &b, new(dataplane.Rate))
			l.a.apply(dataplane.Add{SA: a})
			l.b.apply(dataplane.Add{SA: b})
			l.wantGoodput(c.congestion, rate)
			if l.a.counter("over_rate")+l.b.counter("over_rate") == 0 {
				t.Error("nothing was dropped: this was not the limit's doing")
			}
		})
	}
}

// wantGoodput tries several times: a busy machine sends less, but never more.
func (l *link) wantGoodput(congestion string, rate float64) {
	l.t.Helper()
	var got float64
	for range 4 {
		if got = l.goodput(congestion); got > rate*0.75 {
			break
		}
	}
	l.t.Logf("%.1f %% of the limit", 100*got/rate)
	if got < rate*0.75 || got > rate*1.05 {
		l.t.Errorf("TCP brings %.0f octets a second over a limit of %.0f\n%s", got, rate, l.counters())
	}
}

// goodput sends from a to b over TCP, lets the connection settle for a second,
// and returns the octets a second that arrive in the four seconds after it,
// which a whole burst on top would raise by 7.5 %, half of it headers.
func (l *link) goodput(congestion string) float64 {
	l.t.Helper()
	send, receive := l.stream(innerB4)
	defer send.Close()
	defer receive.Close()
	setCongestion(l.t, send.(*net.TCPConn), congestion)
	go io.Copy(send, endless{})
	count := func(d time.Duration) (int64, time.Duration) {
		start := time.Now()
		receive.SetReadDeadline(start.Add(d))
		n, _ := io.Copy(io.Discard, receive) // ends by the deadline
		return n, time.Since(start)
	}
	count(time.Second)
	n, d := count(4 * time.Second)
	return float64(n) / d.Seconds()
}

func setCongestion(t *testing.T, c *net.TCPConn, name string) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name) })
	if err != nil {
		t.Skipf("needs congestion control %s, a part of the kernel that no package brings: %v", name, err)
	}
}

// endless is a stream of zeros.
type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }

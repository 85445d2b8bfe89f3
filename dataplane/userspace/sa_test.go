package userspace

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
	"sallyport/protocol/esp"
)

func (o *offline) wantEvents(want ...dataplane.Event) {
	o.t.Helper()
	if !slices.Equal(o.events, want) {
		o.t.Errorf("events %v, want %v", o.events, want)
	}
	o.events = nil
}

func (o *offline) count(name string) (n uint64) {
	for _, c := range o.Counters() {
		if c.Name == name {
			return c.Value
		}
	}
	o.t.Fatalf("no counter %q", name)
	return 0
}

func (o *offline) wantCount(name string, want uint64) {
	o.t.Helper()
	if got := o.count(name); got != want {
		o.t.Errorf("counter %s is %d, want %d", name, got, want)
	}
}

func TestInnerPacketsOutsideTheSelectorsAreDropped(t *testing.T) {
	// The sender's selectors are wide, so that it sends what it must not.
	wide := func(a, _ *dataplane.ChildSA) {
		all := selectors{
			{EndPort: 65535, Start: netip.MustParseAddr("0.0.0.0"), End: netip.MustParseAddr("255.255.255.255")},
			{EndPort: 65535, Start: netip.MustParseAddr("::"), End: netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")},
		}
		a.TSLocal, a.TSRemote = all, all
	}
	for _, c := range []struct {
		name     string
		src, dst string
		pass     bool
	}{
		{"assigned address", innerA4, innerB4, true},
		{"assigned IPv6 address", innerA6, innerB6, true},
		{"somebody else's source", "10.1.0.2", innerB4, false},
		{"somebody else's IPv6 source", "fd01::2", innerB6, false},
		{"a destination not granted", innerA4, "10.2.0.2", false},
	} {
		a, b := couple(t, gcm128, wide)
		a.out(vnetHeader{}, spec{src: c.src, dst: c.dst, proto: protoTCP}.build())
		b.in(fromA, 0, a.wire.packets()...)
		if got := len(b.singles()) == 1; got != c.pass {
			t.Errorf("%s: passed %v", c.name, got)
		}
		st, _ := b.Stats(0x2001)
		if (st.SelectorDrops == 0) != c.pass || st.PacketsIn != 1 {
			t.Errorf("%s: stats %+v", c.name, st)
		}
	}
}

func TestOutboundPacketsMustMatchTheSA(t *testing.T) {
	a, _ := couple(t, gcm128, func(a, _ *dataplane.ChildSA) { a.TSLocal[0].Protocol = protoUDP })
	a.out(vnetHeader{}, tcpAB4.build())
	a.wantCount("outbound_selector", 1)
	a.out(vnetHeader{}, spec{src: innerA4, dst: "10.77.0.1", proto: protoUDP}.build())
	a.wantCount("no_route", 1)
	a.out(vnetHeader{}, []byte{1, 2, 3})
	a.wantCount("frame_malformed", 1)
	if len(a.wire.datagrams) != 0 {
		t.Errorf("%d datagrams left", len(a.wire.datagrams))
	}
	a.out(vnetHeader{}, udpAB4.build())
	if len(a.wire.datagrams) != 1 {
		t.Error("a packet inside the selectors did not leave")
	}
}

func TestEveryUnwantedDatagramIsDroppedAndCounted(t *testing.T) {
	a, b := couple(t, gcm128)
	a.out(vnetHeader{}, tcpAB4.build())
	good := a.wire.packets()[0]
	b.in(fromA, 0, good)
	b.wantEvents(dataplane.Event{Kind: dataplane.FirstInbound, SPIIn: 0x2001})
	forged := bytes.Clone(good)
	forged[7]++ // a new sequence number, the old tag
	unknown := bytes.Clone(good)
	unknown[3] ^= 0xFF
	b.in(fromA, 0, good, forged, unknown, []byte{0xFF}, []byte{1, 2, 3}, good[:12])
	for name, want := range map[string]uint64{"replay": 1, "auth": 1, "unknown_spi": 1, "keepalives": 1, "malformed": 2} {
		b.wantCount(name, want)
	}
	if st, _ := b.Stats(0x2001); st.ReplayDrops != 1 || st.AuthDrops != 1 || st.PacketsIn != 1 {
		t.Errorf("stats %+v", st)
	}
	if len(b.singles()) != 1 {
		t.Errorf("%d packets came out, want the one", len(b.singles()))
	}
	b.wantEvents()
}

func TestDummyAndForeignPayloadsEndInThePlane(t *testing.T) {
	a, b := couple(t, gcm128)
	sa := a.spis.lookup(0x1001)
	seal := func(seq uint64, next uint8, payload []byte) []byte {
		return sa.lane(0).Seal(make([]byte, 0, 2000), seq, next, append(make([]byte, 0, 300), payload...))
	}
	b.in(fromA, 0,
		seal(1, esp.NextNone, random(1, 40)),
		seal(2, esp.NextIPv6, tcpAB4.build()), // the header lies about the family
		seal(3, protoTCP, tcpAB4.build()),     // transport mode was not negotiated
		seal(4, esp.NextIPv4, nil),
		seal(5, esp.NextIPv4, append(tcpAB4.build(), random(2, 100)...))) // TFC padding
	b.wantCount("dummy", 1)
	b.wantCount("inner_malformed", 3)
	wantPackets(t, b.singles(), [][]byte{tcpAB4.build()})
}

func TestIKEIsToldFromESP(t *testing.T) {
	o := newOffline(t)
	var got []ikeMessage
	o.up.IKE = func(local, remote netip.AddrPort, msg []byte) {
		got = append(got, ikeMessage{local, remote, string(msg)})
	}
	o.receiver.info.local = netip.MustParseAddr(outerB4)
	var name [unix.SizeofSockaddrInet6]byte
	putSockaddr(name[:], netip.MustParseAddrPort("192.0.2.9:1234"))
	o.receiver.info.segment = 12 // two joined by GRO
	o.receiver.datagrams(name[:], []byte("\x00\x00\x00\x00messagE1\x00\x00\x00\x00messagE2"))
	o.receiver.info.segment = 0
	o.receiver.kind = kindIKE
	o.receiver.datagrams(name[:], []byte("on port 500"))
	local := netip.MustParseAddrPort(outerB4 + ":4500")
	remote := netip.MustParseAddrPort("192.0.2.9:1234")
	if want := []ikeMessage{{local, remote, "messagE1"}, {local, remote, "messagE2"}, {local, remote, "on port 500"}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAPeerThatMovedIsReportedOnlyForTheNewestPacket(t *testing.T) {
	a, b := couple(t, gcm128)
	for range 4 {
		a.out(vnetHeader{}, tcpAB4.build())
	}
	p := a.wire.packets()
	const elsewhere = "198.51.100.7:61000"
	b.in(fromA, 0, p[1])
	b.events = nil
	b.in(elsewhere, 0, p[0]) // delayed by somebody: authentic, but old
	b.wantEvents()
	forged := bytes.Clone(p[3])
	forged[len(forged)-1] ^= 1
	b.in(elsewhere, 0, forged)
	b.wantEvents()
	b.in(elsewhere, 0, p[2])
	moved := dataplane.Event{Kind: dataplane.PeerMoved, SPIIn: 0x2001, Remote: netip.MustParseAddrPort(elsewhere)}
	b.wantEvents(moved)
	b.in(elsewhere, 0, p[3])
	b.wantEvents() // once a second is enough
	if err := b.Apply(dataplane.Move{SPIIn: 0x2001, Local: netip.MustParseAddrPort(outerB4 + ":4500"), Remote: moved.Remote}); err != nil {
		t.Fatal(err)
	}
	a.out(vnetHeader{}, tcpAB4.build())
	b.receiver.now++
	b.in(elsewhere, 0, a.wire.packets()[4])
	b.wantEvents()
}

func TestLimitsAskOnceAndStopOnce(t *testing.T) {
	limits := func(a, b *dataplane.ChildSA) {
		a.Limits = dataplane.Limits{SoftPackets: 3, HardPackets: 5}
		b.Limits = dataplane.Limits{SoftBytes: 100, HardBytes: 160}
	}
	a, b := couple(t, gcm128, limits)
	for range 9 {
		a.out(vnetHeader{}, tcpAB4.build()) // 40 octets each
	}
	if n := len(a.wire.packets()); n != 5 {
		t.Errorf("%d packets left under a limit of 5", n)
	}
	a.wantEvents(dataplane.Event{Kind: dataplane.SoftLimit, SPIIn: 0x1001}, dataplane.Event{Kind: dataplane.HardLimit, SPIIn: 0x1001})
	a.wantCount("expired", 4)
	b.in(fromA, 0, a.wire.packets()...)
	if n := len(b.singles()); n != 4 {
		t.Errorf("%d packets came in under a limit of 160 octets", n)
	}
	b.wantEvents(dataplane.Event{Kind: dataplane.FirstInbound, SPIIn: 0x2001},
		dataplane.Event{Kind: dataplane.SoftLimit, SPIIn: 0x2001}, dataplane.Event{Kind: dataplane.HardLimit, SPIIn: 0x2001})
}

func TestExpiresStopsBothDirectionsWithoutIKE(t *testing.T) {
	at := time.Now().Add(100 * time.Second)
	a, b := couple(t, gcm128, func(a, b *dataplane.ChildSA) { a.Limits.Expires, b.Limits.Expires = at, at })
	a.out(vnetHeader{}, tcpAB4.build())
	b.receiver.now += 90
	b.in(fromA, 0, a.wire.packets()...)
	if len(b.singles()) != 1 {
		t.Error("not opened before its end")
	}
	a.sender.now, b.receiver.now = a.sender.now+102, b.receiver.now+12
	a.out(vnetHeader{}, tcpAB4.build())
	if len(a.wire.packets()) != 1 {
		t.Error("sealed past its end")
	}
	b.wantCount("expired", 0)
	b.in(fromA, 0, a.wire.packets()...)
	b.wantCount("expired", 1)
	a.wantEvents(dataplane.Event{Kind: dataplane.HardLimit, SPIIn: 0x1001})
	b.wantEvents(dataplane.Event{Kind: dataplane.FirstInbound, SPIIn: 0x2001}, dataplane.Event{Kind: dataplane.HardLimit, SPIIn: 0x2001})
}

func TestAnSAWithoutESNEndsAt32Bits(t *testing.T) {
	a, _ := couple(t, gcm256)
	a.spis.lookup(0x1001).out.seq.Store(1<<32 - 3)
	for range 5 {
		a.out(vnetHeader{}, tcpAB4.build())
	}
	if n := len(a.wire.packets()); n != 2 {
		t.Errorf("%d packets left, want those with the last two numbers", n)
	}
	a.wantEvents(dataplane.Event{Kind: dataplane.SoftLimit, SPIIn: 0x1001}, dataplane.Event{Kind: dataplane.HardLimit, SPIIn: 0x1001})
}

func TestESNGoesOnBeyond32Bits(t *testing.T) {
	a, b := couple(t, gcm128)
	seq := &a.spis.lookup(0x1001).out.seq
	seq.Store(1 << 31)
	a.out(vnetHeader{}, tcpAB4.build())
	seq.Store(1<<32 - 5)
	for range 10 {
		a.out(vnetHeader{}, tcpAB4.build())
	}
	b.in(fromA, 0, a.wire.packets()...)
	if n := len(b.singles()); n != 11 {
		t.Errorf("%d of 11 packets crossed the wrap", n)
	}
}

func TestTheOuterECNFieldIsCopiedAndComesBack(t *testing.T) {
	a, b := couple(t, gcm128)
	s := tcpAB4
	s.tos = 0x28 | ect0
	a.out(vnetHeader{}, s.build())
	if got := a.wire.datagrams[0].tos; got != ect0 {
		t.Errorf("outer TOS %#x, want ECT(0) without the inner DSCP", got)
	}
	b.in(fromA, ce, a.wire.packets()...)
	s.tos = 0x28 | ce
	wantPackets(t, b.singles(), [][]byte{s.build()})
}

func TestPacketsTooBigAreAnsweredAndTheRestIsFragmentedOutside(t *testing.T) {
	a, _ := couple(t, gcm128)
	sa := a.spis.lookup(0x1001)
	pa := sa.path.Load()
	sa.path.Store(newPath(pa.local, pa.remote, false, 0, 1300, sa.out.base))
	mtu := sa.cargo.Load().limit(sa.path.Load(), false)
	big := tcpAB4
	big.payload = make([]byte, mtu-40+1)
	a.out(vnetHeader{}, big.build())
	a.wantCount("too_big", 1)
	if len(a.frames.frames) != 1 || len(a.wire.datagrams) != 0 {
		t.Fatalf("%d frames, %d datagrams", len(a.frames.frames), len(a.wire.datagrams))
	}
	icmp := a.frames.frames[0][vnetSize:]
	verify(t, icmp)
	if icmp[20] != 3 || icmp[21] != 4 || int(icmp[26])<<8|int(icmp[27]) != mtu {
		t.Errorf("ICMP %x, want fragmentation needed for %d", icmp[:28], mtu)
	}
	big.noDF = true
	a.out(vnetHeader{}, big.build())
	if len(a.wire.datagrams) != 1 {
		t.Error("a packet that may be fragmented must leave")
	}
	v6 := tcpAB6
	v6.payload = make([]byte, minIPv6MTU-60)
	a.out(vnetHeader{}, v6.build())
	if len(a.wire.datagrams) != 2 {
		t.Error("1280 octets of IPv6 must pass every tunnel (RFC 8200, Section 5)")
	}
	for range 300 {
		v6.payload = make([]byte, 1400)
		a.out(vnetHeader{}, v6.build())
	}
	if n := len(a.frames.frames); n != icmpPerSecond {
		t.Errorf("%d errors in one second, want %d", n, icmpPerSecond)
	}
}

func TestARefusedTrainIsSentPacketByPacket(t *testing.T) {
	for _, c := range []struct {
		err   error
		stays bool
	}{{unix.EIO, false}, {unix.EMSGSIZE, true}} {
		a, b := couple(t, gcm128)
		a.wire.refuse = func(segment int) error {
			if segment > 0 {
				return c.err
			}
			return nil
		}
		h, pkt, want := superPacket(tcpAB4, 20000, 1348)
		a.out(h, pkt)
		b.in(fromA, 0, a.wire.packets()...)
		wantPackets(t, b.singles(), want)
		if a.udpSegment.Load() != c.stays {
			t.Errorf("%v: trains go on %v, want %v", c.err, a.udpSegment.Load(), c.stays)
		}
		a.wantCount("segment_refused", 1)
		a.wantCount("send_errors", 0)
		a.workers.Wait()
	}
}

func TestARefusedJoinedFrameIsWrittenPacketByPacket(t *testing.T) {
	a, b := couple(t, gcm128)
	b.frames.refuse = func(h vnetHeader) error {
		if h.gsoType != gsoNone {
			return unix.EINVAL
		}
		return nil
	}
	for range 2 {
		h, pkt, want := superPacket(tcpAB4, 20000, 1348)
		a.wire.datagrams, b.frames.frames = nil, nil
		a.out(h, pkt)
		b.inTrains(a.wire.datagrams)
		wantPackets(t, b.singles(), want)
	}
	b.wantCount("join_refused", 1)
}

func TestApplySaysWhatIsWrong(t *testing.T) {
	o := newOffline(t)
	good, _ := pairOf(gcm128, 1, false)
	bad := func(change func(*dataplane.ChildSA)) error {
		sa, _ := pairOf(gcm128, 2, false)
		change(&sa)
		return o.Apply(dataplane.Add{SA: sa})
	}
	if err := o.Apply(dataplane.Add{SA: good}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"reserved SPI":  bad(func(sa *dataplane.ChildSA) { sa.SPIIn = 255 }),
		"SPI in use":    bad(func(sa *dataplane.ChildSA) { sa.SPIIn = good.SPIIn }),
		"short key":     bad(func(sa *dataplane.ChildSA) { sa.KeyOut = sa.KeyOut[1:] }),
		"mixed address": bad(func(sa *dataplane.ChildSA) { sa.Remote = netip.MustParseAddrPort("[2001:db8::1]:4500") }),
		"unknown SPI":   o.Apply(dataplane.Remove{SPIIn: 0xABCD}),
		"no change":     o.Apply(nil),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := o.Apply(dataplane.Remove{SPIIn: good.SPIIn}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(good.KeyIn, make([]byte, len(good.KeyIn))) || !bytes.Equal(good.KeyOut, make([]byte, len(good.KeyOut))) {
		t.Error("Remove left the keys")
	}
	if _, ok := o.Stats(good.SPIIn); ok {
		t.Error("a removed Child SA has statistics")
	}
}

func TestOneAddReplacesAnotherWhenSwitchedOn(t *testing.T) {
	a, _ := couple(t, gcm128)
	next, _ := pairOf(gcm128, 2, false)
	next.Outbound = false
	if err := a.Apply(dataplane.Add{SA: next}); err != nil {
		t.Fatal(err)
	}
	spi := func() string {
		a.wire.datagrams = nil
		a.out(vnetHeader{}, tcpAB4.build())
		return fmt.Sprintf("%x", a.wire.packets()[0][:4])
	}
	if got := spi(); got != "00002001" {
		t.Errorf("before the switch: SPI %s", got)
	}
	if err := a.Apply(dataplane.UseOutbound{SPIIn: next.SPIIn}); err != nil {
		t.Fatal(err)
	}
	if got := spi(); got != "00002002" {
		t.Errorf("after the switch: SPI %s", got)
	}
}

func TestAPanicInARoundIsContained(t *testing.T) {
	o := newOffline(t)
	l := o.lanes[0]
	abandoned := false
	func() {
		defer o.contain("test", l, func() { abandoned = true })
		panic("bad packet")
	}()
	o.wantCount("panics", 1)
	if !abandoned {
		t.Error("the batch was not abandoned")
	}
}

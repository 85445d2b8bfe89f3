package userspace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
	"sallyport/protocol/esp"
	"sallyport/protocol/suite"
)

var (
	gcm256   = suite.ESP{Encr: suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 256}}
	chachaE  = suite.ESP{Encr: suite.Transform{Type: suite.Encr, ID: 28}, ESN: true}
	cbcSHA2  = suite.ESP{Encr: suite.Transform{Type: suite.Encr, ID: 12, KeyBits: 256}, Integ: suite.Transform{Type: suite.Integ, ID: 12}, ESN: true}
	allESP   = map[string]suite.ESP{"aes128gcm16-esn": gcm128, "aes256gcm16": gcm256, "chacha20poly1305-esn": chachaE, "aes256-sha256-esn": cbcSHA2}
	tcpAB4   = spec{src: innerA4, dst: innerB4, proto: protoTCP, sport: 4000, dport: 80, flags: tcpACK, seq: 1 << 31, ack: 5}
	tcpAB6   = spec{src: innerA6, dst: innerB6, proto: protoTCP, sport: 4000, dport: 80, flags: tcpACK, seq: 0xFFFFFF00, ack: 5}
	udpAB4   = spec{src: innerA4, dst: innerB4, proto: protoUDP, sport: 4000, dport: 53, noDF: true}
	udpAB6   = spec{src: innerA6, dst: innerB6, proto: protoUDP, sport: 4000, dport: 53}
	timeOpts = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
)

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(b)
	return b
}

// superPacket makes a frame as the kernel hands over for n octets of payload
// in segments of size, and the packets it stands for.
func superPacket(s spec, n, size int) (vnetHeader, []byte, [][]byte) {
	payload := random(uint64(n), n)
	s.payload = payload
	s.noChecksum = true
	pkt := s.build()
	h := vnetHeader{flags: vnetNeedsChecksum, gsoType: gsoTCPv4, gsoSize: uint16(size), checksumStart: 20, checksumOffset: 16}
	if netip.MustParseAddr(s.src).Is6() {
		h.gsoType, h.checksumStart = gsoTCPv6, 40
	}
	if s.proto == protoUDP {
		h.gsoType, h.checksumOffset = gsoUDP, 6
	}
	h.hdrLen = uint16(len(pkt) - n)
	var want [][]byte
	for i := 0; i*size < n; i++ {
		p := s
		p.noChecksum = false
		p.id += uint16(i)
		p.seq += uint32(i * size)
		p.payload = payload[i*size : min((i+1)*size, n)]
		if i > 0 {
			p.flags &^= tcpCWR
		}
		if (i+1)*size < n {
			p.flags &^= tcpFIN | tcpPSH
		}
		want = append(want, p.build())
	}
	return h, pkt, want
}

func wantPackets(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("packet %d of %d differs:\n%x, want\n%x", i, len(got), got[i][:min(len(got[i]), 80)], want[i][:min(len(want[i]), 80)])
		}
	}
}

func TestSuperPacketsArriveAsTheSamePackets(t *testing.T) {
	withOptions := tcpAB4
	withOptions.options, withOptions.flags = timeOpts, tcpACK|tcpPSH|tcpFIN|tcpCWR
	for name, e := range allESP {
		for _, c := range []struct {
			name    string
			s       spec
			n, size int
		}{
			{"TCPv4", tcpAB4, 60000, 1348},
			{"TCPv4 with options and flags", withOptions, 20000, 1336},
			{"TCPv4 in equal parts", tcpAB4, 1348 * 10, 1348},
			{"TCPv4 in tiny parts", tcpAB4, 50, 7},
			{"TCPv6 over the sequence's wrap", tcpAB6, 40001, 1328},
			{"UDPv4", udpAB4, 12345, 1200},
			{"UDPv6", udpAB6, 12345, 999},
			{"one segment", tcpAB4, 100, 1348},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				a, b := couple(t, e)
				h, pkt, want := superPacket(c.s, c.n, c.size)
				a.out(h, pkt)
				if len(a.wire.packets()) != len(want) {
					t.Fatalf("%d ESP packets, want %d", len(a.wire.packets()), len(want))
				}
				b.inTrains(a.wire.datagrams)
				wantPackets(t, b.singles(), want)
				for _, p := range b.singles() {
					verify(t, p)
				}
			})
		}
	}
}

func TestTrainsAreJoinedIntoFewFrames(t *testing.T) {
	a, b := couple(t, gcm128)
	h, pkt, _ := superPacket(tcpAB4, 1348*40, 1348)
	a.out(h, pkt)
	if len(a.wire.datagrams) != 1 || a.wire.datagrams[0].segment == 0 {
		t.Fatalf("40 equal packets left in %d messages", len(a.wire.datagrams))
	}
	b.in(fromA, 0, a.wire.packets()[0])
	b.frames.frames = nil
	a.wire.datagrams = nil
	a.out(h, pkt)
	b.inTrains(a.wire.datagrams)
	if n := len(b.frames.frames); n != 1 {
		t.Errorf("40 segments of one flow were written as %d frames", n)
	}
}

func TestASinglePacketGetsItsChecksumFinished(t *testing.T) {
	for _, s := range []spec{tcpAB4, tcpAB6, udpAB4, udpAB6} {
		a, b := couple(t, gcm128)
		s.payload = random(1, 333)
		want := s.build()
		var in inner
		in.parse(want)
		pkt := bytes.Clone(want)
		h := vnetHeader{flags: vnetNeedsChecksum, checksumStart: uint16(in.l4), checksumOffset: 16}
		if s.proto == protoUDP {
			h.checksumOffset = 6
		}
		pseudoHeader(pkt, in.v6, in.proto, len(pkt)-in.l4).put(pkt[in.l4+int(h.checksumOffset):])
		a.out(h, pkt)
		b.in(fromA, 0, a.wire.packets()...)
		wantPackets(t, b.singles(), [][]byte{want})
	}
}

func TestFlowsAreJoinedOnlyWhenTheKernelCanCutThemAgain(t *testing.T) {
	seg := func(change func(*spec)) []byte {
		s := tcpAB4
		s.payload = random(3, 100)
		change(&s)
		return s.build()
	}
	next := func(s *spec) { s.seq += 100; s.id++ }
	for _, c := range []struct {
		name   string
		second func(*spec)
		frames int
	}{
		{"the next segment", next, 1},
		{"the next, shorter, with PSH", func(s *spec) { next(s); s.payload = s.payload[:9]; s.flags |= tcpPSH }, 1},
		{"a gap", func(s *spec) { next(s); s.seq++ }, 2},
		{"a retransmission", func(*spec) {}, 2},
		{"another acknowledgement", func(s *spec) { next(s); s.ack++ }, 2},
		{"another port", func(s *spec) { next(s); s.dport++ }, 2},
		{"another TOS", func(s *spec) { next(s); s.tos = ce }, 2},
		{"options", func(s *spec) { next(s); s.options = timeOpts }, 2},
		{"longer than the first", func(s *spec) { next(s); s.payload = random(3, 101) }, 2},
		{"SYN", func(s *spec) { next(s); s.flags |= tcpSYN }, 2},
		{"RST", func(s *spec) { next(s); s.flags |= tcpRST }, 2},
		{"no payload", func(s *spec) { next(s); s.payload = nil }, 2},
		{"without DF", func(s *spec) { next(s); s.noDF = true }, 2},
		{"a fragment", func(s *spec) { next(s); s.noDF, s.offset = true, 0x2000 }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			packets := [][]byte{seg(func(*spec) {}), seg(c.second)}
			co := newTestCoalescer(t)
			o := &offline{t: t, frames: co.writer.(*frameLog)}
			for _, p := range packets {
				var in inner
				if !in.parse(p) {
					t.Fatal("test packet")
				}
				co.add(p, &in)
			}
			co.flush()
			if len(o.frames.frames) != c.frames {
				t.Errorf("%d frames, want %d", len(o.frames.frames), c.frames)
			}
			wantPackets(t, o.singles(), packets)
		})
	}
}

func TestAWrongInnerChecksumIsNotRepaired(t *testing.T) {
	for _, bad := range []int{0, 1, 2} {
		co := newTestCoalescer(t)
		o := &offline{t: t, frames: co.writer.(*frameLog)}
		var want [][]byte
		for i := range 3 {
			s := tcpAB4
			s.payload, s.seq, s.id = random(4, 100), s.seq+uint32(i*100), uint16(i)
			p := s.build()
			if i == bad {
				p[60] ^= 1
			}
			want = append(want, p)
			var in inner
			in.parse(p)
			co.add(p, &in)
		}
		co.flush()
		wantPackets(t, o.singles(), want)
	}
}

func TestJoinedFlowsKeepEachFlowsOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		co := newTestCoalescer(t)
		o := &offline{t: t, frames: co.writer.(*frameLog)}
		sent := map[uint16][][]byte{}
		seqs := map[uint16]uint32{}
		for range 60 {
			s := tcpAB4
			if r.IntN(2) == 0 {
				s = udpAB4
			}
			s.sport = uint16(r.IntN(25))
			s.payload = random(uint64(s.sport), []int{100, 100, 100, 40, 1}[r.IntN(5)])
			s.seq = seqs[s.sport]
			if r.IntN(10) == 0 {
				s.seq += 7 // lost before
			}
			s.id = uint16(r.Uint32())
			seqs[s.sport] = s.seq + uint32(len(s.payload))
			if r.IntN(8) == 0 {
				s.flags |= tcpPSH
			}
			s.sport = s.sport*2 + uint16(s.proto)%2
			p := s.build()
			sent[s.sport] = append(sent[s.sport], p)
			var in inner
			in.parse(p)
			co.add(p, &in)
		}
		co.flush()
		got := map[uint16][][]byte{}
		for _, p := range o.singles() {
			var in inner
			in.parse(p)
			got[in.srcPort] = append(got[in.srcPort], p)
		}
		for port, packets := range sent {
			if len(got[port]) != len(packets) {
				t.Fatalf("flow %d: %d packets, want %d", port, len(got[port]), len(packets))
			}
			for i := range packets {
				// the identification of joined segments is the kernel's to choose
				g, w := bytes.Clone(got[port][i]), bytes.Clone(packets[i])
				copy(g[4:6], w[4:6])
				copy(g[10:12], w[10:12])
				if !bytes.Equal(g, w) {
					t.Fatalf("flow %d packet %d:\n%x, want\n%x", port, i, g, w)
				}
			}
		}
	}
}

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
	mtu := sa.path.Load().innerMTU
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

func TestThePacketPathDoesNotAllocate(t *testing.T) {
	for name, e := range allESP {
		for kind, s := range map[string]spec{"TCPv4": tcpAB4, "TCPv6": tcpAB6, "UDPv4": udpAB4} {
			a, b := couple(t, e)
			h, pkt, _ := superPacket(s, 30000, 1300)
			var name4 [unix.SizeofSockaddrInet6]byte
			putSockaddr(name4[:], netip.MustParseAddrPort(fromA))
			var buf []byte
			a.out(h, pkt)
			b.frames.keep = false
			// One frame out; its packets are kept in place of the wire and go in.
			sink := &lastMessage{}
			a.sender.batch.sinks = func(*path) messageSink { return sink }
			a.out(h, pkt)
			n := testing.AllocsPerRun(100, func() {
				a.out(h, pkt)
				buf = append(buf[:0], sink.data...)
				b.receiver.info = received{segment: sink.segment}
				b.receiver.datagrams(name4[:], buf)
				b.receiver.flush()
			})
			if n != 0 {
				t.Errorf("%s, %s: %v allocations for a frame of 24 packets", name, kind, n)
			}
			if st, _ := b.Stats(0x2001); st.PacketsIn < 100*23 || st.SelectorDrops+st.AuthDrops+st.ReplayDrops > 0 {
				t.Errorf("the packets did not arrive: %+v", st)
			}
		}
	}
}

// lastMessage keeps the first message of each send, without allocating.
type lastMessage struct {
	data    []byte
	segment int
}

func (l *lastMessage) send(_ *call, msgs []mmsghdr) (int, error) {
	iov := msgs[0].hdr.Iov
	l.data = append(l.data[:0], bytesOf(iov)...)
	l.segment, _ = controlOf(&msgs[0])
	return len(msgs), nil
}

// FuzzVirtioFrame is the parser of what the TUN device gives: no frame may
// make it panic, and no packet may leave without its SA's selectors.
func FuzzVirtioFrame(f *testing.F) {
	for _, s := range []spec{tcpAB4, tcpAB6, udpAB4, udpAB6} {
		h, pkt, _ := superPacket(s, 3000, 1000)
		b := make([]byte, vnetSize, vnetSize+len(pkt))
		h.put(b)
		f.Add(append(b, pkt...))
		f.Add(append(make([]byte, vnetSize), s.build()...))
	}
	f.Add([]byte{1, 1})
	a, _ := couple(f, gcm128)
	a.frames.keep = false
	a.wire.keep = false
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > frameMax {
			return
		}
		a.sender.handle(copy(a.sender.frame, b))
		a.sender.batch.flush()
	})
}

// FuzzDatagram is what anybody can send to port 4500, as one datagram and as a
// train: no octets make the plane panic or write a packet of their own making.
func FuzzDatagram(f *testing.F) {
	a, b := couple(f, gcm128)
	a.out(vnetHeader{}, tcpAB4.build())
	good := a.wire.packets()[0]
	b.in(fromA, 0, good)
	f.Add(good, 0)
	f.Add(append(bytes.Clone(good), good...), len(good))
	f.Add([]byte{0, 0, 0, 0, 1}, 0)
	f.Add([]byte{0xFF}, 0)
	f.Add(bytes.Repeat([]byte{0xFF}, 9), 1)
	var name [unix.SizeofSockaddrInet6]byte
	putSockaddr(name[:], netip.MustParseAddrPort(fromA))
	f.Fuzz(func(t *testing.T, d []byte, segment int) {
		b.frames.frames = nil
		for kind := range kindRaw + 1 {
			b.receiver.kind = kind
			b.receiver.info = received{segment: segment}
			b.receiver.datagrams(name[:], bytes.Clone(d))
			b.receiver.flush()
		}
		if len(b.frames.frames) != 0 {
			t.Fatal("a packet came out of octets that nobody sealed")
		}
	})
}

func BenchmarkSuperPacket(b *testing.B) {
	p, q := couple(b, gcm256)
	h, pkt, want := superPacket(tcpAB4, 1348*45, 1348)
	sink := &lastMessage{}
	p.sender.batch.sinks = func(*path) messageSink { return sink }
	q.frames.keep = false
	var name [unix.SizeofSockaddrInet6]byte
	putSockaddr(name[:], netip.MustParseAddrPort(fromA))
	b.Run("seal", func(b *testing.B) {
		b.SetBytes(int64(len(pkt)))
		for b.Loop() {
			p.out(h, pkt)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(want)), "ns/packet")
	})
	b.Run("seal+open", func(b *testing.B) {
		b.SetBytes(int64(len(pkt)))
		for b.Loop() {
			p.out(h, pkt)
			q.receiver.info = received{segment: sink.segment}
			q.receiver.datagrams(name[:], sink.data)
			q.receiver.flush()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(want)), "ns/packet")
	})
}

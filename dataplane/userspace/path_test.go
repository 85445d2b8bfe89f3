package userspace

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

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

func TestALostSourceAddressDoesNotEndTrains(t *testing.T) {
	a, _ := couple(t, gcm128)
	a.wire.refuse = func(int) error { return unix.EINVAL } // IP_PKTINFO with an address that is not ours any more
	for range 20 {
		h, pkt, _ := superPacket(tcpAB4, 20000, 1348)
		a.out(h, pkt)
	}
	if !a.udpSegment.Load() {
		t.Error("one path's trouble turned segmentation off for all")
	}
	a.wantCount("send_errors", 20*15)
	a.wire.refuse = nil
	h, pkt, _ := superPacket(tcpAB4, 20000, 1348)
	a.out(h, pkt)
	if len(a.wire.datagrams) != 1 {
		t.Errorf("%d messages for one train", len(a.wire.datagrams))
	}
	a.workers.Wait()
}

func TestThePacketPathDoesNotAllocate(t *testing.T) {
	for name, e := range allESP {
		for kind, s := range map[string]spec{"TCPv4": tcpAB4, "TCPv6": tcpAB6, "UDPv4": udpAB4} {
			a, b := couple(t, e)
			n := testing.AllocsPerRun(100, trip(a, b, s))
			if n != 0 {
				t.Errorf("%s, %s: %v allocations for a frame of 24 packets", name, kind, n)
			}
			if st, _ := b.Stats(0x2001); st.PacketsIn < 100*23 || st.SelectorDrops+st.AuthDrops+st.ReplayDrops > 0 {
				t.Errorf("the packets did not arrive: %+v", st)
			}
		}
	}
}

// trip is the way of one frame of 24 packets out of a and into b.
func trip(a, b *offline, s spec) func() {
	h, pkt, _ := superPacket(s, 30000, 1300)
	var name [unix.SizeofSockaddrInet6]byte
	putSockaddr(name[:], netip.MustParseAddrPort(fromA))
	var buf []byte
	a.out(h, pkt)
	b.frames.keep = false
	// One frame out; its packets are kept in place of the wire and go in.
	sink := &lastMessage{}
	a.sender.batch.sinks = func(*path) messageSink { return sink }
	a.out(h, pkt)
	return func() {
		a.out(h, pkt)
		buf = append(buf[:0], sink.data...)
		b.receiver.info = received{segment: sink.segment}
		b.receiver.datagrams(name[:], buf)
		b.receiver.flush()
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
	benchmarkPath(b, p, q)
}

func benchmarkPath(b *testing.B, p, q *offline) {
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

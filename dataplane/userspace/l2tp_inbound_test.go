package userspace

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/dataplane"
)

// l2tpMessage builds a message with the optional fields that bits name, for the
// call's ids at b.
func l2tpMessage(bits uint16, offset int, tunnel, session uint16, frame ...byte) []byte {
	m := binary.BigEndian.AppendUint16(nil, bits|2)
	if bits&l2tpLength != 0 {
		m = append(m, 0, 0)
	}
	m = binary.BigEndian.AppendUint16(m, tunnel)
	m = binary.BigEndian.AppendUint16(m, session)
	if bits&l2tpSequence != 0 {
		m = append(m, 0xAA, 0xBB, 0xCC, 0xDD)
	}
	if bits&l2tpOffset != 0 {
		m = binary.BigEndian.AppendUint16(m, uint16(offset))
		m = append(m, make([]byte, offset)...)
	}
	m = append(m, frame...)
	if bits&l2tpLength != 0 {
		binary.BigEndian.PutUint16(m[2:], uint16(len(m)))
	}
	return m
}

func udpTo1701(port uint16, msg []byte) []byte {
	b := spec{src: outerA4, dst: outerB4, proto: protoUDP, sport: port, dport: 1701, payload: msg}.build()
	b[20+6] ^= 0x55 // what a NAT leaves of the checksum
	return b[20:]
}

// ppp is a frame with the address and control that peers may leave out.
func ppp(protocol []byte, info []byte) []byte { return slices.Concat([]byte{0xFF, 3}, protocol, info) }

// client seals what a test says, as a client with the keys of a may.
type client struct {
	*offline
	spi uint32
}

func (c client) seal(next uint8, payload []byte) []byte {
	sa := c.spis.lookup(c.spi)
	seq, _, _ := sa.reserve(1)
	n := sa.lane(0).Size(len(payload))
	return sa.lane(0).Seal(make([]byte, 0, n), seq, next, append(make([]byte, 0, n+32), payload...))
}

func (c client) message(msg []byte) []byte { return c.seal(protoUDP, udpTo1701(1701, msg)) }

func TestTrap40_EveryFormOfHeaderIsRead(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP())
	c := client{a, 0x1001}
	var want [][]byte
	for bits := range 8 {
		for _, frame := range []string{"ff030021", "ff0321", "0021", "21"} { // trap 40
			for _, offset := range []int{0, 1, 7, 300} {
				flags := uint16(bits&1)*l2tpLength | uint16(bits>>1&1)*l2tpSequence | uint16(bits>>2)*l2tpOffset
				flags |= 0x0100 | 0x34F0 // P, and the reserved bits
				s := tcpAB4
				s.payload = random(uint64(len(want)), 50)
				s.dport = uint16(len(want)) // one frame each
				want = append(want, s.build())
				head, _ := hex.DecodeString(frame)
				b.in(fromA, 0, c.message(l2tpMessage(flags, offset, tunnelB, sessionB, append(head, s.build()...)...)))
			}
		}
	}
	wantPackets(t, b.singles(), want)
}

func TestPaddingBehindLengthsIsCutOff(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP())
	c := client{a, 0x1001}
	pkt := tcpAB4.build()
	frame := append(ppp([]byte{0, 0x21}, pkt), 1, 2, 3)
	b.in(fromA, 0, c.message(l2tpMessage(0, 0, tunnelB, sessionB, frame...)))                        // behind the IP packet
	b.in(fromA, 0, c.message(append(l2tpMessage(l2tpLength, 0, tunnelB, sessionB, frame...), 7, 7))) // behind L2TP
	b.in(fromA, 0, c.seal(protoUDP, append(udpTo1701(1701, l2tpMessage(0, 0, tunnelB, sessionB, frame...)), 9, 9)))
	wantPackets(t, b.singles(), [][]byte{pkt, pkt, pkt})
}

// handedUp is one L2TP message for the event loop.
type handedUp struct {
	name string
	msg  []byte
}

func wantHandedUp(t *testing.T, rows []handedUp) {
	t.Helper()
	for _, c := range rows {
		a, b := couple(t, gcm128, overL2TP())
		b.in(fromA, 0, client{a, 0x1001}.seal(protoUDP, udpTo1701(50123, c.msg)))
		if want := []innerMessage{{0x2001, 50123, string(c.msg)}}; !slices.Equal(b.inner, want) {
			t.Errorf("%s: handed up %+v, want the message whole", c.name, b.inner)
		}
		if len(b.frames.frames) != 0 {
			t.Errorf("%s went to the device", c.name)
		}
		b.wantCount("l2tp", 1)
	}
}

// ofCall is a data message of the call with that frame, or with that packet.
func ofCall(frame []byte) []byte { return l2tpMessage(0, 0, tunnelB, sessionB, frame...) }

func packetOfCall(s spec) []byte {
	protocol := []byte{0, 0x21}
	if strings.Contains(s.dst, ":") {
		protocol = []byte{0, 0x57}
	}
	return ofCall(ppp(protocol, s.build()))
}

func TestWhatIsNoPacketOfTheCallIsHandedUp(t *testing.T) {
	lcp := ppp([]byte{0xC0, 0x21}, []byte{9, 1, 0, 8, 1, 2, 3, 4})
	hello := l2tpMessage(l2tpControl|l2tpLength|l2tpSequence, 0, tunnelB, 0, 0x80, 8, 0, 0, 0, 0, 0, 6)
	sccrq := l2tpMessage(l2tpControl|l2tpLength|l2tpSequence, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1)
	wantHandedUp(t, []handedUp{
		{"HELLO", hello},
		{"SCCRQ", sccrq},
		{"LCP echo", ofCall(lcp)},
		{"LCP with a compressed protocol", ofCall([]byte{0xFF, 3, 0xC1, 9, 1, 0, 4})},
		{"IPCP", ofCall(ppp([]byte{0x80, 0x21}, []byte{1, 1, 0, 4}))},
		{"CCP", ofCall(ppp([]byte{0x80, 0xFD}, []byte{1, 1, 0, 4}))},
		{"an even protocol", ofCall(ppp([]byte{0x40, 0x22}, []byte{1}))},
		{"router solicitation", packetOfCall(spec{src: "fe80::1", dst: "ff02::2", proto: protoICMPv6, sport: 0x8500})},
		{"DHCPv6", packetOfCall(spec{src: "fe80::1", dst: "ff02::1:2", proto: protoUDP, sport: 546, dport: 547})},
		{"to our link-local address", packetOfCall(spec{src: innerA6, dst: "fe80::2", proto: protoICMPv6, sport: 0x8000})},
		{"duplicate address detection", packetOfCall(spec{src: "::", dst: "ff02::1:ff00:1", proto: protoICMPv6, sport: 0x8700})},
	})
}

func TestTrap45_DHCPINFORMIsHandedUpAndNeverRelayed(t *testing.T) {
	wantHandedUp(t, []handedUp{
		{"DHCPINFORM to all", packetOfCall(spec{src: innerA4, dst: "255.255.255.255", proto: protoUDP, sport: 68, dport: 67, payload: make([]byte, 240)})},
		{"DHCPINFORM with a source not assigned", packetOfCall(spec{src: "0.0.0.0", dst: "255.255.255.255", proto: protoUDP, sport: 68, dport: 67})},
		{"DHCPINFORM to a host behind", packetOfCall(spec{src: innerA4, dst: innerB4, proto: protoUDP, sport: 68, dport: 67})},
	})
}

func TestWithoutACallEveryMessageIsHandedUp(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP(), func(_, b *dataplane.ChildSA) { b.Call = nil })
	c := client{a, 0x1001}
	a.out(vnetHeader{}, tcpAB4.build())
	b.in(fromA, 0, a.wire.packets()...)
	b.in(fromA, 0, c.message(l2tpMessage(0, 0, 7, 7, 0x45, 0, 0)))
	if len(b.inner) != 2 || len(b.frames.frames) != 0 {
		t.Errorf("handed up %d messages, wrote %d frames", len(b.inner), len(b.frames.frames))
	}
	b.out(vnetHeader{}, spec{src: innerB4, dst: innerA4, proto: protoTCP}.build())
	b.wantCount("no_route", 1)
}

// hostile is one ESP payload that must end in the plane, counted and silent.
type hostile struct {
	name    string
	counter string
	next    uint8
	payload []byte
}

func wantNothing(t *testing.T, rows []hostile) {
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			a, b := couple(t, gcm128, overL2TP())
			b.in(fromA, 0, client{a, 0x1001}.seal(c.next, c.payload))
			b.wantCount(c.counter, 1)
			if len(b.frames.frames) != 0 || len(b.inner) != 0 {
				t.Errorf("%d frames, %d messages handed up", len(b.frames.frames), len(b.inner))
			}
		})
	}
}

// data is a data message of the call, in its UDP datagram.
func data(bits uint16, frame ...byte) []byte {
	return udpTo1701(1701, l2tpMessage(bits, 0, tunnelB, sessionB, frame...))
}

// goodFrame is a PPP frame that passes.
func goodFrame() []byte { return ppp([]byte{0, 0x21}, tcpAB4.build()) }

// with is b with another 16-bit field.
func with(b []byte, at int, v uint16) []byte {
	b = bytes.Clone(b)
	binary.BigEndian.PutUint16(b[at:], v)
	return b
}

func TestHostileL2TPEndsInThePlane(t *testing.T) {
	good := goodFrame()
	udp := data(0, good...)
	wantNothing(t, []hostile{
		{"an IP packet, as in tunnel mode", "l2tp_foreign", 4, tcpAB4.build()},
		{"TCP", "l2tp_foreign", protoTCP, tcpAB4.build()[20:]},
		{"nothing", "l2tp_foreign", protoUDP, nil},
		{"half a UDP header", "l2tp_foreign", protoUDP, udp[:7]},
		{"another port", "l2tp_foreign", protoUDP, with(udp, 2, 1702)},
		{"port 1701 as source alone", "l2tp_foreign", protoUDP, with(udp, 2, 53)},
		{"a UDP length beyond the end", "l2tp_foreign", protoUDP, with(udp, 4, uint16(len(udp)+1))},
		{"a UDP length below the header", "l2tp_foreign", protoUDP, with(udp, 4, 7)},
		{"an empty datagram", "l2tp_malformed", protoUDP, udpTo1701(1701, nil)},
		{"version 1 (L2F)", "l2tp_malformed", protoUDP, with(data(0, good...), 8, 1)},
		{"version 3", "l2tp_malformed", protoUDP, with(data(0, good...), 8, 3)},
		{"a length beyond the end", "l2tp_malformed", protoUDP, with(data(l2tpLength, good...), 10, 600)},
		{"a length of zero", "l2tp_malformed", protoUDP, with(data(l2tpLength, good...), 10, 0)},
		{"a length below the header", "l2tp_malformed", protoUDP, with(data(l2tpLength|l2tpSequence, good...), 10, 11)},
		{"an offset beyond the end", "l2tp_malformed", protoUDP, with(data(l2tpOffset, good...), 14, 60000)},
		{"an offset one beyond the end", "l2tp_malformed", protoUDP, with(data(l2tpOffset, good...), 14, uint16(len(good)+1))},
		{"an offset to the end", "l2tp_malformed", protoUDP, with(data(l2tpOffset, good...), 14, uint16(len(good)))},
		{"no frame", "l2tp_malformed", protoUDP, data(0)},
		{"a frame of address and control", "l2tp_malformed", protoUDP, data(0, 0xFF, 3)},
		{"half a protocol", "l2tp_malformed", protoUDP, data(0, 0xFF, 3, 0)},
		{"half an IP packet", "inner_malformed", protoUDP, data(0, good[:30]...)},
		{"no IP packet", "inner_malformed", protoUDP, data(0, 0x21)},
		{"IPv6 as IPv4", "inner_malformed", protoUDP, data(0, ppp([]byte{0, 0x21}, tcpAB6.build())...)},
		{"IPv4 as IPv6", "inner_malformed", protoUDP, data(0, ppp([]byte{0, 0x57}, tcpAB4.build())...)},
		{"a destination not granted", "inbound_selector", protoUDP, data(0, ppp([]byte{0, 0x21}, spec{src: innerA4, dst: "10.9.0.1", proto: protoTCP}.build())...)},
		{"a dummy", "dummy", 59, udp},
	})
}

// The ids of a tunnel or session that is not there are answered by nothing: no
// reflection, and nothing to guess by.
func TestTrap36_DataOfAnotherTunnelOrSessionIsDroppedSilently(t *testing.T) {
	good := goodFrame()
	wantNothing(t, []hostile{
		{"another tunnel", "l2tp_unknown", protoUDP, with(data(0, good...), 10, tunnelB+1)},
		{"tunnel zero", "l2tp_unknown", protoUDP, with(data(0, good...), 10, 0)},
		{"another session", "l2tp_unknown", protoUDP, with(data(0, good...), 12, sessionB+1)},
		{"session zero", "l2tp_unknown", protoUDP, with(data(0, good...), 12, 0)},
		{"the ids of the other direction", "l2tp_unknown", protoUDP, udpTo1701(1701, l2tpMessage(0, 0, tunnelA, sessionA, good...))},
	})
}

func TestTrap40_APacketWithoutAProtocolIsNotRejected(t *testing.T) {
	wantNothing(t, []hostile{
		{"an IPv4 packet without a protocol", "l2tp_malformed", protoUDP, data(0, tcpAB4.build()...)},
		{"an IPv4 packet behind FF 03", "l2tp_malformed", protoUDP, data(0, append([]byte{0xFF, 3}, tcpAB4.build()...)...)},
	})
}

func TestTrap43_APacketFromAnotherSourceIsDropped(t *testing.T) {
	wantNothing(t, []hostile{
		{"another source", "inbound_selector", protoUDP, data(0, ppp([]byte{0, 0x21}, spec{src: "10.1.0.2", dst: innerB4, proto: protoTCP}.build())...)},
		{"another IPv6 source", "inbound_selector", protoUDP, data(0, ppp([]byte{0, 0x57}, spec{src: "fd01::2", dst: innerB6, proto: protoTCP}.build())...)},
	})
}

func TestEveryPrefixOfAMessageIsHarmless(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP())
	c := client{a, 0x1001}
	msg := udpTo1701(1701, l2tpMessage(l2tpLength|l2tpSequence|l2tpOffset, 3, tunnelB, sessionB, ppp([]byte{0, 0x21}, tcpAB4.build())...))
	for n := range msg {
		b.in(fromA, 0, c.seal(protoUDP, msg[:n]))
		cut := bytes.Clone(msg[:n]) // and with a UDP length that agrees
		if n >= 8 {
			binary.BigEndian.PutUint16(cut[4:], uint16(n))
		}
		b.in(fromA, 0, c.seal(protoUDP, cut))
	}
	b.wantCount("panics", 0)
	if len(b.frames.frames) != 0 || len(b.inner) != 0 {
		t.Errorf("part of a message passed: %d frames, %d messages", len(b.frames.frames), len(b.inner))
	}
}

func TestOnePeerCannotFloodTheEventLoop(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP())
	c := client{a, 0x1001}
	hello := l2tpMessage(l2tpControl|l2tpLength|l2tpSequence, 0, tunnelB, 0)
	flood := func(n int) int {
		before := len(b.inner)
		for range n {
			b.in(fromA, 0, c.message(hello))
		}
		return len(b.inner) - before
	}
	if n := flood(500); n != innerBurst {
		t.Errorf("%d messages came through at once, want %d", n, innerBurst)
	}
	b.wantCount("l2tp_flood", 500-innerBurst)
	b.receiver.at += time.Second / 4
	if n := flood(500); n != innerPerSec/4 {
		t.Errorf("%d messages came through after a quarter of a second, want %d", n, innerPerSec/4)
	}
	b.receiver.at += time.Hour
	if n := flood(500); n != innerBurst {
		t.Errorf("%d messages came through after a pause, want a burst", n)
	}
	a.wire.datagrams = nil // packets of the call are another matter
	a.out(vnetHeader{}, tcpAB4.build())
	b.in(fromA, 0, a.wire.packets()...)
	wantPackets(t, b.singles(), [][]byte{tcpAB4.build()})
}

// FuzzL2TP is what an authenticated but hostile peer can put into ESP: nothing
// makes the plane panic, pass a packet from another source, or hand up octets
// that are no L2TP message of version 2.
func FuzzL2TP(f *testing.F) {
	for bits := range 8 {
		flags := uint16(bits&1)*l2tpLength | uint16(bits>>1&1)*l2tpSequence | uint16(bits>>2)*l2tpOffset
		f.Add(udpTo1701(1701, l2tpMessage(flags, 2, tunnelB, sessionB, ppp([]byte{0, 0x21}, tcpAB4.build())...)), true)
	}
	f.Add(udpTo1701(1701, l2tpMessage(0, 0, tunnelB, sessionB, ppp([]byte{0, 0x57}, tcpAB6.build())...)), true)
	f.Add(udpTo1701(1701, l2tpMessage(l2tpControl|l2tpLength|l2tpSequence, 0, 0, 0)), false)
	_, b := couple(f, gcm128, overL2TP())
	sa := b.spis.lookup(0x2001)
	call := sa.cargo.Load()
	assigned, assigned6 := netip.MustParseAddr(innerA4), netip.MustParseAddr(innerA6)
	f.Fuzz(func(t *testing.T, payload []byte, open bool) {
		b.frames.frames, b.inner, sa.in.innerFull = nil, nil, 0
		sa.cargo.Store(nil)
		if open {
			sa.cargo.Store(call)
		}
		b.receiver.deliver(sa, bytes.Clone(payload), protoUDP)
		b.receiver.flush()
		for _, frame := range b.frames.frames {
			var in inner
			if !open || !in.parse(frame[vnetSize:]) || in.src != assigned && in.src != assigned6 {
				t.Fatalf("frame %x", frame)
			}
		}
		for _, m := range b.inner {
			if len(m.msg) < 6 || m.msg[1]&l2tpVerMask != l2tpVersion || !bytes.Contains(payload, []byte(m.msg)) {
				t.Fatalf("handed up %x", m.msg)
			}
		}
		if len(b.frames.frames)+len(b.inner) > 1 {
			t.Fatal("one message became several")
		}
	})
}

package hostconf

import (
	"encoding/binary"
	"net/netip"

	"sallyport/protocol/wire"
)

// IP, UDP and their checksums: RFC 791, RFC 768, RFC 8200, RFC 1071.

const (
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8
)

// Protocol numbers of IPv4 and IPv6.
const (
	protocolUDP    = 17
	protocolICMPv6 = 58
)

const (
	hopLimit    = 64
	maxHopLimit = 255 // nobody but a neighbor can send it (RFC 4861, Section 3.1)
)

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// datagram is a UDP datagram.
type datagram struct {
	from, to netip.AddrPort
	data     []byte
}

// parseUDP4 reads an IPv4 packet with one whole UDP datagram. Both checksums are
// verified; that of UDP may be absent.
func parseUDP4(packet []byte) (datagram, bool) {
	r := wire.NewReader("IPv4 packet", packet)
	header := int(packet[0]&15) * 4
	if header < ipv4Header || header > len(packet) || sum(0, packet[:header]) != 0xffff {
		return datagram{}, false
	}
	r.Bytes(2)
	total := int(r.U16())
	r.U16()
	fragment := r.U16()
	r.Bytes(4)
	from, to := addr(r.Bytes(4)), addr(r.Bytes(4))
	const dontFragment = 0x4000
	if total < header || total > len(packet) || fragment&^dontFragment != 0 {
		return datagram{}, false
	}
	return parseUDP(from, to, packet[header:total], true)
}

// parseUDP reads a UDP datagram and verifies its checksum.
func parseUDP(from, to netip.Addr, b []byte, absent bool) (datagram, bool) {
	r := wire.NewReader("UDP datagram", b)
	source, destination, n, checksum := r.U16(), r.U16(), int(r.U16()), r.U16()
	if r.Err() != nil || n < udpHeader || n > len(b) {
		return datagram{}, false
	}
	if !(absent && checksum == 0) && sum(pseudo(from, to, protocolUDP, n), b[:n]) != 0xffff {
		return datagram{}, false
	}
	return datagram{netip.AddrPortFrom(from, source), netip.AddrPortFrom(to, destination), b[udpHeader:n]}, true
}

func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// ipv6 is an IPv6 packet without extension headers.
type ipv6 struct {
	from, to netip.Addr
	protocol uint8
	hops     uint8
	body     []byte
}

// parseIPv6 reads the fixed header. What has extension headers does not ask for
// anything that we answer.
func parseIPv6(packet []byte) (ipv6, bool) {
	r := wire.NewReader("IPv6 packet", packet)
	r.Bytes(4)
	n := int(r.U16())
	h := ipv6{protocol: r.U8(), hops: r.U8(), from: addr(r.Bytes(16)), to: addr(r.Bytes(16))}
	h.body = r.Bytes(n) // what follows is padding of the link
	return h, r.Err() == nil && !h.from.Is4In6() && !h.from.IsMulticast()
}

// udp4 makes an IPv4 packet with a UDP datagram. One that nobody fragments needs
// no Identification (RFC 6864, Section 4.1).
func udp4(from, to netip.AddrPort, data []byte) []byte {
	n := udpHeader + len(data)
	b := make([]byte, 0, ipv4Header+n)
	b = append(b, 0x45, 0)
	b = wire.AppendU16(b, uint16(ipv4Header+n))
	b = append(b, 0, 0, 0x40, 0, hopLimit, protocolUDP, 0, 0)
	b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(b[10:], ^sum(0, b))
	return appendUDP(b, from, to, data)
}

// udp6 makes an IPv6 packet with a UDP datagram.
func udp6(from, to netip.AddrPort, data []byte) []byte {
	b := appendIPv6(from.Addr(), to.Addr(), protocolUDP, hopLimit, udpHeader+len(data))
	return appendUDP(b, from, to, data)
}

// icmp6 makes an IPv6 packet with an ICMPv6 message, whose checksum it fills in.
func icmp6(from, to netip.Addr, message []byte) []byte {
	binary.BigEndian.PutUint16(message[2:], ^sum(pseudo(from, to, protocolICMPv6, len(message)), message))
	return append(appendIPv6(from, to, protocolICMPv6, maxHopLimit, len(message)), message...)
}

func appendIPv6(from, to netip.Addr, protocol, hops uint8, n int) []byte {
	b := make([]byte, 0, ipv6Header+n)
	b = append(b, 0x60, 0, 0, 0)
	b = wire.AppendU16(b, uint16(n))
	b = append(b, protocol, hops)
	return append(append(b, from.AsSlice()...), to.AsSlice()...)
}

func appendUDP(b []byte, from, to netip.AddrPort, data []byte) []byte {
	start, n := len(b), udpHeader+len(data)
	b = wire.AppendU16(wire.AppendU16(b, from.Port()), to.Port())
	b = append(wire.AppendU16(b, uint16(n)), 0, 0)
	b = append(b, data...)
	checksum := ^sum(pseudo(from.Addr(), to.Addr(), protocolUDP, n), b[start:])
	if checksum == 0 {
		checksum = 0xffff // 0 would mean none
	}
	binary.BigEndian.PutUint16(b[start+6:], checksum)
	return b
}

// pseudo is the sum over the pseudo header.
func pseudo(from, to netip.Addr, protocol uint8, n int) uint32 {
	s := uint32(sum(uint32(protocol)+uint32(n), from.AsSlice()))
	return uint32(sum(s, to.AsSlice()))
}

// sum is the Internet checksum before its complement (RFC 1071): 0xffff over
// what includes a right checksum.
func sum(s uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func u16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

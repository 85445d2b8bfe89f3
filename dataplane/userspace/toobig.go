package userspace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// minIPv6MTU must pass every tunnel (RFC 8200, Section 5); a smaller path
// carries such a packet in outer fragments.
const minIPv6MTU = 1280

// icmpPerSecond bounds the errors one worker writes: a sender learns from the
// first, and RFC 4443, Section 2.4 (f) asks for a limit.
const icmpPerSecond = 100

// icmpv4Quote and icmpv6Quote are how long an error may be in all (RFC 1812,
// Section 4.3.2.3; RFC 4443, Section 2.4 (c)).
const (
	icmpv4Quote = 576
	icmpv6Quote = minIPv6MTU
)

// tooBig tells senders inside the tunnel that a packet does not fit it: ICMP
// "fragmentation needed" (RFC 1191, Section 4) or ICMPv6 "packet too big" (RFC
// 4443, Section 3.2). The error comes from the packet's own destination, the
// one address that surely routes back through this device.
type tooBig struct {
	writer frameSink
	buf    [vnetSize + minIPv6MTU]byte
	iov    [1]unix.Iovec
	second int64
	n      int
}

func newTooBig(w frameSink) tooBig { return tooBig{writer: w} }

// report writes the error for pkt, unless there were enough this second.
func (t *tooBig) report(pkt []byte, in *inner, mtu int, now int64) {
	if t.second != now {
		t.second, t.n = now, 0
	}
	if t.n++; t.n > icmpPerSecond || !in.answerable() {
		return
	}
	var n int
	if in.v6 {
		n = buildTooBig6(t.buf[vnetSize:], pkt, mtu)
	} else {
		n = buildTooBig4(t.buf[vnetSize:], pkt, mtu)
	}
	setIovec(&t.iov[0], t.buf[:vnetSize+n])
	_ = t.writer.writeFrame(t.iov[:]) // a lost error is sent again for the next packet
}

// answerable: no error answers an ICMP error, a later fragment or a packet to
// many (RFC 1122, Section 3.2.2). RFC 4443, Section 2.4 (e) would allow the
// last for IPv6, but the error needs a source, and a multicast group is none.
func (p *inner) answerable() bool {
	kind := p.srcPort >> 8 // of ICMP
	switch {
	case p.dst.IsMulticast():
		return false
	case p.proto == protoICMPv6:
		return p.ports && kind >= 128
	case p.v6:
		return true
	case p.proto == protoICMP && (!p.ports || kind == 3 || kind == 4 || kind == 5 || kind == 11 || kind == 12):
		return false
	}
	return p.plain || p.ports
}

func buildTooBig4(b, pkt []byte, mtu int) int {
	quote := min(len(pkt), icmpv4Quote-ipv4HeaderSize-8)
	total := ipv4HeaderSize + 8 + quote
	clear(b[:ipv4HeaderSize+8])
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(total))
	b[8], b[9] = 64, protoICMP
	copy(b[12:16], pkt[16:20])
	copy(b[16:20], pkt[12:16])
	setIPv4Checksum(b, ipv4HeaderSize)
	icmp := b[ipv4HeaderSize:total]
	icmp[0], icmp[1] = 3, 4
	binary.BigEndian.PutUint16(icmp[6:], uint16(mtu))
	copy(icmp[8:], pkt[:quote])
	sum(0).add(icmp).putComplement(icmp[2:])
	return total
}

func buildTooBig6(b, pkt []byte, mtu int) int {
	quote := min(len(pkt), icmpv6Quote-ipv6HeaderSize-8)
	total := ipv6HeaderSize + 8 + quote
	clear(b[:ipv6HeaderSize+8])
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], uint16(8+quote))
	b[6], b[7] = protoICMPv6, 64
	copy(b[8:24], pkt[24:40])
	copy(b[24:40], pkt[8:24])
	icmp := b[ipv6HeaderSize:total]
	icmp[0] = 2
	binary.BigEndian.PutUint32(icmp[4:], uint32(mtu))
	copy(icmp[8:], pkt[:quote])
	pseudoHeader(b, true, protoICMPv6, len(icmp)).add(icmp).putComplement(icmp[2:])
	return total
}

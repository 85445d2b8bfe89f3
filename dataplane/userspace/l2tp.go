package userspace

import (
	"encoding/binary"
	"time"
)

// portL2TP is the one UDP port that transport mode protects (RFC 3193, Section
// 4; RFC 2661, Section 8.1).
const portL2TP = 1701

// Bits of the first two octets of an L2TP header (RFC 2661, Section 3.1).
const (
	l2tpControl  = 0x8000 // T
	l2tpLength   = 0x4000 // L
	l2tpSequence = 0x0800 // S
	l2tpOffset   = 0x0200 // O
	l2tpVersion  = 2      // in the low four bits
	l2tpVerMask  = 0x000F
)

// PPP without HDLC (RFC 1661, Section 2; RFC 1662, Section 3.1), and the two
// protocols that a plane moves itself (RFC 1332, Section 2; RFC 5072, Section 2).
const (
	pppAddress = 0xFF
	pppControl = 0x03
	pppIPv4    = 0x21
	pppIPv6    = 0x57
)

// What one Child SA may hand up to the event loop: a login takes some forty
// messages, and a link that is up one or two a minute. Above it messages are
// dropped and counted, which L2TP and PPP repair by sending again.
const (
	innerBurst  = 64
	innerPerSec = 128
)

// message is one L2TP message (RFC 2661, Section 3.1).
type message struct {
	whole           []byte // header and all
	control         bool
	tunnel, session uint16
	frame           []byte // of a data message: the PPP frame
}

// udp1701 takes the UDP header off (RFC 768). The checksum is not looked at: a
// NAT has made it wrong (RFC 3948, Section 3.1.2), and ESP has authenticated
// the packet. Octets behind the datagram are padding.
func udp1701(b []byte, next uint8) (port uint16, msg []byte, ok bool) {
	if next != protoUDP || len(b) < udpHeaderSize || binary.BigEndian.Uint16(b[2:]) != portL2TP {
		return 0, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[udpLengthAt:]))
	if n < udpHeaderSize || n > len(b) {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(b), b[udpHeaderSize:n], true
}

// parse reads the header of a message. It is false for another version, for a
// header that does not fit, and for a length or offset beyond the end. Of a
// control message only the kind is told; its reader is elsewhere.
func (m *message) parse(b []byte) bool {
	if len(b) < 6 {
		return false
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&l2tpVerMask != l2tpVersion {
		return false
	}
	at := 2
	if flags&l2tpLength != 0 {
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n > len(b) {
			return false
		}
		b = b[:n]
		at += 2
	}
	*m = message{whole: b, control: flags&l2tpControl != 0}
	rest := at + 4
	if flags&l2tpSequence != 0 {
		rest += 4
	}
	if flags&l2tpOffset != 0 {
		if rest+2 > len(b) {
			return false
		}
		rest += 2 + int(binary.BigEndian.Uint16(b[rest:]))
	}
	if rest > len(b) {
		return false
	}
	m.tunnel, m.session = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
	m.frame = b[rest:]
	return true
}

// pppFrame takes address, control and protocol off a frame, of which the peer
// may leave out all but one octet (RFC 1661, Sections 6.5 and 6.6). It is false
// where there is no protocol. So it is for 0x45, which is no protocol but an
// IPv4 packet of a client that forgot it: to reject that by name would be
// answered with the next packet, without end.
func pppFrame(b []byte) (protocol uint16, info []byte, ok bool) {
	if len(b) >= 2 && b[0] == pppAddress && b[1] == pppControl {
		b = b[2:]
	}
	switch {
	case len(b) == 0 || b[0] == 0x45:
		return 0, nil, false
	case b[0]&1 != 0:
		return uint16(b[0]), b[1:], true
	case len(b) == 1:
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(b), b[2:], true
}

// ofTheLink tells what a host sends to the far end of its link and no network
// behind it: DHCPINFORM of Windows, which must never be relayed, and all that
// IPv6 does within a link.
func (p *inner) ofTheLink() bool {
	if p.v6 {
		return p.dst.IsLinkLocalMulticast() || p.dst.IsLinkLocalUnicast() || p.src.IsLinkLocalUnicast()
	}
	return p.proto == protoUDP && p.ports && p.dstPort == portDHCP
}

// portDHCP is the server's (RFC 2131, Section 4.1).
const portDHCP = 67

// l2tp takes what a Child SA in transport mode brought, and returns the IP
// packet of its call in it, which r.in then describes; nil when there is none
// and all is done. The caller holds the lock of the SA.
func (r *receiver) l2tp(sa *childSA, g *cargo, payload []byte, next uint8) (pkt []byte) {
	c := &r.lane.counters
	port, msg, ok := udp1701(payload, next)
	if !ok {
		c.L2TPForeign.Add(1)
		return nil
	}
	var m message
	if !m.parse(msg) {
		c.L2TPMalformed.Add(1)
		return nil
	}
	if m.control || g == nil {
		r.hand(sa, port, m.whole)
		return nil
	}
	if m.tunnel != g.call.Tunnel || m.session != g.call.Session {
		c.L2TPUnknown.Add(1) // no answer: whoever guesses learns nothing
		return nil
	}
	protocol, pkt, ok := pppFrame(m.frame)
	switch {
	case !ok:
		c.L2TPMalformed.Add(1)
		return nil
	case protocol != pppIPv4 && protocol != pppIPv6:
		r.hand(sa, port, m.whole)
		return nil
	case !r.in.parse(pkt) || r.in.v6 != (protocol == pppIPv6):
		c.InnerMalformed.Add(1)
		return nil
	case r.in.ofTheLink():
		r.hand(sa, port, m.whole)
		return nil
	}
	return pkt
}

// handed is a message that waits for the end of the batch: the upcall must not
// be made under the lock of an SA.
type handed struct {
	spi  uint32
	port uint16
	msg  []byte // in the receive buffer
}

// hand passes a message up, unless its Child SA brought too many.
func (r *receiver) hand(sa *childSA, port uint16, msg []byte) {
	h, c := &sa.in, &r.lane.counters
	h.bytes += uint64(len(msg))
	if !h.takeInner(r.at) {
		c.L2TPFlood.Add(1)
		return
	}
	c.L2TP.Add(1)
	r.messages = append(r.messages, handed{sa.spiIn, port, msg})
}

// takeInner is a token bucket, kept as the time at which it will be full.
func (h *inboundHalf) takeInner(now time.Duration) bool {
	const price = time.Second / innerPerSec
	full := max(h.innerFull, now) + price
	if full > now+innerBurst*price {
		return false
	}
	h.innerFull = full
	return true
}

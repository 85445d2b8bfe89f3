package userspace

import (
	"encoding/binary"
	"net/netip"

	"sallyport/protocol/esp"
)

// Numbers of upper-layer protocols and IPv6 extension headers that the plane
// looks into.
const (
	protoHopByHop  = 0
	protoICMP      = 1
	protoTCP       = 6
	protoUDP       = 17
	protoRouting   = 43
	protoFragment  = 44
	protoAH        = 51
	protoICMPv6    = 58
	protoDstOpts   = 60
	protoMobility  = 135
	protoDCCP      = 33
	protoSCTP      = 132
	protoUDPLite   = 136
	ipv4HeaderSize = 20
	ipv6HeaderSize = 40
)

// maxExtensions bounds the walk over IPv6 extension headers: more than any
// sender in the field uses, few enough to cost nothing.
const maxExtensions = 8

// inner is what the plane needs to know of one packet inside the tunnel.
type inner struct {
	v6       bool
	tos      uint8 // IPv4 TOS or IPv6 traffic class
	proto    uint8 // upper-layer protocol, behind IPv6 extension headers
	l4       int   // offset of the upper-layer header
	length   int   // octets of the packet by its own header
	ports    bool  // src and dst ports (or ICMP type and code) were there to read
	dontFrag bool  // IPv4 DF; always true for IPv6
	plain    bool  // no IPv4 options, no IPv6 extension header, no fragment

	src, dst         netip.Addr
	srcPort, dstPort uint16
}

// parse reads an IP packet. It is false for anything that is not one whole
// packet; octets behind the packet are traffic flow confidentiality padding
// (RFC 4303, Section 2.7) and for the caller to cut off at length.
func (p *inner) parse(b []byte) bool {
	if len(b) < ipv4HeaderSize {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return p.parseIPv4(b)
	case 6:
		return p.parseIPv6(b)
	}
	return false
}

func (p *inner) parseIPv4(b []byte) bool {
	header := int(b[0]&0x0F) * 4
	length := int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4HeaderSize || length < header || length > len(b) {
		return false
	}
	frag := binary.BigEndian.Uint16(b[6:])
	*p = inner{
		tos: b[1], proto: b[9], l4: header, length: length,
		dontFrag: frag&0x4000 != 0,
		plain:    header == ipv4HeaderSize && frag&0x3FFF == 0,
		src:      netip.AddrFrom4([4]byte(b[12:16])),
		dst:      netip.AddrFrom4([4]byte(b[16:20])),
	}
	if frag&0x1FFF == 0 {
		p.readPorts(b[:length])
	}
	return true
}

func (p *inner) parseIPv6(b []byte) bool {
	if len(b) < ipv6HeaderSize {
		return false
	}
	length := ipv6HeaderSize + int(binary.BigEndian.Uint16(b[4:]))
	if length > len(b) {
		return false
	}
	*p = inner{
		v6: true, tos: b[0]<<4 | b[1]>>4, proto: b[6], l4: ipv6HeaderSize, length: length,
		dontFrag: true, plain: true,
		src: netip.AddrFrom16([16]byte(b[8:24])),
		dst: netip.AddrFrom16([16]byte(b[24:40])),
	}
	first, ok := p.skipExtensions(b[:length])
	if ok && first {
		p.readPorts(b[:length])
	}
	return ok
}

// skipExtensions moves proto and l4 behind the extension headers (RFC 8200,
// Section 4). first is false for a fragment that has no upper-layer header.
func (p *inner) skipExtensions(b []byte) (first, ok bool) {
	for range maxExtensions {
		var size int
		switch p.proto {
		case protoHopByHop, protoRouting, protoDstOpts, protoMobility:
			if p.l4+8 > len(b) {
				return false, false
			}
			size = 8 + int(b[p.l4+1])*8
		case protoAH:
			if p.l4+8 > len(b) {
				return false, false
			}
			size = 8 + int(b[p.l4+1])*4
		case protoFragment:
			if p.l4+8 > len(b) {
				return false, false
			}
			size = 8
			if binary.BigEndian.Uint16(b[p.l4+2:])&0xFFF8 != 0 {
				p.plain = false
				p.proto = b[p.l4]
				p.l4 += size
				return false, p.l4 <= len(b)
			}
		default:
			return true, p.l4 <= len(b)
		}
		p.plain = false
		p.proto = b[p.l4]
		p.l4 += size
		if p.l4 > len(b) {
			return false, false
		}
	}
	return false, false
}

// readPorts reads what traffic selectors call ports; for ICMP that is type and
// code (RFC 7296, Section 3.13.1).
func (p *inner) readPorts(b []byte) {
	l4 := b[p.l4:]
	switch p.proto {
	case protoTCP, protoUDP, protoSCTP, protoDCCP, protoUDPLite:
		if len(l4) >= 4 {
			p.srcPort, p.dstPort, p.ports = binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:]), true
		}
	case protoICMP, protoICMPv6:
		if len(l4) >= 2 {
			p.srcPort, p.ports = binary.BigEndian.Uint16(l4), true
			p.dstPort = p.srcPort
		}
	}
}

// nextHeader is the ESP next header of the packet.
func (p *inner) nextHeader() uint8 {
	if p.v6 {
		return esp.NextIPv6
	}
	return esp.NextIPv4
}

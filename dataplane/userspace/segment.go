package userspace

import (
	"encoding/binary"

	"sallyport/protocol/esp"
)

// maxHeaders bounds IP and transport header together: IPv4 with all options
// and TCP with all options are 120 octets; the rest is room for IPv6 extension
// headers, which the kernel does not send segmented.
const maxHeaders = 256

// frameHeadroom is what a frame buffer keeps free before the frame, for the
// L2TP header of the first packet.
const frameHeadroom = maxPrefix

// frameTailroom is what a frame buffer keeps free behind the packet, for the
// trailer of the last segment.
const frameTailroom = 32

// segmenter cuts one frame from the TUN device into packets that fit the path.
// It works in the frame's own buffer and copies only headers: each packet's
// header is written over the tail of the payload before it, which was sealed
// already, so that header and payload stand together as the cipher needs them.
type segmenter struct {
	header [maxHeaders]byte
	saved  [frameTailroom]byte

	buf     []byte // where frame is, with frameHeadroom before it
	at      int    // of frame in buf
	frame   []byte // the whole IP packet, with frameTailroom behind it
	in      *inner
	hdrLen  int // IP and transport header
	size    int // payload of each segment but the last
	count   int // segments
	largest int // octets of the largest segment
	next    int // number of the next segment
	gso     bool
}

// start prepares the frame at that offset of buf (vnet header h, packet p) for
// packet. It is false for a frame that makes no sense.
func (s *segmenter) start(h *vnetHeader, buf []byte, at int, p *inner) bool {
	b := buf[at:]
	s.buf, s.at, s.frame, s.in, s.next = buf, at, b, p, 0
	s.gso = h.gsoType != gsoNone
	if !s.gso {
		s.count, s.largest = 1, len(b)
		return h.flags&vnetNeedsChecksum == 0 || finishChecksum(b, int(h.checksumStart), int(h.checksumOffset))
	}
	return s.startGSO(h, b, p)
}

func (s *segmenter) startGSO(h *vnetHeader, b []byte, p *inner) bool {
	hdrLen, ok := gsoHeaderLength(h.gsoType&^gsoECN, b, p)
	if !ok || h.gsoSize == 0 || hdrLen > maxHeaders || hdrLen >= len(b) {
		return false
	}
	s.hdrLen, s.size = hdrLen, int(h.gsoSize)
	payload := len(b) - hdrLen
	s.count = (payload + s.size - 1) / s.size
	s.largest = hdrLen + min(payload, s.size)
	copy(s.header[:], b[:hdrLen])
	return true
}

// gsoHeaderLength is the length of IP and transport header. The header length
// in the vnet header is only a hint, so the packet itself is asked.
func gsoHeaderLength(gsoType uint8, b []byte, p *inner) (int, bool) {
	switch {
	case !p.ports:
		return 0, false
	case gsoType == gsoUDP && p.proto == protoUDP:
		return p.l4 + 8, p.l4+8 <= len(b)
	case (gsoType == gsoTCPv4 && !p.v6 || gsoType == gsoTCPv6 && p.v6) && p.proto == protoTCP && p.l4+20 <= len(b):
		n := int(b[p.l4+12]>>4) * 4
		return p.l4 + n, n >= 20 && p.l4+n <= len(b)
	}
	return 0, false
}

// octets is the length of all packets of the frame together.
func (s *segmenter) octets() int { return len(s.frame) + (s.count-1)*s.hdrLen }

// packet returns the next packet, whole and with its checksums, or nil when
// the frame is done. Before it is room, of frameHeadroom at most: it was part of
// packets before. It is valid until the following call and may be extended by
// esp.MaxTrailer octets, which are restored then.
func (s *segmenter) packet(room int) []byte {
	if s.next == s.count {
		return nil
	}
	i := s.next
	s.next++
	if !s.gso {
		return s.buf[s.at-room:]
	}
	start := i * s.size // relative to the packet: header begins here
	end := min(start+s.hdrLen+s.size, len(s.frame))
	if i > 0 { // what the trailer of the packet before has overwritten
		copy(s.frame[start+s.hdrLen:cap(s.frame)], s.saved[:esp.MaxTrailer])
	}
	copy(s.saved[:], s.frame[end:min(end+esp.MaxTrailer, cap(s.frame))])
	pkt := s.frame[start:end]
	copy(pkt, s.header[:s.hdrLen])
	s.patch(pkt, i)
	return s.buf[s.at+start-room : s.at+end]
}

// patch gives segment i of the frame its lengths, numbers, flags and checksums.
func (s *segmenter) patch(pkt []byte, i int) {
	if s.in.v6 {
		binary.BigEndian.PutUint16(pkt[4:], uint16(len(pkt)-ipv6HeaderSize))
	} else {
		binary.BigEndian.PutUint16(pkt[2:], uint16(len(pkt)))
		binary.BigEndian.PutUint16(pkt[4:], binary.BigEndian.Uint16(pkt[4:])+uint16(i))
		setIPv4Checksum(pkt, int(pkt[0]&0x0F)*4)
	}
	l4 := pkt[s.in.l4:]
	if s.in.proto == protoUDP {
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
		l4[6], l4[7] = 0, 0
		c := pseudoHeader(pkt, s.in.v6, protoUDP, len(l4)).add(l4)
		putUDPChecksum(c, l4[6:])
		return
	}
	binary.BigEndian.PutUint32(l4[4:], binary.BigEndian.Uint32(l4[4:])+uint32(i*s.size))
	if i > 0 {
		l4[13] &^= tcpCWR // RFC 3168, Section 6.1.2: once
	}
	if i < s.count-1 {
		l4[13] &^= tcpFIN | tcpPSH
	}
	l4[16], l4[17] = 0, 0
	pseudoHeader(pkt, s.in.v6, protoTCP, len(l4)).add(l4).putComplement(l4[16:])
}

// TCP flags (RFC 9293, Section 3.1).
const (
	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpPSH = 0x08
	tcpACK = 0x10
	tcpURG = 0x20
	tcpECE = 0x40
	tcpCWR = 0x80
)

// finishChecksum completes a checksum that the kernel left to the device: the
// field holds the sum of the pseudo header.
func finishChecksum(b []byte, start, offset int) bool {
	if start < ipv4HeaderSize || start+offset+2 > len(b) {
		return false
	}
	field := b[start+offset : start+offset+2]
	c := sum(0).add(b[start:])
	if b[0]>>4 == 4 && b[9] == protoUDP || b[0]>>4 == 6 && b[6] == protoUDP {
		putUDPChecksum(c, field)
		return true
	}
	c.putComplement(field)
	return true
}

// putUDPChecksum stores a UDP checksum, in which zero would mean "none"
// (RFC 768; RFC 8200, Section 8.1).
func putUDPChecksum(c sum, field []byte) {
	c.putComplement(field)
	if field[0] == 0 && field[1] == 0 {
		field[0], field[1] = 0xFF, 0xFF
	}
}

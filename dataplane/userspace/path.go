package userspace

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"sallyport/protocol/esp"
)

// Outer header sizes.
const udpHeaderSize = 8

// path is where a Child SA's packets go: an immutable value, replaced when the
// peer moves or the path MTU changes. It holds the socket address and the
// control message in the kernel's form, so that sending builds nothing.
type path struct {
	local, remote netip.AddrPort
	raw           bool
	socket        int  // index into each worker's sockets
	mtu           int  // of the outer path
	largest       int  // outer payload that fits the path in one piece
	payload       int  // largest ESP payload that fits the path
	checksum      bool // UDP inside ESP needs a checksum
	pseudo        sum  // of the pseudo header, but for the length

	name    [unix.SizeofSockaddrInet6]byte
	nameLen uint32
	source  [unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo + 4]byte
	srcLen  int
}

// newPath makes a path for SAs whose packets are sized by o.
func newPath(local, remote netip.AddrPort, raw bool, socket, mtu int, o *esp.Outbound) *path {
	p := &path{local: local, remote: remote, raw: raw, socket: socket, mtu: mtu}
	overhead := ipv4HeaderSize
	if remote.Addr().Is6() {
		overhead = ipv6HeaderSize
	}
	if !raw {
		overhead += udpHeaderSize
	}
	p.largest = mtu - overhead
	p.payload = o.MaxPayload(p.largest)
	if local.Addr().Is6() && remote.Addr().Is6() {
		l, r := local.Addr().As16(), remote.Addr().As16()
		p.checksum, p.pseudo = true, sum(0).add(l[:]).add(r[:]).word(protoUDP)
	}
	port := remote.Port()
	if raw {
		port = 0
	}
	p.nameLen = putSockaddr(p.name[:], netip.AddrPortFrom(remote.Addr(), port))
	p.srcLen = putPktinfo(p.source[:], local.Addr())
	return p
}

// finishUDP writes the checksum of the UDP datagram b that goes inside ESP in
// transport mode, whose checksum field is zero. Over IPv4 it stays zero, for
// none: behind a NAT it would be wrong (RFC 3948, Section 3.1.2). IPv6 has no
// such thing as none (RFC 8200, Section 8.1).
func (p *path) finishUDP(b []byte) {
	if p.checksum {
		putUDPChecksum(p.pseudo.word(uint16(len(b))).add(b), b[udpChecksumAt:])
	}
}

// from tells whether a datagram's source, as the kernel gave it, is this
// path's remote end.
func (p *path) from(name []byte) bool {
	if p.name[0] == unix.AF_INET {
		end := 8 // family, port, address
		if p.raw {
			return name[0] == unix.AF_INET && string(name[4:end]) == string(p.name[4:end])
		}
		return string(name[:end]) == string(p.name[:end])
	}
	if name[0] != unix.AF_INET6 || string(name[8:24]) != string(p.name[8:24]) {
		return false
	}
	return p.raw || string(name[2:4]) == string(p.name[2:4])
}

// putSockaddr writes a sockaddr_in or sockaddr_in6 and returns its length.
func putSockaddr(b []byte, a netip.AddrPort) uint32 {
	if a.Addr().Is4() {
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		binary.BigEndian.PutUint16(b[2:], a.Port())
		v := a.Addr().As4()
		copy(b[4:], v[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	binary.BigEndian.PutUint16(b[2:], a.Port())
	v := a.Addr().As16()
	copy(b[8:], v[:])
	return unix.SizeofSockaddrInet6
}

// parseSockaddr is the inverse of putSockaddr.
func parseSockaddr(b []byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), port)
	}
	return netip.AddrPort{}
}

// putPktinfo writes the control message that makes a datagram leave from
// local (IP_PKTINFO, RFC 3542), and returns its padded length; an unspecified
// address writes none and lets the kernel choose.
func putPktinfo(b []byte, local netip.Addr) int {
	switch {
	case !local.IsValid() || local.IsUnspecified():
		return 0
	case local.Is4():
		n := putControl(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		v := local.As4()
		data := b[unix.SizeofCmsghdr:]
		clear(data[:unix.SizeofInet4Pktinfo])
		copy(data[4:], v[:]) // ipi_spec_dst
		return n
	default:
		n := putControl(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		v := local.As16()
		data := b[unix.SizeofCmsghdr:]
		clear(data[:unix.SizeofInet6Pktinfo])
		copy(data, v[:])
		return n
	}
}

// Control messages below have 64-bit lengths and are aligned to 8. This line
// does not compile where that is not so.
const _ = uint(unsafe.Sizeof(uintptr(0)) - 8)

// putControl writes a cmsghdr for n octets of data and returns the padded
// length of the whole.
func putControl(b []byte, level, kind, n int) int {
	binary.NativeEndian.PutUint64(b, uint64(unix.SizeofCmsghdr+n))
	binary.NativeEndian.PutUint32(b[8:], uint32(level))
	binary.NativeEndian.PutUint32(b[12:], uint32(kind))
	return (unix.SizeofCmsghdr + n + 7) &^ 7
}

// putControlInt writes a control message with one int.
func putControlInt(b []byte, level, kind int, v int32) int {
	n := putControl(b, level, kind, 4)
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr:], uint32(v))
	return n
}

// received is what the control messages of one datagram tell.
type received struct {
	segment int        // UDP_GRO: length of each datagram but the last, 0 for one datagram
	tos     uint8      // outer TOS or traffic class
	local   netip.Addr // destination address of the datagram
}

// parse reads control messages; unknown ones are passed over.
func (r *received) parse(b []byte) {
	*r = received{}
	for len(b) >= unix.SizeofCmsghdr {
		n := binary.NativeEndian.Uint64(b)
		if n < unix.SizeofCmsghdr || n > uint64(len(b)) {
			return
		}
		level := binary.NativeEndian.Uint32(b[8:])
		kind := binary.NativeEndian.Uint32(b[12:])
		r.item(int(level), int(kind), b[unix.SizeofCmsghdr:n])
		b = b[min((n+7)&^7, uint64(len(b))):]
	}
}

func (r *received) item(level, kind int, data []byte) {
	switch {
	case level == unix.SOL_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		r.segment = int(int32(binary.NativeEndian.Uint32(data))) // an int, not the u16 of the sending side
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1:
		r.tos = data[0]
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		r.tos = uint8(binary.NativeEndian.Uint32(data))
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		r.local = netip.AddrFrom4([4]byte(data[8:12]))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		r.local = netip.AddrFrom16([16]byte(data[:16]))
	}
}

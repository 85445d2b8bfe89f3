package userspace

import "encoding/binary"

// vnetSize is the virtio_net_hdr that precedes each frame on a TUN queue with
// IFF_VNET_HDR (Virtio 1.2, Section 5.1.6, the legacy 10-octet form). Its
// fields are in host order; every host we build for is little-endian.
const vnetSize = 10

// Values of virtio_net_hdr (Virtio 1.2, Section 5.1.6).
const (
	vnetNeedsChecksum = 1 // flags: the checksum at start+offset is to be finished

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDP   = 5    // UDP segmentation (USO), Linux 6.2
	gsoECN   = 0x80 // beside a TCP type: CWR is set on the first segment
)

// vnetHeader is one virtio_net_hdr.
type vnetHeader struct {
	flags, gsoType                uint8
	hdrLen, gsoSize               uint16
	checksumStart, checksumOffset uint16
}

func (h *vnetHeader) parse(b []byte) {
	*h = vnetHeader{
		flags: b[0], gsoType: b[1],
		hdrLen: binary.LittleEndian.Uint16(b[2:]), gsoSize: binary.LittleEndian.Uint16(b[4:]),
		checksumStart: binary.LittleEndian.Uint16(b[6:]), checksumOffset: binary.LittleEndian.Uint16(b[8:]),
	}
}

func (h *vnetHeader) put(b []byte) {
	b[0], b[1] = h.flags, h.gsoType
	binary.LittleEndian.PutUint16(b[2:], h.hdrLen)
	binary.LittleEndian.PutUint16(b[4:], h.gsoSize)
	binary.LittleEndian.PutUint16(b[6:], h.checksumStart)
	binary.LittleEndian.PutUint16(b[8:], h.checksumOffset)
}

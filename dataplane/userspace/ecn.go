package userspace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The ECN field is the low two bits of TOS and traffic class (RFC 3168,
// Section 5). Outbound, it is copied to the outer header (RFC 6040, Section
// 4.1, normal mode). DSCP is not: it would tell an observer what is inside, and
// packets reordered by class fall out of the replay window.
const (
	ecnMask = 3
	notECT  = 0
	ect1    = 1
	ect0    = 2
	ce      = 3
)

// ecnDrop marks a combination that means congestion the sender cannot see.
const ecnDrop = 0xFF

// decapsulated is the table of RFC 6040, Section 4.2: by inner, then by outer.
var decapsulated = [4][4]uint8{
	notECT: {notECT: notECT, ect0: notECT, ect1: notECT, ce: ecnDrop},
	ect0:   {notECT: ect0, ect0: ect0, ect1: ect1, ce: ce},
	ect1:   {notECT: ect1, ect0: ect1, ect1: ect1, ce: ce},
	ce:     {notECT: ce, ect0: ce, ect1: ce, ce: ce},
}

// applyECN gives an inner packet the ECN field it leaves the tunnel with. It is
// false when the packet is to be dropped.
func applyECN(pkt []byte, in *inner, outer uint8) bool {
	old := in.tos & ecnMask
	ecn := decapsulated[old][outer&ecnMask]
	switch {
	case ecn == old:
		return true
	case ecn == ecnDrop:
		return false
	}
	in.tos = in.tos&^ecnMask | ecn
	if in.v6 {
		pkt[1] = pkt[1]&0x0F | in.tos<<4
	} else {
		pkt[1] = in.tos
		setIPv4Checksum(pkt, int(pkt[0]&0x0F)*4)
	}
	return true
}

// putECN writes the control message that sets the outer ECN field.
func putECN(b []byte, v6 bool, ecn uint8) int {
	if v6 {
		return putControlInt(b, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int32(ecn))
	}
	n := putControl(b, unix.IPPROTO_IP, unix.IP_TOS, 4)
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr:], uint32(ecn))
	return n
}

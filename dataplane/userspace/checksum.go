package userspace

import (
	"encoding/binary"
	"math/bits"
)

// A sum is an Internet checksum in progress (RFC 1071), kept in little-endian
// 64-bit words: the one's complement sum does not care about octet order until
// the end (RFC 1071, Section 2 (B)), and eight octets at a time is what makes
// checksums cheap beside the cipher.
type sum uint64

// add sums b, which must start at an even offset of what is summed in all.
func (s sum) add(b []byte) sum {
	acc, carry := uint64(s), uint64(0)
	for len(b) >= 64 {
		w := (*[64]byte)(b)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[0:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[24:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[32:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[40:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[48:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(w[56:]), carry)
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(last[:]), carry)
	}
	acc, carry = bits.Add64(acc, 0, carry)
	return sum(acc + carry)
}

// word adds one big-endian 16-bit word.
func (s sum) word(v uint16) sum {
	acc, carry := bits.Add64(uint64(s), uint64(bits.ReverseBytes16(v)), 0)
	return sum(acc + carry)
}

// fold is the 16-bit sum, in the octet order in which put stores it.
func (s sum) fold() uint16 {
	v := uint64(s)>>32 + uint64(s)&0xFFFFFFFF
	v = v>>16 + v&0xFFFF
	v = v>>16 + v&0xFFFF
	v = v>>16 + v&0xFFFF
	return uint16(v)
}

// put stores a sum that is not complemented: the form in which the kernel
// wants a checksum that it shall finish.
func (s sum) put(b []byte) { binary.LittleEndian.PutUint16(b, s.fold()) }

// putComplement stores a finished checksum.
func (s sum) putComplement(b []byte) { binary.LittleEndian.PutUint16(b, ^s.fold()) }

// valid tells whether a sum over data and its checksum is right.
func (s sum) valid() bool { return s.fold() == 0xFFFF }

// pseudoHeader starts the sum of an upper-layer packet of that many octets in
// the IP packet b (RFC 9293, Section 3.1; RFC 8200, Section 8.1).
func pseudoHeader(b []byte, v6 bool, proto uint8, octets int) sum {
	if v6 {
		return sum(0).add(b[8:40]).word(uint16(proto)).word(uint16(octets))
	}
	return sum(0).add(b[12:20]).word(uint16(proto)).word(uint16(octets))
}

// setIPv4Checksum writes the header checksum of the IPv4 packet b.
func setIPv4Checksum(b []byte, header int) {
	b[10], b[11] = 0, 0
	sum(0).add(b[:header]).putComplement(b[10:])
}

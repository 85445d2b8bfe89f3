package l2tpmsg

import (
	"encoding/binary"
	"fmt"

	"sallyport/protocol/wire"
)

// avpLen is the head of an AVP, in octets: bits and length, vendor, type.
const avpLen = 6

// The first 16 bits of an AVP (RFC 2661, Section 4.1).
const (
	avpMandatory = 0x8000
	avpHidden    = 0x4000
	avpReserved  = 0x3c00
	avpLength    = 0x03ff
)

// AVP is one attribute value pair as it stands in the message (RFC 2661,
// Section 4.1).
type AVP struct {
	Mandatory bool  // M
	Hidden    bool  // H: Value is covered (Section 4.3)
	Reserved  uint8 // the 4 bits after them; an AVP with one set counts as unknown
	Vendor    uint16
	Type      AVPType
	Value     []byte
}

// Known tells whether the AVP is one of RFC 2661's.
func (a AVP) Known() bool {
	_, ok := a.Type.Form()
	return ok && a.Vendor == 0 && a.Reserved == 0
}

// String names the AVP for a reason: "Host Name AVP", or "AVP 5 of vendor 9".
func (a AVP) String() string {
	switch _, ok := a.Type.Form(); {
	case a.Vendor != 0:
		return fmt.Sprintf("AVP %d of vendor %d", uint16(a.Type), a.Vendor)
	case !ok:
		return a.Type.String()
	case a.Reserved != 0:
		return a.Type.String() + " AVP with reserved bits"
	}
	return a.Type.String() + " AVP"
}

// U16 is a value of two octets, 0 for a shorter one.
func (a AVP) U16() uint16 {
	if len(a.Value) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(a.Value)
}

// U32 is a value of four octets, 0 for a shorter one.
func (a AVP) U32() uint32 {
	if len(a.Value) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a.Value)
}

// Octets makes an AVP of RFC 2661's from its value, with the M bit as Section
// 4.4 wants it. A value that does not fit is cut to MaxValue.
func Octets(t AVPType, value []byte) AVP {
	f, _ := t.Form()
	return AVP{Mandatory: f.Mandatory, Type: t, Value: value[:min(len(value), MaxValue)]}
}

// U16 makes an AVP whose value is a number of two octets.
func U16(t AVPType, v uint16) AVP { return Octets(t, wire.AppendU16(nil, v)) }

// U32 makes an AVP whose value is a number of four octets.
func U32(t AVPType, v uint32) AVP { return Octets(t, wire.AppendU32(nil, v)) }

func parseAVP(r *wire.Reader, number int) AVP {
	head := wire.NewReader("AVP", r.Peek(min(2, r.Len()))).U16()
	size := int(head & avpLength)
	// CVE-2020-15173: a length under that of the head became a huge one in
	// accel-ppp. A length of 0 would also never get past this AVP.
	if size < avpLen {
		r.Item(min(avpLen, r.Len()), "AVP", number).Fail("length %d is under %d", size, avpLen)
		return AVP{}
	}
	r = r.Item(size, "AVP", number)
	r.U16()
	return AVP{
		Mandatory: head&avpMandatory != 0,
		Hidden:    head&avpHidden != 0,
		Reserved:  uint8(head & avpReserved >> 10),
		Vendor:    r.U16(),
		Type:      AVPType(r.U16()),
		Value:     r.Rest(),
	}
}

func (a AVP) append(b []byte) ([]byte, error) {
	if len(a.Value) > MaxValue {
		return b, fmt.Errorf("l2tpmsg: %v has %d octets, at most %d fit", a, len(a.Value), MaxValue)
	}
	head := uint16(a.Reserved)<<10&avpReserved | uint16(avpLen+len(a.Value))
	if a.Mandatory {
		head |= avpMandatory
	}
	if a.Hidden {
		head |= avpHidden
	}
	b = wire.AppendU16(b, head)
	b = wire.AppendU16(b, a.Vendor)
	b = wire.AppendU16(b, uint16(a.Type))
	return append(b, a.Value...), nil
}

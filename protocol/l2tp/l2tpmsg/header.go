package l2tpmsg

import (
	"encoding/binary"
	"fmt"

	"sallyport/protocol/wire"
)

// Version is the Ver field of L2TP version 2. L2F has 1 (RFC 2661, Section 3.1).
const Version = 2

// The bits of the first two octets (RFC 2661, Section 3.1). The others are
// reserved, and ignored on receipt.
const (
	bitType     = 0x8000 // T: a control message
	bitLength   = 0x4000 // L
	bitSequence = 0x0800 // S
	bitOffset   = 0x0200 // O
	bitPriority = 0x0100 // P
	maskVersion = 0x000f
)

// ControlLen is the size of a control message's header, in octets. A message
// that ends there is a ZLB, the acknowledgement without a body (RFC 2661,
// Section 5.8).
const ControlLen = 12

// Anybody who shares an IPsec SA with us sends these at line rate, so they are
// made once.
var (
	errShort   = &wire.Error{What: "L2TP header", Reason: "the message ends inside it"}
	errVersion = &wire.Error{What: "L2TP header", Offset: 1, Reason: "the version is not 2"}
	errKind    = &wire.Error{What: "L2TP header", Reason: "control and data messages are mixed up"}
	errBits    = &wire.Error{What: "L2TP header", Reason: "a control message needs the L and S bits and no O bit"}
	errLength  = &wire.Error{What: "L2TP header", Offset: 2, Reason: "the length is not that of the message"}
	errOffset  = &wire.Error{What: "L2TP header", Reason: "the offset padding is longer than the message"}
)

// ControlHeader is the header of a control message (RFC 2661, Section 3.1).
// The ids are those of the receiver.
type ControlHeader struct {
	Tunnel, Session uint16
	Ns, Nr          uint16
}

// IsControl tells control messages from data messages by the T bit.
func IsControl(b []byte) bool { return len(b) > 0 && b[0]&0x80 != 0 }

// ParseControlHeader splits a control message into header and body and
// allocates nothing. An empty body is a ZLB.
func ParseControlHeader(b []byte) (h ControlHeader, body []byte, err error) {
	if len(b) < 2 {
		return h, nil, errShort
	}
	flags := binary.BigEndian.Uint16(b)
	switch {
	case flags&bitType == 0:
		return h, nil, errKind
	case flags&maskVersion != Version:
		return h, nil, errVersion
	case flags&(bitLength|bitSequence|bitOffset) != bitLength|bitSequence:
		return h, nil, errBits
	case len(b) < ControlLen:
		return h, nil, errShort
	case int(binary.BigEndian.Uint16(b[2:])) != len(b):
		return h, nil, errLength
	}
	h = ControlHeader{
		Tunnel:  binary.BigEndian.Uint16(b[4:]),
		Session: binary.BigEndian.Uint16(b[6:]),
		Ns:      binary.BigEndian.Uint16(b[8:]),
		Nr:      binary.BigEndian.Uint16(b[10:]),
	}
	return h, b[ControlLen:], nil
}

// append appends the header of a message of so many octets in all.
func (h ControlHeader) append(b []byte, length uint16) []byte {
	b = wire.AppendU16(b, bitType|bitLength|bitSequence|Version)
	b = wire.AppendU16(b, length)
	b = wire.AppendU16(b, h.Tunnel)
	b = wire.AppendU16(b, h.Session)
	b = wire.AppendU16(b, h.Ns)
	return wire.AppendU16(b, h.Nr)
}

// AppendZLB appends an acknowledgement: the header, and nothing after it.
func (h ControlHeader) AppendZLB(b []byte) []byte { return h.append(b, ControlLen) }

// SetNr writes another Nr into an encoded control message, as its
// retransmission must have (RFC 2661, Section 5.8).
func SetNr(message []byte, nr uint16) {
	if len(message) >= ControlLen {
		binary.BigEndian.PutUint16(message[10:], nr)
	}
}

// String is such as "tunnel 1 session 2 Ns 3 Nr 4".
func (h ControlHeader) String() string {
	return fmt.Sprintf("tunnel %d session %d Ns %d Nr %d", h.Tunnel, h.Session, h.Ns, h.Nr)
}

package ikemsg

import (
	"encoding/binary"
	"fmt"

	"sallyport/protocol/wire"
)

// Version is the major version this package parses and appends (RFC 7296,
// Section 3.1).
const Version = 2

// HeaderLen is the size of the IKE header in octets (RFC 7296, Section 3.1).
const HeaderLen = 28

// MaxMessage is the longest message in octets: what a UDP datagram or an
// RFC 9329 stream record can carry, and the bound of a reassembled message.
const MaxMessage = 65535

// The front meets these at line rate from anyone, so they are made once.
var (
	errShort   = &wire.Error{What: "IKE header", Reason: "the datagram is under 28 octets"}
	errVersion = &wire.Error{What: "IKE header", Offset: 17, Reason: "the major version is not 2"}
	errLength  = &wire.Error{What: "IKE header", Offset: 24, Reason: "the length is not that of the datagram"}
	errLong    = &wire.Error{What: "IKE header", Offset: 24, Reason: "the message is over 65535 octets"}
)

// ParseHeader reads the 28 octets at the front of a datagram (RFC 7296,
// Section 3.1) and allocates nothing, not even for an error. Flag bits without
// a meaning are cleared. A version 2 message must be as long as its Length
// says; for other major versions, which the caller refuses by notify, nothing
// after the fixed fields is judged. SPIs are not judged either: a notify
// outside of an SA may carry zero (RFC 7296, Section 1.5).
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, errShort
	}
	h := Header{
		SPIi:        SPI(binary.BigEndian.Uint64(b)),
		SPIr:        SPI(binary.BigEndian.Uint64(b[8:])),
		NextPayload: PayloadType(b[16]),
		Major:       b[17] >> 4,
		Minor:       b[17] & 0xf,
		Exchange:    ExchangeType(b[18]),
		Flags:       Flags(b[19]) & knownFlags,
		MessageID:   binary.BigEndian.Uint32(b[20:]),
		Length:      binary.BigEndian.Uint32(b[24:]),
	}
	switch {
	case h.Major != Version:
		return h, nil
	case uint64(h.Length) != uint64(len(b)):
		return Header{}, errLength
	case len(b) > MaxMessage:
		return Header{}, errLong
	}
	return h, nil
}

// append appends the header with a first payload type and a message length
// in place of its own.
func (h Header) append(b []byte, first PayloadType, length int) ([]byte, error) {
	if h.Major != Version {
		return b, fmt.Errorf("ikemsg: a message of major version %d cannot be built, only %d", h.Major, Version)
	}
	if length > MaxMessage {
		return b, fmt.Errorf("ikemsg: a message of %d octets is over the limit of %d", length, MaxMessage)
	}
	b = wire.AppendU64(b, uint64(h.SPIi))
	b = wire.AppendU64(b, uint64(h.SPIr))
	b = append(b, byte(first), h.Major<<4|h.Minor&0xf, byte(h.Exchange), byte(h.Flags))
	b = wire.AppendU32(b, h.MessageID)
	return wire.AppendU32(b, uint32(length)), nil
}

// SKPrefix is the beginning of a message that consists of one Encrypted
// payload: the IKE header and the SK generic header, for a body (IV,
// ciphertext and ICV) of bodyLen octets. It is the associated data of an AEAD
// (RFC 5282, Section 5.1) and the start of what the ICV covers otherwise. The
// result has capacity for the body. Of h, NextPayload and Length are ignored.
func SKPrefix(h Header, first PayloadType, bodyLen int) ([]byte, error) {
	return h.prefix(PayloadSK, first, nil, bodyLen)
}

// SKFPrefix is SKPrefix for fragment number of total: the associated data
// reaches to the end of Total Fragments (RFC 7383, Section 2.5). Give first
// as PayloadNone in every fragment but number 1.
func SKFPrefix(h Header, first PayloadType, number, total uint16, bodyLen int) ([]byte, error) {
	fields := wire.AppendU16(wire.AppendU16(make([]byte, 0, 4), number), total)
	return h.prefix(PayloadSKF, first, fields, bodyLen)
}

func (h Header) prefix(t, first PayloadType, fields []byte, bodyLen int) ([]byte, error) {
	if bodyLen < 0 || bodyLen > MaxMessage {
		return nil, fmt.Errorf("ikemsg: an %v body of %d octets is not between 0 and %d", t, bodyLen, MaxMessage)
	}
	payload := genericLen + len(fields) + bodyLen
	b, err := h.append(make([]byte, 0, HeaderLen+payload), t, HeaderLen+payload)
	if err != nil {
		return nil, err
	}
	b = append(b, byte(first), 0)
	b = wire.AppendU16(b, uint16(payload))
	return append(b, fields...), nil
}

package l2tpmsg

import (
	"encoding/binary"

	"sallyport/protocol/wire"
)

// MaxDataHeader is the longest header that Append writes, in octets: flags,
// ids, Ns and Nr. The shortest has 6.
const MaxDataHeader = 10

// DataHeader is the header of a data message (RFC 2661, Section 3.1). The ids
// are those of the receiver. Nr is reserved in data messages, and the offset
// padding is undefined: neither is kept.
type DataHeader struct {
	Tunnel, Session uint16
	Sequenced       bool   // the S bit: Ns is there
	Ns              uint16 // 0 without it
	Priority        bool   // the P bit
}

// ParseData splits a data message into its header and the PPP frame, which may
// be empty. It allocates nothing. L, S and O come in every combination; octets
// after the Length are padding.
func ParseData(b []byte) (h DataHeader, frame []byte, err error) {
	if len(b) < 2 {
		return h, nil, errShort
	}
	flags := binary.BigEndian.Uint16(b)
	switch {
	case flags&bitType != 0:
		return h, nil, errKind
	case flags&maskVersion != Version:
		return h, nil, errVersion
	}
	at := 2 // where the next field is
	if flags&bitLength != 0 {
		if len(b) < 4 {
			return h, nil, errShort
		}
		length := int(binary.BigEndian.Uint16(b[2:]))
		if length < 4 || length > len(b) {
			return h, nil, errLength
		}
		b, at = b[:length:length], 4
	}
	size := at + 4
	if flags&bitSequence != 0 {
		size += 4
	}
	if flags&bitOffset != 0 {
		size += 2
	}
	if len(b) < size {
		return h, nil, errShort
	}
	h.Tunnel, h.Session = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
	h.Priority = flags&bitPriority != 0
	if flags&bitSequence != 0 {
		h.Sequenced, h.Ns = true, binary.BigEndian.Uint16(b[at+4:])
	}
	if flags&bitOffset != 0 {
		pad := int(binary.BigEndian.Uint16(b[size-2:]))
		if pad > len(b)-size {
			return DataHeader{}, nil, errOffset
		}
		size += pad
	}
	return h, b[size:], nil
}

// Append appends the header in its shortest form, without Length and Offset:
// the UDP header and ESP know the length. In this form Ns stands at octet 6.
func (h DataHeader) Append(b []byte) []byte {
	flags := uint16(Version)
	if h.Priority {
		flags |= bitPriority
	}
	if h.Sequenced {
		flags |= bitSequence
	}
	b = wire.AppendU16(b, flags)
	b = wire.AppendU16(b, h.Tunnel)
	b = wire.AppendU16(b, h.Session)
	if h.Sequenced {
		b = wire.AppendU16(b, h.Ns)
		b = wire.AppendU16(b, 0) // Nr is reserved in data messages
	}
	return b
}

package pppmsg

import (
	"strconv"

	"sallyport/protocol/wire"
)

// Code is the first octet of a control packet (RFC 1661, Section 5).
type Code uint8

// Codes of RFC 1661, Section 5, and RFC 1570, Section 2. All but the first
// seven belong to LCP alone.
const (
	ConfigureRequest Code = 1
	ConfigureAck     Code = 2
	ConfigureNak     Code = 3
	ConfigureReject  Code = 4
	TerminateRequest Code = 5
	TerminateAck     Code = 6
	CodeReject       Code = 7
	ProtocolReject   Code = 8
	EchoRequest      Code = 9
	EchoReply        Code = 10
	DiscardRequest   Code = 11
	Identification   Code = 12
	TimeRemaining    Code = 13
)

var codeNames = [...]string{
	ConfigureRequest: "Configure-Request", ConfigureAck: "Configure-Ack", ConfigureNak: "Configure-Nak", ConfigureReject: "Configure-Reject",
	TerminateRequest: "Terminate-Request", TerminateAck: "Terminate-Ack", CodeReject: "Code-Reject", ProtocolReject: "Protocol-Reject",
	EchoRequest: "Echo-Request", EchoReply: "Echo-Reply", DiscardRequest: "Discard-Request", Identification: "Identification",
	TimeRemaining: "Time-Remaining",
}

// String is the RFC's name, or "code 77".
func (c Code) String() string {
	if int(c) < len(codeNames) && codeNames[c] != "" {
		return codeNames[c]
	}
	return "code " + strconv.Itoa(int(c))
}

// packetHeader is Code, Identifier and Length.
const packetHeader = 4

// Packet is a packet of LCP or an NCP (RFC 1661, Section 5). Data aliases the
// input of ParsePacket.
type Packet struct {
	Code       Code
	Identifier uint8
	Data       []byte
}

// ParsePacket reads a packet. Octets after the Length are padding (RFC 1661,
// Section 5).
func ParsePacket(b []byte) (Packet, error) {
	r := wire.NewReader("PPP packet", b)
	p := Packet{Code: Code(r.U8()), Identifier: r.U8()}
	p.Data = body(r, len(b))
	return p, r.Err()
}

// body reads the Length of a packet of total octets, and what it covers.
func body(r *wire.Reader, total int) []byte {
	n := int(r.U16())
	switch {
	case r.Err() != nil:
	case n < packetHeader:
		r.Fail("length %d is under %d", n, packetHeader)
	case n > total:
		r.Fail("length %d, but %d octets came", n, total)
	}
	return r.Bytes(max(n-packetHeader, 0))
}

// Append appends the packet to b. Data that does not fit the 16-bit Length is a
// fault of the caller and panics.
func (p Packet) Append(b []byte) []byte {
	start := len(b)
	b = append(append(b, byte(p.Code), p.Identifier, 0, 0), p.Data...)
	if err := wire.SetLen16(b, start+2, start); err != nil {
		panic("pppmsg: " + err.Error())
	}
	return b
}

// Magic is the body of Echo-Request, Echo-Reply, Discard-Request,
// Identification and Time-Remaining (RFC 1661, Section 5.8; RFC 1570, Section
// 2): the sender's Magic-Number, 0 where none was agreed, and data.
type Magic struct {
	Number uint32
	Data   []byte
}

// ParseMagic reads the Data of such a packet.
func ParseMagic(data []byte) (Magic, error) {
	r := wire.NewReader("LCP packet", data)
	m := Magic{Number: r.U32(), Data: r.Rest()}
	return m, r.Finish()
}

// Append appends the body to b.
func (m Magic) Append(b []byte) []byte { return append(wire.AppendU32(b, m.Number), m.Data...) }

// Rejected is the body of Protocol-Reject (RFC 1661, Section 5.7).
type Rejected struct {
	Protocol    Protocol
	Information []byte // the rejected packet, cut to the MRU
}

// ParseRejected reads the Data of a Protocol-Reject.
func ParseRejected(data []byte) (Rejected, error) {
	r := wire.NewReader("Protocol-Reject", data)
	j := Rejected{Protocol: Protocol(r.U16()), Information: r.Rest()}
	return j, r.Finish()
}

// Append appends the body to b.
func (j Rejected) Append(b []byte) []byte {
	return append(wire.AppendU16(b, uint16(j.Protocol)), j.Information...)
}

// EAPCode is the first octet of an EAP packet (RFC 3748, Section 4).
type EAPCode uint8

// Codes of RFC 3748, Section 4.
const (
	EAPRequest  EAPCode = 1
	EAPResponse EAPCode = 2
	EAPSuccess  EAPCode = 3
	EAPFailure  EAPCode = 4
)

var eapNames = [...]string{EAPRequest: "EAP-Request", EAPResponse: "EAP-Response", EAPSuccess: "EAP-Success", EAPFailure: "EAP-Failure"}

// String is the RFC's name, or "EAP code 9".
func (c EAPCode) String() string {
	if int(c) < len(eapNames) && eapNames[c] != "" {
		return eapNames[c]
	}
	return "EAP code " + strconv.Itoa(int(c))
}

// EAPPacket is an EAP packet as its lower layer sees it: whom it is for, and
// which it is.
type EAPPacket struct {
	Code       EAPCode
	Identifier uint8
	Data       []byte // from the Type on
}

// ParseEAP reads the header. Octets after the Length are padding (RFC 3748,
// Section 4).
func ParseEAP(b []byte) (EAPPacket, error) {
	r := wire.NewReader("EAP packet", b)
	p := EAPPacket{Code: EAPCode(r.U8()), Identifier: r.U8()}
	p.Data = body(r, len(b))
	if r.Err() == nil && (p.Code < EAPRequest || p.Code > EAPFailure) {
		r.Fail("no such code: %d", p.Code)
	}
	return p, r.Err()
}

// Append appends the packet to b.
func (p EAPPacket) Append(b []byte) []byte {
	return Packet{Code: Code(p.Code), Identifier: p.Identifier, Data: p.Data}.Append(b)
}

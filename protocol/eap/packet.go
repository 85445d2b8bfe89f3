package eap

import (
	"fmt"
	"strconv"

	"sallyport/protocol/wire"
)

// Code is the first octet of an EAP packet (RFC 3748, Section 4).
type Code uint8

// Codes of RFC 3748, Section 4.
const (
	CodeRequest  Code = 1
	CodeResponse Code = 2
	CodeSuccess  Code = 3
	CodeFailure  Code = 4
)

func (c Code) String() string {
	switch c {
	case CodeRequest:
		return "Request"
	case CodeResponse:
		return "Response"
	case CodeSuccess:
		return "Success"
	case CodeFailure:
		return "Failure"
	}
	return "code " + strconv.Itoa(int(c))
}

// Type is the type of a Request or Response (RFC 3748, Section 5, and IANA's
// registry of method types).
type Type uint8

// Types that Sallyport speaks, or names in refusals.
const (
	TypeIdentity     Type = 1
	TypeNotification Type = 2
	TypeNak          Type = 3 // Response only
	TypeMD5          Type = 4
	TypeOTP          Type = 5
	TypeGTC          Type = 6
	TypeTLS          Type = 13
	TypeLEAP         Type = 17
	TypeSIM          Type = 18
	TypeTTLS         Type = 21
	TypeAKA          Type = 23
	TypePEAP         Type = 25
	TypeMSCHAPv2     Type = 26
	TypeExtensions   Type = 33 // inside PEAP only: MS-PEAP, Section 2.2.8
	TypeFAST         Type = 43
	TypeAKAPrime     Type = 50
	TypePWD          Type = 52
	TypeTEAP         Type = 55
	TypeExpanded     Type = 254 // RFC 3748, Section 5.7
)

var typeNames = map[Type]string{
	0:            "no method",
	TypeIdentity: "Identity", TypeNotification: "Notification", TypeNak: "Nak", TypeMD5: "EAP-MD5", TypeOTP: "EAP-OTP",
	TypeGTC: "EAP-GTC", TypeTLS: "EAP-TLS", TypeLEAP: "LEAP", TypeSIM: "EAP-SIM", TypeTTLS: "EAP-TTLS", TypeAKA: "EAP-AKA",
	TypePEAP: "PEAP", TypeMSCHAPv2: "EAP-MSCHAPv2", TypeExtensions: "Extensions", TypeFAST: "EAP-FAST", TypeAKAPrime: "EAP-AKA'",
	TypePWD: "EAP-pwd", TypeTEAP: "TEAP", TypeExpanded: "Expanded",
}

func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return "EAP type " + strconv.Itoa(int(t))
}

// Sizes of the format (RFC 3748, Section 4).
const (
	headerSize   = 4 // Code, Identifier, Length
	expandedSize = 7 // Vendor-Id and Vendor-Type after an Expanded Type
)

// MaxPacket is the largest EAP packet, in octets, that is read. A carrier may
// allow 64 KiB; a method has to fragment long before this.
const MaxPacket = 16 << 10

// Packet is an EAP packet (RFC 3748, Section 4). Success and Failure have
// neither Type nor Data.
type Packet struct {
	Code       Code
	Identifier uint8
	Type       Type
	Data       []byte // after the Type; aliases the input of Parse
}

// Parse reads a packet. Octets after the Length are padding of the link and
// ignored (RFC 3748, Section 4.1).
func Parse(b []byte) (Packet, error) {
	r := wire.NewReader("EAP packet", b)
	p := Packet{Code: Code(r.U8()), Identifier: r.U8()}
	n := int(r.U16())
	switch {
	case r.Err() != nil:
		return Packet{}, r.Err()
	case n < headerSize:
		r.Fail("length %d is under %d", n, headerSize)
	case n > MaxPacket:
		r.Fail("length %d is over %d", n, MaxPacket)
	case n > len(b):
		r.Fail("length %d, but %d octets came", n, len(b))
	}
	body := r.Sub(n-headerSize, "EAP "+p.Code.String())
	switch p.Code {
	case CodeRequest, CodeResponse:
		p.Type = Type(body.U8())
		p.Data = body.Rest()
	case CodeSuccess, CodeFailure:
	default:
		body.Fail("no such code")
	}
	return p, body.Finish()
}

// Append appends the packet to b. Data that does not fit the 16-bit Length is
// a fault of the caller and panics.
func (p Packet) Append(b []byte) []byte {
	start := len(b)
	b = append(b, byte(p.Code), p.Identifier, 0, 0)
	if p.Code == CodeRequest || p.Code == CodeResponse {
		b = append(append(b, byte(p.Type)), p.Data...)
	}
	if err := wire.SetLen16(b, start+2, start); err != nil {
		panic("eap: " + err.Error())
	}
	return b
}

// Expanded is the beginning of the Data of a TypeExpanded packet (RFC 3748,
// Section 5.7). Vendor 0 is the IETF, whose Vendor-Type is a legacy Type.
type Expanded struct {
	Vendor uint32 // 24 bits: an SMI enterprise code
	Type   uint32
	Data   []byte
}

// expandedNak is the Vendor-Type of an Expanded Nak (RFC 3748, Section 5.3.2).
const expandedNak = uint32(TypeNak)

// ParseExpanded reads the Data of a TypeExpanded packet.
func ParseExpanded(data []byte) (Expanded, error) {
	r := wire.NewReader("EAP expanded type", data)
	e := Expanded{Vendor: r.U24(), Type: r.U32(), Data: r.Rest()}
	return e, r.Finish()
}

// Append appends the Vendor-Id, the Vendor-Type and the Data.
func (e Expanded) Append(b []byte) []byte {
	return append(wire.AppendU32(wire.AppendU24(b, e.Vendor), e.Type), e.Data...)
}

// parseNak lists the types that a Nak asks for instead, whichever of the two
// forms it has (RFC 3748, Section 5.3). Type 0 ("none") and vendors' types are
// left out, so an empty list means that the peer has nothing for us.
func parseNak(p Packet) ([]Type, error) {
	var types []Type
	if p.Type == TypeNak {
		for _, t := range p.Data {
			if t != 0 {
				types = append(types, Type(t))
			}
		}
		return types, nil
	}
	e, err := ParseExpanded(p.Data)
	if err != nil {
		return nil, err
	}
	if e.Vendor != 0 || e.Type != expandedNak {
		return nil, fmt.Errorf("expanded type %d/%d is not a Nak", e.Vendor, e.Type)
	}
	r := wire.NewReader("EAP expanded Nak", e.Data)
	for r.Len() > 0 {
		marker, vendor, t := Type(r.U8()), r.U24(), r.U32()
		if r.Err() == nil && marker != TypeExpanded {
			r.Fail("entry of type %d", marker)
		}
		if vendor == 0 && t != 0 && t < 255 {
			types = append(types, Type(t))
		}
	}
	return types, r.Finish()
}

// nakFor answers a request of a type that is not wanted, in the form that the
// request asks for, with the types that are (RFC 3748, Section 5.3).
func nakFor(request Packet, wanted []Type) Packet {
	p := Packet{Code: CodeResponse, Identifier: request.Identifier, Type: TypeNak}
	if request.Type != TypeExpanded {
		for _, t := range wanted {
			p.Data = append(p.Data, byte(t))
		}
		if len(p.Data) == 0 {
			p.Data = []byte{0}
		}
		return p
	}
	var list []byte
	for _, t := range wanted {
		list = Expanded{Type: uint32(t)}.Append(append(list, byte(TypeExpanded)))
	}
	if len(list) == 0 {
		list = Expanded{}.Append([]byte{byte(TypeExpanded)})
	}
	p.Type = TypeExpanded
	p.Data = Expanded{Type: expandedNak, Data: list}.Append(nil)
	return p
}

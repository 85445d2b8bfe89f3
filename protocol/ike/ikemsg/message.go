// Package ikemsg is the IKEv2 message format on the wire (RFC 7296, Section 3,
// with RFC 7383 fragments): parse and append, no keys, no policy, no state.
// Unknown numbers of RFCs to come pass through it; IKEv1 is not its business.
//
// Structs mirror the pictures in the RFC and their order. Parse judges form;
// whether a message makes sense is the machine's business. Unknown payloads
// stay raw, so that re-encoding is identical, and the octets that are signed
// or MACed are kept as received.
//
// Whatever is parsed aliases the datagram: copy what outlives it. Errors of
// the parser are *wire.Error and name the payload and where it begins, those
// of the appender name the payload.
package ikemsg

import (
	"net/netip"

	"sallyport/protocol/suite"
)

// SPI is an IKE SA's eight-octet Security Parameter Index.
type SPI uint64

// Header is the IKE header (RFC 7296, Section 3.1), 28 octets.
type Header struct {
	SPIi, SPIr  SPI
	NextPayload PayloadType
	Major       uint8 // high nibble of the version octet
	Minor       uint8 // low nibble; a higher minor version is ignored on receipt
	Exchange    ExchangeType
	Flags       Flags // bits without a name are cleared on receipt
	MessageID   uint32
	Length      uint32 // of the whole message; Append computes it
}

// Message is a header and its payloads. When the last payload is Encrypted or
// EncryptedFragment its content is not opened here.
type Message struct {
	Header   Header
	Payloads []Payload
}

// Payload is one of the payload structs of this package.
type Payload interface {
	// PayloadType is the number that stands in the previous Next Payload field.
	PayloadType() PayloadType
	// appendBody appends the payload without its four-octet generic header.
	appendBody(b []byte) ([]byte, error)
}

// SA is the Security Association payload (Section 3.3).
type SA struct{ Proposals []Proposal }

// Proposal is one proposal substructure (Section 3.3.1).
type Proposal struct {
	Number     uint8
	Protocol   ProtocolID
	SPI        []byte // 4 octets for AH and ESP, 0 or 8 for IKE; nil if none
	Transforms []Transform
}

// Transform is one transform substructure (Section 3.3.2). Unknown attributes
// are kept in Attributes and make the transform unusable, not the message.
type Transform struct {
	suite.Transform
	Attributes []Attribute // other than Key Length
}

// Attribute is a transform attribute that is not Key Length (Section 3.3.5), or
// a Key Length that is zero, repeated, or in long form.
type Attribute struct {
	Type  uint16 // without the AF bit
	TV    bool   // short form: Value is two octets
	Value []byte
}

// KE is the Key Exchange payload (Section 3.4).
type KE struct {
	Group uint16
	Data  []byte
}

// ID is an Identification payload, initiator's or responder's (Section 3.5).
// Body is ID Type | RESERVED | data exactly as received: AUTH covers it with
// its reserved bits, so Append repeats it and ignores Kind and Data.
type ID struct {
	Responder bool // IDr, else IDi
	Kind      IDType
	Data      []byte
	Body      []byte // as received; empty on a payload we build
}

// Cert is the Certificate payload (Section 3.6).
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// CertReq is the Certificate Request payload (Section 3.7); Authorities is the
// concatenation of SHA-1 hashes of the trust anchors' SubjectPublicKeyInfo.
type CertReq struct {
	Encoding    CertEncoding
	Authorities []byte
}

// Auth is the Authentication payload (Section 3.8).
type Auth struct {
	Method AuthMethod
	Data   []byte
}

// Nonce is the Nonce payload (Section 3.9), 16 to 256 octets.
type Nonce struct{ Data []byte }

// Notify is the Notify payload (Section 3.10).
type Notify struct {
	Protocol ProtocolID
	SPI      []byte
	Type     NotifyType
	Data     []byte
}

// Delete is the Delete payload (Section 3.11). SPIs are the sender's inbound
// ones; empty for an IKE SA.
type Delete struct {
	Protocol ProtocolID
	SPIs     []uint32
}

// VendorID is the Vendor ID payload (Section 3.12).
type VendorID struct{ Data []byte }

// TS is a Traffic Selector payload, initiator's or responder's (Section 3.13).
type TS struct {
	Responder bool // TSr, else TSi
	Selectors []TrafficSelector
}

// TrafficSelector is one selector of type TS_IPV4_ADDR_RANGE or
// TS_IPV6_ADDR_RANGE (Section 3.13.1). Selectors of other types are dropped by
// the parser and counted in no list: RFC 7296, Section 2.9 treats them as
// unacceptable, not as an error.
type TrafficSelector struct {
	Protocol           uint8 // 0 = any
	StartPort, EndPort uint16
	Start, End         netip.Addr // same family, inclusive
}

// Encrypted is the Encrypted payload SK{...} (Section 3.14): it is always the
// last one. Body is IV | ciphertext | ICV; First is the type of the first
// payload inside.
type Encrypted struct {
	First PayloadType
	Body  []byte
}

// EncryptedFragment is SKF (RFC 7383, Section 2.5).
type EncryptedFragment struct {
	First         PayloadType // zero in every fragment but the first
	Number, Total uint16
	Body          []byte // IV | ciphertext | ICV
}

// CP is the Configuration payload (Section 3.15).
type CP struct {
	Kind       CPType
	Attributes []CPAttribute
}

// CPAttribute is one configuration attribute (Section 3.15.1).
type CPAttribute struct {
	Type  CPAttributeType
	Value []byte
}

// EAP is the EAP payload (Section 3.16): one EAP packet as it is.
type EAP struct{ Packet []byte }

// Unknown is a payload this package does not know, kept as received.
// Critical matters only here: RFC 7296, Section 2.5.
type Unknown struct {
	Type     PayloadType
	Critical bool
	Body     []byte
}

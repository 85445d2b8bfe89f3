// Package isakmp is the message format of IKEv1 on the wire: ISAKMP (RFC 2408,
// Section 3) with the IPsec DOI (RFC 2407, Section 4), the NAT payloads of RFC
// 3947 and its drafts, and the fragments of Cisco and Microsoft. Parse and
// append: no keys, no policy, no state.
//
// Structs mirror the pictures in the RFCs and their order. Parse judges form;
// whether a message makes sense is the machine's business. "Must be zero" is
// not judged: old peers leave there what was there before. Unknown payloads
// stay raw, and the octets that are hashed (SA, ID) are kept as received.
//
// Whatever is parsed aliases the datagram: copy what outlives it. Errors of the
// parser are *wire.Error and name the payload and where it begins.
package isakmp

import (
	"encoding/binary"
	"fmt"
	"iter"

	"sallyport/protocol/wire"
)

// Version is the major version this package parses and appends.
const Version = 1

// HeaderLen is the size of the ISAKMP header in octets (RFC 2408, Section 3.1).
const HeaderLen = 28

// MaxMessage is the longest message in octets: what a UDP datagram can carry,
// and the bound of a reassembled message.
const MaxMessage = 65535

// genericLen is the generic payload header (RFC 2408, Section 3.2).
const genericLen = 4

// maxPayloads bounds one message. Windows with certificates sends a CERTREQ for
// each root it trusts, some fifty.
const maxPayloads = 256

// Cookie is one side's half of an ISAKMP SA's identity.
type Cookie uint64

// Header is the ISAKMP header (RFC 2408, Section 3.1), 28 octets.
type Header struct {
	CookieI, CookieR Cookie
	NextPayload      PayloadType
	Major            uint8 // high nibble of the version octet
	Minor            uint8 // low nibble; ignored on receipt
	Exchange         ExchangeType
	Flags            Flags
	MessageID        uint32
	Length           uint32 // of the whole message; Append computes it
}

// The front meets these at line rate from anyone, so they are made once.
var (
	errShort   = &wire.Error{What: "ISAKMP header", Reason: "the datagram is under 28 octets"}
	errVersion = &wire.Error{What: "ISAKMP header", Offset: 17, Reason: "the major version is not 1"}
	errLength  = &wire.Error{What: "ISAKMP header", Offset: 24, Reason: "the length is not that of the datagram"}
	errLong    = &wire.Error{What: "ISAKMP header", Offset: 24, Reason: "the message is over 65535 octets"}
)

// ParseHeader reads the 28 octets at the front of a datagram and allocates
// nothing, not even for an error.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, errShort
	}
	h := Header{
		CookieI:     Cookie(binary.BigEndian.Uint64(b)),
		CookieR:     Cookie(binary.BigEndian.Uint64(b[8:])),
		NextPayload: PayloadType(b[16]),
		Major:       b[17] >> 4,
		Minor:       b[17] & 0xf,
		Exchange:    ExchangeType(b[18]),
		Flags:       Flags(b[19]),
		MessageID:   binary.BigEndian.Uint32(b[20:]),
		Length:      binary.BigEndian.Uint32(b[24:]),
	}
	switch {
	case h.Major != Version:
		return Header{}, errVersion
	case uint64(h.Length) != uint64(len(b)):
		return Header{}, errLength
	case len(b) > MaxMessage:
		return Header{}, errLong
	}
	return h, nil
}

// Append appends the header of a message that has bodyLen octets behind it.
// Major and Length of h are ignored.
func (h Header) Append(b []byte, bodyLen int) []byte {
	b = wire.AppendU64(b, uint64(h.CookieI))
	b = wire.AppendU64(b, uint64(h.CookieR))
	b = append(b, byte(h.NextPayload), Version<<4|h.Minor&0xf, byte(h.Exchange), byte(h.Flags))
	b = wire.AppendU32(b, h.MessageID)
	return wire.AppendU32(b, uint32(HeaderLen+bodyLen))
}

// Message is a header and what follows it: Payloads, or Encrypted when the
// header has FlagEncryption.
type Message struct {
	Header    Header
	Payloads  []Payload
	Encrypted []byte
}

// Payload is one of the payload structs of this package.
type Payload interface {
	// PayloadType is the number that stands in the previous Next Payload field.
	PayloadType() PayloadType
	// appendBody appends the payload without its generic header.
	appendBody(b []byte) ([]byte, error)
}

// Parse reads a whole message. A fragment has one Fragment payload, whatever
// its flags say: racoon marks fragments as encrypted (trap 32).
func Parse(b []byte) (*Message, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	m := &Message{Header: h}
	if h.Flags&FlagEncryption != 0 && h.NextPayload != PayloadFragment {
		m.Encrypted = b[HeaderLen:]
		return m, nil
	}
	r := wire.NewReader("ISAKMP message", b)
	r.Bytes(HeaderLen)
	if m.Payloads, err = parseChain(h.NextPayload, r); err == nil {
		err = r.Finish()
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// ParsePayloads reads the chain at the front of a decrypted body. What is
// behind the chain is padding, and not judged: peers fill it as they like (RFC
// 2409, Appendix B, asks for a count that few write). used is the length of
// the chain: hashes cover no padding.
func ParsePayloads(first PayloadType, b []byte) (ps []Payload, used int, err error) {
	r := wire.NewReader("ISAKMP body", b)
	ps, err = parseChain(first, r)
	return ps, r.Offset(), err
}

func parseChain(next PayloadType, r *wire.Reader) ([]Payload, error) {
	var ps []Payload
	for next != PayloadNone && r.Err() == nil {
		if len(ps) == maxPayloads {
			r.Fail("there are more than %d payloads", maxPayloads)
			break
		}
		var p Payload
		p, next = parseGeneric(next, r)
		ps = append(ps, p)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return ps, nil
}

// parseGeneric reads one payload with its generic header and says what follows.
func parseGeneric(t PayloadType, r *wire.Reader) (p Payload, next PayloadType) {
	head := r.Peek(genericLen)
	if head == nil {
		return nil, PayloadNone
	}
	length := int(head[2])<<8 | int(head[3])
	body := r.Sub(length, t.String()+" payload")
	if length < genericLen {
		body.Fail("length %d is under %d", length, genericLen)
	}
	next = PayloadType(body.U8())
	body.Bytes(3) // RESERVED and Payload Length
	p = parseBody(t, body)
	body.Finish()
	return p, next
}

func parseBody(t PayloadType, r *wire.Reader) Payload {
	switch t {
	case PayloadSA:
		return parseSA(r)
	case PayloadKE:
		return &KE{Data: r.Rest()}
	case PayloadID:
		return parseID(r)
	case PayloadCert:
		return &Cert{Encoding: CertEncoding(r.U8()), Data: r.Rest()}
	case PayloadCertReq:
		return &CertReq{Encoding: CertEncoding(r.U8()), Authority: r.Rest()}
	case PayloadHash:
		return &Hash{Data: r.Rest()}
	case PayloadSig:
		return &Signature{Data: r.Rest()}
	case PayloadNonce:
		return parseNonce(r)
	case PayloadNotify:
		return parseNotify(r)
	case PayloadDelete:
		return parseDelete(r)
	case PayloadVendor:
		return &VendorID{Data: r.Rest()}
	case PayloadNATD, PayloadNATDDraft:
		return &NATD{Draft: t == PayloadNATDDraft, Hash: r.Rest()}
	case PayloadNATOA, PayloadNATOADraft:
		return parseNATOA(t == PayloadNATOADraft, r)
	case PayloadFragment:
		return parseFragment(r)
	}
	return &Unknown{Type: t, Body: r.Rest()}
}

// FirstType is the type of the first payload, PayloadNone for an empty chain.
func FirstType(ps []Payload) PayloadType {
	if len(ps) == 0 {
		return PayloadNone
	}
	return ps[0].PayloadType()
}

// Append appends a message without encryption. It computes Length and every
// Next Payload. It fails if a payload cannot be encoded; b is then of no use.
func (m *Message) Append(b []byte) ([]byte, error) {
	start := len(b)
	h := m.Header
	h.NextPayload = FirstType(m.Payloads)
	b, err := AppendPayloads(h.Append(b, 0), m.Payloads)
	if err != nil {
		return b, err
	}
	n := len(b) - start
	if n > MaxMessage {
		return b, fmt.Errorf("isakmp: a message of %d octets is over the limit of %d", n, MaxMessage)
	}
	binary.BigEndian.PutUint32(b[start+24:], uint32(n))
	return b, nil
}

// AppendPayloads appends a chain of payloads with their generic headers.
func AppendPayloads(b []byte, ps []Payload) ([]byte, error) {
	for i, p := range ps {
		start := len(b)
		b = append(b, byte(FirstType(ps[i+1:])), 0, 0, 0)
		var err error
		if b, err = p.appendBody(b); err == nil {
			err = wire.SetLen16(b, start+2, start)
		}
		if err != nil {
			return b, fmt.Errorf("isakmp: %v payload: %w", p.PayloadType(), err)
		}
	}
	return b, nil
}

// Find is the first payload of type T, as in Find[*SA](m.Payloads).
func Find[T Payload](ps []Payload) (T, bool) {
	for _, p := range ps {
		if t, ok := p.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// All yields the payloads of type T in their order.
func All[T Payload](ps []Payload) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, p := range ps {
			if t, ok := p.(T); ok && !yield(t) {
				return
			}
		}
	}
}

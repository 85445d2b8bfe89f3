package ikemsg

import (
	"encoding/binary"
	"fmt"

	"sallyport/protocol/wire"
)

// genericLen is the generic payload header (RFC 7296, Section 3.2).
const genericLen = 4

// maxPayloads bounds one chain. 64 KiB could hold 16,000 empty payloads
// (CVE-2026-12413); the longest real message, a Windows IKE_AUTH with a chain
// and a peer's list of MOBIKE addresses, has under 40.
const maxPayloads = 128

// usualPayloads is the room made before the first payload is seen.
const usualPayloads = 12

// Parse reads a message: header and unprotected payloads (RFC 7296,
// Section 3). A final Encrypted or EncryptedFragment payload stays closed; the
// octets in front of its Body are b[:len(b)-len(Body)].
//
// The payloads alias b. A caller that keeps one copies what it keeps. Errors
// are of type *wire.Error.
func Parse(b []byte) (*Message, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	if h.Major != Version {
		return nil, errVersion
	}
	r := wire.NewReader("IKE message", b)
	r.Bytes(HeaderLen)
	m := &Message{Header: h, Payloads: parseChain(h.NextPayload, r, false)}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	return m, nil
}

// ParsePayloads reads the chain inside an Encrypted payload, after decryption
// and without padding. Offsets in errors count from the start of body, which
// the result aliases. Another Encrypted payload inside is an error (RFC 7296,
// Section 3.1).
func ParsePayloads(first PayloadType, body []byte) ([]Payload, error) {
	r := wire.NewReader("decrypted body", body)
	if len(body) > MaxMessage {
		r.Fail("%d octets are over the limit of %d", len(body), MaxMessage)
	}
	ps := parseChain(first, r, true)
	if err := r.Finish(); err != nil {
		return nil, err
	}
	return ps, nil
}

// parseChain follows Next Payload from type to type (RFC 7296, Section 3.2).
func parseChain(next PayloadType, r *wire.Reader, inside bool) []Payload {
	if next == PayloadNone {
		return nil
	}
	ps := make([]Payload, 0, usualPayloads)
	for next != PayloadNone && r.Err() == nil {
		if len(ps) == maxPayloads {
			r.Fail("there are more than %d payloads", maxPayloads)
			break
		}
		t := next
		if inside && (t == PayloadSK || t == PayloadSKF) {
			r.Fail("an %v payload stands inside another", t)
			break
		}
		var p Payload
		p, next = parseGeneric(t, r)
		ps = append(ps, p)
		if t == PayloadSK || t == PayloadSKF {
			break // its Next Payload speaks of the inside: it is the last
		}
	}
	return ps
}

// parseGeneric reads one payload with its generic header and says what
// follows.
func parseGeneric(t PayloadType, r *wire.Reader) (p Payload, next PayloadType) {
	head := r.Peek(genericLen)
	if head == nil {
		return nil, PayloadNone
	}
	length := int(head[2])<<8 | int(head[3])
	what, number := t.describe()
	body := r.Item(length, what, number)
	if length < genericLen {
		body.Fail("length %d is under %d", length, genericLen)
	}
	next, critical := PayloadType(body.U8()), body.U8()&0x80 != 0
	body.U16() // Payload Length
	p = parseBody(t, critical, next, body)
	body.Finish()
	return p, next
}

// parseBody reads what follows the generic header. The critical bit matters
// only for types unknown here (RFC 7296, Section 2.5).
func parseBody(t PayloadType, critical bool, next PayloadType, r *wire.Reader) Payload {
	switch t {
	case PayloadSA:
		return parseSA(r)
	case PayloadKE:
		return parseKE(r)
	case PayloadIDi, PayloadIDr:
		return parseID(t == PayloadIDr, r)
	case PayloadCert:
		return &Cert{Encoding: CertEncoding(r.U8()), Data: r.Rest()}
	case PayloadCertReq:
		return parseCertReq(r)
	case PayloadAuth:
		return parseAuth(r)
	case PayloadNonce:
		return parseNonce(r)
	case PayloadNotify:
		return parseNotify(r)
	case PayloadDelete:
		return parseDelete(r)
	case PayloadVendor:
		return &VendorID{Data: r.Rest()}
	case PayloadTSi, PayloadTSr:
		return parseTS(t == PayloadTSr, r)
	case PayloadSK:
		return &Encrypted{First: next, Body: r.Rest()}
	case PayloadSKF:
		return parseFragment(next, r)
	case PayloadCP:
		return parseCP(r)
	case PayloadEAP:
		return parseEAP(r)
	}
	return &Unknown{Type: t, Critical: critical, Body: r.Rest()}
}

// FirstType is the type of the first payload, PayloadNone for an empty chain:
// what a header or an Encrypted payload carries as Next Payload.
func FirstType(ps []Payload) PayloadType {
	if len(ps) == 0 {
		return PayloadNone
	}
	return ps[0].PayloadType()
}

// Append appends the message. It computes Length and every Next Payload;
// NextPayload and Length of the header are ignored. It fails if a payload
// cannot be encoded; b is then of no use.
func (m *Message) Append(b []byte) ([]byte, error) {
	start := len(b)
	b, err := m.Header.append(b, FirstType(m.Payloads), 0)
	if err != nil {
		return b, err
	}
	if b, err = AppendPayloads(b, m.Payloads); err != nil {
		return b, err
	}
	n := len(b) - start
	if n > MaxMessage {
		return b, fmt.Errorf("ikemsg: a message of %d octets is over the limit of %d", n, MaxMessage)
	}
	binary.BigEndian.PutUint32(b[start+24:], uint32(n))
	return b, nil
}

// AppendPayloads appends a chain of payloads with their generic headers: the
// cleartext of an Encrypted payload, before padding.
func AppendPayloads(b []byte, ps []Payload) ([]byte, error) {
	for i, p := range ps {
		start := len(b)
		next, critical := FirstType(ps[i+1:]), byte(0)
		switch p := p.(type) {
		case *Encrypted:
			next = p.First
		case *EncryptedFragment:
			next = p.First
		case *Unknown:
			if p.Critical {
				critical = 0x80
			}
		}
		if t := p.PayloadType(); i < len(ps)-1 && (t == PayloadSK || t == PayloadSKF) {
			return b, fmt.Errorf("ikemsg: %v payload is not the last", t)
		}
		b = append(b, byte(next), critical, 0, 0)
		var err error
		if b, err = p.appendBody(b); err == nil {
			err = wire.SetLen16(b, start+2, start)
		}
		if err != nil {
			return b, fmt.Errorf("ikemsg: %v payload: %w", p.PayloadType(), err)
		}
	}
	return b, nil
}

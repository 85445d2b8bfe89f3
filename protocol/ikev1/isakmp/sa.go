package isakmp

import (
	"errors"
	"fmt"

	"sallyport/protocol/wire"
)

// Limits of one SA payload. Old Windows offers some thirty transforms in as
// many proposals; choosing costs time in proportion to the peer's list.
const (
	maxProposals  = 64
	maxTransforms = 256 // in all proposals together
	maxAttributes = 16  // one transform; RFC 2409 and RFC 2407 define 16 and 11
)

// SA is the Security Association payload (RFC 2408, Section 3.4; RFC 2407,
// Section 4.6.1). HASH_I and HASH_R cover Body as it was received. Without the
// IPsec DOI or with a situation that puts labels first, Proposals stays empty:
// nothing can be said of what follows (CVE-2015-3204).
type SA struct {
	DOI       uint32
	Situation uint32
	Proposals []Proposal
	Body      []byte // as received; empty on a payload we build
}

// Proposal is one proposal payload (RFC 2408, Section 3.5). Several with the
// same number mean "all of these together".
type Proposal struct {
	Number     uint8
	Protocol   ProtocolID
	SPI        []byte // 4 octets for ESP; anything for ISAKMP, without a meaning
	Transforms []Transform
}

// Transform is one transform payload (RFC 2408, Section 3.6).
type Transform struct {
	Number     uint8
	ID         uint8
	Attributes []Attribute
}

// Attribute is one data attribute (RFC 2408, Section 3.3).
type Attribute struct {
	Type  uint16 // without the AF bit
	TV    bool   // short form: Value is two octets
	Value []byte
}

// attributeTV is the AF bit.
const attributeTV = 0x8000

// PayloadType is PayloadSA.
func (*SA) PayloadType() PayloadType { return PayloadSA }

// Uint is the value as a number; false when it is longer than eight octets.
func (a Attribute) Uint() (v uint64, ok bool) {
	if len(a.Value) > 8 {
		return 0, false
	}
	for _, o := range a.Value {
		v = v<<8 | uint64(o)
	}
	return v, true
}

// Short is an attribute in the short form.
func Short(typ, value uint16) Attribute {
	return Attribute{Type: typ, TV: true, Value: wire.AppendU16(nil, value)}
}

// Long is an attribute of four octets.
func Long(typ uint16, value uint32) Attribute {
	return Attribute{Type: typ, Value: wire.AppendU32(nil, value)}
}

func parseSA(r *wire.Reader) Payload {
	sa := &SA{Body: r.Peek(r.Len()), DOI: r.U32()}
	if sa.DOI != DOIIPsec {
		r.Rest()
		return sa
	}
	if sa.Situation = r.U32(); sa.Situation != SituationIdentityOnly {
		r.Rest()
		return sa
	}
	left := maxTransforms
	for n := 1; n == 1 || r.Len() > 0; n++ {
		if n > maxProposals {
			r.Fail("there are more than %d proposals", maxProposals)
			break
		}
		sa.Proposals = append(sa.Proposals, parseProposal(r, n, &left))
	}
	return sa
}

func parseProposal(sa *wire.Reader, n int, left *int) Proposal {
	r := sa.Item(substructureLen(sa), "proposal", n)
	openSubstructure(r, PayloadProposal, sa.Len() == 0)
	p := Proposal{Number: r.U8(), Protocol: ProtocolID(r.U8())}
	spiSize, count := int(r.U8()), int(r.U8())
	if (p.Protocol == ProtoESP || p.Protocol == ProtoAH) && spiSize != 4 {
		r.Fail("an SPI of %d octets is not one of %v", spiSize, p.Protocol)
	}
	p.SPI = r.Bytes(spiSize)
	for i := 1; r.Len() > 0; i++ {
		if *left--; *left < 0 {
			r.Fail("there are more than %d transforms", maxTransforms)
			break
		}
		p.Transforms = append(p.Transforms, parseTransform(r, i))
	}
	if got := len(p.Transforms); got != count || got == 0 {
		r.Fail("%d transforms are announced, %d are there", count, got)
	}
	r.Finish()
	return p
}

func parseTransform(proposal *wire.Reader, n int) Transform {
	r := proposal.Item(substructureLen(proposal), "transform", n)
	openSubstructure(r, PayloadTransform, proposal.Len() == 0)
	t := Transform{Number: r.U8(), ID: r.U8()}
	r.Bytes(2) // RESERVED2
	for r.Len() > 0 {
		if len(t.Attributes) == maxAttributes {
			r.Fail("there are more than %d attributes", maxAttributes)
			break
		}
		t.Attributes = append(t.Attributes, parseAttribute(r))
	}
	r.Finish()
	return t
}

func parseAttribute(r *wire.Reader) Attribute {
	word := r.U16()
	a := Attribute{Type: word &^ attributeTV, TV: word&attributeTV != 0}
	if a.TV {
		a.Value = r.Bytes(2)
	} else {
		a.Value = r.Bytes(int(r.U16()))
	}
	return a
}

// substructureLen is the length in the next four octets, or as many octets as
// it takes to read it.
func substructureLen(r *wire.Reader) int {
	if r.Len() < genericLen {
		return genericLen
	}
	head := r.Peek(genericLen)
	return max(genericLen, int(head[2])<<8|int(head[3]))
}

// openSubstructure reads the generic header of a proposal or transform, which
// names its own kind when another of it follows.
func openSubstructure(r *wire.Reader, kind PayloadType, last bool) {
	next := PayloadType(r.U8())
	r.Bytes(3)
	want := kind
	if last {
		want = PayloadNone
	}
	if next != want {
		r.Fail("the next payload is %d, not %d", next, want)
	}
}

func (sa *SA) appendBody(b []byte) ([]byte, error) {
	if len(sa.Body) > 0 {
		return append(b, sa.Body...), nil
	}
	if len(sa.Proposals) == 0 {
		return b, errors.New("there is no proposal")
	}
	b = wire.AppendU32(b, sa.DOI)
	b = wire.AppendU32(b, sa.Situation)
	for i, p := range sa.Proposals {
		var err error
		if b, err = p.append(b, i == len(sa.Proposals)-1); err != nil {
			return b, fmt.Errorf("proposal %d: %w", i+1, err)
		}
	}
	return b, nil
}

func (p *Proposal) append(b []byte, last bool) ([]byte, error) {
	if len(p.Transforms) == 0 || len(p.Transforms) > 255 || len(p.SPI) > 255 {
		return b, fmt.Errorf("%d transforms are not between 1 and 255, or an SPI of %d octets is too long", len(p.Transforms), len(p.SPI))
	}
	start := len(b)
	b = append(b, mark(PayloadProposal, last), 0, 0, 0, p.Number, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
	b = append(b, p.SPI...)
	for i, t := range p.Transforms {
		var err error
		if b, err = t.append(b, i == len(p.Transforms)-1); err != nil {
			return b, fmt.Errorf("transform %d: %w", i+1, err)
		}
	}
	return b, wire.SetLen16(b, start+2, start)
}

func (t *Transform) append(b []byte, last bool) ([]byte, error) {
	start := len(b)
	b = append(b, mark(PayloadTransform, last), 0, 0, 0, t.Number, t.ID, 0, 0)
	for _, a := range t.Attributes {
		switch {
		case a.TV && len(a.Value) != 2:
			return b, fmt.Errorf("attribute %d has %d octets in the short form", a.Type, len(a.Value))
		case a.TV:
			b = wire.AppendU16(b, a.Type|attributeTV)
		case len(a.Value) > 0xffff:
			return b, fmt.Errorf("attribute %d has %d octets", a.Type, len(a.Value))
		default:
			b = wire.AppendU16(wire.AppendU16(b, a.Type&^attributeTV), uint16(len(a.Value)))
		}
		b = append(b, a.Value...)
	}
	return b, wire.SetLen16(b, start+2, start)
}

func mark(kind PayloadType, last bool) byte {
	if last {
		return 0
	}
	return byte(kind)
}

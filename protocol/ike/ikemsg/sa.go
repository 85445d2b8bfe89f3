package ikemsg

import (
	"errors"
	"fmt"

	"sallyport/protocol/suite"
	"sallyport/protocol/wire"
)

// Limits of one SA payload. A policy that offers everything has some 60
// transforms in a handful of proposals; choosing costs time in proportion to
// the peer's list.
const (
	maxProposals  = 64
	maxTransforms = 512 // in all proposals together; 16 KB of memory
	maxAttributes = 8   // one transform; a single type is defined
)

// Sizes and marks of the substructures (RFC 7296, Sections 3.3.1 to 3.3.5).
const (
	proposalLen  = 8
	transformLen = 8

	lastSubstructure = 0
	moreProposals    = 2
	moreTransforms   = 3

	attributeTV  = 0x8000
	attributeKey = 14
)

// PayloadType is PayloadSA.
func (*SA) PayloadType() PayloadType { return PayloadSA }

// parseSA reads one or more proposals. All their transforms share one slice.
func parseSA(r *wire.Reader) Payload {
	sa := &SA{Proposals: make([]Proposal, 0, 2)}
	shared := make([]Transform, 0, min(r.Len()/transformLen, maxTransforms))
	for n := 1; n == 1 || r.Len() > 0; n++ {
		if n > maxProposals {
			r.Fail("there are more than %d proposals", maxProposals)
			break
		}
		var p Proposal
		p, shared = parseProposal(r, n, shared)
		sa.Proposals = append(sa.Proposals, p)
	}
	return sa
}

// parseProposal reads the nth proposal and appends its transforms to shared.
// Proposal numbers are as the peer chose them: some begin at 0 or count
// oddly, and the answer merely repeats the number.
func parseProposal(r *wire.Reader, n int, shared []Transform) (Proposal, []Transform) {
	sa := r
	r = sa.Item(substructureLen(sa), "proposal", n)
	openSubstructure(r, proposalLen, moreProposals, sa.Len() == 0)
	p := Proposal{Number: r.U8(), Protocol: ProtocolID(r.U8())}
	spiSize, count := r.U8(), int(r.U8())
	if !spiSizeFits(p.Protocol, int(spiSize)) {
		r.Fail("an SPI of %d octets is not one of protocol %v", spiSize, p.Protocol)
	}
	if p.SPI = r.Bytes(int(spiSize)); len(p.SPI) == 0 {
		p.SPI = nil
	}
	from := len(shared)
	for i := 1; r.Len() > 0; i++ {
		if len(shared) == maxTransforms {
			r.Fail("there are more than %d transforms", maxTransforms)
			break
		}
		shared = append(shared, parseTransform(r, i))
	}
	if got := len(shared) - from; got == 0 {
		r.Fail("there is no transform")
	} else if got != count {
		r.Fail("%d transforms are announced, %d are there", count, got)
	}
	p.Transforms = shared[from:len(shared):len(shared)]
	r.Finish()
	return p, shared
}

// spiSizeFits holds SPIs to their protocol's size, so that the machine may
// read one without asking; an unknown protocol's are its own business.
func spiSizeFits(p ProtocolID, size int) bool {
	switch p {
	case ProtoIKE:
		return size == 0 || size == 8
	case ProtoAH, ProtoESP:
		return size == 4
	}
	return true
}

func parseTransform(r *wire.Reader, n int) Transform {
	proposal := r
	r = proposal.Item(substructureLen(proposal), "transform", n)
	openSubstructure(r, transformLen, moreTransforms, proposal.Len() == 0)
	t := Transform{Transform: suite.Transform{Type: suite.TransformType(r.U8())}}
	r.U8() // RESERVED
	t.ID = r.U16()
	for r.Len() > 0 {
		if len(t.Attributes) == maxAttributes {
			r.Fail("there are more than %d attributes", maxAttributes)
			break
		}
		a := parseAttribute(r)
		if t.KeyBits == 0 && a.Type == attributeKey && a.TV && (a.Value[0]|a.Value[1]) != 0 {
			t.KeyBits = uint16(a.Value[0])<<8 | uint16(a.Value[1])
			continue
		}
		// Also a Key Length that is zero, repeated or of the wrong format.
		t.Attributes = append(t.Attributes, a)
	}
	r.Finish()
	return t
}

// parseAttribute reads one attribute of either format (RFC 7296,
// Section 3.3.5). After a failure its Value is two zero octets.
func parseAttribute(r *wire.Reader) Attribute {
	word := r.U16()
	a := Attribute{Type: word &^ attributeTV, TV: word&attributeTV != 0}
	if a.TV {
		a.Value = r.Bytes(2)
	} else {
		a.Value = r.Bytes(int(r.U16()))
	}
	if r.Err() != nil {
		a.Value = []byte{0, 0}
	}
	return a
}

// substructureLen is the length in the next four octets, or as many octets as
// it takes to read it.
func substructureLen(r *wire.Reader) int {
	if r.Len() < 4 {
		return 4
	}
	head := r.Peek(4)
	return max(4, int(head[2])<<8|int(head[3]))
}

// openSubstructure reads the four octets that proposals and transforms begin
// with: Last Substruc, RESERVED, Length.
func openSubstructure(r *wire.Reader, minLen int, more uint8, last bool) {
	got := r.U8()
	r.U8() // RESERVED
	if length := r.U16(); int(length) < minLen {
		r.Fail("length %d is under %d", length, minLen)
	}
	if want := mark(last, more); got != want {
		r.Fail("Last Substruc is %d, not %d", got, want)
	}
}

func (sa *SA) appendBody(b []byte) ([]byte, error) {
	if len(sa.Proposals) == 0 {
		return b, errors.New("there is no proposal")
	}
	for i := range sa.Proposals {
		var err error
		if b, err = sa.Proposals[i].append(b, i == len(sa.Proposals)-1); err != nil {
			return b, fmt.Errorf("proposal %d: %w", i+1, err)
		}
	}
	return b, nil
}

func (p *Proposal) append(b []byte, last bool) ([]byte, error) {
	if len(p.Transforms) == 0 || len(p.Transforms) > 255 {
		return b, fmt.Errorf("%d transforms are not between 1 and 255", len(p.Transforms))
	}
	if len(p.SPI) > 255 || !spiSizeFits(p.Protocol, len(p.SPI)) {
		return b, fmt.Errorf("an SPI of %d octets is not one of protocol %v", len(p.SPI), p.Protocol)
	}
	start := len(b)
	b = append(b, mark(last, moreProposals), 0, 0, 0)
	b = append(b, p.Number, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
	b = append(b, p.SPI...)
	for i := range p.Transforms {
		var err error
		if b, err = p.Transforms[i].append(b, i == len(p.Transforms)-1); err != nil {
			return b, fmt.Errorf("transform %d: %w", i+1, err)
		}
	}
	return b, wire.SetLen16(b, start+2, start)
}

func (t *Transform) append(b []byte, last bool) ([]byte, error) {
	start := len(b)
	b = append(b, mark(last, moreTransforms), 0, 0, 0, byte(t.Type), 0)
	b = wire.AppendU16(b, t.ID)
	if t.KeyBits != 0 {
		b = wire.AppendU16(b, attributeTV|attributeKey)
		b = wire.AppendU16(b, t.KeyBits)
	}
	for _, a := range t.Attributes {
		var err error
		if b, err = a.append(b); err != nil {
			return b, err
		}
	}
	return b, wire.SetLen16(b, start+2, start)
}

func (a *Attribute) append(b []byte) ([]byte, error) {
	if a.TV {
		if len(a.Value) != 2 {
			return b, fmt.Errorf("attribute %d: a short form of %d octets, not 2", a.Type, len(a.Value))
		}
		b = wire.AppendU16(b, attributeTV|a.Type)
		return append(b, a.Value...), nil
	}
	if len(a.Value) > 0xffff {
		return b, fmt.Errorf("attribute %d: %d octets do not fit", a.Type, len(a.Value))
	}
	b = wire.AppendU16(b, a.Type&^attributeTV)
	b = wire.AppendU16(b, uint16(len(a.Value)))
	return append(b, a.Value...), nil
}

func mark(last bool, more uint8) uint8 {
	if last {
		return lastSubstructure
	}
	return more
}

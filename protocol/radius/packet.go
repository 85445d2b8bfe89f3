package radius

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"sallyport/protocol/wire"
)

// Sizes of a packet, in octets (RFC 2865, Section 3).
const (
	HeaderSize = 20
	MaxPacket  = 4096
)

// Authenticator is the 16 octets that tie an answer to its request.
type Authenticator [16]byte

// Packet is one RADIUS packet. The attributes stand as they came, duplicates
// and all: the order of EAP-Message and Proxy-State has a meaning.
type Packet struct {
	Code          Code
	Identifier    uint8
	Authenticator Authenticator
	Attributes    []Attribute
}

// Parse reads a packet. Octets after its Length are padding, which RFC 2865,
// Section 3 wants ignored; everything else that does not fit is an error. It
// judges the form alone: who sent it is for CheckReply and CheckRequest, and
// what an attribute means is for its reader. The result aliases b.
func Parse(b []byte) (*Packet, error) {
	b, err := cut(b)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader("packet", b)
	p := &Packet{Code: Code(r.U8()), Identifier: r.U8()}
	r.U16() // the length, by which cut has gone
	copy(p.Authenticator[:], r.Bytes(16))
	for n := 1; r.Len() > 0; n++ {
		t, size := Type(r.U8()), int(r.U8())
		if size < 2 {
			r.Fail("attribute %d: length %d is under 2", n, size)
		}
		p.Attributes = append(p.Attributes, Attribute{t, r.Bytes(size - 2)})
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("radius: %w", err)
	}
	return p, nil
}

// cut takes the padding off.
func cut(b []byte) ([]byte, error) {
	if len(b) < HeaderSize {
		return nil, fmt.Errorf("radius: packet of %d octets is under %d", len(b), HeaderSize)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case n < HeaderSize || n > MaxPacket:
		return nil, fmt.Errorf("radius: length %d is not within %d to %d", n, HeaderSize, MaxPacket)
	case n > len(b):
		return nil, fmt.Errorf("radius: length is %d, %d octets came", n, len(b))
	}
	return b[:n], nil
}

// Append encodes the packet as it is. An attribute or a packet that is too
// long is an error.
func (p *Packet) Append(b []byte) ([]byte, error) {
	from := len(b)
	b = append(b, byte(p.Code), p.Identifier, 0, 0)
	b = append(b, p.Authenticator[:]...)
	for _, a := range p.Attributes {
		if len(a.Value) > MaxValue {
			return nil, fmt.Errorf("radius: %s has %d octets, at most %d fit", a.Type, len(a.Value), MaxValue)
		}
		b = append(b, byte(a.Type), byte(len(a.Value)+2))
		b = append(b, a.Value...)
	}
	if n := len(b) - from; n > MaxPacket {
		return nil, fmt.Errorf("radius: %s has %d octets, at most %d fit", p.Code, n, MaxPacket)
	}
	return b, wire.SetLen16(b, from+2, from)
}

// All is every value of a type, in order.
func (p *Packet) All(t Type) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, a := range p.Attributes {
			if a.Type == t && !yield(a.Value) {
				return
			}
		}
	}
}

// Find is the first attribute of a type.
func (p *Packet) Find(t Type) (Attribute, bool) {
	for _, a := range p.Attributes {
		if a.Type == t {
			return a, true
		}
	}
	return Attribute{}, false
}

// Has tells whether an attribute of a type is there.
func (p *Packet) Has(t Type) bool {
	_, ok := p.Find(t)
	return ok
}

// Add appends attributes.
func (p *Packet) Add(a ...Attribute) { p.Attributes = append(p.Attributes, a...) }

// Clone is a copy that aliases nothing.
func (p *Packet) Clone() *Packet {
	c := *p
	c.Attributes = make([]Attribute, len(p.Attributes))
	for i, a := range p.Attributes {
		c.Attributes[i] = Attribute{a.Type, bytes.Clone(a.Value)}
	}
	return &c
}

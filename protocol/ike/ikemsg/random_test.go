package ikemsg

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"sallyport/protocol/suite"
)

// chance makes messages that the parser must give back as they were.
type chance struct{ *rand.Rand }

func (c chance) octets(least, most int) []byte {
	b := make([]byte, least+c.IntN(most-least+1))
	for i := range b {
		b[i] = byte(c.Uint32())
	}
	return b
}

// maybe is octets, or nil for none: fields that are absent when empty.
func (c chance) maybe(most int) []byte {
	if b := c.octets(0, most); len(b) > 0 {
		return b
	}
	return nil
}

func (c chance) sa() *SA {
	sa := &SA{}
	for range 1 + c.IntN(4) {
		p := Proposal{Number: uint8(c.Uint32()), Protocol: ProtocolID(c.IntN(5))}
		switch p.Protocol {
		case ProtoAH, ProtoESP:
			p.SPI = c.octets(4, 4)
		case ProtoIKE:
			if c.IntN(2) == 0 {
				p.SPI = c.octets(8, 8)
			}
		default:
			p.SPI = c.maybe(20)
		}
		for range 1 + c.IntN(20) {
			t := Transform{Transform: suite.Transform{Type: suite.TransformType(c.Uint32()), ID: uint16(c.Uint32())}}
			if c.IntN(3) == 0 {
				t.KeyBits = uint16(1 + c.IntN(65535))
			}
			for range max(0, c.IntN(6)-3) {
				if c.IntN(2) == 0 {
					t.Attributes = append(t.Attributes, Attribute{Type: uint16(15 + c.IntN(32000)), TV: true, Value: c.octets(2, 2)})
				} else {
					t.Attributes = append(t.Attributes, Attribute{Type: uint16(c.IntN(32768)), Value: c.octets(0, 9)})
				}
			}
			p.Transforms = append(p.Transforms, t)
		}
		sa.Proposals = append(sa.Proposals, p)
	}
	return sa
}

func (c chance) selector() TrafficSelector {
	n := 4
	if c.IntN(2) == 0 {
		n = 16
	}
	a, b := c.octets(n, n), c.octets(n, n)
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	s := TrafficSelector{Protocol: uint8(c.Uint32()), StartPort: uint16(c.Uint32()), EndPort: uint16(c.Uint32())}
	if s.StartPort > s.EndPort {
		s.StartPort, s.EndPort = 65535, 0
	}
	s.Start, _ = netip.AddrFromSlice(a)
	s.End, _ = netip.AddrFromSlice(b)
	return s
}

func (c chance) id() *ID {
	p := &ID{Responder: c.IntN(2) == 0, Kind: IDType(c.IntN(14)), Data: c.octets(0, 60)}
	if n := p.Kind.addressLen(); n > 0 {
		p.Data = c.octets(n, n)
	}
	p.Body = append([]byte{byte(p.Kind), byte(c.Uint32()), 0, 0}, p.Data...)
	return p
}

func (c chance) payload() Payload {
	switch c.IntN(15) {
	case 0:
		return c.sa()
	case 1:
		return &KE{Group: uint16(c.Uint32()), Data: c.octets(0, 300)}
	case 2:
		return c.id()
	case 3:
		return &Cert{Encoding: CertEncoding(c.Uint32()), Data: c.octets(0, 300)}
	case 4:
		return &CertReq{Encoding: CertX509Signature, Authorities: bytes.Repeat(c.octets(20, 20), c.IntN(30))}
	case 5:
		return &Auth{Method: AuthMethod(c.Uint32()), Data: c.octets(0, 300)}
	case 6:
		return &Nonce{Data: c.octets(minNonce, maxNonce)}
	case 7:
		return &Notify{Protocol: ProtocolID(c.Uint32()), SPI: c.maybe(255), Type: NotifyType(c.Uint32()), Data: c.octets(0, 100)}
	case 8:
		if c.IntN(2) == 0 {
			return &Delete{Protocol: ProtoIKE}
		}
		p := &Delete{Protocol: ProtoESP}
		for range c.IntN(9) {
			p.SPIs = append(p.SPIs, c.Uint32())
		}
		return p
	case 9:
		return &VendorID{Data: c.octets(0, 100)}
	case 10:
		p := &TS{Responder: c.IntN(2) == 0}
		for range 1 + c.IntN(9) {
			p.Selectors = append(p.Selectors, c.selector())
		}
		return p
	case 11:
		p := &CP{Kind: CPType(c.Uint32())}
		for range c.IntN(9) {
			p.Attributes = append(p.Attributes, CPAttribute{Type: CPAttributeType(c.IntN(32768)), Value: c.octets(0, 20)})
		}
		return p
	case 12:
		b := c.octets(4, 100)
		b[2], b[3] = 0, byte(len(b))
		return &EAP{Packet: b}
	default:
		return &Unknown{Type: PayloadType(55 + c.IntN(201)), Critical: c.IntN(2) == 0, Body: c.octets(0, 50)}
	}
}

func (c chance) message() *Message {
	m := &Message{Header: Header{
		SPIi: SPI(c.Uint64()), SPIr: SPI(c.Uint64()), Major: 2, Minor: uint8(c.IntN(16)),
		Exchange: ExchangeType(c.Uint32()), Flags: Flags(c.Uint32()) & knownFlags, MessageID: c.Uint32(),
	}}
	for range c.IntN(12) {
		m.Payloads = append(m.Payloads, c.payload())
	}
	switch first := PayloadType(c.Uint32()); c.IntN(3) {
	case 0:
		m.Payloads = append(m.Payloads, &Encrypted{First: first, Body: c.octets(0, 500)})
	case 1:
		m.Payloads = append(m.Payloads, &EncryptedFragment{First: first, Number: 3, Total: 9, Body: c.octets(0, 500)})
	}
	return m
}

func TestRandomMessagesComeBackAsTheyWere(t *testing.T) {
	for seed := range uint64(2000) {
		m := chance{rand.New(rand.NewPCG(seed, 0))}.message()
		b, err := m.Append(nil)
		if err != nil {
			t.Fatalf("seed %d: append: %v", seed, err)
		}
		got, err := Parse(b)
		if err != nil {
			t.Fatalf("seed %d: parse: %v", seed, err)
		}
		m.Header.NextPayload, m.Header.Length = FirstType(m.Payloads), uint32(len(b))
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("seed %d: sent\n%+v\ngot\n%+v", seed, m, got)
		}
		n := int(seed) % len(b)
		if _, err := Parse(b[:n]); err == nil {
			t.Fatalf("seed %d: the first %d of %d octets parse", seed, n, len(b))
		}
	}
}

// One wrong octet anywhere gives an error or another message, never a panic.
func TestRandomMessagesWithAWrongOctet(t *testing.T) {
	for seed := range uint64(500) {
		c := chance{rand.New(rand.NewPCG(seed, 1))}
		b, err := c.message().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			at, old := c.IntN(len(b)), byte(0)
			old, b[at] = b[at], byte(c.Uint32())
			if m, err := Parse(b); err == nil {
				checkSecondParse(t, m)
			}
			b[at] = old
		}
	}
}

// checkSecondParse holds a parsed message to the law of the codec: appended
// and parsed again it is the same.
func checkSecondParse(t *testing.T, m *Message) {
	t.Helper()
	if hasEmptyTS(m.Payloads) {
		return
	}
	b, err := m.Append(nil)
	if err != nil {
		t.Fatalf("what was parsed does not append: %v\n%+v", err, m)
	}
	again, err := Parse(b)
	if err != nil {
		t.Fatalf("what was appended does not parse: %v\n%x", err, b)
	}
	// Skipped selectors make the second one shorter.
	again.Header.Length = m.Header.Length
	if !reflect.DeepEqual(again, m) {
		t.Fatalf("first\n%+v\nthen\n%+v", m, again)
	}
}

// hasEmptyTS finds the one thing that parses and has no encoding: a TS payload
// whose selectors were all of unknown types.
func hasEmptyTS(ps []Payload) bool {
	for ts := range All[*TS](ps) {
		if len(ts.Selectors) == 0 {
			return true
		}
	}
	return false
}

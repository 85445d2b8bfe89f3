package ikemsg

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// Each test here is a hole that another implementation had, or a trap that
// real clients set, written from its public description with our own packets.

// WatchGuard's iked copied the peer's identity into a fixed buffer.
func TestCVE_2025_9242_LongID(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 255, 256, 520, 1024, maxID, maxID + 1, 4096, 65527} {
		for kind := range 16 {
			body := append([]byte{byte(kind), 0, 0, 0}, bytes.Repeat([]byte{'a'}, n)...)
			p, err := one(PayloadIDi, body...)
			fits := n <= maxID
			if size := IDType(kind).addressLen(); size != 0 {
				fits = n == size
			}
			if (err == nil) != fits {
				t.Errorf("type %d of %d octets: %v", kind, n, err)
			}
			if err == nil && len(p.(*ID).String()) > 2*maxIDText {
				t.Errorf("type %d of %d octets prints %d", kind, n, len(p.(*ID).String()))
			}
		}
	}
}

// WatchGuard's iked wrote past its tables for long certificate chains and
// authority lists. Trap 18: Windows lists every root it trusts.
func TestCVE_2025_14733_LongCertificateLists(t *testing.T) {
	roots := bytes.Repeat([]byte{0xab}, 600*hashLen)
	p, err := one(PayloadCertReq, append([]byte{4}, roots...)...)
	if err != nil || !bytes.Equal(p.(*CertReq).Authorities, roots) {
		t.Errorf("600 roots: %v", err)
	}
	if _, err := one(PayloadCertReq, append([]byte{4}, roots[1:]...)...); err == nil {
		t.Error("a list that ends within a hash parses")
	}
	chain := func(n int) []Payload {
		var ps []Payload
		for range n {
			ps = append(ps, &Cert{Encoding: CertX509Signature, Data: make([]byte, 300)})
		}
		return ps
	}
	for _, n := range []int{1, 20, maxPayloads, maxPayloads + 1} {
		body, err := AppendPayloads(nil, chain(n))
		if err != nil {
			t.Fatal(err)
		}
		if ps, err := ParsePayloads(PayloadCert, body); (err == nil) != (n <= maxPayloads) {
			t.Errorf("%d certificates: %d, %v", n, len(ps), err)
		}
	}
}

func TestTrap18_AuthoritiesAreHashes(t *testing.T) {
	ours, other := sha1.Sum([]byte("our key")), sha1.Sum([]byte("another key"))
	req := &CertReq{Encoding: CertX509Signature, Authorities: append(append([]byte{}, other[:]...), ours[:]...)}
	if !req.Asks(ours) || !req.Asks(other) || req.Asks(sha1.Sum(nil)) {
		t.Error("the list is not read hash by hash")
	}
	// A hash that begins in the middle of another is none.
	if req.Asks([20]byte(req.Authorities[10:30])) {
		t.Error("the list is searched octet by octet")
	}
	if (&CertReq{Encoding: CertOCSP, Authorities: ours[:]}).Asks(ours) {
		t.Error("an OCSP responder's hash is taken for an authority")
	}
}

// Libreswan believed the Selector Length after having read by the type.
func TestCVE_2023_23009_SelectorLengthMismatch(t *testing.T) {
	four := fromHex(t, `07 00 0010 0000 ffff 0a000001 0a000001`)
	six := fromHex(t, `08 00 0028 0000 ffff 20010db8000000000000000000000001 20010db8000000000000000000000001`)
	for _, s := range [][]byte{four, six} {
		for length := range 65 {
			b := bytes.Clone(s)
			b[2], b[3] = 0, byte(length)
			// Enough follows for any length, as a second selector would.
			for _, rest := range [][]byte{nil, four, six, make([]byte, 64)} {
				body := append(append([]byte{1, 0, 0, 0}, b...), rest...)
				_, err := one(PayloadTSi, body...)
				if right := length == len(s) && rest == nil; (err == nil) != right {
					t.Errorf("type %d, length %d, %d octets after it: %v", s[0], length, len(rest), err)
				}
			}
		}
	}
	for announced := range 256 {
		_, err := one(PayloadTSi, append(append([]byte{byte(announced), 0, 0, 0}, four...), six...)...)
		if (err == nil) != (announced == 2) {
			t.Errorf("two selectors announced as %d: %v", announced, err)
		}
	}
}

// strongSwan looped on an EAP-AKA attribute of length 0; every length that a
// walk of ours depends on is tried with everything too small.
func TestCVE_2026_35330_ZeroLengthStructures(t *testing.T) {
	for name, c := range map[string]struct {
		kind PayloadType
		hex  string
		at   int // the length field's second octet, in the body
		min  int
	}{
		"proposal":         {PayloadSA, `00 00 0010 01 01 00 01 00 00 0008 02 00 0005`, 3, 16},
		"transform":        {PayloadSA, `00 00 0010 01 01 00 01 00 00 0008 02 00 0005`, 11, 8},
		"selector":         {PayloadTSi, `01 000000 07 00 0010 0000 ffff 0a000001 0a000001`, 7, 16},
		"unknown selector": {PayloadTSi, `01 000000 63 00 0004`, 7, 4},
	} {
		b := fromHex(t, c.hex)
		for length := range c.min {
			b[c.at] = byte(length)
			if _, err := one(c.kind, b...); err == nil {
				t.Errorf("%s of length %d parses", name, length)
			}
		}
		b[c.at] = byte(c.min)
		if _, err := one(c.kind, b...); err != nil {
			t.Errorf("%s of length %d: %v", name, c.min, err)
		}
	}
	for length := range genericLen {
		if _, err := ParsePayloads(PayloadVendor, []byte{byte(PayloadVendor), 0, 0, byte(length)}); err == nil {
			t.Errorf("payload of length %d parses", length)
		}
	}
	// Attributes of length 0 are legal and move on by their header.
	p, err := one(PayloadCP, fromHex(t, `01 000000 0001 0000 0001 0000`)...)
	if err != nil || len(p.(*CP).Attributes) != 2 {
		t.Errorf("empty configuration attributes: %v", err)
	}
	p, err = one(PayloadSA, fromHex(t, `00 00 0018 01 01 00 01 00 00 0010 02 00 0005 0011 0000 0011 0000`)...)
	if err != nil || len(p.(*SA).Proposals[0].Transforms[0].Attributes) != 2 {
		t.Errorf("empty transform attributes: %v", err)
	}
}

// OpenIKED read past short TS and CP payloads, and printed past short IDs.
func TestOpenIKED_7_8_ShortPayloads(t *testing.T) {
	for kind, minimum := range payloadWithMinimum {
		for n := range minimum {
			if _, err := one(kind, make([]byte, n)...); err == nil {
				t.Errorf("%v of %d octets parses", kind, n)
			}
		}
	}
}

var payloadWithMinimum = map[PayloadType]int{
	PayloadSA: 16, PayloadKE: 4, PayloadIDi: 4, PayloadIDr: 4, PayloadCert: 1, PayloadCertReq: 1, PayloadAuth: 4,
	PayloadNonce: 16, PayloadNotify: 4, PayloadDelete: 4, PayloadTSi: 8, PayloadTSr: 8, PayloadSKF: 4, PayloadCP: 4,
	PayloadEAP: 4,
}

// charon-tkm copied a public value of any length; length and group are handed
// on as they are, for the group to judge.
func TestCVE_2023_41913_KELength(t *testing.T) {
	for _, group := range []uint16{0, 1, 14, 19, 31, 35, 36, 37, 65535} {
		for _, n := range []int{0, 1, 31, 32, 256, 800, 1184, 1568, 65527} {
			p, err := one(PayloadKE, append([]byte{byte(group >> 8), byte(group), 0, 0}, make([]byte, n)...)...)
			if err != nil {
				t.Fatalf("group %d of %d octets: %v", group, n, err)
			}
			if ke := p.(*KE); ke.Group != group || len(ke.Data) != n {
				t.Errorf("group %d of %d octets became %d of %d", group, n, ke.Group, len(ke.Data))
			}
		}
	}
}

// strongSwan knew group 1025 from inside and crashed on meeting it outside.
func TestCVE_2014_9221_PrivateGroup(t *testing.T) {
	p, err := one(PayloadSA, fromHex(t, `00 00 0010 01 01 00 01 00 00 0008 04 00 0401`)...)
	if err != nil || p.(*SA).Proposals[0].Transforms[0].ID != 1025 {
		t.Errorf("group 1025: %v", err)
	}
}

// strongSwan took payloads of IKEv1 in an IKEv2 message for what they are
// there. Here they have no meaning: unknown, with their critical bit.
func TestCVE_2015_3991_PayloadsOfIKEv1(t *testing.T) {
	for kind := range 33 {
		if kind == 0 {
			continue
		}
		for _, critical := range []byte{0, 0x80} {
			b := []byte{0, critical, 0, 8, 0, 0, 0, 1}
			ps, err := ParsePayloads(PayloadType(kind), b)
			if err != nil {
				t.Fatalf("type %d: %v", kind, err)
			}
			want := &Unknown{Type: PayloadType(kind), Critical: critical != 0, Body: []byte{0, 0, 0, 1}}
			if !reflect.DeepEqual(ps[0], want) {
				t.Errorf("type %d became %#v", kind, ps[0])
			}
		}
	}
}

// Libreswan asserted on a Next Payload that its tables did not hold: every
// value, behind every other.
func TestCVE_2015_3204_OddNextPayload(t *testing.T) {
	for first := range 256 {
		for next := range 256 {
			b := append([]byte{byte(next), 0, 0, 20}, make([]byte, 16)...)
			ps, err := ParsePayloads(PayloadType(first), append(b, generic(make([]byte, 16)...)...))
			if err == nil && len(ps) != 2 {
				t.Fatalf("%d, %d: %d payloads and no error", first, next, len(ps))
			}
		}
	}
}

// Libreswan asserted when a reassembled body held more unknown payloads than
// its table had room for.
func TestCVE_2026_12413_TooManyUnknownPayloads(t *testing.T) {
	for _, n := range []int{maxPayloads, maxPayloads + 1, 1000, 16000} {
		body := repeat(t, `c8 00 0004`, n)
		body[len(body)-4] = 0
		ps, err := ParsePayloads(200, body)
		if n <= maxPayloads && (err != nil || len(ps) != n) {
			t.Errorf("%d payloads: %d, %v", n, len(ps), err)
		}
		if n > maxPayloads && (err == nil || !strings.Contains(err.Error(), "more than")) {
			t.Errorf("%d payloads: %v", n, err)
		}
	}
}

// Libreswan's own error reply asserted on REKEY_SA for protocol 0 or 1. The
// parser keeps what was said, so that the reply can quote it.
func TestCVE_2023_38710_RekeyOfOddProtocol(t *testing.T) {
	for proto := range 256 {
		for _, spi := range [][]byte{nil, {1}, {1, 2, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8}} {
			want := &Notify{Protocol: ProtocolID(proto), SPI: spi, Type: NotifyRekeySA, Data: []byte{}}
			b, err := AppendPayloads(nil, []Payload{want})
			if err != nil {
				t.Fatal(err)
			}
			ps, err := ParsePayloads(PayloadNotify, b)
			if err != nil || !reflect.DeepEqual(ps[0], want) || want.Protocol.String() == "" {
				t.Errorf("protocol %d, SPI %x: %v", proto, spi, err)
			}
		}
	}
}

// Openswan aborted on a rekey's nonce of 0 to 7 or more than 256 octets.
func TestOpenswan489_NonceSize(t *testing.T) {
	for n := range 600 {
		_, err := one(PayloadNonce, make([]byte, n)...)
		if (err == nil) != (n >= 16 && n <= 256) {
			t.Errorf("nonce of %d octets: %v", n, err)
		}
	}
}

// Libreswan crashed on an SA without a key exchange transform: for the parser
// that is a well-formed offer.
func TestCVE_2016_5391_SAWithoutKE(t *testing.T) {
	p, err := one(PayloadSA, fromHex(t, `00 00 0010 01 01 00 01 00 00 0008 02 00 0005`)...)
	if err != nil || len(p.(*SA).Proposals[0].Transforms) != 1 {
		t.Errorf("an SA with a PRF alone: %v", err)
	}
}

// Cisco's heap overflow was in fragments. Trap 19: numbers are checked against
// the total, and no total makes anything grow.
func TestCVE_2016_1287_FragmentNumbers(t *testing.T) {
	for _, c := range []struct {
		number, total uint16
		ok            bool
	}{
		{0, 0, false}, {0, 1, false}, {1, 0, false}, {1, 1, true}, {2, 1, false}, {32, 32, true},
		{65535, 65535, true}, {1, 65535, true}, {65535, 65534, false},
	} {
		_, err := one(PayloadSKF, byte(c.number>>8), byte(c.number), byte(c.total>>8), byte(c.total), 0xff)
		if (err == nil) != c.ok {
			t.Errorf("fragment %d of %d: %v", c.number, c.total, err)
		}
	}
}

// Zyxel passed the peer's text to a shell through its log. No text of a peer
// leaves this package unquoted.
func TestCVE_2023_28771_PeerTextIsQuoted(t *testing.T) {
	evil := "x\";\n`reboot` \x1b[2J\u202e\x00 %s"
	for kind := range 256 {
		text := (&ID{Kind: IDType(kind), Data: []byte(evil)}).String()
		for _, c := range text {
			if c < 0x20 || c > 0x7e {
				t.Errorf("type %d prints %q", kind, text)
				break
			}
		}
		if strings.Contains(text, `x";`) {
			t.Errorf("type %d leaves its quotes: %s", kind, text)
		}
	}
}

// Trap 10: proposals begin at any number, repeat and go down; a transform of
// unknown type or with an unknown attribute is kept, and the rest with it.
func TestTrap10_ProposalNumbersAndUnknownTransforms(t *testing.T) {
	offer := &SA{Proposals: []Proposal{
		{Number: 7, Protocol: ProtoIKE, Transforms: transforms([3]uint16{1, 12, 256}, [3]uint16{200, 9, 0})},
		{Number: 0, Protocol: ProtoIKE, Transforms: transforms([3]uint16{1, 9999, 0}, [3]uint16{6, 36, 0})},
		{Number: 7, Protocol: 99, SPI: []byte{1, 2, 3}, Transforms: []Transform{{Attributes: []Attribute{{Type: 1, Value: []byte("x")}}}}},
	}}
	b, err := AppendPayloads(nil, []Payload{offer})
	if err != nil {
		t.Fatal(err)
	}
	ps, err := ParsePayloads(PayloadSA, b)
	if err != nil || !reflect.DeepEqual(ps[0], offer) {
		t.Errorf("became %+v, %v", ps, err)
	}
}

// A Key Length that is no proper one must not look like a proper one: it stays
// an attribute, and so the transform is unusable.
func TestTrap10_OddKeyLengths(t *testing.T) {
	for name, c := range map[string]struct {
		hex   string
		bits  uint16
		extra int
	}{
		"none":        {``, 0, 0},
		"256":         {`800e 0100`, 256, 0},
		"zero":        {`800e 0000`, 0, 1},
		"long form":   {`000e 0002 0100`, 0, 1},
		"twice":       {`800e 0100 800e 0080`, 256, 1},
		"zero, 128":   {`800e 0000 800e 0080`, 128, 1},
		"other first": {`8001 0001 800e 0080`, 128, 1},
	} {
		attributes := fromHex(t, c.hex)
		n := byte(len(attributes))
		body := append([]byte{0, 0, 0, 16 + n, 1, 1, 0, 1, 0, 0, 0, 8 + n, 1, 0, 0, 12}, attributes...)
		p, err := one(PayloadSA, body...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := p.(*SA).Proposals[0].Transforms[0]
		if got.KeyBits != c.bits || len(got.Attributes) != c.extra {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Trap 11: AUTH covers the identity with its reserved octets as they came.
func TestTrap11_IdentityIsKeptAsReceived(t *testing.T) {
	body := []byte{2, 0xde, 0xad, 0xff, 'a', '.', 'b'}
	p, err := one(PayloadIDr, body...)
	if err != nil {
		t.Fatal(err)
	}
	id := p.(*ID)
	if !bytes.Equal(id.Body, body) || !bytes.Equal(id.RestOfID(), body) || string(id.Data) != "a.b" {
		t.Errorf("kept %x, data %q", id.Body, id.Data)
	}
	back, err := AppendPayloads(nil, []Payload{id})
	if err != nil || !bytes.Equal(back, generic(body...)) {
		t.Errorf("re-encoded as %x", back)
	}
	built := &ID{Kind: IDFQDN, Data: []byte("a.b")}
	if got := built.RestOfID(); !bytes.Equal(got, []byte{2, 0, 0, 0, 'a', '.', 'b'}) {
		t.Errorf("our own is %x", got)
	}
}

// Trap 16: selectors of types we do not know (labels, Fibre Channel) are
// skipped, and the ones beside them are used.
func TestTrap16_UnknownSelectorsAreSkipped(t *testing.T) {
	any4 := `07 00 0010 0000 ffff 00000000 ffffffff`
	label := `0a 00 0009 6c6162656c`
	for _, c := range []struct {
		name, hex string
		want      int
	}{
		{"label first", `02 000000` + label + any4, 1},
		{"label last", `02 000000` + any4 + label, 1},
		{"label alone", `01 000000` + label, 0},
		{"between", `03 000000` + any4 + label + any4, 2},
	} {
		p, err := one(PayloadTSr, fromHex(t, c.hex)...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := p.(*TS).Selectors; len(got) != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Trap 17: unknown attributes and empty values are kept, in order.
func TestTrap17_ConfigurationAttributesOfEveryKind(t *testing.T) {
	want := &CP{Kind: CPRequest, Attributes: []CPAttribute{
		{Type: InternalIP4DNS, Value: []byte{}}, {Type: MSInternalIP4Server, Value: []byte{}},
		{Type: InternalDNSDomain, Value: []byte{}}, {Type: InternalDNSSECTA, Value: []byte{}},
		{Type: 32767, Value: []byte{1, 2, 3}}, {Type: InternalIP4Address, Value: []byte{10}},
	}}
	b, err := AppendPayloads(nil, []Payload{want})
	if err != nil {
		t.Fatal(err)
	}
	ps, err := ParsePayloads(PayloadCP, b)
	if err != nil || !reflect.DeepEqual(ps[0], want) {
		t.Errorf("became %+v, %v", ps, err)
	}
}

// Traps 8 and 32: a Delete may name several SPIs, and none; its SPI Size then
// says nothing.
func TestTrap32_DeleteLists(t *testing.T) {
	for _, c := range []struct {
		hex string
		n   int
		ok  bool
	}{
		{`03 04 0003 00000001 00000002 00000003`, 3, true},
		{`02 04 0001 00000001`, 1, true},
		{`03 04 0000`, 0, true},
		{`03 00 0000`, 0, true},
		{`01 08 0000`, 0, true},
		{`03 00 0001`, 0, false}, // one SPI of no octets
		{`03 04 0001`, 0, false},
		{`03 04 0001 00000001 00000002`, 0, false},
		{`01 04 0001 00000001`, 0, false},
		{`03 04 0002 00000001`, 0, false},
		{`03 04 0000 00000001`, 0, false},
		{`03 08 0001 0000000000000001`, 0, false},
		{`01 10 0001 00000000000000000000000000000001`, 0, false},
	} {
		p, err := one(PayloadDelete, fromHex(t, c.hex)...)
		if (err == nil) != c.ok || err == nil && len(p.(*Delete).SPIs) != c.n {
			t.Errorf("%s: %+v, %v", c.hex, p, err)
		}
	}
}

// Real clients' first messages are well inside the limits.
func TestLargeRealMessages(t *testing.T) {
	m := windowsInit()
	m.Payloads = append(m.Payloads, &KE{Group: 36, Data: make([]byte, 1184)}, &VendorID{Data: make([]byte, 1024)})
	for i := range 40 {
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		m.Payloads = append(m.Payloads, &Notify{Type: NotifyAdditionalIP4Address, Data: addr.AsSlice()})
	}
	var wide []Transform
	for id := range 100 {
		wide = append(wide, transforms([3]uint16{1, uint16(id), 256})...)
	}
	m.Payloads[0].(*SA).Proposals = append(m.Payloads[0].(*SA).Proposals,
		Proposal{Number: 3, Protocol: ProtoIKE, Transforms: wide}, Proposal{Number: 4, Protocol: ProtoIKE, Transforms: wide})
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil || len(got.Payloads) != len(m.Payloads) {
		t.Errorf("%d payloads of %d: %v", len(got.Payloads), len(m.Payloads), err)
	}
}

func TestLimitsAreErrors(t *testing.T) {
	proposals := func(n int) *SA {
		sa := &SA{}
		for range n {
			sa.Proposals = append(sa.Proposals, Proposal{Protocol: ProtoIKE, Transforms: transforms([3]uint16{1, 20, 256})})
		}
		return sa
	}
	attributes := &SA{Proposals: []Proposal{{Transforms: []Transform{{Attributes: make([]Attribute, maxAttributes+1)}}}}}
	wide := &SA{Proposals: []Proposal{{Transforms: make([]Transform, 255)}, {Transforms: make([]Transform, 255)}}}
	for i, c := range []struct {
		p  Payload
		ok bool
	}{
		{proposals(maxProposals), true}, {proposals(maxProposals + 1), false}, {attributes, false}, {wide, true},
		{&SA{Proposals: append(wide.Proposals, Proposal{Transforms: make([]Transform, 3)})}, false},
	} {
		b, err := AppendPayloads(nil, []Payload{c.p})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePayloads(PayloadSA, b); (err == nil) != c.ok {
			t.Errorf("case %d: %v", i, err)
		} else if err != nil && !strings.Contains(fmt.Sprint(err), "more than") {
			t.Errorf("case %d: the error does not name the limit: %v", i, err)
		}
	}
}

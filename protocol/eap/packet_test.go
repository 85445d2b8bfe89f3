package eap

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Map(func(r rune) rune {
		if r == ' ' || r == '\n' || r == '\t' {
			return -1
		}
		return r
	}, s))
	must(err)
	return b
}

// packets are hex and meaning.
var packets = []struct {
	name   string
	octets string
	packet Packet
}{
	{"identity request", "01 01 0005 01", Packet{CodeRequest, 1, TypeIdentity, []byte{}}},
	{"identity response", "02 01 0008 01 626f62", Packet{CodeResponse, 1, TypeIdentity, []byte("bob")}},
	{"EAP-TLS start", "01 02 0006 0d 20", Packet{CodeRequest, 2, TypeTLS, []byte{0x20}}},
	{"Nak for PEAP and TTLS", "02 02 0007 03 19 15", Packet{CodeResponse, 2, TypeNak, []byte{25, 21}}},
	{"expanded", "01 03 000e fe 000137 00000001 aabb", Packet{CodeRequest, 3, TypeExpanded, unhex("000137 00000001 aabb")}},
	{"success", "03 04 0004", Packet{Code: CodeSuccess, Identifier: 4}},
	{"failure", "04 ff 0004", Packet{Code: CodeFailure, Identifier: 255}},
}

func equalPackets(a, b Packet) bool {
	return a.Code == b.Code && a.Identifier == b.Identifier && a.Type == b.Type && bytes.Equal(a.Data, b.Data)
}

func TestPacketVectors(t *testing.T) {
	for _, v := range packets {
		b := unhex(v.octets)
		p, err := Parse(b)
		if err != nil || !equalPackets(p, v.packet) {
			t.Errorf("%s: %+v, %v", v.name, p, err)
		}
		if got := v.packet.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: appended % x", v.name, got)
		}
		padded, err := Parse(append(slices.Clone(b), 0, 0, 0))
		if err != nil || !equalPackets(padded, v.packet) {
			t.Errorf("%s: with the link's padding: %+v, %v", v.name, padded, err)
		}
		for n := range len(b) {
			if p, err := Parse(b[:n]); err == nil {
				t.Errorf("%s: the first %d octets are %+v", v.name, n, p)
			}
		}
	}
}

func TestBadPacketsAreErrors(t *testing.T) {
	for _, s := range []string{
		"00 01 0004", "05 01 0004", "05 01 0005 01", // codes 5 and 6 are of RFC 6696
		"01 01 0004", "02 01 0004", // no type
		"03 01 0005 01", "04 01 0005 00", // with a type
		"01 01 0003", "01 01 0000", // shorter than the header
		"01 01 ffff 01",
	} {
		if p, err := Parse(unhex(s)); err == nil {
			t.Errorf("%s is %+v", s, p)
		}
	}
	if _, err := Parse(append(unhex("01 01 4001 0d"), make([]byte, MaxPacket)...)); err == nil {
		t.Errorf("a packet of over %d octets was read", MaxPacket)
	}
}

func TestNakForms(t *testing.T) {
	legacy := func(s string) Packet { return Packet{Code: CodeResponse, Type: TypeNak, Data: unhex(s)} }
	expanded := func(s string) Packet { return Packet{Code: CodeResponse, Type: TypeExpanded, Data: unhex(s)} }
	for _, c := range []struct {
		name string
		p    Packet
		want []Type
		bad  bool
	}{
		{"one", legacy("0d"), []Type{TypeTLS}, false},
		{"several", legacy("19 15 1a"), []Type{TypePEAP, TypeTTLS, TypeMSCHAPv2}, false},
		{"none", legacy("00"), nil, false},
		{"nothing at all", legacy(""), nil, false},
		{"expanded", expanded("000000 00000003  fe 000000 0000000d"), []Type{TypeTLS}, false},
		{"expanded none", expanded("000000 00000003  fe 000000 00000000"), nil, false},
		{"expanded with a vendor's", expanded("000000 00000003  fe 000137 00000001  fe 000000 00000015"), []Type{TypeTTLS}, false},
		{"not a Nak", expanded("000137 00000003"), nil, true},
		{"a vendor's type 3", expanded("000000 00000004"), nil, true},
		{"cut", expanded("000000 00000003  fe 000000 000000"), nil, true},
		{"a legacy type within", expanded("000000 00000003  0d 000000 0000000d"), nil, true},
		{"short", expanded("000000 0000"), nil, true},
	} {
		got, err := parseNak(c.p)
		if (err != nil) != c.bad || (!c.bad && !slices.Equal(got, c.want)) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestNakOfOursIsUnderstood(t *testing.T) {
	for _, request := range []Packet{{Code: CodeRequest, Identifier: 7, Type: TypeMD5}, {Code: CodeRequest, Identifier: 7, Type: TypeExpanded, Data: unhex("000137 00000001")}} {
		for _, wanted := range [][]Type{nil, {TypeTLS}, {TypePEAP, TypeTLS}} {
			nak, err := Parse(nakFor(request, wanted).Append(nil))
			if err != nil || nak.Identifier != 7 || nak.Code != CodeResponse || (nak.Type == TypeExpanded) != (request.Type == TypeExpanded) {
				t.Errorf("%+v, %v", nak, err)
			}
			if got, err := parseNak(nak); err != nil || !slices.Equal(got, wanted) {
				t.Errorf("%v is read as %v, %v", wanted, got, err)
			}
		}
	}
}

func FuzzPacket(f *testing.F) {
	for _, v := range packets {
		f.Add(unhex(v.octets))
	}
	f.Add(unhex("02 03 0014 fe 000000 00000003 fe 000000 0000000d"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(p.Append(nil))
		if err != nil || !equalPackets(p, again) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
		types, err := parseNak(p)
		if err == nil && len(types) > len(b) {
			t.Fatalf("%d types in %d octets", len(types), len(b))
		}
	})
}

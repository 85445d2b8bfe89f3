package ikemsg

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	first, second := &VendorID{Data: []byte("1")}, &VendorID{Data: []byte("2")}
	cookie := &Notify{Type: NotifyCookie}
	idi, idr := &ID{Kind: IDFQDN}, &ID{Kind: IDFQDN, Responder: true}
	tsi, tsr := &TS{}, &TS{Responder: true}
	ps := []Payload{&Notify{Type: NotifyRekeySA}, first, idi, idr, cookie, second, tsi, tsr}
	if got, ok := Find[*VendorID](ps); !ok || got != first {
		t.Errorf("Find: %v %v", got, ok)
	}
	if got, ok := Find[*SA](ps); ok || got != nil {
		t.Errorf("Find of none: %v %v", got, ok)
	}
	if got := slices.Collect(All[*VendorID](ps)); !slices.Equal(got, []*VendorID{first, second}) {
		t.Errorf("All: %v", got)
	}
	for got := range All[*VendorID](ps) {
		if got != first {
			t.Error("All goes on after a break")
		}
		break
	}
	if got, ok := FindNotify(ps, NotifyCookie); !ok || got != cookie {
		t.Errorf("FindNotify: %v %v", got, ok)
	}
	if got, ok := FindNotify(ps, NotifyCookie2); ok || got != nil {
		t.Errorf("FindNotify of none: %v %v", got, ok)
	}
	for responder, want := range map[bool]*ID{false: idi, true: idr} {
		if got, ok := FindID(ps, responder); !ok || got != want {
			t.Errorf("FindID: %v %v", got, ok)
		}
	}
	for responder, want := range map[bool]*TS{false: tsi, true: tsr} {
		if got, ok := FindTS(ps, responder); !ok || got != want {
			t.Errorf("FindTS: %v %v", got, ok)
		}
	}
	if _, ok := FindID(nil, true); ok {
		t.Error("FindID in nothing")
	}
	if _, ok := FindTS(ps[:1], true); ok {
		t.Error("FindTS of none")
	}
	if FirstType(ps) != PayloadNotify || FirstType(nil) != PayloadNone {
		t.Error("FirstType")
	}
}

func TestIDText(t *testing.T) {
	dn, err := asn1.Marshal(pkix.Name{CommonName: "Alice \"A\"", Organization: []string{"Example, Inc"}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind IDType
		data string
		want string
	}{
		{IDIPv4Addr, "\xc0\x00\x02\x01", "192.0.2.1"},
		{IDIPv6Addr, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "2001:db8::1"},
		{IDIPv4Addr, "\x01", "ID_IPV4_ADDR 0x01"},
		{IDFQDN, "vpn.example.org", `"vpn.example.org"`},
		{IDFQDN, "vpn.example.org\x00.evil", `"vpn.example.org\x00.evil"`},
		{IDRFC822Addr, "zo\u00eb@example.org", `"zo\u00eb@example.org"`},
		{IDDERASN1DN, string(dn), `"CN=Alice \\\"A\\\",O=Example\\, Inc"`},
		{IDDERASN1DN, "\x30\x01", "ID_DER_ASN1_DN 0x3001"},
		{IDDERASN1DN, string(dn) + "x", ""},
		{IDDERASN1GN, "\x82\x01a", "ID_DER_ASN1_GN 0x820161"},
		{IDKeyID, "group 7", `key id "group 7"`},
		{IDKeyID, "\x00\x01", "key id 0x0001"},
		{IDKeyID, "", "key id 0x"},
		{IDNull, "", "ID_NULL"},
		{77, "\xff", "ID type 77 0xff"},
		{IDFQDN, strings.Repeat("a", 300), `"` + strings.Repeat("a", 256) + `"...`},
		{77, strings.Repeat("\xaa", 300), "ID type 77 0x" + strings.Repeat("aa", 128) + "..."},
	} {
		got := (&ID{Kind: c.kind, Data: []byte(c.data)}).String()
		if c.want != "" && got != c.want {
			t.Errorf("%v of %q is %s, want %s", c.kind, c.data, got, c.want)
		}
		if c.want == "" && !strings.HasPrefix(got, "ID_DER_ASN1_DN 0x") {
			t.Errorf("%v with octets left over is %s", c.kind, got)
		}
	}
}

func TestSelectorText(t *testing.T) {
	sel := func(from, to string, proto uint8, start, end uint16) TrafficSelector {
		return TrafficSelector{Protocol: proto, StartPort: start, EndPort: end,
			Start: netip.MustParseAddr(from), End: netip.MustParseAddr(to)}
	}
	for want, s := range map[string]TrafficSelector{
		"10.0.0.0/8":                        sel("10.0.0.0", "10.255.255.255", 0, 0, 65535),
		"0.0.0.0/0":                         sel("0.0.0.0", "255.255.255.255", 0, 0, 65535),
		"::/0":                              sel("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 0, 65535),
		"192.0.2.1[17/500]":                 sel("192.0.2.1", "192.0.2.1", 17, 500, 500),
		"2001:db8::1-2001:db8::9[6/1-1023]": sel("2001:db8::1", "2001:db8::9", 6, 1, 1023),
		"10.0.0.1-10.0.0.2":                 sel("10.0.0.1", "10.0.0.2", 0, 0, 65535),
		"10.0.0.0/31[6/any]":                sel("10.0.0.0", "10.0.0.1", 6, 0, 65535),
		"10.0.0.0/31[6/opaque]":             sel("10.0.0.0", "10.0.0.1", 6, 65535, 0),
		"10.0.0.128-10.0.1.127":             sel("10.0.0.128", "10.0.1.127", 0, 0, 65535),
		"::ffff:10.0.0.1":                   sel("::ffff:10.0.0.1", "::ffff:10.0.0.1", 0, 0, 65535),
		"invalid IP-invalid IP[0/0]":        {},
		"10.0.0.1-::1[0/0]":                 sel("10.0.0.1", "::1", 0, 0, 0),
		"10.60.0.7[1/2048]":                 sel("10.60.0.7", "10.60.0.7", 1, 2048, 2048),
		"2001:db8:1::/48":                   sel("2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", 0, 0, 65535),
	} {
		if got := s.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestPrefixSelector(t *testing.T) {
	for _, text := range []string{"0.0.0.0/0", "10.0.0.0/8", "192.0.2.128/25", "192.0.2.1/32", "::/0", "2001:db8::/33", "2001:db8::1/128"} {
		p := netip.MustParsePrefix(text)
		s := PrefixSelector(p)
		if got, ok := s.Prefix(); !ok || got != p {
			t.Errorf("%v came back as %v, %t", p, got, ok)
		}
		if !s.Contains(p.Addr(), 6, 0) || !s.Contains(s.End, 17, 65535) {
			t.Errorf("%v does not contain its ends", p)
		}
	}
	if got := PrefixSelector(netip.MustParsePrefix("10.1.2.3/8")).String(); got != "10.0.0.0/8" {
		t.Errorf("host bits stay: %s", got)
	}
}

func TestContains(t *testing.T) {
	s := TrafficSelector{Protocol: 6, StartPort: 80, EndPort: 90,
		Start: netip.MustParseAddr("10.0.0.5"), End: netip.MustParseAddr("10.0.0.9")}
	opaque := TrafficSelector{Protocol: 6, StartPort: 65535, Start: s.Start, End: s.End}
	six := PrefixSelector(netip.MustParsePrefix("::/0"))
	for _, c := range []struct {
		s     TrafficSelector
		addr  string
		proto uint8
		port  uint16
		want  bool
	}{
		{s, "10.0.0.5", 6, 80, true}, {s, "10.0.0.9", 6, 90, true}, {s, "10.0.0.7", 6, 85, true},
		{s, "10.0.0.4", 6, 85, false}, {s, "10.0.0.10", 6, 85, false},
		{s, "10.0.0.7", 17, 85, false}, {s, "10.0.0.7", 6, 79, false}, {s, "10.0.0.7", 6, 91, false},
		{s, "::ffff:10.0.0.7", 6, 85, false}, {six, "10.0.0.7", 6, 85, false}, {six, "fd00::1", 6, 85, true},
		{opaque, "10.0.0.7", 6, 0, false}, {opaque, "10.0.0.7", 6, 65535, false},
		{TrafficSelector{}, "10.0.0.7", 6, 0, false},
	} {
		if got := c.s.Contains(netip.MustParseAddr(c.addr), c.proto, c.port); got != c.want {
			t.Errorf("%v contains %s, protocol %d, port %d: %t", c.s, c.addr, c.proto, c.port, got)
		}
	}
	if (TrafficSelector{}).Contains(netip.Addr{}, 0, 0) {
		t.Error("nothing contains nothing")
	}
}

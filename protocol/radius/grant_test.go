package radius

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
)

func (p *Packet) mustAppend(t testing.TB) []byte {
	t.Helper()
	b, err := p.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyed is an Access-Accept with the keys 1 and 2, for a request whose
// authenticator is zeros.
func keyed(t testing.TB) *Packet {
	t.Helper()
	p := &Packet{Code: AccessAccept}
	for i, k := range []VendorType{MSMPPERecvKey, MSMPPESendKey} {
		a, err := HideKey(k, bytes.Repeat([]byte{byte(i + 1)}, 32), [2]byte{0x80, byte(i)}, Authenticator{}, rfcSecret)
		if err != nil {
			t.Fatal(err)
		}
		p.Add(a)
	}
	p.Add(SplitEAP([]byte{eapSuccess, 1, 0, 4})...)
	return p
}

func TestGrantHoldsWhatTheServerAllows(t *testing.T) {
	p := keyed(t)
	p.Add(
		TextAttr(UserName, "alice@example.org"),
		AddrAttr(FramedIPAddress, netip.MustParseAddr("10.1.2.3")), AddrAttr(FramedIPNetmask, netip.MustParseAddr("255.255.255.0")),
		TextAttr(FramedPool, "staff"),
		AddrAttr(FramedIPv6Address, netip.MustParseAddr("2001:db8::7")),
		PrefixAttr(FramedIPv6Prefix, netip.MustParsePrefix("2001:db8:1::/64")),
		PrefixAttr(DelegatedIPv6Prefix, netip.MustParsePrefix("2001:db8:2::/56")),
		TextAttr(FramedIPv6Pool, "staff6"), OctetsAttr(FramedInterfaceID, []byte{1, 2, 3, 4, 5, 6, 7, 8}),
		TextAttr(FramedRoute, "10.9.0.0/16 10.1.2.3 1"), TextAttr(FramedIPv6Route, "2001:db8:9::/48 :: 1"),
		TextAttr(FilterID, "staff"), TextAttr(FilterID, "print"),
		OctetsAttr(Class, []byte{0, 1}), OctetsAttr(Class, []byte("second")), OctetsAttr(ChargeableUser, []byte("acct 7")),
		Uint32Attr(SessionTimeout, 3600), Uint32Attr(IdleTimeout, 600), Uint32Attr(AcctInterimInterval, 10), Uint32Attr(TerminationAction, 1),
		VendorAttribute{Microsoft, MSPrimaryDNSServer, []byte{10, 0, 0, 1}}.Attribute(),
		VendorAttribute{Microsoft, MSSecondaryDNSServer, []byte{10, 0, 0, 2}}.Attribute(),
		AddrAttr(DNSServerIPv6Address, netip.MustParseAddr("2001:db8::53")),
		TextAttr(ReplyMessage, "welcome"), OctetsAttr(Type(200), []byte("unknown to us")),
	)
	g, err := Reply{Packet: p, Secret: rfcSecret}.Grant()
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Concat(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)); !bytes.Equal(g.MSK, want) {
		t.Errorf("the MSK is %x", []byte(g.MSK))
	}
	if g.UserName != "alice@example.org" || g.Addressing != AddressFixed || g.IPv4.String() != "10.1.2.3" || g.IPv4Mask.String() != "255.255.255.0" || g.IPv4Pool != "staff" {
		t.Errorf("name and address: %+v", g)
	}
	if len(g.IPv6) != 1 || g.IPv6[0].String() != "2001:db8::7" || len(g.IPv6Prefix) != 1 || g.IPv6Prefix[0].String() != "2001:db8:1::/64" ||
		len(g.Delegated) != 1 || g.Delegated[0].Bits() != 56 || g.IPv6Pool != "staff6" || len(g.InterfaceID) != 8 {
		t.Errorf("IPv6: %+v", g)
	}
	if len(g.Routes) != 2 || !slices.Equal(g.FilterIDs, []string{"staff", "print"}) || len(g.Class) != 2 || string(g.Class[1]) != "second" || string(g.CUI) != "acct 7" {
		t.Errorf("routes, filters, class: %+v", g)
	}
	if g.SessionTimeout != time.Hour || g.IdleTimeout != 10*time.Minute || g.Interim != time.Minute || !g.Reauthenticate {
		t.Errorf("times: %+v", g)
	}
	if len(g.DNS) != 3 || !slices.Contains(g.DNS, netip.MustParseAddr("10.0.0.2")) || !slices.Equal(g.Messages, []string{"welcome"}) {
		t.Errorf("name servers: %v, messages: %q", g.DNS, g.Messages)
	}
}

func TestSpecialAddresses(t *testing.T) {
	for text, want := range map[string]Addressing{"255.255.255.254": AddressOfPool, "255.255.255.255": AddressOfTheirs, "10.0.0.1": AddressFixed} {
		p := &Packet{Code: AccessAccept, Attributes: []Attribute{AddrAttr(FramedIPAddress, netip.MustParseAddr(text))}}
		if g, err := (Reply{Packet: p}).Grant(); err != nil || g.Addressing != want || g.IPv4.IsValid() != (want == AddressFixed) {
			t.Errorf("%s: %+v, %v", text, g, err)
		}
	}
}

func TestShortKeysLeaveZerosBehind(t *testing.T) {
	var g Grant
	if err := g.setMSK(bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16), make([]byte, 32))
	if !bytes.Equal(g.MSK, want) {
		t.Errorf("the MSK is %x", []byte(g.MSK))
	}
}

func TestDamagedGrantsAreRefused(t *testing.T) {
	key := func(t VendorType, n int) Attribute {
		a, _ := HideKey(t, make(secret.Bytes, n), [2]byte{0x80, 1}, Authenticator{}, rfcSecret)
		return a
	}
	for name, attributes := range map[string][]Attribute{
		"short address":       {{FramedIPAddress, []byte{1, 2, 3}}},
		"long timeout":        {{SessionTimeout, make([]byte, 5)}},
		"nobody's address":    {AddrAttr(FramedIPAddress, netip.MustParseAddr("0.0.0.0"))},
		"multicast":           {AddrAttr(FramedIPAddress, netip.MustParseAddr("224.0.0.1"))},
		"IPv4 for IPv6":       {{FramedIPv6Address, []byte{1, 2, 3, 4}}},
		"prefix of 129":       {{FramedIPv6Prefix, []byte{0, 129}}},
		"half a key":          {key(MSMPPERecvKey, 32)},
		"key twice":           {key(MSMPPERecvKey, 32), key(MSMPPERecvKey, 32), key(MSMPPESendKey, 32)},
		"empty key":           {key(MSMPPERecvKey, 0), key(MSMPPESendKey, 32)},
		"key of 33":           {key(MSMPPERecvKey, 33), key(MSMPPESendKey, 32)},
		"Microsoft DNS of 5":  {VendorAttribute{Microsoft, MSPrimaryDNSServer, make([]byte, 5)}.Attribute()},
		"too many classes":    slices.Repeat([]Attribute{{Class, []byte("x")}}, maxListed+1),
		"too many routes":     slices.Repeat([]Attribute{{FramedRoute, []byte("x")}}, maxListed+1),
		"vendor of 3 octets":  {{VendorSpecific, []byte{1, 2, 3}}},
		"interface ID of 7":   {{FramedInterfaceID, make([]byte, 7)}},
		"short vendor length": {{VendorSpecific, []byte{0, 0, 1, 0x37, 16, 1}}},
	} {
		p := &Packet{Code: AccessAccept, Attributes: attributes}
		if g, err := (Reply{Packet: p, Secret: rfcSecret}).Grant(); err == nil {
			t.Errorf("%s: granted %+v", name, g)
		} else if !strings.HasPrefix(err.Error(), "radius: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Reply{Packet: &Packet{Code: AccessReject}}).Grant(); err == nil {
		t.Error("an Access-Reject grants")
	}
}

func identityResponse(name string) []byte {
	return append([]byte{eapResponse, 1, 0, byte(5 + len(name)), eapIdentity}, name...)
}

func TestLoginCarriesTheState(t *testing.T) {
	l := NewLogin(LoginConfig{Attributes: []Attribute{TextAttr(CallingStationID, "192.0.2.1")}})
	first, err := l.Request(identityResponse("alice"))
	if err != nil || l.User() != "alice" || first.Pin != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	has := func(r Request, want Attribute) bool {
		return slices.ContainsFunc(r.Attributes, func(a Attribute) bool { return a.Type == want.Type && bytes.Equal(a.Value, want.Value) })
	}
	if !has(first, TextAttr(UserName, "alice")) || !has(first, TextAttr(CallingStationID, "192.0.2.1")) || !has(first, OctetsAttr(EAPMessage, identityResponse("alice"))) {
		t.Errorf("the first request has %v", first.Attributes)
	}
	challenge := []byte{eapRequest, 2, 0, 6, 13, 0x20}
	s, err := l.Reply(Reply{Server: 2, Packet: &Packet{Code: AccessChallenge, Attributes: append(SplitEAP(challenge), OctetsAttr(State, []byte("state")), Uint32Attr(SessionTimeout, 30))}})
	if err != nil || s.Outcome != Continue || !bytes.Equal(s.EAP, challenge) || s.Timeout != 30*time.Second {
		t.Fatalf("%+v, %v", s, err)
	}
	second, err := l.Request([]byte{eapResponse, 2, 0, 6, 13, 0})
	if err != nil || second.Pin != 3 || !has(second, OctetsAttr(State, []byte("state"))) || !has(second, TextAttr(UserName, "alice")) {
		t.Fatalf("%+v, %v", second, err)
	}
	s, err = l.Reply(Reply{Server: 2, Packet: keyed(t), Secret: rfcSecret})
	if err != nil || s.Outcome != Accepted || len(s.Grant.MSK) != 64 || s.EAP[0] != eapSuccess {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := l.Request([]byte{eapResponse, 3, 0, 5, 13}); err == nil {
		t.Error("the conversation goes on after its end")
	}
}

func TestLoginFailsClosed(t *testing.T) {
	eap := func(code byte) []Attribute { return SplitEAP([]byte{code, 1, 0, 4}) }
	for name, p := range map[string]*Packet{
		"accept without keys":             {Code: AccessAccept, Attributes: eap(eapSuccess)},
		"accept without EAP":              {Code: AccessAccept},
		"accept with EAP-Failure":         {Code: AccessAccept, Attributes: eap(eapFailure)},
		"challenge with EAP-Success":      {Code: AccessChallenge, Attributes: eap(eapSuccess)},
		"challenge without EAP":           {Code: AccessChallenge},
		"accept with a damaged attribute": {Code: AccessAccept, Attributes: append(keyed(t).Attributes, Attribute{SessionTimeout, nil})},
		"an answer to something else":     {Code: AccountingResponse, Attributes: eap(eapSuccess)},
	} {
		l := NewLogin(LoginConfig{})
		if _, err := l.Request(identityResponse("alice")); err != nil {
			t.Fatal(err)
		}
		if s, err := l.Reply(Reply{Packet: p, Secret: rfcSecret}); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := l.Request([]byte{eapResponse, 2, 0, 5, 13}); err == nil {
			t.Errorf("%s: the conversation goes on", name)
		}
	}
	// A rejection with EAP-Success in it is a rejection, and the peer is not told
	// the lie.
	l := NewLogin(LoginConfig{})
	if _, err := l.Request(identityResponse("alice")); err != nil {
		t.Fatal(err)
	}
	if s, err := l.Reply(Reply{Packet: &Packet{Code: AccessReject, Attributes: eap(eapSuccess)}}); err != nil || s.Outcome != Rejected || s.EAP != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestLoginRefusesWhatNoPeerMaySay(t *testing.T) {
	for name, packet := range map[string][]byte{
		"nothing":           nil,
		"EAP-Success":       {eapSuccess, 1, 0, 4},
		"a request":         {eapRequest, 1, 0, 5, eapIdentity},
		"no identity":       {eapResponse, 1, 0, 5, 13},
		"empty identity":    {eapResponse, 1, 0, 5, eapIdentity},
		"wrong length":      {eapResponse, 1, 0, 9, eapIdentity, 'x'},
		"too long identity": append([]byte{eapResponse, 1, 1, 3, eapIdentity}, bytes.Repeat([]byte{'x'}, 254)...),
		"a huge packet":     append([]byte{eapResponse, 1, 0x0b, 0xb9, eapIdentity}, make([]byte, 2996)...),
	} {
		if r, err := NewLogin(LoginConfig{}).Request(packet); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestLoginEnds(t *testing.T) {
	l := NewLogin(LoginConfig{})
	packet := identityResponse("alice")
	for n := range maxRounds + 1 {
		_, err := l.Request(packet)
		if (err != nil) != (n == maxRounds) {
			t.Fatalf("round %d: %v", n, err)
		}
		if err == nil {
			if _, err := l.Reply(Reply{Packet: &Packet{Code: AccessChallenge, Attributes: SplitEAP([]byte{eapRequest, 1, 0, 5, 13})}}); err != nil {
				t.Fatal(err)
			}
		}
		packet = []byte{eapResponse, 1, 0, 5, 13}
	}
}

func TestAccountingCountsIn64Bits(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	r := Record{Status: AcctStop, Time: at, SessionID: "s1", UserName: "alice", Class: [][]byte{[]byte("c1"), []byte("c2")},
		IPv4: netip.MustParseAddr("10.0.0.1"), Duration: 90 * time.Second, Cause: CauseAdminReset,
		Usage: Usage{InOctets: 5<<32 + 7, OutOctets: 6<<32 + 8, InPackets: 9, OutPackets: 1<<32 + 10}}
	q := Packet{Attributes: r.Request(at.Add(12 * time.Second)).Attributes}
	for want, v := range map[Type]uint32{
		AcctStatusType: 2, AcctDelayTime: 12, AcctInputOctets: 7, AcctInputGigawords: 5, AcctOutputOctets: 8, AcctOutputGigawords: 6,
		AcctInputPackets: 9, AcctOutputPackets: 10, AcctSessionTime: 90, AcctTerminateCause: 6, EventTimestamp: 1_700_000_000,
	} {
		a, _ := q.Find(want)
		if got, ok := a.Uint(); !ok || got != v {
			t.Errorf("%s is %d, want %d", want, got, v)
		}
	}
	if got := slices.Collect(q.All(Class)); len(got) != 2 || string(got[0]) != "c1" {
		t.Errorf("Class is %q", got)
	}
	start := Record{Status: AcctStart, Time: at, SessionID: "s1"}
	if q := (&Packet{Attributes: start.Request(at).Attributes}); q.Has(AcctInputOctets) || q.Has(AcctDelayTime) || q.Has(AcctTerminateCause) {
		t.Errorf("a Start has %v", q.Attributes)
	}
}

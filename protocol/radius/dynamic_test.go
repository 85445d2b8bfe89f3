package radius

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/secret"
)

var (
	noon      = time.Unix(1_700_000_000, 0)
	theServer = netip.MustParseAddrPort("192.0.2.10:40000")
)

func newDynamic(t testing.TB, cfg DynamicConfig) *Dynamic {
	t.Helper()
	if cfg.Peers == nil {
		cfg.Peers = []DynamicPeer{
			{netip.MustParsePrefix("192.0.2.10/32"), rfcSecret},
			{netip.MustParsePrefix("192.0.2.0/24"), secret.Bytes("of the others")},
		}
	}
	d, err := NewDynamic(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func disconnect(t testing.TB, identifier uint8, at time.Time, attributes ...Attribute) []byte {
	t.Helper()
	p := Packet{Code: DisconnectRequest, Identifier: identifier, Attributes: attributes}
	p.Add(TextAttr(UserName, "alice"))
	if !at.IsZero() {
		p.Add(TimeAttr(EventTimestamp, at))
	}
	b, err := p.AppendRequest(nil, rfcSecret)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDuplicatesGetTheSameAnswerAndAreDoneOnce(t *testing.T) {
	d := newDynamic(t, DynamicConfig{})
	b := disconnect(t, 7, noon, OctetsAttr(ProxyState, []byte("one")), OctetsAttr(ProxyState, []byte("two")))
	c, answer := d.Receive(noon, theServer, b)
	if c == nil || answer != nil || !c.Disconnect || c.Match.UserName != "alice" || c.From != theServer {
		t.Fatalf("%+v, %x, %v", c, answer, d.Drops())
	}
	if c, answer := d.Receive(noon, theServer, b); c != nil || answer != nil || d.Drops()[DropDuplicate] != 1 {
		t.Errorf("while it is worked on: %+v, %x", c, answer)
	}
	first := d.Answer(c, 0)
	if _, drop := checkReply(first, sent{DisconnectRequest, c.packet.Authenticator}, rfcSecret); drop != DropProxyState {
		t.Errorf("the answer: %v", drop) // for a client that sent none; this one has
	}
	p := parsed(t, first)
	if p.Code != DisconnectACK || p.Identifier != 7 || p.Attributes[0].Type != MessageAuthenticator {
		t.Errorf("%+v", p)
	}
	var states []string
	for v := range p.All(ProxyState) {
		states = append(states, string(v))
	}
	if len(states) != 2 || states[0] != "one" || states[1] != "two" {
		t.Errorf("Proxy-State came back as %q", states)
	}
	if c, again := d.Receive(noon.Add(time.Minute), theServer, b); c != nil || !bytes.Equal(again, first) {
		t.Errorf("the duplicate: %+v, %x", c, again)
	}
}

func TestReplaysAreDropped(t *testing.T) {
	d := newDynamic(t, DynamicConfig{})
	b := disconnect(t, 1, noon)
	c, _ := d.Receive(noon, theServer, b)
	d.Answer(c, 0)
	elsewhere := netip.AddrPortFrom(theServer.Addr(), 40001)
	if c, answer := d.Receive(noon, elsewhere, b); c != nil || answer != nil || d.Drops()[DropReplay] != 1 {
		t.Errorf("from another port: %+v, %x", c, answer)
	}
	// As long as its timestamp is good it is remembered, and after that it is
	// stale.
	for _, after := range []time.Duration{299 * time.Second, 300 * time.Second, 301 * time.Second, 601 * time.Second, time.Hour} {
		if c, _ := d.Receive(noon.Add(after), theServer, b); c != nil {
			t.Errorf("after %s it is done again", after)
		}
	}
	ahead := disconnect(t, 2, noon.Add(300*time.Second))
	if c, _ = d.Receive(noon, theServer, ahead); c == nil {
		t.Fatal("a clock five minutes ahead is not taken")
	}
	d.Answer(c, 0)
	if c, _ := d.Receive(noon.Add(599*time.Second), theServer, ahead); c != nil {
		t.Error("it is done again within its window")
	}
}

func TestForgottenRequestsLeaveNothing(t *testing.T) {
	d := newDynamic(t, DynamicConfig{})
	for n := range 1000 {
		now := noon.Add(time.Duration(n) * time.Second)
		c, _ := d.Receive(now, theServer, disconnect(t, uint8(n), now))
		if c == nil {
			t.Fatalf("request %d: %v", n, d.Drops())
		}
		d.Answer(c, CauseSessionNotFound)
	}
	if n := len(d.byAuth); n > 602 || n != len(d.order) {
		t.Errorf("%d requests are remembered, %d in order", n, len(d.order))
	}
}

func TestRememberingIsBounded(t *testing.T) {
	d := newDynamic(t, DynamicConfig{})
	for n := range maxRemembered {
		d.byAuth[dynamicKey{auth: Authenticator{byte(n), byte(n >> 8), byte(n >> 16)}}] = nil
	}
	if c, answer := d.Receive(noon, theServer, disconnect(t, 1, noon)); c != nil || answer != nil || d.Drops()[DropBusy] != 1 {
		t.Errorf("%+v, %x, %v", c, answer, d.Drops())
	}
}

func TestTheSecretGoesByTheSource(t *testing.T) {
	d := newDynamic(t, DynamicConfig{})
	b := disconnect(t, 1, noon)
	for from, want := range map[string]Drop{"192.0.2.11:1": DropAuthenticator, "198.51.100.1:1": DropSource, "[2001:db8::1]:1": DropSource} {
		before := d.Drops()[want]
		if c, answer := d.Receive(noon, netip.MustParseAddrPort(from), b); c != nil || answer != nil || d.Drops()[want] != before+1 {
			t.Errorf("from %s: %+v, %x, %v", from, c, answer, d.Drops())
		}
	}
	if c, _ := d.Receive(noon, netip.MustParseAddrPort("[::ffff:192.0.2.10]:9"), b); c == nil {
		t.Error("the address is not known in IPv6 clothes")
	}
}

func TestEveryBitOfARequestCounts(t *testing.T) {
	d := newDynamic(t, DynamicConfig{WithoutTimestamp: true})
	good := disconnect(t, 1, noon)
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if c, answer := d.Receive(noon, theServer, bad); c != nil || answer != nil {
			t.Fatalf("with bit %d of octet %d turned it is taken", bit%8, bit/8)
		}
	}
	for n := range good {
		if c, answer := d.Receive(noon, theServer, good[:n]); c != nil || answer != nil {
			t.Fatalf("%d of %d octets are taken", n, len(good))
		}
	}
}

func TestOtherCodesAreNotForUs(t *testing.T) {
	d := newDynamic(t, DynamicConfig{})
	for _, code := range []Code{AccessRequest, AccessAccept, AccountingRequest, StatusServer, DisconnectACK, CoANAK, 0, 255} {
		p := Packet{Code: code, Attributes: []Attribute{TextAttr(UserName, "alice"), TimeAttr(EventTimestamp, noon)}}
		b, _ := p.Append(nil)
		sum := hash(b, Authenticator{}, rfcSecret)
		copy(b[4:], sum[:])
		if c, answer := d.Receive(noon, theServer, b); c != nil || answer != nil {
			t.Errorf("%s is taken", code)
		}
	}
	if d.Drops()[DropCode] != 8 {
		t.Errorf("%v", d.Drops())
	}
}

func TestMatchFitsWhatItNames(t *testing.T) {
	p := netip.MustParsePrefix
	s := &SessionIdentity{UserName: "alice", SessionID: "s1", CallingStationID: "198.51.100.1", NASPort: 7, IPv4: netip.MustParseAddr("10.0.0.1"),
		IPv6: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, IPv6Prefix: []netip.Prefix{p("2001:db8:1::/64")}, CUI: []byte("c")}
	port, other := uint32(7), uint32(8)
	for _, m := range []Match{
		{UserName: "alice"}, {SessionID: "s1", UserName: "alice"}, {CallingStationID: "198.51.100.1"}, {NASPort: &port}, {CUI: []byte("c")},
		{IPv4: netip.MustParseAddr("10.0.0.1")}, {IPv6: netip.MustParseAddr("2001:db8::1")}, {IPv6Prefix: p("2001:db8:1::/64")},
	} {
		if !m.Fits(s) {
			t.Errorf("%s does not fit", &m)
		}
	}
	for _, m := range []Match{
		{UserName: "Alice"}, {SessionID: "s1", UserName: "bob"}, {CallingStationID: "198.51.100.2"}, {NASPort: &other}, {CUI: []byte("d")},
		{IPv4: netip.MustParseAddr("10.0.0.2")}, {IPv6: netip.MustParseAddr("2001:db8::2")}, {IPv6Prefix: p("2001:db8:1::/63")},
		{MultiSessionID: "m"}, {NASPortID: "p"}, {InterfaceID: []byte{1}}, {CalledStationID: "gw"},
	} {
		if m.Fits(s) {
			t.Errorf("%s fits", &m)
		}
	}
}

func TestRequestsOverOurOwnConnectionAreRefused(t *testing.T) {
	b := disconnect(t, 3, time.Time{})
	p := parsed(t, Unsupported(b, rfcSecret))
	a, _ := p.Find(ErrorCauseAttr)
	if v, _ := a.Uint(); p.Code != DisconnectNAK || ErrorCause(v) != CauseUnsupportedExtension {
		t.Errorf("%+v", p)
	}
	if Unsupported(unhex(t, statusAccept), rfcSecret) != nil || Unsupported(b, secret.Bytes("x")) != nil {
		t.Error("something else is answered")
	}
}

// bare is a request without a Message-Authenticator, so that a fuzzer gets
// behind it.
func bare(t testing.TB, code Code, attributes ...Attribute) []byte {
	t.Helper()
	b := (&Packet{Code: code, Attributes: attributes}).mustAppend(t)
	sum := hash(b, Authenticator{}, rfcSecret)
	copy(b[4:], sum[:])
	return b
}

func FuzzDynamic(f *testing.F) {
	f.Add(disconnect(f, 1, noon))
	f.Add(bare(f, DisconnectRequest, TextAttr(UserName, "alice"), AddrAttr(FramedIPAddress, netip.MustParseAddr("10.0.0.1"))))
	f.Add(bare(f, CoARequest, TextAttr(AcctSessionID, "s"), Uint32Attr(SessionTimeout, 5), TextAttr(FilterID, "x"), PrefixAttr(FramedIPv6Prefix, netip.MustParsePrefix("2001:db8::/32"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newDynamic(t, DynamicConfig{WithoutTimestamp: true})
		b := bytes.Clone(data)
		if whole, err := cut(b); err == nil {
			// With a good authenticator, so that what is behind it is tried too.
			sum := hash(whole, Authenticator{}, rfcSecret)
			copy(b[4:], sum[:])
		}
		c, _ := d.Receive(noon, theServer, b)
		if c == nil {
			return
		}
		if c.Match.empty() {
			t.Fatalf("%x fits every session", b)
		}
		_ = c.Match.String()
		d.Answer(c, 0)
	})
}

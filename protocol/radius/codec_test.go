package radius

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/secret"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed(t testing.TB, b []byte) *Packet {
	t.Helper()
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rfcSecret is the secret of RFC 2865, Section 7 and RFC 5997, Section 6.
var rfcSecret = secret.Bytes("xyzzy5461")

// The packets of RFC 2865, Section 7, and of RFC 5997, Section 6. In
// cardResponse the RFC prints hexadecimal 10 for the length
// of State, which is ten, and in statusAcctReply the code of an Access-Accept,
// for which the printed authenticator is not made.
var (
	telnetRequest = `01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb
		98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be 70 8d
		93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8
		01 10 05 06 00 00 00 03`
	telnetAccept = `02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf
		9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00
		0e 06 c0 a8 01 03`
	chapRequest = `01 01 00 47 2a ee 86 f0 8d 0d 55 96 9c a5 97 8e
		0d 33 67 a2 01 08 66 6c 6f 70 73 79 03 13 16 e9
		75 57 c3 16 18 58 95 f2 93 ff 63 44 07 72 75 04
		06 c0 a8 01 10 05 06 00 00 00 14 06 06 00 00 00
		02 07 06 00 00 00 01`
	chapAccept = `02 01 00 38 15 ef bc 7d ab 26 cf a3 dc 34 d9 c0
		3c 86 01 a4 06 06 00 00 00 02 07 06 00 00 00 01
		08 06 ff ff ff fe 0a 06 00 00 00 02 0d 06 00 00
		00 01 0c 06 00 00 05 dc`
	cardRequest = `01 02 00 39 f3 a4 7a 1f 6a 6d 76 71 0b 94 7a b9
		30 41 a0 39 01 07 6d 6f 70 73 79 02 12 33 65 75
		73 77 82 89 b5 70 88 5e 15 08 48 25 c5 04 06 c0
		a8 01 10 05 06 00 00 00 07`
	cardChallenge = `0b 02 00 4e 36 f3 c8 76 4a e8 c7 11 57 40 3c 0c
		71 ff 9c 45 12 30 43 68 61 6c 6c 65 6e 67 65 20
		33 32 37 36 39 34 33 30 2e 20 20 45 6e 74 65 72
		20 72 65 73 70 6f 6e 73 65 20 61 74 20 70 72 6f
		6d 70 74 2e 18 0a 33 32 37 36 39 34 33 30`
	cardResponse = `01 03 00 43 b1 22 55 6d 42 8a 13 d0 d6 25 38 07
		c4 57 ec f0 01 07 6d 6f 70 73 79 02 12 69 2c 1f
		20 5f c0 81 b9 19 b9 51 95 f5 61 a5 81 04 06 c0
		a8 01 10 05 06 00 00 00 07 18 0a 33 32 37 36 39
		34 33 30`
	cardReject = `03 03 00 14 a4 2f 4f ca 45 91 6c 4e 09 c8 34 0f
		9e 74 6a a0`
	statusRequest = `0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02
		18 5d 06 23 50 12 5a 66 5e 2e 1e 84 11 f3 e2 43
		82 20 97 c8 4f a3`
	statusAccept = `02 da 00 14 ef 0d 55 2a 4b f2 d6 93 ec 2b 6f e8
		b5 41 1d 66`
	statusAcctRequest = `0c b3 00 26 92 5f 6b 66 dd 5f ed 57 1f cb 1d b7
		ad 38 82 60 50 12 e8 d6 ea bd a9 10 87 5c d9 1f
		da de 26 36 78 58`
	statusAcctReply = `05 b3 00 14 0f 6f 92 14 5f 10 7e 2f 50 4e 86 0a
		48 60 66 9c`
	statusVerboseRequest = `0c 47 00 2c bf 58 de 56 ae 40 8a d3 b7 0c 85 13
		f9 b0 3f be 04 06 c0 00 02 10 50 12 85 2d 6f ec
		61 e7 ed 74 b8 e3 2d ac 2f 2a 5f b2`
	statusVerboseAccept = `02 47 00 34 46 f4 3e 62 fd 03 54 42 4c bb eb fd
		6d 21 4e 06 12 20 52 41 44 49 55 53 20 53 65 72
		76 65 72 20 75 70 20 32 20 64 61 79 73 2c 20 31
		38 3a 34 30`
)

var vectors = []string{telnetRequest, telnetAccept, chapRequest, chapAccept, cardRequest, cardChallenge, cardResponse,
	cardReject, statusRequest, statusAccept, statusAcctRequest, statusAcctReply, statusVerboseRequest, statusVerboseAccept}

func TestPacketsOfTheRFCsAreEncodedAsTheyCame(t *testing.T) {
	for _, v := range vectors {
		want := unhex(t, v)
		p := parsed(t, want)
		if got, err := p.Append(nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v; want %x", p.Code, got, err, want)
		}
		if got, err := parsed(t, append(want, 0, 1, 2)).Append(nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s with padding: %x, %v", p.Code, got, err)
		}
	}
}

func TestEveryPrefixIsRefused(t *testing.T) {
	for _, v := range vectors {
		b := unhex(t, v)
		for n := range b {
			if p, err := Parse(b[:n]); err == nil {
				t.Fatalf("the first %d of %d octets are taken for %+v", n, len(b), p)
			}
		}
		// The same with a length that fits what is there: the attribute at the end is
		// cut, unless the cut is between two.
		for n := HeaderSize; n < len(b); n++ {
			short := bytes.Clone(b[:n])
			short[2], short[3] = byte(n>>8), byte(n)
			p, err := Parse(short)
			if err != nil {
				continue
			}
			if again, err := p.Append(nil); err != nil || !bytes.Equal(again, short) {
				t.Fatalf("%x is read as %+v", short, p)
			}
		}
	}
}

func TestAnswersOfTheRFCsAnswerTheirRequests(t *testing.T) {
	for _, c := range []struct {
		request, reply string
		want           Drop
	}{
		// RFC 2865 is older than the Message-Authenticator, so its answers prove
		// their Response Authenticator and are refused for want of the other.
		{telnetRequest, telnetAccept, DropNoMessageAuthenticator},
		{chapRequest, chapAccept, DropNoMessageAuthenticator},
		{cardRequest, cardChallenge, DropNoMessageAuthenticator},
		{cardResponse, cardReject, DropNoMessageAuthenticator},
		{telnetRequest, chapAccept, DropAuthenticator},
		{statusRequest, statusAccept, 0},
		{statusAcctRequest, statusAcctReply, 0},
		{statusVerboseRequest, statusVerboseAccept, 0},
		{statusRequest, statusVerboseAccept, DropAuthenticator},
		{statusRequest, cardReject, DropCode},
	} {
		q := parsed(t, unhex(t, c.request))
		if _, got := checkReply(unhex(t, c.reply), sent{q.Code, q.Authenticator}, rfcSecret); got != c.want {
			t.Errorf("answer %s to %s: %v, want %v", c.reply, q.Code, got, c.want)
		}
	}
}

func TestMessageAuthenticatorOfRFC5997(t *testing.T) {
	for _, v := range []string{statusRequest, statusAcctRequest, statusVerboseRequest} {
		b := unhex(t, v)
		p := parsed(t, b)
		if d := checkSignature(b, p.Authenticator, rfcSecret, true); d != 0 {
			t.Errorf("%x: %v", b, d)
		}
		for _, other := range []secret.Bytes{nil, secret.Bytes("xyzzy5462")} {
			if d := checkSignature(b, p.Authenticator, other, true); d != DropMessageAuthenticator {
				t.Errorf("%x with another secret: %v", b, d)
			}
		}
	}
	// The first two have nothing but it, so that we make the same octets.
	for _, v := range []string{statusRequest, statusAcctRequest} {
		b := unhex(t, v)
		p := parsed(t, b)
		p.Attributes = nil
		if got, err := p.AppendRequest(nil, rfcSecret); err != nil || !bytes.Equal(got, b) {
			t.Errorf("we make %x, %v; want %x", got, err, b)
		}
	}
}

func TestPasswordsOfRFC2865(t *testing.T) {
	for _, c := range []struct{ packet, password string }{
		{telnetRequest, "arctangent"}, {cardRequest, "challenge"}, {cardResponse, "99101462"},
	} {
		p := parsed(t, unhex(t, c.packet))
		a, ok := p.Find(UserPassword)
		if !ok {
			t.Fatal("no password")
		}
		hidden, err := HidePassword(secret.Bytes(c.password), p.Authenticator, rfcSecret)
		if err != nil || !bytes.Equal(hidden, a.Value) {
			t.Errorf("%q is hidden as %x, %v; want %x", c.password, hidden, err, a.Value)
		}
		plain, err := RevealPassword(a.Value, p.Authenticator, rfcSecret)
		if err != nil || string(plain) != c.password {
			t.Errorf("revealed: %q, %v; want %q", []byte(plain), err, c.password)
		}
	}
}

func TestHiddenValuesComeBack(t *testing.T) {
	request, key, salt := Authenticator{1, 2, 3}, secret.Bytes("a secret"), [2]byte{0x80, 7}
	for n := range 240 {
		plain := secret.Bytes(bytes.Repeat([]byte{byte(n)}, n))
		hidden, err := hideSalted(plain, salt, request, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := revealSalted(hidden, request, key)
		if err != nil || !got.Equal(plain) {
			t.Fatalf("%d octets come back as %d, %v", n, len(got), err)
		}
		if got, err := revealSalted(hidden, request, secret.Bytes("another")); err == nil && got.Equal(plain) && n > 0 {
			t.Fatal("the secret makes no difference")
		}
		for cut := range hidden {
			if got, err := revealSalted(hidden[:cut], request, key); err == nil && got.Equal(plain) && n > 0 && cut < len(hidden)-16 {
				t.Fatalf("%d of %d octets are enough", cut, len(hidden))
			}
		}
		tagged, err := HideTunnelPassword(3, plain, salt, request, key)
		if err != nil {
			t.Fatal(err)
		}
		if tag, got, err := RevealTunnelPassword(tagged, request, key); err != nil || tag != 3 || !got.Equal(plain) {
			t.Fatalf("Tunnel-Password of %d octets comes back as %d with tag %d, %v", n, len(got), tag, err)
		}
	}
	if _, err := hideSalted(make(secret.Bytes, 240), salt, request, key); err == nil {
		t.Error("240 octets do not fit an attribute and are hidden")
	}
	for _, b := range [][]byte{nil, {1}, make([]byte, 17), make([]byte, 19)} {
		if _, err := revealSalted(b, request, key); err == nil {
			t.Errorf("%d octets are revealed", len(b))
		}
		if _, _, err := RevealTunnelPassword(b, request, key); err == nil && len(b) != 19 {
			t.Errorf("Tunnel-Password of %d octets is revealed", len(b))
		}
	}
}

func TestRequestsBeginWithTheMessageAuthenticator(t *testing.T) {
	for _, code := range []Code{AccessRequest, StatusServer, DisconnectRequest, CoARequest} {
		p := Packet{Code: code, Attributes: []Attribute{
			TextAttr(UserName, "alice"), {MessageAuthenticator, make([]byte, 16)}, TextAttr(NASIdentifier, "gw"),
		}}
		b, err := p.AppendRequest([]byte("before"), rfcSecret)
		if err != nil {
			t.Fatal(err)
		}
		q := parsed(t, b[len("before"):])
		if q.Attributes[0].Type != MessageAuthenticator || len(slices.Collect(q.All(MessageAuthenticator))) != 1 {
			t.Errorf("%s: attributes are %v", code, q.Attributes)
		}
		if len(q.Attributes) != 3 {
			t.Errorf("%s: %d attributes", code, len(q.Attributes))
		}
	}
}

func TestAccountingRequestsProveTheSecret(t *testing.T) {
	p := Packet{Code: AccountingRequest, Identifier: 9, Attributes: []Attribute{TextAttr(AcctSessionID, "x")}}
	b, err := p.AppendRequest(nil, rfcSecret)
	if err != nil {
		t.Fatal(err)
	}
	if want := hash(b, Authenticator{}, rfcSecret); want != p.Authenticator || want != parsed(t, b).Authenticator {
		t.Errorf("the authenticator is %x, want %x", p.Authenticator, want)
	}
}

func TestAttributeLengths(t *testing.T) {
	// Every fixed-size attribute of the dictionary with every wrong length, as in
	// CVE-2022-24704 and CVE-2022-24705.
	for _, d := range definitions {
		s := sizes[d.Kind]
		for n := range MaxValue + 1 {
			err := Attribute{d.Type, make([]byte, n)}.check()
			if good := n >= s.min && n <= s.max; good != (err == nil) {
				t.Errorf("%s with %d octets: %v", d.Name, n, err)
			}
		}
	}
}

func TestDictionaryHasEachTypeOnce(t *testing.T) {
	seen := map[Type]string{}
	for _, d := range definitions {
		if seen[d.Type] != "" || d.Kind == 0 || d.RFC == "" || d.Type.String() != d.Name {
			t.Errorf("%d: %q and %q", d.Type, seen[d.Type], d.Name)
		}
		seen[d.Type] = d.Name
	}
}

func TestEAPIsSplitAndJoined(t *testing.T) {
	for _, n := range []int{4, 5, 252, 253, 254, 506, 507, 3000} {
		packet := bytes.Repeat([]byte{7}, n)
		packet[2], packet[3] = byte(n>>8), byte(n)
		p := &Packet{Code: AccessRequest, Attributes: append([]Attribute{TextAttr(UserName, "x")}, SplitEAP(packet)...)}
		got, err := p.JoinEAP()
		if err != nil || !bytes.Equal(got, packet) {
			t.Errorf("%d octets come back as %d, %v", n, len(got), err)
		}
		if want := (n + 252) / 253; len(p.Attributes)-1 != want {
			t.Errorf("%d octets are in %d attributes, want %d", n, len(p.Attributes)-1, want)
		}
	}
}

func TestDamagedEAPIsRefused(t *testing.T) {
	whole := []byte{1, 1, 0, 6, 1, 'x'}
	for name, attributes := range map[string][]Attribute{
		"scattered":  {{EAPMessage, whole[:3]}, TextAttr(UserName, "x"), {EAPMessage, whole[3:]}},
		"short":      {{EAPMessage, whole[:5]}},
		"long":       {{EAPMessage, append(whole, 0)}},
		"an octet":   {{EAPMessage, whole[:1]}},
		"EAP-Start":  {{EAPMessage, nil}},
		"two in one": {{EAPMessage, whole}, {EAPMessage, whole}},
	} {
		if got, err := (&Packet{Attributes: attributes}).JoinEAP(); err == nil {
			t.Errorf("%s: joined to %x", name, got)
		}
	}
	if got, err := (&Packet{}).JoinEAP(); got != nil || err != nil {
		t.Errorf("without EAP: %x, %v", got, err)
	}
}

func TestPrefixes(t *testing.T) {
	for _, text := range []string{"2001:db8::/32", "2001:db8:1:2::/64", "2001:db8::1/128", "::/0", "2001:db8:8000::/33"} {
		want := netip.MustParsePrefix(text)
		if got, ok := PrefixAttr(FramedIPv6Prefix, want).Prefix(); !ok || got != want {
			t.Errorf("%s comes back as %s, %v", want, got, ok)
		}
	}
	for _, b := range [][]byte{{}, {0}, {0, 129}, {0, 64, 1, 2}, {0, 0x80 + 1}, {0, 8, 0x20, 1}, append([]byte{0, 64}, bytes.Repeat([]byte{1}, 16)...), make([]byte, 19)} {
		if got, ok := (Attribute{FramedIPv6Prefix, b}).Prefix(); ok && got.Addr() != netip.MustParseAddr("2000::") {
			t.Errorf("%x is taken for %s", b, got)
		}
	}
}

func TestVendorAttributesAreTakenApart(t *testing.T) {
	p := &Packet{Attributes: []Attribute{
		VendorAttribute{9, 1, []byte("cisco's own form may be anything")}.Attribute(),
		VendorAttribute{Microsoft, 1, []byte("a")}.Attribute(),
		{VendorSpecific, []byte{0, 0, 1, 0x37, 2, 3, 'b', 3, 2}},
		{VendorSpecific, []byte{0, 0, 0, 9, 1}},
	}}
	got, err := p.VendorAttributes(Microsoft)
	if err != nil || len(got) != 3 || got[0].Type != 1 || string(got[1].Value) != "b" || got[2].Type != 3 || len(got[2].Value) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	for _, b := range [][]byte{{}, {0, 0, 1, 0x37}, {0, 0, 1, 0x37, 1}, {0, 0, 1, 0x37, 1, 0}, {0, 0, 1, 0x37, 1, 1}, {0, 0, 1, 0x37, 1, 4, 'a'}, {0, 0, 1, 0x37, 1, 3, 'a', 9}} {
		if got, err := (&Packet{Attributes: []Attribute{{VendorSpecific, b}}}).VendorAttributes(Microsoft); err == nil {
			t.Errorf("%x is taken for %v", b, got)
		}
	}
}

func TestOversizeIsAnError(t *testing.T) {
	p := &Packet{Code: AccessRequest, Attributes: []Attribute{{State, make([]byte, 254)}}}
	if b, err := p.Append(nil); err == nil {
		t.Errorf("an attribute of 254 octets became %d octets", len(b))
	}
	p.Attributes = slices.Repeat([]Attribute{{Class, make([]byte, 253)}}, 16)
	if b, err := p.Append(nil); err == nil {
		t.Errorf("a packet of %d octets was made", len(b))
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v))
	}
	f.Add([]byte{2, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 4, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		again, err := p.Append(nil)
		if err != nil || !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("%x comes back as %x, %v", b, again, err)
		}
		p.JoinEAP()
		p.VendorAttributes(Microsoft)
	})
}

func FuzzGrant(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v))
	}
	f.Add(keyed(f).mustAppend(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		p.Code = AccessAccept
		g, err := Reply{Packet: p, Secret: rfcSecret}.Grant()
		if err == nil && len(g.MSK) != 0 && len(g.MSK) != mskSize {
			t.Fatalf("an MSK of %d octets", len(g.MSK))
		}
		if err == nil && g.Addressing == AddressFixed && !g.IPv4.Is4() {
			t.Fatalf("Framed-IP-Address is %s", g.IPv4)
		}
		l := NewLogin(LoginConfig{})
		l.Reply(Reply{Packet: p, Secret: rfcSecret})
	})
}

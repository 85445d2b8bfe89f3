package isakmp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"sallyport/protocol/wire"
)

// fromHex reads hex with spaces, lines, and comments after "#".
func fromHex(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// message puts a header before one payload's body.
func message(kind PayloadType, body []byte) []byte {
	h := Header{CookieI: 1, CookieR: 2, NextPayload: kind, Exchange: ExchangeMain}
	b := h.Append(nil, genericLen+len(body))
	b = append(b, 0, 0)
	b = wire.AppendU16(b, uint16(genericLen+len(body)))
	return append(b, body...)
}

// windowsSA is the first payload of a Windows L2TP client: five transforms, of
// which two are here.
const windowsSA = `
	00000001 00000001                                          # IPsec DOI, identity only
	00 00 0058 01 01 00 02                                     # proposal 1, ISAKMP, no SPI, two transforms
	03 00 0028 01 01 0000                                      # transform 1, KEY_IKE
	80010007 800e0100 80020002 80040014 80030001 800b0001 000c0004 00007080 # AES-256, SHA, ECP-384, PSK, 28800 s
	00 00 0028 02 01 0000
	80010007 800e0080 80020002 80040013 80030001 800b0001 000c0004 00007080`

var vectors = []struct {
	name string
	kind PayloadType
	hex  string
	want Payload
}{
	{"Windows' SA", PayloadSA, windowsSA, &SA{DOI: 1, Situation: 1, Proposals: []Proposal{{Number: 1, Protocol: ProtoISAKMP, SPI: []byte{}, Transforms: []Transform{
		{1, 1, []Attribute{Short(1, 7), Short(14, 256), Short(2, 2), Short(4, 20), Short(3, 1), Short(11, 1), Long(12, 28800)}},
		{2, 1, []Attribute{Short(1, 7), Short(14, 128), Short(2, 2), Short(4, 19), Short(3, 1), Short(11, 1), Long(12, 28800)}},
	}}}}},
	{"two ESP proposals", PayloadSA, `00000001 00000001
		02 00 001c 01 03 04 01 c0ffee01  00 00 0010 01 0c 0000 80060100 80050002
		00 00 0018 02 03 04 01 c0ffee01  00 00 000c 01 03 0000 80050002`,
		&SA{DOI: 1, Situation: 1, Proposals: []Proposal{
			{1, ProtoESP, []byte{0xc0, 0xff, 0xee, 1}, []Transform{{1, 12, []Attribute{Short(6, 256), Short(5, 2)}}}},
			{2, ProtoESP, []byte{0xc0, 0xff, 0xee, 1}, []Transform{{1, 3, []Attribute{Short(5, 2)}}}},
		}}},
	{"a key", PayloadKE, "00010203", &KE{[]byte{0, 1, 2, 3}}},
	{"IDci of a client on port 1701", PayloadID, "01 11 06a5 c0a8010a", &ID{Type: IDIPv4Addr, Protocol: 17, Port: 1701, Data: []byte{192, 168, 1, 10}}},
	{"IDci of an old Windows at rekey", PayloadID, "02 11 06a5 70632e6c616e", &ID{Type: IDFQDN, Protocol: 17, Port: 1701, Data: []byte("pc.lan")}},
	{"a certificate", PayloadCert, "04 3003020101", &Cert{CertX509Signature, []byte{0x30, 3, 2, 1, 1}}},
	{"a request for any certificate", PayloadCertReq, "04", &CertReq{CertX509Signature, []byte{}}},
	{"a hash", PayloadHash, "aabb", &Hash{[]byte{0xaa, 0xbb}}},
	{"a signature", PayloadSig, "aabb", &Signature{[]byte{0xaa, 0xbb}}},
	{"a nonce", PayloadNonce, "0102030405060708", &Nonce{[]byte{1, 2, 3, 4, 5, 6, 7, 8}}},
	{"R-U-THERE", PayloadNotify, "00000001 01 10 8d28 0000000000000001 0000000000000002 00000007",
		&Notify{1, ProtoISAKMP, NotifyRUThere, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2}, []byte{0, 0, 0, 7}}},
	{"a notify of phase 1", PayloadNotify, "00000001 01 00 000e", &Notify{1, ProtoISAKMP, NotifyNoProposalChosen, []byte{}, []byte{}}},
	{"two SPIs deleted", PayloadDelete, "00000001 03 04 0002 00000101 00000102", &Delete{1, ProtoESP, [][]byte{{0, 0, 1, 1}, {0, 0, 1, 2}}}},
	{"an ISAKMP SA deleted", PayloadDelete, "00000001 01 10 0001 0000000000000001 0000000000000002",
		&Delete{1, ProtoISAKMP, [][]byte{{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2}}}},
	{"a vendor ID", PayloadVendor, "4a131c81070358455c5728f20e95452f", &VendorID{[]byte("\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f")}},
	{"NAT-D", PayloadNATD, "0102", &NATD{false, []byte{1, 2}}},
	{"NAT-D of the drafts", PayloadNATDDraft, "0102", &NATD{true, []byte{1, 2}}},
	{"NAT-OA", PayloadNATOA, "01000000 c0a8010a", &NATOA{false, netip.MustParseAddr("192.168.1.10")}},
	{"NAT-OA of the drafts, IPv6", PayloadNATOADraft, "05000000 20010db8000000000000000000000001", &NATOA{true, netip.MustParseAddr("2001:db8::1")}},
	{"the last fragment", PayloadFragment, "0007 02 01 aabb", &Fragment{7, 2, true, []byte{0xaa, 0xbb}}},
	{"a payload of IKEv2", 33, "0102", &Unknown{33, []byte{1, 2}}},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		body := fromHex(t, v.hex)
		m, err := Parse(message(v.kind, body))
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		got := m.Payloads[0]
		if again, err := got.appendBody(nil); err != nil || !bytes.Equal(again, body) {
			t.Errorf("%s: again\n%x\nnot\n%x (%v)", v.name, again, body, err)
		}
		switch p := got.(type) {
		case *SA:
			p.Body = nil
		case *ID:
			p.Body = nil
		}
		if !reflect.DeepEqual(got, v.want) {
			t.Errorf("%s: parsed\n%+v\nnot\n%+v", v.name, got, v.want)
		}
		if again, err := v.want.appendBody(nil); err != nil || !bytes.Equal(again, body) {
			t.Errorf("%s: built\n%x\nnot\n%x (%v)", v.name, again, body, err)
		}
	}
}

// everything is a message with every kind of payload.
func everything(t testing.TB) *Message {
	m := &Message{Header: Header{CookieI: 0x0102030405060708, CookieR: 9, Exchange: ExchangeQuick, MessageID: 5, Flags: FlagCommit}}
	for _, v := range vectors {
		m.Payloads = append(m.Payloads, v.want)
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	b, err := everything(t).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Append(nil)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%x\nbecame\n%x (%v)", b, again, err)
	}
	if len(m.Payloads) != len(vectors) || m.Header.MessageID != 5 || m.Header.Length != uint32(len(b)) {
		t.Fatalf("%+v", m.Header)
	}
}

func TestEveryPrefixFails(t *testing.T) {
	b, err := everything(t).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := Parse(b[:n]); err == nil {
			t.Fatalf("the first %d of %d octets parse", n, len(b))
		}
		if n < HeaderLen {
			continue
		}
		short := bytes.Clone(b[:n])
		binary.BigEndian.PutUint32(short[24:], uint32(n))
		if _, err := Parse(short); err == nil {
			t.Fatalf("the first %d of %d octets parse with a length that fits", n, len(b))
		}
	}
}

func TestRejects(t *testing.T) {
	for _, c := range []struct {
		name, hex, why string
		kind           PayloadType
	}{
		{"no proposal", "00000001 00000001", "proposal 1", PayloadSA},
		{"a proposal without transform", "00000001 00000001 00 00 0008 01 01 00 00", "0 are there", PayloadSA},
		{"more transforms announced", "00000001 00000001 00 00 0010 01 01 00 02 00 00 0008 01 01 0000", "2 transforms are announced", PayloadSA},
		{"a transform of length 0", "00000001 00000001 00 00 0010 01 01 00 01 00 00 0000 01 01 0000", "transform 1", PayloadSA},
		{"a proposal of length 0", "00000001 00000001 00 00 0000 01 01 00 01 00 00 0008 01 01 0000", "proposal 1", PayloadSA},
		{"an odd next payload in a proposal", "00000001 00000001 21 00 0010 01 01 00 01 00 00 0008 01 01 0000", "next payload is 33", PayloadSA},
		{"an attribute past the end", "00000001 00000001 00 00 0014 01 01 00 01 00 00 000c 01 01 0000 000c0400", "needs 1024 octets", PayloadSA},
		{"an ESP SPI of 8 octets", "00000001 00000001 00 00 0018 01 03 08 01 0000000000000001 00 00 0008 01 0c 0000", "SPI of 8 octets", PayloadSA},
		{"an IPv4 ID of 5 octets", "01 11 06a5 c0a8010a00", "of 5 octets", PayloadID},
		{"a nonce of 7 octets", "01020304050607", "nonce of 7", PayloadNonce},
		{"a notify with its SPI cut", "00000001 01 10 8d28 00000000", "needs 16 octets", PayloadNotify},
		{"a delete with a count too high", "00000001 03 04 ffff 00000101", "over the limit", PayloadDelete},
		{"a delete of empty SPIs", "00000001 03 00 0009", "have no octets", PayloadDelete},
		{"a delete with an SPI missing", "00000001 03 04 0002 00000101", "do not fill", PayloadDelete},
		{"NAT-OA with a name", "02000000 70632e6c", "is no address", PayloadNATOA},
		{"a short fragment", "0007 02", "needs", PayloadFragment},
	} {
		_, err := Parse(message(c.kind, fromHex(t, c.hex)))
		var e *wire.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}
	long := message(PayloadNonce, make([]byte, 257))
	if _, err := Parse(long); err == nil {
		t.Error("a nonce of 257 octets parses")
	}
	if _, err := Parse(message(PayloadID, make([]byte, 4+maxID+1))); err == nil {
		t.Error("an endless ID parses")
	}
}

func TestHeader(t *testing.T) {
	good := message(PayloadHash, []byte{1})
	for name, change := range map[string]func(b []byte){
		"version 2":      func(b []byte) { b[17] = 0x20 },
		"length too low": func(b []byte) { b[27]-- },
		"length huge":    func(b []byte) { b[24] = 0xff },
	} {
		b := bytes.Clone(good)
		change(b)
		if _, err := Parse(b); err == nil {
			t.Errorf("%s: parses", name)
		}
	}
	if n := testing.AllocsPerRun(10, func() { ParseHeader(good) }); n != 0 {
		t.Errorf("ParseHeader allocates %v times", n)
	}
}

func TestEncryptedBodyIsLeftAlone(t *testing.T) {
	b := message(PayloadHash, []byte{1, 2, 3})
	b[19] |= byte(FlagEncryption)
	m, err := Parse(b)
	if err != nil || m.Payloads != nil || !bytes.Equal(m.Encrypted, b[HeaderLen:]) {
		t.Fatalf("%+v %v", m, err)
	}
}

// racoon sets the encryption bit on fragments, whose parts are not encrypted
// each for itself.
func TestTrap32_FragmentsMayHaveTheEncryptionFlag(t *testing.T) {
	b := message(PayloadFragment, fromHex(t, "0001 01 00 aabbcc"))
	b[19] |= byte(FlagEncryption)
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := Find[*Fragment](m.Payloads); !ok || f.Number != 1 || f.Last {
		t.Fatalf("%+v", m)
	}
}

func TestTrap32_FieldsThatMustBeZeroMayBeAnything(t *testing.T) {
	b := message(PayloadSA, fromHex(t, "00000001 00000001 00 ff 0010 01 01 00 01 00 ff 0008 01 01 ffff"))
	b[HeaderLen+1] = 0xff
	if _, err := Parse(b); err != nil {
		t.Fatal(err)
	}
}

func TestPaddingBehindTheChainIsNotJudged(t *testing.T) {
	body, err := AppendPayloads(nil, []Payload{&Hash{[]byte{1, 2}}, &Nonce{make([]byte, 8)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, padding := range [][]byte{nil, {0}, {0, 0, 0, 3}, {9, 9, 9}, bytes.Repeat([]byte{0xff}, 200)} {
		ps, used, err := ParsePayloads(PayloadHash, append(bytes.Clone(body), padding...))
		if err != nil || len(ps) != 2 || used != len(body) {
			t.Errorf("padding %x: %d payloads, %d octets, %v", padding, len(ps), used, err)
		}
	}
}

// Libreswan read what was not there when all bits of the DOI were set.
func TestCVE_2015_3204_DOIWithAllBitsSet(t *testing.T) {
	for _, text := range []string{
		"ffffffff 00000001 00 00 0010 01 01 00 01 00 00 0008 01 01 0000",
		"ffffffff", "00000001 ffffffff 21 ff ffff", "00000000",
	} {
		m, err := Parse(message(PayloadSA, fromHex(t, text)))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		sa := m.Payloads[0].(*SA)
		if len(sa.Proposals) != 0 || !bytes.Equal(sa.Body, fromHex(t, text)) {
			t.Errorf("%s: %+v", text, sa)
		}
	}
}

// strongSwan took payloads of the other version for its own.
func TestCVE_2015_3991_PayloadsOfIKEv2AreUnknown(t *testing.T) {
	for kind := PayloadType(33); kind <= 54; kind++ {
		m, err := Parse(message(kind, []byte{1, 2, 3, 4}))
		if err != nil {
			t.Fatal(err)
		}
		if u, ok := m.Payloads[0].(*Unknown); !ok || u.Type != kind {
			t.Errorf("payload %d is %T", kind, m.Payloads[0])
		}
	}
}

func TestIDsAreQuoted(t *testing.T) {
	for _, c := range []struct {
		id   ID
		want string
	}{
		{AddrID(netip.MustParseAddr("192.0.2.1")), "192.0.2.1"},
		{AddrID(netip.MustParseAddr("::ffff:192.0.2.1")), "192.0.2.1"},
		{AddrID(netip.MustParseAddr("2001:db8::1")), "2001:db8::1"},
		{ID{Type: IDFQDN, Data: []byte("a\n\x1b[31m")}, `"a\n\x1b[31m"`},
		{ID{Type: IDUserFQDN, Data: []byte("alice@example.org")}, `"alice@example.org"`},
		{ID{Type: IDDERASN1DN, Data: []byte("no DER")}, "ID_DER_ASN1_DN 0x6e6f20444552"},
		{ID{Type: IDKeyID, Data: []byte{1}}, "ID_KEY_ID 0x01"},
		{ID{Type: 77}, "ID type 77 0x"},
	} {
		if got := c.id.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if s := (&ID{Type: IDFQDN, Data: bytes.Repeat([]byte{'x'}, maxID)}).String(); len(s) > 300 {
		t.Errorf("%d octets of text", len(s))
	}
}

func TestNumbersHaveNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ExchangeAggressive.String(), "aggressive mode"}, {ExchangeType(99).String(), "exchange 99"},
		{(FlagEncryption | FlagCommit | 0x80).String(), "E|C|0x80"}, {Flags(0).String(), "0"},
		{PayloadNATDDraft.String(), "NAT-D (draft)"}, {PayloadType(99).String(), "payload 99"},
		{NotifyRUThere.String(), "R-U-THERE"}, {NotifyType(9999).String(), "notify 9999"},
		{ProtoIPComp.String(), "IPComp"}, {CertPKCS7.String(), "PKCS #7"}, {CertEncoding(9).String(), "certificate encoding 9"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if !NotifyAuthenticationFailed.Error() || NotifyInitialContact.Error() {
		t.Error("errors are not told from status")
	}
}

func TestAttributesAsNumbers(t *testing.T) {
	for _, c := range []struct {
		a    Attribute
		want uint64
		ok   bool
	}{
		{Short(1, 7), 7, true}, {Long(12, 28800), 28800, true}, {Attribute{Value: nil}, 0, true},
		{Attribute{Value: []byte{1, 0, 0, 0, 0}}, 1 << 32, true}, {Attribute{Value: make([]byte, 9)}, 0, false},
	} {
		if v, ok := c.a.Uint(); v != c.want || ok != c.ok {
			t.Errorf("%x is %d %v", c.a.Value, v, ok)
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	for name, p := range map[string]Payload{
		"an SA without proposals":    &SA{DOI: 1, Situation: 1},
		"a proposal without any":     &SA{DOI: 1, Situation: 1, Proposals: []Proposal{{Number: 1}}},
		"a short attribute too long": &SA{DOI: 1, Situation: 1, Proposals: []Proposal{{Transforms: []Transform{{Attributes: []Attribute{{TV: true, Value: []byte{1}}}}}}}},
		"a short nonce":              &Nonce{make([]byte, 4)},
		"an ID too long":             &ID{Type: IDFQDN, Data: make([]byte, maxID+1)},
		"an address of 3 octets":     &ID{Type: IDIPv4Addr, Data: make([]byte, 3)},
		"SPIs of two sizes":          &Delete{SPIs: [][]byte{{1, 2, 3, 4}, {1}}},
		"NAT-OA without address":     &NATOA{},
		"a payload over 64 KB":       &KE{make([]byte, 70000)},
	} {
		if _, err := (&Message{Payloads: []Payload{p}}).Append(nil); err == nil {
			t.Errorf("%s is built", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(message(v.kind, fromHex(f, v.hex)))
	}
	all, err := everything(f).Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		if m.Encrypted != nil {
			return
		}
		checkAgain(t, m.Header.NextPayload, m.Payloads)
	})
}

// FuzzParsePayloads is what a peer with keys can send.
func FuzzParsePayloads(f *testing.F) {
	for _, v := range vectors {
		f.Add(byte(v.kind), message(v.kind, fromHex(f, v.hex))[HeaderLen:])
	}
	f.Fuzz(func(t *testing.T, first byte, b []byte) {
		ps, used, err := ParsePayloads(PayloadType(first), b)
		if err != nil {
			checkError(t, err, len(b))
			return
		}
		if used > len(b) || len(ps) > maxPayloads {
			t.Fatalf("%d payloads in %d of %d octets", len(ps), used, len(b))
		}
		checkAgain(t, PayloadType(first), ps)
	})
}

// checkError holds errors to naming a place within the input.
func checkError(t *testing.T, err error, size int) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.What == "" || e.Reason == "" || e.Offset < 0 || e.Offset > max(size, HeaderLen) {
		t.Fatalf("bad error %#v for %d octets", err, size)
	}
}

// checkAgain holds what was parsed to a second parse, and to text.
func checkAgain(t *testing.T, first PayloadType, ps []Payload) {
	t.Helper()
	for _, p := range ps {
		_ = p.PayloadType().String()
		if id, ok := p.(*ID); ok {
			_ = id.String()
		}
	}
	again, err := AppendPayloads(nil, ps)
	if err != nil {
		t.Fatalf("what was parsed does not append: %v", err)
	}
	back, used, err := ParsePayloads(first, again)
	if err != nil || used != len(again) || !reflect.DeepEqual(ps, back) {
		t.Fatalf("first\n%+v\nthen\n%+v (%v)", ps, back, err)
	}
}

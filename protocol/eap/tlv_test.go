package eap

import (
	"bytes"
	"testing"

	"sallyport/internal/secret"
	"sallyport/protocol/eap/mschapv2"
)

// The example of MS-PEAP, Sections 4.4.1 and 4.4.2.
var (
	vectorTK = secret.Bytes(unhex("738BB5F462D58E7ED844E1F00D0EBE50C50A2050DE11997710D65F45FB5FBAB7E3181E924F429738"))
	// ISK is the inner MSK's first 32 octets.
	vectorISK      = secret.Bytes(unhex("673E961401BEFBA560717B3B5DDD40386567F9F416FD3E9DFC71163BDFF2FA95"))
	vectorIPMK     = unhex("3A911C255473E83E9A0CC333AE1F8A35CDC74163 E7F60F6C65EF71C26442AAACA2B6F1EB4F25ECA3")
	vectorCMK      = unhex("3355353B6920D074C782E475DFB0999D4DB467EB")
	vectorRequest  = "000C0038 00000000 BDA7A599FA816521AD3064C2BDDBD16EAA949E7D98A8D7943147CF425D85DA7B 0CBF105E91755748224FBB83000626911CFB1B0F"
	vectorResponse = "000C0038 00000001 6C6BA38784237457CCC90B1A908CBDF4711B69994D0CFE8D3DB44ECBCDAD37E9 42E086071D1C8B8C8E458F7021F06A6EAB16B646"
)

func TestCryptoBindingVectors(t *testing.T) {
	ipmk, cmk := compoundKeys(vectorTK, vectorISK)
	if !bytes.Equal(ipmk, vectorIPMK) || !bytes.Equal(cmk, vectorCMK) {
		t.Fatalf("IPMK %x, CMK %x", []byte(ipmk), []byte(cmk))
	}
	for subType, octets := range map[uint8]string{bindingRequest: vectorRequest, bindingResponse: vectorResponse} {
		b := unhex(octets)
		x, err := parseExtensions(b)
		if err != nil || x.Binding == nil || x.Result != 0 {
			t.Fatalf("%+v, %v", x, err)
		}
		if !x.Binding.verify(subType, cmk) {
			t.Errorf("the binding of subtype %d does not verify", subType)
		}
		if x.Binding.verify(1-subType, cmk) {
			t.Errorf("a binding of subtype %d passes for the other", subType)
		}
		if got := newBinding(subType, x.Binding.Nonce, cmk).append(nil); !bytes.Equal(got, b) {
			t.Errorf("ours is % x", got)
		}
		for i := range b[4:] {
			changed := bytes.Clone(b)
			changed[4+i] ^= 1
			if y, err := parseExtensions(changed); err == nil && i > 0 && y.Binding.verify(subType, cmk) {
				t.Errorf("octet %d may change", 4+i)
			}
		}
	}
	csk := sessionKey(ipmk)
	// The ends of both halves of the MSK.
	for _, c := range []struct {
		at   int
		want string
	}{{0, "6A02D782"}, {28, "AEF76697"}, {32, "1752D4E5"}, {60, "BFF65A45"}} {
		if want := unhex(c.want); !bytes.Equal(csk[c.at:c.at+4], want) {
			t.Errorf("CSK at %d is %x, want %x", c.at, []byte(csk[c.at:c.at+4]), want)
		}
	}
}

func TestExtensions(t *testing.T) {
	_, cmk := compoundKeys(vectorTK, vectorISK)
	for _, x := range []extensions{{Result: resultSuccess}, {Result: resultFailure}, {Result: resultSuccess, Binding: newBinding(bindingRequest, make([]byte, nonceSize), cmk)}} {
		b := x.append(nil)
		y, err := parseExtensions(b)
		if err != nil || !bytes.Equal(y.append(nil), b) {
			t.Errorf("%+v became %+v, %v", x, y, err)
		}
		for n := 1; n < len(b); n++ {
			if y, err := parseExtensions(b[:n]); err == nil && n != 6 {
				t.Errorf("the first %d octets of % x are %+v", n, b, y)
			}
		}
	}
	for name, octets := range map[string]string{
		"result 0":             "8003 0002 0000",
		"result 3":             "8003 0002 0003",
		"short result":         "8003 0001 01",
		"long result":          "8003 0003 000100",
		"two results":          "8003 0002 0001 8003 0002 0002",
		"short binding":        "000c 0004 00000000",
		"long binding":         "000c 0039 " + vectorRequest[9:] + "00",
		"two bindings":         vectorRequest + vectorRequest,
		"unknown mandatory":    "8055 0000",
		"length over the rest": "0055 0002 00",
		"length zero, then":    "0055 0000 0055",
	} {
		if x, err := parseExtensions(unhex(octets)); err == nil {
			t.Errorf("%s: %+v", name, x)
		}
	}
	if x, err := parseExtensions(unhex("0055 0001 00 8003 0002 0001")); err != nil || x.Result != resultSuccess {
		t.Errorf("an unknown optional TLV: %+v, %v", x, err)
	}
	if _, err := parseExtensions(make([]byte, 4*(maxTLVs+1))); err == nil {
		t.Error("any number of TLVs is read")
	}
}

func TestPEAPHeaders(t *testing.T) {
	for _, c := range []struct{ name, plain, want string }{
		{"identity", "01 626f62", "02 07 0008 01 626f62"},
		{"identity with header", "02 05 0008 01 626f62", "02 05 0008 01 626f62"},
		{"MSCHAPv2", "1a 0200", "02 07 0007 1a 0200"},
		{"extensions", "02 09 000b 21 8003 0002 0001", "02 09 000b 21 8003 0002 0001"},
		{"one octet", "03", "02 07 0005 03"},
	} {
		if got := withHeader(unhex(c.plain), CodeResponse, 7); !bytes.Equal(got, unhex(c.want)) {
			t.Errorf("%s: % x", c.name, got)
		}
	}
}

func TestAVPVectors(t *testing.T) {
	b := appendAVP(appendAVP(nil, avpUserName, []byte("bobby")), avpMSChallenge, unhex("0102"))
	want := unhex("00000001 40 00000d 626f626279 000000" + "0000000b c0 00000e 00000137 0102 0000")
	if !bytes.Equal(b, want) {
		t.Fatalf("% x", b)
	}
	for _, in := range [][]byte{want, want[:len(want)-2], want[:len(want)-1]} { // the last padding may be missing
		list, err := parseAVPs(in)
		if err != nil || len(list) != 2 || list[0].avpKey != avpUserName || string(list[0].Data) != "bobby" ||
			list[1].avpKey != avpMSChallenge || !bytes.Equal(list[1].Data, unhex("0102")) {
			t.Errorf("%+v, %v", list, err)
		}
	}
	for n := 1; n < len(want)-2; n++ {
		whole := n >= 13 && n <= 16 // the first AVP, with some of its padding
		if list, err := parseAVPs(want[:n]); (err == nil) != whole {
			t.Errorf("the first %d octets are %+v, %v", n, list, err)
		}
	}
}

func TestBadAVPs(t *testing.T) {
	for name, octets := range map[string]string{
		"mandatory unknown": "000000ff 40 000008",
		"two names":         "00000001 40 000009 61 000000 00000001 40 000009 62",
		"vendor's unknown":  "00000001 c0 00000c 00000137",
	} {
		if set, f := avpSet(unhex(octets)); f == nil {
			t.Errorf("%s: %v", name, set)
		}
	}
	if set, f := avpSet(unhex("000000ff 00 000008 0000004f 40 000009 61000000 0000004f 40 00000a 6263")); f != nil || string(set[avpEAPMessage]) != "abc" {
		t.Errorf("%v, %+v", set, f)
	}
	if _, err := parseAVPs(bytes.Repeat(unhex("000000ff 00 000008"), maxAVPs+1)); err == nil {
		t.Error("any number of AVPs is read")
	}
}

// mschapVector is the exchange of RFC 2759, Section 9.2, as EAP carries it.
func TestEAPMSCHAPv2Vectors(t *testing.T) {
	challenge := unhex("5B5D7C7D7B3F2F3E3C2C602132262628")
	peer, response := unhex("21402324255E262A28295F2B3A337C7E"), unhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
	for _, v := range []struct {
		code   Code
		octets string
		m      mschapMessage
	}{
		{CodeRequest, "01 01 0018 10 5B5D7C7D7B3F2F3E3C2C602132262628 737276", mschapMessage{Op: opChallenge, ID: 1, Challenge: challenge, Text: []byte("srv")}},
		{CodeResponse, "02 01 003a 31 21402324255E262A28295F2B3A337C7E 0000000000000000 82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF 00 55736572",
			mschapMessage{Op: opResponse, ID: 1, Challenge: peer, NTResponse: response, Text: []byte("User")}},
		{CodeRequest, "03 01 0008 533d3030", mschapMessage{Op: opSuccess, ID: 1, Text: []byte("S=00")}},
		{CodeRequest, "04 01 0009 453d363931", mschapMessage{Op: opFailure, ID: 1, Text: []byte("E=691")}},
	} {
		b := unhex(v.octets)
		m, err := parseMSCHAP(v.code, b)
		if err != nil || m.Op != v.m.Op || m.ID != v.m.ID || !bytes.Equal(m.Challenge, v.m.Challenge) || !bytes.Equal(m.NTResponse, v.m.NTResponse) || !bytes.Equal(m.Text, v.m.Text) {
			t.Errorf("%+v, %v", m, err)
		}
		if got := v.m.append(nil); !bytes.Equal(got, b) {
			t.Errorf("appended % x", got)
		}
		for n := range len(b) {
			if m, err := parseMSCHAP(v.code, b[:n]); err == nil {
				t.Errorf("the first %d octets of % x are %+v", n, b, m)
			}
		}
		other := CodeRequest + CodeResponse - v.code
		if m, err := parseMSCHAP(other, b); err == nil && v.m.Op < opSuccess {
			t.Errorf("message %d in a %s is %+v", v.m.Op, other, m)
		}
	}
	for _, op := range []byte{opSuccess, opFailure} {
		if m, err := parseMSCHAP(CodeResponse, []byte{op}); err != nil || m.Op != op {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

// The MSK has the server's receive key first (RFC 3079, Section 3.5 gives the
// keys; IKEv2 and RADIUS the order).
func TestMSCHAPv2KeyOrder(t *testing.T) {
	hash, _ := mschapv2.NTHash(secret.Bytes("clientPass"))
	e := &mschapv2.Exchange{User: "User", Authenticator: unhex("5B5D7C7D7B3F2F3E3C2C602132262628"), Peer: unhex("21402324255E262A28295F2B3A337C7E"), NTHash: hash}
	msk, err := mschapKeys(e, unhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"))
	want := append(unhex("D5F0E9521E3EA9589645E86051C82226 8B7CDC149B993A1BA118CB153F56DCCB"), make([]byte, 32)...)
	if err != nil || !bytes.Equal(msk, want) {
		t.Errorf("%x, %v", []byte(msk), err)
	}
}

func TestFailureTexts(t *testing.T) {
	for text, want := range map[string]Reason{
		"E=691 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=Authentication failed": ReasonWrongPassword,
		"E=648 R=0": ReasonAccountDisabled, "E=647": ReasonAccountDisabled, "E=999": ReasonRefused, "": ReasonRefused, "E=": ReasonRefused,
		"\x00\xff\x1b[2J": ReasonRefused,
	} {
		if got, words := failureText([]byte(text)); got != want || bytes.ContainsAny([]byte(words), "\x00\x1b") {
			t.Errorf("%q: %v, %q", text, got, words)
		}
	}
}

func FuzzExtensions(f *testing.F) {
	f.Add(unhex(vectorRequest))
	f.Add(unhex("8003 0002 0001" + vectorResponse))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseExtensions(b)
		if err != nil {
			return
		}
		again := x.append(nil)
		if y, err := parseExtensions(again); err != nil || !bytes.Equal(y.append(nil), again) {
			t.Fatalf("%+v became %+v, %v", x, y, err)
		}
	})
}

func FuzzAVPs(f *testing.F) {
	f.Add(unhex("00000001 40 00000d 626f626279 000000 0000000b c0 00000e 00000137 0102 0000"))
	f.Add(unhex("00000001 40 000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseAVPs(b)
		if err != nil {
			return
		}
		sum := 0
		for _, a := range list {
			sum += avpHeader + len(a.Data)
		}
		if sum > len(b) || len(list) > maxAVPs {
			t.Fatalf("%d attributes of %d octets from %d", len(list), sum, len(b))
		}
		avpSet(b)
	})
}

func FuzzMSCHAPv2(f *testing.F) {
	f.Add(true, unhex("01 01 0018 10 5B5D7C7D7B3F2F3E3C2C602132262628 737276"))
	f.Add(false, unhex("02 01 003a 31 21402324255E262A28295F2B3A337C7E 0000000000000000 82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF 00 55736572"))
	f.Add(true, unhex("04 01 0009 453d363931"))
	f.Fuzz(func(t *testing.T, request bool, b []byte) {
		code := CodeResponse
		if request {
			code = CodeRequest
		}
		m, err := parseMSCHAP(code, b)
		if err != nil {
			return
		}
		if request || m.Op == opResponse {
			if again, err := parseMSCHAP(code, m.append(nil)); err != nil || !bytes.Equal(again.Text, m.Text) || !bytes.Equal(again.NTResponse, m.NTResponse) {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
		}
		failureText(m.Text)
	})
}

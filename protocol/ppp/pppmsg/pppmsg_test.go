package pppmsg

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func octets(text string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(text))
	if err != nil {
		panic(err)
	}
	return b
}

func TestTrap40_FramesInAllFourForms(t *testing.T) {
	for _, c := range []struct {
		text string
		want Frame
	}{
		{"ff03 0021 45", Frame{Protocol: IPv4, Data: []byte{0x45}}},
		{"ff03 21 45", Frame{ShortProtocol: true, Protocol: IPv4, Data: []byte{0x45}}},
		{"0021 45", Frame{ShortAddress: true, Protocol: IPv4, Data: []byte{0x45}}},
		{"21 45", Frame{ShortAddress: true, ShortProtocol: true, Protocol: IPv4, Data: []byte{0x45}}},
		{"c021 01", Frame{ShortAddress: true, Protocol: LCP, Data: []byte{1}}},
		{"ff03 c227", Frame{Protocol: EAP, Data: []byte{}}},
	} {
		got, err := ParseFrame(octets(c.text))
		if err != nil || got.ShortAddress != c.want.ShortAddress || got.ShortProtocol != c.want.ShortProtocol || got.Protocol != c.want.Protocol || !bytes.Equal(got.Data, c.want.Data) {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
		if b := got.Append(nil); !bytes.Equal(b, octets(c.text)) {
			t.Errorf("%s: written again as %x", c.text, b)
		}
	}
	if b := (Frame{ShortProtocol: true, Protocol: IPCP}).Append(nil); !bytes.Equal(b, octets("ff03 8021")) {
		t.Errorf("a protocol of two octets is written as %x", b)
	}
}

func TestTrap40_APacketWithoutProtocolIsNoFrame(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"45000054", "PPP frame at 1: 0x45 begins an IP packet: the protocol field is missing"},
		{"ff03 45000054", "PPP frame at 3: 0x45 begins an IP packet: the protocol field is missing"},
		{"60000000", "PPP frame at 1: 0x60 begins an IP packet: the protocol field is missing"},
		{"c020", "PPP frame at 2: 0xc020 is no protocol number: the last octet must be odd"},
		{"", "PPP frame at 0: needs 1 octets, 0 are left"},
		{"ff03", "PPP frame at 2: needs 1 octets, 0 are left"},
		{"c0", "PPP frame at 1: needs 1 octets, 0 are left"},
	} {
		if _, err := ParseFrame(octets(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestPackets(t *testing.T) {
	// Windows' first Configure-Request, with two octets of padding.
	b := octets("01 00 0015 0104 0578 0506 4c5a1e2b 0702 0802 0d03 06")
	p, err := ParsePacket(append(slices.Clone(b), 0, 0))
	if err != nil || p.Code != ConfigureRequest || p.Identifier != 0 || len(p.Data) != 17 {
		t.Fatalf("%+v, %v", p, err)
	}
	if got := p.Append(nil); !bytes.Equal(got, b) {
		t.Errorf("written again as %x", got)
	}
	o, err := ParseOptions(p.Data)
	if err != nil || len(o) != 5 || o[4].Type != LCPCallback || !bytes.Equal(o[4].Data, []byte{6}) {
		t.Errorf("%+v, %v", o, err)
	}
	if got := AppendOptions(nil, o); !bytes.Equal(got, p.Data) {
		t.Errorf("options written again as %x", got)
	}
	for n := range b {
		if _, err := ParsePacket(b[:n]); err == nil {
			t.Errorf("the first %d octets are a packet", n)
		}
	}
	for _, text := range []string{"01 00 0000", "01 00 0003", "01 00 ffff 00"} {
		if _, err := ParsePacket(octets(text)); err == nil {
			t.Errorf("%s is a packet", text)
		}
		if _, err := ParseEAP(octets(text)); err == nil {
			t.Errorf("%s is an EAP packet", text)
		}
	}
}

func TestTrap41_OptionLengths(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"01 00", "Configuration Options at 2: option 1: length 0 is under 2"},
		{"01 01", "Configuration Options at 2: option 1: length 1 is under 2"},
		{"0702 01 00", "Configuration Options at 4: option 1: length 0 is under 2"},
		{"01 05 0578", "Configuration Options at 2: needs 3 octets, 2 are left"},
		{"01", "Configuration Options at 1: needs 1 octets, 0 are left"},
		{strings.Repeat("0702", MaxOptions+1), "Configuration Options at 80: more than 40 options"},
	} {
		if o, err := ParseOptions(octets(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%.20s: %v, %v, want %s", c.text, o, err, c.want)
		}
	}
	if o, err := ParseOptions(nil); err != nil || o != nil {
		t.Errorf("no options are %v, %v", o, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an option of 254 octets was written")
		}
	}()
	Option{Data: make([]byte, 254)}.Append(nil)
}

func TestBodies(t *testing.T) {
	m, err := ParseMagic(octets("11223344 6869"))
	if err != nil || m.Number != 0x11223344 || string(m.Data) != "hi" || !bytes.Equal(m.Append(nil), octets("11223344 6869")) {
		t.Errorf("%+v, %v", m, err)
	}
	j, err := ParseRejected(octets("80fd 01010006 1206"))
	if err != nil || j.Protocol != CCP || len(j.Information) != 6 || !bytes.Equal(j.Append(nil), octets("80fd 01010006 1206")) {
		t.Errorf("%+v, %v", j, err)
	}
	e, err := ParseEAP(octets("01 07 0006 0d20 0000"))
	if err != nil || e.Code != EAPRequest || e.Identifier != 7 || !bytes.Equal(e.Data, []byte{13, 0x20}) || !bytes.Equal(e.Append(nil), octets("01 07 0006 0d20")) {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := ParseEAP(octets("05 07 0004")); err == nil {
		t.Error("EAP has a code 5")
	}
	for n := range 4 {
		_, err1 := ParseMagic(make([]byte, n))
		_, err2 := ParseEAP(make([]byte, n))
		if err1 == nil || err2 == nil {
			t.Errorf("%d octets: %v, %v", n, err1, err2)
		}
	}
	for n := range 2 {
		_, err1 := ParseRejected(make([]byte, n))
		_, err2 := ParseAuth(make([]byte, n))
		if err1 == nil || err2 == nil {
			t.Errorf("%d octets: %v, %v", n, err1, err2)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		LCP.String(): "LCP", Protocol(0x8235).String(): "ACSP", Protocol(0x1235).String(): "protocol 0x1235",
		TimeRemaining.String(): "Time-Remaining", Code(77).String(): "code 77", Code(0).String(): "code 0",
		EAPFailure.String(): "EAP-Failure", EAPCode(9).String(): "EAP code 9",
		LCP.OptionName(1): "MRU", IPV6CP.OptionName(1): "Interface-Identifier", IPCP.OptionName(130): "Primary-NBNS-Address", PAP.OptionName(9): "option 9",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for text, want := range map[string]string{
		"c227": "eap", "c023": "pap", "c223 05": "chap", "c223 80": "mschap", "c223 81": "mschapv2", "c223 07": "chap algorithm 7", "c223": "chap", "c025": "LQR",
	} {
		a, err := ParseAuth(octets(text))
		if err != nil || a.String() != want || !bytes.Equal(a.Append(nil), octets(text)) {
			t.Errorf("%s: %v, %v, want %s", text, a, err, want)
		}
	}
}

// FuzzParse: what parses is written again as it came, padding apart.
func FuzzParse(f *testing.F) {
	f.Add(octets("ff03 c021 01 00 0015 0104 0578 0506 4c5a1e2b 0702 0802 0d03 06"))
	f.Add(octets("8021 01 01 0022 0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000"))
	f.Add(octets("80fd 01 01 000a 1206 01000040"))
	f.Add(octets("c227 01 07 0006 0d20 0000"))
	f.Add(octets("c021 08 01 0008 80fd 0101"))
	f.Add(octets("ff 03 c0 21 01 01 00 08 01 00 01 01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := ParseFrame(b)
		if err != nil {
			return
		}
		if again := frame.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
		if e, err := ParseEAP(frame.Data); err == nil && !bytes.HasPrefix(frame.Data, e.Append(nil)) {
			t.Errorf("%x became %x", frame.Data, e.Append(nil))
		}
		p, err := ParsePacket(frame.Data)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(frame.Data, p.Append(nil)) {
			t.Errorf("%x became %x", frame.Data, p.Append(nil))
		}
		if o, err := ParseOptions(p.Data); err == nil && !bytes.Equal(AppendOptions(nil, o), p.Data) {
			t.Errorf("%x became %x", p.Data, AppendOptions(nil, o))
		}
		if m, err := ParseMagic(p.Data); err == nil && !bytes.Equal(m.Append(nil), p.Data) {
			t.Errorf("%x became %x", p.Data, m.Append(nil))
		}
		if j, err := ParseRejected(p.Data); err == nil && !bytes.Equal(j.Append(nil), p.Data) {
			t.Errorf("%x became %x", p.Data, j.Append(nil))
		}
	})
}

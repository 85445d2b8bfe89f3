package suite

import (
	"strings"
	"testing"
)

func TestProposalsAreRead(t *testing.T) {
	for _, c := range []struct {
		p          Protocol
		text, want string
	}{
		{ProtocolIKE, "aes256gcm16-prfsha384-ecp384", ""},
		{ProtocolIKE, "aes256gcm16-prfsha256-ecp521", ""}, // THREATS: the worked suite
		{ProtocolIKE, "aes256-sha256-modp2048", "aes256-prfsha256-sha256-modp2048"},
		{ProtocolIKE, "aes256-sha512-prfsha256-ecp256", "aes256-prfsha256-sha512-ecp256"},
		{ProtocolIKE, "ecp256-prfsha256-aes128gcm", "aes128gcm16-prfsha256-ecp256"}, // any order, and aliases
		{ProtocolIKE, "aes256-aes128-sha384-sha256-curve25519", "aes256-aes128-prfsha384-prfsha256-sha384-sha256-x25519"},
		{ProtocolESP, "aes256gcm16-ecp384", "aes256gcm16-ecp384-esn-noesn"},
		{ProtocolESP, "aes256gcm16", "aes256gcm16-esn-noesn"},
		{ProtocolESP, "aes256gcm16-modpnone", "aes256gcm16-esn-noesn"},
		{ProtocolESP, "aes256gcm16-ecp256-modpnone-noesn", ""},
		{ProtocolESP, "aes256-sha256-noesn", ""},
		{ProtocolESP, "chacha20poly1305-x25519-esn", ""},
	} {
		want := c.want
		if want == "" {
			want = c.text
		}
		p, err := ParseProposal(c.p, c.text)
		if err != nil || p.String() != want || p.Protocol != c.p {
			t.Errorf("%v %q is %q, want %q (%v)", c.p, c.text, p, want, err)
			continue
		}
		again, err := ParseProposal(c.p, p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%v %q reads back as %q, %v", c.p, p, again, err)
		}
	}
}

func TestProposalsThatCannotBeNegotiatedAreRefused(t *testing.T) {
	for _, c := range []struct {
		p         Protocol
		text, why string
	}{
		{ProtocolIKE, "", `unknown keyword ""`},
		{ProtocolIKE, "aes256gcm16-prfsha384-ecp385", "did you mean ecp384?"},
		{ProtocolIKE, "aes256gcm16-prfsha2-ecp256", "did you mean prfsha"},
		{ProtocolIKE, "AES256GCM16-prfsha256-ecp256", "did you mean aes256gcm16?"},
		{ProtocolIKE, "aes256-sha256-modp2048!", "did you mean modp2048?"},
		{ProtocolIKE, "\x1b[2J-ecp256", `unknown keyword "\x1b[2J"`},
		{ProtocolIKE, strings.Repeat("x", 5000), `..."`},
		{ProtocolIKE, strings.Repeat("ecp256-", 500), "more than 64 keywords"},
		{ProtocolIKE, "aes256gcm16-aes256gcm-prfsha256-ecp256", "aes256gcm16 stands there twice"},
		{ProtocolIKE, "3des-sha256-modp2048", "3des is not negotiated: 64-bit blocks (RFC 8247"},
		{ProtocolIKE, "aes256-sha1-modp2048", "sha1 is not negotiated: SHA-1"},
		{ProtocolIKE, "aes256-sha256-modp1024", "modp1024 is not negotiated"},
		{ProtocolIKE, "aes256gcm16-prfsha256-mlkem768", "mlkem768 is not negotiated: only as an additional"},
		{ProtocolIKE, "aes256gcm8-prfsha256-ecp256", "aes256gcm8 is not negotiated: integrity check value"},
		{ProtocolIKE, "aes256-aes256gcm16-sha256-ecp256", "cannot share a proposal"},
		{ProtocolIKE, "aes256gcm16-sha256-ecp256", "write prfsha256 if you meant the PRF"},
		{ProtocolIKE, "aes256gcm16-ecp256", "needs a PRF"},
		{ProtocolIKE, "aes256-prfsha256-ecp256", "needs an integrity algorithm"},
		{ProtocolIKE, "aes256gcm16-prfsha256", "needs a key exchange"},
		{ProtocolIKE, "aes256gcm16-prfsha256-modpnone", "cannot do without"},
		{ProtocolIKE, "aes256gcm16-prfsha256-ecp256-modpnone", "cannot do without"},
		{ProtocolIKE, "aes256gcm16-prfsha256-ecp256-esn", "esn is for ESP"},
		{ProtocolIKE, "sha256-prfsha256-ecp256", "needs a cipher"},
		{ProtocolESP, "aes256gcm16-prfsha256", "prfsha256 is for IKE"},
		{ProtocolESP, "aes256", "needs an integrity algorithm"},
		{ProtocolESP, "null-sha256", "null is not negotiated: no encryption"},
		{ProtocolESP, "aes256-noauth", "noauth is not negotiated"},
		{ProtocolESP, "ecp256", "needs a cipher"},
		{2, "aes256-sha256", "only IKE and ESP"},
	} {
		p, err := ParseProposal(c.p, c.text)
		if err == nil || !strings.Contains(err.Error(), c.why) || len(p.Transforms) != 0 {
			t.Errorf("%v %.40q: %v, want something with %q", c.p, c.text, err, c.why)
		} else if len(err.Error()) > 500 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Errorf("%v %.40q: the error is long or unquoted: %q", c.p, c.text, err)
		}
	}
}

func TestChosenSuitesPrintAsKeywords(t *testing.T) {
	p, err := ParseProposal(ProtocolIKE, "aes256-sha384-ecp384")
	if err != nil {
		t.Fatal(err)
	}
	i := IKE{p.Of(Encr)[0], p.Of(PRF)[0], p.Of(Integ)[0], p.Of(KE)[0]}
	if got := i.String(); got != "aes256-sha384-prfsha384-ecp384" {
		t.Errorf("IKE: %s", got)
	}
	if again, err := ParseProposal(ProtocolIKE, i.String()); err != nil || again.String() != p.String() {
		t.Errorf("IKE reads back as %v, %v", again, err)
	}
	gcm, _ := ByKeyword("aes256gcm16")
	if got := (ESP{Encr: gcm.Transform, ESN: true}).String(); got != "aes256gcm16-esn" {
		t.Errorf("ESP: %s", got)
	}
	if got := (ESP{Encr: gcm.Transform, KE: i.KE}).String(); got != "aes256gcm16-ecp384-noesn" {
		t.Errorf("ESP with PFS: %s", got)
	}
}

func FuzzParseProposal(f *testing.F) {
	for _, p := range policies {
		f.Add(uint8(ProtocolIKE), p.IKE[0])
		f.Add(uint8(ProtocolESP), p.ESP[0])
	}
	f.Add(uint8(1), "aes256-sha1-modp1024")
	f.Add(uint8(3), "-")
	f.Add(uint8(3), "aes256gcm16-modpnone-ecp256--esn")
	f.Fuzz(func(t *testing.T, protocol uint8, text string) {
		p, err := ParseProposal(Protocol(protocol), text)
		if err != nil {
			return
		}
		aead := p.Of(Encr)[0].AEAD()
		for _, x := range p.Transforms {
			if a, ok := Lookup(x); !ok || !a.Usable() || x.Type == Encr && x.AEAD() != aead || x.Type == Integ && aead {
				t.Errorf("%q let %v through", text, x)
			}
		}
		again, err := ParseProposal(p.Protocol, p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q reads back as %q, %v", p, again, err)
		}
	})
}

package ipsecconf

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/posture"
)

func TestSecretsAreReadByTheirKinds(t *testing.T) {
	h := readAll(t, files{
		"ipsec.conf": "conn a\n auto=add\n leftid=@vpn.example.com\n",
		"ipsec.secrets": `# comment
vpn.example.com : PSK "to all of them"
10.0.0.1 2001:db8::1 : PSK 0x00112233445566778899aabbccddeeff
10.0.0.1 %any: PSK 'single # quoted'	# comment
:PSK 0sMDEyMzQ1Njc4OWFiY2RlZg==
@long
	@selectors
	: PSK
	"of three lines"
  carol@example.com : EAP "indented"
dave : XAUTH "and this"
erin : NTLM 0x0123456789abcdef0123456789abcdef
: RSA server.pem
: RSA locked.pem "open"
: RSA asked.pem %prompt
: P12 bundle.p12 "p12 pass"
: PIN %smartcard "1234"
: PPKS "id1" "post quantum"
@old : RSA {
	Modulus: 0x12
	}
include more.secrets
`,
		"more.secrets": "more : PSK \"included\"\n",
	})
	var got []string
	for _, s := range h.Secrets {
		line := fmt.Sprintf("%s|%s|%s|%v", s.Name, s.Kind, string(s.Value), s.Anybody.V)
		if s.Anybody.Origin != posture.Explicit {
			line += " " + s.Anybody.Origin.String()
		}
		if len(s.Traps) > 0 {
			line += " " + strings.Join(s.Traps, ",")
		}
		got = append(got, line)
	}
	want := []string{
		"vpn.example.com|psk|to all of them|true inferred",
		"10.0.0.1 2001:db8::1|psk|\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff|false",
		"10.0.0.1 %any|psk|single # quoted|true",
		"any|psk|0123456789abcdef|true",
		"@long @selectors|psk|of three lines|false",
		"carol@example.com|password|indented|false",
		"dave|password|and this|false",
		"erin|password||false",
		"any|key passphrase|open|false unknown",
		"any|key passphrase|p12 pass|false unknown",
		"any|key passphrase|1234|false unknown",
		"any|ppk|post quantum|true",
		"more|psk|included|false",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if h.Secrets[1].At != (posture.Pos{File: "ipsec.secrets", Line: 3, Col: 1}) || h.Secrets[7].Storage != posture.WeakHash || len(h.Notes) != 1 {
		t.Errorf("%+v\n%s", h.Secrets[1], noteTexts(h))
	}
}

func TestTrapsOfSecretsAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		": PSK 0xabc\n":                         "odd number of hex digits,hex of fewer than 16 octets",
		": PSK 0xabzz\n":                        "characters that are no hex digits",
		": PSK 0sYWJj\n":                        "base64 of fewer than 16 octets",
		": PSK 0s!!\n":                          "characters that are no base64",
		": PSK \"no end\n":                      "the quote has no end",
		": PSK \" spaced\"\n":                   "begins or ends with white space",
		": PSK \"0x0011223344556677\"\n":        "0x and 0s mean nothing in quotes",
		": PSK bare\n":                          "",
		": PSK bare  \n":                        "",
		": PSK two words\n":                     "not in quotes, so that it ends at the first blank",
		": PSK bare\t# why\n":                   "not in quotes, so that it ends at the first blank",
		": PSK \"\"\n":                          "empty",
		": PSK \"windows\"\r\n":                 "",
		": PSK bare\r\n":                        "",
		": PSK \u201csmart\u201d\n":             "typographic quotes",
		": PSK \"good and long enough text\"\n": "",
	} {
		h := readAll(t, files{"ipsec.secrets": text})
		if len(h.Secrets) != 1 || strings.Join(h.Secrets[0].Traps, ",") != want {
			t.Errorf("%q: %v, notes %s", text, h.Secrets, noteTexts(h))
		}
		if len(h.Secrets) == 1 && h.Files[0].Secrets != true {
			t.Errorf("%q: the file holds secrets", text)
		}
	}
}

func TestLibreswanWantsQuotesAndLinesOfUnix(t *testing.T) {
	for text, want := range map[string]string{": PSK bare\n": "not in quotes", ": PSK \"windows\"\r\n": "lines end in CR LF"} {
		h := readAll(t, files{"ipsec.secrets": text}, "Libreswan 5.2")
		if len(h.Secrets) != 1 || strings.Join(h.Secrets[0].Traps, ",") != want {
			t.Errorf("%q: %v, notes %s", text, h.Secrets, noteTexts(h))
		}
	}
}

func TestBrokenSecretsAreNotedWithoutTheirText(t *testing.T) {
	h := readAll(t, files{"ipsec.secrets": "%any hunter2\n: hunter2 \"hunter2\"\n: PSK\ninclude\n:\ninclude /elsewhere/x.secrets\ninclude ipsec.secrets\n"})
	if len(h.Secrets) != 0 || strings.Contains(noteTexts(h), "hunter2") {
		t.Errorf("%v\n%s", h.Secrets, noteTexts(h))
	}
	if len(h.Notes) != 8 {
		t.Errorf("%d notes\n%s", len(h.Notes), noteTexts(h))
	}
}

func TestASecretIsInNothingButItsValue(t *testing.T) {
	h := readAll(t, installer, "Libreswan 4.12")
	if text := fmt.Sprintf("%+v %#v", h, h); strings.Contains(text, "correct horse") {
		t.Error("the secret shows")
	}
}

package strength

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

const enough = 112

func TestRandomOctetsAreStrongInAnySpelling(t *testing.T) {
	for range 40 {
		b := make([]byte, 32)
		rand.Read(b)
		for name, s := range map[string][]byte{
			"raw": b, "raw, 16 octets": b[:16], "hex": []byte(hex.EncodeToString(b)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(b))),
			"base64": []byte(base64.StdEncoding.EncodeToString(b)), "base64 of 16": []byte(base64.StdEncoding.EncodeToString(b[:16])),
		} {
			if e := Of(s, []string{"acme", "gw1.acme.example"}); e.Bits < enough || e.Listed {
				t.Errorf("%s: %.0f bits, listed %v: %s: %s", name, e.Bits, e.Listed, e.Why, hex.EncodeToString(b))
			}
		}
	}
}

func TestTwentyRandomCharactersAreEnough(t *testing.T) {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	weak := 0
	for range 200 {
		b := make([]byte, 20)
		rand.Read(b)
		for i := range b {
			b[i] = alphabet[int(b[i])%len(alphabet)]
		}
		if e := Of(b, nil); e.Bits < enough {
			weak++
		}
	}
	if weak > 20 { // a word of four letters by chance costs some bits
		t.Errorf("%d of 200 random keys of 20 characters are called weak", weak)
	}
}

func TestPatternsOfOctetsAreWeak(t *testing.T) {
	counting := make([]byte, 32)
	for i := range counting {
		counting[i] = byte(i)
	}
	eleven, _ := hex.DecodeString("00112233445566778899aabbccddeeff")
	for name, b := range map[string][]byte{
		"zeros": make([]byte, 32), "ones": bytes.Repeat([]byte{0xff}, 32), "counting": counting, "a repeated word": bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 8),
		"a vendor's sample": eleven, "two values": bytes.Repeat([]byte{0, 255, 255, 0, 255, 0, 0}, 4),
	} {
		if e := Of(b, nil); e.Bits >= 64 {
			t.Errorf("%s: %.0f bits: %s", name, e.Bits, e.Why)
		}
		if e := Of([]byte(hex.EncodeToString(b)), nil); e.Bits >= 64 {
			t.Errorf("%s in hex: %.0f bits: %s", name, e.Bits, e.Why)
		}
	}
}

func TestWhatGuidesAndProductsBringIsListed(t *testing.T) {
	for _, s := range []string{
		"vpn", "testing123", "softether", "whatever", "changeme", "your_psk", "presharedkey", "cisco123", "YOUR_IPSEC_PRE_SHARED_KEY", "Passw0rd!",
		"p@ssw0rd", "qwerty", "qwertyuiop", "123456789", "1qaz2wsx", "asdfghjkl", "00000000", "poiuytrewq", "vpn2024", "Summer2026!", "MyVPNsecret1", "secret-key", "",
	} {
		if e := Of([]byte(s), nil); !e.Listed || e.Bits > listedBits+8 {
			t.Errorf("%q: listed %v, %.0f bits: %s", s, e.Listed, e.Bits, e.Why)
		}
	}
}

func TestWordsOfTheSurroundingsAreWorthNothing(t *testing.T) {
	words := []string{"Acme Widgets", "gw1.zurich.acme.example"}
	for _, s := range []string{"acme", "AcmeVPN", "acme-vpn-2026", "zurich1", "WidgetsZurich!", "gw1.zurich.acme.example"} {
		if e := Of([]byte(s), words); !e.Listed {
			t.Errorf("%q is not listed beside its words: %.0f bits: %s", s, e.Bits, e.Why)
		}
	}
	if e := Of([]byte("Kx9tLw2vQz7p"), words); e.Listed {
		t.Errorf("a random password is listed: %s", e.Why)
	}
}

func TestWhatPeopleChooseIsBelowAKey(t *testing.T) {
	for _, s := range []string{
		"correct horse battery staple", "Tr0ub4dor&3", "this is our office gateway", "Manchester1999united", "ilovemydogverymuch", "2024-03-15-2025", "aaaaaaaabbbbbbbb",
		"abcabcabcabcabcabcabcabc", "пароль", strings.Repeat("password", 20),
	} {
		if e := Of([]byte(s), nil); e.Bits >= enough {
			t.Errorf("%q: %.0f bits: %s", s, e.Bits, e.Why)
		}
	}
}

func TestTheReasonHoldsNothingOfTheSecret(t *testing.T) {
	for _, s := range []string{"hunter2hunter2", "acme-vpn-2026", "deadbeefdeadbeef", "Zx81spectrum", "\x00\x01\x02\x03"} {
		e := Of([]byte(s), []string{"acme"})
		for i := 0; i+5 <= len(s); i++ {
			if strings.Contains(e.Why, s[i:i+5]) {
				t.Errorf("%q stands in %q", s[i:i+5], e.Why)
			}
		}
		if e.Why == "" {
			t.Errorf("%q: no reason", s)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add([]byte("acme-vpn-2026"), "acme")
	f.Add([]byte("\x00\xff{[(<@4|1l!0$5+7%"), "")
	f.Add([]byte("пароль 2024 привет"), "пароль")
	f.Fuzz(func(t *testing.T, b []byte, word string) {
		e := Of(b, []string{word})
		if e.Bits < 0 || e.Bits != e.Bits || e.Bits > 8*mostOctets+8 || e.Why == "" {
			t.Errorf("%q: %v", b, e)
		}
	})
}

func TestAQuickEstimateKnowsTheListAndTheLength(t *testing.T) {
	for secret, most := range map[string]float64{"testing123": 20, "aaaaaaaaaaaaaaaaaaaaaaaa": 20, "": 0, "Abc1": 24} {
		if e := Quick([]byte(secret), nil); e.Bits > most {
			t.Errorf("%q is worth %.0f bits: %s", secret, e.Bits, e.Why)
		}
	}
	if e := Quick([]byte("q7R!vK2x#pL9wZ4mT8sB"), nil); e.Bits < 112 || e.Listed {
		t.Errorf("twenty random characters are worth %.0f bits", e.Bits)
	}
	if e := Quick([]byte("alice2026"), []string{"alice2026"}); !e.Listed {
		t.Error("a word of the surroundings is worth something")
	}
}

func TestTheKeysOfExamplesAreListed(t *testing.T) {
	for _, text := range []string{"v+NkxY9LLZvwj4qCC2o/gGrWDF2d21jL", "RaMHWd+X3CahW4j/"} {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if e := Of(key, nil); !e.Listed || e.Bits > listedBits {
			t.Errorf("%s: %+v", text, e)
		}
		if e := Of([]byte(text), nil); !e.Listed {
			t.Errorf("%s as text: %+v", text, e)
		}
	}
	if e := Of([]byte("This is a strong password"), nil); !e.Listed {
		t.Errorf("%+v", e)
	}
}

func TestShortWordsCountWhereNothingElseIsThere(t *testing.T) {
	for word, most := range map[string]float64{"SameKeyForBoth-7731": 70, "samekeyforboth": 40, "OurBigDogRuns42": 60} {
		if e := Of([]byte(word), nil); e.Bits > most {
			t.Errorf("%s: %.0f bits, at most %.0f", word, e.Bits, most)
		}
	}
	for _, random := range []string{"kV9x2TqLw7RzN4bYd8HsJ3mF", "qz7kfoxw2dogn5vj", "mcatxqdogwzlkeyv"} {
		if e := Of([]byte(random), nil); e.Bits < 70 {
			t.Errorf("%s: %.0f bits", random, e.Bits)
		}
	}
}

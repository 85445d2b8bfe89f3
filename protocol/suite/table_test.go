package suite

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestKeywordsAndNumbersAreUnique(t *testing.T) {
	words, numbers := map[string]Transform{}, map[Transform]string{}
	for _, a := range All() {
		for _, w := range []string{a.Keyword, a.Alias} {
			if w == "" {
				continue
			}
			if other, ok := words[w]; ok {
				t.Errorf("%q is %v and %v", w, other, a.Transform)
			}
			words[w] = a.Transform
		}
		if other, ok := numbers[a.Transform]; ok {
			t.Errorf("%s and %s have one number", other, a.Keyword)
		}
		numbers[a.Transform] = a.Keyword
	}
}

func TestEveryRowIsWhole(t *testing.T) {
	word := regexp.MustCompile(`^[a-z0-9_]+$`)
	for _, a := range All() {
		if !word.MatchString(a.Keyword) || a.Title == "" || !strings.HasPrefix(a.RFC, "RFC ") || a.Type < Encr || a.Type > ESN {
			t.Errorf("%q: incomplete or ill-formed: %+v", a.Keyword, a)
		}
		if len(a.Keyword) > maxWord || len(a.Alias) > maxWord {
			t.Errorf("%s: longer than maxWord", a.Keyword)
		}
		if !a.Usable() && (a.Note == "" || a.Refusal() != a.Keyword+": "+a.Note) {
			t.Errorf("%s is %v and must say why: %q", a.Keyword, a.Status, a.Refusal())
		}
		if a.Usable() && a.Refusal() != "" {
			t.Errorf("%s is %v and refused: %s", a.Keyword, a.Status, a.Refusal())
		}
	}
	if !slices.IsSortedFunc(All(), func(a, b Algorithm) int {
		return (int(a.Type)-int(b.Type))*1<<24 + (int(a.ID)-int(b.ID))*1<<12 + int(a.KeyBits) - int(b.KeyBits)
	}) {
		t.Error("the table is not in the registry's order")
	}
}

// TestOnlyUsableAlgorithmsAreConstructed is the promise that a weak algorithm
// cannot be switched on by mistake.
func TestOnlyUsableAlgorithmsAreConstructed(t *testing.T) {
	for _, a := range All() {
		built := a.cipher != nil || a.hash != nil || a.group != nil
		byItself := a.Type == ESN || a.Transform == ke(0) // nothing to construct
		if built != (a.Usable() && !byItself) {
			t.Errorf("%s is %v, constructor there: %v", a.Keyword, a.Status, built)
		}
		if a.cipher != nil && (a.cipher.aead != nil) != a.AEAD() {
			t.Errorf("%s: AEAD() is %v", a.Keyword, a.AEAD())
		}
	}
}

func TestTheTableFindsWhatPeersSend(t *testing.T) {
	for _, c := range []struct {
		t      Transform
		want   string
		status Status
	}{
		{Transform{Encr, 3, 0}, "3des", Legacy},
		{Transform{Encr, 3, 192}, "encr 3/192", Refused}, // a fixed-length cipher has no key length (RFC 7296, Section 3.3.5)
		{Transform{Encr, 12, 256}, "aes256", Acceptable},
		{Transform{Encr, 12, 0}, "encr 12", Refused}, // AES must have one
		{Transform{Encr, 12, 129}, "encr 12/129", Refused},
		{Transform{Encr, 20, 256}, "aes256gcm16", Strong},
		{Transform{Encr, 28, 0}, "chacha20poly1305", Strong},
		{Transform{PRF, 2, 0}, "prfsha1", Legacy},
		{Transform{Integ, 2, 0}, "sha1", Legacy},
		{Transform{Integ, 12, 0}, "sha256", Acceptable},
		{Transform{KE, 2, 0}, "modp1024", Legacy},
		{Transform{KE, 22, 0}, "modp1024s160", Refused},
		{Transform{KE, 31, 0}, "x25519", Strong},
		{Transform{KE, 36, 0}, "mlkem768", Unsupported},
		{Transform{KE, 65535, 0}, "ke 65535", Refused},
		{Transform{ESN, 1, 0}, "esn", Strong},
		{Transform{241, 1, 0}, "type 241 1", Refused},
	} {
		a, ok := Lookup(c.t)
		if c.t.String() != c.want || a.Status != c.status || ok != (a.Keyword != "") || a.Transform != c.t {
			t.Errorf("%v: %q with status %v, want %q with %v", c.t, a.Keyword, a.Status, c.want, c.status)
		}
	}
	if a, _ := Lookup(Transform{Encr, 99, 128}); a.Refusal() != "encr 99/128: unknown here" {
		t.Errorf("an unknown transform is refused as %q", a.Refusal())
	}
	for alias, want := range map[string]string{"curve25519": "x25519", "aes256gcm": "aes256gcm16", "aes": "aes128", "sha2_256": "sha256"} {
		if a, ok := ByKeyword(alias); !ok || a.Keyword != want {
			t.Errorf("%s is %q, want %q", alias, a.Keyword, want)
		}
	}
}

func TestACopyOfTheTableChangesNothing(t *testing.T) {
	All()[0].Status = Strong
	if All()[0].Status != Refused {
		t.Error("DES became strong")
	}
}

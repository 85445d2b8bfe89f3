package password

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
)

func check(t *testing.T, h Hash, password string, want bool) {
	t.Helper()
	got, err := h.Check(secret.Bytes(password))
	if err != nil || got != want {
		t.Errorf("%.20s… for %q: %v, %v; want %v", string(h), password, got, err, want)
	}
}

func TestOnlyTheRightPasswordPasses(t *testing.T) {
	for _, make := range []func(secret.Bytes) (Hash, error){New, NewNT} {
		h, err := make(secret.Bytes("correct horse"))
		if err != nil || !h.Valid() {
			t.Fatalf("%v, valid %v", err, h.Valid())
		}
		check(t, h, "correct horse", true)
		check(t, h, "correct horse ", false)
		check(t, h, "", false)
		check(t, h, strings.Repeat("x", MaxLength+1), false)
		check(t, h, "\xff", false)
	}
}

func TestNobodyHasNoPassword(t *testing.T) {
	check(t, Nobody, "", false)
	check(t, Nobody, "password", false)
}

// A vector of the argon2 reference implementation's own tests; its salt is
// "somesalt".
func TestForeignHashIsRead(t *testing.T) {
	check(t, "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true)
}

func TestTwoHashesOfOnePasswordDiffer(t *testing.T) {
	a, _ := New(secret.Bytes("x"))
	b, _ := New(secret.Bytes("x"))
	if a == b {
		t.Error("the salt is not random")
	}
}

func TestNewPasswordsHaveBounds(t *testing.T) {
	for _, p := range []string{"", strings.Repeat("x", MaxLength+1)} {
		if _, err := New(secret.Bytes(p)); err == nil {
			t.Errorf("%d octets were taken", len(p))
		}
	}
	if _, err := NewNT(nil); err == nil {
		t.Error("an empty password was taken")
	}
}

func TestDamagedHashesAreErrors(t *testing.T) {
	const good = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	bad := []Hash{"plain", "$nt$", "$nt$00", "$nt$" + Hash(strings.Repeat("g", 32)), "$argon2id$",
		Hash(strings.Replace(good, "v=19", "v=16", 1)), Hash(strings.Replace(good, "m=19456", "m=4294967295", 1)),
		Hash(strings.Replace(good, "m=19456", "m=0", 1)), Hash(strings.Replace(good, "t=2", "t=99999", 1)),
		Hash(strings.Replace(good, "p=1", "p=0", 1)), Hash(strings.Replace(good, "c29tZXNhbHQ", "c29", 1)), good + "$", Hash(good[:len(good)-30])}
	for _, h := range bad {
		if ok, err := h.Check(secret.Bytes("password")); ok || err == nil {
			t.Errorf("%q: %v, %v", string(h), ok, err)
		}
		if h.Valid() {
			t.Errorf("%q is valid", string(h))
		}
	}
}

func TestHashIsNotPrinted(t *testing.T) {
	h, _ := NewNT(secret.Bytes("x"))
	for _, s := range []string{fmt.Sprint(h), fmt.Sprintf("%v %s %q %#v", h, h, h, h), fmt.Sprintf("%+v", struct{ H Hash }{h})} {
		if strings.Contains(s, "$nt$") {
			t.Errorf("printed as %s", s)
		}
	}
}

// An unknown user must not answer faster than a wrong password.
func TestUnknownUserTakesAsLongAsWrongPassword(t *testing.T) {
	known, _ := New(secret.Bytes("right"))
	nt, _ := NewNT(secret.Bytes("right"))
	hashes := map[string]Hash{"wrong": known, "nobody": Nobody, "NT hash": nt}
	least := map[string]time.Duration{}
	for range 15 { // in turns, and the least of each: a busy machine only ever adds time
		for name, h := range hashes {
			begun := time.Now()
			h.Check(secret.Bytes("wrong"))
			if took := time.Since(begun); least[name] == 0 || took < least[name] {
				least[name] = took
			}
		}
	}
	for name, got := range least {
		if wrong := least["wrong"]; got < wrong/2 || got > wrong*2 {
			t.Errorf("%s takes %v, a wrong password %v", name, got, wrong)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$nt$31d6cfe0d16ae931b73c59d7e0c089c0")
	f.Fuzz(func(t *testing.T, h string) {
		if rest, ok := strings.CutPrefix(h, "$argon2id$"); ok {
			if c, salt, key, err := parseArgon2(rest); err == nil && (c.memory > maxMemory || len(salt) == 0 || len(key) == 0) {
				t.Errorf("%+v, %d, %d", c, len(salt), len(key))
			}
		} else if _, err := Hash(h).NT(); err == nil && len(h) != 4+32 {
			t.Errorf("%q is an NT hash", h)
		}
	})
}

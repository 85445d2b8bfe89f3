package suite

import (
	"bytes"
	"testing"
)

// groups is every KE transform that GenerateKE takes.
func groups() (ts []Transform) {
	for _, a := range All() {
		if a.Type == KE && a.Usable() && a.group != nil {
			ts = append(ts, a.Transform)
		}
	}
	return ts
}

func generate(t testing.TB, g Transform) KeyExchange {
	t.Helper()
	k, err := GenerateKE(g)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestBothSidesShareASecret(t *testing.T) {
	for _, g := range groups() {
		a, b := generate(t, g), generate(t, g)
		if len(a.Public()) != PublicSize(g) || bytes.Equal(a.Public(), b.Public()) {
			t.Fatalf("%v: public values %x and %x", g, a.Public(), b.Public())
		}
		ab, err1 := a.Shared(b.Public())
		ba, err2 := b.Shared(a.Public())
		if err1 != nil || err2 != nil || !ab.Equal(ba) || len(ab) == 0 {
			t.Errorf("%v: the secrets differ: %v, %v", g, err1, err2)
		}
	}
}

func TestAnEphemeralKeyServesOnce(t *testing.T) {
	for _, g := range groups() {
		a, b := generate(t, g), generate(t, g)
		if _, err := a.Shared(make([]byte, PublicSize(g))); err == nil {
			t.Fatalf("%v: all zeros were taken", g)
		}
		if _, err := a.Shared(b.Public()); err != nil {
			t.Errorf("%v: a forged answer spoilt the true one: %v", g, err)
		}
		if _, err := a.Shared(b.Public()); err == nil {
			t.Errorf("%v: the key was used twice", g)
		}
	}
}

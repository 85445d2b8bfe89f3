package alphabet

import (
	"math"
	"testing"
)

func TestACharacterIsWorthItsAlphabet(t *testing.T) {
	for text, size := range map[string]float64{
		"":                 1,
		"aaaaaaaaaaaaaaaa": 1,
		"abababab":         2,
		"0123456789":       10,
		"0123456789abcdef": 16,
		"0123456789ABCDEF": 16,
		"abcdefghijklmnop": 26,
		"aBcDeFgHiJkLmNoP": 52,
		"aB3dEfGh1jKlMn0p": 62,
		"aB3dEfGh1jKl-n0p": 95,
	} {
		if got, want := Bits(text), math.Log2(size); math.Abs(got-want) > 1e-9 {
			t.Errorf("%q: %.3f, want %.3f", text, got, want)
		}
	}
}

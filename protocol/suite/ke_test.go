package suite

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
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

func modpGroups() []*modp { return []*modp{modp2048, modp3072, modp4096} }

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

func TestCurvesGiveTheValuesOfRFC5903AndRFC7748(t *testing.T) {
	for _, v := range keVectors {
		a, _ := ByKeyword(v.group)
		c := a.group.(*curve)
		for _, side := range [][3]string{{v.i, v.publicI, v.publicR}, {v.r, v.publicR, v.publicI}} {
			private, err := c.curve.NewPrivateKey(unhex(side[0]))
			if err != nil {
				t.Fatal(err)
			}
			k := newCurveKey(c, private)
			if got := hex.EncodeToString(k.Public()); got != side[1] {
				t.Errorf("%s: public value %s", v.group, got)
			}
			shared, err := k.Shared(unhex(side[2]))
			if got := hex.EncodeToString(shared); err != nil || got != v.shared {
				t.Errorf("%s: shared secret %s, %v", v.group, got, err)
			}
		}
	}
}

func TestMODPAgreesWithAnotherImplementation(t *testing.T) {
	for _, g := range modpGroups() {
		p := new(big.Int).SetBytes(g.modulus().Nat().Bytes(g.modulus()))
		for range 3 {
			exponent, peer := make([]byte, g.exponent), make([]byte, g.size)
			rand.Read(exponent)
			rand.Read(peer[1:]) // below p, which begins with 64 one bits
			x := new(big.Int).SetBytes(exponent)
			k := newMODPKey(g, exponent)
			want := new(big.Int).Exp(big.NewInt(2), x, p).FillBytes(make([]byte, g.size))
			if !bytes.Equal(k.Public(), want) {
				t.Errorf("%s: the public value differs", g.name)
			}
			want = new(big.Int).Exp(new(big.Int).SetBytes(peer), x, p).FillBytes(make([]byte, g.size))
			if shared, err := k.Shared(peer); err != nil || !bytes.Equal(shared, want) {
				t.Errorf("%s: the secret differs, %v", g.name, err)
			}
		}
	}
}

// TestMODPPrimesAreSafePrimes guards the digits: with (p-1)/2 prime too, there
// is no small subgroup, and short exponents are sound.
func TestMODPPrimesAreSafePrimes(t *testing.T) {
	for _, g := range modpGroups() {
		p := new(big.Int).SetBytes(g.modulus().Nat().Bytes(g.modulus()))
		half := new(big.Int).Rsh(p, 1)
		if p.BitLen() != 8*g.size || !p.ProbablyPrime(1) || !half.ProbablyPrime(1) {
			t.Errorf("%s: not a safe prime of its size", g.name)
		}
		if g.size*8 < 2048 || g.exponent*8 < 240 {
			t.Errorf("%s: %d-bit exponents in a group of %d bits", g.name, g.exponent*8, g.size*8)
		}
	}
}

func TestLeadingZerosOfTheSecretStay(t *testing.T) {
	// 2^1 squared is 4: every octet but the last is a leading zero.
	for _, g := range modpGroups() {
		peer := make([]byte, g.size)
		peer[g.size-1] = 2
		k := newMODPKey(g, []byte{2})
		shared, err := k.Shared(peer)
		if err != nil || len(shared) != g.size || shared[g.size-1] != 4 {
			t.Errorf("%s: %d octets, %v", g.name, len(shared), err)
		}
	}
}

func TestPublicValuesThatGiveTheSecretAwayAreRefused(t *testing.T) {
	number := func(g *modp, add int64) []byte { // p + add, or add itself
		n := big.NewInt(add)
		if add <= 0 {
			n.Add(n, new(big.Int).SetBytes(g.modulus().Nat().Bytes(g.modulus())))
		}
		return n.FillBytes(make([]byte, g.size))
	}
	for _, g := range modpGroups() {
		a, _ := ByKeyword(g.name)
		k := generate(t, a.Transform)
		bad := map[string][]byte{"0": make([]byte, g.size), "1": number(g, 1), "p-1": number(g, -1), "p": number(g, 0),
			"all ones": bytes.Repeat([]byte{0xff}, g.size)}
		for name, y := range bad {
			if _, err := k.Shared(y); err == nil {
				t.Errorf("%s: y = %s was taken", g.name, name)
			}
		}
		for name, y := range map[string][]byte{"2": number(g, 2), "p-2": number(g, -2)} {
			if _, err := generate(t, a.Transform).Shared(y); err != nil {
				t.Errorf("%s: y = %s was refused: %v", g.name, name, err)
			}
		}
	}
	for _, name := range []string{"ecp256", "ecp384", "ecp521"} {
		a, _ := ByKeyword(name)
		k := generate(t, a.Transform)
		off := bytes.Clone(generate(t, a.Transform).Public())
		off[len(off)-1] ^= 1
		for what, y := range map[string][]byte{"a point off the curve": off, "the origin": make([]byte, len(off)),
			"coordinates above the prime": bytes.Repeat([]byte{0xff}, len(off))} {
			if _, err := k.Shared(y); err == nil {
				t.Errorf("%s: %s was taken", name, what)
			}
		}
	}
}

// TestLowOrderPointsOfCurve25519AreRefused: RFC 8031, Section 3.1.
func TestLowOrderPointsOfCurve25519AreRefused(t *testing.T) {
	a, _ := ByKeyword("x25519")
	for _, point := range []string{
		strings.Repeat("00", 32),
		"01" + strings.Repeat("00", 31),
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ec" + strings.Repeat("ff", 30) + "7f",
		"ed" + strings.Repeat("ff", 30) + "7f",
		"ee" + strings.Repeat("ff", 30) + "7f",
	} {
		if _, err := generate(t, a.Transform).Shared(unhex(point)); err == nil {
			t.Errorf("%s was taken", point)
		}
	}
}

func TestPublicValuesOfTheWrongLengthAreRefused(t *testing.T) {
	for _, g := range groups() {
		k, other := generate(t, g), generate(t, g).Public()
		for _, peer := range [][]byte{nil, {}, other[1:], other[:len(other)-1], append([]byte{4}, other...),
			append(bytes.Clone(other), 0), append([]byte{0}, other...)} {
			if _, err := k.Shared(peer); err == nil {
				t.Errorf("%v: %d octets were taken for %d", g, len(peer), PublicSize(g))
			}
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

func TestOnlySoundGroupsAreBuilt(t *testing.T) {
	for _, a := range All() {
		_, err := GenerateKE(a.Transform)
		want := a.Type == KE && a.Usable() && a.ID != 0
		if built := err == nil; built != want || (PublicSize(a.Transform) > 0) != want || (KECost(a.Transform) > 0) != want {
			t.Errorf("%v: built is %v", a.Transform, built)
		}
	}
}

func TestPrivateKeysDoNotPrint(t *testing.T) {
	for _, g := range groups() {
		k := generate(t, g)
		if got := fmt.Sprintf("%v %+v %#v %x %s", k, k, k, k, k); strings.ReplaceAll(got, "[secret]", "") != "    " {
			t.Errorf("%v prints as %s", g, got)
		}
	}
	for _, p := range cipherPairs() {
		c := newTestCipher(t, p)
		if got := fmt.Sprintf("%v %+v %#v %x %s", c, c, c, c, c); strings.ReplaceAll(got, "[secret]", "") != "    " {
			t.Errorf("%s prints as %s", pairName(p), got)
		}
	}
}

func BenchmarkKE(b *testing.B) {
	for _, g := range groups() {
		peer := generate(b, g).Public()
		b.Run(g.String()+"/generate", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				generate(b, g)
			}
		})
		b.Run(g.String()+"/both", func(b *testing.B) { // what an IKE_SA_INIT costs
			b.ReportAllocs()
			for b.Loop() {
				if _, err := generate(b, g).Shared(peer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package suite

import (
	"bytes"
	"crypto/fips140"
	"crypto/hmac"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
)

// cipherPairs is every pair that NewCipher builds.
func cipherPairs() (pairs [][2]Transform) {
	for _, e := range All() {
		if e.Type != Encr || !e.Usable() {
			continue
		}
		if e.AEAD() {
			pairs = append(pairs, [2]Transform{e.Transform})
			continue
		}
		for _, i := range All() {
			if i.Type == Integ && i.Usable() {
				pairs = append(pairs, [2]Transform{e.Transform, i.Transform})
			}
		}
	}
	return pairs
}

func pairName(p [2]Transform) string { return join(p[0], p[1]) }

// newTestCipher has keys 1, 2, 3, ...
func newTestCipher(t testing.TB, p [2]Transform) Cipher {
	t.Helper()
	e, i := CipherKeySizes(p[0], p[1])
	c, err := NewCipher(p[0], p[1], counting(e), counting(i))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return b
}

func TestWhatIsSealedOpens(t *testing.T) {
	for _, p := range cipherPairs() {
		t.Run(pairName(p), func(t *testing.T) {
			c := newTestCipher(t, p)
			for _, blocks := range []int{0, 1, 2, 90} {
				plain := counting(16 * blocks)
				iv, aad, tail := counting(c.IVSize()), counting(12), counting(4)
				sealed := c.Seal([]byte("head"), iv, plain, aad, tail)
				if len(sealed) != 4+len(plain)+c.ICVSize() || string(sealed[:4]) != "head" {
					t.Fatalf("%d octets sealed to %d", len(plain), len(sealed))
				}
				got, err := c.Clone().Open([]byte("x"), iv, sealed[4:], aad, tail)
				if err != nil || !bytes.Equal(got[1:], plain) || got[0] != 'x' {
					t.Fatalf("opened to %x, %v", got, err)
				}
			}
		})
	}
}

func TestWhatIsSealedInPlaceOpensInPlace(t *testing.T) {
	for _, p := range cipherPairs() {
		c := newTestCipher(t, p)
		buf := append(counting(64), make([]byte, c.ICVSize())...)
		iv := counting(c.IVSize())
		want := c.Seal(nil, iv, counting(64), nil, nil)
		sealed := c.Seal(buf[:0], iv, buf[:64], nil, nil)
		if !bytes.Equal(sealed, want) || &sealed[0] != &buf[0] {
			t.Errorf("%s: sealing in place differs", pairName(p))
		}
		opened, err := c.Open(sealed[:0], iv, sealed, nil, nil)
		if err != nil || !bytes.Equal(opened, counting(64)) || &opened[0] != &buf[0] {
			t.Errorf("%s: opening in place: %x, %v", pairName(p), opened, err)
		}
	}
}

func TestOneFlippedBitIsRefused(t *testing.T) {
	for _, p := range cipherPairs() {
		c := newTestCipher(t, p)
		iv, aad, tail := counting(c.IVSize()), counting(8), counting(4)
		sealed := c.Seal(nil, iv, counting(32), aad, tail)
		parts := map[string][]byte{"iv": iv, "ciphertext and ICV": sealed, "aad": aad}
		if !c.AEAD() {
			parts["tail"] = tail
		}
		for name, part := range parts {
			for bit := range 8 * len(part) {
				part[bit/8] ^= 1 << (bit % 8)
				if _, err := c.Open(nil, iv, sealed, aad, tail); err == nil {
					t.Fatalf("%s: flipped bit %d of %s was not noticed", pairName(p), bit, name)
				}
				part[bit/8] ^= 1 << (bit % 8)
			}
		}
		for n := range sealed {
			if _, err := c.Open(nil, iv, sealed[:n], aad, tail); err == nil {
				t.Fatalf("%s: cut to %d octets was not noticed", pairName(p), n)
			}
		}
		if _, err := c.Open(nil, iv[1:], sealed, aad, tail); err == nil {
			t.Errorf("%s: a short IV was not noticed", pairName(p))
		}
		if _, err := c.Open(nil, iv, sealed, aad, tail); err != nil {
			t.Errorf("%s: the cipher is spoilt after refusals: %v", pairName(p), err)
		}
	}
}

func TestSealAndOpenDoNotAllocate(t *testing.T) {
	for _, p := range cipherPairs() {
		c := newTestCipher(t, p).Clone()
		iv, aad, tail := counting(c.IVSize()), counting(12), counting(4)
		buf, scratch := make([]byte, 1408+c.ICVSize()), make([]byte, 1408)
		var failed error
		n := testing.AllocsPerRun(200, func() {
			sealed := c.Seal(buf[:0], iv, buf[:1408], aad, tail)
			if _, err := c.Open(sealed[:0], iv, sealed, aad, tail); err != nil {
				failed = err
			}
			if _, err := c.Open(scratch[:0], iv, buf, aad, tail); err == nil { // plaintext now
				failed = fmt.Errorf("a forgery was opened")
			}
		})
		if n != 0 || failed != nil {
			t.Errorf("%s: %v allocations per packet, %v", pairName(p), n, failed)
		}
	}
}

func TestAEADCiphersGiveThePublishedPackets(t *testing.T) {
	for _, v := range aeadVectors {
		a, _ := ByKeyword(v.encr)
		c, err := NewCipher(a.Transform, Transform{}, unhex(v.keymat), nil)
		if err != nil {
			t.Fatal(err)
		}
		iv, aad, plain, sealed := unhex(v.iv), unhex(v.aad), unhex(v.plain), unhex(v.sealed)
		// An AEAD cipher ignores tail.
		if got := c.Seal(nil, iv, plain, aad, []byte("tail")); !bytes.Equal(got, sealed) {
			t.Errorf("%s, %s: sealed to %x", v.encr, v.name, got)
		}
		if got, err := c.Open(nil, iv, sealed, aad, nil); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s, %s: opened to %x, %v", v.encr, v.name, got, err)
		}
	}
}

func TestCBCGivesThePacketsOfRFC3602WithTheMACAfterThem(t *testing.T) {
	aes128, _ := ByKeyword("aes128")
	for _, v := range cbcVectors {
		for _, keyword := range []string{"sha256", "sha384", "sha512"} {
			integ, _ := ByKeyword(keyword)
			integKey := counting(integ.hash.size)
			c, err := NewCipher(aes128.Transform, integ.Transform, unhex(v.key), integKey)
			if err != nil {
				t.Fatal(err)
			}
			iv, aad, plain, tail := unhex(v.iv), unhex(v.aad), unhex(v.plain), []byte{0, 0, 0, 7}

			mac := hmac.New(integ.hash.new, integKey)
			mac.Write(slices.Concat(aad, iv, unhex(v.cipher), tail))
			want := append(unhex(v.cipher), mac.Sum(nil)[:integ.hash.size/2]...)

			if got := c.Seal(nil, iv, plain, aad, tail); !bytes.Equal(got, want) {
				t.Errorf("%s, %s: sealed to %x", v.name, keyword, got)
			}
			if got, err := c.Open(nil, iv, want, aad, tail); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %s: opened to %x, %v", v.name, keyword, got, err)
			}
		}
	}
}

func TestICVsAreHalfTheHash(t *testing.T) {
	// RFC 4868, Section 2.6.
	aes128, _ := ByKeyword("aes128")
	for keyword, want := range map[string][2]int{"sha256": {32, 16}, "sha384": {48, 24}, "sha512": {64, 32}} {
		integ, _ := ByKeyword(keyword)
		_, key := CipherKeySizes(aes128.Transform, integ.Transform)
		icv := newTestCipher(t, [2]Transform{aes128.Transform, integ.Transform}).ICVSize()
		if key != want[0] || icv != want[1] {
			t.Errorf("%s: key %d, ICV %d, want %v", keyword, key, icv, want)
		}
	}
}

func TestPairsThatDoNotBelongTogetherAreRefused(t *testing.T) {
	good := map[[2]Transform]bool{}
	for _, p := range cipherPairs() {
		good[p] = true
		if p[1] == (Transform{}) {
			good[[2]Transform{p[0], {Type: Integ}}] = true // NONE, as it may stand on the wire
		}
	}
	for _, e := range append(All(), Algorithm{}) {
		for _, i := range append(All(), Algorithm{}) {
			p := [2]Transform{e.Transform, i.Transform}
			encKey, integKey := CipherKeySizes(p[0], p[1])
			_, err := NewCipher(p[0], p[1], make([]byte, encKey), make([]byte, integKey))
			if (err == nil) != good[p] || (encKey > 0) != good[p] {
				t.Fatalf("%v with %v: good is %v, got %v", e.Transform, i.Transform, good[p], err)
			}
		}
	}
}

func TestKeysOfTheWrongSizeAreRefused(t *testing.T) {
	for _, p := range cipherPairs() {
		encKey, integKey := CipherKeySizes(p[0], p[1])
		for _, d := range [][2]int{{1, 0}, {-1, 0}, {-saltSize, 0}, {0, 1}} {
			if _, err := NewCipher(p[0], p[1], make([]byte, encKey+d[0]), make([]byte, integKey+d[1])); err == nil {
				t.Errorf("%s: keys of %d and %d octets were taken", pairName(p), encKey+d[0], integKey+d[1])
			}
		}
	}
}

func TestClonesWorkAtTheSameTime(t *testing.T) {
	for _, p := range cipherPairs() {
		c := newTestCipher(t, p)
		iv := counting(c.IVSize())
		want := c.Seal(nil, iv, counting(64), nil, nil)
		var group sync.WaitGroup
		for range 4 {
			d := c.Clone()
			group.Go(func() {
				for range 50 {
					if got := d.Seal(nil, iv, counting(64), nil, nil); !bytes.Equal(got, want) {
						t.Errorf("%s: a clone sealed differently", pairName(p))
					}
				}
			})
		}
		group.Wait()
	}
}

// TestFIPSModeWorks runs the vectors and the key exchanges in a process with
// GODEBUG=fips140=on, as an operator would run the gateway.
func TestFIPSModeWorks(t *testing.T) {
	if fips140.Enabled() {
		return // this is that process, or the whole run is in the mode
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "Published|RFC|Share|Signed")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=on")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestAEADCiphersGiveThePublishedPackets")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func BenchmarkCipher(b *testing.B) {
	const size = 1408
	for _, p := range cipherPairs() {
		c := newTestCipher(b, p)
		iv, aad := counting(c.IVSize()), counting(8)
		buf := make([]byte, size+c.ICVSize())
		sealed := c.Seal(nil, iv, buf[:size], aad, nil)
		b.Run(pairName(p)+"/seal", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				c.Seal(buf[:0], iv, buf[:size], aad, nil)
			}
		})
		b.Run(pairName(p)+"/open", func(b *testing.B) {
			b.SetBytes(size)
			out := make([]byte, size)
			for b.Loop() {
				if _, err := c.Open(out[:0], iv, sealed, aad, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNewCipher shows what a cipher costs to make and to keep.
func BenchmarkNewCipher(b *testing.B) {
	for _, p := range cipherPairs() {
		e, i := CipherKeySizes(p[0], p[1])
		encKey, integKey := counting(e), counting(i)
		b.Run(pairName(p), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewCipher(p[0], p[1], encKey, integKey); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(pairName(p)+"/clone", func(b *testing.B) {
			c := newTestCipher(b, p)
			b.ReportAllocs()
			for b.Loop() {
				c.Clone()
			}
		})
	}
}

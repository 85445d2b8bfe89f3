package suite

import (
	"bytes"
	"fmt"
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

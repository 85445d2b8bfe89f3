package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hmac"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"sallyport/internal/secret"
)

// Cipher protects one direction of one SA: an AEAD algorithm, or AES-CBC with
// encrypt-then-MAC (RFC 7296, Section 3.14; RFC 4303, Section 3.3.2.1; RFC
// 5282). It pads nothing: the caller brings plaintext of whole blocks.
//
// A Cipher keeps scratch space, so it must not be used by two goroutines at
// once; each takes a Clone, which shares the key schedule.
type Cipher interface {
	AEAD() bool     // the cipher authenticates by itself, and ignores tail
	IVSize() int    // octets of the IV sent with each message
	BlockSize() int // the plaintext is a multiple of this many octets; 1 for an AEAD
	ICVSize() int   // octets that Seal adds

	// Seal encrypts and appends ciphertext and ICV to dst. It works in place
	// when dst ends where plaintext begins, as in dst = plaintext[:0]. The
	// MAC of a CBC suite covers aad, iv, ciphertext and tail, which carries
	// the high bits of an extended sequence number; an AEAD suite takes them
	// in aad instead. An IV or plaintext of the wrong size is a programming
	// error and panics.
	Seal(dst, iv, plaintext, aad, tail []byte) []byte

	// Open verifies, decrypts and appends the plaintext to dst, in place when
	// dst ends where ciphertext begins. ciphertext includes the ICV. Nothing
	// is decrypted before the ICV has been found right.
	Open(dst, iv, ciphertext, aad, tail []byte) ([]byte, error)

	// Clone returns a Cipher with the same keys for another goroutine.
	Clone() Cipher
}

// errOpen is one value, so that a flood of forged packets allocates nothing
// and learns nothing about what was wrong.
var errOpen = errors.New("suite: message authentication failed")

// saltSize is the part of the nonce that is derived with the key and never
// sent (RFC 4106, Section 4; RFC 5282, Section 4; RFC 7634, Section 2).
const saltSize = 4

// aeadIVSize is the part of the nonce that travels with the message.
const aeadIVSize = 8

// cipherSpec constructs one encryption algorithm.
type cipherSpec struct {
	keySize int // octets of the cipher's own key, without salt
	aead    func(key []byte) (cipher.AEAD, error)
	block   func(key []byte) (cipher.Block, error) // when aead is nil
}

func (s *cipherSpec) encKeySize() int {
	if s.aead != nil {
		return s.keySize + saltSize
	}
	return s.keySize
}

func aesGCM(size int) *cipherSpec { return &cipherSpec{keySize: size, aead: newGCM} }
func aesCBC(size int) *cipherSpec { return &cipherSpec{keySize: size, block: aes.NewCipher} }
func chacha20poly() *cipherSpec {
	return &cipherSpec{keySize: chacha20poly1305.KeySize, aead: chacha20poly1305.New}
}

// newGCM builds AES-GCM. GODEBUG=fips140=only forbids GCM with a nonce from
// outside the module. The nonces of ESP and IKE are deterministic counters
// under a key that is used by one sender only, which FIPS 140-3 IG C.H,
// scenario 3, allows; so enforcement is lifted for the construction alone.
func newGCM(key []byte) (aead cipher.AEAD, err error) {
	fips140.WithoutEnforcement(func() {
		var block cipher.Block
		if block, err = aes.NewCipher(key); err == nil {
			aead, err = cipher.NewGCM(block)
		}
	})
	return aead, err
}

// CipherKeySizes returns how many octets of key material the pair needs;
// encKey includes the salt of an AEAD cipher. Both are zero for a pair that
// NewCipher refuses.
func CipherKeySizes(encr, integ Transform) (encKey, integKey int) {
	return cipherKeySizes(encr, integ, false)
}

func cipherKeySizes(encr, integ Transform, waived bool) (encKey, integKey int) {
	spec, mac, err := cipherParts(encr, integ, waived)
	if err != nil {
		return 0, 0
	}
	if mac != nil {
		integKey = mac.size
	}
	return spec.encKeySize(), integKey
}

// NewCipher builds the cipher of one direction. The key sizes are those of
// [CipherKeySizes]; integ and integKey are zero for an AEAD cipher.
func NewCipher(encr, integ Transform, encKey, integKey []byte) (Cipher, error) {
	return newCipher(encr, integ, encKey, integKey, false)
}

func newCipher(encr, integ Transform, encKey, integKey []byte, waived bool) (Cipher, error) {
	spec, mac, err := cipherParts(encr, integ, waived)
	if err != nil {
		return nil, err
	}
	if wantEnc, wantInteg := cipherKeySizes(encr, integ, waived); len(encKey) != wantEnc || len(integKey) != wantInteg {
		return nil, fmt.Errorf("suite: %v: keys of %d and %d octets, need %d and %d",
			encr, len(encKey), len(integKey), wantEnc, wantInteg)
	}
	if spec.aead != nil {
		return newAEADCipher(spec, encKey)
	}
	return newCBCCipher(spec, mac, encKey, integKey)
}

// cipherParts looks the pair up and refuses what does not belong together.
func cipherParts(encr, integ Transform, waived bool) (*cipherSpec, *hashSpec, error) {
	e := byTransform[encr]
	if encr.Type != Encr || e == nil || !e.Usable() || e.cipher == nil {
		return nil, nil, fmt.Errorf("suite: %v: no such cipher here", encr)
	}
	if e.cipher.aead != nil {
		if integ != (Transform{}) && integ != (Transform{Type: Integ}) {
			return nil, nil, fmt.Errorf("suite: %v has integrity of its own, %v cannot go with it", encr, integ)
		}
		return e.cipher, nil, nil
	}
	mac := hashOf(integ, Integ, waived)
	if mac == nil {
		return nil, nil, fmt.Errorf("suite: %v needs an integrity algorithm, not %v", encr, integ)
	}
	return e.cipher, mac, nil
}

// hashOf is the hash of a PRF or integrity transform, nil where it may not be
// used.
func hashOf(t Transform, typ TransformType, waived bool) *hashSpec {
	a := byTransform[t]
	switch {
	case t.Type != typ || a == nil:
		return nil
	case a.Usable():
		return a.hash
	case waived:
		return a.waived
	}
	return nil
}

// aeadCipher is AES-GCM or ChaCha20-Poly1305 with nonce = salt | IV.
type aeadCipher struct {
	unprintable
	aead  cipher.AEAD
	nonce [saltSize + aeadIVSize]byte
}

func newAEADCipher(spec *cipherSpec, encKey []byte) (Cipher, error) {
	aead, err := spec.aead(encKey[:spec.keySize])
	if err != nil {
		return nil, fmt.Errorf("suite: %w", err)
	}
	c := &aeadCipher{aead: aead}
	copy(c.nonce[:saltSize], encKey[spec.keySize:])
	return c, nil
}

func (c *aeadCipher) AEAD() bool     { return true }
func (c *aeadCipher) IVSize() int    { return aeadIVSize }
func (c *aeadCipher) BlockSize() int { return 1 }
func (c *aeadCipher) ICVSize() int   { return c.aead.Overhead() }

func (c *aeadCipher) Clone() Cipher {
	d := *c
	return &d
}

func (c *aeadCipher) Seal(dst, iv, plaintext, aad, _ []byte) []byte {
	if len(iv) != aeadIVSize {
		panic("suite: IV of the wrong size")
	}
	copy(c.nonce[saltSize:], iv)
	return c.aead.Seal(dst, c.nonce[:], plaintext, aad)
}

func (c *aeadCipher) Open(dst, iv, ciphertext, aad, _ []byte) ([]byte, error) {
	if len(iv) != aeadIVSize {
		return nil, errOpen
	}
	copy(c.nonce[saltSize:], iv)
	out, err := c.aead.Open(dst, c.nonce[:], ciphertext, aad)
	if err != nil {
		return nil, errOpen
	}
	return out, nil
}

// ivSetter is what Go's CBC modes have beside cipher.BlockMode: a new IV
// without a new object, hence no allocation per packet.
type ivSetter interface {
	cipher.BlockMode
	SetIV([]byte)
}

// cbcCipher is AES-CBC with HMAC, encrypt-then-MAC.
type cbcCipher struct {
	unprintable
	block    cipher.Block
	enc, dec ivSetter
	hash     *hashSpec
	integKey secret.Bytes
	mac      hash.Hash
	sum      [maxHashSize]byte
}

func newCBCCipher(spec *cipherSpec, mac *hashSpec, encKey, integKey []byte) (Cipher, error) {
	block, err := spec.block(encKey)
	if err != nil {
		return nil, fmt.Errorf("suite: %w", err)
	}
	return assembleCBC(block, mac, slices.Clone(integKey))
}

func assembleCBC(block cipher.Block, mac *hashSpec, integKey secret.Bytes) (*cbcCipher, error) {
	var zero [aes.BlockSize]byte
	enc, ok1 := cipher.NewCBCEncrypter(block, zero[:]).(ivSetter)
	dec, ok2 := cipher.NewCBCDecrypter(block, zero[:]).(ivSetter)
	if !ok1 || !ok2 {
		return nil, errors.New("suite: this Go release's CBC mode cannot change its IV")
	}
	c := &cbcCipher{block: block, enc: enc, dec: dec, hash: mac, integKey: integKey, mac: hmac.New(mac.new, integKey)}
	// The first Reset after a Sum stores the keyed state; from then on a
	// packet costs no key set-up and no allocation.
	c.mac.Sum(c.sum[:0])
	c.mac.Reset()
	return c, nil
}

func (c *cbcCipher) AEAD() bool     { return false }
func (c *cbcCipher) IVSize() int    { return aes.BlockSize }
func (c *cbcCipher) BlockSize() int { return aes.BlockSize }
func (c *cbcCipher) ICVSize() int   { return c.hash.icv() }

func (c *cbcCipher) Clone() Cipher {
	d, err := assembleCBC(c.block, c.hash, c.integKey)
	if err != nil {
		panic(err) // it worked for c
	}
	return d
}

func (c *cbcCipher) Seal(dst, iv, plaintext, aad, tail []byte) []byte {
	out, ciphertext := extend(dst, len(plaintext))
	c.enc.SetIV(iv)
	c.enc.CryptBlocks(ciphertext, plaintext)
	return append(out, c.icv(iv, ciphertext, aad, tail)...)
}

func (c *cbcCipher) Open(dst, iv, ciphertext, aad, tail []byte) ([]byte, error) {
	n := len(ciphertext) - c.ICVSize()
	if n < 0 || n%aes.BlockSize != 0 || len(iv) != aes.BlockSize {
		return nil, errOpen
	}
	ciphertext, icv := ciphertext[:n], ciphertext[n:]
	if !hmac.Equal(icv, c.icv(iv, ciphertext, aad, tail)) {
		return nil, errOpen
	}
	out, plaintext := extend(dst, n)
	c.dec.SetIV(iv)
	c.dec.CryptBlocks(plaintext, ciphertext)
	return out, nil
}

// icv is the truncated HMAC (RFC 4868, Section 2.1.2). It is valid until the
// next call.
func (c *cbcCipher) icv(iv, ciphertext, aad, tail []byte) []byte {
	c.mac.Reset()
	c.mac.Write(aad)
	c.mac.Write(iv)
	c.mac.Write(ciphertext)
	c.mac.Write(tail)
	return c.mac.Sum(c.sum[:0])[:c.ICVSize()]
}

// unprintable is embedded where key material lies in unexported fields: fmt
// prints those without asking their types.
type unprintable struct{}

// Format implements [fmt.Formatter] for every verb.
func (unprintable) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// extend grows b by n octets and returns the whole and the new part.
func extend(b []byte, n int) (whole, added []byte) {
	whole = slices.Grow(b, n)[:len(b)+n]
	return whole, whole[len(b):]
}

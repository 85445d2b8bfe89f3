package suite

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
)

// hashSpec is a hash that serves as PRF and, cut in half, as integrity check
// (RFC 4868, Section 2).
type hashSpec struct {
	id   crypto.Hash
	size int // octets of output; also the key size of both uses
	new  func() hash.Hash
}

// icv is the truncated length (RFC 4868, Section 2.1.2). HMAC-SHA1-96 is older
// and keeps 96 of 160 bits (RFC 2404, Section 2).
func (h *hashSpec) icv() int {
	if h.id == crypto.SHA1 {
		return 96 / 8
	}
	return h.size / 2
}

const maxHashSize = sha512.Size

var (
	sha256Spec = &hashSpec{crypto.SHA256, sha256.Size, sha256.New}
	sha384Spec = &hashSpec{crypto.SHA384, sha512.Size384, sha512.New384}
	sha512Spec = &hashSpec{crypto.SHA512, sha512.Size, sha512.New}
	sha1Spec   = &hashSpec{crypto.SHA1, sha1.Size, sha1.New} // by waiver only
)

// PRFunc is a negotiated pseudorandom function (RFC 7296, Section 2.13). It
// is immutable and safe for concurrent use.
type PRFunc struct{ hash *hashSpec }

// NewPRF returns the function of a PRF transform.
func NewPRF(t Transform) (PRFunc, error) {
	return newPRF(t, false)
}

func newPRF(t Transform, waived bool) (PRFunc, error) {
	h := hashOf(t, PRF, waived)
	if h == nil {
		return PRFunc{}, fmt.Errorf("suite: %v: no such PRF here", t)
	}
	return PRFunc{h}, nil
}

// Size is the output's length in octets.
func (p PRFunc) Size() int { return p.hash.size }

// KeySize is the preferred key length in octets: what SK_d, SK_pi and SK_pr
// have (RFC 7296, Section 2.14).
func (p PRFunc) KeySize() int { return p.hash.size }

// Sum is prf(key, data), with the parts of data concatenated.
func (p PRFunc) Sum(key []byte, data ...[]byte) []byte {
	mac := hmac.New(p.hash.new, key)
	for _, d := range data {
		mac.Write(d)
	}
	return mac.Sum(make([]byte, 0, p.hash.size))
}

// maxPlusBlocks is what the one-octet counter of prf+ allows (RFC 7296,
// Section 2.13).
const maxPlusBlocks = 255

// Plus returns n octets of prf+(key, seed), with the parts of seed
// concatenated (RFC 7296, Section 2.13):
//
//	T1 = prf(K, S | 0x01), T2 = prf(K, T1 | S | 0x02), ...
//
// n comes from the suite's key sizes and never from a peer; more than 255
// blocks is a programming error and panics.
func (p PRFunc) Plus(key []byte, n int, seed ...[]byte) []byte {
	blocks := (n + p.hash.size - 1) / p.hash.size
	if blocks > maxPlusBlocks {
		panic("suite: prf+ asked for more than 255 blocks")
	}
	mac := hmac.New(p.hash.new, key)
	out := make([]byte, 0, blocks*p.hash.size)
	counter := [1]byte{}
	var last []byte
	for range blocks {
		counter[0]++
		mac.Write(last)
		for _, s := range seed {
			mac.Write(s)
		}
		mac.Write(counter[:])
		out = mac.Sum(out)
		last = out[len(out)-p.hash.size:]
		mac.Reset()
	}
	return out[:n:n]
}

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// KeyKind names a kind of key as the command line and the records do.
type KeyKind string

// The kinds that Sallyport makes.
const (
	ECDSAP256 KeyKind = "ecdsa-p256"
	ECDSAP384 KeyKind = "ecdsa-p384"
	RSA2048   KeyKind = "rsa-2048"
	RSA3072   KeyKind = "rsa-3072"
	Ed25519   KeyKind = "ed25519"
)

var kinds = []KeyKind{ECDSAP256, ECDSAP384, RSA2048, RSA3072, Ed25519}

// ParseKeyKind reads a kind's name.
func ParseKeyKind(name string) (KeyKind, error) {
	if k := KeyKind(strings.ToLower(name)); slices.Contains(kinds, k) {
		return k, nil
	}
	return "", fmt.Errorf("pki: no key kind %q; there are %q", name, kinds)
}

func generate(kind KeyKind) (crypto.Signer, error) {
	switch kind {
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("pki: no key kind %q; there are %q", kind, kinds)
}

// KindOf names the kind of a public key, also of kinds that we do not make, for
// example "rsa-4096".
func KindOf(pub crypto.PublicKey) KeyKind {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		return KeyKind(fmt.Sprintf("ecdsa-p%d", pub.Curve.Params().BitSize))
	case *rsa.PublicKey:
		return KeyKind(fmt.Sprintf("rsa-%d", pub.N.BitLen()))
	case ed25519.PublicKey:
		return Ed25519
	}
	return KeyKind(fmt.Sprintf("%T", pub))
}

const (
	minRSA = 2048 // CRY-020; under it a certificate proves nothing
	maxRSA = 8192 // what a peer may make us compute with: verifying takes 1 ms
)

// weakness says why a public key is not good enough, or "".
func weakness(pub crypto.PublicKey) string {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if bits := pub.Curve.Params().BitSize; bits < 256 {
			return fmt.Sprintf("ECDSA key of %d bits, the least is 256", bits)
		}
	case *rsa.PublicKey:
		switch bits := pub.N.BitLen(); {
		case bits < minRSA:
			return fmt.Sprintf("RSA key of %d bits, the least is %d", bits, minRSA)
		case bits > maxRSA:
			return fmt.Sprintf("RSA key of %d bits, the most is %d", bits, maxRSA)
		case pub.N.Bit(0) == 0 || pub.E < 3 || pub.E&1 == 0:
			// CVE-2018-6459, CVE-2026-14957: moduli and exponents that are none.
			return "RSA key that is no RSA key (even modulus or exponent)"
		}
	case ed25519.PublicKey:
	default:
		return fmt.Sprintf("key of unsupported type %T", pub)
	}
	return ""
}

// SPKIHash is the SHA-1 of a certificate's SubjectPublicKeyInfo, the name of an
// authority in a CERTREQ payload (RFC 7296, Section 3.7). It is a label and
// protects nothing.
func SPKIHash(c *x509.Certificate) [sha1.Size]byte {
	return sha1.Sum(c.RawSubjectPublicKeyInfo)
}

// keyID is a subject key identifier (RFC 7093, Section 2, method 1): without
// SHA-1.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	sum := sha256.Sum256(spki)
	return sum[:20], nil
}

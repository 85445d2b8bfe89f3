package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"

	"sallyport/internal/file"
	"sallyport/internal/secret"
)

// PKCS12Profile is what encrypts a PKCS#12 file.
type PKCS12Profile string

// The profiles.
const (
	// Modern is AES-256 and HMAC-SHA-256 with PBKDF2: Windows 10 1709 and
	// later, OpenSSL 1.1.0, Android 14.
	Modern PKCS12Profile = "modern"
	// Legacy is 3DES and HMAC-SHA-1: what Apple and older Windows and Android
	// can import. The password, of 130 bits, carries the protection.
	Legacy PKCS12Profile = "legacy"
)

// PKCS12 is the key, the certificate, its chain and the root in one encrypted
// file, for devices that import them together.
func (id *Issued) PKCS12(profile PKCS12Profile, password secret.Bytes) ([]byte, error) {
	if id.Key == nil {
		return nil, errors.New("pki: PKCS#12 needs the private key, and this certificate was issued from a CSR")
	}
	encoder := map[PKCS12Profile]*pkcs12.Encoder{Modern: pkcs12.Modern2023, Legacy: pkcs12.LegacyDES}[profile]
	if encoder == nil {
		return nil, fmt.Errorf("pki: no PKCS#12 profile %q; there are %q and %q", profile, Modern, Legacy)
	}
	cas, err := id.cas()
	if err != nil {
		return nil, err
	}
	b, err := encoder.Encode(id.Key, id.Cert, cas, string(password))
	if err != nil {
		return nil, fmt.Errorf("pki: PKCS#12: %w", err)
	}
	return b, nil
}

// cas are the certificates above the leaf, the root last.
func (id *Issued) cas() (cas []*x509.Certificate, err error) {
	for _, der := range id.Chain[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("pki: %w", err)
		}
		cas = append(cas, c)
	}
	if id.CA != nil {
		cas = append(cas, id.CA)
	}
	return cas, nil
}

// PEM is the key (PKCS#8; left out when there is none), the certificate, its
// chain and the root as text.
func (id *Issued) PEM() ([]byte, error) {
	ders := id.Chain
	if id.CA != nil {
		ders = append(ders[:len(ders):len(ders)], id.CA.Raw)
	}
	if id.Key == nil {
		return encodeCerts(ders...), nil
	}
	return encodeIdentity(&Issued{Key: id.Key, Chain: ders})
}

// WritePrivate puts a bundle on disk, whole and readable by its owner alone.
func WritePrivate(path string, bundle []byte) error {
	if err := file.Write(path, bundle, file.Private); err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	return nil
}

// NewPassword is a random password of 130 bits, in 26 letters and digits that
// are easy to read aloud. Show it once and forget it.
func NewPassword() secret.Bytes { return randomText(17)[:26] }

// NewSharedKey is a random pre-shared key of 160 bits, in 32 letters and digits
// that are easy to type on a phone or a router.
func NewSharedKey() secret.Bytes { return randomText(20) }

func randomText(octets int) secret.Bytes {
	b := make([]byte, octets)
	rand.Read(b)
	text := make(secret.Bytes, base32.StdEncoding.EncodedLen(len(b)))
	readable.Encode(text, b)
	clear(b)
	return text
}

// readable has no l, o, 0 and 1.
var readable = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789")

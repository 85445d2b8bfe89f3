package labtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// KeyKind is a kind of key pair for a test certificate.
type KeyKind string

// The kinds of key that the peers are tried with.
const (
	RSA     KeyKind = "rsa"
	P256    KeyKind = "ecdsa-p256"
	P384    KeyKind = "ecdsa-p384"
	Ed25519 KeyKind = "ed25519"
)

// NewKey makes a key pair.
func NewKey(t testing.TB, kind KeyKind) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case RSA:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no key kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Authority is a certificate authority of one test.
type Authority struct {
	Cert *x509.Certificate

	key    crypto.Signer
	serial int64
	above  []*x509.Certificate // an intermediate's own chain: itself first, without the root
}

// NewAuthority makes an authority with an ECDSA P-384 key.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{key: NewKey(t, P384), serial: 1}
	template := authorityTemplate(name, 1)
	a.Cert = a.sign(t, template, template, a.key.Public())
	return a
}

// Intermediate makes an authority under this one, with a certificate that is
// bulk octets larger than it needs to be.
func (a *Authority) Intermediate(t testing.TB, name string, bulk int) *Authority {
	t.Helper()
	a.serial++
	sub := &Authority{key: NewKey(t, P384), serial: 1}
	template := authorityTemplate(name, a.serial)
	template.ExtraExtensions = bulky(bulk)
	sub.Cert = a.sign(t, template, a.Cert, sub.key.Public())
	sub.above = append([]*x509.Certificate{sub.Cert}, a.above...)
	return sub
}

func authorityTemplate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// Leaf describes an end-entity certificate.
type Leaf struct {
	Name    string // common name
	ID      string // subject alternative name: DNS name, IP address, or user@name
	Key     KeyKind
	Expired bool // ended an hour ago
	Bulk    int  // octets of an unknown extension, to make the certificate large
}

// Issued is a certificate with its key.
type Issued struct {
	Chain []*x509.Certificate // leaf first, without the root
	Key   crypto.Signer
}

// PEM is the key and then the chain, as servers of others read both from one
// file.
func (i Issued) PEM() []byte { return append(KeyPEM(i.Key), CertPEM(i.Chain...)...) }

// Issue makes a key pair and its certificate.
func (a *Authority) Issue(t testing.TB, leaf Leaf) Issued {
	t.Helper()
	key := NewKey(t, leaf.Key)
	return Issued{append([]*x509.Certificate{a.Certify(t, leaf, key.Public())}, a.above...), key}
}

// Certify makes a certificate for a public key.
func (a *Authority) Certify(t testing.TB, leaf Leaf, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: leaf.Name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if leaf.Expired {
		template.NotAfter = time.Now().Add(-time.Hour)
	}
	switch ip := net.ParseIP(leaf.ID); {
	case ip != nil:
		template.IPAddresses = []net.IP{ip}
	case strings.Contains(leaf.ID, "@"):
		template.EmailAddresses = []string{leaf.ID}
	case leaf.ID != "":
		template.DNSNames = []string{leaf.ID}
	}
	template.ExtraExtensions = bulky(leaf.Bulk)
	return a.sign(t, template, a.Cert, public)
}

// bulky is an extension without a meaning. Its number is under the enterprise
// reserved for documentation (RFC 5612).
func bulky(octets int) []pkix.Extension {
	if octets == 0 {
		return nil
	}
	value, err := asn1.Marshal(make([]byte, octets))
	if err != nil {
		panic(err) // an octet string always has an encoding
	}
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1}, Value: value}}
}

// CRL lists certificates as revoked.
func (a *Authority) CRL(t testing.TB, revoked ...*x509.Certificate) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now().Add(-time.Minute), ReasonCode: 1})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (a *Authority) sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// CertPEM encodes certificates, in order, as PEM.
func CertPEM(certs ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// KeyPEM encodes a private key as PKCS#8 PEM.
func KeyPEM(key crypto.Signer) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(fmt.Sprintf("labtest: a key of type %T has no PKCS#8 form: %v", key, err))
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

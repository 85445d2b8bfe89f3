// Package pki is Sallyport's certification authority and its judge of peers'
// certificates, on crypto/x509.
//
// A [CA] lives in one directory: its certificate and key, the gateway's server
// identities and its CRL. What it issued and revoked is indexed in the state
// store, so that it is written atomically and a fleet shares it.
//
// A [Verifier] judges what a peer sends: RFC 5280 path validation, the profile
// of RFC 4945 for IKE, CRLs, and reasons that a person can act on. It never
// follows a URI from a certificate (CVE-2022-40617).
package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/file"
	"sallyport/store"
)

const (
	day = 24 * time.Hour

	caValidity = 3653 * day // ten years

	// leafValidity keeps a certificate within the 398 days that Apple accepts
	// for a server's, with the hour of backdating.
	leafValidity = 397 * day

	// backdate lets a client whose clock is a little slow accept a certificate
	// that has just been issued.
	backdate = time.Hour
)

// Files in a CA's directory.
const (
	caFile     = "ca.pem" // key and certificate: one rename replaces both
	caCertFile = "ca.crt" // certificate alone, to give away
	crlFile    = "ca.crl" // DER
)

// Config says where a CA lives.
type Config struct {
	Dir   string      // mode 0700
	Index store.Store // records of what was issued and revoked
	Name  string      // common name, for Create
	Key   KeyKind     // for Create; empty means ECDSA P-384
}

// CA is a certification authority. Its methods are safe for concurrent use.
type CA struct {
	dir   string
	index store.Store
	cert  *x509.Certificate
	key   crypto.Signer

	crlMu sync.Mutex // one CRL is made at a time
	crl   atomic.Pointer[CRL]
}

// Create makes a new CA and its first, empty CRL. An existing one is never
// overwritten: the error is then [fs.ErrExist].
func Create(ctx context.Context, c Config, now time.Time) (*CA, error) {
	if c.Key == "" {
		c.Key = ECDSAP384
	}
	if c.Name == "" || len(c.Name) > maxCommonName {
		return nil, fmt.Errorf("pki: CA name %q: want 1 to %d octets", c.Name, maxCommonName)
	}
	if err := file.PrivateDir(c.Dir); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	key, cert, err := selfSigned(c.Name, c.Key, now)
	if err != nil {
		return nil, err
	}
	pem, err := encodeIdentity(&Issued{Cert: cert, Chain: [][]byte{cert.Raw}, Key: key})
	if err != nil {
		return nil, err
	}
	if err := file.Create(filepath.Join(c.Dir, caFile), pem, file.Private); err != nil {
		return nil, fmt.Errorf("pki: CA: %w", err)
	}
	return Open(ctx, c, now)
}

func selfSigned(name string, kind KeyKind, now time.Time) (crypto.Signer, *x509.Certificate, error) {
	key, err := generate(kind)
	if err != nil {
		return nil, nil, err
	}
	id, err := keyID(key.Public())
	if err != nil {
		return nil, nil, err
	}
	cert, err := sign(&x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caValidity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          id,
	}, nil, key.Public(), key)
	return key, cert, err
}

// Open opens the CA in c.Dir; c.Name and c.Key are not used. A CRL that is
// missing, old or behind the index is made anew.
func Open(ctx context.Context, c Config, now time.Time) (*CA, error) {
	path := filepath.Join(c.Dir, caFile)
	id, err := LoadIdentity(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(file.CheckOwn(c.Dir), file.CheckOwn(path)); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	if err := checkCA(id); err != nil {
		return nil, inFile(path, err)
	}
	ca := &CA{dir: c.Dir, index: c.Index, cert: id.Cert, key: id.Key}
	if err := file.Write(filepath.Join(c.Dir, caCertFile), encodeCerts(id.Cert.Raw), file.Public); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	if err := ca.openCRL(ctx, now); err != nil {
		return nil, err
	}
	return ca, nil
}

// checkCA wants what is needed to issue and to revoke, and a certificate that
// is as it was signed: one that lost a bit would be found out by the clients
// alone, each of which would refuse the gateway.
func checkCA(id *Issued) error {
	c := id.Cert
	switch {
	case !c.IsCA:
		return &FileError{Reason: "its certificate is not a CA's"}
	case c.KeyUsage&x509.KeyUsageCertSign == 0, c.KeyUsage&x509.KeyUsageCRLSign == 0:
		return &FileError{Reason: "its certificate may not sign certificates and revocation lists"}
	case len(c.SubjectKeyId) == 0:
		return &FileError{Reason: "its certificate has no identifier of its key, which its revocation lists need"}
	case len(c.AuthorityKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId): // RFC 5280, Section 4.2.1.1
		return nil // signed by a CA above, which the clients know
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return &FileError{Reason: "its certificate is not as it was signed", Err: err}
	}
	return nil
}

// Certificate is the CA's own.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// sign makes a certificate. A nil issuer means self-signed.
func sign(template, issuer *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, key)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	return cert, nil
}

// serial is 127 random bits: positive, within the 20 octets of RFC 5280,
// Section 4.1.2.2, and unpredictable (BR 7.1 wants 64 bits).
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x7f | 0x40 // never short, so that all serials look alike
	return new(big.Int).SetBytes(b)
}

// FileError says what is wrong with a file of keys, certificates or CRLs.
type FileError struct {
	File   string // "" when the octets came from elsewhere
	Line   int    // of the PEM block, from 1; 0 when it is the whole file
	Reason string
	Err    error // may be nil
}

// Error names the place and the reason.
func (e *FileError) Error() string {
	s := "pki: "
	if e.File != "" {
		s += e.File + ": "
	}
	if e.Line > 0 {
		s += fmt.Sprintf("line %d: ", e.Line)
	}
	s += e.Reason
	if e.Err != nil {
		s += fmt.Sprintf(": %v", e.Err)
	}
	return s
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *FileError) Hint() string {
	if errors.Is(e.Err, fs.ErrNotExist) {
		return "sallyport init makes the CA and its keys; if the gateway has run before, restore " + e.File + " from a backup"
	}
	return "restore the file from a backup or replace it; nothing was changed"
}

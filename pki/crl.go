package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// Entry is one entry of a CRL.
type Entry struct {
	At    time.Time
	Cause CRLReason
}

// CRL is a certificate revocation list, read once and looked up by serial
// number. It is immutable and safe for concurrent use.
type CRL struct {
	Raw        []byte // DER
	Number     *big.Int
	ThisUpdate time.Time
	NextUpdate time.Time // zero when the CRL promises none

	list    *x509.RevocationList // without its entries
	revoked map[string]Entry     // by the serial's octets

	mu       sync.Mutex
	verified map[string]error // by the issuer's SubjectPublicKeyInfo
}

// Lookup says whether and why a serial number is revoked.
func (l *CRL) Lookup(serial *big.Int) (Entry, bool) {
	r, ok := l.revoked[string(serial.Bytes())]
	return r, ok
}

// Len is the number of revoked certificates.
func (l *CRL) Len() int { return len(l.revoked) }

// Issuer is the issuer's name, for people.
func (l *CRL) Issuer() string { return l.list.Issuer.String() }

// LoadCRLs reads all CRLs of a PEM file, or the one of a DER file.
func LoadCRLs(path string) ([]*CRL, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	crls, err := ParseCRLs(b)
	return crls, inFile(path, err)
}

// ParseCRLs is [LoadCRLs] of a file's content. Signatures are checked when a
// [Verifier] gets the CRLs.
func ParseCRLs(b []byte) ([]*CRL, error) {
	var crls []*CRL
	for block, line := range blocks(b) {
		if block.Type != pemCRL {
			continue
		}
		l, err := parseCRL(block.Bytes)
		if err != nil {
			return nil, &FileError{Line: line, Reason: "damaged CRL", Err: err}
		}
		crls = append(crls, l)
	}
	if len(crls) > 0 {
		return crls, nil
	}
	l, err := parseCRL(b)
	if err != nil {
		return nil, &FileError{Reason: "no CRL in it, neither PEM nor DER", Err: err}
	}
	return []*CRL{l}, nil
}

// PEM is the CRL as text.
func (l *CRL) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCRL, Bytes: l.Raw})
}

func parseCRL(der []byte) (*CRL, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	if err := knownExtensions(list); err != nil {
		return nil, err
	}
	l := &CRL{
		Raw:        list.Raw,
		Number:     list.Number,
		ThisUpdate: list.ThisUpdate,
		NextUpdate: list.NextUpdate,
		list:       list,
		revoked:    make(map[string]Entry, len(list.RevokedCertificateEntries)),
		verified:   make(map[string]error),
	}
	if l.Number == nil {
		l.Number = new(big.Int) // a version 1 CRL
	}
	for _, e := range list.RevokedCertificateEntries {
		l.revoked[string(e.SerialNumber.Bytes())] = Entry{At: e.RevocationTime, Cause: CRLReason(e.ReasonCode)}
	}
	list.RevokedCertificateEntries = nil // 700 octets each; the map has what matters
	return l, nil
}

// knownExtensions refuses a CRL that covers only a part of the certificates:
// delta CRLs, indirect ones and those of one distribution point have critical
// extensions (RFC 5280, Section 5.2), and taking such a list for a whole one
// would let revoked certificates in.
func knownExtensions(list *x509.RevocationList) error {
	for _, e := range list.Extensions {
		if e.Critical && !e.Id.Equal(oidCRLNumber) && !e.Id.Equal(oidAuthorityKeyID) {
			return fmt.Errorf("it has the critical extension %v: only complete CRLs of one issuer can be used", e.Id)
		}
	}
	return nil
}

var (
	oidCRLNumber      = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidAuthorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// signedBy checks the signature once per issuer.
func (l *CRL) signedBy(issuer *x509.Certificate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := string(issuer.RawSubjectPublicKeyInfo)
	err, known := l.verified[key]
	if !known {
		err = l.list.CheckSignatureFrom(issuer)
		l.verified[key] = err
	}
	if err != nil {
		return fmt.Errorf("pki: CRL number %d of %q: %w", l.Number, l.Issuer(), err)
	}
	return nil
}

package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/file"
)

var (
	// oidIKEIntermediate is wanted by old Apple clients in a server's
	// certificate and harmless to all others.
	oidIKEIntermediate = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 8, 2, 2}
	// oidIPsecIKE is id-kp-ipsecIKE (RFC 4945, Section 5.1.3.12).
	oidIPsecIKE = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 17}
)

// Issued is a certificate with its chain and, where we made it, its key.
type Issued struct {
	Cert  *x509.Certificate
	Chain [][]byte          // DER, Cert first, then intermediate ones, without the root
	Key   crypto.Signer     // nil for a certificate from a CSR
	CA    *x509.Certificate // the root to trust; nil when it came from a file
}

// DeviceRequest asks for a device's certificate.
type DeviceRequest struct {
	User, Device string
	Key          KeyKind       // of the key to make; empty means ECDSA P-256
	Validity     time.Duration // 0 means 397 days; never beyond the CA's end
	CSR          []byte        // PKCS#10, DER or PEM, instead of Key
}

// IssueDevice issues a device's certificate and records it. Of a CSR it takes
// the key alone: names and extensions are ours.
func (ca *CA) IssueDevice(ctx context.Context, now time.Time, r DeviceRequest) (*Issued, error) {
	id, err := NewDeviceID(r.User, r.Device)
	if err != nil {
		return nil, err
	}
	pub, key, err := r.key()
	if err != nil {
		return nil, err
	}
	if r.Validity <= 0 {
		r.Validity = leafValidity
	}
	cert, err := ca.issue(&x509.Certificate{
		Subject:        pkix.Name{CommonName: id.FQDN},
		DNSNames:       []string{id.FQDN},
		EmailAddresses: []string{id.Email},
		NotBefore:      now.Add(-backdate),
		NotAfter:       now.Add(r.Validity),
		KeyUsage:       leafUsage(pub),
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, pub)
	if err != nil {
		return nil, err
	}
	if err := ca.record(ctx, newRecord(cert, r.User, r.Device)); err != nil {
		return nil, err
	}
	return &Issued{Cert: cert, Chain: [][]byte{cert.Raw}, Key: key, CA: ca.cert}, nil
}

// key is the public key to certify, and the private one if we make it.
func (r DeviceRequest) key() (crypto.PublicKey, crypto.Signer, error) {
	if len(r.CSR) > 0 {
		pub, err := csrKey(r.CSR)
		return pub, nil, err
	}
	if r.Key == "" {
		r.Key = ECDSAP256
	}
	key, err := generate(r.Key)
	if err != nil {
		return nil, nil, err
	}
	return key.Public(), key, nil
}

// maxCSR bounds what an enrolling device may send: RSA-8192 with attributes.
const maxCSR = 16 << 10

// csrKey is the public key of a CSR whose sender has proved to have the private
// one.
func csrKey(b []byte) (crypto.PublicKey, error) {
	if len(b) > maxCSR {
		return nil, fmt.Errorf("pki: CSR of %d octets, the most is %d", len(b), maxCSR)
	}
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	csr, err := x509.ParseCertificateRequest(b)
	if err != nil {
		return nil, fmt.Errorf("pki: CSR: %w", err)
	}
	// Before the signature: a key of a megabit must not be computed with.
	if w := weakness(csr.PublicKey); w != "" {
		return nil, fmt.Errorf("pki: CSR: %s", w)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("pki: CSR: its signature does not verify: %w", err)
	}
	return csr.PublicKey, nil
}

// IssueServer issues and records a certificate for the gateway's names, host
// names and addresses as users type them; the first becomes the common name.
func (ca *CA) IssueServer(ctx context.Context, now time.Time, names []string, kind KeyKind) (*Issued, error) {
	template, err := serverTemplate(now, names)
	if err != nil {
		return nil, err
	}
	key, err := generate(kind)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = leafUsage(key.Public())
	cert, err := ca.issue(template, key.Public())
	if err != nil {
		return nil, err
	}
	if err := ca.record(ctx, newRecord(cert, "", "")); err != nil {
		return nil, err
	}
	return &Issued{Cert: cert, Chain: [][]byte{cert.Raw}, Key: key, CA: ca.cert}, nil
}

func serverTemplate(now time.Time, names []string) (*x509.Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("pki: a server certificate needs a name")
	}
	t := &x509.Certificate{
		NotBefore:          now.Add(-backdate),
		NotAfter:           now.Add(leafValidity),
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{oidIKEIntermediate},
	}
	for _, name := range names {
		n, err := parseServerName(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(t.DNSNames, n.dns) {
			continue
		}
		t.DNSNames = append(t.DNSNames, n.dns)
		if n.ip.IsValid() {
			t.IPAddresses = append(t.IPAddresses, n.ip.AsSlice())
		}
	}
	if cn := t.DNSNames[0]; len(cn) <= maxCommonName {
		t.Subject.CommonName = cn
	}
	return t, nil
}

// leafUsage is what IKE needs (RFC 4945, Section 5.1.3.2); Windows wants
// keyEncipherment beside it for RSA.
func leafUsage(pub crypto.PublicKey) x509.KeyUsage {
	if _, ok := pub.(*rsa.PublicKey); ok {
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageDigitalSignature
}

func (ca *CA) issue(t *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	t.SerialNumber = serial()
	t.SubjectKeyId = id
	t.BasicConstraintsValid = true // CA:FALSE, said aloud
	if t.NotAfter.After(ca.cert.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	if !t.NotBefore.Before(t.NotAfter) {
		return nil, fmt.Errorf("pki: the CA %q has expired on %s", ca.cert.Subject.CommonName, ca.cert.NotAfter.Format(time.DateOnly))
	}
	return sign(t, ca.cert, pub, ca.key)
}

// serverKinds are the gateway's identities: ECDSA for all who can, RSA for
// Android's and Apple's built-in clients.
var serverKinds = []KeyKind{ECDSAP256, RSA3072}

// ServerIdentities returns the gateway's identities, ECDSA P-256 then RSA-3072,
// from their files. One that is missing, is due for renewal, is not as it was
// signed, has other names or another CA is issued anew and replaces its file. Call
// it at start and daily.
func (ca *CA) ServerIdentities(ctx context.Context, now time.Time, names []string) ([]*Issued, error) {
	return ca.serverIdentities(ctx, now, "server-", names)
}

// ZoneIdentities are the same with keys that one zone has for itself: what the
// peers of a weaker protocol can make of them says nothing about the others.
func (ca *CA) ZoneIdentities(ctx context.Context, now time.Time, zone string, names []string) ([]*Issued, error) {
	return ca.serverIdentities(ctx, now, "zone-"+zone+"-", names)
}

func (ca *CA) serverIdentities(ctx context.Context, now time.Time, prefix string, names []string) ([]*Issued, error) {
	want, err := serverTemplate(now, names)
	if err != nil {
		return nil, err
	}
	var ids []*Issued
	for _, kind := range serverKinds {
		path := filepath.Join(ca.dir, prefix+string(kind)+".pem")
		id, err := LoadIdentity(path)
		if err == nil {
			if open := file.CheckOwn(path); open != nil {
				return nil, fmt.Errorf("pki: %w", open)
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !ca.fits(id.Cert, want, now) {
			if id, err = ca.renewServer(ctx, now, path, names, kind); err != nil {
				return nil, err
			}
		}
		id.CA = ca.cert
		ids = append(ids, id)
	}
	return ids, nil
}

func (ca *CA) fits(have, want *x509.Certificate, now time.Time) bool {
	return have.CheckSignatureFrom(ca.cert) == nil &&
		!RenewalDue(have, now) &&
		bytes.Equal(have.AuthorityKeyId, ca.cert.SubjectKeyId) &&
		slices.Equal(have.DNSNames, want.DNSNames)
}

func (ca *CA) renewServer(ctx context.Context, now time.Time, path string, names []string, kind KeyKind) (*Issued, error) {
	id, err := ca.IssueServer(ctx, now, names, kind)
	if err != nil {
		return nil, err
	}
	b, err := encodeIdentity(id)
	if err != nil {
		return nil, err
	}
	if err := file.Write(path, b, file.Private); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	return id, nil
}

// RenewalDue reports whether less than a third of a certificate's life is left.
func RenewalDue(c *x509.Certificate, now time.Time) bool {
	return c.NotAfter.Sub(now) < c.NotAfter.Sub(c.NotBefore)/3
}

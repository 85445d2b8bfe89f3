package eap

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// authority is a certification authority of the tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// testPKI is made once: keys take time.
type testPKI struct {
	ca, other               *authority
	server, serverRSA       tls.Certificate
	client                  tls.Certificate
	expired, untrusted      tls.Certificate
	serverExpired, intruder tls.Certificate // an expired server; a server of the other authority
}

var thePKI = sync.OnceValue(makePKI)

const (
	serverName = "vpn.example.org"
	clientName = "alice@example.org"
)

func makePKI() *testPKI {
	p := &testPKI{ca: newAuthority("Sallyport Test Authority"), other: newAuthority("Another Authority")}
	now := time.Now()
	ec := func() crypto.Signer { k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); must(err); return k }
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	p.server = p.ca.issue(serverName, true, now.Add(time.Hour), ec())
	p.serverRSA = p.ca.issue(serverName, true, now.Add(time.Hour), k)
	p.client = p.ca.issue(clientName, false, now.Add(time.Hour), ec())
	p.expired = p.ca.issue(clientName, false, now.Add(-time.Hour), ec())
	p.untrusted = p.other.issue(clientName, false, now.Add(time.Hour), ec())
	p.serverExpired = p.ca.issue(serverName, true, now.Add(-time.Hour), ec())
	p.intruder = p.other.issue(serverName, true, now.Add(time.Hour), ec())
	return p
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func newAuthority(name string) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return &authority{cert, key}
}

func (a *authority) issue(name string, server bool, until time.Time, key crypto.Signer) tls.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	must(err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if server {
		template.DNSNames, template.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	} else {
		template.EmailAddresses = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// verify is a VerifyChain by the rules of crypto/x509.
func (a *authority) verify(usage x509.ExtKeyUsage, name string) VerifyChain {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return func(chain [][]byte) (Verified, error) {
		leaf, err := x509.ParseCertificate(chain[0])
		if err != nil {
			return Verified{}, err
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}})
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
			return Verified{}, &Refusal{Reason: ReasonCertificateExpired, Text: err.Error()}
		}
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
			return Verified{}, &Refusal{Reason: ReasonCertificateUntrusted, Text: err.Error()}
		}
		return Verified{Identity: leaf.Subject.CommonName, Value: leaf.SerialNumber.String()}, err
	}
}

func (p *testPKI) verifyClient() VerifyChain { return p.ca.verify(x509.ExtKeyUsageClientAuth, "") }
func (p *testPKI) verifyServer() VerifyChain {
	return p.ca.verify(x509.ExtKeyUsageServerAuth, serverName)
}

// serverTLS and peerTLS are the usual ends.
func (p *testPKI) serverTLS(version uint16) *TLS {
	roots := x509.NewCertPool()
	roots.AddCert(p.ca.cert)
	return &TLS{Certificates: []tls.Certificate{p.server, p.serverRSA}, Verify: p.verifyClient(), MaxVersion: version, Authorities: roots}
}

func (p *testPKI) peerTLS(version uint16) *TLS {
	return &TLS{Certificates: []tls.Certificate{p.client}, Verify: p.verifyServer(), MaxVersion: version}
}

// write puts a certificate and its key into files for programs of others.
func write(t *testing.T, dir, name string, c tls.Certificate) (cert, key string) {
	t.Helper()
	certificate, secret := pemOf(c)
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	must(os.WriteFile(cert, certificate, 0o644))
	must(os.WriteFile(key, secret, 0o644))
	return cert, key
}

// pemOf gives a certificate with those above it, and its key.
func pemOf(c tls.Certificate) (certificate, key []byte) {
	for _, d := range c.Certificate {
		certificate = append(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	must(err)
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// caPEM is the certificate of the test authority.
func caPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: thePKI().ca.cert.Raw})
}

package radius

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"crypto/tls"
	"crypto/x509"

	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/store/bolt"
)

const sharedSecret = labtest.RADIUSSecret

// users: what is granted, and a password for EAP-MD5.
const freeradiusUsers = `
alice	Cleartext-Password := "wonderland"
	Framed-IP-Address = 10.9.8.7,
	Framed-IPv6-Address = 2001:db8::7,
	Framed-IPv6-Prefix = 2001:db8:7::/64,
	Framed-IPv6-Pool = "six",
	Filter-Id = "staff",
	Class = 0x0102ff,
	Session-Timeout = 7200,
	Idle-Timeout = 900,
	Acct-Interim-Interval = 120,
	MS-Primary-DNS-Server = 10.0.0.53,
	Tunnel-Password:1 = "tunnel pass"

DEFAULT
	Session-Timeout = 60
`

// authority is the CA of the tests.
type authority struct {
	ca             *pki.CA
	server, client *pki.Issued
	verifier       *pki.Verifier
}

var theAuthority = sync.OnceValues(func() (*authority, error) { return newAuthority(theDirectory) })

// theDirectory holds the CA while tests run.
var theDirectory string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "radius-test-ca-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	theDirectory = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newAuthority(dir string) (*authority, error) {
	state, err := bolt.Open(filepath.Join(dir, "state.db"), bolt.Options{Create: true})
	if err != nil {
		return nil, err
	}
	ctx, now := context.Background(), time.Now().Add(-time.Hour)
	ca, err := pki.Create(ctx, pki.Config{Dir: filepath.Join(dir, "pki"), Name: "Test", Index: state}, now)
	if err != nil {
		return nil, err
	}
	a := &authority{ca: ca}
	if a.server, err = ca.IssueServer(ctx, now, []string{"radius.example.org"}, pki.ECDSAP256); err != nil {
		return nil, err
	}
	if a.client, err = ca.IssueDevice(ctx, now, pki.DeviceRequest{User: "alice", Device: "laptop"}); err != nil {
		return nil, err
	}
	a.verifier, err = pki.NewVerifier(pki.Trust{Roots: []*x509.Certificate{ca.Certificate()}, CRLs: []*pki.CRL{ca.CRL()}})
	return a, err
}

func authorityOf(t *testing.T) *authority {
	t.Helper()
	a, err := theAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) clientTLS() tls.Certificate {
	return tls.Certificate{Certificate: a.client.Chain, PrivateKey: a.client.Key}
}

// serveFreeRADIUS runs one, with RadSec, until the test ends; tlsVersion is its
// highest.
func serveFreeRADIUS(t *testing.T, tlsVersion string) *labtest.FreeRADIUS {
	t.Helper()
	a := authorityOf(t)
	server, err := a.server.PEM()
	if err != nil {
		t.Fatal(err)
	}
	return labtest.StartFreeRADIUS(t, labtest.FreeRADIUSConfig{
		CA: labtest.CertPEM(a.ca.Certificate()), Server: server, Users: freeradiusUsers, TLS: tlsVersion, RadSec: true,
	})
}

func udpServer(address string) Server {
	return Server{Name: address, Address: address, Secret: secret.Bytes(sharedSecret), Status: true}
}

package radius

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"sallyport/internal/secret"
	"sallyport/pki"
)

// radsecSecret is the secret of every RADIUS packet inside TLS, where it
// protects nothing (RFC 6614, Section 2.3).
var radsecSecret = secret.Bytes("radsec")

// TLS is our side of RadSec (RFC 6614). Both ends show certificates.
type TLS struct {
	// Name must stand in the server's certificate, as a DNS name or an address.
	Name string
	// Certificate and key are ours.
	Certificate tls.Certificate
	// Verifier judges the server's certificate and its revocation.
	Verifier *pki.Verifier
}

func (t *TLS) check() error {
	switch {
	case t.Name == "":
		return errors.New("RadSec needs the name that the server's certificate must have")
	case t.Verifier == nil:
		return errors.New("RadSec needs the CA of the server's certificate")
	case len(t.Certificate.Certificate) == 0:
		return errors.New("RadSec needs a certificate of ours")
	}
	return nil
}

// dial makes a connection that is good to send requests over: the handshake is
// done, and the server is who it should be.
func (t *TLS) dial(ctx context.Context, address string) (net.Conn, error) {
	d := tls.Dialer{
		NetDialer: &net.Dialer{KeepAlive: 30 * time.Second},
		Config: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			ServerName:   t.Name,
			Certificates: []tls.Certificate{t.Certificate},
			// crypto/tls would know no revocation: VerifyConnection judges in its
			// place, and is always called.
			InsecureSkipVerify: true,
			VerifyConnection:   t.verify,
		},
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("radius: RadSec to %s: %w", address, err)
	}
	return conn, nil
}

// verify judges the server (RFC 6614, Section 2.3): a chain to the configured
// CA, not revoked, and the configured name in it.
func (t *TLS) verify(s tls.ConnectionState) error {
	var chain [][]byte
	for _, c := range s.PeerCertificates {
		chain = append(chain, c.Raw)
	}
	leaf, err := t.Verifier.Verify(time.Now(), chain, pki.Server)
	if err != nil {
		return err
	}
	return nameIn(leaf, t.Name)
}

func nameIn(c *x509.Certificate, name string) error {
	if err := c.VerifyHostname(name); err != nil {
		return fmt.Errorf("the server's certificate is for another name: %w", err)
	}
	return nil
}

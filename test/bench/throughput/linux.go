package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"sallyport/internal/lab/linux"
)

// guests reports whether the hosts are Linux guests, which have an iperf3 server
// already.
func (r *running) guests() bool { return r.name == "linux-l2tp" }

// startLinux joins a Linux client with a Linux server by L2TP/IPsec: strongSwan,
// xl2tpd and pppd, and all packets in the two kernels.
func startLinux(ctx context.Context, r *running, _ options) error {
	a, err := linux.Boot(ctx, r.a, linux.Options{})
	if err != nil {
		return err
	}
	b, err := linux.Boot(ctx, r.b, linux.Options{})
	if err != nil {
		return err
	}
	c, s, err := linuxPair()
	if err != nil {
		return err
	}
	if _, err := b.Serve(ctx, s); err != nil {
		return err
	}
	vpn, err := a.Configure(ctx, c)
	if err != nil {
		return err
	}
	if _, err := vpn.Up(ctx); err != nil {
		return err
	}
	if status, err := vpn.Status(ctx); err != nil || !strings.Contains(status, "INSTALLED, TRANSPORT") {
		return errors.Join(err, errors.New("linux-l2tp: no IPsec in use"))
	}
	const log = "/run/log/iperf3.log"
	if _, err := b.Start(ctx, linux.Command{Program: "iperf3", Args: []string{"--server", "--forceflush"}, Log: log}); err != nil {
		return err
	}
	r.run = a.Run
	_, err = b.Await(ctx, log, "Server listening")
	return err
}

// linuxPair is a client and its server: a shared secret in IKEv1, whose price is
// paid before anything is measured, and EAP-TLS.
func linuxPair() (c linux.Client, s linux.Server, err error) {
	ca, caKey, err := certify("Authority", nil, nil)
	if err != nil {
		return c, s, err
	}
	const secret, server, user = "this traffic is worth nothing", "vpn.example.org", "alice"
	c = linux.Client{Server: netip.MustParseAddr(outerB), PSK: secret, Fragments: true, Encap: true, User: user, EAP: &linux.EAPTLS{CA: certPEM(ca), Server: server}}
	s = linux.Server{PSK: secret, Name: server, UserCA: certPEM(ca), DNS: netip.MustParseAddr(innerB),
		Local: netip.MustParseAddr(innerB), First: netip.MustParseAddr(innerA), Last: netip.MustParseAddr("10.1.0.9")}
	for _, of := range []struct {
		name      string
		cert, key *[]byte
	}{{user, &c.EAP.Cert, &c.EAP.Key}, {server, &s.EAPCert, &s.EAPKey}} {
		cert, key, err := certify(of.name, ca, caKey)
		if err != nil {
			return c, s, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return c, s, err
		}
		*of.cert, *of.key = certPEM(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	return c, s, nil
}

// certify makes a key and its certificate; without an issuer it is an authority.
func certify(name string, issuer *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if issuer == nil {
		t.IsCA, t.BasicConstraintsValid, t.KeyUsage, t.ExtKeyUsage, t.DNSNames = true, true, x509.KeyUsageCertSign, nil, nil
		issuer, by = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, key.Public(), by)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

package radius

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"log/slog"

	"sallyport/internal/lab/labtest"
	"sallyport/pki"
	"sallyport/protocol/radius"
)

func radsecServer(t *testing.T, address string) Server {
	t.Helper()
	a := authorityOf(t)
	return Server{Name: "radsec " + address, Address: address, TLS: &TLS{Name: "radius.example.org", Certificate: a.clientTLS(), Verifier: a.verifier}}
}

// logTo is a logger whose lines a test can look for.
func logTo(w *labtest.Transcript) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestRadSecWithFreeRADIUS(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		t.Run("TLS "+version, func(t *testing.T) {
			f := serveFreeRADIUS(t, version)
			c := openClient(t, Config{Servers: []Server{radsecServer(t, f.RadSec)}, Watch: time.Second})
			a := authorityOf(t)
			peer := newTLSPeer(t, &tls.Config{Certificates: []tls.Certificate{a.clientTLS()}, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
			step, err := logIn(t, c, radius.LoginConfig{Attributes: port}, "alice", peer)
			if err != nil || step.Outcome != radius.Accepted {
				t.Fatalf("%+v, %v\n%s", step, err, f.Tail())
			}
			if msk, err := peer.msk(); err != nil || !bytes.Equal(msk, step.Grant.MSK) {
				t.Errorf("the server's MSK is not the peer's (%v)", err)
			}
			record := &radius.Record{Status: radius.AcctStart, Time: time.Now(), SessionID: "over-tls", UserName: "alice"}
			if reply, err := c.Exchange(t.Context(), record.Request(time.Now())); err != nil || reply.Code != radius.AccountingResponse {
				t.Fatalf("accounting: %v, %v", reply, err)
			}
			f.Detail(`Acct-Session-Id = "over-tls"`)
			// An idle connection is kept open, and watched, by Status-Server.
			f.Says("Received Status-Server")
			if s := c.Status()[0]; s.Dead || s.Drops.Total() != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestRadSecReconnects(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	c := openClient(t, Config{Servers: []Server{radsecServer(t, f.RadSec)}, Watch: time.Hour})
	login := func() error {
		_, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wonderland"})
		return err
	}
	if err := login(); err != nil {
		t.Fatal(err)
	}
	f.Stop()
	f.Start()
	if err := login(); err != nil {
		t.Fatalf("after a restart: %v\n%s", err, f.Tail())
	}
}

func TestRadSecIsPassedOverWhenDown(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	var log labtest.Transcript
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for name, address := range map[string]string{"refused": "127.0.0.1:1", "mute": l.Addr().String()} {
		c := openClient(t, Config{Servers: []Server{radsecServer(t, address), udpServer(f.Auth)}, Plan: quick, Logger: logTo(&log)})
		step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wonderland"})
		if err != nil || step.Outcome != radius.Accepted {
			t.Errorf("%s: %+v, %v", name, step, err)
		}
		if !c.Status()[0].Dead {
			t.Errorf("%s: it is not found dead", name)
		}
	}
	if !strings.Contains(log.String(), "connection refused") {
		t.Errorf("the log does not say why:\n%s", log.String())
	}
}

// impostor is a TLS server that would answer anything.
func impostor(t *testing.T, certificate tls.Certificate) (address string, asked func() bool) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var got bool
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if b, err := readPacket(conn); err == nil {
					mu.Lock()
					got = true
					mu.Unlock()
					p, err := radius.Parse(b)
					if err != nil {
						return
					}
					answer := radius.Packet{Code: radius.AccessAccept, Identifier: p.Identifier}
					data, _ := answer.AppendReply(nil, p.Authenticator, radsecSecret)
					conn.Write(data)
				}
			}()
		}
	}()
	return l.Addr().String(), func() bool {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func TestRadSecRefusesServersThatAreNotTheOne(t *testing.T) {
	a := authorityOf(t)
	ctx, now := t.Context(), time.Now()
	issue := func(name string) *pki.Issued {
		i, err := a.ca.IssueServer(ctx, now.Add(-time.Hour), []string{name}, pki.ECDSAP256)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	revoked := issue("radius.example.org")
	crl, err := a.ca.Revoke(ctx, now, pki.SerialText(revoked.Cert.SerialNumber), pki.Unspecified)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := pki.NewVerifier(pki.Trust{Roots: []*x509.Certificate{a.ca.Certificate()}, CRLs: []*pki.CRL{crl}})
	if err != nil {
		t.Fatal(err)
	}
	pair := func(i *pki.Issued) tls.Certificate {
		return tls.Certificate{Certificate: i.Chain, PrivateKey: i.Key}
	}
	for _, c := range []struct {
		name        string
		certificate tls.Certificate
		want        string
	}{
		{"another name", pair(issue("other.example.org")), "another name"},
		{"a device", a.clientTLS(), "serverAuth"},
		{"revoked", pair(revoked), "revoked"},
		{"self-signed", selfSigned(t), "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, asked := impostor(t, c.certificate)
			var log labtest.Transcript
			s := radsecServer(t, address)
			s.TLS.Verifier = verifier
			client := openClient(t, Config{Servers: []Server{s}, Plan: hasty, Logger: logTo(&log)})
			if reply, err := client.Exchange(ctx, radius.Request{Code: radius.AccessRequest}); err == nil {
				t.Errorf("it was asked, and answered %v", reply.Code)
			}
			if asked() {
				t.Error("it has seen the request")
			}
			if !strings.Contains(log.String(), c.want) {
				t.Errorf("the log does not say %q:\n%s", c.want, log.String())
			}
		})
	}
	// The same server with the right certificate is asked.
	address, asked := impostor(t, pair(issue("radius.example.org")))
	s := radsecServer(t, address)
	s.TLS.Verifier = verifier
	if _, err := openClient(t, Config{Servers: []Server{s}, Plan: quick}).Exchange(ctx, radius.Request{Code: radius.AccessRequest}); err != nil || !asked() {
		t.Errorf("the right server: %v", err)
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "radius.example.org"}, DNSNames: []string{"radius.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestFreeRADIUSRefusesACertificateOfAnotherCA(t *testing.T) {
	f := serveFreeRADIUS(t, "1.3")
	var log labtest.Transcript
	s := radsecServer(t, f.RadSec)
	s.TLS.Certificate = selfSigned(t)
	c := openClient(t, Config{Servers: []Server{s}, Plan: hasty, Logger: logTo(&log)})
	if _, err := c.Exchange(t.Context(), radius.Request{Code: radius.StatusServer}); err == nil {
		t.Error("it was answered")
	}
	if !strings.Contains(log.String(), "trusts our certificate") {
		t.Errorf("the log does not say what to look at:\n%s", log.String())
	}
}

func TestStreamsAreCutIntoPackets(t *testing.T) {
	good := slices.Concat([]byte{2, 1, 0, 20}, make([]byte, 16))
	r := bytes.NewReader(slices.Concat(good, good))
	for range 2 {
		if b, err := readPacket(r); err != nil || !bytes.Equal(b, good) {
			t.Errorf("%x, %v", b, err)
		}
	}
	for _, b := range [][]byte{{}, {2, 1, 0}, {2, 1, 0, 19}, {2, 1, 0x10, 0x01}, {2, 1, 0xff, 0xff}, good[:19]} {
		if got, err := readPacket(bytes.NewReader(b)); err == nil {
			t.Errorf("%x is read as %x", b, got)
		}
	}
}

func TestADisconnectOverOurConnectionIsAnswered(t *testing.T) {
	a := authorityOf(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: a.server.Chain, PrivateKey: a.server.Key}}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answers := make(chan []byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		readPacket(conn)
		p := radius.Packet{Code: radius.DisconnectRequest, Identifier: 5, Attributes: []radius.Attribute{radius.TextAttr(radius.UserName, "alice")}}
		b, _ := p.AppendRequest(nil, radsecSecret)
		conn.Write(b)
		b, _ = readPacket(conn)
		answers <- b
	}()
	c := openClient(t, Config{Servers: []Server{radsecServer(t, l.Addr().String())}, Plan: quick})
	c.Do(radius.Request{Code: radius.AccessRequest}, func(radius.Reply, error) {})
	select {
	case b := <-answers:
		if p, err := radius.Parse(b); err != nil || p.Code != radius.DisconnectNAK || p.Identifier != 5 {
			t.Errorf("%+v, %v", p, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no answer")
	}
}

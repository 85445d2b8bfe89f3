package tlspump

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"
)

func serverConfig(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, SessionTicketsDisabled: true}
}

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MaxVersion: version}
}

// shake passes flights between the ends until both are complete.
func shake(t *testing.T, client, server *Pump) (flights int) {
	t.Helper()
	from, to := client, server
	var octets []byte
	for done := [2]bool{}; !done[0] || !done[1]; flights++ {
		if flights > 10 {
			t.Fatal("the handshake does not end")
		}
		if err := from.Feed(octets); err != nil {
			t.Fatal(err)
		}
		flight, complete, err := from.Flight()
		if err != nil {
			t.Fatal(err)
		}
		done[flights%2] = complete
		octets = flight
		from, to = to, from
	}
	return flights
}

// ends are two that have not spoken yet.
func ends(t testing.TB, version uint16) (client, server *Pump) {
	t.Helper()
	client, server = Client(clientConfig(version)), Server(serverConfig(t))
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func established(t *testing.T, version uint16) (client, server *Pump) {
	t.Helper()
	client, server = ends(t, version)
	shake(t, client, server)
	return client, server
}

// move passes what one end has to send.
func move(t *testing.T, from, to *Pump) {
	t.Helper()
	flight, _, err := from.Flight()
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Feed(flight); err != nil {
		t.Fatal(err)
	}
}

func TestHandshakeDataAndKeys(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			client, server := established(t, version)
			if client.State().Version != version {
				t.Errorf("version %x", client.State().Version)
			}
			a, err1 := client.Export("label", []byte("context"), 128)
			b, err2 := server.Export("label", []byte("context"), 128)
			if errors.Join(err1, err2) != nil || !a.Equal(b) || len(a) != 128 {
				t.Errorf("the keys differ: %v, %v", err1, err2)
			}
			text := bytes.Repeat([]byte("x"), 20_000) // more than one record
			for _, way := range [][2]*Pump{{client, server}, {server, client}} {
				if err := way[0].Write(text); err != nil {
					t.Fatal(err)
				}
				move(t, way[0], way[1])
				if got, err := way[1].Read(); err != nil || !bytes.Equal(got, text) {
					t.Errorf("%d octets, %v", len(got), err)
				}
				if got, err := way[1].Read(); err != nil || len(got) != 0 {
					t.Errorf("then %d octets, %v", len(got), err)
				}
			}
		})
	}
}

func TestRecordsMayComeInParts(t *testing.T) {
	client, server := established(t, tls.VersionTLS13)
	if err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	flight, _, _ := client.Flight()
	for i, b := range flight {
		server.Feed([]byte{b})
		got, err := server.Read()
		if want := i == len(flight)-1; err != nil || (string(got) == "hello") != want {
			t.Fatalf("octet %d of %d: %q, %v", i+1, len(flight), got, err)
		}
	}
}

func TestBeforeTheHandshakeThereIsNothing(t *testing.T) {
	p := Client(clientConfig(0))
	defer p.Close()
	if _, err := p.Read(); err == nil {
		t.Error("Read")
	}
	if err := p.Write([]byte("x")); err == nil {
		t.Error("Write")
	}
	if _, err := p.Export("label", nil, 16); err == nil {
		t.Error("Export")
	}
}

func TestFailureKeepsTheAlert(t *testing.T) {
	refusal := errors.New("I do not like it")
	config := clientConfig(0)
	config.VerifyConnection = func(tls.ConnectionState) error { return refusal }
	client, server := Client(config), Server(serverConfig(t))
	defer client.Close()
	defer server.Close()
	client.Feed(nil)
	hello, _, _ := client.Flight()
	server.Feed(hello)
	flight, _, _ := server.Flight()
	client.Feed(flight)
	alert, complete, err := client.Flight()
	if !errors.Is(err, refusal) || complete || len(alert) == 0 {
		t.Fatalf("% x, %v, %v", alert, complete, err)
	}
	server.Feed(alert)
	_, _, err = server.Flight()
	if text, ok := RemoteAlert(err); !ok || !strings.Contains(text, "bad certificate") {
		t.Errorf("%v", err)
	}
	if _, ok := RemoteAlert(refusal); ok {
		t.Error("any error is an alert")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	p := Server(serverConfig(t))
	defer p.Close()
	if err := p.Feed(make([]byte, MaxFlight)); err != nil {
		t.Error(err)
	}
	if err := p.Feed([]byte{0}); err == nil {
		t.Error("more than MaxFlight is taken")
	}
	client, _ := established(t, tls.VersionTLS13)
	if err := client.Write(make([]byte, MaxFlight)); err == nil {
		t.Error("more than MaxFlight is written")
	}
	if _, _, err := client.Flight(); err == nil {
		t.Error("an overflow is forgotten")
	}
}

// A panic inside TLS surfaces where Flight is called, so that it can be
// contained there.
func TestPanicSurfacesInFlight(t *testing.T) {
	config := serverConfig(t)
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("inside") }
	client, server := Client(clientConfig(0)), Server(config)
	defer client.Close()
	hello, _, _ := client.Flight()
	server.Feed(hello)
	defer func() {
		if v := recover(); v != "inside" {
			t.Errorf("recovered %v", v)
		}
		server.Close()
	}()
	server.Flight()
	t.Error("no panic")
}

// handshakes counts the coroutines that stand in a handshake.
func handshakes() int {
	b := make([]byte, 4<<20)
	return strings.Count(string(b[:runtime.Stack(b, true)]), ".handshake(")
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%s", what)
}

func TestCloseReleasesAHandshake(t *testing.T) {
	before := handshakes()
	var pumps []*Pump
	for range 20 {
		p := Client(clientConfig(0))
		p.Flight()
		pumps = append(pumps, p)
	}
	if got := handshakes(); got != before+20 {
		t.Fatalf("%d handshakes stand", got-before)
	}
	for _, p := range pumps {
		p.Close()
		p.Close()
		if err := p.Feed([]byte{1}); err != ErrClosed {
			t.Errorf("Feed: %v", err)
		}
		if _, _, err := p.Flight(); err != ErrClosed {
			t.Errorf("Flight: %v", err)
		}
	}
	until(t, "closed handshakes still stand", func() bool { return handshakes() == before })
}

func TestForgottenPumpIsReleased(t *testing.T) {
	before := handshakes()
	func() {
		for range 20 {
			Client(clientConfig(0)).Flight()
		}
	}()
	until(t, "forgotten handshakes still stand", func() bool { runtime.GC(); return handshakes() == before })
}

func TestCompleteHandshakeHasNoCoroutine(t *testing.T) {
	before := handshakes()
	established(t, tls.VersionTLS12)
	if got := handshakes(); got != before {
		t.Errorf("%d handshakes stand", got-before)
	}
}

// FuzzServer feeds a server anything in two flights: it ends in an error, or
// waits; it never completes, and never keeps more than it may.
func FuzzServer(f *testing.F) {
	client := Client(clientConfig(0))
	hello, _, _ := client.Flight()
	client.Close()
	f.Add(hello, []byte{})
	f.Add(hello[:len(hello)/2], hello[len(hello)/2:])
	f.Add([]byte{21, 3, 3, 0, 2, 2, 48}, hello)
	config := serverConfig(f)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		p := Server(config)
		defer p.Close()
		for _, flight := range [][]byte{a, b} {
			if p.Feed(flight) != nil {
				return
			}
			out, complete, err := p.Flight()
			if complete || len(out) > MaxFlight {
				t.Fatalf("complete %v, %d octets, %v", complete, len(out), err)
			}
		}
	})
}

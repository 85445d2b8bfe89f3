package engine

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// The world of the tests: engines on a network in memory, each with a backend
// that really signs and verifies.

// lan delivers datagrams at once, in the sender's goroutine, as a plane's
// reader would.
type lan struct {
	mu    sync.Mutex
	hosts map[netip.Addr]*Engine
	sent  []ike.Datagram // to hosts that are not there
	drop  func(local, remote netip.AddrPort, msg []byte) bool
}

func (l *lan) deliver(local, remote netip.AddrPort, msg []byte) {
	l.mu.Lock()
	to := l.hosts[remote.Addr()]
	if to == nil {
		l.sent = append(l.sent, ike.Datagram{Local: local, Remote: remote, Data: append([]byte(nil), msg...)})
	}
	drop := l.drop
	l.mu.Unlock()
	if to != nil && (drop == nil || !drop(local, remote, msg)) {
		to.Upcalls().IKE(remote, local, msg)
	}
}

// SendIKE implements [dataplane.Control].
func (l *lan) SendIKE(local, remote netip.AddrPort, msg []byte) error {
	l.deliver(local, remote, msg)
	return nil
}

// host is an engine with its backend and plane.
type host struct {
	*Engine
	*testBackend
	plane *dataplane.Null
	addr  netip.Addr
}

// testBackend admits everybody with a certificate of the test CA and hands out
// addresses by counting.
type testBackend struct {
	identity *ike.Identity
	key      crypto.Signer
	child    *ike.ChildPolicy

	mu     sync.Mutex
	leases uint32
	events []ike.Event
	hook   func(*Session, ike.Event) // on the loop, before the event is noted
	authed func(*ike.Authenticate)   // on a worker
}

func (b *testBackend) Authenticate(t *ike.Authenticate) (*ike.Admission, error) {
	if b.authed != nil {
		b.authed(t)
	}
	cert, err := x509.ParseCertificate(t.Chain[0])
	if err != nil {
		return nil, err
	}
	if err := cert.CheckSignatureFrom(testCA().cert); err != nil {
		return nil, err
	}
	if _, err := t.Verify(cert.PublicKey); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return &ike.Admission{Identity: t.PeerID.String(), Device: t.PeerID.String(), Local: b.identity, Policy: b.child, Lease: true}, nil
}

func (b *testBackend) Sign(t *ike.Sign) (ike.Signed, error) {
	sig, err := suite.ChooseSignature(t.Identity.Public, t.Hashes, t.Allow, false)
	if err != nil {
		return ike.Signed{}, err
	}
	data, err := sig.Sign(b.key, t.Octets)
	return ike.Signed{Method: sig.Method, Data: data}, err
}

func (b *testBackend) Lease(*ike.Lease) (ike.Leased, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases++
	return ike.Leased{IPv4: netip.AddrFrom4([4]byte{10, byte(b.leases >> 16), byte(b.leases >> 8), byte(b.leases)})}, nil
}

func (b *testBackend) Event(s *Session, ev ike.Event) {
	if b.hook != nil {
		b.hook(s, ev)
	}
	switch ev.(type) {
	case ike.Established, ike.Closed, ike.Refused: // others would be most of the heap that is measured
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, ev)
	}
}

// shapeByData gives every Child SA the rate that a hook has left in Data.
func shapeByData(s *Session, sa *dataplane.ChildSA) { sa.Rate, _ = s.Data.(*dataplane.Rate) }

// count returns how many events of type E came.
func count[E ike.Event](b *testBackend) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range b.events {
		if _, ok := ev.(E); ok {
			n++
		}
	}
	return n
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var testCA = sync.OnceValue(func() authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return authority{issue("Test CA", key.Public(), nil, key), key}
})

func issue(name string, pub crypto.PublicKey, parent *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), BasicConstraintsValid: true,
		IsCA: parent == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = t
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
}

// newIdentity makes a credential of the test CA.
func newIdentity(name string) (*ike.Identity, crypto.Signer) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	cert := issue(name, key.Public(), testCA().cert, testCA().key)
	return &ike.Identity{ID: ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte(name)}, Chain: [][]byte{cert.Raw}, Key: name, Public: key.Public()}, key
}

func allTraffic() []ikemsg.TrafficSelector {
	return []ikemsg.TrafficSelector{{EndPort: 65535, Start: netip.MustParseAddr("0.0.0.0"), End: netip.MustParseAddr("255.255.255.255")}}
}

func testPolicy(t testing.TB) (*ike.Policy, *ike.ChildPolicy) {
	t.Helper()
	i, err := suite.ParseProposal(suite.ProtocolIKE, "aes256gcm16-prfsha256-ecp256")
	if err != nil {
		t.Fatal(err)
	}
	e, err := suite.ParseProposal(suite.ProtocolESP, "aes256gcm16-ecp256")
	if err != nil {
		t.Fatal(err)
	}
	return &ike.Policy{IKE: []suite.Proposal{i}, ForceEncap: true}, &ike.ChildPolicy{Name: "test", ESP: []suite.Proposal{e}}
}

// join puts a new host on the network.
func (l *lan) join(t testing.TB, addr string, log *slog.Logger) *host {
	t.Helper()
	policy, child := testPolicy(t)
	h := &host{testBackend: &testBackend{child: child}, plane: new(dataplane.Null), addr: netip.MustParseAddr(addr)}
	h.identity, h.key = newIdentity("host-" + addr)
	child.Local = allTraffic()
	h.Engine = New(Options{Backend: h.testBackend, Shape: shapeByData, Logger: log, Shards: 3, Workers: 2})
	h.Start(h.plane, l)
	h.Respond(&Profile{Policy: policy})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		h.Close(ctx)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hosts == nil {
		l.hosts = make(map[netip.Addr]*Engine)
	}
	l.hosts[h.addr] = h.Engine
	return h
}

// leave takes a host off the network without a word.
func (l *lan) leave(h *host) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.hosts, h.addr)
}

// connect starts a session from one host to another, from a port of its own.
func (h *host) connect(t testing.TB, to *host, port uint16) *Session {
	t.Helper()
	policy, child := testPolicy(t)
	child.Local, child.Remote = allTraffic(), allTraffic()
	return h.connectAs(t, to, port, h.identity, &Profile{Policy: policy}, child)
}

func (h *host) connectAs(t testing.TB, to *host, port uint16, id *ike.Identity, p *Profile, child *ike.ChildPolicy) *Session {
	t.Helper()
	h.mu.Lock()
	h.child = child
	h.mu.Unlock()
	s, err := h.Connect(p, ike.Connect{
		Local: netip.AddrPortFrom(h.addr, port), Remote: netip.AddrPortFrom(to.addr, 500), NATTLocal: port,
		Identity: id, Child: child, Request: ike.Request{IPv4: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sizes describes what a host still holds; "" when nothing.
func (h *host) sizes() string {
	var b strings.Builder
	note := func(name string, n int) {
		if n != 0 {
			fmt.Fprintf(&b, "%d %s; ", n, name)
		}
	}
	note("SAs in the plane", len(h.plane.SAs()))
	note("sessions", int(h.sessions.Load()))
	note("half-open", h.halfOpen.count())
	for _, sh := range h.shards {
		note("SPIs", len(sh.bySPI))
		note("child SPIs", len(sh.byChild))
		note("first requests", len(sh.byInit))
		note("timers", len(sh.timers.heap))
		note("sessions of a shard", len(sh.all))
	}
	return b.String()
}

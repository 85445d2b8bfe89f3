package gateway

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/internal/secret"
	"sallyport/pki"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// startGateway runs a real gateway on loopback, without TUN device.
func startGateway(t *testing.T, path string) *Gateway {
	t.Helper()
	g, err := Start(t.Context(), Options{Config: path, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	return g
}

// newGateway makes a state and runs a gateway on it.
func newGateway(t *testing.T, zones string) *Gateway {
	t.Helper()
	path := testConfig(t, zones)
	initState(t, path)
	return startGateway(t, path)
}

// enrol adds a device and returns what it got.
func enrol(t *testing.T, g *Gateway, name, zone string) credential {
	t.Helper()
	c := g.Client()
	if _, ok := g.registry.User("alice"); !ok {
		call[User](t, c, "POST", "/v1/users", NewUser{Name: "alice"})
	}
	e := call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: name, User: "alice", Zone: zone})
	return newCredential(t, e.Key+e.Certificate, e.CA, e.Device.Identity)
}

// credential is what a device needs to come in.
type credential struct {
	identity *ike.Identity
	key      crypto.Signer
	verifier *pki.Verifier
	psk      secret.Bytes // in place of both
}

func newCredential(t *testing.T, keyAndCert, ca, id string) credential {
	t.Helper()
	issued, err := pki.ParseIdentity([]byte(keyAndCert))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := pki.ParseCertificates([]byte(ca))
	if err != nil {
		t.Fatal(err)
	}
	v, err := pki.NewVerifier(pki.Trust{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	me := identityOf(id)
	me.Responder = false
	return credential{identity: &ike.Identity{ID: me, Chain: issued.Chain, Key: "k", Public: issued.Cert.PublicKey}, key: issued.Key, verifier: v}
}

// dialer is an initiator with an engine and sockets of its own.
type dialer struct {
	credential
	engine *engine.Engine
	plane  *nullPlane
	child  *ike.ChildPolicy
	policy *ike.Policy
	events chan ike.Event
	ports  config.Ports
	want   string // IDr to ask for
	quiet  bool   // no INITIAL_CONTACT

	eap     *engine.EAPPeer // log in by EAP
	eapOnly bool
	signed  atomic.Int32 // signatures of the gateway that were verified
}

func dial(t *testing.T, c credential) *dialer {
	t.Helper()
	d := &dialer{credential: c, events: make(chan ike.Event, 1000), want: "vpn.example.org"}
	d.policy = &ike.Policy{IKE: mustProposals(t, suite.ProtocolIKE, "aes256gcm16-prfsha256-ecp256")}
	d.child = &ike.ChildPolicy{ESP: mustProposals(t, suite.ProtocolESP, "aes256gcm16-ecp256"), Local: everything(), Remote: everything()}
	d.engine = engine.New(engine.Options{Backend: d, Shards: 1, Workers: 1})
	d.ports.IKE, d.ports.NATT = freePorts(t)
	var err error
	if d.plane, err = openNull([]netip.Addr{netip.MustParseAddr("127.0.0.1")}, d.ports, d.engine.Upcalls()); err != nil {
		t.Fatal(err)
	}
	d.engine.Start(d.plane, d.plane)
	t.Cleanup(d.close)
	return d
}

func (d *dialer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	d.engine.Close(ctx)
	d.plane.Close()
}

func mustProposals(t *testing.T, p suite.Protocol, text string) []suite.Proposal {
	t.Helper()
	out, err := parseProposals(p, &config.Zone{}, []string{text})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func everything() []ikemsg.TrafficSelector {
	return selectors([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
}

func (d *dialer) Authenticate(a *ike.Authenticate) (*ike.Admission, error) {
	if d.psk != nil {
		return &ike.Admission{Local: d.identity, Policy: d.child}, a.VerifySharedKey(d.psk)
	}
	cert, err := d.verifier.Verify(time.Now(), a.Chain, pki.Server)
	if err != nil {
		return nil, err
	}
	if _, err := a.Verify(cert.PublicKey); err != nil {
		return nil, err
	}
	d.signed.Add(1)
	return &ike.Admission{Local: d.identity, Policy: d.child}, pki.MatchID(cert, &a.PeerID)
}

func (d *dialer) Sign(s *ike.Sign) (ike.Signed, error) {
	if d.psk != nil {
		return s.SignSharedKey(d.psk)
	}
	sig, err := suite.ChooseSignature(s.Identity.Public, s.Hashes, s.Allow, true)
	if err != nil {
		return ike.Signed{}, err
	}
	data, err := sig.Sign(d.key, s.Octets)
	return ike.Signed{Method: sig.Method, Data: data}, err
}

func (d *dialer) Lease(*ike.Lease) (ike.Leased, error) { return ike.Leased{}, errors.New("not here") }

func (d *dialer) Event(_ *engine.Session, ev ike.Event) {
	select {
	case d.events <- ev:
	default:
	}
}

// start begins a session with a gateway.
func (d *dialer) start(t *testing.T, g *Gateway) *engine.Session {
	t.Helper()
	to := g.Config().Gateway.Ports
	here := netip.MustParseAddr("127.0.0.1")
	id := identityOf(d.want)
	profile := &engine.Profile{Policy: d.policy}
	if d.eap != nil {
		profile.NewEAP = d.eap.New
	}
	s, err := d.engine.Connect(profile, ike.Connect{
		Local: netip.AddrPortFrom(here, d.ports.IKE), Remote: netip.AddrPortFrom(here, to.IKE),
		NATTLocal: d.ports.NATT, NATTRemote: to.NATT, Identity: d.identity, RemoteID: &id, Child: d.child,
		Request: ike.Request{IPv4: true, IPv6: true, DNS: true}, InitialContact: !d.quiet,
		EAP: d.eap != nil, EAPOnly: d.eapOnly,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// connect sets a session up and returns the addresses it got.
func (d *dialer) connect(t *testing.T, g *Gateway) ike.Leased {
	t.Helper()
	d.start(t, g)
	leased := await[ike.Addresses](t, d).Leased
	await[ike.ChildUp](t, d)
	return leased
}

// await waits for an event of type E; a Closed before it fails the test.
func await[E ike.Event](t *testing.T, d *dialer) (found E) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case ev := <-d.events:
			if e, ok := ev.(E); ok {
				return e
			}
			if c, ok := ev.(ike.Closed); ok {
				t.Fatalf("the session ended before a %T: %s, %v", found, engine.CloseText(c.Reason), c.Err)
			}
		case <-timeout:
			t.Fatalf("no %T in 20 s", found)
		}
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, what string, cond func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

// addressOf is what a test compares.
func addressOf(l ike.Leased) string { return fmt.Sprint(l.IPv4, " ", l.IPv6) }

package ikev1

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/simnet"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// The world of the tests: a client and a gateway, each with a backend that
// really signs and verifies, on a network that loses, repeats and reorders. Time
// is simulated.

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// credential is a certificate with its key.
type credential struct {
	identity *Identity
	signer   crypto.Signer
}

var ca = sync.OnceValues(func() (*x509.Certificate, *ecdsa.PrivateKey) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return issue("Test CA", key.Public(), nil, key, nil), key
})

func issue(name string, public crypto.PublicKey, parent *x509.Certificate, by crypto.Signer, bulk []byte) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		IsCA: parent == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if bulk != nil {
		t.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 32473, 1}, Value: bulk}}
	}
	if parent == nil {
		parent = t
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, parent, public, by))))
}

var credentials sync.Map

// credentialOf is a certificate of the kind "rsa", "ecdsa256", "ecdsa384",
// "ecdsa521" or "big" (RSA, with 5 KB of extension) for a name.
func credentialOf(kind, name string) *credential {
	if c, ok := credentials.Load(kind + name); ok {
		return c.(*credential)
	}
	var key crypto.Signer
	var bulk []byte
	switch kind {
	case "big":
		bulk = make([]byte, 5000)
		fallthrough
	case "rsa":
		key = must(rsa.GenerateKey(rand.Reader, 2048))
	case "ecdsa256":
		key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	case "ecdsa384":
		key = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	case "ecdsa521":
		key = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	default:
		panic(kind)
	}
	root, by := ca()
	cert := issue(name, key.Public(), root, by, bulk)
	c := &credential{&Identity{ID: isakmp.ID{Type: isakmp.IDDERASN1DN, Data: cert.RawSubject}, Chain: [][]byte{cert.Raw}, Key: name, Public: key.Public()}, key}
	credentials.Store(kind+name, c)
	return c
}

func phase1(texts ...string) []suite.Proposal { return proposals(suite.ProtocolIKE, texts) }
func phase2(texts ...string) []suite.Proposal { return proposals(suite.ProtocolESP, texts) }

func proposals(p suite.Protocol, texts []string) (out []suite.Proposal) {
	for _, t := range texts {
		out = append(out, must(suite.ParseL2TPProposal(p, t, true)))
	}
	return out
}

// node is one end, as its runtime sees it.
type node struct {
	w       *world
	name    string
	addr    netip.AddrPort // its own view of it
	cred    *credential
	psk     string
	cfg     *Config
	policy  *Policy
	host    *simnet.Host
	serves  bool
	connect Connect

	sessions  []*Session
	cookies   map[uint64]*Session
	out       Out
	jobDelay  time.Duration
	refusal   error // Authenticate fails with it
	admitted  func(*Authenticate) string
	events    []Event
	records   []Record
	installed map[uint32]SA // the data plane
	outbound  uint32
	est       []Established
	closed    []Closed
	tasks     []Task
	sent      int
	heard     map[uint32]time.Time
}

type world struct {
	t      testing.TB
	net    *simnet.Network
	rng    *mathrand.Rand
	c, g   *node
	nat    *simnet.NAT
	log    []Datagram
	mangle func(from *node, d Datagram) []Datagram
}

func (w *world) now() time.Time { return w.net.Now() }

// newWorld is a client and a gateway with RSA certificates and what Windows
// offers; nat puts the client behind a NAT.
func newWorld(t testing.TB, seed uint64, nat bool) *world {
	w := &world{t: t, net: simnet.New(seed, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	w.rng, w.net.Link.Delay = w.net.Rand, 10*time.Millisecond
	if nat {
		w.nat = w.net.NAT(netip.MustParseAddr("203.0.113.7"))
	}
	w.c = w.node("client.example", "192.0.2.1:500", w.nat)
	w.g = w.node("gateway.example", "198.51.100.1:500", nil)
	w.g.serves = true
	w.c.connect = Connect{Local: w.c.addr, Remote: w.g.addr, Identity: w.c.cred.identity, InitialContact: true}
	return w
}

func (w *world) node(name, addr string, nat *simnet.NAT) *node {
	n := &node{w: w, name: name, addr: netip.MustParseAddrPort(addr), cred: credentialOf("rsa", name), psk: "a shared key",
		cookies: map[uint64]*Session{}, installed: map[uint32]SA{}, heard: map[uint32]time.Time{}}
	rng := mathrand.New(mathrand.NewPCG(w.rng.Uint64(), 7))
	n.policy = &Policy{
		Phase1:  phase1("aes256-sha256-ecp256", "aes256-aes128-sha1-ecp384-ecp256-modp2048"),
		Phase2:  phase2("aes256-aes128-sha256-sha1-ecp256"),
		Methods: []suite.AuthMethod1{suite.AuthRSA1, suite.AuthECDSA256, suite.AuthECDSA384, suite.AuthECDSA521, suite.AuthPSK1},
	}
	n.cfg = &Config{
		Policy:      n.policy,
		NewCookie:   func() uint64 { return rng.Uint64() | 1 },
		NewSPI:      func() uint32 { return rng.Uint32() | 1<<20 },
		Authorities: [][]byte{{0x30, 0}},
		Heard:       func(spi uint32) time.Time { return n.heard[spi] },
		rand: func(b []byte) {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
		},
	}
	n.host = w.net.Host(n.addr.Addr(), nat, simnet.Machine{
		Receive: func(_ time.Time, d simnet.Datagram) {
			n.deliver(Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
		},
		Timeout: n.timeout, Deadline: n.deadline,
	})
	return n
}

// usePSK takes certificates away.
func (w *world) usePSK() {
	w.c.connect.Identity = nil
	w.g.policy.Methods = []suite.AuthMethod1{suite.AuthPSK1}
}

func (w *world) start() {
	n := w.c
	s := NewInitiator(n.cfg, n.connect, w.now(), &n.out)
	n.sessions = append(n.sessions, s)
	n.drain(s)
}

func (w *world) run(d time.Duration) { w.net.Run(w.now().Add(d)) }

// up connects and fails the test when that leads to no tunnel.
func (w *world) up() {
	w.t.Helper()
	w.start()
	w.run(2 * time.Second)
	w.wantUp()
}

func (w *world) wantUp() {
	w.t.Helper()
	if len(w.c.est) == 0 || len(w.g.est) == 0 || len(w.c.installed) == 0 {
		w.t.Fatalf("not up: client %+v %+v, gateway %+v %+v", w.c.closed, w.c.records, w.g.closed, w.g.records)
	}
	w.agree()
}

// session is the newest that lives.
func (n *node) session() *Session {
	for _, s := range slices.Backward(n.sessions) {
		if !s.Dead() {
			return s
		}
	}
	return nil
}

func (n *node) deadline() time.Time {
	var e earliest
	for _, s := range n.sessions {
		e.add(s.Deadline())
	}
	return time.Time(e)
}

func (n *node) timeout(now time.Time) {
	for _, s := range slices.Clone(n.sessions) {
		d := s.Deadline()
		if d.IsZero() || d.After(now) {
			continue
		}
		s.Timeout(now, &n.out)
		n.drain(s)
	}
}

func (n *node) do(c Command) {
	n.w.t.Helper()
	s := n.session()
	if s == nil {
		n.w.t.Fatalf("%s has no session for %T", n.name, c)
	}
	s.Do(n.w.now(), c, &n.out)
	n.drain(s)
}

// drain acts as the runtime does: events, then datagrams, then jobs.
func (n *node) drain(s *Session) {
	events, send, jobs := slices.Clone(n.out.Events), slices.Clone(n.out.Send), slices.Clone(n.out.Jobs)
	n.out.Reset()
	for _, e := range events {
		n.event(s, e)
	}
	for _, d := range send {
		n.send(d)
	}
	for _, j := range jobs {
		n.tasks = append(n.tasks, j.Task)
		if n.jobDelay > 0 {
			n.w.net.At(n.w.now().Add(n.jobDelay), func() { n.finish(s, j) })
		} else {
			n.finish(s, j)
		}
	}
	if n.serves && len(events) > 0 {
		n.join(s)
	}
}

// join makes one session of two that proved the same peer on the same path.
func (n *node) join(s *Session) {
	if s.Admission() == nil {
		return
	}
	for _, old := range n.sessions {
		if old != s && !old.Dead() && old.Admission() != nil && old.Admission().Name == s.Admission().Name && old.Established().Before(s.Established()) {
			if s.Adopt(old, n.w.now(), &n.out) {
				n.drain(s)
			}
		}
	}
}

func (n *node) finish(s *Session, j Job) {
	v, err := n.work(j.Task)
	s.Done(n.w.now(), Result{j.ID, v, err}, &n.out)
	n.drain(s)
}

// work is the backend.
func (n *node) work(t Task) (any, error) {
	switch t := t.(type) {
	case GenerateKE:
		return t.Run()
	case SharedSecret:
		return t.Run()
	case SharedKey:
		if n.psk == "" {
			return nil, &Refusal{Reason: "no pre-shared key for this address", Hint: "use certificates"}
		}
		return Key{Secret: secret.Bytes(n.psk), Value: "group"}, nil
	case *Sign:
		return t.With(n.cred.signer)
	case *Authenticate:
		return n.authenticate(t)
	}
	return nil, fmt.Errorf("unknown task %T", t)
}

func (n *node) authenticate(t *Authenticate) (any, error) {
	if n.refusal != nil {
		return nil, n.refusal
	}
	name := t.PeerID.String()
	if n.admitted != nil {
		name = n.admitted(t)
	}
	if t.Method == suite.AuthPSK1 {
		if t.Value != "group" {
			return nil, errors.New("not the key's value")
		}
		return &Admission{Name: name}, nil
	}
	if len(t.Chain) == 0 {
		return nil, errors.New("no certificate")
	}
	cert, err := x509.ParseCertificate(t.Chain[0])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	root, _ := ca()
	roots.AddCert(root)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, err
	}
	if !bytes.Equal(cert.RawSubject, t.PeerID.Data) {
		return nil, errors.New("the identity is not the certificate's")
	}
	if err := t.Verify(cert.PublicKey); err != nil {
		return nil, err
	}
	return &Admission{Local: n.cred.identity, Name: name}, nil
}

// event is the runtime's side: what must hold of every event is checked here.
func (n *node) event(s *Session, e Event) {
	n.events = append(n.events, e)
	t := n.w.t
	switch e := e.(type) {
	case CookieAdded:
		n.cookies[e.Cookie] = s
	case CookieRemoved:
		if n.cookies[e.Cookie] == nil {
			t.Errorf("%s: cookie %x removed that was not there", n.name, e.Cookie)
		}
		delete(n.cookies, e.Cookie)
	case Established:
		n.est = append(n.est, e)
	case SAUp:
		if _, twice := n.installed[e.SA.SPIIn]; twice || s.Admission() == nil {
			t.Errorf("%s: SA %x installed twice, or before Established", n.name, e.SA.SPIIn)
		}
		n.installed[e.SA.SPIIn] = e.SA
		if e.SA.Outbound {
			n.outbound = e.SA.SPIIn
		}
	case SAOutbound:
		if _, ok := n.installed[e.SPIIn]; !ok {
			t.Errorf("%s: outbound on SA %x that is not installed", n.name, e.SPIIn)
		}
		n.outbound = e.SPIIn
	case SADown:
		if _, ok := n.installed[e.SPIIn]; !ok {
			t.Errorf("%s: SA %x removed that is not installed (%s)", n.name, e.SPIIn, e.Reason)
		}
		delete(n.installed, e.SPIIn)
		if n.outbound == e.SPIIn {
			n.outbound = 0
		}
	case Refused:
		n.records = append(n.records, e.Record)
	case Closed:
		n.closed = append(n.closed, e)
		if !s.Dead() {
			t.Errorf("%s: closed and not dead", n.name)
		}
	}
}

// send puts a datagram on the link.
func (n *node) send(d Datagram) {
	n.sent++
	n.w.log = append(n.w.log, d)
	all := []Datagram{d}
	if n.w.mangle != nil {
		all = n.w.mangle(n, d)
	}
	for _, d := range all {
		n.host.Send(simnet.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
	}
}

// espMark begins what stands for an authentic ESP packet: the mark, and the SPI.
const espMark = "ESP "

// deliver is the runtime's routing.
func (n *node) deliver(d Datagram) {
	if len(d.Data) == 1 {
		return // a NAT keepalive
	}
	if spi, ok := bytes.CutPrefix(d.Data, []byte(espMark)); ok {
		n.receiveESP(isakmp.SPI32(spi), d)
		return
	}
	h, err := isakmp.ParseHeader(d.Data)
	if err != nil {
		return
	}
	s := n.route(h, d)
	if s == nil {
		if !n.serves || !Front(d).Accept {
			return
		}
		s = NewResponder(n.cfg, n.w.now(), d, &n.out)
		n.sessions = append(n.sessions, s)
	} else {
		s.Receive(n.w.now(), d, &n.out)
	}
	n.drain(s)
}

func (n *node) route(h isakmp.Header, d Datagram) *Session {
	for _, c := range []isakmp.Cookie{h.CookieI, h.CookieR} {
		if s := n.cookies[uint64(c)]; s != nil && c != 0 {
			return s
		}
	}
	for _, s := range n.sessions {
		if h.CookieR == 0 && s.sa != nil && s.sa.hs != nil && s.sa.cookieI == h.CookieI && s.path.remote == d.Remote {
			return s
		}
	}
	return nil
}

// traffic sends one ESP packet on the SA in use.
func (n *node) traffic() {
	if sa, ok := n.installed[n.outbound]; ok {
		b := append([]byte(espMark), 0, 0, 0, 0)
		copy(b[len(espMark):], []byte{byte(sa.SPIOut >> 24), byte(sa.SPIOut >> 16), byte(sa.SPIOut >> 8), byte(sa.SPIOut)})
		local, remote := n.session().Path()
		n.host.Send(simnet.Datagram{Local: local, Remote: remote, Data: b})
	}
}

func (n *node) receiveESP(spi uint32, d Datagram) {
	if _, ok := n.installed[spi]; !ok {
		return
	}
	first := n.heard[spi].IsZero()
	n.heard[spi] = n.w.now()
	s := n.session()
	if first {
		n.do(PlaneEvent{Kind: FirstInbound, SPIIn: spi})
	}
	if _, remote := s.Path(); d.Remote != remote {
		n.do(PlaneEvent{Kind: PeerMoved, SPIIn: spi, Remote: d.Remote})
	}
}

// agree checks that both ends have the same ESP SAs: crossed SPIs and keys.
func (w *world) agree() {
	w.t.Helper()
	if len(w.c.installed) != len(w.g.installed) {
		w.t.Fatalf("client has %d ESP SAs, gateway %d", len(w.c.installed), len(w.g.installed))
	}
	for _, a := range w.c.installed {
		b, ok := w.g.installed[a.SPIOut]
		if !ok || b.SPIOut != a.SPIIn {
			w.t.Fatalf("SA %x/%x is not on the other side", a.SPIIn, a.SPIOut)
		}
		if !a.KeyIn.Equal(b.KeyOut) || !a.KeyOut.Equal(b.KeyIn) || a.Suite != b.Suite || a.Encap != b.Encap || a.KeyIn.Equal(a.KeyOut) {
			w.t.Fatalf("SA %x: keys, suite or encapsulation differ: %+v %+v", a.SPIIn, a, b)
		}
	}
}

// works checks that traffic goes both ways.
func (w *world) works() {
	w.t.Helper()
	before, begun := w.now(), map[*node]int{}
	w.run(time.Millisecond)
	for _, n := range []*node{w.c, w.g} {
		n.traffic()
		begun[n] = len(n.heard)
	}
	w.run(time.Second)
	for _, n := range []*node{w.c, w.g} {
		heard := false
		for spi, at := range n.heard {
			_, installed := n.installed[spi]
			heard = heard || at.After(before) && installed
		}
		if !heard {
			w.t.Fatalf("no traffic reaches %s: SAs %v, outbound %x", n.name, n.installed, n.outbound)
		}
	}
}

// settled checks that one ISAKMP SA and n ESP SAs are left on each side.
func (w *world) settled(n int) {
	w.t.Helper()
	w.agree()
	for _, x := range []*node{w.c, w.g} {
		s := x.session()
		if s == nil || len(x.installed) != n || len(s.children) != n || len(s.old) > 0 || s.next != nil || s.sa == nil {
			w.t.Fatalf("%s has not settled: %d ESP SAs, session %+v", x.name, len(x.installed), s)
		}
		if len(x.cookies) != 1 {
			w.t.Fatalf("%s has %d cookies", x.name, len(x.cookies))
		}
	}
}

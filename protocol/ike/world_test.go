package ike

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
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
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// The world of the tests: two peers, each a Session with a backend that really
// signs and verifies, and a link between them that the test can cut, delay and
// duplicate. Time is simulated.

// pkiOf makes one CA and caches key pairs: RSA keys take long to make.
var pkiOf = sync.OnceValue(func() *testPKI {
	p := &testPKI{certs: map[string]*credential{}}
	p.key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p.ca = p.issue("Test CA", p.key, nil, nil)
	p.roots = x509.NewCertPool()
	p.roots.AddCert(p.ca)
	return p
})

type testPKI struct {
	key   *ecdsa.PrivateKey
	ca    *x509.Certificate
	roots *x509.CertPool
	mu    sync.Mutex
	certs map[string]*credential
}

type credential struct {
	identity *Identity
	signer   crypto.Signer
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (p *testPKI) issue(name string, key crypto.Signer, parent *x509.Certificate, padding []byte) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		IsCA: parent == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if padding != nil {
		t.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Value: padding}}
	}
	if parent == nil {
		parent = t
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, parent, key.Public(), p.key))))
}

// credential is a certificate of the kind "ecdsa256", "ecdsa384", "ed25519",
// "rsa2048" or "big" (ECDSA with an 6 KB extension) for a name.
func (p *testPKI) credential(kind, name string) *credential {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.certs[kind+" "+name]; c != nil {
		return c
	}
	var key crypto.Signer
	var padding []byte
	switch kind {
	case "big":
		padding = make([]byte, 6000)
		fallthrough
	case "ecdsa256":
		key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	case "ecdsa384":
		key = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	case "ed25519":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		key = must(k, err)
	case "rsa2048":
		key = must(rsa.GenerateKey(rand.Reader, 2048))
	default:
		panic(kind)
	}
	cert := p.issue(name, key, p.ca, padding)
	c := &credential{
		identity: &Identity{ID: ikemsg.ID{Kind: ikemsg.IDFQDN, Data: []byte(name)}, Chain: [][]byte{cert.Raw}, Key: name, Public: key.Public()},
		signer:   key,
	}
	p.certs[kind+" "+name] = c
	return c
}

// peer is one end.
type peer struct {
	w       *world
	name    string
	addr    netip.AddrPort // its own view of it
	cred    *credential
	cfg     *Config
	policy  *Policy
	child   *ChildPolicy
	front   *Front // responder only
	session *Session
	host    *simnet.Host
	out     Out

	lifetime time.Duration
	keys     map[string]secret.Bytes // pre-shared ones, by the peer's identity
	leaseErr error
	refusal  error // Authenticate fails with it
	pool     Leased
	jobDelay time.Duration
	rng      *mathrand.Rand
	tamper   func(*Admission)

	events    []Event
	records   []Record
	installed map[uint32]Child // the data plane: what is installed
	outbound  map[uint32]bool
	spis      map[ikemsg.SPI]bool
	closed    *Closed
	est       *Established
	sent      int
	threeSPIs int // how often there were the old IKE SA and two successors
	chose     suite.Signature
	tasks     []Task
}

// world is two peers on a simulated network.
type world struct {
	t      testing.TB
	net    *simnet.Network
	i, r   *peer
	rng    *mathrand.Rand
	mangle func(from *peer, d Datagram) []Datagram // what goes on the link in place of d
	log    []Datagram                              // everything that was sent
}

func (w *world) now() time.Time { return w.net.Now() }

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, net: simnet.New(seed, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	w.rng, w.net.Link.Delay = w.net.Rand, 10*time.Millisecond
	w.i = w.peer("client.example", "192.0.2.1:500")
	w.r = w.peer("gateway.example", "198.51.100.1:500")
	w.i.child = &ChildPolicy{Name: "net", ESP: espProposals("aes256gcm16-ecp256", "aes256-sha256-ecp256"), Local: anywhere, Remote: anywhere}
	w.r.child = &ChildPolicy{Name: "net", ESP: espProposals("aes256gcm16-ecp256", "aes256-sha256-ecp256"), Local: anywhere}
	w.r.pool = Leased{IPv4: netip.MustParseAddr("10.60.0.7"), IPv6: netip.MustParsePrefix("fd00:60::7/128"),
		DNS: []netip.Addr{netip.MustParseAddr("10.60.0.1")}, Domains: []string{"corp.example"}}
	w.r.front = NewFront(w.r.policy)
	return w
}

var anywhere = []ikemsg.TrafficSelector{
	ikemsg.PrefixSelector(netip.MustParsePrefix("0.0.0.0/0")),
	ikemsg.PrefixSelector(netip.MustParsePrefix("::/0")),
}

func ikeProposals(texts ...string) []suite.Proposal { return proposals(suite.ProtocolIKE, texts) }
func espProposals(texts ...string) []suite.Proposal { return proposals(suite.ProtocolESP, texts) }

func proposals(p suite.Protocol, texts []string) []suite.Proposal {
	var out []suite.Proposal
	for _, t := range texts {
		out = append(out, must(suite.ParseProposal(p, t)))
	}
	return out
}

func (w *world) peer(name, addr string) *peer {
	p := &peer{
		w: w, name: name, addr: netip.MustParseAddrPort(addr), cred: pkiOf().credential("ecdsa256", name),
		installed: map[uint32]Child{}, outbound: map[uint32]bool{}, spis: map[ikemsg.SPI]bool{},
		rng: mathrand.New(mathrand.NewPCG(w.rng.Uint64(), 7)),
	}
	p.policy = &Policy{IKE: ikeProposals("aes256gcm16-prfsha256-ecp256", "aes256-sha256-ecp256-modp2048")}
	p.cfg = &Config{
		Policy:      p.policy,
		NewSPI:      func() ikemsg.SPI { return ikemsg.SPI(p.rng.Uint64() | 1) },
		NewChildSPI: func() uint32 { return p.rng.Uint32() | 1<<20 },
		Authorities: make([]byte, 20),
		rand: func(b []byte) {
			for i := range b {
				b[i] = byte(p.rng.Uint32())
			}
		},
	}
	p.host = w.net.Host(p.addr.Addr(), nil, simnet.Machine{
		Receive: func(_ time.Time, d simnet.Datagram) {
			p.deliver(Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
		},
		Timeout:  p.timeout,
		Deadline: p.deadline,
	})
	return p
}

// connect starts the set-up from the initiator.
func (w *world) connect() {
	w.i.start(Connect{
		Local: w.i.addr, Remote: w.r.addr, Identity: w.i.cred.identity, RemoteID: &w.r.cred.identity.ID, Child: w.i.child,
		Request: Request{IPv4: true, IPv6: true, DNS: true, Domains: true}, InitialContact: true,
	})
}

func (p *peer) start(c Connect) {
	p.session = NewInitiator(p.cfg, c, p.w.now(), &p.out)
	p.drain(p.session)
}

// up connects and fails the test when that does not lead to a tunnel.
func (w *world) up() {
	w.t.Helper()
	w.connect()
	w.run(2 * time.Second)
	if w.i.est == nil || w.r.est == nil {
		w.t.Fatalf("not established: initiator %v %+v, responder %v %+v", w.i.closed, w.i.records, w.r.closed, w.r.records)
	}
	w.agree()
}

// run lets simulated time pass.
func (w *world) run(d time.Duration) { w.net.Run(w.now().Add(d)) }

func (p *peer) deadline() time.Time {
	if p.session == nil {
		return time.Time{}
	}
	return p.session.Deadline()
}

func (p *peer) timeout(now time.Time) {
	p.session.Timeout(now, &p.out)
	p.drain(p.session)
	if d := p.session.Deadline(); !d.IsZero() && !d.After(now) {
		p.w.t.Fatalf("%s: Timeout at %v leaves the deadline %v", p.name, now, d)
	}
}

// drain acts as the runtime does: events, then datagrams, then jobs.
func (p *peer) drain(s *Session) {
	events, send, jobs := slices.Clone(p.out.Events), slices.Clone(p.out.Send), slices.Clone(p.out.Jobs)
	p.out.Reset()
	for _, e := range events {
		p.event(e)
	}
	for _, d := range send {
		p.send(d)
	}
	for _, j := range jobs {
		p.tasks = append(p.tasks, j.Task)
		if p.jobDelay > 0 {
			p.w.net.At(p.w.now().Add(p.jobDelay), func() { p.finish(s, j) })
		} else {
			p.finish(s, j)
		}
	}
}

func (p *peer) finish(s *Session, j Job) {
	v, err := p.work(j.Task)
	s.Done(p.w.now(), Result{j.ID, v, err}, &p.out)
	p.drain(s)
}

// work is the backend.
func (p *peer) work(t Task) (any, error) {
	switch t := t.(type) {
	case GenerateKE:
		return t.Run()
	case SharedSecret:
		return t.Run()
	case *Sign:
		if len(t.Identity.Chain) == 0 {
			return t.SignSharedKey(p.keys[t.Identity.Key])
		}
		sig, err := suite.ChooseSignature(t.Identity.Public, t.Hashes, t.Allow, false)
		if err != nil {
			return nil, err
		}
		data, err := sig.Sign(p.cred.signer, t.Octets)
		return Signed{sig.Method, data}, err
	case *Authenticate:
		return p.authenticate(t)
	case *EAP:
		var step EAPStep
		var err error
		t.Conversation.Step(t, func(s EAPStep, e error) { step, err = s, e })
		return step, err
	case *Lease:
		return p.pool, p.leaseErr
	}
	return nil, fmt.Errorf("unknown task %T", t)
}

func (p *peer) authenticate(t *Authenticate) (any, error) {
	if p.refusal != nil {
		return nil, p.refusal
	}
	if t.BySharedKey() && p.keys != nil {
		return p.bySharedKey(t)
	}
	if len(t.Chain) == 0 {
		return nil, errors.New("no certificate")
	}
	cert, err := x509.ParseCertificate(t.Chain[0])
	if err != nil {
		return nil, err
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pkiOf().roots, DNSName: string(t.PeerID.Data), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, err
	}
	if p.chose, err = t.Verify(cert.PublicKey); err != nil {
		return nil, err
	}
	return p.admit(t), nil
}

func (p *peer) admit(t *Authenticate) *Admission {
	a := &Admission{Identity: string(t.PeerID.Data), Device: "device", Zone: "staff", Local: p.cred.identity, Policy: p.child, AuthLifetime: p.lifetime, Lease: true}
	if p.tamper != nil {
		p.tamper(a)
	}
	return a
}

// event is the runtime's side: what must hold of every event is checked here.
func (p *peer) event(e Event) {
	p.events = append(p.events, e)
	t := p.w.t
	switch e := e.(type) {
	case SPIAdded:
		if p.spis[e.SPI] = true; len(p.spis) == 3 {
			p.threeSPIs++
		}
	case SPIRemoved:
		if !p.spis[e.SPI] {
			t.Errorf("%s: SPI %x removed that was not there", p.name, e.SPI)
		}
		delete(p.spis, e.SPI)
	case Established:
		p.est = &e
	case ChildUp:
		if _, twice := p.installed[e.Child.SPIIn]; twice {
			t.Errorf("%s: Child SA %x installed twice", p.name, e.Child.SPIIn)
		}
		if p.est == nil {
			t.Errorf("%s: Child SA before Established", p.name)
		}
		p.installed[e.Child.SPIIn] = e.Child
		p.outbound[e.Child.SPIIn] = e.Child.Outbound
	case ChildOutbound:
		if _, ok := p.installed[e.SPIIn]; !ok {
			t.Errorf("%s: outbound on Child SA %x that is not installed", p.name, e.SPIIn)
		}
		p.outbound[e.SPIIn] = true
	case ChildDown:
		if _, ok := p.installed[e.SPIIn]; !ok {
			t.Errorf("%s: Child SA %x removed that is not installed (%s)", p.name, e.SPIIn, e.Reason)
		}
		delete(p.installed, e.SPIIn)
		delete(p.outbound, e.SPIIn)
	case Refused:
		p.records = append(p.records, e.Record)
	case Closed:
		if p.closed != nil {
			t.Errorf("%s: closed twice", p.name)
		}
		p.closed = &e
		if len(p.installed) > 0 || len(p.spis) > 0 {
			t.Errorf("%s: closed with %d Child SAs and %d SPIs left", p.name, len(p.installed), len(p.spis))
		}
	}
}

// send puts a datagram on the link.
func (p *peer) send(d Datagram) {
	p.sent++
	p.w.log = append(p.w.log, d)
	all := []Datagram{d}
	if p.w.mangle != nil {
		all = p.w.mangle(p, d)
	}
	for _, d := range all {
		p.host.Send(simnet.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
	}
}

// move takes the peer to another address.
func (p *peer) move(to string, nat *simnet.NAT) {
	p.addr = netip.MustParseAddrPort(to)
	p.host.Move(p.addr.Addr(), nat)
}

func (p *peer) other() *peer {
	if p == p.w.i {
		return p.w.r
	}
	return p.w.i
}

// deliver is the runtime's routing of IKE datagrams.
func (p *peer) deliver(d Datagram) {
	if len(d.Data) == 1 {
		return // a NAT keepalive
	}
	if string(d.Data) == espPacket {
		for _, c := range p.live() {
			p.do(PlaneEvent{Kind: PeerMoved, SPIIn: c.spiIn, Remote: d.Remote})
		}
		return
	}
	if p.session != nil && !p.session.Dead() {
		p.session.Receive(p.w.now(), d, &p.out)
		p.drain(p.session)
		return
	}
	if p.front == nil {
		return
	}
	switch v := p.front.Receive(p.w.now(), d, Load{}); v.Action {
	case Reply:
		if len(v.Reply) > len(d.Data) {
			p.w.t.Errorf("front answers %d octets to %d", len(v.Reply), len(d.Data))
		}
		p.send(Datagram{Local: d.Local, Remote: d.Remote, Data: v.Reply})
	case Accept:
		p.closed, p.est = nil, nil
		p.session = NewResponder(p.cfg, p.w.now(), d, &p.out)
		p.drain(p.session)
	}
}

func (p *peer) do(c Command) {
	p.session.Do(p.w.now(), c, &p.out)
	p.drain(p.session)
}

// espPacket stands for an authentic ESP packet on the link.
const espPacket = "ESP"

// traffic sends ESP packets for a while.
func (p *peer) traffic(n int) {
	for i := range n {
		p.w.net.At(p.w.now().Add(time.Duration(i)*time.Second), func() {
			local, remote := p.session.Path()
			p.host.Send(simnet.Datagram{Local: local, Remote: remote, Data: []byte(espPacket)})
		})
	}
}

// live are the Child SAs in force by state.
func (p *peer) live() []*child {
	return slices.DeleteFunc(slices.Clone(p.session.children), func(c *child) bool { return c.state != childLive })
}

// agree checks that both ends have the same SAs: the same current IKE SA, and
// Child SAs with crossed SPIs, crossed keys and mirrored selectors.
func (w *world) agree() {
	w.t.Helper()
	i, r := w.i, w.r
	if i.session.Dead() != r.session.Dead() {
		w.t.Fatalf("one end is dead: initiator %+v, responder %+v", i.closed, r.closed)
	}
	if i.session.Dead() {
		return
	}
	iOurs, iPeers := i.session.SPIs()
	rOurs, rPeers := r.session.SPIs()
	if iOurs != rPeers || iPeers != rOurs {
		w.t.Fatalf("IKE SAs differ: %x/%x and %x/%x", iOurs, iPeers, rPeers, rOurs)
	}
	if len(i.installed) != len(r.installed) {
		w.t.Fatalf("initiator has %d Child SAs, responder %d", len(i.installed), len(r.installed))
	}
	for _, c := range i.installed {
		d, ok := r.installed[c.SPIOut]
		if !ok || d.SPIOut != c.SPIIn {
			w.t.Fatalf("Child SA %x/%x is not on the other side", c.SPIIn, c.SPIOut)
		}
		if !c.KeyIn.Equal(d.KeyOut) || !c.KeyOut.Equal(d.KeyIn) || c.Suite != d.Suite {
			w.t.Fatalf("Child SA %x: keys or suite differ", c.SPIIn)
		}
		if !slices.Equal(c.TSLocal, d.TSRemote) || !slices.Equal(c.TSRemote, d.TSLocal) {
			w.t.Fatalf("Child SA %x: selectors differ: %v|%v and %v|%v", c.SPIIn, c.TSLocal, c.TSRemote, d.TSRemote, d.TSLocal)
		}
		if c.Encap != d.Encap {
			w.t.Fatalf("Child SA %x: encapsulation differs", c.SPIIn)
		}
	}
}

// settled checks that nothing but one IKE SA and n Child SAs is left anywhere.
func (w *world) settled(n int) {
	w.t.Helper()
	w.agree()
	for _, p := range []*peer{w.i, w.r} {
		if len(p.session.old) > 0 || len(p.spis) != 1 {
			w.t.Errorf("%s: %d old IKE SAs, %d SPIs routed", p.name, len(p.session.old), len(p.spis))
		}
		if len(p.session.children) != n || len(p.installed) != n {
			w.t.Errorf("%s: %d Child SAs, %d installed, want %d", p.name, len(p.session.children), len(p.installed), n)
		}
		for spi, out := range p.outbound {
			if !out {
				w.t.Errorf("%s: Child SA %x never got its outbound traffic", p.name, spi)
			}
		}
		if p.session.sa.pending != nil || p.session.then != nil || len(p.session.held) > 0 {
			w.t.Errorf("%s: work is left over: %+v", p.name, p.session.sa.pending)
		}
	}
}

// busy tells whether an exchange or its aftermath is under way.
func (w *world) busy() bool {
	for _, p := range []*peer{w.i, w.r} {
		if p.session.sa.pending != nil || len(p.session.old) > 0 || len(p.session.children) != 1 {
			return true
		}
	}
	return false
}

// onlyChild is the inbound SPI of the single Child SA.
func (p *peer) onlyChild() uint32 {
	p.w.t.Helper()
	if len(p.live()) != 1 {
		p.w.t.Fatalf("%s: %d live Child SAs", p.name, len(p.live()))
	}
	return p.live()[0].spiIn
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

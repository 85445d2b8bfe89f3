package ikev1_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// The peer of these tests is charon of strongSwan, in a network namespace of its
// own. Its ESP in user space knows tunnel mode only, so what it installs is not
// looked at: both sides must come to the end of quick mode.

const swanNet = `
	client   192.0.2.2/24     --  192.0.2.1/24      router
	router   198.51.100.1/24  --  198.51.100.10/24  gateway

	client  default  router
	gateway default  router
`

var (
	clientAddr  = netip.MustParseAddr("192.0.2.2")
	gatewayAddr = netip.MustParseAddr("198.51.100.10")
)

// runner drives one session of ours over two UDP sockets, as the engine would.
type runner struct {
	t       *testing.T
	sockets map[uint16]net.PacketConn
	in      chan ikev1.Datagram
	cfg     *ikev1.Config
	cert    labtest.Issued
	roots   *x509.CertPool
	session *ikev1.Session // the newest
	old     *ikev1.Session // of the same peer, until it is adopted
	adopted bool
	cookies map[uint64]*ikev1.Session
	firsts  map[isakmp.Cookie]*ikev1.Session
	out     ikev1.Out
	events  []ikev1.Event
}

func newRunner(t *testing.T, h *lab.Host, addr netip.Addr, ca *labtest.Authority, kind labtest.KeyKind, name string) *runner {
	r := &runner{t: t, sockets: map[uint16]net.PacketConn{}, in: make(chan ikev1.Datagram, 100), roots: x509.NewCertPool(), cookies: map[uint64]*ikev1.Session{}, firsts: map[isakmp.Cookie]*ikev1.Session{}}
	r.roots.AddCert(ca.Cert)
	r.cert = ca.Issue(t, labtest.Leaf{Name: name, ID: name, Key: kind})
	r.cfg = &ikev1.Config{
		NewCookie:   func() uint64 { return number(t) },
		NewSPI:      func() uint32 { return uint32(number(t)) | 1<<20 },
		Authorities: [][]byte{ca.Cert.RawSubject},
	}
	for _, port := range []uint16{500, 4500} {
		c, err := h.ListenPacket("udp", netip.AddrPortFrom(addr, port).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		r.sockets[port] = c
		go r.read(c, netip.AddrPortFrom(addr, port))
	}
	return r
}

func number(t *testing.T) uint64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Error(err)
	}
	return binary.BigEndian.Uint64(b[:]) | 1
}

func (r *runner) read(c net.PacketConn, local netip.AddrPort) {
	b := make([]byte, 65536)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		data := bytes.Clone(b[:n])
		if local.Port() == 4500 {
			marked, ok := bytes.CutPrefix(data, make([]byte, 4))
			if !ok {
				continue // ESP or a keepalive
			}
			data = marked
		}
		r.in <- ikev1.Datagram{Local: local, Remote: from.(*net.UDPAddr).AddrPort(), Data: data}
	}
}

// run lets the newest session work until done says so, or time is over.
func (r *runner) run(ctx context.Context, done func() bool) {
	r.t.Helper()
	for !done() {
		var timer <-chan time.Time
		if r.session != nil {
			if d := r.session.Deadline(); !d.IsZero() {
				timer = time.After(time.Until(d))
			}
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("not done in time: %+v", r.events)
		case d := <-r.in:
			r.receive(d)
		case <-timer:
			r.session.Timeout(time.Now(), &r.out)
			r.drain(r.session)
		}
	}
}

func (r *runner) receive(d ikev1.Datagram) {
	h, err := isakmp.ParseHeader(d.Data)
	if err != nil {
		r.t.Errorf("charon sent %x: %v", d.Data, err)
		return
	}
	s := r.cookies[uint64(h.CookieI)]
	if s == nil {
		s = r.cookies[uint64(h.CookieR)]
	}
	switch {
	case s != nil:
		s.Receive(time.Now(), d, &r.out)
		r.drain(s)
	case r.firsts[h.CookieI] != nil: // a copy of a first message
		r.firsts[h.CookieI].Receive(time.Now(), d, &r.out)
		r.drain(r.firsts[h.CookieI])
	case ikev1.Front(d).Accept:
		r.old = r.session
		r.session = ikev1.NewResponder(r.cfg, time.Now(), d, &r.out)
		r.firsts[h.CookieI] = r.session
		r.drain(r.session)
	}
	if r.old != nil && r.session.Adopt(r.old, time.Now(), &r.out) {
		r.adopted, r.old = true, nil
		r.drain(r.session)
	}
}

func (r *runner) drain(s *ikev1.Session) {
	for len(r.out.Events)+len(r.out.Send)+len(r.out.Jobs) > 0 {
		r.events = append(r.events, r.out.Events...)
		for _, e := range r.out.Events {
			switch e := e.(type) {
			case ikev1.CookieAdded:
				r.cookies[e.Cookie] = s
			case ikev1.CookieRemoved:
				delete(r.cookies, e.Cookie)
			}
		}
		for _, d := range r.out.Send {
			if d.Local.Port() == 4500 && !d.Keepalive {
				d.Data = append(make([]byte, 4), d.Data...)
			}
			if _, err := r.sockets[d.Local.Port()].WriteTo(d.Data, net.UDPAddrFromAddrPort(d.Remote)); err != nil {
				r.t.Error(err)
			}
		}
		jobs := append([]ikev1.Job{}, r.out.Jobs...)
		r.out.Reset()
		for _, j := range jobs {
			v, err := r.work(j.Task)
			s.Done(time.Now(), ikev1.Result{ID: j.ID, Value: v, Err: err}, &r.out)
		}
	}
}

func (r *runner) identity() *ikev1.Identity {
	i := &ikev1.Identity{ID: isakmp.ID{Type: isakmp.IDDERASN1DN, Data: r.cert.Chain[0].RawSubject}, Public: r.cert.Key.Public()}
	for _, c := range r.cert.Chain {
		i.Chain = append(i.Chain, c.Raw)
	}
	return i
}

func (r *runner) work(t ikev1.Task) (any, error) {
	switch t := t.(type) {
	case ikev1.GenerateKE:
		return t.Run()
	case ikev1.SharedSecret:
		return t.Run()
	case ikev1.SharedKey:
		return ikev1.Key{Secret: secret.Bytes(swanKey)}, nil
	case *ikev1.Sign:
		return t.With(r.cert.Key)
	case *ikev1.Authenticate:
		if t.Method == suite.AuthPSK1 {
			return &ikev1.Admission{Name: t.PeerID.String()}, nil
		}
		return r.admit(t)
	}
	return nil, fmt.Errorf("unknown task %T", t)
}

func (r *runner) admit(t *ikev1.Authenticate) (any, error) {
	if len(t.Chain) == 0 {
		return nil, fmt.Errorf("no certificate came")
	}
	cert, err := x509.ParseCertificate(t.Chain[0])
	if err != nil {
		return nil, err
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: r.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, err
	}
	if err := t.Verify(cert.PublicKey); err != nil {
		return nil, err
	}
	return &ikev1.Admission{Local: r.identity(), Name: cert.Subject.String()}, nil
}

// event finds the first event of a type.
func event[T ikev1.Event](r *runner) (T, bool) {
	for _, e := range r.events {
		if e, ok := e.(T); ok {
			return e, true
		}
	}
	var none T
	return none, false
}

func has[T ikev1.Event](r *runner) func() bool {
	return func() bool { _, ok := event[T](r); return ok }
}

const swanKey = "a pre-shared key of both sides"

// swanCase is one way to meet charon.
type swanCase struct {
	name        string
	key         labtest.KeyKind // empty: a pre-shared key
	phase1, esp string
	method      suite.AuthMethod1
	nat         bool
	loss        int // per mille
}

var swanCases = []swanCase{
	{name: "RSA, as Windows", key: labtest.RSA, phase1: "aes256-sha1-ecp384", esp: "aes256-sha1", method: suite.AuthRSA1},
	{name: "RSA behind a NAT", key: labtest.RSA, phase1: "aes256-sha256-modp2048", esp: "aes128-sha256", method: suite.AuthRSA1, nat: true},
	{name: "ECDSA-256", key: labtest.P256, phase1: "aes128-sha256-ecp256", esp: "aes256gcm16", method: suite.AuthECDSA256},
	{name: "ECDSA-384 beside SHA-1", key: labtest.P384, phase1: "aes128-sha1-ecp256", esp: "aes256-sha384", method: suite.AuthECDSA384, nat: true},
	{name: "pre-shared key", phase1: "aes256-sha1-modp2048", esp: "aes256-sha1", method: suite.AuthPSK1},
	{name: "pre-shared key behind a NAT, with losses", phase1: "aes256-sha512-ecp521", esp: "aes128-sha512", method: suite.AuthPSK1, nat: true, loss: 150},
}

// conf is charon's side, ours being at remote.
func (c swanCase) conf(remote netip.Addr) string {
	auth := "auth = psk"
	if c.key != "" {
		auth = "auth = pubkey"
	}
	local := auth
	if c.key != "" {
		local += "\ncerts = own.pem"
	}
	return fmt.Sprintf(`
connections {
	l2tp {
		version = 1
		remote_addrs = %s
		proposals = %s
		send_cert = always
		local {
			%s
		}
		remote {
			%s
			id = %%any
		}
		children {
			l2tp {
				mode = transport
				local_ts = dynamic[udp/1701]
				remote_ts = dynamic[udp/1701]
				esp_proposals = %s
			}
		}
	}
}
secrets {
	ike {
		secret = "%s"
	}
}
`, remote, c.phase1, local, auth, c.esp, swanKey)
}

func (c swanCase) policy() *ikev1.Policy {
	p1, err1 := suite.ParseL2TPProposal(suite.ProtocolIKE, c.phase1, true)
	p2, err2 := suite.ParseL2TPProposal(suite.ProtocolESP, c.esp, true)
	if err1 != nil || err2 != nil {
		panic(fmt.Sprint(err1, err2))
	}
	return &ikev1.Policy{Phase1: []suite.Proposal{p1}, Phase2: []suite.Proposal{p2}, Methods: []suite.AuthMethod1{c.method}}
}

func (c swanCase) files(t *testing.T, ca *labtest.Authority, remote netip.Addr, name string) lab.SwanFiles {
	f := lab.SwanFiles{Conf: c.conf(remote)}
	if c.key != "" {
		own := ca.Issue(t, labtest.Leaf{Name: name, ID: name, Key: c.key})
		f.X509CA = map[string][]byte{"ca.pem": labtest.CertPEM(ca.Cert)}
		f.X509 = map[string][]byte{"own.pem": labtest.CertPEM(own.Chain...)}
		f.Private = map[string][]byte{"own.pem": labtest.KeyPEM(own.Key)}
	}
	return f
}

func (c swanCase) lab(t *testing.T, ctx context.Context) *lab.Lab {
	l := labtest.Open(t, swanNet, "nft", "charon-systemd", "swanctl")
	if c.nat {
		if err := l.At("router").Masquerade(ctx, "gateway"); err != nil {
			t.Fatal(err)
		}
	}
	if c.loss > 0 {
		if err := l.At("router").Lose(ctx, c.loss); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

var swanOptions = []string{"retransmit_timeout = 1", "retransmit_base = 1.3", "retransmit_tries = 12"}

func TestStrongSwanConnectsToUs(t *testing.T) {
	for _, c := range swanCases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			l := c.lab(t, ctx)
			ca := labtest.NewAuthority(t, "Lab CA")
			swan, err := l.At("client").StartStrongSwan(ctx, swanOptions...)
			if err != nil {
				t.Fatal(err)
			}
			if err := swan.Load(ctx, c.files(t, ca, gatewayAddr, "client.example")); err != nil {
				t.Fatal(err)
			}
			r := newRunner(t, l.At("gateway"), gatewayAddr, ca, kindOr(c.key), "gateway.example")
			r.cfg.Policy = c.policy()
			go swan.Initiate(ctx, "l2tp") // fails: its user-space ESP has no transport mode
			r.run(ctx, func() bool {
				_, refused := event[ikev1.Refused](r)
				_, up := event[ikev1.SAUp](r)
				return up || refused
			})
			r.check(c, swan)
			if c.loss > 0 {
				return // what follows has no copies on charon's side
			}
			// charon begins a new main mode; the session that comes of it takes over.
			if err := swan.RekeyIKE(ctx, "l2tp"); err != nil {
				t.Fatal(err)
			}
			r.run(ctx, func() bool { return r.adopted })
			go swan.Terminate(ctx, "l2tp")
			r.run(ctx, has[ikev1.Closed](r))
			if closed, _ := event[ikev1.Closed](r); closed.Reason != ikev1.ClosedByPeer {
				t.Errorf("%+v\n%s", closed, swan.Log())
			}
		})
	}
}

func TestWeConnectToStrongSwan(t *testing.T) {
	for _, c := range swanCases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			l := c.lab(t, ctx)
			ca := labtest.NewAuthority(t, "Lab CA")
			swan, err := l.At("gateway").StartStrongSwan(ctx, swanOptions...)
			if err != nil {
				t.Fatal(err)
			}
			if err := swan.Load(ctx, c.files(t, ca, netip.IPv4Unspecified(), "gateway.example")); err != nil {
				t.Fatal(err)
			}
			r := newRunner(t, l.At("client"), clientAddr, ca, kindOr(c.key), "client.example")
			r.cfg.Policy = c.policy()
			r.cfg.Policy.DPD = time.Second
			connect := ikev1.Connect{Local: netip.AddrPortFrom(clientAddr, 500), Remote: netip.AddrPortFrom(gatewayAddr, 500)}
			if c.key != "" {
				connect.Identity = r.identity()
			}
			r.session = ikev1.NewInitiator(r.cfg, connect, time.Now(), &r.out)
			r.drain(r.session)
			r.run(ctx, func() bool {
				_, refused := event[ikev1.Refused](r)
				_, up := event[ikev1.SAUp](r)
				return up || refused
			})
			r.check(c, swan)
			if c.loss > 0 {
				return // a Delete has no copies
			}
			// R-U-THERE is answered, and then Delete understood.
			r.run(ctx, func() bool { return r.session.LastHeard().Sub(r.session.Established()) > 2*time.Second })
			r.session.Do(time.Now(), ikev1.Close{}, &r.out)
			r.drain(r.session)
			if _, err := swan.AwaitSAs(ctx, func(sas []lab.SwanSA) bool { return len(sas) == 0 }); err != nil {
				t.Error(err)
			}
		})
	}
}

func kindOr(k labtest.KeyKind) labtest.KeyKind {
	if k == "" {
		return labtest.P256
	}
	return k
}

// check holds what came of it against the case.
func (r *runner) check(c swanCase, swan *lab.StrongSwan) {
	r.t.Helper()
	e, ok := event[ikev1.Established](r)
	sa, up := event[ikev1.SAUp](r)
	refused, bad := event[ikev1.Refused](r)
	if !ok || bad || !up {
		r.t.Fatalf("established %v, ESP SA %v, %+v\n%s", ok, up, refused.Record, swan.Log())
	}
	if e.Method != c.method || !strings.HasPrefix(c.phase1, e.Suite.Encr.String()) {
		r.t.Errorf("%+v", e)
	}
	if !strings.HasPrefix(sa.SA.Suite.String(), c.esp) || !sa.SA.Encap || sa.SA.PeerPort != 1701 {
		r.t.Errorf("%+v", sa.SA)
	}
}

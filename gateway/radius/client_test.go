package radius

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
	"sallyport/protocol/radius"
)

// quick leaves a server soon when there is another, and is patient with the
// last one: the machine of the tests may be busy.
var quick = radius.Plan{Initial: 100 * time.Millisecond, Max: 400 * time.Millisecond, Count: 100, Duration: 15 * time.Second}

// hasty is for servers that will not answer.
var hasty = radius.Plan{Initial: 100 * time.Millisecond, Max: 400 * time.Millisecond, Count: 3, Duration: 2 * time.Second}

func openClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.Common == nil {
		cfg.Common = LocalAttributes("gw.example.org", netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"))
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// port describes a login as the gateway does.
var port = []radius.Attribute{
	radius.Uint32Attr(radius.NASPortType, radius.PortVirtual), radius.Uint32Attr(radius.ServiceType, radius.ServiceFramed),
	radius.TextAttr(radius.CallingStationID, "198.51.100.7[4500]"), radius.Uint32Attr(radius.FramedMTU, 1000),
}

func wantGrant(t *testing.T, g *radius.Grant) {
	t.Helper()
	if g.Addressing != radius.AddressFixed || g.IPv4.String() != "10.9.8.7" || len(g.IPv6) != 1 || g.IPv6[0].String() != "2001:db8::7" ||
		len(g.IPv6Prefix) != 1 || g.IPv6Prefix[0].String() != "2001:db8:7::/64" || g.IPv6Pool != "six" {
		t.Errorf("addresses: %+v", g)
	}
	if !slices.Equal(g.FilterIDs, []string{"staff"}) || len(g.Class) != 1 || !bytes.Equal(g.Class[0], []byte{1, 2, 255}) {
		t.Errorf("filter and class: %+v", g)
	}
	if g.SessionTimeout != 2*time.Hour || g.IdleTimeout != 15*time.Minute || g.Interim != 2*time.Minute {
		t.Errorf("times: %+v", g)
	}
	if len(g.DNS) != 1 || g.DNS[0].String() != "10.0.0.53" {
		t.Errorf("name servers: %v", g.DNS)
	}
}

func TestEAPTLSThroughFreeRADIUS(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	c := openClient(t, Config{Servers: []Server{udpServer(f.Auth)}})
	a := authorityOf(t)
	peer := newTLSPeer(t, &tls.Config{Certificates: []tls.Certificate{a.clientTLS()}, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	step, err := logIn(t, c, radius.LoginConfig{Attributes: port}, "alice", peer)
	if err != nil || step.Outcome != radius.Accepted {
		t.Fatalf("%+v, %v\n%s", step, err, f.Tail())
	}
	msk, err := peer.msk()
	if err != nil || !bytes.Equal(msk, step.Grant.MSK) {
		t.Errorf("the server's MSK is not the peer's (%v)", err)
	}
	wantGrant(t, step.Grant)
	f.Says(`NAS-Identifier = "gw.example.org"`)
	f.Says("NAS-IPv6-Address = 2001:db8::1")
	if drops := c.Status()[0].Drops; drops.Total() != 0 {
		t.Errorf("a good server's answers were dropped: %v", drops)
	}
}

func TestAMethodWithoutKeysIsRefused(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	c := openClient(t, Config{Servers: []Server{udpServer(f.Auth)}})
	if step, err := logIn(t, c, radius.LoginConfig{}, "alice", md5Peer{"wonderland"}); err == nil || !strings.Contains(err.Error(), "without keys") {
		t.Errorf("EAP-MD5: %+v, %v", step, err)
	}
	step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wonderland"})
	if err != nil || step.Outcome != radius.Accepted || len(step.Grant.MSK) != 0 {
		t.Fatalf("when it is allowed: %+v, %v\n%s", step, err, f.Tail())
	}
	wantGrant(t, step.Grant)
	if step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wrong"}); err != nil || step.Outcome != radius.Rejected || step.EAP[0] != 4 {
		t.Errorf("with a wrong password: %+v, %v", step, err)
	}
	if step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "nobody", md5Peer{"wonderland"}); err != nil || step.Outcome != radius.Rejected {
		t.Errorf("with an unknown user: %+v, %v", step, err)
	}
}

func TestAWrongSecretLetsNobodyIn(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	s := udpServer(f.Auth)
	s.Secret = secret.Bytes("another secret, equally long")
	c := openClient(t, Config{Servers: []Server{s}, Plan: hasty})
	if step, err := logIn(t, c, radius.LoginConfig{}, "alice", md5Peer{}); !errors.Is(err, radius.ErrTimeout) {
		t.Errorf("%+v, %v", step, err)
	}
	f.Says("Shared secret is incorrect")
}

func TestManyLoginsAtOnce(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	c := openClient(t, Config{Servers: []Server{udpServer(f.Auth)}})
	var logins sync.WaitGroup
	for range 300 {
		logins.Go(func() {
			if step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wonderland"}); err != nil || step.Outcome != radius.Accepted {
				t.Errorf("%+v, %v", step, err)
			}
		})
	}
	logins.Wait()
	if s := c.Status()[0]; s.Outstanding != 0 {
		t.Errorf("%d requests are outstanding", s.Outstanding)
	}
}

// silent is a server that takes packets and answers none.
func silent(t *testing.T) string {
	address, _ := silentCounter(t)
	return address
}

// silentCounter is silent, and counts the requests for access.
func silentCounter(t *testing.T) (address string, asked *atomic.Int64) {
	t.Helper()
	s, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	asked = new(atomic.Int64)
	go func() {
		b := make([]byte, 4096)
		for {
			n, _, err := s.ReadFrom(b)
			if err != nil {
				return
			}
			if p, err := radius.Parse(b[:n]); err == nil && p.Code == radius.AccessRequest {
				asked.Add(1)
			}
		}
	}()
	return s.LocalAddr().String(), asked
}

// relay passes packets to a server and back, and may do things to the answers.
type relay struct {
	address string
	mu      sync.Mutex
	change  func(answer []byte, send func([]byte))
}

func newRelay(t *testing.T, to string, change func(answer []byte, send func([]byte))) *relay {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: front.LocalAddr().String(), change: change}
	clients := map[string]net.Conn{}
	t.Cleanup(func() {
		front.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range clients {
			c.Close()
		}
	})
	go func() {
		b := make([]byte, 5000)
		for {
			n, from, err := front.ReadFrom(b)
			if err != nil {
				return
			}
			r.mu.Lock()
			back := clients[from.String()]
			if back == nil {
				if back, err = net.Dial("udp", to); err != nil {
					panic(err)
				}
				clients[from.String()] = back
				go r.back(front, back, from)
			}
			r.mu.Unlock()
			back.Write(b[:n])
		}
	}()
	return r
}

func (r *relay) back(front net.PacketConn, back net.Conn, to net.Addr) {
	b := make([]byte, 5000)
	for {
		n, err := back.Read(b)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		r.change(bytes.Clone(b[:n]), func(x []byte) { front.WriteTo(x, to) })
	}
}

func TestASilentServerIsPassedOver(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	address, asked := silentCounter(t)
	c := openClient(t, Config{Servers: []Server{udpServer(address), udpServer(f.Auth)}, Plan: quick})
	for n := range 3 {
		step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wonderland"})
		if err != nil || step.Outcome != radius.Accepted {
			t.Fatalf("login %d: %+v, %v", n, step, err)
		}
		if s := c.Status(); !s[0].Dead || s[1].Dead {
			t.Errorf("login %d: %+v", n, s)
		}
		if got := asked.Load(); got != 2 {
			t.Errorf("after login %d the silent server has been asked %d times, want 2", n, got)
		}
	}
}

func TestASlowServerIsPassedOver(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	slow := newRelay(t, f.Auth, func(answer []byte, send func([]byte)) {
		time.AfterFunc(time.Second, func() { send(answer) })
	})
	c := openClient(t, Config{Servers: []Server{udpServer(slow.address), udpServer(f.Auth)}, Plan: quick})
	step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wonderland"})
	if err != nil || step.Outcome != radius.Accepted {
		t.Fatalf("%+v, %v", step, err)
	}
	for begun := time.Now(); c.Status()[0].Drops[radius.DropUnasked] == 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 5*time.Second {
			t.Fatal("the late answer was not counted")
		}
	}
}

func TestAServerThatComesBackIsUsedAgain(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	f.Stop()
	c := openClient(t, Config{Servers: []Server{udpServer(f.Auth)}, Plan: radius.Plan{Initial: time.Second, Count: 1, Duration: 3 * time.Second}, Watch: 200 * time.Millisecond, Proofs: 2})
	if _, err := logIn(t, c, radius.LoginConfig{}, "alice", md5Peer{}); !errors.Is(err, radius.ErrTimeout) {
		t.Fatalf("with the server down: %v", err)
	}
	if !c.Status()[0].Dead {
		t.Error("it is not found dead")
	}
	f.Start()
	f.Says("Received Status-Server")
	for begun := time.Now(); c.Status()[0].Dead; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("it stays dead: %v\n%s", c.Status()[0].Drops, f.Tail())
		}
	}
	again := openClient(t, Config{Servers: []Server{udpServer(f.Auth)}, Plan: quick})
	step, err := logIn(t, again, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wonderland"})
	if err != nil || step.Outcome != radius.Accepted {
		t.Fatalf("%+v, %v", step, err)
	}
}

// TestForgedRepliesOnTheWire has somebody on the path turn real refusals into
// acceptances, in the ways of CVE-2024-3596, and repeat old answers.
func TestForgedRepliesOnTheWire(t *testing.T) {
	f := serveFreeRADIUS(t, "1.2")
	var mu sync.Mutex
	var old [][]byte
	evil := newRelay(t, f.Auth, func(answer []byte, send func([]byte)) {
		mu.Lock()
		defer mu.Unlock()
		for _, b := range old {
			replay := bytes.Clone(b)
			replay[1] = answer[1]
			send(replay)
		}
		old = append(old, answer)
		accept := bytes.Clone(answer)
		accept[0] = byte(radius.AccessAccept)
		send(accept)
		send(answer[:len(answer)-1])
		bare := append(bytes.Clone(accept[:radius.HeaderSize]), byte(radius.ProxyState), 4, 1, 2)
		bare[2], bare[3] = 0, byte(len(bare))
		send(bare)
		send(answer)
		send(answer)
	})
	c := openClient(t, Config{Servers: []Server{udpServer(evil.address)}, Plan: quick})
	for range 3 {
		step, err := logIn(t, c, radius.LoginConfig{WithoutKeys: true}, "alice", md5Peer{"wrong"})
		if err != nil || step.Outcome != radius.Rejected {
			t.Fatalf("%+v, %v", step, err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	drops := c.Status()[0].Drops
	for _, d := range []radius.Drop{radius.DropMalformed, radius.DropAuthenticator, radius.DropUnasked} {
		if drops[d] == 0 {
			t.Errorf("nothing is counted as %s: %v", d, drops)
		}
	}
}

func TestTheLogSaysWhyAnswersAreDropped(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(q *radius.Packet, key secret.Bytes) []byte
		want   string
	}{
		"no Message-Authenticator": {func(q *radius.Packet, key secret.Bytes) []byte {
			b := []byte{byte(radius.AccessReject), q.Identifier, 0, 20}
			sum := md5.Sum(slices.Concat(b, q.Authenticator[:], key))
			return append(b, sum[:]...)
		}, "no Message-Authenticator"},
		"another secret": {func(q *radius.Packet, key secret.Bytes) []byte {
			p := radius.Packet{Code: radius.AccessReject, Identifier: q.Identifier}
			b, _ := p.AppendReply(nil, q.Authenticator, secret.Bytes("another secret, equally long"))
			return b
		}, "compare the secrets"},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			go func() {
				b := make([]byte, 4096)
				for {
					n, from, err := server.ReadFrom(b)
					if err != nil {
						return
					}
					if q, err := radius.Parse(b[:n]); err == nil {
						server.WriteTo(c.answer(q, secret.Bytes(sharedSecret)), from)
					}
				}
			}()
			var log labtest.Transcript
			client := openClient(t, Config{Servers: []Server{udpServer(server.LocalAddr().String())}, Plan: hasty, Logger: logTo(&log)})
			if _, err := logIn(t, client, radius.LoginConfig{}, "alice", md5Peer{}); !errors.Is(err, radius.ErrTimeout) {
				t.Error(err)
			}
			if !strings.Contains(log.String(), c.want) {
				t.Errorf("the log does not say %q:\n%s", c.want, log.String())
			}
		})
	}
}

func TestClosedClientsRefuse(t *testing.T) {
	c := openClient(t, Config{Servers: []Server{udpServer(silent(t))}})
	ended := make(chan error, 1)
	c.Do(radius.Request{Code: radius.AccessRequest}, func(_ radius.Reply, err error) { ended <- err })
	c.Close()
	if err := <-ended; !errors.Is(err, radius.ErrClosed) {
		t.Errorf("the outstanding request: %v", err)
	}
	if _, err := c.Exchange(context.Background(), radius.Request{Code: radius.AccessRequest}); !errors.Is(err, radius.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if s := c.Status(); s != nil {
		t.Errorf("status after Close: %v", s)
	}
}

func TestAContextEndsTheWait(t *testing.T) {
	c := openClient(t, Config{Servers: []Server{udpServer(silent(t))}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Exchange(ctx, radius.Request{Code: radius.AccessRequest}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestBadServersAreNamed(t *testing.T) {
	for want, s := range map[string]Server{
		"not host:port":  {Address: "radius.example.org", Secret: secret.Bytes(sharedSecret)},
		"6 octets":       {Address: "radius.example.org:1812", Secret: secret.Bytes("secret")},
		"the name":       {Address: "radius.example.org:2083", TLS: &TLS{}},
		"the CA":         {Address: "radius.example.org:2083", TLS: &TLS{Name: "x"}},
		"certificate of": {Address: "radius.example.org:2083", TLS: &TLS{Name: "x", Verifier: authorityOf(t).verifier}},
	} {
		if _, err := Open(Config{Servers: []Server{s}}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "radius.example.org") {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("no servers at all")
	}
}

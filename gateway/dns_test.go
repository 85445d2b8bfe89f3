package gateway

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// resolver runs a real DNS server on loopback that knows one name.
func resolver(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Name == "intranet.corp.example." {
			rr, _ := dns.NewRR("intranet.corp.example. 60 IN A 10.1.2.3")
			m.Answer = append(m.Answer, rr)
		} else {
			m.Rcode = dns.RcodeNameError
		}
		w.WriteMsg(m)
	})}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return pc.LocalAddr().String()
}

func startForwarder(t *testing.T, upstreams ...string) string {
	t.Helper()
	f := &forwarder{upstreams: upstreams, read: time.Now().Add(time.Hour), slots: make(chan struct{}, maxQueries), log: slog.New(slog.DiscardHandler)}
	if err := f.listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f.servers[0].PacketConn.LocalAddr().String()
}

func ask(t *testing.T, server, name string) *dns.Msg {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	answer, err := dns.Exchange(q, server)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestForwarderAsksTheHostsResolvers(t *testing.T) {
	server := startForwarder(t, resolver(t))
	if a := ask(t, server, "intranet.corp.example."); len(a.Answer) != 1 || a.Answer[0].(*dns.A).A.String() != "10.1.2.3" {
		t.Errorf("answer is %v, want 10.1.2.3", a.Answer)
	}
	if a := ask(t, server, "nowhere.example."); a.Rcode != dns.RcodeNameError {
		t.Errorf("unknown name: %s, want NXDOMAIN passed through", dns.RcodeToString[a.Rcode])
	}
}

func TestForwarderTriesTheNextResolver(t *testing.T) {
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close() // nobody answers there: ICMP port unreachable
	server := startForwarder(t, dead.LocalAddr().String(), resolver(t))
	if a := ask(t, server, "intranet.corp.example."); len(a.Answer) != 1 {
		t.Errorf("answer is %v, want the second resolver's", a)
	}
}

func TestForwarderSaysServfailWhenNobodyAnswers(t *testing.T) {
	dead, _ := net.ListenPacket("udp", "127.0.0.1:0")
	dead.Close()
	server := startForwarder(t, dead.LocalAddr().String())
	if a := ask(t, server, "intranet.corp.example."); a.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %s, want SERVFAIL", dns.RcodeToString[a.Rcode])
	}
}

func TestAPortThatTheHostsResolverHasComesWithAHint(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.LocalAddr().(*net.UDPAddr).AddrPort()
	f := &forwarder{slots: make(chan struct{}, maxQueries), log: slog.New(slog.DiscardHandler)}
	defer f.close()
	var hint interface{ Hint() string }
	if err := f.listen(at); !errors.As(err, &hint) || !strings.Contains(hint.Hint(), `dns.servers: ["127.0.0.1"]`) {
		t.Errorf("%v", err)
	}
	if err := unheard(at, os.ErrPermission); errors.As(err, &hint) {
		t.Errorf("%v has a hint", err)
	}
}

func TestForwarderNeverAsksItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	os.WriteFile(path, []byte("nameserver 10.60.0.1\nnameserver 192.0.2.53\n"), 0o600)
	got, err := upstreamsOf(path, []netip.Addr{netip.MustParseAddr("10.60.0.1")})
	if err != nil || !slices.Equal(got, []string{"192.0.2.53:53"}) {
		t.Errorf("got %v, %v", got, err)
	}
	os.WriteFile(path, []byte("nameserver 10.60.0.1\n"), 0o600)
	if _, err := upstreamsOf(path, []netip.Addr{netip.MustParseAddr("10.60.0.1")}); err == nil {
		t.Error("a host whose only resolver is the gateway itself must be an error")
	}
}

func TestForwarderFollowsTheHostsResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	f := &forwarder{path: path}
	if _, err := f.current(); err == nil {
		t.Error("a missing resolv.conf is no error")
	}
	for _, server := range []string{"192.0.2.53", "192.0.2.54"} {
		os.WriteFile(path, []byte("nameserver "+server+"\n"), 0o600)
		f.read = time.Time{}
		if got, err := f.current(); err != nil || !slices.Equal(got, []string{server + ":53"}) {
			t.Errorf("got %v, %v, want %s", got, err, server)
		}
	}
	os.Remove(path)
	f.read = time.Time{}
	if got, _ := f.current(); len(got) != 1 {
		t.Errorf("the last resolvers are forgotten while the file is being replaced: %v", got)
	}
}

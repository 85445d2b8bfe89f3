package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// office is a gateway and a laptop in namespaces of their own, with the real
// program on both.
type office struct {
	*testing.T
	program         string
	gateway, laptop *lab.Host
	inside          *lab.Host // a neighbour of the gateway, without a tunnel
	server, tunnel  *lab.Process
}

const officeConfig = "/run/sallyport.yaml"

func newOffice(t *testing.T, zone string) *office {
	t.Helper()
	l := labtest.Open(t, lab.RoadWarrior)
	o := &office{T: t, program: filepath.Join(t.TempDir(), "sallyport"), gateway: l.At("gateway"), laptop: l.At("client"), inside: l.At("inside")}
	if out, err := exec.Command("go", "build", "-o", o.program, "sallyport/cmd/sallyport").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	o.must(o.gateway.WriteFile(officeConfig, []byte("gateway: {name: vpn.example.org, listen: [router], state: /run/state}\nzones: {staff: "+zone+"}\n"), 0o600))
	o.admin("init")
	o.serve()
	o.admin("user", "add", "alice")
	o.admin("device", "add", "laptop", "--user", "alice", "--out", "/run/profile")
	o.admin("device", "profile", "laptop", "--for", "sallyport", "--address", "198.51.100.10", "--out", "/run/profile")
	files, err := o.gateway.ReadDir("/run/profile")
	o.must(err)
	for name, content := range files {
		o.must(o.laptop.WriteFile(filepath.Join("/run/profile", name), content, 0o600))
	}
	return o
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o *office) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(o.Context(), d)
	o.Cleanup(cancel)
	return ctx
}

func (o *office) admin(args ...string) string {
	o.Helper()
	out, err := o.gateway.Run(o.within(20*time.Second), o.program, append(args, "--config", officeConfig)...)
	o.must(err)
	return out
}

func (o *office) serve() {
	o.Helper()
	var err error
	o.server, err = o.gateway.Start(lab.Command{Program: o.program, Args: []string{"serve", "--config", officeConfig}})
	o.must(err)
	o.eventually(10*time.Second, "the gateway serves", func() bool {
		out, err := o.gateway.Run(o.within(5*time.Second), o.program, "status", "--config", officeConfig)
		return err == nil && strings.Contains(out, ": running")
	})
}

func (o *office) connect() {
	o.Helper()
	var err error
	o.tunnel, err = o.laptop.Start(lab.Command{Program: o.program, Args: []string{"connect", "/run/profile/laptop.yaml", "--verbose"}})
	o.must(err)
	o.reach(10 * time.Second)
}

// reach pings the gateway's inner address through the tunnel.
func (o *office) reach(within time.Duration) {
	o.Helper()
	if _, err := o.laptop.AwaitPing(o.within(within), netip.MustParseAddr("10.60.0.1")); err != nil {
		o.Fatalf("no tunnel: %v\n%s\n%s", err, o.tunnel.Output(), o.server.Output())
	}
}

func (o *office) eventually(within time.Duration, what string, cond func() bool) {
	o.Helper()
	for end := time.Now().Add(within); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			o.Fatalf("not within %v: %s", within, what)
		}
	}
}

// remotes are the outer addresses of the live sessions.
func (o *office) remotes() (list []netip.AddrPort) {
	o.Helper()
	var document struct {
		Data []struct{ Remote netip.AddrPort }
	}
	o.must(json.Unmarshal([]byte(o.admin("sessions", "list", "--json")), &document))
	for _, s := range document.Data {
		list = append(list, s.Remote)
	}
	return list
}

func (o *office) rules() string {
	o.Helper()
	out, err := o.laptop.Run(o.within(5*time.Second), "ip", "rule")
	o.must(err)
	return out
}

// TestClientFollowsItsHost: a new address of the laptop is told to the gateway
// and the tunnel goes on, and the end of the client leaves nothing behind.
func TestClientFollowsItsHost(t *testing.T) {
	o := newOffice(t, `{pool: {ipv4: 10.60.0.0/24}, routes: [10.60.0.0/24, 10.9.0.0/24]}`)
	o.connect()
	was := o.remotes()
	old, next := netip.MustParsePrefix("192.168.77.2/24"), netip.MustParsePrefix("192.168.77.3/24")
	o.must(o.laptop.RemoveAddr("router", old))
	o.must(o.laptop.AddAddr("router", next))
	o.must(o.laptop.Route(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("192.168.77.1")))
	o.reach(10 * time.Second)
	o.eventually(5*time.Second, "the gateway knows the new address", func() bool {
		r := o.remotes()
		return len(r) == 1 && r[0].Addr() == next.Addr()
	})
	if len(was) != 1 || was[0].Addr() != old.Addr() {
		t.Errorf("before the move: %v", was)
	}
	if !strings.Contains(o.rules(), "lookup 7296") {
		t.Errorf("no rule leads to the tunnel:\n%s", o.rules())
	}
	o.tunnel.Stop()
	if strings.Contains(o.rules(), "7296") {
		t.Errorf("the client left rules behind:\n%s", o.rules())
	}
	o.eventually(time.Second, "the gateway was told", func() bool { return len(o.remotes()) == 0 })
}

// TestGatewayResolvesForItsClients: the DNS server `gateway` is the gateway's
// inner address, and it asks the host's resolvers.
func TestGatewayResolvesForItsClients(t *testing.T) {
	o := newOffice(t, `{pool: {ipv4: 10.60.0.0/24}, dns: {servers: [gateway]}}`)
	o.connect()
	if !strings.Contains(o.tunnel.Output(), "DNS       [10.60.0.1") {
		t.Errorf("the client was not told the resolver:\n%s", o.tunnel.Output())
	}
	conn, err := o.laptop.Dial(o.within(5*time.Second), "udp", "10.60.0.1:53")
	o.must(err)
	defer conn.Close()
	query := new(dns.Msg)
	query.SetQuestion("nowhere.invalid.", dns.TypeA)
	c := &dns.Conn{Conn: conn}
	o.must(c.SetDeadline(time.Now().Add(10 * time.Second)))
	o.must(c.WriteMsg(query))
	answer, err := c.ReadMsg()
	o.must(err)
	if answer.Id != query.Id || !answer.Response {
		t.Errorf("answer %v", answer)
	}
	o.closed("10.60.0.1:53", query)
}

// TestNamedInterfaceIsTheOnlyOne: gateway.listen names the interface to the
// router, so nobody hears what comes in from the inside.
func TestNamedInterfaceIsTheOnlyOne(t *testing.T) {
	o := newOffice(t, `{pool: {ipv4: 10.60.0.0/24}}`)
	o.connect()
	if list := o.admin("sessions", "list"); !strings.Contains(list, "CLIENT") || !strings.Contains(list, "Sallyport") {
		t.Errorf("the list of sessions does not name the client:\n%s", list)
	}
	for _, port := range []string{"500", "4500"} {
		o.closed("10.9.0.1:"+port, new(dns.Msg))
	}
}

// closed wants a port of the gateway to be closed for a neighbour without
// tunnel, over UDP and, where it is open to clients, over TCP.
func (o *office) closed(address string, message *dns.Msg) {
	o.Helper()
	for _, network := range []string{"udp", "tcp"} {
		conn, err := o.inside.Dial(o.within(5*time.Second), network, address)
		if err == nil {
			defer conn.Close()
			c := &dns.Conn{Conn: conn}
			o.must(c.SetDeadline(time.Now().Add(5 * time.Second)))
			o.must(c.WriteMsg(message))
			_, err = c.ReadMsg()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			o.Errorf("a neighbour without tunnel at %s %s: %v, want that nobody is there", network, address, err)
		}
	}
}

// TestRawESPWhereNoNATIsSeen: a zone with encapsulation auto sends protocol 50.
func TestRawESPWhereNoNATIsSeen(t *testing.T) {
	o := newOffice(t, `{pool: {ipv4: 10.60.0.0/24}, encapsulation: auto}`)
	o.connect()
	raw, err := o.gateway.ListenPacket("ip4:50", "198.51.100.10")
	o.must(err)
	defer raw.Close()
	o.must(raw.SetReadDeadline(time.Now().Add(10 * time.Second)))
	go o.laptop.AwaitPing(o.within(5*time.Second), netip.MustParseAddr("10.60.0.1"))
	if n, from, err := raw.ReadFrom(make([]byte, 2048)); err != nil || n < 8 {
		t.Errorf("no ESP packet without UDP came: %d octets from %v, %v", n, from, err)
	}
}

// TestPreSharedKeyOutlivesAKilledGateway: the key is sealed in the store, and
// comes back with it; revoking the device ends it.
func TestPreSharedKeyOutlivesAKilledGateway(t *testing.T) {
	o := newOffice(t, `{auth: [certificate, psk], pool: {ipv4: 10.60.0.0/24}}`)
	shown := o.admin("device", "add", "router", "--user", "alice", "--psk", "--address", "192.168.77.0/24", "--out", "/run/keys")
	keys, err := o.gateway.ReadDir("/run/keys")
	o.must(err)
	if key := string(keys["router.psk"]); len(key) != 32 || !strings.Contains(shown, key) {
		t.Fatalf("device add says:\n%s", shown)
	}
	profile, err := o.laptop.ReadDir("/run/profile")
	o.must(err)
	var lines []string
	for line := range strings.Lines(string(profile["laptop.yaml"])) {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "ca", "certificate", "key", "auth":
		default:
			lines = append(lines, strings.Replace(line, "laptop", "router", 1))
		}
	}
	o.must(o.laptop.WriteFile("/run/profile/laptop.yaml", []byte(strings.Join(lines, "")+"auth: psk\npsk: router.psk\n"), 0o600))
	o.must(o.laptop.WriteFile("/run/profile/router.psk", keys["router.psk"], 0o600))
	o.connect()
	o.tunnel.Stop()
	o.server.Kill()
	o.serve()
	o.connect()
	if out := o.admin("device", "revoke", "router"); !strings.Contains(out, "1 live session") {
		t.Errorf("device revoke says %q", out)
	}
	o.eventually(5*time.Second, "the revoked client is told", func() bool {
		return strings.Contains(o.tunnel.Output(), "AUTHENTICATION_FAILED")
	})
}

// TestAccountsCountWhatWentThroughTheTunnel: in both directions, over a rekey,
// and as FreeRADIUS writes it down.
func TestAccountsCountWhatWentThroughTheTunnel(t *testing.T) {
	o := newOffice(t, `{pool: {ipv4: 10.60.0.0/24}, routes: [10.60.0.0/24]}`)
	o.server.Stop()
	ca := labtest.NewAuthority(t, "Organisation")
	server := ca.Issue(t, labtest.Leaf{Name: "radius.example.org", ID: "radius.example.org", Key: labtest.P256})
	books := labtest.FreeRADIUSConfig{CA: labtest.CertPEM(ca.Cert), Server: server.PEM()}
	for name, text := range books.Files(t, "/run/radius", labtest.RADIUSPorts{Auth: 1812, Acct: 1813}) {
		o.must(o.gateway.WriteFile("/run/radius/"+name, []byte(text), 0o600))
	}
	o.must(o.gateway.WriteFile("/run/secret", []byte(labtest.RADIUSSecret), 0o600))
	o.must(o.gateway.WriteFile(officeConfig, []byte(`gateway: {name: vpn.example.org, listen: [router], state: /run/state}
zones: {staff: {pool: {ipv4: 10.60.0.0/24}, routes: [10.60.0.0/24], radius: corp}}
radius: {corp: {accounting: [{address: "127.0.0.1:1813", secret: /run/secret}]}}
`), 0o600))
	collector, err := o.gateway.Start(lab.Command{Program: "freeradius", Args: []string{"-fxx", "-l", "stdout", "-d", "/run/radius"}})
	o.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway says\n%s\nFreeRADIUS says\n%s", o.admin("status"), collector.Output())
		}
	})
	o.eventually(20*time.Second, "FreeRADIUS is ready", func() bool { return strings.Contains(string(collector.Output()), "Ready to process requests") })
	o.serve()
	o.connect()
	const octets = 300_000
	inner := netip.MustParseAddr("10.60.0.1")
	for range 2 {
		if _, err := o.laptop.SendTCP(o.within(20*time.Second), o.gateway, inner, octets); err != nil {
			t.Fatal(err)
		}
		o.admin("sessions", "rekey", "1") // the second half goes through another Child SA
		o.reach(5 * time.Second)
	}
	o.admin("sessions", "kick", "1")
	var detail string
	o.eventually(20*time.Second, "FreeRADIUS has the Stop", func() bool {
		b, _ := o.gateway.ReadFile("/run/radius/detail")
		detail = string(b)
		return strings.Contains(detail, "Acct-Status-Type = Stop")
	})
	_, stop, _ := strings.Cut(detail, "Acct-Status-Type = Stop")
	counted := func(name string) (n int) {
		for line := range strings.Lines(stop) {
			if _, err := fmt.Sscanf(strings.TrimSpace(line), name+" = %d", &n); err == nil {
				return n
			}
		}
		t.Errorf("no %s in the Stop:\n%s", name, stop)
		return 0
	}
	if n := counted("Acct-Input-Octets"); n < 2*octets || n > 2*octets*5/4 {
		t.Errorf("%d octets came in, want %d with headers", n, 2*octets)
	}
	if n := counted("Acct-Output-Octets"); n < 1000 || n > octets {
		t.Errorf("%d octets went out, want the acknowledgements", n)
	}
	if !strings.Contains(stop, "Acct-Terminate-Cause = Admin-Reset") {
		t.Errorf("the Stop says\n%s", stop)
	}
}

package legacy

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/lab/linux"
)

const drawing = `
	client   192.168.77.2/24   --  192.168.77.1/24   router
	router   198.51.100.1/24   --  198.51.100.10/24  gateway
	gateway  10.20.30.1/24     --  10.20.30.9/24     printer
	gateway  10.20.40.1/24     --  10.20.40.9/24     server
	client   default  router
	gateway  default  router
	printer  default  gateway
	server   default  gateway
`

const printers = `
zones:
  printers:
    protocol: l2tp
    auth: [eap-tls]
    reach: [10.20.30.0/24]
    pool: {ipv4: 10.62.0.0/24, ipv6: "fd00:62::/56"}
    dpd: 10s
`

var (
	outside = netip.MustParseAddr("198.51.100.10")
	inside  = netip.MustParseAddr("10.62.0.1") // the gateway, to its clients
	inside6 = netip.MustParseAddr("fd00:62::1")
	printer = netip.MustParseAddr("10.20.30.9")
	server  = netip.MustParseAddr("10.20.40.9") // not in reach
)

// world is a gateway with a Linux client.
type world struct {
	l   *lab.Lab
	g   *gateway
	pc  *linux.Guest
	c   linux.Client
	vpn *linux.VPN
}

func newWorld(t *testing.T, zones string) *world {
	t.Helper()
	w := &world{l: labtest.Open(t, drawing, append(linux.Programs, "nft", "tshark")...)}
	w.g = serve(t, w.l.At("gateway"), zones)
	cert, key, ca := w.g.device(t, "laptop", "alice", "printers")
	w.c = linux.Client{
		Server: outside, ServerID: "@vpn.example.org", CA: ca, Cert: cert, Key: key, Fragments: true,
		IKE: "aes256-sha256-ecp256", ESP: "aes256gcm16",
		User: "alice", EAP: &linux.EAPTLS{CA: ca, Cert: cert, Key: key, Server: "vpn.example.org"},
		DNS: true, IPv6: true, Routes: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")},
	}
	w.pc = boot(t, w.l.At("client"))
	return w
}

// configure starts the client's daemons.
func (w *world) configure(t *testing.T, c linux.Client) {
	t.Helper()
	var err error
	if w.vpn, err = w.pc.Configure(within(t, time.Minute), c); err != nil {
		t.Fatal(err)
	}
}

// up connects, and sees a packet through.
func (w *world) up(t *testing.T, patience time.Duration) linux.Link {
	t.Helper()
	begun := time.Now()
	link, err := w.vpn.Up(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up in %v: %+v", time.Since(begun).Round(10*time.Millisecond), link)
	w.works(t)
	return link
}

func (w *world) works(t *testing.T) {
	t.Helper()
	if _, err := w.pc.AwaitPing(within(t, 15*time.Second), printer); err != nil {
		t.Errorf("the printer does not answer: %v", err)
	}
}

// sessions are the gateway's, by device.
func (w *world) sessions(t *testing.T) (all []session) {
	t.Helper()
	if err := w.g.ask(t, &all, "sessions", "list"); err != nil {
		t.Fatal(err)
	}
	return all
}

type session struct {
	ID       uint64
	Device   string
	User     string
	Zone     string
	Client   string
	IPv4     netip.Addr
	Children []struct {
		ESP      string
		BytesIn  uint64 `json:"bytes_in"`
		BytesOut uint64 `json:"bytes_out"`
	}
}

// eventually tries until it is so.
func eventually(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestALinuxClientWithCertificates(t *testing.T) {
	w := newWorld(t, printers)
	w.c.LogIPsecAll = true
	w.configure(t, w.c)
	for _, s := range []struct {
		name string
		f    func(*testing.T)
	}{
		{"connects and moves traffic", w.connects},
		{"survives a rekey of each phase", w.rekeys},
		{"reaches nothing but what the zone may reach", w.scans},
		{"survives the loss of a packet in twenty", w.losses},
		{"comes back when the gateway was killed", w.killed},
		{"leaves in order", w.leaves},
	} {
		if !t.Run(s.name, s.f) {
			return // each goes on from where the one before has stopped
		}
	}
}

func (w *world) connects(t *testing.T) {
	capture, err := w.l.At("client").Capture("router", filepath.Join(t.TempDir(), "wire.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	link := w.up(t, 40*time.Second)
	if link.Local != netip.MustParseAddr("10.62.0.2") || link.Peer != inside {
		t.Errorf("the link is from %v to %v", link.Local, link.Peer)
	}
	if !slices.Contains(link.DNS, inside) {
		t.Errorf("the name servers are %v, want %v", link.DNS, inside)
	}
	w.decodes(t, capture)
	ctx := within(t, time.Minute)
	tr, err := w.pc.SendTCP(ctx, w.l.At("printer"), printer, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("to the printer: %.0f Mbit/s", tr.MbitPerSecond())
	all := w.sessions(t)
	if len(all) != 1 || all[0].Device != "laptop" || all[0].User != "alice" || all[0].Zone != "printers" || all[0].IPv4 != link.Local {
		t.Fatalf("the sessions are %+v", all)
	}
	if child := all[0].Children; len(child) != 1 || child[0].BytesIn < 16<<20 || child[0].BytesOut == 0 {
		t.Errorf("its SAs have moved %+v", child)
	}
}

// decodes lets Wireshark read what went over the wire, with the client's keys.
func (w *world) decodes(t *testing.T, capture *lab.Capture) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	if _, err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	secrets, err := w.vpn.Secrets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := lab.Decode(ctx, capture.File, secrets, "isakmp.exchangetype", "isakmp.typepayload")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lab.Malformed(frames) {
		t.Error(f)
	}
	has := map[string]int{}
	for _, f := range frames {
		for _, p := range strings.Split(f.Protocols, ":") {
			has[p]++
		}
		if f.Has("esp") && !f.Has("l2tp") {
			t.Errorf("not decrypted: %v", f)
		}
		// The hash is the first payload inside the encryption.
		if f.Has("isakmp") && slices.Equal(f.Fields["isakmp.exchangetype"], []string{"32"}) && !slices.Contains(f.Fields["isakmp.typepayload"], "8") {
			t.Errorf("quick mode is not decrypted: %v", f)
		}
	}
	for _, p := range []string{"isakmp", "esp", "l2tp", "lcp", "eap", "tls", "ipcp", "ipv6cp", "icmp"} {
		if has[p] == 0 {
			t.Errorf("no frame with %s among %d: %v", p, len(frames), has)
		}
	}
}

func (w *world) rekeys(t *testing.T) {
	ctx := within(t, time.Minute)
	flow, err := w.pc.StartFlow(ctx, w.l.At("printer"), printer, 200, 200)
	if err != nil {
		t.Fatal(err)
	}
	before := w.sessions(t)
	for _, renew := range []func(context.Context) error{w.vpn.RekeyESP, w.vpn.RekeyIKE, w.vpn.RekeyESP} {
		if err := renew(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(500 * time.Millisecond) // some packets with the new keys
		w.works(t)
	}
	report, err := flow.Stop(ctx, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if report.Lost() > report.Sent/100 {
		t.Errorf("three rekeys lost %d of %d packets", report.Lost(), report.Sent)
	}
	after := w.sessions(t)
	if len(after) != 1 || after[0].ID != before[0].ID {
		t.Errorf("the session did not last: %+v, then %+v", before, after)
	}
}

func (w *world) scans(t *testing.T) {
	ctx := within(t, time.Minute)
	few := []uint16{22, 53, 67, 123, 161, 443, 500, 1701, 4500}
	many := append(linux.Ports(1, 512), few...)
	for _, to := range []struct {
		what, network string
		addr          netip.Addr
		ports, open   []uint16
	}{
		{"a server outside of reach", "tcp", server, many, nil},
		{"a server outside of reach", "udp", server, few, nil},
		{"the gateway's own address inside", "tcp", netip.MustParseAddr("10.20.40.1"), many, nil},
		{"the gateway, as its clients know it", "tcp", inside, many, []uint16{53}},
		{"the gateway, as its clients know it", "tcp", inside6, few, []uint16{53}},
	} {
		scan, err := w.pc.Scan(ctx, to.network, to.addr, to.ports, []byte("anybody?"), 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if open := slices.Compact(scan.Open); !slices.Equal(open, to.open) {
			t.Errorf("%s (%v, %s): open are %v, want %v", to.what, to.addr, to.network, open, to.open)
		}
		if len(to.open) == 0 {
			if _, err := w.pc.Ping(within(t, time.Second), to.addr, 56); err == nil {
				t.Errorf("%s answers a ping", to.what)
			}
		}
	}
	w.works(t)
}

func (w *world) losses(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	if err := w.vpn.Down(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.l.At("router").Lose(ctx, 50); err != nil {
		t.Fatal(err)
	}
	link, err := w.vpn.Up(within(t, 90*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up: %+v", link)
	if _, err := w.pc.SendTCP(ctx, w.l.At("printer"), printer, 1<<20); err != nil {
		t.Error(err)
	}
	if err := w.vpn.RekeyESP(ctx); err != nil {
		t.Error(err)
	}
	if err := w.l.At("router").Deliver(ctx); err != nil {
		t.Fatal(err)
	}
	w.works(t)
}

func (w *world) killed(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	w.g.server.Kill()
	if err := w.g.server.Wait(ctx); err == nil {
		t.Error("the gateway ended in order")
	}
	w.g.start(t)
	// As NetworkManager does: it connects anew when it notices.
	if err := w.vpn.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.vpn, err = w.pc.Configure(ctx, w.c); err != nil {
		t.Fatal(err)
	}
	link := w.up(t, 40*time.Second)
	if link.Local != netip.MustParseAddr("10.62.0.2") {
		t.Errorf("the device came back with another address: %v", link.Local)
	}
}

func (w *world) leaves(t *testing.T) {
	if err := w.vpn.Down(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the session is gone", func() bool { return len(w.sessions(t)) == 0 })
}

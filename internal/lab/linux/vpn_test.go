package linux_test

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

// TestALinuxClientReachesALinuxServer proves the harness with two guests, before
// anything of ours is at the other end.
func TestALinuxClientReachesALinuxServer(t *testing.T) {
	l := labtest.Open(t, `
		client  192.168.77.2/24  --  192.168.77.1/24  router
		router  198.51.100.1/24  --  198.51.100.10/24  gateway
		client   default  router
		gateway  default  router
	`, append(linux.Programs, "tshark", "nft")...)
	pc, gateway := boot(t, l.At("client")), boot(t, l.At("gateway"))
	c, s := pair(t)
	w := world{l, pc, gateway, c, s}
	t.Run("with certificates and EAP-TLS", w.certificates)
	t.Run("and is refused without EAP", w.refused)
	t.Run("behind a NAT, with a shared secret", w.nat)
	t.Run("and has its routes again when PPP negotiates anew", w.anew)
}

type world struct {
	l           *lab.Lab
	pc, gateway *linux.Guest
	c           linux.Client
	s           linux.Server
}

// start starts both ends; they stop with the test.
func (w world) start(t *testing.T) *linux.VPN {
	t.Helper()
	shown(t, w.gateway)
	shown(t, w.pc)
	service, err := w.gateway.Serve(within(t, time.Minute), w.s)
	if err != nil {
		t.Fatal(err)
	}
	vpn, err := w.pc.Configure(within(t, time.Minute), w.c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := vpn.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := service.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return vpn
}

func (w world) certificates(t *testing.T) {
	w.c.LogIPsecAll = true
	vpn := w.start(t)
	ctx := within(t, time.Minute)
	capture, err := w.l.At("client").Capture("router", filepath.Join(t.TempDir(), "wire.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	link := w.connect(t, vpn)
	if link.Local != w.s.First || link.Peer != w.s.Local {
		t.Errorf("the link is from %v to %v, want %v to %v", link.Local, link.Peer, w.s.First, w.s.Local)
	}
	if !slices.Contains(link.DNS, w.s.DNS) {
		t.Errorf("the name servers are %v, want %v", link.DNS, w.s.DNS)
	}
	if status, err := vpn.Status(ctx); err != nil || !strings.Contains(status, "INSTALLED, TRANSPORT") {
		t.Errorf("no transport mode SA: %v\n%s", err, status)
	}
	frames := w.decode(t, vpn, capture)
	w.reads(t, frames, "ip:esp:udp:l2tp:ppp:ip:icmp")

	if tr, err := w.pc.SendTCPTo(ctx, w.gateway, w.s.Local, 16<<20); err != nil {
		t.Error(err)
	} else {
		t.Logf("%.0f Mbit/s through the tunnel", tr.MbitPerSecond())
	}
	begun := time.Now()
	if err := vpn.Down(ctx); err != nil {
		t.Error(err)
	}
	t.Logf("down in %v", time.Since(begun).Round(time.Millisecond))
	if _, err := w.pc.Ping(within(t, time.Second), w.s.Local, 56); err == nil {
		t.Error("the server still answers after the end of the tunnel")
	}
}

func (w world) connect(t *testing.T, vpn *linux.VPN) linux.Link {
	t.Helper()
	ctx := within(t, 30*time.Second)
	begun := time.Now()
	link, err := vpn.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up in %v: %+v", time.Since(begun).Round(time.Millisecond), link)
	if _, err := w.pc.AwaitPing(ctx, w.s.Local); err != nil {
		t.Error(err)
	}
	return link
}

// decode ends a capture and reads it with the client's keys.
func (w world) decode(t *testing.T, vpn *linux.VPN, capture *lab.Capture) []lab.Frame {
	t.Helper()
	ctx := within(t, 30*time.Second)
	if _, err := capture.Stop(); err != nil {
		t.Error(err)
	}
	secrets, err := vpn.Secrets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := lab.Decode(ctx, capture.File, secrets.Anywhere(), "isakmp.exchangetype", "isakmp.typepayload")
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// reads demands that Wireshark could look into everything, down to a ping.
func (w world) reads(t *testing.T, frames []lab.Frame, ping string) {
	t.Helper()
	for _, f := range lab.Malformed(frames) {
		t.Error(f)
	}
	has := map[string]bool{}
	for _, f := range frames {
		for _, p := range strings.Split(f.Protocols, ":") {
			has[p] = true
		}
		has["ping"] = has["ping"] || strings.Contains(f.Protocols, ping)
		if f.Has("esp") && !f.Has("l2tp") {
			t.Errorf("not decrypted: %v", f)
		}
		// The hash is the first payload inside the encryption.
		if f.Has("isakmp") && slices.Equal(f.Fields["isakmp.exchangetype"], []string{"32"}) && !slices.Contains(f.Fields["isakmp.typepayload"], "8") {
			t.Errorf("quick mode is not decrypted: %v", f)
		}
	}
	for _, p := range []string{"isakmp", "esp", "l2tp", "lcp", "eap", "tls", "ipcp", "ipv6cp", "ping"} {
		if !has[p] {
			t.Errorf("no frame with %s among %d", p, len(frames))
		}
	}
}

func (w world) refused(t *testing.T) {
	w.c.EAP, w.c.Password, w.c.Refuse = nil, "a password", []string{"pap", "chap", "mschap"}
	vpn := w.start(t)
	ctx := within(t, 30*time.Second)
	if _, err := vpn.UpIPsec(ctx); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	link, err := vpn.Dial(ctx)
	if err == nil {
		t.Fatalf("a link without EAP came up: %+v", link)
	}
	if ctx.Err() != nil {
		t.Errorf("the refusal was not noticed: %v", err)
	}
	t.Logf("refused after %v", time.Since(begun).Round(time.Millisecond))
	log, err := vpn.PPPLog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<auth eap>", "sent [LCP ConfNak id=0x1 <auth chap MS-v2>]", "peer refused to authenticate"} {
		if !strings.Contains(log, want) {
			t.Errorf("pppd did not say %q", want)
		}
	}
}

func (w world) nat(t *testing.T) {
	w.c.LogIPsecAll = true
	w.c.PSK, w.s.PSK = "a secret that a group shares", "a secret that a group shares"
	w.c.IKE, w.c.ESP = "aes256-sha1-modp2048", "aes256-sha1"
	w.s.IKE, w.s.ESP = w.c.IKE, w.c.ESP
	ctx := within(t, time.Minute)
	if err := w.l.At("router").Masquerade(ctx, "gateway"); err != nil {
		t.Fatal(err)
	}
	vpn := w.start(t)
	capture, err := w.l.At("router").Capture("gateway", filepath.Join(t.TempDir(), "wire.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	w.connect(t, vpn)
	frames := w.decode(t, vpn, capture)
	w.reads(t, frames, "ip:udp:udpencap:esp:udp:l2tp:ppp:ip:icmp")
	for _, renew := range []func(t *testing.T) error{
		func(t *testing.T) error { return vpn.RekeyESP(ctx) },
		func(t *testing.T) error { return vpn.RekeyIKE(ctx) },
	} {
		if err := renew(t); err != nil {
			t.Error(err)
		}
		if _, err := w.pc.AwaitPing(within(t, 5*time.Second), w.s.Local); err != nil {
			t.Errorf("after a rekey: %v", err)
		}
	}
}

// anew loses one configure-ack of the client, in the clear, as that packet cannot
// be told from others otherwise: the server asks again when the client is up
// already, whose link goes down and comes up.
func (w world) anew(t *testing.T) {
	behind := netip.MustParsePrefix("10.99.0.0/16")
	w.c.Routes = []netip.Prefix{behind}
	vpn := w.start(t)
	ctx := within(t, time.Minute)
	// L2TP's header has six octets, then come those of PPP: IPCP, Configure-Ack.
	if err := w.l.At("router").LoseOne(ctx, "udp dport 1701 @th,112,40 0xff03802102"); err != nil {
		t.Fatal(err)
	}
	if _, err := vpn.Dial(ctx); err != nil {
		t.Fatal(err)
	}
	ups := func() int {
		log, err := vpn.PPPLog(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(log, "local  IP address")
	}
	for ups() < 2 && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	if n := ups(); n != 2 {
		t.Fatalf("the link came up %d times, want 2", n)
	}
	link, err := vpn.AwaitLink(ctx)
	if err != nil {
		t.Errorf("after the second time: %v, %+v", err, link)
	}
	if out, err := w.pc.Run(ctx, "ip", "route", "show", "dev", "ppp0"); err != nil || !strings.Contains(out, behind.String()) {
		t.Errorf("the routes are %q (%v), want %v among them", out, err, behind)
	}
}

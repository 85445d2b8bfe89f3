package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/miekg/dns"

	"sallyport/internal/lab"
)

// configFile is where the gateway's administrator keeps the configuration.
const configFile = "/run/etc/sallyport.yaml"

const configText = `gateway: {name: vpn.example.org, state: /run/lib/sallyport}
zones:
  staff:
    pool: {ipv4: 10.60.0.0/24, ipv6: "fd00:60::/64"}
    dns: {servers: [10.9.0.10], split: [corp.example]}
    routes: [10.9.0.0/24, "fd00:9::/64"]
`

func (s *show) buildNetwork() error {
	s.next("Building the network")
	programs := []string{"nft"}
	s.tunnel = &ownClient{}
	if s.Client == "strongswan" {
		programs = append(programs, "charon-systemd", "swanctl")
		s.tunnel = &swanClient{}
	}
	if err := lab.Missing(programs...); err != nil {
		return err
	}
	if err := s.lab.Draw(lab.RoadWarrior); err != nil {
		return err
	}
	s.gateway, s.client, s.inside = s.lab.At("gateway"), s.lab.At("client"), s.lab.At("inside")
	if err := s.lab.At("router").Masquerade(s.ctx, "gateway"); err != nil {
		return err
	}
	if err := s.serveNames(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	if _, err := s.client.AwaitPing(ctx, gatewayAddr); err != nil {
		return err
	}
	s.note("The client reaches the gateway, and not the inside:")
	return s.mustNotReach(inside4)
}

// mustNotReach holds the demo to what it claims.
func (s *show) mustNotReach(addr netip.Addr) error {
	ctx, cancel := context.WithTimeout(s.ctx, 400*time.Millisecond)
	defer cancel()
	if _, err := s.client.Ping(ctx, addr, 56); err == nil {
		return fmt.Errorf("demo: the client reaches %v without a tunnel", addr)
	}
	s.note("laptop$ ping %v    no answer, as it must be", addr)
	return s.ctx.Err()
}

func (s *show) setUpGateway() error {
	s.next("Setting up the gateway: a certificate authority, keys, and this configuration")
	s.quote(configText)
	if err := s.gateway.WriteFile(configFile, []byte(configText), 0o600); err != nil {
		return err
	}
	_, err := s.admin("init")
	return err
}

func (s *show) serve() error {
	s.next("Starting the gateway")
	s.note("gateway# sallyport serve")
	server, err := s.gateway.Start(lab.Command{Program: s.Program, Args: []string{"serve", "--config", configFile}})
	if err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		select {
		case <-server.Done():
			return fmt.Errorf("demo: the gateway ended:\n%s", server.Output())
		case <-s.ctx.Done():
			return s.ctx.Err()
		default:
		}
		var status struct {
			Running bool `json:"running"`
		}
		err := s.ask(&status, "status")
		if err == nil && status.Running {
			s.note("It listens on UDP 500 and 4500; ESP runs in this process, no kernel module is used.")
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("demo: the gateway does not answer: %w\n%s", err, server.Output())
		}
	}
}

// enrol makes alice's laptop known, and carries its profile to the laptop.
func (s *show) enrol() error {
	s.next("Enrolling %s's laptop: a certificate of its own, and a profile that fits the gateway", user)
	if _, err := s.admin("user", "add", user); err != nil {
		return err
	}
	kind := "sallyport"
	if s.Client == "strongswan" {
		kind = "swanctl"
	}
	out := "/run/profiles/" + device
	if _, err := s.admin("device", "add", device, "--user", user, "--out", out); err != nil {
		return err
	}
	if _, err := s.admin("device", "profile", device, "--for", kind, "--address", gatewayAddr.String(), "--out", out); err != nil {
		return err
	}
	files, err := s.gateway.ReadDir(out)
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := s.client.WriteFile(path.Join(home, name), data, 0o600); err != nil {
			return err
		}
	}
	s.note("%d files go to the laptop over a safe way.", len(files))
	return nil
}

func (s *show) connect() error {
	s.next("Connecting the laptop, through the NAT router")
	started := time.Now()
	if err := s.tunnel.connect(s); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	if _, err := s.client.AwaitPing(ctx, inside4); err != nil {
		return fmt.Errorf("demo: no tunnel: %w\n%s", err, s.tunnelAccount())
	}
	s.note("The tunnel is up after %v.", round(time.Since(started)))
	return nil
}

func (s *show) tunnelAccount() string {
	switch c := s.tunnel.(type) {
	case *ownClient:
		return c.process.Output()
	case *swanClient:
		return c.daemon.Log()
	}
	return ""
}

// session is what the demo shows of sallyport sessions list --json.
type session struct {
	Device    string `json:"device"`
	Remote    string `json:"remote"`
	Client    string `json:"client"`
	IKE       string `json:"ike"`
	IPv4      string `json:"ipv4"`
	IPv6      string `json:"ipv6"`
	BehindNAT bool   `json:"behind_nat"`
	Children  []struct {
		ESP string `json:"esp"`
	} `json:"children"`
}

func (s *show) sessions() (list []session, err error) {
	return list, s.ask(&list, "sessions", "list")
}

func (s *show) showSuites() error {
	s.next("What the two agreed on")
	list, err := s.sessions()
	if err != nil {
		return err
	}
	if len(list) != 1 || len(list[0].Children) == 0 || list[0].Device != device {
		return fmt.Errorf("demo: the gateway has %d sessions, want one of %s: %+v", len(list), device, list)
	}
	one := list[0]
	s.note("gateway# sallyport sessions list")
	s.note("  client       %s at %s, behind NAT: %v", one.Client, one.Remote, one.BehindNAT)
	s.note("  addresses    %s and %s, inside the tunnel", one.IPv4, one.IPv6)
	s.note("  IKE          %s", one.IKE)
	s.note("  ESP          %s", one.Children[0].ESP)
	return nil
}

func (s *show) ping() error {
	s.next("Pinging the inside host through the tunnel")
	for _, addr := range []netip.Addr{inside4, inside6} {
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
		rtt, err := s.client.AwaitPing(ctx, addr)
		cancel()
		if err != nil {
			return err
		}
		s.note("laptop$ ping %-12v answer after %v", addr, round(rtt))
	}
	return nil
}

func (s *show) resolve() error {
	s.next("Asking the name server inside")
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		addr, err := s.lookUp(kind)
		if err != nil {
			return err
		}
		s.note("%s is %s", strings.TrimSuffix(intranet, "."), addr)
	}
	return nil
}

// transferred is enough to see a rate and short enough for a slow machine.
const transferred = 32 << 20

func (s *show) transfer() error {
	s.next("Sending %d MB over TCP", transferred>>20)
	for _, addr := range []netip.Addr{inside4, inside6} {
		t, err := s.client.SendTCP(s.ctx, s.inside, addr, transferred)
		if err != nil {
			return err
		}
		s.note("to %-12v %v, %.0f Mbit/s", addr, round(t.Took), t.MbitPerSecond())
	}
	return nil
}

// cutWithin is the promise: a revoked device is off within a second.
const cutWithin = time.Second

func (s *show) revoke() error {
	s.next("Revoking the laptop while it is sending")
	flow, err := s.client.StartFlow(s.ctx, s.inside, inside4, 200, 100)
	if err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	before := time.Now()
	_, err = s.admin("device", "revoke", device, "--reason", "lost")
	if err != nil {
		flow.Stop(0)
		return err
	}
	time.Sleep(cutWithin)
	report := flow.Stop(0)
	cut := report.LastBack.Sub(before)
	if report.Returned == 0 || cut > cutWithin || cut < 0 {
		return fmt.Errorf("demo: the tunnel was not cut within %v: %v", cutWithin, report)
	}
	s.note("The last answer came %v after the command: the tunnel is cut.", round(cut))
	list, err := s.sessions()
	if err != nil {
		return err
	}
	if len(list) != 0 {
		return fmt.Errorf("demo: the gateway still has %d sessions", len(list))
	}
	return s.mustNotReach(inside4)
}

func (s *show) comeBack() error {
	s.next("The revoked laptop tries again")
	reason, err := s.tunnel.refused(s)
	if err != nil {
		return err
	}
	s.quote(reason)
	if err := s.mustNotReach(inside4); err != nil {
		return err
	}
	status, err := s.admin("status")
	if err != nil {
		return err
	}
	_, refusals, _ := strings.Cut(status, "Last refusals:\n")
	if !strings.Contains(refusals, "revoked") {
		return fmt.Errorf("demo: the gateway does not say why it refused the laptop:\n%s", status)
	}
	s.quote(refusals)
	return nil
}

// quote shows what a program said.
func (s *show) quote(text string) {
	for line := range strings.Lines(text) {
		s.note("  %s", strings.TrimRight(line, "\n"))
	}
}

// admin runs a command on the gateway and shows it.
func (s *show) admin(args ...string) (string, error) {
	s.note("gateway# sallyport %s", strings.Join(args, " "))
	return s.quietly(args...)
}

func (s *show) quietly(args ...string) (string, error) {
	return s.gateway.Run(s.ctx, s.Program, append(args, "--config", configFile)...)
}

// ask runs a command with --json and reads its report.
func (s *show) ask(into any, args ...string) error {
	var out bytes.Buffer // stdout alone: warnings go to stderr
	args = append(args, "--json", "--config", configFile)
	if _, err := s.gateway.RunCommand(s.ctx, lab.Command{Program: s.Program, Args: args, Stdout: &out}); err != nil {
		return err
	}
	if err := json.Unmarshal(out.Bytes(), &struct {
		Data any `json:"data"`
	}{into}); err != nil {
		return fmt.Errorf("demo: sallyport %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"sallyport/gateway"
	load "sallyport/internal/bench"
	"sallyport/internal/bench/l2tpload"
	"sallyport/internal/lab"
	"sallyport/protocol/suite"
)

// l2tpBench puts L2TP/IPsec clients on a gateway of its own state: IKEv1 with
// certificates, then EAP-TLS over PPP over L2TP. The generator is in this
// process; the cost is the gateway's alone.
type l2tpBench struct {
	options
	dir        string
	load, host *lab.Host
	people     []l2tpload.Person
	crowd      l2tpload.Config
}

// l2tpConfiguration leaves the limits on strangers aside, as configuration does.
const l2tpConfiguration = `gateway:
  name: %s
  state: %s
  control: {socket: %s}
  limits: {sessions: 100000, half_open: 4096, cookie_after: 4096, per_source: 4096}
zones:
  printers:
    protocol: l2tp
    auth: [eap-tls]
    pool: {ipv4: 10.62.0.0/17}
    sessions: %d
    limits: {sessions: 100000, half_open: 10000, setups: 1000}
`

// What the clients propose: the same groups and ciphers as the load of IKEv2,
// as far as IKEv1 has numbers for them.
const (
	l2tpPhase1 = "aes256-sha256-ecp256"
	l2tpPhase2 = "aes256gcm16"
)

// clients are the addresses of the crowd, all of them on the load host, and
// ports the NAT ports of each: each address is in one shard of the gateway.
const (
	clientNet   = "10.77.0.0/16"
	clientAddrs = 1000
	firstPort   = 20000
)

// prepareL2TP makes the gateway's state with enough devices, and the way to the
// clients' addresses.
func prepareL2TP(ctx context.Context, l *lab.Lab, o options, dir string) (*l2tpBench, error) {
	b := &l2tpBench{options: o, dir: dir, load: l.At("load"), host: l.At("gateway")}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(l2tpConfiguration, gatewayName, filepath.Join(dir, "state"), b.socket(), sessionsPerDevice)
	if err := os.WriteFile(b.config(), []byte(text), 0o600); err != nil {
		return nil, err
	}
	if _, err := b.host.Run(ctx, b.Binary, "init", "--config", b.config()); err != nil {
		return nil, err
	}
	_, err := b.load.Run(ctx, "ip", "route", "add", "local", clientNet, "dev", "lo")
	way := b.host.Route(netip.MustParsePrefix(clientNet), netip.MustParseAddr(loadAddr))
	return b, errors.Join(err, way, b.enrol(ctx), b.readCA())
}

func (b *l2tpBench) config() string { return filepath.Join(b.dir, "sallyport.yaml") }
func (b *l2tpBench) socket() string { return filepath.Join(b.dir, "control.sock") }

func (b *l2tpBench) enrol(ctx context.Context) error {
	state, err := gateway.OpenState(ctx, b.config())
	if err != nil {
		return err
	}
	defer state.Close()
	c := state.Client()
	if err := c.Call(ctx, "POST", "/v1/users", gateway.NewUser{Name: user}, nil); err != nil {
		return err
	}
	for i := range max(compareDevices, b.Logins, (b.L2TP+sessionsPerDevice-1)/sessionsPerDevice) {
		var e gateway.Enrolled
		name := fmt.Sprintf("bench%d", i)
		if err := c.Call(ctx, "POST", "/v1/devices", gateway.NewDevice{Name: name, User: user}, &e); err != nil {
			return err
		}
		pair, err := tls.X509KeyPair([]byte(e.Certificate), []byte(e.Key))
		if err != nil {
			return err
		}
		signer, ok := pair.PrivateKey.(crypto.Signer)
		if !ok {
			return fmt.Errorf("the key of %s cannot sign", name)
		}
		b.people = append(b.people, l2tpload.Person{Name: name + "@" + user, Chain: pair.Certificate, Signer: signer})
	}
	return nil
}

// readCA makes the configuration of the crowd.
func (b *l2tpBench) readCA() error {
	ca, err := os.ReadFile(filepath.Join(b.dir, "state", "pki", "ca.crt"))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	phase1, err1 := suite.ParseL2TPProposal(suite.ProtocolIKE, l2tpPhase1, false)
	phase2, err2 := suite.ParseL2TPProposal(suite.ProtocolESP, l2tpPhase2, false)
	b.crowd = l2tpload.Config{
		Gateway: netip.MustParseAddr(gatewayAddr), Roots: roots, Private: netip.MustParseAddr("192.168.1.2"), Contact: true,
		Phase1: []suite.Proposal{phase1}, Phase2: []suite.Proposal{phase2},
	}
	return errors.Join(err, err1, err2)
}

func (b *l2tpBench) start(ctx context.Context) (*running, error) {
	return serve(b.host, b.Binary, b.config(), b.socket())
}

// places are n client addresses and ports.
func places(n int) (all []netip.AddrPort) {
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, 77, byte(i % clientAddrs >> 8), byte(i % clientAddrs)})
		all = append(all, netip.AddrPortFrom(a, firstPort+uint16(i/clientAddrs)))
	}
	return all
}

func (b *l2tpBench) open(cfg l2tpload.Config, clients int, people []l2tpload.Person) (c *l2tpload.Crowd, err error) {
	err = b.load.Do(func() (err error) { c, err = l2tpload.Open(cfg, places(clients), people); return err })
	return c, err
}

// login brings clients in, atOnce at a time and each with a certificate of its
// own that the gateway has not seen, and out again.
func (b *l2tpBench) login(ctx context.Context, version uint16, atOnce int) (load.Report, error) {
	cfg := b.crowd
	cfg.TLS = version
	c, err := b.open(cfg, b.Logins, b.people[:b.Logins])
	if err != nil {
		return load.Report{}, err
	}
	defer c.Close()
	r, err := c.Connect(ctx, atOnce)
	return r, errors.Join(err, c.Leave(ctx))
}

// hold keeps sessions up and measures. Their signs of life are far apart, so
// that what is measured is memory and not the generator.
func (b *l2tpBench) hold(ctx context.Context) (*memory, error) {
	g, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	api, ok := gateway.Dial(b.socket())
	if !ok {
		return nil, errors.New("the control socket does not answer")
	}
	defer api.Close()
	before, err := liveHeap(ctx, api)
	if err != nil {
		return nil, err
	}
	residentBefore := resident(g.pid)
	cfg := b.crowd
	cfg.DPD, cfg.Hello, cfg.Echo = -1, -1, -1
	c, err := b.open(cfg, b.L2TP, b.people)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r, err := c.Connect(ctx, b.Parallel)
	if err != nil || r.Done < b.L2TP {
		return nil, fmt.Errorf("%d of %d L2TP sessions are up: %w; the last failure: %s", r.Done, b.L2TP, err, r.LastError)
	}
	fmt.Fprintf(os.Stderr, "memory: %d L2TP sessions in %v\n", r.Done, r.Elapsed.Round(time.Second))
	after, err := liveHeap(ctx, api)
	n := float64(b.L2TP)
	return &memory{
		Sessions: b.L2TP, HeapBefore: before, Heap: after, HeapEach: (after - before) / n,
		ResidentEach: (resident(g.pid) - residentBefore) / n,
	}, err
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sallyport/gateway"
	load "sallyport/internal/bench"
	"sallyport/internal/lab"
)

// drawing: the generator and the gateway on one cable.
const drawing = `
	load 192.0.2.2/24 -- 192.0.2.1/24 gateway
	load default gateway
`

const (
	gatewayAddr = "192.0.2.1"
	loadAddr    = "192.0.2.2"
	gatewayName = "vpn.example.org"
	user        = "load"
	ikeProposal = "aes128gcm16-prfsha256-ecp256"
	espProposal = "aes128gcm16-ecp256-noesn"
)

// bench is a prepared comparison.
type bench struct {
	options
	dir        string
	config     string
	socket     string
	load, host *lab.Host
}

// running is a gateway of either make.
type running struct {
	pid  int
	stop func()
}

// configuration leaves the limits on strangers aside: one source makes all
// the load here, and one device all the sessions.
const configuration = `gateway:
  name: %s
  state: %s
  control: {socket: %s}
  limits: {sessions: 100000, half_open: 4096, cookie_after: 4096, per_source: 4096}
zones:
  staff:
    protocol: ikev2
    auth: [certificate, eap-tls]
    policy: {ike: [%s], esp: [%s]}
    pool: {ipv4: 10.60.0.0/15}
    sessions: %d
`

// Devices and the sessions that each may have: together more than are held.
const (
	sessionsPerDevice = 16
	compareDevices    = 8
)

// prepare makes our gateway's state with enough devices, and their files.
func prepare(ctx context.Context, l *lab.Lab, o options, dir string) (*bench, error) {
	b := &bench{options: o, dir: dir, config: filepath.Join(dir, "sallyport.yaml"), load: l.At("load"), host: l.At("gateway")}
	b.socket = filepath.Join(dir, "control.sock")
	text := fmt.Sprintf(configuration, gatewayName, filepath.Join(dir, "state"), b.socket, ikeProposal, espProposal, sessionsPerDevice)
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if _, err := b.host.Run(ctx, b.Binary, "init", "--config", b.config); err != nil {
		return nil, err
	}
	return b, b.enrol(ctx, max(compareDevices, o.Logins, (o.Sessions+sessionsPerDevice-1)/sessionsPerDevice))
}

// enrol adds devices through the control API and keeps their keys as files.
func (b *bench) enrol(ctx context.Context, devices int) error {
	state, err := gateway.OpenState(ctx, b.config)
	if err != nil {
		return err
	}
	defer state.Close()
	c := state.Client()
	if err := c.Call(ctx, "POST", "/v1/users", gateway.NewUser{Name: user}, nil); err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(b.clients(), 0o700), os.Mkdir(b.few(), 0o700)); err != nil {
		return err
	}
	for i := range devices {
		var e gateway.Enrolled
		name := fmt.Sprintf("bench%d", i)
		if err := c.Call(ctx, "POST", "/v1/devices", gateway.NewDevice{Name: name, User: user}, &e); err != nil {
			return err
		}
		dirs := []string{b.clients()}
		if i < compareDevices {
			dirs = append(dirs, b.few())
		}
		for _, dir := range dirs {
			stem := filepath.Join(dir, name+"@"+user)
			if err := errors.Join(os.WriteFile(stem+".crt", []byte(e.Certificate), 0o600), os.WriteFile(stem+".key", []byte(e.Key), 0o600)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) clients() string { return filepath.Join(b.dir, "clients") }

// few is where the first devices are once more: with them, both gateways find
// each certificate in their caches, as when known clients come back.
func (b *bench) few() string { return filepath.Join(b.dir, "few") }

func (b *bench) pki(file string) string { return filepath.Join(b.dir, "state", "pki", file) }

// startOurs runs sallyport serve.
func (b *bench) startOurs(context.Context) (*running, error) {
	return serve(b.host, b.Binary, b.config, b.socket)
}

// serve starts our gateway and waits until it can be asked.
func serve(h *lab.Host, binary, config, socket string) (*running, error) {
	p, err := h.Start(lab.Command{Program: binary, Args: []string{"serve", "--config", config}})
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return &running{pid: p.PID(), stop: p.Stop}, nil
		}
		if time.Now().After(deadline) {
			p.Stop()
			return nil, errors.New("sallyport serve did not come up:\n" + p.Output())
		}
	}
}

// quietAndUnlimited keeps charon from writing a log, which the lab asks for
// elsewhere and which would count against it, and from a route per client,
// which ours does not need; the limits are off as in our configuration.
var quietAndUnlimited = []string{
	"filelog { lab { default = 0\nike = 0\ncfg = 0\nknl = 0\nesp = 0\n } }",
	"journal { default = -1 }", "install_routes = no",
	"cookie_threshold = 0", "block_threshold = 0", "init_limit_half_open = 0",
}

const swanConf = `connections { bench {
	version = 2
	proposals = %s
	unique = never
	mobike = no
	send_cert = always
	pools = v4
	dpd_delay = 0
	local { auth = pubkey
		certs = server.pem
		id = %s }
	remote { %s
		cacerts = ca.pem }
	children { bench { local_ts = 0.0.0.0/0
		esp_proposals = %s } }
} }
pools { v4 { addrs = 10.60.0.0/15 } }
`

// startCharon runs strongSwan with our certificate and key, startCharonEAP lets
// clients in by EAP-TLS.
func (b *bench) startCharon(ctx context.Context) (*running, error) {
	return b.charon(ctx, "auth = pubkey")
}

func (b *bench) startCharonEAP(ctx context.Context) (*running, error) {
	return b.charon(ctx, "auth = eap-tls\neap_id = %any")
}

func (b *bench) charon(ctx context.Context, auth string) (*running, error) {
	s, err := b.host.StartStrongSwan(ctx, quietAndUnlimited...)
	if err != nil {
		return nil, err
	}
	ca, err1 := os.ReadFile(b.pki("ca.crt"))
	server, err2 := os.ReadFile(b.pki("server-ecdsa-p256.pem"))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	err = s.Load(ctx, lab.SwanFiles{
		Conf:    fmt.Sprintf(swanConf, ikeProposal, gatewayName, auth, espProposal),
		X509:    map[string][]byte{"server.pem": certificates(server)},
		X509CA:  map[string][]byte{"ca.pem": ca},
		Private: map[string][]byte{"server.pem": server},
	})
	if err != nil {
		s.Stop()
		return nil, err
	}
	return &running{pid: s.Process().PID(), stop: s.Stop}, nil
}

// certificates are those of a PEM file that also holds their key, which
// strongSwan does not look past.
func certificates(file []byte) (out []byte) {
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			out = append(out, pem.EncodeToMemory(block)...)
		}
	}
	return out
}

// measure runs one gateway under the load of known clients and returns its CPU
// milliseconds a set-up.
func (b *bench) measure(ctx context.Context, start func(context.Context) (*running, error)) (float64, load.Report, error) {
	return b.measured(ctx, func(ctx context.Context) (*running, error) {
		g, err := start(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := b.generate(ctx, b.few(), b.Count/10+1); err != nil { // caches and heap as in the middle of a day
			g.stop()
			return nil, err
		}
		return g, nil
	}, func() (load.Report, error) { return b.generate(ctx, b.few(), b.Count) })
}

// measured starts a gateway, puts a load on it and returns the CPU milliseconds
// that each set-up cost.
func (b *bench) measured(ctx context.Context, start func(context.Context) (*running, error), put func() (load.Report, error)) (float64, load.Report, error) {
	g, err := start(ctx)
	if err != nil {
		return 0, load.Report{}, err
	}
	defer g.stop()
	before, err := cpu(g.pid)
	if err != nil {
		return 0, load.Report{}, err
	}
	report, err := put()
	after, cpuErr := cpu(g.pid)
	return (after - before).Seconds() * 1000 / float64(max(1, report.Done)), report, errors.Join(err, cpuErr)
}

// generate runs sallyport bench ike on the load host.
func (b *bench) generate(ctx context.Context, clients string, count int, more ...string) (load.Report, error) {
	args := append([]string{
		"bench", "ike", gatewayAddr, "--json", "--ca", b.pki("ca.crt"), "--clients", clients,
		"--ike", ikeProposal, "--esp", espProposal, "--count", strconv.Itoa(count), "--parallel", strconv.Itoa(b.Parallel),
	}, more...)
	var out bytes.Buffer // stdout alone: progress goes to stderr
	_, err := b.load.RunCommand(ctx, lab.Command{Program: b.Binary, Args: args, Stdout: &out})
	var document struct{ Data load.Report }
	if jsonErr := json.Unmarshal(out.Bytes(), &document); jsonErr != nil {
		return load.Report{}, errors.Join(err, jsonErr)
	}
	return document.Data, err
}

// clockTick is the unit of /proc/PID/stat, fixed by the kernel's ABI.
const clockTick = 10 * time.Millisecond

// cpu is the user and system time of a process so far (proc(5), fields 14, 15).
func cpu(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

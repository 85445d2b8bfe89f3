package hostile

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/gateway"
	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// internet is the network of every attack: mallory and the friend come from
// different networks, the gateway is between a router and the inside.
const internet = `
	mallory  203.0.113.66/24 2001:db8:66::66/64   --  203.0.113.1/24 2001:db8:66::1/64    router
	friend   192.0.2.2/24    2001:db8:2::2/64     --  192.0.2.1/24 2001:db8:2::1/64       router
	router   198.51.100.1/24 2001:db8:51::1/64    --  198.51.100.10/24 2001:db8:51::10/64 gateway
	gateway  10.9.0.1/24 fd00:9::1/64             --  10.9.0.10/24 fd00:9::10/64          inside

	mallory default router
	friend  default router
	gateway default router
	inside  default gateway
`

// The addresses of the drawing.
var (
	gateway4      = netip.MustParseAddr("198.51.100.10")
	inside4       = netip.MustParseAddr("10.9.0.10")
	mallory4      = netip.MustParseAddr("203.0.113.66")
	malloryOthers = netip.MustParsePrefix("203.0.113.128/24") // and the next ones
	spoofable     = netip.MustParsePrefix("100.64.0.0/10")    // routed to mallory as a whole
)

// malloryAddrs is how many more addresses mallory has.
const malloryAddrs = 24

const (
	gatewayName = "vpn.example.org"
	configFile  = "/run/etc/sallyport.yaml"
	stateDir    = "/run/lib/sallyport"
	deviceDir   = "/run/devices"
)

// world is one lab with "sallyport serve" in it.
type world struct {
	*testing.T
	lab     *lab.Lab
	program string
	server  *lab.Process
	talk    *lines // what the server wrote, over all its lives
	peers   *atomic.Uint32
}

// newWorld starts a gateway with one zone and the options given to the file.
func newWorld(t *testing.T, zone string) *world {
	t.Helper()
	return newWorldIn(t, zone, func(*world) {})
}

// newWorldIn lets prepare change the gateway's host before anything runs there.
func newWorldIn(t *testing.T, zone string, prepare func(*world)) *world {
	t.Helper()
	w := &world{T: t, lab: labtest.Open(t, internet), program: program(t), talk: &lines{}, peers: new(atomic.Uint32)}
	for n := range byte(malloryAddrs) {
		a := malloryOthers.Addr().As4()
		a[3] += n
		w.must(w.lab.At("mallory").AddAddr("router", netip.PrefixFrom(netip.AddrFrom4(a), malloryOthers.Bits())))
	}
	w.must(w.lab.At("router").Route(spoofable, mallory4))
	prepare(w)
	w.writeConfig(zone)
	w.sallyport("init")
	w.serve()
	return w
}

func (w *world) writeConfig(zone string) {
	w.Helper()
	text := fmt.Sprintf(`gateway: {name: %s, state: %s}
zones:
  staff:
    pool: {ipv4: 10.60.0.0/24, ipv6: "fd00:60::/64"}
    routes: [10.9.0.0/24, "fd00:9::/64"]
%s
`, gatewayName, stateDir, zone)
	w.must(w.gateway().WriteFile(configFile, []byte(text), 0o600))
}

func (w *world) gateway() *lab.Host { return w.lab.At("gateway") }

// on gives the world to a subtest.
func (w *world) on(t *testing.T) *world {
	c := *w
	c.T = t
	return &c
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// serve starts the server and waits until it answers.
func (w *world) serve() {
	w.Helper()
	p, err := w.gateway().Start(lab.Command{Program: w.program, Args: []string{"serve", "--config", configFile}, Output: w.talk})
	w.must(err)
	w.server = p
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		select {
		case <-p.Done():
			w.Fatalf("sallyport serve ended:\n%s", p.Output())
		default:
		}
		if st, err := w.askStatus(); err == nil && st.Running {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("sallyport serve does not come up:\n%s", p.Output())
		}
	}
}

// sallyport runs a verb on the gateway's host, which must succeed.
func (w *world) sallyport(args ...string) string {
	w.Helper()
	out, err := w.try(args...)
	w.must(err)
	return out
}

func (w *world) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return w.gateway().Run(ctx, w.program, append(args, "--config", configFile)...)
}

// ask runs a verb with --json and reads the data of its report.
func ask[T any](w *world, args ...string) (answer T, err error) {
	out, err := w.try(append(args, "--json")...)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal([]byte(out), &struct {
		Data *T `json:"data"`
	}{&answer})
}

func (w *world) askStatus() (gateway.Status, error) { return ask[gateway.Status](w, "status") }

func (w *world) status() gateway.Status {
	w.Helper()
	st, err := w.askStatus()
	w.must(err)
	return st
}

func (w *world) sessions() []gateway.SessionInfo {
	w.Helper()
	list, err := ask[[]gateway.SessionInfo](w, "sessions", "list")
	w.must(err)
	return list
}

// unharmed is what holds after every attack: the process is the same one, and
// no machine, job or packet worker has panicked.
func (w *world) unharmed() {
	w.Helper()
	select {
	case <-w.server.Done():
		w.Fatalf("the server ended:\n%s", lastOf(w.server.Output(), 4000))
	default:
	}
	st := w.status()
	if st.Engine.Panics != 0 || st.Plane["panics"] != 0 {
		w.Errorf("%d panics in machines, %d in packet workers:\n%s", st.Engine.Panics, st.Plane["panics"], lastOf(w.server.Output(), 8000))
	}
}

func lastOf(text string, n int) string { return text[max(0, len(text)-n):] }

var residentLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// resident is the server's memory in octets.
func (w *world) resident() int {
	w.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.server.PID()))
	w.must(err)
	m := residentLine.FindSubmatch(text)
	if m == nil {
		w.Fatalf("no VmRSS in %s", text)
	}
	var kb int
	fmt.Sscan(string(m[1]), &kb)
	return kb << 10
}

// device is an enrolled device with its key.
type device struct {
	name, user string
	identity   string
	serial     string
	chain      [][]byte
	key        crypto.Signer
}

// enrol adds a device, and its user when there is none yet.
func (w *world) enrol(user, name string) device {
	w.Helper()
	if _, err := w.try("user", "add", user); err != nil && !strings.Contains(err.Error(), "exists") {
		w.Fatal(err)
	}
	type added struct{ Device gateway.Device }
	a, err := ask[added](w, "device", "add", name, "--user", user, "--out", deviceDir)
	w.must(err)
	return w.keyOf(device{name: name, user: user, identity: a.Device.Identity, serial: a.Device.Serial})
}

// keyOf reads the files that "device add" wrote.
func (w *world) keyOf(d device) device {
	w.Helper()
	d.chain = pemBlocks(w.read(deviceDir + "/" + d.name + ".crt"))
	key, err := x509.ParsePKCS8PrivateKey(pemBlocks(w.read(deviceDir + "/" + d.name + ".key"))[0])
	w.must(err)
	d.key = key.(crypto.Signer)
	return d
}

func (w *world) read(path string) []byte {
	w.Helper()
	b, err := w.gateway().ReadFile(path)
	w.must(err)
	return b
}

func pemBlocks(text []byte) (blocks [][]byte) {
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return blocks
		}
		blocks = append(blocks, b.Bytes)
	}
}

// tunnel is "sallyport connect" on a host.
type tunnel struct {
	process *lab.Process
	reports *lines
}

// connect gives a device's profile to a host and connects it with the real
// client.
func (w *world) connect(host string, d device) *tunnel {
	w.Helper()
	w.sallyport("device", "profile", d.name, "--for", "sallyport", "--address", gateway4.String(), "--out", deviceDir)
	files, err := w.gateway().ReadDir(deviceDir)
	w.must(err)
	profile := ""
	for name, data := range files {
		w.must(w.lab.At(host).WriteFile(filepath.Join(deviceDir, name), data, 0o600))
		if strings.HasPrefix(name, d.name+".") && strings.HasSuffix(name, ".yaml") || name == d.name+".sallyport" {
			profile = filepath.Join(deviceDir, name)
		}
	}
	if profile == "" {
		w.Fatalf("no profile of %s among %d files", d.name, len(files))
	}
	return w.connectWith(host, profile)
}

func (w *world) connectWith(host, profile string, flags ...string) *tunnel {
	w.Helper()
	t := &tunnel{reports: &lines{}}
	var err error
	t.process, err = w.lab.At(host).Start(lab.Command{
		Program: w.program, Args: append([]string{"connect", profile, "--json"}, flags...), Output: t.reports,
	})
	w.must(err)
	return t
}

// up waits until the tunnel has been reported connected n times.
func (t *tunnel) up(w *world, n int) {
	w.Helper()
	w.eventually(20*time.Second, "the tunnel comes up", func() bool { return t.reports.count(`"connected"`) >= n })
}

// eventually polls until a condition holds.
func (w *world) eventually(patience time.Duration, what string, holds func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited %v for this: %s\nthe server says:\n%s", patience, what, lastOf(w.server.Output(), 6000))
		}
	}
}

// bystander is a friend whose traffic must not suffer while others attack.
type bystander struct {
	tunnel *tunnel
	flow   *lab.Flow
}

func (w *world) bystander() *bystander {
	w.Helper()
	b := &bystander{tunnel: w.connect("friend", w.enrol("alice", "laptop"))}
	b.tunnel.up(w, 1)
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	if _, err := w.lab.At("friend").AwaitPing(ctx, inside4); err != nil {
		w.Fatal("the friend's tunnel does not carry a ping:", err)
	}
	var err error
	b.flow, err = w.lab.At("friend").StartFlow(w.Context(), w.lab.At("inside"), inside4, 50, 64)
	w.must(err)
	return b
}

// undisturbed ends the friend's flow: it has never stopped for long, and its
// tunnel was never made anew. Floods may cost single packets on two busy
// processors, so a share of losses is allowed, in percent.
func (b *bystander) undisturbed(w *world, percent uint64) {
	w.Helper()
	r := b.flow.Stop(2 * time.Second)
	w.Log("the friend's traffic:", r)
	if r.Sent == 0 || r.Lost()*100 > r.Sent*percent || r.LongestGap > 1500*time.Millisecond {
		w.Errorf("the friend's traffic suffered: %v", r)
	}
	if n := b.tunnel.reports.count(`"disconnected"`); n > 0 {
		w.Errorf("the friend's tunnel broke %d times", n)
	}
}

// lines collects what a program writes.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	n    int
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n += bytes.Count(b, []byte("\n"))
	return l.text.Write(b)
}

// total is how many lines there are so far.
func (l *lines) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// count is how many lines hold the text.
func (l *lines) count(text string) (n int) {
	for line := range strings.Lines(l.since(0)) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// since is everything after the first n lines.
func (l *lines) since(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	for ; n > 0; n-- {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// program builds sallyport, once.
func program(t *testing.T) string {
	t.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "sallyport-hostile"); build.err != nil {
			return
		}
		c := exec.Command("go", "build", "-trimpath", "-o", build.dir, "sallyport/cmd/sallyport")
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal("build sallyport:", build.err)
	}
	return filepath.Join(build.dir, "sallyport")
}

var build struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(build.dir)
	os.Exit(code)
}

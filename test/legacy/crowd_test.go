package legacy

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
	"slices"
	"strings"
	"testing"
	"time"

	control "sallyport/gateway"
	"sallyport/internal/bench/l2tpload"
	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/lab/linux"
	"sallyport/protocol/suite"
)

// crowdDrawing is two offices behind a NAT each. In each there is a real Linux,
// with the same private address, and a host for the simulated clients.
const crowdDrawing = `
	pc1      192.168.77.2/24  --  192.168.77.1/24   router1
	others1  192.168.78.11/24 --  192.168.78.1/24   router1
	router1  198.51.100.1/24  --  198.51.100.10/24  gateway
	pc2      192.168.77.2/24  --  192.168.77.1/24   router2
	others2  192.168.78.11/24 --  192.168.78.1/24   router2
	router2  203.0.113.1/24   --  203.0.113.10/24   gateway
	gateway  10.20.30.1/24    --  10.20.30.9/24     printer
	pc1 default router1
	others1 default router1
	router1 default gateway
	pc2 default router2
	others2 default router2
	router2 default gateway
	printer default gateway
`

// simulated is how many simulated clients each office has beside its Linux.
const simulated = 4

// TestFiveClientsBehindEachOfTwoNATsAreKeptApart lets clients in that nothing
// but their NAT's choice of a port tells apart: all say that they are
// 192.168.77.2, and all use port 1701 inside (traps 33 and 34).
func TestFiveClientsBehindEachOfTwoNATsAreKeptApart(t *testing.T) {
	l := labtest.Open(t, crowdDrawing, append(linux.Programs, "nft")...)
	g, people := prepareCrowd(t, l.At("gateway"), 2*simulated, 1)
	g.start(t)
	w := &crowdTest{T: t, l: l, g: g}
	for i, number := range []string{"1", "2"} {
		if err := l.At("router"+number).Masquerade(within(t, 10*time.Second), "gateway"); err != nil {
			t.Fatal(err)
		}
		w.pcs = append(w.pcs, w.linux(number))
		w.crowds = append(w.crowds, w.office(number, people[i*simulated:][:simulated]))
	}
	w.everybodyComesIn()
	w.traffic("all ten", all, all)

	w.untouched("a client that vanished says INITIAL-CONTACT", func() {
		w.crowds[0].Vanish(0)
		w.connect(0, 0)
	}, "pc0")
	w.untouched("a client leaves in order", func() {
		if err := w.crowds[1].Leave(within(t, 20*time.Second), 1); err != nil {
			t.Error(err)
		}
	}, "pc5")
	w.untouched("a Linux says INITIAL-CONTACT after a restart", func() { w.restart(0) }, "linux1")
	w.untouched("clients rekey", func() {
		for _, c := range w.crowds {
			if err := c.Rekey(within(t, 20*time.Second)); err != nil {
				t.Error(err)
			}
		}
		if err := w.pcs[1].vpn.RekeyESP(within(t, 20*time.Second)); err != nil {
			t.Error(err)
		}
	})
	w.traffic("after all that", all, []int{0, 2, 3})
}

// TestSimulatedClientsLogInByPassword is PEAP, beside which the machine proves
// itself by its certificate.
func TestSimulatedClientsLogInByPassword(t *testing.T) {
	l := labtest.Open(t, stormDrawing, "nft")
	g, people := prepareCrowd(t, l.At("gateway"), 2, 1)
	g.start(t)
	const password = "Quiet7Harbour+violet"
	list := filepath.Join(g.dir, "users.csv")
	if err := os.WriteFile(list, []byte("user,password,zone\ncrowd,"+password+",printers\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run(t, "user", "import", list, "--format", "csv", "--update")
	people[0].User, people[0].Password = "crowd", []byte(password)
	people[1].User, people[1].Password = "crowd", []byte("another word")
	from := netip.MustParseAddr("198.51.100.77")
	c := g.crowd(t, l.At("clients"), []netip.AddrPort{netip.AddrPortFrom(from, 0), netip.AddrPortFrom(from, 0)}, people)
	r, err := c.Connect(within(t, time.Minute), 2)
	if clients := c.Clients(); err != nil || !clients[0].Up || clients[1].Up {
		t.Errorf("with the right and a wrong password: %v, %v: %v; %+v", clients[0], clients[1], err, r)
	}
	if _, err := c.Run(within(t, 20*time.Second), l2tpload.Echo{To: printer, Count: 10}, 0); err != nil {
		t.Error(err)
	}
}

type crowdTest struct {
	*testing.T
	l      *lab.Lab
	g      *gateway
	pcs    []*pc
	crowds []*l2tpload.Crowd
}

// pc is a real Linux.
type pc struct {
	*linux.Guest
	config linux.Client
	vpn    *linux.VPN
	link   linux.Link
}

// linux boots the Linux of an office, as its user would configure it.
func (w *crowdTest) linux(number string) *pc {
	w.Helper()
	guest := boot(w.T, w.l.At("pc"+number))
	c := linux.Client{
		Server: outside, User: "user" + number, Fragments: true, ServerID: "@vpn.example.org", IKE: "aes256-sha256-ecp256", ESP: "aes256gcm16",
		Routes: []netip.Prefix{netip.MustParsePrefix("10.20.30.0/24")},
	}
	c.Cert, c.Key, c.CA = w.g.device(w.T, "linux"+number, c.User, "printers")
	c.EAP = &linux.EAPTLS{CA: c.CA, Cert: c.Cert, Key: c.Key, Server: "vpn.example.org"}
	vpn, err := guest.Configure(within(w.T, time.Minute), c)
	if err != nil {
		w.Fatal(err)
	}
	return &pc{Guest: guest, config: c, vpn: vpn}
}

// office opens the simulated clients of one. Each has an address of its own and
// port 4500, so the NAT has to choose ports.
func (w *crowdTest) office(number string, people []l2tpload.Person) *l2tpload.Crowd {
	w.Helper()
	h := w.l.At("others" + number)
	var places []netip.AddrPort
	for i := range people {
		a := netip.AddrFrom4([4]byte{192, 168, 78, byte(11 + i)})
		places = append(places, netip.AddrPortFrom(a, 4500))
		if i == 0 {
			continue // it is in the drawing
		}
		if err := h.AddAddr("router"+number, netip.PrefixFrom(a, 24)); err != nil {
			w.Fatal(err)
		}
	}
	return w.g.crowd(w.T, h, places, people)
}

func (w *crowdTest) everybodyComesIn() {
	w.Helper()
	for i, p := range w.pcs {
		var err error
		if p.link, err = p.vpn.Up(within(w.T, 40*time.Second)); err != nil {
			w.Fatal(err)
		}
		w.connect(i)
	}
	have := map[netip.Addr]bool{}
	remotes := map[string]bool{}
	for _, s := range w.sessions() {
		have[s.IPv4], remotes[s.Remote] = true, true
	}
	if n := len(w.pcs) * (simulated + 1); len(have) != n || len(remotes) != n {
		w.Errorf("%d clients have %d addresses, and come from %d places: %v", n, len(have), len(remotes), remotes)
	}
}

func (w *crowdTest) connect(office int, which ...int) {
	w.Helper()
	if r, err := w.crowds[office].Connect(within(w.T, 40*time.Second), simulated, which...); err != nil || r.Failed > 0 {
		w.Fatalf("office %d: %v, %d failed, the last because %s", office+1, err, r.Failed, r.LastError)
	}
}

// all clients of an office.
var all = []int{0, 1, 2, 3}

// traffic lets all clients send and receive at once, and sees that each gets
// its own packets and no other.
func (w *crowdTest) traffic(when string, first, second []int) {
	w.Helper()
	ctx := within(w.T, time.Minute)
	strayed := w.strayed()
	var flows []*linux.Flow
	for _, p := range w.pcs {
		f, err := p.StartFlow(ctx, w.l.At("printer"), printer, 100, 400)
		if err != nil {
			w.Fatal(err)
		}
		flows = append(flows, f)
	}
	ended := make(chan error, 2)
	for i, which := range [][]int{first, second} {
		go func() { ended <- w.echoes(ctx, w.crowds[i], which) }()
	}
	if err := errors.Join(<-ended, <-ended); err != nil {
		w.Errorf("%s: %v", when, err)
	}
	for i, f := range flows {
		r, err := f.Stop(ctx, 5*time.Second)
		if err != nil || r.Returned == 0 || r.Duplicated > 0 {
			w.Errorf("%s: the Linux of office %d: %v, %v", when, i+1, r, err)
		}
	}
	for i, now := range w.strayed() {
		if now != strayed[i] {
			w.Errorf("%s: the Linux of office %d got packets for others: InAddrErrors was %s and is %s", when, i+1, strayed[i], now)
		}
	}
}

func (w *crowdTest) echoes(ctx context.Context, c *l2tpload.Crowd, which []int) error {
	r, err := c.Run(ctx, l2tpload.Echo{To: printer, Count: 400, Window: 4, Size: 600}, which...)
	if err == nil && r.Foreign > 0 {
		err = fmt.Errorf("simulated clients got %d packets of others", r.Foreign)
	}
	return err
}

// strayed is how many packets each Linux got that were not for its address.
func (w *crowdTest) strayed() (counts []string) {
	w.Helper()
	for _, p := range w.pcs {
		text, err := p.ReadText(within(w.T, 10*time.Second), "/proc/net/snmp")
		if err != nil {
			w.Fatal(err)
		}
		counts = append(counts, ofIP(text, "InAddrErrors"))
	}
	return counts
}

// ofIP finds a counter in the two "Ip:" lines, names and values.
func ofIP(snmp, name string) string {
	var names []string
	for line := range strings.Lines(snmp) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] != "Ip:":
		case names == nil:
			names = words
		default:
			return words[slices.Index(names, name)]
		}
	}
	return ""
}

// untouched does something to some devices, and sees that the sessions of all
// others are the same as before and work.
func (w *crowdTest) untouched(what string, act func(), devices ...string) {
	w.Helper()
	before := w.sessions()
	act()
	after := w.sessions()
	for device, s := range before {
		if now, ok := after[device]; !slices.Contains(devices, device) && (!ok || now.ID != s.ID || now.IPv4 != s.IPv4) {
			w.Errorf("%s: %s was session %d as %v and is %d as %v", what, device, s.ID, s.IPv4, now.ID, now.IPv4)
		}
	}
	for i, c := range w.crowds {
		var working []int
		for n, one := range c.Clients() {
			if one.Up {
				working = append(working, n)
			}
		}
		if err := w.echoes(within(w.T, time.Minute), c, working); err != nil {
			w.Errorf("%s: office %d: %v", what, i+1, err)
		}
		if _, err := w.pcs[i].AwaitPing(within(w.T, 10*time.Second), printer); err != nil {
			w.Errorf("%s: the Linux of office %d: %v", what, i+1, err)
		}
	}
}

// restart ends the daemons of a Linux, whose last words go nowhere, and begins
// anew.
func (w *crowdTest) restart(office int) {
	w.Helper()
	p, ctx := w.pcs[office], within(w.T, 2*time.Minute)
	nowhere := []string{"blackhole", netip.PrefixFrom(outside, 32).String()}
	_, err := p.Run(ctx, "ip", append([]string{"route", "add"}, nowhere...)...)
	stopped := p.vpn.Stop(ctx)
	gone := p.vpn.AwaitDown(ctx) // pppd says its own last words, and the next one wants the same device
	_, back := p.Run(ctx, "ip", append([]string{"route", "delete"}, nowhere...)...)
	if err := errors.Join(err, stopped, gone, back); err != nil {
		w.Fatal(err)
	}
	if p.vpn, err = p.Configure(ctx, p.config); err != nil {
		w.Fatal(err)
	}
	if p.link, err = p.vpn.Up(ctx); err != nil {
		w.Fatal(err)
	}
}

// sessions are those of the gateway, by device.
func (w *crowdTest) sessions() map[string]control.SessionInfo {
	w.Helper()
	var list []control.SessionInfo
	if err := w.g.ask(w.T, &list, "sessions", "list"); err != nil {
		w.Fatal(err)
	}
	by := map[string]control.SessionInfo{}
	for _, s := range list {
		by[s.Device] = s
	}
	return by
}

// zone is an L2TP zone with room for a crowd.
const zone = `
zones:
  printers:
    protocol: l2tp
    auth: [eap-tls, peap]
    reach: [10.20.30.0/24]
    pool: {ipv4: 10.62.0.0/20}
    sessions: %d
    limits: {sessions: 20000, half_open: 10000, setups: 1000}
`

// prepareCrowd makes a gateway that is not started yet, with devices for a crowd.
func prepareCrowd(t *testing.T, h *lab.Host, devices, sessions int) (*gateway, []l2tpload.Person) {
	t.Helper()
	g := &gateway{host: h, program: labtest.Sallyport(t), dir: t.TempDir()}
	conf := fmt.Sprintf("gateway: {name: vpn.example.org, state: %s/state, control: {socket: %[1]s/control}, limits: {per_source: 5000}}\n"+zone, g.dir, sessions)
	if err := os.WriteFile(g.config(), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run(t, "init")
	return g, g.enrol(t, devices)
}

// enrol makes users with a device each, which have ECDSA certificates.
func (g *gateway) enrol(t *testing.T, devices int) (people []l2tpload.Person) {
	t.Helper()
	state, err := control.OpenState(t.Context(), g.config())
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	c := state.Client()
	if err := c.Call(t.Context(), "POST", "/v1/users", control.NewUser{Name: "crowd"}, nil); err != nil {
		t.Fatal(err)
	}
	for i := range devices {
		var e control.Enrolled
		name := fmt.Sprintf("pc%d", i)
		if err := c.Call(t.Context(), "POST", "/v1/devices", control.NewDevice{Name: name, User: "crowd", Zone: "printers"}, &e); err != nil {
			t.Fatal(err)
		}
		people = append(people, personOf(t, name+"@crowd", e.Certificate, e.Key))
	}
	return people
}

func personOf(t *testing.T, name, cert, key string) l2tpload.Person {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("the key of %s cannot sign", name)
	}
	return l2tpload.Person{Name: name, Chain: pair.Certificate, Signer: signer}
}

// crowd opens clients on a host: one at each place.
func (g *gateway) crowd(t *testing.T, h *lab.Host, places []netip.AddrPort, people []l2tpload.Person) *l2tpload.Crowd {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(g.dir, "state", "pki", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	cfg := l2tpload.Config{Gateway: outside, Roots: roots, Private: private, Contact: true}
	phase1, err1 := suite.ParseL2TPProposal(suite.ProtocolIKE, "aes256-sha256-ecp256", false)
	phase2, err2 := suite.ParseL2TPProposal(suite.ProtocolESP, "aes256gcm16", false)
	cfg.Phase1, cfg.Phase2 = []suite.Proposal{phase1}, []suite.Proposal{phase2}
	var c *l2tpload.Crowd
	err = h.Do(func() (err error) { c, err = l2tpload.Open(cfg, places, people); return err })
	if err := errors.Join(err, err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// private is what everybody believes its own address to be.
var private = netip.MustParseAddr("192.168.77.2")

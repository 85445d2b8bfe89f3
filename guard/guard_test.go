package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

// site has a client of an isolated zone behind the device "printer", one of
// another zone behind "staff", and two networks behind the gateway.
const site = `
	printer  10.62.0.2/24 fd00:62::2/64      --  10.62.0.1/24 fd00:62::1/64      gateway
	staff    10.60.0.2/16 fd00:60::2/64      --  10.60.0.1/16 fd00:60::1/64      gateway
	gateway  10.20.30.1/24 fd00:20:30::1/64  --  10.20.30.10/24 fd00:20:30::a/64 inside
	gateway  10.20.99.1/24 fd00:20:99::1/64  --  10.20.99.10/24 fd00:20:99::a/64 outside

	printer default gateway
	staff   default gateway
	inside  default gateway
	outside default gateway
`

// printers is the zone of the drawing.
func printers(reach ...string) Isolation {
	z := Isolation{
		Device: "printer", Pool: prefixes("10.62.0.0/24", "fd00:62::/56"), Reach: prefixes(reach...),
		Resolvers: []netip.Addr{netip.MustParseAddr("10.62.0.1"), netip.MustParseAddr("fd00:62::1")},
		Others:    []string{"staff"}, OtherPools: prefixes("10.60.0.0/16", "fd00:60::/64"),
	}
	return z
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// world is the site with something that answers on every address of it.
type world struct {
	*lab.Lab
	t *testing.T
}

// services are what every host answers on: TCP on the first three, UDP on all.
var services = []uint16{22, 53, 80, 1701}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // most of the time is spent waiting for what does not answer
	w := &world{labtest.Open(t, site, "nft"), t}
	w.likeTUN("printer", "gateway", "fd00:62::1")
	w.likeTUN("gateway", "printer", "fd00:62::2")
	w.likeTUN("gateway", "staff", "fd00:60::2") // TestIsolatedZones keeps this one apart too
	w.likeTUN("staff", "gateway", "fd00:60::1")
	for name, addrs := range map[string][]string{
		"printer": {"10.62.0.2", "fd00:62::2"}, "staff": {"10.60.0.2", "fd00:60::2"},
		"inside": {"10.20.30.10", "fd00:20:30::a"}, "outside": {"10.20.99.10", "fd00:20:99::a"},
		"gateway": {"10.62.0.1", "fd00:62::1", "10.60.0.1", "fd00:60::1", "10.20.30.1", "fd00:20:30::1"},
	} {
		for _, a := range addrs {
			for _, port := range services {
				w.echo(name, netip.AddrPortFrom(netip.MustParseAddr(a), port).String())
			}
		}
	}
	return w
}

// likeTUN lets a cable do without neighbour discovery, which a TUN device has
// not: the other end is known for good.
func (w *world) likeTUN(host, device, peer string) {
	w.t.Helper()
	var remote net.HardwareAddr
	other := func() error {
		l, err := netlink.LinkByName(host)
		if err == nil {
			remote = l.Attrs().HardwareAddr
		}
		return err
	}
	if err := w.At(device).Do(other); err != nil { // the ends are named after each other
		w.t.Fatal(err)
	}
	err := w.At(host).Do(func() error {
		l, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(peer), HardwareAddr: remote})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// echo answers on one port of a host, over TCP and UDP, until the test ends.
func (w *world) echo(name, at string) {
	w.t.Helper()
	l, err := w.At(name).Listen(at)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.At(name).ListenPacket("udp", at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close(); c.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reflect(conn)
			}()
		}
	}()
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(b[:n], from)
		}
	}()
}

func reflect(c net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		c.Write(b[:n])
	}
}

// patience is how long an answer may take; only what is refused takes so long.
const patience = time.Second

// answers tells whether a round trip to a service works.
func (w *world) answers(from, network, address string, size int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := w.At(from).Dial(ctx, network, address)
	if err != nil {
		return false
	}
	defer c.Close()
	return roundTrip(c, size)
}

func roundTrip(c net.Conn, size int) bool {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(make([]byte, size)); err != nil {
		return false
	}
	_, err := c.Read(make([]byte, 4096))
	return err == nil
}

// scan asks every service and for an echo at some addresses, all at once, and
// lists what answers: "10.20.30.10 tcp 22", "10.20.30.10 ping".
func (w *world) scan(from string, addrs ...string) []string {
	w.t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	var open []string
	try := func(what string, probe func() bool) {
		group.Go(func() {
			if probe() {
				mu.Lock()
				defer mu.Unlock()
				open = append(open, what)
			}
		})
	}
	for _, a := range addrs {
		addr := netip.MustParseAddr(a)
		for _, port := range services {
			at := netip.AddrPortFrom(addr, port).String()
			for _, network := range []string{"tcp", "udp"} {
				try(fmt.Sprintf("%s %s %d", a, network, port), func() bool { return w.answers(from, network, at, 8) })
			}
		}
		try(a+" ping", func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_, err := w.At(from).Ping(ctx, addr, 8)
			return err == nil
		})
	}
	group.Wait()
	slices.Sort(open)
	return open
}

// all is what a scan of open addresses lists.
func all(addrs ...string) (open []string) {
	for _, a := range addrs {
		open = append(open, a+" ping")
		for _, port := range services {
			open = append(open, fmt.Sprintf("%s tcp %d", a, port), fmt.Sprintf("%s udp %d", a, port))
		}
	}
	slices.Sort(open)
	return open
}

// resolver is what a client may do with an address of the gateway.
func resolver(addrs ...string) (open []string) {
	for _, a := range addrs {
		open = append(open, a+" ping", a+" tcp 53", a+" udp 53")
	}
	slices.Sort(open)
	return open
}

func (w *world) apply(zones ...Isolation) {
	w.t.Helper()
	if err := w.At("gateway").Do(func() error { return Apply(Rules{Zones: zones}) }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove() {
	w.t.Helper()
	if err := w.At("gateway").Do(Remove); err != nil {
		w.t.Fatal(err)
	}
}

// counts are the rules that packets met, as "from: out of reach".
func (w *world) counts() map[string]uint64 {
	w.t.Helper()
	met := map[string]uint64{}
	err := w.At("gateway").Do(func() error {
		counts, err := Counts()
		for _, c := range counts {
			met[c.Way+": "+c.Rule] += c.Packets
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return met
}

// ruleset is what the gateway's kernel has, without counters.
func (w *world) ruleset() string {
	w.t.Helper()
	text, err := w.At("gateway").Run(w.t.Context(), "nft", "--stateless", "list", "ruleset")
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *world) want(what string, got, want []string) {
	w.t.Helper()
	for _, o := range got {
		if !slices.Contains(want, o) {
			w.t.Errorf("%s: %s answers", what, o)
		}
	}
	for _, o := range want {
		if !slices.Contains(got, o) {
			w.t.Errorf("%s: %s does not answer", what, o)
		}
	}
}

// everything is all addresses of the site but the printer's.
var everything = []string{
	"10.20.30.10", "fd00:20:30::a", "10.20.99.10", "fd00:20:99::a", "10.60.0.2", "fd00:60::2", // beyond the gateway
	"10.62.0.1", "fd00:62::1", "10.60.0.1", "fd00:60::1", "10.20.30.1", "fd00:20:30::1", // the gateway's own
}

func TestOnlyReachIsReachableAndNothingComesIn(t *testing.T) {
	w := newWorld(t)
	printer := []string{"10.62.0.2", "fd00:62::2"}
	w.want("without a firewall", w.scan("printer", everything...), all(everything...))
	w.want("without a firewall, to the printer", w.scan("inside", printer...), all(printer...))

	w.apply(printers("10.20.30.0/24", "fd00:20:30::/64"))
	w.want("the zone", w.scan("printer", everything...), slices.Concat(all("10.20.30.10", "fd00:20:30::a"), resolver("10.62.0.1", "fd00:62::1")))
	for _, from := range []string{"inside", "outside", "staff"} {
		w.want("to the printer from "+from, w.scan(from, printer...), nil)
	}
	w.want("another zone", w.scan("staff", everything[:4]...), all(everything[:4]...))
	w.want("to the host from elsewhere", w.scan("inside", "10.20.30.1", "10.62.0.1"), all("10.20.30.1", "10.62.0.1"))
	w.want("the host itself", w.scan("gateway", "10.20.30.10"), all("10.20.30.10"))
	met := w.counts()
	for _, rule := range []string{"from: out of reach", "from: to the device of another zone", "from: sent", "to: replies", "to: not asked for", "host: DNS", "host: DNS over TCP", "host: echo requests", "host: to another address of the host", "host: to another service of the host"} {
		if met[rule] == 0 {
			t.Errorf("no packet was counted at %q: %v", rule, met)
		}
	}
	if met["from: source is not of the pool"]+met["host: source is not of the pool"] != 0 {
		t.Errorf("packets with the right source were refused for it: %v", met)
	}

	w.remove()
	w.want("after removal", w.scan("printer", everything...), all(everything...))
	w.want("after removal, to the printer", w.scan("inside", printer...), all(printer...))
}

func TestByDefaultNothingButTheResolverIsReachable(t *testing.T) {
	w := newWorld(t)
	w.apply(printers())
	w.want("the zone", w.scan("printer", everything...), resolver("10.62.0.1", "fd00:62::1"))
	z := printers()
	z.Resolvers = nil
	w.apply(z)
	w.want("the zone without a resolver", w.scan("printer", everything...), nil)
}

func TestAWideReachDoesNotOpenOtherZones(t *testing.T) {
	w := newWorld(t)
	beyond := everything[:6]
	w.apply(printers("0.0.0.0/0", "::/0"))
	w.want("everything in reach", w.scan("printer", beyond...), all(beyond[:4]...))
	if met := w.counts(); met["from: to the device of another zone"] == 0 {
		t.Errorf("%v", met)
	}
	w.apply(printers("0.0.0.0/0", "10.60.0.2/32", "::/0"))
	w.want("one client of the other zone named", w.scan("printer", beyond...), all("10.20.30.10", "fd00:20:30::a", "10.20.99.10", "fd00:20:99::a", "10.60.0.2"))
	w.apply(printers("10.60.0.3/32", "fd00:60::/64"))
	w.want("the pool of the other zone named", w.scan("printer", beyond...), all("fd00:60::2"))

	z := printers("0.0.0.0/0", "::/0")
	z.OtherPools = nil // the device alone holds
	w.apply(z)
	w.want("a device of another zone", w.scan("printer", beyond...), all(beyond[:4]...))
	z = printers("0.0.0.0/0", "::/0")
	z.Others = nil // and the pool alone
	w.apply(z)
	w.want("the pool of another zone", w.scan("printer", beyond...), all(beyond[:4]...))
}

// TestIsolatedZonesAreClosedToEachOther: one that is named in reach of the other
// stays closed, because nothing comes to it that it did not ask for.
func TestIsolatedZonesAreClosedToEachOther(t *testing.T) {
	w := newWorld(t)
	z := printers("0.0.0.0/0", "::/0")
	z.Others, z.OtherPools = nil, nil
	other := Isolation{Device: "staff", Pool: prefixes("10.60.0.0/16"), Reach: prefixes("0.0.0.0/0", "10.62.0.2/32")}
	w.apply(z, other)
	w.want("from the one", w.scan("printer", "10.60.0.2", "10.20.30.10"), all("10.20.30.10"))
	w.want("from the other", w.scan("staff", "10.62.0.2", "10.20.30.10"), all("10.20.30.10"))
}

// TestClientsOfOneZoneDoNotReachEachOther: a packet that would turn back into
// the device it came from is refused, unless reach names the pool.
func TestClientsOfOneZoneDoNotReachEachOther(t *testing.T) {
	w := newWorld(t)
	neighbour := netip.MustParsePrefix("10.62.0.128/25") // another client, behind the same device
	for host, via := range map[string]string{"gateway": "10.62.0.2", "printer": "10.62.0.1"} {
		if err := w.At(host).Route(neighbour, netip.MustParseAddr(via)); err != nil {
			t.Fatal(err)
		}
	}
	for reach, rule := range map[string]string{
		"0.0.0.0/0":     "from: to the device of another zone",
		"10.62.0.0/24":  "to: within the zone",
		"10.62.0.64/26": "from: to the device of another zone",
	} {
		w.apply(printers(reach))
		w.answers("printer", "udp", "10.62.0.130:80", 8)
		if met := w.counts(); met[rule] == 0 {
			t.Errorf("reach %s: no packet at %q: %v", reach, rule, met)
		}
	}
}

func TestASourceThatIsNotOfThePoolGoesNowhere(t *testing.T) {
	w := newWorld(t)
	w.apply(printers("10.20.30.0/24", "fd00:20:30::/64"))
	for _, source := range []string{"10.99.0.1", "10.60.0.9", "fd00:99::1"} {
		from := netip.MustParseAddr(source)
		if err := w.At("printer").AddAddr("gateway", netip.PrefixFrom(from, from.BitLen())); err != nil {
			t.Fatal(err)
		}
		targets := []string{"10.20.30.10:80", "10.62.0.1:53"}
		if from.Is6() {
			targets = []string{"[fd00:20:30::a]:80", "[fd00:62::1]:53"}
		}
		before := w.counts()
		for _, target := range targets {
			err := w.At("printer").Do(func() error {
				c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(target)))
				if err != nil {
					return err
				}
				defer c.Close()
				if roundTrip(c, 8) {
					t.Errorf("%s is answered from %s", source, target)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		after := w.counts()
		for _, rule := range []string{"from: source is not of the pool", "host: source is not of the pool"} {
			if after[rule] == before[rule] {
				t.Errorf("%s: nothing was counted at %q", source, rule)
			}
		}
	}
}

func TestANarrowerReachEndsConnections(t *testing.T) {
	w := newWorld(t)
	w.apply(printers("10.20.0.0/16"))
	c, err := w.At("printer").Dial(t.Context(), "tcp", "10.20.99.10:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !roundTrip(c, 8) {
		t.Fatal("the connection does not work")
	}
	w.apply(printers("10.20.0.0/16"))
	if !roundTrip(c, 8) {
		t.Error("the same rules once more break a connection")
	}
	w.apply(printers("10.20.30.0/24"))
	if roundTrip(c, 8) {
		t.Error("a connection goes on that is out of reach")
	}
}

// TestANarrowerReachEndsWhatServersSend: a server that goes on by itself, as one
// of telephony does, is cut off too.
func TestANarrowerReachEndsWhatServersSend(t *testing.T) {
	w := newWorld(t)
	w.apply(printers("10.20.0.0/16"))
	server, err := w.At("outside").ListenPacket("udp", "10.20.99.10:5004")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := w.At("printer").Dial(t.Context(), "udp", "10.20.99.10:5004")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("x"))
	server.SetReadDeadline(time.Now().Add(patience))
	_, client, err := server.ReadFrom(make([]byte, 8))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		reach   string
		arrives bool
	}{{"10.20.0.0/16", true}, {"10.20.30.0/24", false}, {"10.20.99.0/24", true}} {
		w.apply(printers(step.reach))
		if _, err := server.WriteTo([]byte("y"), client); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 8)); (err == nil) != step.arrives {
			t.Errorf("with reach %s: %v, want it to arrive: %v", step.reach, err, step.arrives)
		}
	}
}

// TestFragmentsHideNothing: the port stands in the first fragment alone.
func TestFragmentsHideNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(printers("10.20.30.0/24"))
	for target, want := range map[string]bool{
		"10.20.30.10:80": true, "10.62.0.1:53": true, "[fd00:62::1]:53": true,
		"10.20.99.10:80": false, "10.62.0.1:22": false, "[fd00:62::1]:1701": false, "10.60.0.1:53": false,
	} {
		if got := w.answers("printer", "udp", target, 4000); got != want {
			t.Errorf("4000 octets to %s: answered is %v", target, got)
		}
	}
}

func TestErrorsAboutWhatWasSentComeBack(t *testing.T) {
	w := newWorld(t)
	w.apply(printers("10.20.30.0/24", "fd00:20:30::/64"))
	for _, target := range []string{"10.20.30.10:9", "[fd00:20:30::a]:9"} { // nobody listens there
		c, err := w.At("printer").Dial(t.Context(), "udp", target)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 8)); err == nil || os.IsTimeout(err) {
			t.Errorf("%s: no word that nobody listens: %v", target, err)
		}
	}
	if met := w.counts(); met["to: errors"] == 0 {
		t.Errorf("%v", met)
	}
}

func TestSegmentsFitTheDevice(t *testing.T) {
	w := newWorld(t)
	z := printers("10.20.30.0/24", "fd00:20:30::/64")
	z.MTU = 1320
	w.apply(z)
	for target, most := range map[string]int{"10.20.30.10:80": 1280, "[fd00:20:30::a]:80": 1260} {
		c, err := w.At("printer").Dial(t.Context(), "tcp", target)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			segment, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG)
			if err != nil || segment > most || segment < most-12 { // time stamps take 12
				t.Errorf("%s: segments of %d octets, %v; want %d", target, segment, err, most)
			}
		})
	}
}

func TestTheSameRulesTwiceAreTheSame(t *testing.T) {
	w := newWorld(t)
	z := printers("10.20.30.0/24", "10.60.7.0/24", "0.0.0.0/0", "::/0")
	z.Log, z.MTU = true, 1400
	w.apply(z)
	first := w.ruleset()
	w.apply(z)
	if again := w.ruleset(); again != first {
		t.Errorf("first\n%s\nthen\n%s", first, again)
	}
	w.apply()
	if left := w.ruleset(); left != "" {
		t.Errorf("no zones leave\n%s", left)
	}
	w.remove() // there is none
}

func TestForeignTablesAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	foreign := `table inet filter { chain f { type filter hook forward priority 0; policy accept; ip daddr 10.20.30.10 tcp dport 80 drop; }; }
table ip sallyport { chain f { type filter hook forward priority 0; policy accept; ip daddr 10.20.30.10 tcp dport 22 drop; }; }
table inet sallyport-other { set s { type ipv4_addr; elements = { 10.0.0.1 }; }; }
`
	if _, err := w.At("gateway").RunCommand(t.Context(), lab.Command{Program: "nft", Args: []string{"-f", "-"}, Stdin: strings.NewReader(foreign)}); err != nil {
		t.Fatal(err)
	}
	before := w.ruleset()
	w.apply(printers("10.20.30.0/24"))
	with := w.ruleset()
	if !strings.HasPrefix(with, before) || len(with) == len(before) {
		t.Errorf("the other tables were\n%s\nand are\n%s", before, with)
	}
	got := w.scan("printer", "10.20.30.10")
	want := slices.DeleteFunc(all("10.20.30.10"), func(s string) bool { return s == "10.20.30.10 tcp 80" || s == "10.20.30.10 tcp 22" })
	w.want("what other tables drop stays dropped", got, want)
	w.remove()
	if after := w.ruleset(); after != before {
		t.Errorf("the other tables were\n%s\nand are\n%s", before, after)
	}
}

func TestAThousandNetworksInReach(t *testing.T) {
	w := newWorld(t)
	z := printers("10.20.30.8/29")
	for i := range 2000 {
		z.Reach = append(z.Reach,
			netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 7), byte(i << 1), 0}), 24),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x11, byte(i >> 7), byte(i << 1)}), 32))
	}
	z.Reach = append(z.Reach, prefixes("fd00:20:30::a/128", "0.0.0.0/8", "240.0.0.0/4", "ffff::/16")...)
	start := time.Now()
	w.apply(z)
	t.Logf("%d networks in %v", len(z.Reach), time.Since(start))
	w.want("the zone", w.scan("printer", "10.20.30.10", "fd00:20:30::a", "10.20.99.10", "fd00:20:99::a"), all("10.20.30.10", "fd00:20:30::a"))
	text := w.ruleset()
	for _, i := range []int{0, 1, 999, 1999} {
		if want := fmt.Sprintf("11.%d.%d.0/24", i>>7, byte(i<<1)); !strings.Contains(text, want) {
			t.Errorf("%s is not in the kernel's set", want)
		}
	}
}

func TestRulesThatMakeNoSenseChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(printers("10.20.30.0/24"))
	before := w.ruleset()
	for _, c := range []struct {
		want   string
		spoil  func(z *Isolation)
		second bool
	}{
		{`"" cannot name a device`, func(z *Isolation) { z.Device = "" }, false},
		{`"sallyport-legacy" cannot name a device`, func(z *Isolation) { z.Device = "sallyport-legacy" }, false},
		{`two zones have the device "printer"`, func(*Isolation) {}, true},
		{`the zone of device "printer" has no pool`, func(z *Isolation) { z.Pool = make([]netip.Prefix, 2) }, false},
		{"500 is no MTU", func(z *Isolation) { z.MTU = 500 }, false},
		{"70000 is no MTU", func(z *Isolation) { z.MTU = 70000 }, false},
		{`the devices of other zones are ["staff" ""]`, func(z *Isolation) { z.Others = append(z.Others, "") }, false},
	} {
		z := printers("0.0.0.0/0")
		c.spoil(&z)
		rules := Rules{Zones: []Isolation{z}}
		if c.second {
			rules.Zones = append(rules.Zones, z)
		}
		err := w.At("gateway").Do(func() error { return Apply(rules) })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if after := w.ruleset(); after != before {
		t.Errorf("the rules were\n%s\nand are\n%s", before, after)
	}
}

// TestWithoutTheRightNothingIsApplied: a gateway that may not set the firewall
// is told so, and must not serve the zone.
func TestWithoutTheRightNothingIsApplied(t *testing.T) {
	w := newWorld(t)
	err := w.At("gateway").Do(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil { // of this thread, which ends here
			return err
		}
		return Apply(Rules{Zones: []Isolation{printers()}})
	})
	if err == nil || !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "guard: the kernel refuses") {
		t.Errorf("got %v", err)
	}
	if left := w.ruleset(); left != "" {
		t.Errorf("there are rules\n%s", left)
	}
}

func TestCountsSayThatNothingIsHeld(t *testing.T) {
	w := newWorld(t)
	if err := w.At("gateway").Do(func() error { _, err := Counts(); return err }); err == nil || !strings.Contains(err.Error(), "no zone is held") {
		t.Errorf("got %v", err)
	}
}

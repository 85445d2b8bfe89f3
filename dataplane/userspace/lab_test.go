package userspace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// namespace is a network namespace of this test alone.
type namespace struct {
	t    *testing.T
	name string
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: network namespaces, TUN and veth devices")
	}
	labtest.Need(t, "ip")
}

var namespaces struct {
	sync.Mutex
	n int
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	namespaces.Lock()
	namespaces.n++
	ns := &namespace{t, fmt.Sprintf("spt%d-%d", os.Getpid(), namespaces.n)}
	namespaces.Unlock()
	run(t, "ip", "netns", "add", ns.name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns.name).Run() })
	ns.ip("link set lo up")
	return ns
}

// run runs a command of the test's own, without a shell, for at most 30 s.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// ip runs "ip -n NAME ..." with the words of line.
func (ns *namespace) ip(line string) string {
	ns.t.Helper()
	return run(ns.t, "ip", append([]string{"-n", ns.name}, strings.Fields(line)...)...)
}

// exec runs a command inside the namespace.
func (ns *namespace) exec(line string) (string, error) {
	return try("ip", append([]string{"netns", "exec", ns.name}, strings.Fields(line)...)...)
}

// do runs f on a thread that is in the namespace; sockets and devices that f
// opens stay there.
func (ns *namespace) do(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		file, err := os.Open(filepath.Join("/run/netns", ns.name))
		if err == nil {
			defer file.Close()
			if err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err == nil {
				err = f()
			}
		}
		result <- err
	}()
	return <-result
}

// end is one gateway of the test network.
type end struct {
	*namespace
	plane *Plane

	mu     sync.Mutex
	events []dataplane.Event
	ike    []ikeMessage
	inner  []innerMessage
}

type ikeMessage struct {
	local, remote netip.AddrPort
	msg           string
}

func (e *end) seen(k dataplane.EventKind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.events {
		if ev.Kind == k {
			n++
		}
	}
	return n
}

// link is two gateways, a and b, on a veth pair: 192.0.2.1 and .2, 2001:db8::1
// and ::2 outside; 10.1.0.1 and 10.2.0.1, fd01::1 and fd02::1 inside.
type link struct {
	t    *testing.T
	a, b *end
}

const (
	outerA4, outerB4 = "192.0.2.1", "192.0.2.2"
	outerA6, outerB6 = "2001:db8::1", "2001:db8::2"
	innerA4, innerB4 = "10.1.0.1", "10.2.0.1"
	innerA6, innerB6 = "fd01::1", "fd02::1"
)

func newLink(t *testing.T, cfg Config) *link {
	t.Helper()
	needRoot(t)
	l := &link{t: t, a: &end{namespace: newNamespace(t)}, b: &end{namespace: newNamespace(t)}}
	l.a.ip("link add out type veth peer name out netns " + l.b.name)
	for _, e := range []*end{l.a, l.b} {
		v4, v6 := outerA4, outerA6
		i4, i6, r4, r6 := innerA4, innerA6, innerB4, innerB6
		if e == l.b {
			v4, v6 = outerB4, outerB6
			i4, i6, r4, r6 = innerB4, innerB6, innerA4, innerA6
		}
		e.ip("addr add " + v4 + "/24 dev out")
		e.ip("addr add " + v6 + "/64 dev out nodad")
		e.ip("link set out up")
		e.open(cfg)
		pfx := func(s string) netip.Prefix { a := netip.MustParseAddr(s); return netip.PrefixFrom(a, a.BitLen()) }
		mtu := cfg.MTU
		if mtu == 0 {
			mtu = defaultMTU
		}
		err := e.do(func() error {
			return SetUp("vpn0", mtu, []netip.Prefix{pfx(i4), pfx(i6)}, []netip.Prefix{pfx(r4), pfx(r6)})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (e *end) open(cfg Config) {
	e.t.Helper()
	cfg.Name = "vpn0"
	if cfg.Queues == 0 {
		cfg.Queues = 2
	}
	cfg.Logger = slog.New(slog.NewTextHandler(e.t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	cfg.Upcalls = dataplane.Upcalls{
		Event: func(ev dataplane.Event) { e.mu.Lock(); e.events = append(e.events, ev); e.mu.Unlock() },
		IKE: func(local, remote netip.AddrPort, msg []byte) {
			e.mu.Lock()
			e.ike = append(e.ike, ikeMessage{local, remote, string(msg)})
			e.mu.Unlock()
		},
		Inner: func(spi uint32, port uint16, msg []byte) {
			e.mu.Lock()
			e.inner = append(e.inner, innerMessage{spi, port, string(msg)})
			e.mu.Unlock()
		},
	}
	err := e.do(func() (err error) { e.plane, err = Open(cfg); return err })
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { e.plane.Close() })
}

var gcm128 = suite.ESP{Encr: suite.Transform{Type: suite.Encr, ID: 20, KeyBits: 128}, ESN: true}

// pairOf makes the two views of one Child SA with keys from the seed.
func pairOf(e suite.ESP, n uint32, v6outer bool) (a, b dataplane.ChildSA) {
	encKey, integKey := suite.CipherKeySizes(e.Encr, e.Integ)
	key := func(seed uint64) secret.Bytes {
		k := make(secret.Bytes, encKey+integKey)
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		for i := range k {
			k[i] = byte(r.Uint32())
		}
		return k
	}
	outerA, outerB := outerA4, outerB4
	if v6outer {
		outerA, outerB = outerA6, outerB6
	}
	pa, pb := netip.AddrPortFrom(netip.MustParseAddr(outerA), 4500), netip.AddrPortFrom(netip.MustParseAddr(outerB), 4500)
	a = dataplane.ChildSA{
		SPIIn: 0x1000 + n, SPIOut: 0x2000 + n, Suite: e, KeyIn: key(1), KeyOut: key(2), Local: pa, Remote: pb,
		TSLocal: hosts(innerA4, innerA6), TSRemote: hosts(innerB4, innerB6), Outbound: true,
	}
	b = dataplane.ChildSA{
		SPIIn: 0x2000 + n, SPIOut: 0x1000 + n, Suite: e, KeyIn: key(2), KeyOut: key(1), Local: pb, Remote: pa,
		TSLocal: a.TSRemote, TSRemote: a.TSLocal, Outbound: true,
	}
	return a, b
}

// hosts are selectors for these addresses, each alone.
func hosts(addrs ...string) (out []ikemsg.TrafficSelector) {
	for _, s := range addrs {
		a := netip.MustParseAddr(s)
		out = append(out, ikemsg.TrafficSelector{EndPort: 65535, Start: a, End: a})
	}
	return out
}

func (e *end) apply(changes ...dataplane.Change) {
	e.t.Helper()
	if err := e.plane.Apply(changes...); err != nil {
		e.t.Fatal(err)
	}
}

func (l *link) connect(e suite.ESP, v6outer bool, change ...func(a, b *dataplane.ChildSA)) {
	l.t.Helper()
	a, b := pairOf(e, 1, v6outer)
	for _, f := range change {
		f(&a, &b)
	}
	l.a.apply(dataplane.Add{SA: a})
	l.b.apply(dataplane.Add{SA: b})
}

func (l *link) wantPing(line string) {
	l.t.Helper()
	if out, err := l.a.exec("ping -c 3 -i 0.05 -W 2 " + line); err != nil {
		l.t.Errorf("ping %s: %v\n%s%s", line, err, out, l.counters())
	}
}

// counters are what both planes counted, for a failure's report.
func (l *link) counters() string {
	var b strings.Builder
	for _, e := range []*end{l.a, l.b} {
		fmt.Fprintf(&b, "%s:", e.name)
		for _, c := range e.plane.Counters() {
			if c.Value > 0 {
				fmt.Fprintf(&b, " %s=%d", c.Name, c.Value)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (e *end) counter(name string) uint64 {
	e.t.Helper()
	for _, c := range e.plane.Counters() {
		if c.Name == name {
			return c.Value
		}
	}
	e.t.Fatalf("no counter %q", name)
	return 0
}

// stream is a TCP connection from a to that address of b.
func (l *link) stream(addr string) (send, receive net.Conn) {
	l.t.Helper()
	var ln net.Listener
	if err := l.b.do(func() (err error) { ln, err = net.Listen("tcp", net.JoinHostPort(addr, "0")); return err }); err != nil {
		l.t.Fatal(err)
	}
	defer ln.Close()
	err := l.a.do(func() (err error) { send, err = net.DialTimeout("tcp", ln.Addr().String(), 5*time.Second); return err })
	if err == nil {
		receive, err = ln.Accept()
	}
	if err != nil {
		l.t.Fatalf("TCP to %s: %v\n%s", addr, err, l.counters())
	}
	for _, c := range []net.Conn{send, receive} {
		c.SetDeadline(time.Now().Add(30 * time.Second))
		l.t.Cleanup(func() { c.Close() })
	}
	return send, receive
}

// wantTransfer sends n random octets from a to b over TCP and compares hashes.
func (l *link) wantTransfer(addr string, n int) {
	l.t.Helper()
	send, receive := l.stream(addr)
	type result struct {
		sum []byte
		err error
	}
	got := make(chan result, 1)
	go func() {
		defer receive.Close()
		h := sha256.New()
		_, err := io.Copy(h, receive)
		got <- result{h.Sum(nil), err}
	}()
	h := sha256.New()
	src := io.LimitReader(rand.NewChaCha8([32]byte{1}), int64(n))
	if _, err := io.Copy(io.MultiWriter(send, h), src); err != nil {
		l.t.Errorf("send: %v", err)
	}
	send.Close()
	r := <-got
	if r.err != nil || !bytes.Equal(r.sum, h.Sum(nil)) {
		l.t.Errorf("transfer of %d octets to %s: %v, hashes equal: %v\n%s", n, addr, r.err, bytes.Equal(r.sum, h.Sum(nil)), l.counters())
	}
}

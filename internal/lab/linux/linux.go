// Package linux runs a Linux machine with a kernel of its own on a host of the
// lab: user-mode-linux, a kernel that is a program. So a real L2TP/IPsec client
// can be tried (strongSwan for IKEv1, the kernel's ESP and L2TP, xl2tpd, pppd)
// on a machine whose own kernel has none of it.
//
// A [Guest] takes the place of a host of the drawing: [Boot] gives it the
// host's cables, addresses and routes. It sees the files of this machine,
// read-only, and what it writes stays in its memory.
//
//	func TestMain(m *testing.M) { linux.Main(m) }
//
//	pc, err := linux.Boot(ctx, l.At("client"), linux.Options{})
//	...
//	vpn, err := pc.Configure(ctx, linux.Client{Server: gateway, CA: ca, Cert: cert, Key: key, ...})
//	link, err := vpn.Up(ctx)          // IKEv1 and ESP, then L2TP, PPP and the routes
//	rtt, err := pc.Ping(ctx, inside, 56)
//	out, err := pc.Run(ctx, "ip", "addr")
//
// There is no shell in it. The guest's first process is the test's own program,
// which [Main] recognises; it is asked for work over a serial line, and any
// function of the test can be such work: see [Inside].
package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/lab"
)

// bootPatience bounds a boot, which takes two to four seconds on two cores
// without other work.
const bootPatience = 60 * time.Second

// Options are what a guest may differ in.
type Options struct {
	MemoryMB int  // 0: 192, enough for a client
	Trace    bool // let the kernel tell more in the transcript
}

// Guest is a running Linux machine. Its methods may be called from any
// goroutine, and several at once.
type Guest struct {
	Name string

	host   *lab.Host
	kernel *lab.Process
	line   net.Conn      // the serial line, on this side
	turn   chan struct{} // full while a call is on the line
	booted chan struct{}
	ended  chan struct{} // closed when no more answers come

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan answer
	broken  error // why nothing can be asked any more
}

// Programs are what a guest and the client in it need; see [lab.Missing].
var Programs = []string{"linux.uml", "ipsec", "xl2tpd", "pppd", "ip"}

// Boot starts a guest in the place of a host of the drawing: the guest gets the
// host's addresses, routes and neighbours, and calls its interfaces the same.
// The host itself keeps only the cables, so its interfaces are where to capture
// (see [lab.Host.Capture]). The guest ends with the lab, however that ends.
func Boot(ctx context.Context, h *lab.Host, o Options) (*Guest, error) {
	if !inMain {
		return nil, errors.New("linux: the test program must call linux.Main in TestMain: it is the guest's first process too")
	}
	if err := lab.Missing("linux.uml"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	cables, err := takeCables(h)
	if err != nil {
		return nil, err
	}
	g := &Guest{Name: h.Name, host: h, turn: make(chan struct{}, 1), booted: make(chan struct{}), ended: make(chan struct{}), waiting: map[uint64]chan answer{}}
	if err := g.start(o, cables); err != nil {
		return nil, err
	}
	if err := g.settle(ctx, cables); err != nil {
		g.Kill()
		return nil, fmt.Errorf("%w\nthe transcript of its boot:\n%s", err, g.Transcript())
	}
	return g, nil
}

// settle waits for the guest's first process and tells it who it is.
func (g *Guest) settle(ctx context.Context, cables []cable) error {
	select {
	case <-g.booted:
	case <-g.ended:
		return fmt.Errorf("linux: %s: it did not boot", g.Name)
	case <-ctx.Done():
		return fmt.Errorf("linux: %s: it did not boot in time: %w", g.Name, ctx.Err())
	}
	_, err := furnish.On(ctx, g, furniture{Name: g.Name, Cables: cables})
	return err
}

// start runs the kernel with its cables and the serial line.
func (g *Guest) start(o Options, cables []cable) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := g.host.WriteFile(filepath.Join(mailbox, g.Name, "name"), []byte(g.Name), 0o600); err != nil {
		return err
	}
	ours, theirs, err := serialLine()
	if err != nil {
		return err
	}
	defer theirs.Close()
	g.line = ours
	// The kernel keeps a directory of its own, which must not be in the home of
	// whoever runs the test: /run is the host's.
	args := []string{
		fmt.Sprintf("mem=%dM", or(o.MemoryMB, 192)),
		"uml_dir=/run/uml/", "umid=" + g.Name,
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"con=null", "con0=fd:0,fd:1", "ssl=null", "ssl0=fd:3",
		"random.trust_cpu=on", "panic=-1",
		"init=" + program, guestVariable + "=" + filepath.Join(mailbox, g.Name),
	}
	if !o.Trace {
		args = append(args, "quiet")
	}
	for i, c := range cables {
		args = append(args, fmt.Sprintf("vec%d:transport=tap,ifname=%s,depth=128,gro=1", i, c.tap))
	}
	g.kernel, err = g.host.Start(lab.Command{Program: "linux.uml", Args: args, Files: []*os.File{theirs}, Alone: true})
	if err != nil {
		ours.Close()
		return err
	}
	go g.listen()
	return nil
}

// lineRoom is more than an answer. The guest's kernel may wait forever when the
// line is full for a moment.
const lineRoom = 16 << 20

// serialLine is a pair of connected sockets. The guest's end is blocking and
// carries any octet; the guest makes its terminal do so too.
func serialLine() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("linux: serial line: %w", err)
	}
	if err := unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, lineRoom); err != nil {
		return nil, nil, fmt.Errorf("linux: serial line: %w", err)
	}
	own := os.NewFile(uintptr(fds[0]), "serial line")
	defer own.Close()
	theirs = os.NewFile(uintptr(fds[1]), "serial line of the guest")
	if ours, err = net.FileConn(own); err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("linux: serial line: %w", err)
	}
	return ours, theirs, nil
}

// Host is the host whose place the guest has: the capture point.
func (g *Guest) Host() *lab.Host { return g.host }

// Transcript is what the guest's kernel and its first process have said.
func (g *Guest) Transcript() string { return g.kernel.Output() }

// Stop switches the guest off. Daemons in it say no goodbye: take a connection
// down first where that matters.
func (g *Guest) Stop() {
	g.kernel.Stop()
	g.line.Close()
}

// Kill ends the guest as a power cut would.
func (g *Guest) Kill() {
	g.kernel.Kill()
	g.line.Close()
}

// Freeze halts the guest, as a laptop that is closed; Thaw lets it go on.
func (g *Guest) Freeze() error { return g.kernel.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (g *Guest) Thaw() error { return g.kernel.Signal(syscall.SIGCONT) }

// addrPort is where a listener or socket of a host is.
func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

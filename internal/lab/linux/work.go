package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"sallyport/internal/lab"
)

// Command is a program to run in a guest. No shell is involved.
type Command struct {
	Program string
	Args    []string
	Env     []string // added to the guest's environment
	Stdin   string
	Log     string // Start only: the file for what it says; empty: /run/log/PROGRAM.log
}

func (c Command) String() string { return strings.Join(append([]string{c.Program}, c.Args...), " ") }

// Result is how a program ended.
type Result struct {
	Exit   int    // its exit code; -1 for a signal
	Output string // stdout and stderr, the last megabyte
}

// Run runs a program in the guest to its end and returns what it wrote to
// stdout and stderr. A failure's error ends with that text.
func (g *Guest) Run(ctx context.Context, program string, args ...string) (string, error) {
	c := Command{Program: program, Args: args}
	r, err := g.RunCommand(ctx, c)
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("linux: %s: %s: exit code %d\n%s", g.Name, c, r.Exit, strings.TrimSpace(r.Output))
	}
	return r.Output, err
}

// RunCommand is Run with everything a Command can say; an exit code that is not
// zero is no error.
func (g *Guest) RunCommand(ctx context.Context, c Command) (Result, error) { return run.On(ctx, g, c) }

// maxOutput bounds what a program's answer brings over the serial line.
const maxOutput = 1 << 20

var run = Inside("run", func(ctx context.Context, c Command) (Result, error) {
	p := exec.CommandContext(ctx, c.Program, c.Args...)
	p.Env, p.Stdin = append(os.Environ(), c.Env...), strings.NewReader(c.Stdin)
	p.WaitDelay = time.Second // a daemon that it leaves behind holds its output open
	out, err := p.CombinedOutput()
	r := Result{Output: string(out[max(0, len(out)-maxOutput):])}
	if ctx.Err() != nil {
		return r, fmt.Errorf("%s: %w\n%s", c, ctx.Err(), lastLines(out, 20))
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.Exit = exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return r, fmt.Errorf("%s: %w", c, err)
	}
	return r, nil
})

// Daemon is a program that runs on in a guest.
type Daemon struct {
	g   *Guest
	pid int
	log string
}

// Start starts a program that runs on. What it says goes to its log.
func (g *Guest) Start(ctx context.Context, c Command) (*Daemon, error) {
	if c.Log == "" {
		c.Log = "/run/log/" + filepath.Base(c.Program) + ".log"
	}
	pid, err := start.On(ctx, g, c)
	if err != nil {
		return nil, err
	}
	return &Daemon{g, pid, c.Log}, nil
}

// Log is what the program has said.
func (d *Daemon) Log(ctx context.Context) (string, error) { return d.g.ReadText(ctx, d.log) }

// Signal sends it a signal.
func (d *Daemon) Signal(ctx context.Context, s syscall.Signal) error {
	_, err := signal.On(ctx, d.g, signalArg{d.pid, s})
	return err
}

// Stop asks it to end, and kills it when it does not by the end of ctx; it
// returns when it has ended.
func (d *Daemon) Stop(ctx context.Context) error {
	_, err := stop.On(ctx, d.g, d.pid)
	return err
}

// Running tells whether it still runs.
func (d *Daemon) Running(ctx context.Context) (bool, error) { return running.On(ctx, d.g, d.pid) }

// daemons are those of this guest, by process number; the channel is closed at
// the end of one.
var daemons = struct {
	sync.Mutex
	ended map[int]chan struct{}
}{ended: map[int]chan struct{}{}}

func daemonEnd(pid int) (chan struct{}, error) {
	daemons.Lock()
	defer daemons.Unlock()
	ended, ok := daemons.ended[pid]
	if !ok {
		return nil, fmt.Errorf("no daemon has the number %d", pid)
	}
	return ended, nil
}

var start = Inside("start", func(_ context.Context, c Command) (int, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	p := exec.Command(c.Program, c.Args...)
	p.Env, p.Stdin = append(os.Environ(), c.Env...), strings.NewReader(c.Stdin)
	p.Stdout, p.Stderr = log, log
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	daemons.Lock()
	daemons.ended[p.Process.Pid] = ended
	daemons.Unlock()
	go func() { p.Wait(); close(ended) }()
	return p.Process.Pid, nil
})

type signalArg struct {
	PID    int
	Signal syscall.Signal
}

var signal = Inside("signal", func(_ context.Context, a signalArg) (struct{}, error) {
	return struct{}{}, syscall.Kill(a.PID, a.Signal)
})

var stop = Inside("stop", func(ctx context.Context, pid int) (struct{}, error) {
	ended, err := daemonEnd(pid)
	if err != nil {
		return struct{}{}, err
	}
	syscall.Kill(pid, syscall.SIGTERM)
	select {
	case <-ended:
		return struct{}{}, nil
	case <-ctx.Done():
		syscall.Kill(-pid, syscall.SIGKILL)
		<-ended
		return struct{}{}, ctx.Err()
	}
})

var running = Inside("running", func(_ context.Context, pid int) (bool, error) {
	ended, err := daemonEnd(pid)
	if err != nil {
		return false, err
	}
	select {
	case <-ended:
		return false, nil
	default:
		return true, nil
	}
})

// WriteFile writes a file, with the directories above it. What is under /run,
// /etc/ppp and /etc/ipsec.d is the guest's own; most else cannot be written.
func (g *Guest) WriteFile(ctx context.Context, name string, data []byte, mode os.FileMode) error {
	_, err := writeFile.On(ctx, g, fileArg{name, data, mode})
	return err
}

type fileArg struct {
	Name string
	Data []byte
	Mode os.FileMode
}

var writeFile = Inside("write file", func(_ context.Context, f fileArg) (struct{}, error) {
	return struct{}{}, here.WriteFile(f.Name, f.Data, f.Mode)
})

// ReadFile reads a file of the guest, such as /etc/ppp/resolv.conf.
func (g *Guest) ReadFile(ctx context.Context, name string) ([]byte, error) {
	return readFile.On(ctx, g, name)
}

// ReadText is ReadFile for a log: one that does not exist is empty.
func (g *Guest) ReadText(ctx context.Context, name string) (string, error) {
	text, err := readText.On(ctx, g, name)
	return string(text), err
}

var readFile = Inside("read file", func(_ context.Context, name string) ([]byte, error) { return os.ReadFile(name) })

var readText = Inside("read text", func(_ context.Context, name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return text, err
})

// Await polls a file of the guest until it holds a text, and returns it.
func (g *Guest) Await(ctx context.Context, name, text string) (string, error) {
	all, err := await.On(ctx, g, awaitArg{name, text})
	return string(all), err
}

type awaitArg struct{ Name, Text string }

var await = Inside("await", func(ctx context.Context, a awaitArg) (all []byte, err error) {
	err = poll(ctx, func() bool {
		all, _ = os.ReadFile(a.Name)
		return bytes.Contains(all, []byte(a.Text))
	})
	if err != nil {
		err = fmt.Errorf("%s does not come to say %q: %w\n%s", a.Name, a.Text, err, lastLines(all, 40))
	}
	return all, err
})

// poll asks until it is so, or ctx ends.
func poll(ctx context.Context, is func() bool) error {
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Ping is [lab.Host.Ping] from the guest.
func (g *Guest) Ping(ctx context.Context, dst netip.Addr, size int) (time.Duration, error) {
	return ping.On(ctx, g, pingArg{dst, size, false})
}

// AwaitPing is [lab.Host.AwaitPing] from the guest.
func (g *Guest) AwaitPing(ctx context.Context, dst netip.Addr) (time.Duration, error) {
	return ping.On(ctx, g, pingArg{dst, 0, true})
}

type pingArg struct {
	Dst   netip.Addr
	Size  int
	Await bool
}

var ping = Inside("ping", func(ctx context.Context, a pingArg) (time.Duration, error) {
	if a.Await {
		return here.AwaitPing(ctx, a.Dst)
	}
	return here.Ping(ctx, a.Dst, a.Size)
})

// Addrs lists the addresses of one of the guest's interfaces, such as ppp0.
func (g *Guest) Addrs(ctx context.Context, iface string) ([]netip.Prefix, error) {
	return addrs.On(ctx, g, iface)
}

var addrs = Inside("addresses", func(_ context.Context, iface string) ([]netip.Prefix, error) { return here.Addrs(iface) })

// SendTCP sends octets over one TCP connection from the guest to a sink that it
// opens at dst on the host to, as [lab.Host.SendTCP] does between hosts.
func (g *Guest) SendTCP(ctx context.Context, to *lab.Host, dst netip.Addr, octets int64) (lab.Transfer, error) {
	sink, err := to.Sink(dst)
	if err != nil {
		return lab.Transfer{}, err
	}
	defer sink.Close()
	return pour.On(ctx, g, pourArg{addrPort(sink.Addr()), octets})
}

// ReceiveTCP is the other direction: from the host to a sink at dst in the
// guest.
func (g *Guest) ReceiveTCP(ctx context.Context, from *lab.Host, dst netip.Addr, octets int64) (lab.Transfer, error) {
	sink, err := openSink.On(ctx, g, dst)
	if err != nil {
		return lab.Transfer{}, err
	}
	return from.Pour(ctx, sink, octets)
}

// SendTCPTo is SendTCP to another guest.
func (g *Guest) SendTCPTo(ctx context.Context, to *Guest, dst netip.Addr, octets int64) (lab.Transfer, error) {
	sink, err := openSink.On(ctx, to, dst)
	if err != nil {
		return lab.Transfer{}, err
	}
	return pour.On(ctx, g, pourArg{sink, octets})
}

type pourArg struct {
	Sink   netip.AddrPort
	Octets int64
}

var pour = Inside("send TCP", func(ctx context.Context, a pourArg) (lab.Transfer, error) {
	return here.Pour(ctx, a.Sink, a.Octets)
})

// openSink leaves the sink open: it takes one connection and costs little.
var openSink = Inside("open a sink", func(_ context.Context, dst netip.Addr) (netip.AddrPort, error) {
	sink, err := here.Sink(dst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return addrPort(sink.Addr()), nil
})

package labtest

import (
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/lab"
)

// Need fails a test, with the line that installs them, where programs of others
// are missing.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if err := lab.Missing(programs...); err != nil {
		t.Fatal(err)
	}
}

// Process is a server of others that runs beside a test: on the machine itself,
// on ports of the loopback, and not in a lab.
type Process struct {
	t     testing.TB
	name  string
	out   Transcript
	cmd   *exec.Cmd
	ended chan struct{}
}

// patience is how long a server may take to do what a test waits for.
const patience = 20 * time.Second

// StartProcess runs a program until the test ends, and waits until it says that
// it is ready.
func StartProcess(t testing.TB, ready, name string, args ...string) *Process {
	t.Helper()
	Need(t, name)
	p := &Process{t: t, name: name, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(p.Stop)
	p.Says(ready)
	return p
}

// Stop kills it; it may be called again.
func (p *Process) Stop() {
	p.cmd.Process.Kill()
	<-p.ended
}

// Says waits until it has said something.
func (p *Process) Says(text string) {
	p.t.Helper()
	p.Await("to say "+text, func() bool { return strings.Contains(p.Output(), text) })
}

// Await waits until something that it does is so; what is the rest of the
// sentence "was waited for".
func (p *Process) Await(what string, is func() bool) {
	p.t.Helper()
	for begun := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > patience {
			p.t.Fatalf("%s was waited for %s:\n%s", p.name, what, p.Tail())
		}
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended, and was waited for %s:\n%s", p.name, what, p.Tail())
		default:
		}
	}
}

// Output is what it has said.
func (p *Process) Output() string { return p.out.String() }

// Tail is the end of that.
func (p *Process) Tail() string { return Tail(p.Output()) }

// Tail is the end of a program's talk.
func Tail(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// Transcript is what a program or a log says, safe to read while it is written.
type Transcript struct {
	mu sync.Mutex
	b  []byte
}

// Write adds to it; it never fails.
func (w *Transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, b...)
	return len(b), nil
}

func (w *Transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

// FreePort is a port of the loopback that nobody uses now; network is udp or
// tcp.
func FreePort(t testing.TB, network string) int {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

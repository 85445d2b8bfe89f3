package labtest

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed radiusd.conf
var radiusdConf string

// RADIUSSecret is the shared secret of every FreeRADIUS of the tests.
const RADIUSSecret = "a secret of the tests, long enough"

// FreeRADIUS is a running FreeRADIUS with EAP-TLS, PEAP, TTLS and accounting
// into a file, on the loopback.
type FreeRADIUS struct {
	Auth, Acct string // addresses

	t       testing.TB
	dir     string
	out     transcript
	process *exec.Cmd
	ended   chan struct{}
}

// StartFreeRADIUS runs one until the test ends. users is the file of module
// files; first is the method that it begins with: tls, ttls or peap.
func StartFreeRADIUS(t testing.TB, ca *Authority, server Issued, users, first string) *FreeRADIUS {
	t.Helper()
	if _, err := exec.LookPath("freeradius"); err != nil {
		t.Fatal("freeradius is missing: apt-get install -y freeradius")
	}
	f := &FreeRADIUS{t: t, dir: t.TempDir()}
	auth, acct := freeUDP(t), freeUDP(t)
	f.Auth, f.Acct = fmt.Sprintf("127.0.0.1:%d", auth), fmt.Sprintf("127.0.0.1:%d", acct)
	for name, text := range FreeRADIUSFiles(f.dir, auth, acct, ca, server, users, first) {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.Start()
	t.Cleanup(f.Stop)
	return f
}

// FreeRADIUSFiles are the files of its directory, for whoever runs it elsewhere
// (freeradius -f -d DIR). Accounts go into the file detail.
func FreeRADIUSFiles(dir string, auth, acct int, ca *Authority, server Issued, users, first string) map[string]string {
	return map[string]string{
		"radiusd.conf": fmt.Sprintf(radiusdConf, dir, RADIUSSecret, auth, acct, first),
		"dictionary":   "$INCLUDE /usr/share/freeradius/dictionary\n",
		"users":        users,
		"server.pem":   string(KeyPEM(server.Key)) + string(CertPEM(server.Chain...)),
		"ca.pem":       string(CertPEM(ca.Cert)),
	}
}

// Start begins again after Stop, with the same configuration.
func (f *FreeRADIUS) Start() {
	f.t.Helper()
	f.ended = make(chan struct{})
	f.process = exec.Command("freeradius", "-fxx", "-l", "stdout", "-d", f.dir)
	f.process.Stdout, f.process.Stderr = &f.out, &f.out
	if err := f.process.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { f.process.Wait(); close(f.ended) }()
	f.wait("to be ready", func() bool { return strings.Contains(f.out.String(), "Ready to process requests") })
}

// Stop kills it; it may be called again.
func (f *FreeRADIUS) Stop() {
	f.process.Process.Kill()
	<-f.ended
}

// Detail waits until the accounting file has a text, and gives the file.
func (f *FreeRADIUS) Detail(text string) string {
	f.t.Helper()
	var all []byte
	f.wait(fmt.Sprintf("to write %q", text), func() bool {
		all, _ = os.ReadFile(filepath.Join(f.dir, "detail"))
		return strings.Contains(string(all), text)
	})
	return string(all)
}

// Output is what it has said.
func (f *FreeRADIUS) Output() string { return f.out.String() }

func (f *FreeRADIUS) wait(what string, is func() bool) {
	f.t.Helper()
	for begun := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			f.t.Fatalf("FreeRADIUS was waited for %s:\n%s", what, f.tail())
		}
		select {
		case <-f.ended:
			f.t.Fatalf("FreeRADIUS ended:\n%s", f.tail())
		default:
		}
	}
}

func (f *FreeRADIUS) tail() string {
	lines := strings.Split(f.out.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// transcript is what a program says, safe to read while it runs.
type transcript struct {
	mu sync.Mutex
	b  []byte
}

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, b...)
	return len(b), nil
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

func freeUDP(t testing.TB) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

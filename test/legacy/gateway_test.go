package legacy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/lab/linux"
)

func TestMain(m *testing.M) { linux.Main(m) }

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// gateway is "sallyport serve" on a host of the lab.
type gateway struct {
	host    *lab.Host
	program string
	dir     string
	server  *lab.Process
}

// serve starts a gateway with these zones.
func serve(t *testing.T, h *lab.Host, zones string) *gateway {
	t.Helper()
	g := &gateway{host: h, program: labtest.Sallyport(t), dir: t.TempDir()}
	conf := fmt.Sprintf("gateway: {name: vpn.example.org, state: %s/state, control: {socket: %[1]s/control}}\nlogging: {level: debug}\n%s", g.dir, zones)
	if err := os.WriteFile(g.config(), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run(t, "init")
	g.start(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway says:\n%s", g.server.Output())
		}
	})
	return g
}

func (g *gateway) config() string { return filepath.Join(g.dir, "sallyport.yaml") }

// start runs the server and waits until it answers.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	var err error
	if g.server, err = g.host.Start(lab.Command{Program: g.program, Args: []string{"serve", "--config", g.config()}}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var status struct{ Running bool }
		if err := g.ask(t, &status, "status"); err == nil && status.Running {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("sallyport serve does not come up:\n%s", g.server.Output())
		}
	}
}

// run runs a verb that must succeed.
func (g *gateway) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := g.host.Run(within(t, 30*time.Second), g.program, append(args, "--config", g.config())...)
	if err != nil {
		t.Fatalf("sallyport %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// ask runs a verb with --json and reads its report.
func (g *gateway) ask(t *testing.T, into any, args ...string) error {
	var out bytes.Buffer
	args = append(args, "--json", "--config", g.config())
	if _, err := g.host.RunCommand(within(t, 10*time.Second), lab.Command{Program: g.program, Args: args, Stdout: &out}); err != nil {
		return err
	}
	return json.Unmarshal(out.Bytes(), &struct {
		Data any `json:"data"`
	}{into})
}

// device enrols a device with an RSA certificate, and returns certificate, key
// and CA as PEM.
func (g *gateway) device(t *testing.T, name, user, zone string) (cert, key, ca []byte) {
	t.Helper()
	g.run(t, "user", "add", user)
	out := filepath.Join(g.dir, name)
	g.run(t, "device", "add", name, "--user", user, "--zone", zone, "--key", "rsa-3072", "--out", out)
	read := func(file string) []byte {
		b, err := os.ReadFile(filepath.Join(out, file))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return read(name + ".crt"), read(name + ".key"), read("sallyport-ca.crt")
}

// boot starts a Linux in a host's place; what it says shows when the test fails.
func boot(t *testing.T, h *lab.Host) *linux.Guest {
	t.Helper()
	g, err := linux.Boot(within(t, time.Minute), h, linux.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("transcript of %s:\n%s\n%s", g.Name, g.Transcript(), linux.Logs(context.Background(), g))
		}
	})
	return g
}

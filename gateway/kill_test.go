package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"
)

// serveEnv makes the test binary a gateway, so that a test can kill it.
const serveEnv = "SALLYPORT_TEST_SERVE"

func serveUntilKilled(path string) {
	_, err := Start(context.Background(), Options{Config: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// spawn runs a gateway in a process of its own and waits until it serves.
func spawn(t *testing.T, path string) (kill func(), c *Client) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { cmd.Process.Kill(); cmd.Wait() }
	t.Cleanup(kill)
	cfg, _, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the gateway serves", func() (ok bool) { c, ok = Dial(cfg.Gateway.Control.Socket); return ok })
	return kill, c
}

// TestKillAndRestart loses nothing that was acknowledged: users, devices,
// revocations and leases are there after kill -9.
func TestKillAndRestart(t *testing.T) {
	path := testConfig(t, "")
	initState(t, path)
	kill, c := spawn(t, path)
	cfg, _, _ := LoadConfig(path)
	target := &Gateway{State: &State{}}
	target.config.Store(cfg)
	call[User](t, c, "POST", "/v1/users", NewUser{Name: "alice"})
	credentials := make(map[string]credential)
	for _, name := range []string{"a", "b", "c"} {
		e := call[Enrolled](t, c, "POST", "/v1/devices", NewDevice{Name: name, User: "alice"})
		credentials[name] = newCredential(t, e.Key+e.Certificate, e.CA, e.Device.Identity)
	}
	before := make(map[string]string)
	for _, name := range []string{"a", "b"} {
		before[name] = addressOf(dial(t, credentials[name]).connect(t, target))
	}
	call[Revoked](t, c, "POST", "/v1/devices/c/revoke", Revocation{})
	kill()

	g := startGateway(t, path)
	for _, name := range []string{"b", "a"} {
		if got := addressOf(dial(t, credentials[name]).connect(t, g)); got != before[name] {
			t.Errorf("%s got %s after the crash, had %s", name, got, before[name])
		}
	}
	if g.registry.allowed("c") == "" || g.ca.CRL().Len() != 1 {
		t.Error("the revocation was lost")
	}
}

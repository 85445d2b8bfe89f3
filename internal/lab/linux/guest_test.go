package linux_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
	"sallyport/internal/lab/linux"
)

// kernel is a function of this test that runs in a guest.
var kernel = linux.Inside("kernel", func(_ context.Context, prefix string) (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	if prefix == "" {
		return "", errors.New("no prefix")
	}
	return prefix + unix.ByteSliceToString(u.Nodename[:]), nil
})

func TestAGuestTakesAHostsPlace(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior, linux.Programs...)
	begun := time.Now()
	pc := boot(t, l.At("client"))
	t.Logf("booted in %v", time.Since(begun).Round(10*time.Millisecond))
	gateway := l.At("gateway")
	ctx := within(t, time.Minute)

	t.Run("it has the host's addresses and routes", func(t *testing.T) {
		for _, dst := range []netip.Addr{gateway4, netip.MustParseAddr("2001:db8:51::10")} {
			if _, err := pc.AwaitPing(ctx, dst); err != nil {
				t.Error(err)
			}
		}
		addrs, err := pc.Addrs(ctx, "router")
		for _, want := range []string{"192.168.77.2/24", "fd00:77::2/64"} {
			if !slices.Contains(addrs, netip.MustParsePrefix(want)) {
				t.Errorf("no %s among %v, %v", want, addrs, err)
			}
		}
	})
	t.Run("it runs a function of the test", func(t *testing.T) {
		if got, err := kernel.On(ctx, pc, "this is "); got != "this is client" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := kernel.On(ctx, pc, ""); err == nil || !strings.Contains(err.Error(), "no prefix") {
			t.Errorf("got the error %v", err)
		}
	})
	t.Run("it tells output and exit code", func(t *testing.T) {
		r, err := pc.RunCommand(ctx, linux.Command{Program: "sh", Args: []string{"-c", "cat; echo $WORD; exit 7"}, Stdin: "in ", Env: []string{"WORD=env"}})
		if err != nil || r.Exit != 7 || r.Output != "in env\n" {
			t.Errorf("got %+v, %v", r, err)
		}
		if out, err := pc.Run(ctx, "sh", "-c", "echo why; exit 3"); err == nil || !strings.Contains(err.Error(), "exit code 3\nwhy") {
			t.Errorf("got %q and the error %v", out, err)
		}
	})
	t.Run("a megabyte comes over the serial line whole", func(t *testing.T) {
		var text strings.Builder
		for i := range 100_000 {
			fmt.Fprintf(&text, "%09d\n", i)
		}
		if err := pc.WriteFile(ctx, "/run/big", []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := pc.ReadFile(ctx, "/run/big"); err != nil || string(got) != text.String() {
			t.Errorf("%d octets came back, %v", len(got), err)
		}
	})
	t.Run("what it writes is its own", func(t *testing.T) {
		if err := pc.WriteFile(ctx, "/etc/ppp/probe", nil, 0o600); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat("/etc/ppp/probe"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is on this machine: %v", err)
		}
		probe := filepath.Join(t.TempDir(), "probe")
		if err := pc.WriteFile(ctx, probe, nil, 0o600); err == nil {
			t.Errorf("it wrote %s", probe)
		}
	})
	t.Run("a daemon starts and stops", func(t *testing.T) {
		d, err := pc.Start(ctx, linux.Command{Program: "sh", Args: []string{"-c", "echo hello; exec sleep 1000"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pc.Await(ctx, "/run/log/sh.log", "hello"); err != nil {
			t.Error(err)
		}
		if runs, err := d.Running(ctx); !runs || err != nil {
			t.Errorf("it does not run: %v", err)
		}
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
		if runs, err := d.Running(ctx); runs || err != nil {
			t.Errorf("it still runs: %v", err)
		}
	})
	t.Run("a program that takes too long ends", func(t *testing.T) {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if _, err := pc.Run(short, "sleep", "1000"); err == nil {
			t.Error("it ended by itself")
		}
		if out, err := pc.Run(ctx, "pgrep", "sleep"); err == nil {
			t.Errorf("it still runs: %s", out)
		}
	})
	t.Run("TCP flows in both directions", func(t *testing.T) {
		up, err := pc.SendTCP(ctx, gateway, gateway4, 16<<20)
		if err != nil {
			t.Error(err)
		}
		down, err := pc.ReceiveTCP(ctx, gateway, netip.MustParseAddr("192.168.77.2"), 16<<20)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%.0f Mbit/s up, %.0f down", up.MbitPerSecond(), down.MbitPerSecond())
	})
	t.Run("a flow comes back", func(t *testing.T) {
		f, err := pc.StartFlow(ctx, gateway, gateway4, 50, 200)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pc.Run(ctx, "sleep", "0.5"); err != nil {
			t.Error(err)
		}
		r, err := f.Stop(ctx, time.Second)
		if err != nil || r.Returned < 10 || r.Lost() != 0 || r.Reached != r.Sent {
			t.Errorf("%v, %v", r, err)
		}
	})
	t.Run("a scan tells open from closed from silent", func(t *testing.T) {
		open, err := gateway.Listen("198.51.100.10:8002")
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		err = gateway.DropPort(ctx, "tcp", 8003)
		if err != nil {
			t.Fatal(err)
		}
		defer gateway.Heal(ctx)
		s, err := pc.Scan(ctx, "tcp", gateway4, linux.Ports(8001, 8003), nil, 500*time.Millisecond)
		want := linux.Scan{Open: []uint16{8002}, Closed: []uint16{8001}, Silent: []uint16{8003}}
		if err != nil || fmt.Sprint(s) != fmt.Sprint(want) {
			t.Errorf("TCP: %+v, %v; want %+v", s, err, want)
		}
		mirror, err := gateway.Mirror(gateway4)
		if err != nil {
			t.Fatal(err)
		}
		defer mirror.Close()
		s, err = pc.Scan(ctx, "udp", gateway4, []uint16{8001, mirror.Addr().Port()}, []byte("?"), 500*time.Millisecond)
		want = linux.Scan{Open: []uint16{mirror.Addr().Port()}, Closed: []uint16{8001}}
		if err != nil || fmt.Sprint(s) != fmt.Sprint(want) {
			t.Errorf("UDP: %+v, %v; want %+v", s, err, want)
		}
	})
	t.Run("it freezes and thaws", func(t *testing.T) {
		if err := pc.Freeze(); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if _, err := gateway.AwaitPing(short, netip.MustParseAddr("192.168.77.2")); err == nil {
			t.Error("it answers while it is frozen")
		}
		if err := pc.Thaw(); err != nil {
			t.Fatal(err)
		}
		if _, err := gateway.AwaitPing(ctx, netip.MustParseAddr("192.168.77.2")); err != nil {
			t.Error(err)
		}
	})
	t.Run("nothing of it is left when it is killed", func(t *testing.T) {
		before := kernels(t)
		pc.Kill()
		if after := kernels(t); before == 0 || after != 0 {
			t.Errorf("%d processes of kernels before, %d after", before, after)
		}
		if _, err := pc.Run(ctx, "true"); err == nil || !strings.Contains(err.Error(), "answers no more") {
			t.Errorf("a dead guest is asked, and the error is %v", err)
		}
	})
}

// kernels counts the processes of guests of this test.
func kernels(t *testing.T) (n int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		line, _ := os.ReadFile(d) // a process may end meanwhile
		if strings.HasPrefix(string(line), "/usr/bin/linux.uml") && strings.Contains(string(line), "init="+must(os.Executable())) {
			n++
		}
	}
	return n
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

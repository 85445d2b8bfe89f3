package lab_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/labtest"
)

var (
	gateway4 = netip.MustParseAddr("198.51.100.10")
	gateway6 = netip.MustParseAddr("2001:db8:51::10")
	inside4  = netip.MustParseAddr("10.9.0.10")
)

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestTheClientReachesTheGatewayAndNotTheInside(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior)
	client := l.At("client")
	for _, addr := range []netip.Addr{gateway4, gateway6} {
		if _, err := client.AwaitPing(within(t, 3*time.Second), addr); err != nil {
			t.Error(err)
		}
	}
	if _, err := client.AwaitPing(within(t, 500*time.Millisecond), inside4); err == nil {
		t.Error("the client reaches the inside without any tunnel")
	}
}

func TestMasqueradeHidesTheClientAndRebindChangesItsPort(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior, "nft")
	ctx := within(t, 5*time.Second)
	client, router, gateway := l.At("client"), l.At("router"), l.At("gateway")
	if err := router.Masquerade(ctx, "gateway"); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{gateway4.String() + ":4500", "[" + gateway6.String() + "]:4500"} {
		server, err := gateway.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := client.Dial(ctx, "udp", at)
		if err != nil {
			t.Fatal(err)
		}
		seenFrom := func() netip.AddrPort {
			t.Helper()
			conn.Write([]byte("hello"))
			server.SetReadDeadline(time.Now().Add(2 * time.Second))
			_, from, err := server.ReadFrom(make([]byte, 100))
			if err != nil {
				t.Fatal(err)
			}
			return netip.MustParseAddrPort(from.String())
		}
		before := seenFrom()
		if a := before.Addr().String(); a != "198.51.100.1" && a != "2001:db8:51::1" {
			t.Errorf("the gateway sees %v, not the router", before)
		}
		if err := router.Rebind(ctx, "gateway", 30000, 39999); err != nil {
			t.Fatal(err)
		}
		if after := seenFrom(); after == before || after.Port() < 30000 || after.Port() > 39999 {
			t.Errorf("after the rebinding the gateway sees %v, before it saw %v", after, before)
		}
		if err := router.Masquerade(ctx, "gateway"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFragmentsCanBeDropped(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior, "nft")
	client, router := l.At("client"), l.At("router")
	for _, addr := range []netip.Addr{gateway4, gateway6} {
		if _, err := client.Ping(within(t, 2*time.Second), addr, 4000); err != nil {
			t.Fatal("before the rule:", err)
		}
		if err := router.DropFragments(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Ping(within(t, 300*time.Millisecond), addr, 4000); err == nil {
			t.Errorf("a fragmented ping to %v passes", addr)
		}
		if _, err := client.Ping(within(t, 2*time.Second), addr, 1000); err != nil {
			t.Error("a whole packet does not pass:", err)
		}
		if err := router.KeepFragments(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFlowCountsWhatTheRouterLoses(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior, "nft")
	client, router, gateway := l.At("client"), l.At("router"), l.At("gateway")
	run := func() lab.FlowReport {
		t.Helper()
		f, err := client.StartFlow(t.Context(), gateway, gateway4, 500, 100)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		return f.Stop(500 * time.Millisecond)
	}
	if r := run(); r.Lost() != 0 || r.Sent < 400 {
		t.Error("on a clean line:", r)
	}
	if err := router.Lose(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	if r := run(); r.Lost() < r.Sent/4 || r.Lost() > r.Sent*3/4 { // 51 % are expected: 30 % each way
		t.Error("with 30 % loss:", r)
	}
	if err := router.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := router.Cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := run(); r.Returned != 0 {
		t.Error("over a cut line:", r)
	}
}

func TestAReaderThatSleepsShowsAsOverflow(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior)
	client, gateway := l.At("client"), l.At("gateway")
	for _, addr := range []netip.Addr{gateway4, gateway6} {
		before, err := gateway.Overflows()
		if err != nil {
			t.Fatal(err)
		}
		sleeper, err := gateway.ListenPacket("udp", netip.AddrPortFrom(addr, 9).String())
		if err != nil {
			t.Fatal(err)
		}
		defer sleeper.Close()
		conn, err := client.Dial(t.Context(), "udp", netip.AddrPortFrom(addr, 9).String())
		if err != nil {
			t.Fatal(err)
		}
		for range 4000 { // ten times what a receive buffer holds
			conn.Write(make([]byte, 1000))
		}
		after, err := gateway.Overflows()
		if err != nil {
			t.Fatal(err)
		}
		if after-before < 1000 || after-before > 4000 {
			t.Errorf("%d of 4000 datagrams to a sleeping reader at %v count as overflow", after-before, addr)
		}
	}
}

func TestTCPTransfer(t *testing.T) {
	l := labtest.Open(t, lab.RoadWarrior)
	for _, addr := range []netip.Addr{gateway4, gateway6} {
		tr, err := l.At("client").SendTCP(within(t, 10*time.Second), l.At("gateway"), addr, 10<<20)
		if err != nil {
			t.Fatal(err)
		}
		if tr.Octets != 10<<20 || tr.MbitPerSecond() <= 0 {
			t.Errorf("odd transfer %+v", tr)
		}
	}
}

func TestABadDrawingNamesItsLine(t *testing.T) {
	for drawing, want := range map[string]string{
		"\nclient 10.0.0.1/24 gateway":                        "line 2",
		"a 10.0.0.1/24 -- 10.0.0.2/33 b":                      "10.0.0.2/33",
		"a 10.0.0.1/24 -- 10.0.0.2/24 b\nb default elsewhere": "no cable from b to elsewhere",
	} {
		l := labtest.Open(t, "")
		if err := l.Draw(drawing); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("drawing %q: error %v does not mention %q", drawing, err, want)
		}
	}
}

// TestNothingSurvivesASuddenEnd runs a lab in a second process, kills that
// with SIGKILL and looks for the program it had started.
func TestNothingSurvivesASuddenEnd(t *testing.T) {
	if os.Getenv("LAB_CHILD") != "" {
		l := labtest.Open(t, lab.RoadWarrior)
		p, err := l.At("client").Start(lab.Command{Program: "sleep", Args: []string{"1000"}})
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("pid " + strconv.Itoa(p.PID()) + "\n")
		select {}
	}
	labtest.Open(t, "") // for the check of root
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "LAB_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, _ := out.Read(buf)
	text, found := strings.CutPrefix(strings.TrimSpace(string(buf[:n])), "pid ")
	pid, err := strconv.Atoi(text)
	if !found || err != nil {
		t.Fatalf("the lab of the second process did not start: %q", buf[:n])
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the program is not running to begin with: %v", err)
	}
	child.Process.Kill()
	child.Wait()
	for end := time.Now().Add(3 * time.Second); syscall.Kill(pid, 0) == nil; {
		if state, _ := os.ReadFile("/proc/" + text + "/stat"); strings.Contains(string(state), ") Z ") {
			return // dead; only its parent of last resort has not noticed yet
		}
		if time.Now().After(end) {
			t.Fatalf("process %d outlived its lab", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func parse(addr string) netip.Addr { return netip.MustParseAddr(addr) }

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// contestant is one kind of tunnel. Its ends are processes of this program
// ("throughput end KIND SIDE"), started inside each namespace; they print
// "ready" once traffic to the inner address can flow. Another product joins
// with a line here and its own command.
type contestant struct {
	name   string
	target string                         // the address of side b that iperf3 connects to
	end    func(side, ns string) []string // arguments of the end's process, nil for none
}

var contestants = []contestant{
	{"bare-veth", outerB, nil},
	{"wireguard-go", innerB, func(side, _ string) []string { return []string{"end", "wireguard", side} }},
	{"sallyport", innerB, func(side, _ string) []string { return []string{"end", "sallyport", side} }},
}

// Addresses of every contestant's pair of namespaces.
const (
	outerA = "192.0.2.1"
	outerB = "192.0.2.2"
	innerA = "10.1.0.1"
	innerB = "10.2.0.1"
)

// running is a contestant with its namespaces and processes.
type running struct {
	contestant
	nsA, nsB string
	ends     []*exec.Cmd
	server   *exec.Cmd
	cpu0     float64
}

func start(ctx context.Context, c contestant, o options) (*running, error) {
	r := &running{contestant: c}
	id := fmt.Sprintf("spb%d%s", os.Getpid(), c.name[:2])
	r.nsA, r.nsB = id+"a", id+"b"
	for _, line := range []string{
		"netns add " + r.nsA, "netns add " + r.nsB,
		"-n " + r.nsA + " link set lo up", "-n " + r.nsB + " link set lo up",
		"-n " + r.nsA + " link add out type veth peer name out netns " + r.nsB,
		"-n " + r.nsA + " addr add " + outerA + "/24 dev out", "-n " + r.nsB + " addr add " + outerB + "/24 dev out",
		"-n " + r.nsA + " link set out up", "-n " + r.nsB + " link set out up",
	} {
		if err := ip(ctx, line); err != nil {
			return r, err
		}
	}
	for side, ns := range map[string]string{"a": r.nsA, "b": r.nsB} {
		if c.end == nil {
			continue
		}
		if err := r.startEnd(ctx, c.end(side, ns), side, ns, o); err != nil {
			return r, err
		}
	}
	r.server = inNamespace(ctx, r.nsB, "iperf3", "-s", "-B", c.target)
	if err := r.server.Start(); err != nil {
		return r, err
	}
	time.Sleep(300 * time.Millisecond) // iperf3 does not say when it listens
	r.cpu0 = r.cpuTotal()
	return r, nil
}

func (r *running) startEnd(ctx context.Context, args []string, side, ns string, o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.Profile != "" && args[1] == "sallyport" {
		args = append(args, "-profile", filepath.Join(o.Profile, "cpu-"+side+".pprof"))
	}
	if o.NoGSO && args[1] == "sallyport" {
		args = append(args, "-no-offload")
	}
	cmd := inNamespace(ctx, ns, self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.ends = append(r.ends, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "ready" {
		return fmt.Errorf("end %s did not start: %q %v", side, line, err)
	}
	return nil
}

// measure runs one iperf3 client and returns what arrived, in Gbit/s.
func (r *running) measure(ctx context.Context, o options) (float64, error) {
	args := []string{"-c", r.target, "-t", strconv.Itoa(o.Seconds), "-P", strconv.Itoa(o.Streams), "-J"}
	if o.Reverse {
		args = append(args, "-R")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.Seconds+15)*time.Second)
	defer cancel()
	out, err := inNamespace(ctx, r.nsA, "iperf3", args...).Output()
	var reply struct {
		Error string
		End   struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if jsonErr := json.Unmarshal(out, &reply); jsonErr != nil || reply.Error != "" || err != nil {
		return 0, fmt.Errorf("iperf3: %w %s", errors.Join(err, jsonErr), reply.Error)
	}
	return reply.End.Received.BitsPerSecond / 1e9, nil
}

func (r *running) stop() {
	for _, c := range append(r.ends, r.server) {
		if c != nil && c.Process != nil {
			c.Process.Signal(os.Interrupt)
			waitOrKill(c)
		}
	}
	for _, ns := range []string{r.nsA, r.nsB} {
		ip(context.Background(), "netns del "+ns)
	}
}

func waitOrKill(c *exec.Cmd) {
	done := make(chan struct{})
	go func() { c.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		c.Process.Kill()
		<-done
	}
}

// cpuSeconds is the CPU time of the ends since start.
func (r *running) cpuSeconds() float64 { return r.cpuTotal() - r.cpu0 }

func (r *running) cpuTotal() (seconds float64) {
	for _, c := range r.ends {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
		if err != nil {
			continue
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		user, _ := strconv.ParseFloat(string(f[11]), 64)
		system, _ := strconv.ParseFloat(string(f[12]), 64)
		seconds += (user + system) / 100 // USER_HZ
	}
	return seconds
}

func inNamespace(ctx context.Context, ns, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns, name}, args...)...)
}

func ip(ctx context.Context, line string) error {
	out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, out)
	}
	return nil
}

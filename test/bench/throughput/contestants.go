package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/lab"
	"sallyport/internal/lab/linux"
)

// contestant is one kind of tunnel between hosts a and b. start returns once
// traffic to the target can flow; another product joins with a line here.
type contestant struct {
	name   string
	target string // the address of b that iperf3 connects to
	needs  []string
	start  func(ctx context.Context, r *running, o options) error
}

var contestants = []contestant{
	{"bare-veth", outerB, nil, func(context.Context, *running, options) error { return nil }},
	{"wireguard-go", innerB, nil, func(ctx context.Context, r *running, o options) error { return r.startEnds(ctx, "wireguard", o) }},
	{"strongswan", innerB, []string{"charon-systemd", "swanctl"}, startStrongSwan},
	{"sallyport", innerB, nil, func(ctx context.Context, r *running, o options) error { return r.startEnds(ctx, "sallyport", o) }},
	{"sallyport-l2tp", innerB, nil, func(ctx context.Context, r *running, o options) error { return r.startEnds(ctx, "sallyport-l2tp", o) }},
	{"sallyport-cbc", innerB, nil, func(ctx context.Context, r *running, o options) error { return r.startEnds(ctx, "sallyport-cbc", o) }},
	{"sallyport-l2tp-cbc", innerB, nil, func(ctx context.Context, r *running, o options) error {
		return r.startEnds(ctx, "sallyport-l2tp-cbc", o)
	}},
	{"linux-l2tp", innerB, linux.Programs, startLinux},
}

// Addresses of every contestant's pair of hosts.
const (
	outerA = "192.0.2.1"
	outerB = "192.0.2.2"
	innerA = "10.1.0.1"
	innerB = "10.2.0.1"
)

// startLimit bounds the set-up of one contestant, an IKE exchange included.
const startLimit = time.Minute

// running is a contestant with its hosts and processes.
type running struct {
	contestant
	lab  *lab.Lab
	a, b *lab.Host
	ends []*lab.Process // whose CPU time is counted
	cpu0 float64
	run  func(ctx context.Context, program string, args ...string) (string, error) // on a
}

func start(ctx context.Context, c contestant, o options) (*running, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	l, err := lab.Open()
	if err != nil {
		return nil, err
	}
	r := &running{contestant: c, lab: l}
	if err := l.Draw("a " + outerA + "/24 -- " + outerB + "/24 b"); err != nil {
		return r, err
	}
	r.a, r.b = l.At("a"), l.At("b")
	r.run = r.a.Run
	if err := c.start(ctx, r, o); err != nil || r.guests() {
		return r, err
	}
	server, err := r.b.Start(lab.Command{Program: "iperf3", Args: []string{"--server", "--forceflush"}})
	if err != nil {
		return r, err
	}
	if err := await(ctx, server, "Server listening"); err != nil {
		return r, err
	}
	r.cpu0 = r.cpuTotal()
	return r, nil
}

// await waits until a program has written the text.
func await(ctx context.Context, p *lab.Process, text string) error {
	for !strings.Contains(p.Output(), text) {
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended: %s", p.Name, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("%s did not say %q: %w: %s", p.Name, text, ctx.Err(), p.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// startEnds runs this program as each end of the tunnel.
func (r *running) startEnds(ctx context.Context, kind string, o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for side, host := range map[string]*lab.Host{"a": r.a, "b": r.b} {
		args := []string{"end", kind, side}
		ours := strings.HasPrefix(kind, "sallyport")
		if o.Profile != "" && ours {
			args = append(args, "-profile", filepath.Join(o.Profile, "cpu-"+kind+"-"+side+".pprof"))
		}
		if o.NoGSO && ours {
			args = append(args, "-no-offload")
		}
		end, err := host.Start(lab.Command{Program: self, Args: args})
		if err != nil {
			return err
		}
		r.ends = append(r.ends, end)
		if err := await(ctx, end, "ready"); err != nil {
			return err
		}
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
	out, err := r.run(ctx, "iperf3", args...)
	var reply struct {
		Error string
		End   struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if jsonErr := json.Unmarshal([]byte(out), &reply); jsonErr != nil || reply.Error != "" || err != nil {
		return 0, fmt.Errorf("iperf3: %w %s", errors.Join(err, jsonErr), reply.Error)
	}
	return reply.End.Received.BitsPerSecond / 1e9, nil
}

// stop ends everything; our ends say what they counted.
func (r *running) stop(verbose bool) {
	r.lab.Close()
	for _, end := range r.ends {
		if verbose {
			fmt.Fprintf(os.Stderr, "%s: %s", r.name, end.Output())
		}
	}
}

// cpuSeconds is the CPU time of the ends since start.
func (r *running) cpuSeconds() float64 { return r.cpuTotal() - r.cpu0 }

func (r *running) cpuTotal() (seconds float64) {
	for _, end := range r.ends {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", end.PID()))
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

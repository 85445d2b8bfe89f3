// Setups compares what one IKE set-up costs a gateway: ours and strongSwan's
// charon, driven in turn by the same generator (sallyport bench ike), with the
// same certificate, suite and network. It lets 1,000 clients log in at the same
// moment, by certificate and by EAP-TLS, and measures what 20,000 sessions keep
// in our memory. It needs root and the strongSwan packages.
//
// The cost is the gateway process's own CPU time, user and system, as the
// kernel counts it; the generator's is not in it.
//
// L2TP/IPsec logins are measured beside those of IKEv2, by the same certificates
// and with 10,000 sessions.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"sallyport/internal/lab"
)

// options of a run.
type options struct {
	Binary   string
	Rounds   int
	Count    int
	Parallel int
	Sessions int
	Logins   int
	L2TP     int
	JSON     bool
}

func main() {
	var o options
	flag.StringVar(&o.Binary, "sallyport", "bin/sallyport", "the binary to measure and to drive with")
	flag.IntVar(&o.Rounds, "rounds", 5, "rounds; each runs every gateway once")
	flag.IntVar(&o.Count, "count", 1000, "set-ups a gateway and round; 0 = none")
	flag.IntVar(&o.Parallel, "parallel", 8, "set-ups under way at a time")
	flag.IntVar(&o.Sessions, "sessions", 20000, "sessions held for the measure of memory; 0 = none")
	flag.IntVar(&o.Logins, "logins", 1000, "clients that log in at the same moment, by certificate and by EAP-TLS; 0 = none")
	flag.IntVar(&o.L2TP, "l2tp", 10000, "L2TP sessions held for the measure of memory; 0 = none")
	flag.BoolVar(&o.JSON, "json", false, "print the result as JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "setups: error:", err)
		os.Exit(1)
	}
}

// result is what is printed.
type result struct {
	CPUs     int       `json:"cpus"`
	Count    int       `json:"setups_per_round"`
	Gateways []outcome `json:"gateways"`
	Ratio    float64   `json:"cpu_ratio"` // ours to strongSwan's, of medians
	Logins   []*login  `json:"logins,omitempty"`
	Memory   *memory   `json:"memory,omitempty"`
	L2TP     *memory   `json:"l2tp_memory,omitempty"`
}

// outcome is what one gateway did.
type outcome struct {
	Name      string    `json:"name"`
	CPU       []float64 `json:"cpu_ms_per_setup"`
	PerSecond []float64 `json:"setups_per_second"`
	MedianCPU float64   `json:"median_cpu_ms_per_setup"`
	Suite     string    `json:"suite"`
}

func run(ctx context.Context, o options) error {
	l, err := lab.Open()
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Draw(drawing); err != nil {
		return err
	}
	if o.Binary, err = filepath.Abs(o.Binary); err != nil { // hosts have a working directory of their own
		return err
	}
	dir, err := os.MkdirTemp("", "sallyport-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := prepare(ctx, l, o, dir)
	if err != nil {
		return err
	}
	r := result{CPUs: runtime.NumCPU(), Count: o.Count}
	if o.Count > 0 {
		if err := b.compare(ctx, &r); err != nil {
			return err
		}
	}
	old, err := prepareL2TP(ctx, l, o, filepath.Join(dir, "l2tp"))
	if err != nil {
		return err
	}
	if o.Logins > 0 {
		if r.Logins, err = b.logins(ctx, old); err != nil {
			return err
		}
	}
	if o.Sessions > 0 {
		if r.Memory, err = b.hold(ctx); err != nil {
			return err
		}
	}
	if o.L2TP > 0 {
		if r.L2TP, err = old.hold(ctx); err != nil {
			return err
		}
	}
	return report(r, o)
}

// compare alternates between the gateways, so that a slow minute of the host
// hits both.
func (b *bench) compare(ctx context.Context, r *result) error {
	r.Gateways = []outcome{{Name: "sallyport"}, {Name: "strongswan"}}
	for round := range b.Rounds {
		for i, start := range []func(context.Context) (*running, error){b.startOurs, b.startCharon} {
			g := &r.Gateways[i]
			cpu, report, err := b.measure(ctx, start)
			if err != nil {
				return fmt.Errorf("%s: round %d: %w", g.Name, round+1, err)
			}
			fmt.Fprintf(os.Stderr, "round %d: %-10s %.3f ms CPU a set-up, %.0f set-ups a second\n", round+1, g.Name, cpu, report.PerSecond)
			g.CPU = append(g.CPU, cpu)
			g.PerSecond = append(g.PerSecond, report.PerSecond)
			g.Suite = report.Suite + ", child " + report.Child
		}
	}
	for i := range r.Gateways {
		r.Gateways[i].MedianCPU = median(r.Gateways[i].CPU)
	}
	r.Ratio = r.Gateways[0].MedianCPU / r.Gateways[1].MedianCPU
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func report(r result, o options) error {
	if o.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Printf("IKE set-ups, %d rounds, %d CPUs, medians\n", o.Rounds, r.CPUs)
	for _, g := range r.Gateways {
		fmt.Printf("%-10s  %.3f ms CPU a set-up  %5.0f a second  %s\n", g.Name, g.MedianCPU, median(g.PerSecond), g.Suite)
	}
	if r.Ratio > 0 {
		fmt.Printf("sallyport spends %.2f of strongSwan's CPU a set-up (%d a round, %d at a time)\n", r.Ratio, o.Count, o.Parallel)
	}
	for _, l := range r.Logins {
		l.print()
	}
	r.Memory.print("sessions")
	r.L2TP.print("L2TP sessions")
	return nil
}

// Throughput compares the TCP throughput of tunnels between two network
// namespaces on this machine: ours, wireguard-go, strongSwan's user-space ESP, and the bare link.
//
// Every contestant has its own pair of namespaces joined by a veth pair, and a
// process for each end, as on two machines. The rounds alternate between the
// contestants, so that a slow minute of the host hits all of them; medians and
// ratios are printed. It needs root, iperf3 and strongSwan.
//
// L2TP/IPsec is measured beside IKEv2's tunnel mode, with the same ciphers, and
// beside a Linux client and a Linux server, whose kernels run in user-mode-linux,
// since the machine's own may have neither IPsec nor L2TP.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"sallyport/internal/lab"
	"sallyport/internal/lab/linux"
)

// options of a run.
type options struct {
	Rounds  int
	Seconds int
	Streams int
	Reverse bool
	Only    string
	Profile string
	JSON    bool
	NoGSO   bool
	Verbose bool
}

// main is a guest's first process too.
func main() { linux.Main(program{}) }

type program struct{}

// Run is the program, outside of a guest; see [linux.Main].
func (program) Run() int {
	if err := throughput(); err != nil {
		fmt.Fprintln(os.Stderr, "throughput: error:", err)
		return 1
	}
	return 0
}

func throughput() error {
	if len(os.Args) > 1 && os.Args[1] == "end" {
		return runEnd(os.Args[2:])
	}
	var o options
	flag.IntVar(&o.Rounds, "rounds", 5, "rounds; each runs every contestant once")
	flag.IntVar(&o.Seconds, "seconds", 3, "seconds of traffic per contestant and round")
	flag.IntVar(&o.Streams, "streams", 1, "parallel TCP connections")
	flag.BoolVar(&o.Reverse, "reverse", false, "send from b to a")
	flag.StringVar(&o.Only, "only", "", "contestants, separated by commas (default all)")
	flag.StringVar(&o.Profile, "profile", "", "directory for CPU profiles of our ends")
	flag.BoolVar(&o.JSON, "json", false, "print the result as JSON")
	flag.BoolVar(&o.NoGSO, "no-offload", false, "our planes without segmentation offloads")
	flag.BoolVar(&o.Verbose, "v", false, "print what our ends counted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return bench(ctx, o)
}

// segment is what a full packet of a tunnel's device carries of TCP, in octets:
// without the headers of IPv4 and TCP with timestamps.
const segment = mtu - 20 - 32

// outcome is what one contestant did.
type outcome struct {
	Name       string    `json:"name"`
	Gbits      []float64 `json:"gbits"`
	Median     float64   `json:"median_gbits"`
	CPUPerGbit float64   `json:"cpu_seconds_per_gbit"` // of its own processes, without kernel threads
}

func bench(ctx context.Context, o options) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("needs root: network namespaces and TUN devices")
	}
	var running []*running
	defer func() {
		for _, r := range running {
			r.stop(o.Verbose)
		}
	}()
	for _, c := range contestants {
		if o.Only != "" && !slices.Contains(strings.Split(o.Only, ","), c.name) {
			continue
		}
		if err := lab.Missing(c.needs...); err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", c.name, err)
			continue
		}
		r, err := start(ctx, c, o)
		if r != nil {
			running = append(running, r)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if len(running) == 0 {
		return fmt.Errorf("no contestant is called %q", o.Only)
	}
	outcomes := make([]outcome, len(running))
	for round := range o.Rounds {
		for i, r := range running {
			gbits, err := r.measure(ctx, o)
			if err != nil {
				return fmt.Errorf("%s: round %d: %w", r.name, round+1, err)
			}
			fmt.Fprintf(os.Stderr, "round %d: %-18s %6.2f Gbit/s\n", round+1, r.name, gbits)
			outcomes[i].Name = r.name
			outcomes[i].Gbits = append(outcomes[i].Gbits, gbits)
		}
	}
	for i, r := range running {
		sum := 0.0
		for _, g := range outcomes[i].Gbits {
			sum += g
		}
		outcomes[i].Median = median(outcomes[i].Gbits)
		outcomes[i].CPUPerGbit = r.cpuSeconds() / (sum * float64(o.Seconds))
	}
	return report(outcomes, o)
}

// rivals are whom our contestants are compared with.
var rivals = map[string][]string{
	"sallyport":          {"wireguard-go", "strongswan"},
	"sallyport-l2tp":     {"sallyport", "linux-l2tp"},
	"sallyport-l2tp-cbc": {"sallyport-cbc", "linux-l2tp"},
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

func report(outcomes []outcome, o options) error {
	if o.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(outcomes)
	}
	fmt.Printf("TCP throughput, %d stream(s), %d rounds of %d s, %d CPUs, medians\n", o.Streams, o.Rounds, o.Seconds, runtime.NumCPU())
	base := map[string]float64{}
	for _, c := range outcomes {
		base[c.Name] = c.Median
	}
	for _, c := range outcomes {
		fmt.Printf("%-18s %6.2f Gbit/s (%.2f to %.2f)", c.Name, c.Median, slices.Min(c.Gbits), slices.Max(c.Gbits))
		if c.CPUPerGbit > 0 {
			fmt.Printf("  %6.3f CPU s/Gbit, %.2f us a packet", c.CPUPerGbit, c.CPUPerGbit*segment*8/1e3)
		}
		for _, other := range rivals[c.Name] {
			if base[other] > 0 {
				fmt.Printf("  %5.2f x %s", c.Median/base[other], other)
			}
		}
		fmt.Println()
	}
	return nil
}

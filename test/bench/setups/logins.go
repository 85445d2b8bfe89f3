package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strconv"

	load "sallyport/internal/bench"
)

// login is one way for many clients to come in at the same moment.
type login struct {
	Name      string    `json:"name"`
	PerSecond []float64 `json:"logins_per_second"`
	CPU       []float64 `json:"cpu_ms_per_login"`
	Seconds   []float64 `json:"seconds"`
	Slowest   []float64 `json:"p99_seconds"`
	Repeated  []float64 `json:"requests_sent_again"`
	Failed    int       `json:"failed"`

	start  func(context.Context) (*running, error)
	tls    string     // of EAP-TLS; empty: by certificate in IKE
	l2tp   *l2tpBench // by L2TP/IPsec; nil: by IKEv2
	atOnce int
}

// logins lets b.Logins clients, each with a certificate of its own that the
// gateway has not seen, connect in the same moment and in each way. Beside it
// the cost of a login is compared with charon's, b.Parallel at a time, for
// charon with ESP in user space stalls under more. Its TLS ends at 1.2.
func (b *bench) logins(ctx context.Context, old *l2tpBench) ([]*login, error) {
	all := []*login{
		{Name: "sallyport, certificate", start: b.startOurs, atOnce: b.Logins},
		{Name: "sallyport, EAP-TLS 1.3", start: b.startOurs, tls: "1.3", atOnce: b.Logins},
		{Name: "sallyport, EAP-TLS 1.2", start: b.startOurs, tls: "1.2", atOnce: b.Logins},
		{Name: "sallyport, L2TP, EAP-TLS 1.3", start: old.start, tls: "1.3", l2tp: old, atOnce: b.Logins},
		{Name: "sallyport, L2TP, EAP-TLS 1.2", start: old.start, tls: "1.2", l2tp: old, atOnce: b.Logins},
		{Name: "sallyport, certificate", start: b.startOurs, atOnce: b.Parallel},
		{Name: "charon, certificate", start: b.startCharon, atOnce: b.Parallel},
		{Name: "sallyport, EAP-TLS 1.2", start: b.startOurs, tls: "1.2", atOnce: b.Parallel},
		{Name: "sallyport, L2TP, EAP-TLS 1.3", start: old.start, tls: "1.3", l2tp: old, atOnce: b.Parallel},
		{Name: "sallyport, L2TP, EAP-TLS 1.2", start: old.start, tls: "1.2", l2tp: old, atOnce: b.Parallel},
		{Name: "charon, EAP-TLS 1.2", start: b.startCharonEAP, tls: "1.2", atOnce: b.Parallel},
	}
	for _, l := range all {
		l.Name += fmt.Sprintf(", %d at once", l.atOnce)
	}
	for round := range b.Rounds {
		for _, l := range all {
			if err := b.login(ctx, l); err != nil {
				return nil, fmt.Errorf("%s: round %d: %w", l.Name, round+1, err)
			}
			last := len(l.CPU) - 1
			fmt.Fprintf(os.Stderr, "round %d: %-44s %4.0f logins a second, %.2f ms CPU a login, %.0f requests sent again, %d failed so far\n",
				round+1, l.Name, l.PerSecond[last], l.CPU[last], l.Repeated[last], l.Failed)
		}
	}
	return all, nil
}

// login measures one way once, with a gateway fresh from its start.
func (b *bench) login(ctx context.Context, l *login) error {
	args := []string{"--parallel", strconv.Itoa(l.atOnce)}
	if l.tls != "" {
		args = append(args, "--eap-tls", l.tls)
	}
	cpu, report, err := b.measured(ctx, l.start, func() (load.Report, error) {
		if l.l2tp != nil {
			return l.l2tp.login(ctx, versions[l.tls], l.atOnce)
		}
		return b.generate(ctx, b.clients(), b.Logins, args...)
	})
	if report.Done == 0 {
		return fmt.Errorf("nobody came in: %w", err)
	}
	l.CPU, l.PerSecond = append(l.CPU, cpu), append(l.PerSecond, report.PerSecond)
	l.Seconds, l.Slowest = append(l.Seconds, report.Elapsed.Seconds()), append(l.Slowest, report.P99.Seconds())
	l.Repeated = append(l.Repeated, float64(report.Repeated))
	if l.Failed += report.Failed; report.Failed > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d failed, the last because %s\n", l.Name, report.Failed, report.LastError)
	}
	return nil
}

// versions are those of TLS, as options have them.
var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func (l *login) print() {
	fmt.Printf("%-44s  %4.0f logins a second, all in within %4.1f s (99 of 100 in %4.1f s), %.2f ms CPU a login, %4.0f requests sent again, %d failed\n",
		l.Name, median(l.PerSecond), median(l.Seconds), median(l.Slowest), median(l.CPU), median(l.Repeated), l.Failed)
}

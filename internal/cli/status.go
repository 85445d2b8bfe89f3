package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/gateway"
)

func newReload(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "reload",
		GroupID: groupGateway,
		Short:   "Make the running gateway read its configuration again",
		Long: `The file is read, checked and swapped as a whole. With an error in it nothing
changes. Sessions whose zone or pool is gone are closed, all others stay.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var r gateway.Reloaded
				if err := client.Call(ctx, "POST", "/v1/reload", nil, &r); err != nil {
					return err
				}
				return env.report(c, r, func(w io.Writer) {
					for _, change := range r.Changes {
						fmt.Fprintln(w, change)
					}
					fmt.Fprintf(w, "reloaded: %s, %s closed\n", plural(len(r.Changes), "change"), plural(r.Closed, "session"))
				})
			})
		},
	}
	withConfig(c)
	withJSON(c)
	return c
}

func newStatus(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "status",
		GroupID: groupGateway,
		Short:   "Show the gateway at one look, with the last refusals and why",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var st gateway.Status
				if err := client.Call(ctx, "GET", "/v1/status", nil, &st); err != nil {
					return err
				}
				return env.report(c, st, func(w io.Writer) { env.writeStatus(w, st) })
			})
		},
	}
	withConfig(c)
	withJSON(c)
	return c
}

func (e *Env) writeStatus(w io.Writer, st gateway.Status) {
	running := e.paint(w, red, "not running") + "; start it with: sallyport serve"
	if st.Running {
		running = e.paint(w, green, "running") + " since " + st.Since.Local().Format(time.DateTime)
	}
	fmt.Fprintf(w, "%s: %s\n", st.Name, running)
	fmt.Fprintf(w, "%s, %s (%d revoked), %s\n\n", plural(st.Users, "user"), plural(st.Devices, "device"), st.Revoked, plural(st.Sessions, "session"))
	t := table(w, "ZONE", "POOL", "DEVICES", "SESSIONS", "LEASES")
	for _, z := range st.Zones {
		fmt.Fprintf(t, "%s\t%s %s\t%d\t%d\t%d\n", z.Name, prefixText(z.IPv4), prefixText(z.IPv6), z.Devices, z.Sessions, z.Leases)
	}
	t.Flush()
	for _, z := range st.Zones {
		e.writeL2TP(w, z)
	}
	if len(st.TurnedAway) > 0 {
		fmt.Fprintln(w)
		writeCounts(w, "turned away from L2TP", st.TurnedAway)
	}
	for _, r := range st.RADIUS {
		e.writeRealm(w, r)
	}
	if st.Engine != nil {
		writeCounts(w, "dropped", st.Engine.Dropped)
		writeCounts(w, "errors", st.Engine.Errors)
		if st.Engine.Panics > 0 {
			fmt.Fprintf(w, "\n%s: %d sessions ended in a panic; the log has the stack\n", e.paint(w, red, "panics"), st.Engine.Panics)
		}
	}
	if len(st.Refusals) > 0 {
		fmt.Fprintf(w, "\nLast refusals:\n")
	}
	for _, r := range st.Refusals {
		e.writeRefusal(w, r)
	}
	for _, f := range st.Findings {
		fmt.Fprintf(w, "\n%s: %s\n", e.paint(w, yellow, "audit"), f)
	}
	for _, warning := range st.Warnings {
		fmt.Fprintf(w, "\n%s: %s\n", e.paint(w, yellow, "warning"), warning)
	}
}

// writeL2TP shows what holds an L2TP zone, and what its firewall met.
func (e *Env) writeL2TP(w io.Writer, z gateway.ZoneStatus) {
	if z.L2TP == nil {
		return
	}
	f := z.L2TP.Firewall
	state := e.paint(w, green, "firewall in force")
	if !f.InForce {
		state = e.paint(w, red, "firewall not in force") + ": " + f.Trouble
	}
	end := ""
	if z.L2TP.Cutoff != "" {
		end = fmt.Sprintf(", until %s", z.L2TP.Cutoff)
	}
	fmt.Fprintf(w, "\nL2TP zone %s: %s%s, %s\n", z.Name, plural(z.Sessions, "session"), end, state)
	if len(f.Counts) == 0 {
		return
	}
	t := table(w, "  PACKETS", "OCTETS", "VERDICT", "WHERE", "RULE")
	for _, c := range f.Counts {
		verdict := "passed"
		if c.Drop {
			verdict = "refused"
		}
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\n", c.Packets, octets(c.Bytes), verdict, ways[c.Way], c.Rule)
	}
	t.Flush()
}

// ways are the ways of packets, as a person says it.
var ways = map[string]string{"from": "from clients", "to": "to clients", "host": "to the gateway"}

// writeRealm shows an organisation's RADIUS servers.
func (e *Env) writeRealm(w io.Writer, r gateway.RealmStatus) {
	fmt.Fprintf(w, "\nRADIUS %s:\n", r.Name)
	for _, list := range []struct {
		what    string
		servers []gateway.RADIUSServer
	}{{"logins", r.Servers}, {"accounting", r.Collectors}} {
		for _, s := range list.servers {
			state := "not asked yet"
			switch {
			case s.Dead:
				state = e.paint(w, red, "does not answer") + " since " + s.Since.Local().Format(time.DateTime) + ": " + s.Trouble
			case !s.Heard.IsZero():
				state = e.paint(w, green, "answers") + ", last " + s.Heard.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "  %s: %s %s\n", list.what, s.Name, state)
			writeCounts(w, "    discarded", s.Drops)
		}
	}
	if q := r.Queue; q != nil {
		fmt.Fprintf(w, "  records: %d delivered, %d waiting, %d lost\n", q.Delivered, q.Waiting, q.Lost)
	}
}

// writeRefusal answers "why did it fail" in at most five lines.
func (e *Env) writeRefusal(w io.Writer, r gateway.Refusal) {
	fmt.Fprintf(w, "  %s  %v  %v  %s", r.Last.Local().Format(time.DateTime), r.Remote, r.Client, r.Reason)
	if r.Times > 1 {
		fmt.Fprintf(w, " (%d times)", r.Times)
	}
	fmt.Fprintln(w)
	for _, line := range []struct{ name, text string }{{"peer", r.Peer}, {"nearest", r.Nearest}, {"fix", r.Fix}} {
		if line.text != "" {
			fmt.Fprintf(w, "      %s: %s\n", line.name, line.text)
		}
	}
	for _, d := range r.Difference {
		fmt.Fprintf(w, "      differs: %s\n", d)
	}
	if r.WindowsError != 0 {
		fmt.Fprintf(w, "      Windows shows error %d\n", r.WindowsError)
	}
}

func writeCounts(w io.Writer, name string, counts map[string]uint64) {
	for _, k := range sortedKeys(counts) {
		fmt.Fprintf(w, "%s: %d %s\n", name, counts[k], k)
	}
}

// table starts a table with a header; the caller flushes it.
func table(w io.Writer, header ...string) *tabwriter.Writer {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, h := range header {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, h)
	}
	fmt.Fprintln(t)
	return t
}

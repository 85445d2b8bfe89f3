package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/gateway"
)

func newSessions(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "sessions",
		GroupID: groupGateway,
		Short:   "List and disconnect live sessions",
	}
	asGroup(c)
	c.AddCommand(newSessionsList(env), newSessionsKick(env), newSessionsRekey(env))
	return c
}

func newSessionsList(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List live sessions with what was negotiated",
		Long: `Lists who is connected, by which protocol, and under WAIVERS the rules that the
session breaks by a waiver of its zone or by its policy. A question mark is behind
a rule of which the gateway cannot tell: PPP-017 where a RADIUS server judged the
login, and CRY-010 of an IKEv2 session before its first rekey.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				list := []gateway.SessionInfo{}
				if err := client.Call(ctx, "GET", "/v1/sessions", nil, &list); err != nil {
					return err
				}
				return env.report(c, list, func(w io.Writer) { writeSessions(w, list) })
			})
		},
	}
	withConfig(c)
	withJSON(c)
	return c
}

func writeSessions(w io.Writer, list []gateway.SessionInfo) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no live sessions")
		return
	}
	t := table(w, "ID", "DEVICE", "ZONE", "BY", "FROM", "CLIENT", "INNER", "FOR", "IN", "OUT", "IKE", "ESP", "WAIVERS")
	for _, s := range list {
		var in, out uint64
		esp := "none"
		for _, c := range s.Children {
			in, out = in+c.BytesIn, out+c.BytesOut
			if !c.Replaced {
				esp = c.ESP
			}
		}
		inner := ""
		for _, a := range []string{s.IPv4.String(), s.IPv6.String()} {
			if a != "invalid IP" {
				inner += a + " "
			}
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Device, s.Zone, s.Protocol, s.Remote, s.Client, inner,
			time.Since(s.Since).Round(time.Second), octets(in), octets(out), s.IKE, esp, waiverText(s))
	}
	t.Flush()
}

// waiverText lists rules; a question mark is behind those that cannot be seen.
func waiverText(s gateway.SessionInfo) string {
	words := slices.Clone(s.Waivers)
	for _, rule := range s.WaiversUnknown {
		words = append(words, rule+"?")
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

// octets writes a volume with three digits at most before its unit.
func octets(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for ; f >= unit && i < len("KMGTPE")-1; i++ {
		f /= unit
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTPE"[i])
}

func newSessionsKick(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "kick [ID]",
		Short: "Disconnect a session, a device's or a user's; they may come back",
		Long: `Disconnects one session by its ID, or all of a device or a user. A client may
connect again; to keep it out, revoke it.`,
		Example: "  sallyport sessions kick 17\n  sallyport sessions kick --device laptop",
		Args:    arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var k gateway.Kick
			k.Device, _ = c.Flags().GetString("device")
			k.User, _ = c.Flags().GetString("user")
			if len(args) == 1 {
				id, err := sessionID(args[0])
				if err != nil {
					return err
				}
				k.Session = id
			}
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var r gateway.Kicked
				if err := client.Call(ctx, "POST", "/v1/sessions/kick", k, &r); err != nil {
					return err
				}
				return env.report(c, r, func(w io.Writer) { fmt.Fprintf(w, "%s disconnected\n", plural(r.Cut, "session")) })
			})
		},
	}
	withConfig(c)
	withJSON(c)
	c.Flags().String("device", "", "all sessions of a `DEVICE`")
	c.Flags().String("user", "", "all sessions of a `USER`")
	return c
}

func sessionID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, failure("sallyport sessions list shows them", "%q is no session ID", text)
	}
	return id, nil
}

func newSessionsRekey(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "rekey ID",
		Short: "Replace the keys of a session now, under running traffic",
		Long: `Starts the exchange that gives a session's Child SAs new keys, or, with --ike,
its IKE SA. Both happen by themselves when their time has come.`,
		Example: "  sallyport sessions rekey 17",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := sessionID(args[0])
			if err != nil {
				return err
			}
			r := gateway.Rekey{Session: id}
			r.IKE, _ = c.Flags().GetBool("ike")
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var done gateway.Rekeyed
				if err := client.Call(ctx, "POST", "/v1/sessions/rekey", r, &done); err != nil {
					return err
				}
				return env.report(c, done, func(w io.Writer) { fmt.Fprintf(w, "%s started\n", plural(done.Started, "rekeying")) })
			})
		},
	}
	withConfig(c)
	withJSON(c)
	c.Flags().Bool("ike", false, "the keys of the IKE SA, not those of the traffic")
	return c
}

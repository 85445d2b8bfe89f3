package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/gateway"
)

func newMigrate(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "migrate",
		GroupID: groupGateway,
		Short:   "Move users from L2TP to IKEv2",
	}
	asGroup(c)
	c.AddCommand(newMigratePlan(env), newMigrateImport(env))
	return c
}

func newMigratePlan(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "plan",
		Short: "Tell who still needs L2TP, and what to do next for each",
		Long: `Lists everybody who came by L2TP or may: when they came last, with which client
and by which proof of the machine, whether they are ready for IKEv2, the last day
of their L2TP, and the commands that take them further.

A user is ready who has used IKEv2 or has a device in a zone of IKEv2. A user
needs L2TP no more who has used IKEv2 and for 14 days no L2TP since, or who has
not come by L2TP for 90 days. The gateway records logins while it has a zone of
L2TP: the last one by L2TP to within an hour, that by IKEv2 to within a day. Which
client it is, is a guess from what the client shows.

The exit status is 0 when nobody needs L2TP, 2 when somebody does, and 3 when
somebody does whose last day is over, and who is refused.`,
		Example:     "  sallyport migrate plan\n  sallyport user set alice --l2tp-until 2027-06-30",
		Args:        arguments(0, 0),
		Annotations: map[string]string{judges: fmt.Sprint(ExitFailures)},
		RunE: func(c *cobra.Command, _ []string) error {
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				var p gateway.MigrationPlan
				if err := client.Call(ctx, "GET", "/v1/migration", nil, &p); err != nil {
					return err
				}
				if err := env.report(c, p, func(w io.Writer) { env.writePlan(w, p) }); err != nil {
					return err
				}
				switch {
				case p.Late > 0:
					return silent(ExitFailures)
				case p.Needing > 0:
					return silent(ExitWarnings)
				}
				return nil
			})
		},
	}
	withConfig(c)
	withJSON(c)
	return c
}

func (e *Env) writePlan(w io.Writer, p gateway.MigrationPlan) {
	if len(p.Users) > 0 {
		t := table(w, "USER", "LAST L2TP", "CLIENT", "DEVICE", "MACHINE", "ZONE", "LAST IKEV2", "READY", "UNTIL", "STANDING")
		for _, u := range p.Users {
			uses := u.L2TP
			if len(uses) == 0 {
				uses = []gateway.Use{{}}
			}
			for _, use := range uses {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", personText(u), dayOrNever(use.Last), orDash(use.Client), orDash(use.Device),
					orDash(use.Machine), orDash(use.Zone), dayOrNever(u.IKEv2), yesNo(u.Ready), orDash(string(u.Until)), standingText(u))
			}
		}
		t.Flush()
		fmt.Fprintln(w)
	}
	for _, u := range p.Users {
		writeSteps(w, u)
	}
	fmt.Fprintln(w, planSummary(p))
}

// writeSteps shows what to do about one user, as it can be pasted.
func writeSteps(w io.Writer, u gateway.MigrationUser) {
	if len(u.Next) == 0 {
		return
	}
	fmt.Fprintf(w, "%s:\n", personText(u))
	for _, s := range u.Next {
		switch {
		case s.Command == "":
			fmt.Fprintf(w, "  # %s\n", s.Note)
		case s.Note == "":
			fmt.Fprintf(w, "  %s\n", s.Command)
		default:
			fmt.Fprintf(w, "  %s   # %s\n", s.Command, s.Note)
		}
	}
	fmt.Fprintln(w)
}

// personText names a user; what others chose is quoted where it could mislead.
func personText(u gateway.MigrationUser) string {
	name := u.User
	if quoted := fmt.Sprintf("%+q", name); strings.ContainsAny(name, " ") || quoted != `"`+name+`"` {
		name = quoted
	}
	if u.RADIUS != "" {
		name += " (RADIUS " + u.RADIUS + ")"
	}
	return name
}

var standings = map[string]string{
	gateway.OnL2TP: "needs L2TP", gateway.OnBoth: "uses both", gateway.Moved: "has moved", gateway.Away: "is away", gateway.NeverCame: "never came by L2TP",
}

func standingText(u gateway.MigrationUser) string {
	if u.Late {
		return standings[u.Standing] + ", refused since its last day"
	}
	return standings[u.Standing]
}

func planSummary(p gateway.MigrationPlan) string {
	rest := fmt.Sprintf("%d moved, %d away, %d never came by L2TP", p.Moved, p.Away, p.Unused)
	switch {
	case p.Needing > 0:
		late := ""
		if p.Late > 0 {
			late = fmt.Sprintf(", %d refused since their last day", p.Late)
		}
		return fmt.Sprintf("%s L2TP: %d ready for IKEv2, %d not%s; %s", needing(p.Needing), p.Ready, p.Needing-p.Ready, late, rest)
	case len(p.Zones) == 0:
		return "no zone is reached by L2TP, and nobody needs it"
	}
	var names []string
	for _, z := range p.Zones {
		names = append(names, z.Name)
	}
	return fmt.Sprintf("nobody needs L2TP: %s; when that is all, remove the zones of L2TP: %s", rest, strings.Join(names, ", "))
}

func needing(n int) string {
	if n == 1 {
		return "1 user needs"
	}
	return fmt.Sprintf("%d users need", n)
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func dayOrNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return day(t)
}

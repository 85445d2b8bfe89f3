package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/assure/checklist"
	"sallyport/config"
	"sallyport/gateway"
)

func newChecklist(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "checklist",
		GroupID: groupGateway,
		Short:   "Answer the operator's checklist, C1 to C8, for the running gateway",
		Long: `Goes through the eight items of the operator's checklist, from certificates in
place of pre-shared keys to monitoring, and says of each where the running gateway
stands, by which figures, since when, and what to do:

  ok              what the item asks for is so
  problem         it is not, and nobody answers for that
  not met yet     what it asks for is not there: this version cannot do it, or a
                  waiver, or a legacy zone with a last day, says that it is known
  not assessable  there is nothing to look at, such as a suite without a session

The figures are the gateway's own at this moment: devices and users, live sessions
with their suites, waivers and the age of their keys, certificates and CRLs with
the days they have left, the firewalls of L2TP zones, RADIUS servers, refusals.
The configuration is read, and audited by the default policy.

Each run is kept in checklist.json in the state directory, the last 400 of them,
so that an item can say whether it is better or worse than the time before. Who
may not write there sees no trend.

The exit status is 0 when all items are ok, 2 when one is not met yet, 3 when one
is a problem, 4 when no gateway runs or answers, and 5 when nothing could be
assessed.`,
		Example:     "  sallyport checklist\n  sallyport checklist --all\n  sallyport checklist --json",
		Args:        arguments(0, 0),
		Annotations: map[string]string{judges: fmt.Sprint(ExitNothing)},
		RunE:        func(c *cobra.Command, _ []string) error { return runChecklist(env, c) },
	}
	withConfig(c)
	withJSON(c)
	c.Flags().Bool("all", false, "show the figures of what is ok, too")
	return c
}

// checklistReport is the answer of checklist.
type checklistReport struct {
	Name    string             `json:"name"`
	Version string             `json:"version"`
	At      time.Time          `json:"at"`
	Before  time.Time          `json:"before,omitzero"` // the run that trends are told against
	Worst   checklist.Standing `json:"standing"`
	Items   []checklist.Item   `json:"items"`
}

func runChecklist(env *Env, c *cobra.Command) error {
	file, _ := c.Flags().GetString("config")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return failure("make one with: "+withFile("sallyport init --name vpn.example.org", file), "there is no configuration at %s", file)
	}
	cfg, err := loadConfig(env, c)
	if err != nil {
		return err
	}
	seen, err := lookAt(c.Context(), cfg, file, env.Now())
	if err != nil {
		return err
	}
	r := checklistReport{Name: seen.Status.Name, Version: seen.Status.Version, At: env.Now().UTC(), Items: checklist.Judge(seen)}
	if file != defaultConfig {
		nameFile(r.Items, file)
	}
	r.Before = keepHistory(env, cfg.Gateway.State, r.Items)
	r.Worst = checklist.Worst(r.Items)
	all, _ := c.Flags().GetBool("all")
	if err := env.report(c, r, func(w io.Writer) { env.writeChecklist(w, r, all) }); err != nil {
		return err
	}
	return checklistVerdict(r.Worst)
}

// nameFile makes commands fit for a configuration that is not where it usually
// is.
func nameFile(items []checklist.Item, file string) {
	for _, it := range items {
		for _, f := range it.Facts {
			for i, do := range f.Do {
				if strings.HasPrefix(do, "sallyport ") && do != "sallyport audit" {
					f.Do[i] = withFile(do, file)
				}
			}
		}
	}
}

// withFile is a command for a configuration, as it can be pasted.
func withFile(command, file string) string {
	if file == defaultConfig {
		return command
	}
	return onPaths(command+" --config", []string{file})
}

// lookAt asks the gateway that serves; a state on disk cannot answer for one.
func lookAt(ctx context.Context, cfg *config.Config, file string, now time.Time) (*checklist.Seen, error) {
	client, running := gateway.Dial(cfg.Gateway.Control.Socket)
	if !running {
		return nil, &Error{Err: fmt.Errorf("no gateway serves %s", cfg.Gateway.Control.Socket),
			Hint: "start it with: " + withFile("sallyport serve", file) + "; if it runs, ask as root; its files alone are judged by: " + onPaths("sallyport audit", []string{file}), Code: ExitUnreadable}
	}
	defer client.Close()
	if err := sameState(ctx, client, cfg); err != nil {
		return nil, err
	}
	seen, err := checklist.Look(ctx, client, cfg, file, now)
	if err != nil {
		return nil, &Error{Err: fmt.Errorf("the gateway does not answer: %w", err), Hint: "look into its log", Code: ExitUnreadable}
	}
	return seen, nil
}

// keepHistory gives the items their trend, and enters this run. It returns when
// the run before was. A history that cannot be kept is no fault of the gateway.
func keepHistory(env *Env, state string, items []checklist.Item) (before time.Time) {
	h, err := checklist.ReadHistory(state)
	if err != nil {
		env.Warn("the trend begins anew: "+err.Error(), "")
	}
	if n := len(h.Runs); n > 0 {
		before = h.Runs[n-1].At
	}
	h.Add(items, env.Now())
	if errors.Is(err, fs.ErrPermission) {
		return before // what may not be read must not be replaced
	}
	if err := h.Write(state); err != nil {
		env.Warn("this run is not kept for the trend: "+err.Error(), "run it as the gateway's user")
	}
	return before
}

// checklistVerdict is the exit code of the worst item.
func checklistVerdict(worst checklist.Standing) error {
	switch worst {
	case checklist.Problem:
		return silent(ExitFailures)
	case checklist.NotMet:
		return silent(ExitWarnings)
	case checklist.Unassessable:
		return silent(ExitNothing)
	}
	return nil
}

var standingColours = map[checklist.Standing]colour{checklist.OK: green, checklist.NotMet: yellow, checklist.Problem: red, checklist.Unassessable: bold}

func (e *Env) writeChecklist(w io.Writer, r checklistReport, all bool) {
	fmt.Fprintf(w, "%s, %s\n", r.Name, r.At.Local().Format(time.DateTime))
	counts := map[checklist.Standing]int{}
	for _, it := range r.Items {
		counts[it.Standing]++
		fmt.Fprintf(w, "\n%s  %s  %s%s\n", it.ID, e.paint(w, standingColours[it.Standing], fmt.Sprintf("%-14s", it.Standing)), it.Title, trendText(it))
		for _, f := range it.Facts {
			if all || f.Standing != checklist.OK {
				e.writeFact(w, f)
			}
		}
	}
	fmt.Fprintf(w, "\n%d ok, %d not met yet, %d with a problem, %d not assessable%s\n", counts[checklist.OK], counts[checklist.NotMet],
		counts[checklist.Problem], counts[checklist.Unassessable], sinceText(r.Before))
}

func (e *Env) writeFact(w io.Writer, f checklist.Fact) {
	mark := map[checklist.Standing]string{checklist.OK: "+", checklist.NotMet: "-", checklist.Problem: "!", checklist.Unassessable: "?"}[f.Standing]
	fmt.Fprintf(w, "    %s %s: %s\n", e.paint(w, standingColours[f.Standing], mark), f.What, f.Value)
	for _, do := range f.Do {
		for i, line := range strings.Split(do, "\n") {
			if i == 0 {
				fmt.Fprintf(w, "        do: %s\n", line)
			} else {
				fmt.Fprintf(w, "            %s\n", line)
			}
		}
	}
}

// trendText says what became of an item since the run before.
func trendText(it checklist.Item) string {
	switch it.Trend {
	case checklist.Better, checklist.Worse:
		return fmt.Sprintf(" (%s than the time before, so since %s)", it.Trend, it.Since.Local().Format(time.DateOnly))
	case checklist.Same:
		return fmt.Sprintf(" (so since %s)", it.Since.Local().Format(time.DateOnly))
	}
	return ""
}

func sinceText(before time.Time) string {
	if before.IsZero() {
		return ""
	}
	return "; compared with " + before.Local().Format(time.DateTime)
}

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/config"
	"sallyport/internal/file"
	"sallyport/posture/load"
)

// ruleIDs are the ids of the catalogue.
func ruleIDs() []string {
	var ids []string
	for _, r := range audit.Rules() {
		ids = append(ids, r.ID)
	}
	return ids
}

// readPolicy finds a built-in policy, or reads a file. Before is what stands
// before the name on the command line.
func readPolicy(before, name string) (*policy.Policy, error) {
	if p, ok := policy.Named(name); ok {
		return p, nil
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, failure(didYouMean(before, name, policy.Names()), "there is no policy %q, and no such file", name)
	}
	b, err := readNamed("policy", name)
	if err != nil {
		return nil, err
	}
	p, found := policy.Parse(name, b, ruleIDs())
	if p == nil {
		return nil, &configError{found}
	}
	return p, nil
}

// mostNamed bounds what is read of a policy, of waivers and of a key, in octets;
// they are written by hand.
const mostNamed = 4 << 20

// readNamed reads a file that the command line names.
func readNamed(what, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, failure("name a file that you may read", "the %s %s cannot be read: %v", what, name, bare(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostNamed+1))
	if err == nil && len(b) > mostNamed {
		err = fmt.Errorf("it has more than %d MiB", mostNamed>>20)
	}
	if err != nil {
		return nil, failure("name a file that you may read", "the %s %s cannot be read: %v", what, name, bare(err))
	}
	return b, nil
}

// readWaivers reads the file of --waivers, and is loud about those that ended.
func readWaivers(env *Env, name string) ([]audit.Waiver, error) {
	if name == "" {
		return nil, nil
	}
	b, err := readNamed("file of waivers", name)
	if err != nil {
		return nil, err
	}
	all, found := policy.ParseWaivers(name, b, ruleIDs(), env.Now())
	if err := found.Err(); err != nil {
		return nil, &configError{found}
	}
	for _, w := range all {
		if w.Expired(env.Now()) {
			env.Warn(fmt.Sprintf("the waiver of %s for %q ended on %s; %s answers for it", w.Rule, w.Subject, day(w.Expires), w.Owner), "repair what it was for, or decide anew and write another day")
		}
	}
	return all, nil
}

// warnOfIdle says which waivers no finding needs: what they were for is repaired,
// or they name something else than was meant.
func warnOfIdle(env *Env, waivers []audit.Waiver, results []audit.Result) {
	for i := range waivers {
		w := &waivers[i]
		if !slices.ContainsFunc(results, func(r audit.Result) bool {
			return r.Outcome == audit.Found && w.Covers(r.Rule.ID, r.Host, r.Subject.Name)
		}) {
			env.Warn(fmt.Sprintf("no finding needs the waiver of %s for %q", w.Rule, w.Subject), "remove it, or write the subject and the host as the report does")
		}
	}
}

func newAuditPolicy(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "List, show, make and check the policies that audits judge by",
		Long: `A policy is what rules are measured by: severities, bounds and lists of
algorithms. The built-in ones carry a standard's name only for what it says; each
value is marked as read in the text, second-hand, or our own. A policy of your own
is a YAML file of the same form.`,
	}
	asGroup(c)
	c.AddCommand(newPolicyList(env), newPolicyShow(env), newPolicyMake(env), newPolicyCheck(env))
	return c
}

// policyLine is a policy in the list.
type policyLine struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Title      string `json:"title"`
	Basis      string `json:"basis,omitempty"`
	Values     int    `json:"values"`
	SecondHand int    `json:"second_hand"`
}

func newPolicyList(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the built-in policies",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var all []policyLine
			for _, name := range policy.Names() {
				p, _ := policy.Named(name)
				second, values := p.SecondHand()
				all = append(all, policyLine{p.Name, p.Version, p.Title, p.Basis, values, second})
			}
			return env.report(c, all, func(w io.Writer) {
				for _, p := range all {
					fmt.Fprintf(w, "%-14s %s  %s\n", p.Name, p.Version, p.Title)
				}
			})
		},
	}
	withJSON(c)
	return c
}

// policyDocument is a policy with all its values.
type policyDocument struct {
	policyLine
	Lines []policy.Line `json:"lines"`
}

func newPolicyShow(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "show POLICY",
		Short:   "Show a policy's values, and what backs each",
		Example: "  sallyport audit policy show cnsa1",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := readPolicy("sallyport audit policy show ", args[0])
			if err != nil {
				return err
			}
			second, values := p.SecondHand()
			d := policyDocument{policyLine{p.Name, p.Version, p.Title, p.Basis, values, second}, p.Lines()}
			return env.report(c, d, func(w io.Writer) { d.write(w) })
		},
	}
	withJSON(c)
	return c
}

func (d policyDocument) write(w io.Writer) {
	fmt.Fprintf(w, "%s, version %s: %s\n", d.Name, d.Version, d.Title)
	if d.Basis != "" {
		fmt.Fprintf(w, "of %s; %d of %d values second-hand\n", d.Basis, d.SecondHand, d.Values)
	}
	fmt.Fprintln(w)
	t := table(w, "KEY", "CHECKED", "CLAUSE", "VALUE")
	for _, l := range d.Lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Key, l.Checked, orDash(l.Clause), orDash(l.Value))
	}
	t.Flush()
	fmt.Fprintln(w, "\nwhat it does not name is as in the policy \"default\" and in the rules themselves")
}

func newPolicyMake(env *Env) *cobra.Command {
	var name, output string
	c := &cobra.Command{
		Use:   "make PATH...",
		Short: "Make a policy of what hosts use today, to notice when that changes",
		Long: `Reads hosts as audit does, and writes a policy that allows the algorithms and
lives that they have and no others. Judged by it later, the same hosts show what
came in since. Broken algorithms stay findings, whoever uses them.`,
		Example: "  sallyport audit policy make --name ours --output ours.yaml /etc/swanctl\n  sallyport audit --policy ours.yaml /etc/swanctl",
		Args:    arguments(1, 100),
		RunE: func(_ *cobra.Command, args []string) error {
			var seen policy.Seen
			progress := env.progress()
			defer progress.end()
			for _, p := range args {
				progress.at("reading %s", p)
				if err := addSeen(&seen, p); err != nil {
					return err
				}
			}
			progress.end()
			if seen.Connections() == 0 {
				return &Error{Err: fmt.Errorf("no IKE connection was found in %s", strings.Join(args, ", ")), Hint: "name what sallyport audit reads", Code: ExitNothing}
			}
			b := seen.Policy(name, env.Now())
			if p, found := policy.Parse(name, b, ruleIDs()); p == nil {
				return &configError{found}
			}
			if output == "" {
				_, err := env.Stdout.Write(b)
				return err
			}
			if err := file.Create(output, b, file.Public); errors.Is(err, fs.ErrExist) {
				return failure("move it away, or choose another name with --output", "%s is there already, and is not overwritten", output)
			} else if err != nil {
				return failure("choose another place with --output", "%s cannot be written: %v", output, cause(err))
			}
			env.Say("%s says what %s used today; judge by it: %s", output, plural(seen.Connections(), "connection"), onPaths("sallyport audit --policy "+shellWord(output), args))
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "ours", "`NAME` of the policy")
	c.Flags().StringVar(&output, "output", "", "write it to `FILE`, which must not exist")
	return c
}

func addSeen(seen *policy.Seen, path string) error {
	t, err := openTarget(path)
	if err != nil {
		return err
	}
	defer t.Close()
	for h := range load.Hosts(t, load.Options{}) {
		seen.Add(h)
	}
	return nil
}

func newPolicyCheck(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a policy of your own",
		Args:  arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := readNamed("policy", args[0])
			if err != nil {
				return err
			}
			p, found := policy.Parse(args[0], b, ruleIDs())
			if p == nil {
				return &configError{found}
			}
			_, values := p.SecondHand()
			fmt.Fprintf(env.Stdout, "%s can be used: policy %s of %s, %s\n", args[0], p.Name, p.Version, plural(values, "value"))
			return nil
		},
	}
}

// ruleLine is a rule of the catalogue, as it is listed.
type ruleLine struct {
	ID       string            `json:"rule"`
	Title    string            `json:"title"`
	Severity audit.Severity    `json:"severity"`
	Risk     string            `json:"risk"`
	Needs    string            `json:"needs"`
	Why      string            `json:"why"`
	Refs     []string          `json:"refs"`
	Fix      map[string]string `json:"fix"`
}

func newAuditRules(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:     "rules [RULE...]",
		Short:   "List the rules, or explain some: why, what to write, where it is said",
		Example: "  sallyport audit rules\n  sallyport audit rules PPP-006",
		Args:    arguments(0, 200),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return ruleIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			lines := []ruleLine{}
			for i, id := range args {
				id = strings.ToUpper(id)
				args[i] = id
				if _, ok := audit.ByID(id); !ok {
					return failure(ruleHint(id), "there is no rule %q", id)
				}
			}
			for _, r := range audit.Rules() {
				if len(args) == 0 || slices.Contains(args, r.ID) {
					lines = append(lines, lineOf(&r))
				}
			}
			return env.report(c, lines, func(w io.Writer) {
				for _, l := range lines {
					if len(args) == 0 {
						fmt.Fprintf(w, "%-8s  %-8s  %s\n", l.ID, l.Severity, l.Title)
						continue
					}
					l.explain(w)
				}
			})
		},
	}
	withJSON(c)
	return c
}

func ruleHint(written string) string {
	if near := config.Nearest(written, ruleIDs()); near != "" {
		return "did you mean " + near + "?"
	}
	return "sallyport audit rules lists them"
}

func lineOf(r *audit.Rule) ruleLine {
	l := ruleLine{ID: r.ID, Title: r.Title, Severity: r.Severity, Risk: r.Risk, Needs: string(r.Needs), Why: r.Why, Refs: r.Refs, Fix: map[string]string{}}
	for d, text := range r.Fix {
		l.Fix[string(d)] = text
	}
	return l
}

func (l ruleLine) explain(w io.Writer) {
	fmt.Fprintf(w, "%s  %s, %s\n%s\n\n%s\n\n", l.ID, l.Severity, l.Risk, l.Title, l.Why)
	if l.Needs != string(audit.Config) {
		fmt.Fprintf(w, "Configuration cannot tell: it takes a %s. An audit lists it as not looked at, which is no finding.\n\n", l.Needs)
	}
	var dialects []string
	for d := range l.Fix {
		dialects = append(dialects, d)
	}
	slices.Sort(dialects)
	for _, d := range dialects {
		fmt.Fprintf(w, "%s:\n  %s\n", d, strings.ReplaceAll(l.Fix[d], "\n", "\n  "))
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(l.Refs, "; "))
}

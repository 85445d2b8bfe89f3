package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/gateway"
	"sallyport/internal/people"
)

// importReport is the answer of user import.
type importReport struct {
	DryRun  bool         `json:"dry_run"`
	Added   []string     `json:"added"`
	Updated []string     `json:"updated"`
	Skipped []string     `json:"skipped"` // they exist
	Refused []importLine `json:"refused"`
}

// importLine is a line of the file that was not taken.
type importLine struct {
	Line   int    `json:"line"`
	User   string `json:"user"`
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}

func newUserImport(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "import FILE --format FORMAT",
		Short: "Add many users from a list",
		Long: `Reads users and passwords from CSV or from pppd's chap-secrets. Everything is
judged before anything is written: one line that cannot be taken, and nothing
changes. Users who exist are skipped, or with --update get what the list says of
them; what it leaves empty stays as it is.

CSV has a header with user and any of password, password_hash ($argon2id$ or
$nt$), zone, groups and address; groups and addresses are separated by spaces.
The file is UTF-8.`,
		Example: "  sallyport user import people.csv --format csv --dry-run\n  sallyport user import /etc/ppp/chap-secrets --format chap-secrets",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			format, _ := c.Flags().GetString("format")
			in := gateway.Import{}
			in.Update, _ = c.Flags().GetBool("update")
			in.DryRun, _ = c.Flags().GetBool("dry-run")
			weak, _ := c.Flags().GetBool("allow-weak")
			all, err := readPeople(args[0], format)
			if err != nil {
				return err
			}
			return withControl(env, c, func(ctx context.Context, client *gateway.Client) error {
				r, err := importPeople(ctx, env, client, all, in, weak)
				if err != nil {
					return err
				}
				if err := env.report(c, r, func(w io.Writer) { r.write(w, args[0]) }); err != nil {
					return err
				}
				switch {
				case len(r.Refused) > 0 && !r.DryRun && len(r.Added)+len(r.Updated) > 0: // somebody else wrote between judging and adding
					return failure("correct them and import the file again: who is in is skipped", "%s cannot be taken; the others are in", plural(len(r.Refused), "line"))
				case len(r.Refused) > 0:
					return failure("correct the lines, or see what would happen with --dry-run", "%s cannot be taken; nothing was changed", plural(len(r.Refused), "line"))
				}
				return nil
			})
		},
	}
	withConfig(c)
	withJSON(c)
	c.Flags().String("format", "", "`FORMAT` of the file: "+strings.Join(people.Formats, " or "))
	c.Flags().Bool("dry-run", false, "say what would happen, and change nothing")
	c.Flags().Bool("update", false, "give users who exist what the list says")
	c.Flags().Bool("allow-weak", false, "take passwords that would be guessed; better make new ones")
	return c
}

func readPeople(path, format string) ([]people.Entry, error) {
	if !slices.Contains(people.Formats, format) {
		return nil, failure("use --format "+strings.Join(people.Formats, " or --format "), "%q is no format of a list of users", format)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, failure("", "%v", err)
	}
	defer f.Close()
	all, err := people.Read(format, f)
	if fault, ok := errors.AsType[*people.LineError](err); ok {
		return nil, failure(fault.Hint, "%s:%d: %s", path, fault.Line, fault.What)
	}
	if err != nil {
		return nil, failure("", "%s: %v", path, err)
	}
	if len(all) == 0 {
		return nil, failure("", "%s holds no users", path)
	}
	return all, nil
}

// importPeople judges all, and writes if all can be taken.
func importPeople(ctx context.Context, env *Env, client *gateway.Client, all []people.Entry, in gateway.Import, weak bool) (importReport, error) {
	r := importReport{DryRun: in.DryRun, Added: []string{}, Updated: []string{}, Skipped: []string{}, Refused: twice(all, weak)}
	dry := in
	dry.DryRun = true
	if err := r.send(ctx, env, client, all, dry, weak, "judging"); err != nil || len(r.Refused) > 0 || in.DryRun {
		if len(r.Refused) > 0 && !in.DryRun {
			r.Added, r.Updated = []string{}, []string{}
		}
		return r, err
	}
	r.Added, r.Updated, r.Skipped = []string{}, []string{}, []string{}
	return r, r.send(ctx, env, client, all, in, weak, "adding")
}

// twice finds names, addresses and passwords that stand in a list more than
// once.
func twice(all []people.Entry, weak bool) []importLine {
	faults := []importLine{}
	names, secrets, inner := map[string]int{}, map[string]int{}, map[netip.Addr]int{}
	for _, e := range all {
		for _, a := range e.Inner {
			if first, ok := inner[a]; ok {
				faults = append(faults, importLine{e.Line, e.Name, fmt.Sprintf("the address %v is in line %d already", a, first), ""})
			} else {
				inner[a] = e.Line
			}
		}
		if first, ok := names[e.Name]; ok {
			faults = append(faults, importLine{e.Line, e.Name, fmt.Sprintf("the user is in line %d already", first), ""})
		} else {
			names[e.Name] = e.Line
		}
		if e.Secret == "" || weak {
			continue
		}
		if first, ok := secrets[e.Secret]; ok {
			faults = append(faults, importLine{e.Line, e.Name, fmt.Sprintf("the password is that of line %d", first), "give each user one of their own"})
		} else {
			secrets[e.Secret] = e.Line
		}
	}
	return faults
}

// What the control API takes in one request: so many users, and in octets less
// than its limit of 64 KiB, for what stands around them.
const (
	inOneRequest     = 100
	octetsInARequest = 60 << 10
)

// nextRequest is as much of a list as fits into one request; a user who is too
// much alone is sent, and refused.
func nextRequest(all []people.Entry, weak bool) (users []gateway.NewUser) {
	size := 0
	for _, e := range all[:min(len(all), inOneRequest)] {
		u := gateway.NewUser{Name: e.Name, Password: e.Secret, PasswordHash: e.Hash, Zone: e.Zone, Groups: e.Groups, Inner: e.Inner, AllowWeak: weak}
		text, _ := json.Marshal(u) // strings and addresses, which cannot fail
		if size += len(text) + 1; size > octetsInARequest && len(users) > 0 {
			break
		}
		users = append(users, u)
	}
	return users
}

// send goes through the list, a request at a time.
func (r *importReport) send(ctx context.Context, env *Env, client *gateway.Client, all []people.Entry, in gateway.Import, weak bool, doing string) error {
	begun, told := time.Now(), time.Now()
	for done := 0; done < len(all); {
		in.Users = nextRequest(all[done:], weak)
		var got gateway.Imported
		if err := client.Call(ctx, "POST", "/v1/users/import", in, &got); err != nil {
			return err
		}
		for i, result := range got.Results {
			r.take(all[done+i], result)
		}
		done += len(in.Users)
		if time.Since(begun) > 2*time.Second && time.Since(told) > time.Second {
			told = time.Now()
			env.Say("%s: %d of %d users", doing, done, len(all))
		}
	}
	return nil
}

func (r *importReport) take(e people.Entry, result gateway.ImportResult) {
	switch result.Outcome {
	case gateway.ImportAdded:
		r.Added = append(r.Added, e.Name)
	case gateway.ImportUpdated:
		r.Updated = append(r.Updated, e.Name)
	case gateway.ImportSkipped:
		r.Skipped = append(r.Skipped, e.Name)
	default:
		r.Refused = append(r.Refused, importLine{e.Line, e.Name, result.Reason, result.Hint})
	}
}

func (r importReport) write(w io.Writer, path string) {
	for _, l := range r.Refused {
		fmt.Fprintf(w, "%s:%d: %q: %s\n", path, l.Line, l.User, l.Reason)
		if l.Hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", l.Hint)
		}
	}
	if len(r.Refused) > 0 && (r.DryRun || len(r.Added)+len(r.Updated) == 0) {
		return
	}
	would := ""
	if r.DryRun {
		would = "would be "
	}
	fmt.Fprintf(w, "%s %sadded, %d %supdated, %d skipped because they exist\n", plural(len(r.Added), "user"), would, len(r.Updated), would, len(r.Skipped))
	if !r.DryRun && len(r.Added) > 0 {
		fmt.Fprintf(w, "\nNext, for each user:\n  sallyport user profile %s --for windows   # or macos, ios, android, ...\n", r.Added[0])
	}
}

package cli

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/assure/vulndb"
)

// vulndbFlags say which data about flaws is used.
type vulndbFlags struct {
	file string
	key  string
}

func (o *vulndbFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.file, "vulndb", "", "use the data about flaws in `FILE`, signed by FILE.sig, and not what comes with the program")
	o.addKey(f)
}

func (o *vulndbFlags) addKey(f *pflag.FlagSet) {
	f.StringVar(&o.key, "vulndb-key", "", "take the data if it is signed with the Ed25519 key whose public half is in `FILE`, as PEM")
}

// data is what the flags name.
func (o *vulndbFlags) data() (*vulndb.Data, error) {
	if o.file == "" {
		if o.key != "" {
			return nil, failure("name the data with --vulndb", "--vulndb-key is for data in a file, and none is named")
		}
		return vulndb.Load(), nil
	}
	if o.key == "" {
		return nil, failure("name the public key with --vulndb-key; docs/vulnerability-data.md says how data is signed", "data about flaws in a file is taken only with a signature")
	}
	key, err := readPublicKey(o.key)
	if err != nil {
		return nil, err
	}
	d, err := vulndb.LoadFile(o.file, o.file+".sig", key)
	switch {
	case errors.Is(err, vulndb.ErrSignature):
		return nil, failure("sign the file again after every change", "%v", err)
	case err != nil:
		return nil, &Error{Err: err, Hint: "the data is FILE, and the signature is FILE.sig beside it", Code: ExitUnreadable}
	}
	return d, nil
}

func readPublicKey(file string) (ed25519.PublicKey, error) {
	text, err := readNamed("public key", file)
	if err != nil {
		return nil, err
	}
	key, err := vulndb.PublicKey(text)
	if err != nil {
		return nil, failure("openssl pkey -in key.pem -pubout writes one", "%s: %v", file, err)
	}
	return key, nil
}

func newAuditVulndb(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "vulndb",
		Short: "Show and check the data about known flaws",
		Long: `An audit compares packages and firmware with data about known flaws, which
comes with the program and has a date. Newer data is a file that is signed.`,
	}
	asGroup(c)
	c.AddCommand(newVulndbShow(env), newVulndbVerify(env))
	return c
}

// vulndbSummary is what there is to say of an edition without its records.
type vulndbSummary struct {
	Date       vulndb.Date    `json:"date"`
	AgeDays    int            `json:"age_days"`
	Records    int            `json:"records"`
	Exploited  int            `json:"exploited"`
	Unchecked  int            `json:"unchecked"` // confidence low
	Components map[string]int `json:"components"`
}

func summary(d *vulndb.Data, now time.Time) vulndbSummary {
	s := vulndbSummary{Date: d.Date, AgeDays: int(d.Age(now) / (24 * time.Hour)), Records: len(d.Records), Components: map[string]int{}}
	for i := range d.Records {
		r := &d.Records[i]
		s.Components[r.Component]++
		if r.KEV {
			s.Exploited++
		}
		if r.Confidence == "low" {
			s.Unchecked++
		}
	}
	return s
}

func (s vulndbSummary) write(w io.Writer) {
	fmt.Fprintf(w, "data of %s, %s old: %s, %d of them known to be exploited, %d with a range that was not checked\n", s.Date, plural(s.AgeDays, "day"), plural(s.Records, "record"), s.Exploited, s.Unchecked)
}

// vulndbReport is the answer of vulndb show.
type vulndbReport struct {
	vulndbSummary
	List []vulndb.Record `json:"list"`
}

func newVulndbShow(env *Env) *cobra.Command {
	var o vulndbFlags
	c := &cobra.Command{
		Use:   "show",
		Short: "List what is known of flaws",
		Long: `Lists every record: the flaw, the component, how bad it is, in which versions it
is, and what it does. "exploited" is what CISA lists as such; "?" is a range that
was not checked against the advisory.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := o.data()
			if err != nil {
				return err
			}
			r := vulndbReport{summary(d, env.Now()), d.Records}
			return env.report(c, r, r.write)
		},
	}
	o.add(c.Flags())
	withJSON(c)
	return c
}

func (r vulndbReport) write(w io.Writer) {
	r.vulndbSummary.write(w)
	for i := range r.List {
		x := &r.List[i]
		var marks []string
		if x.KEV {
			marks = append(marks, "exploited")
		}
		if x.Confidence == "low" {
			marks = append(marks, "?")
		}
		fmt.Fprintf(w, "%-15s %-25s %-8s %-11s %s\n%16s%s\n", x.ID, x.Component, x.Severity, strings.Join(marks, " "), versions(x), "", x.Summary)
	}
}

// versions are the affected ones in words.
func versions(r *vulndb.Record) string {
	var words []string
	for _, x := range r.Ranges {
		words = append(words, x.String())
	}
	if len(words) == 0 {
		return "versions: see " + r.Source
	}
	return strings.Join(words, ", ")
}

func newVulndbVerify(env *Env) *cobra.Command {
	var o vulndbFlags
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check the signature and the form of data before it is used",
		Long: `Checks FILE against the signature in FILE.sig, and reads it as an audit would
with --vulndb FILE.`,
		Example: `  sallyport audit vulndb verify --vulndb-key ours.pem data.json`,
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			o.file = args[0]
			d, err := o.data()
			if err != nil {
				return err
			}
			s := summary(d, env.Now())
			return env.report(c, s, func(w io.Writer) {
				fmt.Fprintf(w, "%s is signed and can be used: ", o.file)
				s.write(w)
			})
		},
	}
	o.addKey(c.Flags())
	withJSON(c)
	return c
}

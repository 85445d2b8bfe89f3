package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/config"
)

func newMan(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Hidden: true, // for packagers and for this repository's docs/man
		Short:  "Write the man pages into a directory",
		Args:   arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			pages := manPages(c.Root())
			for name, text := range pages {
				if err := os.WriteFile(filepath.Join(args[0], name), text, 0o644); err != nil {
					return err
				}
			}
			env.Say("%s written to %q", plural(len(pages), "page"), args[0])
			return nil
		},
	}
}

// manPages makes one page per verb, sallyport-VERB(1), and the page of the
// configuration file, sallyport.yaml(5). The same commands give the same
// octets: there is no date in them.
func manPages(root *cobra.Command) map[string][]byte {
	pages := map[string][]byte{"sallyport.yaml.5": configPage()}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		pages[pageName(c)+".1"] = commandPage(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return pages
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page is a man page in the making, in the macros of man(7).
type page struct{ bytes.Buffer }

func newPage(name string, section int, short string) *page {
	p := new(page)
	fmt.Fprintf(p, ".TH %s %d \"\" Sallyport\n", quoteMacro(strings.ToUpper(name)), section)
	p.section("NAME")
	p.text(name + " \\- " + escape(short))
	return p
}

func (p *page) section(name string) { fmt.Fprintf(p, ".SH %s\n", quoteMacro(name)) }

// text writes escaped text; a line that begins with a dot or a quote would be
// taken for a macro.
func (p *page) text(s string) {
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		switch {
		case line == "":
			p.WriteString(".PP\n")
			continue
		case strings.HasPrefix(line, "."), strings.HasPrefix(line, "'"):
			p.WriteString(`\&`)
		}
		p.WriteString(line + "\n")
	}
}

// entry is a term and what it means.
func (p *page) entry(term, meaning string) {
	fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n", term)
	p.text(meaning)
}

// verbatim is text whose lines stay as they are.
func (p *page) verbatim(s string) {
	p.WriteString(".PP\n.nf\n")
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		p.WriteString(`\&` + escape(line) + "\n")
	}
	p.WriteString(".fi\n")
}

// escape keeps backslashes and hyphens as they are written, so that options
// can be copied from the page.
func escape(s string) string { return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s) }

func quoteMacro(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\(dq`) + `"` }

func commandPage(c *cobra.Command) []byte {
	p := newPage(pageName(c), 1, c.Short)
	p.section("SYNOPSIS")
	p.text("\\fB" + escape(c.CommandPath()) + "\\fR" + escape(strings.TrimPrefix(c.UseLine(), c.CommandPath())))
	if c.Long != "" {
		p.section("DESCRIPTION")
		p.text(escape(c.Long))
	}
	writeVerbs(p, c)
	writeFlags(p, c)
	if c.Example != "" {
		p.section("EXAMPLES")
		p.verbatim(c.Example)
	}
	writeExitStatus(p, c)
	p.section("SEE ALSO")
	p.text(seeAlso(c))
	return p.Bytes()
}

func writeVerbs(p *page, c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	p.section("VERBS")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			p.entry(escape(strings.TrimSpace(sub.Use)), escape(sub.Short)+".")
		}
	}
}

func writeFlags(p *page, c *cobra.Command) {
	c.InitDefaultHelpFlag()
	p.section("OPTIONS")
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, meaning := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if value != "" {
			term += " " + value
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
			meaning += " (default " + f.DefValue + ")"
		}
		p.entry(escape(term), escape(meaning)+".")
	})
}

// exitCodes are the codes of a verb that says nothing else about them.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{ExitOK, "the verb did its work"},
	{ExitError, "wrong usage, wrong configuration, or the work could not be done; stderr says what to do"},
}

// judgingCodes are the further codes of verbs that judge something.
var judgingCodes = []struct {
	code    int
	meaning string
}{
	{ExitWarnings, "what was judged has warnings"},
	{ExitFailures, "what was judged has failures"},
	{ExitUnreadable, "the target or the input could not be read"},
	{ExitNothing, "nothing was there to be judged"},
}

// judges marks, as an annotation, a verb that judges something. Its value is the
// greatest exit code of the verb.
const judges = "judges"

func writeExitStatus(p *page, c *cobra.Command) {
	codes := exitCodes
	if most, err := strconv.Atoi(c.Annotations[judges]); err == nil {
		codes = slices.Concat(exitCodes, judgingCodes[:most-ExitError])
	}
	p.section("EXIT STATUS")
	for _, e := range codes {
		p.entry(fmt.Sprint(e.code), escape(e.meaning)+".")
	}
}

func seeAlso(c *cobra.Command) string {
	var pages []string
	if c.HasParent() {
		pages = append(pages, pageName(c.Parent())+"(1)")
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			pages = append(pages, pageName(sub)+"(1)")
		}
	}
	return escape(strings.Join(append(pages, "sallyport.yaml(5)"), ", "))
}

// configPage is made from the table of keys.
func configPage() []byte {
	p := newPage("sallyport.yaml", 5, "configuration of Sallyport")
	p.section("DESCRIPTION")
	p.text(escape("One YAML file, read strictly: unknown keys, duplicate keys and wrong values are errors. " +
		"Anchors, aliases and tags are not accepted. Every key but gateway.name has a default. " +
		"ZONE, GROUP and REALM stand for any name of a zone, a group or a realm, and [] for any element of a list."))
	p.section("KEYS")
	for _, name := range config.Keys() {
		e, err := config.Explain(name)
		if err != nil {
			panic("cli: " + err.Error()) // config.Keys lists only what config.Explain knows
		}
		p.entry(escape(e.Key), escape(keyText(e)))
	}
	p.section("EXAMPLE")
	p.verbatim(string(config.Example()))
	p.section("SEE ALSO")
	p.text(escape("sallyport(1), sallyport-config(1)"))
	return p.Bytes()
}

func keyText(e config.Explanation) string {
	text := e.Meaning
	add := func(format string, args ...any) { text += "\n" + fmt.Sprintf(format, args...) }
	if e.Type != "a section" {
		add("It is %s.", e.Type)
	}
	if len(e.Values) > 0 {
		add("Values: %s.", strings.Join(e.Values, ", "))
	}
	if e.Bounds != "" {
		add("From %s.", e.Bounds)
	}
	switch {
	case e.Required:
		add("Required.")
	case e.Default != "":
		add("Default: %s.", e.Default)
	}
	if e.L2TP != "" {
		add("Default in L2TP zones: %s.", e.L2TP)
	}
	if e.Zones != "" {
		add("Only in zones of protocol %s.", e.Zones)
	}
	if e.RFC != "" {
		add("See %s.", e.RFC)
	}
	if e.Change == config.Restart.String() {
		add("A change needs a restart.")
	}
	return text
}

package threat

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
)

// Markdown writes the model for a person, to keep beside the configuration: two
// models of the same state are the same text but for the day.
func (m *Model) Markdown(w io.Writer) error {
	var p page
	p.line("# Threat model\n\n%s, from the configuration of %s. %s", m.Created.Format(time.DateOnly), plural(len(m.Hosts), "host"), m.Summary())
	p.hosts(m)
	p.actors(m)
	p.assets(m)
	p.entryPoints(m)
	p.boundaries(m)
	p.threats(m)
	p.absent(m)
	p.gaps(m)
	_, err := w.Write(p.Bytes())
	return err
}

type page struct{ bytes.Buffer }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// table begins a table of these columns.
func (p *page) table(title string, columns ...string) {
	p.line("\n## %s\n\n| %s |\n|%s", title, strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
}

// row writes cells. A table is cut at bars before anything else is looked at,
// even in code spans (GitHub Flavored Markdown, Section 4.10).
func (p *page) row(cells ...string) {
	for i, c := range cells {
		cells[i] = cmp.Or(strings.ReplaceAll(c, "|", `\|`), "-")
	}
	p.line("| %s |", strings.Join(cells, " | "))
}

func (p *page) hosts(m *Model) {
	p.table("Hosts", "host", "products")
	for _, h := range m.Hosts {
		p.row(hostCode(h.Name), escape(strings.Join(h.Products, ", ")))
	}
}

func (p *page) actors(m *Model) {
	p.table("Actors", "actor", "what they can do", "threats")
	for _, a := range m.Actors {
		p.row(a.Title, a.Can, marksText(a.Marks))
	}
}

func (p *page) assets(m *Model) {
	p.table("Assets", "id", "host", "asset", "what is known", "where", "open threats", "accepted", "status")
	for i := range m.Assets {
		a := &m.Assets[i]
		p.row(a.ID, hostCode(a.Host), string(a.Kind)+": "+code(a.Name), escape(a.Detail), code(place(a.File, a.Line)), marked(a.Marks, Open), marked(a.Marks, Accepted), string(a.Worst()))
	}
}

func (p *page) entryPoints(m *Model) {
	p.table("Entry points", "id", "host", "entry point", "address", "who reaches it", "because", "where")
	for _, e := range m.EntryPoints {
		address := "not known"
		if e.Address != "" {
			address = code(e.Address)
		}
		p.row(e.ID, hostCode(e.Host), escape(e.Name), address, string(e.Reach), escape(e.Because), code(place(e.File, e.Line)))
	}
}

func (p *page) boundaries(m *Model) {
	p.table("Trust boundaries", "id", "boundary", "what holds it", "threats", "status")
	for _, b := range m.Boundaries {
		p.row(string(b.ID), b.From+" / "+b.To, holdersText(b.Holders), marksText(b.Marks), string(b.Status))
	}
}

func holdersText(list []Holder) string {
	var parts []string
	for i, h := range list {
		if i == mostShown {
			parts = append(parts, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		text := hostCode(h.Host) + ": " + escape(h.Text)
		if h.File != "" {
			text += " " + code(place(h.File, h.Line))
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "nothing is known"
	}
	return strings.Join(parts, "; ")
}

func (p *page) threats(m *Model) {
	p.table("Threats", "id", "threat", "STRIDE", "risk", "status")
	for i := range m.Threats {
		t := &m.Threats[i]
		p.row(t.ID, t.Title, t.Stride.Title(), t.Risk, t.StatusText())
	}
	for i := range m.Threats {
		p.threat(&m.Threats[i])
	}
}

func (p *page) threat(t *Threat) {
	p.line("\n### %s: %s\n", t.ID, t.Title)
	p.line("- Status: **%s**", t.StatusText())
	p.line("- Actor: %s", t.ActorTitles())
	p.line("- Attacks: %s", t.Attacks())
	p.line("- Through: %s", t.Through())
	if len(t.Hosts) > 1 {
		p.line("- Hosts: %s", hostsText(t.Hosts))
	}
	p.findings("Open", t.OpenByRule())
	p.findings("Accepted", t.AcceptedByRule())
	p.findings("Made easier by", t.WeakByRule())
	p.missing("Missing", t.MissingShown(), t.More("missing"))
	p.evidence(t)
	p.missing("Not looked at, or not known, and not decisive", t.FurtherShown(), t.More("further"))
	if t.LeftOut > 0 {
		p.line("\n%s left out.", plural(t.LeftOut, "more line"))
	}
}

func hostsText(list []HostStatus) string {
	var parts []string
	for i, h := range list {
		if i == 4*mostShown {
			parts = append(parts, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		parts = append(parts, hostCode(h.Host)+" "+string(h.Status))
	}
	return strings.Join(parts, ", ")
}

func (p *page) findings(title string, rules []ruleView) {
	if len(rules) == 0 {
		return
	}
	p.line("\n%s:\n", title)
	for _, r := range rules {
		p.line("- %s (%s): %s", r.Rule, r.Severity, r.Title)
		for i := range r.Findings {
			p.finding(&r.Findings[i])
		}
		if r.More > 0 {
			p.line("  - and %d more", r.More)
		}
	}
}

func (p *page) finding(f *Finding) {
	kind, name := f.where()
	p.line("  - %s, %s %s: %s%s", hostCode(f.Host), escape(kind), code(name), escape(f.Detail), waiverText(f.Waiver))
}

func waiverText(w *Waiver) string {
	switch {
	case w == nil:
		return ""
	case w.Expired:
		return fmt.Sprintf(". **The waiver of %s ended on %s** (%s)", code(w.Owner), w.Until, escape(w.Reason))
	}
	return fmt.Sprintf(". Accepted until %s by %s: %s", w.Until, code(w.Owner), escape(w.Reason))
}

func (p *page) missing(title string, list []Missing, more int) {
	if len(list) == 0 {
		return
	}
	p.line("\n%s:\n", title)
	for i := range list {
		m := &list[i]
		var about []string
		if m.Rule != "" {
			about = append(about, m.Rule)
		}
		if m.Host != "" {
			about = append(about, code(m.Host))
		}
		lead := strings.Join(about, ", ")
		if lead != "" {
			lead += ": "
		}
		p.line("- %s%s%s", lead, escape(m.Reason), m.of())
	}
	if more > 0 {
		p.line("- and %d more", more)
	}
}

func (p *page) evidence(t *Threat) {
	if len(t.Evidence) == 0 {
		return
	}
	p.line("\nHolds:\n")
	for _, e := range t.Evidence {
		p.line("- %s: %s (%s)", e.Rule, e.Title, plural(e.Subjects, "subject"))
	}
}

func (p *page) absent(m *Model) {
	if len(m.Absent) == 0 {
		return
	}
	p.table("Threats that do not arise here", "id", "threat", "why")
	for _, a := range m.Absent {
		p.row(a.ID, a.Title, a.Reason)
	}
}

func (p *page) gaps(m *Model) {
	if m.LeftOut > 0 {
		p.line("\n%s beyond the bounds of a model were left out.", plural(m.LeftOut, "fact"))
	}
	if len(m.Gaps) == 0 {
		return
	}
	p.table("What could not be read", "host", "kind", "how often", "the first")
	for _, g := range m.Gaps {
		p.row(hostCode(g.Host), escape(g.Kind), fmt.Sprint(g.Count), escape(g.First))
	}
}

// hostCode names a host, also one whose files give it no name.
func hostCode(name string) string {
	if name == "" {
		return "(no name)"
	}
	return code(name)
}

// code is a text from a file as a code span, in which nothing is markup: the
// fence is longer than any run of backticks inside.
func code(s string) string {
	if s == "" {
		return ""
	}
	run, longest := 0, 0
	for _, r := range s {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 || s != strings.TrimSpace(s) {
		s = " " + s + " "
	}
	return fence + s + fence
}

// escape is a text from a file as text: no markup, no link, no mention.
func escape(s string) string { return escaper.Replace(s) }

// An at sign is a code span, because forges look for mentions after they have
// undone escapes; so are the beginnings of addresses.
var escaper = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "#", `\#`, "~", `\~`, "&", `\&`, "$", `\$`, "!", `\!`,
	"@", "`@`", "://", "`://`", "www.", "`www.`", "WWW.", "`WWW.`",
)

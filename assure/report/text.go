package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/assure/audit"
	"sallyport/posture"
)

// Style is how a word stands out on a terminal.
type Style uint8

// The styles of the text report.
const (
	Plain Style = iota
	Bad         // critical and high
	Fair        // medium
	Good
	Strong // headings
)

// TextOptions say how much of a report is printed, and how.
type TextOptions struct {
	All   bool                       // what passed, and every subject that could not be assessed
	Width int                        // columns of a terminal; 0: none, and 100
	Paint func(Style, string) string // nil: no colours
}

// Text writes the report for a person: findings first, the worst of each host
// above the others, then what could not be assessed, then the grade.
func (r *Report) Text(w io.Writer, o TextOptions) error {
	terminal := o.Width > 0
	if !terminal {
		o.Width = 100
	}
	if o.Paint == nil {
		o.Paint = func(_ Style, s string) string { return s }
	}
	o.Width = max(o.Width, narrowest)
	t := textWriter{w: &stickyWriter{w: w}, o: o, terminal: terminal, indent: 10}
	if o.Width < 80 {
		t.indent = 2
	}
	for i, host := range r.Hosts {
		if !slices.Contains(r.Hosts[:i], host) { // two copies of one host have one name
			t.host(r, host)
		}
	}
	t.gone(r)
	t.notes(r)
	t.unassessable(r)
	if o.All {
		t.passed(r)
		t.notLookedAt(r)
	}
	t.summary(r)
	return t.w.err
}

// stickyWriter keeps the first error, so that it is looked at once.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(b)
	s.err = err
	return n, err
}

// narrowest is where a report is left to the terminal to break.
const narrowest = 40

type textWriter struct {
	w        *stickyWriter
	o        TextOptions
	terminal bool // reads; else lists are for grep, one line each
	indent   int  // of the fields of a finding
}

func (t *textWriter) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

// item writes a line of a list, and what does not fit below it.
func (t *textWriter) item(format string, args ...any) {
	t.para("  ", fmt.Sprintf(format, args...))
}

// para writes a text behind an indent, and what does not fit two columns further.
func (t *textWriter) para(indent, text string) {
	if !t.terminal {
		t.line("%s%s", indent, text)
		return
	}
	for i, line := range wrap(text, t.o.Width-len(indent)-2) {
		if i == 1 {
			indent += "  "
		}
		t.line("%s%s", indent, line)
	}
}

// host writes the findings of one host under its name.
func (t *textWriter) host(r *Report, host string) {
	first, above := true, &Finding{}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Host == host {
			if first && len(r.Hosts) > 1 {
				t.line("%s\n", t.o.Paint(Strong, clean(host)))
			}
			t.finding(f, r.Drift != nil && r.New(i), above)
			first, above = false, f
		}
	}
}

// styles of the words of severity.
var styles = map[audit.Severity]Style{audit.Critical: Bad, audit.High: Bad, audit.Medium: Fair}

// finding writes one. Where the one above is of the same rule, it says why, and its fix
// may be this one's.
func (t *textWriter) finding(f *Finding, fresh bool, above *Finding) {
	word, mark := t.o.Paint(styles[f.Severity], fmt.Sprintf("%-8s", f.Severity)), ""
	if fresh {
		mark = t.o.Paint(Bad, "NEW") + "  "
	}
	t.line("%s  %s  %s%s", word, f.Rule, mark, t.o.Paint(Strong, clean(f.Title)))
	t.field("where", where(f.File, f.Line, f.Kind, f.Subject))
	t.field("found", f.Detail)
	t.field("value", t.value(f))
	if f.Rule != above.Rule {
		t.field("why", f.Why)
	}
	if f.Rule == above.Rule && f.Fix == above.Fix && f.Fix != "" {
		t.field("fix", "as above")
	} else {
		t.fix(f)
	}
	if f.Waiver != nil {
		t.field("waiver", waiver(f))
	}
	t.line("")
}

// gone lists the findings of the baseline that are no more.
func (t *textWriter) gone(r *Report) {
	if r.Drift == nil || len(r.Drift.Gone) == 0 {
		return
	}
	t.line("%s", t.o.Paint(Strong, "Gone since "+r.Drift.Since.Format(time.DateOnly)))
	for i := range r.Drift.Gone {
		f := &r.Drift.Gone[i]
		t.line("  %s  %s: %s", t.o.Paint(Good, clean(f.Rule)), clean(f.Title), where(f.File, f.Line, clean(f.Kind), f.Subject))
	}
	t.line("")
}

func waiver(f *Finding) string {
	word := "until"
	if f.Expired {
		word = "EXPIRED on"
	}
	return fmt.Sprintf("%s %s, %s: %s", word, f.Waiver.Expires.Format(time.DateOnly), clean(f.Waiver.Owner), clean(f.Waiver.Reason))
}

// longestValue is what is shown of a value unless everything is wanted: lists of all
// that a product takes by default are much longer, and tell a person nothing.
const longestValue = 160

func (t *textWriter) value(f *Finding) string {
	short := *f
	if r := []rune(f.Value); len(r) > longestValue && !t.o.All {
		short.Value = string(r[:longestValue]) + "..."
	}
	return value(&short)
}

// value says what a finding rests on, and where that comes from.
func value(f *Finding) string {
	text := clean(f.Value)
	if text == "" {
		text = "-"
	}
	switch {
	case f.Because != "":
		return text + " (" + clean(f.Because) + ")"
	case f.Origin != "explicit":
		return text + " (" + f.Origin + ")"
	}
	return text
}

// field writes a name and its text, wrapped under itself.
func (t *textWriter) field(name, text string) {
	t.lines(name, wrap(text, t.o.Width-t.indent-8))
}

func (t *textWriter) lines(name string, lines []string) {
	for i, line := range lines {
		if i > 0 {
			name = ""
		}
		t.line("%*s%-8s%s", t.indent, "", name, line)
	}
}

// clicked are the dialects whose fixes are ways through menus, and no lines to paste.
var clicked = map[string]bool{string(posture.PfSense): true, string(posture.OPNsense): true}

// fix writes what to write in a file. It is pasted: a line that a product reads is
// never broken, wherever a terminal ends, and comments stay comments.
func (t *textWriter) fix(f *Finding) {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(f.Fix, "\n"), "\n") {
		mark := ""
		if slices.Contains([]string{"# ", "; ", "! "}, line[:min(2, len(line))]) {
			mark = line[:2]
		} else if !clicked[f.Dialect] {
			lines = append(lines, clean(line))
			continue
		}
		for _, l := range wrap(strings.TrimPrefix(line, mark), t.o.Width-t.indent-8-len(mark)) {
			lines = append(lines, mark+l)
		}
	}
	t.lines("fix", lines)
}

// wrap breaks a text at spaces, and what has none for long at its commas and hyphens
// or anywhere.
func wrap(text string, width int) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		rest := []rune(clean(line))
		for len(rest) > width {
			cut, next := breakAt(rest, width)
			lines, rest = append(lines, string(rest[:cut])), rest[next:]
		}
		lines = append(lines, string(rest))
	}
	return lines
}

// breakAt is where a line ends, and where the next begins.
func breakAt(line []rune, width int) (cut, next int) {
	for i := width; i > 0; i-- {
		if line[i] == ' ' {
			return i, i + 1
		}
	}
	for i := width - 1; i > width/2; i-- {
		if line[i] == ',' || line[i] == '-' || line[i] == '/' {
			return i + 1, i + 1
		}
	}
	return width, width
}

// clean makes what a file said harmless on a terminal: no control characters,
// no direction marks, no invalid UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0, r == '\ufffd', r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			return '?'
		}
		return r
	}, s)
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}

// where is a place and the subject there.
func where(file string, line int, kind, name string) string {
	if file == "" {
		return subject(kind, name)
	}
	return place(file, line) + ": " + subject(kind, name)
}

func place(file string, line int) string {
	if line == 0 {
		return clean(file)
	}
	return fmt.Sprintf("%s:%d", clean(file), line)
}

func subject(kind, name string) string {
	if name == "" {
		return kind
	}
	return fmt.Sprintf("%s %q", kind, clean(name))
}

// mostUnparsed is how many lines that are not known are shown unless everything is
// wanted: a few are likely a slip that an administrator wants to see, and many
// are a product that the readers do not know well.
const mostUnparsed = 10

// notes says what could not be read.
func (t *textWriter) notes(r *Report) {
	var unparsed []Note
	unknown := 0
	for _, n := range r.Notes {
		if n.Kind == "unparsed" {
			unknown++
		}
	}
	first := true
	for _, n := range r.Notes {
		if n.Kind == "unparsed" && !t.o.All && unknown > mostUnparsed {
			unparsed = append(unparsed, n)
			continue
		}
		if first {
			t.line("%s", t.o.Paint(Strong, "Not read, or not in force"))
			first = false
		}
		t.item("%s: %s: %s", place(n.File, n.Line), n.Kind, clean(n.Text))
	}
	if !first {
		t.line("")
	}
	if len(unparsed) > 0 {
		t.para("", fmt.Sprintf("%s of %s not known to the readers and left out (--all lists them)", count(len(unparsed), "line"), count(files(unparsed), "file")))
		t.line("")
	}
}

func files(notes []Note) int {
	seen := map[string]bool{}
	for _, n := range notes {
		seen[n.File] = true
	}
	return len(seen)
}

// unassessable lists rules without an answer, one line for each rule and reason.
// unassessable tells each reason once: all rules of a file that could not be read
// have the same.
func (t *textWriter) unassessable(r *Report) {
	if len(r.Unassessable) == 0 {
		return
	}
	t.line("%s", t.o.Paint(Strong, "Not assessable"))
	type key struct{ rule, reason string }
	subjects := map[key][]string{}
	for _, u := range r.Unassessable {
		k := key{u.Rule, u.Reason}
		subjects[k] = append(subjects[k], subject(u.Kind, u.Subject))
	}
	var order []string
	rules := map[string][]string{}
	for _, k := range slices.SortedFunc(maps.Keys(subjects), func(a, b key) int {
		return cmp.Or(strings.Compare(a.rule, b.rule), strings.Compare(a.reason, b.reason))
	}) {
		text := clean(k.reason) + ": " + t.some(subjects[k], mostNames, "more")
		if rules[text] == nil {
			order = append(order, text)
		}
		rules[text] = append(rules[text], k.rule)
	}
	for _, text := range order {
		t.item("%s  %s", t.some(rules[text], mostRules, "more rules"), text)
	}
	t.line("")
}

// How many subjects of one reason, and rules of one text, are named unless
// everything is asked for.
const (
	mostNames = 2
	mostRules = 3
)

// some are the first names of a list, and how many more there are.
func (t *textWriter) some(names []string, most int, more string) string {
	if len(names) <= most || t.o.All {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d %s", strings.Join(names[:most], ", "), len(names)-most, more)
}

func (t *textWriter) passed(r *Report) {
	if len(r.passed) == 0 {
		return
	}
	t.line("%s", t.o.Paint(Strong, "Fine"))
	for _, p := range r.passed {
		t.line("  %s  %s: %s", t.o.Paint(Good, p.Rule), clean(r.title(p.Rule)), subject(p.Kind, p.Subject))
	}
	t.line("")
}

// summary is the last paragraph: the grade, what holds it down, and the sums.
func (t *textWriter) summary(r *Report) {
	t.line("%s  %s", t.o.Paint(Strong, "Grade "+r.Grade.String()), r.gradeText())
	for _, c := range r.Grade.Caps {
		t.item("%s", c.Text())
	}
	c := r.Counts
	t.para("", fmt.Sprintf("%d critical, %d high, %d medium, %d low, %d for information; %d waived; %d fine, %d not assessable", c.Critical, c.High, c.Medium, c.Low, c.Info, c.Waived, c.Passed, len(r.Unassessable)))
	if d := r.Drift; d != nil {
		t.line("since %s: %d new, %d gone, %d unchanged", d.Since.Format(time.DateOnly), len(d.New), len(d.Gone), d.Unchanged)
	}
	t.para("", fmt.Sprintf("policy %s of %s; post-quantum: %s", r.Policy.Name, r.Policy.Version, r.Grade.PostQuantum))
	if off := r.Policy.Off; len(off) > 0 {
		t.para("", fmt.Sprintf("the policy leaves out %s, of which nothing is said: %s", count(len(off), "rule"), clean(strings.Join(off, ", "))))
	}
	if n := len(r.NotLookedAt); n > 0 {
		t.para("", fmt.Sprintf("not looked at, and no finding: %s that only a scan, a capture or a drill can answer", count(n, "rule")))
	}
}

// notLookedAt lists the rules that configuration cannot answer.
func (t *textWriter) notLookedAt(r *Report) {
	if len(r.NotLookedAt) == 0 {
		return
	}
	t.line("%s", t.o.Paint(Strong, "Not looked at, and no finding"))
	for _, n := range r.NotLookedAt {
		t.line("  %s  %s: it takes a %s to tell", n.ID, clean(n.Title), n.Needs)
	}
	t.line("")
}

func (r *Report) gradeText() string {
	switch {
	case r.Grade.Assessed == 0:
		return "nothing could be assessed"
	case r.Grade.Bracketed:
		return r.Grade.Missing()
	}
	return clean(r.Target)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

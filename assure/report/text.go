package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sallyport/assure/audit"
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
	Width int                        // columns; 0: 100
	Paint func(Style, string) string // nil: no colours
}

// Text writes the report for a person: findings first, the worst of each host
// above the others, then what could not be assessed, then the grade.
func (r *Report) Text(w io.Writer, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 100
	}
	if o.Paint == nil {
		o.Paint = func(_ Style, s string) string { return s }
	}
	t := textWriter{w: &stickyWriter{w: w}, o: o}
	for _, host := range r.Hosts {
		t.host(r, host)
	}
	t.gone(r)
	t.notes(r)
	t.unassessable(r)
	if o.All {
		t.passed(r)
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

type textWriter struct {
	w *stickyWriter
	o TextOptions
}

func (t *textWriter) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

// host writes the findings of one host under its name.
func (t *textWriter) host(r *Report, host string) {
	first := true
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Host == host {
			if first && len(r.Hosts) > 1 {
				t.line("%s\n", t.o.Paint(Strong, clean(host)))
			}
			first = false
			t.finding(f, r.Drift != nil && r.New(i))
		}
	}
}

// styles of the words of severity.
var styles = map[audit.Severity]Style{audit.Critical: Bad, audit.High: Bad, audit.Medium: Fair}

func (t *textWriter) finding(f *Finding, fresh bool) {
	word, mark := t.o.Paint(styles[f.Severity], fmt.Sprintf("%-8s", f.Severity)), ""
	if fresh {
		mark = t.o.Paint(Bad, "NEW") + "  "
	}
	t.line("%s  %s  %s%s", word, f.Rule, mark, t.o.Paint(Strong, clean(f.Title)))
	t.field("where", where(f.File, f.Line, f.Kind, f.Subject))
	t.field("found", f.Detail)
	t.field("value", value(f))
	t.field("why", f.Why)
	t.field("fix", f.Fix)
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

// field writes a name and its text, wrapped under itself. Texts of several
// lines, such as what to write in a file, keep their lines.
func (t *textWriter) field(name, text string) {
	const indent = 10
	for i, line := range wrap(text, t.o.Width-indent-8) {
		if i == 0 {
			t.line("%*s%-8s%s", indent, "", name, line)
			continue
		}
		t.line("%*s%s", indent+8, "", line)
	}
}

// wrap breaks a text at spaces. A line that is indented or has no space is left
// as it is: it is something to paste.
func wrap(text string, width int) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		line = clean(line)
		for len([]rune(line)) > width && !strings.HasPrefix(line, " ") {
			cut := strings.LastIndexByte(string([]rune(line)[:width+1]), ' ')
			if cut <= 0 {
				break
			}
			lines, line = append(lines, line[:cut]), line[cut+1:]
		}
		lines = append(lines, line)
	}
	return lines
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
			t.line("%s", t.o.Paint(Strong, "Not read"))
			first = false
		}
		t.line("  %s: %s: %s", place(n.File, n.Line), n.Kind, clean(n.Text))
	}
	if !first {
		t.line("")
	}
	if len(unparsed) > 0 {
		t.line("%s of %s not known to the readers and left out (--all lists them)\n", count(len(unparsed), "line"), count(files(unparsed), "file"))
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
func (t *textWriter) unassessable(r *Report) {
	if len(r.Unassessable) == 0 {
		return
	}
	t.line("%s", t.o.Paint(Strong, "Not assessable"))
	type key struct{ rule, reason string }
	var order []key
	subjects := map[key][]string{}
	for _, u := range r.Unassessable {
		k := key{u.Rule, u.Reason}
		if subjects[k] == nil {
			order = append(order, k)
		}
		subjects[k] = append(subjects[k], subject(u.Kind, u.Subject))
	}
	slices.SortStableFunc(order, func(a, b key) int { return strings.Compare(a.rule, b.rule) })
	for _, k := range order {
		names := subjects[k]
		more := ""
		if len(names) > 2 && !t.o.All {
			more = fmt.Sprintf(" and %d more", len(names)-2)
			names = names[:2]
		}
		t.line("  %s  %s: %s%s", k.rule, clean(k.reason), strings.Join(names, ", "), more)
	}
	t.line("")
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
		t.line("  %s", c.Text())
	}
	c := r.Counts
	t.line("%d critical, %d high, %d medium, %d low, %d for information; %d waived; %d fine, %d not assessable", c.Critical, c.High, c.Medium, c.Low, c.Info, c.Waived, c.Passed, len(r.Unassessable))
	if d := r.Drift; d != nil {
		t.line("since %s: %d new, %d gone, %d unchanged", d.Since.Format(time.DateOnly), len(d.New), len(d.Gone), d.Unchanged)
	}
	t.line("policy %s of %s; post-quantum: %s; %s only a scan, a capture or a drill can answer", r.Policy.Name, r.Policy.Version, r.Grade.PostQuantum, count(len(r.NotLookedAt), "rule"))
}

func (r *Report) gradeText() string {
	switch {
	case r.Grade.Assessed == 0:
		return "nothing could be assessed"
	case r.Grade.Bracketed:
		return fmt.Sprintf("in brackets: %d of %d answers are missing", r.Grade.Unassessed, r.Grade.Assessed+r.Grade.Unassessed)
	}
	return clean(r.Target)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

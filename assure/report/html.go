package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"sallyport/assure/audit"
	"sallyport/posture"
)

//go:embed report.gohtml
var pageText string

//go:embed report.css
var pageStyle string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"clean": cleanLines, "count": count, "date": func(t time.Time) string { return t.Format(time.DateOnly) },
	"place": place, "where": where, "subject": subject, "value": value, "dialect": func(d string) string { return posture.Dialect(d).Title() },
}).Parse(pageText))

// pageView is what the template is given.
type pageView struct {
	*Report
	Style        template.CSS
	Policy       template.HTMLAttr // of the page: what it may load
	Sections     []pageHost
	Waivers      []*pageFinding
	Unassessable []pageGroup
	Fine         []pageGroup
	Unparsed     int // lines that were not understood
	NotRead      []Note
}

// pageHost is the findings of one host, the worst first.
type pageHost struct {
	ID, Name string
	Groups   []pageSeverity
}

type pageSeverity struct {
	ID       string
	Severity audit.Severity
	Findings []*pageFinding
}

type pageFinding struct {
	*Finding
	ID  string
	New bool
}

// pageGroup is a rule with the subjects that have one answer.
type pageGroup struct {
	Rule, Title, Reason string
	Subjects            []string
	More                int
}

// HTML writes the report as one page that needs nothing else: no script, no
// font, no picture. Its own policy forbids a browser to load any, or to heed a
// style that a file smuggled in.
func (r *Report) HTML(w io.Writer) error {
	sum := sha256.Sum256([]byte(pageStyle))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	v := pageView{Report: r, Style: template.CSS(pageStyle), Policy: template.HTMLAttr(`content="` + policy + `"`)}
	v.findings()
	v.groups()
	for _, n := range r.Notes {
		if n.Kind == string(posture.Unparsed) {
			v.Unparsed++
		} else {
			v.NotRead = append(v.NotRead, n)
		}
	}
	return page.Execute(w, v)
}

// findings sorts the findings by host and severity, in which they are sorted
// already, and names each.
func (v *pageView) findings() {
	host := map[string]int{}
	for i := range v.Report.Findings {
		f := &pageFinding{Finding: &v.Report.Findings[i], ID: fmt.Sprintf("finding-%d", i+1), New: v.Drift != nil && v.Report.New(i)}
		if f.Waiver != nil {
			v.Waivers = append(v.Waivers, f)
		}
		k, ok := host[f.Host]
		if !ok {
			k = len(v.Sections)
			host[f.Host] = k
			v.Sections = append(v.Sections, pageHost{ID: fmt.Sprintf("host-%d", k+1), Name: f.Host})
		}
		v.Sections[k].add(f)
	}
	slices.SortStableFunc(v.Waivers, func(a, b *pageFinding) int { return a.Waiver.Expires.Compare(b.Waiver.Expires) })
}

func (h *pageHost) add(f *pageFinding) {
	last := len(h.Groups) - 1
	if last < 0 || h.Groups[last].Severity != f.Severity {
		h.Groups = append(h.Groups, pageSeverity{ID: h.ID + "-" + f.Severity.String(), Severity: f.Severity})
		last++
	}
	h.Groups[last].Findings = append(h.Groups[last].Findings, f)
}

// mostSubjects is how many subjects with one answer are named.
const mostSubjects = 50

// groups puts together what has one answer: a gateway with a thousand peers
// would fill a book.
func (v *pageView) groups() {
	many := len(v.Hosts) > 1
	unassessable, fine := grouper{r: v.Report, many: many}, grouper{r: v.Report, many: many}
	for i := range v.Report.Unassessable {
		u := &v.Report.Unassessable[i]
		unassessable.add(u.Rule, u.Reason, u.Host, u.Kind, u.Subject)
	}
	for _, p := range v.passed {
		fine.add(p.Rule, "", p.Host, p.Kind, p.Subject)
	}
	v.Unassessable, v.Fine = unassessable.sorted(), fine.sorted()
}

type grouper struct {
	r     *Report
	many  bool // hosts
	index map[[2]string]int
	list  []pageGroup
}

func (g *grouper) add(rule, reason, host, kind, name string) {
	if g.index == nil {
		g.index = map[[2]string]int{}
	}
	key := [2]string{rule, reason}
	i, ok := g.index[key]
	if !ok {
		i = len(g.list)
		g.index[key] = i
		g.list = append(g.list, pageGroup{Rule: rule, Title: g.r.title(rule), Reason: clean(reason)})
	}
	p := &g.list[i]
	if len(p.Subjects) == mostSubjects {
		p.More++
		return
	}
	what := subject(kind, name)
	if g.many {
		what += " of " + clean(host)
	}
	p.Subjects = append(p.Subjects, what)
}

func (g *grouper) sorted() []pageGroup {
	slices.SortStableFunc(g.list, func(a, b pageGroup) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Reason, b.Reason))
	})
	return g.list
}

// Until says when a waiver ends, or that it has.
func (f *pageFinding) Until() string {
	if f.Expired {
		return "EXPIRED on " + f.Waiver.Expires.Format(time.DateOnly)
	}
	return "until " + f.Waiver.Expires.Format(time.DateOnly)
}

// GradeText is what stands below the letter.
func (v pageView) GradeText() string {
	if v.Grade.Assessed == 0 || v.Grade.Bracketed {
		return v.gradeText()
	}
	return "the best is A+; what is found caps it"
}

// GradeClass is the letter as a class of the style sheet.
func (v pageView) GradeClass() string {
	if v.Grade.Letter == "-" {
		return "none"
	}
	return strings.ToLower(v.Grade.Letter[:1])
}

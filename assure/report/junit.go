package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/assure/audit"
)

// The part of JUnit's XML that is written: the elements that Jenkins, GitLab
// and Azure have in common.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string          `xml:"name,attr"`
		Tests     int             `xml:"tests,attr"`
		Failures  int             `xml:"failures,attr"`
		Errors    int             `xml:"errors,attr"`
		Skipped   int             `xml:"skipped,attr"`
		Timestamp string          `xml:"timestamp,attr"`
		Property  []junitProperty `xml:"properties>property"`
		Cases     []*junitCase    `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string         `xml:"classname,attr"`
		Name    string         `xml:"name,attr"`
		Time    string         `xml:"time,attr"`
		Skipped *junitText     `xml:"skipped"`
		Failure []junitFailure `xml:"failure"`
		Out     *junitText     `xml:"system-out"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitText struct {
		Text string `xml:",chardata"`

		entries int
	}
)

// JUnit writes the report as the result of a test run, for continuous
// integration: a suite for each area of the catalogue, a test for each rule and
// subject. A test fails by findings from failOn on, is skipped when somebody
// answers for them or nothing can be said, and passes with a remark by lesser
// ones. With a baseline only new findings fail a test.
func (r *Report) JUnit(w io.Writer, failOn audit.Severity) error {
	all := junitSuites{Name: r.Tool.Name + " audit"}
	cases := r.junitCases(failOn)
	for area, list := range byArea(cases) {
		s := junitSuite{Name: area, Tests: len(list), Cases: list, Timestamp: r.Created.Format("2006-01-02T15:04:05"), Property: []junitProperty{
			{"grade", r.Grade.String()}, {"policy", r.Policy.Name + " " + r.Policy.Version}, {"target", clean(r.Target)},
		}}
		for _, c := range list {
			switch {
			case len(c.Failure) > 0:
				s.Failures++
			case c.Skipped != nil:
				s.Skipped++
			}
		}
		all.Suites = append(all.Suites, s)
		all.Tests, all.Failures = all.Tests+s.Tests, all.Failures+s.Failures
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// byArea visits runs of cases of one area, which is in front of the class.
func byArea(cases []*junitCase) func(func(string, []*junitCase) bool) {
	area := func(c *junitCase) string {
		a, _, _ := strings.Cut(c.Class, ".")
		return a
	}
	return func(yield func(string, []*junitCase) bool) {
		for len(cases) > 0 {
			n := slices.IndexFunc(cases, func(c *junitCase) bool { return area(c) != area(cases[0]) })
			if n < 0 {
				n = len(cases)
			}
			if !yield(area(cases[0]), cases[:n]) {
				return
			}
			cases = cases[n:]
		}
	}
}

// junitCases are the tests in order. A rule that finds several things in one
// subject is one test.
func (r *Report) junitCases(failOn audit.Severity) []*junitCase {
	index := map[[2]string]*junitCase{}
	var cases []*junitCase
	at := func(rule, host, kind, name string) *junitCase {
		c := r.junitCase(rule, host, kind, name)
		key := [2]string{c.Class, c.Name}
		if index[key] == nil {
			index[key] = &c
			cases = append(cases, &c)
		}
		return index[key]
	}
	for _, p := range r.passed {
		at(p.Rule, p.Host, p.Kind, p.Subject)
	}
	for i := range r.Unassessable {
		u := &r.Unassessable[i]
		at(u.Rule, u.Host, u.Kind, u.Subject).skip("cannot be assessed: " + cleanLines(u.Reason))
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		at(f.Rule, f.Host, f.Kind, f.Subject).finding(f, failOn, r.New(i))
	}
	for _, c := range cases {
		if len(c.Failure) > 0 {
			c.Skipped = nil // a test is one or the other
		}
	}
	slices.SortStableFunc(cases, func(a, b *junitCase) int { return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Name, b.Name)) })
	return cases
}

func (r *Report) junitCase(rule, host, kind, name string) junitCase {
	area, _, _ := strings.Cut(rule, "-")
	what := subject(kind, name)
	if host != "" {
		what += " of " + clean(host)
	}
	return junitCase{Class: area + "." + rule, Name: clean(r.title(rule)) + ": " + what, Time: "0"}
}

func (c *junitCase) finding(f *Finding, failOn audit.Severity, fresh bool) {
	text := cleanLines(f.message())
	switch {
	case f.Waived():
		c.skip("waived " + waiver(f))
	case f.Severity >= failOn && fresh:
		c.Failure = append(c.Failure, junitFailure{Type: f.Severity.String(), Message: cleanLines(f.Detail), Text: text + "\n\n" + f.Why})
	default:
		c.say(fmt.Sprintf("%s: %s", f.Severity, text))
	}
}

func (c *junitCase) skip(text string) {
	if c.Skipped == nil {
		c.Skipped = &junitText{}
	}
	c.Skipped.add(text)
}

func (c *junitCase) say(text string) {
	if c.Out == nil {
		c.Out = &junitText{}
	}
	c.Out.add(text)
}

// mostRemarks bounds the remarks on one test.
const mostRemarks = 100

func (t *junitText) add(text string) {
	t.entries++
	switch {
	case t.entries == 1:
		t.Text = text
	case t.entries < mostRemarks:
		t.Text += "\n" + text
	case t.entries == mostRemarks:
		t.Text += "\nand more"
	}
}

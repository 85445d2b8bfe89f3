// Package report turns the results of an audit into documents: for a terminal,
// JSON with a published schema, SARIF, JUnit, one HTML file, and a CycloneDX
// list of cryptography. It judges nothing.
package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/posture"
)

// SchemaVersion is the version of the JSON document. It grows when a field
// changes its meaning or goes away; new fields do not change it.
const SchemaVersion = 1

// Report is the JSON document, and what all other formats are made from.
type Report struct {
	SchemaVersion int          `json:"schema_version"`
	Tool          Tool         `json:"tool"`
	Created       time.Time    `json:"created"`
	Target        string       `json:"target"`
	Hosts         []string     `json:"hosts"`
	Policy        Policy       `json:"policy"`
	Data          Data         `json:"data"`
	Grade         audit.Grade  `json:"grade"`
	Counts        Counts       `json:"counts"`
	Findings      []Finding    `json:"findings"`
	Unassessable  []Unassessed `json:"unassessable"`
	Notes         []Note       `json:"notes"`
	NotLookedAt   []Rule       `json:"not_looked_at"`   // rules that configuration cannot answer
	Drift         *Drift       `json:"drift,omitempty"` // against a baseline

	passed []Passed               // for the formats that show what was fine
	rules  map[string]*audit.Rule // those with an answer
	crypto Inventory
}

// Tool is what made the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Policy is what was judged by.
type Policy struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Basis   string `json:"basis,omitempty"`

	Off []string `json:"off,omitempty"` // rules that it leaves out: nothing is said of them
}

// Data is how old the data is that the report rests on.
type Data struct {
	Vulnerabilities string `json:"vulnerabilities"` // date; empty: none were used
}

// Counts are how many findings there are, waived ones apart.
type Counts struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	Info     int `json:"info"`
	Waived   int `json:"waived"`
	Passed   int `json:"passed"`
}

// Finding is one thing that is weak.
type Finding struct {
	Rule        string         `json:"rule"`
	Title       string         `json:"title"`
	Severity    audit.Severity `json:"severity"`
	Host        string         `json:"host"`
	Dialect     string         `json:"dialect"`
	Kind        string         `json:"kind"`
	Subject     string         `json:"subject"`
	File        string         `json:"file"`
	Line        int            `json:"line"`
	Column      int            `json:"column,omitempty"`
	Origin      string         `json:"origin"` // explicit, default, inferred
	Value       string         `json:"value"`
	Because     string         `json:"because,omitempty"` // of a default or an inference
	Detail      string         `json:"detail"`
	Why         string         `json:"why"`
	Fix         string         `json:"fix"`
	Refs        []string       `json:"refs"`
	Fingerprint string         `json:"fingerprint"`
	Waiver      *audit.Waiver  `json:"waiver,omitempty"`
	Expired     bool           `json:"waiver_expired,omitempty"`
}

// Waived tells whether somebody answers for the finding today.
func (f *Finding) Waived() bool { return f.Waiver != nil && !f.Expired }

// Unassessed is a rule that could not be answered for a subject.
type Unassessed struct {
	Rule    string `json:"rule"`
	Host    string `json:"host"`
	Dialect string `json:"dialect"`
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Reason  string `json:"reason"`
}

// Passed is a rule that holds for a subject.
type Passed struct{ Rule, Host, Dialect, Kind, Subject string }

// Note is what could not be read.
type Note struct {
	Kind    string `json:"kind"`
	Dialect string `json:"dialect,omitempty"`
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Text    string `json:"text"`
}

// Rule is a row of the catalogue that was not looked at, and what would answer it.
type Rule struct {
	ID     string `json:"rule"`
	Title  string `json:"title"`
	Needs  string `json:"needs"`
	Reason string `json:"reason"` // the same as a sentence
}

// notLookedAt is a rule that configuration cannot answer.
func notLookedAt(r *audit.Rule) Rule {
	return Rule{ID: r.ID, Title: r.Title, Needs: string(r.Needs), Reason: "This is no finding: it takes a " + string(r.Needs) + " to tell whether the rule holds."}
}

// Make makes a report of an audit, and of the cryptography that was seen on the
// way.
func Make(a *audit.Audit, seen Inventory, p *policy.Policy, tool Tool, target string, now time.Time) *Report {
	r := &Report{
		SchemaVersion: SchemaVersion, Tool: tool, Created: now.UTC().Truncate(time.Second), Target: target, Hosts: append([]string{}, a.Hosts...),
		Policy: Policy{Name: p.Name, Version: p.Version, Basis: p.Basis}, Grade: a.Grade(),
		Findings: []Finding{}, Unassessable: []Unassessed{}, Notes: []Note{}, NotLookedAt: []Rule{}, rules: map[string]*audit.Rule{}, crypto: seen,
	}
	if d := a.Data(); d != nil {
		r.Data.Vulnerabilities = d.Date.String()
	}
	short := shortened(a.Roots)
	for i := range a.Results {
		r.add(&a.Results[i], now, short)
	}
	noted := map[Note]bool{} // what two readers want of a file is said twice
	for _, n := range a.Notes {
		note := Note{Kind: string(n.Kind), Dialect: string(n.Dialect), File: n.At.File, Line: n.At.Line, Text: n.Text}
		if !noted[note] {
			noted[note] = true
			r.Notes = append(r.Notes, note)
		}
	}
	for _, rule := range audit.Rules() {
		switch {
		case rule.Needs != audit.Config:
			r.NotLookedAt = append(r.NotLookedAt, notLookedAt(&rule))
		case p.Off(rule.ID):
			r.Policy.Off = append(r.Policy.Off, rule.ID)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), strings.Compare(a.Host, b.Host), strings.Compare(a.Rule, b.Rule), strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return r
}

func (r *Report) add(x *audit.Result, now time.Time, short func(string) string) {
	r.rules[x.Rule.ID] = x.Rule
	switch x.Outcome {
	case audit.OK:
		r.Counts.Passed++
		r.passed = append(r.passed, Passed{Rule: x.Rule.ID, Host: x.Host, Dialect: string(x.Subject.Dialect), Kind: x.Subject.Kind, Subject: x.Subject.Name})
	case audit.Unassessable:
		at := x.Evidence.At
		r.Unassessable = append(r.Unassessable, Unassessed{Rule: x.Rule.ID, Host: x.Host, Dialect: string(x.Subject.Dialect), Kind: x.Subject.Kind, Subject: x.Subject.Name, File: at.File, Line: at.Line, Reason: x.Detail})
	case audit.Found:
		f := finding(x, now, short)
		r.Counts.count(&f)
		r.Findings = append(r.Findings, f)
	}
}

// title is what is true when a rule holds.
func (r *Report) title(id string) string {
	if rule := r.rules[id]; rule != nil {
		return rule.Title
	}
	return ""
}

func finding(x *audit.Result, now time.Time, short func(string) string) Finding {
	e := x.Evidence
	f := Finding{
		Rule: x.Rule.ID, Title: x.Rule.Title, Severity: x.Severity, Host: x.Host, Dialect: string(x.Subject.Dialect), Kind: x.Subject.Kind, Subject: x.Subject.Name,
		File: e.At.File, Line: e.At.Line, Column: e.At.Col, Origin: e.Origin.String(), Value: e.Value, Because: e.Why,
		Detail: x.Detail, Why: x.Rule.Why, Fix: x.Fix, Refs: append([]string{}, x.Rule.Refs...), Waiver: x.Waived,
	}
	if e.Origin == posture.Unknown {
		f.Origin = posture.Inferred.String()
	}
	f.Expired = x.Waived != nil && x.Waived.Expired(now)
	f.Fingerprint = fingerprint(f.Rule, short(f.Host), f.Dialect, f.Kind, short(f.Subject), cmp.Or(e.Mark, e.Value))
	return f
}

// fingerprint names a finding from one audit to the next: rule, host, subject
// and what it rests on, without the place, which moves when a line is added.
func fingerprint(parts ...string) string {
	h := sha256.New()
	last := len(parts) - 1
	parts[last] = strings.Join(strings.Fields(strings.ToLower(parts[last])), " ")
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// shortened takes from a name that is a path what stands before the last part of
// the root that it is below: a host without a name of its own is the same one
// whether backup, ./backup or /srv/backup was named. Roots that end alike stay as
// they are, so that two hosts never become one.
func shortened(roots []string) func(string) string {
	ends := map[string]int{}
	for _, root := range roots {
		ends[path.Base(path.Clean(root))]++
	}
	var above []string
	for _, root := range roots {
		root = strings.TrimRight(root, "/") // as it stands before the names, so not cleaned
		if dir, base := path.Split(root); dir != "" && base != "" && base != "." && base != ".." && ends[base] == 1 {
			above = append(above, root)
		}
	}
	return func(name string) string {
		for _, root := range above {
			if name == root || strings.HasPrefix(name, root+"/") {
				return name[len(root)-len(path.Base(root)):]
			}
		}
		return name
	}
}

func (c *Counts) count(f *Finding) {
	if f.Waived() {
		c.Waived++
		return
	}
	switch f.Severity {
	case audit.Critical:
		c.Critical++
	case audit.High:
		c.High++
	case audit.Medium:
		c.Medium++
	case audit.Low:
		c.Low++
	default:
		c.Info++
	}
}

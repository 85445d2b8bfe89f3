// Package audit judges a posture: it holds the catalogue of rules, judges hosts
// by them under a policy, and grades the result.
//
// A rule is a row of one table: a stable id, a severity, why it matters, what to
// write in each dialect, and a function that looks at every subject it applies
// to. For each subject the outcome is ok, a finding, or not assessable; silence
// is not an outcome. Rules that only a scan, a capture or a drill can answer are
// rows too, so that a report says what it did not look at.
package audit

import (
	"fmt"
	"slices"

	"sallyport/posture"
)

// Severity is how bad a finding is.
type Severity uint8

// From what is worth knowing to what must not stay a day.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

var severities = [...]string{"info", "low", "medium", "high", "critical"}

// String is the word of reports and policies.
func (s Severity) String() string { return severities[s] }

// MarshalText writes the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severities[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no severity: info, low, medium, high or critical", text)
	}
	*s = Severity(i)
	return nil
}

// Source is what can answer a rule.
type Source string

// Most rules are answered by configuration; some only by looking at what runs.
const (
	Config  Source = "configuration"
	Scan    Source = "scan"
	Capture Source = "capture"
	Drill   Source = "drill"
)

// Rule is one row of the catalogue. Ids are never used again.
type Rule struct {
	ID       string
	Title    string // what is true when the rule holds: "Child SAs have forward secrecy"
	Severity Severity
	Risk     string   // R1 to R9
	Checks   []string // C1 to C8 that it bears on
	Why      string   // what an attacker gains, in a sentence or two
	Refs     []string // "RFC 8247, Section 2.1", "CVE-2018-5389"
	Needs    Source   // Config unless configuration cannot tell

	// Fix says what to write, for each dialect that the rule applies to; a
	// subject of another dialect is not judged by it. Words in braces are
	// replaced: {name} by the subject's name, {conn} by its connection's, {id} by
	// that as one word for what is newly made, {phase1} and {phase2} by the names of
	// the sets of parameters that it refers to, {ike} and {esp} by the proposals
	// that the endpoint as a whole should have, in its dialect, {quantum} by those of
	// {ike} with an additional key exchange, {proposals} by the lines that set those of
	// the subject, {setting} by where a secret is set, and {ikev2} by how Libreswan is
	// told of that alone. Some kinds of subjects, and connections that serve clients
	// of IKEv1, get other lines, or a condition before them.
	Fix map[posture.Dialect]string

	judge func(*judge)
	end   func(*judge) // after the last host, for what only all of them together tell
}

// Applies tells whether the rule judges subjects of a dialect.
func (r *Rule) Applies(d posture.Dialect) bool {
	_, ok := r.Fix[d]
	return ok
}

// Area is the part of the id before the hyphen.
func (r *Rule) Area() string {
	for i := range r.ID {
		if r.ID[i] == '-' {
			return r.ID[:i]
		}
	}
	return r.ID
}

// Rules is the catalogue, in the order of the ids of each area. It must not be
// changed.
func Rules() []Rule { return catalogue }

// ByID finds a rule.
func ByID(id string) (*Rule, bool) {
	i := slices.IndexFunc(catalogue, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return nil, false
	}
	return &catalogue[i], true
}

// catalogue is the one table: one file for each area.
var catalogue = slices.Concat(pskRules, pppRules, cryRules, natRules, cveRules, rplRules, leakRules, keyRules, logRules)

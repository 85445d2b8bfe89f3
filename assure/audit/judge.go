package audit

import (
	"fmt"
	"strings"
	"time"

	"sallyport/assure/policy"
	"sallyport/posture"
)

// Outcome is what a rule says of a subject.
type Outcome string

// The three outcomes, and the one of a finding that somebody answers for.
const (
	OK           Outcome = "ok"
	Found        Outcome = "finding"
	Unassessable Outcome = "unassessable"
)

// Evidence is the value that a verdict rests on.
type Evidence struct {
	At     posture.Pos
	Origin posture.Origin
	Value  string // as written or in words; never a secret
	Why    string // where it comes from, for a default or an inference

	// Mark is what stays the same of the value while the finding is the same one;
	// empty: all of it. One line of algorithms is what many rules rest on, and
	// mending what one objects to is no news of the others.
	Mark string
}

// Result is the outcome of one rule for one subject.
type Result struct {
	Rule     *Rule
	Outcome  Outcome
	Severity Severity // under the policy; of a finding
	Host     string
	Subject  posture.Subject
	Evidence Evidence
	Detail   string // what was found, in a sentence; or why nothing could be said
	Fix      string // what to write; of a finding. A judge may set it where the rule's own text does not fit
	Waived   *Waiver

	unread bool // for want of a file that is there and could not be read
}

// judge is one rule at work on one host.
type judge struct {
	rule   *Rule
	host   *posture.Host
	policy *policy.Policy
	now    time.Time
	shared *shared
	ledger *ledger // of the host's secrets
	out    *[]Result
}

// evidence is what a value rests on.
func evidence[T any](v posture.Value[T]) Evidence {
	e := Evidence{At: v.At, Origin: v.Origin, Value: v.Text, Why: v.Why}
	if e.Value == "" {
		e.Value = text(v.V)
	}
	if _, ok := any(v.V).([]posture.Proposal); ok {
		e.Mark = algorithms
	}
	return e
}

// algorithms is the mark of a list of proposals.
const algorithms = "algorithms"

// text is a value in words.
func text(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case uint64:
		if v == 0 { // of a limit of octets or packets
			return "none"
		}
	case []string:
		if len(v) == 0 {
			return "none"
		}
		return strings.Join(v, ", ")
	case []posture.Proposal:
		var words []string
		for _, p := range v {
			words = append(words, p.Text)
		}
		return strings.Join(words, ", ")
	case time.Duration:
		if v == 0 {
			return "none"
		}
		return days(v)
	}
	return fmt.Sprint(v)
}

// at is evidence that is a place and words.
func at(p posture.Pos, value string) Evidence {
	return Evidence{At: p, Origin: posture.Explicit, Value: value}
}

func (j *judge) add(r Result) {
	if !j.rule.Applies(r.Subject.Dialect) {
		return
	}
	r.Rule, r.Host = j.rule, j.host.Name
	if r.Evidence.At == (posture.Pos{}) {
		r.Evidence.At = r.Subject.At
	}
	*j.out = append(*j.out, r)
}

// ok says that the rule holds for a subject.
func (j *judge) ok(s posture.Subject, e Evidence) {
	j.add(Result{Outcome: OK, Subject: s, Evidence: e})
}

// found says that the rule does not hold, at the severity that the policy gives
// it.
func (j *judge) found(s posture.Subject, e Evidence, format string, args ...any) {
	j.foundAt(j.severity(), s, e, format, args...)
}

// foundAt is found for a case that is better or worse than the rule's own.
func (j *judge) foundAt(sev Severity, s posture.Subject, e Evidence, format string, args ...any) {
	j.add(Result{Outcome: Found, Severity: sev, Subject: s, Evidence: e, Detail: fmt.Sprintf(format, args...)})
}

// foundFor is found where something else is to be written than the rule says; an
// empty fix is the rule's own.
func (j *judge) foundFor(fix string, s posture.Subject, e Evidence, format string, args ...any) {
	j.add(Result{Outcome: Found, Severity: j.severity(), Subject: s, Evidence: e, Detail: fmt.Sprintf(format, args...), Fix: fix})
}

// unknown says that nothing can be said, and why.
func (j *judge) unknown(s posture.Subject, format string, args ...any) {
	j.add(Result{Outcome: Unassessable, Subject: s, Detail: fmt.Sprintf(format, args...)})
}

// severity is the rule's under the policy.
func (j *judge) severity() Severity {
	if word, ok := j.policy.Severity(j.rule.ID); ok {
		var s Severity
		if s.UnmarshalText([]byte(word)) == nil {
			return s
		}
	}
	return j.rule.Severity
}

// flag judges a setting that should have one value: bad is what it must not be.
func (j *judge) flag(s posture.Subject, v posture.Value[bool], bad bool, detail string) {
	switch {
	case !v.Known():
		j.unknown(s, "%s", "the files do not tell")
	case v.V == bad:
		j.found(s, evidence(v), "%s", detail)
	default:
		j.ok(s, evidence(v))
	}
}

// connections are those that are in force and that the rule applies to.
func (j *judge) connections(yield func(*posture.Connection)) {
	j.loaded(func(c *posture.Connection) {
		if !c.Shunt {
			yield(c)
		}
	})
}

// loaded are the connections, and the policies for packets that products write
// as such.
func (j *judge) loaded(yield func(*posture.Connection)) {
	for i := range j.host.Connections {
		c := &j.host.Connections[i]
		if !c.Disabled && j.rule.Applies(c.Dialect) {
			yield(c)
		}
	}
}

// children are the Child SAs of those connections.
func (j *judge) children(yield func(*posture.Connection, *posture.Child)) {
	j.connections(func(c *posture.Connection) {
		for i := range c.Children {
			yield(c, &c.Children[i])
		}
	})
}

// each visits the subjects of a list that the rule applies to.
func each[T any](j *judge, list []T, subject func(*T) *posture.Subject, visit func(*T)) {
	for i := range list {
		if j.rule.Applies(subject(&list[i]).Dialect) {
			visit(&list[i])
		}
	}
}

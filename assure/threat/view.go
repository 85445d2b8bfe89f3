package threat

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/assure/audit"
)

// What Markdown and HTML say alike is said here.

// mostShown is how many subjects of a rule, or reasons, a page shows.
const mostShown = 8

// ruleView is the findings of one rule, the most serious rule first.
type ruleView struct {
	Rule, Title string
	Severity    audit.Severity
	Findings    []Finding
	More        int
}

// byRuleView groups sorted findings.
func byRuleView(list []Finding) []ruleView {
	var all []ruleView
	for _, f := range list {
		i := slices.IndexFunc(all, func(v ruleView) bool { return v.Rule == f.Rule })
		if i < 0 {
			all = append(all, ruleView{Rule: f.Rule, Title: f.Title, Severity: f.Severity})
			i = len(all) - 1
		}
		if v := &all[i]; len(v.Findings) < mostShown {
			v.Findings = append(v.Findings, f)
		} else {
			v.More++
		}
	}
	return all
}

// OpenByRule groups what is open.
func (t *Threat) OpenByRule() []ruleView { return byRuleView(t.Open) }

// AcceptedByRule groups what somebody answers for.
func (t *Threat) AcceptedByRule() []ruleView { return byRuleView(t.Accepted) }

// WeakByRule groups what makes the threat easier.
func (t *Threat) WeakByRule() []ruleView { return byRuleView(t.Weaknesses) }

// MissingShown are the first of what is missing, and how many there are more.
func (t *Threat) MissingShown() []Missing { return t.Missing[:min(len(t.Missing), mostShown)] }

// FurtherShown are the first of what would help.
func (t *Threat) FurtherShown() []Missing { return t.Further[:min(len(t.Further), mostShown)] }

// More is how many of a list are not shown.
func (t *Threat) More(list string) int {
	n := map[string]int{"missing": len(t.Missing), "further": len(t.Further)}[list]
	return max(0, n-mostShown)
}

// StatusText is the status with what belongs to it: the severity of an open
// threat, the day until which one is accepted.
func (t *Threat) StatusText() string {
	switch t.Status {
	case Open:
		return string(Open) + " (" + t.openSeverity().String() + ")"
	case Accepted:
		return string(Accepted) + " until " + t.Until()
	}
	if t.Status == Closed && len(t.Weaknesses) > 0 {
		return string(Closed) + ", with weaknesses"
	}
	return string(t.Status)
}

func (t *Threat) openSeverity() audit.Severity {
	if len(t.Open) == 0 {
		return audit.Info
	}
	return t.Open[0].Severity
}

// Until is the first day on which somebody stops answering for a finding.
func (t *Threat) Until() string {
	var first string
	for _, f := range t.Accepted {
		if f.Waiver != nil && (first == "" || f.Waiver.Until < first) {
			first = f.Waiver.Until
		}
	}
	return first
}

// ActorTitles are the actors in words.
func (t *Threat) ActorTitles() string {
	var words []string
	for _, id := range t.Actors {
		i := slices.IndexFunc(actors, func(a Actor) bool { return a.ID == id })
		words = append(words, actors[i].Title)
	}
	return strings.Join(words, ", ")
}

// Attacks are the assets in words.
func (t *Threat) Attacks() string { return join(t.Assets) }

// Through are the entry points and boundaries in words.
func (t *Threat) Through() string { return join(t.Entries) + "; across " + join(t.Boundaries) }

func join[T ~string](list []T) string {
	var words []string
	for _, w := range list {
		words = append(words, string(w))
	}
	return strings.Join(words, ", ")
}

// marked are the ids of one status.
func marked(marks []Mark, s Status) string {
	var ids []string
	for _, m := range marks {
		if m.Status == s {
			ids = append(ids, m.Threat)
		}
	}
	return strings.Join(ids, ", ")
}

// marksText are marks in words: "open: T-01, T-02; closed: T-05".
func marksText(marks []Mark) string {
	var parts []string
	for _, s := range statuses {
		if ids := marked(marks, s); ids != "" {
			parts = append(parts, string(s)+": "+ids)
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "; ")
}

// where is the host, the kind and the name of a finding's subject, in parts for
// each format to mark.
func (f *Finding) where() (kind, name string) {
	name = f.Subject
	if name == "" {
		name = place(f.File, f.Line)
	}
	return f.Kind, name
}

// Summary is the model in one sentence.
func (m *Model) Summary() string {
	c := m.Counts
	return fmt.Sprintf("Threats: %d open, %d accepted for a time, %d not assessed, %d closed; %d more of the table do not arise here.", c.Open, c.Accepted, c.NotAssessed, c.Closed, c.Absent)
}

// of says what a missing fact is about.
func (m *Missing) of() string {
	if m.Subjects > 1 {
		return " (" + plural(m.Subjects, "subject") + ")"
	}
	return ""
}

package audit

import (
	"fmt"
	"slices"
	"strings"
)

// Grade is the verdict in a letter: it begins at A+, and what is found caps it.
// Caps are not added up: one open door is as wide as it is. A waiver does not
// lift a cap, because it changes who answers for a weakness and not how strong
// the tunnel is.
type Grade struct {
	Letter      string   `json:"letter"`       // "A+" to "F"; "-" where nothing was assessed
	Bracketed   bool     `json:"bracketed"`    // too much could not be assessed for the letter to be trusted
	Caps        []Cap    `json:"caps"`         // those that hit, the lowest first
	Assessed    int      `json:"assessed"`     // outcomes that are ok or a finding
	Unassessed  int      `json:"unassessable"` // outcomes that are neither
	PostQuantum PQStatus `json:"post_quantum"`

	missing string // why it is bracketed
	unread  bool
}

// Unread tells whether a file that rules ask for could not be read, so that no
// finding does not mean that there is none.
func (g Grade) Unread() bool { return g.unread }

// Cap is one reason why the letter is no better.
type Cap struct {
	Letter string   `json:"letter"`
	Reason string   `json:"reason"`
	Rules  []string `json:"rules"`
}

// PQStatus is the axis of its own: what stands against an attacker who records
// today and has a quantum computer later.
type PQStatus string

// From the best to the worst, and where nothing can be said.
const (
	PQAll  PQStatus = "all"  // every connection has ML-KEM or a PPK
	PQSome PQStatus = "some" // some have
	PQNone PQStatus = "none"
	PQNot  PQStatus = "not assessed"
)

// ceiling is a row of the table of caps: findings of these rules, or of this
// severity, allow no better letter.
type ceiling struct {
	letter   string
	reason   string
	rules    []string
	severity Severity
}

// ceilings, the lowest first.
var ceilings = []ceiling{
	{letter: "F", reason: "a critical finding", severity: Critical},
	{letter: "D", reason: "broken algorithms: 3DES, MD5, or groups that a state can break", rules: []string{"CRY-002", "CRY-004", "CRY-008"}},
	{letter: "D", reason: "a peer is not authenticated, or what it sends is not encrypted and authenticated", rules: []string{"PPP-001", "CRY-024", "CRY-003"}},
	{letter: "C", reason: "IKE version 1", rules: []string{"CRY-012", "RPL-004"}},
	{letter: "C", reason: "SHA-1", rules: []string{"CRY-005", "CRY-019"}},
	{letter: "C", reason: "no forward secrecy for Child SAs", rules: []string{"CRY-010"}},
	{letter: "C", reason: "a finding of high severity", severity: High},
	{letter: "B", reason: "MODP-2048, or the version's defaults alone", rules: []string{"CRY-009", "CRY-014"}},
	{letter: "B", reason: "a finding of medium severity", severity: Medium},
	{letter: "A", reason: "no protection against a later quantum computer", rules: []string{"CRY-022"}},
	{letter: "A", reason: "a finding of low severity", severity: Low},
}

// letters, from the worst to the best.
var letters = []string{"F", "D", "C", "B", "A", "A+"}

// mostUnassessed is the share in percent from which the letter is bracketed. A
// file that could not be read is enough by itself: one secret can be an F.
const mostUnassessed = 30

// fewestAssessed is how many answers an A needs that is not bracketed: nothing bad
// in a script of two lines is no praise.
const fewestAssessed = 10

// Grade is the letter for all results so far.
func (a *Audit) Grade() Grade {
	g := Grade{Letter: "A+", Caps: []Cap{}}
	found, unread := map[string]Severity{}, false
	for _, r := range a.Results {
		switch r.Outcome {
		case OK:
			g.Assessed++
		case Found:
			if r.Severity > Info { // what is merely worth knowing answers nothing
				g.Assessed++
			}
			found[r.Rule.ID] = max(found[r.Rule.ID], r.Severity)
		case Unassessable:
			g.Unassessed++
			unread = unread || r.unread
		}
	}
	for _, c := range ceilings {
		if hit := c.hit(found); len(hit) > 0 {
			g.Caps = append(g.Caps, Cap{Letter: c.letter, Reason: c.reason, Rules: hit})
			if slices.Index(letters, c.letter) < slices.Index(letters, g.Letter) {
				g.Letter = c.letter
			}
		}
	}
	if g.PostQuantum = a.postQuantum(); g.PostQuantum == PQNot && g.Letter == "A+" && g.Assessed > 0 {
		g.Letter = "A"
		g.Caps = append(g.Caps, Cap{Letter: "A", Reason: "nothing shows protection against a later quantum computer", Rules: []string{"CRY-022"}})
	}
	if g.Assessed == 0 {
		g.Letter = "-"
		return g
	}
	g.unread = unread
	g.missing = g.whyBracketed(unread, slices.ContainsFunc(a.Notes, cut))
	g.Bracketed = g.missing != ""
	return g
}

// whyBracketed says in words why the letter cannot be trusted; empty: it can.
func (g Grade) whyBracketed(unread, cut bool) string {
	all := g.Assessed + g.Unassessed
	switch {
	case 100*g.Unassessed >= mostUnassessed*all:
		return fmt.Sprintf("%d of %d answers are missing", g.Unassessed, all)
	case unread:
		return "a file could not be read"
	case cut:
		return "a part of the files was left out"
	case g.Letter[0] != 'A' || g.Assessed >= fewestAssessed:
		return ""
	case g.Assessed == 1:
		return "it rests on 1 answer alone"
	}
	return fmt.Sprintf("it rests on %d answers alone", g.Assessed)
}

// hit are the rules with findings that the ceiling is about.
func (c *ceiling) hit(found map[string]Severity) []string {
	var hit []string
	for id, s := range found {
		if slices.Contains(c.rules, id) || c.rules == nil && s == c.severity {
			hit = append(hit, id)
		}
	}
	slices.Sort(hit)
	return hit
}

func (a *Audit) postQuantum() PQStatus {
	with, without := 0, 0
	for _, r := range a.Results {
		if r.Rule.ID != "CRY-022" {
			continue
		}
		switch r.Outcome {
		case OK:
			with++
		case Found:
			without++
		}
	}
	switch {
	case with+without == 0:
		return PQNot
	case without == 0:
		return PQAll
	case with > 0:
		return PQSome
	}
	return PQNone
}

// Missing says why the letter is in brackets; empty: it is not.
func (g Grade) Missing() string {
	if g.missing == "" {
		return ""
	}
	return "in brackets: " + g.missing
}

// String is the letter, in brackets where it cannot be trusted.
func (g Grade) String() string {
	if g.Bracketed {
		return "(" + g.Letter + ")"
	}
	return g.Letter
}

// Text is a cap as a line: "max C: SHA-1 (CRY-005)".
func (c Cap) Text() string {
	return fmt.Sprintf("at most %s: %s (%s)", c.Letter, c.Reason, strings.Join(c.Rules, ", "))
}

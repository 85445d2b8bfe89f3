// Package harden proposes changes of configuration files that end what an audit
// found, in the files' own dialect.
//
// A change is data: a key and a value in a section of a file. Texts keep their
// comments and their layout, and what findings want of one setting is written
// once. What a line in a file cannot mend, such as certificates in place of
// pre-shared keys, or what would lock out a peer that was not asked, is left to
// a person and listed.
package harden

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/posture"
)

// Edit is one change of one file.
type Edit struct {
	File    string // as the host shows it
	Dialect posture.Dialect
	Section int      // line of the head of the section; 0: the file as a whole
	Head    string   // the section by its head, where it has no line: "config setup"
	Path    []string // sections inside it
	Line    int      // the line that sets the key now; 0: look for it
	Key     string
	Value   string
	Remove  bool // take the word out
	Rules   []string
}

// ByHand is a finding that no edit ends.
type ByHand struct {
	Rule    string
	Subject posture.Subject
	Why     string // why not; may be empty
	Fix     string // what the audit advises
}

// Patch is the change of one file.
type Patch struct {
	File     string
	Old, New []byte
	Rules    []string
}

// Plan is what would be done to one host.
type Plan struct {
	Host    string
	Edits   []Edit
	Patches []Patch
	ByHand  []ByHand

	secrets map[string][]int  // lines with secrets, by file
	values  *strings.Replacer // takes out the secrets that are known, wherever they stand
}

// shortest is a secret that is looked for in lines; shorter ones are parts of
// other words.
const shortest = 4

// mostValues bounds what is looked for everywhere; the lines of all secrets are
// hidden in any case.
const mostValues = 20_000

// Reader gives the text of a file of a host by the name that it is shown by; nil
// where there is none.
type Reader func(file string) []byte

// Make plans the changes for the findings of one host. Findings that somebody
// answers for by a waiver stay.
func Make(p *policy.Policy, h *posture.Host, results []audit.Result, read Reader) *Plan {
	m := &maker{host: h, advice: audit.Advise(p, h), plan: &Plan{Host: h.Name, secrets: map[string][]int{}}, made: map[string]int{}, places: map[posture.Subject]place{}}
	for i := range h.Connections {
		c := &h.Connections[i]
		for k := range c.Children {
			m.places[c.Children[k].Subject] = place{c, &c.Children[k]}
		}
		m.places[c.Subject] = place{conn: c}
	}
	var values []string
	for _, s := range h.Secrets {
		m.plan.secrets[s.At.File] = append(m.plan.secrets[s.At.File], s.At.Line)
		if len(s.Value) >= shortest && len(values) < 2*mostValues {
			values = append(values, string(s.Value), "")
		}
	}
	m.plan.values = strings.NewReplacer(values...)
	for _, n := range h.Notes { // what nobody understood may be one
		if n.Kind == posture.Unparsed || n.Kind == posture.Malformed {
			m.plan.secrets[n.At.File] = append(m.plan.secrets[n.At.File], n.At.Line)
		}
	}
	for _, r := range results {
		if r.Outcome == audit.Found && r.Waived == nil {
			m.finding(r)
		}
	}
	m.plan.apply(read, m.failed)
	return m.plan
}

// Check compares what the audit says of the host as it is with what it would say
// after the patch. What stays, though an edit was made for it, and what comes new
// is left to a person.
func (p *Plan) Check(before, after []audit.Result) {
	type key struct {
		rule, kind, name string
		dialect          posture.Dialect
	}
	of := func(rule string, s posture.Subject) key { return key{rule, s.Kind, s.Name, s.Dialect} }
	was, told := map[key]bool{}, map[key]bool{}
	for _, r := range before {
		if r.Outcome == audit.Found {
			was[of(r.Rule.ID, r.Subject)] = true
		}
	}
	for _, b := range p.ByHand {
		told[of(b.Rule, b.Subject)] = true
	}
	for _, r := range after {
		k := of(r.Rule.ID, r.Subject)
		if r.Outcome != audit.Found || r.Waived != nil || told[k] {
			continue
		}
		why := "with the patch there is this, too"
		if was[k] {
			why = "the patch does not end it"
		}
		told[k] = true
		p.ByHand = append(p.ByHand, ByHand{Rule: r.Rule.ID, Subject: r.Subject, Why: why, Fix: r.Fix})
	}
}

// maker turns findings into edits.
type maker struct {
	host   *posture.Host
	advice audit.Advice
	plan   *Plan
	from   []audit.Result // of each edit, for those that cannot be made
	made   map[string]int // edits by what they set
	places map[posture.Subject]place
}

// place is a connection, or a child of it.
type place struct {
	conn  *posture.Connection
	child *posture.Child
}

// sets names what an edit sets.
func (e Edit) sets() string {
	return fmt.Sprintf("%q %d %q %q %q %t", e.File, e.Section, e.Head, e.Path, e.Key, e.Remove)
}

// finding makes the edits of one finding, or leaves it to a person.
func (m *maker) finding(r audit.Result) {
	edits, why := m.edits(r)
	if len(edits) == 0 {
		m.plan.ByHand = append(m.plan.ByHand, ByHand{r.Rule.ID, r.Subject, why, r.Fix})
		return
	}
	for _, e := range edits {
		m.enter(e, r)
	}
}

// enter adds an edit. Two findings that want the same setting make one edit; the
// first value stays where they differ, and the other finding is for a person.
func (m *maker) enter(e Edit, r audit.Result) {
	i, ok := m.made[e.sets()]
	switch {
	case !ok:
		m.made[e.sets()] = len(m.plan.Edits)
		e.Rules = []string{r.Rule.ID}
		m.plan.Edits, m.from = append(m.plan.Edits, e), append(m.from, r)
	case m.plan.Edits[i].Value != e.Value:
		m.plan.ByHand = append(m.plan.ByHand, ByHand{r.Rule.ID, r.Subject, "another finding sets " + e.Key + " to " + m.plan.Edits[i].Value, r.Fix})
	case !slices.Contains(m.plan.Edits[i].Rules, r.Rule.ID):
		m.plan.Edits[i].Rules = append(m.plan.Edits[i].Rules, r.Rule.ID)
	}
}

// failed leaves a finding to a person after all.
func (m *maker) failed(e Edit, why string) {
	r := m.from[m.made[e.sets()]]
	for _, id := range e.Rules {
		b := ByHand{Rule: id, Subject: r.Subject, Why: why}
		if id == r.Rule.ID {
			b.Fix = r.Fix
		}
		m.plan.ByHand = append(m.plan.ByHand, b)
	}
}

// apply makes the new texts, file by file.
func (p *Plan) apply(read Reader, failed func(Edit, string)) {
	files := map[string][]Edit{}
	for _, e := range p.Edits {
		files[e.File] = append(files[e.File], e)
	}
	for _, f := range slices.Sorted(maps.Keys(files)) {
		old := read(f)
		if old == nil {
			for _, e := range files[f] {
				failed(e, "the file is not at hand")
			}
			continue
		}
		p.file(f, old, files[f], failed)
	}
}

// mostEdits of one file is more than anybody would read.
const mostEdits = 5_000

// file applies the edits of one file from its end to its beginning, so that the
// lines of sections above stay where they are; what belongs to no line comes
// last.
func (p *Plan) file(name string, old []byte, edits []Edit, failed func(Edit, string)) {
	slices.SortStableFunc(edits, func(x, y Edit) int { return max(y.Section, y.Line) - max(x.Section, x.Line) })
	patch := Patch{File: name, Old: old}
	t := split(old)
	for i, e := range edits {
		if i >= mostEdits {
			failed(e, "the file needs more changes than anybody would read")
			continue
		}
		if err := t.edit(e); err != nil {
			failed(e, err.Error())
			continue
		}
		patch.Rules = append(patch.Rules, e.Rules...)
	}
	if patch.New = t.join(); !bytes.Equal(patch.New, old) {
		slices.Sort(patch.Rules)
		patch.Rules = slices.Compact(patch.Rules)
		p.Patches = append(p.Patches, patch)
	}
}

// Diff is the change as a unified diff, with the values of secrets taken out.
func (p *Plan) Diff() []byte {
	var out bytes.Buffer
	for _, c := range p.Patches {
		hidden := secretLines(c.Old, p.secrets[c.File])
		for _, text := range [][]byte{c.Old, c.New} {
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimRight(line, "\r\n"); p.tells(line) {
					hidden[line] = true
				}
			}
		}
		out.WriteString("# for " + strings.Join(c.Rules, ", ") + "\n")
		out.Write(diff.Diff(c.File, mask(c.Old, hidden), c.File, mask(c.New, hidden)))
	}
	return out.Bytes()
}

// tells whether a line holds a secret, by its words.
func (p *Plan) tells(line string) bool {
	return secretKey.MatchString(line) || p.values.Replace(line) != line
}

// secretKey is a key that may be of a secret, whether or not it is known as one.
var secretKey = regexp.MustCompile(`(?i)(?:[\w.-]*(?:secret|passw|psk|\bpin\b|passphrase)[\w.-]*"?\s*[:+]?=|(?:^|\s)(?:psk|secret|password|passwd)\s+[^\s=]|:\s*(?:PSK|EAP|XAUTH|RSA|ECDSA|PIN|NTLM|PPK)\b)`)

// keyOfSecret is what may be shown of a line with a secret.
var keyOfSecret = regexp.MustCompile(`(?i)^[\s#;"]*[a-z0-9_.-]*(?:secret|passw|psk|pin|passphrase)[a-z0-9_.-]*"?\s*[:+]?=`)

// secretLines are the lines that hold secrets: those that are known, those that
// look so, and those on which a quoted one goes on.
func secretLines(text []byte, known []int) map[string]bool {
	hidden, at := map[string]bool{}, map[int]bool{}
	for _, n := range known {
		at[n] = true
	}
	n, open := 0, false
	for line := range strings.Lines(string(text)) {
		n++
		if at[n] || open || secretKey.MatchString(line) {
			open = open != (strings.Count(line, `"`)%2 == 1)
			if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" && !sectionHead(line) {
				hidden[line] = true
			}
		}
	}
	return hidden
}

// sectionHead tells the head of a section, or its end, which is no secret.
func sectionHead(line string) bool {
	c := code(line)
	return c == "}" || strings.HasSuffix(c, "{") && !strings.Contains(c, "=")
}

// mask takes the values out of lines.
func mask(text []byte, hidden map[string]bool) []byte {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimRight(line, "\r\n")
		if !hidden[bare] {
			out.WriteString(line)
			continue
		}
		out.WriteString(keyOfSecret.FindString(bare) + " [secret]" + line[len(bare):])
	}
	return []byte(out.String())
}

// Mends tells whether files of a dialect can be patched at all.
func Mends(d posture.Dialect) bool { return len(changes[d]) > 0 }

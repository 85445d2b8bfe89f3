package audit

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// list is the algorithms that one IKE SA or Child SA may have: what most CRY
// rules look at.
type list struct {
	subject  posture.Subject
	protocol suite.Protocol
	value    posture.Value[[]posture.Proposal]
	implicit posture.Value[bool]
}

func ikeList(c *posture.Connection) list {
	return list{c.Subject, suite.ProtocolIKE, c.IKE, c.IKEImplicit}
}

func espList(ch *posture.Child) list {
	return list{ch.Subject, suite.ProtocolESP, ch.ESP, ch.ESPImplicit}
}

// lists visits the list of every connection and of every child in force. A list
// that is not known is not assessable, and not visited.
func (j *judge) lists(visit func(list)) {
	j.anyLists(func(l list) {
		if !l.value.Known() || len(l.value.V) == 0 {
			j.unknown(l.subject, "the files do not tell which algorithms are taken")
			return
		}
		visit(l)
	})
}

// anyLists visits those of which nothing is known, too.
func (j *judge) anyLists(visit func(list)) {
	j.connections(func(c *posture.Connection) {
		visit(ikeList(c))
		for i := range c.Children {
			visit(espList(&c.Children[i]))
		}
	})
}

// byDefault tells whether a proposal is the product's and not the file's.
func (l list) byDefault(p posture.Proposal) bool {
	return l.value.Origin != posture.Explicit || p.Default || p.Text == ""
}

// evidence is the place of one proposal, or of the list as a whole where the
// proposal has none.
func (l list) evidence(p posture.Proposal) Evidence {
	e := evidence(l.value)
	if p.At != (posture.Pos{}) {
		e.At = p.At
	}
	e.Value = p.Text
	if e.Value == "" {
		e.Value = spell(p)
	}
	if p.Default && e.Origin == posture.Explicit {
		e.Origin, e.Why = ownOrigin(p), "added by the product to what is written"
	}
	return e
}

// ownOrigin is where a proposal comes from that the product adds.
func ownOrigin(p posture.Proposal) posture.Origin {
	if p.Inferred {
		return posture.Inferred
	}
	return posture.Default
}

// groupEvidence is the place of a proposal's groups.
func (l list) groupEvidence(p posture.Proposal) Evidence {
	if p.Groups.Known() {
		return evidence(p.Groups)
	}
	return l.evidence(p)
}

// groupsByDefault tells whether the groups of a proposal are the product's,
// though the rest may be written.
func groupsByDefault(p posture.Proposal) bool {
	return p.Groups.Known() && p.Groups.Origin != posture.Explicit
}

// writtenGroups is the same where all but the groups is written.
func (j *judge) writtenGroups(l list) {
	i := slices.IndexFunc(l.value.V, groupsByDefault)
	if i < 0 {
		j.ok(l.subject, evidence(l.value))
		return
	}
	p := l.value.V[i]
	var weak []string
	for _, t := range p.Of(suite.KE) {
		if v := verdictOf(t, l.protocol); !v.ok() && !j.policy.Off(v.rule) {
			weak = append(weak, t.String())
		}
	}
	if len(weak) == 0 {
		j.foundAt(Info, l.subject, evidence(p.Groups), "the groups of %s are not written; the default is sound today", l.protocol)
		return
	}
	j.found(l.subject, evidence(p.Groups), "the groups of %s are not written, and the default in force takes %s", l.protocol, strings.Join(weak, ", "))
}

// spell writes a proposal in keywords.
func spell(p posture.Proposal) string {
	var words []string
	for _, t := range p.Transforms {
		words = append(words, t.String())
	}
	for _, t := range p.AddKE {
		words = append(words, "ke_"+t.String())
	}
	return strings.Join(append(words, p.Unknown...), "-")
}

// hit is a part of a proposal that a rule objects to.
type hit struct {
	word      string
	why       string
	severity  Severity
	group     bool // it is a key exchange, which products may set elsewhere
	byDefault bool
}

// hits are what a rule finds in a list, each word once, and the first proposal
// that has one: a weak thing counts wherever it stands, because the peer or who
// sits between chooses.
func (l list) hits(of func(posture.Proposal) []hit) (all []hit, first posture.Proposal) {
	for _, p := range l.value.V {
		for _, h := range of(p) {
			h.byDefault = h.byDefault || l.byDefault(p) || h.group && groupsByDefault(p)
			if len(all) == 0 {
				first = p
			}
			if !slices.ContainsFunc(all, func(o hit) bool { return o.word == h.word && o.byDefault == h.byDefault }) {
				all = append(all, h)
			}
		}
	}
	return all, first
}

// objections are the transforms of a proposal that a rule is about.
func (l list) objections(rule string) func(posture.Proposal) []hit {
	return func(p posture.Proposal) []hit {
		var out []hit
		for _, t := range p.Transforms {
			if v := verdictOf(t, l.protocol); v.rule == rule {
				out = append(out, hit{word: t.String(), why: v.why, severity: v.severity, byDefault: slices.Contains(p.Implied, t.Type), group: t.Type == suite.KE})
			}
		}
		return out
	}
}

// judgeList says ok or makes one finding of all hits.
func (j *judge) judgeList(l list, of func(posture.Proposal) []hit) {
	all, first := l.hits(of)
	if len(all) == 0 {
		j.ok(l.subject, evidence(l.value))
		return
	}
	worst, e := all[0].severity, l.evidence(first)
	for _, h := range all {
		worst = max(worst, h.severity)
	}
	if !slices.ContainsFunc(all, func(h hit) bool { return !h.group }) {
		e = l.groupEvidence(first)
	}
	if e.Origin == posture.Explicit && !slices.ContainsFunc(all, func(h hit) bool { return !h.byDefault }) {
		e.Origin, e.Why = ownOrigin(first), "the product's own, beside what is written"
	}
	e.Mark = mark(all)
	j.foundAt(j.scaled(worst), l.subject, e, "%s takes %s", l.protocol, describeHits(all))
}

// mark is what is objected to, in whatever order it stands.
func mark(all []hit) string {
	words := hitWords(all)
	slices.Sort(words)
	return algorithms + " " + strings.Join(slices.Compact(words), " ")
}

// describeHits names each, with its reason where it is another than the one
// before, and where it comes from.
func describeHits(all []hit) string {
	var parts []string
	why := ""
	for _, h := range all {
		origin := "explicit"
		if h.byDefault {
			origin = "by default"
		}
		if h.why != why && h.why != "" {
			parts = append(parts, fmt.Sprintf("%s (%s): %s", h.word, origin, h.why))
			why = h.why
			continue
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", h.word, origin))
	}
	return strings.Join(parts, "; ")
}

// scaled is the severity of a case that is by itself better or worse than the
// rule: the policy's word for the rule moves it by as much.
func (j *judge) scaled(s Severity) Severity {
	moved := int(s) + int(j.severity()) - int(j.rule.Severity)
	return Severity(min(max(moved, int(Info)), int(Critical)))
}

// weak judges every list by the verdicts that belong to the rule.
func weak(j *judge) {
	j.lists(func(l list) { j.judgeList(l, l.objections(j.rule.ID)) })
}

// weakest is the least strength among the transforms of one type in a list; 0:
// there is none whose strength is known.
func (l list) weakest(typ suite.TransformType) (bits int, word string) {
	for _, p := range l.value.V {
		for _, t := range p.Of(typ) {
			if b := verdicts[t].bits; b > 0 && (bits == 0 || b < bits) {
				bits, word = b, t.String()
			}
		}
	}
	return bits, word
}

// hosts are the dialects among the rule's that the host has files or products
// of: subjects for a rule about what is not there.
func (j *judge) hosts(yield func(posture.Subject)) {
	has := map[posture.Dialect]posture.Pos{}
	for _, f := range j.host.Files {
		if _, ok := has[f.Dialect]; !ok {
			has[f.Dialect] = posture.Pos{File: f.Path}
		}
	}
	for _, p := range j.host.Products {
		if _, ok := has[p.Dialect]; !ok {
			has[p.Dialect] = p.Version.At
		}
	}
	for _, d := range posture.Dialects() {
		if pos, ok := has[d]; ok && j.rule.Applies(d) {
			yield(posture.Subject{Dialect: d, Kind: "host", Name: j.host.Name, At: pos})
		}
	}
}

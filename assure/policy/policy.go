// Package policy holds the measures that rules judge by: severities, bounds and
// lists of algorithms, as versioned files. A standard's name is used only for
// what its text backs; where a value was taken from a second hand, it says so.
package policy

import (
	"maps"
	"slices"
	"time"

	"sallyport/protocol/suite"
)

// Policy is one measure. It is not changed after it was read.
type Policy struct {
	Name    string
	Version string // a date: "2026-11-26"
	Title   string // one line for a person who chooses
	Basis   string // document and edition; empty for our own judgement

	rules      map[string]Entry
	bounds     map[string]Entry
	algorithms map[suite.TransformType]Entry
}

// Entry is one value of a policy, and what backs it.
type Entry struct {
	Severity string        // of a rule: info to critical, or off
	Number   int           // of a bound
	Duration time.Duration // of a bound in time
	Allow    []string      // of a list: keywords of package suite

	Clause  string  // section of the basis
	Checked Checked // how well it is backed
}

// Checked says how a value was taken from the document that it is said to be of.
type Checked string

// A value of a policy of our own needs no backing; the others say whether the
// text itself was read.
const (
	Own        Checked = "own"         // our judgement
	Text       Checked = "text"        // read in the text itself
	SecondHand Checked = "second-hand" // from a page or tool that quotes the text
)

// Severity is the word that the policy gives a rule; ok is false where it has
// no opinion. "off" is for a rule that is not judged.
func (p *Policy) Severity(rule string) (word string, ok bool) {
	e, ok := p.rules[rule]
	return e.Severity, ok
}

// Off tells whether a rule is not judged.
func (p *Policy) Off(rule string) bool { return p.rules[rule].Severity == "off" }

// The bounds that rules ask for. A policy that does not name one has that of
// the default policy.
const (
	IKELife      = "ike-life"      // longest life of an IKE SA
	ChildLife    = "child-life"    // longest life of a Child SA
	ReplayWindow = "replay-window" // packets, at least
	PSKBits      = "psk-bits"      // estimated strength of a pre-shared key, at least
	PSKLength    = "psk-length"    // octets, at least
	SecretAge    = "secret-age"    // oldest shared secret
	RADIUSLength = "radius-length" // octets of a RADIUS secret, at least
	RSABits      = "rsa-bits"      // below: finding of CRY-020
	GroupBits    = "group-bits"    // strength of a key exchange, at least (CRY-009)
	FragmentSize = "fragment-size" // octets of an IKE fragment's IP packet, at most
	PPPMTU       = "ppp-mtu"       // of L2TP over IPsec, at most
	CertLeft     = "cert-left"     // life that a certificate should have left
	CertLife     = "cert-life"     // longest whole life of a certificate that is no authority's
	LogRetention = "log-retention" // at least
	DataAge      = "data-age"      // of the vulnerability data, at most
	IdleAccount  = "idle-account"  // time without a login
	FullTunnel   = "full-tunnel"   // 1: split tunnels are findings
	HybridKE     = "hybrid-ke"     // 1: a missing post-quantum key exchange is a finding and not only an axis
	EqualGroups  = "equal-groups"  // 1: the child's group must be the IKE SA's (RFC 9206)
)

// unit is what a bound counts.
type unit uint8

const (
	octetsOrPackets unit = iota // a plain number
	timeSpan
	yesOrNo // 0 or 1
)

var units = map[string]unit{
	IKELife: timeSpan, CertLife: timeSpan, ChildLife: timeSpan, SecretAge: timeSpan, CertLeft: timeSpan, LogRetention: timeSpan, DataAge: timeSpan, IdleAccount: timeSpan,
	ReplayWindow: octetsOrPackets, PSKBits: octetsOrPackets, PSKLength: octetsOrPackets, RADIUSLength: octetsOrPackets, RSABits: octetsOrPackets,
	GroupBits: octetsOrPackets, FragmentSize: octetsOrPackets, PPPMTU: octetsOrPackets,
	FullTunnel: yesOrNo, HybridKE: yesOrNo, EqualGroups: yesOrNo,
}

// Bounds lists the names of bounds.
func Bounds() []string { return slices.Sorted(maps.Keys(units)) }

// Number is a bound without a unit of time.
func (p *Policy) Number(name string) int { return p.bound(name).Number }

// Duration is a bound in time.
func (p *Policy) Duration(name string) time.Duration { return p.bound(name).Duration }

// Bounds tells whether the policy has a bound of its own, and not the default's.
func (p *Policy) Bounds(name string) bool {
	_, ok := p.bounds[name]
	return ok
}

func (p *Policy) bound(name string) Entry {
	if e, ok := p.bounds[name]; ok {
		return e
	}
	return Default().bounds[name]
}

// Lists tells whether the policy has a list of its own for a type of transform.
func (p *Policy) Lists(t suite.TransformType) bool {
	_, ok := p.algorithms[t]
	return ok
}

// Allowed are the keywords of the policy's list of a type; nil without one.
func (p *Policy) Allowed(t suite.TransformType) []string { return p.algorithms[t].Allow }

// Allows tells whether a transform is on the policy's list; without a list,
// everything is.
func (p *Policy) Allows(t suite.Transform) bool {
	list, ok := p.algorithms[t.Type]
	if !ok {
		return true
	}
	a, ok := suite.Lookup(t)
	return ok && slices.ContainsFunc(list.Allow, func(word string) bool { return word == a.Keyword || a.Alias != "" && word == a.Alias })
}

// Line is one value of a policy with its name, for showing it.
type Line struct {
	Key     string  `json:"key"` // "rules.CRY-009", "bounds.ike-life", "algorithms.encr"
	Value   string  `json:"value"`
	Clause  string  `json:"clause,omitempty"`
	Checked Checked `json:"checked"`
}

// Lines are all values that the policy names itself, sorted by key.
func (p *Policy) Lines() []Line {
	var all []Line
	for id, e := range p.rules {
		all = append(all, Line{"rules." + id, e.Severity, e.Clause, e.Checked})
	}
	for name, e := range p.bounds {
		all = append(all, Line{"bounds." + name, e.value(units[name]), e.Clause, e.Checked})
	}
	for t, e := range p.algorithms {
		all = append(all, Line{"algorithms." + t.String(), list(e.Allow), e.Clause, e.Checked})
	}
	slices.SortFunc(all, func(a, b Line) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return all
}

// SecondHand counts the values that were not read in the text itself.
func (p *Policy) SecondHand() (second, all int) {
	for _, l := range p.Lines() {
		all++
		if l.Checked == SecondHand {
			second++
		}
	}
	return second, all
}

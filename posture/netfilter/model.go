package netfilter

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
)

// verdict is what a rule does with a packet.
type verdict uint8

const (
	next      verdict = iota // the next rule
	accept                   // the end of this base chain
	drop                     // the end
	jump                     // another chain, and back
	follow                   // another chain, and not back: goto
	back                     // return
	translate                // the source address is changed
	queue                    // a program decides
)

// match is one condition of a rule. A packet meets it if one of the tuples does,
// each of whose values belongs to the selector of the same place.
type match struct {
	selectors []string
	tuples    [][]string
	not       bool
}

func is(selector string, values ...string) match {
	m := match{selectors: []string{selector}}
	for _, v := range values {
		m.tuples = append(m.tuples, []string{v})
	}
	return m
}

// unclear is a condition that cannot be judged.
func unclearMatch() match { return is("?", "?") }

// branch is an element of a verdict map.
type branch struct {
	tuple   []string
	verdict verdict
	target  string
}

type rule struct {
	at       posture.Pos
	text     string
	matches  []match
	verdict  verdict
	target   string // chain of jump and follow
	switched []string
	branches []branch // of a verdict map on the selectors in switched
	mapName  string   // of a named one
	logs     bool
	clamps   bool
}

type chain struct {
	table    string // with the family: "inet filter"
	name     string
	hook     string // of a base chain
	kind     string // "filter", "nat", "route"
	priority int
	policy   verdict
	at       posture.Pos
	policyAt posture.Pos // of the written policy
	rules    []*rule
}

func (c *chain) family() string { return strings.SplitN(c.table, " ", 2)[0] }

// sees tells whether packets of a version of IP come through the chain.
func (c *chain) sees(v6 bool) bool {
	switch c.family() {
	case "inet":
		return true
	case "ip":
		return !v6
	case "ip6":
		return v6
	}
	return false // bridge, netdev and arp do not see what is routed
}

// ruleset is everything of one dialect on one host.
type ruleset struct {
	dialect posture.Dialect
	at      posture.Pos // of the first file
	chains  []*chain
	byName  map[string]*chain // "inet filter input"
	sets    map[string][][]string
	maps    map[string][]branch
	whole   bool // nothing else filters on this host: the rest is the kernel's default
	rules   int

	outside map[string]bool // interfaces that addresses are translated on
	trusted map[string]bool // interfaces from which all is taken

	tunnels      []netip.Prefix // networks on this side of tunnels
	pools        []netip.Addr   // the first address of each pool of clients
	tunnelsKnown bool           // an IKE daemon's files were read
}

func newRuleset(d posture.Dialect) *ruleset {
	return &ruleset{dialect: d, byName: map[string]*chain{}, sets: map[string][][]string{}, maps: map[string][]branch{}}
}

// chain finds a chain, or makes it.
func (s *ruleset) chain(table, name string, at posture.Pos) *chain {
	key := table + " " + name
	c := s.byName[key]
	if c == nil {
		c = &chain{table: table, name: name, at: at, policy: accept}
		s.byName[key] = c
		s.chains = append(s.chains, c)
	}
	return c
}

// add appends a rule, as long as there are not too many.
func (s *ruleset) add(c *chain, r *rule) bool {
	if s.rules >= mostRules {
		return false
	}
	s.rules++
	c.rules = append(c.rules, r)
	return true
}

// hooked are the base chains of a hook, in the order in which packets see them.
func (s *ruleset) hooked(v6 bool, kind string, hooks ...string) []*chain {
	var found []*chain
	for _, c := range s.chains {
		if c.sees(v6) && slices.Contains(hooks, c.hook) && (c.kind == "nat") == (kind == "nat") {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *chain) int {
		return cmp.Or(cmp.Compare(slices.Index(hooks, a.hook), slices.Index(hooks, b.hook)), cmp.Compare(a.priority, b.priority))
	})
	return found
}

// interfaces finds which interfaces are which: addresses are translated towards
// the outside, and all is taken only from the inside.
func (s *ruleset) interfaces() {
	s.outside, s.trusted = map[string]bool{}, map[string]bool{}
	for _, c := range s.chains {
		for _, r := range c.rules {
			for _, m := range r.matches {
				switch {
				case m.not || len(m.selectors) != 1:
				case r.verdict == translate && m.selectors[0] == "oif":
					mark(s.outside, m.tuples)
				case r.verdict == accept && m.selectors[0] == "iif" && len(r.matches) == 1:
					mark(s.trusted, m.tuples)
				}
			}
		}
	}
}

// mostInterfaces is what is kept of outside interfaces; one or two are usual.
const mostInterfaces = 64

func mark(set map[string]bool, tuples [][]string) {
	for _, t := range tuples {
		if t[0] != "*" && t[0] != "+" && len(set) < mostInterfaces {
			set[t[0]] = true
		}
	}
}

// learn takes over the networks whose packets go into tunnels. Those from
// anywhere, of remote access, come from no network that a rule could name.
func (s *ruleset) learn(h *posture.Host) {
	for _, c := range h.Connections {
		s.tunnelsKnown = true
		for _, word := range c.Pool.V {
			if first, _, ok := network(word); ok && !c.Disabled {
				s.pools = append(s.pools, first)
			}
		}
		for _, child := range c.Children {
			if c.Disabled || child.L2TP || posture.Is(child.Transport, true) {
				continue
			}
			for _, ts := range child.LocalTS.V {
				ts, _, _ = strings.Cut(ts, "[") // strongSwan's protocol and port
				if p, err := netip.ParsePrefix(ts); err == nil && p.Bits() > 0 {
					s.tunnels = append(s.tunnels, p)
				}
			}
		}
	}
}

// remark is the comment of a rule, in both languages, and a text that packets are
// compared with: words of people, which may be secrets.
var remark = regexp.MustCompile(`(--comment|[^-]\bcomment|--string|--hex-string)\s+(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'-]\S*)`)

// uncommented is a rule as a report may show it.
func uncommented(rule string) string { return remark.ReplaceAllString(rule, `$1 "..."`) }

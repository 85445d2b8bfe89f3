package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// Seen is what hosts use today, to make a policy of it that tells when something
// else comes in.
type Seen struct {
	words       map[suite.TransformType]map[string]bool
	ike, child  time.Duration
	connections int
}

// Add enters a host.
func (s *Seen) Add(h *posture.Host) {
	for i := range h.Connections {
		c := &h.Connections[i]
		if c.Disabled {
			continue
		}
		s.connections++
		s.proposals(c.IKE.V)
		s.ike = max(s.ike, c.IKELife.V)
		for k := range c.Children {
			s.proposals(c.Children[k].ESP.V)
			s.child = max(s.child, c.Children[k].Life.V)
		}
	}
}

// Connections is how many were entered.
func (s *Seen) Connections() int { return s.connections }

func (s *Seen) proposals(list []posture.Proposal) {
	if s.words == nil {
		s.words = map[suite.TransformType]map[string]bool{}
	}
	for _, p := range list {
		for _, t := range slices.Concat(p.Transforms, p.AddKE) {
			a, ok := suite.Lookup(t)
			if !ok || a.Keyword == "modpnone" {
				continue
			}
			if s.words[t.Type] == nil {
				s.words[t.Type] = map[string]bool{}
			}
			s.words[t.Type][a.Keyword] = true
		}
	}
}

// Policy writes the file of a policy that allows what was seen and no more.
// Broken algorithms stay findings of their own rules, whatever was seen.
func (s *Seen) Policy(name string, now time.Time) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nversion: %q\ntitle: What was in use on %s\n", name, now.Format(time.DateOnly), now.Format(time.DateOnly))
	if s.ike > 0 || s.child > 0 {
		b.WriteString("bounds:\n")
		writeSpan(&b, IKELife, s.ike)
		writeSpan(&b, ChildLife, s.child)
	}
	b.WriteString("algorithms:\n")
	for _, t := range []suite.TransformType{suite.Encr, suite.PRF, suite.Integ, suite.KE} {
		fmt.Fprintf(&b, "  %s: {allow: [%s]}\n", t, strings.Join(slices.Sorted(maps.Keys(s.words[t])), ", "))
	}
	return []byte(b.String())
}

func writeSpan(b *strings.Builder, name string, d time.Duration) {
	if d > 0 {
		fmt.Fprintf(b, "  %s: {value: %s}\n", name, Entry{Duration: d}.value(timeSpan))
	}
}

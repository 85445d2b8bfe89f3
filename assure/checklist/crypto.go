package checklist

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/assure/policy"
	"sallyport/config"
	"sallyport/gateway"
	"sallyport/protocol/suite"
)

// weak are the words of a suite that are taken by a waiver alone, such as sha1.
func weak(text string) (found []string) {
	for word := range strings.SplitSeq(text, "-") {
		if a, ok := suite.ByKeyword(word); ok && !a.Usable() {
			found = append(found, word)
		}
	}
	return found
}

// isAEAD tells whether a suite needs no hash to protect its packets.
func isAEAD(text string) bool {
	for word := range strings.SplitSeq(text, "-") {
		if a, ok := suite.ByKeyword(word); ok && a.Type == suite.Integ {
			return false
		}
	}
	return true
}

// policies tells which zones could agree on something else than SHA-2 and an
// AEAD. AES-CBC with SHA-2 is for clients that have no AEAD, and stands last.
func policies(s *Seen) []Fact {
	var facts []Fact
	for _, z := range s.Config.Zones {
		all := slices.Concat(z.Policy.IKE, z.Policy.ESP)
		var found []string
		for _, p := range all {
			found = append(found, weak(p)...)
		}
		f := Fact{What: "zone " + z.Name, Value: "AEAD and SHA-2 alone", Standing: OK, Source: File}
		if slices.ContainsFunc(all, func(p string) bool { return !isAEAD(p) }) {
			f.Value = "AEAD and SHA-2, and AES-CBC with SHA-2 for clients without"
		}
		if z.Policy.Name != "" {
			f.Value += " (policy " + z.Policy.Name + ")"
		}
		if len(found) > 0 {
			f.Standing, f.Value, f.Do = NotMet, "also takes "+names(found), []string{fmt.Sprintf("zones.%s.policy: strong", z.Name)}
			if z.Protocol == config.L2TP {
				f.Do = []string{"sallyport migrate plan"}
			}
		}
		facts = append(facts, f)
	}
	return facts
}

// counted lists texts with how often each occurs, most first.
func counted(n map[string]int) string {
	keys := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	var list []string
	for _, k := range keys {
		list = append(list, fmt.Sprintf("%d %s", n[k], k))
	}
	if len(list) > mostNames {
		list = append(list[:mostNames], fmt.Sprintf("%d more", len(list)-mostNames))
	}
	return strings.Join(list, ", ")
}

// suites are what the live sessions have agreed on.
func suites(s *Seen) []Fact {
	if len(s.Sessions) == 0 {
		return []Fact{{What: "suites in use", Value: "no session is up", Standing: Unassessable, Source: Live}}
	}
	ike, esp := map[string]int{}, map[string]int{}
	var old, cbc []string
	for _, v := range s.Sessions {
		all := []string{v.IKE}
		ike[v.IKE]++
		for _, c := range current(v) {
			esp[c.ESP]++
			all = append(all, c.ESP)
		}
		if slices.ContainsFunc(all, func(text string) bool { return len(weak(text)) > 0 }) {
			old = append(old, v.Device)
		} else if slices.ContainsFunc(all, func(text string) bool { return !isAEAD(text) }) {
			cbc = append(cbc, v.Device)
		}
	}
	facts := []Fact{
		{What: "IKE in use", Value: counted(ike), Standing: OK, Source: Live},
		{What: "ESP in use", Value: counted(esp), Standing: OK, Source: Live},
	}
	for _, c := range []struct {
		what string
		list []string
	}{{"with SHA-1", old}, {"without AEAD", cbc}} {
		if len(c.list) > 0 {
			facts = append(facts, Fact{What: "live sessions", Value: fmt.Sprintf("%d of %d %s: %s", len(c.list), len(s.Sessions), c.what, names(c.list)), Standing: NotMet, Source: Live,
				Do: []string{"sallyport device profile NAME --for CLIENT"}})
		}
	}
	return facts
}

// current are the Child SAs of a session that no rekey has replaced.
func current(v gateway.SessionInfo) []gateway.ChildInfo {
	return slices.DeleteFunc(slices.Clone(v.Children), func(c gateway.ChildInfo) bool { return c.Replaced })
}

// oldProtocol tells of IKEv1: what is let in, and what was turned away.
func oldProtocol(s *Seen) []Fact {
	var facts []Fact
	for _, z := range s.Config.Zones.Of(config.L2TP) {
		f := Fact{What: "zone " + z.Name, Value: "is reached by IKEv1 and L2TP, without end", Standing: Problem, Source: File,
			Do: []string{fmt.Sprintf("zones.%s.cutoff: %s", z.Name, s.Now.UTC().AddDate(0, 6, 0).Format(time.DateOnly)), "sallyport migrate plan"}}
		if !z.Cutoff.IsZero() {
			f.Standing, f.Value = NotMet, fmt.Sprintf("is reached by IKEv1 and L2TP until %s (%s)", z.Cutoff.Format(time.DateOnly), left(z.Cutoff.AddDate(0, 0, 1), s.Now))
			f.Do = []string{"sallyport migrate plan"}
		}
		facts = append(facts, f)
	}
	if facts == nil {
		facts = []Fact{{What: "IKEv1", Value: "off: no zone is reached by L2TP", Standing: OK, Source: File}}
	}
	away := uint64(0)
	for _, n := range s.Status.TurnedAway {
		away += n
	}
	if away > 0 {
		facts = append(facts, Fact{What: "IKEv1 turned away", Value: fmt.Sprintf("%d set-ups since the start", away), Standing: OK, Source: Live})
	}
	return facts
}

// groups are the key exchanges of the live IKE SAs.
func groups(s *Seen) []Fact {
	if len(s.Sessions) == 0 {
		return []Fact{{What: "groups in use", Value: "no session is up", Standing: Unassessable, Source: Live}}
	}
	used := map[string]int{}
	var weak []string
	for _, v := range s.Sessions {
		for word := range strings.SplitSeq(v.IKE, "-") {
			a, ok := suite.ByKeyword(word)
			if !ok || a.Type != suite.KE {
				continue
			}
			used[word]++
			if !a.Usable() {
				weak = append(weak, v.Device)
			}
		}
	}
	f := Fact{What: "groups in use", Value: counted(used), Standing: OK, Source: Live}
	if len(weak) > 0 {
		f.Standing = Problem
		f.Value += "; weak: " + names(weak)
		f.Do = []string{"sallyport sessions kick ID"}
	}
	return []Fact{f}
}

// forwardSecrecy counts live sessions whose Child SAs have no key exchange of
// their own. The first one of an IKEv2 session never has, so that it shows at a
// rekey.
func forwardSecrecy(s *Seen) []Fact {
	var without, unseen []string
	for _, v := range s.Sessions {
		if slices.Contains(v.Waivers, config.RuleNoPFS) {
			without = append(without, v.Device)
		}
		if slices.Contains(v.WaiversUnknown, config.RuleNoPFS) {
			unseen = append(unseen, v.Device)
		}
	}
	var facts []Fact
	if len(s.Sessions) > len(unseen) {
		facts = append(facts, Fact{What: "forward secrecy", Value: fmt.Sprintf("%d of %d live sessions without", len(without), len(s.Sessions)), Standing: OK, Source: Live})
		if len(without) > 0 {
			facts[0].Standing = NotMet
			facts[0].Value += ": " + names(without)
		}
	}
	if len(unseen) > 0 {
		facts = append(facts, Fact{What: "forward secrecy", Value: fmt.Sprintf("%d sessions tell at their first rekey: %s", len(unseen), names(unseen)), Standing: Unassessable, Source: Live,
			Do: []string{"sallyport sessions rekey ID"}})
	}
	return facts
}

func secretAge() time.Duration { return policy.Default().Duration(policy.SecretAge) }
func certLeft() time.Duration  { return policy.Default().Duration(policy.CertLeft) }

package checklist

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sallyport/assure/audit"
	"sallyport/config"
)

// bears tells whether a rule is about an item.
func bears(rule, item string) bool {
	r, ok := audit.ByID(rule)
	return ok && slices.Contains(r.Checks, item)
}

// waivers are those in force that bear on an item, with who uses them now.
func waivers(s *Seen, item string) []Fact {
	var facts []Fact
	for _, z := range s.Config.Zones {
		for _, w := range z.Waivers {
			if !bears(w.Rule, item) {
				continue
			}
			used := 0
			for _, v := range s.Sessions {
				if v.Zone == z.Name && slices.Contains(v.Waivers, w.Rule) {
					used++
				}
			}
			f := Fact{What: fmt.Sprintf("waiver of %s in zone %s", w.Rule, z.Name), Standing: NotMet, Source: File,
				Value: fmt.Sprintf("by %q until %s (%s), used by %d of %s", w.Owner, w.Until.Format(time.DateOnly), left(w.Until.AddDate(0, 0, 1), s.Now), used, plural(len(s.Sessions), "live session"))}
			if used == 0 {
				f.Do = []string{fmt.Sprintf("remove it from zones.%s.waivers when nobody needs it", z.Name)}
			}
			facts = append(facts, f)
		}
	}
	return facts
}

// mostFindings is how many findings an item shows, the worst first.
const mostFindings = 10

// audited is what the audit of the configuration says of an item: how many rules
// hold, and each finding with what to write.
func audited(s *Seen, item string) []Fact {
	var found []audit.Result
	good, unknown := 0, 0
	for _, r := range s.Results {
		if !slices.Contains(r.Rule.Checks, item) {
			continue
		}
		switch {
		case r.Outcome == audit.OK:
			good++
		case r.Outcome == audit.Unassessable:
			unknown++
		case r.Severity > audit.Info:
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b audit.Result) int { return cmp.Compare(b.Severity, a.Severity) })
	if good+unknown+len(found) == 0 {
		return nil
	}
	f := Fact{What: "audit of the configuration", Value: fmt.Sprintf("%s fine, %s, %d not assessable", plural(good, "check"), plural(len(found), "finding"), unknown), Standing: OK, Source: Audited}
	if good+len(found) == 0 {
		f.Standing = Unassessable
	}
	facts := []Fact{f}
	for i := range found[:min(len(found), mostFindings)] {
		facts = append(facts, finding(s, &found[i]))
	}
	return facts
}

// finding is a fact of its own: a problem when it is high and nobody answers for
// it.
func finding(s *Seen, r *audit.Result) Fact {
	f := Fact{What: r.Rule.ID, Standing: NotMet, Source: Audited, Do: []string{r.Fix},
		Value: fmt.Sprintf("%s, %s %q at %s: %s", r.Severity, r.Subject.Kind, r.Subject.Name, place(r), r.Detail)}
	switch {
	case r.WaivedAt(s.Now):
		f.Value += fmt.Sprintf("; waived until %s", r.Waived.Expires.Format(time.DateOnly))
	case r.Severity >= audit.High && !s.ends(r):
		f.Standing = Problem
	}
	return f
}

func place(r *audit.Result) string {
	if r.Evidence.At.Line == 0 {
		return r.Evidence.At.File
	}
	return fmt.Sprintf("%s:%d", r.Evidence.At.File, r.Evidence.At.Line)
}

// ends tells whether a finding is what an L2TP zone is, and the zone has a last
// day.
func (s *Seen) ends(r *audit.Result) bool {
	z, ok := zoneOf(s.Config, r.Subject.Name)
	return ok && r.Rule.ID == "CRY-012" && z.Protocol == config.L2TP && !z.Cutoff.IsZero()
}

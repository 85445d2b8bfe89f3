package checklist

import (
	"fmt"
	"time"

	"sallyport/gateway"
)

// selfAudit tells what the gateway found in its configuration when it took it.
func selfAudit(s *Seen) []Fact {
	if s.Status.Loaded.IsZero() {
		return []Fact{{What: "audit at the start", Value: "not told", Standing: Unassessable, Source: Live}}
	}
	f := Fact{What: "audit at the start", Value: fmt.Sprintf("the configuration of %s was audited when it was taken, with %s that are high", s.Status.Loaded.UTC().Format(time.DateTime), plural(len(s.Status.Findings), "finding")), Standing: OK, Source: Live}
	return []Fact{f}
}

// unread tells whether the file is another one than what is in force.
func unread(s *Seen) []Fact {
	if s.Status.Loaded.IsZero() || s.Written.IsZero() || !s.Written.After(s.Status.Loaded) {
		return nil
	}
	return []Fact{{What: "configuration", Value: "the file was changed after the gateway read it; what is said of the configuration here is of the file", Standing: Problem, Source: Live, Do: []string{"sallyport reload"}}}
}

// recent is how far back refusals are looked at.
const recent = aDay

// manyRefusals of one address in a day are no typing error.
const manyRefusals = 50

// refusals counts what was refused, and finds who tries again and again.
func refusals(s *Seen) []Fact {
	total, by := 0, map[string]int{}
	for _, r := range s.Refusals {
		if s.Now.Sub(r.Last) < recent {
			total += r.Times
			by[r.Remote.String()] += r.Times
		}
	}
	f := Fact{What: "refusals of a day", Value: fmt.Sprintf("%d, from %d addresses", total, len(by)), Standing: OK, Source: Live}
	if total > 0 {
		f.Value += ": " + counted(by)
	}
	for addr, n := range by {
		if n >= manyRefusals {
			f.Standing = Problem
			f.Do = []string{"sallyport status", "block " + addr + " on the host's firewall, if nobody knows it"}
		}
	}
	return []Fact{f}
}

// health tells of faults of the gateway's own.
func health(s *Seen) []Fact {
	e := s.Status.Engine
	if e == nil {
		return nil
	}
	failed := uint64(0)
	for _, n := range e.Errors {
		failed += n
	}
	f := Fact{What: "faults", Value: fmt.Sprintf("%d sessions ended in a panic, %d operations failed since the start", e.Panics, failed), Standing: OK, Source: Live}
	if e.Panics > 0 {
		f.Standing = Problem
		f.Do = []string{"look for the stack in the log, and report it"}
	}
	return []Fact{f}
}

// servers tells whether RADIUS servers answer and records arrive.
func servers(s *Seen) []Fact {
	var facts []Fact
	for _, r := range s.Status.RADIUS {
		f := Fact{What: "RADIUS " + r.Name, Value: "no record was lost", Standing: OK, Source: Live}
		if q := r.Queue; q == nil {
			f.Value = "sessions are not accounted"
		} else {
			f.Value = fmt.Sprintf("%d records delivered, %d waiting, %d lost", q.Delivered, q.Waiting, q.Lost)
			if q.Lost > 0 || !q.Failing.IsZero() {
				f.Standing = Problem
			}
		}
		for _, list := range [][]string{dead(r.Servers), dead(r.Collectors)} {
			for _, name := range list {
				f.Standing = Problem
				f.Value += "; " + name + " does not answer"
			}
		}
		if f.Standing == Problem {
			f.Do = []string{"sallyport status"}
		}
		facts = append(facts, f)
	}
	return facts
}

// export: events stay on this host.
func export(s *Seen) []Fact {
	return []Fact{{What: "export to a SIEM", Value: fmt.Sprintf("this version has none: events are lines of the log (level %s, %s) on stderr, for the host to carry on", s.Config.Logging.Level, s.Config.Logging.Format), Standing: NotMet, Source: Product}}
}

// intrusion: nobody is alerted.
func intrusion(*Seen) []Fact {
	return []Fact{{What: "intrusion detection", Value: "this version has no signatures, alerts or drills", Standing: NotMet, Source: Product}}
}

// dead are the servers that do not answer.
func dead(list []gateway.RADIUSServer) []string {
	var names []string
	for _, r := range list {
		if r.Dead {
			names = append(names, r.Name)
		}
	}
	return names
}

package audit

import "testing"

func TestAnAOnFewAnswersIsInBrackets(t *testing.T) {
	results := func(ok, missing int, found ...Severity) Grade {
		a := New(Options{})
		rule := &Rule{ID: "CRY-018"}
		for range ok {
			a.Results = append(a.Results, Result{Rule: rule, Outcome: OK})
		}
		for range missing {
			a.Results = append(a.Results, Result{Rule: rule, Outcome: Unassessable})
		}
		for _, s := range found {
			a.Results = append(a.Results, Result{Rule: rule, Outcome: Found, Severity: s})
		}
		return a.Grade()
	}
	unread := func(ok int) Grade {
		a := New(Options{})
		rule := &Rule{ID: "CRY-018"}
		a.Results = append(a.Results, Result{Rule: rule, Outcome: Unassessable, unread: true})
		for range ok {
			a.Results = append(a.Results, Result{Rule: rule, Outcome: OK})
		}
		return a.Grade()
	}
	for _, c := range []struct {
		grade     Grade
		text, why string
	}{
		{unread(50), "(A)", "in brackets: a file could not be read"},
		{results(1, 0), "(A)", "in brackets: it rests on 1 answer alone"},
		{results(9, 0), "(A)", "in brackets: it rests on 9 answers alone"},
		{results(10, 0), "A", ""},
		{results(10, 5), "(A)", "in brackets: 5 of 15 answers are missing"},
		{results(1, 0, High), "C", ""},
		{results(0, 3), "-", ""},
	} {
		if c.grade.String() != c.text || c.grade.Missing() != c.why {
			t.Errorf("%s, %q; want %s, %q", c.grade, c.grade.Missing(), c.text, c.why)
		}
	}
}

func TestALimitOfNothingIsNone(t *testing.T) {
	for v, want := range map[uint64]string{0: "none", 1 << 30: "1073741824"} {
		if got := text(v); got != want {
			t.Errorf("%d is shown as %q", v, got)
		}
	}
}

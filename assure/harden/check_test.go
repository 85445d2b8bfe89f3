package harden_test

import (
	"testing"

	"sallyport/assure/audit"
	"sallyport/assure/harden"
	"sallyport/posture"
)

func TestAPatchThatDoesNotEndAFindingSaysSo(t *testing.T) {
	rule := func(id string) *audit.Rule {
		r, ok := audit.ByID(id)
		if !ok {
			t.Fatal(id)
		}
		return r
	}
	gw := posture.Subject{Dialect: posture.Swanctl, Kind: "connection", Name: "gw", At: posture.Pos{File: "a", Line: 2}}
	moved := gw
	moved.At.Line = 9
	found := func(id string, s posture.Subject) audit.Result {
		return audit.Result{Rule: rule(id), Outcome: audit.Found, Subject: s, Fix: "fix of " + id}
	}
	waived := found("CRY-012", moved)
	waived.Waived = &audit.Waiver{}
	p := &harden.Plan{ByHand: []harden.ByHand{{Rule: "KEY-010", Subject: gw}}}
	p.Check([]audit.Result{found("CRY-005", gw), found("CRY-008", gw), found("KEY-010", gw)},
		[]audit.Result{found("CRY-008", moved), found("KEY-010", moved), found("CRY-011", moved), found("CRY-011", gw), waived, {Rule: rule("CRY-005"), Outcome: audit.OK, Subject: moved}})
	if len(p.ByHand) != 3 {
		t.Fatalf("%+v", p.ByHand)
	}
	for i, want := range []harden.ByHand{{Rule: "CRY-008", Why: "the patch does not end it"}, {Rule: "CRY-011", Why: "with the patch there is this, too"}} {
		if got := p.ByHand[i+1]; got.Rule != want.Rule || got.Why != want.Why || got.Fix != "fix of "+want.Rule || got.Subject.Name != "gw" {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

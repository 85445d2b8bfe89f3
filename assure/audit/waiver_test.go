package audit

import (
	"testing"
	"time"

	"sallyport/posture"
)

func TestAHostsOwnWaiverCoversItsZone(t *testing.T) {
	until := time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)
	h := &posture.Host{Name: "gw", Waivers: []posture.Waiver{
		{Dialect: posture.Sallyport, Rule: "CRY-010", Subject: "old", Owner: "bob", Until: until},
		{Dialect: posture.Sallyport, Rule: "PSK-003", Subject: "old", Peer: "one", Owner: "bob", Until: until},
	}}
	for _, c := range []struct {
		rule, zone string
		dialect    posture.Dialect
		want       bool
	}{
		{"CRY-010", "old", posture.Sallyport, true},
		{"CRY-010", "staff", posture.Sallyport, false},
		{"CRY-010", "old", posture.Swanctl, false},
		{"CRY-005", "old", posture.Sallyport, false},
		{"PSK-003", "old", posture.Sallyport, false},
	} {
		r := &Result{Rule: &Rule{ID: c.rule}, Subject: posture.Subject{Dialect: c.dialect, Name: c.zone}}
		w := ownWaiver(h, r)
		if (w != nil) != c.want {
			t.Errorf("%s of %s %s: %+v", c.rule, c.dialect, c.zone, w)
		}
		if w != nil && (w.Owner != "bob" || !w.Expires.Equal(until)) {
			t.Errorf("waiver: %+v", w)
		}
	}
}

func TestAWaiverInForceGoesBeforeOneThatHasEnded(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	ended := Waiver{Rule: "CRY-010", Subject: "*", Owner: "alice", Expires: now.AddDate(0, -1, 0)}
	inForce := Waiver{Rule: "CRY-010", Subject: "gw", Owner: "bob", Expires: now.AddDate(0, 1, 0)}
	r := &Result{Rule: &Rule{ID: "CRY-010"}, Subject: posture.Subject{Name: "gw"}}
	for owner, waivers := range map[string][]Waiver{"bob": {ended, inForce}, "alice": {ended}} {
		if w := New(Options{Now: now, Waivers: waivers}).waiver(r); w == nil || w.Owner != owner {
			t.Errorf("%s does not answer for it, but %+v", owner, w)
		}
	}
}

//go:build !nolegacy

package gateway

import (
	"slices"
	"testing"
	"time"
)

// TestAWaiverOfSHA1EndsOnItsDay in a gateway that runs: nobody reloads it for that.
func TestAWaiverOfSHA1EndsOnItsDay(t *testing.T) {
	g := newGateway(t, l2tpZones+"    waivers: [{rule: CRY-005, until: "+nextMonth()+", owner: alice, reason: \"Windows\"}]\n")
	r, err := g.room(g.realm.Load(), g.realm.Load().zones["printers"])
	if err != nil {
		t.Fatal(err)
	}
	sha1Of := func(at time.Time) (of, all int) {
		p := r.now(at).IKE
		for _, o := range slices.Concat(p.Phase1, p.Phase2) {
			all++
			if slices.ContainsFunc(o.Transforms, isSHA1) {
				of++
			}
		}
		return of, all
	}
	if of, all := sha1Of(time.Now()); of != 5 || all != 8 {
		t.Errorf("while the waiver lasts %d of %d proposals have SHA-1, want 5 of 8", of, all)
	}
	if of, all := sha1Of(time.Now().AddDate(0, 3, 0)); of != 0 || all != 3 {
		t.Errorf("afterwards %d of %d proposals have SHA-1, want 0 of 3", of, all)
	}
}

package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/assure/audit"
	"sallyport/config"
	"sallyport/posture/own"
)

const withGroupKey = `gateway: {name: vpn.example.org}
zones:
  old:
    protocol: l2tp
    cutoff: 2027-03-31
    machine: [psk]
    auth: [peap]
    pool: {ipv4: 10.62.0.0/24}
    reach: [10.9.0.0/24]
    group_psk: /etc/group.psk
    waivers:
      - {rule: PSK-003, until: 2027-03-31, owner: alice, reason: old routers}
      - {rule: PSK-002, until: 2027-03-31, owner: bob, reason: cannot be set anew}
`

func TestAConfigurationsOwnWaiversCount(t *testing.T) {
	c, places, found := config.ParseWithPlaces("sallyport.yaml", []byte(withGroupKey), today)
	if c == nil {
		t.Fatal(found)
	}
	h := own.InForce(c, "sallyport.yaml", places, func(string) ([]byte, time.Time) { return []byte("vpn\n"), today })
	owners := map[string]string{"PSK-001": "", "PSK-002": "bob", "PSK-003": "alice", "PSK-005": "-"}
	for _, when := range []struct {
		now     time.Time
		inForce bool
	}{{today, true}, {today.AddDate(1, 0, 0), false}} {
		a := audit.New(audit.Options{Now: when.now})
		a.Host(&h)
		for _, r := range a.Results {
			owner, named := owners[r.Rule.ID]
			switch {
			case !named || r.Outcome != audit.Found:
			case owner == "-":
				t.Errorf("finding of %s", r.Rule.ID)
			case (owner != "") != (r.Waived != nil) || owner != "" && (r.Waived.Owner != owner || r.WaivedAt(when.now) != when.inForce):
				t.Errorf("%s on %s: waived by %+v", r.Rule.ID, when.now.Format(time.DateOnly), r.Waived)
			}
			if r.Outcome == audit.Found && r.Rule.ID == "PSK-002" && r.Evidence.At.File != "/etc/group.psk" {
				t.Errorf("the key stands at %+v", r.Evidence.At)
			}
		}
	}
}

// TestIPv6OfAZoneOfL2TPIsAPoolThatItTakes: config check wants a /48 to /60 there.
func TestIPv6OfAZoneOfL2TPIsAPoolThatItTakes(t *testing.T) {
	leaks := func(more string) []audit.Result {
		t.Helper()
		c, wrong := config.Parse("s.yaml", []byte(strings.Replace(withGroupKey, "10.62.0.0/24", "10.62.0.0/24"+more, 1)), today)
		if c == nil {
			t.Fatal(wrong)
		}
		return judged("LEAK-006", own.Of(c, "s.yaml"))
	}
	before := found(leaks(""))
	if len(before) != 1 {
		t.Fatalf("%+v", before)
	}
	_, pool, _ := strings.Cut(before[0].Fix, "pool: {")
	pool, _, _ = strings.Cut(pool, "}")
	if all := leaks(", " + pool); len(all) == 0 || len(found(all)) != 0 {
		t.Errorf("%q: %+v", pool, all)
	}
}

func found(all []audit.Result) []audit.Result {
	return slices.DeleteFunc(slices.Clone(all), func(r audit.Result) bool { return r.Outcome != audit.Found })
}

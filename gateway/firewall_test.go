package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/guard"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

func TestAStatusSaysWhetherTheFirewallHolds(t *testing.T) {
	met := []guard.Count{{Device: "l2tp-other", Rule: "sent"}, {Device: "l2tp-printers", Way: "from", Rule: "out of reach", Drop: true, Packets: 12}}
	for what, c := range map[string]struct {
		counts  []guard.Count
		err     error
		force   bool
		trouble string
	}{
		"in force":                      {met, nil, true, ""},
		"the table was taken away":      {nil, errors.New("guard: there is no table"), false, "there is no table"},
		"the rules of another zone are": {met[:1], nil, false, "no rules for l2tp-printers"},
	} {
		f := firewallOf("l2tp-printers", c.counts, c.err)
		if f.InForce != c.force || !strings.Contains(f.Trouble, c.trouble) || (f.Trouble == "") != c.force || (len(f.Counts) == 1) != c.force {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// TestADeviceWhoseZoneIsGoneReachesNothing: its sessions end after the rules of
// the new configuration are in force, and its device stays.
func TestADeviceWhoseZoneIsGoneReachesNothing(t *testing.T) {
	g := newGateway(t, l2tpZones)
	before := g.Config()
	device := before.Zones.Of(config.L2TP)[0].Device
	if r := rulesOf(before, before); len(r.Zones) != 1 || len(r.Zones[0].Reach) != 1 {
		t.Errorf("before: %+v", r)
	}
	after := *before
	after.Zones = before.Zones.Of(config.IKEv2)
	r := rulesOf(&after, before)
	if len(r.Zones) != 1 || r.Zones[0].Device != device || len(r.Zones[0].Pool) == 0 || len(r.Zones[0].Reach)+len(r.Zones[0].Resolvers) != 0 {
		t.Errorf("afterwards: %+v, want %s with nothing in reach", r, device)
	}
}

// TestAGroupOfAnL2TPZoneReachesItsPart: of what its zone reaches, and resolvers.
func TestAGroupOfAnL2TPZoneReachesItsPart(t *testing.T) {
	const zones = l2tpZones + "groups:\n  labels: {zone: printers, %s}\n"
	for what, c := range map[string]struct{ rules, want string }{
		"all of it":             {"user: {sessions: 1}", "[10.20.30.0/24 10.62.0.1/32]"},
		"a part of it":          {"routes: [10.20.30.128/25]", "[10.20.30.128/25 10.62.0.1/32]"},
		"more than there is":    {"routes: [10.20.0.0/16, 192.0.2.0/24]", "[10.20.30.0/24 10.62.0.1/32]"},
		"resolvers of its own":  {"dns: {servers: [10.20.30.53]}", "[10.20.30.0/24 10.20.30.53/32]"},
		"a part, and resolvers": {"dns: {servers: [10.20.30.53]}, routes: [10.20.30.0/30]", "[10.20.30.0/30 10.20.30.53/32]"},
	} {
		g := newGateway(t, fmt.Sprintf(zones, c.rules))
		var got []string
		for _, s := range g.realm.Load().groups["labels"].child.Local {
			got = append(got, s.String())
		}
		var want []string
		for _, p := range strings.Fields(strings.Trim(c.want, "[]")) {
			want = append(want, ikemsg.PrefixSelector(netip.MustParsePrefix(p)).String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: packets may go to %q, want %q", what, got, want)
		}
	}
}

func TestAStatusTellsOfL2TPZones(t *testing.T) {
	path := testConfig(t, l2tpZones+"    cutoff: "+string(today(9))+"\n")
	initState(t, path)
	s, err := OpenState(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	st := call[Status](t, s.Client(), http.MethodGet, "/v1/status", nil)
	s.Close()
	if l := st.Zones[1].L2TP; st.Zones[0].L2TP != nil || l == nil || l.Firewall.InForce || !strings.Contains(l.Firewall.Trouble, "not running") {
		t.Errorf("nothing runs, and the zones are %+v", st.Zones)
	}
	g := startGateway(t, path)
	enrol(t, g, "pc", "printers")
	establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	door, err := g.openLegacy(g.realm.Load())
	if err != nil {
		t.Fatal(err)
	}
	here := netip.MustParseAddrPort("127.0.0.1:500")
	if _, ok := door.First(time.Now(), ike.Datagram{Local: here, Remote: here, Data: []byte("no ISAKMP")}); ok {
		t.Error("nine octets were let in")
	}
	st = call[Status](t, g.Client(), http.MethodGet, "/v1/status", nil)
	z := st.Zones[1]
	if z.L2TP == nil || z.L2TP.Cutoff != today(9) || z.L2TP.Firewall.InForce || !strings.Contains(z.L2TP.Firewall.Trouble, "null") {
		t.Errorf("the zone shows as %+v", z.L2TP)
	}
	var away uint64
	for _, n := range st.TurnedAway {
		away += n
	}
	if away != 1 {
		t.Errorf("turned away: %v, want one", st.TurnedAway)
	}
}

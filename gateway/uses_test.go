package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/store"
)

const l2tpZones = `zones:
  staff: {}
  printers:
    protocol: l2tp
    auth: [eap-tls, peap]
    machine: [certificate, psk]
    reach: [10.20.30.0/24]
    pool: {ipv4: 10.62.0.0/24}
`

// overL2TP is what the gateway makes of a login over PPP, behind IKEv1.
func overL2TP(g *Gateway, by string, machine peer, s eap.Success) (*ike.Admission, error) {
	r := g.realm.Load()
	z := r.zones["printers"]
	l := &login{
		g: g, r: r, zones: []*zone{z}, base: &footing{zone: z, by: by, machine: machine},
		t: &ike.EAP{Remote: netip.MustParseAddrPort("192.0.2.7:4500")},
	}
	return l.admit(s)
}

// ownerOfDevice is whom a device's certificate or key proves.
func ownerOfDevice(t *testing.T, g *Gateway, device string) peer {
	t.Helper()
	d, ok := g.registry.Device(device)
	if !ok {
		t.Fatalf("there is no device %q", device)
	}
	return peer{identity: d.Identity, device: d.Name, user: d.User, zone: d.Zone}
}

// byDevice logs a device in over PPP with the certificate that IKEv1 had.
func byDevice(t *testing.T, g *Gateway, device string) *ike.Admission {
	t.Helper()
	who := ownerOfDevice(t, g, device)
	a, err := overL2TP(g, config.Certificate, who, eap.Success{Method: eap.TypeTLS, Identity: who.identity, Value: who})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// establish makes a live session of an admission: it takes the place of one of
// IKEv2, which a dialer holds up.
func establish(t *testing.T, g *Gateway, a *ike.Admission, kind ike.PeerKind) *dialer {
	t.Helper()
	carrier := fmt.Sprint("carrier", time.Now().UnixNano())
	d := dial(t, enrol(t, g, carrier, "staff"))
	d.connect(t, g)
	taken := false
	err := g.engine.Each(t.Context(), func(s *engine.Session, _ engine.Machine) {
		if l, ok := s.Data.(*live); ok && l.admission.Device == carrier {
			taken = true
			g.closed(s, ike.Closed{Reason: ike.ClosedByPeer})
			g.established(s, ike.Established{Admission: a, PeerKind: kind, Remote: netip.MustParseAddrPort("192.0.2.7:4500")})
		}
	})
	if err != nil || !taken {
		t.Fatalf("no session to stand in for one of L2TP: %v", err)
	}
	return d
}

func planOf(t *testing.T, g *Gateway) MigrationPlan {
	t.Helper()
	return call[MigrationPlan](t, g.Client(), http.MethodGet, "/v1/migration", nil)
}

func TestALoginOverL2TPIsOnRecord(t *testing.T) {
	zones, _ := groupZone(t)
	path := testConfig(t, zones)
	initState(t, path)
	g := startGateway(t, path)
	enrol(t, g, "pc", "printers")
	call[UserAdded](t, g.Client(), http.MethodPost, "/v1/users", NewUser{Name: "bob", Zone: "printers", Password: goodPassword})
	establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	byGroup, err := overL2TP(g, groupPSK, peer{}, eap.Success{Method: eap.TypePEAP, Identity: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	establish(t, g, byGroup, ike.Apple)
	want := map[string]string{
		"alice": "pc l2tp Windows printers certificate",
		"bob":   "user:bob l2tp Apple printers group-psk",
	}
	wantUses := func(when string, g *Gateway) {
		t.Helper()
		plan := planOf(t, g)
		if len(plan.Users) != len(want) || plan.Needing != len(want) {
			t.Errorf("%s: %d users in the plan, %d of them in need, want %d", when, len(plan.Users), plan.Needing, len(want))
		}
		for _, u := range plan.Users {
			if len(u.L2TP) != 1 {
				t.Errorf("%s: %d records of %s", when, len(u.L2TP), u.User)
				continue
			}
			use := u.L2TP[0]
			if got := fmt.Sprint(use.Device, " ", use.Protocol, " ", use.Client, " ", use.Zone, " ", use.Machine); got != want[u.User] {
				t.Errorf("%s: %s is on record as %q, want %q", when, u.User, got, want[u.User])
			}
			if age := time.Since(use.Last); age < 0 || age > time.Minute {
				t.Errorf("%s: %s came %v ago", when, u.User, age)
			}
		}
	}
	wantUses("at once", g)
	g.Close(context.Background())
	wantUses("after a restart", startGateway(t, path))
}

func TestALoginByIKEv2MakesAUserReady(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	establish(t, g, byDevice(t, g, "pc"), ike.Windows) // alice has the carrier in staff
	u := planOf(t, g).Users[0]
	if !u.Ready || !u.Needs || u.Standing != OnBoth || u.IKEv2.IsZero() {
		t.Errorf("alice, who came by both, stands as %+v", u)
	}
}

func TestWithoutAnL2TPZoneNothingIsRecorded(t *testing.T) {
	g := newGateway(t, "")
	dial(t, enrol(t, g, "laptop", "")).connect(t, g)
	if plan := planOf(t, g); len(plan.Users)+len(plan.Zones) != 0 {
		t.Errorf("the plan is %+v", plan)
	}
	if all, err := g.storedUses(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d records, %v", len(all), err)
	}
}

// TestEstablishedDoesNotWaitForTheDisk: it runs on an event loop.
func TestEstablishedDoesNotWaitForTheDisk(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	a := byDevice(t, g, "pc")
	g.uses.flushing.Lock() // a disk that hangs
	establish(t, g, a, ike.Windows)
	g.uses.flushing.Unlock()
	if n := planOf(t, g).Needing; n != 1 {
		t.Errorf("%d users on record, want 1", n)
	}
}

func TestUsesAreCoarse(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for protocol, step := range map[string]time.Duration{config.L2TP: time.Hour, config.IKEv2: 24 * time.Hour} {
		var all uses
		at := func(after time.Duration) Use {
			return Use{Device: "pc", Protocol: protocol, Client: "Windows", Last: start.Add(after)}
		}
		all.wrote([]Use{at(0)})
		all.note(at(step - time.Second))
		if due, _ := all.take(); len(due) != 0 {
			t.Errorf("%s: written again before %v", protocol, step)
		}
		all.note(at(step))
		all.note(at(step + time.Minute))
		if due, _ := all.take(); len(due) != 1 || !due[0].Last.Equal(start.Add(step+time.Minute)) {
			t.Errorf("%s: after %v there is to write %v", protocol, step, due)
		}
	}
}

func TestWaitingUsesAreBounded(t *testing.T) {
	var all uses
	for i := range maxPendingUses + 7 {
		all.note(Use{Device: fmt.Sprint("pc", i), Protocol: config.L2TP})
	}
	if due, lost := all.take(); len(due) != maxPendingUses || lost != 7 {
		t.Errorf("%d wait, %d are lost; want %d and 7", len(due), lost, maxPendingUses)
	}
}

func TestTheOldestOfForeignUsersGoes(t *testing.T) {
	var all uses
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(device string, day int) Use {
		return Use{Device: device, Protocol: config.L2TP, Last: start.AddDate(0, 0, day)}
	}
	all.wrote([]Use{at("pc", 0), at("radius:corp:old", 1), at("radius:corp:new", 3), at("certificate:ab:1", 2)})
	for _, c := range []struct {
		what string
		add  []Use
		want string
	}{
		{"there is room", []Use{at("radius:corp:another", 4)}, "[]"},
		{"ours do not count", []Use{at("pc2", 4), at("pc3", 4)}, "[]"},
		{"those who came before take no room", []Use{at("radius:corp:old", 4), at("radius:corp:another", 4)}, "[]"},
		{"two new ones", []Use{at("radius:corp:another", 4), at("radius:corp:third", 4)}, "[/uses/radius:corp:old/l2tp/]"},
	} {
		if got := fmt.Sprint(all.crowdedOut(c.add, 4)); got != c.want {
			t.Errorf("%s: %s goes, want %s", c.what, got, c.want)
		}
	}
}

func TestUsesGoWithTheirDeviceAndUser(t *testing.T) {
	zones, _ := groupZone(t)
	g := newGateway(t, zones)
	c := g.Client()
	enrol(t, g, "pc", "printers")
	call[UserAdded](t, c, http.MethodPost, "/v1/users", NewUser{Name: "bob", Zone: "printers", Password: goodPassword})
	establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	bob, err := overL2TP(g, groupPSK, peer{}, eap.Success{Method: eap.TypePEAP, Identity: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	establish(t, g, bob, ike.Apple)
	planOf(t, g) // writes them
	left := func() (keys int) {
		all, err := g.storedUses(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range all {
			if u.Protocol == config.L2TP {
				keys++
			}
		}
		return keys
	}
	if n := left(); n != 2 {
		t.Fatalf("%d records, want 2", n)
	}
	call[Revoked](t, c, http.MethodPost, "/v1/devices/pc/revoke", Revocation{})
	if n := left(); n != 1 {
		t.Errorf("%d records after the device is gone, want 1", n)
	}
	call[Revoked](t, c, http.MethodPost, "/v1/users/bob/revoke", Revocation{})
	if n := left(); n != 0 {
		t.Errorf("%d records after the user is gone, want none", n)
	}
}

// TestANamesakeInheritsNothing: a record that a crash left behind is not the new
// device's, and goes at the next look.
func TestANamesakeInheritsNothing(t *testing.T) {
	g := newGateway(t, l2tpZones)
	before := Use{Device: "pc", User: "alice", Protocol: config.L2TP, Client: "Windows", Zone: "printers", Last: time.Now().UTC().Add(-time.Hour)}
	if err := g.writeUses(t.Context(), []Use{before}); err != nil {
		t.Fatal(err)
	}
	enrol(t, g, "pc", "printers")
	if u := planOf(t, g).Users[0]; u.Standing != NeverCame {
		t.Errorf("the new device stands as %q", u.Standing)
	}
	if err := g.sweepUses(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if page, err := g.store.Get(t.Context(), store.Prefix(usesKey)); err != nil || len(page.KVs) != 0 {
		t.Errorf("%d records are left, %v", len(page.KVs), err)
	}
}

// TestALongSessionIsInUse: a router that stays connected for months is not away.
func TestALongSessionIsInUse(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	establish(t, g, byDevice(t, g, "pc"), ike.Windows)
	planOf(t, g)
	later := time.Now().Add(100 * 24 * time.Hour)
	if err := g.sweepUses(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if last := planOf(t, g).Users[0].L2TP[0].Last; later.Sub(last) > time.Minute {
		t.Errorf("the last use is of %v, the session is up at %v", last, later)
	}
}

func TestADamagedUseIsNoTrouble(t *testing.T) {
	g := newGateway(t, l2tpZones)
	_, err := g.store.Txn(t.Context(), store.Txn{Then: []store.Op{
		store.Put{Key: usesKey + "pc/l2tp/Windows", Value: []byte("{")}, store.Put{Key: usesKey + "pc/l2tp/Apple", Value: []byte(`{"device":"other"}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if plan := planOf(t, g); len(plan.Users) != 0 {
		t.Errorf("the plan has %+v", plan.Users)
	}
}

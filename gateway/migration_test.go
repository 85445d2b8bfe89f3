package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/config"
)

// planDay is the day of every plan in these tests.
var planDay = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func daysAgo(n int) time.Time { return planDay.AddDate(0, 0, -n) }

// planned makes a plan of records as a gateway would have them.
func planned(t *testing.T, zones string, users []User, devices []Device, uses ...Use) MigrationPlan {
	t.Helper()
	cfg, diags := config.Parse("test", []byte("gateway: {name: vpn.example.org, state: /var/lib/sallyport}\n"+zones), planDay)
	if diags.Err() != nil {
		t.Fatal(diags.Err())
	}
	p := planner{cfg: cfg, now: planDay, users: map[string]User{}, devices: map[string]Device{}, found: map[string]*MigrationUser{}}
	for _, u := range users {
		p.users[u.Name] = u
	}
	for _, d := range devices {
		p.devices[d.Name] = d
	}
	p.addEnrolled(func(u User) (string, error) { return u.Zone, nil })
	for _, u := range uses {
		p.addUse(u)
	}
	return p.plan()
}

const planZones = `zones:
  staff: {}
  printers: {protocol: l2tp, auth: [eap-tls, peap], reach: [10.20.30.0/24], pool: {ipv4: 10.62.0.0/24}}
`

func oldPC(user string) Device { return Device{Name: "pc", User: user, Zone: "printers"} }

func overL2TPOn(device, user, client string, days int) Use {
	return Use{Device: device, User: user, Protocol: config.L2TP, Client: client, Zone: "printers", Last: daysAgo(days)}
}

func overIKEv2On(device, user, client string, days int) Use {
	return Use{Device: device, User: user, Protocol: config.IKEv2, Client: client, Zone: "staff", Last: daysAgo(days)}
}

func TestWhereAUserStands(t *testing.T) {
	alice := User{Name: "alice"}
	laptop := Device{Name: "laptop", User: "alice", Zone: "staff"}
	for what, c := range map[string]struct {
		devices []Device
		uses    []Use
		want    string
		ready   bool
	}{
		"enrolled, and never there":                  {[]Device{oldPC("alice")}, nil, NeverCame, false},
		"came yesterday":                             {[]Device{oldPC("alice")}, []Use{overL2TPOn("pc", "alice", "Windows", 1)}, OnL2TP, false},
		"came yesterday, and has a device for IKEv2": {[]Device{oldPC("alice"), laptop}, []Use{overL2TPOn("pc", "alice", "Windows", 1)}, OnL2TP, true},
		"came 89 days ago":                           {[]Device{oldPC("alice")}, []Use{overL2TPOn("pc", "alice", "Windows", 89)}, OnL2TP, false},
		"came 90 days ago":                           {[]Device{oldPC("alice")}, []Use{overL2TPOn("pc", "alice", "Windows", 90)}, Away, false},
		"uses both":                                  {[]Device{oldPC("alice"), laptop}, []Use{overL2TPOn("pc", "alice", "Windows", 1), overIKEv2On("laptop", "alice", "Apple", 0)}, OnBoth, true},
		"13 days without L2TP":                       {[]Device{oldPC("alice"), laptop}, []Use{overL2TPOn("pc", "alice", "Windows", 13), overIKEv2On("laptop", "alice", "Apple", 0)}, OnBoth, true},
		"14 days without L2TP":                       {[]Device{oldPC("alice"), laptop}, []Use{overL2TPOn("pc", "alice", "Windows", 14), overIKEv2On("laptop", "alice", "Apple", 0)}, Moved, true},
		"tried IKEv2 once, and went back":            {[]Device{oldPC("alice"), laptop}, []Use{overL2TPOn("pc", "alice", "Windows", 20), overIKEv2On("laptop", "alice", "Apple", 40)}, OnBoth, true},
		"moved, but a second machine still comes":    {[]Device{oldPC("alice"), laptop}, []Use{overL2TPOn("pc", "alice", "Windows", 50), overL2TPOn("pc", "alice", "Apple", 2), overIKEv2On("laptop", "alice", "Apple", 0)}, OnBoth, true},
		"has not come by either for long":            {[]Device{oldPC("alice"), laptop}, []Use{overL2TPOn("pc", "alice", "Windows", 100), overIKEv2On("laptop", "alice", "Apple", 200)}, Moved, true},
		"the device for IKEv2 was revoked":           {[]Device{oldPC("alice"), {Name: "laptop", User: "alice", Zone: "staff", Revoked: planDay}}, []Use{overL2TPOn("pc", "alice", "Windows", 1)}, OnL2TP, false},
	} {
		plan := planned(t, planZones, []User{alice}, c.devices, c.uses...)
		if len(plan.Users) != 1 {
			t.Errorf("%s: %d users", what, len(plan.Users))
			continue
		}
		u := plan.Users[0]
		needs := c.want == OnL2TP || c.want == OnBoth
		if u.Standing != c.want || u.Ready != c.ready || u.Needs != needs {
			t.Errorf("%s: stands as %q, ready %v, needs L2TP %v; want %q, %v, %v", what, u.Standing, u.Ready, u.Needs, c.want, c.ready, needs)
		}
	}
}

func TestWhoKnowsIKEv2AloneIsNotInThePlan(t *testing.T) {
	plan := planned(t, planZones, []User{{Name: "alice"}}, []Device{{Name: "laptop", User: "alice", Zone: "staff"}}, overIKEv2On("laptop", "alice", "Apple", 0))
	if len(plan.Users) != 0 {
		t.Errorf("the plan has %+v", plan.Users)
	}
}

// steps are a plan's commands and sentences, one a line.
func steps(plan MigrationPlan) string {
	var b strings.Builder
	for _, u := range plan.Users {
		for _, s := range u.Next {
			line := s.Command
			if s.Note != "" {
				line += " # " + s.Note
			}
			fmt.Fprintln(&b, strings.TrimSpace(line))
		}
	}
	return b.String()
}

func TestWhatToDoNext(t *testing.T) {
	alice, bob := []User{{Name: "alice"}}, []User{{Name: "bob", Zone: "printers", Password: true}}
	with := func(d ...Device) []Device { return append([]Device{oldPC("alice")}, d...) }
	const passwords = `zones:
  staff: {auth: [peap]}
  printers: {protocol: l2tp, auth: [eap-tls, peap], reach: [10.20.30.0/24], pool: {ipv4: 10.62.0.0/24}}
`
	for what, c := range map[string]struct {
		zones   string
		users   []User
		devices []Device
		uses    []Use
		want    []string
	}{
		"Windows": {planZones, alice, with(), []Use{overL2TPOn("pc", "alice", "Windows", 1)}, []string{
			"sallyport device add pc-ikev2 --user alice --zone staff", "sallyport device profile pc-ikev2 --for windows"}},
		"Apple": {planZones, alice, with(), []Use{overL2TPOn("pc", "alice", "Apple", 1)}, []string{
			"sallyport device profile pc-ikev2 --for macos # --for ios on an iPhone or iPad"}},
		"Linux": {planZones, alice, with(), []Use{overL2TPOn("pc", "alice", "strongSwan", 1)}, []string{
			"sallyport device profile pc-ikev2 --for networkmanager # --for swanctl"}},
		"an old Android": {planZones, alice, with(), []Use{overL2TPOn("pc", "alice", "racoon", 1)}, []string{
			"sallyport device profile pc-ikev2 --for strongswan-android # Android has no IKEv2 of its own before 11"}},
		"nobody knows what": {planZones, alice, with(), []Use{overL2TPOn("pc", "alice", "unknown", 1)}, []string{
			"sallyport device add pc-ikev2 --user alice --zone staff", "--for CLIENT # the client does not show what it is"}},
		"a name that is taken": {planZones, append(slices.Clone(alice), User{Name: "carol"}), with(Device{Name: "pc-ikev2", User: "carol", Zone: "staff"}),
			[]Use{overL2TPOn("pc", "alice", "Windows", 1)}, []string{"sallyport device add pc-ikev2-2 --user alice"}},
		"two machines by one password": {planZones, bob, nil, []Use{overL2TPOn("user:bob", "bob", "Windows", 1), overL2TPOn("user:bob", "bob", "Apple", 2)}, []string{
			"sallyport device add bob-windows --user bob --zone staff", "sallyport device profile bob-windows --for windows",
			"sallyport device add bob-macos --user bob --zone staff", "sallyport device profile bob-macos --for macos"}},
		"a machine that is gone for long": {planZones, bob, nil, []Use{overL2TPOn("user:bob", "bob", "Windows", 1), overL2TPOn("user:bob", "bob", "Apple", 200)}, []string{
			"sallyport device add bob-windows --user bob --zone staff", "sallyport device profile bob-windows --for windows\n$"}},
		"IKEv2 by passwords alone": {passwords, bob, nil, []Use{overL2TPOn("user:bob", "bob", "Windows", 1)}, []string{
			"sallyport user profile bob --for windows --zone staff", "sallyport user set bob --zone staff # when the client has its profile"}},
		"a device, where IKEv2 is by passwords alone": {passwords, alice, with(), []Use{overL2TPOn("pc", "alice", "Windows", 1)}, []string{
			"sallyport user password alice --generate"}},
		"no zone of IKEv2 for the client": {passwords, bob, nil, []Use{overL2TPOn("user:bob", "bob", "Apple", 1)}, []string{
			"no zone of IKEv2 serves macos: add one"}},
		"a device that did not connect yet": {planZones, alice, with(Device{Name: "laptop", User: "alice", Zone: "staff"}), []Use{overL2TPOn("pc", "alice", "Windows", 1)}, []string{
			"sallyport device profile laptop --for windows", "then let the client connect once by IKEv2"}},
		"both": {planZones, alice, with(Device{Name: "laptop", User: "alice", Zone: "staff"}),
			[]Use{overL2TPOn("pc", "alice", "Windows", 1), overIKEv2On("laptop", "alice", "Windows", 1)}, []string{
				"sallyport user set alice --l2tp-until 2026-12-23"}},
		"moved": {planZones, alice, with(Device{Name: "laptop", User: "alice", Zone: "staff"}),
			[]Use{overL2TPOn("pc", "alice", "Windows", 30), overIKEv2On("laptop", "alice", "Windows", 1)}, []string{
				"sallyport device revoke pc"}},
		"moved away from a password": {planZones, bob, []Device{{Name: "laptop", User: "bob", Zone: "staff"}},
			[]Use{overL2TPOn("user:bob", "bob", "Windows", 30), overIKEv2On("laptop", "bob", "Windows", 1)}, []string{
				"sallyport user set bob --l2tp-until 2026-11-23"}},
		"a user of RADIUS": {planZones, nil, nil, []Use{overL2TPOn("radius:corp:dave", "corp:dave", "Windows", 1)}, []string{
			"add radius: corp to a zone of IKEv2"}},
		"a certificate of another CA": {planZones, nil, nil, []Use{overL2TPOn("certificate:ab:1", "", "Windows", 1)}, []string{
			"add its CA to trust.cas of a zone of IKEv2"}},
	} {
		got := steps(planned(t, c.zones, c.users, c.devices, c.uses...))
		for _, want := range c.want {
			if want, last := strings.CutSuffix(want, "\n$"); !strings.Contains(got, want) || last && !strings.HasSuffix(got, want+"\n") {
				t.Errorf("%s: the plan says\n%swant %q", what, got, want)
			}
		}
	}
}

func TestTheFirstEndCounts(t *testing.T) {
	zones := strings.Replace(planZones, "protocol: l2tp", "protocol: l2tp, cutoff: 2027-01-31", 1)
	for own, want := range map[Date]Date{"": "2027-01-31", "2026-12-31": "2026-12-31", "2027-06-30": "2027-01-31"} {
		u := planned(t, zones, []User{{Name: "alice", L2TPUntil: own}}, []Device{oldPC("alice")}).Users[0]
		if u.Until != want || u.OwnUntil != own {
			t.Errorf("own end %q: until %q, own %q; want %q", own, u.Until, u.OwnUntil, want)
		}
	}
}

func TestThePlanIsCounted(t *testing.T) {
	users := []User{{Name: "alice"}, {Name: "bob", L2TPUntil: "2026-11-22"}, {Name: "carol"}, {Name: "dave"}, {Name: "erin"}}
	devices := []Device{
		{Name: "a", User: "alice", Zone: "printers"}, {Name: "b", User: "bob", Zone: "printers"}, {Name: "c", User: "carol", Zone: "printers"},
		{Name: "d", User: "dave", Zone: "printers"}, {Name: "e", User: "erin", Zone: "printers"}, {Name: "a2", User: "alice", Zone: "staff"},
	}
	plan := planned(t, planZones, users, devices,
		overL2TPOn("a", "alice", "Windows", 1), overL2TPOn("b", "bob", "Windows", 1), overL2TPOn("c", "carol", "Windows", 20),
		overIKEv2On("c2", "carol", "Windows", 1), overL2TPOn("d", "dave", "Windows", 95), overL2TPOn("radius:corp:alice", "corp:alice", "Apple", 3))
	got := fmt.Sprint(plan.Needing, plan.Ready, plan.Late, plan.Moved, plan.Away, plan.Unused)
	if got != "3 1 1 1 1 1" {
		t.Errorf("needing, ready, late, moved, away, unused: %s, want 3 1 1 1 1 1", got)
	}
	var names []string
	for _, u := range plan.Users {
		names = append(names, strings.TrimSuffix(u.User+"/"+u.RADIUS, "/"))
	}
	if got := fmt.Sprint(names); got != "[alice alice/corp bob carol dave erin]" {
		t.Errorf("the users are %s", got)
	}
}

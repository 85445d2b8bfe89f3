package checklist

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/gateway"
	"sallyport/guard"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// good is a gateway on which the product's own gaps alone are open.
func good(t *testing.T) *Seen { return seen(t, "zones:\n  staff: {dns: {servers: [gateway]}}\n") }

func seen(t *testing.T, zones string) *Seen {
	t.Helper()
	text := "gateway: {name: vpn.example.org, listen: [192.0.2.1]}\n" + zones
	c, found := config.Parse("sallyport.yaml", []byte(text), now)
	if c == nil {
		t.Fatal(found)
	}
	return &Seen{
		Now: now, Config: c, File: "sallyport.yaml", Written: now.Add(-48 * time.Hour),
		Results: Audit(c, "sallyport.yaml", now).Results,
		Status: gateway.Status{
			Running: true, Version: "1.0", Since: now.Add(-time.Hour), Loaded: now.Add(-time.Hour), Engine: &engine.Stats{},
			Certificates: []gateway.CertificateStatus{
				{Use: gateway.UseCA, Subject: "CN=CA", NotAfter: now.AddDate(9, 0, 0)},
				{Use: gateway.UseServer, Zone: "staff", Subject: "CN=vpn.example.org", NotAfter: now.AddDate(1, 0, 0), Renews: true},
			},
			CRLs: []gateway.CRLStatus{{Issuer: "CN=CA", ThisUpdate: now.AddDate(0, 0, -2), NextUpdate: now.AddDate(0, 0, 5)}},
		},
		Devices: []gateway.Device{{Name: "laptop", User: "alice", Zone: "staff", Key: "ecdsa-p256", Created: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0)}},
		Users:   []gateway.User{{Name: "alice"}},
		Sessions: []gateway.SessionInfo{{
			ID: 7, Device: "laptop", User: "alice", Identity: "laptop@alice", Zone: "staff", Protocol: "ikev2", IKE: "aes256gcm16-prfsha384-ecp384",
			Children: []gateway.ChildInfo{{ESP: "aes256gcm16", Created: now.Add(-10 * time.Minute)}},
		}},
	}
}

func item(t *testing.T, s *Seen, id string) Item {
	t.Helper()
	items := Judge(s)
	i := slices.IndexFunc(items, func(it Item) bool { return it.ID == id })
	if i < 0 {
		t.Fatalf("no item %s", id)
	}
	return items[i]
}

// notOK are the facts that keep an item from being ok.
func notOK(it Item) string {
	var b strings.Builder
	for _, f := range it.Facts {
		if f.Standing != OK {
			b.WriteString("\n\t" + string(f.Standing) + ": " + f.What + ": " + f.Value + " do: " + strings.Join(f.Do, "; "))
		}
	}
	return b.String()
}

func TestAGoodGatewayMeetsWhatTheProductCan(t *testing.T) {
	want := map[string]Standing{"C1": OK, "C2": OK, "C3": OK, "C4": OK, "C5": NotMet, "C6": NotMet, "C7": NotMet, "C8": NotMet}
	for _, it := range Judge(good(t)) {
		if it.Standing != want[it.ID] {
			t.Errorf("%s is %s:%s", it.ID, it.Standing, notOK(it))
		}
		for _, f := range it.Facts {
			if f.Standing == Problem || f.Standing == NotMet && f.Source != Product {
				t.Errorf("%s: %s: %s: %s", it.ID, f.Standing, f.What, f.Value)
			}
		}
	}
}

func TestEveryIdHasCodeAndNothingElse(t *testing.T) {
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.id)
		if len(r.looks) == 0 || r.title == "" {
			t.Errorf("%s looks at nothing", r.id)
		}
	}
	if want := []string{"C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"}; !slices.Equal(ids, want) {
		t.Errorf("items %v, want %v", ids, want)
	}
}

func TestWhatIsNotSeenIsNotOK(t *testing.T) {
	c, _ := config.Parse("f", []byte("gateway: {name: vpn.example.org}\nzones: {}\n"), now)
	for _, it := range Judge(&Seen{Now: now, Config: c}) {
		for _, f := range it.Facts {
			if f.Source == Live && f.Standing == OK && f.What != "refusals of a day" {
				t.Errorf("%s: %s is ok without a look: %s", it.ID, f.What, f.Value)
			}
		}
	}
}

const legacyZone = `zones:
  staff: {dns: {servers: [gateway]}}
  old:
    protocol: l2tp
    listen: [192.0.2.2]
    machine: [psk]
    auth: [peap]
    pool: {ipv4: 10.62.0.0/24}
    reach: [10.9.0.0/24]
    CUTOFF
    group_psk: /nonexistent/group.psk
    waivers:
      - {rule: PSK-003, until: 2027-03-31, owner: alice, reason: old routers}
`

func TestHowFiguresAreJudged(t *testing.T) {
	psk := gateway.Device{Name: "router7", User: "bob", Zone: "staff", Key: "psk", Created: now.AddDate(-2, 0, 0)}
	for name, c := range map[string]struct {
		id     string
		zones  string
		change func(*Seen)
		want   Standing
		says   string // part of the fact
		do     string // part of what to do
	}{
		"a device with a pre-shared key": {"C1", "", func(s *Seen) { s.Devices = append(s.Devices, psk) }, NotMet, "1 with a pre-shared key: router7", "sallyport device add router7-cert --user bob --zone staff"},
		"a revoked one is no matter":     {"C1", "", func(s *Seen) { psk := psk; psk.Revoked = now; s.Devices = append(s.Devices, psk) }, OK, "", ""},
		"an old pre-shared key":          {"C7", "", func(s *Seen) { s.Devices = append(s.Devices, psk) }, Problem, "1 of 1 are older than 365 days: router7", "device revoke"},
		"a zone that takes keys in vain": {"C1", "zones:\n  staff: {auth: [certificate, psk]}\n", nil, NotMet, "no device has one", "zones.staff.auth: remove psk"},
		"one key for a group":            {"C1", strings.Replace(legacyZone, "CUTOFF", "cutoff: 2027-03-31", 1), nil, NotMet, "has one key for all clients", "machine: [certificate]"},
		"a session by a pre-shared key":  {"C1", "", func(s *Seen) { s.Sessions[0].Waivers = []string{"PSK-001"} }, NotMet, "1 of 1 by a pre-shared key: laptop", ""},
		"a waiver, by whom and how long": {"C1", strings.Replace(legacyZone, "CUTOFF", "cutoff: 2027-03-31", 1), func(s *Seen) { s.Sessions[0].Zone, s.Sessions[0].Waivers = "old", []string{"PSK-003"} }, NotMet, `by "alice" until 2027-03-31 (125 days left), used by 1 of 1 live session`, ""},
		"passwords alone":                {"C2", "zones:\n  staff: {auth: [peap]}\n", nil, NotMet, "peap: no certificate is a way in", "add eap-tls"},
		"NT hashes that nobody needs":    {"C2", "", func(s *Seen) { s.Users[0].Password, s.Users[0].MSCHAPv2 = true, true }, NotMet, "which no zone needs", "--no-mschapv2"},
		"bare MS-CHAPv2 in use":          {"C2", "", func(s *Seen) { s.Sessions[0].Waivers = []string{"PPP-005"} }, NotMet, "1 of 1 by a waived method", ""},
		"a login that nobody here saw":   {"C2", "", func(s *Seen) { s.Sessions[0].WaiversUnknown = []string{"PPP-017"} }, OK, "whose TLS ends at the server", ""},
		"SHA-1 in use":                   {"C3", "", func(s *Seen) { s.Sessions[0].IKE = "aes256-sha1-prfsha1-modp2048" }, NotMet, "1 of 1 with SHA-1: laptop", "device profile"},
		"no AEAD in use":                 {"C3", "", func(s *Seen) { s.Sessions[0].Children[0].ESP = "aes256-sha256" }, NotMet, "1 of 1 without AEAD: laptop", "device profile"},
		"suites are counted":             {"C3", "", nil, OK, "1 aes256gcm16-prfsha384-ecp384", ""},
		"L2TP without end":               {"C3", strings.Replace(legacyZone, "CUTOFF", "", 1), nil, Problem, "without end", "zones.old.cutoff: 2027-05-26"},
		"L2TP with a last day":           {"C3", strings.Replace(legacyZone, "CUTOFF", "cutoff: 2027-03-31", 1), nil, NotMet, "until 2027-03-31 (125 days left)", "migrate plan"},
		"a weak group in use":            {"C4", "", func(s *Seen) { s.Sessions[0].IKE = "aes256-sha1-prfsha1-modp1024" }, Problem, "weak: laptop", "sessions kick"},
		"no forward secrecy in use":      {"C4", "", func(s *Seen) { s.Sessions[0].Waivers = []string{"CRY-010"} }, NotMet, "1 of 1 live sessions without: laptop", ""},
		"forward secrecy not seen yet":   {"C4", "", func(s *Seen) { s.Sessions[0].WaiversUnknown = []string{"CRY-010"} }, OK, "tell at their first rekey: laptop", "sessions rekey"},
		"listening everywhere":           {"C5", "", func(s *Seen) { s.Config.Gateway.Listen = nil }, NotMet, "every interface", "gateway.listen"},
		"a firewall that was taken away": {"C5", "", func(s *Seen) { s.Status.Zones = zoneWith(gateway.FirewallStatus{Trouble: "there are no rules"}) }, Problem, "not in force: there are no rules", "sallyport reload"},
		"a firewall in force": {"C5", "", func(s *Seen) {
			s.Status.Zones = zoneWith(gateway.FirewallStatus{InForce: true, Counts: []guard.Count{{Packets: 3}, {Drop: true, Packets: 2}}})
		}, NotMet, "3 packets passed, 2 refused", ""},
		"no room for new clients":        {"C5", "", func(s *Seen) { s.Status.Engine.HalfOpen = s.Config.Gateway.Limits.HalfOpen }, Problem, "the bound is reached", "sallyport status"},
		"no resolver":                    {"C6", "zones:\n  staff: {dns: {servers: []}}\n", nil, NotMet, "none: clients ask", "dns: {servers: [gateway]}"},
		"a split tunnel":                 {"C6", "zones:\n  staff: {dns: {servers: [gateway]}, routes: [10.9.0.0/24]}\n", nil, NotMet, "some networks alone", "routes"},
		"never a kill switch":            {"C6", "", nil, NotMet, "this version has none", ""},
		"an own certificate not renewed": {"C7", "", func(s *Seen) { s.Status.Certificates[1].Due = true }, Problem, "should have been renewed", "reload"},
		"an outside certificate that ends": {"C7", "", func(s *Seen) {
			s.Status.Certificates[1].Renews, s.Status.Certificates[1].NotAfter = false, now.AddDate(0, 0, 9)
		}, Problem, "9 days left", "zones.staff.identity.certificate"},
		"an outside certificate that is over": {"C7", "", func(s *Seen) {
			s.Status.Certificates[1].Renews, s.Status.Certificates[1].NotAfter = false, now.Add(-time.Minute)
		}, Problem, "over since 2026-11-26", "reload"},
		"a CA that ends within a year":   {"C7", "", func(s *Seen) { s.Status.Certificates[0].NotAfter = now.AddDate(0, 6, 0) }, Problem, "181 days left", "second gateway"},
		"a CRL's age":                    {"C7", "", nil, NotMet, "2 days old, 0 certificates", ""},
		"a stale CRL":                    {"C7", "", func(s *Seen) { s.Status.CRLs[0].Zone, s.Status.CRLs[0].NextUpdate = "staff", now.AddDate(0, 0, -1) }, Problem, "stale since 2026-11-25", "zones.staff.trust.crls"},
		"a device's certificate is over": {"C7", "", func(s *Seen) { s.Devices[0].NotAfter = now.AddDate(0, 0, -3) }, Problem, "1 expired: laptop", "sallyport device add laptop --user alice --zone staff"},
		"a device's certificate ends":    {"C7", "", func(s *Seen) { s.Devices[0].NotAfter = now.AddDate(0, 0, 12) }, Problem, "1 with less than 30 days left: laptop", "device add"},
		"keys that were not replaced":    {"C7", "", func(s *Seen) { s.Sessions[0].Children[0].Created = now.Add(-3 * time.Hour) }, Problem, "1 session with keys older", "sallyport sessions rekey 7"},
		"an old key kept for late packets": {"C7", "", func(s *Seen) {
			s.Sessions[0].Children = append(s.Sessions[0].Children, gateway.ChildInfo{Replaced: true, Created: now.Add(-3 * time.Hour)})
		}, NotMet, "none is older than its zone allows", ""},
		"a file that was not read": {"C8", "", func(s *Seen) { s.Written = now }, Problem, "the file was changed after", "sallyport reload"},
		"somebody who tries again": {"C8", "", func(s *Seen) {
			s.Refusals = []gateway.Refusal{{Last: now.Add(-time.Hour), Times: 60, Remote: netip.MustParseAddr("192.0.2.99")}}
		}, Problem, "60 192.0.2.99", "block 192.0.2.99"},
		"an old refusal": {"C8", "", func(s *Seen) { s.Refusals = []gateway.Refusal{{Last: now.AddDate(0, 0, -2), Times: 60}} }, NotMet, "0, from 0 addresses", ""},
		"a panic":        {"C8", "", func(s *Seen) { s.Status.Engine.Panics = 1 }, Problem, "1 sessions ended in a panic", "stack"},
		"a RADIUS server that is silent": {"C8", "", func(s *Seen) {
			s.Status.RADIUS = []gateway.RealmStatus{{Name: "corp", Servers: []gateway.RADIUSServer{{Name: "a:1812", Dead: true}}}}
		}, Problem, "a:1812 does not answer", "sallyport status"},
		"records that were lost": {"C8", "", func(s *Seen) {
			s.Status.RADIUS = []gateway.RealmStatus{{Name: "corp", Queue: &gateway.AccountingBacklog{Lost: 2}}}
		}, Problem, "2 lost", "sallyport status"},
		"never an export to a SIEM": {"C8", "", nil, NotMet, "export to a SIEM: this version has none", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := good(t)
			if c.zones != "" {
				s = seen(t, c.zones)
			}
			if c.change != nil {
				c.change(s)
			}
			it := item(t, s, c.id)
			if it.Standing != c.want {
				t.Errorf("%s is %s, want %s:%s", c.id, it.Standing, c.want, notOK(it))
			}
			if !slices.ContainsFunc(it.Facts, func(f Fact) bool {
				return strings.Contains(f.What+": "+f.Value, c.says) && strings.Contains(strings.Join(f.Do, "; "), c.do)
			}) {
				t.Errorf("no fact says %q and to do %q:%s", c.says, c.do, notOK(it))
			}
		})
	}
}

func zoneWith(f gateway.FirewallStatus) []gateway.ZoneStatus {
	return []gateway.ZoneStatus{{Name: "old", L2TP: &gateway.L2TPStatus{Firewall: f}}}
}

func TestFindingsOfTheAuditBearOnTheirItems(t *testing.T) {
	s := seen(t, strings.Replace(legacyZone, "CUTOFF", "cutoff: 2027-03-31", 1))
	for id, rule := range map[string]string{"C1": "PSK-003", "C3": "CRY-012", "C5": "CRY-012"} {
		it := item(t, s, id)
		i := slices.IndexFunc(it.Facts, func(f Fact) bool { return f.What == rule })
		if i < 0 {
			t.Errorf("%s says nothing of %s", id, rule)
			continue
		}
		if f := it.Facts[i]; f.Standing != NotMet || len(f.Do) == 0 || f.Do[0] == "" || !strings.Contains(f.Value, "sallyport.yaml") {
			t.Errorf("%s: %+v", id, f)
		}
	}
}

func TestNamesOfPeersAreQuotedAndBounded(t *testing.T) {
	if got := names([]string{"b", "a\x1b[2J", "b"}); got != `"a\x1b[2J", b` {
		t.Error(got)
	}
	many := make([]string, 20)
	for i := range many {
		many[i] = string(rune('a' + i))
	}
	if got := names(many); got != "a, b, c, d, e, f, g, h and 12 more" {
		t.Error(got)
	}
}

func TestTheWorstItemCounts(t *testing.T) {
	for want, items := range map[Standing][]Item{
		OK:           {{Standing: OK}, {Standing: Unassessable}},
		NotMet:       {{Standing: OK}, {Standing: NotMet}},
		Problem:      {{Standing: Problem}, {Standing: NotMet}},
		Unassessable: {{Standing: Unassessable}},
	} {
		if got := Worst(items); got != want {
			t.Errorf("%v: %s, want %s", items, got, want)
		}
	}
}

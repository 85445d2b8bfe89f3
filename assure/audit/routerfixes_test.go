package audit_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/assure/audit"
	"sallyport/posture"
)

// routerNames are what stands in a fix for what only the administrator knows.
var routerNames = strings.NewReplacer(
	"RANDOM", "mT7vQx2LbW9nZr5KpYd3HsMf8JgEuAo1UiXcNw6Ct0o=", "PEER/32", "198.51.100.9/32", "PEER", "198.51.100.9", "ADDRESS-INSIDE", "10.10.0.5",
	"SERVER", "10.10.0.6", "INNER", "10.10.0.0/16", "REMOTE", "10.20.0.0/16", "POOL", "10.30.0.0/24", "MODE-CONFIG", "clients", "OURS", "vpn.example.org",
)

// routerLookups are the commands in brackets that ask the router for a name; the
// examples have one of each.
var routerLookups = regexp.MustCompile(`name=\[/(interface|ip ipsec)[^\[\]]*(\[[^\]]*\][^\]]*)?\]`)

func entered(fix, subject string) string {
	var lines []string
	for line := range strings.Lines(routerNames.Replace(fix)) {
		// What a fix says of the L2TP server, or of a client, is for that alone.
		only := "/interface l2tp-client"
		if subject == "l2tp-server" {
			only = "/interface l2tp-server"
		}
		if i := strings.Index(line, only); i > 0 && line[0] == '#' {
			line = line[i:]
		}
		lines = append(lines, routerLookups.ReplaceAllStringFunc(line, func(s string) string {
			if strings.HasPrefix(s, "name=[/interface") {
				return "name=staff"
			}
			return "name=clients"
		}))
	}
	return strings.Join(lines, "")
}

// TestWhatIsToBeWrittenInRouterOSIsEnough: an export with the commands of the
// fixes behind it is a router on which they were entered.
func TestWhatIsToBeWrittenInRouterOSIsEnough(t *testing.T) {
	for _, rule := range audit.Rules() {
		if rule.Area() == "CVE" { // a flaw is not repaired by a line
			continue
		}
		if rule.ID == "PSK-008" {
			continue // it says how to export, which no export shows
		}
		for _, e := range examples(t, rule.ID) {
			if e.dialect == posture.RouterOS && e.fails {
				e.mustHeal(t, rule.ID)
			}
		}
	}
}

func (e example) mustHeal(t *testing.T, id string) {
	t.Helper()
	results, _ := e.judged(id)
	path := slices.Sorted(maps.Keys(e.files))[0]
	for _, r := range results {
		if r.Outcome != audit.Found {
			continue
		}
		data := string(e.files[path].Data) + entered(r.Fix, r.Subject.Name) + "\n"
		healed := e
		healed.files = fstest.MapFS{path: {Data: []byte(data), Mode: 0o600, ModTime: e.files[path].ModTime}}
		after, notes := healed.judged(id)
		for _, a := range after {
			if a.Outcome == audit.Found && a.Subject.Kind == r.Subject.Kind && a.Subject.Name == r.Subject.Name {
				t.Errorf("%s, %s: the fix of %q does not help:\n%s%s", id, e.name, r.Subject.Name, r.Fix, describe([]audit.Result{a}, nil))
			}
		}
		for _, n := range notes {
			other := strings.Contains(n.Text, "names an entry that is not in this file") // what is for other subjects
			if n.Kind == posture.Unparsed && !other && n.At.Line > strings.Count(string(e.files[path].Data), "\n") {
				t.Errorf("%s, %s: the fix is not understood: %s\n%s", id, e.name, n.Text, r.Fix)
			}
		}
	}
}

// TestAClientOfL2TPIsMendedInItsOwnMenu: what RouterOS makes for it has no menu
// where it could be set.
func TestAClientOfL2TPIsMendedInItsOwnMenu(t *testing.T) {
	const export = "# 2024-05-01 10:00:00 by RouterOS 7.14\n/interface l2tp-client\nadd name=out connect-to=192.0.2.1 disabled=no use-ipsec=yes ipsec-secret=abc user=ann password=ann allow=pap,mschap2\n" +
		"/interface l2tp-server server\nset enabled=yes authentication=pap,mschap2 use-ipsec=required\n"
	for id, want := range map[string]string{
		"PSK-001": "ipsec-secret=", "PPP-014": "password=", "PPP-002": "allow=mschap2", "PPP-007": "allow=mschap2", "NAT-003": "max-mtu=1400", "LEAK-005": "add-default-route=yes",
		"CRY-012": "disabled=yes", "PSK-011": "disabled=yes",
	} {
		e := example{name: id, dialect: posture.RouterOS, files: fstest.MapFS{"router.rsc": {Data: []byte(export), Mode: 0o600}}, now: today}
		results, _ := e.judged(id)
		found := false
		for _, r := range results {
			if r.Outcome != audit.Found || r.Subject.Name != "out" {
				continue
			}
			if found = true; !strings.Contains(r.Fix, "/interface l2tp-client set [find name=\"out\"] "+want) || strings.Contains(r.Fix, "server set") || strings.Contains(r.Fix, "ppp secret") {
				t.Errorf("%s:\n%s", id, r.Fix)
			}
		}
		if !found {
			t.Errorf("%s: no finding", id)
		}
	}
}

func TestAdviceForPPPHasNoLinesForIKE(t *testing.T) {
	const export = "# 2024-05-01 10:00:00 by RouterOS 7.14\n/interface l2tp-server server\nset enabled=yes use-ipsec=required\n" +
		"/ip ipsec mode-config\nadd name=give address-pool=p system-dns=no\n/ip ipsec peer\nadd name=ike passive=yes exchange-mode=ike2\n/ip ipsec identity\nadd peer=ike mode-config=give generate-policy=port-strict\n"
	e := example{name: "LEAK-003", dialect: posture.RouterOS, files: fstest.MapFS{"router.rsc": {Data: []byte(export), Mode: 0o600}}, now: today}
	results, _ := e.judged("LEAK-003")
	if len(results) != 2 {
		t.Fatal(describe(results, nil))
	}
	for _, r := range results {
		if ppp := r.Subject.Kind == "ppp"; strings.Contains(r.Fix, "/ppp profile") != ppp || strings.Contains(r.Fix, "/ip ipsec") == ppp {
			t.Errorf("%s:\n%s", r.Subject.Kind, r.Fix)
		}
	}
}

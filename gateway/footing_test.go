package gateway

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/config"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
)

// groupZone is l2tpZones with a pre-shared key of all clients.
func groupZone(t *testing.T) (zones, keyFile string) {
	t.Helper()
	keyFile = filepath.Join(t.TempDir(), "group.psk")
	writeKey(t, keyFile, "hVn4TqK9sXw2LbR7cGm5")
	return l2tpZones + "    group_psk: " + keyFile + `
    waivers: [{rule: PSK-003, until: ` + nextMonth() + `, owner: alice, reason: "no certificates on them"}]
`, keyFile
}

func writeKey(t *testing.T, path, key string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestALoginMeetsTheZoneAsItIsNow: the IPsec around it may be hours old, and what
// a reload has taken out of the zone since must not live on in there.
func TestALoginMeetsTheZoneAsItIsNow(t *testing.T) {
	zones, keyFile := groupZone(t)
	for what, c := range map[string]struct {
		by      string
		change  func(t *testing.T, path string)
		refused string // empty: let in, by EAP-TLS alone
	}{
		"a method is gone":            {config.Certificate, func(t *testing.T, path string) { rewrite(t, path, "[eap-tls, peap]", "[eap-tls]") }, ""},
		"the zone is gone":            {config.Certificate, func(t *testing.T, path string) { rewrite(t, path, "  printers:", "  labels:") }, "not reached by L2TP any more"},
		"machines have certificates":  {config.Certificate, func(t *testing.T, path string) { rewrite(t, path, "machine: [certificate, psk]", "machine: [psk]") }, "certificate any more"},
		"the key of the group is new": {groupPSK, func(t *testing.T, path string) { writeKey(t, keyFile, "w8ZpQ3nYf6JdBt1Mk0Sx") }, "another one now"},
		"the group has no key": {groupPSK, func(t *testing.T, path string) {
			rewrite(t, path, "    group_psk: "+keyFile+"\n", "")
		}, "no pre-shared key of a group"},
	} {
		t.Run(what, func(t *testing.T) {
			writeKey(t, keyFile, "hVn4TqK9sXw2LbR7cGm5")
			g := newGateway(t, zones)
			base := &footing{zone: g.realm.Load().zones["printers"], by: c.by}
			asked := &ike.EAP{Before: base, Remote: netip.MustParseAddrPort("192.0.2.7:4500")}
			if login, err := g.beginEAP(asked); err != nil || len(login.Server.Offers) != 2 {
				t.Fatalf("before: %+v, %v", login, err)
			}
			c.change(t, g.path)
			call[Reloaded](t, g.Client(), http.MethodPost, "/v1/reload", nil)
			login, err := g.beginEAP(asked)
			switch {
			case c.refused == "" && (err != nil || len(login.Server.Offers) != 1 || login.Server.Offers[0].Method != eap.TypeTLS):
				t.Errorf("afterwards: %+v, %v, want EAP-TLS alone", login, err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("afterwards: %v, want a refusal that says %q", err, c.refused)
			}
		})
	}
}

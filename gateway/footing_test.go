package gateway

import (
	"crypto/x509"
	"encoding/pem"
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

// TestARevokedMachineGetsNoFurtherLogin in IPsec that was up before.
func TestARevokedMachineGetsNoFurtherLogin(t *testing.T) {
	g := newGateway(t, l2tpZones)
	enrol(t, g, "pc", "printers")
	z := g.realm.Load().zones["printers"]
	asked := &ike.EAP{Before: &footing{zone: z, by: config.Certificate, machine: ownerOfDevice(t, g, "pc")}}
	if _, err := g.beginEAP(asked); err != nil {
		t.Fatal(err)
	}
	call[Revoked](t, g.Client(), http.MethodPost, "/v1/devices/pc/revoke", Revocation{Reason: "stolen"})
	if _, err := g.beginEAP(asked); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("it may try passwords: %v", err)
	}
}

// TestASessionEndsWithWhateverItRestsOn: it is filed under the machine or under
// its user, and whoever has stolen the other one must not stay in.
func TestASessionEndsWithWhateverItRestsOn(t *testing.T) {
	ca, dir := newOutsideCA(t), t.TempDir()
	anchor, crl := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.crl")
	if err := os.WriteFile(anchor, []byte(pemText("CERTIFICATE", ca.cert.Raw)), 0o600); err != nil {
		t.Fatal(err)
	}
	outsider := peer{identity: "kiosk.example.org", device: outsidePrefix + "c0ffee:7", zone: "printers"}
	revoke := func(device string) func(*testing.T, *Gateway) {
		return func(t *testing.T, g *Gateway) {
			if done := call[Revoked](t, g.Client(), http.MethodPost, "/v1/devices/"+device+"/revoke", Revocation{Reason: "stolen"}); done.Cut != 1 {
				t.Errorf("%d sessions cut, want 1", done.Cut)
			}
		}
	}
	trust := "    trust: {cas: [" + anchor + "], crls: [" + crl + "]}\n"
	reload := func(t *testing.T, g *Gateway) { call[Reloaded](t, g.Client(), http.MethodPost, "/v1/reload", nil) }
	list := func(t *testing.T, revoked ...int64) {
		t.Helper()
		if err := os.WriteFile(crl, ca.crl(t, revoked...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const password = "by password"
	for what, c := range map[string]struct {
		machine, user string // devices; empty: the outsider
		end           func(*testing.T, *Gateway)
	}{
		"the machine of a user of another CA is revoked":        {"pc", "", revoke("pc")},
		"the device is revoked whose certificate PPP was shown": {"pc", "tablet", revoke("tablet")},
		"another CA revokes the machine of a user of ours":      {"", "pc", func(t *testing.T, g *Gateway) { list(t, 7); reload(t, g) }},
		"the CA of the machine is trusted no more": {"", "pc", func(t *testing.T, g *Gateway) {
			rewrite(t, g.path, trust, "")
			reload(t, g)
		}},
		"the user is moved who logged in by password": {"pc", password, func(t *testing.T, g *Gateway) {
			zone := "staff"
			call[User](t, g.Client(), http.MethodPatch, "/v1/users/alice", SetUser{Zone: &zone})
		}},
	} {
		t.Run(what, func(t *testing.T) {
			list(t)
			g := newGateway(t, strings.Replace(l2tpZones, "staff: {}", "staff: {auth: [certificate, peap]}", 1)+trust)
			enrol(t, g, "pc", "printers")
			enrol(t, g, "tablet", "printers")
			zone := "printers"
			call[User](t, g.Client(), http.MethodPatch, "/v1/users/alice", SetUser{Zone: &zone})
			machine, s := outsider, eap.Success{Method: eap.TypeTLS, Value: outsider}
			if c.machine != "" {
				machine = ownerOfDevice(t, g, c.machine)
			}
			switch c.user {
			case "":
			case password:
				s = eap.Success{Method: eap.TypePEAP, Identity: "alice"}
			default:
				s.Value = ownerOfDevice(t, g, c.user)
			}
			a, err := overL2TP(g, config.Certificate, machine, s)
			if err != nil {
				t.Fatal(err)
			}
			d := establish(t, g, a, ike.Windows)
			if l := g.table.matching(func(l *live) bool { return l.admission == a }); len(l) != 1 || g.mayStay(l[0]) != "" {
				t.Fatalf("it is not in, or may not stay: %v", l)
			}
			c.end(t, g)
			await[ike.Closed](t, d)
		})
	}
}

// TestOneCAMayServeBothProtocols: that of the company, while its clients move.
func TestOneCAMayServeBothProtocols(t *testing.T) {
	ca, dir := newOutsideCA(t), t.TempDir()
	anchor, crl := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.crl")
	for path, b := range map[string][]byte{anchor: []byte(pemText("CERTIFICATE", ca.cert.Raw)), crl: ca.crl(t)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust := "trust: {cas: [" + anchor + "], crls: [" + crl + "]}"
	_, rest := pem.Decode([]byte(ca.issue(t, 7, "pc.example.org"))) // its key
	block, _ := pem.Decode(rest)
	for _, first := range []string{"staff", "printers"} {
		zones := strings.Replace(l2tpZones, "staff: {}", "staff: {"+trust+"}", 1) + "    " + trust + "\n"
		if first == "printers" {
			zones = strings.Replace(zones, "  staff: {"+trust+"}\n", "", 1) + "  staff: {" + trust + "}\n"
		}
		g := newGateway(t, zones)
		r := g.realm.Load()
		for zone, meant := range map[string][]*zone{"staff": r.of(config.IKEv2), "printers": {r.zones["printers"]}} {
			_, who, err := g.identify(meant, r, [][]byte{block.Bytes}, func(*x509.Certificate) string { return "pc" })
			if err != nil || who.zone != zone {
				t.Errorf("with zone %s first, a client of %s is one of %q: %v", first, zone, who.zone, err)
			}
		}
	}
}

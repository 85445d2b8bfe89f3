package config

import (
	"os"
	"strings"
	"testing"
)

// wantFaultAt reads a file and wants one fault with these words in it.
func wantFaultAt(t *testing.T, text, at, what, hint string) {
	t.Helper()
	_, found := Parse("f.yaml", []byte(text), today)
	for _, d := range found {
		if d.Severity == Error && d.Key == at && strings.Contains(d.Message, what) && strings.Contains(d.Hint, hint) && d.Line > 0 {
			return
		}
	}
	t.Errorf("no fault of %s with %q and hint %q, but %v\n%s", at, what, hint, found, text)
}

const (
	zoneA    = smallest + `zones: {a: {auth: [certificate, peap], radius: corp, pool: {ipv4: 10.1.0.0/16, ipv6: "fd00:1::/64"}}}` + "\n"
	realm    = `radius: {corp: {servers: [{address: "r.example:1812", secret: /s}]}}` + "\n"
	waiverOf = `waivers: [{rule: PPP-005, until: 2026-12-31, owner: alice, reason: phones`
)

func TestWhatAZoneMayAskForAsProof(t *testing.T) {
	zone := func(auth string) string { return smallest + "zones: {a: {auth: [" + auth + "]}}" }
	wantFaultAt(t, zone("pap"), "zones.a.auth[0]", "never accepted", "eap-ttls")
	wantFaultAt(t, zone("mschapv2"), "zones.a.auth[0]", "never accepted", "eap-ttls")
	wantFaultAt(t, zone("eap-mschapv2"), "zones.a.auth[0]", "find the password", "PPP-005")
	wantFaultAt(t, zone("eap-tsl"), "zones.a.auth[0]", "no way to prove", `"eap-tls"`)
	wantFaultAt(t, zone("peap, certificate, x"), "zones.a.auth[2]", "no way to prove", "")
	mustParse(t, smallest+"zones: {a: {auth: [certificate, eap-tls, peap, eap-ttls, psk]}}")
	mustParse(t, smallest+"zones: {a: {auth: [eap-mschapv2], "+waiverOf+"}]}}")
	wantFaultAt(t, smallest+"zones: {a: {auth: [eap-mschapv2], "+waiverOf+`, peer: "alice"}]}}`, "zones.a.waivers[0].peer", "before anybody knows", "leave peer out")
}

func TestAGroupIsHeldAgainstItsZone(t *testing.T) {
	group := func(keys string) string { return zoneA + realm + "groups: {g: {" + keys + "}}\n" }
	wantFaultAt(t, group("zone: b"), "groups.g.zone", `no zone "b"`, "")
	wantFaultAt(t, group("zone: A"), "groups.g.zone", `no zone "A"`, `"a"`)
	wantFaultAt(t, group("routes: [10.0.0.0/8]"), "groups.g.zone", "required", "")
	wantFaultAt(t, group("zone: a, pool: {ipv4: 10.2.0.0/24}"), "groups.g.pool.ipv4", "not within the pool of the zone", "10.1.0.0/16")
	wantFaultAt(t, group("zone: a, pool: {ipv4: 10.0.0.0/8}"), "groups.g.pool.ipv4", "not within", "")
	wantFaultAt(t, group(`zone: a, pool: {ipv4: "fd00:1::/112"}`), "groups.g.pool.ipv4", "not within", "")
	wantFaultAt(t, group("zone: a, pool: {ipv4: 10.1.2.3/32}"), "groups.g.pool.ipv4", "one address", "--inner")
	wantFaultAt(t, group("zone: a, dns: {split: [corp.example]}"), "groups.g.dns.split", "resolver", "servers")
	wantFaultAt(t, group("zone: a, dns: {servers: [10.1.0.9]}"), "groups.g.dns.servers[0]", "in the pool", "")
	wantFaultAt(t, group("zone: a, routes: [10.0.0.0/8, 10.0.0.0/8]"), "groups.g.routes[1]", "twice", "")
	wantFaultAt(t, group("zone: a, user: {when_full: refuse}"), "groups.g.user.when_full", "not one of", "")
	wantFaultAt(t, group("zone: a, user: {download: 5}"), "groups.g.user.download", "not one", "Mbit")
	wantFaultAt(t, zoneA+realm+"groups: {g: {zone: a, pool: {ipv4: 10.1.8.0/24}}, h: {zone: a, pool: {ipv4: 10.1.8.128/25}}}", "groups.h.pool.ipv4", "overlaps", "")
	c := mustParse(t, group("zone: a, pool: {ipv4: 10.1.8.0/24}, user: {upload: 5Mbit, when_full: reject}"))
	if g, ok := c.Group("g"); !ok || g.User.Upload != 5e6 {
		t.Errorf("group %+v", g)
	}
	if _, ok := c.Group("h"); ok {
		t.Error("a group that is not there")
	}
}

func TestRADIUSServersAreWhole(t *testing.T) {
	servers := func(keys string) string { return zoneA + "radius: {corp: {" + keys + "}}\n" }
	wantFaultAt(t, zoneA, "zones.a.radius", `no RADIUS servers "corp"`, "")
	wantFaultAt(t, servers("identifier: x"), "radius.corp", "no server", "servers")
	wantFaultAt(t, servers("servers: [{address: r.example, secret: /s}]"), "radius.corp.servers[0].address", "not host:port", ":1812")
	wantFaultAt(t, servers(`servers: [{address: "r:0", secret: /s}]`), "radius.corp.servers[0].address", "not host:port", "")
	wantFaultAt(t, servers(`servers: [{address: "r:1812"}]`), "radius.corp.servers[0]", "neither secret nor tls.ca", "secret")
	wantFaultAt(t, servers(`servers: [{address: "r:1812", secret: s}]`), "radius.corp.servers[0].secret", "not an absolute path", "")
	wantFaultAt(t, servers(`servers: [{address: "r:2083", secret: /s, tls: {ca: /a, certificate: /c, key: /k}}]`), "radius.corp.servers[0].secret", "of no use with tls", "remove")
	wantFaultAt(t, servers(`servers: [{address: "r:2083", tls: {ca: /a, certificate: /c}}]`), "radius.corp.servers[0].tls.key", "not an absolute path", "")
	wantFaultAt(t, servers(`servers: [{address: "r:2083", secret: /s, tls: {name: r}}]`), "radius.corp.servers[0].tls", "nothing is believed", "ca")
	wantFaultAt(t, servers(`servers: [{address: "r:1812", secret: /s}], dynamic: {listen: "192.0.2.1:3799"}`), "radius.corp.dynamic.from", "nobody", "")
	wantFaultAt(t, servers(`servers: [{address: "r:1812", secret: /s}], dynamic: {from: [{address: 192.0.2.9, secret: /s}]}`), "radius.corp.dynamic.listen", "nothing listens", "3799")
	wantFaultAt(t, servers(`servers: [{address: "r:1812", secret: /s}], dynamic: {listen: "0.0.0.0:3799", from: [{address: 192.0.2.9, secret: /s}]}`), "radius.corp.dynamic.listen", "not the address of a host", "one address")
	wantFaultAt(t, servers(`servers: [{address: "r:1812", secret: /s}], dynamic: {listen: "192.0.2.1:3799", from: [{address: 192.0.2.9, secret: /s}, {address: 192.0.2.9, secret: /t}]}`), "radius.corp.dynamic.from[1]", "twice", "")
	wantFaultAt(t, smallest+"zones: {a: {radius: corp}}\n"+realm, "zones.a.radius", "takes none", "peap")
	mustParse(t, smallest+"zones: {a: {radius: corp}}\nradius: {corp: {accounting: [{address: \"r:1813\", secret: /s}]}}\n") // accounting alone
	_, found := Parse("f.yaml", []byte(smallest+realm), today)
	if found.Err() != nil || len(found) != 1 || !strings.Contains(found[0].Message, "no zone uses") {
		t.Errorf("servers that nobody uses: %v", found)
	}
}

func TestOneLoginIsJudgedInOnePlace(t *testing.T) {
	two := func(b string) string {
		return smallest + `zones: {a: {auth: [peap], radius: corp, pool: {ipv4: 10.1.0.0/16}}, b: {auth: [peap], pool: {ipv4: 10.2.0.0/16}` + b + "}}\n" + realm
	}
	wantFaultAt(t, two(""), "zones.b.radius", "judged in two places", "identity")
	wantFaultAt(t, two(", identity: {id: vpn.example.org}"), "zones.b.radius", "judged in two places", "identity") // the gateway's name, written out
	mustParse(t, two(", radius: corp"))
	mustParse(t, two(", identity: {id: other.example}"))
}

func TestRatesAreBitsPerSecond(t *testing.T) {
	for text, want := range map[string]Bitrate{"0": 0, "20Mbit": 20e6, "1Gbit": 1e9, "1500kbit": 1500e3} {
		c := mustParse(t, smallest+"zones: {a: {user: {download: "+text+"}}}")
		if got := c.Zones[0].User.Download; got != want || got.String() != text {
			t.Errorf("%s is read as %d and written as %s", text, got, got)
		}
	}
	for _, text := range []string{"20", "20MiB", "1.5Mbit", "-1Mbit", "0Mbit", "99999999999999999999Gbit", "2000Gbit"} {
		if _, found := Parse("f.yaml", []byte(smallest+"zones: {a: {user: {download: "+text+"}}}"), today); found.Err() == nil {
			t.Errorf("%s is a rate", text)
		}
	}
}

func TestAGroupReplacesWhatItSays(t *testing.T) {
	zone := User{Sessions: 3, WhenFull: "replace", Download: 5, Upload: 6}
	if got := zone.With(User{WhenFull: "zone"}); got != zone {
		t.Errorf("a group that says nothing makes it %+v", got)
	}
	if got := zone.With(User{Sessions: 1, WhenFull: "reject", Upload: 2}); got != (User{1, "reject", 5, 2}) || !got.Rejects() {
		t.Errorf("%+v", got)
	}
}

func TestSecretFilesAreForTheirOwnerAlone(t *testing.T) {
	path := t.TempDir() + "/secret"
	if err := os.WriteFile(path, []byte("0123456789abcdef"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := newDecoder("f.yaml")
	d.checkHost(d.parse([]byte(smallest+"zones: {a: {auth: [peap], radius: corp}}\nradius: {corp: {servers: [{address: \"r:1812\", secret: "+path+"}]}}\n"), today))
	if err := d.found.Err(); err == nil || !strings.Contains(err.Error(), "may be read by others") {
		t.Errorf("%v", d.found)
	}
}

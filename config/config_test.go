package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const smallest = "gateway: {name: vpn.example.org}\n"

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, found := Parse("test.yaml", []byte(text), today)
	if c == nil {
		t.Fatalf("refused: %v", found.Err())
	}
	return c
}

func TestTheNameAloneIsAWholeConfiguration(t *testing.T) {
	c := mustParse(t, smallest)
	z, ok := c.Zone("staff")
	if !ok || len(c.Zones) != 1 {
		t.Fatalf("zones are %v, want staff alone", c.Zones)
	}
	if z.Pool.IPv4 != netip.MustParsePrefix("10.60.0.0/16") {
		t.Errorf("IPv4 pool is %v", z.Pool.IPv4)
	}
	if p := z.Pool.IPv6; p.Bits() != 64 || p.Addr().As16()[0] != 0xfd {
		t.Errorf("IPv6 pool %v is not a unique local /64", p)
	}
	if len(z.Policy.IKE) == 0 || len(z.Policy.ESP) == 0 {
		t.Error("the built-in policy has no proposals")
	}
	if z.Rekey.Child != time.Hour || !z.MOBIKE || !z.Trust.Strict || z.Encap != "forced" {
		t.Errorf("unsafe default: %+v", z)
	}
	if !slices.Equal(z.Auth, []string{"certificate"}) {
		t.Errorf("auth is %v", z.Auth)
	}
}

func TestIPv6PoolDependsOnTheNamesAlone(t *testing.T) {
	a := localPrefix("vpn.example.org", "staff")
	if a != localPrefix("vpn.example.org", "staff") {
		t.Error("the same names give two prefixes")
	}
	sameSite := localPrefix("vpn.example.org", "guests")
	if a == sameSite || a.Addr().AsSlice()[5] != sameSite.Addr().AsSlice()[5] {
		t.Errorf("zones of one gateway want subnets of one prefix: %v and %v", a, sameSite)
	}
	if other := localPrefix("vpn.example.net", "staff"); netip.PrefixFrom(a.Addr(), 48).Masked() == netip.PrefixFrom(other.Addr(), 48).Masked() {
		t.Errorf("two gateways share a prefix: %v and %v", a, other)
	}
}

func TestZonesKeepTheOrderOfTheFile(t *testing.T) {
	c := mustParse(t, smallest+"zones:\n  zebra: {pool: {ipv4: 10.1.0.0/16}}\n  ape: {pool: {ipv4: 10.2.0.0/16}}\n  mole: {pool: {ipv4: 10.3.0.0/16}}\n")
	var names []string
	for _, z := range c.Zones {
		names = append(names, z.Name)
	}
	if !slices.Equal(names, []string{"zebra", "ape", "mole"}) {
		t.Errorf("zones are %v", names)
	}
}

// everything sets each key to something that is not its default.
const everything = `
gateway:
  name: 192.0.2.1
  names: [vpn.example.org, "2001:db8::1"]
  listen: [eth0, 192.0.2.1, "2001:db8::1"]
  ports: {ike: 1500, natt: 14500}
  state: /srv/sallyport
  control: {socket: /run/x.sock, group: "vpn admins"}
  dataplane: {kind: "null", device: tun7, mtu: 1300, queues: 3, offload: false}
  limits: {sessions: 7, half_open: 70, cookie_after: 17, per_source: 5}
zones:
  one:
    policy: {ike: [aes256gcm16-prfsha384-ecp384, aes128-sha256-ecp256], esp: [aes256gcm16]}
    identity: {id: "gate@example.org", certificate: /a b/c.pem, key: /a b/c.key}
    pool: {ipv4: none, ipv6: "2001:db8:1::/64"}
    dns: {servers: [gateway, "2001:db8::53"], search: [a.example, b.example], split: [a.example]}
    routes: ["2001:db8::/32"]
    rekey: {ike: 2h, child: 90m, bytes: 1000MiB, packets: 2000000, margin: 90s}
    dpd: 45s
    fragment: 1400
    mobike: false
    auth_lifetime: 7d
    encapsulation: auto
    sessions: 4
    auth: [certificate, eap-tls, peap, eap-ttls, eap-mschapv2, psk]
    radius: corp
    user: {sessions: 3, when_full: reject, download: 1500kbit, upload: 2Gbit}
    trust: {cas: [/x.pem], crls: [/x.crl], strict: false}
    waivers:
      - {rule: CRY-010, until: 2026-12-31, owner: "alice", reason: "a: b # c \"d\" \\ é"}
      - {rule: CRY-019, until: 2027-03-31, owner: "yes", reason: "1e5", peer: "null"}
      - {rule: PPP-005, until: 2027-03-31, owner: bob, reason: "old phones"}
  two: {policy: cnsa2, pool: {ipv4: 10.9.0.0/24, ipv6: "2001:db8:2::/64"}}
  three: {pool: {ipv4: 10.8.0.0/24, ipv6: none}, routes: [10.0.0.0/8]}
  old:
    protocol: l2tp
    policy: {ike: [aes256-sha1-ecp384, aes256-sha256-modp2048], esp: [aes256gcm16-ecp384]}
    auth: [eap-tls, peap]
    machine: [certificate, psk]
    group_psk: /srv/group.psk
    identity: {certificate: /old.pem, key: /old.key}
    listen: [eth7, 192.0.2.7]
    device: tun-old
    mtu: 1320
    pool: {ipv4: 10.7.0.0/24, ipv6: "2001:db8:700::/48"}
    dns: {servers: [gateway, 10.20.30.53]}
    reach: [10.20.30.0/24, "2001:db8:30::/48"]
    routes: [10.20.30.0/25]
    rekey: {ike: 6h, child: 30m}
    encapsulation: auto
    limits: {sessions: 9, half_open: 8, setups: 1}
    cutoff: 2027-06-30
    waivers:
      - {rule: CRY-005, until: 2026-12-31, owner: alice, reason: "Windows offers only SHA-1 integrity for L2TP"}
      - {rule: PSK-003, until: 2026-12-31, owner: alice, reason: "printers"}
groups:
  some:
    zone: two
    pool: {ipv4: 10.9.0.64/26, ipv6: "2001:db8:2::8:0/112"}
    dns: {servers: [gateway], search: [eng.example], split: [eng.example]}
    routes: [10.1.0.0/16, "2001:db8::/32"]
    user: {sessions: 1, when_full: replace, download: 64kbit, upload: 1000Gbit}
  others: {zone: one, user: {when_full: reject}}
radius:
  corp:
    servers:
      - {address: "radius1.example.org:1812", secret: /srv/radius.secret, status: true}
      - {address: "[2001:db8::9]:2083", tls: {name: radius2.example.org, ca: /a.pem, crl: /a.crl, certificate: /c.pem, key: /c.key}}
    accounting: [{address: "192.0.2.9:1813", secret: /srv/radius.secret}]
    identifier: "vpn 1"
    interim: 1h
    dynamic: {listen: "[2001:db8::1]:3799", from: [{address: "2001:db8::9", secret: /srv/coa.secret}]}
  books: {accounting: [{address: "books.example.org:1813", secret: /srv/books.secret}]}
logging: {level: debug, format: json}
`

func TestEffectiveParsesToTheSame(t *testing.T) {
	for name, text := range map[string]string{"smallest": smallest, "example": example, "everything": everything} {
		c := mustParse(t, text)
		again, found := Parse("effective.yaml", c.Effective(), today)
		if again == nil {
			t.Errorf("%s: its effective form is refused: %v\n%s", name, found.Err(), c.Effective())
			continue
		}
		if !reflect.DeepEqual(c, again) {
			t.Errorf("%s: changes: %v", name, Diff(c, again))
		}
		if c.Plain() == nil {
			t.Errorf("%s: no plain form", name)
		}
	}
}

func TestEverythingChangesEveryKey(t *testing.T) {
	a, b := mustParse(t, smallest+"zones: {one: {}, old: {protocol: l2tp}}\ngroups: {some: {zone: one}}\nradius: {corp: {accounting: [{address: \"a.example:1813\", secret: /a}]}}\n"), mustParse(t, everything)
	names := strings.NewReplacer("zones.one", "zones.ZONE", "zones.old", "zones.ZONE", "groups.some", "groups.GROUP", "radius.corp", "radius.REALM")
	changed := map[string]bool{}
	for _, c := range Diff(a, b) {
		changed[names.Replace(c.Key)] = true
	}
	for _, k := range keys {
		leaf := len(childKeys(k.Path)) == 0 && !strings.Contains(k.Path, "[]") && !strings.HasPrefix(k.Path, "zones.ZONE.policy.")
		fixed := k.Path == "zones.ZONE.protocol" // a zone of the other protocol is another zone
		if leaf && !fixed && !changed[k.Path] {
			t.Errorf("Diff does not see %s", k.Path)
		}
	}
}

func TestDiffSaysWhatNeedsARestart(t *testing.T) {
	a := mustParse(t, "gateway: {name: a.example}\nzones: {x: {}, gone: {pool: {ipv4: 10.1.0.0/16}}, old: {protocol: l2tp}}")
	b := mustParse(t, "gateway: {name: a.example, listen: [eth1]}\nzones: {new: {pool: {ipv4: 10.2.0.0/16}}, x: {dpd: 30s}, older: {protocol: l2tp}}")
	want := []string{
		"gateway.listen: [] -> [eth1] (needs a restart)",
		"+ zones.new",
		"zones.x.dpd: 1m -> 30s",
		"+ zones.older (needs a restart)",
		"- zones.gone",
		"- zones.old (needs a restart)",
	}
	var got []string
	for _, c := range Diff(a, b) {
		got = append(got, c.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if changes := Diff(a, a); len(changes) != 0 {
		t.Errorf("a configuration differs from itself: %v", changes)
	}
}

func TestDiffTellsWhereTheOrderCounts(t *testing.T) {
	file := func(zones, groups string) *Config {
		return mustParse(t, smallest+"zones: {"+zones+"}\ngroups: {"+groups+"}\n")
	}
	const a, b, g, h = "a: {}", "b: {pool: {ipv4: 10.1.0.0/16}}", "g: {zone: a}", "h: {zone: a}"
	got := fmt.Sprint(Diff(file(a+", "+b, g+", "+h), file(b+", "+a, h+", i: {zone: b}, "+g)))
	if want := "[zones: [a, b] -> [b, a] groups: [g, h] -> [h, g] + groups.i]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWindowsEditorsMayWriteTheFile(t *testing.T) {
	c := mustParse(t, "\ufeffgateway:\r\n  name: vpn.example.org\r\nzones:\r\n  a:\r\n    routes:\r\n      - 10.0.0.0/8\r\n")
	if len(c.Zones) != 1 || len(c.Zones[0].Routes) != 1 || c.Gateway.Name != "vpn.example.org" {
		t.Errorf("read %+v", c)
	}
}

func TestExampleHasNoFault(t *testing.T) {
	if _, found := Parse("example.yaml", Example(), today); len(found) != 0 {
		t.Errorf("the example is not without fault: %v", found)
	}
}

// TestWhatTheExampleLeavesOutCanBeTakenIn: its lines of sections are there to be
// uncommented.
func TestWhatTheExampleLeavesOutCanBeTakenIn(t *testing.T) {
	c := mustParse(t, strings.NewReplacer("\n# groups:", "\ngroups:", "\n# radius:", "\nradius:", "\n  # printers:", "\n  printers:").Replace(example))
	if l2tp := c.Zones.Of(L2TP); len(c.Groups) != 1 || len(c.RADIUS) != 1 || len(l2tp) != 1 {
		t.Errorf("the example has %d groups, %d realms and %d L2TP zones", len(c.Groups), len(c.RADIUS), len(l2tp))
	}
}

func TestWaiverEndsWithItsLastDay(t *testing.T) {
	c := mustParse(t, everything)
	z, _ := c.Zone("one")
	lastMinute := time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)
	if !z.Waived("CRY-010", "anyone", lastMinute) {
		t.Error("the waiver ended before its last day was over")
	}
	if z.Waived("CRY-010", "anyone", lastMinute.Add(time.Minute)) {
		t.Error("the waiver outlived its last day")
	}
	if z.Waived("CRY-019", "someone", today) || !z.Waived("CRY-019", "null", today) {
		t.Error("a waiver for one peer must hold for that peer alone")
	}
	if z.Waived("CRY-005", "anyone", today) {
		t.Error("a rule without waiver is waived")
	}
}

func TestResolversAreAddresses(t *testing.T) {
	c := mustParse(t, smallest+"zones: {a: {pool: {ipv4: 10.1.0.0/16, ipv6: \"fd00:1::/64\"}, dns: {servers: [gateway, 10.0.0.53]}}}")
	want := []netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("fd00:1::1"), netip.MustParseAddr("10.0.0.53")}
	if got := c.Zones[0].Resolvers(); !slices.Equal(got, want) {
		t.Errorf("resolvers are %v, want %v", got, want)
	}
}

func TestAZoneThatTakesAllTrafficTellsItsOwnResolver(t *testing.T) {
	for zone, want := range map[string]bool{
		"{}":                              true,
		"{routes: [\"::/0\"]}":            true,
		"{routes: [10.0.0.0/8]}":          false,
		"{dns: {servers: []}}":            false,
		"{dns: {search: [corp.example]}}": true,
		"{dns: {split: [corp.example]}}":  true,
		"{dns: {servers: [10.99.0.53]}}":  false,
	} {
		z := mustParse(t, smallest+"zones: {a: "+zone+"}").Zones[0]
		if got := len(z.DNS.Servers) == 1 && z.DNS.Servers[0].Gateway; got != want {
			t.Errorf("%s: %+v", zone, z.DNS.Servers)
		}
	}
}

package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantTold wants exactly these diagnostics, as "key: message / hint" with
// "warning" before what is one. Each stands at its ^ in the text, which Parse
// does not see.
func wantTold(t *testing.T, marked string, want ...string) {
	t.Helper()
	text := strings.ReplaceAll(marked, "^", "")
	_, found := Parse("f", []byte(text), today)
	var got []string
	lines := strings.SplitAfter(text, "\n")
	for i := len(found) - 1; i >= 0; i-- {
		d := found[i]
		at := min(d.Col-1, len(lines[d.Line-1]))
		lines[d.Line-1] = lines[d.Line-1][:at] + "^" + lines[d.Line-1][at:]
		line := fmt.Sprintf("%s: %s / %s", d.Key, d.Message, d.Hint)
		if d.Severity == Warning {
			line = "warning " + line
		}
		got = append([]string{line}, got...)
	}
	if place := strings.Join(lines, ""); place != marked {
		t.Errorf("the places are\n%s\nwant\n%s", place, marked)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot:\n  %s\nwant:\n  %s", marked, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// pools has two zones for groups to stand in; what follows begins at line 5.
const pools = smallest + `zones:
  a: {pool: {ipv4: 10.1.0.0/16, ipv6: "fd00:1::/64"}}
  b: {pool: {ipv4: 10.2.0.0/24, ipv6: none}, routes: [10.0.0.0/8]}
`

func TestAGroupStandsInItsZone(t *testing.T) {
	for groups, want := range map[string]string{
		"g: {zone: ^c}":         `groups.g.zone: there is no zone "c" / did you mean "a"?`,
		"g: {zone: ^somewhere}": `groups.g.zone: there is no zone "somewhere" / under zones stand: a, b`,
		"g: ^{}":                `groups.g.zone: this key is required / for example zone: staff`,
		"g: {zone: a, pool: {ipv4: ^10.2.0.0/24}}":       `groups.g.pool.ipv4: 10.2.0.0/24 is not within the pool of the zone, 10.1.0.0/16 / choose a part of 10.1.0.0/16`,
		"g: {zone: b, pool: {ipv4: ^10.0.0.0/8}}":        `groups.g.pool.ipv4: 10.0.0.0/8 is not within the pool of the zone, 10.2.0.0/24 / choose a part of 10.2.0.0/24`,
		`g: {zone: a, pool: {ipv4: ^"fd00:1::/120"}}`:    `groups.g.pool.ipv4: fd00:1::/120 is not within the pool of the zone, 10.1.0.0/16 / choose a part of 10.1.0.0/16`,
		`g: {zone: b, pool: {ipv6: ^"fd00:1::/120"}}`:    `groups.g.pool.ipv6: the zone gives no addresses of this family / remove it, or give the zone a pool of this family`,
		"g: {zone: a, pool: {ipv4: ^10.1.0.0/16}}":       `warning groups.g.pool.ipv4: 10.1.0.0/16 is the whole pool of the zone: it sets nobody apart / remove it, or choose a part`,
		"g: {zone: a, pool: {ipv4: ^10.1.7.7/32}}":       `groups.g.pool.ipv4: 10.1.7.7/32 has no room for 2 clients / for one user, give the user a static address: sallyport user set NAME --inner`,
		"g: {zone: a, pool: {ipv4: ^10.1.0.0/31}}":       `groups.g.pool.ipv4: 10.1.0.0/31 has no room for 2 clients / for one user, give the user a static address: sallyport user set NAME --inner`,
		"g: {zone: b, pool: {ipv4: ^10.2.0.254/31}}":     `groups.g.pool.ipv4: 10.2.0.254/31 has no room for 2 clients / for one user, give the user a static address: sallyport user set NAME --inner`,
		`g: {zone: a, pool: {ipv6: ^"fd00:1::/127"}}`:    `groups.g.pool.ipv6: fd00:1::/127 has no room for 2 clients / for one user, give the user a static address: sallyport user set NAME --inner`,
		"g: {zone: a, dns: {servers: [^10.1.0.9]}}":      `groups.g.dns.servers[0]: 10.1.0.9 is in the pool and may be given to a client / move the resolver out of the pool`,
		"g: {zone: b, dns: {split: ^[^Eng]}}":            `groups.g.dns.split: split domains need a resolver inside the tunnel / add servers` + "\n" + `groups.g.dns.split[0]: "Eng" is not a domain / write it in lower case, without a dot at either end`,
		"g: {zone: a, routes: [10.0.0.0/8,^10.0.0.0/8]}": `groups.g.routes[1]: 10.0.0.0/8 is here twice / remove it`,
		"g: {zone: a, user: {download: ^1kbit}}":         `groups.g.user.download: 1kbit is too slow for packets of full size / write at least 64kbit`,
		"g: {zone: a, user: {when_full: ^rejct}}":        `groups.g.user.when_full: "rejct" is not one of zone, replace, reject / did you mean "reject"?`,
		"g: {zone: a, user: {sessions: ^2000}}":          `groups.g.user.sessions: 2000 is out of bounds: from 0 to 1000 / write 1000 or less`,
		"^G: {zone: a}":                                  `groups: "G" cannot name a group / use 1 to 32 lower-case letters, digits and hyphens, with a letter first`,
		"zone: ^a":                                       `groups.zone: zone is a key of one section of groups, and here a name must stand / write groups: {NAME: {zone: ...}}`,
	} {
		wantTold(t, pools+"groups: {"+groups+"}\n", strings.Split(want, "\n")...)
	}
}

func TestAGroupMayTakeWhatItsZoneHas(t *testing.T) {
	for _, groups := range []string{
		"zone: {zone: a}", // a name is a name
		"a: {zone: a}, g: {zone: b}",
		"g: {zone: a, pool: {ipv4: 10.1.0.0/30}}", // with the gateway's own address, and room for two
		"g: {zone: b, pool: {ipv4: 10.2.0.252/30}}",
		`g: {zone: a, pool: {ipv4: 10.1.8.0/24, ipv6: "fd00:1::8:0/112"}}, h: {zone: a, pool: {ipv4: 10.1.9.0/24, ipv6: "fd00:1::9:0/112"}}`,
		"g: {zone: a, dns: {servers: [gateway], split: [eng.example]}}",
		"g: {zone: a, dns: {servers: [10.1.0.1]}}", // the gateway's own
		"g: {zone: a, user: {sessions: 1, when_full: reject, download: 64kbit}}",
	} {
		wantTold(t, pools+"groups: {"+groups+"}\n")
	}
}

func TestAGroupTakesTheResolverOfItsZone(t *testing.T) {
	wantTold(t, smallest+"zones: {a: {dns: {servers: [10.0.0.53]}}}\ngroups: {g: {zone: a, dns: {split: [eng.example]}}}\n")
}

func TestPoolsOfTwoGroupsAreApart(t *testing.T) {
	wantTold(t, pools+"groups:\n  g: {zone: a, pool: {ipv4: 10.1.8.0/24}}\n  h: {zone: a, pool: {ipv4: ^10.1.0.0/20}}\n",
		"groups.h.pool.ipv4: 10.1.0.0/20 overlaps 10.1.8.0/24 of group g / give each group its own part")
	wantTold(t, pools+"groups:\n  g: {zone: a, pool: {ipv6: \"fd00:1::8:0/112\"}}\n  h: {zone: a, pool: {ipv6: ^\"fd00:1::8:0/120\"}}\n",
		"groups.h.pool.ipv6: fd00:1::8:0/120 overlaps fd00:1::8:0/112 of group g / give each group its own part")
}

// TestAFaultOfAZoneIsNotToldAgainOfItsGroups: one fault, one message.
func TestAFaultOfAZoneIsNotToldAgainOfItsGroups(t *testing.T) {
	group := "\ngroups: {g: {zone: a, pool: {ipv4: 10.1.8.0/24, ipv6: \"fd00::/112\"}}}\n"
	for _, zones := range []string{
		"zones: {a: {protocol: l2pt}}",
		"zones: {a: {pool: {ipv4: 10.1.0.0, ipv6: \"fd00::/64\"}}}",
		"zones: 7",
		"zones: {a: 7}",
	} {
		if _, found := Parse("f", []byte(smallest+zones+group), today); len(found) != 1 {
			t.Errorf("%s: %d messages: %v", zones, len(found), found)
		}
	}
	wantTold(t, smallest+"zones: {^A: {}}\ngroups: {g: {zone: A}}\n", `zones: "A" cannot name a zone / use 1 to 32 lower-case letters, digits and hyphens, with a letter first`)
	wantTold(t, "gateway: {^^nmae: a.example}\nzones: {a: {}}\ngroups: {g: {zone: a, pool: {ipv6: \"fd00::/112\"}}}\n",
		`: unknown key "nmae" in gateway / did you mean "name"?`,
		`gateway.name: this key is required / for example name: vpn.example.org`)
}

// realm is a file with one realm and a zone that uses it.
func realm(keys string) string {
	return smallest + "zones: {a: {auth: [eap-tls], radius: corp}}\n" + "radius: {corp: {" + keys + "}}\n"
}

func TestARADIUSServerHasAnAddressAndASecretOrTLS(t *testing.T) {
	accounting := strings.NewReplacer("corp.servers", "corp.accounting", "for example address: radius1.example.org:1812", "for example address: radius1.example.org:1813")
	for server, want := range map[string]string{
		`{^secret: /s}`:                                                                          `radius.corp.servers[0].address: this key is required / for example address: radius1.example.org:1812`,
		`{address: ^r.example, secret: /s}`:                                                      `radius.corp.servers[0].address: "r.example" is not the host and port of a server / write host and port, such as radius1.example.org:1812 or "[2001:db8::1]:1812"`,
		`{address: ^"r.example:0", secret: /s}`:                                                  `radius.corp.servers[0].address: "r.example:0" is not the host and port of a server / write host and port, such as radius1.example.org:1812 or "[2001:db8::1]:1812"`,
		`{address: ^"r_x:1812", secret: /s}`:                                                     `radius.corp.servers[0].address: "r_x:1812" is not the host and port of a server / write host and port, such as radius1.example.org:1812 or "[2001:db8::1]:1812"`,
		`{address: ^":1812", secret: /s}`:                                                        `radius.corp.servers[0].address: ":1812" is not the host and port of a server / write host and port, such as radius1.example.org:1812 or "[2001:db8::1]:1812"`,
		`{address: ^"0.0.0.0:1812", secret: /s}`:                                                 `radius.corp.servers[0].address: "0.0.0.0:1812" is not the host and port of a server / write host and port, such as radius1.example.org:1812 or "[2001:db8::1]:1812"`,
		`{address: ^"r.example:70000", secret: /s}`:                                              `radius.corp.servers[0].address: "r.example:70000" is not the host and port of a server / write host and port, such as radius1.example.org:1812 or "[2001:db8::1]:1812"`,
		`{^address: "r.example:1812"}`:                                                           `radius.corp.servers[0]: the server has neither secret nor tls / name the file of its shared secret, or set up tls`,
		`{address: "r.example:1812", secret: ^s}`:                                                `radius.corp.servers[0].secret: not an absolute path; it is not shown, because it may be a secret / put the secret into a file of its own, and write the absolute path of that file`,
		`{address: "r.example:1812", secret: /s, tls: {^name: r.example}}`:                       `radius.corp.servers[0].tls.ca: without ca nothing that the server shows can be believed / name the file of the CA`,
		`{address: "r.example:1812", secret: ^/s, tls: {ca: /a, certificate: /c, key: /k}}`:      `radius.corp.servers[0].secret: a secret is of no use with tls / remove it: over TLS the secret is always the same word`,
		`{address: "r.example:2083", tls: {^ca: /a}}`:                                            `radius.corp.servers[0].tls.certificate: both ends show certificates, and the gateway has none / name the files of the gateway's certificate and key`,
		`{address: "r.example:2083", tls: {^ca: /a, certificate: /c}}`:                           `radius.corp.servers[0].tls.key: a certificate is of no use without its key / name the file of its private key`,
		`{address: "r.example:2083", tls: {^ca: /a, key: /k}}`:                                   `radius.corp.servers[0].tls.certificate: a key is of no use without its certificate / name the file of its certificate`,
		`{address: "r.example:2083", tls: {ca: ^a, certificate: /c, key: /k}}`:                   `radius.corp.servers[0].tls.ca: "a" is not an absolute path / a path that begins with / means the same wherever the gateway is started`,
		`{address: "r.example:2083", tls: {ca: /a, crl: ^a, certificate: /c, key: /k}}`:          `radius.corp.servers[0].tls.crl: "a" is not an absolute path / a path that begins with / means the same wherever the gateway is started`,
		`{address: "r.example:2083", tls: {ca: /a, name: ^R.example, certificate: /c, key: /k}}`: `radius.corp.servers[0].tls.name: "R.example" is neither a DNS name nor an IP address / write it in lower case: r.example`,
		`{address: "r.example:2083", tls: {ca: ^7}}`:                                             `radius.corp.servers[0].tls.ca: want text, not a number / put it in quotes: "7"`,
		`{address: "r.example:1812", secret: /s}, {address: ^"r.example:1812", secret: /t}`:      `radius.corp.servers[1].address: "r.example:1812" is here twice / remove it`,
	} {
		wantTold(t, realm("servers: ["+server+"]"), want)
		wantTold(t, realm("accounting: ["+server+"]"), accounting.Replace(want))
	}
	many := strings.Builder{}
	for i := range maxServers + 1 {
		fmt.Fprintf(&many, `{address: "r%d.example:1812", secret: /s}, `, i)
	}
	wantTold(t, realm("servers: ^["+many.String()+"]"), "radius.corp.servers: 17 servers; the limit is 16 / name a proxy that knows the others")
}

func TestARealmHasServersAndAZone(t *testing.T) {
	const one = `servers: [{address: "r.example:1812", secret: /s}], `
	for keys, want := range map[string]string{
		"servers: ^r.example:1812":                       `radius.corp.servers: want a list, not text / remove the key to get its default, []`,
		one + "interim: ^10s":                            `radius.corp.interim: 10s is shorter than 1m / write 0s for no updates`,
		one + "interim: ^5m":                             `warning radius.corp.interim: there is no server to send updates to / add accounting`,
		one + "identifier: ^" + strings.Repeat("a", 254): `radius.corp.identifier: 254 octets; the limit is 253 / write a shorter one`,
		one + "^secret: x":                               `: unknown key "secret" in radius.corp / the configuration holds no secrets: a device gets its key with sallyport device add --psk, and a RADIUS server's stands in a file of its own`,
	} {
		wantTold(t, realm(keys), want)
	}
	wantTold(t, realm(one+"interim: 0s"))
	wantTold(t, smallest+"zones: {a: {radius: corp}}\nradius: {^corp: {}}\n", "radius.corp: no server is named / add servers, accounting or both")
	wantTold(t, smallest+"radius: {^corp: {"+one+"}}\n", "warning radius.corp: no zone uses these servers / write radius: corp in a zone")
	wantTold(t, smallest+"radius: {servers: ^[{address: \"r.example:1812\", secret: /s}]}\n",
		"radius.servers: servers is a key of one section of radius, and here a name must stand / write radius: {NAME: {servers: ...}}")
}

func TestAZoneNamesRADIUSServersThatFit(t *testing.T) {
	const realms = "\nradius: {corp: {servers: [{address: \"r.example:1812\", secret: /s}]}, books: {accounting: [{address: \"r.example:1813\", secret: /s}]}}\n"
	for zone, want := range map[string]string{
		"{auth: [eap-tls], radius: ^crop}":          `zones.a.radius: there are no RADIUS servers "crop" / did you mean "corp"?`,
		"{auth: [eap-tls], radius: ^elsewhere}":     `zones.a.radius: there are no RADIUS servers "elsewhere" / under radius stand: corp, books`,
		"{auth: [certificate, psk], radius: ^corp}": `zones.a.radius: the servers judge EAP, and the zone takes none / add eap-tls, peap or eap-ttls to the zone's auth`,
	} {
		wantTold(t, smallest+"zones: {a: "+zone+", b: {radius: corp, auth: [peap], identity: {id: b.example.org, certificate: /c, key: /k}, pool: {ipv4: 10.1.0.0/16}}, c: {radius: books, pool: {ipv4: 10.2.0.0/16}}}"+realms, want)
	}
	for _, zones := range []string{
		"{a: {auth: [certificate, psk], radius: books}, b: {auth: [psk, eap-ttls], radius: corp, pool: {ipv4: 10.1.0.0/16}}}",
		"{a: {auth: [peap], radius: books}, b: {auth: [certificate, eap-tls], radius: corp, identity: {id: b.example.org, certificate: /c, key: /k}, pool: {ipv4: 10.1.0.0/16}}}",
	} {
		wantTold(t, smallest+"zones: "+zones+realms)
	}
	wantTold(t, smallest+"zones: {a: {radius: ^corp}}\n", `zones.a.radius: there are no RADIUS servers "corp" / write a realm of this name under radius`)
}

func TestRequestsOfServersAreListenedForOnce(t *testing.T) {
	const from = ", from: [{address: 192.0.2.9, secret: /s}]"
	const books = `accounting: [{address: "r.example:1813", secret: /s}]`
	for dynamic, want := range map[string]string{
		"^listen: 192.0.2.1:3799":                                                 `radius.corp.dynamic.from: nobody is listened to / name the servers that may send requests`,
		"^from: [{address: 192.0.2.9, secret: /s}]":                               `radius.corp.dynamic.listen: requests are expected, and nothing listens for them / for example 192.0.2.1:3799`,
		"listen: ^192.0.2.1" + from:                                               `radius.corp.dynamic.listen: want an address and a port, such as 192.0.2.1:3799: "192.0.2.1" is not one / for example 192.0.2.1:3799 or "[2001:db8::1]:3799"`,
		"listen: ^0.0.0.0:3799" + from:                                            `radius.corp.dynamic.listen: want an address and a port, such as 192.0.2.1:3799: "0.0.0.0:3799" is not the address of a host / name one address of this host`,
		"listen: ^192.0.2.1:4500" + from:                                          `radius.corp.dynamic.listen: port 4500 is taken by IKE / the usual port is 3799`,
		`listen: "[2001:db8::1]:3799", from: [{address: ^192.0.2.9, secret: /s}]`: `radius.corp.dynamic.from[0].address: 192.0.2.9 cannot send to [2001:db8::1]:3799 / write both as IPv4, or both as IPv6`,
		"listen: 192.0.2.1:3799, from: [{address: ^r.example, secret: /s}]":       `radius.corp.dynamic.from[0].address: want an address, such as 192.0.2.1: "r.example" is not the address of a host / name one address, without a network, a port or an interface`,
		"listen: 192.0.2.1:3799, from: [{^address: 192.0.2.9}]":                   `radius.corp.dynamic.from[0].secret: this key is required / for example secret: /etc/sallyport/coa.secret`,
		"listen: 192.0.2.1:3799, from: [{address: 192.0.2.9, secret: ^s}]":        `radius.corp.dynamic.from[0].secret: not an absolute path; it is not shown, because it may be a secret / put the secret into a file of its own, and write the absolute path of that file`,
		"listen: 192.0.2.1:3799, from: [{address: 192.0.2.9, secret: /s}, {address: ^\"::ffff:192.0.2.9\", secret: /s}]": `radius.corp.dynamic.from[1].address: 192.0.2.9 is here twice / remove it`,
	} {
		wantTold(t, realm("dynamic: {"+dynamic+"}, "+books), want)
	}
	two := func(a, b string) string {
		return smallest + "zones: {a: {radius: x}, b: {radius: y, pool: {ipv4: 10.1.0.0/16}}}\nradius:\n" +
			"  x: {dynamic: {listen: " + a + from + "}, " + books + "}\n  y: {dynamic: {listen: " + b + from + "}, " + books + "}\n"
	}
	wantTold(t, two("192.0.2.1:3799", "^192.0.2.1:3799"), "radius.y.dynamic.listen: x listens on 192.0.2.1:3799 already / choose another port")
	wantTold(t, two("192.0.2.1:3799", "192.0.2.1:3800"))
	wantTold(t, two("192.0.2.1:3799", "192.0.2.2:3799"))
}

// TestOneNameHasOneJudgeOfLogins: EAP begins before the zone is known.
func TestOneNameHasOneJudgeOfLogins(t *testing.T) {
	file := func(a, b string) string {
		return smallest + "zones:\n  a: {auth: [eap-tls], " + a + "}\n  b: {auth: [peap, psk], pool: {ipv4: 10.1.0.0/16}, " + b + "}\n" +
			"  c: {auth: [eap-tls], identity: {id: c.example.org, certificate: /c, key: /k}, radius: x, pool: {ipv4: 10.2.0.0/16}}\n" +
			"  d: {auth: [eap-tls], identity: {id: d.example.org, certificate: /c, key: /k}, radius: y, pool: {ipv4: 10.3.0.0/16}}\n" +
			"  e: {auth: [certificate], radius: z, pool: {ipv4: 10.4.0.0/16}}\n" +
			"radius:\n  x: {servers: [{address: \"r.example:1812\", secret: /s}]}\n  y: {servers: [{address: \"r.example:1812\", secret: /s}]}\n  z: {accounting: [{address: \"r.example:1813\", secret: /s}]}\n"
	}
	two := func(name string) string {
		return "zones.b.radius: the zones a and b answer to the name " + name + ", and EAP logins would have to be judged in two places / give both zones an identity of their own, or the same radius"
	}
	for _, z := range []struct{ a, b string }{
		{"radius: x", "radius: ^y"},
		{"", "radius: ^y"},
		{"radius: x", "radius: ^z"},
		{"radius: x, identity: {id: vpn.example.org}", "radius: ^y"}, // gateway.name, written out
		{`radius: x, identity: {id: "2001:db8::1", certificate: /c, key: /k}`, `identity: {id: "2001:DB8:0::1", certificate: /c, key: /k}, radius: ^y`},
	} {
		name := "vpn.example.org"
		if strings.Contains(z.a, "2001") {
			name = "2001:db8::1"
		}
		wantTold(t, file(z.a, z.b), two(name))
	}
	// A zone without an identity answers to every name of the gateway.
	wantTold(t, strings.Replace(file("", "radius: ^y, identity: {id: partner.example.org}"), smallest, "gateway: {name: vpn.example.org, names: [partner.example.org]}\n", 1), two("partner.example.org"))
	for _, z := range []struct{ a, b string }{
		{"radius: x", "radius: x"},
		{"", "radius: z"}, // accounting alone: the gateway judges both
		{"radius: x, identity: {id: x.example.org, certificate: /c, key: /k}", "radius: y"},
		{"radius: x", "radius: y, identity: {id: b.example.org, certificate: /c, key: /k}"},
	} {
		wantTold(t, file(z.a, z.b))
	}
	wantTold(t, smallest+"zones:\n  a: {auth: [psk, certificate]}\n  b: {auth: [peap], pool: {ipv4: 10.1.0.0/16}, radius: x}\n"+
		"radius: {x: {servers: [{address: \"r.example:1812\", secret: /s}]}}\n") // a takes no EAP
}

func TestEveryWayToLogInButOneNeedsNoWaiver(t *testing.T) {
	for auth, want := range map[string]string{
		"certificate, eap-tls, peap, eap-ttls, psk": "",
		"psk":           "",
		"^eap-mschapv2": `zones.a.auth[0]: "eap-mschapv2" lets whoever answers in the gateway's place find the password / use peap or eap-ttls, which put TLS around it, or waive PPP-005`,
		"^mschapv2":     `zones.a.auth[0]: "mschapv2" is never accepted / use certificate, or eap-ttls for passwords`,
		"^pap":          `zones.a.auth[0]: "pap" is never accepted / use certificate, or eap-ttls for passwords`,
		"^chap":         `zones.a.auth[0]: "chap" is never accepted / use certificate, or eap-ttls for passwords`,
		"^eap-tsl":      `zones.a.auth[0]: "eap-tsl" is no way to prove who a client is / did you mean "eap-tls"?`,
		"peap, ^peap":   `zones.a.auth[1]: "peap" is here twice / remove it`,
	} {
		var wanted []string
		if want != "" {
			wanted = []string{want}
		}
		wantTold(t, smallest+"zones: {a: {auth: ["+auth+"]}}\n", wanted...)
	}
	wantTold(t, smallest+"zones: {a: {auth: [eap-tls, peap, eap-mschapv2], identity: {certificate: /c, key: /k}, waivers: [{rule: PPP-005, until: 2027-03-31, owner: bob, reason: phones}]}}\n")
}

// TestALoginIsNotWaivedForOnePeer: who logs in by EAP is known only afterwards.
func TestALoginIsNotWaivedForOnePeer(t *testing.T) {
	waived := func(rule string) string {
		return smallest + "zones: {a: {auth: [peap, eap-mschapv2], waivers: [{rule: PPP-005, until: 2027-03-31, owner: bob, reason: phones},\n {rule: " + rule + ", until: 2027-03-31, owner: bob, reason: phones, peer: ^bob}]}}\n"
	}
	for _, rule := range []string{RuleMSCHAPv2} {
		wantTold(t, waived(rule), "zones.a.waivers[1].peer: "+rule+" cannot be waived for one peer: it counts before it is known who the peer is / remove the key, or put the peer into a zone of its own")
	}
	for _, rule := range []string{RuleNoPFS, RuleSHA1, RuleNoEMS, RulePSKWeak, RulePSKShared} {
		wantTold(t, strings.Replace(waived(rule), "^", "", 1))
	}
}

func TestAWaiverThatIsOverOpensNothing(t *testing.T) {
	text := smallest + "zones: {a: {auth: [^eap-mschapv2], waivers: [{rule: PPP-005, until: ^2026-11-22, owner: bob, reason: phones}]}}\n"
	wantTold(t, text,
		`zones.a.auth[0]: "eap-mschapv2" lets whoever answers in the gateway's place find the password / use peap or eap-ttls, which put TLS around it, or waive PPP-005`,
		`zones.a.waivers[0].until: the waiver of PPP-005 EXPIRED on 2026-11-22 (today is 2026-11-23) / remove the waiver, or agree on a new end with bob`)
}

func TestBitratesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Bitrate{
		"0": 0, `"0"`: 0, "64kbit": 64e3, "1500kbit": 15e5, "20Mbit": 20e6, "1Gbit": 1e9, "1000Gbit": 1e12,
	} {
		c := mustParse(t, smallest+"zones: {a: {user: {download: "+text+"}}}\n")
		if got := c.Zones[0].User.Download; got != want {
			t.Errorf("%s is %d bit/s, want %d", text, got, want)
		}
		if again := mustParse(t, string(c.Effective())); again.Zones[0].User.Download != want {
			t.Errorf("%s is written as %s", text, c.Zones[0].User.Download)
		}
	}
	const hint = " / write a whole number and a unit: kbit, Mbit or Gbit; or 0 for no limit"
	for text, want := range map[string]string{
		"20":                       `want a rate, such as 20Mbit or 1Gbit: "20" is not one` + hint,
		"0Mbit":                    `want a rate, such as 20Mbit or 1Gbit: "0Mbit" is not one` + hint,
		"-1Mbit":                   `want a rate, such as 20Mbit or 1Gbit: "-1Mbit" is not one` + hint,
		"1.5Mbit":                  `want a rate, such as 20Mbit or 1Gbit: "1.5Mbit" is not one` + hint,
		"1 Mbit":                   `want a rate, such as 20Mbit or 1Gbit: "1 Mbit" is not one` + hint,
		"20Mbps":                   `want a rate, such as 20Mbit or 1Gbit: "20Mbps" is not one` + hint,
		"20MB":                     `want a rate, such as 20Mbit or 1Gbit: "20MB" is not one` + hint,
		"99999999999999Gbit":       `want a rate, such as 20Mbit or 1Gbit: "99999999999999Gbit" is not one` + hint,
		"99999999999999999999kbit": `want a rate, such as 20Mbit or 1Gbit: "99999999999999999999kbit" is not one` + hint,
		"2000Gbit":                 `2000Gbit is out of bounds: from 0 to 1000Gbit / write 1000Gbit or less`,
		"63kbit":                   `63kbit is too slow for packets of full size / write at least 64kbit`,
		"true":                     `want a rate, such as 20Mbit or 1Gbit, not true or false / sallyport config explain zones.a.user.upload tells what it takes`,
	} {
		wantTold(t, smallest+"zones: {a: {user: {upload: ^"+text+"}}}\n", "zones.a.user.upload: "+want)
	}
}

func TestAddressesOfServersAreOfHosts(t *testing.T) {
	for text, want := range map[string]string{"192.0.2.9": "192.0.2.9", "::ffff:192.0.2.9": "192.0.2.9", "2001:DB8::9": "2001:db8::9"} {
		if a, err := parseAddr(text); err != nil || a != netip.MustParseAddr(want) {
			t.Errorf("%s is %v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "r.example", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0", "192.0.2.9/32", "192.0.2.9:1"} {
		if a, err := parseAddr(text); err == nil {
			t.Errorf("%q is taken for the address %v", text, a)
		}
	}
	for text, want := range map[string]string{"192.0.2.1:3799": "192.0.2.1:3799", "[::ffff:192.0.2.1]:3799": "192.0.2.1:3799", "[2001:DB8::1]:1": "[2001:db8::1]:1", "none": "none"} {
		a, err := parseAddrPort(text)
		if got := formatAddrPort(a); err != nil || got != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", ":3799", "0.0.0.0:3799", "[::]:3799", "239.0.0.1:3799", "r.example:3799", "2001:db8::1:3799x"} {
		if a, err := parseAddrPort(text); err == nil {
			t.Errorf("%q is taken for %v", text, a)
		}
	}
}

func TestAGroupReplacesWhatItNames(t *testing.T) {
	zone := User{Sessions: 3, WhenFull: "replace", Download: 50e6, Upload: 10e6}
	for _, c := range []struct{ group, want User }{
		{User{WhenFull: "zone"}, zone},
		{User{WhenFull: "zone", Sessions: 1}, User{1, "replace", 50e6, 10e6}},
		{User{WhenFull: "reject"}, User{3, "reject", 50e6, 10e6}},
		{User{WhenFull: "replace", Download: 1e6}, User{3, "replace", 1e6, 10e6}},
		{User{9, "reject", 1e9, 2e9}, User{9, "reject", 1e9, 2e9}},
	} {
		if got := zone.With(c.group); got != c.want {
			t.Errorf("with %+v the zone gives %+v, want %+v", c.group, got, c.want)
		}
	}
	if zone.Rejects() || !zone.With(User{WhenFull: "reject"}).Rejects() {
		t.Error("a full user is refused where the oldest session must end, or the other way round")
	}
}

func TestResolversOfAGroupAreAddresses(t *testing.T) {
	c := mustParse(t, pools+"groups: {g: {zone: a, dns: {servers: [10.0.0.53, gateway]}}, h: {zone: b, dns: {servers: [gateway]}}}\n")
	for name, want := range map[string][]string{"g": {"10.0.0.53", "10.1.0.1", "fd00:1::1"}, "h": {"10.2.0.1"}} {
		g, _ := c.Group(name)
		z, _ := c.Zone(g.Zone)
		var got []string
		for _, a := range z.ResolversOf(g.DNS) {
			got = append(got, a.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("group %s is told %q, want %q", name, got, want)
		}
	}
}

func TestSectionsAreFoundByName(t *testing.T) {
	c := mustParse(t, everything)
	if g, ok := c.Group("others"); !ok || g.Zone != "one" {
		t.Errorf("group others is %+v, %v", g, ok)
	}
	if r, ok := c.Realm("books"); !ok || len(r.Accounting) != 1 {
		t.Errorf("realm books is %+v, %v", r, ok)
	}
	if _, ok := c.Group("one"); ok {
		t.Error("a zone is found as a group")
	}
	if _, ok := c.Realm("some"); ok {
		t.Error("a group is found as a realm")
	}
}

func TestLoadLooksForTheFilesOfRADIUSServers(t *testing.T) {
	dir := t.TempDir()
	open, closed := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for file, mode := range map[string]os.FileMode{open: 0o640, closed: 0o600} {
		if err := os.WriteFile(file, []byte("0123456789abcdef\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	tls := fmt.Sprintf("tls: {ca: /nosuch/ca, crl: /nosuch/crl, certificate: %s, key: %s}", open, open)
	text := smallest + "zones: {a: {auth: [eap-tls], radius: x}}\nradius:\n  x:\n" +
		fmt.Sprintf("    servers: [{address: \"a.example:1812\", secret: %s}, {address: \"b.example:1812\", secret: %s}, {address: \"c.example:2083\", %s}]\n", open, closed, tls) +
		fmt.Sprintf("    accounting: [{address: \"a.example:1813\", secret: %s}]\n", dir) +
		"    dynamic: {listen: 192.0.2.1:3799, from: [{address: 192.0.2.9, secret: /nosuch/coa}]}\n"
	file := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, found := Load(file, today)
	var got []string
	for _, d := range found {
		got = append(got, fmt.Sprintf("%s %d %s: %s / %s", d.Severity, d.Line, d.Key, strings.ReplaceAll(d.Message, dir, ""), strings.ReplaceAll(d.Hint, dir, "")))
	}
	want := []string{
		`error 5 radius.x.servers[0].secret: "/open" may be read by others (mode 0640) / chmod 600 /open`,
		`warning 5 radius.x.servers[2].tls.ca: "/nosuch/ca": no such file or directory / the gateway will not start without it`,
		`warning 5 radius.x.servers[2].tls.crl: "/nosuch/crl": no such file or directory / the gateway will not start without it`,
		`error 5 radius.x.servers[2].tls.key: "/open" may be read by others (mode 0640) / chmod 600 /open`,
		`error 6 radius.x.accounting[0].secret: "" is not a file / name a plain file, not a directory or a device`,
		`warning 7 radius.x.dynamic.from[0].secret: "/nosuch/coa": no such file or directory / the gateway will not start without it`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestANewRealmNeedsARestart: the sockets to them are made once.
func TestANewRealmNeedsARestart(t *testing.T) {
	const corp = "radius: {corp: {accounting: [{address: \"a.example:1813\", secret: /s}]}}\n"
	var got []string
	for _, c := range Diff(mustParse(t, smallest), mustParse(t, smallest+corp+"groups: {g: {zone: staff}}\n")) {
		got = append(got, c.String())
	}
	if want := []string{"+ groups.g", "+ radius.corp (needs a restart)"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAHugeConfigurationHasAPlainForm: with every default written out it is
// larger than a file may be.
func TestAHugeConfigurationHasAPlainForm(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallest + "zones:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  z%d: {pool: {ipv4: 10.%d.0.0/16}}\n", i, i+1)
	}
	b.WriteString("groups:\n")
	for i := range maxList {
		fmt.Fprintf(&b, "  g%d: {zone: z1}\n", i)
	}
	b.WriteString("radius:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  r%d:\n    servers:\n", i)
		for j := range maxServers {
			fmt.Fprintf(&b, "    - {address: \"r%d.example:1812\", secret: /s}\n", j)
		}
	}
	start := time.Now()
	c := mustParse(t, b.String())
	if lines := strings.Count(string(c.Effective()), "\n"); lines < 20_000 {
		t.Fatalf("%d lines would be a file", lines)
	}
	plain := c.Plain().(map[string]any)
	if n := len(plain["groups"].(map[string]any)); n != maxList {
		t.Errorf("the plain form has %d groups", n)
	}
	t.Logf("took %v", time.Since(start))
}

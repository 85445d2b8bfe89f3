package config

import (
	"strings"
	"testing"
	"time"
)

// TestEveryCheckBites has one fault for each check of sense. The text is what
// follows "gateway: {name: vpn.example.org, " or "zones: {a: {".
func TestEveryCheckBites(t *testing.T) {
	for text, want := range map[string]string{
		"gateway: names: [a.example, a.example]":                        `gateway.names[1]: "a.example" is here twice`,
		"gateway: names: [vpn.example.org]":                             `"vpn.example.org" is here twice`,
		"gateway: names: [-a.example]":                                  "neither a DNS name nor an IP address",
		"gateway: names: [192.0.2.300]":                                 `"192.0.2.300" is neither`,
		"gateway: listen: [eth0, eth0]":                                 `gateway.listen[1]: "eth0" is here twice`,
		"gateway: listen: [0.0.0.0]":                                    "is no address of a host",
		"gateway: listen: [much-too-long-name]":                         "neither an address nor the name of an interface",
		"gateway: ports: {ike: 500, natt: 500}":                         "both ports are 500",
		"gateway: ports: {ike: 70000}":                                  "70000 is too large",
		"gateway: control: {socket: /" + strings.Repeat("a", 120) + "}": "a Unix socket's path has at most 107",
		"gateway: dataplane: {device: a/b}":                             "cannot name an interface",
		"gateway: limits: {cookie_after: 20000}":                        "no cookie would ever be asked",
		"gateway: limits: {per_source: 20000}":                          "it would limit nothing",
		"gateway: limits: {sessions: -1}":                               "out of bounds: from 1 to 1000000",
		"gateway: limits: {sessions: 1.5}":                              `"1.5" is not one`,
		"gateway: limits: {sessions: 0x10}":                             `"0x10" is not one`,
		"zone: auth: []":                                                "a zone needs a way to prove who a client is",
		"zone: auth: [certificate, certificate]":                        `auth[1]: "certificate" is here twice`,
		"zone: auth: [kerberos]":                                        "is no way to prove who a client is",
		"zone: identity: {id: \"a b\"}":                                 "is no DNS name, IP address or e-mail address",
		"zone: identity: {id: other.example.org}":                       "do not carry \"other.example.org\"",
		"zone: identity: {certificate: /a.pem}":                         "identity.key: a certificate is of no use without its key",
		"zone: identity: {key: /a.pem}":                                 "identity.certificate: a key is of no use",
		"zone: identity: {certificate: a.pem, key: /k}":                 `"a.pem" is not an absolute path`,
		"zone: pool: {ipv4: none, ipv6: none}":                          "clients would get no address",
		"zone: pool: {ipv4: 0.0.0.0/0}":                                 "too large for a pool",
		"zone: pool: {ipv4: 127.0.0.0/16}":                              "cannot be given to clients",
		"zone: pool: {ipv6: \"fe80::/64\"}":                             "cannot be given to clients",
		"zone: pool: {ipv6: \"::ffff:10.0.0.0/104\"}":                   "an IPv4 network in IPv6 dress",
		"zone: pool: {ipv6: \"fd00::/124\"}":                            "too small for a pool",
		"zone: pool: {ipv4: ten}":                                       `"ten" is not a network`,
		"zone: pool: {ipv4: 10.0.0.0/33}":                               `"10.0.0.0/33" is not a network`,
		"zone: dns: {servers: [0.0.0.0]}":                               "is not the address of a resolver",
		"zone: dns: {servers: [10.60.0.9]}":                             "is in the pool and may be given to a client",
		"zone: dns: {servers: [], split: [corp.example]}":               "split domains need a resolver inside the tunnel",
		"zone: dns: {servers: [10.0.0.53], split: [Corp.example]}":      `"Corp.example" is not a domain`,
		"zone: routes: []":                                              "without routes clients reach nothing",
		"zone: routes: [none]":                                          `"none" is not a network`,
		"zone: reach: [10.0.0.0/8]":                                     "zones.a.reach: reach belongs to L2TP zones",
		"zone: rekey: {ike: 30m, child: 1h}":                            "1h is longer than the life of the IKE SA, 30m",
		"zone: rekey: {child: 10m, margin: 6m}":                         "6m is more than half of child, 10m",
		"zone: rekey: {child: 1500ms}":                                  "is not in whole seconds",
		"zone: rekey: {child: -1h}":                                     "is negative",
		"zone: rekey: {bytes: 1KiB}":                                    "1KiB is out of bounds: from 256MiB to 64TiB",
		"zone: rekey: {bytes: 99999999999TiB}":                          `"99999999999TiB" is not one`,
		"zone: auth_lifetime: 1m":                                       "1m is shorter than 15m",
		"zone: auth_lifetime: 60d":                                      "out of bounds: from 0s to 720h",
		"zone: trust: {crls: [a.crl]}":                                  `"a.crl" is not an absolute path`,
		"zone: policy: {ike: [aes256gcm16-prfsha384-ecp384]}":           "an own policy needs proposals for ESP",
		"zone: policy: {ike: [], esp: [aes256gcm16-ecp384]}":            "an own policy needs proposals for IKE",
		"zone: policy: {ikee: []}":                                      `did you mean "ike"?`,
		"zone: policy: [strong]":                                        "want the name of a policy, or own lists, not a list",
		"zone: policy: {ike: [aes256gcm16-ecp384-prfsha384, aes256gcm16-ecp384-prfsha384], esp: [aes256gcm16-ecp384]}": "is here twice",
		"zone: policy: {ike: [aes256gcm16-ecp384-prfsha384], esp: [aes256gcm16-ecp384-modpnone]}":                      "no forward secrecy",
		"zone: waivers: [{rule: cry-019, until: 2026-12-24, owner: a, reason: b}]":                                     "write CRY-019",
		"zone: waivers: [{rule: CRY-019, until: 2028-12-24, owner: a, reason: b}]":                                     "2028-12-24 is more than 366 days ahead",
		"zone: waivers: [{rule: CRY-019, until: 2026-12-24, owner: a, reason: \" \"}]":                                 "a waiver needs an honest reason",
		"zone: waivers: [{rule: CRY-019, until: 2026-12-24, owner: \"\", reason: b}]":                                  "a waiver needs an owner",
		"zone: waivers: [{rule: CRY-019}]":                                                                             "waivers[0].reason: this key is required",
		"zone: mobike: yes":                                                                                            "write true or false, without quotes",
		"zone: fragment: \"1280\"":                                                                                     "write digits alone, without quotes",
		"zone: encapsulation: [auto]":                                                                                  "write one value, without brackets",
		"zone: sessions: 17":                                                                                           "from 1 to 16",
	} {
		file := "gateway: {name: vpn.example.org, " + strings.TrimPrefix(text, "gateway: ") + "}\n"
		if rest, ok := strings.CutPrefix(text, "zone: "); ok {
			file = smallest + "zones: {a: {" + rest + "}}\n"
		}
		wantFault(t, text, file, want)
	}
}

func TestZonesAreCountedAndNamed(t *testing.T) {
	wantFault(t, "a list of zones", smallest+"zones: [a]\n", "want a section of zones, not a list")
	wantFault(t, "many zones", smallest+"zones:\n  "+strings.ReplaceAll(manyKeys(101), ": v\n", ":\n  "), "101 zones; the limit is 100")
}

// TestFaultsStandWhereTheyAre holds that a fault that has to do with a default
// is shown at the section that left it out, not at the top of the file.
func TestFaultsStandWhereTheyAre(t *testing.T) {
	_, found := Parse("f", []byte(smallest+"zones:\n  a:\n    rekey:\n      child: 6m\n"), today)
	if len(found) != 1 || found[0].Line != 5 || found[0].Key != "zones.a.rekey.margin" {
		t.Errorf("found %v, want one fault of the margin at line 5", found)
	}
}

// TestAValueThatAnotherZoneOverridesIsAWarning: the file can be used, but does
// not do what stands there.
func TestAValueThatAnotherZoneOverridesIsAWarning(t *testing.T) {
	for value, want := range map[string]string{
		"mobike: false":       "false is not what counts",
		"encapsulation: auto": "another zone has forced",
		"fragment: 1400":      "another zone has 1280",
		"dpd: 5m":             "another zone has 1m",
		"rekey: {ike: 8h}":    "another zone has 4h",
	} {
		zones := "zones: {a: {pool: {ipv4: 10.1.0.0/16}, " + value + "}, b: {pool: {ipv4: 10.2.0.0/16}}}\n"
		_, diags := Parse("test", []byte(smallest+zones), time.Now())
		if len(diags) != 1 || diags[0].Severity != Warning || !strings.Contains(diags[0].Message, want) {
			t.Errorf("%s: %v, want one warning with %q", value, diags, want)
		}
	}
	same := "zones: {a: {pool: {ipv4: 10.1.0.0/16}, mobike: false}, b: {pool: {ipv4: 10.2.0.0/16}, mobike: false}}\n"
	if _, diags := Parse("test", []byte(smallest+same), time.Now()); len(diags) != 0 {
		t.Errorf("zones that agree: %v", diags)
	}
}

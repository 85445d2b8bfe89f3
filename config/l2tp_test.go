package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/suite"
)

// legacyFile is a file with one L2TP zone that nothing is to be said about.
// Further keys follow; what stands there begins on line 4.
func legacyFile(keys string) string {
	return smallest + "zones:\n  old: {protocol: l2tp, waivers: [" + noPFS + "], reach: [10.20.30.0/24],\n    " + keys + "}\n"
}

const (
	noPFS   = "{rule: CRY-010, until: 2026-12-31, owner: a, reason: b}"
	sha1    = "{rule: CRY-005, until: 2026-12-31, owner: a, reason: b}"
	anyPSK  = "{rule: PSK-003, until: 2026-12-31, owner: a, reason: b}"
	ownKeys = "identity: {certificate: /old.pem, key: /old.key}"
)

func TestAnL2TPZoneIsApartByDefault(t *testing.T) {
	c := mustParse(t, smallest+"zones: {staff: {}, old: {protocol: l2tp}}\n")
	z, _ := c.Zone("old")
	for what, ok := range map[string]bool{
		"the user proves himself by EAP-TLS":      slices.Equal(z.Auth, []string{EAPTLS}),
		"the machine by a certificate":            slices.Equal(z.Machine, []string{Certificate}) && z.GroupPSK == "",
		"it has a pool of its own":                z.Pool.IPv4.String() == "10.62.0.0/24" && !z.Pool.IPv6.IsValid(),
		"it reaches nothing and is told nothing":  len(z.Reach) == 0 && len(z.Routes) == 0,
		"it asks the gateway for names":           len(z.DNS.Servers) == 1 && z.DNS.Servers[0].Gateway,
		"it has a device of its own":              z.Device == "sallyport-l2tp" && z.MTU == 1400,
		"keys are replaced as its clients expect": z.Rekey.IKE == 8*time.Hour && z.Rekey.Child == time.Hour,
		"its limits are low":                      z.Limits == ZoneLimits{Sessions: 250, HalfOpen: 100, Setups: 2},
		"it has no end":                           z.Cutoff.IsZero() && !z.Cutoff.Over(today),
		"it has nothing of IKEv2":                 !z.MOBIKE && z.Fragment == 0,
		"its policy is strong":                    z.Policy.Name == "l2tp" && slices.Equal(z.Policy.IKE, suite.L2TPPolicy(false).IKE),
	} {
		if !ok {
			t.Errorf("not so: %s; the zone is %+v", what, z)
		}
	}
	staff, _ := c.Zone("staff")
	if staff.Device != "" || staff.Machine != nil || staff.Reach != nil || staff.Limits != (ZoneLimits{}) || staff.MTU != 0 {
		t.Errorf("an IKEv2 zone has what belongs to L2TP: %+v", staff)
	}
	if text := string(c.Effective()); strings.Count(text, "machine:") != 1 || strings.Count(text, "mobike:") != 1 {
		t.Errorf("the effective form shows keys of the other protocol:\n%s", text)
	}
}

func TestRoutesOfAnL2TPZoneFollowReach(t *testing.T) {
	c := mustParse(t, legacyFile(""))
	if z := c.Zones[0]; !slices.Equal(z.Routes, z.Reach) || len(z.Reach) != 1 {
		t.Errorf("routes %v, reach %v", z.Routes, z.Reach)
	}
	c = mustParse(t, legacyFile("routes: []"))
	if z := c.Zones[0]; len(z.Routes) != 0 || len(z.Reach) != 1 {
		t.Errorf("routes %v, reach %v", z.Routes, z.Reach)
	}
}

func TestKeysOfTheOtherProtocolAreRefused(t *testing.T) {
	for keys, want := range map[string]string{
		"mobike: ^true":                         "zones.old.mobike: mobike belongs to IKEv2 zones / remove it: IKEv1 has nothing like it",
		"fragment: ^1280":                       "zones.old.fragment: fragment belongs to IKEv2 zones / remove it: what RFC 7383 splits is messages of IKEv2",
		"rekey: {margin: ^1m}":                  "zones.old.rekey.margin: rekey.margin belongs to IKEv2 zones / remove it: who began an SA of IKEv1 replaces it, which is mostly the client",
		"auth_lifetime: ^1h":                    "zones.old.auth_lifetime: auth_lifetime belongs to IKEv2 zones / remove it: it is a notification of IKEv2",
		"dns: {split: ^[corp.example]}":         "zones.old.dns.split: dns.split belongs to IKEv2 zones / remove it: PPP tells resolvers and no domains",
		"auth: [^certificate]":                  `zones.old.auth[0]: "certificate" is no way to prove who a user of L2TP is / write machine: [certificate] for the IPsec part, and eap-tls for its user`,
		"auth: [eap-tls, ^psk]":                 `zones.old.auth[1]: "psk" is no way to prove who a user of L2TP is / write machine: [psk]`,
		"auth: [^mschapv2]":                     `zones.old.auth[0]: "mschapv2" is no way to prove who a user of L2TP is / use peap, which puts TLS around it`,
		"auth: [^eap-mschapv2]":                 `zones.old.auth[0]: "eap-mschapv2" is no way to prove who a user of L2TP is / use peap, which puts TLS around it`,
		"auth: [^kerberos]":                     `zones.old.auth[0]: "kerberos" is no way to prove who a user of L2TP is / the ways are eap-tls and peap`,
		"auth: [peap, ^peap]":                   `zones.old.auth[1]: "peap" is here twice / remove it`,
		"auth: ^[]":                             `zones.old.auth: a zone needs a way to prove who a user of L2TP is / write [eap-tls]`,
		"machine: ^[]":                          `zones.old.machine: a zone needs a way to prove who a machine is / write [certificate]`,
		"machine: [^eap-tls]":                   `zones.old.machine[0]: "eap-tls" is no way to prove who a machine is / write it in auth`,
		"machine: [^certifcate]":                `zones.old.machine[0]: "certifcate" is no way to prove who a machine is / did you mean "certificate"?`,
		"policy: ^strong":                       `zones.old.policy: "strong" is no policy of L2TP zones / the policies are l2tp; or write {ike: [...], esp: [...]}`,
		"pool: {^ipv4: none}":                   "zones.old.pool: neither IPv4 nor IPv6: clients would get no address / remove one of the two",
		`pool: {ipv6: ^"fd00:62::/64"}`:         `zones.old.pool.ipv6: fd00:62::/64: each client of an L2TP zone gets a /64 of it / write a /48 to /60, such as "fd00:62::/56", or none`,
		`pool: {ipv6: ^"fd00::/32"}`:            `zones.old.pool.ipv6: fd00::/32: each client of an L2TP zone gets a /64 of it / write a /48 to /60, such as "fd00:62::/56", or none`,
		"pool: {ipv6: ^10.1.0.0/16}":            `zones.old.pool.ipv6: 10.1.0.0/16 is of the other family / put it under the other key`,
		"pool: {ipv4: ^10.1.0.0/30}":            `zones.old.pool.ipv4: 10.1.0.0/30 is too small for a pool / write at least a /29`,
		"device: ^a/b":                          `zones.old.device: "a/b" cannot name an interface / an interface is 1 to 15 letters, digits, dots and hyphens, such as eth0`,
		"device: ^sallyport-legacy":             `zones.old.device: "sallyport-legacy" cannot name an interface / an interface is 1 to 15 letters, digits, dots and hyphens, such as eth0`,
		"device: ^sallyport0":                   `zones.old.device: "sallyport0" is gateway.dataplane.device / choose another name`,
		"mtu: ^1450":                            `warning zones.old.mtu: packets of 1450 octets need fragments on a path of 1500 (NAT-003) / write 1400`,
		"mtu: ^1200":                            `zones.old.mtu: 1200 is out of bounds: from 1280 to 1500 / write 1280 or more`,
		"limits: {setups: ^0}":                  `zones.old.limits.setups: 0 is out of bounds: from 1 to 1000 / write 1 or more`,
		"listen: [eth0,^eth0]":                  `zones.old.listen[1]: "eth0" is here twice / remove it`,
		"routes: [^10.20.0.0/16]":               `warning zones.old.routes[0]: clients are told of 10.20.0.0/16 and do not reach it / add it to reach`,
		"dns: {servers: [gateway, ^10.0.0.53]}": `warning zones.old.dns.servers[1]: 10.0.0.53 is not in reach of the clients / add it to reach, or write gateway`,
		"cutoff: ^2026-11-22":                   `warning zones.old.cutoff: the zone ended on 2026-11-22: its clients are refused / remove the zone`,
		"cutoff: ^2026-11-23":                   `warning zones.old.cutoff: the zone ends on 2026-11-23 / move the clients that are left to IKEv2`,
		"cutoff: 2027-06-30":                    "",
		"cutoff: ^soon":                         `zones.old.cutoff: want a day, such as 2027-03-31, or none: "soon" is not one / write year, month and day`,
		ownKeys:                                 "",
		"radius: ^corp":                         `zones.old.radius: there are no RADIUS servers "corp" / write a realm of this name under radius`,
	} {
		var told []string
		if want != "" {
			told = []string{want}
		}
		wantTold(t, legacyFile(keys), told...)
	}
	for keys, want := range map[string]string{
		"machine: ^[certificate]":   "zones.a.machine: machine belongs to L2TP zones / write auth",
		"group_psk: ^/k":            "zones.a.group_psk: group_psk belongs to L2TP zones / give each device a key of its own: sallyport device add --psk",
		"listen: ^[eth0]":           "zones.a.listen: listen belongs to L2TP zones / write gateway.listen",
		"device: ^tun1":             "zones.a.device: device belongs to L2TP zones / write gateway.dataplane.device",
		"mtu: ^1400":                "zones.a.mtu: mtu belongs to L2TP zones / write gateway.dataplane.mtu",
		"limits: {^sessions: 5}":    "zones.a.limits: limits belongs to L2TP zones / write gateway.limits",
		"cutoff: ^2027-06-30":       "zones.a.cutoff: cutoff belongs to L2TP zones / remove it: IKEv2 is what clients move to",
		"reach: ^[10.0.0.0/8]":      "zones.a.reach: reach belongs to L2TP zones / write routes",
		"policy: ^l2tp":             `zones.a.policy: "l2tp" is no policy of IKEv2 zones / the policies are strong, cnsa2, bsi, compatible; or write {ike: [...], esp: [...]}`,
		"protocol: ^ikev1":          `zones.a.protocol: "ikev1" is not one of ikev2, l2tp / did you mean "ikev2"?`,
		"protocol: ikev2, mtu: ^12": "zones.a.mtu: 12 is out of bounds: from 1280 to 1500 / write 1280 or more",
	} {
		wantTold(t, smallest+"zones:\n  a: {"+keys+"}\n", want)
	}
}

func TestOnlyAWaiverOpensSHA1InAnL2TPZoneAndNothingInAnother(t *testing.T) {
	own := func(ike, esp, waivers string) string {
		return smallest + "zones:\n  old: {protocol: l2tp, reach: [10.20.30.0/24], policy: {ike: [" + ike + "], esp: [" + esp + "]}, waivers: [" + waivers + "]}\n"
	}
	const good = "aes256-sha256-ecp384"
	wantTold(t, own("^aes256-sha1-ecp384", good, ""), "zones.old.policy.ike[0]: sha1 is taken only where CRY-005 is waived: SHA-1 is being retired (RFC 8247) / for example ike: [aes256-sha256-ecp384]")
	wantTold(t, own(good, "^aes256-sha1-ecp384", ""), "zones.old.policy.esp[0]: sha1 is taken only where CRY-005 is waived: SHA-1 is being retired (RFC 8247) / for example esp: [aes256-sha256-ecp384]")
	wantTold(t, own("aes256-sha1-ecp384", "aes256-sha1-ecp384", sha1))
	wantTold(t, own(good, "^aes256-sha256", ""), `zones.old.policy.esp[0]: "aes256-sha256" gives Child SAs no forward secrecy / add a key exchange, such as ecp384, or waive CRY-010`)
	for weak, why := range map[string]string{
		"3des-sha1-ecp384":     "3des is not negotiated: 64-bit blocks (RFC 8247, Section 2.1)",
		"des-sha1-ecp384":      "des is not negotiated: 56-bit key (RFC 8247, Section 2.1)",
		"aes256-md5-ecp384":    "md5 is not negotiated: MD5 is broken (RFC 8247)",
		"aes256-sha1-modp768":  "modp768 is not negotiated: breakable in hours (RFC 8247, Section 2.4)",
		"aes256-sha1-modp1024": "modp1024 is not negotiated: within reach of a state (RFC 8247, Section 2.4)",
		"aes256-sha1-modp1536": "modp1536 is not negotiated: too small (RFC 8247, Section 2.4)",
	} {
		wantTold(t, own("^"+weak, good, sha1), "zones.old.policy.ike[0]: "+why+" / for example ike: [aes256-sha256-ecp384]")
		wantTold(t, own(good, "^"+weak, sha1), "zones.old.policy.esp[0]: "+why+" / for example esp: [aes256-sha256-ecp384]")
	}
	wantTold(t, smallest+"zones:\n  a: {waivers: [{rule: ^CRY-005, until: 2026-12-31, owner: a, reason: b}], policy: {ike: [^aes256-sha1-ecp384], esp: [^aes256-sha1-ecp384]}}\n",
		"zones.a.waivers[0].rule: CRY-005 cannot be waived in an IKEv2 zone / this version can waive CRY-010 (Child SAs without forward secrecy), CRY-019 (AUTH by a SHA-1 signature (RFC 7296, method 1)), PPP-005 (passwords by EAP-MSCHAPv2 without TLS around it), PPP-017 (EAP over TLS 1.2 without extended master secret (RFC 7627)), PSK-001 (pre-shared keys that could be guessed), PSK-004 (one pre-shared key on several devices)",
		"zones.a.policy.ike[0]: sha1 is not negotiated: SHA-1 is being retired (RFC 8247) / for example ike: [aes256gcm16-prfsha384-ecp384]",
		"zones.a.policy.esp[0]: sha1 is not negotiated: SHA-1 is being retired (RFC 8247) / for example esp: [aes256gcm16-ecp384]")
}

func TestTheL2TPPolicyGrowsByItsWaiver(t *testing.T) {
	file := func(waivers string) *Zone {
		return &mustParse(t, smallest+"zones: {old: {protocol: l2tp, waivers: ["+waivers+"]}}\n").Zones[0]
	}
	strong, grown := suite.L2TPPolicy(false), suite.L2TPPolicy(true)
	if p := file("").Policy; !slices.Equal(p.IKE, strong.IKE) || !slices.Equal(p.ESP, strong.ESP) {
		t.Errorf("without a waiver: %v", p)
	}
	if p := file(sha1).Policy; !slices.Equal(p.IKE, grown.IKE) || !slices.Equal(p.ESP, grown.ESP) {
		t.Errorf("with the waiver: %v", p)
	}
	if slices.Equal(strong.IKE, grown.IKE) {
		t.Error("the waiver adds nothing")
	}
}

func TestAnL2TPZoneWithoutForwardSecrecySaysSo(t *testing.T) {
	wantTold(t, smallest+"zones:\n  old: {^protocol: l2tp, reach: [10.20.30.0/24]}\n",
		`warning zones.old.policy: "l2tp" lets clients do without forward secrecy of Child SAs / waive CRY-010 to show that this is wanted: in L2TP Apple has none, and Windows by a profile only`)
}

func TestReachIsWrittenOutAndWarnedAbout(t *testing.T) {
	file := func(reach string) string {
		return smallest + "zones:\n  staff: {pool: {ipv4: 10.60.0.0/16, ipv6: none}, routes: [10.0.0.0/8]}\n  old: {protocol: l2tp, waivers: [" + noPFS + "], reach: " + reach + "}\n"
	}
	for reach, want := range map[string]string{
		"^[]":                        "warning zones.old.reach: clients reach the gateway's resolver and nothing else / for example reach: [10.20.30.0/24]",
		"[10.20.0.0/16]":             "",
		"[10.0.0.0/8]":               "", // around a pool, which stays out
		"[^10.60.0.0/16]":            "warning zones.old.reach[0]: 10.60.0.0/16 lets the clients reach those of zone staff / remove it to keep the zones apart",
		"[^10.60.7.7/32]":            "warning zones.old.reach[0]: 10.60.7.7/32 lets the clients reach those of zone staff / remove it to keep the zones apart",
		"[10.1.0.0/16,^10.1/16]":     `zones.old.reach[1]: want a network, such as 10.60.0.0/16: "10.1/16" is not a network / write an address, a slash and the length of the prefix`,
		"[10.1.0.0/16,^10.1.0.0/16]": "zones.old.reach[1]: 10.1.0.0/16 is here twice / remove it",
	} {
		var told []string
		if want != "" {
			told = []string{want}
		}
		wantTold(t, file(reach), told...)
	}
	wantTold(t, smallest+"zones:\n  old: {protocol: l2tp, waivers: ["+noPFS+"], reach: [^0.0.0.0/0], pool: {^ipv4: 10.62.0.0/24}}\n",
		"warning zones.old.reach[0]: 0.0.0.0/0: the zone is apart from the pools of other zones and from nothing else / name the networks that the clients need",
		"warning zones.old.pool.ipv6: clients take all traffic through the tunnel, but their own IPv6 will go past it / write a /56 of your own, or fewer routes")
}

func TestAKeyOfAllClientsNeedsAWaiverAndAFile(t *testing.T) {
	file := func(keys, waivers string) string {
		return smallest + "zones:\n  old: {protocol: l2tp, reach: [10.20.30.0/24], waivers: [" + noPFS + waivers + "], " + keys + "}\n"
	}
	const open = "whoever has the one key of all clients can pose as the gateway / use certificates, or a key for each device, or waive PSK-003"
	wantTold(t, file("machine: [psk], group_psk: ^/k", ""), "zones.old.group_psk: "+open)
	wantTold(t, file("machine: [psk], group_psk: ^/k", ", {rule: PSK-004, until: 2026-12-31, owner: a, reason: b}"), "zones.old.group_psk: "+open)
	wantTold(t, file("machine: [psk], group_psk: /k", ", "+anyPSK))
	wantTold(t, file("group_psk: ^/k", ", "+anyPSK), "zones.old.group_psk: no machine proves itself with a pre-shared key here / add psk to machine, or remove the key")
	wantTold(t, file("machine: [psk], group_psk: ^Sup3rS3cret", ", "+anyPSK), "zones.old.group_psk: not an absolute path; it is not shown, because it may be a secret / "+privateHint)
	wantTold(t, file("machine: [psk]", "")) // keys of devices are in the store
	wantTold(t, smallest+"zones:\n  old: {protocol: l2tp, reach: [10.20.30.0/24], waivers: ["+noPFS+", {rule: PSK-003, peer: ^x, until: 2026-12-31, owner: a, reason: b}, {rule: CRY-005, peer: ^x, until: 2026-12-31, owner: a, reason: b}]}\n",
		"zones.old.waivers[1].peer: PSK-003 cannot be waived for one peer: it counts before it is known who the peer is / remove the key, or put the peer into a zone of its own",
		"zones.old.waivers[2].peer: CRY-005 cannot be waived for one peer: it counts before it is known who the peer is / remove the key, or put the peer into a zone of its own")
}

// TestTrap46_ZonesShareNothing: neither pool nor device nor address nor key.
func TestTrap46_ZonesShareNothing(t *testing.T) {
	file := func(gateway, staff, first, second string) string {
		text := "gateway: {name: vpn.example.org" + gateway + "}\nzones:\n"
		if staff != "" {
			text += "  staff: {" + staff + "}\n"
		}
		text += "  old: {protocol: l2tp, waivers: [" + noPFS + "], reach: [10.20.30.0/24], " + first + "}\n"
		if second != "" {
			text += "  older: {protocol: l2tp, waivers: [" + noPFS + "], reach: [10.20.30.0/24], " + second + "}\n"
		}
		return text
	}
	const other = "pool: {ipv4: 10.63.0.0/24}, device: tun9, "
	for _, c := range []struct{ text, want string }{
		{file("", "", "pool: {ipv4: 10.62.0.0/24}", other+"listen: [192.0.2.7]"), "all addresses"},
		{file(", listen: [192.0.2.1]", "", "mtu: 1400", other+"listen: [192.0.2.7]"), ""},
		{file(", listen: [192.0.2.1]", "", "mtu: 1400", other+"listen: [192.0.2.7,192.0.2.1]"), "192.0.2.1"},
		{file("", "", "listen: [eth0]", other+"listen: [eth1]"), ""},
		{file("", "", "listen: [eth0]", other+"listen: [eth0]"), "eth0"},
		{file("", "", "listen: [eth0]", "pool: {ipv4: 10.63.0.0/24}, listen: [eth1]"), `"sallyport-l2tp" is the device of zone old`},
		{file(", dataplane: {device: tun9}", "", "device: tun9", ""), `"tun9" is gateway.dataplane.device`},
		{file("", "pool: {ipv4: 10.62.0.0/16}", "mtu: 1400", ""), "10.62.0.0/24 overlaps 10.62.0.0/16 of zone staff"},
		{file("", "identity: {certificate: /c.pem, key: /k.pem}", "identity: {certificate: /d.pem, key: //k.pem}", ""), "zone staff, which is IKEv2, has the same file"},
		{file("", "identity: {certificate: /c.pem, key: /k.pem}", "identity: {certificate: /c.pem, key: /l.pem}", ""), "zone staff, which is IKEv2, has the same file"},
		{file("", "identity: {certificate: /c.pem, key: /k.pem}", ownKeys, ""), ""},
	} {
		_, found := Parse("f", []byte(c.text), today)
		switch {
		case c.want == "" && len(found) > 0:
			t.Errorf("%s%v", c.text, found)
		case c.want != "" && (len(found) != 1 || found[0].Severity != Error || !strings.Contains(found[0].Message, c.want) || found[0].Hint == ""):
			t.Errorf("%s%v, want one fault with %q", c.text, found, c.want)
		}
	}
}

// TestWhatL2TPZonesWantIsNotSharedWithIKEv2: an L2TP client is met on a path of
// its own, so that it does not shorten the lives of others' keys.
func TestWhatL2TPZonesWantIsNotSharedWithIKEv2(t *testing.T) {
	wantTold(t, smallest+"zones:\n  staff: {}\n  old: {protocol: l2tp, waivers: ["+noPFS+"], reach: [10.20.30.0/24], dpd: 30s, rekey: {ike: 1h}, encapsulation: auto}\n")
}

func TestGroupsAndRADIUSServersMayBelongToAnL2TPZone(t *testing.T) {
	file := func(group string) string {
		return smallest + "zones:\n  old: {protocol: l2tp, waivers: [" + noPFS + "], reach: [10.20.30.0/24], auth: [peap], radius: corp, pool: {ipv4: 10.62.0.0/24, ipv6: \"fd00:62::/56\"}}\n" +
			"radius: {corp: {" + oneServer + "}}\ngroups: {g: {zone: old, " + group + "}}\n"
	}
	for group, want := range map[string]string{
		`pool: {ipv4: 10.62.0.64/26, ipv6: "fd00:62:0:10::/60"}`: "",
		`pool: {ipv6: ^"fd00:62:0:8::/63"}`:                      "groups.g.pool.ipv6: fd00:62:0:8::/63 is too small: each client of an L2TP zone gets a /64 of it / write at least a /62",
		"routes: [10.20.30.0/25]":                                "",
		"routes: [^10.0.0.0/8]":                                  "warning groups.g.routes[0]: clients are told of 10.0.0.0/8 and do not reach it / add it to reach",
		"dns: {split: ^[corp.example]}":                          "groups.g.dns.split: the zone old is an L2TP zone / remove it: PPP tells resolvers and no domains",
	} {
		var told []string
		if want != "" {
			told = []string{want}
		}
		wantTold(t, file(group), told...)
	}
}

func TestTheLastDayOfAZoneIsWhole(t *testing.T) {
	day := Day{time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		now  time.Time
		over bool
	}{
		{time.Date(2027, 6, 30, 23, 59, 59, 0, time.UTC), false},
		{time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC), true},
	} {
		if day.Over(c.now) != c.over {
			t.Errorf("at %v the day is over: %v", c.now, !c.over)
		}
	}
}

func TestZonesOfOneProtocol(t *testing.T) {
	c := mustParse(t, smallest+"zones: {old: {protocol: l2tp}, staff: {}}\n")
	if l, i := c.Zones.Of(L2TP), c.Zones.Of(IKEv2); len(l) != 1 || l[0].Name != "old" || len(i) != 1 || i[0].Name != "staff" {
		t.Errorf("%v, %v", l, i)
	}
}

func TestLoadLooksForTheFileOfTheGroupKey(t *testing.T) {
	dir := t.TempDir()
	key, file := filepath.Join(dir, "group.psk"), filepath.Join(dir, "f.yaml")
	if err := os.WriteFile(key, []byte("x\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	text := smallest + "zones: {old: {protocol: l2tp, reach: [10.20.30.0/24], machine: [psk], group_psk: " + key + ", listen: [no-such-if], waivers: [" + noPFS + ", " + anyPSK + "]}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, found := Load(file, today)
	told := found.Err()
	if len(found) != 2 || told == nil || !strings.Contains(told.Error(), "may be read by others (mode 0640)") {
		t.Errorf("found %v", found)
	}
}

func TestAnExplanationTellsOfL2TPZones(t *testing.T) {
	for key, want := range map[string]string{
		"zones.ZONE.rekey.ike": "in l2tp   8h",
		"zones.ZONE.mtu":       "zones     only with protocol: l2tp",
		"zones.ZONE.mobike":    "zones     only with protocol: ikev2",
	} {
		e, err := Explain(key)
		if err != nil || !strings.Contains(e.Text(), want) {
			t.Errorf("%s: %v\n%s", key, err, e.Text())
		}
	}
}

package audit

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"sallyport/assure/policy"
	"sallyport/posture"
)

// newPSK is how a pre-shared key is set in each dialect. RANDOM stands for what
// "openssl rand -base64 32" prints.
var newPSK = map[posture.Dialect]string{
	posture.Swanctl:   "# in secrets.{name}\nid = PEER  # its identity\nsecret = 0sRANDOM  # RANDOM: openssl rand -base64 32",
	posture.Starter:   "# in ipsec.secrets, instead of the line of {name}\nOUR-ID PEER-ID : PSK 0sRANDOM  # RANDOM: openssl rand -base64 32",
	posture.Libreswan: "# in ipsec.secrets, instead of the line of {name}\nOUR-ID PEER-ID : PSK 0sRANDOM  # RANDOM: openssl rand -base64 32",
	posture.RouterOS:  "/ip ipsec identity set [find peer=\"{name}\"] secret=\"RANDOM\"\n# RANDOM: openssl rand -base64 32",
	posture.IOS:       "crypto ikev2 keyring KEYRING\n peer PEER\n  address ADDRESS\n  pre-shared-key RANDOM\n! with IKEv1: crypto isakmp key RANDOM address ADDRESS\n! in crypto isakmp client configuration group GROUP: key RANDOM\n! RANDOM: openssl rand -base64 32",
	posture.FortiOS:   phase1("set psksecret RANDOM") + "\n# RANDOM: openssl rand -base64 32",
	posture.PfSense:   `VPN > IPsec > Tunnels > {name} > Edit Phase 1 (or VPN > IPsec > Pre-Shared Keys > {name}): Pre-Shared Key, what "openssl rand -base64 32" prints`,
	posture.OPNsense:  `VPN > IPsec > Pre-Shared Keys, entry "{name}" (of a legacy tunnel: its phase 1): paste what "openssl rand -base64 32" prints`,
	posture.VyOS:      "set {setting} 'RANDOM'\n# RANDOM: openssl rand -hex 32", // which every secret-type takes,
}

// newSecretFile is how the secret of a file is set that the configuration names,
// and newTunnelPSK that of a peer of WireGuard.
var (
	newSecretFile = map[posture.Dialect]string{
		posture.Sallyport: "umask 077; openssl rand -base64 32 > \"{setting}\"  # the file of {name}: group_psk of the zone, or secret of the RADIUS server",
	}
	newTunnelPSK = map[posture.Dialect]string{
		posture.WireGuard: "[Peer]\nPublicKey = {name}\nPresharedKey = (from: wg genpsk; the same on both sides, and for this peer alone)",
	}
)

// fromStore keeps a secret out of unit files, compose files and environments.
var fromStore = map[posture.Dialect]string{
	posture.Linux: `secrets: [{name}] with external: true (compose), or LoadCredentialEncrypted={name} (systemd); and a new value by: openssl rand -base64 32`,
}

// iosToIKEv2 moves an entry of a crypto map, or a profile, of Cisco IOS.
const iosToIKEv2 = "crypto ikev2 profile {id}\n" +
	" match identity remote address PEER\n" +
	" authentication remote rsa-sig\n" +
	" authentication local rsa-sig\n" +
	" pki trustpoint TRUSTPOINT\n" +
	"! in crypto map {conn} ipsec-isakmp, or in crypto ipsec profile {conn}\n" +
	" set ikev2-profile {id}"

// certificatesInstead is how peers prove themselves by certificates.
var certificatesInstead = map[posture.Dialect]string{
	posture.Swanctl:   swanConn("version = 2\nlocal {\n    auth = pubkey\n    certs = OUR-CERTIFICATE\n}\nremote {\n    auth = pubkey\n    id = PEER\n}"),
	posture.Starter:   conn("keyexchange=ikev2\n    leftauth=pubkey\n    leftcert=OUR-CERTIFICATE\n    rightauth=pubkey"),
	posture.Libreswan: conn("{ikev2}\n    authby=ecdsa,rsa-sha2\n    leftcert=OUR-CERTIFICATE\n    rightca=%same"),
	posture.RouterOS:  "/ip ipsec peer set [find name=\"{name}\"] exchange-mode=ike2\n/ip ipsec identity set [find peer=\"{name}\"] auth-method=digital-signature certificate=OURS",
	posture.IOS:       iosToIKEv2,
	posture.FortiOS:   phase1("set ike-version 2\n        set authmethod signature\n        set certificate OURS\n        set peertype peer\n        set peer PEER"),
	posture.PfSense:   `VPN > IPsec > Tunnels > {name} > Edit Phase 1: Key Exchange version IKEv2, Authentication Method Mutual Certificate (mobile clients: EAP-TLS)`,
	posture.OPNsense:  `VPN > IPsec > Connections "{name}": Version IKEv2, and Public Key in both authentication rounds`,
	posture.VyOS: "set vpn ipsec ike-group {phase1} key-exchange ikev2\n" +
		"# and of a site: set vpn ipsec site-to-site peer {name} authentication mode x509, with x509 certificate and x509 ca-certificate",
}

var pskRules = []Rule{
	{
		ID: "PSK-001", Title: "Pre-shared keys cannot be guessed", Severity: High, Risk: "R1", Checks: []string{"C1"},
		Why: "Whoever answers one handshake as the gateway, or records one of aggressive mode, can try keys at home at the speed of a hash. " +
			"What a person can remember falls; 112 bits do not.",
		Refs: []string{"RFC 7296, Section 2.15", "RFC 8247, Section 3.1", "CVE-2018-5389"}, Needs: Config,
		Fix: merge(merge(newPSK, fromStore), newSecretFile), judge: pskStrength,
	},
	{
		ID: "PSK-002", Title: "No pre-shared key is a sample, a default or a name", Severity: Critical, Risk: "R1", Checks: []string{"C1"},
		Why:  "Keys of guides, vendors' defaults and the company's own name are the first that anybody tries; such a tunnel is open.",
		Refs: []string{"RFC 7296, Section 2.15"}, Needs: Config,
		Fix: merge(merge(newPSK, fromStore), newSecretFile), judge: pskListed,
	},
	{
		ID: "PSK-003", Title: "A pre-shared key is for one peer", Severity: High, Risk: "R1", Checks: []string{"C1"},
		Why:  "A key that any peer may use is known to every device and to everybody who ever had one: each of them can pose as the gateway to the others, and nobody can be locked out alone.",
		Refs: []string{"RFC 7296, Section 2.15", "RFC 3193, Section 5.1.4"}, Needs: Config,
		Fix: merge(newPSK, map[posture.Dialect]string{
			posture.RouterOS:  "/ip ipsec peer set [find name=\"{name}\"] address=PEER/32\n# clients without an address of their own need certificates and IKEv2:\n# /ip ipsec identity set [find peer=\"{name}\"] auth-method=digital-signature certificate=OURS",
			posture.IOS:       "no crypto isakmp key KEY address 0.0.0.0\ncrypto isakmp key RANDOM address PEER\n! of a keyring, for each peer\ncrypto ikev2 keyring KEYRING\n peer PEER\n  address ADDRESS\n  pre-shared-key RANDOM\n! clients without an address of their own need certificates and IKEv2",
			posture.FortiOS:   phase1("set peertype one\n        set peerid ITS-ID"),
			posture.PfSense:   `VPN > IPsec > Tunnels > {name} > Edit Phase 1: for mobile clients Authentication Method EAP-TLS, for a site its address as Remote Gateway and a Peer Identifier; VPN > IPsec > Pre-Shared Keys: no entry for "any"`,
			posture.OPNsense:  `VPN > IPsec > Pre-Shared Keys, entry "{name}": Remote Identifier <the peer's identity>, and an entry with a key of its own for each peer`,
			posture.Windows:   "Set-VpnAuthProtocol -UserAuthProtocolAccepted Certificate,EAP -TunnelAuthProtocolsAdvertised Certificates -RootCertificateNameToAccept $root",
			posture.Sallyport: "zones:\n  {name}:\n    machine: [certificate]  # and no group_psk, nor the waiver of PSK-003",
			posture.VyOS:      "set vpn ipsec authentication psk {name} id PEER-ID\ndelete vpn ipsec authentication psk {name} id %any\n",
		}), judge: pskAnybody,
	},
	{
		ID: "PSK-004", Title: "No pre-shared key is used twice", Severity: High, Risk: "R1", Checks: []string{"C1"},
		Why:  "A key that opens two tunnels makes the loss of one peer the loss of both, and lets each peer pose as the other.",
		Refs: []string{"RFC 7296, Section 2.15"}, Needs: Config,
		Fix: merge(merge(newPSK, newSecretFile), newTunnelPSK), judge: pskShared,
	},
	{
		ID: "PSK-005", Title: "No pre-shared key is an identity, or a secret of another kind", Severity: Critical, Risk: "R1", Checks: []string{"C1"},
		Why:  "Identities travel in the open or are printed on a door, and a user's or RADIUS password is known to others than the gateway: the key is then no secret.",
		Refs: []string{"RFC 7296, Section 2.15"}, Needs: Config,
		Fix: merge(newPSK, map[posture.Dialect]string{
			posture.PPPD:       `"{name}" <server> "<a password that is no other secret>" <address>`,
			posture.FreeRADIUS: `secret = RANDOM  # in client {name}; RANDOM: openssl rand -base64 32`,
			posture.Sallyport:  newSecretFile[posture.Sallyport],
		}), judge: pskIsNoSecret,
	},
	{
		ID: "PSK-006", Title: "No group key stands before XAUTH", Severity: High, Risk: "R1", Checks: []string{"C1"},
		Why:  "Every member of the group has the key that proves the gateway: each can pose as it, and XAUTH then hands over the password of whoever comes.",
		Refs: []string{"RFC 2409, Section 5.4", "RFC 9395, Section 3"}, Needs: Config,
		Fix: less(merge(certificatesInstead, map[posture.Dialect]string{
			posture.IOS:      "crypto ikev2 profile CLIENTS\n match identity remote any\n authentication local rsa-sig\n authentication remote eap query-identity\n pki trustpoint TRUSTPOINT\n aaa authentication eap LIST\nno crypto isakmp client configuration group GROUP\nno crypto map MAP client authentication list LIST",
			posture.FortiOS:  phase1("set ike-version 2\n        set authmethod signature\n        set certificate OURS\n        set eap enable\n        set eap-identity send-request"),
			posture.PfSense:  `VPN > IPsec > Tunnels > {name} > Edit Phase 1: Key Exchange version IKEv2, Authentication Method EAP-TLS`,
			posture.OPNsense: `VPN > IPsec > Connections "{name}": Version IKEv2, Local Authentication Public Key, Remote Authentication EAP-TLS, and no XAuth`,
		}), posture.VyOS), judge: pskXAUTH,
	},
	{
		ID: "PSK-007", Title: "Only their owner reads files with secrets", Severity: High, Risk: "R1", Checks: []string{"C1", "C5"},
		Why:  "Any account of the host, and any service that was broken into, can read the keys and pose as the gateway.",
		Refs: []string{"RFC 7296, Section 5"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:    `chown root:root "{name}" && chmod 0600 "{name}"`,
			posture.Starter:    `chown root:root "{name}" && chmod 0600 "{name}"`,
			posture.Libreswan:  `chown root:root "{name}" && chmod 0600 "{name}"`,
			posture.PPPD:       `chown root:root "{name}" && chmod 0600 "{name}"`,
			posture.Xl2tpd:     `chown root:root "{name}" && chmod 0600 "{name}"`,
			posture.FreeRADIUS: `chown root:freerad "{name}" && chmod 0640 "{name}"`,
			posture.Sallyport:  `chmod 0600 "{name}"`,
			posture.WireGuard:  `chown root:root "{name}" && chmod 0600 "{name}"`,
			posture.X509:       `chown root:root "{name}" && chmod 0600 "{name}"`,
		}, judge: pskFileModes,
	},
	{
		ID: "PSK-008", Title: "Backups and exports hold no secret in clear", Severity: Medium, Risk: "R1", Checks: []string{"C1"},
		Why:  "A backup goes where the device does not: mail, tickets, repositories. Type 7 and base64 are clear text with a detour.",
		Refs: []string{"RFC 7296, Section 5"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.IOS:      "key config-key password-encrypt MASTER-KEY\npassword encryption aes",
			posture.RouterOS: "/export file=NAME\n# RouterOS 6, which shows secrets: /export file=NAME hide-sensitive\n# to keep them, in a file that is encrypted:\n# /system backup save name=NAME encryption=aes-sha256 password=PASSWORD",
			posture.PfSense:  `Diagnostics > Backup & Restore: tick "Encrypt this configuration file"`,
			posture.OPNsense: `System > Configuration > Backups: tick "Encrypt this configuration file"`,
			posture.FortiOS:  `execute backup config tftp FILE SERVER PASSWORD  # encrypts the whole file`,
			posture.VyOS:     `show configuration commands | strip-private`,
			posture.Linux:    fromStore[posture.Linux],
		}, judge: pskBackup,
	},
	{
		ID: "PSK-009", Title: "Secrets are written as they are meant", Severity: Medium, Risk: "R1", Checks: []string{"C1"},
		Why:  "A stray blank, quote or carriage return is part of the key, and an encoding that stops early makes it short: the key is not the one that was agreed, and is often weaker.",
		Refs: []string{"RFC 4648, Section 4"}, Needs: Config,
		Fix: merge(newPSK, map[posture.Dialect]string{
			posture.IOS:        "crypto ikev2 keyring KEYRING\n peer PEER\n  pre-shared-key SECRET\n! of RADIUS\nradius server {name}\n key SECRET\n! of a user\nusername {name} password SECRET",
			posture.PPPD:       `"<user>" <server> "<password>" <address>  # quotes around, none inside; line ends of Unix`,
			posture.FreeRADIUS: `secret = "<secret>"  # in client {name}`,
		}), judge: pskTraps,
	},
	{
		ID: "PSK-010", Title: "No pre-shared key in IKEv1 aggressive mode", Severity: Critical, Risk: "R1", Checks: []string{"C1"},
		Why:  "The answer to the first packet holds a hash of the key: who sends one packet, or listens, can guess for as long as it takes.",
		Refs: []string{"RFC 2409, Section 5.4", "RFC 9395, Section 3", "CVE-2002-1623"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:   swanConn("version = 2\naggressive = no") + "\n" + charon("i_dont_care_about_security_and_use_aggressive_mode_psk = no"),
			posture.Starter:   conn("keyexchange=ikev2\n    aggressive=no"),
			posture.Libreswan: conn("{ikev2}\n    aggressive=no"),
			posture.RouterOS:  `/ip ipsec peer set [find name="{name}"] exchange-mode=ike2`,
			posture.IOS:       `crypto isakmp aggressive-mode disable`,
			posture.FortiOS:   phase1("set ike-version 2"),
			posture.PfSense:   `VPN > IPsec > Tunnels > {name} > Edit Phase 1: Key Exchange version IKEv2`,
			posture.OPNsense:  `VPN > IPsec > Connections "{name}": Version IKEv2, Aggressive off`,
			posture.VyOS:      "set vpn ipsec ike-group {phase1} key-exchange ikev2\ndelete vpn ipsec ike-group {phase1} mode",
		}, judge: pskAggressive,
	},
	{
		ID: "PSK-011", Title: "No pre-shared key in IKEv1", Severity: Medium, Risk: "R1", Checks: []string{"C1"},
		Why:  "Who answers in the gateway's place, even once and without the key, gets enough to try keys offline. In IKEv2 with certificates there is nothing to guess.",
		Refs: []string{"CVE-2018-5389", "RFC 2409, Section 5.4", "RFC 9395, Section 3"}, Needs: Config,
		Fix: merge(certificatesInstead, map[posture.Dialect]string{
			posture.Sallyport: "zones:\n  {name}:\n    machine: [certificate]  # or protocol: ikev2",
		}), judge: pskMainMode,
	},
	{
		ID: "PSK-012", Title: "RADIUS secrets are long, random and for one client", Severity: High, Risk: "R1", Checks: []string{"C1"},
		Why:  "RADIUS protects passwords and answers by MD5 with this secret alone: who guesses it reads the passwords of a recording and says yes in the server's place.",
		Refs: []string{"RFC 2865, Section 3", "RFC 6614, Section 2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.FreeRADIUS: `secret = RANDOM  # in client {name}; RANDOM: openssl rand -base64 32`,
			posture.PPPD:       `<server> RANDOM  # in the file that "servers" of radiusclient.conf names; RANDOM: openssl rand -base64 32`,
			posture.Swanctl:    "# in strongswan.conf, section charon.plugins.eap-radius, at {name}\nsecret = RANDOM  # RANDOM: openssl rand -base64 32",
			posture.RouterOS:   "/radius set [find address=\"{name}\"] secret=\"RANDOM\"\n# RANDOM: openssl rand -base64 32",
			posture.IOS:        "radius server {name}\n key RANDOM\n! where it is written so: radius-server host {name} key RANDOM\n! RANDOM: openssl rand -base64 32",
			posture.FortiOS:    inTable("user radius", "set secret RANDOM") + "\n# RANDOM: openssl rand -base64 32",
			posture.PfSense:    `System > User Manager > Authentication Servers > {name} (or VPN > L2TP > Configuration, RADIUS): Shared Secret, what "openssl rand -base64 32" prints`,
			posture.OPNsense:   `System > Access > Servers "{name}": Shared Secret, what "openssl rand -base64 32" prints`,
			posture.VyOS:       "set {setting} 'RANDOM'\n# RANDOM: openssl rand -base64 32",
			posture.Sallyport:  newSecretFile[posture.Sallyport],
		}, judge: pskRADIUS,
	},
	{
		ID: "PSK-013", Title: "Shared secrets are changed", Severity: Low, Risk: "R8", Checks: []string{"C7"},
		Why:  "A secret outlives the people and devices that had it; the older it is, the more of them are out of reach.",
		Refs: []string{"RFC 4107, Section 2.2"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl: newPSK[posture.Swanctl], posture.Starter: newPSK[posture.Starter], posture.Libreswan: newPSK[posture.Libreswan],
			posture.PPPD:       `"{name}" <server> "<a new password>" <address>`,
			posture.Xl2tpd:     `<us> <them> <a new secret>  # in l2tp-secrets`,
			posture.FreeRADIUS: `secret = RANDOM  # in client {name}; RANDOM: openssl rand -base64 32`,
			posture.Sallyport:  newSecretFile[posture.Sallyport],
			posture.WireGuard:  newTunnelPSK[posture.WireGuard],
		}, judge: pskAge,
	},
}

// merge lays the lines of some dialects over those of others.
func merge(base, over map[posture.Dialect]string) map[posture.Dialect]string {
	all := map[posture.Dialect]string{}
	for d, line := range base {
		all[d] = line
	}
	for d, line := range over {
		all[d] = line
	}
	return all
}

// less leaves out a dialect, in which the rule means nothing.
func less(lines map[posture.Dialect]string, d posture.Dialect) map[posture.Dialect]string {
	delete(lines, d)
	return lines
}

func pskStrength(j *judge) {
	bits, length := j.policy.Number(policy.PSKBits), j.policy.Number(policy.PSKLength)
	for s := range j.readableSecrets(posture.PSK, posture.GroupKey) {
		switch e := j.ledger.estimate(s); {
		case e.Bits < float64(bits):
			j.found(s.Subject, shown(s), "the key is worth about %.0f bits of guessing and should have %d: %s", min(e.Bits, float64(bits-1)), bits, e.Why) // not "112 and should have 112"
		case len(s.Value) < length && printable(s.Value):
			j.found(s.Subject, shown(s), "the key has %d characters and should have %d", len(s.Value), length)
		default:
			j.ok(s.Subject, shown(s))
		}
	}
}

// printable tells a key of characters from one of octets, which needs fewer.
func printable(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) })
}

func pskListed(j *judge) {
	for s := range j.readableSecrets(posture.PSK, posture.GroupKey) {
		if e := j.ledger.estimate(s); e.Listed {
			j.found(s.Subject, shown(s), "the key is one of the first that are tried: %s", e.Why)
		} else {
			j.ok(s.Subject, shown(s))
		}
	}
}

func pskAnybody(j *judge) {
	for s := range j.secrets(posture.PSK, posture.GroupKey) {
		switch {
		case anybody(s):
			e := shown(s)
			if s.Anybody.Known() {
				e = evidence(s.Anybody)
				e.Value = "for any peer"
			}
			j.found(s.Subject, e, "any peer may use this key")
		case s.Anybody.Known() || len(s.IDs) > 0:
			j.ok(s.Subject, shown(s))
		default:
			j.unknown(s.Subject, "the files do not tell which peers the key is for")
		}
	}
}

func pskShared(j *judge) {
	for s := range j.readableSecrets(posture.PSK, posture.GroupKey, posture.PPKSecret) {
		j.reused(s, "the same key is")
	}
}

// reused judges whether a secret was seen before in the same use. Of the two
// ends of one tunnel it is the same, and must be.
func (j *judge) reused(s *posture.Secret, what string) {
	var before []Place
	for _, p := range j.ledger.before[s] {
		if sameUse(p.Kind, s.Kind) {
			before = append(before, p)
		}
	}
	if len(before) == 0 || len(before) == 1 && j.otherEnd(s, before[0]) {
		j.ok(s.Subject, shown(s))
		return
	}
	more := "" // hosts that are read later may have it as well
	if n := len(before) - 1; n == 1 {
		more = ", and at 1 more place before this one"
	} else if n > 1 {
		more = fmt.Sprintf(", and at %d more places before this one", n)
	}
	j.found(s.Subject, shown(s), "%s the %s%s", what, j.ledger.says(before[0]), more)
}

func sameUse(a, b posture.SecretKind) bool {
	ike := func(k posture.SecretKind) bool { return k == posture.PSK || k == posture.GroupKey }
	return a == b || ike(a) && ike(b)
}

// otherEnd tells whether an earlier place may be the other end of the same
// tunnel: on another host, and either both name the same two, or each names
// one, and not the same.
func (j *judge) otherEnd(s *posture.Secret, p Place) bool {
	if j.ledger.here(p) {
		return false
	}
	if s.Kind == posture.RADIUSSecret {
		mine := j.ledger.place(s).Server
		return !mine.Known() || !p.Server.Known() || mine.V != p.Server.V
	}
	if anybody(s) || len(s.IDs) == 0 || len(p.IDs) == 0 {
		return false
	}
	a, b := sorted(s.IDs), sorted(p.IDs)
	if slices.Equal(a, b) {
		return len(a) > 1
	}
	return len(a) == 1 && len(b) == 1
}

func sorted(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func pskIsNoSecret(j *judge) {
	for s := range j.readableSecrets(posture.PSK, posture.GroupKey) {
		j.noSecret(s)
	}
	for s := range j.secrets(posture.UserPassword, posture.RADIUSSecret) {
		if !readable(s) || len(s.Value) == 0 {
			continue
		}
		before := j.ledger.before[s]
		i := slices.IndexFunc(before, func(p Place) bool { return !j.ledger.here(p) && (p.Kind == posture.PSK || p.Kind == posture.GroupKey) })
		if i >= 0 {
			j.found(s.Subject, shown(s), "the %s is also the %s", s.Kind, j.ledger.says(before[i]))
			continue
		}
		j.ok(s.Subject, shown(s)) // of the same host it is the key's to say
	}
}

// noSecret compares a pre-shared key with the names around it and with secrets
// of other kinds, either way round.
func (j *judge) noSecret(s *posture.Secret) {
	backwards := slices.Clone(s.Value)
	slices.Reverse(backwards)
	defer backwards.Clear()
	for _, name := range slices.Concat(s.IDs, []string{s.Name}, j.ledger.words) {
		name = strings.TrimPrefix(name, "@") // of ipsec.conf: a name that is not to be looked up
		if name != "" && (strings.EqualFold(name, string(s.Value)) || strings.EqualFold(name, string(backwards))) {
			j.found(s.Subject, shown(s), "the key is the name of a peer, a connection or the host, or that name reversed")
			return
		}
	}
	for _, p := range append(j.ledger.elsewhere(s.Value, s), j.ledger.elsewhere(backwards, s)...) {
		if !sameUse(p.Kind, s.Kind) {
			j.found(s.Subject, shown(s), "the key is also the %s, or that reversed", j.ledger.says(p))
			return
		}
	}
	j.ok(s.Subject, shown(s))
}

func pskXAUTH(j *judge) {
	told := false
	j.connections(func(c *posture.Connection) {
		method, psk, known := usesPSK(c)
		rounds := slices.Concat(c.Remote, c.Local)
		xauth := slices.IndexFunc(rounds, func(a posture.Auth) bool { return a.XAUTH })
		if xauth >= 0 && rounds[xauth].Method.Known() {
			method = rounds[xauth].Method
		}
		switch {
		case !known:
			j.unknown(c.Subject, "the files do not tell how the peers prove themselves")
		case psk && xauth >= 0:
			told = true
			said := "users come in by XAUTH behind a key that all of them have"
			if xauthClient(c) {
				said = "the host comes in by XAUTH behind a key that all users of that gateway have: each of them can pose as it"
			}
			if any := rounds[xauth].AnyWord; posture.Is(any, true) && !xauthClient(c) {
				j.foundAt(Critical, c.Subject, evidence(any), "%s, and any password is taken: whoever has the key is in", said)
				return
			}
			j.found(c.Subject, evidence(method), "%s", said)
		default:
			j.ok(c.Subject, evidence(method))
		}
	})
	if told {
		return // of that key
	}
	for s := range j.secrets(posture.GroupKey) {
		j.found(s.Subject, shown(s), "a group key that all users of XAUTH have")
	}
}

// xauthClient tells whether it is the host that proves itself by XAUTH.
func xauthClient(c *posture.Connection) bool {
	x := func(a posture.Auth) bool { return a.XAUTH }
	return slices.ContainsFunc(c.Local, x) && !slices.ContainsFunc(c.Remote, x)
}

// mayRead are the permission bits that a dialect's files with secrets may have
// for others than the owner: some daemons are no root and read by their group.
func mayRead(f *posture.File) (bits uint32, anyOwner bool) {
	switch {
	case f.Dialect == posture.FreeRADIUS:
		return 0o040, true // Debian: freerad:freerad 0640
	case f.Dialect == posture.Sallyport:
		return 0, true // the account that the gateway runs as
	case strings.HasSuffix(f.Path, ".netdev"):
		return 0o040, false // systemd.netdev(5): root:systemd-network 0640
	}
	return 0, false
}

func pskFileModes(j *judge) {
	for i := range j.host.Files {
		f := &j.host.Files[i]
		if !f.Secrets || !j.rule.Applies(f.Dialect) {
			continue
		}
		s := posture.Subject{Dialect: f.Dialect, Kind: "file", Name: f.Path, At: posture.Pos{File: f.Path}}
		if !f.HasMode {
			j.unknown(s, "the files are a copy, of which the permissions say nothing")
			continue
		}
		j.fileMode(s, f)
	}
}

func (j *judge) fileMode(s posture.Subject, f *posture.File) {
	bits, anyOwner := mayRead(f)
	mode := uint32(f.Mode.Perm())
	e := at(s.At, "mode 0"+octal(mode)+", owner "+decimal(f.UID))
	switch {
	case mode&0o007 != 0:
		j.found(s, e, "every account of the host may open the file")
	case mode&0o070&^bits != 0:
		j.found(s, e, "the file's group may open it")
	case f.UID != 0 && !anyOwner:
		j.found(s, e, "the file belongs to another account than root")
	default:
		j.ok(s, e)
	}
}

func pskBackup(j *judge) {
	for i := range j.host.Secrets {
		s := &j.host.Secrets[i]
		switch {
		case !j.rule.Applies(s.Dialect):
		case s.Storage == "":
			j.unknown(s.Subject, "the file does not tell how the secret is stored")
		case s.Backup && readable(s):
			j.found(s.Subject, shown(s), "whoever has this export has the secret")
		default:
			j.ok(s.Subject, shown(s))
		}
	}
}

func pskTraps(j *judge) {
	for i := range j.host.Secrets {
		s := &j.host.Secrets[i]
		if !j.rule.Applies(s.Dialect) || !readable(s) {
			continue
		}
		if traps := append(slices.Clone(s.Traps), trapsOf(s.Value)...); len(traps) > 0 {
			j.foundFor(asMeant(s), s.Subject, shown(s), "the secret may not be what was meant: %s", strings.Join(sorted(traps), ", "))
		} else {
			j.ok(s.Subject, shown(s))
		}
	}
}

// asMeant is how a secret is written that is no pre-shared key, which alone may be
// made anew without asking a person; empty for those.
func asMeant(s *posture.Secret) string {
	if s.Kind == posture.PSK || s.Kind == posture.GroupKey {
		return ""
	}
	return map[posture.Dialect]string{
		posture.Swanctl:   "# of {name}\nsecret = \"SECRET\"  # in double quotes, without blanks beside it",
		posture.Starter:   "# in ipsec.secrets, at the end of the line of {name}\n\"SECRET\"  # in double quotes, without blanks inside them",
		posture.Libreswan: "# in ipsec.secrets, at the end of the line of {name}\n\"SECRET\"  # in double quotes, without blanks inside them",
	}[s.Dialect]
}

// trapsOf looks for what nobody puts into a secret by intention.
func trapsOf(value []byte) []string {
	var traps []string
	if len(value) == 0 {
		return nil
	}
	first, last := value[0], value[len(value)-1]
	if printable(bytes.Trim(value, "\r\n\t")) {
		if strings.IndexByte(" \t\r\n", first) >= 0 || strings.IndexByte(" \t\r\n", last) >= 0 {
			traps = append(traps, "white space or a line end at its begin or end")
		}
		if len(value) > 1 && (first == '"' || first == '\'') != (last == '"' || last == '\'') {
			traps = append(traps, "one quote without the other")
		}
	}
	return traps
}

func pskAggressive(j *judge) {
	j.connections(func(c *posture.Connection) {
		method, psk, known := usesPSK(c)
		switch {
		case posture.Is(c.V1, false):
			j.ok(c.Subject, evidence(c.V1))
		case posture.Is(c.Aggressive, false):
			j.ok(c.Subject, evidence(c.Aggressive))
		case known && !psk:
			j.ok(c.Subject, evidence(method))
		case !c.V1.Known() || !c.Aggressive.Known() || !known:
			j.unknown(c.Subject, "the files do not tell whether IKEv1's aggressive mode is used, or with what proof")
		case posture.Is(c.AnyPeer, false) && c.Aggressive.Origin != posture.Explicit:
			j.foundAt(j.inCase(High), c.Subject, evidence(c.Aggressive), "aggressive mode with a pre-shared key is answered: its hash is sent to whoever asks in the peer's name")
		default:
			j.found(c.Subject, evidence(c.Aggressive), "aggressive mode with a pre-shared key: its hash is sent to whoever asks")
		}
	})
	each(j, j.host.Daemons, func(d *posture.Daemon) *posture.Subject { return &d.Subject }, func(d *posture.Daemon) {
		if d.AggressivePSK.Known() {
			j.flag(d.Subject, d.AggressivePSK, true, "the daemon is willing to answer aggressive mode with a pre-shared key")
		}
	})
}

func pskMainMode(j *judge) {
	j.connections(func(c *posture.Connection) {
		method, psk, known := usesPSK(c)
		switch {
		case posture.Is(c.V1, false):
			j.ok(c.Subject, evidence(c.V1))
		case known && !psk:
			j.ok(c.Subject, evidence(method))
		case !c.V1.Known() || !known:
			j.unknown(c.Subject, "the files do not tell whether IKEv1 is used, or with what proof")
		case j.weakKeyOf(c) != nil:
			j.foundAt(j.inCase(High), c.Subject, evidence(c.V1), "IKEv1 with a pre-shared key, and the key in %s is weak", j.weakKeyOf(c).At.File)
		default:
			j.found(c.Subject, evidence(c.V1), "IKEv1 with a pre-shared key")
		}
	})
}

func pskRADIUS(j *judge) {
	least := j.policy.Number(policy.RADIUSLength)
	for s := range j.readableSecrets(posture.RADIUSSecret) {
		switch e := j.ledger.estimate(s); {
		case allLoopback(s.IDs) && (e.Listed || e.Bits < weakPassword):
			j.foundAt(j.scaled(Low), s.Subject, shown(s), "every account of this host can guess the secret: %s", e.Why)
		case e.Listed:
			j.found(s.Subject, shown(s), "the secret is one of the first that are tried: %s", e.Why)
		case len(s.Value) < least:
			j.found(s.Subject, shown(s), "the secret has %d octets and should have %d", len(s.Value), least)
		case e.Bits < weakPassword:
			j.found(s.Subject, shown(s), "the secret is worth about %.0f bits of guessing: %s", e.Bits, e.Why)
		case j.wholeNetwork(s) != nil:
			j.forNetwork(s, j.wholeNetwork(s))
		default:
			j.reused(s, "the same secret is")
		}
	}
}

// wholeNetwork is the server's side of a secret that more than one address may use;
// nil where there is none.
func (j *judge) wholeNetwork(s *posture.Secret) *posture.RADIUS {
	for i := range j.host.RADIUS {
		r := &j.host.RADIUS[i]
		if r.Name != s.Name || r.Dialect != s.Dialect || !posture.Is(r.Server, true) || posture.Is(r.TLS, true) {
			continue
		}
		p, err := netip.ParsePrefix(r.Address.V)
		if posture.Is(r.WildcardPeers, true) || err == nil && !p.IsSingleIP() && !p.Addr().IsLoopback() {
			return r
		}
	}
	return nil
}

// forNetwork is a finding about one secret for all clients of a network: of any
// address it is the rule's own, of a network that somebody named it is less.
func (j *judge) forNetwork(s *posture.Secret, r *posture.RADIUS) {
	sev, who := j.inCase(Medium), "every client in "+quoted(r.Address.V)
	if posture.Is(r.WildcardPeers, true) {
		sev, who = j.severity(), "a client at any address"
	}
	j.add(Result{Outcome: Found, Severity: sev, Subject: s.Subject, Evidence: evidence(r.Address),
		Detail: who + " may use this one secret: each can read what users send by another, and answer as the server",
		Fix:    onePerClient[s.Dialect]})
}

// onePerClient takes the place of a secret for a network.
var onePerClient = map[posture.Dialect]string{
	posture.FreeRADIUS: "# for each client one, instead of client {name}\nclient CLIENT {\n\tipaddr = ADDRESS\n\tsecret = RANDOM\n}\n# RANDOM: openssl rand -base64 32",
}

// pskAge takes the date of the secret, or that of its file: who has not touched
// the file has not touched the secret.
func pskAge(j *judge) {
	for s := range j.secrets(posture.PSK, posture.GroupKey, posture.PPKSecret, posture.RADIUSSecret, posture.TunnelSecret, posture.UserPassword) {
		changed, origin, why := s.Changed, posture.Explicit, ""
		if changed.IsZero() {
			changed, origin, why = fileOf(j.host, s.At.File).ModTime, posture.Inferred, "the secret is as old as its file, or older"
		}
		if changed.IsZero() || changed.Unix() == 0 {
			j.unknown(s.Subject, "nothing tells when the secret was changed")
			continue
		}
		e := Evidence{At: s.At, Origin: origin, Value: "changed " + changed.Format("2006-01-02"), Why: why}
		if most := j.policy.Duration(policy.SecretAge); most > 0 && j.now.Sub(changed) > most {
			j.found(s.Subject, e, "the secret is older than %s", days(most))
		} else {
			j.ok(s.Subject, e)
		}
	}
}

func fileOf(h *posture.Host, path string) posture.File {
	i := slices.IndexFunc(h.Files, func(f posture.File) bool { return f.Path == path })
	if i < 0 {
		return posture.File{}
	}
	return h.Files[i]
}

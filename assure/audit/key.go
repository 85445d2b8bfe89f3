package audit

import "sallyport/posture"

var keyRules = []Rule{
	{
		ID: "KEY-001", Title: "IKE SAs are renewed in time", Severity: Medium, Risk: "R8", Checks: []string{"C7"},
		Why:  "One set of keys protects everything that the SA lives for, and a peer that was locked out stays in until its end.",
		Refs: []string{"RFC 7296, Section 2.8", "NIST SP 800-77r1, Section 7.2.6"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:   swanConn("rekey_time = 4h\nover_time = 24m"),
			posture.Starter:   conn("ikelifetime=4h"),
			posture.Libreswan: conn("ikelifetime=4h"),
			posture.RouterOS:  profile("lifetime=4h"),
			posture.IOS:       "crypto ikev2 profile {id}\n lifetime 14400\n! of IKEv1, in each policy\ncrypto isakmp policy NUMBER\n lifetime 14400",
			posture.FortiOS:   phase1("set keylife 14400"),
			posture.PfSense:   `VPN > IPsec > Tunnels > {conn} > Edit Phase 1: Life Time 14400`,
			posture.OPNsense:  `VPN > IPsec > Connections > {conn}: Rekey time 14400`,
			posture.VyOS:      "set vpn ipsec ike-group {phase1} lifetime 14400",
			posture.Windows:   "Set-VpnServerConfiguration -CustomPolicy {ike} {esp} -MMSALifeTimeSeconds 28800\n# of an interface: Set-VpnS2SInterface -Name \"{name}\" with the same",
		}, judge: keyIKELife,
	},
	{
		ID: "KEY-002", Title: "Child SAs are renewed in time", Severity: Medium, Risk: "R8", Checks: []string{"C7"},
		Why:  "The longer one key encrypts, the more of the traffic falls with it.",
		Refs: []string{"RFC 7296, Section 2.8", "RFC 4301, Section 4.4.2.1", "NIST SP 800-77r1, Section 7.2.6"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:   swanChild("rekey_time = 1h\nlife_time = 66m"),
			posture.Starter:   conn("lifetime=1h"),
			posture.Libreswan: conn("salifetime=1h"),
			posture.RouterOS:  `/ip ipsec proposal set [find name="{phase2}"] lifetime=1h`,
			posture.IOS:       "crypto ipsec security-association lifetime seconds 3600\n! and where an entry of a crypto map or a profile has its own\n no set security-association lifetime seconds",
			posture.FortiOS:   phase2("set keylifeseconds 3600") + "\n# with keylife-type seconds or both",
			posture.PfSense:   `VPN > IPsec > Tunnels > {conn} > Phase 2 {name} > Edit: Life Time 3600`,
			posture.OPNsense:  `VPN > IPsec > Connections > {conn} > Children > {name}: Rekey time 3600`,
			posture.VyOS:      "set vpn ipsec esp-group {phase2} lifetime 3600",
			posture.Windows:   "Set-VpnServerConfiguration -CustomPolicy {ike} {esp} -SALifeTimeSeconds 3600\n# of an interface: Set-VpnS2SInterface -Name \"{name}\" with the same",
		}, judge: keyChildLife,
	},
	{
		ID: "KEY-003", Title: "Child SAs are renewed by volume where the cipher needs it", Severity: Low, Risk: "R8", Checks: []string{"C3", "C7"},
		Why:  "With blocks of 64 bits, blocks begin to collide after some ten gigabytes and give away plaintext (Sweet32). With GCM and extended sequence numbers nothing else bounds what one key encrypts.",
		Refs: []string{"CVE-2016-2183", "RFC 4106, Section 2", "RFC 8221, Section 5"}, Needs: Config,
		Fix: volume("1000000000", "1000000", "1GiB"), judge: keyVolume,
	},
	{
		ID: "KEY-004", Title: "SAs are rekeyed, and peers with certificates prove themselves again", Severity: Medium, Risk: "R8", Checks: []string{"C7"},
		Why:  "A peer that never proves itself again keeps its tunnel after its certificate was revoked or has expired.",
		Refs: []string{"RFC 7296, Section 2.8.3", "RFC 4478, Section 1"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:   swanConn("reauth_time = 8h"),
			posture.Starter:   conn("rekey=yes\n    reauth=yes"),
			posture.Libreswan: conn("rekey=yes\n    reauth=yes"),
			posture.FortiOS:   phase1("set rekey enable\n        set reauth enable"),
			posture.PfSense:   `VPN > IPsec > Tunnels > {conn} > Edit Phase 1: Reauth Time 28800 (before 2.5: Disable rekey off, Disable Reauth off)`,
			posture.OPNsense:  `VPN > IPsec > Connections > {conn}: Rekey time 14400, Reauth time 28800`,
			posture.VyOS:      "set vpn ipsec ike-group {phase1} ikev2-reauth\ndelete vpn ipsec ike-group {phase1} disable-rekey",
		}, judge: keyReauth,
	},
	{
		ID: "KEY-005", Title: "No RSA key was made by the flawed library of Infineon (ROCA)", Severity: Critical, Risk: "R8", Checks: []string{"C7"},
		Why:  "Such a modulus tells how it was made, and is factored for the price of some hours to days of rented machines.",
		Refs: []string{"CVE-2017-15361", "Nemec and others, The Return of Coppersmith's Attack, CCS 2017"}, Needs: Config,
		Fix: newKey, judge: keyROCA,
	},
	{
		ID: "KEY-006", Title: "No key is one that everybody has", Severity: Critical, Risk: "R8", Checks: []string{"C7"},
		Why:  "The private half stands in a public repository, a firmware or a list of weak keys: whoever looks it up is the gateway.",
		Refs: []string{"CVE-2008-0166", "RFC 5280, Section 8"}, Needs: Config,
		Fix: merge(newKey, newTunnelKey), judge: keyKnown,
	},
	{
		ID: "KEY-007", Title: "No two RSA keys have a prime in common", Severity: Critical, Risk: "R8", Checks: []string{"C7"},
		Why:  "A common divisor of two moduli is found at once and is the private key of both. It comes of devices that make keys before they have randomness.",
		Refs: []string{"RFC 4086, Section 3", "Heninger and others, Mining Your Ps and Qs, USENIX Security 2012"}, Needs: Config,
		Fix: newKey, judge: keyCollect, end: keySharedPrimes,
	},
	{
		ID: "KEY-008", Title: "RSA keys have unrelated primes and a sound exponent", Severity: High, Risk: "R8", Checks: []string{"C7"},
		Why:  "Primes that are close to each other are found by Fermat's method in moments; with an exponent of 1 or 3 signatures are forged where padding is not checked well.",
		Refs: []string{"CVE-2022-26320", "RFC 8017, Section 3.1", "CVE-2006-4339"}, Needs: Config,
		Fix: newKey, judge: keyFermat,
	},
	{
		ID: "KEY-009", Title: "Certificates are valid, for some time yet, and not for ever", Severity: Medium, Risk: "R8", Checks: []string{"C7"},
		Why:  "An expired certificate stops the tunnel, or teaches people to accept errors; one that lives for many years outlives its owner's control.",
		Refs: []string{"RFC 5280, Section 4.1.2.5"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.X509: `renew it, and let that be done on a schedule: for example  sallyport device renew, or a timer with an ACME or EST client`,
		}, judge: keyValidity,
	},
	{
		ID: "KEY-010", Title: "A certificate that cannot be checked for revocation is refused", Severity: High, Risk: "R8", Checks: []string{"C7"},
		Why:  "Whoever has a stolen key keeps the gateway from its revocation list, and comes in.",
		Refs: []string{"RFC 4945, Section 7.3", "RFC 5280, Section 6.3"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl:    "# in connections.{conn}.remote\nrevocation = strict",
			posture.Starter:    setup("strictcrlpolicy=yes"),
			posture.Libreswan:  setup("crl-strict=yes\n    crlcheckinterval=10m"),
			posture.FreeRADIUS: "# in tls-config tls-common, with the lists in ca_path\ncheck_crl = yes\n# or\nocsp {\n\tenable = yes\n\tsoftfail = no\n}",
			posture.RouterOS:   `/certificate settings set crl-download=yes crl-use=yes`,
			posture.IOS:        "crypto pki trustpoint TRUSTPOINT\n revocation-check crl",
			posture.FortiOS:    "config vpn certificate setting\n    set ocsp-status enable\n    set strict-ocsp-check enable\n    set strict-crl-check enable\nend",
			posture.PfSense:    `VPN > IPsec > Advanced Settings: Strict CRL Checking; and in the phase 1 "{conn}" a Peer Certificate Authority`,
			posture.Sallyport:  "zones:\n  {name}:\n    trust:\n      strict: true",
		}, judge: keyRevocation,
	},
	{
		ID: "KEY-011", Title: "Revocation lists are fresh", Severity: Medium, Risk: "R8", Checks: []string{"C7"},
		Why:  "A list that is past its next update either stops everybody, or stops nobody whose certificate was revoked since.",
		Refs: []string{"RFC 5280, Section 5.1.2.5"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.X509: `publish a new list and fetch it by a timer, more often than its life`,
		}, judge: keyCRL,
	},
	{
		ID: "KEY-012", Title: "The authority's key is elsewhere, and each private key is at one place", Severity: High, Risk: "R8", Checks: []string{"C7"},
		Why:  "Whoever breaks into a gateway that has the authority's key makes certificates at will; a private key at two places is lost at both, and cannot be revoked for one.",
		Refs: []string{"RFC 3647, Section 4.6.2", "RFC 5280, Section 8"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.X509:      `move "{name}" off the gateway (an offline machine, a token or an HSM), and make each host a key of its own`,
			posture.WireGuard: newTunnelKey[posture.WireGuard],
		}, judge: keyPlaces,
	},
	{
		ID: "KEY-013", Title: "Nonces, cookies, SPIs, IVs and public values are random and never come twice", Severity: High, Risk: "R8", Checks: []string{"C8"},
		Why:  "What comes twice or in a row shows a generator that others can run, too; with a repeated IV GCM gives away its key.",
		Refs: []string{"RFC 7296, Section 2.10", "RFC 4106, Section 3.1", "RFC 4086, Section 3"}, Needs: Capture,
	},
	{
		ID: "KEY-014", Title: "Nobody weakened the source of randomness", Severity: Low, Risk: "R8", Checks: []string{"C5"},
		Why:  "Keys that are made from a device of one's own, or from the weaker of two, are as good as that.",
		Refs: []string{"RFC 4086, Section 7"}, Needs: Config,
		Fix: map[posture.Dialect]string{
			posture.Swanctl: "# in strongswan.conf, section charon.plugins\nrandom {\n    random = /dev/random\n    urandom = /dev/urandom\n}\ngcrypt {\n    quick_random = no\n}",
		}, judge: keyRNG,
	},
	{
		ID: "KEY-015", Title: "SAs live no longer than they are configured to", Severity: Medium, Risk: "R8", Checks: []string{"C8"},
		Why:  "A peer that never rekeys makes the configured life a wish; a sequence number near its end shows it.",
		Refs: []string{"RFC 4303, Section 3.3.3", "RFC 7296, Section 2.8"}, Needs: Capture,
	},
	{
		ID: "KEY-016", Title: "A revoked credential is refused, and its tunnels are closed", Severity: High, Risk: "R8", Checks: []string{"C7"},
		Why:  "A device that was reported stolen and can still come in, or stays in, makes the report useless.",
		Refs: []string{"RFC 4945, Section 7.3", "RFC 5280, Section 6.3"}, Needs: Drill,
	},
	{
		ID: "KEY-017", Title: "Rotation locks nobody out and lets no old secret live on", Severity: High, Risk: "R8", Checks: []string{"C7"},
		Why:  "Rotation that hurts is not done, and one that leaves the old secret in force changes nothing.",
		Refs: []string{"RFC 4107, Section 2.2"}, Needs: Drill,
	},
	{
		ID: "KEY-018", Title: "Accounts that nobody uses are removed", Severity: Medium, Risk: "R8", Checks: []string{"C7"},
		Why:  "The password of somebody who left is missed by nobody.",
		Refs: []string{"NIST SP 800-53 Rev. 5, AC-2"}, Needs: Drill,
		Fix: map[posture.Dialect]string{
			posture.PPPD:       `remove the line of {name} from chap-secrets`,
			posture.FreeRADIUS: `remove {name} from users`,
			posture.RouterOS:   `/ppp secret remove [find name="{name}"]`,
			posture.VyOS:       `delete vpn l2tp remote-access authentication local-users username {name}`,
			posture.Libreswan:  `remove the line of {name} from passwd`,
			posture.IOS:        `no username {name}`,
		}, judge: keyIdleAccounts,
	},
}

// newTunnelKey is a key of WireGuard, which has no certificates.
var newTunnelKey = map[posture.Dialect]string{
	posture.WireGuard: "[Interface]\nPrivateKey = (from: wg genkey)\n# and what \"wg pubkey\" makes of it as PublicKey at every peer",
}

// newKey is what to do about a key that is none.
var newKey = map[posture.Dialect]string{
	posture.X509: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out <key>; a certificate for it; and revoke the old one`,
}

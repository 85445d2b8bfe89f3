package audit

import (
	"slices"

	"sallyport/posture"
)

// mostApart is how many bits the ciphers of an IKE SA and of its children may
// differ by (CRY-017): 128 and 192, or 192 and 256, but not 128 and 256.
const mostApart = 64

// cryRules are about weak IPsec parameters (risk R3).
var cryRules = []Rule{
	{
		ID: "CRY-001", Title: "Everything is encrypted, and not by DES", Severity: Critical, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "A 56-bit key is found by trying all of them in days, for little money; what was recorded years ago is then read as well.",
		Refs: []string{"RFC 8247, Section 2.1", "RFC 8221, Section 5", "RFC 9395, Section 5"},
		Fix:  setProposals(ikeDialects...), judge: judgeNoCipher,
	},
	{
		ID: "CRY-002", Title: "No cipher has 64-bit blocks or was given up", Severity: High, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "With 64-bit blocks, two equal blocks are expected after 32 GiB under one key and give plaintext away (Sweet32); 3DES also has no more than 112 bits.",
		Refs: []string{"RFC 8221, Section 5", "RFC 9395, Section 5", "CVE-2016-2183"},
		Fix:  setProposals(ikeDialects...), judge: weak,
	},
	{
		ID: "CRY-003", Title: "ESP encrypts and authenticates, and AH is not needed", Severity: High, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "AH and ESP with NULL or GMAC leave the traffic readable. Encryption without integrity can be turned into readable text by whoever can change packets on the way.",
		Refs: []string{"RFC 8221, Sections 4 and 5", "RFC 4303, Section 3.2.2", "RFC 4543, Section 2"},
		Fix: and(setProposals(ikeDialects...), fixes{
			posture.Swanctl:   "{proposals}\n# and no ah_proposals",
			posture.Starter:   "{proposals}\n    # and no ah=",
			posture.Libreswan: "{proposals}\n    phase2=esp",
			posture.RouterOS:  "/ip ipsec policy set [find proposal=\"{phase2}\"] ipsec-protocols=esp\n{proposals}",
			posture.PfSense:   "{proposals}; Protocol ESP",
			posture.OPNsense:  "{proposals}; of a legacy phase 2: Protocol ESP",
		}), judge: judgeESP,
	},
	{
		ID: "CRY-004", Title: "No hash is MD5", Severity: High, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "MD5 no longer resists collisions, on which attacks on IKE's transcript can build (SLOTH), and standards forbid it everywhere.",
		Refs: []string{"RFC 8247, Sections 2.2 and 2.3", "RFC 8221, Section 6", "CVE-2015-7575"},
		Fix:  setProposals(ikeDialects...), judge: weak,
	},
	{
		ID: "CRY-005", Title: "No hash is SHA-1", Severity: Medium, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "HMAC with SHA-1 is not broken, but it is on its way out of every standard, and an endpoint that takes it is one that old, weak peers can hold down.",
		Refs: []string{"RFC 8247, Sections 2.2 and 2.3", "RFC 8221, Section 6"},
		Fix: and(setProposals(ikeDialects...), fixes{
			posture.Sallyport: "zones:\n  {conn}:\n    policy: l2tp\n    waivers: []  # remove the waiver of CRY-005; clients must offer SHA-256, or move to IKEv2",
		}), judge: weak,
	},
	{
		ID: "CRY-006", Title: "Tags are 128 bits long", Severity: Low, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "A short tag is forged sooner by chance, and with GCM and CCM each forgery that passes makes the next one easier.",
		Refs: []string{"RFC 8221, Section 5", "RFC 8247, Section 2.3", "NIST SP 800-38D, Appendix C"},
		Fix:  setProposals(posture.Swanctl, posture.Starter, posture.Libreswan, posture.PfSense, posture.OPNsense, posture.VyOS), judge: weak,
	},
	{
		ID: "CRY-007", Title: "No group is 1 or 22", Severity: Critical, Risk: "R3", Checks: []string{"C4"}, Needs: Config,
		Why:  "A discrete logarithm of 768 bits has been computed in public; a group of 1024 bits with a small subgroup is no better than that for long. All keys follow from it.",
		Refs: []string{"RFC 8247, Section 2.4", "CVE-2015-4000"},
		Fix:  setProposals(ikeDialects...), judge: weak,
	},
	{
		ID: "CRY-008", Title: "No group is smaller than 2048 bits or of doubtful origin", Severity: High, Risk: "R3", Checks: []string{"C4"}, Needs: Config,
		Why:  "One large computation for the one prime of group 2 opens all recorded sessions that used it; groups 23 and 24 have small subgroups and primes that nobody can explain.",
		Refs: []string{"RFC 8247, Section 2.4", "RFC 5114, Section 3.2", "CVE-2015-4000"},
		Fix:  setProposals(ikeDialects...), judge: weak,
	},
	{
		ID: "CRY-009", Title: "Key exchanges have 120 bits of strength", Severity: Low, Risk: "R3", Checks: []string{"C4"}, Needs: Config,
		Why:  "112 bits, as of group 14, are the least that is still allowed, and some authorities have ended that already. Traffic recorded today should stay secret for longer.",
		Refs: []string{"RFC 8247, Section 2.4", "NIST SP 800-57 Part 1, Table 2", "BSI TR-02102-3"},
		Fix:  setProposals(append(slices.Clone(ikeDialects), posture.Sallyport)...), judge: judgeGroups,
	},
	{
		ID: "CRY-010", Title: "Child SAs have forward secrecy", Severity: High, Risk: "R3", Checks: []string{"C4"}, Needs: Config,
		Why:  "Without a key exchange of its own, a child's keys follow from the IKE SA's alone: who gets that one secret reads all traffic of its whole life.",
		Refs: []string{"RFC 7296, Section 2.12", "RFC 2409, Section 5.5", "DISA V-207244"},
		Fix: and(setProposals(append(slices.Clone(ikeDialects), posture.Sallyport)...), fixes{
			posture.PfSense: "{proposals} (of mobile clients, on the page Mobile Clients: Phase 2 PFS Group)",
		}), judge: judgePFS,
	},
	{
		ID: "CRY-011", Title: "A child's group is as strong as its IKE SA's", Severity: Medium, Risk: "R3", Checks: []string{"C4"}, Needs: Config,
		Why:  "The weaker of the two exchanges is the one to attack: a strong group for the IKE SA protects nothing that a weak one of the child gives away.",
		Refs: []string{"RFC 7296, Section 1.3", "RFC 9206, Section 5"},
		Fix:  setProposals(append(slices.Clone(ikeDialects), posture.Sallyport)...), judge: judgeChildGroup,
	},
	{
		ID: "CRY-012", Title: "IKEv1 is not answered", Severity: High, Risk: "R3", Checks: []string{"C3", "C5"}, Needs: Config,
		Why:  "IKEv1 is historic: it has no protection against floods, no AEAD for itself, tells what the identity is in aggressive mode, and most of its code is no longer looked after.",
		Refs: []string{"RFC 9395, Section 2"},
		Fix: fixes{
			posture.Swanctl: swanConn("version = 2"), posture.Starter: conn("keyexchange=ikev2"),
			posture.Libreswan: conn("{ikev2}\n# when no other connection has IKEv1: ikev1-policy=drop below config setup, which old versions lack"),
			posture.RouterOS:  peer("exchange-mode=ike2"),
			posture.IOS:       iosToIKEv2,
			posture.FortiOS:   phase1("set ike-version 2"), posture.PfSense: "VPN > IPsec > Tunnels > {conn} > Edit Phase 1: Key Exchange version IKEv2",
			posture.OPNsense: "VPN > IPsec > Connections > {conn}: Version IKEv2", posture.VyOS: vyosIKEv2,
			posture.Windows:   `Set-VpnConnection -Name "{conn}" -TunnelType Ikev2`,
			posture.Sallyport: "zones:\n  {conn}:\n    protocol: ikev2",
		}, judge: func(j *judge) {
			j.onConnections(func(c *posture.Connection) posture.Value[bool] { return c.V1 }, true, "IKEv1 is taken, which is historic (RFC 9395)")
		},
	},
	{
		ID: "CRY-013", Title: "Aggressive mode is off", Severity: High, Risk: "R3", Checks: []string{"C5"}, Needs: Config,
		Why:  "Aggressive mode sends identities in the clear, and lets anybody make the gateway do costly work, or send a hash to guess at, by one forged packet.",
		Refs: []string{"RFC 2409, Section 5.4", "CVE-2002-1623"},
		Fix: fixes{
			posture.Swanctl: swanConn("aggressive = no"), posture.Starter: conn("aggressive=no"), posture.Libreswan: conn("aggressive=no"),
			posture.RouterOS: peer("exchange-mode=ike2"), posture.IOS: "crypto isakmp aggressive-mode disable", posture.FortiOS: phase1("set ike-version 2"),
			posture.PfSense: "VPN > IPsec > Tunnels > {conn} > Edit Phase 1: Key Exchange version IKEv2", posture.OPNsense: "VPN > IPsec > Connections > {conn}: Aggressive off, Version IKEv2",
			posture.VyOS: "set vpn ipsec ike-group {phase1} key-exchange ikev2\ndelete vpn ipsec ike-group {phase1} mode",
		}, judge: judgeAggressive,
	},
	{
		ID: "CRY-014", Title: "Algorithms are written down", Severity: Medium, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "A default is another one with each version of the product, and mostly made to work with old peers. Nobody sees from the file what is taken.",
		Refs: []string{"RFC 8247, Section 1.2"},
		Fix:  setProposals(without(ikeDialects, posture.PfSense)...), judge: judgeWritten,
	},
	{
		ID: "CRY-015", Title: "Nothing is added to the algorithms that are written", Severity: Medium, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "strongSwan appends its own proposals to a line without \"!\", and wherever \"default\" is in a list: a peer that offers something weaker than what is written still gets in.",
		Refs: []string{"ipsec.conf(5) of strongSwan, ike and esp", "swanctl.conf(5), proposals"},
		Fix:  setProposals(posture.Swanctl, posture.Starter, posture.OPNsense), judge: judgeAdded,
	},
	{
		ID: "CRY-016", Title: "No proposal mixes strong with weak", Severity: Medium, Risk: "R6", Checks: []string{"C3", "C4"}, Needs: Config,
		Why:  "One of each kind is chosen, freely: the strong cipher may come with the weak group. The order of preference binds nobody but its writer.",
		Refs: []string{"RFC 7296, Sections 2.7 and 3.3"},
		Fix:  setProposals(posture.Swanctl, posture.Starter, posture.Libreswan, posture.RouterOS, posture.IOS, posture.FortiOS), judge: judgeMixed,
	},
	{
		ID: "CRY-017", Title: "The IKE SA's ciphers and the children's are of one level", Severity: Low, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "The keys of a child travel under, and follow from, its IKE SA: a much weaker IKE SA makes the child's long keys a pretence, and a much weaker child is what gets attacked.",
		Refs: []string{"RFC 7296, Section 2.17", "RFC 9206, Section 4"},
		Fix:  setProposals(ikeDialects...), judge: judgeLevel,
	},
	{
		ID: "CRY-018", Title: "Nothing is compressed before it is encrypted", Severity: Low, Risk: "R3", Checks: []string{"C5"}, Needs: Config,
		Why:  "The length of compressed text tells what is in it, to whoever can add some text of his own; and IPComp is more code before the traffic was looked at.",
		Refs: []string{"RFC 8221, Section 7", "RFC 3173, Section 6"},
		Fix: fixes{
			posture.Swanctl: swanChild("ipcomp = no"), posture.Starter: conn("compress=no"), posture.Libreswan: conn("compress=no"),
			posture.IOS:     "{proposals}",
			posture.PfSense: "VPN > IPsec > Advanced Settings: IP Compression off",
			posture.VyOS:    "delete vpn ipsec esp-group {phase2} compression",
		}, judge: func(j *judge) {
			j.onChildren(func(c *posture.Child) posture.Value[bool] { return c.IPComp }, true, "packets are compressed by IPComp")
		},
	},
	{
		ID: "CRY-019", Title: "No signature is made or taken with SHA-1", Severity: Medium, Risk: "R3", Checks: []string{"C1", "C3"}, Needs: Config,
		Why:  "Collisions of SHA-1 can be bought. A peer that takes such signatures can be shown one that was made for another text.",
		Refs: []string{"RFC 8247, Section 3", "RFC 7427, Section 4", "CVE-2026-50721"},
		Fix: fixes{
			posture.Swanctl:   charon("signature_authentication = yes") + "\n# in connections.{conn}.local\nauth = pubkey-sha256\n# in connections.{conn}.remote\nauth = pubkey-sha256",
			posture.Starter:   conn("leftauth=pubkey-sha256\n    rightauth=pubkey-sha256"),
			posture.Libreswan: conn("authby=ecdsa,rsa-sha2"), posture.FortiOS: phase1("set digital-signature-auth enable\n        set signature-hash-alg sha2-512 sha2-384 sha2-256"),
			posture.Sallyport: "zones:\n  {conn}:\n    waivers: []  # remove the waiver of CRY-019; the peer must sign with SHA-256",
		}, judge: judgeSHA1Signatures,
	},
	{
		ID: "CRY-020", Title: "Keys are long enough", Severity: Critical, Risk: "R8", Checks: []string{"C1", "C7"}, Needs: Config,
		Why:  "A short RSA modulus is factored, a short curve solved, and the owner of the result is the gateway or the user.",
		Refs: []string{"RFC 8247, Section 3", "NIST SP 800-131A"},
		Fix: fixes{
			posture.X509: "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out \"{name}.key\"\nand a new certificate for it; clients that cannot do ECDSA: -algorithm RSA -pkeyopt rsa_keygen_bits:3072",
		}, judge: judgeKeySize,
	},
	{
		ID: "CRY-021", Title: "Certificates are signed, named and limited as they should be", Severity: Medium, Risk: "R3", Checks: []string{"C1", "C7"}, Needs: Config,
		Why:  "A signature with SHA-1 or MD5 can be forged for another name; a leaf that is an authority makes certificates for anybody; without the right name clients are told not to look.",
		Refs: []string{"RFC 4945, Section 5.1", "RFC 5280, Section 4.2.1", "RFC 8247, Section 3"},
		Fix: fixes{
			posture.X509: "Issue {name} again by a signature with SHA-256, with\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:NAME-THAT-CLIENTS-TYPE\nextendedKeyUsage = serverAuth, 1.3.6.1.5.5.8.2.2",
		}, judge: judgeCertificate,
	},
	{
		ID: "CRY-022", Title: "Keys withstand a quantum computer", Severity: Info, Risk: "R3", Checks: []string{"C4"}, Needs: Config,
		Why:  "What is recorded today is read once a large quantum computer exists, unless ML-KEM or a preshared key took part in the exchange. Authorities have set dates for it.",
		Refs: []string{"RFC 9370, Section 2.2", "RFC 8784, Section 3", "BSI TR-02102-3", "CNSA 2.0"},
		Fix: fixes{
			posture.Swanctl:   swanConn("proposals = {quantum}") + "\n# strongSwan before 6.0: ppk_id and ppk_required = yes",
			posture.Starter:   conn("ike={quantum}!"),
			posture.Libreswan: conn("{ikev2}\n    ppk=insist  # with a line of PPKS in ipsec.secrets") + "\n# or, from Libreswan 5.4\n" + conn("intermediate=yes\n    ike={quantum}"),
			posture.IOS:       "crypto ikev2 keyring {id}-ppk\n peer PEER\n  address ADDRESS\n  ppk manual id ID key KEY required\ncrypto ikev2 profile {id}\n keyring ppk {id}-ppk",
			posture.FortiOS:   phase1("set ppk require\n        set ppk-identity ID\n        set ppk-secret SECRET"),
			posture.VyOS:      "# VyOS 1.5\n" + vyosPPK,
			posture.WireGuard: "[Peer]\nPublicKey = {name}\nPresharedKey = (from: wg genpsk; the same on both sides)",
		}, judge: judgePostQuantum,
	},
	{
		ID: "CRY-023", Title: "No SA is keyed by hand", Severity: High, Risk: "R8", Checks: []string{"C7"}, Needs: Config,
		Why:  "Keys that are written down are never changed, give no forward secrecy and no replay protection, and repeat counters after each restart, which breaks GCM and CTR at once.",
		Refs: []string{"RFC 8221, Section 3", "RFC 4301, Section 4.5.1"},
		Fix: fixes{
			posture.Linux:    "# in swanctl.conf, and the lines with \"ip xfrm state add\" or setkey go\nconnections {\n    NAME {\n        version = 2\n        remote_addrs = PEER\n        proposals = aes256gcm16-prfsha384-ecp384\n        children {\n            NAME {\n                esp_proposals = aes256gcm16-ecp384\n                start_action = trap\n            }\n        }\n    }\n}",
			posture.RouterOS: "/ip ipsec policy set [find manual-sa=\"{name}\"] manual-sa=none\n/ip ipsec manual-sa remove [find name=\"{name}\"]\n/ip ipsec peer add name=\"{name}\" address=PEER exchange-mode=ike2\n/ip ipsec identity add peer=\"{name}\" auth-method=digital-signature certificate=OURS",
			posture.IOS:      "no crypto map {name}\ncrypto map {name} ipsec-isakmp\n set peer PEER\n set transform-set TRANSFORM-SET\n set ikev2-profile PROFILE\n match address ACCESS-LIST",
			posture.FortiOS:  "config vpn ipsec manualkey-interface\n    delete \"{name}\"\nend\nconfig vpn ipsec phase1-interface\n    edit \"{name}\"\n        set ike-version 2\n        set proposal aes256gcm-prfsha384\n        set dhgrp 20\n    next\nend",
		}, judge: judgeManual,
	},
	{
		ID: "CRY-024", Title: "Every peer proves who it is", Severity: High, Risk: "R3", Checks: []string{"C1"}, Needs: Config,
		Why:  "NULL authentication encrypts to whoever answers: good against listeners in opportunistic use, and no VPN, because anybody can stand in between or come in.",
		Refs: []string{"RFC 7619, Section 3"},
		Fix:  fixes{posture.Libreswan: conn("leftauth=ecdsa\n    rightauth=ecdsa  # with leftcert= and rightca=; instead of authby=null")}, judge: judgeNull,
	},
	{
		ID: "CRY-025", Title: "No transform is private or unknown", Severity: Low, Risk: "R3", Checks: []string{"C3"}, Needs: Config,
		Why:  "A number of the private range means another thing to each product, and hardly anybody has looked at what stands behind it.",
		Refs: []string{"RFC 7296, Section 3.3.2", "strongswan.conf(5), charon.accept_private_algs"},
		Fix: fixes{
			posture.Swanctl: "{proposals}", posture.Starter: "{proposals}", posture.Libreswan: "{proposals}", posture.VyOS: "{proposals}",
		}, judge: judgePrivate,
	},
	{
		ID: "CRY-026", Title: "Every transform is on the policy's own list", Severity: Medium, Risk: "R3", Checks: []string{"C3", "C4"}, Needs: Config,
		Why:  "The policy that you chose names what is allowed. Whatever else is taken, however good, is outside it.",
		Refs: []string{"the policy's basis"},
		Fix:  setProposals(append(slices.Clone(ikeDialects), posture.Sallyport)...), judge: judgeListed,
	},
}

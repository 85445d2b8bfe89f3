package suite

import "slices"

// PolicyText is a built-in policy: proposals in order of preference, as
// [ParseProposal] reads them.
type PolicyText struct {
	Name  string
	Title string // one line for a person who chooses
	IKE   []string
	ESP   []string
}

// policies are data: what each promises is in its Title, what each serves is
// in policy_test.go, client by client.
//
// P-256 leads the groups because it costs the responder least; the client's
// choice of KE payload usually decides anyway.
var policies = []PolicyText{
	{
		Name:  "strong",
		Title: "AES-GCM and ChaCha20-Poly1305 (AES-CBC with SHA-2 where a client has no GCM), 128-bit strength and up, PFS always",
		IKE: []string{
			"aes256gcm16-aes128gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-ecp256-x25519-ecp384-ecp521-modp3072-modp4096",
			// Windows has GCM for ESP but, before Windows 11, not for IKE.
			"aes256-aes128-sha256-sha384-sha512-prfsha256-prfsha384-prfsha512-ecp256-x25519-ecp384-ecp521-modp3072-modp4096",
		},
		ESP: []string{
			"aes256gcm16-aes128gcm16-chacha20poly1305-ecp256-x25519-ecp384-ecp521-modp3072-modp4096",
			"aes256-aes128-sha256-sha384-sha512-ecp256-x25519-ecp384-ecp521-modp3072-modp4096",
		},
	},
	{
		Name:  "cnsa2",
		Title: "the classical half of CNSA 2.0: AES-256-GCM, SHA-384, P-384; its ML-KEM-1024 is not built in yet",
		IKE:   []string{"aes256gcm16-prfsha384-prfsha512-ecp384"},
		ESP:   []string{"aes256gcm16-ecp384"},
	},
	{
		Name:  "bsi",
		Title: "BSI TR-02102-3: AES with SHA-2, P-256 to P-521 and MODP-3072 and up, PFS always",
		IKE: []string{
			"aes256gcm16-aes128gcm16-prfsha256-prfsha384-prfsha512-ecp256-ecp384-ecp521-modp3072-modp4096",
			"aes256-aes192-aes128-sha256-sha384-sha512-prfsha256-prfsha384-prfsha512-ecp256-ecp384-ecp521-modp3072-modp4096",
		},
		ESP: []string{
			"aes256gcm16-aes128gcm16-ecp256-ecp384-ecp521-modp3072-modp4096",
			"aes256-aes192-aes128-sha256-sha384-sha512-ecp256-ecp384-ecp521-modp3072-modp4096",
		},
	},
	{
		Name:  "compatible",
		Title: "everything sound that native clients propose, also MODP-2048 and children without PFS; no SHA-1, no MODP-1024",
		IKE: []string{
			"aes256gcm16-aes192gcm16-aes128gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-ecp256-x25519-ecp384-ecp521-modp3072-modp4096-modp2048",
			"aes256-aes192-aes128-sha256-sha384-sha512-prfsha256-prfsha384-prfsha512-ecp256-x25519-ecp384-ecp521-modp3072-modp4096-modp2048",
		},
		ESP: []string{
			"aes256gcm16-aes192gcm16-aes128gcm16-chacha20poly1305-ecp256-x25519-ecp384-ecp521-modp3072-modp4096-modp2048-modpnone",
			"aes256-aes192-aes128-sha256-sha384-sha512-ecp256-x25519-ecp384-ecp521-modp3072-modp4096-modp2048-modpnone",
		},
	},
}

// Policy returns a built-in policy by name.
func Policy(name string) (PolicyText, bool) {
	for _, p := range policies {
		if p.Name == name {
			p.IKE, p.ESP = slices.Clone(p.IKE), slices.Clone(p.ESP)
			return p, true
		}
	}
	return PolicyText{}, false
}

// PolicyNames lists the built-in policies, the default first.
func PolicyNames() []string {
	var names []string
	for _, p := range policies {
		names = append(names, p.Name)
	}
	return names
}

// L2TPPolicyName is the name of the only built-in policy of L2TP zones.
const L2TPPolicyName = "l2tp"

// l2tpPolicy serves what a profile can make Windows propose, and Apple's first
// proposal of phase 1. Groups with modpnone make forward secrecy the client's
// choice: Windows has it by a profile only, and Apple never.
var l2tpPolicy = PolicyText{
	Name:  L2TPPolicyName,
	Title: "IKEv1 for L2TP: AES with SHA-2, P-256 and MODP-2048 and up, GCM in ESP; with a waiver of CRY-005 also AES with SHA-1",
	IKE:   []string{"aes256-aes128-sha384-sha256-ecp384-ecp256-modp3072-modp2048"},
	ESP: []string{
		"aes256gcm16-aes128gcm16-ecp384-ecp256-modp2048-modpnone",
		"aes256-aes128-sha256-ecp384-ecp256-modp2048-modpnone",
	},
}

// l2tpSHA1 is what a waiver of CRY-005 adds: exactly the sound rest of what
// Windows (the first three) and Apple (the third) propose by themselves.
var l2tpSHA1 = PolicyText{
	IKE: []string{"aes256-sha1-ecp384", "aes128-sha1-ecp256", "aes256-sha1-modp2048"},
	ESP: []string{"aes256-sha1", "aes128-sha1"},
}

// L2TPPolicy returns the built-in policy of L2TP zones, as [ParseL2TPProposal]
// reads it; sha1 adds what a waiver of CRY-005 allows.
func L2TPPolicy(sha1 bool) PolicyText {
	p := l2tpPolicy
	p.IKE, p.ESP = slices.Clone(p.IKE), slices.Clone(p.ESP)
	if sha1 {
		p.IKE, p.ESP = append(p.IKE, l2tpSHA1.IKE...), append(p.ESP, l2tpSHA1.ESP...)
	}
	return p
}

package suite

import (
	"slices"
	"strings"
	"testing"
)

// parsedL2TP are the proposals of the built-in policy of L2TP zones.
func parsedL2TP(t *testing.T, p Protocol, sha1 bool) []Proposal {
	t.Helper()
	return parsedText(t, L2TPPolicy(sha1), p, func(p Protocol, line string) (Proposal, error) { return ParseL2TPProposal(p, line, sha1) })
}

func TestTheL2TPPolicyServesTheClientsItShould(t *testing.T) {
	const never, always, waived = "never", "always", "waived"
	for _, c := range []struct {
		client string
		p      Protocol
		offer  string
		want   string
	}{
		{"Windows, first", ProtocolIKE, "aes256-sha1-prfsha1-ecp384", waived},
		{"Windows, second", ProtocolIKE, "aes128-sha1-prfsha1-ecp256", waived},
		{"Windows, third", ProtocolIKE, "aes256-sha1-prfsha1-modp2048", waived},
		{"Windows, fourth", ProtocolIKE, "3des-sha1-prfsha1-modp2048", never},
		{"Windows, fifth", ProtocolIKE, "3des-sha1-prfsha1-modp1024", never},
		{"Windows by profile", ProtocolIKE, "aes256-sha384-prfsha384-ecp384", always},
		{"Windows, phase 2", ProtocolESP, "aes256-sha1-noesn", waived},
		{"Windows, phase 2, second", ProtocolESP, "aes128-sha1-noesn", waived},
		{"Windows, phase 2, third", ProtocolESP, "3des-sha1-noesn", never},
		{"Windows by profile, phase 2", ProtocolESP, "aes256gcm16-ecp384-noesn", always},
		{"Windows by profile without PFS, phase 2", ProtocolESP, "aes256gcm16-noesn", always},
		{"Apple, first", ProtocolIKE, "aes256-sha256-prfsha256-modp2048", always},
		{"Apple, second", ProtocolIKE, "aes256-sha256-prfsha256-modp1536", never},
		{"Apple, fourth", ProtocolIKE, "aes256-sha1-prfsha1-modp2048", waived},
		{"Apple, later", ProtocolIKE, "aes128-sha1-prfsha1-modp1024", never},
		{"Android", ProtocolIKE, "aes256-sha256-prfsha256-modp1024", never},
		{"NetworkManager", ProtocolIKE, "aes256-sha256-prfsha256-modp2048", always},
		{"AES-128 with SHA-1 and a group of another suite", ProtocolIKE, "aes128-sha1-prfsha1-ecp384", never},
		{"SHA-1 with forward secrecy, which nobody has", ProtocolESP, "aes256-sha1-ecp384-noesn", never},
		{"MD5", ProtocolESP, "aes256-md5-noesn", never},
	} {
		theirs := offer(t, c.offer)
		strong, grown := served(parsedL2TP(t, c.p, false), theirs), served(parsedL2TP(t, c.p, true), theirs)
		if strong != (c.want == always) || grown != (c.want != never) {
			t.Errorf("%s: served %v, with the waiver %v; want %s", c.client, strong, grown, c.want)
		}
	}
}

func TestOnlyAWaiverOpensSHA1AndNothingOpensMore(t *testing.T) {
	for text, want := range map[string]string{
		"aes256-sha1-ecp384":             "only where CRY-005 is waived",
		"3des-sha256-ecp384":             "3des is not negotiated: 64-bit blocks",
		"des-sha256-ecp384":              "des is not negotiated: 56-bit key",
		"aes256-md5-ecp384":              "md5 is not negotiated",
		"aes256-sha256-modp768":          "modp768 is not negotiated",
		"aes256-sha256-modp1024":         "modp1024 is not negotiated",
		"aes256-sha256-modp1536":         "modp1536 is not negotiated",
		"aes256-sha256-prfsha256-ecp384": "leave out prfsha256",
		"aes256-prfsha1-sha256-ecp384":   "prfsha1 is not negotiated",
		"aes256gcm16-ecp384":             "IKEv1 has no aes256gcm16 for IKE",
		"aes256-sha256-x25519":           "IKEv1 has no x25519",
		"aes256-sha256-ecp384-modpnone":  "IKEv1 has no modpnone for IKE",
		"aes256-sha256-ecp384-ecp384":    "twice",
		"aes256-sha256":                  "needs a group",
		"sha256-ecp384":                  "needs a cipher",
		"aes256-ecp384":                  "needs an integrity algorithm",
		"aes257-sha256-ecp384":           "did you mean aes256",
		"":                               "unknown keyword",
		strings.Repeat("aes256-", 65):    "more than 64 keywords",
	} {
		for _, sha1 := range []bool{false, true} {
			_, err := ParseL2TPProposal(ProtocolIKE, text, sha1)
			if text == "aes256-sha1-ecp384" && sha1 {
				if err != nil {
					t.Errorf("with the waiver %q is refused: %v", text, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q, waiver %v: %v, want %q", text, sha1, err, want)
			}
		}
	}
	for _, text := range []string{"chacha20poly1305", "aes256gcm16-sha256", "aes256", "aes256-sha256-esn-esn"} {
		if _, err := ParseL2TPProposal(ProtocolESP, text, true); err == nil {
			t.Errorf("phase 2 takes %q", text)
		}
	}
}

// TestNoIKEv2ZoneCanTakeSHA1: what L2TP zones may waive is out of reach there.
func TestNoIKEv2ZoneCanTakeSHA1(t *testing.T) {
	for _, text := range []string{"aes256-sha1-ecp384", "aes256-sha256-prfsha1-ecp384", "aes256-sha1"} {
		for _, p := range []Protocol{ProtocolIKE, ProtocolESP} {
			if _, err := ParseProposal(p, text); err == nil || !strings.Contains(err.Error(), "is not negotiated") {
				t.Errorf("%v %q: %v", p, text, err)
			}
		}
	}
	if _, ok := Policy(L2TPPolicyName); ok || slices.Contains(PolicyNames(), L2TPPolicyName) {
		t.Error("the policy of L2TP zones is one of IKEv2 zones")
	}
}

func TestPhaseOneHasThePRFOfEachHash(t *testing.T) {
	p, err := ParseL2TPProposal(ProtocolIKE, "aes256-sha256-sha1-ecp384", true)
	if err != nil || p.String() != "aes256-prfsha256-prfsha1-sha256-sha1-ecp384" {
		t.Errorf("%v, %v", p, err)
	}
	p, err = ParseL2TPProposal(ProtocolESP, "aes256-sha256-modpnone", false)
	if err != nil || p.String() != "aes256-sha256-noesn" {
		t.Errorf("%v, %v", p, err)
	}
}

func TestACallerCannotChangeTheL2TPPolicy(t *testing.T) {
	L2TPPolicy(true).IKE[0] = "3des-md5-modp768"
	if got := L2TPPolicy(false).IKE[0]; got != l2tpPolicy.IKE[0] || strings.HasPrefix(got, "3des") {
		t.Errorf("the built-in policy is %q", got)
	}
}

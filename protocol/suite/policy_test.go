package suite

import (
	"slices"
	"strings"
	"testing"
)

func parsedPolicy(t testing.TB, name string, p Protocol) []Proposal {
	t.Helper()
	text, ok := Policy(name)
	if !ok {
		t.Fatalf("no policy %q", name)
	}
	return parsedText(t, text, p, ParseProposal)
}

func parsedText(t testing.TB, text PolicyText, p Protocol, parse func(Protocol, string) (Proposal, error)) (proposals []Proposal) {
	t.Helper()
	lines := text.IKE
	if p == ProtocolESP {
		lines = text.ESP
	}
	for _, line := range lines {
		proposal, err := parse(p, line)
		if err != nil {
			t.Fatalf("%s: %v", text.Name, err)
		}
		proposals = append(proposals, proposal)
	}
	return proposals
}

// offer writes a client's proposal with whatever keywords, good and bad.
func offer(t testing.TB, text string) (ts []Transform) {
	t.Helper()
	for _, word := range strings.Split(text, "-") {
		a, ok := ByKeyword(word)
		if !ok {
			t.Fatalf("no keyword %q", word)
		}
		ts = append(ts, a.Transform)
	}
	return ts
}

// served reports whether some proposal of ours has a common transform for
// every type the client offers, and needs none it lacks (RFC 7296, Section
// 3.3.6). It is the rule alone; protocol/ike negotiates.
func served(ours []Proposal, theirs []Transform) bool {
	return slices.ContainsFunc(ours, func(p Proposal) bool {
		for _, typ := range []TransformType{Encr, PRF, Integ, KE, ESN} {
			mine, his := p.Of(typ), Proposal{Transforms: theirs}.Of(typ)
			common := slices.ContainsFunc(mine, func(x Transform) bool { return slices.Contains(his, x) })
			bothLack := len(mine) == 0 && len(his) == 0
			noPFS := typ == KE && len(his) == 0 && slices.Contains(mine, ke(0))
			if !common && !bothLack && !noPFS {
				return false
			}
		}
		return true
	})
}

func TestPoliciesServeTheClientsTheyShould(t *testing.T) {
	const none, strong, all = "", "strong bsi compatible", "strong cnsa2 bsi compatible"
	for _, c := range []struct {
		client   string
		p        Protocol
		offer    string
		policies string
	}{
		{"the worked suite", ProtocolIKE, "aes256gcm16-prfsha256-ecp521", strong},
		{"the worked suite's child", ProtocolESP, "aes256gcm16-ecp384-noesn", all},
		{"Windows by profile", ProtocolIKE, "aes256-sha384-prfsha384-ecp384", strong},
		{"Windows 11 by profile", ProtocolIKE, "aes256gcm16-prfsha384-ecp384", all},
		{"Windows by profile, child", ProtocolESP, "aes256gcm16-ecp384-noesn", all},
		{"Windows with NegotiateDH2048_AES256", ProtocolIKE, "aes256-sha256-prfsha256-modp2048", "compatible"},
		{"Windows by default", ProtocolIKE, "aes256-sha256-prfsha256-modp1024", none},
		{"Windows by default, child", ProtocolESP, "aes256-sha1-noesn", none},
		{"Apple without profile, first", ProtocolIKE, "aes256gcm16-prfsha256-ecp256", strong},
		{"Apple without profile, second", ProtocolIKE, "aes256gcm16-prfsha256-modp2048", "compatible"},
		{"Apple without profile, third", ProtocolIKE, "aes256-sha256-prfsha256-ecp256", strong},
		{"macOS 13 without profile", ProtocolIKE, "aes256-sha256-prfsha256-modp2048", "compatible"},
		{"Apple's child rekey without PFS", ProtocolESP, "aes256gcm16-noesn", "compatible"},
		{"Apple's child rekey with PFS", ProtocolESP, "aes256gcm16-ecp256-noesn", strong},
		{"Apple's child rekey with MODP-2048", ProtocolESP, "aes256-sha256-modp2048-noesn", "compatible"},
		{"Android, CBC", ProtocolIKE, "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac-modp4096-x25519-modp3072-modp2048-prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1", strong},
		{"Android, AEAD", ProtocolIKE, "chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes128gcm16-modp4096-x25519-modp3072-modp2048-prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1", strong},
		{"strongSwan's child with ESN", ProtocolESP, "aes128gcm16-x25519-esn", "strong compatible"},
		{"AES-192-GCM", ProtocolIKE, "aes192gcm16-prfsha256-ecp256", "compatible"},
		{"MikroTik by default", ProtocolESP, "aes256-aes192-aes128-sha1-modp1024-noesn", none},
	} {
		for _, name := range PolicyNames() {
			want := slices.Contains(strings.Fields(c.policies), name)
			if got := served(parsedPolicy(t, name, c.p), offer(t, c.offer)); got != want {
				t.Errorf("%s under %s: served is %v, want %v", c.client, name, got, want)
			}
		}
	}
}

func TestOnlyCompatibleTakesLessThanStrongStrength(t *testing.T) {
	for _, name := range PolicyNames() {
		for _, protocol := range []Protocol{ProtocolIKE, ProtocolESP} {
			for _, p := range parsedPolicy(t, name, protocol) {
				for _, g := range p.Of(KE) {
					a, _ := Lookup(g)
					if a.Status != Strong && name != "compatible" {
						t.Errorf("%s takes %s", name, a.Keyword)
					}
				}
				if protocol == ProtocolESP && len(p.Of(KE)) == 0 {
					t.Errorf("%s: %q has no PFS at all", name, p)
				}
			}
		}
	}
}

// TestWindowsCanReadEveryPolicy: Windows looks at the first 15 transforms of
// a type only.
func TestWindowsCanReadEveryPolicy(t *testing.T) {
	for _, name := range PolicyNames() {
		for _, protocol := range []Protocol{ProtocolIKE, ProtocolESP} {
			for _, p := range parsedPolicy(t, name, protocol) {
				for typ := Encr; typ <= ESN; typ++ {
					if n := len(p.Of(typ)); n > 15 {
						t.Errorf("%s: %q has %d transforms of type %v", name, p, n, typ)
					}
				}
			}
		}
	}
}

func TestCNSA2IsNothingButItsSuite(t *testing.T) {
	if got := parsedPolicy(t, "cnsa2", ProtocolIKE); len(got) != 1 || got[0].String() != "aes256gcm16-prfsha384-prfsha512-ecp384" {
		t.Errorf("IKE: %v", got)
	}
	if got := parsedPolicy(t, "cnsa2", ProtocolESP); len(got) != 1 || got[0].String() != "aes256gcm16-ecp384-esn-noesn" {
		t.Errorf("ESP: %v", got)
	}
}

func TestACallerCannotChangeAPolicy(t *testing.T) {
	p, _ := Policy("strong")
	p.IKE[0] = "3des-md5-modp768"
	if q, _ := Policy("strong"); q.IKE[0] == p.IKE[0] {
		t.Error("the built-in policy changed")
	}
	if _, ok := Policy("weak"); ok {
		t.Error("there is a policy called weak")
	}
}

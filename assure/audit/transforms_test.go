package audit

import (
	"testing"

	"sallyport/protocol/suite"
)

func TestEveryTransformHasAVerdict(t *testing.T) {
	for _, a := range suite.All() {
		if a.Type == suite.ESN {
			continue
		}
		if _, ok := verdicts[a.Transform]; !ok {
			t.Errorf("%s (%s) has no verdict", a.Keyword, a.Title)
		}
	}
}

func TestEveryVerdictNamesARuleThatIsThere(t *testing.T) {
	for transform, v := range verdicts {
		if v.ok() {
			continue
		}
		if _, ok := ByID(v.rule); !ok || v.why == "" {
			t.Errorf("%s: rule %q, reason %q", transform, v.rule, v.why)
		}
	}
}

func TestCiphersAndGroupsHaveAStrength(t *testing.T) {
	for transform, v := range verdicts {
		mute := transform == nullCipher || transform == noGroup
		if (transform.Type == suite.Encr || transform.Type == suite.KE) && v.bits == 0 && !mute {
			t.Errorf("%s has no strength", transform)
		}
	}
}

// What Sallyport itself would negotiate without a waiver is no finding above low.
func TestWhatSallyportNegotiatesIsGoodEnough(t *testing.T) {
	for _, a := range suite.All() {
		if v := verdictOf(a.Transform, suite.ProtocolIKE); a.Usable() && a.Type != suite.ESN && v.severity > Low {
			t.Errorf("%s is negotiated and has a finding: %+v", a.Keyword, v)
		}
	}
}

func TestAPrivateTransformIsInNoRegistry(t *testing.T) {
	if v := verdictOf(suite.Transform{Type: suite.Encr, ID: 1024}, suite.ProtocolIKE); v.rule != "CRY-025" {
		t.Error(v)
	}
}

func TestNullIsCriticalInIKEAndHighInESP(t *testing.T) {
	if v := verdictOf(nullCipher, suite.ProtocolIKE); v.rule != "CRY-001" || v.severity != Critical {
		t.Error(v)
	}
	if v := verdictOf(nullCipher, suite.ProtocolESP); v.rule != "CRY-003" || v.severity != High {
		t.Error(v)
	}
}

func TestGMACIsCriticalInIKEAndHighInESP(t *testing.T) {
	if v := verdictOf(transform("aes256gmac"), suite.ProtocolIKE); v.rule != "CRY-001" || v.severity != Critical {
		t.Error(v)
	}
	if v := verdictOf(transform("aes256gmac"), suite.ProtocolESP); v.rule != "CRY-003" || v.severity != High {
		t.Error(v)
	}
}

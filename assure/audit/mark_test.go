package audit

import (
	"testing"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// TestMendingOneWeaknessIsNoNewsOfAnother: one line of algorithms is what many
// rules rest on, and a baseline must not call those new that stay as they were.
func TestMendingOneWeaknessIsNoNewsOfAnother(t *testing.T) {
	with := func(ike ...string) *posture.Host {
		c := vpn()
		c.IKE = proposals(suite.ProtocolIKE, ike...)
		return hostOf(c)
	}
	for _, rule := range []string{"CRY-005", "CRY-022"} {
		before, after := judgedBy(t, rule, with("aes256-sha1-modp1024")), judgedBy(t, rule, with("aes256-sha1-ecp384"))
		if before[0].Evidence.Mark == "" || before[0].Evidence.Mark != after[0].Evidence.Mark {
			t.Errorf("%s: %q, then %q", rule, before[0].Evidence.Mark, after[0].Evidence.Mark)
		}
	}
	one, two := judgedBy(t, "CRY-008", with("aes256-sha256-modp1536")), judgedBy(t, "CRY-008", with("aes256-sha256-modp1536-modp1024"))
	if one[0].Evidence.Mark == two[0].Evidence.Mark {
		t.Errorf("a second weak group is %q as well", two[0].Evidence.Mark)
	}
	order := judgedBy(t, "CRY-008", with("aes256-sha256-modp1024", "aes256-sha256-modp1536"))
	if order[0].Evidence.Mark != two[0].Evidence.Mark {
		t.Errorf("another order: %q, then %q", two[0].Evidence.Mark, order[0].Evidence.Mark)
	}
}

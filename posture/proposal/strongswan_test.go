package proposal

import (
	"slices"
	"strings"
	"testing"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// show writes all of a proposal, with what the daemon adds.
func show(p posture.Proposal) string {
	var words []string
	for _, t := range p.Transforms {
		words = append(words, t.String())
	}
	for _, t := range p.AddKE {
		words = append(words, "+"+t.String())
	}
	for _, w := range p.Unknown {
		words = append(words, "?"+w)
	}
	return strings.Join(words, " ")
}

func TestStrongSwanWordsAreReadAsTheDaemonReadsThem(t *testing.T) {
	for _, c := range []struct {
		p          suite.Protocol
		text, want string
	}{
		{suite.ProtocolIKE, "aes256gcm16-prfsha384-ecp384", "aes256gcm16 prfsha384 ecp384"},
		{suite.ProtocolIKE, "aes-sha-modp1024", "aes128 sha1 modp1024 prfsha1"},
		{suite.ProtocolIKE, "ecp384 - aes256 - sha2_384", "ecp384 aes256 sha384 prfsha384"},
		{suite.ProtocolIKE, "aes256-sha256-prfsha1-modp2048-none", "aes256 sha256 prfsha1 modp2048"},
		{suite.ProtocolIKE, "aes256gcm128-sha256-curve25519", "aes256gcm16 x25519 prfsha256"},
		{suite.ProtocolIKE, "aes128-sha256_96-modp2048", "aes128 modp2048 prfsha256 ?sha256_96"},
		{suite.ProtocolIKE, "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_none", "aes256gcm16 prfsha384 x25519 +mlkem768 +modpnone"},
		{suite.ProtocolIKE, "aes256gcm16-prfsha384-x25519-ke1_kyber3", "aes256gcm16 prfsha384 x25519 ?ke1_kyber3"},
		{suite.ProtocolIKE, "serpent256-twofish-sha512-ntru256", "sha512 prfsha512 ?serpent256 ?twofish128 ?ntru256"},
		{suite.ProtocolESP, "aes256gcm16", "aes256gcm16 noesn"},
		{suite.ProtocolESP, "aes192ccm96-sha1-modp2048-modpnone-esn-noesn", "aes192ccm12 modp2048 modpnone esn noesn"},
		{suite.ProtocolESP, "3des-md5-prfmd5", "3des md5 noesn"},
		{suite.ProtocolESP, "null-sha256", "null sha256 noesn"},
		{suite.ProtocolESP, "aes128gmac-esn", "aes128gmac esn"},
		{suite.ProtocolESP, "blowfish-sha1", "blowfish128 sha1 noesn"},
		{suite.ProtocolESP, "serpent-aes128gcm16-sha1", "aes128gcm16 sha1 noesn ?serpent128"},
		{AH, "aes128gmac-sha256-aes128", "ahaes128gmac sha256 noesn"},
		{suite.ProtocolESP, "aes512-sha1", "sha1 noesn ?aes512"},
		{suite.ProtocolESP, "--", "noesn"},
	} {
		if got := show(StrongSwan(c.p, c.text, posture.Pos{})); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestAProposalSurvivesBeingWritten(t *testing.T) {
	for _, c := range []struct {
		p    suite.Protocol
		text string
	}{
		{suite.ProtocolIKE, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"},
		{suite.ProtocolIKE, "aes256-sha256-modp2048"},
		{suite.ProtocolIKE, "aes256-sha256-prfsha1-modp2048"},
		{suite.ProtocolESP, "aes256gcm16-ecp384-modpnone-esn"},
		{suite.ProtocolESP, "aes256-sha256"},
		{suite.ProtocolESP, "aes256-sha256-esn-noesn"},
		{suite.ProtocolIKE, "aes256-sha256-modp2048-ntru256"},
		{AH, "aes256gmac-ecp256"},
	} {
		p := StrongSwan(c.p, c.text, posture.Pos{})
		if got := StrongSwanWords(p); got != c.text {
			t.Errorf("%s was written as %s", c.text, got)
		}
	}
}

func TestPrivateWordsAreToldFromMistakes(t *testing.T) {
	for _, w := range []string{"serpent", "twofish256", "ntru128", "ke1_kyber3", "sha2_256_96", "camelliaxcbc", "modpnull"} {
		if !StrongSwanPrivate(w) {
			t.Errorf("%s is not known", w)
		}
	}
	for _, w := range []string{"aes512", "ke1_", "", "sha3"} {
		if StrongSwanPrivate(w) {
			t.Errorf("%s is known", w)
		}
	}
}

func TestMixedCiphersAreSeen(t *testing.T) {
	for text, want := range map[string]bool{"aes256gcm16-aes256-sha256-ecp384": true, "aes256-sha1-ecp256": false, "aes128gcm16-aes256gcm16-ecp256": false} {
		if got := StrongSwanMixed(StrongSwan(suite.ProtocolIKE, text, posture.Pos{})); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestStrongSwanDefaultsFollowTheVersion(t *testing.T) {
	for _, c := range []struct {
		p       suite.Protocol
		version string
		count   int
		has     string
		lacks   string
	}{
		{suite.ProtocolIKE, "5.4.0", 2, "md5 prfmd5 modp1024 modp1536 3des", "x25519 x448"},
		{suite.ProtocolIKE, "5.6.0", 2, "md5 modp1024 x25519", "modp1536"},
		{suite.ProtocolIKE, "5.6.1", 2, "sha1 prfsha1 modp2048 3des", "md5 prfmd5 modp1024 x448"},
		{suite.ProtocolIKE, "5.9.8", 2, "sha1 x448 chacha20poly1305 aes128gcm8", "md5 modp1024 modp1536 mlkem768"},
		{suite.ProtocolIKE, "6.0.6", 2, "sha1 x448 modp2048", "md5 modp1024 mlkem768"},
		{suite.ProtocolESP, "5.3.5", 1, "sha1 md5 3des blowfish256", "sha256 aes256gcm16"},
		{suite.ProtocolESP, "5.6.0", 1, "sha256 md5 3des", "aes256gcm16"},
		{suite.ProtocolESP, "5.8.4", 1, "sha256 sha1 noesn", "md5 3des aes256gcm16 ecp256"},
		{suite.ProtocolESP, "5.9.12", 2, "aes256gcm16 sha1 noesn", "ecp256 modpnone esn"},
		{suite.ProtocolESP, "6.0.1", 2, "aes256gcm16 sha1", "ecp256 modpnone"},
		{suite.ProtocolESP, "6.0.2", 2, "ecp256 modp2048 modpnone x25519 noesn", "modp1024 modp1536"},
		{suite.ProtocolESP, "", 2, "aes256gcm16 sha1", "ecp256"},
		{AH, "5.9.8", 1, "sha256 sha1 noesn", "aes128 md5"},
	} {
		all, why := StrongSwanDefaults(c.p, c.version)
		var words []string
		for _, p := range all {
			words = append(words, strings.Fields(show(p))...)
			if len(p.Unknown) > 0 {
				t.Errorf("%v %s: unknown %v", c.p, c.version, p.Unknown)
			}
		}
		if len(all) != c.count || !strings.Contains(why, c.version) {
			t.Errorf("%v %s: %d proposals, %q", c.p, c.version, len(all), why)
		}
		for w := range strings.FieldsSeq(c.has) {
			if !slices.Contains(words, w) {
				t.Errorf("%v %s lacks %s", c.p, c.version, w)
			}
		}
		for w := range strings.FieldsSeq(c.lacks) {
			if slices.Contains(words, w) {
				t.Errorf("%v %s has %s", c.p, c.version, w)
			}
		}
	}
}

func TestDefaultsOfAnUnknownVersionSaySo(t *testing.T) {
	if _, why := StrongSwanDefaults(suite.ProtocolESP, ""); why != "version unknown: default of strongSwan 5.9" {
		t.Error(why)
	}
}

func TestVersionsAreComparedByNumber(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"5.9.8", "5.9.12", true}, {"5.9.12", "5.9.8", false}, {"5.9", "5.9.0", false}, {"5.9.0", "5.9", false},
		{"5.9.8-5+deb12u6", "5.9.8", false}, {"5.9.8-5+deb12u6", "5.9.9", true}, {"6.0rc1", "6.0", true}, {"6.0.0~rc1", "6.0", true}, {"6.0", "6.0rc1", false},
		{"6.0.2", "6.0.2", false}, {"10.1", "9.9", false}, {"1:5.1", "6", true}, {"v5.9", "6", true}, {"", "6", false}, {"unknown", "6", false},
		{"99999999999999999999", "1", false},
	} {
		if got := Before(c.a, c.b); got != c.want {
			t.Errorf("%q before %q: %v", c.a, c.b, got)
		}
	}
}

func FuzzStrongSwan(f *testing.F) {
	for _, s := range []string{"aes256gcm16-prfsha384-ecp384-ke1_mlkem768", "aes-sha-modp1024", "ke1_", "serpent-ntru128", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range []suite.Protocol{suite.ProtocolIKE, AH, suite.ProtocolESP} {
			StrongSwanWords(StrongSwan(p, s, posture.Pos{}))
		}
		Before(s, "5.9.8")
		Before("5.9.8", s)
	})
}

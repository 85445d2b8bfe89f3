package proposal

import (
	"slices"
	"strings"
	"testing"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

func showAll(all []posture.Proposal) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, show(p))
	}
	return strings.Join(texts, ", ")
}

func TestLibreswanWordsAreReadAsTheDaemonReadsThem(t *testing.T) {
	const groups = "ecp256 ecp384 ecp521 x25519 modp4096 modp3072 modp2048 modp8192"
	for _, c := range []struct {
		p          suite.Protocol
		text, want string
	}{
		{suite.ProtocolIKE, "aes256-sha2_256;modp2048", "aes256 sha256 prfsha256 modp2048"},
		{suite.ProtocolIKE, "aes256-sha1-modp1024", "aes256 sha1 prfsha1 modp1024"},
		{suite.ProtocolIKE, "3des-md5;dh2,aes128-sha1;dh14", "3des md5 prfmd5 modp1024, aes128 sha1 prfsha1 modp2048"},
		{suite.ProtocolIKE, "aes256+aes128-sha2_512+sha2_256;dh19+dh31", "aes256 aes128 sha512 sha256 prfsha512 prfsha256 ecp256 x25519"},
		{suite.ProtocolIKE, "aes-sha2;dh20", "aes256 aes128 sha256 prfsha256 ecp384"},
		{suite.ProtocolIKE, "aes_gcm256-sha2_512;ecp_521", "aes256gcm16 prfsha512 ecp521"},
		{suite.ProtocolIKE, "aes_gcm_c-256-sha2;dh21", "aes256gcm16 prfsha256 ecp521"},
		{suite.ProtocolIKE, "aes_gcm-none-sha2;modp2048", "aes256gcm16 aes128gcm16 prfsha256 modp2048"},
		{suite.ProtocolIKE, "aes128-sha1_96-sha2-ecp_521", "aes128 sha1 prfsha256 ecp521"},
		{suite.ProtocolIKE, "aes256", "aes256 sha512 sha256 prfsha512 prfsha256 " + groups},
		{suite.ProtocolIKE, "aes_gcm_256", "aes256gcm16 prfsha512 prfsha256 " + groups},
		{suite.ProtocolIKE, "aes256-sha2;dh20;addke1=none;addke2=ml_kem_768", "aes256 sha256 prfsha256 ecp384 +modpnone +mlkem768"},
		{suite.ProtocolIKE, "aes256-sha2;modp2048-ml_kem_768", "aes256 sha256 prfsha256 modp2048 +mlkem768"},
		{suite.ProtocolESP, "aes_gcm_16_128-null", "aes128gcm16"},
		{suite.ProtocolESP, "aes_gcm_a-128-null;dh14", "aes128gcm8 modp2048"},
		{suite.ProtocolESP, "null-sha1", "null sha1"},
		{suite.ProtocolESP, "aes256-sha2_512,aes128-sha2_256,3des-sha1", "aes256 sha512, aes128 sha256, 3des sha1"},
		{suite.ProtocolESP, "aes256-sha1;none", "aes256 sha1 modpnone"},
		{suite.ProtocolESP, "camellia_cbc_256-hmac_sha2_512_256;modp8192", "camellia256 sha512 modp8192"},
		{suite.ProtocolESP, "chacha20_poly1305", "chacha20poly1305"},
		{suite.ProtocolESP, "aes_ctr128-aes_xcbc", "aes128ctr aesxcbc"},
		{suite.ProtocolESP, "null_auth_aes_gmac_256-null;modp8192", "aes256gmac modp8192"},
		{suite.ProtocolESP, "3des-md5-96,aes128-sha1-96;modp1024", "3des md5, aes128 sha1 modp1024"},
		{suite.ProtocolESP, "vanity-sha1", "sha1 ?vanity"},
		{suite.ProtocolESP, "aes256-vanity", "aes256 sha512 sha256 ?vanity"},
		{AH, "sha2_512;modp2048", "sha512 modp2048"},
		{suite.ProtocolESP, " , ,", ""},
	} {
		if got := showAll(Libreswan(c.p, c.text, posture.Pos{})); got != c.want {
			t.Errorf("%v %s:\ngot  %s\nwant %s", c.p, c.text, got, c.want)
		}
	}
}

func TestLibreswanFillsInTheDefaultsOfTheVersionOfIKE(t *testing.T) {
	for text, want := range map[string]string{
		"aes256":           "aes256 sha256 sha512 sha1 prfsha256 prfsha512 prfsha1 modp2048 modp1536 ecp256 x25519",
		"aes256-sha1":      "aes256 sha1 prfsha1 modp2048 modp1536 ecp256 x25519",
		"aes256;modp1024":  "aes256 sha256 sha512 sha1 prfsha256 prfsha512 prfsha1 modp1024",
		"3des-sha1;dh5+d2": "3des sha1 prfsha1 modp1536 ?d2",
	} {
		if got := showAll(LibreswanV1(suite.ProtocolIKE, text, posture.Pos{})); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestWhatLibreswanFillsInIsMarkedAsNotWritten(t *testing.T) {
	for text, want := range map[string][]suite.TransformType{
		"aes256-sha1":          {suite.KE},
		"aes256":               {suite.PRF, suite.Integ, suite.KE},
		"aes256-sha1;modp2048": nil,
		"aes_gcm256;dh20":      {suite.PRF},
	} {
		if got := LibreswanV1(suite.ProtocolIKE, text, posture.Pos{})[0].Implied; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if got := Libreswan(suite.ProtocolESP, "aes256-sha1", posture.Pos{})[0].Implied; got != nil {
		t.Errorf("of a child %v", got)
	}
}

func TestLibreswanDefaultsFollowTheVersion(t *testing.T) {
	for _, c := range []struct {
		p        suite.Protocol
		version  string
		v1       bool
		has, not string
	}{
		{suite.ProtocolIKE, "5.3", false, "chacha20poly1305", "sha1"},
		{suite.ProtocolIKE, "4.12", false, "aes256gcm16", "chacha20poly1305"},
		{suite.ProtocolIKE, "3.27", false, "prfsha1", "3des"},
		{suite.ProtocolIKE, "", false, "modp2048", "sha1"},
		{suite.ProtocolIKE, "4.12", true, "3des", "modp1024"},
		{suite.ProtocolIKE, "3.25", true, "modp1536", "modp1024"},
		{suite.ProtocolIKE, "3.18", true, "modp1024", "gcm"},
		{suite.ProtocolESP, "5.3", true, "3des", "modp"},
		{suite.ProtocolESP, "5.3", false, "chacha20poly1305", "modp"},
		{AH, "5.3", false, "sha512", "sha1"},
	} {
		all, why := LibreswanDefaults(c.p, c.version, c.v1)
		got := showAll(all)
		if !strings.Contains(got, c.has) || strings.Contains(got, c.not) {
			t.Errorf("%v of %q, version 1 %v: %s: should have %s and not %s", c.p, c.version, c.v1, got, c.has, c.not)
		}
		if c.version == "" && why != "version unknown: default of Libreswan 4.5" {
			t.Errorf("why: %s", why)
		}
	}
}

func TestLibreswanWordsAreReadBackAsTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"aes256+aes128-sha2_512+sha2_256;dh19+dh31":         "aes256+aes128-sha2_512+sha2_256;dh19+dh31",
		"aes_gcm256-sha2_512;modp2048":                      "aes_gcm_16_256-sha2_512;modp2048",
		"aes128-sha1_96-sha2-ecp_521":                       "aes128-sha1-sha2_256;dh21",
		"chacha20_poly1305-sha2;dh20;addke1=ml_kem_768":     "chacha20_poly1305-sha2_256;dh20;addke1=ml_kem_768",
		"aes_ctr256+camellia128-aes_cmac-sha2_384;modp3072": "aes_ctr256+camellia128-aes_cmac-sha2_384;modp3072",
	} {
		read := Libreswan(suite.ProtocolIKE, text, posture.Pos{})
		words := LibreswanWords(read[0])
		if again := Libreswan(suite.ProtocolIKE, words, posture.Pos{}); words != want || showAll(again) != showAll(read) {
			t.Errorf("%s is written %s, and read again %s", text, words, showAll(again))
		}
	}
}

func FuzzLibreswan(f *testing.F) {
	f.Add("aes256+aes128-sha2_512;dh19+dh31,aes_gcm_c-256-null;addke1=ml_kem_768")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range []suite.Protocol{suite.ProtocolIKE, suite.ProtocolESP, AH} {
			if all := Libreswan(p, text, posture.Pos{}); len(all) > mostLibreswan {
				t.Fatalf("%d proposals", len(all))
			}
			LibreswanV1(p, text, posture.Pos{})
		}
	})
}

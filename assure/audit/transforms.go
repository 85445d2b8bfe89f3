package audit

import (
	"strings"

	"sallyport/protocol/suite"
)

// verdict is what the audit says of one transform wherever it is taken.
type verdict struct {
	rule     string   // the rule it breaks; empty: it is good enough
	severity Severity // with a rule
	why      string
	bits     int // estimated strength of a cipher or a group; 0: of no use here
}

// ok tells whether no rule objects.
func (v verdict) ok() bool { return v.rule == "" }

// verdictRows are the default verdicts, by keyword of package suite. The
// standing in package suite says what Sallyport itself negotiates; this is what
// is said of others, who may well use what is not built in here.
var verdictRows = []struct {
	rule     string
	severity Severity
	why      string
	words    string
}{
	{"CRY-001", Critical, "its key has 56 bits or is tied to DES (RFC 8247, Section 2.1; RFC 8221, Section 5)", "desiv64 des desiv32 3idea"},
	{"CRY-001", Critical, "it encrypts nothing (RFC 8247, Section 2.1)", "null"},
	{"CRY-001", Critical, "it is a MAC of DES (RFC 8247, Section 2.3)", "desmac"},
	{"CRY-001", Critical, "without integrity, packets can be changed on the way (RFC 8221, Section 4)", "noauth"},
	{"CRY-002", High, "64-bit blocks (RFC 8221, Section 5; CVE-2016-2183)", "3des"},
	{"CRY-002", High, "64-bit blocks, and deprecated (RFC 9395, Section 5)", "rc5 idea cast128 blowfish blowfish128 blowfish192 blowfish256"},
	{"CRY-003", High, "it authenticates and encrypts nothing (RFC 4543, Section 2)", "aes128gmac aes192gmac aes256gmac"},
	{"CRY-004", High, "MD5 is broken and MUST NOT be used (RFC 8247, Sections 2.2 and 2.3)", "prfmd5 md5 md5_128"},
	{"CRY-004", Critical, "a keyed prefix of MD5 (RFC 8247, Section 2.3)", "kpdkmd5"},
	{"CRY-004", High, "a dead hash, deprecated (RFC 9395, Section 5)", "prftiger"},
	{"CRY-005", Medium, "SHA-1 is on its way out (RFC 8247, Sections 2.2 and 2.3)", "prfsha1 sha1 sha1_160"},
	{"CRY-006", Low, "a short tag: a forgery succeeds too often (RFC 8221, Section 5)",
		"aes128ccm8 aes192ccm8 aes256ccm8 aes128ccm12 aes192ccm12 aes256ccm12 aes128gcm8 aes192gcm8 aes256gcm8 aes128gcm12 aes192gcm12 aes256gcm12" +
			" camellia128ccm8 camellia192ccm8 camellia256ccm8 camellia128ccm12 camellia192ccm12 camellia256ccm12 aes128ccm8iiv aes256ccm8iiv"},
	{"CRY-006", Low, "a MAC of 128-bit blocks, cut short, and meant for the smallest devices (RFC 8247, Section 2.3)", "aesxcbc aescmac prfaesxcbc prfaescmac"},
	{"CRY-007", Critical, "it can be broken in hours (RFC 8247, Section 2.4)", "modp768"},
	{"CRY-007", Critical, "1024 bits, with a small subgroup besides (RFC 8247, Section 2.4)", "modp1024s160"},
	{"CRY-008", High, "within reach of a state, once for everybody who uses the group (RFC 8247, Section 2.4)", "modp1024"},
	{"CRY-008", High, "less than 100 bits of strength (RFC 8247, Section 2.4)", "modp1536 ecp192"},
	{"CRY-008", Medium, "a group of unexplained origin with small subgroups (RFC 8247, Section 2.4)", "modp2048s224 modp2048s256"},
	{"CRY-009", Low, "112 bits of strength: the least that is still allowed", "modp2048 ecp224 ecp224bp"},
	{"CRY-025", Low, "a national algorithm that few have looked at", "kuznyechikmgm magmamgm prfstreebog512 gost256 gost512"},

	{"", 0, "", "aes128 aes192 aes256 aes128ctr aes192ctr aes256ctr aes128ccm16 aes192ccm16 aes256ccm16 aes128gcm16 aes192gcm16 aes256gcm16 chacha20poly1305"},
	{"", 0, "implicit IV (RFC 8750)", "aes128gcm16iiv aes256gcm16iiv chacha20poly1305iiv"},
	// Sound, and on hardly any standard's list: a policy may object (CRY-026).
	{"", 0, "not on the lists of most standards", "camellia128 camellia192 camellia256 camellia128ctr camellia192ctr camellia256ctr camellia128ccm16 camellia192ccm16 camellia256ccm16"},
	{"", 0, "", "prfsha256 prfsha384 prfsha512 sha256 sha384 sha512"},
	{"", 0, "for AH alone, which CRY-003 judges", "ahaes128gmac ahaes192gmac ahaes256gmac"},
	{"", 0, "a child without a key exchange of its own, which CRY-010 judges", "modpnone"},
	{"", 0, "", "modp3072 modp4096 modp6144 modp8192 ecp256 ecp384 ecp521 ecp256bp ecp384bp ecp512bp x25519 x448"},
	{"", 0, "wanted, beside a classical exchange (RFC 9370)", "mlkem512 mlkem768 mlkem1024"},
}

// strengths are estimates in bits, of groups (NIST SP 800-57 Part 1, Table 2;
// RFC 3526, Section 8, the lower column) and of ciphers whose key length says
// another thing or nothing.
var strengths = map[string]int{
	"modp768": 64, "modp1024": 80, "modp1536": 90, "modp2048": 112, "modp3072": 128, "modp4096": 150, "modp6144": 170, "modp8192": 190,
	"modp1024s160": 80, "modp2048s224": 112, "modp2048s256": 112,
	"ecp192": 96, "ecp224": 112, "ecp256": 128, "ecp384": 192, "ecp521": 256, "ecp224bp": 112, "ecp256bp": 128, "ecp384bp": 192, "ecp512bp": 256,
	"x25519": 128, "x448": 224, "gost256": 128, "gost512": 256, "mlkem512": 128, "mlkem768": 192, "mlkem1024": 256,
	"des": 56, "desiv64": 56, "desiv32": 56, "3des": 112, "3idea": 112, "idea": 128, "cast128": 128, "rc5": 128, "blowfish": 128,
	"chacha20poly1305": 256, "chacha20poly1305iiv": 256, "kuznyechikmgm": 256, "magmamgm": 256,
}

// verdicts is the one table of the audit's opinions, by transform.
var verdicts = func() map[suite.Transform]verdict {
	table := map[suite.Transform]verdict{}
	for _, row := range verdictRows {
		for word := range strings.FieldsSeq(row.words) {
			a, ok := suite.ByKeyword(word)
			if !ok {
				panic("no transform " + word)
			}
			bits := strengths[word]
			if bits == 0 && a.Type == suite.Encr {
				bits = int(a.KeyBits)
			}
			table[a.Transform] = verdict{rule: row.rule, severity: row.severity, why: row.why, bits: bits}
		}
	}
	return table
}()

// noIntegrity is INTEG NONE.
var noIntegrity = transform("noauth")

// nullCipher is ENCR NULL.
var nullCipher = transform("null")

// noGroup is KE NONE: a child without a key exchange.
var noGroup = transform("modpnone")

func transform(word string) suite.Transform {
	a, ok := suite.ByKeyword(word)
	if !ok {
		panic("no transform " + word)
	}
	return a.Transform
}

// verdictOf is the verdict of a transform in a protocol. Within ESP a cipher
// that encrypts nothing and an integrity that protects nothing are CRY-003's:
// NULL is a MUST for those who ask for authentication alone (RFC 8221, Section
// 5), so that it is not the worst there. NONE is judged with the cipher that it
// stands beside (see bareESP).
func verdictOf(t suite.Transform, p suite.Protocol) verdict {
	v, ok := verdicts[t]
	switch {
	case t.Type == suite.ESN:
		return verdict{} // RPL-003 looks at the child as a whole
	case !ok:
		return verdict{rule: "CRY-025", severity: Low, why: "it is in no registry"}
	case p == suite.ProtocolESP && t == nullCipher:
		v.rule, v.severity = "CRY-003", High
	case t == noIntegrity:
		return verdict{}
	case p == suite.ProtocolIKE && v.rule == "CRY-003": // GMAC: an IKE SA cannot do without encryption
		v.rule, v.severity = "CRY-001", Critical
	}
	return v
}

// aead tells whether a cipher brings its own integrity.
func aead(t suite.Transform) bool {
	a, ok := suite.Lookup(t)
	if !ok || t.Type != suite.Encr {
		return false
	}
	for _, part := range []string{"gcm", "ccm", "poly1305", "gmac", "mgm"} {
		if strings.Contains(a.Keyword, part) {
			return true
		}
	}
	return false
}

package ios

import (
	"encoding/hex"
	"strconv"
	"strings"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/setting"
)

// ciphers of an isakmp policy ("encr aes 256") and an IKEv2 proposal
// ("encryption aes-cbc-256 aes-gcm-128"), in keywords of package suite.
var ciphers = map[string]string{
	"des": "des", "3des": "3des", "aes": "aes128", "aes 128": "aes128", "aes 192": "aes192", "aes 256": "aes256",
	"aes-cbc-128": "aes128", "aes-cbc-192": "aes192", "aes-cbc-256": "aes256", "aes-gcm-128": "aes128gcm16", "aes-gcm-256": "aes256gcm16",
}

// hashes of policies and proposals.
var hashes = map[string]string{"md5": "md5", "sha": "sha1", "sha1": "sha1", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512"}

// transforms of a transform-set, where the key size is a word of its own. AH is
// kept apart.
var transforms = map[string]string{
	"esp-des": "des", "esp-3des": "3des", "esp-aes": "aes128", "esp-aes 128": "aes128", "esp-aes 192": "aes192", "esp-aes 256": "aes256",
	"esp-gcm": "aes128gcm16", "esp-gcm 128": "aes128gcm16", "esp-gcm 192": "aes192gcm16", "esp-gcm 256": "aes256gcm16",
	"esp-gmac": "aes128gmac", "esp-gmac 128": "aes128gmac", "esp-gmac 192": "aes192gmac", "esp-gmac 256": "aes256gmac",
	"esp-null": "null", "esp-seal": "seal", "esp-md5-hmac": "md5", "esp-sha-hmac": "sha1", "esp-sha256-hmac": "sha256",
	"esp-sha384-hmac": "sha384", "esp-sha512-hmac": "sha512",
	"ah-md5-hmac": "md5", "ah-sha-hmac": "sha1", "ah-sha256-hmac": "sha256", "ah-sha384-hmac": "sha384", "ah-sha512-hmac": "sha512",
}

// sized joins a key size to the word before it.
func sized(words []string) []string {
	var out []string
	for _, w := range words {
		if n := len(out); n > 0 && (w == "128" || w == "192" || w == "256") {
			out[n-1] += " " + w
			continue
		}
		out = append(out, w)
	}
	return out
}

// translate turns words into keywords; what is not in the table stays.
func translate(table map[string]string, words []string) []string {
	var out []string
	for _, w := range words {
		if k, ok := table[w]; ok {
			w = k
		}
		out = append(out, w)
	}
	return out
}

// pppMethods are the words of "ppp authentication".
var pppMethods = map[string]posture.PPPMethod{"pap": posture.PAP, "chap": posture.CHAPMD5, "ms-chap": posture.MSCHAPv1, "ms-chap-v2": posture.MSCHAPv2, "eap": posture.EAPAny}

// storages are the types of passwords. Type 5 is MD5-crypt, 8 is PBKDF2 and 9
// is scrypt; 4 was one round of SHA-256 without salt.
var storages = map[string]posture.Storage{
	"0": posture.Clear, "4": posture.WeakHash, "5": posture.WeakHash, "6": posture.Encrypted, "7": posture.Reversible, "8": posture.Hashed, "9": posture.Hashed,
}

// password reads "[TYPE] VALUE" at the end of a line: where a type stands
// before it, it says how the value is stored.
func password(words []string) (value secret.Bytes, s posture.Storage, traps []string, ok bool) {
	if len(words) == 0 {
		return nil, "", nil, false
	}
	if setting.LeftOut(joined(words)) || setting.LeftOut(words[len(words)-1]) {
		return nil, posture.Elsewhere, nil, true
	}
	s, typed := storages[words[0]]
	if !typed || len(words) == 1 {
		return secret.Bytes(words[0]), posture.Clear, nil, true
	}
	switch s {
	case posture.Clear:
		return secret.Bytes(words[1]), s, nil, true
	case posture.Reversible:
		clear, ok := type7(words[1])
		if !ok {
			traps = []string{"not a password of type 7"}
		}
		return clear, s, traps, true
	}
	return nil, s, nil, true
}

// veil is the constant that type 7 hides passwords with. It is in every router
// and has been public since 1995.
const veil = "dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"

// type7 undoes the veil: two decimal digits say where in it to begin.
func type7(text string) (secret.Bytes, bool) {
	if len(text) < 2 {
		return nil, false
	}
	start, err := strconv.ParseUint(text[:2], 10, 8)
	b, err2 := hex.DecodeString(text[2:])
	if err != nil || err2 != nil {
		return nil, false
	}
	for i := range b {
		b[i] ^= veil[(int(start)+i)%len(veil)]
	}
	return b, true
}

// ports are the names of UDP ports in access lists.
var ports = map[string]int{"isakmp": 500, "non500-isakmp": 4500, "domain": 53, "ntp": 123, "bootpc": 68, "bootps": 67, "snmp": 161, "syslog": 514, "tftp": 69, "rip": 520}

func port(word string) (int, bool) {
	if n, ok := ports[word]; ok {
		return n, true
	}
	n, err := strconv.Atoi(word)
	return n, err == nil
}

// anyAddress tells whether an address with or without a mask is any.
func anyAddress(words []string) bool {
	return len(words) > 0 && (words[0] == "0.0.0.0" || words[0] == "0.0.0.0/0" || words[0] == "::/0" || words[0] == "any")
}

// joined is words as one text.
func joined(words []string) string { return strings.Join(words, " ") }

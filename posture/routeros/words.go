package routeros

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
)

// phase1 are the ciphers of a profile, in keywords of package suite.
var phase1 = map[string]string{
	"des": "des", "3des": "3des", "blowfish": "blowfish", "aes-128": "aes128", "aes-192": "aes192", "aes-256": "aes256",
	"camellia-128": "camellia128", "camellia-192": "camellia192", "camellia-256": "camellia256",
}

// phase2 are the ciphers of a proposal.
var phase2 = map[string]string{
	"null": "null", "des": "des", "3des": "3des", "blowfish": "blowfish", "twofish": "twofish",
	"aes-128-cbc": "aes128", "aes-192-cbc": "aes192", "aes-256-cbc": "aes256", "aes-128": "aes128", "aes-192": "aes192", "aes-256": "aes256",
	"aes-128-ctr": "aes128ctr", "aes-192-ctr": "aes192ctr", "aes-256-ctr": "aes256ctr",
	"aes-128-gcm": "aes128gcm16", "aes-192-gcm": "aes192gcm16", "aes-256-gcm": "aes256gcm16",
	"camellia-128": "camellia128", "camellia-192": "camellia192", "camellia-256": "camellia256", "chacha20poly1305": "chacha20poly1305",
}

// hashes are those of profiles and proposals.
var hashes = map[string]string{"md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512", "null": "noauth"}

// groups are the key exchanges; the others have the names of package suite.
// RouterOS has no group 22 and beyond but curve25519.
var groups = map[string]string{"x25519": "x25519", "curve25519": "x25519", "ec2n155": "ec2n155", "ec2n185": "ec2n185"}

// translate turns a product's words into keywords; one that the table does not
// have stays as it is, and is found or not in the registry.
func translate(table map[string]string, words []string) []string {
	var keywords []string
	for _, w := range words {
		if k, ok := table[w]; ok {
			w = k
		}
		keywords = append(keywords, w)
	}
	return keywords
}

// pppMethods are the words of l2tp-server and its kin.
var pppMethods = map[string]posture.PPPMethod{"pap": posture.PAP, "chap": posture.CHAPMD5, "mschap1": posture.MSCHAPv1, "mschap2": posture.MSCHAPv2}

// units are those of RouterOS times, longest first where one begins another.
var units = []struct {
	name string
	unit time.Duration
}{{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond}, {"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// mostTime is what a time may be at most; RouterOS has none of 100 years.
const mostTime = 100 * 365 * 24 * time.Hour

// duration reads "1d", "8h30m", "00:30:00", "1d00:00:00" and "120".
func duration(text string) (time.Duration, bool) {
	var total time.Duration
	rest := text
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 40)
		if err != nil {
			return 0, false
		}
		if strings.Contains(rest, ":") && (digits == len(rest) || rest[digits] == ':') {
			d, ok := clock(rest)
			return total + d, ok
		}
		unit, left := time.Second, rest[digits:]
		for _, u := range units {
			if after, ok := strings.CutPrefix(left, u.name); ok {
				unit, left = u.unit, after
				break
			}
		}
		if left == rest[digits:] && left != "" || n > int64(mostTime/unit) {
			return 0, false
		}
		if total += time.Duration(n) * unit; total > mostTime {
			return 0, false
		}
		rest = left
	}
	return total, text != ""
}

// clock reads hours, minutes and seconds with colons.
func clock(text string) (time.Duration, bool) {
	var total time.Duration
	parts := strings.Split(text, ":")
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return 0, false
		}
		total = total*60 + time.Duration(n)*time.Second
	}
	return total, len(parts) == 3
}

// dpd reads the interval of dead peer detection, which a word turns off.
func dpd(text string) (time.Duration, bool) {
	if text == "disable-dpd" {
		return 0, true
	}
	return duration(text)
}

// ipsecSecret decodes a secret of IPsec: what begins with 0x is hexadecimal.
func ipsecSecret(text string) (value secret.Bytes, traps []string) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok {
		return secret.Bytes(text), nil
	}
	if len(digits)%2 == 1 {
		return secret.Bytes(text), []string{"odd number of hex digits"}
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return secret.Bytes(text), []string{"begins with 0x and is not hexadecimal"}
	}
	return b, nil
}

func isAny(address string) bool {
	switch address {
	case "", "::/0", "0.0.0.0/0", "0.0.0.0", "::":
		return true
	}
	return false
}

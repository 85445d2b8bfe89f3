package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"sallyport/internal/secret"
	"sallyport/pki"
)

func TestKeysThatPeopleThinkOfAreWeak(t *testing.T) {
	for _, key := range []string{
		"vpn123", "testing123", "vpn", "P@ssw0rdP@ssw0rdP@ssw0rd",
		"correct horse battery staple correct horse battery staple",
		"thisismyverylongsecretkeyforthevpnoftheoffice",
		"Th1s1sMyV3ryL0ngS3cretK3yForVPN!!2025",
		"SallyportPresharedKey2026!ForTheOffice",
		"to be or not to be that is the question",
		"0123456789abcdef0123456789abcdef", "qwertyuiopasdfghjklzxcvbnmqwertyuiop",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababababababababababab",
		"x7Qx7Qx7Qx7Qx7Qx7Qx7Qx7Qx7Qx7Qx7Qx7Qx7Qx7Q", "1234567890123456789012345678901234567890",
		"laptop@alice@vpn.example.org-laptop@alice", "ecila@potpal.gro.elpmaxe.npv",
		"19840312-19840313-19840314-19840315", "0110100101101001011010010110100101101001",
		"ILoveMyCompanyAndItsNetwork2024", "der Hund bellt und die Katze schlaeft",
	} {
		if bits := strength(secret.Bytes(key), "laptop@alice", "laptop", "alice", "vpn.example.org"); bits >= enoughBits {
			t.Errorf("%q counts for %.0f bits", key, bits)
		}
	}
}

func TestRandomKeysAreStrong(t *testing.T) {
	const tries = 2000
	random := func(n int) []byte {
		b := make([]byte, n)
		rand.Read(b)
		return b
	}
	for what, make := range map[string]func() string{
		"ours":                        func() string { return string(pki.NewSharedKey()) },
		"128 bits in hexadecimal":     func() string { return hex.EncodeToString(random(16)) },
		"128 bits in base64":          func() string { return base64.StdEncoding.EncodeToString(random(16)) },
		"120 bits in 20 of base64url": func() string { return base64.RawURLEncoding.EncodeToString(random(15)) },
		"256 bits in base64":          func() string { return base64.StdEncoding.EncodeToString(random(32)) },
	} {
		weak, least := 0, 1000.0
		for range tries {
			bits := strength(secret.Bytes(make()))
			if bits < enoughBits {
				weak++
			}
			least = min(least, bits)
		}
		t.Logf("%s: %d of %d weak, the least %.0f bits", what, weak, tries, least)
		if weak > tries/20 {
			t.Errorf("%s: %d of %d random keys are called weak", what, weak, tries)
		}
	}
}

package suite

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"
)

func TestIKEv1NumbersAreTheirOwn(t *testing.T) {
	for _, c := range []struct {
		registry     Registry1
		number, bits uint16
		want         string
		ok           bool
	}{
		{Cipher1, 7, 256, "aes256", true},
		{Cipher1, 7, 128, "aes128", true},
		{Cipher1, 7, 0, "aes without key length", false},
		{Cipher1, 7, 100, "encr 12/100", false},
		{Cipher1, 5, 0, "3des", true},
		{Cipher1, 5, 192, "cipher 5 with 192 bits", false},
		{Cipher1, 1, 0, "des", true},
		{Cipher1, 20, 256, "cipher 20", false}, // GCM is no phase 1 cipher
		{Hash1, 2, 0, "sha1", true},
		{Hash1, 1, 0, "md5", true},
		{Hash1, 4, 0, "sha256", true},
		{Hash1, 6, 0, "sha512", true},
		{Hash1, 3, 0, "tiger", false},
		{Group1, 2, 0, "modp1024", true},
		{Group1, 3, 0, "ec2n155", false},
		{Group1, 20, 0, "ecp384", true},
		{Group1, 31, 0, "group 31", false},
		{Group1, 1025, 0, "group 1025", false}, // CVE-2014-9221
		{ESP1, 12, 256, "aes256", true},
		{ESP1, 12, 0, "aes without key length", false},
		{ESP1, 20, 128, "aes128gcm16", true},
		{ESP1, 21, 128, "seed", false},
		{ESP1, 22, 256, "camellia256", true},
		{ESP1, 23, 256, "aes256gmac", true},
		{ESP1, 11, 0, "null", true},
		{Integrity1, 2, 0, "sha1", true},
		{Integrity1, 5, 0, "sha256", true},
		{Integrity1, 9, 0, "aesxcbc", true},
		{Integrity1, 8, 0, "ripemd", false},
	} {
		got, ok := FromIKEv1(c.registry, c.number, c.bits)
		if name := NameIKEv1(c.registry, c.number, c.bits); ok != c.ok || ok && (name != c.want || got.String() != c.want) {
			t.Errorf("%v %d/%d: %v %q %v, want %q %v", c.registry, c.number, c.bits, got, name, ok, c.want, c.ok)
		} else if !ok && name != c.want && !(c.bits == 100) {
			t.Errorf("%v %d/%d is named %q, want %q", c.registry, c.number, c.bits, name, c.want)
		}
	}
}

func TestIKEv1NumbersRoundTrip(t *testing.T) {
	for _, n := range numbers1 {
		if n.is == (Transform{}) {
			continue
		}
		is := n.is
		if n.keyed {
			is.KeyBits = 128
		}
		number, bits, ok := ToIKEv1(n.registry, is)
		if back, _ := FromIKEv1(n.registry, number, bits); !ok || number != n.number || back != is {
			t.Errorf("%v %d became %v, %d", n.registry, n.number, back, number)
		}
	}
	if _, _, ok := ToIKEv1(Cipher1, encr(20, 256)); ok {
		t.Error("AES-GCM has a number in phase 1")
	}
	if _, _, ok := ToIKEv1(Group1, ke(31)); ok {
		t.Error("X25519 has a number in IKEv1")
	}
}

func TestSHA1IsConstructedByWaiverOnly(t *testing.T) {
	aes256, sha, prfSHA := encr(12, 256), integ(2), prf(2)
	if _, err := NewPRF(prfSHA); err == nil {
		t.Error("NewPRF makes prfsha1")
	}
	if _, err := NewCipher(aes256, sha, make([]byte, 32), make([]byte, 20)); err == nil {
		t.Error("NewCipher makes sha1")
	}
	if e, i := CipherKeySizes(aes256, sha); e != 0 || i != 0 {
		t.Errorf("CipherKeySizes of sha1 are %d and %d", e, i)
	}
	if _, err := (ESP{Encr: aes256, Integ: sha}).NewCipher(make([]byte, 32), make([]byte, 20)); err == nil {
		t.Error("an ESP suite without waiver makes sha1")
	}
	if e, i := WaivedCipherKeySizes(aes256, sha); e != 32 || i != 20 {
		t.Errorf("the waived keys are %d and %d octets", e, i)
	}
	c, err := (ESP{Encr: aes256, Integ: sha, Waived: true}).NewCipher(make([]byte, 32), make([]byte, 20))
	if err != nil || c.ICVSize() != 12 {
		t.Fatalf("%v", err)
	}
	if p, err := NewWaivedPRF(prfSHA); err != nil || p.Size() != 20 {
		t.Fatalf("%v", err)
	}
}

func TestWaiverDoesNotReachWhatIsBroken(t *testing.T) {
	for _, a := range All() {
		want := a.Keyword == "sha1" || a.Keyword == "prfsha1"
		if a.Waivable() != want {
			t.Errorf("%s is waivable: %v", a.Keyword, a.Waivable())
		}
		if a.Usable() || want {
			continue
		}
		switch a.Type {
		case PRF:
			if _, err := NewWaivedPRF(a.Transform); err == nil {
				t.Errorf("%s can be made by waiver", a.Keyword)
			}
		case Encr:
			if e, _ := WaivedCipherKeySizes(a.Transform, integ(2)); e != 0 {
				t.Errorf("%s can be made by waiver", a.Keyword)
			}
		case Integ:
			if e, _ := WaivedCipherKeySizes(encr(12, 128), a.Transform); e != 0 {
				t.Errorf("%s can be made by waiver", a.Keyword)
			}
		case KE:
			if _, err := GenerateKE(a.Transform); err == nil {
				t.Errorf("%s can be made", a.Keyword)
			}
		}
	}
}

// RFC 2202, Section 3, and RFC 2404: the first 96 bits of HMAC-SHA1.
func TestWaivedCipherIsHMACSHA196(t *testing.T) {
	enc, mac := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 20)
	c, err := NewWaivedCipher(encr(12, 128), integ(2), enc, mac)
	if err != nil {
		t.Fatal(err)
	}
	iv, aad := bytes.Repeat([]byte{3}, 16), []byte("header")
	sealed := c.Seal(nil, iv, bytes.Repeat([]byte{4}, 32), aad, []byte("tail"))
	h := hmac.New(sha1.New, mac)
	for _, b := range [][]byte{aad, iv, sealed[:32], []byte("tail")} {
		h.Write(b)
	}
	if len(sealed) != 44 || !bytes.Equal(sealed[32:], h.Sum(nil)[:12]) {
		t.Fatalf("%x", sealed)
	}
	if _, err := c.Open(nil, iv, sealed, aad, []byte("tail")); err != nil {
		t.Fatal(err)
	}
	p, _ := NewWaivedPRF(prf(2))
	if got := hex.EncodeToString(p.Sum([]byte("Jefe"), []byte("what do ya want for nothing?"))); got != "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" {
		t.Fatal(got)
	}
}

func TestPRFOfHash(t *testing.T) {
	for hash, want := range map[Transform]Transform{integ(2): prf(2), integ(12): prf(5), integ(13): prf(6), integ(14): prf(7), prf(5): {}, encr(12, 128): {}} {
		if got := PRFOfHash(hash); got != want {
			t.Errorf("the PRF of %v is %v", hash, got)
		}
	}
}

func TestIKEv1Signatures(t *testing.T) {
	hash := bytes.Repeat([]byte{7}, 32)
	for method, name := range map[AuthMethod1]string{AuthRSA1: "RSA-2048", AuthECDSA256: "P-256", AuthECDSA384: "P-384", AuthECDSA521: "P-521"} {
		key := testKeys()[name]
		sig, err := method.Sign(key, hash)
		if err != nil {
			t.Fatalf("%v: %v", method, err)
		}
		if err := method.Verify(key.Public(), hash, sig); err != nil {
			t.Errorf("%v: %v", method, err)
		}
		if method.Verify(key.Public(), bytes.Repeat([]byte{8}, 32), sig) == nil {
			t.Errorf("%v verifies another hash", method)
		}
		if method.Verify(key.Public(), hash, sig[1:]) == nil || method.Verify(key.Public(), hash, nil) == nil {
			t.Errorf("%v verifies a short signature", method)
		}
		for other, k := range testKeys() {
			if other != name && !strings.HasPrefix(other, "RSA") && method.Verify(k.Public(), hash, sig) == nil {
				t.Errorf("%v verifies with %s", method, other)
			}
		}
	}
	if AuthPSK1.Verify(testKeys()["P-256"].Public(), hash, hash) == nil {
		t.Error("a pre-shared key verifies as a signature")
	}
}

// RFC 2409, Section 5.1: no DigestInfo before the hash.
func TestIKEv1RSASignatureHasNoDigestInfo(t *testing.T) {
	key := testKeys()["RSA-2048"]
	hash := bytes.Repeat([]byte{7}, sha1.Size)
	sig, err := AuthRSA1.Sign(key, hash)
	if err != nil {
		t.Fatal(err)
	}
	if rsa.VerifyPKCS1v15(key.Public().(*rsa.PublicKey), crypto.SHA1, hash, sig) == nil {
		t.Error("the signature has a DigestInfo")
	}
}

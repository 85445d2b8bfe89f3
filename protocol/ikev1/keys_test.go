package ikev1

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"testing"

	"sallyport/internal/secret"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func prfOf(t testing.TB, word string) suite.PRFunc {
	t.Helper()
	a, _ := suite.ByKeyword(word)
	p, err := suite.NewWaivedPRF(a.Transform)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// There is no official vector of a whole IKEv1 exchange. This computes
// everything a second time, in one straight line, from the text of RFC 2409,
// Section 5 and Appendix B.
func TestKeyDerivationAgainstAStraightLine(t *testing.T) {
	for _, c := range []struct {
		prf  string
		hash func() hash.Hash
	}{{"prfsha1", sha1.New}, {"prfsha256", sha256.New}} {
		mac := func(key []byte, parts ...[]byte) []byte {
			h := hmac.New(c.hash, key)
			for _, p := range parts {
				h.Write(p)
			}
			return h.Sum(nil)
		}
		psk, gxy := []byte("secret"), append([]byte{0, 0}, bytes.Repeat([]byte{7}, 254)...)
		ni, nr := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 20)
		ck := unhex(t, "0102030405060708 1112131415161718")
		prf := prfOf(t, c.prf)
		aes256, _ := suite.ByKeyword("aes256")

		for name, pair := range map[string][2][]byte{
			"pre-shared key": {skeyidPSK(prf, psk, ni, nr), mac(psk, ni, nr)},
			"signature":      {skeyidSignature(prf, gxy, ni, nr), mac(append(bytes.Clone(ni), nr...), gxy)},
		} {
			skeyid := pair[1]
			if !bytes.Equal(pair[0], skeyid) {
				t.Fatalf("%s, %s: SKEYID", c.prf, name)
			}
			d := mac(skeyid, gxy, ck, []byte{0})
			a := mac(skeyid, d, gxy, ck, []byte{1})
			e := mac(skeyid, a, gxy, ck, []byte{2})
			key := e
			if len(e) < 32 {
				k1 := mac(e, []byte{0})
				key = append(bytes.Clone(k1), mac(e, k1)...)
			}
			got := deriveKeys(prf, aes256.Transform, skeyid, gxy, 0x0102030405060708, 0x1112131415161718)
			if !bytes.Equal(got.d, d) || !bytes.Equal(got.a, a) || !bytes.Equal(got.encr, key[:32]) {
				t.Fatalf("%s, %s: keys", c.prf, name)
			}

			esp := suite.ESP{Encr: aes256.Transform, Integ: suite.Transform{Type: suite.Integ, ID: 2}, Waived: true}
			spi := []byte{0xc0, 0xff, 0xee, 1}
			for pfs, shared := range map[string][]byte{"without PFS": nil, "with PFS": gxy} {
				k1 := mac(d, shared, []byte{3}, spi, ni, nr)
				k2 := mac(d, k1, shared, []byte{3}, spi, ni, nr)
				k3 := mac(d, k2, shared, []byte{3}, spi, ni, nr)
				want := append(append(k1, k2...), k3...)[:52]
				got, err := keymat(prf, d, esp, shared, 0xc0ffee01, ni, nr)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s %s: KEYMAT %v", c.prf, pfs, err)
				}
			}

			tr := transcript{cookieI: 0x0102030405060708, cookieR: 0x1112131415161718, publicI: []byte("gxi"), publicR: []byte("gxr"), sa: []byte("SAi"), skeyid: skeyid}
			word, _ := suite.ByKeyword(c.prf)
			tr.negotiated = word.Transform
			i, err := tr.hash(false, []byte("IDii"))
			if err != nil || !bytes.Equal(i, mac(skeyid, []byte("gxi"), []byte("gxr"), ck, []byte("SAi"), []byte("IDii"))) {
				t.Error("HASH_I")
			}
			r, _ := tr.hash(true, []byte("IDir"))
			if !bytes.Equal(r, mac(skeyid, []byte("gxr"), []byte("gxi"), ck[8:], ck[:8], []byte("SAi"), []byte("IDir"))) {
				t.Error("HASH_R")
			}
			tr.signed = suite.AuthECDSA256.PRF()
			i, _ = tr.hash(false, []byte("IDii"))
			h := hmac.New(sha256.New, skeyid)
			for _, p := range [][]byte{[]byte("gxi"), []byte("gxr"), ck, []byte("SAi"), []byte("IDii")} {
				h.Write(p)
			}
			if !bytes.Equal(i, h.Sum(nil)) {
				t.Error("HASH_I under ECDSA-256")
			}
		}

		sum := c.hash()
		sum.Write([]byte("gxigxr"))
		iv := sum.Sum(nil)[:16]
		if !bytes.Equal(firstIV(prf, []byte("gxi"), []byte("gxr")), iv) {
			t.Error("the first IV")
		}
		sum.Reset()
		sum.Write(append(bytes.Clone(iv), 0, 0, 0, 9))
		if !bytes.Equal(exchangeIV(prf, iv, 9), sum.Sum(nil)[:16]) {
			t.Error("the IV of an exchange")
		}
	}
}

func TestExchangeHashes(t *testing.T) {
	sa := &isakmpSA{suite: suite.IKE{PRF: suite.Transform{Type: suite.PRF, ID: 5}}, keys: keys{a: []byte("key a")}}
	q := &quick{sa: sa, id: 0x01020304, nonceI: []byte("ni"), nonceR: []byte("nr")}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, []byte("key a"))
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	one, _ := sa.exchangeHash(q.id, []byte("rest"))
	two, _ := sa.exchangeHash(q.id, q.nonceI, []byte("rest"))
	three, _ := q.thirdHash()
	if !bytes.Equal(one, mac("\x01\x02\x03\x04rest")) || !bytes.Equal(two, mac("\x01\x02\x03\x04nirest")) || !bytes.Equal(three, mac("\x00\x01\x02\x03\x04ninr")) {
		t.Error("HASH(1), HASH(2) or HASH(3)")
	}
}

// Both ends must take g^xy with its leading zeros, or one set-up in 256 fails.
func TestTrap27_LeadingZerosOfTheSecretAreKept(t *testing.T) {
	prf := prfOf(t, "prfsha256")
	short, long := secret.Bytes{1, 2, 3}, secret.Bytes{0, 1, 2, 3}
	ni := make([]byte, 16)
	if skeyidSignature(prf, short, ni, ni).Equal(skeyidSignature(prf, long, ni, ni)) {
		t.Error("SKEYID loses the leading zero")
	}
	aes, _ := suite.ByKeyword("aes128")
	a, b := deriveKeys(prf, aes.Transform, short, short, 1, 2), deriveKeys(prf, aes.Transform, short, long, 1, 2)
	if a.d.Equal(b.d) {
		t.Error("SKEYID_d loses the leading zero")
	}
	for range 600 { // with ECP-256, one secret in 256 begins with a zero
		group := suite.Transform{Type: suite.KE, ID: 19}
		i, r := must(suite.GenerateKE(group)), must(suite.GenerateKE(group))
		if shared := must(i.Shared(r.Public())); len(shared) != 32 {
			t.Fatalf("a secret of %d octets", len(shared))
		}
	}
}

// RFC 4106, Section 8.1: AES-GCM takes four octets more, the salt, and no key
// for integrity. RFC 4543 would take none to encrypt with, and is not built.
func TestCVE_2024_3652_EverySuiteHasKeysOrIsRefused(t *testing.T) {
	prf := prfOf(t, "prfsha1")
	for _, a := range suite.All() {
		if a.Type != suite.Encr {
			continue
		}
		esp := suite.ESP{Encr: a.Transform}
		if !a.AEAD() {
			esp.Integ = suite.Transform{Type: suite.Integ, ID: 12}
		}
		got, err := keymat(prf, []byte("d"), esp, nil, 1, []byte("ni"), []byte("nr"))
		if usable := a.Usable(); (err == nil) != usable || usable && len(got) < 20 {
			t.Errorf("%s: %d octets, %v", a.Keyword, len(got), err)
		}
	}
	gcm, _ := suite.ByKeyword("aes256gcm16")
	if got, err := keymat(prf, []byte("d"), suite.ESP{Encr: gcm.Transform}, nil, 1, nil, nil); err != nil || len(got) != 36 {
		t.Errorf("aes256gcm16: %d octets, %v", len(got), err)
	}
}

func TestSealAndOpen(t *testing.T) {
	aes, _ := suite.ByKeyword("aes256")
	sa := &isakmpSA{cookieI: 1, cookieR: 2, suite: suite.IKE{Encr: aes.Transform, PRF: suite.Transform{Type: suite.PRF, ID: 2}},
		keys: keys{a: []byte("a"), encr: make([]byte, 32)}}
	iv := make([]byte, 16)
	msg, next, err := sa.sealExchange(isakmp.ExchangeInformational, 7, iv, []isakmp.Payload{&isakmp.Delete{DOI: 1, Protocol: 3, SPIs: [][]byte{{1, 2, 3, 4}}}})
	if err != nil {
		t.Fatal(err)
	}
	m := must(isakmp.Parse(msg))
	o, err := sa.authentic(m, iv)
	if err != nil || len(o.payloads) != 2 || !bytes.Equal(o.next, next) || !bytes.Equal(next, msg[len(msg)-16:]) {
		t.Fatalf("%+v %v", o, err)
	}
	for name, change := range map[string]func(m *isakmp.Message, iv []byte){
		"another message ID": func(m *isakmp.Message, _ []byte) { m.Header.MessageID++ },
		"another IV":         func(_ *isakmp.Message, iv []byte) { iv[5]++ },
		"one bit":            func(m *isakmp.Message, _ []byte) { m.Encrypted[20] ^= 1 },
		"half a block":       func(m *isakmp.Message, _ []byte) { m.Encrypted = m.Encrypted[:24] },
		"nothing":            func(m *isakmp.Message, _ []byte) { m.Encrypted = nil },
	} {
		m, iv := must(isakmp.Parse(bytes.Clone(msg))), make([]byte, 16)
		change(m, iv)
		if _, err := sa.authentic(m, iv); err == nil {
			t.Errorf("%s: still authentic", name)
		}
	}
}

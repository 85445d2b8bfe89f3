package suite

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
)

// testKeys are made once per run: no key stands in the repository.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	for name, c := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[name] = k
	}
	for _, bits := range []int{2048, 3200} { // on both sides of matchingHash's limit, and quick to make
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys[fmt.Sprint("RSA-", bits)] = k
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	keys["Ed25519"] = e
	return keys
})

func byName(t testing.TB, name string) Signature {
	t.Helper()
	i := slices.IndexFunc(signatures, func(s Signature) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no signature %s", name)
	}
	return signatures[i]
}

func TestWhatIsSignedVerifies(t *testing.T) {
	octets := []byte("RealMessage1 | NonceRData | MACedIDForI")
	for _, s := range Signatures() {
		signed := 0
		for name, key := range testKeys() {
			auth, err := s.Sign(key, octets)
			if fits := s.Fits(key.Public()); (err == nil) != fits {
				t.Fatalf("%s with %s: fits is %v, signing says %v", s.Name, name, fits, err)
			} else if !fits {
				continue
			}
			signed++
			got, err := VerifyAuth(s.Method, auth, key.Public(), octets, Allow{SHA1: true})
			if err != nil || got.Name != s.Name {
				t.Errorf("%s with %s: verified as %q, %v", s.Name, name, got.Name, err)
			}
			if _, err := VerifyAuth(s.Method, auth, key.Public(), []byte("other"), Allow{SHA1: true}); err == nil {
				t.Errorf("%s with %s: verifies other octets", s.Name, name)
			}
			for other, wrong := range testKeys() {
				if other == name {
					continue
				}
				if _, err := VerifyAuth(s.Method, auth, wrong.Public(), octets, Allow{SHA1: true}); err == nil {
					t.Errorf("%s by %s: verifies with %s", s.Name, name, other)
				}
			}
		}
		if signed == 0 {
			t.Errorf("%s: no key fits", s.Name)
		}
	}
}

func TestDamagedSignaturesAreRefused(t *testing.T) {
	octets := []byte("signed octets")
	for _, s := range Signatures() {
		for name, key := range testKeys() {
			if !s.Fits(key.Public()) || name == "RSA-3200" {
				continue
			}
			auth, err := s.Sign(key, octets)
			if err != nil {
				t.Fatal(err)
			}
			damaged := [][]byte{nil, {}, auth[:len(auth)-1], auth[1:], append(bytes.Clone(auth), 0), make([]byte, len(auth)),
				bytes.Repeat([]byte{0xff}, len(auth))}
			for _, i := range []int{0, 1, 2, len(auth) / 2, len(auth) - 1} {
				d := bytes.Clone(auth)
				d[i] ^= 0x40
				damaged = append(damaged, d)
			}
			for i, d := range damaged {
				if _, err := VerifyAuth(s.Method, d, key.Public(), octets, Allow{SHA1: true}); err == nil {
					t.Errorf("%s with %s: damage %d was not noticed", s.Name, name, i)
				}
			}
		}
	}
}

// TestAlgorithmIDsAreThoseOfTheRFCs holds the table against RFC 7427,
// Appendix A, and RFC 8420, Appendix A.
func TestAlgorithmIDsAreThoseOfTheRFCs(t *testing.T) {
	pss := func(total, params, hash string) string { // Appendix A.4.3, with its trailer field
		return total + "06092a864886f70d01010a" + params + "a00f300d0609608648016503040201" + "0500a11c301a06092a864886f70d010108" +
			"300d06096086480165030402010500a203020120" + hash
	}
	for id, want := range map[string]string{
		"300d 0609 2a86 4886 f70d 0101 0b05 00": "rsa-sha256",   // A.1.2
		"300d 0609 2a86 4886 f70d 0101 0c05 00": "rsa-sha384",   // A.1.3
		"300d 0609 2a86 4886 f70d 0101 0d05 00": "rsa-sha512",   // A.1.4
		"300b 0609 2a86 4886 f70d 0101 0b":      "rsa-sha256",   // RFC 4055, Section 5: parameters absent
		"300a 0608 2a86 48ce 3d04 0302":         "ecdsa-sha256", // A.3.2
		"300a 0608 2a86 48ce 3d04 0303":         "ecdsa-sha384", // A.3.3
		"300a 0608 2a86 48ce 3d04 0304":         "ecdsa-sha512", // A.3.4
		"3005 0603 2b65 70":                     "ed25519",      // RFC 8420
		"3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0201 0500 a11c 301a 0609 2a86 4886 f70d 0101 08 30 0d06 0960 8648 0165 0304 0201 0500 a203 0201 20a3 0302 0101": "rsa-pss-sha256", // A.4.3
		pss("3041", "3034", ""): "rsa-pss-sha256", // the same in DER, as strongSwan 5.9.8 sends it

		"300d 0609 2a86 4886 f70d 0101 0505 00":                                 "", // A.1.1, SHA-1 (RFC 8247, Section 3.2.1)
		"300d 0609 2a86 4886 f70d 0101 0405 00":                                 "", // MD5
		"3009 0607 2a86 48ce 3804 03":                                           "", // A.2.1, DSA
		"300b 0609 6086 4801 6503 0403 02":                                      "", // A.2.2, DSA
		"3009 0607 2a86 48ce 3d04 01":                                           "", // A.3.1, SHA-1
		"300d 0609 2a86 4886 f70d 0101 0a30 00":                                 "", // A.4.1, PSS with SHA-1
		"300d 0609 2a86 4886 f70d 0101 0105 00":                                 "", // rsaEncryption
		"300c 0608 2a86 48ce 3d04 0302 0500":                                    "", // ECDSA has no parameters
		"3007 0603 2b65 70 0500":                                                "", // nor has Ed25519
		"3005 0603 2b65 71":                                                     "", // Ed448
		"3081 0d06 092a 8648 86f7 0d01 010b 0500":                               "", // not DER
		"300d 0609 2a86 4886 f70d 0101 0b05 0000":                               "", // an octet left over
		"300d 0609 2a86 4886 f70d 0101 0b05":                                    "", // an octet missing
		strings.ReplaceAll(pss("3041", "3034", ""), "a203020120", "a203020114"): "", // salt of another length
		"": "",
	} {
		s, ok := SignatureByAlgorithmID(unhex(strings.ReplaceAll(id, " ", "")))
		if ok != (want != "") || s.Name != want {
			t.Errorf("%s is %q, want %q", id, s.Name, want)
		}
	}
}

func TestEveryAcceptedEncodingVerifies(t *testing.T) {
	octets, names := []byte("signed octets"), map[string]int{}
	for _, a := range acceptedIDs {
		names[a.Name]++
		for _, key := range testKeys() {
			if !a.Fits(key.Public()) {
				continue
			}
			auth, err := a.Sign(key, octets)
			if err != nil {
				t.Fatal(err)
			}
			sig := auth[1+auth[0]:]
			auth = slices.Concat([]byte{byte(len(a.der))}, a.der, sig)
			if s, err := VerifyAuth(methodSignature, auth, key.Public(), octets, Allow{}); err != nil || s.Name != a.Name {
				t.Errorf("%s as %x: %q, %v", a.Name, a.der, s.Name, err)
			}
		}
	}
	if names["rsa-pss-sha384"] != 8 || names["rsa-sha512"] != 2 || names["ecdsa-sha256"] != 1 || len(names) != 10 {
		t.Errorf("accepted encodings: %v", names)
	}
}

// TestEverySingleOctetOfAnAlgorithmIDCounts: an allow-list is byte-exact.
func TestEverySingleOctetOfAnAlgorithmIDCounts(t *testing.T) {
	for _, a := range acceptedIDs {
		for i := range a.der {
			der := bytes.Clone(a.der)
			der[i] ^= 0x80
			if s, ok := SignatureByAlgorithmID(der); ok {
				t.Errorf("%x passes as %s", der, s.Name)
			}
		}
	}
}

func TestMethod1WithSHA1NeedsToBeAllowed(t *testing.T) {
	key, octets := testKeys()["RSA-2048"], []byte("signed octets")
	auth, err := byName(t, "rsa1-sha1").Sign(key, octets)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := VerifyAuth(1, auth, key.Public(), octets, Allow{SHA1: true}); err != nil || s.Hash != crypto.SHA1 {
		t.Errorf("allowed: %q, %v", s.Name, err)
	}
	_, err = VerifyAuth(1, auth, key.Public(), octets, Allow{})
	if err == nil || !strings.Contains(err.Error(), "SHA-1 is not allowed") {
		t.Errorf("not allowed: %v", err)
	}
	auth, err = byName(t, "rsa1-sha256").Sign(key, octets)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := VerifyAuth(1, auth, key.Public(), octets, Allow{}); err != nil || s.Hash != crypto.SHA256 {
		t.Errorf("SHA-256 in method 1: %q, %v", s.Name, err)
	}
}

func TestPSSSaltHasTheHashsLength(t *testing.T) {
	key := testKeys()["RSA-2048"].(*rsa.PrivateKey)
	digest := sha256.Sum256([]byte("signed octets"))
	for salt, want := range map[int]bool{32: true, 20: false, 0: false, 222: false} {
		sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: max(salt, 0), Hash: crypto.SHA256})
		if salt == 0 {
			continue // zero means "as long as possible" to crypto/rsa, which 222 covers
		}
		if err != nil {
			t.Fatal(err)
		}
		auth := slices.Concat([]byte{byte(len(idPSS256))}, idPSS256, sig)
		if _, err := VerifyAuth(14, auth, key.Public(), []byte("signed octets"), Allow{}); (err == nil) != want {
			t.Errorf("salt of %d octets: %v", salt, err)
		}
	}
}

// TestShortHashesDoNotPassAsSignatures is Bleichenbacher's forgery with
// exponent 3: a perfect cube whose top octets look like PKCS#1 padding.
func TestShortHashesDoNotPassAsSignatures(t *testing.T) {
	n := new(big.Int).SetBit(new(big.Int), 3071, 1)
	n.SetBit(n, 0, 1)
	pub := &rsa.PublicKey{N: n, E: 3}
	digest := sha256.Sum256([]byte("signed octets"))
	prefix := unhex("3031300d060960864801650304020105000420")
	block := slices.Concat([]byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, prefix, digest[:])
	block = append(block, bytes.Repeat([]byte{0xff}, 384-len(block))...)
	root := cubeRoot(new(big.Int).SetBytes(block))
	if got := new(big.Int).Exp(root, big.NewInt(3), nil).FillBytes(make([]byte, 384)); !bytes.Equal(got[:62], block[:62]) {
		t.Fatal("the forgery does not look like padding, so the test shows nothing")
	}
	sig := root.FillBytes(make([]byte, 384))
	for _, allow := range []Allow{{}, {SHA1: true}} {
		if _, err := VerifyAuth(1, sig, pub, []byte("signed octets"), allow); !errors.Is(err, errSignature) {
			t.Errorf("method 1: %v", err)
		}
	}
	auth := slices.Concat([]byte{byte(len(idRSA256))}, idRSA256, sig)
	if _, err := VerifyAuth(14, auth, pub, []byte("signed octets"), Allow{}); !errors.Is(err, errSignature) {
		t.Errorf("method 14: %v", err)
	}
}

// cubeRoot rounds down.
func cubeRoot(n *big.Int) *big.Int {
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(n.BitLen()/3+1))
	for new(big.Int).Sub(high, low).Cmp(big.NewInt(1)) > 0 {
		mid := new(big.Int).Add(low, high)
		mid.Rsh(mid, 1)
		if new(big.Int).Exp(mid, big.NewInt(3), nil).Cmp(n) > 0 {
			high = mid
		} else {
			low = mid
		}
	}
	return low
}

// publicOnly is a signer that must not be asked to sign.
type publicOnly struct{ pub crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.pub }
func (p publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	panic("signed with a key that does not fit")
}

func TestWeakRSAKeysAreRefused(t *testing.T) {
	modulus := func(bits int) *big.Int {
		n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
		return n.SetBit(n, 0, 1)
	}
	s := byName(t, "rsa-sha256")
	for name, pub := range map[string]*rsa.PublicKey{
		"1024 bits":    {N: modulus(1024), E: 65537},
		"2047 bits":    {N: modulus(2047), E: 65537},
		"16384 bits":   {N: modulus(16384), E: 65537},
		"exponent 0":   {N: modulus(2048), E: 0},
		"exponent 1":   {N: modulus(2048), E: 1},
		"exponent 2":   {N: modulus(2048), E: 2},
		"exponent 4":   {N: modulus(2048), E: 65536},
		"exponent -3":  {N: modulus(2048), E: -3},
		"no modulus":   {E: 65537},
		"zero modulus": {N: new(big.Int), E: 65537},
		"nothing":      {},
	} {
		if s.Fits(pub) {
			t.Errorf("%s: fits", name)
		}
		if _, err := s.Sign(publicOnly{pub}, []byte("x")); err == nil {
			t.Errorf("%s: signed", name)
		}
		if _, err := VerifyAuth(1, make([]byte, 256), pub, []byte("x"), Allow{SHA1: true}); err == nil || errors.Is(err, errSignature) {
			t.Errorf("%s: got as far as %v", name, err)
		}
		if _, err := ChooseSignature(pub, OfferedHashes(), Allow{SHA1: true}, true); err == nil {
			t.Errorf("%s: chosen", name)
		}
	}
}

func TestForeignKeysAreRefused(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, pub := range []crypto.PublicKey{nil, 7, p224.Public(), &ecdsa.PublicKey{}, ed25519.PublicKey{1}} {
		for _, s := range Signatures() {
			if s.Fits(pub) {
				t.Errorf("%s fits %v", s.Name, pub)
			}
		}
		if _, err := ChooseSignature(pub, OfferedHashes(), Allow{SHA1: true}, false); err == nil {
			t.Errorf("something was chosen for %v", pub)
		}
	}
}

func TestGarbageForRawECDSAIsRefused(t *testing.T) {
	key := testKeys()["P-256"].(*ecdsa.PrivateKey)
	octets := []byte("signed octets")
	good, err := byName(t, "ecdsa-p256").Sign(key, octets)
	if err != nil || len(good) != 64 {
		t.Fatalf("%d octets, %v", len(good), err)
	}
	zero, order := make([]byte, 32), elliptic.P256().Params().N.Bytes()
	for name, sig := range map[string][]byte{
		"r = 0":         slices.Concat(zero, good[32:]),
		"s = 0":         slices.Concat(good[:32], zero),
		"r = order":     slices.Concat(order, good[32:]),
		"s = order":     slices.Concat(good[:32], order),
		"all zeros":     make([]byte, 64),
		"r and s as 33": slices.Concat([]byte{0}, good[:32], []byte{0}, good[32:]),
		"method 14":     slices.Concat([]byte{byte(len(idECDSA256))}, idECDSA256, good),
	} {
		if _, err := VerifyAuth(9, sig, key.Public(), octets, Allow{}); !errors.Is(err, errSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// RFC 4754, Section 1: each method has its curve.
	if _, err := VerifyAuth(10, good, key.Public(), octets, Allow{}); err == nil {
		t.Error("method 10 was verified with a P-256 key")
	}
}

func TestTheSignatureIsChosenForThePeer(t *testing.T) {
	sha2 := []uint16{hashSHA256, hashSHA384, hashSHA512}
	yes, no := Allow{SHA1: true}, Allow{}
	for _, c := range []struct {
		peer   string
		key    string
		hashes []uint16
		allow  Allow
		pss    bool
		want   string // "" for an error
	}{
		{"strongSwan", "P-256", OfferedHashes(), no, false, "ecdsa-sha256"},
		{"strongSwan", "P-384", OfferedHashes(), no, false, "ecdsa-sha384"},
		{"strongSwan", "P-521", OfferedHashes(), no, true, "ecdsa-sha512"},
		{"strongSwan", "Ed25519", OfferedHashes(), no, false, "ed25519"},
		{"strongSwan", "RSA-2048", OfferedHashes(), no, false, "rsa-sha256"},
		{"strongSwan", "RSA-2048", OfferedHashes(), no, true, "rsa-pss-sha256"},
		{"strongSwan", "RSA-3200", OfferedHashes(), no, true, "rsa-pss-sha384"},
		{"strongSwan with SHA-1 allowed", "RSA-2048", OfferedHashes(), yes, false, "rsa-sha256"},
		{"Android", "RSA-2048", []uint16{hashSHA1, hashSHA256, hashSHA384, hashSHA512}, yes, false, "rsa-sha256"},
		{"a peer without the matching hash", "P-384", []uint16{hashSHA512}, no, false, "ecdsa-sha512"},
		{"a peer with SHA-512 alone", "RSA-2048", []uint16{hashSHA512}, no, true, "rsa-pss-sha512"},
		{"Apple", "P-256", nil, no, true, "ecdsa-p256"},
		{"Apple", "P-384", nil, no, false, "ecdsa-p384"},
		{"Apple", "P-521", nil, no, false, "ecdsa-p521"},
		{"Windows", "RSA-2048", nil, yes, true, "rsa1-sha1"},
		{"Windows", "RSA-2048", nil, no, false, ""},
		{"a peer with SHA-1 alone", "RSA-2048", []uint16{hashSHA1}, no, false, ""},
		{"a peer with SHA-1 alone", "P-256", []uint16{hashSHA1}, no, false, "ecdsa-p256"},
		{"a peer without Ed25519", "Ed25519", sha2, yes, false, ""},
		{"a peer without RFC 7427", "Ed25519", nil, yes, false, ""},
		{"a peer with unknown hashes", "RSA-2048", []uint16{0, 6, 65535}, no, false, ""},
	} {
		s, err := ChooseSignature(testKeys()[c.key].Public(), c.hashes, c.allow, c.pss)
		if (err == nil) != (c.want != "") || s.Name != c.want {
			t.Errorf("%s, our %s key: %q, want %q (%v)", c.peer, c.key, s.Name, c.want, err)
		}
	}
}

func TestMethodsWithoutASignatureAreRefused(t *testing.T) {
	for _, method := range []uint8{0, 2, 3, 4, 8, 12, 13, 15, 255} {
		if _, err := VerifyAuth(method, make([]byte, 64), testKeys()["P-256"].Public(), nil, Allow{SHA1: true}); err == nil {
			t.Errorf("method %d was verified", method)
		}
		if s, ok := SignatureByMethod(method); ok {
			t.Errorf("method %d is %s", method, s.Name)
		}
	}
	for method, want := range map[uint8]string{1: "rsa1-sha1", 9: "ecdsa-p256", 10: "ecdsa-p384", 11: "ecdsa-p521", 14: ""} {
		if s, _ := SignatureByMethod(method); s.Name != want {
			t.Errorf("method %d is %q, want %q", method, s.Name, want)
		}
	}
}

func FuzzVerifyAuth(f *testing.F) {
	for _, s := range Signatures() {
		for _, key := range testKeys() {
			if auth, err := s.Sign(key, []byte("octets")); err == nil {
				f.Add(s.Method, auth)
			}
		}
	}
	f.Add(uint8(14), []byte{255})
	f.Fuzz(func(t *testing.T, method uint8, auth []byte) {
		for name, key := range testKeys() {
			// Nobody signed these octets, so nothing may verify.
			if s, err := VerifyAuth(method, auth, key.Public(), []byte("other octets"), Allow{SHA1: true}); err == nil {
				t.Errorf("%x verifies as %s with %s", auth, s.Name, name)
			}
		}
	})
}

func FuzzSignatureByAlgorithmID(f *testing.F) {
	for _, a := range acceptedIDs {
		f.Add(a.der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if s, ok := SignatureByAlgorithmID(der); ok && (s.Method != methodSignature || der[0] != 0x30 || int(der[1]) != len(der)-2) {
			t.Errorf("%x passes as %s", der, s.Name)
		}
	})
}

func BenchmarkSignature(b *testing.B) {
	octets := make([]byte, 400)
	for _, s := range Signatures() {
		for name, key := range testKeys() {
			if !s.Fits(key.Public()) || s.scheme == ecdsaASN1 && s.Hash != matchingHash(key.Public()) || s.Method == methodRSA {
				continue
			}
			auth, err := s.Sign(key, octets)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(s.Name+"/"+name+"/sign", func(b *testing.B) {
				for b.Loop() {
					s.Sign(key, octets)
				}
			})
			b.Run(s.Name+"/"+name+"/verify", func(b *testing.B) {
				for b.Loop() {
					if _, err := VerifyAuth(s.Method, auth, key.Public(), octets, Allow{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

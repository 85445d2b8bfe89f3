package suite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
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
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	keys["RSA"] = k
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	keys["Ed25519"] = e
	return keys
})

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
		}
		if signed == 0 {
			t.Errorf("%s: no key fits", s.Name)
		}
	}
}

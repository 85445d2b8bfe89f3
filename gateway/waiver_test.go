package gateway

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// TestAWaiverOfOneZoneIsNoWaiverOfAnother: IKE verifies before the zone is
// known, so a waiver for SHA-1 in one zone lets the machine verify it for all.
func TestAWaiverOfOneZoneIsNoWaiverOfAnother(t *testing.T) {
	g := newGateway(t, `zones:
  strict: {pool: {ipv4: 10.61.0.0/24}}
  old:
    pool: {ipv4: 10.62.0.0/24}
    waivers: [{rule: CRY-019, until: `+nextMonth()+`, owner: alice, reason: "old routers"}]
`)
	call[User](t, g.Client(), "POST", "/v1/users", NewUser{Name: "bob"})
	for zone, want := range map[string]string{"strict": "SHA-1", "old": ""} {
		e := call[Enrolled](t, g.Client(), "POST", "/v1/devices", NewDevice{Name: "router-" + zone, User: "bob", Zone: zone, Key: "rsa-2048"})
		_, err := g.Authenticate(signedWithSHA1(t, e))
		switch {
		case want == "" && err != nil:
			t.Errorf("zone %s with its waiver: %v", zone, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("zone %s without a waiver: %v, want a refusal that names %s", zone, err, want)
		}
	}
}

// TestAWaiverForOnePeerIsForThatPeer: the machine has to verify what it signs,
// and nobody else of the zone profits.
func TestAWaiverForOnePeerIsForThatPeer(t *testing.T) {
	g := newGateway(t, `zones:
  old:
    pool: {ipv4: 10.62.0.0/24}
    waivers: [{rule: CRY-019, until: `+nextMonth()+`, owner: alice, reason: "one old router", peer: router1@bob}]
`)
	policy := g.realm.Load().policy()
	if !policy.AllowSHA1 {
		t.Error("SHA-1 is refused before it is known whether this is the peer with the waiver")
	}
	call[User](t, g.Client(), "POST", "/v1/users", NewUser{Name: "bob"})
	for name, want := range map[string]bool{"router1": true, "router2": false} {
		e := call[Enrolled](t, g.Client(), "POST", "/v1/devices", NewDevice{Name: name, User: "bob", Key: "rsa-2048"})
		asked := signedWithSHA1(t, e)
		asked.Allow.SHA1 = policy.AllowSHA1
		if _, err := g.Authenticate(asked); (err == nil) != want {
			t.Errorf("%s: %v, want it let in: %v", name, err, want)
		}
	}
}

// signedWithSHA1 is what Apple and Windows do with an RSA key: method 1.
func signedWithSHA1(t *testing.T, e Enrolled) *ike.Authenticate {
	t.Helper()
	block, _ := pem.Decode([]byte(e.Key))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := pem.Decode([]byte(e.Certificate))
	octets := []byte("RealMessage1 | NonceRData | MACedIDForI")
	digest := sha1.Sum(octets)
	sig, err := rsa.SignPKCS1v15(rand.Reader, parsed.(*rsa.PrivateKey), crypto.SHA1, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	ikeSuite := suite.IKE{}
	for text, to := range map[string]*suite.Transform{"aes256gcm16": &ikeSuite.Encr, "prfsha256": &ikeSuite.PRF, "ecp256": &ikeSuite.KE} {
		a, ok := suite.ByKeyword(text)
		if !ok {
			t.Fatal(text)
		}
		*to = a.Transform
	}
	return &ike.Authenticate{
		PeerID: ikemsg.ID{Kind: ikemsg.IDRFC822Addr, Data: []byte(e.Device.Identity)}, Chain: [][]byte{cert.Bytes},
		Method: 1, AuthData: sig, Octets: octets, Allow: suite.Allow{SHA1: true}, Hashes: []uint16{2, 3, 4}, Suite: ikeSuite,
	}
}

func nextMonth() string { return time.Now().AddDate(0, 1, 0).Format(time.DateOnly) }

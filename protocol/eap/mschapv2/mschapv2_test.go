package mschapv2

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"sallyport/internal/secret"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vector is the example of RFC 2759, Section 9.2, which RFC 3079, Section 3.5.3
// carries on.
func vector(t *testing.T) *Exchange {
	t.Helper()
	hash, err := NTHash(secret.Bytes("clientPass"))
	if err != nil {
		t.Fatal(err)
	}
	return &Exchange{
		User:          "User",
		Authenticator: unhex(t, "5B5D7C7D7B3F2F3E3C2C602132262628"),
		Peer:          unhex(t, "21402324255E262A28295F2B3A337C7E"),
		NTHash:        hash,
	}
}

func TestVectorsOfRFC2759(t *testing.T) {
	e := vector(t)
	if want := unhex(t, "44EBBA8D5312B8D611474411F56989AE"); !bytes.Equal(e.NTHash, want) {
		t.Errorf("NTHash = %x, want %x", []byte(e.NTHash), want)
	}
	if got, want := e.challengeHash(), unhex(t, "D02E4386BCE91226"); !bytes.Equal(got, want) {
		t.Errorf("challenge hash = %x, want %x", got, want)
	}
	response, err := e.NTResponse()
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"); !bytes.Equal(response, want) {
		t.Errorf("NT-Response = %x, want %x", response, want)
	}
	proof, err := e.AuthenticatorResponse(response)
	if want := "S=407A5589115FD0D6209F510FE9C04566932CDA56"; err != nil || proof != want {
		t.Errorf("authenticator response = %q, %v, want %q", proof, err, want)
	}
}

func TestVectorsOfRFC3079(t *testing.T) {
	e := vector(t)
	response, _ := e.NTResponse()
	hashHash := md4Sum(e.NTHash)
	if want := unhex(t, "41C00C584BD2D91C4017A2A12FA59F3F"); !bytes.Equal(hashHash, want) {
		t.Errorf("hash of the hash = %x, want %x", []byte(hashHash), want)
	}
	if got, want := sha1Sum(hashHash, response, []byte(magicMaster))[:16], unhex(t, "FDECE3717A8C838CB388E527AE3CDD31"); !bytes.Equal(got, want) {
		t.Errorf("master key = %x, want %x", got, want)
	}
	send, receive, err := e.Keys(response)
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "8B7CDC149B993A1BA118CB153F56DCCB"); !bytes.Equal(send, want) {
		t.Errorf("send key = %x, want %x", []byte(send), want)
	}
	if want := unhex(t, "D5F0E9521E3EA9589645E86051C82226"); !bytes.Equal(receive, want) {
		t.Errorf("receive key = %x, want %x", []byte(receive), want)
	}
}

func TestDomainIsNotHashed(t *testing.T) {
	plain, domain := vector(t), vector(t)
	domain.User = `CORP\User`
	if !bytes.Equal(plain.challengeHash(), domain.challengeHash()) {
		t.Error("the domain changes the challenge hash")
	}
}

func TestNTHashTakesUTF8(t *testing.T) {
	// Known value of the hash of the empty password.
	if got, err := NTHash(nil); err != nil || !bytes.Equal(got, unhex(t, "31D6CFE0D16AE931B73C59D7E0C089C0")) {
		t.Errorf("hash of nothing = %x, %v", []byte(got), err)
	}
	for _, bad := range []string{"\xff", strings.Repeat("x", MaxPassword+1), strings.Repeat("\U0001F600", MaxPassword/2+1)} {
		if _, err := NTHash(secret.Bytes(bad)); err == nil {
			t.Errorf("%.10q… of %d octets was taken", bad, len(bad))
		}
	}
}

func TestWrongSizesAreErrors(t *testing.T) {
	for _, change := range []func(*Exchange){
		func(e *Exchange) { e.Authenticator = e.Authenticator[1:] },
		func(e *Exchange) { e.Peer = append(e.Peer, 0) },
		func(e *Exchange) { e.NTHash = nil },
	} {
		e := vector(t)
		change(e)
		if _, err := e.NTResponse(); err == nil {
			t.Error("a response was computed")
		}
		if _, err := e.AuthenticatorResponse(make([]byte, ResponseSize)); err == nil {
			t.Error("an authenticator response was computed")
		}
		if _, _, err := e.Keys(make([]byte, ResponseSize)); err == nil {
			t.Error("keys were computed")
		}
	}
}

package ike

import (
	"errors"
	"fmt"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// AUTH by a shared key: a pre-shared one, which the runtime alone holds, or the
// MSK of an EAP conversation.

// sharedKeyAuth is AUTH by a key (RFC 7296, Section 2.15; Section 2.16: the MSK
// stands where the shared secret does).
func sharedKeyAuth(s suite.IKE, key secret.Bytes, octets []byte) (secret.Bytes, error) {
	prf, err := suite.NewPRF(s.PRF)
	if err != nil {
		return nil, fmt.Errorf("ike: %w", err)
	}
	padded := secret.Bytes(prf.Sum(key, []byte("Key Pad for IKEv2")))
	defer padded.Clear()
	return prf.Sum(padded, octets), nil
}

// errNoSharedKey: a key that is missing must not become one that everybody has.
var errNoSharedKey = errors.New("ike: there is no pre-shared key")

// errSharedKeyWithEAP: whoever knows the key could pose as the server and take
// the user's EAP (RFC 7296, Section 2.16 wants a signature; CVE-2015-4171).
var errSharedKeyWithEAP = &Refusal{Reason: "the server proves itself by a pre-shared key before EAP, which everyone who has that key could do",
	Hint: "let the server use a certificate with EAP"}

// BySharedKey tells that the peer proves itself by a pre-shared key (method 2,
// RFC 7296, Section 3.8).
func (t *Authenticate) BySharedKey() bool { return t.Method == uint8(ikemsg.AuthSharedKey) }

// VerifySharedKey checks that AuthData was made with the pre-shared key, in
// constant time. The caller keeps the key and clears it.
func (t *Authenticate) VerifySharedKey(key secret.Bytes) error {
	if !t.BySharedKey() {
		return fmt.Errorf("ike: authentication method %d is not the one of pre-shared keys", t.Method)
	}
	if len(key) == 0 {
		return errNoSharedKey
	}
	want, err := sharedKeyAuth(t.Suite, key, t.Octets)
	if err != nil {
		return err
	}
	if !want.Equal(t.AuthData) {
		return errors.New("ike: AUTH was not made with the pre-shared key")
	}
	return nil
}

// SignSharedKey makes our AUTH with the pre-shared key. The caller keeps the
// key and clears it.
func (t *Sign) SignSharedKey(key secret.Bytes) (Signed, error) {
	if len(key) == 0 {
		return Signed{}, errNoSharedKey
	}
	data, err := sharedKeyAuth(t.Suite, key, t.Octets)
	return Signed{Method: uint8(ikemsg.AuthSharedKey), Data: data}, err
}

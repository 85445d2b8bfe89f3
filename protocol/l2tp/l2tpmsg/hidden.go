package l2tpmsg

import (
	"crypto/fips140"
	"crypto/md5"
	"errors"
	"fmt"

	"sallyport/internal/secret"
	"sallyport/protocol/wire"
)

var errHidden = errors.New("l2tpmsg: a hidden value is damaged, or was hidden with another secret")

// Hide covers a value (RFC 2661, Section 4.3). Padding, of random octets, hides
// its length. The vector is the value of the Random Vector AVP before it.
func Hide(t AVPType, value, padding, vector []byte, key secret.Bytes) (AVP, error) {
	if n := 2 + len(value) + len(padding); n > MaxValue {
		return AVP{}, fmt.Errorf("l2tpmsg: hidden value of %d octets, at most %d fit", n, MaxValue)
	}
	b := wire.AppendU16(nil, uint16(len(value)))
	b = append(append(b, value...), padding...)
	for i := 0; i < len(b); i += md5.Size {
		before := b[max(0, i-md5.Size):i]
		cover(b[i:], block(t, before, vector, key))
	}
	a := Octets(t, b)
	a.Hidden = true
	return a, nil
}

// Reveal undoes Hide. MD5 does not tell a wrong secret from a right one: only a
// length that does not fit gives it away.
func Reveal(a AVP, vector []byte, key secret.Bytes) (AVP, error) {
	plain := make([]byte, len(a.Value))
	copy(plain, a.Value)
	for i := 0; i < len(plain); i += md5.Size {
		before := a.Value[max(0, i-md5.Size):i]
		cover(plain[i:], block(a.Type, before, vector, key))
	}
	r := wire.NewReader("hidden value", plain)
	// accel-ppp 9554ce05: the inner length was believed.
	value := r.Bytes(int(r.U16()))
	if r.Err() != nil {
		return AVP{}, errHidden
	}
	a.Hidden, a.Value = false, value
	return a, nil
}

// block is what covers 16 octets: b1 from type and vector, the others from the
// covered octets before.
func block(t AVPType, before, vector []byte, key secret.Bytes) [md5.Size]byte {
	if len(before) == 0 {
		return digest(wire.AppendU16(nil, uint16(t)), key, vector)
	}
	return digest(key, before)
}

func cover(b []byte, with [md5.Size]byte) {
	for i := range min(len(b), len(with)) {
		b[i] ^= with[i]
	}
}

// Respond is the Challenge Response AVP that a message of type t, an SCCRP or
// an SCCCN, holds for a challenge (RFC 2661, Section 4.4.3): CHAP with the
// message type as the identifier.
func Respond(t MessageType, challenge []byte, key secret.Bytes) AVP {
	sum := digest([]byte{byte(t)}, key, challenge)
	return Octets(ChallengeResponse, sum[:])
}

// digest is MD5, also where GODEBUG=fips140=only would forbid it: L2TP travels
// inside ESP, and IPsec alone is what protects it.
func digest(parts ...[]byte) (sum [md5.Size]byte) {
	fips140.WithoutEnforcement(func() {
		h := md5.New()
		for _, p := range parts {
			h.Write(p)
		}
		h.Sum(sum[:0])
	})
	return sum
}

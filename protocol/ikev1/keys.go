package ikev1

import (
	"encoding/binary"
	"fmt"

	"sallyport/internal/secret"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// keys are the secrets of one ISAKMP SA that outlive main mode (RFC 2409,
// Section 5): SKEYID_d, SKEYID_a, and the key that SKEYID_e was made into. They
// are kept as octets and not as ciphers: a cipher is many times larger, and an
// idle session needs one every few minutes.
type keys struct{ d, a, encr secret.Bytes }

func (k *keys) clear() {
	k.d.Clear()
	k.a.Clear()
	k.encr.Clear()
	*k = keys{}
}

// skeyidPSK is SKEYID with a pre-shared key (RFC 2409, Section 5).
func skeyidPSK(prf suite.PRFunc, key secret.Bytes, nonceI, nonceR []byte) secret.Bytes {
	return prf.Sum(key, nonceI, nonceR)
}

// skeyidSignature is SKEYID with signatures. shared has its leading zeros.
func skeyidSignature(prf suite.PRFunc, shared secret.Bytes, nonceI, nonceR []byte) secret.Bytes {
	return prf.Sum(append(append([]byte{}, nonceI...), nonceR...), shared)
}

// deriveKeys is SKEYID_d, SKEYID_a and SKEYID_e (RFC 2409, Section 5), the last
// one made as long as the cipher wants (Appendix B).
func deriveKeys(prf suite.PRFunc, encr suite.Transform, skeyid, shared secret.Bytes, i, r isakmp.Cookie) keys {
	ck := cookies(i, r)
	d := prf.Sum(skeyid, shared, ck, []byte{0})
	a := prf.Sum(skeyid, d, shared, ck, []byte{1})
	e := prf.Sum(skeyid, a, shared, ck, []byte{2})
	return keys{d: d, a: a, encr: expandKey(prf, e, int(encr.KeyBits)/8)}
}

// expandKey is Appendix B: SKEYID_e cut to the key's length, or when it is too
// short Ka = K1 | K2 | ..., K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1).
func expandKey(prf suite.PRFunc, e secret.Bytes, n int) secret.Bytes {
	if n <= len(e) {
		return e[:n:n]
	}
	var ka secret.Bytes
	block := []byte{0}
	for len(ka) < n {
		block = prf.Sum(e, block)
		ka = append(ka, block...)
	}
	return ka[:n:n]
}

func cookies(i, r isakmp.Cookie) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(i)), uint64(r))
}

// transcript is what HASH_I and HASH_R are made of (RFC 2409, Section 5).
type transcript struct {
	cookieI, cookieR   isakmp.Cookie
	publicI, publicR   []byte
	sa                 []byte // SAi_b, as the initiator sent it
	nonceI, nonceR     []byte
	skeyid             secret.Bytes
	negotiated, signed suite.Transform // PRFs; signed is zero unless the signature has its own
}

// hash is HASH_I, or HASH_R, over the body of that side's ID payload. A
// signature that is tied to a hash uses the HMAC of that one over the same
// SKEYID.
func (t *transcript) hash(responder bool, id []byte) ([]byte, error) {
	by := t.negotiated
	if t.signed != (suite.Transform{}) {
		by = t.signed
	}
	prf, err := suite.NewWaivedPRF(by)
	if err != nil {
		return nil, fmt.Errorf("ikev1: %w", err)
	}
	if responder {
		return prf.Sum(t.skeyid, t.publicR, t.publicI, cookies(t.cookieR, t.cookieI), t.sa, id), nil
	}
	return prf.Sum(t.skeyid, t.publicI, t.publicR, cookies(t.cookieI, t.cookieR), t.sa, id), nil
}

// keymat is KEYMAT of one direction of an ESP SA, whose destination chose spi
// (RFC 2409, Section 5.5). shared is empty without PFS. The encryption key
// comes first.
func keymat(prf suite.PRFunc, skeyidD secret.Bytes, esp suite.ESP, shared secret.Bytes, spi uint32, nonceI, nonceR []byte) (secret.Bytes, error) {
	encr, integ := esp.KeySizes()
	if encr == 0 {
		// A cipher without keys must never come this far (CVE-2024-3652).
		return nil, fmt.Errorf("ikev1: %v with %v protects nothing here", esp.Encr, esp.Integ)
	}
	seed := [][]byte{nil, shared, {byte(isakmp.ProtoESP)}, binary.BigEndian.AppendUint32(nil, spi), nonceI, nonceR}
	var out secret.Bytes
	for len(out) < encr+integ {
		seed[0] = prf.Sum(skeyidD, seed...)
		out = append(out, seed[0]...)
	}
	return out[: encr+integ : encr+integ], nil
}

// exchangeHash is HASH(1), HASH(2), HASH(3) and that of an informational
// exchange: under SKEYID_a, over the message ID and what the exchange puts
// behind it (RFC 2409, Sections 5.5 and 5.7).
func (sa *isakmpSA) exchangeHash(id uint32, parts ...[]byte) ([]byte, error) {
	prf, err := sa.prf()
	if err != nil {
		return nil, err
	}
	return prf.Sum(sa.keys.a, append([][]byte{binary.BigEndian.AppendUint32(nil, id)}, parts...)...), nil
}

func (sa *isakmpSA) prf() (suite.PRFunc, error) {
	prf, err := suite.NewWaivedPRF(sa.suite.PRF)
	if err != nil {
		return prf, fmt.Errorf("ikev1: %w", err)
	}
	return prf, nil
}

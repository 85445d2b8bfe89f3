package ike

import (
	"encoding/binary"
	"fmt"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// keys are the secrets of one IKE SA that outlive its set-up (RFC 7296,
// Section 2.14). They are kept as octets and not as ciphers: a cipher is a
// hundred times larger, and an idle session needs one every few minutes.
type keys struct {
	d       secret.Bytes
	in, out cipherKeys // from our side
}

// cipherKeys protect one direction.
type cipherKeys struct{ encr, integ secret.Bytes }

// authKeys are SK_pi and SK_pr, needed until both AUTH payloads are settled.
type authKeys struct{ pi, pr secret.Bytes }

func (k *keys) clear() {
	for _, b := range []secret.Bytes{k.d, k.in.encr, k.in.integ, k.out.encr, k.out.integ} {
		b.Clear()
	}
	*k = keys{}
}

func (k *authKeys) clear() {
	k.pi.Clear()
	k.pr.Clear()
	*k = authKeys{}
}

// firstSeed is SKEYSEED of an IKE SA made by IKE_SA_INIT (Section 2.14).
func firstSeed(prf suite.PRFunc, shared secret.Bytes, nonceI, nonceR []byte) secret.Bytes {
	key := append(append(make([]byte, 0, len(nonceI)+len(nonceR)), nonceI...), nonceR...)
	return prf.Sum(key, shared)
}

// rekeySeed is SKEYSEED of an IKE SA made by rekeying: the old SA's PRF with
// its SK_d (Section 2.18).
func rekeySeed(old suite.PRFunc, skD, shared secret.Bytes, nonceI, nonceR []byte) secret.Bytes {
	return old.Sum(skD, shared, nonceI, nonceR)
}

// deriveKeys is {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr}
// (Section 2.14). initiator is our role in this IKE SA.
func deriveKeys(s suite.IKE, seed secret.Bytes, nonceI, nonceR []byte, spiI, spiR ikemsg.SPI, initiator bool) (keys, authKeys, error) {
	prf, err := suite.NewPRF(s.PRF)
	if err != nil {
		return keys{}, authKeys{}, fmt.Errorf("ike: %w", err)
	}
	encr, integ := suite.CipherKeySizes(s.Encr, s.Integ)
	if encr == 0 {
		return keys{}, authKeys{}, fmt.Errorf("ike: %v with %v protects nothing here", s.Encr, s.Integ)
	}
	var spis [16]byte
	binary.BigEndian.PutUint64(spis[:8], uint64(spiI))
	binary.BigEndian.PutUint64(spis[8:], uint64(spiR))
	stream := prf.Plus(seed, 3*prf.KeySize()+2*encr+2*integ, nonceI, nonceR, spis[:])
	take := func(n int) secret.Bytes {
		b := stream[:n:n]
		stream = stream[n:]
		return b
	}
	d := take(prf.KeySize())
	ai, ar := take(integ), take(integ)
	ei, er := take(encr), take(encr)
	k := keys{d: d, in: cipherKeys{er, ar}, out: cipherKeys{ei, ai}}
	if !initiator {
		k.in, k.out = k.out, k.in
	}
	return k, authKeys{pi: take(prf.KeySize()), pr: take(prf.KeySize())}, nil
}

// childKeys is KEYMAT of a Child SA (Section 2.17): what the initiator of the
// exchange sends with comes first, encryption before integrity. shared is
// empty without PFS.
func childKeys(ike suite.IKE, skD secret.Bytes, esp suite.ESP, shared secret.Bytes, nonceI, nonceR []byte, initiator bool) (in, out secret.Bytes, err error) {
	prf, err := suite.NewPRF(ike.PRF)
	if err != nil {
		return nil, nil, fmt.Errorf("ike: %w", err)
	}
	encr, integ := suite.CipherKeySizes(esp.Encr, esp.Integ)
	if encr == 0 {
		return nil, nil, fmt.Errorf("ike: %v with %v protects nothing here", esp.Encr, esp.Integ)
	}
	n := encr + integ
	stream := prf.Plus(skD, 2*n, shared, nonceI, nonceR)
	in, out = secret.Bytes(stream[n:]), secret.Bytes(stream[:n:n])
	if !initiator {
		in, out = out, in
	}
	return in, out, nil
}

// signedOctets is what an AUTH payload proves (Section 2.15): the signer's
// IKE_SA_INIT message, the other's nonce, and the signer's ID under SK_p.
func signedOctets(s suite.IKE, message, nonce []byte, skP secret.Bytes, id *ikemsg.ID) ([]byte, error) {
	prf, err := suite.NewPRF(s.PRF)
	if err != nil {
		return nil, fmt.Errorf("ike: %w", err)
	}
	mac := prf.Sum(skP, id.RestOfID())
	octets := make([]byte, 0, len(message)+len(nonce)+len(mac))
	octets = append(octets, message...)
	octets = append(octets, nonce...)
	return append(octets, mac...), nil
}

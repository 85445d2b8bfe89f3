package suite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// AuthMethod1 is phase 1 attribute 3, Authentication Method (RFC 2409, Appendix
// A; RFC 4754, Section 6; IANA "ipsec-registry").
type AuthMethod1 uint16

// The methods that Sallyport has. Never any with XAUTH or hybrid.
const (
	AuthPSK1     AuthMethod1 = 1
	AuthRSA1     AuthMethod1 = 3
	AuthECDSA256 AuthMethod1 = 9
	AuthECDSA384 AuthMethod1 = 10
	AuthECDSA521 AuthMethod1 = 11
)

var methodNames1 = map[AuthMethod1]string{
	AuthPSK1: "psk", 2: "dss", AuthRSA1: "rsa", 4: "rsa encryption", 5: "revised rsa encryption", 6: "elgamal", 7: "revised elgamal", 8: "ecdsa",
	AuthECDSA256: "ecdsa256", AuthECDSA384: "ecdsa384", AuthECDSA521: "ecdsa521",
	64221: "hybrid rsa", 64222: "hybrid rsa (responder)", 64223: "hybrid dss", 64224: "hybrid dss (responder)",
	65001: "xauth with psk", 65002: "xauth with psk (responder)", 65003: "xauth with dss", 65004: "xauth with dss (responder)",
	65005: "xauth with rsa", 65006: "xauth with rsa (responder)",
}

// String is a short name, or "authentication method 99".
func (m AuthMethod1) String() string {
	if s := methodNames1[m]; s != "" {
		return s
	}
	return fmt.Sprintf("authentication method %d", uint16(m))
}

// Signature reports whether the method proves a certificate's key.
func (m AuthMethod1) Signature() bool { return m == AuthRSA1 || m >= AuthECDSA256 && m <= AuthECDSA521 }

// PRF is the one that the signed hash is made with in place of the negotiated
// one: a signature algorithm that is tied to a hash overrides it (RFC 2409,
// Section 5; RFC 4754, Section 4). Zero = the negotiated one.
func (m AuthMethod1) PRF() Transform {
	switch m {
	case AuthECDSA256:
		return prf(5)
	case AuthECDSA384:
		return prf(6)
	case AuthECDSA521:
		return prf(7)
	}
	return Transform{}
}

func (m AuthMethod1) curve() elliptic.Curve {
	switch m {
	case AuthECDSA256:
		return elliptic.P256()
	case AuthECDSA384:
		return elliptic.P384()
	case AuthECDSA521:
		return elliptic.P521()
	}
	return nil
}

// Fits reports whether the key can make or verify a signature of the method:
// its kind, its size, its curve.
func (m AuthMethod1) Fits(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if m == AuthRSA1 {
			return checkRSA(k)
		}
	case *ecdsa.PublicKey:
		if c := m.curve(); c != nil && k.Curve == c {
			return nil
		}
	}
	return fmt.Errorf("suite: IKEv1 %v does not go with a key of %s", m, keyName(pub))
}

// Sign signs HASH_I or HASH_R as it is. With RSA that is PKCS #1 v1.5 without
// the DigestInfo that names the hash (RFC 2409, Section 5.1); with ECDSA the two
// halves are each as long as the order (RFC 4754, Section 7).
func (m AuthMethod1) Sign(key crypto.Signer, hash []byte) ([]byte, error) {
	if err := m.Fits(key.Public()); err != nil {
		return nil, err
	}
	sig, err := key.Sign(rand.Reader, hash, crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("suite: IKEv1 %v: %w", m, err)
	}
	if m == AuthRSA1 {
		return sig, nil
	}
	return rawFromASN1(sig, m.curve())
}

// Verify checks a signature over HASH_I or HASH_R.
func (m AuthMethod1) Verify(pub crypto.PublicKey, hash, sig []byte) error {
	if err := m.Fits(pub); err != nil {
		return err
	}
	ok := false
	switch k := pub.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(k, crypto.Hash(0), hash, sig) == nil
	case *ecdsa.PublicKey:
		var der []byte
		if der, ok = asn1FromRaw(sig, m.curve()); ok {
			ok = ecdsa.VerifyASN1(k, hash, der)
		}
	}
	if !ok {
		return fmt.Errorf("suite: the IKEv1 %v signature does not verify", m)
	}
	return nil
}

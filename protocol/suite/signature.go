package suite

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // RSA signatures of method 1, behind Allow.SHA1 only
	"errors"
	"fmt"
	"slices"
)

// The authentication methods that are signatures (RFC 7296, Section 3.8; RFC
// 4754; RFC 7427).
const (
	methodRSA       = 1
	methodECDSA256  = 9
	methodECDSA384  = 10
	methodECDSA521  = 11
	methodSignature = 14
)

// The hash algorithms of SIGNATURE_HASH_ALGORITHMS (RFC 7427, Section 7; RFC
// 8420, Section 2).
const (
	hashSHA1     = 1
	hashSHA256   = 2
	hashSHA384   = 3
	hashSHA512   = 4
	hashIdentity = 5
)

// OfferedHashes is what we announce in SIGNATURE_HASH_ALGORITHMS: SHA-2 and,
// for Ed25519, the identity. SHA-1 is never announced (RFC 8247, Section 3.2).
func OfferedHashes() []uint16 {
	return []uint16{hashSHA256, hashSHA384, hashSHA512, hashIdentity}
}

// The sizes of RSA modulus that we sign with and verify. Below, it is weak
// (RFC 8247, Section 3.2.1); above, one signature costs the verifier more
// than a stranger may ask.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// scheme is how the octets are signed.
type scheme uint8

const (
	rsaPKCS1 scheme = iota + 1
	rsaPSS
	ecdsaASN1 // RFC 7427: the signature is a DER SEQUENCE of r and s
	ecdsaRaw  // RFC 4754, Section 7: r | s, each as long as the group's order
	eddsa
)

// Signature is one way to sign the octets of AUTH (RFC 7296, Section 2.15).
type Signature struct {
	Name        string      // "ecdsa-sha256"
	Method      uint8       // AUTH method: 1, 9, 10, 11 or 14
	Hash        crypto.Hash // 0 for Ed25519, which hashes by itself
	HashID      uint16      // as in SIGNATURE_HASH_ALGORITHMS (RFC 7427, Section 7)
	AlgorithmID []byte      // DER as we send it; method 14 only (RFC 7427, Section 3)

	scheme scheme
	curve  elliptic.Curve // methods 9 to 11 fix the curve
}

// signatures is the table of signatures, most wanted first within a method
// and a kind of key.
var signatures = []Signature{
	{"ed25519", methodSignature, 0, hashIdentity, idEd25519, eddsa, nil},
	{"ecdsa-sha256", methodSignature, crypto.SHA256, hashSHA256, idECDSA256, ecdsaASN1, nil},
	{"ecdsa-sha384", methodSignature, crypto.SHA384, hashSHA384, idECDSA384, ecdsaASN1, nil},
	{"ecdsa-sha512", methodSignature, crypto.SHA512, hashSHA512, idECDSA512, ecdsaASN1, nil},
	{"rsa-pss-sha256", methodSignature, crypto.SHA256, hashSHA256, idPSS256, rsaPSS, nil},
	{"rsa-pss-sha384", methodSignature, crypto.SHA384, hashSHA384, idPSS384, rsaPSS, nil},
	{"rsa-pss-sha512", methodSignature, crypto.SHA512, hashSHA512, idPSS512, rsaPSS, nil},
	{"rsa-sha256", methodSignature, crypto.SHA256, hashSHA256, idRSA256, rsaPKCS1, nil},
	{"rsa-sha384", methodSignature, crypto.SHA384, hashSHA384, idRSA384, rsaPKCS1, nil},
	{"rsa-sha512", methodSignature, crypto.SHA512, hashSHA512, idRSA512, rsaPKCS1, nil},

	{"ecdsa-p256", methodECDSA256, crypto.SHA256, hashSHA256, nil, ecdsaRaw, elliptic.P256()},
	{"ecdsa-p384", methodECDSA384, crypto.SHA384, hashSHA384, nil, ecdsaRaw, elliptic.P384()},
	{"ecdsa-p521", methodECDSA521, crypto.SHA512, hashSHA512, nil, ecdsaRaw, elliptic.P521()},

	// Method 1 leaves the hash to the signer; SHA-1 is what Apple and
	// Windows mean by it (RFC 7296, Section 3.8).
	{"rsa1-sha256", methodRSA, crypto.SHA256, hashSHA256, nil, rsaPKCS1, nil},
	{"rsa1-sha384", methodRSA, crypto.SHA384, hashSHA384, nil, rsaPKCS1, nil},
	{"rsa1-sha512", methodRSA, crypto.SHA512, hashSHA512, nil, rsaPKCS1, nil},
	{"rsa1-sha1", methodRSA, crypto.SHA1, hashSHA1, nil, rsaPKCS1, nil},
}

// Signatures returns a copy of the table.
func Signatures() []Signature { return slices.Clone(signatures) }

// SignatureByMethod returns the signature that a method other than 14 stands
// for; for method 1 it is the one with SHA-1, which is what every peer
// understands.
func SignatureByMethod(method uint8) (Signature, bool) {
	for _, s := range slices.Backward(signatures) {
		if s.Method == method && method != methodSignature {
			return s, true
		}
	}
	return Signature{}, false
}

// Allow widens what is accepted and signed.
type Allow struct {
	SHA1 bool // RSA with SHA-1 in method 1, for Apple and Windows with an RSA certificate
}

// Fits reports whether the key can make or verify this signature: its kind,
// its curve, and for RSA a sound size and exponent.
func (s Signature) Fits(pub crypto.PublicKey) bool { return s.fits(pub) == nil }

func (s Signature) fits(pub crypto.PublicKey) error {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if s.scheme == rsaPKCS1 || s.scheme == rsaPSS {
			return checkRSA(pub)
		}
	case *ecdsa.PublicKey:
		if s.scheme == ecdsaASN1 && slices.Contains(curves, pub.Curve) || s.scheme == ecdsaRaw && pub.Curve == s.curve {
			return nil
		}
	case ed25519.PublicKey:
		if s.scheme == eddsa && len(pub) == ed25519.PublicKeySize {
			return nil
		}
	}
	return fmt.Errorf("suite: a %s does not make %s signatures", keyName(pub), s.Name)
}

var curves = []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}

func checkRSA(pub *rsa.PublicKey) error {
	switch {
	case pub.N == nil || pub.N.Sign() <= 0:
		return errors.New("suite: RSA key without a modulus")
	case pub.N.BitLen() < minRSABits:
		return fmt.Errorf("suite: RSA key of %d bits, need at least %d", pub.N.BitLen(), minRSABits)
	case pub.N.BitLen() > maxRSABits:
		return fmt.Errorf("suite: RSA key of %d bits, take at most %d", pub.N.BitLen(), maxRSABits)
	case pub.E < 3 || pub.E&1 == 0:
		return fmt.Errorf("suite: RSA key with exponent %d", pub.E)
	}
	return nil
}

// keyName names the kind of a key for errors.
func keyName(pub crypto.PublicKey) string {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pub.N != nil {
			return fmt.Sprintf("RSA-%d key", pub.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if pub.Curve != nil {
			return "ECDSA " + pub.Curve.Params().Name + " key"
		}
	case ed25519.PublicKey:
		return "Ed25519 key"
	}
	return fmt.Sprintf("%T", pub)
}

// Sign makes the Authentication Data of an AUTH payload over the signed
// octets (RFC 7296, Section 2.15), with the prefix of RFC 7427, Section 3,
// where the method wants it. It may take milliseconds, or as long as the
// hardware behind key does.
func (s Signature) Sign(key crypto.Signer, octets []byte) ([]byte, error) {
	if err := s.fits(key.Public()); err != nil {
		return nil, err
	}
	sig, err := key.Sign(rand.Reader, s.digest(octets), s.options())
	if err != nil {
		return nil, fmt.Errorf("suite: %s: %w", s.Name, err)
	}
	if s.scheme == ecdsaRaw {
		return rawFromASN1(sig, s.curve)
	}
	if s.Method != methodSignature {
		return sig, nil
	}
	return slices.Concat([]byte{byte(len(s.AlgorithmID))}, s.AlgorithmID, sig), nil
}

// digest is what the key signs: the hash, or the octets for Ed25519.
func (s Signature) digest(octets []byte) []byte {
	if s.scheme == eddsa {
		return octets
	}
	h := s.Hash.New()
	h.Write(octets)
	return h.Sum(nil)
}

func (s Signature) options() crypto.SignerOpts {
	if s.scheme == rsaPSS {
		return s.pssOptions()
	}
	return s.Hash
}

// pssOptions fixes the salt to the hash's length (RFC 7427, Appendix A.4.3;
// RFC 8247, Section 3.2.1).
func (s Signature) pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: s.Hash.Size(), Hash: s.Hash}
}

// VerifyAuth checks the Authentication Data of a peer's AUTH payload over the
// signed octets, and says which signature it was. The certificate behind pub
// is the caller's to verify.
func VerifyAuth(method uint8, authData []byte, pub crypto.PublicKey, octets []byte, allow Allow) (Signature, error) {
	switch method {
	case methodRSA:
		return verifyMethod1(authData, pub, octets, allow)
	case methodSignature:
		s, sig, err := splitAuthData(authData)
		if err != nil {
			return Signature{}, err
		}
		return s, s.verify(sig, pub, octets)
	}
	s, ok := SignatureByMethod(method)
	if !ok {
		return Signature{}, fmt.Errorf("suite: authentication method %d is no signature known here", method)
	}
	return s, s.verify(authData, pub, octets)
}

// verifyMethod1 tries the hashes that method 1 leaves open, SHA-1 last and
// only if allowed.
func verifyMethod1(sig []byte, pub crypto.PublicKey, octets []byte, allow Allow) (Signature, error) {
	var err error
	for _, s := range signatures {
		if s.Method != methodRSA || s.HashID == hashSHA1 && !allow.SHA1 {
			continue
		}
		if err = s.verify(sig, pub, octets); err == nil {
			return s, nil
		}
	}
	if errors.Is(err, errSignature) && !allow.SHA1 {
		err = fmt.Errorf("%w with SHA-2, and RSA with SHA-1 is not allowed", err)
	}
	return Signature{}, err
}

// splitAuthData takes RFC 7427, Section 3, apart: length, AlgorithmIdentifier,
// signature.
func splitAuthData(authData []byte) (Signature, []byte, error) {
	if len(authData) == 0 || len(authData)-1 < int(authData[0]) {
		return Signature{}, nil, errors.New("suite: AUTH data ends inside its AlgorithmIdentifier")
	}
	n := int(authData[0])
	id, sig := authData[1:1+n], authData[1+n:]
	s, ok := SignatureByAlgorithmID(id)
	if !ok {
		return Signature{}, nil, fmt.Errorf("suite: signature algorithm %s is not accepted", describeID(id))
	}
	return s, sig, nil
}

// errSignature says only that: a verifier has no more to tell.
var errSignature = errors.New("suite: signature does not verify")

func (s Signature) verify(sig []byte, pub crypto.PublicKey, octets []byte) error {
	if err := s.fits(pub); err != nil {
		return err
	}
	if !s.verifies(sig, pub, octets) {
		return fmt.Errorf("%w (%s, %s)", errSignature, s.Name, keyName(pub))
	}
	return nil
}

// verifies runs after fits, so the kind of pub is known.
func (s Signature) verifies(sig []byte, pub crypto.PublicKey, octets []byte) bool {
	digest := s.digest(octets)
	switch s.scheme {
	case rsaPKCS1:
		return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), s.Hash, digest, sig) == nil
	case rsaPSS:
		return rsa.VerifyPSS(pub.(*rsa.PublicKey), s.Hash, digest, sig, s.pssOptions()) == nil
	case ecdsaASN1:
		return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), digest, sig)
	case ecdsaRaw:
		der, ok := asn1FromRaw(sig, s.curve)
		return ok && ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), digest, der)
	case eddsa:
		return ed25519.Verify(pub.(ed25519.PublicKey), digest, sig)
	}
	return false
}

// ChooseSignature picks how to sign with our key for a peer that sent these
// hashes in SIGNATURE_HASH_ALGORITHMS; nil means it sent none and knows only
// the older methods (RFC 7427, Section 4). preferPSS puts RSA-PSS before
// PKCS#1 v1.5 in method 14.
func ChooseSignature(pub crypto.PublicKey, peerHashes []uint16, allow Allow, preferPSS bool) (Signature, error) {
	var fitting []Signature
	for _, s := range signatures {
		known := s.Method != methodSignature || slices.Contains(peerHashes, s.HashID)
		// Method 1 is signed with SHA-1 or not at all: peers that have only
		// method 1 verify nothing else (RFC 7296, Section 3.8).
		usable := s.Method != methodRSA || s.HashID == hashSHA1 && allow.SHA1
		if known && usable && s.Fits(pub) {
			fitting = append(fitting, s)
		}
	}
	if len(fitting) == 0 {
		return Signature{}, noSignature(pub, peerHashes)
	}
	slices.SortStableFunc(fitting, func(a, b Signature) int {
		return preference(a, pub, preferPSS) - preference(b, pub, preferPSS)
	})
	return fitting[0], nil
}

// preference ranks: method 14 before the older ones, RSA padding as wanted,
// and the hash that matches the key's strength before the others.
func preference(s Signature, pub crypto.PublicKey, preferPSS bool) int {
	rank := 0
	if s.Method != methodSignature {
		rank += 4
	}
	if (s.scheme == rsaPSS) != preferPSS && s.scheme != ecdsaASN1 {
		rank += 2
	}
	if s.Hash != matchingHash(pub) {
		rank++
	}
	return rank
}

// matchingHash is the hash as strong as the key: RFC 4754, Section 3, for the
// curves; for RSA SHA-256 serves up to 3072 bits.
func matchingHash(pub crypto.PublicKey) crypto.Hash {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P384():
			return crypto.SHA384
		case elliptic.P521():
			return crypto.SHA512
		}
	case *rsa.PublicKey:
		if pub.N.BitLen() > 3072 {
			return crypto.SHA384
		}
	}
	return crypto.SHA256
}

func noSignature(pub crypto.PublicKey, peerHashes []uint16) error {
	if key, ok := pub.(*rsa.PublicKey); ok {
		if err := checkRSA(key); err != nil {
			return err
		}
		if len(peerHashes) == 0 {
			return errors.New("suite: the peer verifies RSA only with SHA-1, which is not allowed: use an ECDSA certificate for it, or allow SHA-1")
		}
	}
	return fmt.Errorf("suite: the peer verifies no signature of our %s (hash algorithms %v)", keyName(pub), peerHashes)
}

// SignatureByAlgorithmID returns the signature whose AlgorithmIdentifier is,
// octet for octet, one that peers send. Nothing else is parsed: an ASN.1
// parser before authentication has cost other products dearly.
func SignatureByAlgorithmID(der []byte) (Signature, bool) {
	for _, a := range acceptedIDs {
		if bytes.Equal(a.der, der) {
			return a.Signature, true
		}
	}
	return Signature{}, false
}

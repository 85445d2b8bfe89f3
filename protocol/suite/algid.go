package suite

import (
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The AlgorithmIdentifiers as we send them (RFC 7427, Appendix A; RFC 8420,
// Section 2). RSASSA-PSS leaves out the default trailer field, as DER demands
// and strongSwan does; Appendix A.4.3 writes it out.
var (
	idRSA256   = unhex("300d06092a864886f70d01010b0500")
	idRSA384   = unhex("300d06092a864886f70d01010c0500")
	idRSA512   = unhex("300d06092a864886f70d01010d0500")
	idECDSA256 = unhex("300a06082a8648ce3d040302")
	idECDSA384 = unhex("300a06082a8648ce3d040303")
	idECDSA512 = unhex("300a06082a8648ce3d040304")
	idEd25519  = unhex("300506032b6570")
	idPSS256   = pssID(oidSHA256, 32, true, true, false)
	idPSS384   = pssID(oidSHA384, 48, true, true, false)
	idPSS512   = pssID(oidSHA512, 64, true, true, false)
)

// Object identifiers, with tag and length.
var (
	oidSHA256 = unhex("0609608648016503040201")
	oidSHA384 = unhex("0609608648016503040202")
	oidSHA512 = unhex("0609608648016503040203")
	oidPSS    = unhex("06092a864886f70d01010a")
	oidMGF1   = unhex("06092a864886f70d010108")
	asn1NULL  = unhex("0500")
)

// acceptedID is one encoding that stands for a signature.
type acceptedID struct {
	der []byte
	Signature
}

// acceptedIDs lists every encoding accepted from a peer.
var acceptedIDs = func() (accepted []acceptedID) {
	for _, s := range signatures {
		if s.Method == methodSignature {
			for _, der := range encodings(s) {
				accepted = append(accepted, acceptedID{der, s})
			}
		}
	}
	return accepted
}()

// encodings are the variants that real peers send. ECDSA and Ed25519 have no
// parameters (RFC 5758, Section 3.2; RFC 8410, Section 3). RSA has NULL, and
// receivers must take it left out (RFC 4055, Section 5). Inside RSASSA-PSS
// the same holds for both hashes (RFC 4055, Section 2.1), and the default
// trailer field is there in RFC 7427, Appendix A.4.3, and absent in DER.
func encodings(s Signature) [][]byte {
	switch s.scheme {
	case rsaPKCS1:
		return [][]byte{s.AlgorithmID, sequence(s.AlgorithmID[2 : len(s.AlgorithmID)-len(asn1NULL)])}
	case rsaPSS:
		oid := map[uint16][]byte{hashSHA256: oidSHA256, hashSHA384: oidSHA384, hashSHA512: oidSHA512}[s.HashID]
		var all [][]byte
		for i := range 8 {
			all = append(all, pssID(oid, byte(s.Hash.Size()), i&1 == 0, i&2 == 0, i&4 != 0))
		}
		return all
	}
	return [][]byte{s.AlgorithmID}
}

// pssID encodes RSASSA-PSS with one hash for message and mask and a salt of
// its length (RFC 4055, Section 3.1).
func pssID(hash []byte, salt byte, hashNULL, maskNULL, trailer bool) []byte {
	params := slices.Concat(
		tagged(0xa0, hashID(hash, hashNULL)),
		tagged(0xa1, sequence(slices.Concat(oidMGF1, hashID(hash, maskNULL)))),
		tagged(0xa2, []byte{2, 1, salt}))
	if trailer {
		params = append(params, tagged(0xa3, []byte{2, 1, 1})...)
	}
	return sequence(slices.Concat(oidPSS, sequence(params)))
}

func hashID(oid []byte, null bool) []byte {
	if null {
		return sequence(slices.Concat(oid, asn1NULL))
	}
	return sequence(oid)
}

func sequence(content []byte) []byte { return tagged(0x30, content) }

// tagged wraps content of at most 127 octets, which all of these are.
func tagged(tag byte, content []byte) []byte {
	return append([]byte{tag, byte(len(content))}, content...)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// describeID shows a refused identifier: it is short (one length octet), and
// hexadecimal cannot carry anything into a log.
func describeID(id []byte) string {
	const enough = 32
	if len(id) > enough {
		return hex.EncodeToString(id[:enough]) + "..."
	}
	return hex.EncodeToString(id)
}

// scalarSize is the length of r and of s on the wire (RFC 4754, Section 7).
func scalarSize(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

// rawFromASN1 turns the DER of crypto/ecdsa into r | s.
func rawFromASN1(der []byte, curve elliptic.Curve) ([]byte, error) {
	var r, s big.Int
	in, inner := cryptobyte.String(der), cryptobyte.String(nil)
	n := scalarSize(curve)
	if !in.ReadASN1(&inner, asn1.SEQUENCE) || !in.Empty() ||
		!inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) || !inner.Empty() ||
		r.Sign() <= 0 || s.Sign() <= 0 || r.BitLen() > 8*n || s.BitLen() > 8*n {
		return nil, errors.New("suite: the key returned a malformed ECDSA signature")
	}
	raw := make([]byte, 2*n)
	r.FillBytes(raw[:n])
	s.FillBytes(raw[n:])
	return raw, nil
}

// asn1FromRaw turns r | s into the DER that crypto/ecdsa verifies.
func asn1FromRaw(raw []byte, curve elliptic.Curve) ([]byte, bool) {
	n := scalarSize(curve)
	if len(raw) != 2*n {
		return nil, false
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:n]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[n:]))
	})
	der, err := b.Bytes()
	return der, err == nil
}

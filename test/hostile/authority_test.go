package hostile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// authority is a certificate authority that signs anything, also what no
// library would make.
type authority struct {
	w    *world
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func (w *world) newAuthority(name string, by *authority, change func(*x509.Certificate)) *authority {
	w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	a := &authority{w: w, key: key}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(octets(8)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	w.must(err)
	a.cert, err = x509.ParseCertificate(der)
	w.must(err)
	return a
}

// issue makes an honest device certificate, unless change spoils it.
func (a *authority) issue(name string, public crypto.PublicKey, change func(*x509.Certificate)) []byte {
	a.w.Helper()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(octets(8)), Subject: pkix.Name{CommonName: name}, EmailAddresses: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	a.w.must(err)
	return der
}

// outer is a certificate from outside (RFC 5280, Section 4.1), tbs its inside.
type outer struct {
	TBS       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

type tbs struct {
	Version    int `asn1:"optional,explicit,default:0,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	PublicKey  publicKey
	Extensions asn1.RawValue `asn1:"optional,explicit,tag:3"`
}

type publicKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

// Algorithms of signatures and keys that are put in by hand.
var (
	ecdsaWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
	ecdsaWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	rsaEncryption   = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}
	dsaEncryption   = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}}
)

func (a *authority) curve() pkix.AlgorithmIdentifier {
	p256, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	a.w.must(err)
	return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Parameters: asn1.RawValue{FullBytes: p256}}
}

// forge issues a certificate and signs it again after change has spoilt its
// inside. The signature is right: only what it covers is not.
func (a *authority) forge(name string, change func(*tbs)) []byte {
	a.w.Helper()
	good, err := x509.ParseCertificate(a.issue(name, a.key.Public(), nil))
	a.w.must(err)
	var t tbs
	_, err = asn1.Unmarshal(good.RawTBSCertificate, &t)
	a.w.must(err)
	change(&t)
	inside, err := asn1.Marshal(t)
	a.w.must(err)
	return a.seal(inside, t.Algorithm)
}

// seal signs the inside of a certificate, whatever it is.
func (a *authority) seal(inside []byte, algorithm pkix.AlgorithmIdentifier) []byte {
	a.w.Helper()
	digest := sha256.Sum256(inside)
	hash := digest[:]
	if algorithm.Algorithm.Equal(ecdsaWithSHA1) {
		short := sha1.Sum(inside)
		hash = short[:]
	}
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, hash)
	a.w.must(err)
	der, err := asn1.Marshal(outer{asn1.RawValue{FullBytes: inside}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	a.w.must(err)
	return der
}

// rsaKey is a public key of any modulus and exponent.
func (a *authority) rsaKey(modulus, exponent *big.Int) publicKey {
	a.w.Helper()
	der, err := asn1.Marshal(struct{ N, E *big.Int }{modulus, exponent})
	a.w.must(err)
	return publicKey{rsaEncryption, asn1.BitString{Bytes: der, BitLength: 8 * len(der)}}
}

func (a *authority) ecKey(point []byte) publicKey {
	return publicKey{a.curve(), asn1.BitString{Bytes: point, BitLength: 8 * len(point)}}
}

package certfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// parsePrivate tries the forms of a private key, and gives its public half.
func parsePrivate(der []byte) (public any, ok bool) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return publicOf(key), true
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return publicOf(key), true
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return publicOf(key), true
	}
	return nil, false
}

// publicOf leaves out what no rule knows, such as X25519.
func publicOf(key any) any {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil
	}
	return known(signer.Public())
}

func known(public any) any {
	switch public.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return public
	}
	return nil
}

func parsePublic(der []byte) (any, bool) {
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return known(key), true
	}
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key, true
	}
	return nil, false
}

// subjectKey is the public key of a certificate that crypto/x509 refuses, such as
// one with a negative serial number; nil if there is none.
func subjectKey(der []byte) any {
	// Certificate, then TBSCertificate: [0] version, serial, signature, issuer,
	// validity, subject, subjectPublicKeyInfo (RFC 5280, Section 4.1).
	tbs := inside(inside(der))
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(tbs, &v); err == nil && v.Class == asn1.ClassContextSpecific {
		tbs = tbs[len(v.FullBytes):]
	}
	for range 5 {
		rest, err := asn1.Unmarshal(tbs, &v)
		if err != nil {
			return nil
		}
		tbs = rest
	}
	key, _ := parsePublic(first(tbs))
	return key
}

// inside is the content of the first value of several in DER.
func inside(der []byte) []byte {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return nil
	}
	return v.Bytes
}

// certificate enters a certificate.
func (r *reader) certificate(line int, der []byte) {
	if !r.room() {
		return
	}
	if i, ok := r.byCert[string(der)]; ok { // the same in a chain, say
		r.place(i, line)
		return
	}
	k := posture.Key{Subject: r.subject("certificate", "", line), Certificate: der}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		// The error's text may hold what the certificate says.
		r.note(posture.Malformed, line, "the certificate is refused: %s", source.Quote(strings.ToValidUTF8(err.Error(), "?")))
		if k.Public = subjectKey(der); k.Public == nil {
			return
		}
	} else {
		k.Name = r.nameOf(cert, line)
		k.Public, k.CA = known(cert.PublicKey), authority(cert)
	}
	r.byCert[string(der)] = r.enter(k, line, func(other *posture.Key) bool { return other.Certificate == nil })
}

// authority: version 1 has no word for it, and such a certificate is one when it
// issued itself.
func authority(c *x509.Certificate) bool {
	return c.BasicConstraintsValid && c.IsCA || c.Version < 3 && bytes.Equal(c.RawIssuer, c.RawSubject)
}

// nameOf is what a person calls a certificate.
func (r *reader) nameOf(c *x509.Certificate, line int) string {
	switch {
	case c.Subject.CommonName != "":
		return source.Quote(c.Subject.CommonName)
	case len(c.DNSNames) > 0:
		return source.Quote(c.DNSNames[0])
	case len(c.Subject.Names) > 0:
		return source.Quote(c.Subject.String())
	}
	return path.Base(r.text.Path)
}

// private enters a private key that is in clear.
func (r *reader) private(line int, public any) {
	r.in.HoldsSecrets(r.text)
	if !r.room() {
		return
	}
	k := posture.Key{Subject: r.subject("private key", path.Base(r.text.Path), line), Public: public, Private: true, PrivateAt: r.text.At(line, 0)}
	r.enter(k, line, func(other *posture.Key) bool { return true })
}

// locked enters a private key under a passphrase, of which nothing else is seen.
func (r *reader) locked(line int) {
	r.in.HoldsSecrets(r.text)
	if !r.room() {
		return
	}
	r.note(posture.Opaque, line, "the private key is encrypted: its size and kind are not seen")
	k := posture.Key{Subject: r.subject("private key", path.Base(r.text.Path), line), Private: true, Encrypted: true, PrivateAt: r.text.At(line, 0)}
	if i := r.certificateBeside(); i >= 0 {
		r.join(i, k, line)
		return
	}
	r.enter(k, line, nil)
}

// certificateBeside finds the only certificate of the file that a locked key
// stands in: it must be the key's.
func (r *reader) certificateBeside() int {
	found := -1
	for i := range r.in.Host.Keys {
		k := &r.in.Host.Keys[i]
		if k.At.File != r.text.Show || k.Certificate == nil || k.Private || k.CA {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}

func (r *reader) unreadableKey(line int) {
	r.in.HoldsSecrets(r.text)
	r.note(posture.Malformed, line, "the private key cannot be read: it is damaged, or of a kind that is not known")
}

// publicKey enters a public key by itself.
func (r *reader) publicKey(line int, der []byte) {
	if !r.room() {
		return
	}
	public, ok := parsePublic(der)
	if !ok {
		r.note(posture.Malformed, line, "the public key cannot be read")
		return
	}
	k := posture.Key{Subject: r.subject("public key", path.Base(r.text.Path), line), Public: public}
	r.enter(k, line, func(other *posture.Key) bool { return true })
}

func (r *reader) subject(kind, name string, line int) posture.Subject {
	return posture.Subject{Dialect: posture.X509, Kind: kind, Name: name, At: r.text.At(line, 0)}
}

// enter adds a key, or makes it one with an entry of the same public key that
// fits.
func (r *reader) enter(k posture.Key, line int, fits func(other *posture.Key) bool) int {
	tag := tagOf(k.Public)
	for _, i := range r.byKey[tag] {
		if tag != "" && fits(&r.in.Host.Keys[i]) {
			r.join(i, k, line)
			return i
		}
	}
	i := len(r.in.Host.Keys)
	r.in.Host.Keys = append(r.in.Host.Keys, k)
	if tag != "" {
		r.byKey[tag] = append(r.byKey[tag], i)
	}
	r.place(i, line)
	return i
}

// join puts two halves together: the certificate gives its name, and each half
// its place.
func (r *reader) join(i int, k posture.Key, line int) {
	have := &r.in.Host.Keys[i]
	if have.Certificate == nil && (k.Certificate != nil || k.Private && !have.Private) {
		have.Subject = k.Subject
		have.Certificate, have.CA = k.Certificate, k.CA
	}
	if k.Private {
		have.Encrypted = k.Encrypted && (!have.Private || have.Encrypted) // one in clear is enough
		if !have.Private {
			have.PrivateAt = k.PrivateAt
		}
		have.Private = true
	}
	r.place(i, line)
}

// mostPlaces bounds what copies of one certificate cost.
const mostPlaces = 64

func (r *reader) place(i, line int) {
	k := &r.in.Host.Keys[i]
	at := r.text.At(line, 0)
	if len(k.Places) < mostPlaces && !slices.Contains(k.Places, at) {
		k.Places = append(k.Places, at)
	}
}

// tagOf tells public keys apart; it is empty for what is not known.
func tagOf(public any) string {
	if public == nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	return string(der)
}

// authorities marks private keys by the certificates of the same key that are
// authorities': a renewed authority has several certificates.
func (r *reader) authorities() {
	for _, list := range r.byKey {
		keys := r.in.Host.Keys
		if slices.ContainsFunc(list, func(i int) bool { return keys[i].CA }) {
			for _, i := range list {
				keys[i].CA = keys[i].CA || keys[i].Certificate == nil
			}
		}
	}
}

// crl enters a revocation list.
func (r *reader) crl(line int, der []byte) {
	if !r.room() {
		return
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		r.note(posture.Malformed, line, "the revocation list is refused: %s", source.Quote(strings.ToValidUTF8(err.Error(), "?")))
		return
	}
	issuer := source.Quote(list.Issuer.String())
	r.in.Host.CRLs = append(r.in.Host.CRLs, posture.CRL{
		Subject: r.subject("crl", path.Base(r.text.Path), line), Issuer: issuer, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
	})
}

package certfile

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// blocks are the types of PEM, with what they hold (RFC 7468; for the older
// names, OpenSSL's pem.h).
var blocks = map[string]func(r *reader, line int, b *pem.Block){
	"CERTIFICATE":           func(r *reader, line int, b *pem.Block) { r.certificate(line, b.Bytes) },
	"X509 CERTIFICATE":      func(r *reader, line int, b *pem.Block) { r.certificate(line, b.Bytes) },
	"TRUSTED CERTIFICATE":   func(r *reader, line int, b *pem.Block) { r.certificate(line, first(b.Bytes)) },
	"X509 CRL":              func(r *reader, line int, b *pem.Block) { r.crl(line, b.Bytes) },
	"PUBLIC KEY":            func(r *reader, line int, b *pem.Block) { r.publicKey(line, b.Bytes) },
	"RSA PUBLIC KEY":        func(r *reader, line int, b *pem.Block) { r.publicKey(line, b.Bytes) },
	"PRIVATE KEY":           (*reader).privateKey,
	"RSA PRIVATE KEY":       (*reader).privateKey,
	"EC PRIVATE KEY":        (*reader).privateKey,
	"DSA PRIVATE KEY":       (*reader).privateKey,
	"ANY PRIVATE KEY":       (*reader).privateKey,
	"OPENSSH PRIVATE KEY":   (*reader).privateKey,
	"ENCRYPTED PRIVATE KEY": func(r *reader, line int, b *pem.Block) { r.locked(line) },
	"PKCS7":                 (*reader).bundle,
	"CMS":                   (*reader).bundle,
	"PKCS #7 SIGNED DATA":   (*reader).bundle,

	// Parameters and requests bear on nothing that is judged.
	"EC PARAMETERS":           ignore,
	"DH PARAMETERS":           ignore,
	"X9.42 DH PARAMETERS":     ignore,
	"DSA PARAMETERS":          ignore,
	"CERTIFICATE REQUEST":     ignore,
	"NEW CERTIFICATE REQUEST": ignore,
	"ATTRIBUTE CERTIFICATE":   ignore,
}

func ignore(*reader, int, *pem.Block) {}

// pem reads the blocks of a file one by one: a damaged one must not hide those
// after it, and has a note of its own.
func (r *reader) pem(data []byte) {
	line := 1
	for !r.full {
		i := bytes.Index(data, []byte(begin))
		if i < 0 {
			return
		}
		line += bytes.Count(data[:i], []byte("\n"))
		data = data[i:]
		end := len(data)
		if next := bytes.Index(data[len(begin):], []byte(begin)); next >= 0 {
			end = len(begin) + next
		}
		r.block(line, data[:end])
		line += bytes.Count(data[:end], []byte("\n"))
		data = data[end:]
	}
}

func (r *reader) block(line int, text []byte) {
	b, _ := pem.Decode(text)
	if b == nil {
		r.damaged(line, text)
		return
	}
	read, ok := blocks[b.Type]
	if !ok {
		r.note(posture.Unparsed, line, "a block of %q is not known", source.Quote(b.Type))
		return
	}
	read(r, line, b)
}

// damaged: a private key is one even when its end is missing.
func (r *reader) damaged(line int, text []byte) {
	label, _, _ := strings.Cut(string(text[len(begin):min(len(text), 80)]), "-----")
	if strings.Contains(label, "PRIVATE KEY") {
		r.in.HoldsSecrets(r.text)
	}
	r.note(posture.Malformed, line, "a block of PEM is damaged")
}

func (r *reader) bundle(line int, _ *pem.Block) {
	r.note(posture.Unparsed, line, "certificates in PKCS #7 are not read")
}

// privateKey reads a key that is not one of PKCS #8 under a passphrase. OpenSSL's
// older form says in a header that it is encrypted.
func (r *reader) privateKey(line int, b *pem.Block) {
	if strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
		r.locked(line)
		return
	}
	if b.Type == "OPENSSH PRIVATE KEY" { // of another protocol, and here perhaps by mistake
		r.in.HoldsSecrets(r.text)
		r.note(posture.Unparsed, line, "private keys in the form of OpenSSH are not read")
		return
	}
	key, ok := parsePrivate(b.Bytes)
	if !ok {
		r.unreadableKey(line)
		return
	}
	r.private(line, key)
}

// der reads a file that is no PEM by trying what it may be.
func (r *reader) der(data []byte) {
	key, private := parsePrivate(data)
	_, certErr := x509.ParseCertificate(data)
	_, crlErr := x509.ParseRevocationList(data)
	_, public := parsePublic(data)
	switch {
	case private:
		r.private(0, key)
	case certErr == nil:
		r.certificate(0, data)
	case crlErr == nil:
		r.crl(0, data)
	case public:
		r.publicKey(0, data)
	case isPFX(data):
		r.in.HoldsSecrets(r.text)
		r.note(posture.Opaque, 0, "is a container of PKCS #12: its certificates and keys are not seen")
	case isLocked(data):
		r.locked(0)
	case subjectKey(data) != nil:
		r.certificate(0, data)
	case !slices.Contains(extensions, strings.ToLower(path.Ext(r.text.Path))): // a seed of OpenSSL, say
		r.note(posture.Unparsed, 0, "is no certificate, key or revocation list")
	default:
		r.note(posture.Malformed, 0, "is neither PEM nor a certificate, a key or a revocation list in DER")
	}
}

// first is the first value of several in DER: OpenSSL appends to a certificate
// what it is trusted for.
func first(der []byte) []byte {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return der
	}
	return v.FullBytes
}

// isPFX tells a container by its version, 3 (RFC 7292, Section 4).
func isPFX(der []byte) bool {
	var pfx struct {
		Version int
		Safe    asn1.RawValue
		Mac     asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &pfx)
	return err == nil && pfx.Version == 3
}

// isLocked tells EncryptedPrivateKeyInfo (RFC 5958, Section 3).
func isLocked(der []byte) bool {
	var info struct {
		Algorithm struct {
			ID         asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Data []byte
	}
	rest, err := asn1.Unmarshal(der, &info)
	return err == nil && len(rest) == 0 && len(info.Data) > 0
}

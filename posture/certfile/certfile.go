// Package certfile reads certificates, private keys and revocation lists of any
// product, in PEM and in DER.
//
// What is private stays where it is: of a private key only its public half, and
// whether a passphrase protects it, is kept. Sources are RFC 7468 (PEM), RFC 5958
// (PKCS #8), RFC 5280 and, for what OpenSSL adds, openssl-format-options(1).
package certfile

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Bounds of one host.
const (
	mostFile = 4 << 20 // octets of one file; a bundle of all public authorities has a fourth of it
	mostKeys = 5_000   // certificates, keys and lists together
)

// extensions are those of certificates, keys and lists.
var extensions = []string{".pem", ".crt", ".cer", ".der", ".key", ".crl"}

// containers are extensions of PKCS #12, which is encrypted as a whole.
var containers = []string{".p12", ".pfx"}

// places are directories in which IKE daemons and RADIUS servers take any file
// for what the directory is for.
var places = []string{
	"x509", "x509ca", "x509crl", "x509aa", "x509ac", "x509ocsp", "private", "rsa", "ecdsa", "pkcs8", "pubkey",
	"cacerts", "certs", "crls", "aacerts", "acerts", "ocspcerts",
}

// trusted are directories with the authorities of the world, which are the
// system's and of no VPN.
var trusted = []string{"/ssl/certs/", "/ca-certificates/", "/ca-trust/", "/pki/tls/certs/", "/pki/nssdb/"}

// snakeoil is the certificate of Debian's package ssl-cert: it is among the
// trusted ones, and of interest all the same.
const snakeoil = "ssl-cert-snakeoil.pem"

const begin = "-----BEGIN "

// Claims tells whether a file is PEM, or in DER by its name or place.
func Claims(p string, head func() []byte) bool {
	dir, name := path.Split("/" + p)
	if slices.ContainsFunc(trusted, func(t string) bool { return strings.Contains(dir, t) }) && name != snakeoil {
		return false
	}
	ext := strings.ToLower(path.Ext(name))
	if slices.Contains(containers, ext) {
		return true
	}
	if !slices.Contains(extensions, ext) && !slices.Contains(places, path.Base(dir)) {
		return false
	}
	text := head()
	return len(text) == 0 || bytes.Contains(text, []byte(begin)) // what has NUL in it has no head
}

// reader fills a host.
type reader struct {
	in     *source.Input
	text   *source.Text
	count  int
	byKey  map[string][]int // indices in Host.Keys by public key
	byCert map[string]int   // and by certificate
	full   bool
}

// Read reads the files of one host.
func Read(in *source.Input) {
	in = in.For(posture.X509, in.Files)
	r := &reader{in: in, byKey: map[string][]int{}, byCert: map[string]int{}}
	for _, p := range in.Files {
		if r.file(p); r.full {
			break
		}
	}
	r.authorities()
}

// file reads one file, whatever is in it.
func (r *reader) file(p string) {
	if slices.Contains(containers, strings.ToLower(path.Ext(p))) {
		r.container(p)
		return
	}
	data := r.in.Raw(p, false)
	r.text = &source.Text{Path: p, Show: r.in.Show(p), Data: data}
	switch {
	case len(data) == 0: // noted; or empty, as OpenSSL's index of an authority that issued nothing
	case len(data) > mostFile:
		r.note(posture.Limit, 0, "has %d octets, more than %d: not read", len(data), mostFile)
	case bytes.Contains(data, []byte(begin)):
		r.pem(data)
	default:
		r.der(data)
	}
}

// container enters a file of PKCS #12.
func (r *reader) container(p string) {
	r.text = &source.Text{Path: p, Show: r.in.Show(p)}
	if r.in.Raw(p, true) != nil {
		r.note(posture.Opaque, 0, "is a container of PKCS #12: its certificates and keys are not seen")
	}
}

func (r *reader) note(kind posture.NoteKind, line int, format string, args ...any) {
	r.in.Note(kind, r.text.At(line, 0), format, args...)
}

// room tells whether one more may be entered.
func (r *reader) room() bool {
	if r.count++; r.count <= mostKeys {
		return true
	}
	if !r.full {
		r.full = true
		r.note(posture.Limit, 0, "more than %d certificates and keys: the rest was not read", mostKeys)
	}
	return false
}

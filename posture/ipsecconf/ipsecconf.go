// Package ipsecconf reads ipsec.conf and ipsec.secrets with what they include,
// of the two products that have them: strongSwan's starter and Libreswan.
//
// Both descend from FreeS/WAN and share a grammar: sections that begin in the
// first column, settings that are indented, "also=" and "conn %default" to share
// settings (ipsec.conf(5) of either). Words, proposals and defaults differ, so
// the reader first finds out which of the two it is.
package ipsecconf

import (
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/source"
)

// Names of the products, as in the list of packages.
const (
	nameStrongSwan = "strongSwan"
	nameLibreswan  = "Libreswan"
	nameOpenswan   = "Openswan"
)

// strongSwanCommon is the strongSwan that is taken where the version is not
// known.
const strongSwanCommon = "5.9"

// openswanCommon is the last Openswan that distributions had.
const openswanCommon = "2.6"

// What is read at most. Real configurations have a few hundred connections.
const (
	mostSettings = 100_000 // lines with a setting
	mostSections = 5_000
	mostAlso     = 32 // sections that one connection takes settings from
	mostSecrets  = 50_000
	mostWords    = 256     // of one secret's entry
	mostValue    = 8 << 10 // octets of a value; an RSA key of 16 kbit fits
	mostList     = 256     // parts of a value that is a list
	mostAlgs     = 2 << 10 // octets of a value with proposals
)

// Claims tells whether a file is one of ipsec.conf's or ipsec.secrets' family.
func Claims(p string, head func() []byte) bool {
	base, dir := path.Base(p), path.Base(path.Dir(p))
	switch {
	case base == "ipsec.conf", base == "ipsec.conf.inc":
		return true
	case isSecrets(p), isPasswd(p):
		return true
	case path.Ext(base) != ".conf":
		return false
	case dir == "ipsec.d", strings.HasPrefix(base, "ipsec."):
		return true
	}
	return looksLike(head())
}

func isSecrets(p string) bool {
	return strings.HasSuffix(p, ".secrets") || path.Base(p) == "ipsec.secrets.inc"
}

// isPasswd tells whether a file has Libreswan's users for XAUTH.
func isPasswd(p string) bool {
	return path.Base(p) == "passwd" && path.Base(path.Dir(p)) == "ipsec.d"
}

// looksLike tells whether a file of another name has sections of ipsec.conf.
func looksLike(head []byte) bool {
	for line := range strings.Lines(string(head)) {
		words := strings.Fields(line)
		if len(words) == 2 && (words[0] == "conn" || words[0] == "config" && words[1] == "setup") && strings.HasPrefix(line, words[0]) {
			return true
		}
	}
	return false
}

// Read fills in what the files tell. Directories called after strongSwan, which
// Red Hat's packages use beside Libreswan's own, are a product of their own.
func Read(in *source.Input) {
	inStrongSwan := func(p string) bool {
		return slices.ContainsFunc(strings.Split(path.Dir(p), "/"), func(dir string) bool { return strings.HasPrefix(dir, "strongswan") })
	}
	var ours, others []string
	for _, f := range in.Files {
		if inStrongSwan(f) {
			ours = append(ours, f)
		} else {
			others = append(others, f)
		}
	}
	for _, files := range [][]string{others, ours} {
		if len(files) > 0 {
			read(in, files)
		}
	}
}

// reader is the reading of one product's files.
type reader struct {
	in      *source.Input
	dialect posture.Dialect
	product string
	version string // the one whose defaults are taken
	known   bool   // the version is known
	conf    *config
	setup   *conn // config setup
	noted   map[about]bool
}

func read(in *source.Input, files []string) {
	d, sure := dialectOf(in, files)
	r := newReader(in.For(d, files))
	if r.libreswan() && isOpenswan(in, files) {
		r.named(nameOpenswan, openswanCommon)
	}
	if !sure {
		r.in.Note(posture.Unparsed, posture.Pos{File: in.Show(files[0])}, "strongSwan and Libreswan cannot be told apart here: read as strongSwan's")
	}
	r.in.Product(r.product, posture.Value[string]{})
	r.conf = r.parse()
	r.setup = r.conf.setup(r)
	first := len(r.in.Host.Connections)
	r.connections()
	r.secrets(r.in.Host.Connections[first:])
	r.withoutPPK(r.in.Host.Connections[first:])
	if len(r.conf.order) > 0 {
		r.daemon(r.in.Host.Connections[first:])
	}
}

func newReader(in *source.Input) *reader {
	r := &reader{in: in, dialect: in.Dialect, noted: map[about]bool{}}
	r.named(nameStrongSwan, strongSwanCommon)
	if r.dialect == posture.Libreswan {
		r.named(nameLibreswan, proposal.LibreswanCommon)
	}
	return r
}

// named sets the product, and the version that is taken where it is not known.
func (r *reader) named(product, common string) {
	r.product, r.version, r.known = product, common, false
	if v := r.in.Version(product); v.Known() && v.V != "" {
		r.version, r.known = v.V, true
	}
}

func (r *reader) openswan() bool { return r.product == nameOpenswan }

func (r *reader) libreswan() bool { return r.dialect == posture.Libreswan }

// before tells whether the version whose defaults are taken is older.
func (r *reader) before(version string) bool { return proposal.Before(r.version, version) }

// about is what a note is about.
type about struct {
	at   posture.Pos
	what string
}

// once makes a note that many conns would make of a line that they share.
func (r *reader) once(kind posture.NoteKind, a about, format string, args ...any) {
	if r.noted[a] || len(r.noted) > 2*source.MostNotes {
		return
	}
	r.noted[a] = true
	r.in.Note(kind, a.at, format, args...)
}

// subject names something in the files.
func (r *reader) subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: r.dialect, Kind: kind, Name: name, At: at}
}

// byDefault is what the version does where nothing is written.
func byDefault[T any](r *reader, v T, at posture.Pos) posture.Value[T] {
	if r.known {
		return posture.ByDefault(v, at, "default of "+r.product+" "+r.version)
	}
	return posture.Guess(v, at, "version unknown: default of "+r.product+" "+r.version)
}

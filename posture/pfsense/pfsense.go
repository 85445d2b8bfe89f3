// Package pfsense reads the configuration of pfSense and of OPNsense, which
// came from it: one XML document, config.xml, that is also their backup. It has
// all secrets in the clear, and certificates and keys in base64.
//
// Both are strongSwan underneath. OPNsense has, beside the sections it took
// over, a model of swanctl.conf of its own (//OPNsense/Swanctl, since 23.1).
//
// Sources for what a setting means and what holds without it: pfSense's
// src/etc/inc/ipsec.inc and vpn.inc, OPNsense's models IPsec/Swanctl.xml and
// IPsec/IPsec.xml.
package pfsense

import (
	"bytes"
	"path"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// Claims tells whether a file is a configuration of pfSense or OPNsense, or an
// encrypted backup of one.
func Claims(p string, head func() []byte) bool {
	base := strings.ToLower(path.Base(p))
	if !strings.Contains(base, ".xml") && !strings.HasPrefix(base, "config") {
		return false
	}
	b := head()
	return rootName(b) != "" || encrypted(b)
}

// rootName is the name of the root element if it is one of the two.
func rootName(b []byte) string {
	for {
		b = bytes.TrimSpace(b)
		end := ""
		switch {
		case bytes.HasPrefix(b, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(b, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(b, []byte("<!")):
			end = ">"
		}
		if end == "" {
			break
		}
		_, rest, found := bytes.Cut(b, []byte(end))
		if !found {
			return ""
		}
		b = rest
	}
	for _, name := range []string{"pfsense", "opnsense"} {
		rest, ok := bytes.CutPrefix(b, []byte("<"+name))
		if ok && len(rest) > 0 && bytes.IndexByte([]byte("> \t\r\n"), rest[0]) >= 0 {
			return name
		}
	}
	if bytes.HasPrefix(b, []byte("<"+area+">")) && bytes.Contains(b, []byte("<phase1>")) {
		return "pfsense"
	}
	return ""
}

// area is the root of a backup of IPsec alone, which pfSense's Backup & Restore
// makes where it is asked for this area.
const area = "ipsec"

// encrypted tells whether it is a backup under a password: base64 between
// marks, both products alike.
func encrypted(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(b), []byte("---- BEGIN config.xml ----"))
}

// Read reads each file.
func Read(in *source.Input) {
	for _, p := range in.Files {
		head := in.Head(p, 8<<10)
		if encrypted(head) {
			readEncrypted(in, p, string(head))
			continue
		}
		d := posture.PfSense
		if rootName(head) == "opnsense" {
			d = posture.OPNsense
		}
		next := in.For(d, []string{p})
		if t := next.Read(p, true); t != nil {
			readText(next, t)
		}
	}
}

func readEncrypted(in *source.Input, p, head string) {
	product, version := headed(head)
	d, name := posture.PfSense, "pfSense"
	if strings.EqualFold(product, "OPNsense") {
		d, name = posture.OPNsense, "OPNsense"
	}
	next := in.For(d, []string{p})
	t := next.Read(p, false)
	if t == nil {
		return
	}
	v := posture.Value[string]{}
	if version != "" {
		v = posture.Written(version, t.At(2, 1), version)
	}
	next.Product(name, v)
	next.Host.Secrets = append(next.Host.Secrets, posture.Secret{
		Subject: posture.Subject{Dialect: d, Kind: "backup", Name: p, At: t.At(1, 1)}, Kind: posture.Sealed, Storage: posture.Encrypted, Backup: true,
	})
	next.Note(posture.Opaque, t.At(1, 1), "is a backup under a password: nothing of it could be read")
}

func readText(in *source.Input, t *source.Text) {
	root := parse(in, t)
	if root == nil {
		in.Note(posture.Malformed, t.At(1, 1), "has no element <pfsense> or <opnsense>")
		return
	}
	r := &reader{in: in, t: t, root: root, dialect: in.Dialect, product: "pfSense"}
	if r.dialect == posture.OPNsense {
		r.product = "OPNsense"
	}
	r.read()
}

// reader is the reading of one document.
type reader struct {
	in      *source.Input
	t       *source.Text
	root    *element
	dialect posture.Dialect
	product string
	version posture.Value[string]

	ours     map[string]bool // identities that connections have on our side
	defaults map[suite.Protocol]defaults
	names    map[[2]string]string // of certificates and authorities, by kind and reference
	aliases  map[string]string    // of ports
	lookups  int                  // in aliases
	children int
}

// Bounds far beyond what either product is used for.
const (
	mostConnections = 10_000
	mostChildren    = 20_000
)

// full tells whether there are as many connections as are read, and notes it.
func (r *reader) full(e *element) bool {
	if len(r.in.Host.Connections) < mostConnections && r.children < mostChildren {
		return false
	}
	r.in.Note(posture.Limit, e.at, "more than %d connections or %d children: the rest was not read", mostConnections, mostChildren)
	return true
}

func (r *reader) read() {
	r.ours = map[string]bool{}
	r.identity()
	r.phases()
	if r.root.part {
		// Of the rest, nothing can be said: it is in the other areas.
		r.daemon()
		r.keys()
		r.unknown()
		return
	}
	r.swanctl()
	r.daemon()
	r.keys()
	r.l2tp()
	r.services()
	r.wireGuard()
	r.authServers()
	r.firewall()
	r.logging()
	r.certificates()
	r.unknown()
}

// identity is the host's name and its product's version.
func (r *reader) identity() {
	name := r.root.value("system", "hostname")
	if domain := r.root.value("system", "domain"); name != "" && domain != "" {
		name += "." + domain
	}
	if r.in.Host.Name == "" {
		r.in.Host.Name = name
	}
	// OPNsense has left the revision where it was when it parted (11.2).
	if r.dialect == posture.PfSense {
		r.version = release(r.root.get("version"))
	}
	r.in.Product(r.product, r.version)
	r.version = r.in.Version(r.product)
	if r.version.Known() {
		r.in.Host.Packages = append(r.in.Host.Packages, posture.Package{
			Subject: r.subject("package", r.product, r.root.where("version")),
			Manager: "firmware", Name: r.product, Source: r.product, Version: r.version.V,
		})
	}
}

func (r *reader) subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: r.dialect, Kind: kind, Name: name, At: at}
}

// secret enters a secret of the clear text of an element; an empty one is none.
func (r *reader) secret(kind posture.SecretKind, name string, e *element, more posture.Secret) {
	if e == nil || e.text == "" {
		return
	}
	more.Subject = r.subject("secret", name, e.at)
	more.Kind, more.Storage, more.Backup = kind, posture.Clear, true
	more.Value = secret.Bytes(e.text)
	r.in.Host.Secrets = append(r.in.Host.Secrets, more)
}

// byDefault makes a value that this product takes where nothing is written. It
// is inferred where the version is not known.
func byDefault[T any](r *reader, v T, at posture.Pos, why string) posture.Value[T] {
	if r.version.Known() {
		return posture.ByDefault(v, at, why)
	}
	return posture.Guess(v, at, "version unknown: "+why)
}

// seconds is a number of seconds.
func seconds(e *element) (time.Duration, bool) {
	if e == nil || e.text == "" {
		return 0, false
	}
	n := 0
	for _, c := range e.text {
		if c < '0' || c > '9' || n > 1<<32 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return time.Duration(n) * time.Second, true
}

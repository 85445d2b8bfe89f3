package vyos

import (
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// logging is where the router's records go, and its clock.
func (r *reader) logging() {
	system := r.root.get("system")
	l := posture.Logging{Subject: r.subject("logging", "syslog", r.root.where("system", "syslog"))}
	l.OffHost = byDefault(r, false, l.At, "no remote host")
	hosts := system.get("syslog").first("remote", "host") // "host" until 1.4
	if r.root.has("service", "syslog") && hosts == nil {
		hosts = r.root.get("service", "syslog").first("remote", "host")
	}
	for i, h := range hosts.nodes() {
		tls := h.has("tls", "enable")
		l.OffHost = posture.Written(true, h.at, h.name)
		l.Protected = posture.Written(tls && (i == 0 || l.Protected.V), h.at, h.name)
	}
	l.TimeSync = byDefault(r, false, system.where("ntp"), "no server of NTP")
	for _, path := range [][]string{{"service", "ntp", "server"}, {"system", "ntp", "server"}} {
		if n := r.root.get(path...); n != nil && len(n.children) > 0 {
			l.TimeSync = posture.Written(true, n.at, strings.Join(n.values(), ", "))
		}
	}
	l.UTC = byDefault(r, true, system.where("time-zone"), "default of VyOS: UTC")
	if z := system.leaf("time-zone"); z != nil {
		l.UTC = written(slices.Contains([]string{"UTC", "Etc/UTC", "GMT", "Etc/GMT"}, z.name), z)
	}
	l.Auth = byDefault(r, true, l.At, "facility auth is in the log")
	r.in.Host.Logs = append(r.in.Host.Logs, l)
}

// pki reads certificates and keys, which since 1.4 are in the configuration
// itself: DER in base64. What IPsec uses is judged as it is in files of its own; the
// rest is of web pages and other servers.
func (r *reader) pki() {
	used, cas := map[string][]string{}, map[string][]string{}
	for _, c := range r.in.Host.Connections {
		for _, a := range c.Local {
			used[a.CertFile] = append(used[a.CertFile], c.Name)
		}
		for _, a := range c.Remote {
			cas[a.CA.V] = append(cas[a.CA.V], c.Name)
		}
	}
	for _, n := range r.root.nodes("pki", "ca") {
		r.key(n, true, cas[n.name])
		r.revocations(n)
	}
	for _, n := range r.root.nodes("pki", "certificate") {
		r.key(n, false, used[n.name])
	}
	for _, n := range r.root.nodes("pki", "key-pair") {
		r.keyPair(n)
	}
}

func (r *reader) key(n *node, ca bool, used []string) {
	k := posture.Key{Subject: r.subject("certificate", n.name, n.at), CA: ca, Used: used}
	if len(used) > 0 {
		k.Dialect = posture.X509
	}
	if der := r.der(n.leaf("certificate")); der != nil {
		k.Certificate = der
		if cert, err := x509.ParseCertificate(der); err == nil {
			k.Public, k.CA = cert.PublicKey, ca || cert.IsCA
		} else {
			r.in.Note(posture.Malformed, n.where("certificate"), "the certificate cannot be read")
		}
	}
	k.Private, k.Encrypted = r.private(n)
	if k.Certificate != nil || k.Private {
		r.in.Host.Keys = append(r.in.Host.Keys, k)
	}
}

func (r *reader) private(n *node) (there, encrypted bool) {
	key := n.leaf("private", "key")
	if key == nil || setting.LeftOut(key.name) {
		return false, false
	}
	return true, n.has("private", "password-protected")
}

func (r *reader) keyPair(n *node) {
	k := posture.Key{Subject: r.subject("key", n.name, n.at)}
	if der := r.der(n.leaf("public", "key")); der != nil {
		if pub, err := x509.ParsePKIXPublicKey(der); err == nil {
			k.Public = pub
		}
	}
	k.Private, k.Encrypted = r.private(n)
	if k.Public != nil || k.Private {
		r.in.Host.Keys = append(r.in.Host.Keys, k)
	}
}

func (r *reader) revocations(n *node) {
	for _, c := range n.nodes("crl") {
		der := r.der(c)
		if der == nil {
			continue
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			r.in.Note(posture.Malformed, c.at, "the revocation list cannot be read")
			continue
		}
		r.in.Host.CRLs = append(r.in.Host.CRLs, posture.CRL{
			Subject: r.subject("crl", n.name, c.at), Issuer: list.Issuer.String(), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
		})
	}
}

func (r *reader) der(leaf *node) []byte {
	if leaf == nil || setting.LeftOut(leaf.name) {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(leaf.name)
	if err != nil {
		r.in.Note(posture.Malformed, leaf.at, "is not base64")
		return nil
	}
	return b
}

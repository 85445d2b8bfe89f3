package report

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
)

// Inventory is the cryptography that the hosts of an audit are set up for, as
// far as the list of cryptography needs it. It keeps no secrets.
type Inventory struct {
	Connections []Connection
	Keys        []Key
	LeftOut     int // what was over the bounds
}

// Connection is one IKE configuration and its children.
type Connection struct {
	Host     string
	Subject  posture.Subject
	V1, V2   bool
	IKE      []posture.Proposal
	Auth     []string // what either side proves itself by: "psk", "pubkey", "eap-tls"
	PPK      bool
	Children []Child
}

// Child is one kind of Child SA.
type Child struct {
	Subject posture.Subject
	ESP     []posture.Proposal
	ESN     bool // extended sequence numbers are offered
	AH      bool
}

// Key is a public key, and the certificate that it is in, if any.
type Key struct {
	Host      string
	Subject   posture.Subject
	Algorithm string // "RSA", "ECDSA", "Ed25519"; empty: not known
	Curve     string
	Bits      int
	Private   bool // the private half is in the file, too

	Certificate        bool
	SubjectName        string
	IssuerName         string
	NotBefore          time.Time
	NotAfter           time.Time
	SignatureAlgorithm string // as crypto/x509 names it
}

// What is kept at most: of an audit, and of one connection.
const (
	mostConnections = 20_000
	mostKeys        = 20_000
	mostChildren    = 256
	mostProposals   = 64
	mostTransforms  = 64
)

// Add enters a host.
func (inv *Inventory) Add(h *posture.Host) {
	for i := range h.Connections {
		c := &h.Connections[i]
		switch {
		case c.Disabled:
		case len(inv.Connections) == mostConnections:
			inv.LeftOut++
		default:
			inv.Connections = append(inv.Connections, connection(h.Name, c))
		}
	}
	for i := range h.Keys {
		if len(inv.Keys) == mostKeys {
			inv.LeftOut++
			continue
		}
		inv.Keys = append(inv.Keys, key(h.Name, &h.Keys[i]))
	}
}

func connection(host string, c *posture.Connection) Connection {
	x := Connection{
		Host: host, Subject: c.Subject, V1: posture.Is(c.V1, true), V2: posture.Is(c.V2, true),
		IKE: proposals(c.IKE.V), Auth: auths(c), PPK: c.PPK.Known() && c.PPK.V != posture.Never,
	}
	for i := range c.Children {
		if i == mostChildren {
			break
		}
		child := &c.Children[i]
		x.Children = append(x.Children, Child{Subject: child.Subject, ESP: proposals(child.ESP.V), ESN: posture.Is(child.ESN, true), AH: posture.Is(child.AH, true)})
	}
	return x
}

// proposals are a copy of what is kept of a list: without their texts, which
// would keep whole files in memory.
func proposals(list []posture.Proposal) []posture.Proposal {
	list = slices.Clone(list[:min(len(list), mostProposals)])
	for i := range list {
		p := &list[i]
		p.Transforms, p.AddKE = p.Transforms[:min(len(p.Transforms), mostTransforms)], p.AddKE[:min(len(p.AddKE), mostTransforms)]
		p.Text, p.Unknown = "", slices.Clone(p.Unknown[:min(len(p.Unknown), mostTransforms)])
		for k, word := range p.Unknown {
			p.Unknown[k] = strings.Clone(short(word))
		}
	}
	return list
}

// auths are the methods of all rounds of both sides, each once.
func auths(c *posture.Connection) []string {
	var list []string
	add := func(word string) {
		if word != "" && len(list) < mostTransforms && !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	for _, a := range slices.Concat(c.Local, c.Remote) {
		switch {
		case !a.Method.Known():
		case a.Method.V != posture.MethodEAP || len(a.EAP.V) == 0:
			add(string(a.Method.V))
		default:
			for _, m := range a.EAP.V {
				add("eap-" + m)
			}
		}
	}
	slices.Sort(list)
	return list
}

// key describes a key, and a certificate if it can be parsed.
func key(host string, k *posture.Key) Key {
	x := Key{Host: host, Subject: k.Subject, Private: k.Private}
	public := k.Public
	if cert, err := x509.ParseCertificate(k.Certificate); err == nil {
		x.Certificate, x.NotBefore, x.NotAfter = true, cert.NotBefore, cert.NotAfter
		x.SubjectName, x.IssuerName = short(cert.Subject.String()), short(cert.Issuer.String())
		x.SignatureAlgorithm = cert.SignatureAlgorithm.String()
		public = cert.PublicKey
	}
	switch p := public.(type) {
	case *rsa.PublicKey:
		x.Algorithm, x.Bits = "RSA", p.N.BitLen()
	case *ecdsa.PublicKey:
		x.Algorithm, x.Curve, x.Bits = "ECDSA", p.Curve.Params().Name, p.Curve.Params().BitSize
	case ed25519.PublicKey:
		x.Algorithm, x.Bits = "Ed25519", 256
	}
	return x
}

// mostText is how much of a text of a certificate is kept, in octets.
const mostText = 1024

func short(s string) string {
	if len(s) > mostText {
		s = strings.ToValidUTF8(s[:mostText], "") + "..."
	}
	return s
}

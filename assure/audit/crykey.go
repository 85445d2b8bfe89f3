package audit

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"net/netip"
	"path"
	"slices"
	"strings"

	"sallyport/assure/policy"
	"sallyport/posture"
)

// The sizes below which a key is found by computing: an authority's word for
// "never", whatever the policy.
const (
	leastRSA   = 2048
	leastCurve = 224
	soundCurve = 256
)

func keySubject(k *posture.Key) *posture.Subject { return &k.Subject }

// judgeKeySize is CRY-020.
func judgeKeySize(j *judge) {
	each(j, j.host.Keys, keySubject, func(k *posture.Key) {
		switch pub := k.Public.(type) {
		case nil:
			j.unknown(k.Subject, "the key cannot be read")
		case *rsa.PublicKey:
			j.keySize(k, "RSA", pub.N.BitLen(), leastRSA, j.policy.Number(policy.RSABits), j.belowBound())
		case *ecdsa.PublicKey:
			j.keySize(k, "elliptic curve", pub.Curve.Params().BitSize, leastCurve, soundCurve, j.scaled(Low))
		default:
			j.ok(k.Subject, at(k.At, "a modern key"))
		}
	})
}

// belowBound is the severity of an RSA key that is not as long as the policy
// asks: its own where it has one for keys and names the length, and else a low
// one. For CNSA, 3072 bits are a MUST.
func (j *judge) belowBound() Severity {
	if _, ok := j.policy.Severity(j.rule.ID); ok && j.policy.Bounds(policy.RSABits) {
		return j.severity()
	}
	return j.scaled(Low)
}

// keySize: below least is the rule's severity, below sound is another.
func (j *judge) keySize(k *posture.Key, kind string, bits, least, sound int, below Severity) {
	e := at(k.At, kind+" of "+text(bits)+" bits")
	switch {
	case bits < least:
		j.found(k.Subject, e, "an %s key of %d bits can be computed by an attacker", kind, bits)
	case bits < sound:
		j.foundAt(below, k.Subject, e, "an %s key of %d bits, and %d are wanted", kind, bits, sound)
	default:
		j.ok(k.Subject, e)
	}
}

// judgeCertificate is CRY-021.
func judgeCertificate(j *judge) {
	each(j, j.host.Keys, keySubject, func(k *posture.Key) {
		if k.Certificate == nil {
			return // a private key alone has nothing to judge here
		}
		cert, err := x509.ParseCertificate(k.Certificate)
		if err != nil {
			j.unknown(k.Subject, "the certificate cannot be parsed")
			return
		}
		faults, worst := certificateFaults(j.host, k, cert)
		if len(faults) == 0 {
			j.ok(k.Subject, at(k.At, cert.SignatureAlgorithm.String()))
			return
		}
		j.foundAt(j.scaled(worst), k.Subject, at(k.At, cert.SignatureAlgorithm.String()), "%s", strings.Join(faults, "; "))
	})
}

// certificateFaults are what is wrong with a certificate, and how bad the worst
// of it is.
func certificateFaults(h *posture.Host, k *posture.Key, cert *x509.Certificate) (faults []string, worst Severity) {
	add := func(s Severity, text string) { faults, worst = append(faults, text), max(worst, s) }
	selfSigned := string(cert.RawIssuer) == string(cert.RawSubject)
	if weakSignature(cert.SignatureAlgorithm) && !selfSigned { // nobody verifies a root's own
		add(Medium, "it is signed with "+cert.SignatureAlgorithm.String())
	}
	users := ownUsers(h, k)
	if cert.IsCA {
		if !k.CA || len(users) > 0 {
			add(Medium, "it belongs to an endpoint and may sign certificates (CA:TRUE)")
		}
		return faults, worst
	}
	if len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.EmailAddresses)+len(cert.URIs) == 0 {
		add(Medium, "it has no subjectAltName")
	} else if id := unmatched(users, cert); id != "" {
		add(Medium, "its names do not include the identity it is used with")
	}
	if slices.ContainsFunc(users, answers) && !servesIKE(cert) {
		add(Low, "it lacks the extended key usage serverAuth, without which Windows and Apple refuse a gateway")
	}
	return faults, worst
}

func weakSignature(a x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1, x509.UnknownSignatureAlgorithm}, a)
}

// use is a connection in which a certificate is ours.
type use struct {
	conn *posture.Connection
	auth *posture.Auth
}

func answers(u use) bool { return u.conn.Role.Known() && u.conn.Role.V&posture.Answers != 0 }

// ownUsers are the connections whose own side names the certificate's file.
func ownUsers(h *posture.Host, k *posture.Key) []use {
	var out []use
	for i := range h.Connections {
		c := &h.Connections[i]
		for n := range c.Local {
			a := &c.Local[n]
			if !c.Disabled && a.CertFile != "" && path.Base(a.CertFile) == path.Base(k.At.File) {
				out = append(out, use{c, a})
			}
		}
	}
	return out
}

// unmatched is the first identity that a certificate is used with and does not
// carry. Names with a "=" are distinguished names, which the subject has.
func unmatched(users []use, cert *x509.Certificate) string {
	for _, u := range users {
		id := strings.TrimPrefix(u.auth.ID.V, "@")
		if !u.auth.ID.Known() || id == "" || strings.HasPrefix(id, "%") || strings.Contains(id, "=") {
			continue
		}
		if !carries(cert, id) {
			return id
		}
	}
	return ""
}

func carries(cert *x509.Certificate, id string) bool {
	fold := func(s string) bool { return strings.EqualFold(s, id) }
	if slices.ContainsFunc(cert.DNSNames, fold) || slices.ContainsFunc(cert.EmailAddresses, fold) {
		return true
	}
	addr, err := netip.ParseAddr(id)
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); err == nil && ok && a.Unmap() == addr.Unmap() {
			return true
		}
	}
	return false
}

// ikeIntermediate is the key usage that Apple's older clients look for.
var ikeIntermediate = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 8, 2, 2}

// servesIKE tells whether a certificate may be a gateway's. None at all means
// any use to IKE (RFC 4945, Section 5.1.3.12), but not to Windows.
func servesIKE(cert *x509.Certificate) bool {
	return slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) ||
		slices.ContainsFunc(cert.UnknownExtKeyUsage, ikeIntermediate.Equal)
}

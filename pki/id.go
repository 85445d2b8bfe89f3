package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sallyport/protocol/ike/ikemsg"
)

// IDError says that a certificate does not belong to the identity its sender
// claims.
type IDError struct {
	ID      string   // quoted by ikemsg
	Subject string   // of the certificate; show with %q
	Has     []string // the names of that type the certificate has; show with %q
}

// Error names the claim and what the certificate proves instead.
func (e *IDError) Error() string {
	if len(e.Has) == 0 {
		return fmt.Sprintf("pki: certificate %q does not prove identity %s: it has no name of that type", e.Subject, e.ID)
	}
	return fmt.Sprintf("pki: certificate %q does not prove identity %s: it is for %q", e.Subject, e.ID, e.Has)
}

// Hint says what to change.
func (e *IDError) Hint() string {
	if len(e.Has) == 0 {
		return "use an identity that is in the certificate's subject alternative names, or its whole subject"
	}
	return fmt.Sprintf("set the peer's local identity to %q", e.Has[0])
}

// MatchID reports whether a verified certificate proves an IKE identity, as an
// *[IDError] if it does not (RFC 4945, Section 3.1). Names are compared whole:
// no wildcards, no substrings, no common name in place of a subject alternative
// name.
func MatchID(c *x509.Certificate, id *ikemsg.ID) error {
	match, has := compareID(c, id)
	if match {
		return nil
	}
	return &IDError{ID: id.String(), Subject: subject(c), Has: shown(has)}
}

// shown bounds what a certificate's many names may put into an error.
func shown(names []string) []string {
	const few = 4
	names = slices.Clone(names[:min(len(names), few)])
	for i, n := range names {
		names[i] = n[:min(len(n), maxDNSName)]
	}
	return names
}

// compareID compares with the certificate's names of the identity's type, and
// returns these.
func compareID(c *x509.Certificate, id *ikemsg.ID) (match bool, has []string) {
	switch id.Kind {
	case ikemsg.IDFQDN:
		return matchFQDN(c, string(id.Data))
	case ikemsg.IDRFC822Addr:
		return containsFold(c.EmailAddresses, string(id.Data)), c.EmailAddresses
	case ikemsg.IDIPv4Addr, ikemsg.IDIPv6Addr:
		return matchIP(c, id)
	case ikemsg.IDDERASN1DN:
		return matchDN(c, id.Data), []string{c.Subject.String()}
	}
	// ID_KEY_ID is nothing that a certificate could prove; ID_DER_ASN1_GN is
	// sent by no known peer.
	return false, nil
}

// matchFQDN compares with the dNSNames. Apple sends every LocalIdentifier as
// ID_FQDN, so one with '@' is compared with the rfc822Names instead; no host
// has such a name.
func matchFQDN(c *x509.Certificate, name string) (bool, []string) {
	if strings.Contains(name, "@") {
		return containsFold(c.EmailAddresses, name), c.EmailAddresses
	}
	return containsFold(c.DNSNames, name), c.DNSNames
}

// matchIP compares octets with the iPAddresses, and the address as text with
// the dNSNames, where certificates made for Windows have it.
func matchIP(c *x509.Certificate, id *ikemsg.ID) (bool, []string) {
	var has []string
	for _, ip := range c.IPAddresses {
		has = append(has, ip.String())
	}
	addr, ok := netip.AddrFromSlice(id.Data)
	if !ok || addr.Is4() != (id.Kind == ikemsg.IDIPv4Addr) {
		return false, has
	}
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok && a == addr {
			return true, has
		}
	}
	return containsFold(c.DNSNames, addr.String()), has
}

// matchDN compares the DER of the whole subject, which must not be empty: an
// empty name would be everybody's.
func matchDN(c *x509.Certificate, der []byte) bool {
	return len(c.Subject.Names) > 0 && bytes.Equal(c.RawSubject, der)
}

func containsFold(names []string, name string) bool {
	return name != "" && slices.ContainsFunc(names, func(n string) bool { return equalFold(n, name) })
}

// equalFold ignores the case of ASCII letters only. strings.EqualFold would
// take the Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

package pki

import (
	"fmt"
	"net/netip"
	"strings"
)

const (
	maxDevice     = 32  // octets of a device's name
	maxCommonName = 64  // RFC 5280, Appendix A.1: ub-common-name
	maxDNSName    = 253 // RFC 1035, Section 2.3.4, as text
)

// DeviceID is a device's name in its certificate, in two forms of one meaning:
//
//	FQDN    laptop.alice    subject CN and SAN dNSName
//	Email   laptop@alice    SAN rfc822Name
//
// strongSwan, Android and Sallyport take the one with '@' as ID_RFC822_ADDR and
// the other as ID_FQDN; Apple sends any LocalIdentifier as ID_FQDN; a Windows
// user certificate is known by its CN, which needs the same SAN. A user with an
// address, alice@example.org, becomes laptop.alice.example.org.
//
// A device's name is one label, so the forms cannot be ambiguous but for the
// users a@b and a.b; [CA.IssueDevice] gives a name to the first of them only.
type DeviceID struct{ FQDN, Email string }

// NewDeviceID checks and joins the names of a user and a device. Both are lower
// case letters, digits and '-', the user also '.', '_' and one '@'.
func NewDeviceID(user, device string) (DeviceID, error) {
	if !isLabel(device) || len(device) > maxDevice {
		return DeviceID{}, fmt.Errorf("pki: device name %q: want 1 to %d lower case letters, digits and inner '-'", device, maxDevice)
	}
	domain := strings.Replace(user, "@", ".", 1)
	for label := range strings.SplitSeq(domain, ".") {
		if !isLabel(strings.ReplaceAll(label, "_", "-")) {
			return DeviceID{}, fmt.Errorf("pki: user name %q: want lower case letters, digits, '-', '_' and '.', and at most one '@'", user)
		}
	}
	id := DeviceID{FQDN: device + "." + domain, Email: device + "@" + domain}
	if len(id.FQDN) > maxCommonName {
		return DeviceID{}, fmt.Errorf("pki: %q is longer than the %d characters that a certificate's name may have", id.FQDN, maxCommonName)
	}
	return id, nil
}

// serverName is a gateway's name in its certificate's SAN.
type serverName struct {
	dns string
	ip  netip.Addr // valid when the name is an address
}

// parseServerName takes a host name or an address. Windows looks for an address
// among the dNSNames, others among the iPAddresses: it becomes both.
func parseServerName(name string) (serverName, error) {
	if ip, err := netip.ParseAddr(name); err == nil && ip.Zone() == "" {
		return serverName{dns: ip.String(), ip: ip}, nil
	}
	lower := strings.ToLower(name)
	for label := range strings.SplitSeq(lower, ".") {
		if !isLabel(label) {
			return serverName{}, fmt.Errorf("pki: server name %q is neither a host name nor an IP address", name)
		}
	}
	if len(lower) > maxDNSName {
		return serverName{}, fmt.Errorf("pki: server name %q is longer than %d octets", name, maxDNSName)
	}
	return serverName{dns: lower}, nil
}

// isLabel reports whether s is a host name label in lower case (RFC 1123,
// Section 2.1).
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

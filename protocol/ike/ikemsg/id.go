package ikemsg

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
)

// maxIDText bounds what an identity may put into a log line, in octets.
const maxIDText = 256

// String is the identity for a person: an address as it is, a name quoted in
// ASCII, a distinguished name as in RFC 4514, everything else quoted or in hex
// after the type. It never holds an unquoted octet from the peer
// (CVE-2023-28771), and long ones are cut.
func (p *ID) String() string {
	switch p.Kind {
	case IDIPv4Addr, IDIPv6Addr:
		if a, ok := netip.AddrFromSlice(p.Data); ok {
			return a.String()
		}
	case IDFQDN, IDRFC822Addr:
		return quote(p.Data)
	case IDDERASN1DN:
		if name, ok := distinguishedName(p.Data); ok {
			return quote([]byte(name))
		}
	case IDKeyID:
		if printable(p.Data) {
			return "key id " + quote(p.Data)
		}
		return "key id " + hexText(p.Data)
	case IDNull:
		return "ID_NULL"
	}
	return fmt.Sprintf("%v %s", p.Kind, hexText(p.Data))
}

func distinguishedName(der []byte) (string, bool) {
	var rdn pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdn); err != nil || len(rest) > 0 {
		return "", false
	}
	return rdn.String(), true
}

func quote(b []byte) string {
	if len(b) > maxIDText {
		return strconv.QuoteToASCII(string(b[:maxIDText])) + "..."
	}
	return strconv.QuoteToASCII(string(b))
}

func hexText(b []byte) string {
	if len(b) > maxIDText/2 {
		return "0x" + hex.EncodeToString(b[:maxIDText/2]) + "..."
	}
	return "0x" + hex.EncodeToString(b)
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(b) > 0
}

package isakmp

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
// ASCII, a distinguished name as in RFC 4514, everything else in hex after its
// type. It never holds an unquoted octet from the peer, and long ones are cut.
func (p *ID) String() string {
	switch p.Type {
	case IDIPv4Addr, IDIPv6Addr:
		if a, ok := netip.AddrFromSlice(p.Data); ok {
			return a.String()
		}
	case IDFQDN, IDUserFQDN:
		return quote(p.Data)
	case IDDERASN1DN:
		var rdn pkix.RDNSequence
		if rest, err := asn1.Unmarshal(p.Data, &rdn); err == nil && len(rest) == 0 {
			return quote([]byte(rdn.String()))
		}
	}
	return fmt.Sprintf("%v %s", p.Type, hexText(p.Data))
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

package hostconf

import (
	"net/netip"
	"slices"
	"strings"

	"sallyport/protocol/wire"
)

// DHCPv6 without state (RFC 8415, Section 18.3.6): a host that has made itself
// an address asks for name servers and domains.

const (
	portDHCPv6Client = 546
	portDHCPv6Server = 547
)

// Message types of RFC 8415, Section 7.3.
const (
	dhcp6Reply       = 7
	dhcp6Information = 11
)

// Options of RFC 8415, Section 21, and RFC 3646.
const (
	dhcp6ClientID = 1
	dhcp6ServerID = 2
	dhcp6IANA     = 3
	dhcp6IATA     = 4
	dhcp6Request  = 6
	dhcp6DNS      = 23
	dhcp6Search   = 24
	dhcp6IAPD     = 25
)

var allDHCPServers = netip.MustParseAddr("ff02::1:2")

// maxDUID is the longest identifier, in octets (RFC 8415, Section 11.1).
const maxDUID = 130

// information is what matters of an Information-Request.
type information struct {
	transaction []byte // three octets
	client      []byte // nil = anonymous
	server      []byte // nil = any
	wanted      []byte // the Option Request option
	addresses   bool   // an IA: not for this message
}

func parseInformation(b []byte) (information, bool) {
	r := wire.NewReader("DHCPv6 message", b)
	kind := r.U8()
	m := information{transaction: r.Bytes(3)}
	for r.Len() > 0 {
		t := r.U16()
		data := r.Bytes(int(r.U16()))
		switch t {
		case dhcp6ClientID:
			m.client = data
		case dhcp6ServerID:
			m.server = data
		case dhcp6Request:
			m.wanted = data
		case dhcp6IANA, dhcp6IATA, dhcp6IAPD:
			m.addresses = true
		}
	}
	return m, r.Err() == nil && kind == dhcp6Information && len(m.client) <= maxDUID
}

// wants tells whether an option was requested; without a list, all are.
func (m information) wants(option uint16) bool {
	if m.wanted == nil {
		return true
	}
	for b := range slices.Chunk(m.wanted, 2) {
		if len(b) == 2 && u16(b) == option {
			return true
		}
	}
	return false
}

// informationRequest answers, unless the message is for another server or has
// what does not belong in it (RFC 8415, Section 16.12).
func (l *Link) informationRequest(h ipv6) []byte {
	d, ok := parseUDP(h.from, h.to, h.body, false)
	if !ok || d.from.Port() != portDHCPv6Client || h.from.IsUnspecified() || h.to != allDHCPServers && h.to != l.linkLocal() {
		return nil
	}
	m, ok := parseInformation(d.data)
	if !ok || m.addresses || m.server != nil && !slices.Equal(m.server, l.duid()) {
		return nil
	}
	b := append([]byte{dhcp6Reply}, m.transaction...)
	if m.client != nil {
		b = option6(b, dhcp6ClientID, m.client)
	}
	b = option6(b, dhcp6ServerID, l.duid())
	if dns := l.servers(false); len(dns) > 0 && m.wants(dhcp6DNS) {
		var list []byte
		for _, a := range dns[:min(len(dns), maxNames)] {
			list = append(list, a.AsSlice()...)
		}
		b = option6(b, dhcp6DNS, list)
	}
	if names := domainNames(l.Search); len(names) > 0 && len(names) <= maxSearch && m.wants(dhcp6Search) {
		b = option6(b, dhcp6Search, names)
	}
	return udp6(netip.AddrPortFrom(l.linkLocal(), portDHCPv6Server), d.from, b)
}

func option6(b []byte, kind uint16, data []byte) []byte {
	return append(wire.AppendU16(wire.AppendU16(b, kind), uint16(len(data))), data...)
}

// duid names us by our interface identifier: DUID-LL of an EUI-64 (RFC 8415,
// Section 11.4).
func (l *Link) duid() []byte { return append([]byte{0, 3, 0, 27}, l.InterfaceID[:]...) }

// domainNames are domains in DNS's form, one after the other (RFC 1035, Section
// 3.1). A name that has no such form is left out.
func domainNames(names []string) []byte {
	var b []byte
	for _, name := range names {
		b = append(b, domainName(name)...)
	}
	return b
}

func domainName(name string) []byte {
	const longestLabel, longestName = 63, 255
	var b []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if len(label) == 0 || len(label) > longestLabel {
			return nil
		}
		b = append(append(b, byte(len(label))), label...)
	}
	if len(b) >= longestName {
		return nil
	}
	return append(b, 0)
}

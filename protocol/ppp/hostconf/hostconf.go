// Package hostconf answers what a host asks over its link once PPP has given it
// addresses, and PPP has no words for: DHCPINFORM for routes, name servers and
// search domains (RFC 2131, Section 4.3.5; RFC 2132; RFC 3442, and Microsoft's
// option 249, which is the same), Router Solicitation with an advertisement of
// the link's /64 (RFC 4861, RFC 4862, RFC 8106), Neighbor Solicitation for our
// link-local address, and DHCPv6 Information-Request (RFC 8415, Section 18.3.6).
//
// Everything else gets no answer. Nothing is relayed, leased or remembered but
// the times of the last answers; there is one link and one host on it, so what
// does not come from its addresses is dropped. An answer is about as long as its
// question, which is so of neighbors, or bounded by the configuration, and then
// comes once a second at most.
//
// Packets are bare IP packets, as a TUN device has them. The package promises
// no compatibility between versions.
package hostconf

import (
	"fmt"
	"net/netip"
	"time"
)

// Config is what hosts are told. It is shared by any number of links and must
// not change.
type Config struct {
	// Server is our IPv4 address of the links, which answers DHCPINFORM; without
	// one there is no answer.
	Server netip.Addr
	DNS    []netip.Addr // of both families
	Search []string     // domains, most important first
	// Routes lead through the link: sent to hosts that ask for option 121 or 249.
	Routes []netip.Prefix
	MTU    int // of the link, in octets; 0 = not told
	// RouterLifetime says for how long we are the default router of IPv6; 0 = we
	// are none.
	RouterLifetime time.Duration
}

// Check finds what hosts would not be told, since it has no form or no room in
// an answer.
func (c *Config) Check() error {
	for _, name := range c.Search {
		if domainName(name) == nil {
			return fmt.Errorf("hostconf: %q is no domain name to search", name)
		}
	}
	if n := len(domainNames(c.Search)); n > maxSearch {
		return fmt.Errorf("hostconf: the search domains take %d octets, and %d fit: leave some out", n, maxSearch)
	}
	l := Link{Config: c}
	rest := l.dhcpACK(inform{fixed: make([]byte, bootFile), parameters: []byte{optionMask, optionDNS, optionDomain, optionSearch}})
	if routes := l.routes(); len(appendOption(rest, optionRoutes, routes)) == len(rest) && len(routes) > 0 {
		return fmt.Errorf("hostconf: %d routes take %d octets, and %d are left for them: join some of them, or send everything through the tunnel",
			len(c.Routes), len(routes), maxDHCP-len(rest))
	}
	return nil
}

// AdvertiseEvery is how often the caller should send Advertise unasked, so that
// the lifetimes in it never run out (RFC 4861, Section 6.2.1).
const AdvertiseEvery = 10 * time.Minute

// Link is one host's link. It is for one goroutine.
type Link struct {
	*Config
	IPv4        netip.Addr   // the host's; invalid = IPv4 is not open
	Prefix      netip.Prefix // the host's /64; invalid = IPv6 is not open
	InterfaceID [8]byte      // ours, as IPV6CP has agreed

	inform, solicited, information time.Time // the last answers
}

// often is the least time between two answers of a kind.
const often = time.Second

// Asks tells quickly whether a packet of the host may be one for Answer: what a
// data plane diverts.
func Asks(packet []byte) bool {
	switch {
	case len(packet) < ipv4Header:
		return false
	case packet[0]>>4 == 4:
		h := int(packet[0]&15) * 4
		return packet[9] == protocolUDP && len(packet) >= h+4 && u16(packet[h+2:]) == portDHCPServer
	case packet[0]>>4 == 6 && len(packet) >= ipv6Header+4:
		b := packet[ipv6Header:]
		return packet[6] == protocolICMPv6 && (b[0] == routerSolicitation || b[0] == neighborSolicitation) ||
			packet[6] == protocolUDP && u16(b[2:]) == portDHCPv6Server
	}
	return false
}

// Answer gives the reply to a packet of the host, or nil. packet is not kept.
func (l *Link) Answer(now time.Time, packet []byte) []byte {
	if !Asks(packet) {
		return nil
	}
	if packet[0]>>4 == 4 {
		return l.answer4(now, packet)
	}
	return l.answer6(now, packet)
}

func (l *Link) answer4(now time.Time, packet []byte) []byte {
	if !l.IPv4.Is4() || !l.Server.Is4() {
		return nil
	}
	d, ok := parseUDP4(packet)
	if !ok || !l.addressed4(d) || tooOften(now, l.inform) {
		return nil
	}
	reply := l.dhcpInform(d.data)
	if reply != nil {
		l.inform = now
	}
	return reply
}

// addressed4: from the assigned address alone, to everybody or to us.
func (l *Link) addressed4(d datagram) bool {
	return d.from == netip.AddrPortFrom(l.IPv4, portDHCPClient) &&
		(d.to.Addr() == broadcast4 || d.to.Addr() == l.Server)
}

func (l *Link) answer6(now time.Time, packet []byte) []byte {
	h, ok := parseIPv6(packet)
	if !ok || !l.Prefix.IsValid() || !l.neighbor(h) {
		return nil
	}
	if h.protocol == protocolUDP {
		return l.limited(now, &l.information, func() []byte { return l.informationRequest(h) })
	}
	if !soundND(h) {
		return nil
	}
	if h.body[0] == neighborSolicitation {
		return l.neighborAdvertisement(h)
	}
	return l.limited(now, &l.solicited, func() []byte { return l.routerAdvertisement(l.answerTo(h)) })
}

// limited answers unless it has done so within the last second.
func (l *Link) limited(now time.Time, last *time.Time, answer func() []byte) []byte {
	if tooOften(now, *last) {
		return nil
	}
	reply := answer()
	if reply != nil {
		*last = now
	}
	return reply
}

func tooOften(now, last time.Time) bool { return !last.IsZero() && now.Sub(last) < often }

// neighbor tells whether a packet comes from the host: its link-local address,
// one of its prefix, or none yet.
func (l *Link) neighbor(h ipv6) bool {
	return h.from.IsLinkLocalUnicast() && h.from != l.linkLocal() || h.from.IsUnspecified() || l.Prefix.Contains(h.from)
}

// linkLocal is our address on the link (RFC 5072, Section 5).
func (l *Link) linkLocal() netip.Addr {
	b := [16]byte{0: 0xfe, 1: 0x80}
	copy(b[8:], l.InterfaceID[:])
	return netip.AddrFrom16(b)
}

// Advertise is an unsolicited Router Advertisement: at the beginning, and every
// AdvertiseEvery. nil without IPv6.
func (l *Link) Advertise() []byte {
	if !l.Prefix.IsValid() {
		return nil
	}
	return l.routerAdvertisement(allNodes)
}

// servers are those of one family.
func (c *Config) servers(ipv4 bool) []netip.Addr {
	var list []netip.Addr
	for _, a := range c.DNS {
		if a = a.Unmap(); a.Is4() == ipv4 {
			list = append(list, a)
		}
	}
	return list
}

package hostconf

import (
	"net/netip"
	"time"

	"sallyport/protocol/wire"
)

// Neighbor Discovery (RFC 4861), stateless addresses (RFC 4862), and name
// servers in advertisements (RFC 8106). PPP has no link-layer addresses, so no
// message of ours carries one.

// Types of ICMPv6 messages.
const (
	routerSolicitation    = 133
	routerAdvertisement   = 134
	neighborSolicitation  = 135
	neighborAdvertisement = 136
)

// Types of options.
const (
	ndPrefix = 3
	ndMTU    = 5
	ndRDNSS  = 25
	ndDNSSL  = 31
)

var allNodes = netip.MustParseAddr("ff02::1")

// Lifetimes, in seconds: the defaults of RFC 4861, Section 6.2.1, and for names
// three times AdvertiseEvery (RFC 8106, Section 5.1).
const (
	validLifetime     = 30 * 24 * 3600
	preferredLifetime = 7 * 24 * 3600
	nameLifetime      = 3 * uint32(AdvertiseEvery/time.Second)
	maxRouterLifetime = 9000 * time.Second
)

// minMTU is what IPv6 wants of every link; a lesser one is ignored by hosts.
const minMTU = 1280

// soundND checks what RFC 4861, Sections 6.1.1 and 7.1.1, demand of both kinds
// of solicitation.
func soundND(h ipv6) bool {
	const router, neighbor = 8, 24
	least := router
	if len(h.body) > 0 && h.body[0] == neighborSolicitation {
		least = neighbor
	}
	if h.hops != maxHopLimit || len(h.body) < least || h.body[1] != 0 ||
		sum(pseudo(h.from, h.to, protocolICMPv6, len(h.body)), h.body) != 0xffff {
		return false
	}
	r := wire.NewReader("ND options", h.body[least:])
	for r.Len() > 0 {
		r.U8()
		n := int(r.U8()) * 8
		if n == 0 {
			return false // could never be walked past
		}
		r.Bytes(n - 2)
	}
	return r.Err() == nil
}

// answerTo is whom an answer goes to: a host without an address hears what all
// hear.
func (l *Link) answerTo(h ipv6) netip.Addr {
	if h.from.IsUnspecified() {
		return allNodes
	}
	return h.from
}

// routerAdvertisement: the /64 for addresses of the host's own making (A), which
// are not on a shared link (no L); further configuration by DHCPv6 (O) if there
// is any.
func (l *Link) routerAdvertisement(to netip.Addr) []byte {
	const other = 0x40
	flags := byte(0)
	dns := l.servers(false)
	if len(dns) > 0 || len(l.Search) > 0 {
		flags |= other
	}
	b := []byte{routerAdvertisement, 0, 0, 0, hopLimit, flags}
	b = wire.AppendU16(b, uint16(min(max(l.RouterLifetime, 0), maxRouterLifetime)/time.Second))
	b = append(b, make([]byte, 8)...) // reachable time, retransmission timer: not ours to say
	b = l.prefixOption(b)
	if l.MTU >= minMTU {
		b = wire.AppendU32(append(b, ndMTU, 1, 0, 0), uint32(l.MTU))
	}
	if len(dns) > 0 {
		dns = dns[:min(len(dns), maxNames)]
		b = wire.AppendU32(append(b, ndRDNSS, byte(1+2*len(dns)), 0, 0), nameLifetime)
		for _, a := range dns {
			b = append(b, a.AsSlice()...)
		}
	}
	return icmp6(l.linkLocal(), to, searchOption(b, l.Search))
}

// maxNames bounds the name servers in an advertisement: hosts keep three.
const maxNames = 8

// maxSearch bounds the domains, in octets: with them, an answer stays under the
// least MTU of IPv6.
const maxSearch = 512

func (l *Link) prefixOption(b []byte) []byte {
	const autonomous = 0x40
	b = append(b, ndPrefix, 4, byte(l.Prefix.Bits()), autonomous)
	b = wire.AppendU32(wire.AppendU32(b, validLifetime), preferredLifetime)
	b = append(b, 0, 0, 0, 0)
	return append(b, l.Prefix.Masked().Addr().AsSlice()...)
}

// searchOption appends the domains, padded to eight octets, if they fit.
func searchOption(b []byte, search []string) []byte {
	names := domainNames(search)
	if len(names) == 0 || len(names) > maxSearch {
		return b
	}
	units := 1 + (len(names)+7)/8
	b = wire.AppendU32(append(b, ndDNSSL, byte(units), 0, 0), nameLifetime)
	b = append(b, names...)
	return append(b, make([]byte, (units-1)*8-len(names))...)
}

// neighborAdvertisement answers for our link-local address: to a host that looks
// for its router, and to one that wants to take our address (RFC 4862, Section
// 5.4).
func (l *Link) neighborAdvertisement(h ipv6) []byte {
	const router, solicited, override = 0x80, 0x40, 0x20
	target := addr(h.body[8:24])
	if target != l.linkLocal() {
		return nil
	}
	flags := byte(router | override)
	if !h.from.IsUnspecified() {
		flags |= solicited
	}
	b := []byte{neighborAdvertisement, 0, 0, 0, flags, 0, 0, 0}
	return icmp6(target, l.answerTo(h), append(b, target.AsSlice()...))
}

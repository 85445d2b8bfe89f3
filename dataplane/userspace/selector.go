package userspace

import (
	"math/bits"
	"net/netip"

	"sallyport/protocol/ike/ikemsg"
)

// selectors is one side of a Child SA's traffic selectors: any of them may
// match (RFC 4301, Section 4.4.1.1; RFC 7296, Section 2.9).
type selectors []ikemsg.TrafficSelector

// match tells whether a packet's address, protocol and port on this side are
// allowed. A packet without readable ports (a later fragment, a protocol that
// has none) fits only a selector that does not ask for ports, or asks for
// OPAQUE (start above end, RFC 7296, Section 3.13.1).
func (s selectors) match(addr netip.Addr, p *inner, port uint16) bool {
	for i := range s {
		t := &s[i]
		if t.Protocol != 0 && t.Protocol != p.proto {
			continue
		}
		if addr.BitLen() != t.Start.BitLen() || addr.Less(t.Start) || t.End.Less(addr) {
			continue
		}
		anyPort := t.StartPort == 0 && t.EndPort == 0xFFFF
		opaque := t.StartPort > t.EndPort
		if anyPort || (p.ports && t.StartPort <= port && port <= t.EndPort) || (!p.ports && opaque) {
			return true
		}
	}
	return false
}

// prefixes are the routes that cover the selectors' address ranges, without
// repeats. A range needs at most twice its address length in prefixes.
func (s selectors) prefixes() []netip.Prefix {
	var out []netip.Prefix
	seen := make(map[netip.Prefix]bool)
	for _, t := range s {
		for _, p := range rangePrefixes(t.Start, t.End) {
			if !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// rangePrefixes cuts an inclusive range into the fewest prefixes.
func rangePrefixes(start, end netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	if start.BitLen() != end.BitLen() || end.Less(start) {
		return nil
	}
	for {
		p := largestPrefix(start, end)
		out = append(out, p)
		last := lastAddr(p)
		if last == end {
			return out
		}
		start = last.Next()
	}
}

// largestPrefix is the shortest prefix that begins at start and ends by end.
func largestPrefix(start, end netip.Addr) netip.Prefix {
	bits := start.BitLen() - trailingZeros(start)
	for {
		p := netip.PrefixFrom(start, bits)
		if !end.Less(lastAddr(p)) {
			return p
		}
		bits++
	}
}

func trailingZeros(a netip.Addr) int {
	b := a.AsSlice()
	n := 0
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			return n + bits.TrailingZeros8(b[i])
		}
		n += 8
	}
	return n
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

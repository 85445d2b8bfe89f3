package ike

import (
	"net/netip"
	"slices"

	"sallyport/protocol/ike/ikemsg"
)

// maxSelectors bounds what one Child SA keeps per side; 255 could be offered.
const maxSelectors = 32

// narrow is the part of the peer's selectors that we allow, in the peer's
// order (RFC 7296, Section 2.9). It never widens. Because it is the whole
// intersection, the packet that the peer may have put first stays in it.
func narrow(offer, allowed []ikemsg.TrafficSelector) []ikemsg.TrafficSelector {
	var out []ikemsg.TrafficSelector
	for _, o := range offer {
		for _, a := range allowed {
			t, ok := intersect(o, a)
			if ok && !covered(t, out) && len(out) < maxSelectors {
				out = append(out, t)
			}
		}
	}
	return out
}

// intersect is what two selectors have in common. OPAQUE ports (Section
// 3.13.1) go only with OPAQUE or with any port.
func intersect(a, b ikemsg.TrafficSelector) (ikemsg.TrafficSelector, bool) {
	t := a
	if a.Protocol == 0 {
		t.Protocol = b.Protocol
	} else if b.Protocol != 0 && a.Protocol != b.Protocol {
		return t, false
	}
	switch {
	case a.Start.BitLen() != b.Start.BitLen():
		return t, false
	case a.Opaque() && anyPort(b), a.Opaque() && b.Opaque():
	case b.Opaque() && anyPort(a):
		t.StartPort, t.EndPort = b.StartPort, b.EndPort
	case a.Opaque() || b.Opaque():
		return t, false
	default:
		t.StartPort, t.EndPort = max(a.StartPort, b.StartPort), min(a.EndPort, b.EndPort)
		if t.StartPort > t.EndPort {
			return t, false
		}
	}
	t.Start, t.End = later(a.Start, b.Start), earlier(a.End, b.End)
	return t, t.Start.Compare(t.End) <= 0
}

func anyPort(t ikemsg.TrafficSelector) bool { return t.StartPort == 0 && t.EndPort == 65535 }

func later(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func earlier(a, b netip.Addr) netip.Addr {
	if b.Less(a) {
		return b
	}
	return a
}

// covered tells whether one of the selectors contains all of t.
func covered(t ikemsg.TrafficSelector, by []ikemsg.TrafficSelector) bool {
	return slices.ContainsFunc(by, func(b ikemsg.TrafficSelector) bool {
		both, ok := intersect(t, b)
		return ok && both == t
	})
}

// within tells whether every selector of inner is allowed by outer.
func within(inner, outer []ikemsg.TrafficSelector) bool {
	return !slices.ContainsFunc(inner, func(t ikemsg.TrafficSelector) bool { return !covered(t, outer) })
}

// sameFamilies drops selectors whose address family the other side has not:
// Windows, Apple and Android ask for ::/0 also when they get no IPv6 address
// (trap 16).
func sameFamilies(a, b []ikemsg.TrafficSelector) ([]ikemsg.TrafficSelector, []ikemsg.TrafficSelector) {
	keep := func(ts, other []ikemsg.TrafficSelector) []ikemsg.TrafficSelector {
		return slices.DeleteFunc(ts, func(t ikemsg.TrafficSelector) bool {
			return !slices.ContainsFunc(other, func(o ikemsg.TrafficSelector) bool { return o.Start.BitLen() == t.Start.BitLen() })
		})
	}
	a = keep(a, b)
	return a, keep(b, a)
}

// leasedSelectors are the assigned addresses as selectors.
func leasedSelectors(l Leased) []ikemsg.TrafficSelector {
	var out []ikemsg.TrafficSelector
	for _, a := range []netip.Addr{l.IPv4, l.IPv6.Addr()} {
		if a.IsValid() {
			out = append(out, ikemsg.PrefixSelector(netip.PrefixFrom(a, a.BitLen())))
		}
	}
	return out
}

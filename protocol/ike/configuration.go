package ike

import (
	"net/netip"
	"slices"

	"sallyport/protocol/ike/ikemsg"
)

// Bounds on what a CFG_REPLY may make an initiator keep.
const (
	maxDNS     = 8
	maxDomains = 32
	maxDomain  = 253 // octets of one name (RFC 1035, Section 2.3.4)
)

// cfgRequest is the CFG_REQUEST of an initiator (RFC 7296, Section 3.15), nil
// when it asks nothing.
func cfgRequest(r Request) *ikemsg.CP {
	cp := &ikemsg.CP{Kind: ikemsg.CPRequest}
	ask := func(t ikemsg.CPAttributeType, wish []byte) {
		cp.Attributes = append(cp.Attributes, ikemsg.CPAttribute{Type: t, Value: wish})
	}
	if r.IPv4 {
		ask(ikemsg.InternalIP4Address, r.OldIPv4.AsSlice())
	}
	if r.IPv6 {
		ask(ikemsg.InternalIP6Address, address6(r.OldIPv6))
	}
	if r.DNS && r.IPv4 {
		ask(ikemsg.InternalIP4DNS, nil)
	}
	if r.DNS && r.IPv6 {
		ask(ikemsg.InternalIP6DNS, nil)
	}
	if r.Domains {
		ask(ikemsg.InternalDNSDomain, nil)
	}
	if len(cp.Attributes) == 0 {
		return nil
	}
	return cp
}

// address6 is INTERNAL_IP6_ADDRESS: 17 octets, the last the prefix length
// (Section 3.15.1).
func address6(p netip.Prefix) []byte {
	if !p.IsValid() {
		return nil
	}
	return append(p.Addr().AsSlice(), byte(p.Bits()))
}

// asks tells whether the request has an attribute, whatever its value.
func asks(cp *ikemsg.CP, t ikemsg.CPAttributeType) bool {
	return slices.ContainsFunc(cp.Attributes, func(a ikemsg.CPAttribute) bool { return a.Type == t })
}

// asksAddress tells whether a Lease job makes sense.
func asksAddress(cp *ikemsg.CP) bool {
	return cp != nil && cp.Kind == ikemsg.CPRequest &&
		(asks(cp, ikemsg.InternalIP4Address) || asks(cp, ikemsg.InternalIP6Address))
}

// cfgReply answers what was asked for and what we have, nothing else (Section
// 3.15.1; trap 17).
func cfgReply(asked *ikemsg.CP, l Leased) *ikemsg.CP {
	cp := &ikemsg.CP{Kind: ikemsg.CPReply}
	give := func(t ikemsg.CPAttributeType, v []byte) {
		if len(v) > 0 && asks(asked, t) {
			cp.Attributes = append(cp.Attributes, ikemsg.CPAttribute{Type: t, Value: v})
		}
	}
	give(ikemsg.InternalIP4Address, l.IPv4.AsSlice())
	give(ikemsg.InternalIP6Address, address6(l.IPv6))
	for _, d := range l.DNS {
		if d.Is4() {
			give(ikemsg.InternalIP4DNS, d.AsSlice())
		} else {
			give(ikemsg.InternalIP6DNS, d.AsSlice())
		}
	}
	// RFC 8598, Section 3.1: domains only together with DNS servers.
	if asks(cp, ikemsg.InternalIP4DNS) || asks(cp, ikemsg.InternalIP6DNS) {
		for _, d := range l.Domains {
			give(ikemsg.InternalDNSDomain, []byte(d))
		}
	}
	return cp
}

// readReply takes from a CFG_REPLY what we asked for. Values of a wrong size
// are skipped: the reply authenticated, and one odd attribute must not cost
// the tunnel.
func readReply(r Request, cp *ikemsg.CP) Leased {
	var l Leased
	for _, a := range cp.Attributes {
		switch {
		case a.Type == ikemsg.InternalIP4Address && r.IPv4 && len(a.Value) == 4 && !l.IPv4.IsValid():
			l.IPv4 = assignable(netip.AddrFrom4([4]byte(a.Value)))
		case a.Type == ikemsg.InternalIP6Address && r.IPv6 && len(a.Value) == 17 && a.Value[16] <= 128 && !l.IPv6.IsValid():
			l.IPv6 = netip.PrefixFrom(assignable(netip.AddrFrom16([16]byte(a.Value[:16]))), int(a.Value[16]))
		case a.Type == ikemsg.InternalIP4DNS && r.DNS && len(a.Value) == 4 && len(l.DNS) < maxDNS:
			l.DNS = append(l.DNS, netip.AddrFrom4([4]byte(a.Value)))
		case a.Type == ikemsg.InternalIP6DNS && r.DNS && len(a.Value) == 16 && len(l.DNS) < maxDNS:
			l.DNS = append(l.DNS, netip.AddrFrom16([16]byte(a.Value)))
		case a.Type == ikemsg.InternalDNSDomain && r.Domains && domainText(a.Value) && len(l.Domains) < maxDomains:
			l.Domains = append(l.Domains, string(a.Value))
		}
	}
	return l
}

// assignable gives an address back if a host can have it as its own, else the
// zero Addr: a gateway must not take over our loopback.
func assignable(a netip.Addr) netip.Addr {
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.Is4In6() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}
	}
	return a
}

// domainText admits only what a resolver's configuration can hold without
// quoting: letters, digits, hyphen, underscore and dots.
func domainText(b []byte) bool {
	if len(b) == 0 || len(b) > maxDomain {
		return false
	}
	return !slices.ContainsFunc(b, func(c byte) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	})
}

package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sallyport/protocol/ike/ikemsg"
)

// Routes of the tunnel live in a table of their own, reached by three rules,
// so that the host's own routes stay untouched and a crash leaves nothing but
// these rules behind (which the next start removes):
//
//	to the gateway itself: main table, or the tunnel would carry itself
//	full tunnel only: main table without its default route, so the LAN stays near
//	everything else: the tunnel's table
const (
	routeTable    = 7296 // after the RFC; the host's own tables end at 255
	ruleToGateway = 7290
	ruleNear      = 7291
	ruleTunnel    = 7292
)

// network is what the client changes on the host.
type network struct {
	device string
	link   netlink.Link
	addrs  []netip.Prefix
}

// openNetwork finds the TUN device and clears what an earlier run left behind.
func openNetwork(device string, mtu int) (*network, error) {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return nil, fmt.Errorf("client: device %q: %w", device, err)
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return nil, fmt.Errorf("client: MTU %d of %q: %w", mtu, device, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("client: bringing %q up: %w", device, err)
	}
	n := &network{device: device, link: link}
	return n, n.clearRules()
}

// assign replaces the inner addresses. It leaves those that stay, because
// removing one would break the connections that use it.
func (n *network) assign(addrs []netip.Prefix) error {
	for _, a := range n.addrs {
		if !slices.Contains(addrs, a) {
			netlink.AddrDel(n.link, n.addr(a))
		}
	}
	n.addrs = addrs
	for _, a := range addrs {
		if err := netlink.AddrReplace(n.link, n.addr(a)); err != nil {
			return fmt.Errorf("client: setting address %v on %q: %w", a, n.device, err)
		}
	}
	return nil
}

func (n *network) addr(p netip.Prefix) *netlink.Addr {
	single := netip.PrefixFrom(p.Addr(), p.Addr().BitLen()) // routes decide what is behind the tunnel
	return &netlink.Addr{IPNet: ipNet(single), Flags: unix.IFA_F_NODAD}
}

// route sends the networks of the negotiated TSr into the tunnel, except the
// path to the gateway.
func (n *network) route(gateway netip.Addr, to []netip.Prefix) error {
	if err := n.clearRules(); err != nil {
		return err
	}
	for _, p := range to {
		if !n.hasFamily(p.Addr()) {
			continue // no inner address to send from
		}
		r := &netlink.Route{LinkIndex: n.link.Attrs().Index, Dst: ipNet(p), Table: routeTable, Scope: unix.RT_SCOPE_LINK}
		if p.Addr().Is6() {
			r.Scope = unix.RT_SCOPE_UNIVERSE
		}
		if err := netlink.RouteReplace(r); err != nil {
			return fmt.Errorf("client: route to %v: %w", p, err)
		}
	}
	return n.addRules(gateway, to)
}

func (n *network) addRules(gateway netip.Addr, to []netip.Prefix) error {
	host := netip.PrefixFrom(gateway, gateway.BitLen())
	rules := []*netlink.Rule{rule(ruleToGateway, unix.RT_TABLE_MAIN, gateway)}
	rules[0].Dst = ipNet(host)
	for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if !slices.ContainsFunc(to, func(p netip.Prefix) bool { return p.Addr().Is4() == family.Is4() }) || !n.hasFamily(family) {
			continue
		}
		if slices.ContainsFunc(to, func(p netip.Prefix) bool { return p.Addr().Is4() == family.Is4() && p.Bits() == 0 }) {
			near := rule(ruleNear, unix.RT_TABLE_MAIN, family)
			near.SuppressPrefixlen = 0
			rules = append(rules, near)
		}
		rules = append(rules, rule(ruleTunnel, routeTable, family))
	}
	for _, r := range rules {
		if err := netlink.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("client: routing rule %d: %w", r.Priority, err)
		}
	}
	return nil
}

func (n *network) hasFamily(a netip.Addr) bool {
	return slices.ContainsFunc(n.addrs, func(p netip.Prefix) bool { return p.Addr().Is4() == a.Is4() })
}

func rule(priority, table int, family netip.Addr) *netlink.Rule {
	r := netlink.NewRule()
	r.Priority, r.Table, r.Family = priority, table, netlink.FAMILY_V6
	if family.Is4() {
		r.Family = netlink.FAMILY_V4
	}
	return r
}

// clearRules removes our rules of this and earlier runs.
func (n *network) clearRules() error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := netlink.RuleList(family)
		if err != nil {
			return fmt.Errorf("client: listing routing rules: %w", err)
		}
		for _, r := range rules {
			if r.Priority >= ruleToGateway && r.Priority <= ruleTunnel {
				r.Family = family
				netlink.RuleDel(&r)
			}
		}
	}
	return nil
}

// close gives the host back as it was; routes and addresses go with the device.
func (n *network) close() {
	n.clearRules()
	n.assign(nil)
}

// sourceFor returns the address the host would use now to reach a, by its own
// routes and not through the tunnel.
func (n *network) sourceFor(a netip.Addr) (netip.Addr, error) {
	routes, err := netlink.RouteGet(a.AsSlice())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("client: no route to the gateway at %v: %w", a, err)
	}
	for _, r := range routes {
		if src, ok := netip.AddrFromSlice(r.Src); ok && (n == nil || n.link == nil || r.LinkIndex != n.link.Attrs().Index) {
			return src.Unmap(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("client: no route to the gateway at %v", a)
}

// changes tells, once per burst, that addresses or routes of the host changed.
// It ends when done is closed.
func changes(done <-chan struct{}) (<-chan struct{}, error) {
	out := make(chan struct{}, 1)
	addrs, routes := make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate)
	if err := netlink.AddrSubscribe(addrs, done); err != nil {
		return nil, fmt.Errorf("client: watching addresses: %w", err)
	}
	if err := netlink.RouteSubscribe(routes, done); err != nil {
		return nil, fmt.Errorf("client: watching routes: %w", err)
	}
	go func() {
		for addrs != nil || routes != nil {
			select {
			case _, ok := <-addrs:
				if !ok {
					addrs = nil
				}
			case _, ok := <-routes:
				if !ok {
					routes = nil
				}
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out, nil
}

// prefixesOf turns selectors into networks to route. Selectors for one protocol
// or port count as their addresses: the plane drops what does not match.
func prefixesOf(selectors []ikemsg.TrafficSelector) []netip.Prefix {
	var out []netip.Prefix
	for _, ts := range selectors {
		out = append(out, cover(ts.Start, ts.End)...)
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int { return a.Compare(b) })
	return slices.Compact(out)
}

// cover returns the fewest prefixes that are together exactly from..to.
func cover(from, to netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for from.IsValid() && from.Compare(to) <= 0 {
		p := netip.PrefixFrom(from, from.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(from, p.Bits()-1)
			if wider.Masked().Addr() != from || lastOf(wider).Compare(to) > 0 {
				break
			}
			p = wider
		}
		out = append(out, p)
		from = lastOf(p).Next()
	}
	return out
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func ipNet(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

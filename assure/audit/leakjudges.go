package audit

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"sallyport/assure/policy"
	"sallyport/posture"
)

// judgeL2TP is LEAK-001: either the product itself insists on IPsec, or the
// packet filter does.
func judgeL2TP(j *judge) {
	filtered, ok := filterFor1701(j.host)
	told := map[posture.Dialect]bool{} // of a listener, for which the same host's filter is to blame
	beside, open := "", ""             // what to write into that filter, where it has a dialect of its own, and what opens it
	j.eachFirewall(func(f *posture.Firewall) {
		if onLinux(f.Dialect) && posture.Is(f.L2TPOpen, true) {
			beside = cmp.Or(beyond1701(f), j.rule.Fix[f.Dialect])
			if at := f.L2TPOpen.At; at.Line > 0 {
				open = fmt.Sprintf(": %s in line %d of %s lets it in", f.L2TPOpen.Text, at.Line, path.Base(at.File))
			}
		}
	})
	tell := func(l *posture.L2TP, detail string) {
		fix := ""
		if told[l.Dialect] = true; l.Dialect == posture.Xl2tpd {
			told[posture.NFTables], told[posture.IPTables], fix = true, true, beside
			detail += open
		}
		j.foundFor(fix, l.Subject, evidence(l.IPsec), "%s", detail)
	}
	each(j, j.host.L2TP, l2tpSubject, func(l *posture.L2TP) {
		switch {
		case posture.Is(l.Server, false) && posture.Is(l.IPsec, posture.Never) && l.IPsec.Origin == posture.Explicit:
			j.found(l.Subject, evidence(l.IPsec), "L2TP is begun without IPsec, because that is turned off")
		case !serves(l):
			j.ok(l.Subject, at(l.At, "it does not answer"))
		case l.Listen.Known() && allLoopback(l.Listen.V):
			j.ok(l.Subject, evidence(l.Listen))
		case posture.Is(l.IPsec, posture.Always):
			j.ok(l.Subject, evidence(l.IPsec))
		case ok:
			j.ok(l.Subject, filtered)
		case !l.IPsec.Known():
			j.unknown(l.Subject, "the files do not tell whether IPsec is insisted on, by the product or by a packet filter")
		case slices.ContainsFunc(j.host.Firewalls, func(f posture.Firewall) bool { return !f.L2TPOpen.Known() }):
			j.unknown(l.Subject, "a packet filter is there, and the files do not tell whether it takes UDP 1701 from IPsec alone")
		case l.IPsec.V == posture.Optional:
			tell(l, "L2TP is answered with and without IPsec, and no packet filter among the files insists on it")
		default:
			tell(l, "L2TP is answered without IPsec, and no packet filter among the files insists on it")
		}
	})
	j.filters1701(told)
}

// filters1701 judges the filters themselves; of those of a dialect that was told,
// a listener's finding says what there is to say.
func (j *judge) filters1701(told map[posture.Dialect]bool) {
	j.eachFirewall(func(f *posture.Firewall) {
		switch {
		case posture.Is(f.L2TPNeedsIPsec, true):
			j.ok(f.Subject, evidence(f.L2TPNeedsIPsec))
		case posture.Is(f.L2TPOpen, true) && nobodyIn(j.host, f.Dialect):
			j.ok(f.Subject, evidence(f.L2TPOpen))
		case posture.Is(f.L2TPOpen, true) && told[f.Dialect]:
		case posture.Is(f.L2TPOpen, true) && onLinux(f.Dialect) && !opens1701(f) && len(j.host.Connections) > 0 && !hasL2TP(j.host):
			j.ok(f.Subject, at(f.L2TPOpen.At, "the filter is open, and nothing on this host has to do with L2TP"))
		case posture.Is(f.L2TPOpen, true):
			j.foundFor(beyond1701(f), f.Subject, evidence(f.L2TPOpen), "UDP 1701 is let in outside IPsec")
		case f.L2TPOpen.Known():
			j.ok(f.Subject, evidence(f.L2TPOpen))
		default:
			j.unknown(f.Subject, "the files do not tell whether UDP 1701 is let in outside IPsec")
		}
	})
}

func onLinux(d posture.Dialect) bool { return d == posture.NFTables || d == posture.IPTables }

// beyond1701 is what to write for a filter that is managed by firewalld, which has
// no table of ours; empty: the rule's own.
func beyond1701(f *posture.Firewall) string {
	if f.Name != "firewalld" {
		return ""
	}
	return "firewall-cmd --permanent --direct --add-rule ipv4 filter INPUT 0 -p udp --dport 1701 -m policy --dir in --pol none -j DROP\n" +
		"firewall-cmd --permanent --direct --add-rule ipv6 filter INPUT 0 -p udp --dport 1701 -m policy --dir in --pol none -j DROP\nfirewall-cmd --reload"
}

// opens1701 tells whether a rule names the port, which nobody writes without L2TP.
func opens1701(f *posture.Firewall) bool {
	return strings.Contains(f.L2TPOpen.Text, "1701") || strings.Contains(f.L2TPOpen.Text, "l2tp")
}

// hasL2TP tells whether anything among the files has to do with L2TP: a program, its
// package, or a connection for its clients.
func hasL2TP(h *posture.Host) bool {
	return len(h.L2TP) > 0 || len(h.PPP) > 0 ||
		slices.ContainsFunc(h.Connections, func(c posture.Connection) bool {
			return slices.ContainsFunc(c.Children, func(ch posture.Child) bool { return ch.L2TP })
		}) ||
		slices.ContainsFunc(h.Packages, func(p posture.Package) bool { return l2tpPackages[p.Name] })
}

var l2tpPackages = map[string]bool{"xl2tpd": true, "openl2tp": true, "openl2tpd": true, "l2tpns": true, "accel-ppp": true, "go-l2tp": true}

// nobodyIn tells of a device whose one file has both the filter and the listeners
// that all of those are off, or answer in IPsec alone: the open port leads nowhere.
func nobodyIn(h *posture.Host, d posture.Dialect) bool {
	listeners, open := 0, 0
	for i := range h.L2TP {
		l := &h.L2TP[i]
		if l.Dialect != d || posture.Is(l.Server, false) {
			continue
		}
		listeners++
		if serves(l) && !posture.Is(l.IPsec, posture.Always) {
			open++
		}
	}
	if listeners == 0 {
		return d == posture.IOS // a running configuration is whole
	}
	return open == 0
}

// filterFor1701 is the packet filter that keeps UDP 1701 to IPsec.
func filterFor1701(h *posture.Host) (Evidence, bool) {
	for i := range h.Firewalls {
		f := &h.Firewalls[i]
		if posture.Is(f.L2TPNeedsIPsec, true) {
			return evidence(f.L2TPNeedsIPsec), true
		}
		if posture.Is(f.L2TPOpen, false) {
			return evidence(f.L2TPOpen), true
		}
	}
	return Evidence{}, false
}

func allLoopback(addrs []string) bool {
	return len(addrs) > 0 && !slices.ContainsFunc(addrs, func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err != nil || !a.IsLoopback()
	})
}

// givesAddresses tells whether a connection serves clients that get an inner
// address: those have their own resolver, routes and IPv6 beside the tunnel.
// Of L2TP it is PPP that gives them.
func givesAddresses(c *posture.Connection) bool {
	return c.Pool.Known() && len(c.Pool.V) > 0 && !slices.ContainsFunc(c.Children, func(ch posture.Child) bool { return ch.L2TP })
}

// answering tells whether PPP is a server's; what is not known to be one is not
// judged as one.
func answering(p *posture.PPP) bool { return posture.Is(p.Server, true) }

// eachResolver visits what clients are told of resolvers, by IKE and by PPP, and
// what WireGuard clients that send everything are told.
func (j *judge) eachResolver(visit func(s posture.Subject, dns posture.Value[[]string], inside []string)) {
	j.connections(func(c *posture.Connection) {
		if givesAddresses(c) {
			visit(c.Subject, c.DNS, reachable(c))
			return
		}
		if c.Pool.Known() {
			j.ok(c.Subject, evidence(c.Pool)) // a network and not a client, or PPP's to say
		}
	})
	each(j, j.host.PPP, pppSubject, func(p *posture.PPP) {
		if answering(p) {
			visit(p.Subject, p.DNS, nil)
		}
	})
	each(j, j.host.Tunnels, tunnelSubject, func(t *posture.Tunnel) {
		if routes, ok := allowed(t); ok && everything(routes, false) && t.Dialect == posture.WireGuard && !servesPeers(t) {
			visit(t.Subject, t.DNS, routes)
		}
	})
}

// reachable are the networks that a client may reach through the tunnel; nil:
// not known.
func reachable(c *posture.Connection) []string {
	var all []string
	for i := range c.Children {
		if !c.Children[i].LocalTS.Known() {
			return nil
		}
		all = append(all, c.Children[i].LocalTS.V...)
	}
	return all
}

// allowed are the networks that a WireGuard interface sends to its peers.
func allowed(t *posture.Tunnel) (routes []string, known bool) {
	if elsewhereRouted(t) {
		return nil, true
	}
	for i := range t.Peers {
		if !t.Peers[i].AllowedIPs.Known() {
			return nil, false
		}
		routes = append(routes, t.Peers[i].AllowedIPs.V...)
	}
	return routes, true
}

// elsewhereRouted tells whether an interface takes nothing by itself: no routes are
// set, as where a routing protocol does, or they are in a table of their own.
func elsewhereRouted(t *posture.Tunnel) bool {
	return t.Table.Known() && !slices.Contains([]string{"", "auto", "main", "254"}, t.Table.V)
}

// everything tells whether networks come to a default route, of IPv6 or IPv4.
// The pair of halves is the way of some clients to win over another default;
// 2000::/3 is all of IPv6 that is given out to the world (RFC 4291).
func everything(networks []string, v6 bool) bool {
	whole, half := "0.0.0.0/0", []string{"0.0.0.0/1", "128.0.0.0/1"}
	if v6 {
		whole, half = "::/0", []string{"::/1", "8000::/1"}
	}
	has := func(n string) bool {
		return slices.ContainsFunc(networks, func(s string) bool { return strings.TrimSpace(s) == n })
	}
	return has(whole) || has(half[0]) && has(half[1]) || v6 && has("2000::/3")
}

// onlyIPv6 tells whether all networks are of IPv6.
func onlyIPv6(networks []string) bool {
	return len(networks) > 0 && !slices.ContainsFunc(networks, func(s string) bool {
		p, err := netip.ParsePrefix(strings.TrimSpace(s))
		return err != nil || !p.Addr().Is6()
	})
}

// judgeResolver is LEAK-003.
func judgeResolver(j *judge) {
	j.eachResolver(func(s posture.Subject, dns posture.Value[[]string], _ []string) {
		switch {
		case !dns.Known():
			j.unknown(s, "the files do not tell which resolver clients get")
		case len(dns.V) == 0:
			j.found(s, evidence(dns), "clients are told no resolver and keep that of the network they are in")
		default:
			j.ok(s, evidence(dns))
		}
	})
}

// publicResolvers are those that guides like to name.
var publicResolvers = map[string]string{
	"8.8.8.8": "Google", "8.8.4.4": "Google", "2001:4860:4860::8888": "Google", "2001:4860:4860::8844": "Google",
	"1.1.1.1": "Cloudflare", "1.0.0.1": "Cloudflare", "2606:4700:4700::1111": "Cloudflare", "2606:4700:4700::1001": "Cloudflare",
	"9.9.9.9": "Quad9", "149.112.112.112": "Quad9", "2620:fe::fe": "Quad9", "2620:fe::9": "Quad9",
	"208.67.222.222": "OpenDNS", "208.67.220.220": "OpenDNS", "94.140.14.14": "AdGuard", "94.140.15.15": "AdGuard",
	"77.88.8.8": "Yandex", "114.114.114.114": "114DNS", "223.5.5.5": "AliDNS", "4.2.2.1": "Level 3", "4.2.2.2": "Level 3",
}

// judgeResolverInside is LEAK-004.
func judgeResolverInside(j *judge) {
	j.eachResolver(func(s posture.Subject, dns posture.Value[[]string], inside []string) {
		if !dns.Known() {
			j.unknown(s, "the files do not tell which resolver clients get")
			return
		}
		for _, word := range dns.V {
			addr, err := netip.ParseAddr(word)
			if err != nil {
				continue // a search domain, or a word such as "gateway"
			}
			if owner := publicResolvers[addr.Unmap().String()]; owner != "" {
				j.found(s, evidence(dns), "clients are told the public resolver %s of %s", addr, owner)
				return
			}
			if len(inside) > 0 && !within(addr, inside) {
				j.found(s, evidence(dns), "the resolver %s is not in what the tunnel carries", addr)
				return
			}
		}
		j.ok(s, evidence(dns))
	})
}

// within tells whether an address is in one of the networks. What is no network
// may be anything, "dynamic" for example, and gets the benefit of the doubt.
func within(addr netip.Addr, networks []string) bool {
	return slices.ContainsFunc(networks, func(s string) bool {
		if n, err := netip.ParsePrefix(s); err == nil {
			return n.Contains(addr.Unmap())
		}
		a, err := netip.ParseAddr(s)
		return err != nil || a == addr
	})
}

// judgeSplit is LEAK-005: a finding under a policy that asks for full tunnels,
// and worth knowing otherwise.
func judgeSplit(j *judge) {
	severity := Info
	if j.policy.Number(policy.FullTunnel) != 0 {
		severity = j.severity()
	}
	const detail = "clients keep a part of their traffic outside the tunnel"
	j.clientChildren(func(s posture.Subject, ts posture.Value[[]string], beside []string, fix ownSide) {
		switch {
		case !ts.Known():
			j.unknown(s, "the files do not tell what the tunnel carries")
		case everything(ts.V, false), onlyIPv6(ts.V) && everything(ts.V, true) && everything(beside, false):
			j.ok(s, evidence(ts))
		default:
			j.add(Result{Outcome: Found, Severity: severity, Subject: s, Evidence: evidence(ts), Detail: detail, Fix: fix.all[s.Dialect]})
		}
	})
	each(j, j.host.PPP, pppSubject, func(p *posture.PPP) {
		switch {
		case answering(p): // the client decides
		case !p.Split.Known():
			j.unknown(p.Subject, "the files do not tell which way the default route goes")
		case p.Split.V:
			j.foundAt(severity, p.Subject, evidence(p.Split), detail)
		default:
			j.ok(p.Subject, evidence(p.Split))
		}
	})
	j.tunnels(func(t *posture.Tunnel, routes []string) {
		if everything(routes, false) || waits(t) {
			j.ok(t.Subject, at(t.At, strings.Join(routes, ", ")))
			return
		}
		j.foundAt(severity, t.Subject, at(t.At, strings.Join(routes, ", ")), detail)
	})
}

// clientChildren visits what clients send through the tunnel: our side's
// selectors where we serve them, the other side's where we are one. beside is
// what the other children of the connection take, for products with one for
// each family of addresses; fix is what to write where we are a client.
func (j *judge) clientChildren(visit func(s posture.Subject, ts posture.Value[[]string], beside []string, fix ownSide)) {
	j.children(func(conn *posture.Connection, c *posture.Child) {
		var ours, theirs []string
		for i := range conn.Children {
			if other := &conn.Children[i]; other != c {
				ours, theirs = append(ours, other.LocalTS.V...), append(theirs, other.RemoteTS.V...)
			}
		}
		begins := conn.Role.Known() && conn.Role.V == posture.Initiates
		switch {
		case posture.Is(conn.AsksAddress, true) && conn.Dialect == posture.RouterOS:
			j.ok(c.Subject, evidence(conn.AsksAddress)) // a router: which of its networks go that way is its routes' to say
		case posture.Is(conn.AsksAddress, true), begins && everything(c.RemoteTS.V, false):
			visit(c.Subject, c.RemoteTS, theirs, ofClient)
		case givesAddresses(conn):
			visit(c.Subject, c.LocalTS, ours, ownSide{pool: conn.Pool, v2: posture.Is(conn.V2, true)})
		case conn.Pool.Known():
			j.ok(c.Subject, evidence(conn.Pool)) // a network and not a client
		}
	})
}

// ownSide is what a client writes, whose own selector is not what the tunnel takes:
// for all traffic to go through it, and for IPv6, too. It is empty where the rule's
// own text fits. Of a gateway it is what clients get.
type ownSide struct {
	all, ipv6 fixes
	pool      posture.Value[[]string]
	v2        bool // IKEv1 gives addresses of IPv4 alone
}

var ofClient = ownSide{
	all: fixes{
		posture.Swanctl: swanChild("remote_ts = 0.0.0.0/0,::/0"), posture.Starter: conn("rightsubnet=0.0.0.0/0,::/0"), posture.Libreswan: conn("rightsubnet=0.0.0.0/0"),
	},
	ipv6: fixes{
		posture.Swanctl:   swanChild("remote_ts = 0.0.0.0/0,::/0") + "\n" + swanConn("vips = 0.0.0.0,::") + "\n# the gateway has to give an address of IPv6, too",
		posture.Starter:   conn("rightsubnet=0.0.0.0/0,::/0\n    leftsourceip=%config4,%config6\n    # the gateway has to give an address of IPv6, too"),
		posture.Libreswan: conn("rightsubnet=0.0.0.0/0,::/0  # from Libreswan 5.0\n    # the gateway has to give an address of IPv6, too"),
	},
}

// secondPool is what to write where the selectors are there, and no address is.
var secondPool = fixes{
	posture.Swanctl:  swanConn("pools = IPV4-POOL,IPV6-POOL"),
	posture.Starter:  conn("rightsourceip=IPV4-POOL,IPV6-POOL"),
	posture.OPNsense: "VPN > IPsec > Pools: one of IPv6; Connections > {conn}: Pools: that, too",
	posture.VyOS:     "set vpn ipsec remote-access pool IPV6-POOL prefix PREFIX\nset vpn ipsec remote-access connection {conn} pool IPV6-POOL",
}

// tunnels visits WireGuard interfaces whose routes are known.
func (j *judge) tunnels(visit func(t *posture.Tunnel, routes []string)) {
	each(j, j.host.Tunnels, tunnelSubject, func(t *posture.Tunnel) {
		routes, known := allowed(t)
		if t.Dialect != posture.WireGuard {
			return // a router, whose routes do not follow from its peers
		}
		if elsewhereRouted(t) {
			j.ok(t.Subject, evidence(t.Table))
			return
		}
		if !known || len(t.Peers) == 0 {
			j.unknown(t.Subject, "the files do not tell what the tunnel carries")
			return
		}
		visit(t, routes)
	})
}

// wholeAt is where the first network stands that is, or is half of, all of IPv4.
func wholeAt(t *posture.Tunnel) posture.Pos {
	for _, p := range t.Peers {
		if slices.ContainsFunc(p.AllowedIPs.V, func(n string) bool { return strings.HasPrefix(n, "0.0.0.0/") }) {
			return p.AllowedIPs.At
		}
	}
	return t.At
}

// waits tells whether an interface begins nothing: its peers are clients, or
// other networks, and what it has for them are their addresses.
func waits(t *posture.Tunnel) bool {
	return !slices.ContainsFunc(t.Peers, func(p posture.TunnelPeer) bool { return p.Endpoint.Known() })
}

// onlyIPv4 tells whether all networks, addresses and ranges are of IPv4; a name, of
// another pool or of DHCP, is not known to be.
func onlyIPv4(pool []string) bool {
	return len(pool) > 0 && !slices.ContainsFunc(pool, func(s string) bool {
		first, _, _ := strings.Cut(strings.TrimSpace(s), "-")
		first, _, _ = strings.Cut(first, "/")
		a, err := netip.ParseAddr(first)
		return err != nil || !a.Is4()
	})
}

// servesPeers tells whether an interface is the gateway of several clients: what a
// peer may send is for LEAK-015 to say, and no client's traffic leaves here.
func servesPeers(t *posture.Tunnel) bool { return waits(t) && len(t.Peers) > 1 }

// judgeIPv6 is LEAK-006: of tunnels that take all of IPv4. Others leave IPv6
// outside together with the rest (LEAK-005). A client without an inner address of
// IPv6 sends none through the tunnel, whatever the gateway would take.
func judgeIPv6(j *judge) {
	const detail = "the tunnel takes all of IPv4 and nothing of IPv6, which goes past it"
	j.clientChildren(func(s posture.Subject, ts posture.Value[[]string], beside []string, fix ownSide) {
		switch {
		case !ts.Known():
			j.unknown(s, "the files do not tell what the tunnel carries")
		case everything(ts.V, false) && !everything(append(slices.Clone(ts.V), beside...), true):
			j.foundFor(fix.ipv6[s.Dialect], s, evidence(ts), detail)
		case everything(ts.V, false) && fix.v2 && onlyIPv4(fix.pool.V):
			j.foundFor(secondPool[s.Dialect], s, evidence(fix.pool), "the tunnel would take IPv6, but clients get no address of it: theirs goes past the tunnel")
		default:
			j.ok(s, evidence(ts))
		}
	})
	each(j, j.host.PPP, pppSubject, func(p *posture.PPP) {
		if answering(p) {
			j.flag(p.Subject, p.IPv6, false, "PPP carries no IPv6, which goes past the tunnel where a client has it")
		}
	})
	j.tunnels(func(t *posture.Tunnel, routes []string) {
		if everything(routes, false) && !everything(routes, true) && !servesPeers(t) {
			if posture.Is(t.StopsIPv6, true) {
				j.ok(t.Subject, evidence(t.StopsIPv6))
				return
			}
			j.found(t.Subject, at(wholeAt(t), strings.Join(routes, ", ")), detail)
			return
		}
		j.ok(t.Subject, at(t.At, strings.Join(routes, ", ")))
	})
}

// A sysctl is good when it has one of these values.
var goodSysctl = map[string][]string{
	"rp_filter": {"1", "2"}, "accept_redirects": {"0"}, "send_redirects": {"0"}, "accept_source_route": {"0", "-1"},
}

// kernelFix: VyOS has a word for each.
func kernelFix(k *posture.Kernel) string {
	if k.Dialect == posture.VyOS && strings.HasSuffix(k.Key, ".rp_filter") {
		return "set {name} strict  # loose where routes are asymmetric"
	}
	return ""
}

// judgeKernel is LEAK-008: of each interface's setting, and of the host if it
// has none. A source route has to be taken by "all" and by the interface.
func judgeKernel(j *judge) {
	const routesOfAll = "net.ipv4.conf.all.accept_source_route"
	none := slices.ContainsFunc(j.host.Kernel, func(k posture.Kernel) bool {
		return k.Key == routesOfAll && k.Value.Known() && strings.TrimSpace(k.Value.V) == "0"
	})
	seen := false
	each(j, j.host.Kernel, func(k *posture.Kernel) *posture.Subject { return &k.Subject }, func(k *posture.Kernel) {
		good, ok := goodSysctl[k.Key[strings.LastIndexAny(k.Key, "./")+1:]]
		if !ok {
			return
		}
		seen = true
		switch {
		case !k.Value.Known():
			j.unknown(k.Subject, "the files do not tell the value of %s", k.Key)
		case slices.Contains(good, strings.TrimSpace(k.Value.V)):
			j.ok(k.Subject, evidence(k.Value))
		case none && strings.HasPrefix(k.Key, "net.ipv4.") && strings.HasSuffix(k.Key, ".accept_source_route"):
			j.ok(k.Subject, evidence(k.Value))
		default:
			j.foundFor(kernelFix(k), k.Subject, evidence(k.Value), "%s is %q and should be %s", k.Key, k.Value.V, strings.Join(good, " or "))
		}
	})
	if !seen {
		j.hosts(func(s posture.Subject) {
			if s.Dialect == posture.VyOS {
				return // its defaults are its own, and changed with the releases
			}
			j.unknown(s, "no sysctl of redirects, source routes or rp_filter is among the files")
		})
	}
}

// judgeAround is LEAK-012, of clients: what a server's clients do, its files do
// not tell. strongSwan's routes stand in a table of their own, before those that
// DHCP brings, so that nothing but its own bypass leads around them.
func judgeAround(j *judge) {
	j.children(func(conn *posture.Connection, c *posture.Child) {
		if !posture.Is(conn.AsksAddress, true) {
			return
		}
		switch skips, fix := j.skipsLAN(conn.Product); {
		case posture.Is(skips, true):
			j.foundFor(fix, c.Subject, evidence(skips), "what is addressed to the network that the client is in goes past the tunnel, and that network may say that it is any")
		case skips.Known():
			j.ok(c.Subject, evidence(skips))
		default:
			j.unknown(c.Subject, "the files do not tell whether local networks go past the tunnel")
		}
	})
	j.tunnels(func(t *posture.Tunnel, routes []string) {
		if !waits(t) && everything(routes, false) { // the others are gateways, or LEAK-005
			// wg-quick has the main table looked at first, but for its default routes.
			j.flag(t.Subject, t.KillSwitch, false, "routes that the network hands out are more exact than the tunnel's and come before it")
		}
	})
}

// skipsLAN is what the files say of a product's daemon, where a setting goes
// before a default, and what to write: the list of plugins anew where it is the
// list that has it, and otherwise the rule's own text.
func (j *judge) skipsLAN(product string) (v posture.Value[bool], fix string) {
	for d := range j.daemons {
		if d.Product != product || !d.SkipsLAN.Known() || v.Known() && d.SkipsLAN.Origin != posture.Explicit {
			continue
		}
		v, fix = d.SkipsLAN, ""
		if d.Plugins.At == v.At {
			fix = charon("load = " + strings.Join(slices.DeleteFunc(slices.Clone(d.Plugins.V), func(p string) bool { return p == "bypass-lan" }), " "))
		}
	}
	return v, fix
}

// onlySites tells whether a host has tunnels and no clients: all its peers have
// addresses, none gets one, and neither L2TP nor PPP nor WireGuard is served.
func onlySites(h *posture.Host) (Evidence, bool) {
	var e Evidence
	sites := 0
	for i := range h.Connections {
		switch c := &h.Connections[i]; {
		case c.Disabled || c.Shunt:
		case !posture.Is(c.AnyPeer, false), len(c.Pool.V) > 0, posture.Is(c.AsksAddress, true):
			return e, false
		default:
			sites++
			e = evidence(c.Address)
		}
	}
	return e, sites > 0 && len(h.L2TP)+len(h.PPP)+len(h.Tunnels)+len(h.Services) == 0
}

// judgeIsolation is LEAK-011.
func judgeIsolation(j *judge) {
	sites, ok := onlySites(j.host)
	j.eachFirewall(func(f *posture.Firewall) {
		if ok {
			j.ok(f.Subject, sites)
			return
		}
		j.flag(f.Subject, f.ClientToClient, true, "packets are forwarded from client to client")
	})
	each(j, j.host.PPP, pppSubject, func(p *posture.PPP) {
		if answering(p) {
			j.flag(p.Subject, p.ProxyARP, true, "proxy ARP makes clients part of the local network, and of each other's")
		}
	})
}

// judgeVendorID is LEAK-013.
func judgeVendorID(j *judge) {
	const detail = "the product and its version are sent before authentication"
	j.connectionsAndDaemons(
		func(c *posture.Connection) posture.Value[bool] { return c.SendsVID },
		func(d *posture.Daemon) posture.Value[bool] { return d.SendsVID }, detail)
}

// judgeExposure is LEAK-014: only where every peer has an address.
func judgeExposure(j *judge) {
	any, known, peers := anyPeer(j.host)
	l2tp, wg := roadWarriors(j.host), withoutIPsec(j.host)
	j.eachFirewall(func(f *posture.Firewall) {
		switch {
		case posture.Is(f.IKEOpen, false):
			j.ok(f.Subject, evidence(f.IKEOpen))
		case wg != nil:
			j.ok(f.Subject, at(wg.At, "there is WireGuard and no IKE"))
		case known && any.V:
			j.ok(f.Subject, evidence(any)) // somebody may come from anywhere
		case l2tp != nil:
			j.ok(f.Subject, evidence(l2tp.Enabled)) // so do clients of L2TP over IPsec
		case !f.IKEOpen.Known():
			j.unknown(f.Subject, "the files do not tell from where IKE is let in")
		case peers == 0 || !known:
			j.unknown(f.Subject, "the files do not tell whether the peers' addresses are fixed")
		default:
			j.found(f.Subject, evidence(f.IKEOpen), "UDP 500 and 4500 are open to everybody, though all peers have fixed addresses")
		}
	})
}

// roadWarriors is an L2TP server that makes IPsec for whoever calls by itself.
func roadWarriors(h *posture.Host) *posture.L2TP {
	for i := range h.L2TP {
		if l := &h.L2TP[i]; posture.Is(l.Enabled, true) && serves(l) && l.IPsec.Known() && l.IPsec.V != posture.Never {
			return l
		}
	}
	return nil
}

// anyPeer tells whether a connection takes peers of any address; known is false
// where one may.
func anyPeer(h *posture.Host) (any posture.Value[bool], known bool, peers int) {
	known = true
	for i := range h.Connections {
		c := &h.Connections[i]
		switch {
		case c.Disabled || c.Shunt:
			continue
		case posture.Is(c.AnyPeer, true):
			return c.AnyPeer, true, peers
		case !c.AnyPeer.Known():
			known = false
		}
		peers++
	}
	return any, known, peers
}

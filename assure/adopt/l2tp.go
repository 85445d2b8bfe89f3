package adopt

import (
	"net/netip"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// legacy is the zone of L2TP: there is one, because the address at which a
// client of IKEv1 comes in is all that tells the zone it means.
func (a *adopter) legacy(s posture.Subject) *zone {
	i := slices.IndexFunc(a.draft.zones, func(z *zone) bool { return z.l2tp })
	if i < 0 {
		a.draft.newZone("l2tp", true)
		i = len(a.draft.zones) - 1
	}
	z := a.draft.zones[i]
	z.from = append(z.from, subject(s))
	return z
}

// l2tp takes what an IPsec connection that carries L2TP says.
func (a *adopter) l2tp(c *posture.Connection) {
	z := a.legacy(c.Subject)
	a.changed(c.Subject, written{c.At, ""}, "L2TP over IPsec", "zone "+z.name+", apart from all others", "what its clients reach is held by a firewall of its own", "move its users to IKEv2: sallyport migrate plan")
	a.identity(c)
	use := func(m string) {
		if !slices.Contains(z.machine, m) {
			z.machine = append(z.machine, m)
		}
	}
	for _, r := range c.Remote {
		switch r.Method.V {
		case posture.MethodPSK:
			a.shared(z, c.Subject, r, use)
		case posture.MethodPubkey:
			use("certificate")
			a.clientCertificates(z, c, r)
		}
	}
	a.legacyProposals(c.Subject, suite.ProtocolIKE, c.IKE)
	a.duration(z, c.Subject, c.IKELife, "life of the IKE SA", ikeSpan)
	a.duration(z, c.Subject, c.DPD, "dead peer detection", dpdSpan)
	for i := range c.Children {
		ch := &c.Children[i]
		a.legacyProposals(ch.Subject, suite.ProtocolESP, ch.ESP)
		a.duration(z, ch.Subject, ch.Life, "life of the child", childSpan)
		a.volume(z, ch)
		if ch.Transport.Origin == posture.Explicit {
			a.took(ch.Subject, of(ch.Transport), "mode", "transport mode, as L2TP has it")
		}
		if ch.LocalTS.Origin == posture.Explicit {
			a.took(ch.Subject, of(ch.LocalTS), "networks", "UDP 1701 of the gateway")
		}
		if ch.PFS.Origin == posture.Explicit && ch.PFS.V == posture.Never {
			a.without(ch.Subject, of(ch.PFS), "no forward secrecy", "clients without it are let in by a waiver of CRY-010 alone", "see docs/clients.md for what each client can do")
		}
		rows := childRows
		a.fields(ch.Subject, *ch, rows)
	}
	for _, v := range []posture.Value[bool]{c.MOBIKE} {
		if v.Origin == posture.Explicit {
			a.took(c.Subject, of(v), "MOBIKE", "IKEv1 has nothing like it")
		}
	}
	if c.Reauth.Origin == posture.Explicit {
		a.changed(c.Subject, of(c.Reauth), "reauthentication", "rekey.ike", "a new IKE SA of IKEv1 proves both sides anew", "")
	}
	a.fields(c.Subject, *c, connectionRows)
}

func (a *adopter) legacyProposals(s posture.Subject, p suite.Protocol, v posture.Value[[]posture.Proposal]) {
	if v.Origin != posture.Explicit {
		if v.Known() {
			a.changed(s, written{v.At, ""}, "the product's default proposals", "policy: l2tp", "what is written nowhere changes with the version", "")
		}
		return
	}
	for _, one := range v.V {
		w := written{one.At, one.Text}
		if _, why := keywords(p, one); one.Default {
			continue
		} else if why != "" && !strings.HasPrefix(why, "without a key exchange") {
			a.without(s, w, "proposal", why, "policy l2tp has what takes its place; see docs/clients.md for what each client proposes")
			continue
		}
		a.changed(s, w, "proposal", "policy: l2tp", "the policy has it, or better", "")
	}
}

// listeners take what xl2tpd says, and pppd for its calls.
func (a *adopter) listeners() {
	used := map[string]bool{}
	for _, l := range a.host.L2TP {
		ppp := a.ppp(l.PPP)
		if ppp != nil {
			used[ppp.Name] = true
		}
		if !l.Server.V || posture.Is(l.Enabled, false) {
			a.left(l.Subject, "here the host is the client of another gateway, or the listener is off", "connect with: sallyport connect, by IKEv2")
			continue
		}
		z := a.legacy(l.Subject)
		a.callerPool(z, l)
		a.callerListen(z, l)
		a.fields(l.Subject, l, l2tpRows)
		if ppp != nil {
			a.calls(z, ppp)
		}
	}
	for _, p := range a.host.PPP {
		if !used[p.Name] {
			a.left(p.Subject, "these options are for other links than those of L2TP", "they can stay for what uses them")
		}
	}
	for _, z := range a.draft.zones {
		if z.l2tp {
			a.legacyDefaults(z)
		}
	}
}

func (a *adopter) ppp(name string) *posture.PPP {
	i := slices.IndexFunc(a.host.PPP, func(p posture.PPP) bool { return p.Name == name })
	if name == "" || i < 0 {
		return nil
	}
	return &a.host.PPP[i]
}

func (a *adopter) callerPool(z *zone, l posture.L2TP) {
	for _, text := range l.Pool.V {
		p, exact, ok := network(text)
		if ok && p.Addr().Is4() && p.Bits() > smallest4 {
			p, exact = netip.PrefixFrom(p.Addr(), smallest4).Masked(), false
		}
		w := written{l.Pool.At, text}
		switch both := join(z.v4, p); {
		case !ok || !usable4(p):
			a.without(l.Subject, w, "pool", "it is no network that can be given to clients", "set pool of the zone")
		case z.v4.IsValid() && !usable4(both):
			a.without(l.Subject, w, "pool", "a pool is one network, and this one is far from the other", "set pool of the zone")
		default:
			z.v4 = both
			a.pool(l.Subject, w, "pool.ipv4: "+both.String(), exact)
		}
	}
	if l.Local.Origin != posture.Explicit {
		return
	}
	addr, err := netip.ParseAddr(l.Local.V)
	if err == nil && z.v4.IsValid() && addr == z.v4.Addr().Next() {
		a.took(l.Subject, of(l.Local), "the gateway's address", addr.String()+", the first of the pool")
		return
	}
	became := "the first address of the pool"
	if z.v4.IsValid() {
		became = z.v4.Addr().Next().String() + ", " + became
	}
	a.changed(l.Subject, of(l.Local), "the gateway's address", became, "it is not set by hand", "")
}

func (a *adopter) callerListen(z *zone, l posture.L2TP) {
	if l.Listen.Origin != posture.Explicit {
		return
	}
	for _, text := range l.Listen.V {
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			a.without(l.Subject, written{l.Listen.At, text}, "port", "inside IPsec, L2TP has UDP 1701", "")
		case addr.IsUnspecified():
			a.took(l.Subject, of(l.Listen), "listens", "on all addresses")
		case addr.IsLoopback() || slices.Contains(z.listen, addr):
		default:
			z.listen = append(z.listen, addr)
			a.took(l.Subject, of(l.Listen), "listens", "listen: ["+addr.String()+"]")
		}
	}
}

// calls takes what pppd says of the calls.
func (a *adopter) calls(z *zone, p *posture.PPP) {
	var auth []string
	for _, m := range p.Methods.V {
		ours := "peap"
		if m == posture.EAPTLSPPP {
			ours = "eap-tls"
		}
		w := written{p.Methods.At, p.Methods.Text}
		switch m {
		case posture.EAPTLSPPP, posture.PEAPPPP:
			a.took(p.Subject, w, string(m), "auth: "+ours)
		case posture.PAP:
			a.changed(p.Subject, w, "pap", "auth: peap", "PAP shows the password to whoever ends the tunnel (PPP-001)", "clients need PEAP in their profile")
		default:
			a.changed(p.Subject, w, string(m), "auth: peap", "without TLS around it, the password can be found from one login", "clients need PEAP in their profile")
		}
		auth = append(auth, ours)
	}
	z.auth = once(append(z.auth, auth...))
	a.callDNS(z, p)
	for _, v := range []posture.Value[int]{p.MTU, p.MRU} {
		a.mtu(z, p.Subject, v)
	}
	a.fields(p.Subject, *p, pppRows)
}

// callDNS puts resolvers of our own in reach; public ones are asked through the
// gateway, because a zone apart does not reach the Internet.
func (a *adopter) callDNS(z *zone, p *posture.PPP) {
	if p.DNS.Origin != posture.Explicit {
		return
	}
	ours, public, odd := addresses(p.DNS.V)
	for _, addr := range ours {
		w := written{p.DNS.At, addr.String()}
		if z.v4.Contains(addr) {
			z.dns = once(append(z.dns, "gateway"))
			a.changed(p.Subject, w, "DNS", "dns.servers: gateway", "the address is in the pool; the gateway's own passes questions on", "")
			continue
		}
		z.dns = once(append(z.dns, addr.String()))
		if r := netip.PrefixFrom(addr, addr.BitLen()); !slices.Contains(z.reach, r) {
			z.reach = append(z.reach, r)
		}
		a.took(p.Subject, w, "DNS", "dns.servers and reach: "+addr.String())
	}
	for _, addr := range public {
		z.dns = once(append(z.dns, "gateway"))
		a.changed(p.Subject, written{p.DNS.At, addr.String()}, "DNS", "dns.servers: gateway", "clients of the zone do not reach the Internet; the gateway asks its host's resolvers", "")
	}
	for _, o := range odd {
		a.without(p.Subject, written{p.DNS.At, o}, "DNS", "it is no address of a resolver", "")
	}
}

func (a *adopter) mtu(z *zone, s posture.Subject, v posture.Value[int]) {
	if v.Origin != posture.Explicit {
		return
	}
	const least, fits = 1280, 1400
	n := min(max(v.V, least), fits)
	if z.mtu == 0 || n < z.mtu {
		z.mtu = n
	}
	if n != v.V {
		a.changed(s, of(v), "MTU", "mtu: "+itoa(z.mtu), "from 1280, which IPv6 needs, to 1400, which fits into 1500 with ESP, UDP, L2TP and PPP", "")
		return
	}
	a.took(s, of(v), "MTU", "mtu: "+itoa(z.mtu))
}

// legacyDefaults fills in what the source does not say, and collects hints of
// what clients may need to reach.
func (a *adopter) legacyDefaults(z *zone) {
	if len(z.auth) == 0 {
		z.auth = []string{"peap"}
	}
	if len(z.machine) == 0 {
		z.machine = []string{"certificate"}
	}
	a.hints(z)
	if len(z.reach) == 0 || len(z.mayReach) > 0 {
		a.add(Item{Fate: Changed, Subject: "zone " + z.name, What: "what clients reach", Became: "the gateway's resolver, and what reach names",
			Why: "the source forwards wherever its firewall lets it; which networks are needed is not in the files", Do: "write the networks in reach"})
	}
}

// hints are the networks that other connections lead to.
func (a *adopter) hints(z *zone) {
	const enough = 16
	for _, c := range a.host.Connections {
		for _, ch := range c.Children {
			for _, text := range ch.LocalTS.V {
				if len(z.mayReach) == enough {
					return
				}
				if p, exact, ok := network(text); ok && exact && p.Bits() > 0 && p.Bits() < p.Addr().BitLen() && !ch.L2TP && !slices.Contains(z.mayReach, p) {
					z.mayReach = append(z.mayReach, p)
				}
			}
		}
	}
}

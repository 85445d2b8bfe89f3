package adopt

import (
	"net/netip"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// ikev2 makes a zone of a connection for clients, or adds it to one that has
// the same addresses.
func (a *adopter) ikev2(c *posture.Connection) {
	if len(a.draft.zones) >= mostZones {
		a.left(c.Subject, "a configuration has at most 100 zones", "move it by hand")
		return
	}
	v4, v6 := a.pools(c)
	z, fresh := a.sharing(v4, v6), false
	if z == nil {
		z, fresh = a.draft.newZone(c.Name, false), true
		z.v4, z.v6 = v4, v6
	}
	z.from = append(z.from, subject(c.Subject))
	a.version(c)
	a.identity(c)
	a.methods(z, c)
	a.policy(z, c, fresh)
	a.resolvers(z, c.Subject, c.DNS)
	for i := range c.Children {
		a.child(z, &c.Children[i])
	}
	a.duration(z, c.Subject, c.IKELife, "life of the IKE SA", ikeSpan)
	a.duration(z, c.Subject, c.DPD, "dead peer detection", dpdSpan)
	a.duration(z, c.Subject, c.Reauth, "reauthentication", authSpan)
	a.roaming(z, c)
	a.fields(c.Subject, *c, connectionRows)
}

// sharing finds the zone that has a pool's addresses.
func (a *adopter) sharing(pools ...netip.Prefix) *zone {
	for _, z := range a.draft.zones {
		for _, p := range pools {
			if p.IsValid() && !z.l2tp && (z.v4.IsValid() && z.v4.Overlaps(p) || z.v6.IsValid() && z.v6.Overlaps(p)) {
				return z
			}
		}
	}
	return nil
}

func (a *adopter) version(c *posture.Connection) {
	switch v := c.V1; {
	case !posture.Is(v, true):
		if v.Origin == posture.Explicit {
			a.took(c.Subject, of(v), "IKE version", "protocol: ikev2")
		}
	case posture.Is(c.V2, true):
		a.changed(c.Subject, of(v), "both versions of IKE", "protocol: ikev2", "who can choose the older one chooses its weaknesses, too", "clients of IKEv1 need a new profile: sallyport device profile, or sallyport user profile")
	default:
		a.changed(c.Subject, of(v), "IKE version 1", "protocol: ikev2", "the gateway speaks IKEv1 for L2TP alone", "each client needs a new profile: sallyport device profile, or sallyport user profile")
	}
}

// identity takes the gateway's name, and says what becomes of its proof.
func (a *adopter) identity(c *posture.Connection) {
	for _, l := range c.Local {
		if l.ID.Origin == posture.Explicit {
			a.ownName(c.Subject, l.ID)
		}
		switch {
		case l.Method.Origin != posture.Explicit:
		case l.Method.V == posture.MethodPubkey:
			a.changed(c.Subject, of(l.Method), "the gateway's certificate", "one of the gateway's own CA", "its key stays with the old product",
				"give clients the new CA by their profile; or name the old certificate and key in identity")
		default:
			a.changed(c.Subject, of(l.Method), "the gateway's proof", "a certificate of its own CA", "clients verify the gateway by its certificate", "give them their profile: sallyport device profile")
		}
	}
}

func (a *adopter) ownName(s posture.Subject, id posture.Value[string]) {
	name := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(id.V, "fqdn:"), "@"))
	switch {
	case !isName(name):
		a.without(s, of(id), "identity of the gateway", "it is no DNS name and no address, which clients could verify", "set gateway.name")
	case a.draft.name == "" || a.draft.name == name:
		a.draft.name = name
		a.took(s, of(id), "identity of the gateway", "gateway.name: "+name)
	default:
		if !slices.Contains(a.draft.names, name) {
			a.draft.names = append(a.draft.names, name)
		}
		a.took(s, of(id), "identity of the gateway", "gateway.names: "+name)
	}
}

// isName tells a DNS name in lower case with a dot, or an address.
func isName(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Zone() == "" && !ip.IsUnspecified()
	}
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// eapMethods are ours for those of other products. Passwords go inside TLS.
var eapMethods = map[string]struct{ ours, why string }{
	"tls": {"eap-tls", ""}, "ttls": {"eap-ttls", ""}, "peap": {"peap", ""}, "radius": {"peap", ""},
	"mschapv2": {"peap", "without TLS around it, whoever answers in the gateway's place finds the password"},
	"md5":      {"peap", "the password can be found from one login, and the gateway is not proved"},
	"gtc":      {"peap", "the password goes inside TLS"},
	"":         {"peap", "the files do not say which method; passwords go inside TLS"},
}

// methods are how clients prove themselves.
func (a *adopter) methods(z *zone, c *posture.Connection) {
	use := func(m string) {
		if !slices.Contains(z.auth, m) {
			z.auth = append(z.auth, m)
		}
	}
	for _, r := range c.Remote {
		switch r.Method.V {
		case posture.MethodPubkey, posture.MethodHybrid:
			use("certificate")
			a.clientCertificates(z, c, r)
		case posture.MethodPSK:
			a.shared(z, c.Subject, r, use)
		case posture.MethodEAP, posture.MethodXAUTH:
			a.passwords(z, c, r, use)
		case posture.MethodNull:
			a.without(c.Subject, of(r.Method), "no proof of the client", "the gateway lets nobody in unknown", "add users or devices")
		}
		if r.ID.Origin == posture.Explicit && r.ID.V != "%any" && r.ID.V != "*" {
			a.without(c.Subject, of(r.ID), "identity of clients", "each device has an identity of its own", "add it: sallyport device add")
		}
	}
	if len(c.Remote) > 1 {
		a.changed(c.Subject, written{c.At, ""}, itoa(len(c.Remote))+" rounds of authentication", "auth: ["+strings.Join(z.auth, ", ")+"]", "one round is made, and any of the methods will do", "with eap-tls alone, the device and its user are proved by one certificate")
	}
	if len(z.auth) == 0 {
		z.auth = []string{"certificate"}
	}
}

func (a *adopter) clientCertificates(z *zone, c *posture.Connection, r posture.Auth) {
	if r.Method.Origin == posture.Explicit {
		a.changed(c.Subject, of(r.Method), "certificates of clients", "auth: certificate", "they come from the gateway's own CA", "enrol each device: sallyport device add; or believe the old CA in trust, with its revocation list")
	}
	if r.CA.Known() && r.CA.V != "" {
		z.trust = append(z.trust, plain(r.CA.V))
		a.without(c.Subject, of(r.CA), "CA of clients", "a CA is believed only with its revocation list", "name both in trust.cas and trust.crls, or enrol the devices anew")
	}
}

// shared is a pre-shared key: of one peer each, it can stay.
func (a *adopter) shared(z *zone, s posture.Subject, r posture.Auth, use func(string)) {
	if a.singles {
		use("psk")
		a.took(s, of(r.Method), "pre-shared keys", "auth: psk")
		return
	}
	use("certificate")
	a.without(s, of(r.Method), "one pre-shared key for all clients", "whoever has it can pose as the gateway (PSK-003)", "enrol each device: sallyport device add, with a certificate, or with --psk and a key of its own")
}

func (a *adopter) passwords(z *zone, c *posture.Connection, r posture.Auth, use func(string)) {
	if r.Method.V == posture.MethodXAUTH {
		use("peap")
		a.changed(c.Subject, of(r.Method), "XAUTH", "auth: peap", "XAUTH belongs to IKEv1, and sends the password to whoever has the group's key", "")
		return
	}
	methods := r.EAP.V
	if len(methods) == 0 {
		methods = []string{""}
	}
	for _, m := range methods {
		e, ok := eapMethods[m]
		if !ok {
			e = eapMethods[""]
		}
		use(e.ours)
		z.radius = z.radius || m == "radius"
		w := of(r.EAP)
		if w.text == "" {
			w = of(r.Method)
		}
		if e.why != "" {
			a.changed(c.Subject, w, "EAP", "auth: "+e.ours, e.why, "clients need a new profile: sallyport user profile")
			continue
		}
		a.took(c.Subject, w, "EAP", "auth: "+e.ours)
	}
}

// pools are the networks of a connection's pools.
func (a *adopter) pools(c *posture.Connection) (v4, v6 netip.Prefix) {
	for _, text := range c.Pool.V {
		p, exact, ok := network(text)
		wide := p
		if ok && p.Addr().Is4() && p.Bits() > smallest4 {
			wide = netip.PrefixFrom(p.Addr(), smallest4).Masked()
		}
		w := written{c.Pool.At, text}
		switch {
		case !ok:
			a.without(c.Subject, w, "pool", "it is given by another program, and not by the file", "set pool of the zone")
		case usable4(wide):
			v4 = join(v4, wide)
			a.pool(c.Subject, w, "pool.ipv4: "+v4.String(), exact && wide == v4)
		case usable6(p, false):
			v6 = join(v6, p)
			a.pool(c.Subject, w, "pool.ipv6: "+v6.String(), exact && p == v6)
		default:
			a.without(c.Subject, w, "pool", "it is too small or too large, or cannot be given to clients", "set pool of the zone")
		}
	}
	if v4.IsValid() && !usable4(v4) {
		v4 = netip.Prefix{}
	}
	return v4, v6
}

func (a *adopter) pool(s posture.Subject, w written, became string, exact bool) {
	if exact {
		a.took(s, w, "pool", became)
		return
	}
	a.changed(s, w, "pool", became, "a pool is one network of each family", "no other host may have an address of it")
}

// policy takes the proposals that are sound, if they are enough.
func (a *adopter) policy(z *zone, c *posture.Connection, fresh bool) {
	ike, esp := a.sound(suite.ProtocolIKE, c.IKE), []string(nil)
	for _, ch := range c.Children {
		esp = append(esp, a.sound(suite.ProtocolESP, ch.ESP)...)
	}
	esp = once(esp)
	if fresh && len(ike) > 0 && len(esp) > 0 {
		z.ike, z.esp = ike, esp
	} else if !fresh {
		z.ike, z.esp = nil, nil
	}
	a.proposals(z, c.Subject, suite.ProtocolIKE, c.IKE, z.ike)
	for _, ch := range c.Children {
		a.proposals(z, ch.Subject, suite.ProtocolESP, ch.ESP, z.esp)
		if ch.PFS.Origin == posture.Explicit && ch.PFS.V == posture.Never {
			a.changed(ch.Subject, of(ch.PFS), "forward secrecy", "always", "without it one stolen key opens all recordings; a client that has none is let in by a waiver of CRY-010 alone", "")
		}
	}
}

func (a *adopter) sound(p suite.Protocol, v posture.Value[[]posture.Proposal]) []string {
	if v.Origin != posture.Explicit {
		return nil
	}
	var all []string
	for _, one := range v.V {
		if text, why := keywords(p, one); why == "" && !one.Default {
			all = append(all, text)
		}
	}
	return once(all)
}

func once(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// proposals says of each written proposal what became of it.
func (a *adopter) proposals(z *zone, s posture.Subject, p suite.Protocol, v posture.Value[[]posture.Proposal], list []string) {
	key := map[suite.Protocol]string{suite.ProtocolIKE: "policy.ike", suite.ProtocolESP: "policy.esp"}[p]
	if v.Origin != posture.Explicit {
		if v.Known() {
			a.changed(s, written{v.At, ""}, "the product's default proposals", "policy: strong", "what is written nowhere changes with the version", "")
		}
		return
	}
	for _, one := range v.V {
		w := written{one.At, one.Text}
		text, why := keywords(p, one)
		switch {
		case one.Default:
			continue
		case why != "":
			a.without(s, w, "proposal", why, "the zone's policy has what takes its place")
		case slices.Contains(list, text):
			a.took(s, w, "proposal", key+": "+text)
		default:
			a.changed(s, w, "proposal", "policy: strong", "the source has no sound proposals for both the IKE SA and its children", "")
		}
	}
}

// resolvers of an IKEv2 zone.
func (a *adopter) resolvers(z *zone, s posture.Subject, v posture.Value[[]string]) {
	if v.Origin != posture.Explicit || len(v.V) == 0 {
		return
	}
	ours, public, odd := addresses(v.V)
	for _, addr := range slices.Concat(ours, public) {
		if z.v4.Contains(addr) || z.v6.Contains(addr) {
			a.changed(s, written{v.At, addr.String()}, "DNS", "dns.servers: gateway", "the address is in the pool; the gateway's own passes questions on", "")
			z.dns = once(append(z.dns, "gateway"))
			continue
		}
		z.dns = once(append(z.dns, addr.String()))
		a.took(s, written{v.At, addr.String()}, "DNS", "dns.servers: "+addr.String())
	}
	for _, o := range odd {
		a.without(s, written{v.At, o}, "DNS", "it is no address of a resolver", "")
	}
}

// child adds what a child says of routes and lifetimes.
func (a *adopter) child(z *zone, ch *posture.Child) {
	a.routes(z, ch)
	a.duration(z, ch.Subject, ch.Life, "life of the child", childSpan)
	a.volume(z, ch)
	if ch.Transport.Origin == posture.Explicit {
		if ch.Transport.V {
			a.changed(ch.Subject, of(ch.Transport), "transport mode", "tunnel mode", "clients have inner addresses", "")
		} else {
			a.took(ch.Subject, of(ch.Transport), "tunnel mode", "tunnel mode")
		}
	}
	a.fields(ch.Subject, *ch, childRows)
}

func (a *adopter) volume(z *zone, ch *posture.Child) {
	const least, most, mib = 256 << 20, 1 << 46, 1 << 20
	if v := ch.Bytes; v.Origin == posture.Explicit && v.V > 0 {
		n := min(max(v.V, least), most) / mib
		z.nums["rekey.bytes"] = itoa(int(n)) + "MiB"
		a.took(ch.Subject, of(v), "octets under one key", "rekey.bytes: "+z.nums["rekey.bytes"])
	}
	if v := ch.Packets; v.Origin == posture.Explicit && v.V > 0 {
		z.nums["rekey.packets"] = itoa(int(min(max(v.V, 1<<20), 1<<32-1)))
		a.took(ch.Subject, of(v), "packets under one key", "rekey.packets: "+z.nums["rekey.packets"])
	}
}

// routes are the networks that clients may reach.
func (a *adopter) routes(z *zone, ch *posture.Child) {
	v := ch.LocalTS
	if v.Origin != posture.Explicit {
		return
	}
	for _, text := range v.V {
		w := written{v.At, text}
		p, exact, ok := network(text)
		switch {
		case text == "dynamic" || text == "%dynamic":
			a.took(ch.Subject, w, "networks", "routes: by default")
		case !ok || !exact:
			a.without(ch.Subject, w, "networks", "routes are whole networks, without ports and ranges", "write it in routes, and what is less in a firewall")
		case p.Bits() == 0 && p.Addr().Is4():
			z.route(p, netip.PrefixFrom(netip.IPv6Unspecified(), 0))
			a.changed(ch.Subject, w, "networks", `routes: [0.0.0.0/0, "::/0"]`, "a client's own IPv6 would go past the tunnel", "")
		default:
			z.route(p)
			a.took(ch.Subject, w, "networks", "routes: "+p.String())
		}
	}
}

func (z *zone) route(networks ...netip.Prefix) {
	for _, p := range networks {
		if !slices.Contains(z.routes, p) {
			z.routes = append(z.routes, p)
		}
	}
}

func (a *adopter) roaming(z *zone, c *posture.Connection) {
	if v := c.MOBIKE; v.Origin == posture.Explicit {
		text := "false"
		if v.V {
			text = "true"
		}
		z.nums["mobike"] = text
		a.took(c.Subject, of(v), "MOBIKE", "mobike: "+text)
	}
}

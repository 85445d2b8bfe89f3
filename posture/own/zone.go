package own

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sallyport/config"
	"sallyport/dataplane"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

func item(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// connection is the IKE side of a zone.
func (r *reader) connection(z *config.Zone) {
	base := "zones." + z.Name
	l2tp := z.Protocol == config.L2TP
	c := posture.Connection{
		Subject:    r.subject("connection", z.Name, base),
		Product:    product,
		Role:       always(r, base, posture.Answers, "Sallyport answers clients"),
		V1:         set(r, base+".protocol", l2tp, z.Protocol),
		V2:         set(r, base+".protocol", !l2tp, z.Protocol),
		Address:    always(r, base, []string{"%any"}, "clients come from any address"),
		AnyPeer:    always(r, base, true, "clients come from any address"),
		Aggressive: always(r, base, false, "Sallyport has no aggressive mode"),
		PPK:        always(r, base, posture.Never, "Sallyport has no post-quantum preshared keys"),
		Childless:  always(r, base, false, "Sallyport makes no IKE SA without a Child SA"),
		Rekey:      always(r, base, true, "SAs are replaced, or end with their life"),
		NATT:       always(r, base, true, "Sallyport always detects NAT"),
		Obeys:      always(r, base, false, "each side keeps its own limits"),
		SendsVID:   always(r, base, false, "the gateway does not say what it is"),
		PrivateAlg: always(r, base, false, "transforms of private use are refused"),
	}
	r.proposals(&c, z, base)
	r.auth(&c, z, base)
	r.life(&c, z, base)
	c.Fragments = set(r, base+".fragment", z.Fragment > 0, fmt.Sprint(z.Fragment))
	c.MOBIKE = set(r, base+".mobike", z.MOBIKE, fmt.Sprint(z.MOBIKE))
	if l2tp {
		c.Fragments, c.MOBIKE = posture.Value[bool]{}, posture.Value[bool]{}
	}
	r.inner(&c, z, base)
	c.Children = []posture.Child{r.child(z, base)}
	r.host.Connections = append(r.host.Connections, c)
}

// proposals are those of the policy, which is in the configuration in full.
func (r *reader) proposals(c *posture.Connection, z *config.Zone, base string) {
	key := base + ".policy"
	c.IKE = set(r, key, r.read1(suite.ProtocolIKE, z, z.Policy.IKE, key+".ike"), policyText(z.Policy.Name, z.Policy.IKE))
	c.IKEImplicit = set(r, key, r.known && !r.places.Written(key), "")
}

func policyText(name string, list []string) string {
	if name != "" {
		return name
	}
	return strings.Join(list, ", ")
}

// read1 reads the words of a list, which were checked before.
func (r *reader) read1(p suite.Protocol, z *config.Zone, texts []string, key string) []posture.Proposal {
	var all []posture.Proposal
	for i, text := range texts {
		parsed, err := suite.ParseProposal(p, text)
		if z.Protocol == config.L2TP {
			parsed, err = suite.ParseL2TPProposal(p, text, true)
		}
		one := posture.Proposal{Transforms: parsed.Transforms, At: r.at(item(key, i)), Text: text}
		if waiver, ok := r.waived(z, config.RuleSHA1HMAC); ok && slices.Contains(parsed.Transforms, sha1) {
			one.At = waiver
		}
		if err != nil {
			one.Unknown = []string{text}
		}
		all = append(all, one)
	}
	return all
}

// sha1 is what a waiver adds to the policy of L2TP zones.
var sha1 = func() suite.Transform {
	a, _ := suite.ByKeyword("sha1")
	return a.Transform
}()

// waived is the place of a zone's waiver.
func (r *reader) waived(z *config.Zone, rule string) (posture.Pos, bool) {
	i := slices.IndexFunc(z.Waivers, func(w config.Waiver) bool { return w.Rule == rule })
	if i < 0 {
		return posture.Pos{}, false
	}
	return r.at(item("zones."+z.Name+".waivers", i)), true
}

// auth: what a zone lists are alternatives. In an L2TP zone a machine proves
// itself to IKE, and its user to PPP.
func (r *reader) auth(c *posture.Connection, z *config.Zone, base string) {
	key, methods := base+".auth", z.Auth
	if z.Protocol == config.L2TP {
		key, methods = base+".machine", z.Machine
	}
	text := strings.Join(methods, ", ")
	id := set(r, base+".identity.id", z.Identity.ID, z.Identity.ID)
	if id.V == "" {
		id = posture.Written(r.c.Gateway.Name, r.at("gateway.name"), r.c.Gateway.Name)
	}
	one := func(m posture.Method) posture.Auth {
		return posture.Auth{Method: set(r, key, m, text), ID: always(r, base, "%any", "every client of the zone")}
	}
	us := posture.Auth{Method: always(r, base, posture.MethodPubkey, "the gateway signs"), ID: id, CertFile: z.Identity.Certificate}
	var eap []string
	for _, m := range methods {
		switch m {
		case config.Certificate:
			c.Remote = append(c.Remote, one(posture.MethodPubkey))
			c.Local = append(c.Local, us)
		case config.PSK:
			r.devicePSKs(z, key)
			c.Remote = append(c.Remote, one(posture.MethodPSK))
			c.Local = append(c.Local, posture.Auth{Method: set(r, key, posture.MethodPSK, text), ID: id})
		default:
			eap = append(eap, strings.TrimPrefix(m, "eap-"))
		}
	}
	if len(eap) > 0 {
		a := one(posture.MethodEAP)
		a.EAP = set(r, key, eap, text)
		c.Remote = append(c.Remote, a)
		if len(c.Local) == 0 || !posture.Is(c.Local[0].Method, posture.MethodPubkey) {
			c.Local = append(c.Local, us)
		}
	}
	r.trust(c, z, base)
}

// trust: certificates of the gateway's own CA are looked up in its register,
// and those of others in their lists.
func (r *reader) trust(c *posture.Connection, z *config.Zone, base string) {
	c.Revocation = always(r, base, posture.Always, "the gateway's own register is always asked")
	if len(z.Trust.CAs) > 0 {
		demand := posture.Optional
		if z.Trust.Strict {
			demand = posture.Always
		}
		c.Revocation = set(r, base+".trust.strict", demand, fmt.Sprint(z.Trust.Strict))
	}
	c.SHA1Sig = always(r, base, false, "SHA-1 signatures are refused")
	if i := slices.IndexFunc(z.Waivers, func(w config.Waiver) bool { return w.Rule == config.RuleSHA1 }); i >= 0 {
		c.SHA1Sig = posture.Written(true, r.at(item(base+".waivers", i)), config.RuleSHA1)
	}
}

func (r *reader) life(c *posture.Connection, z *config.Zone, base string) {
	c.IKELife = set(r, base+".rekey.ike", z.Rekey.IKE, z.Rekey.IKE.String())
	c.DPD = set(r, base+".dpd", z.DPD, z.DPD.String())
	if z.Protocol != config.L2TP {
		c.Reauth = set(r, base+".auth_lifetime", z.AuthLifetime, z.AuthLifetime.String())
	}
}

// inner is what clients get of IKE; those of L2TP get it of PPP.
func (r *reader) inner(c *posture.Connection, z *config.Zone, base string) {
	if z.Protocol == config.L2TP {
		c.Pool = always(r, base, []string(nil), "PPP gives addresses")
		c.DNS = always(r, base, []string(nil), "PPP tells resolvers")
		return
	}
	c.DNS = r.resolvers(z, base)
	pool := prefixes(z.Pool.IPv4, z.Pool.IPv6)
	c.Pool = set(r, base+".pool.ipv4", pool, strings.Join(pool, ", "))
}

func (r *reader) resolvers(z *config.Zone, base string) posture.Value[[]string] {
	var dns []string
	for _, a := range z.Resolvers() {
		dns = append(dns, a.String())
	}
	return set(r, base+".dns.servers", dns, strings.Join(dns, ", "))
}

func prefixes(list ...netip.Prefix) []string {
	var out []string
	for _, p := range list {
		if p.IsValid() {
			out = append(out, p.String())
		}
	}
	return out
}

// child is the zone's one kind of Child SA.
func (r *reader) child(z *config.Zone, base string) posture.Child {
	l2tp := z.Protocol == config.L2TP
	key := base + ".policy"
	esp := r.read1(suite.ProtocolESP, z, z.Policy.ESP, key+".esp")
	child := posture.Child{
		Subject:     r.subject("child", z.Name, base),
		ESP:         set(r, key, esp, policyText(z.Policy.Name, z.Policy.ESP)),
		ESPImplicit: set(r, key, r.known && !r.places.Written(key), ""),
		AH:          always(r, base, false, "Sallyport has no AH"),
		PFS:         set(r, key, pfs(esp), policyText(z.Policy.Name, z.Policy.ESP)),
		Life:        set(r, base+".rekey.child", z.Rekey.Child, z.Rekey.Child.String()),
		Bytes:       set(r, base+".rekey.bytes", uint64(z.Rekey.Bytes), z.Rekey.Bytes.String()),
		Packets:     set(r, base+".rekey.packets", z.Rekey.Packets, fmt.Sprint(z.Rekey.Packets)),
		Replay:      always(r, base, int(dataplane.DefaultWindow), "the window of the data plane"),
		ESN:         set(r, key, esn(esp), policyText(z.Policy.Name, z.Policy.ESP)),
		IPComp:      always(r, base, false, "Sallyport has no IPComp"),
		SHA256Trunc: always(r, base, false, "Sallyport has no truncation to 96 bits"),
		Transport:   always(r, base, l2tp, "transport mode is for L2TP alone"),
		FailOpen:    always(r, base, false, "inner packets without an SA are dropped"),
		L2TP:        l2tp,
	}
	r.selectors(&child, z, base)
	return child
}

func (r *reader) selectors(child *posture.Child, z *config.Zone, base string) {
	if child.L2TP {
		child.LocalTS = always(r, base, []string{"dynamic[udp/1701]"}, "L2TP alone is taken")
		child.RemoteTS = always(r, base, []string{"dynamic[udp]"}, "L2TP alone is taken")
		return
	}
	routes, pool := prefixes(z.Routes...), prefixes(z.Pool.IPv4, z.Pool.IPv6)
	child.LocalTS = set(r, base+".routes", routes, strings.Join(routes, ", "))
	child.RemoteTS = set(r, base+".pool.ipv4", pool, strings.Join(pool, ", "))
}

// pfs: a proposal without a key exchange, or with the word for none among its
// exchanges, lets the client do without.
func pfs(esp []posture.Proposal) posture.Demand {
	with, without := false, false
	for _, p := range esp {
		kes := p.Of(suite.KE)
		none := func(t suite.Transform) bool { return t.ID == 0 }
		without = without || len(kes) == 0 || slices.ContainsFunc(kes, none)
		with = with || slices.ContainsFunc(kes, func(t suite.Transform) bool { return !none(t) })
	}
	switch {
	case !with:
		return posture.Never
	case without:
		return posture.Optional
	}
	return posture.Always
}

func esn(esp []posture.Proposal) bool {
	return slices.ContainsFunc(esp, func(p posture.Proposal) bool {
		return slices.ContainsFunc(p.Of(suite.ESN), func(t suite.Transform) bool { return t.ID == 1 })
	})
}

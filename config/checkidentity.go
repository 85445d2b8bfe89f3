package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// checkGroups holds each group against its zone.
func (d *decoder) checkGroups(c *Config) {
	for i := range c.Groups {
		g := &c.Groups[i]
		base := "groups." + g.Name
		z, ok := c.Zone(g.Zone)
		if !ok {
			var names []string
			for _, z := range c.Zones {
				names = append(names, z.Name)
			}
			d.errorAt(base+".zone", suggest(g.Zone, names), "there is no zone %q", g.Zone)
			continue
		}
		d.checkGroupPool(base+".pool.ipv4", g.Pool.IPv4, z.Pool.IPv4)
		d.checkGroupPool(base+".pool.ipv6", g.Pool.IPv6, z.Pool.IPv6)
		d.checkGroupDNS(base+".dns", g, z)
		d.checkNetworks(base+".routes", g.Routes)
		for j := range i {
			d.checkGroupsApart(base+".pool.ipv4", g.Pool.IPv4, &c.Groups[j], c.Groups[j].Pool.IPv4)
			d.checkGroupsApart(base+".pool.ipv6", g.Pool.IPv6, &c.Groups[j], c.Groups[j].Pool.IPv6)
		}
	}
}

// checkGroupsApart lets a firewall tell groups by their addresses.
func (d *decoder) checkGroupsApart(key string, p netip.Prefix, other *Group, o netip.Prefix) {
	if p.IsValid() && o.IsValid() && p.Overlaps(o) {
		d.errorAt(key, "give each group its own part", "%s overlaps %s of group %s", p, o, other.Name)
	}
}

func (d *decoder) checkGroupPool(key string, part, whole netip.Prefix) {
	switch {
	case !part.IsValid():
	case !whole.IsValid() || part.Addr().Is4() != whole.Addr().Is4() || part.Bits() < whole.Bits() || !whole.Contains(part.Addr()):
		d.errorAt(key, "choose a part of "+formatPrefix(whole), "%s is not within the pool of the zone, %s", part, formatPrefix(whole))
	case part.Bits() > part.Addr().BitLen()-1:
		d.errorAt(key, "for one user, give the user an address: sallyport user set NAME --inner", "%s is one address", part)
	}
}

func (d *decoder) checkGroupDNS(key string, g *Group, z *Zone) {
	for i, s := range g.DNS.Servers {
		d.checkServer(fmt.Sprintf("%s.servers[%d]", key, i), s, z.Pool)
	}
	d.checkDomains(key, g.DNS)
	if len(g.DNS.Split) > 0 && len(g.DNS.Servers)+len(z.DNS.Servers) == 0 {
		d.errorAt(key+".split", "add servers", "split domains need a resolver inside the tunnel")
	}
}

// checkRADIUSOf holds a zone against the servers that judge its users.
func (d *decoder) checkRADIUSOf(key string, z *Zone) {
	if z.RADIUS == "" {
		return
	}
	realm, ok := d.config.Realm(z.RADIUS)
	if !ok {
		var names []string
		for _, r := range d.config.RADIUS {
			names = append(names, r.Name)
		}
		d.errorAt(key, suggest(z.RADIUS, names), "there are no RADIUS servers %q", z.RADIUS)
		return
	}
	eap := slices.ContainsFunc(z.Auth, func(m string) bool { return slices.Contains(EAPMethods, m) })
	if len(realm.Servers) > 0 && !eap && !d.broken["zones."+z.Name+".auth"] {
		d.errorAt(key, "add eap-tls, peap or eap-ttls to the zone's auth", "the servers judge EAP, and the zone takes none")
	}
}

func (d *decoder) checkRADIUS(c *Config) {
	for i := range c.RADIUS {
		r := &c.RADIUS[i]
		base := "radius." + r.Name
		if len(r.Servers)+len(r.Accounting) == 0 {
			d.errorAt(base, "add servers, accounting or both", "no server is named")
		}
		for what, list := range map[string][]RADIUSServer{"servers": r.Servers, "accounting": r.Accounting} {
			for i, s := range list {
				d.checkRADIUSServer(fmt.Sprintf("%s.%s[%d]", base, what, i), s)
			}
		}
		d.checkDynamic(base+".dynamic", r.Dynamic)
		if !slices.ContainsFunc(c.Zones, func(z Zone) bool { return z.RADIUS == r.Name }) {
			d.warnAt(base, "write radius: "+r.Name+" in a zone", "no zone uses these servers")
		}
	}
}

func (d *decoder) checkRADIUSServer(key string, s RADIUSServer) {
	host, port, err := net.SplitHostPort(s.Address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" {
		d.errorAt(key+".address", "write host and port, such as radius1.example.org:1812", "%q is not host:port", s.Address)
	}
	if s.TLS.CA == "" {
		if s.Secret == "" {
			d.errorAt(key, "name the file of its shared secret, or set up tls", "the server has neither secret nor tls.ca")
		} else {
			d.checkPath(key+".secret", s.Secret)
		}
		if s.TLS != (RadSec{}) {
			d.errorAt(key+".tls", "add ca", "without ca nothing is believed")
		}
		return
	}
	if s.Secret != "" {
		d.errorAt(key+".secret", "remove it: over TLS the secret is always the same word", "a secret is of no use with tls")
	}
	for name, file := range map[string]string{"ca": s.TLS.CA, "certificate": s.TLS.Certificate, "key": s.TLS.Key} {
		d.checkPath(key+".tls."+name, file)
	}
	if s.TLS.CRL != "" {
		d.checkPath(key+".tls.crl", s.TLS.CRL)
	}
}

func (d *decoder) checkDynamic(key string, dyn Dynamic) {
	switch {
	case dyn.Listen.IsValid() && len(dyn.From) == 0:
		d.errorAt(key+".from", "name the servers that may send requests", "nobody is listened to")
	case !dyn.Listen.IsValid() && len(dyn.From) > 0:
		d.errorAt(key+".listen", "for example 192.0.2.1:3799", "requests are expected, and nothing listens for them")
	}
	for i, f := range dyn.From {
		at := fmt.Sprintf("%s.from[%d]", key, i)
		d.checkPath(at+".secret", f.Secret)
		if slices.ContainsFunc(dyn.From[:i], func(o DynamicSource) bool { return o.Address == f.Address }) {
			d.errorAt(at, "remove it", "%s is here twice", f.Address)
		}
	}
}

// checkLogins refuses zones that one login could mean: where two zones answer
// to one name, EAP begins before anybody knows whose it is, so it must be
// judged in one place.
func (d *decoder) checkLogins(c *Config) {
	first := map[string]*Zone{}
	for i := range c.Zones {
		z := &c.Zones[i]
		if !slices.ContainsFunc(z.Auth, func(m string) bool { return slices.Contains(EAPMethods, m) }) {
			continue
		}
		id := cmp.Or(z.Identity.ID, c.Gateway.Name)
		if other := first[id]; other != nil && d.judge(c, other) != d.judge(c, z) {
			d.errorAt("zones."+z.Name+".radius", "give one of the two zones an identity of its own, or the same radius",
				"the zones %s and %s answer to the same name, and EAP logins would have to be judged in two places", other.Name, z.Name)
		} else if other == nil {
			first[id] = z
		}
	}
}

// judge is the realm that judges a zone's EAP; empty: the gateway itself.
func (d *decoder) judge(c *Config, z *Zone) string {
	if r, ok := c.Realm(z.RADIUS); ok && len(r.Servers) > 0 {
		return r.Name
	}
	return ""
}

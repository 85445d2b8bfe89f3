package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const (
	// maxServers is how many servers a client of RADIUS looks after; who needs
	// more has a proxy.
	maxServers = 16
	// longestIdentifier is what an attribute can hold (RFC 2865, Section 5).
	longestIdentifier = 253
	// shortestInterim must be kept (RFC 2869, Section 5.16).
	shortestInterim = time.Minute
)

func (d *decoder) checkRADIUS(c *Config) {
	listening := map[netip.AddrPort]string{}
	for i := range c.RADIUS {
		r := &c.RADIUS[i]
		base := "radius." + r.Name
		d.checkRealm(base, r)
		d.checkDynamic(base+".dynamic", r.Dynamic)
		if at := r.Dynamic.Listen; at.IsValid() {
			d.checkListening(base+".dynamic.listen", at, c.Gateway.Ports, listening[at])
			listening[at] = cmp.Or(listening[at], r.Name)
		}
		if !slices.ContainsFunc(c.Zones, func(z Zone) bool { return z.RADIUS == r.Name }) {
			d.warnAt(base, "write radius: "+r.Name+" in a zone", "no zone uses these servers")
		}
	}
}

func (d *decoder) checkRealm(base string, r *Realm) {
	if len(r.Servers)+len(r.Accounting) == 0 && !d.broken[base+".servers"] && !d.broken[base+".accounting"] {
		d.errorAt(base, "add servers, accounting or both", "no server is named")
	}
	d.checkServers(base+".servers", r.Servers)
	d.checkServers(base+".accounting", r.Accounting)
	if len(r.Identifier) > longestIdentifier {
		d.errorAt(base+".identifier", "write a shorter one", "%d octets; the limit is %d", len(r.Identifier), longestIdentifier)
	}
	switch key := base + ".interim"; {
	case r.Interim > 0 && r.Interim < shortestInterim:
		d.errorAt(key, "write 0s for no updates", "%s is shorter than %s", formatDuration(r.Interim), formatDuration(shortestInterim))
	case d.written[key] && r.Interim > 0 && len(r.Accounting) == 0:
		d.warnAt(key, "add accounting", "there is no server to send updates to")
	}
}

func (d *decoder) checkServers(key string, servers []RADIUSServer) {
	if len(servers) > maxServers {
		d.errorAt(key, "name a proxy that knows the others", "%d servers; the limit is %d", len(servers), maxServers)
		return
	}
	for i, s := range servers {
		at := fmt.Sprintf("%s[%d]", key, i)
		d.checkHostPort(at+".address", s.Address)
		if slices.ContainsFunc(servers[:i], func(o RADIUSServer) bool { return o.Address == s.Address }) {
			d.errorAt(at+".address", "remove it", "%q is here twice", s.Address)
		}
		d.checkSecurity(at, s)
	}
}

func (d *decoder) checkHostPort(key, text string) {
	host, port, err := net.SplitHostPort(text)
	n, noPort := strconv.ParseUint(port, 10, 16)
	a, noAddr := netip.ParseAddr(host)
	named := noAddr != nil && validDomain(host)
	numbered := noAddr == nil && !a.IsUnspecified() && !a.IsMulticast()
	if err != nil || noPort != nil || n == 0 || !named && !numbered {
		d.errorAt(key, `write host and port, such as radius1.example.org:1812 or "[2001:db8::1]:1812"`, "%q is not the host and port of a server", text)
	}
}

// checkSecurity wants a secret or TLS, and never both.
func (d *decoder) checkSecurity(key string, s RADIUSServer) {
	tls := key + ".tls"
	switch {
	case d.broken[key+".secret"] || d.broken[tls] || d.broken[tls+".ca"]: // one fault, one message
	case s.TLS.CA != "":
		d.checkRadSec(tls, s.TLS)
		if s.Secret != "" {
			d.errorAt(key+".secret", "remove it: over TLS the secret is always the same word", "a secret is of no use with tls")
		}
	case s.TLS != RadSec{}:
		d.errorAt(tls+".ca", "name the file of the CA", "without ca nothing that the server shows can be believed")
	case s.Secret != "":
		d.checkSecretPath(key+".secret", s.Secret)
	default:
		d.errorAt(key, "name the file of its shared secret, or set up tls", "the server has neither secret nor tls")
	}
}

func (d *decoder) checkRadSec(key string, tls RadSec) {
	d.checkPath(key+".ca", tls.CA)
	if tls.CRL != "" {
		d.checkPath(key+".crl", tls.CRL)
	}
	if tls.Name != "" {
		d.checkName(key+".name", tls.Name)
	}
	if tls.Certificate == "" && tls.Key == "" && !d.broken[key+".certificate"] && !d.broken[key+".key"] {
		d.errorAt(key+".certificate", "name the files of the gateway's certificate and key", "both ends show certificates, and the gateway has none")
		return
	}
	d.checkKeyPair(key, tls.Certificate, tls.Key)
}

func (d *decoder) checkDynamic(key string, dyn Dynamic) {
	switch {
	case dyn.Listen.IsValid() && len(dyn.From) == 0:
		d.errorAt(key+".from", "name the servers that may send requests", "nobody is listened to")
	case !dyn.Listen.IsValid() && len(dyn.From) > 0 && !d.broken[key+".listen"]:
		d.errorAt(key+".listen", "for example 192.0.2.1:3799", "requests are expected, and nothing listens for them")
	}
	for i, f := range dyn.From {
		at := fmt.Sprintf("%s.from[%d]", key, i)
		d.checkSecretPath(at+".secret", f.Secret)
		switch {
		case !f.Address.IsValid(): // it could not be read
		case slices.ContainsFunc(dyn.From[:i], func(o DynamicSource) bool { return o.Address == f.Address }):
			d.errorAt(at+".address", "remove it", "%s is here twice", f.Address)
		case dyn.Listen.IsValid() && dyn.Listen.Addr().Is4() != f.Address.Is4():
			d.errorAt(at+".address", "write both as IPv4, or both as IPv6", "%s cannot send to %s", f.Address, dyn.Listen)
		}
	}
}

// checkListening refuses a socket that is taken: each has the secrets of one
// realm, and IKE has its own.
func (d *decoder) checkListening(key string, at netip.AddrPort, ports Ports, other string) {
	switch {
	case other != "":
		d.errorAt(key, "choose another port", "%s listens on %s already", other, at)
	case at.Port() == ports.IKE || at.Port() == ports.NATT:
		d.errorAt(key, "the usual port is 3799", "port %d is taken by IKE", at.Port())
	}
}

// checkRADIUSOf holds a zone against the servers that judge its users.
func (d *decoder) checkRADIUSOf(key string, z *Zone) {
	if z.RADIUS == "" || d.unread("radius."+z.RADIUS) {
		return
	}
	realm, ok := d.config.Realm(z.RADIUS)
	switch {
	case !ok:
		d.errorAt(key, suggestItem(z.RADIUS, d.config.RADIUS), "there are no RADIUS servers %q", z.RADIUS)
	case len(realm.Servers) > 0 && !z.takesEAP() && !d.unread("zones."+z.Name+".auth"):
		d.errorAt(key, "add eap-tls, peap or eap-ttls to the zone's auth", "the servers judge EAP, and the zone takes none")
	}
}

func (z *Zone) takesEAP() bool {
	return slices.ContainsFunc(z.Auth, func(m string) bool { return slices.Contains(EAPMethods, m) })
}

// checkLogins refuses zones that one login could mean: where two zones answer
// to one name, EAP begins before anybody knows whose it is, so it must be
// judged in one place. An L2TP zone is known by its address.
func (d *decoder) checkLogins(c *Config) {
	first := map[string]*Zone{}
	for i := range c.Zones {
		z := &c.Zones[i]
		if !z.takesEAP() || z.Protocol != IKEv2 || d.unread("zones."+z.Name+".identity.id") || !d.judged(c, z) {
			continue
		}
		for _, name := range c.answersTo(z) {
			other := first[name]
			if other == nil {
				first[name] = z
			} else if judge(c, other) != judge(c, z) {
				d.errorAt("zones."+z.Name+".radius", "give both zones an identity of their own, or the same radius",
					"the zones %s and %s answer to the name %s, and EAP logins would have to be judged in two places", other.Name, z.Name, name)
				break
			}
		}
	}
}

// answersTo are the names of a zone: all of the gateway's, unless it has an
// identity of its own.
func (c *Config) answersTo(z *Zone) []string {
	if z.Identity != (Identity{}) {
		return []string{sameName(cmp.Or(z.Identity.ID, c.Gateway.Name))}
	}
	return c.gatewayNames()
}

// gatewayNames are those of the gateway's own certificates.
func (c *Config) gatewayNames() []string {
	names := []string{sameName(c.Gateway.Name)}
	for _, n := range c.Gateway.Names {
		names = append(names, sameName(n))
	}
	return names
}

// sameName is one spelling for the several of an address.
func sameName(name string) string {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.String()
	}
	return name
}

// judged tells whether it could be read who judges a zone's EAP.
func (d *decoder) judged(c *Config, z *Zone) bool {
	_, ok := c.Realm(z.RADIUS)
	return (ok || z.RADIUS == "") && !d.unread("zones."+z.Name+".radius") && !d.unread("radius."+z.RADIUS+".servers")
}

// judge is the realm that judges a zone's EAP; empty: the gateway itself.
func judge(c *Config, z *Zone) string {
	if r, ok := c.Realm(z.RADIUS); ok && len(r.Servers) > 0 {
		return r.Name
	}
	return ""
}

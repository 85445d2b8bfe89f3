package config

import (
	"fmt"
	"net/netip"
)

// checkGroups holds each group against its zone, and against the groups before
// it.
func (d *decoder) checkGroups(c *Config) {
	for i := range c.Groups {
		g := &c.Groups[i]
		base := "groups." + g.Name
		d.checkNetworks(base+".routes", g.Routes)
		d.checkRates(base+".user", g.User)
		z, ok := c.Zone(g.Zone)
		switch {
		case d.unread("zones." + g.Zone), d.unread("zones." + g.Zone + ".protocol"):
			continue // one fault, one message
		case !ok:
			d.errorAt(base+".zone", suggestItem(g.Zone, c.Zones), "there is no zone %q", g.Zone)
			continue
		}
		d.checkDNS(base+".dns", g.DNS, z.DNS.Servers, z.Pool)
		if z.Protocol == L2TP {
			d.checkL2TPGroup(base, g, z)
		}
		for _, f := range []struct {
			family string
			of     func(Pool) netip.Prefix
		}{
			{"ipv4", func(p Pool) netip.Prefix { return p.IPv4 }},
			{"ipv6", func(p Pool) netip.Prefix { return p.IPv6 }},
		} {
			if d.unread("zones." + z.Name + ".pool." + f.family) {
				continue
			}
			key := base + ".pool." + f.family
			d.checkPart(key, f.of(g.Pool), f.of(z.Pool))
			for _, earlier := range c.Groups[:i] {
				if a, b := f.of(g.Pool), f.of(earlier.Pool); earlier.Zone == g.Zone && a.Overlaps(b) {
					d.errorAt(key, "give each group its own part", "%s overlaps %s of group %s", a, b, earlier.Name)
				}
			}
		}
	}
}

// checkPart holds a group's pool against the zone's.
func (d *decoder) checkPart(key string, part, whole netip.Prefix) {
	const fewest = 2 // clients; one would be a user's static address
	switch {
	case !part.IsValid():
	case !whole.IsValid():
		d.errorAt(key, "remove it, or give the zone a pool of this family", "the zone gives no addresses of this family")
	case part.Bits() < whole.Bits() || !whole.Contains(part.Addr()):
		d.errorAt(key, "choose a part of "+whole.String(), "%s is not within the pool of the zone, %s", part, whole)
	case part == whole:
		d.warnAt(key, "remove it, or choose a part", "%s is the whole pool of the zone: it sets nobody apart", part)
	case !roomFor(fewest, part, whole):
		d.errorAt(key, "for one user, give the user a static address: sallyport user set NAME --inner", "%s has no room for %d clients", part, fewest)
	}
}

// roomFor tells whether a part of a pool has addresses for some clients beside
// the network's own, the gateway's and, in IPv4, the one for broadcast.
func roomFor(clients int, part, whole netip.Prefix) bool {
	network := whole.Addr()
	for a := part.Addr(); clients > 0 && part.Contains(a); a = a.Next() {
		if a != network && a != network.Next() && (a.Is6() || whole.Contains(a.Next())) {
			clients--
		}
	}
	return clients == 0
}

// slowest still lets a full packet through in less than a fifth of a second.
const slowest Bitrate = 64e3

func (d *decoder) checkRates(key string, u User) {
	for _, rate := range []struct {
		name string
		bits Bitrate
	}{{"download", u.Download}, {"upload", u.Upload}} {
		if rate.bits > 0 && rate.bits < slowest {
			d.errorAt(fmt.Sprintf("%s.%s", key, rate.name), "write at least "+slowest.String(), "%s is too slow for packets of full size", rate.bits)
		}
	}
}

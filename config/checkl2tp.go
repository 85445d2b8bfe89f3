package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pppMethods are the ways for a user of an L2TP zone: EAP with TLS around it.
// PAP, CHAP and bare MS-CHAPv2 are nowhere.
var pppMethods = []string{EAPTLS, PEAP}

// machineMethods are the ways for the IPsec part (RFC 2409, Section 5.1 and
// Section 5.4).
var machineMethods = []string{Certificate, PSK}

func (d *decoder) checkL2TP(base string, z *Zone, now time.Time) {
	d.checkPPPAuth(base+".auth", z.Auth)
	d.checkMachine(base, z, now)
	d.checkReach(base, z)
	d.checkListen(base+".listen", z.Listen)
	if !validInterface(z.Device) {
		d.errorAt(base+".device", interfaceHint, "%q cannot name an interface", z.Device)
	}
	const fits = 1400 // what ESP with CBC, UDP, L2TP and PPP leave of 1500, and the round figure of Windows
	if z.MTU > fits {
		d.warnAt(base+".mtu", "write 1400", "packets of %d octets need fragments on a path of 1500 (NAT-003)", z.MTU)
	}
	d.checkCutoff(base+".cutoff", z.Cutoff, now)
}

func (d *decoder) checkPPPAuth(key string, methods []string) {
	d.checkMethods(key, methods, pppMethods, "[eap-tls]", map[string]string{
		Certificate:   "write machine: [certificate] for the IPsec part, and eap-tls for its user",
		PSK:           "write machine: [psk]",
		EAPTTLS:       "use peap",
		EAPMSCHAPv2:   "use peap, which puts TLS around it",
		"mschapv2":    "use peap, which puts TLS around it",
		"mschap-v2":   "use peap, which puts TLS around it",
		"pap":         "use peap; PAP shows the password",
		"chap":        "use peap",
		"eap-mschap2": "use peap, which puts TLS around it",
	}, "a user of L2TP")
}

// checkMethods wants at least one of the known ways, each once.
func (d *decoder) checkMethods(key string, methods, known []string, usual string, instead map[string]string, who string) {
	if len(methods) == 0 {
		d.errorAt(key, "write "+usual, "a zone needs a way to prove who %s is", who)
	}
	for i, m := range methods {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case slices.Contains(methods[:i], m):
			d.errorAt(at, "remove it", "%q is here twice", m)
		case !slices.Contains(known, m):
			d.errorAt(at, cmp.Or(instead[m], suggest(m, known), "the ways are "+strings.Join(known, " and ")), "%q is no way to prove who %s is", m, who)
		}
	}
}

// checkMachine judges how the IPsec part proves itself. A key for any client is
// known to every client, so each of them can pose as the gateway to the others.
func (d *decoder) checkMachine(base string, z *Zone, now time.Time) {
	d.checkMethods(base+".machine", z.Machine, machineMethods, "[certificate]", map[string]string{
		EAPTLS: "write it in auth", PEAP: "write it in auth",
	}, "a machine")
	key := base + ".group_psk"
	if z.GroupPSK == "" || d.unread(key) {
		return
	}
	d.checkSecretPath(key, z.GroupPSK)
	if !slices.Contains(z.Machine, PSK) && !d.unread(base+".machine") {
		d.errorAt(key, "add psk to machine, or remove the key", "no machine proves itself with a pre-shared key here")
	}
	if !z.Waived(RulePSKAny, "", now) {
		d.errorAt(key, "use certificates, or a key for each device, or waive "+RulePSKAny, "whoever has the one key of all clients can pose as the gateway")
	}
}

const (
	// clientBits is the prefix that each client gets: its end of a PPP link makes
	// its address itself, from an identifier of 64 bits (RFC 5072, Section 5).
	clientBits = 64
	// largestL2TPPool and smallestL2TPPool bound an IPv6 pool: a site, or fifteen
	// clients beside the gateway.
	largestL2TPPool  = 48
	smallestL2TPPool = 60
)

// checkClientNetworks judges an IPv6 pool by how many clients it has a network
// for.
func (d *decoder) checkClientNetworks(key string, v6 netip.Prefix) {
	if v6.IsValid() && v6.Addr().Is6() && (v6.Bits() < largestL2TPPool || v6.Bits() > smallestL2TPPool) {
		d.errorAt(key, fmt.Sprintf("write a /%d to /%d, such as %q, or none", largestL2TPPool, smallestL2TPPool, "fd00:62::/56"), "%s: each client of an L2TP zone gets a /%d of it", v6, clientBits)
		return
	}
	d.checkNetwork(key, v6, false, smallestL2TPPool)
}

// checkReach warns of a zone that is less apart than it looks, or cut off.
func (d *decoder) checkReach(base string, z *Zone) {
	key := base + ".reach"
	d.checkNetworks(key, z.Reach)
	if len(z.Reach) == 0 {
		d.warnAt(key, "for example reach: [10.20.30.0/24]", "clients reach the gateway's resolver and nothing else")
	}
	for i, p := range z.Reach {
		if p.IsValid() && p.Bits() == 0 {
			d.warnAt(fmt.Sprintf("%s[%d]", key, i), "name the networks that the clients need", "%s: the zone is apart from the pools of other zones and from nothing else", p)
		}
	}
	if d.written[base+".routes"] {
		d.checkNetworks(base+".routes", z.Routes)
		d.checkTold(base+".routes", z.Routes, z)
	}
	for i, s := range z.DNS.Servers {
		if !s.Gateway && !reaches(z.Reach, netip.PrefixFrom(s.Addr, s.Addr.BitLen())) && !slices.Contains(z.Pool.Gateway(), s.Addr) {
			d.warnAt(fmt.Sprintf("%s.dns.servers[%d]", base, i), "add it to reach, or write gateway", "%s is not in reach of the clients", s.Addr)
		}
	}
}

// checkTold warns of routes that lead nowhere.
func (d *decoder) checkTold(key string, routes Prefixes, z *Zone) {
	for i, p := range routes {
		if p.IsValid() && !reaches(z.Reach, p) && !d.unread("zones."+z.Name+".reach") {
			d.warnAt(fmt.Sprintf("%s[%d]", key, i), "add it to reach", "clients are told of %s and do not reach it", p)
		}
	}
}

// reaches tells whether a network is inside one that is in reach.
func reaches(reach Prefixes, p netip.Prefix) bool {
	return slices.ContainsFunc(reach, func(r netip.Prefix) bool { return inside(r, p) })
}

// inside tells whether a network holds all of another.
func inside(whole, part netip.Prefix) bool {
	return whole.IsValid() && whole.Bits() <= part.Bits() && whole.Contains(part.Addr())
}

func (d *decoder) checkListen(key string, listen []Listen) {
	for i, l := range listen {
		if slices.Contains(listen[:i], l) {
			d.errorAt(fmt.Sprintf("%s[%d]", key, i), "remove it", "%q is here twice", l)
		}
	}
}

// checkCutoff tells of the end before it comes. A day that is over is no error:
// the other zones go on.
func (d *decoder) checkCutoff(key string, cutoff Day, now time.Time) {
	switch {
	case cutoff.IsZero():
	case cutoff.Over(now):
		d.warnAt(key, "remove the zone", "the zone ended on %s: its clients are refused", cutoff)
	case cutoff.Before(now.AddDate(0, 0, soon)):
		d.warnAt(key, "move the clients that are left to IKEv2", "the zone ends on %s", cutoff)
	}
}

func (d *decoder) checkL2TPGroup(base string, g *Group, z *Zone) {
	if len(g.DNS.Split) > 0 {
		d.errorAt(base+".dns.split", "remove it: PPP tells resolvers and no domains", "the zone %s is an L2TP zone", z.Name)
	}
	const smallest = clientBits - 2 // the gateway's /64, and two for clients
	if p := g.Pool.IPv6; p.IsValid() && inside(z.Pool.IPv6, p) && p.Bits() > smallest {
		d.errorAt(base+".pool.ipv6", fmt.Sprintf("write at least a /%d", smallest), "%s is too small: each client of an L2TP zone gets a /%d of it", p, clientBits)
	}
	d.checkTold(base+".routes", g.Routes, z)
}

// checkApart holds L2TP zones against each other and against all other zones.
func (d *decoder) checkApart(c *Config) {
	for i := range c.Zones {
		z := &c.Zones[i]
		if z.Protocol != L2TP {
			continue
		}
		d.checkOwnDevice(c, z, c.Zones[:i])
		d.checkOwnListen(c, z, c.Zones[:i])
		d.checkOwnIdentity(c, z)
		d.checkOtherPools(c, z)
	}
}

func (d *decoder) checkOwnDevice(c *Config, z *Zone, earlier Zones) {
	key := "zones." + z.Name + ".device"
	if z.Device == c.Gateway.Dataplane.Device {
		d.errorAt(key, "choose another name", "%q is gateway.dataplane.device", z.Device)
	}
	for _, o := range earlier.Of(L2TP) {
		if o.Device == z.Device && !d.unread("zones."+o.Name+".device") {
			d.errorAt(key, "give each L2TP zone a device of its own", "%q is the device of zone %s", z.Device, o.Name)
		}
	}
}

// checkOwnListen keeps two L2TP zones off one address: the address is all that
// tells which zone a client of IKEv1 means.
func (d *decoder) checkOwnListen(c *Config, z *Zone, earlier Zones) {
	key := "zones." + z.Name + ".listen"
	for _, o := range earlier.Of(L2TP) {
		if d.unread("zones."+o.Name+".listen") || d.unread("gateway.listen") {
			continue
		}
		if where, both := bothListen(c.listenOf(z), c.listenOf(&o)); both {
			d.errorAt(key, "give each L2TP zone an address of its own", "the zone %s listens on %s too", o.Name, where)
		}
	}
}

// listenOf is where a zone listens; empty means everywhere.
func (c *Config) listenOf(z *Zone) []Listen {
	if len(z.Listen) > 0 {
		return z.Listen
	}
	return c.Gateway.Listen
}

// bothListen finds a place that two lists share. Which addresses an interface
// has is not known here: the gateway looks when it starts.
func bothListen(a, b []Listen) (string, bool) {
	if len(a) == 0 || len(b) == 0 {
		return "all addresses", true
	}
	for _, l := range a {
		if slices.Contains(b, l) {
			return l.String(), true
		}
	}
	return "", false
}

// checkOwnIdentity keeps the keys of IKEv2 out of IKEv1: whoever breaks the
// weaker protocol must not speak for the gateway in the stronger.
func (d *decoder) checkOwnIdentity(c *Config, z *Zone) {
	for _, o := range c.Zones.Of(IKEv2) {
		for _, f := range []struct{ name, own, other string }{
			{"key", z.Identity.Key, o.Identity.Key},
			{"certificate", z.Identity.Certificate, o.Identity.Certificate},
		} {
			if f.own != "" && filepath.Clean(f.own) == filepath.Clean(f.other) {
				d.errorAt("zones."+z.Name+".identity."+f.name, "give the L2TP zone a key and a certificate of its own, or remove both", "zone %s, which is IKEv2, has the same file", o.Name)
			}
		}
	}
}

// checkOtherPools tells of what reach opens on purpose.
func (d *decoder) checkOtherPools(c *Config, z *Zone) {
	for i, p := range z.Reach {
		for _, o := range c.Zones {
			for _, pool := range []netip.Prefix{o.Pool.IPv4, o.Pool.IPv6} {
				if o.Name != z.Name && pool.IsValid() && inside(pool, p) {
					d.warnAt(fmt.Sprintf("zones.%s.reach[%d]", z.Name, i), "remove it to keep the zones apart", "%s lets the clients reach those of zone %s", p, o.Name)
				}
			}
		}
	}
}

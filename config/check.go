package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// check judges the sense of a configuration whose form is right. Each section
// has its own function; each reports as many faults as it finds.
func (d *decoder) check(c *Config, now time.Time) {
	d.config = c
	d.checkGateway(&c.Gateway)
	for i := range c.Zones {
		z := &c.Zones[i]
		d.checkZone(z, now)
	}
	d.checkOverlaps(c.Zones)
	d.checkShared(c.Zones.Of(IKEv2))
	d.checkApart(c)
	d.checkGroups(c)
	d.checkRADIUS(c)
	d.checkLogins(c)
}

// errorAt reports a fault of a key's value, unless the value could not even be
// read: one fault, one message.
func (d *decoder) errorAt(key, hint, format string, args ...any) {
	d.at(Error, key, hint, format, args...)
}

func (d *decoder) warnAt(key, hint, format string, args ...any) {
	d.at(Warning, key, hint, format, args...)
}

func (d *decoder) at(s Severity, key, hint, format string, args ...any) {
	if d.unread(key) {
		return
	}
	at, ok := d.places[key]
	for k := key; !ok && k != ""; at, ok = d.places[k] {
		k = above(k)
	}
	d.report(s, at, key, hint, format, args...)
}

// unread tells whether a key, or a section that it is in, could not be read.
func (d *decoder) unread(key string) bool {
	for ; key != ""; key = above(key) {
		if d.broken[key] {
			return true
		}
	}
	return false
}

// above is the section or list that a key is in.
func above(key string) string { return key[:max(strings.LastIndexAny(key, ".["), 0)] }

func (d *decoder) checkGateway(g *Gateway) {
	d.checkName("gateway.name", g.Name)
	for i, name := range g.Names {
		key := fmt.Sprintf("gateway.names[%d]", i)
		d.checkName(key, name)
		if name == g.Name || slices.Contains(g.Names[:i], name) {
			d.errorAt(key, "remove it", "%q is here twice", name)
		}
	}
	for i, l := range g.Listen {
		if slices.Contains(g.Listen[:i], l) {
			d.errorAt(fmt.Sprintf("gateway.listen[%d]", i), "remove it", "%q is here twice", l)
		}
	}
	if g.Ports.IKE == g.Ports.NATT {
		d.errorAt("gateway.ports.natt", "the usual ports are 500 and 4500", "both ports are %d", g.Ports.IKE)
	}
	d.checkPath("gateway.state", g.State)
	d.checkPath("gateway.control.socket", g.Control.Socket)
	const longestSocket = 107 // sun_path has 108 octets, one of them the closing zero
	if len(g.Control.Socket) > longestSocket {
		d.errorAt("gateway.control.socket", "choose a shorter path", "%d octets; a Unix socket's path has at most %d", len(g.Control.Socket), longestSocket)
	}
	if !validInterface(g.Dataplane.Device) {
		d.errorAt("gateway.dataplane.device", interfaceHint, "%q cannot name an interface", g.Dataplane.Device)
	}
	d.checkLimits(g.Limits)
}

func (d *decoder) checkLimits(l Limits) {
	if l.CookieAfter > l.HalfOpen {
		d.errorAt("gateway.limits.cookie_after", fmt.Sprintf("write at most %d", l.HalfOpen), "%d is above half_open, %d: no cookie would ever be asked", l.CookieAfter, l.HalfOpen)
	}
	if l.PerSource > l.HalfOpen {
		d.errorAt("gateway.limits.per_source", fmt.Sprintf("write at most %d", l.HalfOpen), "%d is above half_open, %d: it would limit nothing", l.PerSource, l.HalfOpen)
	}
}

// checkName wants what can stand in a certificate and be typed by a user.
func (d *decoder) checkName(key, name string) {
	if _, err := netip.ParseAddr(name); err == nil || validDomain(name) {
		return
	}
	hint := "for example vpn.example.org"
	if lower := strings.ToLower(name); validDomain(lower) {
		hint = "write it in lower case: " + lower
	}
	d.errorAt(key, hint, "%q is neither a DNS name nor an IP address", name)
}

// validDomain follows RFC 1123, Section 2.1, in lower case.
func validDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return strings.Trim(s[strings.LastIndexByte(s, '.')+1:], "0123456789") != "" // else it is an address, written wrong
}

func (d *decoder) checkPath(key, file string) {
	if file == "" || !filepath.IsAbs(file) {
		d.errorAt(key, "a path that begins with / means the same wherever the gateway is started", "%q is not an absolute path", file)
	}
}

// checkSecretPath is checkPath for a file that holds a secret. Who writes the
// secret itself here does not find it in a log.
func (d *decoder) checkSecretPath(key, file string) {
	if !filepath.IsAbs(file) {
		d.errorAt(key, privateHint, "not an absolute path; it is not shown, because it may be a secret")
	}
}

const privateHint = "put the secret into a file of its own, and write the absolute path of that file"

// checkKeyPair wants both files or none.
func (d *decoder) checkKeyPair(section, certificate, key string) {
	switch {
	case certificate != "" && key == "":
		d.errorAt(section+".key", "name the file of its private key", "a certificate is of no use without its key")
	case key != "" && certificate == "":
		d.errorAt(section+".certificate", "name the file of its certificate", "a key is of no use without its certificate")
	}
	if certificate != "" {
		d.checkPath(section+".certificate", certificate)
	}
	if key != "" {
		d.checkSecretPath(section+".key", key)
	}
}

// overlap is two zones that would give out the same addresses.
func (d *decoder) checkOverlaps(zones Zones) {
	for i := range zones {
		for j := range i {
			d.checkOverlap(&zones[i], &zones[j], "ipv4", zones[i].Pool.IPv4, zones[j].Pool.IPv4)
			d.checkOverlap(&zones[i], &zones[j], "ipv6", zones[i].Pool.IPv6, zones[j].Pool.IPv6)
		}
	}
}

func (d *decoder) checkOverlap(z, earlier *Zone, family string, a, b netip.Prefix) {
	key := fmt.Sprintf("zones.%s.pool.%s", z.Name, family)
	if !a.IsValid() || !b.IsValid() || !a.Overlaps(b) || d.broken["zones."+earlier.Name+".pool."+family] {
		return
	}
	hint := "give each zone its own network"
	if !d.written[key] {
		hint = fmt.Sprintf("the default serves one zone only: write pool: {%s: ...} in each", family)
	}
	d.errorAt(key, hint, "%s overlaps %s of zone %s", a, b, earlier.Name)
}

// checkShared warns of values that another zone overrides. A peer is met before
// its zone is known, so these hold for the peers of all zones.
func (d *decoder) checkShared(zones Zones) {
	if len(zones) < 2 {
		return
	}
	shared := zones[0]
	for _, z := range zones[1:] {
		shared.MOBIKE = shared.MOBIKE || z.MOBIKE
		shared.Fragment, shared.DPD, shared.Rekey.IKE = min(shared.Fragment, z.Fragment), min(shared.DPD, z.DPD), min(shared.Rekey.IKE, z.Rekey.IKE)
		if z.Encap == "forced" {
			shared.Encap = z.Encap
		}
	}
	for _, z := range zones {
		differs := func(key string, own, all any) {
			if own != all {
				d.warnAt("zones."+z.Name+"."+key, "write the same in every zone", "%v is not what counts: a client is met before its zone is known, and another zone has %v", own, all)
			}
		}
		differs("mobike", z.MOBIKE, shared.MOBIKE)
		differs("encapsulation", z.Encap, shared.Encap)
		differs("fragment", z.Fragment, shared.Fragment)
		differs("dpd", formatDuration(z.DPD), formatDuration(shared.DPD))
		differs("rekey.ike", formatDuration(z.Rekey.IKE), formatDuration(shared.Rekey.IKE))
	}
}

package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sallyport/config"
)

// An IKEv1 session lives for hours, and its client may log in over PPP in it any
// number of times: what the machine's proof was worth when it was given must not
// outlive the configuration.

// standing is the zone of a footing as it is now, if the machine's proof still
// counts in it.
func (g *Gateway) standing(r *realm, b *footing) (*zone, error) {
	name := b.zone.config.Name
	z, ok := r.zones[name]
	if !ok || !z.speaks(config.L2TP) {
		return nil, refusal("move the client to IKEv2", "the zone %q is not reached by L2TP any more", name)
	}
	why := z.unproven(b, time.Now())
	if b.machine.device != "" {
		why = cmp.Or(why, g.withdrawn(z, b.machine.device))
	}
	if why != "" {
		return nil, refusal("let the client set up IPsec anew", "zone %q: %s", name, why)
	}
	return z, nil
}

// unproven tells why the zone does not take the way any more in which a machine
// proved itself; empty: it does.
func (z *zone) unproven(b *footing, now time.Time) string {
	switch {
	case b.by != groupPSK && !slices.Contains(z.config.Machine, b.by):
		return fmt.Sprintf("machines do not prove themselves by %s any more", b.by)
	case outsider(b.machine.device) && z.lost(b.zone):
		return "a CA of it is not trusted any more"
	case b.by != groupPSK:
		return ""
	case z.group == nil || !z.config.WaivedForAnyone(config.RulePSKAny, now):
		return "it takes no pre-shared key of a group any more"
	case !z.group.Equal(b.zone.group):
		return "the pre-shared key of its group is another one now"
	}
	return ""
}

// restsOn are the devices and seats beside its own whose credentials a session
// of L2TP was let in with: that of the machine, and that of its user. It is
// filed under one of the two, and must end with either.
func (l *live) restsOn() (others []string) {
	p := l.terms.proof
	if p.base == nil {
		return nil
	}
	for _, d := range []string{p.base.machine.device, p.user} {
		if d != "" && d != l.admission.Device {
			others = append(others, d)
		}
	}
	return others
}

// lostFooting tells why a session of L2TP must end for what it rests on beside
// its own device; empty: it may stay.
func (g *Gateway) lostFooting(l *live) string {
	base := l.terms.proof.base
	z, ok := g.realm.Load().zones[l.admission.Zone]
	if base == nil || !ok {
		return ""
	}
	why := z.unproven(base, time.Now())
	for _, d := range l.restsOn() {
		why = cmp.Or(why, g.withdrawn(z, d))
	}
	d, _ := g.registry.Device(base.machine.device)
	if at := g.remoteOf(l).Addr(); !d.mayComeFrom(at) {
		why = cmp.Or(why, fmt.Sprintf("the device %q may come from %v only, and is at %v", d.Name, d.Address, at))
	}
	return why
}

// withdrawn tells why a credential counts no more in a zone; empty: it does, or
// somebody else judges that.
func (g *Gateway) withdrawn(z *zone, device string) string {
	if user, ok := seatOwner(device); ok {
		u, _ := g.registry.User(user)
		if now, err := g.userZone(u); err != nil || now != z.config.Name {
			return cmp.Or(g.registry.userAllowed(user), "its user was moved to another zone")
		}
		return g.registry.userAllowed(user)
	}
	switch {
	case outsider(device) && z.revokes(device):
		return "the certificate that came with it was revoked"
	case foreign(device):
		return ""
	}
	if why := g.registry.allowed(device); why != "" {
		return fmt.Sprintf("it rests on the device %q: %s", device, why)
	}
	return ""
}

// touches tells whether a session is about one of these users or devices.
func (g *Gateway) touches(l *live, users, devices []string) bool {
	if slices.Contains(devices, l.admission.Device) || slices.Contains(users, l.user()) {
		return true
	}
	return slices.ContainsFunc(l.restsOn(), func(device string) bool {
		owner, seat := seatOwner(device)
		if !seat {
			d, _ := g.registry.Device(device)
			owner = d.User
		}
		return slices.Contains(devices, device) || slices.Contains(users, owner)
	})
}

package gateway

import (
	"fmt"
	"slices"

	"sallyport/config"
	"sallyport/guard"
)

// addFirewall tells of each L2TP zone whether the firewall holds it, by looking
// at the firewall itself: anybody with its rights can have removed it.
func (g *Gateway) addFirewall(st *Status) {
	r := g.realm.Load()
	var counts []guard.Count
	var err error
	if len(g.links) > 0 && len(r.of(config.L2TP)) > 0 {
		counts, err = guard.Counts()
	}
	for i := range st.Zones {
		l := st.Zones[i].L2TP
		z, served := r.zones[st.Zones[i].Name]
		switch {
		case l == nil:
		case !served:
			l.Firewall = FirewallStatus{Trouble: "the zone is not served"}
		case len(g.links) == 0:
			l.Firewall = FirewallStatus{Trouble: "there is no device to hold: the data plane is null"}
		case !slices.ContainsFunc(g.links, func(l *innerLink) bool { return l.name == z.config.Device }):
			l.Firewall = FirewallStatus{Trouble: "the zone came by a reload and is served after a restart"}
		default:
			l.Firewall = firewallOf(z.config.Device, counts, err)
		}
	}
}

// firewallOf is what the firewall says of a device.
func firewallOf(device string, all []guard.Count, err error) (f FirewallStatus) {
	for _, c := range all {
		if c.Device == device {
			f.Counts = append(f.Counts, c)
		}
	}
	switch {
	case err != nil:
		f.Trouble = fmt.Sprintf("%v; restart the gateway, or reload it", err)
	case len(f.Counts) == 0:
		f.Trouble = fmt.Sprintf("there are no rules for %s; reload the gateway", device)
	default:
		f.InForce = true
	}
	return f
}

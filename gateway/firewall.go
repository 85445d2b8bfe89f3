package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

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

// watched is how often the gateway looks whether the firewall is still there.
const watched = 5 * time.Second

// keepFirewall puts the firewall of the L2TP zones back when somebody has taken
// it away, as a restart of the host's own firewall does, which flushes all
// rules. Until ctx ends.
func (g *Gateway) keepFirewall(ctx context.Context) {
	tick := time.NewTicker(watched)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.restoreFirewall()
		}
	}
}

// restoreFirewall looks, and waits for a reload that is under way.
func (g *Gateway) restoreFirewall() {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	cfg := g.Config()
	zones := cfg.Zones.Of(config.L2TP)
	if len(g.links) == 0 || len(zones) == 0 {
		return
	}
	counts, err := guard.Counts()
	gone := slices.ContainsFunc(zones, func(z config.Zone) bool { return !firewallOf(z.Device, counts, err).InForce })
	if !gone {
		return
	}
	g.log.Error("the firewall of the L2TP zones was taken away: it is put back; find out who flushes the rules of this host", "err", err)
	if err := g.isolate(cfg); err != nil {
		g.log.Error("the firewall of the L2TP zones is not in force; it is tried again", "err", err)
	}
}

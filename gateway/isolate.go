package gateway

import (
	"net/netip"
	"slices"

	"sallyport/config"
	"sallyport/dataplane/userspace"
	"sallyport/guard"
)

// deviceOf is the TUN device of a zone: an L2TP zone has one of its own, and all
// others share the first.
func deviceOf(cfg *config.Config, z *config.Zone) string {
	if z.Protocol == config.L2TP {
		return z.Device
	}
	return cfg.Gateway.Dataplane.Device
}

// zonesOn are the zones of a device.
func zonesOn(cfg *config.Config, device string) (zones config.Zones) {
	for _, z := range cfg.Zones {
		if deviceOf(cfg, &z) == device {
			zones = append(zones, z)
		}
	}
	return zones
}

// linksOf are the TUN devices, the first one first.
func linksOf(cfg *config.Config) []*innerLink {
	links := []*innerLink{{name: cfg.Gateway.Dataplane.Device, mtu: cfg.Gateway.Dataplane.MTU}}
	for _, z := range cfg.Zones.Of(config.L2TP) {
		links = append(links, &innerLink{name: z.Device, mtu: z.MTU})
	}
	return links
}

// legacyDevices are those that the plane opens beside its first.
func legacyDevices(cfg *config.Config) (devices []userspace.Device) {
	for _, z := range cfg.Zones.Of(config.L2TP) {
		devices = append(devices, userspace.Device{Name: z.Device, MTU: z.MTU})
	}
	return devices
}

// allListenAddrs are the addresses of the gateway and those of zones with their
// own; none means all.
func allListenAddrs(cfg *config.Config) ([]netip.Addr, error) {
	addrs, err := listenAddrs(cfg.Gateway.Listen)
	if err != nil || len(addrs) == 0 {
		return nil, err
	}
	for _, z := range cfg.Zones {
		own, err := listenAddrs(z.Listen)
		if err != nil {
			return nil, err
		}
		for _, a := range own {
			if !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs, nil
}

// isolate holds the L2TP zones to what they may reach. Where there is no
// firewall they are not served: it fails.
func (g *Gateway) isolate(cfg *config.Config) error {
	r := rulesOf(cfg, g.Config())
	if len(g.links) == 0 || len(r.Zones) == 0 && !g.isolated {
		return nil
	}
	g.isolated = len(r.Zones) > 0
	return guard.Apply(r)
}

// rulesOf are the rules for a configuration that follows on another. Sessions of
// a zone that is gone live for a moment longer, on a device that stays until the
// gateway ends: nothing is in their reach.
func rulesOf(cfg, before *config.Config) (r guard.Rules) {
	for _, z := range cfg.Zones.Of(config.L2TP) {
		i := guard.Isolation{Device: z.Device, Pool: pools(&z), Reach: z.Reach, MTU: z.MTU, Log: true}
		if announced(&z) {
			i.Resolvers = z.Pool.Gateway()
		}
		i.Others = append(i.Others, cfg.Gateway.Dataplane.Device)
		for _, o := range cfg.Zones {
			if o.Name != z.Name {
				i.OtherPools = append(i.OtherPools, pools(&o)...)
			}
		}
		r.Zones = append(r.Zones, i)
	}
	for _, z := range before.Zones.Of(config.L2TP) {
		if !slices.ContainsFunc(r.Zones, func(i guard.Isolation) bool { return i.Device == z.Device }) {
			r.Zones = append(r.Zones, guard.Isolation{Device: z.Device, Pool: pools(&z), Log: true})
		}
	}
	return r
}

func pools(z *config.Zone) []netip.Prefix {
	return slices.DeleteFunc([]netip.Prefix{z.Pool.IPv4, z.Pool.IPv6}, func(p netip.Prefix) bool { return !p.IsValid() })
}

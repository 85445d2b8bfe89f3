package audit

import (
	"net/netip"
	"slices"
	"strings"

	"sallyport/posture"
)

// What packet filters have to do so that nothing goes past a tunnel: LEAK-009 and
// LEAK-010.

// judgeTranslation is LEAK-009. What WireGuard sends was encrypted behind a device of
// its own, and a translated address takes nothing out of its tunnel.
func judgeTranslation(j *judge) {
	wg := withoutIPsec(j.host)
	j.eachFirewall(func(f *posture.Firewall) {
		if wg != nil && posture.Is(f.MasqueradesIn, true) {
			j.ok(f.Subject, at(wg.At, "there is WireGuard and no IPsec, so that no policy is missed"))
			return
		}
		j.flag(f.Subject, f.MasqueradesIn, true, "packets are masqueraded before IPsec policies are looked up")
	})
}

// withoutIPsec is a WireGuard interface of a host that has nothing to do with IPsec;
// nil: it may have.
func withoutIPsec(h *posture.Host) *posture.Tunnel {
	if len(h.Tunnels) == 0 || len(h.Manual)+len(h.L2TP)+len(h.Daemons) > 0 ||
		slices.ContainsFunc(h.Connections, func(c posture.Connection) bool { return !c.Disabled }) {
		return nil
	}
	return &h.Tunnels[0]
}

// judgeKillSwitch is LEAK-010. A WireGuard interface that takes only some
// networks has nothing to stop: they have no other way.
func judgeKillSwitch(j *judge) {
	j.eachFirewall(func(f *posture.Firewall) {
		const detail = "inner networks may leave in the clear when the tunnel is down"
		switch wg := withoutIPsec(j.host); {
		case wg == nil || !posture.Is(f.DropsClear, false):
			j.flag(f.Subject, f.DropsClear, false, detail)
		case !slices.ContainsFunc(j.host.Tunnels, leadsToNetworks):
			j.ok(f.Subject, at(wg.At, "no network is behind a peer"))
		default:
			j.foundFor(dropRemote[f.Dialect], f.Subject, evidence(f.DropsClear), detail)
		}
	})
	each(j, j.host.Tunnels, tunnelSubject, func(t *posture.Tunnel) {
		if routes, known := allowed(t); known && (servesPeers(t) || !everything(routes, false) && !everything(routes, true)) {
			j.ok(t.Subject, at(t.At, strings.Join(routes, ", ")))
			return
		}
		j.flag(t.Subject, t.KillSwitch, false, "traffic leaves in the clear when the tunnel is down")
	})
}

// leadsToNetworks tells whether a peer of an interface may have more behind it than its
// own address.
func leadsToNetworks(t posture.Tunnel) bool {
	routes, known := allowed(&t)
	return !known || slices.ContainsFunc(routes, func(s string) bool {
		n, err := netip.ParsePrefix(strings.TrimSpace(s))
		return err != nil || !n.IsSingleIP()
	})
}

// dropRemote is the kill switch of a host with WireGuard alone, whose packets never
// have an IPsec policy: what goes to the other end's networks has no other way out.
var dropRemote = fixes{
	posture.NFTables: "nft insert rule inet filter forward ip saddr INNER ip daddr REMOTE oifname OUTER drop",
	posture.IPTables: "iptables -I FORWARD 1 -s INNER -d REMOTE -o OUTER -j DROP",
	posture.RouterOS: "/ip firewall filter add chain=forward src-address=INNER dst-address=REMOTE out-interface=OUTER action=drop place-before=0",
}

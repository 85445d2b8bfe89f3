package audit

import (
	"strings"

	"sallyport/posture"
)

// judgeClaims is LEAK-015. A site that is known by its name may have everything
// behind it; clients get an address each and are many.
func judgeClaims(j *judge) {
	j.children(func(conn *posture.Connection, c *posture.Child) {
		site, named := namedSite(conn)
		switch {
		case posture.Is(conn.AnyPeer, false):
			j.ok(c.Subject, evidence(conn.AnyPeer))
		case posture.Is(conn.AsksAddress, true): // a client, and its peer the gateway
			j.ok(c.Subject, evidence(conn.AsksAddress))
		case named:
			j.ok(c.Subject, evidence(site))
		case posture.Is(c.Transport, true): // a peer's outer address alone
			j.ok(c.Subject, evidence(c.Transport))
		case posture.Is(c.Routed, true):
			j.ok(c.Subject, evidence(c.Routed))
		case !conn.AnyPeer.Known() || !c.RemoteTS.Known():
			j.unknown(c.Subject, "the files do not tell which addresses a peer may claim")
		case everything(c.RemoteTS.V, false) || everything(c.RemoteTS.V, true):
			j.found(c.Subject, evidence(c.RemoteTS), "any peer may claim any address behind it")
		default:
			j.ok(c.Subject, evidence(c.RemoteTS))
		}
	})
	each(j, j.host.Tunnels, tunnelSubject, func(t *posture.Tunnel) {
		if servesPeers(t) {
			j.peersClaim(t)
		} else {
			j.ok(t.Subject, at(t.At, "a client, or one of two"))
		}
	})
}

// peersClaim judges the peers of WireGuard's gateways: AllowedIPs are also the
// addresses that a peer may send from, and what is sent to them goes to it.
func (j *judge) peersClaim(t *posture.Tunnel) {
	for i := range t.Peers {
		p := &t.Peers[i]
		switch {
		case !p.AllowedIPs.Known():
			j.unknown(p.Subject, "the files do not tell which addresses the peer may claim")
		case everything(p.AllowedIPs.V, false) || everything(p.AllowedIPs.V, true):
			j.found(p.Subject, evidence(p.AllowedIPs), "one peer of several may claim any address, and gets what is for the internet")
		default:
			j.ok(p.Subject, evidence(p.AllowedIPs))
		}
	}
}

// namedSite is the identity that one peer alone has, where it gets no address. IOS
// has "domain" for whoever is of one.
func namedSite(c *posture.Connection) (posture.Value[string], bool) {
	for i := range c.Remote {
		if id := c.Remote[i].ID; id.Known() && id.V != "" && !strings.ContainsAny(id.V, "*%") && !strings.HasPrefix(id.V, "domain ") && !givesAddresses(c) {
			return id, true
		}
	}
	return posture.Value[string]{}, false
}

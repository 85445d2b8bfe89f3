package audit

import (
	"net/netip"
	"slices"
	"strings"

	"sallyport/posture"
)

// Connections and secrets that have settings of their own.
const (
	routerOSServer = "l2tp-server"        // the peer that RouterOS makes for its L2TP server, and that peer's secret
	vyosL2TP       = "l2tp_remote_access" // what VyOS makes for "vpn l2tp remote-access"
	vyosDMVPN      = "profile "           // before the name of a profile of VyOS, which is for DMVPN
)

// oneSelector are the dialects in which a child of IKEv1 has one network at each
// end, whatever its list says (RFC 2409, Section 5.5).
var oneSelector = []posture.Dialect{posture.Swanctl, posture.Starter, posture.Libreswan}

// special is a fix for a subject whose kind has other settings than most; empty:
// it has those of the rule.
func (b *book) special(r *Result) string {
	s, id := r.Subject, r.Rule.ID
	if id == "CRY-025" && s.Kind != "child" && s.Kind != "connection" {
		return charon("accept_private_algs = no")
	}
	if id == "NAT-009" && s.Dialect == posture.Swanctl && s.Kind == "daemon" {
		return charon("keep_alive = 20s")
	}
	if id == "RPL-005" && b.pooled[s] && slices.Contains([]posture.Dialect{posture.Swanctl, posture.Starter, posture.Libreswan}, s.Dialect) {
		return filterForClients
	}
	if at := b.subjects[s]; id == "LEAK-006" && at.conn != nil && posture.Is(at.conn.V2, false) && slices.Contains(oneSelector, s.Dialect) {
		return "# IKEv1 has one network in a child, and one address of a client: IPv6 is carried by IKEv2 alone\n# move the clients to it, by a connection of its own; until then turn IPv6 off at the clients"
	}
	if id == "LEAK-006" && s.Dialect == posture.Sallyport && s.Kind == "ppp" {
		return "zones:\n  {conn}:\n    pool: {ipv6: \"fd00:62::/56\"}  # each client gets a /64; what it may reach is what reach says"
	}
	switch s.Dialect {
	case posture.RouterOS:
		return b.routerOSSpecial(r)
	case posture.IOS:
		if id == "LEAK-006" && s.Kind == "ppp" {
			return "interface {name}\n ipv6 enable\n peer default ipv6 pool POOL-V6\n! with ipv6 local pool POOL-V6 PREFIX 64"
		}
		if r.Rule.Fix[s.Dialect] == newPSK[s.Dialect] {
			if ring, key, ok := strings.Cut(b.settings[s], "\n"); ok {
				return plain(ring) + "\n " + plain(key) + " key RANDOM\n! RANDOM: openssl rand -base64 32"
			}
			return iosKey(s.Name, b.kinds[s])
		}
	case posture.VyOS:
		return b.vyosSpecial(s, id)
	case posture.Windows:
		if at := b.subjects[s]; id == "CRY-012" && at.conn != nil && at.conn.Role.V == posture.Answers {
			return "# of the server RRAS: Routing and Remote Access > Ports > WAN Miniport (L2TP): no remote access connections"
		}
	}
	return ""
}

const (
	routerOSKey = "/interface l2tp-server server set ipsec-secret=\"RANDOM\"\n# RANDOM: openssl rand -base64 32"
	routerOSOff = "/interface l2tp-server server set enabled=no"
)

// routerOSSpecial is for what stands in a menu of its own.
func (b *book) routerOSSpecial(r *Result) string {
	s, id := r.Subject, r.Rule.ID
	switch kind := b.kinds[s]; {
	case id == "RPL-011" && b.advisers[b.subjects[s].conn].clients != "":
		return profile("proposal-check=claim") + "  # strict would refuse the hour that Windows asks for where the proposal has less"
	case id == "PPP-014" && b.settings[s] == "ip ipsec user":
		return "/ip ipsec user set [find name=\"{name}\"] password=\"RANDOM\"\n# RANDOM: 16 random characters"
	case id == "PPP-014" && b.settings[s] == "ip ipsec identity":
		return "/ip ipsec identity set [find peer=\"{name}\"] password=\"RANDOM\"\n# RANDOM: 16 random characters, and at the gateway the same"
	case id == "PPP-014" && b.settings[s] == "ip ipsec peer":
		return "/ip ipsec peer set [find address=\"{name}\"] xauth-password=\"RANDOM\"\n# RANDOM: 16 random characters, and at the gateway the same"
	case b.dials(s):
		return routerOSClientFixes[id]
	case id == "LEAK-003" || id == "LEAK-004" || id == "LEAK-006":
		return routerOSPart(r.Rule.Fix[s.Dialect], s.Kind == "ppp")
	case s.Name == routerOSServer && (s.Kind == "connection" || kind == posture.PSK):
		return routerOSServerFixes[id]
	case id == "PSK-004" && b.tunnels[s.Name]:
		return "/interface wireguard peers set [find public-key=\"{name}\"] preshared-key=\"RANDOM\"\n# RANDOM: openssl rand -base64 32"
	}
	return ""
}

// routerOSClientFixes are for a client of L2TP, whose peer RouterOS makes and whose
// gateway is another's: what there is to set stands in one menu.
var routerOSClientFixes = map[string]string{
	"PSK-001": clientKey, "PSK-002": clientKey, "PSK-004": clientKey, "PSK-005": clientKey, "PSK-009": clientKey,
	"PSK-010": clientIKEv2, "PSK-011": clientIKEv2, "CRY-012": clientIKEv2, "CRY-013": clientIKEv2, "PPP-005": clientIKEv2,
	"PPP-002": clientMethod, "PPP-003": clientMethod, "PPP-004": clientMethod, "PPP-007": clientMethod,
	"PPP-010": l2tpClient + "use-ipsec=yes ipsec-secret=SECRET",
	"PPP-014": l2tpClient + "password=\"RANDOM\"\n# RANDOM: 16 random characters, and at the gateway the same",
	"NAT-003": l2tpClient + "max-mtu=1400 max-mru=1400", "LEAK-005": l2tpClient + "add-default-route=yes",
}

const (
	l2tpClient   = "/interface l2tp-client set [find name=\"{name}\"] "
	clientKey    = l2tpClient + "ipsec-secret=\"RANDOM\"\n# RANDOM: openssl rand -base64 32; at the gateway the same"
	clientMethod = l2tpClient + "allow=mschap2\n# better than any method of PPP, where the gateway has it: IKEv2 with certificates"
	clientIKEv2  = "# where the gateway has IKEv2\n/ip ipsec peer add name=\"{name}\" address=GATEWAY exchange-mode=ike2\n" +
		"/ip ipsec identity add peer=\"{name}\" auth-method=digital-signature certificate=OURS generate-policy=port-strict mode-config=request-only\n" +
		l2tpClient + "disabled=yes"
)

// dials tells whether a subject is a client of L2TP, or what is made for one.
func (b *book) dials(s posture.Subject) bool {
	return s.Kind != "child" && slices.ContainsFunc(b.host.L2TP, func(l posture.L2TP) bool {
		return l.Dialect == s.Dialect && l.Name == s.Name && posture.Is(l.Server, false)
	})
}

// routerOSPart is the part of a fix that is of PPP, or that of IKE.
func routerOSPart(fix string, ppp bool) string {
	first, second, two := strings.Cut(fix, "\n# of IKE")
	switch {
	case !two:
		return ""
	case ppp:
		return first
	}
	return "# of IKE" + second
}

// routerOSServerFixes are for what RouterOS makes for its L2TP server, and what no
// other menu can change.
var routerOSServerFixes = map[string]string{
	"PSK-001": routerOSKey, "PSK-002": routerOSKey, "PSK-004": routerOSKey, "PSK-005": routerOSKey, "PSK-009": routerOSKey,
	"PSK-003": "# clients of L2TP have one key in common: give them certificates and IKEv2, and then\n" + routerOSOff,
	"PSK-006": routerOSOff, "PSK-010": routerOSOff, "PSK-011": routerOSOff, "CRY-012": routerOSOff, "CRY-013": routerOSOff,
}

// iosKey is how a key is set again where it stands: readers call a key of a keyring
// by that and by its peer, and one of IKEv1 by its address.
func iosKey(name string, kind posture.SecretKind) string {
	const random = "\n! RANDOM: openssl rand -base64 32"
	first, second, two := strings.Cut(name, " ")
	_, err := netip.ParseAddr(first)
	switch {
	case kind == posture.GroupKey:
		return "crypto isakmp client configuration group {name}\n key RANDOM" + random
	case err == nil:
		return "crypto isakmp key RANDOM address {name}" + random
	case two && kind == posture.PSK:
		return "crypto ikev2 keyring " + plain(first) + "\n peer " + plain(second) + "\n  pre-shared-key RANDOM" + random
	}
	return ""
}

func (b *book) vyosSpecial(s posture.Subject, id string) string {
	if s.Name == vyosL2TP && (id == "CRY-012" || id == "RPL-004" || id == "PSK-011") {
		return "delete vpn l2tp"
	}
	if s.Name == vyosL2TP && id == "PSK-003" {
		return "# L2TP has one key for all clients: give them certificates first\nset vpn l2tp remote-access ipsec-settings authentication mode x509\ndelete vpn l2tp remote-access ipsec-settings authentication pre-shared-secret\n# with x509 certificate and x509 ca-certificate beside it"
	}
	l2tp, dmvpn := s.Name == vyosL2TP, strings.HasPrefix(s.Name, vyosDMVPN)
	clients := b.pooled[s]
	switch {
	case id == "RPL-001" || id == "RPL-002":
		switch {
		case l2tp:
			return "# VyOS sets no replay window for L2TP: move the clients to vpn ipsec remote-access, which has one"
		case dmvpn:
			return "# VyOS sets no replay window for DMVPN: a tunnel to a site-to-site peer has one"
		case clients:
			return "set vpn ipsec remote-access connection {conn} replay-window 128"
		}
	case id == "PSK-003" && dmvpn:
		return "# DMVPN has one key for all spokes: tunnels to site-to-site peers have one each, or certificates"
	case id == "CRY-022" && b.tunnels[s.Name]:
		return "set interfaces wireguard INTERFACE peer {name} preshared-key KEY  # from: generate pki wireguard preshared-key"
	case id == "CRY-022" && dmvpn:
		return "# VyOS has no post-quantum key for DMVPN: a tunnel to a site-to-site peer has one (VyOS 1.5, ppk)"
	case id == "CRY-022" && clients:
		return "# VyOS has no post-quantum key for vpn ipsec remote-access, only for site-to-site peers (VyOS 1.5, ppk) and for WireGuard"
	case id == "PSK-011" && dmvpn:
		return vyosIKEv2 + "\n# the key of all spokes stays: certificates are for site-to-site peers"
	}
	return ""
}

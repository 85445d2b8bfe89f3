package audit

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/assure/policy"
	"sallyport/posture"
)

// natRules are about NAT traversal, MTU and fragments (risk R4).
var natRules = []Rule{
	{
		ID: "NAT-001", Title: "IKE fragments its own messages", Severity: Medium, Risk: "R4", Checks: []string{"C5"}, Needs: Config,
		Why:  "IKE_AUTH with certificates does not fit one packet. As IP fragments it is lost at many firewalls, and fragments are the way around a packet filter.",
		Refs: []string{"RFC 7383, Section 1"},
		Fix: fixes{
			posture.Swanctl: swanConn("fragmentation = yes"), posture.Starter: conn("fragmentation=yes"), posture.Libreswan: conn("fragmentation=yes"),
			posture.IOS: "crypto ikev2 fragmentation mtu 1280", posture.FortiOS: phase1("set fragmentation enable"),
		}, judge: judgeFragments,
	},
	{
		ID: "NAT-002", Title: "IKE fragments fit every path", Severity: Low, Risk: "R4", Checks: []string{"C5"}, Needs: Config,
		Why:  "A fragment larger than the path's MTU is fragmented by IP again, or lost: logins fail for some users in some networks.",
		Refs: []string{"RFC 7383, Section 2.5.1", "RFC 8200, Section 5"},
		Fix: fixes{
			posture.Swanctl: charon("fragment_size = 1280"), posture.IOS: "crypto ikev2 fragmentation mtu 1280",
			posture.FortiOS: phase1("set fragmentation-mtu 1200"),
		}, judge: judgeFragmentSize,
	},
	{
		ID: "NAT-003", Title: "PPP leaves room for IPsec", Severity: Medium, Risk: "R4", Checks: []string{"C5"}, Needs: Config,
		Why:  "ESP, UDP, L2TP and PPP add 80 to 110 octets. Packets that fill PPP's MTU then exceed the path's, are fragmented or vanish, and the retransmissions show what is going on inside.",
		Refs: []string{"RFC 3193, Section 3", "RFC 1661, Section 6.1"},
		Fix: fixes{
			posture.PPPD: "mtu 1280\nmru 1280", posture.RouterOS: "/interface l2tp-server server set max-mtu=1400 max-mru=1400",
			posture.VyOS: "set vpn l2tp remote-access mtu 1400", posture.Sallyport: "zones:\n  {name}:\n    mtu: 1400",
		}, judge: judgePPPMTU,
	},
	{
		ID: "NAT-004", Title: "TCP is held to the size of the tunnel", Severity: Medium, Risk: "R4", Checks: []string{"C5"}, Needs: Config,
		Why:  "TCP in the tunnel relies on ICMP to learn the smaller MTU. Where that is filtered, connections open and then hang; clamping the MSS needs nobody's help.",
		Refs: []string{"RFC 4459, Section 3", "RFC 2923, Section 2.1"},
		Fix: fixes{
			posture.NFTables: "nft insert rule inet filter forward tcp flags syn tcp option maxseg size set rt mtu",
			posture.IPTables: "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
			posture.RouterOS: "/ip firewall mangle add chain=forward ipsec-policy=in,ipsec protocol=tcp tcp-flags=syn tcp-mss=!0-1360 action=change-mss new-mss=1360\n/ip firewall mangle add chain=forward ipsec-policy=out,ipsec protocol=tcp tcp-flags=syn tcp-mss=!0-1360 action=change-mss new-mss=1360",
			posture.VyOS:     "set interfaces ethernet INNER ip adjust-mss clamp-mss-to-pmtu",
		}, judge: judgeMSS,
	},
	{
		ID: "NAT-005", Title: "Path MTU discovery works", Severity: Medium, Risk: "R4", Checks: []string{"C5"}, Needs: Config,
		Why:  "Without \"fragmentation needed\" and \"packet too big\" a sender never learns that its packets do not fit, and they disappear.",
		Refs: []string{"RFC 1191, Section 3", "RFC 4890, Section 4.3.1", "RFC 4301, Section 8"},
		Fix: fixes{
			posture.NFTables: "nft insert rule inet filter input icmp type destination-unreachable icmp code frag-needed accept\nnft insert rule inet filter input icmpv6 type packet-too-big accept",
			posture.IPTables: "iptables -I INPUT -p icmp --icmp-type fragmentation-needed -j ACCEPT\niptables -I FORWARD -p icmp --icmp-type fragmentation-needed -j ACCEPT\nip6tables -I INPUT -p ipv6-icmp --icmpv6-type packet-too-big -j ACCEPT",
			posture.RouterOS: "/ip firewall filter add chain=input protocol=icmp icmp-options=3:4 action=accept place-before=0\n/ip firewall filter add chain=forward protocol=icmp icmp-options=3:4 action=accept place-before=0",
		}, judge: judgePTB,
	},
	{
		ID: "NAT-006", Title: "NAT traversal works", Severity: Medium, Risk: "R4", Checks: []string{"C5"}, Needs: Config,
		Why:  "Behind NAT, ESP without UDP around it does not pass or reaches the wrong client; users then fall back to whatever else connects.",
		Refs: []string{"RFC 7296, Section 2.23", "RFC 3948, Section 2.1"},
		Fix: fixes{
			posture.RouterOS:  profile("nat-traversal=yes") + "\n# of the firewall\n/ip firewall filter add chain=input protocol=udp dst-port=500,4500 action=accept place-before=0",
			posture.FortiOS:   phase1("set nattraversal enable"),
			posture.IOS:       "crypto ipsec nat-transparency udp-encapsulation\n! of an access list\nip access-list extended NAME\n 5 permit udp any any eq non500-isakmp",
			posture.Libreswan: conn("encapsulation=auto\n    nat-ikev1-method=both  # for IKEv1"),
			posture.PfSense:   "VPN > IPsec > Tunnels > {conn} > Edit Phase 1: NAT Traversal Enable (from 2.2 on: Auto)",
			posture.NFTables:  "nft insert rule inet filter input udp dport { 500, 4500 } accept",
			posture.IPTables:  "iptables -I INPUT 1 -p udp -m multiport --dports 500,4500 -j ACCEPT",
		}, judge: judgeNATT,
	},
	{
		ID: "NAT-007", Title: "Clients behind one NAT are kept apart", Severity: Medium, Risk: "R4", Checks: []string{"C5"}, Needs: Config,
		Why:  "Two L2TP clients behind one NAT have the same addresses and ports to the kernel. Packets of one reach the other, or the second throws the first out.",
		Refs: []string{"RFC 3193, Section 4", "RFC 3948, Section 5.2"},
		Fix: fixes{
			posture.Xl2tpd: "; no setting does it: \"ipsec saref\" needs patches for KLIPS, which Libreswan 4.0 dropped\n; move the clients to IKEv2, which gives each an address of its own",
		}, judge: judgeSharedNAT,
	},
	{
		ID: "NAT-008", Title: "HMAC-SHA-256 is cut to 128 bits, as its RFC says", Severity: Medium, Risk: "R4", Checks: []string{"C3"}, Needs: Config,
		Why:  "The 96 bits of old Linux kernels and devices are no standard: with anybody else every packet is dropped, and the tag is shorter than asked for.",
		Refs: []string{"RFC 4868, Section 2.6"},
		Fix: fixes{
			posture.Swanctl: swanChild("sha256_96 = no"), posture.Starter: conn("sha256_96=no"), posture.Libreswan: conn("sha2-truncbug=no"),
			posture.VyOS:     "{proposals}",
			posture.OPNsense: "VPN > IPsec > Connections > {conn} > Children > {name}: SHA256 96 bit truncation off",
		}, judge: judgeTruncation,
	},
	{
		ID: "NAT-009", Title: "Dead peers and mappings are noticed", Severity: Low, Risk: "R4", Checks: []string{"C5", "C8"}, Needs: Config,
		Why:  "A NAT forgets a silent mapping after a minute or less, and a peer that is gone keeps its SA: traffic goes nowhere until the next rekeying.",
		Refs: []string{"RFC 3948, Section 4", "RFC 7296, Section 2.4", "RFC 3706, Section 5.4"},
		Fix: fixes{
			posture.Swanctl:   swanConn("dpd_delay = 30s"),
			posture.Starter:   conn("dpdaction=clear\n    dpddelay=30s"),
			posture.Libreswan: conn("dpddelay=30s\n    retransmit-timeout=60s\n    dpdtimeout=120s  # for IKEv1, which does not look without"),
			posture.RouterOS:  profile("dpd-interval=30s dpd-maximum-failures=4"),
			posture.IOS:       "crypto ikev2 dpd 30 5 periodic\ncrypto ikev2 nat keepalive 20\n! of IKEv1\ncrypto isakmp keepalive 30 5 periodic\ncrypto isakmp nat keepalive 20",
			posture.FortiOS:   phase1("set dpd on-idle\n        set keepalive 20"),
			posture.PfSense:   "VPN > IPsec > Tunnels > {conn} > Edit Phase 1: Dead Peer Detection on, delay 30",
			posture.OPNsense:  "VPN > IPsec > Connections > {conn}: DPD delay 30",
			posture.VyOS:      "set vpn ipsec ike-group {phase1} dead-peer-detection action clear\nset vpn ipsec ike-group {phase1} dead-peer-detection interval 30",
		}, judge: judgeKeepalive,
	},
}

func daemonSubject(d *posture.Daemon) *posture.Subject     { return &d.Subject }
func firewallSubject(f *posture.Firewall) *posture.Subject { return &f.Subject }
func pppSubject(p *posture.PPP) *posture.Subject           { return &p.Subject }
func l2tpSubject(l *posture.L2TP) *posture.Subject         { return &l.Subject }
func tunnelSubject(t *posture.Tunnel) *posture.Subject     { return &t.Subject }

// serves tells whether an L2TP listener is not known to be off or a client.
func serves(l *posture.L2TP) bool {
	return !posture.Is(l.Enabled, false) && !posture.Is(l.Server, false)
}

// judgeSharedNAT is NAT-007. "ipsec saref" of xl2tpd asks for what the kernel of no
// distribution has: where it is missing, xl2tpd logs that and goes on without.
func judgeSharedNAT(j *judge) {
	each(j, j.host.L2TP, func(l *posture.L2TP) *posture.Subject { return &l.Subject }, func(l *posture.L2TP) {
		switch {
		case !serves(l):
			j.ok(l.Subject, at(l.At, "it does not answer"))
		case l.Dialect == posture.Xl2tpd && posture.Is(l.SharedNAT, true):
			j.unknown(l.Subject, "\"ipsec saref\" works with the SAref patches of KLIPS alone, and the files do not tell whether the kernel has them")
		default:
			j.flag(l.Subject, l.SharedNAT, false, "two clients behind the same NAT clash")
		}
	})
}

// judgeFragments is NAT-001. IKEv1 has fragments by no RFC; where nobody wrote of
// them that is CRY-012's matter.
func judgeFragments(j *judge) {
	j.connections(func(c *posture.Connection) {
		if posture.Is(c.V2, false) && c.Fragments.Origin != posture.Explicit {
			j.ok(c.Subject, evidence(c.V2))
			return
		}
		j.flag(c.Subject, c.Fragments, false, "IKE fragmentation is off: large messages travel as IP fragments")
	})
}

// judgeFragmentSize is NAT-002: most products have one size for all, FortiOS one
// for each phase 1.
func judgeFragmentSize(j *judge) {
	most := j.policy.Number(policy.FragmentSize)
	size := func(s posture.Subject, v posture.Value[int]) {
		switch {
		case !v.Known():
			j.unknown(s, "the files do not tell the size of IKE fragments")
		case v.V > most:
			j.found(s, evidence(v), "IKE fragments have up to %d octets, and only %d pass everywhere", v.V, most)
		default:
			j.ok(s, evidence(v))
		}
	}
	daemons := map[string]bool{}
	each(j, j.host.Daemons, daemonSubject, func(d *posture.Daemon) {
		daemons[d.Product] = true
		if e, none := j.all(d.Product, fragments); none && !d.FragmentSize.Known() {
			j.ok(d.Subject, e)
			return
		}
		if d.FragmentSize.Known() || !j.sizedByConnection(d.Product) {
			size(d.Subject, d.FragmentSize)
		}
	})
	j.connections(func(c *posture.Connection) {
		if c.FragmentSize.Known() || !daemons[c.Product] {
			size(c.Subject, c.FragmentSize)
		}
	})
}

// fragments tells whether a connection sends fragments of IKE.
func fragments(c *posture.Connection) posture.Value[bool] {
	if posture.Is(c.V2, false) && c.Fragments.Origin != posture.Explicit {
		return c.V2
	}
	return c.Fragments
}

// all tells whether something is off in all of a product's connections, of which
// there is one at least.
func (j *judge) all(product string, of func(*posture.Connection) posture.Value[bool]) (e Evidence, off bool) {
	for i := range j.host.Connections {
		c := &j.host.Connections[i]
		if c.Product != product || c.Disabled || c.Shunt {
			continue
		}
		v := of(c)
		if !posture.Is(v, false) {
			return e, false
		}
		e, off = evidence(v), true
	}
	return e, off
}

// sizedByConnection tells whether a product has the size for each connection.
func (j *judge) sizedByConnection(product string) bool {
	return slices.ContainsFunc(j.host.Connections, func(c posture.Connection) bool { return c.Product == product && c.FragmentSize.Known() })
}

// judgePPPMTU is NAT-003, of PPP over L2TP: the side that answers sets what
// clients use.
func judgePPPMTU(j *judge) {
	most := j.policy.Number(policy.PPPMTU)
	each(j, j.host.PPP, pppSubject, func(p *posture.PPP) {
		worst := p.MTU
		if p.MRU.Known() && (!worst.Known() || p.MRU.V > worst.V) {
			worst = p.MRU
		}
		switch {
		case serviceOf(j.host, p) != "": // without L2TP and IPsec below it
		case !worst.Known():
			j.unknown(p.Subject, "the files do not tell PPP's MTU and MRU")
		case worst.V > most:
			j.found(p.Subject, evidence(worst), "PPP takes packets of %d octets; over L2TP and IPsec no more than %d fit", worst.V, most)
		default:
			j.ok(p.Subject, evidence(worst))
		}
	})
}

// serviceOf is the protocol of a service of another kind than L2TP whose PPP it
// is: "pptp", "sstp"; empty: there is none.
func serviceOf(h *posture.Host, p *posture.PPP) string {
	if p.Service != "" {
		return p.Service
	}
	for i := range h.Services {
		if s := &h.Services[i]; s.Dialect == p.Dialect && s.Name == p.Name {
			return s.Protocol
		}
	}
	return ""
}

// clampWireGuard is of RouterOS, whose other lines are for what has a policy of IPsec.
const clampWireGuard = `/ip firewall mangle add chain=forward out-interface="{wg}" protocol=tcp tcp-flags=syn action=change-mss new-mss=clamp-to-pmtu
/ip firewall mangle add chain=forward in-interface="{wg}" protocol=tcp tcp-flags=syn action=change-mss new-mss=clamp-to-pmtu`

// judgeMSS is NAT-004: it is enough that one place clamps.
func judgeMSS(j *judge) {
	for i := range j.host.PPP {
		if p := &j.host.PPP[i]; posture.Is(p.MSSClamp, true) {
			j.eachFirewall(func(f *posture.Firewall) { j.ok(f.Subject, evidence(p.MSSClamp)) })
			return
		}
	}
	for i := range j.host.Firewalls {
		if f := &j.host.Firewalls[i]; posture.Is(f.MSSClamp, true) {
			j.eachFirewall(func(g *posture.Firewall) { j.ok(g.Subject, evidence(f.MSSClamp)) })
			return
		}
	}
	const detail = "nothing clamps the MSS of forwarded TCP"
	wg := withoutIPsec(j.host)
	j.eachFirewall(func(f *posture.Firewall) {
		if wg != nil && f.Dialect == posture.RouterOS && posture.Is(f.MSSClamp, false) {
			j.foundFor(strings.ReplaceAll(clampWireGuard, "{wg}", plain(wg.Name)), f.Subject, evidence(f.MSSClamp), detail)
			return
		}
		j.flag(f.Subject, f.MSSClamp, false, detail)
	})
}

func (j *judge) eachFirewall(visit func(*posture.Firewall)) {
	each(j, j.host.Firewalls, firewallSubject, visit)
}

// judgePTB is NAT-005.
func judgePTB(j *judge) {
	detail := "ICMP that path MTU discovery needs is dropped"
	for i := range j.host.Daemons {
		if posture.Is(j.host.Daemons[i].CopyDF, true) {
			detail = fmt.Sprintf("%s, while ESP copies the DF bit of what it carries (%s)", detail, j.host.Daemons[i].Product)
			break
		}
	}
	j.eachFirewall(func(f *posture.Firewall) { j.flag(f.Subject, f.DropsPTB, true, detail) })
}

// judgeNATT is NAT-006, of what IKE does and of what the packet filter lets in.
func judgeNATT(j *judge) {
	j.onConnections(func(c *posture.Connection) posture.Value[bool] { return c.NATT }, false, "NAT traversal is off")
	j.eachFirewall(func(f *posture.Firewall) {
		if posture.Is(f.IKEReachable, false) {
			j.ok(f.Subject, evidence(f.IKEReachable)) // no IKE is served at all
			return
		}
		j.flag(f.Subject, f.NATTReachable, false, "UDP 4500 is closed: peers behind NAT cannot connect")
	})
}

// judgeTruncation is NAT-008. A proposal can ask for it, too.
func judgeTruncation(j *judge) {
	j.children(func(_ *posture.Connection, c *posture.Child) {
		if posture.Is(c.SHA256Trunc, true) && slices.ContainsFunc(c.ESP.V, cutsSHA256) {
			j.foundFor("{proposals}", c.Subject, evidence(c.SHA256Trunc), "HMAC-SHA-256 is cut to 96 bits")
			return
		}
		j.flag(c.Subject, c.SHA256Trunc, true, "HMAC-SHA-256 is cut to 96 bits")
	})
}

func cutsSHA256(p posture.Proposal) bool { return slices.Contains(p.Unknown, shortSHA256) }

// judgeKeepalive is NAT-009.
func judgeKeepalive(j *judge) {
	j.connections(func(c *posture.Connection) {
		switch {
		case !c.DPD.Known():
			j.unknown(c.Subject, "the files do not tell whether dead peers are noticed")
		case c.DPD.V == 0:
			j.found(c.Subject, evidence(c.DPD), "dead peer detection is off")
		default:
			j.ok(c.Subject, evidence(c.DPD))
		}
	})
	each(j, j.host.Daemons, daemonSubject, func(d *posture.Daemon) {
		switch {
		case !d.Keepalive.Known(): // not every daemon has it
		case d.Keepalive.V == 0:
			j.found(d.Subject, evidence(d.Keepalive), "NAT keepalives are off")
		default:
			j.ok(d.Subject, evidence(d.Keepalive))
		}
	})
}

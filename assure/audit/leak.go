package audit

import (
	"sallyport/posture"
)

// leakRules are about DNS, addresses and clear text outside the tunnel (risk R7).
var leakRules = []Rule{
	{
		ID: "LEAK-001", Title: "L2TP is answered inside IPsec alone", Severity: Critical, Risk: "R7", Checks: []string{"C5", "C6"}, Needs: Config,
		Why:  "L2TP encrypts nothing. A client whose IPsec failed, or was made to fail, connects all the same, with its login and all traffic in the clear; strangers reach PPP directly.",
		Refs: []string{"RFC 3193, Section 3", "RFC 2661, Section 9"},
		Fix: fixes{
			posture.RouterOS: "/interface l2tp-server server set use-ipsec=required",
			posture.IOS:      "vpdn-group {name}\n l2tp security crypto-profile PROFILE\n! PROFILE: crypto ipsec profile PROFILE, with a transform-set in mode transport",
			posture.NFTables: "nft insert rule inet filter input udp dport 1701 meta ipsec missing drop",
			posture.IPTables: "iptables -I INPUT 1 -p udp --dport 1701 -m policy --dir in --pol none -j DROP\niptables -I INPUT 2 -p udp --dport 1701 -m policy --dir in --pol ipsec -j ACCEPT",
			posture.Xl2tpd:   "; xl2tpd itself cannot: in the packet filter\niptables -I INPUT 1 -p udp --dport 1701 -m policy --dir in --pol none -j DROP\n; or, where nobody calls from outside\n[global]\nlisten-addr = 127.0.0.1",
			posture.VyOS:     vyosFilter1701,
			posture.Windows:  "Set-ItemProperty -Path HKLM:\\SYSTEM\\CurrentControlSet\\Services\\RasMan\\Parameters -Name ProhibitIPSec -Value 0",
			posture.FortiOS:  "config vpn l2tp\n    set enforce-ipsec enable\nend",
			posture.PfSense:  "Firewall > Rules > WAN: no rule that passes UDP 1701; Firewall > Rules > IPsec: one that does",
		}, judge: judgeL2TP,
	},
	{
		ID: "LEAK-002", Title: "No L2TP or PPP is seen in the clear", Severity: Critical, Risk: "R7", Checks: []string{"C6", "C8"}, Needs: Capture,
		Why:  "UDP 1701 outside ESP between IKE peers is the leak itself; the logins in it must count as known.",
		Refs: []string{"RFC 3193, Section 3"},
		Fix: fixes{
			posture.RouterOS: "/interface l2tp-server server set use-ipsec=required",
			posture.NFTables: "nft insert rule inet filter input udp dport 1701 meta ipsec missing drop\nnft insert rule inet filter output udp sport 1701 rt ipsec missing drop",
			posture.IPTables: "iptables -I INPUT 1 -p udp --dport 1701 -m policy --dir in --pol none -j DROP\niptables -I OUTPUT 1 -p udp --sport 1701 -m policy --dir out --pol none -j DROP",
		},
	},
	{
		ID: "LEAK-003", Title: "Clients are told a resolver inside the tunnel", Severity: Medium, Risk: "R7", Checks: []string{"C6"}, Needs: Config,
		Why:  "Without one a client asks the resolver of the network it is in: that network sees every name, and answers as it likes.",
		Refs: []string{"RFC 7296, Section 3.15.1", "RFC 8598, Section 3.1", "RFC 1877, Section 1.1"},
		Fix: and(resolverFixes("ADDRESS-INSIDE"), fixes{
			posture.PPPD:     "ms-dns ADDRESS-INSIDE  # and no other",
			posture.RouterOS: "# of L2TP, PPTP and SSTP\n/ppp profile set [find name=[/interface {name} server get default-profile]] dns-server=ADDRESS-INSIDE\n# of IKE\n/ip ipsec mode-config set [find name=[/ip ipsec identity get [find peer=\"{name}\"] mode-config]] system-dns=no static-dns=ADDRESS-INSIDE",
		}), judge: judgeResolver,
	},
	{
		ID: "LEAK-004", Title: "The resolver that clients are told is reached through the tunnel", Severity: Low, Risk: "R7", Checks: []string{"C6"}, Needs: Config,
		Why:  "A public resolver, or one outside the selectors, is asked outside the tunnel or by a third party, which then knows every name.",
		Refs: []string{"RFC 8598, Section 3"},
		Fix: and(resolverFixes("ADDRESS-INSIDE"), fixes{
			posture.PPPD:     "ms-dns ADDRESS-INSIDE  # and no other",
			posture.RouterOS: "# of L2TP, PPTP and SSTP\n/ppp profile set [find name=[/interface {name} server get default-profile]] dns-server=ADDRESS-INSIDE\n# of IKE\n/ip ipsec mode-config set [find name=[/ip ipsec identity get [find peer=\"{name}\"] mode-config]] system-dns=no static-dns=ADDRESS-INSIDE",
		}), judge: judgeResolverInside,
	},
	{
		ID: "LEAK-005", Title: "All traffic of clients goes through the tunnel", Severity: Medium, Risk: "R7", Checks: []string{"C6"}, Needs: Config,
		Why:  "A client with a foot in both networks leads from one to the other, and what goes past the tunnel is seen by nobody who watches over it.",
		Refs: []string{"NIST SP 800-77r1, Section 7.2.1.2"},
		Fix: fixes{
			posture.Swanctl: swanChild("local_ts = 0.0.0.0/0,::/0"), posture.Starter: conn("leftsubnet=0.0.0.0/0,::/0"), posture.Libreswan: conn("leftsubnet=0.0.0.0/0"),
			posture.PfSense: "VPN > IPsec > Tunnels > {conn} > Phase 2 {name} > Edit: Local Network 0.0.0.0/0",
			posture.FortiOS: phase1("unset ipv4-split-include"), posture.OPNsense: "VPN > IPsec > Connections > {conn} > Children > {name}: Local 0.0.0.0/0, ::/0",
			posture.RouterOS:  "/ip ipsec mode-config set [find name=\"MODE-CONFIG\"] split-include=\"\"  # MODE-CONFIG: that of the identity for {conn}",
			posture.IOS:       "crypto ikev2 authorization policy POLICY\n no route set access-list ACCESS-LIST\n! of IKEv1, in crypto isakmp client configuration group GROUP: no acl",
			posture.VyOS:      "delete vpn ipsec remote-access connection {conn} local prefix",
			posture.Windows:   `Set-VpnConnection -Name "{conn}" -SplitTunneling $false`,
			posture.WireGuard: "[Peer]\nAllowedIPs = 0.0.0.0/0, ::/0",
			posture.Sallyport: "zones:\n  {conn}:\n    routes: [0.0.0.0/0, \"::/0\"]",
		}, judge: judgeSplit,
	},
	{
		ID: "LEAK-006", Title: "IPv6 is carried or stopped", Severity: High, Risk: "R7", Checks: []string{"C6"}, Needs: Config,
		Why:  "Clients prefer IPv6 where they have it. With IPv4 alone in the tunnel, half of their traffic goes past it, unseen and unprotected.",
		Refs: []string{"RFC 7359, Section 2"},
		Fix: fixes{
			posture.Swanctl:   swanChild("local_ts = 0.0.0.0/0,::/0") + "\n" + swanConn("pools = IPV4-POOL,IPV6-POOL"),
			posture.Starter:   conn("leftsubnet=0.0.0.0/0,::/0\n    rightsourceip=IPV4-POOL,IPV6-POOL"),
			posture.Libreswan: conn("leftsubnet=0.0.0.0/0,::/0  # from Libreswan 5.0\n    rightaddresspool=IPV4-POOL,IPV6-POOL"),
			posture.IOS: "crypto ikev2 authorization policy POLICY\n ipv6 pool POOL-V6\n! with ipv6 local pool POOL-V6 PREFIX 64, and ipv6 enable in the virtual template\n" +
				"! of IKEv1, which carries IPv4 alone: stop IPv6 at the clients, or carry what is inside and no more,\n! in crypto isakmp client configuration group GROUP: acl ACCESS-LIST",
			posture.PPPD: "+ipv6",
			posture.FortiOS: phase1("set ipv6-start-ip FIRST\n        set ipv6-end-ip LAST\n        set ipv6-prefix 64") + "\n" +
				"config vpn ipsec phase2-interface\n    edit \"{id}-v6\"\n        set phase1name \"{conn}\"\n        {esp}\n        set src-addr-type subnet6\n        set dst-addr-type subnet6\n    next\nend",
			posture.PfSense:  "VPN > IPsec > Mobile Clients: Virtual IPv6 Address Pool, and in their phase 1 another phase 2, Mode Tunnel IPv6, Local Network ::/0 (L2TP has no IPv6: IKEv2 in its place)",
			posture.OPNsense: "VPN > IPsec > Connections > {conn} > Children > {name}: Local 0.0.0.0/0, ::/0; Pools: one of IPv6, too",
			posture.VyOS: "set vpn ipsec remote-access connection {conn} local prefix ::/0\nset vpn ipsec remote-access connection {conn} pool IPV6-POOL\n" +
				"# or, for L2TP\nset vpn l2tp remote-access client-ipv6-pool IPV6-POOL prefix PREFIX mask 64\nset vpn l2tp remote-access default-ipv6-pool IPV6-POOL\nset vpn l2tp remote-access ppp-options ipv6 allow",
			posture.RouterOS: "# of L2TP, PPTP and SSTP\n/ipv6 pool add name={id}-v6 prefix=PREFIX prefix-length=64\n" +
				"/ppp profile set [find name=[/interface {name} server get default-profile]] use-ipv6=yes remote-ipv6-prefix-pool={id}-v6\n" +
				"# of IKE, which gives addresses of IPv4 alone: stop IPv6 at the clients (Windows: Disable-NetAdapterBinding -Name * -ComponentID ms_tcpip6),\n# or carry what is behind the router and no more; MODE-CONFIG is that of the identity for {conn}\n" +
				"/ip ipsec mode-config set [find name=\"MODE-CONFIG\"] split-include=INNER",
			posture.WireGuard: "[Peer]\nAllowedIPs = 0.0.0.0/0, ::/0",
			posture.Sallyport: "zones:\n  {conn}:\n    pool: {ipv6: \"fd00:60::/64\"}\n    routes: [0.0.0.0/0, \"::/0\"]",
		}, judge: judgeIPv6,
	},
	{
		ID: "LEAK-007", Title: "No client asks names outside the tunnel", Severity: High, Risk: "R7", Checks: []string{"C6", "C8"}, Needs: Capture,
		Why:  "Port 53, 853 or a public resolver from a client's own address while its SA is up is the leak itself.",
		Refs: []string{"RFC 8598, Section 3", "RFC 9076, Section 6"},
		Fix: fixes{
			posture.Windows:   "Add-DnsClientNrptRule -Namespace \".\" -NameServers ADDRESS-INSIDE",
			posture.NFTables:  "nft add rule inet filter output udp dport { 53, 853 } rt ipsec missing drop\nnft add rule inet filter output tcp dport { 53, 853 } rt ipsec missing drop",
			posture.IPTables:  "iptables -A OUTPUT -p udp --dport 53 -m policy --dir out --pol none -j DROP\niptables -A OUTPUT -p tcp -m multiport --dports 53,853 -m policy --dir out --pol none -j DROP",
			posture.WireGuard: "[Interface]\nDNS = ADDRESS-INSIDE",
		},
	},
	{
		ID: "LEAK-008", Title: "The kernel takes no routes from strangers", Severity: Medium, Risk: "R7", Checks: []string{"C5", "C6"}, Needs: Config,
		Why:  "Redirects and source routes lead packets around the tunnel, and without reverse path filtering forged inner addresses are taken from outside.",
		Refs: []string{"RFC 3704, Section 2", "RFC 4301, Section 4.4.1", "kernel: Documentation/networking/ip-sysctl"},
		Fix: fixes{
			posture.VyOS:  "set {name} disable",
			posture.Linux: "# in /etc/sysctl.d/90-vpn.conf; rp_filter = 2 where routes are asymmetric\nnet.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.all.accept_redirects = 0\nnet.ipv4.conf.all.send_redirects = 0\nnet.ipv4.conf.all.accept_source_route = 0\nnet.ipv6.conf.all.accept_redirects = 0\nnet.ipv6.conf.all.accept_source_route = 0\nnet.ipv4.conf.default.rp_filter = 1\nnet.ipv4.conf.default.accept_redirects = 0\nnet.ipv4.conf.default.send_redirects = 0\nnet.ipv4.conf.default.accept_source_route = 0\nnet.ipv6.conf.default.accept_redirects = 0\nnet.ipv6.conf.default.accept_source_route = 0",
		}, judge: judgeKernel,
	},
	{
		ID: "LEAK-009", Title: "What is meant for the tunnel is not translated first", Severity: High, Risk: "R7", Checks: []string{"C6"}, Needs: Config,
		Why:  "The source is rewritten before policies are looked up: the packet no longer matches its policy and leaves in the clear, through the default route.",
		Refs: []string{"RFC 4301, Section 5.1", "iptables-extensions(8), policy"},
		Fix: fixes{
			posture.NFTables: "nft insert rule ip nat postrouting rt ipsec exists accept",
			posture.IPTables: "iptables -t nat -I POSTROUTING 1 -m policy --dir out --pol ipsec -j ACCEPT",
			posture.RouterOS: "/ip firewall nat add chain=srcnat action=accept ipsec-policy=out,ipsec place-before=0",
			posture.IOS: "ip access-list extended NAT\n deny ip INNER REMOTE\n permit ip INNER any\nip nat inside source list NAT interface OUTSIDE overload\n" +
				"! and each other one goes: no ip nat inside source LIST",
			posture.VyOS: "set nat source rule 1 exclude\nset nat source rule 1 source address INNER\nset nat source rule 1 destination address REMOTE\nset nat source rule 1 outbound-interface name OUTER",
		}, judge: judgeTranslation,
	},
	{
		ID: "LEAK-010", Title: "Inner networks cannot leave in the clear", Severity: Medium, Risk: "R7", Checks: []string{"C6"}, Needs: Config,
		Why:  "When the tunnel is down, or a policy is missing after a reload, routing sends its packets to the internet. A drop rule is the kill switch.",
		Refs: []string{"RFC 4301, Section 5.1", "wg-quick(8)"},
		Fix: fixes{
			posture.NFTables:  "nft insert rule inet filter forward ip saddr INNER ip daddr REMOTE oifname OUTER rt ipsec missing drop",
			posture.IPTables:  "iptables -I FORWARD 1 -s INNER -d REMOTE -o OUTER -m policy --dir out --pol none -j DROP",
			posture.RouterOS:  "/ip firewall filter add chain=forward src-address=INNER dst-address=REMOTE ipsec-policy=out,none action=drop place-before=0",
			posture.WireGuard: killSwitch,
		}, judge: judgeKillSwitch,
	},
	{
		ID: "LEAK-011", Title: "Clients do not reach each other", Severity: Low, Risk: "R7", Checks: []string{"C5"}, Needs: Config,
		Why:  "One infected client reaches all the others, behind every firewall of the networks that they are in.",
		Refs: []string{"NIST SP 800-77r1, Section 7.2.6"},
		Fix: fixes{
			posture.NFTables: "nft insert rule inet filter forward ip saddr POOL ip daddr POOL drop",
			posture.IPTables: "iptables -I FORWARD 1 -s POOL -d POOL -j DROP",
			posture.RouterOS: "/ip firewall filter add chain=forward src-address=POOL dst-address=POOL action=drop place-before=0\n# where an interface answers for the clients' addresses\n/interface bridge set [find arp=proxy-arp] arp=enabled",
			posture.PPPD:     "noproxyarp",
		}, judge: judgeIsolation,
	},
	{
		ID: "LEAK-012", Title: "No network leads traffic around the tunnel", Severity: Medium, Risk: "R7", Checks: []string{"C6", "C8"}, Needs: Config,
		Why:  "A network that hands out routes by DHCP option 121, or takes public or inner addresses as its own, draws a client's packets past a tunnel that leaves the local network out (TunnelVision, TunnelCrack). Only the client can refuse; a capture shows it on the others.",
		Refs: []string{"CVE-2024-3661", "CVE-2023-36672", "CVE-2023-36673"},
		Fix: fixes{
			posture.Swanctl: noBypass, posture.Starter: noBypass, posture.WireGuard: killSwitch,
		}, judge: judgeAround,
	},
	{
		ID: "LEAK-013", Title: "The product and its version are not told to strangers", Severity: Low, Risk: "R7", Checks: []string{"C5"}, Needs: Config,
		Why:  "A vendor id tells which exploit to try, before anybody has authenticated.",
		Refs: []string{"RFC 7296, Section 3.12"},
		Fix: fixes{
			posture.Swanctl: charon("send_vendor_id = no"), posture.Libreswan: conn("send-vendorid=no"),
		}, judge: judgeVendorID,
	},
	{
		ID: "LEAK-014", Title: "IKE is open to known peers alone where they are known", Severity: Medium, Risk: "R5", Checks: []string{"C5"}, Needs: Config,
		Why:  "Most flaws of IKE daemons are before authentication. Who cannot send a packet cannot use them.",
		Refs: []string{"NSA, Securing IPsec Virtual Private Networks (2020)"},
		Fix: fixes{
			posture.NFTables: "# each goes before the last, so that peers come first in the end\nnft insert rule inet filter input meta l4proto esp drop\nnft insert rule inet filter input udp dport { 500, 4500 } drop\nnft insert rule inet filter input ip saddr { PEERS } meta l4proto esp accept\nnft insert rule inet filter input ip saddr { PEERS } udp dport { 500, 4500 } accept",
			posture.IPTables: "iptables -I INPUT 1 -s PEER -p udp -m multiport --dports 500,4500 -j ACCEPT\niptables -I INPUT 2 -s PEER -p esp -j ACCEPT\niptables -I INPUT 3 -p udp -m multiport --dports 500,4500 -j DROP\niptables -I INPUT 4 -p esp -j DROP",
			posture.RouterOS: "/ip firewall address-list add list=vpn-peers address=PEER\n/ip firewall filter add chain=input protocol=udp dst-port=500,4500 src-address-list=!vpn-peers action=drop place-before=0",
			posture.VyOS: "set firewall group address-group vpn-peers address PEER\nset firewall ipv4 input filter rule 3 action drop\nset firewall ipv4 input filter rule 3 protocol udp\n" +
				"set firewall ipv4 input filter rule 3 destination port 500,4500\nset firewall ipv4 input filter rule 3 source group address-group !vpn-peers",
		}, judge: judgeExposure,
	},
	{
		ID: "LEAK-015", Title: "A client claims no address but its own", Severity: High, Risk: "R7", Checks: []string{"C5", "C6"}, Needs: Config,
		Why:  "Where anybody may connect and ask for any address, one client takes over what is meant for another, for a server or for the internet: the gateway sends it into the SA of whoever asked last.",
		Refs: []string{"RFC 4301, Section 4.4.3.3", "RFC 7296, Section 2.9"},
		Fix: fixes{
			posture.WireGuard: "[Peer]\nPublicKey = {name}\nAllowedIPs = ITS-ADDRESS/32",
			posture.Swanctl:   swanChild("remote_ts = dynamic"), posture.Starter: conn("rightsubnet=%dynamic"), posture.Libreswan: conn("rightaddresspool=FIRST-LAST\n    # and no rightsubnet"),
			posture.RouterOS: "/ip ipsec policy group add name={id}-own\n/ip ipsec policy add group={id}-own template=yes proposal=\"{phase2}\" src-address=INNER dst-address=POOL\n/ip ipsec identity set [find peer=\"{conn}\"] policy-template-group={id}-own",
			posture.IOS:      "crypto dynamic-map {name}\n match address ACCESS-LIST\n! ACCESS-LIST: permit ip INNER POOL",
			posture.FortiOS: phase1("set mode-cfg enable\n        set ipv4-start-ip FIRST\n        set ipv4-end-ip LAST\n        set mode-cfg-allow-client-selector disable") +
				"\n# or, of a site without a fixed address\n" + phase2("set dst-subnet ITS-NETWORK"),
			posture.OPNsense: "VPN > IPsec > Connections > {conn} > Children > {name}: Remote empty",
			posture.VyOS:     "delete vpn ipsec site-to-site peer {name} remote prefix\nset vpn ipsec site-to-site peer {name} remote prefix ITS-NETWORK\n# clients: vpn ipsec remote-access, with a pool",
		}, judge: judgeClaims,
	},
}

// noBypass is strongSwan's: the plugin lets the networks that the host is
// attached to go past every tunnel, whatever they say they are.
const noBypass = "# in strongswan.conf, section charon\nplugins {\n    bypass-lan {\n        load = no\n    }\n}"

// killSwitch is wg-quick(8)'s own example, for both families.
const killSwitch = "[Interface]" +
	"\nPostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT" +
	"\nPreDown = iptables -D OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT" +
	"\nPostUp = ip6tables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT" +
	"\nPreDown = ip6tables -D OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT"

// resolverFixes push a resolver to clients of IKE.
func resolverFixes(address string) fixes {
	return fixes{
		posture.Swanctl: "pools {\n    POOL {\n        dns = " + address + "\n    }\n}", posture.Starter: conn("rightdns=" + address), posture.Libreswan: conn("modecfgdns=" + address),
		posture.IOS: "crypto ikev2 authorization policy POLICY\n dns " + address + "\n! of IKEv1, in crypto isakmp client configuration group GROUP: dns " + address + "\n! of PPP, in interface Virtual-Template NUMBER: ppp ipcp dns " + address, posture.FortiOS: phase1("set dns-mode manual\n        set ipv4-dns-server1 " + address),
		posture.PfSense: "VPN > IPsec > Mobile Clients: DNS Server 1 " + address, posture.OPNsense: "VPN > IPsec > Connections > Pools: DNS " + address,
		posture.VyOS:      "set vpn ipsec remote-access pool POOL name-server " + address + "\n# or, for L2TP\nset vpn l2tp remote-access name-server " + address,
		posture.WireGuard: "[Interface]\nDNS = " + address, posture.Sallyport: "zones:\n  {conn}:\n    dns: {servers: [gateway]}",
	}
}

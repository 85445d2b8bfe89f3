package audit

import (
	"strings"
	"testing"
	"time"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

func subject(d posture.Dialect, kind, name string) posture.Subject {
	return posture.Subject{Dialect: d, Kind: kind, Name: name, At: here}
}

// changed is a host with the good connection after one change.
func changed(change func(*posture.Connection)) *posture.Host {
	c := vpn()
	change(&c)
	return hostOf(c)
}

func charonHost(change func(*posture.Daemon)) *posture.Host {
	d := posture.Daemon{Subject: subject(posture.Swanctl, "daemon", "charon"), Product: "strongSwan"}
	change(&d)
	return &posture.Host{Daemons: []posture.Daemon{d}}
}

func firewall(change func(*posture.Firewall)) *posture.Host {
	f := posture.Firewall{Subject: subject(posture.NFTables, "firewall", "inet filter")}
	change(&f)
	return &posture.Host{Firewalls: []posture.Firewall{f}}
}

func pppServer(change func(*posture.PPP)) *posture.Host {
	p := posture.PPP{Subject: subject(posture.PPPD, "ppp", "options.xl2tpd"), Server: written(true)}
	change(&p)
	return &posture.Host{PPP: []posture.PPP{p}}
}

func wireguard(change func(*posture.Tunnel)) *posture.Host {
	t := posture.Tunnel{Subject: subject(posture.WireGuard, "tunnel", "wg0"), Peers: []posture.TunnelPeer{{Subject: subject(posture.WireGuard, "peer", "p"), Endpoint: written("vpn.example.org:51820")}}}
	change(&t)
	return &posture.Host{Tunnels: []posture.Tunnel{t}}
}

// A case breaks a rule, keeps it, or leaves it unknown.
type netCase struct {
	rule     string
	severity Severity
	words    string
	fails    *posture.Host
	passes   *posture.Host
	unknown  *posture.Host
}

func TestNATRules(t *testing.T) {
	runCases(t, []netCase{
		{"NAT-001", Medium, "fragmentation is off",
			changed(func(c *posture.Connection) { c.Fragments = written(false) }),
			changed(func(c *posture.Connection) { c.Fragments = written(true) }), hostOf(vpn())},
		{"NAT-002", Low, "1500",
			charonHost(func(d *posture.Daemon) { d.FragmentSize = written(1500) }),
			charonHost(func(d *posture.Daemon) { d.FragmentSize = written(1280) }), charonHost(func(*posture.Daemon) {})},
		{"NAT-003", Medium, "1450",
			pppServer(func(p *posture.PPP) { p.MTU, p.MRU = written(1280), written(1450) }),
			pppServer(func(p *posture.PPP) { p.MTU = written(1400) }), pppServer(func(*posture.PPP) {})},
		{"NAT-004", Medium, "MSS",
			firewall(func(f *posture.Firewall) { f.MSSClamp = written(false) }),
			firewall(func(f *posture.Firewall) { f.MSSClamp = written(true) }), firewall(func(*posture.Firewall) {})},
		{"NAT-005", Medium, "dropped",
			firewall(func(f *posture.Firewall) { f.DropsPTB = written(true) }),
			firewall(func(f *posture.Firewall) { f.DropsPTB = written(false) }), firewall(func(*posture.Firewall) {})},
		{"NAT-006", Medium, "UDP 4500",
			firewall(func(f *posture.Firewall) { f.NATTReachable = written(false) }),
			firewall(func(f *posture.Firewall) { f.NATTReachable = written(true) }), firewall(func(*posture.Firewall) {})},
		{"NAT-007", Medium, "same NAT",
			&posture.Host{L2TP: []posture.L2TP{{Subject: subject(posture.Xl2tpd, "l2tp", "lns"), SharedNAT: written(false)}}},
			&posture.Host{L2TP: []posture.L2TP{{Subject: subject(posture.Xl2tpd, "l2tp", "lac"), Server: written(false)}}},
			&posture.Host{L2TP: []posture.L2TP{{Subject: subject(posture.Xl2tpd, "l2tp", "lns"), SharedNAT: written(true)}}}},
		{"NAT-008", Medium, "96 bits",
			changed(func(c *posture.Connection) { c.Children[0].SHA256Trunc = written(true) }),
			changed(func(c *posture.Connection) { c.Children[0].SHA256Trunc = written(false) }), hostOf(vpn())},
		{"NAT-009", Low, "dead peer",
			changed(func(c *posture.Connection) { c.DPD = written(time.Duration(0)) }),
			changed(func(c *posture.Connection) { c.DPD = written(30 * time.Second) }), hostOf(vpn())},
	})
}

func runCases(t *testing.T, cases []netCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.rule+" "+c.words, func(t *testing.T) {
			mustFind(t, c.rule, c.fails, c.severity, c.words)
			mustPass(t, c.rule, c.passes)
			if c.unknown != nil {
				mustNotKnow(t, c.rule, c.unknown)
			}
		})
	}
}

func TestOnePlaceThatClampsIsEnough(t *testing.T) {
	h := firewall(func(f *posture.Firewall) { f.MSSClamp = written(false) })
	h.PPP = []posture.PPP{{Subject: subject(posture.PPPD, "ppp", "options"), MSSClamp: written(true)}}
	mustPass(t, "NAT-004", h)
}

func TestTheDontFragmentBitMakesDroppedICMPWorse(t *testing.T) {
	h := firewall(func(f *posture.Firewall) { f.DropsPTB = written(true) })
	h.Daemons = charonHost(func(d *posture.Daemon) { d.CopyDF = written(true) }).Daemons
	mustFind(t, "NAT-005", h, Medium, "DF bit")
}

func TestKeepalivesAreOff(t *testing.T) {
	mustFind(t, "NAT-009", charonHost(func(d *posture.Daemon) { d.Keepalive = written(time.Duration(0)) }), Low, "keepalives")
}

func TestAFragmentSizeOfOneConnection(t *testing.T) {
	c := in(posture.FortiOS, vpn())
	c.FragmentSize = written(1400)
	mustFind(t, "NAT-002", hostOf(c), Low, "1400")
}

func TestNobodyAsksForTheSizeOfFragmentsThatAreNotSent(t *testing.T) {
	for _, c := range []struct {
		name string
		of   func(*posture.Connection)
		told bool
	}{
		{"fragments are off", func(c *posture.Connection) { c.Fragments = written(false) }, true},
		{"IKEv1 without a word of fragments", func(c *posture.Connection) { c.V1, c.V2 = written(true), written(false) }, true},
		{"nothing is known", func(*posture.Connection) {}, false},
	} {
		conn := in(posture.IOS, vpn())
		conn.Product = "IOS"
		c.of(&conn)
		h := hostOf(conn)
		h.Daemons = []posture.Daemon{{Subject: subject(posture.IOS, "daemon", "crypto"), Product: "IOS"}}
		if c.told {
			mustPass(t, "NAT-002", h)
		} else {
			mustNotKnow(t, "NAT-002", h)
		}
	}
}

func TestAnOpenPortOfL2TPIsToldOnce(t *testing.T) {
	for d, tool := range map[posture.Dialect]string{posture.NFTables: "nft ", posture.IPTables: "iptables "} {
		h := firewall(func(f *posture.Firewall) { f.Dialect, f.L2TPOpen = d, written(true) })
		h.L2TP = l2tpHost(posture.Xl2tpd, written(posture.Never)).L2TP
		r := mustFind(t, "LEAK-001", h, Critical, "no packet filter")
		if !strings.HasPrefix(r.Fix, tool) {
			t.Errorf("%s: what to write is %q", d, r.Fix)
		}
	}
}

func TestAClientsGatewayMayHaveEverything(t *testing.T) {
	c := in(posture.RouterOS, vpn())
	c.AnyPeer, c.Remote = written(true), nil
	c.Children[0].RemoteTS = written([]string{"0.0.0.0/0"})
	mustFind(t, "LEAK-015", hostOf(c), High, "any address")
	c.AsksAddress = written(true)
	mustPass(t, "LEAK-015", hostOf(c))
}

func TestNobodyAsksForCookiesWhereIKEv2IsNotTaken(t *testing.T) {
	conn := in(posture.IOS, vpn())
	conn.Product, conn.V1, conn.V2 = "IOS", written(true), written(false)
	h := hostOf(conn)
	h.Daemons = []posture.Daemon{{Subject: subject(posture.IOS, "daemon", "crypto"), Product: "IOS"}}
	mustPass(t, "RPL-006", h)
	h.Connections[0].V2 = written(true)
	mustNotKnow(t, "RPL-006", h)
}

func TestReplayAndDowngradeRules(t *testing.T) {
	replay := func(n int) *posture.Host {
		return changed(func(c *posture.Connection) { c.Children[0].Replay = written(n) })
	}
	runCases(t, []netCase{
		{"RPL-001", High, "off", replay(0), replay(32), hostOf(vpn())},
		{"RPL-002", Low, "32", replay(32), replay(64), hostOf(vpn())},
		{"RPL-003", Low, "32 bits",
			changed(func(c *posture.Connection) { c.Children[0].ESN = written(false) }),
			changed(func(c *posture.Connection) { c.Children[0].ESN = written(true) }), hostOf(vpn())},
		{"RPL-004", High, "both",
			changed(func(c *posture.Connection) { c.V1, c.V2 = written(true), written(true) }),
			hostOf(vpn()), changed(func(c *posture.Connection) { c.V1 = posture.Value[bool]{} })},
		{"RPL-005", High, "in the clear",
			changed(func(c *posture.Connection) { c.Children[0].FailOpen = written(true) }),
			changed(func(c *posture.Connection) { c.Children[0].FailOpen = written(false) }), hostOf(vpn())},
		{"RPL-006", Medium, "no cookie",
			charonHost(func(d *posture.Daemon) { d.Cookies = written(false) }),
			charonHost(func(d *posture.Daemon) { d.Cookies = written(true) }), charonHost(func(*posture.Daemon) {})},
		{"RPL-006", Low, "half-open",
			charonHost(func(d *posture.Daemon) {
				d.Cookies, d.BlockLimit, d.HalfOpenLimit = written(true), written(0), written(0)
			}),
			charonHost(func(d *posture.Daemon) {
				d.Cookies, d.BlockLimit, d.HalfOpenLimit = written(true), written(5), written(0)
			}), nil},
		{"RPL-010", Low, "left out",
			changed(func(c *posture.Connection) { c.PPK = written(posture.Optional) }),
			changed(func(c *posture.Connection) { c.PPK = written(posture.Always) }),
			changed(func(c *posture.Connection) { c.IKE = posture.Value[[]posture.Proposal]{} })},
		{"RPL-011", Medium, "as they come",
			hostOf(in(posture.RouterOS, changed(func(c *posture.Connection) { c.Obeys = written(true) }).Connections[0])),
			hostOf(in(posture.RouterOS, changed(func(c *posture.Connection) { c.Obeys = written(false) }).Connections[0])), hostOf(in(posture.RouterOS, vpn()))},
	})
}

func TestALimitOfPacketsServesInsteadOfExtendedNumbers(t *testing.T) {
	mustPass(t, "RPL-003", changed(func(c *posture.Connection) {
		c.Children[0].ESN, c.Children[0].Packets = written(false), written(uint64(4_000_000_000))
	}))
	mustPass(t, "RPL-003", changed(func(c *posture.Connection) {
		c.Children[0].ESN, c.Children[0].Bytes = written(false), written(uint64(64<<30))
	}))
}

func TestVersionOneAloneIsNoDowngrade(t *testing.T) {
	mustPass(t, "RPL-004", changed(func(c *posture.Connection) { c.V1, c.V2 = written(true), written(false) }))
	mustPass(t, "RPL-004", changed(func(c *posture.Connection) {
		c.V1, c.V2, c.Remote = written(true), written(true), []posture.Auth{{Method: written(posture.MethodEAP)}}
	}))
}

func TestMLKEMThatThePeerMayLeaveOut(t *testing.T) {
	mlkem := func(texts ...string) posture.Connection {
		c := vpn()
		c.IKE = proposals(suite.ProtocolIKE, texts...)
		c.IKE.V[0].AddKE = transforms("mlkem768")
		return c
	}
	mustFind(t, "RPL-010", hostOf(mlkem("aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha384-x25519")), Low, "without ML-KEM")
	c := mlkem("aes256gcm16-prfsha384-ecp384")
	mustPass(t, "RPL-010", hostOf(c))
	c.IKE.V[0].AddKE = append(c.IKE.V[0].AddKE, noGroup)
	mustFind(t, "RPL-010", hostOf(c), Low, "may be none")
}

func l2tpHost(d posture.Dialect, ipsec posture.Value[posture.Demand]) *posture.Host {
	return &posture.Host{L2TP: []posture.L2TP{{Subject: subject(d, "l2tp", "server"), Enabled: written(true), Server: written(true), IPsec: ipsec}}}
}

func TestLeakRules(t *testing.T) {
	client := func(dns, pool, ts []string) *posture.Host {
		return changed(func(c *posture.Connection) {
			c.DNS, c.Pool, c.Children[0].LocalTS = written(dns), written(pool), written(ts)
		})
	}
	pool, all := []string{"10.9.0.0/24"}, []string{"0.0.0.0/0", "::/0"}
	both := []string{"10.9.0.0/24", "2001:db8:9::/64"}
	routes := func(list ...string) *posture.Host {
		return wireguard(func(w *posture.Tunnel) { w.Peers[0].AllowedIPs = written(list) })
	}
	kernel := func(key, value string) *posture.Host {
		return &posture.Host{Kernel: []posture.Kernel{{Subject: subject(posture.Linux, "sysctl", key), Key: key, Value: written(value)}}}
	}
	runCases(t, []netCase{
		{"LEAK-001", Critical, "without IPsec", l2tpHost(posture.RouterOS, written(posture.Never)), l2tpHost(posture.RouterOS, written(posture.Always)), l2tpHost(posture.RouterOS, posture.Value[posture.Demand]{})},
		{"LEAK-001", Critical, "with and without", l2tpHost(posture.RouterOS, written(posture.Optional)), l2tpHost(posture.RouterOS, written(posture.Always)), nil},
		{"LEAK-001", Critical, "1701", firewall(func(f *posture.Firewall) { f.L2TPOpen = written(true) }), firewall(func(f *posture.Firewall) { f.L2TPNeedsIPsec = written(true) }), firewall(func(*posture.Firewall) {})},
		{"LEAK-003", Medium, "no resolver", client(nil, pool, all), client([]string{"10.0.0.53"}, pool, all), changed(func(c *posture.Connection) { c.Pool = written(pool) })},
		{"LEAK-003", Medium, "no resolver", pppServer(func(p *posture.PPP) { p.DNS = written([]string(nil)) }), pppServer(func(p *posture.PPP) { p.DNS = written([]string{"10.0.0.53"}) }), pppServer(func(*posture.PPP) {})},
		{"LEAK-004", Low, "Google", client([]string{"8.8.8.8"}, pool, all), client([]string{"10.0.0.53"}, pool, all), changed(func(c *posture.Connection) { c.Pool = written(pool) })},
		{"LEAK-004", Low, "not in what", client([]string{"192.168.1.1"}, pool, []string{"10.0.0.0/8"}), client([]string{"10.0.0.53"}, pool, []string{"10.0.0.0/8"}), nil},
		{"LEAK-005", Info, "outside the tunnel", client(nil, pool, []string{"10.0.0.0/8"}), client(nil, pool, all), changed(func(c *posture.Connection) { c.Pool = written(pool) })},
		{"LEAK-005", Info, "outside the tunnel", routes("10.0.0.0/8"), routes(all...), wireguard(func(*posture.Tunnel) {})},
		{"LEAK-006", High, "nothing of IPv6", client(nil, pool, []string{"0.0.0.0/0"}), client(nil, both, all), changed(func(c *posture.Connection) { c.Pool = written(pool) })},
		{"LEAK-006", High, "no address", client(nil, pool, all), client(nil, []string{"dhcp"}, all), nil},
		{"LEAK-006", High, "no address", client(nil, []string{"10.9.0.2-10.9.0.9"}, all), client(nil, pool, []string{"10.0.0.0/8", "::/0"}), nil},
		{"LEAK-006", High, "no IPv6", pppServer(func(p *posture.PPP) { p.IPv6 = written(false) }), pppServer(func(p *posture.PPP) { p.IPv6 = written(true) }), pppServer(func(*posture.PPP) {})},
		{"LEAK-006", High, "nothing of IPv6", routes("0.0.0.0/1", "128.0.0.0/1"), routes("10.0.0.0/8"), nil},
		{"LEAK-008", Medium, "rp_filter", kernel("net.ipv4.conf.all.rp_filter", "0"), kernel("net.ipv4.conf.all.rp_filter", "2"), &posture.Host{Files: []posture.File{{Path: "etc/sysctl.conf", Dialect: posture.Linux}}}},
		{"LEAK-008", Medium, "send_redirects", kernel("net/ipv4/conf/eth0/send_redirects", "1"), kernel("net.ipv4.conf.all.send_redirects", "0"), nil},
		{"LEAK-009", High, "masqueraded", firewall(func(f *posture.Firewall) { f.MasqueradesIn = written(true) }), firewall(func(f *posture.Firewall) { f.MasqueradesIn = written(false) }), firewall(func(*posture.Firewall) {})},
		{"LEAK-010", Medium, "in the clear", firewall(func(f *posture.Firewall) { f.DropsClear = written(false) }), firewall(func(f *posture.Firewall) { f.DropsClear = written(true) }), firewall(func(*posture.Firewall) {})},
		{"LEAK-010", Medium, "in the clear", wireguard(func(w *posture.Tunnel) {
			w.KillSwitch, w.Peers[0].AllowedIPs = written(false), written(all)
		}), routes("10.0.0.0/8"), routes(all...)},
		{"LEAK-011", Low, "client to client", firewall(func(f *posture.Firewall) { f.ClientToClient = written(true) }), firewall(func(f *posture.Firewall) { f.ClientToClient = written(false) }), firewall(func(*posture.Firewall) {})},
		{"LEAK-013", Low, "version", charonHost(func(d *posture.Daemon) { d.SendsVID = written(true) }), charonHost(func(d *posture.Daemon) { d.SendsVID = written(false) }), hostOf(vpn())},
	})
}

func TestAPacketFilterAnswersForTheDaemonThatCannot(t *testing.T) {
	h := l2tpHost(posture.Xl2tpd, written(posture.Never))
	mustFind(t, "LEAK-001", h, Critical, "no packet filter")
	h.Firewalls = firewall(func(f *posture.Firewall) { f.L2TPNeedsIPsec = written(true) }).Firewalls
	mustPass(t, "LEAK-001", h)
	h = l2tpHost(posture.Xl2tpd, written(posture.Never))
	h.L2TP[0].Listen = written([]string{"127.0.0.1"})
	mustPass(t, "LEAK-001", h)
	h = l2tpHost(posture.Xl2tpd, written(posture.Never))
	h.L2TP[0].Enabled = written(false)
	mustPass(t, "LEAK-001", h)
}

// TestWireGuardMissesNoPolicy: a gateway that has WireGuard alone masquerades what goes
// to the internet, and nothing is looked up in IPsec's policies afterwards.
func TestWireGuardMissesNoPolicy(t *testing.T) {
	nat := firewall(func(f *posture.Firewall) { f.MasqueradesIn = written(true) })
	h := wireguard(func(*posture.Tunnel) {})
	h.Firewalls = nat.Firewalls
	mustPass(t, "LEAK-009", h)
	mustPass(t, "LEAK-014", h)
	h.Connections = []posture.Connection{vpn()}
	mustFind(t, "LEAK-009", h, High, "masqueraded")
	h.Connections[0].Disabled = true
	mustPass(t, "LEAK-009", h)
	mustFind(t, "LEAK-009", nat, High, "masqueraded") // nobody knows what the host is
}

// TestTheSegmentsOfWireGuardHaveNoPolicy: a rule for what IPsec carries clamps nothing.
func TestTheSegmentsOfWireGuardHaveNoPolicy(t *testing.T) {
	h := wireguard(func(w *posture.Tunnel) { w.Dialect = posture.RouterOS })
	h.Firewalls = firewall(func(f *posture.Firewall) { f.Dialect, f.MSSClamp = posture.RouterOS, written(false) }).Firewalls
	if r := mustFind(t, "NAT-004", h, Medium, "MSS"); strings.Contains(r.Fix, "ipsec") || !strings.Contains(r.Fix, `out-interface="wg0"`) {
		t.Error(r.Fix)
	}
}

// TestADropForIPsecAloneIsNoAdviceForWireGuard: no packet of its has a policy, so that
// the rule would drop all that goes to the internet.
func TestADropForIPsecAloneIsNoAdviceForWireGuard(t *testing.T) {
	h := wireguard(func(w *posture.Tunnel) {
		w.Peers[0].AllowedIPs, w.KillSwitch = written([]string{"10.9.0.2/32", "10.20.0.0/16"}), byDefault(false)
	})
	h.Firewalls = firewall(func(f *posture.Firewall) { f.DropsClear = written(false) }).Firewalls
	if r := mustFind(t, "LEAK-010", h, Medium, "in the clear"); strings.Contains(r.Fix, "ipsec") || !strings.Contains(r.Fix, "REMOTE") {
		t.Error(r.Fix)
	}
	h.Tunnels[0].Peers[0].AllowedIPs = written([]string{"10.9.0.2/32", "fd00::2/128"}) // a client, and nothing behind it
	for _, r := range judgedBy(t, "LEAK-010", h) {
		if r.Outcome != OK {
			t.Errorf("%+v", r)
		}
	}
}

// TestDropsOfAHostWithoutL2TPAreLoggedAsTheyAre: who has no L2TP has nothing to learn
// from a line about it.
func TestDropsOfAHostWithoutL2TPAreLoggedAsTheyAre(t *testing.T) {
	h := firewall(func(f *posture.Firewall) { f.LogsL2TP = written(false) })
	if r := mustFind(t, "LOG-010", h, Low, "drops"); strings.Contains(r.Fix, "1701") || !strings.Contains(r.Fix, "log prefix") {
		t.Error(r.Fix)
	}
	h.L2TP = []posture.L2TP{{Subject: subject(posture.Xl2tpd, "l2tp", "lns")}}
	if r := mustFind(t, "LOG-010", h, Low, "drops"); strings.Contains(r.Fix, "input-drop") {
		t.Error(r.Fix)
	}
}

func TestANetworkIsNoClient(t *testing.T) {
	h := changed(func(c *posture.Connection) {
		c.Pool, c.Children[0].LocalTS = written([]string(nil)), written([]string{"10.0.0.0/8"})
	})
	for _, id := range strings.Fields("LEAK-003 LEAK-004 LEAK-005 LEAK-006") {
		mustPass(t, id, h)
	}
}

func TestClientsOfL2TPGetTheirAddressFromPPP(t *testing.T) {
	h := changed(func(c *posture.Connection) {
		c.Pool, c.DNS = written([]string{"10.62.0.0/24"}), written([]string(nil))
		c.Children[0].L2TP, c.Children[0].LocalTS = true, written([]string{"dynamic[udp/1701]"})
	})
	for _, id := range strings.Fields("LEAK-003 LEAK-004 LEAK-005 LEAK-006") {
		mustPass(t, id, h)
	}
}

func TestAClientsOwnSideIsTheOther(t *testing.T) {
	h := changed(func(c *posture.Connection) {
		c.Role, c.AsksAddress = written(posture.Initiates), written(true)
		c.Children[0].RemoteTS = written([]string{"0.0.0.0/0"})
	})
	mustFind(t, "LEAK-006", h, High, "IPv6")
	mustPass(t, "LEAK-005", h)
}

func TestAClientIsToldToChangeWhatItSendsAndNotItsOwnSide(t *testing.T) {
	for _, c := range []struct {
		dialect       posture.Dialect
		id, to, words string
	}{
		{posture.Swanctl, "LEAK-005", "10.0.0.0/8", "remote_ts = 0.0.0.0/0,::/0"},
		{posture.Swanctl, "LEAK-006", "0.0.0.0/0", "vips = 0.0.0.0,::"},
		{posture.Starter, "LEAK-005", "10.0.0.0/8", "rightsubnet=0.0.0.0/0,::/0"},
		{posture.Starter, "LEAK-006", "0.0.0.0/0", "leftsourceip=%config4,%config6"},
		{posture.Libreswan, "LEAK-005", "10.0.0.0/8", "rightsubnet=0.0.0.0/0"},
	} {
		client := in(c.dialect, vpn())
		client.Role, client.AsksAddress = written(posture.Initiates), written(true)
		client.Children[0].RemoteTS = written([]string{c.to})
		h := hostOf(client)
		r := judgedBy(t, c.id, h)[0]
		got := newBook(policy.Default(), h).fix(&r)
		if !strings.Contains(got, c.words) || strings.Contains(got, "leftsubnet") || strings.Contains(got, "local_ts") {
			t.Errorf("%s %s: %s", c.dialect, c.id, got)
		}
	}
}

func TestIPv6IsNotAskedOfIKEv1(t *testing.T) {
	for _, d := range []posture.Dialect{posture.Swanctl, posture.Starter, posture.Libreswan} {
		c := in(d, vpn())
		c.Role, c.Pool, c.V1, c.V2 = written(posture.Answers), written([]string{"10.9.0.0/24"}), written(true), written(false)
		c.Children[0].LocalTS = written([]string{"0.0.0.0/0"})
		h := hostOf(c)
		r := judgedBy(t, "LEAK-006", h)[0]
		if got := newBook(policy.Default(), h).fix(&r); strings.Contains(got, "::/0") || !strings.Contains(got, "IKEv2") {
			t.Errorf("%s: %s", d, got)
		}
	}
}

func TestIKEIsOpenOnlyWhereItMustBe(t *testing.T) {
	open := func(any posture.Value[bool]) *posture.Host {
		h := firewall(func(f *posture.Firewall) { f.IKEOpen = written(true) })
		c := vpn()
		c.AnyPeer = any
		h.Connections = []posture.Connection{c}
		return h
	}
	mustFind(t, "LEAK-014", open(written(false)), Medium, "fixed addresses")
	mustPass(t, "LEAK-014", open(written(true)))
	mustNotKnow(t, "LEAK-014", open(posture.Value[bool]{}))
	calls := open(written(false))
	calls.L2TP = l2tpHost(posture.RouterOS, written(posture.Always)).L2TP
	mustPass(t, "LEAK-014", calls)
	mustPass(t, "LEAK-014", firewall(func(f *posture.Firewall) { f.IKEOpen = written(false) }))
	mustNotKnow(t, "LEAK-014", firewall(func(f *posture.Firewall) { f.IKEOpen = written(true) }))
}

func TestPPPClientsThatSplit(t *testing.T) {
	windows := func(split bool) *posture.Host {
		return &posture.Host{PPP: []posture.PPP{{Subject: subject(posture.Windows, "ppp", "VPN"), Server: written(false), Split: written(split)}}}
	}
	mustFind(t, "LEAK-005", windows(true), Info, "outside the tunnel")
	mustPass(t, "LEAK-005", windows(false))
}

func TestWhatIsSentToAClientThatHasGone(t *testing.T) {
	host := func(v posture.Value[bool], change func(*posture.Connection)) *posture.Host {
		h := changed(func(c *posture.Connection) {
			c.AnyPeer, c.Pool, c.Children[0].FailOpen = written(true), written([]string{"10.9.0.0/24"}), posture.Value[bool]{}
			change(c)
		})
		h.Firewalls = firewall(func(f *posture.Firewall) { f.DropsClear = v }).Firewalls
		return h
	}
	same := func(*posture.Connection) {}
	mustFind(t, "RPL-005", host(written(false), same), Low, "has gone")
	mustPass(t, "RPL-005", host(written(true), same))
	for want, h := range map[string]*posture.Host{
		"gets its address from here": host(posture.Value[bool]{}, same),
		"client of L2TP":             host(posture.Value[bool]{}, func(c *posture.Connection) { c.Children[0].L2TP = true }),
		"not known before it calls":  host(posture.Value[bool]{}, func(c *posture.Connection) { c.Pool = posture.Value[[]string]{} }),
	} {
		results := judgedBy(t, "RPL-005", h)
		if len(results) != 1 || results[0].Outcome != Unassessable || !strings.Contains(results[0].Detail, want) {
			t.Errorf("%s: %+v", want, results)
		}
	}
}

func TestAnInterfaceWithoutRoutesTakesNothing(t *testing.T) {
	for _, table := range []string{"off", "42"} {
		h := wireguard(func(w *posture.Tunnel) {
			w.Table, w.Peers[0].AllowedIPs, w.DNS = written(table), written([]string{"0.0.0.0/0", "fd00::/8"}), byDefault([]string(nil))
			w.KillSwitch = byDefault(false)
		})
		for _, id := range []string{"LEAK-003", "LEAK-005", "LEAK-006", "LEAK-010"} {
			for _, r := range judgedBy(t, id, h) {
				if r.Outcome != OK {
					t.Errorf("%s, table %s: %+v", id, table, r)
				}
			}
		}
	}
	h := wireguard(func(w *posture.Tunnel) {
		w.Table, w.Peers[0].AllowedIPs = written("main"), written([]string{"0.0.0.0/0"})
	})
	mustFind(t, "LEAK-006", h, High, "nothing of IPv6")
}

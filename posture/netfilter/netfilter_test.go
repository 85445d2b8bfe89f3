package netfilter_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/netfilter"
	"sallyport/posture/source"
)

// read makes a host of files whose contents follow their names.
func read(t testing.TB, files ...string) *posture.Host {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return readFS(fsys)
}

func readFS(fsys fstest.MapFS) *posture.Host { return readHost(&posture.Host{}, fsys) }

func readHost(h *posture.Host, fsys fstest.MapFS) *posture.Host {
	in := source.NewInput(source.New("", fsys, true), h)
	all, _ := in.Walk(".")
	var claimed []string
	for _, p := range all {
		if netfilter.Claims(p, func() []byte { return in.Head(p, 8<<10) }) {
			claimed = append(claimed, p)
		}
	}
	netfilter.Read(in.For("", claimed))
	return h
}

// wall is the only firewall of a host.
func wall(t *testing.T, h *posture.Host) posture.Firewall {
	t.Helper()
	for _, n := range h.Notes {
		t.Logf("note %s at %s:%d: %s", n.Kind, n.At.File, n.At.Line, n.Text)
	}
	if len(h.Firewalls) != 1 {
		t.Fatalf("%d firewalls, want 1", len(h.Firewalls))
	}
	return h.Firewalls[0]
}

// nft is a ruleset with rules in its chains.
func nft(input, forward, postrouting string) string {
	return `#!/usr/sbin/nft -f
flush ruleset
define WAN = eth0
define IKE = { 500, 4500 }
table inet filter {
	set peers { type ipv4_addr; flags interval; elements = { 192.0.2.1, 198.51.100.0/24 } }
	chain input {
		type filter hook input priority filter; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
		iif lo accept
		` + input + `
	}
	chain l2tp { ` + "udp dport 1701 accept" + ` }
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
		` + forward + `
	}
}
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		` + postrouting + `
	}
}
`
}

// ipt is the same for iptables-restore.
func ipt(input, forward, postrouting string) string {
	return `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
` + postrouting + `
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:l2tp - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
` + input + `
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
` + forward + `
-A l2tp -p udp -m udp --dport 1701 -j ACCEPT
COMMIT
`
}

func open(f posture.Firewall) posture.Value[bool]   { return f.L2TPOpen }
func needs(f posture.Firewall) posture.Value[bool]  { return f.L2TPNeedsIPsec }
func ike(f posture.Firewall) posture.Value[bool]    { return f.IKEOpen }
func reach(f posture.Firewall) posture.Value[bool]  { return f.IKEReachable }
func natt(f posture.Firewall) posture.Value[bool]   { return f.NATTReachable }
func esp(f posture.Firewall) posture.Value[bool]    { return f.ESPReachable }
func clamp(f posture.Firewall) posture.Value[bool]  { return f.MSSClamp }
func tooBig(f posture.Firewall) posture.Value[bool] { return f.DropsPTB }
func nat(f posture.Firewall) posture.Value[bool]    { return f.MasqueradesIn }
func clear(f posture.Firewall) posture.Value[bool]  { return f.DropsClear }
func c2c(f posture.Firewall) posture.Value[bool]    { return f.ClientToClient }
func logs(f posture.Firewall) posture.Value[bool]   { return f.LogsL2TP }
func fwd(f posture.Firewall) posture.Value[bool]    { return f.ForwardDrop }
func v6(f posture.Firewall) posture.Value[bool]     { return f.IPv6 }

type fact func(posture.Firewall) posture.Value[bool]

var cases = []struct {
	name                        string
	iptables                    bool
	input, forward, postrouting string
	fact                        fact
	want                        bool
	text                        string // a part of the evidence
}{
	{"1701 for everybody", false, "udp dport 1701 accept", "", "", open, true, "udp dport 1701 accept"},
	{"1701 for everybody", false, "udp dport 1701 accept", "", "", needs, false, "udp dport 1701 accept"},
	{"1701 by its name in a list", false, "udp dport { 500, 1700-1710 } accept", "", "", open, true, "1700-1710"},
	{"1701 from IPsec", false, "meta ipsec exists udp dport 1701 accept", "", "", needs, true, "meta ipsec exists"},
	{"1701 from IPsec in the older word", false, "udp dport l2f meta secpath exists accept", "", "", needs, true, "secpath"},
	{"1701 from an SA by its number", false, "ipsec in reqid 1 udp dport 1701 accept", "", "", needs, true, "reqid"},
	{"1701 from IPsec, and not open", false, "meta ipsec exists udp dport 1701 accept", "", "", open, false, "policy drop"},
	{"the clear dropped before", false, "udp dport 1701 meta secpath missing drop\nudp dport 1701 accept", "", "", needs, true, "dport 1701 accept"},
	{"the clear dropped after", false, "udp dport 1701 accept\nudp dport 1701 meta secpath missing drop", "", "", needs, false, "dport 1701 accept"},
	{"1701 for some peers", false, "ip saddr @peers udp dport 1701 accept", "", "", open, false, "policy drop"},
	{"1701 for some peers in the clear", false, "ip saddr @peers udp dport 1701 accept", "", "", needs, false, "@peers"},
	{"1701 in another chain", false, "iifname $WAN meta l4proto udp jump l2tp", "", "oifname $WAN masquerade", open, true, "dport 1701 accept"},
	{"1701 from the inside", false, `iifname "eth1" accept`, "", "oifname $WAN masquerade", open, false, "policy drop"},
	{"1701 by a map of protocols", false, "meta l4proto vmap { tcp : drop, udp : goto l2tp }", "", "", open, true, "1701"},
	{"1701 by a concatenation", false, "meta l4proto . th dport { tcp . 22, udp . 1701 } accept", "", "", open, true, "1701"},
	{"1701 logged", false, `log prefix "dropped: " level info flags all counter packets 0 bytes 0`, "", "", logs, true, "log prefix"},
	{"1701 not logged", false, `udp dport 500 log prefix "ike " accept`, "", "", logs, false, ""},
	{"IKE for everybody", false, "udp dport $IKE accept", "", "", ike, true, "$IKE"},
	{"IKE for peers", false, "ip saddr @peers udp dport { 500, 4500 } accept", "", "", ike, false, "policy drop"},
	{"IKE for peers", false, "ip saddr @peers udp dport { 500, 4500 } accept", "", "", reach, true, "@peers"},
	{"IKE at a rate", false, "udp dport 500 limit rate 50/second burst 100 packets accept", "", "", reach, true, "limit"},
	{"4500 forgotten", false, "udp dport 500 accept", "", "", natt, false, "policy drop"},
	{"ESP", false, "ip protocol esp accept", "", "", esp, true, "esp"},
	{"ESP from a list", false, "meta l4proto { esp, ah } accept", "", "", esp, true, "esp"},
	{"MSS", false, "", "tcp flags syn tcp option maxseg size set rt mtu", "", clamp, true, "maxseg"},
	{"MSS left", false, "", "", "", clamp, false, ""},
	{"too big is related", false, "", "", "", tooBig, false, "established"},
	{"too big dropped by the word", false, "", "icmp type destination-unreachable drop\nicmpv6 type packet-too-big drop", "", tooBig, false, ""},
	{"masquerade of all", false, "", "", `oifname "eth0" masquerade`, nat, true, "masquerade"},
	{"masquerade with an exemption", false, "", "", "rt ipsec exists accept\noifname eth0 masquerade", nat, false, "rt ipsec exists"},
	{"masquerade of the clear", false, "", "", "oifname eth0 rt ipsec missing masquerade", nat, false, ""},
	{"masquerade but to private networks", false, "", "", "oifname eth0 ip daddr != 10.0.0.0/8 masquerade", nat, false, ""},
	{"masquerade after an exempted network", false, "", "", "ip daddr 10.9.0.0/16 return\noifname eth0 masquerade", nat, false, ""},
	{"inner networks leave in the clear", false, "", "ip saddr 10.0.0.0/24 oifname eth0 accept", "", clear, false, "accept"},
	{"inner networks do not leave in the clear", false, "", "ip saddr 10.0.0.0/24 rt ipsec exists accept", "", clear, true, "policy drop"},
	{"a network is kept apart, which stops nothing else", false, "", "ip saddr 10.0.0.0/24 ip daddr 10.0.0.0/24 drop\nip saddr 10.0.0.0/24 accept", "", clear, false, "accept"},
	{"clients reach each other", false, "", `iifname "ppp*" accept`, "", c2c, true, "ppp*"},
	{"clients do not reach each other", false, "", `iifname "ppp*" oifname "ppp*" drop` + "\n" + `iifname "ppp*" accept`, "", c2c, false, "drop"},
	{"forward is dropped", false, "", "", "", fwd, true, "policy drop"},
	{"IPv6 is filtered", false, "", "", "", v6, true, ""},

	{"1701 for everybody", true, "-A INPUT -p udp -m udp --dport 1701 -j ACCEPT", "", "", open, true, "--dport 1701"},
	{"1701 for everybody among others", true, "-A INPUT -p udp -m multiport --dports 500,1700:1710 -j ACCEPT", "", "", open, true, "1700:1710"},
	{"1701 from IPsec", true, "-A INPUT -p udp -m udp --dport 1701 -m policy --dir in --pol ipsec -j ACCEPT", "", "", needs, true, "--pol ipsec"},
	{"1701 from transport mode", true, "-A INPUT -p udp --dport 1701 -m policy --dir in --pol ipsec --proto esp --mode transport -j ACCEPT", "", "", needs, true, "--pol ipsec"},
	{"1701 dropped in the clear", true, "-A INPUT -p udp --dport 1701 -m policy --dir in --pol none -j DROP\n-A INPUT -p udp --dport 1701 -j ACCEPT", "", "", needs, true, "-j ACCEPT"},
	{"1701 dropped in the clear", true, "-A INPUT -p udp --dport 1701 -m policy --dir in --pol none -j DROP\n-A INPUT -p udp --dport 1701 -j ACCEPT", "", "", open, false, "--pol none"},
	{"1701 for a network", true, "-A INPUT -s 192.0.2.0/24 -p udp --dport 1701 -j ACCEPT", "", "", needs, false, "192.0.2.0/24"},
	{"1701 from all but a network", true, "-A INPUT ! -s 192.0.2.0/24 -p udp --dport 1701 -j ACCEPT", "", "", open, true, "192.0.2.0/24"},
	{"1701 in another chain", true, "-A INPUT -i eth0 -j l2tp", "", "", open, true, "-A l2tp"},
	{"a ban list before", true, "-A INPUT -m set --match-set banned src -j DROP\n-A INPUT -p udp --dport 1701 -j ACCEPT", "", "", open, true, "1701"},
	{"IKE with a limit for each source", true, "-A INPUT -p udp --dport 500 -m hashlimit --hashlimit-upto 20/sec --hashlimit-mode srcip --hashlimit-name ike -j ACCEPT", "", "", ike, true, "hashlimit"},
	{"IKE with a limit above", true, "-A INPUT -p udp --dport 500 -m hashlimit --hashlimit-above 20/sec --hashlimit-name ike -j DROP\n-A INPUT -p udp --dport 500 -j ACCEPT", "", "", ike, true, "-j ACCEPT"},
	{"ESP", true, "-A INPUT -p esp -j ACCEPT", "", "", esp, true, "esp"},
	{"MSS", true, "", "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", "", clamp, true, "TCPMSS"},
	{"MSS left", true, "", "", "", clamp, false, ""},
	{"too big dropped", true, "-I INPUT 1 -p icmp -m icmp --icmp-type 3/4 -j DROP", "", "", tooBig, true, "3/4"},
	{"all of ICMP dropped", true, "-I INPUT -p icmp -j DROP", "", "", tooBig, true, "icmp"},
	{"masquerade of all", true, "", "", "-A POSTROUTING -o eth0 -j MASQUERADE", nat, true, "MASQUERADE"},
	{"masquerade with an exemption", true, "", "", "-A POSTROUTING -m policy --dir out --pol ipsec -j ACCEPT\n-A POSTROUTING -o eth0 -j MASQUERADE", nat, false, "--pol ipsec"},
	{"masquerade of the clear", true, "", "", "-A POSTROUTING -o eth0 -m policy --dir out --pol none -j MASQUERADE", nat, false, ""},
	{"inner networks are stopped in the clear", true, "", "-A FORWARD -s 10.0.0.0/24 -o eth0 -m policy --dir out --pol none -j REJECT --reject-with icmp-net-unreachable\n-A FORWARD -s 10.0.0.0/24 -j ACCEPT", "", clear, true, "--pol none"},
	{"clients reach each other", true, "", "-A FORWARD -i ppp+ -o ppp+ -s 192.168.42.0/24 -d 192.168.42.0/24 -j ACCEPT", "", c2c, true, "ppp+"},
	{"clients do not reach each other", true, "", "-A FORWARD -i ppp+ -o ppp+ -s 192.168.42.0/24 -d 192.168.42.0/24 -j DROP\n-A FORWARD -i ppp+ -j ACCEPT", "", c2c, false, "DROP"},
	{"forward ends with a drop", true, "", "", "", fwd, true, "policy drop"},
	{"log of what is dropped", true, `-A INPUT -m limit --limit 5/min -j LOG --log-prefix "iptables denied: " --log-level 7`, "", "", logs, true, "denied"},
}

func TestAFactIsWhatBecomesOfAPacket(t *testing.T) {
	for _, c := range cases {
		name, file, text := "nftables/"+c.name, "etc/nftables.conf", nft(c.input, c.forward, c.postrouting)
		if c.iptables {
			name, file, text = "iptables/"+c.name, "etc/iptables/rules.v4", ipt(c.input, c.forward, c.postrouting)
		}
		t.Run(name, func(t *testing.T) {
			got := c.fact(wall(t, read(t, file, text)))
			if !got.Known() || got.V != c.want || !strings.Contains(got.Text, c.text) {
				t.Errorf("%v, %s, by %q at line %d (%s), want %v by %q", got.V, got.Origin, got.Text, got.At.Line, got.Why, c.want, c.text)
			}
		})
	}
}

// TestNothingIsKnownOfWhatCannotBeJudged: a condition that nobody can judge
// decides nothing, and is named.
func TestNothingIsKnownOfWhatCannotBeJudged(t *testing.T) {
	for _, c := range []struct{ name, file, text string }{
		{"mark", "etc/iptables/rules.v4", ipt("-A INPUT -p udp --dport 1701 -m mark --mark 0x10 -j ACCEPT", "", "")},
		{"an unknown module", "etc/iptables/rules.v4", ipt("-A INPUT -p udp --dport 1701 -m wonder --wonder 3 -j ACCEPT", "", "")},
		{"a chain that is elsewhere", "etc/iptables/rules.v4", ipt("-A INPUT -j ufw-before-input", "", "")},
		{"mark of nftables", "etc/nftables.conf", nft("udp dport 1701 meta mark 0x10 accept", "", "")},
		{"an unknown word", "etc/nftables.conf", nft("wonder of it udp dport 1701 accept", "", "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := read(t, c.file, c.text)
			f := wall(t, h)
			if f.L2TPOpen.Known() {
				t.Errorf("open is %v, %s", f.L2TPOpen.V, f.L2TPOpen.Text)
			}
			if !f.ForwardDrop.Known() || !f.ForwardDrop.V {
				t.Error("what does not depend on it is not known")
			}
			if len(h.Notes) == 0 {
				t.Error("no note")
			}
		})
	}
}

func TestADoubtThatChangesNothingIsNone(t *testing.T) {
	f := wall(t, read(t, "rules.v4", ipt("-A INPUT -p udp -m mark --mark 5 -j ACCEPT\n-A INPUT -p udp --dport 1701 -j ACCEPT", "", "")))
	if !posture.Is(f.L2TPOpen, true) {
		t.Errorf("open is %+v", f.L2TPOpen)
	}
}

func TestIncludesAndDefinesMakeOneRuleset(t *testing.T) {
	h := read(t,
		"etc/nftables.conf", "flush ruleset\ninclude \"/etc/nftables.d/*.nft\"\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tudp dport $VPN accept\n\t}\n}\n",
		"etc/nftables.d/a.nft", "define VPN = { 500, 4500,\n\t1701 }\n",
		"etc/nftables.old/b.nft", "table inet filter { chain input { udp dport 1 accept; }; }")
	f := wall(t, h)
	if !posture.Is(f.L2TPOpen, true) || f.L2TPOpen.At != (posture.Pos{File: "etc/nftables.conf", Line: 6, Col: 3}) {
		t.Errorf("open is %+v", f.L2TPOpen)
	}
	if len(h.Notes) != 1 || !strings.Contains(h.Notes[0].Text, "nothing includes") {
		t.Errorf("notes: %v", h.Notes)
	}
}

func TestCommandsAreRulesToo(t *testing.T) {
	f := wall(t, read(t, "fw.nft", `
add table inet t
add chain inet t in { type filter hook input priority -5 ; policy drop ; }
add rule inet t in udp dport 1701 accept
insert rule inet t in udp dport 1701 meta secpath missing drop
`))
	if !posture.Is(f.L2TPNeedsIPsec, true) {
		t.Errorf("needs IPsec is %+v", f.L2TPNeedsIPsec)
	}
}

func TestAListedRulesetIsKnownByItsBeginning(t *testing.T) {
	f := wall(t, read(t, "ruleset.txt", "table ip filter { # handle 1\n\tchain input { # handle 2\n\t\ttype filter hook input priority 0; policy accept;\n\t\tudp dport 1701 counter packets 0 bytes 0 drop # handle 9\n\t}\n}\n"))
	if !posture.Is(f.L2TPOpen, false) || !posture.Is(f.IKEOpen, true) || f.IPv6.Known() {
		t.Errorf("%+v %+v %+v", f.L2TPOpen, f.IKEOpen, f.IPv6)
	}
}

// TestIPv6WithoutRulesIsNoFilter: Debian installs an empty rules.v6.
func TestIPv6WithoutRulesIsNoFilter(t *testing.T) {
	empty := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
	f := wall(t, read(t, "etc/iptables/rules.v4", ipt("", "", ""), "etc/iptables/rules.v6", empty))
	if !posture.Is(f.IPv6, false) || f.IPv6.At.File != "etc/iptables/rules.v6" || !posture.Is(f.L2TPOpen, false) {
		t.Errorf("%+v %+v", f.IPv6, f.L2TPOpen)
	}
	f = wall(t, read(t, "etc/iptables/rules.v4", ipt("", "", ""), "etc/iptables/rules.v6", ipt("-A INPUT -p udp --dport 1701 -j ACCEPT", "", "")))
	if !posture.Is(f.IPv6, true) || !posture.Is(f.L2TPOpen, true) || f.L2TPOpen.At.File != "etc/iptables/rules.v6" {
		t.Errorf("%+v %+v", f.IPv6, f.L2TPOpen)
	}
}

// TestTranslatingANetworkMattersIfATunnelIsForIt: an L2TP server translates its
// pool, whose packets enter no tunnel.
func TestTranslatingANetworkMattersIfATunnelIsForIt(t *testing.T) {
	rules := fstest.MapFS{"rules.v4": {Data: []byte(ipt("", "", "-A POSTROUTING -s 192.168.42.0/24 -o eth+ -j MASQUERADE"))}}
	between := func(ts string) *posture.Host {
		return &posture.Host{Connections: []posture.Connection{{Children: []posture.Child{{LocalTS: posture.Written([]string{ts}, posture.Pos{}, "")}}}}}
	}
	for _, c := range []struct {
		host *posture.Host
		want bool
		from posture.Origin
	}{
		{between("192.168.42.128/25"), true, posture.Explicit},
		{between("10.0.0.0/8"), false, posture.Explicit},
		{between("0.0.0.0/0"), false, posture.Explicit},
		{&posture.Host{}, true, posture.Inferred},
	} {
		ts := len(c.host.Connections)
		if got := wall(t, readHost(c.host, rules)).MasqueradesIn; got.V != c.want || c.want && got.Origin != c.from {
			t.Errorf("%d connections: %+v, want %v", ts, got, c.want)
		}
	}
}

// TestAUsualScriptsRulesAreJudgedFairly: the rules that a popular installer of
// L2TP servers writes.
func TestAUsualInstallersRulesAreJudgedFairly(t *testing.T) {
	h := read(t, "etc/iptables.rules", `# Modified by an installer
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 192.168.42.0/24 -o eth0 -j MASQUERADE
-A POSTROUTING -s 192.168.43.0/24 -o eth0 -m policy --dir out --pol none -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -p udp -m udp --dport 1701 -m policy --dir in --pol none -j DROP
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p udp -m multiport --dports 500,4500 -j ACCEPT
-A INPUT -p udp -m udp --dport 1701 -m policy --dir in --pol ipsec -j ACCEPT
-A INPUT -p udp -m udp --dport 1701 -j DROP
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -i eth0 -o ppp+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i ppp+ -o eth0 -j ACCEPT
-A FORWARD -i ppp+ -o ppp+ -s 192.168.42.0/24 -d 192.168.42.0/24 -j ACCEPT
-A FORWARD -i eth0 -d 192.168.43.0/24 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -s 192.168.43.0/24 -o eth0 -j ACCEPT
-A FORWARD -j DROP
COMMIT
`)
	f := wall(t, h)
	for name, c := range map[string]struct {
		got  posture.Value[bool]
		want bool
	}{
		"needs IPsec": {f.L2TPNeedsIPsec, true}, "open": {f.L2TPOpen, false}, "IKE": {f.IKEOpen, true}, "NAT-T": {f.NATTReachable, true}, "too big": {f.DropsPTB, false},
		"clients": {f.ClientToClient, true}, "forward": {f.ForwardDrop, true}, "MSS": {f.MSSClamp, false}, "IPv6": {f.IPv6, false},
	} {
		if !c.got.Known() || c.got.V != c.want {
			t.Errorf("%s: %+v", name, c.got)
		}
	}
	if len(h.Notes) > 0 {
		t.Errorf("notes: %v", h.Notes)
	}
}

func TestWhatClientsSendToTheInternetIsNoLeak(t *testing.T) {
	rules := nft("", "ip saddr 10.99.0.0/24 oifname eth0 accept", "")
	for pool, want := range map[string]bool{"10.99.0.10-10.99.0.250": true, "10.98.0.0/24": false} {
		h := &posture.Host{Connections: []posture.Connection{{Pool: posture.Written([]string{pool}, posture.Pos{}, pool)}}}
		if f := wall(t, readHost(h, fstest.MapFS{"etc/nftables.conf": {Data: []byte(rules)}})); !f.DropsClear.Known() || f.DropsClear.V != want {
			t.Errorf("pool %s: %+v", pool, f.DropsClear)
		}
	}
}

func TestAScriptOfPlainLinesIsRead(t *testing.T) {
	plain := "#!/bin/sh\nWAN=eth0\niptables -P INPUT DROP\n/sbin/iptables -A INPUT -i $WAN -p udp --dport 1701 -j ACCEPT # l2tp\n"
	if f := wall(t, read(t, "fw.sh", plain)); !posture.Is(f.L2TPOpen, true) || f.L2TPOpen.At.Line != 4 {
		t.Errorf("open is %+v", f.L2TPOpen)
	}
	h := read(t, "fw.sh", "#!/bin/sh\nif true; then\niptables -P INPUT DROP\nfi\n")
	if f := wall(t, h); f.L2TPOpen.Known() || len(h.Notes) != 1 {
		t.Errorf("open is %+v, notes %v", f.L2TPOpen, h.Notes)
	}
}

func TestTheEmptyRulesetOfADistributionIsNoGapBesideAnother(t *testing.T) {
	stock := "#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter;\n\t}\n\tchain forward {\n\t\ttype filter hook forward priority filter;\n\t}\n}\n"
	if f := wall(t, read(t, "etc/nftables.conf", stock, "etc/iptables/rules.v4", ipt("", "", ""))); f.Dialect != posture.IPTables {
		t.Errorf("a firewall of %s", f.Dialect)
	}
	f := wall(t, read(t, "etc/nftables.conf", stock))
	if !posture.Is(f.L2TPOpen, true) || f.L2TPOpen.Origin != posture.Default || !posture.Is(f.IPv6, false) {
		t.Errorf("%+v %+v", f.L2TPOpen, f.IPv6)
	}
}

// TestTheRulesOfUFWAreJudgedInTheChainsThatItMakes.
func TestTheRulesOfUFWAreJudgedInTheChainsThatItMakes(t *testing.T) {
	files := []string{
		"etc/default/ufw", "IPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_FORWARD_POLICY=\"DROP\"\n",
		"etc/ufw/ufw.conf", "ENABLED=yes\nLOGLEVEL=low\n",
		"etc/ufw/before.rules", "*filter\n:ufw-before-input - [0:0]\n:ufw-before-forward - [0:0]\n:ufw-not-local - [0:0]\n-A ufw-before-input -i lo -j ACCEPT\n-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny\n-A ufw-before-input -j ufw-not-local\n-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n-A ufw-not-local -j DROP\nCOMMIT\n",
		"etc/ufw/user.rules", "*filter\n:ufw-user-input - [0:0]\n### tuple ### allow udp 1701 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p udp --dport 1701 -j ACCEPT\n-A ufw-user-input -p udp -m multiport --dports 500,4500 -s 192.0.2.1 -j ACCEPT\nCOMMIT\n",
		"etc/ufw/after.rules", "*filter\n:ufw-after-input - [0:0]\n-A ufw-after-input -p udp --dport 137 -j ufw-skip-to-policy-input\nCOMMIT\n",
	}
	h := read(t, files...)
	f := wall(t, h)
	if !posture.Is(f.L2TPOpen, true) || f.L2TPOpen.At != (posture.Pos{File: "etc/ufw/user.rules", Line: 4, Col: 1}) {
		t.Errorf("open is %+v", f.L2TPOpen)
	}
	if !posture.Is(f.IKEOpen, false) || f.IKEOpen.At.File != "etc/default/ufw" || !posture.Is(f.IKEReachable, true) || !posture.Is(f.ForwardDrop, true) || !posture.Is(f.DropsPTB, false) {
		t.Errorf("%+v %+v %+v %+v", f.IKEOpen, f.IKEReachable, f.ForwardDrop, f.DropsPTB)
	}
	if len(h.Notes) != 0 {
		t.Errorf("notes: %v", h.Notes)
	}
	files[3] = "ENABLED=no\n"
	if h := read(t, files...); len(h.Firewalls) != 0 || len(h.Notes) != 1 {
		t.Errorf("not enabled: %v, notes %v", h.Firewalls, h.Notes)
	}
}

func TestWhatUFWWasToldIsJudgedWithoutItsOwnRules(t *testing.T) {
	h := read(t, "etc/default/ufw", "DEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_FORWARD_POLICY=\"DROP\"\n",
		"etc/ufw/user.rules", "*filter\n:ufw-user-input - [0:0]\n-A ufw-user-input -p udp -m multiport --dports 500,1701 -j ACCEPT\nCOMMIT\n")
	f := wall(t, h)
	if !posture.Is(f.L2TPOpen, true) || f.L2TPOpen.At.Line != 3 || !posture.Is(f.NATTReachable, false) || !posture.Is(f.ForwardDrop, true) || !posture.Is(f.DropsPTB, false) {
		t.Errorf("%+v %+v %+v %+v", f.L2TPOpen, f.NATTReachable, f.ForwardDrop, f.DropsPTB)
	}
	if len(h.Notes) != 1 || !strings.Contains(h.Notes[0].Text, "before.rules") {
		t.Errorf("notes: %v", h.Notes)
	}
}

func TestChainsThatCallEachOtherComeToAnEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT DROP [0:0]\n-A INPUT -j a\n")
	for range 50 {
		b.WriteString("-A a -j b\n-A b -j a\n")
	}
	h := read(t, "rules.v4", b.String()+"COMMIT\n")
	if f := wall(t, h); f.L2TPOpen.Known() || len(h.Notes) == 0 {
		t.Errorf("open is %+v, notes %v", f.L2TPOpen, h.Notes)
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range cases {
		if c.iptables {
			f.Add("rules.v4", ipt(c.input, c.forward, c.postrouting))
		} else {
			f.Add("nftables.conf", nft(c.input, c.forward, c.postrouting))
		}
	}
	f.Add("etc/ufw/before.rules", "*filter\n:ufw-before-input - [0:0]\n-A ufw-before-input -p udp -j ufw-user-input\n:ufw-user-input\n")
	f.Add("fw.sh", "#!/bin/sh\niptables -A INPUT -j a\n")
	f.Add("a.nft", "define a = { $a, $a }\ninclude \"a.nft\"\nadd element inet t s { 1, 2 : jump x }\ntable t { map m { elements = { lo : goto y, } } }")
	f.Fuzz(func(t *testing.T, name, text string) {
		if name != "rules.v4" && name != "nftables.conf" && name != "fw.sh" && name != "etc/ufw/before.rules" {
			name = "a.nft"
		}
		readFS(fstest.MapFS{name: {Data: []byte(text)}})
	})
}

func TestFirewalldIsAFilterOfWhichLittleIsKnown(t *testing.T) {
	const zone = "<?xml version=\"1.0\"?>\n<zone>\n  <port port=\"1701\" protocol=\"udp\"/>\n</zone>\n"
	const direct = "<direct>\n  <rule priority=\"0\" table=\"filter\" ipv=\"ipv4\" chain=\"INPUT\">-p udp --dport 1701 -m policy --dir in --pol none -j DROP</rule>\n</direct>\n"
	h := read(t, "etc/firewalld/zones/public.xml", zone)
	if len(h.Firewalls) != 1 || h.Firewalls[0].Name != "firewalld" || !posture.Is(h.Firewalls[0].L2TPOpen, true) || h.Firewalls[0].NATTReachable.Known() || len(h.Notes) != 1 {
		t.Errorf("%+v %+v", h.Firewalls, h.Notes)
	}
	h = read(t, "etc/firewalld/zones/public.xml", zone, "etc/firewalld/direct.xml", direct)
	if f := h.Firewalls[0]; !posture.Is(f.L2TPOpen, false) || !posture.Is(f.L2TPNeedsIPsec, true) {
		t.Errorf("with a rule before it: %+v", f)
	}
	h = read(t, "etc/firewalld/zones/public.xml", zone, "etc/firewalld/zones/dmz.xml", "<rule family=\"ipv4\">\n<port port=\"1701\" protocol=\"udp\"/>\n<drop/>\n</rule>\n")
	if f := h.Firewalls[0]; f.L2TPOpen.Known() {
		t.Errorf("with a rich rule: %+v", f)
	}
	h = read(t, "etc/firewalld/zones/public.xml", zone, "ruleset.nft", "table inet f {\n chain i { type filter hook input priority 0; policy drop; }\n}\n")
	if len(h.Firewalls) != 1 || h.Firewalls[0].Name == "firewalld" || !h.Firewalls[0].L2TPOpen.Known() {
		t.Errorf("beside a listing: %+v", h.Firewalls)
	}
}

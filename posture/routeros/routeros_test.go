package routeros_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/posturetest"
	"sallyport/posture/routeros"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

func host(export string) *posture.Host {
	h := &posture.Host{}
	t := source.New("", fstest.MapFS{"gw.rsc": {Data: []byte(export)}}, true)
	routeros.Read(source.NewInput(t, h).For(posture.RouterOS, []string{"gw.rsc"}))
	return h
}

const roadwarrior = `# 2024-05-01 12:00:00 by RouterOS 7.14.3
# software id = ABCD-EFGH
/ip ipsec profile
add dh-group=ecp256 enc-algorithm=aes-256 hash-algorithm=sha256 name=ike2
/ip ipsec proposal
add auth-algorithms="" enc-algorithms=aes-256-gcm,aes-128-gcm name=ike2 \
    pfs-group=none
/ip pool
add name=vpn ranges=10.0.0.2-10.0.0.99
/ip ipsec mode-config
add address-pool=vpn name=cfg static-dns=10.0.0.1 system-dns=no
/ip ipsec policy group
add name=ike2
/ip ipsec peer
add exchange-mode=ike2 name=clients passive=yes profile=ike2
/ip ipsec identity
add auth-method=eap-radius certificate=server generate-policy=port-strict \
    mode-config=cfg peer=clients policy-template-group=ike2
/ip ipsec policy
add dst-address=10.0.0.0/24 group=ike2 proposal=ike2 src-address=0.0.0.0/0 \
    template=yes
/system identity
set name="edge router"
`

func TestTheTwoTemplatesOfAGroupAreOneChild(t *testing.T) {
	two := strings.Replace(roadwarrior, "    template=yes\n", "    template=yes\nadd dst-address=::/0 group=ike2 proposal=ike2 src-address=::/0 template=yes\n", 1)
	h := host(two)
	posturetest.Quiet(t, h)
	cs := h.Connections[0].Children
	if len(cs) != 1 || fmt.Sprint(cs[0].LocalTS.V, cs[0].RemoteTS.V) != "[0.0.0.0/0 ::/0] [10.0.0.0/24 ::/0]" {
		t.Errorf("%+v", cs)
	}
	other := strings.Replace(two, "::/0 group=ike2 proposal=ike2", "::/0 group=ike2 proposal=default", 1)
	if cs := host(other).Connections[0].Children; len(cs) != 2 {
		t.Errorf("%d children", len(cs))
	}
}

func TestAConnectionIsPeerIdentityProfileAndPolicy(t *testing.T) {
	h := host(roadwarrior)
	posturetest.Quiet(t, h)
	if h.Name != "edge router" || len(h.Connections) != 1 || len(h.Connections[0].Children) != 1 {
		t.Fatalf("%q: %+v", h.Name, h.Connections)
	}
	c := h.Connections[0]
	if c.Name != "clients" || c.V1.V || !c.V2.V || !c.AnyPeer.V || c.Role.V != posture.Answers {
		t.Errorf("%q: v1 %v, v2 %v, any %v, role %v", c.Name, c.V1.V, c.V2.V, c.AnyPeer.V, c.Role.V)
	}
	ike := c.IKE.V[0]
	if got := posturetest.Names(ike.Transforms); got != "aes256 sha256 ecp256 prfsha256" || c.IKEImplicit.V {
		t.Errorf("IKE %s, implicit %v", got, c.IKEImplicit.V)
	}
	if c.Local[0].Method.V != posture.MethodPubkey || c.Remote[0].Method.V != posture.MethodEAP || c.Local[0].CertFile != "server" {
		t.Errorf("local %+v, remote %+v", c.Local[0], c.Remote[0])
	}
	if !slices.Equal(c.DNS.V, []string{"10.0.0.1"}) || !slices.Equal(c.Pool.V, []string{"vpn"}) {
		t.Errorf("DNS %v, pool %v", c.DNS.V, c.Pool.V)
	}
	child := c.Children[0]
	if child.PFS.V != posture.Never || child.PFS.Origin != posture.Explicit || child.Transport.Known() {
		t.Errorf("PFS %+v, transport %+v", child.PFS, child.Transport)
	}
	if got := posturetest.Names(child.ESP.V[0].Transforms); len(child.ESP.V) != 1 || got != "aes256gcm16 aes128gcm16" {
		t.Errorf("ESP %s in %d", got, len(child.ESP.V))
	}
	if at := child.PFS.At; at.Line != 7 || at.Col != 5 {
		t.Errorf("the setting in the continued line is at %v", at)
	}
}

func TestWhatAnExportLeavesOutIsTheDefaultOfItsVersion(t *testing.T) {
	h := host("# jan/02/2024 00:00:11 by RouterOS 6.49.10\n/ip ipsec peer\nadd address=192.0.2.1/32 name=branch\n/ip ipsec identity\nadd peer=branch secret=s3cret\n/ip ipsec policy\nadd peer=branch tunnel=yes src-address=10.0.0.0/24 dst-address=10.1.0.0/24\n")
	posturetest.Quiet(t, h)
	c := h.Connections[0]
	if got := posturetest.Names(c.IKE.V[0].Transforms); got != "aes128 3des sha1 modp2048 modp1024 prfsha1" || !c.IKEImplicit.V || c.IKE.Origin != posture.Default || c.IKE.Why != "default of RouterOS 6.49.10" {
		t.Errorf("%s, %v, %v %q", got, c.IKEImplicit.V, c.IKE.Origin, c.IKE.Why)
	}
	if !c.V1.V || c.Aggressive.V || !c.Obeys.V || c.IKELife.V != 24*time.Hour || c.DPD.V != 2*time.Minute || !c.NATT.V {
		t.Errorf("%+v", c)
	}
	child := c.Children[0]
	if got := posturetest.Names(child.ESP.V[0].Transforms); got != "aes256 aes192 aes128 sha1 modp1024" || child.Transport.V || child.Life.V != 30*time.Minute || child.PFS.V != posture.Always {
		t.Errorf("%s, %+v", got, child)
	}
	if s := h.Secrets[0]; string(s.Value) != "s3cret" || s.Kind != posture.PSK || s.Storage != posture.Clear || !s.Backup || s.IDs[0] != "192.0.2.1/32" || s.Anybody.V {
		t.Errorf("%+v", s)
	}
	if p := h.Packages[0]; p.Manager != "firmware" || p.Version != "6.49.10" {
		t.Errorf("%+v", p)
	}
}

func TestAnUnknownVersionMakesDefaultsInferences(t *testing.T) {
	h := host("/ip ipsec peer\nadd name=x address=192.0.2.1\n")
	if c := h.Connections[0]; c.IKE.Origin != posture.Inferred || !strings.Contains(c.IKE.Why, "version unknown") {
		t.Errorf("%v %q", c.IKE.Origin, c.IKE.Why)
	}
}

func TestAnOldPeerIsItsOwnProfileAndIdentity(t *testing.T) {
	h := host("# jan/02/2018 00:00:11 by RouterOS 6.40.5\n/ip ipsec peer\nadd address=192.0.2.1/32 dh-group=modp2048 enc-algorithm=aes-256 secret=old\n")
	posturetest.Quiet(t, h)
	c := h.Connections[0]
	if posturetest.Names(c.IKE.V[0].Transforms) != "aes256 sha1 modp2048 prfsha1" || c.Remote[0].Method.V != posture.MethodPSK || len(h.Secrets) != 1 || string(h.Secrets[0].Value) != "old" {
		t.Errorf("%+v, %+v", c, h.Secrets)
	}
}

func TestSetChangesTheDefaultEntries(t *testing.T) {
	for _, set := range []string{"set [ find default=yes ] dh-group=ecp384", "set 0 dh-group=ecp384", "set default dh-group=ecp384", "set *0 dh-group=ecp384", "set [find where name=default] dh-group=ecp384"} {
		h := host("# by RouterOS 7.1\n/ip ipsec profile\n" + set + "\n/ip/ipsec/peer/add name=x\n")
		posturetest.Quiet(t, h)
		c := h.Connections[0]
		if got := posturetest.Names(c.IKE.V[0].Of(suite.KE)); got != "ecp384" || c.IKE.Origin != posture.Explicit || !strings.Contains(c.IKE.Text, "hash-algorithm=sha1 (default)") {
			t.Errorf("%s: %s, %v, %q", set, got, c.IKE.Origin, c.IKE.Text)
		}
	}
}

const l2tp = `# by RouterOS 7.16
/ppp profile
set *FFFFFFFE dns-server=8.8.8.8 local-address=10.9.0.1 use-encryption=required
/interface l2tp-server server
set authentication=mschap2 enabled=yes ipsec-secret="a b\"c\$" use-ipsec=required
/interface pptp-server server
set enabled=yes
/ppp secret
add name=ann password=hunter2 profile=default-encryption service=l2tp
/ppp aaa
set use-radius=yes
/radius
add address=192.0.2.9 secret=radius service=ppp
/ip address
add address=192.0.2.1/24 interface=ether1
`

func TestTheL2TPServerMakesAConnectionOfItsOwn(t *testing.T) {
	h := host(l2tp)
	posturetest.Quiet(t, h)
	c := h.Connections[0]
	if c.Name != "l2tp-server" || !c.V1.V || c.V2.V || !c.AnyPeer.V || !c.Children[0].L2TP || !c.Children[0].Transport.V || c.Remote[0].Method.V != posture.MethodPSK {
		t.Errorf("%+v", c)
	}
	if s := h.Secrets[0]; string(s.Value) != `a b"c$` || !s.Anybody.V || len(s.IDs) != 0 {
		t.Errorf("%q, %v", string(s.Value), s.Anybody)
	}
	if l := h.L2TP[0]; !l.Enabled.V || l.IPsec.V != posture.Always || l.PPP != "l2tp-server" {
		t.Errorf("%+v", l)
	}
}

func TestPPPHasTheProfileOfItsServer(t *testing.T) {
	h := host(l2tp)
	i := slices.IndexFunc(h.PPP, func(p posture.PPP) bool { return p.Name == "l2tp-server" })
	p := h.PPP[i]
	if !slices.Equal(p.Methods.V, []posture.PPPMethod{posture.MSCHAPv2}) || p.MPPE.V != posture.MPPE128 || !p.IPsecForced.V || p.MTU.V != 1450 || !p.MSSClamp.V || p.DNS.V[0] != "8.8.8.8" || p.IPv6.V || !p.Accounting.V || p.Echo.V != 30*time.Second {
		t.Errorf("%+v", p)
	}
	if i := slices.IndexFunc(h.Services, func(s posture.Service) bool { return s.Protocol == "pptp" }); !h.Services[i].Enabled.V {
		t.Errorf("%+v", h.Services)
	}
	if r := h.RADIUS[0]; r.Name != "192.0.2.9" || r.MessageAuth.V != posture.Always || r.TLS.V {
		t.Errorf("%+v", r)
	}
}

func TestMSCHAPv1AndPAPAreTakenByDefault(t *testing.T) {
	h := host("# by RouterOS 6.48\n/interface l2tp-server server\nset enabled=yes\n")
	if m := h.PPP[0].Methods; len(m.V) != 4 || m.Origin != posture.Default || h.L2TP[0].IPsec.V != posture.Never || len(h.Connections) != 0 {
		t.Errorf("%+v, %+v", m, h.L2TP[0])
	}
}

func TestBeforeRouterOS715NoMessageAuthenticatorWasAskedFor(t *testing.T) {
	h := host("# by RouterOS 7.14\n/radius\nadd address=192.0.2.9 secret=x\n")
	if m := h.RADIUS[0].MessageAuth; m.V != posture.Never || m.Origin != posture.Default {
		t.Errorf("%+v", m)
	}
}

func TestHiddenSecretsAreNotedOnce(t *testing.T) {
	h := host("# by RouterOS 7.14\n/ppp secret\nadd name=a\nadd name=b\n")
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Opaque || len(h.Secrets) != 2 || h.Secrets[0].Storage != posture.Elsewhere {
		t.Errorf("%+v, %+v", h.Notes, h.Secrets)
	}
}

func TestAFirewallIsJudgedByWhatItDoesWithAPacket(t *testing.T) {
	for _, c := range []struct {
		name, rules         string
		l2tpOpen, needs     bool
		ikeOpen, reachable  bool
		forward, masquerade bool
	}{
		{name: "everything is taken without rules", rules: "", l2tpOpen: true, ikeOpen: true, reachable: true},
		{name: "the vendor's default drops what is not from the LAN", needs: true,
			rules: "add action=accept chain=input connection-state=established,related\nadd action=drop chain=input in-interface-list=!LAN\n"},
		{name: "L2TP from IPsec alone", needs: true, ikeOpen: true, reachable: true,
			rules: "add chain=input protocol=udp dst-port=500,4500 action=accept\nadd chain=input protocol=udp dst-port=1701 ipsec-policy=in,ipsec action=accept\nadd chain=input action=drop\nadd chain=forward action=drop\n", forward: true},
		{name: "L2TP in the clear", l2tpOpen: true, ikeOpen: true, reachable: true,
			rules: "add chain=input protocol=udp dst-port=500,1701,4500 action=accept\nadd chain=input action=drop in-interface=ether1\n"},
		{name: "IKE from peers alone", needs: true, reachable: true,
			rules: "add chain=input protocol=udp dst-port=500,4500 src-address-list=peers\nadd chain=input action=drop\n"},
		{name: "a chain that is jumped to", needs: true, ikeOpen: true, reachable: true,
			rules: "add chain=input action=jump jump-target=wan\nadd chain=wan protocol=udp dst-port=400-600 action=accept\nadd chain=wan action=drop\n"},
	} {
		h := host("# by RouterOS 7.16\n/ip firewall filter\n" + c.rules + "/ip address\nadd address=192.0.2.1/24\n")
		posturetest.Quiet(t, h)
		f := h.Firewalls[0]
		if f.L2TPOpen.V != c.l2tpOpen || f.L2TPNeedsIPsec.V != c.needs || f.IKEOpen.V != c.ikeOpen || f.IKEReachable.V != c.reachable || f.ForwardDrop.V != c.forward {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestChainsThatJumpToEachOtherEnd(t *testing.T) {
	rules := strings.Repeat("add chain=input action=jump jump-target=input\n", 50)
	if h := host("# by RouterOS 7.16\n/ip firewall filter\n" + rules); !h.Firewalls[0].IKEOpen.V {
		t.Errorf("%+v", h.Firewalls[0])
	}
}

func TestClientsAndClearPacketsAreStoppedByRulesOfTheForwardChain(t *testing.T) {
	h := host("# by RouterOS 7.16\n/interface ethernet\nset [ find default-name=ether2 ] arp=proxy-arp\n/ip firewall filter\nadd chain=forward src-address=10.9.0.0/24 dst-address=10.9.0.0/24 action=drop\nadd chain=forward ipsec-policy=out,none out-interface-list=WAN action=drop\n/interface l2tp-server server\nset enabled=yes\n")
	posturetest.Quiet(t, h)
	if f := h.Firewalls[0]; !f.DropsClear.V || f.ClientToClient.V || !f.ClientToClient.Known() {
		t.Errorf("%+v", f)
	}
	if !h.PPP[0].ProxyARP.V {
		t.Errorf("%+v", h.PPP[0].ProxyARP)
	}
	server, tunnel := "/interface l2tp-server server\nset enabled=yes\n", "/ip ipsec peer\nadd name=x address=192.0.2.1/32\n/ip ipsec policy\nadd peer=x tunnel=yes\n"
	if f := host(server + tunnel + "/ip firewall filter\nadd chain=forward action=accept\n").Firewalls[0]; !posture.Is(f.DropsClear, false) || !posture.Is(f.ClientToClient, true) {
		t.Errorf("%+v", f)
	}
}

func TestAPartOfAnExportTellsNothingOfTunnelsThatAreNotInIt(t *testing.T) {
	if f := host("/ip firewall filter\nadd chain=forward action=accept\n").Firewalls[0]; f.DropsClear.Known() || f.ClientToClient.Known() {
		t.Errorf("%+v", f)
	}
}

func TestAFilterMayForceIPsecOnAServerThatDoesNot(t *testing.T) {
	const export = "/interface l2tp-server server\nset enabled=yes\n/ip firewall filter\n"
	h := host(export + "add chain=input action=accept protocol=udp dst-port=1701 ipsec-policy=in,ipsec\nadd chain=input action=drop\n")
	if !posture.Is(h.PPP[0].IPsecForced, true) || h.PPP[0].IPsecForced.At.Line != 5 {
		t.Errorf("%+v", h.PPP[0].IPsecForced)
	}
	h = host(export + "add chain=input action=accept src-address-list=inner\nadd chain=input action=accept protocol=udp dst-port=1701 ipsec-policy=in,ipsec\nadd chain=input action=drop\n")
	if !posture.Is(h.PPP[0].IPsecForced, true) || h.PPP[0].IPsecForced.At.Line != 5 {
		t.Errorf("%+v", h.PPP[0].IPsecForced)
	}
	if h := host(export + "add chain=input action=accept protocol=udp dst-port=1701\nadd chain=input action=drop\n"); !posture.Is(h.PPP[0].IPsecForced, false) {
		t.Errorf("%+v", h.PPP[0].IPsecForced)
	}
}

func TestServersOfOpenVPNAreAList(t *testing.T) {
	for line, want := range map[string]bool{"set enabled=yes": true, "set enabled=no": false, "add name=a disabled=no": true, "add name=a disabled=yes": false} {
		h := host("/interface ovpn-server server\n" + line + "\n")
		if s := h.Services[0]; s.Protocol != "openvpn" || s.Enabled.V != want {
			t.Errorf("%s: %+v", line, s)
		}
	}
}

func TestKeysOfWireGuardAreSecrets(t *testing.T) {
	h := host("/interface wireguard\nadd name=wg1 private-key=\"K1moN5wm/Vm9Co56ZHepEh7dmUyo1iAWBJfCKz5rue0=\"\n/interface wireguard peers\nadd interface=wg1 public-key=\"HAZ1Pj0Mdh8w0uG4mJtR9cVnq3KfZ5yLbE7xXsoTi1A=\" preshared-key=\"xqUpMEeRk+aSwi/zBndpr9jCZHQTaBHrSWx5EpNnpgQ=\"\nadd interface=wg1 public-key=\"t7Qm2Vw9pXz4LrK8sYb1NcJf6HdUe3GaRo5TiWlEy0M=\" preshared-key=\"\"\n")
	posturetest.Quiet(t, h)
	if len(h.Keys) != 1 || !h.Keys[0].Private || h.Keys[0].Public == nil || h.Keys[0].Name != "wg1" {
		t.Errorf("%+v", h.Keys)
	}
	if len(h.Secrets) != 1 || h.Secrets[0].Kind != posture.PPKSecret || !h.Secrets[0].Backup || h.Secrets[0].Anybody.V {
		t.Errorf("%+v", h.Secrets)
	}
	if peers := h.Tunnels[0].Peers; !posture.Is(peers[0].PSK, true) || !posture.Is(peers[1].PSK, false) {
		t.Errorf("%+v", peers)
	}
}

func TestRevocationIsASettingOfAllCertificates(t *testing.T) {
	for set, want := range map[string]posture.Demand{"": posture.Never, "/certificate settings\nset crl-download=yes crl-use=yes\n": posture.Always} {
		if c := host(roadwarrior + set).Connections[0]; c.Revocation.V != want || !c.Revocation.Known() {
			t.Errorf("%q: %+v", set, c.Revocation)
		}
	}
}

func TestMasqueradeMustLookAtThePolicy(t *testing.T) {
	tunnel := "/ip ipsec peer\nadd address=192.0.2.1 name=x\n/ip ipsec policy\nadd peer=x tunnel=yes\n/ip firewall nat\n"
	for rule, want := range map[string]bool{
		"add action=masquerade chain=srcnat out-interface=ether1":                                    true,
		"add action=masquerade chain=srcnat ipsec-policy=out,none out-interface=ether1":              false,
		"add action=accept chain=srcnat dst-address=10.1.0.0/16\nadd action=masquerade chain=srcnat": false,
	} {
		if f := host(tunnel + rule + "\n").Firewalls[0]; !f.MasqueradesIn.Known() || f.MasqueradesIn.V != want {
			t.Errorf("%s: %+v", rule, f.MasqueradesIn)
		}
	}
}

func TestRecordsLeaveTheRouterByAnAction(t *testing.T) {
	h := host("# by RouterOS 7.16\n/system logging action\nset 3 remote=192.0.2.7\n/system logging\nadd action=remote topics=info\n/system ntp client\nset enabled=yes\n")
	posturetest.Quiet(t, h)
	if l := h.Logs[0]; !l.OffHost.V || l.Protected.V || !l.TimeSync.V {
		t.Errorf("%+v", l)
	}
	if l := host("# by RouterOS 7.16\n/system identity\nset name=x\n").Logs[0]; l.OffHost.V || l.OffHost.Origin != posture.Default {
		t.Errorf("%+v", l)
	}
}

func TestTheVendorsCloudSetsTheClockUnlessItMayNot(t *testing.T) {
	if l := host("# by RouterOS 7.16\n/system identity\nset name=x\n").Logs[0]; !l.TimeSync.V || l.TimeSync.Origin != posture.Default {
		t.Errorf("%+v", l.TimeSync)
	}
	if l := host("# by RouterOS 7.16\n/ip cloud\nset update-time=no\n/system identity\nset name=x\n").Logs[0]; l.TimeSync.V || l.TimeSync.Origin != posture.Explicit {
		t.Errorf("%+v", l.TimeSync)
	}
}

func TestScriptsPutRulesBeforeOthers(t *testing.T) {
	h := host("/ip firewall nat\nadd chain=srcnat action=masquerade\nadd chain=srcnat action=accept ipsec-policy=out,ipsec place-before=0\n/ip ipsec peer\nadd name=b address=192.0.2.1/32\n/ip ipsec policy\nadd peer=b tunnel=yes src-address=10.0.0.0/24 dst-address=10.1.0.0/24\n")
	if f := h.Firewalls[0]; !posture.Is(f.MasqueradesIn, false) {
		t.Errorf("%+v", f.MasqueradesIn)
	}
}

func TestWireGuardKeysAreSeenAndNotKept(t *testing.T) {
	h := host("# by RouterOS 7.16\n/interface wireguard\nadd listen-port=51820 name=wg0 private-key=\"c2VjcmV0\"\n/interface wireguard peers\nadd allowed-address=10.8.0.2/32 interface=wg0 public-key=\"pub=\"\n")
	posturetest.Quiet(t, h)
	if w := h.Tunnels[0]; !w.PrivateKeyInFile.V || len(w.Peers) != 1 || w.Peers[0].PSK.V || w.Peers[0].PublicKey != "pub=" || !h.Files[0].Secrets {
		t.Errorf("%+v", w)
	}
}

func TestAnUnknownWordIsNotedAndTheRestIsRead(t *testing.T) {
	h := host("# by RouterOS 7.16\n/ip ipsec peer\nadd name=x flux=1\n:log info hello\n/gadget\nadd a=b\n/ip ipsec peer\nset nobody name=y\n")
	if len(h.Connections) != 1 || len(h.Notes) != 4 {
		t.Errorf("%d connections, %+v", len(h.Connections), h.Notes)
	}
}

func TestExportsAreToldFromOtherFiles(t *testing.T) {
	for _, c := range []struct {
		path, text string
		want       bool
	}{
		{"backup.txt", "# jan/02/2024 00:00:11 by RouterOS 6.49.10\n", true},
		{"x.rsc", "/ip ipsec profile\nadd name=x\n", true},
		{"x.rsc", "hello\n", false},
		{"x.conf", "/ip ipsec profile\n", false},
		{"sw.cfg", "version 15.2\n", false},
		{"chr.tpl", "# CHR\n/ip ipsec peer add name=x\n", true},
		{"chr.txt", "# CHR\n/ip/ipsec/peer/add name=x\n", true},
		{"chr.j2", "/ppp secret\r\nadd name=x\r\n", true},
		{"README.md", "/ip ipsec peer add name=x\n", false},
	} {
		if got := routeros.Claims(c.path, func() []byte { return []byte(c.text) }); got != c.want {
			t.Errorf("%s %q: %v", c.path, c.text, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{roadwarrior, l2tp, "/ip firewall filter add chain=input action=jump jump-target=input", "/ip ipsec peer add name=\"\\", "# by RouterOS 7", "/ppp secret\nadd name=a password=\\\n", "/ip ipsec profile set [ find default=yes ] lifetime=1d00:00:00 dpd-interval=disable-dpd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { host(s) })
}

func TestAQuoteThatIsNotClosedIsNoted(t *testing.T) {
	for text, want := range map[string]bool{
		"/ip ipsec peer\nadd name=\"office\n":                           true,
		"/ip ipsec peer\nadd name=\"of\\\"fice\" comment=\"a\\\n b\"\n": false,
		"# an export of \"somebody\n/ip ipsec peer\nadd name=a\n":       false,
	} {
		h := host("# by RouterOS 7.10\n" + text)
		got := slices.ContainsFunc(h.Notes, func(n posture.Note) bool { return n.Kind == posture.Malformed })
		if got != want {
			t.Errorf("%q: noted %v, want %v: %v", text, got, want, h.Notes)
		}
	}
}

func TestCommandsAreReadAsPeopleWriteThem(t *testing.T) {
	for name, export := range map[string]string{
		"one line, with spaces":      "/ip ipsec peer add name=site address=192.0.2.1/32 exchange-mode=ike2\n",
		"one line, with slashes":     "/ip/ipsec/peer/add name=site address=192.0.2.1/32 exchange-mode=ike2\n",
		"no slash at all":            "ip ipsec peer add name=site address=192.0.2.1/32 exchange-mode=ike2\n",
		"a comment behind":           "/ip ipsec peer add name=site address=192.0.2.1/32 exchange-mode=ike2; # the branch\n",
		"two commands":               "/ip ipsec peer add name=site address=192.0.2.1/32; set site exchange-mode=ike2;\n",
		"a space before the value":   "/ip ipsec peer\nadd name= \"site\" address= 192.0.2.1/32 exchange-mode= ike2\n",
		"lost backslashes":           "/ip ipsec peer\nadd name=site\n    address=192.0.2.1/32\n    exchange-mode=ike2\n",
		"Windows line ends, no menu": "ip ipsec peer add name=site \\\r\n    address=192.0.2.1/32 exchange-mode=ike2\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if !routeros.Claims("gw.rsc", func() []byte { return []byte(export) }) {
				t.Error("it is not taken for an export")
			}
			h := host(export)
			for _, c := range h.Connections {
				if name == "two commands" {
					break // what follows a semicolon begins at the root again
				}
				if c.Name != "site" || !c.V2.V || !slices.Equal(c.Address.V, []string{"192.0.2.1/32"}) {
					t.Errorf("%q, version 2 %v, address %v", c.Name, c.V2.V, c.Address.V)
				}
			}
			if len(h.Connections) != 1 {
				t.Errorf("%d connections; notes %v", len(h.Connections), h.Notes)
			}
		})
	}
}

func TestAnEmptyValueStaysEmpty(t *testing.T) {
	h := host("/ip ipsec profile\nset [ find default=yes ] name= dh-group=ecp384 hash-algorithm=\n/ip ipsec peer\nadd name=x address=192.0.2.1 profile=\"\"\n")
	if len(h.Connections) != 1 || h.Connections[0].Phase1 != "" {
		t.Errorf("%+v", h.Connections)
	}
}

func TestSemicolonsInQuotesAndBracketsEndNothing(t *testing.T) {
	h := host("/ip ipsec peer\nadd name=\"a;b\" comment=\"x; y\" address=192.0.2.1/32\n/ip ipsec identity\nadd peer=[:pick \"a;b\"; 1] secret=x\n")
	if c := h.Connections[0]; c.Name != "a;b" {
		t.Errorf("%q", c.Name)
	}
}

func TestAScriptsVariableIsNoSecret(t *testing.T) {
	h := host("/interface l2tp-server server\nset enabled=yes use-ipsec=required ipsec-secret=$psk\n/ppp secret\nadd name=u password=\"$word\"\nadd name=v password=\"\\$word\"\n")
	if len(h.Secrets) != 3 {
		t.Fatalf("%+v", h.Secrets)
	}
	for i, want := range []posture.Storage{posture.Elsewhere, posture.Elsewhere, posture.Clear} {
		if h.Secrets[i].Storage != want {
			t.Errorf("%s is %s, not %s", h.Secrets[i].Name, h.Secrets[i].Storage, want)
		}
	}
}

func TestAnExchangeModeThatDoesNotExistIsNeitherVersion(t *testing.T) {
	h := host("/ip ipsec peer\nadd name=x address=192.0.2.1/32 exchange-mode=ikev2\n")
	if c := h.Connections[0]; c.V1.Known() || c.V2.Known() || len(h.Notes) == 0 {
		t.Errorf("version 1 %+v, version 2 %+v, notes %v", c.V1, c.V2, h.Notes)
	}
}

func TestTheModeForL2TPIsForItsClients(t *testing.T) {
	h := host("# jan/02/2017 00:00:11 by RouterOS 6.36.4\n/ip ipsec peer\nadd address=0.0.0.0/0 exchange-mode=main-l2tp generate-policy=port-override secret=x\n")
	child := h.Connections[0].Children[0]
	if !child.L2TP || !child.Transport.V {
		t.Errorf("%+v", child)
	}
}

func TestATunnelWithASecretHasAPeerOfItsOwn(t *testing.T) {
	h := host("# by RouterOS 6.48\n/interface gre\nadd ipsec-secret=pAss name=hq local-address=192.0.2.1 remote-address=198.51.100.7 allow-fast-path=no !keepalive\nadd name=clear remote-address=198.51.100.8\n/interface eoip\nadd disabled=yes ipsec-secret=x name=off tunnel-id=0\n/interface ipip\nadd ipsec-secret=\"\" name=none\n")
	posturetest.Quiet(t, h)
	if len(h.Connections) != 1 || len(h.Secrets) != 1 {
		t.Fatalf("%+v, %+v", h.Connections, h.Secrets)
	}
	c := h.Connections[0]
	if c.Name != "hq" || !c.V1.V || c.V2.V || c.AnyPeer.V || !slices.Equal(c.Address.V, []string{"198.51.100.7"}) || c.Phase1 != "default" || strings.Contains(c.V1.Text, "pAss") {
		t.Errorf("%+v", c)
	}
	if child := c.Children[0]; !child.Transport.V || child.L2TP || child.Phase2 != "default" {
		t.Errorf("%+v", child)
	}
	if s := h.Secrets[0]; string(s.Value) != "pAss" || s.Anybody.V || s.Setting != "interface gre" {
		t.Errorf("%+v", s)
	}
}

func TestAnExportThatTheRouterDidNotFinishIsNoted(t *testing.T) {
	for _, end := range []string{"#interrupted", "#error exporting /interface/wifi", "# error exporting /ip/smb"} {
		if h := host("# by RouterOS 7.16\n/ip address\nadd address=192.0.2.1/24\n" + end + "\n"); len(h.Notes) != 1 || h.Notes[0].Kind != posture.Malformed || h.Notes[0].At.Line != 4 {
			t.Errorf("%s: %v", end, h.Notes)
		}
	}
	posturetest.Quiet(t, host("# by RouterOS 7.16\n/ip address\n# an interface that was interrupted\nadd address=192.0.2.1/24\n"))
}

func TestAKeyForOneIdentityIsNotForAnybody(t *testing.T) {
	const peer = "/ip ipsec peer\nadd name=hub passive=yes exchange-mode=%s\n/ip ipsec identity\nadd peer=hub secret=x remote-id=%s\n"
	for _, c := range []struct {
		mode, id string
		anybody  bool
	}{{"ike2", "fqdn:bern.example.org", false}, {"ike2", "auto", true}, {"ike2", "ignore", true}, {"main", "fqdn:bern.example.org", true}} {
		s := host(fmt.Sprintf(peer, c.mode, c.id)).Secrets[0]
		if s.Anybody.V != c.anybody || !c.anybody && !slices.Equal(s.IDs, []string{"bern.example.org"}) {
			t.Errorf("%s %s: %+v", c.mode, c.id, s)
		}
	}
}

func TestAPartOfAFilterTellsNothingOfL2TPUnlessItSaysSo(t *testing.T) {
	const peer, filter = "/ip ipsec peer\nadd name=x address=192.0.2.1/32\n", "/ip firewall filter\nadd chain=input action=accept protocol=udp dst-port="
	if f := host(peer + filter + "500,4500\n").Firewalls[0]; f.L2TPOpen.Known() || f.L2TPNeedsIPsec.Known() {
		t.Errorf("%+v", f)
	}
	if f := host(peer + filter + "500,1701,4500\n").Firewalls[0]; !posture.Is(f.L2TPOpen, true) {
		t.Errorf("%+v", f)
	}
	if f := host("/interface l2tp-server server\nset enabled=yes\n" + filter + "500,4500\n").Firewalls[0]; !posture.Is(f.L2TPOpen, true) {
		t.Errorf("%+v", f)
	}
}

func TestAClientAsksForItsAddress(t *testing.T) {
	const mode, peer = "/ip ipsec mode-config\nadd name=get responder=no\nadd name=give address-pool=p\n", "/ip ipsec peer\nadd name=a address=vpn.example.org exchange-mode=ike2\n/ip ipsec identity\nadd peer=a auth-method=eap eap-methods=eap-mschapv2 generate-policy=port-strict username=u password=p"
	for config, asks := range map[string]posture.Value[bool]{
		" mode-config=get": posture.Written(true, posture.Pos{}, "get"), " mode-config=request-only": posture.Written(true, posture.Pos{}, "request-only"),
		" mode-config=give": posture.Written(false, posture.Pos{}, "give"), "": posture.ByDefault(false, posture.Pos{}, ""), " mode-config=elsewhere": {},
	} {
		c := host(mode + peer + config + "\n").Connections[0]
		if got := c.AsksAddress; got.V != asks.V || got.Known() != asks.Known() {
			t.Errorf("%q: %+v", config, got)
		}
		if want := 2; len(c.Children) != 1 || asks.V && !slices.Equal(c.Children[0].RemoteTS.V, []string{"0.0.0.0/0"}) || !asks.V && len(c.Children[0].RemoteTS.V) != want {
			t.Errorf("%q: %+v", config, c.Children)
		}
	}
}

func TestAWordMayBeCutShort(t *testing.T) {
	h := host("/ip ipsec peer\nadd name=a addres=192.0.2.1 exchange-mode=ike2 disable=yes\n")
	if c := h.Connections[0]; !slices.Equal(c.Address.V, []string{"192.0.2.1"}) || !c.Disabled {
		t.Errorf("%+v", c)
	}
	posturetest.Quiet(t, h)
	for _, word := range []string{"di", "p", "proposal", "addressing", "pa"} { // too short, of a part, of none
		if h := host("/ip ipsec peer\nadd name=a address=192.0.2.1 exchange-mode=ike2 " + word + "=yes\n"); len(h.Notes) != 1 {
			t.Errorf("%s: %v", word, h.Notes)
		}
	}
}

func TestASecretOfAnIdentityThatIsOffIsNotInUse(t *testing.T) {
	h := host("/ip ipsec peer\nadd name=a address=192.0.2.1/32\nadd name=b address=192.0.2.2/32 disabled=yes\n/ip ipsec identity\nadd peer=a secret=one\nadd peer=a secret=two disabled=yes\nadd peer=b secret=three\n")
	for i, unused := range []bool{false, true, true} {
		if s := h.Secrets[i]; s.Unused != unused {
			t.Errorf("%s: %v", s.Name, s.Unused)
		}
	}
}

func TestUsersOfXAUTHHaveAMenu(t *testing.T) {
	h := host("/ip ipsec peer\nadd name=a passive=yes\n/ip ipsec identity\nadd peer=a secret=one auth-method=pre-shared-key-xauth\n/ip ipsec user\nadd name=ann password=blue\nadd name=bob password=green disabled=yes\n")
	if s := h.Secrets[len(h.Secrets)-1]; s.Kind != posture.UserPassword || s.Name != "ann" || string(s.Value) != "blue" || s.Setting != "ip ipsec user" {
		t.Errorf("%+v", h.Secrets)
	}
	posturetest.Quiet(t, h)
	h = host("/ip ipsec peer\nadd address=192.0.2.1/32 secret=one auth-method=pre-shared-key-xauth xauth-login=ann xauth-password=blue\n/ip ipsec user settings\nset xauth-use-radius=no\n")
	if s := h.Secrets[len(h.Secrets)-1]; s.Kind != posture.UserPassword || !slices.Equal(s.IDs, []string{"ann"}) || len(h.Connections[0].Local) != 2 {
		t.Errorf("%+v, %+v", h.Secrets, h.Connections)
	}
	posturetest.Quiet(t, h)
}

func TestAnExpressionIsNoSecret(t *testing.T) {
	for text, want := range map[string]posture.Storage{`password=[:rndstr length=16]`: posture.Elsewhere, `password=(("x") . "y")`: posture.Elsewhere, `password=$p`: posture.Elsewhere, `password="(x)"`: posture.Clear} {
		if s := host("/ppp secret add name=ann " + text + " service=l2tp\n").Secrets[0]; s.Storage != want {
			t.Errorf("%s: %v", text, s.Storage)
		}
	}
}

func TestAConditionMayBeAnExpressionOrAState(t *testing.T) {
	const peers = "/ip ipsec peer\nadd name=new address=192.0.2.1/32\nadd name=old address=192.0.2.2/32 comment=\"old one\"\nadd name=off address=192.0.2.3/32 disabled=yes\n"
	for condition, want := range map[string][]bool{
		`comment~"old o"`: {false, true, true}, `name~"^(new|old)$"`: {true, true, true}, `where !disabled and comment~"old"`: {false, true, true},
		`disabled`: {false, false, true}, `dynamic`: {false, false, true}, `comment~"("`: {false, false, true}, ``: {true, true, true},
	} {
		h := host(peers + "set [find " + condition + "] disabled=yes\n")
		for i, c := range h.Connections {
			if c.Disabled != want[i] {
				t.Errorf("%s: %s is off: %v", condition, c.Name, c.Disabled)
			}
		}
	}
	h := host("/ip ipsec profile add name=x dh-group=ecp256\n/ip ipsec profile remove [find !default]\n/ip ipsec peer add name=a address=192.0.2.1/32\n")
	posturetest.Quiet(t, h) // the default profile is still there
}

// TestNobodyAccountsClientsWithCertificates: RADIUS is asked, and told, of users alone.
func TestNobodyAccountsClientsWithCertificates(t *testing.T) {
	const server = "# 2025-05-02 06:30:11 by RouterOS 7.18.2\n/ip ipsec profile\nadd name=p\n/ip ipsec peer\nadd exchange-mode=ike2 name=rw passive=yes profile=p\n/ip ipsec identity\nadd auth-method="
	for method, known := range map[string]bool{"digital-signature certificate=gw peer=rw": false, "eap-radius certificate=gw peer=rw": true, "pre-shared-key-xauth peer=rw": true} {
		if h := host(server + method + "\n"); h.Daemons[0].Accounting.Known() != known {
			t.Errorf("%s: %+v", method, h.Daemons[0].Accounting)
		}
	}
}

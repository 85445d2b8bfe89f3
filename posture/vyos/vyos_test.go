package vyos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/source"
)

func read(text string) *posture.Host {
	h := &posture.Host{}
	fsys := fstest.MapFS{"config.boot": {Data: []byte(text), Mode: 0o600}}
	in := source.NewInput(source.New("", fsys, false), h)
	Read(in.For("", []string{"config.boot"}))
	return h
}

func inWords(ps []posture.Proposal) string {
	var all []string
	for _, p := range ps {
		all = append(all, proposal.StrongSwanWords(p))
	}
	return strings.Join(all, ",")
}

const site = `firewall {
    all-ping enable
}
system {
    host-name gw
    domain-name example.net
    syslog {
        host 10.0.0.9 {
            facility all {
                level info
            }
        }
    }
}
vpn {
    ipsec {
        esp-group ESP {
            lifetime 1800
            pfs dh-group19
            proposal 1 {
                encryption aes256gcm128
                hash sha256
            }
        }
        ike-group IKE {
            key-exchange ikev2
            lifetime 7200
            proposal 10 {
                dh-group 2
                encryption aes256
                hash sha1
            }
            proposal 2 {
                dh-group 20
                encryption aes256gcm128
                hash sha384
            }
        }
        site-to-site {
            peer 192.0.2.9 {
                authentication {
                    mode pre-shared-secret
                    pre-shared-secret "hunter \"2\""
                    remote-id branch
                }
                connection-type respond
                default-esp-group ESP
                ike-group IKE
                local-address 198.51.100.1
                tunnel 0 {
                    local {
                        prefix 10.1.0.0/16
                    }
                    remote {
                        prefix 10.2.0.0/16
                    }
                }
                vti {
                    bind vti1
                    esp-group ESP
                }
            }
        }
    }
}
/* Warning: Do not remove the following line. */
/* === vyatta-config-version: "ipsec@5" === */
/* Release version: VyOS 1.3.2 */
`

func TestAFileIsClaimedByItsNameOrItsForm(t *testing.T) {
	for _, c := range []struct {
		path, head string
		want       bool
	}{
		{"config.boot", "", true},
		{"edge/config.boot.2026", "", true},
		{"router.conf", "interfaces {\n    ethernet eth0 {\n", true},
		{"junos.conf", "system {\n    host-name a;\n", false},
		{"router.txt", "set interfaces ethernet eth0 address '192.0.2.1/24'\n", true},
		{"router.txt", "set firewall name A\nset vpn ipsec interface 'eth0'\n", true},
		{"junos.txt", "set interfaces ge-0/0/0 unit 0\nset security ike\n", false},
		{"swanctl.conf", "connections {\n", false},
		{"config.xml", "interfaces {\n", false},
		{"x.conf", "interfaces", false},
		{"x.conf", "", false},
	} {
		if got := Claims(c.path, func() []byte { return []byte(c.head) }); got != c.want {
			t.Errorf("Claims(%q, %q) = %v", c.path, c.head, got)
		}
	}
}

func TestAPeerTakesItsGroups(t *testing.T) {
	h := read(site)
	if h.Name != "gw.example.net" || len(h.Connections) != 1 || len(h.Notes) != 0 {
		t.Fatalf("name %q, connections %+v, notes %v", h.Name, h.Connections, h.Notes)
	}
	c := h.Connections[0]
	if c.V1.V || !c.V2.V || c.V2.Origin != posture.Explicit || c.IKELife.V != 2*time.Hour || c.AnyPeer.V || c.Role.V != posture.Answers {
		t.Errorf("connection %+v", c)
	}
	if got := inWords(c.IKE.V); got != "aes256gcm16-prfsha384-ecp384,aes256-sha1-modp1024" || c.IKE.Origin != posture.Explicit {
		t.Errorf("IKE %s %v", got, c.IKE.Origin)
	}
	if len(c.Children) != 2 {
		t.Fatalf("children %+v", c.Children)
	}
	ch := c.Children[0]
	if got := inWords(ch.ESP.V); got != "aes256gcm16-ecp256" || ch.PFS.V != posture.Always || ch.Life.V != 30*time.Minute || !posture.Is(ch.FailOpen, false) {
		t.Errorf("ESP %s, child %+v", got, ch)
	}
	if !slices.Equal(ch.RemoteTS.V, []string{"10.2.0.0/16"}) {
		t.Errorf("remote %v", ch.RemoteTS.V)
	}
	if s := h.Secrets[0]; string(s.Value) != `hunter "2"` || s.Kind != posture.PSK || !s.Backup || s.Anybody.V || !slices.Equal(s.IDs, []string{"branch"}) {
		t.Errorf("secret %+v", s)
	}
	if p := h.Products[0]; p.Version.V != "1.3.2" || p.Version.Origin != posture.Explicit || h.Packages[0].Version != "1.3.2" {
		t.Errorf("product %+v", p)
	}
	if !posture.Is(h.Logs[0].OffHost, true) || !posture.Is(h.Logs[0].Protected, false) {
		t.Errorf("logs %+v", h.Logs[0])
	}
	if d := h.Daemons[0]; !posture.Is(d.LogsAuth, false) || d.LogsAuth.Origin != posture.Default {
		t.Errorf("daemon %+v", d)
	}
}

func TestBothFormsAreOneConfiguration(t *testing.T) {
	commands := `set system host-name 'gw'
set vpn ipsec ike-group IKE key-exchange 'ikev1'
set vpn ipsec ike-group IKE mode 'aggressive'
set vpn ipsec ike-group IKE proposal 1 encryption '3des'
set vpn ipsec ike-group IKE proposal 1 hash 'md5'
set vpn ipsec ike-group IKE proposal 1 dh-group '1'
set vpn ipsec site-to-site peer main ike-group 'IKE'
set vpn ipsec site-to-site peer main remote-address '192.0.2.1'
set vpn ipsec site-to-site peer main authentication mode 'pre-shared-secret'
`
	braces := `vpn {
    ipsec {
        ike-group IKE {
            key-exchange "ikev1"
            mode "aggressive"
            proposal 1 {
                dh-group "1"
                encryption "3des"
                hash "md5"
            }
        }
        site-to-site {
            peer main {
                authentication {
                    mode "pre-shared-secret"
                }
                ike-group "IKE"
                remote-address "192.0.2.1"
            }
        }
    }
}
`
	for _, text := range []string{commands, braces} {
		h := read(text)
		if len(h.Connections) != 1 {
			t.Fatalf("connections %+v, notes %v", h.Connections, h.Notes)
		}
		c := h.Connections[0]
		if inWords(c.IKE.V) != "3des-md5-modp768" || !c.Aggressive.V || !c.V1.V || c.V2.V || c.AnyPeer.V || c.Address.V[0] != "192.0.2.1" {
			t.Errorf("connection %+v", c)
		}
	}
}

func TestWhatAProposalLeavesOutIsVyOSsDefault(t *testing.T) {
	h := read("vpn {\n ipsec {\n  ike-group I {\n   proposal 1 {\n   }\n  }\n  esp-group E {\n   proposal 1 {\n   }\n  }\n  site-to-site {\n   peer 192.0.2.1 {\n    ike-group I\n    tunnel 1 {\n     esp-group E\n    }\n   }\n  }\n }\n}\n// Release version: 1.4.0\n")
	c := h.Connections[0]
	if got := inWords(c.IKE.V); got != "aes128-sha1-modp1024" || c.IKE.Origin != posture.Default {
		t.Errorf("IKE %s %v", got, c.IKE.Origin)
	}
	if ch := c.Children[0]; inWords(ch.ESP.V) != "aes128-sha1-modp1024" || ch.PFS.V != posture.Always || ch.PFS.Origin != posture.Default || ch.Life.V != time.Hour || ch.Replay.V != 32 {
		t.Errorf("child %s %+v", inWords(ch.ESP.V), ch)
	}
	if !c.V1.V || !c.V2.V || c.V1.Origin != posture.Default || c.IKELife.V != 8*time.Hour || c.DPD.Known() {
		t.Errorf("connection %+v", c)
	}
}

func TestWithoutAReleaseDefaultsAreInferred(t *testing.T) {
	h := read("vpn {\n ipsec {\n  site-to-site {\n   peer 192.0.2.1 {\n   }\n  }\n }\n}\n")
	if c := h.Connections[0]; c.V1.Origin != posture.Inferred || !strings.HasPrefix(c.V1.Why, "version unknown") {
		t.Errorf("v1 %+v", c.V1)
	}
}

func TestASecretKnowsItsSetting(t *testing.T) {
	for command, want := range map[string]string{
		"set vpn ipsec authentication psk lyon secret 'a'": "vpn ipsec authentication psk lyon secret",
		"set vpn ipsec site-to-site peer 192.0.2.1 authentication mode 'pre-shared-secret'\nset vpn ipsec site-to-site peer 192.0.2.1 authentication pre-shared-secret 'a'": "vpn ipsec site-to-site peer 192.0.2.1 authentication pre-shared-secret",
		"set vpn l2tp remote-access authentication radius-server 192.0.2.9 key 'a'":                                                                                         "vpn l2tp remote-access authentication radius-server 192.0.2.9 key",
		"set system login radius server 192.0.2.9 key 'a'\nset vpn ipsec interface 'eth0'":                                                                                  "system login radius server 192.0.2.9 key",
	} {
		h := read(command + "\n")
		if len(h.Secrets) != 1 || h.Secrets[0].Setting != want {
			t.Errorf("%s: %+v", command, h.Secrets)
		}
	}
}

func TestAConnectionNamesItsGroups(t *testing.T) {
	c := read(site).Connections[0]
	if c.Phase1 != "IKE" || c.Children[0].Phase2 != "ESP" {
		t.Errorf("groups %q and %q", c.Phase1, c.Children[0].Phase2)
	}
}

func TestSSTPIsInsideTLSAndSaysItsMethods(t *testing.T) {
	h := read("set vpn sstp authentication protocols 'pap'\nset vpn sstp ssl certificate 'c'\n")
	if p := h.PPP[0]; !posture.Is(p.IPsecForced, true) {
		t.Errorf("forced: %+v", p.IPsecForced)
	}
	if s := h.Services[0]; !slices.Equal(s.Methods.V, []posture.PPPMethod{posture.PAP}) {
		t.Errorf("methods: %+v", s.Methods)
	}
}

func TestAReturnWithinALineIsABlank(t *testing.T) {
	if h := read("set vpn ipsec\rinterface\r'eth0'\r\n"); len(h.Daemons) != 1 {
		t.Errorf("%+v", h.Daemons)
	}
}

func TestPFSCanBeOff(t *testing.T) {
	h := read("vpn {\n ipsec {\n  esp-group E {\n   pfs disable\n   proposal 1 {\n    encryption aes256\n    hash sha256\n   }\n  }\n  site-to-site {\n   peer 192.0.2.1 {\n    vti {\n     esp-group E\n    }\n   }\n  }\n }\n}\n")
	ch := h.Connections[0].Children[0]
	if !posture.Is(ch.PFS, posture.Never) || inWords(ch.ESP.V) != "aes256-sha256" || !posture.Is(ch.FailOpen, false) {
		t.Errorf("child %s %+v", inWords(ch.ESP.V), ch)
	}
}

func TestADisabledPeerIsWrittenAndNotLoaded(t *testing.T) {
	h := read("vpn {\n ipsec {\n  site-to-site {\n   peer 192.0.2.1 {\n    disable\n   }\n   peer @branch {\n   }\n  }\n }\n}\n")
	if !h.Connections[0].Disabled || h.Connections[1].Disabled || !h.Connections[1].AnyPeer.V {
		t.Errorf("connections %+v", h.Connections)
	}
}

func TestKeysOf14AreByIdentity(t *testing.T) {
	h := read(`set vpn ipsec authentication psk A id '%any'
set vpn ipsec authentication psk A secret 'abc'
set vpn ipsec authentication psk B id '192.0.2.1'
set vpn ipsec authentication psk B secret 'abc'
set vpn ipsec authentication psk B secret-type 'hex'
set vpn ipsec authentication psk C id 'x'
set vpn ipsec authentication psk C secret 'AAEC'
set vpn ipsec authentication psk C secret-type 'base64'
set vpn ipsec authentication psk D secret 'xxxxxx'
`)
	if len(h.Secrets) != 4 {
		t.Fatalf("secrets %+v", h.Secrets)
	}
	a, b, c, d := h.Secrets[0], h.Secrets[1], h.Secrets[2], h.Secrets[3]
	if !a.Anybody.V || b.Anybody.V || string(a.Value) != "abc" {
		t.Errorf("A %+v, B %+v", a, b)
	}
	if string(b.Value) != "\x0a\xbc" || len(b.Traps) != 1 || b.Storage != posture.Reversible {
		t.Errorf("B %+v", b)
	}
	if string(c.Value) != "\x00\x01\x02" || len(c.Traps) != 0 {
		t.Errorf("C %+v", c)
	}
	if len(d.Value) != 0 || d.Storage != posture.Elsewhere || !slices.ContainsFunc(h.Notes, func(n posture.Note) bool { return n.Kind == posture.Opaque }) {
		t.Errorf("D %+v, notes %v", d, h.Notes)
	}
}

func TestRemoteAccessIsForClientsOfIKEv2(t *testing.T) {
	h := read(`set vpn ipsec ike-group I key-exchange 'ikev2'
set vpn ipsec remote-access connection rw ike-group 'I'
set vpn ipsec remote-access connection rw pool 'p'
set vpn ipsec remote-access connection rw authentication x509 certificate 'gw'
set vpn ipsec remote-access connection rw authentication local-users username anna password 'pw'
set vpn ipsec remote-access pool p prefix '10.9.0.0/24'
set vpn ipsec remote-access pool p name-server '10.0.0.1'
set vpn ipsec remote-access radius server 10.0.0.5 key 'testing123'
`)
	c := h.Connections[0]
	if !c.AnyPeer.V || c.Role.V != posture.Answers || c.Local[0].Method.V != posture.MethodPubkey || c.Local[0].CertFile != "gw" {
		t.Errorf("connection %+v", c)
	}
	if r := c.Remote[0]; r.Method.V != posture.MethodEAP || !slices.Equal(r.EAP.V, []string{"mschapv2"}) || r.EAP.Origin != posture.Inferred {
		t.Errorf("remote %+v", r)
	}
	if !slices.Equal(c.Pool.V, []string{"10.9.0.0/24"}) || !slices.Equal(c.DNS.V, []string{"10.0.0.1"}) || len(c.Children[0].LocalTS.V) != 2 {
		t.Errorf("pool %+v, dns %+v, children %+v", c.Pool, c.DNS, c.Children)
	}
	if len(h.RADIUS) != 1 || len(h.Secrets) != 2 || h.Secrets[1].Name != h.RADIUS[0].Name {
		t.Errorf("radius %+v, secrets %+v", h.RADIUS, h.Secrets)
	}
}

const l2tp = `set vpn l2tp remote-access authentication local-users username anna password 'pw'
set vpn l2tp remote-access authentication mode 'local'
set vpn l2tp remote-access client-ip-pool pool1 range '10.5.0.0/24'
set vpn l2tp remote-access ipsec-settings authentication mode 'pre-shared-secret'
set vpn l2tp remote-access ipsec-settings authentication pre-shared-secret 'vpn'
set vpn l2tp remote-access outside-address '203.0.113.2'
`

func TestL2TPHasWeakDefaults(t *testing.T) {
	h := read(l2tp + "// Release version: 1.4.1\n")
	c, p, l := h.Connections[0], h.PPP[0], h.L2TP[0]
	if got := inWords(c.IKE.V); got != "aes256-sha1-modp1024,3des-sha1-modp1024" || c.IKE.Origin != posture.Default || !c.V1.V || !c.AnyPeer.V {
		t.Errorf("IKE %s, connection %+v", got, c)
	}
	ch := c.Children[0]
	if got := inWords(ch.ESP.V); got != "aes256-sha1,3des-sha1" || ch.PFS.V != posture.Never || !ch.Transport.V || !ch.L2TP {
		t.Errorf("ESP %s, child %+v", got, ch)
	}
	if len(p.Methods.V) != 4 || p.Methods.Origin != posture.Default || p.MTU.V != 1436 || p.MPPE.V != posture.NoMPPE || !p.DNS.Known() || !p.AuthNeeded.V {
		t.Errorf("ppp %+v", p)
	}
	if l.IPsec.V != posture.Optional || l.Challenge.V || l.PPP != p.Name || l.Listen.V[0] != "203.0.113.2" {
		t.Errorf("l2tp %+v", l)
	}
	if s := h.Secrets; len(s) != 2 || s[0].Kind != posture.PSK || !s[0].Anybody.V || s[1].Kind != posture.UserPassword {
		t.Errorf("secrets %+v", s)
	}
	if f := h.Firewalls[0]; !f.L2TPOpen.V || f.L2TPOpen.Origin != posture.Default || !posture.Is(p.IPsecForced, false) {
		t.Errorf("firewall %+v, ppp %+v", f, p)
	}
	if len(h.Notes) != 0 {
		t.Errorf("notes %v", h.Notes)
	}
}

func TestL2TPTakesGroupsAndMethodsThatAreWritten(t *testing.T) {
	h := read(l2tp + `set vpn l2tp remote-access authentication protocols 'mschap-v2'
set vpn l2tp remote-access ppp-options mppe 'require'
set vpn l2tp remote-access name-server '10.0.0.1'
set vpn l2tp remote-access lns shared-secret 'tun'
set vpn l2tp remote-access mtu '1400'
set vpn l2tp remote-access ipsec-settings ike-group 'I'
set vpn l2tp remote-access ipsec-settings esp-group 'E'
set vpn ipsec ike-group I proposal 1 dh-group '19'
set vpn ipsec ike-group I proposal 1 encryption 'aes256'
set vpn ipsec ike-group I proposal 1 hash 'sha256'
set vpn ipsec esp-group E proposal 1 encryption 'aes256'
set vpn ipsec esp-group E proposal 1 hash 'sha256'
`)
	c, p := h.Connections[0], h.PPP[0]
	if inWords(c.IKE.V) != "aes256-sha256-ecp256" || c.IKE.Origin != posture.Explicit || inWords(c.Children[0].ESP.V) != "aes256-sha256-ecp256" {
		t.Errorf("IKE %s, ESP %s", inWords(c.IKE.V), inWords(c.Children[0].ESP.V))
	}
	if !slices.Equal(p.Methods.V, []posture.PPPMethod{posture.MSCHAPv2}) || p.MPPE.V != posture.MPPE128 || p.MTU.V != 1400 || !h.L2TP[0].Challenge.V {
		t.Errorf("ppp %+v", p)
	}
}

func TestAFirewallMayForceIPsecOnL2TP(t *testing.T) {
	const v13 = `set interfaces ethernet eth0 firewall local name 'WAN'
set firewall name WAN default-action 'drop'
`
	for _, c := range []struct{ name, rules, want string }{
		{"a rule that matches IPsec", v13 + "set firewall name WAN rule 60 action 'accept'\nset firewall name WAN rule 60 destination port '1701'\nset firewall name WAN rule 60 protocol 'udp'\nset firewall name WAN rule 60 ipsec match-ipsec\n", "forced"},
		{"a rule for all", v13 + "set firewall name WAN rule 60 action 'accept'\nset firewall name WAN rule 60 destination port '500,1701,4500'\nset firewall name WAN rule 60 protocol 'udp'\n", "open"},
		{"a rule for one source", v13 + "set firewall name WAN rule 60 action 'accept'\nset firewall name WAN rule 60 source address '192.0.2.1'\n", "forced"},
		{"only what is established", v13 + "set firewall name WAN rule 1 action 'accept'\nset firewall name WAN rule 1 state established 'enable'\n", "forced"},
		{"a group of ports", v13 + "set firewall name WAN rule 60 action 'accept'\nset firewall name WAN rule 60 destination group port-group 'VPN'\n", "unknown"},
		{"the chain of 1.4 that jumps", "set firewall ipv4 input filter default-action 'drop'\nset firewall ipv4 input filter rule 1 action 'jump'\nset firewall ipv4 input filter rule 1 jump-target 'X'\nset firewall ipv4 name X default-action 'return'\nset firewall ipv4 name X rule 5 action 'accept'\nset firewall ipv4 name X rule 5 destination port '1701'\nset firewall ipv4 name X rule 5 protocol 'udp'\n", "open"},
		{"the chain of 1.4 that jumps in circles", "set firewall ipv4 input filter rule 1 action 'jump'\nset firewall ipv4 input filter rule 1 jump-target 'X'\nset firewall ipv4 name X rule 1 action 'jump'\nset firewall ipv4 name X rule 1 jump-target 'X'\n", "unknown"},
		{"the chain of 1.4 that drops", "set firewall ipv4 input filter default-action 'drop'\nset firewall ipv4 input filter rule 1 action 'accept'\nset firewall ipv4 input filter rule 1 ipsec match-ipsec-in\n", "forced"},
		{"zones", "set firewall zone LOCAL local-zone\n", "unknown"},
		{"none", "set system host-name 'gw'\n", "open"},
		{"none in a part of a configuration", "", "unknown"},
	} {
		h := read(l2tp + c.rules)
		got := "unknown"
		if v := h.PPP[0].IPsecForced; v.Known() {
			got = map[bool]string{true: "forced", false: "open"}[v.V]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMasqueradeBeforeAPolicyIsFound(t *testing.T) {
	const masquerade = "set nat source rule 100 outbound-interface name 'eth0'\nset nat source rule 100 translation address 'masquerade'\n"
	commands := "set vpn ipsec site-to-site peer 192.0.2.1 tunnel 0 local prefix '10.1.0.0/16'\nset vpn ipsec site-to-site peer 192.0.2.1 tunnel 0 remote prefix '10.2.0.0/16'\n" + masquerade
	for more, want := range map[string]bool{
		"": true,
		"set nat source rule 10 exclude\nset nat source rule 10 destination address '10.2.0.0/16'\n":   false,
		"set nat source rule 10 exclude\nset nat source rule 10 destination address '10.3.0.0/16'\n":   true,
		"set nat source rule 200 exclude\nset nat source rule 200 destination address '10.2.0.0/16'\n": true,
		"set nat source rule 100 source address '172.16.0.0/12'\n":                                     false,
		"set nat source rule 100 destination address '!10.0.0.0/8'\n":                                  false,
	} {
		if v := read(commands + more).Firewalls[0].MasqueradesIn; v.V != want || !v.Known() {
			t.Errorf("%q: %+v, want %v", more, v, want)
		}
	}
	if v := read(masquerade).Firewalls[0].MasqueradesIn; !posture.Is(v, false) {
		t.Errorf("without tunnels: %+v", v)
	}
	clients := "set vpn ipsec remote-access connection people pool 'p'\nset vpn ipsec remote-access pool p prefix '10.3.0.0/24'\n" + masquerade
	if v := read(clients).Firewalls[0].MasqueradesIn; v.Known() {
		t.Errorf("with clients: %+v", v)
	}
}

func TestOtherServicesAreListed(t *testing.T) {
	h := read(`set vpn pptp remote-access authentication require 'mschap-v2'
set vpn sstp authentication protocols 'mschap-v2'
set vpn openconnect authentication local-users username u password 'p'
set interfaces openvpn vtun0 mode 'server'
set interfaces wireguard wg0 private-key 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
set interfaces wireguard wg0 peer a allowed-ips '10.0.0.2/32'
set interfaces wireguard wg0 peer a public-key 'pub'
set interfaces wireguard wg0 peer a preshared-key 'psk'
`)
	var protocols []string
	for _, s := range h.Services {
		protocols = append(protocols, s.Protocol)
	}
	if !slices.Equal(protocols, []string{"pptp", "sstp", "openconnect", "openvpn"}) || len(h.PPP) != 2 {
		t.Errorf("services %v, ppp %+v", protocols, h.PPP)
	}
	if w := h.Tunnels[0]; !w.PrivateKeyInFile.V || !w.Peers[0].PSK.V || w.Peers[0].PublicKey != "pub" {
		t.Errorf("tunnel %+v", w)
	}
}

func TestKeysInTheConfigurationAreSeen(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	h := read("set pki key-pair k public key '" + base64.StdEncoding.EncodeToString(pub) + "'\nset pki key-pair k private key 'AAAA'\nset pki certificate c certificate 'AAAA'\nset pki ca c private key 'AAAA'\nset pki ca c private password-protected\n")
	if len(h.Keys) != 3 {
		t.Fatalf("keys %+v", h.Keys)
	}
	ca, k := h.Keys[0], h.Keys[2]
	if !ca.CA || !ca.Private || !ca.Encrypted || !k.Private || k.Public == nil {
		t.Errorf("keys %+v", h.Keys)
	}
	h = read("set pki ca c private key 'AAAA'\nset pki ca web private key 'AAAA'\nset pki certificate gw private key 'AAAA'\nset pki certificate web private key 'AAAA'\n" +
		"set vpn ipsec site-to-site peer p authentication mode 'x509'\nset vpn ipsec site-to-site peer p authentication x509 certificate 'gw'\nset vpn ipsec site-to-site peer p authentication x509 ca-certificate 'c'\n")
	for _, k := range h.Keys {
		if judged := k.Name == "c" || k.Name == "gw"; (k.Dialect == posture.X509) != judged {
			t.Errorf("%s: %s", k.Name, k.Dialect)
		}
	}
}

func TestValuesHaveThePlaceWhereTheyStand(t *testing.T) {
	c := read(site).Connections[0]
	if at := c.IKELife.At; at.Line != 27 || at.Col != 22 || at.File != "config.boot" {
		t.Errorf("lifetime at %+v", at)
	}
	h := read("set vpn ipsec ike-group I lifetime '300'\nset vpn ipsec site-to-site peer 192.0.2.1 ike-group 'I'\n")
	if at := h.Connections[0].IKELife.At; at.Line != 1 || at.Col != 36 {
		t.Errorf("lifetime at %+v", at)
	}
}

func TestWordsNobodyKnowsAreNoted(t *testing.T) {
	h := read("vpn {\n ipsec {\n  ike-group I {\n   quantum yes\n  }\n }\n}\nflux {\n}\n")
	var texts []string
	for _, n := range h.Notes {
		texts = append(texts, n.Text)
	}
	if len(texts) != 2 || !strings.Contains(texts[0], "flux") || !strings.Contains(texts[1], "quantum") {
		t.Errorf("notes %q", texts)
	}
}

func TestBrokenFilesEndInANote(t *testing.T) {
	for text, kind := range map[string]posture.NoteKind{
		"vpn {\n ipsec {\n":                            posture.Malformed,
		"}\n":                                          posture.Malformed,
		"system {\n host-name \"gw\n":                  posture.Malformed,
		"/* no end\n":                                  posture.Malformed,
		strings.Repeat("a {\n", 100):                   posture.Limit,
		strings.Repeat("a ", 100) + "\n":               posture.Limit,
		"set a 'b\n":                                   posture.Malformed,
		"set " + strings.Repeat("a ", 100) + "\n":      posture.Limit,
		"set system host-name a\nshow configuration\n": posture.Unparsed,
	} {
		h := read(text)
		if !slices.ContainsFunc(h.Notes, func(n posture.Note) bool { return n.Kind == kind }) {
			t.Errorf("%.20q: notes %v, want %s", text, h.Notes, kind)
		}
	}
}

func TestSecretsAreNeitherInNotesNorInTexts(t *testing.T) {
	for _, text := range []string{
		strings.ReplaceAll(site, "mode pre-shared-secret\n", "mode pre-shared-secret\n                    hunter\n"),
		"set vpn ipsec authentication psk A secret 'abc'\nhunter\n",
		"vpn {\n ipsec {\n  authentication {\n   psk A {\n    secret abc\nhunter\n   }\n  }\n }\n}\n",
	} {
		h := read(text)
		if len(h.Notes) == 0 {
			t.Errorf("no note of %q", text)
		}
		for _, n := range h.Notes {
			if strings.Contains(n.Text, "hunter") {
				t.Errorf("note %q", n.Text)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(site)
	f.Add(l2tp)
	f.Add("set nat source rule 1 exclude\nset firewall ipv4 input filter rule 1 action jump\nset vpn ipsec site-to-site peer a tunnel 0 remote prefix ::/0\n")
	f.Add("set vpn ipsec authentication psk A secret-type hex\nset vpn ipsec authentication psk A secret 0xabc\n")
	f.Fuzz(func(t *testing.T, text string) { read(text) })
}

func TestWhatIsTakenAwayIsNotInForce(t *testing.T) {
	const group = "set vpn ipsec esp-group E lifetime '3600'\nset vpn ipsec esp-group E proposal 1 encryption 'aes256'\nset vpn ipsec esp-group E proposal 2 encryption '3des'\n" +
		"set vpn ipsec site-to-site peer lyon remote-address '192.0.2.1'\nset system host-name old\nset system host-name gw\n"
	for name, c := range map[string]struct {
		text  string
		gone  []string
		notes int
	}{
		"a block":            {"delete vpn ipsec esp-group E proposal 2\n", []string{"vpn", "ipsec", "esp-group", "E", "proposal", "2"}, 0},
		"a setting":          {"delete vpn ipsec esp-group E lifetime\n", []string{"vpn", "ipsec", "esp-group", "E", "lifetime"}, 0},
		"a last value":       {"delete vpn ipsec esp-group E lifetime 3600\n", []string{"vpn", "ipsec", "esp-group", "E", "lifetime"}, 0},
		"what is turned off": {"deactivate vpn ipsec site-to-site\n", []string{"vpn", "ipsec", "site-to-site"}, 0},
		"what is not there":  {"delete vpn ipsec esp-group F\n", []string{"vpn", "ipsec", "esp-group", "F"}, 1},
		"all":                {"delete\n", nil, 1},
	} {
		h := &posture.Host{}
		in := source.NewInput(source.New("", fstest.MapFS{"f": {Data: []byte(group + c.text)}}, true), h)
		p := parse(in, in.Read("f", false))
		if c.gone != nil && p.root.has(c.gone...) || len(h.Notes) != c.notes || !p.root.has("vpn", "ipsec", "esp-group", "E", "proposal", "1") {
			t.Errorf("%s: notes %v", name, h.Notes)
		}
	}
}

func TestCommandsAreReadAsPeopleKeepThem(t *testing.T) {
	const peer = "set vpn ipsec site-to-site peer lyon remote-address '192.0.2.1'\n"
	for name, text := range map[string]string{
		"a file to be pasted":  "configure\n" + peer + "commit\nsave\nexit\n",
		"a copy of a terminal": "vyos@gw:~$ configure\n[edit]\nvyos@gw# " + peer + "[edit]\nvyos@gw# commit\n",
		"lines that go on":     "set vpn ipsec site-to-site peer lyon \\\n  remote-address \\\r\n  192.0.2.1\r\n",
	} {
		if !Claims("gw.txt", func() []byte { return []byte(text) }) {
			t.Errorf("%s: not taken for VyOS", name)
		}
		h := read(text)
		if len(h.Notes) > 0 || len(h.Connections) != 1 || !slices.Equal(h.Connections[0].Address.V, []string{"192.0.2.1"}) {
			t.Errorf("%s: notes %v, connections %+v", name, h.Notes, h.Connections)
		}
	}
}

func TestAPartOfAConfigurationTellsNothingOfTheRest(t *testing.T) {
	h := read("set vpn ipsec site-to-site peer lyon remote-address '192.0.2.1'\n")
	if len(h.Firewalls) > 0 || len(h.Logs) > 0 {
		t.Errorf("%+v, %+v", h.Firewalls, h.Logs)
	}
	h = read("set firewall name WAN rule 1 action 'accept'\nset vpn ipsec site-to-site peer lyon remote-address '192.0.2.1'\n")
	if f := h.Firewalls[0]; f.IKEOpen.Known() || f.MSSClamp.Known() || f.MasqueradesIn.Known() {
		t.Errorf("%+v", f)
	}
}

func TestAReleaseOfEdgeOSIsNoneOfVyOS(t *testing.T) {
	h := read("set firewall options mss-clamp mss '1340'\nset system host-name 'ubnt'\n/* Release version: v1.10.9.5166958.190213.1939 */\n")
	if h.Products[0].Version.Known() || len(h.Packages) > 0 || len(h.Notes) != 1 {
		t.Errorf("%+v, %+v, %v", h.Products, h.Packages, h.Notes)
	}
	if f := h.Firewalls[0]; !posture.Is(f.MSSClamp, true) {
		t.Errorf("%+v", f.MSSClamp)
	}
}

func TestAKeyBesideCertificatesIsNotUsed(t *testing.T) {
	for mode, unused := range map[string]bool{"pre-shared-secret": false, "x509": true, "rsa": true} {
		h := read("set vpn ipsec site-to-site peer 192.0.2.1 authentication mode '" + mode + "'\nset vpn ipsec site-to-site peer 192.0.2.1 authentication pre-shared-secret 'x'\n")
		if s := h.Secrets[0]; s.Unused != unused {
			t.Errorf("%s: %+v", mode, s)
		}
	}
}

func TestAPresharedKeyOfWireGuardIsASecret(t *testing.T) {
	h := read("set interfaces wireguard wg0 peer x public-key 'HAZ1Pj0Mdh8w0uG4mJtR9cVnq3KfZ5yLbE7xXsoTi1A='\nset interfaces wireguard wg0 peer x preshared-key 'xqUpMEeRk+aSwi/zBndpr9jCZHQTaBHrSWx5EpNnpgQ='\n")
	if len(h.Secrets) != 1 || h.Secrets[0].Kind != posture.PPKSecret || h.Secrets[0].Setting != "interfaces wireguard wg0 peer x preshared-key" {
		t.Errorf("%+v", h.Secrets)
	}
}

func TestThePrefixesOfStrongSwanAreDecodedInPlainText(t *testing.T) {
	h := read("set vpn ipsec authentication psk a secret '0sc2hvcnQ='\nset vpn ipsec authentication psk b secret '0xabc'\nset vpn ipsec authentication psk c secret '0sc2hvcnQ='\nset vpn ipsec authentication psk c secret-type 'plaintext'\n" +
		"set vpn ipsec site-to-site peer 192.0.2.1 authentication mode 'pre-shared-secret'\nset vpn ipsec site-to-site peer 192.0.2.1 authentication pre-shared-secret '0sc2hvcnQ='\n")
	got := map[string]string{}
	for _, s := range h.Secrets {
		got[s.Name] = string(s.Value)
	}
	// Before 1.4 the key stood in quotes in ipsec.secrets, where it is as it is written.
	if got["a"] != "short" || got["b"] != "\x0a\xbc" || got["c"] != "short" || got["192.0.2.1"] != "0sc2hvcnQ=" {
		t.Errorf("%q", got)
	}
}

func TestSwitchesOfTheFirewallAreSysctls(t *testing.T) {
	h := read("set firewall send-redirects 'enable'\nset firewall global-options source-validation 'loose'\nset firewall global-options ipv6-src-route 'of the future'\n")
	got := map[string]string{}
	for _, k := range h.Kernel {
		got[k.Name] = k.Key + "=" + k.Value.V
	}
	if len(got) != 3 || got["firewall send-redirects"] != "net.ipv4.conf.all.send_redirects=1" || got["firewall global-options source-validation"] != "net.ipv4.conf.all.rp_filter=2" ||
		h.Kernel[1].Value.Known() && h.Kernel[2].Value.Known() {
		t.Errorf("%+v", h.Kernel)
	}
}

func TestEdgeOSHasTheDefaultsOfVyatta(t *testing.T) {
	const l2tp = "set vpn l2tp remote-access outside-address '192.0.2.1'\nset vpn l2tp remote-access ipsec-settings authentication mode 'pre-shared-secret'\n"
	for mode, pap := range map[string]bool{"local": false, "radius": true} {
		for _, release := range []string{"v2.0.8", "VyOS 1.1.8"} {
			h := read(l2tp + "set vpn l2tp remote-access authentication mode '" + mode + "'\n/* Release version: " + release + " */\n")
			p := h.PPP[0]
			if slices.Contains(p.Methods.V, posture.PAP) != pap || !slices.Contains(p.Methods.V, posture.MSCHAPv1) || !p.ProxyARP.V || p.MTU.Known() {
				t.Errorf("%s, %s: %+v", release, mode, p)
			}
			if c := h.Connections[0]; !c.V1.V || c.V2.V {
				t.Errorf("%s: %+v", release, c)
			}
		}
	}
	h := read(l2tp + "set vpn l2tp remote-access authentication require 'mschap-v2'\n/* Release version: v2.0.8 */\n")
	if p := h.PPP[0]; len(p.Methods.V) != 1 || p.Methods.Origin != posture.Explicit {
		t.Errorf("%+v", p)
	}
}

func TestAScriptOfCommandsIsAConfiguration(t *testing.T) {
	const script = "#!/bin/vbash\nsource /opt/vyatta/etc/functions/script-template\nconfigure\n\nset vpn ipsec ike-group i \\\n  key-exchange 'ikev1'\nset vpn ipsec site-to-site peer 192.0.2.1 ike-group 'i'\ncommit\nsave\nexit\n"
	if !Claims("setup.sh", func() []byte { return []byte(script) }) || Claims("setup.sh", func() []byte { return []byte("#!/bin/sh\nset -e\nset vpn\n") }) {
		t.Error("is not told from other scripts")
	}
	if h := read(script); len(h.Connections) != 1 || !h.Connections[0].V1.V || h.Connections[0].V2.V || len(h.Notes) > 0 {
		t.Errorf("%+v, %v", h.Connections, h.Notes)
	}
}

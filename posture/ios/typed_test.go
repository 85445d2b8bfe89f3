package ios_test

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/posture"
	"sallyport/posture/ios"
	"sallyport/posture/posturetest"
)

func TestACertificateWithoutHexadecimalHidesNothing(t *testing.T) {
	for what, body := range map[string]string{
		"in a file of its own": " certificate self-signed 01 nvram:Self#1.cer\n",
		"cut out":              " certificate ca 02\n  cut out\n",
		"there":                " certificate ca 02\n  3082024F 30820\n  \tquit\n",
		"without indent":       "certificate ca 02\n3082024F 30820\nquit\n",
	} {
		h := host("crypto pki certificate chain CA\n" + body + "crypto isakmp key k address 192.0.2.1\n")
		posturetest.Quiet(t, h)
		if len(h.Secrets) != 1 {
			t.Errorf("%s: %d secrets", what, len(h.Secrets))
		}
	}
}

// What is typed has no indent, and is left by "exit", by a command that is not of
// the block, or not at all.
const scripted = `interface Loopback0
ip address 10.9.9.1 255.255.255.255
no shutdown

crypto ikev2 proposal P
encryption aes-cbc-256
integrity sha512
group 20
crypto ikev2 policy P
proposal P
exit
crypto ikev2 keyring K
peer one
address 192.0.2.1
pre-shared-key first-key-of-it-all
peer two
 address 192.0.2.2
 pre-shared-key second-key-of-it-all
crypto ikev2 profile V
match identity remote address 192.0.2.1 255.255.255.255
authentication remote pre-share
authentication local pre-share
keyring local K
aaa authorization group psk list L L

crypto ipsec transform-set T esp-gcm 256
mode tunnel
crypto ipsec profile V
set transform-set T
! with forward secrecy
set pfs group20
set ikev2-profile V
interface Tunnel0
ip unnumbered Loopback0
tunnel source Loopback0
tunnel destination 192.0.2.1
tunnel protection ipsec profile V
aaa new-model
ip route 10.0.0.0 255.0.0.0 Tunnel0
`

func TestLinesThatWereTypedGoWhereTheRouterPutsThem(t *testing.T) {
	h := host(scripted)
	posturetest.Quiet(t, h)
	if len(h.Connections) != 1 || len(h.Connections[0].Children) != 1 || len(h.Secrets) != 2 {
		t.Fatalf("%d connections, %d secrets", len(h.Connections), len(h.Secrets))
	}
	c := h.Connections[0]
	if got := posturetest.Names(c.IKE.V[0].Transforms); got != "aes256 sha512 prfsha512 ecp384" && got != "aes256 sha512 ecp384 prfsha512" {
		t.Error(got)
	}
	if !posture.Is(c.Children[0].PFS, posture.Always) || !posture.Is(c.Local[0].Method, posture.MethodPSK) {
		t.Errorf("%v, %v", c.Children[0].PFS, c.Local[0].Method)
	}
}

const short = `cry isa pol 10
enc aes 256
ha sha256
auth pre
gr 14
cry isa key pol address 192.0.2.1
cry ips trans T esp-aes 256 esp-sha256-hmac
mod tun
cry ips prof P
set trans T
set pfs group14
int tunnel 11
ip add 10.0.0.1 255.255.255.252
tun sou Gi0
tun dest 192.0.2.1
tun mod ips ipv4
tun prot ips prof P
`

func TestBeginningsOfWordsAreTakenAsTheRouterTakesThem(t *testing.T) {
	if !ios.Claims("x.cfg", func() []byte { return []byte(short) }) {
		t.Error("not told")
	}
	h := host(short)
	posturetest.Quiet(t, h)
	if len(h.Connections) != 1 || len(h.Connections[0].Children) != 1 || len(h.Secrets) != 1 || string(h.Secrets[0].Value) != "pol" {
		t.Fatalf("%+v, %+v", h.Connections, h.Secrets)
	}
	c := h.Connections[0]
	if got := posturetest.Names(c.IKE.V[0].Transforms); !strings.Contains(got, "aes256") || !strings.Contains(got, "modp2048") || !posture.Is(c.Local[0].Method, posture.MethodPSK) {
		t.Errorf("%s, %+v", got, c.Local)
	}
	if !posture.Is(c.Children[0].PFS, posture.Always) || c.Children[0].PFS.Text != "set pfs group14" {
		t.Errorf("%+v", c.Children[0].PFS)
	}
	whole := host("crypto isakmp policy 10\n encr aes 256\ncrypto isakmp key k address 192.0.2.1\nac 1\n")
	if len(whole.Notes) != 1 || whole.Notes[0].At.Line != 4 { // access-list, or access-session
		t.Errorf("%v", whole.Notes)
	}
}

func TestAGroupOfGETVPNThatWasTyped(t *testing.T) {
	h := host(strings.ReplaceAll(pushed, "\n ", "\n") + "server local\nrekey transport unicast\nsa ipsec 1\nprofile P\nmatch address ipv4 A\naddress ipv4 192.0.2.2\ncrypto isakmp keepalive 10\n")
	posturetest.Quiet(t, h)
	if len(h.Connections) != 1 || len(h.Connections[0].Children) != 1 {
		t.Errorf("%+v", h.Connections)
	}
}

func TestABlockEndsWhereAnotherBeginsInIt(t *testing.T) {
	h := host("crypto map M 10 ipsec-isakmp\n set peer 192.0.2.1\n match address A\n interface Gi1\n ip address dhcp\n crypto map M\n ip access-list extended A\n 10 permit ip 10.0.0.0 0.0.0.255 10.1.0.0 0.0.0.255\n")
	posturetest.Quiet(t, h)
	if len(h.Connections) != 1 || len(h.Firewalls) != 1 || len(h.Connections[0].Children[0].LocalTS.V) != 1 {
		t.Errorf("%+v, %+v", h.Connections, h.Firewalls)
	}
}

func TestBlocksOfATemplateAreRead(t *testing.T) {
	h := host("<#if vpn>\n    crypto ikev2 keyring K\n!\n    peer ${peer}\n      address ${peer}\n      pre-shared-key secret-of-it\n!\n  crypto ikev2 profile P\n    match identity remote any\n    authentication remote pre-share\n    authentication local pre-share\n</#if>\nvrf definition V\n")
	if len(h.Connections) != 1 || len(h.Secrets) != 1 || !posture.Is(h.Connections[0].Remote[0].Method, posture.MethodPSK) {
		t.Errorf("%+v, %+v", h.Connections, h.Secrets)
	}
}

func TestALogOfATerminalIsRead(t *testing.T) {
	h := host("r1#show running-config\nBuilding configuration...\n\nversion 15.1\nhostname r1\n --More-- \b\b\b\b\b\b\b\b\b\b          \b\b\b\b\b\b\b\b\b\bcrypto isakmp policy 10\n encr aes 256\n" +
		" --More-- \b\b\b\b\b\b\b\b\b\b          \b\b\b\b\b\b\b\b\b\b hash sha256\n!\nend\n\nr1#\n" +
		"r1(config)#crypto isakmp key k address 192.0.2.1\nr1(config)# exit\n")
	posturetest.Quiet(t, h)
	if h.Name != "r1" || len(h.Secrets) != 1 {
		t.Errorf("%q, %d secrets", h.Name, len(h.Secrets))
	}
}

func TestAnIndentedConfigurationIsOneToo(t *testing.T) {
	if !ios.Claims("x.cfg", func() []byte { return []byte("  aaa new-model\n  crypto ikev2 keyring K\n   peer x\n") }) {
		t.Error("not told")
	}
}

func TestAPasswordForAPeerIsAKeyInAggressiveMode(t *testing.T) {
	h := host("crypto isakmp policy 1\n authentication pre-share\ncrypto isakmp peer address 192.0.2.1\n set aggressive-mode password not-a-good-one\n set aggressive-mode client-endpoint fqdn me\n" +
		"crypto ipsec transform-set T esp-aes 256 esp-sha256-hmac\ncrypto ipsec profile P\n set transform-set T\n" +
		"interface Tunnel0\n tunnel source Gi0\n tunnel destination 192.0.2.1\n tunnel protection ipsec profile P\n")
	posturetest.Quiet(t, h)
	c := h.Connections[0]
	if c.Address.V[0] != "192.0.2.1" || !posture.Is(c.AnyPeer, false) || c.Aggressive.Origin != posture.Explicit || !c.Aggressive.V {
		t.Errorf("%+v", c)
	}
	if len(h.Secrets) != 1 || h.Secrets[0].Kind != posture.PSK || h.Secrets[0].IDs[0] != "192.0.2.1" {
		t.Errorf("%+v", h.Secrets)
	}
}

func TestAClientOfEasyVPNBeginsInAggressiveMode(t *testing.T) {
	h := host("crypto ipsec client ezvpn E\n connect auto\n group G key the-key-of-all\n mode client\n peer 192.0.2.1\n username u password p\n xauth userid mode local\ninterface Gi0\n crypto ipsec client ezvpn E\n")
	posturetest.Quiet(t, h)
	if len(h.Connections) != 1 || len(h.Secrets) != 2 || h.Secrets[0].Kind != posture.GroupKey || h.Secrets[1].Kind != posture.UserPassword {
		t.Fatalf("%+v, %+v", h.Connections, h.Secrets)
	}
	c := h.Connections[0]
	if !posture.Is(c.Role, posture.Initiates) || !posture.Is(c.Aggressive, true) || c.Address.V[0] != "192.0.2.1" || !c.Local[1].XAUTH || len(c.Remote) != 1 {
		t.Errorf("%+v", c)
	}
}

const pushed = "crypto isakmp policy 1\n encr 3des\n authentication pre-share\ncrypto isakmp key k address 192.0.2.1\ncrypto ipsec transform-set T esp-3des esp-md5-hmac\ncrypto ipsec profile P\n set transform-set T\n" +
	"crypto gdoi group G\n identity number 1\n"

func TestGETVPNIsIKEToItsKeyServer(t *testing.T) {
	server := host(pushed + " server local\n  rekey transport unicast\n  sa ipsec 1\n   profile P\n   match address ipv4 A\n  address ipv4 192.0.2.2\n")
	member := host(pushed + " server address ipv4 192.0.2.1\ncrypto map M 10 gdoi\n set group G\ninterface Gi0\n crypto map M\n")
	for what, h := range map[string]*posture.Host{"server": server, "member": member} {
		posturetest.Quiet(t, h)
		if len(h.Connections) != 1 || !posture.Is(h.Connections[0].V1, true) || len(h.Connections[0].IKE.V) != 1 {
			t.Fatalf("%s: %+v", what, h.Connections)
		}
	}
	if cs := server.Connections[0].Children; len(cs) != 1 || cs[0].PFS.Known() || posturetest.Names(cs[0].ESP.V[0].Transforms) != "3des md5" {
		t.Errorf("%+v", cs)
	}
	if len(member.Connections[0].Children) != 0 {
		t.Errorf("%+v", member.Connections[0].Children)
	}
}

func TestCallsThatAreBegunByPPTPAreAService(t *testing.T) {
	h := host("version 15.4\nvpdn enable\nvpdn-group 1\n request-dialin\n  protocol pptp\n  rotary-group 0\n initiate-to ip 192.0.2.1\n")
	posturetest.Quiet(t, h)
	if len(h.Services) != 1 || h.Services[0].Protocol != "pptp" || !posture.Is(h.Services[0].Enabled, true) || h.Services[0].Enabled.At.Line != 5 {
		t.Errorf("%+v", h.Services)
	}
}

func TestAProfileOfSeveralTunnelsIsForAnybodyIfOneIs(t *testing.T) {
	h := host("crypto isakmp policy 1\n authentication pre-share\ncrypto ipsec profile P\n set pfs group20\ninterface Tunnel0\n tunnel mode gre multipoint\n tunnel protection ipsec profile P shared\ninterface Tunnel1\n tunnel destination 192.0.2.1\n tunnel protection ipsec profile P shared\n")
	if c := h.Connections[0]; !posture.Is(c.AnyPeer, true) || c.Address.Known() {
		t.Errorf("%+v", c)
	}
}

func TestAKeyInAProfileIsReadAndNotShown(t *testing.T) {
	h := host("crypto ikev2 profile P\n match identity remote address 192.0.2.1\n authentication remote pre-share key Zq8-first\n authentication local pre-share key 0 Zq8-first\ncrypto ikev2 profile Q\n match identity remote any\n authentication remote pre-share key Zq8-third\n authentication local eap mschapv2 username u password 0 Zq8-second\n")
	posturetest.Quiet(t, h)
	if len(h.Secrets) != 3 || string(h.Secrets[0].Value) != "Zq8-first" || h.Secrets[0].Anybody.V || !h.Secrets[1].Anybody.V || h.Secrets[2].Kind != posture.UserPassword {
		t.Errorf("%+v", h.Secrets)
	}
	if all := fmt.Sprintf("%+v", h); strings.Contains(all, "Zq8") {
		t.Error(all)
	}
}

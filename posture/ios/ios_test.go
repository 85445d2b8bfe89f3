package ios_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/ios"
	"sallyport/posture/posturetest"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

func host(config string) *posture.Host {
	h := &posture.Host{}
	t := source.New("", fstest.MapFS{"gw.cfg": {Data: []byte(config)}}, true)
	ios.Read(source.NewInput(t, h).For(posture.IOS, []string{"gw.cfg"}))
	return h
}

const site = `Building configuration...

Current configuration : 2400 bytes
!
! Last configuration change at 12:00:00 UTC Mon Jan 1 2024 by admin
version 15.7
service timestamps log datetime msec
no service password-encryption
!
hostname edge
!
banner motd ^C
crypto isakmp policy 99
^C
username ann password 7 0822455D0A16
username bob secret 9 $9$abc$def
!
crypto isakmp policy 10
 encr aes 256
 authentication pre-share
 group 14
crypto isakmp policy 20
 authentication pre-share
crypto isakmp key s3cret address 192.0.2.9
crypto isakmp keepalive 20 periodic
!
crypto ipsec transform-set GCM esp-gcm 256
 mode tunnel
crypto ipsec transform-set OLD esp-3des esp-md5-hmac comp-lzs
!
crypto map VPN 10 ipsec-isakmp
 set peer 192.0.2.9
 set transform-set GCM OLD
 set pfs group14
 set security-association lifetime seconds 28800
 set security-association replay window-size 1024
 match address 101
!
interface GigabitEthernet0/0
 ip address 192.0.2.1 255.255.255.0
 ip access-group OUTSIDE in
 crypto map VPN
!
ip access-list extended OUTSIDE
 permit udp host 192.0.2.9 any eq isakmp
 permit udp any any eq non500-isakmp
 deny   ip any any log
access-list 101 permit ip 10.0.0.0 0.0.0.255 10.1.0.0 0.0.0.255
access-list 102 permit ip 10.0.0.0 0.0.0.255 any
ip nat inside source list 102 interface GigabitEthernet0/0 overload
logging host 192.0.2.7 transport tls port 6514
ntp server 192.0.2.8
end
`

func TestACryptoMapEntryIsAConnectionWithEveryPolicy(t *testing.T) {
	h := host(site)
	posturetest.Quiet(t, h)
	if h.Name != "edge" || len(h.Connections) != 1 {
		t.Fatalf("%q, %+v", h.Name, h.Connections)
	}
	c := h.Connections[0]
	if c.Name != "VPN 10" || !c.V1.V || c.V2.V || c.AnyPeer.V || c.Address.V[0] != "192.0.2.9" || c.Remote[0].Method.V != posture.MethodPSK || c.DPD.V != 20*time.Second || !c.NATT.V {
		t.Errorf("%+v", c)
	}
	var all []string
	for _, p := range c.IKE.V {
		all = append(all, posturetest.Names(p.Transforms))
	}
	if !slices.Equal(all, []string{"aes256 sha1 modp2048 prfsha1", "des sha1 modp768 prfsha1"}) {
		t.Errorf("%q", all)
	}
	if want := "crypto isakmp policy 20: encr des (default), hash sha (default), group 1 (default)"; c.IKE.V[1].Text != want {
		t.Errorf("%q", c.IKE.V[1].Text)
	}
	child := c.Children[0]
	if got := posturetest.Names(child.ESP.V[0].Transforms); got != "aes256gcm16 modp2048" || posturetest.Names(child.ESP.V[1].Transforms) != "3des md5 modp2048" {
		t.Errorf("%+v", child.ESP)
	}
	if !child.IPComp.V || child.Transport.V || child.Life.V != 8*time.Hour || child.Replay.V != 1024 || child.PFS.V != posture.Always || child.Bytes.V != 4_608_000<<10 || child.RemoteTS.V[0] != "10.1.0.0/24" {
		t.Errorf("%+v", child)
	}
}

func TestAggressiveModeIsAnsweredUnlessForbidden(t *testing.T) {
	if a := host(site).Connections[0].Aggressive; !a.V || a.Origin != posture.Inferred {
		t.Errorf("%+v", a)
	}
	if a := host(site + "crypto isakmp aggressive-mode disable\n").Connections[0].Aggressive; a.V || a.Origin != posture.Explicit {
		t.Errorf("%+v", a)
	}
}

func TestSwitchesAreTurnedByNo(t *testing.T) {
	h := host(site + "no crypto ipsec nat-transparency udp-encapsulation\ncrypto ipsec security-association replay disable\n")
	if c := h.Connections[0]; c.NATT.V || c.NATT.Origin != posture.Explicit {
		t.Errorf("%+v", c.NATT)
	}
	// The entry's own word goes before that for all.
	if w := h.Connections[0].Children[0].Replay.V; w != 1024 {
		t.Errorf("window %d", w)
	}
	all := host(strings.Replace(site, " set security-association replay window-size 1024\n", "", 1) + "crypto ipsec security-association replay disable\n")
	if w := all.Connections[0].Children[0].Replay; w.V != 0 || !w.Known() {
		t.Errorf("%+v", w)
	}
}

func TestPasswordsOfType7AreDecoded(t *testing.T) {
	h := host(site)
	var got []string
	for _, s := range h.Secrets {
		got = append(got, fmt.Sprintf("%s %s %s %s", s.Kind, s.Name, s.Storage, string(s.Value)))
	}
	want := []string{"psk 192.0.2.9 clear s3cret", "password ann reversible cisco", "password bob hashed "}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestAnAccessListDecidesWhoReachesIKE(t *testing.T) {
	f := host(site).Firewalls[0]
	if f.IKEOpen.V || !f.IKEReachable.V || !f.NATTReachable.V || f.L2TPOpen.V || !f.L2TPNeedsIPsec.V || !f.MasqueradesIn.V {
		t.Errorf("%+v", f)
	}
	f = host(strings.Replace(site, " ip access-group OUTSIDE in\n", "", 1)).Firewalls[0]
	if !f.IKEOpen.V || !f.L2TPOpen.V || f.L2TPNeedsIPsec.V {
		t.Errorf("without a list: %+v", f)
	}
}

func TestRecordsAreSentByTLS(t *testing.T) {
	if l := host(site).Logs[0]; !l.OffHost.V || !l.Protected.V || !l.TimeSync.V {
		t.Errorf("%+v", l)
	}
	if l := host("version 15.2\nhostname x\n").Logs[0]; l.OffHost.V || l.TimeSync.V {
		t.Errorf("%+v", l)
	}
}

const flex = `version 17.6
hostname hub
crypto ikev2 proposal P
 encryption aes-gcm-256 aes-cbc-256
 prf sha384
 integrity sha384
 group 20 19
crypto ikev2 policy POL
 proposal P
crypto ikev2 keyring RING
 peer ANY
  address 0.0.0.0 0.0.0.0
  pre-shared-key local one
  pre-shared-key remote two
 !
!
crypto ikev2 profile PROF
 match identity remote any
 identity local fqdn hub.example
 authentication remote eap query-identity
 authentication local rsa-sig
 keyring local RING
 lifetime 14400
 dpd 10 2 on-demand
 pki trustpoint CA
 aaa authorization group eap list LIST AUTHZ
 virtual-template 1
crypto ikev2 authorization policy AUTHZ
 pool POOL
 dns 10.0.0.1
crypto pki trustpoint CA
 revocation-check crl none
crypto ikev2 cookie-challenge 10
crypto ikev2 fragmentation mtu 1280
crypto ipsec profile IPS
 set ikev2-profile PROF
interface Virtual-Template1 type tunnel
 tunnel protection ipsec profile IPS
crypto pki certificate chain CA
 certificate ca 01
  30820321 30820209
  	quit
`

func TestAnIKEv2ProfileIsAConnection(t *testing.T) {
	h := host(flex)
	posturetest.Quiet(t, h)
	c := h.Connections[0]
	if len(h.Connections) != 1 || c.Name != "PROF" || c.V1.V || !c.V2.V || !c.AnyPeer.V || c.IKELife.V != 4*time.Hour || c.DPD.V != 10*time.Second || !c.Fragments.V {
		t.Fatalf("%+v", h.Connections)
	}
	if posturetest.Names(c.IKE.V[0].Transforms) != "aes256gcm16 prfsha384 ecp384 ecp256" || posturetest.Names(c.IKE.V[1].Transforms) != "aes256 sha384 prfsha384 ecp384 ecp256" {
		t.Errorf("%s; %s", posturetest.Names(c.IKE.V[0].Transforms), posturetest.Names(c.IKE.V[1].Transforms))
	}
	if c.Local[0].Method.V != posture.MethodPubkey || c.Remote[0].Method.V != posture.MethodEAP || c.Local[0].ID.V != "hub.example" || c.Revocation.V != posture.Optional || c.DNS.V[0] != "10.0.0.1" || c.Pool.V[0] != "POOL" {
		t.Errorf("%+v", c)
	}
	child := c.Children[0]
	if posturetest.Names(child.ESP.V[0].Transforms) != "aes128 sha1" || !child.ESPImplicit.V || child.PFS.V != posture.Never || child.Replay.V != 64 || child.Life.V != time.Hour {
		t.Errorf("%+v", child)
	}
	if len(h.Secrets) != 2 || !h.Secrets[0].Anybody.V || string(h.Secrets[1].Value) != "two" {
		t.Errorf("%+v", h.Secrets)
	}
	if d := h.Daemons[0]; !d.Cookies.V || d.FragmentSize.V != 1280 || h.Products[0].Name != "IOS XE" || h.Packages[0].Version != "17.6" {
		t.Errorf("%+v, %+v", d, h.Products)
	}
}

func TestTheBuiltInIKEv2ProposalDependsOnTheVersion(t *testing.T) {
	for version, want := range map[string]string{
		"15.2":  "aes256 aes192 aes128 sha512 sha384 sha256 sha1 md5 modp1536 modp1024",
		"16.12": "aes256 sha512 sha384 ecp256 modp2048 ecp521 modp1536",
		"17.12": "aes256 sha512 sha384 ecp256 modp2048 ecp521",
	} {
		h := host("version " + version + "\nhostname x\ncrypto ikev2 profile P\n match identity remote any\n")
		p := h.Connections[0].IKE
		if got := posturetest.Names(p.V[0].Transforms); !strings.HasPrefix(got, want) || p.Origin != posture.Inferred || !h.Connections[0].IKEImplicit.V {
			t.Errorf("%s: %s, %v", version, got, p.Origin)
		}
	}
}

func TestMLKEMAndSharedKeysGuardAgainstQuantumComputers(t *testing.T) {
	h := host("version 26.1\nhostname x\ncrypto ikev2 proposal P\n encryption aes-gcm-256\n prf sha512\n group 20\n pqc mlkem768 mlkem1024 optional\ncrypto ikev2 policy Q\n proposal P\ncrypto ikev2 keyring R\n peer A\n  address 192.0.2.1\n  ppk manual id i key 6 ABC required\ncrypto ikev2 profile F\n match identity remote any\n keyring ppk R\n")
	c := h.Connections[0]
	if posturetest.Names(c.IKE.V[0].AddKE) != "mlkem768 mlkem1024 modpnone" || c.PPK.V != posture.Always || h.Secrets[0].Kind != posture.PPKSecret {
		t.Errorf("%+v, %+v", c, h.Secrets)
	}
	h = host("version 17.6\nhostname x\ncrypto ikev2 profile F\n match identity remote any\n")
	if c := h.Connections[0]; c.IKE.V[0].AddKE != nil || c.PPK.V != posture.Never || !c.PPK.Known() {
		t.Errorf("%+v", c)
	}
}

const l2tp = `version 15.4
hostname lns
aaa accounting network default start-stop group radius
vpdn enable
vpdn-group 1
 accept-dialin
  protocol l2tp
  virtual-template 1
 no l2tp tunnel authentication
vpdn-group 2
 accept-dialin
  protocol pptp
  virtual-template 2
crypto isakmp policy 10
 encr 3des
 authentication pre-share
 group 2
crypto isakmp key 6 ABCDEF address 0.0.0.0 0.0.0.0
crypto ipsec transform-set L esp-3des esp-sha-hmac
 mode transport
crypto dynamic-map DYN 10
 set transform-set L
crypto map M 10 ipsec-isakmp dynamic DYN
interface Virtual-Template1
 mtu 1400
 ip tcp adjust-mss 1360
 ppp authentication pap ms-chap-v2 VPN
 ppp encrypt mppe 128 required
interface Virtual-Template2
 ip unnumbered Loopback0
interface GigabitEthernet0/0
 crypto map M
radius server R
 address ipv4 192.0.2.5 auth-port 1812 acct-port 1813
 key 7 0822455D0A16
radius-server host 192.0.2.6 auth-port 1812 key plain
`

func TestL2TPIsAGroupAndAVirtualTemplate(t *testing.T) {
	h := host(l2tp)
	l := h.L2TP[0]
	if len(h.L2TP) != 1 || !l.Enabled.V || l.IPsec.V != posture.Never || l.Challenge.V || l.PPP != "Virtual-Template1" {
		t.Errorf("%+v", h.L2TP)
	}
	p := h.PPP[0]
	if !slices.Equal(p.Methods.V, []posture.PPPMethod{posture.PAP, posture.MSCHAPv2}) || !p.AuthNeeded.V || p.MPPE.V != posture.MPPE128 || p.MTU.V != 1400 || !p.MSSClamp.V || !p.Accounting.V || p.IPsecForced.V {
		t.Errorf("%+v", p)
	}
	if p := h.PPP[1]; p.AuthNeeded.V || !p.AuthNeeded.Known() {
		t.Errorf("a template without authentication: %+v", p)
	}
	if s := h.Services[0]; s.Protocol != "pptp" || !s.Enabled.V {
		t.Errorf("%+v", s)
	}
	c := h.Connections[0]
	if !c.AnyPeer.V || c.Role.V != posture.Answers || !c.Children[0].Transport.V {
		t.Errorf("%+v", c)
	}
}

func TestACryptoMapThatHasL2TPDropsItInTheClear(t *testing.T) {
	guarded := strings.Replace(l2tp, " set transform-set L\n", " set transform-set L\n match address 110\n", 1) + "access-list 110 permit udp any eq 1701 any\n"
	h := host(guarded)
	if l := h.L2TP[0]; l.IPsec.V != posture.Always || l.IPsec.Origin != posture.Explicit || !h.Connections[0].Children[0].L2TP || !h.PPP[0].IPsecForced.V {
		t.Errorf("%+v", l)
	}
	if f := h.Firewalls[0]; f.L2TPOpen.V || !f.L2TPNeedsIPsec.V {
		t.Errorf("%+v", f)
	}
}

func TestSecretsSayHowTheyLieAndForWhom(t *testing.T) {
	h := host(l2tp)
	psk := h.Secrets[0]
	if psk.Storage != posture.Encrypted || !psk.Anybody.V || len(psk.Value) != 0 || psk.Backup {
		t.Errorf("%+v", psk)
	}
	if r := h.Secrets[1]; r.Kind != posture.RADIUSSecret || string(r.Value) != "cisco" || r.Name != "R" || !r.Backup {
		t.Errorf("%+v", r)
	}
	if r := h.Secrets[2]; string(r.Value) != "plain" || r.Name != "192.0.2.6" || len(h.RADIUS) != 2 || h.RADIUS[0].Address.V != "192.0.2.5" {
		t.Errorf("%+v, %+v", r, h.RADIUS)
	}
	for _, v := range []string{"plain", "0822455D0A16"} {
		if strings.Contains(fmt.Sprintf("%+v", h), v) {
			t.Errorf("%q is shown somewhere", v)
		}
	}
}

func TestXAUTHGroupsHaveAKeyThatEverybodyKnows(t *testing.T) {
	h := host("version 15.2\nhostname x\ncrypto isakmp client configuration group STAFF\n key shared\n dns 10.0.0.1\n pool P\ncrypto isakmp profile PR\n match identity group STAFF\n client authentication list L\ncrypto dynamic-map D 1\n set isakmp-profile PR\ncrypto map M 1 ipsec-isakmp dynamic D\n")
	posturetest.Quiet(t, h)
	if s := h.Secrets[0]; s.Kind != posture.GroupKey || string(s.Value) != "shared" || s.IDs[0] != "STAFF" {
		t.Errorf("%+v", s)
	}
	c := h.Connections[0]
	if len(c.Remote) != 2 || !c.Remote[1].XAUTH || c.DNS.V[0] != "10.0.0.1" || !c.AnyPeer.V {
		t.Errorf("%+v", c)
	}
}

func TestAMaskIsNoKey(t *testing.T) {
	h := host("hostname a\nusername b password 7 <removed>\nusername c password *****\ncrypto isakmp key <key of the peer> address 192.0.2.1\ncrypto ikev2 keyring K\n peer a\n  pre-shared-key ${PSK}\n")
	if len(h.Secrets) != 4 {
		t.Fatal(len(h.Secrets))
	}
	for _, s := range h.Secrets {
		if s.Storage != posture.Elsewhere || s.Backup || len(s.Value) > 0 {
			t.Errorf("%s: %s", s.Name, s.Storage)
		}
	}
}

func TestAPeerWithTheSameKeyOnBothSidesHasOneKey(t *testing.T) {
	for lines, want := range map[string]int{
		"  pre-shared-key local abc\n  pre-shared-key remote abc\n":              1,
		"  pre-shared-key local 7 0822455D0A16\n  pre-shared-key remote cisco\n": 1,
		"  pre-shared-key local abc\n  pre-shared-key remote def\n":              2,
		"  pre-shared-key local 6 AAA\n  pre-shared-key remote 6 BBB\n":          2,
	} {
		if h := host("crypto ikev2 keyring K\n peer a\n  address 192.0.2.1\n" + lines); len(h.Secrets) != want {
			t.Errorf("%q: %d", lines, len(h.Secrets))
		}
	}
}

func TestAKeyOfAKeyringIsNamedByItsPeer(t *testing.T) {
	h := host("crypto keyring K\n  pre-shared-key address 192.0.2.1 key abc\n  pre-shared-key hostname a.example key def\n")
	if len(h.Secrets) != 2 || h.Secrets[0].Name != "K 192.0.2.1" || h.Secrets[1].Name != "K a.example" {
		t.Errorf("%+v", h.Secrets)
	}
}

func TestAnUnknownLineIsNoted(t *testing.T) {
	h := host("version 15.2\nhostname x\nfrobnicate 3\ncrypto flux 1\ncrypto isakmp policy 1\n flux\ncrypto map M 1 ipsec-isakmp\n set flux 1\n")
	if len(h.Notes) != 4 || h.Notes[0].At.Line != 3 {
		t.Errorf("%+v", h.Notes)
	}
}

func TestConfigurationsAreToldFromOtherFiles(t *testing.T) {
	for text, want := range map[string]bool{
		site: true, flex: true,
		"crypto isakmp policy 10\n":                    true,
		": Saved\nASA Version 9.8(2)\nhostname x\n":    false,
		"!Command: show running-config\nversion 9.3\n": false,
		"version 2\nconn x\n":                          false,
		"version 15.2\nsomething\n":                    false,
	} {
		if got := ios.Claims("x.cfg", func() []byte { return []byte(text) }); got != want {
			t.Errorf("%.40q: %v", text, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{site, flex, l2tp, "crypto isakmp key 0", "no", "banner motd", "crypto ipsec transform-set", "username a password 7 99FF", "access-list 1 permit", "crypto ikev2 keyring R\n peer x\n  pre-shared-key", "radius-server host", "crypto map M 1 ipsec-isakmp\n set pfs\n set peer"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { host(s) })
}

func TestATransformSetOfAHAloneIsAChoiceWithoutEncryption(t *testing.T) {
	child := func(sets string) posture.Child {
		h := host("version 15.7\ncrypto ipsec transform-set A ah-sha256-hmac\ncrypto ipsec transform-set E esp-aes 256 esp-sha256-hmac\ncrypto map M 10 ipsec-isakmp\n set peer 192.0.2.9\n set transform-set " + sets + "\n")
		return h.Connections[0].Children[0]
	}
	if c := child("A"); c.ESP.Known() || !c.AH.V {
		t.Errorf("alone: ESP %v, AH %v", c.ESP.V, c.AH.V)
	}
	if c := child("E A"); len(c.ESP.V) != 2 || !c.AH.V || !slices.Contains(c.ESP.V[1].Of(suite.Encr), null) {
		t.Errorf("beside ESP: %v, AH %v", c.ESP.V, c.AH.V)
	}
}

var null = func() suite.Transform { a, _ := suite.ByKeyword("null"); return a.Transform }()

func TestATrustpointThatNobodyNamesIsStillAsked(t *testing.T) {
	revocation := func(trustpoints string) posture.Value[posture.Demand] {
		h := host("version 15.7\n" + trustpoints + "crypto isakmp policy 10\n encr aes\n group 14\ncrypto ipsec transform-set E esp-aes 256 esp-sha256-hmac\ncrypto map M 10 ipsec-isakmp\n set peer 192.0.2.9\n set transform-set E\n")
		return h.Connections[0].Revocation
	}
	const own = "crypto pki trustpoint TP-self-signed-42\n enrollment selfsigned\n revocation-check none\n"
	const company = "crypto pki trustpoint COMPANY\n enrollment terminal\n revocation-check "
	if v := revocation(own); v.Known() {
		t.Errorf("the router's own: %v", v)
	}
	if v := revocation(own + company + "crl\n"); v.V != posture.Always || v.At.Line != 7 {
		t.Errorf("with a check: %v", v)
	}
	if v := revocation(company + "none\ncrypto pki trustpoint OTHER\n revocation-check crl\n"); v.V != posture.Never || v.At.Line != 4 {
		t.Errorf("one of two without: %v", v)
	}
}

func TestACryptoMapThatNoInterfaceHasIsNotInForce(t *testing.T) {
	const maps = "version 15.7\ncrypto ipsec transform-set E esp-aes 256 esp-sha256-hmac\ncrypto map A 10 ipsec-isakmp\n set peer 192.0.2.9\n set transform-set E\ncrypto map B 10 ipsec-isakmp\n set peer 192.0.2.10\n set transform-set E\n"
	for config, disabled := range map[string][2]bool{
		maps:                                    {false, false}, // a part of a configuration
		maps + "interface Gi0\n crypto map A\n": {false, true},
		maps + "interface Gi0\n crypto map A redundancy HA\ninterface Gi1\n crypto map B\n": {false, false},
	} {
		h := host(config)
		if h.Connections[0].Disabled != disabled[0] || h.Connections[1].Disabled != disabled[1] {
			t.Errorf("%v and %v of\n%s", h.Connections[0].Disabled, h.Connections[1].Disabled, config)
		}
	}
}

func TestLocalTimeIsUTCWhereNoZoneIsSet(t *testing.T) {
	for zone, utc := range map[string]bool{"": true, "clock timezone UTC 0\n": true, "clock timezone GMT 0 0\n": true, "clock timezone CET 1 0\n": false, "clock timezone IST 5 30\n": false} {
		h := host("version 15.7\nservice timestamps log datetime msec localtime show-timezone\n" + zone + "logging host 192.0.2.7\n")
		if g := h.Logs[0].UTC; g.V != utc {
			t.Errorf("%q: %v", zone, g)
		}
	}
}

func TestTypedWordsOfAKeyAndAMapMayBeShort(t *testing.T) {
	h := host("cry isa key one addr 192.0.2.9\ncry isa key 0 two ad 192.0.2.8\ncry isa key three host gw.example.org\ncry isa key four xyz 1\ncry isa key five addr 192.0.2.7 255.255.255.0 no-xauth\ncry isa key\ncry ips tra T esp-des esp-md5-hmac\ncry map M 10 ipsec-i\n set pe 192.0.2.9\n set tr T\n mat add 100\n")
	if len(h.Secrets) != 4 || string(h.Secrets[3].Value) != "five" || string(h.Secrets[0].Value) != "one" || string(h.Secrets[1].Value) != "two" || !slices.Equal(h.Secrets[2].IDs, []string{"gw.example.org"}) {
		t.Errorf("%+v", h.Secrets)
	}
	if c := h.Connections[0].Children[0]; len(c.ESP.V) != 1 || c.ESP.V[0].Text != "T esp-des esp-md5-hmac" {
		t.Errorf("%+v", c.ESP)
	}
}

func TestAFragmentOfASAIsNotClaimed(t *testing.T) {
	const ios = "crypto isakmp policy 10\n encr aes\ncrypto map M 10 ipsec-isakmp\n set peer 192.0.2.9\n"
	for text, want := range map[string]bool{
		ios: true,
		"crypto ikev2 policy 1\n encryption aes-256\ncrypto ikev2 enable outside\n":                                                    false,
		"crypto isakmp policy 1\n hash sha\ncrypto map outside_map 1 set peer 192.0.2.9\ncrypto map outside_map interface outside\n":   false,
		"crypto isakmp policy 1\n hash sha\ntunnel-group 192.0.2.9 type ipsec-l2l\n":                                                   false,
		"R1(config)#crypto isakmp policy 10\nR1(config-isakmp)#group 2\nR1(config-isakmp)#exit\nR1(config)#crypto isakmp key x addr\n": true,
	} {
		if got := Claims(text); got != want {
			t.Errorf("%v of\n%s", got, text)
		}
	}
}

func Claims(text string) bool { return ios.Claims("x.cfg", func() []byte { return []byte(text) }) }

func TestThePeersOfAKeyringMayHaveTheIndentOfTheirLines(t *testing.T) {
	h := host("crypto ikev2 keyring K\n peer A\n address 192.0.2.9\n pre-shared-key one\n peer B\n description x\n address 192.0.2.8\n pre-shared-key two\n")
	if len(h.Secrets) != 2 || h.Secrets[0].Name != "K A" || h.Secrets[1].Name != "K B" || !slices.Equal(h.Secrets[1].IDs, []string{"192.0.2.8"}) {
		t.Errorf("%+v", h.Secrets)
	}
	posturetest.Quiet(t, h)
}

func TestTheIPsecProfileThatIsBuiltInNeedsNoLines(t *testing.T) {
	const tunnel = "interface Tunnel0\n tunnel source Gi1\n tunnel destination 192.0.2.9\n tunnel protection ipsec profile default\n"
	const two = "crypto ikev2 profile default\n match identity remote address 192.0.2.9 255.255.255.255\n authentication remote pre-share\n authentication local pre-share\n"
	h := host("version 17.9\n" + two + tunnel)
	if len(h.Connections) != 1 || len(h.Connections[0].Children) != 1 || h.Connections[0].Children[0].PFS.V != posture.Never {
		t.Errorf("%+v", h.Connections)
	}
	if h := host("version 17.9\n" + two + "crypto ipsec profile default\n set pfs group20\n set ikev2-profile default\n" + tunnel); len(h.Connections[0].Children) != 1 || h.Connections[0].Children[0].PFS.V != posture.Always {
		t.Errorf("%+v", h.Connections)
	}
}

// TestATunnelWithADestinationIsForNobodyElse: a certificate's name matches whoever has
// it, and the interface takes packets of one address.
func TestATunnelWithADestinationIsForNobodyElse(t *testing.T) {
	const profile = "version 17.9\ncrypto ikev2 profile P\n match certificate M\n authentication remote rsa-sig\n authentication local rsa-sig\n pki trustpoint CA\n" +
		"crypto ipsec profile I\n set ikev2-profile P\ninterface Tunnel0\n tunnel source Gi1\n tunnel mode ipsec ipv4\n"
	const protection = " tunnel protection ipsec profile I\n"
	for destination, any := range map[string]bool{" tunnel destination 198.51.100.7\n": false, " tunnel destination dynamic\n": true, "": true} {
		h := host(profile + destination + protection + "end\n")
		if c := h.Connections[0]; !posture.Is(c.AnyPeer, any) {
			t.Errorf("%q: any peer %+v", destination, c.AnyPeer)
		}
		if accounts := h.Daemons[0].Accounting.Known(); accounts != any {
			t.Errorf("%q: sessions of users %v", destination, accounts)
		}
	}
}

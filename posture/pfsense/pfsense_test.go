package pfsense

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

func read(text string) *posture.Host {
	h := &posture.Host{}
	fsys := fstest.MapFS{"config.xml": {Data: []byte(text), Mode: 0o600}}
	in := source.NewInput(source.New("", fsys, false), h)
	Read(in.For("", []string{"config.xml"}))
	return h
}

// site is a pfSense with one phase 1 and one phase 2, which the arguments fill.
func site(phase1, phase2 string) string {
	return `<?xml version="1.0"?>
<pfsense>
 <version>23.3</version>
 <system><hostname>edge</hostname><domain>example.net</domain><timezone>Etc/UTC</timezone><timeservers>ntp.example.net</timeservers></system>
 <ipsec>
  <phase1><ikeid>1</ikeid><iketype>ikev2</iketype><remote-gateway>192.0.2.9</remote-gateway>
   <authentication_method>pre_shared_key</authentication_method><pre-shared-key>hunter2</pre-shared-key><descr>office</descr>
   ` + phase1 + `
  </phase1>
  <phase2><ikeid>1</ikeid><mode>tunnel</mode><protocol>esp</protocol>` + phase2 + `</phase2>
 </ipsec>
</pfsense>`
}

func TestABackupOfIPsecAloneIsRead(t *testing.T) {
	whole := site("<interface>wan</interface>", "<pfsgroup>14</pfsgroup>")
	text := "\n" + whole[strings.Index(whole, "<ipsec>"):strings.Index(whole, "</pfsense>")]
	if !Claims("ipsec-config-edge.example.net-20240101.xml", func() []byte { return []byte(text) }) {
		t.Fatal("not told")
	}
	h := read(text)
	if c := only(t, h); c.Name != "office" || len(c.Children) != 1 || c.Dialect != posture.PfSense || len(h.Secrets) != 1 {
		t.Errorf("%+v", c)
	}
	if len(h.Logs) != 0 || len(h.Firewalls) != 0 || len(h.Notes) != 0 {
		t.Errorf("%+v, %+v, %+v", h.Logs, h.Firewalls, h.Notes)
	}
}

func only(t *testing.T, h *posture.Host) posture.Connection {
	t.Helper()
	if len(h.Connections) != 1 {
		t.Fatalf("%d connections, want one; notes: %v", len(h.Connections), h.Notes)
	}
	return h.Connections[0]
}

func words(ps []posture.Proposal) string {
	var all []string
	for _, p := range ps {
		all = append(all, proposal.StrongSwanWords(p))
	}
	return strings.Join(all, ",")
}

func TestAFileIsClaimedByItsRootElement(t *testing.T) {
	for _, c := range []struct {
		path, head string
		want       bool
	}{
		{"config.xml", "<?xml version='1.0'?>\n<pfsense>", true},
		{"backup/config-edge-2026.xml", "<?xml version='1.0'?>\n<!-- a > b -->\n<opnsense>", true},
		{"config.xml", "<html><pfsense>", false},
		{"config.xml", "<pfsensex>", false},
		{"config.xml", "---- BEGIN config.xml ----\nVersion: OPNsense 24.7\n", true},
		{"notes.txt", "<pfsense>", false},
		{"config.xml", "<!-- never ends", false},
		{"config.xml", "", false},
	} {
		if got := Claims(c.path, func() []byte { return []byte(c.head) }); got != c.want {
			t.Errorf("Claims(%q, %q) = %v", c.path, c.head, got)
		}
	}
}

func TestTheHostHasItsNameAndItsReleaseByTheRevision(t *testing.T) {
	h := read(site("", ""))
	if h.Name != "edge.example.net" {
		t.Errorf("name %q", h.Name)
	}
	v := h.Products[0].Version
	if h.Products[0].Name != "pfSense" || v.V != "2.7.2" || v.Origin != posture.Inferred {
		t.Errorf("product %+v", h.Products[0])
	}
	if len(h.Packages) != 1 || h.Packages[0].Manager != "firmware" || h.Packages[0].Name != "pfSense" {
		t.Errorf("packages %+v", h.Packages)
	}
}

func TestEachItemOfAPhase1IsAProposal(t *testing.T) {
	c := only(t, read(site(`<encryption>
	 <item><encryption-algorithm><name>aes256gcm</name><keylen>128</keylen></encryption-algorithm><hash-algorithm>sha384</hash-algorithm><dhgroup>20</dhgroup></item>
	 <item><encryption-algorithm><name>aes</name><keylen>128</keylen></encryption-algorithm><hash-algorithm>sha1</hash-algorithm><dhgroup>2</dhgroup></item>
	</encryption>`, "")))
	if got := words(c.IKE.V); got != "aes256gcm16-prfsha384-ecp384,aes128-sha1-modp1024" {
		t.Errorf("IKE %s", got)
	}
	if c.IKE.Origin != posture.Explicit || !posture.Is(c.IKEImplicit, false) {
		t.Errorf("origin %v, implicit %v", c.IKE.Origin, c.IKEImplicit)
	}
}

func TestAnOldPhase1HasOneProposalInItself(t *testing.T) {
	c := only(t, read(site(`<encryption-algorithm><name>3des</name></encryption-algorithm><hash-algorithm>md5</hash-algorithm><dhgroup>1</dhgroup>`, "")))
	if got := words(c.IKE.V); got != "3des-md5-modp768" {
		t.Errorf("IKE %s", got)
	}
}

func TestAPhase1WithoutProposalsHasThoseOfStrongSwan(t *testing.T) {
	c := only(t, read(site("", "")))
	if c.IKE.Origin != posture.Inferred || len(c.IKE.V) == 0 || !posture.Is(c.IKEImplicit, true) {
		t.Errorf("IKE %v %v, implicit %+v", c.IKE.Origin, words(c.IKE.V), c.IKEImplicit)
	}
}

func TestVersionsAndAggressiveModeFollowThePhase1(t *testing.T) {
	for _, c := range []struct {
		iketype, mode      string
		v1, v2, aggressive bool
		origin             posture.Origin
	}{
		{"ikev1", "aggressive", true, false, true, posture.Explicit},
		{"ikev2", "aggressive", false, true, false, posture.Explicit},
		{"auto", "main", true, true, false, posture.Explicit},
		{"", "", true, false, false, posture.Default},
	} {
		text := strings.Replace(site("<mode>"+c.mode+"</mode>", ""), "<iketype>ikev2</iketype>", "<iketype>"+c.iketype+"</iketype>", 1)
		got := only(t, read(text))
		if got.V1.V != c.v1 || got.V2.V != c.v2 || got.Aggressive.V != c.aggressive || got.V1.Origin != c.origin {
			t.Errorf("%q %q: v1 %+v, v2 %+v, aggressive %+v", c.iketype, c.mode, got.V1, got.V2, got.Aggressive)
		}
	}
}

func TestChildrenTakeTheirProposalsOfEachCipherWithEachHash(t *testing.T) {
	for _, c := range []struct {
		phase2, want string
		pfs          posture.Demand
	}{
		{`<encryption-algorithm-option><name>aes</name><keylen>256</keylen></encryption-algorithm-option>
		  <hash-algorithm-option>hmac_sha256</hash-algorithm-option><hash-algorithm-option>hmac_sha1</hash-algorithm-option><pfsgroup>14</pfsgroup>`,
			"aes256-sha256-modp2048,aes256-sha1-modp2048", posture.Always},
		{`<encryption-algorithm-option><name>aes128gcm</name><keylen>64</keylen></encryption-algorithm-option>
		  <hash-algorithm-option>hmac_sha256</hash-algorithm-option><pfsgroup>0</pfsgroup>`, "aes128gcm8", posture.Never},
		{`<encryption-algorithm-option><name>aes</name><keylen>auto</keylen></encryption-algorithm-option><hash-algorithm-option>hmac_sha512</hash-algorithm-option>`,
			"aes256-sha512,aes192-sha512,aes128-sha512", posture.Never},
	} {
		ch := only(t, read(site("", c.phase2))).Children[0]
		if got := words(ch.ESP.V); got != c.want || ch.PFS.V != c.pfs || !ch.PFS.Known() {
			t.Errorf("ESP %s, PFS %+v, want %s %v", got, ch.PFS, c.want, c.pfs)
		}
	}
}

func TestAPhase2OfAHHasNoCipher(t *testing.T) {
	text := strings.Replace(site("", "<hash-algorithm-option>hmac_sha256</hash-algorithm-option>"), "<protocol>esp</protocol>", "<protocol>ah</protocol>", 1)
	ch := only(t, read(text)).Children[0]
	if !posture.Is(ch.AH, true) || words(ch.ESP.V) != "sha256" {
		t.Errorf("AH %+v, proposals %s", ch.AH, words(ch.ESP.V))
	}
}

func TestLivesAreInSecondsOrDefaults(t *testing.T) {
	c := only(t, read(site("<lifetime>28800</lifetime>", "<lifetime>3600</lifetime>")))
	if c.IKELife.V != 8*time.Hour || c.Children[0].Life.V != time.Hour || c.Reauth.V != 0 || c.Reauth.Origin != posture.Default {
		t.Errorf("lives %+v, %+v, reauth %+v", c.IKELife, c.Children[0].Life, c.Reauth)
	}
	c = only(t, read(site("", "")))
	if c.IKELife.V != 4*time.Hour || c.IKELife.Origin != posture.Default {
		t.Errorf("life %+v", c.IKELife)
	}
}

func TestDPDNeedsBothOfItsSettings(t *testing.T) {
	if c := only(t, read(site("<dpd_delay>10</dpd_delay><dpd_maxfail>5</dpd_maxfail>", ""))); c.DPD.V != 10*time.Second {
		t.Errorf("dpd %+v", c.DPD)
	}
	if c := only(t, read(site("<dpd_delay>10</dpd_delay>", ""))); c.DPD.V != 0 || !c.DPD.Known() {
		t.Errorf("dpd %+v", c.DPD)
	}
}

func TestADisabledPhase1IsWrittenAndNotLoaded(t *testing.T) {
	h := read(site("<disabled></disabled>", ""))
	if !only(t, h).Disabled {
		t.Error("not disabled")
	}
	if len(h.Daemons) != 0 {
		t.Error("a daemon without a connection")
	}
}

func TestAPreSharedKeyLiesInTheClearInABackup(t *testing.T) {
	h := read(site("", ""))
	if len(h.Secrets) != 1 {
		t.Fatalf("secrets %+v", h.Secrets)
	}
	s := h.Secrets[0]
	if s.Kind != posture.PSK || s.Storage != posture.Clear || !s.Backup || string(s.Value) != "hunter2" || s.Anybody.V {
		t.Errorf("secret %+v", s)
	}
	for _, n := range h.Notes {
		if strings.Contains(n.Text, "hunter2") {
			t.Errorf("the note %q has the secret", n.Text)
		}
	}
}

func TestMobileClientsMayComeFromAnywhere(t *testing.T) {
	h := read(`<pfsense><version>21.7</version><ipsec>
	<client><enable/><pool_address>10.9.0.0</pool_address><pool_netbits>24</pool_netbits><dns_server1>10.0.0.1</dns_server1><pfs_group>14</pfs_group></client>
	<phase1><ikeid>2</ikeid><iketype>ikev1</iketype><mobile/><mode>aggressive</mode><authentication_method>xauth_psk_server</authentication_method>
	 <pre-shared-key>vpn</pre-shared-key><descr>phones</descr></phase1>
	<phase2><ikeid>2</ikeid><mobile/><mode>transport</mode><protocol>esp</protocol>
	 <encryption-algorithm-option><name>aes</name><keylen>256</keylen></encryption-algorithm-option><hash-algorithm-option>hmac_sha1</hash-algorithm-option></phase2>
	<mobilekey><ident>allusers</ident><type>PSK</type><pre-shared-key>shared</pre-shared-key></mobilekey>
	<mobilekey><ident>anna</ident><type>EAP</type><pre-shared-key>pw</pre-shared-key></mobilekey>
	</ipsec></pfsense>`)
	c := only(t, h)
	if !c.AnyPeer.V || c.Role.V != posture.Answers || !c.Aggressive.V || len(c.Remote) != 2 || !c.Remote[1].XAUTH {
		t.Errorf("connection %+v", c)
	}
	if !slices.Equal(c.Pool.V, []string{"10.9.0.0/24"}) || !slices.Equal(c.DNS.V, []string{"10.0.0.1"}) {
		t.Errorf("pool %v, dns %v", c.Pool.V, c.DNS.V)
	}
	if ch := c.Children[0]; !ch.L2TP || !ch.Transport.V || ch.PFS.V != posture.Always {
		t.Errorf("child %+v", ch)
	}
	want := []struct {
		kind    posture.SecretKind
		anybody bool
	}{{posture.GroupKey, true}, {posture.PSK, true}, {posture.UserPassword, false}}
	for i, w := range want {
		if s := h.Secrets[i]; s.Kind != w.kind || s.Anybody.V != w.anybody {
			t.Errorf("secret %d: %+v", i, s)
		}
	}
}

func TestAuthenticationMethodsAreRounds(t *testing.T) {
	for method, want := range map[string]string{
		"pre_shared_key":     "psk | psk",
		"cert":               "pubkey | pubkey",
		"eap-mschapv2":       "pubkey | eap mschapv2",
		"eap-tls":            "pubkey | eap tls",
		"eap-radius":         "pubkey | eap radius",
		"xauth_psk_server":   "psk | psk xauth",
		"hybrid_cert_server": "pubkey | hybrid",
		"rsa_eap-mschapv2":   "pubkey | pubkey eap mschapv2",
	} {
		text := strings.Replace(site("<mobile/>", ""), "pre_shared_key", method, 1)
		c := only(t, read(text))
		if got := rounds(c.Local) + " | " + rounds(c.Remote); got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
}

func rounds(auths []posture.Auth) string {
	var all []string
	for _, a := range auths {
		all = append(all, string(a.Method.V))
		all = append(all, a.EAP.V...)
	}
	return strings.Join(all, " ")
}

func TestValuesHaveThePlaceWhereTheyStand(t *testing.T) {
	c := only(t, read(site("<mobike>on</mobike>", "")))
	if at := c.MOBIKE.At; at.File != "config.xml" || at.Line != 8 || at.Col != 4 {
		t.Errorf("mobike at %+v", at)
	}
}

func TestWordsNobodyKnowsAreNoted(t *testing.T) {
	h := read(site("<quantum>yes</quantum>", ""))
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Unparsed || !strings.Contains(h.Notes[0].Text, "quantum") {
		t.Errorf("notes %v", h.Notes)
	}
}

const opnsense = `<?xml version="1.0"?>
<opnsense>
 <system><hostname>fw</hostname><domain>example.org</domain></system>
 <cert><refid>c1</refid><descr>gateway</descr></cert>
 <OPNsense>
  <Swanctl version="1.0.0">
   <Connections><Connection uuid="u1">
     <enabled>1</enabled><proposals>aes256gcm16-sha512-ecp521,default</proposals><aggressive>0</aggressive><version>2</version><mobike>1</mobike>
     <pools>p1</pools><rekey_time/><dpd_delay>30</dpd_delay><description>road</description></Connection>
    <Connection uuid="u2"><enabled>0</enabled><description>old</description></Connection></Connections>
   <locals><local uuid="l1"><enabled>1</enabled><connection>u1</connection><round>0</round><auth>pubkey</auth><id>fw.example.org</id><certs>c1</certs></local></locals>
   <remotes><remote uuid="r2"><enabled>1</enabled><connection>u1</connection><round>1</round><auth>eap-mschapv2</auth></remote>
    <remote uuid="r1"><enabled>1</enabled><connection>u1</connection><round>0</round><auth>pubkey</auth></remote>
    <remote uuid="r3"><enabled>0</enabled><connection>u1</connection><round>2</round><auth>psk</auth></remote></remotes>
   <children><child uuid="k1"><enabled>1</enabled><connection>u1</connection><esp_proposals>aes256-sha256,aes256gcm16-x25519</esp_proposals>
     <sha256_96>0</sha256_96><mode>tunnel</mode><local_ts>10.0.0.0/8,fd00::/8</local_ts><rekey_time>7200</rekey_time></child></children>
   <Pools><Pool uuid="p1"><enabled>1</enabled><name>pool</name><addrs>10.8.0.0/24</addrs><dns>10.0.0.53</dns></Pool></Pools>
  </Swanctl>
  <IPsec><preSharedKeys>
   <preSharedKey uuid="s1"><ident>fw.example.org</ident><remote_ident/><keyType>PSK</keyType><Key>secret1</Key></preSharedKey>
   <preSharedKey uuid="s2"><ident>anna</ident><keyType>EAP</keyType><Key>secret2</Key></preSharedKey>
  </preSharedKeys></IPsec>
 </OPNsense>
</opnsense>`

func TestOPNsenseHasItsOwnModelOfSwanctl(t *testing.T) {
	h := read(opnsense)
	if h.Name != "fw.example.org" || h.Files[0].Dialect != posture.OPNsense || len(h.Connections) != 2 || !h.Connections[1].Disabled {
		t.Fatalf("host %+v", h)
	}
	c := h.Connections[0]
	if c.V1.V || !c.V2.V || !c.AnyPeer.V || c.AnyPeer.Origin != posture.Inferred || c.DPD.V != 30*time.Second || c.IKELife.V != 4*time.Hour {
		t.Errorf("connection %+v", c)
	}
	if got := proposal.StrongSwanWords(c.IKE.V[0]); got != "aes256gcm16-prfsha512-ecp521" || !c.IKEImplicit.V || len(c.IKE.V) < 2 {
		t.Errorf("IKE %s, implicit %+v", got, c.IKEImplicit)
	}
	if got := rounds(c.Local) + " | " + rounds(c.Remote); got != "pubkey | pubkey eap mschapv2" {
		t.Errorf("rounds %s", got)
	}
	if c.Local[0].CertFile != "gateway" || c.Pool.V[0] != "10.8.0.0/24" || c.DNS.V[0] != "10.0.0.53" {
		t.Errorf("local %+v, pool %v, dns %v", c.Local[0], c.Pool.V, c.DNS.V)
	}
	ch := c.Children[0]
	if ch.PFS.V != posture.Optional || ch.Life.V != 2*time.Hour || len(ch.LocalTS.V) != 2 {
		t.Errorf("child %+v", ch)
	}
	if s := h.Secrets; len(s) != 2 || !s[0].Anybody.V || s[1].Kind != posture.UserPassword || s[1].Anybody.V {
		t.Errorf("secrets %+v", s)
	}
	if len(h.Notes) != 0 {
		t.Errorf("notes %v", h.Notes)
	}
}

func TestASwanctlConnectionWithoutSettingsTakesBothVersions(t *testing.T) {
	c := only(t, read(`<opnsense><OPNsense><Swanctl><Connections><Connection uuid="u"><description>x</description></Connection></Connections></Swanctl></OPNsense></opnsense>`))
	if !c.V1.V || !c.V2.V || c.V1.Origin != posture.Inferred || !c.IKEImplicit.V {
		t.Errorf("connection %+v", c)
	}
}

func TestTheL2TPServerAsksForOneMethodAndNoIPsec(t *testing.T) {
	h := read(`<pfsense><version>23.3</version><l2tp><mode>server</mode><interface>wan</interface><paporchap>chap-msv2</paporchap><secret>tun</secret>
	<user><name>anna</name><password>pw</password><ip>10.1.1.2</ip></user>
	<radius><enable/><server>10.0.0.5</server><secret>testing123</secret></radius><dns1>10.0.0.1</dns1></l2tp>
	<filter><rule><type>pass</type><interface>wan</interface><protocol>udp</protocol><source><any/></source><destination><any/><port>1701</port></destination></rule></filter></pfsense>`)
	l, p := h.L2TP[0], h.PPP[0]
	if !l.Enabled.V || !l.Challenge.V || l.IPsec.V != posture.Never || l.PPP != p.Name {
		t.Errorf("l2tp %+v", l)
	}
	if !slices.Equal(p.Methods.V, []posture.PPPMethod{posture.MSCHAPv2}) || !slices.Equal(p.DNS.V, []string{"10.0.0.1"}) || !posture.Is(p.IPsecForced, false) {
		t.Errorf("ppp %+v", p)
	}
	var kinds []posture.SecretKind
	for _, s := range h.Secrets {
		kinds = append(kinds, s.Kind)
	}
	if !slices.Equal(kinds, []posture.SecretKind{posture.UserPassword, posture.TunnelSecret, posture.RADIUSSecret}) {
		t.Errorf("secrets %v", kinds)
	}
	if h.RADIUS[0].Name != h.Secrets[2].Name {
		t.Errorf("radius %q has no secret of its name", h.RADIUS[0].Name)
	}
	if f := h.Firewalls[0]; !f.L2TPOpen.V || f.L2TPNeedsIPsec.V {
		t.Errorf("firewall %+v", f)
	}
}

func TestAClosedFirewallForcesIPsecOnL2TP(t *testing.T) {
	for rules, want := range map[string]string{
		`<rule><type>pass</type><interface>lan</interface><source><any/></source><destination><any/></destination></rule>`:                                                                "closed",
		`<rule><type>pass</type><interface>wan</interface><source><any/></source><destination><any/></destination></rule>`:                                                                "open",
		`<rule><disabled/><type>pass</type><interface>wan</interface><source><any/></source><destination><any/></destination></rule>`:                                                     "closed",
		`<rule><type>block</type><interface>wan</interface><source><any/></source><destination><any/></destination></rule>`:                                                               "closed",
		`<rule><type>pass</type><interface>wan</interface><protocol>udp</protocol><source><any/></source><destination><any/><port>vpnports</port></destination></rule>`:                   "open",
		`<rule><type>pass</type><interface>wan</interface><protocol>udp</protocol><source><any/></source><destination><any/><port>nowhere</port></destination></rule>`:                    "unknown",
		`<rule><type>pass</type><interface>wan</interface><protocol>tcp</protocol><source><any/></source><destination><any/></destination></rule>`:                                        "closed",
		`<rule><type>pass</type><interface>wan</interface><protocol>udp</protocol><source><address>192.0.2.1</address></source><destination><any/><port>1701</port></destination></rule>`: "closed",
		`<rule><type>pass</type><interface>opt1</interface><protocol>udp</protocol><source><any/></source><destination><any/><port>1700:1702</port></destination></rule>`:                 "open",
	} {
		h := read(`<pfsense><l2tp><mode>server</mode></l2tp><interfaces><opt1><ipaddr>dhcp</ipaddr></opt1></interfaces><aliases><alias><name>vpnports</name><address>500 1701</address></alias></aliases><filter>` + rules + `</filter></pfsense>`)
		got := "closed"
		switch v := h.Firewalls[0].L2TPOpen; {
		case !v.Known():
			got = "unknown"
		case v.V:
			got = "open"
		}
		if got != want {
			t.Errorf("%s is %s, want %s", rules, got, want)
		}
	}
}

func TestRecordsThatLeaveTheHostAreSeen(t *testing.T) {
	h := read(`<pfsense><system><timezone>Europe/Berlin</timezone></system><syslog><enable/><remoteserver>10.0.0.9</remoteserver></syslog></pfsense>`)
	if l := h.Logs[0]; !l.OffHost.V || l.Protected.V || l.TimeSync.V || l.UTC.V {
		t.Errorf("logs %+v", l)
	}
	h = read(`<opnsense><OPNsense><Syslog><destinations><destination><enabled>1</enabled><transport>tls4</transport><hostname>log</hostname></destination></destinations></Syslog></OPNsense></opnsense>`)
	if l := h.Logs[0]; !l.OffHost.V || !l.Protected.V {
		t.Errorf("logs %+v", l)
	}
}

func TestKeysInABackupArePrivateOnes(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b64 := func(typ string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
	}
	h := read(`<pfsense><ca><refid>a</refid><descr>our ca</descr><crt>` + b64("CERTIFICATE", der) + `</crt><prv>` + b64("PRIVATE KEY", keyDER) + `</prv></ca><cert><crt>???</crt></cert></pfsense>`)
	if len(h.Keys) != 1 {
		t.Fatalf("keys %+v", h.Keys)
	}
	k := h.Keys[0]
	if !k.CA || !k.Private || k.Encrypted || k.Public == nil || !bytes.Equal(k.Certificate, der) || k.Name != "our ca" {
		t.Errorf("key %+v", k)
	}
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Malformed {
		t.Errorf("notes %v", h.Notes)
	}
	crt := `<crt>` + b64("CERTIFICATE", der) + `</crt>`
	h = read(`<pfsense><ca><refid>a</refid><descr>our ca</descr>` + crt + `<prv>` + b64("PRIVATE KEY", keyDER) + `</prv></ca>
	<ca><refid>b</refid><descr>theirs</descr>` + crt + `</ca><ca><refid>c</refid><descr>of the web</descr>` + crt + `</ca>
	<cert><refid>d</refid><descr>vpn</descr><caref>a</caref>` + crt + `</cert><cert><refid>e</refid><descr>web page</descr><caref>c</caref>` + crt + `</cert>
	<ipsec><phase1><ikeid>1</ikeid><descr>hq</descr><authentication_method>cert</authentication_method><certref>d</certref><caref>b</caref></phase1></ipsec></pfsense>`)
	for _, k := range h.Keys {
		judged := map[string]bool{"our ca": true, "theirs": true, "vpn": true}[k.Name]
		if (k.Dialect == posture.X509) != judged || (len(k.Used) > 0) != judged {
			t.Errorf("%s: %s, used %q", k.Name, k.Dialect, k.Used)
		}
	}
	if len(h.Keys) != 5 || h.Keys[2].PrivateAt.Line != 1 {
		t.Errorf("keys %+v", h.Keys)
	}
}

func TestABackupUnderAPasswordIsOpaque(t *testing.T) {
	h := read("---- BEGIN config.xml ----\nVersion: OPNsense 24.7\nCipher: AES-256-CBC\n\nAAAA\n---- END config.xml ----\n")
	if h.Products[0].Name != "OPNsense" || h.Products[0].Version.V != "24.7" || h.Notes[0].Kind != posture.Opaque {
		t.Errorf("host %+v", h)
	}
}

func TestOtherServicesAreListed(t *testing.T) {
	h := read(`<pfsense><pptpd><mode>server</mode><user><name>u</name><password>p</password></user></pptpd>
	<openvpn><openvpn-server><vpnid>1</vpnid><disable/></openvpn-server></openvpn>
	<installedpackages><wireguard><tunnels><item><name>tun_wg0</name><enabled>yes</enabled><privatekey>k</privatekey></item></tunnels>
	<peers><item><tun>tun_wg0</tun><publickey>pub</publickey><allowedips><row><address>10.0.0.2</address><mask>32</mask></row></allowedips></item></peers></wireguard></installedpackages></pfsense>`)
	if len(h.Services) != 2 || h.Services[0].Protocol != "pptp" || !h.Services[0].Enabled.V || h.Services[1].Enabled.V {
		t.Errorf("services %+v", h.Services)
	}
	if len(h.Tunnels) != 1 || !h.Tunnels[0].PrivateKeyInFile.V || len(h.Tunnels[0].Peers) != 1 || h.Tunnels[0].Peers[0].PSK.V {
		t.Errorf("tunnels %+v", h.Tunnels)
	}
}

func TestDepthAndBrokenXMLAreBounded(t *testing.T) {
	h := read("<pfsense>" + strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200) + "<system><hostname>still</hostname></system></pfsense>")
	if h.Name != "still" || !slices.ContainsFunc(h.Notes, func(n posture.Note) bool { return n.Kind == posture.Limit }) {
		t.Errorf("name %q, notes %v", h.Name, h.Notes)
	}
	h = read("<pfsense><system><hostname>half</hostname></system><ipsec \x00")
	if h.Name != "" || h.Notes[0].Kind != posture.Unreadable {
		t.Errorf("name %q, notes %v", h.Name, h.Notes)
	}
	h = read("<pfsense><system><hostname>half</hostname></system><ipsec <<")
	if h.Name != "half" || h.Notes[0].Kind != posture.Malformed {
		t.Errorf("name %q, notes %v", h.Name, h.Notes)
	}
}

func TestEntitiesDoNotGrow(t *testing.T) {
	h := read(`<?xml version="1.0"?><!DOCTYPE pfsense [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><pfsense><system><hostname>x&b;</hostname></system></pfsense>`)
	if len(h.Name) > 10 {
		t.Errorf("name %q", h.Name)
	}
}

func TestGroupsByNumberHaveTheirKeywords(t *testing.T) {
	for _, n := range []string{"1", "2", "5", "14", "19", "24", "31", "32"} {
		if a, ok := suite.ByKeyword(groupWord(n)); !ok || a.Type != suite.KE {
			t.Errorf("group %s is %q", n, groupWord(n))
		}
	}
	for _, n := range []string{"999", "70000", "x", ""} {
		if _, ok := suite.ByKeyword(groupWord(n)); ok {
			t.Errorf("group %q is known", n)
		}
	}
}

func TestWhatIsOffIsNotInForce(t *testing.T) {
	c := only(t, read(strings.Replace(site("", ""), "<phase2>", "<phase2><disabled></disabled>", 1)))
	if len(c.Children) != 0 {
		t.Errorf("%+v", c.Children)
	}
	h := read(site("<disabled></disabled>", ""))
	if s := h.Secrets[0]; !s.Unused || !s.Backup {
		t.Errorf("%+v", s)
	}
}

func TestRecordsForAServerBehindATunnelAreProtected(t *testing.T) {
	for server, want := range map[string]bool{"10.2.0.40:514": true, "10.2.0.40": true, "192.0.2.1:514": false} {
		text := `<pfsense><version>23.3</version><ipsec><phase1><ikeid>1</ikeid><iketype>ikev2</iketype><remote-gateway>198.51.100.7</remote-gateway></phase1>
		<phase2><ikeid>1</ikeid><mode>tunnel</mode><remoteid><type>network</type><address>10.2.0.0</address><netbits>16</netbits></remoteid></phase2></ipsec>
		<syslog><enable/><remoteserver>` + server + `</remoteserver></syslog></pfsense>`
		if l := read(text).Logs[0]; !l.OffHost.V || l.Protected.V != want {
			t.Errorf("%s: %+v", server, l)
		}
	}
}

func TestABackupUnderAPasswordHoldsItsSecretsEncrypted(t *testing.T) {
	h := read("---- BEGIN config.xml ----\nU2FsdGVkX18=\n---- END config.xml ----\n")
	if len(h.Secrets) != 1 || h.Secrets[0].Kind != posture.Sealed || h.Secrets[0].Storage != posture.Encrypted || len(h.Secrets[0].Value) != 0 {
		t.Errorf("%+v", h.Secrets)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(site("<mobile/><encryption><item><encryption-algorithm><name>aes</name><keylen>auto</keylen></encryption-algorithm><dhgroup>2</dhgroup></item></encryption>", "<pfsgroup>2</pfsgroup>"))
	f.Add(opnsense)
	f.Add("---- BEGIN config.xml ----\nVersion: OPNsense 24.7\n")
	f.Add(`<pfsense><l2tp><mode>server</mode></l2tp><filter><rule/></filter><cert><crt>AAAA</crt><prv>LS0t</prv></cert></pfsense>`)
	f.Fuzz(func(t *testing.T, text string) { read(text) })
}

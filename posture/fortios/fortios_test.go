package fortios_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/fortios"
	"sallyport/posture/posturetest"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

func host(config string) *posture.Host {
	h := &posture.Host{}
	t := source.New("", fstest.MapFS{"fg.conf": {Data: []byte(config)}}, true)
	fortios.Read(source.NewInput(t, h).For(posture.FortiOS, []string{"fg.conf"}))
	return h
}

func notes(h *posture.Host) (all []string) {
	for _, n := range h.Notes {
		all = append(all, fmt.Sprintf("%s:%d %s", n.Kind, n.At.Line, n.Text))
	}
	return all
}

const dialup = `#config-version=FGT60F-7.2.8-FW-build1639-240313:opmode=0:vdom=0:user=admin
#conf_file_ver=123
config system global
    set hostname "hq"
    set timezone 26
end
config system interface
    edit "wan1"
        set allowaccess ping https
        config ipv6
            set ip6-address 2001:db8::1/64
        end
    next
end
config vpn certificate local
    edit "Fortinet"
        set private-key "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIIE config edit \"x\" end
-----END ENCRYPTED PRIVATE KEY-----"
    next
end
config vpn ipsec phase1-interface
    edit "clients"
        set type dynamic
        set interface "wan1"
        set mode aggressive
        set peertype any
        set mode-cfg enable
        set proposal aes128-sha256 3des-sha1
        set dhgrp 5 2
        set xauthtype auto
        set authusrgrp "staff"
        set ipv4-start-ip 10.9.0.2
        set ipv4-end-ip 10.9.0.99
        set ipv4-dns-server1 8.8.8.8
        set psksecret ENC AbCd==
        set nattraversal disable
    next
    edit "branch"
        set ike-version 2
        set proposal aes256gcm-prfsha384
        set dhgrp 20
        set remote-gw 192.0.2.9
        set psksecret "two words"
        set dpd disable
    next
end
config vpn ipsec phase2-interface
    edit "clients"
        set phase1name "clients"
        set proposal aes128-sha1 null-md5
        set pfs disable
        set replay disable
    next
    edit "b1"
        set phase1name "branch"
        set proposal aes256gcm
        set dhgrp 20 21
        set keylifeseconds 3600
        set src-subnet 10.0.0.0 255.255.255.0
    next
end
`

func TestAPhase1IsAConnectionWithItsPhases2(t *testing.T) {
	h := host(dialup)
	if h.Name != "hq" || len(h.Connections) != 2 || !slices.Equal(notes(h), []string{"opaque:36 psksecret is encrypted with a key that is not in the file"}) {
		t.Fatalf("%q, %d connections, %q", h.Name, len(h.Connections), notes(h))
	}
	c := h.Connections[0]
	if c.Name != "clients" || !c.V1.V || !c.Aggressive.V || !c.AnyPeer.V || c.NATT.V || c.IKELife.V != 24*time.Hour || c.DPD.V != 20*time.Second || !c.Fragments.V {
		t.Errorf("%+v", c)
	}
	if len(c.IKE.V) != 2 || posturetest.Names(c.IKE.V[0].Transforms) != "aes128 sha256 modp1536 modp1024 prfsha256" || posturetest.Names(c.IKE.V[1].Transforms) != "3des sha1 modp1536 modp1024 prfsha1" {
		t.Errorf("%+v", c.IKE)
	}
	if len(c.Remote) != 2 || !c.Remote[1].XAUTH || c.DNS.V[0] != "8.8.8.8" || c.Pool.V[0] != "10.9.0.2-10.9.0.99" {
		t.Errorf("%+v", c)
	}
	child := c.Children[0]
	if len(c.Children) != 1 || child.PFS.V != posture.Never || child.PFS.Origin != posture.Explicit || child.Replay.V != 0 || !child.Replay.Known() || child.Life.V != 12*time.Hour || posturetest.Names(child.ESP.V[1].Transforms) != "null md5" {
		t.Errorf("%+v", child)
	}
}

func TestAnIKEv2PhaseHasNoMode(t *testing.T) {
	c := host(dialup).Connections[1]
	if c.V1.V || !c.V2.V || c.Aggressive.Known() || c.AnyPeer.V || c.Address.V[0] != "192.0.2.9" || c.DPD.V != 0 || !c.DPD.Known() || posturetest.Names(c.IKE.V[0].Transforms) != "aes256gcm16 prfsha384 ecp384" {
		t.Errorf("%+v", c)
	}
	child := c.Children[0]
	if posturetest.Names(child.ESP.V[0].Transforms) != "aes256gcm16 ecp384 ecp521" || child.PFS.V != posture.Always || child.PFS.Origin != posture.Inferred || child.Life.V != time.Hour || child.LocalTS.V[0] != "10.0.0.0/24" || child.RemoteTS.V[0] != "0.0.0.0/0" {
		t.Errorf("%+v", child)
	}
}

func TestXAUTHIsOfIKEv1AndEAPOfIKEv2(t *testing.T) {
	const both = "config vpn ipsec phase1-interface\nedit a\nset type dynamic\nset authmethod signature\nset ike-version %s\nset xauthtype auto\nset eap enable\nset keylife 7200\nnext\nend\n"
	old, now := host(fmt.Sprintf(both, "1")).Connections[0], host(fmt.Sprintf(both, "2")).Connections[0]
	if len(old.Remote) != 2 || !old.Remote[1].XAUTH || len(now.Remote) != 1 || now.Remote[0].Method.V != posture.MethodEAP {
		t.Errorf("%+v, %+v", old.Remote, now.Remote)
	}
	if !posture.Is(old.Reauth, 2*time.Hour) || !posture.Is(now.Reauth, 0) {
		t.Errorf("%v, %v", old.Reauth, now.Reauth)
	}
}

func TestALogOfATerminalIsRead(t *testing.T) {
	const log = "FG-1 # config vpn ipsec phase1-interface\nFG-1 (phase1-interface) # edit a\nFG-1 (a) # set ike-version 2\n--More-- \r         \rset dhgrp 20\nFG-1 (a) # next\nFG-1 (phase1-interface) # end\nFG-1 # \n" +
		"config system global\nset hostname fg\nend # of it\nconfig router static\nend # "
	if !fortios.Claims("log.txt", func() []byte { return []byte(log) }) {
		t.Fatal("not told")
	}
	h := host(log)
	if len(h.Notes) != 0 || len(h.Connections) != 1 || h.Connections[0].IKE.V[0].Groups.Text != "dhgrp 20" {
		t.Errorf("%v, %+v", notes(h), h.Connections)
	}
}

func TestSpokesAreNoClients(t *testing.T) {
	for more, want := range map[string]int{"": 1, "set auto-discovery-sender enable": 0, "set network-overlay enable\nset network-id 1": 0} {
		c := host("config vpn ipsec phase1-interface\nedit a\nset type dynamic\nset mode-cfg enable\nset ipv4-start-ip 10.9.0.2\nset ipv4-end-ip 10.9.0.9\n" + more + "\nnext\nend\n").Connections[0]
		if len(c.Pool.V) != want || c.DNS.Known() != (want == 1) {
			t.Errorf("%q: %v, %v", more, c.Pool, c.DNS)
		}
	}
}

func TestSecretsAreEncryptedOrClear(t *testing.T) {
	h := host(dialup)
	if s := h.Secrets[0]; s.Storage != posture.Encrypted || s.Kind != posture.GroupKey || !s.Anybody.V || len(s.Value) != 0 {
		t.Errorf("%+v", s)
	}
	if s := h.Secrets[1]; s.Storage != posture.Clear || string(s.Value) != "two words" || s.IDs[0] != "192.0.2.9" || !s.Backup || s.At.Line != 44 {
		t.Errorf("%+v", s)
	}
	if strings.Contains(fmt.Sprintf("%+v", h), "two words") {
		t.Error("a secret is shown")
	}
}

func TestTheHeaderNamesTheVersion(t *testing.T) {
	for header, want := range map[string]string{
		"#config-version=FGT60F-7.2.8-FW-build1639-240313:opmode=0": "7.2.8",
		"#config-version=FGT60D-5.06-FW-build1630-180802:opmode=0":  "5.6",
	} {
		h := host(header + "\n")
		if p := h.Products[0]; p.Version.V != want || h.Packages[0].Version != want || h.Packages[0].Manager != "firmware" {
			t.Errorf("%+v, %+v", p, h.Packages)
		}
	}
}

func TestGroupsThatAreNotWrittenAreInferred(t *testing.T) {
	c := host("config vpn ipsec phase1-interface\nedit x\nset proposal aes256-sha256\nnext\nend\n").Connections[0]
	if posturetest.Names(c.IKE.V[0].Of(suite.KE)) != "modp2048 modp1536" || c.IKE.Origin != posture.Explicit || !strings.Contains(c.IKE.Text, "(default)") || !c.V1.V || c.V1.Origin != posture.Inferred {
		t.Errorf("%+v", c)
	}
}

func TestVirtualDomainsAreKeptApart(t *testing.T) {
	h := host(`#config-version=FG100E-6.4.5-FW-build1:opmode=0
config vdom
edit root
config vpn ipsec phase1-interface
    edit "a"
        set proposal aes256-sha256
    next
end
config vpn ipsec phase2-interface
    edit "p"
        set phase1name "a"
    next
end
end
config vdom
edit two
config vpn ipsec phase1-interface
    edit "a"
        set proposal aes256-sha256
    next
end
end
config global
config system global
    set hostname "fw"
end
end
`)
	if len(h.Connections) != 2 || h.Connections[0].Name != "a" || len(h.Connections[0].Children) != 1 || h.Connections[1].Name != "two/a" || len(h.Connections[1].Children) != 0 || h.Name != "fw" {
		t.Errorf("%q: %+v", h.Name, h.Connections)
	}
}

const services = `#config-version=FG100E-7.4.5-FW-build1:opmode=0
config vpn l2tp
    set status enable
    set sip 10.8.0.2
    set eip 10.8.0.9
    set usrgrp "staff"
    set enforce-ipsec enable
end
config vpn pptp
    set status enable
end
config user local
    edit "ann"
        set type password
        set passwd ENC abc
    next
    edit "bob"
        set type radius
    next
end
config user radius
    edit "r"
        set server "192.0.2.5"
        set secret clear
        config accounting-server
            edit 1
                set status enable
            next
        end
    next
end
config log syslogd setting
    set status enable
    set server "192.0.2.7"
    set mode reliable
    set enc-algorithm high
end
config system ntp
    set ntpsync disable
end
config firewall policy
    edit 1
        set action accept
        set tcp-mss-sender 1350
    next
end
`

func TestServicesUsersAndRecordsAreRead(t *testing.T) {
	h := host(services)
	if l := h.L2TP[0]; !l.Enabled.V || l.IPsec.V != posture.Always || h.PPP[0].Name != l.PPP || !h.PPP[0].AuthNeeded.V || !h.PPP[0].IPsecForced.V {
		t.Errorf("%+v, %+v", h.L2TP, h.PPP)
	}
	if s := h.Services[0]; s.Protocol != "pptp" || !s.Enabled.V {
		t.Errorf("%+v", s)
	}
	if len(h.Secrets) != 2 || h.Secrets[0].IDs[0] != "ann" || string(h.Secrets[1].Value) != "clear" {
		t.Errorf("%+v", h.Secrets)
	}
	if r := h.RADIUS[0]; r.Name != "r" || r.MessageAuth.V != posture.Always || !r.Accounting.V || r.TLS.V {
		t.Errorf("%+v", r)
	}
	if l := h.Logs[0]; !l.OffHost.V || !l.Protected.V || l.TimeSync.V {
		t.Errorf("%+v", l)
	}
	if f := h.Firewalls[0]; !f.MSSClamp.V {
		t.Errorf("%+v", f)
	}
}

func TestMLKEMIsAnAdditionalKeyExchange(t *testing.T) {
	h := host("#config-version=FGT60F-7.6.3-FW-build1:opmode=0\nconfig vpn ipsec phase1-interface\nedit x\nset ike-version 2\nset proposal aes256gcm-prfsha384\nset dhgrp 20\nset addke1 0 36\nnext\nend\n")
	if p := h.Connections[0].IKE.V[0]; posturetest.Names(p.AddKE) != "mlkem768" {
		t.Errorf("%+v", p)
	}
}

func TestAnUnknownWordIsNotedAndTheRestIsRead(t *testing.T) {
	h := host("config vpn ipsec phase1-interface\nedit x\nset flux 1\nset proposal aes256-sha256\nset keylife soon\nnext\nend\nfoo\n")
	if len(h.Connections) != 1 || len(h.Notes) != 3 {
		t.Errorf("%q", notes(h))
	}
}

func TestAQuoteThatDoesNotEndIsNoted(t *testing.T) {
	h := host("config system global\nset hostname \"x\nend\n")
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Malformed || h.Notes[0].At.Line != 2 {
		t.Errorf("%q", notes(h))
	}
}

func TestConfigurationsAreToldFromOtherFiles(t *testing.T) {
	for text, want := range map[string]bool{
		dialup: true,
		"config vpn ipsec phase1-interface\n    edit \"x\"\n        set type dynamic\n": true,
		"config setup\n\tuniqueids=no\n":                                                false,
		"#config-version=S108-1\n":                                                      false,
		"set vpn ipsec ike-group x\nconfig trees\n":                                     false,
	} {
		if got := fortios.Claims("x.conf", func() []byte { return []byte(text) }); got != want {
			t.Errorf("%.40q: %v", text, got)
		}
	}
}

func TestSignaturesRevocationAndSequenceNumbersAreRead(t *testing.T) {
	phase := func(lines string) posture.Connection {
		return host("config vpn ipsec phase1-interface\nedit x\nset ike-version 2\nset authmethod signature\nset proposal aes256gcm-prfsha384\n" + lines +
			"next\nend\nconfig vpn ipsec phase2-interface\nedit y\nset phase1name x\nset proposal aes256gcm\nset src-addr-type subnet6\nnext\nend\n").Connections[0]
	}
	c := phase("")
	if !c.SHA1Sig.V || c.SHA1Sig.Origin != posture.Inferred || !posture.Is(c.Revocation, posture.Never) || c.Children[0].ESN.V || c.Children[0].LocalTS.V[0] != "::/0" {
		t.Errorf("%+v", c)
	}
	c = phase("set digital-signature-auth enable\nset signature-hash-alg sha2-384\nset esn allow\n")
	if !posture.Is(c.SHA1Sig, false) || !c.Children[0].ESN.V {
		t.Errorf("%+v", c)
	}
	for lines, want := range map[string]posture.Demand{
		"set ocsp-status enable\n":                               posture.Optional,
		"set ocsp-status mandatory\n":                            posture.Always,
		"set ocsp-status enable\nset strict-ocsp-check enable\n": posture.Always,
		"set strict-crl-check enable\n":                          posture.Always,
		"set check-ca-cert enable\n":                             posture.Never,
	} {
		c := host("config vpn certificate setting\n" + lines + "end\nconfig vpn ipsec phase1-interface\nedit x\nset authmethod signature\nset proposal aes256-sha256\nnext\nend\n").Connections[0]
		if !posture.Is(c.Revocation, want) {
			t.Errorf("%q: %+v", lines, c.Revocation)
		}
	}
}

func TestWhatTheDeviceTakesByItselfIsOpen(t *testing.T) {
	phase := "config vpn ipsec phase1-interface\nedit x\nset proposal aes256-sha256\nnext\nend\n"
	policy := func(action string) string {
		return "config firewall local-in-policy\nedit 1\nset service IKE\n" + action + "next\nend\n"
	}
	for _, c := range []struct {
		config string
		known  bool
	}{{phase, true}, {phase + policy("set action accept\n"), true}, {phase + policy(""), false}} {
		if f := host(c.config).Firewalls[0]; f.NATTReachable.Known() != c.known || f.L2TPOpen.V {
			t.Errorf("%q: %+v", c.config, f)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{dialup, services, "end\nend\nnext", "config", "edit", "set", "config vdom\nedit x\nconfig vpn ipsec phase1\nedit \"", "config vpn ipsec phase1\nedit a\nset\nset proposal\nset psksecret\nappend dhgrp 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { host(s) })
}

func TestTablesAndSettingsMayBeCutShort(t *testing.T) {
	h := host("config sys glob\n set hostname short\nend\nconfig vpn ips phase1-int\n edit a\n  set ike 2\n  set prop aes256-sha256\n  set dhg 20\n  set psk example-1\n  unset dhg\n next\nend\n")
	if h.Name != "short" || len(h.Connections) != 1 || len(h.Secrets) != 1 || string(h.Secrets[0].Value) != "example-1" {
		t.Fatalf("%q, %v, %v", h.Name, h.Connections, h.Secrets)
	}
	if c := h.Connections[0]; !c.V2.V || c.IKE.Text == "" || !strings.Contains(c.IKE.Text, "(default)") {
		t.Errorf("%v, %q", c.V2, c.IKE.Text)
	}
	if n := notes(h); slices.ContainsFunc(n, func(s string) bool { return strings.HasPrefix(s, "unparsed") }) {
		t.Error(n)
	}
}

func TestWhatIsDeletedIsNotThere(t *testing.T) {
	const two = "config vpn ipsec phase1-interface\n edit a\n  set psksecret example-1\n next\n edit b\n  set psksecret example-2\n next\n"
	for script, left := range map[string]int{two + "end\n": 2, two + " delete a\nend\n": 1, two + "end\nconfig vpn ipsec phase1-interface\n purge\nend\n": 0, two + "end\nconfig vpn ipsec phase2-interface\n delete a\nend\n": 2} {
		if h := host(script); len(h.Connections) != left || len(h.Secrets) != left {
			t.Errorf("%d connections and %d secrets of\n%s", len(h.Connections), len(h.Secrets), script)
		}
	}
}

func TestATableOfManualKeysAloneIsClaimed(t *testing.T) {
	const config = "config vpn ipsec manualkey-interface\n edit mk\n  set enc-alg des\n next\nend\n"
	if !fortios.Claims("fg.conf", func() []byte { return []byte(config) }) || len(host(config).Manual) != 1 {
		t.Error("no manual SA")
	}
}

func TestATableMayStandBehindABarePrompt(t *testing.T) {
	const table = "config vpn ipsec phase1-interface\n edit a\n  set psksecret example-1\n next\nend\n"
	for text, want := range map[string]int{
		"# " + table: 1, "# " + table + "# config firewall policy\n edit 1\n next\nend\n": 1, table + "# config vpn ipsec phase2-interface\n": 1,
		"# config the tunnel\n" + table: 1, "# config vpn ipsec phase1-interface\n" + table: 1, "# config system interface\n#  edit b\n" + table: 1,
		"#" + strings.ReplaceAll(table, "\n", "\n#"): 0,
	} {
		if h := host(text); len(h.Connections) != want || want == 1 && h.Connections[0].Name != "a" {
			t.Errorf("%d connections of\n%s", len(h.Connections), text)
		}
	}
	if !fortios.Claims("x", func() []byte { return []byte("# " + table) }) {
		t.Error("not claimed")
	}
}

func TestDeletionsWithoutEndAreLeftOut(t *testing.T) {
	h := host("config vpn ipsec phase1-interface\n edit a\n  set psksecret example-1\n next\n" + strings.Repeat(" delete b\n", 3_000) + " delete a\nend\n")
	if n := notes(h); len(h.Connections) != 1 || !slices.ContainsFunc(n, func(s string) bool { return strings.HasPrefix(s, "limit") && strings.Contains(s, "take away") }) {
		t.Errorf("%d connections, %q", len(h.Connections), n)
	}
}

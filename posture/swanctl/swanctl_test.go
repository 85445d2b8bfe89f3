package swanctl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/posturetest"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// host reads files as one host with a version of strongSwan.
func host(version string, pairs ...string) *posture.Host {
	m := files(pairs...)
	h := &posture.Host{}
	in := source.NewInput(source.New("", m, true), h)
	if version != "" {
		in.Product("strongSwan", posture.Written(version, posture.Pos{}, version))
	}
	var claimed []string
	all, _ := in.Walk(".")
	for _, p := range all {
		if Claims(p, func() []byte { return in.Head(p, 8<<10) }) {
			claimed = append(claimed, p)
		}
	}
	Read(in.For("", claimed))
	return h
}

const gateway = `
# A gateway for road warriors and one site.
connections {
  rw : defaults {
    version = 2
    proposals = aes256gcm16-prfsha384-ecp384-ke1_mlkem768, default
    pools = pool4, pool6
    local-1 {
      certs = gw.pem
      id = vpn.example.net
    }
    remote-1 {
      auth = eap-mschapv2
      eap_id = %any
    }
    children {
      net {
        local_ts = 0.0.0.0/0, ::/0
        esp_proposals = aes256gcm16-ecp384-esn
        updown = /usr/lib/ipsec/_updown iptables
      }
    }
  }
  site {
    version = 1
    aggressive = yes
    remote_addrs = 192.0.2.1
    local { auth = psk
      id = a.example }
    remote { auth = psk
      id = b.example }
    children {
      l2tp {
        mode = transport
        local_ts = dynamic[udp/1701]
        remote_ts = dynamic[udp/1701]
        esp_proposals = aes128-sha1,aes128-sha1-modp1024
        replay_window = 0
        start_action = start
      }
      lan {
        remote_ts = 10.2.0.0/16
        rekey_time = 8h
        life_time = 10h
        rekey_bytes = 10m
        sha256_96 = yes
        ipcomp = yes
      }
      closed {
        remote_ts = 10.3.0.0/16
        start_action = trap
        ah_proposals = sha256-ecp256
      }
      printer {
        mode = pass
        local_ts = 10.9.0.0/16
      }
    }
  }
}
defaults {
  rekey_time = 1h
  dpd_delay = 30
  fragmentation = no
  ppk_id = ppk@example
}
pools {
  pool4 {
    addrs = 10.10.0.0/16
    dns = 10.0.0.53, 10.0.0.54
  }
  pool6 {
    addrs = fd00::/112
    dns = fd00::53
    28673 = x
  }
}
secrets {
  ike-site {
    id-a = a.example
    id-b = b.example
    secret = "correct horse"
  }
  ike-any { secret = 0x123 }
  eap-bob { id = bob
    secret = 0sc2VjcmV0 }
  ntlm-eve { id = eve
    secret = 0x00112233445566778899aabbccddeeff }
  ppk { id = ppk@example
    secret = 0sAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= }
  private-gw { file = gw.pem
    secret = pass }
}
authorities { ca { cacert = ca.pem } }
`

func TestAGatewayIsRead(t *testing.T) {
	h := posturetest.Quiet(t, host("5.9.8", "etc/swanctl/swanctl.conf", gateway))
	if len(h.Connections) != 2 {
		t.Fatalf("%d connections", len(h.Connections))
	}
	c := h.Connections[0]
	if c.Name != "rw" || c.Kind != "connection" || c.Dialect != posture.Swanctl || c.At.Line != 4 || c.Product != "strongSwan" {
		t.Errorf("subject: %+v", c.Subject)
	}
	posturetest.Is(t, "v1", c.V1, false, posture.Explicit)
	posturetest.Is(t, "v2", c.V2, true, posture.Explicit)
	posturetest.Is(t, "any peer", c.AnyPeer, true, posture.Default)
	posturetest.Is(t, "aggressive", c.Aggressive, false, posture.Default)
	posturetest.Is(t, "implicit", c.IKEImplicit, true, posture.Explicit)
	posturetest.Is(t, "life", c.IKELife, 66*time.Minute, posture.Explicit)
	posturetest.Is(t, "reauth", c.Reauth, 0, posture.Default)
	posturetest.Is(t, "rekey", c.Rekey, true, posture.Explicit)
	posturetest.Is(t, "dpd", c.DPD, 30*time.Second, posture.Explicit)
	posturetest.Is(t, "fragments", c.Fragments, false, posture.Explicit)
	posturetest.Is(t, "ppk", c.PPK, posture.Optional, posture.Explicit)
	posturetest.Is(t, "mobike", c.MOBIKE, true, posture.Default)
	posturetest.Is(t, "childless", c.Childless, true, posture.Default)
	posturetest.Is(t, "role", c.Role, posture.Answers, posture.Default)
	posturetest.Is(t, "dns", c.DNS, []string{"10.0.0.53", "10.0.0.54", "fd00::53"}, posture.Explicit)
	posturetest.Is(t, "pool", c.Pool, []string{"10.10.0.0/16", "fd00::/112"}, posture.Explicit)
	if len(c.IKE.V) != 3 || len(c.IKE.V[0].AddKE) != 1 || c.IKE.V[0].Text != "aes256gcm16-prfsha384-ecp384-ke1_mlkem768" || c.IKE.V[1].Text == "" || c.IKE.V[2].At.Line != 6 {
		t.Errorf("proposals: %+v", c.IKE.V)
	}
}

func TestRoundsOfAGatewayAreRead(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", gateway)
	c := h.Connections[0]
	if len(c.Local) != 1 || len(c.Remote) != 1 {
		t.Fatalf("rounds: %+v %+v", c.Local, c.Remote)
	}
	posturetest.Is(t, "local method", c.Local[0].Method, posture.MethodPubkey, posture.Default)
	posturetest.Is(t, "local id", c.Local[0].ID, "vpn.example.net", posture.Explicit)
	posturetest.Is(t, "remote method", c.Remote[0].Method, posture.MethodEAP, posture.Explicit)
	posturetest.Is(t, "eap", c.Remote[0].EAP, []string{"mschapv2"}, posture.Explicit)
	posturetest.Is(t, "remote id", c.Remote[0].ID, "%any", posture.Default)
	posturetest.Is(t, "ca", c.Remote[0].CA, "", posture.Default)
	if c.Local[0].CertFile != "gw.pem" || c.Revocation.Known() {
		t.Errorf("certificate %q, revocation %v", c.Local[0].CertFile, c.Revocation)
	}
	site := h.Connections[1]
	posturetest.Is(t, "psk", site.Remote[0].Method, posture.MethodPSK, posture.Explicit)
	posturetest.Is(t, "aggressive", site.Aggressive, true, posture.Explicit)
	posturetest.Is(t, "v2", site.V2, false, posture.Explicit)
	posturetest.Is(t, "any peer", site.AnyPeer, false, posture.Explicit)
	posturetest.Is(t, "role", site.Role, posture.Answers|posture.Initiates, posture.Explicit)
	posturetest.Is(t, "life", site.IKELife, 4*time.Hour+24*time.Minute, posture.Default)
}

func TestChildrenOfAGatewayAreRead(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", gateway)
	net := h.Connections[0].Children[0]
	if net.Name != "rw/net" || net.Kind != "child" || net.L2TP {
		t.Errorf("subject: %+v", net)
	}
	posturetest.Is(t, "pfs", net.PFS, posture.Always, posture.Explicit)
	posturetest.Is(t, "esn", net.ESN, true, posture.Explicit)
	posturetest.Is(t, "implicit", net.ESPImplicit, false, posture.Explicit)
	posturetest.Is(t, "life", net.Life, 66*time.Minute, posture.Default)
	posturetest.Is(t, "replay", net.Replay, 32, posture.Inferred)
	posturetest.Is(t, "local", net.LocalTS, []string{"0.0.0.0/0", "::/0"}, posture.Explicit)
	if net.FailOpen.Known() {
		t.Error("a client's own address is said to leave in the clear")
	}
	all := h.Connections[1].Children
	l2tp, lan, closed, printer := all[0], all[1], all[2], all[3]
	if !l2tp.L2TP {
		t.Error("L2TP is not seen")
	}
	posturetest.Is(t, "transport", l2tp.Transport, true, posture.Explicit)
	posturetest.Is(t, "pfs", l2tp.PFS, posture.Optional, posture.Explicit)
	posturetest.Is(t, "replay", l2tp.Replay, 0, posture.Explicit)
	posturetest.Is(t, "pfs", lan.PFS, posture.Never, posture.Default)
	posturetest.Is(t, "life", lan.Life, 10*time.Hour, posture.Explicit)
	posturetest.Is(t, "bytes", lan.Bytes, 11<<20, posture.Explicit)
	posturetest.Is(t, "packets", lan.Packets, 0, posture.Default)
	posturetest.Is(t, "truncation", lan.SHA256Trunc, true, posture.Explicit)
	posturetest.Is(t, "ipcomp", lan.IPComp, true, posture.Explicit)
	posturetest.Is(t, "fail open", lan.FailOpen, true, posture.Default)
	posturetest.Is(t, "fail closed", closed.FailOpen, false, posture.Explicit)
	posturetest.Is(t, "ah", closed.AH, true, posture.Explicit)
	if len(closed.ESP.V) != 1 || len(closed.ESP.V[0].Of(suite.Encr)) != 0 {
		t.Errorf("AH alone: %+v", closed.ESP)
	}
	posturetest.Is(t, "pass", printer.FailOpen, true, posture.Explicit)
	if printer.ESP.Known() {
		t.Error("a bypass has proposals")
	}
}

func TestSecretsAreDecoded(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", gateway)
	want := []struct {
		name, value, ids string
		kind             posture.SecretKind
		storage          posture.Storage
		anybody          bool
		traps            int
	}{
		{"ike-site", "correct horse", "[a.example b.example]", posture.PSK, posture.Clear, false, 0},
		{"ike-any", "\x01\x23", "[]", posture.PSK, posture.Clear, true, 2},
		{"eap-bob", "secret", "[bob]", posture.UserPassword, posture.Clear, false, 1},
		{"ntlm-eve", "", "[eve]", posture.UserPassword, posture.WeakHash, false, 0},
		{"ppk", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f", "[ppk@example]", posture.PPKSecret, posture.Clear, false, 0},
		{"private-gw", "pass", "[]", posture.KeyPassword, posture.Clear, false, 0},
	}
	if len(h.Secrets) != len(want) {
		t.Fatalf("%d secrets", len(h.Secrets))
	}
	for i, w := range want {
		s := h.Secrets[i]
		if s.Name != w.name || string(s.Value) != w.value || fmt.Sprint(s.IDs) != w.ids || s.Kind != w.kind || s.Storage != w.storage || s.Anybody.V != w.anybody || len(s.Traps) != w.traps {
			t.Errorf("%s: %+v, value %q", w.name, s, []byte(s.Value))
		}
	}
	if !h.Files[0].Secrets {
		t.Error("the file is not marked")
	}
}

func TestTrapsInSecretsAreNamed(t *testing.T) {
	for value, want := range map[string]string{
		`abc#def`:                            "ends at a #",
		`two  words`:                         "becomes one space",
		`" abc"`:                             "beginning or the end",
		`"abc\n"`:                            "line end",
		`'abc'`:                              "single quotes",
		`"a\"c"`:                             "double quote",
		"\u201cabc\u201d":                    "typographic",
		`0x12345`:                            "odd number",
		`0xyz`:                               "not hex",
		`0sab!c`:                             "not base64",
		`0sYWJj`:                             "only 3 octets",
		`"0x00112233445566778899aabbccdd"`:   "only 14 octets",
		`"00112233445566778899aabbccddeeff"`: "",
	} {
		h := host("", "swanctl.conf", "secrets {\n ike { secret = "+value+"\n }\n}\n")
		got := strings.Join(h.Secrets[0].Traps, "; ")
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func TestAnEmptyConnectionHasTheDefaultsOfItsVersion(t *testing.T) {
	const text = "connections {\n c {\n children {\n n {\n }\n }\n }\n}\n"
	for _, c := range []struct {
		version string
		pfs     posture.Demand
		origin  posture.Origin
		why     string
	}{
		{"5.9.8", posture.Never, posture.Default, "default of strongSwan 5.9.8"},
		{"6.0.2", posture.Optional, posture.Default, "default of strongSwan 6.0.2"},
		{"", posture.Never, posture.Inferred, "version unknown: default of strongSwan 5.9"},
	} {
		h := posturetest.Quiet(t, host(c.version, "swanctl.conf", text, "strongswan.conf", "charon { }\n"))
		conn := h.Connections[0]
		posturetest.Is(t, "v1", conn.V1, true, c.origin)
		posturetest.Is(t, "v2", conn.V2, true, c.origin)
		posturetest.Is(t, "implicit", conn.IKEImplicit, true, c.origin)
		posturetest.Is(t, "life", conn.IKELife, 264*time.Minute, c.origin)
		posturetest.Is(t, "revocation", conn.Revocation, posture.Optional, c.origin)
		posturetest.Is(t, "method", conn.Remote[0].Method, posture.MethodPubkey, c.origin)
		posturetest.Is(t, "fragments", conn.Fragments, true, c.origin)
		child := conn.Children[0]
		posturetest.Is(t, "pfs", child.PFS, c.pfs, c.origin)
		posturetest.Is(t, "replay", child.Replay, 32, c.origin)
		posturetest.Is(t, "esn", child.ESN, false, c.origin)
		posturetest.Is(t, "sha1 signatures", conn.SHA1Sig, false, c.origin)
		if conn.IKE.Why != c.why || child.Life.Why != c.why || child.Life.At.Line != 4 || len(conn.IKE.V) != 2 {
			t.Errorf("%s: %q, %q at %v", c.version, conn.IKE.Why, child.Life.Why, child.Life.At)
		}
	}
}

func TestReauthenticationTurnsRekeyingOff(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", "connections {\n a { reauth_time = 10h\n children { } }\n b { rekey_time = 0\n remote { } }\n c { reauth_time = 10h\n rekey_time = 2h\n over_time = 1m }\n}\n")
	for i, want := range []struct{ life, reauth time.Duration }{{11 * time.Hour, 10 * time.Hour}, {0, 0}, {121 * time.Minute, 10 * time.Hour}} {
		if c := h.Connections[i]; c.IKELife.V != want.life || c.Reauth.V != want.reauth {
			t.Errorf("%s: life %v, reauth %v", c.Name, c.IKELife, c.Reauth)
		}
	}
}

func TestIKEv1ProvesItselfAgainWhereIKEv2Rekeys(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", "connections {\n a { version = 1 }\n b { version = 1\n reauth_time = 10h\n rekey_time = 2h }\n c { version = 1\n rekey_time = 0 }\n d { version = 2\n rekey_time = 2h }\n e { rekey_time = 2h }\n}\n")
	for i, want := range []time.Duration{4 * time.Hour, 2 * time.Hour, 0, 0, 0} {
		if c := h.Connections[i]; c.Reauth.V != want || c.Reauth.Origin == posture.Unknown {
			t.Errorf("%s: %+v", c.Name, c.Reauth)
		}
	}
}

func TestRoundsAreSortedByNumber(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", `connections { c {
 remote-b { auth = xauth
  round = 2 }
 remote-a { auth = psk
  round = 1 }
 local { auth = xauth-eap
 }
} }`)
	c := h.Connections[0]
	posturetest.Is(t, "first", c.Remote[0].Method, posture.MethodPSK, posture.Explicit)
	posturetest.Is(t, "second", c.Remote[1].Method, posture.MethodXAUTH, posture.Explicit)
	posturetest.Is(t, "alone", c.Local[0].Method, posture.MethodHybrid, posture.Explicit)
	if !c.Remote[1].XAUTH || c.Remote[0].XAUTH {
		t.Error("XAUTH is not marked")
	}
}

func TestWordsOfAuthAreUnderstood(t *testing.T) {
	for word, want := range map[string]posture.Method{
		"pubkey": "pubkey", "rsa-3072-sha256": "pubkey", "ike:rsa/pss-sha256": "pubkey", "ecdsa": "pubkey", "psk": "psk", "eap": "eap", "eap-tls:ecdsa": "eap", "eap-radius": "eap", "xauth": "hybrid", "magic": "",
	} {
		h := host("5.9.8", "swanctl.conf", "connections {\n c { remote { auth = "+word+"\n } }\n}\n")
		if got := h.Connections[0].Remote[0].Method.V; got != want {
			t.Errorf("%s: %s", word, got)
		}
	}
	h := host("5.9.8", "swanctl.conf", "connections {\n c { remote { auth = rsa-sha1-sha256\n cacerts = ca.pem\n revocation = strict\n } }\n}\n")
	c := h.Connections[0]
	posturetest.Is(t, "SHA-1", c.SHA1Sig, true, posture.Explicit)
	posturetest.Is(t, "revocation", c.Revocation, posture.Always, posture.Explicit)
	posturetest.Is(t, "authority", c.Remote[0].CA, "ca.pem", posture.Explicit)
}

func TestMethodsOfEAPAreEnteredOnce(t *testing.T) {
	h := posturetest.Quiet(t, host("5.9.8", "swanctl.conf", `connections {
 a { remote { auth = eap-ttls
 } }
 b { remote { auth = eap-ttls
 } }
 c { remote { auth = eap-radius
 } }
 d { remote { auth = eap-md5
 } }
}`, "strongswan.conf", "charon { }"))
	if len(h.EAP) != 2 {
		t.Fatalf("%+v", h.EAP)
	}
	ttls, md5 := h.EAP[0], h.EAP[1]
	posturetest.Is(t, "inner", ttls.Inner, []string{"md5"}, posture.Default)
	posturetest.Is(t, "tls", ttls.TLSMin, "1.2", posture.Default)
	posturetest.Is(t, "type", md5.DefaultType, "md5", posture.Explicit)
	if ttls.Name != "eap-ttls" || md5.TLSMin.Known() {
		t.Errorf("%+v", h.EAP)
	}
}

func TestAVersionThatIsNoneIsUnknown(t *testing.T) {
	h := host("unknown", "strongswan.conf", "charon { }")
	posturetest.Is(t, "cookies", h.Daemons[0].Cookies, true, posture.Inferred)
}

func TestALinkThatLeavesIsNotRead(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "secrets.conf")
	in := filepath.Join(dir, "host", "swanctl")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(in, "conf.d"), 0o700),
		os.WriteFile(out, []byte("secrets { ike { secret = hunter2\n } }"), 0o600),
		os.WriteFile(filepath.Join(in, "swanctl.conf"), []byte("include conf.d/*.conf\ninclude conf.d/link.conf\n"), 0o600),
		os.WriteFile(filepath.Join(in, "conf.d", "real.conf"), []byte("secrets { ike { secret = mine\n } }"), 0o600),
		os.Symlink(out, filepath.Join(in, "conf.d", "link.conf")),
		os.Symlink("real.conf", filepath.Join(in, "conf.d", "same.conf")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := source.Open(filepath.Join(dir, "host"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	h := &posture.Host{}
	Read(source.NewInput(tree, h).For("", []string{"swanctl/swanctl.conf", "swanctl/conf.d/real.conf", "swanctl/conf.d/same.conf"}))
	if len(h.Secrets) != 1 || string(h.Secrets[0].Value) != "mine" || len(h.Notes) == 0 {
		t.Errorf("%d secrets, %v", len(h.Secrets), h.Notes)
	}
	if h.Secrets[0].Changed.IsZero() {
		t.Error("the time of the change is not known")
	}
}

func TestAPluginsPoolHasNoNetworkAndNoKnownNameServers(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", "connections {\n c { pools = dhcp\n children { } }\n d { pools = p\n }\n}\npools { p { addrs = 10.0.0.0/8 } }", "strongswan.conf", "charon { }")
	if c := h.Connections[0]; c.DNS.Known() || len(c.Pool.V) != 1 || c.Pool.V[0] != "dhcp" {
		t.Errorf("%+v %+v", c.DNS, c.Pool)
	}
	posturetest.Is(t, "dns", h.Connections[1].DNS, nil, posture.Explicit)
	if len(h.Notes) > 0 {
		t.Errorf("notes %v", h.Notes)
	}
}

func TestMistakesAreNoted(t *testing.T) {
	for text, want := range map[string]string{
		"connections { c { pools = nowhere\n } }":                              `pool "nowhere" is not defined`,
		"\ufeffconnections { c { version = 2\n } }":                            "letters of the first name",
		"\ufeff# of ours\nconnections { c { version = 2\n } }":                 "nothing of it is loaded",
		"connections { c { versoin = 2\n } }":                                  `setting "versoin" of a connection`,
		"connections { c { version = two\n } }":                                "version has a value that is not understood",
		"connections { c { proposals = aes512-sha1-modp2048\n } }":             `no algorithm "aes512"`,
		"connections { c { proposals = aes256gcm16-aes256-sha256-ecp384\n } }": "mixes AEAD",
		"connections { c { children { n { foo { } } } } }":                     `section "foo" of a child`,
		"connections { c : nowhere { } }":                                      `"nowhere"`,
		"connections { }\nbase { }":                                            `nothing uses the section "base"`,
		"secrets { foo { secret = x\n } }":                                     `section "foo" of secrets`,
		"pools { p { foo = x\n } }":                                            `attribute "foo"`,
		"x = y":                                                                `setting "x"`,
	} {
		h := host("5.9.8", "swanctl.conf", text)
		if len(h.Notes) != 1 || !strings.Contains(h.Notes[0].Text, want) || h.Notes[0].Dialect != posture.Swanctl {
			t.Errorf("%s: %v", text, h.Notes)
		}
	}
}

func TestPrivateAlgorithmsAreNoMistake(t *testing.T) {
	h := posturetest.Quiet(t, host("5.9.8", "swanctl.conf", "connections {\n c { proposals = serpent256-sha512-ntru256\n children { n { esp_proposals = aes128-sha256_96\n } } }\n}\n"))
	if got := h.Connections[0].IKE.V[0].Unknown; len(got) != 2 {
		t.Errorf("unknown: %v", got)
	}
	posturetest.Is(t, "truncation", h.Connections[0].Children[0].SHA256Trunc, true, posture.Explicit)
}

func TestFilesOfADirectoryAreReadOnceAndWithoutTheirMain(t *testing.T) {
	const conn = "connections {\n c { children { } }\n}\n"
	for _, c := range []struct {
		name     string
		pairs    []string
		disabled bool
		notes    int
	}{
		{"included", []string{"swanctl/swanctl.conf", "include conf.d/*.conf\n", "swanctl/conf.d/c.conf", conn}, false, 0},
		{"alone", []string{"swanctl/conf.d/c.conf", conn}, false, 0},
		{"included by a path of the host", []string{"swanctl/swanctl.conf", "include /etc/swanctl/conf.d/*.conf\n", "swanctl/conf.d/c.conf", conn}, false, 1},
		{"not included", []string{"swanctl/swanctl.conf", "pools { }\n", "swanctl/conf.d/c.conf", conn}, true, 1},
	} {
		h := host("5.9.8", c.pairs...)
		if len(h.Connections) != 1 || h.Connections[0].Disabled != c.disabled || len(h.Notes) != c.notes {
			t.Errorf("%s: %d connections, %v", c.name, len(h.Connections), h.Notes)
		}
	}
}

func TestFilesOfTwoDirectoriesInheritTogether(t *testing.T) {
	h := posturetest.Quiet(t, host("5.9.8", "swanctl/conf.d/a.conf", "connections {\n c : base {\n }\n}\n", "swanctl/conf.d/b.conf", "base { version = 2\n}\n"))
	posturetest.Is(t, "v1", h.Connections[0].V1, false, posture.Explicit)
}

func TestClaims(t *testing.T) {
	for _, c := range []struct {
		path, text string
		want       bool
	}{
		{"etc/swanctl/swanctl.conf", "", true},
		{"etc/swanctl/conf.d/x.conf", "", true},
		{"etc/strongswan.conf", "", true},
		{"etc/strongswan.d/charon/aes.conf", "", true},
		{"etc/strongswan.d/swanctl.conf", "", true},
		{"etc/strongswan.d/charon/aes.conf.bak", "", false},
		{"vpn.conf", "# x\nconnections {\n gw {\n remote-1 { auth = psk\n", true},
		{"vpn.conf", "connections { gw { children { x { } } } }", true},
		{"vpn.conf", "connections {\n max = 5\n}\n", false},
		{"charon.conf", "# x\ncharon {\n}\n", true},
		{"vpn.conf", "conn gw\n left=1.2.3.4\n", false},
		{"vpn.txt", "connections { gw { children { x { } } } }", false},
	} {
		if got := Claims(c.path, func() []byte { return []byte(c.text) }); got != c.want {
			t.Errorf("%s %q: %v", c.path, c.text, got)
		}
	}
}

func TestOddEncodings(t *testing.T) {
	text := "connections {\r\n  c\u00e9 {\r\n    remote { id = \u00fcber@example\r\n    }\r\n  }\r\n}\r\n"
	utf16 := []byte{0xFF, 0xFE}
	for _, r := range text {
		utf16 = append(utf16, byte(r), byte(r>>8))
	}
	for name, data := range map[string]string{"UTF-16": string(utf16), "a mark": "\xEF\xBB\xBF" + text, "plain": text} {
		h := host("5.9.8", "swanctl.conf", data)
		if marked := name == "a mark"; marked != (len(h.Notes) == 1) { // strongSwan itself stumbles over it
			t.Errorf("%s: notes %v", name, h.Notes)
		}
		if len(h.Connections) != 1 || h.Connections[0].Name != "c\u00e9" || h.Connections[0].Remote[0].ID.V != "\u00fcber@example" {
			t.Errorf("%s: %+v", name, h.Connections)
		}
	}
	if h := host("5.9.8", "swanctl.conf", "a\x00b"); len(h.Notes) != 1 || h.Notes[0].Kind != posture.Unreadable {
		t.Errorf("binary: %v", h.Notes)
	}
}

func TestSecretsAreInNoText(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", "secrets {\n ike { secret = hunter2\n secert = hunter2\n id = x\n }\n eap { id = a\n secret = \"hunter2\nhunter2\n } }", "strongswan.conf",
		"charon { plugins { eap-radius { secret = hunter2\n server = 192.0.2.9\n dae { secret = hunter2\n } } } }")
	if text := fmt.Sprintf("%+v", h); strings.Contains(text, "hunter2") || len(h.Secrets) != 4 {
		t.Errorf("%d secrets in %s", len(h.Secrets), text)
	}
}

func TestEveryPrefixIsHarmless(t *testing.T) {
	for i := range gateway {
		host("", "swanctl.conf", gateway[:i], "strongswan.conf", strongswan[:min(i, len(strongswan))])
	}
}

func FuzzRead(f *testing.F) {
	f.Add(gateway, strongswan)
	f.Add("a : b { }\nb : a { }\nconnections : a, b { c : connections { children : connections { } } }", "charon : charon { }")
	f.Add("include *.conf\nsecrets { ike { secret = 0x1", "include \"")
	f.Fuzz(func(t *testing.T, conns, daemon string) {
		m := fstest.MapFS{
			"swanctl/swanctl.conf":            {Data: []byte(conns)},
			"swanctl/conf.d/x.conf":           {Data: []byte(daemon)},
			"strongswan.conf":                 {Data: []byte(daemon)},
			"strongswan.d/charon/radius.conf": {Data: []byte(conns)},
		}
		in := input(m, "strongswan.conf", "strongswan.d/charon/radius.conf", "swanctl/conf.d/x.conf", "swanctl/swanctl.conf")
		Read(in)
	})
}

func TestAPluginThatGivesAddressesMayGiveNameServers(t *testing.T) {
	for _, c := range []struct {
		pools, attr string
		known       bool
		dns         int
	}{{"dhcp", "", false, 0}, {"radius", "", false, 0}, {"dhcp", "dns = 10.0.0.53", true, 1}, {"staff", "", true, 0}} {
		h := host("5.9.8", "swanctl.conf", "connections { rw { pools = "+c.pools+"\n children { net {} } } }\npools { staff { addrs = 10.1.0.0/24\n } }\n",
			"strongswan.conf", "charon { plugins { attr { "+c.attr+"\n } } }\n")
		rw := h.Connections[0]
		if rw.DNS.Known() != c.known || len(rw.DNS.V) != c.dns || len(rw.Pool.V) != 1 {
			t.Errorf("%s, %s: %+v %+v", c.pools, c.attr, rw.DNS, rw.Pool)
		}
	}
}

func TestAClientChoosesItsMethodOfEAP(t *testing.T) {
	const conn = "connections {\n a {\n remote {\n auth = eap-dynamic\n } } }\n"
	h := host("5.9.1", "swanctl.conf", conn, "strongswan.conf", "charon {\n plugins {\n eap-dynamic {\n preferred = md5, TLS\n } } }\n")
	e := h.EAP[0]
	posturetest.Is(t, "first", e.DefaultType, "md5", posture.Explicit)
	posturetest.Is(t, "methods", e.Methods, []string{"md5", "tls"}, posture.Explicit)
	posturetest.Is(t, "tls", e.TLSMin, "1.0", posture.Default)
	if e.DefaultType.At.Line != 4 || e.TLSMin.At.Line != 4 {
		t.Errorf("%+v", e)
	}
	if e := host("5.9.1", "swanctl.conf", conn).EAP[0]; e.DefaultType.Known() || e.Methods.Known() || e.TLSMin.Known() {
		t.Errorf("nothing preferred: %+v", e)
	}
}

func TestThePlaceOfAPPKThatMayBeLeftOutIsTheLineThatSaysSo(t *testing.T) {
	for line, text := range map[int]string{3: "", 4: "ppk_required = no\n"} {
		h := host("5.9.8", "swanctl.conf", "connections {\n a {\n ppk_id = x\n"+text+" }\n}\n")
		if v := h.Connections[0].PPK; v.V != posture.Optional || v.At.Line != line {
			t.Errorf("%q: %+v", text, v)
		}
	}
}

func TestDefaultBesideAPlaceholderStaysDefault(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", "connections {\n a {\n proposals = ${ike}, default\n }\n b {\n proposals = ${ike}\n }\n}\n")
	a, b := h.Connections[0], h.Connections[1]
	if !posture.Is(a.IKEImplicit, true) || a.IKE.Known() || b.IKEImplicit.Known() {
		t.Errorf("%+v %+v", a.IKEImplicit, b.IKEImplicit)
	}
}

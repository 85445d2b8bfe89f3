package swanctl

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/posture"
	"sallyport/posture/posturetest"
)

const strongswan = `
charon {
  load_modular = yes
  dos_protection = no
  init_limit_half_open = 500
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  accept_private_algs = yes
  accept_unencrypted_mainmode_messages = yes
  send_vendor_id = yes
  signature_authentication = no
  replay_window = 128
  fragment_size = 1400
  keep_alive = 0
  tls { version_min = 1.0 }
  plugins {
    aes { load = yes }
    md4 { load = no }
    openssl { load = 5 }
    random {
      load = yes
      random = /dev/urandom
      urandom = /dev/zero
    }
    revocation { load = yes
      enable_ocsp = no }
    attr { dns = 10.0.0.1
      split-include = 10.0.0.0/8 }
    eap-radius {
      accounting = yes
      servers {
        one {
          address = 192.0.2.9
          secret = testing123
          auth_port = 1812
        }
      }
    }
  }
  filelog {
    charon {
      path = /var/log/charon.log
      default = 0
      ike = 2
      enc = 4
      ike_name = yes
    }
  }
}
`

func TestTheDaemonIsRead(t *testing.T) {
	h := posturetest.Quiet(t, host("5.9.8", "etc/strongswan.conf", strongswan))
	if len(h.Daemons) != 1 {
		t.Fatalf("%d daemons", len(h.Daemons))
	}
	d := h.Daemons[0]
	if d.Name != "charon" || d.Kind != "daemon" || d.At.Line != 2 || d.Product != "strongSwan" {
		t.Errorf("subject: %+v", d.Subject)
	}
	posturetest.Is(t, "cookies", d.Cookies, false, posture.Explicit)
	posturetest.Is(t, "block", d.BlockLimit, 0, posture.Explicit)
	posturetest.Is(t, "half open", d.HalfOpenLimit, 500, posture.Explicit)
	posturetest.Is(t, "aggressive", d.AggressivePSK, true, posture.Explicit)
	posturetest.Is(t, "private", d.PrivateAlg, true, posture.Explicit)
	posturetest.Is(t, "unencrypted", d.UnencryptedV1, true, posture.Explicit)
	posturetest.Is(t, "vendor id", d.SendsVID, true, posture.Explicit)
	posturetest.Is(t, "SHA-1", d.SHA1Sig, true, posture.Explicit)
	posturetest.Is(t, "fragments", d.FragmentSize, 1400, posture.Explicit)
	posturetest.Is(t, "keepalive", d.Keepalive, time.Duration(0), posture.Explicit)
	posturetest.Is(t, "tls", d.TLSMin, "1.0", posture.Explicit)
	posturetest.Is(t, "crl", d.CRLFetch, true, posture.Default)
	posturetest.Is(t, "ocsp", d.OCSP, false, posture.Explicit)
	posturetest.Is(t, "rng", d.StrongRNG, false, posture.Explicit)
	posturetest.Is(t, "plugins", d.Plugins, []string{"aes", "openssl", "random", "revocation"}, posture.Explicit)
	posturetest.Is(t, "logins", d.LogsAuth, true, posture.Explicit)
	posturetest.Is(t, "secrets", d.LogsSecrets, true, posture.Explicit)
	posturetest.Is(t, "names", d.LogsID, true, posture.Explicit)
	posturetest.Is(t, "accounting", d.Accounting, true, posture.Explicit)
	posturetest.Is(t, "copy DF", d.CopyDF, true, posture.Default)
}

func TestTheDaemonHasDefaults(t *testing.T) {
	d := posturetest.Quiet(t, host("5.9.8", "strongswan.conf", "charon {\n}\n")).Daemons[0]
	posturetest.Is(t, "cookies", d.Cookies, true, posture.Default)
	posturetest.Is(t, "block", d.BlockLimit, 5, posture.Default)
	posturetest.Is(t, "half open", d.HalfOpenLimit, 0, posture.Default)
	posturetest.Is(t, "aggressive", d.AggressivePSK, false, posture.Default)
	posturetest.Is(t, "SHA-1", d.SHA1Sig, false, posture.Default)
	posturetest.Is(t, "fragments", d.FragmentSize, 1280, posture.Default)
	posturetest.Is(t, "keepalive", d.Keepalive, 20*time.Second, posture.Default)
	posturetest.Is(t, "tls", d.TLSMin, "1.2", posture.Default)
	posturetest.Is(t, "logins", d.LogsAuth, true, posture.Default)
	posturetest.Is(t, "secrets", d.LogsSecrets, false, posture.Default)
	posturetest.Is(t, "names", d.LogsID, false, posture.Default)
	if d.Plugins.Known() || d.Sandboxed.Known() || d.StrictCRL.Known() {
		t.Errorf("%+v", d)
	}
}

func TestAnAbsentStrongswanConfIsOnlySupposed(t *testing.T) {
	if h := host("5.9.8", "swanctl.conf", "connections { }\n"); len(h.Daemons) > 0 {
		t.Errorf("without a connection there is a daemon to judge: %+v", h.Daemons)
	}
	d := host("5.9.8", "swanctl.conf", "connections { c { } }\n").Daemons[0]
	posturetest.Is(t, "cookies", d.Cookies, true, posture.Inferred)
	if d.At.File != "swanctl.conf" || !strings.HasPrefix(d.Cookies.Why, "no strongswan.conf") {
		t.Errorf("%v %q", d.At, d.Cookies.Why)
	}
}

func TestConnectionsTakeOverFromTheDaemon(t *testing.T) {
	h := posturetest.Quiet(t, host("5.9.8", "swanctl.conf", "connections {\n c { pools = p\n children { n { copy_df = no\n } } }\n}\npools { p { addrs = 10.0.0.0/24\n } }\n", "strongswan.conf", strongswan))
	c := h.Connections[0]
	posturetest.Is(t, "vendor id", c.SendsVID, true, posture.Explicit)
	posturetest.Is(t, "SHA-1", c.SHA1Sig, true, posture.Explicit)
	posturetest.Is(t, "private", c.PrivateAlg, true, posture.Explicit)
	posturetest.Is(t, "replay", c.Children[0].Replay, 128, posture.Explicit)
	posturetest.Is(t, "dns", c.DNS, []string{"10.0.0.1"}, posture.Explicit)
	posturetest.Is(t, "copy DF", h.Daemons[0].CopyDF, false, posture.Explicit)
}

func TestRADIUSServersAreRead(t *testing.T) {
	h := host("5.9.8", "strongswan.conf", strongswan)
	if len(h.RADIUS) != 1 || len(h.Secrets) != 1 {
		t.Fatalf("%+v", h.RADIUS)
	}
	r, s := h.RADIUS[0], h.Secrets[0]
	posturetest.Is(t, "address", r.Address, "192.0.2.9", posture.Explicit)
	posturetest.Is(t, "accounting", r.Accounting, true, posture.Explicit)
	if r.Name != s.Name || string(s.Value) != "testing123" || s.Kind != posture.RADIUSSecret || !h.Files[0].Secrets {
		t.Errorf("%+v %+v", r, s)
	}
}

func TestPluginsInFilesOfTheirOwn(t *testing.T) {
	main := "charon {\n load_modular = yes\n plugins {\n include strongswan.d/charon/*.conf\n }\n}\ninclude strongswan.d/*.conf\n"
	parts := []string{"etc/strongswan.d/charon/aes.conf", "aes { load = yes }\n", "etc/strongswan.d/charon.conf", "charon { send_vendor_id = yes\n}\n"}
	for _, c := range []struct {
		pairs   []string
		plugins string
	}{
		{append([]string{"etc/strongswan.conf", main}, parts...), "[aes]"},
		{parts, "[]"},
	} {
		h := posturetest.Quiet(t, host("5.9.8", c.pairs...))
		posturetest.Is(t, "vendor id", h.Daemons[0].SendsVID, true, posture.Explicit)
		if got := fmt.Sprint(h.Daemons[0].Plugins.V); got != c.plugins || len(h.Daemons) != 1 {
			t.Errorf("plugins %s, %d daemons", got, len(h.Daemons))
		}
	}
}

func TestLoosePartsOfTheDaemonAreOne(t *testing.T) {
	h := posturetest.Quiet(t, host("5.9.8", "charon.conf", "charon { send_vendor_id = yes\n}\n", "logging.conf", "charon { syslog { auth { default = 0\n } } }\n"))
	if len(h.Daemons) != 1 {
		t.Fatalf("%d daemons", len(h.Daemons))
	}
	posturetest.Is(t, "vendor id", h.Daemons[0].SendsVID, true, posture.Explicit)
	posturetest.Is(t, "logins", h.Daemons[0].LogsAuth, false, posture.Explicit)
}

func TestLevelsOfTheLog(t *testing.T) {
	for _, c := range []struct {
		text                 string
		auth, secrets, names bool
	}{
		{"syslog { daemon { default = 0\n } }", false, false, false},
		{"syslog { daemon { default = -1\n ike = 1\n } }", true, false, false},
		{"syslog { daemon { default = 0\n } }\n filelog { x { path = /x\n json = yes\n } }", true, false, true},
		{"filelog { x { default = 4\n } }", true, true, false},
		{"plugins { save-keys { load = yes\n ike = yes\n } }", true, true, false},
		{"plugins { save-keys { load = no\n ike = yes\n } }", true, false, false},
		{"}\ncharon-systemd { journal { default = 0\n }", false, false, true},
	} {
		d := posturetest.Quiet(t, host("5.9.8", "strongswan.conf", "charon {\n"+c.text+"\n}\n")).Daemons[0]
		if d.LogsAuth.V != c.auth || d.LogsSecrets.V != c.secrets || d.LogsID.V != c.names {
			t.Errorf("%s: %v %v %v", c.text, d.LogsAuth.V, d.LogsSecrets.V, d.LogsID.V)
		}
	}
}

func TestUnknownSettingsOfTheDaemonAreNoted(t *testing.T) {
	for text, want := range map[string]string{
		"charon { foo = 1\n }":                         `"foo" of the daemon`,
		"charon { plugins { foo { load = yes } } }":    `plugin "foo"`,
		"charon { plugins { vici { foo = 1\n } } }":    "the plugin vici",
		"charon { dos_protection = perhaps\n }":        "dos_protection has a value",
		"foo { }":                                      `section "foo"`,
		"charon { filelog { x { ikename = yes\n } } }": `"ikename" of a log`,
	} {
		h := host("5.9.8", "strongswan.conf", text)
		if len(h.Notes) != 1 || !strings.Contains(h.Notes[0].Text, want) {
			t.Errorf("%s: %v", text, h.Notes)
		}
	}
}

func TestThePasswordOfADatabaseMakesTheFileOneWithSecrets(t *testing.T) {
	for uri, want := range map[string]bool{"mysql://vpn:pw@db.example.net/vpn": true, "sqlite:///etc/ipsec.d/ipsec.db": false, "mysql://vpn@db/vpn": false} {
		h := host("5.9.8", "etc/strongswan.conf", "charon { plugins { sql { database = "+uri+" } } }\n")
		if len(h.Files) != 1 || h.Files[0].Secrets != want {
			t.Errorf("%s: %+v", uri, h.Files)
		}
	}
}

func TestTheBypassOfLocalNetworks(t *testing.T) {
	const modular = "charon {\n load_modular = yes\n plugins {\n include strongswan.d/charon/*.conf\n }\n}\n"
	for _, c := range []struct {
		pairs []string
		is    bool
		from  posture.Origin
		line  int
	}{
		{[]string{"etc/strongswan.conf", modular, "etc/strongswan.d/charon/bypass-lan.conf", "bypass-lan {\n load = yes\n}\n"}, true, posture.Explicit, 2},
		{[]string{"etc/strongswan.conf", modular, "etc/strongswan.d/charon/bypass-lan.conf", "bypass-lan {\n\n load = no\n}\n"}, false, posture.Explicit, 3},
		{[]string{"etc/strongswan.conf", modular}, false, posture.Explicit, 2},
		{[]string{"etc/strongswan.conf", "charon {\n load = aes bypass-lan vici\n}\n"}, true, posture.Explicit, 2},
		{[]string{"etc/strongswan.conf", "charon {\n load = aes vici\n plugins { bypass-lan { load = yes } }\n}\n"}, false, posture.Explicit, 2},
		{[]string{"etc/strongswan.conf", "charon {\n}\n"}, false, posture.Default, 1},
	} {
		got := host("5.9.8", c.pairs...).Daemons[0].SkipsLAN
		posturetest.Is(t, fmt.Sprint(c.pairs), got, c.is, c.from)
		if got.At.Line != c.line {
			t.Errorf("%v: line %d, want %d", c.pairs, got.At.Line, c.line)
		}
	}
}

func TestTheSectionsOfLibrariesStandBehindTheDaemons(t *testing.T) {
	h := host("5.9.8", "strongswan.conf", "libtls {\n version_min = 1.0\n}\nlibstrongswan {\n send_vendor_id = yes\n plugins {\n random {\n random = /tmp/zero\n } } }\n")
	d := h.Daemons[0]
	posturetest.Is(t, "tls", d.TLSMin, "1.0", posture.Explicit)
	posturetest.Is(t, "vendor id", d.SendsVID, true, posture.Explicit)
	posturetest.Is(t, "randomness", d.StrongRNG, false, posture.Explicit)
	h = host("5.9.8", "strongswan.conf", "charon {\n send_vendor_id = no\n tls {\n version_min = 1.2\n } }\nlibtls {\n version_min = 1.0\n}\nlibstrongswan {\n send_vendor_id = yes\n}\n")
	d = h.Daemons[0]
	posturetest.Is(t, "tls", d.TLSMin, "1.2", posture.Explicit)
	posturetest.Is(t, "vendor id", d.SendsVID, false, posture.Explicit)
}

package profile

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/internal/secret"
	"sallyport/protocol/suite"
)

var update = flag.Bool("update", false, "rewrite the goldens and docs/clients.md from what the code does now")

func testFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testZone is a zone with every default filled in, under a built-in policy or
// with lists of its own.
func testZone(t testing.TB, policy, more string) *config.Zone {
	t.Helper()
	text := "gateway: {name: vpn.example.org}\nzones:\n  staff:\n    policy: " + policy + "\n" + more
	cfg, diags := config.Parse("test.yaml", []byte(text), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return &cfg.Zones[0]
}

// testInput is alice's laptop with a key of a kind ("ecdsa" or "rsa").
func testInput(t testing.TB, zone *config.Zone, key string) Input {
	t.Helper()
	return Input{
		Device: Device{Name: "laptop", User: "alice", Identity: "laptop@alice"},
		Zone:   zone, Gateway: "vpn.example.org", Identity: "vpn.example.org",
		Names:       []string{"vpn.example.org", "192.0.2.1"},
		Ports:       config.Ports{IKE: 500, NATT: 4500},
		Certificate: testFile(t, "device-"+key+".crt"), CA: testFile(t, "ca.crt"),
		Dir: "/home/alice/vpn", PKCS12: []byte("an encrypted file"),
	}
}

// testPSK is a key as the gateway generates them.
const testPSK = "kq7n2m4xwz8r5t3v6b9c2d4f7h"

// inputBy is alice's laptop or, where the way is a password, alice, in a zone
// that takes that way alone.
func inputBy(t testing.TB, zone *config.Zone, kind, auth string) Input {
	t.Helper()
	in := testInput(t, zone, keyFor(kind))
	z := *zone
	z.Auth, in.Zone = []string{auth}, &z
	switch auth {
	case "certificate", "eap-tls":
		return in
	case "psk":
		in.PSK = secret.Bytes(testPSK)
	default:
		in.Device = Device{User: "alice"}
	}
	in.Certificate, in.PKCS12 = "", nil
	return in
}

// keyFor is a key that the kind of client can use.
func keyFor(kind string) string {
	if kind == "android" {
		return "rsa"
	}
	return "ecdsa"
}

func mustMake(t testing.TB, kind string, in Input) Profile {
	t.Helper()
	p, err := Make(kind, in)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return p
}

// cannot are the policies that a client has no words for, with a part of the
// reason.
var cannot = map[string]map[string]string{
	"mikrotik": {"cnsa2": "encryption: the zone takes aes256gcm16, the client has aes128 aes192 aes256"},
	"android": {
		"strong": "key exchange: the zone takes", "bsi": "key exchange: the zone takes",
		"cnsa2": "key exchange: the zone takes ecp384, the client has",
	},
}

func TestEveryClientHasAProfileOrAReason(t *testing.T) {
	for _, policy := range suite.PolicyNames() {
		for _, k := range Kinds() {
			in := testInput(t, testZone(t, policy, ""), keyFor(k.Name))
			p, err := Make(k.Name, in)
			reason, refuse := cannot[k.Name][policy]
			switch {
			case refuse && (err == nil || !strings.Contains(err.Error(), reason)):
				t.Errorf("%s under %s: got %v, want a refusal with %q", k.Name, policy, err, reason)
			case refuse && err.(*RefusedError).Hint == "":
				t.Errorf("%s under %s: the refusal does not say what to do", k.Name, policy)
			case refuse:
			case err != nil:
				t.Errorf("%s under %s: %v", k.Name, policy, err)
			case len(p.Files) < 3 || len(p.Steps) == 0 || p.For != k.Name:
				t.Errorf("%s under %s: %d files, %d steps", k.Name, policy, len(p.Files), len(p.Steps))
			case !p.Files[0].Secret:
				t.Errorf("%s: the profile may be read by others", k.Name)
			}
		}
	}
}

func TestProfilesAreAsTheirGoldens(t *testing.T) {
	zone := testZone(t, "strong", "    pool: {ipv4: 10.60.0.0/16, ipv6: \"fd00:60::/64\"}\n    dns: {servers: [gateway], search: [corp.example]}\n    routes: [0.0.0.0/0, \"::/0\"]\n")
	compatible := testZone(t, "compatible", "    pool: {ipv4: 10.60.0.0/16, ipv6: none}\n    dns: {servers: [10.60.0.1], split: [corp.example]}\n    routes: [10.0.0.0/8]\n")
	for _, k := range Kinds() {
		for name, z := range map[string]*config.Zone{"full": zone, "split": compatible} {
			golden(t, filepath.Join("testdata", "golden", k.Name+"-"+name+".txt"), goldenText(k.Name, testInput(t, z, keyFor(k.Name))))
		}
		for _, auth := range ways[k.Name] {
			if auth == "certificate" {
				continue
			}
			text := goldenText(k.Name, inputBy(t, compatible, k.Name, auth))
			head, body, _ := strings.Cut(windowsScript, windowsMarker)
			for _, constant := range []string{head, body, mikrotikScript} {
				text = strings.ReplaceAll(text, constant, "(the constant script)\n")
			}
			golden(t, filepath.Join("testdata", "golden", k.Name+"-"+auth+".txt"), text)
		}
	}
}

// goldenText is a profile without the certificates, which are files of their
// own.
func goldenText(kind string, in Input) string {
	p, err := Make(kind, in)
	var text strings.Builder
	if err != nil {
		text.WriteString("refused: " + err.Error() + "\n")
	}
	for _, f := range p.Files {
		if !strings.HasSuffix(f.Name, ".crt") {
			text.WriteString("-- " + f.Name + " --\n" + f.Content)
		}
	}
	text.WriteString("-- steps --\n" + strings.Join(p.Steps, "\n") + "\n-- notes --\n" + strings.Join(p.Notes, "\n") + "\n")
	return strings.ReplaceAll(text.String(), "\r\n", "\n")
}

func golden(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what the code does now (%v): go test ./profile -update, and look at the difference", path, err)
	}
}

func TestWhatAClientCannotDoIsRefusedWithAReason(t *testing.T) {
	zone := testZone(t, "strong", "")
	own := func(lines string) *config.Zone {
		return testZone(t, lines, "")
	}
	for _, c := range []struct {
		name, kind, want string
		change           func(*Input)
	}{
		{"a teapot", "teapot", `profile: "teapot": there are no profiles`, func(*Input) {}},
		{"X25519 alone for Windows", "windows", "key exchange: the zone takes x25519", func(in *Input) {
			in.Zone = own("{ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}")
		}},
		{"extended sequence numbers alone", "macos", "extended sequence numbers", func(in *Input) {
			in.Zone = own("{ike: [aes256gcm16-prfsha256-ecp256], esp: [aes256gcm16-ecp256-esn]}")
		}},
		{"AES-CBC whose PRF is of another hash", "windows", "PRF: the zone takes prfsha512", func(in *Input) {
			in.Zone = own("{ike: [aes256-sha256-prfsha512-ecp256], esp: [aes256gcm16-ecp256]}")
		}},
		{"other ports", "ios", "knows only the UDP ports 500 and 4500", func(in *Input) { in.Ports = config.Ports{IKE: 1500, NATT: 14500} }},
		{"a name that is not in the certificate", "windows", `does not carry "gw.example.net"`, func(in *Input) { in.Gateway = "gw.example.net" }},
		{"the same on Android", "android", `does not carry "gw.example.net"`, func(in *Input) {
			in.Zone, in.Gateway, in.Certificate = testZone(t, "compatible", ""), "gw.example.net", testFile(t, "device-rsa.crt")
		}},
		{"an ECDSA key on Android", "android", "cannot use the device's ECDSA256 key", func(in *Input) { in.Zone = testZone(t, "compatible", "") }},
		{"no key for Apple", "macos", "must hold the device's key", func(in *Input) { in.PKCS12 = nil }},
		{"a kill switch on Windows", "windows", "no such option", func(in *Input) { in.Options.KillSwitch = true }},
		{"always-on for a Mac", "macos", "no such option", func(in *Input) { in.Options.AlwaysOn = true }},
		{"a line end in a name", "swanctl", "cannot be printed", func(in *Input) { in.Device.Identity = "a\n}" }},
		{"an invisible letter in a zone", "mikrotik", "cannot be printed", func(in *Input) { in.Zone.Name = "a\u2028b" }},
		{"broken UTF-8", "ios", "cannot be printed", func(in *Input) { in.Gateway = "a\xff" }},
		{"a name without end", "sallyport", "cannot be printed", func(in *Input) { in.Dir = strings.Repeat("a", maxText+1) }},
		{"no name", "sallyport", "need a name", func(in *Input) { in.Identity = "" }},
		{"no certificate", "swanctl", "the device's certificate", func(in *Input) { in.Certificate = "nothing" }},
		{"no CA", "swanctl", "the gateway's CA", func(in *Input) { in.CA = in.CA[30:] }},
	} {
		z := *zone
		in := testInput(t, &z, "ecdsa")
		c.change(&in)
		if _, err := Make(c.kind, in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		} else if _, ok := err.(*RefusedError); !ok {
			t.Errorf("%s: the error is a %T", c.name, err)
		}
	}
}

func TestNoProfileHoldsAPrivateKey(t *testing.T) {
	for _, k := range Kinds() {
		p := mustMake(t, k.Name, testInput(t, testZone(t, "compatible", ""), keyFor(k.Name)))
		for _, f := range p.Files {
			if strings.Contains(string(f.Bytes()), "PRIVATE KEY") {
				t.Errorf("%s: a private key is in %s", k.Name, f.Name)
			}
		}
	}
}

func TestFileNamesAreSafe(t *testing.T) {
	for _, name := range []string{"../../etc/passwd", "a b;rm -rf", "C:\\x", "émile", "-rf"} {
		for _, k := range Kinds() {
			in := testInput(t, testZone(t, "compatible", ""), keyFor(k.Name))
			in.Device.Name = name
			for _, f := range mustMake(t, k.Name, in).Files {
				if strings.Trim(f.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != "" || strings.Contains(f.Name, "..") || f.Name[0] == '-' {
					t.Errorf("%s: %q makes the file %q", k.Name, name, f.Name)
				}
			}
		}
	}
}

func TestRoutesOfADefaultRouteForWindows(t *testing.T) {
	in := testInput(t, testZone(t, "strong", ""), "ecdsa")
	in.Zone.Pool.IPv6 = netip.MustParsePrefix("fd00:60::/64")
	in.Zone.Routes = config.Prefixes{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	if got := in.windowsRoutes(); !slices.Equal(got, []string{"2000::/3", "fc00::/7"}) {
		t.Errorf("script: %v", got)
	}
	var xml []string
	for _, r := range in.vpnRoutes() {
		xml = append(xml, netip.PrefixFrom(netip.MustParseAddr(r.Address), r.Bits).String())
	}
	if !slices.Equal(xml, []string{"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"}) {
		t.Errorf("ProfileXML: %v", xml)
	}
}

package freeradius_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/freeradius"
	"sallyport/posture/posturetest"
	"sallyport/posture/source"
)

// read reads files of a host whose names are relative to /etc/freeradius/3.0.
func read(t testing.TB, version string, files map[string]string) *posture.Host {
	t.Helper()
	fsys := fstest.MapFS{}
	var claimed []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p := "etc/freeradius/3.0/" + name
		fsys[p] = &fstest.MapFile{Data: []byte(files[name])}
		if freeradius.Claims(p, func() []byte { return []byte(files[name]) }) {
			claimed = append(claimed, p)
		}
	}
	h := &posture.Host{}
	in := source.NewInput(source.New("", fsys, false), h)
	if version != "" {
		in.Product(freeradius.Product, posture.Written(version, posture.Pos{}, version))
	}
	freeradius.Read(in.For("", claimed))
	return h
}

const eap = `eap {
	default_eap_type = md5 # weak
	md5 {
	}
	gtc {
		auth_type = PAP
	}
	tls-config tls-common {
		private_key_password = whatever
		certificate_file = ${certdir}/ssl-cert-snakeoil.pem
		tls_min_version = "1.0"
		cache {
			enable = no
			store {
				Tunnel-Private-Group-Id
			}
		}
		ocsp {
			enable = yes
		}
	}
	tls {
		tls = tls-common
	}
	ttls {
		tls = tls-common
		default_eap_type = md5
	}
	peap {
		tls = tls-common
	}
}
`

func TestAnEAPServerIsRead(t *testing.T) {
	h := read(t, "3.2.1", map[string]string{
		"radiusd.conf":        "certdir = /etc/certs\nlog {\n\tauth = no\n\tauth_badpass = yes\n}\nmodules {\n\t$INCLUDE mods-enabled/\n}\n",
		"mods-enabled/eap":    eap,
		"mods-enabled/mschap": "mschap {\n\trequire_encryption = yes\n}\n",
	})
	posturetest.Quiet(t, h)
	if len(h.EAP) != 1 {
		t.Fatalf("%d servers", len(h.EAP))
	}
	e := h.EAP[0]
	if e.DefaultType.V != "md5" || e.DefaultType.At.Line != 2 || fmt.Sprint(e.Methods.V) != "[md5 gtc tls ttls peap]" || fmt.Sprint(e.Inner.V) != "[md5 mschapv2]" || !posture.Is(e.GTCPAP, true) {
		t.Errorf("%+v", e)
	}
	if e.TLSMin.V != "1.0" || e.Certificate.V != "/etc/certs/ssl-cert-snakeoil.pem" || !posture.Is(e.Snakeoil, true) || !posture.Is(e.KeyPassword, true) || !posture.Is(e.CRL, false) || !posture.Is(e.OCSP, true) {
		t.Errorf("%+v", e)
	}
	if !posture.Is(e.MPPERequired, false) || !posture.Is(e.LogsAuth, false) || e.LogsAuth.Origin != posture.Explicit || !posture.Is(e.LogsSecrets, true) {
		t.Errorf("%+v", e)
	}
	if len(h.Secrets) != 1 || h.Secrets[0].Kind != posture.KeyPassword || string(h.Secrets[0].Value) != "whatever" {
		t.Errorf("%+v", h.Secrets)
	}
}

func TestDefaultsGoByVersion(t *testing.T) {
	for _, c := range []struct {
		version string
		auth    posture.Demand
		origin  posture.Origin
		tls     string
	}{
		{"3.2.1", posture.Never, posture.Default, "1.2"}, {"3.2.5", posture.Optional, posture.Default, "1.2"}, {"3.0.26", posture.Never, posture.Default, "1.0"},
		{"3.0.27", posture.Optional, posture.Default, "1.0"}, {"", posture.Never, posture.Inferred, "1.0"}, {"3.2.10", posture.Optional, posture.Default, "1.2"},
	} {
		h := read(t, c.version, map[string]string{"radiusd.conf": "$INCLUDE clients.conf\n", "clients.conf": "client a {\n\tipaddr = 192.0.2.1\n\tsecret = x\n}\n", "mods-enabled/eap": "eap {\n\ttls-config x {\n\t}\n}\n"})
		posturetest.Quiet(t, h)
		x := h.RADIUS[0]
		if x.MessageAuth.V != c.auth || x.MessageAuth.Origin != c.origin || !posture.Is(x.LimitProxy, c.auth != posture.Never) || h.EAP[0].TLSMin.V != c.tls || h.EAP[0].TLSMin.Origin != c.origin {
			t.Errorf("%s: %+v %+v %+v", c.version, x.MessageAuth, x.LimitProxy, h.EAP[0].TLSMin)
		}
	}
}

func TestClientsAreReadWithTheirSecrets(t *testing.T) {
	h := read(t, "3.2.5", map[string]string{
		"radiusd.conf": "security {\n\trequire_message_authenticator = yes\n}\n$INCLUDE clients.conf\n$INCLUDE proxy.conf\n",
		"clients.conf": `client localhost {
	ipaddr = 127.0.0.1
	proto = *
	secret = testing123
	require_message_authenticator = no
	limit { max_connections = 16 }
}
client any { ipv4addr = 0.0.0.0/0 secret = "a\"b\101 c" }
clients radsec {
	client peer {
		ipv6addr = 2001:db8::1
		proto = tls
		secret = radsec
	}
}
client env {
	ipaddr = 192.0.2.9
	secret = $ENV{RADIUS_SECRET}
	frobnicate = yes
}
`,
		"proxy.conf": "home_server up {\n\ttype = auth+acct\n\tipaddr = 192.0.2.77\n\tsecret = s3cret\n\tcoa {\n\t\tirt = 2\n\t}\n}\nrealm LOCAL {\n}\n",
	})
	type row struct {
		name, addr, secret string
		auth               posture.Demand
		tls, wild, server  bool
	}
	var got []row
	for i, x := range h.RADIUS {
		if s := h.Secrets[i]; s.Name != x.Name || s.Kind != posture.RADIUSSecret {
			t.Errorf("%+v", s.Subject)
		}
		got = append(got, row{x.Name, x.Address.V, string(h.Secrets[i].Value), x.MessageAuth.V, x.TLS.V, x.WildcardPeers.V, x.Server.V})
	}
	want := []row{
		{"localhost", "127.0.0.1", "testing123", posture.Never, false, false, true}, {"any", "0.0.0.0/0", "a\"bA c", posture.Always, false, true, true},
		{"peer", "2001:db8::1", "radsec", posture.Always, true, false, true}, {"env", "192.0.2.9", "", posture.Always, false, false, true},
		{"home_server up", "192.0.2.77", "s3cret", posture.Always, false, false, false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if h.Secrets[3].Storage != posture.Elsewhere || len(h.Notes) != 1 || h.Notes[0].At.Line != 19 {
		t.Errorf("%+v %v", h.Secrets[3], h.Notes)
	}
	if strings.Contains(fmt.Sprintf("%+v", h), "testing123") || strings.Contains(fmt.Sprintf("%+v", h), "s3cret") {
		t.Error("a secret is shown")
	}
}

func TestUsersAreReadByTheirPasswords(t *testing.T) {
	h := read(t, "3.2.1", map[string]string{"mods-config/files/authorize": `# users
alice	Cleartext-Password := "hello, world", NAS-Port == 1
	Reply-Message := "Hello, %{User-Name}",
	Framed-MTU = 1280
"bob smith" Crypt-Password := "$1$salt$x",
	Simultaneous-Use := 1
carol NT-Password := 0x0123, Crypt-Password := "$6$salt$x"
dave  MD5-Password := x
erin  Password-With-Header := "{clear}secret"
DEFAULT Auth-Type := Accept
DEFAULT	Framed-Protocol == PPP
	Framed-Protocol = PPP
frank
grace nonsense here
$INCLUDE more
`, "mods-config/files/more": "ivan Cleartext-Password := x\n", "users": "ivan Cleartext-Password := x\n"})
	type row struct {
		name, value string
		storage     posture.Storage
		anybody     bool
		line        int
	}
	want := []row{
		{"alice", "hello, world", posture.Clear, false, 2}, {"bob smith", "", posture.WeakHash, false, 5}, {"carol", "", posture.WeakHash, false, 7}, {"carol", "", posture.Hashed, false, 7},
		{"dave", "", posture.WeakHash, false, 8}, {"erin", "secret", posture.Clear, false, 9}, {"DEFAULT", "", posture.Clear, true, 10}, {"ivan", "x", posture.Clear, false, 1},
	}
	var got []row
	for _, s := range h.Secrets {
		got = append(got, row{s.Name, string(s.Value), s.Storage, s.Anybody.V, s.At.Line})
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if len(h.Notes) != 1 || h.Notes[0].At.Line != 14 {
		t.Errorf("%v", h.Notes)
	}
}

func TestUnlangIsPassedOver(t *testing.T) {
	h := read(t, "3.2.1", map[string]string{"radiusd.conf": "$INCLUDE sites-enabled/\npolicy {\n\tanything {\n\t\tif (x) { ok }\n\t}\n}\n", "sites-enabled/default": `server default {
	listen {
		type = auth
		tls {
			private_key_password = whatever
		}
	}
	authorize {
		if (&User-Name =~ /^[a-z]{3}"$/) {
			update reply { Reply-Message := "%{User-Name} {" }
		}
		elsif (x) { # }
			reject
		}
		else {
			-sql
		}
	}
	client inside {
		ipaddr = 192.0.2.1
		secret = x
	}
}
`})
	posturetest.Quiet(t, h)
	if len(h.RADIUS) != 1 || h.RADIUS[0].Name != "inside" || len(h.Secrets) != 2 {
		t.Errorf("%+v", h.RADIUS)
	}
}

func TestTheVersionIsInTheTitle(t *testing.T) {
	h := read(t, "", map[string]string{"radiusd.conf": "##\n## radiusd.conf\t-- FreeRADIUS server configuration file - 3.2.1\n##\nprefix = /usr\n"})
	if len(h.Products) != 1 || h.Products[0].Version.V != "3.2.1" || h.Products[0].Version.Origin != posture.Inferred {
		t.Errorf("%+v", h.Products)
	}
}

func TestDamageIsNotedAndTheRestRead(t *testing.T) {
	for text, kind := range map[string]posture.NoteKind{
		"}\n": posture.Malformed, "client a {\n": posture.Malformed, "frobnicate = yes\n": posture.Unparsed, "odd {\n}\n": posture.Unparsed, "= x\n": posture.Unparsed,
		"$INCLUDE /etc/passwd\n": posture.Unreadable, "$INCLUDE ../../../../x\n": posture.Outside, "$INCLUDE radiusd.conf\n": posture.Limit,
		strings.Repeat("x", 9000) + "\n": posture.Limit,
	} {
		h := read(t, "3.2.1", map[string]string{"radiusd.conf": text, "clients.conf": "client a {\n\tipaddr = 192.0.2.1\n\tsecret = x\n}\n"})
		if len(h.Notes) == 0 || h.Notes[0].Kind != kind || len(h.RADIUS) == 0 {
			t.Errorf("%.20q: %v, %d clients", text, h.Notes, len(h.RADIUS))
		}
	}
}

func TestAnOptionalIncludeMayBeMissing(t *testing.T) {
	h := read(t, "3.2.1", map[string]string{"radiusd.conf": "$-INCLUDE gone.conf\n$-INCLUDE clients.conf\nconfdir = /etc/freeradius/3.0\n$INCLUDE ${confdir}/x/a.conf\n", "clients.conf": "client a {\n\tsecret = x\n}\n",
		"x/a.conf": "$INCLUDE ${confdir}/x/b.conf\n", "x/b.conf": "client b {\n\tsecret = y\n}\n"})
	posturetest.Quiet(t, h)
	if len(h.RADIUS) != 2 || h.RADIUS[0].Address.V != "a" {
		t.Errorf("%+v", h.RADIUS)
	}
}

func TestItsFilesAreClaimed(t *testing.T) {
	for p, want := range map[string]bool{
		"etc/freeradius/3.0/clients.conf": true, "etc/raddb/mods-enabled/eap": true, "etc/freeradius/3.0/mods-available/eap": false, "raddb/users": true,
		"etc/freeradius/3.0/mods-config/files/authorize": true, "etc/freeradius/3.0/clients.conf~": false, "etc/nginx/proxy.conf": false, "users": false,
	} {
		if got := freeradius.Claims(p, func() []byte { return []byte("server {\n") }); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
	if !freeradius.Claims("clients.conf", func() []byte { return []byte("# all\nclient localhost {\n") }) {
		t.Error("clients.conf by itself")
	}
}

// The configuration that Debian installs has nothing that is not known.
func TestNamesOfVersion2AreKnown(t *testing.T) {
	h := read(t, "", map[string]string{"eap.conf": "eap {\n\tdefault_eap_type = tls\n\ttls {\n\t\tCA_file = ${cadir}/ca.pem\n\t\tCA_path = ${cadir}\n\t}\n}\n"})
	for _, n := range h.Notes {
		if n.Kind == posture.Unparsed {
			t.Errorf("%s", n.Text)
		}
	}
}

func TestStockFilesOfThisHostAreKnown(t *testing.T) {
	tree, err := source.Open("/etc/freeradius/3.0")
	if err != nil {
		t.Skip("needs Debian's package freeradius, which make test installs: " + err.Error())
	}
	defer tree.Close()
	files, _ := tree.Walk(".")
	if _, err := os.ReadFile("/etc/freeradius/3.0/radiusd.conf"); err != nil {
		t.Skip("needs root, because Debian lets nobody else read them: " + err.Error())
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		return !freeradius.Claims("etc/freeradius/3.0/"+f, func() []byte { return tree.Head(f, 8192) })
	})
	h := &posture.Host{}
	freeradius.Read(source.NewInput(tree, h).For("", files))
	for _, n := range h.Notes {
		t.Errorf("%+v", n)
	}
	if len(h.EAP) == 0 || len(h.RADIUS) < 2 {
		t.Errorf("%d servers of EAP, %d clients", len(h.EAP), len(h.RADIUS))
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a = b\n$INCLUDE clients.conf\nmodules {\n$INCLUDE mods-enabled/\n}\n", "client x {\nsecret = \"a\\101\"\n}\n", eap, "alice Cleartext-Password := \"x\", A == 1\n")
	f.Fuzz(func(t *testing.T, conf, clients, eap, users string) {
		h := read(t, "", map[string]string{"radiusd.conf": conf, "clients.conf": clients, "mods-enabled/eap": eap, "mods-enabled/mschap": clients, "users": users})
		if len(h.Notes) > source.MostNotes+1 {
			t.Errorf("%d notes", len(h.Notes))
		}
	})
}

package ipsecconf

import (
	"fmt"
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

// files is a target, by path.
type files map[string]string

// readAll reads a target as one host.
func readAll(t testing.TB, f files, products ...string) *posture.Host {
	t.Helper()
	m := fstest.MapFS{}
	var claimed []string
	for name, text := range f {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
		if Claims(name, func() []byte { return []byte(text) }) {
			claimed = append(claimed, name)
		}
	}
	slices.Sort(claimed)
	h := &posture.Host{}
	in := source.NewInput(source.New("", m, true), h)
	for _, p := range products {
		name, version, _ := strings.Cut(p, " ")
		in.Product(name, posture.Written(version, posture.Pos{}, version))
	}
	Read(in.For("", claimed))
	return h
}

func one(t testing.TB, text string, products ...string) posture.Connection {
	t.Helper()
	h := readAll(t, files{"ipsec.conf": text}, products...)
	if len(h.Connections) != 1 {
		t.Fatalf("%d connections, notes %v", len(h.Connections), h.Notes)
	}
	return h.Connections[0]
}

func TestAConnForL2TPWhoseVersionNobodyKnowsIsOfIKEv1(t *testing.T) {
	const conf = "config setup\n\tvirtual-private=%v4:10.0.0.0/8\nconn l2tp\n\ttype=transport\n\tleft=%defaultroute\n\tleftprotoport=17/1701\n\tright=%any\n\tauto=add\n"
	if c := one(t, conf); !posture.Is(c.V1, true) || !posture.Is(c.V2, false) || c.V1.Origin != posture.Inferred {
		t.Errorf("version unknown: %+v %+v", c.V1, c.V2)
	}
	if c := one(t, conf, "Libreswan 5.2"); !posture.Is(c.V1, false) {
		t.Errorf("5.2: %+v", c.V1)
	}
}

func TestAFileThatIsIndentedAsAWholeIsReadWithAWarning(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "  version 2.0\n  config setup\n    virtual-private=%v4:10.0.0.0/8\n\n  conn a\n    left=192.0.2.1\n    right=192.0.2.2\n    ike=3des-md5;modp1024\n    auto=start\n"})
	if len(h.Connections) != 1 || h.Connections[0].Name != "a" || len(h.Connections[0].IKE.V) != 1 {
		t.Fatalf("%+v", h.Connections)
	}
	if len(h.Notes) != 2 || h.Notes[1].Kind != posture.Malformed || !strings.Contains(h.Notes[1].Text, "first column") {
		t.Errorf("%+v", h.Notes)
	}
}

func TestOpenswanIsToldFromLibreswan(t *testing.T) {
	const conf = "config setup\n\tnat_traversal=yes\n\tprotostack=netkey\nconn l2tp\n\tauthby=secret\n\ttype=transport\n\tleft=192.0.2.1\n\tleftprotoport=17/1701\n\tright=%any\n\tauto=add\n"
	for _, c := range []struct {
		name string
		f    files
		list []string // packages
		want string
	}{
		{"the title", files{"ipsec.conf": "# /etc/ipsec.conf - Openswan IPsec configuration file\n" + conf}, nil, "Openswan"},
		{"Debian's secrets", files{"ipsec.conf": conf, "ipsec.secrets": "include /var/lib/openswan/ipsec.secrets.inc\n"}, nil, "Openswan"},
		{"the title of the successor, which names both", files{"ipsec.conf": "# /etc/ipsec.conf - Libreswan IPsec configuration file\n# for openswan: version 2\n" + conf}, nil, "Libreswan"},
		{"the package of the successor", files{"ipsec.conf": "# /etc/ipsec.conf - Openswan IPsec configuration file\n" + conf}, []string{"Libreswan 3.25"}, "Libreswan"},
		{"nothing", files{"ipsec.conf": conf}, nil, "Libreswan"},
	} {
		h := readAll(t, c.f, c.list...)
		if len(h.Connections) != 1 || h.Connections[0].Product != c.want {
			t.Errorf("%s: %+v", c.name, h.Products)
			continue
		}
		ike := h.Connections[0].IKE
		if old := strings.Contains(ike.V[0].Text, "md5"); old != (c.want == "Openswan") || old && ike.Why != "version unknown: default of Openswan 2.6" {
			t.Errorf("%s: %s, %s", c.name, ike.V[0].Text, ike.Why)
		}
	}
}

func TestATemplateThatLacksASideIsNotLoaded(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "config setup\n\tvirtual-private=%v4:10.0.0.0/8\nconn all\n\tleft=192.0.2.1\n\tauto=start\nconn a\n\talso=all\n\tright=192.0.2.2\n"})
	if len(h.Connections) != 1 || h.Connections[0].Name != "a" || h.Connections[0].Disabled {
		t.Errorf("%+v", h.Connections)
	}
}

func TestAPPKIsProposedByDefaultOnlyWhereThereIsOne(t *testing.T) {
	conf := "config setup\n\tvirtual-private=%v4:10.0.0.0/8\nconn a\n\tkeyexchange=ikev2\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\tauto=start\n"
	for secrets, want := range map[string]posture.Demand{"@a @b : PSK \"x\"\n": posture.Never, "@a @b : PPKS \"id\" \"x\"\n": posture.Optional} {
		h := readAll(t, files{"ipsec.conf": conf, "ipsec.secrets": secrets})
		if c := named(h, "a"); c == nil || !posture.Is(c.PPK, want) {
			t.Errorf("%q: %+v", secrets, c)
		}
	}
}

func named(h *posture.Host, name string) *posture.Connection {
	for i := range h.Connections {
		if h.Connections[i].Name == name {
			return &h.Connections[i]
		}
	}
	return nil
}

func words(v posture.Value[[]posture.Proposal]) string {
	var all []string
	for _, p := range v.V {
		all = append(all, proposal.StrongSwanWords(p))
	}
	return strings.Join(all, ",")
}

func noteTexts(h *posture.Host) string {
	var all []string
	for _, n := range h.Notes {
		all = append(all, fmt.Sprintf("%s:%d %s %s", n.At.File, n.At.Line, n.Kind, n.Text))
	}
	return strings.Join(all, "\n")
}

func TestTheProductIsToldByItsWords(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       posture.Dialect
	}{
		{"virtual-private", "config setup\n virtual-private=%v4:10.0.0.0/8\n", posture.Libreswan},
		{"phase2alg", "conn a\n phase2alg=aes-sha1\n", posture.Libreswan},
		{"ikev2", "conn a\n ikev2=insist\n", posture.Libreswan},
		{"ikev1-policy", "config setup\n ikev1-policy=accept\n", posture.Libreswan},
		{"crypto policy", "include /etc/crypto-policies/back-ends/libreswan.config\n", posture.Libreswan},
		{"XAUTH", "conn a\n leftxauthserver=yes\n", posture.Libreswan},
		{"proposal with a semicolon", "conn a\n ike=aes256-sha2;dh14\n", posture.Libreswan},
		{"default route", "conn a\n left=%defaultroute\n", posture.Libreswan},
		{"logfile", "config setup\n logfile=/var/log/pluto.log\n", posture.Libreswan},
		{"the shipped file's include", "include /etc/ipsec.d/*.conf\n", posture.Libreswan},
		{"a default route beside a word of strongSwan's", "conn a\n left=%defaultroute\n leftauth=psk\n rightauth=psk\n", posture.Starter},
		{"a pool", "conn a\n left=%defaultroute\n rightsourceip=10.8.0.0/16,fd00::/64\n", posture.Starter},
		{"a client", "conn a\n left=%defaultroute\n leftsourceip=%config\n", posture.Starter},
		{"charondebug", "config setup\n charondebug=\"ike 2\"\n", posture.Starter},
		{"charondebug beside words from a guide", "config setup\n charondebug=\"ike 2\"\nconn a\n left=%defaultroute\n", posture.Starter},
		{"strictcrlpolicy", "config setup\n strictcrlpolicy=yes\n", posture.Starter},
		{"leftauth", "conn a\n leftauth=pubkey\n", posture.Starter},
		{"rightauth2", "conn a\n rightauth2=xauth\n", posture.Starter},
		{"strict proposal", "conn a\n esp=aes256-sha1!\n", posture.Starter},
		{"old strongSwan without the route", "conn a\n left=%defaultroute\n leftfirewall=yes\n rightauth=eap-mschapv2\n eap_identity=%any\n", posture.Starter},
		{"the shipped file's title", "# ipsec.conf - strongSwan IPsec configuration file\nversion 2.0\n", posture.Starter},
		{"its title", "# /etc/ipsec.conf - Libreswan 4.0 configuration file\n", posture.Libreswan},
		{"nothing", "conn a\n left=10.0.0.1\n right=10.0.0.2\n", posture.Starter},
	} {
		h := readAll(t, files{"ipsec.conf": c.text})
		if len(h.Products) != 1 || h.Products[0].Dialect != c.want {
			t.Errorf("%s: %v", c.name, h.Products)
		}
		if guess := strings.Contains(noteTexts(h), "cannot be told apart"); guess != (c.name == "nothing") {
			t.Errorf("%s: notes %v", c.name, noteTexts(h))
		}
	}
}

func TestAPackageAndAPathOutweighWords(t *testing.T) {
	left := "conn a\n left=%defaultroute\n phase2alg=aes-sha1\n"
	if h := readAll(t, files{"ipsec.conf": left}, "strongSwan 5.9.8"); h.Products[0].Dialect != "" || h.Connections[0].Dialect != posture.Starter {
		t.Errorf("by version: %v", h.Connections[0].Dialect)
	}
	h := readAll(t, files{"etc/strongswan/ipsec.conf": left, "etc/ipsec.conf": "conn b\n phase2alg=aes-sha1\n"})
	if a, b := named(h, "a"), named(h, "b"); a == nil || b == nil || a.Dialect != posture.Starter || b.Dialect != posture.Libreswan {
		t.Errorf("by path: %v", h.Connections)
	}
}

func TestSettingsAreFoundNearestFirst(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": `version 2.0
conn %default
	ikelifetime=1h
	rekey=no
	keyexchange=ikev2

conn forward   # takes from one further down
	also=base
	auto=add
	ikelifetime = 2h
	ikelifetime = "3h"	# the newest line wins

conn base
	ikelifetime=4h
	lifetime=600
	right=192.0.2.1
	also=deeper
conn deeper
	lifetime=700
	dpdaction=clear
	rightid=@#0a0b
conn backward
	auto=start
	also=deeper
`}, "strongSwan 5.9.8")
	f, b := named(h, "forward"), named(h, "backward")
	if f == nil || b == nil || len(h.Connections) != 2 {
		t.Fatalf("%v", h.Connections)
	}
	if f.IKELife.V != 3*time.Hour || f.IKELife.At != (posture.Pos{File: "ipsec.conf", Line: 11, Col: 2}) || f.IKELife.Text != "ikelifetime=3h" {
		t.Errorf("own: %+v", f.IKELife)
	}
	if f.Children[0].Life.V != 10*time.Minute || f.DPD.V != 30*time.Second || f.Rekey.V || f.V1.V || !f.V2.V || f.Remote[0].ID.V != "@#0a0b" {
		t.Errorf("taken: %+v", f)
	}
	if b.Children[0].Life.V != 700*time.Second || b.IKELife.V != time.Hour || b.IKELife.Origin != posture.Explicit {
		t.Errorf("backward: %+v", b)
	}
	if b.Role.V != posture.Answers|posture.Initiates || f.Role.V != posture.Answers {
		t.Errorf("roles: %v %v", f.Role, b.Role)
	}
}

func TestCirclesAreNotedAndEnd(t *testing.T) {
	h := readAll(t, files{
		"ipsec.conf":     "include ipsec.d/*.conf\nconn a\n also=b\n auto=add\nconn b\n also=a\n also=c\n lifetime=5m\nconn c\n also=c\n also=nobody\n",
		"ipsec.d/x.conf": "include ../ipsec.conf\ninclude x.conf\ninclude ../../../etc/passwd\nconn x\n auto=add\n",
	})
	a := named(h, "a")
	if a == nil || a.Children[0].Life.V != 5*time.Minute || named(h, "x") == nil {
		t.Fatalf("%v", h.Connections)
	}
	for _, want := range []string{"also=a goes in a circle", "also=c goes in a circle", "also=nobody: there is no such section", `"ipsec.conf" includes itself`, `"ipsec.d/x.conf" includes itself`, "leaves what was given"} {
		if !strings.Contains(noteTexts(h), want) {
			t.Errorf("no note %q in\n%s", want, noteTexts(h))
		}
	}
}

func TestWhatIsNotKnownIsNoted(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": `config setup
	charondebug="cfg 2"
	frobnicate=yes
	phase2alg=aes
conn a
	auto=add
	leftxauthserver=yes
	x-comment=mine
	rekey=perhaps
	ikelifetime=soon
	leftid="no end
	esp=aes256-frob512!
lifetime=1h
 lonely
frob b
config files
conn
`})
	for _, want := range []string{
		`ipsec.conf:3 unparsed "frobnicate" is not known in "config"`, `ipsec.conf:4 unparsed "phase2alg" is not known`, `ipsec.conf:7 unparsed "leftxauthserver" is not a word of strongSwan`,
		`ipsec.conf:9 unparsed "perhaps" is no value of "rekey"`, `ipsec.conf:10 unparsed "soon" is no value`, `ipsec.conf:11 malformed the quote`, `ipsec.conf:12 unparsed "frob512" is no algorithm`,
		`ipsec.conf:13 malformed "lifetime" must be indented`, `ipsec.conf:14 unparsed (a word`, `ipsec.conf:15 unparsed "frob"`, `ipsec.conf:16 malformed "config"`, `ipsec.conf:17 malformed`,
	} {
		if !strings.Contains(noteTexts(h), want) {
			t.Errorf("no note %q in\n%s", want, noteTexts(h))
		}
	}
	if len(h.Notes) != 12 {
		t.Errorf("%d notes:\n%s", len(h.Notes), noteTexts(h))
	}
	if c := named(h, "a"); c == nil || !c.Rekey.V || c.IKELife.V != 3*time.Hour || c.Children[0].Life.V != time.Hour {
		t.Errorf("%+v", c)
	}
}

// installer is a configuration such as scripts write that set up L2TP and IPsec
// for phones.
var installer = files{
	"etc/ipsec.conf": `version 2.0

config setup
  ikev1-policy=accept
  virtual-private=%v4:10.0.0.0/8,%v4:192.168.0.0/16,%v4:!192.168.42.0/24
  uniqueids=no

conn shared
  left=%defaultroute
  leftid=203.0.113.9
  right=%any
  encapsulation=yes
  authby=secret
  pfs=no
  rekey=no
  keyingtries=5
  dpddelay=30
  dpdtimeout=300
  dpdaction=clear
  ikev2=never
  ike=aes256-sha2;modp2048,aes128-sha1;modp1024
  phase2alg=aes_gcm-null,aes256-sha2_512,3des-sha1
  ikelifetime=24h
  salifetime=24h
  sha2-truncbug=no

conn l2tp-psk
  auto=add
  leftprotoport=17/1701
  rightprotoport=17/%any
  type=transport
  also=shared

conn xauth-psk
  auto=add
  leftsubnet=0.0.0.0/0
  rightaddresspool=192.168.43.10-192.168.43.250
  modecfgdns="8.8.8.8 8.8.4.4"
  leftxauthserver=yes
  rightxauthclient=yes
  leftmodecfgserver=yes
  rightmodecfgclient=yes
  modecfgpull=yes
  xauthby=file
  fragmentation=yes
  cisco-unity=yes
  also=shared

include /etc/ipsec.d/*.conf
`,
	"etc/ipsec.secrets":  "%any  %any  : PSK \"correct horse\"\n",
	"etc/ipsec.d/passwd": "anna:$1$abcdefgh$0123456789012345678901:xauth-psk\n",
	"etc/ipsec.d/ikev2.conf": `conn ikev2-cp
  left=%defaultroute
  leftcert=vpn.example.com
  leftsendcert=always
  leftsubnet=0.0.0.0/0
  leftrsasigkey=%cert
  right=%any
  rightid=%fromcert
  rightaddresspool=192.168.43.10-192.168.43.250
  rightca=%same
  rightrsasigkey=%cert
  authby=rsa-sha2,rsasig
  keyexchange=ikev2
  auto=add
  ms-dh-downgrade=yes
  esn=no
  ike=aes_gcm_c_256-hmac_sha2_256-ecp_256
`,
}

func TestAnInstallersFilesAreReadAsPlutoReadsThem(t *testing.T) {
	h := readAll(t, installer, "Libreswan 4.12")
	if len(h.Notes) != 0 {
		t.Errorf("notes:\n%s", noteTexts(h))
	}
	if len(h.Connections) != 3 {
		t.Fatalf("%d connections", len(h.Connections))
	}
	l, x, k := named(h, "l2tp-psk"), named(h, "xauth-psk"), named(h, "ikev2-cp")
	lc, xc := l.Children[0], x.Children[0]
	for what, ok := range map[string]bool{
		"IKEv1 only":         l.V1.V && !l.V2.V && l.V1.Text == "ikev2=never",
		"any peer":           l.AnyPeer.V && l.Role.V == posture.Answers && !l.Disabled,
		"PSK":                l.Local[0].Method.V == posture.MethodPSK && l.Remote[0].Method.V == posture.MethodPSK && len(l.Remote) == 1,
		"IKE":                words(l.IKE) == "aes256-sha256-modp2048,aes128-sha1-modp1024" && !l.IKEImplicit.V,
		"ESP":                words(lc.ESP) == "aes256gcm16-aes128gcm16,aes256-sha512,3des-sha1" && lc.ESP.Text == "phase2alg=aes_gcm-null,aes256-sha2_512,3des-sha1",
		"no PFS":             posture.Is(lc.PFS, posture.Never),
		"lives":              l.IKELife.V == 24*time.Hour && lc.Life.V == 24*time.Hour && lc.Life.Text == "salifetime=24h",
		"not rekeyed":        posture.Is(l.Rekey, false),
		"DPD":                l.DPD.V == 30*time.Second,
		"L2TP":               lc.L2TP && lc.Transport.V && !xc.L2TP && !xc.Transport.V,
		"no trunc":           posture.Is(lc.SHA256Trunc, false) && lc.SHA256Trunc.Origin == posture.Explicit,
		"window by default":  lc.Replay.V == 128 && lc.Replay.Origin == posture.Default && lc.Replay.Why == "default of Libreswan 4.12",
		"open or not":        !lc.FailOpen.Known(),
		"no PPK in IKEv1":    posture.Is(l.PPK, posture.Never),
		"NAT":                posture.Is(l.NATT, true),
		"XAUTH":              len(x.Remote) == 2 && x.Remote[1].XAUTH && len(x.Local) == 1,
		"DNS":                slices.Equal(x.DNS.V, []string{"8.8.8.8", "8.8.4.4"}),
		"pool":               len(x.Pool.V) == 1 && len(l.Pool.V) == 0,
		"selectors":          slices.Equal(xc.LocalTS.V, []string{"0.0.0.0/0"}) && slices.Equal(lc.LocalTS.V, []string{"dynamic[17/1701]"}),
		"IKEv2":              k.V2.V && !k.V1.V && k.Obeys.V && k.SHA1Sig.V,
		"no PPK there":       posture.Is(k.PPK, posture.Never),
		"certificates":       k.Remote[0].Method.V == posture.MethodPubkey && k.Remote[0].CA.V == "%same" && k.Local[0].CertFile == "vpn.example.com",
		"soft revocation":    posture.Is(k.Revocation, posture.Never) && !l.Revocation.Known(),
		"no ESN":             posture.Is(k.Children[0].ESN, false),
		"PFS with IKE's own": len(k.Children[0].ESP.V[0].Of(suite.KE)) == 0 && k.Children[0].PFS.V == posture.Always,
	} {
		if !ok {
			t.Errorf("%s: is not so\n%+v", what, l)
		}
	}
	psk, user := h.Secrets[0], h.Secrets[1]
	if user.Kind == posture.PSK {
		psk, user = user, psk
	}
	if string(psk.Value) != "correct horse" || !posture.Is(psk.Anybody, true) || psk.Name != "%any %any" || len(psk.Traps) != 0 {
		t.Errorf("%+v", psk)
	}
	if user.Storage != posture.WeakHash || user.Name != "anna" || len(user.Value) != 0 {
		t.Errorf("%+v", user)
	}
	d := h.Daemons[0]
	if d.Name != "pluto" || d.Sandboxed.V || !d.Cookies.V || d.StrictCRL.V != posture.Never || !d.LogsAuth.V || d.LogsSecrets.V {
		t.Errorf("%+v", d)
	}
	for _, f := range h.Files {
		if f.Dialect != posture.Libreswan || f.Secrets != (strings.HasSuffix(f.Path, ".secrets") || strings.HasSuffix(f.Path, "passwd")) {
			t.Errorf("%+v", f)
		}
	}
}

func TestVersionsOfLibreswanDifferInWhatTheyTake(t *testing.T) {
	for _, c := range []struct {
		version, conn string
		v1, v2        bool
	}{
		{"3.29", "", true, true},
		{"3.29", "ikev2=insist", false, true},
		{"3.29", "ikev2=propose", true, true},
		{"4.12", "", false, true},
		{"4.12", "ikev2=no", true, false},
		{"4.12", "ikev2=permit", true, false},
		{"4.12", "ikev2=propose", false, true},
		{"5.3", "", false, true},
		{"5.3", "keyexchange=ikev1", false, false}, // ikev1-policy=drop
		{"5.3", "keyexchange=ike", false, true},
		{"", "ikev2=never", true, false},
	} {
		var products []string
		if c.version != "" {
			products = []string{"Libreswan " + c.version}
		}
		got := one(t, "config setup\n virtual-private=%v4:10.0.0.0/8\nconn a\n auto=add\n "+c.conn+"\n", products...)
		if got.V1.V != c.v1 || got.V2.V != c.v2 {
			t.Errorf("%s %q: %v %v", c.version, c.conn, got.V1, got.V2)
		}
	}
}

func TestDefaultsFollowTheVersion(t *testing.T) {
	for _, c := range []struct {
		product string
		life    time.Duration
		child   time.Duration
		replay  int
		esn     bool
		pfs     posture.Demand
		origin  posture.Origin
	}{
		{"Libreswan 3.29", time.Hour, 8 * time.Hour, 32, false, posture.Always, posture.Default},
		{"Libreswan 4.5", 8 * time.Hour, 8 * time.Hour, 32, false, posture.Always, posture.Default},
		{"Libreswan 5.3", 8 * time.Hour, 8 * time.Hour, 128, true, posture.Always, posture.Default},
		{"strongSwan 5.3.5", 3 * time.Hour, time.Hour, 32, false, posture.Never, posture.Default},
		{"strongSwan 5.9.8", 3 * time.Hour, time.Hour, 32, false, posture.Never, posture.Default},
		{"strongSwan 6.0.6", 3 * time.Hour, time.Hour, 32, false, posture.Optional, posture.Default},
		{"", 3 * time.Hour, time.Hour, 32, false, posture.Never, posture.Inferred},
	} {
		var products []string
		if c.product != "" {
			products = []string{c.product}
		}
		got := one(t, "conn a\n auto=start\n right=192.0.2.1\n", products...)
		ch := got.Children[0]
		if got.IKELife.V != c.life || ch.Life.V != c.child || ch.Replay.V != c.replay || ch.ESN.V != c.esn || ch.PFS.V != c.pfs {
			t.Errorf("%s: %v %v %v %v %v", c.product, got.IKELife, ch.Life, ch.Replay, ch.ESN, ch.PFS)
		}
		if got.IKELife.Origin != c.origin || ch.Replay.Origin != c.origin || got.IKE.Origin != c.origin || !got.IKEImplicit.V || len(got.IKE.V) < 2 {
			t.Errorf("%s: origin %v %v %v", c.product, got.IKELife, got.IKE.Origin, got.IKEImplicit)
		}
	}
}

func TestStrongSwanAddsItsDefaultsUnlessToldNotTo(t *testing.T) {
	strict := one(t, "conn a\n auto=add\n ike=aes256-sha256-modp2048,aes128-sha1-modp1024!\n esp=aes256gcm16-ecp384-esn-noesn!\n", "strongSwan 5.9.8")
	if words(strict.IKE) != "aes256-sha256-modp2048,aes128-sha1-modp1024" || len(strict.IKE.V) != 2 || strict.IKEImplicit.V {
		t.Errorf("strict: %v", strict.IKE)
	}
	ch := strict.Children[0]
	if ch.PFS.V != posture.Always || !ch.ESN.V || ch.ESPImplicit.V {
		t.Errorf("strict child: %+v", ch)
	}
	loose := one(t, "conn a\n auto=add\n ike=aes256-sha256-modp2048\n esp=aes256-sha256-modp2048\n", "strongSwan 5.9.8")
	if len(loose.IKE.V) != 3 || !loose.IKEImplicit.V || loose.IKEImplicit.Origin != posture.Explicit || loose.Children[0].PFS.V != posture.Optional {
		t.Errorf("loose: %v %v %v", loose.IKE, loose.IKEImplicit, loose.Children[0].PFS)
	}
}

func TestADaemonsNameServersCountBesideTheConns(t *testing.T) {
	const text = "conn a\n  right=%any\n  rightsourceip=10.9.0.0/24\n  rightdns=10.0.0.53\n  auto=add\n"
	daemon := []posture.Daemon{{Subject: posture.Subject{Dialect: posture.Swanctl}, Product: nameStrongSwan, DNS: posture.Written([]string{"8.8.8.8"}, posture.Pos{}, "8.8.8.8")}}
	h := &posture.Host{Daemons: daemon}
	in := source.NewInput(source.New("", fstest.MapFS{"ipsec.conf": {Data: []byte(text)}}, true), h)
	in.Product(nameStrongSwan, posture.Written("5.9.8", posture.Pos{}, "5.9.8"))
	Read(in.For("", []string{"ipsec.conf"}))
	if got := h.Connections[0].DNS; !slices.Equal(got.V, []string{"10.0.0.53", "8.8.8.8"}) {
		t.Errorf("%+v", got)
	}
}

func TestAByteOrderMarkKeepsStrongSwanFromTheFile(t *testing.T) {
	const text = "\ufeff# ours\nconn a\n  right=192.0.2.1\n  auto=add\n"
	for product, want := range map[string]bool{"strongSwan 5.9.8": true, "Libreswan 4.9": false} {
		h := readAll(t, files{"ipsec.conf": text}, product)
		if got := strings.Contains(noteTexts(h), "byte order mark"); got != want || len(h.Connections) != 1 {
			t.Errorf("%s: %s, %d connections", product, noteTexts(h), len(h.Connections))
		}
	}
}

func TestProofsOfBothProducts(t *testing.T) {
	methods := func(all []posture.Auth) string {
		var out []string
		for _, a := range all {
			text := string(a.Method.V)
			if a.XAUTH {
				text += "+x"
			}
			if len(a.EAP.V) > 0 {
				text += ":" + a.EAP.V[0]
			}
			out = append(out, text)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct{ product, conn, local, remote string }{
		{"strongSwan 5.9", "", "pubkey", "pubkey"},
		{"strongSwan 5.9", "authby=secret", "psk", "psk"},
		{"strongSwan 5.9", "leftauth=pubkey rightauth=eap-mschapv2", "pubkey", "eap:mschapv2"},
		{"strongSwan 5.9", "leftauth=psk rightauth=psk rightauth2=xauth-pam", "psk", "psk xauth+x"},
		{"strongSwan 5.9", "leftauth=pubkey rightauth=xauth", "pubkey", "hybrid+x"},
		{"strongSwan 5.9", "leftauth=rsa-4096-sha256 rightauth=pubkey rightauth2=eap-tls", "pubkey", "pubkey eap:tls"},
		{"strongSwan 5.9", "authby=xauthpsk xauth=server", "psk", "psk xauth+x"},
		{"strongSwan 5.9", "authby=xauthrsasig", "pubkey xauth+x", "pubkey"},
		{"Libreswan 5.1", "", "pubkey", "pubkey"},
		{"Libreswan 5.1", "authby=secret|rsasig", "psk", "psk"},
		{"Libreswan 5.1", "authby=null", "null", "null"},
		{"Libreswan 5.1", "authby=rsa-sha2_512,ecdsa", "pubkey", "pubkey"},
		{"Libreswan 5.1", "leftauth=rsasig rightauth=eaponly rightautheap=tls", "pubkey", "eap:tls"},
		{"Libreswan 5.1", "authby=secret leftxauthclient=yes", "psk xauth+x", "psk"},
		{"Libreswan 5.1", "authby=never", "", ""},
	} {
		text := "conn a\n auto=add\n " + strings.ReplaceAll(c.conn, " ", "\n ") + "\n"
		got := one(t, text, c.product)
		local, remote := methods(got.Local), methods(got.Remote)
		if local != c.local || remote != c.remote {
			t.Errorf("%s %q: %q %q", c.product, c.conn, local, remote)
		}
	}
}

func TestWhatCharonAsksByEAPIsEntered(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "conn a\n auto=add\n rightauth=eap-ttls\n rightsourceip=10.9.0.0/24\n rightdns=10.9.0.1,10.9.0.2\nconn b\n auto=add\n rightauth=eap-ttls\nconn c\n auto=add\n leftsourceip=%config\n rightauth=eap-radius\n"})
	if len(h.EAP) != 1 || h.EAP[0].Name != "eap-ttls" || h.EAP[0].Inner.V[0] != "md5" || h.EAP[0].TLSMin.V != "1.0" {
		t.Errorf("%+v", h.EAP)
	}
	a, c := h.Connections[0], h.Connections[2]
	if len(a.DNS.V) != 2 || a.Pool.V[0] != "10.9.0.0/24" || a.AsksAddress.V || !c.AsksAddress.V || len(c.Pool.V) != 0 {
		t.Errorf("%+v\n%+v", a, c)
	}
}

func TestPacketsThatLeaveInTheClear(t *testing.T) {
	for _, c := range []struct {
		product, conn string
		known, open   bool
	}{
		{"Libreswan 5.1", "", false, false},
		{"Libreswan 5.1", "auto=ondemand", true, false},
		{"Libreswan 5.1", "failureshunt=passthrough", true, true},
		{"Libreswan 5.1", "failureshunt=drop", false, false},
		{"Libreswan 5.1", "failureshunt=drop auto=start", true, false},
		{"Libreswan 5.1", "negotiationshunt=passthrough", true, true},
		{"Libreswan 5.1", "type=passthrough authby=never", true, true},
		{"Libreswan 5.1", "type=drop", true, false},
		{"strongSwan 5.9", "auto=start", false, false},
		{"strongSwan 5.9", "auto=start rightsubnet=10.0.0.0/8", true, true},
		{"strongSwan 5.9", "auto=route", true, false},
		{"strongSwan 5.9", "right=%any", false, false},
		{"strongSwan 5.9", "type=pass", true, true},
	} {
		text := "conn a\n auto=add\n right=192.0.2.1\n " + strings.ReplaceAll(c.conn, " ", "\n ") + "\n"
		got := one(t, text, c.product).Children[0].FailOpen
		if got.Known() != c.known || got.V != c.open {
			t.Errorf("%s %q: %+v", c.product, c.conn, got)
		}
	}
}

func TestWhatIsNotLoadedIsDisabled(t *testing.T) {
	h := readAll(t, files{
		"ipsec.conf":       "conn a\n auto=ignore\n charon=1\nconn b\nconn c\n auto=add\nconn manual\n spi=0x200\n espenckey=0xsecretkey\n auto=add\n",
		"ipsec.d/old.conf": "conn d\n auto=add\n",
	})
	for name, disabled := range map[string]bool{"a": true, "b": true, "c": false, "d": true} {
		if c := named(h, name); c == nil || c.Disabled != disabled {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if len(h.Manual) != 1 || h.Manual[0].Name != "manual" || strings.Contains(fmt.Sprintf("%+v", h), "secretkey") {
		t.Errorf("manual: %+v", h.Manual)
	}
	if !strings.Contains(noteTexts(h), "nothing includes this file") {
		t.Error(noteTexts(h))
	}
}

func TestWordsBehindANameDoNotLoseTheSection(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "config setup // the daemon\n strictcrlpolicy=yes\nconn %default // for all\n keyexchange=ikev2\nconn a // one\n auto=add\n"})
	if c := named(h, "a"); c == nil || !posture.Is(c.V1, false) || !posture.Is(h.Daemons[0].StrictCRL, posture.Always) {
		t.Errorf("%+v", h.Connections)
	}
	if got := noteTexts(h); strings.Count(got, "the product refuses the file") != 3 || len(h.Notes) != 3 {
		t.Error(got)
	}
}

func TestTheFirewallScriptOfStrongSwanRecordsSessions(t *testing.T) {
	const conn = "conn a\n auto=add\n leftfirewall=yes\n right=192.0.2.9\n left=192.0.2.1\n"
	for product, want := range map[string]bool{"strongSwan 5.9.8": true, "Libreswan 4.9": false} {
		if h := readAll(t, files{"ipsec.conf": conn}, product); h.Daemons[0].Accounting.V != want {
			t.Errorf("%s: %+v", product, h.Daemons[0].Accounting)
		}
	}
}

func TestAFileOfAnotherProgramIsToldOnce(t *testing.T) {
	for _, text := range []string{"flow esp from 192.0.2.0/24 to 198.51.100.0/24 \\\n\tpeer 198.51.100.1\nesp tunnel from 192.0.2.1 \\\n\tenckey 0x00112233\n", "#!/sbin/setkey -f\nflush;\nspdflush;\n"} {
		h := readAll(t, files{"etc/ipsec.conf": text})
		if got := noteTexts(h); !strings.Contains(got, "malformed no section") || strings.Contains(got, "indented") || len(h.Notes) > 2 {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestNothingIsSaidOfWhatATemplateWillPutIn(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "config setup\n charondebug=\"ike 1\"\nconn a\n auto={{ auto }}\n ike=${IKE}!\n esp={{ esp }}\n ikelifetime=<%= life %>\n right={{ peer }}\n", "ipsec.secrets": "a b : PSK \"{{ psk }}\"\n: PSK ${PSK}\n"})
	c := named(h, "a")
	if c == nil || c.Role.Known() || c.IKE.Known() || c.Children[0].ESP.Known() || c.Children[0].PFS.Known() || c.IKELife.Known() || len(h.Notes) > 0 {
		t.Errorf("%+v %s", c, noteTexts(h))
	}
	for _, s := range h.Secrets {
		if s.Storage != posture.Elsewhere || s.Value != nil {
			t.Errorf("%+v", s)
		}
	}
}

func TestAWordThatIsNoLevelOfTheLogIsNoted(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "config setup\n charondebug=all\nconn a\n auto=add\n leftupdown=/bin/true\n"})
	if got := noteTexts(h); !strings.Contains(got, `"charondebug"`) || len(h.Notes) != 1 || h.Daemons[0].LogsSecrets.V || h.Daemons[0].Accounting.V {
		t.Error(got, h.Daemons)
	}
}

func TestTheDaemonsSayWhatTheyLog(t *testing.T) {
	for text, want := range map[string][2]bool{ // secrets, authentication
		"charondebug=\"ike 2, knl 3, cfg 1\"":                               {false, true},
		"charondebug=\"ike 4\"":                                             {true, true},
		"charondebug=\"ike -1, cfg 4\"":                                     {true, false},
		"cachecrls=yes":                                                     {false, true},
		"plutodebug=\"all\"\n nhelpers=0":                                   {false, true},
		"plutodebug=\"base, crypt\"\n nhelpers=0":                           {true, true},
		"plutodebug=\"control parsing\"\n protostack=netkey\n audit-log=no": {false, false},
		"plutodebug=private,dns\n protostack=netkey":                        {true, true},
	} {
		h := readAll(t, files{"ipsec.conf": "config setup\n " + text + "\n"})
		d := h.Daemons[0]
		if d.LogsSecrets.V != want[0] || d.LogsAuth.V != want[1] {
			t.Errorf("%s: %v %v, notes %s", text, d.LogsSecrets, d.LogsAuth, noteTexts(h))
		}
	}
}

func TestPlutoIsReadFromConfigSetup(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "config setup\n ddos-mode=unlimited\n seccomp=enabled\n crl_strict=yes\n crlcheckinterval=1h\n ocsp-enable=yes\n max-halfopen-ike=10\n keep-alive=5\nconn a\n auto=add\n leftupdown=/usr/local/bin/count\n"})
	d := h.Daemons[0]
	if d.Cookies.V || !d.Sandboxed.V || d.StrictCRL.V != posture.Always || !d.CRLFetch.V || !d.OCSP.V || d.HalfOpenLimit.V != 10 || d.Keepalive.V != 5*time.Second || !d.Accounting.V {
		t.Errorf("%+v\n%s", d, noteTexts(h))
	}
	if c := h.Connections[0]; c.Revocation.V != posture.Always || c.Revocation.Text != "crl_strict=yes" {
		t.Errorf("%+v", c.Revocation)
	}
}

func TestACryptoPolicyThatIsMissingMakesTheDefaultsAGuess(t *testing.T) {
	conf := "include /etc/crypto-policies/back-ends/libreswan.config\nconn a\n auto=add\n"
	missing := readAll(t, files{"etc/ipsec.conf": conf}, "Libreswan 5.1")
	if v := missing.Connections[0].IKE; v.Origin != posture.Inferred || !strings.Contains(v.Why, "crypto policy") {
		t.Errorf("%+v", v)
	}
	there := readAll(t, files{"etc/ipsec.conf": conf, "etc/crypto-policies/back-ends/libreswan.config": "conn %default\n\tike=aes_gcm256-sha2_512-dh20\n"}, "Libreswan 5.1")
	if v := there.Connections[0].IKE; v.Origin != posture.Explicit || words(v) != "aes256gcm16-prfsha512-ecp384" {
		t.Errorf("%+v", v)
	}
}

func TestACopyOfEtcIsReadWithoutTheHost(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "config setup\n nssdir=/x\ninclude /etc/ipsec.d/*.conf\n", "ipsec.d/a.conf": "conn a\n auto=add\n", "ipsec.secrets": "include /etc/ipsec.d/*.secrets\n", "ipsec.d/x.secrets": ": PSK \"x\"\n"})
	if len(h.Connections) != 1 || h.Connections[0].Disabled || len(h.Secrets) != 1 || len(h.Notes) != 0 {
		t.Errorf("%v %v\n%s", h.Connections, h.Secrets, noteTexts(h))
	}
}

func TestTheSideThatIsOursIsFound(t *testing.T) {
	c := one(t, "conn a\n auto=add\n right=%defaultroute\n rightid=@us\n rightsubnet=10.1.0.0/16\n left=192.0.2.7\n leftsubnet=10.2.0.0/16\n virtual=1\n", "Libreswan 5.1")
	if c.Local[0].ID.V != "@us" || c.Address.V[0] != "192.0.2.7" || c.Children[0].LocalTS.V[0] != "10.1.0.0/16" || c.AnyPeer.V {
		t.Errorf("%+v", c)
	}
}

func TestTimesAndNumbers(t *testing.T) {
	for text, want := range map[string]time.Duration{"8h": 8 * time.Hour, "3600s": time.Hour, "3600": time.Hour, "1d": 24 * time.Hour, "1w": 168 * time.Hour, "90m": 90 * time.Minute, "1.5h": 90 * time.Minute, "%forever": 0, "500ms": 500 * time.Millisecond} {
		if got, ok := parseTime(text); !ok || got != want {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "h", "-1s", "1y", "1e30d", "nan", "inf", "1 2"} {
		if got, ok := parseTime(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
	for text, want := range map[string]uint64{"0": 0, "1000": 1000, "1KiB": 1024, "2GiB": 2 << 30, "3M": 3 << 20} {
		if got, ok := parseCount(text); !ok || got != want {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "k", "-1", "99999999999999999999", "18446744073709551615k"} {
		if got, ok := parseCount(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestANameInQuotesMayHaveSpaces(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "conn \"all sites\"\n keyexchange=ikev2\nconn \"head office\"\n also=\"all sites\"\n right=192.0.2.9\n auto=add\n"}, "strongSwan 5.9.8")
	if c := named(h, "head office"); c == nil || !posture.Is(c.V1, false) || c.V1.At.Line != 2 || c.Disabled {
		t.Errorf("%+v", h.Connections)
	}
	if len(h.Notes) != 0 {
		t.Error(noteTexts(h))
	}
	h = readAll(t, files{"ipsec.conf": "conn \"head office\"\n auto=add\n"}, "Libreswan 5.2")
	if got := noteTexts(h); named(h, "head office") != nil || !strings.Contains(got, "no name that a section can have") {
		t.Error(got)
	}
}

func TestPlaceholdersInNamesKeepConnsApart(t *testing.T) {
	const conf = "conn base-{{ site.name }}\n keyexchange=ikev2\n ike=aes256-sha384-{% if kind == \"ec\" %}ecp384{% else %}modp2048{% endif %}!\n" +
		"conn {{ site.one }}\n also=base-{{ site.name }}\n auto=add\nconn {{ site.two }}\n keyexchange=ikev1\n auto=add\n"
	h := readAll(t, files{"ipsec.conf": conf}, "strongSwan 5.9.8")
	if one, two := named(h, "{{ site.one }}"), named(h, "{{ site.two }}"); one == nil || two == nil || !posture.Is(one.V1, false) || !posture.Is(two.V2, false) {
		t.Errorf("%+v", h.Connections)
	}
	if got := noteTexts(h); strings.Contains(got, "malformed") {
		t.Error(got)
	}
}

func TestAPluginThatGivesAddressesMayGiveNameServers(t *testing.T) {
	const conn = "conn rw\n auto=add\n right=%any\n rightsourceip="
	for pool, known := range map[string]bool{"%dhcp": false, "%radius": false, "%staff": false, "10.1.0.0/24": true, "%dhcp\n rightdns=10.0.0.53": true} {
		c := one(t, conn+pool+"\n", "strongSwan 5.9.8")
		if c.DNS.Known() != known || len(c.Pool.V) != 1 {
			t.Errorf("%s: %+v %+v", pool, c.DNS, c.Pool)
		}
	}
}

func TestAConnOfBothVersionsHasTheDefaultsOfVersion1(t *testing.T) {
	const conf = "config setup\n\tprotostack=netkey\nconn a\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\tauto=start\n"
	c := one(t, conf+"\tike=aes256-sha2\n", "Libreswan 3.27")
	if got := words(c.IKE); got != "aes256-sha256-modp2048-modp1536-ecp256-x25519" || !c.V1.V || !c.V2.V {
		t.Errorf("a line without a group: %s", got)
	}
	if c := one(t, conf, "Libreswan 3.27"); !strings.Contains(words(c.IKE), "3des") || !strings.Contains(words(c.IKE), "gcm16") || !strings.Contains(words(c.Children[0].ESP), "3des") {
		t.Errorf("no line: %s", words(c.IKE))
	}
	if c := one(t, conf, "Libreswan 4.12"); strings.Contains(words(c.IKE), "3des") {
		t.Errorf("of version 2 alone: %s", words(c.IKE))
	}
}

func TestAnyPasswordOfXAUTHIsKnown(t *testing.T) {
	const conf = "config setup\nconn a\n\tikev2=never\n\tauthby=secret\n\tleftxauthserver=yes\n\trightxauthclient=yes\n\tright=%any\n\tauto=add\n"
	for text, want := range map[string]bool{"\txauthby=alwaysok\n": true, "\txauthby=pam\n\txauthfail=soft\n": true, "\txauthby=file\n": false, "": false} {
		c := one(t, conf+text, "Libreswan 4.12")
		if x := c.Remote[len(c.Remote)-1]; !x.XAUTH || !posture.Is(x.AnyWord, want) {
			t.Errorf("%q: %+v", text, x)
		}
	}
}

func TestWhatStrongSwanConfSaysOfEAPHoldsForConns(t *testing.T) {
	h := &posture.Host{Daemons: []posture.Daemon{{
		Subject: posture.Subject{Dialect: posture.Swanctl}, Product: "strongSwan",
		TLSMin:   posture.Written("1.1", posture.Pos{Line: 7}, "1.1"),
		EAPFirst: posture.Written([]string{"md5", "tls"}, posture.Pos{Line: 8}, "md5, tls"),
		EAPInner: map[string]posture.Value[[]string]{"ttls": posture.Written([]string{"mschapv2"}, posture.Pos{Line: 9}, "mschapv2")},
	}}}
	m := fstest.MapFS{"ipsec.conf": &fstest.MapFile{Data: []byte("conn a\n auto=add\n rightauth=eap-dynamic\nconn b\n auto=add\n rightauth=eap-ttls\nconn c\n auto=add\n rightauth=eap-peap\n")}}
	Read(source.NewInput(source.New("", m, true), h).For("", []string{"ipsec.conf"}))
	if len(h.EAP) != 3 {
		t.Fatalf("%+v", h.EAP)
	}
	dynamic, ttls, peap := h.EAP[0], h.EAP[1], h.EAP[2]
	if dynamic.DefaultType.V != "md5" || dynamic.DefaultType.At.Line != 8 || len(dynamic.Methods.V) != 2 || dynamic.TLSMin.V != "1.1" {
		t.Errorf("dynamic: %+v", dynamic)
	}
	if ttls.Inner.V[0] != "mschapv2" || ttls.TLSMin.At.Line != 7 || peap.Inner.V[0] != "mschapv2" || peap.Inner.Origin == posture.Explicit {
		t.Errorf("ttls: %+v\npeap: %+v", ttls, peap)
	}
}

func TestOfSeveralSectionsThatAConnTakesTheLastCounts(t *testing.T) {
	const conf = "conn %default\n also=old\n esp=aes128-sha256-ecp256!\nconn old\n ike=3des-sha1-modp1024!\n lifetime=8h\n" +
		"conn new\n ike=aes256gcm16-prfsha384-ecp384!\nconn both\n also=old\n also=new\nconn a\n also=both\n auto=add\n"
	c := named(readAll(t, files{"ipsec.conf": conf}, "strongSwan 5.9.8"), "a")
	if c.IKE.V[0].Text != "aes256gcm16-prfsha384-ecp384" || c.Children[0].Life.V != 8*time.Hour || c.Children[0].ESP.V[0].Text != "aes128-sha256-ecp256" {
		t.Errorf("%+v", c)
	}
	// D takes C and B, and both take A: D, B, C, A.
	const diamond = "conn A\n lifetime=1h\n ikelifetime=1h\nconn B\n also=A\n lifetime=2h\nconn C\n also=A\n lifetime=3h\n ikelifetime=3h\nconn D\n also=C\n also=B\n auto=add\n"
	c = named(readAll(t, files{"ipsec.conf": diamond}, "strongSwan 5.9.8"), "D")
	if c.Children[0].Life.V != 2*time.Hour || c.IKELife.V != 3*time.Hour {
		t.Errorf("%v %v", c.Children[0].Life, c.IKELife)
	}
	if c := named(readAll(t, files{"ipsec.conf": conf}, "Libreswan 5.2"), "a"); len(c.IKE.V) == 0 || c.IKE.V[0].Text == "aes256gcm16-prfsha384-ecp384" {
		t.Errorf("Libreswan: %+v", c.IKE)
	}
}

func TestAConnOfATemplateHasAName(t *testing.T) {
	h := readAll(t, files{"ipsec.conf": "config setup\n\tvirtual-private=\nconn {{ site.name }}\n\tright=192.0.2.1\n\tauto=start\n"}, "Libreswan 4.12")
	if len(h.Connections) != 1 || h.Connections[0].Name != "{{ site.name }}" || strings.Contains(noteTexts(h), "refuses") {
		t.Errorf("%+v\n%s", h.Connections, noteTexts(h))
	}
}

func TestAuthbyTellsTheProduct(t *testing.T) {
	for text, want := range map[string]posture.Dialect{"ecdsa": posture.Libreswan, "rsa-sha2_512,ecdsa-sha2_512": posture.Libreswan, "ecdsasig": posture.Starter} {
		if got := one(t, "config setup\nconn a\n\tauthby="+text+"\n\tright=192.0.2.1\n\tauto=start\n").Dialect; got != want {
			t.Errorf("authby=%s: %s", text, got)
		}
	}
}

func TestDistributionsPackagesTurnedIKEv1OffBeforeTheProject(t *testing.T) {
	for _, c := range []struct {
		manager, version string
		taken            bool
	}{
		{"dpkg", "4.10-2+deb12u1", false}, {"rpm", "4.12-1.el9", false}, {"rpm", "4.12-1.el8", true}, {"dpkg", "4.3-1+deb11u4", true}, {"apk", "4.12-r0", true}, {"dpkg", "5.2-1", false},
	} {
		const conf = "config setup\nconn a\n ikev2=never\n right=192.0.2.1\n auto=start\n"
		h := &posture.Host{Packages: []posture.Package{{Manager: c.manager, Name: "libreswan", Source: "libreswan", Version: c.version}}}
		in := source.NewInput(source.New("", fstest.MapFS{"ipsec.conf": {Data: []byte(conf)}}, true), h)
		upstream, _, _ := strings.Cut(c.version, "-")
		in.Product("Libreswan", posture.Written(upstream, posture.Pos{}, upstream))
		Read(in.For("", []string{"ipsec.conf"}))
		if got := h.Connections[0].V1; got.V != c.taken || !got.Known() {
			t.Errorf("%s %s: %+v", c.manager, c.version, got)
		}
	}
}

func TestAConnOfIKEv1ThatIsOffForAllIsRefused(t *testing.T) {
	const conf = "config setup\n\tikev1-policy=drop\nconn a\n\tkeyexchange=ikev1\n\tright=192.0.2.1\n\tauto=start\nconn b\n\tright=192.0.2.2\n\tauto=start\n"
	h := readAll(t, files{"ipsec.conf": conf}, "Libreswan 5.2")
	if got := noteTexts(h); !strings.Contains(got, "ipsec.conf:4 malformed the connection is of IKEv1, which is off for all (ikev1-policy=drop)") || len(h.Notes) != 1 {
		t.Errorf("notes: %s", got)
	}
}

package pppd_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/posture"
	"sallyport/posture/posturetest"
	"sallyport/posture/pppd"
	"sallyport/posture/source"
)

// read reads files of a host whose names are relative to /etc/ppp, or to the
// root if they begin with a slash.
func read(t testing.TB, files map[string]string) *posture.Host {
	t.Helper()
	fsys := fstest.MapFS{"etc/hostname": {Data: []byte("gw\n")}}
	for name, text := range files {
		p := "etc/ppp/" + name
		if strings.HasPrefix(name, "/") {
			p = name[1:]
		}
		fsys[p] = &fstest.MapFile{Data: []byte(text)}
	}
	return readFS(fsys)
}

func readFS(fsys fstest.MapFS) *posture.Host {
	tree := source.New("", fsys, false)
	h := &posture.Host{}
	var claimed []string
	for _, p := range slices.Sorted(maps.Keys(fsys)) {
		if pppd.Claims(p, func() []byte { return fsys[p].Data }) {
			claimed = append(claimed, p)
		}
	}
	pppd.Read(source.NewInput(tree, h).For("", claimed))
	return h
}

func link(t testing.TB, h *posture.Host, name string) posture.PPP {
	t.Helper()
	for _, p := range h.PPP {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no link %q among %d; notes %v", name, len(h.PPP), h.Notes)
	return posture.PPP{}
}

func TestABackupAmongThePeersIsNoLink(t *testing.T) {
	fsys := fstest.MapFS{"etc/hostname": {Data: []byte("gw\n")}}
	for _, name := range []string{"office", "office.before-sallyport", ".office.before-sallyport"} {
		fsys["etc/ppp/peers/"+name] = &fstest.MapFile{Data: []byte("noauth\n")}
	}
	h := &posture.Host{}
	in := source.NewInput(source.New("", fsys, false), h)
	files, _ := in.Walk("etc")
	pppd.Read(in.For("", slices.DeleteFunc(files, func(f string) bool { return !strings.Contains(f, "peers/") })))
	if len(h.PPP) != 1 || len(h.Notes) != 1 || !strings.Contains(h.Notes[0].Text, "is a backup") {
		t.Errorf("%d links, notes %v", len(h.PPP), h.Notes)
	}
}

const account = "alice l2tpd \"correct horse\" 192.0.2.10\n"

func TestWithoutAuthNobodyMustProveHimself(t *testing.T) {
	h := read(t, map[string]string{"options.xl2tpd": "ms-dns 192.0.2.1\nrefuse-pap\nrefuse-chap\n"})
	posturetest.Quiet(t, h)
	p := link(t, h, "options.xl2tpd")
	if !posture.Is(p.AuthNeeded, false) || p.AuthNeeded.Origin != posture.Default || !posture.Is(p.Required, false) || !posture.Is(p.Server, true) {
		t.Errorf("%+v", p)
	}
	if got := fmt.Sprint(p.Refused.V); got != "[pap chap]" || p.Refused.At.Line != 2 {
		t.Errorf("refused %s at %v", got, p.Refused.At)
	}
}

func TestMethodsAreWhatRequireSaysOrWhatASecretAllows(t *testing.T) {
	for _, c := range []struct{ options, chap, pap, tls, want string }{
		{"auth", account, "", "", "[chap mschap mschapv2 eap]"},
		{"auth", "", account, "", "[pap]"},
		{"auth", "alice l2tpd secret\n", "", "", "[]"}, // no address: ours for the peer
		{"auth", "alice l2tpd secret -\n", "", "", "[]"},
		{"auth", "", "", "alice * - server.pem ca.pem server.key *\n", "[eap-tls]"},
		{"auth name other", account, "", "", "[]"},
		{"auth name l2tpd", account, "", "", "[chap mschap mschapv2 eap]"},
		{"auth login", "", "", "", "[pap]"},
		{"auth plugin radius.so", "", "", "", "[pap chap mschap mschapv2 eap]"},
		{"auth require-mschap-v2", account, account, "", "[mschapv2]"},
		{"+mschap-v2 +pap", account, account, "", "[pap mschapv2]"},
		{"require-eap", "", "", "alice * - server.pem ca.pem server.key *\n", "[eap-tls]"},
		{"require-eap", account, "", "", "[eap]"},
		{"require-mschap-v2 noauth", account, "", "", "[]"},
		{"noauth require-mschap-v2", account, "", "", "[mschapv2]"},
	} {
		h := read(t, map[string]string{"options.xl2tpd": c.options + "\n", "chap-secrets": c.chap, "pap-secrets": c.pap, "eaptls-server": c.tls})
		posturetest.Quiet(t, h)
		if got := fmt.Sprint(link(t, h, "options.xl2tpd").Methods.V); got != c.want {
			t.Errorf("%q: %s, want %s", c.options, got, c.want)
		}
	}
}

func TestEveryLinkBeginsWithTheSystemsOptions(t *testing.T) {
	h := read(t, map[string]string{"options": "auth\nmtu 1500\nlcp-echo-interval 30\n", "options.xl2tpd": "mtu 1280 # later wins\n", "peers/isp": "user me\nnoauth\n"})
	posturetest.Quiet(t, h)
	p := link(t, h, "options.xl2tpd")
	if !posture.Is(p.AuthNeeded, true) || p.AuthNeeded.At.File != "etc/ppp/options" || p.MTU.V != 1280 || p.MTU.At.File != "etc/ppp/options.xl2tpd" || p.Echo.V != 30*time.Second {
		t.Errorf("%+v", p)
	}
	if p := link(t, h, "peers/isp"); !posture.Is(p.AuthNeeded, false) || !posture.Is(p.Server, false) || !posture.Is(p.Split, true) {
		t.Errorf("%+v", p)
	}
	if len(h.PPP) != 2 {
		t.Errorf("%d links: options is no link beside others", len(h.PPP))
	}
}

func TestOptionsAloneIsALink(t *testing.T) {
	h := read(t, map[string]string{"options": "auth\nproxyarp\nms-dns 192.0.2.1\nms-dns 192.0.2.2\n"})
	p := link(t, h, "options")
	if !posture.Is(p.Server, true) || !posture.Is(p.ProxyARP, true) || fmt.Sprint(p.DNS.V) != "[192.0.2.1 192.0.2.2]" {
		t.Errorf("%+v", p)
	}
}

func TestCallsOfPPTPAreNotTakenForThoseOfL2TP(t *testing.T) {
	h := read(t, map[string]string{"options.pptpd": "auth\nrequire-mschap-v2\n", "pptpd-options": "auth\n", "options.xl2tpd": "auth\n"})
	for name, want := range map[string]string{"options.pptpd": "pptp", "pptpd-options": "pptp", "options.xl2tpd": ""} {
		if p := link(t, h, name); p.Service != want || posture.Is(p.IPsecForced, false) != (want != "") {
			t.Errorf("%s: %q, IPsec forced %+v", name, p.Service, p.IPsecForced)
		}
	}
}

func TestMPPEIsWhatIsAskedFor(t *testing.T) {
	for options, want := range map[string]posture.MPPE{
		"": posture.NoMPPE, "require-mppe": posture.AnyMPPE, "require-mppe-40": posture.MPPE40, "require-mppe-128": posture.MPPE128,
		"require-mppe nomppe-40": posture.MPPE128, "require-mppe-128 nomppe": posture.NoMPPE, "require-mppe-128\nnoccp": posture.NoMPPE,
		"mppe required,no40,no56,stateless": posture.MPPE128,
	} {
		h := read(t, map[string]string{"options.xl2tpd": options + "\n"})
		posturetest.Quiet(t, h)
		if got := link(t, h, "options.xl2tpd").MPPE; got.V != want || !got.Known() {
			t.Errorf("%q: %v, want %v", options, got, want)
		}
	}
}

func TestFilesTakeInOthers(t *testing.T) {
	h := read(t, map[string]string{"options.xl2tpd": "file /etc/ppp/options.common\ncall base\n", "options.common": "require-mschap-v2\n", "peers/base": "hide-password\nmru 1300\n"})
	posturetest.Quiet(t, h)
	p := link(t, h, "options.xl2tpd")
	if !posture.Is(p.AuthNeeded, true) || p.AuthNeeded.At.File != "etc/ppp/options.common" || p.MRU.V != 1300 {
		t.Errorf("%+v", p)
	}
}

func TestFilesInACircleEnd(t *testing.T) {
	h := read(t, map[string]string{"peers/a": "call b\ncall b\n", "peers/b": "call a\ncall a\n"})
	if len(h.Notes) == 0 || h.Notes[0].Kind != posture.Limit {
		t.Errorf("%v", h.Notes)
	}
}

func TestAMissingFileLeavesTheRestUnknown(t *testing.T) {
	h := read(t, map[string]string{"options.xl2tpd": "mtu 1280\nfile /etc/ppp/gone\n"})
	p := link(t, h, "options.xl2tpd")
	if p.AuthNeeded.Known() || p.MPPE.Known() || p.MTU.V != 1280 || len(h.Notes) != 1 {
		t.Errorf("%+v %v", p, h.Notes)
	}
}

func TestAFileOutOfItsHostIsInferred(t *testing.T) {
	h := readFS(fstest.MapFS{"options.xl2tpd": {Data: []byte("ms-dns 192.0.2.1\n")}})
	if p := link(t, h, "options.xl2tpd"); p.AuthNeeded.Origin != posture.Inferred {
		t.Errorf("%+v", p.AuthNeeded)
	}
}

func TestUnknownWordsAreNotedAndTheRestRead(t *testing.T) {
	h := read(t, map[string]string{"options": "frobnicate hard\n", "options.a": "auth\n", "options.b": "auth\n"})
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Unparsed || h.Notes[0].At.Line != 1 || len(h.PPP) != 2 {
		t.Errorf("%v", h.Notes)
	}
}

func TestPasswordsAreSecretsAndNoText(t *testing.T) {
	h := read(t, map[string]string{"peers/isp": "user me\npassword \"hunter 2\"\ndebug\nshow-password\n"})
	posturetest.Quiet(t, h)
	if len(h.Secrets) != 1 || string(h.Secrets[0].Value) != "hunter 2" || h.Secrets[0].Name != "me" || !h.Files[0].Secrets {
		t.Errorf("%+v", h.Secrets)
	}
	if strings.Contains(fmt.Sprintf("%+v", h), "hunter") {
		t.Error("the password is shown")
	}
	if p := link(t, h, "peers/isp"); !posture.Is(p.Debug, true) || !posture.Is(p.ShowsSecret, true) {
		t.Errorf("%+v", p)
	}
}

func TestAccountsAreReadByColumns(t *testing.T) {
	h := read(t, map[string]string{"chap-secrets": `# client server secret addresses
alice	*	"two words"	192.0.2.10 !192.0.2.11
"bob smith" l2tpd pass\ word *
*	*	shared	*
me	isp	ours
carol	*	@/etc/ppp/carol	*
guest	*	x	-
dave	*	""	* -- mtu 1280
broken line
`, "pap-secrets": "eve * $1$salt$0123456789012345678901 *\n* gw \"\" *\nfrank * @login *\n"})
	type row struct {
		name, value string
		storage     posture.Storage
		anybody     bool
		hosts       string
	}
	want := []row{
		{"alice", "two words", posture.Clear, false, "[192.0.2.10 !192.0.2.11]"}, {"bob smith", "pass word", posture.Clear, false, "[*]"},
		{"*", "shared", posture.Clear, true, "[*]"}, {"me", "ours", posture.Clear, false, "[]"}, {"carol", "", posture.Elsewhere, false, "[*]"},
		{"dave", "", posture.Clear, false, "[*]"}, {"eve", "", posture.WeakHash, false, "[*]"}, {"*", "", posture.Clear, true, "[*]"}, {"frank", "", posture.Elsewhere, false, "[*]"},
	}
	var got []row
	for _, s := range h.Secrets {
		got = append(got, row{s.Name, string(s.Value), s.Storage, s.Anybody.V, fmt.Sprint(s.Hosts)})
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Malformed || h.Notes[0].At.Line != 9 {
		t.Errorf("%v", h.Notes)
	}
}

func TestTheRADIUSPluginAccounts(t *testing.T) {
	h := read(t, map[string]string{
		"options.xl2tpd": "auth\nplugin radius.so\nradius-config-file /etc/radiusclient/radiusclient.conf\n", "/etc/radiusclient/servers": "# host secret\n192.0.2.5 s3cret\n",
		"/etc/radiusclient/radiusclient.conf": "authserver 192.0.2.5:1812\nacctserver 192.0.2.5\nservers /etc/radiusclient/servers\nodd thing\n",
	})
	if p := link(t, h, "options.xl2tpd"); !posture.Is(p.Accounting, true) {
		t.Errorf("%+v", p.Accounting)
	}
	if len(h.RADIUS) != 1 || h.RADIUS[0].Name != "192.0.2.5" || !posture.Is(h.RADIUS[0].Accounting, true) || len(h.Secrets) != 1 || h.Secrets[0].Kind != posture.RADIUSSecret {
		t.Errorf("%+v %+v", h.RADIUS, h.Secrets)
	}
	if len(h.Notes) != 1 || h.Notes[0].Kind != posture.Unparsed {
		t.Errorf("%v", h.Notes)
	}
}

func TestAPasswordWithASpaceIsNotShownByHalf(t *testing.T) {
	h := read(t, map[string]string{"peers/office": "plugin pppol2tp.so\nuser me\npassword tr0ub4dor hunter2 three\nname n\nodd\n"})
	text := fmt.Sprintf("%+v", h.Notes)
	if strings.Contains(text, "hunter2") || strings.Contains(text, "three") || !strings.Contains(text, "odd") {
		t.Error(text)
	}
}

func TestIPv6DependsOnTheVersion(t *testing.T) {
	for version, known := range map[string]bool{"2.4.9": true, "2.5.2": false} {
		fsys := fstest.MapFS{"etc/ppp/options.a": {Data: []byte("auth\n")}}
		h := &posture.Host{}
		in := source.NewInput(source.New("", fsys, false), h)
		in.Product("pppd", posture.Written(version, posture.Pos{}, version))
		pppd.Read(in.For("", []string{"etc/ppp/options.a"}))
		if h.PPP[0].IPv6.Known() != known {
			t.Errorf("%s: %+v", version, h.PPP[0].IPv6)
		}
	}
}

func TestItsFilesAreClaimed(t *testing.T) {
	for p, want := range map[string]bool{
		"etc/ppp/options": true, "etc/ppp/options.xl2tpd": true, "etc/ppp/peers/provider": true, "etc/ppp/chap-secrets": true, "etc/ppp/ip-up": false,
		"options.l2tpd": true, "etc/radiusclient/servers": true, "etc/ppp/options~": false, "etc/ssh/options": false, "etc/ppp/ip-up.d/0000usepeerdns": false,
		"etc/ppp/radius.conf": true, "options": false, "etc/xl2tpd/ppp-options.xl2tpd": true,
	} {
		if got := pppd.Claims(p, func() []byte { return []byte("nothing of it\n") }); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
	if !pppd.Claims("options", func() []byte { return []byte("# all\nauth\n") }) {
		t.Error("a file of options by itself")
	}
}

// The files that Debian installs have no word that is not known.
func TestStockFilesOfThisHostAreKnown(t *testing.T) {
	if _, err := os.Stat("/etc/ppp/options"); err != nil {
		t.Skip("needs Debian's package ppp, which make test installs: " + err.Error())
	}
	tree, err := source.Open("/etc/ppp")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	files, _ := tree.Walk(".")
	files = slices.DeleteFunc(files, func(f string) bool { return !pppd.Claims("etc/ppp/"+f, nil) })
	h := &posture.Host{}
	pppd.Read(source.NewInput(tree, h).For("", files))
	for _, n := range h.Notes {
		if n.Kind == posture.Unparsed || n.Kind == posture.Malformed {
			t.Errorf("%+v", n)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("auth\nrequire-mschap-v2\nms-dns 1.2.3.4\nfile /etc/ppp/options\ncall x\npassword \"a\\x41\\101\n", account, "192.0.2.5 x\n", "call x\ncall b\nmtu 0x500\n")
	f.Fuzz(func(t *testing.T, options, secrets, servers, peer string) {
		h := read(t, map[string]string{
			"options": options, "options.xl2tpd": options + "\n" + peer, "chap-secrets": secrets, "pap-secrets": secrets, "eaptls-server": secrets,
			"radius/servers": servers, "radiusclient.conf": servers, "peers/x": peer, "peers/b": "call x\n" + options,
		})
		if len(h.PPP) == 0 || len(h.Notes) > source.MostNotes+1 {
			t.Errorf("%d links, %d notes", len(h.PPP), len(h.Notes))
		}
	})
}

func TestNoauthAfterAMethodIsOfTheSideThatDials(t *testing.T) {
	const words = "require-mschap-v2\nrefuse-pap\nnoauth\nnodefaultroute\n"
	for name, server := range map[string]bool{"options.sstpm": false, "options.xl2tpd": true, "pptpd-options": true} {
		if p := link(t, read(t, map[string]string{name: words}), name); !posture.Is(p.Server, server) {
			t.Errorf("%s: %+v", name, p.Server)
		}
	}
	if p := link(t, read(t, map[string]string{"options.sstpm": words + "ms-dns 10.0.0.53\n"}), "options.sstpm"); !posture.Is(p.Server, true) {
		t.Errorf("with ms-dns: %+v", p.Server)
	}
}

func TestALinkThatIsDialledByPPTPSaysSo(t *testing.T) {
	for text, want := range map[string]string{
		"pty \"pptp 192.0.2.1 --nolaunchpppd\"\n":  "pptp",
		"plugin pptp.so\npptp_server 192.0.2.1\n":  "pptp",
		"pty \"/usr/sbin/sstpc --nolaunchpppd x\"": "",
	} {
		if p := link(t, read(t, map[string]string{"peers/a": text}), "peers/a"); p.Service != want || !posture.Is(p.Server, false) || posture.Is(p.IPsecForced, false) != (want != "") {
			t.Errorf("%q: %q %+v %+v", text, p.Service, p.Server, p.IPsecForced)
		}
	}
}

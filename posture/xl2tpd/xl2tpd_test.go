package xl2tpd_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/posturetest"
	"sallyport/posture/pppd"
	"sallyport/posture/source"
	"sallyport/posture/xl2tpd"
)

// read reads files below /etc, xl2tpd's before pppd's as the registry does.
func read(t testing.TB, files map[string]string) *posture.Host {
	t.Helper()
	fsys := fstest.MapFS{}
	var ours, theirs []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p := "etc/" + name
		fsys[p] = &fstest.MapFile{Data: []byte(files[name])}
		switch head := func() []byte { return nil }; {
		case xl2tpd.Claims(p, head):
			ours = append(ours, p)
		case pppd.Claims(p, head):
			theirs = append(theirs, p)
		}
	}
	h := &posture.Host{}
	in := source.NewInput(source.New("", fsys, false), h)
	xl2tpd.Read(in.For("", ours))
	pppd.Read(in.For("", theirs))
	return h
}

const chapSecrets = "alice l2tpd secret *\n"

func TestAnLNSLeadsToOneLink(t *testing.T) {
	h := read(t, map[string]string{
		"xl2tpd/xl2tpd.conf": "[global]\nlisten-addr = 192.0.2.1 ; inside\naccess control = yes\n\n[lns default]\nip range = 192.0.2.100-192.0.2.200\nrequire authentication = yes\nrefuse pap = yes\nchallenge = yes\nname = gw\nppp debug = yes\npppoptfile = /etc/ppp/options.xl2tpd\n",
		"ppp/options.xl2tpd": "require-mschap-v2\nmtu 1280\nms-dns 192.0.2.1\n", "ppp/chap-secrets": chapSecrets,
	})
	posturetest.Quiet(t, h)
	if len(h.L2TP) != 1 || len(h.PPP) != 1 {
		t.Fatalf("%d listeners, %d links", len(h.L2TP), len(h.PPP))
	}
	l, p := h.L2TP[0], h.PPP[0]
	if l.Name != "lns default" || l.PPP != p.Name || l.Dialect != posture.Xl2tpd || p.Dialect != posture.PPPD || l.At.Line != 5 {
		t.Errorf("%+v %+v", l.Subject, p.Subject)
	}
	if !posture.Is(l.Server, true) || !posture.Is(l.Challenge, true) || !posture.Is(l.Access, true) || !posture.Is(l.HiddenAVPs, false) || l.HiddenAVPs.Origin != posture.Default ||
		fmt.Sprint(l.Listen.V) != "[192.0.2.1]" || l.IPsec.V != posture.Never || !posture.Is(l.AuthNeeded, true) {
		t.Errorf("%+v", l)
	}
	if p.At.File != "etc/ppp/options.xl2tpd" || fmt.Sprint(p.Methods.V) != "[mschapv2]" || p.MTU.V != 1280 || !posture.Is(p.Debug, true) || p.Debug.At.File != "etc/xl2tpd/xl2tpd.conf" || p.Debug.At.Line != 11 {
		t.Errorf("%+v", p)
	}
	if fmt.Sprint(p.Refused.V) != "[pap]" || p.Refused.Text != "refuse pap = yes" || p.Refused.At.Line != 8 {
		t.Errorf("%+v", p.Refused)
	}
}

func TestWhoMustProveHimself(t *testing.T) {
	for _, c := range []struct {
		lns, options, system string
		want                 bool
		methods              string
		line                 int // of the listener's AuthNeeded
		origin               posture.Origin
	}{
		{"", "", "", false, "[]", 1, posture.Default},
		{"require authentication = yes", "", "", true, "[chap mschap mschapv2 eap]", 2, posture.Explicit},
		{"require authentication = yes\nrequire chap = yes", "", "", true, "[chap]", 3, posture.Explicit},
		{"require auth = yes\nrequire chap = yes", "require-mschap-v2", "", true, "[chap mschapv2]", 1, posture.Explicit},
		{"require chap = yes", "", "", false, "[]", 2, posture.Inferred}, // alone it does nothing
		{"require authentication = no", "", "", false, "[]", 2, posture.Explicit},
		{"require authentication = no", "auth", "", true, "[chap mschap mschapv2 eap]", 1, posture.Explicit},
		{"", "", "auth", true, "[chap mschap mschapv2 eap]", 1, posture.Explicit},
		{"require authentication = yes", "noauth", "", false, "[]", 1, posture.Explicit},
		{"require authentication = yes\nunix authentication = yes", "", "", true, "[pap chap mschap mschapv2 eap]", 2, posture.Explicit},
	} {
		h := read(t, map[string]string{
			"xl2tpd/xl2tpd.conf": "[lns default]\n" + c.lns + "\npppoptfile = /etc/ppp/options.xl2tpd\n",
			"ppp/options.xl2tpd": c.options + "\n", "ppp/options": c.system + "\n", "ppp/chap-secrets": chapSecrets,
		})
		posturetest.Quiet(t, h)
		l, p := h.L2TP[0], h.PPP[0]
		if !posture.Is(p.AuthNeeded, c.want) || !posture.Is(l.AuthNeeded, c.want) || fmt.Sprint(p.Methods.V) != c.methods {
			t.Errorf("%+v: %v %v %v", c, p.AuthNeeded, l.AuthNeeded, p.Methods.V)
		}
		if l.AuthNeeded.At.Line != c.line || l.AuthNeeded.Origin != c.origin {
			t.Errorf("%+v: %+v", c, l.AuthNeeded)
		}
	}
}

func TestALACIsAClient(t *testing.T) {
	h := read(t, map[string]string{"xl2tpd/xl2tpd.conf": "[lac isp]\nlns = 192.0.2.9\nredial = yes\ndefaultroute = yes\npppoptfile = /etc/ppp/options.isp\n", "ppp/options.isp": "noauth\nuser me\n"})
	posturetest.Quiet(t, h)
	if l, p := h.L2TP[0], h.PPP[0]; !posture.Is(l.Server, false) || !posture.Is(p.Server, false) || !posture.Is(p.Split, false) || len(h.PPP) != 1 {
		t.Errorf("%+v %+v", l, p)
	}
}

func TestEachLNSHasItsOwnLink(t *testing.T) {
	h := read(t, map[string]string{
		"xl2tpd/xl2tpd.conf": "[lns default]\nrequire authentication = yes\npppoptfile = /etc/ppp/options.xl2tpd\n[lns branch]\npppoptfile = /etc/ppp/options.xl2tpd\n[LNS Branch]\nchallenge = true\n",
		"ppp/options.xl2tpd": "mtu 1280\n", "ppp/options.pptpd": "auth\n", "ppp/chap-secrets": chapSecrets,
	})
	posturetest.Quiet(t, h)
	if len(h.L2TP) != 2 || len(h.PPP) != 3 || !posture.Is(h.L2TP[0].AuthNeeded, true) || !posture.Is(h.L2TP[1].AuthNeeded, false) || !posture.Is(h.L2TP[1].Challenge, true) {
		t.Errorf("%+v", h.L2TP)
	}
}

func TestEachOfSeveralDaemonsHasItsFile(t *testing.T) {
	for p, want := range map[string]bool{
		"etc/xl2tpd/xl2tpd.conf": true, "etc/xl2tpd/instances/a.conf": true, "etc/xl2tpd/xl2tpd1.conf": true, "etc/xl2tpd-guests.conf": true,
		"etc/l2tpd.conf": true, "etc/other/a.conf": false, "usr/lib/tmpfiles.d/xl2tpd.conf": false, "etc/init/xl2tpd.conf": false, "usr/lib/xl2tpd/README": false,
	} {
		if got := xl2tpd.Claims(p, nil); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
}

func TestAMissingOptionFileLeavesItUnknown(t *testing.T) {
	h := read(t, map[string]string{"xl2tpd/xl2tpd.conf": "[lns default]\npppoptfile = /etc/ppp/options.gone\n"})
	if h.L2TP[0].AuthNeeded.Known() || len(h.Notes) != 1 || h.Notes[0].At.Line != 2 || h.Notes[0].Dialect != posture.PPPD {
		t.Errorf("%+v %v", h.L2TP[0].AuthNeeded, h.Notes)
	}
}

func TestWhatIsNotKnownIsNoted(t *testing.T) {
	h := read(t, map[string]string{"xl2tpd/xl2tpd.conf": "stray = 1\n[lns default]\nfrobnicate = yes\nchallenge = perhaps\nno equals\nrefuse chap = yes\n[odd]\nx = y\n"})
	var lines []int
	for _, n := range h.Notes {
		lines = append(lines, n.At.Line)
	}
	if slices.Sort(lines); fmt.Sprint(lines) != "[1 3 4 5 7 8]" {
		t.Errorf("%v", h.Notes)
	}
	if fmt.Sprint(h.PPP[0].Refused.V) != "[chap]" || !posture.Is(h.L2TP[0].Challenge, false) {
		t.Errorf("%+v", h.PPP[0].Refused)
	}
}

func TestTunnelSecretsAreRead(t *testing.T) {
	h := read(t, map[string]string{
		"xl2tpd/xl2tpd.conf": "[global]\nauth file = /etc/xl2tpd/other\n", "xl2tpd/l2tp-secrets": "# us them secret\n* * interop ; all\ngw branch two words\nbroken line\n",
		"xl2tpd/other": "gw isp hidden\n",
	})
	if len(h.Secrets) != 3 || string(h.Secrets[1].Value) != "two words" || !posture.Is(h.Secrets[0].Anybody, true) || h.Secrets[0].Kind != posture.TunnelSecret || string(h.Secrets[2].Value) != "hidden" {
		t.Errorf("%+v", h.Secrets)
	}
	if len(h.Notes) != 1 || h.Notes[0].At.Line != 4 {
		t.Errorf("%v", h.Notes)
	}
	for _, f := range h.Files {
		if f.Secrets == strings.HasSuffix(f.Path, ".conf") {
			t.Errorf("%s holds secrets: %v", f.Path, f.Secrets)
		}
	}
}

// The files that Debian installs, and its examples, have no line that is not known.
func TestStockFilesOfThisHostAreKnown(t *testing.T) {
	for _, dir := range []string{"/etc/xl2tpd", "/usr/share/doc/xl2tpd/examples"} {
		if _, err := os.Stat(dir + "/xl2tpd.conf"); err != nil {
			t.Skip("needs Debian's package xl2tpd, which make test installs: " + err.Error())
		}
		tree, err := source.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		h := &posture.Host{}
		xl2tpd.Read(source.NewInput(tree, h).For("", []string{"xl2tpd.conf"}))
		for _, n := range h.Notes {
			if n.Kind == posture.Unparsed || n.Kind == posture.Malformed {
				t.Errorf("%+v", n)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("[global]\nport = 1702\nauth file = /etc/xl2tpd/l2tp-secrets\n[lns default]\nrequire authentication = yes\npppoptfile = /etc/ppp/options.xl2tpd\n[lac x]\nlns = y\n", "* * x\n", "auth\n")
	f.Fuzz(func(t *testing.T, conf, secrets, options string) {
		h := read(t, map[string]string{"xl2tpd/xl2tpd.conf": conf, "xl2tpd/l2tp-secrets": secrets, "ppp/options.xl2tpd": options})
		for _, l := range h.L2TP {
			if !slices.ContainsFunc(h.PPP, func(p posture.PPP) bool { return p.Name == l.PPP }) {
				t.Errorf("%q leads to no link", l.Name)
			}
		}
	})
}

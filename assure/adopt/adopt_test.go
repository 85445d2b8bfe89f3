package adopt_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/assure/adopt"
	"sallyport/config"
	"sallyport/internal/people"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

var update = flag.Bool("update", false, "rewrite the goldens")

var today = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// adoptFiles makes a configuration of files below "gw".
func adoptFiles(t testing.TB, files map[string]string) *adopt.Result {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree["gw/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
	}
	for h := range load.Hosts(source.New("", tree, true), load.Options{}) {
		return adopt.Host(h, func(name string) []byte {
			if f := tree[name]; f != nil {
				return f.Data
			}
			return nil
		})
	}
	t.Fatal("no host")
	return nil
}

// mustParse reads the configuration that was made.
func mustParse(t testing.TB, r *adopt.Result) *config.Config {
	t.Helper()
	c, found := config.Parse("sallyport.yaml", r.YAML("/etc/sallyport"), today)
	if found.Err() != nil {
		t.Fatalf("%v\n%s", found, r.YAML("/etc/sallyport"))
	}
	return c
}

// everything is all that may be shown.
func everything(r *adopt.Result) string {
	var b bytes.Buffer
	b.Write(r.YAML("/etc/sallyport"))
	b.WriteString("\n---\n")
	r.Report().Text(&b)
	b.WriteString("\nNext\n  " + strings.Join(r.Commands("new"), "\n  ") + "\n")
	return b.String()
}

// The hosts of testdata: one that an installer of L2TP made, one for road
// warriors of strongSwan, one with a tunnel between sites.
func TestHostsBecomeWhatTheGoldensSay(t *testing.T) {
	for _, name := range []string{"installer", "roadwarrior", "sites"} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			root := filepath.Join("testdata", name)
			err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				below, _ := filepath.Rel(root, path)
				files[below] = string(text)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			r := adoptFiles(t, files)
			mustParse(t, r)
			got := everything(r)
			for _, s := range []string{"Zwei-Hunde", "Sahne", "Regenschirm", "Lampe-Wolke", "Hut Tasse", "Liter", "TGl0ZXI", "8846f7", "fR8q2L", "uY7kQm"} {
				if strings.Contains(got, s) {
					t.Errorf("a secret is shown: %s", s)
				}
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, _ := os.ReadFile(golden); got != string(want) {
				t.Errorf("%s differs; got\n%s", golden, got)
			}
		})
	}
}

func TestUsersComeThroughTheList(t *testing.T) {
	r := adoptFiles(t, map[string]string{
		"etc/xl2tpd/xl2tpd.conf": "[lns default]\nip range = 10.9.0.10-10.9.0.20\npppoptfile = /etc/ppp/options.xl2tpd\n",
		"etc/ppp/options.xl2tpd": "auth\nrequire-mschap-v2\n",
		"etc/ppp/chap-secrets":   "a * \"with, comma \\\" and quote\" *\nb * \" space before\" 10.9.0.12\nc * \"long enough\" 10.9.0.1\nme isp mine\n",
	})
	var b bytes.Buffer
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	all, err := people.Read("csv", &b)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d users, %v", len(all), err)
	}
	if all[0].Secret != `with, comma " and quote` || all[1].Secret != " space before" || len(all[1].Inner) != 1 || len(all[2].Inner) != 0 {
		t.Errorf("%+v", all)
	}
}

// The gateway refuses short passwords, passwords of two and names with spaces; one
// such line and it takes none of the list.
func TestTheListHoldsWhatTheGatewayTakes(t *testing.T) {
	r := adoptFiles(t, map[string]string{
		"etc/xl2tpd/xl2tpd.conf": "[lns default]\nip range = 10.9.0.10-10.9.0.20\npppoptfile = /etc/ppp/options.xl2tpd\n",
		"etc/ppp/options.xl2tpd": "auth\nrequire-mschap-v2\n",
		"etc/ppp/chap-secrets": "\"Carol Smith\" * \"Hut Tasse Fenster\" *\ncarol-smith * \"Hut Tasse Fenster\" *\nbob * short *\n" +
			"dora * My-Dora-2026 *\neve * password123 *\n",
	})
	if len(r.Users) != 5 {
		t.Fatalf("%+v", r.Users)
	}
	for i, want := range []adopt.User{{Name: "carol-smith", Password: []byte("Hut Tasse Fenster")}, {Name: "carol-smith-2"}, {Name: "bob"}, {Name: "dora"}, {Name: "eve"}} {
		if u := r.Users[i]; u.Name != want.Name || string(u.Password) != string(want.Password) {
			t.Errorf("user %d is %q with a password of %d octets, want %q with %d", i, u.Name, len(u.Password), want.Name, len(want.Password))
		}
	}
	for _, want := range []string{"sallyport user password bob --generate", "\n  sallyport user password bob --generate\n", "another user has the same password", "name Carol Smith -> carol-smith\n"} {
		if !strings.Contains(everything(r), want) {
			t.Errorf("nothing says %q", want)
		}
	}
}

func TestTheRestOfAPasswordIsNoAddressToShow(t *testing.T) {
	r := adoptFiles(t, map[string]string{
		"etc/xl2tpd/xl2tpd.conf": "[lns default]\nip range = 10.9.0.10-10.9.0.20\nlocal ip = 10.9.0.1\npppoptfile = /etc/ppp/options.xl2tpd\n",
		"etc/ppp/options.xl2tpd": "auth\nrequire-mschap-v2\n",
		"etc/ppp/chap-secrets":   "alice * correct horse-battery 10.8.0.7\n",
	})
	if text := everything(r); strings.Contains(text, "battery") || !strings.Contains(text, "address 10.8.0.7") {
		t.Error(text)
	}
}

func TestUsersOfOneZoneAmongTwoAreNotLeftToTheOther(t *testing.T) {
	r := adoptFiles(t, map[string]string{
		"etc/swanctl/swanctl.conf": "connections { a { version=2\n pools = p\n remote { auth = eap-mschapv2 }\n children { n { } } } }\npools { p { addrs = 10.5.0.0/24 } }\n",
		"etc/xl2tpd/xl2tpd.conf":   "[lns default]\nip range = 10.9.0.10-10.9.0.20\npppoptfile = /etc/ppp/options.xl2tpd\n",
		"etc/ppp/options.xl2tpd":   "auth\nrequire-mschap-v2\n",
		"etc/ppp/chap-secrets":     "bob * \"Hut Tasse Fenster\" 10.9.0.12\n",
	})
	c := mustParse(t, r)
	if len(c.Zones) != 2 || len(r.Users) != 1 || r.Users[0].Zone != "l2tp" {
		t.Errorf("%d zones, users %+v", len(c.Zones), r.Users)
	}
}

func TestAKeyOfOnePeerStaysAndAKeyOfAllDoesNot(t *testing.T) {
	conf := "config setup\nconn rw\n\tkeyexchange=ikev2\n\tauthby=secret\n\tleftid=@gw.example.org\n\tright=%any\n\trightsourceip=10.8.0.0/24\n\tauto=add\n"
	one := adoptFiles(t, map[string]string{"etc/ipsec.conf": conf, "etc/ipsec.secrets": "@gw.example.org 192.0.2.9 : PSK \"dT7xKq9vLm3pZw5r\"\n"})
	if c := mustParse(t, one); !slices.Contains(c.Zones[0].Auth, config.PSK) || len(one.Keys) != 1 || one.Keys[0].Address != "192.0.2.9/32" {
		t.Errorf("auth %v, keys %+v", c.Zones[0].Auth, one.Keys)
	}
	all := adoptFiles(t, map[string]string{"etc/ipsec.conf": conf, "etc/ipsec.secrets": ": PSK \"dT7xKq9vLm3pZw5r\"\n"})
	if c := mustParse(t, all); slices.Contains(c.Zones[0].Auth, config.PSK) || len(all.Keys) != 0 || len(c.Zones[0].Waivers) != 0 {
		t.Errorf("auth %v, keys %+v", c.Zones[0].Auth, all.Keys)
	}
}

func TestZonesThatWantTheSameAddressesAreKeptApart(t *testing.T) {
	r := adoptFiles(t, map[string]string{
		"etc/swanctl/swanctl.conf": "connections { a { version=2\n pools = p\n children { n { } } } }\npools { p { addrs = 192.168.42.0/24 } }\n",
		"etc/xl2tpd/xl2tpd.conf":   "[lns default]\nip range = 192.168.42.10-192.168.42.20\n",
	})
	c := mustParse(t, r)
	if len(c.Zones) != 2 || c.Zones[0].Pool.IPv4.Overlaps(c.Zones[1].Pool.IPv4) {
		t.Errorf("%v and %v", c.Zones[0].Pool, c.Zones[1].Pool)
	}
}

func TestRADIUSServersAndTheirSecretsComeAlong(t *testing.T) {
	r := adoptFiles(t, map[string]string{
		"etc/swanctl/swanctl.conf": "connections { a { version=2\n pools = p\n remote { auth = eap-radius } } }\npools { p { addrs = 10.5.0.0/24 } }\n",
		"etc/strongswan.conf":      "charon { plugins { eap-radius { accounting = yes\n servers { one { address = 10.0.0.5\n secret = kR4tXw8qLp2mVz6s } } } } }\n",
	})
	c := mustParse(t, r)
	if len(c.RADIUS) != 1 || c.Zones[0].RADIUS != "old" || c.RADIUS[0].Servers[0].Address != "10.0.0.5:1812" || len(c.RADIUS[0].Accounting) != 1 || len(r.Files) != 1 {
		t.Errorf("%+v, %d files\n%s", c.RADIUS, len(r.Files), everything(r))
	}
}

func TestEveryLineHasAFate(t *testing.T) {
	conf := "connections {\n a {\n  version = 2\n  local_addrs = 192.0.2.1\n  pools = p\n  children {\n   n {\n    updown = /bin/x\n   }\n  }\n }\n b {\n  version = 2\n  remote_addrs = 192.0.2.2\n  send_cert = always\n }\n}\npools {\n p {\n  addrs = 10.5.0.0/24\n }\n q {\n  addrs = 10.6.0.0/24\n }\n}\n"
	r := adoptFiles(t, map[string]string{"etc/swanctl/swanctl.conf": conf})
	lines := map[int]bool{}
	for _, i := range r.Items {
		lines[i.At.Line] = true
	}
	for _, n := range []int{3, 4, 5, 8, 12, 20, 23} {
		if !lines[n] && n != 5 {
			t.Errorf("line %d has no fate: %s", n, strings.Split(conf, "\n")[n-1])
		}
	}
	if lines[15] {
		t.Error("a section that is left out as a whole is listed line by line")
	}
}

// FuzzHost holds that whatever the source is, the result is a configuration
// without errors, and the list of users can be read.
func FuzzHost(f *testing.F) {
	f.Add("connections { a { pools = p\n remote { auth = psk } children { n { local_ts = 10.0.0.0/8 } } } }\npools { p { addrs = 10.1.0.0/30\n dns = 10.1.0.2 } }\nsecrets { eap-a { id = a\n secret = b } }", "[lns x]\nip range = 10.1.0.0-10.1.0.255\nlocal ip = 10.1.0.9\nlisten-addr = 1.2.3.4", "a * b *", "conn x\n type=transport\n authby=secret\n leftprotoport=17/1701\n right=%any\n")
	f.Fuzz(func(t *testing.T, swan, l2tp, chap, ipsec string) {
		r := adoptFiles(t, map[string]string{"etc/swanctl/swanctl.conf": swan, "etc/xl2tpd/xl2tpd.conf": l2tp, "etc/ppp/chap-secrets": chap, "etc/ipsec.conf": ipsec})
		mustParse(t, r)
		var b bytes.Buffer
		if err := r.CSV(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := people.Read("csv", &b); err != nil {
			t.Fatal(err)
		}
		for _, i := range r.Items {
			if i.Fate == "" || i.What == "" || i.Fate == adopt.Left && i.Why == "" || i.Fate == adopt.Changed && (i.Why == "" || i.Became == "") {
				t.Fatalf("no fate, or no reason: %+v", i)
			}
		}
	})
}

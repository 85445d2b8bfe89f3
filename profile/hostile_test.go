package profile

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sallyport/config"
)

// hostile are names that would end a string, a line, a section or a script in
// one syntax or another. What cannot be printed is refused before it gets here.
var hostile = []string{
	`it's`, `x'; Remove-Item C:\ -Recurse; '`, "x’; calc; ’", "x‘;calc;‘", `$(calc)`, "`calc`", `"; calc; "`, `@{a=1}`, `#> calc <#`, `'@`,
	`x" start_action=start`, `a } b { c`, `a # b`, `include /etc/passwd`, `a\`, `a\" b`,
	`</string><key>x</key><string>`, `<!--`, `]]>`, `&amp;`, `<VPNProfile>`,
	`{"a":1}`, `"}`, `a: b`, `- a`, `!!str`, `*a`, `a;b`, `a\;b`, `\s`, ` leading`, `trailing `, `=`, `[vpn]`, `[`,
	`" ; /system reset`, `$spName`, `[/system reset]`, `a?b`, `\22`, "日本", "é", "😀", `%s`, `%any`, `..`, `--for`,
}

// named puts a name wherever a profile takes one from outside.
func named(t testing.TB, kind, name string) Input {
	in := testInput(t, testZone(t, "compatible", ""), keyFor(kind))
	zone := *in.Zone
	zone.Name = name
	zone.DNS = config.DNS{Servers: []config.Server{{Gateway: true}}, Search: []string{name}, Split: []string{name}}
	in.Zone, in.Device, in.Gateway, in.Identity = &zone, Device{Name: name, User: name, Identity: name}, name, name
	in.Names, in.Dir = nil, "/"+name
	return in
}

func TestHostileNamesStayNames(t *testing.T) {
	for _, name := range hostile {
		for _, k := range Kinds() {
			p := mustMake(t, k.Name, named(t, k.Name, name))
			readsName[k.Name](t, name, p)
			for _, step := range p.Steps {
				if strings.ContainsAny(name, "$`'\";<{[|&") && strings.Contains(step, name) && !strings.HasPrefix(step, "keep ") {
					t.Errorf("%s: %q reaches a command to type: %s", k.Name, name, step)
				}
			}
		}
	}
}

// readsName read each profile back and want the name where it was put, and
// nothing that was not there.
var readsName = map[string]func(t testing.TB, name string, p Profile){
	"windows": func(t testing.TB, name string, p Profile) {
		s := parsePowerShell(t, p.Files[0].Content)
		wantSame(t, name, s.strings["Server"], s.strings["DnsSuffix"], s.lists["DnsDomains"][0])
		wantSame(t, fmt.Sprintf("Sallyport profile of device %s, zone %[1]s.", name), s.strings["Comment"])
	},
	"windows-xml": func(t testing.TB, name string, p Profile) {
		var v struct {
			Suffix  string `xml:"DnsSuffix"`
			Domains []struct {
				Name string `xml:"DomainName"`
			} `xml:"DomainNameInformation"`
			Servers string `xml:"NativeProfile>Servers"`
		}
		if err := xml.Unmarshal([]byte(p.Files[0].Content), &v); err != nil {
			t.Fatal(err)
		}
		wantSame(t, name, v.Suffix, v.Domains[0].Name, v.Servers)
		if name == "." { // every name already: a second rule would name the names below nothing
			return
		}
		if len(v.Domains) != 2 {
			t.Fatalf("%q: %d DNS rules, want the domain and what is below it", name, len(v.Domains))
		}
		wantSame(t, "."+name, v.Domains[1].Name)
	},
	"macos": hostileApple, "ios": hostileApple,
	"android": func(t testing.TB, name string, p Profile) {
		var found []string
		for line := range strings.SplitSeq(p.Files[0].Content, "\n") {
			for _, label := range []string{"   Server address              ", "   IPSec identifier            "} {
				if rest, ok := strings.CutPrefix(line, label); ok {
					found = append(found, rest)
				}
			}
		}
		if len(found) != 2 {
			t.Errorf("%q: the card has %d of its lines", name, len(found))
		}
		wantSame(t, name, found...)
	},
	"strongswan-android": func(t testing.TB, name string, p Profile) {
		var v struct{ Remote, Local struct{ Addr, ID string } }
		if err := json.Unmarshal([]byte(p.Files[0].Content), &v); err != nil {
			t.Fatal(err)
		}
		wantSame(t, name, v.Remote.Addr, v.Remote.ID, v.Local.ID)
	},
	"networkmanager": func(t testing.TB, name string, p Profile) {
		f := parseKeyfile(t, p.Files[0].Content)
		wantSame(t, name, f["vpn"]["address"], f["vpn"]["local-identity"], f["vpn"]["remote-identity"])
		if len(f) != 4 || len(f["connection"]) != 3 {
			t.Errorf("%q: the file has other groups or keys: %v", name, f)
		}
	},
	"swanctl": func(t testing.TB, name string, p Profile) {
		c := parseSwanctl(t, p.Files[0].Content)
		var ids []string
		for key, value := range c {
			if strings.HasSuffix(key, "/id") || strings.HasSuffix(key, "/remote_addrs") {
				ids = append(ids, value)
			}
		}
		if len(ids) != 3 || len(c) != 20 {
			t.Errorf("%q: the file has %d values, of which %d are names", name, len(c), len(ids))
		}
		wantSame(t, name, ids...)
	},
	"mikrotik": func(t testing.TB, name string, p Profile) {
		for _, f := range p.Files[:2] {
			v := parseRouterOS(t, f.Content)
			wantSame(t, name, v["spGateway"])
			wantSame(t, routerOSID(name), v["spRemoteID"], v["spLocalID"])
		}
	},
	"sallyport": func(t testing.TB, name string, p Profile) {
		var v struct {
			Device, Remote, Identity string
			RemoteID                 string `yaml:"remote_id"`
		}
		if err := yaml.UnmarshalWithOptions([]byte(p.Files[0].Content), &v); err != nil {
			t.Fatal(err)
		}
		wantSame(t, name, v.Device, v.Remote, v.Identity, v.RemoteID)
	},
}

func hostileApple(t testing.TB, name string, p Profile) {
	v := applePlist(t, p.Files[0].Bytes())["com.apple.vpn.managed"]
	i := v["IKEv2"].(map[string]any)
	dns := v["DNS"].(map[string]any)
	wantSame(t, name, i["RemoteAddress"].(string), i["RemoteIdentifier"].(string), i["LocalIdentifier"].(string),
		dns["SearchDomains"].([]any)[0].(string), dns["SupplementalMatchDomains"].([]any)[0].(string))
}

func wantSame(t testing.TB, want string, got ...string) {
	t.Helper()
	if slices.ContainsFunc(got, func(g string) bool { return g != want }) {
		t.Errorf("%q came back as %q", want, got)
	}
}

func seed(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Add("a\nb\r\x00\x7f")
}

func FuzzPowerShell(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		text := powerShell(s)
		for _, c := range []byte(text) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q is not plain ASCII", text)
			}
		}
		tokens, err := tokenizePowerShell(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		p := &psParser{tokens: tokens}
		got := p.value()
		if want := strings.ToValidUTF8(s, "\ufffd"); p.err != nil || len(p.tokens) > 0 || got != want && len([]rune(s)) == len([]rune(want)) {
			t.Fatalf("%q came back as %q from %q (%v, %d tokens left)", s, got, text, p.err, len(p.tokens))
		}
	})
}

func FuzzRouterOS(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		text := routerOS(s)
		got, rest, err := routerOSString(text[1:])
		if err != nil || rest != "" || got != s {
			t.Fatalf("%q came back as %q and %q from %q: %v", s, got, rest, text, err)
		}
	})
}

func FuzzSwanctl(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		if !printable(s) {
			return
		}
		for _, text := range []string{swanctl(s), swanctlQuoted(s)} {
			got, err := swanctlSections("a {\n  b = " + text + "\n  c = d\n}\n")
			if err != nil || got["a/b"] != s || got["a/c"] != "d" || len(got) != 2 {
				t.Fatalf("%q came back as %q from %q: %v", s, got, text, err)
			}
		}
	})
}

func FuzzKeyfile(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		if !printable(s) {
			return
		}
		got := parseKeyfile(t, "[a]\nb="+keyfile(s)+"\nc="+keyfileList([]string{s, s})+"\n")["a"]
		if len(got) != 2 || got["b"] != s || got["c"] != s+";"+s {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}

// FuzzMake puts any name into every kind: it is refused, or comes back.
func FuzzMake(f *testing.F) {
	seed(f)
	f.Add(".")
	f.Fuzz(func(t *testing.T, name string) {
		for _, k := range Kinds() {
			for _, auth := range ways[k.Name] {
				p, err := Make(k.Name, namedBy(t, k.Name, auth, name))
				if (err == nil) != (printable(name) && name != "") {
					t.Fatalf("%s with %s: %q: %v", k.Name, auth, name, err)
				}
				if err == nil {
					wantProof(t, k.Name, auth, name, hostilePSK(name), p)
				}
				if err == nil && auth == "certificate" {
					readsName[k.Name](t, name, p)
				}
			}
		}
	})
}

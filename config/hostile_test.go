package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// wantFault parses text, wants it refused, and wants one message to hold part.
func wantFault(t *testing.T, name, text, part string) {
	t.Helper()
	c, found := Parse("f", []byte(text), today)
	if c != nil {
		t.Errorf("%s: accepted", name)
		return
	}
	for _, d := range found {
		if strings.Contains(d.String()+" "+d.Hint, part) {
			return
		}
	}
	t.Errorf("%s: no message has %q: %v", name, part, found)
}

func TestYAMLThatIsMoreThanDataIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"anchor":           {"gateway: &g {name: a.example}\n", "f:1:10: anchors"},
		"alias":            {"gateway: {name: a.example, names: *g}\n", "anchors"},
		"merge key":        {"gateway:\n  <<: {name: a.example}\n", "anchors"},
		"tag":              {"gateway: {name: !!str a.example}\n", "tags"},
		"two documents":    {smallest + "---\n" + smallest, "second document"},
		"zero octet":       {"gateway: {name: a\x00b}\n", "zero octet"},
		"tab indent":       {"gateway:\n\tname: a.example\n", "f:2:"},
		"no YAML":          {"gateway: {name: a.example", "f:1:"},
		"a list":           {"- gateway\n", "want a section, not a list"},
		"text":             {"hello\n", "want a section, not text"},
		"nothing":          {"", "gateway.name: this key is required"},
		"comments alone":   {"# nothing\n", "gateway.name: this key is required"},
		"duplicate":        {"gateway: {name: a.example}\ngateway: {name: b.example}\n", "f:2:1: the key \"gateway\" is here twice; the first is at 1:1"},
		"escape sequence":  {`gateway: {name: "a\u001b[31m.example"}` + "\n", "unprintable character U+001B"},
		"key of a list":    {"gateway: {[a]: b, name: a.example}\n", "f:1:"},
		"long text":        {"gateway: {name: " + strings.Repeat("a", 2000) + "}\n", "the limit is 1024"},
		"long list":        {"gateway: {name: a.example, names: [" + strings.Repeat("b.example, ", 300) + "]}\n", "300 items; the limit is 256"},
		"deep block style": {strings.Repeat(" ", 65) + "a: b\n", "nested too deeply"},
		"deep list style":  {strings.Repeat("- ", 40) + "a\n", "nested too deeply"},
	} {
		wantFault(t, name, c.text, c.want)
	}
}

func TestCheckYAMLTakesAnyPlainDocument(t *testing.T) {
	if found := CheckYAML("f", []byte("a: {b: [1, x, true]}\nc: |\n  text\n")); len(found) != 0 {
		t.Errorf("plain YAML is refused: %v", found)
	}
	if err := CheckYAML("f", []byte("a: 1\nb: &x 2\n")).Err(); err == nil || !strings.Contains(err.Error(), "f:2:4: anchors") {
		t.Errorf("an anchor: %v", err)
	}
}

func TestHugeAndDeepFilesCostLittle(t *testing.T) {
	for name, text := range map[string]string{
		"over the size limit":   strings.Repeat("#", maxFile+1),
		"brackets at the limit": strings.Repeat("[", 5_000),
		"braces at the limit":   strings.Repeat("{a: ", 5_000),
		"braces over the limit": strings.Repeat("{a: ", 5_001),
		"commas at the limit":   "[" + strings.Repeat("a,", 20_000) + "]",
		"a million values":      "[" + strings.Repeat("a,", maxFile/2-2) + "]",
		"keys at the limit":     manyKeys(9_999),
		"many keys":             manyKeys(100_000),
		"one long text":         "a: " + strings.Repeat("b ", maxFile/2-4),
		"colons":                strings.Repeat("a: ", maxFile/3),
		"quotes":                strings.Repeat("'", maxFile),
		"double quotes":         strings.Repeat("\"", maxFile),
		"anchors":               strings.Repeat("&a ", maxFile/3),
		"aliases":               strings.Repeat("*a ", maxFile/3),
		"tags":                  strings.Repeat("! ", maxFile/2),
		"questions":             "a" + strings.Repeat("? ", maxFile/2-1),
		"pipes":                 strings.Repeat("| ", maxFile/2),
		"spaces":                "a" + strings.Repeat(" ", maxFile-1),
		"closing brackets":      strings.Repeat("]", maxFile),
		"comment":               "a: b #" + strings.Repeat(" #", maxFile/2-8),
	} {
		start := time.Now()
		if c, _ := Parse("f", []byte(text), today); c != nil {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: v\n", i)
	}
	return b.String()
}

// canary stands for a secret in another product's file that was given to us by
// mistake, or was copied into ours.
const canary = "hunter2"

// inServer is a file with some keys of a RADIUS server.
func inServer(keys string) string {
	return smallest + "radius: {x: {servers: [{address: \"r.example:1812\", " + keys + "}]}}\n"
}

func TestANumberThatMayBeASecretIsNotShown(t *testing.T) {
	for _, text := range []string{inServer("secret: 31415926"), inServer("tls: {ca: /a, certificate: /c, key: 31415926}"), inServer("secret: [31415926]")} {
		_, found := Parse("f", []byte(text), today)
		if shown := fmt.Sprint(found, found[len(found)-1].Hint); strings.Contains(shown, "31415926") || !strings.Contains(shown, privateHint) {
			t.Errorf("%s: %s", text, shown)
		}
	}
}

func TestDiagnosticsShowNoForeignValue(t *testing.T) {
	for _, text := range []string{
		"conn: {psk: hunter2}\n",
		"gateway: {name: a.example, psk: hunter2}\n",
		"gateway: {name: a.example}\nzones: {staff: {secret: hunter2, policy: bad}}\n",
		"gateway: {name: a.example}\nzones: {psk: hunter2}\n",
		"gateway: {name: a.example}\nzones: {\"A b\": hunter2}\n",
		"gateway: {name: a.example}\npsk: hunter2 hunter2: hunter2: [\n",
		"psk: \"hunter2\ngateway: {name: a.example}\n",
		"psk: [hunter2\n",
		"psk: {hunter2: hunter2\n",
		"psk: |\n hunter2\nhunter2\n",
		"# hunter2\n\tpsk: hunter2\n",
		"psk: *hunter2\n",
		"secrets {\n  ike-1 {\n    secret = \"hunter2\"\n  }\n}\n",
		"conn staff\n\tleft=192.0.2.1\n\tright=%any\n : PSK \"hunter2\"\n",
		"gateway: {name: {psk: hunter2}}\n",
		"gateway: {name: [hunter2]}\n",
		"gateway: hunter2\n",
		"zones: hunter2\n",
		"zones: {a: hunter2}\n",
		"groups: hunter2\n",
		"groups: {psk: hunter2}\n",
		"groups: {g: {psk: hunter2}}\n",
		"radius: hunter2\n",
		"radius: {secret: hunter2}\n",
		"radius: {servers: hunter2}\n",
		"radius: {x: {secret: hunter2}}\n",
		"radius: {x: {servers: hunter2}}\n",
		"radius: {x: {servers: [hunter2]}}\n",
		"radius: {x: {dynamic: {psk: hunter2}}}\n",
		inServer("secret: hunter2"),
		inServer("secret: [hunter2]"),
		inServer("secret: {psk: hunter2}"),
		inServer("secret: \"hunter2\\t\""),
		inServer("secret: " + strings.Repeat("hunter2", 200)),
		inServer("psk: hunter2"),
		inServer("tls: hunter2"),
		inServer("tls: {secret: hunter2}"),
		inServer("tls: {ca: /a, certificate: /c, key: \"-----BEGIN PRIVATE KEY----- hunter2\"}"),
		smallest + "zones: {a: {identity: {certificate: /c, key: \"-----BEGIN PRIVATE KEY----- hunter2\"}}}\n",
		smallest + "zones: {a: {identity: {certificate: /c, key: |\n -----BEGIN PRIVATE KEY-----\n hunter2\n}}}\n",
		smallest + "radius: {x: {dynamic: {listen: 192.0.2.1:3799, from: [{address: 192.0.2.9, secret: hunter2}]}}}\n",
	} {
		_, found := Parse("f", []byte(text), today)
		if found.Err() == nil {
			t.Errorf("accepted: %q", text)
		}
		for _, d := range found {
			if strings.Contains(d.String()+d.Hint, canary) {
				t.Errorf("%q: shown: %v (%s)", text, d, d.Hint)
			}
		}
	}
}

func TestLoadSaysWhatIsMissingOnThisHost(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key := write("key.pem", "", 0o644)
	file := write("c.yaml", fmt.Sprintf("gateway: {name: a.example, listen: [nosuchif0]}\nzones: {a: {identity: {certificate: /nosuch.pem, key: %s}, trust: {cas: [%s], crls: [/nosuch.crl]}}}\n", key, dir), 0o600)
	_, found := Load(file, today)
	for _, want := range []string{
		`warning gateway.listen[0]: this host has no interface "nosuchif0" now`,
		`warning zones.a.identity.certificate: "/nosuch.pem": no such file or directory`,
		`error zones.a.identity.key: "` + key + `" may be read by others (mode 0644)`,
		`error zones.a.trust.cas[0]: "` + dir + `" is not a file`,
		`warning zones.a.trust.crls[0]: "/nosuch.crl": no such file or directory`,
	} {
		seen := false
		for _, d := range found {
			seen = seen || d.Severity.String()+" "+d.Key+": "+d.Message == want
		}
		if !seen {
			t.Errorf("no diagnostic says %q: %v", want, found)
		}
	}
}

func TestLoadNamesTheFileThatCannotBeRead(t *testing.T) {
	_, found := Load(filepath.Join(t.TempDir(), "nosuch.yaml"), today)
	if len(found) != 1 || !strings.HasSuffix(found[0].String(), "nosuch.yaml: cannot be read: no such file or directory") {
		t.Errorf("diagnostics are %v", found)
	}
}

// FuzzParse holds that no input panics, that what is accepted has an effective
// form that means the same, and that what is refused says where and why.
func FuzzParse(f *testing.F) {
	for _, text := range []string{smallest, example, everything, "gateway: &a {name: *a}", "- - -", "{[", "a: !!binary x", "zones: {a: {policy: {ike: 1}}}", inServer("tls: {ca: 1}"), "gateway: {name: a, limits: {sessions: 1e9, half_open: 0x10, per_source: 0o7}}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, found := Parse("f", b, today)
		if c == nil {
			if found.Err() == nil {
				t.Fatal("refused without a reason")
			}
			wantHints(t, "f", found)
			for _, d := range found {
				if d.Message == "" || strings.ContainsRune(d.String(), '\x1b') {
					t.Fatalf("a diagnostic is empty or unsafe on a terminal: %q", d)
				}
			}
			return
		}
		again, found := Parse("effective", c.Effective(), today)
		if again == nil {
			t.Fatalf("the effective form is refused: %v\n%s", found, c.Effective())
		}
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("the effective form differs: %v", Diff(c, again))
		}
	})
}

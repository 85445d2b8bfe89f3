package setting_test

import (
	"slices"
	"strings"
	"testing"

	"sallyport/posture"
	"sallyport/posture/setting"
)

func TestVersionsAreComparedByNumber(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"7.9", "7.15", -1}, {"7.15rc2", "7.15", 0}, {"6.49.10", "6.49.9", 1}, {"15.2(4)M6", "15.2", 0}, {"5.06", "5.6", 0}, {"", "1", -1}, {"99999999999999999999", "7", 1}} {
		if got := setting.Compare(c.a, c.b); (got < 0) != (c.want < 0) || (got > 0) != (c.want > 0) {
			t.Errorf("%q against %q: %d", c.a, c.b, got)
		}
	}
}

func TestADefaultSaysHowSureItIs(t *testing.T) {
	known := posture.Written("7.14", posture.Pos{}, "7.14")
	for _, c := range []struct {
		version posture.Value[string]
		sure    bool
		origin  posture.Origin
		why     string
	}{
		{known, true, posture.Default, "default of RouterOS 7.14"},
		{known, false, posture.Inferred, "taken as the default of RouterOS 7.14"},
		{posture.Value[string]{}, true, posture.Inferred, "version unknown: default of RouterOS 6.49"},
	} {
		d := setting.Defaults{Product: "RouterOS", Version: c.version, Oldest: "6.49"}
		if v := setting.Of(d, 1, posture.Pos{}, c.sure); v.Origin != c.origin || v.Why != c.why {
			t.Errorf("%v, %q; want %v, %q", v.Origin, v.Why, c.origin, c.why)
		}
	}
}

func TestAWordThatIsNotUnderstoodIsNoValue(t *testing.T) {
	if v, ok := setting.To(setting.Written("perhaps", posture.Pos{}), setting.Switch); ok || v.Known() {
		t.Errorf("%v, %v", v, ok)
	}
	if v, ok := setting.To(setting.Setting{}, setting.Switch); !ok || v.Known() {
		t.Errorf("no setting: %v, %v", v, ok)
	}
}

func TestWordsThatMayBeKeysAreNotShown(t *testing.T) {
	for word, shown := range map[string]bool{"nat-traversal": true, "ip ipsec peer": true, "MIIEvQIBADANBgkq": false, "pass$word": false, "": false, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": false} {
		if got := setting.Shown(word); (got == `"`+word+`"`) != shown {
			t.Errorf("%q is shown as %s", word, got)
		}
	}
}

func TestAKeyInBase64IsNoKeyOfASetting(t *testing.T) {
	const hidden = "(a word that is no directive)"
	for _, c := range []struct{ key, value, want string }{
		{"Frobnicate", "yes", `"Frobnicate"`},
		{"S2FuYXJ5", "=", hidden},                // the end of a line in base64
		{"S2FuYXJ5", "rest", hidden},             // capitals with digits
		{"lonely", "", hidden},                   // nothing follows
		{"hunter/2", "yes", hidden},              // signs that no directive has
		{"presharedkye", "x", `"presharedkye"`},  // a slip of the pen
		{strings.Repeat("a", 41), "yes", hidden}, // too long
	} {
		if got := setting.Key(c.key, c.value); got != c.want {
			t.Errorf("%s = %s: %s, want %s", c.key, c.value, got, c.want)
		}
	}
}

func TestSomeScriptsRecordSessions(t *testing.T) {
	for script, want := range map[string]bool{
		"": false, "%disabled": false, "/bin/true": false, "ipsec _updown": false, "/usr/lib/ipsec/_updown iptables": true, "/usr/local/bin/sessions": true, "/etc/ipsec.d/vti.sh -m 100": true,
	} {
		if setting.Records(script) != want {
			t.Errorf("%q", script)
		}
	}
}

func TestAMaskIsNoSecret(t *testing.T) {
	for text, want := range map[string]bool{
		"*****": true, "xxxxx": true, "XXXXXXXX": true, "<removed>": true, "<pre-shared-key>": true, "${psk}": true, "{{ psk }}": true,
		"__PSK__": true, "@PRE_SHARED_KEY@": true, "%RandomKey%": true, "$SECRET": true, "<%= key %>": true, "vpn-${site}": true,
		"": false, "xxx": false, "<>": false, "a*": false, "<a": false, "<a><b>": false, "xyxy": false,
		"$ecret": false, "a$SECRET": false, "p@SS@word": false, "100%sure%": false, "____": false, "@@": false, "%any": false,
		"$psk": true, "$preSharedKey": true, "$vpn_password": true, "$ummer": false, "$password1": false, "a$psk": false,
	} {
		if got := setting.LeftOut(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWhatIsLeftOutOfAValueIsNotKnown(t *testing.T) {
	for text, want := range map[string]bool{
		"${PEER}": true, "aes256-{{ group }}": true, "<peer-address>": true, "__ROUTES__": true, "@ADDRESS@": true, "%SERVERIP%": true, "$LEFTSUBNET": true,
		"%any": false, "%defaultroute": false, "@gw.example.org": false, "xxxx": false, "****": false, "*": false, "10.0.0.1": false, "": false,
	} {
		if got := setting.Placeholder(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestPlaceholdersEndWhereTheyAreClosed(t *testing.T) {
	for text, want := range map[string][]string{
		"a ${b} {{ c }} {% d %} <% e %>": {"${b}", "{{ c }}", "{% d %}", "<% e %>"},
		"{{ a }} b }}":                   {"{{ a }}"},
		"{% {{ a }}":                     {"{{ a }}"},
		"${a{{ b }}":                     {"{{ b }}"},
		"{{ a\n}} ${b\n}":                nil,
		"{%} <%> {{} ${":                 nil,
	} {
		var got []string
		for _, at := range setting.Placeholders([]byte(text)) {
			got = append(got, text[at[0]:at[1]])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestALineOfBeginningsIsReadOnce: a search to the end of the line for each would take
// minutes.
func TestALineOfBeginningsIsReadOnce(t *testing.T) {
	const n = 200_000
	if got := setting.Placeholders([]byte(strings.Repeat("{% {{ }} ${ <% ", n))); len(got) != n {
		t.Errorf("%d placeholders", len(got))
	}
}

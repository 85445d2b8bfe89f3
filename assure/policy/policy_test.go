package policy

import (
	"strings"
	"testing"
	"time"

	"sallyport/config"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

func transform(t *testing.T, word string) suite.Transform {
	t.Helper()
	a, ok := suite.ByKeyword(word)
	if !ok {
		t.Fatalf("no algorithm %q", word)
	}
	return a.Transform
}

func TestEveryBuiltInPolicyIsReadAndSaysWhatItRestsOn(t *testing.T) {
	for _, name := range Names() {
		p, ok := Named(name)
		if !ok || p.Name != name {
			t.Fatalf("%s is not %v", name, p)
		}
		second, all := p.SecondHand()
		if all == 0 || p.Version == "" {
			t.Errorf("%s is empty", name)
		}
		if second > 0 && !strings.Contains(p.Title, "see the marks") {
			t.Errorf("%s has %d values from a second hand of %d, and its title does not say so: %s", name, second, all, p.Title)
		}
	}
	if p := Default(); p.Duration(IKELife) != 24*time.Hour || p.Number(ReplayWindow) != 64 {
		t.Errorf("the default policy has %v and %d", p.Duration(IKELife), p.Number(ReplayWindow))
	}
}

func TestTheDefaultPolicyNamesEveryBound(t *testing.T) {
	for _, name := range Bounds() {
		if _, ok := Default().bounds[name]; !ok {
			t.Errorf("no bound %s", name)
		}
	}
}

func TestAPolicyWithoutABoundHasTheDefaults(t *testing.T) {
	p, _ := Named("stig-vpn-srg")
	if p.Duration(IKELife) != 8*time.Hour || p.Number(PSKBits) != 112 {
		t.Errorf("ike-life %v, psk-bits %d", p.Duration(IKELife), p.Number(PSKBits))
	}
}

func TestListsAllowWhatTheyName(t *testing.T) {
	p, _ := Named("cnsa1")
	for word, want := range map[string]bool{"aes256gcm16": true, "aes128gcm16": false, "aes256": false, "sha384": false, "prfsha384": true, "prfsha256": false, "ecp384": true, "ecp256": false} {
		if got := p.Allows(transform(t, word)); got != want {
			t.Errorf("%s: %v", word, got)
		}
	}
	if !Default().Allows(transform(t, "des")) || Default().Lists(suite.Encr) {
		t.Error("the default policy has a list of its own")
	}
}

const head = "name: ours\nversion: \"2026-01-02\"\ntitle: Ours\n"

func TestWhatIsWrongWithAPolicyIsSaidWithItsLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{head + "bound: {}\n", `:4:1: unknown key "bound"`},
		{head + "rules:\n  CRY-011: {severity: high}\n", `:5:12: rules.CRY-011: there is no rule "CRY-011"`},
		{head + "rules:\n  CRY-010: {severity: hihg}\n", `rules.CRY-010.severity: "hihg" is no severity`},
		{head + "bounds:\n  ike-live: {value: 8h}\n", `bounds.ike-live: there is no bound "ike-live"`},
		{head + "bounds:\n  ike-life: {value: 8}\n", `bounds.ike-life.value: "8" is no value of ike-life`},
		{head + "bounds:\n  hybrid-ke: {value: 2}\n", `"2" is no value of hybrid-ke`},
		{head + "algorithms:\n  encr: {allow: [aes256gcm61]}\n", `"aes256gcm61" is no encr algorithm`},
		{head + "algorithms:\n  cipher: {allow: []}\n", `"cipher" is no type of algorithm`},
		{"name: Ours\nversion: 1\ntitle: x\n", "a policy needs a name"},
		{"name: ours\nversion: 1\ntitle: x\n", "version is a date"},
		{head + "basis: RFC 1\nrules:\n  CRY-010: {severity: high}\n", "says of each value how it was checked"},
		{head + "basis: RFC 1\nrules:\n  CRY-010: {severity: high, checked: text}\n", "names its section"},
		{head + "rules: &a {}\n", "p.yaml:4:8: anchor"},
		{head + "rules:\n  CRY-010: [high]\n", "p.yaml:5:12: want mapping, not sequence"},
		{"name: {a: 5}\n", "p.yaml:1:7: want one value"},
		{"name: a\n\tb: c\n", "p.yaml:2:1: a tab stands in the indent"},
	} {
		p, found := Parse("p.yaml", []byte(c.text), []string{"CRY-010"})
		err := found.Err()
		if p != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q\n\tgives %v\n\twant %s", c.text, err, c.want)
		}
	}
}

func TestAHintNamesWhatWasMeant(t *testing.T) {
	_, found := Parse("p.yaml", []byte(head+"bounds:\n  ike-live: {value: 8h}\n"), nil)
	if len(found) != 1 || !strings.Contains(found[0].Hint, "ike-life") {
		t.Errorf("found %v", found)
	}
}

func TestEveryFaultOfADamagedFileHasAHint(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	rules := []string{"CRY-005", "CRY-010"}
	for name, read := range map[string]func([]byte) config.Diagnostics{
		head + "basis: RFC 1\nrules:\n  CRY-010: {severity: high, checked: text, clause: 1}\nbounds:\n  ike-life: {value: 8h, checked: own}\nalgorithms:\n  encr: {allow: [aes256gcm16], checked: second-hand}\n": func(b []byte) config.Diagnostics {
			_, found := Parse("p.yaml", b, rules)
			return found
		},
		"waivers:\n  - {rule: CRY-010, subject: gw, host: a, reason: r, owner: o, expires: 2027-01-01}\n": func(b []byte) config.Diagnostics {
			_, found := ParseWaivers("w.yaml", b, rules, now)
			return found
		},
	} {
		if found := read([]byte(name)); len(found) != 0 {
			t.Fatalf("the whole file: %v", found)
		}
		for i := range len(name) {
			for bit := range 8 {
				damaged := name[:i] + string([]byte{name[i] ^ 1<<bit}) + name[i+1:]
				for _, d := range read([]byte(damaged)) {
					if d.Hint == "" || d.Message == "" {
						t.Errorf("%q: no hint what to do: %s", damaged, d)
					}
				}
			}
		}
	}
}

func TestASpanIsWrittenAsItIsRead(t *testing.T) {
	for _, s := range []string{"8h", "24h", "90d", "365d", "30m", "90s", "1h30m"} {
		d, err := parseSpan(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Entry{Duration: d}).value(timeSpan); got != s && !(s == "90s" && got == "1m30s") {
			t.Errorf("%s becomes %s", s, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head))
	for _, name := range Names() {
		b, _ := Source(name)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, found := Parse("p.yaml", b, []string{"CRY-010"})
		if (p == nil) == (found.Err() == nil) {
			t.Errorf("policy %v with faults %v", p, found)
		}
	})
}

func TestWhatIsWrongWithAWaiverIsSaid(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ text, want string }{
		{"waivers:\n  - {rule: CRY-01, subject: gw, reason: r, owner: o, expires: 2027-01-01}\n", `there is no rule "CRY-01"`},
		{"waivers:\n  - {rule: CRY-010, reason: r, owner: o, expires: 2027-01-01}\n", "needs subject"},
		{"waivers:\n  - {rule: CRY-010, subject: gw, owner: o, expires: 2027-01-01}\n", "needs reason"},
		{"waivers:\n  - {rule: CRY-010, subject: gw, reason: r, owner: o}\n", "the day on which it expires"},
		{"waivers:\n  - {rule: CRY-010, subject: gw, reason: r, owner: o, expires: 2028-01-01}\n", "no exception but a habit"},
		{"waivers:\n  - {rule: CRY-010, subjet: gw, reason: r, owner: o, expires: 2027-01-01}\n", `2:21: unknown key "subjet"`},
	} {
		_, found := ParseWaivers("w.yaml", []byte(c.text), []string{"CRY-010"}, now)
		if err := found.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q\n\tgives %v\n\twant %s", c.text, err, c.want)
		}
	}
}

func TestAWaiverEndsWithItsDay(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	ws, found := ParseWaivers("w.yaml", []byte("waivers:\n  - {rule: CRY-010, subject: gw, host: a, reason: r, owner: o, expires: 2027-01-01}\n"), []string{"CRY-010"}, now)
	if err := found.Err(); err != nil || len(ws) != 1 {
		t.Fatal(ws, err)
	}
	w := ws[0]
	if w.Expired(time.Date(2027, 1, 1, 23, 59, 59, 0, time.UTC)) || !w.Expired(time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)) {
		t.Error("the waiver does not end with its last day")
	}
	if !w.Covers("CRY-010", "a", "gw") || w.Covers("CRY-010", "b", "gw") || w.Covers("CRY-010", "a", "other") || w.Covers("CRY-011", "a", "gw") {
		t.Error("the waiver covers the wrong findings")
	}
}

func TestAPolicyMadeOfAHostAllowsWhatItHasAndNoMore(t *testing.T) {
	ike := posture.Proposal{Transforms: []suite.Transform{transform(t, "aes256gcm16"), transform(t, "prfsha384"), transform(t, "ecp384")}}
	var s Seen
	s.Add(&posture.Host{Connections: []posture.Connection{
		{IKE: posture.Value[[]posture.Proposal]{V: []posture.Proposal{ike}}, IKELife: posture.Value[time.Duration]{V: 4 * time.Hour}},
		{Disabled: true, IKELife: posture.Value[time.Duration]{V: 40 * time.Hour}},
	}})
	p, found := Parse("made.yaml", s.Policy("ours", time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)), nil)
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	if !p.Allows(transform(t, "ecp384")) || p.Allows(transform(t, "ecp256")) || p.Duration(IKELife) != 4*time.Hour {
		t.Errorf("lines %v", p.Lines())
	}
}

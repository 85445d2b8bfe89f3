package audit_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/assure/audit"
	"sallyport/posture"
)

// iosNames are what stands in a fix for IOS for what only the administrator knows,
// with the names that the examples have.
var iosNames = strings.NewReplacer(
	"ADDRESS-INSIDE", "10.10.0.5", "KEYRING", "SITES", "peer PEER", "peer BERN", "PEER", "198.51.100.7", "ADDRESS", "198.51.100.7", "TRUSTPOINT", "COMPANY",
	"extended NAME", "extended OUTSIDE", "POLICY", "STAFF", "ikev2-profile PROFILE", "ikev2-profile BERN", "PROFILE", "STAFF", "TRANSFORM-SET", "AES256", "ACCESS-LIST", "BERN",
	"policy NUMBER\n", "policy 10\n", "LOG-SERVER", "10.10.0.5", "TIME-SERVER", "10.10.0.5", "RANDOM", "mT7vQx2LbW9nZr5KpYd3HsMf8JgEuAo1UiXcNw6Ct0o", "SECRET", "mT7vQx2LbW9nZr5KpYd3HsMf8JgEuAo1UiXcNw6Ct0o",
	"key KEY required", "key yN4vTb8QzXk2Wm6RcLp9HsDf3JgEuAo5UiYxZr7Ct1s required", "key KEY address", "key OLD address",
)

// iosBlock is a line of a configuration with those below it.
type iosBlock struct {
	text  string
	below []*iosBlock
}

// iosBlocks reads lines by their indent, and keeps comments.
func iosBlocks(config string) *iosBlock {
	root := &iosBlock{}
	above, indents := []*iosBlock{root}, []int{-1}
	for line := range strings.Lines(config) {
		text := strings.TrimSpace(line)
		if text == "" || text == "!" || text == "end" {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		for indents[len(indents)-1] >= indent {
			above, indents = above[:len(above)-1], indents[:len(indents)-1]
		}
		b := &iosBlock{text: text}
		last := above[len(above)-1]
		last.below = append(last.below, b)
		above, indents = append(above, b), append(indents, indent)
	}
	return root
}

func (b *iosBlock) write(indent string, to *strings.Builder) {
	for _, x := range b.below {
		to.WriteString(indent + x.text + "\n")
		x.write(indent+" ", to)
	}
}

// keyOf is the part of a line that says what it sets: entered again, it takes the
// place of the line that was there.
func keyOf(text string) func(string) bool {
	words := strings.Fields(text)
	var n int
	switch {
	case strings.HasPrefix(text, "crypto isakmp key "):
		return func(s string) bool {
			return strings.HasPrefix(s, "crypto isakmp key ") && strings.HasSuffix(s, strings.Join(words[4:], " "))
		}
	case words[0] == "username" || words[0] == "set" || words[0] == "ppp" || words[0] == "authentication":
		n = 2
	case strings.HasPrefix(text, "radius-server host"):
		n = 3
	case !slices.Contains([]string{"crypto", "interface", "peer", "permit", "match", "proposal", "logging", "radius", "ip"}, words[0]):
		n = 1
	default:
		return func(s string) bool { return s == text }
	}
	prefix := strings.Join(words[:n], " ")
	return func(s string) bool { return s == prefix || strings.HasPrefix(s, prefix+" ") }
}

// enter does to a configuration what a person at the console does with a fix.
func (b *iosBlock) enter(fix *iosBlock) {
	for _, f := range fix.below {
		if comment, ok := strings.CutPrefix(f.text, "! "); ok {
			b.heed(comment, f, fix)
			continue
		}
		if what, no := strings.CutPrefix(f.text, "no "); no {
			if !b.remove(what) {
				b.below = append(b.below, f)
			}
			continue
		}
		i := slices.IndexFunc(b.below, func(x *iosBlock) bool { return x.text == f.text })
		switch {
		case i >= 0:
		case strings.HasPrefix(f.text, "radius server "):
			continue // the example has it in the old notation
		default:
			i = b.put(f)
		}
		b.below[i].enter(f)
	}
}

// put writes a line in the place of what it changes: at the end, or at the begin
// where it has a number.
func (b *iosBlock) put(f *iosBlock) int {
	key := keyOf(f.text)
	b.below = slices.DeleteFunc(b.below, func(x *iosBlock) bool { return x.text == "no "+f.text || len(f.below) == 0 && key(x.text) })
	i := len(b.below)
	if f.text[0] >= '0' && f.text[0] <= '9' {
		i = 0
	}
	b.below = slices.Insert(b.below, i, &iosBlock{text: f.text})
	return i
}

// remove tells whether there was something.
func (b *iosBlock) remove(what string) bool {
	before := len(b.below)
	b.below = slices.DeleteFunc(b.below, func(x *iosBlock) bool { return strings.HasPrefix(x.text, strings.Replace(what, "key OLD", "key", 1)) })
	if start, end, ok := strings.Cut(what, " OLD "); ok {
		b.below = slices.DeleteFunc(b.below, func(x *iosBlock) bool { return strings.HasPrefix(x.text, start) && strings.Contains(x.text, end) })
	}
	return len(b.below) < before
}

// heed follows a comment: "in BLOCK NAME: LINE" for what else the finding may be
// about, "each other one goes: no BLOCK NAME", "...: LINE" for who has such a
// line, and lines below it for the entries that use IPsec.
func (b *iosBlock) heed(comment string, f, fix *iosBlock) {
	before, line, _ := strings.Cut(comment, ": ")
	words := strings.Fields(line)
	_, in, within := strings.Cut(before, "in ")
	switch {
	case len(f.below) > 0:
		for _, x := range b.below {
			entry := strings.HasPrefix(x.text, "crypto map ") && strings.Contains(x.text, "ipsec-isakmp") && !strings.Contains(x.text, "dynamic") || strings.HasPrefix(x.text, "crypto dynamic-map ") || strings.HasPrefix(x.text, "crypto ipsec profile ")
			if entry {
				x.enter(f)
			}
		}
	case strings.HasSuffix(before, "goes") && words[0] == "no":
		kind := strings.Join(words[1:len(words)-1], " ")
		b.below = slices.DeleteFunc(b.below, func(x *iosBlock) bool {
			return strings.HasPrefix(x.text, kind+" ") && !slices.ContainsFunc(fix.below, func(y *iosBlock) bool { return y.text == x.text })
		})
	case within && line != "":
		kind := in[:strings.LastIndex(in, " ")]
		for _, x := range b.below {
			if strings.HasPrefix(x.text, kind) {
				x.enter(&iosBlock{below: []*iosBlock{{text: line}}})
			}
		}
	case len(words) > 2 && slices.ContainsFunc(b.below, func(x *iosBlock) bool { return strings.HasPrefix(x.text, strings.Join(words[:2], " ")) }):
		b.enter(&iosBlock{below: []*iosBlock{{text: line}}})
	}
}

// TestWhatIsToBeWrittenInIOSIsEnough: a configuration in which the lines of a fix
// were entered keeps the rule.
func TestWhatIsToBeWrittenInIOSIsEnough(t *testing.T) {
	for _, rule := range audit.Rules() {
		if rule.Area() == "CVE" { // a flaw is not repaired by a line
			continue
		}
		if rule.ID == "PSK-006" || rule.ID == "PSK-008" {
			continue // the one is a move to another kind of VPN, the other is of the whole router
		}
		for _, e := range examples(t, rule.ID) {
			if e.dialect == posture.IOS && e.fails {
				e.mustHealIOS(t, rule.ID)
			}
		}
	}
}

func (e example) mustHealIOS(t *testing.T, id string) {
	t.Helper()
	results, _ := e.judged(id)
	for _, r := range results {
		if r.Outcome != audit.Found {
			continue
		}
		for path, file := range e.files {
			config := iosBlocks(string(file.Data))
			config.enter(iosBlocks(iosNames.Replace(r.Fix + "\n")))
			var text strings.Builder
			config.write("", &text)
			healed := e
			healed.files = fstest.MapFS{path: {Data: []byte(text.String()), Mode: 0o600, ModTime: file.ModTime}}
			after, _ := healed.judged(id)
			for _, a := range after {
				if a.Outcome == audit.Found && a.Subject.Kind == r.Subject.Kind && a.Subject.Name == r.Subject.Name {
					t.Errorf("%s, %s: the fix of %q does not help:\n%s%s\n%s", id, e.name, r.Subject.Name, r.Fix, describe([]audit.Result{a}, nil), text.String())
				}
			}
		}
	}
}

// TestWhatIsToBeWrittenInIOSStandsWhereItStood: keyrings of IKEv1 are others than
// those of IKEv2, and an account that has a hash takes no readable password.
func TestWhatIsToBeWrittenInIOSStandsWhereItStood(t *testing.T) {
	const config = "version 15.7\nhostname r\naaa new-model\nusername ann privilege 15 secret 5 $1$abcd$0123456789012345678901\n" +
		"crypto keyring SITES vrf WAN\n pre-shared-key address 10.0.0.0 255.255.255.0 key abc\n" +
		"crypto isakmp policy 10\n encr aes 256\n authentication pre-share\n group 14\n"
	for id, want := range map[string]string{
		"PSK-001": "crypto keyring SITES vrf WAN\n pre-shared-key address 10.0.0.0 255.255.255.0 key RANDOM\n",
		"PPP-014": "username ann algorithm-type scrypt secret RANDOM\n",
	} {
		e := example{name: id, dialect: posture.IOS, files: fstest.MapFS{"r.cfg": {Data: []byte(config), Mode: 0o600}}, now: today}
		results, _ := e.judged(id)
		i := slices.IndexFunc(results, func(r audit.Result) bool { return r.Outcome == audit.Found })
		if i < 0 || !strings.HasPrefix(results[i].Fix, want) || strings.Contains(results[i].Fix, "password") {
			t.Errorf("%s: %s", id, describe(results, nil))
		}
	}
}

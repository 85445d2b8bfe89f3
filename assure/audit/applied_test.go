package audit_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/assure/audit"
	"sallyport/posture"
)

// TestAFixThatIsWrittenEndsItsFinding applies what is advised in the dialects of
// strongSwan and Libreswan, whose files take settings again at their end: the
// later counts. Against flaws the advice is to update, which is no line.
func TestAFixThatIsWrittenEndsItsFinding(t *testing.T) {
	applied := 0
	for _, rule := range audit.Rules() {
		if rule.Needs != audit.Config || rule.Area() == "CVE" && rule.ID != "CVE-008" { // a flaw is not repaired by a line
			continue
		}
		for _, e := range examples(t, rule.ID) {
			if !e.fails || e.dialect != posture.Swanctl && e.dialect != posture.Starter && e.dialect != posture.Libreswan {
				continue
			}
			results, before := e.judged(rule.ID)
			fixed := e
			fixed.files = maps.Clone(e.files)
			whole := true
			for _, r := range results {
				if r.Outcome == audit.Found {
					whole = whole && applyFix(fixed.files, r.Fix)
				}
			}
			if !whole {
				continue
			}
			applied++
			results, notes := fixed.judged(rule.ID)
			if len(notes) > len(before) {
				t.Errorf("%s: the reader does not understand the fix of %s:%s", e.name, rule.ID, describe(nil, notes))
			}
			results = slices.DeleteFunc(results, func(r audit.Result) bool { return r.Outcome != audit.Found })
			if len(results) > 0 {
				t.Errorf("%s: %s is still found after its fix:%s\n\tfix: %s", e.name, rule.ID, describe(results, notes), results[0].Fix)
			}
		}
	}
	if applied < 100 {
		t.Errorf("only %d fixes could be applied", applied)
	}
}

// blank is a word that the administrator has to fill in, or something to remove.
var blank = regexp.MustCompile(`\b[A-Z]{4,}\b|^chown|# and no |<.*>`)

// applyFix adds the settings of a fix to the files. Of alternatives it takes the
// first.
func applyFix(files fstest.MapFS, fix string) bool {
	if blank.MatchString(fix) {
		return false
	}
	file, path, lines := "", "", []string(nil)
	end := func() {
		if len(lines) > 0 {
			appendSettings(files, file, path, lines)
		}
		lines = nil
	}
	for line := range strings.SplitSeq(fix, "\n") {
		place, in := strings.CutPrefix(line, "# in ")
		switch {
		case in:
			end()
			place, _, _ = strings.Cut(place, ":")
			file, path = "etc/swanctl/swanctl.conf", place
			if section, ok := strings.CutPrefix(place, "strongswan.conf, section "); ok {
				file, path = "etc/strongswan.conf", section
			}
		case strings.HasPrefix(line, "# or"):
			end()
			file = ""
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "conn ") || strings.HasPrefix(line, "config "):
			end()
			file, path, lines = "etc/ipsec.conf", "", []string{line}
		default:
			lines = append(lines, line)
		}
	}
	end()
	return true
}

func appendSettings(files fstest.MapFS, file, path string, lines []string) {
	if file == "" {
		return
	}
	text := strings.Join(lines, "\n")
	if path != "" {
		parts := strings.Split(path, ".")
		text = strings.Join(parts, " {\n") + " {\n" + text + strings.Repeat("\n}", len(parts))
	}
	old := &fstest.MapFile{Mode: 0o600, ModTime: today.AddDate(0, -1, 0)}
	if f := files[file]; f != nil {
		old = f
	}
	files[file] = &fstest.MapFile{Data: []byte(string(old.Data) + "\n" + text + "\n"), Mode: old.Mode, ModTime: old.ModTime}
}

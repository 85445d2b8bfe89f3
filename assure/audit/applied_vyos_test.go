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

// vyosCommands is the file of those examples of VyOS that are commands, to which
// more can be added.
const vyosCommands = "vyos-commands.txt"

// TestAFixForVyOSEndsItsFinding enters the commands that are advised, and commits.
func TestAFixForVyOSEndsItsFinding(t *testing.T) {
	applied := 0
	for _, rule := range audit.Rules() {
		if rule.Needs != audit.Config {
			continue
		}
		for _, e := range examples(t, rule.ID) {
			if !e.fails || e.dialect != posture.VyOS || e.files[vyosCommands] == nil {
				continue
			}
			results, _ := e.judged(rule.ID)
			text, whole := string(e.files[vyosCommands].Data), true
			for _, r := range results {
				switch {
				case r.Outcome != audit.Found || !whole:
				case rule.ID == "PPP-005" && r.Subject.Kind == "ppp":
					whole = false // clients have to move
				default:
					text, whole = enter(text, r.Fix)
				}
			}
			if !whole {
				continue
			}
			applied++
			fixed := e
			fixed.files = maps.Clone(e.files)
			fixed.files[vyosCommands] = &fstest.MapFile{Data: []byte(text), Mode: 0o600, ModTime: today.AddDate(0, -1, 0)}
			results, notes := fixed.judged(rule.ID)
			results = slices.DeleteFunc(results, func(r audit.Result) bool { return r.Outcome != audit.Found })
			if len(results) > 0 {
				t.Errorf("%s: %s is still found after its fix:%s\n\tfix: %s", e.name, rule.ID, describe(results, notes), results[0].Fix)
			}
		}
	}
	if applied < 50 {
		t.Errorf("only %d fixes could be applied", applied)
	}
}

var vyosBlank = regexp.MustCompile(`\b[A-Z][A-Z-]{3,}\b|<`)

// enter applies commands to a configuration; ok is false where the administrator
// has to fill something in, or where there is no command.
func enter(config, fix string) (after string, ok bool) {
	lines := strings.Split(strings.TrimSpace(config), "\n")
	fix = strings.ReplaceAll(fix, "RANDOM", "9f3ac1d47b2e68055c1d90ab7e4f2c6813da57b09e6c4418f2ab35d07c91e644")
	for command := range strings.SplitSeq(fix, "\n") {
		path, isDelete := strings.CutPrefix(command, "delete ")
		switch {
		case strings.HasPrefix(command, "#"):
			continue
		case vyosBlank.MatchString(strings.ReplaceAll(command, "9f3ac1d47b2e68055c1d90ab7e4f2c6813da57b09e6c4418f2ab35d07c91e644", "")):
			return config, false
		case isDelete:
			lines = slices.DeleteFunc(lines, func(l string) bool { return below(l, "set "+path) })
		case strings.HasPrefix(command, "set "):
			lines = append(lines, command)
		default:
			return config, false
		}
		ok = true
	}
	return strings.Join(lines, "\n") + "\n", ok
}

// below tells whether a command sets a node, or something in it.
func below(command, node string) bool {
	command = strings.ReplaceAll(command, "'", "")
	return command == node || strings.HasPrefix(command, node+" ")
}

package harden_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"sallyport/assure/audit"
	"sallyport/assure/harden"
	"sallyport/posture"
)

// differs are settings that the fix of a finding or the patch has and the other has
// not, and why.
var differs = map[string]string{
	"libreswan NAT-009 dpdtimeout":       "for IKEv1 alone, and the patch knows which version a connection has",
	"libreswan NAT-006 nat-ikev1-method": "for IKEv1 alone, and a default",
	"libreswan CRY-003 phase2":           "where AH is asked for, which the patch sees",
	"swanctl CRY-019 auth":               "which certificates and which EAP stand beside it is not in the files",
}

// TestAPatchSaysWhatTheFindingSays: every setting that a patch writes for a finding
// stands in the finding's fix, for the examples of all rules.
func TestAPatchSaysWhatTheFindingSays(t *testing.T) {
	archives, err := filepath.Glob(filepath.Join("..", "audit", "testdata", "rules", "*", "*.txtar"))
	if err != nil || len(archives) == 0 {
		t.Fatal(err, "no examples")
	}
	compared, used := 0, map[string]bool{}
	for _, archive := range archives {
		dialect := strings.TrimSuffix(filepath.Base(archive), ".txtar")
		if !slices.Contains([]string{"swanctl", "strongswan", "libreswan", "xl2tpd", "pppd"}, dialect) {
			continue
		}
		for name, files := range unpacked(t, archive) {
			h, results := judged(t, files)
			for _, r := range results {
				if r.Outcome != audit.Found || string(r.Subject.Dialect) != dialect {
					continue
				}
				p := harden.Make(nil, h, []audit.Result{r}, func(string) []byte { return nil })
				for _, e := range p.Edits {
					compared++
					if e.Dialect != r.Subject.Dialect || said(r.Fix, e) {
						continue
					}
					key := dialect + " " + r.Rule.ID + " " + e.Key
					if differs[key] == "" {
						t.Errorf("%s %s: %s of %q: the patch has %s=%s (taken out: %t), and the finding says\n%s", archive, name, r.Rule.ID, r.Subject.Name, e.Key, e.Value, e.Remove, r.Fix)
					}
					used[key] = true
				}
				for _, line := range settings(r.Fix) {
					if len(p.Edits) == 0 || slices.ContainsFunc(p.Edits, func(e harden.Edit) bool { return said(line, e) }) {
						continue
					}
					name, _, _ := strings.Cut(line, "=")
					key := dialect + " " + r.Rule.ID + " " + strings.TrimSpace(name)
					if differs[key] == "" {
						t.Errorf("%s %s: %s of %q: the finding says %s, and the patch has %+v", archive, name, r.Rule.ID, r.Subject.Name, line, p.Edits)
					}
					used[key] = true
				}
			}
		}
	}
	for key := range differs {
		if !used[key] {
			t.Errorf("%s agrees by now", key)
		}
	}
	if compared < 200 {
		t.Errorf("only %d settings were compared", compared)
	}
}

// settings are the lines of a fix that set something, up to the first alternative.
func settings(fix string) []string {
	var lines []string
	for line := range strings.Lines(fix) {
		if strings.HasPrefix(line, "# or") {
			break
		}
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line != "" && line != "}" && !strings.HasSuffix(line, "{") && !strings.HasPrefix(line, "conn ") && !strings.HasPrefix(line, "config ") && !strings.ContainsRune("[;", rune(line[0])) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// TestNobodyIsAskedForMPPEInsideIPsec: clients of L2TP have none there.
func TestNobodyIsAskedForMPPEInsideIPsec(t *testing.T) {
	for service, want := range map[string]bool{"options.xl2tpd": false, "options.pptpd": true} {
		_, results := judged(t, map[string]string{"etc/ppp/" + service: "auth\nrequire-mschap-v2\nmtu 1280\nmru 1280\n"})
		for _, r := range results {
			asks := slices.ContainsFunc(settings(r.Fix), func(s string) bool { return strings.HasPrefix(s, "require-mppe") })
			if r.Outcome == audit.Found && r.Subject.Kind == "ppp" && asks != (want && r.Rule.ID == "PPP-010") {
				t.Errorf("%s, %s: %s", service, r.Rule.ID, r.Fix)
			}
		}
	}
}

// said tells whether a fix has a setting, or takes one out.
func said(fix string, e harden.Edit) bool {
	if e.Remove {
		short := strings.HasPrefix(e.Key, "+") && strings.Contains(fix, e.Key)
		return strings.Contains(fix, "no "+e.Key) || strings.Contains(fix, "no other require-*") && (strings.HasPrefix(e.Key, "require-") || short)
	}
	value := regexp.QuoteMeta(strings.Trim(e.Value, `"`))
	for _, form := range []string{`(^|\s)` + regexp.QuoteMeta(e.Key) + `\s*=\s*"?` + value + `"?(\s|$|;)`, `(^|\s)` + regexp.QuoteMeta(e.Key) + `\s+` + value + `(\s|$)`} {
		if e.Dialect == posture.PPPD && e.Value == "" {
			form = `(?m)^` + regexp.QuoteMeta(e.Key) + `(\s|$)`
		}
		if regexp.MustCompile(`(?m)` + form).MatchString(fix) {
			return true
		}
	}
	return false
}

// unpacked are the failing examples of an archive.
func unpacked(t *testing.T, archive string) map[string]map[string]string {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, f := range a.Files {
		name, path, _ := strings.Cut(f.Name, "/")
		if !strings.HasPrefix(name, "fail") {
			continue
		}
		if all[name] == nil {
			all[name] = map[string]string{}
		}
		all[name][path] = string(f.Data)
	}
	return all
}

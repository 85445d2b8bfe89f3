package audit_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/tools/txtar"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

// Examples of a rule in a dialect are the archive testdata/rules/ID/DIALECT.txtar:
// what stands below fail/ breaks the rule, what stands below pass/ keeps it, and
// more of a kind stand below fail-WORD/ and pass-WORD/. The archive's comment may
// give files permissions and ages, and an example another policy, in lines such as
//
//	mode fail/etc/swanctl/swanctl.conf 0644
//	mtime fail/etc/swanctl/swanctl.conf 2020-01-01
//	policy fail cnsa1
//	now fail 2027-06-30
type example struct {
	name    string // "swanctl fail"
	dialect posture.Dialect
	fails   bool
	files   fstest.MapFS
	policy  *policy.Policy
	now     time.Time
}

var today = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func examples(t *testing.T, id string) []example {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join("testdata", "rules", id, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for _, name := range archives {
		all = append(all, unpack(t, name)...)
	}
	return all
}

// unpack reads the examples of one archive.
func unpack(t *testing.T, archive string) []example {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	dialect := strings.TrimSuffix(filepath.Base(archive), ".txtar")
	byName := map[string]*example{}
	var order []string
	for _, f := range a.Files {
		name, path, ok := strings.Cut(f.Name, "/")
		kind, _, _ := strings.Cut(name, "-")
		if !ok || kind != "fail" && kind != "pass" {
			t.Fatalf("%s: %s does not begin with fail/ or pass/", archive, f.Name)
		}
		if byName[name] == nil {
			byName[name] = &example{name: dialect + " " + name, dialect: posture.Dialect(dialect), fails: kind == "fail", files: fstest.MapFS{}, policy: policy.Default(), now: today}
			order = append(order, name)
		}
		byName[name].files[path] = &fstest.MapFile{Data: f.Data, Mode: 0o600, ModTime: today.AddDate(0, -1, 0)}
	}
	for line := range strings.Lines(string(a.Comment)) {
		attribute(t, archive, strings.Fields(line), byName)
	}
	var all []example
	for _, name := range order {
		all = append(all, *byName[name])
	}
	return all
}

// attribute applies a line of an archive's comment, if it is one of those above.
func attribute(t *testing.T, archive string, words []string, byName map[string]*example) {
	t.Helper()
	if len(words) != 3 || words[0] != "mode" && words[0] != "mtime" && words[0] != "policy" && words[0] != "now" {
		return
	}
	name, path, _ := strings.Cut(words[1], "/")
	e := byName[name]
	if e == nil || path != "" && e.files[path] == nil || path == "" && words[0][0] == 'm' {
		t.Fatalf("%s: there is no %s", archive, words[1])
	}
	var err error
	switch words[0] {
	case "mode":
		var mode uint64
		mode, err = strconv.ParseUint(words[2], 8, 32)
		e.files[path].Mode = fs.FileMode(mode)
	case "mtime":
		e.files[path].ModTime, err = time.Parse(time.DateOnly, words[2])
	case "now":
		e.now, err = time.Parse(time.DateOnly, words[2])
	case "policy":
		e.policy, _ = policy.Named(words[2])
	}
	if err != nil || e.policy == nil {
		t.Fatalf("%s: %s: %v", archive, words, err)
	}
}

// judged audits an example and keeps the results of one rule and dialect.
func (e example) judged(id string) (results []audit.Result, notes []posture.Note) {
	a := audit.New(audit.Options{Now: e.now, Policy: e.policy})
	for h := range load.Hosts(source.New("", e.files, true), load.Options{Now: e.now}) {
		a.Host(h)
	}
	a.End()
	for _, r := range a.Results {
		if r.Rule.ID == id && r.Subject.Dialect == e.dialect {
			if other, refers := strings.CutPrefix(r.Fix, "one new secret ends this, too: see "); refers {
				i := slices.IndexFunc(a.Results, func(o audit.Result) bool { return o.Rule.ID == other && o.Subject == r.Subject })
				r.Fix = a.Results[i].Fix
			}
			results = append(results, r)
		}
	}
	return results, a.Notes
}

func describe(results []audit.Result, notes []posture.Note) string {
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "\n\t%s %s %q at %s:%d: %s (%s, %s %s)", r.Outcome, r.Subject.Kind, r.Subject.Name, r.Evidence.At.File, r.Evidence.At.Line, r.Detail, r.Evidence.Value, r.Evidence.Origin, r.Evidence.Why)
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "\n\tnote %s at %s:%d: %s", n.Kind, n.At.File, n.At.Line, n.Text)
	}
	return b.String()
}

// TestEveryRuleBitesInEveryDialectItAppliesTo: in an example that breaks the
// rule there is a finding with a place and something to write, and in one that
// keeps it there is none, but a look.
func TestEveryRuleBitesInEveryDialectItAppliesTo(t *testing.T) {
	for _, rule := range audit.Rules() {
		if rule.Needs != audit.Config {
			continue
		}
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			seen := map[posture.Dialect][2]bool{}
			for _, e := range examples(t, rule.ID) {
				if !rule.Applies(e.dialect) {
					t.Errorf("%s: the rule does not apply to %s", e.name, e.dialect)
				}
				s := seen[e.dialect]
				if e.fails {
					s[0] = true
					e.mustFail(t, rule.ID)
				} else {
					s[1] = true
					e.mustPass(t, rule.ID)
				}
				seen[e.dialect] = s
			}
			for d := range rule.Fix {
				if s := seen[d]; !s[0] || !s[1] {
					t.Errorf("testdata/rules/%s/%s.txtar lacks an example that fails (there: %v) or one that passes (there: %v)", rule.ID, d, s[0], s[1])
				}
			}
		})
	}
}

func (e example) mustFail(t *testing.T, id string) {
	t.Helper()
	results, notes := e.judged(id)
	i := slices.IndexFunc(results, func(r audit.Result) bool { return r.Outcome == audit.Found })
	if i < 0 {
		t.Errorf("%s: no finding of %s:%s", e.name, id, describe(results, notes))
		return
	}
	if r := results[i]; r.Evidence.At.File == "" || r.Evidence.Origin == posture.Unknown || r.Detail == "" || r.Fix == "" {
		t.Errorf("%s: the finding lacks a place, an origin, a sentence or a fix:%s", e.name, describe(results[i:i+1], nil))
	}
}

func (e example) mustPass(t *testing.T, id string) {
	t.Helper()
	results, notes := e.judged(id)
	looked := false
	for _, r := range results {
		looked = looked || r.Outcome == audit.OK
		if r.Outcome == audit.Found {
			t.Errorf("%s: finding of %s where all is well:%s", e.name, id, describe([]audit.Result{r}, notes))
		}
	}
	if !looked {
		t.Errorf("%s: %s looked at nothing:%s", e.name, id, describe(results, notes))
	}
}

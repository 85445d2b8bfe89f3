package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

// TestAStandardIsJudgedAsItsAuditorWould: the archive testdata/standards/POLICY.txtar
// has two hosts of strongSwan. What stands below keep/ does what the standard asks
// for, where it can with the least of it, and break/ does not. keep.txt and
// break.txt are all findings above info.
func TestAStandardIsJudgedAsItsAuditorWould(t *testing.T) {
	for _, name := range policy.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "standards", name+".txtar")
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := policy.Named(name)
			for i, f := range archive.Files {
				kind, ok := strings.CutSuffix(f.Name, ".txt")
				if !ok {
					continue
				}
				got := findings(p, filesBelow(archive, kind+"/"))
				if *update {
					archive.Files[i].Data = []byte(got)
				} else if got != string(f.Data) {
					t.Errorf("%s under %s:\n%s", kind, name, changed(string(f.Data), got))
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// filesBelow are an archive's files in a directory.
func filesBelow(a *txtar.Archive, dir string) fstest.MapFS {
	files := fstest.MapFS{}
	for _, f := range a.Files {
		if path, ok := strings.CutPrefix(f.Name, dir); ok {
			files[path] = &fstest.MapFile{Data: f.Data, Mode: 0o600, ModTime: today.AddDate(0, -1, 0)}
		}
	}
	return files
}

// findings are those above info, one on each line.
func findings(p *policy.Policy, files fstest.MapFS) string {
	a := audit.New(audit.Options{Now: today, Policy: p})
	for h := range load.Hosts(source.New("", files, true), load.Options{Now: today}) {
		a.Host(h)
	}
	a.End()
	var lines []string
	for _, r := range a.Results {
		if r.Outcome == audit.Found && r.Severity > audit.Info {
			lines = append(lines, fmt.Sprintf("%s %s %s %q: %s\n", r.Rule.ID, r.Severity, r.Subject.Kind, r.Subject.Name, r.Detail))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

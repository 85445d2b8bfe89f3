package audit_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/posture/load"
	"sallyport/posture/source"
)

var update = flag.Bool("update", false, "rewrite the goldens of testdata/hosts")

// TestHostsAreGradedAsReviewed: each directory of testdata/hosts is a host as it
// is met, and the golden beside it says what the audit makes of it: the grade,
// every finding, what cannot be said, and what was not read. Every line of a
// golden was judged by a person; one that is new wants the same.
func TestHostsAreGradedAsReviewed(t *testing.T) {
	goldens, err := filepath.Glob(filepath.Join("testdata", "hosts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range goldens {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			got := review(auditOf(hostFiles(t, dir)))
			golden := dir + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is judged otherwise than reviewed (-update writes it anew):\n%s", dir, changed(string(want), got))
			}
		})
	}
}

// hostFiles are the files of a host with the permissions and the age that they
// should have, whatever a checkout gives them.
func hostFiles(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		files[filepath.ToSlash(rel)] = &fstest.MapFile{Data: data, Mode: 0o600, ModTime: today.AddDate(0, -1, 0)}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func auditOf(files fstest.MapFS) *audit.Audit {
	a := audit.New(audit.Options{Now: today, Policy: policy.Default()})
	for h := range load.Hosts(source.New("", files, true), load.Options{Now: today}) {
		a.Host(h)
	}
	a.End()
	return a
}

// review is what a person looks through: one line for each finding, with the
// value it rests on, then what could not be assessed, then the notes.
func review(a *audit.Audit) string {
	var found, unknown, notes []string
	for _, r := range a.Results {
		subject := fmt.Sprintf("%s %s %q", r.Subject.Dialect, r.Subject.Kind, r.Subject.Name)
		switch r.Outcome {
		case audit.Found:
			found = append(found, fmt.Sprintf("%s %s %s at %s:%d: %s (%s)", r.Rule.ID, r.Severity, subject, r.Evidence.At.File, r.Evidence.At.Line, r.Detail, r.Evidence.Origin))
		case audit.Unassessable:
			unknown = append(unknown, fmt.Sprintf("%s ? %s: %s", r.Rule.ID, subject, r.Detail))
		}
	}
	for _, n := range a.Notes {
		notes = append(notes, fmt.Sprintf("note %s at %s:%d: %s", n.Kind, n.At.File, n.At.Line, n.Text))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "grade %s, post-quantum %s\n", a.Grade(), a.Grade().PostQuantum)
	for _, lines := range [][]string{found, unknown, notes} {
		slices.Sort(lines)
		for _, line := range lines {
			fmt.Fprintln(&b, line)
		}
	}
	return b.String()
}

// changed are the lines that only one of two reviews has.
func changed(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var b strings.Builder
	for _, line := range w {
		if !slices.Contains(g, line) {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	for _, line := range g {
		if !slices.Contains(w, line) {
			fmt.Fprintf(&b, "+ %s\n", line)
		}
	}
	return b.String()
}

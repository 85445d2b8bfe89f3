package report_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"sallyport/assure/audit"
	"sallyport/assure/policy"
	"sallyport/assure/report"
)

func samePolicy() *policy.Policy {
	return &policy.Policy{Name: "default", Version: "2026-11-01"}
}

// drifted is the report of the tests against one of a week before, in which the
// key could not be guessed yet and dead peers were not noticed elsewhere.
func drifted(t *testing.T) *report.Report {
	t.Helper()
	before := results()
	before.Results = slices.DeleteFunc(before.Results, func(x audit.Result) bool { return x.Rule == rulePSK })
	other := before.Results[6]
	other.Subject = conn("old", 70)
	before.Results = append(before.Results, other)
	old := made(before)
	old.Created = today.AddDate(0, 0, -7)
	r := made(results())
	r.Since(reread(t, old))
	return r
}

// reread is a report as it comes back from its file.
func reread(t *testing.T, r *report.Report) *report.Report {
	t.Helper()
	again, err := report.LoadBaseline(bytes.NewReader(document(t, func(b *bytes.Buffer) error { return r.JSON(b) })))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestABaselineTellsNewFromGone(t *testing.T) {
	r := drifted(t)
	d := r.Drift
	if len(d.New) != 1 || d.New[0].Rule != "PSK-001" || len(d.Gone) != 1 || d.Gone[0].Subject != "old" || d.Unchanged != 5 {
		t.Fatalf("%+v", d)
	}
	for i, f := range r.Findings {
		if r.New(i) != (f.Rule == "PSK-001") {
			t.Errorf("%s of %q: new %v", f.Rule, f.Subject, r.New(i))
		}
	}
	golden(t, "drift.txt", document(t, func(b *bytes.Buffer) error { return r.Text(b, report.TextOptions{}) }))
}

func TestAnotherPlaceIsNoNewFinding(t *testing.T) {
	moved := results()
	for i := range moved.Results {
		moved.Results[i].Evidence.At.Line += 10
	}
	if d := report.Compare(made(results()), made(moved)); len(d.New)+len(d.Gone) != 0 || d.Unchanged != 6 {
		t.Errorf("%+v", d)
	}
}

// TestAValueThatKeepsItsMarkIsNoNewFinding: what one rule objected to was mended,
// and the line that others still object to reads differently.
func TestAValueThatKeepsItsMarkIsNoNewFinding(t *testing.T) {
	before, after, worse := results(), results(), results()
	before.Results[1].Evidence.Mark = "algorithms sha1"
	after.Results[1].Evidence.Mark, after.Results[1].Evidence.Value = "algorithms sha1", "aes128-sha1-modp3072"
	if d := report.Compare(made(before), made(after)); len(d.New)+len(d.Gone) != 0 {
		t.Errorf("%+v", d)
	}
	worse.Results[1].Evidence.Mark = "algorithms prfsha1 sha1"
	if d := report.Compare(made(before), made(worse)); len(d.New) != 1 || len(d.Gone) != 1 {
		t.Errorf("%+v", d)
	}
}

// TestAHostIsTheSameByWhateverPath: the job that checks for drift runs elsewhere
// than the one that made the baseline.
func TestAHostIsTheSameByWhateverPath(t *testing.T) {
	named := func(root string, more ...string) *report.Report {
		a := results()
		a.Roots = append([]string{root}, more...)
		for i := range a.Results {
			a.Results[i].Host = strings.TrimRight(root, "/") + "/gw1"
			if a.Results[i].Subject.Name == "branch" {
				a.Results[i].Subject.Name = strings.TrimRight(root, "/") + "/gw1"
			}
		}
		return made(a)
	}
	for _, c := range []struct {
		root  string
		more  []string
		fresh int
	}{
		{"./backup/", nil, 0}, {"/srv/jobs/backup", nil, 0}, {"../backup", nil, 0}, {"old", nil, 6}, {"/srv/backup", []string{"/mnt/backup"}, 6},
	} {
		if d := report.Compare(named("backup"), named(c.root, c.more...)); len(d.New) != c.fresh {
			t.Errorf("%s: %d are new, and not %d", c.root, len(d.New), c.fresh)
		}
	}
}

// TestAFindingThatGrewGraverIsNew: IPsec around the L2TP is gone, and what was
// medium is critical. Who gates by severity must see it.
func TestAFindingThatGrewGraverIsNew(t *testing.T) {
	graver := results()
	graver.Results[4].Severity = audit.Critical
	if d := report.Compare(made(results()), made(graver)); len(d.New) != 1 || d.New[0].Rule != "CRY-010" || len(d.Gone) != 0 {
		t.Errorf("%+v", d)
	}
	if d := report.Compare(made(graver), made(results())); len(d.New)+len(d.Gone) != 0 || d.Unchanged != 6 {
		t.Errorf("milder: %+v", d)
	}
}

func TestASecondFindingOfOneNameIsNew(t *testing.T) {
	twice := results()
	twice.Results = append(twice.Results, twice.Results[7])
	if d := report.Compare(made(results()), made(twice)); len(d.New) != 1 || len(d.Gone) != 0 {
		t.Errorf("%+v", d)
	}
	if d := report.Compare(made(twice), made(results())); len(d.New) != 0 || len(d.Gone) != 1 {
		t.Errorf("%+v", d)
	}
}

// TestABaselineDoesNotOutlastAWaiver: what was waived when it was made is new
// when the waiver ends.
func TestABaselineDoesNotOutlastAWaiver(t *testing.T) {
	later := results()
	later.Results[0].Waived = nil
	if d := report.Compare(made(results()), made(later)); len(d.New) != 1 || d.New[0].Subject != "branch" || len(d.Gone) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestABaselineThatIsNoReportIsRefused(t *testing.T) {
	good := string(document(t, func(b *bytes.Buffer) error { return fixture(t).JSON(b) }))
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "empty"},
		{"no JSON", "<html>", "in JSON"},
		{"something else", `{"findings": []}`, "schema_version is 0"},
		{"an unknown field", strings.Replace(good, `"tool":`, `"tul": 1, "tool":`, 1), "unknown field"},
		{"another version", strings.Replace(good, `"schema_version": 1`, `"schema_version": 9`, 1), "schema_version is 9"},
		{"half of one", good[:len(good)/2], "no report"},
		{"two", good + good, "something follows"},
		{"no findings", `{"schema_version": 1, "created": "2026-11-26T12:00:00Z"}`, "no findings"},
		{"a finding without a name", `{"schema_version": 1, "created": "2026-11-26T12:00:00Z", "findings": [{"rule": "CRY-005"}]}`, "no fingerprint"},
		{"a severity that is none", strings.Replace(good, `"severity": "low"`, `"severity": "bad"`, 1), "no severity"},
	} {
		if _, err := report.LoadBaseline(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// endless is a report that never ends.
type endless struct{ begun bool }

func (e *endless) Read(b []byte) (int, error) {
	if !e.begun {
		e.begun = true
		return copy(b, `{"target": "`), nil
	}
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestABaselineWithoutEndIsRefused(t *testing.T) {
	if _, err := report.LoadBaseline(&endless{}); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Error(err)
	}
}

func FuzzLoadBaseline(f *testing.F) {
	var b bytes.Buffer
	if err := made(results()).JSON(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"schema_version": 1, "created": "2026-11-26T12:00:00Z", "findings": []}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		old, err := report.LoadBaseline(bytes.NewReader(text))
		if err != nil {
			return
		}
		r := made(results())
		r.Since(old)
		if err := r.Text(io.Discard, report.TextOptions{}); err != nil {
			t.Error(err)
		}
		if err := r.HTML(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

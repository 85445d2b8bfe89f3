package report_test

import (
	"bytes"
	"strings"
	"testing"

	"sallyport/assure/policy"
	"sallyport/assure/report"
)

// TestWhatAPolicyLeavesOutIsSaid: a soft policy must not look like a good gateway.
func TestWhatAPolicyLeavesOutIsSaid(t *testing.T) {
	p, found := policy.Parse("soft.yaml", []byte("name: soft\nversion: \"2026-11-26\"\ntitle: Ours\nrules:\n  PSK-002: {severity: \"off\"}\n  CRY-012: {severity: \"off\"}\n"), []string{"PSK-002", "CRY-012"})
	if p == nil {
		t.Fatal(found)
	}
	r := report.Make(results(), report.Inventory{}, p, report.Tool{Name: "sallyport", Version: "1"}, "gw", today)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text": func(b *bytes.Buffer) error { return r.Text(b, report.TextOptions{}) },
		"JSON": func(b *bytes.Buffer) error { return r.JSON(b) },
		"HTML": func(b *bytes.Buffer) error { return r.HTML(b) },
	} {
		text := string(document(t, write))
		if !strings.Contains(text, "PSK-002") || !strings.Contains(text, "CRY-012") {
			t.Errorf("%s does not say that rules were left out", name)
		}
	}
	if again := reread(t, r); len(again.Policy.Off) != 2 {
		t.Errorf("read again: %+v", again.Policy)
	}
}

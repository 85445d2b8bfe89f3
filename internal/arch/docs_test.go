package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// testName is a Go test as documents name it.
var testName = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9_]+\b`)

// TestDocumentsNameTestsThatExist keeps a page from promising a proof that was
// renamed or removed.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	written := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	err := filepath.WalkDir(root(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			written[string(m[1])] = true
		}
		return err
	})
	if err != nil || len(written) == 0 {
		t.Fatalf("%d tests found: %v", len(written), err)
	}
	pages, err := filepath.Glob(filepath.Join(root(), "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no documents found: %v", err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range testName.FindAllString(string(text), -1) {
			if !written[name] {
				t.Errorf("%s names %s, which is no test of this repository", filepath.Base(page), name)
			}
		}
	}
}

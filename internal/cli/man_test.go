package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sallyport/config"
	"sallyport/internal/lab/labtest"
)

const manDir = "../../docs/man"

// TestManPagesAreUpToDate holds docs/man to what the commands say now;
// "go test ./internal/cli -update" writes them.
func TestManPagesAreUpToDate(t *testing.T) {
	pages := manPages(newRoot(System()))
	if *update {
		writePages(t, pages)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(manDir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/man/%s is not up to date (%v): go test ./internal/cli -update", name, err)
		}
	}
	for _, file := range manFiles(t) {
		if pages[filepath.Base(file)] == nil {
			t.Errorf("%s belongs to no verb: go test ./internal/cli -update", file)
		}
	}
}

func manFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(manDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func writePages(t *testing.T, pages map[string][]byte) {
	t.Helper()
	for _, file := range manFiles(t) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(manDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(manDir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryKeyHasItsManEntry(t *testing.T) {
	page := configPage()
	for _, key := range config.Keys() {
		if !bytes.Contains(page, []byte("\n\\fB"+escape(key)+"\\fR\n")) {
			t.Errorf("sallyport.yaml(5) has no entry for %s", key)
		}
	}
}

// TestManPagesAreValidTroff asks groff itself.
func TestManPagesAreValidTroff(t *testing.T) {
	labtest.Need(t, "groff")
	for name, text := range manPages(newRoot(System())) {
		cmd := exec.CommandContext(t.Context(), "groff", "-man", "-Tutf8", "-ww", "-z")
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

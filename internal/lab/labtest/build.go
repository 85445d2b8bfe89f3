package labtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Sallyport builds the program as make build does and returns its path. It
// goes away with the test.
func Sallyport(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sallyport")
	c := exec.Command("go", "build", "-trimpath", "-o", path, "sallyport/cmd/sallyport")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build sallyport: %v\n%s", err, out)
	}
	return path
}

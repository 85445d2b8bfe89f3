package readme

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/lab/labtest"
)

// TestTheAuditOfTheREADME types the chapter's lines on this machine, on which
// strongSwan is installed: an audit only reads. What it finds is this machine's
// affair; that it says something, and writes the page, is the README's.
func TestTheAuditOfTheREADME(t *testing.T) {
	if _, err := os.Stat("/etc/swanctl"); err != nil {
		t.Skip("needs Debian's package strongswan-swanctl, which make test installs: " + err.Error())
	}
	program, desk := labtest.Sallyport(t), t.TempDir()
	lines := 0
	for _, block := range blocks(t, "## Audit what runs today") {
		for _, line := range block {
			lines++
			words := strings.Fields(line)
			if words[0] != "sallyport" {
				t.Fatalf("%s is no command of ours", line)
			}
			c := exec.CommandContext(t.Context(), program, words[1:]...)
			c.Dir = desk
			out, err := c.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !(errors.As(err, &exit) && (exit.ExitCode() == 2 || exit.ExitCode() == 3 || exit.ExitCode() == 5)) {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if lines != 3 {
		t.Errorf("the chapter has %d lines of commands; this test knows of 3", lines)
	}
	page, err := os.ReadFile(filepath.Join(desk, "report.html"))
	if err != nil || !strings.Contains(string(page), "Grade") && !strings.Contains(string(page), "grade") {
		t.Errorf("the page: %v, %d octets", err, len(page))
	}
}

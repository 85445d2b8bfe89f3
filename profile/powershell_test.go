package profile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/lab/labtest"
)

// notPowerShell are the names of the scripts that a grammar of PowerShell which
// is not ours refuses. It knows the syntax, not the cmdlets, and takes a little
// more than Windows does.
func notPowerShell(t *testing.T, scripts map[string]string) (names []string) {
	t.Helper()
	labtest.Need(t, "node")
	const dir = "testdata/powershell"
	if _, err := os.Stat(dir + "/node_modules"); err != nil {
		t.Fatalf("the grammar is missing: npm ci --prefix profile/%s", dir)
	}
	args, scratch := []string{"--liftoff-only", dir + "/parse.js"}, t.TempDir() // compiles the grammar at once, not in seconds
	for name, text := range scripts {
		file := filepath.Join(scratch, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if faults.Len() > 0 || (err == nil) != (len(out) == 0) {
		t.Fatalf("%v\n%s%s", err, out, faults.String())
	}
	for line := range strings.Lines(string(out)) {
		name, where, _ := strings.Cut(line, ":")
		t.Logf("%s: %s", name, strings.TrimSpace(where))
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestAGrammarOfOthersReadsTheWindowsScripts, and notices those that are broken:
// else it would say nothing.
func TestAGrammarOfOthersReadsTheWindowsScripts(t *testing.T) {
	scripts := map[string]string{
		"a-brace":          strings.Replace(windowsScript, "function Remove-Rules {", "function Remove-Rules", 1),
		"a-parenthesis":    strings.Replace(windowsScript, "if ($WithKey)", "if ($WithKey", 1),
		"a-quotation-mark": strings.Replace(windowsScript, "'Disconnected'", "'Disconnected", 1),
	}
	var broken []string
	for name, text := range scripts {
		if text == windowsScript {
			t.Fatalf("the script has no %s", name)
		}
		broken = append(broken, name)
	}
	slices.Sort(broken)
	for _, auth := range ways["windows"] {
		scripts[auth] = mustMake(t, "windows", inputBy(t, testZone(t, "strong", ""), "windows", auth)).Files[0].Content
		for i, name := range hostile {
			scripts[fmt.Sprintf("%s-%d", auth, i)] = mustMake(t, "windows", namedBy(t, "windows", auth, name)).Files[0].Content
		}
	}
	if got := notPowerShell(t, scripts); !slices.Equal(got, broken) {
		t.Errorf("refused %q, want %q", got, broken)
	}
}

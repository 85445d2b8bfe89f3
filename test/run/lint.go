package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
)

// The tools are pinned: a new release must not turn a good commit red.
const (
	staticcheckTool = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"
	govulncheckTool = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
)

func staticcheck(t *tally) {
	section("staticcheck")
	tool(t, "staticcheck", exec.Command("go", "run", staticcheckTool, "./..."))
}

// vulnerabilities asks the Go vulnerability database. Without a way to it the
// check is skipped, by name, and the rest goes on.
func vulnerabilities(t *tally) {
	section("govulncheck")
	c := exec.Command("go", "run", govulncheckTool, "./...")
	out, err := c.CombinedOutput()
	os.Stdout.Write(out)
	switch {
	case err == nil:
		t.pass()
	case unreachable(string(out)):
		t.skip("govulncheck: the tool or its database cannot be reached from here, see above")
	default:
		t.fail("govulncheck: see above")
	}
}

// unreachable tells a missing network from a finding: go run's exit status is
// 1 for both.
func unreachable(output string) bool {
	for _, sign := range []string{"dial tcp", "no such host", "connection refused", "timeout", "vuln.go.dev/", "proxy.golang.org/"} {
		if strings.Contains(output, sign) && !strings.Contains(output, "Vulnerability #1") {
			return true
		}
	}
	return false
}

func tool(t *tally, name string, c *exec.Cmd) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	os.Stdout.Write(out.Bytes())
	if err != nil {
		t.fail(name + ": see above")
		return
	}
	t.pass()
}

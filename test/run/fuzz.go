package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// fuzz runs every fuzz target of the module for a while. A crasher is written
// by go test to testdata/fuzz of its package.
func fuzz(t *tally, d time.Duration) {
	section(fmt.Sprintf("fuzzing, %v each", d))
	targets, err := fuzzTargets()
	if err != nil {
		t.fail("fuzz: list the targets: " + err.Error())
		return
	}
	for _, target := range targets {
		started := time.Now()
		c := exec.Command("go", "test", "-run=^$", "-fuzz=^"+target.name+"$", "-fuzztime="+d.String(), target.pkg)
		out, err := c.CombinedOutput()
		name := strings.TrimPrefix(target.pkg, "sallyport/") + " " + target.name
		if err != nil {
			fmt.Printf("\n-- FAILED %s\n%s\n", name, out)
			t.fail(name)
			continue
		}
		fmt.Printf("ok %6v  %s, %s\n", time.Since(started).Round(100*time.Millisecond), name, executions(string(out)))
		t.pass()
	}
}

type fuzzTarget struct{ pkg, name string }

// fuzzTargets reads the output of go test -list: names, then "ok package".
func fuzzTargets() ([]fuzzTarget, error) {
	c := exec.Command("go", "test", "-list=^Fuzz", "./...")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, err
	}
	var found, waiting []fuzzTarget
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "Fuzz"):
			waiting = append(waiting, fuzzTarget{name: words[0]})
		case len(words) >= 2 && words[0] == "ok":
			for _, w := range waiting {
				found = append(found, fuzzTarget{words[1], w.name})
			}
			waiting = nil
		}
	}
	return found, nil
}

// executions is how many inputs the last progress line speaks of.
func executions(output string) string {
	i := strings.LastIndex(output, "execs: ")
	if i < 0 {
		return "no executions reported"
	}
	count, _, _ := strings.Cut(output[i+len("execs: "):], " ")
	return count + " inputs"
}

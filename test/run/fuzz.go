package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fuzz runs every fuzz target of the module for a while, one package on each
// core: making the test binaries takes as long as fuzzing for seconds does. A
// crasher is written by go test to testdata/fuzz of its package.
func fuzz(t *tally, d time.Duration) {
	section(fmt.Sprintf("fuzzing, %v each", d))
	targets, err := fuzzTargets()
	if err != nil {
		t.fail("fuzz: list the targets: " + err.Error())
		return
	}
	dir, err := os.MkdirTemp("", "sallyport-fuzz-")
	if err != nil {
		t.fail("fuzz: " + err.Error())
		return
	}
	defer os.RemoveAll(dir)
	waiting := make(chan *fuzzPackage)
	var lanes sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		lanes.Go(func() {
			for p := range waiting {
				p.fuzzAll(t, dir, d)
			}
		})
	}
	for _, p := range targets {
		waiting <- p
	}
	close(waiting)
	lanes.Wait()
}

// fuzzPackage is a package with its targets; its test binary is made once.
type fuzzPackage struct {
	path, dir string
	targets   []string
	binary    string
	broken    error
}

func (p *fuzzPackage) name() string { return strings.TrimPrefix(p.path, "sallyport/") }

func (p *fuzzPackage) fuzzAll(t *tally, dir string, d time.Duration) {
	p.build(dir)
	defer os.Remove(p.binary)
	for _, target := range p.targets {
		p.fuzz(t, target, d)
	}
}

func (p *fuzzPackage) build(dir string) {
	p.binary = filepath.Join(dir, strings.ReplaceAll(p.name(), "/", "-")+".test")
	out, err := exec.Command("go", "test", "-c", "-fuzz=.", "-o", p.binary, p.path).CombinedOutput()
	if err == nil {
		out, err = exec.Command("go", "list", "-f", "{{.Dir}}", p.path).Output()
		p.dir = strings.TrimSpace(string(out))
	}
	if err != nil {
		p.broken = fmt.Errorf("%w\n%s", err, out)
	}
}

// morePatience is for a target that got to no input in its time.
const morePatience = 10

// fuzz runs one target. Minimising is cut short: by default it may take a
// minute for one interesting input, in which nothing else is tried.
func (p *fuzzPackage) fuzz(t *tally, target string, d time.Duration) {
	started := time.Now()
	out, err := []byte(nil), p.broken
	if err == nil {
		if out, err = p.run(target, d); err != nil && outOfTime(out) {
			out, err = p.run(target, d)
		}
		if err == nil && executions(string(out)) == 0 { // it makes RSA keys first, and the machine is busy
			out, err = p.run(target, morePatience*d)
		}
	}
	name := p.name() + " " + target
	inputs := executions(string(out))
	if err == nil && inputs == 0 {
		err = errors.New("it ran no input")
	}
	if err != nil {
		fmt.Printf("\n-- FAILED %s: %v\n%s\n", name, err, out)
		t.fail(name)
		return
	}
	fmt.Printf("ok %6v  %s, %d inputs\n", time.Since(started).Round(100*time.Millisecond), name, inputs)
	t.pass()
}

func (p *fuzzPackage) run(target string, d time.Duration) ([]byte, error) {
	c := exec.Command(p.binary, "-test.run=^$", "-test.fuzz=^"+target+"$", "-test.fuzztime="+d.String(), "-test.parallel=1",
		"-test.fuzzminimizetime=10x", "-test.fuzzcachedir="+filepath.Join(filepath.Dir(p.binary), "cache"))
	c.Dir = p.dir // where a crasher is kept
	return c.CombinedOutput()
}

// outOfTime tells the one failure that is no finding: on a busy machine Go's
// fuzzing may end a worker in the middle of an input and report only that.
func outOfTime(out []byte) bool {
	text := string(out)
	return strings.Contains(text, "context deadline exceeded") && !strings.Contains(text, "Failing input")
}

// fuzzTargets reads the output of go test -list: names, then "ok package".
func fuzzTargets() ([]*fuzzPackage, error) {
	c := exec.Command("go", "test", "-list=^Fuzz", "./...")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, err
	}
	var found []*fuzzPackage
	var waiting []string
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "Fuzz"):
			waiting = append(waiting, words[0])
		case len(words) >= 2 && words[0] == "ok":
			if len(waiting) > 0 {
				found = append(found, &fuzzPackage{path: words[1], targets: waiting})
			}
			waiting = nil
		}
	}
	return found, nil
}

// executions is how many inputs the last progress line speaks of.
func executions(output string) int {
	i := strings.LastIndex(output, "execs: ")
	if i < 0 {
		return 0
	}
	count, _, _ := strings.Cut(output[i+len("execs: "):], " ")
	n, _ := strconv.Atoi(count)
	return n
}

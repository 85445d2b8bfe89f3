package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// slow is when a passed test earns a line of its own, as a sign of progress.
const slow = 2 * time.Second

func vet(t *tally) {
	section("go vet")
	tool(t, "go vet", exec.Command("go", "vet", "./..."))
}

// tests runs all tests. Two packages at a time, because more would make the
// traffic tests of the lab fight for the processor.
func tests(t *tally) {
	section("tests")
	c := exec.Command("go", "test", "-json", "-count=1", "-p=2", "-timeout=14m", "./...")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.fail("go test: " + err.Error())
		return
	}
	r := results{tally: t, packages: map[string]*packageRun{}}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		r.line(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.fail("go test: its output cannot be read: " + err.Error())
	}
	if err := c.Wait(); err != nil && t.failed == 0 {
		t.fail("go test: " + err.Error())
	}
}

// event is one line of go test -json (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

type results struct {
	*tally
	packages map[string]*packageRun
	build    strings.Builder // the compiler's words, which belong to no test
}

// packageRun is a package whose tests are running.
type packageRun struct {
	output         map[string]*strings.Builder // by test; "" is the package's own
	parents        map[string]bool             // tests that only hold subtests are not counted
	passed, failed int
}

func (r *results) line(text []byte) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		fmt.Printf("%s\n", text)
		return
	}
	switch e.Action {
	case "build-output":
		r.build.WriteString(e.Output)
	case "build-fail":
		fmt.Print(r.build.String())
		r.build.Reset()
	default:
		r.at(e.Package).event(r.tally, e)
	}
}

func (r *results) at(name string) *packageRun {
	p, ok := r.packages[name]
	if !ok {
		p = &packageRun{output: map[string]*strings.Builder{}, parents: map[string]bool{}}
		r.packages[name] = p
	}
	return p
}

func (p *packageRun) event(t *tally, e event) {
	name := strings.TrimPrefix(e.Package, "sallyport/") + " " + e.Test
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(10 * time.Millisecond)
	switch {
	case e.Action == "run":
		p.run(e.Test)
	case e.Action == "output":
		if !strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT, NAME
			p.say(e.Test, e.Output)
		}
	case e.Test == "":
		p.end(t, e, took)
	case p.parents[e.Test] && e.Action != "fail":
		delete(p.output, e.Test)
	case e.Action == "pass":
		p.passed++
		t.pass()
		if took >= slow {
			fmt.Printf("   %6v  %s\n", took, name)
		}
		delete(p.output, e.Test)
	case e.Action == "skip":
		t.skip(name + ": " + reason(p.said(e.Test)))
		delete(p.output, e.Test)
	case e.Action == "fail":
		p.fails(t, e.Test, name)
	}
}

func (p *packageRun) run(test string) {
	for i := range test {
		if test[i] == '/' {
			p.parents[test[:i]] = true
		}
	}
}

// fails shows what the test said. A parent fails with its child; only a parent
// that failed by itself is one more failure.
func (p *packageRun) fails(t *tally, test, name string) {
	said := p.said(test)
	if p.parents[test] && p.failed > 0 && !strings.Contains(said, ".go:") {
		return
	}
	fmt.Printf("\n-- FAILED %s\n%s\n", name, said)
	p.failed++
	t.fail(name)
}

func (p *packageRun) end(t *tally, e event, took time.Duration) {
	short := strings.TrimPrefix(e.Package, "sallyport/")
	switch e.Action {
	case "pass":
		fmt.Printf("ok %6v  %s (%d tests)\n", took, short, p.passed)
	case "fail":
		if p.failed == 0 { // it did not compile, panicked, or ran out of time
			for test, out := range p.output {
				fmt.Printf("\n-- %s %s\n%s\n", short, test, out)
			}
			t.fail(short + ": the package's tests did not run to their end")
		}
	case "skip": // no test files
	}
	clear(p.output)
}

func (p *packageRun) say(test, text string) {
	b, ok := p.output[test]
	if !ok {
		b = &strings.Builder{}
		p.output[test] = b
	}
	b.WriteString(text)
}

func (p *packageRun) said(test string) string {
	if b, ok := p.output[test]; ok {
		return b.String()
	}
	return ""
}

// reason is what t.Skip said, on one line.
func reason(output string) string {
	var words []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") {
			words = append(words, line)
		}
	}
	return strings.Join(words, " ")
}

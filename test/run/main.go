// Command run is what make test, make fuzz and make lint run: the parts named
// on its command line, and at the end one line with the counts.
//
//	go run ./test/run [-fuzztime 3s] vet tests fuzz
//
// It prints each package as it ends, each slow test, the whole output of each
// failure and the reason of each skip. It exits 1 when anything failed or when
// nothing was tested.
package main

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"time"
)

// tally is what the last line reports. Several may count at a time.
type tally struct {
	mu                      sync.Mutex
	passed, failed, skipped int
	failures, skips         []string // "name: reason"
}

func (t *tally) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.passed++
}

func (t *tally) fail(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed++
	t.failures = append(t.failures, what)
}

func (t *tally) skip(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.skipped++
	t.skips = append(t.skips, what)
}

func main() {
	fuzztime := flag.Duration("fuzztime", 3*time.Second, "how long each fuzz target runs")
	flag.Parse()

	var t tally
	for _, part := range flag.Args() {
		switch part {
		case "vet":
			vet(&t)
		case "tests":
			tests(&t)
		case "fuzz":
			fuzz(&t, *fuzztime)
		case "staticcheck":
			staticcheck(&t)
		case "vulnerabilities":
			vulnerabilities(&t)
		default:
			fmt.Fprintf(os.Stderr, "run: no part %q; there are vet, tests, fuzz, staticcheck and vulnerabilities\n", part)
			os.Exit(2)
		}
	}
	os.Exit(t.report())
}

// report prints what a reader must not miss and, last of all, the counts.
func (t *tally) report() int {
	fmt.Println()
	for _, s := range t.skips {
		fmt.Println("skipped:", s)
	}
	for _, f := range t.failures {
		fmt.Println("FAILED: ", f)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 || t.passed == 0 {
		return 1
	}
	return 0
}

func section(title string) { fmt.Printf("\n== %s\n", title) }

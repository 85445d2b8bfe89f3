// Audit measures how long an audit of very many files takes, and how much memory
// it needs: the examples of all rules and dialects, written out again and again
// until there are enough files, are judged by the program itself. Beside it
// stands the time that it takes to read the same files and nothing else.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/tools/txtar"
)

func main() {
	files := flag.Int("files", 10_000, "how many files")
	binary := flag.String("binary", "bin/sallyport", "the program")
	examples := flag.String("examples", "assure/audit/testdata/rules", "archives of examples")
	flag.Parse()
	if err := run(*binary, *examples, *files); err != nil {
		fmt.Fprintln(os.Stderr, "audit benchmark:", err)
		os.Exit(1)
	}
}

func run(binary, examples string, want int) error {
	dir, err := os.MkdirTemp("", "sallyport-audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, octets, err := write(dir, examples, want)
	if err != nil {
		return err
	}
	reading, err := read(dir)
	if err != nil {
		return err
	}
	took, peak, err := audit(binary, dir)
	if err != nil {
		return err
	}
	fmt.Printf("%d files, %d KB, of %s\n", n, octets>>10, "mixed products")
	fmt.Printf("audited in %.1f s with %d MB at most; only reading them takes %.2f s, %.0f times less\n", took.Seconds(), peak>>10, reading.Seconds(), took.Seconds()/reading.Seconds())
	return nil
}

// write unpacks the archives, each example into a directory of its own, until
// there are enough files.
func write(dir, examples string, want int) (n, octets int, err error) {
	archives, err := filepath.Glob(filepath.Join(examples, "*", "*.txtar"))
	if err == nil && len(archives) == 0 {
		err = fmt.Errorf("no archives in %s", examples)
	}
	if err != nil {
		return 0, 0, err
	}
	for round := 0; n < want; round++ {
		for i, name := range archives {
			a, err := txtar.ParseFile(name)
			if err != nil {
				return 0, 0, err
			}
			for _, f := range a.Files {
				kind, rest, _ := strings.Cut(f.Name, "/")
				p := filepath.Join(dir, fmt.Sprintf("%03d-%04d-%s", round, i, kind), filepath.FromSlash(rest))
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					return 0, 0, err
				}
				if err := os.WriteFile(p, f.Data, 0o600); err != nil {
					return 0, 0, err
				}
				if n, octets = n+1, octets+len(f.Data); n == want {
					return n, octets, nil
				}
			}
		}
	}
	return n, octets, nil
}

func read(dir string) (time.Duration, error) {
	start := time.Now()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_, err = os.ReadFile(p)
		return err
	})
	return time.Since(start), err
}

// audit runs the program and returns its time and the most memory that it had,
// in kilobytes.
func audit(binary, dir string) (time.Duration, int64, error) {
	c := exec.Command(binary, "audit", "--json", dir)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, 0, err
	}
	defer null.Close()
	c.Stdout = null
	start := time.Now()
	err = c.Run()
	took := time.Since(start)
	if c.ProcessState == nil || c.ProcessState.ExitCode() == 1 {
		return 0, 0, fmt.Errorf("%s: %v", c, err)
	}
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return took, 0, nil
	}
	return took, usage.Maxrss, nil
}

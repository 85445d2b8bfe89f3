package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the name of this module, which package paths begin with.
const module = "sallyport"

// pkg is one package of the module, as the go tool sees it for Linux.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string // of the files that are no tests
}

// name is the import path without the module: "protocol/ike".
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// root is the directory of go.mod.
var root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	panic(err)
})

func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// packages lists every package of the module that has a file besides tests.
func packages(t *testing.T) []pkg {
	t.Helper()
	var all []pkg
	d := json.NewDecoder(bytes.NewReader(goTool(t, "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports", "./...")))
	for {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
	if len(all) < 2 {
		t.Fatalf("the go tool lists %d packages; these tests would hold nothing", len(all))
	}
	return all
}

// matches follows the go tool: "a/..." is a and everything below it.
func matches(pattern, name string) bool {
	if stem, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == stem || strings.HasPrefix(name, stem+"/")
	}
	return pattern == "..." || pattern == name
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matches(p, name) {
			return true
		}
	}
	return false
}

// source is one parsed Go file.
type source struct {
	path string // from the root
	pkg  string // directory from the root, as in pkg.name
	text []byte
	fset *token.FileSet
	file *ast.File
	test bool
}

func (s source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return s.path + ":" + strconv.Itoa(p.Line)
}

// sources parses every Go file of the repository, tests included.
var sources = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := eachFile(func(path string, text []byte) error {
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{path, filepath.Dir(path), text, fset, file, strings.HasSuffix(path, "_test.go")})
		return nil
	})
	return all, err
})

func mustSources(t *testing.T) []source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// eachFile visits every file that git would keep: no hidden directory but
// .ci, no build output, and nothing that npm installed.
func eachFile(visit func(path string, text []byte) error) error {
	return filepath.WalkDir(root(), func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(root(), full)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if hidden := strings.HasPrefix(d.Name(), ".") && path != "." && path != ".ci"; hidden || path == "bin" || path == "build" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" { // a linked worktree has a file of that name
			return nil
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		return visit(path, text)
	})
}

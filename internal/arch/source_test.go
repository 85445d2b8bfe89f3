package arch

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/token"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// clocks are the functions of package time that look at the real clock.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestProtocolsHaveNoClockAndNoGoroutine(t *testing.T) {
	for _, s := range mustSources(t) {
		if s.test || !matches("protocol/...", s.pkg) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a go statement\n\tmachines run in the caller's loop: the same inputs must give the same outputs", s.at(n))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
					t.Errorf("%s: time.%s\n\ttime is an argument, so that tests can run a day in a second", s.at(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	described := map[string]bool{}
	for _, s := range mustSources(t) {
		if !s.test {
			described[s.pkg] = described[s.pkg] || strings.TrimSpace(s.file.Doc.Text()) != ""
		}
	}
	for name, ok := range described {
		if !ok {
			t.Errorf("package %s has no package comment\n\ta reader must learn from it what is here and which RFCs it covers", name)
		}
	}
}

func TestExportedNamesAreDescribed(t *testing.T) {
	const why = "\n\tan exported name is a promise; say what it does, its units, its errors"
	for _, s := range mustSources(t) {
		if s.test || s.file.Name.Name == "main" || ast.IsGenerated(s.file) {
			continue
		}
		group := "" // the last comment: one comment may name the functions that follow
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if text := d.Doc.Text(); text != "" {
					group = text
				}
				if slices.Contains(strings.FieldsFunc(group, notInName), d.Name.Name) {
					continue
				}
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc.Text() == "" && !obvious(d) {
					t.Errorf("%s: %s has no comment%s", s.at(d), d.Name.Name, why)
				}
			case *ast.GenDecl:
				for _, name := range undescribed(d) {
					t.Errorf("%s: %s has no comment%s", s.at(name), name.Name, why)
				}
			}
		}
	}
}

func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// exportedReceiver is false for methods that no other package can name.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// obvious methods are described by the interface they implement.
func obvious(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"String", "Error", "Unwrap", "Len", "Less", "Swap"}, d.Name.Name)
}

// undescribed lists the exported names of a declaration without a comment of
// their own. A group of constants or variables may share one; a line comment
// counts.
func undescribed(d *ast.GenDecl) []*ast.Ident {
	var names []*ast.Ident
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc.Text() == "" && d.Doc.Text() == "" {
				names = append(names, spec.Name)
			}
		case *ast.ValueSpec:
			if d.Doc.Text() != "" || spec.Doc.Text() != "" || spec.Comment.Text() != "" {
				continue
			}
			for _, n := range spec.Names {
				if n.IsExported() {
					names = append(names, n)
				}
			}
		}
	}
	return names
}

func TestSourceIsFormatted(t *testing.T) {
	for _, s := range mustSources(t) {
		want, err := format.Source(s.text)
		if err != nil {
			t.Errorf("%s: %v", s.path, err)
		} else if !bytes.Equal(want, s.text) {
			t.Errorf("%s is not formatted\n\tgofmt -w %s", s.path, s.path)
		}
	}
}

// longest is the length, in lines, past which a file is more than one thing.
const longest = 700

func TestFilesStayShort(t *testing.T) {
	for _, s := range mustSources(t) {
		if lines := bytes.Count(s.text, []byte("\n")); !s.test && !ast.IsGenerated(s.file) && lines > longest {
			t.Errorf("%s has %d lines; the limit is %d\n\ta file that long is two rooms without a door", s.path, lines, longest)
		}
	}
}

func TestSkipsGiveAReason(t *testing.T) {
	for _, s := range mustSources(t) {
		if !s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch sel, ok := call.Fun.(*ast.SelectorExpr); {
			case !ok:
			case sel.Sel.Name == "SkipNow", (sel.Sel.Name == "Skip" || sel.Sel.Name == "Skipf") && !hasReason(call):
				t.Errorf("%s: a test is skipped without a reason\n\twho reads the summary must see what was not tested, and why", s.at(call))
			}
			return true
		})
	}
}

// hasReason is false without an argument, and for an empty literal.
func hasReason(call *ast.CallExpr) bool {
	if len(call.Args) == 0 {
		return false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	return !ok || lit.Kind != token.STRING || len(lit.Value) > 4
}

// words may not stand in any file of the repository. They are put together
// here so that this file does not hold them.
var words = []struct{ word, why string }{
	{"TO" + "DO", "what is not done is said in the documentation, or it is done"},
	{"FIX" + "ME", "a known fault is repaired, or said in the documentation"},
	{"/wo" + "rk/", "a path of one machine means nothing on another"},
	{"../sha" + "red", "the repository stands alone"},
}

func TestWordsThatDoNotBelongHere(t *testing.T) {
	err := eachFile(func(path string, text []byte) error {
		if !utf8.Valid(text) {
			return nil
		}
		for number, line := range bytes.Split(text, []byte("\n")) {
			for _, w := range words {
				if bytes.Contains(line, []byte(w.word)) {
					t.Errorf("%s:%d: %q\n\t%s", path, number+1, w.word, w.why)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

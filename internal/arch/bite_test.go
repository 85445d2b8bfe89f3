package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// A rule that cannot fail holds nothing. These are the smallest sources that
// each rule about sources must and must not object to.

func parse(t *testing.T, text string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestUndescribedNamesAreFound(t *testing.T) {
	for text, want := range map[string]int{
		"type T int":                             1,
		"// T is one.\ntype T int":               0,
		"const A, b = 1, 2":                      1,
		"const (\n\tA = 1 // one\n\tB = 2\n)":    1,
		"// Both.\nconst (\n\tA = 1\n\tB = 2\n)": 0,
		"var x int":                              0,
	} {
		d := parse(t, "package p\n"+text).Decls[0].(*ast.GenDecl)
		if got := undescribed(d); len(got) != want {
			t.Errorf("%q: %d names without comment, want %d", text, len(got), want)
		}
	}
}

func TestMethodsOfHiddenTypesNeedNoComment(t *testing.T) {
	for text, want := range map[string]bool{
		"func F() {}":             true,
		"func (t T) F() {}":       true,
		"func (t *T) F() {}":      true,
		"func (t *t) F() {}":      false,
		"func (t list[T]) F() {}": false,
	} {
		d := parse(t, "package p\n"+text).Decls[0].(*ast.FuncDecl)
		if got := exportedReceiver(d); got != want {
			t.Errorf("%q: exported %v, want %v", text, got, want)
		}
	}
}

func TestSkipWithoutReasonIsFound(t *testing.T) {
	for text, want := range map[string]bool{
		`t.Skip()`:                  false,
		`t.Skip("")`:                false,
		`t.Skip("x")`:               false,
		`t.Skip("needs root here")`: true,
		`t.Skip(reason)`:            true,
	} {
		call, err := parser.ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := hasReason(call.(*ast.CallExpr)); got != want {
			t.Errorf("%s: reason %v, want %v", text, got, want)
		}
	}
}

func TestPatternsMatchLikeTheGoTool(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a/...", "a", true}, {"a/...", "a/b", true}, {"a/...", "ab", false},
		{"a", "a", true}, {"a", "a/b", false}, {"...", "anything", true},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.name, got)
		}
	}
}

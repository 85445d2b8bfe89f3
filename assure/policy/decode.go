package policy

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sallyport/config"
)

// decode reads YAML strictly into a document of this package. Without a tree it
// says what is wrong, in words for people: the library's own show parts of the
// file, and types of Go.
func decode(file string, b []byte, into any) (*ast.File, config.Diagnostics) {
	if found := config.CheckYAML(file, b); len(found) > 0 {
		return nil, found
	}
	tree, err := parser.ParseBytes(b, 0)
	if err == nil {
		err = yaml.UnmarshalWithOptions(b, into, yaml.Strict())
	}
	if err != nil {
		return nil, config.Diagnostics{fault(file, err, into)}
	}
	return tree, nil
}

// fault says what the YAML library found.
func fault(file string, err error, into any) config.Diagnostic {
	d := config.Diagnostic{File: file, Severity: config.Error, Message: "this cannot be read as it stands", Hint: "compare it with what sallyport audit policy show default prints"}
	if _, ok := into.(*writtenWaivers); ok {
		d.Hint = "for example: waivers: [{rule: CRY-005, subject: NAME, reason: WHY, owner: WHO, expires: 2027-03-31}]"
	}
	var y yaml.Error
	if !errors.As(err, &y) {
		return d
	}
	written := ""
	if t := y.GetToken(); t != nil {
		d.Line, d.Col, written = t.Position.Line, t.Position.Column, t.Value
	}
	var unknown *yaml.UnknownFieldError
	var form *yaml.UnexpectedNodeTypeError
	var typed *yaml.TypeError
	switch {
	case errors.As(err, &unknown):
		d.Message, d.Hint = fmt.Sprintf("unknown key %q", written), suggest(written, keysOf(reflect.TypeOf(into)))
	case errors.As(err, &form):
		d.Message = fmt.Sprintf("want %s, not %s", form.Expected.YAMLName(), form.Actual.YAMLName())
	case errors.As(err, &typed):
		d.Message = "want " + formOf(typed.DstType)
	}
	return d
}

// formOf is how a value of a type is written.
func formOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Map, reflect.Struct:
		return "keys below this one, indented"
	case reflect.Slice:
		return "a list in brackets"
	}
	return "one value"
}

// keysOf are the keys that a document has at any depth.
func keysOf(t reflect.Type) []string {
	known := map[string]bool{}
	collect(t, known)
	return slices.Sorted(maps.Keys(known))
}

func collect(t reflect.Type, known map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		collect(t.Elem(), known)
	case reflect.Struct:
		for i := range t.NumField() {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" {
				known[name] = true
			}
			collect(t.Field(i).Type, known)
		}
	}
}

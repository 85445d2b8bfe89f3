package arch

import (
	"go/ast"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/config"
)

// unread are the settings that no code needs to look at, each with the reason.
var unread = map[string]string{
	"Waiver.Owner":      "it is for people",
	"Waiver.Reason":     "it is for people",
	"Waiver.Rule":       "Zone.Waived looks at it",
	"Waiver.Until":      "Zone.Waived looks at it",
	"Waiver.Peer":       "Zone.Waived looks at it",
	"Zone.Waivers":      "Zone.Waived looks at it",
	"DNS.Servers":       "Zone.ResolversOf looks at it",
	"User.WhenFull":     "User.Rejects looks at it",
	"Config.Logging":    "a section",
	"Gateway.Dataplane": "a section",
}

func TestEverySettingIsReadBySomebody(t *testing.T) {
	read := selectorsOutsideConfig(t)
	for _, field := range settings(reflect.TypeFor[config.Config](), map[reflect.Type]bool{}) {
		_, name, _ := strings.Cut(field, ".")
		switch reason, excused := unread[field]; {
		case !read[name] && !excused:
			t.Errorf("nobody reads config.%s\n\ta setting that nothing reads is a promise that nobody keeps", field)
		case excused && reason == "":
			t.Errorf("config.%s is excused without a reason", field)
		}
	}
}

// settings lists Type.Field of every key of the configuration.
func settings(t reflect.Type, seen map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	var fields []string
	for i := range t.NumField() {
		f := t.Field(i)
		if tag := f.Tag.Get("yaml"); tag == "" || tag == "-" {
			continue
		}
		fields = append(fields, t.Name()+"."+f.Name)
		fields = append(fields, settings(f.Type, seen)...)
	}
	return fields
}

// selectorsOutsideConfig are the names after a dot in all packages that import
// package config. A name that another type shares is a doubt in favour.
func selectorsOutsideConfig(t *testing.T) map[string]bool {
	t.Helper()
	readers := map[string]bool{}
	for _, p := range packages(t) {
		readers[p.name()] = slices.Contains(p.Imports, module+"/config")
	}
	read := map[string]bool{}
	for _, s := range mustSources(t) {
		if s.test || !readers[s.pkg] {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				read[sel.Sel.Name] = true
			}
			return true
		})
	}
	return read
}

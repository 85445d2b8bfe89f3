package config

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// Effective writes the whole configuration, defaults included, as a file that
// parses to the same Config.
func (c *Config) Effective() []byte {
	var b bytes.Buffer
	writeSection(&b, reflect.ValueOf(c).Elem(), 0)
	return b.Bytes()
}

// Plain is Effective as maps, lists, texts and numbers, for JSON.
func (c *Config) Plain() any {
	n, problems := readYAML(c.Effective(), math.MaxInt) // with every default it may be larger than a file
	if len(problems) > 0 {
		panic("config: effective configuration: " + problems[0].message) // TestEffective holds that it parses
	}
	return n.plain()
}

// writeSection writes the keys of a struct in block style.
func writeSection(b *bytes.Buffer, v reflect.Value, depth int) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		if name == "" || name == "-" {
			continue
		}
		fmt.Fprintf(b, "%s%s:", strings.Repeat("  ", depth), name)
		writeValue(b, v.Field(i), depth)
	}
}

func writeValue(b *bytes.Buffer, v reflect.Value, depth int) {
	if policy, ok := v.Interface().(Policy); ok {
		writePolicy(b, policy, depth)
		return
	}
	if _, ok := nameds[v.Type()]; ok {
		writeNamed(b, v, depth)
		return
	}
	if text, ok := inline(v); ok {
		b.WriteString(" " + text + "\n")
		return
	}
	b.WriteString("\n")
	if v.Kind() == reflect.Struct {
		writeSection(b, v, depth+1)
		return
	}
	for i := range v.Len() { // a list of sections: "- " takes the place of two spaces
		var item bytes.Buffer
		writeSection(&item, v.Index(i), depth+2)
		text := item.Bytes()
		text[2*depth+2] = '-'
		b.Write(text)
	}
}

// writeNamed writes sections under the names that the file gave them.
func writeNamed(b *bytes.Buffer, v reflect.Value, depth int) {
	if v.Len() == 0 {
		b.WriteString(" {}\n")
		return
	}
	b.WriteString("\n")
	for i := range v.Len() {
		fmt.Fprintf(b, "%s%s:\n", strings.Repeat("  ", depth+1), nameOf(v.Index(i)))
		writeSection(b, v.Index(i), depth+2)
	}
}

// writePolicy shows the proposals of a built-in policy too, as comments: they
// are what an administrator wants to see.
func writePolicy(b *bytes.Buffer, p Policy, depth int) {
	indent := strings.Repeat("  ", depth+1)
	mark := ""
	if p.Name != "" {
		mark = "# "
		fmt.Fprintf(b, " %s", quote(p.Name))
	}
	b.WriteString("\n")
	for _, list := range []struct {
		name  string
		items []string
	}{{"ike", p.IKE}, {"esp", p.ESP}} {
		fmt.Fprintf(b, "%s%s%s:\n", indent, mark, list.name)
		for _, proposal := range list.items {
			fmt.Fprintf(b, "%s%s  - %s\n", indent, mark, quote(proposal))
		}
	}
}

// inline writes scalars, and lists of scalars, on one line.
func inline(v reflect.Value) (string, bool) {
	if s, ok := scalars[v.Type()]; ok {
		text := s.format(v.Interface())
		if s.kinds[0] == kindText {
			text = quote(text)
		}
		return text, true
	}
	if v.Kind() != reflect.Slice {
		return "", false
	}
	items := make([]string, v.Len())
	for i := range items {
		text, ok := inline(v.Index(i))
		if !ok {
			return "", false
		}
		items[i] = text
	}
	return "[" + strings.Join(items, ", ") + "]", true
}

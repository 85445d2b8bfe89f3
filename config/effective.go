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
	var b writer
	b.section(reflect.ValueOf(c).Elem(), 0, path{})
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

// writer writes a configuration in block style.
type writer struct {
	bytes.Buffer
	protocol string // of the zone that is being written
}

// section writes the keys of a struct, but for those that the protocol of its
// zone has not.
func (b *writer) section(v reflect.Value, depth int, p path) {
	if z, ok := v.Interface().(Zone); ok {
		b.protocol = z.Protocol
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		if name == "" || name == "-" {
			continue
		}
		at := p.child(name)
		if only := at.key().Only; only != "" && only != b.protocol {
			continue
		}
		fmt.Fprintf(b, "%s%s:", strings.Repeat("  ", depth), name)
		b.value(v.Field(i), depth, at)
	}
}

func (b *writer) value(v reflect.Value, depth int, p path) {
	if policy, ok := v.Interface().(Policy); ok {
		b.policy(policy, depth)
		return
	}
	if kind, ok := nameds[v.Type()]; ok {
		b.named(v, depth, p, kind)
		return
	}
	if text, ok := inline(v); ok {
		b.WriteString(" " + text + "\n")
		return
	}
	b.WriteString("\n")
	if v.Kind() == reflect.Struct {
		b.section(v, depth+1, p)
		return
	}
	for i := range v.Len() { // a list of sections: "- " takes the place of two spaces
		item := writer{protocol: b.protocol}
		item.section(v.Index(i), depth+2, p.item(i))
		text := item.Bytes()
		text[2*depth+2] = '-'
		b.Write(text)
	}
}

// named writes sections under the names that the file gave them.
func (b *writer) named(v reflect.Value, depth int, p path, kind named) {
	if v.Len() == 0 {
		b.WriteString(" {}\n")
		return
	}
	b.WriteString("\n")
	for i := range v.Len() {
		name := nameOf(v.Index(i))
		fmt.Fprintf(b, "%s%s:\n", strings.Repeat("  ", depth+1), name)
		b.section(v.Index(i), depth+2, p.named(name, kind))
	}
}

// policy shows the proposals of a built-in policy too, as comments: they
// are what an administrator wants to see.
func (b *writer) policy(p Policy, depth int) {
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

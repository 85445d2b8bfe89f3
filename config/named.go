package config

import (
	"reflect"
	"strings"
)

// named is a kind of section that the file names itself: a list in the file's
// order, whose items have a Name.
type named struct {
	key  string // in the file: "zones"
	word string // "zone"
	mark string // stands for any name in the table's paths
	most int
}

// nameds are all of them. Each item has keys of its own to understand, so their
// number is bounded.
var nameds = map[reflect.Type]named{
	reflect.TypeFor[Zones]():  {"zones", "zone", "ZONE", 100},
	reflect.TypeFor[Groups](): {"groups", "group", "GROUP", maxList},
	reflect.TypeFor[RADIUS](): {"radius", "realm", "REALM", 100},
}

// isMark tells whether a part of a path stands for any name.
func isMark(part string) bool { return markOf(part) != nil }

// markOf is the type of the list whose mark that is.
func markOf(part string) reflect.Type {
	for t, n := range nameds {
		if n.mark == part {
			return t
		}
	}
	return nil
}

// namedBy is the list of a key.
func namedBy(key string) (named, bool) {
	for _, n := range nameds {
		if n.key == key {
			return n, true
		}
	}
	return named{}, false
}

// nameOf is the name of an item.
func nameOf(item reflect.Value) string { return item.FieldByName("Name").String() }

// decodeNamed reads the items in the order of the file.
func (d *decoder) decodeNamed(n *node, list reflect.Value, p path, kind named) {
	if n.kind == kindNull {
		return
	}
	if n.kind != kindMap {
		d.fail(n, p, "write each "+kind.word+" below it: its name, a colon, its keys", "want a section of %ss, not %s", kind.word, n.kind)
		return
	}
	if len(n.pairs) > kind.most {
		d.fail(n, p, "", "%d %ss; the limit is %d", len(n.pairs), kind.word, kind.most)
		return
	}
	for _, pair := range n.pairs {
		if !validSectionName(pair.key) {
			d.report(Error, pair.keyPos, p.full, "use 1 to 32 lower-case letters, digits and hyphens, with a letter first", "%q cannot name a %s", shorten(pair.key), kind.word)
			continue
		}
		value := pair.value
		if value.kind == kindNull {
			value = &node{kind: kindNull, pos: pair.keyPos}
		}
		at := p.named(pair.key, kind)
		list.Set(reflect.Append(list, d.decodeItem(value, list.Type().Elem(), pair.key, at)))
		d.places[at.full] = pair.keyPos
	}
}

// decodeItem reads one item.
func (d *decoder) decodeItem(n *node, t reflect.Type, name string, at path) reflect.Value {
	item := reflect.New(t).Elem()
	item.FieldByName("Name").SetString(name)
	d.decode(n, item, at)
	return item
}

// validSectionName keeps names usable in keys, file names and metrics.
func validSectionName(s string) bool {
	return s != "" && len(s) <= 32 && s[0] >= 'a' && s[0] <= 'z' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

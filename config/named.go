package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// named is a kind of section that the file names itself: a list in the file's
// order, whose items have a Name.
type named struct {
	key  string // in the file: "zones"
	word string // "zone"
	mark string // stands for any name in the table's paths
	most int

	ordered bool // the place of an item counts
}

// nameds are all of them. Each item has keys of its own to understand, so their
// number is bounded.
var nameds = map[reflect.Type]named{
	reflect.TypeFor[Zones]():  {"zones", "zone", "ZONE", 100, true},
	reflect.TypeFor[Groups](): {"groups", "group", "GROUP", maxList, true},
	reflect.TypeFor[RADIUS](): {"radius", "realm", "REALM", 100, false},
}

// namedBy is the kind that the test holds for.
func namedBy(test func(named) bool) (named, bool) {
	for _, n := range nameds {
		if test(n) {
			return n, true
		}
	}
	return named{}, false
}

// isMark tells whether a part of a path stands for any name.
func isMark(part string) bool {
	_, ok := namedBy(func(n named) bool { return n.mark == part })
	return ok
}

// top is the path of the list.
func (n named) top() path { return path{n.key, n.key} }

// nameOf is the name of an item.
func nameOf(item reflect.Value) string { return item.FieldByName("Name").String() }

// itemOf finds the item of a name.
func itemOf(list reflect.Value, name string) (reflect.Value, bool) {
	for i := range list.Len() {
		if nameOf(list.Index(i)) == name {
			return list.Index(i), true
		}
	}
	return reflect.Value{}, false
}

// suggestItem names the item whose name is nearest to what was written, or
// lists them where none is near.
func suggestItem(written string, list any) string {
	v := reflect.ValueOf(list)
	var names []string
	for i := range v.Len() {
		names = append(names, nameOf(v.Index(i)))
	}
	hint, kind := suggest(written, names), nameds[v.Type()]
	switch {
	case hint != "":
		return hint
	case len(names) == 0:
		return "write a " + kind.word + " of this name under " + kind.key
	}
	return "under " + kind.key + " stand: " + shorten(strings.Join(names, ", "))
}

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
		d.fail(n, p, "keep fewer "+kind.word+"s in one gateway", "%d %ss; the limit is %d", len(n.pairs), kind.word, kind.most)
		return
	}
	for _, pair := range n.pairs {
		at := p.named(pair.key, kind)
		if !validSectionName(pair.key) {
			d.broken[at.full] = true // who refers to it is not told that it is missing
			d.report(Error, pair.keyPos, p.full, "use 1 to 32 lower-case letters, digits and hyphens, with a letter first", "%q cannot name a %s", shorten(pair.key), kind.word)
			continue
		}
		item := reflect.New(list.Type().Elem()).Elem()
		item.FieldByName("Name").SetString(pair.key)
		d.decodeItem(pair, item, at)
		list.Set(reflect.Append(list, item))
		d.places[at.full] = pair.keyPos
	}
}

// decodeItem reads the section under a name. A list or a text there is most
// often a key of the section whose name was left out.
func (d *decoder) decodeItem(item pair, v reflect.Value, at path) {
	value := item.value
	switch value.kind {
	case kindNull:
		value = &node{kind: kindNull, pos: item.keyPos}
	case kindMap, kindFault:
	default:
		if known := childKeys(at.row); slices.Contains(known, item.key) {
			list, _, _ := strings.Cut(at.full, ".")
			d.fail(value, at, fmt.Sprintf("write %s: {NAME: {%s: ...}}", list, item.key), "%s is a key of one section of %s, and here a name must stand", item.key, list)
			return
		}
	}
	d.decode(value, v, at)
}

// validSectionName keeps names usable in keys, file names and metrics.
func validSectionName(s string) bool {
	return s != "" && len(s) <= 32 && s[0] >= 'a' && s[0] <= 'z' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

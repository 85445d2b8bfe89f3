package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Change is one difference between two configurations. Old or New is empty
// where a named section was added or removed.
type Change struct {
	Key     string `json:"key"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
	Restart bool   `json:"restart"` // the gateway must be started again for it
}

// String shows the change on one line.
func (c Change) String() string {
	s := fmt.Sprintf("%s: %s -> %s", c.Key, c.Old, c.New)
	switch {
	case c.Old == "":
		s = "+ " + c.Key
	case c.New == "":
		s = "- " + c.Key
	}
	if c.Restart {
		s += " (needs a restart)"
	}
	return s
}

// Diff lists what changes from one configuration to the next, in the order of
// the new one, removed sections last. Where a section stands in the file is
// compared where it counts: of several groups of a user the first one does, and
// so does the first zone for a client that asks for none by name.
func Diff(old, next *Config) []Change {
	d := differ{} // never nil: reports say [] and not null
	d.compare(reflect.ValueOf(old.Gateway), reflect.ValueOf(next.Gateway), path{"gateway", "gateway"})
	d.compareNamed(reflect.ValueOf(old.Zones), reflect.ValueOf(next.Zones))
	d.compareNamed(reflect.ValueOf(old.Groups), reflect.ValueOf(next.Groups))
	d.compareNamed(reflect.ValueOf(old.RADIUS), reflect.ValueOf(next.RADIUS))
	d.compare(reflect.ValueOf(old.Logging), reflect.ValueOf(next.Logging), path{"logging", "logging"})
	return d
}

type differ []Change

// compareNamed matches sections by name. One that is there on one side only is
// a change as a whole, shown by its word: "zone".
func (d *differ) compareNamed(old, next reflect.Value) {
	kind := nameds[next.Type()]
	restart := kind.top().key().Effect == Restart
	if before, after := inBoth(old, next), inBoth(next, old); kind.ordered && before != after {
		*d = append(*d, Change{Key: kind.key, Old: before, New: after})
	}
	for i := range next.Len() {
		item := next.Index(i)
		at := kind.top().named(nameOf(item), kind)
		if before, ok := itemOf(old, nameOf(item)); ok {
			d.compare(before, item, at)
		} else {
			*d = append(*d, Change{Key: at.full, New: kind.word, Restart: restart || hasDevice(item)})
		}
	}
	for i := range old.Len() {
		item := old.Index(i)
		name := nameOf(item)
		if _, ok := itemOf(next, name); !ok {
			*d = append(*d, Change{Key: kind.top().named(name, kind).full, Old: kind.word, Restart: restart || hasDevice(item)})
		}
	}
}

// hasDevice tells whether a section is an L2TP zone: its TUN device and sockets
// are made when the gateway starts.
func hasDevice(item reflect.Value) bool {
	z, ok := item.Interface().(Zone)
	return ok && z.Protocol == L2TP
}

// inBoth are the names of a list that another has too, in its order.
func inBoth(list, other reflect.Value) string {
	var names []string
	for i := range list.Len() {
		name := nameOf(list.Index(i))
		if _, ok := itemOf(other, name); ok {
			names = append(names, name)
		}
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// compare goes down to the values that are written on one line.
func (d *differ) compare(a, b reflect.Value, p path) {
	before, simple := shown(a)
	if !simple {
		for i := range a.NumField() {
			if name := a.Type().Field(i).Tag.Get("yaml"); name != "" && name != "-" {
				d.compare(a.Field(i), b.Field(i), p.child(name))
			}
		}
		return
	}
	if after, _ := shown(b); before != after {
		*d = append(*d, Change{Key: p.full, Old: before, New: after, Restart: p.key().Effect == Restart})
	}
}

// shown is a value as one line, or false for a section.
func shown(v reflect.Value) (string, bool) {
	if at, ok := v.Interface().(Policy); ok {
		if at.Name != "" {
			return quote(at.Name), true
		}
		return fmt.Sprintf("{ike: [%s], esp: [%s]}", strings.Join(at.IKE, ", "), strings.Join(at.ESP, ", ")), true
	}
	if text, ok := inline(v); ok || v.Kind() != reflect.Slice {
		return text, ok
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = shownSection(v.Index(i))
	}
	return "[" + strings.Join(items, ", ") + "]", true
}

// shownSection is a section of a list, with the sections inside it.
func shownSection(v reflect.Value) string {
	var fields []string
	for i := range v.NumField() {
		text, ok := inline(v.Field(i))
		if !ok {
			text = shownSection(v.Field(i))
		}
		fields = append(fields, v.Type().Field(i).Tag.Get("yaml")+": "+text)
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

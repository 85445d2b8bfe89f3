package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Change is one difference between two configurations. Old or New is empty
// where a zone was added or removed.
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

// zoneThere stands for a whole zone in a Change.
const zoneThere = "zone"

// Diff lists what changes from one configuration to the next, in the order of
// the new one, removed zones last. Moving a zone within the file changes
// nothing.
func Diff(old, next *Config) []Change {
	d := differ{} // never nil: reports say [] and not null
	d.compare(reflect.ValueOf(old.Gateway), reflect.ValueOf(next.Gateway), path{"gateway", "gateway"})
	for i := range next.Zones {
		at := path{"zones", "zones"}.zone(next.Zones[i].Name)
		if before, ok := old.Zone(next.Zones[i].Name); ok {
			d.compare(reflect.ValueOf(*before), reflect.ValueOf(next.Zones[i]), at)
		} else {
			d = append(d, Change{Key: at.full, New: zoneThere})
		}
	}
	for _, z := range old.Zones {
		if _, ok := next.Zone(z.Name); !ok {
			d = append(d, Change{Key: "zones." + z.Name, Old: zoneThere})
		}
	}
	d.compare(reflect.ValueOf(old.Logging), reflect.ValueOf(next.Logging), path{"logging", "logging"})
	return d
}

type differ []Change

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
	switch at := v.Interface().(type) {
	case Policy:
		if at.Name != "" {
			return quote(at.Name), true
		}
		return fmt.Sprintf("{ike: [%s], esp: [%s]}", strings.Join(at.IKE, ", "), strings.Join(at.ESP, ", ")), true
	case []Waiver:
		items := make([]string, len(at))
		for i := range at {
			items[i] = shownWaiver(at[i])
		}
		return "[" + strings.Join(items, ", ") + "]", true
	}
	return inline(v)
}

func shownWaiver(w Waiver) string {
	var fields []string
	v := reflect.ValueOf(w)
	for i := range v.NumField() {
		text, _ := inline(v.Field(i))
		fields = append(fields, v.Type().Field(i).Tag.Get("yaml")+": "+text)
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

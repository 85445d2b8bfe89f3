package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Explanation is what is known about one key, for people and for machines.
type Explanation struct {
	Key      string   `json:"key"`
	Meaning  string   `json:"meaning"`
	Type     string   `json:"type"`
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"`
	L2TP     string   `json:"l2tp_default,omitempty"` // in an L2TP zone, where it is another
	Zones    string   `json:"zones,omitempty"`        // the one protocol whose zones have the key
	Values   []string `json:"values,omitempty"`
	Bounds   string   `json:"bounds,omitempty"`
	Example  string   `json:"example,omitempty"`
	RFC      string   `json:"rfc,omitempty"`
	Change   string   `json:"change,omitempty"` // what a change needs: reload or restart
	Keys     []string `json:"keys,omitempty"`   // the keys right below a section
}

// Explain tells about a key. A named section may be given by any name, and the
// beginning of a key may be left out where that leaves no doubt: "pool.ipv4" is
// zones.ZONE.pool.ipv4, of which a group's is a part.
func Explain(key string) (Explanation, error) {
	rows := rowsFor(key)
	switch len(rows) {
	case 1:
		return rows[0].explain(), nil
	case 0:
		return Explanation{}, &UnknownKeyError{Key: key, Hint: nearestKey(key)}
	}
	paths := make([]string, len(rows))
	for i, k := range rows {
		paths[i] = k.Path
	}
	return Explanation{}, &UnknownKeyError{Key: key, several: true, Hint: "did you mean " + strings.Join(paths, " or ") + "?"}
}

// UnknownKeyError says that no key, or no single key, has a name.
type UnknownKeyError struct {
	Key, Hint string
	several   bool
}

// Error says which key was asked for.
func (e *UnknownKeyError) Error() string {
	if e.several {
		return fmt.Sprintf("config: several keys are called %q", e.Key)
	}
	return fmt.Sprintf("config: no key is called %q", e.Key)
}

// Keys lists the full name of every key, in the order of the manual.
func Keys() []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Path
	}
	return names
}

// rowsFor finds the row of a key, or all rows that it may stand for.
func rowsFor(key string) []*Key {
	parts := strings.Split(strings.TrimSpace(key), ".")
	if kind, ok := namedBy(func(n named) bool { return n.key == parts[0] }); ok && len(parts) > 1 {
		parts[1] = kind.mark
	}
	for i := range parts { // waivers[0] and waivers[] are the same row
		if name, _, list := strings.Cut(parts[i], "["); list {
			parts[i] = name + "[]"
		}
	}
	wanted := strings.Join(parts, ".")
	if k := byPath[wanted]; k != nil {
		return []*Key{k}
	}
	if k := byPath[strings.TrimSuffix(wanted, "[]")]; k != nil {
		return []*Key{k}
	}
	return rowsEnding("." + wanted)
}

// rowsEnding are the rows whose path ends in some keys. A group's key gives way
// to the zone's that it can take the place of.
func rowsEnding(end string) []*Key {
	end = strings.ReplaceAll(end, "[]", "")
	var rows []*Key
	for i := range keys {
		if !strings.HasSuffix(strings.ReplaceAll(keys[i].Path, "[]", ""), end) {
			continue
		}
		if rest, ok := strings.CutPrefix(keys[i].Path, "groups.GROUP."); ok && byPath["zones.ZONE."+rest] != nil {
			continue
		}
		rows = append(rows, &keys[i])
	}
	return rows
}

func nearestKey(key string) string {
	name := key[strings.LastIndex(key, ".")+1:]
	var names []string
	for _, k := range keys {
		names = append(names, k.Path, lastName(k.Path))
	}
	if hint := suggest(key, names); hint != "" {
		return hint
	}
	if hint := suggest(name, names); hint != "" {
		return hint
	}
	return "sallyport config explain lists all keys"
}

// explain makes the explanation of a row.
func (k *Key) explain() Explanation {
	t := k.goType()
	e := Explanation{
		Key: k.Path, Meaning: k.Meaning, Type: typeName(t), Required: k.Required, Values: k.Values,
		Default: k.Default, L2TP: k.L2TP, Zones: k.Only, Example: k.Example, RFC: k.RFC, Keys: childKeys(k.Path),
	}
	if k.Derived != "" {
		e.Default = k.Derived
	}
	if k.Min != 0 || k.Max != 0 {
		e.Bounds = fmt.Sprintf("%s to %s", k.bound(t, k.Min), k.bound(t, k.Max))
	}
	if len(e.Keys) == 0 || k.Example != "" {
		e.Change = k.Effect.String()
	}
	return e
}

// typeName says in words what may be written.
func typeName(t reflect.Type) string {
	if s, ok := scalars[t]; ok {
		return s.name
	}
	switch {
	case t == reflect.TypeFor[Policy]():
		return "the name of a policy, or a section of two lists"
	case nameds[t].word != "":
		return "a section of " + nameds[t].word + "s"
	case t.Kind() == reflect.Struct:
		return "a section"
	case scalars[t.Elem()].parse != nil:
		return "a list, each " + scalars[t.Elem()].name
	}
	return "a list of sections"
}

// goType is the type that a row is read into.
func (k *Key) goType() reflect.Type {
	t := reflect.TypeFor[Config]()
	for part := range strings.SplitSeq(k.Path, ".") {
		switch {
		case isMark(part):
			t = t.Elem()
		case t == reflect.TypeFor[Policy]():
			t = reflect.TypeFor[[]string]()
		default:
			t = fieldType(t, strings.TrimSuffix(part, "[]"))
			if strings.HasSuffix(part, "[]") {
				t = t.Elem()
			}
		}
	}
	return t
}

func fieldType(t reflect.Type, name string) reflect.Type {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == name {
			return t.Field(i).Type
		}
	}
	panic(fmt.Sprintf("config: the table has a key %q that %s has not", name, t)) // a fault of the table: TestTable reads every key
}

// Example is a file to begin with: the smallest useful one, and the keys that
// most gateways want, each with its meaning.
func Example() []byte { return []byte(example) }

// wrap breaks text into lines of at most width columns, each with a prefix.
func wrap(text, prefix string, width int) string {
	var b strings.Builder
	line := prefix
	for _, word := range slices.Collect(strings.FieldsSeq(text)) {
		if len(line)+1+len(word) > width && line != prefix {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = prefix
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// Text is the explanation for a person, 80 columns wide.
func (e Explanation) Text() string {
	var b strings.Builder
	b.WriteString(e.Key + "\n" + wrap(e.Meaning, "  ", 80) + "\n")
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name, text)
		}
	}
	row("type", e.Type)
	row("values", strings.Join(e.Values, ", "))
	row("bounds", e.Bounds)
	if e.Required {
		row("default", "none: this key is required")
	}
	row("default", e.Default)
	row("in l2tp", e.L2TP)
	if e.Zones != "" {
		row("zones", "only with protocol: "+e.Zones)
	}
	row("example", e.sample())
	row("defined", e.RFC)
	if e.Change != "" {
		row("change", "takes effect on "+e.Change)
	}
	row("keys", strings.Join(e.Keys, ", "))
	return b.String()
}

// FirstSentence is the meaning in one line of a list.
func (e Explanation) FirstSentence() string {
	sentence, _, _ := strings.Cut(e.Meaning, ". ")
	return strings.TrimSuffix(sentence, ".")
}

// sample is the example with its key, ready to be copied.
func (e Explanation) sample() string {
	if e.Example == "" {
		return ""
	}
	return lastName(e.Key) + ": " + e.Example
}

package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/protocol/suite"
)

// decoder fills a Config from nodes by the table of keys. It goes on after a
// fault, so that one run reports them all.
type decoder struct {
	file    string
	config  *Config         // being checked
	places  map[string]pos  // where the value of a key stands in the file, or its section
	written map[string]bool // keys that stand in the file
	broken  map[string]bool // keys whose value could not be read
	found   Diagnostics
}

const (
	// maxScalar is far above any name, path or reason, and what a message shows.
	maxScalar = 1024
	// maxList bounds every list of the file; the longest real one is routes.
	maxList = 256
	// maxHomes is how many places a hint can name and still be one.
	maxHomes = 3
	// maxFaults bounds the answer to a file that is something else altogether.
	maxFaults = 100
)

// path is a key as the user sees it, and as the table has it.
type path struct{ full, row string }

func (p path) child(name string) path {
	if p.full == "" {
		return path{name, name}
	}
	return path{p.full + "." + name, p.row + "." + name}
}

func (p path) item(i int) path { return path{fmt.Sprintf("%s[%d]", p.full, i), p.row + "[]"} }

func (p path) named(name string, kind named) path {
	return path{p.full + "." + name, p.row + "." + kind.mark}
}

// key finds the row for a path. Elements of a list share the row of the list.
func (p path) key() *Key {
	if k := byPath[p.row]; k != nil {
		return k
	}
	return byPath[strings.TrimSuffix(p.row, "[]")]
}

func (d *decoder) report(s Severity, at pos, key, hint, format string, args ...any) {
	if len(d.found) == maxFaults {
		d.found = append(d.found, Diagnostic{File: d.file, Line: at.line, Col: at.col, Severity: Error, Message: "there is more; it is not shown", Hint: "mend what is shown and check again"})
	}
	if len(d.found) > maxFaults {
		return
	}
	if hint == "" && s == Error {
		hint = explainHint(key)
	}
	d.found = append(d.found, Diagnostic{File: d.file, Line: at.line, Col: at.col, Severity: s, Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// fail reports a value that cannot be read.
func (d *decoder) fail(n *node, p path, hint, format string, args ...any) {
	d.broken[p.full] = true
	d.report(Error, n.pos, p.full, hint, format, args...)
}

// decode reads n into v. Missing keys get the default of their row.
func (d *decoder) decode(n *node, v reflect.Value, p path) {
	if n.pos != (pos{}) {
		d.places[p.full] = n.pos
	}
	if n.kind == kindFault {
		d.broken[p.full] = true
		return
	}
	if s, ok := scalars[v.Type()]; ok {
		d.decodeScalar(n, v, p, s)
		return
	}
	if policy, ok := v.Addr().Interface().(*Policy); ok {
		d.decodePolicy(n, policy, p)
		return
	}
	if kind, ok := nameds[v.Type()]; ok {
		d.decodeNamed(n, v, p, kind)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeSection(n, v, p)
	case reflect.Slice:
		d.decodeList(n, v, p)
	default:
		panic("config: no way to read " + v.Type().String()) // a fault of this package: TestTable reads every key
	}
}

func (d *decoder) decodeScalar(n *node, v reflect.Value, p path, s scalar) {
	if n.kind == kindNull {
		d.fail(n, p, emptyHint(p), "want %s, but nothing stands here", s.name)
		return
	}
	key := p.key()
	if !slices.Contains(s.kinds, n.kind) {
		hint := kindHint(n, s)
		if key.Private {
			hint = privateHint
		}
		d.fail(n, p, hint, "want %s, not %s", s.name, n.kind)
		return
	}
	if len(n.text) > maxScalar {
		d.fail(n, p, "write a shorter one", "want %s: text of %d octets; the limit is %d", s.name, len(n.text), maxScalar)
		return
	}
	value, err := s.parse(n.text)
	if err != nil {
		hint := ""
		if m, ok := errors.AsType[*mistake](err); ok {
			hint = m.hint
		}
		d.fail(n, p, hint, "want %s: %s", s.name, cause(err, n.text))
		return
	}
	if len(key.Values) > 0 && !slices.Contains(key.Values, n.text) {
		d.fail(n, p, suggest(n.text, key.Values), "%q is not one of %s", n.text, strings.Join(key.Values, ", "))
		return
	}
	if !key.inBounds(value) {
		d.fail(n, p, key.nearestBound(v.Type(), value), "%s is out of bounds: from %s to %s", s.format(value), key.bound(v.Type(), key.Min), key.bound(v.Type(), key.Max))
		return
	}
	v.Set(reflect.ValueOf(value))
}

// decodeSection reads the keys of a section, then fills in those not written.
func (d *decoder) decodeSection(n *node, v reflect.Value, p path) {
	if n.kind != kindMap && n.kind != kindNull {
		d.fail(n, p, "write keys below it, indented: "+childNames(p.row), "want a section, not %s", n.kind)
		n = &node{kind: kindNull, pos: n.pos}
	}
	written := make(map[string]*node, len(n.pairs))
	for _, pair := range n.pairs {
		if _, ok := fieldOf(v, pair.key); !ok {
			d.unknown(pair, p)
			continue
		}
		written[pair.key] = pair.value
	}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			d.decodeField(written[name], v.Field(i), p.child(name), n.pos)
		}
	}
}

// decodeField reads one key of a section, or its default when n is nil.
func (d *decoder) decodeField(n *node, v reflect.Value, p path, section pos) {
	if n != nil {
		d.written[p.full] = true
		d.decode(n, v, p)
		return
	}
	switch key := p.key(); {
	case key.Required:
		d.broken[p.full] = true
		d.report(Error, section, p.full, "for example "+lastName(p.row)+": "+key.Example, "this key is required")
	case key.Default != "":
		d.decode(key.defaultNode(), v, p)
		d.places[p.full] = section
	case v.Kind() == reflect.Struct && scalars[v.Type()].parse == nil:
		d.decodeSection(&node{kind: kindNull, pos: section}, v, p)
		d.places[p.full] = section
	default:
		d.places[p.full] = section // derived later
	}
}

func (d *decoder) decodeList(n *node, v reflect.Value, p path) {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if n.kind != kindList {
		hint := emptyHint(p)
		if _, single := scalars[v.Type().Elem()]; n.kind == kindText && single {
			hint = fmt.Sprintf("write it in brackets: [%s]", quote(n.text))
		}
		d.fail(n, p, hint, "want a list, not %s", n.kind)
		return
	}
	if len(n.items) > maxList {
		d.fail(n, p, "", "%d items; the limit is %d", len(n.items), maxList)
		return
	}
	for i, item := range n.items {
		e := reflect.New(v.Type().Elem()).Elem()
		if d.decode(item, e, p.item(i)); !d.broken[p.item(i).full] {
			v.Set(reflect.Append(v, e))
		} else {
			d.broken[p.full] = true
		}
	}
}

// decodePolicy reads a name, or a section of two lists.
func (d *decoder) decodePolicy(n *node, policy *Policy, p path) {
	if n.kind == kindText {
		policy.Name = n.text
		return
	}
	if n.kind != kindMap {
		d.fail(n, p, "the policies are "+strings.Join(append(suite.PolicyNames(), suite.L2TPPolicyName), ", "), "want the name of a policy, or own lists, not %s", n.kind)
		return
	}
	for _, pair := range n.pairs {
		switch pair.key {
		case "ike":
			d.decode(pair.value, reflect.ValueOf(&policy.IKE).Elem(), p.child("ike"))
		case "esp":
			d.decode(pair.value, reflect.ValueOf(&policy.ESP).Elem(), p.child("esp"))
		default:
			d.unknown(pair, p)
		}
	}
}

// unknown reports a key that is not in the table. Its value is never shown: it
// may be a secret of another product's configuration.
func (d *decoder) unknown(pair pair, p path) {
	known := childKeys(p.row)
	hint := foreign[strings.ToLower(pair.key)]
	if hint == "" {
		hint = suggest(pair.key, known)
	}
	if homes := homesOf(pair.key); hint == "" && len(homes) > 0 && len(homes) <= maxHomes {
		hint = fmt.Sprintf("the key %s belongs to %s", pair.key, strings.Join(homes, " or "))
	}
	if hint == "" {
		hint = "known keys: " + strings.Join(known, ", ")
	}
	where := p.full
	if where == "" {
		where = "the file"
	}
	d.report(Error, pair.keyPos, "", hint, "unknown key %q in %s", shorten(pair.key), where)
}

// foreign are words of other products, each with what takes their place.
var foreign = map[string]string{
	"psk":         "the configuration holds no secrets: a device gets its key with sallyport device add --psk",
	"secret":      "the configuration holds no secrets: a device gets its key with sallyport device add --psk, and a RADIUS server's stands in a file of its own",
	"secrets":     "the configuration holds no secrets: a device gets its key with sallyport device add --psk, and a RADIUS server's stands in a file of its own",
	"password":    "the configuration holds no secrets",
	"left":        "the gateway's side stands in gateway (name, listen) and the clients' side in the zone (pool, routes)",
	"right":       "the gateway's side stands in gateway (name, listen) and the clients' side in the zone (pool, routes)",
	"proposals":   "write policy: {ike: [...], esp: [...]}",
	"ike":         "write policy: {ike: [...], esp: [...]}",
	"esp":         "write policy: {ike: [...], esp: [...]}",
	"local_ts":    "what clients may reach is routes",
	"rightsubnet": "the clients' addresses are pool",
	"leftsubnet":  "what clients may reach is routes",
}

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// childKeys are the names of the keys right below a row, in the table's order.
func childKeys(row string) []string {
	var names []string
	for _, k := range keys {
		if rest, ok := strings.CutPrefix(k.Path, row+"."); (ok || row == "") && k.Path != row {
			if row == "" {
				rest = k.Path
			}
			if !strings.Contains(rest, ".") {
				names = append(names, rest)
			}
		}
	}
	return names
}

func childNames(row string) string { return strings.Join(childKeys(row), ", ") }

// homesOf finds where a key of this name lives.
func homesOf(name string) []string {
	var homes []string
	for _, k := range rowsEnding("." + name) {
		homes = append(homes, strings.TrimSuffix(k.Path, "."+name))
	}
	return homes
}

func lastName(row string) string { return row[strings.LastIndex(row, ".")+1:] }

func emptyHint(p path) string {
	if key := p.key(); key != nil && key.Default != "" {
		return "remove the key to get its default, " + key.Default
	}
	return ""
}

// explainHint is where to read on when nothing better can be said: no error
// leaves its reader without a next step.
func explainHint(key string) string {
	if key == "" {
		return "sallyport config explain lists all keys"
	}
	var parts []string
	for part := range strings.SplitSeq(key, ".") { // without the numbers of items, which some shells take for patterns
		name, _, _ := strings.Cut(part, "[")
		parts = append(parts, name)
	}
	return "sallyport config explain " + strings.Join(parts, ".") + " tells what it takes"
}

// kindHint tells how to turn what is written into what is wanted.
func kindHint(n *node, s scalar) string {
	switch {
	case s.kinds[0] == kindText && (n.kind == kindNumber || n.kind == kindBool):
		return fmt.Sprintf("put it in quotes: %q", n.text)
	case n.kind == kindList:
		return "write one value, without brackets"
	case n.kind == kindMap && s.kinds[0] == kindText:
		return "put a value with colons, such as an IPv6 address, in quotes"
	case s.kinds[0] == kindBool:
		return "write true or false, without quotes"
	case n.kind == kindText && s.kinds[0] == kindNumber:
		return "write digits alone, without quotes"
	}
	return ""
}

package routeros

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// entry is one entry of a menu, or the one set of settings that a menu has.
type entry struct {
	menu    string
	name    string
	builtin string // "*0": the entry is there before anything is written
	props   map[string]prop
	at      posture.Pos
	gone    bool
}

// table is what an export says, by menu.
type table struct {
	in      *source.Input
	entries map[string][]*entry
	menus   []string               // in order
	begin   map[string]posture.Pos // where each is first
	counted int
	steps   int // entries that were looked at for commands
}

// mostEntries bounds a host's entries; address lists of 100,000 lines exist,
// and are not kept.
const mostEntries = 50_000

// mostSteps bounds how many entries are looked at to find those that commands
// name; a large export of 10,000 rules takes none.
const mostSteps = 20_000_000

// builtins are the entries that every router has, in the order in which
// numbers count them. The names are those of RouterOS 6.44 and later.
var builtins = map[string][]string{
	"ip ipsec profile":      {"default"},
	"ip ipsec proposal":     {"default"},
	"ip ipsec policy":       {"default"},
	"ip ipsec policy group": {"default"},
	"ip ipsec mode-config":  {"request-only"},
	"ppp profile":           {"default", "default-encryption"},
	"system logging action": {"memory", "disk", "echo", "remote"},
	"system logging":        {"info", "error", "warning", "critical"},
}

func newTable(in *source.Input, file posture.Pos) *table {
	t := &table{in: in, entries: map[string][]*entry{}, begin: map[string]posture.Pos{}}
	for menu, names := range builtins {
		for i, name := range names {
			e := &entry{menu: menu, name: name, builtin: "*" + strconv.Itoa(i), props: map[string]prop{}, at: file}
			t.entries[menu] = append(t.entries[menu], e)
		}
	}
	// The second profile of PPP has the last number there is.
	t.entries["ppp profile"][1].builtin = "*FFFFFFFE"
	t.entries["ip ipsec policy"][0].props["template"] = prop{value: "yes", at: file}
	return t
}

// do applies one command.
func (t *table) do(c command) {
	if name, ok := renamed[c.menu]; ok {
		c.menu = name
	}
	if !slices.Contains(t.menus, c.menu) && len(t.menus) < 1000 {
		t.menus = append(t.menus, c.menu)
		t.begin[c.menu] = c.at
	}
	m, ok := menus[c.menu]
	if !ok {
		return // noted once for the menu as a whole
	}
	switch c.verb {
	case "add":
		t.add(c, m)
	case "set", "enable", "disable", "remove", "unset":
		t.change(c, m)
	case "move", "print", "export", "comment", "reset", "edit":
	default:
		t.in.Note(posture.Unparsed, c.at, "no command that an export has")
	}
}

func (t *table) add(c command, m menu) {
	if t.counted == mostEntries {
		t.in.Note(posture.Limit, c.at, "more than %d entries: the rest is left out", mostEntries)
	}
	if t.counted++; t.counted > mostEntries {
		return
	}
	e := &entry{menu: c.menu, props: map[string]prop{}, at: c.at}
	t.assign(e, c, m)
	t.insert(e)
}

// insert puts an entry at the end, or where place-before says by number, which
// scripts do and exports never.
func (t *table) insert(e *entry) {
	all := t.entries[e.menu]
	n, err := strconv.Atoi(e.text("place-before"))
	if err != nil || n < 0 || n > len(all) || !t.step(len(all)) {
		n = len(all)
	}
	t.entries[e.menu] = slices.Insert(all, n, e)
}

// assign enters what a command says, and notes the words that nobody knows.
func (t *table) assign(e *entry, c command, m menu) {
	for _, p := range c.props {
		key, off := strings.CutPrefix(p.key, "!")
		key = m.whole(key)
		if off {
			delete(e.props, key)
			continue
		}
		if !m.knows(key) {
			t.in.Note(posture.Unparsed, p.at, "%s has no %s that is known", c.menu, setting.Shown(key))
		}
		e.props[key] = p
	}
	if p, ok := e.props["name"]; ok {
		e.name = p.value
	}
	if len(c.props) > 0 {
		e.at = c.at
	}
}

// change applies set, enable, disable and remove to the entries that it names.
func (t *table) change(c command, m menu) {
	found := t.find(c, m)
	if len(found) == 0 && m.hardware {
		t.add(c, m)
		return
	}
	if len(found) == 0 {
		t.in.Note(posture.Unparsed, c.at, "%s %s names an entry that is not in this file", c.menu, c.verb)
	}
	for _, e := range found {
		switch c.verb {
		case "set":
			t.assign(e, c, m)
		case "enable":
			e.props["disabled"] = prop{key: "disabled", value: "no", at: c.at}
		case "disable":
			e.props["disabled"] = prop{key: "disabled", value: "yes", at: c.at}
		case "remove":
			e.gone = true
		}
	}
}

// find is the entries that a command applies to. A menu without a list has one.
func (t *table) find(c command, m menu) []*entry {
	if m.single {
		if len(t.entries[c.menu]) == 0 {
			t.entries[c.menu] = []*entry{{menu: c.menu, props: map[string]prop{}, at: c.at}}
		}
		return t.entries[c.menu]
	}
	if inner, ok := strings.CutPrefix(c.which, "(["); ok { // one of those that were found
		inner, index, _ := strings.Cut(inner, "]->")
		n, err := strconv.Atoi(strings.TrimSuffix(index, ")"))
		if all := t.where(c.menu, inner); err == nil && n >= 0 && n < len(all) {
			return all[n : n+1]
		}
		return nil
	}
	if inner, ok := strings.CutPrefix(c.which, "["); ok {
		return t.where(c.menu, strings.TrimSuffix(inner, "]"))
	}
	var found []*entry
	for which := range strings.SplitSeq(c.which, ",") {
		if !t.step(len(t.entries[c.menu])) {
			break
		}
		n, err := strconv.Atoi(which)
		for i, e := range t.entries[c.menu] {
			if which != "" && (e.name == which || e.builtin == which) || err == nil && i == n {
				found = append(found, e)
			}
		}
	}
	return found
}

// step tells whether n more entries may be looked at.
func (t *table) step(n int) bool {
	t.steps += n
	return t.steps <= mostSteps
}

// like is a condition with a regular expression: comment~"old".
var like = regexp.MustCompile(`([a-z0-9-]+)~("[^"]*"|[^ \t]+)`)

// where is [ find key=value key~"expression" !disabled ... ].
func (t *table) where(menu, condition string) []*entry {
	var found []*entry
	patterns := patterns(condition)
	conditions := words(like.ReplaceAllString(condition, ""))
	const costly = 256 // an expression takes longer than a comparison
	if !t.step(len(t.entries[menu]) * max(len(conditions)+costly*len(patterns), 1)) {
		return nil
	}
	for _, e := range t.entries[menu] {
		if slices.ContainsFunc(conditions, func(w word) bool { return w.equals && !e.is(w.text, w.value) || !w.equals && !e.state(w.text) }) ||
			slices.ContainsFunc(patterns, func(p pattern) bool { return !p.fits(e) }) {
			continue
		}
		found = append(found, e)
	}
	return found
}

// pattern is one condition with a regular expression; nil: one that is none.
type pattern struct {
	key string
	exp *regexp.Regexp
}

func patterns(condition string) (all []pattern) {
	for _, m := range like.FindAllStringSubmatch(condition, mostPatterns) {
		p := pattern{key: m[1]}
		if text := strings.Trim(m[2], `"`); len(text) <= longestPattern && !strings.Contains(text, "{") {
			p.exp, _ = regexp.Compile(text)
		}
		all = append(all, p)
	}
	return all
}

// mostPatterns bounds them in one command, and longestPattern and longestMatch what
// one costs; a repetition by number would make a short one large.
const (
	mostPatterns   = 8
	longestPattern = 64
	longestMatch   = 256
)

func (p pattern) fits(e *entry) bool {
	value := e.props[p.key].value
	if p.key == "name" {
		value = e.name
	}
	return p.exp != nil && p.exp.MatchString(value[:min(len(value), longestMatch)])
}

// state is a condition of one word. What is not known is no condition.
func (e *entry) state(word string) bool {
	switch word {
	case "default":
		return e.builtin != ""
	case "!default":
		return e.builtin == ""
	case "disabled":
		return e.off()
	case "!disabled":
		return !e.off()
	case "dynamic":
		return false // exports have none
	}
	return true
}

func (e *entry) is(key, value string) bool {
	switch key {
	case "default":
		// Of two profiles of PPP both are default entries, and the first is meant.
		return (e.builtin != "" && e.builtin != "*FFFFFFFE") == (value == "yes" || value == "true")
	case "name":
		return e.name == value
	}
	return e.props[key].value == value
}

// all are the entries of a menu that are there, enabled or not.
func (t *table) all(menu string) []*entry {
	var there []*entry
	for _, e := range t.entries[menu] {
		if !e.gone {
			there = append(there, e)
		}
	}
	return there
}

// on are the entries in force.
func (t *table) on(menu string) []*entry {
	return slices.DeleteFunc(t.all(menu), func(e *entry) bool { return e.off() })
}

// off tells whether an entry is disabled; clients are unless it says no.
func (e *entry) off() bool {
	p, ok := e.props["disabled"]
	if !ok {
		return menus[e.menu].offByDefault
	}
	return p.value == "yes" || p.value == "true"
}

// named is the entry of a name, nil where there is none.
func (t *table) named(menu, name string) *entry {
	for _, e := range t.entries[menu] {
		if !e.gone && e.name == name {
			return e
		}
	}
	return nil
}

// one is the settings of a menu without a list; where the file does not have
// it, everything is the default.
func (t *table) one(menu string, file posture.Pos) *entry {
	if all := t.all(menu); len(all) > 0 {
		return all[0]
	}
	return &entry{menu: menu, props: map[string]prop{}, at: file}
}

// text is what is written for a key, or nothing.
func (e *entry) text(key string) string { return e.props[key].value }

// get is a setting, with the default of the menu where nothing is written.
func (r *reader) get(e *entry, key string) setting.Setting {
	if p, ok := e.props[key]; ok {
		return setting.Setting{Text: p.value, Origin: posture.Explicit, At: p.at}
	}
	d, ok := menus[e.menu].defaults[key]
	if !ok {
		return setting.Setting{}
	}
	return r.defaults.Setting(d, e.at, true)
}

// read is a setting with its type; what it does not understand is noted.
func read[T any](r *reader, e *entry, key string, parse func(string) (T, bool)) posture.Value[T] {
	v, ok := setting.To(r.get(e, key), parse)
	if !ok {
		r.in.Note(posture.Unparsed, e.props[key].at, "%s: the value of %s is not understood", e.menu, key)
	}
	return v
}

// as is an entry in the words of another menu, which held them at other times.
func (e *entry) as(menu string) *entry {
	other := *e
	other.menu = menu
	return &other
}

// owner is whom a secret or a setting belongs to, for reports.
func (e *entry) owner() string {
	for _, key := range []string{"name", "peer", "address", "user", "interface", "comment"} {
		if p := e.text(key); p != "" {
			return p
		}
	}
	if e.name != "" {
		return e.name
	}
	return e.menu
}

package fortios

import (
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// entry is one "edit", or what a "config" without a list holds.
type entry struct {
	path  string // "vpn ipsec phase1-interface", without vdom
	name  string
	vdom  string
	in    string // the name of the entry that its table is in
	set   map[string]value
	at    posture.Pos
	known map[string]bool
}

// value is what a "set" gives: words, unquoted.
type value struct {
	words []string
	at    posture.Pos
}

func (v value) text() string { return strings.Join(v.words, " ") }

// bounds of a configuration. A large FortiGate has some 100,000 entries of
// addresses, which are not kept.
const (
	mostLevels  = 12
	mostEntries = 50_000
)

// parser walks through "config", "edit", "set", "next" and "end".
type parser struct {
	in      *source.Input
	text    *source.Text
	stack   []frame
	entries []*entry
	full    bool
	removed int // commands that took entries away
}

// frame is a "config" or an "edit" that is open.
type frame struct {
	path  string // of a config
	edit  bool
	name  string
	entry *entry // where "set" goes; nil: not kept
	vdom  string
}

// statement is one line, or several where a quoted value goes on.
type statement struct {
	words []string
	at    posture.Pos
}

// statements yields the file's statements. header gets the comments.
func statements(in *source.Input, t *source.Text, header func(string, posture.Pos), yield func(statement)) {
	s := statement{}
	q := quoting{}
	asked := statement{} // "# config TABLE", as documents show what was typed at the prompt
	for n, text := range in.Lines(t) {
		if !q.open {
			text = typed(text)
			trimmed := strings.TrimLeft(text, " \t")
			if strings.HasPrefix(trimmed, "#") {
				header(trimmed, t.At(n, 1))
				asked = shownConfig(trimmed, t.At(n, 1))
				continue
			}
			if len(asked.words) > 0 && (strings.HasPrefix(trimmed, "edit ") || strings.HasPrefix(trimmed, "set ")) {
				yield(asked)
			}
			if trimmed != "" {
				asked = statement{}
			}
			s = statement{at: t.At(n, len(text)-len(trimmed)+1)}
			q = quoting{}
		}
		q.line(text)
		if q.open && q.size < source.MostLine {
			continue
		}
		if q.open {
			in.Note(posture.Limit, s.at, "a quoted value has more than %d octets: cut", source.MostLine)
			q.open = false
			q.flush()
		}
		if s.words = q.words; len(s.words) > 0 {
			yield(s)
		}
	}
	if q.open {
		in.Note(posture.Malformed, s.at, "a quoted value does not end")
	}
}

// shownConfig is the opening of a table that is read, behind a bare prompt; empty
// for a remark.
func shownConfig(comment string, at posture.Pos) statement {
	words := strings.Fields(comment)
	if len(words) > 2 && words[0] == "#" && words[1] == "config" && read[whole(strings.Join(words[2:], " "))] != nil {
		return statement{words: words[1:], at: at}
	}
	return statement{}
}

// prompt is what stands before what was typed, in a log of a terminal.
var prompt = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]* (\([^()]*\) )?[#$] ?`)

// typed is a line without what a terminal adds: the prompt, and the word between
// two pages, which goes by a return and spaces over it.
func typed(text string) string {
	if _, after, ok := strings.Cut(text, "--More--"); ok {
		text = after[strings.LastIndexByte(after, '\r')+1:]
	}
	if strings.HasPrefix(text, "end ") || strings.HasPrefix(text, "next ") {
		return text // with a remark
	}
	return prompt.ReplaceAllString(text, "")
}

// quoting splits lines into words. Quotes keep spaces and line ends, and a
// backslash keeps the next octet.
type quoting struct {
	words []string
	word  strings.Builder
	began bool
	open  bool
	mark  byte // the quote that closes it
	size  int
}

func (q *quoting) line(s string) {
	if q.open {
		q.word.WriteByte('\n')
	}
	q.size += len(s) + 1
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && q.mark != '\'':
			i++
			q.word.WriteByte(s[i])
			q.began = true
		case q.open && c == q.mark:
			q.open = false
		case q.open:
			q.word.WriteByte(c)
		case c == '"' || c == '\'':
			q.open, q.mark, q.began = true, c, true
		case c == ' ' || c == '\t':
			q.flush()
		default:
			q.word.WriteByte(c)
			q.began = true
		}
		if !q.open {
			q.mark = 0
		}
	}
	if !q.open {
		q.flush()
	}
}

func (q *quoting) flush() {
	if q.began {
		q.words = append(q.words, q.word.String())
	}
	q.word.Reset()
	q.began = false
}

// do applies one statement.
func (p *parser) do(s statement) {
	switch s.words[0] {
	case "config":
		p.config(s)
	case "edit":
		p.edit(s)
	case "set", "append", "select":
		p.assign(s)
	case "unset":
		if e := p.top().entry; e != nil && len(s.words) > 1 {
			delete(e.set, e.key(s.words[1]))
		}
	case "next":
		if p.top().edit {
			p.stack = p.stack[:len(p.stack)-1]
		}
	case "end":
		p.end()
	case "delete", "purge":
		p.remove(s)
	case "rename", "move", "clone", "exit", "show", "get", "execute", "diagnose":
	default:
		p.in.Note(posture.Unparsed, s.at, "%s begins no line that is known", setting.Key(s.words[0], strings.Join(s.words[1:], " ")))
	}
}

// mostRemovals bounds the time that a file of nothing else takes.
const mostRemovals = 2_000

// remove takes an entry out of the table that is open, or all of them.
func (p *parser) remove(s statement) {
	if p.removed++; p.removed > mostRemovals {
		if p.removed == mostRemovals+1 {
			p.in.Note(posture.Limit, s.at, "more than %d lines that take away: the rest was not applied", mostRemovals)
		}
		return
	}
	above := p.top()
	p.entries = slices.DeleteFunc(p.entries, func(e *entry) bool {
		named := s.words[0] == "purge" || len(s.words) > 1 && e.name == s.words[1]
		return e.path == above.path && e.vdom == above.vdom && e.name != "" && named && !above.edit
	})
}

// top is the innermost frame.
func (p *parser) top() frame {
	if len(p.stack) == 0 {
		return frame{}
	}
	return p.stack[len(p.stack)-1]
}

func (p *parser) push(f frame, at posture.Pos) {
	if len(p.stack) == mostLevels {
		p.in.Note(posture.Limit, at, "more than %d levels", mostLevels)
		p.stack = p.stack[:0]
	}
	p.stack = append(p.stack, f)
}

// config opens a table. The tables of a virtual domain are the same as those
// of a device without any.
func (p *parser) config(s statement) {
	above := p.top()
	path := strings.Join(s.words[1:], " ")
	f := frame{path: path, vdom: above.vdom}
	switch {
	case above.path == "vdom" && above.edit:
		f.vdom = above.name
	case above.path == "global" || above.path == "":
	default:
		f.path = above.path + " " + path
	}
	if f.path = whole(f.path); read[f.path] != nil {
		f.entry = p.enter(f.path, "", f.vdom, s.at)
	}
	p.push(f, s.at)
}

// whole is the name of a table that is read, of which each word may be cut short,
// as the command line has it: "sys int".
func whole(path string) string {
	if read[path] != nil {
		return path
	}
	var all []string
	words := strings.Fields(path)
	for table := range read {
		if slices.EqualFunc(words, strings.Fields(table), func(w, full string) bool { return len(w) > 2 && strings.HasPrefix(full, w) }) {
			all = append(all, table)
		}
	}
	return meant(path, all)
}

// key is a setting in full.
func (e *entry) key(word string) string {
	if e.known["*"] || e.known[word] || len(word) < 3 {
		return word
	}
	var all []string
	for k := range e.known {
		if strings.HasPrefix(k, word) {
			all = append(all, k)
		}
	}
	return meant(word, all)
}

// meant is the one word among several that a beginning stands for, which others
// may begin with: "psk" is psksecret in spite of psksecret-remote.
func meant(begin string, all []string) string {
	if len(all) == 0 {
		return begin
	}
	slices.Sort(all)
	for _, w := range all {
		if !strings.HasPrefix(w, all[0]) {
			return begin
		}
	}
	return all[0]
}

func (p *parser) edit(s statement) {
	above := p.top()
	name := ""
	if len(s.words) > 1 {
		name = s.words[1]
	}
	f := frame{path: above.path, edit: true, name: name, vdom: above.vdom}
	if above.edit { // the "next" before it is missing
		p.stack = p.stack[:len(p.stack)-1]
	}
	if read[f.path] != nil {
		f.entry = p.enter(f.path, name, f.vdom, s.at)
		if n := len(p.stack); f.entry != nil && n > 1 && p.stack[n-2].edit {
			f.entry.in = p.stack[n-2].name
		}
	}
	p.push(f, s.at)
}

func (p *parser) enter(path, name, vdom string, at posture.Pos) *entry {
	if len(p.entries) == mostEntries {
		if !p.full {
			p.full = true
			p.in.Note(posture.Limit, at, "more than %d entries: the rest is left out", mostEntries)
		}
		return nil
	}
	e := &entry{path: path, name: name, vdom: vdom, set: map[string]value{}, at: at, known: read[path]}
	p.entries = append(p.entries, e)
	return e
}

func (p *parser) assign(s statement) {
	e := p.top().entry
	if e == nil || len(s.words) < 2 {
		return
	}
	key, words := e.key(s.words[1]), s.words[2:]
	if !e.known["*"] && !e.known[key] {
		p.in.Note(posture.Unparsed, s.at, "%s has no %s that is known", e.path, setting.Shown(key))
	}
	if s.words[0] == "append" {
		words = append(e.set[key].words, words...)
	}
	e.set[key] = value{words: words, at: s.at}
}

func (p *parser) end() {
	if p.top().edit { // "end" also closes the edit that is open
		p.stack = p.stack[:len(p.stack)-1]
	}
	if len(p.stack) > 0 {
		p.stack = p.stack[:len(p.stack)-1]
	}
}

// all are the entries of tables; an entry without settings of its own that
// only holds "edit"s is none.
func (r *reader) all(paths ...string) []*entry {
	var found []*entry
	for _, path := range paths {
		for _, e := range r.tables[path] {
			if e.name != "" || len(e.set) > 0 {
				found = append(found, e)
			}
		}
	}
	return found
}

// one is the settings of a table without a list; nil where it is not there.
func (r *reader) one(path string) *entry {
	all := r.all(path)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

package swanctl

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Bounds of the parser.
const (
	mostNested   = 40      // sections inside each other
	mostSettings = 200_000 // settings and sections of one host
)

// loader parses files into trees: the grammar of strongswan.conf(5), which
// swanctl.conf shares.
type loader struct {
	in    *source.Input
	left  int                     // settings and sections that may still come
	read  map[string]bool         // paths that some file included, or that began a tree
	texts map[string]*source.Text // by shown path; without content
	times map[string]time.Time    // last change, where known
	lost  bool                    // an include leaves what was given
}

func newLoader(in *source.Input) *loader {
	return &loader{in: in, left: mostSettings, read: map[string]bool{}, texts: map[string]*source.Text{}, times: map[string]time.Time{}}
}

// load adds the statements of a file, and of what it includes, to a section.
func (l *loader) load(into *section, chain []string, p string) {
	l.read[p] = true
	text := l.in.Read(p, false)
	if text == nil {
		return
	}
	l.texts[text.Show] = &source.Text{Path: text.Path, Show: text.Show}
	l.times[text.Show] = changed(l.in.Host.Files, text.Show)
	f := &file{loader: l, text: text, rest: text.Data, line: 1, chain: append(chain, p)}
	f.untemplate()
	f.marked()
	f.statements(into, 0)
}

// marked says what strongSwan makes of a byte order mark: its lexer takes the mark
// for letters of a name (settings_lexer.l).
func (f *file) marked() {
	if !f.text.BOM {
		return
	}
	next := bytes.TrimLeft(f.rest, blank)
	if len(next) == len(f.rest) && len(next) > 0 && !bytes.ContainsAny(next[:1], "#\r\n") {
		f.malformed(f.at(), "the file begins with a byte order mark, which strongSwan takes as letters of the first name: what that begins is not in force; it is judged as if the mark were not there")
		return
	}
	f.malformed(f.at(), "the file begins with a byte order mark, which strongSwan takes for a name by itself: a syntax error, and nothing of it is loaded; it is judged as if the mark were not there")
}

// changed is the last change of a file, where times are those of the host.
func changed(files []posture.File, show string) time.Time {
	for _, f := range slices.Backward(files) {
		if f.Path == show && f.HasMode {
			return f.ModTime
		}
	}
	return time.Time{}
}

// file is one file being parsed.
type file struct {
	*loader
	text  *source.Text
	rest  []byte
	line  int
	col   int // octets of the line that were read
	chain []string

	template bool // it has placeholders, which untemplate has hidden
	wrong    int  // the last line that a note says of that the daemon refuses it
}

func (f *file) at() posture.Pos { return f.text.At(f.line, f.col+1) }

func (f *file) more() bool { return len(f.rest) > 0 }

// take reads n octets.
func (f *file) take(n int) string {
	word := f.rest[:n]
	f.rest = f.rest[n:]
	if i := bytes.LastIndexByte(word, '\n'); i >= 0 {
		f.line += bytes.Count(word, []byte{'\n'})
		f.col = len(word) - i - 1
	} else {
		f.col += len(word)
	}
	if f.template {
		return written.Replace(string(word))
	}
	return string(word)
}

// run is how many of the next octets are, or are not, of a set.
func (f *file) run(set string, in bool) int {
	for i, b := range f.rest {
		if (strings.IndexByte(set, b) >= 0) != in {
			return i
		}
	}
	return len(f.rest)
}

const (
	blank = " \t\r"
	space = blank + "\n"
)

// skip passes white space and comments.
func (f *file) skip() {
	for f.more() {
		f.take(f.run(space, true))
		if !f.more() || f.rest[0] != '#' {
			return
		}
		f.take(f.run("\n", false))
	}
}

// statements reads settings and sections until the section ends.
func (f *file) statements(into *section, depth int) {
	for f.skip(); f.more(); f.skip() {
		at := f.at()
		switch f.rest[0] {
		case '}':
			f.take(1)
			if depth > 0 {
				return
			}
			f.malformed(at, "there is no section that this } could end")
		case '{', '=', ':', ',', '"':
			if n := f.inQuotes(); n > 0 {
				f.malformed(at, "a name cannot be in quotes: it is read as if there were none")
				f.named(into, strings.Trim(f.take(n), `"`), at, depth)
				break
			}
			f.malformed(at, "a name is missing before %q", f.take(1))
		default:
			f.statement(into, depth)
		}
		if f.left < 0 {
			return
		}
	}
	if depth > 0 {
		f.malformed(f.at(), "the section %q, which begins in line %d, has no end", source.Quote(into.name), into.at.Line)
	}
}

// malformed is for what the daemon refuses, with the whole file, told once of a
// line. The text of the file is not shown: it could be a part of a secret.
func (f *file) malformed(at posture.Pos, format string, args ...any) {
	if f.wrong == at.Line {
		return
	}
	f.wrong = at.Line
	f.in.Note(posture.Malformed, at, format, args...)
}

// statement reads what begins with a name.
func (f *file) statement(into *section, depth int) {
	at := f.at()
	name := f.take(f.run(space+"#{}:,=\"", false))
	if name == "include" && f.more() && strings.IndexByte(blank, f.rest[0]) >= 0 && !f.assigned() {
		f.include(into, at)
		return
	}
	f.named(into, name, at, depth)
}

// inQuotes is how long a string is that ends in the line; 0: there is none.
func (f *file) inQuotes() int {
	if f.rest[0] != '"' {
		return 0
	}
	n := bytes.IndexAny(f.rest[1:], "\"\n")
	if n <= 0 || f.rest[n+1] == '\n' {
		return 0
	}
	return n + 2
}

// named reads what follows a name.
func (f *file) named(into *section, name string, at posture.Pos, depth int) {
	if f.left--; f.left < 0 {
		f.in.Note(posture.Limit, at, "more than %d settings: the rest was not read", mostSettings)
		return
	}
	f.take(f.run(blank, true))
	switch {
	case f.more() && f.rest[0] == '=':
		f.take(1)
		into.set(name, f.value(at))
	case f.begins():
		f.section(into, name, at, depth)
	default:
		f.malformed(at, "neither a setting nor a section: = or { is missing")
	}
}

// assigned tells whether "include" is a key.
func (f *file) assigned() bool {
	n := f.run(blank, true)
	return n < len(f.rest) && f.rest[n] == '='
}

// begins tells whether a section begins: { may be on a later line.
func (f *file) begins() bool {
	n := f.run(space, true)
	return n < len(f.rest) && (f.rest[n] == '{' || f.rest[n] == ':')
}

// section reads ": base, base { ... }".
func (f *file) section(into *section, name string, at posture.Pos, depth int) {
	sub := into.sub(name, at)
	f.take(f.run(space, true))
	if f.rest[0] == ':' {
		f.take(1)
		f.bases(sub)
	}
	if !f.more() || f.rest[0] != '{' {
		f.malformed(at, "the section %q has no {", source.Quote(name))
		return
	}
	f.take(1)
	if depth == mostNested {
		f.in.Note(posture.Limit, at, "more than %d sections inside each other: the rest of the file was not read", mostNested)
		f.rest = nil
		return
	}
	f.statements(sub, depth+1)
}

// bases reads the names that a section inherits from.
func (f *file) bases(sub *section) {
	for f.more() {
		f.take(f.run(space+",", true))
		at := f.at()
		n := f.run(space+"#{}:,=\"", false)
		if n == 0 {
			return
		}
		if f.left--; f.left < 0 {
			return
		}
		sub.bases = append(sub.bases, base{f.take(n), at})
	}
}

// value reads the rest of a line: words and strings, with one space between
// them.
func (f *file) value(at posture.Pos) setting {
	v := setting{at: at}
	var parts []string
	for f.more() {
		gap := f.take(f.run(blank, true))
		if !f.more() || strings.IndexByte("\n#}", f.rest[0]) >= 0 {
			v.cut = f.more() && f.rest[0] == '#' && gap == "" && len(parts) > 0 && !v.quoted
			break
		}
		v.spaced = v.spaced || len(parts) > 0
		v.quoted = len(parts) == 0 && f.rest[0] == '"'
		if f.rest[0] == '"' {
			parts = append(parts, f.quoted(at))
		} else {
			parts = append(parts, f.take(f.run(space+"#}\"", false)))
		}
	}
	v.value = strings.Join(parts, " ")
	return v
}

// quoted reads a string. A backslash before the end of a line joins two lines.
func (f *file) quoted(at posture.Pos) string {
	f.take(1)
	var b strings.Builder
	for f.more() {
		b.WriteString(f.take(f.run("\\\r\"", false)))
		if !f.more() {
			break
		}
		switch f.take(1) {
		case `"`:
			return b.String()
		case `\`:
			b.WriteString(f.escaped())
		}
	}
	f.malformed(at, "a string has no end")
	return b.String()
}

func (f *file) escaped() string {
	if bytes.HasPrefix(f.rest, []byte("\r\n")) {
		f.take(2)
		return ""
	}
	if !f.more() {
		return ""
	}
	switch c := f.take(1); c {
	case "n":
		return "\n"
	case "r":
		return "\r"
	case "t":
		return "\t"
	case "\n":
		return ""
	default:
		return c
	}
}

// include reads the files of a pattern into the section that it stands in.
func (f *file) include(into *section, at posture.Pos) {
	f.take(f.run(blank, true))
	pattern := f.pattern()
	if pattern == "" {
		f.malformed(at, "include names no file")
		return
	}
	if f.outside(pattern) {
		f.lost = true
	}
	for _, p := range f.in.Include(f.chain, at, pattern) {
		f.load(into, f.chain[:len(f.chain):len(f.chain)], p)
	}
}

// outside tells whether a pattern leaves the target, so that files which were
// given may well be meant by it.
func (f *file) outside(pattern string) bool {
	_, ok := f.in.Glob(path.Dir(f.text.Path), pattern)
	return !ok
}

// pattern reads a path: in quotes, or with a backslash before what is special.
func (f *file) pattern() string {
	if f.more() && f.rest[0] == '"' {
		return f.quoted(f.at())
	}
	var b strings.Builder
	for f.more() {
		b.WriteString(f.take(f.run(space+"#}\"\\", false)))
		if !f.more() || f.rest[0] != '\\' {
			break
		}
		f.take(1)
		if f.more() && strings.IndexByte("\"#} ", f.rest[0]) >= 0 {
			b.WriteString(f.take(1))
		} else {
			b.WriteByte('\\')
		}
	}
	return b.String()
}

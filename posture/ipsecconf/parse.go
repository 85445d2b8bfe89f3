package ipsecconf

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/posture"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
)

// config is the sections of ipsec.conf and what it includes.
type config struct {
	order  []*section
	byName map[string]*section // by kind and name
	policy bool                // the system's crypto policy is included, and could not be read
}

// section is "config setup", "conn NAME" or "ca NAME". One that is written twice
// is one, as both products have it.
type section struct {
	kind, name string
	at         posture.Pos
	settings   map[string]setting // by the word's first spelling
	also       []setting
	dead       bool // in a file that nothing includes
}

// setting is one "key=value".
type setting struct {
	key   string // as written
	value string
	text  string // both
	at    posture.Pos
}

// parser walks through the files.
type parser struct {
	*reader
	conf     *config
	cur      *section
	seen     map[string]bool // files
	settings int
	dead     bool
	full     bool
}

// parse reads all files of settings: the main one and what it includes, then
// those that nothing includes.
func (r *reader) parse() *config {
	p := &parser{reader: r, conf: &config{byName: map[string]*section{}}, seen: map[string]bool{}}
	var mains, rest []string
	for _, f := range r.in.Files {
		switch {
		case isSecrets(f), isPasswd(f):
		case path.Base(f) == "ipsec.conf":
			mains = append(mains, f)
		default:
			rest = append(rest, f)
		}
	}
	for _, f := range mains {
		p.file(nil, f)
	}
	for _, f := range rest {
		if p.seen[f] {
			continue
		}
		if p.dead = len(mains) > 0; p.dead {
			r.in.Note(posture.Unparsed, posture.Pos{File: r.in.Show(f)}, "nothing includes this file: what it says is not in force")
		}
		p.file(nil, f)
	}
	return p.conf
}

func (p *parser) file(chain []string, name string) {
	t := p.in.Read(name, false)
	if t == nil {
		return
	}
	p.seen[name] = true
	if len(chain) == 0 && p.foreign(t) {
		p.in.Note(posture.Malformed, posture.Pos{File: t.Show}, "no section of ipsec.conf in the file: it may be of OpenBSD or of setkey, and was not read")
		return
	}
	if t.BOM && !p.libreswan() {
		p.in.Note(posture.Malformed, t.At(1, 1), "the file begins with a byte order mark, which the starter of strongSwan takes for a word: a syntax error, and it loads nothing; it is judged as if the mark were not there")
	}
	chain = append(slices.Clone(chain), name)
	p.cur = nil
	for n, line := range p.in.Lines(t) {
		if p.full {
			return
		}
		p.line(chain, t, n, line)
	}
}

// foreign tells whether a file has lines, and among them neither sections nor
// includes: ipsec.conf is the name of other programs' files, too.
func (p *parser) foreign(t *source.Text) bool {
	some := false
	for line := range strings.Lines(string(t.Data)) {
		words := strings.Fields(uncomment(line))
		if len(words) == 0 {
			continue
		}
		some = true
		if slices.Contains([]string{"config", "conn", "ca", "include"}, words[0]) {
			return false
		}
	}
	return some
}

// line is one line. Sections begin in the first column; what is indented belongs
// to the section above.
func (p *parser) line(chain []string, t *source.Text, n int, line string) {
	content := strings.TrimSpace(uncomment(line))
	if content == "" {
		return
	}
	indent := len(line) - len(strings.TrimLeft(line, " \t"))
	at := t.At(n, indent+1)
	word, rest, _ := strings.Cut(strings.ReplaceAll(content, "\t", " "), " ")
	rest = strings.TrimSpace(rest)
	setting := strings.Contains(word, "=") || strings.HasPrefix(rest, "=")
	switch {
	case word == "include" && !setting:
		p.include(chain, at, rest)
	case setting:
		p.setting(at, indent > 0, content)
	case word == "version":
		// FreeS/WAN's; both products ignore it.
	case slices.Contains([]string{"config", "conn", "ca"}, word):
		if indent > 0 { // as in a guide, or in a file of another format
			p.in.Note(posture.Malformed, at, "%s must begin in the first column: the product refuses the file", notation.Key(word, rest))
		}
		p.begin(word, rest, at)
	default:
		p.in.Note(posture.Unparsed, at, "%s is no section and no setting", notation.Key(word, rest))
	}
}

// uncomment cuts a comment: "#" in the beginning or after white space, outside
// quotes. Elsewhere it belongs to the value ("leftid=@#0a0b").
func uncomment(line string) string {
	quoted := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '#' && !quoted && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return line[:i]
		}
	}
	return line
}

func (p *parser) begin(kind, name string, at posture.Pos) {
	p.cur = nil
	name, ok := p.sectionName(kind, name, at)
	switch {
	case !ok, kind == "config" && name != "setup":
		p.in.Note(posture.Malformed, at, "%q has no name that a section can have", kind)
		return
	case len(p.conf.order) == mostSections:
		p.in.Note(posture.Limit, at, "more than %d sections: the rest was not read", mostSections)
		p.full = true
		return
	}
	p.cur = p.conf.section(kind, name, at, p.dead)
}

// sectionName is a word, or with strongSwan any string in quotes (starter's
// lexer.l). That of a template may have spaces until it is filled in.
func (p *parser) sectionName(kind, text string, at posture.Pos) (string, bool) {
	if strings.HasPrefix(text, `"`) {
		name, ended := unquote(text)
		return name, ended && name != "" && (!p.libreswan() || !strings.Contains(name, " "))
	}
	if notation.Placeholder(text) {
		return text, true
	}
	name, more, ok := strings.Cut(text, " ") // people write "// comment" there
	if ok {
		p.in.Note(posture.Malformed, at, "%d words follow the name in this line of %q: the product refuses the file", len(strings.Fields(more)), kind)
	}
	name = strings.Trim(name, `"`)
	return name, name != ""
}

func (c *config) section(kind, name string, at posture.Pos, dead bool) *section {
	s := c.byName[kind+" "+name]
	if s == nil {
		s = &section{kind: kind, name: name, at: at, settings: map[string]setting{}, dead: dead}
		c.byName[kind+" "+name] = s
		c.order = append(c.order, s)
	}
	return s
}

func (p *parser) setting(at posture.Pos, indented bool, content string) {
	key, value, _ := strings.Cut(content, "=")
	s := setting{key: strings.TrimSpace(key), at: at}
	ok := true
	if value = strings.TrimSpace(value); notation.Placeholder(value) && value[0] != '"' {
		s.value = value // quotes in it are those of the template
	} else if s.value, ok = unquote(value); !ok {
		p.in.Note(posture.Malformed, at, "the quote in the value of %s has no end", notation.Key(s.key, value))
	}
	s.text = s.key + "=" + s.value
	switch {
	case len(s.value) > mostValue:
		p.in.Note(posture.Limit, at, "the value of %s has %d octets, more than %d: left out", notation.Key(s.key, s.value), len(s.value), mostValue)
		return
	case p.settings == mostSettings:
		p.in.Note(posture.Limit, at, "more than %d settings: the rest was not read", mostSettings)
		p.full = true
		return
	case p.cur == nil:
		p.in.Note(posture.Malformed, at, "%s is in no section", notation.Key(s.key, s.value))
		return
	case !indented:
		p.in.Note(posture.Malformed, at, "%s must be indented: the product refuses the file", notation.Key(s.key, s.value))
	}
	p.settings++
	p.enter(s)
}

// enter keeps a setting under its first spelling; the newest line wins.
func (p *parser) enter(s setting) {
	key := canonical(s.key)
	if key == "also" {
		if len(p.cur.also) < mostAlso {
			p.cur.also = append(p.cur.also, s)
		}
		return
	}
	switch p.standing(p.cur.kind, key) {
	case unknownWord:
		p.in.Note(posture.Unparsed, s.at, "%s is not known in %q", notation.Key(s.key, s.value), p.cur.kind)
	case othersWord:
		p.in.Note(posture.Unparsed, s.at, "%q is not a word of %s", source.Quote(s.key), p.product)
	case ourWord:
		p.cur.settings[key] = s
	}
}

// unquote takes off quotes, or the braces that Libreswan has for lists. Words
// outside quotes are joined by single spaces.
func unquote(value string) (string, bool) {
	if rest, ok := strings.CutPrefix(value, `"`); ok {
		in, _, ended := strings.Cut(rest, `"`)
		return in, ended
	}
	if len(value) > 1 && value[0] == '{' && value[len(value)-1] == '}' && !notation.Placeholder(value) {
		value = value[1 : len(value)-1]
	}
	return strings.Join(strings.Fields(value), " "), !strings.Contains(value, `"`)
}

// cryptoPolicy is the file by which Red Hat's systems set what all connections
// propose.
const cryptoPolicy = "crypto-policies/back-ends/libreswan.config"

func (p *parser) include(chain []string, at posture.Pos, pattern string) {
	pattern, _ = unquote(pattern)
	if pattern == "" {
		p.in.Note(posture.Malformed, at, "the include names no file")
		return
	}
	files := p.included(chain, at, pattern)
	if len(files) == 0 && strings.HasSuffix(pattern, cryptoPolicy) {
		p.conf.policy = true
	}
	for _, f := range files {
		p.file(chain, f)
	}
}

// included lists the files of an include. Where the target is a copy of etc
// without the rest of the host, "/etc/" is the directory of the main file.
func (r *reader) included(chain []string, at posture.Pos, pattern string) []string {
	if rest, ok := strings.CutPrefix(pattern, "/etc/"); ok && !r.in.IsHost() {
		if rel, err := filepath.Rel(path.Dir(chain[len(chain)-1]), path.Join(path.Dir(chain[0]), rest)); err == nil {
			if found, ok := r.in.Glob(path.Dir(chain[len(chain)-1]), rel); ok && len(found) > 0 {
				pattern = rel
			}
		}
	}
	return r.in.Include(chain, at, pattern)
}

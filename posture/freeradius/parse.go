package freeradius

import (
	"path"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// section is "name name2 { ... }" with what is inside; the file as a whole is
// one without a name.
type section struct {
	name, second string
	at           posture.Pos
	pairs        []pair
	subs         []*section
	parent       *section
}

// pair is "key op value", or a word alone.
type pair struct {
	key, op, value string
	text           string // as written
	at             posture.Pos
	file           *source.Text
}

// get is the last pair of a key.
func (s *section) get(key string) (pair, bool) {
	for _, p := range slices.Backward(s.pairs) {
		if p.key == key {
			return p, true
		}
	}
	return pair{}, false
}

// sub is the first section of a name inside.
func (s *section) sub(name string) *section {
	for _, c := range s.subs {
		if c.name == name {
			return c
		}
	}
	return nil
}

// mostDepth is how deep sections may be inside each other; a virtual server of
// the distribution has six.
const mostDepth = 32

// unlang is where the server's language stands (unlang(5)). It has a grammar of
// its own and no setting: such sections are passed over as a whole.
var unlang = []string{
	"authorize", "authenticate", "preacct", "accounting", "session", "post-auth", "pre-proxy", "post-proxy", "recv-coa", "send-coa", "policy", "if", "elsif",
	"else", "switch", "case", "foreach", "update", "group", "redundant", "load-balance", "redundant-load-balance", "parallel", "map", "actions", "instantiate",
	"add-bulk", "dhcp",
}

// unread is the name that such a section has in the tree.
const unread = "(unlang)"

// parser reads files into one tree, as the server does with $INCLUDE.
type parser struct {
	in     *source.Input
	root   *section
	vars   map[string]string // what the outermost pairs say, for ${name}
	seen   map[string]bool   // files that were read
	stack  []*section
	count  int  // sections and settings
	told   bool // that there are too many
	parked int  // depth of braces inside a section that is passed over; 0: none is
}

func newParser(in *source.Input) *parser {
	root := &section{}
	return &parser{in: in, root: root, vars: map[string]string{}, seen: map[string]bool{}, stack: []*section{root}}
}

func (p *parser) top() *section { return p.stack[len(p.stack)-1] }

// file reads a file into the section that is open.
func (p *parser) file(name string, chain []string) {
	p.seen[name] = true
	t := p.in.Read(name, holdsSecrets(name))
	if t == nil {
		return
	}
	chain = append(slices.Clip(chain), name)
	depth, joined, first := len(p.stack), "", 0
	for n, line := range p.in.Lines(t) {
		if p.count >= mostSettings {
			break
		}
		if joined == "" {
			first = n
		}
		if strings.HasSuffix(line, "\\") && len(joined) <= longestLine {
			joined += strings.TrimSuffix(line, "\\") + " "
			continue
		}
		p.line(t, chain, joined+line, first)
		joined = ""
	}
	if joined != "" {
		p.line(t, chain, joined, first)
	}
	if (len(p.stack) != depth || p.parked > 0) && p.count < mostSettings {
		p.in.Note(posture.Malformed, t.At(1, 1), "the braces of the file do not match")
	}
	p.parked = 0
	p.stack = p.stack[:min(depth, len(p.stack))]
}

// line reads what stands in a line: mostly one thing, but sections may be open
// and closed in it.
func (p *parser) line(t *source.Text, chain []string, line string, n int) {
	if len(line) > longestLine {
		p.in.Note(posture.Limit, t.At(n, 1), "the line has %d octets, more than the %d that the server takes: left out", len(line), longestLine)
		return
	}
	rest := line
	for range mostStatements {
		rest = strings.TrimLeft(rest, " \t\r,;")
		if rest == "" || rest[0] == '#' {
			return
		}
		at := t.At(n, len(line)-len(rest)+1)
		switch {
		case p.parked > 0:
			p.parked += braces(rest)
			return
		case rest[0] == '}':
			p.close(at)
			rest = rest[1:]
		case strings.HasPrefix(rest, "$INCLUDE"), strings.HasPrefix(rest, "$-INCLUDE"):
			p.include(chain, at, rest)
			return
		default:
			rest = p.statement(t, at, rest)
		}
	}
	p.in.Note(posture.Limit, t.At(n, 1), "more than %d settings in one line: the rest is left out", mostStatements)
}

// Bounds of a line: that of the server (cf_file.c), and what is in one of a
// configuration that a person has written.
const (
	longestLine    = 8192
	mostStatements = 64
)

func (p *parser) close(at posture.Pos) {
	if len(p.stack) == 1 {
		p.in.Note(posture.Malformed, at, "a brace closes what is not open")
		return
	}
	p.stack = p.stack[:len(p.stack)-1]
}

// include reads the file, or all files of the directory, that $INCLUDE names.
// $-INCLUDE may name what is not there.
func (p *parser) include(chain []string, at posture.Pos, rest string) {
	directive, name, _ := strings.Cut(rest, " ")
	if tab := strings.IndexByte(rest, '\t'); tab >= 0 && tab < len(directive) {
		directive, name = rest[:tab], rest[tab+1:]
	}
	name, _ = value(strings.TrimSpace(name))
	for _, dir := range []string{"${confdir}/", "${raddbdir}/"} {
		if rest, ok := strings.CutPrefix(name, dir); ok {
			name = up(chain) + rest
		}
	}
	name = p.expand(name)
	if name == "" {
		p.in.Note(posture.Malformed, at, "$INCLUDE without a file")
		return
	}
	if strings.HasSuffix(name, "/") {
		name += "*"
	}
	base := ""
	if strings.HasPrefix(directive, "$-") && !strings.ContainsAny(name, "*?[") {
		base = path.Base(name)
		name = asPattern(name) // which makes no note where nothing is there
	}
	if p.count += includeCosts; p.full(at) {
		return
	}
	depth := len(p.stack)
	for _, f := range p.in.Include(chain, at, name) {
		if included(f) && (base == "" || path.Base(f) == base) {
			p.file(f, chain)
			p.stack = p.stack[:min(depth, len(p.stack))]
		}
	}
}

// asPattern is a pattern that matches a name, and as far as that can be written
// nothing else.
func asPattern(name string) string {
	last := name[len(name)-1]
	if last >= 0x80 || strings.IndexByte(`/\^-`, last) >= 0 {
		return name + "*"
	}
	return name[:len(name)-1] + "[" + string(last) + "]"
}

// up leads from the directory of the last file of a chain to that of the first,
// which is the server's.
func up(chain []string) string {
	root, dir := path.Dir(chain[0]), path.Dir(chain[len(chain)-1])
	if root == dir {
		return ""
	}
	return strings.Repeat("../", 1+strings.Count(strings.TrimPrefix(dir, root+"/"), "/"))
}

// included tells whether the server takes in a file of a directory: names with
// other letters than these are left out (cf_file.c), such as copies of editors.
func included(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return base != "" && base[0] != '.' && strings.Trim(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

var operators = []string{":=", "+=", "-=", "==", "!=", ">=", "<=", "=~", "!~", "!*", "=*", "^=", "=", "<", ">"}

// statement reads one pair or the head of a section, and returns what is left of
// the line.
func (p *parser) statement(t *source.Text, at posture.Pos, rest string) string {
	key, after := word(rest)
	after = strings.TrimLeft(after, " \t")
	for _, op := range operators {
		if tail, ok := strings.CutPrefix(after, op); ok {
			raw := strings.TrimLeft(tail, " \t")
			v, left := value(raw)
			p.pair(pair{key: key, op: op, value: v, text: strings.TrimSpace(rest[:len(rest)-len(left)]), at: at, file: t})
			return left
		}
	}
	if slices.Contains(unlang, key) {
		return p.park(rest)
	}
	if inside, ok := strings.CutPrefix(after, "{"); ok {
		return p.open(key, "", at, inside)
	}
	if after != "" && after[0] != '#' && after[0] != '}' {
		second, tail := value(after)
		if inside, ok := strings.CutPrefix(strings.TrimLeft(tail, " \t"), "{"); ok {
			return p.open(key, second, at, inside)
		}
		if strings.Contains(after, "{") && strings.Contains(strip(after), "{") {
			return p.park(rest) // a head with more words: unlang, or a template
		}
	}
	if key == "" { // a brace or an operator where a name must be
		p.in.Note(posture.Unparsed, at, "cannot be read: %s", source.Quote(rest[:1]))
		return rest[1:]
	}
	p.pair(pair{key: key, text: key, at: at, file: t})
	return after
}

// mostSettings bounds the tree: 100,000 clients fit. An include costs as much as
// many settings, because files are looked for.
const (
	mostSettings = 500_000
	includeCosts = 200
)

// full tells whether the bound is reached, and says so once.
func (p *parser) full(at posture.Pos) bool {
	p.count++
	if p.count >= mostSettings && !p.told {
		p.told = true
		p.in.Note(posture.Limit, at, "more than %d settings: the rest is left out", mostSettings)
	}
	return p.count >= mostSettings
}

func (p *parser) pair(v pair) {
	if p.full(v.at) {
		return
	}
	if v.op != "" {
		v.value = p.expand(v.value)
	}
	s := p.top()
	s.pairs = append(s.pairs, v)
	if len(p.stack) == 1 && v.op != "" {
		p.vars[v.key] = v.value
	}
}

func (p *parser) open(name, second string, at posture.Pos, rest string) string {
	if len(p.stack) > mostDepth {
		p.in.Note(posture.Limit, at, "more than %d sections inside each other: left out", mostDepth)
		p.parked = 1 + braces(rest)
		return ""
	}
	if p.full(at) {
		p.parked = 1 + braces(rest)
		return ""
	}
	s := &section{name: name, second: p.expand(second), at: at, parent: p.top()}
	p.top().subs = append(p.top().subs, s)
	p.stack = append(p.stack, s)
	return rest
}

// park passes over a section of unlang. The rest of its line is part of it.
func (p *parser) park(rest string) string {
	p.parked = max(braces(rest), 0)
	if p.parked > 0 {
		p.top().subs = append(p.top().subs, &section{name: unread, parent: p.top()})
	}
	return ""
}

// braces is how many more are opened than closed in a line, outside of quotes and
// comments. Those of ${} and of regular expressions come in pairs.
func braces(line string) int {
	line = strip(line)
	return strings.Count(line, "{") - strings.Count(line, "}")
}

// strip takes quoted strings and the comment out of a line. A quote that is not
// closed, as in a regular expression, is a letter.
func strip(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '#':
			if i == 0 || line[i-1] == ' ' || line[i-1] == '\t' || line[i-1] == '{' || line[i-1] == '}' {
				return b.String()
			}
			b.WriteByte(c)
		case '\\':
			i++
		case '"', '\'', '`':
			if end := closing(line, i); end > 0 {
				i = end
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// closing is where the quote that opens at i is closed; 0: nowhere.
func closing(line string, i int) int {
	for j := i + 1; j < len(line); j++ {
		switch line[j] {
		case '\\':
			j++
		case line[i]:
			return j
		}
	}
	return 0
}

// word reads a name: up to white space, an operator or a brace.
func word(s string) (w, rest string) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		return value(s)
	}
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "${") || strings.HasPrefix(s[i:], "%{"):
			if end := strings.IndexByte(s[i:], '}'); end > 0 {
				i += end
			}
		case strings.IndexByte(" \t\r{}=!<>,;", s[i]) >= 0,
			strings.IndexByte(":+-^", s[i]) >= 0 && i+1 < len(s) && s[i+1] == '=':
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// value reads a value: in quotes with backslashes, or up to white space or a
// comma, with what stands in braces behind $ or % as a whole.
func value(s string) (v, rest string) {
	if s == "" {
		return "", ""
	}
	if strings.IndexByte("\"'`", s[0]) >= 0 {
		if end := closing(s, 0); end > 0 {
			return unescape(s[1:end], s[0]), s[end+1:]
		}
		return s[1:], ""
	}
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '{' && (depth > 0 || i > 0 && (s[i-1] == '$' || s[i-1] == '%') || strings.HasSuffix(s[:i], "$ENV")):
			depth++
		case c == '}' && depth > 0:
			depth--
		case depth == 0 && strings.IndexByte(" \t\r,;{}", c) >= 0:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

var letters = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t'}

// unescape reads backslashes: in double quotes as in C with octal numbers
// (clients.conf), in single ones before a quote alone.
func unescape(s string, quote byte) string {
	if !strings.Contains(s, "\\") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) || quote == '\'' && s[i+1] != quote && s[i+1] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if e, ok := letters[s[i]]; ok && quote != '\'' {
			b.WriteByte(e)
			continue
		}
		if n, ok := octal(s[i:]); ok && quote != '\'' {
			b.WriteByte(n)
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(s string) (n byte, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n<<3 | c - '0'
	}
	return n, true
}

// longest is how long a value may become by ${}: longer ones stay as written.
const longest = 4096

// expand puts in what ${name} stands for, where it is an outermost pair. Others,
// such as ${..name} and $ENV{}, stay as they are.
func (p *parser) expand(s string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	var b strings.Builder
	for {
		before, tail, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(tail, "}")
		v, known := p.vars[name]
		if !closed || !known || b.Len()+len(v) > longest {
			b.WriteString("${")
			s = tail
			continue
		}
		b.WriteString(v)
		s = after
	}
}

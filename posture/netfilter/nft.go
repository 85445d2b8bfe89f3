package netfilter

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// Bounds of the language's own means to grow.
const (
	mostDefines  = 2_000
	mostExpanded = 100_000   // tokens that variables make of one file
	mostTokens   = 1_000_000 // of one host
)

// nftables reads files into a ruleset.
type nftables struct {
	in      *source.Input
	rules   *ruleset
	defines map[string][]token
	read    map[string]bool
	tokens  int
	full    bool
}

// nftParser is one file that is being read.
type nftParser struct {
	*nftables
	text     *source.Text
	chain    []string // files that led here
	lines    []string
	toks     []token
	i        int
	expanded int
}

func readNFTables(in *source.Input, files []string) *ruleset {
	if len(files) == 0 {
		return nil
	}
	t := &nftables{in: in, rules: newRuleset(posture.NFTables), defines: map[string][]token{}, read: map[string]bool{}}
	isMain := func(p string) bool { return path.Base(p) == "nftables.conf" }
	hasMain := slices.ContainsFunc(files, isMain)
	for _, p := range files {
		if isMain(p) {
			t.file(nil, p)
		}
	}
	for _, p := range files {
		switch {
		case t.read[p]:
		case hasMain:
			// The service loads one file, and what that includes.
			in.Note(posture.Unparsed, posture.Pos{File: in.Show(p)}, "nothing includes this file: not judged")
		default:
			t.file(nil, p)
		}
	}
	return t.rules
}

func (t *nftables) file(chain []string, p string) {
	t.read[p] = true
	text := t.in.Read(p, false)
	if text == nil {
		return
	}
	if t.rules.at.File == "" {
		t.rules.at = text.At(0, 0)
	}
	f := &nftParser{nftables: t, text: text, chain: append(slices.Clone(chain), p), lines: strings.Split(string(text.Data), "\n"), toks: scan(string(text.Data), mostTokens-t.tokens)}
	if t.tokens += len(f.toks); t.tokens > mostTokens {
		t.in.Note(posture.Limit, text.At(0, 0), "more than %d words in all rulesets: not read", mostTokens)
		return
	}
	for f.i < len(f.toks) {
		f.statement("")
	}
}

func (f *nftParser) peek() token {
	if f.i < len(f.toks) {
		return f.toks[f.i]
	}
	return token{s: "\n"}
}

func (f *nftParser) next() token {
	t := f.peek()
	f.i++
	return t
}

func (f *nftParser) accept(s string) bool {
	if t := f.peek(); t.s == s && !t.quoted {
		f.i++
		return true
	}
	return false
}

func (f *nftParser) at(t token) posture.Pos { return f.text.At(t.line, t.col) }

func ends(t token) bool { return !t.quoted && (t.s == "\n" || t.s == ";") }

// rest takes the tokens up to the end of the statement; braces may hold several
// lines. The closing brace of what is around it stays.
func (f *nftParser) rest() []token {
	var out []token
	depth := 0
	for f.i < len(f.toks) {
		t := f.peek()
		if depth == 0 && (ends(t) || t.s == "}" && !t.quoted) {
			break
		}
		f.i++
		switch {
		case t.quoted:
		case t.s == "{":
			depth++
		case t.s == "}":
			depth--
		case t.s == "\n":
			continue
		}
		out = f.expand(out, t, 0)
	}
	return out
}

// expand replaces $NAME by what was defined.
func (f *nftParser) expand(out []token, t token, depth int) []token {
	name, ok := strings.CutPrefix(t.s, "$")
	value, known := f.defines[name]
	if !ok || t.quoted || !known {
		return append(out, t)
	}
	if depth > mostDepth || f.expanded+len(value) > mostExpanded {
		f.in.Note(posture.Limit, f.at(t), "variables make more than %d words of this file", mostExpanded)
		return out
	}
	f.expanded += len(value)
	for _, v := range value {
		out = append(out, token{s: v.s, quoted: v.quoted, line: t.line, col: t.col})
	}
	return out
}

// statement is one command at the top of a file, or what stands in a table.
func (f *nftParser) statement(table string) {
	t := f.next()
	switch {
	case ends(t):
	case t.s == "include":
		f.include(f.next())
		f.rest()
	case t.s == "define" || t.s == "redefine":
		f.define()
	case t.s == "undefine":
		delete(f.defines, f.next().s)
	case table == "" && t.s == "table":
		f.table()
	case table == "" && slices.Contains([]string{"add", "create", "insert", "replace"}, t.s):
		f.command(t)
	case table == "" && t.s == "flush":
		f.flush(t)
	case table == "" && slices.Contains([]string{"delete", "destroy", "list", "reset", "monitor", "rename"}, t.s):
		f.rest()
	case table != "":
		f.object(table, t)
	default:
		f.unknown(t)
		f.rest()
		f.accept("}")
	}
}

func (f *nftParser) unknown(t token) {
	f.in.Note(posture.Unparsed, f.at(t), "not understood: %s", setting.Shown(t.s))
}

func (f *nftParser) include(name token) {
	at := f.at(name)
	pattern := name.s
	// A relative name is looked for in nft's own directory, /etc, unless it begins
	// with a dot (nft(8), "INCLUDE FILES").
	if found, _ := f.in.Glob(path.Dir(f.text.Path), pattern); len(found) == 0 && !strings.HasPrefix(pattern, ".") && !path.IsAbs(pattern) && f.in.IsHost() {
		pattern = "/etc/" + pattern
	}
	for _, p := range f.in.Include(f.chain, at, pattern) {
		f.file(f.chain, p)
	}
}

func (f *nftParser) define() {
	name := f.next().s
	f.accept("=")
	value := f.rest()
	if len(f.defines) < mostDefines {
		f.defines[name] = value
	}
}

var families = []string{"inet", "ip", "ip6", "arp", "bridge", "netdev"}

// tableName is "[family] name"; ip is the default family.
func (f *nftParser) tableName() string {
	family := "ip"
	if t := f.peek(); slices.Contains(families, t.s) {
		family = f.next().s
	}
	return family + " " + f.next().s
}

func (f *nftParser) table() {
	table := f.tableName()
	if !f.accept("{") {
		f.rest()
		return
	}
	for f.i < len(f.toks) && !f.accept("}") {
		f.statement(table)
	}
}

// flush empties the ruleset or a part of it. One that begins with emptying
// everything is the whole of the host's.
func (f *nftParser) flush(t token) {
	words := f.rest()
	if len(words) > 0 && words[0].s == "ruleset" {
		fresh := newRuleset(posture.NFTables)
		fresh.at, fresh.whole, fresh.rules = f.rules.at, true, f.rules.rules
		*f.rules = *fresh
	}
}

// command is a line such as "add rule inet filter input tcp dport 22 accept".
func (f *nftParser) command(verb token) {
	switch what := f.next(); what.s {
	case "table":
		f.table()
	case "chain":
		table := f.tableName()
		f.chainBody(table, f.next())
	case "rule":
		table := f.tableName()
		f.ruleLine(table, f.next(), verb)
	case "set", "map", "element":
		table := f.tableName()
		f.set(table, f.next().s, what.s)
	default:
		f.rest()
	}
}

// ruleLine is a rule after "add rule TABLE CHAIN".
func (f *nftParser) ruleLine(table string, name, verb token) {
	for slices.Contains([]string{"handle", "position", "index"}, f.peek().s) {
		f.i += 2
	}
	c := f.rules.chain(table, name.s, f.at(name))
	f.addRule(c, verb)
	if last := len(c.rules) - 1; verb.s == "insert" && last > 0 {
		r := c.rules[last]
		copy(c.rules[1:], c.rules[:last])
		c.rules[0] = r
	}
}

// object is what stands in a table.
func (f *nftParser) object(table string, t token) {
	switch t.s {
	case "chain":
		f.chainBody(table, f.next())
	case "set", "map":
		f.set(table, f.next().s, t.s)
	case "flags":
		if slices.ContainsFunc(f.rest(), func(t token) bool { return t.s == "dormant" }) {
			f.in.Note(posture.Unparsed, f.at(t), "the table is dormant; its chains are judged as if it was not")
		}
	case "comment", "counter", "quota", "limit", "flowtable", "ct", "secmark", "synproxy", "tunnel":
		f.rest()
		f.accept("}")
	default:
		f.unknown(t)
		f.rest()
	}
}

func (f *nftParser) chainBody(table string, name token) {
	c := f.rules.chain(table, name.s, f.at(name))
	if !f.accept("{") {
		f.rest()
		return
	}
	for f.i < len(f.toks) && !f.accept("}") {
		switch t := f.peek(); {
		case ends(t):
			f.i++
		case t.s == "type" && c.hook == "" && len(c.rules) == 0:
			f.base(c)
		case t.s == "policy" && !t.quoted:
			f.i++
			f.policy(c, f.next(), t)
		case t.s == "comment" || t.s == "flags" || t.s == "devices":
			f.rest()
		case t.s == "include":
			f.i++
			f.include(f.next())
		default:
			f.addRule(c, t)
		}
	}
}

func (f *nftParser) policy(c *chain, word, at token) {
	switch word.s {
	case "drop":
		c.policy = drop
	case "accept":
		c.policy = accept
	default:
		f.unknown(word)
		return
	}
	c.policyAt = f.at(at)
}

// priorities are nft's names for numbers (nft(8), "standard priority names").
var priorities = map[string]int{"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}

// base is "type filter hook input [device X] priority filter + 10".
func (f *nftParser) base(c *chain) {
	c.at = f.at(f.peek())
	words := f.rest()
	for i := 0; i+1 < len(words); i++ {
		switch words[i].s {
		case "type":
			c.kind = words[i+1].s
		case "hook":
			c.hook = words[i+1].s
		case "priority":
			c.priority = priorityOf(words[i+1:])
		}
	}
}

func priorityOf(words []token) int {
	var s strings.Builder
	base := 0
	for _, w := range words {
		if n, ok := priorities[w.s]; ok {
			base = n
			continue
		}
		s.WriteString(w.s)
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(s.String(), "+"))
	return base + n
}

func (f *nftParser) addRule(c *chain, at token) {
	first := f.i
	words := f.rest()
	if f.i == first { // a lone sign that no rule begins with
		f.i++
		return
	}
	r := &rule{at: f.at(at), text: source.Quote(uncommented(f.written(at.line)))}
	p := &nftRule{words: words, rule: r, note: func(t token) { f.unknown(t) }}
	p.all()
	if !f.rules.add(c, r) && !f.full {
		f.full = true
		f.in.Note(posture.Limit, r.at, "more than %d rules: the rest is left out", mostRules)
	}
}

// written is a line of the file, for whoever reads the report.
func (f *nftParser) written(line int) string {
	if line < 1 || line > len(f.lines) {
		return ""
	}
	const enough = 1_000 // a whole ruleset may stand in one line
	text := f.lines[line-1]
	return strings.TrimSpace(text[:min(len(text), enough)])
}

package vyos

import (
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Bounds of a tree.
const (
	mostNodes = 300_000
	mostDepth = 40
)

// node is a word of the configuration. Both forms make the same tree: a value is
// the child of its setting, and a setting with several values has several
// children. All methods may be called on nil, which is a node that is not there.
type node struct {
	name     string
	at       posture.Pos
	up       *node // nil: the root
	children []*node
	index    map[string]*node // of children, once they are many
}

// few is how many children are searched one by one.
const few = 8

func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	if n.index != nil {
		return n.index[name]
	}
	if i := slices.IndexFunc(n.children, func(c *node) bool { return c.name == name }); i >= 0 {
		return n.children[i]
	}
	return nil
}

func (n *node) add(name string, at posture.Pos) *node {
	c := &node{name: name, at: at, up: n}
	n.children = append(n.children, c)
	switch {
	case n.index != nil:
		n.index[name] = c
	case len(n.children) > few:
		n.index = map[string]*node{}
		for _, c := range n.children {
			n.index[c.name] = c
		}
	}
	return c
}

// get is the node at a path.
func (n *node) get(path ...string) *node {
	for _, name := range path {
		n = n.child(name)
	}
	return n
}

// first is the first of several nodes that is there: settings whose names
// changed between releases.
func (n *node) first(names ...string) *node {
	for _, name := range names {
		if c := n.child(name); c != nil {
			return c
		}
	}
	return nil
}

func (n *node) has(path ...string) bool { return n.get(path...) != nil }

// nodes are the children: values, or the tags of a setting that has many.
func (n *node) nodes(path ...string) []*node {
	if n = n.get(path...); n == nil {
		return nil
	}
	return n.children
}

// leaf is the value of a setting, as a node: the last, which wins.
func (n *node) leaf(path ...string) *node {
	all := n.nodes(path...)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// value is the value of a setting; empty where it is not there.
func (n *node) value(path ...string) string {
	if n = n.leaf(path...); n == nil {
		return ""
	}
	return n.name
}

// values are all values of a setting.
func (n *node) values(path ...string) []string {
	var all []string
	for _, c := range n.nodes(path...) {
		all = append(all, c.name)
	}
	return all
}

// path is how a command writes the setting of a value.
func (n *node) path() string {
	var words []string
	for n = n.up; n != nil && n.up != nil; n = n.up {
		words = append(words, n.name)
	}
	slices.Reverse(words)
	return strings.Join(words, " ")
}

// where is the position of the node at a path, or of the nearest above it that
// is there.
func (n *node) where(path ...string) posture.Pos {
	at := posture.Pos{}
	if n != nil {
		at = n.at
	}
	for _, name := range path {
		if n = n.child(name); n == nil {
			break
		}
		at = n.at
	}
	return at
}

// parse makes the tree of a file: of braces, or of "set" commands.
func parse(in *source.Input, t *source.Text) *parser {
	p := &parser{in: in, t: t, root: &node{at: t.At(1, 1)}}
	if isCommands(t.Data) {
		p.commands()
	} else {
		p.scan()
	}
	return p
}

type parser struct {
	in      *source.Input
	t       *source.Text
	root    *node
	count   int
	removed int
	release *node // the text of "Release version"
	edge    bool  // that is of EdgeOS

	// Of the form with braces.
	open []*node // from the root inwards
	skip int     // braces beyond the bound of depth
	line []token // words of the statement so far
}

// token is one word and its place.
type token struct {
	text string
	at   posture.Pos
}

// enter adds a path below a node.
func (p *parser) enter(n *node, words []token) *node {
	for _, w := range words {
		c := n.child(w.text)
		if c == nil {
			if p.count++; p.count > mostNodes {
				if p.count == mostNodes+1 {
					p.in.Note(posture.Limit, w.at, "more than %d words: the rest was not read", mostNodes)
				}
				return n
			}
			c = n.add(w.text, w.at)
		}
		n = c
	}
	return n
}

// session are the words of a terminal that set nothing: files of commands to be
// pasted, and copies of what was typed, have them.
var session = words("configure commit save exit end top comment source [edit]")

// removals take away what stands at a path: "deactivate" leaves it written, and not
// in force.
var removals = words("delete deactivate")

// isCommands tells whether the first line that is no comment is a command.
func isCommands(b []byte) bool {
	for line := range strings.Lines(string(b[:min(len(b), 8<<10)])) {
		line = strings.TrimSpace(unprompted(line))
		first, _, _ := strings.Cut(line, " ")
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "/") || session[first] || removals[first] {
			continue
		}
		return first == "set"
	}
	return false
}

// unprompted puts spaces in the place of "user@host# ", where a line was copied
// with it.
func unprompted(line string) string {
	first, _, ok := strings.Cut(line, " ")
	if !ok || len(first) < 4 || !strings.Contains(first, "@") || strings.IndexByte("#$", first[len(first)-1]) < 0 {
		return line
	}
	return strings.Repeat(" ", len(first)) + line[len(first):]
}

// commands reads "show configuration commands". The shell of VyOS joins lines
// that end in a backslash.
func (p *parser) commands() {
	var before []token
	for n, line := range p.in.Lines(p.t) {
		words, ok := split(unprompted(line), n, p.t)
		words = append(before, words...)
		before = nil
		at := p.t.At(n, 1)
		if last := len(words) - 1; ok && last > 0 && last < mostDepth && words[last].text == `\` && strings.HasSuffix(strings.TrimRight(line, blanks), ` \`) {
			before = words[:last]
			continue
		}
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "/"):
			p.comment(line, at)
		case len(words) == 0 || strings.HasPrefix(words[0].text, "#"):
		case !ok:
			p.in.Note(posture.Malformed, at, "a quote is not closed")
		case len(words) > mostDepth:
			p.in.Note(posture.Limit, at, "more than %d words in a command: not read", mostDepth)
		case words[0].text == "set":
			p.enter(p.root, words[1:])
		case removals[words[0].text]:
			p.remove(words[1:], at)
		case session[words[0].text]:
		default:
			// Its words may be the rest of a secret that a terminal has wrapped.
			p.in.Note(posture.Unparsed, at, "is no command that sets something")
		}
	}
}

// mostRemovals bounds the time that a file of nothing else takes.
const mostRemovals = 2_000

// remove takes away what earlier lines have set. Of the rest of a router's
// configuration, which a file of commands need not have, nobody knows.
func (p *parser) remove(words []token, at posture.Pos) {
	n := p.root
	for _, w := range words {
		n = n.child(w.text)
	}
	if p.removed++; p.removed > mostRemovals {
		if p.removed == mostRemovals+1 {
			p.in.Note(posture.Limit, at, "more than %d lines that take away: the rest was not applied", mostRemovals)
		}
		return
	}
	if n == nil || n == p.root {
		p.in.Note(posture.Unparsed, at, "takes away what the lines before do not set: not applied")
		return
	}
	up := n.drop()
	if len(n.children) == 0 && len(up.children) == 0 && up != p.root {
		up.drop() // a setting without its last value
	}
}

// drop takes a node out of the tree and returns the one above.
func (n *node) drop() *node {
	up := n.up
	up.children = slices.DeleteFunc(up.children, func(c *node) bool { return c == n })
	delete(up.index, n.name)
	return up
}

// blanks end a word. Old files have returns within a line.
const blanks = " \t\r\n"

// split takes a line apart into words; quotes of both kinds keep one together.
func split(line string, n int, t *source.Text) (words []token, ok bool) {
	for i := 0; i < len(line); {
		if strings.IndexByte(blanks, line[i]) >= 0 {
			i++
			continue
		}
		start := i
		text, next, closed := word(line, i)
		if !closed {
			return words, false
		}
		if len(words) <= mostDepth { // one more tells that there were more
			words = append(words, token{text: text, at: t.At(n, start+1)})
		}
		i = next
	}
	return words, true
}

// word reads one word from a position on. A backslash in double quotes keeps the
// next quote or backslash.
func word(s string, i int) (text string, next int, closed bool) {
	var b strings.Builder
	quote := byte(0)
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote && quote != 0:
			quote = 0
		case quote == '"' && c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case quote == 0 && strings.IndexByte(blanks, c) >= 0:
			return b.String(), i, true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), i, quote == 0
}

// comment keeps what the last lines say of the release.
func (p *parser) comment(text string, at posture.Pos) {
	_, rest, ok := strings.Cut(text, "Release version:")
	if !ok {
		return
	}
	rest = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "*/"))
	if len(rest) > 1 && rest[0] == 'v' && rest[1] >= '0' && rest[1] <= '9' {
		p.edge = true
		p.in.Note(posture.Unparsed, at, "a release of EdgeOS, which is read as the Vyatta that VyOS also comes from: its defaults may be others")
		return
	}
	p.release = &node{name: strings.TrimSpace(strings.TrimPrefix(rest, "VyOS")), at: at}
}

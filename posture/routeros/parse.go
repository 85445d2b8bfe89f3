package routeros

import (
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// command is one line of an export: a menu, a verb, and what it is given.
type command struct {
	menu  string // "ip ipsec profile"
	verb  string // "add", "set", ...
	which string // what a set without a name applies to: "[ find default=yes ]", "0", "*1", a name
	props []prop
	at    posture.Pos
}

// prop is one key=value.
type prop struct {
	key, value string
	at         posture.Pos
	variable   bool // a script's variable stands there: exports write \$ for the sign
}

// verbs end the name of a menu.
var verbs = []string{"add", "set", "remove", "enable", "disable", "unset", "reset", "move", "print", "export", "comment", "edit"}

// line is one logical line, which a backslash may have continued, or one of the
// commands in it.
type line struct {
	text  string
	base  int // where the text begins in the logical line
	parts []piece
}

// piece is a part of a logical line that stood in one line of the file.
type piece struct{ start, line, col int }

// pos is the place in the file of an octet of the line.
func (l *line) pos(t *source.Text, offset int) posture.Pos {
	offset += l.base
	i, found := slices.BinarySearchFunc(l.parts, offset, func(p piece, offset int) int { return p.start - offset })
	if !found {
		i--
	}
	p := l.parts[max(i, 0)]
	return t.At(p.line, p.col+offset-p.start)
}

// stray is an indented setting without a command: what pages in which the
// backslashes at the ends of lines were lost have.
var stray = regexp.MustCompile(`^[ \t]+[a-z][a-z0-9-]*=`)

// lines joins what backslashes continue. The spaces that RouterOS indents a
// continued line with are no part of it.
func lines(in *source.Input, t *source.Text, yield func(*line)) {
	var l *line
	var b strings.Builder
	end := func() {
		if l != nil {
			l.text = b.String()
			if !strings.HasPrefix(l.text, "#") && opens(l.text) {
				in.Note(posture.Malformed, l.pos(t, 0), "a quote is not closed: the rest of the line was taken for one value")
			}
			yield(l)
		}
		l = nil
		b.Reset()
	}
	last, whole := 0, false // whole: the line goes on only if a backslash was lost
	for n, text := range in.Lines(t) {
		switch {
		case l == nil:
		case n != last+1:
			end() // a line in between was too long
		case whole && stray.MatchString(text) && b.Len() > 0 && !strings.HasPrefix(b.String(), "#") && b.Len() < source.MostLine:
			in.Note(posture.Unparsed, t.At(n, 1), "there is no backslash at the end of the line before: taken as its continuation")
			b.WriteByte(' ')
		case whole:
			end()
		}
		last = n
		trimmed := strings.TrimLeft(text, " \t")
		if l == nil {
			l = &line{}
		}
		l.parts = append(l.parts, piece{start: b.Len(), line: n, col: len(text) - len(trimmed) + 1})
		body, more := continued(trimmed)
		if strings.HasPrefix(trimmed, "#") && len(l.parts) == 1 {
			body, more = trimmed, false
		}
		b.WriteString(body)
		if more && b.Len() > source.MostLine {
			in.Note(posture.Limit, t.At(n, 1), "the continued line has more than %d octets: cut", source.MostLine)
			more = false
		}
		whole = !more
	}
	end()
}

// opens tells whether a line leaves a quote open.
func opens(s string) bool {
	open := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			open = !open
		}
	}
	return open
}

// continued strips the backslash at the end of a line that goes on. Two are an
// escaped one.
func continued(s string) (string, bool) {
	s = strings.TrimRight(s, " \t")
	n := len(s) - len(strings.TrimRight(s, `\`))
	if n%2 == 0 {
		return s, false
	}
	return s[:len(s)-1], true
}

// word is a token with its place in the line. value is set where there was an
// equals sign, and unquoted.
type word struct {
	text     string
	value    string
	equals   bool
	variable bool // the value is a variable, or worked out
	at       int
}

// words splits a line at spaces, but not in quotes and brackets.
func words(s string) []word {
	var all []word
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		w := word{at: i}
		switch s[i] {
		case '[', '{', '(':
			w.text, i = bracket(s, i)
		default:
			w.text, i = bare(s, i)
			if i < len(s) && s[i] == '=' {
				w.equals = true
				start := detached(s, i+1)
				w.value, i = value(s, start)
				w.variable = strings.HasPrefix(strings.TrimPrefix(s[start:i], `"`), "$") || start < i && (s[start] == '(' || s[start] == '[') // or an expression
			}
		}
		all = append(all, w)
	}
	return all
}

// bracket takes everything to the bracket that closes it.
func bracket(s string, i int) (string, int) {
	start, depth, quoted := i, 0, false
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{' || c == '(':
			depth++
		case c == ']' || c == '}' || c == ')':
			if depth--; depth == 0 {
				return s[start : i+1], i + 1
			}
		}
	}
	return s[start:], len(s)
}

func bare(s string, i int) (string, int) {
	if s[i] == '"' {
		return quoted(s, i)
	}
	start := i
	for i < len(s) && !strings.ContainsRune(" \t=", rune(s[i])) {
		i++
	}
	if i == start {
		i++ // an equals sign without a key
	}
	return s[start:i], i
}

// detached is where the value of an equals sign begins. Where something has
// joined the lines of an export, a space stands before it; an empty value of its
// own is written as "".
func detached(s string, i int) int {
	next := i + len(s[i:]) - len(strings.TrimLeft(s[i:], " \t"))
	if next == len(s) || s[next] == '"' {
		return next
	}
	word, _, _ := strings.Cut(s[next:], " ")
	if strings.ContainsAny(word, "=![") {
		return i
	}
	return next
}

// value is what stands after an equals sign: quoted, or up to the next space.
func value(s string, i int) (string, int) {
	switch {
	case i == len(s):
		return "", i
	case s[i] == '"':
		return quoted(s, i)
	case s[i] == '[' || s[i] == '(' || s[i] == '{':
		return bracket(s, i)
	}
	start := i
	for i < len(s) && s[i] != ' ' && s[i] != '\t' {
		i++
	}
	return s[start:i], i
}

// quoted undoes the escapes of the RouterOS console: \n, \r, \t, \_ for a
// space, \" \\ \$ \?, and two hexadecimal digits in capitals.
func quoted(s string, i int) (string, int) {
	var b strings.Builder
	for i++; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s):
			i += unescape(s[i+1:], &b)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), len(s)
}

// escapes are those of one letter. Others stand for themselves.
var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '_': ' ', 'a': 7, 'b': 8, 'f': 12, 'v': 11}

// unescape writes what follows a backslash and returns how long it was.
func unescape(s string, b *strings.Builder) int {
	if len(s) >= 2 && hexDigit(s[0]) >= 0 && hexDigit(s[1]) >= 0 {
		b.WriteByte(byte(hexDigit(s[0])<<4 | hexDigit(s[1])))
		return 2
	}
	c, ok := escapes[s[0]]
	if !ok {
		c = s[0]
	}
	b.WriteByte(c)
	return 1
}

// hexDigit knows capitals alone: a small letter is an escape of its own.
func hexDigit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }

// commands reads a file's commands in order. Comments go to the header.
func commands(in *source.Input, t *source.Text, header func(string, posture.Pos), yield func(command)) {
	menu := ""
	lines(in, t, func(l *line) {
		for _, l := range statements(l) {
			switch {
			case l.text == "":
			case l.text[0] == '#':
				header(l.text, l.pos(t, 0))
			case l.text[0] == ':' || l.text[0] == '{' || l.text[0] == '}':
				in.Note(posture.Unparsed, l.pos(t, 0), "a script, not a setting: not followed")
			default:
				if c, ok := parse(t, l, &menu); ok {
					yield(c)
				}
			}
		}
	})
}

// statements are the commands of a line: people put semicolons between them, and
// a comment behind. A script is not taken apart.
func statements(l *line) []*line {
	var all []*line
	rest := 0
	for rest < len(l.text) {
		text := strings.TrimLeft(l.text[rest:], " \t")
		rest = len(l.text) - len(text)
		end := len(text)
		if text != "" && !strings.ContainsRune("#:{}", rune(text[0])) {
			end = semicolon(text)
		}
		all = append(all, &line{text: strings.TrimRight(text[:end], " \t"), base: rest, parts: l.parts})
		rest += end + 1
	}
	return all
}

// semicolon is where the first command of a text ends.
func semicolon(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.IndexByte("[({", c) >= 0:
			depth++
		case strings.IndexByte("])}", c) >= 0:
			depth--
		case c == ';' && depth <= 0:
			return i
		}
	}
	return len(s)
}

// parse reads one line. Where it begins with a slash it names a menu, which
// stays in force for the lines that follow if it names nothing else.
func parse(t *source.Text, l *line, menu *string) (command, bool) {
	all := words(l.text)
	c := command{at: l.pos(t, 0), menu: *menu}
	if strings.HasPrefix(l.text, "/") {
		c.menu = ""
	}
	i := 0
	for ; i < len(all) && !all[i].equals && !strings.HasPrefix(all[i].text, "[") && !strings.HasPrefix(all[i].text, "("); i++ {
		if c.path(all[i].text) {
			i++
			break
		}
	}
	if c.verb == "" {
		if strings.HasPrefix(l.text, "/") {
			*menu = c.menu
			return c, i < len(all)
		}
		return c, true
	}
	for ; i < len(all); i++ {
		w := all[i]
		if !w.equals {
			if c.which == "" {
				c.which = w.text
			}
			continue
		}
		c.props = append(c.props, prop{key: w.text, value: w.value, at: l.pos(t, w.at), variable: w.variable})
	}
	return c, true
}

// longestMenu bounds the name of a menu; the longest real ones have 50 octets.
const longestMenu = 120

// path takes one word of a menu's name, which may hold slashes; it tells
// whether the verb was reached.
func (c *command) path(w string) bool {
	for part := range strings.SplitSeq(w, "/") {
		switch {
		case part == "" || c.verb != "":
		case slices.Contains(verbs, part):
			c.verb = part
		case len(c.menu)+len(part) > longestMenu:
		case c.menu == "":
			c.menu = part
		default:
			c.menu += " " + part
		}
	}
	return c.verb != ""
}

package pppd

import (
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Word is one word of an options or secrets file, or of a command line that
// another daemon makes for pppd.
type Word struct {
	Text  string
	At    posture.Pos
	Shown string // as the file has it where the word is made of another; empty: as Text
	First bool   // the first of its line
}

// shown is the word as a report may have it.
func (w Word) shown() string {
	if w.Shown != "" {
		return w.Shown
	}
	return w.Text
}

// words reads a file as pppd does (getword in options.c; pppd(8), section
// OPTIONS FILES): white space parts words, quotes of both kinds and backslashes
// hold them together, # begins a comment wherever no quote is open, and a
// backslash joins lines. It reads so many words at most.
func words(t *source.Text, most int) []Word {
	l := lexer{text: t, data: string(t.Data), line: 1, fresh: true}
	var all []Word
	for len(all) < most {
		w, ok := l.next()
		if !ok {
			break
		}
		all = append(all, w)
	}
	return all
}

type lexer struct {
	text  *source.Text
	data  string
	pos   int
	line  int
	begin int  // where the line begins
	fresh bool // no word of this line was read yet
}

// peek is the next octet; ok is false at the end.
func (l *lexer) peek() (c byte, ok bool) {
	if l.pos >= len(l.data) {
		return 0, false
	}
	return l.data[l.pos], true
}

func (l *lexer) advance() {
	if l.data[l.pos] == '\n' {
		l.line++
		l.begin = l.pos + 1
	}
	l.pos++
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// skip passes white space, comments and joined lines.
func (l *lexer) skip() {
	comment := false
	for {
		c, ok := l.peek()
		switch {
		case !ok:
			return
		case c == '\n':
			comment, l.fresh = false, true
		case comment, isSpace(c):
		case c == '#':
			comment = true
		case strings.HasPrefix(l.data[l.pos:], "\\\n"), strings.HasPrefix(l.data[l.pos:], "\\\r\n"):
			l.joined()
			continue
		default:
			return
		}
		l.advance()
	}
}

// joined passes a backslash and the line end behind it.
func (l *lexer) joined() {
	for {
		c := l.data[l.pos]
		l.advance()
		if c == '\n' {
			return
		}
	}
}

func (l *lexer) next() (Word, bool) {
	l.skip()
	if _, ok := l.peek(); !ok {
		return Word{}, false
	}
	w := Word{At: l.text.At(l.line, l.pos-l.begin+1), First: l.fresh}
	l.fresh = false
	var b strings.Builder
	var quote byte
	for {
		c, ok := l.peek()
		switch {
		case !ok, quote == 0 && (isSpace(c) || c == '#'):
			w.Text = b.String()
			return w, true
		case c == '\\':
			l.escape(&b)
			continue
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		default:
			b.WriteByte(c)
		}
		l.advance()
	}
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 's': ' ', 't': '\t'}

// escape reads what follows a backslash: a letter as in C, an octal or a
// hexadecimal number, a line end that does not count, or the octet itself.
func (l *lexer) escape(b *strings.Builder) {
	if rest := l.data[l.pos:]; strings.HasPrefix(rest, "\\\n") || strings.HasPrefix(rest, "\\\r\n") {
		l.joined()
		return
	}
	l.advance()
	c, ok := l.peek()
	if !ok {
		return
	}
	if isDigit(c, 8) {
		b.WriteByte(l.number(8, 3))
		return
	}
	l.advance()
	switch e, ok := escapes[c]; {
	case ok:
		b.WriteByte(e)
	case c == 'x':
		b.WriteByte(l.number(16, 2))
	default:
		b.WriteByte(c)
	}
}

func isDigit(c byte, base int) bool { return digit(c) < base }

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}

func (l *lexer) number(base, most int) byte {
	v := 0
	for range most {
		c, ok := l.peek()
		if !ok || !isDigit(c, base) {
			break
		}
		v = v*base + digit(c)
		l.advance()
	}
	return byte(v)
}

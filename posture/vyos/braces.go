package vyos

import (
	"strings"

	"sallyport/posture"
)

// scan reads config.boot. A statement ends with its line; a brace stands alone or
// at its end; a quoted value may have line ends in it.
func (p *parser) scan() {
	s := string(p.t.Data)
	p.open = []*node{p.root}
	line, start := 1, 0 // start is where the line begins
	for i := 0; i < len(s); {
		at := p.t.At(line, i-start+1)
		rest := s[i:]
		switch c := s[i]; {
		case c == '\n':
			p.statement()
			line, start = line+1, i+1
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case len(p.line) == 0 && (strings.HasPrefix(rest, "/*") || strings.HasPrefix(rest, "//")):
			end := commentEnd(rest)
			if end < 0 {
				p.in.Note(posture.Malformed, at, "a comment is not closed: the rest was not read")
				return
			}
			p.comment(rest[:end], at)
			i, line, start = advance(s, i, i+end, line, start)
		case (c == '{' || c == '}') && alone(rest):
			p.brace(c, at)
			i++
		default:
			text, next, closed := word(s, i)
			if !closed {
				p.in.Note(posture.Malformed, at, "a quote is not closed: the rest was not read")
				return
			}
			if len(p.line) <= mostDepth { // one more tells that there were more
				p.line = append(p.line, token{text: text, at: at})
			}
			i, line, start = advance(s, i, next, line, start)
		}
	}
	p.statement()
	if len(p.open) > 1 {
		p.in.Note(posture.Malformed, p.open[len(p.open)-1].at, "a brace is not closed")
	}
}

// commentEnd is where a comment that begins a text ends, or -1.
func commentEnd(s string) int {
	if strings.HasPrefix(s, "//") {
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end
		}
		return len(s)
	}
	if end := strings.Index(s[2:], "*/"); end >= 0 {
		return end + 4
	}
	return -1
}

// advance counts the lines between two places.
func advance(s string, from, to, line, start int) (int, int, int) {
	if n := strings.Count(s[from:to], "\n"); n > 0 {
		line += n
		start = from + strings.LastIndexByte(s[from:to], '\n') + 1
	}
	return to, line, start
}

// alone tells whether a brace is a word by itself; values in which one stands are
// not always in quotes.
func alone(rest string) bool {
	return len(rest) == 1 || strings.IndexByte(" \t\r\n}", rest[1]) >= 0
}

// statement ends a setting without a block.
func (p *parser) statement() {
	if len(p.line) > 0 && p.skip == 0 {
		if len(p.line) > mostDepth {
			p.in.Note(posture.Limit, p.line[0].at, "more than %d words in a line: not read", mostDepth)
		} else {
			p.enter(p.open[len(p.open)-1], p.line)
		}
	}
	p.line = p.line[:0]
}

func (p *parser) brace(c byte, at posture.Pos) {
	if c == '}' {
		p.statement()
		switch {
		case p.skip > 0:
			p.skip--
		case len(p.open) > 1:
			p.open = p.open[:len(p.open)-1]
		default:
			p.in.Note(posture.Malformed, at, "a brace closes nothing")
		}
		return
	}
	if p.skip > 0 || len(p.open) >= mostDepth || len(p.line) > mostDepth {
		if p.skip == 0 {
			p.in.Note(posture.Limit, at, "more than %d blocks inside each other: not read", mostDepth)
		}
		p.skip++
		p.line = p.line[:0]
		return
	}
	p.open = append(p.open, p.enter(p.open[len(p.open)-1], p.line))
	p.line = p.line[:0]
}

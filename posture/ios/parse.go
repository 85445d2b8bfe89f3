package ios

import (
	"regexp"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// line is one line of a configuration with those that are indented below it.
type line struct {
	words []string
	text  string // without indent
	full  string // in whole words and without "no", where abbreviations were written
	no    bool   // a leading "no"; words are those after it
	at    posture.Pos
	below []*line
	index map[string][]*line // of the root: lines below by the words they begin with
}

// Bounds of a configuration. Large ones have 20,000 lines.
const (
	mostLines = 50_000
	mostKey   = 6 // words of a line that the index has
)

// mostLevels bounds blocks in blocks; IOS has three.
const mostLevels = 8

// has tells whether the line begins with some words.
func (l *line) has(words ...string) bool {
	if len(l.words) < len(words) {
		return false
	}
	for i, w := range words {
		if l.words[i] != w {
			return false
		}
	}
	return true
}

// word is a word by its number, or nothing.
func (l *line) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

// after is the word that follows another one.
func (l *line) after(word string) string {
	for i, w := range l.words {
		if w == word {
			return l.word(i + 1)
		}
	}
	return ""
}

// named is the word after that of a line below.
func (l *line) named(word string) string {
	if b := l.find(word); b != nil {
		return b.word(1)
	}
	return ""
}

// find is the last line below that begins with some words; the last one holds.
func (l *line) find(words ...string) *line {
	if l.index != nil {
		if all := l.all(words...); len(all) > 0 {
			return all[len(all)-1]
		}
		return nil
	}
	var found *line
	for _, b := range l.below {
		if b.has(words...) {
			found = b
		}
	}
	return found
}

// all are the lines below that begin with some words.
func (l *line) all(words ...string) []*line {
	if l.index != nil && len(words) <= mostKey {
		return l.index[strings.Join(words, " ")]
	}
	var found []*line
	for _, b := range l.below {
		if b.has(words...) {
			found = append(found, b)
		}
	}
	return found
}

// parse reads a file into a tree under one line without words. Banners and the
// hexadecimal of certificates are left out.
func parse(in *source.Input, t *source.Text, comment func(string, posture.Pos)) *line {
	root := &line{at: t.At(1, 1)}
	lines := 0
	levels := []level{{indent: -1, line: root}}
	hand := typed{}
	var skip func(string) rest // what to do with a line after a banner or a certificate begins
	for n, text := range in.Lines(t) {
		text = prompt.ReplaceAllString(paged(text), "")
		body := strings.TrimLeft(text, " \t")
		indent := len(text) - len(body)
		if skip != nil {
			what := skip(text)
			if what != more {
				skip = nil
			}
			if what != beyond {
				continue
			}
		}
		if body = strings.TrimSpace(body); body == "" {
			continue
		}
		at := t.At(n, indent+1)
		if body[0] == '!' {
			comment(body, at)
			continue
		}
		if body == "exit" {
			hand.exit(indent)
			continue
		}
		if lines++; lines > mostLines {
			in.Note(posture.Limit, at, "more than %d lines: the rest is left out", mostLines)
			break
		}
		l := newLine(body, at)
		for len(levels) > 1 && (levels[len(levels)-1].indent >= indent || len(levels) > mostLevels) {
			levels = levels[:len(levels)-1]
		}
		above := levels[len(levels)-1].line
		l.expand(hand.mayBe(above, indent)...)
		if begins(above, l) {
			levels, above = levels[:1], root
		}
		if by := hand.above(l, indent); by != nil {
			above = by
		}
		above.below = append(above.below, l)
		levels = append(levels, level{indent: indent, line: l})
		skip = skipped(l, indent)
	}
	root.gather()
	root.enter()
	return root
}

// gather puts the lines of a keyring's peers below them, where people gave both the
// same indent.
func (l *line) gather() {
	for _, ring := range l.below {
		if ring.no || !ring.has("crypto", "ikev2", "keyring") {
			continue
		}
		var below []*line
		var peer *line
		for _, b := range ring.below {
			switch {
			case b.has("peer"):
				peer = b
			case peer != nil && peers[b.words[0]]:
				peer.below = append(peer.below, b)
				continue
			}
			below = append(below, b)
		}
		ring.below = below
	}
}

// longestKey bounds the words of the index, so that long lines cost no memory.
const longestKey = 200

// enter makes the index.
func (l *line) enter() {
	l.index = map[string][]*line{}
	for _, b := range l.below {
		for n := 1; n <= min(len(b.words), mostKey); n++ {
			key := strings.Join(b.words[:n], " ")
			if len(key) > longestKey {
				break
			}
			l.index[key] = append(l.index[key], b)
		}
	}
}

type level struct {
	indent int
	line   *line
}

func newLine(body string, at posture.Pos) *line {
	l := &line{text: body, at: at, words: strings.Fields(body)}
	if l.words[0] == "no" && len(l.words) > 1 {
		l.no, l.words = true, l.words[1:]
	}
	return l
}

// rest is what a line is to a banner or a certificate that has begun.
type rest uint8

const (
	more   rest = iota // a part of it
	end                // its end
	beyond             // no part any more: a line like others
)

// skipped is what tells the text after a line from what follows: up to a
// banner's delimiter, or to the "quit" after the hexadecimal of a certificate.
func skipped(l *line, indent int) func(string) rest {
	if l.has("certificate") && len(l.words) > 1 {
		return func(s string) rest { return certificate(s, indent) }
	}
	if !l.has("banner") || l.no || len(l.words) < 3 {
		return nil
	}
	text := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(l.text, "banner"), " "+l.words[1]))
	if text == "" {
		return nil
	}
	mark := text[:1]
	if strings.HasPrefix(text, "^C") {
		mark = "^C"
	}
	if strings.Contains(text[len(mark):], mark) {
		return nil
	}
	return func(s string) rest {
		if strings.Contains(s, mark) {
			return end
		}
		return more
	}
}

// certificate is what a line is to a certificate whose line has some indent. Not
// all are followed by hexadecimal: one that lies in a file of its own has its name
// there, and some who publish configurations cut it out.
func certificate(s string, indent int) rest {
	body := strings.TrimLeft(s, " \t")
	switch {
	case strings.TrimSpace(body) == "quit":
		return end
	case len(s)-len(body) > indent || strings.Trim(body, "0123456789ABCDEFabcdef \t\r") == "":
		return more
	}
	return beyond
}

// pager is what a terminal shows between two pages of "show running-config". It
// goes when a key is pressed: by backspaces and spaces over it, which a log keeps.
const pager = "--More--"

// prompt is what stands before what was typed, in a log of a terminal.
var prompt = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*(\([a-z0-9-]+\))?[#>] ?`)

// paged is a line without the pager.
func paged(s string) string {
	_, after, ok := strings.Cut(s, pager)
	if !ok {
		return s
	}
	return after[strings.LastIndexByte(after, '\b')+1:]
}

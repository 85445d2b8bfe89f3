package profile

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// Readers of the syntaxes that have no parser in Go. They follow the languages
// and not our writers: each knows what would end a string.

// psScript is what the tests want to know of a PowerShell script.
type psScript struct {
	strings map[string]string   // $Name = 'text'
	lists   map[string][]string // $Name = @('a', 'b')
	suites  []map[string]string
}

// psToken is a token of PowerShell: a string, a word, or punctuation.
type psToken struct {
	kind string // "string", "word", "punct", "newline"
	text string
}

// tokenizePowerShell splits a script as PowerShell's own tokenizer does, for
// the part of the language that the script uses: comments, strings of both
// kinds, words, brackets. It fails on an open string, comment or bracket.
func tokenizePowerShell(script string) (tokens []psToken, err error) {
	var open []rune
	rs := []rune(script)
	for i := 0; i < len(rs); {
		r := rs[i]
		switch {
		case r == '\n':
			tokens = append(tokens, psToken{"newline", ""})
			i++
		case r == '\r' || r == ' ' || r == '\t':
			i++
		case r == '<' && i+1 < len(rs) && rs[i+1] == '#':
			end := strings.Index(string(rs[i:]), "#>")
			if end < 0 {
				return nil, fmt.Errorf("an open comment")
			}
			i += utf8.RuneCountInString(string(rs[i:])[:end]) + 2
		case r == '#':
			for i < len(rs) && rs[i] != '\n' {
				i++
			}
		case isApostrophe(r):
			var text strings.Builder
			for i++; ; i++ {
				if i >= len(rs) {
					return nil, fmt.Errorf("an open string")
				}
				if isApostrophe(rs[i]) {
					if i+1 < len(rs) && isApostrophe(rs[i+1]) {
						i++
					} else {
						break
					}
				}
				text.WriteRune(rs[i])
			}
			i++
			tokens = append(tokens, psToken{"string", text.String()})
		case r == '"' || r == '“' || r == '”' || r == '„' || r == '`':
			return nil, fmt.Errorf("an expandable string or an escape: the script uses neither")
		case strings.ContainsRune("([{", r):
			open = append(open, r)
			tokens = append(tokens, psToken{"punct", string(r)})
			i++
		case strings.ContainsRune(")]}", r):
			want := map[rune]rune{')': '(', ']': '[', '}': '{'}[r]
			if len(open) == 0 || open[len(open)-1] != want {
				return nil, fmt.Errorf("%c closes nothing", r)
			}
			open = open[:len(open)-1]
			tokens = append(tokens, psToken{"punct", string(r)})
			i++
		case strings.ContainsRune(",;=+|@", r):
			tokens = append(tokens, psToken{"punct", string(r)})
			i++
		default:
			start := i
			for i < len(rs) && !strings.ContainsRune(" \t\r\n()[]{},;=+|'\"@#", rs[i]) && !isApostrophe(rs[i]) {
				i++
			}
			if i == start {
				return nil, fmt.Errorf("a stray %q", r)
			}
			tokens = append(tokens, psToken{"word", string(rs[start:i])})
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("%c is never closed", open[len(open)-1])
	}
	return tokens, nil
}

// isApostrophe: PowerShell takes typographic marks for an apostrophe.
func isApostrophe(r rune) bool { return r == '\'' || r >= 0x2018 && r <= 0x201b }

// psParser evaluates the values of a script: strings, their sums, lists and
// tables.
type psParser struct {
	tokens []psToken
	err    error
}

func (p *psParser) skipLines() {
	for len(p.tokens) > 0 && p.tokens[0].kind == "newline" {
		p.tokens = p.tokens[1:]
	}
}

func (p *psParser) next() psToken {
	if len(p.tokens) == 0 {
		p.fail("the script ends")
		return psToken{}
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *psParser) peek(text string) bool {
	return len(p.tokens) > 0 && p.tokens[0].text == text && p.tokens[0].kind != "string"
}

func (p *psParser) want(text string) {
	if t := p.next(); t.text != text || t.kind == "string" {
		p.fail("%q where %q should be", t.text, text)
	}
}

func (p *psParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.tokens = nil
}

// value is a string, a bool, an int, a []any or a map[string]any.
func (p *psParser) value() any {
	switch t := p.next(); {
	case t.kind == "string":
		return t.text
	case t.text == "(":
		sum := p.text(p.value())
		for p.peek("+") {
			p.next()
			sum += p.text(p.value())
		}
		p.want(")")
		return sum
	case t.text == "[": // [char]::ConvertFromUtf32(0xNN)
		p.want("char")
		p.want("]")
		p.want("::ConvertFromUtf32")
		p.want("(")
		n, err := strconv.ParseUint(p.next().text, 0, 32)
		p.want(")")
		if err != nil {
			p.fail("%v", err)
		}
		return string(rune(n))
	case t.text == "@":
		if p.peek("{") {
			return p.table()
		}
		return p.list()
	case t.text == "$true" || t.text == "$false":
		return t.text == "$true"
	case t.kind == "word":
		n, err := strconv.Atoi(t.text)
		if err != nil {
			p.fail("%q is no value", t.text)
		}
		return n
	default:
		p.fail("%q is no value", t.text)
		return nil
	}
}

func (p *psParser) text(v any) string {
	s, ok := v.(string)
	if !ok {
		p.fail("%v is no string", v)
	}
	return s
}

func (p *psParser) list() []any {
	p.want("(")
	out := []any{}
	for p.skipLines(); p.err == nil && !p.peek(")"); p.skipLines() {
		out = append(out, p.value())
		if p.skipLines(); p.peek(",") {
			p.next()
		}
	}
	p.want(")")
	return out
}

func (p *psParser) table() map[string]any {
	p.want("{")
	out := map[string]any{}
	for p.err == nil && !p.peek("}") {
		key := p.next().text
		p.want("=")
		out[key] = p.value()
		if p.peek(";") {
			p.next()
		}
	}
	p.want("}")
	return out
}

// parsePowerShell reads the values of the script, and holds the rest of it
// against the constant file.
func parsePowerShell(t testing.TB, script string) psScript {
	t.Helper()
	script = strings.ReplaceAll(script, "\r\n", "\n")
	head, body, _ := strings.Cut(windowsScript, windowsMarker)
	if !strings.HasPrefix(script, head) || !strings.HasSuffix(script, body) {
		t.Fatal("the script is not the constant one with values in it")
	}
	if _, err := tokenizePowerShell(script); err != nil {
		t.Fatal(err)
	}
	tokens, err := tokenizePowerShell(strings.TrimSuffix(strings.TrimPrefix(script, head), body))
	if err != nil {
		t.Fatal(err)
	}
	out := psScript{strings: map[string]string{}, lists: map[string][]string{}}
	p := &psParser{tokens: tokens}
	for p.skipLines(); p.err == nil && len(p.tokens) > 0; p.skipLines() {
		name := strings.TrimPrefix(p.next().text, "$")
		p.want("=")
		switch v := p.value().(type) {
		case string:
			out.strings[name] = v
		case []any:
			for _, item := range v {
				switch item := item.(type) {
				case string:
					out.lists[name] = append(out.lists[name], item)
				case map[string]any:
					row := map[string]string{}
					for k, x := range item {
						row[k] = fmt.Sprint(x)
					}
					out.suites = append(out.suites, row)
				}
			}
		}
		if len(p.tokens) > 0 && p.tokens[0].kind != "newline" {
			p.fail("%q stands behind the value of %s", p.tokens[0].text, name)
		}
	}
	if p.err != nil {
		t.Fatal(p.err)
	}
	return out
}

// parseRouterOS reads the values of a RouterOS script: lines of
// ":local name "text"", with escapes, and the constant script behind them.
func parseRouterOS(t testing.TB, script string) map[string]string {
	t.Helper()
	values, ok := strings.CutSuffix(script, mikrotikScript)
	if !ok {
		t.Fatal("the script is not the constant one behind values")
	}
	out := map[string]string{}
	for values != "" {
		rest, ok := strings.CutPrefix(values, ":local ")
		name, rest, found := strings.Cut(rest, ` "`)
		if !ok || !found {
			t.Fatalf("not a value: %.80q", values)
		}
		text, rest, err := routerOSString(rest)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.HasPrefix(rest, "\n") {
			t.Fatalf("%.40q stands behind the value of %s", rest, name)
		}
		out[name], values = text, rest[1:]
	}
	return out
}

// routerOSString reads to the closing quotation mark.
func routerOSString(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], nil
		case c == '$' || c == '?' || c == '\n' || c == '(' || c == '[':
			return "", "", fmt.Errorf("%q stands bare in a string", c)
		case c == '\\':
			n, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8)
			if err != nil || strings.ToUpper(s[i+1:i+3]) != s[i+1:i+3] {
				return "", "", fmt.Errorf("no escape: %.4q", s[i:])
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("an open string")
}

// parseSwanctl reads strongswan.conf's syntax into path/key = value.
func parseSwanctl(t testing.TB, text string) map[string]string {
	t.Helper()
	out, err := swanctlSections(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func swanctlSections(text string) (map[string]string, error) {
	out := map[string]string{}
	var path []string
	for len(text) > 0 {
		text = strings.TrimLeft(text, " \t\n")
		switch {
		case text == "":
		case text[0] == '#':
			_, text, _ = strings.Cut(text, "\n")
		case text[0] == '}':
			if len(path) == 0 {
				return nil, fmt.Errorf("} closes nothing")
			}
			path, text = path[:len(path)-1], text[1:]
		default:
			i := strings.IndexAny(text, "{=\n")
			if i < 0 || text[i] == '\n' {
				return nil, fmt.Errorf("neither a section nor a value: %.40q", text)
			}
			name := strings.TrimSpace(text[:i])
			if text[i] == '{' {
				path, text = append(path, name), text[i+1:]
				continue
			}
			value, rest, err := swanctlValue(strings.TrimLeft(text[i+1:], " \t"))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			key := strings.Join(append(path[:len(path):len(path)], name), "/")
			if _, twice := out[key]; twice {
				return nil, fmt.Errorf("%s stands there twice", key)
			}
			out[key], text = value, rest
		}
	}
	if len(path) > 0 {
		return nil, fmt.Errorf("%s is never closed", path)
	}
	return out, nil
}

// swanctlValue reads a value to the end of its line.
func swanctlValue(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, "\n")
		if i := strings.IndexAny(value, "#{}\""); i >= 0 {
			return "", "", fmt.Errorf("%q stands bare in a value", value[i])
		}
		return strings.TrimSpace(value), rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			if s[i] != '\\' && s[i] != '"' {
				return "", "", fmt.Errorf("no escape: \\%c", s[i])
			}
			b.WriteByte(s[i])
		case s[i] == '"':
			line, rest, _ := strings.Cut(s[i+1:], "\n")
			if strings.TrimSpace(line) != "" {
				return "", "", fmt.Errorf("%q stands behind the string", line)
			}
			return b.String(), rest, nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("an open string")
}

// parseKeyfile reads GLib's key file format: group, key, value.
func parseKeyfile(t testing.TB, text string) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	var group map[string]string
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			group = map[string]string{}
			out[line[1:len(line)-1]] = group
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || group == nil {
				t.Fatalf("neither a group nor a value: %q", line)
			}
			if _, twice := group[key]; twice {
				t.Fatalf("%s stands there twice", key)
			}
			group[key] = unescapeKeyfile(t, value)
		}
	}
	return out
}

func unescapeKeyfile(t testing.TB, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		c, ok := map[byte]byte{'s': ' ', 'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', ';': ';'}[append([]byte(s), 0)[i]]
		if !ok {
			t.Fatalf("no escape in %q", s)
		}
		b.WriteByte(c)
	}
	return b.String()
}

package netfilter

import "strings"

// token is a word, a quoted string or a sign. The end of a line is the token
// "\n".
type token struct {
	s         string
	quoted    bool
	line, col int
}

// signs stand for themselves.
const signs = "{};,()=!<>&|^\n"

// scan cuts a file into tokens. A colon belongs to a word, as in an address,
// unless it ends it; a backslash joins lines. It
// ends soon after so many tokens.
func scan(text string, most int) []token {
	var all []token
	line, start := 1, 0
	for i := 0; i < len(text) && len(all) <= most; {
		at := token{line: line, col: i - start + 1}
		c := text[i]
		n := 1
		switch {
		case c == '\n':
			at.s = "\n"
			all = append(all, at)
			line, start = line+1, i+1
		case c == '\\' && strings.HasPrefix(text[i:], "\\\n"):
			n = 2
			line, start = line+1, i+2
		case c == ' ' || c == '\t' || c == '\r':
		case c == '#':
			n = upTo(text[i:], "\n")
		case c == '"':
			n = 1 + upTo(text[i+1:], "\"\n")
			at.s, at.quoted = text[i+1:i+n], true
			if i+n < len(text) && text[i+n] == '"' {
				n++
			}
			all = append(all, at)
		case strings.IndexByte(signs, c) >= 0:
			if n = 1; i+1 < len(text) && text[i+1] == '=' && strings.IndexByte("=!<>", c) >= 0 {
				n = 2
			}
			at.s = text[i : i+n]
			all = append(all, at)
		default:
			n = upTo(text[i:], " \t\r\"\\#"+signs)
			n = max(n, 1)
			word := text[i : i+n]
			if trimmed := strings.TrimSuffix(word, ":"); trimmed != word && trimmed != "" && !strings.HasSuffix(trimmed, ":") {
				at.s = trimmed
				all = append(all, at)
				at.col += len(trimmed)
				word = ":"
			}
			at.s = word
			all = append(all, at)
		}
		i += n
	}
	return all
}

func upTo(s, any string) int {
	if i := strings.IndexAny(s, any); i >= 0 {
		return i
	}
	return len(s)
}

package strength

import (
	_ "embed" // the list
	"slices"
	"strings"
)

//go:embed list.txt
var listText string

var list = func() map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(listText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			words[line] = true
			words[plain(line)] = true
		}
	}
	return words
}()

// samples are octets that look random and that everybody has: the keys of strongSwan's
// examples and tests, which stand in many guides and in what was made from them.
var samples = map[string]bool{
	"\xbf\xe3\x64\xc5\x8f\x4b\x2d\x9b\xf0\x8f\x8a\x82\x0b\x6a\x3f\x80\x6a\xd6\x0c\x5d\x9d\xdb\x58\xcb": true,
	"\x45\xa3\x07\x59\xdf\x97\xdc\x26\xa1\x5b\x88\xff":                                                 true,
}

// plain undoes what makes "p@ssw0rd" of a word.
var plain = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i").Replace

// rows are what fingers and children know by heart.
var rows = []string{"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn", "!@#$%^&*()", "1qaz", "2wsx", "3edc", "4rfv"}

// A known text is one that a few parts make up, with at most a few characters
// between and after them: "acme-vpn2024!", "qwerty123456".
const (
	mostParts   = 4
	mostFill    = 4
	longestPart = 32
	longestText = 64
)

// known tells whether a text consists of listed words, of words of its
// surroundings, and of rows of keys.
func known(s string, words []string) bool {
	if list[s] || slices.Contains(words, s) {
		return true
	}
	if len(s) > longestText {
		return false
	}
	k := knower{s: s, words: words, tried: map[[3]int]bool{}}
	return k.rest(0, 0, 0)
}

// knower walks the ways to cut a text into parts, each state once.
type knower struct {
	s     string
	words []string
	tried map[[3]int]bool
}

// rest tells whether what follows at can be cut, after so many parts and
// characters between them.
func (k *knower) rest(at, parts, fill int) bool {
	if at == len(k.s) {
		return parts > 0 && 2*fill <= len(k.s)
	}
	state := [3]int{at, parts, fill}
	if k.tried[state] {
		return false
	}
	k.tried[state] = true
	if parts < mostParts {
		for end := min(len(k.s), at+longestPart); end >= at+3; end-- {
			if k.part(k.s[at:end]) && k.rest(end, parts+1, fill) {
				return true
			}
		}
	}
	return fill < mostFill && k.rest(at+1, parts, fill+1)
}

func (k *knower) part(s string) bool {
	return list[s] || slices.Contains(k.words, s) || isRow(s) || isYear(s)
}

func isYear(s string) bool {
	return len(s) == 4 && (s[:2] == "19" || s[:2] == "20") && strings.Trim(s, "0123456789") == ""
}

// isRow finds keys in a row, forwards or backwards, and one key again and again.
func isRow(s string) bool {
	if strings.Trim(s, s[:1]) == "" {
		return true
	}
	for _, row := range rows {
		if strings.Contains(row, s) || strings.Contains(row, reversed(s)) {
			return true
		}
	}
	return false
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

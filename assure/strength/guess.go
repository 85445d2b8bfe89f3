package strength

import (
	"strings"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/matching"
	"github.com/ccojocar/zxcvbn-go/scoring"
)

// chunk is how many characters are judged together: the search is quadratic.
const chunk = 64

// guesses is zxcvbn's estimate, with its dictionaries, dates and keyboards.
func guesses(s string, words []string) float64 {
	s = ascii(s)
	bits := 0.0
	for len(s) > 0 {
		n := min(len(s), chunk)
		bits += min(guess(s[:n], words), guess(plain(s[:n]), words)+float64(substituted(s[:n])))
		s = s[n:]
	}
	return bits
}

// guess asks for one text. Its matcher of look-alikes is left out, because what
// it does grows exponentially with their number; see plain.
func guess(s string, words []string) float64 {
	filters := []func(match.Matcher) bool{matching.FilterL33tMatcher}
	if !hasRow(strings.ToLower(s)) {
		filters = append(filters, matching.FilterSpatialMatcher) // reads a file of keys at each find
	}
	matches := matching.Omnimatch(s, words, filters...)
	if !mostlyWords(s, matches) && !onlyWords(s, matches) {
		matches = withoutShort(matches)
	}
	return scoring.MinimumEntropyMatchSequence(s, matches).Entropy
}

// hasRow tells whether four keys stand in a row anywhere.
func hasRow(s string) bool {
	for i := 0; i+4 <= len(s); i++ {
		if isRow(s[i : i+4]) {
			return true
		}
	}
	return false
}

// substituted counts the look-alikes, each of which doubles the guesses.
func substituted(s string) int {
	n, p := 0, plain(s)
	for i := range min(len(s), len(p)) {
		if s[i] != p[i] {
			n++
		}
	}
	return n
}

// A random text has a word of four letters or three neighbouring keys by
// chance: those count only where longer ones make up half of it, or where words
// are all that its letters are.
const (
	byChance = 4
	telling  = 4
)

func withoutShort(matches []match.Match) []match.Match {
	var kept []match.Match
	for _, m := range matches {
		if len(m.Token) > byChance {
			kept = append(kept, m)
		}
	}
	return kept
}

// mostlyWords tells a sentence from a random text: there are spaces in it, or
// words and patterns cover half of it.
func mostlyWords(s string, matches []match.Match) bool {
	covered := make([]bool, len(s))
	for _, m := range matches {
		if len(m.Token) >= telling {
			for i := m.I; i <= m.J && i < len(covered); i++ {
				covered[i] = true
			}
		}
	}
	n := 0
	for _, c := range covered {
		if c {
			n++
		}
	}
	return strings.Contains(s, " ") || 2*n >= len(s)
}

// leastOfWord is the shortest word that is one: of letters by chance, one in nine
// of three and none of two is a name or a word.
const leastOfWord = 3

// onlyWords tells whether every run of letters is words one after another, and
// letters are half of the text: "SameKeyForBoth-7731".
func onlyWords(s string, matches []match.Match) bool {
	letters := 0
	reached := make([]bool, len(s)+1) // up to here there are words alone
	reached[0] = true
	for i := range len(s) {
		if !isLetter(s[i]) {
			if reached[i] {
				reached[i+1] = true
			}
			continue
		}
		letters++
		for _, m := range matches {
			if m.I == i && reached[i] && m.Pattern == "dictionary" && len(m.Token) >= leastOfWord && m.J < len(s) {
				reached[m.J+1] = true
			}
		}
	}
	return reached[len(s)] && 2*letters >= len(s)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// ascii puts a small letter for each character of another script: the
// dictionaries have none of them, and the library counts octets.
func ascii(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c >= utf8.RuneSelf {
			c = 'a' + c%26
		}
		b.WriteRune(c)
	}
	return b.String()
}

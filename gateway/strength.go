package gateway

import (
	"slices"
	"strings"

	"sallyport/internal/alphabet"
	"sallyport/internal/secret"
)

// The strength of a pre-shared key that somebody else chose (rules PSK-001,
// PSK-002 and PSK-005). An active attacker can guess a key at leisure against
// one recorded set-up (RFC 7296, Section 2.15), so the estimate must err low: a
// key counts as random until it shows a pattern.

const (
	enoughBits   = 112 // NIST SP 800-57: the least that is not deprecated
	enoughOctets = 20
	// leastOctets holds even under a waiver, and mostOctets bounds the work.
	leastOctets = 8
	mostOctets  = 128

	patternBits  = 1.0 // a character that continues a row or a repetition
	languageBits = 2.5 // a letter of a word: 12.9 bits of a word list over 5 letters
	window       = 12  // letters that are judged together
	common       = 7   // of the 11 pairs in a window; random letters have two
)

// rows are what fingers and children know by heart.
const rows = "abcdefghijklmnopqrstuvwxyz 01234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop"

// pairs are the hundred most frequent pairs of letters in English text.
const pairs = "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le " +
	"ve co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us " +
	"ac ot il tr ly nc et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh"

// knownWords are worth nothing in a pre-shared key: vendors' samples, guides'
// placeholders, and what the key is for.
var knownWords = []string{
	"vpn", "psk", "ipsec", "ikev2", "l2tp", "shared", "preshared", "secret", "password", "passwort", "passphrase", "key",
	"sallyport", "strongswan", "libreswan", "mikrotik", "cisco", "fortinet", "softether", "android", "windows", "iphone",
	"test", "testing", "example", "sample", "default", "changeme", "admin", "letmein", "welcome", "company", "office", "network", "router", "gateway",
}

// strength estimates the bits of a key, from below. names are of those it
// belongs to; they and their reverse are worth nothing.
func strength(key secret.Bytes, names ...string) float64 {
	text := strings.ToLower(string(key))
	bits := slices.Repeat([]float64{alphabet.Bits(string(key))}, len(text))
	lower := func(i int, to float64) { bits[i] = min(bits[i], to) }
	for i := range repetitions(text) {
		lower(i, patternBits)
	}
	if !isHex(text) {
		for i := range language(text) {
			lower(i, languageBits)
		}
	}
	for _, word := range slices.Concat(knownWords, names) {
		for _, spelling := range []string{text, plainLetters(text)} {
			for i := range occurrences(spelling, strings.ToLower(word)) {
				lower(i, 0)
			}
		}
	}
	sum := 0.0
	for _, b := range bits {
		sum += b
	}
	return sum
}

func isHex(lower string) bool { return strings.Trim(lower, "0123456789abcdef") == "" }

// places are indices into a key.
type places map[int]bool

// repetitions are the ends of three characters that came before, or that stand
// in a row, forwards or backwards.
func repetitions(text string) places {
	found, seen := places{}, map[string]bool{}
	for i := 2; i < len(text); i++ {
		three := text[i-2 : i+1]
		if seen[three] || strings.Contains(rows, three) || strings.Contains(rows, reversed(three)) {
			found[i] = true
		}
		seen[three] = true
	}
	return found
}

// plainLetters undoes what makes "p@ssw0rd" of a word.
var plainLetters = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i").Replace

// language finds letters that stand together as they do in words; with spaces
// it is all words.
func language(text string) places {
	var at []int
	var letters []byte
	for i, c := range []byte(plainLetters(text)) {
		if c >= 'a' && c <= 'z' || c == ' ' {
			letters, at = append(letters, c), append(at, i)
		}
	}
	words := strings.Contains(text, " ")
	found := places{}
	for i := 0; i+window <= len(letters); i++ {
		frequent := 0
		for j := i; j < i+window-1; j++ {
			if strings.Contains(pairs, string(letters[j:j+2])) {
				frequent++
			}
		}
		if words || frequent >= common {
			for _, where := range at[i : i+window] {
				found[where] = true
			}
		}
	}
	return found
}

// occurrences are the places of a word, either way round.
func occurrences(text, word string) places {
	found := places{}
	if len(word) < 3 {
		return found // two letters stand in every random key
	}
	for _, w := range []string{word, reversed(word)} {
		for from := 0; ; {
			i := strings.Index(text[from:], w)
			if i < 0 {
				break
			}
			for j := range w {
				found[from+i+j] = true
			}
			from += i + 1
		}
	}
	return found
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

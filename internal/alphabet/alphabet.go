// Package alphabet tells what a character of a random text is worth, for the
// gateway, which judges keys it is given, and for the audit, which judges those of
// others.
package alphabet

import (
	"math"
	"strings"
)

const (
	few = 10   // with fewer different characters, only these count
	hex = 16.0 // digits and the letters a to f
)

// classes are the kinds of characters that people and generators choose from.
var classes = []struct {
	has  func(rune) bool
	size float64
}{
	{digit, 10}, {upper, 26}, {lower, 26},
	{func(c rune) bool { return !digit(c) && !upper(c) && !lower(c) }, 33}, // what else is on a keyboard
}

func digit(c rune) bool { return c >= '0' && c <= '9' }
func upper(c rune) bool { return c >= 'A' && c <= 'Z' }
func lower(c rune) bool { return c >= 'a' && c <= 'z' }

// Bits is what each character of a random text of these characters is worth. With
// few different characters only those count.
func Bits(text string) float64 {
	distinct := map[rune]bool{}
	for _, c := range text {
		distinct[c] = true
	}
	size := 0.0
	for _, class := range classes {
		if strings.ContainsFunc(text, class.has) {
			size += class.size
		}
	}
	if strings.Trim(strings.ToLower(text), "0123456789abcdef") == "" {
		size = min(size, hex)
	}
	if len(distinct) < few {
		size = float64(len(distinct))
	}
	return math.Log2(max(size, 1))
}

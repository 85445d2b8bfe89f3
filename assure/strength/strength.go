// Package strength estimates how many guesses a secret withstands, for rules
// that judge pre-shared keys and passwords of other people's configurations.
//
// The estimate errs low where a person chose the secret, and does not where a
// generator did: thirty-two random octets are strong in any spelling, and
// thirty-two equal ones are not. What is said of a secret never holds a part of
// it.
package strength

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"sallyport/internal/alphabet"
)

// Estimate is what can be said of a secret without saying it.
type Estimate struct {
	Bits   float64 // of guessing, from below
	Why    string  // in words for a report; holds no part of the secret
	Listed bool    // on the list of samples, defaults and what people type, or made of that
}

// Bounds of the work for one secret, whatever its length.
const (
	mostOctets = 256 // more are not looked at: who has 256 octets of anything has enough, or a pattern
	mostWords  = 64
	mostWord   = 64
)

// listedBits is the most that a secret made of the list is worth: some hundred
// words, a few of them together.
const listedBits = 20

// Of estimates a secret. The words are those of its surroundings: the company,
// the host, the user; they are worth nothing in it.
func Of(secret []byte, words []string) Estimate {
	if len(secret) == 0 {
		return Estimate{Why: "it is empty", Listed: true}
	}
	secret = secret[:min(len(secret), mostOctets)]
	if samples[string(secret)] || samples[string(decodedSample(secret))] {
		return Estimate{Why: "it is a sample of guides, which everybody has", Listed: true}
	}
	if !isText(secret) {
		return octets(secret)
	}
	if unit, times := period(secret); times > 1 && !isRow(strings.ToLower(string(secret))) {
		e := Of(unit, words)
		e.Bits += math.Log2(float64(times))
		e.Why = fmt.Sprintf("the same characters %d times over", times)
		return e
	}
	return text(string(secret), bounded(words))
}

// Quick estimates a secret by its alphabet, its length and the list alone, which
// takes no time. It errs high for words that are not on the list.
func Quick(secret []byte, words []string) Estimate {
	secret = secret[:min(len(secret), mostOctets)]
	if len(secret) == 0 || !isText(secret) {
		return Of(secret, words)
	}
	lower := strings.ToLower(string(secret))
	if list := bounded(words); known(lower, list) || known(plain(lower), list) {
		return Estimate{Bits: listedBits, Listed: true, Why: "it is, or is made of, a sample, a default, a name or a row of keys"}
	}
	return Estimate{Bits: ofAlphabet(string(secret)), Why: "its length and its alphabet; there are too many secrets to look closer"}
}

// isText tells a secret that was typed, or spelt, from raw octets.
func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// bounded makes words comparable, and the work with them finite.
func bounded(words []string) []string {
	var list []string
	for _, w := range words {
		for _, part := range append([]string{w}, strings.FieldsFunc(w, notLetterOrDigit)...) {
			if part = strings.ToLower(part); len(part) >= 3 && len(part) <= mostWord && len(list) < mostWords {
				list = append(list, part)
			}
		}
	}
	return list
}

func notLetterOrDigit(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r < utf8.RuneSelf
}

// text estimates what consists of characters.
func text(s string, words []string) Estimate {
	lower := strings.ToLower(s)
	if known(lower, words) || known(plain(lower), words) {
		bits := math.Min(listedBits, guesses(s, words))
		return Estimate{Bits: bits, Listed: true, Why: "it is, or is made of, a sample, a default, a name or a row of keys"}
	}
	e := Estimate{Bits: ofAlphabet(s), Why: "characters of one alphabet without a pattern"}
	if bits := guesses(s, words); bits < e.Bits {
		e = Estimate{Bits: bits, Why: "words, names, dates and patterns that are guessed first"}
	}
	if raw := decoded(s); raw != nil {
		if o := octets(raw); o.Bits < e.Bits {
			e = o
		} else if looksRandom(raw) && !inWords(s) {
			e = Estimate{Bits: math.Min(o.Bits, ofAlphabet(s)), Why: "the spelling of random octets"}
		}
	}
	return e
}

// decoded are the octets of a text in base 16 or 64, where it is long enough
// not to be one by chance. The text itself may be the key, but whoever guesses
// will guess the octets.
func decoded(s string) []byte {
	if b, err := hex.DecodeString(s); err == nil && len(b) >= 8 {
		return b
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding} {
		if b, err := e.DecodeString(s); err == nil && len(b) >= 16 {
			return b
		}
	}
	return nil
}

// decodedSample are the octets of a text in base 16 or 64 as short as samples are.
func decodedSample(text []byte) []byte {
	if b, err := hex.DecodeString(string(text)); err == nil {
		return b
	}
	if b, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
		return b
	}
	return nil
}

// inWords tells whether a text is all small letters or all capitals, as words
// are and base64 is not.
func inWords(s string) bool {
	return s == strings.ToLower(s) && strings.Trim(s, "0123456789abcdef") != "" || s == strings.ToUpper(s) && strings.Trim(s, "0123456789ABCDEF") != ""
}

// ofAlphabet is what a random text of these characters is worth.
func ofAlphabet(s string) float64 {
	return float64(utf8.RuneCountInString(s)) * alphabet.Bits(s)
}

// octets estimates raw octets: eight bits each if they look as random ones do,
// and what the different ones among them are worth if not.
func octets(b []byte) Estimate {
	if unit, times := period(b); times > 1 {
		e := octets(unit)
		return Estimate{Bits: e.Bits + math.Log2(float64(times)), Why: fmt.Sprintf("the same octets %d times over", times)}
	}
	if looksRandom(b) {
		return Estimate{Bits: 8 * float64(len(b)), Why: "octets without a pattern"}
	}
	values, steps := distinct(b), distinct(differences(b))
	bits := float64(len(b)) * math.Log2(float64(max(1, min(values, steps))))
	return Estimate{Bits: math.Min(bits, 8*float64(len(b))), Why: "octets that repeat, or follow one another"}
}

// looksRandom compares the number of different octets, and of different steps
// from one to the next, with what chance gives: 256(1-(255/256)^n). Three
// quarters of it are left by the worst of very many random keys.
func looksRandom(b []byte) bool {
	return distinct(b) >= expected(len(b)) && (len(b) < 3 || distinct(differences(b)) >= expected(len(b)-1))
}

func expected(n int) int {
	return int(0.75 * 256 * (1 - math.Pow(255.0/256, float64(n))))
}

func distinct(b []byte) int {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

func differences(b []byte) []byte {
	if len(b) < 2 {
		return nil
	}
	d := make([]byte, len(b)-1)
	for i := range d {
		d[i] = b[i+1] - b[i]
	}
	return d
}

// period finds the shortest part that a secret repeats as a whole.
func period(b []byte) (unit []byte, times int) {
	for n := 1; n <= len(b)/2; n++ {
		if len(b)%n == 0 && bytes.Equal(b[n:], b[:len(b)-n]) {
			return b[:n], len(b) / n
		}
	}
	return b, 1
}

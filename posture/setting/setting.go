// Package setting is what readers of products with many defaults share: a
// setting before it has a type, and the defaults of a product by version.
package setting

import (
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
)

// Setting is the text of one setting in force, and where it comes from. The
// zero Setting is one that the files do not tell.
type Setting struct {
	Text   string
	Origin posture.Origin
	At     posture.Pos
	Why    string // for a default or an inference
}

// Written is a setting that stands in a file.
func Written(text string, at posture.Pos) Setting {
	return Setting{Text: text, Origin: posture.Explicit, At: at}
}

// Known tells whether anything may be concluded from the setting.
func (s Setting) Known() bool { return s.Origin != posture.Unknown }

// To gives a setting its type. Without a setting the value is Unknown; ok is
// false where there is one that parse does not understand.
func To[T any](s Setting, parse func(string) (T, bool)) (v posture.Value[T], ok bool) {
	if !s.Known() {
		return v, true
	}
	t, ok := parse(s.Text)
	if !ok {
		return v, false
	}
	v = posture.Value[T]{V: t, Origin: s.Origin, At: s.At, Why: s.Why}
	if s.Origin == posture.Explicit {
		v.Text = s.Text
	}
	return v, true
}

// As is a value with another one's origin: what follows from a setting.
func As[T, U any](from posture.Value[U], v T) posture.Value[T] {
	if !from.Known() {
		return posture.Value[T]{}
	}
	return posture.Value[T]{V: v, Origin: from.Origin, At: from.At, Text: from.Text, Why: from.Why}
}

// Defaults says how a product's defaults are known.
type Defaults struct {
	Product string                // "RouterOS"
	Version posture.Value[string] // Unknown: the file does not tell
	Oldest  string                // the oldest version that is still common, taken where the version is unknown
}

// Of is a default. sure tells that it was seen in the product's own words;
// others are inferences even where the version is known.
func Of[T any](d Defaults, v T, at posture.Pos, sure bool) posture.Value[T] {
	origin, why := d.Origin(sure)
	return posture.Value[T]{V: v, Origin: origin, At: at, Why: why}
}

// Setting is the text of a default, as [Of] has it.
func (d Defaults) Setting(text string, at posture.Pos, sure bool) Setting {
	origin, why := d.Origin(sure)
	return Setting{Text: text, Origin: origin, At: at, Why: why}
}

// Origin is the origin of a default and the reason that a report gives.
func (d Defaults) Origin(sure bool) (posture.Origin, string) {
	switch {
	case !d.Version.Known():
		return posture.Inferred, "version unknown: default of " + d.Product + " " + d.Oldest
	case !sure:
		return posture.Inferred, "taken as the default of " + d.Product + " " + d.Version.V
	}
	return posture.Default, "default of " + d.Product + " " + d.Version.V
}

// Before tells whether the version is older than another one. An unknown
// version counts as the oldest that is common.
func (d Defaults) Before(version string) bool {
	v := d.Oldest
	if d.Version.Known() {
		v = d.Version.V
	}
	return Compare(v, version) < 0
}

// Compare orders dotted versions by number; what is no number ends a part, so
// that "7.15rc2" is 7.15 and "15.2(4)M6" is 15.2.
func Compare(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if d := part(as, i) - part(bs, i); d != 0 {
			return d
		}
	}
	return 0
}

// longestPart bounds the digits of a version's part; real ones have four.
const longestPart = 9

func part(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	digits := 0
	for digits < len(parts[i]) && digits < longestPart && parts[i][digits] >= '0' && parts[i][digits] <= '9' {
		digits++
	}
	n, _ := strconv.Atoi(parts[i][:digits])
	return n
}

// Switch reads the two-valued words of all products.
func Switch(word string) (on, ok bool) {
	switch strings.ToLower(word) {
	case "yes", "enable", "enabled", "true", "on":
		return true, true
	case "no", "disable", "disabled", "false", "off":
		return false, true
	}
	return false, false
}

// Number reads a decimal number.
func Number(word string) (int, bool) {
	n, err := strconv.Atoi(word)
	return n, err == nil
}

// mostSeconds is what a lifetime may be at most; a longer one is no longer one.
const mostSeconds = 1 << 32

// Seconds reads a time in seconds.
func Seconds(word string) (time.Duration, bool) {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 0 || n > mostSeconds {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}

// Commas reads a list of words with commas between them.
func Commas(text string) ([]string, bool) {
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words, true
}

// Words reads a list of words with spaces between them.
func Words(text string) ([]string, bool) { return strings.Fields(text), true }

// hiddenWord stands for a word that may be a secret.
const hiddenWord = "(a word that is no directive)"

// longestWord bounds a word that is shown; directives are shorter.
const longestWord = 40

// Shown is a word that nobody knows, for a note: as it is if it looks like a
// directive, and nothing of it if it could be a part of a key or a password.
func Shown(word string) string {
	for _, c := range word {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != ' ' {
			return hiddenWord
		}
	}
	if word == "" || len(word) > longestWord {
		return hiddenWord
	}
	return strconv.Quote(word)
}

// Key is the key of an assignment that nobody knows, for a note, under the rule
// of [Shown], but in letters of both cases. Without a value the "key" may be the
// last line of a key in base64, which ends with "=".
func Key(key, value string) string {
	if strings.Trim(value, "= \t") == "" {
		return hiddenWord
	}
	lower := strings.ToLower(key)
	if lower != key && strings.ContainsAny(key, "0123456789") {
		return hiddenWord
	}
	if shown := Shown(lower); shown == hiddenWord {
		return shown
	}
	return strconv.Quote(key)
}

// Records tells whether an updown script records sessions. The products' own set
// routes and rules, and strongSwan's with the word iptables logs who came and went,
// too. A script of the administrator's may, unless it is a program that does
// nothing, which stands there so that no route is set.
func Records(script string) bool {
	words := strings.Fields(script)
	switch {
	case len(words) == 0:
		return false
	case strings.Contains(script, "_updown"):
		return strings.Contains(script, "_updown iptables")
	}
	switch words[0] {
	case "%disabled", ":", "true", "/bin/true", "/usr/bin/true", "/bin/false", "/usr/bin/false":
		return false
	}
	return true
}

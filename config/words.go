package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// suggest names the known word nearest to what was written, if one is near.
func suggest(written string, known []string) string {
	if near := Nearest(written, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// distance counts the letters to insert, drop, change or swap with a
// neighbour. Words longer than any of ours are not looked at.
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	var rows [3][42]int
	before, last, next := &rows[0], &rows[1], &rows[2]
	if len(b) > 40 {
		return len(b)
	}
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 0
			if a[i-1] != b[j-1] {
				change = 1
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}

// shorten keeps a strange key from filling the screen.
func shorten(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// cause says why a text could not be read, in our words where the standard
// library speaks of its own functions.
func cause(err error, text string) string {
	var number *strconv.NumError
	switch {
	case errors.As(err, &number) && errors.Is(err, strconv.ErrRange):
		return fmt.Sprintf("%s is too large", shorten(text))
	case errors.As(err, &number):
		return fmt.Sprintf("%q is not one", shorten(text))
	}
	return err.Error()
}

// inBounds tells whether a value is between Min and Max.
func (k *Key) inBounds(v any) bool {
	if k.Min == 0 && k.Max == 0 {
		return true
	}
	n := number(v)
	return n >= k.Min && n <= k.Max
}

// nearestBound is the hint for a value out of bounds.
func (k *Key) nearestBound(t reflect.Type, v any) string {
	if number(v) < k.Min {
		return "write " + k.bound(t, k.Min) + " or more"
	}
	return "write " + k.bound(t, k.Max) + " or less"
}

// number is the value in the unit of Min and Max.
func number(v any) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case uint16:
		return int64(v)
	case uint64:
		return int64(min(v, 1<<62))
	case Size:
		return int64(min(v, 1<<62))
	case Bitrate:
		return int64(min(v, 1<<62))
	case time.Duration:
		return int64(v / time.Second)
	}
	panic(fmt.Sprintf("config: bounds on a %T", v)) // a fault of the table: TestTable reads every key
}

// bound writes a bound as the value itself is written.
func (k *Key) bound(t reflect.Type, n int64) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return formatDuration(time.Duration(n) * time.Second)
	case reflect.TypeFor[Size]():
		return Size(n).String()
	case reflect.TypeFor[Bitrate]():
		return Bitrate(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// defaultNodes are the defaults as if they stood in the file, but at no place
// of it: a fault that has to do with a default is shown at its section.
var defaultNodes = sync.OnceValue(func() map[string]*node {
	return nodesOf(func(k Key) string { return k.Default })
})

var l2tpNodes = sync.OnceValue(func() map[string]*node {
	return nodesOf(func(k Key) string { return k.L2TP })
})

// nodesOf reads one column of the table.
func nodesOf(column func(Key) string) map[string]*node {
	m := make(map[string]*node, len(keys))
	for _, k := range keys {
		text := column(k)
		if text == "" {
			continue
		}
		n, problems := parseYAML([]byte(text))
		if len(problems) > 0 {
			panic("config: default of " + k.Path + ": " + problems[0].message) // a fault of the table: every test would see it
		}
		m[k.Path] = n.nowhere()
	}
	return m
}

func (k *Key) defaultNode() *node { return defaultNodes()[k.Path] }
func (k *Key) l2tpNode() *node    { return l2tpNodes()[k.Path] }

func (n *node) nowhere() *node {
	n.pos = pos{}
	for _, item := range n.items {
		item.nowhere()
	}
	return n
}

// plain matches text that YAML reads as the same text without quotes.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./@-]*$|^[0-9]+(\.[0-9]+){3}(/[0-9]+)?$|^[0-9]{4}-[0-9]{2}-[0-9]{2}$|^[0-9]+[A-Za-z][A-Za-z0-9]*$`)

// reserved words mean something else to one YAML reader or another; number
// forms such as 1e5 and 0x10 do too.
var reserved = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|nan|inf|[0-9]+e[0-9]+|0[xob][0-9a-f]+)$`)

// quote writes text as YAML. JSON's strings are YAML's double-quoted strings.
func quote(s string) string {
	if plain.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Nearest returns the known word nearest to what was written, or "" when none
// is near. The command line uses it for verbs and flags.
func Nearest(written string, known []string) string {
	best, least := "", len(written)/3+2 // a third of the letters may be wrong
	for _, word := range known {
		if d := distance(strings.ToLower(written), word); d < least {
			best, least = word, d
		}
	}
	return best
}

package ipsecconf

import (
	"math"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
)

// get is a setting in force. An empty value stands for the product's default
// (ipsec.conf(5)).
func (c *conn) get(key string) (setting, bool) {
	s, ok := c.settings[key]
	return s, ok && s.value != ""
}

// word is the value of a setting in lower case; empty where there is none.
func (c *conn) word(key string) string {
	s, _ := c.get(key)
	return strings.ToLower(s.value)
}

// written makes an explicit value of a setting.
func written[T any](s setting, v T) posture.Value[T] { return posture.Written(v, s.at, s.text) }

// odd notes a value that the product would not take, which then leaves the
// default in force.
func (c *conn) odd(s setting) {
	a := about{s.at, "value"}
	if c.noted[a] {
		return // spares the quoting, which is most of the work
	}
	c.once(posture.Unparsed, a, "%s is no value of %q", notation.Shown(s.value), source.Quote(s.key))
}

// flag is a setting of yes or no.
func (c *conn) flag(key string, otherwise bool) posture.Value[bool] {
	return choose(c, key, yesNo, otherwise)
}

var yesNo = map[string]bool{
	"yes": true, "y": true, "true": true, "on": true, "1": true, "enabled": true,
	"no": false, "n": false, "false": false, "off": false, "0": false, "disabled": false, "never": false,
}

// choose is a setting with a table of words.
func choose[T any](c *conn, key string, words map[string]T, otherwise T) posture.Value[T] {
	if s, ok := c.get(key); ok {
		if v, ok := words[strings.ToLower(s.value)]; ok {
			return written(s, v)
		}
		if notation.Placeholder(s.value) {
			return posture.Value[T]{}
		}
		c.odd(s)
	}
	return byDefault(c.reader, otherwise, c.at)
}

// duration is a setting of time: seconds, or a number with s, m, h, d or w.
// "%forever" is none.
func (c *conn) duration(key string, otherwise time.Duration) posture.Value[time.Duration] {
	if s, ok := c.get(key); ok {
		if v, ok := parseTime(s.value); ok {
			return written(s, v)
		}
		if notation.Placeholder(s.value) {
			return posture.Value[time.Duration]{}
		}
		c.odd(s)
	}
	return byDefault(c.reader, otherwise, c.at)
}

var units = []struct {
	suffix string
	unit   time.Duration
}{
	{"ms", time.Millisecond}, {"us", time.Microsecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"", time.Second},
}

func parseTime(text string) (time.Duration, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "%forever" || text == "never" {
		return 0, true
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || v < 0 || v > float64(math.MaxInt64)/float64(2*u.unit) || v != v {
			return 0, false
		}
		return time.Duration(v * float64(u.unit)), true
	}
	return 0, false
}

// count is a setting that is a number, maybe with a binary or decimal prefix
// ("ipsec-max-bytes=1GiB").
func (c *conn) count(key string) posture.Value[uint64] {
	if s, ok := c.get(key); ok {
		if v, ok := parseCount(s.value); ok {
			return written(s, v)
		}
		c.odd(s)
	}
	return byDefault(c.reader, uint64(0), c.at)
}

func parseCount(text string) (uint64, bool) {
	text = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), "B"))
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, err := strconv.ParseUint(text[:digits], 10, 64)
	if err != nil {
		return 0, false
	}
	shift, ok := map[string]uint{"": 0, "k": 10, "ki": 10, "m": 20, "mi": 20, "g": 30, "gi": 30, "t": 40, "ti": 40, "p": 50, "pi": 50, "e": 60, "ei": 60}[strings.TrimSpace(text[digits:])]
	if !ok || n > math.MaxUint64>>shift {
		return 0, false
	}
	return n << shift, true
}

// number is a small number.
func (c *conn) number(key string, otherwise int) posture.Value[int] {
	if s, ok := c.get(key); ok {
		if v, err := strconv.Atoi(s.value); err == nil {
			return written(s, v)
		}
		c.odd(s)
	}
	return byDefault(c.reader, otherwise, c.at)
}

// list are the parts of a value, by commas and spaces.
func (c *conn) list(s setting) []string {
	var all []string
	for part := range strings.FieldsFuncSeq(s.value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if len(all) == mostList {
			c.once(posture.Limit, about{s.at, "list"}, "more than %d parts in %q: the rest was left out", mostList, source.Quote(s.key))
			break
		}
		all = append(all, part)
	}
	return all
}

package swanctl

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	notation "sallyport/posture/setting"
)

// product is the name in Host.Products.
const product = "strongSwan"

// common is the version whose defaults are taken where it is not known.
const common = "5.9"

// before tells whether the version in force is older.
func (r *reader) before(version string) bool {
	if r.version == "" {
		return proposal.Before(common, version)
	}
	return proposal.Before(r.version, version)
}

// normal is a value that nothing sets.
func normal[T any](r *reader, v T, at posture.Pos) posture.Value[T] {
	switch {
	case r.version == "":
		return posture.Guess(v, at, "version unknown: default of strongSwan "+common)
	case r.blind:
		return posture.Guess(v, at, "no strongswan.conf: default of strongSwan "+r.version)
	}
	return posture.ByDefault(v, at, "default of strongSwan "+r.version)
}

// read is a setting that parse understands, or the default. What it does not
// understand is noted, and the daemon takes the default or refuses it.
func read[T any](r *reader, v view, key string, fallback T, parse func(string) (T, bool)) posture.Value[T] {
	s, ok := v.get(key)
	if !ok {
		return normal(r, fallback, v.at())
	}
	x, ok := parse(s.value)
	if notation.Placeholder(s.value) {
		return posture.Value[T]{}
	}
	if !ok {
		r.unparsed(s.at, "%s has a value that is not understood", key)
		return normal(r, fallback, s.at)
	}
	return posture.Written(x, s.at, s.value)
}

func (r *reader) flag(v view, key string, fallback bool) posture.Value[bool] {
	return read(r, v, key, fallback, parseBool)
}

func (r *reader) number(v view, key string, fallback int) posture.Value[int] {
	return read(r, v, key, fallback, parseInt)
}

func (r *reader) duration(v view, key string, fallback time.Duration) posture.Value[time.Duration] {
	return read(r, v, key, fallback, parseTime)
}

func (r *reader) list(v view, key string, fallback ...string) posture.Value[[]string] {
	return read(r, v, key, fallback, func(s string) ([]string, bool) { return split(s), true })
}

// word is a setting with a few values.
func word[T any](r *reader, v view, key string, fallback T, values map[string]T) posture.Value[T] {
	return read(r, v, key, fallback, func(s string) (T, bool) {
		x, ok := values[strings.ToLower(s)]
		return x, ok
	})
}

func (r *reader) unparsed(at posture.Pos, format string, args ...any) {
	r.in.Note(posture.Unparsed, at, format, args...)
}

// split takes a list apart at its commas.
func split(s string) []string {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func parseBool(s string) (bool, bool) {
	switch strings.ToLower(s) {
	case "yes", "true", "enabled", "1":
		return true, true
	case "no", "false", "disabled", "0":
		return false, true
	}
	return false, false
}

func parseInt(s string) (int, bool) {
	n, err := strconv.ParseInt(s, 0, 32)
	return int(n), err == nil
}

// parseCount reads volumes, in which k, m and g are powers of 1024.
func parseCount(s string) (uint64, bool) {
	shift, s := unit(s, map[byte]uint64{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30})
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, false
	}
	if n > math.MaxUint64/shift {
		return math.MaxUint64, true
	}
	return n * shift, true
}

// mostTime keeps sums of times from overflowing: a hundred years.
const mostTime = 100 * 365 * 24 * time.Hour

// parseTime reads seconds, or a number with s, m, h or d.
func parseTime(s string) (time.Duration, bool) {
	seconds, s := unit(s, map[byte]uint64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400})
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, false
	}
	if n > uint64(mostTime/time.Second)/seconds {
		return mostTime, true
	}
	return time.Duration(n*seconds) * time.Second, true
}

func unit(s string, units map[byte]uint64) (uint64, string) {
	if s == "" {
		return 1, s
	}
	if u, ok := units[s[len(s)-1]|0x20]; ok {
		return u, strings.TrimSpace(s[:len(s)-1])
	}
	return 1, s
}

// explicit is the first of some values that a file sets.
func explicit[T any](values ...posture.Value[T]) (posture.Value[T], bool) {
	i := slices.IndexFunc(values, func(v posture.Value[T]) bool { return v.Origin == posture.Explicit })
	if i < 0 {
		return posture.Value[T]{}, false
	}
	return values[i], true
}

// follows is a value that is computed from others: it is as certain as the one
// that it rests on.
func follows[T, U any](v T, from posture.Value[U]) posture.Value[T] {
	return posture.Value[T]{V: v, Origin: from.Origin, At: from.At, Text: from.Text, Why: from.Why}
}

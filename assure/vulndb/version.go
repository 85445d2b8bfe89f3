package vulndb

import (
	"cmp"
	"regexp"
	"strconv"

	apk "github.com/knqyf263/go-apk-version"
	deb "github.com/knqyf263/go-deb-version"
	rpm "github.com/knqyf263/go-rpm-version"
)

// longest is more than any version has; what is longer is none.
const longest = 128

// reaches tells whether an installed version is a distribution's fixed one or
// newer, by the rules of its packages. ok is false where the rules say nothing.
func reaches(manager, installed, fixed string) (yes, ok bool) {
	if len(installed) > longest || len(fixed) > longest {
		return false, false
	}
	switch manager {
	case "dpkg":
		a, err1 := deb.NewVersion(installed)
		b, err2 := deb.NewVersion(fixed)
		return !a.LessThan(b), err1 == nil && err2 == nil
	case "rpm":
		return !rpm.NewVersion(installed).LessThan(rpm.NewVersion(fixed)), true
	case "apk":
		a, err1 := apk.NewVersion(installed)
		b, err2 := apk.NewVersion(fixed)
		return !a.LessThan(b), err1 == nil && err2 == nil
	}
	return false, false
}

// A token is a number or a word of an upstream version.
var token = regexp.MustCompile(`[0-9]+|[a-zA-Z]+`)

// part is one of them. Words are ranked: what comes before a release is below
// its end, and what comes after it is above.
type part struct {
	rank   int
	number int
	word   string
}

const (
	early  = -1 // 6.0rc1
	end    = 0  // 6.0, and zeros that are not written
	letter = 1  // 16.12.10a
)

var preRelease = map[string]bool{"rc": true, "dr": true, "alpha": true, "beta": true, "b": true, "pre": true}

// parts are the tokens of a version, or nil if it does not begin with a number.
func parts(version string) []part {
	if len(version) > longest {
		return nil
	}
	if len(version) > 1 && version[0] == 'v' {
		version = version[1:]
	}
	if version == "" || version[0] < '0' || version[0] > '9' {
		return nil
	}
	var all []part
	for _, t := range token.FindAllString(version, -1) {
		n, err := strconv.Atoi(t[:min(len(t), 9)])
		switch {
		case err == nil:
			all = append(all, part{rank: end, number: n})
		case preRelease[t]:
			all = append(all, part{rank: early, word: t})
		default:
			all = append(all, part{rank: letter, word: t})
		}
	}
	return all
}

// compare orders upstream versions: 6.0rc1, 6.0, 6.0.0, 6.0.1, 6.0.1a, 6.0.2.
func compare(a, b string) int {
	x, y := parts(a), parts(b)
	for i := range max(len(x), len(y)) {
		p, q := at(x, i), at(y, i)
		if c := cmp.Or(cmp.Compare(p.rank, q.rank), cmp.Compare(p.number, q.number), cmp.Compare(p.word, q.word)); c != 0 {
			return c
		}
	}
	return 0
}

// Older tells whether an upstream version was released before another. What is no
// version is older than none.
func Older(version, than string) bool {
	return parts(version) != nil && parts(than) != nil && compare(version, than) < 0
}

func at(all []part, i int) part {
	if i < len(all) {
		return all[i]
	}
	return part{}
}

// vague tells whether a version is only the beginning of another, so that it may
// be any of those that begin so: a router's configuration says 17.9 of 17.9.4a.
func vague(version, of string) bool {
	x, y := parts(version), parts(of)
	if len(x) >= len(y) || y[len(x)].rank != end { // 17.9.4 is not 17.9.4a
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}

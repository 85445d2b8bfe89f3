package proposal

import (
	"strings"
)

// Before tells whether a dotted version is older than another: 5.9.8 is before
// 5.9.12, 6.0 is the same as 6.0.0, 6.0rc1 is before 6.0. What a distribution
// adds ("-5+deb12u6") does not count. A version that is not known is before none.
func Before(version, than string) bool {
	a, b := numbers(version), numbers(than)
	if a == nil || b == nil {
		return false
	}
	for i := range max(len(a), len(b)) {
		if x, y := at(a, i), at(b, i); x != y {
			return x < y
		}
	}
	return false
}

func at(n []int, i int) int {
	if i < len(n) {
		return n[i]
	}
	return 0
}

// numbers are the parts of a version; a pre-release ends in -1, which is before
// the zeros that are not written.
func numbers(version string) []int {
	_, after, epoch := strings.Cut(version, ":")
	if epoch {
		version = after
	}
	version = strings.TrimPrefix(strings.TrimSpace(version), "v")
	var all []int
	for part := range strings.SplitSeq(version, ".") {
		digits := len(part) - len(strings.TrimLeft(part, "0123456789"))
		if digits == 0 {
			break
		}
		n := 0
		for _, d := range part[:min(digits, 9)] {
			n = 10*n + int(d-'0')
		}
		all = append(all, n)
		if rest := part[digits:]; rest != "" {
			return append(all, preRelease(rest)...)
		}
	}
	return all
}

// preRelease knows what comes before a release: 6.0.2rc1, 6.0dr14, 5.4.0~beta.
func preRelease(rest string) []int {
	for _, word := range []string{"rc", "dr", "beta", "alpha", "pre"} {
		if strings.HasPrefix(strings.TrimLeft(rest, "~-_"), word) {
			return []int{-1}
		}
	}
	return nil
}

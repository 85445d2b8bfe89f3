package checklist

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// mostNames is how many names a fact lists; the rest is counted.
const mostNames = 8

// names lists what a fact is about. Names of users and devices are checked when
// they are made; what a peer chose is quoted.
func names(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	list = slices.Compact(list)
	for i, n := range list {
		if quoted := fmt.Sprintf("%+q", n); strings.Contains(n, " ") || quoted != `"`+n+`"` {
			list[i] = quoted
		}
	}
	if len(list) > mostNames {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:mostNames], ", "), len(list)-mostNames)
	}
	return strings.Join(list, ", ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

const aDay = 24 * time.Hour

// daysLeft are whole days until a moment, negative after it.
func daysLeft(until, now time.Time) int {
	left := until.Sub(now)
	if left < 0 {
		return -int(-left/aDay) - 1
	}
	return int(left / aDay)
}

// left says how long something lasts.
func left(until, now time.Time) string {
	switch n := daysLeft(until, now); {
	case n < 0:
		return fmt.Sprintf("over since %s", until.UTC().Format(time.DateOnly))
	default:
		return fmt.Sprintf("%s left", plural(n, "day"))
	}
}

// zoneNames are those of the zones that fit.
func (s *Seen) zoneNames(fits func(zone) bool) []string {
	var list []string
	for _, z := range s.Config.Zones {
		if fits(z) {
			list = append(list, z.Name)
		}
	}
	return list
}

package policy

import (
	"fmt"
	"slices"
	"time"

	"sallyport/config"
)

// Waiver is a finding that somebody answers for, for a reason, until a day. From
// the day after it is loud and counts for nothing.
type Waiver struct {
	Rule    string    `json:"rule"`
	Subject string    `json:"subject"` // its name in the report; "*": all
	Host    string    `json:"host,omitempty"`
	Reason  string    `json:"reason"`
	Owner   string    `json:"owner"`
	Expires time.Time `json:"expires"` // last day in force, as midnight UTC at its start
}

// Expired tells whether the waiver's last day is over.
func (w *Waiver) Expired(now time.Time) bool { return !now.Before(w.Expires.AddDate(0, 0, 1)) }

// Covers tells whether the waiver speaks of a finding, expired or not.
func (w *Waiver) Covers(rule, host, subject string) bool {
	return w.Rule == rule && (w.Subject == "*" || w.Subject == subject) && (w.Host == "" || w.Host == host)
}

// longestWaiver keeps a waiver from becoming a habit.
const longestWaiver = 366 * 24 * time.Hour

// writtenWaivers is a file of waivers as it is written.
type writtenWaivers struct {
	Waivers []writtenWaiver `yaml:"waivers"`
}

// writtenWaiver is one waiver in a file.
type writtenWaiver struct {
	Rule    string `yaml:"rule"`
	Subject string `yaml:"subject"`
	Host    string `yaml:"host"`
	Reason  string `yaml:"reason"`
	Owner   string `yaml:"owner"`
	Expires string `yaml:"expires"`
}

// ParseWaivers reads a file of waivers strictly: every fault with its line, all
// at once. A waiver of more than a year from now is a fault.
func ParseWaivers(file string, b []byte, rules []string, now time.Time) ([]Waiver, config.Diagnostics) {
	var d writtenWaivers
	tree, found := decode(file, b, &d)
	if tree == nil {
		return nil, found
	}
	c := checker{file: file, tree: tree, rules: rules}
	var all []Waiver
	for i, w := range d.Waivers {
		all = append(all, c.waiver(fmt.Sprintf("waivers[%d]", i), w, now))
	}
	if len(c.found) > 0 {
		return nil, c.found
	}
	return all, nil
}

func (c *checker) waiver(key string, w writtenWaiver, now time.Time) Waiver {
	if !slices.Contains(c.rules, w.Rule) {
		c.fault(key, suggestRule(w.Rule, c.rules), "there is no rule %q", w.Rule)
	}
	for _, want := range []struct{ name, value, hint string }{
		{"subject", w.Subject, `the name in the report, or "*"`}, {"reason", w.Reason, "why it must be so"}, {"owner", w.Owner, "who answers for it"},
	} {
		if want.value == "" {
			c.fault(key, want.hint, "a waiver needs %s", want.name)
		}
	}
	day, err := time.Parse(time.DateOnly, w.Expires)
	switch {
	case err != nil:
		c.fault(key, "for example expires: 2027-03-31", "a waiver needs the day on which it expires")
	case day.Sub(now) > longestWaiver:
		c.fault(key, "choose a day within a year, and look at it again then", "a waiver until %s is no exception but a habit", w.Expires)
	}
	return Waiver{Rule: w.Rule, Subject: w.Subject, Host: w.Host, Reason: w.Reason, Owner: w.Owner, Expires: day}
}

package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"sallyport/config"
	"sallyport/protocol/suite"
)

// document is a policy file as it is written.
type document struct {
	Name       string            `yaml:"name"`
	Version    string            `yaml:"version"`
	Title      string            `yaml:"title"`
	Basis      string            `yaml:"basis"`
	Rules      map[string]rule   `yaml:"rules"`
	Bounds     map[string]bound  `yaml:"bounds"`
	Algorithms map[string]choice `yaml:"algorithms"`
}

type rule struct {
	Severity string `yaml:"severity"`
	Backing  `yaml:",inline"`
}

type bound struct {
	Value   string `yaml:"value"`
	Backing `yaml:",inline"`
}

type choice struct {
	Allow   []string `yaml:"allow"`
	Backing `yaml:",inline"`
}

// Backing says what a value rests on, as it is written.
type Backing struct {
	Clause  string  `yaml:"clause"`
	Checked Checked `yaml:"checked"`
}

// severities are the words of rules.
var severities = []string{"off", "info", "low", "medium", "high", "critical"}

// types are the words of the lists of algorithms.
var types = map[string]suite.TransformType{"encr": suite.Encr, "prf": suite.PRF, "integ": suite.Integ, "ke": suite.KE}

var policyName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// Parse reads a policy file strictly: every fault with its line, all at once.
// rules are the ids that exist.
func Parse(file string, b []byte, rules []string) (*Policy, config.Diagnostics) {
	var d document
	tree, found := decode(file, b, &d)
	if tree == nil {
		return nil, found
	}
	c := checker{file: file, tree: tree, rules: rules, own: d.Basis == ""}
	p := c.policy(&d)
	if len(c.found) > 0 {
		return nil, c.found
	}
	return p, nil
}

// checker turns what is written into a policy, and collects what is wrong.
type checker struct {
	file  string
	tree  *ast.File
	rules []string
	own   bool
	found config.Diagnostics
}

func (c *checker) fault(key, hint, format string, args ...any) {
	d := config.Diagnostic{File: c.file, Severity: config.Error, Key: key, Message: fmt.Sprintf(format, args...), Hint: hint}
	if path, err := yaml.PathString("$." + key); err == nil {
		if node, err := path.FilterFile(c.tree); err == nil && node != nil {
			d.Line, d.Col = node.GetToken().Position.Line, node.GetToken().Position.Column
		}
	}
	c.found = append(c.found, d)
}

func (c *checker) policy(d *document) *Policy {
	p := &Policy{Name: d.Name, Version: d.Version, Title: d.Title, Basis: d.Basis, rules: map[string]Entry{}, bounds: map[string]Entry{}, algorithms: map[suite.TransformType]Entry{}}
	c.head(d)
	for _, id := range slices.Sorted(maps.Keys(d.Rules)) {
		p.rules[id] = c.rule("rules."+id, id, d.Rules[id])
	}
	for _, name := range slices.Sorted(maps.Keys(d.Bounds)) {
		p.bounds[name] = c.bound("bounds."+name, name, d.Bounds[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.Algorithms)) {
		if t, ok := types[name]; ok {
			p.algorithms[t] = c.choice("algorithms."+name, t, d.Algorithms[name])
			continue
		}
		c.fault("algorithms."+name, "encr, prf, integ or ke", "%q is no type of algorithm", name)
	}
	return p
}

func (c *checker) head(d *document) {
	if !policyName.MatchString(d.Name) {
		c.fault("name", "for example our-vpn", "a policy needs a name of small letters, digits, dots and hyphens")
	}
	if _, err := time.Parse(time.DateOnly, d.Version); err != nil {
		c.fault("version", "for example 2026-11-26", "a policy's version is a date")
	}
	if d.Title == "" {
		c.fault("title", "one line for whoever chooses", "a policy needs a title")
	}
}

func (c *checker) entry(key string, b Backing) Entry {
	switch {
	case b.Checked == "" && c.own:
		b.Checked = Own
	case b.Checked == Own, b.Checked == Text && b.Clause != "", b.Checked == SecondHand:
	case b.Checked == Text:
		c.fault(key, "add clause: with the section", "a value that was read in the text names its section")
	case b.Checked == "":
		c.fault(key, "checked: text, second-hand or own", "a policy with a basis says of each value how it was checked")
	default:
		c.fault(key, "text, second-hand or own", "%q says nothing about how a value was checked", b.Checked)
	}
	return Entry{Clause: b.Clause, Checked: b.Checked}
}

func (c *checker) rule(key, id string, r rule) Entry {
	e := c.entry(key, r.Backing)
	if !slices.Contains(c.rules, id) {
		c.fault(key, suggestRule(id, c.rules), "there is no rule %q", id)
	}
	if !slices.Contains(severities, r.Severity) {
		c.fault(key+".severity", "one of "+list(severities), "%q is no severity", r.Severity)
	}
	e.Severity = r.Severity
	return e
}

func (c *checker) bound(key, name string, b bound) Entry {
	e := c.entry(key, b.Backing)
	u, ok := units[name]
	if !ok {
		c.fault(key, suggest(name, Bounds()), "there is no bound %q", name)
		return e
	}
	var err error
	if u == timeSpan {
		e.Duration, err = parseSpan(b.Value)
	} else {
		e.Number, err = strconv.Atoi(b.Value)
	}
	if err != nil || e.Duration < 0 || e.Number < 0 || u == yesOrNo && e.Number > 1 {
		c.fault(key+".value", map[unit]string{timeSpan: "for example 8h or 90d", octetsOrPackets: "a number", yesOrNo: "0 or 1"}[u], "%q is no value of %s", b.Value, name)
	}
	return e
}

func (c *checker) choice(key string, t suite.TransformType, l choice) Entry {
	e := c.entry(key, l.Backing)
	for _, word := range l.Allow {
		if a, ok := suite.ByKeyword(word); !ok || a.Type != t {
			c.fault(key+".allow", suggest(word, keywords(t)), "%q is no %s algorithm", word, t)
		}
	}
	e.Allow = l.Allow
	return e
}

func keywords(t suite.TransformType) []string {
	var words []string
	for _, a := range suite.All() {
		if a.Type == t {
			words = append(words, a.Keyword)
		}
	}
	return words
}

// suggest names what was meant, or everything that may stand here.
func suggest(written string, known []string) string {
	if near := config.Nearest(written, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "one of " + list(known)
}

// suggestRule names what was meant; the list of all rules is a page of its own.
func suggestRule(written string, rules []string) string {
	if near := config.Nearest(written, rules); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "sallyport audit rules lists them"
}

// parseSpan reads a duration of Go, or days: "90d".
func parseSpan(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err == nil && n > 100_000 {
			err = errors.New("too many days")
		}
		return time.Duration(n) * day, err
	}
	return time.ParseDuration(s)
}

// value is a bound as it is written.
func (e Entry) value(u unit) string {
	const day = 24 * time.Hour
	switch {
	case u != timeSpan:
		return strconv.Itoa(e.Number)
	case e.Duration > 2*day && e.Duration%day == 0:
		return strconv.Itoa(int(e.Duration/day)) + "d"
	}
	text := e.Duration.String() // 8h0m0s
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

func list(words []string) string { return strings.Join(words, ", ") }

package ipsecconf

import (
	"slices"
	"strings"

	"sallyport/posture"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
)

// conn is a section with all that is in force in it: its own settings, those of
// the sections it takes by "also=", and those of "%default".
type conn struct {
	*reader
	name     string
	at       posture.Pos
	dead     bool
	settings map[string]setting
}

// setup is "config setup", empty where there is none.
func (c *config) setup(r *reader) *conn {
	s := c.byName["config setup"]
	if s == nil {
		s = &section{kind: "config", name: "setup"}
		if len(c.order) > 0 {
			s.at.File = c.order[0].at.File
		}
	}
	return c.resolve(r, s)
}

// resolve makes a section whole. What stands nearer wins: the section itself,
// then what it takes by "also=", then "%default". Of several that it takes the
// first counts for Libreswan, and the last for strongSwan.
func (c *config) resolve(r *reader, s *section) *conn {
	out := &conn{reader: r, name: s.name, at: s.at, dead: s.dead, settings: map[string]setting{}}
	w := walk{config: c, into: out, seen: map[*section]bool{}}
	def := c.byName[s.kind+" %default"]
	if r.libreswan() {
		w.take(s, nil)
		if def != nil && s.kind != "config" && !w.seen[def] {
			w.take(def, nil)
		}
		return out
	}
	w.settings(s)
	for _, parent := range w.parents(s, nil) {
		w.settings(parent)
	}
	if def != nil && s.kind != "config" {
		w.settings(def)
	}
	return out
}

// walk takes the settings of sections, each once.
type walk struct {
	*config
	into  *conn
	seen  map[*section]bool
	steps int // of the search for parents
}

// settings takes those that nothing nearer has.
func (w *walk) settings(s *section) {
	for key, v := range s.settings {
		if _, ok := w.into.settings[key]; !ok {
			w.into.settings[key] = v
		}
	}
}

// mostSteps of the search for the parents of one section, which can take each other
// in ways that grow exponentially.
const mostSteps = 4 * mostAlso

// parents are the sections that one takes of strongSwan's, those that count first:
// the last "also=" with its own parents, then the one before it. What comes twice
// counts where it is last (resolve_also_single of starter's conf_parser.c).
func (w *walk) parents(s *section, path []*section) []*section {
	path = append(path, s)
	var all []*section
	for _, also := range slices.Backward(s.also) {
		next := w.parent(s.kind, also, path)
		if next == nil {
			continue
		}
		if w.steps++; w.steps > mostSteps || len(path) > mostAlso || len(all) > mostAlso {
			w.tooMany(about{also.at, also.value})
			break
		}
		all = append(append(all, next), w.parents(next, path)...)
	}
	var once []*section
	for i, parent := range all {
		if !contains(all[i+1:], parent) {
			once = append(once, parent)
		}
	}
	return once
}

// parent is the section that "also=" names, if there is one. Everybody takes
// "%default" last, whatever is written.
func (w *walk) parent(kind string, also setting, path []*section) *section {
	if also.value == "" || also.value == "%default" || path[0].name == "%default" {
		return nil
	}
	next := w.byName[kind+" "+also.value]
	switch {
	case next == nil:
		w.into.once(posture.Malformed, about{also.at, also.value}, "also=%s: there is no such section", source.Quote(also.value))
	case contains(path, next):
		w.into.once(posture.Malformed, about{also.at, also.value}, "also=%s goes in a circle", source.Quote(also.value))
		return nil
	}
	return next
}

func (w *walk) tooMany(a about) {
	w.into.once(posture.Limit, a, "%s takes more than %d sections: the rest was left out", source.Quote(w.into.name), mostAlso)
}

// take is how Libreswan takes sections.
func (w *walk) take(s *section, path []*section) {
	w.seen[s] = true
	w.settings(s)
	path = append(path, s)
	for _, also := range s.also {
		if notation.Placeholder(also.value) { // spaces are a part of the name
			w.follow(s.kind, also.value, also.at, path)
			continue
		}
		for name := range strings.FieldsSeq(also.value) {
			w.follow(s.kind, name, also.at, path)
		}
	}
}

func (w *walk) follow(kind, name string, at posture.Pos, path []*section) {
	next := w.byName[kind+" "+name]
	switch {
	case next == nil:
		w.into.once(posture.Malformed, about{at, name}, "also=%s: there is no such section", source.Quote(name))
	case contains(path, next):
		w.into.once(posture.Malformed, about{at, name}, "also=%s goes in a circle", source.Quote(name))
	case w.seen[next]:
		// Twice the same section: nothing new.
	case len(w.seen) > mostAlso:
		w.tooMany(about{at, name})
	default:
		w.take(next, path)
	}
}

func contains(path []*section, s *section) bool {
	for _, p := range path {
		if p == s {
			return true
		}
	}
	return false
}

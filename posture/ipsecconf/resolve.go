package ipsecconf

import (
	"strings"

	"sallyport/posture"
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
// then what it takes by "also=" in the order written, then "%default".
func (c *config) resolve(r *reader, s *section) *conn {
	out := &conn{reader: r, name: s.name, at: s.at, dead: s.dead, settings: map[string]setting{}}
	w := walk{config: c, into: out, seen: map[*section]bool{}}
	w.take(s, nil)
	if d := c.byName[s.kind+" %default"]; d != nil && s.kind != "config" && !w.seen[d] {
		w.take(d, nil)
	}
	return out
}

// walk takes the settings of sections, each once.
type walk struct {
	*config
	into *conn
	seen map[*section]bool
}

func (w *walk) take(s *section, path []*section) {
	w.seen[s] = true
	for key, v := range s.settings {
		if _, ok := w.into.settings[key]; !ok {
			w.into.settings[key] = v
		}
	}
	path = append(path, s)
	for _, also := range s.also {
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
		w.into.once(posture.Limit, about{at, name}, "%s takes more than %d sections: the rest was left out", source.Quote(w.into.name), mostAlso)
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

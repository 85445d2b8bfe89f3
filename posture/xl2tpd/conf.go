package xl2tpd

import (
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// entry is one line "key = value".
type entry struct {
	value string
	text  string // the whole line, without its comment
	at    posture.Pos
}

// section is [global], [lns NAME] or [lac NAME], with all that several sections
// of the same name say together.
type section struct {
	kind string // "global", "lns", "lac"
	name string
	at   posture.Pos
	keys map[string]entry // the last of each
}

// The keys by the section that may have them, from the table of file.c. Those
// that bear on security are used in listener.go.
var keys = map[string][]string{
	"global": {"listen-addr", "port", "saref refinfo", "rand source", "auth file", "access control", "force userspace", "debug avp", "debug network",
		"debug packet", "debug tunnel", "debug state", "ipsec saref", "max retries", "cap backoff"},
	"lns": {"exclusive", "ip range", "no ip range", "lac", "no lac", "assign ip", "local ip", "local ip range", "length bit", "hidden bit", "require pap",
		"require chap", "require authentication", "require auth", "refuse pap", "refuse chap", "refuse authentication", "refuse auth",
		"unix authentication", "unix auth", "name", "hostname", "ppp debug", "pass peer", "pppoptfile", "call rws", "tunnel rws", "flow bit", "challenge",
		"tx bps", "rx bps", "bps", "max retries"},
	"lac": {"lns", "autodial", "redial", "redial timeout", "max redials", "local ip", "remote ip", "defaultroute", "length bit", "hidden bit", "require pap",
		"require chap", "require authentication", "require auth", "refuse pap", "refuse chap", "refuse authentication", "refuse auth", "name", "hostname",
		"ppp debug", "pass peer", "pppoptfile", "call rws", "tunnel rws", "flow bit", "challenge", "tx bps", "rx bps", "bps", "max retries", "password"},
}

var aliases = map[string]string{"require auth": "require authentication", "refuse auth": "refuse authentication", "unix auth": "unix authentication"}

// mostSections is far above what a gateway has.
const mostSections = 1_000

// parse reads the sections in their order. A section "default" is one like the
// others: the manual page has its values apply to those that follow, but the
// source starts each section from the built-in defaults, and uses [lns default]
// for callers that no other section takes.
func (r *reader) parse(t *source.Text) (global *section, sections []*section) {
	global = &section{kind: "global", at: t.At(1, 1), keys: map[string]entry{}}
	byName := map[string]*section{}
	var current *section
	for n, line := range r.in.Lines(t) {
		code, _, _ := strings.Cut(line, ";")
		code = strings.TrimSpace(code)
		at := t.At(n, 1+len(line)-len(strings.TrimLeft(line, " \t")))
		switch {
		case code == "":
		case code[0] == '[':
			kind, name, ok := header(code)
			if !ok {
				r.in.Note(posture.Unparsed, at, "unknown section: %s", setting.Shown(strings.Trim(code, "[]")))
				current = nil
				continue
			}
			if kind == "global" {
				current = global
				continue
			}
			key := kind + " " + strings.ToLower(name)
			if current = byName[key]; current == nil {
				if len(sections) == mostSections {
					r.in.Note(posture.Limit, at, "more than %d sections: the rest is left out", mostSections)
					return global, sections
				}
				current = &section{kind: kind, name: name, at: at, keys: map[string]entry{}}
				byName[key] = current
				sections = append(sections, current)
			}
		case current == nil:
			r.in.Note(posture.Unparsed, at, "a line outside the sections that are known")
		default:
			r.line(current, code, at)
		}
	}
	return global, sections
}

// header reads "[lns NAME]".
func header(code string) (kind, name string, ok bool) {
	inside, _, closed := strings.Cut(code[1:], "]")
	kind, name, _ = strings.Cut(inside, " ")
	kind = strings.ToLower(kind)
	return kind, strings.TrimSpace(name), closed && keys[kind] != nil
}

func (r *reader) line(s *section, code string, at posture.Pos) {
	key, value, ok := strings.Cut(code, "=")
	written := strings.TrimSpace(key)
	key = strings.ToLower(written)
	switch {
	case !ok:
		r.in.Note(posture.Unparsed, at, "a line without =")
	case !slices.Contains(keys[s.kind], key):
		r.in.Note(posture.Unparsed, at, "unknown in [%s]: %s", s.kind, setting.Key(written, value))
	default:
		if a, ok := aliases[key]; ok {
			key = a
		}
		if key == "password" {
			code = key
		}
		s.keys[key] = entry{value: strings.TrimSpace(value), text: code, at: at}
	}
}

// flag reads a yes or no; known is false where it is not written.
func (r *reader) flag(s *section, key string) (v posture.Value[bool]) {
	e, ok := s.keys[key]
	if !ok {
		return v
	}
	switch strings.ToLower(e.value) {
	case "yes", "y", "true":
		return posture.Written(true, e.at, e.text)
	case "no", "n", "false":
		return posture.Written(false, e.at, e.text)
	}
	r.in.Note(posture.Malformed, e.at, "neither yes nor no: %s", key)
	delete(s.keys, key) // said once
	return v
}

// or is a flag with xl2tpd's default.
func (r *reader) or(s *section, key string, d bool) posture.Value[bool] {
	if v := r.flag(s, key); v.Known() {
		return v
	}
	return posture.ByDefault(d, s.at, "default of xl2tpd")
}

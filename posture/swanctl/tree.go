package swanctl

import (
	"slices"
	"strings"

	"sallyport/posture"
)

// section is one section of the settings as the files have it: those of the same
// name in the same place are one, and a later value replaces an earlier one.
type section struct {
	name     string
	at       posture.Pos
	again    []posture.Pos // where it is opened once more
	keys     []string
	settings map[string]setting
	order    []string
	sections map[string]*section
	bases    []base
}

// setting is the value of a key. One that is written without a value is empty:
// the default applies, also where a base has a value.
type setting struct {
	value  string
	at     posture.Pos
	quoted bool // as a whole, in one string
	cut    bool // an unquoted value ends at a # that follows without a space
	spaced bool // parts with white space between them became one
}

// base is a reference to a section whose settings are inherited.
type base struct {
	name string
	at   posture.Pos
}

func newSection(name string, at posture.Pos) *section {
	return &section{name: name, at: at, settings: map[string]setting{}, sections: map[string]*section{}}
}

// mostAgain bounds the places that are kept of one section.
const mostAgain = 64

// sub is the subsection of a name, which is made if it is not there.
func (s *section) sub(name string, at posture.Pos) *section {
	if sub, ok := s.sections[name]; ok {
		if len(sub.again) < mostAgain {
			sub.again = append(sub.again, at)
		}
		return sub
	}
	sub := newSection(name, at)
	s.sections[name] = sub
	s.order = append(s.order, name)
	return sub
}

func (s *section) set(key string, v setting) {
	if _, ok := s.settings[key]; !ok {
		s.keys = append(s.keys, key)
	}
	s.settings[key] = v
}

// find walks down a dotted name.
func (s *section) find(name string) *section {
	for part := range strings.SplitSeq(name, ".") {
		if s = s.sections[part]; s == nil {
			return nil
		}
	}
	return s
}

// tree is the settings of one daemon or of one swanctl.conf.
type tree struct {
	root  *section
	used  map[string]bool   // top sections that have bases in them
	steps int               // of the search for bases; what is left
	short func(posture.Pos) // told once when there are no more
}

// Bounds of the search for what is inherited: sections can inherit from each
// other in ways that grow exponentially.
const (
	mostSteps  = 1 << 23
	mostLayers = 200 // of one view
)

func newTree() *tree {
	return &tree{root: newSection("", posture.Pos{}), used: map[string]bool{}, steps: mostSteps}
}

// view is a section with all that it inherits, nearest first. A view of nothing
// has no settings.
type view struct {
	tree   *tree
	layers []*section
	above  posture.Pos // of the section that this one would be in
}

func (t *tree) view() view { return view{tree: t, layers: []*section{t.root}} }

// at is where the section stands, or the one that does not have it.
func (v view) at() posture.Pos {
	if len(v.layers) == 0 {
		return v.above
	}
	return v.layers[0].at
}

// again are the other places of the section: what stands later wins.
func (v view) again() []posture.Pos {
	if len(v.layers) == 0 {
		return nil
	}
	return v.layers[0].again
}

func (v view) exists() bool { return len(v.layers) > 0 }

// sub is a subsection, of which every layer may have a part.
func (v view) sub(name string) view {
	out := view{tree: v.tree, above: v.at()}
	for _, s := range v.layers {
		if sub, ok := s.sections[name]; ok {
			out.layers = v.tree.inherit(out.layers, sub)
		}
	}
	return out
}

// path is sub, one after the other.
func (v view) path(names ...string) view {
	for _, name := range names {
		v = v.sub(name)
	}
	return v
}

// inherit adds a section and its bases, left to right, each once.
func (t *tree) inherit(layers []*section, s *section) []*section {
	if t.steps--; t.steps < 0 || len(layers) == mostLayers {
		t.tell(s.at)
		return layers
	}
	if slices.Contains(layers, s) {
		return layers
	}
	layers = append(layers, s)
	for _, b := range s.bases {
		if to := t.root.find(b.name); to != nil {
			top, _, _ := strings.Cut(b.name, ".")
			t.used[top] = true
			layers = t.inherit(layers, to)
		}
	}
	return layers
}

func (t *tree) tell(at posture.Pos) {
	if t.short != nil {
		t.short(at)
		t.short = nil
	}
}

// get is the value in force; false if there is none, or an empty one.
func (v view) get(key string) (setting, bool) {
	for _, s := range v.layers {
		if set, ok := s.settings[key]; ok {
			return set, set.value != ""
		}
	}
	return setting{}, false
}

// names are those of all subsections, those of the section itself first, in the
// order of the file.
func (v view) names() []string {
	return v.distinct(func(s *section) []string { return s.order })
}

// keys are those of all settings.
func (v view) keys() []string {
	return v.distinct(func(s *section) []string { return s.keys })
}

func (v view) distinct(of func(*section) []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, s := range v.layers {
		for _, name := range of(s) {
			if v.tree.steps--; v.tree.steps < 0 {
				v.tree.tell(s.at)
				return all
			}
			if !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	return all
}

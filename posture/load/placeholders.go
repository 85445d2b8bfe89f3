package load

import (
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// leaveOut takes the masks of what was made for other people's eyes out of the
// secrets: they say nothing about the key that is in use.
func leaveOut(in *source.Input) {
	for i := range in.Host.Secrets {
		s := &in.Host.Secrets[i]
		if s.Storage == posture.Clear && setting.LeftOut(string(s.Value)) {
			s.Storage, s.Value, s.Traps, s.Backup = posture.Elsewhere, nil, nil, false
			in.Note(posture.Opaque, s.At, "the secret of %q is left out", source.Quote(s.Name))
		}
	}
}

// algorithms looks at the words that are none in every list of them: a placeholder
// leaves the whole list unknown, and any other word is noted.
func algorithms(in *source.Input) {
	told := map[string]bool{}
	look := func(d posture.Dialect, list *posture.Value[[]posture.Proposal], implicit *posture.Value[bool]) {
		for _, p := range list.V {
			if slices.ContainsFunc(p.Unknown, fillIn) {
				once(in, told, list.At, "the file is a template: which algorithms it will have is not here")
				*list, *implicit = posture.Value[[]posture.Proposal]{}, posture.Value[bool]{}
				return
			}
			for _, word := range p.Unknown {
				if !told[word] && len(told) < mostWords && slices.Contains(silent, d) {
					told[word] = true
					in.Note(posture.Unparsed, p.At, "%q is an algorithm that is in no registry", source.Quote(word))
				}
			}
		}
	}
	for i := range in.Host.Connections {
		c := &in.Host.Connections[i]
		look(c.Dialect, &c.IKE, &c.IKEImplicit)
		for k := range c.Children {
			look(c.Dialect, &c.Children[k].ESP, &c.Children[k].ESPImplicit)
		}
	}
}

// networks leaves selectors and resolvers unknown where one of them is a placeholder.
// That there is a pool is known, whatever its addresses will be.
func networks(in *source.Input) {
	told := map[string]bool{}
	look := func(v *posture.Value[[]string]) {
		if slices.ContainsFunc(v.V, setting.Placeholder) {
			once(in, told, v.At, "the file is a template: which networks and addresses it will have is not here")
			*v = posture.Value[[]string]{}
		}
	}
	for i := range in.Host.Connections {
		c := &in.Host.Connections[i]
		look(&c.DNS)
		for k := range c.Children {
			look(&c.Children[k].LocalTS)
			look(&c.Children[k].RemoteTS)
		}
	}
}

// once notes for each file what is not in it.
func once(in *source.Input, told map[string]bool, at posture.Pos, text string) {
	if !told["in "+at.File] {
		told["in "+at.File] = true
		in.Note(posture.Opaque, at, "%s", text)
	}
}

// fillIn tells whether a word of a list of algorithms is a part of a placeholder;
// no algorithm's name has those signs.
func fillIn(word string) bool { return strings.ContainsAny(word, "<>${}@%") }

// silent are the dialects whose readers say nothing themselves of a word that is no
// algorithm, and for which no rule does (CRY-025).
var silent = []posture.Dialect{posture.RouterOS, posture.IOS, posture.FortiOS, posture.PfSense, posture.OPNsense, posture.Windows}

// mostWords bounds the words that are noted.
const mostWords = 64

package swanctl

import (
	"bytes"
	"strings"

	"sallyport/posture"
	notation "sallyport/posture/setting"
)

// What stands for octets of placeholders that have a meaning in the grammar, so
// that a template can be read as what it will be.
const (
	special = "{}#=:,\" \t"
	stands  = "\x01\x02\x03\x04\x05\x06\x07\x0e\x0f"
)

// written puts what placeholders are made of back into a word.
var written = func() *strings.Replacer {
	var pairs []string
	for i := range special {
		pairs = append(pairs, stands[i:i+1], special[i:i+1])
	}
	return strings.NewReplacer(pairs...)
}()

// untemplate hides the placeholders of a template from the grammar, whose braces
// would be sections to it. Lines of nothing but placeholders are the template's own
// and become empty. Those in comments and strings stay as they are.
func (f *file) untemplate() {
	out, found := bytes.Clone(f.rest), false
	for line := range bytes.Lines(out) {
		found = hide(line) || found
	}
	if found {
		f.rest, f.template = out, true
	}
	if found && !f.text.Template {
		f.in.Note(posture.Opaque, posture.Pos{File: f.text.Show}, "the file is a template: what its placeholders stand for is not here")
	}
}

// hide works on one line in place, and tells whether there was anything to hide.
func hide(line []byte) bool {
	all := notation.Placeholders(line)
	alone := notation.NothingBeside(line, all)
	hidden, last, quotes := false, 0, 0
	for _, at := range all {
		between := line[last:at[0]]
		quotes += bytes.Count(between, []byte{'"'})
		if bytes.IndexByte(between, '#') >= 0 || quotes%2 == 1 {
			break
		}
		hidden, last = true, at[1]
		for i := at[0]; i < at[1]; i++ {
			if k := strings.IndexByte(special, line[i]); alone {
				line[i] = ' '
			} else if k >= 0 {
				line[i] = stands[k]
			}
		}
	}
	return hidden
}

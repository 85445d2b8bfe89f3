package source

import (
	"bytes"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// statements empties the lines of a template that are nothing but the template's
// own, in a copy: to a reader of words they would be accounts and secrets. Octets stay
// where they are. It tells the first such line; 0: there is none.
func statements(data []byte) ([]byte, int) {
	if !bytes.Contains(data, []byte("{%")) && !bytes.Contains(data, []byte("<%")) && !bytes.Contains(data, []byte("{{")) {
		return data, 0
	}
	out, first, n := bytes.Clone(data), 0, 0
	for line := range bytes.Lines(out) {
		n++
		if !setting.TemplateLine(line) {
			continue
		}
		if first == 0 {
			first = n
		}
		for i, c := range line {
			if c != '\r' && c != '\n' {
				line[i] = ' '
			}
		}
	}
	return out, first
}

// untemplated is the text without the lines that are a template's own.
func (in *Input) untemplated(t *Text) *Text {
	data, line := statements(t.Data)
	if line > 0 {
		t.Data, t.Template = data, true
		in.Note(posture.Opaque, t.At(line, 1), "the file is a template: its own lines, from this one on, are left out, and what its placeholders stand for is not here")
	}
	return t
}

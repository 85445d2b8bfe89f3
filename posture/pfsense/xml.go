package pfsense

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Bounds of a document. The configuration of a large site has some ten
// thousand elements, ten deep.
const (
	mostElements = 300_000
	mostDepth    = 40
	mostPieces   = 64 // texts of one element, between its children and comments
)

// element is one element of the configuration. All methods may be called on
// nil, which is an element that is not there.
type element struct {
	name     string
	uuid     string // OPNsense's models refer to it
	text     string // outside of its children, trimmed
	at       posture.Pos
	children []*element
	pieces   int
	part     bool                // of the root: the file has one area of the configuration
	index    map[string]*element // the first child of each name, once they are many
}

// few is how many children are searched one by one.
const few = 8

func (e *element) add(c *element) {
	e.children = append(e.children, c)
	switch {
	case e.index != nil && e.index[c.name] == nil:
		e.index[c.name] = c
	case e.index == nil && len(e.children) > few:
		e.index = map[string]*element{}
		for _, c := range slices.Backward(e.children) {
			e.index[c.name] = c
		}
	}
}

func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	if e.index != nil {
		return e.index[name]
	}
	if i := slices.IndexFunc(e.children, func(c *element) bool { return c.name == name }); i >= 0 {
		return e.children[i]
	}
	return nil
}

// parse reads as much of the document as is sound. encoding/xml does not read
// declarations of entities, so that none can grow.
func parse(in *source.Input, t *source.Text) *element {
	d := xml.NewDecoder(bytes.NewReader(t.Data))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	p := &parser{in: in, t: t, d: d, root: &element{}}
	p.open = []*element{p.root}
	p.read()
	for _, e := range p.root.children {
		switch e.name {
		case "pfsense", "opnsense":
			return e
		case area:
			root := &element{name: "pfsense", at: e.at, part: true}
			root.add(e)
			return root
		}
	}
	return nil
}

type parser struct {
	in    *source.Input
	t     *source.Text
	d     *xml.Decoder
	root  *element
	open  []*element // from the root inwards
	count int
	deep  int // elements beyond the bound of depth
}

func (p *parser) read() {
	for {
		line, col := p.d.InputPos()
		at := p.t.At(line, col)
		token, err := p.d.Token()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.in.Note(posture.Malformed, at, "is not sound XML from here on: the rest was not read")
			}
			return
		}
		if !p.take(token, at) {
			return
		}
	}
}

func (p *parser) take(token xml.Token, at posture.Pos) bool {
	inner := p.open[len(p.open)-1]
	switch token := token.(type) {
	case xml.StartElement:
		if p.count++; p.count > mostElements {
			p.in.Note(posture.Limit, at, "more than %d elements: the rest was not read", mostElements)
			return false
		}
		if len(p.open) > mostDepth {
			if p.deep++; p.deep == 1 {
				p.in.Note(posture.Limit, at, "more than %d elements inside each other: not read", mostDepth)
			}
			return true
		}
		e := &element{name: token.Name.Local, at: at}
		for _, a := range token.Attr {
			if a.Name.Local == "uuid" {
				e.uuid = a.Value
			}
		}
		inner.add(e)
		p.open = append(p.open, e)
	case xml.EndElement:
		switch {
		case p.deep > 0:
			p.deep--
		case len(p.open) > 1:
			p.open = p.open[:len(p.open)-1]
		}
	case xml.CharData:
		if p.deep > 0 {
			break
		}
		p.words(inner, string(token))
	}
	return true
}

// words adds to the text of an element, a bounded number of times: each copies
// what is there.
func (p *parser) words(e *element, s string) {
	if s = strings.TrimSpace(s); s == "" || len(p.open) < 2 {
		return
	}
	if e.pieces++; e.pieces <= mostPieces {
		e.text += s
	} else if e.pieces == mostPieces+1 {
		p.in.Note(posture.Limit, e.at, "<%s> has more than %d pieces of text: the rest was not read", source.Quote(e.name), mostPieces)
	}
}

// get is the first element of a path below this one.
func (e *element) get(path ...string) *element {
	for _, name := range path {
		e = e.child(name)
	}
	return e
}

// all are the children of one name.
func (e *element) all(name string) []*element {
	if e == nil {
		return nil
	}
	var found []*element
	for _, c := range e.children {
		if c.name == name {
			found = append(found, c)
		}
	}
	return found
}

// value is the text of the element at a path; empty where it is not there.
func (e *element) value(path ...string) string {
	if e = e.get(path...); e == nil {
		return ""
	}
	return e.text
}

// set tells whether a switch is on as pfSense has it: the element is there,
// empty or not. OPNsense writes 0 into one that is off.
func (e *element) set(path ...string) bool {
	e = e.get(path...)
	return e != nil && e.text != "0" && e.text != "no"
}

// on tells whether a switch of OPNsense's models is on; it is as the model has it
// where it is not written.
func (e *element) on(name string, otherwise bool) bool {
	c := e.get(name)
	if c == nil {
		return otherwise
	}
	return c.text == "1"
}

// where is the position of the element at a path, or of the nearest one above
// it that is there.
func (e *element) where(path ...string) posture.Pos {
	for len(path) > 0 {
		if c := e.get(path...); c != nil {
			return c.at
		}
		path = path[:len(path)-1]
	}
	if e == nil {
		return posture.Pos{}
	}
	return e.at
}

// list takes a text with commas, blanks or lines between its words apart. Of one
// that no person wrote, the beginning is enough.
func list(s string) []string {
	s = s[:min(len(s), 16<<10)]
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' })
}

// most is how many proposals, hashes or groups of one setting are read.
const most = 64

// capped cuts a list that no person wrote.
func capped[T any](all []T) []T { return all[:min(len(all), most)] }

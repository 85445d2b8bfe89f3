package windows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Bounds of a document.
const (
	mostDepth = 32      // ConvertTo-Json goes 100 deep at most, and these objects a few
	mostNodes = 200_000 // values
)

// node is a JSON value with its place.
type node struct {
	at     posture.Pos
	list   []node
	object []property
	text   string // of a text, a number or a word
	kind   kind
}

type kind byte

const (
	isNull kind = iota
	isText
	isNumber
	isBool
	isList
	isObject
)

func (n node) null() bool { return n.kind == isNull }

type property struct {
	name  string
	at    posture.Pos
	value node
}

// object is one object of a cmdlet.
type object struct {
	at         posture.Pos
	properties []property
}

// get finds a property that has a value. PowerShell does not tell cases apart.
func (o object) get(name string) (property, bool) {
	i := slices.IndexFunc(o.properties, func(p property) bool { return strings.EqualFold(p.name, name) && !p.value.null() })
	if i < 0 {
		return property{}, false
	}
	return o.properties[i], true
}

// where is the place of a property, with a value or without, or that of the object.
func (o object) where(name string) posture.Pos {
	if i := slices.IndexFunc(o.properties, func(p property) bool { return strings.EqualFold(p.name, name) }); i >= 0 {
		return o.properties[i].at
	}
	return o.at
}

// text is a property that is a text and not empty.
func (o object) text(name string) (string, bool) {
	p, ok := o.get(name)
	return p.value.text, ok && p.value.text != ""
}

// words are a property's values: of a list, or of one text with commas, which
// PowerShell makes of flags.
func (p property) words() []string {
	if p.value.kind != isList {
		return fields(p.value.text)
	}
	var out []string
	for _, n := range p.value.list {
		out = append(out, fields(n.text)...)
	}
	return out
}

func fields(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == '{' || c == '}' })
}

// parser builds nodes from tokens, which the library checks.
type parser struct {
	r     *reader
	dec   *json.Decoder
	nodes int
	seen  int64 // offset up to which lines are counted
	line  int
	begin int64 // offset of the line's beginning
}

var (
	errDeep = errors.New("objects are nested too deep")
	errMany = errors.New("has too many values")
)

// parse reads the file as one JSON value. What is wrong with it is noted, and
// nothing is then read.
func (r *reader) parse() (node, bool) {
	p := &parser{r: r, dec: json.NewDecoder(bytes.NewReader(r.text.Data)), line: 1}
	p.dec.UseNumber()
	n, err := p.value(0)
	if err == nil {
		if _, more := p.dec.Token(); more == nil {
			r.in.Note(posture.Malformed, p.at(), "something follows after the end of the JSON document: not read")
		}
		return n, true
	}
	kind := posture.Malformed
	if errors.Is(err, errDeep) || errors.Is(err, errMany) {
		kind = posture.Limit
	}
	r.in.Note(kind, p.at(), "is not read: %v", reason(err))
	return node{}, false
}

// reason leaves out what the library quotes of the file.
func reason(err error) error {
	if errors.Is(err, errDeep) || errors.Is(err, errMany) {
		return err
	}
	return errors.New("it is no JSON, or ends too early")
}

// at is the place of what was read last, or of what comes next.
func (p *parser) at() posture.Pos {
	data := p.r.text.Data
	offset := min(p.dec.InputOffset(), int64(len(data)))
	for offset < int64(len(data)) && strings.IndexByte(" \t\r\n,:", data[offset]) >= 0 {
		offset++
	}
	chunk := data[min(p.seen, offset):offset]
	if n := bytes.Count(chunk, []byte("\n")); n > 0 {
		p.line += n
		p.begin = p.seen + int64(bytes.LastIndexByte(chunk, '\n')) + 1
	}
	p.seen = max(p.seen, offset)
	return p.r.text.At(p.line, int(offset-p.begin)+1)
}

func (p *parser) value(depth int) (node, error) {
	n := node{at: p.at()}
	if depth > mostDepth {
		return n, errDeep
	}
	if p.nodes++; p.nodes > mostNodes {
		return n, errMany
	}
	token, err := p.dec.Token()
	if err != nil {
		return n, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return p.array(n, depth)
		}
		return p.members(n, depth)
	case string:
		n.kind, n.text = isText, t
	case json.Number:
		n.kind, n.text = isNumber, t.String()
	case bool:
		n.kind, n.text = isBool, fmt.Sprint(t)
	}
	return n, nil
}

func (p *parser) array(n node, depth int) (node, error) {
	n.kind, n.list = isList, []node{}
	for p.dec.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.list = append(n.list, item)
	}
	_, err := p.dec.Token()
	return n, err
}

func (p *parser) members(n node, depth int) (node, error) {
	n.kind, n.object = isObject, []property{}
	for p.dec.More() {
		at := p.at()
		token, err := p.dec.Token()
		if err != nil {
			return n, err
		}
		name, _ := token.(string)
		value, err := p.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.object = append(n.object, property{name, at, unwrap(value)})
	}
	_, err := p.dec.Token()
	return n, err
}

// unwrap takes the list or the value out of the objects that ConvertTo-Json of
// PowerShell 5 makes of CIM values: {"value": [...], "Count": 2}, and of enums
// with their words: {"Value": 4, "value": "Ikev2"}.
func unwrap(n node) node {
	if n.kind != isObject {
		return n
	}
	o := object{properties: n.object}
	if v, ok := o.get("value"); ok && len(n.object) <= 2 {
		if _, counted := o.get("Count"); counted || len(n.object) == 1 {
			return v.value
		}
	}
	return n
}

// yes reads a property that is true or false.
func (r *reader) yes(o object, name string) posture.Value[bool] {
	p, ok := o.get(name)
	if !ok {
		return posture.Value[bool]{}
	}
	switch strings.ToLower(p.value.text) {
	case "true", "1":
		return posture.Written(true, p.at, p.value.text)
	case "false", "0":
		return posture.Written(false, p.at, p.value.text)
	}
	r.unparsed(p.at, "%s is neither true nor false", source.Quote(p.name))
	return posture.Value[bool]{}
}

// number reads a property that is a number without sign.
func (r *reader) number(o object, names ...string) posture.Value[uint64] {
	for _, name := range names {
		p, ok := o.get(name)
		if !ok {
			continue
		}
		var n uint64
		if _, err := fmt.Sscanf(p.value.text, "%d", &n); err != nil {
			r.unparsed(p.at, "%s is not a number", source.Quote(p.name))
			return posture.Value[uint64]{}
		}
		return posture.Written(n, p.at, p.value.text)
	}
	return posture.Value[uint64]{}
}

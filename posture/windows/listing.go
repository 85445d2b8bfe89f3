package windows

import (
	"regexp"
	"strings"

	"sallyport/posture"
)

// What Format-List writes, or PowerShell by itself of an object with many
// properties: a property in each line, an empty line between objects, and values
// that go on in lines that begin with blanks.
var (
	listed   = regexp.MustCompile(`(?m)^(L2tpIPsecAuth|Ikev2Ports|L2tpPorts|ResponderAuthenticationMethod|TunnelAuthProtocolsAdvertised|CipherTransformConstants)(\([A-Za-z]+\))?[ \t]*:`)
	listLine = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*)(?:\([A-Za-z]+\))?[ \t]*:(?:[ \t]+(.*))?$`)
)

func isListing(text []byte) bool { return listed.Match(text) }

// listing reads the objects of a listing that are known by a property of theirs.
func (r *reader) listing() []node {
	l := lister{reader: r, now: node{kind: isObject}}
	for n, line := range r.in.Lines(r.text) {
		if !l.line(strings.TrimRight(line, " \t\r"), r.text.At(n, 1)) {
			break
		}
	}
	l.end()
	return l.all
}

// lister is the object of a listing that is read at the moment, and those before it.
type lister struct {
	*reader
	all   []node
	now   node
	text  strings.Builder // of the last property, which may go on in the next line
	count int
}

// line reads one; false: there are too many properties.
func (l *lister) line(line string, at posture.Pos) bool {
	m := listLine.FindStringSubmatch(line)
	switch {
	case line == "", strings.HasPrefix(line, "PS ") && strings.Contains(line, ">"): // the prompt, with the command
		l.end()
	case m != nil:
		if l.count++; l.count > mostNodes {
			l.in.Note(posture.Limit, at, "has too many values: the rest was not read")
			return false
		}
		l.value()
		if len(l.now.object) == 0 {
			l.now.at = at
		}
		l.now.object = append(l.now.object, property{name: m[1], at: at})
		l.text.WriteString(m[2])
	case len(l.now.object) > 0 && (line[0] == ' ' || line[0] == '\t'):
		l.text.WriteString(strings.TrimLeft(line, " \t"))
	default:
		l.unparsed(at, "is no property of a listing")
	}
	return true
}

// value ends the last property.
func (l *lister) value() {
	if n := len(l.now.object); n > 0 {
		last := &l.now.object[n-1]
		last.value = listedValue(l.text.String(), last.at)
	}
	l.text.Reset()
}

// end ends the object.
func (l *lister) end() {
	l.value()
	switch {
	case len(l.now.object) == 0:
	case kindOf(l.now.object) != "":
		l.all = append(l.all, l.now)
	default:
		l.unparsed(l.now.at, "an object of another kind, which is not read")
	}
	l.now = node{kind: isObject}
}

// listedValue is a text; nothing is null, and {} an empty list.
func listedValue(text string, at posture.Pos) node {
	switch text = strings.TrimSpace(text); text {
	case "":
		return node{at: at}
	case "{}":
		return node{at: at, kind: isList, list: []node{}}
	}
	return node{at: at, kind: isText, text: text}
}

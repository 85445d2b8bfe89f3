package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxFile is far above any real file; a larger one is a mistake.
	maxFile = 1 << 20
	// maxIndent stands in for the depth of block style, where each level costs
	// at least one column.
	maxIndent = 64
	// maxNodes bounds the work on a file of a million tiny values.
	maxNodes = 100_000
)

// counts bound how often some octets may stand in a file. The library's time
// grows with the square of the depth of brackets (40,000 took seconds) and of
// the keys of one section (100,000 took a minute), and what is a bracket or a
// key and what is text is only known after parsing. A file of 100 zones with
// every key written out stays well below.
var counts = []struct {
	octets string
	most   int
	what   string
}{
	{"[{", 5_000, "opening brackets"},
	{"]}", 5_000, "closing brackets"},
	{"&*!", 5_000, "anchors, aliases and tags"},
	{"\"'", 50_000, "quotes"},
	{":", 50_000, "colons"},
	{"\n\r", 10_000, "lines"},
	{",", 20_000, "commas"},
}

// kind is the form of a YAML node.
type kind uint8

const (
	kindNull kind = iota
	kindText
	kindNumber
	kindBool
	kindList
	kindMap
	kindFault // reported already
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a section", "a fault"}[k]
}

type pos struct{ line, col int }

// node is a YAML value with its place. It knows no anchors, tags or comments.
type node struct {
	kind  kind
	text  string // of a scalar, unquoted
	pos   pos
	items []*node
	pairs []pair
}

type pair struct {
	key    string
	keyPos pos
	value  *node
}

// problem is a fault of form, before anything is known about keys.
type problem struct {
	pos
	message, hint string
}

// parseYAML reads the form of one document. On any problem the node is not to
// be used.
func parseYAML(b []byte) (*node, []problem) {
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // Notepad begins its files with a byte order mark
	if p, bad := preflight(b); bad {
		return nil, []problem{p}
	}
	return readYAML(b, maxNodes)
}

// readYAML is parseYAML without bounds on the text, with one on the values.
func readYAML(b []byte, most int) (*node, []problem) {
	file, p, bad := libraryParse(b)
	if bad {
		return nil, []problem{p}
	}
	if len(file.Docs) > 1 {
		at := pos{1, 1}
		if start := file.Docs[1].Start; start != nil {
			at = place(start)
		}
		return nil, []problem{{at, "a second document begins here", "keep one document, without ---, in the file"}}
	}
	r := reader{most: most}
	root := &node{kind: kindNull, pos: pos{1, 1}}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		root = r.read(file.Docs[0].Body)
	}
	return root, r.problems
}

// CheckYAML refuses a document that would cost a YAML library too much time, or
// that is more than plain keys, lists and values: anchors, aliases, tags, merge
// keys, duplicate keys, a second document. What it finds are errors, with line and
// column; they show nothing of the document but keys. Whoever reads YAML with the library
// itself calls it first.
func CheckYAML(file string, b []byte) Diagnostics {
	_, problems := parseYAML(b)
	var found Diagnostics
	for _, p := range problems {
		found = append(found, Diagnostic{File: file, Line: p.line, Col: p.col, Severity: Error, Message: p.message, Hint: p.hint})
	}
	return found
}

// preflight refuses what would cost the library too much time.
func preflight(b []byte) (problem, bool) {
	if len(b) > maxFile {
		return problem{pos{}, fmt.Sprintf("the file has %d octets; the limit is %d", len(b), maxFile), "is this really a configuration of Sallyport?"}, true
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return problem{pos{1 + bytes.Count(b[:i], []byte("\n")), 1}, "the file holds a zero octet", "is this really a text file?"}, true
	}
	for _, c := range counts {
		n := 0
		for _, octet := range []byte(c.octets) {
			n += bytes.Count(b, []byte{octet})
		}
		if n > c.most {
			return problem{pos{}, fmt.Sprintf("the file holds %d %s; the limit is %d", n, c.what, c.most), "is this really a configuration of Sallyport?"}, true
		}
	}
	number := 0
	for line := range bytes.Lines(b) {
		number++
		if indent := len(line) - len(bytes.TrimLeft(line, " -?\t")); indent > maxIndent {
			return problem{pos{number, 1}, "the file is nested too deeply", "no key of Sallyport is more than five levels deep"}, true
		}
	}
	return problem{}, false
}

// libraryParse calls the YAML library, which has panicked on bad input before.
func libraryParse(b []byte) (file *ast.File, p problem, bad bool) {
	defer func() {
		if recover() != nil {
			file, p, bad = nil, problem{pos{}, "the file is not YAML", "look for a stray quote, bracket or tab"}, true
		}
	}()
	file, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		return file, problem{}, false
	}
	// The error's own text quotes lines of the file, which may hold secrets.
	p = problem{pos{}, "the file is not YAML", "look for a stray quote, bracket or tab"}
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		p.message, p.hint = plainly(syntax.Message)
		if syntax.Token != nil {
			p.pos = place(syntax.Token)
		}
	}
	return nil, p, true
}

// messages say in plain words what the library says in the words of a parser.
var messages = []struct{ theirs, ours, hint string }{
	{"found character '\t'", "a tab stands in the indent", "indent with spaces"},
	{"mapping value is not allowed", "a colon stands where no key can be", "put a value with a colon and a space in quotes"},
	{"could not find end character of", "a quote is opened and not closed", "close it on the same line"},
	{"',' or '}' must be specified", "a brace is not closed, or a comma is missing", "look at the line above too"},
	{"',' or ']' must be specified", "a bracket is not closed, or a comma is missing", "look at the line above too"},
	{"flow mapping end token", "a brace is not closed", "add } at its end"},
	{"sequence end token", "a bracket is not closed", "add ] at its end"},
	{"non-map value is specified", "text stands where a key must be", "write key: value"},
	{"unexpected key name", "a key stands where none can be", "look at the indent of this line and the one above"},
	{"value is not allowed in this context", "a value stands where none can be", "look at the indent of this line and the one above"},
}

func plainly(message string) (ours, hint string) {
	for _, m := range messages {
		if strings.Contains(message, m.theirs) {
			return m.ours, m.hint
		}
	}
	return "this is not YAML: " + strings.ReplaceAll(message, "\t", " "), "look for a stray quote, bracket or tab"
}

func place(t *token.Token) pos {
	if t == nil || t.Position == nil {
		return pos{}
	}
	return pos{t.Position.Line, t.Position.Column}
}

// reader turns the library's tree into nodes.
type reader struct {
	problems []problem
	nodes    int
	most     int
}

func (r *reader) fail(t *token.Token, message, hint string) *node {
	r.problems = append(r.problems, problem{place(t), message, hint})
	return &node{kind: kindFault, pos: place(t)}
}

func (r *reader) read(n ast.Node) *node {
	if r.nodes++; r.nodes > r.most {
		if r.nodes == r.most+1 {
			return r.fail(n.GetToken(), fmt.Sprintf("the file holds more than %d values", r.most), "is this really a configuration of Sallyport?")
		}
		return &node{kind: kindFault}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.readMap(n.GetToken(), n.Values)
	case *ast.MappingValueNode:
		return r.readMap(n.GetToken(), []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		list := &node{kind: kindList, pos: place(n.GetToken())}
		for _, item := range n.Values {
			list.items = append(list.items, r.read(item))
		}
		return list
	case *ast.StringNode:
		return &node{kind: kindText, text: n.Value, pos: place(n.GetToken())}
	case *ast.LiteralNode:
		return &node{kind: kindText, text: strings.TrimSuffix(n.Value.Value, "\n"), pos: place(n.GetToken())}
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return &node{kind: kindNumber, text: n.GetToken().Value, pos: place(n.GetToken())}
	case *ast.BoolNode:
		return &node{kind: kindBool, text: n.GetToken().Value, pos: place(n.GetToken())}
	case *ast.NullNode:
		return &node{kind: kindNull, pos: place(n.GetToken())}
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return r.fail(n.GetToken(), "anchors, aliases and merge keys are not accepted", "write the value out: what a zone does must be readable where it stands")
	case *ast.TagNode:
		return r.fail(n.GetToken(), "YAML tags are not accepted", "remove the word that begins with an exclamation mark")
	case *ast.CommentGroupNode:
		return &node{kind: kindNull, pos: place(n.GetToken())}
	}
	return r.fail(n.GetToken(), "this form of YAML is not accepted", "use plain keys, lists and values")
}

func (r *reader) readMap(t *token.Token, values []*ast.MappingValueNode) *node {
	m := &node{kind: kindMap, pos: place(t)}
	if len(values) > 0 {
		m.pos = place(values[0].Key.GetToken())
	}
	first := make(map[string]pos, len(values))
	for _, v := range values {
		keyToken := v.Key.GetToken()
		key, ok := keyText(v.Key)
		if !ok {
			r.fail(keyToken, "this key is not plain text", "use plain keys, without anchors, tags or merges")
			continue
		}
		at := place(keyToken)
		if before, twice := first[key]; twice {
			r.fail(keyToken, fmt.Sprintf("the key %q is here twice; the first is at %d:%d", key, before.line, before.col), "keep one of them")
			continue
		}
		first[key] = at
		m.pairs = append(m.pairs, pair{key, at, r.read(v.Value)})
	}
	return m
}

func keyText(n ast.MapKeyNode) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.NullNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

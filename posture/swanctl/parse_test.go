package swanctl

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/posture"
	"sallyport/posture/source"
)

// files makes a target of pairs of path and text.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: 0o600}
	}
	return m
}

func input(m fstest.MapFS, claimed ...string) *source.Input {
	in := source.NewInput(source.New("", m, true), &posture.Host{})
	return in.For(posture.Swanctl, claimed)
}

// parse reads a.conf and writes the tree in one line.
func parse(t *testing.T, pairs ...string) (string, []posture.Note) {
	t.Helper()
	in := input(files(pairs...), pairs[0])
	s := newSection("", posture.Pos{})
	newLoader(in).load(s, nil, pairs[0])
	return dump(s), in.Host.Notes
}

func dump(s *section) string {
	var parts []string
	for _, k := range s.keys {
		parts = append(parts, fmt.Sprintf("%s=%q", k, s.settings[k].value))
	}
	for _, name := range s.order {
		sub := s.sections[name]
		for _, b := range sub.bases {
			name += ":" + b.name
		}
		parts = append(parts, name+"{"+dump(sub)+"}")
	}
	return strings.Join(parts, " ")
}

func TestSettingsAreRead(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ``},
		{"a setting", "a = b", `a="b"`},
		{"an empty one", "a =\nb=", `a="" b=""`},
		{"comments", "# x { y = z\na = b # c\n#", `a="b"`},
		{"a # after a word ends it, too", "a = b#c", `a="b"`},
		{"words are joined by one space", "a = b   c\td", `a="b c d"`},
		{"a string keeps its spaces and #", `a = "b  # c"`, `a="b  # c"`},
		{"a string has escapes", `a = "x\"y\\z\n\t\q"`, "a=\"x\\\"y\\\\z\\n\\tq\""},
		{"a string goes over lines", "a = \"x\\\n  y\nz\"\nb = 1", `a="x  y\nz" b="1"`},
		{"strings and words", `a = x "y  z" w`, `a="x y  z w"`},
		{"= and { in a value", "a = CN=x, O={y", `a="CN=x, O={y"`},
		{"a section", "s { a = b }", `s{a="b"}`},
		{"a section with { on the next line", "s\n\n{\n a = b\n}", `s{a="b"}`},
		{"a section in a section", "s { t { a = b\n} c = d\n}", `s{c="d" t{a="b"}}`},
		{"a value ends at }", "s { a = b } c = d", `c="d" s{a="b"}`},
		{"the last value counts", "a = b\na = c", `a="c"`},
		{"sections of a name are one", "s { a = 1\nb = 2\n}\ns { a = 3\n}", `s{a="3" b="2"}`},
		{"bases", "s : x, y.z {\n}", `s:x:y.z{}`},
		{"bases over lines", "s :\n x,\n y\n{\n}", `s:x:y{}`},
		{"include can be a key", "include = x", `include="x"`},
		{"line ends of Windows", "s {\r\n  a = b c\r\n}\r\n", `s{a="b c"}`},
		{"no space at all", "s{a=b}t{c=d}", `s{a="b"} t{c="d"}`},
		{"dots and slashes in names", "/var/log/x.log {\n}", `/var/log/x.log{}`},
	} {
		got, notes := parse(t, "a.conf", c.text)
		if got != c.want || len(notes) > 0 {
			t.Errorf("%s:\n got %s\nwant %s\n%v", c.name, got, c.want, notes)
		}
	}
}

func TestWhatTheDaemonRefusesIsNotedAndPassed(t *testing.T) {
	for _, c := range []struct{ text, want, note string }{
		{"a b\nc = d", `c="d"`, "= or { is missing"},
		{"}\nc = d", `c="d"`, "no section"},
		{"= x\nc = d", `c="d"`, "name is missing"},
		{"s {\n a = b", `s{a="b"}`, "has no end"},
		{"s { \"t u\" { a = b\n}\n c = d\n}", `s{c="d" t u{a="b"}}`, "in quotes"},
		{"\"\nc = d", `c="d"`, "name is missing"},
		{`a = "b`, `a="b"`, "string has no end"},
		{"s : x = y\nc = d", `c="d" s:x{}`, "has no {"},
		{"include\nc = d", `c="d"`, "= or { is missing"},
		{"include # x\nc = d", `c="d"`, "names no file"},
	} {
		got, notes := parse(t, "a.conf", c.text)
		if got != c.want || len(notes) == 0 || !strings.Contains(notes[0].Text, c.note) || notes[0].Kind != posture.Malformed {
			t.Errorf("%q:\n got %s\nwant %s\n%v", c.text, got, c.want, notes)
		}
	}
}

func TestAMistakeInASecretIsNotShown(t *testing.T) {
	_, notes := parse(t, "a.conf", "secrets {\n ike {\n secret = a\"b\n hunter2 hunter2 \n }\n}\nhunter2\n")
	for _, n := range notes {
		if strings.Contains(n.Text, "hunter2") {
			t.Error(n.Text)
		}
	}
	if len(notes) == 0 {
		t.Error("no note")
	}
}

func TestASecretAfterAColonIsNotShown(t *testing.T) {
	h := host("5.9.8", "swanctl.conf", "secrets {\n ike-1 { id = x\n secret: hunter2 }\n}\nconnections { a : elsewhere { } }\n")
	text := fmt.Sprintf("%+v", h.Notes)
	if strings.Contains(text, "hunter2") || !strings.Contains(text, "which \"secret\" inherits from") || !strings.Contains(text, "elsewhere") {
		t.Error(text)
	}
}

func TestIncludesGoIntoTheirSection(t *testing.T) {
	got, notes := parse(t,
		"x/a.conf", "s {\n a = 1\n include conf.d/*.conf\n b = 3\n}\ninclude \"o ther.conf\"",
		"x/conf.d/1.conf", "a = 2\nb = 2\nt { c = 1 }",
		"x/conf.d/2.conf", "t { c = 2\n include ../deep.conf\n}",
		"x/deep.conf", "d = 1",
		"x/o ther.conf", "z = 1",
	)
	if want := `z="1" s{a="2" b="3" t{c="2" d="1"}}`; got != want || len(notes) > 0 {
		t.Errorf("got %s\nwant %s\n%v", got, want, notes)
	}
}

func TestIncludesInCirclesEnd(t *testing.T) {
	got, notes := parse(t, "a.conf", "a = 1\ninclude b.conf\nc = 1", "b.conf", "b = 1\ninclude *.conf")
	if want := `a="1" b="1" c="1"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(notes) != 2 || notes[0].Kind != posture.Limit {
		t.Errorf("notes: %v", notes)
	}
}

func TestAnIncludeThatLeavesIsNoted(t *testing.T) {
	_, notes := parse(t, "a.conf", "include /etc/swanctl/conf.d/*.conf\ninclude ../../x.conf")
	if len(notes) != 2 || notes[0].Kind != posture.Outside || notes[1].Kind != posture.Outside {
		t.Errorf("notes: %v", notes)
	}
}

func TestPositionsAreOfTheName(t *testing.T) {
	in := input(files("a.conf", "s {\n\n  x = \"1\n2\"\n\ty : s {\n}\n}"))
	s := newSection("", posture.Pos{})
	newLoader(in).load(s, nil, "a.conf")
	sub := s.sections["s"]
	for got, want := range map[posture.Pos]posture.Pos{
		sub.at:                        {File: "a.conf", Line: 1, Col: 1},
		sub.settings["x"].at:          {File: "a.conf", Line: 3, Col: 3},
		sub.sections["y"].at:          {File: "a.conf", Line: 5, Col: 2},
		sub.sections["y"].bases[0].at: {File: "a.conf", Line: 5, Col: 6},
	} {
		if got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestDepthAndNumberAreBounded(t *testing.T) {
	_, notes := parse(t, "a.conf", strings.Repeat("s {\n", 10_000))
	if len(notes) == 0 || notes[0].Kind != posture.Limit {
		t.Errorf("notes: %v", notes)
	}
	_, notes = parse(t, "a.conf", strings.Repeat("a=b\n", mostSettings+5))
	if len(notes) != 1 || notes[0].Kind != posture.Limit {
		t.Errorf("notes: %v", notes)
	}
}

// tree reads a.conf as a whole.
func treeOf(text string) (*tree, *source.Input) {
	in := input(files("a.conf", text))
	r := &reader{in: in, loader: newLoader(in)}
	return r.begin("a.conf").tree, in
}

func TestSectionsInherit(t *testing.T) {
	tr, _ := treeOf(`
base { a = 1
  b = 1
  c = 1
  sub { x = 1
    y = 1 } }
more { a = 2
  d = 2
  sub { z = 2 } }
s : base, more {
  b = 3
  c =
  sub { x = 3 }
}
t : s { }
`)
	for path, want := range map[string]string{"s a": "1", "s b": "3", "s c": "", "s d": "2", "s sub x": "3", "s sub y": "1", "s sub z": "2", "t a": "1", "t sub x": "3", "t c": ""} {
		parts := strings.Fields(path)
		got, _ := tr.view().path(parts[:len(parts)-1]...).get(parts[len(parts)-1])
		if got.value != want {
			t.Errorf("%s: got %q, want %q", path, got.value, want)
		}
	}
	if got := fmt.Sprint(tr.view().sub("s").keys()); got != "[b c a d]" {
		t.Errorf("keys: %s", got)
	}
}

func TestInheritanceInCirclesEnds(t *testing.T) {
	tr, _ := treeOf("a : b {\n x = 1\n}\nb : a, b {\n y = 1\n}\n")
	if got := fmt.Sprint(tr.view().sub("a").keys(), tr.view().sub("b").keys()); got != "[x y] [y x]" {
		t.Error(got)
	}
}

func TestInheritanceThatGrowsIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "s%d : ", i)
		for j := range 60 {
			fmt.Fprintf(&b, "s%d,", (i*7+j)%2000)
		}
		b.WriteString(" {\n x { }\n}\n")
	}
	b.WriteString("connections { ")
	for i := range 500 {
		fmt.Fprintf(&b, "c%d : s%d { children : s1 { } }\n", i, i)
	}
	b.WriteString("}\n")
	in := input(files("swanctl.conf", b.String()), "swanctl.conf")
	Read(in)
}

func TestChildrenThatMultiplyAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("base { children {\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "n%d { }\n", i)
	}
	b.WriteString("} }\nconnections {\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "c%d : base { }\n", i)
	}
	b.WriteString("}\n")
	in := input(files("swanctl.conf", b.String()), "swanctl.conf")
	Read(in)
	n := 0
	for _, c := range in.Host.Connections {
		n += len(c.Children)
	}
	if n > mostChildren || len(in.Host.Notes) == 0 || in.Host.Notes[0].Kind != posture.Limit {
		t.Errorf("%d children, %v", n, in.Host.Notes[:min(3, len(in.Host.Notes))])
	}
}

package harden

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/ipsecconf"
	"sallyport/posture/setting"
)

// text is a file in lines, with their ends.
type text struct {
	lines []string
	crlf  bool
}

func split(b []byte) *text {
	t := &text{crlf: strings.Contains(string(b), "\r\n")}
	for line := range strings.Lines(string(b)) {
		t.lines = append(t.lines, line)
	}
	return t
}

func (t *text) join() []byte { return []byte(strings.Join(t.lines, "")) }

// insert adds lines before index i.
func (t *text) insert(i int, lines ...string) {
	end := "\n"
	if t.crlf {
		end = "\r\n"
	}
	if i > 0 && i == len(t.lines) && !strings.HasSuffix(t.lines[i-1], "\n") {
		t.lines[i-1] += end
	}
	for k := range lines {
		lines[k] += end
	}
	t.lines = slices.Insert(t.lines, i, lines...)
}

// The reasons why an edit cannot be made.
var (
	errSection = errors.New("the section is not written in a way that can be edited safely")
	errLine    = errors.New("the line is not written in a way that can be edited safely")
)

// edit makes one change.
func (t *text) edit(e Edit) error {
	if strings.ContainsAny(e.Value+e.Key, "\r\n") {
		return errLine
	}
	switch e.Dialect {
	case posture.Swanctl, posture.FreeRADIUS:
		return t.braces(e)
	case posture.Starter, posture.Libreswan:
		return t.conf(e)
	case posture.Xl2tpd:
		return t.ini(e)
	case posture.PPPD:
		return t.word(e)
	case posture.Linux:
		return t.sysctl(e)
	}
	return errSection
}

// sysctl sets a line of sysctl.conf(5), where a value goes to the end of the
// line and comments have lines of their own.
func (t *text) sysctl(e Edit) error {
	if e.Value == "" || e.Line > len(t.lines) {
		return errLine
	}
	if e.Line < 1 {
		t.insert(len(t.lines), e.Key+" = "+e.Value)
		return nil
	}
	line := t.lines[e.Line-1]
	key, value, ok := strings.Cut(line, "=")
	if !ok || !sameKey(strings.Trim(key, " \t-"), e.Key) {
		return errLine
	}
	t.lines[e.Line-1] = key + "=" + space(value) + e.Value + value[len(strings.TrimRight(value, "\r\n")):]
	return nil
}

// sameKey compares keys as sysctl(8) does, which takes dots and slashes, and as
// the products do, to which capitals do not matter.
func sameKey(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "/", "."), strings.ReplaceAll(b, "/", "."))
}

// assignment is a line "key = value" in its parts: what is before the value, the
// value with its quotes, what is after it.
var assignment = regexp.MustCompile(`^(\s*-?\s*([^=#]*?)\s*=[ \t]*)("(?:[^"\\\r\n]|\\.)*"|[^#\r\n]*?)([ \t]*(?:#[^\r\n]*)?\r?\n?)$`)

// replace sets the value of a line that must be an assignment of the key.
func (t *text) replace(i int, key, value string) error {
	if i < 0 || i >= len(t.lines) {
		return errLine
	}
	m := assignment.FindStringSubmatch(t.lines[i])
	if m == nil || !sameKey(m[2], key) || strings.Count(t.lines[i], `"`)%2 == 1 || setting.Placeholder(m[3]) {
		return errLine
	}
	t.lines[i] = m[1] + value + m[4]
	return nil
}

// sets tells whether a line is an assignment of a key.
func sets(line, key string) bool {
	m := assignment.FindStringSubmatch(line)
	return m != nil && strings.EqualFold(m[2], key)
}

// code is a line of strongSwan or FreeRADIUS without strings and comment.
func code(line string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '#':
			return strings.TrimSpace(b.String())
		default:
			b.WriteByte(c)
		}
	}
	return strings.TrimSpace(b.String())
}

// braces sets a key in a section in braces, one setting on a line.
func (t *text) braces(e Edit) error {
	if e.Line > 0 {
		return t.replace(e.Line-1, e.Key, e.Value)
	}
	head := e.Section - 1
	if e.Head != "" {
		if head = t.find(e.Head); head < 0 && path.Base(e.File) != strongswanConf {
			return errSection // it is included into a section, and not beside it
		}
		if head < 0 {
			t.insert(len(t.lines), nested(append([]string{e.Head}, e.Path...), e.Key+" = "+e.Value, "")...)
			return nil
		}
	}
	for k, name := range e.Path {
		end, err := t.end(head)
		if err != nil {
			return err
		}
		next := t.below(head, end, name)
		if next < 0 {
			t.insert(head+1, nested(e.Path[k:], e.Key+" = "+e.Value, t.indent(head, end))...)
			return nil
		}
		head = next
	}
	end, err := t.end(head)
	if err != nil {
		return err
	}
	found, behind := false, head+1
	for _, i := range t.direct(head, end) {
		if sets(t.lines[i], e.Key) {
			found = true
			if err := t.replace(i, e.Key, e.Value); err != nil {
				return err
			}
		}
		if includes.MatchString(code(t.lines[i])) {
			behind = i + 1 // what the file says there would win
		}
	}
	if !found {
		t.insert(behind, t.indent(head, end)+e.Key+" = "+e.Value)
	}
	return nil
}

// includes is a line that reads another file.
var includes = regexp.MustCompile(`^\$?(?i:include)\s`)

// find is a section at the top by its name; the daemon of systemd may have one
// of its own, which comes first for it.
func (t *text) find(name string) int {
	depth := 0
	for i, line := range t.lines {
		c := code(line)
		if word := strings.TrimSpace(strings.TrimSuffix(c, "{")); depth == 0 && strings.HasSuffix(c, "{") && (word == name || word == name+"-systemd") {
			return i
		}
		depth += strings.Count(c, "{") - strings.Count(c, "}")
	}
	return -1
}

// nested are the lines of sections inside each other.
func nested(path []string, line, indent string) []string {
	if len(path) == 0 {
		return []string{indent + line}
	}
	inner := nested(path[1:], line, indent+"    ")
	return append(append([]string{indent + path[0] + " {"}, inner...), indent+"}")
}

// end is the line of the brace that closes the section.
func (t *text) end(head int) (int, error) {
	if head < 0 || head >= len(t.lines) {
		return 0, errSection
	}
	if c := code(t.lines[head]); !strings.HasSuffix(c, "{") || strings.Count(c, "{") != 1 || strings.Contains(c, "}") {
		return 0, errSection
	}
	depth := 1
	for i := head + 1; i < len(t.lines); i++ {
		if strings.Count(t.lines[i], `"`)%2 == 1 && !strings.Contains(t.lines[i], "#") {
			return 0, errSection // a string of several lines
		}
		c := code(t.lines[i])
		if depth += strings.Count(c, "{") - strings.Count(c, "}"); depth <= 0 {
			if c != "}" {
				return 0, errSection
			}
			return i, nil
		}
	}
	return 0, errSection
}

// direct are the lines of a section that are in none of its own sections.
func (t *text) direct(head, end int) (lines []int) {
	depth := 0
	for i := head + 1; i < end; i++ {
		c := code(t.lines[i])
		if depth == 0 && !strings.ContainsAny(c, "{}") {
			lines = append(lines, i)
		}
		depth += strings.Count(c, "{") - strings.Count(c, "}")
	}
	return lines
}

// below is a section of a section.
func (t *text) below(head, end int, name string) int {
	depth := 0
	for i := head + 1; i < end; i++ {
		c := code(t.lines[i])
		if depth == 0 && strings.HasSuffix(c, "{") && strings.TrimSpace(strings.TrimSuffix(c, "{")) == name {
			return i
		}
		depth += strings.Count(c, "{") - strings.Count(c, "}")
	}
	return -1
}

// indent is that of the first line of a section, or one step more than its
// head.
func (t *text) indent(head, end int) string {
	for i := head + 1; i < end; i++ {
		if strings.TrimSpace(t.lines[i]) != "" {
			return space(t.lines[i])
		}
	}
	return space(t.lines[head]) + "    "
}

func space(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

// conf sets a key in a section of ipsec.conf(5), which ends where a line begins
// in the first column. A line may have another spelling of it; two lines for one
// setting are refused by the product, or the last one counts.
func (t *text) conf(e Edit) error {
	head := e.Section - 1
	if e.Head != "" {
		head = slices.IndexFunc(t.lines, func(l string) bool { return strings.Join(strings.Fields(l), " ") == e.Head })
		if head < 0 {
			t.insert(len(t.lines), "", e.Head, "    "+e.Key+"="+e.Value)
			return nil
		}
	}
	if head < 0 || head >= len(t.lines) || !regexp.MustCompile(`^(conn|config)\s`).MatchString(t.lines[head]) {
		return errSection
	}
	end, found := head+1, false
	for ; end < len(t.lines); end++ {
		line := t.lines[end]
		if strings.TrimSpace(line) != "" && !strings.ContainsAny(line[:1], " \t#") && !setting.TemplateLine([]byte(line)) {
			break
		}
		if m := assignment.FindStringSubmatch(line); m != nil && ipsecconf.SameSetting(m[2], e.Key) {
			found = true
			if err := t.replace(end, m[2], e.Value); err != nil {
				return err
			}
		}
	}
	if !found {
		t.insert(head+1, t.indent(head, end)+e.Key+"="+e.Value)
	}
	return nil
}

// ini sets a key in a section of xl2tpd.conf(5).
func (t *text) ini(e Edit) error {
	head := e.Section - 1
	if head < 0 || head >= len(t.lines) || !strings.HasPrefix(strings.TrimSpace(t.lines[head]), "[") {
		return errSection
	}
	for i := head + 1; i < len(t.lines) && !strings.HasPrefix(strings.TrimSpace(t.lines[i]), "["); i++ {
		line, comment, has := strings.Cut(t.lines[i], ";")
		if key, _, ok := strings.Cut(line, "="); ok && strings.Join(strings.Fields(key), " ") == e.Key {
			rest := t.lines[i][len(strings.TrimRight(t.lines[i], "\r\n")):]
			if has {
				rest = " ;" + comment
			}
			t.lines[i] = strings.TrimRight(key, " \t") + " = " + e.Value + rest
			return nil
		}
	}
	t.insert(head+1, space(t.lines[head])+e.Key+" = "+e.Value)
	return nil
}

// word sets or takes out a word of pppd's options, with its argument.
func (t *text) word(e Edit) error {
	pattern := `(^|\s)` + regexp.QuoteMeta(e.Key)
	if e.Value != "" {
		pattern += `[ \t]+[^\s#]+`
	}
	find := regexp.MustCompile(pattern + `(\s|$)`)
	found := false
	for i := 0; i < len(t.lines); i++ {
		line, comment, has := strings.Cut(t.lines[i], "#")
		if !find.MatchString(line) || strings.ContainsAny(line, `"'`) {
			continue
		}
		found = true
		text := strings.TrimSpace(e.Key + " " + e.Value)
		if e.Remove {
			text = ""
		}
		before := space(line)
		line = find.ReplaceAllString(line, "${1}"+text+"${2}")
		line = before + strings.TrimLeft(line, " \t")
		if has {
			line += "#" + comment
		}
		t.lines[i] = line
		if strings.TrimSpace(line) == "" {
			t.lines = slices.Delete(t.lines, i, i+1)
			i--
		}
	}
	if !found && !e.Remove && !t.hasWord(plus(e.Key)) {
		t.insert(len(t.lines), strings.TrimSpace(e.Key+" "+e.Value))
	}
	return nil
}

// plus is pppd's older spelling of a word that requires something.
func plus(word string) string {
	if rest, ok := strings.CutPrefix(word, "require-"); ok {
		return "+" + rest
	}
	return word
}

// hasWord tells whether a word stands alone on a line.
func (t *text) hasWord(word string) bool {
	return slices.ContainsFunc(t.lines, func(line string) bool {
		line, _, _ = strings.Cut(line, "#")
		return strings.TrimSpace(line) == word
	})
}

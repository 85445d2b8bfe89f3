package setting

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// ends are what templates have behind a value that will be, by what they have before
// it: {{ NAME }} and {% ... %} of Jinja, Mustache and Helm, <% ... %> of ERB.
// Terraform and envsubst have ${NAME}, which no other brace stands in.
var ends = map[string]string{"{{": "}}", "{%": "%}", "<%": "%>"}

// whole is what a person or a script puts in the place of a whole value: <peer>,
// @PEER@ of autoconf, %PEER% and __PEER__ of sed, $PEER of a shell's here-document,
// and in small letters a variable that says of itself that it is a secret: $psk,
// $preSharedKey. As a part of a value these signs are its own.
var whole = regexp.MustCompile(`^(<[^<>\n]+>|@[A-Z][A-Z0-9_]+@|%[A-Za-z][A-Za-z0-9_]+%|__[A-Za-z][A-Za-z0-9_]*__|\$[A-Z][A-Z0-9_]+|\$[A-Za-z_]*(?i:key|psk|secret|password|passwd)[A-Za-z_]*)$`)

// leastMask is the shortest row of x that stands for a secret.
const leastMask = 4

// Placeholder tells whether a value is, or has in it, something that a template is
// to be filled in with: nothing can be said of it.
func Placeholder(text string) bool {
	return strings.IndexAny(text, "<@%_$") == 0 && whole.MatchString(text) || strings.ContainsAny(text, "{<") && len(Placeholders([]byte(text))) > 0
}

// LeftOut tells whether what stands where a secret should is none: a placeholder, or
// a mask, as products and people write it before they show a configuration to
// others: "****", "xxxx".
func LeftOut(text string) bool {
	switch {
	case text == "":
		return false
	case strings.Trim(text, "*") == "", len(text) >= leastMask && strings.Trim(text, "xX") == "":
		return true
	}
	return Placeholder(text)
}

// Placeholders finds those of a text: begin and end of each. None goes on over the end
// of a line.
func Placeholders(text []byte) (all [][]int) {
	start := 0
	for line := range bytes.Lines(text) {
		for _, at := range inLine(line) {
			all = append(all, []int{start + at[0], start + at[1]})
		}
		start += len(line)
	}
	return all
}

// inLine looks for no end behind the last one that there is: a line of beginnings
// alone would take as many searches through all of it.
func inLine(line []byte) (all [][]int) {
	last := map[string]int{}
	for _, end := range ends {
		last[end] = bytes.LastIndex(line, []byte(end))
	}
	for i := 0; i+2 < len(line); {
		n := 0
		if begin := string(line[i : i+2]); begin == "${" {
			n = bytes.IndexAny(line[i+2:], "{}") + 1
			if n > 0 && line[i+1+n] == '{' {
				n = 0
			}
		} else if end, ok := ends[begin]; ok && last[end] >= i+2 {
			n = bytes.Index(line[i+2:], []byte(end)) + len(end)
		}
		if n == 0 {
			i++
			continue
		}
		all = append(all, []int{i, i + 2 + n})
		i += 2 + n
	}
	return all
}

// NothingBeside tells whether the placeholders of a line are all that it has.
func NothingBeside(line []byte, all [][]int) bool {
	last := 0
	for _, at := range all {
		if len(bytes.TrimSpace(line[last:at[0]])) > 0 {
			return false
		}
		last = at[1]
	}
	return len(bytes.TrimSpace(line[last:])) == 0
}

// TemplateLine tells whether a line is nothing but a template's own, such as
// "{% for u in users %}" and "{{ end }}". Those in "${}" are many products' own.
func TemplateLine(line []byte) bool {
	all := Placeholders(line)
	return len(all) > 0 && !slices.ContainsFunc(all, func(at []int) bool { return line[at[0]] == '$' }) && NothingBeside(line, all)
}

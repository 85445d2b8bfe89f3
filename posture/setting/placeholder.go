package setting

import (
	"regexp"
	"strings"
)

// placeholder is what templates have where a value will be: ${NAME} of Terraform and
// envsubst, {{ NAME }} and {% ... %} of Jinja, Mustache and Helm, <% ... %> of ERB.
var placeholder = regexp.MustCompile(`\$\{[^{}\n]*\}|\{\{[^\n]*?\}\}|\{%[^\n]*?%\}|<%[^\n]*?%>`)

// whole is what a person or a script puts in the place of a whole value: <peer>,
// @PEER@ of autoconf, %PEER% and __PEER__ of sed, $PEER of a shell's here-document.
// As a part of a value these signs are its own.
var whole = regexp.MustCompile(`^(<[^<>\n]+>|@[A-Z][A-Z0-9_]+@|%[A-Za-z][A-Za-z0-9_]+%|__[A-Za-z][A-Za-z0-9_]*__|\$[A-Z][A-Z0-9_]+)$`)

// leastMask is the shortest row of x that stands for a secret.
const leastMask = 4

// Placeholder tells whether a value is, or has in it, something that a template is
// to be filled in with: nothing can be said of it.
func Placeholder(text string) bool {
	return strings.IndexAny(text, "<@%_$") == 0 && whole.MatchString(text) || strings.ContainsAny(text, "{<") && placeholder.MatchString(text)
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

// Placeholders finds those of a text: begin and end of each.
func Placeholders(text []byte) [][]int { return placeholder.FindAllIndex(text, -1) }

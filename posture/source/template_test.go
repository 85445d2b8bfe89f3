package source

import "testing"

func TestLinesOfATemplateAloneAreLeftOut(t *testing.T) {
	for text, want := range map[string]string{
		"{% for u in users %}\n\"{{ u }}\" * x *\n{% endfor %}\n": "                    \n\"{{ u }}\" * x *\n            \n",
		"  {{- range .A }} {{ end }} \r\nb\n":                     "                            \r\nb\n",
		"<% if a %>\n${psk}\n":                                    "          \n${psk}\n",
		"a {{ b }}\n":                                             "a {{ b }}\n",
		"{% a %} b\n":                                             "{% a %} b\n",
	} {
		if got, _ := statements([]byte(text)); string(got) != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if _, line := statements([]byte("a\n{% b %}\n{% c %}\n")); line != 2 {
		t.Errorf("first line %d", line)
	}
}

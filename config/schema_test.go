package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// conforms judges a value by the part of JSON Schema that Schema uses, and
// returns what is wrong with it.
func conforms(s map[string]any, v any, at string) []string {
	var wrong []string
	fail := func(format string, args ...any) { wrong = append(wrong, at+": "+fmt.Sprintf(format, args...)) }
	if want, ok := s["type"].(string); ok && jsonType(v) != want {
		fail("is %s, want %s", jsonType(v), want)
		return wrong // the other keywords are for that type
	}
	for keyword, arg := range s {
		switch keyword {
		case "enum":
			found := false
			for _, e := range arg.([]any) {
				found = found || e == v
			}
			if !found {
				fail("%v is not one of %v", v, arg)
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
				fail("%q does not match %s", text, arg)
			}
		case "minimum":
			if n, ok := v.(float64); ok && n < arg.(float64) {
				fail("%v is under %v", n, arg)
			}
		case "maximum":
			if n, ok := v.(float64); ok && n > arg.(float64) {
				fail("%v is over %v", n, arg)
			}
		case "items":
			for i, item := range v.([]any) {
				wrong = append(wrong, conforms(arg.(map[string]any), item, fmt.Sprintf("%s[%d]", at, i))...)
			}
		case "required":
			for _, name := range arg.([]any) {
				if _, ok := v.(map[string]any)[name.(string)]; !ok {
					fail("has no %v", name)
				}
			}
		case "oneOf":
			fits := 0
			for _, one := range arg.([]any) {
				if len(conforms(one.(map[string]any), v, at)) == 0 {
					fits++
				}
			}
			if fits != 1 {
				fail("fits %d of the choices", fits)
			}
		}
	}
	return append(wrong, conformsBelow(s, v, at)...)
}

func jsonType(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "integer" // the file has no fractions
	case []any:
		return "array"
	}
	return "object"
}

func conformsBelow(s map[string]any, v any, at string) []string {
	m, ok := v.(map[string]any)
	if _, closed := s["additionalProperties"]; !ok || !closed {
		return nil
	}
	var wrong []string
	properties, _ := s["properties"].(map[string]any)
	for name, value := range m {
		known, ok := properties[name].(map[string]any)
		if !ok {
			known, ok = s["additionalProperties"].(map[string]any)
		}
		if !ok {
			wrong = append(wrong, at+": unknown "+name)
			continue
		}
		wrong = append(wrong, conforms(known, value, at+"."+name)...)
	}
	return wrong
}

// asJSON is a file as a schema sees it.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	n, problems := parseYAML([]byte(text))
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	b, err := json.Marshal(n.plain())
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAcceptsWhatParseAccepts(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"smallest": smallest, "example": example, "everything": everything,
		"effective": string(mustParse(t, everything).Effective()),
	} {
		if wrong := conforms(s, asJSON(t, text), "file"); len(wrong) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(wrong, "\n"))
		}
	}
}

func TestSchemaRefusesFaultsOfForm(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"gateway: {nmae: a.example}":                                                        "unknown nmae",
		"gateway: {listen: []}":                                                             "has no name",
		"zones: {}":                                                                         "has no gateway",
		"gateway: {name: a.example, names: b.example}":                                      "is string, want array",
		"gateway: {name: a.example, dataplane: {mtu: 100}}":                                 "100 is under 1280",
		"gateway: {name: a.example}\nlogging: {level: loud}":                                "is not one of",
		"gateway: {name: a.example}\nzones: {a: {policy: loud}}":                            "fits 0 of the choices",
		"gateway: {name: a.example}\nzones: {a: {dpd: 1y}}":                                 "does not match",
		"gateway: {name: a.example}\nzones: {a: {user: {upload: 20}}}":                      "fits 0 of the choices",
		"gateway: {name: a.example}\nzones: {a: {user: {upload: 20MB}}}":                    "fits 0 of the choices",
		"gateway: {name: a.example}\ngroups: {a: {zone: b, pool: 7}}":                       "is integer, want object",
		"gateway: {name: a.example}\ngroups: {a: {}}":                                       "has no zone",
		"gateway: {name: a.example}\nradius: {a: {servers: [{}]}}":                          "has no address",
		"gateway: {name: a.example}\nradius: {a: {servers: [{address: a, tls: {psk: b}}]}}": "unknown psk",
		"gateway: {name: a.example}\nradius: {a: {dynamic: {from: [{address: a}]}}}":        "has no secret",
		"gateway: {name: a.example}\nzones: {a: {waivers: [{until: x}]}}":                   "has no rule",
	} {
		if wrong := strings.Join(conforms(s, asJSON(t, text), "file"), "\n"); !strings.Contains(wrong, want) {
			t.Errorf("%s: want %q, got %q", text, want, wrong)
		}
	}
}

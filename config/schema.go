package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"sallyport/protocol/suite"
)

// Schema is the JSON Schema (2020-12) of the file, for editors. It is made
// from the table of keys and judges form alone; only Parse judges sense.
func Schema() []byte {
	s := sectionSchema(reflect.TypeFor[Config](), path{})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Sallyport configuration"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("config: schema: " + err.Error()) // maps of strings and numbers always marshal
	}
	return append(b, '\n')
}

type schema = map[string]any

func schemaOf(t reflect.Type, p path) schema {
	s := shapeOf(t, p)
	key := byPath[p.row]
	if key == nil {
		return s
	}
	s["description"] = key.Meaning
	if len(key.Values) > 0 {
		s["enum"] = key.Values
	}
	if s["type"] == "integer" && key.Max > 0 {
		s["minimum"], s["maximum"] = key.Min, key.Max
	}
	if key.Default != "" {
		s["default"] = key.defaultNode().plain()
	}
	return s
}

func shapeOf(t reflect.Type, p path) schema {
	if kind, ok := nameds[t]; ok {
		return schema{"type": "object", "additionalProperties": schemaOf(t.Elem(), p.named(kind.mark, kind)),
			"propertyNames": schema{"pattern": "^[a-z][a-z0-9-]{0,31}$"}}
	}
	if t == reflect.TypeFor[Policy]() {
		list := schema{"type": "array", "items": schema{"type": "string"}, "minItems": 1}
		return schema{"oneOf": []schema{
			{"enum": append(suite.PolicyNames(), suite.L2TPPolicyName)},
			{"type": "object", "additionalProperties": false, "required": []string{"ike", "esp"}, "properties": schema{"ike": list, "esp": list}},
		}}
	}
	if s, ok := scalarSchemas[t]; ok {
		return s()
	}
	if _, ok := scalars[t]; ok {
		return schema{"type": "string"}
	}
	if t.Kind() == reflect.Slice {
		return schema{"type": "array", "maxItems": maxList, "items": schemaOf(t.Elem(), path{p.full + "[]", p.row + "[]"})}
	}
	return sectionSchema(t, p)
}

// scalarSchemas are the types that are not simply text.
var scalarSchemas = map[reflect.Type]func() schema{
	reflect.TypeFor[bool]():      func() schema { return schema{"type": "boolean"} },
	reflect.TypeFor[int]():       func() schema { return schema{"type": "integer"} },
	reflect.TypeFor[uint16]():    func() schema { return schema{"type": "integer"} },
	reflect.TypeFor[uint64]():    func() schema { return schema{"type": "integer"} },
	reflect.TypeFor[time.Time](): func() schema { return schema{"type": "string", "format": "date"} },
	reflect.TypeFor[Day](): func() schema {
		return schema{"type": "string", "pattern": "^(none|[0-9]{4}-[0-9]{2}-[0-9]{2})$"}
	},
	reflect.TypeFor[time.Duration](): func() schema {
		return schema{"type": "string", "pattern": "^([0-9]+d|([0-9]+h)?([0-9]+m)?([0-9]+s)?)$"}
	},
	reflect.TypeFor[Size](): func() schema { return schema{"type": "string", "pattern": "^[0-9]+([KMGT]i)?B$"} },
	reflect.TypeFor[Bitrate](): func() schema {
		return schema{"oneOf": []schema{{"enum": []int{0}}, {"type": "string", "pattern": "^(0|[1-9][0-9]*[kMG]bit)$"}}}
	},
}

func sectionSchema(t reflect.Type, p path) schema {
	properties := schema{}
	var required []string
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		if name == "" || name == "-" {
			continue
		}
		at := p.child(name)
		properties[name] = schemaOf(t.Field(i).Type, at)
		if key := byPath[at.row]; key.Required || at.row == "gateway" { // gateway.name is required
			required = append(required, name)
		}
	}
	s := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// plain is a node as the values that encoding/json writes.
func (n *node) plain() any {
	switch n.kind {
	case kindNumber:
		return json.Number(n.text)
	case kindBool:
		return strings.EqualFold(n.text, "true")
	case kindList:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			items[i] = item.plain()
		}
		return items
	case kindMap:
		m := make(map[string]any, len(n.pairs))
		for _, p := range n.pairs {
			m[p.key] = p.value.plain()
		}
		return m
	}
	return n.text
}

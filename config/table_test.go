package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fieldPaths lists the row of every field of the configuration.
func fieldPaths(t reflect.Type, row string) []string {
	var paths []string
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		if name == "" || name == "-" {
			continue
		}
		path := strings.TrimPrefix(row+"."+name, ".")
		paths = append(paths, path)
		switch ft := t.Field(i).Type; {
		case nameds[ft].mark != "":
			at := path + "." + nameds[ft].mark
			paths = append(paths, at)
			paths = append(paths, fieldPaths(ft.Elem(), at)...)
		case ft == reflect.TypeFor[Policy]():
			paths = append(paths, path+".ike", path+".esp")
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct && scalars[ft.Elem()].parse == nil:
			paths = append(paths, fieldPaths(ft.Elem(), path+"[]")...)
		case ft.Kind() == reflect.Struct && scalars[ft].parse == nil:
			paths = append(paths, fieldPaths(ft, path)...)
		}
	}
	return paths
}

func TestTableHasExactlyTheFields(t *testing.T) {
	fields := fieldPaths(reflect.TypeFor[Config](), "")
	rows := Keys()
	slices.Sort(fields)
	slices.Sort(rows)
	if !slices.Equal(fields, rows) {
		t.Errorf("the table and the types differ\nfields: %v\nrows:   %v", fields, rows)
	}
}

func TestEveryRowIsWhole(t *testing.T) {
	for _, k := range keys {
		section := len(childKeys(k.Path)) > 0 && k.Example == ""
		switch {
		case !strings.HasSuffix(k.Meaning, "."):
			t.Errorf("%s: meaning %q is not a sentence", k.Path, k.Meaning)
		case !section && k.Example == "":
			t.Errorf("%s has no example", k.Path)
		case k.RFC != "" && !strings.Contains(k.RFC, ", Section "):
			t.Errorf("%s: %q names no section", k.Path, k.RFC)
		case k.Default != "" && (k.Required || k.Derived != ""):
			t.Errorf("%s has a default and says that it has none", k.Path)
		}
	}
}

// elements are the items that an example of one of their keys needs around it.
var elements = map[string]map[string]string{
	"zones.ZONE.waivers[]":        {"rule": "CRY-019", "until": "2027-03-31", "owner": "alice", "reason": "old"},
	"radius.REALM.servers[]":      {"address": `"radius1.example.org:1812"`, "secret": "/s"},
	"radius.REALM.accounting[]":   {"address": `"radius1.example.org:1813"`, "secret": "/s"},
	"radius.REALM.dynamic.from[]": {"address": "192.0.2.9", "secret": "/s"},
}

// within wraps a key and its value into a whole file.
func within(row, value string) string {
	rest := row
	if list, key, ok := strings.Cut(row, "[]."); ok {
		rest, value = list, "["+element(list+"[]", key, value)+"]"
	}
	parts := strings.Split(rest, ".")
	text := value
	for _, part := range slices.Backward(parts) {
		text = "{" + part + ": " + text + "}"
	}
	switch {
	case row == "gateway.name":
	case parts[0] == "gateway":
		text = "{gateway: {name: vpn.example.org, " + strings.TrimPrefix(text, "{gateway: {")
	default:
		text = "{gateway: {name: vpn.example.org}, " + text[1:]
	}
	return text
}

// element is an item of a list in which one key has the value.
func element(row, key, value string) string {
	whole := maps.Clone(elements[row])
	if below, ok := strings.CutPrefix(key, "tls."); ok {
		tls := map[string]string{"ca": "/ca", "certificate": "/c", "key": "/k", below: value}
		if value == `""` { // the default: no TLS
			return element(row, "secret", "/s")
		}
		delete(whole, "secret")
		key, value = "tls", flow(tls)
	}
	whole[key] = value
	if whole["secret"] == `""` {
		whole["tls"] = "{ca: /ca, certificate: /c, key: /k}"
	}
	return flow(whole)
}

// flow writes a section on one line.
func flow(keys map[string]string) string {
	var fields []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		fields = append(fields, k+": "+keys[k])
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// companion keys that an example needs beside it to make sense.
var companion = map[string]string{
	"zones.ZONE.policy.ike":               `{gateway: {name: vpn.example.org}, zones: {a: {policy: {ike: VALUE, esp: [aes256gcm16-ecp384]}}}}`,
	"zones.ZONE.policy.esp":               `{gateway: {name: vpn.example.org}, zones: {a: {policy: {esp: VALUE, ike: [aes256gcm16-prfsha384-ecp384]}}}}`,
	"zones.ZONE.identity.certificate":     `{gateway: {name: vpn.example.org}, zones: {a: {identity: {certificate: VALUE, key: /k}}}}`,
	"zones.ZONE.identity.key":             `{gateway: {name: vpn.example.org}, zones: {a: {identity: {key: VALUE, certificate: /c}}}}`,
	"zones.ZONE.radius":                   `{gateway: {name: vpn.example.org}, zones: {a: {auth: [peap], radius: VALUE}}, radius: {corp: {servers: [{address: "r:1812", secret: /s}]}}}`,
	"groups":                              `{gateway: {name: vpn.example.org}, groups: VALUE}`,
	"groups.GROUP.zone":                   `{gateway: {name: vpn.example.org}, groups: {g: {zone: VALUE}}}`,
	"groups.GROUP.pool.ipv4":              inGroup("pool: {ipv4: VALUE}"),
	"groups.GROUP.pool.ipv6":              inGroup("pool: {ipv6: VALUE}"),
	"groups.GROUP.dns.servers":            inGroup("dns: {servers: VALUE}"),
	"groups.GROUP.dns.search":             inGroup("dns: {search: VALUE}"),
	"groups.GROUP.dns.split":              inGroup("dns: {split: VALUE, servers: [10.1.0.53]}"),
	"groups.GROUP.routes":                 inGroup("routes: VALUE"),
	"groups.GROUP.user.sessions":          inGroup("user: {sessions: VALUE}"),
	"groups.GROUP.user.when_full":         inGroup("user: {when_full: VALUE}"),
	"groups.GROUP.user.download":          inGroup("user: {download: VALUE}"),
	"groups.GROUP.user.upload":            inGroup("user: {upload: VALUE}"),
	"radius.REALM.servers":                inRealm("servers: VALUE, accounting: [{address: \"r:1813\", secret: /s}]"),
	"radius.REALM.accounting":             inRealm("accounting: VALUE, servers: [{address: \"r:1812\", secret: /s}]"),
	"radius.REALM.identifier":             inRealm("identifier: VALUE, servers: [{address: \"r:1812\", secret: /s}]"),
	"radius.REALM.interim":                inRealm("interim: VALUE, servers: [{address: \"r:1812\", secret: /s}]"),
	"radius.REALM.dynamic.listen":         inRealm("dynamic: {listen: VALUE, from: [{address: 192.0.2.9, secret: /s}]}, servers: [{address: \"r:1812\", secret: /s}]"),
	"radius.REALM.dynamic.from":           inRealm("dynamic: {from: VALUE, listen: \"192.0.2.1:3799\"}, servers: [{address: \"r:1812\", secret: /s}]"),
	"radius.REALM.dynamic.from[].address": inRealm("dynamic: {from: [{address: VALUE, secret: /s}], listen: \"192.0.2.1:3799\"}, servers: [{address: \"r:1812\", secret: /s}]"),
	"radius.REALM.dynamic.from[].secret":  inRealm("dynamic: {from: [{address: 192.0.2.9, secret: VALUE}], listen: \"192.0.2.1:3799\"}, servers: [{address: \"r:1812\", secret: /s}]"),
	"zones.ZONE.dns.split":                `{gateway: {name: vpn.example.org}, zones: {a: {dns: {split: VALUE, servers: [10.0.0.53]}}}}`,
}

// inGroup and inRealm are files with one group, one realm.
func inGroup(keys string) string {
	return `{gateway: {name: vpn.example.org}, zones: {staff: {pool: {ipv6: "fd00:60::/64"}}}, groups: {g: {zone: staff, ` + keys + `}}}`
}

func inRealm(keys string) string {
	return `{gateway: {name: vpn.example.org}, zones: {staff: {auth: [peap], radius: r}}, radius: {r: {` + keys + `}}}`
}

func TestEveryExampleAndDefaultIsAccepted(t *testing.T) {
	for _, k := range keys {
		for what, value := range map[string]string{"example": k.Example, "default": k.Default} {
			half := strings.HasPrefix(k.Path, "zones.ZONE.identity") || strings.HasPrefix(k.Path, "radius.REALM.dynamic.")
			if value == "" || what == "default" && half { // half of a pair is refused, and says so
				continue
			}
			text := strings.Replace(companion[k.Path], "VALUE", value, 1)
			if text == "" {
				text = strings.NewReplacer("ZONE", "a", "GROUP", "g", "REALM", "r").Replace(within(k.Path, value))
			}
			_, found := Parse("example.yaml", []byte(text), today)
			err := found.Err()
			if k.Path == "zones.ZONE.reach" && what == "example" { // it belongs to L2TP zones, which come later
				if err == nil {
					t.Errorf("reach is accepted in an IKEv2 zone")
				}
				continue
			}
			if err != nil {
				t.Errorf("the %s of %s is refused: %v\n%s", what, k.Path, err, text)
			}
		}
	}
}

func TestExplainFindsAKeyByItsEnd(t *testing.T) {
	for asked, want := range map[string]string{
		"gateway.name":                  "gateway.name",
		"ipv4":                          "zones.ZONE.pool.ipv4",
		"pool.ipv4":                     "zones.ZONE.pool.ipv4",
		"groups.crew.pool.ipv4":         "groups.GROUP.pool.ipv4",
		"radius.corp.servers[1].tls.ca": "radius.REALM.servers[].tls.ca",
		"zones.printers.pool":           "zones.ZONE.pool",
		"zones.a.waivers[0].until":      "zones.ZONE.waivers[].until",
		"waivers.rule":                  "zones.ZONE.waivers[].rule",
		"zones.staff.routes[3]":         "zones.ZONE.routes",
		" logging ":                     "logging",
		"gateway.dataplane.offload":     "gateway.dataplane.offload",
	} {
		e, err := Explain(asked)
		if err != nil || e.Key != want {
			t.Errorf("Explain(%q) = %q, %v; want %q", asked, e.Key, err, want)
		}
	}
}

func TestExplainAsksBackWhereSeveralKeysFit(t *testing.T) {
	for asked, want := range map[string]string{
		"ike":          "gateway.ports.ike or zones.ZONE.policy.ike or zones.ZONE.rekey.ike",
		"gateway.nmae": `"gateway.name"`,
		"xyzzy":        "lists all keys",
	} {
		_, err := Explain(asked)
		unknown, ok := err.(*UnknownKeyError)
		if !ok || !strings.Contains(unknown.Hint, want) {
			t.Errorf("Explain(%q): %v; want a hint with %q", asked, err, want)
		}
	}
}

func TestExplanationOfEveryKeyNamesItsTypeAndDefault(t *testing.T) {
	for _, name := range Keys() {
		e, err := Explain(name)
		if err != nil {
			t.Fatal(err)
		}
		text := e.Text()
		for _, want := range []string{e.Key, e.Type, e.Default, e.RFC} {
			if !strings.Contains(text, want) {
				t.Errorf("the explanation of %s leaves out %q:\n%s", name, want, text)
			}
		}
	}
}

func TestSchemaHasEveryKey(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if strings.HasPrefix(k.Path, "zones.ZONE.policy.") {
			continue // in a oneOf
		}
		at := root
		for part := range strings.SplitSeq(k.Path, ".") {
			name, _, list := strings.Cut(part, "[")
			if isMark(name) {
				at = at["additionalProperties"].(map[string]any)
				continue
			}
			properties, _ := at["properties"].(map[string]any)
			next, ok := properties[name].(map[string]any)
			if !ok {
				t.Errorf("the schema has no %s", k.Path)
				break
			}
			if at = next; list {
				at = at["items"].(map[string]any)
			}
		}
		if at["description"] != k.Meaning {
			t.Errorf("%s: the schema says %q, the table %q", k.Path, at["description"], k.Meaning)
		}
	}
}

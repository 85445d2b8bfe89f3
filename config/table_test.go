package config

import (
	"cmp"
	"encoding/json"
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
			item := path + "." + nameds[ft].mark
			paths = append(paths, item)
			paths = append(paths, fieldPaths(ft.Elem(), item)...)
		case ft == reflect.TypeFor[Policy]():
			paths = append(paths, path+".ike", path+".esp")
		case scalars[ft].parse != nil:
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct && scalars[ft.Elem()].parse == nil:
			paths = append(paths, fieldPaths(ft.Elem(), path+"[]")...)
		case ft.Kind() == reflect.Struct:
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

// beside is what must stand in the same section as a key for its example to
// make sense; required keys are there in any case.
var beside = map[string]string{
	"zones.ZONE.policy.ike":                     "esp: [aes256gcm16-ecp384]",
	"zones.ZONE.policy.esp":                     "ike: [aes256gcm16-prfsha384-ecp384]",
	"zones.ZONE.radius":                         "auth: [eap-tls]",
	"zones.ZONE.identity.certificate":           "key: /k",
	"zones.ZONE.identity.key":                   "certificate: /c",
	"zones.ZONE.group_psk":                      "machine: [psk], waivers: [{rule: PSK-003, until: 2026-12-24, owner: a, reason: b}]",
	"zones.ZONE.dns.split":                      "servers: [10.0.0.53]",
	"groups.GROUP.dns.split":                    "servers: [10.0.0.53]",
	"radius.REALM.servers[].address":            "secret: /s",
	"radius.REALM.servers[].status":             "secret: /s",
	"radius.REALM.servers[].tls.name":           "ca: /a, certificate: /c, key: /k",
	"radius.REALM.servers[].tls.ca":             "certificate: /c, key: /k",
	"radius.REALM.servers[].tls.crl":            "ca: /a, certificate: /c, key: /k",
	"radius.REALM.servers[].tls.certificate":    "ca: /a, key: /k",
	"radius.REALM.servers[].tls.key":            "ca: /a, certificate: /c",
	"radius.REALM.accounting[].address":         "secret: /s",
	"radius.REALM.accounting[].status":          "secret: /s",
	"radius.REALM.accounting[].tls.name":        "ca: /a, certificate: /c, key: /k",
	"radius.REALM.accounting[].tls.ca":          "certificate: /c, key: /k",
	"radius.REALM.accounting[].tls.crl":         "ca: /a, certificate: /c, key: /k",
	"radius.REALM.accounting[].tls.certificate": "ca: /a, key: /k",
	"radius.REALM.accounting[].tls.key":         "ca: /a, certificate: /c",
	"radius.REALM.identifier":                   oneServer,
	"radius.REALM.interim":                      oneServer,
	"radius.REALM.dynamic":                      oneServer,
	"radius.REALM.dynamic.listen":               "from: [{address: 192.0.2.9, secret: /s}]",
	"radius.REALM.dynamic.from":                 "listen: 192.0.2.1:3799",
}

// besideDefault is beside, where the value is the default.
var besideDefault = map[string]string{
	"radius.REALM.servers":             `accounting: [{address: "a.example:1813", secret: /s}]`,
	"radius.REALM.servers[].status":    "secret: /s",
	"radius.REALM.servers[].tls":       "secret: /s",
	"radius.REALM.accounting":          oneServer,
	"radius.REALM.accounting[].status": "secret: /s",
	"radius.REALM.accounting[].tls":    "secret: /s",
	"radius.REALM.identifier":          oneServer,
	"radius.REALM.interim":             oneServer,
	"radius.REALM.dynamic":             oneServer,
}

const oneServer = `servers: [{address: "r.example:1812", secret: /s}]`

// aside is what an example refers to in other sections.
var aside = map[string]string{
	"zones.ZONE.radius":      "radius: {corp: {" + oneServer + "}}",
	"groups.GROUP.pool.ipv6": `zones: {staff: {pool: {ipv6: "fd00:60::/64"}}}`,
}

// within wraps a key and its value into a whole file, with what must stand
// beside it on every level.
func within(row, value, aside string, beside map[string]string) string {
	text, at := value, row
	for at != "" {
		section, name := "", at
		if i := strings.LastIndex(at, "."); i >= 0 {
			section, name = at[:i], at[i+1:]
		}
		list := strings.HasSuffix(name, "[]")
		if list {
			text = "[" + text + "]"
		}
		pairs := []string{strings.ToLower(strings.TrimSuffix(name, "[]")) + ": " + text} // ZONE is a name too
		if also := beside[strings.TrimSuffix(at, "[]")]; also != "" {
			pairs = append(pairs, also)
		}
		if k := byPath[at]; section == "zones.ZONE" && k != nil && k.Only == L2TP {
			pairs = append(pairs, "protocol: l2tp")
		}
		for _, k := range keys {
			if k.Required && k.Path == section+"."+lastName(k.Path) && k.Path != at {
				pairs = append(pairs, lastName(k.Path)+": "+k.Example)
			}
		}
		if section == "" && name != "gateway" {
			pairs = append(pairs, "gateway: {name: vpn.example.org}")
		}
		if section == "" && aside != "" {
			pairs = append(pairs, aside)
		}
		text, at = "{"+strings.Join(pairs, ", ")+"}", section
	}
	return text
}

// TestEveryExampleIsAccepted holds what the manual shows to what Parse takes.
func TestEveryExampleIsAccepted(t *testing.T) {
	for _, k := range keys {
		if k.Example == "" {
			continue
		}
		text := within(k.Path, k.Example, aside[k.Path], beside)
		_, found := Parse("example.yaml", []byte(text), today)
		if err := found.Err(); err != nil {
			t.Errorf("the example of %s is refused: %v\n%s", k.Path, err, text)
		}
	}
}

// TestWritingADefaultOutChangesNothing: who writes a default into the file gets
// what the file without it means.
func TestWritingADefaultOutChangesNothing(t *testing.T) {
	for _, k := range keys {
		if k.Default == "" || strings.HasSuffix(k.Path, "[].secret") { // a server without secret has tls
			continue
		}
		text := within(k.Path, k.Default, "", besideDefault)
		without := strings.Replace(text, lastName(k.Path)+": "+k.Default, "", 1)
		if without == text {
			t.Fatalf("%s: %s does not hold the default", k.Path, text)
		}
		a, b := mustParse(t, text), mustParse(t, without)
		if changes := Diff(a, b); len(changes) > 0 {
			t.Errorf("writing out the default of %s changes %v\n%s", k.Path, changes, text)
		}
	}
}

// TestWritingADefaultOfAnL2TPZoneOutChangesNothing is the same for the defaults
// that are others there.
func TestWritingADefaultOfAnL2TPZoneOutChangesNothing(t *testing.T) {
	for _, k := range keys {
		value := cmp.Or(k.L2TP, k.Default)
		switch {
		case !strings.HasPrefix(k.Path, "zones.ZONE."), value == "", k.Only == IKEv2, k.Path == "zones.ZONE.protocol":
			continue
		case k.Path == "zones.ZONE.routes", k.Path == "zones.ZONE.waivers[].peer": // it follows reach; the example's rule is one of IKEv2
			continue
		}
		key := strings.SplitN(strings.ReplaceAll(k.Path, "[]", ""), ".", 4)[2] // right below the zone
		beside := map[string]string{"zones.ZONE." + key: "protocol: l2tp"}
		if k.Only == L2TP {
			beside = nil // within knows
		}
		text := within(k.Path, value, "", beside)
		without := strings.Replace(text, lastName(k.Path)+": "+value, "", 1)
		if without == text {
			t.Fatalf("%s: %s does not hold the default", k.Path, text)
		}
		a, b := mustParse(t, text), mustParse(t, without)
		if changes := Diff(a, b); len(changes) > 0 {
			t.Errorf("writing out the default of %s changes %v\n%s", k.Path, changes, text)
		}
	}
}

func TestExplainFindsAKeyByItsEnd(t *testing.T) {
	for asked, want := range map[string]string{
		"gateway.name":                   "gateway.name",
		"ipv4":                           "zones.ZONE.pool.ipv4",
		"pool.ipv4":                      "zones.ZONE.pool.ipv4",
		"zones.printers.pool":            "zones.ZONE.pool",
		"zones.a.waivers[0].until":       "zones.ZONE.waivers[].until",
		"waivers.rule":                   "zones.ZONE.waivers[].rule",
		"zones.staff.routes[3]":          "zones.ZONE.routes",
		" logging ":                      "logging",
		"gateway.dataplane.offload":      "gateway.dataplane.offload",
		"groups.engineers.pool":          "groups.GROUP.pool",
		"when_full":                      "zones.ZONE.user.when_full",
		"radius.corp.servers[1]":         "radius.REALM.servers",
		"dynamic.from.secret":            "radius.REALM.dynamic.from[].secret",
		"radius.corp.servers[1].tls.key": "radius.REALM.servers[].tls.key",
	} {
		e, err := Explain(asked)
		if err != nil || e.Key != want {
			t.Errorf("Explain(%q) = %q, %v; want %q", asked, e.Key, err, want)
		}
	}
}

func TestExplainAsksBackWhereSeveralKeysFit(t *testing.T) {
	for asked, want := range map[string]string{
		"ike":             "gateway.ports.ike or zones.ZONE.policy.ike or zones.ZONE.rekey.ike",
		"gateway.nmae":    `"gateway.name"`,
		"limits.sessions": "gateway.limits.sessions or zones.ZONE.limits.sessions",
		"tls.key":         "radius.REALM.servers[].tls.key or radius.REALM.accounting[].tls.key",
		"xyzzy":           "lists all keys",
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
		for _, want := range []string{e.Key, e.Type, e.Default, e.L2TP, e.Zones, e.RFC} {
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

// Package fortios reads configurations of Fortinet FortiGate (FortiOS): a
// backup, or what "show" and "show full-configuration" write. The latter has
// the defaults in it; for the others they are inferred, for the vendor's
// documents name them for some versions alone.
package fortios

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// product is the name under which the version is known.
const product = "FortiOS"

// header is the first line of a backup:
//
//	#config-version=FGT60F-7.2.8-FW-build1639-240313:opmode=0:vdom=0:user=admin
//	#config-version=FGT60D-5.06-FW-build1630-180802:opmode=0:vdom=0:user=admin
var header = regexp.MustCompile(`^#config-version=([A-Za-z0-9]+)-([0-9]+(?:\.[0-9]+){1,3})-`)

var configLine = regexp.MustCompile(`(?m)^\s*(([A-Za-z][A-Za-z0-9_.-]* )?[#$] )?config (vpn ipsec (phase[12]|manualkey)(-interface)?|sys(tem)? global|firewall policy|sys(tem)? interface|vpn l2tp|user local|user radius|log syslogd[234]? setting)\s*$`)

// Claims tells whether a file is a configuration of FortiOS: by its first line,
// or by a table of it with an entry or a setting.
func Claims(_ string, head func() []byte) bool {
	h := head()
	for _, model := range []string{"FG", "FW"} { // FortiGate, FortiWiFi
		if bytes.HasPrefix(h, []byte("#config-version="+model)) {
			return true
		}
	}
	return configLine.Match(h) && bytes.Contains(h, []byte("set "))
}

// Read reads the configurations.
func Read(in *source.Input) {
	in = in.For(posture.FortiOS, in.Files)
	for _, p := range in.Files {
		if t := in.Read(p, false); t != nil {
			r := &reader{in: in, host: in.Host, text: t, file: t.At(1, 1)}
			r.defaults = setting.Defaults{Product: product, Version: in.Version(product), Oldest: oldest}
			r.read()
		}
	}
}

// oldest is the version whose defaults count where the file has no header.
const oldest = "6.4"

// reader is the reading of one configuration.
type reader struct {
	in       *source.Input
	host     *posture.Host
	text     *source.Text
	file     posture.Pos
	entries  []*entry
	tables   map[string][]*entry // entries by path
	defaults setting.Defaults
	headed   bool

	roads *ways // nil: not looked for
}

func (r *reader) read() {
	p := &parser{in: r.in, text: r.text}
	statements(r.in, r.text, r.header, p.do)
	r.entries, r.tables = p.entries, map[string][]*entry{}
	for _, e := range r.entries {
		r.tables[e.path] = append(r.tables[e.path], e)
	}
	r.in.Product(product, r.defaults.Version)
	r.identity()
	r.connections()
	r.daemon()
	r.manual()
	r.l2tp()
	r.users()
	r.radius()
	r.firewall()
	r.logging()
}

// header reads a comment: the first says which version wrote the file.
func (r *reader) header(line string, at posture.Pos) {
	m := header.FindStringSubmatch(line)
	if m == nil || r.headed {
		return
	}
	r.headed = true
	v := plain(m[2])
	r.defaults.Version = posture.Written(v, at, m[2])
	r.host.Packages = append(r.host.Packages, posture.Package{
		Subject: r.subject("package", product, at), Manager: "firmware", Name: product, Source: product, Version: v, Distro: m[1],
	})
}

// plain is a version without the zeros of old headers: 5.06 is 5.6.
func plain(version string) string {
	parts := strings.Split(version, ".")
	for i, p := range parts {
		if n, err := strconv.Atoi(p); err == nil {
			parts[i] = strconv.Itoa(n)
		}
	}
	return strings.Join(parts, ".")
}

func (r *reader) identity() {
	if e := r.one("system global"); e != nil {
		if v, ok := e.set["hostname"]; ok {
			r.host.Name = v.text()
		}
	}
}

func (r *reader) subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: posture.FortiOS, Kind: kind, Name: name, At: at}
}

// title is an entry's name, with its virtual domain where there are several.
func (e *entry) title() string {
	if e.vdom != "" && e.vdom != "root" {
		return e.vdom + "/" + e.name
	}
	return e.name
}

// word is what a key is set to, or what it is otherwise.
func (e *entry) word(key, otherwise string) string {
	if v, ok := e.set[key]; ok {
		return v.text()
	}
	return otherwise
}

// get is a setting with its default; an empty default is none.
func (r *reader) get(e *entry, key, byDefault string) setting.Setting {
	if v, ok := e.set[key]; ok {
		return setting.Written(v.text(), v.at)
	}
	if byDefault == "" {
		return setting.Setting{}
	}
	return r.defaults.Setting(byDefault, e.at, false)
}

// of is a setting with its type; what is not understood is noted.
func of[T any](r *reader, e *entry, key, byDefault string, parse func(string) (T, bool)) posture.Value[T] {
	v, ok := setting.To(r.get(e, key, byDefault), parse)
	if !ok {
		r.in.Note(posture.Unparsed, e.set[key].at, "%s: the value of %s is not understood", e.path, key)
	}
	if v.Origin == posture.Explicit {
		v.Text = key + " " + v.Text
	}
	return v
}

// word1 is a text as it is.
func word1(s string) (string, bool) { return s, true }

// secret enters a secret: encrypted with a key of the device, masked, or clear.
func (r *reader) secret(e *entry, key string, s posture.Secret) {
	v, ok := e.set[key]
	if !ok || len(v.words) == 0 {
		return
	}
	s.Subject = r.subject("secret", e.title(), v.at)
	if e.path == policyBased {
		s.Setting = e.path
	}
	switch {
	case v.words[0] == "ENC":
		s.Storage = posture.Encrypted
		r.in.Note(posture.Opaque, v.at, "%s is encrypted with a key that is not in the file", key)
	case setting.LeftOut(v.text()):
		s.Storage = posture.Elsewhere
		r.in.Note(posture.Opaque, v.at, "%s is left out", key)
	default:
		s.Storage, s.Backup = posture.Clear, true
		s.Value = []byte(v.text())
		r.in.HoldsSecrets(r.text)
	}
	r.host.Secrets = append(r.host.Secrets, s)
}

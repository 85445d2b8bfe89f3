// Package routeros reads exports of MikroTik RouterOS: what "/export" and
// "/export show-sensitive" write, of versions 6 and 7.
//
// An export leaves out what is the default, so most of what is in force does
// not stand in it; the tables of this package have it. RouterOS 6 shows secrets
// unless "hide-sensitive" is given, RouterOS 7 hides them unless
// "show-sensitive" is.
package routeros

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// product is the name under which the version is known.
const product = "RouterOS"

// by is the line that an export begins with:
//
//	# jan/02/1970 00:00:11 by RouterOS 6.49.10
//	# 2024-05-01 12:00:00 by RouterOS 7.14.3
var by = regexp.MustCompile(`(?m)^# .{0,40}\bby RouterOS ([0-9][0-9A-Za-z.]{0,20})`)

// broken is what the router writes where it could not go on.
var broken = regexp.MustCompile(`^# ?(interrupted|error exporting)`)

// menuLine is a line that begins with a menu: as an export has it, or a command
// as people write it, with slashes or without the first.
var menuLine = regexp.MustCompile(`(?m)^[ \t]*/?(ip|ppp|interface|system|radius|ipv6|routing|certificate|user-manager)[ /][a-z0-9]`)

// vpnLine is a command or menu that nothing else has, in the files of those who
// make exports from templates.
var vpnLine = regexp.MustCompile(`(?m)^[ \t]*/(ip[ /]ipsec[ /](peer|identity|proposal|profile|policy)|interface[ /](l2tp-server[ /]server|l2tp-client)|ppp[ /](secret|profile))([ /](add|set)\b|[ \t]*\r?\n[ \t]*(add|set) )`)

// textual are the names of files that may be pages about RouterOS.
var textual = regexp.MustCompile(`(?i)\.(md|rst|html?|adoc|tex|ya?ml|json|py|go|js|ts|sh|xml)$`)

// Claims tells whether a file is an export: by its first line, by the name
// .rsc and menus in it, or by menus of VPNs in a file that is no page.
func Claims(p string, head func() []byte) bool {
	h := head()
	if by.Match(h) {
		return true
	}
	if !textual.MatchString(p) && vpnLine.Match(h) {
		return true
	}
	return path.Ext(strings.ToLower(p)) == ".rsc" && (menuLine.Match(h) || bytes.Contains(h, []byte("/ip ipsec")) || bytes.Contains(h, []byte("/interface ")))
}

// Read reads the exports.
func Read(in *source.Input) {
	in = in.For(posture.RouterOS, in.Files)
	for _, p := range in.Files {
		if t := in.Read(p, false); t != nil {
			newReader(in, t).read()
		}
	}
}

// reader is the reading of one export.
type reader struct {
	in        *source.Input
	host      *posture.Host
	text      *source.Text
	file      posture.Pos
	table     *table
	defaults  setting.Defaults
	hidden    bool                // the note about hidden secrets was made
	headed    bool                // the version was read of the file
	templates map[string][]*entry // policies by group
	policies  map[string][]*entry // the others by peer
	full      bool                // the note about too many connections was made
}

// oldest is the version whose defaults count where an export has no header.
const oldest = "6.49"

func newReader(in *source.Input, t *source.Text) *reader {
	file := t.At(1, 1)
	return &reader{
		in: in, host: in.Host, text: t, file: file, table: newTable(in, file),
		defaults: setting.Defaults{Product: product, Version: in.Version(product), Oldest: oldest},
	}
}

func (r *reader) read() {
	commands(r.in, r.text, r.header, r.table.do)
	r.menus()
	r.identity()
	r.ipsec()
	r.servers()
	r.clients()
	r.overlayConnections()
	r.users()
	r.radius()
	r.wireguard()
	r.firewall()
	r.kernel()
	r.logging()
}

// header reads a comment: the first says which version wrote the export.
func (r *reader) header(line string, at posture.Pos) {
	if broken.MatchString(line) {
		r.in.Note(posture.Malformed, at, "the router did not finish this export: something is missing")
	}
	m := by.FindStringSubmatch(line)
	if m == nil || r.headed {
		return
	}
	r.headed = true
	r.defaults.Version = posture.Written(m[1], at, m[1])
	r.host.Packages = append(r.host.Packages, posture.Package{
		Subject: r.subject("package", product, at), Manager: "firmware", Name: product, Source: product, Version: m[1],
	})
}

// menus enters the product and notes what nobody reads.
func (r *reader) menus() {
	r.in.Product(product, r.defaults.Version)
	for _, name := range r.table.menus {
		if _, ok := menus[name]; !ok && !passed(name) {
			// A line of one word is a menu below, or the rest of a secret.
			what := "the menu " + setting.Shown(name)
			if i := strings.LastIndexByte(name, ' '); i > 0 {
				what = "a menu below " + setting.Shown(name[:i])
			}
			r.in.Note(posture.Unparsed, r.table.begin[name], "%s is not known", what)
		}
	}
}

// whole tells whether the export is of the router and not of some menus, so
// that what is not there is the default.
func (r *reader) whole() bool {
	for _, name := range r.table.menus {
		if strings.HasPrefix(name, "system ") || name == "ip address" || strings.HasPrefix(name, "ip dhcp-") {
			return true
		}
	}
	return false
}

func (r *reader) identity() {
	e := r.table.one("system identity", r.file)
	if p, ok := e.props["name"]; ok {
		r.host.Name = p.value
	}
}

func (r *reader) subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: posture.RouterOS, Kind: kind, Name: name, At: at}
}

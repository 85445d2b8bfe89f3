// Package wireguard reads the files of wg and wg-quick, and those of
// systemd-networkd: one interface with its peers.
//
// Sources are wg(8), wg-quick(8), systemd.netdev(5) and, for what they do not say,
// the program wg-quick itself.
package wireguard

import (
	"path"
	"regexp"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// product is the name in Host.Products.
const product = "WireGuard"

// mostPeers bounds one interface.
const mostPeers = 20_000

var (
	hasKind      = regexp.MustCompile(`(?im)^[ \t]*Kind[ \t]*=[ \t]*wireguard[ \t\r]*$`)
	hasInterface = regexp.MustCompile(`(?im)^[ \t]*\[Interface\]`)
	hasKey       = regexp.MustCompile(`(?im)^[ \t]*(\[Peer\]|PrivateKey[ \t]*=|ListenPort[ \t]*=)`)
)

// Claims tells whether a file is one of wg or wg-quick, by its sections, or a
// network device of systemd of this kind.
func Claims(p string, head func() []byte) bool {
	switch path.Ext(p) {
	case ".conf":
	case netdev:
		return hasKind.Match(head())
	default:
		return false
	}
	text := head()
	return hasInterface.Match(text) && hasKey.Match(text)
}

// entry is one setting.
type entry struct {
	key, value string // key in lower case
	at         posture.Pos
}

// section is [Interface] or one [Peer].
type section struct {
	kind    string // in lower case
	at      posture.Pos
	entries []entry
}

// get is the last of a key: later lines replace earlier ones.
func (s *section) get(key string) (entry, bool) {
	for i := len(s.entries) - 1; i >= 0; i-- {
		if s.entries[i].key == key {
			return s.entries[i], true
		}
	}
	return entry{}, false
}

// all are the values of a key that adds up, split at commas.
func (s *section) all(key string) (values []string, at posture.Pos) {
	for _, e := range s.entries {
		if e.key == key {
			values = append(values, list(e.value)...)
			if at.Line == 0 {
				at = e.at
			}
		}
	}
	return values, at
}

func list(s string) []string {
	var out []string
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// known are the keys of each section. The second line is of AmneziaWG, whose tools
// are made of these: it hides what packets look like and changes no key.
var known = map[string]map[string]bool{
	"interface": words("privatekey listenport fwmark address dns mtu table preup postup predown postdown saveconfig " +
		"jc jmin jmax s1 s2 s3 s4 h1 h2 h3 h4 i1 i2 i3 i4 i5 j1 j2 j3 itime"),
	"peer": words("publickey presharedkey allowedips endpoint persistentkeepalive advancedsecurity"),
}

// netdev is how files of systemd-networkd end. Their sections are those of wg under
// other names, with keys in files of their own, too; addresses, resolvers and
// most routes stand in files for the network, which are not read.
const netdev = ".netdev"

var (
	sections = map[string]string{"netdev": "netdev", "wireguard": "interface", "wireguardpeer": "peer"}
	ofDevice = map[string]map[string]bool{
		"netdev":    words("name kind description mtubytes macaddress"),
		"interface": words("privatekey privatekeyfile listenport firewallmark routetable routemetric"),
		"peer":      words("publickey publickeyfile presharedkey presharedkeyfile allowedips endpoint persistentkeepalive routetable routemetric"),
	}
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// reader fills a host.
type reader struct {
	in     *source.Input
	device bool // the file is one of systemd-networkd
}

// Read reads the files of one host.
func Read(in *source.Input) {
	in = in.For(posture.WireGuard, in.Files)
	r := &reader{in: in}
	in.Product(product, in.Version(product))
	for _, p := range in.Files {
		if text := in.Read(p, false); text != nil {
			r.device = path.Ext(p) == netdev
			r.tunnel(text, r.parse(text))
		}
	}
}

// parse reads sections. A # begins a comment anywhere, also in a command.
func (r *reader) parse(text *source.Text) []*section {
	var all []*section
	var now *section
	for n, line := range r.in.Lines(text) {
		if !r.device {
			line, _, _ = strings.Cut(line, "#")
		} else if start := strings.TrimSpace(line); strings.HasPrefix(start, "#") || strings.HasPrefix(start, ";") {
			line = "" // systemd has comments in lines of their own alone
		}
		col := 1 + len(line) - len(strings.TrimLeft(line, " \t"))
		line = strings.TrimSpace(line)
		at := text.At(n, col)
		switch {
		case line == "":
		case strings.HasPrefix(line, "["):
			now = r.open(line, at)
			if now != nil && len(all) > mostPeers {
				r.in.Note(posture.Limit, at, "more than %d peers: the rest was not read", mostPeers)
				return all
			}
			if now != nil {
				all = append(all, now)
			}
		default:
			r.setting(now, line, at)
		}
	}
	return all
}

// open begins a section; it is nil for one that is not known.
func (r *reader) open(line string, at posture.Pos) *section {
	name := strings.ToLower(strings.TrimSpace(strings.Trim(line, "[]")))
	if kind := sections[name]; r.device && kind != "" {
		return &section{kind: kind, at: at}
	}
	if r.device || known[name] == nil {
		r.in.Note(posture.Unparsed, at, "the section %s is not known", setting.Shown(name))
		return &section{kind: "unknown", at: at}
	}
	return &section{kind: name, at: at}
}

// setting reads a line. Its value is in no note: it may be a key.
func (r *reader) setting(s *section, line string, at posture.Pos) {
	key, value, ok := strings.Cut(line, "=")
	written := strings.TrimSpace(key)
	key = strings.ToLower(written)
	switch {
	case s != nil && s.kind == "unknown":
	case !ok:
		r.in.Note(posture.Unparsed, at, "the line has no =")
	case s == nil:
		r.in.Note(posture.Unparsed, at, "the setting %s stands before any section", setting.Key(written, value))
	case r.device && !ofDevice[s.kind][key] || !r.device && !known[s.kind][key]:
		r.in.Note(posture.Unparsed, at, "the setting %s of [%s] is not known", setting.Key(written, value), s.kind)
	default:
		s.entries = append(s.entries, entry{key, strings.TrimSpace(value), at})
	}
}

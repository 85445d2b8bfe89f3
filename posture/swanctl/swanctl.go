// Package swanctl reads swanctl.conf and strongswan.conf of strongSwan: the
// settings grammar with its sections, inheritance and includes, and the defaults
// that the daemon of each version fills in.
//
// Sources are swanctl.conf(5) and strongswan.conf(5), and, for what they do not
// say, src/libstrongswan/settings and src/libcharon/plugins/vici.
package swanctl

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/proposal"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// part is what a file is, by its place.
type part int

const (
	other   part = iota
	conns        // swanctl.conf
	connsIn      // swanctl/conf.d/*.conf
	daemon       // strongswan.conf
	daemonIn
	pluginIn // strongswan.d/charon/*.conf: included into charon.plugins
	loose    // a part of strongswan.conf by its content
)

// partOf goes by the path.
func partOf(p string) part {
	dir, name := path.Split("/" + p)
	switch {
	case !strings.HasSuffix(name, ".conf"):
		return other
	case strings.HasSuffix(dir, "/strongswan.d/charon/"):
		return pluginIn
	case strings.Contains(dir, "/strongswan.d/"):
		return daemonIn
	case strings.HasSuffix(dir, "/swanctl/conf.d/"):
		return connsIn
	case name == "swanctl.conf":
		return conns
	case name == "strongswan.conf":
		return daemon
	}
	return other
}

var (
	connectionsBegin = regexp.MustCompile(`(?m)^[ \t]*connections\s*(:[^{}=\n]*)?\{`)
	daemonBegins     = regexp.MustCompile(`(?m)^[ \t]*charon(-systemd)?\s*(:[^{}=\n]*)?\{`)
	connectionHas    = regexp.MustCompile(`(?m)(^|[\s{])(children|remote[\w-]*|local[\w-]*)\s*(:[^{}=\n]*)?\{`)
)

// Claims tells whether a file is one of swanctl's or of the daemon's: by its
// place, or for another *.conf by connections that have children or peers, or by
// settings of charon.
func Claims(p string, head func() []byte) bool {
	if partOf(p) != other {
		return true
	}
	if !strings.HasSuffix(p, ".conf") {
		return false
	}
	text := head()
	return connectionsBegin.Match(text) && connectionHas.Match(text) || daemonBegins.Match(text)
}

// partOf is the part by its place or its content.
func (r *reader) partOf(p string) part {
	kind := partOf(p)
	if kind == other {
		if text := r.in.Head(p, 8<<10); !connectionsBegin.Match(text) && daemonBegins.Match(text) {
			return loose
		}
	}
	return kind
}

// reader fills a host.
type reader struct {
	in      *source.Input
	loader  *loader
	version string
	blind   bool            // strongswan.conf is not known
	daemon  *posture.Daemon // what connections take over
	conn    view            // the connection being read
	charon  view            // its settings
	usual   map[suite.Protocol]usual
	count   int // of children
	replay  posture.Value[int]
	copyDF  posture.Value[bool]
	updown  posture.Value[bool]
}

// usual is the daemon's own proposals.
type usual struct {
	list []posture.Proposal
	why  string
}

// Read reads the files of one host.
func Read(in *source.Input) {
	in = in.For(posture.Swanctl, in.Files)
	r := &reader{in: in, loader: newLoader(in), usual: map[suite.Protocol]usual{}}
	if v := in.Version(product).V; proposal.Before("0", v) {
		r.version = v
	}
	in.Product(product, in.Version(product))
	daemons, configs := r.load()
	written := len(daemons) > 0
	if !written {
		daemons = append(daemons, r.absent())
	}
	for _, d := range daemons {
		r.readDaemon(d.tree)
	}
	r.blind = false
	for _, c := range configs {
		r.readConfig(c)
	}
	r.eap()
	r.finishDaemon()
	if !written && len(in.Host.Connections) == 0 { // nothing but defaults, for nobody
		in.Host.Daemons = slices.DeleteFunc(in.Host.Daemons, func(d posture.Daemon) bool { return d.Dialect == posture.Swanctl })
	}
}

// config is one tree, with the path of the file that it began with.
type config struct {
	*tree
	path  string
	made  bool // there is no such file: it stands for the one that includes the others
	stray bool // nothing includes it
}

// load makes a tree of each swanctl.conf and strongswan.conf, with the files that
// they include. Files of the directories beside them that are not included are
// trees by themselves.
func (r *reader) load() (daemons, configs []config) {
	for _, p := range r.in.Files {
		switch partOf(p) {
		case conns:
			configs = append(configs, r.begin(p))
		case daemon:
			daemons = append(daemons, r.begin(p))
		}
	}
	for _, p := range r.in.Files {
		if r.loader.read[p] {
			continue
		}
		switch kind := r.partOf(p); kind {
		case daemonIn, pluginIn, loose:
			daemons = r.stray(daemons, p, kind)
		default:
			configs = r.stray(configs, p, kind)
		}
	}
	return daemons, configs
}

// absent stands for a strongswan.conf that was not given. What it would say can
// only be supposed.
func (r *reader) absent() config {
	r.blind = true
	t := newTree()
	if len(r.in.Files) > 0 {
		t.root.at.File = r.in.Show(r.in.Files[0])
	}
	return config{tree: t}
}

func (r *reader) begin(p string) config {
	t := newTree()
	t.short = func(at posture.Pos) {
		r.in.Note(posture.Limit, at, "sections inherit from each other too often: a part of the settings was not read")
	}
	t.root.at = posture.Pos{File: r.in.Show(p)}
	r.loader.load(t.root, nil, p)
	return config{tree: t, path: p}
}

// stray is for a file that no other includes. Without a main file, or where an
// include leads out of what was given, it is as good as included; otherwise the
// daemon does not see it.
func (r *reader) stray(list []config, p string, kind part) []config {
	if kind == other {
		return append(list, r.begin(p))
	}
	i := slices.IndexFunc(list, func(c config) bool { return !c.stray && path.Dir(c.path) == mainDir(p, kind) })
	if i >= 0 && !list[i].made && !r.loader.lost {
		r.unparsed(posture.Pos{File: r.in.Show(p)}, "%s does not include this file: the daemon does not read it", path.Base(list[i].path))
		c := r.begin(p)
		c.stray = true
		if kind == connsIn {
			return append(list, c)
		}
		return list
	}
	if i < 0 {
		list = append(list, config{tree: newTree(), path: path.Join(mainDir(p, kind), "absent"), made: true})
		i = len(list) - 1
	}
	into := list[i].root
	if kind == pluginIn {
		at := posture.Pos{File: r.in.Show(p)}
		into = into.sub("charon", at).sub("plugins", at)
	}
	r.loader.load(into, nil, p)
	return list
}

// mainDir is where the main file of a part would be.
func mainDir(p string, kind part) string {
	dir := path.Dir(p)
	for range map[part]int{connsIn: 1, daemonIn: 1, pluginIn: 2}[kind] {
		dir = path.Dir(dir)
	}
	return dir
}

// readConfig reads a swanctl.conf.
func (r *reader) readConfig(c config) {
	root := c.view()
	r.check(root, topKnown, "", func(name string) bool { return true })
	for _, name := range root.sub("connections").names() {
		r.connection(root, name, c.stray)
	}
	r.known(root.sub("connections"), nil, "connections")
	r.secrets(root.sub("secrets"))
	r.pools(root.sub("pools"))
	r.authorities(root.sub("authorities"))
	r.bases(c.tree)
	r.unused(c.tree)
}

// unused notes top sections that are no part of the grammar and that nothing
// inherits from. The section swanctl is of strongswan.d/swanctl.conf, which has
// the same name.
func (r *reader) unused(t *tree) {
	for _, name := range t.root.order {
		if !topKnown[name] && !t.used[name] && name != "swanctl" {
			r.unparsed(t.root.sections[name].at, "nothing uses the section %q", source.Quote(name))
		}
	}
}

// bases notes references to sections that do not exist.
func (r *reader) bases(t *tree) {
	all := []*section{t.root}
	for len(all) > 0 {
		s := all[len(all)-1]
		all = all[:len(all)-1]
		for _, b := range s.bases {
			if t.root.find(b.name) == nil {
				r.unparsed(b.at, "the section %s, which %q inherits from, does not exist", b.shown(s), source.Quote(s.name))
			}
		}
		for _, name := range s.order {
			all = append(all, s.sections[name])
		}
	}
}

// shown is the name for a note. Who writes "secret: hunter2" has not named a
// section.
func (b base) shown(of *section) string {
	if secretKeys[strings.ToLower(of.name)] {
		return notation.Shown("")
	}
	return strconv.Quote(source.Quote(b.name))
}

// secretKeys are the settings that hold secrets.
var secretKeys = map[string]bool{"secret": true, "pin": true, "password": true, "psk": true}

// known notes settings and subsections of a view that the grammar does not have.
// A nil set has none.
func (r *reader) known(v view, set map[string]bool, what string) {
	r.check(v, set, what, func(string) bool { return set == nil })
}

// check is known with subsections that may have any name.
func (r *reader) check(v view, set map[string]bool, what string, free func(name string) bool) {
	if what != "" {
		what = " of " + what
	}
	for _, key := range v.keys() {
		if !allows(set, key) {
			s, _ := v.get(key)
			r.unparsed(s.at, "the setting %s%s is not known", notation.Key(key, s.value), what)
		}
	}
	for _, name := range v.names() {
		if !allows(set, name) && !free(name) {
			r.unparsed(v.sub(name).at(), "the section %q%s is not known", source.Quote(name), what)
		}
	}
}

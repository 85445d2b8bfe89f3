// Package load finds out what the files of a target are, which of them belong
// to one host, and lets their readers make a posture of each.
package load

import (
	"cmp"
	"fmt"
	"iter"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/source"
)

// reader is what can be read: one dialect, or several with one grammar.
type reader struct {
	name   string
	claims func(p string, head func() []byte) bool // is the file of this dialect
	alone  bool                                    // each file is a host of its own: an export
	named  func(head []byte) string                // not nil: the exports of a directory are a host, but those that name another
	always bool                                    // also reads where no file is claimed: it looks for its own
	read   func(*source.Input)
}

// headSize is how much of a file is enough to tell what it is.
const headSize = 8 << 10

// hostDirs are what is looked through on a host whose whole file system is the
// target. The rest of it is no configuration.
var hostDirs = []string{"etc", "usr/local/etc", "config", "cf/conf", "conf", "var/lib/ipsec"}

// nested are directories of configuration that belong to what is above them.
var nested = []string{
	"swanctl", "conf.d", "strongswan.d", "charon", "charon-logging", "ipsec.d", "ppp", "peers", "xl2tpd", "wireguard",
	"freeradius", "raddb", "3.0", "3.2", "mods-enabled", "mods-available", "sites-enabled", "sites-available", "mods-config", "files",
	"sysctl.d", "nftables.d", "nftables", "iptables", "rsyslog.d", "logrotate.d", "chrony", "systemd", "journald.conf.d", "timesyncd.conf.d", "modprobe.d",
	"x509", "x509ca", "x509crl", "x509aa", "x509ac", "x509ocsp", "private", "rsa", "ecdsa", "pkcs8", "pkcs12", "pubkey", "bliss",
	"cacerts", "certs", "crls", "aacerts", "acerts", "ocspcerts", "reqs", "default", "sysconfig", "pki", "issued", "pam.d",
}

// telling are the directories and files of a host of which a link to nowhere is
// worth a word.
var telling = []string{"ipsec.conf", "ipsec.secrets", "strongswan.conf", "sysctl.conf", "nftables.conf", "swanctl", "strongswan.d", "ipsec.d", "ppp", "xl2tpd", "freeradius", "raddb", "wireguard", "nftables.d", "sysctl.d"}

// Options say what is known besides the files.
type Options struct {
	Host     string            // name, where the files do not say; of a target that is one host
	Versions map[string]string // of products, by name
	Now      time.Time         // the day that counts; zero: today
}

// Hosts reads a target, one host after the other. What could not be read is in
// each host's notes; those of the walk are in the first.
func Hosts(t *source.Tree, o Options) iter.Seq[*posture.Host] {
	return func(yield func(*posture.Host) bool) {
		files, notes := walk(t)
		all, unclaimed := groups(t, files)
		if !t.IsHost() {
			notes = append(notes, strange(t, unclaimed)...)
		}
		if len(all) > 1 {
			o.Host = "" // of which of them
		}
		for _, g := range all {
			h := g.read(o)
			h.Notes = append(notes, h.Notes...)
			notes = nil
			if !yield(h) {
				return
			}
		}
	}
}

// walk lists the files that could be configuration.
func walk(t *source.Tree) ([]string, []posture.Note) {
	if !t.IsHost() {
		return t.Walk(".")
	}
	var files []string
	var notes []posture.Note
	for _, dir := range hostDirs {
		f, n := t.Walk(dir)
		files, notes = append(files, f...), append(notes, n...)
	}
	// A host's etc is full of links to programs that a copy of it lacks.
	notes = slices.DeleteFunc(notes, func(n posture.Note) bool {
		return n.Kind != posture.Limit && !slices.ContainsFunc(telling, func(name string) bool { return strings.Contains(n.At.File+"/", "/"+name+"/") })
	})
	return files, notes
}

// group is the files of one host.
type group struct {
	tree  *source.Tree
	files map[string][]string // by name of reader
	count int
	first string
	name  string // where the files are, if not at the tree's root
}

// groups sorts files by host and reader. A directory above "etc" is a host, an
// export is one by itself, and so is any other directory with what is nested in
// it. Where nothing is claimed there is one group, so that the answer can say so.
func groups(t *source.Tree, files []string) (all []*group, unclaimed []string) {
	byRoot, byExport := map[string]*group{}, map[exports]*group{}
	at := func(root, file string) *group {
		g := byRoot[root]
		if g == nil {
			g = &group{tree: t.Sub(root), files: map[string][]string{}, first: below(root, file)}
			byRoot[root] = g
			all = append(all, g)
		}
		return g
	}
	for _, f := range files {
		head := headOf(t, f)
		i := slices.IndexFunc(readers, func(r reader) bool { return r.claims(f, head) })
		if i < 0 {
			unclaimed = append(unclaimed, f)
			continue
		}
		r := readers[i]
		if r.named != nil {
			dir, name := path.Dir(f), r.named(head())
			key := exports{r.name, dir, name}
			g := byExport[key]
			if g == nil {
				g = &group{tree: t, files: map[string][]string{}, first: f}
				byExport[key] = g
				all = append(all, g)
			}
			g.add(r.name, f)
			continue
		}
		if r.alone {
			all = append(all, &group{tree: t, files: map[string][]string{r.name: {f}}, first: f, count: 1})
			continue
		}
		root := rootOf(t, f)
		g := at(root, f)
		g.count++
		g.files[r.name] = append(g.files[r.name], below(root, f))
	}
	all = join(t, all, byExport)
	if len(all) == 0 {
		all = append(all, &group{tree: t, files: map[string][]string{}})
	}
	return all, unclaimed
}

// exports are the files of one product and directory that name the same host, or
// none.
type exports struct{ reader, dir, name string }

func (g *group) add(reader, file string) {
	g.count++
	g.files[reader] = append(g.files[reader], file)
}

// join gives the exports that name no host to the one that others in their
// directory name. Of two nobody knows whose they are: each is a host then.
func join(t *source.Tree, all []*group, byExport map[exports]*group) []*group {
	named := map[exports][]*group{}
	for k, g := range byExport {
		if k.name != "" {
			k.name = ""
			named[k] = append(named[k], g)
		}
	}
	for k, g := range byExport {
		switch owners := named[k]; {
		case k.name != "" || len(owners) == 0:
		case len(owners) == 1:
			owners[0].files[k.reader] = slices.Sorted(slices.Values(slices.Concat(owners[0].files[k.reader], g.files[k.reader])))
			owners[0].count += g.count
			all = slices.DeleteFunc(all, func(o *group) bool { return o == g })
		default:
			i := slices.Index(all, g)
			var single []*group
			for _, f := range g.files[k.reader] {
				single = append(single, &group{tree: t, files: map[string][]string{k.reader: {f}}, first: f, count: 1})
			}
			all = slices.Replace(all, i, i+1, single...)
		}
	}
	for k, g := range byExport {
		if g.count > 1 {
			g.name = t.Show(k.dir)
		}
	}
	return all
}

// strange says of files that were given by intention, and that no reader wants,
// what they are.
func strange(t *source.Tree, files []string) []posture.Note {
	var notes []posture.Note
	for _, f := range files {
		if len(notes) == source.MostNotes {
			return append(notes, posture.Note{Kind: posture.Limit, Text: fmt.Sprintf("more than %d files that are no configuration", source.MostNotes)})
		}
		n := posture.Note{Kind: posture.Unparsed, At: posture.Pos{File: t.Show(f)}, Text: "is of no product that is known here"}
		if why := t.Unreadable(f); why != "" {
			n.Kind, n.Text = posture.Unreadable, why
		}
		notes = append(notes, n)
	}
	return notes
}

func headOf(t *source.Tree, f string) func() []byte {
	var head []byte
	var done bool
	return func() []byte {
		if !done {
			head, done = t.Head(f, headSize), true
		}
		return head
	}
}

// rootOf is the directory of a host that a file belongs to.
func rootOf(t *source.Tree, f string) string {
	if t.IsHost() {
		return "."
	}
	parts := strings.Split(f, "/")
	if i := slices.Index(parts, "etc"); i >= 0 && i < len(parts)-1 {
		if i >= 2 && parts[i-2] == "usr" && parts[i-1] == "local" {
			i -= 2
		}
		return path.Join(".", path.Join(parts[:i]...))
	}
	dir := parts[:len(parts)-1]
	for len(dir) > 0 && slices.Contains(nested, dir[len(dir)-1]) {
		dir = dir[:len(dir)-1]
	}
	return path.Join(".", path.Join(dir...))
}

func below(root, f string) string {
	if root == "." {
		return f
	}
	return strings.TrimPrefix(f, root+"/")
}

// read lets every reader that has files have its say, in the order of readers.
func (g *group) read(o Options) *posture.Host {
	h := &posture.Host{}
	in := source.NewInput(g.tree, h)
	in.Now = o.Now
	for name, v := range o.Versions {
		in.Product(name, posture.Written(v, posture.Pos{}, v))
	}
	for _, r := range readers {
		files := g.files[r.name]
		if len(files) > 0 || r.always && g.count > 0 {
			run(r, in.For("", files))
		}
	}
	leaveOut(in)
	unused(in)
	algorithms(in)
	networks(in)
	if h.Name == "" {
		h.Name = o.Host
	}
	if h.Name == "" {
		h.Name = cmp.Or(g.name, g.tree.Show("."))
		if len(g.files) == 1 && g.count == 1 {
			h.Name = g.tree.Show(g.first)
		}
	}
	return h
}

// unused says which connections are not judged, so that nobody takes silence for
// praise: one that ipsec.conf does not load for want of "auto", one turned off.
func unused(in *source.Input) {
	for i := range in.Host.Connections {
		if c := &in.Host.Connections[i]; c.Disabled {
			in.Note(posture.Unused, c.At, "the connection %q is turned off or not loaded: it is not judged", source.Quote(c.Name))
		}
	}
}

// run keeps a reader's mistake from ending the audit of all the others.
func run(r reader, in *source.Input) {
	defer func() {
		if p := recover(); p != nil {
			at := posture.Pos{}
			if len(in.Files) > 0 {
				at.File = in.Show(in.Files[0])
			}
			in.Note(posture.Malformed, at, "the reader of %s failed; please report it: %v", r.name, source.Quote(fmt.Sprint(p)))
			if failed != nil {
				failed(r.name, p, debug.Stack())
			}
		}
	}()
	r.read(in)
}

// failed is told of panics; tests make them fail.
var failed func(reader string, p any, stack []byte)

// Package freeradius reads the configuration of FreeRADIUS 3: clients, EAP and
// MS-CHAP, home servers, logging, and the users of the files module. Its sources
// are the comments of the distribution's files, unlang(5), users(5), and the
// server's source for what is not said there. Sections of unlang are no settings
// and are passed over.
package freeradius

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/source"
)

// Product is the name in the list of products.
const Product = "FreeRADIUS"

var (
	serverConfs = []string{"radiusd.conf", "freeradius.conf"}
	otherConfs  = []string{"clients.conf", "proxy.conf", "eap.conf"}
	enabled     = []string{"mods-enabled", "sites-enabled"}
)

// Claims tells whether a file is the server's. What is in mods-available and
// sites-available has no effect and is nobody's.
func Claims(p string, head func() []byte) bool {
	dir, base := path.Base(path.Dir(p)), path.Base(p)
	if !included(base) || leftover.MatchString(base) {
		return false
	}
	home := strings.Contains("/"+p, "/freeradius") || strings.Contains("/"+p, "/raddb/") || strings.Contains("/"+p, "/radiusd/")
	switch {
	case slices.Contains(enabled, dir):
		return true
	case slices.Contains(serverConfs, base):
		return true
	case dir == "mods-available", dir == "sites-available", dir == "policy.d":
		return false
	case slices.Contains(otherConfs, base):
		return home || telling.Match(head())
	case base == "eap", base == "mschap":
		return telling.Match(head())
	case isUsers(p):
		return home || dir == "files" || usersTelling.Match(head())
	}
	return false
}

var (
	leftover     = regexp.MustCompile(`(?i)\.(bak|orig|rpmnew|rpmsave|dpkg-[a-z]+|ucf-[a-z]+|example)$`)
	telling      = regexp.MustCompile(`(?m)^\s*(client\s+\S+|clients\s+\S+|home_server\s+\S+|realm\s+\S+|eap(\s+\S+)?|mschap(\s+\S+)?)\s*\{`)
	usersTelling = regexp.MustCompile(`(?m)^\S+\s+([A-Za-z0-9]+-Password|Auth-Type)\s*(:=|==|\+=|=)`)
)

// isUsers tells a file of the files module: "users" is a link to the other.
func isUsers(p string) bool {
	dir, base := path.Base(path.Dir(p)), path.Base(p)
	return base == "users" || base == "authorize" && dir == "files"
}

// holdsSecrets is for files that hold secrets by their purpose.
func holdsSecrets(p string) bool { return path.Base(p) == "clients.conf" || isUsers(p) }

// Read enters the server's clients, its EAP, and its users.
func Read(in *source.Input) {
	in = in.For(posture.FreeRADIUS, in.Files)
	r := &reader{in: in, parser: newParser(in), read: map[string]bool{}, times: map[*source.Text]time.Time{}}
	r.parse()
	r.version = r.product()
	in.Product(Product, r.version)
	r.walk()
	r.eaps()
	for _, p := range in.Files {
		if isUsers(p) {
			r.users(p, nil)
		}
	}
}

type reader struct {
	in      *source.Input
	parser  *parser
	version posture.Value[string]
	header  posture.Value[string] // version of the distribution's radiusd.conf
	whole   bool                  // radiusd.conf is here, with what it includes

	eap, mschap []*section
	log         *section
	security    *section
	count       int                        // passwords of users
	times       map[*source.Text]time.Time // when files were last written
	read        map[string]bool            // files of users by their content: one is a link to the other
}

// parse reads radiusd.conf with all that it includes, then what else there is.
func (r *reader) parse() {
	for _, p := range r.in.Files {
		if slices.Contains(serverConfs, path.Base(p)) {
			r.parser.file(p, nil)
			r.titled(p)
			r.whole = true
		}
	}
	for _, p := range r.in.Files {
		if !r.parser.seen[p] && !isUsers(p) {
			r.parser.file(p, nil)
		}
	}
}

var title = regexp.MustCompile(`(?m)^##?\s*radiusd\.conf\s.*?-\s*([0-9]+\.[0-9]+(\.[0-9]+)?)\s*$`)

// titled finds the version in the head of radiusd.conf. The server may be newer
// than its file.
func (r *reader) titled(p string) {
	if m := title.FindSubmatch(r.in.Head(p, 2048)); m != nil {
		r.header = posture.Guess(string(m[1]), posture.Pos{File: r.in.Show(p)}, "the title of radiusd.conf")
	}
}

func (r *reader) product() posture.Value[string] {
	if v := r.in.Version(Product); v.Known() {
		return v
	}
	if v := r.in.Installed("freeradius", "freeradius-server"); v.Known() {
		return v
	}
	return r.header
}

// Package packages reads which versions of VPN software are installed: the data
// base of dpkg or apk, or a list that rpm -qa printed. The changelogs that
// packages bring along tell which flaws a distribution has fixed without
// changing the version; they are the proof that needs no network.
package packages

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// software is what flaws are known of.
type software struct {
	name    *regexp.Regexp // of the package, or of its source
	source  string         // that flaws are filed under; empty: the package's own
	product string         // as the readers of its configuration call it; empty: none
	dialect posture.Dialect
}

var known = []software{
	{regexp.MustCompile(`^(lib)?(strongswan|charon)`), "strongswan", "strongSwan", posture.Swanctl},
	{regexp.MustCompile(`^libreswan`), "", "Libreswan", posture.Libreswan},
	{regexp.MustCompile(`^openswan`), "", "Openswan", posture.Libreswan},
	{regexp.MustCompile(`^ppp$`), "", "pppd", posture.PPPD},
	{regexp.MustCompile(`^xl2tpd$`), "", "xl2tpd", posture.Xl2tpd},
	{regexp.MustCompile(`^(lib)?freeradius`), "freeradius", "FreeRADIUS", posture.FreeRADIUS},
	{regexp.MustCompile(`^softether`), "", "SoftEther", posture.Linux},
	{regexp.MustCompile(`^accel-ppp`), "", "accel-ppp", posture.Linux},
	{regexp.MustCompile(`^pptpd$`), "", "pptpd", posture.Linux},
	{regexp.MustCompile(`^(ipsec-tools|racoon)`), "ipsec-tools", "racoon", posture.Linux},
	{regexp.MustCompile(`^linux-image|^kernel(-core|-rt|-rt-core)?$|^linux-(lts|virt)$`), "", "Linux", posture.Linux},
	{regexp.MustCompile(`^wireguard-tools$`), "", "wireguard-tools", posture.WireGuard},
	{regexp.MustCompile(`^(openssl|libssl[0-9][0-9.a-z]*|openssl-libs)$`), "openssl", "OpenSSL", posture.Linux},
}

// where the data bases are on a host.
var databases = []string{"var/lib/dpkg/status", "lib/apk/db/installed", "usr/lib/apk/db/installed", "rpm-qa.txt"}

// Claims takes a list of packages that was put beside the configuration. The
// data bases of a host are found by Read.
func Claims(p string, head func() []byte) bool {
	switch {
	case path.Base(p) == "rpm-qa.txt":
		return true
	case p == "status":
		return bytes.HasPrefix(head(), []byte("Package: "))
	case p == "installed":
		return bytes.HasPrefix(head(), []byte("C:Q"))
	}
	return false
}

// Read enters the packages of VPN software that are installed, and the products
// that are known by them.
func Read(in *source.Input) {
	in = in.For(posture.Linux, in.Files)
	files := slices.Clone(in.Files)
	for _, p := range databases {
		if in.Exists(p) && !slices.Contains(files, p) {
			files = append(files, p)
		}
	}
	r := &reader{in: in, changelogs: map[string][]string{}}
	for _, p := range files {
		if len(files) > 0 && r.distro == "" {
			r.distro = distro(in)
		}
		r.file(p)
	}
}

type reader struct {
	in         *source.Input
	distro     string
	changelogs map[string][]string // by source and version: packages of one source share it
	count      int
}

func (r *reader) file(p string) {
	text := r.in.Read(p, false)
	if text == nil {
		return
	}
	switch {
	case bytes.HasPrefix(text.Data, []byte("Package: ")) || strings.HasSuffix(p, "dpkg/status"):
		r.dpkg(text)
	case path.Base(p) == "installed":
		r.apk(text)
	default:
		r.rpm(text)
	}
}

// entry is one package of a data base.
type entry struct {
	name, source, version string
	installed             bool
	line                  int
}

// mostPackages is how many of VPN software one host may have: old kernels stay.
const mostPackages = 500

// add enters a package if it is VPN software.
func (r *reader) add(text *source.Text, manager string, e entry) {
	if !e.installed || e.name == "" || e.version == "" {
		return
	}
	i := slices.IndexFunc(known, func(s software) bool { return s.name.MatchString(e.name) })
	if i < 0 {
		return
	}
	if r.count++; r.count > mostPackages {
		if r.count == mostPackages+1 {
			r.in.Note(posture.Limit, text.At(e.line, 1), "more than %d packages of VPN software: the rest is left out", mostPackages)
		}
		return
	}
	soft := known[i]
	p := posture.Package{
		Subject: posture.Subject{Dialect: posture.Linux, Kind: "package", Name: e.name, At: text.At(e.line, 1)},
		Manager: manager, Name: e.name, Source: sourceOf(e, soft), Version: e.version, Distro: r.distro,
	}
	if manager == "dpkg" {
		p.Changelog = r.changelog(e.name, p.Source+" "+e.version)
	}
	r.in.Host.Packages = append(r.in.Host.Packages, p)
	upstream := Upstream(manager, e.version)
	r.in.For(soft.dialect, nil).Product(soft.product, posture.Written(upstream, p.At, e.name+" "+e.version))
}

// sourceOf is the name that flaws are filed under. Debian signs kernels in a
// source package of their own.
func sourceOf(e entry, s software) string {
	switch {
	case s.source != "":
		return s.source
	case s.product == "Linux" && (e.source == "" || strings.HasPrefix(e.source, "linux")):
		return "linux"
	case e.source != "":
		return e.source
	}
	return e.name
}

// repacked is what Debian adds to an upstream version from which files were
// removed.
var repacked = regexp.MustCompile(`[+~](dfsg|ds|repack)[0-9.]*$`)

// Upstream is the version that the makers of the software gave it: without the
// epoch and the distribution's revision.
func Upstream(manager, version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	i := strings.LastIndexByte(version, '-')
	if i > 0 && (manager != "apk" || strings.HasPrefix(version[i:], "-r")) {
		version = version[:i]
	}
	return repacked.ReplaceAllString(version, "")
}

// dpkg reads var/lib/dpkg/status, paragraphs of deb-control(5).
func (r *reader) dpkg(text *source.Text) {
	var e entry
	for n, line := range r.in.Lines(text) {
		if line == "" {
			r.add(text, "dpkg", e)
			e = entry{}
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); key {
		case "Package":
			e.name, e.line = value, n
		case "Status":
			e.installed = strings.HasSuffix(value, " installed")
		case "Source":
			e.source, _, _ = strings.Cut(value, " ")
		case "Version":
			e.version = value
		}
	}
	r.add(text, "dpkg", e)
}

// apk reads the data base of Alpine: one letter for each field.
func (r *reader) apk(text *source.Text) {
	e := entry{installed: true}
	for n, line := range r.in.Lines(text) {
		if line == "" {
			r.add(text, "apk", e)
			e = entry{installed: true}
			continue
		}
		switch key, value, _ := strings.Cut(line, ":"); key {
		case "P":
			e.name, e.line = value, n
		case "V":
			e.version = value
		case "o":
			e.source = value
		}
	}
	r.add(text, "apk", e)
}

// rpm reads a list with a package in each line: the name, the version with the
// epoch, and the file of the source, with tabs between them; or the plain form
// of rpm -qa.
func (r *reader) rpm(text *source.Text) {
	noted := 0
	for n, line := range r.in.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		e, ok := listed(line)
		if !ok {
			if noted++; noted <= 5 { // one wrong format makes every line wrong
				r.in.Note(posture.Unparsed, text.At(n, 1), "not a package of rpm -qa: %q", source.Quote(line))
			}
			continue
		}
		e.line, e.installed = n, true
		r.add(text, "rpm", e)
	}
}

var architecture = regexp.MustCompile(`\.(x86_64|i[3-6]86|aarch64|armv7hl|ppc64le|s390x|riscv64|noarch|src|\(none\))$`)

func listed(line string) (entry, bool) {
	if f := strings.Split(line, "\t"); len(f) >= 2 {
		e := entry{name: f[0], version: strings.TrimPrefix(strings.TrimPrefix(f[1], "(none):"), "0:")}
		if len(f) > 2 {
			e.source, _, _ = nameAndVersion(strings.TrimSuffix(f[2], ".src.rpm"))
		}
		return e, e.version != ""
	}
	name, version, ok := nameAndVersion(architecture.ReplaceAllString(line, ""))
	return entry{name: name, version: version}, ok
}

// nameAndVersion cuts strongswan-5.9.14-1.el9 before its second hyphen from the
// end; names have hyphens, too.
func nameAndVersion(s string) (name, version string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 || strings.ContainsAny(s, " \t") {
		return "", "", false
	}
	j := strings.LastIndexByte(s[:i], '-')
	if j <= 0 {
		return "", "", false
	}
	return s[:j], s[j+1:], true
}

// distro is the distribution in the words of vulnerability data: "debian 12",
// "ubuntu 24.04", "alpine 3.20". Of others the first number is the release.
func distro(in *source.Input) string {
	for _, p := range []string{"etc/os-release", "usr/lib/os-release"} {
		if !in.Exists(p) {
			continue
		}
		if text := in.Read(p, false); text != nil {
			return release(string(text.Data))
		}
	}
	return ""
}

func release(text string) string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "ID" || key == "VERSION_ID" {
			fields[key] = source.Quote(strings.Trim(value, `"'`))
		}
	}
	id, version := fields["ID"], fields["VERSION_ID"]
	if id == "" || version == "" {
		return id
	}
	parts := strings.Split(version, ".")
	if most := map[string]int{"ubuntu": 2, "alpine": 2}[id]; most > 0 {
		return id + " " + strings.Join(parts[:min(most, len(parts))], ".")
	}
	return id + " " + parts[0]
}

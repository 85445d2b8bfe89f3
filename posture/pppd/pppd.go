// Package pppd reads the files of pppd of Linux: options, options.*, peers/*,
// the files of secrets, and those of the RADIUS client that comes with it. Its
// sources are pppd(8) and the tables of options of ppp 2.4.5 to 2.5.4.
//
// One [posture.PPP] stands for one link, with all that its option files say
// together. Other daemons start pppd with words of their own and a file; their
// readers make the link with [Reader.Link].
//
// The trap that everybody falls into: refuse-* says how we do not prove
// ourselves and asks nothing of the peer. Only auth and require-* do.
package pppd

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// kind is what a file is for.
type kind int

const (
	none       kind = iota
	system          // options, which every link begins with
	options         // options.NAME
	peer            // peers/NAME
	chap            // chap-secrets
	pap             // pap-secrets
	eaptls          // eaptls-server
	tlsClient       // eaptls-client
	srp             // srp-secrets
	servers         // servers of the RADIUS client
	radiusConf      // radiusclient.conf
)

var named = map[string]kind{
	"chap-secrets": chap, "pap-secrets": pap, "eaptls-server": eaptls, "eaptls-client": tlsClient, "srp-secrets": srp,
	"pptpd-options": options, "options-pptpd": options,
}

var radiusDirs = []string{"radiusclient", "radiusclient-ng", "radcli", "radius", "ppp"}

// kindOf tells it by the path alone.
func kindOf(p string) kind {
	dir, base := path.Base(path.Dir(p)), path.Base(p)
	_, option := strings.CutPrefix(base, "options.")
	switch {
	case leftover(base):
		return none
	case named[base] != none:
		return named[base]
	case dir == "peers" && (strings.HasSuffix(path.Dir(p), "ppp/peers") || path.Dir(p) == "peers"):
		return peer
	case dir == "ppp" && base == "options", p == "options":
		return system
	case dir == "ppp" && option, option && tunnelOptions.MatchString(base), base == "ppp-options.xl2tpd":
		return options
	case base == "servers" && slices.Contains(radiusDirs, dir):
		return servers
	case base == "radiusclient.conf", base == "radiusclient-ng.conf", base == "radcli.conf", dir == "ppp" && strings.HasPrefix(base, "radius") && strings.HasSuffix(base, ".conf"):
		return radiusConf
	}
	return none
}

// tunnelOptions are names of option files that are telling in any directory.
var tunnelOptions = regexp.MustCompile(`^options\.(x?l2tpd?|pptpd?|pptp|sstp|pppoe|openl2tp)\b`)

// leftover is for copies that editors and package managers leave behind.
func leftover(base string) bool {
	return strings.HasSuffix(base, "~") || strings.HasSuffix(base, ".bak") || strings.HasSuffix(base, ".example") || strings.Contains(base, ".dpkg-") ||
		strings.HasSuffix(base, ".rpmnew") || strings.HasSuffix(base, ".rpmsave") || strings.HasSuffix(base, ".pppd-back")
}

// Claims tells whether a file is pppd's.
func Claims(p string, head func() []byte) bool {
	k := kindOf(p)
	if k == none {
		return false
	}
	if path.Base(path.Dir(p)) == "ppp" || k != system {
		return true
	}
	return telling.Match(head()) // a file "options" may be anybody's
}

var telling = regexp.MustCompile(`(?m)^\s*(auth|noauth|asyncmap|lcp-echo-interval|hide-password|proxyarp|ms-dns|require-[a-z0-9-]+|refuse-[a-z0-9-]+)\b`)

// Read enters the links, the accounts and the RADIUS servers of pppd's files.
func Read(in *source.Input) {
	in = in.For(posture.PPPD, in.Files)
	r := NewReader(in)
	version := in.Version("pppd")
	if !version.Known() {
		version = in.Installed("ppp")
	}
	in.Product("pppd", version)
	r.secrets()
	r.radius()
	r.links()
}

// links makes a link of every option file that nobody else began one with, and
// of options alone if there is no other.
func (r *Reader) links() {
	var alone []string
	r.backups()
	for _, k := range []kind{peer, options} {
		for _, p := range r.in.Files {
			if kindOf(p) == k && !r.begun(p) {
				r.file(p, k)
			}
		}
	}
	for _, p := range r.in.Files {
		if kindOf(p) == system {
			alone = append(alone, p)
		}
	}
	if len(alone) > 0 && !slices.ContainsFunc(r.in.Host.PPP, func(p posture.PPP) bool { return p.Dialect == posture.PPPD }) {
		r.build(Link{Name: "options", At: posture.Pos{File: r.in.Show(alone[0])}}, system, "")
	}
}

// backups says of those among the peers that pppd knows no backups.
func (r *Reader) backups() {
	said := map[string]bool{}
	for _, p := range r.in.Files {
		dir := path.Dir(p)
		if kindOf(p) != peer || said[dir] {
			continue
		}
		said[dir] = true
		found, _ := r.in.Glob(".", dir+"/[^.]*"+source.Backup)
		for _, b := range found {
			r.note(posture.Unparsed, posture.Pos{File: r.in.Show(b)}, `is a backup and is not judged, but "pppd call" would read it: move it away`, "")
		}
	}
}

// begun tells whether a file belongs to a link already: another daemon's reader
// made one of it, or another option file takes it in.
func (r *Reader) begun(p string) bool {
	show := r.in.Show(p)
	return r.included[p] || slices.ContainsFunc(r.in.Host.PPP, func(l posture.PPP) bool { return l.Dialect == posture.PPPD && l.At.File == show })
}

func (r *Reader) file(p string, k kind) {
	if r.count++; r.count > mostLinks {
		r.note(posture.Limit, posture.Pos{File: r.in.Show(p)}, "too many option files: left out", "")
		return
	}
	name := path.Base(p)
	if k == peer {
		name = "peers/" + name
	}
	r.build(Link{Name: name, At: posture.Pos{File: r.in.Show(p)}}, k, p)
}

// Package xl2tpd reads xl2tpd.conf and l2tp-secrets. Its sources are
// xl2tpd.conf(5), l2tp-secrets(5) and the source of 1.3.18 where they are silent
// or wrong.
//
// xl2tpd hands its own words for PPP to pppd, before the option file that
// pppoptfile names: see [pppd.Link]. "require chap", "require pap" and "unix
// authentication" are handed on only together with "require authentication =
// yes"; alone they do nothing.
package xl2tpd

import (
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/pppd"
	"sallyport/posture/source"
)

// Claims tells whether a file is xl2tpd's.
func Claims(p string, _ func() []byte) bool { return isConf(p) || isSecrets(p) }

// isConf tells it by the name, or by the directory: who runs several daemons has
// a file for each below xl2tpd, or beside it.
func isConf(p string) bool {
	dirs, base := strings.Split(path.Dir(p), "/"), path.Base(p)
	if slices.Contains(others, dirs[len(dirs)-1]) {
		return false
	}
	return base == "l2tpd.conf" || strings.HasPrefix(base, "xl2tpd") && strings.HasSuffix(base, ".conf") ||
		slices.Contains(dirs, "xl2tpd") && strings.HasSuffix(base, ".conf")
}

// others are directories of other programs, which name files after the daemon.
var others = []string{"init", "tmpfiles.d", "sysusers.d", "rsyslog.d", "sysctl.d", "modules-load.d", "conf.d", "supervisor"}

func isSecrets(p string) bool { return path.Base(p) == "l2tp-secrets" }

// Read enters listeners, their links of PPP, and the secrets of tunnels.
func Read(in *source.Input) {
	in = in.For(posture.Xl2tpd, in.Files)
	version := in.Version("xl2tpd")
	if !version.Known() {
		version = in.Installed("xl2tpd")
	}
	in.Product("xl2tpd", version)
	r := &reader{in: in, links: pppd.NewReader(in), read: map[string]bool{}}
	for _, p := range in.Files {
		if isSecrets(p) {
			r.secrets(p)
		}
	}
	for _, p := range in.Files {
		if isConf(p) {
			r.conf(p)
		}
	}
}

type reader struct {
	in    *source.Input
	links *pppd.Reader
	read  map[string]bool // files of secrets
}

// conf reads one xl2tpd.conf.
func (r *reader) conf(p string) {
	t := r.in.Read(p, false)
	if t == nil {
		return
	}
	global, sections := r.parse(t)
	if f := global.keys["auth file"]; f.value != "" {
		r.named(f)
	}
	for _, s := range sections {
		r.in.Host.L2TP = append(r.in.Host.L2TP, r.listener(global, s))
	}
}

// named reads the file of secrets that "auth file" names.
func (r *reader) named(f entry) {
	if p := r.links.Locate(f.value); p != "" {
		r.secrets(p)
	} else {
		r.in.Note(posture.Unreadable, f.at, "the auth file is not here: %s", source.Quote(f.value))
	}
}

// mostSecrets is far above what a gateway has peers.
const mostSecrets = 50_000

// secrets reads a file with lines of "us them secret".
func (r *reader) secrets(p string) {
	if r.read[p] {
		return
	}
	r.read[p] = true
	t := r.in.Read(p, true)
	if t == nil {
		return
	}
	var changed time.Time
	for _, f := range r.in.Host.Files {
		if f.Path == t.Show {
			changed = f.ModTime
		}
	}
	for n, line := range r.in.Lines(t) {
		if n > mostSecrets {
			r.in.Note(posture.Limit, t.At(n, 1), "more than %d lines of secrets: the rest is left out", mostSecrets)
			return
		}
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		us, rest := word(line)
		them, rest := word(rest)
		if us == "" {
			continue
		}
		if rest == "" {
			r.in.Note(posture.Malformed, t.At(n, 1), "a line of secrets with too few words")
			continue
		}
		r.in.Host.Secrets = append(r.in.Host.Secrets, tunnel(us, them, rest, t.At(n, 1), changed))
	}
}

// word parts the first word from the rest.
func word(line string) (first, rest string) {
	line = strings.TrimSpace(line)
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimSpace(line[i:])
}

func tunnel(us, them, value string, at posture.Pos, changed time.Time) posture.Secret {
	return posture.Secret{
		Subject: posture.Subject{Dialect: posture.Xl2tpd, Kind: "secret", Name: us + " " + them, At: at}, Kind: posture.TunnelSecret,
		Storage: posture.Clear, Value: secret.Bytes(value), IDs: []string{them}, Server: []string{us},
		Anybody: posture.Written(them == "*", at, us+" "+them), Changed: changed,
	}
}

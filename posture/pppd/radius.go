package pppd

import (
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// changed is when a file was last written.
func (r *Reader) changed(show string) time.Time {
	for _, f := range r.in.Host.Files {
		if f.Path == show {
			return f.ModTime
		}
	}
	return time.Time{}
}

// radius reads the files of the RADIUS client: "servers" with an address and a
// secret in each line, and radiusclient.conf.
func (r *Reader) radius() {
	for _, p := range r.in.Files {
		if kindOf(p) == servers {
			r.servers(p)
		}
	}
	for _, p := range r.in.Files {
		if kindOf(p) == radiusConf {
			r.radiusConf(p)
		}
	}
}

// mostServers bounds a file of which real ones have ten lines.
const mostServers = 10_000

func (r *Reader) servers(p string) {
	t := r.text(p, true)
	if t == nil {
		return
	}
	changed := r.changed(t.Show)
	for n, line := range r.in.Lines(t) {
		if n > mostServers {
			r.note(posture.Limit, t.At(n, 1), "too many RADIUS servers: the rest is left out", "")
			return
		}
		line, _, _ = strings.Cut(line, "#")
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		at := t.At(n, 1)
		if len(w) < 2 {
			r.note(posture.Malformed, at, "a RADIUS server without a secret", "")
			continue
		}
		subject := posture.Subject{Dialect: posture.PPPD, Kind: "radius", Name: w[0], At: at}
		r.in.Host.RADIUS = append(r.in.Host.RADIUS, posture.RADIUS{
			Subject: subject, Product: "pppd", Server: posture.Written(false, at, ""), Address: posture.Written(w[0], at, w[0]), TLS: posture.ByDefault(false, at, "the RADIUS client of pppd has no TLS"),
		})
		subject.Kind = "secret"
		r.in.Host.Secrets = append(r.in.Host.Secrets, posture.Secret{
			Subject: subject, Kind: posture.RADIUSSecret, Storage: posture.Clear, Value: secret.Bytes(w[1]), IDs: []string{w[0]},
			Anybody: posture.Written(false, at, ""), Changed: changed,
		})
	}
}

// The settings of radiusclient.conf, of which the servers alone matter here.
var radiusWords = strings.Fields(`auth_order login_tries login_timeout nologin issue authserver acctserver servers dictionary login_radius seqfile
mapfile default_realm radius_timeout radius_retries radius_deadtime nas_identifier bindaddr login_local clientdebug serv-type namespace use-public-addr
serv-auth-type tls-ca-file tls-cert-file tls-key-file tls-verify-hostname nas-identifier require-message-authenticator`)

func (r *Reader) radiusConf(p string) {
	t := r.text(p, false)
	if t == nil {
		return
	}
	for n, line := range r.in.Lines(t) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w := strings.Fields(line)
		switch {
		case !slices.Contains(radiusWords, w[0]):
			r.note(posture.Unparsed, t.At(n, 1), "unknown setting: ", setting.Key(w[0], strings.Join(w[1:], "")))
		case w[0] == "acctserver" && len(w) > 1:
			r.accounted(w[1], t.At(n, 1), line)
		case w[0] == "servers" && len(w) > 1:
			r.named(w[1])
		}
	}
}

// named reads the file of servers where it has a name of its own.
func (r *Reader) named(name string) {
	if p := r.Locate(path.Clean(name)); p != "" && kindOf(p) != servers {
		r.servers(p)
	}
}

// accounted marks the servers that sessions are reported to. They may be
// written with ports and several in a list.
func (r *Reader) accounted(list string, at posture.Pos, text string) {
	for _, s := range strings.SplitN(list, ",", 8) { // the client takes 8 (SERVER_MAX)
		host, _, _ := strings.Cut(s, ":")
		for i := range r.in.Host.RADIUS {
			if p := &r.in.Host.RADIUS[i]; p.Dialect == posture.PPPD && strings.HasPrefix(p.Name+"/", host+"/") {
				p.Accounting = posture.Written(true, at, source.Quote(text))
			}
		}
	}
}

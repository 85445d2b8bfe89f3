package freeradius

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// walk goes through the outermost sections.
func (r *reader) walk() {
	root := r.parser.root
	r.known(root, topKeys)
	r.modules(root) // a file of mods-enabled by itself
	for _, s := range root.subs {
		switch s.name {
		case "log":
			r.known(s, logKeys)
			r.log = s
		case "security":
			r.known(s, securityKeys)
			r.security = s
		case "modules":
			r.modules(s)
		default:
			if !topSections[s.name] && !modules[s.name] && s.name != unread {
				r.unknown(s)
			}
		}
	}
	r.clients(root, mostDepth)
}

func (r *reader) unknown(s *section) {
	r.in.Note(posture.Unparsed, s.at, "unknown section: %s", setting.Shown(s.name))
}

// known notes the settings of a section that are in no list.
func (r *reader) known(s *section, keys map[string]bool) {
	for _, p := range s.pairs {
		if !keys[p.key] {
			r.in.Note(posture.Unparsed, p.at, "unknown setting: %s", setting.Key(p.key, p.value))
		}
	}
}

// parts notes the sections inside a section that are in no list.
func (r *reader) parts(s *section, names ...string) {
	for _, c := range s.subs {
		if !slices.Contains(names, c.name) && c.name != unread {
			r.unknown(c)
		}
	}
}

// modules collects what is read of the modules.
func (r *reader) modules(s *section) {
	for _, m := range s.subs {
		switch {
		case m.name == "eap":
			r.eap = append(r.eap, m)
		case m.name == "mschap":
			r.known(m, mschapKeys)
			r.mschap = append(r.mschap, m)
		case s.parent != nil && !modules[m.name] && m.name != unread:
			r.unknown(m)
		}
	}
}

// clients enters clients and home servers wherever they stand: outermost, in
// lists for one socket, in virtual servers.
func (r *reader) clients(s *section, depth int) {
	if depth == 0 {
		return
	}
	for _, c := range s.subs {
		switch c.name {
		case "client":
			if !dynamic(c) {
				r.known(c, clientKeys)
				r.parts(c, "limit")
				r.client(c)
			}
		case "home_server":
			r.known(c, homeKeys)
			r.parts(c, "limit", "coa", "tls")
			r.homeServer(c)
		case "listen":
			r.listen(c)
		case "clients", "server":
			r.clients(c, depth-1)
		}
	}
}

// dynamic is for a network whose clients are looked up elsewhere: it has no
// secret of its own.
func dynamic(c *section) bool {
	_, looksUp := c.get("dynamic_clients")
	_, has := c.get("secret")
	return looksUp && !has
}

// client enters one client and its secret.
func (r *reader) client(c *section) {
	name := c.second
	x := r.pairing(c, name)
	x.Server = posture.Written(true, c.at, "client "+source.Quote(name))
	if !x.Address.Known() { // as in version 1: the name is the address
		x.Address = posture.Written(name, c.at, "client "+source.Quote(name))
	}
	x.MessageAuth = r.demand(c, "require_message_authenticator")
	x.LimitProxy = r.limit(c)
	x.WildcardPeers = posture.Written(anywhere(x.Address.V), x.Address.At, x.Address.Text)
	r.in.Host.RADIUS = append(r.in.Host.RADIUS, x)
	r.secret(c, x)
}

// homeServer enters a server that requests are passed on to.
func (r *reader) homeServer(c *section) {
	name := "home_server " + c.second
	x := r.pairing(c, name)
	x.Server = posture.Written(false, c.at, source.Quote(name))
	if !x.Address.Known() {
		return // a pointer to a virtual server
	}
	x.MessageAuth = r.demand(c, "require_message_authenticator")
	if v, ok := c.get("type"); ok {
		x.Accounting = posture.Written(strings.Contains(v.value, "acct"), v.at, v.text)
	}
	if c.sub("tls") != nil {
		x.TLS = posture.Written(true, c.sub("tls").at, "tls")
		r.tls(c.sub("tls"), name)
	}
	r.in.Host.RADIUS = append(r.in.Host.RADIUS, x)
	r.secret(c, x)
}

// pairing is what clients and home servers have in common.
func (r *reader) pairing(c *section, name string) posture.RADIUS {
	x := posture.RADIUS{Subject: posture.Subject{Dialect: posture.FreeRADIUS, Kind: "radius", Name: name, At: c.at}, Product: Product}
	for _, key := range []string{"ipaddr", "ipv4addr", "ipv6addr"} {
		if p, ok := c.get(key); ok && p.value != "" {
			x.Address = posture.Written(p.value, p.at, p.text)
		}
	}
	if m, ok := c.get("netmask"); ok && x.Address.Known() && !strings.Contains(x.Address.V, "/") {
		x.Address.V += "/" + m.value
		x.Address.Text += ", " + m.text
	}
	x.TLS = posture.ByDefault(false, c.at, "default of FreeRADIUS: proto = udp")
	if p, ok := c.get("proto"); ok {
		x.TLS = posture.Written(p.value == "tls", p.at, p.text)
	}
	return x
}

// anywhere is for addresses that take in all of IPv4 or IPv6.
func anywhere(addr string) bool {
	switch addr {
	case "*", "0.0.0.0", "::", "0/0":
		return true
	}
	return strings.HasSuffix(addr, "/0")
}

// listen reads the TLS of a socket for RadSec.
func (r *reader) listen(l *section) {
	if t := l.sub("tls"); t != nil {
		r.tls(t, "listen")
	}
}

// tls checks the settings of a TLS section, and enters the passphrase of its key.
func (r *reader) tls(t *section, name string) {
	r.known(t, tlsKeys)
	r.parts(t, "cache", "verify", "ocsp", "staple")
	p, ok := t.get("private_key_password")
	if !ok || p.value == "" {
		return
	}
	r.in.HoldsSecrets(p.file)
	r.in.Host.Secrets = append(r.in.Host.Secrets, r.entry(p, posture.KeyPassword, strings.TrimSpace(name+" "+t.name+" "+t.second)))
}

// demand is how far Message-Authenticator is insisted on: of the client itself,
// of all clients, or the default, which is the cure of CVE-2024-3596.
func (r *reader) demand(c *section, key string) posture.Value[posture.Demand] {
	for _, s := range []*section{c, r.security} {
		if s == nil {
			continue
		}
		if p, ok := s.get(key); ok {
			switch yesNo(p.value) {
			case "yes":
				return posture.Written(posture.Always, p.at, p.text)
			case "no":
				return posture.Written(posture.Never, p.at, p.text)
			case "auto":
				return posture.Written(posture.Optional, p.at, p.text)
			}
			r.in.Note(posture.Malformed, p.at, "neither yes, no nor auto: %s", source.Quote(p.key))
		}
	}
	switch {
	case !r.whole && r.version.Known() && r.cured():
		return posture.Guess(posture.Optional, c.at, "default of FreeRADIUS since 3.0.27 and 3.2.5; radiusd.conf, which may say more, is not here")
	case !r.version.Known():
		return posture.Guess(posture.Never, c.at, "version unknown: default of FreeRADIUS before 3.0.27 and 3.2.5")
	case r.cured():
		return posture.ByDefault(posture.Optional, c.at, "default of FreeRADIUS since 3.0.27 and 3.2.5: auto")
	}
	return posture.ByDefault(posture.Never, c.at, "default of FreeRADIUS before 3.0.27 and 3.2.5")
}

// limit is whether Proxy-State is refused where there is no
// Message-Authenticator: "auto" does until the client has sent one.
func (r *reader) limit(c *section) posture.Value[bool] {
	d := r.demand(c, "limit_proxy_state")
	v := posture.Value[bool]{V: d.V != posture.Never, Origin: d.Origin, At: d.At, Text: d.Text, Why: d.Why}
	return v
}

// cured tells whether the version has the settings against CVE-2024-3596.
func (r *reader) cured() bool {
	v := numbers(r.version.V)
	if v[0] == 3 && v[1] == 0 {
		return v[2] >= 27
	}
	return atLeast(v, 3, 2, 5)
}

func atLeast(v [3]int, want ...int) bool {
	for i, n := range want {
		if v[i] != n {
			return v[i] > n
		}
	}
	return true
}

// numbers are those of "3.2.1".
func numbers(version string) (v [3]int) {
	for i, s := range strings.SplitN(version, ".", 3) {
		end := strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' })
		if end >= 0 {
			s = s[:end]
		}
		v[i], _ = strconv.Atoi(s)
	}
	return v
}

// yesNo folds the words of the server's booleans.
func yesNo(s string) string {
	switch strings.ToLower(s) {
	case "yes", "on", "true", "1":
		return "yes"
	case "no", "off", "false", "0":
		return "no"
	}
	return strings.ToLower(s)
}

// secret enters the secret of a client or home server, under the same name.
func (r *reader) secret(c *section, x posture.RADIUS) {
	p, ok := c.get("secret")
	if !ok {
		return
	}
	r.in.HoldsSecrets(p.file)
	s := r.entry(p, posture.RADIUSSecret, x.Name)
	s.IDs = []string{x.Address.V}
	s.Anybody = posture.Written(anywhere(x.Address.V), x.Address.At, x.Address.Text)
	r.in.Host.Secrets = append(r.in.Host.Secrets, s)
}

// entry is a secret of the configuration. $ENV{} and what else could not be
// expanded is somewhere else.
func (r *reader) entry(p pair, kind posture.SecretKind, name string) posture.Secret {
	s := posture.Secret{
		Subject: posture.Subject{Dialect: posture.FreeRADIUS, Kind: "secret", Name: name, At: p.at}, Kind: kind, Storage: posture.Clear,
		Value: secret.Bytes(p.value), Anybody: posture.Written(false, p.at, ""), Changed: r.changed(p.file),
	}
	if strings.HasPrefix(p.value, "$ENV{") || strings.HasPrefix(p.value, "${") || strings.HasPrefix(p.value, "%{") {
		s.Storage, s.Value = posture.Elsewhere, nil
	}
	return s
}

func (r *reader) changed(t *source.Text) time.Time {
	if when, ok := r.times[t]; ok {
		return when
	}
	for _, f := range r.in.Host.Files {
		if f.Path == t.Show {
			r.times[t] = f.ModTime
		}
	}
	return r.times[t]
}

package routeros

import (
	"crypto/ecdh"
	"encoding/base64"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// wireguard makes a tunnel of every interface.
func (r *reader) wireguard() {
	peers := map[string][]*entry{}
	for _, p := range r.table.on("interface wireguard peers") {
		peers[p.text("interface")] = append(peers[p.text("interface")], p)
	}
	shows := r.showsSecrets()
	for _, e := range r.table.on("interface wireguard") {
		w := posture.Tunnel{Subject: r.subject("wireguard", e.owner(), e.at), MTU: read(r, e, "mtu", setting.Number)}
		key, ok := e.props["private-key"]
		w.PrivateKeyInFile = posture.Written(ok && key.value != "", e.at, "interface wireguard")
		if w.PrivateKeyInFile.V {
			r.in.HoldsSecrets(r.text)
			r.tunnelKey(w.Name, key)
		}
		for _, p := range peers[e.name] {
			w.Peers = append(w.Peers, r.wireguardPeer(p, shows))
		}
		delete(peers, e.name) // a second interface of the name has none
		r.host.Tunnels = append(r.host.Tunnels, w)
	}
}

// tunnelKey enters a private key by its public half alone. It is of WireGuard's own
// dialect, whose key it is.
func (r *reader) tunnelKey(name string, p prop) {
	private, err := base64.StdEncoding.DecodeString(p.value)
	if err != nil || p.variable {
		return
	}
	k, err := ecdh.X25519().NewPrivateKey(private)
	clear(private)
	if err != nil {
		return
	}
	r.host.Keys = append(r.host.Keys, posture.Key{
		Subject: posture.Subject{Dialect: posture.WireGuard, Kind: "key", Name: name, At: p.at},
		Public:  k.PublicKey(), Private: true, Used: []string{name}, Places: []posture.Pos{p.at},
	})
}

func (r *reader) wireguardPeer(e *entry, shows bool) posture.TunnelPeer {
	name := e.text("name")
	for _, key := range []string{"comment", "public-key"} {
		if name == "" {
			name = e.text(key)
		}
	}
	p := posture.TunnelPeer{Subject: r.subject("peer", name, e.at), PublicKey: e.text("public-key")}
	psk := e.text("preshared-key") != ""
	p.PSK = posture.Written(psk, e.at, "peers")
	if psk {
		r.secret(e, "preshared-key", posture.PPKSecret, p.PublicKey, []string{p.PublicKey}, setting.Of(r.defaults, false, e.at, true))
	}
	// An export without show-sensitive leaves the key out, if there is one.
	if !psk && !shows {
		p.PSK = posture.Value[bool]{}
	}
	if a, ok := e.props["allowed-address"]; ok {
		list, _ := setting.Commas(a.value)
		p.AllowedIPs = posture.Written(list, a.at, a.value)
	}
	if a, ok := e.props["endpoint-address"]; ok && a.value != "" {
		p.Endpoint = posture.Written(a.value+":"+e.text("endpoint-port"), a.at, a.value)
	}
	if k, ok := e.props["persistent-keepalive"]; ok {
		p.Keepalive, _ = setting.To(setting.Written(k.value, k.at), duration)
	}
	return p
}

// secretKeys are what an export without show-sensitive does not have.
var secretKeys = []string{"secret", "password", "ipsec-secret", "private-key", "preshared-key"}

// showsSecrets tells whether the export has any secret.
func (r *reader) showsSecrets() bool {
	for _, entries := range r.table.entries {
		for _, e := range entries {
			if slices.ContainsFunc(secretKeys, func(key string) bool { return e.text(key) != "" }) {
				return true
			}
		}
	}
	return false
}

// sysctls are the settings of "ip settings" by the name that Linux, which
// RouterOS is, has for them.
var sysctls = []struct{ key, sysctl string }{
	{"rp-filter", "net.ipv4.conf.all.rp_filter"},
	{"accept-redirects", "net.ipv4.conf.all.accept_redirects"},
	{"send-redirects", "net.ipv4.conf.all.send_redirects"},
	{"accept-source-route", "net.ipv4.conf.all.accept_source_route"},
	{"secure-redirects", "net.ipv4.conf.all.secure_redirects"},
	{"tcp-syncookies", "net.ipv4.tcp_syncookies"},
	{"ip-forward", "net.ipv4.ip_forward"},
}

var sysctlValues = map[string]string{"no": "0", "yes": "1", "strict": "1", "loose": "2"}

func (r *reader) kernel() {
	e := r.table.one("ip settings", r.file)
	if len(e.props) == 0 && !r.whole() {
		return
	}
	for _, s := range sysctls {
		v := read(r, e, s.key, func(word string) (string, bool) {
			n, ok := sysctlValues[word]
			return n, ok
		})
		if v.Known() {
			r.host.Kernel = append(r.host.Kernel, posture.Kernel{Subject: r.subject("sysctl", "ip settings "+s.key, v.At), Key: s.sysctl, Value: v})
		}
	}
}

// logging is where records go. By default that is memory, which a restart
// clears.
func (r *reader) logging() {
	if !r.whole() && !slices.Contains(r.table.menus, "system logging") {
		return
	}
	l := posture.Logging{Subject: r.subject("logging", "system logging", r.file)}
	l.OffHost = setting.Of(r.defaults, false, r.file, true)
	l.Auth = r.logsLogins()
	for _, e := range r.table.on("system logging") {
		action := r.table.named("system logging action", read(r, e, "action", word1).V)
		if action == nil {
			continue
		}
		target, to := read(r, action, "target", word1), read(r, action, "remote", word1)
		remote := target.V == "remote" || action.builtin != "" && action.name == "remote"
		if remote && !isAny(to.V) {
			l.Subject.At = e.at
			l.OffHost = posture.Written(true, e.at, "action="+action.name)
			protocol := read(r, action, "remote-protocol", word1)
			if !posture.Is(l.Protected, false) { // one in clear is enough
				l.Protected = setting.As(protocol, protocol.V == "tls")
			}
		}
	}
	ntp := read(r, r.table.one("system ntp client", r.file), "enabled", setting.Switch)
	l.TimeSync = ntp
	// Without NTP the vendor's cloud sets the clock, even where its DNS is off.
	if !ntp.V {
		l.TimeSync = read(r, r.table.one("ip cloud", r.file), "update-time", setting.Switch)
	}
	r.host.Logs = append(r.host.Logs, l)
}

// loginTopics are those of records about who came and who did not.
var loginTopics = []string{"info", "account", "ppp", "l2tp", "ipsec"}

// logsLogins: a router keeps everything of the topic info unless that was turned
// off or narrowed.
func (r *reader) logsLogins() posture.Value[bool] {
	var off *entry
	for _, e := range r.table.all("system logging") {
		topics, written := e.props["topics"]
		words := strings.Split(topics.value, ",")
		if !written {
			words = []string{e.name}
		}
		wanted := slices.ContainsFunc(loginTopics, func(t string) bool { return slices.Contains(words, t) })
		without := slices.ContainsFunc(loginTopics, func(t string) bool { return slices.Contains(words, "!"+t) })
		switch {
		case wanted && !without && !e.off() && e.builtin == "":
			return posture.Written(true, e.at, "topics="+topics.value)
		case wanted && !without && !e.off():
			return setting.Of(r.defaults, true, e.at, true)
		case wanted && (off == nil || e.builtin != ""):
			off = e
		}
	}
	if off == nil {
		return setting.Of(r.defaults, true, r.file, true) // the entry was renamed away: nothing is known
	}
	return posture.Written(false, off.at, "system logging "+off.name)
}

// logsKeys tells whether the debug records of IPsec, which hold key material,
// are kept.
func (r *reader) logsKeys() posture.Value[bool] {
	for _, e := range r.table.on("system logging") {
		topics := strings.Split(e.text("topics"), ",")
		if slices.Contains(topics, "ipsec") && !slices.Contains(topics, "!debug") && (slices.Contains(topics, "debug") || slices.Contains(topics, "packet")) {
			p := e.props["topics"]
			return posture.Written(true, p.at, p.value)
		}
	}
	return setting.Of(r.defaults, false, r.file, true)
}

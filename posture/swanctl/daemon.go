package swanctl

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/source"
)

// readDaemon reads a strongswan.conf. The first one is the daemon's.
func (r *reader) readDaemon(t *tree) {
	first := r.daemon == nil
	charon := daemonView(t)
	d := &posture.Daemon{Subject: posture.Subject{Dialect: posture.Swanctl, Kind: "daemon", Name: "charon", At: charon.at()}, Product: product}
	r.daemonKnown(t, charon)
	r.defences(d, charon)
	r.negotiation(d, charon, tlsView(t, charon))
	r.certificates(d, charon)
	r.plugins(d, charon)
	r.methods(d, charon.sub("plugins"))
	r.logging(d, t, charon)
	r.radius(d, charon)
	d.Replay = r.number(charon, "replay_window", 32)
	if first {
		r.daemon, r.charon, r.replay = d, charon, d.Replay
		d.DNS = r.daemonDNS()
		return
	}
	r.in.Host.Daemons = append(r.in.Host.Daemons, *d)
}

// daemonView is the settings of charon. Those of charon-systemd, which is the
// same daemon started otherwise, come first, and those of the library last
// (library.c).
func daemonView(t *tree) view {
	root := t.view()
	charon, own := root.sub("charon"), root.sub("charon-systemd")
	first := newSection("charon", charon.at())
	return view{tree: t, layers: slices.Concat([]*section{first}, own.layers, charon.layers, root.sub("libstrongswan").layers)}
}

// tlsView is the settings of TLS: the daemon's own, and behind them those of the
// section libtls (tls.c).
func tlsView(t *tree, charon view) view {
	own := charon.sub("tls")
	return view{tree: t, layers: slices.Concat(own.layers, t.view().sub("libtls").layers), above: own.at()}
}

// finishDaemon adds what the connections tell of the daemon.
func (r *reader) finishDaemon() {
	d := r.daemon
	d.CopyDF = normal(r, true, d.At)
	if r.copyDF.Known() {
		d.CopyDF = r.copyDF
	}
	if r.updown.Known() && !d.Accounting.V {
		d.Accounting = r.updown
	}
	r.in.Host.Daemons = append(r.in.Host.Daemons, *d)
}

func (r *reader) defences(d *posture.Daemon, v view) {
	protects := r.flag(v, "dos_protection", true)
	cookies := r.number(v, "cookie_threshold", 30)
	d.Cookies = protects
	if protects.V && cookies.Origin == posture.Explicit {
		d.Cookies = follows(cookies.V > 0, cookies)
	}
	d.BlockLimit = r.number(v, "block_threshold", 5)
	if !protects.V {
		d.BlockLimit = follows(0, protects)
	}
	d.HalfOpenLimit = r.number(v, "init_limit_half_open", 0)
	d.AggressivePSK = r.flag(v, "i_dont_care_about_security_and_use_aggressive_mode_psk", false)
	d.UnencryptedV1 = r.flag(v, "accept_unencrypted_mainmode_messages", false)
}

func (r *reader) negotiation(d *posture.Daemon, v, tls view) {
	d.FragmentSize = r.number(v, "fragment_size", 1280)
	d.SendsVID = r.flag(v, "send_vendor_id", false)
	signs := r.flag(v, "signature_authentication", true)
	d.SHA1Sig = follows(!signs.V, signs)
	d.PrivateAlg = r.flag(v, "accept_private_algs", false)
	d.Keepalive = r.duration(v, "keep_alive", 20*time.Second)
	// The setting came with TLS 1.3 in 5.9.2; before, 1.0 was taken.
	oldest := "1.2"
	if r.before("5.9.2") {
		oldest = "1.0"
	}
	d.TLSMin = read(r, tls, "version_min", oldest, func(s string) (string, bool) {
		return s, slices.Contains([]string{"1.0", "1.1", "1.2", "1.3"}, s)
	})
}

// certificates: the plugin revocation fetches lists and asks by OCSP.
func (r *reader) certificates(d *posture.Daemon, v view) {
	plugin := v.path("plugins", "revocation")
	d.CRLFetch, d.OCSP = r.flag(plugin, "enable_crl", true), r.flag(plugin, "enable_ocsp", true)
	if s, ok := plugin.get("load"); ok && !loads(s.value) {
		d.CRLFetch = posture.Written(false, s.at, s.value)
		d.OCSP = d.CRLFetch
	}
}

// loads: load is yes, no or a priority.
func loads(s string) bool {
	if on, ok := parseBool(s); ok {
		return on
	}
	n, err := strconv.Atoi(s)
	return err == nil && n > 0
}

// plugins reads which are loaded, and what those of randomness are told.
func (r *reader) plugins(d *posture.Daemon, v view) {
	plugins := v.sub("plugins")
	switch list, ok := v.get("load"); {
	case ok:
		d.Plugins = posture.Written(strings.Fields(list.value), list.at, list.value)
	case r.flag(v, "load_modular", false).V:
		set, _ := v.get("load_modular")
		d.Plugins = posture.Written(modular(plugins), set.at, set.value)
	}
	d.StrongRNG = r.randomness(plugins)
	d.SkipsLAN = r.bypass(v, d.Plugins)
	for _, name := range []string{"sql", "attr-sql"} {
		if s, ok := plugins.sub(name).get("database"); ok && holdsPassword.MatchString(s.value) {
			r.holds(s.at)
		}
	}
}

// bypass is the plugin bypass-lan. strongSwan does not make it by default, and
// distributions that make it ship it with "load = no".
func (r *reader) bypass(v view, loaded posture.Value[[]string]) posture.Value[bool] {
	const name = "bypass-lan"
	_, listed := v.get("load")
	own, set := v.path("plugins", name).get("load")
	switch {
	case set && !listed:
		return posture.Written(loads(own.value), own.at, own.value)
	case loaded.Known():
		return follows(slices.Contains(loaded.V, name), loaded)
	}
	return normal(r, false, v.at())
}

// holdsPassword is a database with the user's name and password:
// "mysql://user:password@host/database".
var holdsPassword = regexp.MustCompile(`^\w+://[^/@]*:[^/]+@`)

func modular(plugins view) []string {
	var all []string
	for _, name := range plugins.names() {
		if s, ok := plugins.sub(name).get("load"); ok && loads(s.value) {
			all = append(all, strings.TrimSuffix(name, "!"))
		}
	}
	return all
}

// devices are those that randomness may come from.
var devices = []string{"/dev/random", "/dev/urandom", "/dev/hwrng"}

func (r *reader) randomness(plugins view) posture.Value[bool] {
	random := plugins.sub("random")
	for _, key := range []string{"random", "urandom"} {
		if s, ok := random.get(key); ok && !slices.Contains(devices, s.value) {
			return posture.Written(false, s.at, s.value)
		}
	}
	if s, ok := plugins.sub("gcrypt").get("quick_random"); ok && s.value != "no" {
		return posture.Written(false, s.at, s.value)
	}
	return normal(r, true, random.at())
}

// daemonKnown notes what strongswan.conf does not have.
func (r *reader) daemonKnown(t *tree, charon view) {
	root := t.view()
	r.check(root, programs, "", func(name string) bool { return t.used[name] })
	r.known(charon, daemonKnown, "the daemon")
	r.known(tlsView(t, charon), tlsKnown, "tls")
	plugins := charon.sub("plugins")
	for _, name := range plugins.names() {
		r.pluginKnown(plugins.sub(name), name)
	}
	r.bases(t)
}

func (r *reader) pluginKnown(v view, name string) {
	name = strings.TrimSuffix(name, "!")
	switch settings, ok := pluginKnown[name]; {
	case name == "attr" || name == "attr-sql":
	case ok:
		r.known(v, words(settings+" load"), "the plugin "+name)
	case plain[name]:
		r.known(v, words("load"), "the plugin "+name)
	default:
		r.unparsed(v.at(), "the plugin %q is not known", source.Quote(name))
	}
}

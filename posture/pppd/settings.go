package pppd

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/posture"
)

// settings is what the words of one link come to.
type settings struct {
	reader *Reader
	own    bool   // the words are the link's own, not those of /etc/ppp/options
	lost   bool   // a file of the link is not here: what is not written is unknown
	unseen string // what else is not here
	files  int

	auth, debug, shows, proxyARP, route, ipv6, verify posture.Value[bool]
	require, refuse                                   posture.Value[[]posture.PPPMethod]
	radius                                            posture.Value[bool]
	mtu, mru                                          posture.Value[int]
	dns                                               posture.Value[[]string]
	tlsMax                                            posture.Value[string]
	echo                                              posture.Value[time.Duration]

	mppe40, mppe128, noCCP posture.Value[bool]

	name, user   Word
	login        bool                // PAP by the system's own passwords
	backend      bool                // a plugin knows the accounts
	pptp         posture.Value[bool] // the link is dialled by PPTP
	server       Word                // a word of the link's own that only a server needs
	client       Word                // one that only a client needs
	sharedServer Word                // the same of /etc/ppp/options
	sharedClient Word
}

// adopt makes the words of /etc/ppp/options the link's own.
func (s *settings) adopt() { s.server, s.client = s.sharedServer, s.sharedClient }

var methodOf = map[string]posture.PPPMethod{
	"pap": posture.PAP, "chap": posture.CHAPMD5, "mschap": posture.MSCHAPv1, "mschap-v2": posture.MSCHAPv2, "eap": posture.EAPAny,
}

// apply lets one option have its effect; most have none that matters here.
func (s *settings) apply(w, arg Word, chain []string) {
	s.sides(w)
	if s.method(w) {
		return
	}
	yes, no := posture.Written(true, w.At, w.shown()), posture.Written(false, w.At, w.shown())
	switch w.Text {
	case "file", "call":
		s.include(w, arg, chain)
	case "auth":
		s.auth = yes
	case "noauth":
		s.auth = no
	case "login":
		s.login = true
	case "name":
		s.name = arg
	case "user":
		s.user = arg
	case "password":
		s.password(w, arg)
	case "debug", "-d":
		s.debug = yes
	case "show-password":
		s.shows = yes
	case "hide-password":
		s.shows = no
	case "proxyarp":
		s.proxyARP = yes
	case "noproxyarp", "-proxyarp":
		s.proxyARP = no
	case "defaultroute":
		s.route = yes
	case "nodefaultroute", "-defaultroute":
		s.route = no
	case "+ipv6", "ipv6":
		s.ipv6 = yes
	case "noipv6", "-ipv6":
		s.ipv6 = no
	case "plugin":
		s.plugin(w, arg)
	case "pty":
		if prog, _, _ := strings.Cut(strings.TrimSpace(arg.Text), " "); path.Base(prog) == "pptp" {
			s.pptp = posture.Written(true, w.At, "pty \"pptp ...\"")
			s.mark(&s.client, &s.sharedClient, w)
		}
	case "max-tls-version":
		s.tlsMax = posture.Written(arg.Text, w.At, w.Text+" "+arg.Text)
	case "tls-verify-method":
		s.verify = posture.Written(arg.Text != "none", w.At, w.Text+" "+arg.Text)
	default:
		s.number(w, arg)
		s.encryption(w, arg)
	}
}

// number applies the options that are numbers or addresses.
func (s *settings) number(w, arg Word) {
	if w.Text == "ms-dns" {
		s.resolver(w, arg)
		return
	}
	text := w.Text + " " + arg.Text
	n, err := strconv.ParseInt(arg.Text, 0, 32)
	switch w.Text {
	case "mtu", "mru", "lcp-echo-interval":
		if err != nil || n < 0 {
			s.reader.note(posture.Malformed, w.At, "not a number: ", w.Text)
			return
		}
	}
	switch w.Text {
	case "mtu":
		s.mtu = posture.Written(int(n), w.At, text)
	case "mru":
		s.mru = posture.Written(int(n), w.At, text)
	case "default-mru", "-mru":
		s.mru = posture.Written(1500, w.At, w.Text)
	case "lcp-echo-interval":
		s.echo = posture.Written(time.Duration(n)*time.Second, w.At, text)
	}
}

// resolver adds a DNS server. IPCP has room for two (RFC 1877); a third takes the
// place of the second.
func (s *settings) resolver(w, arg Word) {
	if !s.dns.Known() {
		s.dns = posture.Written([]string{arg.Text}, w.At, w.Text+" "+arg.Text)
		return
	}
	first := s.dns.V[0]
	s.dns = posture.Written([]string{first, arg.Text}, s.dns.At, "ms-dns "+first+", ms-dns "+arg.Text)
}

// method applies require-X, +X, refuse-X and -X.
func (s *settings) method(w Word) bool {
	word := w.Text
	asks := true
	switch {
	case strings.HasPrefix(word, "require-"), strings.HasPrefix(word, "+"):
	case strings.HasPrefix(word, "refuse-"), strings.HasPrefix(word, "-"):
		asks = false
	default:
		return false
	}
	for _, prefix := range []string{"require-", "refuse-", "+", "-"} {
		word = strings.TrimPrefix(word, prefix)
	}
	m, ok := methodOf[word]
	if !ok {
		return false
	}
	list := &s.refuse
	if asks {
		list = &s.require
		s.auth = posture.Written(true, w.At, w.shown())
	}
	if !slices.Contains(list.V, m) {
		text := strings.TrimPrefix(list.Text+", "+w.shown(), ", ")
		at := w.At
		if list.Known() {
			at = list.At // of the first
		}
		*list = posture.Written(append(slices.Clip(list.V), m), at, text)
	}
	return true
}

// encryption applies the options of MPPE. require-mppe takes 40 bits as well as
// 128; nomppe-40 after it leaves 128 alone. "mppe required,no40" is that of
// patched versions before 2.4.2.
func (s *settings) encryption(w, arg Word) {
	yes, no := posture.Written(true, w.At, w.Text), posture.Written(false, w.At, w.Text)
	switch w.Text {
	case "require-mppe", "+mppe":
		s.mppe40, s.mppe128 = yes, yes
	case "require-mppe-40", "+mppe-40":
		s.mppe40 = yes
	case "require-mppe-128", "+mppe-128":
		s.mppe128 = yes
	case "nomppe-40", "-mppe-40":
		s.mppe40 = no
	case "nomppe-128", "-mppe-128":
		s.mppe128 = no
	case "nomppe", "-mppe":
		s.mppe40, s.mppe128 = no, no
	case "noccp", "-ccp":
		s.noCCP = yes
	case "mppe":
		v := posture.Written(strings.Contains(arg.Text, "required"), w.At, w.Text+" "+arg.Text)
		s.mppe40, s.mppe128 = v, v
		if strings.Contains(arg.Text, "no40") {
			s.mppe40.V = false
		}
	}
}

// plugin applies those plugins of pppd's own that know accounts or keep them.
func (s *settings) plugin(w, arg Word) {
	name := strings.TrimSuffix(arg.Text[strings.LastIndex(arg.Text, "/")+1:], ".so")
	switch name {
	case "radius":
		s.backend = true
		s.radius = posture.Written(true, w.At, "plugin "+arg.Text)
	case "winbind":
		s.backend = true
	case "pppoe", "rp-pppoe", "pppoatm", "pptp":
		s.mark(&s.client, &s.sharedClient, w)
		if name == "pptp" {
			s.pptp = posture.Written(true, w.At, "plugin "+arg.Text)
		}
	}
}

// password enters a password in an option file, which is ours for the peer.
func (s *settings) password(w, arg Word) {
	r := s.reader
	if r.entered[w.At] {
		return
	}
	r.entered[w.At] = true
	for _, t := range r.texts {
		if t != nil && t.Show == arg.At.File {
			r.in.HoldsSecrets(t)
		}
	}
	name := s.user.Text
	if name == "" {
		name = s.name.Text
	}
	sec := posture.Secret{
		Subject: posture.Subject{Dialect: posture.PPPD, Kind: "secret", Name: name, At: w.At}, Kind: posture.UserPassword,
		Storage: posture.Clear, Value: secret.Bytes(arg.Text), Anybody: posture.Written(false, w.At, ""),
	}
	if name != "" {
		sec.IDs = []string{name}
	}
	r.in.Host.Secrets = append(r.in.Host.Secrets, sec)
}

// Words that only one side has a use for. Some have their effect on both.
var (
	serverWords = []string{"auth", "ms-dns", "ms-wins", "proxyarp", "login"}
	clientWords = []string{"user", "remotename", "password", "usepeerdns", "noipdefault", "defaultroute", "replacedefaultroute", "+ua"}
)

// sides marks what the words say of who answers.
func (s *settings) sides(w Word) {
	switch {
	case slices.Contains(clientWords, w.Text):
		s.mark(&s.client, &s.sharedClient, w)
	case slices.Contains(serverWords, w.Text), asksPeer(w):
		s.mark(&s.server, &s.sharedServer, w)
	}
}

// asksPeer is for require-*, which a later noauth takes back: a weaker sign of the
// side that answers than the others.
func asksPeer(w Word) bool {
	return strings.HasPrefix(w.Text, "require-") && !strings.Contains(w.Text, "mppe")
}

func (s *settings) mark(own, shared *Word, w Word) {
	if !s.own {
		own = shared
	}
	if own.Text == "" || asksPeer(*own) && !asksPeer(w) {
		*own = w
	}
}

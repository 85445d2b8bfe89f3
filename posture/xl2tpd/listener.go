package xl2tpd

import (
	"strings"

	"sallyport/posture"
	"sallyport/posture/pppd"
)

// listener is a section as rules see it, and makes the link of PPP that its
// calls lead to.
func (r *reader) listener(global, s *section) posture.L2TP {
	name := s.kind + " " + s.name
	l := posture.L2TP{
		Subject: posture.Subject{Dialect: posture.Xl2tpd, Kind: "l2tp", Name: name, At: s.at}, Product: "xl2tpd",
		Enabled:    posture.Guess(true, s.at, "the section is there"),
		Server:     posture.Written(s.kind == "lns", s.at, "["+name+"]"),
		IPsec:      posture.ByDefault(posture.Never, s.at, "xl2tpd takes calls with and without IPsec"),
		Listen:     listen(global),
		Challenge:  r.or(s, "challenge", false),
		HiddenAVPs: r.or(s, "hidden bit", false),
		Access:     r.or(global, "access control", false),
		SharedNAT:  r.or(global, "ipsec saref", false),
		PPP:        name,
	}
	if l.Server.V {
		l.Pool = addresses(s, "ip range")
		if e := s.keys["local ip"]; e.value != "" {
			l.Local = posture.Written(e.value, e.at, e.text)
		}
	}
	ppp := r.links.Link(pppd.Link{
		Name: name, At: s.at, Server: l.Server, Words: r.words(s), File: s.keys["pppoptfile"].value, FileAt: s.keys["pppoptfile"].at,
	})
	l.AuthNeeded = r.authNeeded(s, ppp)
	return l
}

// addresses are what callers get. Ranges stand in one line, with commas.
func addresses(s *section, key string) posture.Value[[]string] {
	e := s.keys[key]
	var list []string
	for word := range strings.SplitSeq(e.value, ",") {
		if word = strings.TrimSpace(word); word != "" {
			list = append(list, word)
		}
	}
	if list == nil {
		return posture.Value[[]string]{}
	}
	return posture.Written(list, e.at, e.text)
}

// listen is the address and, if it is not the usual one, the port.
func listen(global *section) posture.Value[[]string] {
	addr, port := global.keys["listen-addr"], global.keys["port"]
	suffix := ""
	if port.value != "" && port.value != "1701" {
		suffix = ":" + port.value
	}
	if addr.value != "" {
		return posture.Written([]string{addr.value + suffix}, addr.at, addr.text)
	}
	if suffix != "" {
		return posture.Written([]string{"0.0.0.0" + suffix}, port.at, port.text)
	}
	return posture.ByDefault([]string{"0.0.0.0"}, global.at, "default of xl2tpd")
}

// words is the command line that xl2tpd makes for pppd (control.c).
func (r *reader) words(s *section) []pppd.Word {
	var all []pppd.Word
	add := func(key string, words ...string) {
		e := s.keys[key]
		for i, w := range words {
			all = append(all, pppd.Word{Text: w, At: e.at, Shown: e.text, First: i == 0})
		}
	}
	// on adds a word where a key says yes.
	on := func(key string, words ...string) {
		if r.flag(s, key).V {
			add(key, words...)
		}
	}
	on("defaultroute", "defaultroute")
	if r.flag(s, "refuse authentication").V {
		add("refuse authentication", "refuse-pap", "refuse-chap")
	} else {
		on("refuse pap", "refuse-pap")
		on("refuse chap", "refuse-chap")
	}
	if r.flag(s, "require authentication").V {
		add("require authentication", "auth")
		on("require pap", "require-pap")
		on("require chap", "require-chap")
		on("unix authentication", "login")
	}
	if name := s.keys["name"].value; name != "" {
		add("name", "name", name)
	}
	on("ppp debug", "debug")
	return all
}

// authNeeded is pppd's answer, and why, where xl2tpd's own words mislead.
func (r *reader) authNeeded(s *section, ppp posture.PPP) posture.Value[bool] {
	v := ppp.AuthNeeded
	if v.Origin == posture.Explicit || !posture.Is(v, false) {
		return v
	}
	for _, key := range []string{"require chap", "require pap", "unix authentication"} {
		if e, ok := s.keys[key]; ok && r.flag(s, key).V {
			return posture.Guess(false, e.at, key+" has no effect without require authentication = yes")
		}
	}
	if e, ok := s.keys["require authentication"]; ok {
		return posture.Written(false, e.at, e.text)
	}
	v.At = s.at
	v.Why = "default of xl2tpd: require authentication = no, and no option file of pppd has auth"
	return v
}

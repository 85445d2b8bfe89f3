package ipsecconf

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	notation "sallyport/posture/setting"
)

// daemon is what config setup says of pluto or charon.
func (r *reader) daemon(conns []posture.Connection) {
	if r.libreswan() {
		r.in.Host.Daemons = append(r.in.Host.Daemons, r.pluto())
		return
	}
	r.eap(conns)
	r.in.Host.Daemons = append(r.in.Host.Daemons, r.charon())
}

// pluto is Libreswan's daemon, all of which is set here.
func (r *reader) pluto() posture.Daemon {
	s := r.setup
	d := posture.Daemon{Subject: r.subject("daemon", "pluto", s.at), Product: r.product}
	d.Cookies = choose(s, "ddos-mode", map[string]bool{"auto": true, "busy": true, "unlimited": false}, true)
	d.HalfOpenLimit = s.number("max-halfopen-ike", 50000)
	d.StrictCRL = choose(s, "crl-strict", map[string]posture.Demand{"yes": posture.Always, "no": posture.Never}, posture.Never)
	d.CRLFetch = positive(s.duration("crlcheckinterval", 0))
	d.OCSP = s.flag("ocsp-enable", false)
	d.StrongRNG = byDefault(r, true, s.at)
	if v, ok := s.get("seedbits"); ok {
		d.StrongRNG = written(v, true) // more seed than NSS asks for by itself
	}
	d.Sandboxed = choose(s, "seccomp", map[string]bool{"enabled": true, "tolerant": true, "disabled": false, "yes": true, "no": false}, false)
	d.LogsAuth = s.flag("audit-log", true)
	d.LogsSecrets = s.plutoSecrets()
	d.LogsID = posture.ByDefault(true, s.at, "pluto begins its lines with the name and number of the SA")
	d.Keepalive = s.duration("keep-alive", 20*time.Second)
	d.Accounting = r.accounting()
	return d
}

func positive(v posture.Value[time.Duration]) posture.Value[bool] {
	return posture.Value[bool]{V: v.V > 0, Origin: v.Origin, At: v.At, Text: v.Text, Why: v.Why}
}

// plutoSecrets: "private" has secrets printed and "crypt" has derived keys, which
// "all" did not leave out before 4.0 (include/pluto_constants.h).
func (c *conn) plutoSecrets() posture.Value[bool] {
	s, ok := c.get("plutodebug")
	if !ok {
		return byDefault(c.reader, false, c.at)
	}
	words := c.list(setting{key: s.key, value: strings.ToLower(s.value), at: s.at})
	return written(s, slices.Contains(words, "private") || slices.Contains(words, "crypt") || slices.Contains(words, "all") && c.before("4.0"))
}

// accounting is what an updown script may do. leftfirewall of strongSwan runs its own
// with iptables, which logs who came and went (src/_updown of strongSwan).
func (r *reader) accounting() posture.Value[bool] {
	for _, s := range r.conf.order {
		for _, key := range []string{"leftfirewall", "rightfirewall"} {
			if v, ok := s.settings[key]; ok && !r.libreswan() && yesNo[strings.ToLower(v.value)] {
				return written(v, true)
			}
		}
		for _, key := range []string{"leftupdown", "rightupdown"} {
			v, ok := s.settings[key]
			if ok && notation.Records(v.value) {
				return written(v, true)
			}
		}
	}
	return byDefault(r, false, r.setup.at)
}

// charon is strongSwan's daemon. Only a little of it is set in ipsec.conf; the
// rest is in strongswan.conf, and its defaults are taken only where no such file
// was read.
func (r *reader) charon() posture.Daemon {
	s := r.setup
	d := posture.Daemon{Subject: r.subject("daemon", "charon", s.at), Product: r.product}
	d.StrictCRL = choose(s, "crl-strict", map[string]posture.Demand{"yes": posture.Always, "ifuri": posture.Optional, "no": posture.Never}, posture.Never)
	d.LogsSecrets, d.LogsAuth = s.charonLevels()
	d.Accounting = r.accounting()
	if o := r.strongSwanConf(); o != nil {
		if o.Accounting.V {
			d.Accounting = o.Accounting
		}
		return d
	}
	d.Cookies, d.HalfOpenLimit, d.BlockLimit = byDefault(r, true, s.at), byDefault(r, 0, s.at), byDefault(r, 5, s.at)
	d.AggressivePSK, d.UnencryptedV1, d.PrivateAlg, d.SendsVID = byDefault(r, false, s.at), byDefault(r, false, s.at), byDefault(r, false, s.at), byDefault(r, false, s.at)
	d.FragmentSize, d.TLSMin, d.StrongRNG = byDefault(r, 1280, s.at), byDefault(r, r.tlsMin(), s.at), byDefault(r, true, s.at)
	d.CRLFetch, d.OCSP = byDefault(r, true, s.at), byDefault(r, true, s.at)
	d.SkipsLAN = byDefault(r, false, s.at)
	d.LogsID, d.CopyDF, d.Keepalive = byDefault(r, false, s.at), byDefault(r, true, s.at), byDefault(r, 20*time.Second, s.at)
	return d
}

// strongSwanConf is what strongswan.conf says of the daemon of both dialects; nil
// where it was not read.
func (r *reader) strongSwanConf() *posture.Daemon {
	i := slices.IndexFunc(r.in.Host.Daemons, func(o posture.Daemon) bool {
		return !r.libreswan() && o.Product == r.product && o.Dialect == posture.Swanctl
	})
	if i < 0 {
		return nil
	}
	return &r.in.Host.Daemons[i]
}

// tlsMin is the oldest TLS of EAP. The setting came with TLS 1.3 in 5.9.2; before,
// 1.0 was taken.
func (r *reader) tlsMin() string {
	if r.before("5.9.2") {
		return "1.0"
	}
	return "1.2"
}

// eap enters the methods that charon itself asks of peers, once each. With
// eap-radius, a server elsewhere decides.
func (r *reader) eap(conns []posture.Connection) {
	seen := map[string]bool{"radius": true}
	for _, c := range conns {
		for _, a := range c.Remote {
			for _, method := range a.EAP.V {
				if c.Disabled || seen[method] || len(seen) > mostMethods {
					continue
				}
				seen[method] = true
				r.in.Host.EAP = append(r.in.Host.EAP, r.eapServer(method, a.EAP))
			}
		}
	}
}

// mostMethods is more than charon has.
const mostMethods = 32

func (r *reader) eapServer(method string, from posture.Value[[]string]) posture.EAP {
	e := posture.EAP{Subject: r.subject("eap", "eap-"+method, from.At), Product: r.product, Methods: from}
	e.Server = posture.Written(true, from.At, from.Text)
	e.DefaultType = posture.Written(method, from.At, from.Text)
	conf := r.strongSwanConf()
	if conf == nil {
		conf = &posture.Daemon{}
	}
	if method == "dynamic" { // begins with what it prefers, and goes on with what the client asks for
		e.DefaultType, e.Methods = posture.Value[string]{}, conf.EAPFirst
		if first := conf.EAPFirst; len(first.V) > 0 {
			e.DefaultType = posture.Written(first.V[0], first.At, first.Text)
		}
	}
	if inner, ok := map[string]string{"ttls": "md5", "peap": "mschapv2"}[method]; ok {
		if e.Inner = conf.EAPInner[method]; !e.Inner.Known() {
			e.Inner = byDefault(r, []string{inner}, from.At)
		}
	}
	if slices.ContainsFunc(e.Methods.V, overTLS) {
		if e.TLSMin = conf.TLSMin; e.TLSMin.Origin != posture.Explicit {
			e.TLSMin = byDefault(r, r.tlsMin(), from.At)
		}
	}
	return e
}

func overTLS(method string) bool { return method == "tls" || method == "ttls" || method == "peap" }

// charonLevels reads charondebug="ike 2, knl 3". Level 4 has keys printed; below
// level 1 of ike, nobody learns who failed (strongswan.conf(5)).
func (c *conn) charonLevels() (secrets, auth posture.Value[bool]) {
	s, ok := c.get("charondebug")
	if !ok {
		return byDefault(c.reader, false, c.at), byDefault(c.reader, true, c.at)
	}
	most, ike := 0, 1
	words := c.list(setting{key: s.key, value: strings.ToLower(s.value), at: s.at})
	if len(words)%2 == 1 {
		c.odd(s) // "all" is of plutodebug; the starter reads pairs up to what is none
	}
	for i := 0; i+1 < len(words); i += 2 {
		level, err := strconv.Atoi(words[i+1])
		if err != nil {
			c.odd(s)
			break
		}
		most = max(most, level)
		if words[i] == "ike" || words[i] == "any" {
			ike = level
		}
	}
	return written(s, most >= 4), written(s, ike >= 1)
}

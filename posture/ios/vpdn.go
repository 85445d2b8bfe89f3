package ios

import (
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// vpdn are the groups that answer calls of L2TP and PPTP, and the virtual
// templates that say what PPP asks of them.
func (r *reader) vpdn() {
	enabled := r.flag(false, "vpdn", "enable")
	forced := map[string]posture.Value[bool]{}
	for _, l := range r.root.all("vpdn-group") {
		if dial := l.find("request-dialin"); dial != nil && !dial.no {
			if p := dial.find("protocol", "pptp"); p != nil {
				r.host.Services = append(r.host.Services, posture.Service{Subject: r.subject("service", l.word(1), l.at), Protocol: "pptp", Enabled: served(enabled, dial, p)})
			}
		}
		dial := l.find("accept-dialin")
		if dial == nil || dial.no {
			continue
		}
		protocol, template := dial.find("protocol"), dial.find("virtual-template")
		name := ""
		if template != nil {
			name = "Virtual-Template" + template.word(1)
		}
		word := "any"
		if protocol != nil {
			word = protocol.word(1)
		}
		if word == "l2tp" || word == "any" {
			v := r.l2tp(l, name, enabled)
			if old, ok := forced[name]; !ok || old.V {
				forced[name] = v
			}
		}
		if word == "pptp" || word == "any" {
			r.host.Services = append(r.host.Services, posture.Service{Subject: r.subject("service", l.word(1), l.at), Protocol: "pptp", Enabled: served(enabled, dial, protocol)})
			forced[name] = written(l, false)
		}
	}
	for _, l := range r.root.all("interface") {
		f, ok := forced[l.word(1)]
		if ok || strings.HasPrefix(l.word(1), "Virtual-Template") && l.find("ppp", "authentication") != nil {
			r.ppp(l, f)
		}
	}
}

// served is whether a group answers: where it does, the line to look at is that
// of its protocol.
func served(enabled posture.Value[bool], dial, protocol *line) posture.Value[bool] {
	switch {
	case !enabled.V:
		return enabled
	case protocol != nil:
		return written(protocol, true)
	}
	return written(dial, true)
}

// l2tp is one listener; it tells whether IPsec is insisted on. That is so where
// a profile is named here, or where a crypto map's access list has the packets:
// what matches it and comes in the clear is dropped.
func (r *reader) l2tp(l *line, ppp string, enabled posture.Value[bool]) posture.Value[bool] {
	t := posture.L2TP{Subject: r.subject("l2tp", l.word(1), l.at), Product: r.product, Enabled: enabled, Server: written(l, true), PPP: ppp}
	t.IPsec = setting.Of(r.defaults, posture.Never, l.at, true)
	if s := l.find("l2tp", "security", "crypto-profile"); s != nil && !s.no {
		t.IPsec = written(s, posture.Always)
	}
	if m := r.guard; m != nil {
		t.IPsec = written(m, posture.Always)
	}
	t.Challenge = setting.Of(r.defaults, true, l.at, true)
	if a := l.find("l2tp", "tunnel", "authentication"); a != nil {
		t.Challenge = written(a, !a.no)
	}
	t.HiddenAVPs = setting.Of(r.defaults, false, l.at, true)
	if h := l.find("l2tp", "hidden"); h != nil {
		t.HiddenAVPs = written(h, !h.no)
	}
	t.Access = setting.Of(r.defaults, false, l.at, true)
	if h := l.find("terminate-from"); h != nil {
		t.Access = written(h, true)
	}
	r.host.L2TP = append(r.host.L2TP, t)
	return setting.As(t.IPsec, t.IPsec.V == posture.Always)
}

// guarded is the line of a crypto map's entry whose access list has all of L2TP.
func (r *reader) guarded() *line {
	for _, u := range r.all {
		m := u.line.find("match", "address")
		if m == nil {
			continue
		}
		for _, x := range r.acl(m.word(2)) {
			if x.permit && x.protocol == "udp" && x.to == "any" && x.fromPort == l2tpPort {
				return m
			}
		}
	}
	return nil
}

// l2tpPort is where L2TP answers (RFC 2661, Section 8.1).
const l2tpPort = 1701

// ppp is a virtual template.
func (r *reader) ppp(l *line, forced posture.Value[bool]) {
	p := posture.PPP{Subject: r.subject("ppp", l.word(1), l.at), Product: r.product, Server: written(l, true), IPsecForced: forced}
	r.pppAuth(&p, l)
	p.MPPE = setting.Of(r.defaults, posture.NoMPPE, l.at, true)
	if e := l.find("ppp", "encrypt", "mppe"); e != nil && !e.no {
		p.MPPE = written(e, mppe(e))
	}
	for _, words := range [][]string{{"mtu"}, {"ip", "mtu"}} {
		if b := l.find(words...); b != nil && !b.no {
			p.MTU, _ = setting.To(setting.Written(b.words[len(b.words)-1], b.at), setting.Number)
		}
	}
	if !p.MTU.Known() {
		p.MTU = setting.Of(r.defaults, 1500, l.at, false)
	}
	p.MRU = p.MTU
	p.MSSClamp = setting.Of(r.defaults, false, l.at, true)
	if b := l.find("ip", "tcp", "adjust-mss"); b != nil {
		p.MSSClamp = written(b, !b.no)
	}
	p.DNS = setting.Of(r.defaults, []string(nil), l.at, true)
	if b := l.find("ppp", "ipcp", "dns"); b != nil && !b.no {
		p.DNS = written(b, b.words[3:])
	}
	p.IPv6 = setting.Of(r.defaults, false, l.at, true)
	for _, words := range [][]string{{"ipv6", "unnumbered"}, {"ipv6", "enable"}, {"peer", "default", "ipv6", "pool"}} {
		if b := l.find(words...); b != nil && !b.no {
			p.IPv6 = written(b, true)
		}
	}
	p.Accounting = setting.Of(r.defaults, false, l.at, true)
	if b := l.find("ppp", "accounting"); b != nil {
		p.Accounting = written(b, !b.no)
	} else if a := r.root.find("aaa", "accounting", "network", "default"); a != nil {
		p.Accounting = written(a, !a.no)
	}
	p.Echo = setting.Of(r.defaults, 10*time.Second, l.at, true)
	if b := l.find("keepalive"); b != nil && b.no {
		p.Echo = written(b, time.Duration(0))
	} else if b != nil && len(b.words) > 1 {
		p.Echo, _ = setting.To(setting.Written(b.word(1), b.at), setting.Seconds)
	}
	r.host.PPP = append(r.host.PPP, p)
}

// pppAuth is "ppp authentication"; without it nobody has to prove himself.
// Words after the methods are names of lists, or say when.
func (r *reader) pppAuth(p *posture.PPP, l *line) {
	a := l.find("ppp", "authentication")
	if a == nil || a.no {
		p.AuthNeeded = setting.Of(r.defaults, false, l.at, true)
		p.Required = p.AuthNeeded
		return
	}
	var methods []posture.PPPMethod
	for _, w := range a.words[2:] {
		m, ok := pppMethods[w]
		if !ok {
			break
		}
		methods = append(methods, m)
	}
	p.AuthNeeded, p.Required, p.Methods = written(a, true), written(a, true), written(a, methods)
	for _, word := range []string{"if-needed", "optional"} {
		if a.after(word) != "" || a.words[len(a.words)-1] == word {
			p.AuthNeeded = written(a, false)
		}
	}
}

// mppe is "auto", "40" or "128", and "required".
func mppe(l *line) posture.MPPE {
	switch {
	case index(l.words, "required") == len(l.words):
		return posture.AnyMPPE
	case l.word(3) == "128":
		return posture.MPPE128
	}
	return posture.MPPE40
}

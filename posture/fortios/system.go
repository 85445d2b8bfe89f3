package fortios

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// l2tp are the two old services, each a table without a list.
func (r *reader) l2tp() {
	if e := r.one("vpn l2tp"); e != nil {
		on := of(r, e, "status", "disable", setting.Switch)
		forced := of(r, e, "enforce-ipsec", "disable", setting.Switch)
		ipsec := setting.As(forced, posture.Never)
		if forced.V {
			ipsec.V = posture.Always
		}
		const name = "l2tp"
		r.host.L2TP = append(r.host.L2TP, posture.L2TP{Subject: r.subject("l2tp", name, e.at), Product: product, Enabled: on, Server: setting.As(on, true), IPsec: ipsec, PPP: name})
		if on.V {
			r.ppp(e, name, forced)
		}
	}
	if e := r.one("vpn pptp"); e != nil {
		on := of(r, e, "status", "disable", setting.Switch)
		r.host.Services = append(r.host.Services, posture.Service{Subject: r.subject("service", "pptp", e.at), Protocol: "pptp", Enabled: on})
		if on.V {
			r.ppp(e, "pptp", setting.As(on, false))
		}
	}
}

// ppp is what a caller must prove. Which methods are taken is not in the
// configuration: it follows from where the group's members are kept.
func (r *reader) ppp(e *entry, name string, forced posture.Value[bool]) {
	p := posture.PPP{Subject: r.subject("ppp", name, e.at), Product: product, Server: posture.Written(true, e.at, e.path), IPsecForced: forced}
	group, ok := e.set["usrgrp"]
	p.AuthNeeded = setting.Of(r.defaults, true, e.at, false)
	if ok {
		p.AuthNeeded = posture.Written(true, group.at, group.text())
	}
	p.Accounting = r.events()
	if name == "l2tp" {
		p.Echo = of(r, e, "lcp-echo-interval", "5", setting.Seconds)
	}
	r.host.PPP = append(r.host.PPP, p)
}

// users are local accounts with a password of their own.
func (r *reader) users() {
	for _, e := range r.all("user local") {
		if e.word("status", "enable") == "disable" {
			continue
		}
		r.secret(e, "passwd", posture.Secret{Kind: posture.UserPassword, IDs: []string{e.name}})
	}
}

// asksMessageAuth are the versions that began to ask for a
// Message-Authenticator, by branch, after CVE-2024-3596.
var asksMessageAuth = map[string]string{"7.2": "7.2.10", "7.4": "7.4.5", "7.6": "7.6.1"}

// radius are the servers that are asked; each may have three addresses.
func (r *reader) radius() {
	accounts := map[owner]*entry{}
	for _, a := range r.all("user radius accounting-server") {
		if a.word("status", "") == "enable" {
			accounts[owner{vdom: a.vdom, name: a.in}] = a
		}
	}
	for _, e := range r.all("user radius") {
		if e.name == "" {
			continue
		}
		s := posture.RADIUS{Subject: r.subject("radius", e.title(), e.at), Product: product, Server: posture.Written(false, e.at, e.path)}
		if v, ok := e.set["server"]; ok {
			s.Address = posture.Written(v.text(), v.at, v.text())
		}
		s.MessageAuth = r.messageAuth(e)
		transport := of(r, e, "transport-protocol", "udp", word1)
		s.TLS = setting.As(transport, transport.V == "tls")
		s.Accounting = setting.Of(r.defaults, false, e.at, true)
		if a := accounts[owner{vdom: e.vdom, name: e.name}]; a != nil {
			s.Accounting = posture.Written(true, a.at, "accounting-server")
		}
		r.host.RADIUS = append(r.host.RADIUS, s)
		for _, key := range []string{"secret", "secondary-secret", "tertiary-secret"} {
			r.secret(e, key, posture.Secret{Kind: posture.RADIUSSecret, IDs: []string{s.Address.V}})
		}
	}
}

func (r *reader) messageAuth(e *entry) posture.Value[posture.Demand] {
	asks := !r.defaults.Before("8.0")
	for branch, since := range asksMessageAuth {
		if strings.HasPrefix(r.defaults.Version.V+".", branch+".") {
			asks = !r.defaults.Before(since)
		}
	}
	byDefault := "disable"
	if asks {
		byDefault = "enable"
	}
	on := of(r, e, "require-message-authenticator", byDefault, setting.Switch)
	d := setting.As(on, posture.Never)
	if on.V {
		d.V = posture.Always
	}
	return d
}

// firewall is what is known of packets to the device and through tunnels. IKE
// is answered on every interface that a phase 1 names, unless a local-in policy
// says otherwise.
func (r *reader) firewall() {
	policies, local := r.all("firewall policy"), r.all("firewall local-in-policy")
	if len(policies) == 0 && len(local) == 0 && len(r.host.Connections) == 0 {
		return
	}
	f := posture.Firewall{Subject: r.subject("firewall", "firewall", r.file)}
	if len(policies) > 0 {
		f.At = policies[0].at
		f.ForwardDrop = setting.Of(r.defaults, true, policies[0].at, true) // the policy that is always last denies
		f.MSSClamp = setting.Of(r.defaults, false, policies[0].at, false)
	}
	if !slices.ContainsFunc(local, denies) && len(r.host.Connections) > 0 {
		yes := setting.Of(r.defaults, true, r.host.Connections[0].At, false)
		f.IKEOpen, f.IKEReachable, f.NATTReachable = yes, yes, yes
	}
	f.L2TPOpen = r.l2tpOpen()
	f.L2TPNeedsIPsec = setting.As(f.L2TPOpen, !f.L2TPOpen.V)
	for _, e := range append(policies, r.all("system interface")...) {
		for _, key := range []string{"tcp-mss-sender", "tcp-mss-receiver", "tcp-mss"} {
			if v, ok := e.set[key]; ok && v.text() != "0" {
				f.MSSClamp = posture.Written(true, v.at, key+" "+v.text())
			}
		}
	}
	r.host.Firewalls = append(r.host.Firewalls, f)
}

// denies tells whether a local-in policy may keep IKE out. What no such policy
// denies, the device takes; one without an action denies.
func denies(e *entry) bool {
	return e.word("status", "enable") == "enable" && e.word("action", "deny") != "accept"
}

// l2tpOpen tells whether calls are taken outside IPsec: the service opens its
// own port.
func (r *reader) l2tpOpen() posture.Value[bool] {
	for i := range r.host.L2TP {
		switch l := &r.host.L2TP[i]; {
		case l.Dialect != posture.FortiOS:
		case l.Enabled.V:
			return setting.As(l.IPsec, l.IPsec.V != posture.Always)
		default:
			return setting.As(l.Enabled, false)
		}
	}
	return setting.Of(r.defaults, false, r.file, true)
}

// logging is where records go: to syslog, or to a FortiAnalyzer.
func (r *reader) logging() {
	if !r.headed && r.one("log syslogd setting") == nil && r.one("system global") == nil {
		return
	}
	l := posture.Logging{Subject: r.subject("logging", "log", r.file)}
	l.OffHost = setting.Of(r.defaults, false, r.file, true)
	l.Auth = setting.Of(r.defaults, true, r.file, false)
	for _, e := range r.entries {
		v, on := e.set["status"]
		if !on || v.text() != "enable" {
			continue
		}
		switch {
		case strings.HasPrefix(e.path, "log syslogd"):
			l.OffHost = posture.Written(true, v.at, e.path)
			mode := of(r, e, "enc-algorithm", "disable", word1)
			l.Protected = setting.As(mode, mode.V != "disable" && e.word("mode", "udp") == "reliable")
		case strings.HasPrefix(e.path, "log fortianalyzer"):
			l.OffHost = posture.Written(true, v.at, e.path)
			enc := of(r, e, "enc-algorithm", "high", word1)
			if !l.Protected.Known() {
				l.Protected = setting.As(enc, enc.V != "disable")
			}
		}
	}
	l.TimeSync = setting.Of(r.defaults, true, r.file, false)
	if e := r.one("system ntp"); e != nil {
		l.TimeSync = of(r, e, "ntpsync", "disable", setting.Switch)
	}
	if e := r.one("log disk setting"); e != nil {
		if v, ok := e.set["maximum-log-age"]; ok {
			if n, ok := setting.Number(v.text()); ok && n >= 0 && n < 36_500 {
				l.Retention = posture.Written(time.Duration(n)*24*time.Hour, v.at, v.text())
			}
		}
	}
	r.host.Logs = append(r.host.Logs, l)
}

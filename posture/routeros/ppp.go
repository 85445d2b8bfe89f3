package routeros

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// servers are the services that answer calls with PPP.
func (r *reader) servers() {
	r.l2tp()
	for _, protocol := range []string{"pptp", "sstp", "ovpn"} {
		e := r.table.one("interface "+protocol+"-server server", r.file)
		enabled := read(r, e, "enabled", setting.Switch)
		if protocol == "ovpn" && !posture.Is(enabled, true) {
			enabled = r.listed(e, enabled)
		}
		if len(e.props) == 0 && !r.whole() {
			continue
		}
		name := protocol + "-server"
		service := protocol
		if protocol == "ovpn" {
			service = "openvpn"
		}
		s := posture.Service{Subject: r.subject("service", name, e.at), Protocol: service, Enabled: enabled}
		if protocol != "ovpn" {
			s.Methods = read(r, e, "authentication", methods)
		}
		r.host.Services = append(r.host.Services, s)
		if enabled.V && protocol != "ovpn" {
			r.pppServer(e, name, setting.As(enabled, protocol == "sstp")) // SSTP is inside TLS
		}
	}
}

// listed is whether one of several servers is on: since 7.17 those of OpenVPN are
// entries of a list.
func (r *reader) listed(first *entry, enabled posture.Value[bool]) posture.Value[bool] {
	for _, e := range r.table.on(first.menu) {
		if e.name != "" {
			return posture.Written(true, e.at, e.name)
		}
	}
	return enabled
}

// l2tpServer is the name of the server, of which there is one.
const l2tpServer = "l2tp-server"

// l2tp is a listener, a connection of IPsec and a set of options of PPP.
func (r *reader) l2tp() {
	e := r.table.one("interface l2tp-server server", r.file)
	if len(e.props) == 0 && !r.whole() {
		return
	}
	const name = l2tpServer
	enabled := read(r, e, "enabled", setting.Switch)
	ipsec := read(r, e, "use-ipsec", useIPsec)
	r.host.L2TP = append(r.host.L2TP, posture.L2TP{
		Subject: r.subject("l2tp", name, e.at), Product: product, Enabled: enabled, Server: setting.As(enabled, true), IPsec: ipsec, PPP: name,
	})
	if !enabled.V {
		return
	}
	if ipsec.V != posture.Never {
		r.l2tpConnection(e, name, posture.Answers, "")
	}
	r.pppServer(e, name, setting.As(ipsec, ipsec.V == posture.Always))
}

// useIPsec: "yes" takes clear calls, too.
func useIPsec(word string) (posture.Demand, bool) {
	switch word {
	case "no":
		return posture.Never, true
	case "yes":
		return posture.Optional, true
	case "required":
		return posture.Always, true
	}
	return posture.Never, false
}

// pppServer is what a server's PPP asks for. RouterOS has no server that lets
// anybody in without a name.
func (r *reader) pppServer(e *entry, name string, forced posture.Value[bool]) {
	p := posture.PPP{Subject: r.subject("ppp", name, e.at), Product: product, IPsecForced: forced}
	p.Methods = read(r, e, "authentication", methods)
	p.Server, p.AuthNeeded, p.Required = setting.As(p.Methods, true), setting.As(p.Methods, true), setting.As(p.Methods, true)
	r.link(&p, e, read(r, e, "default-profile", word1))
	p.ProxyARP = r.proxyARP()
	aaa := r.table.one("ppp aaa", r.file)
	use, accounting := read(r, aaa, "use-radius", setting.Switch), read(r, aaa, "accounting", setting.Switch)
	p.Accounting = setting.As(use, use.V && accounting.V)
	r.host.PPP = append(r.host.PPP, p)
}

// proxyARP tells whether an interface answers for the clients' addresses.
func (r *reader) proxyARP() posture.Value[bool] {
	for _, menu := range []string{"interface bridge", "interface ethernet", "interface vlan"} {
		for _, e := range r.table.on(menu) {
			if arp := e.props["arp"]; arp.value == "proxy-arp" {
				return posture.Written(true, arp.at, "arp=proxy-arp")
			}
		}
	}
	return setting.Of(r.defaults, false, r.file, true)
}

// methods reads a list of methods; an unknown one spoils it.
func methods(text string) ([]posture.PPPMethod, bool) {
	var all []posture.PPPMethod
	words, _ := setting.Commas(text)
	for _, w := range words {
		m, ok := pppMethods[w]
		if !ok {
			return nil, false
		}
		all = append(all, m)
	}
	return all, true
}

// link is what servers and clients have in common, with the profile's part.
func (r *reader) link(p *posture.PPP, e *entry, profile posture.Value[string]) {
	p.MTU, p.MRU = read(r, e, "max-mtu", setting.Number), read(r, e, "max-mru", setting.Number)
	p.Echo = read(r, e, "keepalive-timeout", func(s string) (time.Duration, bool) {
		if s == "disabled" {
			return 0, true
		}
		return duration(s)
	})
	f := r.table.named("ppp profile", profile.V)
	if f == nil {
		r.in.Note(posture.Unparsed, profile.At, "the profile of PPP is not in this file")
		return
	}
	p.MPPE = r.inherit(f, "use-encryption", map[string]posture.MPPE{"no": posture.NoMPPE, "yes": posture.AnyMPPE, "required": posture.MPPE128})
	p.MSSClamp = setting.As(r.tcpMSS(f), r.tcpMSS(f).V == "yes")
	if dns, ok := f.props["dns-server"]; ok {
		words, _ := setting.Commas(dns.value)
		p.DNS = posture.Written(words, dns.at, dns.value)
	} else {
		p.DNS = setting.Of(r.defaults, []string(nil), f.at, true)
	}
	p.IPv6 = r.ipv6(f)
}

// inherit reads a setting of a profile that may be "default", which is that of
// the profile named default.
func (r *reader) inherit(f *entry, key string, table map[string]posture.MPPE) posture.Value[posture.MPPE] {
	v := read(r, f, key, word1)
	if f.builtin == "*FFFFFFFE" && v.Origin != posture.Explicit {
		v.V = "yes" // default-encryption is there for that
	}
	if v.V == "default" && f.name != "default" {
		if d := r.table.named("ppp profile", "default"); d != nil {
			v = read(r, d, key, word1)
		}
	}
	if v.V == "default" {
		v.V = "no"
	}
	m, ok := table[v.V]
	if !ok {
		r.in.Note(posture.Unparsed, v.At, "ppp profile: the value of %s is not understood", key)
		return posture.Value[posture.MPPE]{}
	}
	return setting.As(v, m)
}

// tcpMSS is whether a profile clamps the segment size. The two that are always
// there do.
func (r *reader) tcpMSS(f *entry) posture.Value[string] {
	v := read(r, f, "change-tcp-mss", word1)
	if v.V != "default" {
		return v
	}
	if d := r.table.named("ppp profile", "default"); d != nil && d != f && f.builtin == "" {
		return r.tcpMSS(d)
	}
	return setting.As(v, "yes")
}

// ipv6 tells whether clients get addresses of IPv6.
func (r *reader) ipv6(f *entry) posture.Value[bool] {
	use := read(r, f, "use-ipv6", word1)
	if use.V == "no" {
		return setting.As(use, false)
	}
	for _, key := range []string{"remote-ipv6-prefix-pool", "dhcpv6-pd-pool"} {
		if p, ok := f.props[key]; ok && p.value != "" && p.value != "none" {
			return posture.Written(true, p.at, p.key+"="+p.value)
		}
	}
	return setting.Of(r.defaults, false, f.at, true)
}

// clients are the L2TP clients.
func (r *reader) clients() {
	for _, e := range r.table.all("interface l2tp-client") {
		name := e.owner()
		if e.off() {
			continue
		}
		use := read(r, e, "use-ipsec", setting.Switch)
		demand := posture.Never
		if use.V {
			demand = posture.Always
			r.l2tpConnection(e, name, posture.Initiates, e.text("connect-to"))
		}
		r.host.L2TP = append(r.host.L2TP, posture.L2TP{
			Subject: r.subject("l2tp", name, e.at), Product: product, Enabled: setting.As(use, true), Server: setting.As(use, false),
			IPsec: setting.As(use, demand), PPP: name,
		})
		r.pppClient(e, name, setting.As(use, use.V))
		r.secret(e, "password", posture.UserPassword, name, []string{e.text("user")}, posture.Value[bool]{})
	}
}

func (r *reader) pppClient(e *entry, name string, forced posture.Value[bool]) {
	p := posture.PPP{Subject: r.subject("ppp", name, e.at), Product: product, IPsecForced: forced}
	allow := read(r, e, "allow", methods)
	p.Server, p.AuthNeeded = setting.As(allow, false), setting.As(allow, false)
	refused := []posture.PPPMethod{posture.EAPAny} // it has none
	for _, m := range []posture.PPPMethod{posture.PAP, posture.CHAPMD5, posture.MSCHAPv1, posture.MSCHAPv2} {
		if !slices.Contains(allow.V, m) {
			refused = append(refused, m)
		}
	}
	p.Refused = setting.As(allow, refused)
	r.link(&p, e, read(r, e, "profile", word1))
	route := read(r, e, "add-default-route", setting.Switch)
	p.Split = setting.As(route, !route.V)
	r.host.PPP = append(r.host.PPP, p)
}

// users are the accounts of PPP, and those of XAUTH, which RouterOS 6 has a menu for.
func (r *reader) users() {
	for _, e := range r.table.on("ip ipsec user") {
		before := len(r.host.Secrets)
		r.secret(e, "password", posture.UserPassword, e.name, []string{e.name}, posture.Value[bool]{})
		r.stand(before, "ip ipsec user")
	}
	for _, e := range r.table.on("ppp secret") {
		r.secret(e, "password", posture.UserPassword, e.name, []string{e.name}, posture.Value[bool]{})
		if n := len(r.host.Secrets); n > 0 && e.text("remote-address") != "" && r.host.Secrets[n-1].Name == e.name {
			r.host.Secrets[n-1].Hosts = []string{e.text("remote-address")}
		}
	}
}

// radius are the servers that are asked for PPP and IPsec. RouterOS 7.15 began
// to ask for a Message-Authenticator, after CVE-2024-3596.
func (r *reader) radius() {
	aaa := r.table.one("ppp aaa", r.file)
	for _, e := range r.table.on("radius") {
		name := e.owner()
		p := e.props["address"]
		s := posture.RADIUS{Subject: r.subject("radius", name, e.at), Product: product, Address: posture.Written(p.value, p.at, p.value)}
		s.Server = posture.Written(false, e.at, "radius")
		s.MessageAuth = r.messageAuth(e)
		s.TLS = setting.Of(r.defaults, false, e.at, true)
		if t, ok := e.props["protocol"]; ok {
			s.TLS = posture.Written(t.value == "radsec", t.at, t.value)
		}
		s.Accounting = read(r, aaa, "accounting", setting.Switch)
		s.WildcardPeers = setting.Of(r.defaults, false, e.at, true)
		r.host.RADIUS = append(r.host.RADIUS, s)
		r.secret(e, "secret", posture.RADIUSSecret, name, []string{p.value}, posture.Value[bool]{})
	}
}

func (r *reader) messageAuth(e *entry) posture.Value[posture.Demand] {
	if m, ok := e.props["require-message-auth"]; ok {
		if strings.HasPrefix(m.value, "yes") {
			return posture.Written(posture.Always, m.at, m.value)
		}
		return posture.Written(posture.Never, m.at, m.value)
	}
	if r.defaults.Before("7.15") {
		return setting.Of(r.defaults, posture.Never, e.at, true)
	}
	return setting.Of(r.defaults, posture.Always, e.at, true)
}

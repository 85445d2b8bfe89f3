package vyos

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// l2tpName is the connection that VyOS makes for L2TP.
const l2tpName = "l2tp_remote_access"

// l2tp reads "vpn l2tp remote-access": accel-ppp, and with ipsec-settings a
// connection of strongSwan before it.
func (r *reader) l2tp() {
	n := r.root.get("vpn", "l2tp", "remote-access")
	if n == nil {
		return
	}
	r.check(n, "remote-access")
	r.check(n.get("ipsec-settings"), "ipsec-settings")
	l := posture.L2TP{Subject: r.subject("l2tp", "l2tp", n.at), Product: product, PPP: "l2tp"}
	l.Enabled = posture.Written(true, n.at, "vpn l2tp remote-access")
	l.Server = l.Enabled
	l.IPsec = byDefault(r, posture.Never, n.at, "no ipsec-settings")
	if s := n.get("ipsec-settings"); s != nil {
		l.IPsec = posture.Guess(posture.Optional, s.at, "the server takes calls with and without IPsec; only a rule with ipsec match-ipsec keeps it from that")
		r.connect(r.l2tpConnection(n, s))
	}
	l.Listen = all(n.get("outside-address"))
	if !l.Listen.Known() {
		l.Listen = byDefault(r, []string{"0.0.0.0"}, n.at, "no outside-address")
	}
	l.Challenge = byDefault(r, false, n.at, "no lns shared-secret: tunnels are not authenticated")
	if s := n.leaf("lns", "shared-secret"); s != nil {
		l.Challenge = posture.Written(true, s.at, "")
	}
	l.HiddenAVPs = byDefault(r, false, n.at, "default of accel-ppp")
	r.in.Host.L2TP = append(r.in.Host.L2TP, l)
	r.secret(posture.TunnelSecret, "l2tp", n.leaf("lns", "shared-secret"), posture.Secret{Anybody: posture.Written(true, n.where("lns"), "")})
	r.accel("l2tp", n)
}

// What VyOS gives to strongSwan where ipsec-settings name no groups
// (vpn_ipsec.py, l2tp_ike_default and l2tp_esp_default).
var (
	l2tpIKE = []string{"aes256-sha1-modp1024", "3des-sha1-modp1024"}
	l2tpESP = []string{"aes256-sha1", "3des-sha1"}
)

func (r *reader) l2tpConnection(n, s *node) posture.Connection {
	c := posture.Connection{Subject: r.subject("connection", l2tpName, s.at), Product: product}
	ipsec := r.root.get("vpn", "ipsec")
	ike, esp := ipsec.get("ike-group", s.value("ike-group")), ipsec.get("esp-group", s.value("esp-group"))
	r.ike(&c, nil, s.at)
	if r.before("1.3") {
		c.V1, c.V2 = posture.ByDefault(true, s.at, "VyOS before 1.3 has IKEv1 for L2TP"), posture.ByDefault(false, s.at, "VyOS before 1.3 has IKEv1 for L2TP")
	} else {
		c.V1 = byDefault(r, true, s.at, "VyOS sets no version for L2TP: both")
		c.V2 = byDefault(r, true, s.at, "VyOS sets no version for L2TP: both")
	}
	if ike != nil {
		c.Phase1 = source.Quote(ike.name)
		c.IKE, c.IKEImplicit = r.ikeProposals(ike, s.at)
		c.IKELife = r.seconds(ike, 8*time.Hour, "default of VyOS: 28800 s", "lifetime")
	} else {
		c.IKE, c.IKEImplicit = r.l2tpDefault(suite.ProtocolIKE, s.at, l2tpIKE), r.notImplicit(s.at)
		c.IKELife = r.seconds(s, time.Hour, "default of VyOS for L2TP: 3600 s", "ike-lifetime")
	}
	c.DPD = byDefault(r, 15*time.Second, s.at, "VyOS sets dpd_delay=15s for L2TP")
	c.Reauth = byDefault(r, time.Duration(0), s.at, "VyOS sets reauth_time=0 for L2TP")
	c.Role = byDefault(r, posture.Answers, s.at, "L2TP clients")
	c.Address = byDefault(r, []string{"%any"}, s.at, "L2TP clients")
	c.AnyPeer = byDefault(r, true, s.at, "L2TP clients")
	r.l2tpAuth(&c, n, s)
	c.Children = []posture.Child{r.l2tpChild(s, ike, esp)}
	return c
}

func (r *reader) l2tpDefault(p suite.Protocol, at posture.Pos, texts []string) posture.Value[[]posture.Proposal] {
	var found []posture.Proposal
	for _, text := range texts {
		found = append(found, proposal.StrongSwan(p, text, at))
	}
	return byDefault(r, found, at, "default of VyOS for L2TP: "+strings.Join(texts, ","))
}

func (r *reader) l2tpAuth(c *posture.Connection, n, s *node) {
	a := s.get("authentication")
	r.check(a, "ipsec-settings authentication")
	mode := a.leaf("mode")
	if mode == nil {
		return
	}
	method := cmp.Or(peerMethods[mode.name], posture.MethodPubkey)
	local := posture.Auth{Method: written(method, mode), CertFile: cmp.Or(a.value("x509", "certificate"), a.value("x509", "server-cert-file"))}
	remote := posture.Auth{Method: written(method, mode), ID: byDefault(r, "%any", a.at, "any client")}
	if method == posture.MethodPubkey {
		remote.CA = r.authority(a.get("x509"))
	}
	c.Local, c.Remote = []posture.Auth{local}, []posture.Auth{remote}
	secret := posture.Secret{Anybody: posture.Written(true, a.at, "")}
	if out := n.value("outside-address"); out != "" {
		secret.IDs = []string{out}
	}
	r.secret(posture.PSK, l2tpName, a.leaf("pre-shared-secret"), secret)
	r.secret(posture.KeyPassword, l2tpName, a.leaf("x509", "passphrase"), posture.Secret{})
}

func (r *reader) l2tpChild(s, ike, esp *node) posture.Child {
	c := r.child(l2tpName, esp, ike, s.at)
	if esp == nil {
		c.ESP, c.ESPImplicit = r.l2tpDefault(suite.ProtocolESP, s.at, l2tpESP), r.notImplicit(s.at)
		c.PFS = byDefault(r, posture.Never, s.at, "no group in VyOS's default for L2TP")
		c.Life = r.seconds(s, time.Hour, "default of VyOS for L2TP: 3600 s", "lifetime")
	}
	c.Transport = byDefault(r, true, s.at, "L2TP is in transport mode")
	c.LocalTS = byDefault(r, []string{"dynamic[/1701]"}, s.at, "L2TP")
	c.L2TP = true
	return c
}

// accel is the PPP of accel-ppp, for L2TP, PPTP and SSTP alike.
func (r *reader) accel(name string, n *node) {
	a := n.get("authentication")
	r.check(a, "accel authentication")
	p := posture.PPP{Subject: r.subject("ppp", name, n.at), Product: product}
	p.Server = byDefault(r, true, n.at, "is a server")
	p.Methods, p.AuthNeeded = r.pppMethods(a, n.at)
	p.Required = p.AuthNeeded
	switch name { // of L2TP the firewall tells
	case "sstp":
		p.IPsecForced = byDefault(r, true, n.at, "SSTP is inside TLS")
	case "pptp":
		p.IPsecForced = byDefault(r, false, n.at, "PPTP has no IPsec")
	}
	p.MPPE = r.mppe(n)
	p.MTU = r.mtu(name, n)
	p.MRU = p.MTU
	p.DNS = all(n.get("name-server"))
	if old := n.get("dns-servers"); old != nil && !p.DNS.Known() {
		servers := append(old.values("server-1"), old.values("server-2")...)
		p.DNS = posture.Written(servers, old.at, strings.Join(servers, ", "))
	}
	if !p.DNS.Known() {
		p.DNS = byDefault(r, []string(nil), n.at, "no name-server")
	}
	p.IPv6 = byDefault(r, n.has("client-ipv6-pool"), n.at, "default of VyOS: deny without a pool")
	if v := n.leaf("ppp-options", "ipv6"); v != nil {
		p.IPv6 = written(v.name != "deny" || n.has("client-ipv6-pool"), v)
	}
	p.Echo = r.seconds(n, 30*time.Second, "default of VyOS", "ppp-options", "lcp-echo-interval")
	p.ProxyARP = byDefault(r, false, n.at, "default of accel-ppp")
	if name == "l2tp" && r.before("1.2") {
		r.vyattaPPP(&p, a)
	}
	p.Accounting = posture.Written(a.value("mode") == "radius" && !a.has("radius", "disable-accounting"), n.where("authentication", "mode"), a.value("mode"))
	r.in.Host.PPP = append(r.in.Host.PPP, p)
	r.users(a)
	path := "vpn " + name + " authentication radius"
	if name != "sstp" {
		path = "vpn " + name + " remote-access authentication radius"
	}
	r.radiusServers(path+" server", a.get("radius"), true)
	r.radiusServers(path+"-server", &node{name: "radius", at: n.at, children: renamed(a.get("radius-server"))}, true)
}

// vyattaPPP: before 1.2 it was xl2tpd and pppd, with "auth" and without CCP. What
// pppd takes then is what it has secrets for: those of local users are of CHAP, and
// RADIUS takes PAP, too (get_ppp_opts and get_chap_secrets in L2TPConfig.pm).
func (r *reader) vyattaPPP(p *posture.PPP, a *node) {
	if a.get("require") == nil {
		methods, words := []posture.PPPMethod{posture.CHAPMD5, posture.MSCHAPv1, posture.MSCHAPv2}, "chap mschap mschap-v2"
		if a.value("mode") == "radius" {
			methods, words = append([]posture.PPPMethod{posture.PAP}, methods...), "pap "+words
		}
		p.Methods = byDefault(r, methods, p.Methods.At, "default of Vyatta, without require: "+words)
	}
	p.MPPE = byDefault(r, posture.NoMPPE, p.At, "Vyatta writes noccp")
	p.ProxyARP = byDefault(r, true, p.At, "Vyatta writes proxyarp")
	if p.MTU.Origin != posture.Explicit {
		p.MTU, p.MRU = posture.Value[int]{}, posture.Value[int]{} // pppd's, which follows from the lower layer
	}
}

// renamed makes "radius-server X" of VyOS 1.1 the later "radius server X".
func renamed(old *node) []*node {
	if old == nil {
		return nil
	}
	return []*node{{name: "server", at: old.at, children: old.children}}
}

var pppMethods = map[string]posture.PPPMethod{
	"pap": posture.PAP, "chap": posture.CHAPMD5, "mschap": posture.MSCHAPv1, "mschap-v2": posture.MSCHAPv2,
}

// pppMethods: all four where none is named.
func (r *reader) pppMethods(a *node, at posture.Pos) (posture.Value[[]posture.PPPMethod], posture.Value[bool]) {
	needed := byDefault(r, true, at, "accel-ppp asks every caller")
	if m := a.leaf("mode"); m != nil && m.name == "noauth" {
		needed = written(false, m)
	}
	from := a.first("protocols", "require")
	if from == nil || len(from.children) == 0 {
		return byDefault(r, []posture.PPPMethod{posture.PAP, posture.CHAPMD5, posture.MSCHAPv1, posture.MSCHAPv2}, at,
			"default of VyOS: pap chap mschap mschap-v2"), needed
	}
	var methods []posture.PPPMethod
	for _, c := range from.children {
		m, ok := pppMethods[c.name]
		if !ok {
			r.in.Note(posture.Unparsed, c.at, "protocol %q is not known", c.name)
			continue
		}
		methods = append(methods, m)
	}
	return posture.Written(methods, from.at, strings.Join(from.values(), ", ")), needed
}

// mppe: "prefer" goes on without it, so nothing is asked for.
func (r *reader) mppe(n *node) posture.Value[posture.MPPE] {
	e := n.leaf("ppp-options", "mppe")
	if e == nil {
		e = n.leaf("authentication", "mppe")
	}
	switch {
	case e == nil:
		return byDefault(r, posture.NoMPPE, n.at, "default of VyOS: prefer, which goes on without")
	case e.name == "require":
		return written(posture.MPPE128, e) // accel-ppp has no weaker one
	}
	return written(posture.NoMPPE, e)
}

func (r *reader) mtu(name string, n *node) posture.Value[int] {
	if e := n.leaf("mtu"); e != nil {
		if v, err := strconv.Atoi(e.name); err == nil {
			return written(v, e)
		}
	}
	if name == "sstp" {
		return byDefault(r, 1500, n.at, "default of VyOS")
	}
	return byDefault(r, 1436, n.at, "default of VyOS")
}

// users are local accounts.
func (r *reader) users(a *node) {
	for _, u := range a.nodes("local-users", "username") {
		if u.has("disable") {
			continue
		}
		s := posture.Secret{IDs: []string{u.name}, Anybody: posture.Written(false, u.at, "")}
		if ip := u.value("static-ip"); ip != "" && ip != "*" {
			s.Hosts = []string{ip}
		}
		r.secret(posture.UserPassword, u.name, u.leaf("password"), s)
	}
}

// radiusServers is the client's side of RADIUS. Each is called by its path, as
// several services may have the same server with secrets of their own.
func (r *reader) radiusServers(of string, radius *node, accounting bool) {
	for _, s := range radius.nodes("server") {
		if s.has("disable") {
			continue
		}
		name := of + " " + s.name
		acct := accounting && !radius.has("disable-accounting") && !s.has("disable-accounting")
		r.in.Host.RADIUS = append(r.in.Host.RADIUS, posture.RADIUS{
			Subject: r.subject("radius", name, s.at), Product: product, Server: posture.Written(false, s.at, ""),
			Address: posture.Written(s.name, s.at, s.name), TLS: byDefault(r, false, s.at, "has no setting for it"),
			Accounting: posture.Written(acct, s.at, ""),
		})
		r.secret(posture.RADIUSSecret, name, s.first("key", "secret").leaf(), posture.Secret{IDs: []string{s.name}, Anybody: posture.Written(false, s.at, "")})
	}
}

// services are the other VPNs.
func (r *reader) services() {
	vpn := r.root.get("vpn")
	if n := vpn.get("pptp", "remote-access"); n != nil {
		r.service("pptp", n)
		r.accel("pptp", n)
	}
	if n := vpn.get("sstp"); n != nil {
		r.service("sstp", n)
		r.accel("sstp", n)
		r.in.Host.Services[len(r.in.Host.Services)-1].Methods = r.in.Host.PPP[len(r.in.Host.PPP)-1].Methods
	}
	if n := vpn.get("openconnect"); n != nil {
		r.service("openconnect", n)
		r.users(n.get("authentication"))
		r.radiusServers("vpn openconnect authentication radius server", n.get("authentication", "radius"), n.has("accounting"))
	}
	for _, n := range r.root.nodes("interfaces", "openvpn") {
		if n.value("mode") == "server" {
			r.in.Host.Services = append(r.in.Host.Services, posture.Service{
				Subject: r.subject("service", n.name, n.at), Protocol: "openvpn", Enabled: posture.Written(!n.has("disable"), n.at, n.name),
			})
		}
	}
	r.radiusServers("system login radius server", r.root.get("system", "login", "radius"), false)
	r.radiusServers("system login radius-server", &node{name: "radius", children: renamed(r.root.get("system", "login", "radius-server"))}, false)
}

func (r *reader) service(protocol string, n *node) {
	r.in.Host.Services = append(r.in.Host.Services, posture.Service{
		Subject: r.subject("service", protocol, n.at), Protocol: protocol, Enabled: posture.Written(true, n.at, "vpn "+protocol),
	})
}

// wireGuard reads its interfaces.
func (r *reader) wireGuard() {
	for _, n := range r.root.nodes("interfaces", "wireguard") {
		if n.has("disable") {
			continue
		}
		t := posture.Tunnel{Subject: r.subject("tunnel", n.name, n.at)}
		key := n.leaf("private-key")
		// Before 1.3 the name of a key in /config/auth stood here.
		t.PrivateKeyInFile = posture.Written(key != nil && len(key.name) == 44, n.where("private-key"), "")
		if e := n.leaf("mtu"); e != nil {
			if v, err := strconv.Atoi(e.name); err == nil {
				t.MTU = written(v, e)
			}
		}
		for _, p := range n.nodes("peer") {
			if !p.has("disable") {
				t.Peers = append(t.Peers, r.tunnelPeer(p))
			}
		}
		r.in.Host.Tunnels = append(r.in.Host.Tunnels, t)
	}
}

func (r *reader) tunnelPeer(n *node) posture.TunnelPeer {
	p := posture.TunnelPeer{Subject: r.subject("peer", n.name, n.at), PublicKey: n.first("public-key", "pubkey").value()}
	p.PSK = posture.Written(n.has("preshared-key"), n.where("preshared-key"), "")
	r.secret(posture.PPKSecret, p.PublicKey, n.leaf("preshared-key"), posture.Secret{IDs: []string{p.PublicKey}, Anybody: posture.Written(false, n.at, "")})
	p.AllowedIPs = all(n.get("allowed-ips"))
	if a := n.leaf("address"); a != nil {
		p.Endpoint = written(a.name+":"+n.value("port"), a)
	} else if e := n.leaf("endpoint"); e != nil {
		p.Endpoint = written(e.name, e)
	}
	p.Keepalive = r.seconds(n, 0, "not set", "persistent-keepalive")
	return p
}

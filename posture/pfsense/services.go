package pfsense

import (
	"cmp"
	"strings"

	"sallyport/posture"
	"sallyport/posture/source"
)

// pppMethods are the values of paporchap; anything else is PAP
// (vpn_l2tp_configure).
var pppMethods = map[string]posture.PPPMethod{"chap": posture.CHAPMD5, "chap-msv2": posture.MSCHAPv2, "chap-msv1": posture.MSCHAPv1}

// l2tp reads the L2TP server, which is mpd.
func (r *reader) l2tp() {
	e := r.root.get("l2tp")
	mode := e.get("mode")
	if mode == nil && e.get("user") == nil {
		return
	}
	r.check(e, "l2tp")
	at := e.where("mode")
	enabled := posture.Written(e.value("mode") == "server", at, e.value("mode"))
	l := posture.L2TP{Subject: r.subject("l2tp", "l2tp", e.at), Product: r.product, Enabled: enabled, PPP: "l2tp"}
	l.Server = posture.Written(true, at, e.value("mode"))
	l.IPsec = byDefault(r, posture.Never, e.at, "the server takes calls with and without IPsec; only rules of the firewall keep it from that")
	if i := e.get("interface"); i != nil {
		l.Listen = posture.Written([]string{i.text}, i.at, i.text)
	}
	l.Challenge = byDefault(r, false, e.at, "no secret: tunnels are not authenticated")
	if s := e.get("secret"); s != nil && s.text != "" {
		l.Challenge = posture.Written(true, s.at, "")
	}
	l.HiddenAVPs = byDefault(r, false, e.at, "has no setting for it")
	r.in.Host.L2TP = append(r.in.Host.L2TP, l)
	if enabled.V {
		r.in.Host.PPP = append(r.in.Host.PPP, r.ppp("l2tp", e))
	}
	r.pppSecrets("l2tp", e)
}

// ppp is what mpd asks of the callers of L2TP or PPTP.
func (r *reader) ppp(name string, e *element) posture.PPP {
	p := posture.PPP{Subject: r.subject("ppp", name, e.at), Product: r.product}
	p.Server = byDefault(r, true, e.at, "is a server")
	p.AuthNeeded = byDefault(r, true, e.at, "mpd asks for the one method that is set")
	p.Required = p.AuthNeeded
	p.Methods = byDefault(r, []posture.PPPMethod{posture.PAP}, e.at, "no paporchap: PAP")
	if name == "pptp" {
		p.Methods = byDefault(r, []posture.PPPMethod{posture.MSCHAPv2}, e.at, "the PPTP server takes MS-CHAPv2")
	}
	if m := e.get("paporchap"); m != nil {
		p.Methods = posture.Written([]posture.PPPMethod{cmp.Or(pppMethods[m.text], posture.PAP)}, m.at, m.text)
	}
	var dns []string
	for _, n := range []string{"dns1", "dns2"} {
		if v := e.value(n); v != "" {
			dns = append(dns, v)
		}
	}
	if len(dns) > 0 {
		p.DNS = posture.Written(dns, e.where("dns1"), strings.Join(dns, ","))
	} else {
		p.DNS = r.resolver(e.at)
	}
	p.ProxyARP = byDefault(r, true, e.at, "mpd has proxy-arp on")
	p.IPv6 = byDefault(r, false, e.at, "the server speaks IPCP alone")
	p.Accounting = posture.Written(e.set("radius", "enable") && e.set("radius", "accounting"), e.where("radius", "accounting"), "")
	return p
}

// resolver is what mpd pushes where no server is set: the firewall itself, if it
// resolves, else what it asks itself.
func (r *reader) resolver(at posture.Pos) posture.Value[[]string] {
	if r.root.set("unbound", "enable") || r.root.set("dnsmasq", "enable") {
		return byDefault(r, []string{cmp.Or(r.root.value("interfaces", "lan", "ipaddr"), "lan")}, at, "pushes the firewall's own resolver")
	}
	var servers []string
	for _, e := range r.root.get("system").all("dnsserver") {
		servers = append(servers, list(e.text)...)
	}
	return byDefault(r, servers, at, "pushes the servers of the system")
}

// pppSecrets are the accounts, the secret of the tunnel and that of RADIUS.
func (r *reader) pppSecrets(name string, e *element) {
	for _, u := range e.all("user") {
		user := source.Quote(u.value("name"))
		s := posture.Secret{IDs: []string{u.value("name")}, Anybody: posture.Written(false, u.at, "")}
		if ip := u.value("ip"); ip != "" {
			s.Hosts = []string{ip}
		}
		r.secret(posture.UserPassword, user, u.get("password"), s)
	}
	r.secret(posture.TunnelSecret, name, e.get("secret"), posture.Secret{Anybody: posture.Written(true, e.where("secret"), "")})
	r.radius(name, e.get("radius"))
}

// radius is the client's side of RADIUS in a server of mpd. PPTP has it in an
// element more.
func (r *reader) radius(name string, e *element) {
	if e == nil || !e.set("enable") && !e.set("server", "enable") {
		return
	}
	address, key := e.get("server"), e.get("secret")
	if ip := e.get("server", "ip"); ip != nil {
		address, key = ip, e.get("server", "secret")
	}
	if address == nil || address.text == "" {
		return
	}
	name = name + " radius " + address.text
	r.in.Host.RADIUS = append(r.in.Host.RADIUS, posture.RADIUS{
		Subject: r.subject("radius", name, e.at), Product: r.product,
		Server: posture.Written(false, e.at, ""), Address: posture.Written(address.text, address.at, address.text),
		TLS:        byDefault(r, false, e.at, "has no setting for it"),
		Accounting: posture.Written(e.set("accounting"), e.where("accounting"), ""),
	})
	r.secret(posture.RADIUSSecret, name, key, posture.Secret{IDs: []string{address.text}, Anybody: posture.Written(false, e.at, "")})
}

// authServers are the RADIUS servers that IPsec and log-ins ask.
func (r *reader) authServers() {
	for _, e := range r.root.get("system").all("authserver") {
		if e.value("type") != "radius" {
			continue
		}
		name, host := source.Quote(e.value("name")), e.get("host")
		s := posture.RADIUS{Subject: r.subject("radius", name, e.at), Product: r.product, Server: posture.Written(false, e.at, "")}
		s.TLS = byDefault(r, false, e.at, "has no setting for it")
		s.Accounting = posture.Written(e.value("radius_acct_port") != "", e.where("radius_acct_port"), e.value("radius_acct_port"))
		if host != nil {
			s.Address = posture.Written(host.text, host.at, host.text)
		}
		r.in.Host.RADIUS = append(r.in.Host.RADIUS, s)
		r.secret(posture.RADIUSSecret, name, e.get("radius_secret"), posture.Secret{IDs: []string{e.value("host")}, Anybody: posture.Written(false, e.at, "")})
	}
}

// services are the other VPNs: PPTP, which pfSense had until 2.3, and OpenVPN.
func (r *reader) services() {
	if e := r.root.get("pptpd"); e.get("mode") != nil {
		r.check(e, "pptpd")
		on := e.value("mode") == "server"
		r.service("pptp", "pptp", e, posture.Written(on, e.where("mode"), e.value("mode")))
		if on {
			r.in.Host.PPP = append(r.in.Host.PPP, r.ppp("pptp", e))
		}
		r.pppSecrets("pptp", e)
	}
	for _, e := range r.root.get("openvpn").all("openvpn-server") {
		r.service("openvpn", source.Quote(cmp.Or(e.value("description"), e.value("vpnid"))), e, posture.Written(!e.set("disable"), e.where("disable"), ""))
	}
	for _, e := range r.root.get("OPNsense", "OpenVPN", "Instances").all("Instance") {
		if e.value("role") == "server" {
			r.service("openvpn", source.Quote(e.value("description")), e, posture.Written(e.on("enabled", true), e.where("enabled"), e.value("enabled")))
		}
	}
}

func (r *reader) service(protocol, name string, e *element, enabled posture.Value[bool]) {
	r.in.Host.Services = append(r.in.Host.Services, posture.Service{Subject: r.subject("service", name, e.at), Protocol: protocol, Enabled: enabled})
}

// wireGuard reads the interfaces: of a package in pfSense, of a model in OPNsense.
func (r *reader) wireGuard() {
	pkg := r.root.get("installedpackages", "wireguard")
	peers := map[string][]*element{}
	for _, p := range pkg.get("peers").all("item") {
		peers[p.value("tun")] = append(peers[p.value("tun")], p)
	}
	for _, e := range pkg.get("tunnels").all("item") {
		t := r.tunnel(e, e.value("name"), "privatekey")
		for _, p := range peers[e.value("name")] {
			if p.value("enabled") != "no" {
				t.Peers = append(t.Peers, r.tunnelPeer(p, "descr", "publickey", "presharedkey", "endpoint", pfSenseNets(p)))
			}
		}
		delete(peers, e.value("name"))
		if e.value("enabled") != "no" {
			r.in.Host.Tunnels = append(r.in.Host.Tunnels, t)
		}
	}
	r.wireGuardModel(r.root.get("OPNsense", "wireguard"))
}

func (r *reader) wireGuardModel(model *element) {
	clients := map[string]*element{}
	for _, p := range model.get("client", "clients").all("client") {
		clients[p.uuid] = p
	}
	for _, e := range model.get("server", "servers").all("server") {
		t := r.tunnel(e, e.value("name"), "privkey")
		for _, id := range list(e.value("peers")) {
			if p := clients[id]; p != nil && p.on("enabled", true) {
				t.Peers = append(t.Peers, r.tunnelPeer(p, "name", "pubkey", "psk", "serveraddress", list(p.value("tunneladdress"))))
			}
			delete(clients, id) // a peer is of one interface
		}
		if e.on("enabled", true) {
			r.in.Host.Tunnels = append(r.in.Host.Tunnels, t)
		}
	}
}

func (r *reader) tunnel(e *element, name, key string) posture.Tunnel {
	return posture.Tunnel{Subject: r.subject("tunnel", source.Quote(name), e.at), PrivateKeyInFile: posture.Written(e.value(key) != "", e.where(key), "")}
}

func (r *reader) tunnelPeer(e *element, name, public, psk, endpoint string, nets []string) posture.TunnelPeer {
	p := posture.TunnelPeer{Subject: r.subject("peer", source.Quote(e.value(name)), e.at), PublicKey: e.value(public)}
	p.PSK = posture.Written(e.value(psk) != "", e.where(psk), "")
	p.AllowedIPs = posture.Written(nets, e.at, strings.Join(nets, ","))
	if a := e.get(endpoint); a != nil && a.text != "" {
		p.Endpoint = posture.Written(a.text, a.at, a.text)
	}
	return p
}

func pfSenseNets(p *element) []string {
	var nets []string
	for _, row := range p.get("allowedips").all("row") {
		nets = append(nets, row.value("address")+"/"+row.value("mask"))
	}
	return nets
}

package windows

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/setting"
	"sallyport/posture/source"
)

// serverName is what the one server of a host is called in reports.
const serverName = "RRAS"

// serverConfiguration reads Get-VpnServerConfiguration: one object, or one for
// each type of tunnel.
func (r *reader) serverConfiguration(o object) {
	r.check(o, serverKnown)
	kind := r.tunnelType(o, "TunnelType")
	p, custom := r.serverPolicy(o)
	if kind.V != "l2tp" {
		r.serverIKEv2(o, p, custom)
	}
	if kind.V == "l2tp" || !kind.Known() {
		r.serverL2TP(o, p, custom && kind.V == "l2tp")
	}
	if n := r.number(o, "SstpPorts"); n.Known() {
		r.service("sstp", serverName, as(n.V > 0, n), n.At)
	}
	if n := r.number(o, "PptpPorts"); n.Known() {
		r.service("pptp", serverName, as(n.V > 0, n), n.At)
	}
}

// serverPolicy: CustomPolicy tells whether the six properties count.
func (r *reader) serverPolicy(o object) (policy, bool) {
	c, ok := o.get("CustomPolicy")
	at := o.where("CustomPolicy")
	switch {
	case ok && c.value.object != nil:
		return r.customPolicy(object{c.value.at, c.value.object})
	case ok && (strings.EqualFold(c.value.text, "false") || c.value.text == "0"):
		return policy{at: at}, false
	}
	if _, has := o.get("EncryptionMethod"); !has {
		return policy{at: at, unread: ok}, false
	}
	return r.customPolicy(o)
}

func (r *reader) serverIKEv2(o object, p policy, custom bool) {
	ports := r.number(o, "Ikev2Ports")
	c := r.base(serverName, o.at, posture.Answers, p, custom, r.level(o, "EncryptionType"))
	c.V1, c.V2 = posture.ByDefault(false, o.at, "IKEv2 alone"), posture.ByDefault(true, o.at, "IKEv2 alone")
	c.Disabled = ports.Known() && ports.V == 0
	if !custom && !p.unread {
		c.IKE = posture.Guess(r.ikeDefaults(p.at).V, p.at, "no custom policy: default of Windows Server")
	}
	r.answers(&c)
	r.serverLife(&c, o)
	c.Fragments = posture.Guess(true, o.at, "default since Windows Server 1803")
	c.MOBIKE = posture.Guess(true, o.at, "default of Windows Server")
	r.serverAuth(&c)
	r.in.Host.Connections = append(r.in.Host.Connections, c)
}

func (r *reader) answers(c *posture.Connection) {
	c.Address = posture.ByDefault([]string{"%any"}, c.At, "clients come from any address")
	c.AnyPeer = posture.ByDefault(true, c.At, "clients come from any address")
}

// serverLife: servers before 2016 have one life for both kinds of SAs. 28,800 s
// and 100 MiB are what a fresh server has in its registry.
func (r *reader) serverLife(c *posture.Connection, o object) {
	child := &c.Children[0]
	c.IKELife = posture.Guess(8*time.Hour, o.at, "default of Windows Server")
	child.Life = posture.Guess(8*time.Hour, o.at, "default of Windows Server")
	child.Bytes = posture.Guess(uint64(102_400<<10), o.at, "default of Windows Server")
	life := r.number(o, "SALifeTimeSeconds", "SALifeTime")
	if life.Known() {
		child.Life = as(seconds(life.V), life)
		c.IKELife = as(seconds(life.V), life)
	}
	if mm := r.number(o, "MMSALifeTimeSeconds", "MMSALifeTime"); mm.Known() {
		c.IKELife = as(seconds(mm.V), mm)
	}
	if size := r.number(o, "SADataSizeForRenegotiationKilobytes", "SADataSizeForRenegotiation"); size.Known() {
		child.Bytes = as(min(size.V, 1<<40)<<10, size)
	}
}

// seconds keeps what a file says from overflowing: 100 years.
func seconds(n uint64) time.Duration { return time.Duration(min(n, 100*365*86400)) * time.Second }

// serverAuth reads Get-VpnAuthProtocol, where it is known: what is taken of
// peers are alternatives.
func (r *reader) serverAuth(c *posture.Connection) {
	if r.auth == nil {
		return
	}
	var ca posture.Value[string]
	if root, ok := r.auth.get("RootCertificateNameToAccept"); ok {
		ca = posture.Written("a root certificate", root.at, "a root certificate")
	} else {
		ca = posture.ByDefault("", r.auth.at, "any root that the computer trusts")
	}
	if p, ok := r.auth.get("UserAuthProtocolAccepted"); ok {
		for _, w := range p.words() {
			r.accepts(c, p.at, w, ca)
		}
	}
	if p, ok := r.auth.get("TunnelAuthProtocolsAdvertised"); ok {
		for _, w := range p.words() {
			if m, known := advertised[strings.ToLower(w)]; known {
				c.Local = append(c.Local, posture.Auth{Method: posture.Written(m, p.at, w)})
				continue
			}
			r.unparsed(p.at, "TunnelAuthProtocolsAdvertised has a value that is not known: %s", setting.Key(w, "is there"))
		}
	}
}

var advertised = map[string]posture.Method{"certificates": posture.MethodPubkey, "certificate": posture.MethodPubkey, "presharedkey": posture.MethodPSK, "psk": posture.MethodPSK}

func (r *reader) accepts(c *posture.Connection, at posture.Pos, word string, ca posture.Value[string]) {
	a := posture.Auth{ID: posture.ByDefault("%any", at, "every client")}
	switch strings.ToLower(word) {
	case "eap":
		a.Method = posture.Written(posture.MethodEAP, at, word)
	case "mschapv2":
		a.Method, a.EAP = posture.Written(posture.MethodEAP, at, word), posture.Written([]string{"mschapv2"}, at, word)
	case "certificate", "certificates":
		a.Method, a.CA = posture.Written(posture.MethodPubkey, at, word), ca
	case "presharedkey", "psk":
		a.Method = posture.Written(posture.MethodPSK, at, word)
		r.elsewhere(serverName, at, true)
	default:
		r.unparsed(at, "UserAuthProtocolAccepted has a value that is not known: %s", setting.Key(word, "is there"))
		return
	}
	c.Remote = append(c.Remote, a)
}

// serverL2TP is the listener, with its IKEv1.
func (r *reader) serverL2TP(o object, p policy, custom bool) {
	ports := r.number(o, "L2tpPorts")
	c := r.base(serverName, o.at, posture.Answers, p, custom, r.level(o, "EncryptionType"))
	c.V1, c.V2 = posture.ByDefault(true, o.at, "L2TP is IKEv1"), posture.ByDefault(false, o.at, "L2TP is IKEv1")
	c.Disabled = ports.Known() && ports.V == 0
	if !custom && !p.unread {
		c.IKE = r.l2tpDefaults(p.at)
	}
	r.answers(&c)
	r.serverLife(&c, o)
	c.Children[0].L2TP = true
	c.Children[0].Transport = posture.ByDefault(true, o.at, "L2TP is in transport mode")
	enabled := as(ports.V > 0, ports)
	r.in.Host.Connections = append(r.in.Host.Connections, c)
	r.in.Host.L2TP = append(r.in.Host.L2TP, posture.L2TP{
		Subject: r.subject("l2tp", serverName, o.at), Product: product, Enabled: enabled,
		Server: posture.ByDefault(true, o.at, "a server"), IPsec: r.insists(o.at),
		Challenge: posture.ByDefault(false, o.at, "Windows has no tunnel authentication"), PPP: serverName,
	})
}

// site reads Get-VpnS2SInterface.
func (r *reader) site(o object) {
	// The names of the table view have their unit in brackets.
	for i, p := range o.properties {
		name, _, _ := strings.Cut(p.name, "(")
		o.properties[i].name = name
	}
	r.check(o, siteKnown)
	name, _ := o.text("Name")
	p, custom := r.serverPolicy(o)
	c := r.base(name, o.at, posture.Answers|posture.Initiates, p, custom, r.level(o, "EncryptionType"))
	if protocol, ok := o.get("Protocol"); ok && !strings.EqualFold(protocol.value.text, "Ikev2") {
		r.otherSite(name, protocol)
		return
	}
	c.V1, c.V2 = posture.ByDefault(false, o.at, "IKEv2 alone"), posture.ByDefault(true, o.at, "IKEv2 alone")
	if !custom && !p.unread {
		c.IKE = posture.Guess(r.ikeDefaults(p.at).V, p.at, "no custom policy: default of Windows Server")
	}
	r.serverLife(&c, o)
	if admin := r.yes(o, "AdminStatus"); admin.Known() {
		c.Disabled = !admin.V
	}
	r.destination(&c, o)
	c.Local, c.Remote = r.siteAuth(o, "AuthenticationMethod"), r.siteAuth(o, "ResponderAuthenticationMethod")
	r.sharedSecret(o, name, slices.Concat(c.Local, c.Remote))
	r.in.Host.Connections = append(r.in.Host.Connections, c)
}

// otherSite is an interface by another protocol: GRE, or PPTP and L2TP of old.
func (r *reader) otherSite(name string, protocol property) {
	r.unparsed(protocol.at, "an interface of %q is not judged", source.Quote(protocol.value.text))
}

func (r *reader) destination(c *posture.Connection, o object) {
	if p, ok := o.get("Destination"); ok {
		c.Address = posture.Written(p.words(), p.at, strings.Join(p.words(), ", "))
		c.AnyPeer = as(false, c.Address)
	}
	var routes []string
	for _, key := range []string{"IPv4Subnet", "IPv6Subnet"} {
		if p, ok := o.get(key); ok {
			for _, w := range p.words() { // with the metric: 10.0.0.0/24:100
				if i := strings.LastIndexByte(w, ':'); i > strings.LastIndexByte(w, '/') {
					w = w[:i]
				}
				routes = append(routes, w)
				c.Children[0].RemoteTS = posture.Written(routes, p.at, strings.Join(routes, ", "))
			}
		}
	}
}

var siteMethods = map[string]posture.Method{"pskonly": posture.MethodPSK, "machinecertificates": posture.MethodPubkey, "machinecertificate": posture.MethodPubkey, "eap": posture.MethodEAP}

func (r *reader) siteAuth(o object, name string) []posture.Auth {
	p, ok := o.get(name)
	if !ok {
		return nil
	}
	m, known := siteMethods[strings.ToLower(p.value.text)]
	if !known {
		r.unparsed(p.at, "%s has a value that is not known: %s", name, setting.Key(p.value.text, "is there"))
		return nil
	}
	return []posture.Auth{{Method: posture.Written(m, p.at, p.value.text)}}
}

// sharedSecret is in the file only if somebody put it there.
func (r *reader) sharedSecret(o object, name string, auth []posture.Auth) {
	if p, ok := o.get("SharedSecret"); ok && p.value.text != "" {
		r.secret(posture.PSK, name, p)
		return
	}
	if i := slices.IndexFunc(auth, func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodPSK) }); i >= 0 {
		r.elsewhere(name, auth[i].Method.At, false)
	}
}

// secret enters one that stands in the file.
func (r *reader) secret(kind posture.SecretKind, name string, p property) {
	if t := r.texts[p.at.File]; t != nil {
		r.in.HoldsSecrets(t)
	}
	r.in.Host.Secrets = append(r.in.Host.Secrets, posture.Secret{
		Subject: r.subject("secret", name, p.at), Kind: kind, Storage: posture.Clear, Value: []byte(p.value.text), IDs: []string{name}, Backup: true,
		Anybody: posture.ByDefault(false, p.at, "a key for one peer"),
	})
}

// radius reads Get-RemoteAccessRadius.
func (r *reader) radius(servers []object) {
	for _, o := range servers {
		r.check(o, radiusKnown)
		name, _ := o.text("ServerName")
		one := posture.RADIUS{Subject: r.subject("radius", name, o.at), Product: product, Server: posture.ByDefault(false, o.at, "Windows is a client"),
			TLS: posture.ByDefault(false, o.at, "Windows has no RADIUS over TLS")}
		if name != "" {
			one.Address = posture.Written(name, o.at, name)
		}
		if p, ok := o.get("MsgAuthenticator"); ok {
			demand := posture.Optional
			if w := strings.ToLower(p.value.text); w == "enabled" || w == "true" {
				demand = posture.Always
			}
			one.MessageAuth = posture.Written(demand, p.at, p.value.text)
		}
		if p, ok := o.get("Purpose"); ok {
			one.Accounting = posture.Written(strings.EqualFold(p.value.text, "Accounting"), p.at, p.value.text)
		}
		r.in.Host.RADIUS = append(r.in.Host.RADIUS, one)
		if p, ok := o.get("SharedSecret"); ok && p.value.text != "" {
			r.secret(posture.RADIUSSecret, name, p)
		}
	}
}

// accounting reads Get-RemoteAccessAccounting: on where any of its kinds is.
func (r *reader) accounting(list []object) {
	for _, o := range list {
		on, at, text := false, o.at, ""
		for _, p := range o.properties {
			if w := strings.ToLower(p.value.text); strings.HasSuffix(strings.ToLower(p.name), "status") && w == "enabled" {
				on, at, text = true, p.at, p.name+" "+p.value.text
			}
		}
		r.in.Host.Daemons = append(r.in.Host.Daemons, posture.Daemon{
			Subject: r.subject("daemon", serverName, o.at), Product: product, Accounting: posture.Written(on, at, text), LogsAuth: posture.Written(on, at, text),
		})
	}
}

// cryptoSets: the sets of the firewall are for its own rules, and no VPN profile
// uses them.
func (r *reader) cryptoSets(list []object) {
	if len(list) > 0 {
		r.unparsed(list[0].at, "%d crypto sets of the firewall: VPN profiles do not use them, and they are not judged", len(list))
	}
}

package windows

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// tunnels are the words of TunnelType; Automatic tries them all.
var tunnels = []string{"pptp", "l2tp", "sstp", "ikev2", "automatic"}

// tunnelType reads a tunnel type in lower case, empty for one that is not known.
func (r *reader) tunnelType(o object, name string) posture.Value[string] {
	p, ok := o.get(name)
	if !ok {
		return posture.Value[string]{}
	}
	if word := strings.ToLower(p.value.text); slices.Contains(tunnels, word) {
		return posture.Written(word, p.at, p.value.text)
	}
	r.unparsed(p.at, "%s has a value that is not known: %s", name, setting.Key(p.value.text, "is there"))
	return posture.Value[string]{}
}

// level reads a level of encryption in lower case.
func (r *reader) level(o object, name string) posture.Value[string] {
	p, ok := o.get(name)
	if !ok {
		return posture.Value[string]{}
	}
	word := strings.ToLower(p.value.text)
	if mppe[word] == nil && word != "custom" {
		r.unparsed(p.at, "%s has a value that is not known: %s", name, setting.Key(p.value.text, "is there"))
	}
	return posture.Written(word, p.at, p.value.text)
}

func demand(m posture.MPPE) *posture.MPPE { return &m }

// mppe is what a level of encryption asks of PPP.
var mppe = map[string]*posture.MPPE{
	"noencryption": demand(posture.NoMPPE), "optional": demand(posture.AnyMPPE), "required": demand(posture.MPPE40), "maximum": demand(posture.MPPE128),
	"optionalencryption": demand(posture.AnyMPPE), "requireencryption": demand(posture.MPPE40), "maximumencryption": demand(posture.MPPE128),
}

// as gives a value the origin of another.
func as[T, U any](v T, from posture.Value[U]) posture.Value[T] {
	if !from.Known() {
		return posture.Value[T]{}
	}
	return posture.Value[T]{V: v, Origin: from.Origin, At: from.At, Text: from.Text, Why: from.Why}
}

// client is one profile of Get-VpnConnection.
type client struct {
	object
	name   string
	tunnel posture.Value[string]
	level  posture.Value[string]
	split  posture.Value[bool]
	eap    posture.EAP
	hasEAP bool
}

// may tells whether the profile uses a tunnel.
func (c *client) may(tunnel string) bool { return c.tunnel.V == tunnel || c.tunnel.V == "automatic" }

// connection reads a profile of a client.
func (r *reader) connection(o object) {
	r.check(o, connectionKnown)
	c := &client{object: o, tunnel: r.tunnelType(o, "TunnelType"), level: r.level(o, "EncryptionLevel"), split: r.yes(o, "SplitTunneling")}
	c.name, _ = o.text("Name")
	if _, ok := o.get("TunnelType"); !ok {
		r.unparsed(o.at, "the profile has no TunnelType: it is not judged")
	}
	r.clientEAP(c)
	p, custom := r.policyOf(c)
	if c.may("ikev2") {
		r.add(c, r.ikev2(c, p, custom))
	}
	if c.may("l2tp") {
		r.add(c, r.l2tp(c, p, custom))
		r.l2tpClient(c)
	}
	if c.tunnel.Known() && c.tunnel.V != "ikev2" {
		r.ppp(c)
	}
	for _, protocol := range []string{"pptp", "sstp"} {
		if c.may(protocol) {
			r.service(protocol, c.name, as(true, c.tunnel), c.at)
		}
	}
}

func (r *reader) add(c *client, one posture.Connection) {
	r.in.Host.Connections = append(r.in.Host.Connections, one)
}

func (r *reader) subject(kind, name string, at posture.Pos) posture.Subject {
	return posture.Subject{Dialect: posture.Windows, Kind: kind, Name: name, At: at}
}

func (r *reader) service(protocol, name string, enabled posture.Value[bool], at posture.Pos) {
	r.in.Host.Services = append(r.in.Host.Services, posture.Service{Subject: r.subject("service", name, at), Protocol: protocol, Enabled: enabled})
}

// policyOf is the custom policy of a profile: inside of it, or by the cmdlet for
// it alone.
func (r *reader) policyOf(c *client) (policy, bool) {
	if o, ok := r.policies[strings.ToLower(c.name)]; ok {
		r.check(o, policyKnown)
		return r.customPolicy(o)
	}
	none := policy{at: c.where("IPSecCustomPolicy")}
	if in, ok := c.get("IPSecCustomPolicy"); ok {
		list := in.value.list
		if in.value.object != nil {
			list = []node{in.value}
		}
		for _, n := range list {
			if n.object != nil {
				r.check(object{n.at, n.object}, policyKnown)
				return r.customPolicy(object{n.at, n.object})
			}
		}
		none.unread = len(list) > 0 || in.value.text != ""
	}
	if none.unread = none.unread || c.level.V == "custom"; none.unread {
		r.in.Note(posture.Opaque, none.at, "IPSecCustomPolicy was cut off or left out: write it with ConvertTo-Json -Depth 5")
	}
	return none, false
}

// base is what every connection of Windows has.
func (r *reader) base(name string, at posture.Pos, role posture.Role, p policy, custom bool, level posture.Value[string]) posture.Connection {
	c := posture.Connection{
		Subject:    r.subject("connection", name, at),
		Product:    product,
		Role:       posture.ByDefault(role, at, "what the cmdlet is for"),
		Aggressive: posture.ByDefault(false, at, "Windows has no aggressive mode for VPN"),
		PPK:        posture.ByDefault(posture.Never, at, "Windows has no post-quantum preshared keys"),
		NATT:       posture.ByDefault(true, at, "Windows always detects NAT"),
		Rekey:      posture.ByDefault(true, at, "Windows replaces SAs"),
	}
	child := posture.Child{
		Subject:     r.subject("child", name, at),
		ESP:         espDefaults(level, p.at),
		ESPImplicit: posture.ByDefault(!custom, p.at, "no custom policy"),
		PFS:         posture.Guess(posture.Never, p.at, "no custom policy: Windows asks for no key exchange in Child SAs"),
		AH:          posture.ByDefault(false, at, "Windows VPN has ESP alone"),
		IPComp:      posture.ByDefault(false, at, "Windows VPN has no IPComp"),
	}
	if p.unread {
		child.ESP, child.ESPImplicit, child.PFS = posture.Value[[]posture.Proposal]{}, posture.Value[bool]{}, posture.Value[posture.Demand]{}
	}
	c.IKEImplicit = child.ESPImplicit
	if custom {
		group := posture.Always
		if p.group() == "" {
			group = posture.Never
		}
		c.IKE, child.ESP = posture.Written(p.ike(), p.at, p.ike()[0].Text), posture.Written(p.esp(), p.at, p.esp()[0].Text)
		child.PFS = posture.Written(group, p.at, p.pf)
		c.IKEImplicit, child.ESPImplicit = posture.Written(false, p.at, ""), posture.Written(false, p.at, "")
	}
	c.Children = []posture.Child{child}
	return c
}

// life is what Windows has for clients, whatever is written.
func life(c *posture.Connection) {
	c.IKELife = posture.Guess(8*time.Hour, c.At, "what Windows proposes")
	c.Children[0].Life = posture.Guess(time.Hour, c.At, "what Windows proposes")
	c.Children[0].Bytes = posture.Guess(uint64(250_000<<10), c.At, "what Windows proposes")
}

// ikev2 is a profile by IKEv2.
func (r *reader) ikev2(c *client, p policy, custom bool) posture.Connection {
	one := r.base(c.name, c.at, posture.Initiates, p, custom, c.level)
	one.V1, one.V2 = as(false, c.tunnel), as(true, c.tunnel)
	if !custom && !p.unread {
		one.IKE = r.ikeDefaults(p.at)
	}
	life(&one)
	one.Fragments = posture.Guess(true, c.at, "default since Windows 10 1803")
	one.MOBIKE = posture.Guess(true, c.at, "default of Windows")
	one.Address = r.address(c)
	one.AnyPeer = as(false, one.Address)
	one.AsksAddress = posture.ByDefault(true, c.at, "the client of a gateway")
	one.Remote = []posture.Auth{{Method: posture.ByDefault(posture.MethodPubkey, c.at, "gateways prove themselves by certificate"), ID: r.serverName(c, one.Address)}}
	one.Local = r.proof(c)
	r.selectors(&one, c)
	return one
}

func (r *reader) address(c *client) posture.Value[[]string] {
	if p, ok := c.get("ServerAddress"); ok {
		return posture.Written([]string{p.value.text}, p.at, p.value.text)
	}
	return posture.Value[[]string]{}
}

// serverName: the certificate must have the name of the server, unless the check
// is turned off in the registry.
func (r *reader) serverName(c *client, address posture.Value[[]string]) posture.Value[string] {
	if v, ok := r.reg.find("DisableIKENameEkuCheck"); ok && v.number == 1 {
		return posture.Written("%any", v.at, "DisableIKENameEkuCheck = 1")
	}
	if !address.Known() {
		return posture.Value[string]{}
	}
	return as(address.V[0], address)
}

// proof is how the client proves itself to IKEv2.
func (r *reader) proof(c *client) []posture.Auth {
	p, ok := c.get("AuthenticationMethod")
	if !ok {
		return nil
	}
	var all []posture.Auth
	for _, w := range p.words() {
		switch strings.ToLower(w) {
		case "machinecertificate":
			all = append(all, posture.Auth{Method: posture.Written(posture.MethodPubkey, p.at, w)})
		case "eap":
			all = append(all, posture.Auth{Method: posture.Written(posture.MethodEAP, p.at, w), EAP: c.eap.Methods})
		case "mschapv2":
			all = append(all, posture.Auth{Method: posture.Written(posture.MethodEAP, p.at, w), EAP: posture.Written([]string{"mschapv2"}, p.at, w)})
		}
	}
	return all
}

// selectors: all goes through the tunnel, or the routes of the profile do.
func (r *reader) selectors(one *posture.Connection, c *client) {
	if !c.split.Known() {
		return
	}
	if !c.split.V {
		one.Children[0].RemoteTS = as([]string{"0.0.0.0/0", "::/0"}, c.split)
		return
	}
	var routes []string
	if p, ok := c.get("Routes"); ok {
		for _, n := range p.value.list {
			route := n.text
			if n.object != nil {
				route, _ = object{n.at, n.object}.text("DestinationPrefix")
			}
			if route != "" {
				routes = append(routes, route)
			}
		}
	}
	one.Children[0].RemoteTS = as(routes, c.split)
}

// l2tp is a profile by L2TP, which is IKEv1 and transport mode.
func (r *reader) l2tp(c *client, p policy, custom bool) posture.Connection {
	one := r.base(c.name, c.at, posture.Initiates, p, custom, c.level)
	one.V1, one.V2 = as(true, c.tunnel), as(false, c.tunnel)
	if !custom && !p.unread {
		one.IKE = r.l2tpDefaults(p.at)
	}
	life(&one)
	one.Address = r.address(c)
	one.AnyPeer = as(false, one.Address)
	method := r.l2tpAuth(c)
	one.Local, one.Remote = []posture.Auth{{Method: method}}, []posture.Auth{{Method: method}}
	one.Children[0].L2TP = true
	one.Children[0].Transport = posture.ByDefault(true, c.at, "L2TP is in transport mode")
	return one
}

// l2tpAuth is how IPsec proves itself. Windows keeps the key; no cmdlet shows it.
func (r *reader) l2tpAuth(c *client) posture.Value[posture.Method] {
	p, ok := c.get("L2tpIPsecAuth")
	if !ok {
		return posture.Value[posture.Method]{}
	}
	switch strings.ToLower(p.value.text) {
	case "psk":
		r.elsewhere(c.name, p.at, false)
		return posture.Written(posture.MethodPSK, p.at, p.value.text)
	case "certificate":
		return posture.Written(posture.MethodPubkey, p.at, p.value.text)
	}
	r.unparsed(p.at, "L2tpIPsecAuth has a value that is not known: %s", setting.Key(p.value.text, "is there"))
	return posture.Value[posture.Method]{}
}

func (r *reader) elsewhere(name string, at posture.Pos, anybody bool) {
	r.in.Host.Secrets = append(r.in.Host.Secrets, posture.Secret{
		Subject: r.subject("secret", name, at), Kind: posture.PSK, Storage: posture.Elsewhere,
		Anybody: posture.ByDefault(anybody, at, "Windows keeps one key for the profile, or for the server"),
	})
}

func (r *reader) l2tpClient(c *client) {
	r.in.Host.L2TP = append(r.in.Host.L2TP, posture.L2TP{
		Subject: r.subject("l2tp", c.name, c.at), Product: product, Enabled: as(true, c.tunnel),
		Server: posture.ByDefault(false, c.at, "a client"), IPsec: r.insists(c.at),
		Challenge: posture.ByDefault(false, c.at, "Windows has no tunnel authentication"), PPP: c.name,
	})
}

// insists: Windows has L2TP inside IPsec alone, unless IPsec is prohibited.
func (r *reader) insists(at posture.Pos) posture.Value[posture.Demand] {
	if v, ok := r.reg.find("ProhibitIPSec"); ok {
		if v.number == 1 {
			return posture.Written(posture.Never, v.at, "ProhibitIPSec = 1")
		}
		return posture.Written(posture.Always, v.at, "ProhibitIPSec = 0")
	}
	return posture.Guess(posture.Always, at, "default of Windows, without ProhibitIPSec in the registry")
}

var pppMethods = map[string]posture.PPPMethod{"pap": posture.PAP, "chap": posture.CHAPMD5, "mschapv2": posture.MSCHAPv2, "mschap": posture.MSCHAPv1, "eap": posture.EAPAny}

// ppp is what a profile offers to servers.
func (r *reader) ppp(c *client) {
	p := posture.PPP{Subject: r.subject("ppp", c.name, c.at), Product: product, Server: posture.ByDefault(false, c.at, "a client"), Split: c.split}
	if m, ok := c.get("AuthenticationMethod"); ok {
		var methods []posture.PPPMethod
		for _, w := range m.words() {
			switch method, ok := pppMethods[strings.ToLower(w)]; {
			case ok:
				methods = append(methods, r.eapMethod(c, method))
			case !strings.EqualFold(w, "MachineCertificate"):
				r.unparsed(m.at, "AuthenticationMethod has a value that is not known: %s", setting.Key(w, "is there"))
			}
		}
		p.Methods = posture.Written(methods, m.at, strings.Join(m.words(), ", "))
	}
	if m := mppe[c.level.V]; m != nil {
		p.MPPE = as(*m, c.level)
	}
	switch c.tunnel.V {
	case "l2tp":
		insists := r.insists(c.at)
		p.IPsecForced = as(insists.V == posture.Always, insists)
	case "sstp":
		p.IPsecForced = as(true, c.tunnel) // it is inside TLS
	case "pptp", "automatic":
		p.IPsecForced = as(false, c.tunnel)
	}
	if c.hasEAP {
		p.TLSVerify = c.eap.ServerNamed
	}
	r.in.Host.PPP = append(r.in.Host.PPP, p)
}

// eapMethod says more than EAP where its settings are known.
func (r *reader) eapMethod(c *client, m posture.PPPMethod) posture.PPPMethod {
	if m != posture.EAPAny || !c.eap.DefaultType.Known() {
		return m
	}
	switch c.eap.DefaultType.V {
	case "tls":
		return posture.EAPTLSPPP
	case "peap":
		return posture.PEAPPPP
	}
	return m
}

package vulndb

import (
	"slices"
	"strings"

	"sallyport/posture"
)

// Answer is what a posture says of a condition.
type Answer uint8

// The zero Answer is that the posture does not tell.
const (
	Untold Answer = iota
	No
	Yes
)

// Where is what an answer rests on.
type Where struct {
	Subject posture.Subject
	At      posture.Pos
	Origin  posture.Origin
	Text    string // in words: "the plugin eap-ttls is loaded"
}

// conditions is the closed vocabulary of Record.Reach. A word that ends in a
// colon has a name after it.
var conditions = map[string]func(*reacher, string) (Answer, Where){
	"ikev1":            (*reacher).ikev1,      // IKEv1 is answered or opened
	"ikev2":            (*reacher).ikev2,      // IKEv2 is
	"ikev1-aggressive": (*reacher).aggressive, // aggressive mode of IKEv1
	"multi-ke":         (*reacher).multiKE,    // additional key exchanges (RFC 9370)
	"revocation":       (*reacher).revocation, // CRLs or OCSP are fetched
	"auth:":            (*reacher).auth,       // psk, pubkey, eap: how peers or we prove ourselves
	"eap:":             (*reacher).eap,        // a method of EAP: tls, pwd, mschapv2
	"role:":            (*reacher).role,       // client, server
	"plugin:":          (*reacher).plugin,     // of strongSwan, by its name
	"package:":         (*reacher).pkg,        // a package of the same source
	"module:":          (*reacher).module,     // of the kernel
	"service:":         (*reacher).service,    // besides IPsec: l2tp, pptp, sslvpn, webui
	"radius":           (*reacher).radius,     // a RADIUS server is asked
	"charon-tkm":       (*reacher).tkm,        // strongSwan's daemon with a separate key manager
	"fips":             (*reacher).fips,       // the FIPS mode of the system
	"eap-tls-patch":    (*reacher).eapTLS,     // pppd before 2.4.9 with the patch for EAP-TLS that Debian and others had
	"local":            (*reacher).local,      // users of the host itself
}

// Conditions are the words of the vocabulary, sorted.
func Conditions() []string {
	var words []string
	for w := range conditions {
		words = append(words, w)
	}
	slices.Sort(words)
	return words
}

func lookup(word string) (func(*reacher, string) (Answer, Where), string) {
	if i := strings.IndexByte(word, ':'); i >= 0 {
		return conditions[word[:i+1]], word[i+1:]
	}
	return conditions[word], ""
}

func knownCondition(word string) bool {
	f, name := lookup(word)
	return f != nil && strings.HasSuffix(word, ":") == (name == "" && strings.Contains(word, ":")) && !strings.HasSuffix(word, ":")
}

// reacher answers conditions for the component of one package.
type reacher struct {
	of       *posture.Package
	host     *posture.Host
	dialects []posture.Dialect // of the component's configuration
}

// spoken are the dialects that configure a component.
var spoken = map[string][]posture.Dialect{
	"strongswan": {posture.Swanctl, posture.Starter},
	"libreswan":  {posture.Libreswan},
	"openswan":   {posture.Libreswan},
	"ppp":        {posture.PPPD},
	"xl2tpd":     {posture.Xl2tpd},
	"freeradius": {posture.FreeRADIUS},
	"fortios":    {posture.FortiOS},
	"ios":        {posture.IOS},
	"ios-xe":     {posture.IOS},
	"routeros":   {posture.RouterOS},
	"pfsense":    {posture.PfSense},
	"opnsense":   {posture.OPNsense},
	"vyos":       {posture.VyOS},
	"windows":    {posture.Windows},
}

// Dialects are the dialects that configure the component of a package.
func Dialects(p *posture.Package) []posture.Dialect { return spoken[Name(p)] }

// reach answers a record's conditions: Yes if one list holds as a whole, No if
// none can, with what decides.
func (r *Record) reach(p *posture.Package, h *posture.Host) (Answer, Where) {
	if len(r.Reach) == 0 {
		return Untold, Where{Text: "the flaw has no condition"}
	}
	x := &reacher{of: p, host: h, dialects: spoken[Name(p)]}
	all := No
	var because []string
	for _, list := range r.Reach {
		a, where := x.every(list)
		switch a {
		case Yes:
			return Yes, where
		case Untold:
			all = Untold
		default:
			because = append(because, where.Text)
		}
	}
	if all == Untold {
		return Untold, Where{}
	}
	return No, Where{Text: strings.Join(slices.Compact(because), ", and ")}
}

// every answers a list: No as soon as one word is. The place is that of the
// first word, which is what the record is about.
func (x *reacher) every(list []string) (Answer, Where) {
	var first Where
	answer := Yes
	for i, word := range list {
		f, name := lookup(word)
		if f == nil {
			answer = Untold
			continue
		}
		a, where := f(x, name)
		if i == 0 {
			first = where
		}
		switch a {
		case No:
			return No, where
		case Untold:
			answer = Untold
		}
	}
	return answer, first
}

func (x *reacher) mine(s posture.Subject) bool { return slices.Contains(x.dialects, s.Dialect) }

// connections are those of the component that are in force.
func (x *reacher) connections() []*posture.Connection {
	var all []*posture.Connection
	for i := range x.host.Connections {
		if c := &x.host.Connections[i]; !c.Disabled && x.mine(c.Subject) {
			all = append(all, c)
		}
	}
	return all
}

// some answers from a setting of all connections: Yes if it is so in one, No if
// there are connections and it is known of each that it is not so.
func (x *reacher) some(setting func(*posture.Connection) (Answer, posture.Pos, posture.Origin), yes, no string) (Answer, Where) {
	all := x.connections()
	if len(all) == 0 {
		return Untold, Where{}
	}
	answer := No
	for _, c := range all {
		switch a, at, origin := setting(c); a {
		case Yes:
			return Yes, Where{Subject: c.Subject, At: at, Origin: origin, Text: yes}
		case Untold:
			answer = Untold
		}
	}
	return answer, Where{Text: no}
}

func flag(v posture.Value[bool]) (Answer, posture.Pos, posture.Origin) {
	switch {
	case !v.Known():
		return Untold, posture.Pos{}, v.Origin
	case v.V:
		return Yes, v.At, v.Origin
	}
	return No, v.At, v.Origin
}

func (x *reacher) ikev1(string) (Answer, Where) {
	return x.some(func(c *posture.Connection) (Answer, posture.Pos, posture.Origin) { return flag(c.V1) }, "IKEv1 is in use", "no connection takes IKEv1")
}

func (x *reacher) ikev2(string) (Answer, Where) {
	return x.some(func(c *posture.Connection) (Answer, posture.Pos, posture.Origin) { return flag(c.V2) }, "IKEv2 is in use", "no connection takes IKEv2")
}

func (x *reacher) aggressive(string) (Answer, Where) {
	return x.some(func(c *posture.Connection) (Answer, posture.Pos, posture.Origin) {
		if posture.Is(c.V1, false) {
			return No, c.V1.At, c.V1.Origin
		}
		return flag(c.Aggressive)
	}, "aggressive mode is in use", "no connection takes aggressive mode")
}

func (x *reacher) multiKE(string) (Answer, Where) {
	return x.some(func(c *posture.Connection) (Answer, posture.Pos, posture.Origin) {
		if !c.IKE.Known() {
			return Untold, posture.Pos{}, c.IKE.Origin
		}
		lists := [][]posture.Proposal{c.IKE.V}
		for _, child := range c.Children {
			lists = append(lists, child.ESP.V)
		}
		for _, p := range slices.Concat(lists...) {
			if len(p.AddKE) > 0 {
				return Yes, p.At, c.IKE.Origin
			}
		}
		return No, c.IKE.At, c.IKE.Origin
	}, "additional key exchanges are taken", "no proposal has an additional key exchange")
}

func (x *reacher) revocation(string) (Answer, Where) {
	for _, d := range x.host.Daemons {
		if !x.mine(d.Subject) {
			continue
		}
		for _, v := range []posture.Value[bool]{d.CRLFetch, d.OCSP} {
			if posture.Is(v, true) {
				return Yes, Where{Subject: d.Subject, At: v.At, Origin: v.Origin, Text: "CRLs or OCSP answers are fetched"}
			}
		}
		if posture.Is(d.CRLFetch, false) && posture.Is(d.OCSP, false) {
			return No, Where{Text: "no CRL and no OCSP answer is fetched"}
		}
	}
	return Untold, Where{}
}

// auths are both sides' proofs of a connection.
func auths(c *posture.Connection) []posture.Auth { return slices.Concat(c.Local, c.Remote) }

func (x *reacher) auth(name string) (Answer, Where) {
	return x.some(func(c *posture.Connection) (Answer, posture.Pos, posture.Origin) {
		answer := No
		for _, a := range auths(c) {
			switch {
			case !a.Method.Known():
				answer = Untold
			case string(a.Method.V) == name:
				return Yes, a.Method.At, a.Method.Origin
			}
		}
		if len(auths(c)) == 0 {
			answer = Untold
		}
		return answer, c.At, posture.Explicit
	}, "authentication by "+name+" is in use", "no connection authenticates by "+name)
}

// anyMethod are words for EAP by whatever the peer or a server wants.
var anyMethod = []string{"", "any", "dynamic", "radius"}

// eap asks the servers of EAP and PPP, and the connections, for a method.
func (x *reacher) eap(name string) (Answer, Where) {
	text, none := "EAP by the method "+name+" is in use", "no method "+name+" of EAP is configured"
	answer, where := Untold, Where{}
	for _, e := range x.host.EAP {
		switch {
		case !x.mine(e.Subject):
		case slices.Contains(e.Methods.V, name) || slices.Contains(e.Inner.V, name):
			return Yes, Where{Subject: e.Subject, At: e.Methods.At, Origin: e.Methods.Origin, Text: text}
		case !e.Methods.Known():
			return Untold, Where{}
		default:
			answer, where = No, Where{Text: none}
		}
	}
	if answer == No {
		return answer, where
	}
	return x.some(func(c *posture.Connection) (Answer, posture.Pos, posture.Origin) { return methodOf(c, name) }, text, "no connection takes EAP by the method "+name)
}

func methodOf(c *posture.Connection, name string) (Answer, posture.Pos, posture.Origin) {
	answer := No
	if len(auths(c)) == 0 {
		answer = Untold
	}
	for _, a := range auths(c) {
		switch {
		case !a.Method.Known():
			answer = Untold
		case a.Method.V != posture.MethodEAP:
		case !a.EAP.Known() || slices.ContainsFunc(a.EAP.V, func(m string) bool { return slices.Contains(anyMethod, m) }):
			answer = Untold
		case slices.Contains(a.EAP.V, name):
			return Yes, a.EAP.At, a.EAP.Origin
		}
	}
	return answer, c.At, posture.Explicit
}

func (x *reacher) role(name string) (Answer, Where) {
	want := map[string]posture.Role{"client": posture.Initiates, "server": posture.Answers}[name]
	if slices.Contains(x.dialects, posture.PPPD) {
		return x.pppRole(name)
	}
	return x.some(func(c *posture.Connection) (Answer, posture.Pos, posture.Origin) {
		switch {
		case !c.Role.Known():
			return Untold, posture.Pos{}, c.Role.Origin
		case c.Role.V&want != 0:
			return Yes, c.Role.At, c.Role.Origin
		}
		return No, c.Role.At, c.Role.Origin
	}, "there is a connection as a "+name, "no connection is a "+name)
}

func (x *reacher) pppRole(name string) (Answer, Where) {
	answer, where := Untold, Where{}
	for _, p := range x.host.PPP {
		switch {
		case !x.mine(p.Subject):
		case !p.Server.Known():
			return Untold, Where{}
		case p.Server.V == (name == "server"):
			return Yes, Where{Subject: p.Subject, At: p.Server.At, Origin: p.Server.Origin, Text: "PPP is used as a " + name}
		default:
			answer, where = No, Where{Text: "PPP is not used as a " + name}
		}
	}
	return answer, where
}

// plugin asks the list of plugins, where it is known. A method of EAP is out of
// reach, besides, where no connection has it: charon begins no other.
func (x *reacher) plugin(name string) (Answer, Where) {
	for _, d := range x.host.Daemons {
		if !x.mine(d.Subject) || !d.Plugins.Known() {
			continue
		}
		if !slices.Contains(d.Plugins.V, name) {
			return No, Where{Text: "the plugin " + name + " is not loaded"}
		}
		if method, ok := strings.CutPrefix(name, "eap-"); ok && method != "radius" {
			if a, where := x.eap(method); a != Yes {
				return a, where
			}
		}
		return Yes, Where{Subject: d.Subject, At: d.Plugins.At, Origin: d.Plugins.Origin, Text: "the plugin " + name + " is loaded"}
	}
	if method, ok := strings.CutPrefix(name, "eap-"); ok && method != "radius" {
		if a, where := x.eap(method); a != Untold {
			return a, where
		}
	}
	return Untold, Where{}
}

// pkg asks for another package of the same source. A data base of packages is
// whole, so one that is not there is not installed.
func (x *reacher) pkg(name string) (Answer, Where) {
	for _, p := range x.host.Packages {
		if p.Source == x.of.Source && p.Name == name {
			return Yes, Where{Subject: p.Subject, At: p.At, Origin: posture.Explicit, Text: "the package " + name + " is installed"}
		}
	}
	return No, Where{Text: "the package " + name + " is not installed"}
}

// tkm is a daemon in place of charon. Debian never built it; others put it in a
// package of its own or in the only one there is.
func (x *reacher) tkm(string) (Answer, Where) {
	for _, p := range x.host.Packages {
		if p.Source == x.of.Source && strings.Contains(p.Name, "tkm") {
			return Yes, Where{Subject: p.Subject, At: p.At, Origin: posture.Explicit, Text: "charon-tkm is installed"}
		}
	}
	if x.of.Manager == "dpkg" {
		return No, Where{Text: "charon-tkm is not installed"}
	}
	return Untold, Where{}
}

// module asks modprobe.d whether the kernel may load a module.
func (x *reacher) module(name string) (Answer, Where) {
	for _, k := range x.host.Kernel {
		if k.Key == "modprobe.blacklist."+name && k.Value.Known() {
			return No, Where{Subject: k.Subject, At: k.Value.At, Origin: k.Value.Origin, Text: "modprobe.d keeps the module " + name + " from being loaded"}
		}
	}
	return Untold, Where{}
}

func (x *reacher) service(name string) (Answer, Where) {
	if name == "l2tp" {
		for _, l := range x.host.L2TP {
			if posture.Is(l.Enabled, true) {
				return Yes, Where{Subject: l.Subject, At: l.Enabled.At, Origin: l.Enabled.Origin, Text: "L2TP is in use"}
			}
		}
	}
	for _, s := range x.host.Services {
		if s.Protocol != name || !s.Enabled.Known() {
			continue
		}
		if s.Enabled.V {
			return Yes, Where{Subject: s.Subject, At: s.Enabled.At, Origin: s.Enabled.Origin, Text: name + " is in use"}
		}
		return No, Where{Text: name + " is off"}
	}
	return Untold, Where{}
}

func (x *reacher) radius(string) (Answer, Where) {
	for _, r := range x.host.RADIUS {
		if x.mine(r.Subject) {
			return Yes, Where{Subject: r.Subject, At: r.At, Origin: posture.Explicit, Text: "RADIUS is in use"}
		}
	}
	return Untold, Where{}
}

func (x *reacher) fips(string) (Answer, Where) {
	for _, k := range x.host.Kernel {
		if k.Key == "crypto.fips_enabled" && k.Value.Known() {
			if k.Value.V == "1" {
				return Yes, Where{Subject: k.Subject, At: k.Value.At, Origin: k.Value.Origin, Text: "the system is in FIPS mode"}
			}
			return No, Where{Text: "the system is not in FIPS mode"}
		}
	}
	return Untold, Where{}
}

func (x *reacher) eapTLS(string) (Answer, Where) {
	for _, p := range x.host.PPP {
		if x.mine(p.Subject) && slices.Contains(p.Methods.V, posture.EAPTLSPPP) {
			return Yes, Where{Subject: p.Subject, At: p.Methods.At, Origin: p.Methods.Origin, Text: "PPP takes EAP-TLS"}
		}
	}
	return Untold, Where{}
}

// local is for flaws that only users of the host reach: what they are, no file
// of a VPN tells.
func (x *reacher) local(string) (Answer, Where) { return Untold, Where{} }

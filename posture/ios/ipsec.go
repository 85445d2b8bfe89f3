package ios

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/setting"
	"sallyport/protocol/suite"
)

// use is a place where IPsec is asked for: an entry of a crypto map, a dynamic
// map or an IPsec profile.
type use struct {
	name   string
	line   *line
	of     string // of an entry: the crypto map's name
	any    bool   // it is for peers at any address
	peer   *line  // of a profile: where the tunnel that has it goes to
	pushed bool   // a key server pushes the SAs of a group: nothing is exchanged for them
}

// uses are those of a configuration.
type uses []use

// Bounds of what is made of a file. A hub has some hundred map entries, and IOS
// takes six transform sets in each.
const (
	mostUses      = 2000
	mostSets      = 16
	mostSelectors = 256
)

// phase1 is what all connections of one version of IKE have in common.
type phase1 struct {
	proposals posture.Value[[]posture.Proposal]
	implicit  posture.Value[bool]
	life      posture.Value[time.Duration]
	method    posture.Value[posture.Method]
}

func (r *reader) phase1s() (first, second phase1) {
	first.proposals, first.implicit = r.policies1()
	first.life, first.method = r.life1(), r.method1()
	second.proposals, second.implicit = r.proposals2()
	return first, second
}

// connections makes one of every use of IKEv1, and one of every IKEv2 profile
// with the uses that name it.
func (r *reader) connections() {
	var first []use
	second := map[string][]use{}
	for _, u := range r.all {
		if p := u.line.find("set", "ikev2-profile"); p != nil {
			second[p.word(2)] = append(second[p.word(2)], u)
		} else {
			first = append(first, u)
		}
	}
	for i, l := range r.root.all("crypto", "ikev2", "profile") {
		if i == mostUses {
			r.in.Note(posture.Limit, l.at, "more than %d profiles: the rest is left out", mostUses)
			break
		}
		if !l.no {
			r.connect2(l, second[l.word(3)])
		}
	}
	for _, u := range first {
		r.connect1(u)
	}
	for _, l := range last(r.root.all("crypto", "ipsec", "client", "ezvpn")) {
		r.easy(l)
	}
	r.manual()
}

// easy is a client of Easy VPN. With a group it begins in aggressive mode, by
// proposals that are built in and not shown.
func (r *reader) easy(l *line) {
	if l.no {
		return
	}
	c := posture.Connection{Subject: r.subject("connection", l.word(4), l.at), Product: r.product}
	c.V1, c.V2 = written(l, true), written(l, false)
	c.Role, c.AnyPeer = written(l, posture.Initiates), written(l, false)
	for _, p := range l.all("peer") {
		c.Address = written(p, append(c.Address.V, p.word(1)))
	}
	method := setting.Of(r.defaults, posture.MethodPubkey, l.at, false)
	c.Aggressive = setting.As(method, false)
	if g := l.find("group"); g != nil {
		method = posture.Written(posture.MethodPSK, g.at, "group") // its key is on the line
		c.Aggressive = setting.As(method, true)
	}
	c.Local = []posture.Auth{{Method: method}, {Method: written(l, posture.MethodXAUTH), XAUTH: true}}
	c.Remote = []posture.Auth{{Method: method}}
	c.NATT = r.natt()
	c.Pool = setting.Of(r.defaults, []string(nil), l.at, true)
	c.AsksAddress = written(l, true)
	if m := l.find("mode"); m != nil {
		c.AsksAddress = written(m, m.word(1) != "network-extension")
	}
	r.host.Connections = append(r.host.Connections, c)
}

// manual are the entries of crypto maps whose keys were set by hand.
func (r *reader) manual() {
	for _, l := range r.root.all("crypto", "map") {
		if !l.no && l.word(4) == "ipsec-manual" {
			r.host.Manual = append(r.host.Manual, posture.Manual{Subject: r.subject("manual SA", l.word(2)+" "+l.word(3), l.at)})
		}
	}
}

// uses are the entries that make SAs. A dynamic map counts where a crypto map
// names it, and an IPsec profile where an interface or a group does.
func (r *reader) uses() uses {
	var all uses
	dynamic := map[string]string{}
	for _, l := range r.root.all("crypto", "map") {
		switch {
		case !l.no && l.word(4) == "gdoi":
			all = append(all, use{name: l.word(2) + " " + l.word(3), line: l, of: l.word(2), pushed: true})
		case l.no || l.word(4) != "ipsec-isakmp":
		case l.word(5) == "dynamic":
			dynamic[l.word(6)] = l.word(2)
		default:
			all = append(all, use{name: l.word(2) + " " + l.word(3), line: l, of: l.word(2)})
		}
	}
	for _, l := range r.root.all("crypto", "dynamic-map") {
		if m, ok := dynamic[l.word(2)]; ok && !l.no {
			all = append(all, use{name: l.word(2) + " " + l.word(3), line: l, of: m, any: true})
		}
	}
	on, groups := r.protected(), r.served()
	for _, l := range r.root.all("crypto", "ipsec", "profile") {
		if at := on[l.word(3)]; at != nil && !l.no {
			to := at.find("tunnel", "destination")
			all = append(all, use{name: l.word(3), line: l, any: at.has("interface") && to == nil, peer: to})
		}
		if groups[l.word(3)] && !l.no {
			all = append(all, use{name: l.word(3), line: l, pushed: true})
		}
	}
	if at := on["default"]; at != nil && r.root.find("crypto", "ipsec", "profile", "default") == nil {
		to := at.find("tunnel", "destination")
		all = append(all, use{name: "default", line: r.builtIn(at), any: at.has("interface") && to == nil, peer: to})
	}
	if len(all) > mostUses {
		r.in.Note(posture.Limit, all[mostUses].line.at, "more than %d entries of crypto maps and profiles: the rest is left out", mostUses)
		all = all[:mostUses]
	}
	return all
}

// builtIn is the IPsec profile that IOS has by itself: it is called default, and names
// the IKEv2 profile of that name.
func (r *reader) builtIn(user *line) *line {
	at := user.at
	if b := user.find("tunnel", "protection"); b != nil {
		at = b.at
	}
	l := newLine("crypto ipsec profile default", at)
	if r.root.find("crypto", "ikev2", "profile", "default") != nil {
		l.below = []*line{newLine("set ikev2-profile default", at)}
	}
	return l
}

// onInterfaces are the crypto maps that interfaces have.
func (r *reader) onInterfaces() map[string]bool {
	all := map[string]bool{}
	for _, l := range r.root.all("interface") {
		for _, b := range l.all("crypto", "map") {
			if !b.no {
				all[b.word(2)] = true
			}
		}
	}
	return all
}

// served are the IPsec profiles that a key server of GET VPN has for its groups.
func (r *reader) served() map[string]bool {
	all := map[string]bool{}
	for _, kind := range []string{"gdoi", "gkm"} {
		for _, l := range r.root.all("crypto", kind, "group") {
			for _, server := range l.all("server", "local") {
				for _, sa := range server.all("sa", "ipsec") {
					all[sa.named("profile")] = true
				}
			}
		}
	}
	return all
}

// protected are the interfaces or blocks that IPsec profiles are used in, by
// the profile's name.
func (r *reader) protected() map[string]*line {
	on := map[string]*line{}
	for _, l := range r.root.below {
		if b := l.find("tunnel", "protection", "ipsec", "profile"); b != nil && l.has("interface") {
			// One that is for anybody decides.
			if old := on[b.word(4)]; old == nil || l.find("tunnel", "destination") == nil {
				on[b.word(4)] = l
			}
		}
		if b := l.find("l2tp", "security", "crypto-profile"); b != nil {
			on[b.word(3)] = l
		}
	}
	return on
}

func (r *reader) connect2(l *line, uses []use) {
	c := posture.Connection{Subject: r.subject("connection", l.word(3), l.at), Product: r.product}
	r.tunnel = posture.Value[[]string]{}
	c.Role = setting.Of(r.defaults, posture.Answers|posture.Initiates, l.at, false)
	r.profile2(&c, l)
	c.NATT = r.natt()
	if !c.Pool.Known() {
		c.Pool = setting.Of(r.defaults, []string(nil), l.at, true)
	}
	for _, u := range uses {
		r.child(&c, u)
	}
	atDestinations(&c, uses)
	r.host.Connections = append(r.host.Connections, c)
}

// atDestinations: a profile that matches a name is for peers at any address, and a
// tunnel interface with a destination has one with nobody else.
func atDestinations(c *posture.Connection, uses []use) {
	fixed := func(u use) bool { return u.peer != nil && u.peer.word(2) != "dynamic" }
	if len(uses) == 0 || !posture.Is(c.AnyPeer, true) || slices.ContainsFunc(uses, func(u use) bool { return !fixed(u) }) {
		return
	}
	c.AnyPeer = written(uses[0].peer, false)
}

func (r *reader) natt() posture.Value[bool] {
	return r.flag(true, "crypto", "ipsec", "nat-transparency", "udp-encapsulation")
}

func (r *reader) connect1(u use) {
	c := posture.Connection{Subject: r.subject("connection", u.name, u.line.at), Product: r.product}
	r.tunnel = posture.Value[[]string]{}
	if l := r.root.find("crypto", "isakmp", "enable"); l != nil {
		c.Disabled = l.no
	}
	if u.of != "" && len(r.applied) > 0 && !r.applied[u.of] {
		c.Disabled = true // a map that no interface has; a file without any is a part of one
	}
	c.V1, c.V2 = written(u.line, true), written(u.line, false)
	c.Role = written(u.line, posture.Answers|posture.Initiates)
	c.IKE, c.IKEImplicit = r.first.proposals, r.first.implicit
	c.IKELife, c.NATT = r.first.life, r.natt()
	r.peers1(&c, u)
	c.Aggressive = r.aggressive(c.Address.V)
	method := r.first.method
	c.Local, c.Remote = []posture.Auth{{Method: method}}, []posture.Auth{{Method: method}}
	c.DPD = setting.Of(r.defaults, time.Duration(0), u.line.at, false)
	if k := r.root.find("crypto", "isakmp", "keepalive"); k != nil && !k.no {
		c.DPD, _ = setting.To(setting.Written(k.word(3), k.at), setting.Seconds)
	}
	c.Fragments = r.flag(false, "crypto", "isakmp", "fragmentation")
	c.Pool = setting.Of(r.defaults, []string(nil), u.line.at, true)
	r.xauth(&c, u)
	if !c.Revocation.Known() && method.V == posture.MethodPubkey {
		c.Revocation = r.anyRevocation()
	}
	if !u.pushed || u.of == "" { // what a member gets is the key server's to say
		r.child(&c, u)
	}
	r.host.Connections = append(r.host.Connections, c)
}

// aggressive: a router answers it unless it is forbidden for all, and begins it
// with peers that have a password for it.
func (r *reader) aggressive(peers []string) posture.Value[bool] {
	if l := r.root.find("crypto", "isakmp", "aggressive-mode", "disable"); l != nil && !l.no {
		return written(l, false)
	}
	for _, p := range peers {
		if l := r.root.find("crypto", "isakmp", "peer", "address", p); l != nil && !l.no {
			if b := l.find("set", "aggressive-mode"); b != nil {
				return posture.Written(true, b.at, "set aggressive-mode") // the rest may be a password
			}
		}
	}
	return setting.Of(r.defaults, true, r.root.at, false)
}

func (r *reader) peers1(c *posture.Connection, u use) {
	c.AnyPeer = written(u.line, u.any)
	for _, p := range u.line.all("set", "peer") {
		c.Address = written(p, append(c.Address.V, p.word(2)))
		c.AnyPeer = written(p, false)
	}
	if u.peer != nil && u.peer.word(2) != "dynamic" {
		c.Address, c.AnyPeer = written(u.peer, []string{u.peer.word(2)}), written(u.peer, false)
	}
	if u.any {
		c.Role = written(u.line, posture.Answers)
	}
}

// xauth is the second proof of IKEv1, which a crypto map or an ISAKMP profile
// asks for, and the groups of clients with it.
func (r *reader) xauth(c *posture.Connection, u use) {
	var asks []*line
	if u.of != "" {
		asks = append(asks, r.root.all("crypto", "map", u.of, "client", "authentication")...)
	}
	profile := u.line.find("set", "isakmp-profile")
	if profile != nil {
		if l := r.root.find("crypto", "isakmp", "profile", profile.word(2)); l != nil {
			asks = append(asks, l.all("client", "authentication")...)
			r.profile1(c, l)
		}
	}
	if len(asks) > 0 {
		c.Remote = append(c.Remote, posture.Auth{Method: written(asks[0], posture.MethodXAUTH), XAUTH: true})
	}
	if len(asks) > 0 && !c.DNS.Known() {
		for _, g := range last(r.root.all("crypto", "isakmp", "client", "configuration", "group")) {
			r.given(c, g)
		}
	}
}

// profile1 is an ISAKMP profile.
func (r *reader) profile1(c *posture.Connection, l *line) {
	for _, m := range l.all("match", "identity") {
		switch m.word(2) {
		case "address":
			if !anyAddress(m.words[3:]) {
				c.Address, c.AnyPeer = written(m, append(c.Address.V, m.word(3))), written(m, false)
			}
		case "group":
			c.Remote[0].ID = written(m, m.word(3))
			if g := r.root.find("crypto", "isakmp", "client", "configuration", "group", m.word(3)); g != nil {
				r.given(c, g)
			}
		}
	}
	if t := l.find("ca", "trust-point"); t != nil {
		c.Revocation = r.revocation(t.word(2))
	}
	// What is forbidden for all is not begun, either.
	if m := l.find("initiate", "mode", "aggressive"); m != nil && !posture.Is(c.Aggressive, false) {
		c.Aggressive = written(m, true)
	}
}

// child is the IPsec part of a use.
func (r *reader) child(c *posture.Connection, u use) {
	child := posture.Child{Subject: r.subject("child", u.name, u.line.at)}
	child.PFS = setting.Of(r.defaults, posture.Never, u.line.at, true)
	var group []string
	if p := u.line.find("set", "pfs"); p != nil && !p.no {
		child.PFS = written(p, posture.Always)
		group = []string{keyword(nil, strings.TrimPrefix(p.word(2), "group"))}
		if p.word(2) == "" {
			group = []string{"modp768"} // the command alone means group 1
		}
	}
	r.sets(&child, u, group)
	if p := u.line.find("set", "pfs"); p != nil && !p.no {
		for i := range child.ESP.V {
			e := &child.ESP.V[i]
			e.AddKE, e.Groups, e.Text = kems(p.words[2:]), written(p, p.text), e.Text+", "+p.text
		}
	}
	child.Life, child.Bytes = r.life(u)
	child.Replay = r.replay(u)
	if u.pushed {
		child.PFS, child.Replay = posture.Value[posture.Demand]{}, posture.Value[int]{}
	}
	if r.selectors(&child, u); !child.LocalTS.Known() {
		child.LocalTS = r.tunnel
	}
	c.Children = append(c.Children, child)
}

// sets are the transform sets of a use. Each is one proposal.
func (r *reader) sets(child *posture.Child, u use, group []string) {
	names := u.line.find("set", "transform-set")
	if names == nil {
		p := proposal.New(suite.ProtocolESP, "default transform-set", u.line.at, append([]string{"aes128", "sha1"}, group...)...)
		child.ESP = setting.Of(r.defaults, []posture.Proposal{p}, u.line.at, false)
		child.ESPImplicit = setting.As(child.ESP, true)
		child.Transport = setting.As(child.ESP, false)
		return
	}
	var all []posture.Proposal
	encrypts := false
	for _, name := range names.words[2:min(len(names.words), 2+mostSets)] {
		l := r.root.find("crypto", "ipsec", "transform-set", name)
		if l == nil {
			r.in.Note(posture.Unparsed, names.at, "the transform-set is not in this file")
			continue
		}
		words := sized(l.words[4:min(len(l.words), 4+mostSets)])
		r.mode(child, l, words)
		if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "esp-") }) {
			encrypts = true
		} else {
			words = append(words, "esp-null") // AH alone: beside others it is the choice without encryption
		}
		all = append(all, proposal.New(suite.ProtocolESP, joined(l.words[3:]), l.at, append(integrity(translate(transforms, words)), group...)...))
	}
	if encrypts {
		child.ESP = written(names, all)
		child.ESPImplicit = written(names, false)
	}
}

// integrity leaves out what is not in a registry: compression.
func integrity(words []string) []string {
	var out []string
	for _, w := range words {
		if w != "comp-lzs" {
			out = append(out, w)
		}
	}
	return out
}

// mode is what a transform set says besides algorithms. One that is weak
// decides, as the peer may choose it.
func (r *reader) mode(child *posture.Child, l *line, words []string) {
	text := " " + joined(words)
	if !child.AH.V {
		child.AH = written(l, strings.Contains(text, " ah-"))
	}
	if !child.IPComp.V {
		child.IPComp = written(l, strings.Contains(text, " comp-lzs"))
	}
	if m := l.find("mode"); m != nil {
		child.Transport = written(m, m.word(1) == "transport")
	} else if !child.Transport.Known() {
		child.Transport = setting.Of(r.defaults, false, l.at, true)
	}
}

// life is 3600 seconds and 4,608,000 kilobytes unless something else is said
// for all or here.
func (r *reader) life(u use) (posture.Value[time.Duration], posture.Value[uint64]) {
	life := setting.Of(r.defaults, time.Hour, u.line.at, true)
	octets := setting.Of(r.defaults, uint64(4_608_000)<<10, u.line.at, true)
	for _, l := range slices.Concat(last(r.root.all("crypto", "ipsec", "security-association", "lifetime")), u.line.all("set", "security-association", "lifetime")) {
		if s := l.after("seconds"); s != "" && !l.no {
			life, _ = setting.To(setting.Written(s, l.at), setting.Seconds)
		}
		switch s := l.after("kilobytes"); {
		case s == "disable":
			octets = written(l, uint64(0))
		case s != "" && !l.no:
			n, _ := setting.Number(s)
			octets = written(l, uint64(max(n, 0))<<10)
		}
	}
	return life, octets
}

// last are the lines that hold where a setting is written again and again.
func last(lines []*line) []*line { return lines[max(len(lines)-mostSets, 0):] }

func (r *reader) replay(u use) posture.Value[int] {
	window := setting.Of(r.defaults, 64, u.line.at, true)
	for _, l := range slices.Concat(last(r.root.all("crypto", "ipsec", "security-association", "replay")), u.line.all("set", "security-association", "replay")) {
		switch {
		case l.after("replay") == "disable":
			window = written(l, 0)
			if l.no {
				window = written(l, 64)
			}
		case !l.no && l.after("window-size") != "":
			if n, ok := setting.Number(l.after("window-size")); ok {
				window = written(l, n)
			}
		}
	}
	return window
}

// selectors are the access list of a map entry.
func (r *reader) selectors(child *posture.Child, u use) {
	m := u.line.find("match", "address")
	switch {
	case m != nil:
	case u.of == "": // a profile, which an interface uses
		child.Routed = setting.Of(r.defaults, true, u.line.at, true)
		return
	case u.any: // a dynamic map takes what the peer asks for
		child.RemoteTS = setting.Of(r.defaults, []string{"0.0.0.0/0"}, u.line.at, true)
		return
	default:
		return
	}
	for _, rule := range r.acl(m.word(2)) {
		if !rule.permit || len(child.LocalTS.V) == mostSelectors {
			continue
		}
		child.LocalTS = written(m, append(child.LocalTS.V, network(rule.from)))
		child.RemoteTS = written(m, append(child.RemoteTS.V, network(rule.to)))
		child.L2TP = child.L2TP || rule.protocol == "udp" && (rule.fromPort == l2tpPort || rule.toPort == l2tpPort)
	}
}

// daemon is what holds for all connections.
func (r *reader) daemon() {
	if len(r.host.Connections) == 0 {
		return
	}
	d := posture.Daemon{Subject: r.subject("daemon", "crypto", r.root.at), Product: r.product}
	d.CopyDF = r.flag(true, "crypto", "ipsec", "df-bit", "copy")
	if l := r.root.find("crypto", "ipsec", "df-bit"); l != nil {
		d.CopyDF = written(l, l.word(3) == "copy")
	}
	if l := r.root.find("crypto", "ikev2", "cookie-challenge"); l != nil {
		d.Cookies = written(l, !l.no)
	} else if len(r.root.all("crypto", "ikev2")) > 0 {
		d.Cookies = setting.Of(r.defaults, false, r.root.at, false)
	}
	if l := r.root.find("crypto", "ikev2", "limit"); l != nil && l.after("max-in-negotation-sa") != "" {
		d.HalfOpenLimit, _ = setting.To(setting.Written(l.after("max-in-negotation-sa"), l.at), setting.Number)
	}
	if l := r.root.find("crypto", "ikev2", "fragmentation"); l != nil && !l.no && l.word(4) != "" {
		d.FragmentSize, _ = setting.To(setting.Written(l.word(4), l.at), setting.Number)
	}
	d.Keepalive = setting.Of(r.defaults, time.Duration(0), r.root.at, false)
	for _, words := range [][]string{{"crypto", "isakmp", "nat", "keepalive"}, {"crypto", "ikev2", "nat", "keepalive"}} {
		if l := r.root.find(words...); l != nil && !l.no {
			d.Keepalive, _ = setting.To(setting.Written(l.word(4), l.at), setting.Seconds)
		}
	}
	d.LogsAuth = r.flag(false, "crypto", "logging", "session")
	if l := r.root.find("aaa", "accounting", "network"); l != nil {
		d.Accounting = written(l, !l.no)
	} else if slices.ContainsFunc(r.host.Connections, func(c posture.Connection) bool { return posture.Is(c.AnyPeer, true) }) {
		d.Accounting = setting.Of(r.defaults, false, r.root.at, true) // a gateway at a fixed address is one session for ever
	}
	r.host.Daemons = append(r.host.Daemons, d)
}

package vyos

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/setting"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// ipsec reads "vpn ipsec": groups of parameters, and the peers, profiles and
// connections that refer to them.
func (r *reader) ipsec() {
	vpn := r.root.get("vpn")
	ipsec := vpn.get("ipsec")
	r.check(vpn, "vpn")
	r.check(ipsec, "ipsec")
	r.check(ipsec.get("authentication"), "authentication")
	for _, g := range ipsec.nodes("ike-group") {
		r.checkGroup(g, "ike-group", "ike-proposal")
	}
	for _, g := range ipsec.nodes("esp-group") {
		r.checkGroup(g, "esp-group", "esp-proposal")
	}
	for _, p := range ipsec.nodes("site-to-site", "peer") {
		if r.full(p) {
			break
		}
		r.check(p, "peer")
		r.check(p.get("authentication"), "peer authentication")
		r.connect(r.peer(ipsec, p))
	}
	for _, c := range ipsec.nodes("remote-access", "connection") {
		if r.full(c) {
			break
		}
		r.check(c, "connection")
		r.connect(r.remoteAccess(ipsec, c))
	}
	for _, p := range ipsec.nodes("profile") {
		if r.full(p) {
			break
		}
		r.check(p, "profile")
		r.connect(r.profile(ipsec, p))
	}
	r.sharedKeys(ipsec)
	r.daemon(ipsec)
	r.radiusServers("vpn ipsec remote-access radius server", ipsec.get("remote-access", "radius"), false)
}

func (r *reader) connect(c posture.Connection) {
	r.in.Host.Connections = append(r.in.Host.Connections, c)
}

func (r *reader) checkGroup(g *node, section, proposals string) {
	r.check(g, section)
	if len(g.nodes("proposal")) > mostProposals {
		r.in.Note(posture.Limit, g.at, "more than %d proposals: the rest was not read", mostProposals)
	}
	for _, p := range g.nodes("proposal") {
		r.check(p, proposals)
	}
}

// ike fills in what an IKE group says. The group may be missing, which VyOS does
// not commit.
func (r *reader) ike(c *posture.Connection, g *node, at posture.Pos) {
	if g != nil {
		at, c.Phase1 = g.at, source.Quote(g.name)
	}
	c.V1, c.V2 = r.versions(g, at)
	c.Aggressive = byDefault(r, false, at, "main mode")
	if m := g.leaf("mode"); m != nil {
		c.Aggressive = written(m.name == "aggressive" && c.V1.V, m)
	}
	c.IKE, c.IKEImplicit = r.ikeProposals(g, at)
	c.IKELife = r.seconds(g, 8*time.Hour, "default of VyOS: 28800 s", "lifetime")
	c.Rekey = r.rekeys(g, at)
	c.Reauth = r.reauth(c, g, at)
	c.DPD = r.dpd(g, at)
	c.MOBIKE = r.mobike(g, at)
	c.NATT = byDefault(r, true, at, "strongSwan always detects NAT")
	c.Fragments = byDefault(r, true, at, "default of strongSwan")
	c.Revocation = byDefault(r, posture.Optional, at, "default of strongSwan: revocation=relaxed")
	c.SendsVID = byDefault(r, false, at, "default of strongSwan")
	c.PPK = byDefault(r, posture.Never, at, "none is set")
}

// versions: without key-exchange VyOS writes version=0, which is both; before 1.3
// it was IKEv1.
func (r *reader) versions(g *node, at posture.Pos) (v1, v2 posture.Value[bool]) {
	if e := g.leaf("key-exchange"); e != nil {
		return written(e.name == "ikev1", e), written(e.name == "ikev2", e)
	}
	if r.before("1.3") {
		why := "no key-exchange: default of VyOS before 1.3"
		return posture.ByDefault(true, at, why), posture.ByDefault(false, at, why)
	}
	why := "no key-exchange: VyOS sets version=0, which is both"
	return byDefault(r, true, at, why), byDefault(r, true, at, why)
}

func (r *reader) rekeys(g *node, at posture.Pos) posture.Value[bool] {
	if d := g.get("disable-rekey"); d != nil {
		return posture.Written(false, d.at, d.name)
	}
	return byDefault(r, true, at, "rekeys unless that is turned off")
}

func (r *reader) reauth(c *posture.Connection, g *node, at posture.Pos) posture.Value[time.Duration] {
	if e := g.get("ikev2-reauth"); e != nil && g.value("ikev2-reauth") != "no" {
		return posture.Written(c.IKELife.V, e.at, strings.TrimSpace(e.name+" "+g.value("ikev2-reauth")))
	}
	return byDefault(r, time.Duration(0), at, "no ikev2-reauth")
}

// dpd: with the node, the interval is 30 s unless it is set. Whether it is there
// by default changed with 1.4, so nothing is said of later releases.
func (r *reader) dpd(g *node, at posture.Pos) posture.Value[time.Duration] {
	if g.has("dead-peer-detection") {
		return r.seconds(g, 30*time.Second, "default of VyOS", "dead-peer-detection", "interval")
	}
	if r.before("1.4") {
		return posture.ByDefault(time.Duration(0), at, "no dead-peer-detection")
	}
	return posture.Value[time.Duration]{}
}

func (r *reader) mobike(g *node, at posture.Pos) posture.Value[bool] {
	if e := g.get("disable-mobike"); e != nil {
		return posture.Written(false, e.at, e.name)
	}
	if e := g.leaf("mobike"); e != nil {
		return written(e.name != "disable", e)
	}
	return byDefault(r, true, at, "default of VyOS")
}

// ikeProposals are those of the group, with VyOS's own defaults for what a
// proposal leaves out.
func (r *reader) ikeProposals(g *node, at posture.Pos) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	var texts, missing []string
	var found []posture.Proposal
	for _, p := range r.proposalsOf(g) {
		text, without := ikeText(p)
		texts, missing = append(texts, text), append(missing, without...)
		found = append(found, proposal.StrongSwan(suite.ProtocolIKE, text, p.at))
	}
	if len(found) == 0 {
		return r.strongSwan(suite.ProtocolIKE, at)
	}
	return r.filled(found, texts, missing), r.notImplicit(found[0].At)
}

// ikeText is a proposal of an IKE group in strongSwan's words, and what it leaves
// to the default.
func ikeText(p *node) (text string, missing []string) {
	enc, hash, missing := encHash(p)
	dh := p.value("dh-group")
	if dh == "" {
		dh, missing = "2", append(missing, "dh-group")
	}
	text = enc + "-" + hash
	if prf := p.value("prf"); prf != "" {
		text += "-" + prf
	}
	return text + "-" + group(dh), missing
}

func encHash(p *node) (enc, hash string, missing []string) {
	enc, hash = p.value("encryption"), p.value("hash")
	if enc == "" {
		enc, missing = "aes128", append(missing, "encryption")
	}
	if hash == "" {
		hash, missing = "sha1", append(missing, "hash")
	}
	return enc, hash, missing
}

// filled is an explicit value, unless some proposal takes a default.
func (r *reader) filled(found []posture.Proposal, texts, missing []string) posture.Value[[]posture.Proposal] {
	text := strings.Join(texts, ",")
	if len(missing) == 0 {
		return posture.Written(found, found[0].At, text)
	}
	slices.Sort(missing)
	v := byDefault(r, found, found[0].At, "no "+strings.Join(slices.Compact(missing), ", ")+" in a proposal: default of VyOS (aes128, sha1, group 2)")
	v.Text = text
	return v
}

// notImplicit: VyOS never leaves "default" to strongSwan beside proposals.
func (r *reader) notImplicit(at posture.Pos) posture.Value[bool] {
	return byDefault(r, false, at, "VyOS writes the list and nothing else")
}

// strongSwan are the proposals of the daemon, whose version is not known.
func (r *reader) strongSwan(p suite.Protocol, at posture.Pos) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	if r.defaults == nil {
		r.defaults = map[suite.Protocol]defaults{}
	}
	d, ok := r.defaults[p]
	if !ok {
		d.proposals, d.why = proposal.StrongSwanDefaults(p, r.in.Version("strongSwan").V)
		r.defaults[p] = d
	}
	return posture.Guess(d.proposals, at, d.why), posture.Guess(true, at, d.why)
}

// defaults are those of strongSwan for one protocol.
type defaults struct {
	proposals []posture.Proposal
	why       string
}

// proposalsOf are the proposals of a group, in order.
func (r *reader) proposalsOf(g *node) []*node {
	found := r.order(g.get("proposal"))
	return found[:min(len(found), mostProposals)]
}

// order is a list whose tags are numbers: they are its order.
func (r *reader) order(list *node) []*node {
	if list == nil {
		return nil
	}
	found, ok := r.ordered[list]
	if !ok {
		if r.ordered == nil {
			r.ordered = map[*node][]*node{}
		}
		found = sorted(list.children)
		r.ordered[list] = found
	}
	return found
}

// sorted are proposals by number, which is their order.
func sorted(nodes []*node) []*node {
	nodes = slices.Clone(nodes)
	slices.SortStableFunc(nodes, func(a, b *node) int {
		x, _ := strconv.Atoi(a.name)
		y, _ := strconv.Atoi(b.name)
		return cmp.Compare(x, y)
	})
	return nodes
}

// group is the keyword of a group by number, with or without "dh-group".
func group(number string) string {
	number = strings.TrimPrefix(number, "dh-group")
	n, err := strconv.ParseUint(number, 10, 16)
	if a, ok := suite.Lookup(suite.Transform{Type: suite.KE, ID: uint16(n)}); err == nil && ok && n > 0 {
		return a.Keyword
	}
	return "dh-group" + number
}

// child fills in what an ESP group says. ike is the group that "pfs enable" takes
// its Diffie-Hellman group from.
func (r *reader) child(name string, esp, ike *node, at posture.Pos) posture.Child {
	c := posture.Child{Subject: r.subject("child", name, at)}
	if esp != nil {
		at, c.Phase2 = esp.at, source.Quote(esp.name)
	}
	c.PFS = byDefault(r, posture.Always, at, "default of VyOS: pfs enable")
	pfs := esp.leaf("pfs")
	if pfs != nil {
		c.PFS = written(posture.Always, pfs)
		if pfs.name == "disable" {
			c.PFS.V = posture.Never
		}
	}
	c.ESP, c.ESPImplicit = r.espProposals(esp, ike, at)
	c.AH = byDefault(r, false, at, "has no setting for it")
	c.Life = r.seconds(esp, time.Hour, "default of VyOS: 3600 s", "lifetime")
	c.Bytes, c.Packets = r.amount(esp, "life-bytes"), r.amount(esp, "life-packets")
	c.Replay = byDefault(r, 32, at, "default of strongSwan and VyOS")
	c.ESN = byDefault(r, false, at, "default of strongSwan: noesn")
	c.IPComp = r.compresses(esp, at)
	c.SHA256Trunc = byDefault(r, false, at, "default of strongSwan")
	for _, p := range c.ESP.V {
		if slices.Contains(p.Unknown, "sha256_96") {
			c.SHA256Trunc = posture.Written(true, p.At, p.Text)
		}
	}
	c.Transport = byDefault(r, false, at, "default of VyOS: tunnel")
	if m := esp.leaf("mode"); m != nil {
		c.Transport = written(m.name == "transport", m)
	}
	return c
}

// offers are proposals, and whether the daemon adds its own.
type offers struct {
	proposals posture.Value[[]posture.Proposal]
	implicit  posture.Value[bool]
}

// espKey is what an offer of ESP depends on.
type espKey struct {
	group *node
	pfs   string
}

func (r *reader) espProposals(g, ike *node, at posture.Pos) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	suffix := ""
	switch pfs := g.value("pfs"); pfs {
	case "disable":
	case "", "enable":
		suffix = "-" + group(r.firstGroup(ike))
	default:
		suffix = "-" + group(pfs)
	}
	key := espKey{g, suffix}
	o, ok := r.esp[key]
	if !ok {
		if r.esp == nil {
			r.esp = map[espKey]offers{}
		}
		o.proposals, o.implicit = r.espOffers(g, suffix, at)
		r.esp[key] = o
	}
	return o.proposals, o.implicit
}

// espOffers are those of a group with one Diffie-Hellman group for all.
func (r *reader) espOffers(g *node, suffix string, at posture.Pos) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	var texts, missing []string
	var found []posture.Proposal
	for _, p := range r.proposalsOf(g) {
		enc, hash, without := encHash(p)
		text := enc + "-" + hash + suffix
		texts, missing = append(texts, text), append(missing, without...)
		found = append(found, proposal.StrongSwan(suite.ProtocolESP, text, p.at))
	}
	if len(found) == 0 {
		return r.strongSwan(suite.ProtocolESP, at)
	}
	return r.filled(found, texts, missing), r.notImplicit(found[0].At)
}

// firstGroup is that of the first proposal of the IKE group that has one; else 2.
func (r *reader) firstGroup(ike *node) string {
	for _, p := range r.proposalsOf(ike) {
		if dh := p.value("dh-group"); dh != "" {
			return dh
		}
	}
	return "2"
}

func (r *reader) amount(g *node, name string) posture.Value[uint64] {
	if e := g.leaf(name); e != nil {
		if n, err := strconv.ParseUint(e.name, 10, 64); err == nil {
			return written(n, e)
		}
	}
	return byDefault(r, uint64(0), g.where(name), "not set")
}

func (r *reader) compresses(g *node, at posture.Pos) posture.Value[bool] {
	if e := g.get("compression"); e != nil {
		return posture.Written(g.value("compression") != "disable", e.at, strings.TrimSpace("compression "+g.value("compression")))
	}
	return byDefault(r, false, at, "default of VyOS")
}

// peer is a site: since 1.4 a name with addresses, before that an address, or
// "@" and an identity.
func (r *reader) peer(ipsec, p *node) posture.Connection {
	c := posture.Connection{Subject: r.subject("connection", p.name, p.at), Product: product, Disabled: p.has("disable")}
	ike := ipsec.get("ike-group", p.value("ike-group"))
	r.ike(&c, ike, p.at)
	c.Address, c.AnyPeer = r.peerAddress(p)
	c.Role = byDefault(r, posture.Answers|posture.Initiates, p.at, "default of VyOS: initiate")
	if t := p.leaf("connection-type"); t != nil {
		c.Role = written(posture.Answers|posture.Initiates, t)
		if t.name != "initiate" {
			c.Role.V = posture.Answers
		}
	}
	if ppk := p.get("ppk"); ppk != nil {
		c.PPK = posture.Written(posture.Optional, ppk.at, "ppk")
		if ppk.has("required") {
			c.PPK.V = posture.Always
		}
	}
	r.peerAuth(&c, p)
	c.Children = r.tunnels(ipsec, ike, p)
	return c
}

func (r *reader) peerAddress(p *node) (posture.Value[[]string], posture.Value[bool]) {
	if remote := p.get("remote-address"); remote != nil {
		v := all(remote)
		any := slices.ContainsFunc(v.V, anyAddress)
		return v, posture.Value[bool]{V: any, Origin: v.Origin, At: v.At, Text: v.Text}
	}
	named := p.name == "" || !strings.ContainsAny(p.name, ".:@") && p.name != "any"
	if named || strings.HasPrefix(p.name, "@") {
		// A name of 1.4, or an identity: from any address.
		return byDefault(r, []string{"%any"}, p.at, "no remote-address"), byDefault(r, true, p.at, "no remote-address")
	}
	return posture.Written([]string{p.name}, p.at, p.name), posture.Written(anyAddress(p.name), p.at, p.name)
}

func anyAddress(s string) bool {
	return s == "any" || s == "%any" || s == "0.0.0.0" || s == "::" || s == "0.0.0.0/0" || s == "::/0"
}

var peerMethods = map[string]posture.Method{"pre-shared-secret": posture.MethodPSK, "x509": posture.MethodPubkey, "rsa": posture.MethodPubkey}

func (r *reader) peerAuth(c *posture.Connection, p *node) {
	a := p.get("authentication")
	mode := a.leaf("mode")
	if mode == nil {
		return
	}
	method, ok := peerMethods[mode.name]
	if !ok {
		r.in.Note(posture.Unparsed, mode.at, "authentication mode %s is not known", setting.Shown(mode.name))
		return
	}
	local := posture.Auth{Method: written(method, mode), ID: id(a.first("local-id", "id")), CertFile: cmp.Or(a.value("x509", "certificate"), a.value("x509", "cert-file"))}
	remote := posture.Auth{Method: written(method, mode), ID: id(a.first("remote-id"))}
	if method == posture.MethodPubkey {
		remote.CA = r.authority(a.get("x509"))
		local.RawKey, remote.RawKey = mode.name == "rsa", mode.name == "rsa"
	}
	c.Local, c.Remote = []posture.Auth{local}, []posture.Auth{remote}
	anybody := c.AnyPeer.V && (!remote.ID.Known() || remote.ID.V == "%any")
	s := posture.Secret{Anybody: posture.Written(anybody, a.at, ""), Unused: method != posture.MethodPSK}
	if !anybody {
		s.IDs = []string{cmp.Or(remote.ID.V, p.name)}
	}
	r.secret(posture.PSK, p.name, a.leaf("pre-shared-secret"), s)
	r.secret(posture.KeyPassword, p.name, a.get("x509").first("passphrase").leaf(), posture.Secret{})
	r.secret(posture.KeyPassword, p.name, a.get("x509", "key").first("password").leaf(), posture.Secret{})
}

func id(n *node) posture.Value[string] {
	if e := n.leaf(); e != nil {
		return written(e.name, e)
	}
	return posture.Value[string]{}
}

func (r *reader) authority(x509 *node) posture.Value[string] {
	if ca := x509.first("ca-certificate", "ca-cert-file").leaf(); ca != nil {
		return written(ca.name, ca)
	}
	return byDefault(r, "", x509.where(), "no ca-certificate: any authority on the host")
}

// tunnels are the children of a peer: those with networks, and the one of a
// virtual tunnel interface.
func (r *reader) tunnels(ipsec, ike, p *node) []posture.Child {
	var found []posture.Child
	for _, t := range p.nodes("tunnel") {
		if r.children++; r.children > mostChildren {
			break
		}
		if t.has("disable") {
			continue
		}
		esp := ipsec.get("esp-group", cmp.Or(t.value("esp-group"), p.value("default-esp-group")))
		c := r.child(p.name+" tunnel "+t.name, esp, ike, t.at)
		c.LocalTS, c.RemoteTS = all(t.first("local").first("prefix", "subnet")), all(t.first("remote").first("prefix", "subnet"))
		c.FailOpen = r.failOpen(p)
		c.L2TP = t.value("local", "port") == "1701" || t.value("remote", "port") == "1701"
		found = append(found, r.window(c, p))
	}
	if vti := p.get("vti"); vti != nil {
		esp := ipsec.get("esp-group", cmp.Or(vti.value("esp-group"), p.value("default-esp-group")))
		c := r.child(p.name+" vti", esp, ike, vti.at)
		c.FailOpen, c.Routed = posture.Written(false, vti.at, "vti"), posture.Written(true, vti.at, "vti")
		found = append(found, r.window(c, p))
	}
	return found
}

// window is the one of the connection, where it has a setting for it (1.4).
func (r *reader) window(c posture.Child, of *node) posture.Child {
	if e := of.leaf("replay-window"); e != nil {
		if n, err := strconv.Atoi(e.name); err == nil {
			c.Replay = written(n, e)
		}
	}
	return c
}

// failOpen: "respond" waits with policies in the kernel (trap); "initiate" sets
// them with the SA alone.
func (r *reader) failOpen(p *node) posture.Value[bool] {
	if t := p.leaf("connection-type"); t != nil {
		return written(t.name != "respond" && t.name != "trap", t)
	}
	return byDefault(r, true, p.at, "default of VyOS: initiate, which leaves no policy where there is no SA")
}

// remoteAccess is a connection for clients of IKEv2.
func (r *reader) remoteAccess(ipsec, n *node) posture.Connection {
	c := posture.Connection{Subject: r.subject("connection", n.name, n.at), Product: product, Disabled: n.has("disable")}
	ike, esp := ipsec.get("ike-group", n.value("ike-group")), ipsec.get("esp-group", n.value("esp-group"))
	r.ike(&c, ike, n.at)
	c.Role = byDefault(r, posture.Answers, n.at, "remote access")
	c.Address = byDefault(r, []string{"%any"}, n.at, "remote access")
	c.AnyPeer = byDefault(r, true, n.at, "remote access")
	r.remoteAccessAuth(&c, n)
	c.Pool, c.DNS = r.pools(ipsec, n.get("pool"))
	child := r.window(r.child(n.name, esp, ike, n.at), n)
	child.LocalTS = all(n.get("local", "prefix"))
	if !child.LocalTS.Known() {
		child.LocalTS = byDefault(r, []string{"0.0.0.0/0", "::/0"}, n.at, "default of VyOS")
	}
	child.RemoteTS = all(n.get("remote", "prefix"))
	if !child.RemoteTS.Known() {
		child.RemoteTS = byDefault(r, []string{"dynamic"}, n.at, "default of strongSwan")
	}
	c.Children = []posture.Child{child}
	return c
}

func (r *reader) remoteAccessAuth(c *posture.Connection, n *node) {
	a := n.get("authentication")
	at := n.where("authentication")
	r.check(a, "connection authentication")
	local := posture.Auth{Method: byDefault(r, posture.MethodPubkey, at, "default of VyOS: x509"), ID: id(a.first("local-id", "id")), CertFile: a.value("x509", "certificate")}
	if m := a.leaf("server-mode"); m != nil {
		local.Method = written(peerMethods[m.name], m)
	}
	remote := posture.Auth{Method: byDefault(r, posture.MethodEAP, at, "default of VyOS: eap-mschapv2"), EAP: byDefault(r, []string{"mschapv2"}, at, "default of VyOS: eap-mschapv2")}
	if m := a.leaf("client-mode"); m != nil {
		if eap, ok := strings.CutPrefix(m.name, "eap-"); ok {
			remote.Method, remote.EAP = written(posture.MethodEAP, m), written([]string{eap}, m)
		} else {
			remote.Method, remote.EAP = written(posture.MethodPubkey, m), posture.Value[[]string]{}
		}
	}
	if posture.Is(remote.Method, posture.MethodPubkey) || slices.Contains(remote.EAP.V, "tls") {
		remote.CA = r.authority(a.get("x509"))
	}
	remote.ID = byDefault(r, "%any", at, "any client")
	c.Local, c.Remote = []posture.Auth{local}, []posture.Auth{remote}
	r.secret(posture.PSK, n.name, a.leaf("pre-shared-secret"), posture.Secret{Anybody: posture.Written(true, at, "")})
	r.secret(posture.KeyPassword, n.name, a.leaf("x509", "passphrase"), posture.Secret{})
	r.users(a)
}

// pools are what clients get: the pools that a connection names.
func (r *reader) pools(ipsec, names *node) (pool, dns posture.Value[[]string]) {
	if names == nil {
		return pool, dns
	}
	var nets, servers []string
	at := names.at
	for _, name := range names.values() {
		if len(nets) >= mostProposals {
			break
		}
		p := ipsec.get("remote-access", "pool", name)
		if p == nil {
			continue
		}
		at = p.at
		r.check(p, "pool")
		nets = append(nets, p.values("prefix")...)
		if p.has("range") {
			nets = append(nets, p.value("range", "start")+"-"+p.value("range", "stop"))
		}
		servers = append(servers, p.values("name-server")...)
	}
	if len(nets) == 0 {
		return pool, dns // "dhcp" or "radius"
	}
	return posture.Written(nets, at, strings.Join(nets, ",")), posture.Written(servers, at, strings.Join(servers, ","))
}

// profile is DMVPN: spokes at any address, with one secret for all of them.
func (r *reader) profile(ipsec, n *node) posture.Connection {
	c := posture.Connection{Subject: r.subject("connection", "profile "+n.name, n.at), Product: product, Disabled: n.has("disable")}
	ike, esp := ipsec.get("ike-group", n.value("ike-group")), ipsec.get("esp-group", n.value("esp-group"))
	r.ike(&c, ike, n.at)
	c.Role = byDefault(r, posture.Answers|posture.Initiates, n.at, "DMVPN")
	c.Address = byDefault(r, []string{"%any"}, n.at, "DMVPN")
	c.AnyPeer = byDefault(r, true, n.at, "DMVPN")
	if m := n.leaf("authentication", "mode"); m != nil {
		auth := posture.Auth{Method: written(cmp.Or(peerMethods[m.name], posture.MethodPSK), m)}
		c.Local, c.Remote = []posture.Auth{auth}, []posture.Auth{auth}
	}
	r.secret(posture.PSK, "profile "+n.name, n.leaf("authentication", "pre-shared-secret"), posture.Secret{Anybody: posture.Written(true, n.at, "")})
	c.Children = []posture.Child{r.child("profile "+n.name, esp, ike, n.at)}
	return c
}

// sharedKeys are those of "authentication psk" (1.4) and "ppk" (1.5), by
// identities.
func (r *reader) sharedKeys(ipsec *node) {
	for _, what := range []struct {
		name string
		kind posture.SecretKind
	}{{"psk", posture.PSK}, {"ppk", posture.PPKSecret}} {
		for _, k := range ipsec.nodes("authentication", what.name) {
			r.check(k, "psk")
			ids := k.values("id")
			anybody := len(ids) == 0 || slices.ContainsFunc(ids, anyAddress)
			before := len(r.in.Host.Secrets)
			r.secret(what.kind, k.name, k.leaf("secret"), posture.Secret{IDs: ids, Anybody: posture.Written(anybody, k.where("id"), "")})
			if len(r.in.Host.Secrets) > before {
				decode(&r.in.Host.Secrets[before], k.value("secret-type"))
			}
		}
	}
}

// daemon is strongSwan as VyOS sets it up.
func (r *reader) daemon(ipsec *node) {
	if ipsec == nil && !r.root.has("vpn", "l2tp", "remote-access", "ipsec-settings") {
		return
	}
	at := r.root.where("vpn", "ipsec")
	d := posture.Daemon{Subject: r.subject("daemon", "strongSwan", at), Product: product}
	d.Cookies = byDefault(r, true, at, "default of strongSwan: dos_protection=yes")
	d.HalfOpenLimit = byDefault(r, 0, at, "default of strongSwan: none")
	d.BlockLimit = byDefault(r, 5, at, "default of strongSwan")
	d.AggressivePSK = byDefault(r, false, at, "default of strongSwan")
	d.UnencryptedV1 = byDefault(r, false, at, "default of strongSwan")
	d.FragmentSize = byDefault(r, 1280, at, "default of strongSwan")
	d.SendsVID = byDefault(r, false, at, "default of strongSwan")
	d.PrivateAlg = byDefault(r, false, at, "default of strongSwan")
	d.StrictCRL = byDefault(r, posture.Optional, at, "default of strongSwan: revocation=relaxed")
	d.Keepalive = byDefault(r, 20*time.Second, at, "default of strongSwan")
	d.LogsSecrets = byDefault(r, false, at, "levels go to 2")
	d.LogsAuth = byDefault(r, false, at, "default of VyOS: log level 0")
	level := ipsec.leaf("log", "level")
	if level == nil {
		level = ipsec.leaf("logging", "log-level")
	}
	if level != nil {
		d.LogsAuth = written(level.name != "0" && level.name != "-1", level)
	}
	r.in.Host.Daemons = append(r.in.Host.Daemons, d)
}

// overlaps tells whether two texts of networks have an address in common; one
// that is not a network overlaps nothing.
func overlaps(a, b string) bool {
	x, err1 := prefix(a)
	y, err2 := prefix(b)
	return err1 == nil && err2 == nil && x.Overlaps(y)
}

// within tells whether a network is inside another.
func within(inner, outer string) bool {
	x, err1 := prefix(inner)
	y, err2 := prefix(outer)
	return err1 == nil && err2 == nil && y.Bits() <= x.Bits() && y.Contains(x.Addr())
}

func prefix(s string) (netip.Prefix, error) {
	if s == "any" {
		s = "0.0.0.0/0"
	}
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("not an address: %w", err)
		}
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(s)
}

package routeros

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/setting"
	"sallyport/protocol/suite"
)

// ipsec makes a connection of every identity of every peer, and the daemon.
func (r *reader) ipsec() {
	r.sortPolicies()
	for _, peer := range r.table.all("ip ipsec peer") {
		if r.full {
			break
		}
		identities := r.identities(peer)
		if len(identities) == 0 {
			r.connect(peer, nil, peerName(peer))
		}
		for i, id := range identities {
			name := peerName(peer)
			if i > 0 {
				name = fmt.Sprintf("%s/%d", name, i+1)
			}
			r.connect(peer, id, name)
		}
	}
	r.manual()
	r.daemon()
}

// peerName is the name of a peer. Before 6.44 there was none, and it is called by
// its address, as a prefix.
func peerName(peer *entry) string {
	if peer.name != "" {
		return peer.name
	}
	address := peer.text("address")
	if isAny(address) {
		return "0.0.0.0/0"
	}
	if a, err := netip.ParseAddr(address); err == nil {
		return netip.PrefixFrom(a, a.BitLen()).String()
	}
	return peer.owner()
}

// manual are the SAs that were keyed by hand, of versions that had them.
func (r *reader) manual() {
	for _, e := range r.table.on("ip ipsec manual-sa") {
		r.host.Manual = append(r.host.Manual, posture.Manual{Subject: r.subject("manual SA", e.owner(), e.at)})
	}
}

// identities are those of a peer. Before 6.44 a peer was its own identity.
func (r *reader) identities(peer *entry) []*entry {
	var ids []*entry
	for _, id := range r.table.entries["ip ipsec identity"] {
		if !id.gone && peer.name != "" && id.text("peer") == peer.name {
			ids = append(ids, id)
		}
	}
	_, secret := peer.props["secret"]
	_, method := peer.props["auth-method"]
	if len(ids) == 0 && (secret || method || r.defaults.Version.Known() && r.defaults.Before("6.44")) {
		ids = append(ids, peer.as("ip ipsec identity"))
	}
	return ids
}

// mostConnections bounds what is made of a file; a large concentrator has some
// hundred peers.
const mostConnections = 2000

func (r *reader) connect(peer, id *entry, name string) {
	if len(r.host.Connections) >= mostConnections {
		if !r.full {
			r.full = true
			r.in.Note(posture.Limit, peer.at, "more than %d connections: the rest is left out", mostConnections)
		}
		return
	}
	c := posture.Connection{Subject: r.subject("connection", name, peer.at), Product: product, Disabled: peer.off() || id != nil && id.off()}
	r.peer(&c, peer)
	if r.inline(peer) {
		r.profile(&c, peer.as("ip ipsec profile"))
	} else {
		r.phase1(&c, read(r, peer, "profile", word1))
	}
	if id != nil {
		before := len(r.host.Secrets)
		r.proof(&c, id)
		for i := before; i < len(r.host.Secrets); i++ {
			r.host.Secrets[i].Unused = c.Disabled
		}
		r.modeConfig(&c, id)
	}
	r.children(&c, peer, id)
	r.host.Connections = append(r.host.Connections, c)
}

// word1 is a text as it is.
func word1(s string) (string, bool) { return s, true }

// exchange knows the modes; RouterOS takes no other word for one.
func exchange(word string) (string, bool) {
	return word, slices.Contains([]string{"main", "main-l2tp", "aggressive", "base", "ike2"}, word)
}

// peer is who may connect, and how.
func (r *reader) peer(c *posture.Connection, peer *entry) {
	mode := read(r, peer, "exchange-mode", exchange)
	two := mode.V == "ike2"
	c.V1, c.V2 = setting.As(mode, !two), setting.As(mode, two)
	c.Aggressive = setting.As(mode, mode.V == "aggressive")

	address := read(r, peer, "address", word1)
	c.AnyPeer = setting.As(address, isAny(address.V))
	if !c.AnyPeer.V {
		c.Address = setting.As(address, []string{address.V})
	}
	passive := read(r, peer, "passive", setting.Switch)
	role := posture.Answers | posture.Initiates
	switch {
	case passive.V:
		role = posture.Answers
	case c.AnyPeer.V:
		role = posture.Answers // nobody can be called
	}
	c.Role = setting.As(passive, role)
}

// inline tells whether a peer is its own profile, as it was before 6.43.
func (r *reader) inline(peer *entry) bool {
	for _, key := range lists[suite.ProtocolIKE] {
		if _, ok := peer.props[key]; ok {
			return true
		}
	}
	return r.defaults.Version.Known() && r.defaults.Before("6.43")
}

// phase1 is the profile of a peer.
func (r *reader) phase1(c *posture.Connection, name posture.Value[string]) {
	p := r.table.named("ip ipsec profile", name.V)
	if p == nil {
		r.in.Note(posture.Unparsed, name.At, "the profile is not in this file")
		return
	}
	c.Phase1 = p.name
	r.profile(c, p)
}

func (r *reader) profile(c *posture.Connection, p *entry) {
	c.IKE, c.IKEImplicit = r.proposals(p, suite.ProtocolIKE)
	c.IKELife = read(r, p, "lifetime", duration)
	c.DPD = read(r, p, "dpd-interval", dpd)
	c.NATT = read(r, p, "nat-traversal", setting.Switch)
	check := read(r, p, "proposal-check", word1)
	c.Obeys = setting.As(check, check.V == "obey")
	if posture.Is(c.V1, false) {
		c.Obeys = setting.As(c.V1, false) // IKEv2 does not negotiate lifetimes (RFC 7296, Section 2.8)
	}
	if ppk, ok := p.props["ppk"]; ok {
		c.PPK = posture.Written(demand(ppk.value), ppk.at, ppk.value)
	}
}

func demand(word string) posture.Demand {
	switch word {
	case "no", "":
		return posture.Never
	case "required":
		return posture.Always
	}
	return posture.Optional
}

// lists are the keys of a profile or proposal that make up a set of transforms.
var lists = map[suite.Protocol][3]string{
	suite.ProtocolIKE: {"enc-algorithm", "hash-algorithm", "dh-group"},
	suite.ProtocolESP: {"enc-algorithms", "auth-algorithms", "pfs-group"},
}

// kinds are the types of transforms that each of the keys has.
var kinds = [3][]suite.TransformType{{suite.Encr}, {suite.PRF, suite.Integ}, {suite.KE}}

// mostWords bounds a list of algorithms, of which there are some twenty.
const mostWords = 64

// proposals is what goes over the wire. Any of the ciphers goes with any of the
// hashes and groups, but those with integrity of their own go without a hash.
func (r *reader) proposals(e *entry, p suite.Protocol) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	keys := lists[p]
	var parts [3]posture.Value[[]string]
	var text []string
	all := posture.Value[[]posture.Proposal]{}
	var implied []suite.TransformType
	for i, key := range keys {
		parts[i] = read(r, e, key, setting.Commas)
		parts[i].V = parts[i].V[:min(len(parts[i].V), mostWords)]
		word := key + "=" + strings.Join(parts[i].V, ",")
		if parts[i].Origin == posture.Explicit {
			if all.Origin != posture.Explicit {
				all.Origin, all.At = posture.Explicit, parts[i].At
			}
		} else {
			word += " (default)"
			implied = append(implied, kinds[i]...)
		}
		text = append(text, word)
	}
	if all.Origin != posture.Explicit {
		all.Origin, all.At, all.Why = parts[0].Origin, parts[0].At, parts[0].Why
	}
	ciphers := translate(phase1, parts[0].V)
	if p == suite.ProtocolESP {
		ciphers = translate(phase2, parts[0].V)
	}
	rest := translate(groups, parts[2].V)
	if len(rest) == 1 && rest[0] == "none" {
		rest = nil
	}
	shown := strings.Join(text, " ")
	if all.Origin == posture.Explicit {
		all.Text = shown
	}
	all.V = split(p, shown, all.At, ciphers, translate(hashes, parts[1].V), rest)
	for i := range all.V {
		all.V[i].Implied = implied
		if parts[2].Origin == posture.Explicit {
			all.V[i].Groups = posture.Written(text[2], parts[2].At, text[2])
		}
	}
	return all, posture.Value[bool]{V: all.Origin != posture.Explicit, Origin: all.Origin, At: all.At, Why: all.Why}
}

// split keeps ciphers with and without integrity of their own apart.
func split(p suite.Protocol, text string, at posture.Pos, ciphers, hashes, groups []string) []posture.Proposal {
	var aead, plain []string
	for _, c := range ciphers {
		if a, ok := suite.ByKeyword(c); ok && a.AEAD() {
			aead = append(aead, c)
		} else {
			plain = append(plain, c)
		}
	}
	var all []posture.Proposal
	if len(aead) > 0 {
		words := slices.Concat(aead, groups)
		if p == suite.ProtocolIKE {
			words = append(words, prfs(hashes)...)
		}
		all = append(all, proposal.New(p, text, at, words...))
	}
	if len(plain) > 0 {
		all = append(all, proposal.New(p, text, at, slices.Concat(plain, hashes, groups)...))
	}
	return all
}

func prfs(hashes []string) []string {
	var words []string
	for _, h := range hashes {
		words = append(words, "prf"+h)
	}
	return words
}

// proof is how both sides prove themselves (the auth-method of an identity).
func (r *reader) proof(c *posture.Connection, id *entry) {
	method := read(r, id, "auth-method", word1)
	local, remote := posture.Auth{}, posture.Auth{}
	set := func(l, m posture.Method) {
		local.Method, remote.Method = setting.As(method, l), setting.As(method, m)
	}
	switch method.V {
	case "pre-shared-key", "pre-shared-key-xauth", "":
		set(posture.MethodPSK, posture.MethodPSK)
	case "digital-signature", "rsa-signature", "rsa-key":
		set(posture.MethodPubkey, posture.MethodPubkey)
		local.RawKey, remote.RawKey = method.V == "rsa-key", method.V == "rsa-key"
	case "eap":
		set(posture.MethodEAP, posture.MethodPubkey)
		if m, ok := id.props["eap-methods"]; ok {
			words, _ := setting.Commas(m.value)
			local.EAP = posture.Written(eapMethods(words), m.at, m.value)
		}
	case "eap-radius":
		set(posture.MethodPubkey, posture.MethodEAP)
	case "rsa-signature-hybrid":
		set(posture.MethodHybrid, posture.MethodXAUTH)
	default:
		r.in.Note(posture.Unparsed, method.At, "an authentication method that is not known")
	}
	local.ID = named(read(r, id, "my-id", word1))
	remote.ID = named(read(r, id, "remote-id", word1))
	local.CertFile, remote.CertFile = id.text("certificate"), id.text("remote-certificate")
	c.Local, c.Remote = []posture.Auth{local}, []posture.Auth{remote}
	if method.V == "pre-shared-key-xauth" {
		x := posture.Auth{Method: setting.As(method, posture.MethodXAUTH), XAUTH: true}
		if id.text("username") != "" || id.text("xauth-login") != "" {
			c.Local = append(c.Local, x)
		} else {
			c.Remote = append(c.Remote, x)
		}
	}
	r.identitySecrets(c, id, method.V)
	crl := read(r, r.table.one("certificate settings", r.file), "crl-use", setting.Switch)
	c.Revocation = setting.As(crl, posture.Never)
	if crl.V {
		c.Revocation.V = posture.Always
	}
}

// eapMethods are those of a client, in the words of package posture.
func eapMethods(words []string) []string {
	var all []string
	for _, w := range words {
		all = append(all, strings.ReplaceAll(strings.TrimPrefix(w, "eap-"), "-", ""))
	}
	return all
}

// named is an identity: "auto" is the address, "ignore" anything.
func named(v posture.Value[string]) posture.Value[string] {
	switch v.V {
	case "ignore":
		v.V = "%any"
	case "auto":
		v.V = ""
	default:
		if _, name, ok := strings.Cut(v.V, ":"); ok {
			v.V = name
		}
	}
	return v
}

// modeConfig is what clients are given.
func (r *reader) modeConfig(c *posture.Connection, id *entry) {
	c.Pool = setting.Of(r.defaults, []string(nil), id.at, true)
	name, ok := id.props["mode-config"]
	if !ok {
		c.AsksAddress = setting.Of(r.defaults, false, id.at, true)
		return
	}
	m := r.table.named("ip ipsec mode-config", name.value)
	if m == nil {
		return
	}
	asks := m.builtin != "" || m.text("responder") == "no"
	if c.AsksAddress = posture.Written(asks, name.at, name.value); asks {
		return
	}
	if p, ok := m.props["static-dns"]; ok {
		words, _ := setting.Commas(p.value)
		c.DNS = posture.Written(words, p.at, p.value)
	} else if system := read(r, m, "system-dns", setting.Switch); system.V {
		c.DNS = setting.As(system, []string{"system-dns"})
	} else {
		c.DNS = setting.As(system, []string(nil))
	}
	for _, key := range []string{"address-pool", "address"} {
		if p, ok := m.props[key]; ok {
			c.Pool = posture.Written([]string{p.value}, p.at, p.value)
		}
	}
}

// children are the policies of a peer, and the templates of its group where
// policies are made as the peer asks for them.
func (r *reader) children(c *posture.Connection, peer, id *entry) {
	group, generates := "default", false
	if id != nil {
		g := read(r, id, "generate-policy", word1)
		generates = g.V != "" && g.V != "no"
		if p := read(r, id, "policy-template-group", word1); p.V != "" {
			group = p.V
		}
	}
	var policies []*entry
	if generates {
		policies = r.templates[group]
	}
	policies = slices.Concat(policies, r.policies[peer.name])
	if address := host(peer.text("address")); address != peer.name {
		policies = append(policies, r.policies[address]...)
	}
	if len(policies) > mostChildren {
		r.in.Note(posture.Limit, policies[mostChildren].at, "more than %d policies of one peer: the rest is left out", mostChildren)
		policies = policies[:mostChildren]
	}
	for _, policy := range policies {
		r.child(c, policy, read(r, policy, "template", setting.Switch).V)
	}
	if mode, ok := peer.props["exchange-mode"]; ok && mode.value == "main-l2tp" && generates {
		// The mode is there for the clients of L2TP, who ask for transport mode.
		for i := range c.Children {
			if child := &c.Children[i]; !child.Transport.Known() { // of a template
				child.L2TP, child.Transport = true, posture.Written(true, mode.at, mode.value)
			}
		}
	}
	r.split(c, id)
}

// split holds clients to the networks of split-include, where the template of
// their policies is for all addresses.
func (r *reader) split(c *posture.Connection, id *entry) {
	if id == nil {
		return
	}
	m := r.table.named("ip ipsec mode-config", id.text("mode-config"))
	if m == nil || m.builtin != "" || m.text("responder") == "no" || m.text("split-include") == "" {
		return
	}
	p := m.props["split-include"]
	words, _ := setting.Commas(p.value)
	for i := range c.Children {
		if ts := &c.Children[i].LocalTS; len(ts.V) == 1 && (ts.V[0] == "0.0.0.0/0" || ts.V[0] == "::/0") {
			*ts = posture.Written(words, p.at, p.value)
		}
	}
}

// mostChildren bounds the policies of one peer.
const mostChildren = 256

// sortPolicies keeps templates by their group, and policies by their peer or,
// before 6.44, by its address.
func (r *reader) sortPolicies() {
	r.templates, r.policies = map[string][]*entry{}, map[string][]*entry{}
	for _, policy := range r.table.on("ip ipsec policy") {
		if read(r, policy, "template", setting.Switch).V {
			group := read(r, policy, "group", word1).V
			r.templates[group] = append(r.templates[group], policy)
			continue
		}
		names := []string{host(policy.text("sa-dst-address"))}
		if peers := policy.text("peer"); peers != "" {
			names, _ = setting.Commas(peers)
		}
		for _, name := range names[:min(len(names), mostWords)] {
			if name != "" {
				r.policies[name] = append(r.policies[name], policy)
			}
		}
	}
}

// host is an address without the length of its prefix.
func host(address string) string {
	address, _, _ = strings.Cut(address, "/")
	return address
}

// replayWindow is what RouterOS shows of its SAs; it cannot be set.
const replayWindow = 128

func (r *reader) child(c *posture.Connection, policy *entry, template bool) {
	if read(r, policy, "action", word1).V != "encrypt" {
		return
	}
	child := posture.Child{Subject: r.subject("child", fmt.Sprintf("%s[%d]", c.Name, len(c.Children)+1), policy.at)}
	tunnel := read(r, policy, "tunnel", setting.Switch)
	if !template {
		child.Transport = setting.As(tunnel, !tunnel.V)
	}
	protocols := read(r, policy, "ipsec-protocols", word1)
	child.AH = setting.As(protocols, strings.Contains(protocols.V, "ah"))
	if !template { // what is made of one goes when the peer does
		level := read(r, policy, "level", word1)
		child.FailOpen = setting.As(level, level.V == "use")
	}
	child.LocalTS, child.RemoteTS = selector(policy, "src-address"), selector(policy, "dst-address")
	if template && policy.builtin != "" && !child.LocalTS.Known() && len(c.Pool.V) > 0 {
		// The template that is always there is for all addresses, and a client
		// gets one of IPv4 alone.
		child.LocalTS = posture.ByDefault([]string{"0.0.0.0/0"}, policy.at, "the default template of RouterOS, and addresses of IPv4")
	}
	if template && policy.builtin != "" && !child.RemoteTS.Known() {
		child.RemoteTS = posture.ByDefault([]string{"0.0.0.0/0", "::/0"}, policy.at, "the default template of RouterOS")
		if c.AsksAddress.V {
			child.RemoteTS = posture.ByDefault([]string{"0.0.0.0/0"}, policy.at, "the default template of RouterOS, and an address of IPv4")
		}
	}
	protocol := read(r, policy, "protocol", word1).V
	child.L2TP = (protocol == "udp" || protocol == "17") && (policy.text("src-port") == "1701" || policy.text("dst-port") == "1701")
	r.phase2(&child, read(r, policy, "proposal", word1))
	if protocols.V == "ah" {
		child.ESP, child.ESPImplicit = posture.Value[[]posture.Proposal]{}, posture.Value[bool]{}
	}
	if template && joins(c, &child) {
		return
	}
	c.Children = append(c.Children, child)
}

// joins gives the addresses of a template to an earlier one of the group that is
// otherwise the same: a group has one for IPv4 and one for IPv6.
func joins(c *posture.Connection, child *posture.Child) bool {
	for i := range c.Children {
		o := &c.Children[i]
		same := o.Phase2 == child.Phase2 && o.AH.V == child.AH.V && o.FailOpen.V == child.FailOpen.V && o.L2TP == child.L2TP && o.Transport == child.Transport
		if !same || !o.LocalTS.Known() || !o.RemoteTS.Known() || !child.LocalTS.Known() || !child.RemoteTS.Known() {
			continue
		}
		o.LocalTS.V = union(o.LocalTS.V, child.LocalTS.V)
		o.RemoteTS.V = union(o.RemoteTS.V, child.RemoteTS.V)
		o.LocalTS.Text, o.RemoteTS.Text = strings.Join(o.LocalTS.V, ","), strings.Join(o.RemoteTS.V, ",")
		return true
	}
	return false
}

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func selector(policy *entry, key string) posture.Value[[]string] {
	p, ok := policy.props[key]
	if !ok {
		return posture.Value[[]string]{}
	}
	return posture.Written([]string{p.value}, p.at, p.value)
}

// phase2 is the proposal of a policy.
func (r *reader) phase2(child *posture.Child, name posture.Value[string]) {
	p := r.table.named("ip ipsec proposal", name.V)
	if p == nil {
		r.in.Note(posture.Unparsed, name.At, "the proposal is not in this file")
		return
	}
	child.Phase2 = p.name
	child.ESP, child.ESPImplicit = r.proposals(p, suite.ProtocolESP)
	pfs := read(r, p, "pfs-group", word1)
	child.PFS = setting.As(pfs, posture.Always)
	if pfs.V == "none" {
		child.PFS.V = posture.Never
	}
	child.Life = read(r, p, "lifetime", duration)
	child.Bytes = setting.Of(r.defaults, uint64(0), p.at, true)
	if n, ok := p.props["lifebytes"]; ok {
		child.Bytes, _ = setting.To(setting.Written(n.value, n.at), bytes64)
	}
	child.Replay = setting.Of(r.defaults, replayWindow, p.at, false)
}

func bytes64(s string) (uint64, bool) {
	n, ok := setting.Number(s)
	return uint64(max(n, 0)), ok
}

// l2tpConnection is what "use-ipsec" makes: a peer of its own with the profile
// and proposal named default, IKEv1, in transport mode.
func (r *reader) l2tpConnection(e *entry, name string, role posture.Role, address string) {
	use := r.get(e, "use-ipsec")
	r.dynamic(e, setting.Written(use.Text, use.At), name, role, address, true)
}

// overlays are tunnels whose ipsec-secret does for them what use-ipsec does for L2TP.
var overlays = []string{"interface gre", "interface gre6", "interface ipip", "interface ipipv6", "interface eoip", "interface eoipv6", "interface 6to4"}

func (r *reader) overlayConnections() {
	for _, menu := range overlays {
		for _, e := range r.table.on(menu) {
			if r.full || len(r.host.Connections) >= mostConnections || e.text("ipsec-secret") == "" {
				continue
			}
			at, before := e.props["ipsec-secret"].at, len(r.host.Secrets)
			r.dynamic(e, setting.Written("ipsec-secret", at), e.owner(), posture.Answers|posture.Initiates, e.text("remote-address"), false)
			r.stand(before, menu)
		}
	}
}

// dynamic is a peer that RouterOS makes by itself, for one entry of another menu.
func (r *reader) dynamic(e *entry, of setting.Setting, name string, role posture.Role, address string, l2tp bool) {
	c := posture.Connection{Subject: r.subject("connection", name, of.At), Product: product, Disabled: e.off()}
	yes, _ := setting.To(of, func(string) (bool, bool) { return true, true })
	c.Role = setting.As(yes, role)
	c.V1, c.V2, c.Aggressive = yes, setting.As(yes, false), setting.As(yes, false)
	c.AnyPeer = setting.As(yes, address == "")
	if address != "" {
		c.Address = setting.As(yes, []string{address})
	}
	profile := setting.As(yes, "default")
	r.phase1(&c, profile)
	psk := posture.Auth{Method: setting.As(yes, posture.MethodPSK)}
	c.Local, c.Remote = []posture.Auth{psk}, []posture.Auth{psk}
	child := posture.Child{Subject: r.subject("child", name+"[1]", of.At), Transport: yes, L2TP: l2tp}
	child.AH, child.FailOpen = setting.As(yes, false), setting.As(yes, false)
	r.phase2(&child, setting.As(yes, "default"))
	c.Children = []posture.Child{child}
	r.host.Connections = append(r.host.Connections, c)
	var ids []string
	if address != "" {
		ids = []string{address}
	}
	r.secret(e, "ipsec-secret", posture.PSK, name, ids, c.AnyPeer)
}

// daemon is what holds for all connections.
func (r *reader) daemon() {
	e := r.table.one("ip ipsec settings", r.file)
	if len(r.host.Connections) == 0 && len(e.props) == 0 {
		return
	}
	d := posture.Daemon{Subject: r.subject("daemon", "ipsec", e.at), Product: product}
	if r.serves() {
		accounting := read(r, e, "accounting", setting.Switch)
		d.Accounting = setting.As(accounting, accounting.V && r.asksRADIUS(e))
	}
	d.CRLFetch = read(r, r.table.one("certificate settings", r.file), "crl-download", setting.Switch)
	d.LogsSecrets = r.logsKeys()
	r.host.Daemons = append(r.host.Daemons, d)
}

// serves tells whether users connect by IKE: what comes by L2TP is PPP's to
// account, and a gateway at a fixed address is one session for ever.
func (r *reader) serves() bool {
	return slices.ContainsFunc(r.host.Connections, func(c posture.Connection) bool {
		l2tp := slices.ContainsFunc(c.Children, func(child posture.Child) bool { return child.L2TP })
		return !c.Disabled && !l2tp && posture.Is(c.AnyPeer, true) && slices.ContainsFunc(c.Remote, func(a posture.Auth) bool {
			return a.XAUTH || posture.Is(a.Method, posture.MethodEAP) || posture.Is(a.Method, posture.MethodXAUTH) || posture.Is(a.Method, posture.MethodHybrid)
		})
	})
}

// asksRADIUS tells whether there is anybody who accounts what IPsec does.
func (r *reader) asksRADIUS(settings *entry) bool {
	if read(r, settings, "xauth-use-radius", setting.Switch).V {
		return true
	}
	return slices.ContainsFunc(r.table.on("ip ipsec identity"), func(id *entry) bool { return id.text("auth-method") == "eap-radius" })
}

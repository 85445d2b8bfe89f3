package audit

import (
	"slices"
	"strconv"
	"strings"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/protocol/suite"
)

// hardened is one proposal as it should be. An AEAD cipher never stands beside
// one without (RFC 7296, Section 3.3).
type hardened struct {
	encr, prf, integ, ke, addKE, esn []suite.Transform
}

// advice is what the endpoint of one connection should have as a whole, so
// that the fixes of all its findings agree with each other.
type advice struct {
	v1   bool // nothing but IKEv1
	serv bool // native clients of IKEv1 come to it
	role posture.Role
	ike  []hardened
	esp  []hardened // of the child in question

	transport bool // the child's mode, which some dialects write beside its algorithms
}

// What takes the place of a class of algorithms of which nothing is left, best
// first. The first that the policy allows and the dialect can say is taken.
var (
	aeadChoice  = transforms("aes256gcm16", "aes128gcm16", "chacha20poly1305")
	cbcChoice   = transforms("aes256", "aes128")
	prfChoice   = transforms("prfsha384", "prfsha256", "prfsha512")
	integChoice = transforms("sha256", "sha384", "sha512")
	groupChoice = transforms("ecp384", "ecp256", "modp3072", "x25519", "modp4096")
	// Peers that have nothing but IKEv1 are old: they get a curve and a group of
	// integers, and no AEAD, which phase 1 has not.
	oldGroups = transforms("ecp256", "modp3072")
)

func transforms(words ...string) []suite.Transform {
	var out []suite.Transform
	for _, w := range words {
		out = append(out, transform(w))
	}
	return out
}

// adviser works out proposals for one connection.
type adviser struct {
	policy  *policy.Policy
	dialect posture.Dialect
	say     func(suite.Protocol, suite.Transform) bool // the dialect has a word for it
	v1, v2  bool                                       // which peers come
	clients string                                     // native clients of IKEv1 that do
	floor   int                                        // least strength of a cipher (CRY-017)
	level   bool                                       // though stronger ones stand beside it
	mobile  bool                                       // clients of IKEv2 do
	pfs     bool                                       // with forward secrecy, though clients may have none (CRY-010)
}

// newAdviser knows the connection's dialect and the peers that come to it.
func newAdviser(p *policy.Policy, c *posture.Connection, clients string) adviser {
	a := adviser{policy: p, dialect: c.Dialect, say: notations[c.Dialect].says, clients: clients, v1: posture.Is(c.V1, true), v2: !posture.Is(c.V1, true) || posture.Is(c.V2, true)}
	if clients != "" {
		a.v1, a.v2 = true, false
	}
	a.mobile = clients == "" && mobile(c)
	a.floor = a.least(c)
	return a
}

// about is the adviser for a rule. All rules have the same list, so that their
// advice agrees. Only what takes sound ciphers away (CRY-017), or asks of clients
// for what they mostly lack (CRY-010), is in the list of that rule alone.
func (a adviser) about(rule string, c *posture.Connection) adviser {
	switch rule {
	case "CRY-010":
		a.pfs = true
	case "CRY-017":
		a.level = true
	}
	return a
}

// advise works out what a connection and one of its children should have. For a
// connection by itself it is the first child, if there is one.
func (a adviser) advise(c *posture.Connection, child *posture.Child) advice {
	if child == nil && len(c.Children) > 0 {
		child = &c.Children[0]
	}
	l := list{protocol: suite.ProtocolESP}
	if child != nil {
		l = espList(child)
	}
	ike := a.harden(ikeList(c), nil)
	transport := child != nil && posture.Is(child.Transport, true)
	return advice{v1: !a.v2, serv: a.clients != "", role: c.Role.V, ike: ike, esp: a.harden(l, groups(ike)), transport: transport}
}

// quantum is the same advice with a post-quantum exchange in every proposal.
func (v advice) quantum(a adviser) advice {
	v.ike = slices.Clone(v.ike)
	for i := range v.ike {
		if len(v.ike[i].addKE) == 0 {
			v.ike[i].addKE = a.best(suite.ProtocolIKE, transforms("mlkem768", "mlkem1024"))
		}
	}
	return v
}

// least returns the strength that every cipher should have when those of the
// IKE SA and of its children are more than 64 bits apart; else 0. All children
// count: what is written for one must not part it from another.
func (a adviser) least(c *posture.Connection) int {
	ike := a.harden(ikeList(c), nil)
	parent, least := groups(ike), cipherBits(ike)
	most := least
	for i := range c.Children {
		bits := cipherBits(a.harden(espList(&c.Children[i]), parent))
		least, most = min(least, bits), max(most, bits)
	}
	if most-least > mostApart {
		return most - mostApart
	}
	return 0
}

// cipherBits is the strength of the weakest cipher.
func cipherBits(list []hardened) int {
	least := 0
	for _, h := range list {
		for _, t := range h.encr {
			if b := verdicts[t].bits; b > 0 && (least == 0 || b < least) {
				least = b
			}
		}
	}
	return least
}

// groups are all key exchanges of a list, each once.
func groups(list []hardened) []suite.Transform {
	var out []suite.Transform
	for _, h := range list {
		for _, t := range h.ke {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// harden is what remains of the written proposals after everything that a rule
// or the policy objects to is gone, with a replacement for each class of which
// nothing is left. Where only defaults are in force, all is replaced: it is
// better to write a short list than to repeat a long one.
func (a adviser) harden(l list, parent []suite.Transform) []hardened {
	var written []posture.Proposal
	for _, p := range l.value.V {
		if !l.byDefault(p) {
			written = append(written, p)
		}
	}
	if slices.ContainsFunc(written, encrypts) { // what has no cipher is AH, and goes
		written = slices.DeleteFunc(written, func(p posture.Proposal) bool { return !encrypts(p) })
	}
	if !a.level && a.reaches(l.protocol, written) {
		a.floor = 0
	}
	if a.clients != "" {
		if out := a.forClients(l.protocol, written, parent); len(out) > 0 {
			return out
		}
	}
	if len(written) == 0 {
		written = []posture.Proposal{{}}
	}
	var out []hardened
	for _, p := range written {
		for _, h := range a.rework(l.protocol, p, parent, len(written) > 1) {
			if a.mobile && l.protocol == suite.ProtocolESP {
				h.ke = a.secrecy(written, parent)
			}
			out = addProposal(out, h)
		}
	}
	if a.mobile && !a.reaches(l.protocol, written) {
		out = a.withProfile(l.protocol, out)
	}
	// The last choice of peers of IKEv1 must not go unnoticed, unless the policy
	// has nothing for them.
	if l.protocol == suite.ProtocolIKE && a.v1 && len(a.keep(l.protocol, cbcChoice)) > 0 && !slices.ContainsFunc(out, func(h hardened) bool { return !aead(h.encr[0]) }) {
		old := adviser{policy: a.policy, say: a.say, v1: true, floor: a.floor}
		for _, h := range old.rework(l.protocol, posture.Proposal{}, parent, false) {
			out = addProposal(out, h)
		}
	}
	return out
}

// reaches tells whether proposals have a sound cipher of the strength that all should
// have. What is sound beside it then stays for peers that have nothing better,
// and only the rule of that strength takes it away.
func (a adviser) reaches(proto suite.Protocol, list []posture.Proposal) bool {
	return slices.ContainsFunc(list, func(p posture.Proposal) bool { return len(a.keep(proto, p.Of(suite.Encr))) > 0 })
}

// addProposal adds one that is not there yet.
func addProposal(list []hardened, h hardened) []hardened {
	same := func(o hardened) bool {
		return slices.Equal(o.encr, h.encr) && slices.Equal(o.integ, h.integ) && slices.Equal(o.prf, h.prf) && slices.Equal(o.ke, h.ke) && slices.Equal(o.addKE, h.addKE)
	}
	if slices.ContainsFunc(list, same) {
		return list
	}
	return append(list, h)
}

// rework hardens one proposal: one or two come of it, with AEAD and without.
func (a adviser) rework(proto suite.Protocol, p posture.Proposal, parent []suite.Transform, among bool) []hardened {
	prf, integ := a.keep(proto, p.Of(suite.PRF)), orElse(a.keep(proto, p.Of(suite.Integ)), a.best(proto, integChoice))
	with, without := a.ciphers(proto, p, among, len(integ) > 0)
	rest := hardened{ke: a.groups(proto, p, parent), addKE: a.keep(proto, p.AddKE), esn: p.Of(suite.ESN)}
	if len(rest.addKE) == 0 && slices.ContainsFunc(p.AddKE, func(t suite.Transform) bool { return t != noGroup }) {
		rest.addKE = a.best(proto, postQuantum) // another than the policy's was there
	}
	var out []hardened
	if len(with) > 0 {
		h := rest
		h.encr = with
		if proto == suite.ProtocolIKE {
			h.prf = orElse(prf, a.pick(proto, prfChoice))
		}
		out = append(out, h)
	}
	if len(without) > 0 {
		h := rest
		h.encr, h.integ = without, orElse(integ, a.pick(proto, integChoice))
		if proto == suite.ProtocolIKE {
			h.prf = orElse(orElse(prf, a.keep(proto, prfsOf(h.integ))), a.pick(proto, prfChoice))
		}
		out = append(out, h)
	}
	return out
}

// ciphers are those to keep, or what takes their place: AEAD, and for peers of
// IKEv1, or for those that a proposal without AEAD was written for beside
// others, CBC. Without a hash that policy and dialect have, CBC is of no use.
func (a adviser) ciphers(proto suite.Protocol, p posture.Proposal, among, hash bool) (with, without []suite.Transform) {
	for _, t := range a.keep(proto, p.Of(suite.Encr)) {
		switch {
		case aead(t):
			with = append(with, t)
		case hash:
			without = append(without, t)
		}
	}
	if len(with)+len(without) > 0 {
		return with, without
	}
	cbc := a.best(proto, cbcChoice)
	if !hash {
		cbc = nil
	}
	if a.v2 || len(cbc) == 0 {
		with = a.best(proto, aeadChoice)
	}
	if len(with) == 0 || among && len(p.Of(suite.Integ)) > 0 {
		without = cbc
	}
	if len(with)+len(without) == 0 {
		without = a.pick(proto, cbcChoice) // the policy asks for what the dialect cannot say
	}
	return with, without
}

// groups are the key exchanges to keep. A child's are as strong as its IKE
// SA's, or they are the IKE SA's (CRY-010, CRY-011).
func (a adviser) groups(proto suite.Protocol, p posture.Proposal, parent []suite.Transform) []suite.Transform {
	kept := a.keep(proto, p.Of(suite.KE))
	if proto == suite.ProtocolESP && len(parent) > 0 {
		kept = slices.DeleteFunc(kept, func(t suite.Transform) bool { return verdicts[t].bits < groupBits(parent) })
		if a.policy.Number(policy.EqualGroups) != 0 {
			kept = nil
		}
		kept = orElse(kept, a.keep(proto, parent))
	}
	if len(kept) > 0 {
		return kept
	}
	if a.clients != "" && proto == suite.ProtocolIKE {
		if known := a.keep(proto, native[proto][0].ke); len(known) > 0 {
			return known
		}
	}
	if a.mobile && proto == suite.ProtocolIKE {
		if known := a.keep(proto, mobileGroups); len(known) > 0 {
			return known
		}
	}
	if !a.v2 {
		if old := a.keep(proto, oldGroups); len(old) > 0 {
			return old
		}
	}
	return a.pick(proto, groupChoice)
}

// groupBits is the strength of the weakest group.
func groupBits(list []suite.Transform) int {
	least := 0
	for _, t := range list {
		if b := verdicts[t].bits; least == 0 || b < least {
			least = b
		}
	}
	return least
}

// keep are the transforms that nothing speaks against, each once, in their order.
func (a adviser) keep(proto suite.Protocol, list []suite.Transform) []suite.Transform {
	var out []suite.Transform
	for _, t := range list {
		if a.good(proto, t) && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// good tells whether a transform can stay.
func (a adviser) good(proto suite.Protocol, t suite.Transform) bool {
	if t == noIntegrity || t == noGroup || !a.say(proto, t) || !a.policy.Allows(t) {
		return false
	}
	if proto == suite.ProtocolIKE && !a.v2 && aead(t) {
		return false // phase 1 of IKEv1 has no AEAD
	}
	v := verdictOf(t, proto)
	switch {
	case (a.clients != "" || a.mobile) && proto == suite.ProtocolIKE && t == appleGroup && v.bits >= a.policy.Number(policy.GroupBits):
		return true
	case !v.ok() && !a.policy.Off(v.rule):
		return false
	case t.Type == suite.Encr:
		return v.bits >= a.floor
	case t.Type == suite.KE:
		return v.bits >= a.policy.Number(policy.GroupBits)
	}
	return true
}

// best is the first good one, if there is one.
func (a adviser) best(proto suite.Protocol, choice []suite.Transform) []suite.Transform {
	good := a.keep(proto, choice)
	return good[:min(1, len(good))]
}

// pick is the first good one. Where a policy allows none of them, its own list
// is at odds with the dialect, and the first that can be said is named.
func (a adviser) pick(proto suite.Protocol, choice []suite.Transform) []suite.Transform {
	if good := a.best(proto, choice); len(good) > 0 {
		return good
	}
	for _, t := range choice {
		if a.say(proto, t) && !(proto == suite.ProtocolIKE && !a.v2 && aead(t)) {
			return []suite.Transform{t}
		}
	}
	return nil
}

func orElse(list, other []suite.Transform) []suite.Transform {
	if len(list) > 0 {
		return list
	}
	return other
}

// prfsOf are the PRFs that follow from hashes.
func prfsOf(integ []suite.Transform) []suite.Transform {
	var out []suite.Transform
	for _, t := range integ {
		if prf := suite.PRFOfHash(t); prf != (suite.Transform{}) {
			out = append(out, prf)
		}
	}
	return orElse(out, transforms("prfsha256"))
}

// book finds the advice for the findings of one host: a host may have very many
// of both.
type book struct {
	policy   *policy.Policy
	subjects map[posture.Subject]place
	settings map[posture.Subject]string // of secrets
	makers   map[string]string          // of RouterOS: the menus of tunnels that have a peer made for them, by name
	peers    map[string]bool            // names of the connections of RouterOS
	advisers map[*posture.Connection]adviser
	lines    map[lineKey]lines
	host     *posture.Host
	kinds    map[posture.Subject]posture.SecretKind
	tunnels  map[string]bool          // peers of WireGuard by name
	pooled   map[posture.Subject]bool // connections, and their children, that give clients an address
}

// lineKey names lines that several findings share.
type lineKey struct {
	subject posture.Subject
	rule    string // with a list of its own
}

// lines are what stands for {proposals}, {ike}, {esp} and {quantum}; both is for a
// finding about the IKE SA and its child together.
type lines struct{ proposals, both, ike, esp, quantum string }

// place is a connection, or a child of it.
type place struct {
	conn  *posture.Connection
	child *posture.Child
}

func newBook(p *policy.Policy, h *posture.Host) *book {
	b := &book{policy: p, host: h, subjects: map[posture.Subject]place{}, settings: map[posture.Subject]string{}, makers: map[string]string{}, peers: map[string]bool{}, advisers: map[*posture.Connection]adviser{}, lines: map[lineKey]lines{},
		kinds: map[posture.Subject]posture.SecretKind{}, tunnels: map[string]bool{}, pooled: map[posture.Subject]bool{}}
	for i := range h.Secrets {
		b.kinds[h.Secrets[i].Subject] = h.Secrets[i].Kind
		if s := &h.Secrets[i]; s.Setting != "" {
			b.settings[s.Subject] = s.Setting
			if s.Dialect == posture.RouterOS && strings.HasPrefix(s.Setting, "interface ") {
				b.makers[s.Name] = s.Setting
			}
		}
	}
	for i := range h.Connections {
		c := &h.Connections[i]
		if c.Dialect == posture.RouterOS {
			b.peers[c.Name] = true
		}
		if c.Disabled {
			continue // a server that does not answer may have the name of one that does
		}
		for k := range c.Children {
			b.subjects[c.Children[k].Subject] = place{c, &c.Children[k]}
			b.pooled[c.Children[k].Subject] = givesAddresses(c)
		}
		b.subjects[c.Subject] = place{conn: c}
		b.pooled[c.Subject] = givesAddresses(c)
	}
	for i := range h.Tunnels {
		for k := range h.Tunnels[i].Peers {
			b.tunnels[h.Tunnels[i].Peers[k].Name] = true
		}
	}
	return b
}

// find returns the connection, and the child, that a finding is about. A finding
// about something else gets advice for a connection of which nothing is known.
func (b *book) find(s posture.Subject) (place, adviser) {
	at, ok := b.subjects[s]
	if !ok {
		at = place{conn: &posture.Connection{Subject: s}}
		return at, newAdviser(b.policy, at.conn, "")
	}
	a, ok := b.advisers[at.conn]
	if !ok {
		a = newAdviser(b.policy, at.conn, clientsOf(b.host, at.conn))
		b.advisers[at.conn] = a
	}
	return at, a
}

// fix is what to write for a finding: its own text, or the rule's for the dialect,
// with the words in braces replaced.
func (b *book) fix(r *Result) string {
	at, a := b.find(r.Subject)
	text := b.text(r, at.conn)
	if r.Subject.Dialect == posture.WireGuard && strings.HasSuffix(r.Subject.At.File, ".netdev") {
		text = ofNetworkd.Replace(text)
	}
	if first := condition(r, at.conn, a.clients); first != "" {
		text = remark(r.Subject.Dialect, first) + text
	}
	if !strings.Contains(text, "{") {
		return text
	}
	l := b.linesOf(r.Subject, at, a, r.Rule.ID)
	if r.Rule.ID == "CRY-017" {
		l.proposals = l.both
		if all := b.linesOf(r.Subject, at, a, ""); l.ike != all.ike || l.esp != all.esp {
			l.proposals = remark(r.Subject.Dialect, levelFirst) + l.both
		}
	}
	text = strings.ReplaceAll(text, "{proposals}", l.proposals)
	text = strings.NewReplacer("{ike}", l.ike, "{esp}", l.esp, "{quantum}", l.quantum, "{ikev2}", b.libreswanV2(at.conn)).Replace(text)
	if !b.policy.Allows(transform("mlkem768")) && b.policy.Allows(transform("mlkem1024")) {
		text = strings.ReplaceAll(text, "mlkem768", "mlkem1024") // of CNSA 2.0
	}
	// Readers name a child after its connection, where the file does not.
	name, conn := strings.TrimPrefix(r.Subject.Name, at.conn.Name+"/"), plain(at.conn.Name)
	if r.Subject.Dialect == posture.FortiOS {
		text, name, conn = inDomain(b.policyBased(text, r.Subject, at.conn), r.Subject.Name, at.conn.Name)
	}
	if k := r.Subject.Kind; k == "daemon" || k == "eap" {
		conn = "NAME" // of any connection
	}
	fill := strings.NewReplacer("{name}", plain(name), "{conn}", conn, "{setting}", plain(b.settings[r.Subject]), "{phase1}", plain(at.conn.Phase1), "{phase2}", plain(groupOf(at)), "{id}", strings.ReplaceAll(conn, " ", "-"))
	if text = fill.Replace(text); r.Subject.Dialect == posture.RouterOS {
		text = dynamic(unnamed(text, at.conn), at.conn, b.makers[at.conn.Name])
		text = b.further(text, at.conn.Name)
	}
	return text
}

// ofNetworkd are the sections of systemd.netdev(5).
var ofNetworkd = strings.NewReplacer("[Interface]", "[WireGuard]", "[Peer]", "[WireGuardPeer]")

// text is what a fix is made of: the finding's own, what there is for the kind of
// its subject, or the rule's.
func (b *book) text(r *Result, c *posture.Connection) string {
	d, id := r.Subject.Dialect, r.Rule.ID
	switch special := b.special(r); {
	case r.Fix != "":
		return r.Fix
	case special != "":
		return special
	case id == "KEY-002" && mobile(c) && (d == posture.Swanctl || d == posture.Starter):
		return longer.Replace(r.Rule.Fix[d])
	case id == "CRY-022" && posture.Is(c.V1, true) && (posture.Is(c.V2, false) || b.advisers[c].clients != ""):
		v2, _ := ByID("CRY-012")
		if b.advisers[c].clients != "" {
			if move := b.vyosSpecial(r.Subject, v2.ID); d == posture.VyOS && move != "" {
				return move
			}
			return v2.Fix[d] // what IKEv2 has more is for the connection that they move to
		}
		return v2.Fix[d] + "\n" + r.Rule.Fix[d]
	}
	return r.Rule.Fix[d]
}

// LibreswanV2 is how a connection of Libreswan is told to take IKEv2 alone. Before
// 5.0 it does not know the word that later ones want, and that counts before the
// old one where it is written.
func (v Advice) LibreswanV2(c *posture.Connection) (key, value string) {
	known := slices.ContainsFunc(v.book.host.Products, func(p posture.Product) bool {
		return p.Dialect == posture.Libreswan && p.Version.Known() && p.Version.V != "" && !proposal.Before(p.Version.V, "5.0")
	})
	if known || c != nil && strings.HasPrefix(c.V1.Text, "keyexchange") {
		return "keyexchange", "ikev2"
	}
	return "ikev2", "insist"
}

func (b *book) libreswanV2(c *posture.Connection) string {
	key, value := Advice{b}.LibreswanV2(c)
	if key == "ikev2" {
		value += "  # from 5.0 on: keyexchange=ikev2"
	}
	return key + "=" + value
}

// further writes lines for one of several identities of a peer of RouterOS: readers
// have the second as "peer/2".
func (b *book) further(lines, name string) string {
	if b.peers[name+"/2"] {
		return strings.ReplaceAll(lines, `[find peer="`+plain(name)+`"]`, `([find peer="`+plain(name)+`"]->0)`)
	}
	i := strings.LastIndexByte(name, '/')
	n, err := strconv.Atoi(name[i+1:])
	if i < 0 || err != nil || n < 2 || !b.peers[name[:i]] {
		return lines
	}
	peer := plain(name[:i])
	return strings.NewReplacer(
		`[find peer="`+plain(name)+`"]`, `([find peer="`+peer+`"]->`+strconv.Itoa(n-1)+`)`,
		`[find name="`+plain(name)+`"]`, `[find name="`+peer+`"]`,
	).Replace(lines)
}

// policyBased writes lines for a tunnel of a FortiGate that has no interface of its
// own, whose phases stand in other tables.
func (b *book) policyBased(text string, s posture.Subject, c *posture.Connection) string {
	const table = "vpn ipsec phase1"
	if c.Table != table && b.settings[s] != table {
		return text
	}
	return strings.NewReplacer("phase1-interface", "phase1", "phase2-interface", "phase2").Replace(text)
}

// inDomain takes the virtual domain off the names of a FortiGate, "domain/name",
// and says first in which the lines stand.
func inDomain(text, name, conn string) (string, string, string) {
	domain, inner, ok := strings.Cut(name, "/")
	if !ok {
		return text, name, plain(conn)
	}
	return "# in the virtual domain " + plain(domain) + "\n" + text, inner, plain(strings.TrimPrefix(conn, domain+"/"))
}

// groupOf is the set of parameters of a child, or of a connection's first.
func groupOf(at place) string {
	switch {
	case at.child != nil:
		return at.child.Phase2
	case len(at.conn.Children) > 0:
		return at.conn.Children[0].Phase2
	}
	return ""
}

// linesOf writes the advice for a subject in its dialect, once.
func (b *book) linesOf(s posture.Subject, at place, a adviser, rule string) lines {
	if rule != "CRY-010" && rule != "CRY-017" {
		rule = ""
	}
	key := lineKey{s, rule}
	if l, ok := b.lines[key]; ok {
		return l
	}
	var l lines
	if n := notations[s.Dialect]; n.words != nil {
		advice := a.about(rule, at.conn).advise(at.conn, at.child)
		if at.conn.Phase1 == "" && n.ikeNew != "" {
			n.ikeLine, n.espLine = n.ikeNew, n.espNew
		}
		ike, esp := n.command(n.ikeLine, advice.role), n.command(n.espLine, advice.role)
		if len(groups(advice.esp)) == 0 {
			n.pfs = n.noPFS
		}
		esp = strings.ReplaceAll(esp, "{pfs}", n.pfs)
		l = lines{ike, ike, n.ike(advice), n.esp(advice), n.ike(advice.quantum(a))}
		if at.child != nil {
			l.proposals = esp
		}
		if esp != ike {
			l.both = ike + "\n" + esp
		}
	}
	b.lines[key] = l
	return l
}

// plain is a name that can stand in a line somebody pastes into a shell or a
// configuration. A name with anything else in it comes from a file that may be
// hostile and is left to the reader.
func plain(name string) string {
	const longest = 128
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@:/%+* ", r)
	}
	// The padding of base64, of which WireGuard's names are.
	if name == "" || len(name) > longest || strings.ContainsFunc(strings.TrimRight(name, "="), func(r rune) bool { return !ok(r) }) {
		return "NAME"
	}
	return name
}

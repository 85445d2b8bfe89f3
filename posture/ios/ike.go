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

// mostProposals bounds those of one version; real ones have ten.
const mostProposals = 256

// policies1 are the proposals of IKEv1: every policy is one of its own.
func (r *reader) policies1() (all posture.Value[[]posture.Proposal], implicit posture.Value[bool]) {
	for _, l := range r.root.all("crypto", "isakmp", "policy") {
		if l.no || len(all.V) == mostProposals {
			continue
		}
		all.V = append(all.V, r.policy1(l))
		if !all.Known() {
			all.Origin, all.At = posture.Explicit, l.at
		}
	}
	if all.Known() {
		return listed(all)
	}
	if off := r.root.find("crypto", "isakmp", "default", "policy"); off != nil && off.no {
		return written(off, []posture.Proposal(nil)), written(off, false)
	}
	return r.defaults1(), setting.Of(r.defaults, true, r.root.at, false)
}

// listed is a list that is written, with all of its text.
func listed(all posture.Value[[]posture.Proposal]) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	var text []string
	for _, p := range all.V {
		text = append(text, p.Text)
	}
	all.Text = strings.Join(text, "; ")
	return all, posture.Value[bool]{Origin: posture.Explicit, At: all.At, Text: all.Text}
}

// defaults1 are the policies 65507 to 65514, which count where there are no
// others (IOS 12.4(20)T and later).
func (r *reader) defaults1() posture.Value[[]posture.Proposal] {
	var all []posture.Proposal
	for _, words := range [][]string{{"aes128", "sha1", "modp1536"}, {"aes128", "md5", "modp1536"}, {"3des", "sha1", "modp1024"}, {"3des", "md5", "modp1024"}} {
		all = append(all, proposal.New(suite.ProtocolIKE, "default policy "+joined(words), r.root.at, words...))
	}
	return setting.Of(r.defaults, all, r.root.at, false)
}

// policy1 is one policy: what it does not say is DES, SHA-1 and group 1.
func (r *reader) policy1(l *line) posture.Proposal {
	var words, text []string
	var implied []suite.TransformType
	for i, part := range []struct {
		names  []string
		table  map[string]string
		absent string
	}{{[]string{"encr", "encryption"}, ciphers, "des"}, {[]string{"hash"}, hashes, "sha"}, {[]string{"group"}, nil, "1"}} {
		value, word := part.absent, part.names[0]
		note := " (default)"
		for _, name := range part.names {
			if b := l.find(name); b != nil && !b.no {
				value, note = joined(b.words[1:]), ""
			}
		}
		if note != "" {
			implied = append(implied, kinds[i]...)
		}
		text = append(text, word+" "+value+note)
		words = append(words, keyword(part.table, value))
	}
	p := proposal.New(suite.ProtocolIKE, l.text+": "+strings.Join(text, ", "), l.at, words...)
	p.Implied = implied
	return p
}

// kinds are the types of transforms that the words of a policy stand for.
var kinds = [3][]suite.TransformType{{suite.Encr}, {suite.PRF, suite.Integ}, {suite.KE}}

// keyword translates one word; without a table it is the number of a group.
func keyword(table map[string]string, word string) string {
	if table == nil {
		if g, ok := proposal.Group(word); ok {
			return g
		}
		return "group" + word
	}
	return translate(table, []string{word})[0]
}

// life1 is the longest lifetime of the policies: the peer may ask for it.
func (r *reader) life1() posture.Value[time.Duration] {
	life := posture.Value[time.Duration]{}
	for _, l := range r.root.all("crypto", "isakmp", "policy") {
		v := setting.Of(r.defaults, 24*time.Hour, l.at, true)
		if b := l.find("lifetime"); b != nil {
			v, _ = setting.To(setting.Written(b.word(1), b.at), setting.Seconds)
		}
		if !life.Known() || v.V > life.V {
			life = v
		}
	}
	if !life.Known() {
		life = setting.Of(r.defaults, 24*time.Hour, r.root.at, true)
	}
	return life
}

// method1 is how IKEv1 proves itself: a policy without a word asks for RSA.
func (r *reader) method1() posture.Value[posture.Method] {
	method := setting.Of(r.defaults, posture.MethodPubkey, r.root.at, false)
	policies := r.root.all("crypto", "isakmp", "policy")
	for _, l := range policies {
		if b := l.find("authentication"); b != nil && b.word(1) == "pre-share" {
			return written(b, posture.MethodPSK)
		} else if b != nil {
			method = written(b, posture.MethodPubkey)
		}
	}
	if len(policies) == 0 && r.hasPSK() {
		return setting.Of(r.defaults, posture.MethodPSK, r.root.at, false)
	}
	return method
}

// hasPSK tells whether there is a key for one of the default policies.
func (r *reader) hasPSK() bool {
	return len(r.root.all("crypto", "isakmp", "key")) > 0 || slices.ContainsFunc(r.root.all("crypto", "keyring"), func(l *line) bool { return l.find("pre-shared-key") != nil })
}

// proposals2 are those of IKEv2: the ones that policies name, or the default.
func (r *reader) proposals2() (all posture.Value[[]posture.Proposal], implicit posture.Value[bool]) {
	for _, policy := range r.root.all("crypto", "ikev2", "policy") {
		for _, use := range policy.all("proposal") {
			for _, name := range use.words[1:] {
				if len(all.V) >= mostProposals {
					break
				}
				if l := r.root.find("crypto", "ikev2", "proposal", name); l != nil {
					all.V = append(all.V, r.proposal2(l)...)
					if !all.Known() {
						all.Origin, all.At = posture.Explicit, l.at
					}
				} else if name == "default" {
					all.V = append(all.V, r.default2().V...)
				}
			}
		}
	}
	if all.Known() {
		return listed(all)
	}
	// A proposal named default replaces the built-in one.
	if l := r.root.find("crypto", "ikev2", "proposal", "default"); l != nil && !l.no && len(l.below) > 0 {
		return written(l, r.proposal2(l)), written(l, false)
	}
	all = r.default2()
	return all, setting.As(all, true)
}

// proposal2 is one proposal, in two where ciphers with and without integrity of
// their own are mixed.
func (r *reader) proposal2(l *line) []posture.Proposal {
	part := func(name string, table map[string]string) (words []string) {
		for _, b := range l.all(name) {
			for _, w := range b.words[1:] {
				words = append(words, keyword(table, w))
			}
		}
		return words
	}
	text := []string{l.text}
	for _, b := range l.below {
		text = append(text, b.text)
	}
	integ, prfs := part("integrity", hashes), part("prf", hashes)
	for i, p := range prfs {
		prfs[i] = "prf" + p
	}
	all := split(strings.Join(text, ", "), l.at, part("encryption", ciphers), integ, slices.Concat(prfs, part("group", nil)))
	if b := l.find("pqc"); b != nil && !b.no {
		for i := range all {
			all[i].AddKE = kems(b.words[1:])
		}
	}
	return all
}

// kems are additional key exchanges, "mlkem768 mlkem1024 optional": the last
// word lets the peer go without.
func kems(words []string) []suite.Transform {
	var all []suite.Transform
	for _, w := range words {
		if w == "optional" {
			w = "modpnone"
		}
		if a, ok := suite.ByKeyword(w); ok && a.Type == suite.KE {
			all = append(all, a.Transform)
		}
	}
	return all
}

func split(text string, at posture.Pos, encryption, integrity, rest []string) []posture.Proposal {
	var aead, plain []string
	for _, c := range encryption {
		if a, ok := suite.ByKeyword(c); ok && a.AEAD() {
			aead = append(aead, c)
		} else {
			plain = append(plain, c)
		}
	}
	var all []posture.Proposal
	if len(aead) > 0 {
		all = append(all, proposal.New(suite.ProtocolIKE, text, at, slices.Concat(aead, rest)...))
	}
	if len(plain) > 0 {
		all = append(all, proposal.New(suite.ProtocolIKE, text, at, slices.Concat(plain, integrity, rest)...))
	}
	return all
}

// smart are the built-in proposals of IKEv2, oldest first. IOS XE 17.11 took out
// what is weak, and 26.1 brought ML-KEM.
var smart = []struct{ before, words, pqc string }{
	{"16.8", "aes256 aes192 aes128 sha512 sha384 sha256 sha1 md5 modp1536 modp1024", ""},
	{"17.11", "aes256 sha512 sha384 ecp256 modp2048 ecp521 modp1536", ""},
	{"26.1", "aes256 sha512 sha384 ecp256 modp2048 ecp521", ""},
	{"", "aes256 sha512 sha384 ecp256 modp2048 ecp521", "mlkem768 mlkem1024 optional"},
}

func (r *reader) default2() posture.Value[[]posture.Proposal] {
	for _, s := range smart {
		if s.before == "" || r.defaults.Before(s.before) {
			p := proposal.New(suite.ProtocolIKE, "default proposal", r.root.at, strings.Fields(s.words)...)
			p.AddKE = kems(strings.Fields(s.pqc))
			return setting.Of(r.defaults, []posture.Proposal{p}, r.root.at, false)
		}
	}
	return posture.Value[[]posture.Proposal]{}
}

// profile2 fills in what an IKEv2 profile says.
func (r *reader) profile2(c *posture.Connection, l *line) {
	c.V1, c.V2 = written(l, false), written(l, true)
	c.IKE, c.IKEImplicit = r.second.proposals, r.second.implicit
	c.Local, c.Remote = []posture.Auth{{}}, []posture.Auth{{}}
	r.proofs2(c, l)
	if id := l.find("identity", "local"); id != nil {
		c.Local[0].ID = written(id, id.word(3))
	}
	r.matches2(c, l)
	c.IKELife = setting.Of(r.defaults, 24*time.Hour, l.at, true)
	if b := l.find("lifetime"); b != nil {
		c.IKELife, _ = setting.To(setting.Written(b.word(1), b.at), setting.Seconds)
	}
	for _, d := range []*line{r.root.find("crypto", "ikev2", "dpd"), l.find("dpd")} {
		if d != nil {
			c.DPD, _ = setting.To(setting.Written(d.words[min(len(d.words)-1, 1)], d.at), setting.Seconds)
			if d.has("crypto") {
				c.DPD, _ = setting.To(setting.Written(d.word(3), d.at), setting.Seconds)
			}
		}
	}
	if !c.DPD.Known() {
		c.DPD = setting.Of(r.defaults, time.Duration(0), l.at, false)
	}
	c.Fragments = r.flag(false, "crypto", "ikev2", "fragmentation")
	c.PPK = r.ppk(l)
	if t := l.find("pki", "trustpoint"); t != nil {
		c.Revocation = r.revocation(t.word(2))
	} else if slices.ContainsFunc(slices.Concat(c.Local, c.Remote), func(a posture.Auth) bool { return a.Method.V == posture.MethodPubkey }) {
		c.Revocation = r.anyRevocation()
	}
	r.authorization(c, l)
}

// ppk is whether a key that was shared beforehand is mixed in (RFC 8784): it is
// where a profile names a keyring for it, and must be where a peer of that says
// so.
func (r *reader) ppk(l *line) posture.Value[posture.Demand] {
	if all := l.all("keyring", "ppk"); len(all) > 0 {
		k := all[0]
		d := posture.Optional
		if ring := r.root.find("crypto", "ikev2", "keyring", k.word(2)); ring != nil {
			for _, peer := range ring.all("peer") {
				if p := peer.find("ppk"); p != nil && p.words[len(p.words)-1] == "required" {
					d = posture.Always
				}
			}
		}
		return written(k, d)
	}
	return setting.Of(r.defaults, posture.Never, l.at, true)
}

// methods2 are the words of "authentication local" and "remote".
var methods2 = map[string]posture.Method{"pre-share": posture.MethodPSK, "rsa-sig": posture.MethodPubkey, "ecdsa-sig": posture.MethodPubkey, "eap": posture.MethodEAP, "anyconnect-eap": posture.MethodEAP}

func (r *reader) proofs2(c *posture.Connection, l *line) {
	sides := map[string]*posture.Auth{"local": &c.Local[0], "remote": &c.Remote[0]}
	for _, b := range l.all("authentication") {
		if a := sides[b.word(1)]; a != nil && !a.Method.Known() || a != nil && methods2[b.word(2)] == posture.MethodPSK {
			// The rest of the line may have the key itself, or a password for EAP.
			a.Method = posture.Written(methods2[b.word(2)], b.at, joined(b.words[:min(3, len(b.words))]))
			if b.word(2) == "anyconnect-eap" {
				a.EAP = written(b, []string{"anyconnect"})
			}
		}
	}
	for _, a := range sides {
		if !a.Method.Known() {
			// Both must be there before the profile is used at all.
			a.Method = setting.Of(r.defaults, posture.MethodPubkey, l.at, false)
		}
	}
}

// matches2 is whom a profile is for.
func (r *reader) matches2(c *posture.Connection, l *line) {
	for _, b := range l.all("match", "identity", "remote") {
		switch kind := b.word(3); kind {
		case "any":
			c.Remote[0].ID, c.AnyPeer = written(b, "%any"), written(b, true)
		case "address":
			any := anyAddress(b.words[4:])
			c.AnyPeer = written(b, any)
			if !any {
				c.Address = written(b, append(c.Address.V, b.word(4)))
			}
		default:
			c.Remote[0].ID = written(b, joined(b.words[min(4, len(b.words)):]))
			c.AnyPeer = written(b, true)
		}
	}
	if b := l.find("match", "certificate"); b != nil {
		c.AnyPeer = written(b, true)
	}
}

// anyRevocation is of a use that names no trustpoint: IOS then takes a certificate
// under any of them, and the weakest decides. Those that IOS makes for itself, for
// HTTPS and for licences, are no authorities of peers.
func (r *reader) anyRevocation() posture.Value[posture.Demand] {
	if r.weakest != nil {
		return *r.weakest
	}
	r.weakest = new(posture.Value[posture.Demand])
	for _, l := range r.root.all("crypto", "pki", "trustpoint") {
		own := strings.HasPrefix(l.word(3), "TP-self-signed") || strings.HasPrefix(l.word(3), "SLA-TrustPoint") || strings.HasPrefix(l.word(3), "CISCO_IDEVID")
		if l.no || own || l.find("enrollment", "selfsigned") != nil {
			continue
		}
		if v := r.revocation(l.word(3)); !r.weakest.Known() || strictness[v.V] < strictness[r.weakest.V] {
			*r.weakest = v
		}
	}
	return *r.weakest
}

var strictness = map[posture.Demand]int{posture.Never: 0, posture.Optional: 1, posture.Always: 2}

// revocation is what a trustpoint does about certificates that were withdrawn.
func (r *reader) revocation(trustpoint string) posture.Value[posture.Demand] {
	l := r.root.find("crypto", "pki", "trustpoint", trustpoint)
	if l == nil {
		return posture.Value[posture.Demand]{}
	}
	b := l.find("revocation-check")
	switch {
	case b == nil:
		return setting.Of(r.defaults, posture.Always, l.at, false)
	case b.word(1) == "none":
		return written(b, posture.Never)
	case slices.Contains(b.words, "none"):
		return written(b, posture.Optional)
	}
	return written(b, posture.Always)
}

// authorization is what a profile gives to clients.
func (r *reader) authorization(c *posture.Connection, l *line) {
	for _, b := range l.all("aaa", "authorization") {
		name := b.words[len(b.words)-1]
		if p := r.root.find("crypto", "ikev2", "authorization", "policy", name); p != nil {
			r.given(c, p)
		}
	}
}

// given reads dns, pool and the networks of the tunnel of a group or an
// authorization policy.
func (r *reader) given(c *posture.Connection, l *line) {
	r.tunnel = r.carried(c, l)
	c.DNS, c.Pool = written(l, []string(nil)), written(l, []string(nil))
	if b := l.find("dns"); b != nil {
		c.DNS = written(b, b.words[1:])
	}
	if b := l.find("pool"); b != nil {
		c.Pool = written(b, b.words[1:])
	}
}

// carried is what clients send through the tunnel: the sources of an access list, or
// all there is, which clients with EAP and those of IKEv1 take where nothing is said.
func (r *reader) carried(c *posture.Connection, l *line) posture.Value[[]string] {
	list := l.find("acl")
	if list == nil {
		list = l.find("route", "set", "access-list")
	}
	if list != nil && !list.no {
		var all []string
		for _, rule := range r.acl(list.words[len(list.words)-1]) {
			if rule.permit && len(all) < mostSelectors {
				all = append(all, network(rule.from))
			}
		}
		if len(all) == 0 {
			return posture.Value[[]string]{}
		}
		return written(list, all)
	}
	eap := slices.ContainsFunc(c.Remote, func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodEAP) })
	if l.find("route", "set") == nil && (eap || posture.Is(c.V1, true)) {
		all := []string{"0.0.0.0/0"}
		if six := l.find("ipv6", "pool"); six != nil && !six.no {
			all = append(all, "::/0")
		}
		return setting.Of(r.defaults, all, l.at, true)
	}
	return posture.Value[[]string]{}
}

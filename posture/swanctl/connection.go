package swanctl

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// Bounds of what inheritance can multiply.
const (
	mostConnections = 20_000
	mostChildren    = 20_000 // of all connections
	mostRounds      = 16     // of one side of one connection
)

// connection reads one connection with its children.
func (r *reader) connection(root view, name string, stray bool) {
	v := root.path("connections", name)
	if len(r.in.Host.Connections) >= mostConnections {
		r.in.Note(posture.Limit, v.at(), "more than %d connections: not read", mostConnections)
		return
	}
	r.known(v, connKnown, "a connection")
	r.conn = v
	c := posture.Connection{
		Subject:  posture.Subject{Dialect: posture.Swanctl, Kind: "connection", Name: name, At: v.at()},
		Product:  product,
		Again:    v.again(),
		Disabled: stray,
	}
	r.peers(&c, v)
	r.versions(&c, v)
	r.ike(&c, v)
	r.rounds(&c, v)
	r.lifetimes(&c, v)
	r.features(&c, v)
	r.fromPools(&c, v, root.sub("pools"))
	r.role(&c, r.children(&c, v.sub("children")))
	c.Shunt = len(c.Children) > 0 && !slices.ContainsFunc(v.sub("children").names(), func(name string) bool { return !shunts(v.path("children", name)) })
	r.in.Host.Connections = append(r.in.Host.Connections, c)
}

var anyAddress = []string{"%any", "%any4", "%any6", "0.0.0.0/0", "::/0", "0.0.0.0", "::", "0::0"}

func (r *reader) peers(c *posture.Connection, v view) {
	c.Address = r.list(v, "remote_addrs", "%any")
	c.AnyPeer = follows(slices.ContainsFunc(c.Address.V, func(a string) bool { return slices.Contains(anyAddress, a) }), c.Address)
}

// versions: 0, the default, answers both and opens version 2.
func (r *reader) versions(c *posture.Connection, v view) {
	version := read(r, v, "version", 0, func(s string) (int, bool) {
		n, ok := parseInt(s)
		return n, ok && n >= 0 && n <= 2
	})
	c.V1, c.V2 = follows(version.V != 2, version), follows(version.V != 1, version)
	c.Aggressive = r.flag(v, "aggressive", false)
	if version.V == 2 && c.Aggressive.V {
		c.Aggressive = follows(false, version)
	}
}

func (r *reader) ike(c *posture.Connection, v view) {
	c.IKE, c.IKEImplicit = r.proposals(v, "proposals", suite.ProtocolIKE)
}

// proposals reads a list of proposals, in which "default" stands for those of
// the daemon.
func (r *reader) proposals(v view, key string, p suite.Protocol) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	defaults, why := r.defaults(p)
	s, ok := v.get(key)
	if !ok {
		return follows(placed(defaults, v.at()), posture.Value[bool]{Origin: normal(r, 0, v.at()).Origin, At: v.at(), Why: why}), normal(r, true, v.at())
	}
	words := split(s.value)
	if notation.Placeholder(s.value) {
		implicit := posture.Value[bool]{}
		if slices.ContainsFunc(words, func(w string) bool { return !isNotDefault(w) }) {
			implicit = posture.Written(true, s.at, s.value) // beside whatever it is filled in with
		}
		return posture.Value[[]posture.Proposal]{}, implicit
	}
	if len(words) > 0 && !slices.ContainsFunc(words, isNotDefault) {
		return posture.Value[[]posture.Proposal]{V: placed(defaults, s.at), Origin: normal(r, 0, s.at).Origin, At: s.at, Text: s.value, Why: why}, posture.Written(true, s.at, s.value)
	}
	var all []posture.Proposal
	implicit := false
	for _, text := range words {
		if !isNotDefault(text) {
			all, implicit = append(all, byDaemon(r, placed(defaults, s.at))...), true
			continue
		}
		one := proposal.StrongSwan(p, text, s.at)
		r.refused(one)
		all = append(all, one)
	}
	return posture.Written(all, s.at, s.value), posture.Written(implicit, s.at, s.value)
}

// defaults are made once for each protocol.
func (r *reader) defaults(p suite.Protocol) ([]posture.Proposal, string) {
	d, ok := r.usual[p]
	if !ok {
		d.list, d.why = proposal.StrongSwanDefaults(p, r.version)
		r.usual[p] = d
	}
	return d.list, d.why
}

// isNotDefault tells an algorithm from the word for what the daemon has.
func isNotDefault(word string) bool { return !strings.EqualFold(word, "default") }

// byDaemon marks proposals as the daemon's own among those that are written.
func byDaemon(r *reader, list []posture.Proposal) []posture.Proposal {
	inferred := normal(r, 0, posture.Pos{}).Origin == posture.Inferred
	for i := range list {
		list[i].Default, list[i].Inferred = true, inferred
	}
	return list
}

func placed(list []posture.Proposal, at posture.Pos) []posture.Proposal {
	list = slices.Clone(list)
	for i := range list {
		list[i].At = at
	}
	return list
}

// refused notes proposals for which the daemon refuses the connection.
func (r *reader) refused(p posture.Proposal) {
	for _, w := range p.Unknown {
		if !proposal.StrongSwanPrivate(w) {
			r.unparsed(p.At, "strongSwan has no algorithm %q: it refuses the connection", source.Quote(w))
		}
	}
	if proposal.StrongSwanMixed(p) {
		r.in.Note(posture.Malformed, p.At, "%q mixes AEAD and other ciphers: strongSwan refuses the connection", source.Quote(p.Text))
	}
}

// lifetimes: a connection that re-authenticates is not rekeyed unless both are
// set; the hard end is a tenth later.
func (r *reader) lifetimes(c *posture.Connection, v view) {
	c.Reauth = r.duration(v, "reauth_time", 0)
	usual := 4 * time.Hour
	if c.Reauth.V > 0 {
		usual = 0
	}
	rekey := r.duration(v, "rekey_time", usual)
	over := r.duration(v, "over_time", max(rekey.V, c.Reauth.V)/10)
	soft := c.Reauth.V
	if soft == 0 || rekey.V > 0 && rekey.V < soft {
		soft = rekey.V
	}
	life := time.Duration(0)
	if soft > 0 {
		life = soft + over.V
	}
	from, ok := explicit(rekey, c.Reauth, over)
	if !ok {
		from = rekey
	}
	c.IKELife = follows(life, from)
	c.Rekey = follows(soft > 0, from)
	if posture.Is(c.V2, false) && rekey.V > 0 && (c.Reauth.V == 0 || rekey.V < c.Reauth.V) {
		c.Reauth = follows(rekey.V, rekey)
		c.Reauth.Why = "IKEv1 has no rekeying of the IKE SA: it is made anew"
	}
}

func (r *reader) features(c *posture.Connection, v view) {
	c.PPK = r.ppk(v)
	c.Childless = word(r, v, "childless", true, map[string]bool{"allow": true, "force": true, "prefer": true, "never": false})
	c.DPD = r.duration(v, "dpd_delay", 0)
	// Fragments are sent by default since 5.5.1.
	c.Fragments = word(r, v, "fragmentation", !r.before("5.5.1"),
		map[string]bool{"yes": true, "true": true, "enabled": true, "1": true, "force": true, "accept": true, "no": false, "false": false, "disabled": false, "0": false})
	c.MOBIKE = r.flag(v, "mobike", true)
	c.AsksAddress = read(r, v, "vips", false, func(s string) (bool, bool) { return s != "", true })
	c.NATT = posture.ByDefault(true, v.at(), "strongSwan always detects NAT")
	c.SendsVID, c.PrivateAlg = r.daemon.SendsVID, r.daemon.PrivateAlg
	if !c.SHA1Sig.Known() {
		c.SHA1Sig = r.daemon.SHA1Sig
	}
}

// ppk: a responder uses a PPK that the peer names, and does without it unless
// one is required.
func (r *reader) ppk(v view) posture.Value[posture.Demand] {
	required := r.flag(v, "ppk_required", false)
	id, has := v.get("ppk_id")
	switch {
	case required.V:
		return follows(posture.Always, required)
	case has && required.Origin == posture.Explicit:
		return follows(posture.Optional, required)
	case has:
		return posture.Written(posture.Optional, id.at, id.value)
	}
	return follows(posture.Never, required)
}

// role: every connection answers peers, unless the daemon is told to initiate
// only; children say whether it is opened.
func (r *reader) role(c *posture.Connection, start posture.Value[string]) {
	c.Role = posture.ByDefault(posture.Answers, c.At, "strongSwan answers for every connection")
	if only := r.flag(r.charon, "initiator_only", false); only.V {
		c.Role = follows(posture.Role(0), only)
	}
	if start.Known() {
		c.Role = follows(c.Role.V|posture.Initiates, start)
	}
}

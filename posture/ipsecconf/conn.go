package ipsecconf

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	notation "sallyport/posture/setting"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// connections makes the connections of all conns but "%default". One that other
// conns take their settings from by "also=", and that is not loaded itself, is
// only a template. Libreswan does not load one that lacks a side.
func (r *reader) connections() {
	templates := map[string]bool{}
	for _, s := range r.conf.order {
		for _, also := range s.also {
			for name := range strings.FieldsSeq(also.value) {
				templates[s.kind+" "+name] = true
			}
		}
	}
	for _, s := range r.conf.order {
		if s.kind != "conn" || s.name == "%default" {
			continue
		}
		c := r.conf.resolve(r, s)
		if c.manual() {
			r.in.Host.Manual = append(r.in.Host.Manual, posture.Manual{Subject: r.subject("manual", s.name, s.at)})
			continue
		}
		if templates["conn "+s.name] && (c.ignored() || c.libreswan() && (c.word("left") == "" || c.word("right") == "")) {
			continue
		}
		r.in.Host.Connections = append(r.in.Host.Connections, c.connection())
	}
}

// manual tells whether a conn is keyed by hand, as Openswan and strongSwan
// before 4.0 could be. The keys themselves stay in the file.
func (c *conn) manual() bool {
	return slices.ContainsFunc([]string{"spi", "spibase", "espenckey", "espauthkey", "ahkey", "manual"}, func(key string) bool {
		_, ok := c.get(key)
		return ok
	})
}

// ignored tells whether neither product loads the conn: "ignore" is the default.
func (c *conn) ignored() bool {
	auto := c.word("auto")
	return auto == "" || auto == "ignore"
}

// shunt tells whether a conn is no tunnel but a policy for packets.
func (c *conn) shunt() bool {
	return slices.Contains([]string{"passthrough", "pass", "drop", "reject"}, c.word("type"))
}

func (c *conn) connection() posture.Connection {
	out := posture.Connection{Subject: c.subject("connection", c.name, c.at), Product: c.product, Disabled: c.dead || c.ignored()}
	out.Role = c.role()
	out.Address, out.AnyPeer = c.peer()
	if c.shunt() {
		t, _ := c.get("type")
		out.V1, out.V2, out.Shunt = written(t, false), written(t, false), true
		out.Children = []posture.Child{c.shuntChild()}
		return out
	}
	out.V1, out.V2 = c.versions()
	c.exchange(&out)
	c.lives(&out)
	out.Local, out.Remote = c.auths()
	out.SHA1Sig = c.sha1(&out)
	if slices.ContainsFunc(out.Remote, usesCertificate) {
		out.Revocation = c.revocation()
	}
	out.DNS, out.Pool = c.gives()
	out.AsksAddress = c.asks()
	out.Children = []posture.Child{c.child(&out)}
	return out
}

// sides are the prefixes of our and the peer's words. Both products compare
// addresses to find out which side they are; files alone show it only where a
// side is called after the route that is ours. Otherwise left is local, as both
// manuals recommend.
func (c *conn) sides() (local, remote string) {
	left, right := c.word("left"), c.word("right")
	ours := func(host string) bool { return host == "%defaultroute" }
	anybody := func(host string) bool { return host == "%any" || host == "%any4" || host == "%any6" }
	if ours(right) && !ours(left) || c.libreswan() && anybody(left) && right != "" && !anybody(right) {
		return "right", "left"
	}
	return "left", "right"
}

func (c *conn) localKey(word string) string {
	local, _ := c.sides()
	return local + word
}

func (c *conn) remoteKey(word string) string {
	_, remote := c.sides()
	return remote + word
}

// role follows from auto=. "keep" of Libreswan begins again only what a peer
// began.
func (c *conn) role() posture.Value[posture.Role] {
	return choose(c, "auto", map[string]posture.Role{
		"ignore": 0, "add": posture.Answers, "keep": posture.Answers,
		"start": posture.Answers | posture.Initiates, "up": posture.Answers | posture.Initiates,
		"route": posture.Answers | posture.Initiates, "ondemand": posture.Answers | posture.Initiates,
	}, 0)
}

// peer are the addresses of the other side.
func (c *conn) peer() (posture.Value[[]string], posture.Value[bool]) {
	s, ok := c.get(c.remoteKey(""))
	if !ok {
		return byDefault(c.reader, []string{"%any"}, c.at), byDefault(c.reader, true, c.at)
	}
	hosts := c.list(s)
	anybody := slices.ContainsFunc(hosts, isAnybody) || c.word(c.remoteKey("allowany")) == "yes"
	return written(s, hosts), written(s, anybody)
}

// isAnybody tells whether an address or identity stands for all: "%opportunistic"
// and groups, too, are open to peers that the file does not name. strongSwan
// has "%host" for a host that may come from another address.
func isAnybody(host string) bool {
	switch strings.ToLower(host) {
	case "%any", "%any4", "%any6", "0.0.0.0", "::", "0.0.0.0/0", "::/0", "%group", "%opportunistic", "%opportunisticgroup":
		return true
	}
	return len(host) > 1 && host[0] == '%' && host != "%defaultroute" && !strings.HasPrefix(host, "%from")
}

// versions are the versions of IKE that the conn is for.
func (c *conn) versions() (v1, v2 posture.Value[bool]) {
	if c.libreswan() {
		v1, v2 = c.versionsLibreswan()
		return c.policyOfV1(v1), v2
	}
	s, ok := c.get("keyexchange")
	switch c.word("keyexchange") {
	case "ikev1":
		return written(s, true), written(s, false)
	case "ikev2":
		return written(s, false), written(s, true)
	case "ike":
		return written(s, true), written(s, true)
	}
	if ok {
		c.odd(s)
	}
	return byDefault(c.reader, true, c.at), byDefault(c.reader, true, c.at)
}

// versionsLibreswan reads keyexchange= and ikev2=, which 5.0 retired. Since 4.0 a
// conn is of one version, and "permit" means version 1; before, it was the
// default and took both, as "propose" did (ipsec.conf(5) of 3.32, 4.1 and 5.3).
func (c *conn) versionsLibreswan() (v1, v2 posture.Value[bool]) {
	if s, ok := c.get("keyexchange"); ok && s.value != "ike" {
		switch c.word("keyexchange") {
		case "ikev1":
			return written(s, true), written(s, false)
		case "ikev2":
			return written(s, false), written(s, true)
		}
		c.odd(s)
	}
	s, ok := c.get("ikev2")
	switch c.word("ikev2") {
	case "no", "never":
		return written(s, true), written(s, false)
	case "insist", "always":
		return written(s, false), written(s, true)
	case "permit":
		return written(s, true), written(s, c.before("4.0"))
	case "yes", "propose":
		return written(s, c.before("4.0")), written(s, true)
	}
	if ok {
		c.odd(s)
	}
	if !c.known && c.carriesL2TP(c.word("type") == "transport") {
		const why = "version unknown, and clients of L2TP over IPsec speak IKEv1"
		return posture.Guess(true, c.at, why), posture.Guess(false, c.at, why)
	}
	return byDefault(c.reader, c.before("4.0"), c.at), byDefault(c.reader, true, c.at)
}

// policyOfV1 is what is left of version 1 under ikev1-policy=, for all conns.
func (c *conn) policyOfV1(v1 posture.Value[bool]) posture.Value[bool] {
	accepts := choose(c.reader.setup, "ikev1-policy", map[string]bool{"accept": true, "drop": false, "reject": false}, c.before("5.0"))
	if accepts.Origin == posture.Default && accepts.V && c.packageDropsV1() {
		accepts = posture.ByDefault(false, accepts.At, "default of the distribution's package since Libreswan 4.6: ikev1-policy=drop")
	}
	if v1.V && !accepts.V {
		if accepts.Known() && v1.Origin == posture.Explicit && !c.dead && !c.ignored() {
			c.once(posture.Malformed, about{v1.At, "refused"}, "the connection is of IKEv1, which is off for all (%s): the product refuses it", cmp.Or(accepts.Text, accepts.Why))
		}
		return accepts
	}
	return v1
}

// packageDropsV1: Debian, and Ubuntu and Red Hat's line 9 after it, made the default
// of 5.0 that of their 4.6 (github.com/libreswan/libreswan/issues/1087). Who builds
// the program from source beside a package has no version that is known from it.
func (c *conn) packageDropsV1() bool {
	if !c.known || c.before("4.6") {
		return false
	}
	return slices.ContainsFunc(c.in.Host.Packages, func(p posture.Package) bool {
		return p.Name == "libreswan" && (p.Manager == "dpkg" || p.Manager == "rpm" && strings.Contains(p.Version, ".el9"))
	})
}

// onlyV1 tells whether the defaults of version 1 hold.
func onlyV1(out *posture.Connection) bool { return !out.V2.V }

// exchange fills in what IKE itself does.
func (c *conn) exchange(out *posture.Connection) {
	out.Aggressive = c.flag("aggressive", false)
	out.IKE, out.IKEImplicit = c.proposals(suite.ProtocolIKE, "ike", out)
	out.Fragments = choose(c, "fragmentation", map[string]bool{"yes": true, "force": true, "insist": true, "accept": true, "no": false, "never": false}, c.libreswan() || !c.before("5.5.1"))
	out.NATT = c.natTraversal()
	out.MOBIKE = c.flag("mobike", !c.libreswan())
	out.PPK = c.ppk(out)
	if !c.libreswan() {
		return
	}
	out.SendsVID = c.flag("send-vendorid", false)
	out.Obeys = c.flag("ms-dh-downgrade", false)
}

// natTraversal is on in both products unless Libreswan is told encapsulation=no,
// or has no method left in version 1.
func (c *conn) natTraversal() posture.Value[bool] {
	if s, ok := c.get("encapsulation"); ok && c.word("encapsulation") == "no" {
		return written(s, false)
	}
	if s, ok := c.get("nat-ikev1-method"); ok && c.word("nat-ikev1-method") == "none" {
		return written(s, false)
	}
	for _, key := range []string{"encapsulation", "forceencaps"} {
		if s, ok := c.get(key); ok && c.word(key) != "no" {
			return written(s, true)
		}
	}
	return byDefault(c.reader, true, c.at)
}

// ppk is Libreswan's ppk=; strongSwan's ipsec.conf cannot ask for one.
func (c *conn) ppk(out *posture.Connection) posture.Value[posture.Demand] {
	if !c.libreswan() {
		return posture.ByDefault(posture.Never, c.at, "ipsec.conf of strongSwan has no word for PPKs")
	}
	v := choose(c, "ppk", map[string]posture.Demand{
		"propose": posture.Optional, "yes": posture.Optional, "permit": posture.Optional, "insist": posture.Always, "always": posture.Always, "never": posture.Never, "no": posture.Never,
	}, posture.Optional)
	if !out.V2.V && v.Origin != posture.Explicit {
		return posture.ByDefault(posture.Never, c.at, "PPKs are for IKEv2 alone")
	}
	return v
}

// withoutPPK takes back the PPK that Libreswan proposes by default where no
// secret is one: there is then nothing to propose.
func (r *reader) withoutPPK(conns []posture.Connection) {
	isPPK := func(s posture.Secret) bool { return s.Kind == posture.PPKSecret && s.Dialect == r.dialect }
	if slices.ContainsFunc(r.in.Host.Secrets, isPPK) {
		return
	}
	for i := range conns {
		if v := &conns[i].PPK; v.V != posture.Never && v.Known() && v.Origin != posture.Explicit {
			v.V, v.Why = posture.Never, "no PPK is among the secrets that were read"
		}
	}
}

// proposals are those in force under a key, and whether the product has put its
// own in.
func (c *conn) proposals(p suite.Protocol, key string, out *posture.Connection) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	s, ok := c.get(key)
	if ok && notation.Placeholder(s.value) {
		return posture.Value[[]posture.Proposal]{}, posture.Value[bool]{}
	}
	if ok && len(s.value) > mostAlgs {
		c.once(posture.Limit, about{s.at, "proposals"}, "%q has %d octets, more than %d: not read", source.Quote(s.key), len(s.value), mostAlgs)
		return posture.Value[[]posture.Proposal]{}, posture.Value[bool]{}
	}
	if c.libreswan() {
		return c.proposalsLibreswan(p, s, ok, out)
	}
	return c.proposalsStrongSwan(p, s, ok)
}

// proposalsLibreswan: where both versions are taken, which ended with 4.0, what a
// line leaves out is filled in as for version 1, and without a line each version
// has its own defaults (lib/libswan/ike_info.c of 3.23: a hint of IKEv1 is enough).
func (c *conn) proposalsLibreswan(p suite.Protocol, s setting, ok bool, out *posture.Connection) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	if ok {
		parse := proposal.Libreswan
		if onlyV1(out) || out.V1.V {
			parse = proposal.LibreswanV1
		}
		if c.openswan() {
			parse = proposal.Openswan
		}
		all := parse(p, strings.TrimSuffix(s.value, "!"), s.at)
		for _, one := range all {
			c.unknownWords(s, one.Unknown)
		}
		return written(s, all), written(s, false)
	}
	if c.openswan() {
		v := byDefault(c.reader, placed(proposal.OpenswanDefaults(p), c.at), c.at)
		return v, posture.Value[bool]{V: true, Origin: v.Origin, At: v.At, Why: v.Why}
	}
	version := ""
	if c.known {
		version = c.version
	}
	all, why := proposal.LibreswanDefaults(p, version, onlyV1(out))
	if out.V1.V && !onlyV1(out) {
		first, _ := proposal.LibreswanDefaults(p, version, true)
		all = append(first, all...)
	}
	v := posture.ByDefault(placed(all, c.at), c.at, why)
	if !c.known {
		v.Origin = posture.Inferred
	}
	if c.conf.policy {
		v = posture.Guess(all, c.at, "the system's crypto policy was not there to read: "+why)
	}
	return v, posture.Value[bool]{V: true, Origin: v.Origin, At: v.At, Why: v.Why}
}

// proposalsStrongSwan are those that the stroke plugin makes: unless the line ends
// in "!", the daemon's defaults come after those written.
func (c *conn) proposalsStrongSwan(p suite.Protocol, s setting, ok bool) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	text, strict := strings.CutSuffix(s.value, "!")
	if !ok {
		s, text = setting{at: c.at}, c.starterDefault(p)
	}
	all := c.listed(p, s, text)
	if strict {
		return written(s, all), written(s, false)
	}
	version := ""
	if c.known {
		version = c.version
	}
	more, why := proposal.StrongSwanDefaults(p, version)
	for i := range more {
		more[i].Default, more[i].Inferred = ok, ok && !c.known
	}
	all = append(all, placed(more, c.at)...)
	if ok {
		implicit := written(s, true)
		implicit.Why = "without \"!\", the daemon's own come after it (" + why + ")"
		return written(s, all), implicit
	}
	v := byDefault(c.reader, all, c.at)
	v.Why = why
	implicit := byDefault(c.reader, true, c.at)
	implicit.Why = why
	return v, implicit
}

// listed reads proposals of a line. One that the daemon does not know it skips.
func (c *conn) listed(p suite.Protocol, s setting, text string) []posture.Proposal {
	var all []posture.Proposal
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" || len(all) == mostProposals {
			continue
		}
		read := proposal.StrongSwan(p, one, s.at)
		bad := slices.DeleteFunc(slices.Clone(read.Unknown), proposal.StrongSwanPrivate)
		if c.unknownWords(s, bad); len(bad) == 0 {
			all = append(all, read)
		}
	}
	return all
}

const mostProposals = 64

// placed are default proposals as those of a section.
func placed(all []posture.Proposal, at posture.Pos) []posture.Proposal {
	for i := range all {
		all[i].At = at
	}
	return all
}

// starterDefault is what the starter writes where nothing is written, before the
// daemon's defaults (ipsec.conf(5); 5.4.0 changed it).
func (c *conn) starterDefault(p suite.Protocol) string {
	switch {
	case p == proposal.AH:
		return ""
	case p == suite.ProtocolIKE && c.before("5.4.0"):
		return "aes128-sha1-modp2048,3des-sha1-modp1536"
	case p == suite.ProtocolIKE:
		return "aes128-sha256-modp3072"
	case c.before("5.4.0"):
		return "aes128-sha1,3des-sha1"
	}
	return "aes128-sha256"
}

func (c *conn) unknownWords(s setting, words []string) {
	for _, w := range words {
		c.once(posture.Unparsed, about{s.at, w}, "%q is no algorithm that is known in %q", quote(w), s.key)
	}
}

// lives fills in how long the IKE SA lives, and what watches it.
func (c *conn) lives(out *posture.Connection) {
	life := 3 * time.Hour
	switch {
	case c.libreswan() && c.before("4.2"):
		life = time.Hour
	case c.libreswan():
		life = 8 * time.Hour
	}
	out.IKELife = c.duration("ikelifetime", life)
	out.Rekey = c.flag("rekey", true)
	out.Reauth = c.reauth(out)
	out.DPD = c.deadPeer(onlyV1(out))
}

// reauth: strongSwan makes the IKE SA anew instead of rekeying it, unless told
// reauth=no. Libreswan does so on reauth=yes; in version 1 there is no other way.
func (c *conn) reauth(out *posture.Connection) posture.Value[time.Duration] {
	again := c.flag("reauth", !c.libreswan())
	v := posture.Value[time.Duration]{Origin: again.Origin, At: again.At, Text: again.Text, Why: again.Why}
	switch {
	case out.V1.V && !out.V2.V && out.Rekey.V:
		return posture.ByDefault(out.IKELife.V, c.at, "IKEv1 has no rekeying of the IKE SA: it is made anew")
	case again.V && out.Rekey.V:
		v.V = out.IKELife.V
	}
	return v
}

// deadPeer: strongSwan watches only with a dpdaction, Libreswan only with a
// dpddelay, and in version 1 only with a dpdtimeout, too.
func (c *conn) deadPeer(v1 bool) posture.Value[time.Duration] {
	if c.libreswan() {
		v := c.duration("dpddelay", 0)
		if _, ok := c.get("dpdtimeout"); v1 && !ok && v.V > 0 {
			v.V, v.Why = 0, "without dpdtimeout it does nothing in IKEv1"
		}
		return v
	}
	action, ok := c.get("dpdaction")
	switch {
	case !ok:
		return byDefault(c.reader, time.Duration(0), c.at)
	case c.word("dpdaction") == "none":
		return written(action, time.Duration(0))
	}
	v := c.duration("dpddelay", 30*time.Second)
	if v.Origin != posture.Explicit {
		v.At = action.at
	}
	return v
}

// revocation is set for all conns at once, in config setup. strongSwan without
// strictcrlpolicy looks for lists and answers and refuses what it knows to be
// revoked; so does Libreswan, which without its settings never learns of any.
func (c *conn) revocation() posture.Value[posture.Demand] {
	setup := c.reader.setup
	if !c.libreswan() {
		return choose(setup, "crl-strict", map[string]posture.Demand{"yes": posture.Always, "ifuri": posture.Optional, "no": posture.Optional}, posture.Optional)
	}
	strict, fetch, ocsp := setup.flag("crl-strict", false), setup.duration("crlcheckinterval", 0), setup.flag("ocsp-enable", false)
	switch {
	case strict.V:
		return posture.Written(posture.Always, strict.At, strict.Text)
	case ocsp.V:
		return posture.Written(posture.Optional, ocsp.At, ocsp.Text)
	case fetch.V > 0:
		return posture.Written(posture.Optional, fetch.At, fetch.Text)
	}
	return posture.Value[posture.Demand]{V: posture.Never, Origin: strict.Origin, At: strict.At, Text: strict.Text, Why: strict.Why}
}

// gives is what clients get: name servers and addresses.
func (c *conn) gives() (dns, pool posture.Value[[]string]) {
	dnsKey, poolKey := c.remoteKey("dns"), c.remoteKey("sourceip")
	if c.libreswan() {
		dnsKey, poolKey = "modecfgdns", c.remoteKey("addresspool")
	}
	dns, pool = c.strings(dnsKey), c.strings(poolKey)
	d := c.strongSwanConf()
	switch {
	case d == nil || !d.DNS.Known() || len(pool.V) == 0:
	case dns.Origin != posture.Explicit:
		dns = d.DNS
	default: // the plugin attr adds its own for whoever gets an address
		dns.V = slices.Concat(dns.V, d.DNS.V)
		dns.Text += ", and of strongswan.conf " + d.DNS.Text
	}
	if len(dns.V) == 0 && !c.libreswan() && slices.ContainsFunc(pool.V, isOfPlugin) {
		dns = posture.Value[[]string]{}
	}
	return dns, pool
}

// isOfPlugin tells whether a plugin gives the addresses, such as %dhcp, %radius and
// pools of a database, which has name servers too, as it is told elsewhere.
func isOfPlugin(pool string) bool { return strings.HasPrefix(pool, "%") }

// asks tells whether we are a client of the other side: leftsourceip=%config of
// strongSwan, leftmodecfgclient=yes of Libreswan.
func (c *conn) asks() posture.Value[bool] {
	if c.libreswan() {
		return c.flag(c.localKey("modecfgclient"), false)
	}
	s, ok := c.get(c.localKey("sourceip"))
	if !ok {
		return byDefault(c.reader, false, c.at)
	}
	return written(s, slices.ContainsFunc(c.list(s), isChosenByPeer))
}

func isChosenByPeer(address string) bool {
	return slices.Contains([]string{"%config", "%cfg", "%modeconfig", "%modecfg", "%config4", "%config6"}, address)
}

// strings is a setting that is a list; what the peer is to choose itself
// ("%config") is none.
func (c *conn) strings(key string) posture.Value[[]string] {
	s, ok := c.get(key)
	if !ok {
		return byDefault(c.reader, []string(nil), c.at)
	}
	words := slices.DeleteFunc(c.list(s), isChosenByPeer)
	return written(s, words)
}

package pfsense

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

// phases reads <ipsec>, where each <phase1> is a connection and each <phase2>
// names its phase 1 by number.
func (r *reader) phases() {
	ipsec := r.root.get("ipsec")
	if ipsec == nil {
		return
	}
	r.check(ipsec, "ipsec")
	r.check(ipsec.get("client"), "client")
	second := map[string][]*element{}
	for _, e := range ipsec.all("phase2") {
		r.check(e, "phase2")
		id := e.value("ikeid")
		second[id] = append(second[id], e)
	}
	for _, e := range ipsec.all("phase1") {
		r.check(e, "phase1")
		if r.full(e) {
			return
		}
		p := &phase1{reader: r, e: e, mobile: e.set("mobile"), client: ipsec.get("client")}
		c := p.connection()
		for _, e2 := range second[e.value("ikeid")] {
			if e2.set("disabled") {
				continue
			}
			if r.children++; r.children > mostChildren {
				break
			}
			c.Children = append(c.Children, p.child(e2))
		}
		// A phase 2 belongs to one phase 1, whatever else has the number.
		delete(second, e.value("ikeid"))
		r.in.Host.Connections = append(r.in.Host.Connections, c)
		p.secret(c)
	}
}

// phase1 is the reading of one phase 1.
type phase1 struct {
	*reader
	e      *element
	mobile bool     // for clients at any address
	client *element // settings for them
}

func (p *phase1) connection() posture.Connection {
	e := p.e
	c := posture.Connection{Subject: p.subject("connection", p.name(), e.at), Product: p.product}
	c.Disabled = e.set("disabled") || p.off()
	c.V1, c.V2 = p.versions()
	c.Aggressive = p.aggressive(c.V1.V)
	c.Role, c.Address, c.AnyPeer = p.peer()
	c.IKE, c.IKEImplicit = p.proposals()
	c.Local, c.Remote = p.auth()
	c.IKELife, c.Reauth, c.Rekey = p.lives()
	c.DPD = p.dpd()
	c.NATT = p.natt()
	c.MOBIKE = p.mobike()
	c.Fragments = byDefault(p.reader, !p.racoon(), e.at, p.product+" always sets fragmentation=yes")
	c.Revocation = p.revocation()
	c.SendsVID = byDefault(p.reader, false, e.at, "default of strongSwan")
	c.PPK = byDefault(p.reader, posture.Never, e.at, "has no setting for it")
	c.Pool = byDefault(p.reader, []string(nil), e.at, "not for mobile clients")
	if p.mobile {
		c.Pool, c.DNS = p.pool()
	}
	return c
}

func (p *phase1) name() string {
	return source.Quote(cmp.Or(p.e.value("descr"), "phase 1 no. "+p.e.value("ikeid")))
}

// off tells whether IPsec is off as a whole. In OPNsense and in pfSense before
// 2.3 it has a switch; since then any phase 1 turns it on.
func (p *phase1) off() bool {
	ipsec := p.root.get("ipsec")
	if p.dialect == posture.OPNsense || p.racoon() {
		return !ipsec.set("enable")
	}
	return false
}

func (p *phase1) versions() (v1, v2 posture.Value[bool]) {
	t := p.e.get("iketype")
	if t == nil || t.text == "" {
		why := "no iketype: " + p.product + " takes IKEv1"
		return byDefault(p.reader, true, p.e.at, why), byDefault(p.reader, false, p.e.at, why)
	}
	both := t.text == "auto" || t.text == "ike"
	return posture.Written(both || t.text == "ikev1", t.at, t.text), posture.Written(both || t.text == "ikev2", t.at, t.text)
}

// aggressive concerns version 1 alone.
func (p *phase1) aggressive(v1 bool) posture.Value[bool] {
	m := p.e.get("mode")
	if m == nil || m.text == "" {
		return byDefault(p.reader, false, p.e.at, "no mode: main mode")
	}
	return posture.Written(v1 && m.text == "aggressive", m.at, m.text)
}

func (p *phase1) peer() (posture.Value[posture.Role], posture.Value[[]string], posture.Value[bool]) {
	gw := p.e.get("remote-gateway")
	if p.mobile {
		at := p.e.where("mobile")
		return posture.Written(posture.Answers, at, "mobile"), posture.Written([]string{"%any"}, at, "mobile"), posture.Written(true, at, "mobile")
	}
	role := posture.Answers | posture.Initiates
	if p.e.set("responderonly") || p.e.value("startaction") == "none" || p.e.value("auto") == "add" {
		role = posture.Answers
	}
	roleValue := byDefault(p.reader, role, p.e.at, "begins on demand and answers")
	if gw == nil || gw.text == "" {
		return roleValue, posture.Value[[]string]{}, posture.Value[bool]{}
	}
	any := slices.Contains([]string{"0.0.0.0", "::", "%any", "any", "0.0.0.0/0"}, gw.text)
	return roleValue, posture.Written([]string{gw.text}, gw.at, gw.text), posture.Written(any, gw.at, gw.text)
}

// proposals are the items of <encryption>, or before pfSense 2.4.4 and in
// OPNsense the one set that stands in the phase 1 itself.
func (p *phase1) proposals() (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	items := p.e.get("encryption").all("item")
	if len(items) == 0 {
		items = []*element{p.e}
	}
	prf := p.e.value("prfselect_enable") == "yes"
	var all []posture.Proposal
	var texts []string
	for _, item := range capped(items) {
		for _, text := range ikeTexts(item, prf) {
			one := proposal.StrongSwan(suite.ProtocolIKE, text, item.where("encryption-algorithm"))
			one.Groups = groupsAt(item.get("dhgroup"))
			all = append(all, one)
			texts = append(texts, text)
		}
	}
	if len(all) == 0 {
		return p.strongSwan(suite.ProtocolIKE, p.e.at)
	}
	at := all[0].At
	return posture.Written(all, at, strings.Join(texts, ",")), posture.Written(false, at, "")
}

// defaults are those of strongSwan for one protocol.
type defaults struct {
	proposals []posture.Proposal
	why       string
}

// strongSwan are the proposals of the daemon underneath, whose version the
// configuration does not tell.
func (r *reader) strongSwan(protocol suite.Protocol, at posture.Pos) (posture.Value[[]posture.Proposal], posture.Value[bool]) {
	if r.defaults == nil {
		r.defaults = map[suite.Protocol]defaults{}
	}
	d, ok := r.defaults[protocol]
	if !ok {
		d.proposals, d.why = proposal.StrongSwanDefaults(protocol, r.in.Version("strongSwan").V)
		r.defaults[protocol] = d
	}
	return posture.Guess(d.proposals, at, d.why), posture.Guess(true, at, d.why)
}

func (p *phase1) lives() (life, reauth posture.Value[time.Duration], rekey posture.Value[bool]) {
	at := p.e.at
	rekey = byDefault(p.reader, true, at, "rekeys unless that is turned off")
	if e := p.e.get("rekey_enable"); e != nil {
		// The box is "Disable rekey", whatever the name says.
		rekey = posture.Written(false, e.at, "rekey_enable")
	}
	lifetime, rekeyTime, reauthTime := p.e.get("lifetime"), p.e.get("rekey_time"), p.e.get("reauth_time")
	switch l, ok := seconds(lifetime); {
	case ok && l > 0:
		life = posture.Written(l, lifetime.at, lifetime.text)
	default:
		life = byDefault(p.reader, 4*time.Hour, at, "rekeys after 4 h where no lifetime is set")
		if t, ok := seconds(rekeyTime); ok {
			life = posture.Written(t, rekeyTime.at, rekeyTime.text)
		}
	}
	return life, p.reauth(reauthTime, life), rekey
}

// reauth follows ipsec_get_reauth_time: 90 % of the lifetime in version 1,
// never in version 2, unless it is set.
func (p *phase1) reauth(e *element, life posture.Value[time.Duration]) posture.Value[time.Duration] {
	if t, ok := seconds(e); ok {
		return posture.Written(t, e.at, e.text)
	}
	if off := p.e.get("reauth_enable"); off != nil {
		return posture.Written(time.Duration(0), off.at, "reauth_enable")
	}
	if t := p.e.value("iketype"); t == "ikev2" || t == "auto" {
		return byDefault(p.reader, time.Duration(0), p.e.at, "no reauth_time: never with IKEv2")
	}
	return byDefault(p.reader, life.V*9/10, p.e.at, "IKEv1 has nothing but reauthentication, after 90 % of the lifetime")
}

// dpd is on with both settings, or not at all.
func (p *phase1) dpd() posture.Value[time.Duration] {
	delay := p.e.get("dpd_delay")
	t, ok := seconds(delay)
	if fail, _ := seconds(p.e.get("dpd_maxfail")); ok && fail > 0 {
		return posture.Written(t, delay.at, delay.text)
	}
	return byDefault(p.reader, time.Duration(0), p.e.where("dpd_delay"), "needs both dpd_delay and dpd_maxfail")
}

// natt: strongSwan cannot turn it off; racoon could.
func (p *phase1) natt() posture.Value[bool] {
	e := p.e.get("nat_traversal")
	if e != nil && p.racoon() {
		return posture.Written(e.text != "off", e.at, e.text)
	}
	return byDefault(p.reader, !p.racoon(), p.e.where("nat_traversal"), "strongSwan always detects NAT")
}

func (p *phase1) mobike() posture.Value[bool] {
	e := p.e.get("mobike")
	if e != nil && e.text != "" {
		return posture.Written(e.text == "on" || e.text == "1", e.at, e.text)
	}
	// pfSense writes mobike=no, OPNsense leaves it to strongSwan.
	return byDefault(p.reader, p.dialect == posture.OPNsense, p.e.at, "no mobike")
}

// revocation: the strict policy is given to connections with an authority of
// their own alone (ipsec_setup_authentication).
func (p *phase1) revocation() posture.Value[posture.Demand] {
	e := p.root.get("ipsec", "strictcrlpolicy")
	if e != nil && p.e.value("caref") == "" && p.dialect == posture.PfSense {
		return byDefault(p.reader, posture.Optional, p.e.at, "strictcrlpolicy is for phases 1 with a caref")
	}
	if e != nil {
		return posture.Written(posture.Always, e.at, "strictcrlpolicy")
	}
	return byDefault(p.reader, posture.Optional, p.e.at, "default of strongSwan: revocation=relaxed")
}

// pool is what <client> gives to mobile clients.
func (p *phase1) pool() (pool, dns posture.Value[[]string]) {
	var nets, servers []string
	for _, family := range []string{"", "_v6"} {
		if a := p.client.value("pool_address" + family); a != "" {
			nets = append(nets, a+"/"+p.client.value("pool_netbits"+family))
		}
	}
	for _, n := range []string{"1", "2", "3", "4"} {
		if a := p.client.value("dns_server" + n); a != "" {
			servers = append(servers, a)
		}
	}
	at := p.e.at
	if p.client != nil {
		at = p.client.at
	}
	return posture.Written(nets, at, strings.Join(nets, ",")), posture.Written(servers, p.clientAt("dns_server1", at), strings.Join(servers, ","))
}

func (p *phase1) clientAt(name string, otherwise posture.Pos) posture.Pos {
	if e := p.client.get(name); e != nil {
		return e.at
	}
	return otherwise
}

// child reads a phase 2.
func (p *phase1) child(e *element) posture.Child {
	mode := e.value("mode")
	c := posture.Child{Subject: p.subject("child", p.childName(e), e.at)}
	c.Transport = posture.Written(mode == "transport", e.where("mode"), mode)
	c.ESP, c.ESPImplicit, c.AH = p.childProposals(e)
	c.PFS = pfs(c.ESP)
	if g := p.pfsGroup(e); g != nil && c.ESP.Origin == posture.Explicit {
		c.PFS.At, c.PFS.Text = g.at, g.name+" "+g.text
	}
	c.Life = p.childLife(e)
	c.Replay = posture.Guess(32, e.at, "default of strongSwan")
	c.ESN = posture.Guess(false, e.at, "default of strongSwan: noesn")
	c.IPComp = byDefault(p.reader, false, e.at, "compression is off unless it is turned on")
	if on := p.root.get("ipsec", "compression"); on != nil {
		c.IPComp = posture.Written(p.root.set("ipsec", "compression"), on.at, strings.TrimSpace("compression "+on.text))
	}
	c.Bytes = byDefault(p.reader, uint64(0), e.at, "has no setting for it")
	c.Packets = byDefault(p.reader, uint64(0), e.at, "has no setting for it")
	c.SHA256Trunc = p.truncates(e)
	c.LocalTS, c.RemoteTS = p.selectors(e, "localid"), p.selectors(e, "remoteid")
	if p.mobile && !c.RemoteTS.Known() {
		c.RemoteTS = byDefault(p.reader, []string{"dynamic"}, e.at, "of mobile clients none is written")
	}
	c.FailOpen = p.failOpen(e, mode)
	c.L2TP = p.protectsL2TP(mode)
	return c
}

func (p *phase1) childName(e *element) string {
	return source.Quote(p.name() + "/" + cmp.Or(e.value("descr"), e.value("uniqid"), e.value("reqid"), "phase 2"))
}

// childProposals: the group of PFS is part of each; for mobile clients that of
// <client> goes first.
func (p *phase1) childProposals(e *element) (posture.Value[[]posture.Proposal], posture.Value[bool], posture.Value[bool]) {
	protocol := e.get("protocol")
	ah := protocol != nil && protocol.text == "ah"
	group := p.pfsGroup(e)
	kind, offers := suite.ProtocolESP, espOffers(e, group.value())
	if ah {
		kind, offers = proposal.AH, ahOffers(e, group.value())
	}
	ahValue := byDefault(p.reader, false, e.at, "no protocol: ESP")
	if protocol != nil {
		ahValue = posture.Written(ah, protocol.at, protocol.text)
	}
	if len(offers) == 0 {
		esp, implicit := p.strongSwan(kind, e.at)
		return esp, implicit, ahValue
	}
	var all []posture.Proposal
	var texts []string
	for _, o := range offers {
		one := proposal.StrongSwan(kind, o.text, o.from.at)
		one.Groups = groupsAt(group)
		all, texts = append(all, one), append(texts, o.text)
	}
	return posture.Written(all, offers[0].from.at, strings.Join(texts, ",")), posture.Written(false, e.at, ""), ahValue
}

// pfsGroup is the element with the group of a phase 2; nil where there is none.
func (p *phase1) pfsGroup(e *element) *element {
	if g := p.client.get("pfs_group"); g != nil && e.set("mobile") {
		return g
	}
	return e.get("pfsgroup")
}

// groupsAt is the place of the groups of a proposal.
func groupsAt(e *element) posture.Value[string] {
	if e == nil || e.text == "" {
		return posture.Value[string]{}
	}
	return posture.Written(e.text, e.at, e.name+" "+e.text)
}

// pfs follows from the groups in the proposals.
func pfs(v posture.Value[[]posture.Proposal]) posture.Value[posture.Demand] {
	demand := posture.Always
	with := 0
	for _, p := range v.V {
		kes := p.Of(suite.KE)
		if len(kes) > 0 {
			with++
		}
		if slices.ContainsFunc(kes, func(t suite.Transform) bool { return t.ID == 0 }) {
			demand = posture.Optional
		}
	}
	switch {
	case len(v.V) == 0:
		return posture.Value[posture.Demand]{}
	case with == 0:
		demand = posture.Never
	case with < len(v.V):
		demand = posture.Optional
	}
	return posture.Value[posture.Demand]{V: demand, Origin: v.Origin, At: v.At, Text: v.Text, Why: v.Why}
}

func (p *phase1) childLife(e *element) posture.Value[time.Duration] {
	for _, name := range []string{"lifetime", "rekey_time"} {
		if t, ok := seconds(e.get(name)); ok && t > 0 {
			return posture.Written(t, e.where(name), e.value(name))
		}
	}
	return byDefault(p.reader, time.Hour, e.at, "rekeys after 1 h where no lifetime is set")
}

func (p *phase1) truncates(e *element) posture.Value[bool] {
	if s := e.get("sha256_96"); s != nil {
		return posture.Written(e.set("sha256_96"), s.at, s.text)
	}
	return byDefault(p.reader, false, e.at, "default of strongSwan")
}

// selectors are the networks of one side. A phase 2 may name an interface
// instead, whose network other sections tell.
func (p *phase1) selectors(e *element, name string) posture.Value[[]string] {
	id := e.get(name)
	if id == nil {
		return posture.Value[[]string]{}
	}
	text := ""
	switch kind := id.value("type"); kind {
	case "network":
		text = id.value("address") + "/" + id.value("netbits")
	case "address":
		text = id.value("address")
	case "mobile", "none":
		text = "0.0.0.0/0"
	default:
		text = kind // "lan", "opt1": an interface
	}
	return posture.Written([]string{text}, id.at, text)
}

// failOpen: policies wait in the kernel for packets ("trap"), unless the phase 1
// says otherwise; an interface of its own (VTI) has no policies and no leak.
func (p *phase1) failOpen(e *element, mode string) posture.Value[bool] {
	switch action := p.e.get("startaction"); {
	case mode == "vti", mode == "route-based":
		return posture.Written(false, e.where("mode"), mode)
	case p.mobile:
		return posture.Value[bool]{}
	case action != nil && action.text != "":
		return posture.Written(action.text != "trap", action.at, action.text)
	}
	return byDefault(p.reader, false, e.at, "policies are installed at once (start_action=trap)")
}

// protectsL2TP: mobile clients in transport mode are there for the L2TP server.
func (p *phase1) protectsL2TP(mode string) bool {
	return p.mobile && mode == "transport"
}

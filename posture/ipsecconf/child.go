package ipsecconf

import (
	"slices"
	"strings"
	"time"

	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/posture/source"
	"sallyport/protocol/suite"
)

func quote(s string) string { return source.Quote(s) }

// child is the one Child SA of a conn.
func (c *conn) child(out *posture.Connection) posture.Child {
	ch := posture.Child{Subject: c.subject("child", c.name, c.at)}
	c.transforms(&ch, out)
	c.childLife(&ch)
	c.childPackets(&ch)
	ch.FailOpen = c.failOpen()
	c.selectors(&ch)
	return ch
}

// shuntChild is a policy without a tunnel. Packets that it passes leave in the
// clear, which is meant so and harms nobody within one's own network.
func (c *conn) shuntChild() posture.Child {
	ch := posture.Child{Subject: c.subject("child", c.name, c.at)}
	s, _ := c.get("type")
	c.selectors(&ch)
	own := slices.Equal(ch.LocalTS.V, ch.RemoteTS.V)
	ch.FailOpen = written(s, strings.HasPrefix(c.word("type"), "pass") && !own)
	return ch
}

// transforms fills in the algorithms, and what follows from them.
func (c *conn) transforms(ch *posture.Child, out *posture.Connection) {
	p, key := suite.ProtocolESP, "esp"
	ch.AH = c.usesAH()
	if ch.AH.V {
		p, key = proposal.AH, "ah"
		if _, ok := c.get("ah"); !ok {
			key = "esp" // phase2alg= is for both
		}
	}
	ch.ESP, ch.ESPImplicit = c.proposals(p, key, out)
	if c.libreswan() {
		c.pfsLibreswan(ch)
		c.esnLibreswan(ch, out)
		return
	}
	ch.PFS = pfsOf(ch.ESP)
	esn := slices.ContainsFunc(ch.ESP.V, func(p posture.Proposal) bool {
		return slices.Contains(p.Of(suite.ESN), suite.Transform{Type: suite.ESN, ID: 1})
	})
	ch.ESN = posture.Value[bool]{V: esn, Origin: ch.ESP.Origin, At: ch.ESP.At, Text: ch.ESP.Text, Why: ch.ESP.Why}
}

// usesAH: ah= of strongSwan since 5.1.1, phase2=ah or ah= of Libreswan, auth=ah of
// old.
func (c *conn) usesAH() posture.Value[bool] {
	if s, ok := c.get("phase2"); ok && c.libreswan() {
		return written(s, strings.HasPrefix(c.word("phase2"), "ah"))
	}
	for _, key := range []string{"ah", "auth"} {
		if s, ok := c.get(key); ok && !(key == "auth" && c.word("auth") != "ah") {
			return written(s, true)
		}
	}
	return byDefault(c.reader, false, c.at)
}

// pfsOf concludes from strongSwan's proposals: there is no other setting.
func pfsOf(v posture.Value[[]posture.Proposal]) posture.Value[posture.Demand] {
	with, without := false, false
	for _, p := range v.V {
		groups := p.Of(suite.KE)
		some := slices.ContainsFunc(groups, func(t suite.Transform) bool { return t.ID != 0 })
		with = with || some
		without = without || !some || slices.ContainsFunc(groups, func(t suite.Transform) bool { return t.ID == 0 })
	}
	d := posture.Never
	switch {
	case with && without:
		d = posture.Optional
	case with:
		d = posture.Always
	}
	return posture.Value[posture.Demand]{V: d, Origin: v.Origin, At: v.At, Text: v.Text, Why: v.Why}
}

// pfsLibreswan is pfs=: with it, proposals that name no group have IKE's, which
// are judged there; without it, groups do not count.
func (c *conn) pfsLibreswan(ch *posture.Child) {
	ch.PFS = choose(c, "pfs", map[string]posture.Demand{"yes": posture.Always, "no": posture.Never}, posture.Always)
	for i := range ch.ESP.V {
		p := &ch.ESP.V[i]
		switch own := p.Of(suite.KE); {
		case ch.PFS.V == posture.Never:
			p.Transforms = slices.DeleteFunc(p.Transforms, func(t suite.Transform) bool { return t.Type == suite.KE })
		case slices.ContainsFunc(own, func(t suite.Transform) bool { return t.ID == 0 }):
			ch.PFS.V = posture.Optional
		}
	}
}

// esnLibreswan is esn=, which version 1 does not have.
func (c *conn) esnLibreswan(ch *posture.Child, out *posture.Connection) {
	with, without := suite.Transform{Type: suite.ESN, ID: 1}, suite.Transform{Type: suite.ESN}
	offers := map[string][]suite.Transform{"yes": {with}, "no": {without}, "either": {with, without}}
	otherwise := offers["either"]
	if c.before("5.0") {
		otherwise = offers["no"]
	}
	v := choose(c, "esn", offers, otherwise)
	if onlyV1(out) {
		v = posture.ByDefault(offers["no"], c.at, "version 1 as Libreswan has it is without ESN")
	}
	ch.ESN = posture.Value[bool]{V: v.V[0] == with, Origin: v.Origin, At: v.At, Text: v.Text, Why: v.Why}
	for i := range ch.ESP.V {
		ch.ESP.V[i].Transforms = append(ch.ESP.V[i].Transforms, v.V...)
	}
}

func (c *conn) childLife(ch *posture.Child) {
	life := time.Hour
	if c.libreswan() {
		life = 8 * time.Hour
	}
	ch.Life = c.duration("lifetime", life)
	ch.Bytes, ch.Packets = c.count("lifebytes"), c.count("lifepackets")
}

// childPackets fills in what is done with packets.
func (c *conn) childPackets(ch *posture.Child) {
	window := 32 // of strongSwan's charon.replay_window, and of Libreswan before 4.6
	if c.libreswan() && !c.before("4.6") {
		window = 128
	}
	ch.Replay = c.number("replay-window", window)
	if d := c.strongSwanConf(); d != nil && d.Replay.Origin == posture.Explicit && ch.Replay.Origin != posture.Explicit {
		ch.Replay = d.Replay
	}
	ch.IPComp = c.flag("compress", false)
	ch.SHA256Trunc = c.flag("sha2-truncbug", false)
	if slices.ContainsFunc(ch.ESP.V, func(p posture.Proposal) bool { return slices.Contains(p.Unknown, "sha256_96") }) {
		ch.SHA256Trunc = posture.Written(true, ch.ESP.At, ch.ESP.Text)
	}
	ch.Transport = choose(c, "type", map[string]bool{"transport": true, "transport-proxy": true, "transport_proxy": true, "tunnel": false, "beet": false}, false)
	ch.L2TP = c.carriesL2TP(ch.Transport.V)
}

// carriesL2TP tells whether the conn is for UDP 1701.
func (c *conn) carriesL2TP(transport bool) bool {
	for _, side := range []string{"left", "right"} {
		protocol, port, _ := strings.Cut(c.word(side+"protoport"), "/")
		udp := protocol == "17" || protocol == "udp"
		if udp && slices.Contains([]string{"1701", "l2tp", "l2f"}, port) {
			return true
		}
	}
	remote := c.word(c.remoteKey("protoport"))
	return transport && (remote == "17/%any" || remote == "udp/%any" || remote == "17/0")
}

// failOpen tells whether packets of the tunnel leave in the clear while there is
// no SA. strongSwan has them trigger one only with a trap, auto=route; Libreswan
// holds them for every conn that it routes, unless a shunt says otherwise. Of a
// conn that only answers nothing can be said but for a network behind the peer.
func (c *conn) failOpen() posture.Value[bool] {
	auto, _ := c.get("auto")
	if c.libreswan() {
		return c.shunts(auto)
	}
	_, remote := c.sides()
	_, network := c.get(remote + "subnet")
	anybody := c.word(remote) == "" || isAnybody(c.word(remote))
	routed := slices.ContainsFunc([]string{"mark", "mark-out"}, func(key string) bool { _, ok := c.get(key); return ok })
	switch {
	case c.word("auto") == "route":
		return written(auto, false)
	case anybody: // there is no trap for a peer without an address
	case routed: // into a VTI, which may drop what has no SA
	case network && auto.value != "":
		return written(auto, true)
	}
	return posture.Value[bool]{}
}

// shunts: where auto=add loads a conn without a policy, there is nothing yet that
// failureshunt= and negotiationshunt= could speak of.
func (c *conn) shunts(auto setting) posture.Value[bool] {
	var held setting
	for _, key := range []string{"failureshunt", "negotiationshunt"} {
		s, ok := c.get(key)
		switch {
		case ok && strings.HasPrefix(c.word(key), "pass"):
			return written(s, true)
		case ok:
			held = s
		}
	}
	switch {
	case held.value != "" && c.word("auto") != "add":
		return written(held, false)
	case slices.Contains([]string{"start", "up", "route", "ondemand"}, strings.ToLower(auto.value)):
		return byDefault(c.reader, false, c.at)
	}
	return posture.Value[bool]{}
}

// selectors are the networks of both sides.
func (c *conn) selectors(ch *posture.Child) {
	local, remote := c.sides()
	ch.LocalTS, ch.RemoteTS = c.networks(local), c.networks(remote)
}

// networks of a side: its host itself where none is written, "dynamic" where that
// is not known before.
func (c *conn) networks(side string) posture.Value[[]string] {
	for _, key := range []string{"subnet", "subnets", "subnetwithin"} {
		if s, ok := c.get(side + key); ok {
			return written(s, c.withPort(side, c.list(s)))
		}
	}
	host := c.word(side)
	if host == "" || host[0] == '%' {
		host = "dynamic"
	}
	return byDefault(c.reader, c.withPort(side, []string{host}), c.at)
}

// mostPort is longer than any protocol with a port.
const mostPort = 40

// withPort puts protocol and port behind networks that have none of their own,
// as swanctl writes it.
func (c *conn) withPort(side string, nets []string) []string {
	port := c.word(side + "protoport")
	if port == "" || len(port) > mostPort {
		return nets
	}
	for i, n := range nets {
		if !strings.Contains(n, "[") {
			nets[i] = n + "[" + port + "]"
		}
	}
	return nets
}

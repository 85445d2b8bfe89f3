package netfilter

import (
	"sallyport/posture"
	"sallyport/posture/source"
)

// facts makes a firewall of a ruleset by sending packets through it.
type facts struct {
	in    *source.Input
	rules *ruleset
	noted map[*rule]bool
	wall  posture.Firewall
}

func firewall(in *source.Input, s *ruleset) posture.Firewall {
	s.interfaces()
	s.learn(in.Host)
	f := &facts{in: in, rules: s, noted: map[*rule]bool{}}
	f.wall.Subject = posture.Subject{Dialect: s.dialect, Kind: "firewall", Name: string(s.dialect), At: s.at}
	f.l2tp()
	f.ike()
	f.tooBig()
	f.forward()
	f.translation()
	f.wall.MSSClamp = f.clamp()
	f.wall.IPv6 = f.filtersIPv6()
	return f.wall
}

// versions are those of IP that the ruleset looks at. That it leaves one out is
// a fact of its own.
func (f *facts) versions() []bool {
	v4, v6 := f.sees(false), f.sees(true)
	if v6 && !v4 {
		return []bool{true}
	}
	if v6 && f.filters(true) != nil {
		return []bool{false, true}
	}
	return []bool{false}
}

func (f *facts) sees(v6 bool) bool { return len(f.rules.hooked(v6, "", "input", "forward")) > 0 }

// filters finds a chain that may refuse packets of a version to this host.
func (f *facts) filters(v6 bool) *chain {
	for _, c := range f.rules.hooked(v6, "", "input") {
		if c.policy == drop || len(c.rules) > 0 {
			return c
		}
	}
	return nil
}

// ask sends a packet in both versions of IP. good is the outcome hoped for: the
// fact is true only if it is so in both.
func (f *facts) ask(p probe, good func(outcome) bool, kind string, hooks ...string) (posture.Value[bool], []outcome) {
	var fact posture.Value[bool]
	var all []outcome
	for i, v6 := range f.versions() {
		p.v6 = v6
		o := f.rules.way(p, kind, hooks...)
		all = append(all, o)
		v := f.fact(o, good(o))
		if i == 0 || fact.Known() && fact.V && (!v.Known() || !v.V) || !fact.Known() && v.Known() && !v.V {
			fact = v
		}
	}
	return fact, all
}

// fact is the value of an outcome; unknown, and noted, if a rule that cannot be
// judged could have decided otherwise.
func (f *facts) fact(o outcome, v bool) posture.Value[bool] {
	r := o.doubtful()
	if r == nil {
		return o.value(v)
	}
	if !f.noted[r] {
		f.noted[r] = true
		f.in.Note(posture.Unparsed, r.at, "%s depends on this rule, which cannot be judged: %q", o.probe.what, source.Quote(r.text))
	}
	return posture.Value[bool]{}
}

func not(v posture.Value[bool]) posture.Value[bool] {
	v.V = v.Known() && !v.V
	return v
}

func dropped(o outcome) bool   { return o.verdict == drop }
func reachable(o outcome) bool { return o.verdict == accept || o.partial != nil }

var input = []string{"prerouting", "input"}

func udp(what string, port int) probe {
	return probe{what: what, proto: "udp", port: port, state: "new", in: outside, src: stranger, dst: self}
}

// l2tp asks with and without IPsec, from anywhere and from somewhere.
func (f *facts) l2tp() {
	closed, clear := f.ask(udp("UDP 1701 in the clear", 1701), dropped, "", input...)
	f.wall.L2TPOpen = not(closed)
	f.wall.L2TPNeedsIPsec = closed
	for _, o := range clear {
		if o.logged != nil {
			f.wall.LogsL2TP = posture.Written(true, o.logged.at, o.logged.text)
		}
		if closed.Known() && closed.V && o.partial != nil {
			f.wall.L2TPNeedsIPsec = posture.Written(false, o.partial.at, o.partial.text)
		}
	}
	if !f.wall.LogsL2TP.Known() && closed.Known() {
		f.wall.LogsL2TP = posture.Value[bool]{Origin: closed.Origin, At: closed.At, Text: closed.Text, Why: closed.Why}
	}
	// Where it is taken from IPsec, that rule is the better evidence.
	p := udp("UDP 1701 by IPsec", 1701)
	p.secIn = true
	if taken, _ := f.ask(p, reachable, "", input...); f.wall.L2TPNeedsIPsec.V && taken.Known() && taken.V && taken.Origin == posture.Explicit {
		f.wall.L2TPNeedsIPsec = taken
	}
}

// ike asks for the ports of IKE and for ESP, which a server must let in.
func (f *facts) ike() {
	var open [2]posture.Value[bool]
	for i, port := range []int{500, 4500} {
		what := []string{"UDP 500", "UDP 4500"}[i]
		accepted := func(o outcome) bool { return o.verdict == accept }
		open[i], _ = f.ask(udp(what, port), accepted, "", input...)
		open[i] = f.anyVersion(udp(what, port), open[i], accepted)
	}
	f.wall.IKEReachable = f.reach(udp("UDP 500", 500))
	f.wall.NATTReachable = f.reach(udp("UDP 4500", 4500))
	f.wall.ESPReachable = f.reach(probe{what: "ESP", proto: "esp", state: "new", in: outside, src: stranger, dst: self})
	f.wall.IKEOpen = open[0]
	if !open[0].V && (open[1].V || !open[0].Known()) {
		f.wall.IKEOpen = open[1]
	}
}

func (f *facts) reach(p probe) posture.Value[bool] {
	v, _ := f.ask(p, reachable, "", input...)
	v = f.anyVersion(p, v, reachable)
	return v
}

// anyVersion is for facts of which one version of IP is enough. What is taken
// from some sources only has the rule that takes it as evidence.
func (f *facts) anyVersion(p probe, v posture.Value[bool], good func(outcome) bool) posture.Value[bool] {
	for _, p.v6 = range f.versions() {
		o := f.rules.way(p, "", input...)
		if !good(o) {
			continue
		}
		if o.verdict != accept && o.partial != nil {
			return posture.Written(true, o.partial.at, o.partial.text)
		}
		if got := f.fact(o, true); got.Known() {
			return got
		}
	}
	return v
}

// tooBig asks for the messages without which large packets vanish (RFC 1191,
// RFC 8201). Connection tracking calls them related.
func (f *facts) tooBig() {
	for _, v6 := range f.versions() {
		p := probe{what: "ICMP fragmentation needed", v6: v6, proto: "icmp", icmp: 3, code: 4, state: "related", in: outside, src: stranger, dst: self}
		if v6 {
			p.what, p.proto, p.icmp, p.code = "ICMPv6 packet too big", "icmpv6", 2, 0
		}
		o := f.rules.way(p, "", input...)
		v := f.fact(o, dropped(o))
		p.out, p.dst = inside, inner
		// Of what is forwarded only a rule counts: its addresses are not known.
		if o := f.rules.way(p, "", forward...); dropped(o) && o.rule != nil && len(o.rule.matches) > 0 && o.doubtful() == nil {
			v = o.value(true)
		}
		if !f.wall.DropsPTB.Known() || v.Known() && v.V {
			f.wall.DropsPTB = v
		}
	}
}

var forward = []string{"prerouting", "forward"}

// forward asks what passes between networks.
func (f *facts) forward() {
	clear := probe{what: "what leaves in the clear", proto: "udp", port: 53, state: "new", in: inside, out: outside, src: inner, dst: remote}
	f.wall.DropsClear, _ = f.ask(clear, dropped, "", append(forward, "postrouting")...)
	if v, _ := f.ask(clear, dropped, "", forward...); !f.wall.DropsClear.V && v.Known() {
		f.wall.DropsClear = v
	}
	between := probe{what: "what one client sends to another", proto: "udp", port: 53, state: "new", in: clients, out: clients, src: inner, dst: pool}
	apart, _ := f.ask(between, dropped, "", forward...)
	f.wall.ClientToClient = not(apart)
	f.wall.ForwardDrop = f.forwardDrop()
}

// forwardDrop tells whether what no rule lets through is dropped, be it by the
// policy or by a last rule for everything.
func (f *facts) forwardDrop() posture.Value[bool] {
	var fact posture.Value[bool]
	for i, v6 := range f.versions() {
		v := f.forwardDropOf(v6)
		if i == 0 || v.Known() && !v.V {
			fact = v
		}
	}
	return fact
}

func (f *facts) forwardDropOf(v6 bool) posture.Value[bool] {
	last := outcome{verdict: accept, walker: &walker{rules: f.rules}}
	for _, c := range f.rules.hooked(v6, "", "forward") {
		if last.chain == nil || c.kind == "filter" && last.verdict != drop {
			last.chain, last.rule, last.verdict = c, nil, c.policy
		}
		if n := len(c.rules); n > 0 && c.rules[n-1].verdict == drop && len(c.rules[n-1].matches) == 0 {
			last.chain, last.rule, last.verdict = c, c.rules[n-1], drop
		}
	}
	return last.value(last.verdict == drop)
}

// translation asks whether a packet that is meant for an SA gets a new source
// address first, with which it fits no policy.
func (f *facts) translation() {
	p := probe{what: "translation of addresses", proto: "udp", port: 53, state: "new", in: inside, out: outside, src: tunnelled, dst: remote, secOut: true}
	translated := func(o outcome) bool { return o.verdict == translate }
	o := f.rules.way(p, "nat", "postrouting")
	f.wall.MasqueradesIn = f.fact(o, translated(o))
	if o.chain != nil && o.chain.hook == "postrouting" && o.verdict == accept && o.rule == nil && f.wall.MasqueradesIn.Known() {
		f.wall.MasqueradesIn.Text = ""
		f.wall.MasqueradesIn.At = o.chain.at
		f.wall.MasqueradesIn.Why = "no rule translates packets for a tunnel"
	}
}

// clamp looks for a rule that bounds the MSS, wherever it is.
func (f *facts) clamp() posture.Value[bool] {
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			if r.clamps {
				return posture.Written(true, r.at, r.text)
			}
		}
	}
	if f.rules.whole {
		return posture.ByDefault(false, f.rules.at, "no rule sets the maximum segment size")
	}
	if c := f.rules.hooked(false, "", "forward", "postrouting"); len(c) > 0 {
		return posture.Guess(false, c[0].at, "no rule that was read sets the maximum segment size")
	}
	return posture.Value[bool]{}
}

// filtersIPv6 tells whether IPv6 is filtered at all.
func (f *facts) filtersIPv6() posture.Value[bool] {
	if c := f.filters(true); c != nil {
		at := c.at
		if c.policy == drop && c.policyAt.Line > 0 {
			at = c.policyAt
		}
		return posture.Written(true, at, c.table+" "+c.name)
	}
	if c := f.rules.hooked(true, "", "input"); len(c) > 0 {
		return posture.Written(false, c[0].at, "policy accept and no rule")
	}
	if f.rules.whole || f.in.IsHost() {
		return posture.Guess(false, f.rules.at, "no chain for IPv6 is in what was read")
	}
	return posture.Value[bool]{}
}

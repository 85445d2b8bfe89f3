package routeros

import (
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// verdict is what becomes of packets from the Internet: dropped, taken from
// some sources, taken from anywhere.
type verdict uint8

const (
	dropped verdict = iota
	someTaken
	taken
)

// packet is what the rules are asked about: a new one to the router itself, by
// UDP, from an address that no list has.
type packet struct{ port int }

// firewall judges the filter by what it does with the packets that matter.
func (r *reader) firewall() {
	rules := r.table.on("ip firewall filter")
	if len(rules) == 0 && len(r.table.on("ip firewall nat")) == 0 && len(r.table.on("ip firewall mangle")) == 0 && !r.whole() {
		return
	}
	f := posture.Firewall{Subject: r.subject("firewall", "ip firewall", r.file)}
	if len(rules) > 0 {
		f.At = rules[0].at
	}
	if len(rules) > 0 || r.whole() {
		r.input(&f)
		r.forward(&f, rules)
		r.needless(&f)
		six := r.table.on("ipv6 firewall filter")
		f.IPv6 = r.fact(six, len(six) > 0)
	}
	r.mangle(&f)
	r.masquerade(&f)
	r.host.Firewalls = append(r.host.Firewalls, f)
	r.forces(&f)
}

// forces keeps the calls of L2TP in IPsec where the server does not do so itself:
// the IPsec may be of a peer that was set up by hand.
func (r *reader) forces(f *posture.Firewall) {
	forced := f.L2TPNeedsIPsec
	if rule := r.sealed(); rule != nil {
		forced = r.ruled(rule, true)
	}
	if forced.Origin != posture.Explicit || !forced.V {
		return
	}
	for i := range r.host.PPP {
		if p := &r.host.PPP[i]; p.Dialect == posture.RouterOS && p.Name == l2tpServer && posture.Is(p.IPsecForced, false) {
			p.IPsecForced = forced
		}
	}
}

// sealed is the rule that takes L2TP from IPsec, where without it nobody is let in
// but networks that may do anything: those are the inner ones, and not callers.
func (r *reader) sealed() *entry {
	if v, rule := r.run("input", packet{1701}); v != someTaken || rule.text("dst-port") != "" || rule.text("protocol") != "" {
		return nil
	}
	rules := r.table.on("ip firewall filter")
	i := slices.IndexFunc(rules, func(e *entry) bool {
		return (e.text("action") == "accept" || e.text("action") == "") && hasPort(e.text("dst-port"), 1701) && e.text("ipsec-policy") == "in,ipsec"
	})
	if i < 0 {
		return nil
	}
	return rules[i]
}

// fact is a conclusion from rules; without any it is the default of a router
// that takes everything.
func (r *reader) fact(rules []*entry, v bool) posture.Value[bool] {
	if len(rules) == 0 {
		return setting.Of(r.defaults, v, r.file, true)
	}
	return posture.Written(v, rules[0].at, rules[0].menu)
}

func (r *reader) input(f *posture.Firewall) {
	clear, clearRule := r.run("input", packet{1701})
	ike, ikeRule := r.run("input", packet{500})
	natt, nattRule := r.run("input", packet{4500})
	f.L2TPOpen = r.ruled(clearRule, clear == taken)
	f.L2TPNeedsIPsec = r.ruled(clearRule, clear == dropped)
	if !r.whole() && !slices.Contains(r.table.menus, "interface l2tp-server server") && !names1701(clearRule) {
		// Nobody thought of L2TP here, and nothing shows that it is answered.
		f.L2TPOpen, f.L2TPNeedsIPsec = posture.Value[bool]{}, posture.Value[bool]{}
	}
	f.IKEOpen = r.ruled(ikeRule, ike == taken || natt == taken)
	f.IKEReachable = r.ruled(ikeRule, ike != dropped)
	f.NATTReachable = r.ruled(nattRule, natt != dropped)
	ptb := r.blocks("input", icmp)
	if ptb == nil {
		ptb = r.blocks("forward", icmp)
	}
	f.DropsPTB = r.ruled(ptb, ptb != nil)
	logged := slices.IndexFunc(r.table.on("ip firewall filter"), func(e *entry) bool {
		return hasPort(e.text("dst-port"), 1701) && (e.text("log") == "yes" || e.text("action") == "log")
	})
	f.LogsL2TP = r.fact(r.table.on("ip firewall filter"), logged >= 0)
}

// names1701 tells whether a rule is for the port of L2TP in so many words.
func names1701(rule *entry) bool {
	return rule != nil && (rule.text("dst-port") != "" && hasPort(rule.text("dst-port"), 1701) || rule.text("port") != "" && hasPort(rule.text("port"), 1701))
}

// ruled is a conclusion that rests on one rule, or on there being none.
func (r *reader) ruled(rule *entry, v bool) posture.Value[bool] {
	if rule == nil {
		return setting.Of(r.defaults, v, r.file, true)
	}
	p := rule.props["action"]
	text := "action=" + p.value
	if p.value == "" {
		text = "action=accept"
	}
	return posture.Written(v, rule.at, text)
}

// mostJumps bounds chains that jump to chains.
const mostJumps = 8

// run follows a packet through a chain of the filter; what no rule ends is
// taken. The rule that decided comes with the verdict.
func (r *reader) run(chain string, p packet) (verdict, *entry) {
	w := walk{chains: map[string][]*entry{}, left: mostRules}
	for _, e := range r.table.on("ip firewall filter") {
		w.chains[e.text("chain")] = append(w.chains[e.text("chain")], e)
	}
	v, rule, ended := w.follow(chain, p, 0)
	if !ended {
		return taken, nil
	}
	return v, rule
}

// walk is a packet's way through the chains.
type walk struct {
	chains map[string][]*entry
	left   int // rules that it may still meet
}

// mostRules bounds the rules that one packet meets, jumps included.
const mostRules = 100_000

func (w *walk) follow(chain string, p packet, depth int) (verdict, *entry, bool) {
	best, bestRule := dropped, (*entry)(nil)
	for _, e := range w.chains[chain] {
		if w.left--; w.left < 0 || depth > mostJumps {
			return best, bestRule, best != dropped
		}
		if !e.meets(p) {
			continue
		}
		switch action := e.text("action"); action {
		case "accept", "":
			if e.somewhere() {
				best, bestRule = someTaken, e
				continue
			}
			return taken, e, true
		case "drop", "reject", "tarpit":
			if e.somewhere() {
				continue
			}
			if best == someTaken {
				return best, bestRule, true
			}
			return dropped, e, true
		case "jump":
			if v, rule, ended := w.follow(e.text("jump-target"), p, depth+1); ended {
				return v, rule, true
			}
		case "return":
			return best, bestRule, false
		}
	}
	return best, bestRule, false
}

// meets tells whether a rule can apply to the packet, whatever its source.
func (e *entry) meets(p packet) bool {
	if proto := e.text("protocol"); proto != "" && proto != "udp" && proto != "17" && !strings.HasPrefix(proto, "!") {
		return false
	}
	if ports := e.text("dst-port"); ports != "" && !hasPort(ports, p.port) {
		return false
	}
	if ports := e.text("port"); ports != "" && !hasPort(ports, p.port) {
		return false
	}
	if state := e.text("connection-state"); state != "" && strings.HasPrefix(state, "!") == hasWord(strings.TrimPrefix(state, "!"), "new") {
		return false
	}
	if e.text("connection-nat-state") != "" {
		return false // the packet was not translated
	}
	return !strings.HasSuffix(e.text("ipsec-policy"), ",ipsec") && e.outside()
}

// inner are words in names of interfaces and lists that do not look to the
// Internet. Names say so in all the vendor's configurations.
var inner = []string{"lan", "bridge", "local", "internal", "mgmt", "management", "loopback", "lo", "guest", "trusted"}

// outside tells whether the rule is for an interface that looks to the Internet.
func (e *entry) outside() bool {
	for _, key := range []string{"in-interface-list", "in-interface"} {
		name, not := strings.CutPrefix(e.text(key), "!")
		if name == "" || name == "all" {
			continue
		}
		parts := strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return c < 'a' || c > 'z' })
		inside := slices.ContainsFunc(parts, func(part string) bool { return slices.Contains(inner, part) })
		if inside != not {
			return false
		}
	}
	return true
}

// somewhere tells whether a rule is for some sources alone.
func (e *entry) somewhere() bool {
	for _, key := range []string{"src-address", "src-address-list", "src-mac-address"} {
		if s := e.text(key); s != "" && !strings.HasPrefix(s, "!") && !isAny(s) {
			return true
		}
	}
	// A drop beyond a limit lets the rest pass.
	return e.text("action") != "accept" && (e.text("limit") != "" || e.text("dst-limit") != "")
}

// hasPort reads "500,4500" and "1000-2000", and either after an exclamation mark.
func hasPort(text string, port int) bool {
	list, not := strings.CutPrefix(text, "!")
	in := slices.ContainsFunc(strings.Split(list, ","), func(s string) bool {
		from, to, ranged := strings.Cut(s, "-")
		if !ranged {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		return err1 == nil && err2 == nil && low <= port && port <= high
	})
	return in != not
}

func hasWord(list, word string) bool { return slices.Contains(strings.Split(list, ","), word) }

// icmp tells whether a rule is for the messages of path MTU discovery.
func icmp(e *entry) bool {
	options := e.text("icmp-options")
	return e.text("protocol") == "icmp" && (options == "" || strings.HasPrefix(options, "3"))
}

// blocks is the rule of a chain that drops what matches before another takes it.
func (r *reader) blocks(chain string, match func(*entry) bool) *entry {
	for _, e := range r.table.on("ip firewall filter") {
		if e.text("chain") != chain || !match(e) || e.text("limit") != "" {
			continue
		}
		switch e.text("action") {
		case "drop", "reject":
			return e
		case "accept", "":
			return nil
		}
	}
	return nil
}

// forward is what becomes of forwarded packets: of those that no rule is for,
// of those that a tunnel should have carried, and between clients.
func (r *reader) forward(f *posture.Firewall, rules []*entry) {
	var last *entry
	f.DropsClear, f.ClientToClient = r.fact(rules, false), r.fact(rules, true)
	for _, e := range rules {
		if e.text("chain") != "forward" {
			continue
		}
		last = e
		if !e.drops() {
			continue
		}
		if e.text("ipsec-policy") == "out,none" {
			f.DropsClear = r.ruled(e, true)
		}
		for _, key := range []string{"address", "address-list"} {
			if from := e.text("src-" + key); from != "" && from == e.text("dst-"+key) {
				f.ClientToClient = r.ruled(e, false)
			}
		}
	}
	if last == nil {
		f.ForwardDrop = setting.Of(r.defaults, false, r.file, true)
		return
	}
	drops := last.drops()
	for key := range last.props {
		drops = drops && slices.Contains([]string{"chain", "action", "comment", "log", "log-prefix", "disabled", "reject-with"}, key)
	}
	f.ForwardDrop = r.ruled(last, drops)
	if drops && f.ClientToClient.V {
		f.ClientToClient = posture.Value[bool]{} // it depends on the rules before
	}
}

// needless takes back what does not matter: without a tunnel for networks nothing
// has to be kept from leaving in the clear, and without clients there are none to
// keep apart.
func (r *reader) needless(f *posture.Firewall) {
	clients := slices.ContainsFunc(r.host.Connections, func(c posture.Connection) bool { return !c.Disabled && len(c.Pool.V) > 0 }) ||
		slices.ContainsFunc(r.host.PPP, func(p posture.PPP) bool { return posture.Is(p.Server, true) })
	if !r.whole() { // what is not here may be in another part
		if !r.tunnels() && posture.Is(f.DropsClear, false) {
			f.DropsClear = posture.Value[bool]{}
		}
		if !clients && posture.Is(f.ClientToClient, true) {
			f.ClientToClient = posture.Value[bool]{}
		}
		return
	}
	if !r.tunnels() && posture.Is(f.DropsClear, false) {
		f.DropsClear = posture.Guess(true, f.At, "the export has no policy for networks")
	}
	if !clients && posture.Is(f.ClientToClient, true) {
		f.ClientToClient = posture.Guess(false, f.At, "the export has no clients")
	}
}

func (e *entry) drops() bool { return e.text("action") == "drop" || e.text("action") == "reject" }

func (r *reader) mangle(f *posture.Firewall) {
	rules := r.table.on("ip firewall mangle")
	for _, e := range rules {
		if e.text("action") == "change-mss" {
			f.MSSClamp = posture.Written(true, e.at, "new-mss="+e.text("new-mss"))
			return
		}
	}
	if len(rules) > 0 || r.whole() {
		f.MSSClamp = r.fact(rules, false)
	}
}

// masquerade tells whether packets for a tunnel are translated first: they are
// unless the rule or one before it looks at the policy.
func (r *reader) masquerade(f *posture.Firewall) {
	for _, e := range r.table.on("ip firewall nat") {
		if e.text("chain") != "srcnat" {
			continue
		}
		policy := e.text("ipsec-policy")
		switch e.text("action") {
		case "accept", "":
			if policy == "out,ipsec" || e.text("dst-address") != "" || e.text("dst-address-list") != "" {
				f.MasqueradesIn = posture.Written(false, e.at, "action=accept")
				return
			}
		case "masquerade", "src-nat":
			if policy == "out,none" {
				f.MasqueradesIn = posture.Written(false, e.at, "ipsec-policy=out,none")
			} else if r.tunnels() {
				f.MasqueradesIn = posture.Written(true, e.at, "action="+e.text("action"))
				return
			}
		}
	}
}

// tunnels tells whether there is a policy that a translation would miss. In
// transport mode it is for the router's own packets, which have its own address.
func (r *reader) tunnels() bool {
	return slices.ContainsFunc(r.host.Connections, func(c posture.Connection) bool {
		return !c.Disabled && slices.ContainsFunc(c.Children, func(child posture.Child) bool { return !child.L2TP && !posture.Is(child.Transport, true) })
	})
}

package vyos

import (
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
)

// verdict is what a ruleset does with a new packet.
type verdict int

const (
	passes verdict = iota + 1
	drops
	unsure // it hangs on what is not read here: groups, zones
	goesOn // no rule decided
)

// packet is what is asked of a ruleset: UDP from anywhere to a port of the
// router itself, out of an IPsec SA or not.
type packet struct {
	port  int
	ipsec bool
}

// firewall reads what protects the router itself: "firewall ipv4 input filter"
// since 1.4, before that the rulesets that interfaces have for "local".
func (r *reader) firewall() {
	fw := r.root.get("firewall")
	if !r.whole() && fw == nil && !r.root.has("nat") && !r.root.has("zone-policy") {
		return // a part without it
	}
	f := posture.Firewall{Subject: r.subject("firewall", "firewall", r.root.where("firewall"))}
	r.l2tpRules(&f)
	ike, at := r.judge(packet{port: 500})
	natt, at2 := r.judge(packet{port: 4500})
	f.IKEOpen = r.truth(ike, at, passes, drops)
	f.IKEReachable = r.truth(ike, at, passes, 0)
	f.NATTReachable = r.truth(natt, at2, passes, 0)
	f.MSSClamp = r.mssClamp(f.At)
	f.MasqueradesIn = r.masquerades()
	f.ForwardDrop = r.forwardDrop(fw)
	r.in.Host.Firewalls = append(r.in.Host.Firewalls, f)
	r.kernel(fw)
	for i := range r.in.Host.PPP {
		if p := &r.in.Host.PPP[i]; p.Dialect == posture.VyOS && p.Name == "l2tp" {
			p.IPsecForced, p.MSSClamp = f.L2TPNeedsIPsec, f.MSSClamp
		}
	}
}

// switches are the kernel's settings that the firewall has, by the sysctls that VyOS
// sets: of the firewall itself before 1.4, and of its global options since.
var switches = []struct {
	word, sysctl string
	values       map[string]string
}{
	{"ip-src-route", "net.ipv4.conf.all.accept_source_route", onOff},
	{"ipv6-src-route", "net.ipv6.conf.all.accept_source_route", map[string]string{"enable": "0", "disable": "-1"}},
	{"receive-redirects", "net.ipv4.conf.all.accept_redirects", onOff},
	{"ipv6-receive-redirects", "net.ipv6.conf.all.accept_redirects", onOff},
	{"send-redirects", "net.ipv4.conf.all.send_redirects", onOff},
	{"source-validation", "net.ipv4.conf.all.rp_filter", map[string]string{"disable": "0", "strict": "1", "loose": "2"}},
}

var onOff = map[string]string{"enable": "1", "disable": "0"}

// kernel reads what is written of them; the defaults changed with the releases.
func (r *reader) kernel(fw *node) {
	for _, section := range []*node{fw, fw.get("global-options")} {
		for _, s := range switches {
			leaf := section.leaf(s.word)
			if leaf == nil {
				continue
			}
			k := posture.Kernel{Subject: r.subject("sysctl", leaf.path(), leaf.at), Key: s.sysctl}
			if v, ok := s.values[leaf.name]; ok {
				k.Value = posture.Written(v, leaf.at, leaf.name)
			}
			r.in.Host.Kernel = append(r.in.Host.Kernel, k)
		}
	}
}

// l2tpRules are of interest where L2TP is served: nothing listens otherwise.
func (r *reader) l2tpRules(f *posture.Firewall) {
	if !r.root.has("vpn", "l2tp", "remote-access") {
		f.L2TPOpen = byDefault(r, false, f.At, "no L2TP is served")
		return
	}
	clear, at := r.judge(packet{port: 1701})
	f.L2TPOpen = r.truth(clear, at, passes, drops)
	f.L2TPNeedsIPsec = r.truth(clear, at, drops, passes)
	if sealed, _ := r.judge(packet{port: 1701, ipsec: true}); sealed == drops && clear == drops {
		f.L2TPNeedsIPsec.Why = "nothing is let in to the port at all"
	}
}

// truth makes a value of a verdict; unknown for any but two.
func (r *reader) truth(v verdict, at posture.Pos, yes, no verdict) posture.Value[bool] {
	switch v {
	case yes, no:
		if at == (posture.Pos{}) {
			if !r.whole() {
				return posture.Value[bool]{}
			}
			return byDefault(r, v == yes, r.root.where("firewall"), "no firewall for the router itself: everything is let in")
		}
		return posture.Written(v == yes, at, "")
	}
	return posture.Value[bool]{}
}

// judge is what happens to a packet, and the rule that decides. With rulesets on
// several interfaces, the most open one counts. Without any there is no rule, and
// everything passes.
func (r *reader) judge(p packet) (verdict, posture.Pos) {
	fw := r.root.get("firewall")
	if r.root.has("zone-policy") || fw.has("zone") {
		return unsure, fw.where("zone")
	}
	if input := fw.get("ipv4", "input", "filter"); input != nil {
		return r.walk(input, p, 0)
	}
	best, at := passes, posture.Pos{}
	for _, set := range r.localSets() {
		v, where := r.walk(set, p, 0)
		if at == (posture.Pos{}) || v == passes || v == unsure && best == drops {
			best, at = v, where
		}
	}
	return best, at
}

// localSets are the rulesets for the router itself, of all interfaces (1.3).
func (r *reader) localSets() []*node {
	var sets []*node
	seen := map[*node]bool{}
	for _, kind := range r.root.nodes("interfaces") {
		for _, i := range kind.children {
			for _, of := range append([]*node{i}, append(i.nodes("vif"), i.nodes("pppoe")...)...) {
				if name := of.value("firewall", "local", "name"); name != "" {
					if set := r.root.get("firewall", "name", name); set != nil && !seen[set] {
						seen[set] = true
						sets = append(sets, set)
					}
				}
			}
		}
	}
	return sets
}

// walk goes through a ruleset in the order of its numbers.
func (r *reader) walk(set *node, p packet, depth int) (verdict, posture.Pos) {
	if depth > 5 || !r.step(set) {
		return unsure, set.at
	}
	for _, rule := range r.order(set.get("rule")) {
		if !r.step(rule) {
			return unsure, rule.at
		}
		fits, known := matches(rule, p)
		if !fits {
			continue
		}
		v, at := r.action(rule, rule.value("action"), p, depth)
		switch {
		case v == goesOn:
		case !known && v != 0:
			return unsure, rule.at
		default:
			return v, at
		}
	}
	action := set.value("default-action")
	if action == "" {
		// Chains of 1.4 let pass, named rulesets drop.
		action = "drop"
		if set.name == "filter" {
			action = "accept"
		}
	}
	return r.action(set, action, p, depth)
}

func (r *reader) action(n *node, action string, p packet, depth int) (verdict, posture.Pos) {
	switch action {
	case "accept":
		return passes, n.at
	case "drop", "reject":
		return drops, n.at
	case "jump":
		target := n.value("jump-target")
		set := r.root.get("firewall", "ipv4", "name", target)
		if set == nil {
			set = r.root.get("firewall", "name", target)
		}
		if set == nil {
			return unsure, n.at
		}
		if v, at := r.walk(set, p, depth+1); v != goesOn {
			return v, at
		}
		return goesOn, n.at
	case "return", "continue", "":
		return goesOn, n.at
	}
	return unsure, n.at
}

// matches tells whether a rule is for a new UDP packet from anywhere to the port.
// A rule for some sources or interfaces alone is not; known is false where a
// group decides.
func matches(rule *node, p packet) (fits, known bool) {
	if rule.has("disable") || rule.has("source") && !othersThan(rule.get("source")) || rule.has("inbound-interface", "name", "lo") {
		return false, true
	}
	switch rule.value("protocol") {
	case "", "all", "udp", "tcp_udp", "17", "!tcp", "!icmp":
	default:
		return false, true
	}
	if s := rule.get("state"); s != nil && !newState(s) {
		return false, true
	}
	if ipsec := rule.get("ipsec"); ipsec != nil {
		inside := ipsec.has("match-ipsec") || ipsec.has("match-ipsec-in")
		if inside != p.ipsec {
			return false, true
		}
	}
	d := rule.get("destination")
	if d.has("group") {
		return true, false
	}
	if ports := d.leaf("port"); ports != nil && !covers(ports.name, p.port) {
		return false, true
	}
	return true, true
}

// othersThan tells whether a source is everybody but some.
func othersThan(source *node) bool {
	for _, of := range []*node{source, source.get("group")} {
		for _, list := range of.nodes() {
			if len(list.children) == 1 && strings.HasPrefix(list.children[0].name, "!") {
				return true
			}
		}
	}
	return false
}

// newState understands "state new" (1.4) and "state new enable" (1.3).
func newState(s *node) bool {
	n := s.get("new")
	return n != nil && n.value() != "disable"
}

var portNames = map[string]string{"isakmp": "500", "ipsec-nat-t": "4500", "l2tp": "1701"}

// covers tells whether a list of ports and ranges has one.
func covers(list string, port int) bool {
	list, not := strings.CutPrefix(list, "!")
	has := false
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if n, ok := portNames[word]; ok {
			word = n
		}
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		has = has || err1 == nil && err2 == nil && a <= port && port <= b
	}
	return has != not
}

// forwardDrop is the default of the forward chain, which only 1.4 has as one.
func (r *reader) forwardDrop(fw *node) posture.Value[bool] {
	if a := fw.leaf("ipv4", "forward", "filter", "default-action"); a != nil {
		return written(a.name == "drop" || a.name == "reject", a)
	}
	if fw.has("ipv4", "forward", "filter") || fw == nil && r.whole() {
		return byDefault(r, false, r.root.where("firewall"), "default of VyOS: accept")
	}
	return posture.Value[bool]{}
}

// mssClamp: any interface clamps.
func (r *reader) mssClamp(at posture.Pos) posture.Value[bool] {
	for _, kind := range r.root.nodes("interfaces") {
		for _, i := range kind.children {
			if m := i.leaf("ip", "adjust-mss"); m != nil {
				return written(true, m)
			}
		}
	}
	for _, i := range r.root.nodes("firewall", "options", "interface") {
		if m := i.leaf("adjust-mss"); m != nil {
			return written(true, m)
		}
	}
	if m := r.root.get("firewall", "options", "mss-clamp").leaf("mss"); m != nil { // EdgeOS
		return written(true, m)
	}
	if !r.whole() {
		return posture.Value[bool]{}
	}
	return byDefault(r, false, at, "no adjust-mss")
}

// masquerades tells whether packets for the networks behind a tunnel are
// translated before they reach its policies: by a rule of "nat source" without an
// exception before it.
func (r *reader) masquerades() posture.Value[bool] {
	rules := sorted(r.root.nodes("nat", "source", "rule"))
	checked := false
	for _, c := range r.in.Host.Connections {
		if c.Dialect != posture.VyOS || c.Disabled {
			continue
		}
		for _, child := range c.Children {
			for _, remote := range child.RemoteTS.V {
				if remote == "dynamic" {
					continue // the address of a client
				}
				checked = true
				rule, ok := r.translates(rules, child.LocalTS.V, remote)
				if !ok {
					return posture.Value[bool]{}
				}
				if rule != nil {
					return posture.Written(true, rule.at, "nat source rule "+rule.name)
				}
			}
		}
	}
	if !checked && slices.ContainsFunc(r.in.Host.Connections, func(c posture.Connection) bool { return c.Pool.Known() }) {
		return posture.Value[bool]{} // what is sent to clients is in no rule by name
	}
	if len(rules) == 0 && !r.whole() {
		return posture.Value[bool]{}
	}
	return byDefault(r, false, r.root.where("nat", "source"), "no rule of nat source is for the networks of a tunnel")
}

// translates is the first rule that takes packets from local networks to a remote
// one, unless it is an exception. ok is false when that takes too long.
func (r *reader) translates(rules []*node, local []string, remote string) (found *node, ok bool) {
	local = local[:min(len(local), mostProposals)]
	for _, rule := range rules {
		if !r.step(rule) {
			return nil, false
		}
		if rule.has("disable") || rule.get("destination").has("group") || rule.get("source").has("group") {
			continue
		}
		if !sideFits(rule.value("source", "address"), local) || !sideFits(rule.value("destination", "address"), []string{remote}) {
			continue
		}
		if !rule.has("exclude") {
			return rule, true
		}
		if d := rule.value("destination", "address"); d == "" || within(remote, d) {
			return nil, true
		}
	}
	return nil, true
}

// sideFits tells whether an address in a rule, which may be negated, has any of
// the networks.
func sideFits(address string, nets []string) bool {
	if address == "" {
		return true
	}
	if not, ok := strings.CutPrefix(address, "!"); ok {
		return !slices.ContainsFunc(nets, func(n string) bool { return within(n, not) })
	}
	return len(nets) == 0 || slices.ContainsFunc(nets, func(n string) bool { return overlaps(n, address) })
}

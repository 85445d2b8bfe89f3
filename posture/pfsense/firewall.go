package pfsense

import (
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
)

// rule is one rule of the packet filter, of either model.
type rule struct {
	at         posture.Pos
	pass       bool
	interfaces []string
	floating   bool
	udp        bool   // protocol is UDP, or any
	anySource  bool   // from anywhere
	ports      string // of the destination; empty: all
}

// firewall reads as much of the packet filter as bears on IKE and L2TP. Both
// products drop what no rule passes, and add rules for their own IPsec peers.
func (r *reader) firewall() {
	filter := r.root.get("filter")
	rules := append(r.legacyRules(filter), r.modelRules()...)
	if filter == nil && rules == nil {
		return
	}
	at := r.root.where("filter")
	f := posture.Firewall{Subject: r.subject("firewall", "pf", at)}
	f.L2TPOpen = byDefault(r, false, at, "there is no server for L2TP")
	if r.root.value("l2tp", "mode") == "server" {
		f.L2TPOpen = r.passes(rules, 1701, at)
	}
	if f.L2TPOpen.Known() {
		f.L2TPNeedsIPsec = f.L2TPOpen
		f.L2TPNeedsIPsec.V = !f.L2TPOpen.V
		f.L2TPNeedsIPsec.Text = ""
	}
	f.IKEOpen, f.IKEReachable = r.ikeRules(rules, at)
	f.NATTReachable = f.IKEReachable
	f.ForwardDrop = byDefault(r, true, at, "what no rule passes is dropped")
	f.IPv6 = byDefault(r, true, at, "pf filters both families")
	f.MSSClamp = r.mssClamp(at)
	r.in.Host.Firewalls = append(r.in.Host.Firewalls, f)
	for i := range r.in.Host.PPP {
		if p := &r.in.Host.PPP[i]; p.Dialect == r.dialect && p.Name == "l2tp" {
			p.IPsecForced, p.MSSClamp = f.L2TPNeedsIPsec, f.MSSClamp
		}
	}
}

func (r *reader) legacyRules(filter *element) []rule {
	var rules []rule
	for _, e := range filter.all("rule") {
		if e.set("disabled") {
			continue
		}
		protocol := e.value("protocol")
		rules = append(rules, rule{
			at: e.at, pass: e.value("type") == "pass" || e.get("type") == nil,
			interfaces: list(e.value("interface")), floating: e.set("floating"),
			udp:       protocol == "" || strings.Contains(protocol, "udp") || protocol == "any",
			anySource: e.get("source", "any") != nil && !e.set("source", "not"),
			ports:     e.value("destination", "port"),
		})
	}
	return rules
}

// modelRules are those of OPNsense's own model, beside the inherited ones.
func (r *reader) modelRules() []rule {
	var rules []rule
	for _, e := range r.root.get("OPNsense", "Firewall", "Filter", "rules").all("rule") {
		if !e.on("enabled", true) {
			continue
		}
		protocol := strings.ToLower(e.value("protocol"))
		source := e.value("source_net")
		rules = append(rules, rule{
			at: e.at, pass: e.value("action") == "pass" || e.get("action") == nil, interfaces: list(e.value("interface")),
			udp:       protocol == "" || strings.Contains(protocol, "udp") || protocol == "any",
			anySource: source == "" || source == "any", ports: e.value("destination_port"),
		})
	}
	return rules
}

// passes tells whether a rule lets UDP to a port in from anywhere outside. A rule
// whose port is an alias that the configuration does not resolve leaves it open.
func (r *reader) passes(rules []rule, port int, at posture.Pos) posture.Value[bool] {
	unsure := false
	for _, u := range rules {
		if !u.pass || !u.udp || !u.anySource || !r.outside(u) {
			continue
		}
		has, known := r.covers(u.ports, port, 0)
		if has {
			return posture.Written(true, u.at, "pass udp from any to port "+strconv.Itoa(port))
		}
		unsure = unsure || !known
	}
	if unsure {
		return posture.Value[bool]{}
	}
	return byDefault(r, false, at, "no rule passes it, and what no rule passes is dropped")
}

// outside tells whether a rule is for an interface towards the internet: "wan", or
// one with a gateway or an address from outside. A floating rule without
// interfaces is for all.
func (r *reader) outside(u rule) bool {
	if len(u.interfaces) == 0 {
		return true
	}
	return slices.ContainsFunc(u.interfaces, func(name string) bool {
		i := r.root.get("interfaces", name)
		return name == "wan" || i.value("gateway") != "" || slices.Contains([]string{"dhcp", "pppoe", "ppp", "pptp", "l2tp"}, i.value("ipaddr"))
	})
}

// covers tells whether a text of ports has one: "1701", "500:4500", "500-4500",
// "isakmp", or an alias.
func (r *reader) covers(ports string, port, depth int) (has, known bool) {
	if ports == "" || ports == "any" {
		return true, true
	}
	known = true
	for _, word := range capped(list(ports)) {
		if n, ok := portNames[word]; ok {
			word = n
		}
		first, last, isRange := strings.Cut(strings.ReplaceAll(word, ":", "-"), "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 == nil && err2 == nil {
			has = has || a <= port && port <= b
			continue
		}
		if in, ok := r.alias(word, port, depth); ok {
			has = has || in
		} else {
			known = false
		}
	}
	return has, known
}

var portNames = map[string]string{"isakmp": "500", "ipsec-msft": "4500", "ipsec-nat-t": "4500", "l2tp": "1701"}

// Aliases may name aliases, in circles too, and many times.
const (
	mostAliasDepth   = 3
	mostAliasLookups = 10_000
)

func (r *reader) alias(name string, port, depth int) (has, known bool) {
	if r.aliases == nil {
		r.aliases = map[string]string{}
		for _, a := range r.root.get("aliases").all("alias") {
			r.aliases[a.value("name")] = a.value("address")
		}
		for _, a := range r.root.get("OPNsense", "Firewall", "Alias", "aliases").all("alias") {
			r.aliases[a.value("name")] = a.value("content")
		}
	}
	content, ok := r.aliases[name]
	if r.lookups++; !ok || content == "" || depth > mostAliasDepth || r.lookups > mostAliasLookups {
		return false, false
	}
	return r.covers(content, port, depth+1)
}

// ikeRules: unless disablevpnrules is set, rules for UDP 500 and 4500 and for ESP
// are added, from the peer's address or for mobile clients from anywhere.
func (r *reader) ikeRules(rules []rule, at posture.Pos) (open, reachable posture.Value[bool]) {
	written := r.passes(rules, 500, at)
	if off := r.disabledVPNRules(); off != nil {
		return written, posture.Value[bool]{}
	}
	var first *posture.Connection
	for i := range r.in.Host.Connections {
		c := &r.in.Host.Connections[i]
		if c.Dialect != r.dialect || c.Disabled {
			continue
		}
		if first == nil || c.AnyPeer.V && !first.AnyPeer.V {
			first = c
		}
	}
	if first == nil {
		return written, posture.Value[bool]{}
	}
	reachable = byDefault(r, true, first.At, "rules for IPsec are added by themselves")
	if written.V {
		return written, reachable
	}
	return byDefault(r, first.AnyPeer.V, first.At, "rules for IPsec are added by themselves, for mobile clients from anywhere"), reachable
}

func (r *reader) disabledVPNRules() *element {
	for _, path := range [][]string{{"system", "disablevpnrules"}, {"OPNsense", "IPsec", "general", "disablevpnrules"}} {
		if r.root.set(path...) {
			return r.root.get(path...)
		}
	}
	return nil
}

// mssClamp is "maximum MSS" of the page of IPsec; OPNsense has it with the rules
// of normalisation.
func (r *reader) mssClamp(at posture.Pos) posture.Value[bool] {
	for _, path := range [][]string{{"ipsec", "maxmss_enable"}, {"system", "maxmss_enable"}} {
		if r.root.set(path...) {
			return posture.Written(true, r.root.where(path...), "maxmss_enable")
		}
	}
	for _, e := range r.root.get("filter", "scrub").all("rule") {
		if m := e.get("max-mss"); m != nil && m.text != "" {
			return posture.Written(true, m.at, m.text)
		}
	}
	return byDefault(r, false, at, "no maximum MSS for IPsec")
}

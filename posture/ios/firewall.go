package ios

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/posture/setting"
)

// rule is an entry of an extended access list, as far as it is simple.
type rule struct {
	permit           bool
	protocol         string
	from, to         string // "any", "host A" or "A WILDCARD"
	fromPort, toPort int    // 0: all
	whole            bool   // everything of the entry is understood
	at               posture.Pos
	text             string
}

// acl is an access list by number or name.
func (r *reader) acl(name string) []rule {
	if rules, ok := r.acls[name]; ok {
		return rules
	}
	var rules []rule
	for _, l := range r.root.all("access-list", name) {
		if x, ok := parseRule(l, l.words[min(2, len(l.words)):]); ok {
			rules = append(rules, x)
		}
	}
	for _, kind := range []string{"extended", "standard"} {
		if l := r.root.find("ip", "access-list", kind, name); l != nil {
			for _, b := range l.below {
				words := b.words
				if _, numbered := setting.Number(b.words[0]); numbered {
					words = words[1:]
				}
				if x, ok := parseRule(b, words); ok {
					rules = append(rules, x)
				}
			}
		}
	}
	r.acls[name] = rules
	return rules
}

func parseRule(l *line, words []string) (rule, bool) {
	x := rule{at: l.at, text: l.text, whole: true}
	if len(words) < 2 || words[0] != "permit" && words[0] != "deny" {
		return x, false
	}
	x.permit, x.protocol = words[0] == "permit", words[1]
	rest := words[2:]
	if l.word(1) != "" && (x.protocol == "any" || x.protocol == "host" || strings.Contains(x.protocol, ".")) {
		x.protocol, rest = "ip", words[1:] // a standard list has a source alone
	}
	x.from, rest = address(rest)
	x.fromPort, rest = ports1(rest, &x.whole)
	x.to, rest = address(rest)
	x.toPort, rest = ports1(rest, &x.whole)
	for _, w := range rest {
		x.whole = x.whole && (w == "log" || w == "log-input")
	}
	return x, true
}

// address takes "any", "host A" or "A WILDCARD".
func address(words []string) (string, []string) {
	switch {
	case len(words) == 0:
		return "any", nil
	case words[0] == "any":
		return "any", words[1:]
	case len(words) == 1:
		return words[0], nil
	}
	return joined(words[:2]), words[2:]
}

// network is an address of an access list as a prefix; the masks there are
// upside down.
func network(address string) string {
	host, ok := strings.CutPrefix(address, "host ")
	ip, wildcard, two := strings.Cut(address, " ")
	switch mask := net.ParseIP(wildcard).To4(); {
	case address == "any":
		return "0.0.0.0/0"
	case ok:
		return host
	case two && mask != nil:
		for i := range mask {
			mask[i] = ^mask[i]
		}
		if ones, bits := net.IPMask(mask).Size(); bits != 0 {
			return ip + "/" + strconv.Itoa(ones)
		}
	}
	return address
}

// ports1 takes "eq PORT". Other comparisons are not simple.
func ports1(words []string, whole *bool) (int, []string) {
	if len(words) < 2 {
		return 0, words
	}
	switch words[0] {
	case "eq":
		n, ok := port(words[1])
		*whole = *whole && ok
		return n, words[2:]
	case "gt", "lt", "neq":
		*whole = false
		return 0, words[2:]
	case "range":
		*whole = false
		return 0, words[min(3, len(words)):]
	}
	return 0, words
}

// firewall is what the access lists of the interfaces with IPsec do.
func (r *reader) firewall() {
	outer := r.outer()
	f := posture.Firewall{Subject: r.subject("firewall", "access lists", r.root.at)}
	if len(outer) == 0 {
		return
	}
	f.Name, f.At = outer[0].word(1), outer[0].at
	r.inbound(&f, outer[0])
	f.MSSClamp = setting.Of(r.defaults, false, r.root.at, true)
	for _, l := range r.root.all("interface") {
		if b := l.find("ip", "tcp", "adjust-mss"); b != nil && !b.no {
			f.MSSClamp = written(b, true)
		}
	}
	r.translated(&f)
	r.host.Firewalls = append(r.host.Firewalls, f)
}

// outer are the interfaces that IPsec comes in by.
func (r *reader) outer() []*line {
	var all []*line
	sources := map[string]bool{}
	for _, l := range r.root.all("interface") {
		if s := l.find("tunnel", "source"); s != nil && l.find("tunnel", "protection") != nil {
			sources[s.word(2)] = true
		}
	}
	for _, l := range r.root.all("interface") {
		if m := l.find("crypto", "map"); m != nil && !m.no || sources[l.word(1)] {
			all = append(all, l)
		}
	}
	return all
}

func (r *reader) inbound(f *posture.Firewall, l *line) {
	var in *line
	for _, b := range l.all("ip", "access-group") {
		if b.word(3) == "in" && !b.no {
			in = b
		}
	}
	if in == nil {
		yes := setting.Of(r.defaults, true, l.at, true)
		f.L2TPOpen, f.IKEOpen, f.IKEReachable, f.NATTReachable = yes, yes, yes, yes
		f.L2TPNeedsIPsec = setting.As(yes, false)
		r.mapped(f)
		return
	}
	rules := r.acl(in.word(2))
	ike, ikeRule := lookup(rules, 500)
	natt, nattRule := lookup(rules, 4500)
	l2tp, l2tpRule := lookup(rules, 1701)
	f.IKEReachable, f.NATTReachable = judged(in, ikeRule, ike != refused), judged(in, nattRule, natt != refused)
	f.IKEOpen = judged(in, ikeRule, ike == open)
	// IOS asks an access list about what came out of an SA, too, unless a
	// crypto map has one of its own; so what is permitted is so in the clear.
	f.L2TPOpen, f.L2TPNeedsIPsec = judged(in, l2tpRule, l2tp == open), judged(in, l2tpRule, l2tp == refused)
	r.mapped(f)
}

// mapped is the part of a crypto map: what its access list has is not taken in
// the clear.
func (r *reader) mapped(f *posture.Firewall) {
	if m := r.guard; m != nil {
		f.L2TPOpen, f.L2TPNeedsIPsec = written(m, false), written(m, true)
	}
}

type opening uint8

const (
	refused opening = iota
	partly
	open
)

// lookup is what a list does with UDP from anywhere to a port. What matches no
// entry is refused.
func lookup(rules []rule, port int) (opening, *rule) {
	best, bestRule := refused, (*rule)(nil)
	for i := range rules {
		x := &rules[i]
		if x.protocol != "ip" && x.protocol != "udp" || x.toPort != 0 && x.toPort != port || x.fromPort != 0 && x.fromPort != port {
			continue
		}
		switch {
		case x.permit && x.from == "any" && x.whole:
			return open, x
		case x.permit:
			best, bestRule = partly, x
		case x.from == "any" && x.to == "any" && x.whole && best == refused:
			return refused, x
		case x.from == "any" && x.whole:
			return best, bestRule
		}
	}
	return best, bestRule
}

// judged is a conclusion from an entry, or from the end of the list.
func judged(group *line, x *rule, v bool) posture.Value[bool] {
	if x == nil {
		return written(group, v)
	}
	return posture.Written(v, x.at, x.text)
}

// translated tells whether packets for a tunnel are translated first: unless
// the list of what is translated begins with an exemption.
func (r *reader) translated(f *posture.Firewall) {
	f.MasqueradesIn = setting.Of(r.defaults, false, r.root.at, true)
	if !slices.ContainsFunc(r.host.Connections, func(c posture.Connection) bool {
		return slices.ContainsFunc(c.Children, func(child posture.Child) bool {
			return child.LocalTS.Known() && !child.L2TP && !posture.Is(child.Routed, true)
		})
	}) {
		return // nothing is chosen by its inner addresses
	}
	for _, l := range r.root.all("ip", "nat", "inside", "source") {
		if l.no || posture.Is(f.MasqueradesIn, true) { // one that takes all is enough
			continue
		}
		switch rules := r.acl(l.after("list")); {
		case l.after("route-map") != "", l.after("list") != "" && len(rules) == 0:
			f.MasqueradesIn = posture.Value[bool]{} // not simple, or not in this file
		case len(rules) > 0 && (rules[0].permit || f.MasqueradesIn.Known()):
			f.MasqueradesIn = posture.Written(rules[0].permit, l.at, l.text)
		}
	}
}

// logging is where records go.
func (r *reader) logging() {
	g := posture.Logging{Subject: r.subject("logging", "logging", r.root.at)}
	g.OffHost = setting.Of(r.defaults, false, r.root.at, true)
	hosts := slices.Concat(r.root.all("logging", "host"), r.oldHosts())
	for _, l := range hosts {
		if l.no {
			continue
		}
		g.OffHost, g.Subject.At = written(l, true), l.at
		if !posture.Is(g.Protected, false) { // one in clear is enough
			g.Protected = written(l, l.after("transport") == "tls")
		}
	}
	g.TimeSync = setting.Of(r.defaults, false, r.root.at, true)
	for _, words := range [][]string{{"ntp", "server"}, {"ntp", "peer"}, {"sntp", "server"}} {
		if l := r.root.find(words...); l != nil && !l.no {
			g.TimeSync = posture.Written(true, l.at, joined(words))
		}
	}
	g.Auth = setting.Of(r.defaults, false, r.root.at, true)
	for _, words := range [][]string{{"login", "on-failure"}, {"login", "on-success"}, {"aaa", "accounting"}, {"crypto", "logging", "session"}} {
		if l := r.root.find(words...); l != nil && !l.no {
			g.Auth = written(l, true)
		}
	}
	if !g.Auth.V && len(r.host.Connections) > 0 {
		g.Auth = posture.Value[bool]{} // the daemon's to say
	}
	g.UTC = setting.Of(r.defaults, true, r.root.at, false)
	if l := r.root.find("service", "timestamps", "log"); l != nil {
		zone := r.root.find("clock", "timezone") // without one, local time is UTC
		local := zone != nil && !zone.no && zone.word(3) != "0"
		g.UTC = written(l, !local || index(l.words, "localtime") == len(l.words))
	}
	r.host.Logs = append(r.host.Logs, g)
}

// oldHosts are lines such as "logging 192.0.2.7".
func (r *reader) oldHosts() []*line {
	var all []*line
	for _, l := range r.root.all("logging") {
		if strings.Count(l.word(1), ".") == 3 {
			all = append(all, l)
		}
	}
	return all
}

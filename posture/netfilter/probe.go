package netfilter

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// answer is whether a packet meets a condition.
type answer uint8

const (
	no      answer = iota
	unclear        // cannot be judged
	some           // packets of some sources do, and any other's not
	yes
)

// side is where an interface leads.
type side uint8

const (
	nowhere side = iota // there is no such interface at this hook
	outside
	inside
	clients // the interfaces of sessions
)

// place is whose an address is.
type place uint8

const (
	stranger  place = iota // anybody's on the internet
	self                   // this host's
	inner                  // of a network behind this host
	remote                 // of a network behind a tunnel
	pool                   // of a client, as the source is
	tunnelled              // of a network that a tunnel's policy names
)

// probe is a packet of which it is asked what becomes of it.
type probe struct {
	what       string // for a person
	v6         bool
	proto      string
	port       int
	icmp, code int
	state      string // of connection tracking
	in, out    side
	src, dst   place
	secIn      bool // it came out of an SA
	secOut     bool // it will go into one
}

// selectors answer for one value each.
var selectors map[string]func(*walker, string) answer

func init() {
	selectors = map[string]func(*walker, string) answer{
		"iif":   func(w *walker, v string) answer { return w.iface(w.probe.in, v) },
		"oif":   func(w *walker, v string) answer { return w.iface(w.probe.out, v) },
		"saddr": func(w *walker, v string) answer { return w.address(w.probe.src, v) },
		"daddr": func(w *walker, v string) answer { return w.address(w.probe.dst, v) },
		"l4proto": func(w *walker, v string) answer {
			return answerOf(protocol(v) == w.probe.proto || v == "all" || v == "0")
		},
		"nfproto":   func(w *walker, v string) answer { return answerOf(v == "ip6" || v == "ipv6", w.probe.v6) },
		"dport":     func(w *walker, v string) answer { return number(v, w.probe.port, ports) },
		"sport":     func(w *walker, v string) answer { return yes }, // the sender's choice
		"icmptype":  icmpType,
		"icmpcode":  func(w *walker, v string) answer { return number(v, w.probe.code, icmpNames) },
		"state":     func(w *walker, v string) answer { return answerOf(strings.EqualFold(v, w.probe.state)) },
		"status":    func(w *walker, v string) answer { return no },
		"direction": func(w *walker, v string) answer { return answerOf(strings.EqualFold(v, "original")) },
		"secin":     func(w *walker, v string) answer { return answerOf(v == "ipsec", w.probe.secIn) },
		"secout":    func(w *walker, v string) answer { return answerOf(v == "ipsec", w.probe.secOut) },
		"within":    func(*walker, string) answer { return yes }, // a rate that honest traffic keeps
		"above":     func(*walker, string) answer { return no },
		"always":    func(*walker, string) answer { return yes },
		"never":     func(*walker, string) answer { return no },
		"sources":   func(*walker, string) answer { return some },
		"dsttype":   func(w *walker, v string) answer { return answerOf(strings.EqualFold(v, "local"), w.probe.dst == self) },
		"srctype":   func(w *walker, v string) answer { return answerOf(strings.EqualFold(v, "unicast")) },
		"pkttype":   func(w *walker, v string) answer { return answerOf(v == "host" || v == "unicast" || v == "to-host") },
		"mark":      zeroMark,
		"route":     func(w *walker, v string) answer { return answerOf(v == "exists" || v == "1") }, // the way back
	}
}

// answerOf is yes if all are equal to the first; of one, if it is true.
func answerOf(first bool, rest ...bool) answer {
	if len(rest) == 0 && first || len(rest) > 0 && first == rest[0] {
		return yes
	}
	return no
}

// meets judges one condition.
func (w *walker) meets(r *rule, m match) answer {
	best := no
	if w.steps += len(m.tuples); w.steps > mostSteps {
		return unclear
	}
	for _, t := range m.tuples {
		best = max(best, w.tuple(r, m.selectors, t, 0))
	}
	if !m.not || best == unclear {
		return best
	}
	if best == yes {
		return no
	}
	return yes // of a stranger even where some do meet it
}

// tuple is as good as its worst part.
func (w *walker) tuple(r *rule, selected, values []string, depth int) answer {
	if len(values) == 1 && strings.HasPrefix(values[0], "@") {
		return w.set(r, selected, values[0], depth)
	}
	if len(values) != len(selected) {
		return unclear
	}
	worst := yes
	for i, v := range values {
		worst = min(worst, w.value(r, selected[i], v, depth))
	}
	return worst
}

func (w *walker) value(r *rule, selector, v string, depth int) answer {
	if strings.HasPrefix(v, "@") {
		return w.set(r, []string{selector}, v, depth)
	}
	if selector == "daddr" && v != "" && (w.probe.dst == pool || w.probe.dst == remote) && sameNetwork(r, v) {
		return answerOf(w.probe.dst == pool) // what stays in one network is not what a tunnel is for
	}
	if v == "*" || v == "any" && selector != "icmptype" {
		return yes
	}
	if judge := selectors[selector]; judge != nil {
		return judge(w, v)
	}
	return unclear
}

// set judges by the elements of a named set. A set without written elements is
// filled while the firewall runs.
func (w *walker) set(r *rule, selected []string, name string, depth int) answer {
	elements := w.rules.sets[w.table+" "+name[1:]]
	w.steps += len(elements)
	if depth > 0 || w.steps > mostSteps {
		return unclear
	}
	if len(elements) == 0 {
		if slices.Contains(selected, "saddr") {
			return some
		}
		return unclear
	}
	best := no
	for _, e := range elements {
		best = max(best, w.tuple(r, selected, e, depth+1))
	}
	return best
}

// mostPairs is how many networks a rule may name as both ends to be understood.
const mostPairs = 64

// sameNetwork tells whether the rule's source is the same network.
func sameNetwork(r *rule, v string) bool {
	return slices.ContainsFunc(r.matches, func(m match) bool {
		return !m.not && len(m.selectors) == 1 && len(m.tuples) <= mostPairs && m.selectors[0] == "saddr" && slices.ContainsFunc(m.tuples, func(t []string) bool { return t[0] == v })
	})
}

// sessionInterfaces and innerInterfaces are beginnings of usual names.
var (
	sessionInterfaces = []string{"ppp", "l2tp", "ipsec", "vti", "xfrm", "wg", "tun", "tap", "sstp"}
	innerInterfaces   = []string{"lan", "br", "docker", "virbr", "veth", "lxc", "lxd", "cni", "int", "dmz", "podman", "cali", "flannel", "dummy"}
)

func begins(name string, with []string) bool {
	return slices.ContainsFunc(with, func(p string) bool { return strings.HasPrefix(name, p) })
}

// iface judges a name. Which interface is the outside one is known where
// addresses are translated, and guessed elsewhere.
func (w *walker) iface(s side, name string) answer {
	switch {
	case s == nowhere || name == "lo":
		return no
	case name == "+" || name == "*" || name == "":
		return yes
	case w.isOutside(name):
		return answerOf(s == outside)
	case begins(name, sessionInterfaces):
		return answerOf(s == clients)
	case s != outside:
		return answerOf(s == inside)
	case len(w.rules.outside) > 0 || w.rules.trusted[name] || begins(name, innerInterfaces):
		return no
	}
	w.guessed = name
	return yes
}

// isOutside knows names and patterns such as "eth+".
func (w *walker) isOutside(name string) bool {
	if w.rules.outside[name] {
		return true
	}
	prefix, ok := strings.CutSuffix(name, "+")
	for known := range w.rules.outside {
		if ok && strings.HasPrefix(known, prefix) || strings.HasSuffix(known, "+") && strings.HasPrefix(name, known[:len(known)-1]) {
			return true
		}
	}
	return false
}

// address judges an address, a prefix or a range.
func (w *walker) address(whose place, v string) answer {
	first, bits, ok := network(v)
	if ok && first.Is6() != w.probe.v6 {
		return no
	}
	nobody := ok && (first.IsMulticast() || first.IsLoopback() || first.IsLinkLocalUnicast() || v == "255.255.255.255")
	switch {
	case ok && bits <= 1:
		return yes
	case whose == stranger:
		return some
	case whose == tunnelled:
		return w.tunnelled(first, bits, ok)
	case whose == inner && w.probe.dst == remote && ok && w.ofClients(first, bits):
		return no
	case nobody:
		return no
	case whose == self || whose == inner:
		return yes
	case whose == remote && ok && first.IsPrivate():
		return yes
	}
	return some
}

// tunnelled tells whether a network is one that a tunnel is for. Where no IKE
// daemon's files were read, any could be.
func (w *walker) tunnelled(first netip.Addr, bits int, ok bool) answer {
	if !w.rules.tunnelsKnown {
		w.assumed = true
		return yes
	}
	p := netip.PrefixFrom(first, min(bits, first.BitLen()))
	return answerOf(ok && slices.ContainsFunc(w.rules.tunnels, p.Overlaps))
}

// ofClients tells whether a network is that of a pool of clients, and of no
// network behind this host.
func (w *walker) ofClients(first netip.Addr, bits int) bool {
	p := netip.PrefixFrom(first, min(bits, first.BitLen()))
	return slices.ContainsFunc(w.rules.pools, p.Contains) && !slices.ContainsFunc(w.rules.tunnels, p.Overlaps)
}

// network is the first address of what is written, and the length of its prefix.
func network(v string) (netip.Addr, int, bool) {
	if a, mask, ok := strings.Cut(v, "/"); ok {
		if p, err := netip.ParsePrefix(v); err == nil {
			return p.Addr(), p.Bits(), true
		}
		addr, err := netip.ParseAddr(a)
		return addr, maskBits(mask), err == nil // 10.0.0.0/255.0.0.0
	}
	v, _, _ = strings.Cut(v, "-")
	addr, err := netip.ParseAddr(v)
	return addr, 128, err == nil
}

func maskBits(mask string) int {
	if mask == "0.0.0.0" || mask == "::" {
		return 0
	}
	return 32
}

// protocols are the names of /etc/protocols that a rule can have instead of a
// number.
var protocols = map[string]string{"17": "udp", "6": "tcp", "50": "esp", "51": "ah", "1": "icmp", "58": "icmpv6", "ipv6-icmp": "icmpv6", "icmp6": "icmpv6", "ipv6-crypt": "esp", "ipv6-auth": "ah"}

func protocol(v string) string {
	v = strings.ToLower(v)
	if p, ok := protocols[v]; ok {
		return p
	}
	return v
}

// ports are the names of /etc/services that matter here. 1701 is called l2f
// there.
var ports = map[string]int{"isakmp": 500, "ipsec-nat-t": 4500, "ipsec-msft": 4500, "l2f": 1701, "l2tp": 1701}

var icmpNames = map[string]int{"destination-unreachable": 3, "packet-too-big": 2, "frag-needed": 4, "fragmentation-needed": 4}

// number judges a number, a name or a range: "500", "isakmp", "500-600",
// "500:600", ":600".
func number(v string, n int, names map[string]int) answer {
	if from, to, ok := strings.Cut(strings.ReplaceAll(v, ":", "-"), "-"); ok && names[v] == 0 && !isName(v) {
		lo, err1 := strconv.Atoi(or(from, "0"))
		hi, err2 := strconv.Atoi(or(to, "65535"))
		if err1 != nil || err2 != nil {
			return no
		}
		return answerOf(lo <= n && n <= hi)
	}
	if known, ok := names[strings.ToLower(v)]; ok {
		return answerOf(known == n)
	}
	got, err := strconv.Atoi(v)
	return answerOf(err == nil && got == n)
}

func isName(v string) bool { return strings.ContainsAny(v, "abcdefghijklmnopqrstuvwxyz") }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// icmpType judges "3", "3/4", "destination-unreachable", "fragmentation-needed".
func icmpType(w *walker, v string) answer {
	if v == "any" || v == "255" {
		return yes
	}
	if v == "fragmentation-needed" {
		v = "3/4"
	}
	typ, code, ok := strings.Cut(v, "/")
	a := number(typ, w.probe.icmp, icmpNames)
	if ok {
		a = min(a, number(code, w.probe.code, icmpNames))
	}
	return a
}

// zeroMark: nothing has marked the packet, unless a rule did so that is not
// followed here.
func zeroMark(_ *walker, v string) answer {
	if v, _, _ = strings.Cut(v, "/"); v == "0" || v == "0x0" || v == "0x00000000" {
		return yes
	}
	return unclear
}

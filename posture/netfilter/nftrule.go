package netfilter

import (
	"slices"
	"strings"
)

// nftRule is a rule that is being read: expressions that packets are held
// against, and statements.
type nftRule struct {
	words []token
	i     int
	rule  *rule
	note  func(token)
}

func (p *nftRule) peek() string {
	if p.i < len(p.words) && !p.words[p.i].quoted {
		return p.words[p.i].s
	}
	return ""
}

func (p *nftRule) take() token {
	if p.i < len(p.words) {
		p.i++
		return p.words[p.i-1]
	}
	return token{}
}

func (p *nftRule) accept(s string) bool {
	if s != "" && p.peek() == s {
		p.i++
		return true
	}
	return false
}

func (p *nftRule) add(m match) { p.rule.matches = append(p.rule.matches, m) }

// all reads the whole rule. Every turn takes a word at least.
func (p *nftRule) all() {
	for p.i < len(p.words) {
		before := p.i
		if !p.statement() && !p.expression() {
			p.note(p.take())
			p.add(unclearMatch())
			p.skip()
		}
		if p.i == before {
			p.i++
		}
	}
}

// begins are the words with which a statement begins, so that what stands
// before is over.
var statementWords = []string{
	"accept", "drop", "reject", "queue", "continue", "return", "jump", "goto", "counter", "log", "limit", "comment", "masquerade", "snat", "dnat",
	"redirect", "notrack", "quota", "set", "add", "update", "delete", "meter", "flow", "tproxy", "dup", "fwd", "synproxy", "last", "tcp", "udp", "ct", "meta",
}

// skip leaves out words up to the next statement.
func (p *nftRule) skip() {
	for p.i < len(p.words) && !slices.Contains(statementWords, p.peek()) {
		if p.peek() == "{" {
			p.braces()
			continue
		}
		p.i++
	}
}

// braces takes what is in braces, which begin here.
func (p *nftRule) braces() []token {
	first := p.i + 1
	depth := 0
	for p.i < len(p.words) {
		switch p.peek() {
		case "{":
			depth++
		case "}":
			depth--
		}
		p.i++
		if depth == 0 {
			return p.words[first : p.i-1]
		}
	}
	return p.words[min(first, len(p.words)):]
}

// statement reads one, if there is one here.
func (p *nftRule) statement() bool {
	word := p.peek()
	switch word {
	case "accept", "drop", "return", "jump", "goto":
		p.rule.verdict, p.rule.target = verdictOf(p.words[p.i:])
		p.i++
		if p.rule.target != "" {
			p.i++
		}
	case "continue", "notrack", "last":
		p.i++
		if p.accept("used") {
			p.skip()
		}
	case "reject":
		p.rule.verdict = drop
		p.i = len(p.words)
	case "queue":
		p.rule.verdict = queue
		p.i = len(p.words)
	case "masquerade", "snat":
		p.rule.verdict = translate
		p.i = len(p.words)
	case "dnat", "redirect", "tproxy", "synproxy":
		p.rule.verdict = accept
		p.i = len(p.words)
	case "dup", "fwd":
		p.i = len(p.words)
	case "comment":
		p.i += 2
	case "log":
		p.rule.logs = true
		p.i++
		p.arguments("prefix", "level", "flags", "group", "queue-threshold", "snaplen", "all", "tcp", "ip", "skuid", "ether", "sequence,options", "sequence", "options")
	case "counter":
		p.i++
		p.arguments("packets", "bytes", "name")
	case "limit", "quota":
		p.i++
		p.limit()
	case "add", "update", "delete", "meter", "set", "flow":
		p.dynamic()
	default:
		return false
	}
	return true
}

// arguments takes pairs of a word and its value.
func (p *nftRule) arguments(words ...string) {
	for slices.Contains(words, p.peek()) {
		word := p.take().s
		if !slices.Contains([]string{"all", "tcp", "ip", "skuid", "ether", "sequence,options", "sequence", "options", "flags"}, word) {
			p.i++
		}
	}
}

// limit is a rate: below it honest traffic stays, over it does not come.
func (p *nftRule) limit() {
	selector := "within"
	for p.i < len(p.words) && !slices.Contains(statementWords, p.peek()) {
		if p.take().s == "over" {
			selector = "above"
		}
	}
	p.add(is(selector, "limit"))
}

// dynamic is a statement on a set, which may bound a rate: "add @seen { ip saddr
// limit rate over 10/second }".
func (p *nftRule) dynamic() {
	over := false
	for p.i < len(p.words) {
		if p.peek() == "{" {
			for _, t := range p.braces() {
				over = over || t.s == "over"
			}
			break
		}
		p.i++
		if strings.HasPrefix(p.peek(), "@") && !slices.ContainsFunc(p.words[p.i:], func(t token) bool { return t.s == "{" }) {
			p.i++
			break
		}
	}
	if over {
		p.add(is("above", "limit"))
	}
}

// field is what stands left of a comparison.
type field struct {
	selector string
	implies  match // what else is true of such packets
}

// headers are protocols whose fields may be named.
var headers = map[string]string{"tcp": "tcp", "udp": "udp", "udplite": "udplite", "sctp": "sctp", "dccp": "dccp", "esp": "esp", "ah": "ah", "comp": "comp", "icmp": "icmp", "icmpv6": "icmpv6", "igmp": "igmp", "th": ""}

// fieldNames are the fields that are judged, by what they begin with.
var fieldNames = map[string]string{
	"iif": "iif", "iifname": "iif", "oif": "oif", "oifname": "oif", "meta iif": "iif", "meta iifname": "iif", "meta oif": "oif", "meta oifname": "oif",
	"meta l4proto": "l4proto", "l4proto": "l4proto", "ip protocol": "l4proto", "ip6 nexthdr": "l4proto", "meta nfproto": "nfproto", "nfproto": "nfproto", "meta protocol": "nfproto",
	"ip saddr": "saddr", "ip daddr": "daddr", "ip6 saddr": "saddr", "ip6 daddr": "daddr", "ether type": "nfproto",
	"ct state": "state", "ct status": "status", "ct direction": "direction", "ct mark": "mark", "meta mark": "mark", "mark": "mark",
	"meta pkttype": "pkttype", "pkttype": "pkttype", "meta secpath": "secin", "meta ipsec": "secin", "secpath": "secin", "rt ipsec": "secout",
	"icmp type": "icmptype", "icmp code": "icmpcode", "icmpv6 type": "icmptype", "icmpv6 code": "icmpcode",
	"fib daddr type": "dsttype", "fib saddr type": "srctype", "ether saddr": "sources", "meta iifgroup": "?", "meta oifgroup": "?", "iifgroup": "?", "oifgroup": "?",
	"meta iiftype": "?", "meta oiftype": "?", "iiftype": "?", "oiftype": "?", "ct count": "within", "esp spi": "always", "ah spi": "always",
}

// openers are the words with which a field begins.
var openers = []string{
	"iif", "iifname", "oif", "oifname", "meta", "ip", "ip6", "ct", "fib", "rt", "ipsec", "ether", "vlan", "arp", "socket", "osf", "exthdr", "frag", "hbh", "dst", "srh", "mh",
	"l4proto", "nfproto", "mark", "pkttype", "secpath", "iifgroup", "oifgroup", "iiftype", "oiftype", "skuid", "skgid", "cpu", "cgroup", "numgen", "jhash", "symhash",
}

// field reads one field; ok is false where none begins.
func (p *nftRule) field() (field, bool) {
	word := p.peek()
	if proto, ok := headers[word]; ok {
		return p.header(word, proto), true
	}
	if !slices.Contains(openers, word) {
		return field{}, false
	}
	p.i++
	if selector, ok := fieldNames[word]; ok {
		return field{selector: selector}, true
	}
	switch word {
	case "fib":
		return field{selector: p.fib()}, true
	case "ipsec":
		return p.ipsec(), true
	case "meta", "ip", "ip6", "ct", "rt", "ether":
		return p.named(word), true
	}
	if word != "skuid" && word != "skgid" && word != "cpu" && word != "cgroup" {
		p.i++
	}
	return field{selector: "?"}, true
}

func (p *nftRule) named(word string) field {
	second := p.take().s
	if word == "ct" && (second == "original" || second == "reply") {
		p.accept("ip")
		p.accept("ip6")
		p.i++
		return field{selector: "?"}
	}
	f := field{selector: or(fieldNames[word+" "+second], "?")}
	switch word {
	case "ip":
		f.implies = is("nfproto", "ip")
	case "ip6":
		f.implies = is("nfproto", "ip6")
	}
	if word == "ct" && second == "count" && p.accept("over") {
		f.selector = "above"
	}
	return f
}

// header is a field of a transport protocol, such as "udp dport".
func (p *nftRule) header(word, proto string) field {
	p.i++
	f := field{}
	if proto != "" {
		f.implies = is("l4proto", proto)
	}
	second := p.take().s
	switch {
	case second == "dport" || second == "sport":
		f.selector = second
	case second == "option":
		p.i += 2 // the option and its field
		f.selector = "?"
	default:
		f.selector = or(fieldNames[word+" "+second], "?")
	}
	return f
}

// fib looks an address up in the routes.
func (p *nftRule) fib() string {
	var what []string
	for p.i < len(p.words) {
		word := p.take().s
		switch word {
		case "type":
			return or(fieldNames["fib "+or(first(what), "?")+" type"], "?")
		case "oif", "oifname", "check":
			return "route"
		case ".", ",":
		default:
			what = append(what, word)
		}
	}
	return "?"
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

// ipsec is a field of the SA that the packet came from or goes into: it has one.
func (p *nftRule) ipsec() field {
	selector := "secin"
	if p.peek() == "out" {
		selector = "secout"
	}
	p.i++
	if p.accept("spnum") {
		p.i++
	}
	if word := p.take().s; word == "ip" || word == "ip6" {
		p.i++
	}
	return field{selector: "always", implies: is(selector, "ipsec")}
}

// expression is a comparison: fields, joined by dots, and values.
func (p *nftRule) expression() bool {
	f, ok := p.field()
	if !ok {
		return false
	}
	fields := []field{f}
	for p.accept(".") {
		if f, ok = p.field(); !ok {
			break
		}
		fields = append(fields, f)
	}
	if p.accept("set") { // a statement that changes the field
		p.assigned()
		return true
	}
	var selected []string
	for _, f := range fields {
		if f.implies.selectors != nil {
			p.add(f.implies)
		}
		selected = append(selected, f.selector)
	}
	p.compare(selected)
	return true
}

// assigned skips the new value of a field, up to what follows. An MSS is the one
// that counts: "tcp option maxseg size set rt mtu".
func (p *nftRule) assigned() {
	for i := max(p.i-3, 0); i < p.i; i++ {
		p.rule.clamps = p.rule.clamps || p.words[i].s == "maxseg"
	}
	for p.i < len(p.words) && !slices.Contains([]string{"accept", "drop", "return", "jump", "goto", "counter", "log", "comment", "continue", "reject"}, p.peek()) {
		p.i++
	}
}

func (p *nftRule) compare(selected []string) {
	m := match{selectors: selected}
	switch op := p.peek(); op {
	case "!=", "ne":
		m.not = true
		p.i++
	case "==", "eq":
		p.i++
	case "!": // "! iif lo" does not exist, but "ct state ! new" did
		m.not = true
		p.i++
	case "<", ">", "<=", ">=", "&", "|", "^", "(", "and", "or", "xor", "lt", "gt", "le", "ge":
		p.masked()
		return
	case "vmap":
		p.i++
		p.verdictMap(selected)
		return
	case "map":
		p.masked()
		return
	}
	m.tuples = p.values(selected)
	if slices.Contains([]string{"&", "|", "and", "or", "/"}, p.peek()) { // "tcp flags syn / syn,rst"
		p.masked()
		return
	}
	p.add(m)
}

// masked is arithmetic, which is not judged.
func (p *nftRule) masked() {
	p.add(unclearMatch())
	for p.i < len(p.words) && !slices.Contains(statementWords, p.peek()) && !slices.Contains(openers, p.peek()) {
		if p.peek() == "{" {
			p.braces()
			continue
		}
		p.i++
	}
}

func (p *nftRule) verdictMap(selected []string) {
	p.rule.switched = selected
	if p.peek() != "{" {
		p.rule.mapName = strings.TrimPrefix(p.take().s, "@")
		return
	}
	for _, e := range commas(p.braces()) {
		if tuple, v, target, ok := element(e); ok {
			p.rule.branches = append(p.rule.branches, branch{translated(selected, tuple), v, target})
		}
	}
}

// values reads what is right of a comparison.
func (p *nftRule) values(selected []string) [][]string {
	var all [][]string
	if p.peek() == "{" {
		for _, e := range commas(p.braces()) {
			if tuple, _, _, _ := element(e); len(tuple) > 0 {
				all = append(all, translated(selected, tuple))
			}
		}
		return all
	}
	tuple := []string{p.take().s}
	for {
		switch {
		case p.accept("."):
			tuple = append(tuple, p.take().s)
		case p.peek() == "-" && p.i+1 < len(p.words):
			p.i++
			tuple[len(tuple)-1] += "-" + p.take().s
		case p.accept(","):
			all = append(all, translated(selected, tuple))
			tuple = []string{p.take().s}
		default:
			return append(all, translated(selected, tuple))
		}
	}
}

// translated puts values into the words that iptables has for the same.
func translated(selected, tuple []string) []string {
	for i, s := range selected {
		if i >= len(tuple) {
			break
		}
		switch {
		case (s == "secin" || s == "secout") && (tuple[i] == "exists" || tuple[i] == "1" || tuple[i] == "true"):
			tuple[i] = "ipsec"
		case (s == "iif" || s == "oif") && strings.HasSuffix(tuple[i], "*"):
			tuple[i] = strings.TrimSuffix(tuple[i], "*") + "+"
		case s == "nfproto" && tuple[i] == "ipv4":
			tuple[i] = "ip"
		}
	}
	return tuple
}

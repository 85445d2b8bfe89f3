package ios

import "strings"

// typed puts lines where IOS would: people publish what they typed, without the
// indent of "show running-config", and IOS then asks whether the command that it is
// in knows a line before it takes it for a new one.
type typed struct {
	chain  []*line // the command that lines go to, and those that it is in
	indent int
	used   bool // a line has gone to the chain
}

// peers are the lines of one peer of an IKEv2 keyring, and calls those of what a
// group accepts or begins. Both stand below another block.
var (
	peers      = set("address hostname identity pre-shared-key ppk description virtual-template")
	calls      = set("protocol virtual-template rotary-group pool-member domain dnis")
	interfaces = set(`ip ipv6 tunnel ppp peer crypto mtu description shutdown keepalive encapsulation bandwidth zone-member vrf duplex speed negotiation
		load-interval delay half-duplex full-duplex dialer no`)
	entries = set("permit deny remark evaluate")

	// Of GET VPN: a group, its key server, and an SA that this has for members.
	groupsOfKeys = set("identity server passive client description")
	keyServers   = set("rekey sa address redundancy authorization registration replay gikev2 gdoi")
	pushedSAs    = set("profile match replay tag receive-only")
)

// wordsIn are the words of the lines below a line; nil where it is no block that
// is known.
func wordsIn(l *line) map[string]bool {
	switch {
	case l.no:
		return nil
	case l.has("interface"):
		return interfaces
	case l.has("ip", "access-list") && len(l.words) > 3:
		return entries
	case l.has("peer") && len(l.words) == 2:
		return peers
	case l.has("accept-dialin"), l.has("request-dialin"):
		return calls
	case l.has("crypto", "gdoi", "group"), l.has("crypto", "gkm", "group"):
		return groupsOfKeys
	case l.has("server", "local") && len(l.words) == 2:
		return keyServers
	case l.has("sa", "ipsec") && len(l.words) == 3:
		return pushedSAs
	}
	for i := range blocks {
		if strings.HasPrefix(l.whole(), blocks[i].begins+" ") {
			return blocks[i].words
		}
	}
	return nil
}

// both are how lines begin whose first word begins others, too, that stand at
// the top, and that are short of those.
var both = []string{
	"aaa authorization group ", "aaa authorization user ", "aaa authentication eap ", "aaa authentication anyconnect-eap ", "aaa attribute list ",
	"identity local ", "identity number ", "identity address ", "ip address ", "ip unnumbered ", "ip access-group ", "ip mtu ", "ip tcp adjust-mss ", "ip nhrp ", "ip ospf ", "ip vrf forwarding ",
	"ip pmtu", "tunnel ", "ppp ", "virtual-template ", "l2tp ", "dialer ", "vrf ", "key ",
}

// takes tells whether a block has a line.
func takes(block, l *line) bool {
	words := wordsIn(block)
	if !words[l.words[0]] {
		return words != nil && block.has("ip", "access-list") && entries[l.word(1)]
	}
	if !topWords[l.words[0]] {
		return true
	}
	if l.has("key", "chain") || l.has("key", "config-key") || l.has("vrf", "definition") {
		return false
	}
	if l.has("crypto", "map") || l.has("ip", "nat", "inside") || l.has("ip", "nat", "outside") {
		return block.has("interface") && len(l.words) == 3
	}
	if block.has("sa", "ipsec") && l.has("profile") {
		return true
	}
	text := l.whole() + " "
	for _, b := range both {
		if strings.HasPrefix(text, b) {
			return true
		}
	}
	return false
}

// mayBe are the blocks that a line may be of, the nearest first.
func (t *typed) mayBe(above *line, indent int) []*line {
	var in []*line
	if len(above.words) > 0 {
		in = append(in, above)
	}
	if indent == t.indent {
		for i := len(t.chain) - 1; i >= 0; i-- {
			in = append(in, t.chain[i])
		}
	}
	if len(above.words) == 0 {
		in = append(in, above)
	}
	return in
}

// above is the line that a new one goes below, if not what its indent says.
func (t *typed) above(l *line, indent int) *line {
	if len(t.chain) > 0 && indent > t.indent {
		if !t.used {
			t.chain = nil // as "show running-config" writes it
		}
		return nil
	}
	if indent == t.indent {
		for i := len(t.chain) - 1; i >= 0; i-- {
			if above := t.chain[i]; takes(above, l) {
				t.chain, t.used = t.chain[:i+1], true
				if wordsIn(l) != nil {
					t.chain = append(t.chain, l)
				}
				return above
			}
		}
	}
	t.chain, t.indent, t.used = nil, indent, false
	if wordsIn(l) != nil {
		t.chain = []*line{l}
	}
	return nil
}

// exit leaves a block.
func (t *typed) exit(indent int) {
	if indent <= t.indent && len(t.chain) > 0 {
		t.chain = t.chain[:len(t.chain)-1]
	}
}

// begins tells whether a line begins something new wherever it stands: nothing
// has such lines but the file as a whole, and the lines of a template between which
// they may be.
func begins(above, l *line) bool {
	switch {
	case len(above.words) == 0:
		return false
	case l.has("interface"), l.has("ip", "access-list") && wordsIn(l) != nil:
		return true
	case above.has("interface") && (l.has("crypto", "map") || l.has("crypto", "ipsec")):
		return false
	}
	return l.has("crypto") && wordsIn(l) != nil
}

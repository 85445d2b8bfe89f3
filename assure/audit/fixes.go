package audit

import (
	"maps"
	"net/netip"
	"strings"

	"sallyport/posture"
)

// fixes is what to write, by dialect.
type fixes = map[posture.Dialect]string

// setProposals is the fix of all rules about lists of algorithms, for the
// dialects that can break and keep the rule.
func setProposals(dialects ...posture.Dialect) fixes {
	f := fixes{}
	for _, d := range dialects {
		f[d] = "{proposals}"
	}
	return f
}

// ikeDialects have IKE SAs whose algorithms a file chooses. Sallyport is not
// among them: it cannot be told to take what most rules are about.
var ikeDialects = []posture.Dialect{
	posture.Swanctl, posture.Starter, posture.Libreswan, posture.RouterOS, posture.IOS, posture.FortiOS, posture.PfSense, posture.OPNsense, posture.VyOS, posture.Windows,
}

// and adds to fixes.
func and(f, more fixes) fixes {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// without takes a dialect out.
func without(list []posture.Dialect, not ...posture.Dialect) []posture.Dialect {
	var out []posture.Dialect
next:
	for _, d := range list {
		for _, n := range not {
			if d == n {
				continue next
			}
		}
		out = append(out, d)
	}
	return out
}

// The places in which lines stand, by dialect.

func swanConn(line string) string  { return "# in connections.{conn}\n" + line }
func swanChild(line string) string { return "# in connections.{conn}.children.{name}\n" + line }
func charon(line string) string    { return "# in strongswan.conf, section charon\n" + line }
func conn(lines string) string     { return "conn {conn}\n    " + lines }
func setup(line string) string     { return "config setup\n    " + line }

// peer is of RouterOS.
func peer(words string) string { return `/ip ipsec peer set [find name="{conn}"] ` + words }

// unnamed writes lines for a peer of RouterOS before 6.44, which has no name, holds
// its own secret and, before 6.43, is its own profile. Readers call it by its
// address.
func unnamed(lines string, c *posture.Connection) string {
	p, err := netip.ParsePrefix(c.Name)
	if err != nil {
		return lines
	}
	set := `/ip ipsec peer set [find address="` + c.Name + `"]`
	old := []string{`/ip ipsec peer set [find name="` + c.Name + `"]`, set, `/ip ipsec identity set [find peer="` + c.Name + `"]`, set, "digital-signature", "rsa-signature",
		`/ip ipsec policy set [find peer="` + c.Name + `"]`, `/ip ipsec policy set [find sa-dst-address="` + p.Addr().String() + `"]`}
	if c.Phase1 == "" {
		old = append(old, `/ip ipsec profile set [find name="NAME"]`, set)
	}
	return strings.NewReplacer(old...).Replace(lines)
}

// dynamic writes lines for a peer that RouterOS makes for a tunnel with an
// ipsec-secret: it has no settings but that, and a better one is made by hand.
func dynamic(lines string, c *posture.Connection, menu string) string {
	if menu == "" {
		return lines
	}
	name, address := plain(c.Name), "PEER/32"
	if len(c.Address.V) > 0 {
		address = plain(c.Address.V[0])
	}
	set := "/" + menu + ` set [find name="` + name + `"] `
	return strings.NewReplacer(
		`/ip ipsec identity set [find peer="`+name+`"] secret=`, set+"ipsec-secret=",
		`/ip ipsec identity set [find peer="`+name+`"]`, `/ip ipsec identity add peer="`+name+`"`,
		`/ip ipsec peer set [find name="`+name+`"]`, "# a policy for "+name+" belongs to the peer, too\n"+set+"ipsec-secret=\"\"\n/ip ipsec peer add name=\""+name+"\" address="+address,
	).Replace(lines)
}

func profile(words string) string {
	return `/ip ipsec profile set [find name="{phase1}"] ` + words
}

func phase1(line string) string {
	return "config vpn ipsec phase1-interface\n    edit \"{conn}\"\n        " + line + "\n    next\nend"
}

// inTable is an entry of any other table of FortiOS.
func inTable(table, lines string) string {
	return "config " + table + "\n    edit \"{name}\"\n        " + lines + "\n    next\nend"
}

func phase2(line string) string {
	return "config vpn ipsec phase2-interface\n    edit \"{name}\"\n        " + line + "\n    next\nend"
}

// Lines of VyOS.
const (
	vyosIKEv2 = "set vpn ipsec ike-group {phase1} key-exchange ikev2"

	// VyOS before 1.5 has match-ipsec instead of match-ipsec-in; before 1.4 the rules
	// stand in the set that the outer interface has for "local".
	vyosFilter1701 = "set firewall ipv4 input filter rule 1 action accept\nset firewall ipv4 input filter rule 1 protocol udp\n" +
		"set firewall ipv4 input filter rule 1 destination port 1701\nset firewall ipv4 input filter rule 1 ipsec match-ipsec-in\n" +
		"set firewall ipv4 input filter rule 2 action drop\nset firewall ipv4 input filter rule 2 protocol udp\n" +
		"set firewall ipv4 input filter rule 2 destination port 1701\n# VyOS 1.4 may have match-ipsec; 1.3: firewall name <set of the outer interface, local>"

	vyosPPK = "set vpn ipsec authentication ppk {id} id PPK-ID\nset vpn ipsec authentication ppk {id} secret SECRET\n" +
		"set vpn ipsec site-to-site peer {conn} ppk id PPK-ID\nset vpn ipsec site-to-site peer {conn} ppk required"

	vyosReplay = "set vpn ipsec site-to-site peer {conn} replay-window 128"
)

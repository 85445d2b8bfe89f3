package harden

import (
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/assure/audit"
	"sallyport/posture"
	"sallyport/posture/proposal"
	"sallyport/protocol/suite"
)

// scope is the section that a setting belongs to.
type scope int

const (
	inConn   scope = iota // of the connection
	inChild               // of the child; of a connection, of each of its children
	inDaemon              // charon; config setup
	inSelf                // of the subject itself
	inFile                // no section: pppd
	onLine                // the line that the finding shows, and no other
	inLog                 // the section log of radiusd.conf, where the finding shows a line of it
)

// change is one setting that ends a finding.
type change struct {
	scope scope
	key   string // with the sections inside the scope before it: "tls.version_min"
	value string // "-": take the word out
}

// Sequence numbers that run out (RPL-003) are mended by replacing keys in time
// where a packet limit can be set, and not by ESN: the peer may not have it, nor
// strongSwan's own ESP in user space (kernel-libipsec), which then has no tunnel.
//
// changes by dialect and rule. A rule that is not here, and whose fix is no list
// of proposals, is for a person: certificates and passwords must be made, peers
// asked, networks known.
var changes = map[posture.Dialect]map[string][]change{
	posture.Swanctl: {
		"CRY-012": {{inConn, "version", "2"}}, "RPL-004": {{inConn, "version", "2"}},
		"CRY-013": {{inConn, "aggressive", "no"}}, "CRY-018": {{inChild, "ipcomp", "no"}},
		"CRY-019": {{inDaemon, "signature_authentication", "yes"}},
		"NAT-001": {{inConn, "fragmentation", "yes"}}, "NAT-002": {{inDaemon, "fragment_size", "1280"}},
		"NAT-008": {{inChild, "sha256_96", "no"}}, "NAT-009": {{inConn, "dpd_delay", "30s"}},
		"RPL-001": {{inChild, "replay_window", "128"}}, "RPL-002": {{inChild, "replay_window", "128"}},
		"RPL-003":  {{inChild, "rekey_packets", "3500000000"}},
		"RPL-005":  {{inChild, "start_action", "trap"}},
		"RPL-006":  {{inDaemon, "dos_protection", "yes"}, {inDaemon, "cookie_threshold", "30"}, {inDaemon, "block_threshold", "5"}},
		"LEAK-013": {{inDaemon, "send_vendor_id", "no"}},
		"KEY-001":  {{inConn, "rekey_time", "4h"}, {inConn, "over_time", "24m"}},
		"KEY-002":  {{inChild, "rekey_time", "1h"}, {inChild, "life_time", "66m"}},
		"KEY-003":  {{inChild, "rekey_bytes", "1000000000"}},
		"PPP-011":  {{inDaemon, "tls.version_min", "1.2"}},
	},
	posture.Starter: {
		"CRY-012": {{inConn, "keyexchange", "ikev2"}}, "RPL-004": {{inConn, "keyexchange", "ikev2"}},
		"CRY-013": {{inConn, "aggressive", "no"}}, "CRY-018": {{inConn, "compress", "no"}},
		"NAT-001": {{inConn, "fragmentation", "yes"}}, "NAT-008": {{inConn, "sha256_96", "no"}},
		"NAT-009": {{inConn, "dpdaction", "clear"}, {inConn, "dpddelay", "30s"}},
		"RPL-001": {{inConn, "replay_window", "128"}}, "RPL-002": {{inConn, "replay_window", "128"}},
		"RPL-003": {{inConn, "lifepackets", "4000000000"}},
		"RPL-005": {{inConn, "auto", "route"}},
		"KEY-001": {{inConn, "ikelifetime", "4h"}}, "KEY-002": {{inConn, "lifetime", "1h"}}, "KEY-003": {{inConn, "lifebytes", "1000000000"}},
	},
	posture.Libreswan: {
		"CRY-012": {{inConn, "{ikev2}", ""}},
		"CRY-013": {{inConn, "aggressive", "no"}}, "CRY-018": {{inConn, "compress", "no"}},
		"NAT-001": {{inConn, "fragmentation", "yes"}}, "NAT-006": {{inConn, "encapsulation", "auto"}}, "NAT-008": {{inConn, "sha2-truncbug", "no"}},
		"NAT-009": {{inConn, "dpddelay", "30s"}, {inConn, "retransmit-timeout", "60s"}},
		"RPL-001": {{inConn, "replay-window", "128"}}, "RPL-002": {{inConn, "replay-window", "128"}}, "RPL-003": {{inConn, "esn", "either"}},
		"RPL-005": {{inConn, "failureshunt", "drop"}, {inConn, "negotiationshunt", "drop"}},
		"RPL-006": {{inDaemon, "ddos-mode", "auto"}}, "RPL-011": {{inConn, "ms-dh-downgrade", "no"}},
		"LEAK-013": {{inConn, "send-vendorid", "no"}},
		"KEY-001":  {{inConn, "ikelifetime", "4h"}}, "KEY-002": {{inConn, "salifetime", "1h"}}, "KEY-003": {{inConn, "ipsec-max-bytes", "1GiB"}},
		"LOG-001": {{inDaemon, "audit-log", "yes"}}, "LOG-002": {{inDaemon, "plutodebug", "none"}},
	},
	posture.PPPD: {
		"PPP-001": {{inFile, "noauth", "-"}, {inFile, "auth", ""}, {inFile, "require-mschap-v2", ""}},
		"PPP-002": {{inFile, "require-pap", "-"}, {inFile, "+pap", "-"}, {inFile, "require-mschap-v2", ""}},
		"PPP-003": {{inFile, "require-chap", "-"}, {inFile, "+chap", "-"}, {inFile, "require-mschap-v2", ""}},
		"PPP-004": {{inFile, "require-mschap", "-"}, {inFile, "+mschap", "-"}, {inFile, "require-mschap-v2", ""}},
		"PPP-006": {{inFile, "auth", ""}, {inFile, "require-mschap-v2", ""}},
		"PPP-010": {{inFile, "require-mppe-128", ""}},
		"NAT-003": {{inFile, "mtu", "1280"}, {inFile, "mru", "1280"}},
		"LOG-002": {{inFile, "show-password", "-"}, {inFile, "hide-password", ""}},
	},
	posture.Xl2tpd: {
		"PPP-001": {{inSelf, "require authentication", "yes"}},
	},
	posture.FreeRADIUS: {
		"PPP-011": {{onLine, "tls_min_version", `"1.2"`}},
		"PPP-012": {{inSelf, "require_message_authenticator", "yes"}, {inSelf, "limit_proxy_state", "yes"}},
		"LOG-002": {{inLog, "auth_badpass", "no"}, {inLog, "auth_goodpass", "no"}},
		"LOG-006": {{onLine, "auth", "yes"}},
	},
}

// sysctls are the values for LEAK-008, by the last part of the key. Gateways have
// routes that are not those of the packets, so that rp_filter is the loose one.
var sysctls = map[string]string{"rp_filter": "2", "accept_redirects": "0", "send_redirects": "0", "accept_source_route": "0"}

// edits are what ends a finding; none, and why, where a person has to.
func (m *maker) edits(r audit.Result) ([]Edit, string) {
	d := r.Subject.Dialect
	if d == posture.Linux && r.Rule.ID == "LEAK-008" {
		return m.sysctl(r)
	}
	if d == posture.PPPD && r.Rule.ID == "PPP-010" && !m.pptp(r.Subject) {
		return nil, "clients of L2TP leave encryption to IPsec and have no MPPE: force IPsec in the packet filter"
	}
	conn, child := m.places[r.Subject].conn, m.places[r.Subject].child
	if why := m.peerFirst(r, conn); why != "" {
		return nil, why
	}
	list := changes[d][r.Rule.ID]
	if v := volumesOfAEAD[d]; r.Rule.ID == "KEY-003" && v != nil && child != nil && !smallBlocks(child) {
		list = v
	}
	if len(list) == 0 && strings.HasPrefix(r.Rule.Fix[d], "{proposals}") && conn != nil {
		list = m.proposals(r, child)
	}
	if r.Rule.ID == "NAT-008" && child != nil && slices.ContainsFunc(child.ESP.V, func(p posture.Proposal) bool { return slices.Contains(p.Unknown, "sha256_96") }) {
		if m.advice.Clients(conn) != "" {
			return nil, "clients of L2TP and XAUTH offer what their systems have: see what else that is first"
		}
		list = m.proposals(r, child)
	}
	list = append(slices.Clone(list), besides(r, conn, child)...)
	edits := append(m.xl2tpd(r), m.method(r)...)
	for _, c := range list {
		if c.key == "ipsec-max-bytes" && child != nil && m.older(d, newWords[d][c.key]) {
			if child.Life.V > 0 && child.Life.V <= time.Hour {
				continue // bound by time
			}
			c = change{inConn, "salifetime", "1h"}
		}
		if since := newWords[d][c.key]; since != "" && !m.has(d, since) {
			return nil, c.key + " is known from version " + since + " on: an older one does not load the file"
		}
		if c.scope == onLine && len(list) > 1 && !strings.Contains(r.Evidence.Value, c.key) {
			continue // the line sets another of them
		}
		more, why := m.edit(r, c, conn, child)
		if len(more) == 0 {
			return nil, why
		}
		edits = append(edits, more...)
	}
	return edits, ""
}

// peerFirst says why a connection cannot leave IKEv1, or have what IKEv1 has
// not: its peers have nothing else.
func (m *maker) peerFirst(r audit.Result, c *posture.Connection) string {
	if c == nil {
		return ""
	}
	if c.Shunt {
		return "whether the packets that it lets past belong inside a tunnel is not in the files"
	}
	rule, clients := r.Rule.ID, m.advice.Clients(c)
	if clients != "" && len(changes[c.Dialect][rule]) == 0 && strings.HasPrefix(r.Rule.Fix[c.Dialect], "{proposals}") {
		// For L2TP Windows offers SHA-1 with group 20, 19, 14 or 2 and no forward
		// secrecy until Set-VpnConnectionIPsecConfiguration changes it, and a
		// gateway that asks for more refuses it. Phones have no such setting.
		return "clients of L2TP and XAUTH offer what their systems have, often SHA-1 and no forward secrecy: change theirs first"
	}
	if clients == "" && m.advice.Mobile(c) {
		switch {
		case len(changes[c.Dialect][rule]) == 0 && strings.HasPrefix(r.Rule.Fix[c.Dialect], "{proposals}"):
			return "clients of IKEv2 offer what their systems or profiles have, Windows by itself group 2 alone: change theirs first"
		case rule == "KEY-002" || rule == "KEY-003":
			return "Windows behind NAT refuses keys that the gateway renews: see first what clients there are"
		}
	}
	if rule == "CRY-017" {
		ike, esp := m.advice.Proposals(r.Subject, rule)
		if keepIKE, keepESP := m.advice.Proposals(r.Subject, ""); ike != keepIKE || esp != keepESP {
			return "it takes sound ciphers away, and a peer may have no other: ask all of them first"
		}
	}
	if rule == "RPL-003" && posture.Is(c.V1, true) && !posture.Is(c.V2, true) {
		return "IKEv1 has no extended sequence numbers here: the peers must be able to speak IKEv2 first"
	}
	if rule == "RPL-005" && len(c.Pool.V) > 0 {
		return "no policy waits for clients that get their address from here: a packet filter must hold back what is sent to one that has gone"
	}
	if rule != "CRY-012" && rule != "RPL-004" {
		return ""
	}
	switch {
	case clients != "":
		return "clients of " + clients + " have IKEv1 alone: move them to IKEv2 first"
	case posture.Is(c.V1, true) && !posture.Is(c.V2, true):
		return "it speaks IKEv1 alone: the peers must be able to speak IKEv2 first"
	}
	return ""
}

// volumesOfAEAD are for KEY-003 where no cipher has small blocks.
var volumesOfAEAD = map[posture.Dialect][]change{
	posture.Swanctl: {{inChild, "rekey_bytes", "64000000000"}}, posture.Starter: {{inConn, "lifebytes", "64000000000"}}, posture.Libreswan: {{inConn, "ipsec-max-bytes", "64GiB"}},
}

// smallBlocks tells whether a child takes a cipher with blocks of 64 bits.
func smallBlocks(c *posture.Child) bool {
	return slices.ContainsFunc(c.ESP.V, func(p posture.Proposal) bool {
		return slices.ContainsFunc(p.Of(suite.Encr), func(t suite.Transform) bool { return t.ID >= 1 && t.ID <= 9 })
	})
}

// volumes bound what one key encrypts where ESN are offered. With extended sequence numbers nothing
// else does (KEY-003).
var volumes = map[posture.Dialect]change{
	posture.Libreswan: {inConn, "ipsec-max-bytes", "64GiB"},
}

// withoutAH takes AH away where it is asked for.
var withoutAH = map[posture.Dialect][]change{
	posture.Swanctl: {{inChild, "ah_proposals", "-"}}, posture.Starter: {{inConn, "ah", "-"}}, posture.Libreswan: {{inConn, "phase2", "esp"}},
}

// besides is what a change needs beside it, to make no new finding.
func besides(r audit.Result, c *posture.Connection, child *posture.Child) []change {
	switch v, ok := volumes[r.Subject.Dialect]; {
	case r.Rule.ID == "CRY-003" && child != nil && posture.Is(child.AH, true):
		return withoutAH[r.Subject.Dialect]
	case r.Rule.ID == "RPL-003" && ok && child != nil && child.Bytes.V == 0:
		return []change{v}
	case r.Rule.ID == "NAT-009" && r.Subject.Dialect == posture.Libreswan && c != nil && posture.Is(c.V1, true):
		return []change{{inConn, "dpdtimeout", "120s"}} // without it IKEv1 does not look
	}
	return nil
}

// proposals are the lists that the endpoint as a whole should have.
func (m *maker) proposals(r audit.Result, child *posture.Child) []change {
	ike, esp := m.advice.Proposals(r.Subject, r.Rule.ID)
	if r.Rule.ID == "CRY-017" && child != nil { // about both
		return append(m.lists(r.Subject.Dialect, ike, esp, nil), m.lists(r.Subject.Dialect, ike, esp, child)...)
	}
	return m.lists(r.Subject.Dialect, ike, esp, child)
}

// lists are those of a connection, or of a child.
func (m *maker) lists(d posture.Dialect, ike, esp string, child *posture.Child) []change {
	switch d {
	case posture.Swanctl:
		if child != nil {
			return given(change{inChild, "esp_proposals", esp})
		}
		return given(change{inConn, "proposals", ike})
	case posture.Starter:
		if child != nil {
			return given(change{inConn, "esp", esp + "!"})
		}
		return given(change{inConn, "ike", ike + "!"})
	case posture.Libreswan:
		if child != nil {
			return append(given(change{inConn, "esp", esp}), change{inConn, "pfs", "yes"})
		}
		return given(change{inConn, "ike", ike})
	}
	return nil
}

// given leaves out a list without a choice.
func given(c change) []change {
	if strings.Trim(c.value, "!") == "" {
		return nil
	}
	return []change{c}
}

// edit places one change.
func (m *maker) edit(r audit.Result, c change, conn *posture.Connection, child *posture.Child) ([]Edit, string) {
	e := Edit{Dialect: r.Subject.Dialect, Key: c.key, Value: c.value}
	if c.key == "{ikev2}" {
		e.Key, e.Value = m.advice.LibreswanV2(conn)
	}
	if e.Dialect == posture.Swanctl {
		parts := strings.Split(e.Key, ".")
		e.Path, e.Key = parts[:len(parts)-1], parts[len(parts)-1]
	}
	if c.value == "-" {
		e.Remove, e.Value = true, ""
	}
	at := func(p posture.Pos) ([]Edit, string) {
		if p.File == "" || p.Line == 0 {
			return nil, "the section has no place in the files"
		}
		e.File, e.Section = p.File, p.Line
		return []Edit{e}, ""
	}
	switch c.scope {
	case inConn:
		if conn != nil {
			return at(inForce(r.Evidence, conn.At, conn.Again))
		}
	case inChild:
		if child != nil {
			return at(inForce(r.Evidence, child.At, child.Again))
		}
		return m.children(conn, e)
	case inDaemon:
		return m.daemon(r, e)
	case inSelf:
		return at(r.Subject.At)
	case onLine:
		if r.Evidence.Origin == posture.Explicit && r.Evidence.At.Line > 0 {
			e.File, e.Line = r.Evidence.At.File, r.Evidence.At.Line
			return []Edit{e}, ""
		}
	case inLog:
		if r.Evidence.Origin == posture.Explicit && r.Evidence.At.Line > 0 {
			e.File, e.Head = r.Evidence.At.File, "log"
			return []Edit{e}, ""
		}
	case inFile:
		return m.options(r, e)
	}
	return nil, ""
}

// inForce is the place of a section in which a value is written that a finding is
// about; of several the last wins.
func inForce(e audit.Evidence, first posture.Pos, again []posture.Pos) posture.Pos {
	place := first
	if e.Origin != posture.Explicit {
		return place
	}
	for _, p := range again {
		if p.File == e.At.File && p.Line <= e.At.Line && (place.File != p.File || p.Line > place.Line) {
			place = p
		}
	}
	return place
}

func (m *maker) children(conn *posture.Connection, e Edit) (edits []Edit, why string) {
	if conn == nil {
		return nil, ""
	}
	for _, ch := range conn.Children {
		if ch.At.Line > 0 {
			one := e
			one.File, one.Section = ch.At.File, ch.At.Line
			edits = append(edits, one)
		}
	}
	return edits, "the connection has no child"
}

// strongswanConf is the file that has the daemon's settings, or reads those that do.
const strongswanConf = "strongswan.conf"

// daemon finds the section of the daemon, in the file that has it or should. What
// strongswan.conf includes comes behind its own section, and wins: a setting is
// changed where it is in force.
func (m *maker) daemon(r audit.Result, e Edit) ([]Edit, string) {
	want := map[posture.Dialect][]string{posture.Swanctl: {strongswanConf}, posture.Libreswan: {"ipsec.conf"}, posture.Starter: {"ipsec.conf"}}[e.Dialect]
	e.Head = map[posture.Dialect]string{posture.Swanctl: "charon", posture.Libreswan: "config setup", posture.Starter: "config setup"}[e.Dialect]
	if at := r.Evidence.At; e.Dialect == posture.Swanctl && r.Evidence.Origin == posture.Explicit && at.Line > 0 {
		e.File = at.File
		return []Edit{e}, ""
	}
	for _, f := range m.host.Files {
		if slices.Contains(want, path.Base(f.Path)) {
			e.File = f.Path
			return []Edit{e}, ""
		}
	}
	return nil, strings.Join(want, ", ") + " is not among the files"
}

// options is the file of options that a link of PPP has: that of a value that is
// written there.
func (m *maker) options(r audit.Result, e Edit) ([]Edit, string) {
	isOptions := func(name string) bool {
		return slices.ContainsFunc(m.host.Files, func(f posture.File) bool {
			return f.Path == name && f.Dialect == posture.PPPD && !f.Secrets || f.Path == name && strings.HasPrefix(path.Base(name), "options")
		})
	}
	for _, p := range m.host.PPP {
		if p.Subject != r.Subject {
			continue
		}
		for _, at := range []posture.Pos{r.Evidence.At, p.AuthNeeded.At, p.Methods.At, p.MTU.At, p.DNS.At, p.Refused.At, p.Echo.At, p.MPPE.At, p.Debug.At, p.ProxyARP.At} {
			if isOptions(at.File) {
				e.File = at.File
				return []Edit{e}, ""
			}
		}
	}
	return nil, "its file of options is not known"
}

// newWords are settings that came late, and since when: a product that does not
// know a word refuses the file.
var newWords = map[posture.Dialect]map[string]string{
	posture.Libreswan: {"ipsec-max-bytes": "5.0"},
}

// has tells whether a product is known to be at least of a version.
func (m *maker) has(d posture.Dialect, version string) bool {
	return slices.ContainsFunc(m.host.Products, func(p posture.Product) bool {
		return p.Dialect == d && p.Version.Known() && p.Version.V != "" && !proposal.Before(p.Version.V, version)
	})
}

// older tells whether a product is known to be from before a version.
func (m *maker) older(d posture.Dialect, version string) bool {
	return slices.ContainsFunc(m.host.Products, func(p posture.Product) bool {
		return p.Dialect == d && p.Version.Known() && p.Version.V != "" && proposal.Before(p.Version.V, version)
	})
}

// pptp tells whether a link is of PPTP, which has nothing but MPPE.
func (m *maker) pptp(s posture.Subject) bool {
	return slices.ContainsFunc(m.host.PPP, func(p posture.PPP) bool { return p.Subject == s && p.Service == "pptp" })
}

// required are xl2tpd's settings that hand a method to pppd, by the rule that is
// about it.
var required = map[string]string{"PPP-002": "require pap", "PPP-003": "require chap"}

// xl2tpd turns off what xl2tpd itself requires of the callers of a link of PPP:
// its words come before those of the options, which do not take them back.
func (m *maker) xl2tpd(r audit.Result) []Edit {
	key := required[r.Rule.ID]
	if r.Subject.Dialect != posture.PPPD || key == "" || !strings.Contains(r.Evidence.Value, key) {
		return nil
	}
	for _, l := range m.host.L2TP {
		if l.Dialect == posture.Xl2tpd && l.PPP == r.Subject.Name && l.At.File == r.Evidence.At.File && l.At.Line > 0 {
			return []Edit{{Dialect: posture.Xl2tpd, File: l.At.File, Section: l.At.Line, Key: key, Value: "no"}}
		}
	}
	return nil
}

// method has pppd ask by MS-CHAPv2 the callers of whom xl2tpd asks anything at all:
// with "auth" alone pppd takes PAP, too.
func (m *maker) method(r audit.Result) []Edit {
	if r.Subject.Dialect != posture.Xl2tpd || r.Rule.ID != "PPP-001" {
		return nil
	}
	l := slices.IndexFunc(m.host.L2TP, func(l posture.L2TP) bool { return l.Subject == r.Subject })
	for _, p := range m.host.PPP {
		if l >= 0 && p.Dialect == posture.PPPD && p.Name == m.host.L2TP[l].PPP && !posture.Is(p.Required, true) {
			edits, _ := m.options(audit.Result{Subject: p.Subject}, Edit{Dialect: posture.PPPD, Key: "require-mschap-v2"})
			return edits
		}
	}
	return nil
}

// sysctl sets a key of the kernel where it is set now.
func (m *maker) sysctl(r audit.Result) ([]Edit, string) {
	for _, k := range m.host.Kernel {
		value, ok := sysctls[k.Key[strings.LastIndexAny(k.Key, "./")+1:]]
		if k.Subject != r.Subject || !ok {
			continue
		}
		if at := k.Value.At; k.Value.Origin == posture.Explicit && at.Line > 0 {
			return []Edit{{File: at.File, Dialect: posture.Linux, Line: at.Line, Key: k.Key, Value: value}}, ""
		}
	}
	// A setting that no file has goes where its neighbours are.
	for _, k := range slices.Backward(m.host.Kernel) {
		if at := k.Value.At; k.Value.Origin == posture.Explicit && at.Line > 0 && strings.Contains(at.File, "sysctl") {
			return []Edit{{File: at.File, Dialect: posture.Linux, Key: r.Subject.Name, Value: sysctls[r.Subject.Name[strings.LastIndexAny(r.Subject.Name, "./")+1:]]}}, ""
		}
	}
	return nil, "no file sets it"
}

package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// notation is how a dialect writes proposals.
type notation struct {
	words    func(suite.Protocol, suite.Transform) string // empty: the dialect has no word
	ike, esp func(advice) string                          // the values alone
	ikeLine  string                                       // the lines around them
	espLine  string
	pfs      string // what stands for {pfs} in them, beside a group for the child
	noPFS    string // and without one
	ikeNew   string // instead, where the connection refers to no set of parameters that could be changed
	espNew   string
	server   string // instead of both, for who only answers
	site     string // likewise, for who does both
}

// says tells whether the dialect has a word for a transform. A dialect without
// proposals says everything, in keywords.
func (n notation) says(p suite.Protocol, t suite.Transform) bool {
	return n.words == nil || n.words(p, t) != ""
}

// command is the line as the connection's role has it: Windows has one command
// for clients, another for a server and a third for networks.
func (n notation) command(line string, role posture.Role) string {
	if role == posture.Answers && n.server != "" {
		return n.server
	}
	if role == posture.Answers|posture.Initiates && n.site != "" {
		return n.site
	}
	return line
}

// notations is the table of dialects that have proposals.
var notations = map[posture.Dialect]notation{
	posture.Swanctl: {
		words: keyword, ike: strongSwanIKE, esp: strongSwanESP,
		ikeLine: "# in connections.{conn}\nproposals = {ike}",
		espLine: "# in connections.{conn}.children.{name}\nesp_proposals = {esp}",
	},
	posture.Starter: {
		words: keyword, ike: strongSwanIKE, esp: strongSwanESP,
		ikeLine: "conn {conn}\n    ike={ike}!",
		espLine: "conn {name}\n    esp={esp}!",
	},
	posture.Libreswan: {
		words: libreswanWord, ike: libreswanIKE, esp: libreswanESP,
		ikeLine: "conn {conn}\n    ike={ike}",
		espLine: "conn {name}\n    esp={esp}{pfs}",
		pfs:     "\n    pfs=yes",
	},
	posture.RouterOS: {
		words: routerOSWord, ike: routerOSIKE, esp: routerOSESP,
		ikeLine: `/ip ipsec profile set [find name="{phase1}"] {ike}`,
		espLine: `/ip ipsec proposal set [find name="{phase2}"] {esp}`,
	},
	posture.IOS: {
		words: iosWord, ike: iosIKE, esp: iosESP,
		ikeLine: "{ike}",
		espLine: "{esp}",
	},
	posture.FortiOS: {
		words: fortiWord, ike: fortiIKE, esp: fortiESP,
		ikeLine: "config vpn ipsec phase1-interface\n    edit \"{conn}\"\n        {ike}\n    next\nend",
		espLine: "config vpn ipsec phase2-interface\n    edit \"{name}\"\n        {esp}\n        set pfs {pfs}\n    next\nend",
		pfs:     "enable", noPFS: "disable",
	},
	posture.PfSense: {
		words: pfSenseWord, ike: pfSenseIKE, esp: pfSenseESP,
		ikeLine: "VPN > IPsec > Tunnels > {conn} > Edit Phase 1: {ike}",
		espLine: "VPN > IPsec > Tunnels > {conn} > Phase 2 {name} > Edit: {esp}",
	},
	posture.OPNsense: {
		words: keyword, ike: opnSenseIKE, esp: opnSenseESP,
		ikeLine: "VPN > IPsec > Connections > {conn} > Proposals: {ike}, and not \"default\"",
		espLine: "VPN > IPsec > Connections > {conn} > Children > {name} > ESP proposals: {esp}, and not \"default\"",
	},
	posture.VyOS: {
		words: vyosWord, ike: vyosIKE, esp: vyosESP,
		ikeLine: "delete vpn ipsec ike-group {phase1} proposal\n{ike}",
		espLine: "delete vpn ipsec esp-group {phase2} proposal\n{esp}",
		// Only L2TP has groups of its own.
		ikeNew: "{ike}\nset vpn ipsec ike-group {phase1} key-exchange ikev1\nset vpn l2tp remote-access ipsec-settings ike-group {phase1}",
		espNew: "{esp}\nset vpn l2tp remote-access ipsec-settings esp-group {phase2}",
	},
	posture.Windows: {
		words: windowsWord, ike: windowsIKE, esp: windowsESP,
		ikeLine: `Set-VpnConnectionIPsecConfiguration -ConnectionName "{conn}" {ike} {esp} -Force`,
		espLine: `Set-VpnConnectionIPsecConfiguration -ConnectionName "{conn}" {ike} {esp} -Force`,
		server:  "Set-VpnServerConfiguration -CustomPolicy {ike} {esp}",
		site:    `Set-VpnS2SInterface -Name "{conn}" -CustomPolicy {ike} {esp}`,
	},
	posture.Sallyport: {
		words: sallyportWord, ike: sallyportIKE, esp: sallyportESP,
		ikeLine: "zones:\n  {conn}:\n    policy:\n      ike: [{ike}]\n      esp: [{esp}]",
		espLine: "zones:\n  {conn}:\n    policy:\n      ike: [{ike}]\n      esp: [{esp}]",
	},
}

// fields joins with hyphens, leaving out what is empty.
func fields(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "-")
}

// said are the words of transforms, each once.
func said(words func(suite.Protocol, suite.Transform) string, p suite.Protocol, list []suite.Transform) []string {
	var out []string
	for _, t := range list {
		if w := words(p, t); w != "" && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// keyword is strongSwan's word, which is package suite's.
func keyword(_ suite.Protocol, t suite.Transform) string {
	if a, ok := suite.Lookup(t); ok {
		return a.Keyword
	}
	return ""
}

func ikeKeywords(a advice) string { return inKeywords(a.ike, suite.ProtocolIKE) }
func espKeywords(a advice) string { return inKeywords(a.esp, suite.ProtocolESP) }

// mostSingle is how many proposals of IKEv1 one is taken apart into.
const mostSingle = 8

// strongSwanESP does the same: what IKEv1 offers is the first group alone.
func strongSwanESP(a advice) string {
	if a.v1 {
		a.esp = singles(a.esp)
	}
	return espKeywords(a)
}

// strongSwanIKE has one algorithm of a kind in each proposal of IKEv1: strongSwan
// offers the first and strips the others (swanctl.conf(5), proposals).
func strongSwanIKE(a advice) string {
	if !a.v1 {
		return ikeKeywords(a)
	}
	a.ike = singles(a.ike)
	return ikeKeywords(a)
}

// singles takes proposals apart.
func singles(list []hardened) []hardened {
	var all []hardened
	for _, h := range list {
		for _, one := range single(h) {
			all = addProposal(all, one)
		}
	}
	return all
}

// single takes a proposal apart, unless it makes too many.
func single(h hardened) []hardened {
	if n := len(h.encr) * max(1, len(h.integ)) * max(1, len(h.ke)); n > mostSingle {
		return []hardened{h}
	}
	var all []hardened
	for i := range h.encr {
		for _, ke := range apart(h.ke) {
			for _, integ := range apart(h.integ) {
				one := hardened{encr: h.encr[i : i+1], integ: integ, prf: h.prf, ke: ke, addKE: h.addKE, esn: h.esn}
				if len(integ) > 0 && len(h.prf) > 0 {
					one.prf = prfsOf(integ)
				}
				all = append(all, one)
			}
		}
	}
	return all
}

// apart are lists of one each, or one of none.
func apart(list []suite.Transform) [][]suite.Transform {
	if len(list) == 0 {
		return [][]suite.Transform{nil}
	}
	return slices.Collect(slices.Chunk(list, 1))
}

// inKeywords leaves out PRFs that follow from the hashes.
func inKeywords(list []hardened, p suite.Protocol) string {
	join := func(ts []suite.Transform) string { return strings.Join(said(keyword, p, ts), "-") }
	var out []string
	for _, h := range list {
		prf := h.prf
		if len(h.integ) > 0 && slices.Equal(prf, prfsOf(h.integ)) {
			prf = nil
		}
		s := fields(join(h.encr), join(h.integ), join(prf), join(h.ke))
		for i, t := range h.addKE {
			s += fmt.Sprintf("-ke%d_%s", i+1, keyword(p, t))
		}
		if !slices.Equal(h.esn, transforms("noesn")) { // that goes without saying
			s = fields(s, join(h.esn))
		}
		out = append(out, s)
	}
	return strings.Join(out, ",")
}

// sallyportWord has only what can be negotiated here.
func sallyportWord(p suite.Protocol, t suite.Transform) string {
	if a, ok := suite.Lookup(t); !ok || !a.Usable() {
		return ""
	}
	return keyword(p, t)
}

func sallyportIKE(a advice) string { return strings.ReplaceAll(ikeKeywords(a), ",", ", ") }

// sallyportESP leaves forward secrecy to clients of L2TP, as the policy of their
// zones does.
func sallyportESP(a advice) string {
	if a.serv {
		a.esp = slices.Clone(a.esp)
		for i := range a.esp {
			if len(a.esp[i].ke) == 0 {
				a.esp[i].ke = []suite.Transform{transform("ecp384"), noGroup}
			}
		}
	}
	return strings.ReplaceAll(espKeywords(a), ",", ", ")
}

// libreswanWord is from ipsec.conf(5) of Libreswan, ike= and esp=.
func libreswanWord(p suite.Protocol, t suite.Transform) string {
	word := keyword(p, t)
	switch {
	case t.Type == suite.ESN:
		return ""
	case t.Type == suite.KE:
		return cmp.Or(libreswanWords[word], pick(groupNumbers, word, "dh"+strconv.Itoa(int(t.ID))))
	}
	return libreswanWords[word]
}

var libreswanWords = map[string]string{
	"aes128": "aes128", "aes192": "aes192", "aes256": "aes256", "aes128gcm16": "aes_gcm128", "aes192gcm16": "aes_gcm192", "aes256gcm16": "aes_gcm256",
	"chacha20poly1305": "chacha20_poly1305", "sha256": "sha2_256", "sha384": "sha2_384", "sha512": "sha2_512",
	"prfsha256": "sha2_256", "prfsha384": "sha2_384", "prfsha512": "sha2_512",
	"mlkem768": "ml_kem_768", // 5.4
}

// groupNumbers are groups that products name by number.
var groupNumbers = words("modp2048 modp3072 modp4096 ecp256 ecp384 ecp521 x25519")

func words(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}

func pick(set map[string]bool, word, says string) string {
	if set[word] {
		return says
	}
	return ""
}

func libreswanIKE(a advice) string {
	join := func(ts []suite.Transform) string {
		return strings.Join(said(libreswanWord, suite.ProtocolIKE, ts), "+")
	}
	if a.v1 { // which has no word for several of a kind
		a.ike = singles(a.ike)
	}
	var out []string
	for _, h := range a.ike {
		s := join(h.encr) + "-" + join(hashOf(h)) + ";" + join(h.ke)
		for i, w := range said(libreswanWord, suite.ProtocolIKE, h.addKE) {
			s += fmt.Sprintf(";addke%d=%s", i+1, w)
		}
		out = append(out, s)
	}
	return strings.Join(out, ",")
}

// libreswanESP names no group: with pfs=yes it is the IKE SA's.
func libreswanESP(a advice) string {
	join := func(ts []suite.Transform) string {
		return strings.Join(said(libreswanWord, suite.ProtocolESP, ts), "+")
	}
	if a.v1 {
		a.esp = singles(a.esp)
	}
	var out []string
	for _, h := range a.esp {
		if s := fields(join(h.encr), join(h.integ)); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, ",")
}

// routerOSWord is from the manual of RouterOS 7, IPsec. Profiles (phase 1) have
// no AES-GCM and proposals (phase 2) no SHA-384.
func routerOSWord(p suite.Protocol, t suite.Transform) string {
	word := strings.TrimPrefix(keyword(p, t), "prf")
	switch t.Type {
	case suite.Encr:
		if p == suite.ProtocolIKE {
			return map[string]string{"aes128": "aes-128", "aes192": "aes-192", "aes256": "aes-256", "camellia128": "camellia-128", "camellia192": "camellia-192", "camellia256": "camellia-256"}[word]
		}
		return map[string]string{"aes128": "aes-128-cbc", "aes192": "aes-192-cbc", "aes256": "aes-256-cbc", "aes128gcm16": "aes-128-gcm", "aes192gcm16": "aes-192-gcm", "aes256gcm16": "aes-256-gcm"}[word]
	case suite.PRF, suite.Integ:
		if word == "sha384" && p == suite.ProtocolESP {
			return ""
		}
		return pick(hashes, word, word)
	case suite.KE:
		return pick(groupNumbers, word, word)
	}
	return ""
}

var hashes = words("sha256 sha384 sha512")

// first is the first word of the first proposal that has one.
func first(of func(suite.Protocol, suite.Transform) string, p suite.Protocol, list []hardened, part func(hardened) []suite.Transform) string {
	for _, h := range list {
		if w := said(of, p, part(h)); len(w) > 0 {
			return w[0]
		}
	}
	return ""
}

// union are the words of all proposals, for products with one list of each kind.
func union(of func(suite.Protocol, suite.Transform) string, p suite.Protocol, list []hardened, part func(hardened) []suite.Transform) []string {
	var all []suite.Transform
	for _, h := range list {
		all = append(all, part(h)...)
	}
	return said(of, p, all)
}

func encrOf(h hardened) []suite.Transform  { return h.encr }
func integOf(h hardened) []suite.Transform { return h.integ }
func keOf(h hardened) []suite.Transform    { return h.ke }

// hashOf is the one hash of products that have a single word for both uses.
func hashOf(h hardened) []suite.Transform {
	if len(h.integ) > 0 {
		return h.integ
	}
	return h.prf
}

func routerOSIKE(a advice) string {
	const p = suite.ProtocolIKE
	return "enc-algorithm=" + strings.Join(union(routerOSWord, p, a.ike, encrOf), ",") +
		" hash-algorithm=" + first(routerOSWord, p, a.ike, hashOf) +
		" dh-group=" + strings.Join(union(routerOSWord, p, a.ike, keOf), ",")
}

func routerOSESP(a advice) string {
	const p = suite.ProtocolESP
	auth := strings.Join(union(routerOSWord, p, a.esp, integOf), ",")
	if auth == "" {
		auth = "null" // beside AES-GCM alone
	}
	return "enc-algorithms=" + strings.Join(union(routerOSWord, p, a.esp, encrOf), ",") + " auth-algorithms=" + auth + " pfs-group=" + cmp.Or(first(routerOSWord, p, a.esp, keOf), "none")
}

// iosWord is from the command reference of IOS XE 17, crypto ikev2 proposal and
// crypto ipsec transform-set.
func iosWord(p suite.Protocol, t suite.Transform) string {
	word := strings.TrimPrefix(keyword(p, t), "prf")
	switch t.Type {
	case suite.Encr:
		if p == suite.ProtocolIKE {
			return map[string]string{"aes128": "aes-cbc-128", "aes192": "aes-cbc-192", "aes256": "aes-cbc-256", "aes128gcm16": "aes-gcm-128", "aes256gcm16": "aes-gcm-256"}[word]
		}
		return map[string]string{"aes128": "esp-aes 128", "aes192": "esp-aes 192", "aes256": "esp-aes 256", "aes128gcm16": "esp-gcm 128", "aes192gcm16": "esp-gcm 192", "aes256gcm16": "esp-gcm 256"}[word]
	case suite.PRF, suite.Integ:
		return pick(hashes, word, word)
	case suite.KE:
		return pick(words("modp2048 modp3072 modp4096 ecp256 ecp384 ecp521"), word, strconv.Itoa(int(t.ID)))
	}
	return ""
}

func iosIKE(a advice) string {
	if a.v1 {
		return iosPolicies(a)
	}
	join := func(ts []suite.Transform) string { return strings.Join(said(iosWord, suite.ProtocolIKE, ts), " ") }
	var out, names []string
	for i, h := range a.ike {
		name := fmt.Sprintf("{id}-%d", i+1)
		names = append(names, " proposal "+name)
		out = append(out, "crypto ikev2 proposal "+name, " encryption "+join(h.encr))
		if len(h.integ) > 0 {
			out = append(out, " integrity "+join(h.integ))
		} else {
			out = append(out, " prf "+join(h.prf))
		}
		out = append(out, " group "+join(h.ke))
	}
	out = append(out, "crypto ikev2 policy {id}")
	out = append(out, names...)
	return strings.Join(append(out, "! and each other one goes: no crypto ikev2 policy NAME"), "\n")
}

// iosPolicies are for IKEv1, where a policy has one of each.
func iosPolicies(a advice) string {
	const p = suite.ProtocolIKE
	number := 10
	var out []string
	for _, h := range singles(a.ike) {
		word := func(list []suite.Transform) string { return said(iosWord, p, list)[0] }
		cipher := strings.Replace(word(h.encr), "aes-cbc-", "aes ", 1)
		out = append(out, "crypto isakmp policy "+strconv.Itoa(number), " encryption "+cipher, " hash "+word(hashOf(h)), " group "+word(h.ke))
		number += 10
	}
	return strings.Join(append(out, "! authentication as before, and each other one goes: no crypto isakmp policy NUMBER"), "\n")
}

func iosESP(a advice) string {
	const p = suite.ProtocolESP
	var out, names []string
	for i, h := range ciphersApart(a.esp) {
		line := said(iosWord, p, h.encr)[0]
		if integ := said(iosWord, p, h.integ); len(integ) > 0 {
			line += " esp-" + integ[0] + "-hmac"
		}
		name := fmt.Sprintf("{id}-esp-%d", i+1)
		names = append(names, name)
		out = append(out, "crypto ipsec transform-set "+name+" "+line)
		if a.transport {
			out = append(out, " mode transport")
		}
	}
	out = append(out, "! in the crypto map entry or the ipsec profile {name}", " set transform-set "+strings.Join(names, " "))
	if group := first(iosWord, p, a.esp, keOf); group != "" {
		out = append(out, " set pfs group"+group)
	}
	return strings.Join(out, "\n")
}

// fortiWord is from the CLI reference of FortiOS 7, vpn ipsec phase1-interface.
func fortiWord(p suite.Protocol, t suite.Transform) string {
	word := keyword(p, t)
	switch t.Type {
	case suite.Encr:
		return map[string]string{"aes128": "aes128", "aes192": "aes192", "aes256": "aes256", "aes128gcm16": "aes128gcm", "aes256gcm16": "aes256gcm", "chacha20poly1305": "chacha20poly1305"}[word]
	case suite.PRF, suite.Integ:
		return pick(hashes, strings.TrimPrefix(word, "prf"), word)
	case suite.KE:
		return pick(groupNumbers, word, strconv.Itoa(int(t.ID)))
	}
	return ""
}

// fortiPairs are cipher and hash in one word.
func fortiPairs(p suite.Protocol, list []hardened) string {
	var out []string
	for _, h := range list {
		hash := h.integ
		if len(hash) == 0 {
			hash = h.prf
		}
		for _, e := range said(fortiWord, p, h.encr) {
			seconds := said(fortiWord, p, hash)
			if len(seconds) == 0 {
				seconds = []string{""}
			}
			for _, s := range seconds {
				out = append(out, fields(e, s))
			}
		}
	}
	return strings.Join(out[:min(len(out), 10)], " ")
}

func fortiIKE(a advice) string {
	const p = suite.ProtocolIKE
	return "set proposal " + fortiPairs(p, a.ike) + "\n        set dhgrp " + strings.Join(union(fortiWord, p, a.ike, keOf), " ")
}

func fortiESP(a advice) string {
	const p = suite.ProtocolESP
	s := "set proposal " + fortiPairs(p, a.esp)
	if groups := union(fortiWord, p, a.esp, keOf); len(groups) > 0 {
		s += "\n        set dhgrp " + strings.Join(groups, " ")
	}
	return s
}

// pfSenseWord are the words of the form.
func pfSenseWord(p suite.Protocol, t suite.Transform) string {
	word := keyword(p, t)
	switch t.Type {
	case suite.Encr:
		return map[string]string{"aes128": "AES (128 bits)", "aes192": "AES (192 bits)", "aes256": "AES (256 bits)", "aes128gcm16": "AES128-GCM (128 bits)", "aes192gcm16": "AES192-GCM (128 bits)",
			"aes256gcm16": "AES256-GCM (128 bits)", "chacha20poly1305": "CHACHA20-POLY1305"}[word]
	case suite.PRF, suite.Integ:
		return pick(hashes, strings.TrimPrefix(word, "prf"), strings.ToUpper(strings.TrimPrefix(word, "prf")))
	case suite.KE:
		return pick(groupNumbers, word, pfSenseGroups[t.ID])
	}
	return ""
}

// pfSenseGroups are the choices of the form (p1_dhgroups in ipsec.inc).
var pfSenseGroups = map[uint16]string{
	14: "14 (2048 bit)", 15: "15 (3072 bit)", 16: "16 (4096 bit)", 17: "17 (6144 bit)", 18: "18 (8192 bit)", 19: "19 (nist ecp256)", 20: "20 (nist ecp384)", 21: "21 (nist ecp521)",
	28: "28 (brainpool ecp256)", 29: "29 (brainpool ecp384)", 30: "30 (brainpool ecp512)", 31: "31 (Elliptic Curve 25519, 256 bit)", 32: "32 (Elliptic Curve 25519, 448 bit)",
}

// forms writes proposals as a form's fields.
func forms(p suite.Protocol, list []hardened, group string) string {
	var out []string
	for _, h := range list {
		s := "Encryption Algorithm " + strings.Join(said(pfSenseWord, p, h.encr), ", ")
		if hash := said(pfSenseWord, p, hashOf(h)); len(hash) > 0 {
			s += "; Hash " + strings.Join(hash, ", ")
		}
		out = append(out, s+"; "+group+" "+cmp.Or(strings.Join(said(pfSenseWord, p, h.ke), ", "), "off"))
	}
	return strings.Join(out, " | ")
}

func pfSenseIKE(a advice) string { return forms(suite.ProtocolIKE, a.ike, "DH Group") }

// pfSenseESP: a phase 2 has one PFS group.
func pfSenseESP(a advice) string {
	var list []hardened
	for _, h := range a.esp {
		h.ke = h.ke[:min(1, len(h.ke))]
		list = append(list, h)
	}
	return forms(suite.ProtocolESP, list, "PFS key group")
}

// mostChoices bounds what a form is told to tick.
const mostChoices = 8

// choices are the whole proposals that OPNsense offers to tick, with one of
// each kind; the hash beside AES-GCM is its PRF.
func choices(p suite.Protocol, list []hardened) string {
	var out []string
	for _, h := range list {
		hashes := orNone(said(keyword, p, hashOf(h)))
		for _, e := range said(keyword, p, h.encr) {
			for _, s := range hashes {
				for _, g := range orNone(said(keyword, p, h.ke)) {
					if whole := fields(e, strings.TrimPrefix(s, "prf"), g); !slices.Contains(out, whole) {
						out = append(out, whole)
					}
				}
			}
		}
	}
	return strings.Join(out[:min(len(out), mostChoices)], ", ")
}

// orNone is one empty word instead of none.
func orNone(words []string) []string {
	if len(words) == 0 {
		return []string{""}
	}
	return words
}

func opnSenseIKE(a advice) string { return choices(suite.ProtocolIKE, a.ike) }
func opnSenseESP(a advice) string { return choices(suite.ProtocolESP, a.esp) }

// vyosWord is from the completion of "set vpn ipsec ike-group" in VyOS 1.4.
func vyosWord(p suite.Protocol, t suite.Transform) string {
	word := keyword(p, t)
	switch t.Type {
	case suite.Encr:
		return map[string]string{"aes128": "aes128", "aes192": "aes192", "aes256": "aes256", "aes128gcm16": "aes128gcm128", "aes192gcm16": "aes192gcm128", "aes256gcm16": "aes256gcm128",
			"chacha20poly1305": "chacha20poly1305"}[word]
	case suite.Integ:
		return pick(hashes, word, word)
	case suite.PRF:
		return pick(hashes, strings.TrimPrefix(word, "prf"), word)
	case suite.KE:
		return pick(groupNumbers, word, strconv.Itoa(int(t.ID)))
	}
	return ""
}

// vyosIKE: a proposal has one of each, so that a group is a proposal.
func vyosIKE(a advice) string {
	const p = suite.ProtocolIKE
	set := "set vpn ipsec ike-group {phase1} proposal "
	var out []string
	for i, h := range singles(a.ike) {
		n, hash := set+strconv.Itoa(i+1), strings.TrimPrefix(said(vyosWord, p, hashOf(h))[0], "prf")
		out = append(out, n+" encryption "+said(vyosWord, p, h.encr)[0], n+" hash "+hash, n+" prf prf"+hash, n+" dh-group "+said(vyosWord, p, h.ke)[0])
	}
	return strings.Join(out, "\n")
}

func vyosESP(a advice) string {
	const p = suite.ProtocolESP
	set := "set vpn ipsec esp-group {phase2} "
	var out []string
	for i, h := range ciphersApart(a.esp) {
		n := fmt.Sprintf("%sproposal %d", set, i+1)
		hash := "sha256" // not used beside AES-GCM
		if integ := said(vyosWord, p, h.integ); len(integ) > 0 {
			hash = integ[0]
		}
		out = append(out, n+" encryption "+said(vyosWord, p, h.encr)[0], n+" hash "+hash)
	}
	pfs := "disable"
	if group := first(vyosWord, p, a.esp, keOf); group != "" {
		pfs = "dh-group" + group
	}
	return strings.Join(append(out, set+"pfs "+pfs), "\n")
}

// ciphersApart takes proposals apart whose group is written elsewhere.
func ciphersApart(list []hardened) []hardened {
	list = slices.Clone(list)
	for i := range list {
		list[i].ke = nil
	}
	return singles(list)
}

// windowsWord is from Set-VpnConnectionIPsecConfiguration. SHA-384 is for the
// IKE SA alone.
func windowsWord(p suite.Protocol, t suite.Transform) string {
	word := strings.TrimPrefix(keyword(p, t), "prf")
	switch t.Type {
	case suite.Encr:
		return map[string]string{"aes128": "AES128", "aes192": "AES192", "aes256": "AES256", "aes128gcm16": "GCMAES128", "aes256gcm16": "GCMAES256"}[word]
	case suite.PRF, suite.Integ:
		switch {
		case p == suite.ProtocolESP:
			return map[string]string{"sha256": "SHA256128"}[word]
		default:
			return map[string]string{"sha256": "SHA256", "sha384": "SHA384"}[word]
		}
	case suite.KE:
		return map[string]string{"ecp256": "ECP256", "ecp384": "ECP384"}[word]
	}
	return ""
}

func windowsIKE(a advice) string {
	h := a.ike[0]
	const p = suite.ProtocolIKE
	return "-EncryptionMethod " + said(windowsWord, p, h.encr)[0] + " -IntegrityCheckMethod " + said(windowsWord, p, hashOf(h))[0] + " -DHGroup " + said(windowsWord, p, h.ke)[0]
}

// windowsESP: a cipher with integrity of its own is named twice.
func windowsESP(a advice) string {
	h := a.esp[0]
	const p = suite.ProtocolESP
	cipher := said(windowsWord, p, h.encr)[0]
	integ := cipher
	if words := said(windowsWord, p, h.integ); len(words) > 0 {
		integ = words[0]
	}
	return "-CipherTransformConstants " + cipher + " -AuthenticationTransformConstants " + integ + " -PfsGroup " + cmp.Or(first(windowsWord, p, a.esp[:1], keOf), "None")
}

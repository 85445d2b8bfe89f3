package audit

import (
	"slices"
	"strings"

	"sallyport/posture"
	"sallyport/protocol/suite"
)

// Systems of clients that come to a connection and have IKEv1 alone.
const (
	l2tpClients  = "L2TP"
	xauthClients = "XAUTH"
)

// clientsOf tells which native clients of IKEv1 a connection serves; empty: none.
// Cisco IOS has no selectors in an entry of a dynamic map: there it is transport
// mode for any peer, beside a listener for L2TP.
func clientsOf(h *posture.Host, c *posture.Connection) string {
	if c.Role.Known() && c.Role.V&posture.Answers == 0 || c.Shunt || posture.Is(c.V1, false) {
		return ""
	}
	carries := func(ch posture.Child) bool {
		return ch.L2TP || c.Dialect == posture.IOS && posture.Is(ch.Transport, true) && posture.Is(c.AnyPeer, true) && slices.ContainsFunc(h.L2TP, func(l posture.L2TP) bool { return l.Dialect == c.Dialect && serves(&l) })
	}
	switch {
	case slices.ContainsFunc(c.Children, carries):
		return l2tpClients
	case slices.ContainsFunc(c.Remote, func(a posture.Auth) bool { return a.XAUTH }):
		return xauthClients
	}
	return ""
}

// mobile tells whether clients come to a connection by IKEv2 and EAP: mostly those
// that systems have built in, which offer what their makers or a profile chose.
func mobile(c *posture.Connection) bool {
	if c.Role.Known() && c.Role.V&posture.Answers == 0 || c.Shunt || posture.Is(c.V2, false) || posture.Is(c.AsksAddress, true) || c.Dialect == posture.Sallyport {
		return false
	}
	return (posture.Is(c.AnyPeer, true) || givesAddresses(c)) && slices.ContainsFunc(c.Remote, func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodEAP) })
}

// mobileGroups are what clients of IKEv2 have: Windows the first by a profile, Apple
// the others by itself, the last one alone before iOS 17 and macOS 14.
var mobileGroups = transforms("ecp384", "ecp256", "modp2048")

// profiled is what windowsProfile makes Windows offer, and Apple has, too.
var profiled = map[suite.Protocol]hardened{
	suite.ProtocolIKE: {encr: transforms("aes256"), integ: transforms("sha256"), prf: transforms("prfsha256"), ke: mobileGroups},
	suite.ProtocolESP: {encr: transforms("aes256gcm16")},
}

// withProfile adds what clients of IKEv2 offer by a profile to a list of which
// nothing that was written could stay.
func (a adviser) withProfile(proto suite.Protocol, list []hardened) []hardened {
	n := profiled[proto]
	h := hardened{encr: a.keep(proto, n.encr), integ: a.keep(proto, n.integ), prf: a.keep(proto, n.prf), ke: a.keep(proto, n.ke)}
	if proto == suite.ProtocolESP && len(list) > 0 {
		h.ke = list[0].ke
	}
	if len(h.encr) == 0 || len(h.integ) != len(n.integ) || len(h.prf) != len(n.prf) || proto == suite.ProtocolIKE && len(h.ke) == 0 || covered(list, h) {
		return list
	}
	return append(list, h)
}

// longer are lives of Child SAs that Windows, which renews them after an hour, does
// not see the end of.
var longer = strings.NewReplacer("1h", "3h", "66m", "198m")

// native is what clients of IKEv1 offer that no rule of high or medium severity
// objects to, in line with the policy of our own L2TP zones (suite.L2TPPolicy):
// what a profile makes Windows offer, and the first of what Apple and
// NetworkManager offer by themselves. Phase 2 is without a group: Windows has one
// by a profile only, and Apple never.
var native = map[suite.Protocol][]hardened{
	suite.ProtocolIKE: {
		{encr: transforms("aes256"), integ: transforms("sha256"), prf: transforms("prfsha256"), ke: transforms("ecp384", "modp2048")},
		{encr: transforms("aes256"), integ: transforms("sha384"), prf: transforms("prfsha384"), ke: transforms("ecp384")},
	},
	suite.ProtocolESP: {
		{encr: transforms("aes256gcm16")},
		{encr: transforms("aes256"), integ: transforms("sha256")},
	},
}

// appleGroup is the one group that Apple's clients of IKEv1 have and that is not
// weak: the least that is allowed (CRY-009).
var appleGroup = transform("modp2048")

// forClients is what a connection should have that native clients of IKEv1 come
// to: what each of them can offer, and behind it the sound rest of what is
// written.
func (a adviser) forClients(proto suite.Protocol, written []posture.Proposal, parent []suite.Transform) []hardened {
	var ke []suite.Transform
	if proto == suite.ProtocolESP {
		ke = a.secrecy(written, parent)
	}
	var out []hardened
	for _, n := range native[proto] {
		h := hardened{encr: a.keep(proto, n.encr), integ: a.keep(proto, n.integ), prf: a.keep(proto, n.prf), ke: a.keep(proto, n.ke)}
		if proto == suite.ProtocolESP {
			h.ke = ke
		}
		if len(h.encr) > 0 && (len(h.integ) > 0) == (len(n.integ) > 0) && (len(h.ke) > 0 || proto == suite.ProtocolESP) {
			out = append(out, h)
		}
	}
	for _, p := range written {
		for _, h := range a.rework(proto, p, parent, len(written) > 1) {
			if proto == suite.ProtocolESP {
				h.ke = ke
			}
			if encrypts(p) && !covered(out, h) {
				out = append(out, h)
			}
		}
	}
	return out
}

// secrecy is the groups of phase 2: those that the file asks for, which who comes
// has then. A group in a proposal of RouterOS is a wish: it takes what clients
// bring.
func (a adviser) secrecy(written []posture.Proposal, parent []suite.Transform) []suite.Transform {
	var asked []suite.Transform
	for _, p := range written {
		asked = append(asked, p.Of(suite.KE)...)
	}
	kept := a.keep(suite.ProtocolESP, asked)
	demands := a.dialect != posture.RouterOS && slices.ContainsFunc(asked, func(t suite.Transform) bool { return t != noGroup })
	if len(kept) == 0 && (demands || a.pfs) {
		return a.groups(suite.ProtocolESP, posture.Proposal{}, parent)
	}
	return kept
}

// covered tells whether one of a list takes all that a proposal does.
func covered(list []hardened, h hardened) bool {
	within := func(all, some []suite.Transform) bool {
		return !slices.ContainsFunc(some, func(t suite.Transform) bool { return !slices.Contains(all, t) })
	}
	return slices.ContainsFunc(list, func(o hardened) bool {
		return within(o.encr, h.encr) && within(o.integ, h.integ) && within(o.ke, h.ke) && (len(o.ke) == 0) == (len(h.ke) == 0)
	})
}

// windowsProfile makes Windows offer for L2TP what is advised.
const windowsProfile = "Set-VpnConnectionIPsecConfiguration -ConnectionName NAME -EncryptionMethod AES256 -IntegrityCheckMethod SHA256 -DHGroup ECP384 -CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256 -PfsGroup "

// What stands before lines that clients of IKEv1 must be ready for.
var (
	listFirst = map[string]string{
		l2tpClients: "first the clients of L2TP, which by themselves offer SHA-1 (Windows; Apple in phase 2)\n" +
			"at each Windows PC  " + windowsProfile + "None\n" +
			"phones and Macs have nothing better: move them to IKEv2\n" +
			"until then keep at the end AES-256 with SHA-1 and group 20 or 14, in phase 2 AES-256 with SHA-1, and a waiver of CRY-005; then",
		xauthClients: "first the clients of XAUTH, many of which offer SHA-1 alone in phase 2: look what they have, or move them to IKEv2\n" +
			"until then keep at the end AES-256 with SHA-1 and group 14, in phase 2 AES-256 with SHA-1, and a waiver of CRY-005; then",
	}
	// RRAS has one proposal for all, and so no place for what others offer.
	rrasFirst = "first the clients of L2TP: one policy is for all of them, and phones and Macs, which have nothing like it, must have moved to IKEv2\n" +
		"at each Windows PC  " + windowsProfile + "None\n" +
		"until all are ready leave what is there, with a waiver; then"
	pfsFirst = map[string]string{
		l2tpClients: "clients of L2TP offer no forward secrecy: Windows has it by a profile only, and Apple and Android never; to have it for all, move them to IKEv2\n" +
			"where no others come than PCs of Windows with  " + windowsProfile + "ECP384",
		xauthClients: "clients of XAUTH mostly offer no forward secrecy, Apple and Android never: to have it for all, move them to IKEv2\nwhere each client is known to have it",
	}
	mobileFirst = "first the clients of IKEv2, which offer what their systems have: Windows by itself group 2 alone, Apple groups 14 and 19\n" +
		"at each Windows PC  " + windowsProfile + "None\n" +
		"or NegotiateDH2048_AES256 = 1 in its registry; then"
	// Of peers that are known by nothing but a proof, some may be of any maker.
	quantumPeers  = "a peer that has nothing of the kind is locked out, and what Windows, Apple and Android have built in has not: first see that each peer has it; then"
	mobileSecrecy = "clients that do not renew keys with an exchange of their own lose the tunnel when this end asks for one: first Windows  " + windowsProfile + "ECP384  and a profile with forward secrecy for Apple\nAndroid's own client has none, strongSwan's app has; then"
	mobileLife    = "Windows behind NAT refuses keys that the gateway renews, and renews them itself after an hour"
	appleFirst    = "group 14 stays for clients of Apple and NetworkManager, which have nothing better in IKEv1: it goes when they have moved to IKEv2\n"
	v2First       = map[string]string{
		l2tpClients: "the clients of L2TP that come with Windows, Apple, Android and routers have IKEv1 alone, and this locks them out\n" +
			"first move them to IKEv2, which Windows, Apple and Android 11 and later have built in, by a connection of its own beside this one; when the last has gone",
		xauthClients: "clients of XAUTH have IKEv1 alone, and this locks them out\n" +
			"first move them to IKEv2, which Windows, Apple and Android 11 and later have built in, by a connection of its own beside this one; when the last has gone",
		"": "the peer has to change at the same time: it is told of IKEv1 alone",
	}
	levelFirst      = "where every peer has the stronger ciphers: what the other findings say, without the weaker ones"
	aggressiveFirst = "first see to it that no client comes by aggressive mode, as those with the name of a group and a key do: move them to IKEv2"
	quantumFirst    = "IKEv1 has no additional key exchange and no such key (RFC 9370 and RFC 8784 are of IKEv2)\n"
)

// endsV1 are the rules whose lines take IKEv1 away, or a way into it.
var endsV1 = map[string]bool{"CRY-012": true, "CRY-013": true, "CRY-022": true, "RPL-004": true, "PSK-006": true, "PSK-010": true, "PSK-011": true}

// mainMode are the dialects whose lines against aggressive mode leave IKEv1 its main
// mode.
var mainMode = []posture.Dialect{posture.Swanctl, posture.Starter, posture.Libreswan, posture.IOS}

// isList tells whether a rule's fix is a list of proposals.
func isList(r *Rule, d posture.Dialect) bool { return strings.Contains(r.Fix[d], "{proposals}") }

// condition is what must be so before the lines of a fix are written; empty: no
// condition.
func condition(r *Result, c *posture.Connection, clients string) string {
	id, v1 := r.Rule.ID, posture.Is(c.V1, true) && posture.Is(c.V2, false)
	switch {
	case c.Product == "" && len(c.Children) == 0 && !c.V1.Known(): // no connection
		return ""
	case id == "CRY-022" && (clients != "" || v1):
		return quantumFirst + v2First[clients]
	case id == "CRY-022" && answersAny(c):
		return quantumPeers
	case id == "CRY-013" && slices.Contains(mainMode, c.Dialect) || id == "PSK-010" && c.Dialect == posture.IOS:
		if clients == "" {
			return ""
		}
		return aggressiveFirst
	case mobile(c) && clients == "" && id == "CRY-010":
		return mobileSecrecy
	case mobile(c) && clients == "" && id == "KEY-002":
		return mobileLife
	case mobile(c) && clients == "" && isList(r.Rule, c.Dialect) && slices.ContainsFunc(c.Children, renewsByExchange):
		return strings.Replace(mobileFirst, windowsProfile+"None", windowsProfile+"ECP384", 1)
	case mobile(c) && clients == "" && isList(r.Rule, c.Dialect):
		return mobileFirst
	case endsV1[id] && (clients != "" || v1 && c.Dialect != posture.Windows):
		return v2First[clients]
	case clients == "" || !isList(r.Rule, c.Dialect):
		return ""
	case id == "CRY-010":
		return pfsFirst[clients]
	case c.Dialect == posture.Windows:
		return rrasFirst
	case id == "CRY-009":
		return appleFirst + listFirst[clients]
	}
	return listFirst[clients]
}

// answersAny tells whether a connection is for whoever calls, or for clients.
func answersAny(c *posture.Connection) bool {
	return posture.Is(c.AnyPeer, true) && !posture.Is(c.AsksAddress, true) || givesAddresses(c)
}

// renewsByExchange tells whether a child has forward secrecy, which its clients must have, too.
func renewsByExchange(c posture.Child) bool { return c.PFS.Known() && c.PFS.V != posture.Never }

// remark writes lines that are not to be entered.
func remark(d posture.Dialect, text string) string {
	mark := "# "
	switch d {
	case posture.IOS:
		mark = "! "
	case posture.PfSense, posture.OPNsense:
		mark = ""
	}
	return mark + strings.ReplaceAll(text, "\n", "\n"+mark) + "\n"
}

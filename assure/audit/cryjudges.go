package audit

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/assure/policy"
	"sallyport/posture"
	"sallyport/protocol/suite"
)

// onConnections judges one setting of every connection.
func (j *judge) onConnections(of func(*posture.Connection) posture.Value[bool], bad bool, detail string) {
	j.connections(func(c *posture.Connection) { j.flag(c.Subject, of(c), bad, detail) })
}

// onChildren judges one setting of every child.
func (j *judge) onChildren(of func(*posture.Child) posture.Value[bool], bad bool, detail string) {
	j.children(func(_ *posture.Connection, c *posture.Child) { j.flag(c.Subject, of(c), bad, detail) })
}

// judgeNoCipher is CRY-001: in an IKE proposal also NONE beside a cipher that
// needs integrity. A list of hashes that is merely absent is none in IKE: no
// product does without.
func judgeNoCipher(j *judge) {
	j.lists(func(l list) {
		of := l.objections(j.rule.ID)
		j.judgeList(l, func(p posture.Proposal) []hit {
			hits := of(p)
			if l.protocol == suite.ProtocolIKE && slices.Contains(p.Of(suite.Integ), noIntegrity) && !allAEAD(p) {
				hits = append(hits, hit{word: noIntegrity.String(), why: verdicts[noIntegrity].why, severity: Critical})
			}
			return hits
		})
	})
}

func allAEAD(p posture.Proposal) bool {
	return !slices.ContainsFunc(p.Of(suite.Encr), func(t suite.Transform) bool { return !aead(t) })
}

// judgeESP is CRY-003.
func judgeESP(j *judge) {
	j.children(func(_ *posture.Connection, c *posture.Child) {
		l := espList(c)
		of := l.objections(j.rule.ID)
		bad := func(p posture.Proposal) []hit { return append(of(p), bareESP(p)...) }
		alone := !c.ESP.Known() || len(c.ESP.V) == 0
		switch hits, _ := l.hits(bad); {
		case posture.Is(c.AH, true) && !slices.ContainsFunc(c.ESP.V, encrypts):
			j.found(c.Subject, evidence(c.AH), "AH is used without ESP: nothing is encrypted")
		case posture.Is(c.AH, true) && len(hits) == 0:
			j.foundAt(j.scaled(Medium), c.Subject, evidence(c.AH), "AH is used beside ESP, which has integrity of its own")
		case alone:
			j.unknown(c.Subject, "the files do not tell which algorithms are taken")
		default:
			j.judgeList(l, bad)
		}
	})
}

func encrypts(p posture.Proposal) bool { return len(p.Of(suite.Encr)) > 0 }

// bareESP is what a proposal has without integrity: NONE, or nothing, beside a
// cipher that needs it. A word that the reader did not know may have been the
// integrity.
func bareESP(p posture.Proposal) []hit {
	integ := p.Of(suite.Integ)
	if len(p.Of(suite.Encr)) == 0 || allAEAD(p) || len(integ) == 0 && len(p.Unknown) > 0 {
		return nil
	}
	if len(integ) > 0 && !slices.Contains(integ, noIntegrity) {
		return nil
	}
	for _, t := range p.Of(suite.Encr) {
		if !aead(t) {
			return []hit{{word: t.String() + " without integrity", why: "packets can be changed on the way (RFC 8221, Section 4)", severity: Critical}}
		}
	}
	return nil
}

// judgeGroups is CRY-009: groups of 112 bits, and those under the policy's own
// bound that no other rule names.
func judgeGroups(j *judge) {
	bound := j.policy.Number(policy.GroupBits)
	j.lists(func(l list) {
		of := l.objections(j.rule.ID)
		j.judgeList(l, func(p posture.Proposal) []hit {
			hits := of(p)
			for _, t := range p.Of(suite.KE) {
				if v := verdicts[t]; v.ok() && v.bits > 0 && v.bits < bound {
					hits = append(hits, hit{word: t.String(), why: fmt.Sprintf("about %d bits of strength, and the policy asks for %d", v.bits, bound), severity: j.rule.Severity, group: true})
				}
			}
			return hits
		})
	})
}

// judgePFS is CRY-010. What the product says of PFS counts first; groups of the
// proposals can only weaken it, because "pfs=yes" without a group means the IKE
// SA's.
func judgePFS(j *judge) {
	j.children(func(_ *posture.Connection, c *posture.Child) {
		demand, e := forwardSecrecy(c)
		switch {
		case !demand.Known():
			j.unknown(c.Subject, "the files do not tell whether a child has a key exchange of its own")
		case demand.V == posture.Never:
			j.found(c.Subject, e, "there is no key exchange for the child: no forward secrecy")
		case demand.V == posture.Optional:
			j.foundAt(j.scaled(Medium), c.Subject, e, "the key exchange for the child is optional: the peer may leave forward secrecy out")
		default:
			j.ok(c.Subject, e)
		}
	})
}

// forwardSecrecy is what a child's settings come to.
func forwardSecrecy(c *posture.Child) (posture.Value[posture.Demand], Evidence) {
	with, bare, none := 0, posture.Proposal{}, false
	for _, p := range c.ESP.V {
		ke := p.Of(suite.KE)
		if slices.Contains(ke, noGroup) || len(ke) == 0 {
			bare, none = p, true
		}
		if slices.ContainsFunc(ke, func(t suite.Transform) bool { return t != noGroup }) {
			with++
		}
	}
	optional := slices.ContainsFunc(c.ESP.V, func(p posture.Proposal) bool { return slices.Contains(p.Of(suite.KE), noGroup) })
	v := c.PFS
	switch {
	case v.Known() && !(v.V == posture.Always && optional):
		return v, evidence(v)
	case !c.ESP.Known() || len(c.ESP.V) == 0:
		return v, Evidence{}
	}
	v = posture.Value[posture.Demand]{Origin: c.ESP.Origin, At: c.ESP.At, Why: c.ESP.Why, V: posture.Always}
	switch {
	case with == 0:
		v.V = posture.Never
	case none:
		v.V = posture.Optional
	}
	if none {
		return v, espList(c).evidence(bare)
	}
	return v, evidence(c.ESP)
}

// judgeChildGroup is CRY-011. Weakest is compared with weakest: those are what
// an attacker steers to.
func judgeChildGroup(j *judge) {
	equal := j.policy.Number(policy.EqualGroups) != 0
	j.children(func(conn *posture.Connection, c *posture.Child) {
		ike, ikeWord := ikeList(conn).weakest(suite.KE)
		esp, espWord := espList(c).weakest(suite.KE)
		switch {
		case ike == 0 || !c.ESP.Known():
			j.unknown(c.Subject, "the files do not tell the groups of both the IKE SA and the child")
		case esp == 0:
			j.ok(c.Subject, evidence(c.ESP)) // none of its own: the IKE SA's, or CRY-010
		case esp < ike:
			j.found(c.Subject, groupEvidence(c, espWord), "the child takes %s, which is weaker than anything the IKE SA takes (%s)", espWord, ikeWord)
		case equal && !sameGroups(conn, c):
			j.found(c.Subject, groupEvidence(c, espWord), "the child's groups are not the IKE SA's, as the policy wants them")
		default:
			j.ok(c.Subject, evidence(c.ESP))
		}
	})
}

// groupEvidence is the proposal that has a group.
func groupEvidence(c *posture.Child, word string) Evidence {
	l := espList(c)
	for _, p := range c.ESP.V {
		if slices.ContainsFunc(p.Of(suite.KE), func(t suite.Transform) bool { return t.String() == word }) {
			return l.groupEvidence(p)
		}
	}
	return evidence(c.ESP)
}

// sameGroups tells whether a child takes no group that its IKE SA does not.
func sameGroups(conn *posture.Connection, c *posture.Child) bool {
	var ike []suite.Transform
	for _, p := range conn.IKE.V {
		ike = append(ike, p.Of(suite.KE)...)
	}
	for _, p := range c.ESP.V {
		for _, t := range p.Of(suite.KE) {
			if t != noGroup && !slices.Contains(ike, t) {
				return false
			}
		}
	}
	return true
}

// judgeAggressive is CRY-013. Version 2 has no such mode.
func judgeAggressive(j *judge) {
	j.connections(func(c *posture.Connection) {
		if posture.Is(c.V1, false) {
			j.ok(c.Subject, evidence(c.V1))
			return
		}
		j.flag(c.Subject, c.Aggressive, true, "aggressive mode is on: identities travel in the clear")
	})
}

// judgeWritten is CRY-014.
func judgeWritten(j *judge) {
	j.lists(func(l list) {
		if l.value.Origin == posture.Explicit {
			j.writtenGroups(l)
			return
		}
		all, first := l.hits(func(p posture.Proposal) []hit {
			var out []hit
			for _, t := range p.Transforms {
				if v := verdictOf(t, l.protocol); !v.ok() && !j.policy.Off(v.rule) {
					out = append(out, hit{word: t.String(), severity: v.severity})
				}
			}
			return out
		})
		if len(all) == 0 {
			j.foundAt(Info, l.subject, l.evidence(l.value.V[0]), "%s algorithms are not written; the default is sound today", l.protocol)
			return
		}
		if l.value.Text != "" { // VyOS fills in what a proposal leaves out
			j.found(l.subject, l.evidence(first), "%s algorithms are written in part, and with the defaults for the rest they take %s", l.protocol, strings.Join(hitWords(all), ", "))
			return
		}
		j.found(l.subject, l.evidence(first), "%s algorithms are not written, and the default in force takes %s", l.protocol, strings.Join(hitWords(all), ", "))
	})
}

func hitWords(all []hit) []string {
	var words []string
	for _, h := range all {
		words = append(words, h.word)
	}
	return words
}

// judgeAdded is CRY-015.
func judgeAdded(j *judge) {
	j.anyLists(func(l list) {
		switch {
		case !l.value.Known() && posture.Is(l.implicit, true) && l.implicit.Origin == posture.Explicit: // beside what a template leaves open
			j.found(l.subject, evidence(l.implicit), "the product adds its default %s proposals to what is written", l.protocol)
		case !l.value.Known(), len(l.value.V) == 0:
			j.unknown(l.subject, "the files do not tell which algorithms are taken")
		case l.value.Origin != posture.Explicit:
			j.ok(l.subject, evidence(l.value)) // nothing is written that could be added to: CRY-014
		case !l.implicit.Known():
			j.unknown(l.subject, "the files do not tell whether the product adds its own proposals")
		case l.implicit.V:
			j.found(l.subject, writtenEvidence(l), "the product adds its default %s proposals to what is written", l.protocol)
		default:
			j.ok(l.subject, evidence(l.value))
		}
	})
}

// writtenEvidence is the first proposal that the file has.
func writtenEvidence(l list) Evidence {
	for _, p := range l.value.V {
		if !l.byDefault(p) {
			return l.evidence(p)
		}
	}
	return evidence(l.value)
}

// judgeMixed is CRY-016, of what is written: defaults are nobody's to split, and
// CRY-014 and CRY-015 say what to do about them.
func judgeMixed(j *judge) {
	j.lists(func(l list) {
		j.judgeList(l, func(p posture.Proposal) []hit {
			if l.value.Origin != posture.Explicit || p.Default {
				return nil
			}
			return mixed(p, l.protocol)
		})
	})
}

// mixed are the weak transforms of a proposal that stand beside good ones of
// their kind.
func mixed(p posture.Proposal, proto suite.Protocol) []hit {
	var out []hit
	for _, typ := range []suite.TransformType{suite.Encr, suite.PRF, suite.Integ, suite.KE} {
		good := slices.IndexFunc(p.Transforms, func(t suite.Transform) bool {
			return t.Type == typ && t != noGroup && t != noIntegrity && verdictOf(t, proto).ok()
		})
		if good < 0 || slices.Contains(p.Implied, typ) {
			continue
		}
		for _, t := range p.Of(typ) {
			if v := verdictOf(t, proto); !v.ok() && v.severity >= Medium {
				out = append(out, hit{word: fmt.Sprintf("%s beside %s", t, p.Transforms[good]), severity: Medium, group: typ == suite.KE})
			}
		}
	}
	return out
}

// judgeLevel is CRY-017.
func judgeLevel(j *judge) {
	j.children(func(conn *posture.Connection, c *posture.Child) {
		ike, ikeWord := ikeList(conn).weakest(suite.Encr)
		esp, espWord := espList(c).weakest(suite.Encr)
		switch {
		case ike == 0 || esp == 0:
			j.unknown(c.Subject, "the files do not tell the ciphers of both the IKE SA and the child")
		case ike-esp > mostApart:
			j.found(c.Subject, evidence(c.ESP), "the child takes %s, much weaker than the IKE SA's %s", espWord, ikeWord)
		case esp-ike > mostApart:
			j.found(c.Subject, evidence(conn.IKE), "the IKE SA takes %s, much weaker than the child's %s", ikeWord, espWord)
		default:
			j.ok(c.Subject, evidence(c.ESP))
		}
	})
}

// judgeSHA1Signatures is CRY-019, of connections that use signatures and of
// daemons.
func judgeSHA1Signatures(j *judge) {
	j.connectionsAndDaemons(
		func(c *posture.Connection) posture.Value[bool] {
			if method, ok := onlyOtherMethods(c); ok {
				return posture.Value[bool]{Origin: method.Origin, At: method.At, Text: string(method.V), Why: method.Why}
			}
			if posture.Is(c.V2, false) && !c.SHA1Sig.Known() { // IKEv1 signs with its proposal's hash: CRY-005
				return posture.Value[bool]{Origin: c.V2.Origin, At: c.V2.At, Text: c.V2.Text, Why: c.V2.Why}
			}
			return c.SHA1Sig
		},
		func(d *posture.Daemon) posture.Value[bool] { return d.SHA1Sig }, "signatures with SHA-1 are made or taken")
}

// connectionsAndDaemons judges a setting that some products have for each
// connection and some for the daemon. What is the daemon's is said of it alone,
// and not of each of its connections again.
func (j *judge) connectionsAndDaemons(of func(*posture.Connection) posture.Value[bool], ofDaemon func(*posture.Daemon) posture.Value[bool], detail string) {
	daemons := map[string]posture.Value[bool]{}
	each(j, j.host.Daemons, daemonSubject, func(d *posture.Daemon) {
		if v := ofDaemon(d); v.Known() {
			daemons[d.Product] = v
			j.flag(d.Subject, v, true, detail)
		}
	})
	j.connections(func(c *posture.Connection) {
		v, own := of(c), daemons[c.Product]
		if own.Known() && (!v.Known() || v.V == own.V && v.At == own.At) {
			return
		}
		j.flag(c.Subject, v, true, detail)
	})
}

// onlyOtherMethods tells whether both sides are known to prove themselves by
// something else than a signature.
func onlyOtherMethods(c *posture.Connection) (posture.Value[posture.Method], bool) {
	var last posture.Value[posture.Method]
	for _, a := range slices.Concat(c.Local, c.Remote) {
		if !a.Method.Known() || a.Method.V == posture.MethodPubkey || a.Method.V == posture.MethodHybrid {
			return last, false
		}
		last = a.Method
	}
	return last, last.Known()
}

// judgePostQuantum is CRY-022: an axis of its own, unless the policy makes it a
// finding.
func judgePostQuantum(j *judge) {
	severity := j.severity()
	if j.policy.Number(policy.HybridKE) != 0 {
		severity = max(severity, Medium)
	}
	j.connections(func(c *posture.Connection) {
		switch {
		case c.PPK.Known() && c.PPK.V != posture.Never:
			j.ok(c.Subject, evidence(c.PPK))
		case slices.ContainsFunc(c.IKE.V, hybrid):
			j.ok(c.Subject, evidence(c.IKE))
		case !c.IKE.Known():
			j.unknown(c.Subject, "the files do not tell which key exchanges are taken")
		default:
			j.foundAt(severity, c.Subject, evidence(c.IKE), "neither ML-KEM nor a post-quantum preshared key takes part")
		}
	})
	each(j, j.host.Tunnels, func(t *posture.Tunnel) *posture.Subject { return &t.Subject }, func(t *posture.Tunnel) {
		for i := range t.Peers {
			p := &t.Peers[i]
			switch {
			case !p.PSK.Known():
				j.unknown(p.Subject, "the files do not tell whether the peer has a preshared key")
			case p.PSK.V:
				j.ok(p.Subject, evidence(p.PSK))
			default:
				j.foundAt(severity, p.Subject, evidence(p.PSK), "the peer has no preshared key, which is what WireGuard has against quantum computers")
			}
		}
	})
}

// postQuantum are the key exchanges that withstand a quantum computer.
var postQuantum = transforms("mlkem512", "mlkem768", "mlkem1024")

// hybrid tells whether a proposal has a post-quantum exchange.
func hybrid(p posture.Proposal) bool {
	return slices.ContainsFunc(slices.Concat(p.AddKE, p.Of(suite.KE)), func(t suite.Transform) bool { return slices.Contains(postQuantum, t) })
}

// judgeManual is CRY-023.
func judgeManual(j *judge) {
	seen := map[posture.Dialect]bool{}
	each(j, j.host.Manual, func(m *posture.Manual) *posture.Subject { return &m.Subject }, func(m *posture.Manual) {
		seen[m.Dialect] = true
		j.found(m.Subject, at(m.At, "manual SA"), "an SA is keyed by hand")
	})
	j.hosts(func(s posture.Subject) {
		if !seen[s.Dialect] {
			j.ok(s, at(s.At, "no manual SA"))
		}
	})
}

// judgeNull is CRY-024.
func judgeNull(j *judge) {
	j.connections(func(c *posture.Connection) {
		rounds := slices.Concat(c.Local, c.Remote)
		if i := slices.IndexFunc(rounds, func(a posture.Auth) bool { return posture.Is(a.Method, posture.MethodNull) }); i >= 0 {
			j.found(c.Subject, evidence(rounds[i].Method), "NULL authentication: the peer may be anybody")
			return
		}
		known := slices.IndexFunc(c.Remote, func(a posture.Auth) bool { return a.Method.Known() })
		if known < 0 {
			j.unknown(c.Subject, "the files do not tell how the peer proves itself")
			return
		}
		j.ok(c.Subject, evidence(c.Remote[known].Method))
	})
}

// judgePrivate is CRY-025, of lists, and of daemons and connections that take
// private numbers.
func judgePrivate(j *judge) {
	j.lists(func(l list) {
		of := l.objections(j.rule.ID)
		j.judgeList(l, func(p posture.Proposal) []hit {
			hits := of(p)
			for _, word := range p.Unknown {
				if word == shortSHA256 && l.protocol == suite.ProtocolESP {
					continue // NAT-008
				}
				hits = append(hits, hit{word: fmt.Sprintf("%q", word), why: "it is in no registry", severity: j.rule.Severity})
			}
			return hits
		})
	})
	j.connectionsAndDaemons(func(c *posture.Connection) posture.Value[bool] {
		if !c.PrivateAlg.Known() {
			return inList(c) // no product with such a switch: the list is all there is
		}
		return c.PrivateAlg
	}, func(d *posture.Daemon) posture.Value[bool] { return d.PrivateAlg }, "transforms with private numbers are taken")
}

// shortSHA256 is strongSwan's word for HMAC-SHA-256 cut to 96 bits.
const shortSHA256 = "sha256_96"

// inList is "no", as known as the list of algorithms.
func inList(c *posture.Connection) posture.Value[bool] {
	return posture.Value[bool]{Origin: c.IKE.Origin, At: c.IKE.At, Why: c.IKE.Why}
}

// judgeListed is CRY-026. Without a list everything is allowed. The exchanges
// that come on top are judged with the first: CNSA 2.0 wants one of them to be
// ML-KEM-1024, and nothing less.
func judgeListed(j *judge) {
	j.lists(func(l list) {
		j.judgeList(l, func(p posture.Proposal) []hit {
			var out []hit
			for _, t := range slices.Concat(p.Transforms, p.AddKE) {
				if !j.policy.Allows(t) && !(t == noIntegrity && allAEAD(p)) && t != noGroup {
					out = append(out, hit{word: t.String(), why: "it is not on the list of the policy " + j.policy.Name, severity: j.rule.Severity, group: t.Type == suite.KE})
				}
			}
			return out
		})
	})
}

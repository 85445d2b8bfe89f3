package gateway

import (
	"slices"

	"sallyport/config"
	"sallyport/engine"
	"sallyport/protocol/eap"
	"sallyport/protocol/ike"
	"sallyport/protocol/suite"
)

// groupPSK is the machine's proof by the key of a whole group, beside those of
// package config. It proves no machine.
const groupPSK = "group-psk"

// proof is how the peer of a session proved itself, as far as rules of the
// catalogue are about it.
type proof struct {
	machine string   // of L2TP: config.Certificate, config.PSK or groupPSK
	key     string   // the device whose pre-shared key was used; empty: none was
	broken  []string // rules that it broke, by waiver
	unseen  []string // rules that it may have broken where the gateway does not look

	base *footing // of L2TP: what the login stands on; nil: IKEv2
	user string   // of L2TP: the device, or seat, whose credential PPP was shown
}

// proving notes in an admission how its peer proved itself.
func proving(a *ike.Admission, err error, p proof) (*ike.Admission, error) {
	if err != nil {
		return nil, err
	}
	a.Value.(*terms).proof = p
	return a, nil
}

// breaks adds a rule, if it is broken.
func (p proof) breaks(rule string, is bool) proof {
	if is {
		p.broken = append(p.broken, rule)
	}
	return p
}

// proof is what stands behind a login: the machine's, if it came before.
func (b *footing) proof() proof {
	if b == nil {
		return proof{}
	}
	p := proof{machine: b.by, base: b}
	if b.by == config.PSK {
		p.key = b.machine.device
	}
	return p.breaks(config.RulePSKAny, b.by == groupPSK).breaks(config.RulePSKWeak, b.weak)
}

// proof is that of a login that the gateway has judged itself.
func (l *login) proof(s eap.Success, credential string) proof {
	p := l.base.proof()
	if l.base != nil {
		p.user = credential
	}
	return p.breaks(config.RuleMSCHAPv2, s.Method == eap.TypeMSCHAPv2).breaks(config.RuleNoEMS, s.Unbound)
}

// proof is that of a login whose TLS ends at a RADIUS server, which does not say
// how it is bound.
func (c *relay) proof() proof {
	p := c.l.base.proof().breaks(config.RuleMSCHAPv2, c.method == eap.TypeMSCHAPv2)
	if c.method != eap.TypeMSCHAPv2 {
		p.unseen = []string{config.RuleNoEMS}
	}
	return p
}

// waivers are the rules of the catalogue that a session breaks, and those that
// it may break unseen. It runs on the session's event loop.
func (g *Gateway) waivers(l *live, m engine.Machine) (broken, unseen []string) {
	p := l.terms.proof
	broken, unseen = slices.Clone(p.broken), slices.Clone(p.unseen)
	if d, ok := g.registry.Device(p.key); ok {
		broken = append(broken, d.Waived...)
	}
	children := slices.DeleteFunc(m.Children(nil), func(c ike.ChildStatus) bool { return c.Replaced })
	if hasSHA1(m.Suite(), children) {
		broken = append(broken, config.RuleSHA1HMAC)
	}
	if slices.ContainsFunc(children, func(c ike.ChildStatus) bool { return c.Suite.KE.ID == 0 }) {
		if l.terms.zone.speaks(config.L2TP) {
			broken = append(broken, config.RuleNoPFS)
		} else if l.terms.zone.sparesPFS() {
			unseen = append(unseen, config.RuleNoPFS)
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken), unseen
}

// sparesPFS tells whether children may do without a key exchange. The first one
// of an IKEv2 session never has its own (RFC 7296, Section 1.2), so that it
// shows at a rekey alone whether the client has forward secrecy.
func (z *zone) sparesPFS() bool {
	none, _ := suite.ByKeyword("modpnone")
	return slices.ContainsFunc(z.child.ESP, func(p suite.Proposal) bool {
		kes := p.Of(suite.KE)
		return len(kes) == 0 || slices.Contains(kes, none.Transform)
	})
}

// hasSHA1 tells whether keys are made or packets protected by HMAC-SHA1.
func hasSHA1(phase1 suite.IKE, children []ike.ChildStatus) bool {
	return isSHA1(phase1.PRF) || isSHA1(phase1.Integ) ||
		slices.ContainsFunc(children, func(c ike.ChildStatus) bool { return isSHA1(c.Suite.Integ) })
}

func isSHA1(t suite.Transform) bool {
	prf, _ := suite.ByKeyword("prfsha1")
	integ, _ := suite.ByKeyword("sha1")
	return t == prf.Transform || t == integ.Transform
}

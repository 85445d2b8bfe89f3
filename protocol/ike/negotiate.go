package ike

import (
	"errors"
	"slices"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Terms are what a negotiation knows beside the two lists of proposals.
type Terms struct {
	// Group is the group of the peer's KE payload, 0 without one. It is taken
	// whenever both sides accept it: that saves a round trip.
	Group uint16
	// NoKE leaves key exchange out on both sides: the Child SA of IKE_AUTH
	// (RFC 7296, Section 1.2).
	NoKE bool
	// KEOptional accepts a proposal without key exchange.
	KEOptional bool
	// PeerOrder prefers the peer's first acceptable proposal. Apple rekeys with
	// what it thinks was chosen, so what it put first is best.
	PeerOrder bool
	// GroupInAll accepts only a group that stands in every proposal of the
	// peer: Android honours INVALID_KE_PAYLOAD for such a group only.
	GroupInAll bool
}

// Choice is one proposal of the peer, narrowed to one transform per type.
type Choice struct {
	Number     uint8  // as the peer numbered it
	SPI        []byte // the peer's
	Transforms []suite.Transform
}

// transformTypes in the order in which a choice lists them.
var transformTypes = []suite.TransformType{suite.Encr, suite.PRF, suite.Integ, suite.KE, suite.ESN}

// Negotiate chooses from the peer's proposals (RFC 7296, Section 2.7). It
// looks for a choice that agrees with the KE payload before any other.
func Negotiate(ours []suite.Proposal, offer []ikemsg.Proposal, terms Terms) (Choice, bool) {
	for _, exact := range []bool{true, false} {
		if terms.PeerOrder {
			for _, theirs := range offer {
				for _, our := range ours {
					if c, ok := match(our, theirs, offer, terms, exact); ok {
						return c, true
					}
				}
			}
			continue
		}
		for _, our := range ours {
			for _, theirs := range offer {
				if c, ok := match(our, theirs, offer, terms, exact); ok {
					return c, true
				}
			}
		}
	}
	return Choice{}, false
}

// match holds one of our proposals against one of the peer's.
func match(our suite.Proposal, theirs ikemsg.Proposal, offer []ikemsg.Proposal, terms Terms, exact bool) (Choice, bool) {
	if uint8(our.Protocol) != uint8(theirs.Protocol) || hasUnknownType(theirs) {
		return Choice{}, false
	}
	c := Choice{Number: theirs.Number, SPI: theirs.SPI, Transforms: make([]suite.Transform, 0, len(transformTypes))}
	for _, typ := range transformTypes {
		if typ == suite.KE && terms.NoKE {
			continue
		}
		t, ok := matchType(typ, our, theirs, terms)
		if typ == suite.KE && ok {
			ok = !exact || t.ID == terms.Group
			ok = ok && (!terms.GroupInAll || t.ID == terms.Group || inAll(t, offer))
		}
		if !ok {
			return Choice{}, false
		}
		if t != (suite.Transform{}) {
			c.Transforms = append(c.Transforms, t)
		}
	}
	return c, true
}

// matchType chooses the transform of one type; the zero Transform means none.
func matchType(typ suite.TransformType, our suite.Proposal, theirs ikemsg.Proposal, terms Terms) (suite.Transform, bool) {
	none := offersNone(typ, theirs)
	mine := our.Of(typ)
	weTakeNone := len(mine) == 0 || typ == suite.KE && terms.KEOptional || slices.ContainsFunc(mine, isNone)
	if typ == suite.KE {
		if group := (suite.Transform{Type: typ, ID: terms.Group}); group.ID != 0 && slices.Contains(mine, group) && offers(group, theirs) {
			return group, true
		}
		if terms.Group == 0 && none && weTakeNone {
			return suite.Transform{}, true
		}
	}
	for _, t := range mine {
		if !(isNone(t) && typ != suite.ESN) && offers(t, theirs) {
			return t, true
		}
	}
	if typ == suite.ESN && !hasType(typ, theirs) {
		// The transform is mandatory for ESP (Section 3.3.3); old peers that
		// leave it out mean no ESN. IKE proposals have none.
		return suite.Transform{}, weTakeNone
	}
	return suite.Transform{}, none && weTakeNone
}

func isNone(t suite.Transform) bool { return t.ID == 0 }

// offers tells whether the peer's proposal has exactly this transform. One
// with attributes we do not know is something else.
func offers(t suite.Transform, p ikemsg.Proposal) bool {
	return slices.ContainsFunc(p.Transforms, func(o ikemsg.Transform) bool {
		return o.Transform == t && len(o.Attributes) == 0
	})
}

func hasType(typ suite.TransformType, p ikemsg.Proposal) bool {
	return slices.ContainsFunc(p.Transforms, func(o ikemsg.Transform) bool { return o.Type == typ })
}

// offersNone: a type may be left out, or NONE may be among its transforms
// (Section 3.3.2).
func offersNone(typ suite.TransformType, p ikemsg.Proposal) bool {
	return !hasType(typ, p) || offers(suite.Transform{Type: typ}, p)
}

// hasUnknownType: a type we do not know, with no NONE beside it, makes the
// proposal unusable and no more (Section 3.3.6; RFC 9370, Section 2.2.1).
func hasUnknownType(p ikemsg.Proposal) bool {
	return slices.ContainsFunc(p.Transforms, func(o ikemsg.Transform) bool {
		return (o.Type < suite.Encr || o.Type > suite.ESN) && !offers(suite.Transform{Type: o.Type}, p)
	})
}

func inAll(t suite.Transform, offer []ikemsg.Proposal) bool {
	return !slices.ContainsFunc(offer, func(p ikemsg.Proposal) bool { return !offers(t, p) })
}

// Of is the chosen transform of a type; zero = none.
func (c Choice) Of(typ suite.TransformType) suite.Transform {
	for _, t := range c.Transforms {
		if t.Type == typ {
			return t
		}
	}
	return suite.Transform{}
}

// IKE is the choice as a suite.
func (c Choice) IKE() suite.IKE {
	return suite.IKE{Encr: c.Of(suite.Encr), PRF: c.Of(suite.PRF), Integ: c.Of(suite.Integ), KE: c.Of(suite.KE)}
}

// ESP is the choice as a suite.
func (c Choice) ESP() suite.ESP {
	return suite.ESP{Encr: c.Of(suite.Encr), Integ: c.Of(suite.Integ), KE: c.Of(suite.KE), ESN: c.Of(suite.ESN).ID == 1}
}

// payload is the SA payload that answers with the choice.
func (c Choice) payload(p ikemsg.ProtocolID, spi []byte) *ikemsg.SA {
	return &ikemsg.SA{Proposals: []ikemsg.Proposal{proposal(c.Number, p, spi, c.Transforms)}}
}

func proposal(number uint8, p ikemsg.ProtocolID, spi []byte, ts []suite.Transform) ikemsg.Proposal {
	out := ikemsg.Proposal{Number: number, Protocol: p, SPI: spi, Transforms: make([]ikemsg.Transform, len(ts))}
	for i, t := range ts {
		out.Transforms[i].Transform = t
	}
	return out
}

// offer makes the SA payload of a request from our policy.
func offer(ours []suite.Proposal, p ikemsg.ProtocolID, spi []byte, noKE bool) *ikemsg.SA {
	sa := &ikemsg.SA{}
	for i, o := range ours {
		ts := o.Transforms
		if noKE {
			ts = slices.DeleteFunc(slices.Clone(ts), func(t suite.Transform) bool { return t.Type == suite.KE })
		}
		sa.Proposals = append(sa.Proposals, proposal(uint8(i+1), p, spi, ts))
	}
	return sa
}

var (
	errNotOneProposal = errors.New("the answer does not choose exactly one proposal")
	errNotOffered     = errors.New("the answer chooses what was not offered")
)

// accept checks a responder's choice against our offer (Section 2.7: the
// initiator MUST check). Anything that was not offered is a downgrade or a
// broken peer, and refused.
func accept(offered *ikemsg.SA, answer *ikemsg.SA) (Choice, error) {
	if len(answer.Proposals) != 1 {
		return Choice{}, errNotOneProposal
	}
	got := answer.Proposals[0]
	i := slices.IndexFunc(offered.Proposals, func(p ikemsg.Proposal) bool {
		return p.Number == got.Number && p.Protocol == got.Protocol
	})
	if i < 0 {
		return Choice{}, errNotOffered
	}
	ours := offered.Proposals[i]
	c := Choice{Number: got.Number, SPI: got.SPI}
	for _, t := range got.Transforms {
		if !offers(t.Transform, ours) && !(isNone(t.Transform) && offersNone(t.Type, ours)) || len(t.Attributes) > 0 {
			return Choice{}, errNotOffered
		}
		if c.Of(t.Type) != (suite.Transform{}) {
			return Choice{}, errNotOneProposal
		}
		if !isNone(t.Transform) || t.Type == suite.ESN {
			c.Transforms = append(c.Transforms, t.Transform)
		}
	}
	for _, typ := range transformTypes {
		if c.Of(typ) == (suite.Transform{}) && !offersNone(typ, ours) {
			return Choice{}, errNotOffered
		}
	}
	return c, nil
}

// groups are the KE transforms of a list of proposals, each once, in order.
func groups(ps []suite.Proposal) []suite.Transform {
	var out []suite.Transform
	for _, p := range ps {
		for _, t := range p.Of(suite.KE) {
			if !isNone(t) && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

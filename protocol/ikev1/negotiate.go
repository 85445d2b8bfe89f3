package ikev1

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// Attributes of phase 1 (RFC 2409, Appendix A).
const (
	attrCipher1    = 1
	attrHash1      = 2
	attrMethod1    = 3
	attrGroup1     = 4
	attrGroupType1 = 5
	attrLifeType1  = 11
	attrLife1      = 12
	attrKeyBits1   = 14
)

// Attributes of phase 2 (RFC 2407, Section 4.5; RFC 4304, Section 2).
const (
	attrLifeType2 = 1
	attrLife2     = 2
	attrGroup2    = 3
	attrMode2     = 4
	attrAuth2     = 5
	attrKeyBits2  = 6
	attrESN2      = 11
)

// Values of attributes.
const (
	lifeSeconds      = 1
	lifeKilobytes    = 2
	groupTypeMODP    = 1
	keyIKE           = 1 // the one transform ID of ISAKMP (RFC 2407, Section 4.4.2)
	modeTransport    = 2
	modeUDPTransport = 4     // RFC 3947, Section 5.1
	modeUDPDraft     = 61444 // the same in the drafts
)

// proposed is one transform of a peer, understood as far as it can be.
type proposed struct {
	proposal  int // index into SA.Proposals
	transform isakmp.Transform
	unusable  string // why it is not for us whatever the policy; empty = it may be

	encr, integ, group suite.Transform // phase 1: integ is the hash; group zero = none
	method             suite.AuthMethod1
	mode               uint16
	esn                bool
	numbers            [3]number         // of encr, integ and group as offered; zero = none
	other              isakmp.ProtocolID // that it is for, when it is not ours

	seconds   time.Duration // 0 = not said
	kilobytes uint64        // 0 = not said
}

// number is a number on the wire. Its name is for a record, and made only then:
// offers are long, and come from anyone.
type number struct {
	registry    suite.Registry1
	value, bits uint16
}

func (n number) String() string {
	if n == (number{}) {
		return ""
	}
	return suite.NameIKEv1(n.registry, n.value, n.bits)
}

// choice is one of them, and our verdict.
type choice struct {
	proposed
	number   uint8 // of the proposal, as the peer numbered it
	protocol isakmp.ProtocolID
	spi      []byte // the peer's
}

// answer is the SA payload that takes the choice: the transform exactly as it
// was offered (RFC 2409, Section 5).
func (c *choice) answer(spi []byte) *isakmp.SA {
	return &isakmp.SA{DOI: isakmp.DOIIPsec, Situation: isakmp.SituationIdentityOnly, Proposals: []isakmp.Proposal{
		{Number: c.number, Protocol: c.protocol, SPI: spi, Transforms: []isakmp.Transform{c.transform}},
	}}
}

// understand reads all transforms of an offer with read. Proposals that share a
// number mean "all of these", such as AH beside ESP, and are not for us.
func understand(sa *isakmp.SA, want isakmp.ProtocolID, read func(isakmp.Transform) proposed) []proposed {
	var all []proposed
	for i, p := range sa.Proposals {
		bundled := slices.IndexFunc(sa.Proposals, func(o isakmp.Proposal) bool { return o.Number == p.Number })
		again := i+1 < len(sa.Proposals) && slices.ContainsFunc(sa.Proposals[i+1:], func(o isakmp.Proposal) bool { return o.Number == p.Number })
		for _, t := range p.Transforms {
			if p.Protocol != want {
				all = append(all, proposed{proposal: i, other: p.Protocol, unusable: p.Protocol.String() + " is not negotiated"})
				continue
			}
			o := read(t)
			o.proposal = i
			if bundled != i || again {
				o.unusable = "a bundle of protocols is not negotiated"
			}
			all = append(all, o)
		}
	}
	return all
}

func (o *proposed) refuse(why string) {
	if o.unusable == "" {
		o.unusable = why
	}
}

// attributes walks over the attributes of a transform. One that comes twice is
// ambiguous, except lifetimes, which come in pairs.
type attributes struct {
	seen     uint32 // bits of types under 32
	lifeType uint64
}

// number takes the next attribute's value, or refuses the transform.
func (w *attributes) number(o *proposed, a isakmp.Attribute, life, lifeValue uint16) (uint64, bool) {
	v, ok := a.Uint()
	if !ok {
		o.refuse("an attribute is longer than a number")
		return 0, false
	}
	switch a.Type {
	case life:
		w.lifeType = v
		return 0, false
	case lifeValue:
		o.life(w.lifeType, v)
		w.lifeType = 0
		return 0, false
	}
	if a.Type >= 32 || w.seen&(1<<a.Type) != 0 || v > 0xffff {
		o.refuse("an attribute is unknown, repeated or out of range")
		return 0, false
	}
	w.seen |= 1 << a.Type
	return v, true
}

// maxLife keeps a lifetime from overflowing; longer ones never count.
const maxLife = 1 << 31

func (o *proposed) life(typ, v uint64) {
	switch typ {
	case lifeSeconds:
		o.seconds = time.Duration(min(v, maxLife)) * time.Second
	case lifeKilobytes:
		o.kilobytes = min(v, 1<<50)
	}
}

// readPhase1 understands a transform of main mode. What is unknown makes this
// transform unusable and no more (trap 10).
func readPhase1(t isakmp.Transform) proposed {
	o := proposed{transform: t}
	if t.ID != keyIKE {
		o.refuse("the transform is not KEY_IKE")
	}
	var w attributes
	var cipher, bits, hash, group uint16
	for _, a := range t.Attributes {
		v, ok := w.number(&o, a, attrLifeType1, attrLife1)
		if !ok {
			continue
		}
		switch n := uint16(v); a.Type {
		case attrCipher1:
			cipher = n
		case attrHash1:
			hash = n
		case attrMethod1:
			o.method = suite.AuthMethod1(n)
		case attrGroup1:
			group = n
		case attrKeyBits1:
			bits = n
		case attrGroupType1:
			if n != groupTypeMODP {
				o.refuse("the group is described by the peer")
			}
		default:
			o.refuse("an attribute is unknown")
		}
	}
	o.encr, _ = suite.FromIKEv1(suite.Cipher1, cipher, bits)
	o.integ, _ = suite.FromIKEv1(suite.Hash1, hash, 0)
	o.group, _ = suite.FromIKEv1(suite.Group1, group, 0)
	o.numbers = [3]number{{suite.Cipher1, cipher, bits}, {suite.Hash1, hash, 0}, {suite.Group1, group, 0}}
	return o
}

// readPhase2 understands a transform of quick mode.
func readPhase2(t isakmp.Transform) proposed {
	o := proposed{transform: t}
	var w attributes
	var bits, auth, group uint16
	hasGroup := false
	for _, a := range t.Attributes {
		v, ok := w.number(&o, a, attrLifeType2, attrLife2)
		if !ok {
			continue
		}
		switch n := uint16(v); a.Type {
		case attrGroup2:
			group, hasGroup = n, true
		case attrMode2:
			o.mode = n
		case attrAuth2:
			auth = n
		case attrKeyBits2:
			bits = n
		case attrESN2:
			if o.esn = true; n != 1 {
				o.refuse("the ESN attribute is not 1") // RFC 4304, Section 3
			}
		default:
			o.refuse("an attribute is unknown")
		}
	}
	o.encr, _ = suite.FromIKEv1(suite.ESP1, uint16(t.ID), bits)
	o.numbers[0] = number{suite.ESP1, uint16(t.ID), bits}
	if auth != 0 {
		var ok bool
		o.numbers[1] = number{suite.Integrity1, auth, 0}
		if o.integ, ok = suite.FromIKEv1(suite.Integrity1, auth, 0); !ok {
			o.refuse("the integrity algorithm is unknown")
		}
	}
	if hasGroup {
		var ok bool
		o.numbers[2] = number{suite.Group1, group, 0}
		if o.group, ok = suite.FromIKEv1(suite.Group1, group, 0); !ok {
			o.refuse("the group is unknown")
		}
	}
	return o
}

// words is all of it for a record: "aes256-sha1-ecp384 rsa" of phase 1, and
// "aes256-sha1 transport" of phase 2.
func (o *proposed) words() string {
	var words []string
	for _, n := range o.numbers {
		if name := n.String(); name != "" {
			words = append(words, name)
		}
	}
	switch {
	case o.other != 0:
		return o.other.String()
	case o.numbers[0].registry == suite.Cipher1:
		return strings.Join(words, "-") + " " + o.method.String()
	case o.esn:
		words = append(words, "esn")
	}
	return strings.Join(words, "-") + " " + modeName(o.mode)
}

func modeName(mode uint16) string {
	switch mode {
	case 1:
		return "tunnel"
	case modeTransport:
		return "transport"
	case 3, 61443:
		return "udp-tunnel"
	case modeUDPTransport, modeUDPDraft:
		return "udp-transport"
	}
	return "no mode"
}

// choosePhase1 takes what we like best of what is offered: method first, then
// our proposals in their order.
func (p *Policy) choosePhase1(sa *isakmp.SA, offer []proposed) (choice, bool) {
	for _, method := range p.methods() {
		for _, our := range p.Phase1 {
			for _, encr := range our.Of(suite.Encr) {
				for _, hash := range our.Of(suite.Integ) {
					for _, group := range our.Of(suite.KE) {
						if c, ok := pick(sa, offer, func(o *proposed) bool {
							return o.method == method && o.encr == encr && o.integ == hash && o.group == group
						}); ok {
							return c, true
						}
					}
				}
			}
		}
	}
	return choice{}, false
}

// choosePhase2 is the same for ESP. A group in the transform is PFS, which is
// taken when we know the group.
func (p *Policy) choosePhase2(sa *isakmp.SA, offer []proposed, encap bool) (choice, bool) {
	for _, our := range p.Phase2 {
		groups := slices.Clone(our.Of(suite.KE))
		if !p.RequirePFS {
			groups = append(groups, suite.Transform{})
		}
		integs := our.Of(suite.Integ)
		if len(integs) == 0 {
			integs = []suite.Transform{{}} // AES-GCM
		}
		for _, encr := range our.Of(suite.Encr) {
			for _, integ := range integs {
				for _, group := range groups {
					for _, sequence := range our.Of(suite.ESN) {
						if c, ok := pick(sa, offer, func(o *proposed) bool {
							return o.encr == encr && o.integ == integ && o.group == group && o.esn == (sequence.ID == 1) && modeFits(o.mode, encap)
						}); ok {
							return c, true
						}
					}
				}
			}
		}
	}
	return choice{}, false
}

// modeFits: transport mode, in UDP exactly when there is a NAT (RFC 3947,
// Section 5.1). Both numbers of that are taken: some peers mix RFC and drafts.
func modeFits(mode uint16, encap bool) bool {
	if encap {
		return mode == modeUDPTransport || mode == modeUDPDraft
	}
	return mode == modeTransport
}

func pick(sa *isakmp.SA, offer []proposed, fits func(*proposed) bool) (choice, bool) {
	for i := range offer {
		if o := &offer[i]; o.unusable == "" && fits(o) {
			p := sa.Proposals[o.proposal]
			return choice{proposed: *o, number: p.Number, protocol: p.Protocol, spi: p.SPI}, true
		}
	}
	return choice{}, false
}

// ike is a choice of phase 1 as a suite.
func (c *choice) ike() suite.IKE {
	return suite.IKE{Encr: c.encr, PRF: suite.PRFOfHash(c.integ), Integ: c.integ, KE: c.group}
}

// esp is a choice of phase 2 as a suite.
func (c *choice) esp() suite.ESP {
	a, _ := suite.Lookup(c.integ)
	return suite.ESP{Encr: c.encr, Integ: c.integ, KE: c.group, ESN: c.esn, Waived: a.Waivable()}
}

// offerPhase1 makes the SA payload of our main mode: one proposal, a transform
// for each combination.
func (p *Policy) offerPhase1(methods []suite.AuthMethod1) *isakmp.SA {
	var ts []isakmp.Transform
	for _, method := range methods {
		for _, our := range p.Phase1 {
			for _, encr := range our.Of(suite.Encr) {
				for _, hash := range our.Of(suite.Integ) {
					for _, group := range our.Of(suite.KE) {
						ts = append(ts, p.transform1(len(ts)+1, encr, hash, group, method))
					}
				}
			}
		}
	}
	return offerOf(isakmp.ProtoISAKMP, nil, ts)
}

// maxOffer is what the octet that counts transforms allows.
const maxOffer = 255

func offerOf(p isakmp.ProtocolID, spi []byte, ts []isakmp.Transform) *isakmp.SA {
	ts = ts[:min(len(ts), maxOffer)]
	return &isakmp.SA{DOI: isakmp.DOIIPsec, Situation: isakmp.SituationIdentityOnly,
		Proposals: []isakmp.Proposal{{Number: 1, Protocol: p, SPI: spi, Transforms: ts}}}
}

func (p *Policy) transform1(number int, encr, hash, group suite.Transform, method suite.AuthMethod1) isakmp.Transform {
	cipher, bits, _ := suite.ToIKEv1(suite.Cipher1, encr)
	h, _, _ := suite.ToIKEv1(suite.Hash1, hash)
	g, _, _ := suite.ToIKEv1(suite.Group1, group)
	return isakmp.Transform{Number: uint8(number), ID: keyIKE, Attributes: []isakmp.Attribute{
		isakmp.Short(attrCipher1, cipher), isakmp.Short(attrKeyBits1, bits), isakmp.Short(attrHash1, h),
		isakmp.Short(attrGroup1, g), isakmp.Short(attrMethod1, uint16(method)),
		isakmp.Short(attrLifeType1, lifeSeconds), isakmp.Long(attrLife1, uint32(p.lifetime1()/time.Second)),
	}}
}

// offerPhase2 makes the SA payload of our quick mode. With a group, all
// transforms have it: there is one KE payload.
func (p *Policy) offerPhase2(spi []byte, group suite.Transform, encap bool, version natt) *isakmp.SA {
	var ts []isakmp.Transform
	for _, our := range p.Phase2 {
		integs := our.Of(suite.Integ)
		if len(integs) == 0 {
			integs = []suite.Transform{{}}
		}
		for _, encr := range our.Of(suite.Encr) {
			for _, integ := range integs {
				for _, sequence := range our.Of(suite.ESN) {
					ts = append(ts, p.transform2(len(ts)+1, encr, integ, group, sequence.ID == 1, modeOf(encap, version)))
				}
			}
		}
	}
	return offerOf(isakmp.ProtoESP, spi, ts)
}

func modeOf(encap bool, version natt) uint16 {
	switch {
	case !encap:
		return modeTransport
	case version == nattDraft:
		return modeUDPDraft
	}
	return modeUDPTransport
}

func (p *Policy) transform2(number int, encr, integ, group suite.Transform, esn bool, mode uint16) isakmp.Transform {
	id, bits, _ := suite.ToIKEv1(suite.ESP1, encr)
	as := []isakmp.Attribute{
		isakmp.Short(attrLifeType2, lifeSeconds), isakmp.Long(attrLife2, uint32(p.lifetime2()/time.Second)),
		isakmp.Short(attrMode2, mode), isakmp.Short(attrKeyBits2, bits),
	}
	if auth, _, ok := suite.ToIKEv1(suite.Integrity1, integ); ok {
		as = append(as, isakmp.Short(attrAuth2, auth))
	}
	if g, _, ok := suite.ToIKEv1(suite.Group1, group); ok {
		as = append(as, isakmp.Short(attrGroup2, g))
	}
	if esn {
		as = append(as, isakmp.Short(attrESN2, 1))
	}
	return isakmp.Transform{Number: uint8(number), ID: uint8(id), Attributes: as}
}

// accept checks a responder's choice against our offer: one transform, and one
// that we offered, attribute for attribute (RFC 2409, Section 5). Anything else
// is a downgrade or a broken peer.
func accept(offered, answer *isakmp.SA, read func(isakmp.Transform) proposed) (choice, bool) {
	if len(answer.Proposals) != 1 || len(answer.Proposals[0].Transforms) != 1 || answer.Proposals[0].Protocol != offered.Proposals[0].Protocol {
		return choice{}, false
	}
	got := answer.Proposals[0]
	for _, t := range offered.Proposals[0].Transforms {
		if sameTransform(t, got.Transforms[0]) {
			return choice{proposed: read(t), number: got.Number, protocol: got.Protocol, spi: got.SPI}, true
		}
	}
	return choice{}, false
}

// sameTransform ignores numbers and order: some peers count anew.
func sameTransform(ours, got isakmp.Transform) bool {
	return ours.ID == got.ID && len(ours.Attributes) == len(got.Attributes) &&
		!slices.ContainsFunc(ours.Attributes, func(a isakmp.Attribute) bool {
			return !slices.ContainsFunc(got.Attributes, func(b isakmp.Attribute) bool {
				x, _ := a.Uint()
				y, ok := b.Uint()
				return a.Type == b.Type && ok && (x == y || bytes.Equal(a.Value, b.Value))
			})
		})
}

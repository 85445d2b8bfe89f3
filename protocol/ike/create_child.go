package ike

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// child is one Child SA as the machine knows it. Its keys went out with
// ChildUp and are not kept.
type child struct {
	spiIn, spiOut     uint32
	suite             suite.ESP
	policy            *ChildPolicy
	tsLocal, tsRemote []ikemsg.TrafficSelector

	created, rekeyAt, expireAt time.Time
	retryAt                    time.Time // no rekey before: TEMPORARY_FAILURE
	unproven                   time.Time // until then the peer may not have our answer that made it; zero = it has
	dropAt                     time.Time // replaced: delete it ourselves; lingering: forget it
	failures                   uint8

	state     childState
	want      want
	installed bool        // the data plane has it
	pfsKnown  bool        // suite.KE tells what both sides want at rekey; not so for the one of IKE_AUTH
	outbound  bool        // traffic may go out on it
	heir      uint32      // inbound SPI of the Child SA that replaced it
	byPeer    *rivalChild // the peer's rekey of it while ours is out
}

type childState uint8

const (
	childLive      childState = iota
	childReplaced             // another took its place; its DELETE is due from one side
	childRedundant            // lost a rekey collision; its creator deletes it
	childLingering            // deleted on both sides, late packets still welcome
)

// want is what we mean to do with a Child SA when the window is free.
type want uint8

const (
	wantNothing want = iota
	wantRekey
	wantDelete
)

func (c *child) deadline(e *earliest) {
	e.add(c.dropAt)
	if c.state != childLingering {
		e.add(c.expireAt)
	}
	if c.state == childLive {
		e.add(c.rekeyAt)
	}
}

// ready is when a want may be acted upon.
func (c *child) ready() time.Time {
	if c.want == wantRekey && c.retryAt.After(c.unproven) {
		return c.retryAt
	}
	return c.unproven
}

// childIn finds a Child SA by our SPI, childOut by the peer's.
func (s *Session) childIn(spi uint32) *child {
	for _, c := range s.children {
		if c.spiIn == spi {
			return c
		}
	}
	return nil
}

func (s *Session) childOut(spi uint32) *child {
	for _, c := range s.children {
		if c.spiOut == spi && c.state != childLingering {
			return c
		}
	}
	return nil
}

// Children appends the status of each Child SA.
func (s *Session) Children(to []ChildStatus) []ChildStatus {
	for _, c := range s.children {
		to = append(to, ChildStatus{
			SPIIn: c.spiIn, SPIOut: c.spiOut, Suite: c.suite, TSLocal: c.tsLocal, TSRemote: c.tsRemote,
			Created: c.created, Expires: c.expireAt, Policy: c.policy, Replaced: c.state != childLive,
		})
	}
	return to
}

func spiOctets(spi uint32) []byte { return binary.BigEndian.AppendUint32(nil, spi) }

// chosenChild is a Child SA that both sides agreed on, before it has keys.
type chosenChild struct {
	policy        *ChildPolicy
	choice        Choice
	spiIn, spiOut uint32
	local, remote []ikemsg.TrafficSelector
}

// childRefusal is why there is none.
type childRefusal struct {
	notify ikemsg.NotifyType
	data   []byte
	record Record
}

func (s *Session) refuseChild(now time.Time, stage Stage, t ikemsg.NotifyType, reason, fix string) *childRefusal {
	r := s.record(stage, t, reason, fix)
	r.Time = now
	return &childRefusal{notify: t, record: r}
}

// allowed are the widest selectors of a policy for this peer, from our side.
func (s *Session) allowed(p *ChildPolicy) (local, remote []ikemsg.TrafficSelector) {
	if s.role == Initiator {
		return p.Local, p.Remote
	}
	return p.Local, append(leasedSelectors(s.leased), p.Remote...)
}

// chooseChild negotiates a Child SA as responder of the exchange: suite, then
// selectors (RFC 7296, Sections 2.7 and 2.9). local and remote are what we
// allow, from our side.
func (s *Session) chooseChild(now time.Time, stage Stage, p *ChildPolicy, ps []ikemsg.Payload, terms Terms, local, remote []ikemsg.TrafficSelector) (*chosenChild, *childRefusal) {
	sa, okSA := ikemsg.Find[*ikemsg.SA](ps)
	tsi, okI := ikemsg.FindTS(ps, false)
	tsr, okR := ikemsg.FindTS(ps, true)
	if !okSA || !okI || !okR {
		return nil, s.refuseChild(now, stage, ikemsg.NotifyInvalidSyntax, "the request for a Child SA lacks SA, TSi or TSr", "report this client's version")
	}
	terms.KEOptional = p.PFSOptional || s.kind.quirks().pfsOptional
	terms.PeerOrder = s.kind.quirks().peerOrder
	choice, ok := Negotiate(p.ESP, sa.Proposals, terms)
	if ok && spiOf(choice) < minChildSPI {
		ok = false
	}
	if !ok {
		return nil, &childRefusal{notify: ikemsg.NotifyNoProposalChosen, record: s.proposalRecord(now, stage, p.ESP, sa.Proposals, terms)}
	}
	c := &chosenChild{policy: p, choice: choice, spiOut: spiOf(choice)}
	c.remote, c.local = sameFamilies(narrow(tsi.Selectors, remote), narrow(tsr.Selectors, local))
	if len(c.local) == 0 || len(c.remote) == 0 {
		return nil, s.refuseChild(now, stage, ikemsg.NotifyTSUnacceptable,
			fmt.Sprintf("traffic selectors have nothing in common: TSi %v, TSr %v; allowed TSi %v, TSr %v", tsi.Selectors, tsr.Selectors, remote, local),
			"compare the client's networks with the zone's routes")
	}
	return c, nil
}

// minChildSPI: SPIs below are reserved (RFC 4303, Section 2.1).
const minChildSPI = 256

func spiOf(c Choice) uint32 {
	if len(c.SPI) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(c.SPI)
}

// payloads are SA, TSi, TSr of the answer; a rekeyed or new Child SA has its
// nonce and KE before them.
func (c *chosenChild) payloads(initiator bool) []ikemsg.Payload {
	i, r := c.remote, c.local
	if initiator {
		i, r = r, i
	}
	return []ikemsg.Payload{c.choice.payload(ikemsg.ProtoESP, spiOctets(c.spiIn)), &ikemsg.TS{Selectors: i}, &ikemsg.TS{Responder: true, Selectors: r}}
}

// readChild takes a responder's answer to our request for a Child SA and holds
// it against what we offered.
func (s *Session) readChild(now time.Time, stage Stage, p *ChildPolicy, offered *ikemsg.SA, spiIn uint32, ps []ikemsg.Payload, local, remote []ikemsg.TrafficSelector) (*chosenChild, *childRefusal) {
	broken := func(what string) (*chosenChild, *childRefusal) {
		return nil, s.refuseChild(now, stage, ikemsg.NotifyInvalidSyntax, "the peer's answer "+what, "report this peer's version")
	}
	sa, okSA := ikemsg.Find[*ikemsg.SA](ps)
	tsi, okI := ikemsg.FindTS(ps, false)
	tsr, okR := ikemsg.FindTS(ps, true)
	if !okSA || !okI || !okR {
		return broken("lacks SA, TSi or TSr")
	}
	choice, err := accept(offered, sa)
	if err != nil {
		return broken("does not fit: " + err.Error())
	}
	if spiOf(choice) < minChildSPI {
		return broken("has a reserved SPI")
	}
	c := &chosenChild{policy: p, choice: choice, spiIn: spiIn, spiOut: spiOf(choice)}
	c.local, c.remote = narrow(tsi.Selectors, local), narrow(tsr.Selectors, remote)
	if !within(tsi.Selectors, local) || !within(tsr.Selectors, remote) || len(c.local) == 0 || len(c.remote) == 0 {
		return broken("has wider traffic selectors than we offered")
	}
	return c, nil
}

// install derives the keys and gives the Child SA to the data plane. The
// responder of a rekey does not send on it yet (Section 2.8).
func (s *Session) install(now time.Time, c *chosenChild, sa *ikeSA, shared secret.Bytes, nonceI, nonceR []byte, initiator bool, replaces *child, out *Out) *child {
	n := &child{
		spiIn: c.spiIn, spiOut: c.spiOut, suite: c.choice.ESP(), policy: c.policy,
		tsLocal: c.local, tsRemote: c.remote, created: now, installed: true,
		outbound: initiator || replaces == nil,
	}
	in, outKey, err := childKeys(sa.suite, sa.keys.d, n.suite, shared, nonceI, nonceR, initiator)
	shared.Clear()
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return nil
	}
	n.rekeyAt, n.expireAt = s.span(now, c.policy.Lifetime, defaultChildLifetime)
	up := Child{
		SPIIn: n.spiIn, SPIOut: n.spiOut, Suite: n.suite, KeyIn: in, KeyOut: outKey,
		Local: s.path.local, Remote: s.path.remote, Encap: s.encap, TSLocal: n.tsLocal, TSRemote: n.tsRemote,
		Limits: c.policy.Limits, Expires: n.expireAt, Outbound: n.outbound, Policy: c.policy,
	}
	if replaces != nil {
		up.Replaces = replaces.spiIn
	}
	s.children = append(s.children, n)
	out.Events = append(out.Events, ChildUp{up})
	return n
}

// switchOutbound lets traffic out on a Child SA whose peer has shown that it
// is ready.
func (s *Session) switchOutbound(c *child, out *Out) {
	if c.installed && !c.outbound {
		c.outbound = true
		out.Events = append(out.Events, ChildOutbound{c.spiIn})
	}
}

// childDown takes a Child SA off the data plane, once.
func (s *Session) childDown(c *child, why string, out *Out) {
	if c.installed {
		c.installed = false
		out.Events = append(out.Events, ChildDown{c.spiIn, why})
	}
}

// forgetChild removes a Child SA altogether.
func (s *Session) forgetChild(c *child, why string, out *Out) {
	s.childDown(c, why, out)
	s.children = slices.DeleteFunc(s.children, func(o *child) bool { return o == c })
}

// childGone is the end of a Child SA on both sides. A replaced one lingers for
// packets still under way.
func (s *Session) childGone(now time.Time, c *child, why string, out *Out) {
	if c.state == childReplaced && c.installed {
		c.state, c.want, c.dropAt = childLingering, wantNothing, now.Add(lingerOld)
	} else {
		s.forgetChild(c, why, out)
	}
}

// nonces of one CREATE_CHILD_SA exchange, for Section 2.8.1.
type nonces struct{ i, r []byte }

// lowest is the lower of the two, octet by octet.
func (n nonces) lowest() []byte {
	if slices.Compare(n.i, n.r) < 0 {
		return n.i
	}
	return n.r
}

// lowerThan tells which of two exchanges has the lowest of the four nonces:
// what that one created is redundant.
func (n nonces) lowerThan(o nonces) bool { return slices.Compare(n.lowest(), o.lowest()) < 0 }

// ---- Responder of the exchange

// serveCreateChild sorts the three uses of CREATE_CHILD_SA (RFC 7296, Section
// 1.3). A CP payload in it is legal (Appendix C.4) and needs no answer.
func (s *Session) serveCreateChild(now time.Time, sa *ikeSA, in *inbound, out *Out) {
	offered, okSA := ikemsg.Find[*ikemsg.SA](in.payloads)
	nonce, okNonce := ikemsg.Find[*ikemsg.Nonce](in.payloads)
	switch {
	case !okSA || !okNonce:
		s.respondNotify(now, sa, in, ikemsg.NotifyInvalidSyntax, nil, out)
	case sa != s.sa || s.phase != phaseUp:
		// The SA is being replaced or closed (Section 2.25.2).
		s.respondNotify(now, sa, in, ikemsg.NotifyTemporaryFailure, nil, out)
	case offered.Proposals[0].Protocol == ikemsg.ProtoIKE:
		s.serveRekeyIKE(now, in, offered, nonce, out)
	case s.rekeyingIKE():
		s.respondNotify(now, sa, in, ikemsg.NotifyTemporaryFailure, nil, out)
	default:
		if n, ok := ikemsg.FindNotify(in.payloads, ikemsg.NotifyRekeySA); ok {
			s.serveRekeyChild(now, in, n, nonce, out)
			return
		}
		policy := s.admission.Policy
		local, remote := s.allowed(policy)
		s.serveChild(now, in, StageChild, policy, nil, local, remote, nonce, out)
	}
}

// rekeyingIKE tells whether our rekey of the IKE SA is out (Section 2.25.2).
func (s *Session) rekeyingIKE() bool {
	if s.sa.pending == nil {
		return false
	}
	_, ok := s.sa.pending.exchange.(*ikeRekey)
	return ok
}

// serveChild makes a new Child SA for the peer, or the successor of old.
func (s *Session) serveChild(now time.Time, in *inbound, stage Stage, policy *ChildPolicy, old *child, local, remote []ikemsg.TrafficSelector, nonce *ikemsg.Nonce, out *Out) {
	if policy == nil || len(s.children) >= maxChildren {
		s.respondNotify(now, s.sa, in, ikemsg.NotifyNoAdditionalSAs, nil, out)
		return
	}
	var terms Terms
	ke, hasKE := ikemsg.Find[*ikemsg.KE](in.payloads)
	if hasKE {
		terms.Group = ke.Group
	}
	c, no := s.chooseChild(now, stage, policy, in.payloads, terms, local, remote)
	if no != nil {
		out.Events = append(out.Events, Refused{no.record})
		s.respondNotify(now, s.sa, in, no.notify, no.data, out)
		return
	}
	group := c.choice.Of(suite.KE)
	switch {
	case group == suite.Transform{}:
		s.answerChild(now, in, c, old, nil, nil, nonce, out)
	case !hasKE || ke.Group != group.ID:
		s.wantGroup(now, in, stage, group, terms.Group, out)
	default:
		s.agree(now, in, group, ke.Data, out, func(now time.Time, public []byte, shared secret.Bytes, out *Out) {
			s.answerChild(now, in, c, old, public, shared, nonce, out)
		})
	}
}

// wantGroup asks for a KE payload of the chosen group (Section 1.3). A peer
// that does not come back from that is refused, with a record that says why.
func (s *Session) wantGroup(now time.Time, in *inbound, stage Stage, group suite.Transform, had uint16, out *Out) {
	if !s.kind.quirks().noGroupAtRekey {
		s.respondNotify(now, s.sa, in, ikemsg.NotifyInvalidKEPayload, binary.BigEndian.AppendUint16(nil, group.ID), out)
		return
	}
	r := s.record(stage, ikemsg.NotifyNoProposalChosen,
		fmt.Sprintf("%v: the key exchange is of %v, wanted %v", stage, suite.Transform{Type: suite.KE, ID: had}, group),
		s.proposalFix(stage, nil, nil, suite.Proposal{Transforms: []suite.Transform{group}}))
	r.Time = now
	out.Events = append(out.Events, Refused{r})
	s.respondNotify(now, s.sa, in, ikemsg.NotifyNoProposalChosen, nil, out)
}

// agree runs both halves of a key exchange as responder. A bad public value
// of an authenticated peer is answered INVALID_SYNTAX.
func (s *Session) agree(now time.Time, in *inbound, group suite.Transform, peer []byte, out *Out, then func(now time.Time, public []byte, shared secret.Bytes, out *Out)) {
	s.await(now, GenerateKE{group}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			s.respondNotify(now, s.sa, in, ikemsg.NotifyTemporaryFailure, nil, out)
			return
		}
		s.await(now, SharedSecret{ke, peer}, out, func(now time.Time, r Result, out *Out) {
			shared, err := value[secret.Bytes](r)
			if err != nil {
				s.respondNotify(now, s.sa, in, ikemsg.NotifyInvalidSyntax, nil, out)
				return
			}
			then(now, ke.Public(), shared, out)
		})
	})
}

// answerChild installs and answers.
func (s *Session) answerChild(now time.Time, in *inbound, c *chosenChild, old *child, public []byte, shared secret.Bytes, nonce *ikemsg.Nonce, out *Out) {
	if s.phase != phaseUp {
		s.respondNotify(now, s.sa, in, ikemsg.NotifyTemporaryFailure, nil, out)
		return
	}
	if old != nil && s.childIn(old.spiIn) != old {
		old = nil // a hard limit ended it while the keys were made; the successor still serves
	}
	c.spiIn = s.cfg.NewChildSPI()
	nonceR := s.newNonce()
	ps := []ikemsg.Payload{&ikemsg.Nonce{Data: nonceR}}
	if public != nil {
		ps = append(ps, &ikemsg.KE{Group: c.choice.Of(suite.KE).ID, Data: public})
	}
	made := s.install(now, c, s.sa, shared, nonce.Data, nonceR, false, old, out)
	if made == nil {
		return
	}
	// Until the peer has our answer it would say CHILD_SA_NOT_FOUND.
	made.unproven, made.pfsKnown = now.Add(staleAfter), true
	s.respond(now, s.sa, in, append(ps, c.payloads(false)...), out)
	if old != nil {
		s.replacedByPeer(now, old, made, nonces{slices.Clone(nonce.Data), nonceR})
	}
}

// ---- Initiator of the exchange

// childExchange is our request for a Child SA, new or in place of old.
type childExchange struct {
	policy        *ChildPolicy
	old           *child
	spiIn         uint32
	offer         *ikemsg.SA
	local, remote []ikemsg.TrafficSelector
	nonce         []byte
	ke            suite.KeyExchange
	group         suite.Transform // zero without PFS
	groups, tried []suite.Transform
}

// startChild asks for a new Child SA of the policy, or for old's successor.
func (s *Session) startChild(now time.Time, p *ChildPolicy, old *child, out *Out) {
	ex := &childExchange{policy: p, old: old, spiIn: s.cfg.NewChildSPI(), nonce: s.newNonce()}
	proposals := p.ESP
	ex.local, ex.remote = s.allowed(p)
	if old != nil {
		proposals = rekeyProposals(p.ESP, old.suite, old.pfsKnown)
		ex.local, ex.remote = old.tsLocal, old.tsRemote
	}
	ex.offer = offer(proposals, ikemsg.ProtoESP, spiOctets(ex.spiIn), false)
	ex.groups = groups(proposals)
	ex.start(s, now, s.preferredGroup(ex.groups, old), out)
}

// rekeyProposals keeps the algorithms in force (Section 2.8: they SHOULD NOT
// change) and, once a rekey has shown it, the group or its absence: Windows
// copes with nothing else. Before the first rekey the groups are those of the
// policy.
func rekeyProposals(policy []suite.Proposal, now suite.ESP, pfsKnown bool) []suite.Proposal {
	esn := suite.Transform{Type: suite.ESN}
	if now.ESN {
		esn.ID = 1
	}
	var out []suite.Proposal
	for _, p := range policy {
		if !slices.Contains(p.Transforms, now.Encr) || now.Integ != (suite.Transform{}) && !slices.Contains(p.Transforms, now.Integ) {
			continue
		}
		q := suite.Proposal{Protocol: p.Protocol}
		for _, t := range p.Transforms {
			switch {
			case t.Type == suite.KE && (!pfsKnown || now.KE == t), t == now.Encr, t == now.Integ:
				q.Transforms = append(q.Transforms, t)
			}
		}
		q.Transforms = append(q.Transforms, esn)
		if !slices.ContainsFunc(out, func(o suite.Proposal) bool { return slices.Equal(o.Transforms, q.Transforms) }) {
			out = append(out, q) // Windows reads 15 transforms of a type
		}
	}
	if out == nil {
		return policy
	}
	return out
}

// preferredGroup is the one the last rekey used, else the IKE SA's, else the
// policy's first; zero without PFS.
func (s *Session) preferredGroup(gs []suite.Transform, old *child) suite.Transform {
	switch {
	case len(gs) == 0:
		return suite.Transform{}
	case old != nil && slices.Contains(gs, old.suite.KE):
		return old.suite.KE
	case slices.Contains(gs, s.sa.suite.KE):
		return s.sa.suite.KE
	}
	return gs[0]
}

// start makes the key pair, if there is to be one, and sends.
func (ex *childExchange) start(s *Session, now time.Time, group suite.Transform, out *Out) {
	ex.group, ex.ke = group, nil
	if group == (suite.Transform{}) {
		ex.send(s, now, out)
		return
	}
	ex.tried = append(ex.tried, group)
	s.await(now, GenerateKE{group}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			ex.failed(s, now, ikemsg.NotifyTemporaryFailure)
			return
		}
		ex.ke = ke
		ex.send(s, now, out)
	})
}

func (ex *childExchange) send(s *Session, now time.Time, out *Out) {
	if s.phase != phaseUp || ex.old != nil && ex.old.state != childLive {
		return // overtaken while the key pair was made
	}
	var ps []ikemsg.Payload
	if ex.old != nil {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyRekeySA, Protocol: ikemsg.ProtoESP, SPI: spiOctets(ex.old.spiIn)})
	}
	ps = append(ps, ex.offer, &ikemsg.Nonce{Data: ex.nonce})
	if ex.ke != nil {
		ps = append(ps, &ikemsg.KE{Group: ex.group.ID, Data: ex.ke.Public()})
	}
	ps = append(ps, &ikemsg.TS{Selectors: ex.local}, &ikemsg.TS{Responder: true, Selectors: ex.remote})
	s.request(now, s.sa, ikemsg.ExchangeCreateChildSA, ex, ps, out)
}

// answered takes the response: an error, another group, or the Child SA.
func (ex *childExchange) answered(s *Session, now time.Time, sa *ikeSA, in *inbound, out *Out) {
	if n := errorNotify(in.payloads); n != nil {
		if group, ok := offeredGroup(n.Data, ex.groups, ex.tried); ok && n.Type == ikemsg.NotifyInvalidKEPayload {
			ex.start(s, now, group, out)
			return
		}
		ex.refused(s, now, n, out)
		return
	}
	c, no := s.readChild(now, ex.stage(), ex.policy, ex.offer, ex.spiIn, in.payloads, ex.local, ex.remote)
	nonce, okNonce := ikemsg.Find[*ikemsg.Nonce](in.payloads)
	ke, hasKE := ikemsg.Find[*ikemsg.KE](in.payloads)
	if no == nil && (!okNonce || c.choice.Of(suite.KE) != ex.group && c.choice.Of(suite.KE) != suite.Transform{} || hasKE != (c.choice.Of(suite.KE) != suite.Transform{})) {
		no = s.refuseChild(now, ex.stage(), ikemsg.NotifyInvalidSyntax, "the peer's answer lacks its nonce or has the wrong key exchange", "report this peer's version")
	}
	if no != nil {
		// The peer believes in a Child SA that we cannot have.
		out.Events = append(out.Events, Refused{no.record})
		s.discard(&chosenChild{policy: ex.policy, spiIn: ex.spiIn})
		ex.failed(s, now, no.notify)
		return
	}
	both := nonces{ex.nonce, slices.Clone(nonce.Data)}
	if !hasKE {
		ex.done(s, now, sa, c, nil, both, out)
		return
	}
	s.await(now, SharedSecret{ex.ke, ke.Data}, out, func(now time.Time, r Result, out *Out) {
		shared, err := value[secret.Bytes](r)
		if err != nil {
			s.discard(c)
			ex.failed(s, now, ikemsg.NotifyInvalidSyntax)
			return
		}
		ex.done(s, now, sa, c, shared, both, out)
	})
}

func (ex *childExchange) stage() Stage {
	if ex.old != nil {
		return StageRekeyChild
	}
	return StageChild
}

// done has a Child SA that both sides agreed on.
func (ex *childExchange) done(s *Session, now time.Time, sa *ikeSA, c *chosenChild, shared secret.Bytes, both nonces, out *Out) {
	if s.phase != phaseUp {
		return
	}
	if ex.old == nil {
		if made := s.install(now, c, sa, shared, both.i, both.r, true, nil, out); made != nil {
			made.pfsKnown = true
		}
		return
	}
	ex.rekeyed(s, now, sa, c, shared, both, out)
}

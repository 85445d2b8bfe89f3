package ikev1

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// quickDue starts the quick mode that is wanted most.
func (s *Session) quickDue(now time.Time, out *Out) bool {
	if now.Before(s.retryQuick) {
		return false
	}
	if c := s.quickWanted(); c != nil {
		c.due = false
		s.startQuick(now, c.spiIn, out)
		return true
	}
	if s.firstWanted() {
		s.startQuick(now, 0, out)
		return true
	}
	return false
}

// quickWanted is the ESP SA that has to be rekeyed.
func (s *Session) quickWanted() *child {
	if !s.sa.up() || s.quicksOut() {
		return nil
	}
	for _, c := range s.children {
		if c.due {
			return c
		}
	}
	return nil
}

// firstWanted: an initiator without any ESP SA asks for one.
func (s *Session) firstWanted() bool {
	return s.role == Initiator && s.sa.up() && len(s.children) == 0 && !s.quicksOut()
}

// quicksOut: one quick mode of ours at a time.
func (s *Session) quicksOut() bool {
	return slices.ContainsFunc(s.quicks, func(q *quick) bool { return q.initiator && !q.done })
}

func (s *Session) startQuick(now time.Time, replaces uint32, out *Out) {
	if !s.roomForQuick() {
		s.retryQuick = now.Add(retryAfter)
		return
	}
	q := &quick{sa: s.sa, id: s.messageID(), initiator: true, path: s.path, replaces: replaces, spiIn: s.cfg.NewSPI(), nonceI: s.newNonce()}
	s.quicks = append(s.quicks, q)
	q.sa.fresh(q.id)
	group := s.cfg.Policy.groupOfOurs()
	if group == (suite.Transform{}) {
		s.sendQuick(now, q, group, out)
		return
	}
	s.await(now, GenerateKE{group}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			s.quickFailed(now, q, err, out)
			return
		}
		q.ke = ke
		if s.quickOf(q.sa, q.id) == q {
			s.sendQuick(now, q, group, out)
		}
	})
}

// groupOfOurs is the group of our own quick modes: only where PFS is required,
// since clients have none.
func (p *Policy) groupOfOurs() suite.Transform {
	if p.RequirePFS {
		for _, our := range p.Phase2 {
			if gs := our.Of(suite.KE); len(gs) > 0 {
				return gs[0]
			}
		}
	}
	return suite.Transform{}
}

// sendQuick sends message 1. IDci is always the initiator's end.
func (s *Session) sendQuick(now time.Time, q *quick, group suite.Transform, out *Out) {
	q.offer = s.cfg.Policy.offerPhase2(binary.BigEndian.AppendUint32(nil, q.spiIn), group, s.encap, q.sa.natt)
	ps := []isakmp.Payload{q.offer, &isakmp.Nonce{Data: q.nonceI}}
	if q.ke != nil {
		ps = append(ps, &isakmp.KE{Data: q.ke.Public()})
	}
	ours, theirs := s.quickIDs(q)
	ps = append(ps, ours, theirs)
	if s.encap {
		ps = append(ps, s.originals(q.sa, true)...)
	}
	iv, err := q.sa.ivOf(q.id)
	if err != nil {
		s.quickFailed(now, q, err, out)
		return
	}
	msg, next, err := q.sa.sealExchange(isakmp.ExchangeQuick, q.id, iv, ps)
	if err != nil {
		s.quickFailed(now, q, err, out)
		return
	}
	q.iv = next
	q.pending = s.transmit(now, s.split(q.sa, msg), out)
}

// quickIDs are both ends, ours first. At a rekey they are what they were, since
// a client knows itself by its private address. A client's port is any when it
// said so.
func (s *Session) quickIDs(q *quick) (ours, theirs *isakmp.ID) {
	if c := s.childIn(q.replaces); c != nil && c.mine.typ != 0 && c.theirs.typ != 0 {
		return c.mine.id(), c.theirs.id()
	}
	at := func(a netip.Addr, port uint16) *isakmp.ID {
		id := isakmp.AddrID(a)
		id.Protocol, id.Port = protoUDP, port
		return &id
	}
	port := uint16(l2tpPort)
	if s.connect != nil && s.connect.Port != 0 {
		port = s.connect.Port
	}
	return at(s.path.local.Addr(), port), at(s.path.remote.Addr(), l2tpPort)
}

// quickAnswer takes message 2, installs the SA, and sends message 3.
func (s *Session) quickAnswer(now time.Time, q *quick, m *isakmp.Message, d Datagram, out *Out) {
	if q.pending == nil {
		s.counts.Malformed++ // a key pair is still being made
		return
	}
	o, err := q.sa.authentic(m, q.iv, q.nonceI)
	if err != nil {
		s.counts.BadHash++
		return
	}
	s.heard(now)
	s.serveContact(o.payloads, out)
	parts, ok := readQuick(o.payloads)
	if ok {
		q.choice, ok = accept(q.offer, parts.sa, readPhase2)
	}
	if !ok || isakmp.SPI32(q.choice.spi) == 0 || len(parts.ke) != suite.PublicSize(q.choice.group) {
		s.quickFailed(now, q, errors.New("ikev1: quick mode: the peer chose what was not offered"), out)
		return
	}
	q.nonceR, q.pending = parts.nonce, nil
	commit := m.Header.Flags&isakmp.FlagCommit != 0
	if q.ke == nil {
		s.confirmQuick(now, q, parts, nil, o.next, commit, d, out)
		return
	}
	s.await(now, SharedSecret{q.ke, parts.ke}, out, func(now time.Time, r Result, out *Out) {
		shared, err := value[secret.Bytes](r)
		if err != nil {
			s.quickFailed(now, q, err, out)
			return
		}
		if s.quickOf(q.sa, q.id) == q {
			s.confirmQuick(now, q, parts, shared, o.next, commit, d, out)
		}
	})
}

// commitPatience is how long CONNECTED is waited for. It may be lost, and has no
// copies.
const commitPatience = 2 * time.Second

// confirmQuick sends message 3. With the commit bit the peer asks us to wait for
// its CONNECTED before we send (RFC 2408, Section 3.1).
func (s *Session) confirmQuick(now time.Time, q *quick, parts quickParts, shared secret.Bytes, iv []byte, commit bool, d Datagram, out *Out) {
	hash, err := q.thirdHash()
	if err != nil {
		s.quickFailed(now, q, err, out)
		return
	}
	msg, next, err := q.sa.seal(q.sa.header(isakmp.ExchangeQuick, q.id), iv, []isakmp.Payload{&isakmp.Hash{Data: hash}})
	if err == nil {
		err = s.childOf(now, q, shared, parts, !commit, out)
	}
	if err != nil {
		s.quickFailed(now, q, err, out)
		return
	}
	if c := s.childIn(q.spiIn); commit {
		c.confirmBy = now.Add(commitPatience)
	}
	q.iv, q.path = next, path{d.Local, d.Remote}
	q.finish(now)
	q.keep(d.Data, s.send(q.sa, msg, out))
}

// quickConnected takes a fourth message. Windows sends one with CONNECTED or
// INITIAL-CONTACT whether or not it asked us to wait; beyond an awaited
// CONNECTED it changes nothing.
func (s *Session) quickConnected(now time.Time, q *quick, m *isakmp.Message, out *Out) {
	c := s.childIn(q.spiIn)
	if c == nil || c.confirmBy.IsZero() {
		return
	}
	o, err := q.sa.authentic(m, q.iv)
	if err != nil {
		s.counts.BadHash++
		return
	}
	for n := range isakmp.All[*isakmp.Notify](o.payloads) {
		if n.Type == isakmp.NotifyConnected {
			s.confirmed(now, c, out)
		}
	}
}

// quickFailed ends a quick mode of ours. Without any ESP SA there is no session;
// else it is tried again until the old SA's end.
func (s *Session) quickFailed(now time.Time, q *quick, err error, out *Out) {
	s.dropQuick(q)
	if len(s.children) == 0 && s.role == Initiator {
		s.close(now, ClosedRefused, err, "", out)
		return
	}
	s.retryQuick = now.Add(retryAfter)
	s.wantAgain(q)
}

// wantAgain: what a quick mode of ours was to replace has to be replaced still.
func (s *Session) wantAgain(q *quick) {
	if c := s.childIn(q.replaces); c != nil && q.initiator && !q.done && c.state == childLive {
		c.due = true
	}
}

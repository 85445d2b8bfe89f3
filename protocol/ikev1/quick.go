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

// quick is one quick mode (RFC 2409, Section 5.5). It is kept a while when it is
// done, to answer copies.
type quick struct {
	sa        *isakmpSA
	id        uint32
	initiator bool
	done      bool
	iv        []byte // of the next message
	path      path   // where it takes place: a NAT may have given the peer another port

	nonceI, nonceR []byte
	spiIn          uint32
	replaces       uint32
	choice         choice
	ke             suite.KeyExchange
	peerKE         []byte
	offer          *isakmp.SA // initiator: what we sent

	pending *request // what is out and not answered
	asked   messageHash
	answer  [][]byte
	answers int
	forget  time.Time
}

// l2tpPort is the UDP port of L2TP (RFC 3193, Section 4).
const l2tpPort = 1701

const protoUDP = 17

func (q *quick) deadline(e *earliest) {
	if q.pending != nil {
		e.add(q.pending.next)
	}
	e.add(q.forget)
}

// finish ends the exchange; the answer stays for copies.
func (q *quick) finish(now time.Time) {
	q.done, q.pending, q.ke = true, nil, nil
	q.forget = now.Add(answerKept)
}

// keep remembers an answer for copies of the message that it answers.
func (q *quick) keep(asked []byte, answer [][]byte) {
	q.asked, q.answer, q.answers = hashMessage(asked), answer, 0
}

// receiveQuick takes a message of quick mode.
func (s *Session) receiveQuick(now time.Time, sa *isakmpSA, h isakmp.Header, d Datagram, out *Out) {
	d.Data = slices.Clone(d.Data) // what is read from it outlives the call
	m, err := isakmp.Parse(d.Data)
	if err != nil || m.Encrypted == nil || !sa.up() || h.MessageID == 0 || s.phase != phaseUp || !s.onPath(d) {
		s.counts.Malformed++
		return
	}
	q := s.quickOf(sa, h.MessageID)
	switch {
	case q == nil:
		s.serveQuick(now, sa, m, d, out)
	case q.answer != nil && hashMessage(d.Data) == q.asked:
		if q.answers < maxAnswers && (path{d.Local, d.Remote}) == q.path {
			q.answers++
			sendTo(q.path, q.answer, out)
		}
	case q.initiator && !q.done:
		s.quickAnswer(now, q, m, d, out)
	case q.initiator:
		s.quickConnected(now, q, m, out)
	case !q.done:
		s.quickConfirmed(now, q, m, d, out)
	default:
		s.counts.Malformed++
	}
}

func (s *Session) quickOf(sa *isakmpSA, id uint32) *quick {
	for _, q := range s.quicks {
		if q.sa == sa && q.id == id {
			return q
		}
	}
	return nil
}

func (s *Session) dropQuick(q *quick) {
	s.quicks = slices.DeleteFunc(s.quicks, func(o *quick) bool { return o == q })
}

// roomForQuick forgets answers when there are too many exchanges; false: none
// can be forgotten.
func (s *Session) roomForQuick() bool {
	if len(s.quicks) < maxQuicks {
		return true
	}
	i := slices.IndexFunc(s.quicks, func(q *quick) bool { return q.done })
	if i < 0 {
		return false
	}
	s.quicks = slices.Delete(s.quicks, i, i+1)
	return true
}

// quickParts are what messages 1 and 2 carry.
type quickParts struct {
	sa        *isakmp.SA
	nonce, ke []byte
	idI, idR  *isakmp.ID
	natOA     []netip.Addr
	lifetime  time.Duration // of a RESPONDER-LIFETIME
}

func readQuick(ps []isakmp.Payload) (quickParts, bool) {
	var q quickParts
	var ok bool
	if q.sa, ok = isakmp.Find[*isakmp.SA](ps); !ok {
		return q, false
	}
	n, ok := isakmp.Find[*isakmp.Nonce](ps)
	if !ok {
		return q, false
	}
	q.nonce = n.Data
	if ke, ok := isakmp.Find[*isakmp.KE](ps); ok {
		q.ke = ke.Data
	}
	for id := range isakmp.All[*isakmp.ID](ps) {
		switch {
		case q.idI == nil:
			q.idI = id
		case q.idR == nil:
			q.idR = id
		}
	}
	for a := range isakmp.All[*isakmp.NATOA](ps) {
		q.natOA = append(q.natOA, a.Addr)
	}
	for n := range isakmp.All[*isakmp.Notify](ps) {
		if n.Type == isakmp.NotifyResponderLifetime {
			q.lifetime = responderLifetime(n.Data)
		}
	}
	return q, true
}

// responderLifetime reads the attributes of RESPONDER-LIFETIME (RFC 2407,
// Section 4.6.3.1); 0 when it says nothing of seconds.
func responderLifetime(b []byte) time.Duration {
	var o proposed
	var typ uint64
	for len(b) >= 4 {
		kind, n := binary.BigEndian.Uint16(b), 2
		v := b[2:4]
		if kind&0x8000 == 0 {
			n = int(binary.BigEndian.Uint16(b[2:])) + 2
			if n+2 > len(b) {
				return 0
			}
			v = b[4 : 2+n]
		}
		a := isakmp.Attribute{Type: kind &^ 0x8000, Value: v}
		value, _ := a.Uint()
		switch a.Type {
		case attrLifeType2:
			typ = value
		case attrLife2:
			o.life(typ, value)
		}
		b = b[2+n:]
	}
	return o.seconds
}

// childOf makes the keys and installs the SA (RFC 2409, Section 5.5).
func (s *Session) childOf(now time.Time, q *quick, shared secret.Bytes, parts quickParts, outbound bool, out *Out) error {
	prf, err := q.sa.prf()
	if err != nil {
		return err
	}
	esp := q.choice.esp()
	spiOut := isakmp.SPI32(q.choice.spi)
	in, err := keymat(prf, q.sa.keys.d, esp, shared, q.spiIn, q.nonceI, q.nonceR)
	if err != nil {
		return err
	}
	keyOut, err := keymat(prf, q.sa.keys.d, esp, shared, spiOut, q.nonceI, q.nonceR)
	if err != nil {
		return err
	}
	shared.Clear()
	life := lesser(lesser(s.cfg.Policy.lifetime2(), q.choice.seconds), parts.lifetime)
	c := &child{spiIn: q.spiIn, spiOut: spiOut, suite: esp, replaces: q.replaces, ours: q.initiator}
	c.rekeyAt, c.expireAt = s.span(now, life, q.initiator)
	sa := SA{SPIIn: q.spiIn, SPIOut: spiOut, Suite: esp, KeyIn: in, KeyOut: keyOut, Local: s.path.local, Remote: s.path.remote,
		Encap: s.encap, Expires: c.expireAt, Outbound: outbound, Replaces: q.replaces}
	sa.SoftBytes, sa.HardBytes = volume(q.choice.kilobytes, q.initiator)
	c.mine, c.theirs = endOf(parts.idR), endOf(parts.idI)
	if q.initiator {
		c.mine, c.theirs = c.theirs, c.mine
	}
	sa.PeerPort = c.theirs.port
	if len(parts.natOA) > 0 {
		sa.NATOA = parts.natOA[0]
		if q.initiator && len(parts.natOA) > 1 {
			sa.NATOA = parts.natOA[1]
		}
	}
	s.install(now, c, sa, out)
	return nil
}

// minVolume is the least volume that a peer gets, for the same reason as
// minLifetime.
const minVolume = 1 << 20

// volume is what a lifetime in kilobytes means.
func volume(kilobytes uint64, lead bool) (soft, hard uint64) {
	if kilobytes == 0 {
		return 0, 0
	}
	hard = max(kilobytes<<10, minVolume)
	if lead {
		return hard - hard/5, hard
	}
	return hard - hard/20, hard
}

// timeoutQuicks sends copies and forgets answers.
func (s *Session) timeoutQuicks(now time.Time, out *Out) {
	for _, q := range slices.Clone(s.quicks) {
		switch {
		case s.phase == phaseDead:
			return
		case due(now, q.forget) && !q.done && !q.initiator:
			s.unconfirmed(now, q, out)
		case due(now, q.forget):
			s.dropQuick(q)
		case q.pending == nil || s.again(now, q.pending, out):
		case q.initiator:
			s.quickUnanswered(now, q, out)
		default:
			s.unconfirmed(now, q, out)
		}
	}
}

func (s *Session) quickUnanswered(now time.Time, q *quick, out *Out) {
	if len(s.children) == 0 {
		s.end(now, ClosedTimeout, errors.New("ikev1: the peer does not answer quick mode"), out)
		return
	}
	s.quickFailed(now, q, nil, out)
}

// unconfirmed: no copy of message 2 was answered. An SA that was never used goes.
func (s *Session) unconfirmed(now time.Time, q *quick, out *Out) {
	s.dropQuick(q)
	if c := s.childIn(q.spiIn); c != nil {
		s.deleteChild(now, c, "the peer never confirmed it", out)
	}
}

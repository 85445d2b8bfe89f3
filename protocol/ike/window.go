package ike

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// ikeSA is one IKE SA with its two message windows.
type ikeSA struct {
	initiator  bool // we sent the message that created it: the I flag is ours
	spiI, spiR ikemsg.SPI
	suite      suite.IKE
	keys       keys
	iv         uint64 // last AEAD IV used

	// Requests we send: one at a time (RFC 7296, Section 2.3).
	nextOut uint32
	pending *request

	// Requests of the peer: also one at a time, the last answer kept.
	nextIn uint32
	asked  messageHash // the last request answered, as it came
	answer [][]byte
	forget time.Time // when answer may go
	parts  *fragments

	rekeyAt, expireAt time.Time
	retryAt           time.Time // not before: a peer said TEMPORARY_FAILURE
	failures          uint8     // refused rekeys in a row
	wantRekey         bool
	wantDelete        bool
	wantUpdate        bool // MOBIKE initiator: tell the new path
	wantCheck         bool // MOBIKE responder: see whether the peer is where it says

	replaced bool        // another IKE SA has taken its place
	dropAt   time.Time   // replaced or redundant: gone then, DELETE or not
	rival    *rivalIKESA // the peer's rekey of this SA while ours is out
}

// responseKept is how long the last answer is kept for a retransmitting peer.
// RFC 7296, Section 2.1 asks for "several minutes".
const responseKept = 3 * time.Minute

// messageHash recognises a retransmission, which is the same octet for octet
// (RFC 7296, Section 2.1). Truncation is fine: the worst a collision does is
// to repeat an answer.
type messageHash [16]byte

func hashMessage(b []byte) messageHash {
	sum := sha256.Sum256(b)
	return messageHash(sum[:16])
}

// path is both ends of the outer path.
type path struct{ local, remote netip.AddrPort }

// exchange is a request of ours and what to do with its answer.
type exchange interface {
	// answered gets the authenticated response. The window is free again.
	answered(s *Session, now time.Time, sa *ikeSA, in *inbound, out *Out)
}

// request is the one request in our window.
type request struct {
	exchange
	id        uint32
	datagrams [][]byte
	tries     int
	next      time.Time // next copy, or the end
	wait      time.Duration
}

// inbound is one message of the peer, opened.
type inbound struct {
	header   ikemsg.Header
	path     path
	payloads []ikemsg.Payload
	hash     messageHash
	bad      error // it authenticated, but its inside does not parse
}

// ours and peers are the SPIs by side.
func (sa *ikeSA) ours() ikemsg.SPI {
	if sa.initiator {
		return sa.spiI
	}
	return sa.spiR
}

func (sa *ikeSA) peers() ikemsg.SPI {
	if sa.initiator {
		return sa.spiR
	}
	return sa.spiI
}

func (sa *ikeSA) header(x ikemsg.ExchangeType, id uint32, response bool) ikemsg.Header {
	h := ikemsg.Header{SPIi: sa.spiI, SPIr: sa.spiR, Major: ikemsg.Version, Exchange: x, MessageID: id}
	if sa.initiator {
		h.Flags |= ikemsg.FlagInitiator
	}
	if response {
		h.Flags |= ikemsg.FlagResponse
	}
	return h
}

// matches checks the header against the SA: SPIs, and an I flag that is the
// peer's (trap 28: flags and SPI roles must agree).
func (sa *ikeSA) matches(h ikemsg.Header) bool {
	return h.SPIi == sa.spiI && h.SPIr == sa.spiR && (h.Flags&ikemsg.FlagInitiator != 0) != sa.initiator
}

// request sends a protected request in the free window of sa.
func (s *Session) request(now time.Time, sa *ikeSA, x ikemsg.ExchangeType, ex exchange, ps []ikemsg.Payload, out *Out) {
	datagrams, err := s.seal(sa, sa.header(x, sa.nextOut, false), ps, s.fragmentLimit())
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.transmit(now, sa, ex, datagrams, out)
}

// transmit puts a request into the window and sends it for the first time.
func (s *Session) transmit(now time.Time, sa *ikeSA, ex exchange, datagrams [][]byte, out *Out) {
	plan := s.cfg.Policy.retransmit()
	sa.pending = &request{exchange: ex, id: sa.nextOut, datagrams: datagrams, tries: 1, wait: plan.First, next: now.Add(plan.First)}
	s.sendPending(sa, out)
}

func (s *Session) sendPending(sa *ikeSA, out *Out) {
	sendTo(s.path, sa.pending.datagrams, out)
}

// retransmit sends the next copy that is due. It reports false when the plan
// is at its end and the peer has to be taken for dead.
func (s *Session) retransmit(now time.Time, sa *ikeSA, out *Out) bool {
	r, plan := sa.pending, s.cfg.Policy.retransmit()
	if r == nil || now.Before(r.next) {
		return true
	}
	if r.tries >= plan.Tries {
		return false
	}
	r.tries++
	r.wait = min(2*r.wait, plan.Max)
	r.next = now.Add(r.wait)
	s.sendPending(sa, out)
	return true
}

// respond answers a request and remembers the answer.
func (s *Session) respond(now time.Time, sa *ikeSA, in *inbound, ps []ikemsg.Payload, out *Out) {
	datagrams, err := s.seal(sa, sa.header(in.header.Exchange, in.header.MessageID, true), ps, s.fragmentLimit())
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	sa.nextIn = in.header.MessageID + 1
	sa.asked, sa.answer, sa.forget = in.hash, datagrams, now.Add(responseKept)
	sa.parts = nil
	sendTo(in.path, datagrams, out)
}

// respondNotify answers with one notify and nothing else.
func (s *Session) respondNotify(now time.Time, sa *ikeSA, in *inbound, t ikemsg.NotifyType, data []byte, out *Out) {
	s.respond(now, sa, in, []ikemsg.Payload{&ikemsg.Notify{Type: t, Data: data}}, out)
}

// sendTo sends on a path; an answer goes back on the path of its request (RFC
// 7296, Section 2.11).
func sendTo(p path, datagrams [][]byte, out *Out) {
	for _, d := range datagrams {
		out.Send = append(out.Send, Datagram{Local: p.local, Remote: p.remote, Data: d})
	}
}

// receiveProtected takes a datagram of an IKE SA that has keys. The order is
// the defence: message ID, then hash, and only then cryptography (trap 2).
func (s *Session) receiveProtected(now time.Time, sa *ikeSA, h ikemsg.Header, d Datagram, out *Out) {
	if h.Flags&ikemsg.FlagResponse != 0 {
		if sa.pending == nil || sa.pending.id != h.MessageID {
			return
		}
		if in := s.openMessage(now, sa, d, messageHash{}); in != nil {
			s.receiveResponse(now, sa, in, out)
		}
		return
	}
	hash := hashMessage(d.Data)
	switch {
	case h.MessageID+1 == sa.nextIn:
		s.repeatAnswer(sa, d, hash, out)
	case h.MessageID == sa.nextIn:
		if in := s.openMessage(now, sa, d, hash); in != nil {
			s.answersArrived()
			s.receiveRequest(now, sa, in, out)
		}
	}
}

// answersArrived: with a window of one, a new request proves that the peer has
// our answer to the one before.
func (s *Session) answersArrived() {
	for _, c := range s.children {
		c.unproven = time.Time{}
	}
}

// repeatAnswer answers a retransmission from the cache. A peer may also have
// gone to smaller fragments since: then fragment 1 must authenticate, since
// its octets are new (RFC 7383, Section 2.5.1).
func (s *Session) repeatAnswer(sa *ikeSA, d Datagram, hash messageHash, out *Out) {
	if sa.answer == nil {
		return
	}
	if hash != sa.asked {
		f := lastFragment(d.Data)
		if f == nil || f.Number != 1 || !plausible(f) {
			return
		}
		if _, err := sa.open(d.Data, f.Body); err != nil {
			return
		}
	}
	sendTo(path{d.Local, d.Remote}, sa.answer, out)
}

func lastFragment(data []byte) *ikemsg.EncryptedFragment {
	m, err := ikemsg.Parse(data)
	if err != nil || len(m.Payloads) == 0 {
		return nil
	}
	f, _ := m.Payloads[len(m.Payloads)-1].(*ikemsg.EncryptedFragment)
	return f
}

// openMessage authenticates, decrypts and reassembles. It gives nil for
// everything that is not a whole authentic message: such datagrams are dropped
// without a trace (trap 9).
func (s *Session) openMessage(now time.Time, sa *ikeSA, d Datagram, hash messageHash) *inbound {
	m, err := ikemsg.Parse(d.Data)
	if err != nil || len(m.Payloads) == 0 {
		return nil
	}
	in := &inbound{header: m.Header, path: path{d.Local, d.Remote}, hash: hash}
	var first ikemsg.PayloadType
	var plain []byte
	switch p := m.Payloads[len(m.Payloads)-1].(type) {
	case *ikemsg.Encrypted:
		if plain, err = sa.open(d.Data, p.Body); err != nil {
			return nil
		}
		first = p.First
	case *ikemsg.EncryptedFragment:
		if !s.fragment {
			return nil // not negotiated (RFC 7383, Section 2.3)
		}
		if plain = sa.reassemble(now, d.Data, m.Header, p, hash); plain == nil {
			return nil
		}
		first, in.hash = sa.parts.first, sa.parts.hash
	default:
		return nil // nothing protected: it can change nothing
	}
	sa.parts = nil
	s.heard(now)
	in.payloads, in.bad = ikemsg.ParsePayloads(first, plain)
	return in
}

// reassemble gives the whole message when f completes it.
func (sa *ikeSA) reassemble(now time.Time, data []byte, h ikemsg.Header, f *ikemsg.EncryptedFragment, hash messageHash) []byte {
	same := sa.parts.of(h)
	if !plausible(f) || same && !sa.parts.wants(f) {
		return nil
	}
	plain, err := sa.open(data, f.Body)
	if err != nil {
		return nil
	}
	if !same || len(sa.parts.parts) != int(f.Total) {
		sa.parts = &fragments{id: h.MessageID, flags: h.Flags, parts: make([][]byte, f.Total), since: now}
	}
	whole, complete := sa.parts.add(f, plain, hash)
	if !complete {
		return nil
	}
	return whole
}

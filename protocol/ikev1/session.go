package ikev1

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// Session is one peer: an ISAKMP SA, those that it took over or replaced, and
// the ESP SAs for L2TP. It is not safe for concurrent use.
type Session struct {
	cfg   *Config
	role  Role
	kind  PeerKind
	phase phase

	natLocal, natRemote bool // who is behind a NAT
	encap               bool // ESP travels in UDP
	path                path

	sa       *isakmpSA   // the current one; nil when the peer deleted it
	next     *isakmpSA   // an initiator's main mode that will replace it
	old      []*isakmpSA // replaced ones, until they are deleted or expire
	quicks   []*quick
	children []*child
	outbound uint32 // inbound SPI of the ESP SA that we send on
	serial   uint32 // of the last ESP SA: tells newer from older

	connect   *Connect // initiator
	admission *Admission
	peerID    isakmp.ID
	method    suite.AuthMethod1
	contact   bool // the peer said INITIAL-CONTACT in main mode

	// One job at a time. What arrives meanwhile is held.
	job      uint64
	then     func(now time.Time, r Result, out *Out)
	jobLimit time.Time
	held     []Datagram
	heldSize int
	parts    *fragments

	probe       *probe // our R-U-THERE
	established time.Time
	lastHeard   time.Time // last authentic message or ESP as far as told
	keepalive   time.Time // next NAT keepalive; zero = none
	limit       time.Time // end of the set-up; zero = none
	retryQuick  time.Time // not before: a quick mode of ours failed
	retryMain   time.Time // not before: a main mode of ours failed
	wantMain    bool      // initiator: the ISAKMP SA has to be replaced
	childless   time.Time // since when there is no ESP SA; zero = there is one
	counts      Counts
}

// phase is where the session stands.
type phase uint8

const (
	phaseMain phase = iota // until the peer is authenticated
	phaseUp
	phaseDead
)

// path is both ends of the outer path.
type path struct{ local, remote netip.AddrPort }

// Limits of a session. Each keeps a peer from growing our memory.
const (
	maxHeld      = 40       // datagrams held during a job: a long chain in small fragments
	maxHeldSize  = 48 << 10 // octets of them
	maxOld       = 2        // ISAKMP SAs beside the current one
	maxChildren  = 8        // ESP SAs; a rekey has two, crossing ones have three
	maxQuicks    = 8        // quick modes at once, with those kept to answer copies
	maxAnswers   = 8        // copies answered of one message
	maxSeen      = 1024     // message IDs of one ISAKMP SA; Windows rekeys every 250 MB
	jobPatience  = time.Minute
	lingerOld    = 5 * time.Second  // a replaced SA still takes late packets
	answerKept   = 30 * time.Second // how long an answer is kept for a peer that lost it
	refusalGrace = 3 * time.Second  // for a true answer after an unauthenticated refusal
	retryAfter   = 10 * time.Second // before an exchange of ours that failed is tried again
	nattPort     = 4500
)

// isakmpSA is one ISAKMP SA.
type isakmpSA struct {
	initiator        bool // we began its main mode
	cookieI, cookieR isakmp.Cookie
	suite            suite.IKE
	keys             keys
	iv               []byte // last block of main mode: later chains begin with it
	natt             natt
	dpd, fragment    bool // what the peer can
	fragmentID       uint16

	hs      *handshake // nil once authenticated
	pending *request   // initiator: the message of main mode that is out

	// The last message of main mode that we answered, and the answer.
	asked   messageHash
	answer  [][]byte
	answers int
	forget  time.Time

	seen     []uint32 // message IDs that began an exchange, of either side: not again
	seenNext int
	dpdFirst uint32 // our first sequence number is above it
	dpdSent  uint32 // our last one
	dpdSeen  uint32 // the peer's last one
	dpdBegun bool

	rekeyAt, expireAt time.Time
	dropAt            time.Time // replaced: deleted then
}

// request is a message of ours that wants an answer.
type request struct {
	datagrams [][]byte
	tries     int
	next      time.Time // next copy, or the end
	wait      time.Duration
}

// messageHash recognises a copy, which is the same octet for octet.
type messageHash [16]byte

func hashMessage(b []byte) messageHash {
	sum := sha256.Sum256(b)
	return messageHash(sum[:16])
}

// ours is our half of the SA's name.
func (sa *isakmpSA) ours() isakmp.Cookie {
	if sa.initiator {
		return sa.cookieI
	}
	return sa.cookieR
}

func (sa *isakmpSA) up() bool { return sa != nil && sa.hs == nil }

// fresh notes a message ID, and is false when it was there before: a replayed
// message must not act twice. Our own are noted too, for both sides hash with
// one key, and what we sent is authentic when somebody sends it back. Probes are
// not: they have sequence numbers, and are so many that they would push out all
// others.
func (sa *isakmpSA) fresh(id uint32) bool {
	if id == 0 || slices.Contains(sa.seen, id) {
		return false
	}
	if len(sa.seen) < maxSeen {
		sa.seen = append(sa.seen, id)
		return true
	}
	sa.seen[sa.seenNext] = id
	sa.seenNext = (sa.seenNext + 1) % maxSeen
	return true
}

// NewResponder answers first, a message that [Front] accepted. When it is
// refused, the session is Dead at once and out holds the answer.
func NewResponder(cfg *Config, now time.Time, first Datagram, out *Out) *Session {
	s := &Session{cfg: cfg, role: Responder, path: path{first.Local, first.Remote}, limit: now.Add(cfg.Policy.halfOpen())}
	s.receiveFirst(now, first, out)
	return s
}

// NewInitiator starts a main mode, and a quick mode when that is done.
func NewInitiator(cfg *Config, c Connect, now time.Time, out *Out) *Session {
	s := &Session{cfg: cfg, role: Initiator, path: path{c.Local, c.Remote}, connect: &c}
	s.sa = s.startMain(now, out)
	return s
}

// Receive takes one datagram that carries one of our cookies, or a copy of the
// first message of this session's peer. d.Data is not kept.
func (s *Session) Receive(now time.Time, d Datagram, out *Out) {
	switch {
	case s.phase == phaseDead:
	case s.then != nil:
		s.hold(d)
	default:
		s.receive(now, d, out)
		s.settle(now, out)
	}
}

// hold keeps d until the outstanding job is done.
func (s *Session) hold(d Datagram) {
	if len(s.held) == maxHeld || s.heldSize+len(d.Data) > maxHeldSize {
		return // the peer sends it again
	}
	d.Data = slices.Clone(d.Data)
	s.heldSize += len(d.Data)
	s.held = append(s.held, d)
}

// settle takes what was held and starts what is due, until a job is out.
func (s *Session) settle(now time.Time, out *Out) {
	for s.then == nil && len(s.held) > 0 && s.phase != phaseDead {
		d := s.held[0]
		s.held = s.held[1:]
		s.heldSize -= len(d.Data)
		s.receive(now, d, out)
	}
	if len(s.held) == 0 {
		s.held = nil
	}
	s.advance(now, out)
}

// receive joins fragments and hands a whole message to its exchange.
func (s *Session) receive(now time.Time, d Datagram, out *Out) {
	h, err := isakmp.ParseHeader(d.Data)
	if err == nil && h.NextPayload == isakmp.PayloadFragment {
		if d.Data = s.reassemble(now, h, d); d.Data == nil {
			return
		}
		if h, err = isakmp.ParseHeader(d.Data); err == nil && h.NextPayload == isakmp.PayloadFragment {
			err = errors.New("fragments in a fragment")
		}
	}
	sa := s.find(h)
	if err != nil || sa == nil {
		s.counts.Malformed++
		return
	}
	switch h.Exchange {
	case isakmp.ExchangeMain:
		s.receiveMain(now, sa, h, d, out)
	case isakmp.ExchangeInformational:
		s.receiveInformational(now, sa, d, out)
	case isakmp.ExchangeQuick:
		s.receiveQuick(now, sa, h, d, out)
	default:
		s.counts.Malformed++ // aggressive mode, mode config: never
	}
}

// find is the ISAKMP SA of a message. The first message of a main mode, and an
// answer to ours, know one cookie only.
func (s *Session) find(h isakmp.Header) *isakmpSA {
	for _, sa := range s.isakmpSAs() {
		switch {
		case sa.cookieI != h.CookieI || h.CookieI == 0:
		case sa.cookieR == h.CookieR:
			return sa
		case sa.initiator && sa.cookieR == 0 && h.CookieR != 0, !sa.initiator && h.CookieR == 0 && h.Exchange == isakmp.ExchangeMain:
			return sa
		}
	}
	return nil
}

// isakmpSAs are all, the current one first.
func (s *Session) isakmpSAs() []*isakmpSA {
	var all []*isakmpSA
	for _, sa := range append([]*isakmpSA{s.sa, s.next}, s.old...) {
		if sa != nil {
			all = append(all, sa)
		}
	}
	return all
}

// onPath tells whether an established peer may send from there: after floating
// only on the new pair (trap 31), but a NAT may give it another port.
func (s *Session) onPath(d Datagram) bool {
	if d.Local != s.path.local {
		return false
	}
	return d.Remote == s.path.remote || s.mayMove()
}

// Done takes the answer to the outstanding job; any other is ignored.
func (s *Session) Done(now time.Time, r Result, out *Out) {
	if s.then == nil || r.ID != s.job || s.phase == phaseDead {
		return
	}
	then := s.then
	s.then, s.jobLimit = nil, time.Time{}
	then(now, r, out)
	s.settle(now, out)
}

// await puts a job out; nothing else happens before its answer.
func (s *Session) await(now time.Time, t Task, out *Out, then func(now time.Time, r Result, out *Out)) {
	s.job++
	s.then, s.jobLimit = then, now.Add(jobPatience)
	out.Jobs = append(out.Jobs, Job{s.job, t})
}

// value takes a result apart.
func value[T any](r Result) (T, error) {
	v, ok := r.Value.(T)
	switch {
	case r.Err != nil:
		return v, r.Err
	case !ok:
		return v, fmt.Errorf("ikev1: a job was answered with a %T", r.Value)
	}
	return v, nil
}

// Do takes a command.
func (s *Session) Do(now time.Time, c Command, out *Out) {
	if s.phase == phaseDead {
		return
	}
	switch c := c.(type) {
	case Close:
		s.close(now, ClosedByUs, nil, c.Reason, out)
		return
	case RekeyPhase1:
		if s.phase == phaseUp && s.role == Initiator && s.sa != nil {
			s.wantMain = true
		}
	case RekeyPhase2:
		if ch := s.childIn(or(c.SPIIn, s.outbound)); ch != nil && ch.state == childLive {
			ch.rekeyAt, ch.due = time.Time{}, true
		}
	case DeleteSA:
		if ch := s.childIn(c.SPIIn); ch != nil {
			s.deleteChild(now, ch, "deleted", out)
		}
	case PlaneEvent:
		s.planeEvent(now, c, out)
	}
	s.advance(now, out)
}

// advance starts what is due, when no job is out.
func (s *Session) advance(now time.Time, out *Out) {
	if s.phase != phaseUp {
		return
	}
	s.noteChildless(now)
	if s.then != nil {
		return
	}
	if s.role == Responder && s.sa == nil && len(s.children) == 0 {
		s.end(now, ClosedExpired, nil, out) // nothing is left, and the peer begins anew
		return
	}
	switch {
	case s.mainDue(now):
		s.next = s.startMain(now, out)
	case s.quickDue(now, out):
	case s.probeDue(now):
		s.sendProbe(now, out)
	}
}

// close deletes everything on both sides and ends. Delete has no answer, so
// there is nothing to wait for.
func (s *Session) close(now time.Time, why CloseReason, err error, reason string, out *Out) {
	if s.phase == phaseUp {
		var spis []uint32
		for _, c := range s.children {
			spis = append(spis, c.spiIn)
		}
		s.sendDeleteESP(spis, out)
		for _, sa := range s.isakmpSAs() {
			if sa.up() {
				s.sendDeleteISAKMP(sa, out)
			}
		}
	}
	if reason == "" {
		reason = "session closes"
	}
	s.endFor(now, why, err, reason, out)
}

// end is the last thing that happens: everything goes, Closed comes out.
func (s *Session) end(now time.Time, why CloseReason, err error, out *Out) {
	s.endFor(now, why, err, "session ended", out)
}

func (s *Session) endFor(now time.Time, why CloseReason, err error, reason string, out *Out) {
	if s.phase == phaseDead {
		return
	}
	s.phase = phaseDead
	for _, c := range s.children {
		out.Events = append(out.Events, SADown{c.spiIn, reason})
	}
	for _, sa := range s.isakmpSAs() {
		s.dropISAKMP(now, sa, out)
	}
	s.forgetAll()
	out.Events = append(out.Events, Closed{Reason: why, Err: err})
}

// forgetAll lets go of everything that a dead session needs no more.
func (s *Session) forgetAll() {
	s.sa, s.next, s.old, s.quicks, s.children, s.outbound = nil, nil, nil, nil, nil, 0
	s.then, s.held, s.parts, s.probe = nil, nil, nil, nil
}

// dropISAKMP forgets one ISAKMP SA: its keys, its route, and its quick modes. An
// ESP SA that the peer has not confirmed yet still has some time to be used.
func (s *Session) dropISAKMP(now time.Time, sa *isakmpSA, out *Out) {
	sa.keys.clear()
	if sa.hs != nil {
		sa.hs.clear()
	}
	switch {
	case sa == s.sa:
		s.sa = nil
		if n := len(s.old); n > 0 && s.phase == phaseUp {
			s.sa, s.old = s.old[n-1], s.old[:n-1]
			s.sa.dropAt = time.Time{}
		}
	case sa == s.next:
		s.next = nil
	default:
		s.old = slices.DeleteFunc(s.old, func(o *isakmpSA) bool { return o == sa })
	}
	s.quicks = slices.DeleteFunc(s.quicks, func(q *quick) bool {
		gone := q.sa == sa && (q.done || q.initiator || q.spiIn == 0)
		if gone {
			s.wantAgain(q)
		}
		return gone
	})
	for _, q := range s.quicks {
		if q.sa == sa {
			q.pending, q.answer, q.forget = nil, nil, now.Add(answerKept)
		}
	}
	if ours := sa.ours(); ours != 0 {
		out.Events = append(out.Events, CookieRemoved{uint64(ours)})
	}
}

// send puts a message on the present path, in fragments if need be.
func (s *Session) send(sa *isakmpSA, msg []byte, out *Out) [][]byte {
	datagrams := s.split(sa, msg)
	sendTo(s.path, datagrams, out)
	return datagrams
}

func sendTo(p path, datagrams [][]byte, out *Out) {
	for _, d := range datagrams {
		out.Send = append(out.Send, Datagram{Local: p.local, Remote: p.remote, Data: d})
	}
}

// random fills b from crypto/rand, or from the test's source.
func (c *Config) random(b []byte) {
	if c.rand != nil {
		c.rand(b)
		return
	}
	rand.Read(b) // never fails: crypto/rand ends the program instead
}

// messageID is a fresh one (RFC 2408, Section 3.1: random, and not zero).
func (s *Session) messageID() uint32 {
	var b [4]byte
	for {
		s.cfg.random(b[:])
		if id := isakmp.SPI32(b[:]); id != 0 {
			return id
		}
	}
}

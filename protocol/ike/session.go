package ike

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Session is one peer: an IKE SA, the IKE SAs that replace it by rekeying, and
// its Child SAs. It is not safe for concurrent use.
type Session struct {
	cfg   *Config
	role  Role
	kind  PeerKind
	phase phase

	fragment            bool // both sides can RFC 7383
	mobike              bool // both sides can RFC 4555
	natLocal, natRemote bool // who is behind a NAT
	encap               bool // ESP travels in UDP
	path                path

	sa       *ikeSA   // the current IKE SA
	old      []*ikeSA // replaced or redundant ones, until their DELETE
	children []*child
	creates  []*ChildPolicy // Child SAs to ask for

	hs        *handshake // nil once established
	admission *Admission
	peerID    ikemsg.ID
	leased    Leased
	natSeen   []byte // MOBIKE initiator: how the responder sees us

	// One job at a time. What arrives meanwhile is held.
	job      uint64
	then     func(now time.Time, r Result, out *Out)
	jobLimit time.Time
	held     []Datagram
	heldSize int

	established  time.Time
	lastHeard    time.Time // last authenticated message, IKE or ESP as far as told
	keepalive    time.Time // next NAT keepalive; zero = none
	limit        time.Time // end of the present phase; zero = none
	authUntil    time.Time // responder: AUTH_LIFETIME ends; initiator: ReauthDue is due
	reauthBefore time.Time // initiator: when that lifetime ends
	createAt     time.Time // not before: creates was put off
	childless    time.Time // since when there is no Child SA; zero = there is one
	closing      CloseReason
	closeNotify  ikemsg.NotifyType // says why in place of DELETE; 0 = DELETE
	closeErr     error
}

// phase is where the session stands.
type phase uint8

const (
	phaseInit    phase = iota // until IKE_SA_INIT is done
	phaseAuth                 // until all proofs are in
	phaseUp                   // established
	phaseClosing              // our DELETE is due or out
	phaseRefused              // the refusal is out; it is only repeated
	phaseDead
)

// Limits of a session. Each keeps a peer from growing our memory.
const (
	maxHeld       = 40                // datagrams held during a job: one long chain in small fragments
	maxHeldEarly  = 24 << 10          // the same while anybody can send them: a long chain still fits
	maxHeldSize   = ikemsg.MaxMessage // octets of them
	maxChildren   = 16                // Child SAs; a rekey collision has three for one
	maxOld        = 4                 // IKE SAs beside the current one; a collision has two
	maxCreates    = 8                 // CreateChild commands waiting
	closePatience = 10 * time.Second  // how long DELETE is tried; nobody waits for a dead peer
	jobPatience   = time.Minute       // a job that takes longer is lost: fail closed
	refusedKept   = 10 * time.Second  // how long a refusal is repeated to a peer that lost it
	lingerOld     = 5 * time.Second   // a replaced Child SA still takes late packets
	staleAfter    = 3 * time.Minute   // a replaced SA whose DELETE never came; over the peer's retransmissions
	nattPort      = 4500
)

func newSession(cfg *Config, role Role, p path) *Session {
	return &Session{cfg: cfg, role: role, path: p, hs: &handshake{}}
}

// NewResponder answers first, an IKE_SA_INIT request that a Front accepted.
// When the request is refused, the session is Dead at once and out holds the
// answer.
func NewResponder(cfg *Config, now time.Time, first Datagram, out *Out) *Session {
	s := newSession(cfg, Responder, path{first.Local, first.Remote})
	s.limit = now.Add(cfg.Policy.halfOpen())
	s.receiveInitRequest(now, first, out)
	return s
}

// NewInitiator starts a set-up.
func NewInitiator(cfg *Config, c Connect, now time.Time, out *Out) *Session {
	s := newSession(cfg, Initiator, path{c.Local, c.Remote})
	s.startInit(now, c, out)
	return s
}

// Receive takes one IKE datagram that carries one of our SPIs, or a
// retransmitted IKE_SA_INIT of this session's peer. d.Data is not kept.
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
	room := maxHeldSize
	if s.phase == phaseInit || s.phase == phaseAuth {
		room = maxHeldEarly
	}
	if len(s.held) == maxHeld || s.heldSize+len(d.Data) > room {
		return // the peer retransmits
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

// receive routes a datagram to its IKE SA.
func (s *Session) receive(now time.Time, d Datagram, out *Out) {
	h, err := ikemsg.ParseHeader(d.Data)
	if err != nil || h.Major != ikemsg.Version {
		return
	}
	if h.Exchange == ikemsg.ExchangeIKESAInit {
		s.receiveInit(now, h, d, out)
		return
	}
	sa := s.find(h)
	switch {
	case sa == nil:
	case s.phase == phaseInit:
		// No keys, no exchange but IKE_SA_INIT (CVE-2019-12312).
	case sa.keys.d == nil:
		s.receiveFirstAuth(now, h, d, out)
	default:
		s.receiveProtected(now, sa, h, d, out)
	}
}

func (s *Session) find(h ikemsg.Header) *ikeSA {
	if s.sa.matches(h) {
		return s.sa
	}
	for _, sa := range s.old {
		if sa.matches(h) {
			return sa
		}
	}
	return nil
}

// receiveRequest dispatches an authentic request of the peer.
func (s *Session) receiveRequest(now time.Time, sa *ikeSA, in *inbound, out *Out) {
	s.follow(in.path, out)
	if in.bad != nil {
		s.refuseSyntax(now, sa, in, in.bad, out)
		return
	}
	if t, bad := criticalUnknown(in.payloads); bad {
		s.respondNotify(now, sa, in, ikemsg.NotifyUnsupportedCriticalPayload, []byte{byte(t)}, out)
		return
	}
	switch {
	case s.phase == phaseRefused:
		if s.hs != nil && s.hs.eap != nil && s.hs.eap.doomed && s.role == Responder {
			s.lastWords(now, in, out)
		}
	case s.phase == phaseAuth && s.role == Responder:
		switch {
		case in.header.Exchange == ikemsg.ExchangeIKEAuth:
			s.serveAuth(now, in, out)
		case in.header.Exchange == ikemsg.ExchangeInformational && s.hs.eap != nil:
			s.abandoned(now, in, out)
		}
	case s.phase == phaseAuth:
		// An initiator waits for one answer and serves nobody before it.
	case in.header.Exchange == ikemsg.ExchangeInformational:
		s.serveInformational(now, sa, in, out)
	case in.header.Exchange == ikemsg.ExchangeCreateChildSA:
		s.serveCreateChild(now, sa, in, out)
	default:
		// An exchange that is not for this state: INVALID_SYNTAX would end the
		// SA, and the peer only mixed something up.
		s.respondNotify(now, sa, in, ikemsg.NotifyInvalidSyntax, nil, out)
	}
}

// refuseSyntax answers what authenticated and still makes no sense. That is a
// broken peer, and the IKE SA ends (RFC 7296, Section 2.21.3; trap 9).
func (s *Session) refuseSyntax(now time.Time, sa *ikeSA, in *inbound, err error, out *Out) {
	s.respondNotify(now, sa, in, ikemsg.NotifyInvalidSyntax, nil, out)
	if s.phase == phaseAuth {
		s.refused(now, s.record(StageAuth, ikemsg.NotifyInvalidSyntax, err.Error(), "report this client's version; its message cannot be read"), out)
		return
	}
	s.end(now, ClosedProtocol, fmt.Errorf("ike: %v: %s: %w", in.path.remote, in.header.Exchange, err), out)
}

// receiveResponse dispatches an authentic response.
func (s *Session) receiveResponse(now time.Time, sa *ikeSA, in *inbound, out *Out) {
	if _, bad := criticalUnknown(in.payloads); in.bad == nil && bad {
		in.bad = errors.New("critical payload of unknown type in a response")
	}
	if in.bad != nil {
		s.end(now, ClosedProtocol, fmt.Errorf("ike: %v: %s response: %w", in.path.remote, in.header.Exchange, in.bad), out)
		return
	}
	s.follow(in.path, out)
	ex := sa.pending.exchange
	sa.pending = nil
	sa.nextOut++
	ex.answered(s, now, sa, in, out)
}

// criticalUnknown finds a payload that must be understood and is not (RFC
// 7296, Section 2.5).
func criticalUnknown(ps []ikemsg.Payload) (ikemsg.PayloadType, bool) {
	for u := range ikemsg.All[*ikemsg.Unknown](ps) {
		if u.Critical {
			return u.Type, true
		}
	}
	return 0, false
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
	out.Jobs = append(out.Jobs, Job{ID: s.job, Task: t})
}

// value is the answer in the type that the task names.
func value[T any](r Result) (v T, err error) {
	if r.Err != nil {
		return v, r.Err
	}
	v, ok := r.Value.(T)
	if !ok {
		return v, fmt.Errorf("ike: a job was answered with %T in place of %T", r.Value, v)
	}
	return v, nil
}

// Do takes a command.
func (s *Session) Do(now time.Time, c Command, out *Out) {
	if s.phase == phaseDead {
		return
	}
	switch c := c.(type) {
	case CloseSession:
		s.close(now, ClosedByUs, 0, nil, out)
	case RekeyChild:
		if ch := s.childIn(c.SPIIn); ch != nil && ch.state == childLive {
			ch.want = wantRekey
		}
	case RekeyIKE:
		s.sa.wantRekey = s.phase == phaseUp
	case CreateChild:
		if s.phase == phaseUp && c.Policy != nil && len(s.creates) < maxCreates {
			s.creates = append(s.creates, c.Policy)
		}
	case DeleteChild:
		if ch := s.childIn(c.SPIIn); ch != nil && ch.state == childLive {
			ch.want = wantDelete
		}
	case PlaneEvent:
		s.planeEvent(now, c, out)
	case LocalAddressChanged:
		s.addressChanged(now, c, out)
	}
	s.advance(now, out)
}

// advance starts the most urgent thing that is due in each free window.
func (s *Session) advance(now time.Time, out *Out) {
	s.noteChildless(now)
	if s.then != nil || (s.phase != phaseUp && s.phase != phaseClosing) {
		return
	}
	for _, sa := range slices.Clone(s.old) {
		switch {
		case sa.pending != nil:
		case sa.wantDelete:
			s.sendDeleteIKE(now, sa, 0, out)
		case sa.wantUpdate:
			s.sendUpdate(now, sa, out)
		}
	}
	if s.phase == phaseDead || s.sa.pending != nil {
		return
	}
	switch {
	case s.phase == phaseClosing:
		s.sendDeleteIKE(now, s.sa, s.closeNotify, out)
	case s.sa.wantUpdate:
		s.sendUpdate(now, s.sa, out)
	case s.sa.wantCheck:
		s.sendCheck(now, out)
	case s.deleteDue(now, out):
	case s.sa.wantRekey && !now.Before(s.sa.retryAt):
		s.startRekeyIKE(now, out)
	case s.rekeyDue(now, out):
	case len(s.creates) > 0 && !now.Before(s.createAt):
		p := s.creates[0]
		s.creates = s.creates[1:]
		s.startChild(now, p, nil, out)
	case s.livenessDue(now):
		s.sendLiveness(now, out)
	}
}

// close starts an orderly end: DELETE if there is anybody to tell.
func (s *Session) close(now time.Time, why CloseReason, notify ikemsg.NotifyType, err error, out *Out) {
	switch s.phase {
	case phaseUp:
		s.phase, s.closing, s.closeNotify, s.closeErr, s.limit = phaseClosing, why, notify, err, now.Add(closePatience)
		s.dropChildren("session closes", out)
	case phaseClosing, phaseDead:
	default:
		s.end(now, why, err, out)
	}
}

// end is the last thing that happens: everything goes, Closed comes out.
func (s *Session) end(_ time.Time, why CloseReason, err error, out *Out) {
	if s.phase == phaseDead {
		return
	}
	s.phase = phaseDead
	s.dropChildren("session ended", out)
	for _, sa := range append(slices.Clone(s.old), s.sa) {
		s.dropSA(sa, out)
	}
	if s.hs != nil {
		s.hs.clear()
	}
	s.sa, s.old, s.hs, s.then, s.held, s.creates = &ikeSA{}, nil, nil, nil, nil, nil
	out.Events = append(out.Events, Closed{Reason: why, Err: err})
}

func (s *Session) dropChildren(why string, out *Out) {
	for _, c := range s.children {
		s.childDown(c, why, out)
	}
	s.children = nil
}

// dropSA forgets one IKE SA: its keys and its route.
func (s *Session) dropSA(sa *ikeSA, out *Out) {
	sa.keys.clear()
	sa.pending, sa.answer, sa.parts, sa.rival = nil, nil, nil, nil
	s.old = slices.DeleteFunc(s.old, func(o *ikeSA) bool { return o == sa })
	if spi := sa.ours(); spi != 0 {
		out.Events = append(out.Events, SPIRemoved{spi})
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

// fragmentLimit is what seal needs: 0 while fragmentation is not agreed.
func (s *Session) fragmentLimit() int {
	if !s.fragment {
		return 0
	}
	return s.cfg.Policy.fragmentSize()
}

// Dead tells that the session is over: its Closed event is out, and it can be
// dropped.
func (s *Session) Dead() bool { return s.phase == phaseDead }

// Role is our role in the first IKE_SA_INIT.
func (s *Session) Role() Role { return s.role }

// Established is when authentication was complete; zero = not yet.
func (s *Session) Established() time.Time { return s.established }

// SPIs are those of the current IKE SA, ours first.
func (s *Session) SPIs() (ours, peers ikemsg.SPI) { return s.sa.ours(), s.sa.peers() }

// Suite is that of the current IKE SA; zero before IKE_SA_INIT is done.
func (s *Session) Suite() suite.IKE { return s.sa.suite }

// PeerKind is the fingerprint as far as known.
func (s *Session) PeerKind() PeerKind { return s.kind }

// Admission is who the peer is; nil before Established.
func (s *Session) Admission() *Admission { return s.admission }

// PeerID is the ID the peer authenticated with.
func (s *Session) PeerID() ikemsg.ID { return s.peerID }

// Leased is what a responder assigned to the peer, or an initiator was given.
func (s *Session) Leased() Leased { return s.leased }

// Path is the current outer path.
func (s *Session) Path() (local, remote netip.AddrPort) { return s.path.local, s.path.remote }

// NAT tells which side is behind a NAT, as far as detected.
func (s *Session) NAT() (local, remote bool) { return s.natLocal, s.natRemote }

// LastHeard is when an authenticated message of the peer was last seen here.
func (s *Session) LastHeard() time.Time { return s.lastHeard }

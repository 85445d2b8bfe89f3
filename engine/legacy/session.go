package legacy

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"sallyport/engine"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/l2tp/l2tpmsg"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/hostconf"
	"sallyport/protocol/suite"
)

// Config is what sessions of one zone are made from. It is shared and does not
// change.
type Config struct {
	IKE         *ikev1.Policy
	Authorities [][]byte // names of the CAs whose certificates are asked for: DER
	L2TP        *l2tp.Config
	PPP         *ppp.Config
	// Ask answers the tasks of IKEv1 that are about keys and who peers are, on a
	// worker: *ikev1.Authenticate, *ikev1.Sign and ikev1.SharedKey.
	Ask func(task any) (any, error)
	// Before is handed to EAP: what its backend must know of the machine.
	Before func(*ikev1.Admission) any
	NewEAP func() ike.Conversation
	// Proven tells whether IKEv1 has proved which machine it is: a key that a whole
	// group has does not.
	Proven func(*ikev1.Admission) bool
	// Device is the zone's TUN device, Host what hosts are told about their link.
	Device string
	Host   hostconf.Config
	// Limits end a Child SA by volume; zero fields do not.
	Limits ike.Limits
	// HalfOpen counts set-ups under way, of all sessions; nil: nobody wants to know.
	HalfOpen *atomic.Int64
	// Setup is the time from the first message to an authenticated link, and
	// again after a restart of the peer. Zero means 90 s: people type passwords.
	Setup time.Duration
}

const (
	defaultSetup = 90 * time.Second
	// bareGrace is how long a session lives without a Child SA: a client that
	// rekeys by deleting first needs a moment.
	bareGrace = 30 * time.Second
	// farewell is how long a session that closes waits for the peer's last
	// acknowledgements, before IKE has the last word. A gateway that shuts down
	// gives its sessions 3 s in all.
	farewell = 2 * time.Second
)

// Session is one peer. It implements [engine.Machine].
type Session struct {
	cfg *Config

	ike      *ikev1.Session
	heard    func(spiIn uint32) time.Time
	proof    *ikev1.Admission // nil: main mode is under way
	method   suite.AuthMethod1
	claim    ikemsg.ID
	kind     ike.PeerKind
	suite    suite.IKE
	path     [2]netip.AddrPort // local, remote
	sas      []ike.ChildStatus // installed, oldest first
	doubted  []uint32          // inbound SPIs of those that get no call yet, see Absorb
	doubt    bool              // new ones are doubted
	outbound uint32            // inbound SPI of the one that our packets use; 0: none

	l2tp  *l2tp.Endpoint
	alive time.Time // when the plane last heard the peer
	from  uint32    // inbound SPI of the Child SA that the last message came in
	port  uint16    // and the inner UDP port
	call  *call     // nil: none

	jobs    map[uint64]answer
	lastJob uint64
	heir    *Session // that has absorbed this one; nil: none

	up          bool      // Established was said, and Closed not since
	established bool      // it was up once
	counted     bool      // as a set-up under way
	recorded    bool      // a record tells why it is not up
	limit       time.Time // of the set-up; zero: it is up
	bare        time.Time // since when there is no Child SA; zero: there is one
	leaving     time.Time // the end of a farewell; zero: it is not closing
	dead        bool

	// Why it closes.
	why    string
	reason ike.CloseReason
	err    error
}

var _ engine.Machine = (*Session)(nil)

// answer takes the result of a job.
type answer func(now time.Time, r ike.Result, out *ike.Out)

// New makes a session for a first message of main mode.
func New(cfg *Config, ids engine.IDs, now time.Time, first ike.Datagram, out *ike.Out) *Session {
	s := &Session{
		cfg: cfg, path: [2]netip.AddrPort{first.Local, first.Remote}, heard: ids.Heard,
		l2tp: l2tp.NewEndpoint(cfg.L2TP), jobs: make(map[uint64]answer), lastJob: rand.Uint64(),
	}
	s.awaitSetup(now)
	s.count(1)
	var o ikev1.Out
	s.ike = ikev1.NewResponder(&ikev1.Config{
		Policy: cfg.IKE, Authorities: cfg.Authorities, Heard: ids.Heard, NewSPI: ids.ChildSPI,
		NewCookie: func() uint64 { return uint64(ids.Cookie()) },
	}, now, datagramV1(first), &o)
	s.fromIKE(now, &o, out)
	s.settle(now, out)
	return s
}

func (s *Session) awaitSetup(now time.Time) {
	d := s.cfg.Setup
	if d == 0 {
		d = defaultSetup
	}
	s.limit = now.Add(d)
}

// Receive takes one IKE datagram.
func (s *Session) Receive(now time.Time, d ike.Datagram, out *ike.Out) {
	s.withIKE(now, out, func(o *ikev1.Out) { s.ike.Receive(now, datagramV1(d), o) })
	s.settle(now, out)
}

// Done takes the result of a job.
func (s *Session) Done(now time.Time, r ike.Result, out *ike.Out) {
	done, ok := s.jobs[r.ID]
	if !ok {
		return
	}
	delete(s.jobs, r.ID)
	done(now, r, out)
	s.settle(now, out)
}

// ask starts a job.
func (s *Session) ask(t ike.Task, out *ike.Out, done answer) {
	s.lastJob++
	s.jobs[s.lastJob] = done
	out.Jobs = append(out.Jobs, ike.Job{ID: s.lastJob, Task: t})
}

// Do takes a command. What a session of IKEv2 knows and this one does not is
// nothing here.
func (s *Session) Do(now time.Time, c ike.Command, out *ike.Out) {
	switch c := c.(type) {
	case ike.Extra:
		if m, ok := c.Value.(engine.InnerMessage); ok {
			s.inner(now, m, out)
		}
	case ike.CloseSession:
		s.leave(now, c.Reason, out)
	case ike.PlaneEvent:
		s.withIKE(now, out, func(o *ikev1.Out) {
			s.ike.Do(now, ikev1.PlaneEvent{Kind: ikev1.PlaneKind(c.Kind), SPIIn: c.SPIIn, Remote: c.Remote}, o)
		})
	case ike.RekeyChild:
		s.withIKE(now, out, func(o *ikev1.Out) { s.ike.Do(now, ikev1.RekeyPhase2{SPIIn: c.SPIIn}, o) })
	case ike.DeleteChild:
		s.withIKE(now, out, func(o *ikev1.Out) { s.ike.Do(now, ikev1.DeleteSA{SPIIn: c.SPIIn}, o) })
	}
	s.settle(now, out)
}

// Timeout does what is due.
func (s *Session) Timeout(now time.Time, out *ike.Out) {
	s.hear(now)
	if due(s.ike.Deadline(), now) {
		s.withIKE(now, out, func(o *ikev1.Out) { s.ike.Timeout(now, o) })
	}
	if due(s.l2tp.Deadline(), now) {
		s.withL2TP(now, out, func(o *l2tp.Out) { s.l2tp.Timeout(now, o) })
	}
	if s.call != nil && due(s.call.link.Deadline(), now) {
		s.withPPP(now, out, func(o *ppp.Out) { s.call.link.Timeout(now, o) })
	}
	switch {
	case due(s.leaving, now):
		s.end(now, out)
	case due(s.limit, now):
		s.reason, s.err = ike.ClosedHalfOpen, errLate
		s.leave(now, errLate.Error(), out)
	case due(s.bareUntil(), now):
		s.reason, s.err = ike.ClosedChildless, errBare
		s.leave(now, errBare.Error(), out)
	}
	s.settle(now, out)
}

var (
	errLate = errors.New("the client did not log in in time")
	errBare = errors.New("the client has no IPsec SA any more")
)

func due(d, now time.Time) bool { return !d.IsZero() && !now.Before(d) }

// hear tells those who watch for signs of life what the plane has seen.
func (s *Session) hear(now time.Time) {
	var last time.Time
	for _, a := range s.sas {
		if at := s.heard(a.SPIIn); at.After(last) {
			last = at
		}
	}
	if !last.After(s.alive) || last.After(now) {
		return // LCP counts its echoes from the last sign of life
	}
	s.alive = last
	s.l2tp.Heard(last)
	if s.call != nil {
		s.call.link.Heard(last)
	}
}

// Deadline is when Timeout wants to be called.
func (s *Session) Deadline() time.Time {
	times := [...]time.Time{s.ike.Deadline(), s.l2tp.Deadline(), s.limit, s.bareUntil(), s.leaving, {}, {}}
	if c := s.call; c != nil {
		times[5], times[6] = c.link.Deadline(), c.advertise
	}
	var next time.Time
	for _, t := range times {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

func (s *Session) bareUntil() time.Time {
	if s.bare.IsZero() || !s.leaving.IsZero() {
		return time.Time{}
	}
	return s.bare.Add(bareGrace)
}

// leave ends everything in order: PPP and L2TP say so first, while there is a
// Child SA that carries it, and IKE when they had time for it.
func (s *Session) leave(now time.Time, reason string, out *ike.Out) {
	if !s.leaving.IsZero() || s.dead {
		return
	}
	s.explain(now, out)
	s.leaving, s.limit, s.why = now.Add(farewell), time.Time{}, reason
	s.down(ike.ClosedByUs, out)
	if s.call != nil {
		s.withPPP(now, out, func(o *ppp.Out) { s.call.link.Do(now, ppp.Close{Text: reason}, o) })
	}
	s.withL2TP(now, out, func(o *l2tp.Out) {
		s.l2tp.Do(now, l2tp.CloseTunnel{Result: l2tpmsg.StopShutdown, Text: reason}, o)
	})
}

// down says that an established session is over.
func (s *Session) down(why ike.CloseReason, out *ike.Out) {
	if !s.up {
		return
	}
	s.up = false
	s.shut(out)
	if s.reason != 0 {
		why = s.reason
	}
	out.Events = append(out.Events, ike.Closed{Reason: why})
}

// settle ends every call: what is due at once, and the end of a session whose
// IKE is over.
func (s *Session) settle(now time.Time, out *ike.Out) {
	s.advertise(now, out)
	if s.ike.Dead() {
		s.end(now, out)
	}
}

// end closes what is left. Closed is the last word of a session that never was
// established, too.
func (s *Session) end(now time.Time, out *ike.Out) {
	if s.dead {
		return
	}
	s.dead = true
	s.settled()
	s.explain(now, out)
	told := !s.up && s.established
	s.down(ike.ClosedByPeer, out)
	if !s.ike.Dead() {
		s.withIKE(now, out, func(o *ikev1.Out) { s.ike.Do(now, ikev1.Close{Reason: s.why}, o) })
	}
	for _, a := range s.sas {
		out.Events = append(out.Events, ike.ChildDown{SPIIn: a.SPIIn, Reason: s.why})
	}
	s.sas = nil
	s.hangUp()
	if !told && !s.established {
		out.Events = append(out.Events, ike.Closed{Reason: cmp.Or(s.reason, ike.ClosedRefused), Err: s.err})
	}
}

// Release frees what a session holds that is over, or that another one has
// absorbed.
func (s *Session) Release() {
	s.settled()
	s.hangUp()
}

// settled ends the first set-up, whatever became of it.
func (s *Session) settled() {
	if s.counted {
		s.count(-1)
	}
}

func (s *Session) count(by int64) {
	s.counted = by > 0
	if s.cfg.HalfOpen != nil {
		s.cfg.HalfOpen.Add(by)
	}
}

// Dead tells that the session is over.
func (s *Session) Dead() bool { return s.dead }

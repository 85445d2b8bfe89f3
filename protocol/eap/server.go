package eap

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ServerConfig is what conversations of one kind have in common. It is shared
// and must not change.
type ServerConfig struct {
	Offers []Offer // in order of preference; at least one
	TLS    *TLS    // for everything but bare EAP-MSCHAPv2
	// Name is how we name ourselves in MSCHAPv2, for the peer's screen.
	Name string
	// MTU is the largest EAP packet to send, in octets; 0 = DefaultMTU.
	MTU int
	// Retransmit is the time without a response after which a request is sent
	// again, doubling up to four times; 0 on carriers that lose nothing, such as
	// IKEv2 (RFC 3748, Section 4.3).
	Retransmit time.Duration
	// BareMSCHAPv2 allows TypeMSCHAPv2 among the Offers, outside of TLS. Whoever
	// talks on the path could find the password by one search through DES keys:
	// for IKEv2 only, after the server's AUTH, and by waiver.
	BareMSCHAPv2 bool

	rand func([]byte) // nil = crypto/rand; only tests replace it
}

func (c *ServerConfig) random(n int) []byte { return random(c.rand, n) }

func random(source func([]byte), n int) []byte {
	b := make([]byte, n)
	if source == nil {
		source = func(b []byte) { rand.Read(b) }
	}
	source(b)
	return b
}

func (c *ServerConfig) check() (mtu int, err error) {
	if len(c.Offers) == 0 {
		return 0, errors.New("eap: a server needs at least one method to offer")
	}
	if err := checkOnce(c.Offers); err != nil {
		return 0, err
	}
	for _, o := range c.Offers {
		if err := checkOffer(o, c.BareMSCHAPv2); err != nil {
			return 0, err
		}
		if o.Method == TypeMSCHAPv2 {
			continue
		}
		if c.TLS == nil || len(c.TLS.Certificates) == 0 {
			return 0, fmt.Errorf("eap: %s needs a server certificate", o.Method)
		}
		wantsChain := o.Method == TypeTLS || slices.Contains(o.Inner, InnerEAPTLS)
		if err := c.TLS.check(); err != nil && (wantsChain || err != errNoVerify) {
			return 0, err
		}
	}
	return checkMTU(c.MTU)
}

// step is what a method wants after an input: one of the fields, except that
// there may be something to send along with a failure, a last word that the
// other end has to answer, and at a Peer's end with a success.
type step struct {
	send    []byte // Data of the next packet; empty but not nil is a packet too
	task    Task
	success *Success // Claim, Method and Inner are filled in by the machine
	failure *Failure
}

// fail is the step that ends in a failure.
func fail(reason Reason, format string, args ...any) step {
	return step{failure: &Failure{Reason: reason, Text: fmt.Sprintf(format, args...)}}
}

// serverMethod is the server's end of a method. A method has at most one task
// outstanding and gets no packet meanwhile.
type serverMethod interface {
	start() step
	receive(data []byte) step
	done(r Result) step
	close()
	about() (user string, inner Inner) // for the record of a failure
}

// Server is the authenticator's end of one conversation. It is for one
// goroutine. A packet that must be dropped leaves the Out empty; a carrier in
// lockstep, such as IKEv2, has to take that for a failure, since nothing else
// will come.
type Server struct {
	cfg      *ServerConfig
	mtu      int
	state    state
	id       uint8
	request  []byte // outstanding, for retransmission
	claim    string
	method   serverMethod
	current  Type
	doomed   bool // the failure is reported; the last words are being said
	answered bool // the peer has begun the method: no Nak any more (RFC 3748, Section 5.3.1)
	refused  []Type
	jobs     jobs
	spent    spent
	resend   time.Time
	interval time.Duration
	resends  int
}

type state uint8

const (
	idle state = iota
	identifying
	authenticating
	over
)

// maxResends is the number of retransmissions of a request (RFC 3748, Section
// 4.3 suggests 3 to 5).
const maxResends = 4

// maxNamed is how many of the types in a Nak a record names.
const maxNamed = 8

// NewServer prepares a conversation; the error is a fault of the configuration.
func NewServer(cfg *ServerConfig) (*Server, error) {
	mtu, err := cfg.check()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, mtu: mtu}, nil
}

// Start asks for the peer's identity.
func (s *Server) Start(now time.Time, out *Out) {
	s.spent.deadline = now.Add(MaxDuration)
	s.state = identifying
	s.ask(now, TypeIdentity, nil, out)
}

// StartWith begins with the first method at once, for a carrier that knows the
// claim, or a peer that has answered an Identity request of somebody else
// with this identifier.
func (s *Server) StartWith(now time.Time, claim string, identifier uint8, out *Out) {
	s.spent.deadline = now.Add(MaxDuration)
	s.id = identifier
	s.identified(now, claim, out)
}

// Receive takes an EAP packet of the peer.
func (s *Server) Receive(now time.Time, packet []byte, out *Out) {
	if s.state == idle || s.state == over || s.jobs.pending() {
		return
	}
	p, err := Parse(packet)
	if err != nil || p.Code != CodeResponse || p.Identifier != s.id {
		return
	}
	if !s.spent.take(packet) {
		s.end(fail(ReasonLimit, "the peer sent more than %d octets", MaxOctets), out)
		return
	}
	switch {
	case s.state == identifying && p.Type == TypeIdentity:
		s.identified(now, string(p.Data), out)
	case s.state != authenticating:
	case p.Type == s.current:
		s.answered = true
		s.apply(now, s.method.receive(p.Data), out)
	case p.Type == TypeNak || p.Type == TypeExpanded:
		s.nak(now, p, out)
	}
}

// Done takes the answer to a job.
func (s *Server) Done(now time.Time, r Result, out *Out) {
	if !s.jobs.answer(r.ID) {
		return
	}
	if s.state != authenticating {
		s.close() // it was waiting for the job to come back
		return
	}
	s.apply(now, s.method.done(r), out)
}

// Timeout does what is due at now.
func (s *Server) Timeout(now time.Time, out *Out) {
	switch {
	case s.state == idle || s.state == over:
	case !now.Before(s.spent.deadline):
		s.end(fail(ReasonTimeout, "the conversation took longer than %v", MaxDuration), out)
	case s.resend.IsZero() || now.Before(s.resend):
	case s.resends == maxResends:
		s.end(fail(ReasonTimeout, "no response to %d copies of the request", maxResends+1), out)
	default:
		s.resends++
		s.interval *= 2
		s.resend = now.Add(s.interval)
		out.Send = append(out.Send, s.request)
	}
}

// Deadline is when Timeout should be called; zero when never.
func (s *Server) Deadline() time.Time {
	if s.state == idle || s.state == over {
		return time.Time{}
	}
	if !s.resend.IsZero() && s.resend.Before(s.spent.deadline) {
		return s.resend
	}
	return s.spent.deadline
}

// Over tells that nothing more will come: EAP-Success or EAP-Failure is sent,
// or Close was called.
func (s *Server) Over() bool { return s.state == over }

// Close ends the conversation without an event and releases what it holds,
// some of it when an outstanding job comes back.
func (s *Server) Close() {
	s.state = over
	s.close()
}

func (s *Server) close() {
	if s.method != nil && !s.jobs.pending() {
		s.method.close()
		s.method = nil
	}
	s.request, s.resend = nil, time.Time{}
}

// identified begins with the method we like best.
func (s *Server) identified(now time.Time, claim string, out *Out) {
	if len(claim) > MaxIdentity {
		s.end(fail(ReasonProtocol, "an identity of %d octets", len(claim)), out)
		return
	}
	// Some peers terminate or pad the text with NUL, against Section 5.1.
	s.claim = strings.TrimRight(claim, "\x00")
	s.state = authenticating
	s.begin(now, s.cfg.Offers[0], out)
}

func (s *Server) begin(now time.Time, o Offer, out *Out) {
	s.current = o.Method
	s.method = s.newMethod(o)
	s.apply(now, s.method.start(), out)
}

func (s *Server) newMethod(o Offer) serverMethod {
	switch o.Method {
	case TypeMSCHAPv2:
		return &mschapServer{cfg: s.cfg}
	case TypePEAP, TypeTTLS:
		return newTunnelServer(s.cfg, o, s.mtu)
	default:
		return newTLSServer(s.cfg, s.mtu)
	}
}

// nak turns to the next method that both sides like (RFC 3748, Section 5.3).
func (s *Server) nak(now time.Time, p Packet, out *Out) {
	wanted, err := parseNak(p)
	switch {
	case err != nil:
		return
	case s.answered && s.acknowledges():
		s.apply(now, s.method.receive([]byte{0}), out)
		return
	case s.answered:
		return
	}
	s.method.close()
	s.refused = append(s.refused, s.current)
	for _, o := range s.cfg.Offers {
		if slices.Contains(wanted, o.Method) && !slices.Contains(s.refused, o.Method) {
			s.begin(now, o, out)
			return
		}
	}
	f := fail(ReasonNoCommonMethod, "the peer refused %v and wants %v", s.refused, wanted[:min(len(wanted), maxNamed)])
	f.failure.Hint = "allow one of the peer's methods, or set the peer to one of ours"
	s.end(f, out)
}

// acknowledges tells whether a Nak stands for an acknowledgement: to pppd 2.4.9
// EAP-TLS is over when it has our last flight, and if its acknowledgement is lost
// it answers a copy by a Nak, for ever. What the Nak wants differs: EAP-TLS, or
// MSCHAPv2 where pppd has that. The client has proved itself by then, and nothing
// rests on what it says now.
func (s *Server) acknowledges() bool {
	m, ok := s.method.(*tlsServer)
	return ok && m.inner == nil && m.phase == phaseLastFlight && !m.fragments.sending
}

// apply does what the method wants.
func (s *Server) apply(now time.Time, st step, out *Out) {
	switch {
	case st.task != nil:
		s.resend = time.Time{} // the peer has answered; now it waits for us
		out.Jobs = append(out.Jobs, s.jobs.next(st.task))
	case st.failure != nil && st.send != nil && !s.doomed:
		s.doomed = true
		s.report(st.failure, out)
		s.spent.deadline = now.Add(failureWait)
		s.ask(now, s.current, st.send, out)
	case st.success != nil || st.failure != nil && st.send == nil:
		s.end(st, out)
	case st.send != nil:
		s.ask(now, s.current, st.send, out)
	default:
		s.end(fail(ReasonBackend, "%s has nothing to say", s.current), out)
	}
}

// ask sends a request.
func (s *Server) ask(now time.Time, t Type, data []byte, out *Out) {
	if !s.spent.round() {
		s.end(fail(ReasonLimit, "more than %d rounds", MaxRounds), out)
		return
	}
	s.id++
	s.request = Packet{Code: CodeRequest, Identifier: s.id, Type: t, Data: data}.Append(nil)
	out.Send = append(out.Send, s.request)
	s.resends, s.interval = 0, s.cfg.Retransmit
	if s.interval > 0 {
		s.resend = now.Add(s.interval)
	}
}

// end sends Success or Failure, with the identifier of the response that it
// follows (RFC 3748, Section 4.2), and reports.
func (s *Server) end(st step, out *Out) {
	p := Packet{Code: CodeFailure, Identifier: s.id}
	switch {
	case s.doomed: // it is reported
	case st.success != nil:
		p.Code = CodeSuccess
		st.success.Claim, st.success.Method = s.claim, s.current
		out.Events = append(out.Events, *st.success)
	default:
		s.report(st.failure, out)
	}
	out.Send = append(out.Send, p.Append(nil))
	s.Close()
}

func (s *Server) report(f *Failure, out *Out) {
	f.Claim, f.Method = s.claim, s.current
	if s.method != nil {
		user, inner := s.method.about()
		if f.User == "" {
			f.User = user
		}
		if f.Inner == InnerNone {
			f.Inner = inner
		}
	}
	out.Events = append(out.Events, *f)
}

// jobs numbers jobs and knows the outstanding one.
type jobs struct {
	last    uint64
	waiting bool
}

func (j *jobs) next(t Task) Job {
	j.last++
	j.waiting = true
	return Job{ID: j.last, Task: t}
}

func (j *jobs) pending() bool { return j.waiting }

// answer tells whether id is the job that is waited for, and waits no longer.
func (j *jobs) answer(id uint64) bool {
	if !j.waiting || id != j.last {
		return false
	}
	j.waiting = false
	return true
}

// spent counts what a conversation has cost.
type spent struct {
	deadline       time.Time
	rounds, octets int
}

func (s *spent) round() bool {
	s.rounds++
	return s.rounds <= MaxRounds
}

func (s *spent) take(packet []byte) bool {
	s.octets += len(packet)
	return s.octets <= MaxOctets
}

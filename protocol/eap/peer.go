package eap

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/secret"
)

// PeerConfig is how a Peer logs in. It must not change while a Peer uses it.
type PeerConfig struct {
	// Identity answers EAP-Identity in the clear: for PEAP and TTLS
	// "anonymous@realm" is enough.
	Identity string
	Offers   []Offer // what we accept, in order of preference; at least one
	TLS      *TLS    // for everything but bare EAP-MSCHAPv2
	// User and Password are for MSCHAPv2 and PAP. User is the inner identity,
	// and Identity is where User is empty.
	User     string
	Password secret.Bytes
	// MTU is the largest EAP packet to send, in octets; 0 = DefaultMTU.
	MTU int
	// BareMSCHAPv2 allows TypeMSCHAPv2 among the Offers, outside of TLS: only
	// where the carrier has authenticated the server before EAP began.
	BareMSCHAPv2 bool

	rand func([]byte) // nil = crypto/rand; only tests replace it
}

func (c *PeerConfig) user() string {
	if c.User != "" {
		return c.User
	}
	return c.Identity
}

func (c *PeerConfig) check() (mtu int, err error) {
	switch {
	case len(c.Offers) == 0:
		return 0, errors.New("eap: a peer needs at least one method to accept")
	case len(c.Identity) > MaxIdentity || len(c.User) > MaxIdentity:
		return 0, fmt.Errorf("eap: an identity is over %d octets", MaxIdentity)
	}
	if err := checkOnce(c.Offers); err != nil {
		return 0, err
	}
	for _, o := range c.Offers {
		if err := c.checkOffer(o); err != nil {
			return 0, err
		}
	}
	return checkMTU(c.MTU)
}

func (c *PeerConfig) checkOffer(o Offer) error {
	if err := checkOffer(o, c.BareMSCHAPv2); err != nil {
		return err
	}
	password := o.Method == TypeMSCHAPv2
	for _, i := range o.Inner {
		password = password || i != InnerEAPTLS
	}
	if password && len(c.Password) == 0 {
		return fmt.Errorf("eap: %s %v needs a password", o.Method, o.Inner)
	}
	if o.Method == TypeMSCHAPv2 {
		return nil
	}
	if c.TLS == nil {
		return errNoVerify
	}
	if (o.Method == TypeTLS || slices.Contains(o.Inner, InnerEAPTLS)) && len(c.TLS.Certificates) == 0 {
		return fmt.Errorf("eap: %s %v needs a client certificate", o.Method, o.Inner)
	}
	return c.TLS.check()
}

// peerMethod is the peer's end of a method. A method has at most one task
// outstanding and gets no packet meanwhile. Its success means that it waits
// for EAP-Success and nothing else.
type peerMethod interface {
	receive(identifier uint8, data []byte) step
	done(r Result) step
	close()
	inner() Inner
}

// Peer is the end of one conversation that logs in. It is for one goroutine. A
// packet that must be dropped leaves the Out empty.
type Peer struct {
	cfg     *PeerConfig
	mtu     int
	state   state
	id      uint8 // of the request in work or answered last
	heard   [sha256.Size]byte
	answer  []byte // the last response, for duplicates of its request
	method  peerMethod
	current Type
	ready   *Success // the method has succeeded; EAP-Success may come
	doomed  bool     // the failure is reported; the last words are being said
	jobs    jobs
	spent   spent
}

// NewPeer prepares a conversation; the error is a fault of the configuration.
func NewPeer(cfg *PeerConfig) (*Peer, error) {
	mtu, err := cfg.check()
	if err != nil {
		return nil, err
	}
	return &Peer{cfg: cfg, mtu: mtu}, nil
}

// Start begins to wait for the server's first request.
func (p *Peer) Start(now time.Time) {
	p.spent.deadline = now.Add(MaxDuration)
	p.state = identifying
}

// Receive takes an EAP packet of the server.
func (p *Peer) Receive(now time.Time, packet []byte, out *Out) {
	if p.state == idle || p.state == over || p.jobs.pending() {
		return
	}
	m, err := Parse(packet)
	if err != nil {
		return
	}
	switch m.Code {
	case CodeRequest:
		p.request(now, m, packet, out)
	case CodeSuccess, CodeFailure:
		p.result(m, out)
	}
}

// request answers a request, a duplicate of the last one as before (RFC 3748,
// Section 4.1).
func (p *Peer) request(now time.Time, m Packet, packet []byte, out *Out) {
	digest := sha256.Sum256(packet)
	if p.answer != nil && m.Identifier == p.id && digest == p.heard {
		out.Send = append(out.Send, p.answer)
		return
	}
	p.id, p.heard, p.answer = m.Identifier, digest, nil
	if !p.spent.round() || !p.spent.take(packet) {
		p.fail(fail(ReasonLimit, "more than %d rounds or %d octets", MaxRounds, MaxOctets).failure, out)
		return
	}
	p.dispatch(now, m, out)
}

func (p *Peer) dispatch(now time.Time, m Packet, out *Out) {
	switch {
	case m.Type == TypeNotification:
		out.Events = append(out.Events, Notice{Text: string(m.Data)})
		p.respond(Packet{Type: TypeNotification}, out)
	case m.Type == TypeIdentity && p.method == nil:
		p.respond(Packet{Type: TypeIdentity, Data: []byte(p.cfg.Identity)}, out)
	case p.method != nil && m.Type == p.current && p.ready == nil:
		p.apply(now, p.method.receive(m.Identifier, m.Data), out)
	case p.method != nil:
		// One method per conversation (RFC 3748, Section 2.1).
		p.fail(fail(ReasonProtocol, "a request of %s in the middle of %s", m.Type, p.current).failure, out)
	default:
		p.choose(now, m, out)
	}
}

// choose begins the method that the server asks for, or refuses it.
func (p *Peer) choose(now time.Time, m Packet, out *Out) {
	for _, o := range p.cfg.Offers {
		if o.Method == m.Type {
			p.current = m.Type
			p.method = p.newMethod(o)
			p.apply(now, p.method.receive(m.Identifier, m.Data), out)
			return
		}
	}
	var wanted []Type
	for _, o := range p.cfg.Offers {
		wanted = append(wanted, o.Method)
	}
	p.respond(nakFor(m, wanted), out)
}

func (p *Peer) newMethod(o Offer) peerMethod {
	switch o.Method {
	case TypeMSCHAPv2:
		return &mschapPeer{cfg: p.cfg}
	case TypePEAP, TypeTTLS:
		return newTunnelPeer(p.cfg, o, p.mtu)
	default:
		return newTLSPeer(p.cfg, p.mtu)
	}
}

// result takes EAP-Success or EAP-Failure. Neither is protected, so Success
// counts only when the method has succeeded by itself (RFC 3748, Section 4.2).
func (p *Peer) result(m Packet, out *Out) {
	switch {
	case p.doomed:
		p.Close()
	case m.Code == CodeSuccess && p.ready == nil:
		p.fail(fail(ReasonEarlySuccess, "the server said Success before any method had proven who it is").failure, out)
	case m.Identifier != p.id:
	case m.Code == CodeSuccess:
		p.ready.Claim, p.ready.Method = p.cfg.Identity, p.current
		out.Events = append(out.Events, *p.ready)
		p.Close()
	default:
		f := fail(ReasonRefused, "the server said Failure").failure
		f.ByPeer = true
		p.fail(f, out)
	}
}

// Done takes the answer to a job.
func (p *Peer) Done(now time.Time, r Result, out *Out) {
	if !p.jobs.answer(r.ID) {
		return
	}
	if p.state == over {
		p.close()
		return
	}
	p.apply(now, p.method.done(r), out)
}

// Timeout does what is due at now.
func (p *Peer) Timeout(now time.Time, out *Out) {
	if p.state == idle || p.state == over || now.Before(p.spent.deadline) {
		return
	}
	p.fail(fail(ReasonTimeout, "the conversation took longer than %v", MaxDuration).failure, out)
}

// Deadline is when Timeout should be called; zero when never.
func (p *Peer) Deadline() time.Time {
	if p.state == idle || p.state == over {
		return time.Time{}
	}
	return p.spent.deadline
}

// Over tells that nothing more will come: EAP-Success or EAP-Failure was taken,
// or Close was called.
func (p *Peer) Over() bool { return p.state == over }

// Close ends the conversation without an event and releases what it holds,
// some of it when an outstanding job comes back.
func (p *Peer) Close() {
	p.state = over
	p.close()
}

func (p *Peer) close() {
	if p.method != nil && !p.jobs.pending() {
		p.method.close()
		p.method = nil
	}
	p.answer = nil
}

// apply does what the method wants.
func (p *Peer) apply(now time.Time, st step, out *Out) {
	switch {
	case st.task != nil:
		out.Jobs = append(out.Jobs, p.jobs.next(st.task))
		return
	case st.send != nil:
		p.respond(Packet{Type: p.current, Data: st.send}, out)
	case st.failure != nil:
		p.fail(st.failure, out)
		return
	}
	switch {
	case p.doomed:
	case st.failure != nil:
		p.doomed = true
		p.report(st.failure, out)
		p.spent.deadline = now.Add(failureWait)
	case st.success != nil:
		p.ready = st.success
	}
}

func (p *Peer) respond(m Packet, out *Out) {
	m.Code, m.Identifier = CodeResponse, p.id
	p.answer = m.Append(nil)
	out.Send = append(out.Send, p.answer)
}

func (p *Peer) fail(f *Failure, out *Out) {
	if !p.doomed {
		p.report(f, out)
	}
	p.Close()
}

func (p *Peer) report(f *Failure, out *Out) {
	f.Claim, f.User, f.Method = p.cfg.Identity, p.cfg.User, p.current
	if p.method != nil {
		f.Inner = p.method.inner()
	}
	out.Events = append(out.Events, *f)
}

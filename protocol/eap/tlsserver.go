package eap

import "crypto/tls"

// phase is how far a TLS method has come.
type phase uint8

const (
	phaseHandshake  phase = iota
	phaseLastFlight       // the server's last flight is out, its acknowledgement is due
	phaseAlert            // the server's alert is out, its acknowledgement is due
	phaseTunnel
)

// tunneled is what runs inside the server's end of PEAP or TTLS. Its steps'
// send is plaintext for the tunnel; nil sends an empty packet.
type tunneled interface {
	begin() step // TLS is up
	receive(plain []byte) step
	done(r Result) step
	close()
	about() (user string, inner Inner)
}

// tlsServer is the server's end of EAP-TLS, and of the outer part of PEAP and
// TTLS.
type tlsServer struct {
	tlsEnd
	tls    *TLS
	phase  phase
	inner  tunneled // nil for EAP-TLS
	failed *Failure // why the alert
}

func newTLSServer(cfg *ServerConfig, mtu int) *tlsServer {
	return &tlsServer{tlsEnd: newTLSEnd(TypeTLS, mtu), tls: cfg.TLS}
}

func newTunnelServer(cfg *ServerConfig, o Offer, mtu int) *tlsServer {
	m := &tlsServer{tlsEnd: newTLSEnd(o.Method, mtu), tls: cfg.TLS}
	if o.Method == TypePEAP {
		m.inner = newPEAPServer(cfg, o.Inner, &m.tlsEnd)
	} else {
		m.inner = &ttlsServer{cfg: cfg, allowed: o.Inner, outer: &m.tlsEnd}
	}
	return m
}

func (m *tlsServer) about() (string, Inner) {
	if m.inner == nil {
		return "", InnerNone
	}
	return m.inner.about()
}

func (m *tlsServer) close() {
	if m.inner != nil {
		m.inner.close()
	}
	m.tlsEnd.close()
}

// start sends the Start packet. No TLS state exists until it is answered.
func (m *tlsServer) start() step { return step{send: []byte{flagStart}} }

func (m *tlsServer) receive(data []byte) step {
	f, failure := m.frame(data)
	if failure != nil {
		return step{failure: failure}
	}
	message, reply, err := m.fragments.receive(f)
	switch {
	case err != nil:
		return fail(ReasonProtocol, "%s: %v", m.kind, err)
	case reply != nil:
		return step{send: reply}
	}
	switch m.phase {
	case phaseHandshake:
		return m.hello(message)
	case phaseAlert:
		return step{failure: m.failed}
	case phaseLastFlight:
		return m.acknowledged(message)
	default:
		return m.data(message)
	}
}

// hello feeds the handshake.
func (m *tlsServer) hello(message []byte) step {
	if len(message) == 0 {
		return fail(ReasonProtocol, "%s: an empty packet in the middle of the TLS handshake", m.kind)
	}
	if alert, ok := clearAlert(message); ok {
		return step{failure: alertFailure(alert)}
	}
	if m.pump == nil {
		m.serve(m.tls, m.inner == nil)
	}
	return m.handshake(message)
}

// done takes a job's answer: the tunnel's own, or the one of what is inside.
func (m *tlsServer) done(r Result) step {
	if m.phase == phaseTunnel {
		return m.wrap(m.inner.done(r))
	}
	h, ok := r.Value.(handshaken)
	switch {
	case r.Err != nil || !ok:
		return fail(ReasonBackend, "the TLS handshake was not run: %v", r.Err)
	case h.err != nil:
		return m.alert(h)
	case !h.complete:
		return step{send: m.send(h.flight)}
	}
	if f := m.checkKeys(m.tls); f != nil {
		return step{failure: f}
	}
	return m.completed(h.flight)
}

// alert tells the peer what TLS disliked, and waits for its acknowledgement
// before EAP-Failure (RFC 5216, Section 2.1.3).
func (m *tlsServer) alert(h handshaken) step {
	f := tlsFailure(h.err)
	if len(h.flight) == 0 {
		return step{failure: f}
	}
	m.failed, m.phase = f, phaseAlert
	return step{send: m.send(h.flight), failure: f}
}

// completed ends the handshake, in TLS 1.2 with our Finished in the flight.
func (m *tlsServer) completed(flight []byte) step {
	if m.inner == nil {
		return m.indicate(flight)
	}
	if len(flight) > 0 {
		m.phase = phaseLastFlight
		return step{send: m.send(flight)}
	}
	m.phase = phaseTunnel
	// In TLS 1.3 the peer may have sent data right after its Finished.
	plain, err := m.pump.Read()
	if err != nil {
		return step{failure: tlsFailure(err)}
	}
	return m.enter(plain)
}

// indicate sends EAP-TLS's last flight; in TLS 1.3 the protected success
// indication goes with it (RFC 9190, Section 2.5).
func (m *tlsServer) indicate(flight []byte) step {
	m.phase = phaseLastFlight
	if m.version() >= tls.VersionTLS13 {
		sealed, err := m.seal([]byte{0})
		if err != nil {
			return step{failure: tlsFailure(err)}
		}
		flight = append(flight, sealed...)
	}
	return step{send: m.send(flight)}
}

// acknowledged goes on after the last flight of the handshake.
func (m *tlsServer) acknowledged(message []byte) step {
	plain, err := m.open(message)
	switch {
	case err != nil:
		return step{failure: tlsFailure(err)}
	case m.inner != nil:
		m.phase = phaseTunnel
		return m.enter(plain)
	case len(message) > 0:
		return fail(ReasonProtocol, "EAP-TLS: %d octets where an acknowledgement was due", len(message))
	case m.verdict.verified == nil || m.verdict.verified.Identity == "":
		return fail(ReasonBackend, "a certificate was accepted without an identity")
	}
	return m.success()
}

func (m *tlsServer) enter(plain []byte) step {
	if len(plain) > 0 {
		return m.wrap(m.inner.receive(plain))
	}
	return m.wrap(m.inner.begin())
}

func (m *tlsServer) data(message []byte) step {
	plain, err := m.open(message)
	if err != nil {
		return step{failure: tlsFailure(err)}
	}
	return m.wrap(m.inner.receive(plain))
}

// wrap encrypts what the inside wants sent.
func (m *tlsServer) wrap(s step) step {
	if s.task != nil || s.success != nil || (s.failure != nil && s.send == nil) {
		return s
	}
	if len(s.send) == 0 {
		s.send = m.ack()
		return s
	}
	sealed, err := m.seal(s.send)
	if err != nil {
		return step{failure: tlsFailure(err)}
	}
	s.send = m.send(sealed)
	return s
}

// seal encrypts plain into records.
func (e *tlsEnd) seal(plain []byte) ([]byte, error) {
	if err := e.pump.Write(plain); err != nil {
		return nil, err
	}
	sealed, _, err := e.pump.Flight()
	return sealed, err
}

// open decrypts records; there may be none.
func (e *tlsEnd) open(records []byte) ([]byte, error) {
	if err := e.pump.Feed(records); err != nil {
		return nil, err
	}
	return e.pump.Read()
}

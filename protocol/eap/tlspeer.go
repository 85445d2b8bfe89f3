package eap

import (
	"bytes"
	"crypto/tls"
)

// tunneledPeer is what runs inside the peer's end of PEAP or TTLS. Its steps'
// send is plaintext for the tunnel; nil sends an empty packet.
type tunneledPeer interface {
	begin() step // TLS is up and it is our turn; may have nothing to say
	receive(identifier uint8, plain []byte) step
	done(r Result) step
	close()
	inner() Inner
}

// tlsPeer is the peer's end of EAP-TLS, and of the outer part of PEAP and TTLS.
type tlsPeer struct {
	tlsEnd
	tls    *TLS
	phase  phase
	tunnel tunneledPeer // nil for EAP-TLS
}

func newTLSPeer(cfg *PeerConfig, mtu int) *tlsPeer {
	return &tlsPeer{tlsEnd: newTLSEnd(TypeTLS, mtu), tls: cfg.TLS}
}

func newTunnelPeer(cfg *PeerConfig, o Offer, mtu int) *tlsPeer {
	m := &tlsPeer{tlsEnd: newTLSEnd(o.Method, mtu), tls: cfg.TLS}
	if o.Method == TypePEAP {
		m.tunnel = &peapPeer{cfg: cfg, allowed: o.Inner, outer: &m.tlsEnd}
	} else {
		m.tunnel = &ttlsPeer{cfg: cfg, offers: o.Inner, outer: &m.tlsEnd}
	}
	return m
}

func (m *tlsPeer) inner() Inner {
	if m.tunnel == nil {
		return InnerNone
	}
	return m.tunnel.inner()
}

func (m *tlsPeer) close() {
	if m.tunnel != nil {
		m.tunnel.close()
	}
	m.tlsEnd.close()
}

func (m *tlsPeer) receive(identifier uint8, data []byte) step {
	f, failure := m.version0(data)
	if failure != nil {
		return step{failure: failure}
	}
	if m.pump == nil {
		return m.start(f)
	}
	message, reply, err := m.fragments.receive(f)
	switch {
	case err != nil:
		return fail(ReasonProtocol, "%s: %v", m.kind, err)
	case reply != nil:
		return step{send: reply}
	case m.phase == phaseHandshake:
		return m.flight(message)
	default:
		return m.data(identifier, message)
	}
}

// version0 reads a packet. A PEAP server may begin with a higher version than
// 0 and has to take 0 for an answer (MS-PEAP, Section 3.2.5.1).
func (m *tlsPeer) version0(data []byte) (frame, *Failure) {
	if m.pump == nil && len(data) > 0 {
		data = append([]byte{data[0] &^ maskVersion}, data[1:]...)
	}
	return m.frame(data)
}

// start answers the Start packet with a ClientHello.
func (m *tlsPeer) start(f frame) step {
	if f.Flags&flagStart == 0 {
		return fail(ReasonProtocol, "%s begins without Start", m.kind)
	}
	m.connect(m.tls, m.tunnel == nil)
	return m.handshake(nil)
}

func (m *tlsPeer) flight(message []byte) step {
	if len(message) == 0 {
		return fail(ReasonProtocol, "%s: an empty packet in the middle of the TLS handshake", m.kind)
	}
	return m.handshake(message)
}

func (m *tlsPeer) done(r Result) step {
	if m.phase == phaseTunnel {
		return m.wrap(m.tunnel.done(r))
	}
	h, ok := r.Value.(handshaken)
	switch {
	case r.Err != nil || !ok:
		return fail(ReasonBackend, "the TLS handshake was not run: %v", r.Err)
	case h.err != nil:
		// Our alert, or the acknowledgement of the server's.
		return step{send: m.send(h.flight), failure: tlsFailure(h.err)}
	case !h.complete:
		return step{send: m.send(h.flight)}
	}
	if f := m.checkKeys(m.tls); f != nil {
		return step{failure: f}
	}
	return m.completed(h.flight)
}

// completed goes on after the server's Finished. In TLS 1.3 ours is in the
// flight, and whatever the server thinks of our certificate comes next.
func (m *tlsPeer) completed(flight []byte) step {
	m.phase = phaseTunnel
	switch {
	case m.verdict.verified == nil:
		return fail(ReasonBackend, "the server's certificate was not judged")
	case len(flight) > 0:
		return step{send: m.send(flight)}
	case m.tunnel == nil:
		s := m.success()
		s.send = m.ack()
		return s
	}
	return m.wrap(m.tunnel.begin())
}

// data takes what comes after the handshake.
func (m *tlsPeer) data(identifier uint8, message []byte) step {
	plain, err := m.open(message)
	switch {
	case err != nil:
		return step{send: m.ack(), failure: tlsFailure(err)}
	case m.tunnel == nil:
		return m.indicated(plain)
	case len(plain) == 0:
		return m.wrap(m.tunnel.begin())
	}
	return m.wrap(m.tunnel.receive(identifier, plain))
}

// indicated waits for the protected success indication, one octet 0: without
// it, a server that dislikes our certificate could not be told from one that
// accepts it (RFC 9190, Section 2.5). Tickets may come before it.
func (m *tlsPeer) indicated(plain []byte) step {
	switch {
	case len(plain) == 0:
		return step{send: m.ack()}
	case m.version() < tls.VersionTLS13 || !bytes.Equal(plain, []byte{0}):
		return fail(ReasonProtocol, "EAP-TLS: %d octets of data instead of the success indication", len(plain))
	}
	s := m.success()
	s.send = m.ack()
	return s
}

// wrap encrypts what the inside wants sent, along with an outcome if there is
// one.
func (m *tlsPeer) wrap(s step) step {
	if s.task != nil || (s.failure != nil && s.send == nil) {
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

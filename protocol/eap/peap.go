package eap

import (
	"encoding/binary"
	"slices"

	"sallyport/internal/secret"
)

// withoutHeader is how an inner packet travels in PEAPv0: from the Type on
// (MS-PEAP, Section 3.1.5.6).
func withoutHeader(packet []byte) []byte { return packet[headerSize:] }

// withHeader gives an inner packet its header back. Extensions and expanded
// types keep theirs, and some servers send it with Identity requests too.
func withHeader(plain []byte, code Code, identifier uint8) []byte {
	if len(plain) > headerSize && Code(plain[0]) == code && int(binary.BigEndian.Uint16(plain[2:])) == len(plain) &&
		slices.Contains([]Type{TypeIdentity, TypeExtensions, TypeExpanded}, Type(plain[headerSize])) {
		return plain
	}
	b := []byte{byte(code), identifier, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(headerSize+len(plain)))
	return append(b, plain...)
}

// checkPlain keeps the length of a packet within its header's field.
func checkPlain(plain []byte) *Failure {
	if len(plain) == 0 || len(plain) > MaxPacket-headerSize {
		return fail(ReasonProtocol, "PEAP: %d octets inside the tunnel", len(plain)).failure
	}
	return nil
}

// mustBind tells whether an inner method is nothing without crypto-binding:
// a challenge and response of MSCHAPv2 can be relayed from elsewhere.
func mustBind(i Inner) bool { return i != InnerEAPTLS }

// peapServer is the server's end of what is inside PEAPv0.
type peapServer struct {
	cfg    *ServerConfig
	outer  *tlsEnd
	inner  *nestedServer
	result nestedStep // how the inner method ended
	ended  bool       // our Result TLV is out
	ipmk   secret.Bytes
	cmk    secret.Bytes
}

func newPEAPServer(cfg *ServerConfig, inner []Inner, outer *tlsEnd) *peapServer {
	return &peapServer{cfg: cfg, outer: outer, inner: newNestedServer(cfg, inner)}
}

func (m *peapServer) about() (string, Inner) { return m.inner.about() }

func (m *peapServer) close() {
	m.inner.Close()
	m.result.clearKeys()
	m.ipmk.Clear()
	m.cmk.Clear()
}

func (m *peapServer) begin() step { return m.convert(m.inner.begin()) }

func (m *peapServer) done(r Result) step { return m.convert(m.inner.finish(r)) }

func (m *peapServer) receive(plain []byte) step {
	if f := checkPlain(plain); f != nil {
		return step{failure: f}
	}
	if m.inner.state == idle {
		return fail(ReasonProtocol, "PEAP: the peer speaks before it is asked")
	}
	packet := withHeader(plain, CodeResponse, m.inner.id)
	if m.ended {
		return m.conclude(packet)
	}
	return m.convert(m.inner.receive(packet))
}

// convert turns what the inner conversation wants into a step; its end into
// the Result and Crypto-Binding TLVs (MS-PEAP, Section 3.3.5.5).
func (m *peapServer) convert(s nestedStep) step {
	switch {
	case s.task != nil:
		return step{task: s.task}
	case s.success != nil:
		m.result, m.ended = s, true
		return m.bind()
	case s.failure != nil:
		m.result = s
	}
	if !m.inner.Over() {
		return step{send: withoutHeader(s.packet), failure: s.failure}
	}
	m.ended = true
	last := m.extend(extensions{Result: resultFailure})
	last.failure = m.result.failure
	return last
}

func (m *peapServer) bind() step {
	keys, err := m.outer.keyMaterial()
	if err != nil {
		return fail(ReasonBackend, "no keys: %v", err)
	}
	defer keys.Clear()
	m.ipmk, m.cmk = compoundKeys(keys, m.result.success.MSK)
	return m.extend(extensions{Result: resultSuccess, Binding: newBinding(bindingRequest, m.cfg.random(nonceSize), m.cmk)})
}

// extend sends an Extensions packet, which has its header.
func (m *peapServer) extend(x extensions) step {
	m.inner.id++
	p := Packet{Code: CodeRequest, Identifier: m.inner.id, Type: TypeExtensions, Data: x.append(nil)}
	return step{send: p.Append(nil)}
}

// conclude judges the answer to our TLVs.
func (m *peapServer) conclude(packet []byte) step {
	if m.result.failure != nil {
		return step{failure: m.result.failure} // whatever the peer says to it
	}
	p, err := Parse(packet)
	if err != nil || p.Type != TypeExtensions || p.Identifier != m.inner.id {
		return fail(ReasonProtocol, "PEAP: the result was not acknowledged: %s, %v", p.Type, err)
	}
	x, err := parseExtensions(p.Data)
	inner := m.result.success.Inner
	switch {
	case err != nil:
		return fail(ReasonProtocol, "%v", err)
	case x.Result != resultSuccess:
		f := fail(ReasonRefused, "PEAP: the peer does not agree to the success")
		f.failure.ByPeer = true
		return f
	case x.Binding == nil && mustBind(inner):
		f := fail(ReasonCryptoBinding, "PEAP: the peer did not bind %s to the tunnel; it could be relayed from elsewhere", inner)
		f.failure.Hint = "switch crypto-binding on at the peer, or use EAP-TLS inside"
		return f
	case x.Binding != nil && !x.Binding.verify(bindingResponse, m.cmk):
		return fail(ReasonCryptoBinding, "PEAP: the peer's crypto-binding is wrong; somebody may sit between")
	}
	return m.success(x.Binding != nil)
}

func (m *peapServer) success(bound bool) step {
	s := m.outer.success()
	if s.failure != nil {
		return s
	}
	inner := m.result.success
	s.success.Identity, s.success.Value, s.success.Chain, s.success.Inner = inner.Identity, inner.Value, inner.Chain, inner.Inner
	if bound {
		s.success.bindTo(m.ipmk)
	}
	return s
}

// bindTo replaces the keys of the tunnel by those of tunnel and inner method.
func (s *Success) bindTo(ipmk secret.Bytes) {
	csk := sessionKey(ipmk)
	s.MSK, s.EMSK = csk[:mskSize:mskSize], csk[mskSize:]
}

// peapPeer is the peer's end of what is inside PEAPv0.
type peapPeer struct {
	cfg     *PeerConfig
	allowed []Inner
	outer   *tlsEnd
	nested  *nestedPeer
}

func (m *peapPeer) inner() Inner {
	if m.nested == nil {
		return InnerNone
	}
	return innerOf(m.nested.current)
}

func (m *peapPeer) close() {
	if m.nested != nil {
		m.nested.Close()
	}
}

// begin has nothing to say: the server speaks first.
func (m *peapPeer) begin() step { return step{} }

func (m *peapPeer) done(r Result) step { return m.convert(m.nested.finish(r)) }

func (m *peapPeer) receive(identifier uint8, plain []byte) step {
	if f := checkPlain(plain); f != nil {
		return step{failure: f}
	}
	if m.nested == nil {
		m.nested = newNestedPeer(m.cfg, m.allowed)
	}
	packet := withHeader(plain, CodeRequest, identifier)
	if p, err := Parse(packet); err == nil && p.Type == TypeExtensions {
		return m.extended(p)
	}
	return m.convert(m.nested.receive(packet))
}

func (m *peapPeer) convert(s nestedStep) step {
	st := step{task: s.task, failure: s.failure}
	if s.packet != nil {
		st.send = withoutHeader(s.packet)
	}
	return st
}

// extended answers the server's Result and Crypto-Binding TLVs (MS-PEAP,
// Section 3.2.5.5).
func (m *peapPeer) extended(p Packet) step {
	x, err := parseExtensions(p.Data)
	inner := m.inner()
	switch {
	case err != nil:
		return m.refuse(p, fail(ReasonProtocol, "%v", err).failure)
	case x.Result != resultSuccess:
		f := fail(ReasonRefused, "the server refused the login inside PEAP").failure
		f.ByPeer = true
		return m.refuse(p, f)
	case m.nested.ready == nil:
		return m.refuse(p, fail(ReasonEarlySuccess, "PEAP: the server says success before %s had succeeded", named(inner)).failure)
	case x.Binding == nil && mustBind(inner):
		f := fail(ReasonCryptoBinding, "PEAP: the server did not bind %s to the tunnel; the login could be relayed", inner).failure
		f.Hint = "switch crypto-binding on at the server, or use EAP-TLS inside"
		return m.refuse(p, f)
	}
	return m.agree(p, x)
}

func named(i Inner) string {
	if i == InnerNone {
		return "any method"
	}
	return i.String()
}

// agree checks the binding and gives ours.
func (m *peapPeer) agree(p Packet, x extensions) step {
	s := m.outer.success()
	if s.failure != nil {
		return s
	}
	s.success.Inner = m.inner()
	answer := extensions{Result: resultSuccess}
	if x.Binding != nil {
		keys, err := m.outer.keyMaterial()
		if err != nil {
			return fail(ReasonBackend, "no keys: %v", err)
		}
		ipmk, cmk := compoundKeys(keys, m.nested.ready.MSK)
		keys.Clear()
		defer ipmk.Clear()
		defer cmk.Clear()
		if !x.Binding.verify(bindingRequest, cmk) {
			return m.refuse(p, fail(ReasonCryptoBinding, "PEAP: the server's crypto-binding is wrong; somebody may sit between").failure)
		}
		answer.Binding = newBinding(bindingResponse, random(m.cfg.rand, nonceSize), cmk)
		s.success.bindTo(ipmk)
	}
	s.send = m.extension(p, answer)
	return s
}

func (m *peapPeer) refuse(p Packet, f *Failure) step {
	return step{send: m.extension(p, extensions{Result: resultFailure}), failure: f}
}

func (m *peapPeer) extension(request Packet, x extensions) []byte {
	return Packet{Code: CodeResponse, Identifier: request.Identifier, Type: TypeExtensions, Data: x.append(nil)}.Append(nil)
}

package eap

import (
	"bytes"
	"crypto/subtle"
	"slices"

	"sallyport/protocol/eap/mschapv2"
)

// challengeLabel derives what MSCHAPv2 is challenged with, so that neither end
// chooses (RFC 5281, Section 11.1).
const challengeLabel = "ttls challenge"

// implicitChallenge is the challenge and the identifier of MSCHAPv2 inside
// TTLS (RFC 5281, Section 11.2.4).
func (e *tlsEnd) implicitChallenge() (challenge []byte, ident uint8, err error) {
	b, err := e.pump.Export(challengeLabel, nil, mschapv2.ChallengeSize+1)
	if err != nil {
		return nil, 0, err
	}
	return b[:mschapv2.ChallengeSize], b[mschapv2.ChallengeSize], nil
}

// ms2ResponseSize is MS-CHAP2-Response: Ident, Flags, Peer-Challenge, Reserved
// and Response (RFC 2548, Section 2.3.2).
const ms2ResponseSize = 2 + mschapv2.ChallengeSize + 8 + mschapv2.ResponseSize

// ttlsServer is the server's end of what is inside TTLS.
type ttlsServer struct {
	cfg      *ServerConfig
	allowed  []Inner
	outer    *tlsEnd
	inner    Inner // what the peer chose
	user     string
	nested   *nestedServer
	refused  *Failure // by the inner EAP
	exchange mschapv2.Exchange
	response []byte
	ident    uint8
	result   step // MS-CHAP2-Success is out, to be acknowledged
}

func (m *ttlsServer) about() (string, Inner) {
	if m.nested != nil {
		return m.nested.about()
	}
	return m.user, m.inner
}

func (m *ttlsServer) close() {
	if m.nested != nil {
		m.nested.Close()
	}
	m.exchange.NTHash.Clear()
}

// begin has nothing to say: the peer speaks first.
func (m *ttlsServer) begin() step { return step{} }

func (m *ttlsServer) receive(plain []byte) step {
	if m.result.success != nil {
		return m.acknowledged(plain)
	}
	set, f := avpSet(plain)
	if f != nil {
		return step{failure: f}
	}
	_, password := set[avpUserPassword]
	_, response := set[avpMSCHAP2Answer]
	_, packet := set[avpEAPMessage]
	switch {
	case m.nested != nil && packet:
		return m.convert(m.nested.receive(set[avpEAPMessage]))
	case m.inner != InnerNone:
		return fail(ReasonProtocol, "TTLS: a second login")
	case packet:
		return m.startEAP(set)
	case response:
		return m.startMSCHAP(set)
	case password:
		return m.startPAP(set)
	}
	return fail(ReasonNoCommonMethod, "TTLS: the peer sent neither EAP nor MSCHAPv2 nor PAP")
}

// choose checks that a method is allowed.
func (m *ttlsServer) choose(i Inner) *Failure {
	if m.inner = i; slices.Contains(m.allowed, i) {
		return nil
	}
	return m.refuse(i.String())
}

func (m *ttlsServer) refuse(what string) *Failure {
	f := fail(ReasonNoCommonMethod, "TTLS: the peer uses %s inside; allowed is %v", what, m.allowed).failure
	f.Hint = "set the peer's inner (phase 2) method to one that is allowed"
	return f
}

// admit checks that a method without EAP is allowed, and takes the User-Name.
func (m *ttlsServer) admit(i Inner, set map[avpKey][]byte) *Failure {
	name := set[avpUserName]
	m.user = string(name[:min(len(name), MaxIdentity)])
	if len(name) == 0 || len(name) > MaxIdentity {
		return fail(ReasonProtocol, "TTLS: a user name of %d octets", len(name)).failure
	}
	return m.choose(i)
}

// startEAP takes the peer's unasked Identity and begins an inner conversation.
func (m *ttlsServer) startEAP(set map[avpKey][]byte) step {
	p, err := Parse(set[avpEAPMessage])
	if err != nil || p.Code != CodeResponse || p.Type != TypeIdentity {
		return fail(ReasonProtocol, "TTLS: inner EAP begins with %s %s, not with an identity: %v", p.Code, p.Type, err)
	}
	if m.nested = newNestedServer(m.cfg, m.allowed); m.nested == nil {
		return step{failure: m.refuse("EAP")}
	}
	return m.convert(m.nested.beginWith(p))
}

func (m *ttlsServer) convert(s nestedStep) step {
	switch {
	case s.task != nil:
		return step{task: s.task}
	case s.success != nil:
		defer s.clearKeys()
		return m.success(*s.success)
	case s.failure != nil:
		m.refused = s.failure
	}
	if m.nested.Over() {
		return step{failure: m.refused}
	}
	return step{send: appendAVP(nil, avpEAPMessage, s.packet), failure: s.failure}
}

// startPAP asks whether the password is right. It is padded with NULs to a
// multiple of 16 octets (RFC 5281, Section 11.2.5).
func (m *ttlsServer) startPAP(set map[avpKey][]byte) step {
	if f := m.admit(InnerPAP, set); f != nil {
		return step{failure: f}
	}
	password := bytes.TrimRight(set[avpUserPassword], "\x00")
	return step{task: CheckPassword{User: m.user, Password: bytes.Clone(password)}}
}

// startMSCHAP takes a response to the challenge that both ends derived. One to
// any other challenge may come from anywhere.
func (m *ttlsServer) startMSCHAP(set map[avpKey][]byte) step {
	if f := m.admit(InnerMSCHAPv2, set); f != nil {
		return step{failure: f}
	}
	challenge, ident, err := m.outer.implicitChallenge()
	if err != nil {
		return fail(ReasonBackend, "no challenge: %v", err)
	}
	r := set[avpMSCHAP2Answer]
	switch {
	case len(r) != ms2ResponseSize:
		return fail(ReasonProtocol, "TTLS: an MS-CHAP2-Response of %d octets", len(r))
	case subtle.ConstantTimeCompare(set[avpMSChallenge], challenge) != 1 || r[0] != ident:
		return fail(ReasonProtocol, "TTLS: the response is to a challenge that is not this tunnel's; it may be relayed")
	}
	m.ident = ident
	m.exchange = mschapv2.Exchange{User: m.user, Authenticator: challenge, Peer: r[2 : 2+mschapv2.ChallengeSize]}
	m.response = r[ms2ResponseSize-mschapv2.ResponseSize:]
	return step{task: LookupPassword{User: m.user}}
}

func (m *ttlsServer) done(r Result) step {
	switch {
	case m.nested != nil:
		return m.convert(m.nested.finish(r))
	case m.inner == InnerPAP:
		return m.judgePAP(r)
	}
	return m.judgeMSCHAP(r)
}

func (m *ttlsServer) judgePAP(r Result) step {
	if r.Err != nil {
		return step{failure: asRefusal(r.Err, ReasonBackend).failure()}
	}
	v, ok := r.Value.(Verified)
	if !ok || v.Identity == "" {
		return fail(ReasonBackend, "the password was accepted without an identity")
	}
	return m.success(Success{Identity: v.Identity, Value: v.Value, Inner: InnerPAP})
}

func (m *ttlsServer) judgeMSCHAP(r Result) step {
	account, unknown, err := judgeAccount(r, m.cfg.random(mschapv2.HashSize))
	if err != nil {
		return fail(ReasonBackend, "the account could not be looked up: %v", err)
	}
	m.exchange.NTHash = account.NTHash
	verdict := proveMSCHAP(&m.exchange, m.response, unknown)
	if verdict.failure != nil {
		return step{failure: verdict.failure}
	}
	m.result = m.success(Success{Identity: account.Identity, Inner: InnerMSCHAPv2})
	if m.result.failure != nil {
		return m.result
	}
	return step{send: appendAVP(nil, avpMSCHAP2Proof, append([]byte{m.ident}, verdict.proof...))}
}

// acknowledged takes the empty packet by which the peer accepts our proof (RFC
// 5281, Section 11.2.4).
func (m *ttlsServer) acknowledged(plain []byte) step {
	if len(plain) > 0 {
		f := fail(ReasonRefused, "TTLS: the peer did not accept our proof of knowing its password")
		f.failure.ByPeer = true
		return f
	}
	return m.result
}

// success joins who was authenticated inside with the keys of the tunnel.
func (m *ttlsServer) success(inner Success) step {
	s := m.outer.success()
	if s.failure != nil {
		return s
	}
	s.success.Identity, s.success.Value, s.success.Chain, s.success.Inner = inner.Identity, inner.Value, inner.Chain, inner.Inner
	return s
}

// ttlsPeer is the peer's end of what is inside TTLS. It offers one method:
// TTLS has no negotiation but that of inner EAP.
type ttlsPeer struct {
	cfg      *PeerConfig
	offers   []Inner
	outer    *tlsEnd
	begun    bool
	nested   *nestedPeer
	exchange *mschapv2.Exchange
	response []byte
	ident    uint8
}

func (m *ttlsPeer) inner() Inner {
	if m.nested != nil {
		return innerOf(m.nested.current)
	}
	return m.offers[0]
}

func (m *ttlsPeer) close() {
	if m.nested != nil {
		m.nested.Close()
	}
	if m.exchange != nil {
		m.exchange.NTHash.Clear()
	}
}

// begin logs in. TLS has verified the server by now, so the password may go.
func (m *ttlsPeer) begin() step {
	if m.begun {
		return step{}
	}
	m.begun = true
	switch m.offers[0] {
	case InnerPAP:
		return m.beginPAP()
	case InnerMSCHAPv2:
		return m.beginMSCHAP()
	}
	m.nested = newNestedPeer(m.cfg, m.offers)
	// An Identity request is taken as given (RFC 5281, Section 11.2.1).
	return m.convert(m.nested.receive(Packet{Code: CodeRequest, Type: TypeIdentity}.Append(nil)))
}

func (m *ttlsPeer) beginPAP() step {
	password := bytes.Clone(m.cfg.Password)
	password = append(password, make([]byte, -len(password)&15)...)
	s := m.outer.success()
	if s.success != nil {
		s.success.Inner = InnerPAP
		s.send = appendAVP(appendAVP(nil, avpUserName, []byte(m.cfg.user())), avpUserPassword, password)
	}
	return s
}

func (m *ttlsPeer) beginMSCHAP() step {
	challenge, ident, err := m.outer.implicitChallenge()
	if err != nil {
		return fail(ReasonBackend, "no challenge: %v", err)
	}
	e, response, err := answerMSCHAP(m.cfg, challenge, random(m.cfg.rand, mschapv2.ChallengeSize))
	if err != nil {
		return fail(ReasonBackend, "%v", err)
	}
	m.exchange, m.response, m.ident = e, response, ident
	r := append(append([]byte{ident, 0}, e.Peer...), make([]byte, 8)...)
	b := appendAVP(appendAVP(nil, avpUserName, []byte(e.User)), avpMSChallenge, challenge)
	return step{send: appendAVP(b, avpMSCHAP2Answer, append(r, response...))}
}

func (m *ttlsPeer) receive(_ uint8, plain []byte) step {
	set, f := avpSet(plain)
	if f != nil {
		return step{failure: f}
	}
	proof, packet, text := set[avpMSCHAP2Proof], set[avpEAPMessage], set[avpMSCHAPError]
	switch {
	case !m.begun:
		return fail(ReasonProtocol, "TTLS: the server speaks before it is asked")
	case m.nested != nil && packet != nil:
		return m.convert(m.nested.receive(packet))
	case m.exchange != nil && proof != nil:
		return m.proven(proof)
	case m.exchange != nil && text != nil:
		reason, words := failureText(text[min(1, len(text)):])
		return step{send: []byte{}, failure: &Failure{Reason: reason, Text: words, ByPeer: true}}
	}
	return fail(ReasonProtocol, "TTLS: the server's attributes answer nothing")
}

// proven checks the server's proof; an empty packet accepts it.
func (m *ttlsPeer) proven(proof []byte) step {
	if len(proof) == 0 || proof[0] != m.ident {
		return fail(ReasonProtocol, "TTLS: an MS-CHAP2-Success of another exchange")
	}
	if f := checkProof(m.exchange, m.response, proof[1:]); f != nil {
		return step{failure: f}
	}
	s := m.outer.success()
	if s.success != nil {
		s.success.Inner = InnerMSCHAPv2
	}
	return s
}

func (m *ttlsPeer) done(r Result) step { return m.convert(m.nested.finish(r)) }

// convert turns what the inner conversation wants into a step. Its success is
// ours: what remains is the server's word, EAP-Success.
func (m *ttlsPeer) convert(s nestedStep) step {
	st := step{task: s.task, failure: s.failure}
	if s.packet != nil {
		st.send = appendAVP(nil, avpEAPMessage, s.packet)
	}
	if m.nested.ready == nil || st.failure != nil {
		return st
	}
	outer := m.outer.success()
	if outer.failure != nil {
		return outer
	}
	outer.success.Inner = m.inner()
	outer.send = st.send
	return outer
}

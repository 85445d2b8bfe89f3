package ike

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// handshake is what only the set-up needs. It is dropped once the session is
// established.
type handshake struct {
	proofs, required proof

	initRequest, initResponse []byte // octets as on the wire: AUTH covers them
	nonceI, nonceR            []byte
	ke                        suite.KeyExchange
	peerKE                    []byte
	authKeys                  authKeys
	hashes                    []uint16 // the peer's SIGNATURE_HASH_ALGORITHMS
	initialContact            bool
	seen                      signs // in the peer's IKE_SA_INIT request
	peer                      ikemsg.ID
	admission                 *Admission
	eap                       *eapState // nil without EAP

	// Initiator only.
	connect *Connect
	init    *initExchange
	refusal *Record // an unauthenticated refusal, believed only when nothing better comes
}

func (h *handshake) clear() {
	h.authKeys.clear()
	h.eap.clear()
}

// Limits of IKE_SA_INIT.
const (
	nonceSize    = 32              // over half of any PRF's key (RFC 7296, Section 2.10)
	maxCookie    = 64              // Section 2.6
	maxRounds    = 5               // COOKIE and INVALID_KE_PAYLOAD answers to one set-up (trap 3)
	refusalGrace = 3 * time.Second // for a true answer after an unauthenticated refusal
	maxHashes    = 16              // SIGNATURE_HASH_ALGORITHMS we keep
)

// ---- Responder

// receiveInitRequest answers an IKE_SA_INIT request. Refusals leave no state.
func (s *Session) receiveInitRequest(now time.Time, d Datagram, out *Out) {
	s.sa = &ikeSA{}
	s.hs.initRequest = slices.Clone(d.Data)
	s.hs.required = proofsOfResponder
	m, err := ikemsg.Parse(s.hs.initRequest)
	if err != nil || !initRequestShape(m) {
		s.end(now, ClosedProtocol, fmt.Errorf("ike: %v: IKE_SA_INIT request: malformed", d.Remote), out)
		return
	}
	s.sa.spiI = m.Header.SPIi
	s.hs.seen = signsOf(m.Payloads)
	s.kind = judge(s.hs.seen, false)
	choice, ok := s.chooseInit(now, m, d, out)
	if !ok {
		return
	}
	s.readInit(m, choice)
	s.sa.spiR = s.cfg.NewSPI()
	out.Events = append(out.Events, SPIAdded{s.sa.spiR})
	s.detectNAT(m.Header.SPIi, 0, m.Payloads, s.path)
	s.await(now, GenerateKE{choice.Of(suite.KE)}, out, func(now time.Time, r Result, out *Out) {
		s.answerInit(now, m, choice, r, out)
	})
}

// initRequestShape: Section 1.2, and the rules of Sections 2.2 and 3.1 for a
// first message (trap 28).
func initRequestShape(m *ikemsg.Message) bool {
	h := m.Header
	_, sa := ikemsg.Find[*ikemsg.SA](m.Payloads)
	_, ke := ikemsg.Find[*ikemsg.KE](m.Payloads)
	_, nonce := ikemsg.Find[*ikemsg.Nonce](m.Payloads)
	return sa && ke && nonce && h.Exchange == ikemsg.ExchangeIKESAInit && h.SPIi != 0 && h.SPIr == 0 && h.MessageID == 0 &&
		h.Flags&ikemsg.FlagInitiator != 0 && h.Flags&ikemsg.FlagResponse == 0
}

// chooseInit negotiates, or answers why not and ends the session.
func (s *Session) chooseInit(now time.Time, m *ikemsg.Message, d Datagram, out *Out) (Choice, bool) {
	refuse := func(t ikemsg.NotifyType, data []byte) {
		s.sendInitNotify(m.Header, t, data, out)
		s.end(now, ClosedRefused, fmt.Errorf("ike: %v: IKE_SA_INIT: answered %v", d.Remote, t), out)
	}
	if t, bad := criticalUnknown(m.Payloads); bad {
		refuse(ikemsg.NotifyUnsupportedCriticalPayload, []byte{byte(t)})
		return Choice{}, false
	}
	sa, _ := ikemsg.Find[*ikemsg.SA](m.Payloads)
	ke, _ := ikemsg.Find[*ikemsg.KE](m.Payloads)
	terms := Terms{Group: ke.Group, PeerOrder: s.kind.quirks().peerOrder, GroupInAll: s.kind.quirks().groupInAll}
	choice, ok := Negotiate(s.cfg.Policy.IKE, sa.Proposals, terms)
	if !ok {
		out.Events = append(out.Events, Refused{s.proposalRecord(now, StageInit, s.cfg.Policy.IKE, sa.Proposals, terms)})
		refuse(ikemsg.NotifyNoProposalChosen, nil)
		return Choice{}, false
	}
	group := choice.Of(suite.KE)
	if group.ID != ke.Group {
		refuse(ikemsg.NotifyInvalidKEPayload, binary.BigEndian.AppendUint16(nil, group.ID))
		return Choice{}, false
	}
	if len(ke.Data) != suite.PublicSize(group) {
		s.end(now, ClosedProtocol, fmt.Errorf("ike: %v: IKE_SA_INIT: KE payload has %d octets, %v has %d", d.Remote, len(ke.Data), group, suite.PublicSize(group)), out)
		return Choice{}, false
	}
	return choice, true
}

// sendInitNotify answers without making state: our SPI is zero (Section 2.6).
func (s *Session) sendInitNotify(h ikemsg.Header, t ikemsg.NotifyType, data []byte, out *Out) {
	if b, err := initNotify(h, t, data); err == nil {
		out.Send = append(out.Send, Datagram{Local: s.path.local, Remote: s.path.remote, Data: b})
	}
}

func initNotify(h ikemsg.Header, t ikemsg.NotifyType, data []byte) ([]byte, error) {
	answer := ikemsg.Message{
		Header:   ikemsg.Header{SPIi: h.SPIi, Major: ikemsg.Version, Exchange: h.Exchange, Flags: ikemsg.FlagResponse, MessageID: h.MessageID},
		Payloads: []ikemsg.Payload{&ikemsg.Notify{Type: t, Data: data}},
	}
	return answer.Append(nil)
}

// readInit takes what both roles keep from the other's IKE_SA_INIT.
func (s *Session) readInit(m *ikemsg.Message, choice Choice) {
	ke, _ := ikemsg.Find[*ikemsg.KE](m.Payloads)
	nonce, _ := ikemsg.Find[*ikemsg.Nonce](m.Payloads)
	s.sa.suite = choice.IKE()
	s.hs.peerKE = ke.Data
	if s.role == Responder {
		s.hs.nonceI = nonce.Data
	} else {
		s.hs.nonceR = nonce.Data
	}
	_, can := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyFragmentationSupported)
	s.fragment = can && !s.cfg.Policy.NoFragmentation
	if n, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifySignatureHashAlgorithms); ok {
		s.hs.hashes = readHashes(n.Data)
	}
}

func readHashes(b []byte) []uint16 {
	out := []uint16{}
	for ; len(b) >= 2 && len(out) < maxHashes; b = b[2:] {
		out = append(out, binary.BigEndian.Uint16(b))
	}
	return out
}

// abilities are the notifies of RFC 7383, Section 2.3 and RFC 7427, Section 4.
func (s *Session) abilities() []ikemsg.Payload {
	var hashes []byte
	for _, h := range suite.OfferedHashes() {
		hashes = binary.BigEndian.AppendUint16(hashes, h)
	}
	ps := []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifySignatureHashAlgorithms, Data: hashes}}
	if !s.cfg.Policy.NoFragmentation {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyFragmentationSupported})
	}
	return ps
}

// answerInit sends the IKE_SA_INIT response. No key is derived yet: that waits
// for a real IKE_AUTH (trap 1).
func (s *Session) answerInit(now time.Time, m *ikemsg.Message, choice Choice, r Result, out *Out) {
	ke, err := value[suite.KeyExchange](r)
	if err != nil {
		s.end(now, ClosedInternal, fmt.Errorf("ike: %v: no key pair: %w", s.path.remote, err), out)
		return
	}
	s.hs.ke, s.hs.nonceR = ke, s.newNonce()
	ps := []ikemsg.Payload{
		choice.payload(ikemsg.ProtoIKE, nil),
		&ikemsg.KE{Group: choice.Of(suite.KE).ID, Data: ke.Public()},
		&ikemsg.Nonce{Data: s.hs.nonceR},
	}
	if _, can := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyNATDetectionSourceIP); can {
		ps = append(ps, s.natPayloads(s.sa.spiI, s.sa.spiR, s.path)...)
	}
	ps = append(ps, s.abilities()...)
	if len(s.cfg.Authorities) > 0 {
		ps = append(ps, s.certReqWithin(m, choice))
	}
	answer := ikemsg.Message{Header: s.sa.header(ikemsg.ExchangeIKESAInit, 0, true), Payloads: ps}
	if s.hs.initResponse, err = answer.Append(nil); err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.phase, s.sa.nextIn = phaseAuth, 1
	sendTo(s.path, [][]byte{s.hs.initResponse}, out)
}

func (s *Session) certReq() *ikemsg.CertReq {
	return &ikemsg.CertReq{Encoding: ikemsg.CertX509Signature, Authorities: s.cfg.Authorities}
}

// certReqWithin names as many trust anchors as keep the answer shorter than a
// request without cookie, and at least one: without CERTREQ NetworkManager
// sends no certificate. The Front made sure of the room for one.
func (s *Session) certReqWithin(m *ikemsg.Message, choice Choice) *ikemsg.CertReq {
	req := s.certReq()
	if _, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyCookie); !ok {
		const one = 20 // SHA-1
		room := max(0, int(m.Header.Length)-answerSize(choice.Of(suite.KE)))
		req.Authorities = req.Authorities[:min(len(req.Authorities), one+room/one*one)]
	}
	return req
}

func (s *Session) newNonce() []byte {
	n := make([]byte, nonceSize)
	s.cfg.random(n)
	return n
}

// receiveInit takes IKE_SA_INIT datagrams of an existing session: for a
// responder a retransmission, for an initiator the answer.
func (s *Session) receiveInit(now time.Time, h ikemsg.Header, d Datagram, out *Out) {
	switch {
	case s.hs == nil:
	case s.role == Responder:
		if s.phase == phaseAuth && bytes.Equal(d.Data, s.hs.initRequest) {
			sendTo(path{d.Local, d.Remote}, [][]byte{s.hs.initResponse}, out)
		}
	case s.phase == phaseInit && s.sa.pending != nil && h.SPIi == s.sa.spiI && h.MessageID == 0 &&
		h.Flags&ikemsg.FlagResponse != 0 && h.Flags&ikemsg.FlagInitiator == 0:
		s.hs.init.receive(s, now, d, out)
	}
}

// ---- Initiator

// initExchange is our IKE_SA_INIT with its retries.
type initExchange struct {
	group  suite.Transform
	tried  []suite.Transform
	cookie []byte
	rounds int
	offer  *ikemsg.SA
}

func (s *Session) startInit(now time.Time, c Connect, out *Out) {
	s.sa = &ikeSA{initiator: true, spiI: s.cfg.NewSPI()}
	s.hs.connect, s.hs.required = &c, proofsOfInitiator
	s.hs.nonceI = s.newNonce()
	ex := &initExchange{offer: offer(s.cfg.Policy.IKE, ikemsg.ProtoIKE, nil, false)}
	s.hs.init = ex
	out.Events = append(out.Events, SPIAdded{s.sa.spiI})
	gs := groups(s.cfg.Policy.IKE)
	if len(gs) == 0 || c.Identity == nil || c.Child == nil || c.EAP && s.cfg.NewEAP == nil {
		s.end(now, ClosedInternal, fmt.Errorf("ike: nothing to connect with: key exchange, identity, child policy or EAP is missing"), out)
		return
	}
	ex.start(s, now, gs[0], out)
}

// start makes a key pair of the group and sends the request.
func (ex *initExchange) start(s *Session, now time.Time, group suite.Transform, out *Out) {
	ex.group, ex.tried = group, append(ex.tried, group)
	s.await(now, GenerateKE{group}, out, func(now time.Time, r Result, out *Out) {
		ke, err := value[suite.KeyExchange](r)
		if err != nil {
			s.end(now, ClosedInternal, fmt.Errorf("ike: no key pair: %w", err), out)
			return
		}
		s.hs.ke = ke
		ex.send(s, now, out)
	})
}

// send sends the request as it now has to be. Message ID, SPI and nonce stay
// the same through all retries (trap 3).
func (ex *initExchange) send(s *Session, now time.Time, out *Out) {
	var ps []ikemsg.Payload
	if ex.cookie != nil {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyCookie, Data: ex.cookie})
	}
	ps = append(ps, ex.offer, &ikemsg.KE{Group: ex.group.ID, Data: s.hs.ke.Public()}, &ikemsg.Nonce{Data: s.hs.nonceI})
	ps = append(ps, s.natPayloads(s.sa.spiI, 0, s.path)...)
	ps = append(ps, s.abilities()...)
	ps = append(ps, &ikemsg.VendorID{Data: vidSallyport})
	m := ikemsg.Message{Header: s.sa.header(ikemsg.ExchangeIKESAInit, 0, false), Payloads: ps}
	b, err := m.Append(nil)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.hs.initRequest = b // AUTH covers the last request sent (trap 3)
	s.transmit(now, s.sa, ex, [][]byte{b}, out)
}

// receive takes an answer. It is not authenticated: what does not fit is as
// if it had not come.
func (ex *initExchange) receive(s *Session, now time.Time, d Datagram, out *Out) {
	data := slices.Clone(d.Data)
	m, err := ikemsg.Parse(data)
	if err != nil {
		return
	}
	if _, bad := criticalUnknown(m.Payloads); bad {
		return
	}
	if _, ok := ikemsg.Find[*ikemsg.SA](m.Payloads); ok {
		ex.chosen(s, now, m, data, out)
		return
	}
	for n := range ikemsg.All[*ikemsg.Notify](m.Payloads) {
		switch {
		case n.Type == ikemsg.NotifyCookie:
			ex.retryCookie(s, now, n.Data, out)
			return
		case n.Type == ikemsg.NotifyInvalidKEPayload:
			ex.retryGroup(s, now, n.Data, out)
			return
		case n.Type.Error():
			ex.refused(s, now, n, out)
			return
		}
	}
}

// retryCookie (Section 2.6).
func (ex *initExchange) retryCookie(s *Session, now time.Time, cookie []byte, out *Out) {
	if len(cookie) == 0 || len(cookie) > maxCookie || ex.rounds == maxRounds {
		return
	}
	ex.rounds++
	ex.cookie = cookie
	ex.send(s, now, out)
}

// retryGroup (Section 1.3). A group that we did not offer, or that was tried,
// is a downgrade or a loop (trap 4).
func (ex *initExchange) retryGroup(s *Session, now time.Time, data []byte, out *Out) {
	group, ok := offeredGroup(data, groups(s.cfg.Policy.IKE), ex.tried)
	if !ok || ex.rounds == maxRounds {
		return
	}
	ex.rounds++
	s.sa.pending = nil
	ex.start(s, now, group, out)
}

// offeredGroup reads INVALID_KE_PAYLOAD: the group must be one we offered and
// have not tried.
func offeredGroup(data []byte, offered, tried []suite.Transform) (suite.Transform, bool) {
	if len(data) != 2 {
		return suite.Transform{}, false
	}
	group := suite.Transform{Type: suite.KE, ID: binary.BigEndian.Uint16(data)}
	return group, slices.Contains(offered, group) && !slices.Contains(tried, group)
}

// refused: anybody could have sent it (Section 2.21.1), so it only shortens
// the wait for a better answer.
func (ex *initExchange) refused(s *Session, now time.Time, n *ikemsg.Notify, out *Out) {
	if s.hs.refusal != nil {
		return
	}
	r := s.refusedByPeer(now, StageInit, n, s.cfg.Policy.IKE)
	s.hs.refusal = &r
	s.limit = now.Add(refusalGrace)
}

// unanswered: no copy of the request was answered, or only by a refusal.
func (ex *initExchange) unanswered(s *Session, now time.Time, out *Out) {
	if s.hs.refusal != nil {
		s.phaseOver(now, out)
		return
	}
	s.end(now, ClosedTimeout, fmt.Errorf("ike: %v does not answer on UDP port %d: is the address right, and do firewalls let UDP 500 and 4500 pass", s.path.remote.Addr(), s.path.remote.Port()), out)
}

// answered is not reached: IKE_SA_INIT has no keys, so receive takes it.
func (ex *initExchange) answered(*Session, time.Time, *ikeSA, *inbound, *Out) {}

// chosen takes the responder's choice and goes on to IKE_AUTH.
func (ex *initExchange) chosen(s *Session, now time.Time, m *ikemsg.Message, data []byte, out *Out) {
	sa, _ := ikemsg.Find[*ikemsg.SA](m.Payloads)
	ke, okKE := ikemsg.Find[*ikemsg.KE](m.Payloads)
	_, okNonce := ikemsg.Find[*ikemsg.Nonce](m.Payloads)
	choice, err := accept(ex.offer, sa)
	if err != nil || !okKE || !okNonce || m.Header.SPIr == 0 || ke.Group != ex.group.ID || choice.Of(suite.KE) != ex.group {
		return
	}
	s.await(now, SharedSecret{s.hs.ke, ke.Data}, out, func(now time.Time, r Result, out *Out) {
		shared, err := value[secret.Bytes](r)
		if err != nil {
			return // a forged public value does not spoil the key pair; wait on
		}
		s.sa.pending, s.sa.nextOut, s.sa.spiR = nil, 1, m.Header.SPIr
		s.hs.initResponse, s.hs.refusal, s.limit = data, nil, time.Time{}
		s.kind = judge(signsOf(m.Payloads), true) // all that a responder shows
		s.readInit(m, choice)
		if !s.deriveFirst(now, shared, out) {
			return
		}
		s.floatPort(m)
		s.phase = phaseAuth
		s.signAuth(now, out)
	})
}

// deriveFirst makes the keys of the first IKE SA.
func (s *Session) deriveFirst(now time.Time, shared secret.Bytes, out *Out) bool {
	h := s.hs
	prf, err := suite.NewPRF(s.sa.suite.PRF)
	if err == nil {
		seed := firstSeed(prf, shared, h.nonceI, h.nonceR)
		s.sa.keys, h.authKeys, err = deriveKeys(s.sa.suite, seed, h.nonceI, h.nonceR, s.sa.spiI, s.sa.spiR, s.sa.initiator)
		seed.Clear()
	}
	shared.Clear()
	h.ke, h.peerKE = nil, nil
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return false
	}
	return true
}

// floatPort moves to port 4500 when there is a NAT, when UDP encapsulation is
// forced, or when MOBIKE may find one later (Section 2.23; RFC 4555, Section
// 3.3).
func (s *Session) floatPort(m *ikemsg.Message) {
	c := s.hs.connect
	if !s.detectNAT(s.sa.spiI, s.sa.spiR, m.Payloads, s.path) || !s.encap && s.cfg.Policy.NoMOBIKE {
		return
	}
	port := func(p uint16) uint16 {
		if p == 0 {
			return nattPort
		}
		return p
	}
	s.path.local = addrPort(s.path.local, port(c.NATTLocal))
	s.path.remote = addrPort(s.path.remote, port(c.NATTRemote))
}

package ike

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// proof is one thing that must be shown before a session is established.
type proof uint8

const (
	proofKeys proof = 1 << iota // the peer's message opened under SK_*: it holds g^ir
	proofPeer                   // its chain, ID and AUTH were verified, and it was admitted
	proofOwn                    // our AUTH was made for this exchange

	// With EAP, proofPeer and proofOwn are the AUTH payloads at the end.
	proofMethod // the EAP method has succeeded, and gave an MSK
	proofServer // initiator: the server signed before EAP, or a mutual method proved it
)

// What each role must have: both directions, always (CVE-2014-2338).
const (
	proofsOfResponder = proofKeys | proofPeer | proofOwn
	proofsOfInitiator = proofKeys | proofPeer | proofOwn

	proofsOfEAPResponder = proofsOfResponder | proofMethod
	proofsOfEAPInitiator = proofsOfInitiator | proofMethod | proofServer
)

// Limits of IKE_AUTH.
const (
	maxChain    = 8    // certificates taken from a peer: end entity and seven above it
	maxCertSize = 8192 // octets of one of them
	maxCertReqs = 500  // trust anchors remembered from CERTREQ; Windows names all it has
)

// authMessage is an IKE_AUTH message by its parts.
type authMessage struct {
	id       *ikemsg.ID // of the sender
	wantID   *ikemsg.ID // IDr in a request
	chain    [][]byte
	certReqs []byte
	auth     *ikemsg.Auth
	eap      *ikemsg.EAP
	cp       *ikemsg.CP
	payloads []ikemsg.Payload // all of it
}

func readAuth(ps []ikemsg.Payload, fromInitiator bool) authMessage {
	a := authMessage{payloads: ps}
	a.id, _ = ikemsg.FindID(ps, !fromInitiator)
	if fromInitiator {
		a.wantID, _ = ikemsg.FindID(ps, true)
	}
	for c := range ikemsg.All[*ikemsg.Cert](ps) {
		// The first is the end entity. Hash-and-URL is never fetched: the URL
		// would be the peer's choice (CVE-2022-40617).
		if c.Encoding == ikemsg.CertX509Signature && len(a.chain) < maxChain && len(c.Data) <= maxCertSize {
			a.chain = append(a.chain, c.Data)
		}
	}
	for c := range ikemsg.All[*ikemsg.CertReq](ps) {
		if c.Encoding == ikemsg.CertX509Signature {
			a.certReqs = append(a.certReqs, c.Authorities[:min(len(c.Authorities), 20*maxCertReqs-len(a.certReqs))]...)
		}
	}
	a.auth, _ = ikemsg.Find[*ikemsg.Auth](ps)
	a.eap, _ = ikemsg.Find[*ikemsg.EAP](ps)
	a.cp, _ = ikemsg.Find[*ikemsg.CP](ps)
	return a
}

// establish is the one place where a session becomes authentic.
func (s *Session) establish(now time.Time, out *Out) bool {
	h := s.hs
	if h.proofs&h.required != h.required {
		s.end(now, ClosedInternal, fmt.Errorf("ike: %v: set-up ended with proofs %05b of %05b", s.path.remote, h.proofs, h.required), out)
		return false
	}
	s.phase, s.limit, s.established, s.lastHeard = phaseUp, time.Time{}, now, now
	s.admission = h.admission
	s.peerID = ikemsg.ID{Responder: h.peer.Responder, Kind: h.peer.Kind, Data: slices.Clone(h.peer.Data)}
	s.sa.rekeyAt, s.sa.expireAt = s.span(now, s.cfg.Policy.Lifetime, defaultIKELifetime)
	s.armKeepalive(now)
	out.Events = append(out.Events, Established{
		Admission: s.admission, PeerID: s.peerID, PeerKind: s.kind, Suite: s.sa.suite, InitialContact: h.initialContact,
		Local: s.path.local, Remote: s.path.remote, MOBIKE: s.mobike,
	})
	h.clear()
	s.hs = nil
	return true
}

// ---- Responder

// receiveFirstAuth derives the keys when something arrives that can be an
// IKE_AUTH request (trap 1), then takes it.
func (s *Session) receiveFirstAuth(now time.Time, h ikemsg.Header, d Datagram, out *Out) {
	if h.Exchange != ikemsg.ExchangeIKEAuth || h.MessageID != 1 || h.Flags&ikemsg.FlagResponse != 0 ||
		h.NextPayload != ikemsg.PayloadSK && h.NextPayload != ikemsg.PayloadSKF {
		return
	}
	s.hold(d)
	s.await(now, SharedSecret{s.hs.ke, s.hs.peerKE}, out, func(now time.Time, r Result, out *Out) {
		shared, err := value[secret.Bytes](r)
		if err != nil {
			s.end(now, ClosedProtocol, fmt.Errorf("ike: %v: IKE_SA_INIT: %w", s.path.remote, err), out)
			return
		}
		s.deriveFirst(now, shared, out)
	})
}

// serveAuth answers IKE_AUTH (RFC 7296, Section 1.2):
// who is it, sign for ourselves, lease addresses, choose the Child SA, answer.
func (s *Session) serveAuth(now time.Time, in *inbound, out *Out) {
	s.path = in.path // the initiator floats to port 4500 with the first
	if s.hs.eap != nil {
		s.serveEAP(now, in, out)
		return
	}
	a := readAuth(in.payloads, true)
	s.hs.proofs |= proofKeys
	s.kind = judge(s.hs.seen|signsOf(in.payloads), true)
	if a.id == nil {
		s.refuseSyntax(now, s.sa, in, errors.New("IKE_AUTH request without IDi"), out)
		return
	}
	s.hs.peer = *a.id
	_, s.hs.initialContact = ikemsg.FindNotify(in.payloads, ikemsg.NotifyInitialContact)
	_, mobike := ikemsg.FindNotify(in.payloads, ikemsg.NotifyMOBIKESupported)
	s.mobike = mobike && !s.cfg.Policy.NoMOBIKE
	if a.auth == nil {
		s.beginEAP(now, in, a, out)
		return
	}

	task, err := s.authenticate(a, a.wantID, s.hs.initRequest, s.hs.nonceR, s.hs.authKeys.pi)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.await(now, task, out, func(now time.Time, r Result, out *Out) {
		admission, err := value[*Admission](r)
		if err == nil && (admission == nil || admission.Local == nil || admission.Policy == nil) {
			err = errors.New("the admission lacks an identity of ours or a policy")
		}
		if err != nil {
			s.refuseAuth(now, in, err, out)
			return
		}
		s.hs.proofs |= proofPeer
		s.hs.admission = admission
		s.signAnswer(now, in, a, out)
	})
}

// authenticate makes the task that verifies the peer.
func (s *Session) authenticate(a authMessage, want *ikemsg.ID, message, nonce []byte, skP secret.Bytes) (*Authenticate, error) {
	octets, err := signedOctets(s.sa.suite, message, nonce, skP, a.id)
	if err != nil {
		return nil, err
	}
	return &Authenticate{
		Role: s.role, PeerID: *a.id, WantID: want, Chain: a.chain, CertReqs: a.certReqs,
		Method: uint8(a.auth.Method), AuthData: a.auth.Data, Octets: octets, Allow: s.allow(), Hashes: s.hs.hashes,
		PeerKind: s.kind, Suite: s.sa.suite, Remote: s.path.remote, Local: s.path.local,
	}, nil
}

func (s *Session) allow() suite.Allow { return suite.Allow{SHA1: s.cfg.Policy.AllowSHA1} }

// signAnswer makes our AUTH, then goes on to addresses.
func (s *Session) signAnswer(now time.Time, in *inbound, a authMessage, out *Out) {
	s.sign(now, in, s.hs.admission.Local, out, func(now time.Time, ps []ikemsg.Payload, out *Out) {
		s.hs.proofs |= proofOwn
		s.lease(now, in, a, ps, out)
	})
}

// sign makes IDr, CERT and AUTH of one of our identities.
func (s *Session) sign(now time.Time, in *inbound, local *Identity, out *Out, then func(now time.Time, ps []ikemsg.Payload, out *Out)) {
	id := ownID(local, true)
	octets, err := signedOctets(s.sa.suite, s.hs.initResponse, s.hs.nonceI, s.hs.authKeys.pr, id)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.await(now, s.signTask(local, octets), out, func(now time.Time, r Result, out *Out) {
		signed, err := value[Signed](r)
		if err != nil {
			s.refuseAuth(now, in, &Refusal{Reason: "our own signature could not be made: " + err.Error(),
				Hint: "give this client a server certificate it can verify, such as ECDSA P-256"}, out)
			return
		}
		ps := []ikemsg.Payload{id}
		for _, der := range local.Chain {
			ps = append(ps, &ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: der})
		}
		then(now, append(ps, &ikemsg.Auth{Method: ikemsg.AuthMethod(signed.Method), Data: signed.Data}), out)
	})
}

func (s *Session) signTask(local *Identity, octets []byte) *Sign {
	return &Sign{Identity: local, Hashes: s.hs.hashes, PeerKind: s.kind, Allow: s.allow(), Suite: s.sa.suite, Octets: octets}
}

func ownID(i *Identity, responder bool) *ikemsg.ID {
	id := i.ID
	id.Responder, id.Body = responder, nil
	return &id
}

// lease gets inner addresses when the peer asks and may have them.
func (s *Session) lease(now time.Time, in *inbound, a authMessage, ps []ikemsg.Payload, out *Out) {
	adm := s.hs.admission
	if !adm.Lease || !asksAddress(a.cp) {
		s.answerAuth(now, in, a, ps, nil, out)
		return
	}
	task := &Lease{Identity: adm.Identity, Device: adm.Device, Zone: adm.Zone, Request: *a.cp, Value: adm.Value}
	s.await(now, task, out, func(now time.Time, r Result, out *Out) {
		leased, err := value[Leased](r)
		if err == nil && !leased.IPv4.IsValid() && !leased.IPv6.IsValid() {
			err = errors.New("no address of a family the peer asked for")
		}
		if err == nil {
			s.leased = leased
		}
		s.answerAuth(now, in, a, ps, err, out)
	})
}

// answerAuth completes the answer and establishes. A Child SA that fails
// leaves the IKE SA (Section 2.21.2; trap 30).
func (s *Session) answerAuth(now time.Time, in *inbound, a authMessage, ps []ikemsg.Payload, noLease error, out *Out) {
	policy := s.hs.admission.Policy
	var c *chosenChild
	var no *childRefusal
	switch {
	case noLease != nil:
		no = s.refuseChild(now, StageAuth, ikemsg.NotifyInternalAddressFailure, "no inner address: "+noLease.Error(), "enlarge the zone's address pool, or close dead sessions of this device")
	case len(policy.Remote) == 0 && !s.leased.IPv4.IsValid() && !s.leased.IPv6.IsValid():
		no = s.refuseChild(now, StageAuth, ikemsg.NotifyFailedCPRequired, "the client did not ask for an inner address, and has none of its own here", "let the client request a virtual IP address (CFG_REQUEST)")
	default:
		local, remote := s.allowed(policy)
		c, no = s.chooseChild(now, StageAuth, policy, a.payloads, Terms{NoKE: true}, local, remote)
	}
	if no == nil {
		if asksAddress(a.cp) {
			ps = append(ps, cfgReply(a.cp, s.leased))
		}
		c.spiIn = s.cfg.NewChildSPI()
		ps = append(ps, c.payloads(false)...)
	} else {
		ps = append(ps, &ikemsg.Notify{Type: no.notify, Data: no.data})
	}
	if l := s.hs.admission.AuthLifetime; l > 0 {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyAuthLifetime, Data: binary.BigEndian.AppendUint32(nil, uint32(l/time.Second))})
		s.authUntil = now.Add(l)
	}
	if s.mobike {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyMOBIKESupported})
	}
	nonceI, nonceR := s.hs.nonceI, s.hs.nonceR
	if !s.establish(now, out) {
		return
	}
	s.respond(now, s.sa, in, ps, out)
	if no != nil {
		out.Events = append(out.Events, Refused{no.record})
		return
	}
	s.install(now, c, s.sa, nil, nonceI, nonceR, false, nil, out)
}

// refuseAuth answers AUTHENTICATION_FAILED or what the refusal says, and then
// only repeats it for a while: the answer may be lost.
func (s *Session) refuseAuth(now time.Time, in *inbound, err error, out *Out) {
	r := asRefusal(err)
	s.respondNotify(now, s.sa, in, r.Notify, nil, out)
	s.refused(now, s.record(StageAuth, r.Notify, r.Reason, r.Hint), out)
}

func asRefusal(err error) Refusal {
	var r *Refusal
	if !errors.As(err, &r) {
		return Refusal{Notify: ikemsg.NotifyAuthenticationFailed, Reason: err.Error()}
	}
	c := *r
	if c.Notify == 0 {
		c.Notify = ikemsg.NotifyAuthenticationFailed
	}
	return c
}

// refused tells the refusal and keeps the session only to repeat its answer.
func (s *Session) refused(now time.Time, r Record, out *Out) {
	if s.phase == phaseDead {
		return
	}
	r.Time = now
	out.Events = append(out.Events, Refused{r})
	if s.hs != nil && s.hs.eap != nil && !s.hs.eap.doomed {
		s.hs.eap.clear()
	}
	s.phase, s.limit = phaseRefused, now.Add(refusedKept)
	s.closeErr = fmt.Errorf("ike: %v: %s", s.path.remote, r.Reason)
}

// ---- Initiator

// authExchange is our IKE_AUTH request.
type authExchange struct {
	spiIn   uint32
	offer   *ikemsg.SA
	request Request
}

// signAuth makes our AUTH; the request follows.
func (s *Session) signAuth(now time.Time, out *Out) {
	c := s.hs.connect
	id := ownID(c.Identity, false)
	if c.EAP {
		s.startEAP(now, id, out)
		return
	}
	octets, err := signedOctets(s.sa.suite, s.hs.initRequest, s.hs.nonceR, s.hs.authKeys.pi, id)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.await(now, s.signTask(c.Identity, octets), out, func(now time.Time, r Result, out *Out) {
		signed, err := value[Signed](r)
		if err != nil {
			s.end(now, ClosedInternal, fmt.Errorf("ike: our own signature could not be made: %w", err), out)
			return
		}
		s.hs.proofs |= proofOwn
		s.sendAuth(now, id, &signed, out)
	})
}

// sendAuth sends IKE_AUTH (Section 1.2). Certificates go along in any case:
// no CERTREQ does not mean that none is needed (trap 18). Without a signature
// it asks for EAP.
func (s *Session) sendAuth(now time.Time, id *ikemsg.ID, signed *Signed, out *Out) {
	c := s.hs.connect
	ex := &authExchange{spiIn: s.cfg.NewChildSPI(), request: c.Request}
	ex.offer = offer(c.Child.ESP, ikemsg.ProtoESP, spiOctets(ex.spiIn), true)
	ps := []ikemsg.Payload{id}
	if signed != nil {
		for _, der := range c.Identity.Chain {
			ps = append(ps, &ikemsg.Cert{Encoding: ikemsg.CertX509Signature, Data: der})
		}
	}
	if c.InitialContact {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyInitialContact})
	}
	if len(s.cfg.Authorities) > 0 {
		ps = append(ps, s.certReq())
	}
	if c.RemoteID != nil {
		want := *c.RemoteID
		want.Responder, want.Body = true, nil
		ps = append(ps, &want)
	}
	if signed != nil {
		ps = append(ps, &ikemsg.Auth{Method: ikemsg.AuthMethod(signed.Method), Data: signed.Data})
	} else if c.EAPOnly {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyEAPOnlyAuthentication})
	}
	if cp := cfgRequest(c.Request); cp != nil {
		ps = append(ps, cp)
	}
	ps = append(ps, ex.offer, &ikemsg.TS{Selectors: c.Child.Local}, &ikemsg.TS{Responder: true, Selectors: c.Child.Remote})
	if !s.cfg.Policy.NoMOBIKE {
		ps = append(ps, &ikemsg.Notify{Type: ikemsg.NotifyMOBIKESupported})
	}
	s.request(now, s.sa, ikemsg.ExchangeIKEAuth, ex, ps, out)
}

// answered takes the IKE_AUTH response: refused, or verify the responder.
func (ex *authExchange) answered(s *Session, now time.Time, _ *ikeSA, in *inbound, out *Out) {
	a := readAuth(in.payloads, false)
	s.hs.proofs |= proofKeys
	if a.id == nil || a.auth == nil && !s.mayConverse(a) {
		if n := errorNotify(in.payloads); n != nil {
			s.refused(now, s.refusedByPeer(now, StageAuth, n, nil), out)
			s.end(now, ClosedRefused, s.closeErr, out)
			return
		}
		s.rejectResponder(now, &Refusal{Reason: "the server's IKE_AUTH answer has no IDr or no AUTH: it did not prove who it is"}, out)
		return
	}
	s.hs.peer = *a.id
	want := s.hs.connect.RemoteID
	if want != nil && (want.Kind != a.id.Kind || !bytes.Equal(want.Data, a.id.Data)) {
		s.rejectResponder(now, &Refusal{Reason: fmt.Sprintf("the server says it is %v, wanted %v", a.id, want), Hint: "correct the remote identity, or find out who answers in the server's place"}, out)
		return
	}
	if a.auth == nil {
		ex.firstEAP(s, now, a, out)
		return
	}
	if s.hs.eap != nil && a.auth.Method == ikemsg.AuthSharedKey {
		s.rejectResponder(now, errSharedKeyWithEAP, out)
		return
	}
	task, err := s.authenticate(a, want, s.hs.initResponse, s.hs.nonceI, s.hs.authKeys.pr)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	s.await(now, task, out, func(now time.Time, r Result, out *Out) {
		admission, err := value[*Admission](r)
		if err == nil && admission == nil {
			err = errors.New("no admission")
		}
		if err != nil {
			s.rejectResponder(now, err, out)
			return
		}
		s.hs.admission = admission
		if s.hs.eap != nil {
			s.hs.proofs |= proofServer
			ex.firstEAP(s, now, a, out)
			return
		}
		s.hs.proofs |= proofPeer
		ex.complete(s, now, in, a, out)
	})
}

// rejectResponder: the server did not prove itself. It is told in an
// INFORMATIONAL of its own (Section 2.21.2), and nothing else is said to it.
func (s *Session) rejectResponder(now time.Time, err error, out *Out) {
	r := asRefusal(err)
	s.refused(now, s.record(StageAuth, r.Notify, r.Reason, r.Hint), out)
	s.phase, s.limit = phaseClosing, now.Add(closePatience)
	s.closing, s.closeNotify = ClosedRefused, ikemsg.NotifyAuthenticationFailed
}

// complete establishes the session and takes addresses and the Child SA.
func (ex *authExchange) complete(s *Session, now time.Time, in *inbound, a authMessage, out *Out) {
	_, mobike := ikemsg.FindNotify(in.payloads, ikemsg.NotifyMOBIKESupported)
	s.mobike = mobike && !s.cfg.Policy.NoMOBIKE
	nonceI, nonceR, policy := s.hs.nonceI, s.hs.nonceR, s.hs.connect.Child
	if !s.establish(now, out) {
		return
	}
	if n, ok := ikemsg.FindNotify(in.payloads, ikemsg.NotifyAuthLifetime); ok {
		s.authLifetime(now, n)
	}
	c, no := ex.child(s, now, policy, in)
	if no != nil {
		out.Events = append(out.Events, Refused{no.record})
		s.closing = ClosedRefused
		s.close(now, ClosedRefused, 0, fmt.Errorf("ike: %v: no Child SA: %s", s.path.remote, no.record.Reason), out)
		return
	}
	if a.cp != nil && a.cp.Kind == ikemsg.CPReply {
		s.leased = readReply(ex.request, a.cp)
		out.Events = append(out.Events, Addresses{s.leased})
	}
	s.install(now, c, s.sa, nil, nonceI, nonceR, true, nil, out)
}

// child reads the Child SA of the answer.
func (ex *authExchange) child(s *Session, now time.Time, policy *ChildPolicy, in *inbound) (*chosenChild, *childRefusal) {
	if n := errorNotify(in.payloads); n != nil {
		return nil, &childRefusal{notify: n.Type, record: s.refusedByPeer(now, StageAuth, n, policy.ESP)}
	}
	return s.readChild(now, StageAuth, policy, ex.offer, ex.spiIn, in.payloads, policy.Local, policy.Remote)
}

// errorNotify is the first error in an answer.
func errorNotify(ps []ikemsg.Payload) *ikemsg.Notify {
	for n := range ikemsg.All[*ikemsg.Notify](ps) {
		if n.Type.Error() {
			return n
		}
	}
	return nil
}

// authLifetime takes AUTH_LIFETIME (RFC 4478): be warned in time to
// authenticate anew before it ends.
func (s *Session) authLifetime(now time.Time, n *ikemsg.Notify) {
	if s.role != Initiator || len(n.Data) != 4 {
		return
	}
	lifetime := time.Duration(binary.BigEndian.Uint32(n.Data)) * time.Second
	s.reauthBefore = now.Add(lifetime)
	s.authUntil = s.reauthBefore.Add(-min(lifetime/4, reauthMargin))
}

// reauthMargin is how long before the end of an authentication lifetime the
// initiator starts over: time for several attempts.
const reauthMargin = 5 * time.Minute

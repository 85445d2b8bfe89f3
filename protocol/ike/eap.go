package ike

import (
	"errors"
	"fmt"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
)

// EAP inside IKE_AUTH (RFC 7296, Section 2.16). Three names stay apart: IDi,
// which only enters AUTH (Windows sends the address of its network card), the
// EAP-Identity, which routes the conversation, and the identity that the
// method proves, which is the session's.

// Limits of a set-up by EAP.
const (
	eapPatience = time.Minute // from the first packet to both AUTH payloads: people pick certificates
	mskSize     = 64          // octets at least (RFC 3748, Section 7.10)
)

// eapState is what a set-up by EAP keeps.
type eapState struct {
	conversation Conversation
	msk          secret.Bytes // empty until the method has succeeded
	doomed       bool         // the failure is told; the last words are being said

	// Responder only.
	first authMessage // the request that asks for addresses and the Child SA
	local *Identity   // who we said we are

	// Initiator only.
	auth     *authExchange // the request that asked
	identity *ikemsg.ID    // our IDi as sent
}

func (e *eapState) clear() {
	if e != nil {
		e.msk.Clear()
		e.msk = nil
		e.conversation.Close()
	}
}

// release lets go of a conversation, however the session ended.
func (s *Session) release() {
	if s.hs != nil && s.hs.eap != nil {
		s.hs.eap.clear()
		s.hs.eap = nil
	}
}

// Release frees what a session holds outside of itself. The runtime calls it
// for a session that it drops without a Closed event, as after a panic.
func (s *Session) Release() { s.release() }

// provesMSK checks the peer's last AUTH.
func (s *Session) provesMSK(auth *ikemsg.Auth, message, nonce []byte, skP secret.Bytes, id *ikemsg.ID) error {
	octets, err := signedOctets(s.sa.suite, message, nonce, skP, id)
	if err != nil {
		return err
	}
	want, err := sharedKeyAuth(s.sa.suite, s.hs.eap.msk, octets)
	if err != nil {
		return err
	}
	if auth.Method != ikemsg.AuthSharedKey || !want.Equal(auth.Data) {
		return &Refusal{Reason: "the AUTH after EAP was not made with the key of the EAP conversation: somebody else may have held it",
			Hint: "if this comes again, compare the clocks and versions of both ends, and look who answers in their place"}
	}
	return nil
}

// ownMSKAuth makes our last AUTH.
func (s *Session) ownMSKAuth(message, nonce []byte, skP secret.Bytes, id *ikemsg.ID) (*ikemsg.Auth, error) {
	octets, err := signedOctets(s.sa.suite, message, nonce, skP, id)
	if err != nil {
		return nil, err
	}
	data, err := sharedKeyAuth(s.sa.suite, s.hs.eap.msk, octets)
	return &ikemsg.Auth{Method: ikemsg.AuthSharedKey, Data: data}, err
}

// succeeded takes the outcome of the method.
func (s *Session) succeeded(step EAPStep) error {
	switch {
	case len(step.Success.MSK) < mskSize:
		return fmt.Errorf("the EAP method gave a key of %d octets, and %d are the least", len(step.Success.MSK), mskSize)
	case step.Success.Admission == nil || step.Success.Admission.Policy == nil:
		return errors.New("the EAP method succeeded for nobody")
	}
	s.hs.eap.msk = step.Success.MSK
	s.hs.proofs |= proofMethod
	return nil
}

func (s *Session) eapTask(packet []byte) *EAP {
	return &EAP{
		Conversation: s.hs.eap.conversation, Packet: packet, Role: s.role, PeerID: s.hs.peer,
		Proven: s.hs.proofs&proofServer != 0, Hashes: s.hs.hashes, Allow: s.allow(),
		PeerKind: s.kind, Suite: s.sa.suite, Remote: s.path.remote, Local: s.path.local,
	}
}

// ---- Responder

// beginEAP answers a request without AUTH: we prove ourselves and send the
// first packet.
func (s *Session) beginEAP(now time.Time, in *inbound, a authMessage, out *Out) {
	if s.cfg.NewEAP == nil {
		s.refuseAuth(now, in, &Refusal{Reason: "the client asks for EAP, which is not offered here", Hint: "configure the client for certificate authentication"}, out)
		return
	}
	s.hs.eap = &eapState{conversation: s.cfg.NewEAP(), first: a}
	s.hs.required = proofsOfEAPResponder
	s.limit = now.Add(eapPatience)
	task := s.eapTask(nil)
	task.WantID, task.CertReqs, task.Unsigned = a.wantID, a.certReqs, wantsEAPOnly(in.payloads, a)
	s.await(now, task, out, func(now time.Time, r Result, out *Out) {
		step, err := value[EAPStep](r)
		switch {
		case err == nil && step.Failure != nil:
			err = step.Failure
		case err == nil && (step.Local == nil || len(step.Packet) == 0):
			err = errors.New("EAP begins without an identity of ours or without a packet")
		case err == nil && len(step.Local.Chain) == 0:
			err = errSharedKeyWithEAP
		}
		if err != nil {
			s.refuseAuth(now, in, err, out)
			return
		}
		s.hs.eap.local = step.Local
		packet := &ikemsg.EAP{Packet: step.Packet}
		if task.Unsigned {
			s.respond(now, s.sa, in, []ikemsg.Payload{ownID(step.Local, true), packet}, out)
			return
		}
		s.sign(now, in, step.Local, out, func(now time.Time, ps []ikemsg.Payload, out *Out) {
			s.respond(now, s.sa, in, append(ps, packet), out)
		})
	})
}

// wantsEAPOnly (RFC 5998, Section 3). strongSwan sends the notify always, also
// when it insists on our certificate; then it names its trust anchors. A
// client that names none, and says that EAP is enough, has none to judge a
// certificate by.
func wantsEAPOnly(ps []ikemsg.Payload, a authMessage) bool {
	_, only := ikemsg.FindNotify(ps, ikemsg.NotifyEAPOnlyAuthentication)
	return only && len(a.certReqs) == 0
}

// serveEAP takes every IKE_AUTH request after the first.
func (s *Session) serveEAP(now time.Time, in *inbound, out *Out) {
	p, packet := ikemsg.Find[*ikemsg.EAP](in.payloads)
	switch {
	case len(s.hs.eap.msk) > 0:
		s.finishEAP(now, in, out)
	case packet:
		s.stepEAP(now, in, p.Packet, out)
	default:
		s.refuseAuth(now, in, &Refusal{Reason: "the client broke EAP off before the method had succeeded"}, out)
	}
}

// stepEAP carries one packet to the method and its answer back.
func (s *Session) stepEAP(now time.Time, in *inbound, packet []byte, out *Out) {
	s.await(now, s.eapTask(packet), out, func(now time.Time, r Result, out *Out) {
		step, err := value[EAPStep](r)
		if err == nil && step.Failure == nil && step.Success != nil {
			err = s.succeeded(step)
		}
		switch {
		case err == nil && step.Failure != nil:
			s.refuseEAP(now, in, step, out)
			return
		case err == nil && len(step.Packet) == 0:
			err = errors.New("EAP has nothing to answer")
		}
		if err != nil {
			s.refuseAuth(now, in, err, out)
			return
		}
		if step.Success != nil {
			s.hs.admission = step.Success.Admission
		}
		s.respond(now, s.sa, in, []ikemsg.Payload{&ikemsg.EAP{Packet: step.Packet}}, out)
	})
}

// refuseEAP tells a failed method. EAP has words of its own for it, a TLS alert
// and then Failure, and no AUTHENTICATION_FAILED goes with them (RFC 7296,
// Section 2.21.2).
func (s *Session) refuseEAP(now time.Time, in *inbound, step EAPStep, out *Out) {
	if len(step.Packet) == 0 {
		s.refuseAuth(now, in, step.Failure, out)
		return
	}
	const request = 1 // RFC 3748, Section 4.1; after Failure nothing comes
	s.hs.eap.doomed = step.Packet[0] == request
	s.respond(now, s.sa, in, []ikemsg.Payload{&ikemsg.EAP{Packet: step.Packet}}, out)
	r := asRefusal(step.Failure)
	record := s.record(StageAuth, r.Notify, r.Reason, r.Hint)
	record.ByPeer = step.ByPeer
	s.refused(now, record, out)
}

// lastWords answers a client that acknowledges our alert, so that it hears
// EAP-Failure and can tell its user.
func (s *Session) lastWords(now time.Time, in *inbound, out *Out) {
	p, ok := ikemsg.Find[*ikemsg.EAP](in.payloads)
	if !ok || in.header.Exchange != ikemsg.ExchangeIKEAuth {
		s.respond(now, s.sa, in, nil, out) // strongSwan ends with an INFORMATIONAL
		return
	}
	s.await(now, s.eapTask(p.Packet), out, func(now time.Time, r Result, out *Out) {
		s.hs.eap.doomed = false
		s.hs.eap.clear()
		if step, err := value[EAPStep](r); err == nil && len(step.Packet) > 0 {
			s.respond(now, s.sa, in, []ikemsg.Payload{&ikemsg.EAP{Packet: step.Packet}}, out)
			return
		}
		s.respondNotify(now, s.sa, in, ikemsg.NotifyAuthenticationFailed, nil, out)
	})
}

// finishEAP takes the client's AUTH by the MSK, makes ours, and goes on to
// addresses and the Child SA that the first request asked for.
func (s *Session) finishEAP(now time.Time, in *inbound, out *Out) {
	h := s.hs
	auth, ok := ikemsg.Find[*ikemsg.Auth](in.payloads)
	if !ok {
		s.refuseAuth(now, in, &Refusal{Reason: "the client sent no AUTH after EAP"}, out)
		return
	}
	if err := s.provesMSK(auth, h.initRequest, h.nonceR, h.authKeys.pi, &h.peer); err != nil {
		s.refuseAuth(now, in, err, out)
		return
	}
	h.proofs |= proofPeer
	own, err := s.ownMSKAuth(h.initResponse, h.nonceI, h.authKeys.pr, ownID(h.eap.local, true))
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	h.proofs |= proofOwn
	s.lease(now, in, h.eap.first, []ikemsg.Payload{own}, out)
}

// abandoned: the client does not believe us, or gives up, and says so in an
// INFORMATIONAL of its own (Section 2.21.2).
func (s *Session) abandoned(now time.Time, in *inbound, out *Out) {
	s.respond(now, s.sa, in, nil, out)
	n := errorNotify(in.payloads)
	if n == nil {
		n = &ikemsg.Notify{Type: ikemsg.NotifyAuthenticationFailed}
	}
	s.refused(now, s.refusedByPeer(now, StageAuth, n, nil), out)
}

// ---- Initiator

// startEAP asks for EAP by leaving AUTH out.
func (s *Session) startEAP(now time.Time, id *ikemsg.ID, out *Out) {
	s.hs.required = proofsOfEAPInitiator
	s.hs.eap = &eapState{conversation: s.cfg.NewEAP(), identity: id}
	s.limit = now.Add(eapPatience)
	s.sendAuth(now, id, nil, out)
}

// mayConverse tells whether an answer without AUTH is one that we asked for.
func (s *Session) mayConverse(a authMessage) bool {
	return s.hs.eap != nil && s.hs.connect.EAPOnly && a.eap != nil
}

// firstEAP begins the conversation, after the server has proved itself or
// where the method itself will see to that (RFC 5998).
func (ex *authExchange) firstEAP(s *Session, now time.Time, a authMessage, out *Out) {
	s.hs.eap.auth = ex
	if a.eap == nil {
		s.rejectResponder(now, &Refusal{Reason: "the server did not begin EAP, and we have no other way to prove who we are",
			Hint: "let the server take EAP-TLS from this client"}, out)
		return
	}
	s.converse(now, a.eap.Packet, out)
}

// eapExchange carries one packet of ours; its answer has the server's next.
type eapExchange struct{}

// answered gives the server's packet to the method.
func (*eapExchange) answered(s *Session, now time.Time, _ *ikeSA, in *inbound, out *Out) {
	p, ok := ikemsg.Find[*ikemsg.EAP](in.payloads)
	n := errorNotify(in.payloads)
	switch {
	case s.hs == nil || s.hs.eap == nil:
	case s.hs.eap.doomed:
		s.end(now, ClosedRefused, s.closeErr, out)
	case ok:
		s.converse(now, p.Packet, out)
	case n != nil:
		s.refused(now, s.refusedByPeer(now, StageAuth, n, nil), out)
		s.end(now, ClosedRefused, s.closeErr, out)
	default:
		s.rejectResponder(now, &Refusal{Reason: "the server broke EAP off before the method had succeeded"}, out)
	}
}

// converse gives a packet of the server to the method and sends what it says.
func (s *Session) converse(now time.Time, packet []byte, out *Out) {
	s.await(now, s.eapTask(packet), out, func(now time.Time, r Result, out *Out) {
		step, err := value[EAPStep](r)
		switch {
		case err != nil:
			s.rejectResponder(now, err, out)
		case step.Failure != nil:
			s.failEAP(now, step, out)
		case step.Success != nil:
			s.confirmEAP(now, step, out)
		case len(step.Packet) == 0:
			s.rejectResponder(now, &Refusal{Reason: "the server sent an EAP packet that does not belong here"}, out)
		default:
			s.sendEAP(now, step.Packet, out)
		}
	})
}

func (s *Session) sendEAP(now time.Time, packet []byte, out *Out) {
	s.request(now, s.sa, ikemsg.ExchangeIKEAuth, &eapExchange{}, []ikemsg.Payload{&ikemsg.EAP{Packet: packet}}, out)
}

// failEAP ends the set-up. A server that refused us needs no word of ours; one
// that we refuse gets the method's own, which is a TLS alert, or else is told
// in an INFORMATIONAL.
func (s *Session) failEAP(now time.Time, step EAPStep, out *Out) {
	r := asRefusal(step.Failure)
	record := s.record(StageAuth, r.Notify, r.Reason, r.Hint)
	record.ByPeer = step.ByPeer
	switch {
	case len(step.Packet) > 0:
		s.hs.eap.doomed = true
		s.sendEAP(now, step.Packet, out)
		s.refused(now, record, out)
	case step.ByPeer:
		s.refused(now, record, out)
		s.end(now, ClosedRefused, s.closeErr, out)
	default:
		s.rejectResponder(now, step.Failure, out)
	}
}

// confirmEAP sends our AUTH by the MSK. Where the server has not signed, the
// method must have proved it (RFC 5998, Section 4).
func (s *Session) confirmEAP(now time.Time, step EAPStep, out *Out) {
	h := s.hs
	if err := s.succeeded(step); err != nil {
		s.rejectResponder(now, err, out)
		return
	}
	if step.Success.Mutual {
		h.proofs |= proofServer
	}
	if h.admission == nil {
		h.admission = step.Success.Admission
	}
	if h.proofs&proofServer == 0 {
		s.rejectResponder(now, &Refusal{Reason: "the EAP method succeeded without proving the server, which has not signed either"}, out)
		return
	}
	auth, err := s.ownMSKAuth(h.initRequest, h.nonceR, h.authKeys.pi, h.eap.identity)
	if err != nil {
		s.end(now, ClosedInternal, err, out)
		return
	}
	h.proofs |= proofOwn
	s.request(now, s.sa, ikemsg.ExchangeIKEAuth, &confirmExchange{h.eap.auth}, []ikemsg.Payload{auth}, out)
}

// confirmExchange is the last one: AUTH by the MSK both ways, and with the
// answer all that the first request asked for.
type confirmExchange struct{ auth *authExchange }

// answered checks the server's AUTH and establishes.
func (ex *confirmExchange) answered(s *Session, now time.Time, _ *ikeSA, in *inbound, out *Out) {
	h, a := s.hs, readAuth(in.payloads, false)
	if a.auth == nil {
		if n := errorNotify(in.payloads); n != nil {
			s.refused(now, s.refusedByPeer(now, StageAuth, n, nil), out)
			s.end(now, ClosedRefused, s.closeErr, out)
			return
		}
		s.rejectResponder(now, &Refusal{Reason: "the server sent no AUTH after EAP"}, out)
		return
	}
	if err := s.provesMSK(a.auth, h.initResponse, h.nonceI, h.authKeys.pr, &h.peer); err != nil {
		s.rejectResponder(now, err, out)
		return
	}
	h.proofs |= proofPeer
	ex.auth.complete(s, now, in, a, out)
}

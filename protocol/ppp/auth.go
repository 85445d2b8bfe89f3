package ppp

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// EAP over PPP (RFC 3748, Section 3.1). The conversation is behind the EAP job;
// here is what a lower layer owes it: one packet at a time, copies of a request
// that is not answered (Section 4.3), no duplicates, and an end.

// maxRounds is how many packets of the peer go to the conversation: package eap
// allows 100 requests, and a RADIUS server should not allow more.
const maxRounds = 128

// lastWords is how often the request is sent that goes with a failure.
const lastWords = 2

// conversation is what the link knows of EAP.
type conversation struct {
	id      uint8  // of the outstanding request
	request []byte // sent last
	asked   bool   // and not answered
	tries   int
	due     time.Time
	rounds  int
	doomed  string // the failure is recorded; the last words are being said
	success []byte // EAP-Success, until the peer shows that it has it
}

func (e *conversation) deadline() time.Time {
	if e == nil {
		return time.Time{}
	}
	return e.due
}

func (l *Link) beginEAP(out *Out) {
	l.eap = &conversation{}
	l.want(EAP{MRU: int(l.peerMRU)}, out)
}

// receiveEAP takes an EAP packet. What does not answer the outstanding request
// is dropped (RFC 3748, Section 4.1): duplicates, responses that come too early
// or too late, and a request of a peer that wants us to authenticate.
func (l *Link) receiveEAP(now time.Time, data []byte, out *Out) {
	p, err := pppmsg.ParseEAP(data)
	e := l.eap
	switch {
	case err != nil || e == nil:
	case e.success != nil:
		if p.Code == pppmsg.EAPResponse && p.Identifier == e.id {
			l.sendFrame(pppmsg.EAP, e.success, out) // it was lost
		}
	case l.phase != authenticate || l.jobs.pending():
	case l.cfg.Role == Server && (p.Code != pppmsg.EAPResponse || !e.asked || p.Identifier != e.id):
	case l.cfg.Role == Client && p.Code == pppmsg.EAPResponse:
	case l.cfg.Role == Client && e.doomed != "":
		l.close(now, "authentication failed", e.doomed, out)
	case e.rounds >= maxRounds:
		l.refuse(now, fmt.Errorf("EAP has not ended after %d packets", maxRounds), "authentication failed", out)
	default:
		e.rounds++
		e.asked, e.due = false, time.Time{}
		l.want(EAP{Packet: p.Append(nil), MRU: int(l.peerMRU)}, out)
	}
}

// step takes what the conversation says.
func (l *Link) step(now time.Time, s EAPStep, err error, out *Out) {
	e := l.eap
	switch {
	case err != nil:
		l.refuse(now, err, "authentication failed", out)
	case len(s.Packet) > int(l.peerMRU):
		l.refuse(now, fmt.Errorf("an EAP packet of %d octets does not fit the peer's MRU of %d", len(s.Packet), l.peerMRU), "authentication failed", out)
	case l.cfg.Role == Client:
		l.clientStep(now, e, s, out)
	default:
		l.serverStep(now, e, s, out)
	}
}

// serverStep: a request is asked, a verdict ends the conversation.
func (l *Link) serverStep(now time.Time, e *conversation, s EAPStep, out *Out) {
	p, err := pppmsg.ParseEAP(s.Packet)
	request := err == nil && p.Code == pppmsg.EAPRequest
	switch {
	case len(s.Packet) == 0 && s.Failure == nil && !s.Success && e.request != nil:
		// The conversation drops a response: go on waiting for a better one.
		e.asked, e.due = true, now.Add(l.eapRestart())
	case s.Failure != nil && request && e.doomed == "":
		l.record(s.Failure, out)
		e.doomed, e.tries = s.Failure.Reason, 0
		l.ask(now, e, p, s.Packet, out)
	case s.Failure != nil || err == nil && p.Code == pppmsg.EAPFailure:
		l.failEAP(now, e, s, out)
	case request && !s.Success:
		e.tries = 0
		l.ask(now, e, p, s.Packet, out)
	case s.Success && e.doomed == "" && err == nil && p.Code == pppmsg.EAPSuccess:
		l.succeed(s, out)
	default:
		l.refuse(now, errors.New("the EAP conversation answered with nothing that can be sent"), "authentication failed", out)
	}
}

// ask sends a request and begins to wait for its answer.
func (l *Link) ask(now time.Time, e *conversation, p pppmsg.EAPPacket, packet []byte, out *Out) {
	e.id, e.request, e.asked = p.Identifier, packet, true
	e.due = now.Add(l.eapRestart())
	e.tries++
	l.sendFrame(pppmsg.EAP, packet, out)
}

func (l *Link) eapRestart() time.Duration { return cmp.Or(l.cfg.EAPRestart, 3*time.Second) }

// failEAP says EAP-Failure, if there is one to say, and hangs up.
func (l *Link) failEAP(now time.Time, e *conversation, s EAPStep, out *Out) {
	if len(s.Packet) > 0 {
		l.sendFrame(pppmsg.EAP, s.Packet, out)
	}
	switch {
	case e.doomed != "":
		l.close(now, "authentication failed", e.doomed, out)
	case s.Failure != nil:
		l.refuse(now, s.Failure, "authentication failed", out)
	default:
		l.refuse(now, errors.New("the EAP conversation failed without a reason"), "authentication failed", out)
	}
}

// succeed sends EAP-Success and asks for addresses.
func (l *Link) succeed(s EAPStep, out *Out) {
	l.sendFrame(pppmsg.EAP, s.Packet, out)
	l.eap = &conversation{id: l.eap.id, success: s.Packet}
	out.Events = append(out.Events, Authenticated{Value: s.Value})
	l.phase = assign
	l.want(Assign{Wants4: !l.cfg.NoIPv4, Wants6: !l.cfg.NoIPv6, Value: s.Value}, out)
}

// repeatSuccess goes with the copies of an NCP's request. Nobody acknowledges
// EAP-Success, and a peer that has lost it takes no NCP packet; one that answers
// none may be such (RFC 3748, Section 4.2, leaves it to the peer, and pppd waits
// for ever).
func (l *Link) repeatSuccess(c *control, out *Out) {
	if c != &l.lcp && l.eap != nil && l.eap.success != nil {
		l.sendFrame(pppmsg.EAP, l.eap.success, out)
	}
}

// clientStep: a response goes back; Success counts because the step says so.
func (l *Link) clientStep(now time.Time, e *conversation, s EAPStep, out *Out) {
	if len(s.Packet) > 0 {
		l.sendFrame(pppmsg.EAP, s.Packet, out)
	}
	switch {
	case s.Failure != nil && len(s.Packet) > 0:
		l.record(s.Failure, out)
		e.doomed, e.due = s.Failure.Reason, now.Add(l.eapRestart())
	case s.Failure != nil:
		l.refuse(now, s.Failure, "authentication failed", out)
	case s.Success:
		l.eap = nil
		out.Events = append(out.Events, Authenticated{Value: s.Value})
		l.startNetwork(now, !l.cfg.NoIPv4, !l.cfg.NoIPv6, out)
	}
}

// timeoutEAP repeats a request that is not answered.
func (l *Link) timeoutEAP(now time.Time, out *Out) {
	e := l.eap
	if e == nil || e.due.IsZero() || now.Before(e.due) {
		return
	}
	most := cmp.Or(l.cfg.MaxEAP, 20)
	switch {
	case e.doomed != "" && (e.tries >= lastWords || l.cfg.Role == Client):
		l.close(now, "authentication failed", e.doomed, out)
	case e.tries >= most:
		l.refuse(now, &Refusal{Reason: fmt.Sprintf("no answer to %d copies of an EAP request", most),
			Hint: "the client may be waiting for its user, or its packets may be lost: look at the path MTU"}, "authentication failed", out)
	default:
		e.tries++
		e.due = now.Add(l.eapRestart())
		l.sendFrame(pppmsg.EAP, e.request, out)
	}
}

// refuse ends the link for a reason that is not the peer's to read.
func (l *Link) refuse(now time.Time, err error, text string, out *Out) {
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		r = &Refusal{Reason: err.Error()}
	}
	l.record(r, out)
	l.close(now, text, r.Reason, out)
}

func (l *Link) record(r *Refusal, out *Out) {
	out.Events = append(out.Events, Refused{Reason: r.Reason, Hint: r.Hint})
}

package legacy

import (
	"time"

	"sallyport/engine"
	"sallyport/protocol/ike"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// inner takes an L2TP message that came inside of one of the session's Child
// SAs. Answers go to the port that it came from: Apple's is not 1701, and the
// port that quick mode names may be 0.
func (s *Session) inner(now time.Time, m engine.InnerMessage, out *ike.Out) {
	s.from, s.port = m.SPIIn, m.Port
	s.hear(now)
	s.withL2TP(now, out, func(o *l2tp.Out) { s.l2tp.Receive(now, m.Data, o) })
}

// withL2TP calls the endpoint and carries out what it wants. Events come before
// messages: a link must be there before its first frame.
func (s *Session) withL2TP(now time.Time, out *ike.Out, call func(*l2tp.Out)) {
	var o l2tp.Out
	call(&o)
	for _, ev := range o.Events {
		s.l2tpEvent(now, ev, out)
	}
	for _, msg := range o.Send {
		s.send(msg, out)
	}
}

func (s *Session) l2tpEvent(now time.Time, ev l2tp.Event, out *ike.Out) {
	switch ev := ev.(type) {
	case l2tp.CallUp:
		if s.leaving.IsZero() {
			s.dial(now, ev, out)
		}
	case l2tp.Frame:
		if s.call != nil && s.call.up.Session == ev.Session {
			s.believe(out)
			s.frame(now, ev.PPP, out)
		}
	case l2tp.CallDown:
		if s.call != nil && s.call.up.Session == ev.Session {
			s.callGone(now, ev.Reason, ev.ByPeer, out)
		}
	case l2tp.TunnelDown:
		if s.call != nil && s.call.up.Tunnel == ev.Tunnel {
			s.callGone(now, ev.Reason, ev.ByPeer, out)
		}
	case l2tp.Refused:
		if !s.leaving.IsZero() {
			return // it is what is closed here
		}
		s.refused(now, ike.StageL2TP, ev.ByPeer, ev.Reason, ev.Hint, out)
	}
}

// callGone is the end of a call: of the session as others see it, but not of
// IPsec, in which a client may dial again at once.
func (s *Session) callGone(now time.Time, reason string, byPeer bool, out *ike.Out) {
	why := ike.ClosedTimeout
	switch {
	case !s.leaving.IsZero():
		why = ike.ClosedByUs
	case byPeer:
		why = ike.ClosedByPeer
	}
	s.why = reason
	switch {
	case !s.leaving.IsZero():
	case s.up: // only who was in gets the time to dial again
		s.awaitSetup(now)
	case !s.recorded:
		s.refused(now, ike.StagePPP, byPeer, reason, "", out)
	}
	s.down(why, out)
	s.hangUp()
}

// send sends an L2TP message through the Child SA in use, or before there is
// one through that which the peer used last.
func (s *Session) send(msg []byte, out *ike.Out) {
	spi := s.outbound
	if spi == 0 {
		spi = s.from
	}
	if spi == 0 {
		return
	}
	out.Events = append(out.Events, ike.Extra{Value: engine.InnerMessage{SPIIn: spi, Port: s.port, Data: msg}})
}

// sendFrame sends a PPP frame of the call.
func (s *Session) sendFrame(frame []byte, out *ike.Out) {
	if msg, ok := s.l2tp.AppendFrame(nil, s.call.up.Session, frame); ok {
		s.send(msg, out)
	}
}

// refuseCall says CDN for a call whose link is over.
func (s *Session) refuseCall(now time.Time, session uint16, text string, out *ike.Out) {
	s.withL2TP(now, out, func(o *l2tp.Out) {
		s.l2tp.Do(now, l2tp.CloseCall{Session: session, Result: l2tpmsg.CallAdministrative, Text: text}, o)
	})
}

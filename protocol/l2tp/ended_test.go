package l2tp

import (
	"testing"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// Tunnels that are over.

// TestEndedTunnelsKeepNoMessages: a tunnel that was over went on keeping what
// came before its time, up to its window, and there are four such tunnels.
func TestEndedTunnelsKeepNoMessages(t *testing.T) {
	s := newScript(t, Config{Window: maxWindow})
	s.tunnelUp()
	big := l2tpmsg.Octets(999, make([]byte, 1000))
	ahead := func() {
		expected := s.ns
		for range maxWindow {
			s.ns++
			s.say(l2tpmsg.HELLO, 0, big)
		}
		s.ns = expected
	}
	ahead()
	s.do(CloseTunnel{})
	over := &s.e.ended[0].channel
	if len(over.early) != 0 {
		t.Errorf("%d messages of before are kept", len(over.early))
	}
	ahead()
	if len(over.early) != 0 {
		t.Errorf("%d messages are kept", len(over.early))
	}
	want(t, "what comes in order", s.say(l2tpmsg.HELLO, 0), "ZLB")
}

// TestStopCCNForTunnel0IsAcknowledgedAgain: the acknowledgement of a StopCCN
// from a peer that never learned our id was said once; when it was lost, the
// peer repeated itself for half a minute.
func TestStopCCNForTunnel0IsAcknowledgedAgain(t *testing.T) {
	s := newScript(t, Config{})
	s.sccrq()
	s.tunnel, s.nr = 0, 0 // the SCCRP was lost
	for _, what := range []string{"StopCCN", "once more"} {
		s.ns = 1
		want(t, what, s.say(l2tpmsg.StopCCN, 0, content(l2tpmsg.StopCCN, myTunnel, 0)...), "ZLB")
	}
	if len(s.events) != 1 {
		t.Errorf("%+v", s.events)
	}
}

// TestCVE_2021_42870_HangingUpInAnyOrder: accel-ppp crashed on a request to
// clear a call that came at the wrong time, and old xl2tpd freed a call twice.
// The script watches that each end is told once.
func TestCVE_2021_42870_HangingUpInAnyOrder(t *testing.T) {
	cdn := func(s *script, session uint16) {
		s.say(l2tpmsg.CDN, session, content(l2tpmsg.CDN, 0, mySession)...)
	}
	stop := func(s *script, _ uint16) {
		s.say(l2tpmsg.StopCCN, 0, content(l2tpmsg.StopCCN, myTunnel, 0)...)
	}
	ours := func(s *script, session uint16) { s.do(CloseCall{Session: session}) }
	all := func(s *script, _ uint16) { s.do(CloseTunnel{}) }
	data := func(s *script, session uint16) { s.raw(s.data(session, "\xff\x03\xc0\x21")) }
	connected := func(s *script, session uint16) { s.iccn(session) }
	steps := []func(*script, uint16){cdn, stop, ours, all, data, connected}
	for i := range 6 * 6 * 6 {
		for _, established := range []bool{true, false} {
			s := newScript(t, Config{})
			var session uint16
			if established {
				session = s.callUp()
			} else {
				s.tunnelUp()
				session = avp(t, s.icrq()[0], l2tpmsg.AssignedSessionID).U16()
			}
			for _, n := range []int{i % 6, i / 6 % 6, i / 36} {
				steps[n](s, session)
			}
			if _, ok := s.e.AppendFrame(nil, session, nil); ok && (i%6 < 4 || i/6%6 < 4 || i/36 < 4) {
				t.Errorf("order %d: the call lives on", i)
			}
			s.wait(5 * time.Minute)
			if !s.e.Idle() {
				t.Errorf("order %d: something is left", i)
			}
		}
	}
}

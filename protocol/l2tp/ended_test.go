package l2tp

import (
	"testing"

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

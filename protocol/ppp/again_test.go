package ppp

import (
	"testing"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// What goes wrong the second time, or is said twice.

// renegotiate brings LCP up once more, by the peer's wish.
func (s *script) renegotiate() {
	s.t.Helper()
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 9, "0506 11223344")
	s.acknowledge(pppmsg.LCP)
}

// TestAProtocolThatIsGoneAfterRenegotiationIsRejected: an NCP that was open once
// and is not offered any more got silence, and the peer asked for half a minute.
func TestAProtocolThatIsGoneAfterRenegotiationIsRejected(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.assign = func(Assign) (Assigned, error) { return Assigned{IPv4: clientIPv4}, nil }
	s.renegotiate()
	s.login()
	s.frames()
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 1, "010a 0123456789abcdef")
	s.want("IPv6 is not there this time", "LCP Protocol-Reject 80570101000e010a0123456789abcdef")
}

// TestAQuarrelOfBeforeDoesNotCountAfterRenegotiation: the Naks of an NCP that
// was given up were still counted when LCP had begun anew, and the first request
// was the end of it.
func TestAQuarrelOfBeforeDoesNotCountAfterRenegotiation(t *testing.T) {
	s := ready(t)
	for i := range uint8(6) {
		s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, i, "0306 c0a80105")
	}
	s.renegotiate()
	s.login()
	s.frames()
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 00000000")
	s.want("it starts over", "IPCP Configure-Nak 03060a460009")
	s.openIPCP()
}

// TestNetworkDownIsSaidOnce: an NCP that is given up for coming up too often was
// said to go down, though its last coming up was never told.
func TestNetworkDownIsSaidOnce(t *testing.T) {
	s := ready(t, func(c *Config) { c.NoIPv6 = true })
	for i := range 2 * maxOpenings {
		s.acknowledge(pppmsg.IPCP)
		s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, uint8(i), "0306 0a460009")
	}
	s.wait(time.Minute) // the script watches the order of events
	if s.down == nil || s.down.Reason != "no network protocol is left: the peer negotiates IPCP without end" {
		t.Errorf("down as %+v", s.down)
	}
}

// TestALinkWithNothingToOpenSaysWhy: IPv6 alone, and an MRU that is too small
// for it, was a minute and a half of silence.
func TestALinkWithNothingToOpenSaysWhy(t *testing.T) {
	for what, c := range map[string]struct {
		assigned Assigned
		options  string
		noIPv4   bool
		reason   string
	}{
		"IPv6 and a small MRU":         {Assigned{IPv6: clientIPv6}, "0104 04f6", false, "IPv6 needs an MRU of 1280, the peer's is 1270, and there is no IPv4 address for it"},
		"what the Config has left out": {Assigned{IPv4: clientIPv4}, "0506 11223344", true, "no address was assigned of the protocols that the link may carry"},
	} {
		s := newScript(t, func(cfg *Config) { cfg.NoIPv4 = c.noIPv4 })
		s.assign = func(Assign) (Assigned, error) { return c.assigned, nil }
		s.openLCP(c.options)
		s.login()
		if len(s.refused) != 1 || s.refused[0].Reason != c.reason || s.link.phase != terminate {
			t.Errorf("%s: %+v, and the link is in %v", what, s.refused, s.link.phase)
		}
	}
}

// TestAListOfWishesInOneNakIsOneRefusal: a Configure-Nak may list all values
// that the peer would take (RFC 1661, Section 5.3). Two of them were taken for
// two refusals, and EAP was not proposed again.
func TestAListOfWishesInOneNakIsOneRefusal(t *testing.T) {
	s := newScript(t)
	s.frames()
	s.packet(pppmsg.LCP, pppmsg.ConfigureNak, s.lastRequest(pppmsg.LCP).Identifier, "0305 c22381 0304 c023")
	s.want("EAP is proposed again", ourRequest)
	s.packet(pppmsg.LCP, pppmsg.ConfigureNak, s.lastRequest(pppmsg.LCP).Identifier, "0305 c22381 0304 c023")
	if len(s.refused) != 1 || s.refused[0].Wanted != "mschapv2" {
		t.Errorf("%+v", s.refused)
	}
}

// TestALateRequestForMPPEIsNoReasonForTheEnd: the copy of a request for CCP that
// came when the network was up, since the reject was lost, made a record of a
// refusal hours later, when the user hung up.
func TestALateRequestForMPPEIsNoReasonForTheEnd(t *testing.T) {
	s := ready(t)
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, "1206 01000001")
	s.openIPCP()
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, "1206 01000001")
	s.packet(pppmsg.LCP, pppmsg.TerminateRequest, 2, "")
	s.wait(10 * time.Second)
	if len(s.refused) != 0 || s.down == nil || s.down.Reason != "the peer hung up" {
		t.Errorf("%+v, down as %+v", s.refused, s.down)
	}
}

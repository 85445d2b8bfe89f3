package l2tp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

func TestTrap36_RepeatedSCCRQIsAcknowledgedAndNotProcessed(t *testing.T) {
	s := newScript(t, Config{})
	first := s.sccrq()
	want(t, "the first SCCRQ", first, "SCCRP")
	for range 3 { // Windows repeats it within the same second
		s.now = s.now.Add(200 * time.Millisecond)
		s.tunnel, s.ns, s.nr = 0, 0, 0
		again := s.say(l2tpmsg.SCCRQ, 0, s.introduction()...)
		want(t, "a repeated SCCRQ", again, "ZLB")
		if again[0].Header.Nr != 1 || again[0].Header.Tunnel != myTunnel {
			t.Errorf("the acknowledgement has %v", again[0].Header)
		}
	}
	s.tunnel, s.ns, s.nr = avp(t, first[0], l2tpmsg.AssignedTunnelID).U16(), 1, 1
	s.say(l2tpmsg.SCCCN, 0)
	if len(s.events) != 1 {
		t.Errorf("events: %+v", s.events)
	}
}

func TestTrap36_AnotherSCCRQMeansThatTheClientBeganAnew(t *testing.T) {
	for name, change := range map[string]func(s *script){
		"with another tunnel id":                   func(s *script) { s.mine = 8 },
		"with the same id and another name":        func(s *script) {},
		"with the same octets, but a minute later": func(s *script) { s.wait(31 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, Config{})
			session := s.callUp()
			old := s.tunnel
			change(s)
			more := []l2tpmsg.AVP{}
			if strings.Contains(name, "name") {
				more = append(more, l2tpmsg.Octets(l2tpmsg.VendorName, []byte("x")))
			}
			want(t, "the new SCCRQ", s.sccrq(more...), "SCCRP")
			events := s.took()
			if d, ok := events[len(events)-2].(CallDown); !ok || d.Session != session || !d.ByPeer {
				t.Errorf("%+v", events)
			}
			if d, ok := events[len(events)-1].(TunnelDown); !ok || d.Tunnel != old || d.Reason != "the peer began anew" {
				t.Errorf("%+v", events)
			}
			if s.tunnel == old {
				t.Errorf("the new tunnel has the id of the old one, %d", old)
			}
			s.say(l2tpmsg.SCCCN, 0)
			if _, ok := s.events[len(s.events)-1].(TunnelUp); !ok {
				t.Errorf("no new tunnel: %+v", s.events)
			}
			s.tunnel = old // late messages for the old one
			want(t, "a message for the old tunnel", s.say(l2tpmsg.HELLO, 0), "")
			s.raw(s.data(session, "\xff\x03\xc0\x21"))
			if f := frames(s.events); f != nil {
				t.Errorf("frames of the old call: %q", f)
			}
		})
	}
}

func TestTrap36_WhoClosedATunnelMayDialWithTheSameOctetsAtOnce(t *testing.T) {
	s := newScript(t, Config{})
	s.tunnelUp()
	want(t, "StopCCN", s.say(l2tpmsg.StopCCN, 0, l2tpmsg.U16(l2tpmsg.AssignedTunnelID, myTunnel), l2tpmsg.Result{Code: 1}.AVP()), "ZLB")
	want(t, "the same SCCRQ", s.sccrq(), "SCCRP")
}

func TestTrap36_WhatBelongsToNobodyGetsNoAnswer(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	s.took()
	for name, b := range map[string][]byte{
		"data for tunnel 0":                dataFor(0, session),
		"data for another tunnel":          dataFor(s.tunnel+1, session),
		"data for session 0":               dataFor(s.tunnel, 0),
		"data for another session":         dataFor(s.tunnel, session+1),
		"HELLO for another tunnel":         encode(t, l2tpmsg.ControlHeader{Tunnel: s.tunnel + 1}, l2tpmsg.HELLO),
		"SCCRP without a tunnel":           encode(t, l2tpmsg.ControlHeader{}, l2tpmsg.SCCRP, s.introduction()...),
		"HELLO without a tunnel":           encode(t, l2tpmsg.ControlHeader{}, l2tpmsg.HELLO),
		"ZLB without a tunnel":             l2tpmsg.ControlHeader{}.AppendZLB(nil),
		"SCCRQ with Ns 5":                  encode(t, l2tpmsg.ControlHeader{Ns: 5}, l2tpmsg.SCCRQ, l2tpmsg.U16(l2tpmsg.AssignedTunnelID, 9)),
		"StopCCN for a tunnel of somebody": encode(t, l2tpmsg.ControlHeader{}, l2tpmsg.StopCCN, l2tpmsg.U16(l2tpmsg.AssignedTunnelID, 9), l2tpmsg.Result{Code: 1}.AVP()),
		"nothing":                          {},
		"half a header":                    {0xc8, 0x02, 0, 12},
		"L2TPv3":                           {0xc8, 0x03, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0},
		"L2F":                              {0x40, 0x01, 0, 8, 0, 0, 0, 0},
		"a very long control message":      append([]byte{0xc8, 0x02, 0x10, 0}, make([]byte, 0x1000-4)...),
	} {
		if got := s.raw(b); got != nil {
			t.Errorf("%s: answered by %v", name, kinds(got))
		}
	}
	if events := s.took(); len(events) != 0 || s.e.live == nil {
		t.Errorf("events: %+v", events)
	}
}

func dataFor(tunnel, session uint16) []byte {
	return append(l2tpmsg.DataHeader{Tunnel: tunnel, Session: session}.Append(nil), "\xff\x03\xc0\x21"...)
}

func TestTrap36_SCCRQsAtOnceAreDecidedByTheTieBreaker(t *testing.T) {
	tie := func(b byte) l2tpmsg.AVP { return l2tpmsg.Octets(l2tpmsg.TieBreaker, bytes.Repeat([]byte{b}, 8)) }
	for name, c := range map[string]struct {
		avps   []l2tpmsg.AVP
		answer string
		events string
	}{
		"the peer has none, and loses":  {nil, "", "[]"},
		"the peer's is higher":          {[]l2tpmsg.AVP{tie(9)}, "", "[]"},
		"the peer's is lower, and wins": {[]l2tpmsg.AVP{tie(3)}, "SCCRP", "[]"},
		"both are equal": {[]l2tpmsg.AVP{tie(5)}, "",
			"[{ByPeer:false Reason:both ends dialled at once, with the same tie breaker Hint:}]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, Config{Role: LAC, rand: func(b []byte) {
				for i := range b {
					b[i] = 5
				}
			}})
			s.e.Connect(s.now, &s.out)
			want(t, "Connect", s.drain(), "SCCRQ")
			want(t, "the peer's SCCRQ", s.sccrq(c.avps...), c.answer)
			if got := fmt.Sprintf("%+v", s.events); got != c.events {
				t.Errorf("events %s", got)
			}
			if c.answer == "SCCRP" { // the call that waited goes through the winner's tunnel
				want(t, "SCCCN", s.say(l2tpmsg.SCCCN, 0), "ICRQ")
			}
		})
	}
}

func TestTrap37_SequenceNumbersWrap(t *testing.T) {
	s := newScript(t, Config{MaxCalls: 2})
	session := s.callUp()
	const near = 65500
	c := &s.e.live.channel
	c.next, c.nr, s.ns, s.nr = near, near, near, near
	// ICRQ and CDN, over a call that stays.
	for i := range 100 {
		more := uint16(2)
		got := s.say(l2tpmsg.ICRQ, 0, l2tpmsg.U16(l2tpmsg.AssignedSessionID, more), l2tpmsg.U32(l2tpmsg.CallSerialNumber, uint32(i)))
		if kinds(got) != "ICRP" {
			t.Fatalf("call %d: %v, Ns %d: %+v", i, kinds(got), s.ns, s.took())
		}
		id := avp(t, got[0], l2tpmsg.AssignedSessionID).U16()
		got = s.say(l2tpmsg.CDN, id, l2tpmsg.U16(l2tpmsg.AssignedSessionID, more), l2tpmsg.Result{Code: 3}.AVP())
		if kinds(got) != "ZLB" {
			t.Fatalf("hanging up %d: %v", i, kinds(got))
		}
		s.took()
	}
	s.raw(s.data(session, "\xff\x03\xc0\x21"))
	if f := frames(s.events); len(f) != 1 {
		t.Errorf("frames: %q", f)
	}
}

func TestTrap37_DuplicatesAreAcknowledgedAndOldOnesToo(t *testing.T) {
	s := newScript(t, Config{})
	s.callUp()
	s.took()
	c := &s.e.live.channel
	for ahead, answered := range map[uint16]bool{0xffff: true, 0xfffe: true, 0x8000: true, 0x7fff: false, 8: false} {
		m := encode(t, l2tpmsg.ControlHeader{Tunnel: s.tunnel, Ns: c.nr + ahead, Nr: s.nr}, l2tpmsg.HELLO)
		got := s.raw(m)
		if answered {
			want(t, fmt.Sprintf("Ns %d before", -int16(ahead)), got, "ZLB")
		} else {
			want(t, fmt.Sprintf("Ns %d ahead", ahead), got, "")
		}
	}
	if len(c.early) != 0 || len(s.took()) != 0 {
		t.Errorf("kept %v", c.early)
	}
}

func TestTrap37_ZLBIsNeverAcknowledgedWhateverItsNs(t *testing.T) {
	s := newScript(t, Config{})
	s.callUp()
	for _, ns := range []uint16{0, 1, s.ns - 1, s.ns, s.ns + 1, s.ns + 100, s.ns + 0x8000} {
		got := s.raw(l2tpmsg.ControlHeader{Tunnel: s.tunnel, Ns: ns, Nr: s.nr}.AppendZLB(nil))
		want(t, fmt.Sprintf("ZLB with Ns %d", ns), got, "")
	}
	want(t, "the next message", s.say(l2tpmsg.HELLO, 0), "ZLB") // no ZLB has used up an Ns
}

func TestTrap37_NrOfWhatWasNeverSentIsIgnored(t *testing.T) {
	s := newScript(t, Config{})
	s.sccrq()
	for _, nr := range []uint16{2, 3, 100, 0x8000, 0xffff} {
		s.raw(l2tpmsg.ControlHeader{Tunnel: s.tunnel, Ns: 1, Nr: nr}.AppendZLB(nil))
		if n := len(s.e.live.channel.queue); n != 1 {
			t.Errorf("Nr %d: %d messages wait", nr, n)
		}
	}
	s.ack()
	if n := len(s.e.live.channel.queue); n != 0 {
		t.Errorf("%d messages wait after the acknowledgement", n)
	}
}

func TestTrap37_StopCCNIsAnsweredByZLBAloneFor31Seconds(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	stop := encode(t, l2tpmsg.ControlHeader{Tunnel: s.tunnel, Ns: s.ns, Nr: s.nr}, l2tpmsg.StopCCN,
		l2tpmsg.U16(l2tpmsg.AssignedTunnelID, myTunnel), l2tpmsg.Result{Code: 6, Text: "shut\ndown"}.AVP())
	want(t, "StopCCN", s.raw(stop), "ZLB")
	events := s.took()
	if d, ok := events[len(events)-1].(TunnelDown); !ok || !d.ByPeer || d.Result != l2tpmsg.StopShutdown ||
		d.Reason != `the peer closed the tunnel: being shut down, "shut\ndown"` {
		t.Errorf("%+v", events)
	}
	if d, ok := events[len(events)-2].(CallDown); !ok || !d.ByPeer || d.Session != session {
		t.Errorf("%+v", events)
	}
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second} {
		if got := s.wait(d); got != nil {
			t.Errorf("unasked: %v", kinds(got))
		}
		want(t, "a repeated StopCCN", s.raw(stop), "ZLB")
	}
	if s.e.Idle() {
		t.Error("the tunnel does not linger")
	}
	s.wait(time.Second)
	want(t, "StopCCN after 31 seconds", s.raw(stop), "")
	if !s.e.Idle() || len(s.took()) != 0 {
		t.Error("the tunnel is still there")
	}
}

func TestTrap37_StopCCNBeforeTheClientKnowsOurTunnel(t *testing.T) {
	s := newScript(t, Config{})
	s.sccrq()
	s.tunnel, s.nr = 0, 0 // the SCCRP was lost
	stop := []l2tpmsg.AVP{l2tpmsg.U16(l2tpmsg.AssignedTunnelID, myTunnel), l2tpmsg.Result{Code: 1}.AVP()}
	want(t, "StopCCN", s.say(l2tpmsg.StopCCN, 0, stop...), "ZLB")
	if r, ok := s.events[0].(Refused); !ok || !r.ByPeer || s.e.live != nil {
		t.Errorf("%+v", s.events)
	}
	want(t, "afterwards, though the SCCRP was never acknowledged", s.wait(time.Minute), "")
}

func TestTrap37_ResultsOfClientsAreUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		value  string
		code   l2tpmsg.CallCode
		reason string
	}{
		"8 octets, as Windows":       {"\x00\x03", 3, "the peer hung up: administrative reasons"},
		"with an error code":         {"\x00\x02\x00\x06", 2, "the peer hung up: general error, vendor-specific error"},
		"with a text":                {"\x00\x01\x00\x00\x1b[31m", 1, `the peer hung up: loss of carrier, "\x1b[31m"`},
		"Apple's order of octets":    {"\x03\x00", 3, "the peer hung up: administrative reasons"},
		"Apple's, with an error":     {"\x01\x00\x00\x00", 1, "the peer hung up: loss of carrier"},
		"nobody's":                   {"\x00\x63", 99, "the peer hung up: result 99"},
		"reserved":                   {"\x00\x00", 0, "the peer hung up: no valid result code"},
		"three octets, which are no": {"\x00\x03\x00", 0, "the peer hung up: no valid result code"},
		"a long text": {"\x00\x01\x00\x00" + strings.Repeat("a", 1000), 1,
			`the peer hung up: loss of carrier, "` + strings.Repeat("a", maxText) + `"`},
	} {
		s := newScript(t, Config{})
		session := s.callUp()
		got := s.say(l2tpmsg.CDN, session, l2tpmsg.Octets(l2tpmsg.ResultCode, []byte(c.value)), l2tpmsg.U16(l2tpmsg.AssignedSessionID, mySession))
		want(t, name, got, "ZLB")
		if d, ok := s.events[len(s.events)-1].(CallDown); !ok || d.Result != c.code || d.Reason != c.reason || !d.ByPeer {
			t.Errorf("%s: %+v", name, s.events[len(s.events)-1])
		}
	}
}

func TestTrap37_CDNWithoutAResultStillHangsUp(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	want(t, "CDN", s.say(l2tpmsg.CDN, session), "ZLB")
	if d, ok := s.events[len(s.events)-1].(CallDown); !ok || d.Result != 0 {
		t.Errorf("%+v", s.events)
	}
}

func TestTrap37_CDNIsNeverAnsweredByCDN(t *testing.T) {
	s := newScript(t, Config{})
	s.tunnelUp()
	odd := l2tpmsg.AVP{Type: 999, Mandatory: true}
	for _, session := range []uint16{0, 999} {
		want(t, "a CDN for a call that is gone", s.say(l2tpmsg.CDN, session, content(l2tpmsg.CDN, 0, 5)...), "ZLB")
		want(t, "one that is wrong too", s.say(l2tpmsg.CDN, session, append(content(l2tpmsg.CDN, 0, 5), odd)...), "ZLB")
		want(t, "one without anything", s.say(l2tpmsg.CDN, session), "ZLB")
	}
}

// TestTrap37_AcknowledgementsCountWhatWasSent: a peer that looks at the Ns of a
// ZLB would miss a message that was queued and never sent.
func TestTrap37_AcknowledgementsCountWhatWasSent(t *testing.T) {
	s := newScript(t, Config{MaxCalls: 4})
	s.tunnelUp()
	for i := range uint16(4) { // four ICRPs, of which slow start lets some go
		s.nr = 1
		s.say(l2tpmsg.ICRQ, 0, content(l2tpmsg.ICRQ, 0, i+1)...)
	}
	c := &s.e.live.channel
	sent := c.next - uint16(len(c.queue)-c.ever)
	if sent == c.next {
		t.Fatalf("all is sent: %+v", c)
	}
	for _, kind := range []l2tpmsg.MessageType{l2tpmsg.HELLO, l2tpmsg.StopCCN} {
		s.nr = 1
		got := s.say(kind, 0, content(kind, myTunnel, 0)...)
		want(t, kind.String(), got, "ZLB")
		if ns := got[0].Header.Ns; ns != sent {
			t.Errorf("after %v the ZLB has Ns %d, and %d were sent", kind, ns, sent)
		}
	}
}

func TestTrap38_ReorderedSetUpIsPutInOrder(t *testing.T) {
	s := newScript(t, Config{})
	s.sccrq()
	s.ns = 2
	want(t, "ICRQ before SCCCN", s.icrq(), "")
	s.ns = 1
	got := s.say(l2tpmsg.SCCCN, 0)
	want(t, "SCCCN", got, "ICRP")
	s.ns = 3
	s.iccn(avp(t, got[0], l2tpmsg.AssignedSessionID).U16())
	if len(s.events) != 2 || s.e.live.channel.early != nil {
		t.Errorf("%+v", s.events)
	}
}

func TestTrap38_FramesBeforeICCNAreHeld(t *testing.T) {
	s := newScript(t, Config{})
	s.tunnelUp()
	session := avp(t, s.icrq()[0], l2tpmsg.AssignedSessionID).U16()
	s.raw(s.data(session, "\xff\x03\xc0\x21 1"))
	s.raw(s.data(session, "\xff\x03\xc0\x21 2"))
	s.raw(s.data(session, strings.Repeat("long", 1000)))
	s.raw(s.data(session, ""))
	for range 10 {
		s.raw(s.data(session, "\xff\x03\xc0\x21 more"))
	}
	s.iccn(session)
	f := frames(s.events)
	if len(f) != maxHeld || f[0] != "\xff\x03\xc0\x21 1" || f[1] != "\xff\x03\xc0\x21 2" || f[3] != "\xff\x03\xc0\x21 more" {
		t.Errorf("%q", f)
	}
	if _, ok := s.events[1].(CallUp); !ok {
		t.Errorf("%+v", s.events)
	}
}

func TestTrap38_LostICCNIsRepeatedAndTheCallComesUp(t *testing.T) {
	w := newWorld(t, 1)
	w.lac.connect()
	w.run(3*pathDelay + pathDelay/2) // SCCRQ, SCCRP, SCCCN and ICRQ
	w.net.Link.Loss = 1
	w.run(2 * pathDelay) // ICRP and ICCN
	w.net.Link.Loss = 0
	w.run(5 * time.Second)
	if !w.agree() {
		t.Errorf("%s\n%s", w.show(w.lac), w.show(w.lns))
	}
}

func TestTrap38_TwoCallsOfOneTunnelAreKeptApart(t *testing.T) {
	s := newScript(t, Config{MaxCalls: 2})
	one := s.callUp()
	got := s.say(l2tpmsg.ICRQ, 0, l2tpmsg.U16(l2tpmsg.AssignedSessionID, 2), l2tpmsg.U32(l2tpmsg.CallSerialNumber, 43))
	two := avp(t, got[0], l2tpmsg.AssignedSessionID).U16()
	s.iccn(two)
	s.raw(s.data(one, "one"))
	s.raw(s.data(two, "two"))
	var seen []string
	for _, e := range s.events {
		if f, ok := e.(Frame); ok {
			seen = append(seen, fmt.Sprintf("%d %s", f.Session, f.PPP))
		}
	}
	if want := []string{fmt.Sprintf("%d one", one), fmt.Sprintf("%d two", two)}; fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("%q", seen)
	}
	b, ok := s.e.AppendFrame([]byte("head"), two, []byte("answer"))
	h, ppp, err := l2tpmsg.ParseData(bytes.TrimPrefix(b, []byte("head")))
	if !ok || err != nil || h.Tunnel != myTunnel || h.Session != 2 || string(ppp) != "answer" {
		t.Errorf("%v %+v %q %v", ok, h, ppp, err)
	}
	want(t, "a third call", s.say(l2tpmsg.ICRQ, 0, l2tpmsg.U16(l2tpmsg.AssignedSessionID, 3), l2tpmsg.U32(l2tpmsg.CallSerialNumber, 44)), "CDN")
	s.do(CloseCall{Session: one})
	if _, ok := s.e.AppendFrame(nil, one, nil); ok {
		t.Error("the call that was closed still sends")
	}
	if _, ok := s.e.AppendFrame(nil, two, nil); !ok {
		t.Error("the other call is gone too")
	}
}

func TestTrap39_HelloWithoutAnswerIsForgivenWhileDataFlows(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	for range 10 {
		got := s.wait(60*time.Second + 100*time.Millisecond)
		want(t, "a minute of silence", got, "HELLO")
		s.nr = s.e.live.channel.next - 1 // it is never acknowledged
		s.raw(s.data(session, "\xff\x03\xc0\x21 echo"))
		for range 3 {
			s.wait(20 * time.Second)
			s.raw(s.data(session, "\xff\x03\xc0\x21 echo"))
		}
	}
	if s.e.live == nil {
		t.Fatalf("%+v", s.took())
	}
	if n := len(s.e.live.channel.queue); n != 1 {
		t.Errorf("%d HELLOs wait", n)
	}
	// What comes after the HELLO is said all the same.
	want(t, "CloseCall", s.do(CloseCall{Session: session}), "HELLO CDN")
	want(t, "CloseTunnel", s.do(CloseTunnel{}), "StopCCN")
}

func TestTrap39_WhatComesAfterAForgivenHelloDoesNotWaitForIt(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	want(t, "silence", s.wait(61*time.Second), "HELLO HELLO") // the second closes the congestion window
	s.nr--
	s.raw(s.data(session, "\xff\x03\xc0\x21 echo"))
	want(t, "the time of the third", s.wait(10*time.Second), "")
	want(t, "CloseCall", s.do(CloseCall{Session: session}), "HELLO CDN")
}

func TestTrap39_LateAnswerToAHelloIsTaken(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	s.wait(61 * time.Second)
	s.raw(s.data(session, "\xff\x03\xc0\x21 echo"))
	s.wait(10 * time.Second)
	s.ack()
	if c := &s.e.live.channel; len(c.queue) != 0 || c.paused {
		t.Errorf("%+v", c)
	}
	want(t, "the next silence", s.wait(60*time.Second), "HELLO")
}

func TestTrap39_SilenceAfterAForgivenHelloEndsTheTunnel(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	s.wait(61 * time.Second)
	s.raw(s.data(session, "\xff\x03\xc0\x21 echo"))
	s.wait(59 * time.Second)
	if s.e.live == nil {
		t.Fatal("the tunnel is down too early")
	}
	s.wait(40 * time.Second)
	if !s.e.Idle() {
		t.Error("the tunnel is still up")
	}
}

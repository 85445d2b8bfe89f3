package l2tp

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// TestCVE_2024_38520_AnswersAreNoLongerThanABoundedFactor: SoftEther answered
// each spoofed datagram with two larger ones. Here ESP has authenticated the
// sender, and still: what belongs to no tunnel gets nothing, and one message
// gets one.
func TestCVE_2024_38520_AnswersAreNoLongerThanABoundedFactor(t *testing.T) {
	const factor = 4 // an SCCRP beside the shortest SCCRQ, our names at their longest
	long := string(bytes.Repeat([]byte("n"), 200))
	t.Run("SCCRQs of ever new clients", func(t *testing.T) {
		s := newScript(t, Config{HostName: long, VendorName: long})
		for i := range uint16(1000) {
			s.mine = i + 1
			s.sccrq()
		}
		s.wait(time.Hour) // what is repeated is of the last one alone
		if f := float64(s.octetsOut) / float64(s.octetsIn); f > factor {
			t.Errorf("factor %.2f", f)
		}
	})
	t.Run("SCCRQs that are refused", func(t *testing.T) {
		s := newScript(t, Config{HostName: long, VendorName: long})
		for i := range uint16(1000) {
			s.mine = i + 1
			s.sccrq(l2tpmsg.AVP{Type: 999, Mandatory: true})
		}
		if n := len(s.e.ended); n != maxEnded {
			t.Errorf("%d tunnels linger", n)
		}
		s.wait(time.Hour)
		if f := float64(s.octetsOut) / float64(s.octetsIn); f > factor {
			t.Errorf("factor %.2f", f)
		}
		if !s.e.Idle() {
			t.Error("something is left")
		}
	})
	t.Run("one SCCRQ again and again", func(t *testing.T) {
		s := newScript(t, Config{HostName: long, VendorName: long})
		for range 1000 {
			s.sccrq()
		}
		if f := float64(s.octetsOut) / float64(s.octetsIn); f > 0.5 {
			t.Errorf("factor %.2f", f)
		}
	})
	t.Run("junk in an established tunnel", func(t *testing.T) {
		s := newScript(t, Config{HostName: long, VendorName: long, MaxCalls: 2})
		s.callUp()
		s.octetsIn, s.octetsOut = 0, 0
		for i := range 200 {
			s.raw(s.data(uint16(i)*7+1000, "junk"))
			s.raw(encode(t, l2tpmsg.ControlHeader{Tunnel: s.tunnel, Ns: uint16(i) * 300, Nr: s.nr}, l2tpmsg.HELLO))
			s.ack()
		}
		if s.octetsOut > s.octetsIn {
			t.Errorf("%d octets answer %d", s.octetsOut, s.octetsIn)
		}
	})
}

func TestPeerThatNeverAcknowledgesCannotFillMemory(t *testing.T) {
	s := newScript(t, Config{})
	s.tunnelUp()
	for i := range 1000 {
		if s.e.live == nil {
			d := s.events[len(s.events)-1].(TunnelDown)
			if d.ByPeer || d.Reason != "32 control messages are not acknowledged" {
				t.Errorf("%+v", d)
			}
			if i < maxQueue {
				t.Errorf("given up after %d messages", i)
			}
			if !s.e.Idle() {
				t.Error("it lingers, and nobody will acknowledge anything")
			}
			return
		}
		s.nr = 1 // the SCCRP was the last thing it heard
		s.say(l2tpmsg.OCRQ, 0, content(l2tpmsg.OCRQ, 0, uint16(i+1))...)
	}
	t.Errorf("1,000 CDNs wait for an acknowledgement: %d", len(s.e.live.channel.queue))
}

func TestMessagesOutOfOrderAreKeptWithinTheWindow(t *testing.T) {
	s := newScript(t, Config{Window: 4})
	s.callUp()
	big := l2tpmsg.Octets(999, make([]byte, 1000))
	expected := s.ns
	for ahead := uint16(1); ahead < 100; ahead++ {
		for range 2 {
			s.ns = expected + ahead
			s.say(l2tpmsg.HELLO, 0, big)
		}
	}
	c := &s.e.live.channel
	if len(c.early) != 3 {
		t.Fatalf("%d messages are kept of a window of 4", len(c.early))
	}
	s.ns = expected
	got := s.say(l2tpmsg.HELLO, 0)
	if kinds(got) != "ZLB" || got[0].Header.Nr != expected+4 || c.early != nil {
		t.Errorf("%v %v %+v", kinds(got), got[0].Header, c)
	}
}

func TestPeersWindowIsRespected(t *testing.T) {
	for _, c := range []struct {
		announced, told, want int
	}{{0, 4, 4}, {1, 1, 1}, {2, 2, 2}, {8, 8, 8}, {65535, 65535, 16}} { // 16 are there to be sent
		s := newScript(t, Config{MaxCalls: 16, Window: 16})
		var more []l2tpmsg.AVP
		if c.announced > 0 {
			more = append(more, l2tpmsg.U16(l2tpmsg.ReceiveWindowSize, uint16(c.announced)))
		}
		s.sccrq(more...)
		s.say(l2tpmsg.SCCCN, 0)
		s.e.live.channel.hurry() // the congestion window is another test's
		known := s.nr
		for i := range uint16(16) {
			s.nr = known // nothing is acknowledged
			s.say(l2tpmsg.ICRQ, 0, l2tpmsg.U16(l2tpmsg.AssignedSessionID, i+1), l2tpmsg.U32(l2tpmsg.CallSerialNumber, 1))
		}
		if n := s.e.live.channel.sent; n != c.want {
			t.Errorf("a window of %d: %d under way", c.announced, n)
		}
		if up, ok := s.events[0].(TunnelUp); !ok || up.Window != c.told {
			t.Errorf("%+v", s.events[0])
		}
	}
}

// TestSlowStart is RFC 2661, Appendix A.
func TestSlowStart(t *testing.T) {
	c := newChannel(8)
	c.peer = 7
	c.setWindow(8)
	now := start
	var out Out
	flush := func() int {
		out.Reset()
		c.flush(now, &out)
		return len(out.Send)
	}
	for range 30 {
		c.push(0, l2tpmsg.HELLO, nil)
	}
	acked := uint16(0)
	ack := func(n uint16) {
		acked += n
		c.acknowledge(now, acked)
	}
	if n := flush(); n != 1 {
		t.Fatalf("%d at first", n)
	}
	for i, want := range []int{2, 2, 2, 2, 2, 2, 2} { // each acknowledgement frees one place and makes one
		ack(1)
		if n := flush(); n != want {
			t.Fatalf("acknowledgement %d lets %d go, not %d", i, n, want)
		}
	}
	ack(1)
	if n := flush(); n != 1 || c.cwnd != 8 {
		t.Fatalf("at the peer's window %d go, and the window is %d", n, c.cwnd)
	}
	// A retransmission: half of it is the threshold, and one is the window.
	now = c.due
	if c.timeout(now, now.Add(-time.Hour)) || c.cwnd != 1 || c.ssthresh != 4 {
		t.Fatalf("%+v", c)
	}
	if n := flush(); n != 1 {
		t.Fatalf("%d are repeated", n)
	}
	for _, want := range []int{2, 3, 4} { // slow start to the threshold
		ack(1)
		flush()
		if c.cwnd != want {
			t.Fatalf("window %d, not %d", c.cwnd, want)
		}
	}
	for range 4 { // and then one more after a whole window
		if c.cwnd != 4 {
			t.Fatalf("window %d", c.cwnd)
		}
		ack(1)
		flush()
	}
	if c.cwnd != 5 {
		t.Fatalf("window %d after 4 acknowledgements", c.cwnd)
	}
}

func TestRetransmissionIsAtTheTimesOfTheRFC(t *testing.T) {
	s := newScript(t, Config{})
	s.sccrq()
	began := s.now
	for _, after := range []time.Duration{1, 3, 7, 15, 23} {
		want(t, "before", s.wait(began.Add(after*time.Second-1).Sub(s.now)), "")
		got := s.wait(1)
		want(t, fmt.Sprintf("after %d seconds", after), got, "SCCRP")
		if got[0].Header.Ns != 0 || got[0].Header.Nr != 1 {
			t.Errorf("%v", got[0].Header)
		}
	}
	want(t, "until 31 seconds", s.wait(began.Add(fullCycle-1).Sub(s.now)), "")
	if s.e.Idle() {
		t.Error("given up too early")
	}
	want(t, "after 31 seconds", s.wait(1), "")
	if !s.e.Idle() || len(s.events) != 1 {
		t.Errorf("%+v", s.events)
	}
}

func TestRepeatedMessagesCarryTheNewestNr(t *testing.T) {
	s := newScript(t, Config{})
	s.tunnelUp()
	known := s.nr
	s.icrq()
	s.nr = known // the ICRP was lost
	s.say(l2tpmsg.HELLO, 0)
	got := s.wait(time.Second)
	want(t, "a second later", got, "ICRP")
	if got[0].Header.Nr != s.ns {
		t.Errorf("it has Nr %d, and %d messages came", got[0].Header.Nr, s.ns)
	}
}

func TestSetUpsEndInTime(t *testing.T) {
	for name, c := range map[string]struct {
		bring  func(s *script)
		after  time.Duration
		end    string
		reason string
	}{
		"SCCCN never comes": {func(s *script) { s.sccrq(); s.ack() }, setupTime, "StopCCN", "the tunnel did not come up within 35s"},
		"ICCN never comes":  {func(s *script) { s.tunnelUp(); s.icrq(); s.ack() }, setupTime, "CDN", "the call did not come up within 35s"},
		"no call comes":     {func(s *script) { s.tunnelUp(); s.ack() }, lonelyTime, "StopCCN", "no call uses the tunnel"},
		"the call is over": {func(s *script) {
			s.say(l2tpmsg.CDN, s.callUp(), l2tpmsg.U16(l2tpmsg.AssignedSessionID, 1), l2tpmsg.Result{Code: 3}.AVP())
		}, lonelyTime, "StopCCN", "no call uses the tunnel"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, Config{})
			c.bring(s)
			if got := s.wait(c.after - 1); len(got) != 0 {
				t.Fatalf("too early: %v", kinds(got))
			}
			want(t, "in the end", s.wait(1), c.end)
			var reason string
			switch e := s.events[len(s.events)-1].(type) {
			case TunnelDown:
				reason = e.Reason
			case Refused:
				reason = e.Reason
			}
			if reason != c.reason {
				t.Errorf("%+v", s.events)
			}
			s.ack()
			s.wait(5 * time.Minute)
			if !s.e.Idle() {
				t.Error("something is left")
			}
		})
	}
}

func TestIDsAreNeverZeroAndNeverTwiceTheSame(t *testing.T) {
	s := newScript(t, Config{MaxCalls: 16, NewID: func() uint16 { return 0 }})
	s.sccrq()
	s.say(l2tpmsg.SCCCN, 0)
	ids := map[uint16]bool{s.tunnel: true}
	for i := range uint16(16) {
		got := s.say(l2tpmsg.ICRQ, 0, l2tpmsg.U16(l2tpmsg.AssignedSessionID, i+1), l2tpmsg.U32(l2tpmsg.CallSerialNumber, 1))
		for _, m := range got {
			if kind, _, _ := m.Type(); kind == l2tpmsg.ICRP {
				id := avp(t, m, l2tpmsg.AssignedSessionID).U16()
				if id == 0 || ids[id] {
					t.Errorf("id %d again", id)
				}
				ids[id] = true
			}
		}
		s.ack()
	}
	if len(ids) != 17 {
		t.Errorf("%d ids", len(ids))
	}
	random := NewEndpoint(&Config{Role: LAC})
	var out Out
	random.Connect(start, &out)
	if random.live.id == 0 || random.live.calls[0].id == 0 {
		t.Error("an id of crypto/rand is 0")
	}
}

func TestAnLNSDoesNotDialAndALACIsNotDialled(t *testing.T) {
	s := newScript(t, Config{})
	s.e.Connect(s.now, &s.out)
	if got := s.drain(); got != nil || len(s.events) != 1 || !s.e.Idle() {
		t.Errorf("%v %+v", kinds(got), s.events)
	}
	s = newScript(t, Config{Role: LAC})
	if got := s.sccrq(); got != nil || !s.e.Idle() {
		t.Errorf("%v %+v", kinds(got), s.events)
	}
	dial(s)
	s.e.Connect(s.now, &s.out)
	if got := s.drain(); got != nil {
		t.Errorf("a second Connect sends %v", kinds(got))
	}
}

func TestAbandonEndsEverythingWithoutAWord(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	if got := s.do(Abandon{"the last security association is gone"}); got != nil || !s.e.Idle() || !s.e.Deadline().IsZero() {
		t.Errorf("%v, idle %v", kinds(got), s.e.Idle())
	}
	n := len(s.events)
	if c, ok := s.events[n-2].(CallDown); !ok || c.Session != session || c.ByPeer {
		t.Errorf("%+v", s.events)
	}
	if d, ok := s.events[n-1].(TunnelDown); !ok || d.Reason != "the last security association is gone" {
		t.Errorf("%+v", s.events)
	}
	s = newScript(t, Config{})
	s.tunnelUp()
	s.do(CloseTunnel{})
	s.do(Abandon{"gone"})
	if !s.e.Idle() {
		t.Error("what lingered is still there")
	}
	want(t, "a command for nothing", s.do(CloseTunnel{}), "")
	want(t, "a command for nothing", s.do(CloseCall{Session: 1}), "")
}

func TestOwnTextsAreBounded(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	long := string(bytes.Repeat([]byte("t"), 5000))
	got := s.do(CloseCall{Session: session, Text: long})
	want(t, "CloseCall", got, "CDN")
	if r := resultOf(t, got[0]); len(r.Text) != maxText || r.Code != uint16(l2tpmsg.CallAdministrative) {
		t.Errorf("%+v", r)
	}
	s.ack()
	got = s.do(CloseTunnel{Result: l2tpmsg.StopShutdown, Error: l2tpmsg.ErrorTryAnother, Text: long})
	want(t, "CloseTunnel", got, "StopCCN")
	if r := resultOf(t, got[0]); len(r.Text) != maxText || r.Code != uint16(l2tpmsg.StopShutdown) || r.Error != l2tpmsg.ErrorTryAnother {
		t.Errorf("%+v", r)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	cfg := Config{Secret: secret.Bytes("a tunnel secret")}
	if text := fmt.Sprintf("%+v %#v", cfg, cfg); bytes.Contains([]byte(text), []byte("a tunnel secret")) {
		t.Error(text)
	}
}

// tunnelBudget is what an idle tunnel with a call may keep on the heap.
const tunnelBudget = 1024

func TestHeapPerIdleTunnel(t *testing.T) {
	const n = 1000
	cfg := &Config{HostName: "vpn.example.org"}
	up := func() *Endpoint {
		s := &script{t: t, cfg: cfg, now: start, mine: myTunnel, e: NewEndpoint(cfg)}
		s.callUp()
		return s.e
	}
	up()
	keep := make([]*Endpoint, 0, n)
	before := heap()
	for range n {
		keep = append(keep, up())
	}
	each := (heap() - before) / n
	t.Logf("%d octets per idle tunnel with a call", each)
	if each > tunnelBudget {
		t.Errorf("%d octets, the budget is %d", each, tunnelBudget)
	}
	runtime.KeepAlive(keep)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestFramesCostOneAllocation(t *testing.T) {
	s := newScript(t, Config{})
	session := s.callUp()
	m := s.data(session, "\xff\x03\xc0\x21")
	room := make([]byte, 0, 100)
	n := testing.AllocsPerRun(100, func() {
		s.e.Receive(s.now, m, &s.out) // the event is the one
		s.out.Reset()
		s.e.AppendFrame(room, session, m)
		s.e.Heard(s.now)
		s.e.Deadline()
	})
	if n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestSequencedCallsHaveNs(t *testing.T) {
	s := newScript(t, Config{})
	s.tunnelUp()
	session := avp(t, s.icrq()[0], l2tpmsg.AssignedSessionID).U16()
	s.iccn(session, l2tpmsg.Octets(l2tpmsg.SequencingRequired, nil))
	if up, ok := s.events[1].(CallUp); !ok || !up.Sequenced {
		t.Fatalf("%+v", s.events)
	}
	for i := range uint16(3) {
		b, _ := s.e.AppendFrame(nil, session, []byte("frame"))
		if h, ppp, err := l2tpmsg.ParseData(b); err != nil || !h.Sequenced || h.Ns != i || string(ppp) != "frame" {
			t.Errorf("%+v %q %v", h, ppp, err)
		}
	}
	s.raw(s.data(session, "without Ns")) // the client breaks its own rule; the frame is as good
	if f := frames(s.events); len(f) != 1 {
		t.Errorf("%q", f)
	}
}

func TestALACFollowsTheSequencingOfItsLNS(t *testing.T) {
	s := newScript(t, Config{Role: LAC})
	session := lacUp(s)
	ns := uint16(0)
	for _, sequenced := range []bool{false, true, true, false, true} {
		h := l2tpmsg.DataHeader{Tunnel: s.tunnel, Session: session, Sequenced: sequenced, Ns: 5}
		s.raw(append(h.Append(nil), "frame"...))
		b, _ := s.e.AppendFrame(nil, session, []byte("answer"))
		got, _, err := l2tpmsg.ParseData(b)
		if err != nil || got.Sequenced != sequenced || sequenced && got.Ns != ns {
			t.Errorf("sequenced %v: %+v %v", sequenced, got, err)
		}
		if sequenced {
			ns++ // it picks up where it left off (RFC 2661, Section 5.4)
		}
	}
}

package ppp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// What the runtime does to a link: answers that are wrong, late or missing, and
// calls that come twice.

func TestAnswersOfTheConversationThatCannotBeUsed(t *testing.T) {
	success := pppmsg.EAPPacket{Code: pppmsg.EAPSuccess, Identifier: 1}.Append(nil)
	failure := pppmsg.EAPPacket{Code: pppmsg.EAPFailure, Identifier: 1}.Append(nil)
	long := pppmsg.EAPPacket{Code: pppmsg.EAPRequest, Identifier: 1, Data: make([]byte, 1500)}.Append(nil)
	for _, c := range []struct {
		what   string
		step   EAPStep
		err    error
		reason string
	}{
		{"an error", EAPStep{}, errors.New("no RADIUS server answers"), "no RADIUS server answers"},
		{"nothing to begin with", EAPStep{}, nil, "the EAP conversation answered with nothing that can be sent"},
		{"Success of its own", EAPStep{Packet: success}, nil, "the EAP conversation answered with nothing that can be sent"},
		{"a success without EAP-Success", EAPStep{Packet: long[:0], Success: true}, nil, "the EAP conversation answered with nothing that can be sent"},
		{"Failure without a reason", EAPStep{Packet: failure}, nil, "the EAP conversation failed without a reason"},
		{"a packet that is too long", EAPStep{Packet: long}, nil, "an EAP packet of 1504 octets does not fit the peer's MRU of 1500"},
		{"noise", EAPStep{Packet: []byte{1, 2, 3}}, nil, "the EAP conversation answered with nothing that can be sent"},
	} {
		s := newScript(t)
		s.eap = func(EAP) (EAPStep, error) { return c.step, c.err }
		s.acknowledge(pppmsg.LCP)
		s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, "0506 11223344")
		if len(s.refused) != 1 || s.refused[0].Reason != c.reason || s.logins != 0 {
			t.Errorf("%s: %+v", c.what, s.refused)
		}
		s.wait(time.Minute)
		if s.down == nil || s.down.Reason != c.reason {
			t.Errorf("%s: down as %+v", c.what, s.down)
		}
	}
}

func TestAnswersOfAnotherType(t *testing.T) {
	s := newScript(t)
	var job Job
	s.acknowledge(pppmsg.LCP)
	s.link.Receive(s.clock, octets("ff03 c021 01 01 000a 0506 11223344"), &s.out)
	job = s.out.Jobs[0]
	s.out.Reset()
	s.link.Done(s.clock, Result{ID: job.ID + 1, Value: EAPStep{}}, &s.out)
	if len(s.out.Events) != 0 {
		t.Errorf("an answer to no job: %+v", s.out.Events)
	}
	s.link.Done(s.clock, Result{ID: job.ID, Value: 7}, &s.out)
	s.drain()
	if len(s.refused) != 1 || s.refused[0].Reason != "ppp: a job was answered with int" {
		t.Errorf("%+v", s.refused)
	}
	s.link.Done(s.clock, Result{ID: job.ID, Value: EAPStep{}}, &s.out)
	if len(s.out.Send)+len(s.out.Events) != 0 {
		t.Errorf("the second answer to a job: %+v", s.out)
	}
}

func TestAPeerThatStartsOverWaitsForTheJobOfBefore(t *testing.T) {
	s := newScript(t)
	var finish []func()
	s.later = func(f func()) { finish = append(finish, f) }
	s.openLCP("0506 11223344")
	for range 3 {
		s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 2, "0506 11223344")
		s.acknowledge(pppmsg.LCP)
	}
	s.frames()
	if len(finish) != 1 {
		t.Fatalf("%d jobs are outstanding", len(finish))
	}
	finish[0]()
	s.want("the answer of before is void")
	if len(finish) != 2 {
		t.Fatalf("%d jobs", len(finish))
	}
	finish[1]()
	s.want("the conversation has begun anew", "EAP-Request")
}

func TestCloseTwiceAndAfterTheEnd(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.do(Close{Text: strings.Repeat("a long farewell ", 100)})
	s.do(Close{Text: "again"})
	if got := s.frames(); len(got) != 1 || len(got[0]) != len("LCP Terminate-Request ")+2*maxText {
		t.Errorf("%q", got)
	}
	s.wait(time.Minute)
	s.do(Close{})
	s.receive(octets("ff03 c021 01 01 0004"))
	s.link.Timeout(s.clock, &s.out)
	s.drain()
	if s.down == nil || !s.link.Dead() {
		t.Errorf("down as %+v", s.down)
	}
	if got := s.frames(); len(got) != 1 {
		t.Errorf("after the end: %q", got)
	}
}

func TestTheFarewellFitsTheMRU(t *testing.T) {
	s := newScript(t)
	s.eap = (&talk{server: true, rounds: 1, size: 10}).step
	s.openLCP("0104 0044 0506 11223344")
	s.packet(pppmsg.LCP, 99, 1, strings.Repeat("00", 300))
	s.packet(pppmsg.LCP, pppmsg.EchoRequest, 1, strings.Repeat("00", 300))
	s.login()
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, strings.Repeat("00", 300))
	s.do(Close{Text: strings.Repeat("x", 300)})
	longest := 0
	for _, f := range s.sent {
		longest = max(longest, len(f)-4)
	}
	if longest != 68 {
		t.Errorf("the longest packet has %d octets, and the peer takes 68", longest)
	}
}

func TestPatienceWhileClosingDoesNotInterfere(t *testing.T) {
	s := newScript(t, func(c *Config) { c.Patience = 4 * time.Second })
	s.openLCP("0506 11223344")
	s.wait(3 * time.Second)
	s.do(Close{})
	s.wait(time.Minute)
	if s.down == nil || s.down.Reason != "closed by this end" {
		t.Errorf("down as %+v", s.down)
	}
}

func TestAServerWithoutAnAddressOfItsOwn(t *testing.T) {
	w := newWorld(t, 1)
	w.server.cfg.Local = netip.Addr{}
	w.connect(time.Minute)
	w.wantUp(true, true)
	if w.server.up.LocalIPv4.IsValid() {
		t.Errorf("%v", w.server.up.LocalIPv4)
	}
}

func TestAClientLogsInByEAPOrNotAtAll(t *testing.T) {
	for what, options := range map[string]string{"no authentication": "0506 11223344", "MS-CHAPv2": "0305 c22381 0506 11223344"} {
		s := newScript(t, func(c *Config) { c.Role = Client })
		s.acknowledge(pppmsg.LCP)
		for i := range 8 {
			s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, uint8(i), options)
		}
		s.wait(time.Minute)
		if len(s.refused) != 1 || s.down == nil || s.logins != 0 || s.up != nil {
			t.Errorf("%s: %+v, down as %+v", what, s.refused, s.down)
		}
	}
}

func TestAClientGetsNoAddressThatNobodyCanHave(t *testing.T) {
	w := newWorld(t, 1)
	for _, bad := range []string{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"} {
		if usable(netip.MustParseAddr(bad).AsSlice()) {
			t.Errorf("%s is taken", bad)
		}
	}
	w.server.assign = func(Assign) (Assigned, error) { return Assigned{IPv4: mustAddr("127.0.0.1")}, nil }
	w.connect(3 * time.Minute)
	if w.client.up != nil || w.client.down == nil {
		t.Errorf("%+v", w.client.events)
	}
}

func TestBothEndsOfTheNetworkAreToldWhatIsLeft(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 1, "010a 0000000000000007")
	s.acknowledge(pppmsg.IPV6CP)
	s.packet(pppmsg.IPCP, pppmsg.TerminateRequest, 2, "")
	if s.up == nil || s.up.IPv4.IsValid() || !s.up.IPv6Open {
		t.Errorf("IPv4 is gone: %+v", s.up)
	}
	s.packet(pppmsg.IPV6CP, pppmsg.TerminateRequest, 2, "")
	if s.up != nil {
		t.Errorf("both are gone: %+v", s.up)
	}
	s.wait(time.Minute)
	if s.down == nil || s.down.Reason != "no network protocol is left" {
		t.Errorf("down as %+v", s.down)
	}
}

func TestAPeerThatRejectsANetworkProtocol(t *testing.T) {
	s := ready(t)
	s.packet(pppmsg.LCP, pppmsg.ProtocolReject, 1, "8057 0101")
	s.openIPCP()
	s.wait(20 * time.Second)
	if s.up == nil || s.up.IPv6Open || s.down != nil {
		t.Errorf("%+v, down as %+v", s.up, s.down)
	}
	s = ready(t)
	s.packet(pppmsg.LCP, pppmsg.ProtocolReject, 1, "8057 0101")
	s.packet(pppmsg.LCP, pppmsg.ProtocolReject, 2, "8021 0101")
	s.wait(time.Minute)
	if s.down == nil {
		t.Error("a link without any protocol lives")
	}
	s = ready(t)
	s.packet(pppmsg.LCP, pppmsg.ProtocolReject, 1, "c021 0101")
	s.wait(time.Minute)
	if s.down == nil || s.down.Reason != "the peer rejects LCP" || !s.down.ByPeer {
		t.Errorf("down as %+v", s.down)
	}
}

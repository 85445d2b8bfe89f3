package ppp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

func TestTrap39_EchoInOpenedOnly(t *testing.T) {
	s := newScript(t)
	s.frames()
	s.packet(pppmsg.LCP, pppmsg.EchoRequest, 1, "00000000")
	s.want("before LCP is up")
	s.openLCP("0506 11223344")
	s.frames()
	for _, magic := range []string{"11223344", "00000000", "deadbeef"} {
		s.packet(pppmsg.LCP, pppmsg.EchoRequest, 2, magic+"6869")
		s.want("whatever the number of the peer is", fmt.Sprintf("LCP Echo-Reply %08x6869", s.link.magic))
	}
	s.packet(pppmsg.LCP, pppmsg.EchoRequest, 3, "1122")
	s.want("an Echo-Request without a whole number")
}

func TestTrap39_OurOwnEchoMeansALoop(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.packet(pppmsg.LCP, pppmsg.EchoRequest, 1, fmt.Sprintf("%08x", s.link.magic))
	if s.down == nil || s.down.Reason != "our own Echo-Requests come back: the link is looped" {
		t.Errorf("down as %+v", s.down)
	}
}

func TestTrap39_EchoReplyFitsTheMRU(t *testing.T) {
	s := newScript(t)
	s.eap = (&talk{server: true, rounds: 1, size: 50}).step
	s.openLCP("0104 0080 0506 11223344")
	s.packet(pppmsg.LCP, pppmsg.EchoRequest, 1, "11223344"+strings.Repeat("00", 1400))
	last := s.sent[len(s.sent)-1]
	if len(last) != 4+128 {
		t.Errorf("%d octets, and the peer takes 128", len(last)-4)
	}
}

func TestTrap39_EchoDecidesWhoIsDead(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.wait(5*30*time.Second - time.Second)
	if s.down != nil {
		t.Fatalf("down as %+v", s.down)
	}
	s.say("ff03 c021 0a 01 0008 11223344")
	s.wait(5*30*time.Second - time.Second)
	if s.down != nil {
		t.Errorf("an Echo-Reply came, and the link is down as %+v", s.down)
	}
	s.wait(2 * time.Second)
	if s.down == nil {
		t.Error("nothing came, and the link lives")
	}
}

func TestTrap40_PacketsWithoutProtocolAreDropped(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.say("45000054 00004000 40010000 0a460009 0a460001")
	s.say("ff03 45000054 00004000 40010000 0a460009 0a460001")
	s.say("4500")
	s.say("60000000 0000 3a ff")
	s.say("ff03")
	s.say("")
	s.want("no Protocol-Reject")
	s.say("0021 45000054")
	s.say("21 45000054")
	s.want("IP packets are not the link's business")
}

func TestTrap40_ShortFramesOnlyIfThePeerAsks(t *testing.T) {
	for options, want := range map[string]string{"0506 11223344": "ff03c227", "0506 11223344 0702 0802": "c227"} {
		s := newScript(t)
		s.openLCP(options)
		if last := s.sent[len(s.sent)-1]; !bytes.HasPrefix(last, octets(want)) {
			t.Errorf("after %s: %x", options, last[:4])
		}
		s.packet(pppmsg.LCP, pppmsg.EchoRequest, 1, "11223344")
		if last := s.sent[len(s.sent)-1]; !bytes.HasPrefix(last, octets("ff03c021")) {
			t.Errorf("LCP is never compressed: %x", last[:4])
		}
	}
}

func TestTrap41_RequestInOpenedStartsOver(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 9, "0506 11223344")
	s.want("LCP starts over", ourRequest, "LCP Configure-Ack 050611223344")
	if s.up != nil {
		t.Error("the network is still up")
	}
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 10, "0306 0a460009")
	s.want("the NCPs are down with it")
	s.acknowledge(pppmsg.LCP)
	s.want("the peer has to authenticate again", "EAP-Request")
	s.login()
	s.frames()
	s.openIPCP()
}

func TestTrap41_RenegotiationIsBounded(t *testing.T) {
	s := newScript(t)
	for i := range 1000 {
		s.acknowledge(pppmsg.LCP)
		s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, uint8(i), "0506 11223344")
		if s.link.phase == terminate {
			break
		}
	}
	s.wait(time.Minute)
	if s.down == nil || s.down.Reason != "the peer negotiates LCP without end" || s.jobs > 2*maxOpenings {
		t.Errorf("down as %+v after %d jobs", s.down, s.jobs)
	}
}

func TestTrap41_NakLoopsBecomeRejects(t *testing.T) {
	s := ready(t)
	for i := range 8 {
		s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, uint8(i), "0306 0a460009 8106 08080808")
		want := "IPCP Configure-Nak 81060a460001"
		if i >= 5 {
			want = "IPCP Configure-Reject 810608080808"
		}
		s.want("the peer insists on a name server of its own", want)
	}
}

func TestTrap41_NaksOfThePeerAreBounded(t *testing.T) {
	for _, option := range []string{"0104 05dc", "1104 05dc", "0506 00000000", "0506 99999999"} {
		s := newScript(t)
		for range 1000 {
			s.packet(pppmsg.LCP, pppmsg.ConfigureNak, s.lastRequest(pppmsg.LCP).Identifier, option)
		}
		if len(s.sent) > maxTurns+3 || s.link.phase != terminate {
			t.Errorf("Nak of %s: %d frames were sent, and the link is in %v", option, len(s.sent), s.link.phase)
		}
		s.wait(time.Minute)
		if s.down == nil {
			t.Errorf("Nak of %s: the link lives", option)
		}
	}
}

func TestTrap41_NakOfWhatWasNotAsked(t *testing.T) {
	s := newScript(t)
	s.frames()
	s.packet(pppmsg.LCP, pppmsg.ConfigureNak, s.lastRequest(pppmsg.LCP).Identifier, "0702 0802 1104 05dc")
	s.want("we do not grant the wish", ourRequest)
	magic := s.link.magic
	s.packet(pppmsg.LCP, pppmsg.ConfigureNak, s.lastRequest(pppmsg.LCP).Identifier, "0506 01020304 0104 0500")
	if s.link.magic == magic || s.link.mru != 1280 {
		t.Errorf("the number is %08x and the MRU %d after a Nak of both", s.link.magic, s.link.mru)
	}
	s.want("what we asked for changes", "LCP Configure-Request 010405000304c2270506...")
	s.packet(pppmsg.LCP, pppmsg.ConfigureReject, s.lastRequest(pppmsg.LCP).Identifier, "0702")
	s.want("a Reject of what we did not ask for is no answer")
	s.packet(pppmsg.LCP, pppmsg.ConfigureReject, s.lastRequest(pppmsg.LCP).Identifier, "0104 0501")
	s.want("nor is one of another value")
	s.packet(pppmsg.LCP, pppmsg.ConfigureReject, s.lastRequest(pppmsg.LCP).Identifier+1, "0104 0500")
	s.want("nor is one with another Identifier")
	s.packet(pppmsg.LCP, pppmsg.ConfigureReject, s.lastRequest(pppmsg.LCP).Identifier, "0104 0500")
	s.want("without an MRU", "LCP Configure-Request 0304c2270506...")
}

func TestTrap41_OddOptions(t *testing.T) {
	for _, c := range []struct{ what, options, answer string }{
		{"length 0", "0104 0578 0500", ""},
		{"length 1", "0104 0578 0501", ""},
		{"a length past the end", "0104 0578 0506 1122", ""},
		{"an MRU of one octet", "0103 05", "LCP Configure-Nak 01040578"},
		{"a compression with a value", "0703 01", "LCP Configure-Nak 0702"},
		{"an MRU twice", "0104 0578 0104 0500", "LCP Configure-Reject 01040500"},
		{"an MRU of 67", "0104 0043", "LCP Configure-Nak 01040578"},
		{"an MRU of 68", "0104 0044", "LCP Configure-Ack 01040044"},
		{"an MRU of 1500", "0104 05dc", "LCP Configure-Ack 010405dc"},
		{"an MRU of 1501", "0104 05dd", "LCP Configure-Nak 01040578"},
		{"no Magic-Number", "0506 00000000", "LCP Configure-Nak 0506..."},
		{"Rejects come first", "0104 0043 0d0306", "LCP Configure-Reject 0d0306"},
		{"an ACCM of two octets", "0204 0000", "LCP Configure-Nak 020600000000"},
		{"we shall authenticate", "0305 c22381", "LCP Configure-Reject 0305c22381"},
		{"we shall authenticate by EAP", "0304 c227", "LCP Configure-Reject 0304c227"},
		{"quality reports", "0408 c025 00000000", "LCP Configure-Reject 0408c02500000000"},
		{"nothing", "", "LCP Configure-Ack"},
	} {
		s := newScript(t)
		s.frames()
		s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, c.options)
		if c.answer == "" {
			s.want(c.what)
		} else {
			s.want(c.what, c.answer)
		}
	}
}

func TestTrap41_UnknownCodes(t *testing.T) {
	s := ready(t)
	s.packet(pppmsg.LCP, 14, 7, "abcd")
	s.want("LCP", "LCP Code-Reject 0e070006abcd")
	s.packet(pppmsg.IPCP, pppmsg.EchoRequest, 7, "00000000")
	s.want("IPCP has seven codes", "IPCP Code-Reject 0907000800000000")
	for code := pppmsg.DiscardRequest; code <= pppmsg.TimeRemaining; code++ {
		s.packet(pppmsg.LCP, code, 7, "00000000")
	}
	s.want("Discard-Request, Identification and Time-Remaining")
	s.packet(pppmsg.LCP, pppmsg.CodeReject, 7, "0901000800000000")
	if s.link.lcp.state != opened {
		t.Error("the peer may do without Echo-Requests")
	}
	s.packet(pppmsg.LCP, pppmsg.CodeReject, 7, "01010004")
	s.wait(time.Minute)
	if s.down == nil || s.down.Reason != "the peer does not know Configure-Request" {
		t.Errorf("down as %+v", s.down)
	}
}

func TestTrap41_CopiesOfAnAnswerDoNotStartOver(t *testing.T) {
	s := ready(t)
	s.openIPCP()
	s.acknowledge(pppmsg.LCP)
	s.acknowledge(pppmsg.IPCP)
	s.packet(pppmsg.LCP, pppmsg.ConfigureNak, s.lastRequest(pppmsg.LCP).Identifier, "0305 c22381")
	s.want("late copies of answers")
	if s.up == nil {
		t.Error("the network went down")
	}
}

func TestProtocolRejectCountsInOpenedOnly(t *testing.T) {
	s := newScript(t)
	s.packet(pppmsg.LCP, pppmsg.ProtocolReject, 1, "c021 0101")
	s.packet(pppmsg.LCP, pppmsg.ProtocolReject, 1, "c227 0101")
	s.frames()
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, "")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 00000000")
	s.want("before LCP is up, other protocols get no answer")
	s.openLCP("0506 11223344")
	s.frames()
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, "")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 00000000")
	s.packet(pppmsg.PAP, 1, 1, "0161 0162")
	s.say("0021 45000054")
	s.want("before authentication neither")
	s.packet(pppmsg.LCP, pppmsg.ProtocolReject, 1, "c227 0101")
	if len(s.refused) != 1 || s.refused[0].Wanted != "none" {
		t.Errorf("a peer that rejects EAP: %+v", s.refused)
	}
}

func TestTrap42_EachProtocolIsRejectedOnce(t *testing.T) {
	s := ready(t)
	for range 50 {
		s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, "1206 01000001")
		s.packet(pppmsg.ECP, pppmsg.ConfigureRequest, 1, "")
		s.packet(pppmsg.MPLSCP, pppmsg.ConfigureRequest, 1, "")
	}
	s.want("three protocols", "LCP Protocol-Reject 80fd...", "LCP Protocol-Reject 8053...", "LCP Protocol-Reject 8281...")
	for p := range 5000 {
		s.packet(pppmsg.Protocol(0x8401+2*p)&0xfeff, pppmsg.ConfigureRequest, 1, "")
	}
	if n := len(s.frames()); n != maxRejections-3 {
		t.Errorf("%d more rejects", n)
	}
}

func TestTrap43_PeerInsistsOnItsOwnAddress(t *testing.T) {
	s := ready(t, func(c *Config) { c.NoIPv6 = true })
	for i := range 5 {
		s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, uint8(i), "0306 c0a80105")
		s.want("it is told its address", "IPCP Configure-Nak 03060a460009")
	}
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 6, "0306 c0a80105")
	s.want("five times is enough", "IPCP Terminate-Request")
	s.packet(pppmsg.IPCP, pppmsg.TerminateAck, 1, "")
	s.want("there is nothing left to carry", "LCP Terminate-Request ...")
	s.wait(time.Minute)
	if s.down == nil || s.down.Reason != "no network protocol is left: the peer insists on IP-Address c0a80105" || len(s.refused) != 1 {
		t.Errorf("down as %+v, %+v", s.down, s.refused)
	}
}

func TestTrap43_PeerThatAsksForNoAddress(t *testing.T) {
	s := ready(t, func(c *Config) { c.NoIPv6 = true })
	for i := range 5 {
		s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, uint8(i), "")
		s.want("it should", "IPCP Configure-Nak 03060a460009")
	}
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 6, "")
	s.want("five times is enough", "IPCP Terminate-Request")
}

func TestTrap43_NameServersThatWeDoNotHaveAreRejected(t *testing.T) {
	s := newScript(t)
	s.assign = func(Assign) (Assigned, error) { return Assigned{IPv4: clientIPv4, DNS: resolvers[1:2]}, nil }
	s.openLCP("0506 11223344")
	s.login()
	s.frames()
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 00000000 8106 00000000 8306 00000000")
	s.want("only IPv4 counts", "IPCP Configure-Reject 810600000000830600000000")
}

func TestTrap43_WithoutIPv6ItsProtocolIsRejected(t *testing.T) {
	s := ready(t, func(c *Config) { c.NoIPv6 = true })
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 1, "010a 0123456789abcdef")
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 1, "010a 0123456789abcdef")
	s.want("once", "LCP Protocol-Reject 80570101000e010a0123456789abcdef")
}

func TestTrap43_InterfaceIdentifiers(t *testing.T) {
	s := ready(t)
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 1, "010a 0000000000000000")
	s.want("zero", "IPV6CP Configure-Nak 010a0000000000000009")
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 2, "010a 0000000000000001")
	s.want("ours", "IPV6CP Configure-Nak 010a0000000000000009")
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 3, "")
	s.want("none", "IPV6CP Configure-Nak 010a0000000000000009")
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 4, "010a 0000000000000007")
	s.want("the peer's own choice", "IPV6CP Configure-Ack 010a0000000000000007")
}

func TestTrap43_NoNetworkBeforeBothHaveAcknowledged(t *testing.T) {
	s := ready(t)
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 0a460009")
	if s.up != nil {
		t.Error("up without an Ack of the peer")
	}
	s.acknowledge(pppmsg.IPCP)
	if s.up == nil {
		t.Error("not up after both")
	}
}

func TestTrap44_ResponsesThatAnswerNothing(t *testing.T) {
	s := newScript(t)
	s.openLCP("0506 11223344")
	request, _ := pppmsg.ParseEAP(s.sent[len(s.sent)-1][4:])
	jobs := s.jobs
	say := func(code pppmsg.EAPCode, id uint8) {
		s.receive(pppmsg.Frame{Protocol: pppmsg.EAP, Data: pppmsg.EAPPacket{Code: code, Identifier: id, Data: request.Data}.Append(nil)}.Append(nil))
	}
	say(pppmsg.EAPResponse, request.Identifier+1)
	say(pppmsg.EAPRequest, request.Identifier)
	say(pppmsg.EAPSuccess, request.Identifier)
	say(pppmsg.EAPFailure, request.Identifier)
	s.say("ff03 c227 02 00 0003")
	s.say("ff03 c227 02 00 ffff 0d")
	if s.jobs != jobs {
		t.Errorf("%d of them came to the conversation", s.jobs-jobs)
	}
	say(pppmsg.EAPResponse, request.Identifier)
	say(pppmsg.EAPResponse, request.Identifier)
	if s.jobs != jobs+1 {
		t.Errorf("%d jobs for a response and its copy", s.jobs-jobs)
	}
}

func TestTrap44_ADroppedResponseLeavesRoomForABetterOne(t *testing.T) {
	s := newScript(t)
	s.openLCP("0506 11223344")
	request, _ := pppmsg.ParseEAP(s.sent[len(s.sent)-1][4:])
	s.receive(pppmsg.Frame{Protocol: pppmsg.EAP, Data: pppmsg.EAPPacket{Code: pppmsg.EAPResponse, Identifier: request.Identifier, Data: []byte{99}}.Append(nil)}.Append(nil))
	s.login()
}

func TestTrap44_GarbageDoesNotKeepTheConversationBusyForEver(t *testing.T) {
	s := newScript(t)
	s.openLCP("0506 11223344")
	request, _ := pppmsg.ParseEAP(s.sent[len(s.sent)-1][4:])
	for range 1000 {
		s.receive(pppmsg.Frame{Protocol: pppmsg.EAP, Data: pppmsg.EAPPacket{Code: pppmsg.EAPResponse, Identifier: request.Identifier, Data: []byte{99}}.Append(nil)}.Append(nil))
	}
	if s.jobs != maxRounds+1 || s.link.phase != terminate {
		t.Errorf("%d jobs, and the link is in %v", s.jobs, s.link.phase)
	}
}

func TestUnansweredEAPRequestsAreRepeated(t *testing.T) {
	s := newScript(t, func(c *Config) { c.MaxEAP = 5 })
	s.openLCP("0506 11223344")
	s.frames()
	s.wait(14 * time.Second)
	s.want("every three seconds", "EAP-Request", "EAP-Request", "EAP-Request", "EAP-Request")
	s.wait(10 * time.Second)
	if len(s.refused) != 1 || s.refused[0].Reason != "no answer to 5 copies of an EAP request" {
		t.Errorf("%+v", s.refused)
	}
}

func TestEAPFailureSaysItsLastWordsAndHangsUp(t *testing.T) {
	s := newScript(t)
	real := s.eap
	s.eap = func(e EAP) (EAPStep, error) {
		p, _ := pppmsg.ParseEAP(e.Packet)
		switch s.jobs {
		case 1:
			return real(e)
		case 2: // an alert
			return EAPStep{Packet: pppmsg.EAPPacket{Code: pppmsg.EAPRequest, Identifier: p.Identifier + 1, Data: []byte{13, 0}}.Append(nil), Failure: &Refusal{Reason: "certificate expired", Hint: "renew it"}}, nil
		}
		return EAPStep{Packet: pppmsg.EAPPacket{Code: pppmsg.EAPFailure, Identifier: p.Identifier}.Append(nil)}, nil
	}
	s.openLCP("0506 11223344")
	s.answerEAP()
	if len(s.refused) != 1 || s.refused[0] != (Refused{Reason: "certificate expired", Hint: "renew it"}) {
		t.Fatalf("%+v", s.refused)
	}
	s.frames()
	s.answerEAP()
	s.want("Failure, and then the end", "EAP-Failure", "LCP Terminate-Request 61757468656e7469636174696f6e206661696c6564")
	s.wait(10 * time.Second)
	if s.down == nil || s.down.Reason != "certificate expired" || len(s.refused) != 1 {
		t.Errorf("down as %+v, %+v", s.down, s.refused)
	}
}

func TestLostEAPSuccessIsRepeated(t *testing.T) {
	s := ready(t)
	s.wait(3 * time.Second)
	s.want("while the peer is silent", "IPCP Configure-Request ...", "EAP-Success", "IPV6CP Configure-Request ...", "EAP-Success")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 0a460009")
	s.frames()
	s.wait(3 * time.Second)
	s.want("and no more when it is not", "IPCP Configure-Request ...", "IPV6CP Configure-Request ...")
}

func TestWithoutAnAddressThereIsNoNetwork(t *testing.T) {
	for what, assign := range map[string]func(Assign) (Assigned, error){
		"an error": func(Assign) (Assigned, error) {
			return Assigned{}, &Refusal{Reason: "the pool is empty", Hint: "enlarge it"}
		},
		"nothing": func(Assign) (Assigned, error) { return Assigned{}, nil },
		"a /56": func(Assign) (Assigned, error) {
			a := assignedTo()
			a.IPv6 = clientIPv6.Masked()
			return Assigned{IPv6: mustPrefix("fd00::/56")}, nil
		},
	} {
		s := newScript(t)
		s.assign = assign
		s.openLCP("0506 11223344")
		s.login()
		s.wait(time.Minute)
		if len(s.refused) != 1 || s.down == nil || s.up != nil {
			t.Errorf("%s: %+v, down as %+v", what, s.refused, s.down)
		}
	}
}

func TestFramesThatComeDuringAssignWait(t *testing.T) {
	s, finish := assigning(t)
	s.frames()
	for i := range 100 {
		s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, uint8(i), "0306 0a460009")
	}
	if len(s.link.held) != maxHeld {
		t.Errorf("%d frames wait", len(s.link.held))
	}
	s.want("nothing is answered before there is an address")
	finish()
	if got := s.frames(); len(got) != 2+maxHeld || got[2] != "IPCP Configure-Ack 03060a460009" {
		t.Errorf("%v", got)
	}
}

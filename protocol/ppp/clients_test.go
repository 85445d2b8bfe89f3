package ppp

import (
	"strings"
	"testing"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// What native clients say first, and what they have to hear.

// ourRequest is a server's first Configure-Request; the Magic-Number varies.
const ourRequest = "LCP Configure-Request 010405780304c2270506..."

func TestWindowsConnects(t *testing.T) {
	s := newScript(t)
	s.want("at the beginning", ourRequest)
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 0, "01040578 0506 4c5a1e2b 0702 0802 0d0306")
	s.want("callback is rejected, and nothing else", "LCP Configure-Reject 0d0306")
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, "01040578 0506 4c5a1e2b 0702 0802")
	s.want("the rest is acknowledged", "LCP Configure-Ack 0104057805064c5a1e2b07020802")
	s.acknowledge(pppmsg.LCP)
	s.want("authentication begins", "EAP-Request")
	if s.events[0] != (Opened{PeerMRU: 1400, ShortProtocol: true, ShortAddress: true}) {
		t.Errorf("%+v", s.events[0])
	}
	s.packet(pppmsg.LCP, pppmsg.Identification, 2, "4c5a1e2b 4d535241535635 2e3230")
	s.packet(pppmsg.LCP, pppmsg.Identification, 3, "4c5a1e2b 4d53524153 2d302d 4445534b")
	s.packet(pppmsg.LCP, pppmsg.TimeRemaining, 4, "4c5a1e2b 0000ffff")
	s.want("Identification and Time-Remaining get no answer")
	s.login()
	s.frames()
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 5, "010a 0123456789abcdef")
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 6, "1206 01000001")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 7, "0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000")
	s.want("all NCPs at once",
		"IPV6CP Configure-Ack 010a0123456789abcdef",
		"LCP Protocol-Reject 80fd0106000a120601000001",
		"IPCP Configure-Reject 820600000000840600000000")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 8, "0306 00000000 8106 00000000 8306 00000000")
	s.want("addresses after the rejects", "IPCP Configure-Nak 03060a46000981060a46000183060a460002")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 9, "0306 0a460009 8106 0a460001 8306 0a460002")
	s.want("what was proposed is acknowledged", "IPCP Configure-Ack 03060a46000981060a46000183060a460002")
	if s.up != nil {
		t.Error("the network is up before the client has acknowledged anything")
	}
	s.acknowledge(pppmsg.IPCP)
	if s.up == nil || s.up.IPv4 != clientIPv4 || s.up.IPv6Open {
		t.Fatalf("after IPCP: %+v", s.up)
	}
	s.acknowledge(pppmsg.IPV6CP)
	if !s.up.IPv6Open || s.up.IPv6 != clientIPv6 || s.up.PeerInterfaceID != (InterfaceID{1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}) {
		t.Errorf("after IPV6CP: %+v", s.up)
	}
	if len(s.refused) != 0 {
		t.Errorf("%+v: asking for MPPE is not a refusal of what followed", s.refused)
	}
}

func TestWindowsServerOffersMultilink(t *testing.T) {
	s := newScript(t)
	s.frames()
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 0, "01040578 0506 4c5a1e2b 0702 0802 0d0306 11040678 1317 01 0011223344556677889900112233445566778899 1704 0007")
	s.want("all that is unknown is rejected at once", "LCP Configure-Reject 0d03061104067813170100112233445566778899001122334455667788991704"+"0007")
}

func TestAppleConnects(t *testing.T) {
	s := newScript(t)
	s.want("something that can be answered comes first", ourRequest)
	s.acknowledge(pppmsg.LCP)
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, "0206 00000000 0506 36b1d0a5 0702 0802")
	s.want("everything is acknowledged", "LCP Configure-Ack 020600000000050636b1d0a507020802", "EAP-Request")
	s.login()
	s.frames()
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0306 00000000 8106 00000000 8306 00000000")
	s.packet(pppmsg.IPV6CP, pppmsg.ConfigureRequest, 1, "010a 02aabbfffeccddee")
	s.packet(pppmsg.ACSP, pppmsg.ConfigureRequest, 1, "")
	s.want("addresses are assigned, ACSP is rejected",
		"IPCP Configure-Nak 03060a46000981060a46000183060a460002",
		"IPV6CP Configure-Ack 010a02aabbfffeccddee",
		"LCP Protocol-Reject 823501010004")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 2, "0306 0a460009 8106 0a460001 8306 0a460002")
	s.acknowledge(pppmsg.IPCP)
	if s.up == nil || s.up.IPv4 != clientIPv4 {
		t.Errorf("%+v", s.up)
	}
}

// refusers are the clients that have no EAP, or not with a typed password.
func TestClientsThatRefuseEAPAreToldWhatToDo(t *testing.T) {
	for _, c := range []struct {
		client string
		code   pppmsg.Code
		option string
		wanted string
	}{
		{"macOS with a typed password", pppmsg.ConfigureNak, "0305 c22381", "mschapv2"},
		{"Android 11 (refuse-eap)", pppmsg.ConfigureNak, "0305 c22381", "mschapv2"},
		{"a client of MS-CHAP", pppmsg.ConfigureNak, "0305 c22380", "mschap"},
		{"a client of CHAP", pppmsg.ConfigureNak, "0305 c22305", "chap"},
		{"MikroTik", pppmsg.ConfigureNak, "0304 c023", "pap"},
		{"a client without authentication", pppmsg.ConfigureReject, "0304 c227", "none"},
		{"a client that is confused", pppmsg.ConfigureNak, "0303 c2", "none"},
	} {
		t.Run(c.client, func(t *testing.T) {
			s := newScript(t)
			s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, "0206 00000000 0506 36b1d0a5")
			s.frames()
			s.packet(pppmsg.LCP, c.code, s.lastRequest(pppmsg.LCP).Identifier, c.option)
			s.want("EAP is proposed again", ourRequest)
			s.packet(pppmsg.LCP, c.code, s.lastRequest(pppmsg.LCP).Identifier, c.option)
			s.want("then it is over", "LCP Terminate-Request 5468697320736572766572...") // "This server"
			if len(s.refused) != 1 || s.refused[0].Wanted != c.wanted || !strings.Contains(s.refused[0].Hint, "EAP-TLS") {
				t.Errorf("%+v", s.refused)
			}
			text, _ := pppmsg.ParsePacket(s.sent[len(s.sent)-1][4:])
			if !strings.Contains(string(text.Data), "EAP only") || !strings.Contains(string(text.Data), "IKEv2") {
				t.Errorf("the user reads %q", text.Data)
			}
			s.packet(pppmsg.LCP, pppmsg.TerminateAck, text.Identifier, "")
			if s.down == nil || s.down.ByPeer || s.jobs != 0 {
				t.Errorf("down as %+v after %d jobs", s.down, s.jobs)
			}
		})
	}
}

func TestAClientThatComesRoundToEAPIsTaken(t *testing.T) {
	for _, first := range []pppmsg.Code{pppmsg.ConfigureNak, pppmsg.ConfigureReject} {
		s := newScript(t)
		option := "0305 c22381"
		if first == pppmsg.ConfigureReject {
			option = "0304 c227"
		}
		s.packet(pppmsg.LCP, first, s.lastRequest(pppmsg.LCP).Identifier, option)
		s.openLCP("0506 36b1d0a5")
		s.login()
		s.openIPCP()
		if len(s.refused) != 0 {
			t.Errorf("%+v", s.refused)
		}
	}
}

func TestPPPDConnectsWithEAPTLS(t *testing.T) {
	s := newScript(t)
	s.frames()
	s.packet(pppmsg.LCP, pppmsg.ConfigureRequest, 1, "0206 00000000 0506 51a0b0c0 0702 0802")
	s.acknowledge(pppmsg.LCP)
	s.packet(pppmsg.LCP, pppmsg.EchoRequest, 0, "51a0b0c0")
	s.want("LCP is up", "LCP Configure-Ack 020600000000050651a0b0c007020802", "EAP-Request", "LCP Echo-Reply ...")
	s.login()
	s.frames()
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, "1a0478 00 1804 7800 1503 2f")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 1, "0206 002d 0f01 0306 00000000 8106 00000000 8306 00000000")
	s.want("compression is rejected: of data and of headers",
		"LCP Protocol-Reject 80fd...", "IPCP Configure-Reject 0206002d0f01")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 2, "0306 00000000 8106 00000000 8306 00000000")
	s.packet(pppmsg.IPCP, pppmsg.ConfigureRequest, 3, "0306 0a460009 8106 0a460001 8306 0a460002")
	s.acknowledge(pppmsg.IPCP)
	if s.up == nil {
		t.Fatal("the network is not up")
	}
	s.packet(pppmsg.LCP, pppmsg.TerminateRequest, 2, "557365722072657175657374")
	s.wait(3 * time.Second)
	if s.down == nil || !s.down.ByPeer || s.down.Reason != `the peer hung up: "User request"` {
		t.Errorf("down as %+v", s.down)
	}
}

func TestTrap42_ClientThatDemandsMPPEIsExplained(t *testing.T) {
	s := ready(t)
	s.packet(pppmsg.CCP, pppmsg.ConfigureRequest, 1, "1206 01000060")
	s.want("CCP is rejected", "LCP Protocol-Reject 80fd0101000a120601000060")
	s.packet(pppmsg.LCP, pppmsg.TerminateRequest, 2, "4d505045207265717569726564")
	s.wait(3 * time.Second)
	if len(s.refused) != 1 || s.refused[0].Wanted != "mppe" || !strings.Contains(s.refused[0].Hint, "require-mppe") {
		t.Errorf("%+v", s.refused)
	}
	if s.down == nil || s.down.Reason != `the peer hung up: "MPPE required"` {
		t.Errorf("down as %+v", s.down)
	}
}

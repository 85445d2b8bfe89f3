package l2tp

import (
	"fmt"
	"testing"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// Illegal orders: every message type in every state, held against RFC 2661,
// Sections 7.2 to 7.5 once more, by what the peer sees.

// content is a well-formed message of each type.
func content(kind l2tpmsg.MessageType, tunnel, session uint16) []l2tpmsg.AVP {
	u16, u32 := l2tpmsg.U16, l2tpmsg.U32
	sid := u16(l2tpmsg.AssignedSessionID, session)
	intro := []l2tpmsg.AVP{
		u16(l2tpmsg.ProtocolVersion, 0x0100), u32(l2tpmsg.FramingCapability, l2tpmsg.FramingSync),
		l2tpmsg.Octets(l2tpmsg.HostName, []byte("PC-17")), u16(l2tpmsg.AssignedTunnelID, tunnel),
	}
	connected := []l2tpmsg.AVP{u32(l2tpmsg.TxConnectSpeed, 1), u32(l2tpmsg.FramingType, l2tpmsg.FramingSync)}
	switch kind {
	case l2tpmsg.SCCRQ, l2tpmsg.SCCRP:
		return intro
	case l2tpmsg.StopCCN:
		return []l2tpmsg.AVP{u16(l2tpmsg.AssignedTunnelID, tunnel), l2tpmsg.Result{Code: 1}.AVP()}
	case l2tpmsg.ICRQ:
		return []l2tpmsg.AVP{sid, u32(l2tpmsg.CallSerialNumber, 1)}
	case l2tpmsg.ICRP, l2tpmsg.OCRP:
		return []l2tpmsg.AVP{sid}
	case l2tpmsg.ICCN, l2tpmsg.OCCN:
		return connected
	case l2tpmsg.OCRQ:
		return []l2tpmsg.AVP{sid, u32(l2tpmsg.CallSerialNumber, 1), u32(l2tpmsg.MinimumBPS, 1), u32(l2tpmsg.MaximumBPS, 1),
			u32(l2tpmsg.BearerType, 1), u32(l2tpmsg.FramingType, 1), l2tpmsg.Octets(l2tpmsg.CalledNumber, []byte("1"))}
	case l2tpmsg.CDN:
		return []l2tpmsg.AVP{l2tpmsg.Result{Code: 3}.AVP(), sid}
	case l2tpmsg.WEN:
		return []l2tpmsg.AVP{l2tpmsg.Octets(l2tpmsg.CallErrors, make([]byte, 26))}
	case l2tpmsg.SLI:
		return []l2tpmsg.AVP{l2tpmsg.Octets(l2tpmsg.ACCM, make([]byte, 10))}
	}
	return nil
}

// situation brings an Endpoint into a state and says where a message goes.
type situation struct {
	name  string
	role  Role
	bring func(s *script) (session uint16) // the Endpoint's id of the call, 0 for none
	// answers by message type; "" is nothing at all, which no live tunnel may give.
	answers map[l2tpmsg.MessageType]string
	other   string // to all other types
}

const unknownSession = 999

var situations = []situation{
	{"LAC, wait-ctl-reply", LAC, func(s *script) uint16 { dial(s); return 0 },
		map[l2tpmsg.MessageType]string{l2tpmsg.SCCRP: "SCCCN ICRQ", l2tpmsg.StopCCN: "ZLB", l2tpmsg.HELLO: "ZLB"}, "StopCCN"},
	{"LNS, wait-ctl-conn", LNS, func(s *script) uint16 { s.sccrq(); return 0 },
		map[l2tpmsg.MessageType]string{l2tpmsg.SCCCN: "ZLB", l2tpmsg.StopCCN: "ZLB", l2tpmsg.HELLO: "ZLB"}, "StopCCN"},
	{"LNS, established, about no call", LNS, func(s *script) uint16 { s.tunnelUp(); return 0 },
		map[l2tpmsg.MessageType]string{l2tpmsg.SCCRQ: "StopCCN", l2tpmsg.SCCRP: "StopCCN", l2tpmsg.SCCCN: "StopCCN", l2tpmsg.StopCCN: "ZLB",
			l2tpmsg.ICRQ: "ICRP", l2tpmsg.ICRP: "CDN", l2tpmsg.OCRQ: "CDN"}, "ZLB"},
	{"LNS, established, about a call that is gone", LNS, func(s *script) uint16 { s.tunnelUp(); return unknownSession },
		map[l2tpmsg.MessageType]string{l2tpmsg.SCCRQ: "StopCCN", l2tpmsg.SCCRP: "StopCCN", l2tpmsg.SCCCN: "StopCCN", l2tpmsg.StopCCN: "ZLB",
			l2tpmsg.ICRQ: "ICRP", l2tpmsg.ICRP: "CDN", l2tpmsg.OCRQ: "CDN"}, "ZLB"},
	{"LNS, wait-connect", LNS, func(s *script) uint16 {
		s.tunnelUp()
		return avp(s.t, s.icrq()[0], l2tpmsg.AssignedSessionID).U16()
	}, callAnswers(map[l2tpmsg.MessageType]string{l2tpmsg.ICCN: "ZLB"}), "CDN"},
	{"LNS, call established", LNS, func(s *script) uint16 { return s.callUp() }, callAnswers(nil), "CDN"},
	{"LAC, call waits for a reply", LAC, func(s *script) uint16 {
		dial(s)
		return avp(s.t, s.say(l2tpmsg.SCCRP, 0, s.introduction()...)[1], l2tpmsg.AssignedSessionID).U16()
	}, callAnswers(map[l2tpmsg.MessageType]string{l2tpmsg.ICRP: "ICCN", l2tpmsg.ICCN: "ZLB"}), "CDN"},
	{"LAC, call established", LAC, func(s *script) uint16 { return lacUp(s) }, callAnswers(nil), "CDN"},
	{"LAC, established, about no call", LAC, func(s *script) uint16 { lacUp(s); return 0 },
		map[l2tpmsg.MessageType]string{l2tpmsg.SCCRQ: "StopCCN", l2tpmsg.SCCRP: "StopCCN", l2tpmsg.SCCCN: "StopCCN", l2tpmsg.StopCCN: "ZLB",
			l2tpmsg.ICRQ: "CDN", l2tpmsg.OCRQ: "CDN", l2tpmsg.OCRP: "CDN"}, "ZLB"},
}

// callAnswers are those of every state in which there is a call, and more.
func callAnswers(more map[l2tpmsg.MessageType]string) map[l2tpmsg.MessageType]string {
	all := map[l2tpmsg.MessageType]string{
		l2tpmsg.SCCRQ: "StopCCN", l2tpmsg.SCCRP: "StopCCN", l2tpmsg.SCCCN: "StopCCN", l2tpmsg.StopCCN: "ZLB", l2tpmsg.HELLO: "ZLB",
		l2tpmsg.CDN: "ZLB", l2tpmsg.WEN: "ZLB", l2tpmsg.SLI: "ZLB",
	}
	for kind, answer := range more {
		all[kind] = answer
	}
	return all
}

// dial lets a LAC send its SCCRQ.
func dial(s *script) {
	s.t.Helper()
	s.e.Connect(s.now, &s.out)
	want(s.t, "Connect", s.drain(), "SCCRQ")
}

// lacUp brings the call of a LAC up and returns the LAC's id of it.
func lacUp(s *script) uint16 {
	s.t.Helper()
	dial(s)
	icrq := s.say(l2tpmsg.SCCRP, 0, s.introduction()...)[1]
	session := avp(s.t, icrq, l2tpmsg.AssignedSessionID).U16()
	want(s.t, "ICRP", s.say(l2tpmsg.ICRP, session, l2tpmsg.U16(l2tpmsg.AssignedSessionID, mySession)), "ICCN")
	s.ack()
	return session
}

func TestEveryMessageInEveryState(t *testing.T) {
	for _, place := range situations {
		for kind := l2tpmsg.SCCRQ; kind <= l2tpmsg.SLI; kind++ {
			if kind.Content() == nil {
				continue
			}
			t.Run(fmt.Sprint(place.name, ": ", kind), func(t *testing.T) {
				s := newScript(t, Config{Role: place.role})
				session := place.bring(s)
				other := mySession
				if session == 0 || session == unknownSession {
					other = 77
				}
				answer, ok := place.answers[kind]
				if !ok {
					answer = place.other
				}
				got := s.say(kind, session, content(kind, myTunnel, uint16(other))...)
				if k := kinds(got); k != answer {
					t.Fatalf("answered by %q, want %q", k, answer)
				}
				s.holdsAfter(kind, answer, got)
			})
		}
	}
}

// holdsAfter is what must be so after StopCCN and CDN, whoever sent it.
func (s *script) holdsAfter(kind l2tpmsg.MessageType, answer string, got []l2tpmsg.Message) {
	s.t.Helper()
	switch {
	case kind == l2tpmsg.StopCCN || answer == "StopCCN":
		if s.e.live != nil {
			s.t.Error("the tunnel lives on")
		}
	case s.e.live == nil:
		s.t.Error("the tunnel is gone")
	case kind == l2tpmsg.CDN && s.e.cfg.Role == LAC && s.e.live.state != tunnelEstablished:
		s.t.Error("a CDN ended the tunnel")
	}
	switch answer {
	case "StopCCN":
		if id := avp(s.t, got[0], l2tpmsg.AssignedTunnelID).U16(); id != s.tunnel && s.tunnel != 0 {
			s.t.Errorf("StopCCN names tunnel %d, not %d", id, s.tunnel)
		}
		if r := resultOf(s.t, got[0]); r.Code != uint16(l2tpmsg.StopStateMachine) {
			s.t.Errorf("StopCCN with %+v", r)
		}
	case "CDN":
		if id := avp(s.t, got[0], l2tpmsg.AssignedSessionID).U16(); id == 0 || got[0].Header.Session == 0 && s.e.cfg.Role == LNS { // a LAC may have no id of the peer's yet
			s.t.Errorf("CDN names session %d to session %d", id, got[0].Header.Session)
		}
	}
	s.wait(5 * 60e9) // whatever follows, it ends without help
	if !s.e.Idle() {
		s.t.Error("what is left never ends")
	}
}

func TestOutgoingCallsAreRefusedAndTheTunnelStays(t *testing.T) {
	for _, role := range []Role{LNS, LAC} {
		s := newScript(t, Config{Role: role})
		if role == LNS {
			s.callUp()
		} else {
			lacUp(s)
		}
		got := s.say(l2tpmsg.OCRQ, 0, content(l2tpmsg.OCRQ, 0, 55)...)
		want(t, "OCRQ", got, "CDN")
		if r := resultOf(t, got[0]); got[0].Header.Session != 55 || r.Text != "OCRQ: outgoing calls are not supported" {
			t.Errorf("%v %+v", got[0].Header, r)
		}
		if len(s.e.live.calls) != 1 {
			t.Error("the call is gone")
		}
	}
}

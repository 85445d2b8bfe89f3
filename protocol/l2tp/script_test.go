package l2tp

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// script is a peer that says what the test wants, to an Endpoint without a
// network. It acknowledges what it gets in the messages it sends.
type script struct {
	t      testing.TB
	cfg    *Config
	e      *Endpoint
	out    Out
	now    time.Time
	tunnel uint16 // the Endpoint's id
	mine   uint16 // ours
	ns, nr uint16
	events []Event
	seen   int // of them, by took

	octetsIn, octetsOut int
}

const (
	myTunnel  = 7
	mySession = 1
)

func newScript(t testing.TB, cfg Config) *script {
	next := uint16(100)
	if cfg.NewID == nil {
		cfg.NewID = func() uint16 { next++; return next }
	}
	if cfg.rand == nil {
		cfg.rand = func(b []byte) { clear(b) }
	}
	s := &script{t: t, cfg: &cfg, now: start, mine: myTunnel}
	s.e = NewEndpoint(s.cfg)
	return s
}

// say sends a control message and returns the answers.
func (s *script) say(kind l2tpmsg.MessageType, session uint16, avps ...l2tpmsg.AVP) []l2tpmsg.Message {
	s.t.Helper()
	m := encode(s.t, l2tpmsg.ControlHeader{Tunnel: s.tunnel, Session: session, Ns: s.ns, Nr: s.nr}, kind, avps...)
	s.ns++
	return s.raw(m)
}

// ack sends a ZLB.
func (s *script) ack() []l2tpmsg.Message {
	s.t.Helper()
	return s.raw(l2tpmsg.ControlHeader{Tunnel: s.tunnel, Ns: s.ns, Nr: s.nr}.AppendZLB(nil))
}

// raw sends octets, in a buffer that is then used for something else.
func (s *script) raw(b []byte) []l2tpmsg.Message {
	s.t.Helper()
	s.octetsIn += len(b)
	b = bytes.Clone(b)
	s.e.Receive(s.now, b, &s.out)
	answers := s.drain()
	clear(b)
	return answers
}

// wait lets time pass, with all timeouts on the way.
func (s *script) wait(d time.Duration) (answers []l2tpmsg.Message) {
	s.t.Helper()
	end := s.now.Add(d)
	for n := 0; ; n++ {
		due := s.e.Deadline()
		if due.IsZero() || due.After(end) {
			s.now = end
			return answers
		}
		if n > 10000 {
			s.t.Fatalf("the endpoint wants to be woken at %v for ever", due)
		}
		if due.After(s.now) {
			s.now = due
		}
		s.e.Timeout(s.now, &s.out)
		answers = append(answers, s.drain()...)
	}
}

func (s *script) do(c Command) []l2tpmsg.Message {
	s.t.Helper()
	s.e.Do(s.now, c, &s.out)
	return s.drain()
}

func (s *script) drain() (answers []l2tpmsg.Message) {
	s.t.Helper()
	for _, b := range s.out.Send {
		s.octetsOut += len(b)
		m, err := l2tpmsg.Parse(b)
		if err != nil {
			s.t.Fatalf("%x: %v", b, err)
		}
		if kind, _, err := m.Type(); err == nil {
			if m.Header.Ns == s.nr {
				s.nr++
			}
			if kind == l2tpmsg.SCCRP || kind == l2tpmsg.SCCRQ {
				s.tunnel = avp(s.t, m, l2tpmsg.AssignedTunnelID).U16()
			}
		}
		answers = append(answers, m)
	}
	for _, e := range s.out.Events {
		if f, ok := e.(Frame); ok {
			e = Frame{f.Session, bytes.Clone(f.PPP)}
		}
		s.events = append(s.events, e)
	}
	s.out.Reset()
	if len(s.events) > 1000 {
		return answers // the check would take longer than the test
	}
	if err := orderly(s.events); err != nil {
		s.t.Fatalf("%v in %+v", err, s.events)
	}
	return answers
}

// took is the events since the last call of took.
func (s *script) took() []Event {
	n := s.seen
	s.seen = len(s.events)
	return s.events[n:]
}

func (s *script) sccrq(more ...l2tpmsg.AVP) []l2tpmsg.Message {
	s.t.Helper()
	s.tunnel, s.ns, s.nr = 0, 0, 0
	return s.say(l2tpmsg.SCCRQ, 0, append(s.introduction(), more...)...)
}

// introduction is what SCCRQ and SCCRP must have.
func (s *script) introduction() []l2tpmsg.AVP {
	return []l2tpmsg.AVP{
		l2tpmsg.U16(l2tpmsg.ProtocolVersion, 0x0100), l2tpmsg.U32(l2tpmsg.FramingCapability, l2tpmsg.FramingSync),
		l2tpmsg.Octets(l2tpmsg.HostName, []byte("PC-17")), l2tpmsg.U16(l2tpmsg.AssignedTunnelID, s.mine),
	}
}

func (s *script) icrq(more ...l2tpmsg.AVP) []l2tpmsg.Message {
	s.t.Helper()
	return s.say(l2tpmsg.ICRQ, 0, append([]l2tpmsg.AVP{l2tpmsg.U16(l2tpmsg.AssignedSessionID, mySession), l2tpmsg.U32(l2tpmsg.CallSerialNumber, 42)}, more...)...)
}

func (s *script) iccn(session uint16, more ...l2tpmsg.AVP) []l2tpmsg.Message {
	s.t.Helper()
	return s.say(l2tpmsg.ICCN, session, append([]l2tpmsg.AVP{l2tpmsg.U32(l2tpmsg.TxConnectSpeed, 1), l2tpmsg.U32(l2tpmsg.FramingType, l2tpmsg.FramingSync)}, more...)...)
}

// tunnelUp brings the Endpoint's tunnel up, as an LNS.
func (s *script) tunnelUp() {
	s.t.Helper()
	s.sccrq()
	s.say(l2tpmsg.SCCCN, 0)
	if s.e.live == nil || s.e.live.state != tunnelEstablished {
		s.t.Fatalf("no tunnel: %+v", s.events)
	}
}

// callUp brings a call up and returns the Endpoint's id of it.
func (s *script) callUp() uint16 {
	s.t.Helper()
	s.tunnelUp()
	answers := s.icrq()
	session := avp(s.t, answers[0], l2tpmsg.AssignedSessionID).U16()
	s.iccn(session)
	if _, ok := s.events[len(s.events)-1].(CallUp); !ok {
		s.t.Fatalf("no call: %+v", s.events)
	}
	s.ack()
	return session
}

// data makes a data message for the Endpoint.
func (s *script) data(session uint16, ppp string) []byte {
	return append(l2tpmsg.DataHeader{Tunnel: s.tunnel, Session: session}.Append(nil), ppp...)
}

// frames are the PPP frames among events.
func frames(events []Event) (all []string) {
	for _, e := range events {
		if f, ok := e.(Frame); ok {
			all = append(all, string(f.PPP))
		}
	}
	return all
}

// kinds are the types of messages, "ZLB" for none.
func kinds(messages []l2tpmsg.Message) string {
	var all []string
	for _, m := range messages {
		if kind, _, err := m.Type(); err == nil {
			all = append(all, kind.String())
		} else {
			all = append(all, "ZLB")
		}
	}
	return strings.Join(all, " ")
}

func want(t testing.TB, what string, got []l2tpmsg.Message, answer string) {
	t.Helper()
	if k := kinds(got); k != answer {
		t.Fatalf("%s: answered by %q, want %q", what, k, answer)
	}
}

// resultOf reads the Result Code of a StopCCN or CDN.
func resultOf(t testing.TB, m l2tpmsg.Message) l2tpmsg.Result {
	t.Helper()
	r, err := l2tpmsg.ParseResult(avp(t, m, l2tpmsg.ResultCode).Value)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

package l2tp

import (
	"testing"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// FuzzEndpoint lets a peer say anything, in any order: the input is a list of
// steps. There is no panic, what is kept stays bounded, the events keep their
// order, and when the peer falls silent everything ends.
func FuzzEndpoint(f *testing.F) {
	kind := func(k l2tpmsg.MessageType) []byte { return []byte{stepSay, byte(k), 0, 0, 0} }
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	setUp := join(kind(l2tpmsg.SCCRQ), kind(l2tpmsg.SCCCN), kind(l2tpmsg.ICRQ), []byte{stepSay, byte(l2tpmsg.ICCN), 1, 0, 0})
	dialled := join([]byte{stepConnect}, kind(l2tpmsg.SCCRP), []byte{stepSay, byte(l2tpmsg.ICRP), 1, 0, 0})
	f.Add(uint8(0), setUp)
	f.Add(uint8(1), dialled)
	f.Add(uint8(2), setUp)
	f.Add(uint8(0), join(setUp, []byte{stepData, 1, 0, stepWait, 61, stepData, 1, 0, stepWait, 10, stepCommand, 0, stepCommand, 1}))
	f.Add(uint8(0), join(setUp, kind(l2tpmsg.StopCCN), kind(l2tpmsg.HELLO), kind(l2tpmsg.SCCRQ)))
	f.Add(uint8(0), join(kind(l2tpmsg.SCCRQ), []byte{stepSay, byte(l2tpmsg.SCCCN), 0, 1, 0, stepSay, byte(l2tpmsg.HELLO), 0, 0xff, 0}))
	f.Add(uint8(0), join(setUp, []byte{stepSay, byte(l2tpmsg.HELLO), 0, 0, 6, 0x80, 6, 0, 9, 0, 1}))
	f.Add(uint8(1), join([]byte{stepConnect}, kind(l2tpmsg.SCCRQ), kind(l2tpmsg.SCCCN)))
	f.Add(uint8(0), join([]byte{stepRaw, 12}, l2tpmsg.ControlHeader{}.AppendZLB(nil)))
	for _, k := range []l2tpmsg.MessageType{l2tpmsg.SCCRQ, l2tpmsg.ICRQ, l2tpmsg.OCRQ, l2tpmsg.CDN, l2tpmsg.WEN, l2tpmsg.SLI, 99} {
		f.Add(uint8(0), join(setUp, kind(k), []byte{stepAck}))
		f.Add(uint8(1), join(dialled, kind(k), []byte{stepAck}))
	}
	f.Fuzz(func(t *testing.T, how uint8, steps []byte) {
		cfg := Config{Role: Role(how & 1), Window: int(how >> 4), MaxCalls: int(how >> 2 & 3)}
		if how&2 != 0 {
			cfg.Secret = tunnelSecret
		}
		s := newScript(t, cfg)
		w := &world{t: t}
		p := &end{w: w, name: "endpoint", e: s.e}
		for n := 0; len(steps) > 0 && n < 200; n++ {
			steps = s.fuzzStep(steps)
			p.events = s.events
			w.bounded(p)
		}
		s.wait(10 * time.Minute)
		if !s.e.Idle() {
			t.Fatalf("after ten minutes of silence there is %+v %+v", s.e.live, s.e.ended)
		}
	})
}

// The steps of FuzzEndpoint.
const (
	stepRaw     = iota // length, octets
	stepSay            // type, session, distance of Ns, length of more AVPs, octets
	stepData           // session, length, octets
	stepWait           // seconds
	stepCommand        // which
	stepConnect
	stepAck
	stepSecond // the peer's other tunnel id
	stepCount
)

// fuzzStep carries out the first of the steps and returns the others.
func (s *script) fuzzStep(steps []byte) []byte {
	next := func() (b byte) {
		if len(steps) > 0 {
			b, steps = steps[0], steps[1:]
		}
		return b
	}
	some := func() (b []byte) {
		n := min(int(next()), len(steps))
		b, steps = steps[:n], steps[n:]
		return b
	}
	session := func() uint16 {
		n := int(next())
		switch t := s.e.live; {
		case n == 0:
			return 0
		case t != nil && n <= len(t.calls):
			return t.calls[n-1].id
		}
		return uint16(n)
	}
	switch next() % stepCount {
	case stepRaw:
		s.raw(some())
	case stepSay:
		kind, session, distance := l2tpmsg.MessageType(next()), session(), int8(next())
		avps := append(content(kind, s.mine, mySession), l2tpmsg.Respond(kind, make([]byte, 16), tunnelSecret))
		h := l2tpmsg.ControlHeader{Tunnel: s.tunnel, Session: session, Ns: s.ns + uint16(distance), Nr: s.nr}
		if kind == l2tpmsg.SCCRQ {
			h.Tunnel, h.Ns = 0, uint16(distance)
			s.ns, s.nr = 0, 0
		}
		b := append(encode(s.t, h, kind, avps...), some()...)
		b[2], b[3] = byte(len(b)>>8), byte(len(b))
		s.ns++
		if s.ns == 0 {
			s.ns = 1
		}
		if got := s.raw(b); len(got) > maxQueue+1 {
			s.t.Fatalf("one message is answered by %d", len(got))
		}
	case stepData:
		s.raw(s.data(session(), string(some())))
	case stepWait:
		s.wait(time.Duration(next()) * time.Second)
	case stepCommand:
		switch n := next(); n % 3 {
		case 0:
			if t := s.e.live; t != nil && len(t.calls) > 0 {
				s.do(CloseCall{Session: t.calls[0].id, Text: "x"})
			}
		case 1:
			s.do(CloseTunnel{})
		case 2:
			s.do(Abandon{"no path"})
		}
	case stepConnect:
		if s.cfg.Role == LAC {
			s.e.Connect(s.now, &s.out)
			s.ns, s.nr = 0, 0
			s.drain()
		}
	case stepAck:
		s.ack()
	case stepSecond:
		s.mine ^= 1
	}
	return steps
}

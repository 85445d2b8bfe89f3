package ikev1

import (
	"slices"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// child is one ESP SA. Its keys are the plane's alone.
type child struct {
	spiIn, spiOut     uint32
	serial            uint32
	suite             suite.ESP
	state             childState
	due               bool   // rekey when possible
	replaces          uint32 // inbound SPI
	ours              bool   // we began its quick mode
	mine, theirs      end    // both ends as quick mode named them
	created           time.Time
	rekeyAt, expireAt time.Time
	dropAt            time.Time // replaced: deleted then
	confirmBy         time.Time // commit bit: sent on then at the latest
}

// end is what quick mode called one end: an address, or what stood in its place,
// and a port.
type end struct {
	typ  isakmp.IDType
	port uint16
	data string
}

func endOf(id *isakmp.ID) end {
	if id == nil {
		return end{}
	}
	return end{id.Type, id.Port, string(id.Data)}
}

func (e end) id() *isakmp.ID {
	return &isakmp.ID{Type: e.typ, Protocol: protoUDP, Port: e.port, Data: []byte(e.data)}
}

type childState uint8

const (
	childLive     childState = iota
	childReplaced            // takes late packets until it is deleted
)

func (c *child) deadline(e *earliest) {
	e.add(c.rekeyAt)
	e.add(c.expireAt)
	e.add(c.dropAt)
	e.add(c.confirmBy)
}

func (s *Session) childIn(spi uint32) *child {
	for _, c := range s.children {
		if c.spiIn == spi {
			return c
		}
	}
	return nil
}

// childNamed is the ESP SA that a Delete of the peer means: it names its own
// inbound SPI, but Cisco has been seen to name ours (trap 32).
func (s *Session) childNamed(spi uint32) *child {
	for _, c := range s.children {
		if c.spiOut == spi {
			return c
		}
	}
	return s.childIn(spi)
}

// install brings an ESP SA into force.
func (s *Session) install(now time.Time, c *child, sa SA, out *Out) {
	s.boundChildren(now, out)
	s.serial++
	c.serial, c.created = s.serial, now
	s.children = append(s.children, c)
	s.childless = time.Time{}
	out.Events = append(out.Events, SAUp{sa})
	if sa.Outbound {
		s.use(now, c, out)
	}
}

// boundChildren makes room: the oldest that nothing is sent on goes.
func (s *Session) boundChildren(now time.Time, out *Out) {
	for len(s.children) >= maxChildren {
		i := slices.IndexFunc(s.children, func(c *child) bool { return c.spiIn != s.outbound })
		s.deleteChild(now, s.children[max(i, 0)], "too many SAs of one peer", out)
	}
}

// confirmed: the peer has the SA too. Traffic goes there, unless something newer
// is in use (trap 35).
func (s *Session) confirmed(now time.Time, c *child, out *Out) {
	c.confirmBy = time.Time{}
	for _, q := range s.quicks {
		if q.spiIn == c.spiIn && !q.initiator {
			q.finish(now)
		}
	}
	if current := s.childIn(s.outbound); current != nil && current.serial >= c.serial {
		return
	}
	out.Events = append(out.Events, SAOutbound{c.spiIn})
	s.use(now, c, out)
}

// use makes c the SA that traffic is sent on. What it replaces takes late
// packets. The side that began the rekey deletes it afterwards; if the other
// side did so too, crossing rekeys could leave nothing at all.
func (s *Session) use(now time.Time, c *child, _ *Out) {
	s.outbound = c.spiIn
	if old := s.childIn(c.replaces); old != nil {
		old.state, old.due, old.rekeyAt = childReplaced, false, time.Time{}
		if c.ours {
			old.dropAt = now.Add(lingerOld)
		}
	}
}

// deleteChild deletes an ESP SA and tells the peer.
func (s *Session) deleteChild(now time.Time, c *child, why string, out *Out) {
	s.sendDeleteESP([]uint32{c.spiIn}, out)
	s.childDown(now, c, why, out)
}

// childDown forgets an ESP SA. When it was in use, the newest that is left is.
func (s *Session) childDown(now time.Time, c *child, why string, out *Out) {
	s.children = slices.DeleteFunc(s.children, func(o *child) bool { return o == c })
	s.quicks = slices.DeleteFunc(s.quicks, func(q *quick) bool { return q.spiIn == c.spiIn && !q.done })
	out.Events = append(out.Events, SADown{c.spiIn, why})
	if s.outbound == c.spiIn {
		s.outbound = 0
		if n := len(s.children); n > 0 {
			last := s.children[n-1]
			last.state, last.dropAt = childLive, time.Time{}
			s.outbound = last.spiIn
			out.Events = append(out.Events, SAOutbound{last.spiIn})
		}
	}
	s.noteChildless(now)
}

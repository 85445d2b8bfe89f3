package ppp

import (
	"bytes"
	"cmp"
	"time"

	"sallyport/protocol/ppp/pppmsg"
)

// Limits against peers that never come to an end (RFC 1661, Section 4.5). A
// real negotiation has at most six turns.
const (
	// maxTurns is how many Naks and Rejects, of both ends, may pass between two
	// times that a layer is up: room for Max-Failure of both ends.
	maxTurns = 30
	// maxOpenings is how often a layer may come up in a row, each time within
	// settled: a peer that renegotiates in a loop costs a login, or two events,
	// each time.
	maxOpenings = 16
	settled     = 10 * time.Minute
)

// layer is what distinguishes one control protocol from another.
type layer struct {
	protocol pppmsg.Protocol
	options  []option    // those we know; all others are rejected
	reset    func(*Link) // forget what the peer had agreed to
	// up, down and finished are the upper and lower layers' side of the actions.
	up, down, finished func(*Link, time.Time, *Out)
}

// control is one control protocol of a link.
type control struct {
	*layer
	state    state
	id       uint8     // of our last Configure-Request
	answered bool      // by the peer: a copy of the answer is stale
	restart  int16     // Restart counter
	naks     uint8     // Configure-Naks sent without a Configure-Ack (Max-Failure)
	turns    uint8     // against maxTurns
	openings uint8     // against maxOpenings
	dropped  uint16    // options of ours that the peer rejected, by row
	since    time.Time // it came up last
	due      time.Time
}

// occasion is what an event comes with.
type occasion struct {
	packet pppmsg.Packet // received
	reply  pppmsg.Packet // to its Configure-Request
}

// fire takes an event through the table.
func (l *Link) fire(now time.Time, c *control, e event, o occasion, out *Out) {
	from := c.state
	t := table[e][from]
	if !t.legal {
		return
	}
	if c.state = t.next; !c.state.timed() {
		c.due = time.Time{}
	}
	if e == up { // nothing of an earlier negotiation counts but how many there were
		c.naks, c.turns, c.dropped = 0, 0, 0
	}
	for i, a := range t.do {
		if a == irc {
			// Which of the two counters shows in what is sent next.
			c.restart = int16(cmp.Or(l.cfg.MaxConfigure, 10))
			if i+1 < len(t.do) && t.do[i+1] == str {
				c.restart = int16(cmp.Or(l.cfg.MaxTerminate, 2))
			}
			continue
		}
		l.act(now, c, a, e == toPlus && from != ackRcvd, o, out)
	}
}

// act does one action of RFC 1661, Section 4.4.
func (l *Link) act(now time.Time, c *control, a action, again bool, o occasion, out *Out) {
	switch a {
	case tlu:
		c.naks, c.turns = 0, 0
		if now.Sub(c.since) > settled {
			c.openings = 0
		}
		c.since = now
		if c.openings++; c.openings > maxOpenings {
			l.giveUp(now, c, &failure{reason: "the peer negotiates " + c.protocol.String() + " without end"}, out)
			return
		}
		c.up(l, now, out)
	case tld:
		c.down(l, now, out)
	case tlf:
		c.finished(l, now, out)
	case zrc:
		c.restart, c.due = 0, now.Add(l.restartTime())
	case scr:
		l.sendRequest(now, c, again, out)
	case sca, scn:
		l.send(c.protocol, o.reply, out)
	case str:
		c.restart--
		c.due = now.Add(l.restartTime())
		l.send(c.protocol, pppmsg.Packet{Code: pppmsg.TerminateRequest, Identifier: l.nextID(), Data: []byte(l.text)}, out)
	case sta:
		l.send(c.protocol, pppmsg.Packet{Code: pppmsg.TerminateAck, Identifier: o.packet.Identifier}, out)
	case scj:
		rejected := o.packet.Append(nil)
		l.send(c.protocol, pppmsg.Packet{Code: pppmsg.CodeReject, Identifier: l.nextID(), Data: rejected[:min(len(rejected), l.room())]}, out)
	case ser:
		l.echoReply(o.packet, out)
	}
}

func (l *Link) restartTime() time.Duration { return cmp.Or(l.cfg.Restart, 3*time.Second) }

// sendRequest sends a Configure-Request. A copy keeps its Identifier, so that
// a late answer to the one before counts (RFC 1661, Section 5.1).
func (l *Link) sendRequest(now time.Time, c *control, again bool, out *Out) {
	if !again {
		c.id = l.nextID()
	}
	c.restart--
	c.answered = false
	c.due = now.Add(l.restartTime())
	l.send(c.protocol, pppmsg.Packet{Code: pppmsg.ConfigureRequest, Identifier: c.id, Data: l.request(c)}, out)
	if again {
		l.repeatSuccess(c, out)
	}
}

// receiveControl takes a packet of LCP or an NCP.
func (l *Link) receiveControl(now time.Time, c *control, p pppmsg.Packet, out *Out) {
	switch p.Code {
	case pppmsg.ConfigureRequest:
		l.configureRequest(now, c, p, out)
	case pppmsg.ConfigureAck:
		// One answer counts (RFC 1661, Section 5.1): the copies that a network makes
		// would start the negotiation over.
		if p.Identifier == c.id && !c.answered && bytes.Equal(p.Data, l.request(c)) {
			c.answered = true
			l.fire(now, c, rca, occasion{packet: p}, out)
		}
	case pppmsg.ConfigureNak, pppmsg.ConfigureReject:
		l.configureNak(now, c, p, out)
	case pppmsg.TerminateRequest:
		l.terminateRequest(now, c, p, out)
	case pppmsg.TerminateAck:
		l.fire(now, c, rta, occasion{packet: p}, out)
	case pppmsg.CodeReject:
		l.codeReject(now, c, p, out)
	default:
		l.fire(now, c, ruc, occasion{packet: p}, out)
	}
}

// terminateRequest notes what the peer says, for the record of the end.
func (l *Link) terminateRequest(now time.Time, c *control, p pppmsg.Packet, out *Out) {
	if c == &l.lcp && c.state >= reqSent {
		l.note(peerLeft(p.Data), true)
		l.explainMPPE(out)
	}
	l.fire(now, c, rtr, occasion{packet: p}, out)
}

// codeReject is catastrophic if the peer does not know the code of a packet
// that every implementation must know (RFC 1661, Section 5.6).
func (l *Link) codeReject(now time.Time, c *control, p pppmsg.Packet, out *Out) {
	e := rxjPlus
	if len(p.Data) > 0 && pppmsg.Code(p.Data[0]) <= pppmsg.CodeReject {
		e = rxjMinus
		if c == &l.lcp {
			l.note("the peer does not know "+pppmsg.Code(p.Data[0]).String(), true)
		}
	}
	l.fire(now, c, e, occasion{packet: p}, out)
}

// timeoutControl does what the Restart timer is for.
func (l *Link) timeoutControl(now time.Time, c *control, out *Out) {
	if c.due.IsZero() || now.Before(c.due) {
		return
	}
	e := toPlus
	if c.restart <= 0 {
		e = toMinus
	}
	l.fire(now, c, e, occasion{}, out)
}

// turn counts a Nak or Reject, and tells whether that is enough.
func (l *Link) turn(now time.Time, c *control, out *Out) bool {
	if c.turns++; c.turns <= maxTurns {
		return true
	}
	l.giveUp(now, c, &failure{reason: "the negotiation of " + c.protocol.String() + " does not converge", refused: true,
		hint: "compare the PPP settings of the client with the defaults of its system"}, out)
	return false
}

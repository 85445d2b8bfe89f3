package l2tp

import (
	"bytes"
	"slices"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// Retransmission (RFC 2661, Section 5.8): after 1, 2, 4, 8, 8 and 8 seconds,
// which are the 31 of a full cycle, the peer is given up.
const (
	firstWait     = time.Second
	longestWait   = 8 * time.Second
	transmissions = 6
	fullCycle     = 31 * time.Second
)

// peerWindow is the peer's window while it has announced none (RFC 2661,
// Section 4.4.3).
const peerWindow = 4

// channel is reliable delivery of control messages (RFC 2661, Section 5.8) with
// slow start (Appendix A). It knows nothing of what the messages mean, but that
// a HELLO need not arrive.
type channel struct {
	peer uint16 // tunnel id of the peer, 0 while it is not known

	// Outbound. The queue is what is not acknowledged; the first of it has Ns
	// next-len(queue).
	queue []outgoing
	next  uint16 // Ns of the next message that is queued
	sent  int    // how many of the queue are under way in this round
	ever  int    // how many were sent at all: what an Nr can acknowledge

	window, cwnd, ssthresh int // Appendix A
	grown                  int // acknowledgements since cwnd grew, in congestion avoidance

	tries int
	wait  time.Duration
	due   time.Time // of the retransmission; zero when nothing is under way
	began time.Time // when the first of the queue was first sent, after the last news
	// paused: a HELLO was not acknowledged by one who is alive all the same. It
	// waits for the next silence, or for a message behind it.
	paused bool

	// Inbound.
	nr    uint16 // Ns expected next
	ours  int    // our window
	early []incoming
	owe   bool // an acknowledgement
}

type outgoing struct {
	msg   []byte
	hello bool
}

// incoming is a message that came.
type incoming struct {
	header l2tpmsg.ControlHeader
	body   []byte
}

func newChannel(window int) channel {
	return channel{window: peerWindow, cwnd: 1, ssthresh: peerWindow, ours: window}
}

// setWindow takes the Receive Window Size of the peer.
func (c *channel) setWindow(n int) {
	c.window = min(n, maxQueue)
	c.ssthresh = c.window
}

// push queues a message for a session of the peer's, 0 for the tunnel. It is
// false when the queue is full.
func (c *channel) push(session uint16, t l2tpmsg.MessageType, avps []l2tpmsg.AVP) bool {
	if len(c.queue) >= maxQueue {
		return false
	}
	h := l2tpmsg.ControlHeader{Tunnel: c.peer, Session: session, Ns: c.next}
	b, err := l2tpmsg.New(h, t, avps...).Append(nil)
	if err != nil { // cannot be: we build no AVP that is too long
		return false
	}
	c.queue = append(c.queue, outgoing{b, t == l2tpmsg.HELLO})
	c.next++
	c.paused = false
	return true
}

// flush sends what the windows allow, and an acknowledgement if one is owed and
// nothing else carries it.
func (c *channel) flush(now time.Time, out *Out) {
	for !c.paused && c.sent < len(c.queue) && c.sent < min(c.cwnd, c.window) {
		m := bytes.Clone(c.queue[c.sent].msg)
		l2tpmsg.SetNr(m, c.nr)
		out.Send = append(out.Send, m)
		c.sent++
		c.ever = max(c.ever, c.sent)
		c.owe = false
		if c.due.IsZero() {
			c.arm(now)
		}
	}
	if c.owe {
		c.owe = false
		h := l2tpmsg.ControlHeader{Tunnel: c.peer, Ns: c.next - uint16(len(c.queue)-c.ever), Nr: c.nr}
		out.Send = append(out.Send, h.AppendZLB(nil))
	}
}

// hurry opens the congestion window: the last message must not wait for
// acknowledgements that may never come.
func (c *channel) hurry() { c.cwnd = c.window }

func (c *channel) arm(now time.Time) {
	c.tries, c.wait, c.began, c.due = 1, firstWait, now, now.Add(firstWait)
}

// acknowledge takes an Nr. One that acknowledges nothing new, or what was never
// sent, is nothing.
func (c *channel) acknowledge(now time.Time, nr uint16) {
	n := int(nr - (c.next - uint16(len(c.queue))))
	if n == 0 || n > c.ever {
		return
	}
	c.queue = slices.Delete(c.queue, 0, n)
	if len(c.queue) == 0 {
		c.queue, c.paused = nil, false
	}
	c.sent, c.ever = max(c.sent-n, 0), c.ever-n
	c.grow()
	c.due = time.Time{}
	if c.sent > 0 {
		c.arm(now)
	}
}

// narrow keeps nothing more that comes before its time: the tunnel is over, and
// only acknowledges.
func (c *channel) narrow() { c.early, c.ours = nil, 1 }

// abandon forgets what is not acknowledged: the peer has closed the tunnel.
func (c *channel) abandon() {
	c.next -= uint16(len(c.queue) - c.ever)
	c.queue, c.sent, c.ever, c.due = nil, 0, 0, time.Time{}
}

// grow is Appendix A for one acknowledgement.
func (c *channel) grow() {
	switch {
	case c.cwnd >= c.window:
	case c.cwnd < c.ssthresh:
		c.cwnd++
	default:
		if c.grown++; c.grown >= c.cwnd {
			c.cwnd, c.grown = c.cwnd+1, 0
		}
	}
}

// receive takes a message that is no ZLB and returns what is now in order.
func (c *channel) receive(m incoming) (ready []incoming) {
	switch ahead := m.header.Ns - c.nr; {
	case ahead >= 1<<15: // less than or equal to the last received: a duplicate
		c.owe = true
		return nil
	case int(ahead) >= c.ours: // beyond our window: the peer will repeat it
		return nil
	case ahead > 0:
		c.keep(m)
		return nil
	}
	for {
		ready = append(ready, m)
		c.nr++
		c.owe = true
		i := slices.IndexFunc(c.early, func(e incoming) bool { return e.header.Ns == c.nr })
		if i < 0 {
			return ready
		}
		m = c.early[i]
		c.early = slices.Delete(c.early, i, i+1)
		if len(c.early) == 0 {
			c.early = nil
		}
	}
}

// keep puts a message aside that came before its time. There are fewer than our
// window, since each has an Ns of its own inside it.
func (c *channel) keep(m incoming) {
	if slices.ContainsFunc(c.early, func(e incoming) bool { return e.header.Ns == m.header.Ns }) {
		return
	}
	m.body = bytes.Clone(m.body)
	c.early = append(c.early, m)
}

// timeout repeats the first message of the queue. It is true when that has been
// done often enough. Whoever was heard since a HELLO is alive: the HELLO then
// waits for the next silence (old Android never answers one).
func (c *channel) timeout(now, heard time.Time) (dead bool) {
	if c.due.IsZero() || now.Before(c.due) {
		return false
	}
	if c.onlyHello() && heard.After(c.began) {
		c.due, c.sent, c.paused = time.Time{}, 0, true
		c.hurry() // it is not congestion that lost it
		return false
	}
	if c.tries >= transmissions {
		return true
	}
	c.tries++
	c.wait = min(2*c.wait, longestWait)
	c.due = now.Add(c.wait)
	c.ssthresh, c.cwnd, c.grown = max(c.cwnd/2, 1), 1, 0
	c.sent = 0
	return false
}

func (c *channel) onlyHello() bool {
	return !slices.ContainsFunc(c.queue, func(o outgoing) bool { return !o.hello })
}

// busy tells whether something is under way.
func (c *channel) busy() bool { return !c.due.IsZero() }

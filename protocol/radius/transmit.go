package radius

import (
	"container/heap"
	"encoding/binary"
	"io"
	"time"
)

// pending is a request that has no answer yet.
type pending struct {
	id            uint64
	request       Request
	probe         bool // our own Status-Server: nobody waits for a Result
	server        *server
	path          int
	identifier    uint8
	authenticator Authenticator
	data          []byte
	tried         [MaxServers]bool
	again         bool // has been given a second connection to the same server
	ends          time.Time
	here          time.Time // first transmission to this server
	count         int       // transmissions to this server
	rt            time.Duration
	due           time.Time
	heapAt        int // -1 when not in the heap
}

// next sends a request to the next server worth asking; err ends it when there
// is none.
func (c *Client) next(now time.Time, p *pending, err error, out *ClientOut) {
	for {
		s := c.choose(now, p)
		if s == nil {
			c.finish(p, Result{ID: p.id, Err: err}, out)
			return
		}
		p.tried[s.index] = true
		if p.server != nil {
			p.server.release(p)
			p.server = nil
		}
		if !s.take(p) {
			err = ErrBusy
			continue
		}
		if fail := c.begin(now, p, out); fail != nil {
			c.finish(p, Result{ID: p.id, Err: fail}, out)
		}
		return
	}
}

// choose prefers the first server that lives, then the first that is dead: a
// request is a better proof of life than an assumption.
func (c *Client) choose(now time.Time, p *pending) *server {
	if p.request.Pin > 0 {
		s := c.at(Path{Server: p.request.Pin - 1})
		if s == nil || p.tried[s.index] {
			return nil
		}
		return s
	}
	var fallback *server
	for _, s := range c.servers {
		switch {
		case p.tried[s.index]:
		case !s.resting(now):
			return s
		case fallback == nil:
			fallback = s
		}
	}
	return fallback
}

// begin makes the packet for the server, for each has its own secret, and sends
// it for the first time.
func (c *Client) begin(now time.Time, p *pending, out *ClientOut) error {
	q := Packet{Code: p.request.Code, Identifier: p.identifier}
	q.Add(p.request.Attributes...)
	q.Add(c.cfg.Common...)
	if _, err := io.ReadFull(c.cfg.random, q.Authenticator[:]); err != nil {
		return err
	}
	data, err := q.AppendRequest(nil, p.server.Secret)
	if err != nil {
		return err
	}
	p.authenticator, p.data, p.count, p.here, p.rt = q.Authenticator, data, 0, now, 0
	p.server.carry(now, p.path, c.cfg.Watch)
	c.transmit(now, p, out)
	return nil
}

// transmit sends and sets the time to send again: the same octets from the
// same socket, so that the server knows a duplicate (RFC 5080, Section 2.2.2).
func (c *Client) transmit(now time.Time, p *pending, out *ClientOut) {
	out.Send = append(out.Send, Transmission{Path{p.server.index, p.path}, p.data})
	c.sent++
	if p.count++; p.count > 1 {
		c.resent++
	}
	p.rt = c.cfg.Plan.timeout(p.rt, c.spread())
	wait := p.rt
	switch {
	case p.probe:
		wait *= 2 // it is sent once, and a slow server is not a dead one
	case p.server.Stream:
		// What TCP carries is not sent twice (RFC 6613, Section 2.6.1), so it waits
		// as long as all transmissions would.
		wait = c.patience(p)
	}
	p.due = now.Add(wait)
	if p.ends.Before(p.due) {
		p.due = p.ends
	}
	if p.heapAt < 0 {
		heap.Push(&c.queue, p)
	} else {
		heap.Fix(&c.queue, p.heapAt)
	}
}

// timeout is RT (RFC 5080, Section 2.2.1); spread is RAND.
func (p Plan) timeout(before time.Duration, spread float64) time.Duration {
	jitter := func(d time.Duration) time.Duration { return time.Duration(spread * float64(d)) }
	if before == 0 {
		return p.Initial + jitter(p.Initial)
	}
	if rt := 2*before + jitter(before); rt <= p.Max {
		return rt
	}
	return p.Max + jitter(p.Max)
}

// patience is how long a stream may be silent about a request.
func (c *Client) patience(p *pending) time.Duration {
	return c.cfg.Plan.Initial * time.Duration(1<<min(c.tries(p), 5)-1)
}

// tries is the number of transmissions that a server gets for a request.
func (c *Client) tries(p *pending) int {
	switch {
	case p.probe:
		return 1
	case p.request.Pin == 0 && c.another(p):
		return c.cfg.Plan.Patience
	}
	return c.cfg.Plan.Count
}

// another tells whether a server is left that this request has not tried.
func (c *Client) another(p *pending) bool {
	for _, s := range c.servers {
		if !p.tried[s.index] {
			return true
		}
	}
	return false
}

// overdue sends again, or gives the server up.
func (c *Client) overdue(now time.Time, p *pending, out *ClientOut) {
	s := p.server
	if !s.Stream && p.count < c.tries(p) && now.Before(p.ends) {
		c.transmit(now, p, out)
		return
	}
	// A server that has answered others meanwhile lives; it is this request
	// that it does not like.
	if s.heard.Before(p.here) || s.heard.IsZero() {
		c.silent(now, s, out)
		if s.Stream {
			out.Close = append(out.Close, Path{s.index, p.path})
		}
	}
	switch {
	case p.probe:
		c.forget(p)
	case !now.Before(p.ends):
		c.finish(p, Result{ID: p.id, Err: ErrTimeout}, out)
	default:
		c.next(now, p, ErrTimeout, out)
	}
}

// spread is a number from -0.1 to 0.1.
func (c *Client) spread() float64 {
	var b [2]byte
	if _, err := io.ReadFull(c.cfg.random, b[:]); err != nil {
		return 0
	}
	return float64(binary.BigEndian.Uint16(b[:]))/65535*0.2 - 0.1
}

// timers is a heap of pending requests by the time they are due.
type timers []*pending

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].heapAt, t[j].heapAt = i, j
}
func (t *timers) Push(x any) {
	p := x.(*pending)
	p.heapAt = len(*t)
	*t = append(*t, p)
}
func (t *timers) Pop() any {
	old := *t
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	p.heapAt = -1
	return p
}

package radius

import "time"

// server is the state of one server.
type server struct {
	Server
	index       int
	paths       [MaxPaths]path
	outstanding int
	heard       time.Time // the last good answer
	drops       Counters

	dead      bool
	deadUntil time.Time // without Status-Server
	watchAt   time.Time // when to look again, zero for never
	proofs    int       // answers to Status-Server in a row
	probe     *pending
}

// path is the identifiers of one socket.
type path struct {
	slots [256]*pending
	next  uint8 // where to look for a free one: the longest unused
	used  int
	up    bool // something was sent, and Lost not reported since
	heard time.Time
}

func newServer(index int, s Server) *server { return &server{Server: s, index: index} }

// take gives a request a path and an identifier that no other one has.
func (s *server) take(p *pending) bool {
	for i := range s.paths {
		h := &s.paths[i]
		if h.used == len(h.slots) {
			continue
		}
		s.takeAt(p, i)
		return true
	}
	return false
}

// takeAt is take on a path that has a free identifier.
func (s *server) takeAt(p *pending, index int) {
	h := &s.paths[index]
	for h.slots[h.next] != nil {
		h.next++
	}
	h.slots[h.next] = p
	p.server, p.path, p.identifier = s, index, h.next
	h.next++
	h.used++
	s.outstanding++
}

func (s *server) release(p *pending) {
	h := &s.paths[p.path]
	if h.slots[p.identifier] != p {
		return
	}
	h.slots[p.identifier] = nil
	h.used--
	s.outstanding--
	if s.probe == p {
		s.probe = nil
	}
}

// match finds the request that a packet answers.
func (s *server) match(index int, b []byte) (*pending, *Packet, Drop) {
	identifier, ok := identifierOf(b)
	if !ok {
		return nil, nil, DropMalformed
	}
	p := s.paths[index].slots[identifier]
	if p == nil {
		return nil, nil, DropUnasked
	}
	reply, drop := checkReply(b, sent{p.request.Code, p.authenticator}, s.Secret)
	return p, reply, drop
}

// resting tells that a server is dead and not yet to be asked again.
func (s *server) resting(now time.Time) bool {
	return s.dead && (s.Status || now.Before(s.deadUntil))
}

// silent marks a server dead.
func (c *Client) silent(now time.Time, s *server, out *ClientOut) {
	s.proofs = 0
	s.deadUntil = now.Add(c.cfg.DeadTime)
	if s.Status {
		s.watchAt = now.Add(c.jittered(c.cfg.Watch))
	}
	if !s.dead {
		s.dead = true
		out.States = append(out.States, ServerState{s.index, true})
	}
}

// revive marks a server alive.
func (c *Client) revive(s *server, out *ClientOut) {
	s.proofs = 0
	if !s.dead {
		return
	}
	s.dead = false
	if !s.Stream {
		s.watchAt = time.Time{}
	}
	out.States = append(out.States, ServerState{s.index, false})
}

// proven takes an answer to a Status-Server. One could be luck on a bad line;
// RFC 3539, Section 3.4.1 wants several.
func (c *Client) proven(now time.Time, s *server, out *ClientOut) {
	if !s.dead {
		return
	}
	if s.proofs++; s.proofs >= c.cfg.Proofs {
		c.revive(s, out)
	}
}

// carry notes that a path is in use, and has a stream watched from now on.
func (s *server) carry(now time.Time, index int, watch time.Duration) {
	if p := &s.paths[index]; !p.up {
		p.up, p.heard = true, now
	}
	if s.Stream && s.Status && s.watchAt.IsZero() {
		s.watchAt = now.Add(watch)
	}
}

// watch sends the Status-Server that is due (RFC 5997): to a dead server, and
// over a stream that has been silent, which also keeps it open. An idle UDP
// server is left in peace.
func (c *Client) watch(now time.Time, s *server, out *ClientOut) {
	if s.watchAt.IsZero() || s.watchAt.After(now) {
		return
	}
	at := 0
	if !s.dead {
		index, heard, ok := s.quietest()
		switch {
		case !ok:
			s.watchAt = time.Time{}
			return
		case now.Sub(heard) < c.cfg.Watch:
			s.watchAt = heard.Add(c.cfg.Watch)
			return
		}
		at = index
	}
	s.watchAt = now.Add(c.jittered(c.cfg.Watch))
	if s.probe == nil && s.paths[at].used < len(s.paths[at].slots) {
		c.ask(now, s, at, out)
	}
}

// ask sends a Status-Server over a path.
func (c *Client) ask(now time.Time, s *server, at int, out *ClientOut) {
	c.last++
	p := &pending{id: c.last, request: Request{Code: StatusServer}, probe: true, ends: now.Add(c.cfg.Plan.Duration), heapAt: -1}
	s.takeAt(p, at)
	c.pending[p.id], s.probe = p, p
	if err := c.begin(now, p, out); err != nil {
		c.forget(p)
	}
}

// quietest is the stream that has been silent longest.
func (s *server) quietest() (index int, heard time.Time, ok bool) {
	for i := range s.paths {
		if p := &s.paths[i]; s.Stream && p.up && (!ok || p.heard.Before(heard)) {
			index, heard, ok = i, p.heard, true
		}
	}
	return index, heard, ok
}

func (c *Client) jittered(d time.Duration) time.Duration {
	return d + time.Duration(c.spread()*float64(d))
}

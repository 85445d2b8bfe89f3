package radius

import (
	"container/heap"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sallyport/internal/secret"
)

// Limits of a client.
const (
	// MaxServers is the length of a list that a person still maintains.
	MaxServers = 16
	// MaxPaths is the number of sockets or connections to one server. Each has
	// 256 identifiers (RFC 2865, Section 3), so a server may have 4,096 requests
	// outstanding; 1,000 logins at once use a quarter.
	MaxPaths = 16
)

// Plan says when to send again and when to give up (RFC 5080, Section 2.2.1).
// Zero fields take the default.
type Plan struct {
	Initial  time.Duration // IRT; default 2 s
	Max      time.Duration // MRT; default 16 s
	Count    int           // MRC: transmissions to the last server that is left; default 5
	Duration time.Duration // MRD, over all servers; default 30 s
	// Patience is the number of transmissions to a server while another one is
	// left to try; default 2, which is 6 s.
	Patience int
}

func (p Plan) withDefaults() Plan {
	def(&p.Initial, 2*time.Second)
	def(&p.Max, 16*time.Second)
	def(&p.Count, 5)
	def(&p.Duration, 30*time.Second)
	def(&p.Patience, 2)
	return p
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Server is one server of a list; the first one that lives is used.
type Server struct {
	Name   string // for messages
	Secret secret.Bytes
	// Stream says that packets go over a connection that loses none (RadSec):
	// nothing is sent twice, and silence is watched by Status-Server.
	Stream bool
	// Status says that the server answers Status-Server. RFC 5997, Section 4.1
	// has it off unless one says so; a server without it that is dead is tried
	// again by a real request after DeadTime.
	Status bool
}

// ClientConfig is what a Client needs to know. It is not changed afterwards.
type ClientConfig struct {
	Servers []Server
	Plan    Plan
	// Common goes into every request, Status-Server included: who we are, as
	// NAS-Identifier or NAS-IP-Address (RFC 2865, Section 4.1: one is needed),
	// and nothing else (RFC 5997, Section 5).
	Common []Attribute
	// DeadTime is how long a server that is found dead is not asked, when it
	// has no Status-Server; default 60 s.
	DeadTime time.Duration
	// Watch is the time between two Status-Server: to a dead server, and over a
	// stream on which nothing is heard. Default 30 s (RFC 3539, Section 3.4.1).
	Watch time.Duration
	// Proofs is the number of answers to Status-Server that bring a dead server
	// back; default 3 (RFC 3539, Section 3.4.1).
	Proofs int

	random io.Reader // crypto/rand, but in tests that must repeat
}

// Request is what is to be sent. A Message-Authenticator is added by itself.
type Request struct {
	Code       Code
	Attributes []Attribute
	// Pin sends to this server alone: one plus its index in the list, 0 for any.
	// The State of a conversation means nothing to another server.
	Pin int
}

// Reply is an answer that has passed every check.
type Reply struct {
	*Packet
	Server int // its index in the list
	// Request is the authenticator of the request, and Secret the server's:
	// hidden values need both.
	Request Authenticator
	Secret  secret.Bytes
}

// Result ends a request: with a Reply, or with Err.
type Result struct {
	ID    uint64
	Reply Reply
	Err   error
}

// Path is a socket, or a connection, to a server. Paths are opened when
// something is first sent over them.
type Path struct{ Server, Index int }

// Transmission is a packet to send over a path.
type Transmission struct {
	Path Path
	Data []byte // not to be changed: it may be sent again
}

// ServerState tells that a server was found dead or has come back.
type ServerState struct {
	Server int
	Dead   bool
}

// ClientOut collects what is to be done. The caller drains it after every
// call.
type ClientOut struct {
	Send    []Transmission
	Close   []Path // streams on which nothing is heard any more; the caller answers with Lost
	Results []Result
	States  []ServerState
}

// Reset empties o and keeps its storage.
func (o *ClientOut) Reset() {
	clear(o.Send)
	clear(o.Results)
	o.Send, o.Close, o.Results, o.States = o.Send[:0], o.Close[:0], o.Results[:0], o.States[:0]
}

// Errors of a request. All of them mean that nobody has been let in.
var (
	ErrTimeout = errors.New("radius: no server answered: check that they run, that they are reachable and that the secrets agree")
	ErrBusy    = errors.New("radius: too many requests are outstanding")
	ErrLost    = errors.New("radius: the connection to the server was lost")
	ErrClosed  = errors.New("radius: the client was closed")
)

// Client is the request machine: it numbers requests, sends them again, moves
// on to the next server, and accepts only what answers one of them. It is for
// one goroutine.
type Client struct {
	cfg     ClientConfig
	servers []*server
	pending map[uint64]*pending
	queue   timers
	last    uint64
	sent    uint64
	resent  uint64
}

// NewClient makes a client of a list of servers.
func NewClient(cfg ClientConfig) (*Client, error) {
	if n := len(cfg.Servers); n == 0 || n > MaxServers {
		return nil, fmt.Errorf("radius: %d servers: between 1 and %d are possible", n, MaxServers)
	}
	if !slices.ContainsFunc(cfg.Common, func(a Attribute) bool {
		return a.Type == NASIdentifier || a.Type == NASIPAddress || a.Type == NASIPv6Address
	}) {
		return nil, errors.New("radius: requests do not say who we are: NAS-Identifier or NAS-IP-Address is needed")
	}
	cfg.Plan = cfg.Plan.withDefaults()
	def(&cfg.DeadTime, time.Minute)
	def(&cfg.Watch, 30*time.Second)
	def(&cfg.Proofs, 3)
	if cfg.random == nil {
		cfg.random = rand.Reader
	}
	c := &Client{cfg: cfg, pending: make(map[uint64]*pending)}
	for i, s := range cfg.Servers {
		if len(s.Secret) == 0 {
			return nil, fmt.Errorf("radius: server %q has no secret", s.Name)
		}
		c.servers = append(c.servers, newServer(i, s))
	}
	return c, nil
}

// Send begins a request. Its Result comes with the same number, maybe in this
// very call.
func (c *Client) Send(now time.Time, r Request, out *ClientOut) uint64 {
	c.last++
	p := &pending{id: c.last, request: r, ends: now.Add(c.cfg.Plan.Duration), heapAt: -1}
	c.pending[p.id] = p
	c.next(now, p, ErrBusy, out)
	return p.id
}

// Cancel ends a request without a Result.
func (c *Client) Cancel(id uint64) {
	if p := c.pending[id]; p != nil {
		c.forget(p)
	}
}

// Receive takes what came over a path. Anything but the answer to a request
// of that path is dropped and counted.
func (c *Client) Receive(now time.Time, from Path, b []byte, out *ClientOut) {
	s := c.at(from)
	if s == nil {
		return
	}
	p, reply, drop := s.match(from.Index, b)
	if drop != 0 {
		s.drops[drop]++
		return
	}
	s.heard, s.paths[from.Index].heard = now, now
	if p.probe {
		c.forget(p)
		c.proven(now, s, out)
		return
	}
	c.revive(s, out)
	c.finish(p, Result{ID: p.id, Reply: Reply{
		Packet: reply.Clone(), Server: s.index, Request: p.authenticator, Secret: s.Secret,
	}}, out)
}

// Lost tells that the connection of a path is gone, or could not be made.
// Servers close idle connections, so a request that was on it gets one more
// try at the same server before the next one has its turn.
func (c *Client) Lost(now time.Time, at Path, out *ClientOut) {
	s := c.at(at)
	if s == nil {
		return
	}
	s.paths[at.Index].up = false
	stranded := s.paths[at.Index].slots // a copy: next takes new ones
	for _, p := range stranded {
		switch {
		case p == nil:
		case p.probe:
			c.forget(p)
			c.silent(now, s, out)
		case !p.again && p.ends.After(now):
			p.again, p.tried[s.index] = true, false
			c.next(now, p, ErrLost, out)
		default:
			c.silent(now, s, out)
			c.next(now, p, ErrLost, out)
		}
	}
}

// Timeout does what is due.
func (c *Client) Timeout(now time.Time, out *ClientOut) {
	for len(c.queue) > 0 && !c.queue[0].due.After(now) {
		c.overdue(now, c.queue[0], out)
	}
	for _, s := range c.servers {
		c.watch(now, s, out)
	}
}

// Deadline is when Timeout is to be called, zero for never.
func (c *Client) Deadline() time.Time {
	var d time.Time
	if len(c.queue) > 0 {
		d = c.queue[0].due
	}
	for _, s := range c.servers {
		if !s.watchAt.IsZero() && (d.IsZero() || s.watchAt.Before(d)) {
			d = s.watchAt
		}
	}
	return d
}

// Close ends every request.
func (c *Client) Close(out *ClientOut) {
	for _, p := range c.pending {
		c.finish(p, Result{ID: p.id, Err: ErrClosed}, out)
	}
}

// ServerStatus is what is known of a server.
type ServerStatus struct {
	Name        string
	Dead        bool
	Heard       time.Time // the last good answer; zero for none
	Outstanding int
	Drops       Counters
}

// Status is what is known of every server, in the order of the list.
func (c *Client) Status() []ServerStatus {
	var all []ServerStatus
	for _, s := range c.servers {
		all = append(all, ServerStatus{Name: s.Name, Dead: s.dead, Heard: s.heard, Outstanding: s.outstanding, Drops: s.drops})
	}
	return all
}

// Sent is the number of packets sent, and of those how many were sent again.
func (c *Client) Sent() (all, again uint64) { return c.sent, c.resent }

func (c *Client) at(p Path) *server {
	if p.Server < 0 || p.Server >= len(c.servers) || p.Index < 0 || p.Index >= MaxPaths {
		return nil
	}
	return c.servers[p.Server]
}

// finish gives the result of a request.
func (c *Client) finish(p *pending, r Result, out *ClientOut) {
	c.forget(p)
	if !p.probe {
		out.Results = append(out.Results, r)
	}
}

func (c *Client) forget(p *pending) {
	if p.server != nil {
		p.server.release(p)
	}
	if p.heapAt >= 0 {
		heap.Remove(&c.queue, p.heapAt)
	}
	delete(c.pending, p.id)
}

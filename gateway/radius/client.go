package radius

import (
	"cmp"
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/radius"
)

// Bounds of a client's channels. Both hold back who sends, so that neither a
// flood of answers nor one of logins grows memory.
const (
	maxReceived = 256
	maxCalls    = 1024
)

// Server is one RADIUS server.
type Server struct {
	Name    string       // for messages; Address when empty
	Address string       // host and port: "radius.example.org:1812"
	Secret  secret.Bytes // over UDP; RadSec has one of its own
	TLS     *TLS         // RadSec (RFC 6614) when set, else UDP
	// Status says that it answers Status-Server (RFC 5997). Servers over TLS must
	// (RFC 6613, Section 2.4), and are always asked.
	Status bool
}

// Config is what a Client is opened with.
type Config struct {
	Servers []Server
	Plan    radius.Plan
	// Common names us in every request: NAS-Identifier, NAS-IP-Address.
	Common   []radius.Attribute
	DeadTime time.Duration // see radius.ClientConfig, as the next two
	Watch    time.Duration
	Proofs   int
	Logger   *slog.Logger // nil for none
}

// Client talks to a list of servers of one kind: authentication or accounting.
// It is safe for concurrent use.
type Client struct {
	cfg      Config
	machine  *radius.Client // of the loop alone, like the next two
	waiting  map[uint64]func(radius.Reply, error)
	links    map[radius.Path]*link
	refuse   []time.Time // by server: no new connection before
	told     []string    // by server: the failure in the log last, empty since it was well
	troubles []trouble   // by server
	calls    chan func(now time.Time, out *radius.ClientOut)
	received chan arrival
	lost     chan *link
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}
	readers  sync.WaitGroup
	before   []radius.Counters // by server: drops when it was well last

	closing sync.RWMutex // held to read while a call is handed to the loop
	closed  bool
}

// trouble is since when a server is of no use, and why; zero when it is well.
type trouble struct {
	since time.Time
	why   string
}

// arrival is a packet, and where it came from.
type arrival struct {
	link *link
	data []byte
}

// Open makes a client. Nothing is sent before the first request: a server that
// is down does not keep the gateway from starting.
func Open(cfg Config) (*Client, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	list, err := machineServers(cfg.Servers)
	if err != nil {
		return nil, err
	}
	m, err := radius.NewClient(radius.ClientConfig{
		Servers: list, Plan: cfg.Plan, Common: cfg.Common, DeadTime: cfg.DeadTime, Watch: cfg.Watch, Proofs: cfg.Proofs,
	})
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, machine: m,
		waiting:  make(map[uint64]func(radius.Reply, error)),
		links:    make(map[radius.Path]*link),
		refuse:   make([]time.Time, len(list)),
		told:     make([]string, len(list)),
		troubles: make([]trouble, len(list)),
		before:   make([]radius.Counters, len(list)),
		calls:    make(chan func(time.Time, *radius.ClientOut), maxCalls),
		received: make(chan arrival, maxReceived),
		lost:     make(chan *link),
		done:     make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.run()
	return c, nil
}

// machineServers checks the list and gives the machine its part.
func machineServers(all []Server) ([]radius.Server, error) {
	var list []radius.Server
	for _, s := range all {
		if _, _, err := net.SplitHostPort(s.Address); err != nil {
			return nil, fmt.Errorf("radius: server %q: address %q is not host:port: %w", s.name(), s.Address, err)
		}
		m := radius.Server{Name: s.name(), Secret: s.Secret, Status: s.Status}
		if s.TLS != nil {
			if err := s.TLS.check(); err != nil {
				return nil, fmt.Errorf("radius: server %q: %w", s.name(), err)
			}
			m.Secret, m.Stream, m.Status = radsecSecret, true, true
		} else if fips140.Enforced() {
			return nil, fmt.Errorf("radius: server %q: RADIUS over UDP rests on MD5, which GODEBUG=fips140=only forbids: use RadSec", s.name())
		} else if len(s.Secret) < minSecret {
			return nil, fmt.Errorf("radius: server %q: a shared secret of %d octets can be guessed from one packet: use %d or more, or RadSec", s.name(), len(s.Secret), minSecret)
		}
		list = append(list, m)
	}
	return list, nil
}

// minSecret is the shortest shared secret, in octets (RFC 2865, Section 3).
// Whoever sees one packet can try secrets offline, as fast as MD5 is.
const minSecret = 16

func (s Server) name() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Address
}

// Do sends a request; done is called once, with an answer that has passed every
// check or with an error, which means no. It is called on the client's own
// goroutine, and must neither block nor call the client. Do blocks while too
// many requests wait to be begun.
func (c *Client) Do(r radius.Request, done func(radius.Reply, error)) {
	if !c.call(func(now time.Time, out *radius.ClientOut) { c.waiting[c.machine.Send(now, r, out)] = done }) {
		done(radius.Reply{}, radius.ErrClosed)
	}
}

// call hands f to the loop, and is false when the loop has ended.
func (c *Client) call(f func(time.Time, *radius.ClientOut)) bool {
	c.closing.RLock()
	defer c.closing.RUnlock()
	if c.closed {
		return false
	}
	select {
	case c.calls <- f:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// Exchange is Do that waits. When ctx ends first, the answer is not waited for.
func (c *Client) Exchange(ctx context.Context, r radius.Request) (radius.Reply, error) {
	type result struct {
		reply radius.Reply
		err   error
	}
	got := make(chan result, 1)
	c.Do(r, func(reply radius.Reply, err error) { got <- result{reply, err} })
	select {
	case r := <-got:
		return r.reply, r.err
	case <-ctx.Done():
		return radius.Reply{}, fmt.Errorf("radius: %w", context.Cause(ctx))
	}
}

// ServerStatus is what is known of a server.
type ServerStatus struct {
	radius.ServerStatus
	Since   time.Time // when it was found dead; zero when it lives
	Trouble string    // why, and what to look at; likewise
}

// Status tells of every server, in the order of the list; nil after Close. It
// waits for the client's own goroutine, and must not be called from there.
func (c *Client) Status() []ServerStatus {
	got := make(chan []ServerStatus, 1)
	if !c.call(func(time.Time, *radius.ClientOut) { got <- c.statuses() }) {
		return nil
	}
	select {
	case s := <-got:
		return s
	case <-c.done:
		return nil
	}
}

func (c *Client) statuses() (all []ServerStatus) {
	for i, s := range c.machine.Status() {
		all = append(all, ServerStatus{s, c.troubles[i].since, c.troubles[i].why})
	}
	return all
}

// Close ends every request with radius.ErrClosed and closes the sockets. It
// returns when all of that is done.
func (c *Client) Close() {
	c.cancel()
	<-c.done
	c.readers.Wait()
}

// run owns the machine.
func (c *Client) run() {
	defer close(c.done)
	out := new(radius.ClientOut)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		arm(timer, c.machine.Deadline())
		select {
		case <-c.ctx.Done():
			c.shut(out)
			return
		case f := <-c.calls:
			f(time.Now(), out)
		case a := <-c.received:
			c.machine.Receive(time.Now(), a.link.path, a.data, out)
		case l := <-c.lost:
			c.drop(l, out)
		case <-timer.C:
			c.machine.Timeout(time.Now(), out)
		}
		c.drain(out)
	}
}

// arm sets the timer to a deadline; without one it rests.
func arm(t *time.Timer, deadline time.Time) {
	wait := time.Hour
	if !deadline.IsZero() {
		wait = time.Until(deadline)
	}
	t.Reset(wait)
}

// drain does what the machine wants, until it wants nothing more: a connection
// that cannot be made gives it something to do again.
func (c *Client) drain(out *radius.ClientOut) {
	for again := true; again; {
		todo := *out
		*out = radius.ClientOut{}
		for _, s := range todo.States {
			c.tell(s)
		}
		for _, p := range todo.Close {
			if l := c.links[p]; l != nil {
				c.drop(l, out)
			}
		}
		for _, x := range todo.Send {
			c.transmit(x, out)
		}
		for _, r := range todo.Results {
			done := c.waiting[r.ID]
			delete(c.waiting, r.ID)
			if done != nil {
				done(r.Reply, r.Err)
			}
		}
		again = len(out.Send)+len(out.Close)+len(out.Results)+len(out.States) > 0
	}
}

func (c *Client) tell(s radius.ServerState) {
	name := c.cfg.Servers[s.Server].name()
	drops := c.machine.Status()[s.Server].Drops
	if s.Dead {
		c.troubles[s.Server] = trouble{time.Now(), cmp.Or(c.told[s.Server], hint(&drops, &c.before[s.Server]))}
		c.cfg.Logger.Warn("RADIUS server gives no good answer", "server", name, "hint", hint(&drops, &c.before[s.Server]))
	} else {
		c.told[s.Server], c.troubles[s.Server] = "", trouble{}
		c.cfg.Logger.Info("RADIUS server answers again", "server", name)
	}
	c.before[s.Server] = drops
}

// hints are what to do when answers were dropped, the most telling first.
var hints = []struct {
	drop radius.Drop
	hint string
}{
	{radius.DropNoMessageAuthenticator, "its answers have no Message-Authenticator (CVE-2024-3596): update it, and make it send one always"},
	{radius.DropProxyState, "its answers have a Proxy-State that we did not send: somebody on the way may be forging them (CVE-2024-3596)"},
	{radius.DropMessageAuthenticator, "its answers are signed with another secret, or changed on the way: compare the secrets"},
	{radius.DropAuthenticator, "its answers are made with another secret, or by somebody else: compare the secrets"},
	{radius.DropMalformed, "its answers are damaged"},
	{radius.DropUnasked, "its answers come too late: look at its load"},
}

// hint says what to look at, by what was dropped meanwhile.
func hint(drops, before *radius.Counters) string {
	for _, h := range hints {
		if drops[h.drop] > before[h.drop] {
			return h.hint
		}
	}
	return "check that it runs, that it is reachable, that it knows us as a client, and that the secrets agree"
}

// redialPause keeps a server that refuses connections from being asked for one
// by every login.
const redialPause = time.Second

// transmit sends over a path, which is opened when it is not.
func (c *Client) transmit(x radius.Transmission, out *radius.ClientOut) {
	l := c.links[x.Path]
	if l == nil {
		if time.Now().Before(c.refuse[x.Path.Server]) {
			c.machine.Lost(time.Now(), x.Path, out)
			return
		}
		l = c.open(x.Path)
		c.links[x.Path] = l
	}
	l.send(x.Data)
}

// drop forgets a link and tells the machine.
func (c *Client) drop(l *link, out *radius.ClientOut) {
	l.close()
	if c.links[l.path] != l {
		return
	}
	delete(c.links, l.path)
	now := time.Now()
	if l.failed != nil {
		c.tellFailure(l.path.Server, l.failed)
		c.refuse[l.path.Server] = now.Add(redialPause)
	}
	c.machine.Lost(now, l.path, out)
}

// tellFailure logs once why connections fail, and not each of them: a server may
// be down for a week.
func (c *Client) tellFailure(server int, err error) {
	kind := errorKind(err)
	if c.told[server] == kind {
		return
	}
	c.told[server] = kind
	c.cfg.Logger.Warn("RADIUS connection failed", "server", c.cfg.Servers[server].name(), "error", err.Error())
}

// errorKind is an error without the port of ours that was tried.
func errorKind(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// shut ends everything.
func (c *Client) shut(out *radius.ClientOut) {
	for _, l := range c.links {
		l.close()
	}
	c.closing.Lock()
	c.closed = true
	c.closing.Unlock()
	for {
		select {
		case f := <-c.calls:
			f(time.Now(), out)
			continue
		default:
		}
		break
	}
	out.Reset()
	c.machine.Close(out)
	for _, r := range out.Results {
		if done := c.waiting[r.ID]; done != nil {
			done(r.Reply, r.Err)
		}
	}
}

// LocalAttributes are what names us to a server: NAS-Identifier, and an address
// when there is one.
func LocalAttributes(identifier string, addresses ...netip.Addr) []radius.Attribute {
	all := []radius.Attribute{radius.TextAttr(radius.NASIdentifier, identifier)}
	for _, a := range addresses {
		t := radius.NASIPv6Address
		if a.Unmap().Is4() {
			t = radius.NASIPAddress
		}
		all = append(all, radius.AddrAttr(t, a))
	}
	return all
}

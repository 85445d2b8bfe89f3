package l2tpload

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/internal/bench"
	"sallyport/internal/secret"
	"sallyport/protocol/suite"
)

// Config is what all clients of a crowd have in common.
type Config struct {
	Gateway        netip.Addr
	IKE, NATT      uint16           // its ports; 0 = 500 and 4500
	Phase1, Phase2 []suite.Proposal // of suite.ParseL2TPProposal
	Roots          *x509.CertPool   // the gateway's certificates must lead here
	// Private is what every client takes its own address to be: behind home
	// routers it is the same for thousands. It stands in quick mode and in the
	// hashes of NAT detection, so that the gateway finds a NAT.
	Private netip.Addr
	Port    uint16 // inner UDP port; 0 = 1701
	TLS     uint16 // highest version in EAP; 0 = 1.3
	// Contact says INITIAL-CONTACT in main mode.
	Contact bool
	// DPD, Hello and Echo are the silence before each layer asks for a sign of
	// life; 0 = 60 s, 60 s and 30 s, negative = never.
	DPD, Hello, Echo time.Duration
}

// Person is who logs in: the machine by its certificate in main mode, and its
// user by the same certificate in EAP-TLS, or with a Password by PEAP.
type Person struct {
	Name     string // of the certificate: name@user
	Chain    [][]byte
	Signer   crypto.Signer
	User     string // with a Password
	Password secret.Bytes
}

// Crowd is a number of clients, numbered from 0. Its methods may be called from
// any goroutine, but one Connect, Leave, Rekey or Run at a time.
type Crowd struct {
	cfg      Config
	members  []*member
	sockets  []*socket
	inbox    chan datagram
	orders   chan func()
	quit     chan struct{}
	ended    chan struct{}
	timers   timers
	verified map[string]crypto.PublicKey // certificates of the gateway whose chain was checked

	// The set-ups under way.
	queue   []*member
	atOnce  int
	rising  int
	sent    int // datagrams in all
	report  bench.Report
	latency []time.Duration

	echo *echo // under way; nil: none

	plain, sealed, frame []byte // storage of the packet that is made
}

// tick is how late a timer may run. The shortest is a retransmission after a
// second.
const tick = 20 * time.Millisecond

// queued is how many datagrams wait between the sockets and the loop; more wait
// in the kernel.
const queued = 4096

// Open binds the sockets of a crowd: one client at each place, and the people in
// turn. Port 0 is chosen by the kernel. Whoever wants the sockets in another
// network namespace calls it there.
func Open(cfg Config, places []netip.AddrPort, people []Person) (*Crowd, error) {
	if len(places) == 0 || len(people) == 0 || !cfg.Gateway.Is4() || !cfg.Private.Is4() {
		return nil, errors.New("l2tpload: places, people, and IPv4 addresses of the gateway and in private are needed")
	}
	cfg.IKE, cfg.NATT, cfg.Port = cmp.Or(cfg.IKE, 500), cmp.Or(cfg.NATT, 4500), cmp.Or(cfg.Port, 1701)
	c := &Crowd{
		cfg: cfg, inbox: make(chan datagram, queued), orders: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{}),
		verified: make(map[string]crypto.PublicKey),
	}
	for i, at := range places {
		c.members = append(c.members, &member{crowd: c, number: i, person: &people[i%len(people)], source: at.Addr(), index: notInHeap})
	}
	if err := c.bind(places); err != nil {
		close(c.ended)
		c.closeSockets()
		return nil, err
	}
	go c.loop()
	return c, nil
}

// loop owns the clients until Close.
func (c *Crowd) loop() {
	defer close(c.ended)
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case d := <-c.inbox:
			d.to.receive(time.Now(), d)
			continue // timers have their turn with the clock
		case f := <-c.orders:
			f()
		case <-clock.C:
		case <-c.quit:
			return
		}
		c.expire(time.Now())
	}
}

// do runs f on the loop; false: the crowd is closed.
func (c *Crowd) do(f func()) bool {
	done := make(chan struct{})
	select {
	case c.orders <- func() { defer close(done); f() }:
		<-done
		return true
	case <-c.ended:
		return false
	}
}

// await asks on the loop, again and again, whether something is so.
func (c *Crowd) await(ctx context.Context, is func() bool) error {
	for {
		var so bool
		if !c.do(func() { so = is() }) {
			return errClosed
		}
		if so {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(tick):
		}
	}
}

var errClosed = errors.New("l2tpload: closed")

// Close ends the crowd without a word to the gateway.
func (c *Crowd) Close() {
	select {
	case <-c.ended:
		return
	default:
	}
	c.Vanish()
	close(c.quit)
	<-c.ended
	c.closeSockets()
}

// some are the clients of these numbers; no number means all.
func (c *Crowd) some(which []int) []*member {
	if len(which) == 0 {
		return c.members
	}
	var out []*member
	for _, i := range which {
		out = append(out, c.members[i])
	}
	return out
}

// Connect brings clients up, atOnce at a time, and returns when each is up or
// has failed.
func (c *Crowd) Connect(ctx context.Context, atOnce int, which ...int) (bench.Report, error) {
	begun := time.Now()
	c.do(func() {
		c.report, c.latency, c.atOnce, c.queue = bench.Report{}, nil, max(1, atOnce), nil
		for _, m := range c.some(which) {
			if m.state == down {
				c.queue = append(c.queue, m)
			}
		}
		c.fill()
	})
	err := c.await(ctx, func() bool { return len(c.queue) == 0 && c.rising == 0 })
	var r bench.Report
	c.do(func() {
		c.queue = nil
		c.report.Elapsed = time.Since(begun)
		c.summarise()
		r = c.report
	})
	return r, err
}

// fill starts clients until enough are under way.
func (c *Crowd) fill() {
	for len(c.queue) > 0 && c.rising < c.atOnce {
		m := c.queue[0]
		c.queue = c.queue[1:]
		c.rising++
		m.dial(time.Now())
	}
}

func (c *Crowd) summarise() {
	if s := c.report.Elapsed.Seconds(); s > 0 {
		c.report.PerSecond = float64(c.report.Done) / s
	}
	if n := len(c.latency); n > 0 {
		slices.Sort(c.latency)
		c.report.P50, c.report.P99 = c.latency[n/2], c.latency[n*99/100]
	}
}

// Vanish lets clients forget everything without a word, as when their power is
// cut. Their places stay, so they can come back from the same ones.
func (c *Crowd) Vanish(which ...int) {
	c.do(func() {
		for _, m := range c.some(which) {
			m.forget("vanished")
		}
	})
}

// Leave ends clients in order, layer by layer, and waits for it.
func (c *Crowd) Leave(ctx context.Context, which ...int) error {
	c.do(func() {
		for _, m := range c.some(which) {
			m.leave(time.Now())
		}
	})
	return c.await(ctx, func() bool { return c.all(which, func(m *member) bool { return m.state == down }) })
}

// Rekey replaces the ESP SAs of clients that are up, by quick modes of theirs,
// and waits until they send on the new ones.
func (c *Crowd) Rekey(ctx context.Context, which ...int) error {
	before := map[*member]*sa{}
	c.do(func() {
		for _, m := range c.some(which) {
			if m.state == up {
				before[m] = m.out
				m.rekey(time.Now())
			}
		}
	})
	return c.await(ctx, func() bool {
		return c.all(which, func(m *member) bool { return m.out == nil || m.out != before[m] })
	})
}

func (c *Crowd) all(which []int, is func(*member) bool) bool {
	return !slices.ContainsFunc(c.some(which), func(m *member) bool { return !is(m) })
}

// Client is what a client of the crowd knows of its connection.
type Client struct {
	Up    bool
	Inner netip.Addr // its own address in the tunnel
	Why   string     // the reason of the last end
}

// Clients tells of all.
func (c *Crowd) Clients() (all []Client) {
	c.do(func() {
		for _, m := range c.members {
			all = append(all, Client{m.state == up, m.net.IPv4, m.why})
		}
	})
	return all
}

// String is for the messages of tests.
func (c Client) String() string {
	if c.Up {
		return fmt.Sprintf("up as %v", c.Inner)
	}
	return fmt.Sprintf("down: %s", c.Why)
}

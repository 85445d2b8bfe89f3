package radius

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"sallyport/protocol/radius"
)

// DynamicPort is the UDP port for Disconnect and CoA requests (RFC 5176,
// Section 2.1).
const DynamicPort = 3799

// DynamicConfig is what a Dynamic is opened with.
type DynamicConfig struct {
	// Listen is an address of ours. Servers want the answer from the address that
	// they asked, which a wildcard promises only on a host with one.
	Listen netip.AddrPort
	radius.DynamicConfig
	// Handle does what is asked: it finds the sessions that fit, ends or changes
	// all of them or none, and says 0 or a cause (RFC 5176, Section 2.3). Requests
	// come one after the other, and servers wait for a few seconds only.
	Handle func(*radius.Change) radius.ErrorCause
	Logger *slog.Logger // nil for none
}

// Dynamic listens for Disconnect and CoA requests.
type Dynamic struct {
	cfg  DynamicConfig
	conn *net.UDPConn
	done chan struct{}

	mu      sync.Mutex
	machine *radius.Dynamic
}

// ListenDynamic begins to listen.
func ListenDynamic(cfg DynamicConfig) (*Dynamic, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Handle == nil {
		return nil, errors.New("radius: Disconnect and CoA requests have no handler")
	}
	if fips140.Enforced() {
		return nil, errors.New("radius: Disconnect and CoA requests over UDP rest on MD5, which GODEBUG=fips140=only forbids: do not listen for them")
	}
	for _, p := range cfg.Peers {
		if len(p.Secret) < minSecret {
			return nil, fmt.Errorf("radius: Disconnect and CoA requests from %s: a shared secret of %d octets can be guessed: use %d or more", p.From, len(p.Secret), minSecret)
		}
	}
	machine, err := radius.NewDynamic(cfg.DynamicConfig)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(cfg.Listen))
	if err != nil {
		return nil, fmt.Errorf("radius: listening for Disconnect and CoA requests: %w", err)
	}
	d := &Dynamic{cfg: cfg, conn: conn, machine: machine, done: make(chan struct{})}
	go d.run()
	return d, nil
}

// Addr is where it listens.
func (d *Dynamic) Addr() netip.AddrPort { return d.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Drops counts what was discarded.
func (d *Dynamic) Drops() radius.Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.machine.Drops()
}

// Close ends listening; a request that is being handled is answered no more.
func (d *Dynamic) Close() error {
	err := d.conn.Close()
	<-d.done
	return err
}

func (d *Dynamic) run() {
	defer close(d.done)
	b := make([]byte, radius.MaxPacket+1)
	for {
		n, from, err := d.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.cfg.Logger.Warn("RADIUS Disconnect and CoA requests cannot be read", "error", err.Error())
			time.Sleep(100 * time.Millisecond) // a socket that fails at once would turn a core
			continue
		}
		if answer := d.serve(from, b[:n]); answer != nil {
			d.conn.WriteToUDPAddrPort(answer, from) // a lost answer is asked for again
		}
	}
}

// serve is one datagram.
func (d *Dynamic) serve(from netip.AddrPort, b []byte) []byte {
	d.mu.Lock()
	change, answer := d.machine.Receive(time.Now(), from, b)
	d.mu.Unlock()
	if change == nil {
		return answer
	}
	cause := d.handle(change)
	d.cfg.Logger.Info("RADIUS "+kind(change), "from", from.Addr().String(), "match", fmt.Sprintf("%+q", change.Match.String()), "outcome", outcome(cause))
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.machine.Answer(change, cause)
}

func kind(c *radius.Change) string {
	if c.Disconnect {
		return "Disconnect-Request"
	}
	return "CoA-Request"
}

func outcome(c radius.ErrorCause) string {
	if c == 0 {
		return "done"
	}
	return c.String()
}

// handle contains a panic: one request is not worth all sessions.
func (d *Dynamic) handle(c *radius.Change) (cause radius.ErrorCause) {
	defer func() {
		if r := recover(); r != nil {
			d.cfg.Logger.Error("RADIUS request ended in a panic: please report it", "panic", fmt.Sprint(r))
			cause = radius.CauseResourcesUnavailable
		}
	}()
	return d.cfg.Handle(c)
}

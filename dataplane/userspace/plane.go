// Package userspace moves ESP packets between a TUN device and UDP sockets
// without help from the kernel's IPsec: RFC 4303 in tunnel mode, RFC 3948 (UDP
// encapsulation), raw protocol 50 for peers that insist, IPv4 and IPv6 inside
// and outside.
//
// # Lanes
//
// A lane is one TUN queue and one UDP socket per address and family
// (SO_REUSEPORT), served by one goroutine per direction. Outbound, a frame of up
// to 64 KiB is cut and each packet is sealed straight into the batch that one
// UDP_SEGMENT send takes; inbound, one UDP_GRO receive is opened in place and
// joined again into one frame. An octet is touched by the checksum and by the
// cipher, and copied by nobody but the kernel.
//
// Outbound, any lane may use any Child SA: the sequence is one atomic counter,
// advanced once per frame, and each lane has a sealer of its own. Inbound, the
// kernel's 4-tuple hash leads one peer to one lane; see inboundHalf for the
// moment when it does not. A single peer is thus opened by one core, and many
// peers spread over all.
//
// # Sizes
//
// A packet that may not be fragmented and does not fit the path is answered
// with ICMP and dropped. An IPv4 packet that may be fragmented is sealed whole
// and the outer packet is fragmented (RFC 4459, Section 3.1), which costs the
// gateway nothing to decide and keeps old applications alive.
//
// # Not done here
//
// Time limits other than Expires, rekeying and dead peers belong to IKE.
// Fragments that arrive inside the tunnel are passed only by selectors without
// ports: nothing is reassembled to look for them.
package userspace

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/esp"
)

// Config says how to open a plane. The zero value of a field means its default.
type Config struct {
	Name   string // of the TUN device; "" lets the kernel choose
	MTU    int    // of the TUN device, in octets; default 1400
	Queues int    // lanes; default GOMAXPROCS, at most 16

	// Listen are the outer addresses. Empty means every address, IPv4 and IPv6
	// (IPv6 is left out where the host has none).
	Listen []netip.Addr
	// IKEPort and NATTPort default to 500 and 4500.
	IKEPort, NATTPort uint16
	// NoRaw leaves out the sockets for ESP as IP protocol 50.
	NoRaw bool
	// Mark is set on every outer packet (SO_MARK), so that a full tunnel's own
	// packets can be routed outside it; 0 sets none.
	Mark uint32

	// The switches for kernels and cards whose offloads are broken. Each is
	// also given up by itself when the kernel refuses it.
	NoTUNOffload  bool // take and give the TUN device single packets only
	NoUDPSegment  bool // send single datagrams
	NoUDPCoalesce bool // receive single datagrams

	Upcalls dataplane.Upcalls
	Logger  *slog.Logger // default discards
}

// Limits of Config.
const (
	defaultMTU = 1400 // leaves room for every suite and for IPv6 and PPPoE outside
	maxQueues  = 16   // beyond it, memory (about 2 MiB a lane) buys nothing on this path
	portIKE    = 500
)

// Plane is a running data plane. It implements [dataplane.Plane] and
// [dataplane.Control]; all its methods are safe for concurrent use.
type Plane struct {
	cfg   Config
	name  string
	up    dataplane.Upcalls
	log   *slog.Logger
	lanes []*lane
	ike   []*socket
	rawS  []*socket
	meter *pathMeter

	spis   spiTable
	routes *routes
	mu     sync.Mutex // serialises Apply and every other change of the tables

	tunSegment atomic.Bool
	udpSegment atomic.Bool
	gsoRefused atomic.Int32
	tunUSO     bool

	epoch   time.Time // second 0 of the clock
	closed  atomic.Bool
	done    chan struct{}
	workers sync.WaitGroup
}

// lane is one TUN queue and its sockets.
type lane struct {
	plane    *Plane
	index    int
	queue    *tunQueue
	natt     []*socket
	counters counters
}

// messageSink takes datagrams: how many, and why not the next one.
type messageSink interface {
	send(c *call, msgs []mmsghdr) (int, error)
}

// socket is where packets for pa leave.
func (l *lane) socket(pa *path) messageSink {
	if pa.raw {
		return l.plane.rawS[pa.socket]
	}
	return l.natt[pa.socket]
}

// Open creates the TUN device, binds the sockets and starts the workers. The
// device is left down and without addresses: see [SetUp]. It needs
// CAP_NET_ADMIN, for raw ESP CAP_NET_RAW and for port 500 CAP_NET_BIND_SERVICE.
func Open(cfg Config) (*Plane, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	p := &Plane{cfg: cfg, up: cfg.Upcalls, log: cfg.Logger, routes: newRoutes(), epoch: newEpoch(), done: make(chan struct{})}
	p.tunSegment.Store(!cfg.NoTUNOffload)
	p.udpSegment.Store(!cfg.NoUDPSegment)
	for _, step := range []func() error{p.openDevice, p.openSockets, p.openMeter} {
		if err := step(); err != nil {
			p.closeFiles()
			return nil, err
		}
	}
	p.start()
	return p, nil
}

func (c *Config) fill() error {
	if c.Queues == 0 {
		c.Queues = runtime.GOMAXPROCS(0)
	}
	c.Queues = min(c.Queues, maxQueues)
	if c.MTU == 0 {
		c.MTU = defaultMTU
	}
	if c.MTU < 576 || c.MTU > 9216 {
		return fmt.Errorf("userspace: MTU %d is outside 576 to 9216", c.MTU)
	}
	if c.IKEPort == 0 {
		c.IKEPort = portIKE
	}
	if c.NATTPort == 0 {
		c.NATTPort = esp.PortNATT
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Upcalls.IKE == nil {
		c.Upcalls.IKE = func(netip.AddrPort, netip.AddrPort, []byte) {}
	}
	if c.Upcalls.Event == nil {
		c.Upcalls.Event = func(dataplane.Event) {}
	}
	return nil
}

func (p *Plane) openDevice() error {
	queues, name, uso, err := openTUN(p.cfg.Name, p.cfg.Queues, !p.cfg.NoTUNOffload)
	if err != nil {
		return err
	}
	p.name, p.tunUSO = name, uso
	for i, q := range queues {
		p.lanes = append(p.lanes, &lane{plane: p, index: i, queue: q})
	}
	return nil
}

func (p *Plane) openSockets() error {
	optional := len(p.cfg.Listen) == 0
	addrs := p.cfg.Listen
	if optional {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, a := range addrs {
		err := p.openAddress(a.Unmap())
		if err != nil && optional && a.Is6() && len(p.ike) > 0 {
			p.log.Info("userspace: no IPv6 on this host", "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// openAddress binds everything on one address, or nothing. The index of its
// sockets is the same in every list.
func (p *Plane) openAddress(a netip.Addr) (err error) {
	var opened []*socket
	defer func() {
		if err != nil {
			for _, s := range opened {
				s.close()
			}
		}
	}()
	open := func(port uint16, o socketOptions) {
		if err == nil {
			var s *socket
			if s, err = openSocket(netip.AddrPortFrom(a, port), o); err == nil {
				opened = append(opened, s)
			}
		}
	}
	open(p.cfg.IKEPort, socketOptions{mark: p.cfg.Mark})
	for range p.lanes {
		open(p.cfg.NATTPort, socketOptions{mark: p.cfg.Mark, reusePort: true, gro: !p.cfg.NoUDPCoalesce})
	}
	if !p.cfg.NoRaw {
		open(0, socketOptions{mark: p.cfg.Mark, raw: true})
	}
	if err != nil {
		return err
	}
	p.ike = append(p.ike, opened[0])
	for i, l := range p.lanes {
		l.natt = append(l.natt, opened[1+i])
	}
	p.rawS = append(p.rawS, opened[1+len(p.lanes):]...)
	return nil
}

func (p *Plane) openMeter() (err error) {
	p.meter, err = newPathMeter(p.cfg.Mark)
	return err
}

// start runs the workers. Port 500 and raw ESP have one reader each, on lane 0.
func (p *Plane) start() {
	for _, l := range p.lanes {
		p.workers.Go(newSender(p, l, newFrameWriter(l.queue)).run)
		for _, s := range l.natt {
			p.workers.Go(newReceiver(p, l, s, kindNATT, newFrameWriter(l.queue)).run)
		}
	}
	first := p.lanes[0]
	for _, s := range p.ike {
		p.workers.Go(newReceiver(p, first, s, kindIKE, newFrameWriter(first.queue)).run)
	}
	for _, s := range p.rawS {
		p.workers.Go(newReceiver(p, first, s, kindRaw, newFrameWriter(first.queue)).run)
	}
}

// newEpoch lies a second back, so that 0 can mean never.
func newEpoch() time.Time { return time.Now().Add(-time.Second) }

// elapsed is the plane's clock. It does not follow a clock that is set:
// lifetimes must neither end nor stretch because of NTP.
func (p *Plane) elapsed() time.Duration { return time.Since(p.epoch) }

// seconds is what most of the plane needs of its clock.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// deadline is a time on that clock, rounded up; the zero time is never.
func (p *Plane) deadline(t time.Time) int64 {
	if t.IsZero() {
		return math.MaxInt64
	}
	return int64((t.Sub(p.epoch) + time.Second - 1) / time.Second)
}

// Name is the TUN device's name as the kernel gave it.
func (p *Plane) Name() string { return p.name }

// Close implements [dataplane.Plane]: it returns when every worker has ended.
// The TUN device disappears with it.
func (p *Plane) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	close(p.done)
	err := p.closeFiles()
	p.workers.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spis.all(func(sa *childSA) { p.drop(sa) })
	p.meter.close()
	return err
}

func (p *Plane) closeFiles() error {
	var errs []error
	for _, l := range p.lanes {
		errs = append(errs, l.queue.file.Close())
		for _, s := range l.natt {
			errs = append(errs, s.close())
		}
	}
	for _, s := range append(p.ike, p.rawS...) {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// contain ends a panic in a worker's round: packets are what the peer sends,
// and one bad packet must not end everyone's tunnels. The first few are logged.
func (p *Plane) contain(where string, l *lane, abandon func()) {
	v := recover()
	if v == nil {
		return
	}
	abandon()
	if l.counters.Panics.Add(1) <= 10 {
		p.log.Error("userspace: a worker panicked and goes on", "where", where, "panic", fmt.Sprintf("%q", fmt.Sprint(v)), "stack", string(debug.Stack()))
	}
}

// trouble pauses a worker after an error of its device or socket; the first of
// several in a row is logged.
func (p *Plane) trouble(b *backoff, what string, err error) {
	if b.next == 0 {
		p.log.Warn("userspace: "+what+" fails; trying again", "error", err)
	}
	b.wait(p.done)
}

// backoff waits longer after each failure in a row, up to one second.
type backoff struct{ next time.Duration }

func (b *backoff) wait(done <-chan struct{}) {
	b.next = min(max(2*b.next, 10*time.Millisecond), time.Second)
	select {
	case <-done:
	case <-time.After(b.next):
	}
}

func (b *backoff) reset() { b.next = 0 }

// Package userspace moves ESP packets between TUN devices and UDP sockets
// without help from the kernel's IPsec: RFC 4303 in tunnel mode, and in transport
// mode for L2TP alone (RFC 3193, RFC 2661), RFC 3948 (UDP encapsulation), raw
// protocol 50 for peers that insist, IPv4 and IPv6 inside and outside.
//
// # Lanes
//
// A lane is one TUN queue and one UDP socket per address and family
// (SO_REUSEPORT), served by one goroutine per direction. Further devices add a
// queue each to the lanes that are there, and have routes of their own. Outbound,
// a frame of up
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
// # L2TP
//
// A Child SA in transport mode carries one L2TP call. Its packets travel as
// those of a tunnel do: UDP, L2TP and PPP headers are written over what was
// sealed before them, and stepped over inbound. The Child SA tells the peers
// apart, and nothing that they choose: any number of clients behind one NAT may
// have the same addresses, ports and ids. Everything else that L2TP brings
// goes up to the event loop, so many a second for each Child SA and no more.
//
// # Sizes
//
// A packet that may not be fragmented and does not fit the path is answered
// with ICMP and dropped. An IPv4 packet that may be fragmented is sealed whole
// and the outer packet is fragmented (RFC 4459, Section 3.1), which costs the
// gateway nothing to decide and keeps old applications alive; so it may exceed
// the MRU of an L2TP peer, which has to take 1500 octets whatever it asked for
// (RFC 1661, Section 6.1). The segment size that TCP offers is lowered to what
// fits (RFC 4459, Section 3.2), both ways.
//
// # Not done here
//
// Time limits other than Expires, rekeying and dead peers belong to IKE; L2TP's
// control messages and PPP's, to the event loop. L2TP data messages are taken in
// the order of their arrival, with or without numbers (RFC 2661, Section 5.4).
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
	// Devices are further TUN devices. What leaves and enters by one has nothing
	// to do with the others.
	Devices []Device
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
// [dataplane.Control] and [dataplane.Inner]; all its methods are safe for concurrent use.
type Plane struct {
	cfg     Config
	up      dataplane.Upcalls
	log     *slog.Logger
	devices []*device // the first is what Config itself describes
	lanes   []*lane
	ike     []*socket
	rawS    []*socket
	meter   *pathMeter

	mu    sync.Mutex // serialises Apply and every other change of the tables
	spis  spiTable
	calls map[*dataplane.Call]*cargo // open calls; under mu
	uses  uint64                     // how often a Child SA was put in use outbound; under mu

	udpSegment atomic.Bool
	gsoRefused atomic.Int32

	epoch   time.Time // second 0 of the clock
	closed  atomic.Bool
	done    chan struct{}
	workers sync.WaitGroup
}

// lane is one queue of each TUN device, and the sockets that serve them.
type lane struct {
	plane    *Plane
	index    int
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

// Open creates the TUN devices, binds the sockets and starts the workers. The
// devices are left down and without addresses: see [SetUp]. It needs
// CAP_NET_ADMIN, for raw ESP CAP_NET_RAW and for port 500 CAP_NET_BIND_SERVICE.
func Open(cfg Config) (*Plane, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	p := newPlane(cfg)
	for _, step := range []func() error{p.openDevices, p.openSockets, p.openMeter} {
		if err := step(); err != nil {
			p.closeFiles()
			return nil, err
		}
	}
	p.start()
	return p, nil
}

// newPlane has lanes, and neither devices nor sockets yet.
func newPlane(cfg Config) *Plane {
	p := &Plane{
		cfg: cfg, up: cfg.Upcalls, log: cfg.Logger, epoch: newEpoch(), done: make(chan struct{}),
		calls: make(map[*dataplane.Call]*cargo),
	}
	p.udpSegment.Store(!cfg.NoUDPSegment)
	for i := range cfg.Queues {
		p.lanes = append(p.lanes, &lane{plane: p, index: i})
	}
	return p
}

func (c *Config) fill() error {
	if c.Queues == 0 {
		c.Queues = runtime.GOMAXPROCS(0)
	}
	c.Queues = min(c.Queues, maxQueues)
	if err := fillMTU(&c.MTU); err != nil {
		return err
	}
	if err := c.fillDevices(); err != nil {
		return err
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
	if c.Upcalls.Inner == nil {
		c.Upcalls.Inner = func(uint32, uint16, []byte) {}
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
		for _, d := range p.devices {
			if l.index < len(d.queues) {
				p.workers.Go(newSender(p, l, d, newFrameWriter(d.queue(l))).run)
			}
		}
		for _, s := range l.natt {
			p.workers.Go(newReceiver(p, l, s, kindNATT, p.sinks(l)).run)
		}
	}
	first := p.lanes[0]
	for _, s := range p.ike {
		p.workers.Go(newReceiver(p, first, s, kindIKE, p.sinks(first)).run)
	}
	for _, s := range p.rawS {
		p.workers.Go(newReceiver(p, first, s, kindRaw, p.sinks(first)).run)
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

// Name is the first TUN device's name as the kernel gave it.
func (p *Plane) Name() string { return p.devices[0].name }

// Close implements [dataplane.Plane]: it returns when every worker has ended.
// The TUN devices disappear with it.
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
	for _, d := range p.devices {
		for _, q := range d.queues {
			errs = append(errs, q.file.Close())
		}
	}
	for _, l := range p.lanes {
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

package userspace

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
	"sallyport/protocol/esp"
)

// A receive call takes several messages into one buffer. With UDP_GRO a
// message is up to 64 KiB, and more than eight would leave the cache before
// they are opened; without, each is one datagram, and more of them share the
// cost of the call. A datagram above 16 KiB is then no ESP of ours, and no IKE
// message that would not have been fragmented (RFC 7383).
const (
	receiveBuffer   = 512 << 10
	receiveMessages = 32
	receiveTrains   = 8
	flushOctets     = 32 << 10 // a batch this large is written at once, while it is in the cache
)

// receiver is the inbound half of a lane for one socket: ESP in, TUN out; IKE
// and L2TP to the upcalls.
type receiver struct {
	plane  *Plane
	lane   *lane
	socket *socket
	kind   socketKind
	out    []*coalescer // by device

	msgs    [receiveMessages]mmsghdr
	iov     [receiveMessages]unix.Iovec
	names   [receiveMessages][unix.SizeofSockaddrInet6]byte
	control [receiveMessages][256]byte
	buf     []byte
	n       int // messages of one call
	size    int // octets for each

	info     received
	in       inner
	at       time.Duration // of the plane's clock, once for each batch
	now      int64         // the same in seconds
	octets   int
	events   []dataplane.Event
	messages []handed
}

// socketKind says what a socket may receive.
type socketKind uint8

const (
	kindNATT socketKind = iota // UDP 4500: ESP, IKE behind the marker, keepalives
	kindIKE                    // UDP 500: IKE alone
	kindRaw                    // IP protocol 50: ESP alone
)

// newReceiver has a sink for each device of the plane.
func newReceiver(p *Plane, l *lane, s *socket, kind socketKind, sinks []frameSink) *receiver {
	r := &receiver{
		plane: p, lane: l, socket: s, kind: kind,
		buf: make([]byte, receiveBuffer), n: receiveMessages,
		events:   make([]dataplane.Event, 0, 64),
		messages: make([]handed, 0, 2*innerBurst),
	}
	for i, w := range sinks {
		r.out = append(r.out, newCoalescer(l, p.devices[i], w))
	}
	if kind == kindIKE || kind == kindNATT && !p.cfg.NoUDPCoalesce {
		r.n = receiveTrains
	}
	r.size = receiveBuffer / r.n
	for i := range r.n {
		setIovec(&r.iov[i], r.message(i))
		h := &r.msgs[i].hdr
		h.Name, h.Iov, h.Control = &r.names[i][0], &r.iov[i], &r.control[i][0]
		h.SetIovlen(1)
	}
	return r
}

func (r *receiver) message(i int) []byte { return r.buf[i*r.size:][:r.size] }

// run reads until the plane is closed, as sender.run does.
func (r *receiver) run() {
	var pause backoff
	for !r.plane.closed.Load() {
		err := r.round()
		if err != nil && !temporary(err) && !r.plane.closed.Load() {
			r.lane.counters.SocketErrors.Add(1)
			r.plane.trouble(&pause, "receive on "+r.socket.local.String(), err)
			continue
		}
		pause.reset()
	}
}

func (r *receiver) round() error {
	defer r.plane.contain("inbound", r.lane, r.abandon)
	for i := range r.n {
		r.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
		r.msgs[i].hdr.SetControllen(len(r.control[i]))
	}
	n, err := r.socket.receive(r.msgs[:r.n])
	if err != nil {
		return err
	}
	r.at = r.plane.elapsed()
	r.now = seconds(r.at)
	r.lane.counters.MessagesReceived.Add(uint64(n))
	for i := range n {
		m := &r.msgs[i]
		if m.hdr.Flags&unix.MSG_TRUNC != 0 {
			r.lane.counters.Malformed.Add(1)
			continue
		}
		r.info.parse(r.control[i][:m.hdr.Controllen])
		r.datagrams(r.names[i][:], r.message(i)[:m.len])
	}
	r.flush()
	return nil
}

// flush writes what was opened and hands up the events and L2TP messages of the
// batch, which must not happen under the lock of an SA.
func (r *receiver) flush() {
	for _, out := range r.out {
		out.flush()
	}
	for _, e := range r.events {
		r.plane.up.Event(e)
	}
	for _, m := range r.messages {
		r.plane.up.Inner(m.spi, m.port, m.msg)
	}
	r.forget()
}

func (r *receiver) abandon() {
	for _, out := range r.out {
		out.reset()
	}
	r.forget()
}

func (r *receiver) forget() {
	r.octets = 0
	r.events = r.events[:0]
	r.messages = r.messages[:0]
}

// datagrams sorts what one message holds: one datagram, or several of equal
// size that the kernel joined by their 4-tuple, whatever is inside.
func (r *receiver) datagrams(name, b []byte) {
	if r.kind == kindRaw {
		b = r.stripIPv4(b)
	}
	size := len(b)
	if r.info.segment > 0 {
		size = r.info.segment
	}
	for len(b) > 0 {
		d := b[:min(size, len(b))]
		sa := r.classify(name, d)
		if sa == nil {
			b = b[len(d):]
			continue
		}
		b = b[r.open(sa, name, b, size):]
		if r.octets >= flushOctets || len(r.events)+len(r.messages) > 0 {
			r.flush()
		}
	}
}

// stripIPv4 cuts off the IP header that a raw IPv4 socket delivers.
func (r *receiver) stripIPv4(b []byte) []byte {
	if r.socket.local.Addr().Is6() {
		return b
	}
	if len(b) < ipv4HeaderSize || int(b[0]&0x0F)*4 > len(b) {
		r.lane.counters.Malformed.Add(1)
		return nil
	}
	return b[int(b[0]&0x0F)*4:]
}

// classify returns the SA of an ESP packet, or deals with the datagram and
// returns nil. A keepalive is dropped before anything is looked up (RFC 3948,
// Section 2.3).
func (r *receiver) classify(name, d []byte) *childSA {
	c := &r.lane.counters
	switch {
	case r.kind == kindIKE:
		r.ike(name, d)
	case len(d) == 1 && d[0] == esp.Keepalive && r.kind == kindNATT:
		c.Keepalives.Add(1)
	case len(d) < esp.HeaderSize:
		c.Malformed.Add(1)
	default:
		spi := binary.BigEndian.Uint32(d)
		if spi == esp.NonESPMarker && r.kind == kindNATT {
			r.ike(name, d[esp.MarkerSize:])
			return nil
		}
		// With or without UDP: a peer may choose for each packet (RFC 7296,
		// Section 2.23).
		if sa := r.plane.spis.lookup(spi); sa != nil {
			return sa
		}
		c.UnknownSPI.Add(1)
	}
	return nil
}

// ike hands a message up.
func (r *receiver) ike(name, msg []byte) {
	local := netip.AddrPortFrom(r.info.local, r.socket.local.Port())
	if !r.info.local.IsValid() {
		local = r.socket.local
	}
	r.lane.counters.IKE.Add(1)
	r.plane.up.IKE(local, parseSockaddr(name), msg)
}

// open opens the packets at the front of b that belong to sa, under one lock,
// and returns how many octets they were.
func (r *receiver) open(sa *childSA, name, b []byte, size int) (consumed int) {
	h, out := &sa.in, r.out[sa.device.index]
	h.mu.Lock()
	defer h.mu.Unlock()
	newest := false
	first := h.packets == 0
	for consumed < len(b) && !out.full() {
		pkt := b[consumed:min(consumed+size, len(b))]
		if len(pkt) < esp.HeaderSize || binary.BigEndian.Uint32(pkt) != sa.spiIn {
			break
		}
		consumed += len(pkt)
		if !sa.usable(r.now) {
			r.lane.counters.Expired.Add(1)
			r.hardLimit(sa)
			continue
		}
		newest = r.openOne(sa, pkt) || newest
	}
	if consumed == 0 { // the batch is full: the caller comes again after a flush
		r.octets = flushOctets
		return 0
	}
	r.after(sa, name, first, newest)
	return consumed
}

// openOne authenticates and decrypts one packet and passes on what is inside.
func (r *receiver) openOne(sa *childSA, pkt []byte) (newest bool) {
	h, c := &sa.in, &r.lane.counters
	payload, next, newest, err := h.esp.Open(pkt)
	switch err {
	case nil:
	case esp.ErrReplay:
		h.replay++
		c.Replay.Add(1)
		return false
	case esp.ErrAuth:
		h.auth++
		c.Auth.Add(1)
		return false
	default:
		c.Malformed.Add(1)
		return false
	}
	h.packets++
	h.last = r.now
	r.octets += len(pkt)
	r.deliver(sa, payload, next)
	return newest
}

// deliver finds the inner packet in what ESP carried.
func (r *receiver) deliver(sa *childSA, payload []byte, next uint8) {
	g := sa.cargo.Load()
	switch {
	case next == esp.NextNone:
		r.lane.counters.Dummy.Add(1)
	case sa.transport:
		if pkt := r.l2tp(sa, g, payload, next); pkt != nil {
			r.pass(sa, g, pkt)
		}
	case !r.in.parse(payload) || next != r.in.nextHeader():
		r.lane.counters.InnerMalformed.Add(1)
	default:
		r.pass(sa, g, payload)
	}
}

// pass checks the inner packet against the SA (RFC 4301, Section 5.2, step 4)
// and gives it to the coalescer.
func (r *receiver) pass(sa *childSA, g *cargo, payload []byte) {
	h, c := &sa.in, &r.lane.counters
	if !g.remote.match(r.in.src, &r.in, r.in.srcPort) || !g.local.match(r.in.dst, &r.in, r.in.dstPort) {
		h.selector++
		c.InboundSelector.Add(1)
		return
	}
	payload = payload[:r.in.length]
	h.bytes += uint64(len(payload))
	// Not before the packet is authentic: forgeries must not use up the limit.
	if g.rate != nil && !g.rate.TakeIn(r.at, len(payload)) {
		h.overRate++
		c.OverRate.Add(1)
		return
	}
	if !applyECN(payload, &r.in, r.info.tos) {
		c.ECN.Add(1)
		return
	}
	if isSYN(payload, &r.in) && clampMSS(payload, &r.in, g.limit(sa.path.Load(), r.in.v6)) {
		c.MSSClamped.Add(1)
	}
	r.out[sa.device.index].add(payload, &r.in)
}

// after notes what a run of packets says about the SA and its peer.
func (r *receiver) after(sa *childSA, name []byte, first, newest bool) {
	h := &sa.in
	if first && h.packets > 0 {
		r.event(dataplane.Event{Kind: dataplane.FirstInbound, SPIIn: sa.spiIn})
	}
	if newest && sa.raw == (r.kind == kindRaw) && !sa.path.Load().from(name) {
		r.moved(sa, parseSockaddr(name))
	}
	soft, hard := sa.spent(h.packets, h.bytes)
	if soft && sa.softSent.CompareAndSwap(false, true) {
		r.event(dataplane.Event{Kind: dataplane.SoftLimit, SPIIn: sa.spiIn})
	}
	if hard {
		r.hardLimit(sa)
	}
}

func (r *receiver) hardLimit(sa *childSA) {
	sa.stopped.Store(true)
	if sa.hardSent.CompareAndSwap(false, true) {
		r.event(dataplane.Event{Kind: dataplane.HardLimit, SPIIn: sa.spiIn})
	}
}

// moved reports a new address, again each second until the engine acts. Only a
// packet newer than all before it counts: an attacker who delays or repeats
// packets from elsewhere must not steer the tunnel (RFC 7296, Section 2.23).
func (r *receiver) moved(sa *childSA, remote netip.AddrPort) {
	h := &sa.in
	if h.moved == remote && h.movedTime == r.now {
		return
	}
	h.moved, h.movedTime = remote, r.now
	r.event(dataplane.Event{Kind: dataplane.PeerMoved, SPIIn: sa.spiIn, Remote: remote})
}

func (r *receiver) event(e dataplane.Event) { r.events = append(r.events, e) }

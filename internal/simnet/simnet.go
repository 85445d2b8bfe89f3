// Package simnet is a lossy network in simulated time for machines without
// I/O: what takes a day on the wire runs in milliseconds, and the same seed
// always gives the same day.
//
// A test attaches machines to hosts, hosts to the public network or to a NAT,
// and calls Run. Everything happens inside Run, on its goroutine, one event
// after the other.
package simnet

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Datagram is what a machine sends or receives; Local is its own end.
type Datagram struct {
	Local, Remote netip.AddrPort
	Data          []byte
}

// Machine is a sans-I/O machine on a host. Timeout and Deadline may be nil
// together.
type Machine struct {
	Receive  func(now time.Time, d Datagram)
	Timeout  func(now time.Time)
	Deadline func() time.Time // when Timeout is due; zero for never
}

// Link is the quality of the public network. Rates are from 0 to 1, of the
// datagrams sent.
type Link struct {
	Loss      float64
	Duplicate float64
	Reorder   float64 // held back by one to four times Delay
	Corrupt   float64 // one bit flipped
	Delay     time.Duration
	Jitter    time.Duration // up to this is added to Delay
	MTU       int           // longer ones vanish, as where IP fragments are dropped; 0 for no limit
}

// Counters say what became of the datagrams.
type Counters struct {
	Sent, Delivered, Lost, Duplicated, Reordered, Corrupted int
	TooLong                                                 int // over the MTU
	Cut                                                     int // during a Cut
	Filtered                                                int // at a NAT without a mapping for them
	NoRoute                                                 int // from or to an address that no host has
}

// Network is the public network, its clock and its dice. Link and Trace may be
// changed at any time, also by an event.
type Network struct {
	Link  Link
	Rand  *rand.Rand // for machines that need dice of the same seed
	Count Counters
	Trace func(now time.Time, event string, from, to netip.AddrPort, data []byte)

	now    time.Time
	events events
	serial uint64
	hosts  []*Host
	places map[place]*Host
	nats   map[netip.Addr]*NAT
	cuts   []cut
}

// place is an address in one realm: behind a NAT, or public for nil.
type place struct {
	nat  *NAT
	addr netip.Addr
}

type cut struct {
	from, to time.Time
	a, b     netip.Prefix
}

// New is a perfect network without delay, at the time start.
func New(seed uint64, start time.Time) *Network {
	return &Network{
		Rand:   rand.New(rand.NewPCG(seed, 0x5a11)),
		now:    start,
		places: make(map[place]*Host),
		nats:   make(map[netip.Addr]*NAT),
	}
}

// Now is the simulated time.
func (n *Network) Now() time.Time { return n.now }

// Host is one machine's place on the network.
type Host struct {
	net     *Network
	machine Machine
	place   place
}

// Host attaches a machine at addr, behind nat or, if that is nil, in public.
func (n *Network) Host(addr netip.Addr, nat *NAT, m Machine) *Host {
	h := &Host{net: n, machine: m}
	n.hosts = append(n.hosts, h)
	h.Move(addr, nat)
	return h
}

// Move gives the host another address, and takes the old one away.
func (h *Host) Move(addr netip.Addr, nat *NAT) {
	if h.net.places[h.place] == h {
		delete(h.net.places, h.place)
	}
	h.place = place{nat, addr}
	if other := h.net.places[h.place]; other != nil {
		panic(fmt.Sprintf("simnet: two hosts at %v", addr))
	}
	h.net.places[h.place] = h
}

// Send sends a copy of d from the host. A datagram from an address that the
// host does not have is lost.
func (h *Host) Send(d Datagram) {
	n := h.net
	n.Count.Sent++
	from, nat := d.Local, h.place.nat
	n.trace("send", from, d.Remote, d.Data)
	if from.Addr() != h.place.addr {
		n.drop("no route", &n.Count.NoRoute, from, d.Remote, d.Data)
		return
	}
	if nat != nil && n.places[place{nat, d.Remote.Addr()}] == nil {
		from, nat = nat.out(n.now, from, d.Remote), nil
	}
	n.transmit(nat, from, d.Remote, bytes.Clone(d.Data))
}

// transmit rolls the dice for one datagram on the wire.
func (n *Network) transmit(realm *NAT, from, to netip.AddrPort, data []byte) {
	l := n.Link
	switch {
	case l.MTU > 0 && len(data) > l.MTU:
		n.drop("too long", &n.Count.TooLong, from, to, data)
		return
	case n.Rand.Float64() < l.Loss:
		n.drop("lost", &n.Count.Lost, from, to, data)
		return
	}
	if n.Rand.Float64() < l.Corrupt && len(data) > 0 {
		n.Count.Corrupted++
		data[n.Rand.IntN(len(data))] ^= 1 << n.Rand.IntN(8)
		n.trace("corrupted", from, to, data)
	}
	copies := 1
	if n.Rand.Float64() < l.Duplicate {
		n.Count.Duplicated++
		copies = 2
	}
	for range copies {
		n.At(n.now.Add(n.delay()), func() { n.deliver(realm, from, to, data) })
	}
}

func (n *Network) delay() time.Duration {
	d := n.Link.Delay
	if n.Link.Jitter > 0 {
		d += n.upTo(n.Link.Jitter)
	}
	if n.Rand.Float64() < n.Link.Reorder {
		n.Count.Reordered++
		hold := max(n.Link.Delay, time.Millisecond)
		d += hold + n.upTo(3*hold)
	}
	return d
}

func (n *Network) upTo(d time.Duration) time.Duration {
	return time.Duration(n.Rand.Int64N(int64(d)))
}

// deliver ends a datagram's way: cuts and NATs judge it as it arrives.
func (n *Network) deliver(realm *NAT, from, to netip.AddrPort, data []byte) {
	if n.isCut(from.Addr(), to.Addr()) {
		n.drop("cut", &n.Count.Cut, from, to, data)
		return
	}
	if nat := n.nats[to.Addr()]; nat != nil && realm == nil {
		inside, ok := nat.in(n.now, from, to)
		if !ok {
			n.drop("filtered", &n.Count.Filtered, from, to, data)
			return
		}
		realm, to = nat, inside
	}
	h := n.places[place{realm, to.Addr()}]
	if h == nil {
		n.drop("no route", &n.Count.NoRoute, from, to, data)
		return
	}
	n.Count.Delivered++
	n.trace("deliver", from, to, data)
	// A machine may decrypt in place; a duplicate must not see that.
	h.machine.Receive(n.now, Datagram{Local: to, Remote: from, Data: bytes.Clone(data)})
}

// Cut loses everything that would arrive between a and b, either way, from
// one time until before another. Addresses are those on the public network.
func (n *Network) Cut(from, to time.Time, a, b netip.Prefix) {
	n.cuts = append(n.cuts, cut{from, to, a, b})
}

func (n *Network) isCut(x, y netip.Addr) bool {
	for _, c := range n.cuts {
		if !n.now.Before(c.from) && n.now.Before(c.to) &&
			(c.a.Contains(x) && c.b.Contains(y) || c.a.Contains(y) && c.b.Contains(x)) {
			return true
		}
	}
	return false
}

func (n *Network) drop(event string, counter *int, from, to netip.AddrPort, data []byte) {
	*counter++
	n.trace(event, from, to, data)
}

func (n *Network) trace(event string, from, to netip.AddrPort, data []byte) {
	if n.Trace != nil {
		n.Trace(n.now, event, from, to, data)
	}
}

// At calls f at a time, at once if that has passed.
func (n *Network) At(at time.Time, f func()) {
	if at.Before(n.now) {
		at = n.now
	}
	n.serial++
	heap.Push(&n.events, event{at, n.serial, f})
}

// restless is how often a machine may ask for a timeout at one instant: far
// more than any work list needs, and far less than for ever.
const restless = 10000

// Run lets time pass until the given time: datagrams arrive and timeouts
// happen in order, datagrams first where they coincide. It panics if a machine
// asks for a timeout at the same instant without end.
func (n *Network) Run(until time.Time) {
	same := 0
	for {
		h, due := n.nextTimeout()
		if len(n.events) > 0 && (h == nil || !n.events[0].at.After(due)) {
			if n.events[0].at.After(until) {
				break
			}
			e := heap.Pop(&n.events).(event)
			n.pass(e.at, &same)
			e.do()
			continue
		}
		if h == nil || due.After(until) {
			break
		}
		n.pass(due, &same)
		if same++; same > restless {
			panic(fmt.Sprintf("simnet: the machine at %v asks for a timeout at %v without end", h.place.addr, n.now))
		}
		h.machine.Timeout(n.now)
	}
	n.pass(until, &same)
}

// pass moves the clock, which never goes back.
func (n *Network) pass(to time.Time, same *int) {
	if to.After(n.now) {
		n.now, *same = to, 0
	}
}

func (n *Network) nextTimeout() (next *Host, due time.Time) {
	for _, h := range n.hosts {
		if h.machine.Deadline == nil {
			continue
		}
		if d := h.machine.Deadline(); !d.IsZero() && (next == nil || d.Before(due)) {
			next, due = h, d
		}
	}
	return next, due
}

// event is a call at a time; serial keeps those of one instant in order.
type event struct {
	at     time.Time
	serial uint64
	do     func()
}

type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].serial < e[j].serial
}
func (e *events) Push(x any) { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	(*e)[len(*e)-1] = event{}
	*e = (*e)[:len(*e)-1]
	return last
}

package dataplane

import (
	"sync/atomic"
	"time"
)

// Rate limits the bandwidth of one session: all its Child SAs share one Rate,
// and the Child SA that replaces another takes it over, so that a rekey brings
// no second allowance. It polices: what is above a limit is dropped at once,
// because a queue for each of 100,000 peers would be memory that peers fill.
//
// Each direction is a token bucket in octets of inner packets. The zero value
// limits nothing. All methods are safe for concurrent use; the Take methods
// take no lock and allocate nothing.
type Rate struct {
	in, out atomic.Pointer[bucket] // nil: no limit
}

// Set limits what comes from the peer (in) and what goes to it (out), in octets
// per second; 0 means no limit. It may be called while packets flow. A limit
// that changes begins with its whole burst; one that does not, goes on.
func (r *Rate) Set(in, out uint64) {
	limit(&r.in, in)
	limit(&r.out, out)
}

// TakeIn tells whether a packet of that many octets from the peer is within the
// limit, and counts it if so. now is a monotonic time, the same clock for every
// caller; it may be as coarse as a batch of packets, and callers may disagree
// by that much.
func (r *Rate) TakeIn(now time.Duration, octets int) bool { return r.in.Load().take(now, octets) }

// TakeOut is TakeIn for packets to the peer.
func (r *Rate) TakeOut(now time.Duration, octets int) bool { return r.out.Load().take(now, octets) }

// A burst is what passes at once after a pause. burstTime of the rate is more
// than TCP's retransmission timer, which Linux and others keep at 200 ms at
// least: a sender that lost everything above the limit is silent that long, and
// with a burst of 100 ms a connection gets half of its rate. burstOctets is the
// largest IP packet, which a slow rate must let pass too.
const (
	burstTime   = 300 * time.Millisecond
	burstOctets = 64 << 10
)

// bucket is one direction. A token bucket of constant rate needs no count of
// tokens and no time of the last visit: the instant at which it will be full
// again says both, and fits one atomic word.
type bucket struct {
	rate  uint64 // octets per second
	depth int64  // the burst as time, in ns
	full  atomic.Int64
}

func limit(p *atomic.Pointer[bucket], rate uint64) {
	old := p.Load()
	switch {
	case rate == 0:
		p.Store(nil)
	case old == nil || old.rate != rate:
		p.Store(&bucket{rate: rate, depth: max(int64(burstTime), int64(burstOctets*uint64(time.Second)/rate))})
	}
}

// take is Take of one direction. The price of a packet is rounded up, so that
// the limit is never exceeded; below 1 Gbit/s this costs less than 1 %.
func (b *bucket) take(now time.Duration, octets int) bool {
	if b == nil {
		return true
	}
	price := int64(uint64(octets)*uint64(time.Second)/b.rate) + 1
	for {
		full := b.full.Load()
		next := max(full, int64(now)) + price
		if next > int64(now)+b.depth {
			return false
		}
		if b.full.CompareAndSwap(full, next) {
			return true
		}
	}
}

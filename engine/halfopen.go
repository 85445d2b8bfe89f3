package engine

import (
	"net/netip"
	"sync"

	"sallyport/protocol/ike"
)

// Bounds on sessions that have not proved who they are. One half-open session
// costs a key pair and a few hundred octets, so the bounds are about work that
// is thrown away, not about memory.
const (
	maxHalfOpen          = 8192 // all sources: some 10 s of set-ups at full speed
	maxHalfOpenPerSource = 64   // one IPv4 address or IPv6 /64: an office behind one NAT
	prefixFactor         = 16   // one IPv4 /24 or IPv6 /48 may have so many times the share of a source
)

// halfOpen counts half-open sessions per source and per prefix. Its size is
// bounded because only counted sessions have entries.
type halfOpen struct {
	mu      sync.Mutex
	total   int
	cost    int
	sources map[netip.Prefix]int
}

// source and network are what one holder of addresses usually has: an IPv6
// host chooses freely within its /64.
func source(a netip.Addr) netip.Prefix  { return masked(a, 32, 64) }
func network(a netip.Addr) netip.Prefix { return masked(a, 24, 48) }

func masked(a netip.Addr, v4, v6 int) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := v6
	if a.Is4() {
		bits = v4
	}
	p, _ := a.Prefix(bits)
	return p
}

// begin counts one half-open session; false means a bound is reached.
func (h *halfOpen) begin(s *half, l *Limits) bool {
	src, net := source(s.addr), network(s.addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= l.HalfOpen || h.sources[src] >= l.PerSource ||
		h.sources[net] >= l.PerSource*prefixFactor {
		return false
	}
	if h.sources == nil {
		h.sources = make(map[netip.Prefix]int)
	}
	h.total++
	h.cost += s.cost
	h.sources[src]++
	h.sources[net]++
	return true
}

// end forgets one: it became established or died.
func (h *halfOpen) end(s *half) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total--
	h.cost -= s.cost
	for _, k := range [2]netip.Prefix{source(s.addr), network(s.addr)} {
		if h.sources[k]--; h.sources[k] <= 0 {
			delete(h.sources, k)
		}
	}
}

// load is what the front wants to know. Sources are counted by begin alone,
// because their bounds are configured here.
func (h *halfOpen) load() ike.Load {
	h.mu.Lock()
	defer h.mu.Unlock()
	return ike.Load{Cost: h.cost}
}

func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}

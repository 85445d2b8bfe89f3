package engine

import (
	"net/netip"
	"sync"
)

// Bounds on sessions that have not proved who they are. One half-open session
// costs a key pair and a few hundred octets, so the bound is about work that
// is thrown away, not memory.
const (
	maxHalfOpen          = 8192 // all sources: some 10 s of set-ups at full speed
	maxHalfOpenPerSource = 64   // one IPv4 address or one IPv6 /64: an office behind one NAT
	maxHalfOpenPerPrefix = 1024 // one IPv4 /24 or one IPv6 /48: a carrier's NAT pool
)

// halfOpen counts half-open sessions per source and per prefix. Its size is
// bounded by maxHalfOpen, because only counted sessions have entries.
type halfOpen struct {
	mu      sync.Mutex
	total   int
	sources map[netip.Prefix]int
}

// source and prefix are what one holder of addresses usually has
// (clients-and-protocols: an IPv6 host chooses freely within its /64).
func source(a netip.Addr) netip.Prefix { return masked(a, 32, 64) }
func prefix(a netip.Addr) netip.Prefix { return masked(a, 24, 48) }

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
func (h *halfOpen) begin(a netip.Addr) bool {
	s, p := source(a), prefix(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= maxHalfOpen || h.sources[s] >= maxHalfOpenPerSource || h.sources[p] >= maxHalfOpenPerPrefix {
		return false
	}
	if h.sources == nil {
		h.sources = make(map[netip.Prefix]int)
	}
	h.total++
	h.sources[s]++
	h.sources[p]++
	return true
}

// end forgets one: it became established or died.
func (h *halfOpen) end(a netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total--
	for _, k := range [2]netip.Prefix{source(a), prefix(a)} {
		if h.sources[k]--; h.sources[k] <= 0 {
			delete(h.sources, k)
		}
	}
}

func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}

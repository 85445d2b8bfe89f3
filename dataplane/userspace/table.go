package userspace

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// spiShards is a power of two; at 100,000 SAs a shard holds 25, which is one
// short scan, and a change copies no more than that.
const spiShards = 4096

// spiTable finds an inbound SA by SPI. Readers take no lock: each shard is an
// immutable list behind an atomic pointer. Writers are serialised by the plane.
type spiTable struct {
	shards [spiShards]atomic.Pointer[[]spiEntry]
}

type spiEntry struct {
	spi uint32
	sa  *childSA
}

// shard spreads SPIs whose low or high bits carry a shard number of IKE.
func (t *spiTable) shard(spi uint32) *atomic.Pointer[[]spiEntry] {
	return &t.shards[spi*2654435769>>20]
}

func (t *spiTable) lookup(spi uint32) *childSA {
	list := t.shard(spi).Load()
	if list == nil {
		return nil
	}
	for _, e := range *list {
		if e.spi == spi {
			return e.sa
		}
	}
	return nil
}

func (t *spiTable) insert(sa *childSA) {
	s := t.shard(sa.spiIn)
	var list []spiEntry
	if old := s.Load(); old != nil {
		list = *old
	}
	list = append(slices.Clip(list), spiEntry{sa.spiIn, sa})
	s.Store(&list)
}

func (t *spiTable) remove(spi uint32) {
	s := t.shard(spi)
	old := s.Load()
	if old == nil {
		return
	}
	list := slices.DeleteFunc(slices.Clone(*old), func(e spiEntry) bool { return e.spi == spi })
	if len(list) == 0 {
		s.Store(nil)
		return
	}
	s.Store(&list)
}

// all calls f for every SA.
func (t *spiTable) all(f func(*childSA)) {
	for i := range t.shards {
		if list := t.shards[i].Load(); list != nil {
			for _, e := range *list {
				f(e.sa)
			}
		}
	}
}

// routes finds the Child SA of an outbound packet: by longest prefix of its
// destination, then by the selectors. Several Child SAs may share a prefix
// while one replaces another; the one put in use last is asked first. Readers
// take no lock; writers are serialised by the plane.
type routes struct {
	table atomic.Pointer[bart.Table[[]*childSA]]
}

func newRoutes() *routes {
	r := &routes{}
	r.table.Store(&bart.Table[[]*childSA]{})
	return r
}

// lookup returns the SA whose selectors hold the packet, and what it carries.
// known tells that an SA has a route to its destination, whether or not its
// selectors fit.
func (r *routes) lookup(p *inner) (sa *childSA, g *cargo, known bool) {
	t := r.table.Load()
	list, ok := t.Lookup(p.dst)
	if !ok {
		return nil, nil, false
	}
	if sa, g = pick(list, p); sa != nil {
		return sa, g, true
	}
	// A wider route may belong to an SA whose selectors are wider too.
	for _, list := range t.Supernets(netip.PrefixFrom(p.dst, p.dst.BitLen())) {
		if sa, g = pick(list, p); sa != nil {
			return sa, g, true
		}
	}
	return nil, nil, true
}

func pick(list []*childSA, p *inner) (*childSA, *cargo) {
	for _, sa := range list {
		g := sa.cargo.Load()
		if g != nil && g.remote.match(p.dst, p, p.dstPort) && g.local.match(p.src, p, p.srcPort) {
			return sa, g
		}
	}
	return nil, nil
}

// set takes sa off the routes to some prefixes and puts it on those to others,
// in one step: where both name a prefix, no packet misses it.
func (r *routes) set(sa *childSA, off, on []netip.Prefix) {
	t := r.table.Load()
	for _, p := range off {
		t = t.ModifyPersist(p, func(list []*childSA, _ bool) ([]*childSA, bool) {
			list = without(list, sa)
			return list, len(list) == 0
		})
	}
	for _, p := range on {
		t = t.ModifyPersist(p, func(list []*childSA, _ bool) ([]*childSA, bool) {
			return newestFirst(without(list, sa), sa), false
		})
	}
	r.table.Store(t)
}

// newestFirst inserts sa before those that were put in use earlier: a call that
// opens while one Child SA replaces another must not send by the older one.
func newestFirst(list []*childSA, sa *childSA) []*childSA {
	i := 0
	for i < len(list) && list[i].used > sa.used {
		i++
	}
	return slices.Insert(list, i, sa)
}

func without(list []*childSA, sa *childSA) []*childSA {
	return slices.DeleteFunc(slices.Clone(list), func(s *childSA) bool { return s == sa })
}

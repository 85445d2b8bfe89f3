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
// while one replaces another; the one switched on last is asked first. Readers
// take no lock; writers are serialised by the plane.
type routes struct {
	table atomic.Pointer[bart.Table[[]*childSA]]
}

func newRoutes() *routes {
	r := &routes{}
	r.table.Store(&bart.Table[[]*childSA]{})
	return r
}

// lookup returns the SA whose selectors hold the packet. known tells that an SA
// has a route to its destination, whether or not its selectors fit.
func (r *routes) lookup(p *inner) (sa *childSA, known bool) {
	t := r.table.Load()
	list, ok := t.Lookup(p.dst)
	if !ok {
		return nil, false
	}
	if sa = pick(list, p); sa != nil {
		return sa, true
	}
	// A wider route may belong to an SA whose selectors are wider too.
	for _, list := range t.Supernets(netip.PrefixFrom(p.dst, p.dst.BitLen())) {
		if sa = pick(list, p); sa != nil {
			return sa, true
		}
	}
	return nil, true
}

func pick(list []*childSA, p *inner) *childSA {
	for _, sa := range list {
		if sa.tsRemote.match(p.dst, p, p.dstPort) && sa.tsLocal.match(p.src, p, p.srcPort) {
			return sa
		}
	}
	return nil
}

// use puts sa first on its routes.
func (r *routes) use(sa *childSA) {
	t := r.table.Load()
	for _, p := range sa.tsRemote.prefixes() {
		t = t.ModifyPersist(p, func(list []*childSA, _ bool) ([]*childSA, bool) {
			return append([]*childSA{sa}, without(list, sa)...), false
		})
	}
	r.table.Store(t)
}

// remove takes sa off its routes.
func (r *routes) remove(sa *childSA) {
	t := r.table.Load()
	for _, p := range sa.tsRemote.prefixes() {
		t = t.ModifyPersist(p, func(list []*childSA, _ bool) ([]*childSA, bool) {
			list = without(list, sa)
			return list, len(list) == 0
		})
	}
	r.table.Store(t)
}

func without(list []*childSA, sa *childSA) []*childSA {
	return slices.DeleteFunc(slices.Clone(list), func(s *childSA) bool { return s == sa })
}

package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sallyport/config"
)

// addressPool hands out the inner addresses of one zone, one of each family to
// each device, the same ones every time. A device keeps its addresses while it
// is away; only when the pool is full does the device that has been away for
// longest lose its own.
//
// Safe for concurrent use.
type addressPool struct {
	mu     sync.Mutex
	v4, v6 family
	leases map[string]*lease // by device
}

// family is one address family of a pool; the zero value is "none".
type family struct {
	prefix   netip.Prefix
	unit     int        // bits of what one device gets; 0: an address
	gateway  netip.Addr // first host address: the gateway's own
	last     netip.Addr // last address that may be handed out
	cursor   netip.Addr // last one handed out
	owners   map[netip.Addr]string
	reserved map[netip.Addr]bool // for whom they are fixed, and for nobody else
}

// lease is what a device holds in one zone.
type lease struct {
	IPv4 netip.Addr `json:"ipv4,omitzero"`
	IPv6 netip.Addr `json:"ipv6,omitzero"`
	Used time.Time  `json:"used"` // when a session last took it

	given    time.Time    // to a login whose session is not established yet
	sessions int          // sessions that use it now: two during make-before-break (trap 24)
	leaving  []netip.Addr // given up while sessions use them: nobody's until those are over
}

// errPoolFull is answered with INTERNAL_ADDRESS_FAILURE (RFC 7296, Section 3.15.4).
var errPoolFull = errors.New("gateway: no address is left in the zone's pool and all are in use; give the zone a larger pool")

// errFixedHeld is the same for a device with addresses of its own.
var errFixedHeld = errors.New("gateway: the inner address of its own is in use by a session of another device: disconnect that one (sallyport sessions list), and it gets another")

// errFixedElsewhere is what a change of the pool leaves behind.
var errFixedElsewhere = errors.New("gateway: the inner address of its own is not in the zone's pool; give the user another (sallyport user set), or enrol the device anew")

// newAddressPool takes a prefix of each family; an invalid prefix means none.
// Of IPv6 every device gets a network of so many bits, which its lease names by
// its first address; 0 is one address.
func newAddressPool(v4, v6 netip.Prefix, unit6 int) (*addressPool, error) {
	p := &addressPool{leases: make(map[string]*lease)}
	for _, f := range []struct {
		to     *family
		prefix netip.Prefix
		unit   int
	}{{&p.v4, v4, 0}, {&p.v6, v6, unit6}} {
		if !f.prefix.IsValid() {
			continue
		}
		made, err := newFamily(f.prefix, f.unit)
		if err != nil {
			return nil, err
		}
		*f.to = made
	}
	return p, nil
}

func newFamily(prefix netip.Prefix, unit int) (family, error) {
	prefix = prefix.Masked()
	first := prefix.Addr().Next() // never the network address or the subnet-router anycast
	last := lastOf(prefix)
	if prefix.Addr().Is4() {
		last = last.Prev() // never the broadcast address
	}
	f := family{prefix: prefix, unit: unit, gateway: first, last: last, cursor: first, owners: make(map[netip.Addr]string)}
	if !first.IsValid() || !prefix.Contains(first) || !prefix.Contains(f.next(first)) || last.Compare(first) <= 0 {
		return family{}, fmt.Errorf("gateway: pool %v is too small: it needs an address for the gateway and one for a device", prefix)
	}
	return f, nil
}

// base names what a device gets: its first address.
func (f *family) base(a netip.Addr) netip.Addr {
	if f.unit == 0 || !a.IsValid() {
		return a
	}
	p, _ := a.Prefix(f.unit)
	return p.Addr()
}

// next is what comes after that of a.
func (f *family) next(a netip.Addr) netip.Addr {
	if f.unit == 0 {
		return a.Next()
	}
	return lastOf(netip.PrefixFrom(f.base(a), f.unit)).Next()
}

// lastOf returns the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// restore takes in a stored lease. Addresses that the pool no longer has, or
// that another device holds, are left out: the device gets new ones.
func (p *addressPool) restore(device string, l lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := &lease{Used: l.Used}
	if p.v4.take(l.IPv4, device) {
		kept.IPv4 = l.IPv4
	}
	if p.v6.take(l.IPv6, device) {
		kept.IPv6 = l.IPv6
	}
	p.leases[device] = kept
}

// take reserves a particular address.
func (f *family) take(a netip.Addr, device string) bool {
	if !a.IsValid() || !f.holds(a) {
		return false
	}
	if owner, held := f.owners[a]; held && owner != device {
		return false
	}
	f.owners[a] = device
	return true
}

// holds reports whether the pool may hand out a.
func (f *family) holds(a netip.Addr) bool {
	return f.prefix.IsValid() && f.prefix.Contains(a) && a.Compare(f.gateway) > 0 && a.Compare(f.last) <= 0 && a == f.base(a)
}

// grants reports whether somebody else may choose a for a device: not what is
// fixed for another one.
func (p *addressPool) grants(f *family, a netip.Addr, from part) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.holds(a) && from.fits(a) && !f.reserved[a]
}

// recent is how long after it was leased an address stays with its device
// though no session of it is established yet: longer than any set-up takes.
const recent = 2 * time.Minute

// acquire returns the addresses of a device, and gives it those it has none
// of. changed tells that the lease must be stored: an address was added.
// lost names devices whose stored leases must be deleted.
func (p *addressPool) acquire(device string, from addressing, want4, want6 bool, now time.Time) (got lease, changed bool, lost []string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.leases[device]
	if l == nil {
		l = &lease{}
	}
	for _, w := range []struct {
		want bool
		f    *family
		a    *netip.Addr
		part part
	}{{want4, &p.v4, &l.IPv4, from.v4()}, {want6, &p.v6, &l.IPv6, p.v6.part(from.v6())}} {
		if !w.want || !w.f.prefix.IsValid() {
			continue
		}
		if w.a.IsValid() && !w.part.fits(*w.a) {
			l.leave(w.f, *w.a)
			*w.a, changed = netip.Addr{}, true
		}
		if w.a.IsValid() {
			continue
		}
		a, gone, ok := p.find(w.f, device, w.part, now)
		lost = append(lost, gone...)
		switch {
		case !ok && w.part.fixed.IsValid(): // not the other family alone
			p.keep(device, l)
			err := errFixedHeld
			if !w.f.holds(w.part.fixed) {
				err = errFixedElsewhere
			}
			return lease{}, changed, lost, err
		case !ok:
			continue
		}
		w.f.owners[a] = device
		*w.a, changed = a, true
	}
	if (!want4 || !l.IPv4.IsValid()) && (!want6 || !l.IPv6.IsValid()) {
		p.keep(device, l)
		return lease{}, changed, lost, errPoolFull
	}
	l.Used, l.given = now, now
	p.keep(device, l)
	return *l, changed, lost, nil
}

// addressing is where a device's addresses come from.
type addressing struct {
	within config.Pool   // parts of the pool; an invalid one is all of it
	not    []config.Pool // parts that are for others
	fixed  InnerAddrs    // these and no other
}

// part is where addresses of one family come from.
type part struct {
	within netip.Prefix
	not    []netip.Prefix
	fixed  netip.Addr
}

func (a addressing) v4() part {
	p := part{within: a.within.IPv4, fixed: a.fixed.IPv4}
	for _, n := range a.not {
		p.not = append(p.not, n.IPv4)
	}
	return p
}

func (a addressing) v6() part {
	p := part{within: a.within.IPv6, fixed: a.fixed.IPv6}
	for _, n := range a.not {
		p.not = append(p.not, n.IPv6)
	}
	return p
}

// part is a part with what is fixed as the family names it.
func (f *family) part(p part) part {
	p.fixed = f.base(p.fixed)
	return p
}

// fits tells whether an address is one for a device.
func (p part) fits(a netip.Addr) bool {
	if p.fixed.IsValid() {
		return a == p.fixed
	}
	_, others := p.otherPart(a)
	return (!p.within.IsValid() || p.within.Contains(a)) && !others
}

// otherPart is the part for others that an address lies in.
func (p part) otherPart(a netip.Addr) (netip.Prefix, bool) {
	i := slices.IndexFunc(p.not, func(n netip.Prefix) bool { return n.IsValid() && n.Contains(a) })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return p.not[i], true
}

// find finds an address for a device, and takes it from the one that has been
// away for longest if it must: any device where the part is full, and whoever
// holds it where it is fixed.
func (p *addressPool) find(f *family, device string, from part, now time.Time) (a netip.Addr, lost []string, ok bool) {
	if from.fixed.IsValid() {
		return from.fixed, p.evict(f, from.fixed, device, now), f.holds(from.fixed) && p.idle(f.owners[from.fixed], device, now)
	}
	if a, ok := f.free(from); ok {
		return a, nil, true
	}
	victim := p.longestAway(device, f, from, now.Add(-recent))
	if victim == "" {
		return a, nil, false
	}
	p.drop(victim)
	a, ok = f.free(from)
	return a, []string{victim}, ok
}

// idle tells whether a device has no session and none under way, or is the one
// that asks.
func (p *addressPool) idle(owner, device string, now time.Time) bool {
	l := p.leases[owner]
	return owner == device || l == nil || l.sessions == 0 && now.Sub(l.given) > recent
}

// evict drops whoever holds an address that is another's by right now.
func (p *addressPool) evict(f *family, a netip.Addr, device string, now time.Time) []string {
	owner, held := f.owners[a]
	if !held || owner == device || !p.idle(owner, device, now) {
		return nil
	}
	p.drop(owner)
	return []string{owner}
}

// reserve keeps addresses from being handed out to anybody but whom they are
// fixed for. It replaces what was reserved before.
func (p *addressPool) reserve(fixed []InnerAddrs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.v4.reserved, p.v6.reserved = map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for _, f := range fixed {
		p.v4.reserved[f.IPv4], p.v6.reserved[p.v6.base(f.IPv6)] = true, true
	}
}

// leave gives an address up: at once, or with the last session that may use it.
// Before, whoever got it would get the packets for that session, and it theirs.
func (l *lease) leave(f *family, a netip.Addr) {
	if l.sessions > 0 {
		l.leaving = append(l.leaving, a)
		return
	}
	delete(f.owners, a)
}

// keep files a lease that holds an address.
func (p *addressPool) keep(device string, l *lease) {
	if l.IPv4.IsValid() || l.IPv6.IsValid() {
		p.leases[device] = l
	}
}

// free finds the next address nobody holds, after the last one handed out, so
// that an address comes back into use as late as possible.
func (f *family) free(from part) (netip.Addr, bool) {
	first, last := f.next(f.gateway), f.last
	if from.within.IsValid() && from.within != f.prefix {
		first, last = maxAddr(first, from.within.Masked().Addr()), minAddr(last, lastOf(from.within.Masked()))
	}
	a := f.next(f.cursor)
	for tried := 0; ; a = f.next(a) {
		if !a.IsValid() || a.Compare(last) > 0 || a.Compare(first) < 0 {
			a = first
		}
		if other, ok := from.otherPart(a); ok {
			a = lastOf(other.Masked()) // the loop goes on behind it
		} else if _, held := f.owners[a]; !held && !f.reserved[a] {
			f.cursor = a
			return a, true
		}
		// What was passed over is held or reserved, or a whole part for others: more
		// tries than there are of those, in a round and a part of one, mean that all
		// were looked at.
		if tried++; tried > len(f.owners)+len(f.reserved)+2*len(from.not) {
			return netip.Addr{}, false
		}
	}
}

func maxAddr(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func minAddr(a, b netip.Addr) netip.Addr {
	if b.Less(a) {
		return b
	}
	return a
}

// longestAway returns the device without session that used its lease longest
// ago, and not after latest.
func (p *addressPool) longestAway(except string, f *family, from part, latest time.Time) string {
	var found string
	for device, l := range p.leases {
		a := l.IPv4
		if f == &p.v6 {
			a = l.IPv6
		}
		inside := a.IsValid() && !f.reserved[a] && from.fits(a)
		if l.sessions == 0 && device != except && !l.Used.After(latest) && inside {
			found, latest = device, l.Used
		}
	}
	return found
}

// begin counts a session that is established with the device's addresses.
func (p *addressPool) begin(device string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.leases[device]; l != nil {
		l.sessions++
		l.given = time.Time{}
	}
}

// end is its end; the device keeps its addresses.
func (p *addressPool) end(device string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.leases[device]; l != nil && l.sessions > 0 {
		l.sessions--
		l.Used = now
		if l.sessions == 0 {
			p.freeLeft(l)
		}
	}
}

// freeLeft frees what a lease gave up, unless it has come back to it.
func (p *addressPool) freeLeft(l *lease) {
	for _, a := range l.leaving {
		if a != l.IPv4 && a != l.IPv6 {
			delete(p.v4.owners, a)
			delete(p.v6.owners, a)
		}
	}
	l.leaving = nil
}

// drop frees a device's addresses.
func (p *addressPool) drop(device string) {
	l := p.leases[device]
	if l == nil {
		return
	}
	delete(p.v4.owners, l.IPv4)
	delete(p.v6.owners, l.IPv6)
	delete(p.leases, device)
}

// size and used are for status.
func (p *addressPool) used() (leases, active int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.leases {
		if l.sessions > 0 {
			active++
		}
	}
	return len(p.leases), active
}

// unit6 is what a device of a zone gets of IPv6. On a PPP link it makes its
// addresses itself (RFC 5072, Section 5), some of them at random, so it gets a
// network of its own.
func unit6(z *config.Zone) int {
	if z.Protocol == config.L2TP {
		return 64
	}
	return 0
}

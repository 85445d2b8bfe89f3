package gateway

import (
	"net/netip"
	"sync"
	"time"
)

// arrivals bounds how many set-ups of one source begin in a second, in a table
// of fixed size where sources may share a place. The zero value is ready. It is
// safe for concurrent use.
type arrivals struct {
	mu     sync.Mutex
	second int64
	cells  [1024]uint16
	recent [1024]arrival
}

// arrival is a first message that was let through: what tells it from others is
// where it came from and the cookie that its sender chose.
type arrival struct {
	from   netip.AddrPort
	cookie uint64
	at     time.Time
	copies int
}

const (
	// repeatedFor is how long the copies of a first message count as that one: what
	// a client plans for it (RFC 2408, Section 5.1 leaves that to it).
	repeatedFor = 30 * time.Second
	// maxCopies is more than a client sends in that time, and a network doubles.
	maxCopies = 20
)

// admit counts a first message; false: its source has had its share of this
// second. Copies of one that was let through are let through and not counted:
// clients behind one NAT would use up each other's share.
func (a *arrivals) admit(now time.Time, from netip.AddrPort, cookie uint64, most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := &a.recent[(cookie^uint64(placeOf(from.Addr()))^uint64(from.Port()))%uint64(len(a.recent))]
	if seen.from == from && seen.cookie == cookie && seen.copies < maxCopies && now.Sub(seen.at) < repeatedFor {
		seen.copies++
		return true
	}
	if s := now.Unix(); s != a.second {
		a.second = s
		clear(a.cells[:])
	}
	cell := &a.cells[placeOf(from.Addr())%uint32(len(a.cells))]
	if int(*cell) >= most {
		return false
	}
	*cell++
	*seen = arrival{from: from, cookie: cookie, at: now}
	return true
}

// placeOf is a plain hash of an IPv4 address or an IPv6 /64: who can choose
// sources that collide can as well use one.
func placeOf(a netip.Addr) uint32 {
	b := a.Unmap().As16()
	n := 8
	if a.Unmap().Is4() {
		n = 16
	}
	h := uint32(2166136261)
	for _, c := range b[:n] {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// tally counts by a few fixed names. It is safe for concurrent use.
type tally struct {
	mu sync.Mutex
	by map[string]uint64
}

func (t *tally) note(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = make(map[string]uint64)
	}
	t.by[name]++
}

// counts is a copy.
func (t *tally) counts() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]uint64, len(t.by))
	for k, v := range t.by {
		out[k] = v
	}
	return out
}

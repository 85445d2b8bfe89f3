package gateway

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sallyport/dataplane"
	"sallyport/engine"
	"sallyport/protocol/ike"
	"sallyport/protocol/radius"
)

// live is one established session, as the gateway knows it.
type live struct {
	id        uint64
	session   *engine.Session
	admission *ike.Admission
	pool      *addressPool
	terms     *terms
	zone      *zone
	rate      *dataplane.Rate // of all its Child SAs; nil: no limit
	since     time.Time
	kind      ike.PeerKind
	claim     string // IDi; only tells machines of one user apart

	remote    netip.AddrPort          // changes with MOBIKE; under the table's lock
	children  []uint32                // inbound SPIs; under the table's lock
	before    map[uint32]radius.Usage // of L2TP: what those have carried that are older than the session
	account   *account                // nil: nobody wants one; set under the table's lock
	replacing *time.Timer             // closes it, because a newer session took over
	replaced  bool                    // a newer one has; under the table's lock
}

// user is whose session it is; empty for a certificate of an outside CA.
func (l *live) user() string {
	if l.terms == nil {
		return ""
	}
	return l.terms.user
}

// table holds the established sessions by device. A peer is who it proved to
// be, never where it comes from or what it calls itself: two Windows machines
// that both say "192.168.1.10" are two devices, and a device that moved is
// still one (trap 14).
//
// Its methods are called on event loops and by the control API.
type table struct {
	mu       sync.Mutex
	last     uint64
	devices  map[string][]*live // oldest first
	users    map[string][]*live // likewise, by user
	zones    map[string]int     // sessions by zone
	held     map[string]holding // seats of logins under way
	handover time.Duration      // 0: the constant; tests shorten it
}

// add files a session and returns those of the same device that are there.
func (t *table) add(l *live) (older []*live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.devices == nil {
		t.devices, t.users, t.zones = make(map[string][]*live), make(map[string][]*live), make(map[string]int)
	}
	t.last++
	l.id = t.last
	t.zones[l.admission.Zone]++
	older = slices.Clone(t.devices[l.admission.Device])
	t.devices[l.admission.Device] = append(t.devices[l.admission.Device], l)
	if user := l.user(); user != "" {
		t.users[user] = append(t.users[user], l)
	}
	delete(t.held, l.admission.Device)
	return older
}

// holding is a seat that is kept for a login under way.
type holding struct {
	claim string
	until time.Time
}

// hold keeps a seat for a login, unless a session or another login has it.
func (t *table) hold(device, claim string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.devices[device]) > 0 {
		return false
	}
	if h, held := t.held[device]; held && h.claim != claim && now.Before(h.until) {
		return false
	}
	if t.held == nil {
		t.held = make(map[string]holding)
	}
	if len(t.held) >= maxHeldSeats {
		maps.DeleteFunc(t.held, func(_ string, h holding) bool { return now.After(h.until) })
	}
	if len(t.held) < maxHeldSeats {
		t.held[device] = holding{claim, now.Add(seatHeld)}
	}
	return true
}

// maxHeldSeats bounds what logins that never end leave behind: the number of
// EAP conversations at a time, some times over. Above it two machines of one
// user that log in at once may get one seat, and the later one keeps it.
const maxHeldSeats = 16384

// seats are the newest sessions of a user's seats, of so many.
func (t *table) seats(owner string, most int) (taken []*live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := range most {
		if ls := t.devices[seatName(owner, n)]; len(ls) > 0 {
			taken = append(taken, ls[len(ls)-1])
		}
	}
	return taken
}

// others counts the devices on which a user has sessions, but for one.
func (t *table) others(user, device string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[string]bool{device: true}
	for _, l := range t.users[user] {
		seen[l.admission.Device] = true
	}
	return len(seen) - 1
}

// oldest are the sessions on those devices of a user that are too many now, the
// ones that came first.
func (t *table) oldest(l *live, most int) (out []*live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	newest := map[string]*live{}
	for _, o := range t.users[l.user()] {
		newest[o.admission.Device] = o
	}
	byAge := slices.SortedFunc(maps.Values(newest), func(a, b *live) int { return cmp.Compare(a.id, b.id) })
	for _, o := range byAge[:max(0, len(byAge)-most)] {
		out = append(out, t.devices[o.admission.Device]...)
	}
	return out
}

// remove forgets a session; one that was never filed changes no count.
func (t *table) remove(l *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.id == 0 {
		return
	}
	drop(t.devices, l.admission.Device, l)
	drop(t.users, l.user(), l)
	if t.zones[l.admission.Zone]--; t.zones[l.admission.Zone] == 0 {
		delete(t.zones, l.admission.Zone)
	}
	if l.replacing != nil {
		l.replacing.Stop()
	}
}

// drop takes a session out of one index.
func drop(index map[string][]*live, key string, l *live) {
	rest := slices.DeleteFunc(index[key], func(o *live) bool { return o == l })
	if len(rest) == 0 {
		delete(index, key)
	} else {
		index[key] = rest
	}
}

// update changes what moves in a session under the lock.
func (t *table) update(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// crowded tells whether a device has so many sessions, those that are closing
// included, that it gets no further one.
func (t *table) crowded(device string, allowed int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.devices[device]) >= allowed+maxLeaving
}

// maxLeaving is how many sessions of a device may be on their way out: each
// costs memory until its peer has answered the DELETE or time is up, and a
// device with a bad radio comes back every few seconds.
const maxLeaving = 16

// matching returns the sessions that pick chooses.
func (t *table) matching(pick func(*live) bool) []*live {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*live
	for _, ls := range t.devices {
		for _, l := range ls {
			if pick(l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// byDevice counts sessions by device: theirs, and those that rest on them.
func (t *table) byDevice() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]int, len(t.devices))
	for d, ls := range t.devices {
		out[d] += len(ls)
		for _, l := range ls {
			for _, other := range l.restsOn() {
				out[other]++
			}
		}
	}
	return out
}

// zoneFull tells whether the other clients of a zone have so many sessions that
// a device gets none. Its own do not count: it comes back, and replaces them.
func (t *table) zoneFull(zone, device string, most int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return most > 0 && t.zones[zone]-len(t.devices[device]) >= most
}

// count is the number of sessions and of devices that have one.
func (t *table) count() (sessions, devices int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ls := range maps.Values(t.devices) {
		sessions += len(ls)
	}
	return sessions, len(t.devices)
}

// Make-before-break: a client that authenticates anew keeps its old session
// for seconds, with the same address (trap 24). A session that a newer one
// replaces has so long to end by itself.
const handover = 10 * time.Second

// aliveWithin is how recent a packet must be for a session to count as alive
// when a newer one says that it is the only one (trap 15: Apple's Wi-Fi assist
// keeps two paths and sends INITIAL_CONTACT on both).
const aliveWithin = 5 * time.Second

// replace ends the sessions that a newer one of the same device replaces: at
// once those that its INITIAL_CONTACT disowns and that are silent, after the
// handover those above the number that the zone allows.
func (t *table) replace(older []*live, allowed int, initialContact bool, alive func(*live) bool) {
	excess := len(older) + 1 - allowed
	for i, l := range older {
		switch {
		case initialContact && !alive(l):
			t.supersede(l, "replaced: the device came back and said that its earlier sessions are gone")
		case i < excess:
			t.closeLater(l)
		}
	}
}

func (t *table) closeLater(l *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.replacing == nil {
		l.replacing = time.AfterFunc(cmp.Or(t.handover, handover), func() {
			t.supersede(l, "replaced by a newer session of the same device")
		})
	}
}

// supersede ends a session for a newer one.
func (t *table) supersede(l *live, reason string) {
	t.update(func() { l.replaced = true })
	l.session.Do(ike.CloseSession{Reason: reason})
}

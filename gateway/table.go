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
)

// live is one established session, as the gateway knows it.
type live struct {
	id        uint64
	session   *engine.Session
	admission *ike.Admission
	pool      *addressPool
	terms     *terms
	rate      *dataplane.Rate // of all its Child SAs; nil: no limit
	since     time.Time

	remote    netip.AddrPort // changes with MOBIKE; under the table's lock
	children  []uint32       // inbound SPIs; under the table's lock
	replacing *time.Timer    // closes it, because a newer session took over
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
	handover time.Duration      // 0: the constant; tests shorten it
}

// add files a session and returns those of the same device that are there.
func (t *table) add(l *live) (older []*live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.devices == nil {
		t.devices = make(map[string][]*live)
	}
	t.last++
	l.id = t.last
	older = slices.Clone(t.devices[l.admission.Device])
	t.devices[l.admission.Device] = append(t.devices[l.admission.Device], l)
	return older
}

// remove forgets a session.
func (t *table) remove(l *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	device := l.admission.Device
	rest := slices.DeleteFunc(t.devices[device], func(o *live) bool { return o == l })
	if len(rest) == 0 {
		delete(t.devices, device)
	} else {
		t.devices[device] = rest
	}
	if l.replacing != nil {
		l.replacing.Stop()
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

// byDevice counts sessions by device.
func (t *table) byDevice() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]int, len(t.devices))
	for d, ls := range t.devices {
		out[d] = len(ls)
	}
	return out
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
			l.session.Do(ike.CloseSession{Reason: "replaced: the device came back and said that its earlier sessions are gone"})
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
			l.session.Do(ike.CloseSession{Reason: "replaced by a newer session of the same device"})
		})
	}
}

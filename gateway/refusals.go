package gateway

import (
	"sync"
	"time"

	"sallyport/protocol/ike"
)

// maxRefusals is how many refusals status can show: a screen's worth and the
// history of a bad afternoon, 512 KB at 1 KB each.
const maxRefusals = 512

// refusals is a ring of the last refused exchanges. Anyone can cause one by
// sending a proposal, so it is bounded and repeats of one peer are counted
// instead of filling it.
type refusals struct {
	mu   sync.Mutex
	ring []Refusal
	next int
}

// Refusal is a record with how often it came.
type Refusal struct {
	ike.Record
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
}

// add files a record. new tells that it is not a repeat and worth a log line.
func (r *refusals) add(rec ike.Record) (isNew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ring {
		if same(&r.ring[i].Record, &rec) {
			r.ring[i].Times++
			r.ring[i].Last = rec.Time
			return false
		}
	}
	entry := Refusal{Record: rec, Times: 1, Last: rec.Time}
	if len(r.ring) < maxRefusals {
		r.ring = append(r.ring, entry)
	} else {
		r.ring[r.next] = entry
		r.next = (r.next + 1) % maxRefusals
	}
	return true
}

// same tells that two records are about the same trouble of the same host.
func same(a, b *ike.Record) bool {
	return a.Remote.Addr() == b.Remote.Addr() && a.Stage == b.Stage && a.Notify == b.Notify &&
		a.PeerID == b.PeerID && a.Reason == b.Reason && b.Time.Sub(a.Time) < repeatWithin
}

// repeatWithin is after how long the same trouble is news again.
const repeatWithin = 10 * time.Minute

// list returns the records, newest last.
func (r *refusals) list() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(append([]Refusal(nil), r.ring[r.next:]...), r.ring[:r.next]...)
}

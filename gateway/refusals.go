package gateway

import (
	"fmt"
	"net/netip"
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

	minute int64
	logged int
}

// Refusal is one record of "why did it fail", and how often it came.
type Refusal struct {
	First        time.Time  `json:"first"`
	Last         time.Time  `json:"last"`
	Times        int        `json:"times"`
	Remote       netip.Addr `json:"remote"`
	Client       string     `json:"client"` // kind of software
	Stage        string     `json:"stage"`
	Peer         string     `json:"peer,omitempty"` // its identity as it gave it, quoted
	Offer        []string   `json:"offer,omitempty"`
	Nearest      string     `json:"nearest,omitempty"`    // our closest acceptable suite
	Difference   []string   `json:"difference,omitempty"` // which transforms differ
	Notify       string     `json:"notify"`
	ByPeer       bool       `json:"by_peer"`
	Reason       string     `json:"reason"`
	Fix          string     `json:"fix,omitempty"`
	WindowsError int        `json:"windows_error,omitempty"`
}

func newRefusal(r ike.Record) Refusal {
	return Refusal{
		First: r.Time, Last: r.Time, Times: 1, Remote: r.Remote.Addr(),
		Client: fmt.Sprint(r.PeerKind), Stage: fmt.Sprint(r.Stage), Peer: r.PeerID,
		Offer: r.Offer, Nearest: r.Nearest, Difference: r.Difference, Notify: r.Notify.String(),
		ByPeer: r.ByPeer, Reason: r.Reason, Fix: r.Fix, WindowsError: r.WindowsError,
	}
}

// add files a record. isNew tells that it is not a repeat and worth a log line.
func (r *refusals) add(record ike.Record) (isNew bool) {
	entry := newRefusal(record)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ring {
		if same(&r.ring[i], &entry) {
			r.ring[i].Times++
			r.ring[i].Last = entry.Last
			return false
		}
	}
	if len(r.ring) < maxRefusals {
		r.ring = append(r.ring, entry)
	} else {
		r.ring[r.next] = entry
		r.next = (r.next + 1) % maxRefusals
	}
	return true
}

// same tells that two records are about the same trouble of the same host.
func same(a, b *Refusal) bool {
	return a.Remote == b.Remote && a.Stage == b.Stage && a.Notify == b.Notify &&
		a.Peer == b.Peer && a.Reason == b.Reason && b.First.Sub(a.First) < repeatWithin
}

// repeatWithin is after how long the same trouble is news again.
const repeatWithin = 10 * time.Minute

// list returns the records, newest last.
func (r *refusals) list() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(append([]Refusal(nil), r.ring[r.next:]...), r.ring[:r.next]...)
}

// maxRefusalLines bounds what strangers can write into the log in a minute.
const maxRefusalLines = 60

// toLog counts the log lines of this minute.
func (r *refusals) toLog(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := now.Unix() / 60; m != r.minute {
		r.minute, r.logged = m, 0
	}
	r.logged++
	return r.logged
}

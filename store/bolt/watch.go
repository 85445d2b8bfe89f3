package bolt

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"sallyport/store"
)

// What a watcher may still ask for. Memory for the past is bounded by these two
// and not by the number or the slowness of watchers: a watcher is only a
// position in the history.
const (
	maxHistory       = 1 << 14 // revisions: a storm of 16,000 logins while a watcher sleeps
	maxHistoryOctets = 16 << 20
)

// history keeps the latest updates, one for each revision from oldest on.
type history struct {
	mu      sync.Mutex
	oldest  int64 // revision of updates[0], or the next one when there is none
	updates []store.Update
	octets  int
	more    chan struct{} // closed when updates arrive
}

func newHistory(next int64) *history {
	return &history{oldest: next, more: make(chan struct{})}
}

// next is the revision that the next change will get.
func (h *history) next() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.oldest + int64(len(h.updates))
}

func (h *history) add(updates []store.Update) {
	if len(updates) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range updates {
		h.updates = append(h.updates, u)
		h.octets += size(u)
	}
	for len(h.updates) > maxHistory || h.octets > maxHistoryOctets {
		h.octets -= size(h.updates[0])
		h.updates[0] = store.Update{} // the array behind the slice lives on
		h.updates = h.updates[1:]
		h.oldest++
	}
	close(h.more)
	h.more = make(chan struct{})
}

func size(u store.Update) (n int) {
	for _, e := range u.Events {
		n += len(e.KV.Key) + len(e.KV.Value)
	}
	return n
}

// since returns the updates from a revision on, and a channel that is closed
// when there are more.
func (h *history) since(from int64) ([]store.Update, <-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if from < h.oldest {
		return nil, nil, &store.FellBehindError{Wanted: from, Oldest: h.oldest}
	}
	// A small step at a time: what a watcher has not been given yet is not kept
	// alive by it.
	const step = 64
	i := min(from-h.oldest, int64(len(h.updates)))
	j := min(i+step, int64(len(h.updates)))
	return append([]store.Update(nil), h.updates[i:j]...), h.more, nil
}

// follow sends the updates of prefix to c until ctx ends, the store closes or
// the watcher has fallen behind.
func (h *history) follow(ctx context.Context, closing <-chan struct{}, prefix string, from int64, c chan<- store.Update) {
	send := func(u store.Update) bool {
		select {
		case c <- u:
			return true
		case <-ctx.Done():
		case <-closing:
		}
		return false
	}
	for {
		updates, more, err := h.since(from)
		if err != nil {
			send(store.Update{Err: err})
			return
		}
		for _, u := range updates {
			if u.Revision < from {
				continue
			}
			from = u.Revision + 1
			if u = only(u, prefix); len(u.Events) > 0 && !send(u) {
				return
			}
		}
		if len(updates) > 0 {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		case <-closing:
			return
		}
	}
}

// only is the part of u that a watcher of prefix sees, with values of its own.
func only(u store.Update, prefix string) store.Update {
	mine := store.Update{Revision: u.Revision}
	for _, e := range u.Events {
		if strings.HasPrefix(e.KV.Key, prefix) {
			e.KV.Value = bytes.Clone(e.KV.Value)
			mine.Events = append(mine.Events, e)
		}
	}
	return mine
}

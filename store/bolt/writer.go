package bolt

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"sallyport/store"
)

const (
	// maxBatch writes share one fsync: at 10 ms for a slow disk's fsync that is
	// 25,000 writes per second, more than a login storm makes.
	maxBatch = 256
	// maxQueue writes may wait; the next caller blocks. It is one batch, so
	// that the next one is complete when the fsync of the last is done.
	maxQueue = maxBatch
)

// write is one caller's change on its way through the writer.
type write struct {
	apply func(*tx) error // changes nothing when it returns an error
	after func()          // after the commit, before the caller is told
	err   error
	done  chan struct{}
}

// errUnchanged rolls back a bbolt transaction in which nothing was written.
var errUnchanged = errors.New("unchanged")

// write hands a change to the writer and waits for its fsync.
func (s *Store) write(ctx context.Context, apply func(*tx) error, after func()) error {
	w := &write{apply: apply, after: after, done: make(chan struct{})}
	if err := s.enqueue(ctx, w); err != nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) enqueue(ctx context.Context, w *write) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.queue <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writer is the only goroutine that writes. It ends when the queue is closed
// and empty.
func (s *Store) writer() {
	for w := range s.queue {
		s.commit(s.gather(w))
	}
}

// gather takes what else is waiting, without waiting for more: an idle gateway
// pays one fsync of delay, a busy one shares it.
func (s *Store) gather(first *write) []*write {
	batch := []*write{first}
	for len(batch) < maxBatch {
		select {
		case w, ok := <-s.queue:
			if !ok {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

func (s *Store) commit(batch []*write) {
	var updates []store.Update
	err := guard(s.path, func() error {
		return s.db.Update(func(b *bbolt.Tx) error {
			x := open(s.path, b)
			for _, w := range batch {
				w.err = w.apply(x)
			}
			updates = x.updates
			return x.finish()
		})
	})
	switch {
	case err == nil:
		s.secondHeader()
		s.history.add(updates)
	case errors.Is(err, errUnchanged):
	default:
		for _, w := range batch {
			w.err = fmt.Errorf("store: %s: not written: %w", s.path, err)
		}
	}
	for _, w := range batch {
		if w.err == nil && w.after != nil {
			w.after()
		}
		close(w.done)
	}
}

// secondHeader commits the same state once more. bbolt keeps two headers, and
// when the newer one is damaged it falls back on the older without a word: that
// would forget a revocation that was acknowledged. So both lead to what we
// acknowledge. If this fails, the first commit still stands.
func (s *Store) secondHeader() {
	guard(s.path, func() error { return s.db.Update(func(*bbolt.Tx) error { return nil }) })
}

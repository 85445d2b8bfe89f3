package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sallyport/store"
)

// Clock is the time that leases live by. Tests bring their own.
type Clock interface {
	Now() time.Time
	At(t time.Time) <-chan time.Time // receives once, when Now has reached t
}

type wallClock struct{}

func (wallClock) Now() time.Time                  { return time.Now() }
func (wallClock) At(t time.Time) <-chan time.Time { return time.After(time.Until(t)) }

const (
	// expiryGrain is how late a lease may end: leases that end within it are
	// looked for once, so that 100,000 of them cost 10 scans per second at most.
	expiryGrain = 100 * time.Millisecond
	// expiryRetry is the pause after a failed write, on a full disk for example.
	expiryRetry = time.Second
)

// leases are the deadlines of the leases in the file.
type leases struct {
	mu    sync.Mutex
	byID  map[store.LeaseID]*lease
	newer chan struct{} // has an element when a lease was added
}

type lease struct {
	ttl      time.Duration
	deadline time.Time
	ended    bool // its deletion is on its way; KeepAlive comes too late
}

func newLeases() *leases {
	return &leases{byID: make(map[store.LeaseID]*lease), newer: make(chan struct{}, 1)}
}

func (l *leases) add(id store.LeaseID, ttl time.Duration, now time.Time) {
	l.mu.Lock()
	l.byID[id] = &lease{ttl: ttl, deadline: now.Add(ttl)}
	l.mu.Unlock()
	select {
	case l.newer <- struct{}{}:
	default:
	}
}

func (l *leases) remove(id store.LeaseID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
}

func (l *leases) keepAlive(id store.LeaseID, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byID[id]
	if e == nil || e.ended || !now.Before(e.deadline) {
		return store.ErrLeaseNotFound
	}
	e.deadline = now.Add(e.ttl)
	return nil
}

// due marks and returns the leases that have ended, and the next deadline.
func (l *leases) due(now time.Time) (ended []store.LeaseID, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.byID {
		switch {
		case !now.Before(e.deadline):
			e.ended = true
			ended = append(ended, id)
		case next.IsZero() || e.deadline.Before(next):
			next = e.deadline
		}
	}
	return ended, next
}

// Grant implements [store.Store].
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.LeaseID, error) {
	if ttl < store.MinTTL {
		return 0, &store.RequestError{Reason: fmt.Sprintf("TTL %v is under the minimum of %v", ttl, store.MinTTL)}
	}
	var id store.LeaseID
	err := s.write(ctx, func(x *tx) (err error) {
		id, err = x.grant(int64(ttl))
		return err
	}, func() { s.leases.add(id, ttl, s.clock.Now()) })
	if err != nil {
		return 0, err
	}
	return id, nil
}

// KeepAlive implements [store.Store]. It writes nothing.
func (s *Store) KeepAlive(ctx context.Context, id store.LeaseID) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.leases.keepAlive(id, s.clock.Now())
}

// Revoke implements [store.Store].
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	return s.write(ctx,
		func(x *tx) error { return x.revoke(id) },
		func() { s.leases.remove(id) })
}

// expire ends leases at their deadlines until the store closes.
func (s *Store) expire() {
	for {
		now := s.clock.Now()
		ended, next := s.leases.due(now)
		if err := s.end(ended); err != nil {
			next = now.Add(expiryRetry)
		}
		if soonest := now.Add(expiryGrain); !next.IsZero() && next.Before(soonest) {
			next = soonest
		}
		var wake <-chan time.Time
		if !next.IsZero() {
			wake = s.clock.At(next)
		}
		select {
		case <-wake:
		case <-s.leases.newer:
		case <-s.closing:
			return
		}
	}
}

// end revokes leases in one write: a gateway's worth of sessions may end at
// once.
func (s *Store) end(ids []store.LeaseID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.write(context.Background(), func(x *tx) error {
		for _, id := range ids {
			// It may have been revoked while it was on its way here.
			if err := x.revoke(id); err != nil && !errors.Is(err, store.ErrLeaseNotFound) {
				return err
			}
		}
		return nil
	}, func() {
		for _, id := range ids {
			s.leases.remove(id)
		}
	})
}

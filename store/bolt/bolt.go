// Package bolt is the embedded store of a single gateway: the store contract on
// one bbolt file.
//
// A write is acknowledged after its fsync. Writes that arrive together share
// one fsync, so many waiting callers cost little more than one. kill -9 or a
// power loss at any moment loses nothing that was acknowledged. Each record has
// a checksum, and the whole file is checked when it is opened: a damaged file
// is refused and never written to.
package bolt

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sallyport/store"
)

// Store is an open state file. It implements [store.Store].
type Store struct {
	path    string
	db      *bbolt.DB
	clock   Clock
	history *history
	leases  *leases

	queue   chan *write
	closing chan struct{}  // closed first: watches and expiry end
	running sync.WaitGroup // watches, expiry, writer

	mu     sync.RWMutex // held for reading while a write is put into queue
	closed bool
}

var _ store.Store = (*Store)(nil)

// The buckets of the file.
var (
	bucketKV        = []byte("kv")        // key -> record
	bucketLeases    = []byte("leases")    // lease -> TTL; its sequence makes lease numbers
	bucketLeaseKeys = []byte("leasekeys") // lease, key -> nothing
	bucketMeta      = []byte("meta")      // format, revision
	keyFormat       = []byte("format")
	keyRevision     = []byte("revision")
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, r store.Range) (store.Page, error) {
	if err := errors.Join(ctx.Err(), store.CheckRange(r)); err != nil {
		return store.Page{}, err
	}
	var page store.Page
	err := guard(s.path, func() error {
		return s.db.View(func(b *bbolt.Tx) (err error) {
			page, err = open(s.path, b).read(r)
			return err
		})
	})
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		err = store.ErrClosed
	}
	return page, err
}

// Txn implements [store.Store].
func (s *Store) Txn(ctx context.Context, t store.Txn) (store.Result, error) {
	if err := store.CheckTxn(t); err != nil {
		return store.Result{}, err
	}
	var result store.Result
	err := s.write(ctx, func(x *tx) (err error) {
		result, err = x.txn(t)
		return err
	}, nil)
	if err != nil {
		return store.Result{}, err
	}
	return result, nil
}

// Watch implements [store.Store].
func (s *Store) Watch(ctx context.Context, prefix string, from int64) (<-chan store.Update, error) {
	if err := store.CheckRange(store.Prefix(prefix)); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	if from <= 0 {
		from = s.history.next()
	}
	c := make(chan store.Update)
	s.running.Go(func() {
		defer close(c)
		s.history.follow(ctx, s.closing, prefix, from, c)
	})
	return c, nil
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.closing)
	close(s.queue)
	s.mu.Unlock()
	s.running.Wait()
	return s.db.Close()
}

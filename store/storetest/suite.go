package storetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"sallyport/store"
)

type suite struct {
	*testing.T
	Engine
	ctx context.Context
}

func (s *suite) put(key, value string) (revision int64) {
	s.Helper()
	return s.txn(store.Txn{Then: []store.Op{store.Put{Key: key, Value: []byte(value)}}}).Revision
}

func (s *suite) putLease(key string, id store.LeaseID) {
	s.Helper()
	s.txn(store.Txn{Then: []store.Op{store.Put{Key: key, Lease: id}}})
}

func (s *suite) txn(t store.Txn) store.Result {
	s.Helper()
	r, err := s.Txn(s.ctx, t)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *suite) get(key string) store.Page {
	s.Helper()
	return s.read(store.Key(key))
}

func (s *suite) read(r store.Range) store.Page {
	s.Helper()
	p, err := s.Get(s.ctx, r)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *suite) grant(ttl time.Duration) store.LeaseID {
	s.Helper()
	id, err := s.Grant(s.ctx, ttl)
	if err != nil {
		s.Fatal(err)
	}
	return id
}

func (s *suite) watch(prefix string, from int64) <-chan store.Update {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	s.Cleanup(cancel)
	c, err := s.Watch(ctx, prefix, from)
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func (s *suite) next(c <-chan store.Update) store.Update {
	s.Helper()
	select {
	case u, ok := <-c:
		if !ok || u.Err != nil {
			s.Fatalf("the watch ended: %v", u.Err)
		}
		return u
	case <-time.After(patience):
		s.Fatal("no update came")
	}
	return store.Update{}
}

func (s *suite) mustClose(c <-chan store.Update) {
	s.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, ok := <-c:
			if !ok {
				return
			}
		case <-deadline:
			s.Fatal("the watch did not end")
		}
	}
}

func keys(p store.Page) (names []string) {
	for _, kv := range p.KVs {
		names = append(names, kv.Key)
	}
	return names
}

func same(a, b store.KV) bool {
	return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && a.CreateRevision == b.CreateRevision &&
		a.ModRevision == b.ModRevision && a.Version == b.Version && a.Lease == b.Lease
}

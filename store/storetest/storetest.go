// Package storetest is the conformance suite of the store contract: what one
// engine does, every engine does.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/store"
)

// Engine is an open store under test. Its store is empty; the test closes it.
type Engine struct {
	store.Store
	Advance func(time.Duration) // lets that much time pass for leases
}

// patience is how long a test waits for what must happen soon.
const patience = 10 * time.Second

// Run checks an engine. open is called once for each test and may call
// t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Engine) {
	for _, c := range []struct {
		name string
		f    func(*suite)
	}{
		{"a key that is put can be read with its history", putAndGet},
		{"a prefix is read in order, page by page", readPrefix},
		{"a transaction happens as a whole or not at all", atomicity},
		{"every comparison holds and fails as in etcd", comparisons},
		{"a failed transaction answers with the else ranges", elseRanges},
		{"the revision counts changes and nothing else", revisions},
		{"a deleted key begins a new history", deleteAndPutAgain},
		{"bad requests change nothing", badRequests},
		{"values belong to their receivers", valuesAreCopies},
		{"a lease ends with its keys", leaseExpires},
		{"a lease that is kept alive does not end", keepAlive},
		{"a revoked lease takes its keys along", revoke},
		{"a key follows its last lease", leaseMoves},
		{"unknown leases are refused", unknownLeases},
		{"a watch sees every change of its prefix in order", watchOrder},
		{"a watch from a revision has no gap", watchFromRevision},
		{"a watch sees one update for each transaction", watchTransaction},
		{"a slow watcher does not stop writers", slowWatcher},
		{"watches end with their context", watchEnds},
		{"exactly one of many competing writers wins", competition},
		{"a read sees what was acknowledged", readYourWrites},
		{"a closed store refuses", closed},
		{"an ended context is respected", endedContext},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			e := open(t)
			defer e.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
			defer cancel()
			c.f(&suite{T: t, Engine: e, ctx: ctx})
		})
	}
}

func putAndGet(s *suite) {
	r1 := s.put("/a/x", "1")
	r2 := s.put("/a/x", "2")
	s.put("/a/y", "3")
	kv, ok := s.get("/a/x").First()
	want := store.KV{Key: "/a/x", Value: []byte("2"), CreateRevision: r1, ModRevision: r2, Version: 2}
	if !ok || !same(kv, want) {
		s.Errorf("got %+v, want %+v", kv, want)
	}
	if p := s.get("/a"); len(p.KVs) != 0 {
		s.Errorf("Get of /a found %+v", p.KVs)
	}
	s.put("/empty", "")
	if kv, ok := s.get("/empty").First(); !ok || len(kv.Value) != 0 {
		s.Errorf("an empty value came back as %+v, %v", kv, ok)
	}
}

func readPrefix(s *suite) {
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("/p/%02d", i)
		want = append(want, key)
		s.put(key, key)
	}
	s.put("/p", "outside")
	s.put("/q/0", "outside")
	if got := keys(s.read(store.Prefix("/p/"))); !slices.Equal(got, want) {
		s.Errorf("prefix: %v", got)
	}
	var got []string
	r := store.Range{Key: "/p/", Prefix: true, Limit: 10}
	for {
		p := s.read(r)
		if len(p.KVs) > r.Limit {
			s.Fatalf("page of %d keys, limit %d", len(p.KVs), r.Limit)
		}
		got = append(got, keys(p)...)
		if !p.More {
			break
		}
		r.After = got[len(got)-1]
	}
	if !slices.Equal(got, want) {
		s.Errorf("page by page: %v", got)
	}
	if p := s.read(store.Range{Key: "/p/", Prefix: true, Limit: 25}); p.More {
		s.Error("a limit that is just reached says that there is more")
	}
	if p := s.read(store.Range{Key: "/p/", Prefix: true, After: "/p/24"}); len(p.KVs) != 0 {
		s.Errorf("after the last key: %v", keys(p))
	}
}

func atomicity(s *suite) {
	s.put("/pool/1", "free")
	take := store.Txn{
		If:   []store.Compare{store.Absent("/lease/1"), store.ValueIs("/pool/1", []byte("free"))},
		Then: []store.Op{store.Put{Key: "/pool/1", Value: []byte("taken")}, store.Put{Key: "/lease/1", Value: []byte("a")}, store.Delete{Key: "/wish/1"}},
	}
	first, second := s.txn(take), s.txn(take)
	if !first.Succeeded || second.Succeeded {
		s.Fatalf("taken by first: %v, by second: %v", first.Succeeded, second.Succeeded)
	}
	pool, _ := s.get("/pool/1").First()
	lease, _ := s.get("/lease/1").First()
	if pool.ModRevision != first.Revision || lease.ModRevision != first.Revision {
		s.Errorf("changes of one transaction have revisions %d and %d, want %d", pool.ModRevision, lease.ModRevision, first.Revision)
	}
	// A lease that does not exist fails the whole transaction.
	_, err := s.Txn(s.ctx, store.Txn{Then: []store.Op{store.Put{Key: "/half"}, store.Put{Key: "/other", Lease: 4711}}})
	if !errors.Is(err, store.ErrLeaseNotFound) {
		s.Errorf("unknown lease: %v", err)
	}
	if p := s.get("/half"); len(p.KVs) != 0 {
		s.Error("half of a failed transaction was applied")
	}
}

func comparisons(s *suite) {
	s.put("/k", "a")
	s.put("/k", "m")
	kv, _ := s.get("/k").First()
	number := func(key string, target store.Target, is store.Relation, n int64) store.Compare {
		return store.Compare{Key: key, Target: target, Is: is, Number: n}
	}
	value := func(is store.Relation, v string) store.Compare {
		return store.Compare{Key: "/k", Target: store.Value, Is: is, Value: []byte(v)}
	}
	for _, c := range []struct {
		cond store.Compare
		want bool
	}{
		{store.Present("/k"), true}, {store.Absent("/k"), false},
		{store.Present("/none"), false}, {store.Absent("/none"), true},
		{store.Unchanged(kv), true}, {store.Unchanged(store.KV{Key: "/k", ModRevision: kv.CreateRevision}), false},
		{number("/k", store.CreateRevision, store.Equal, kv.CreateRevision), true},
		{number("/k", store.ModRevision, store.Greater, kv.CreateRevision), true},
		{number("/k", store.ModRevision, store.Less, kv.CreateRevision), false},
		{number("/k", store.Version, store.Equal, 2), true}, {number("/k", store.Version, store.NotEqual, 2), false},
		{number("/none", store.Version, store.Equal, 0), true},
		{value(store.Equal, "m"), true}, {value(store.Equal, "a"), false},
		{value(store.NotEqual, "a"), true}, {value(store.Less, "z"), true}, {value(store.Greater, "z"), false},
		{store.ValueIs("/none", nil), false},
		{store.Compare{Key: "/none", Target: store.Value, Is: store.NotEqual, Value: []byte("x")}, false},
	} {
		if got := s.txn(store.Txn{If: []store.Compare{c.cond}}).Succeeded; got != c.want {
			s.Errorf("%+v holds: %v, want %v", c.cond, got, c.want)
		}
	}
	if s.txn(store.Txn{If: []store.Compare{store.Present("/k"), store.Absent("/k")}}).Succeeded {
		s.Error("a transaction with one failing condition succeeded")
	}
}

func elseRanges(s *suite) {
	s.put("/u/1", "a")
	s.put("/u/2", "b")
	r := s.txn(store.Txn{If: []store.Compare{store.Absent("/u/1")}, Then: []store.Op{store.Put{Key: "/u/1"}}, Else: []store.Range{store.Key("/u/1"), store.Prefix("/u/"), store.Key("/none")}})
	if r.Succeeded || len(r.Else) != 3 {
		s.Fatalf("got %+v", r)
	}
	if a, b, c := keys(r.Else[0]), keys(r.Else[1]), keys(r.Else[2]); len(a) != 1 || len(b) != 2 || len(c) != 0 {
		s.Errorf("else ranges: %v, %v, %v", a, b, c)
	}
	if r := s.txn(store.Txn{If: []store.Compare{store.Present("/u/1")}, Else: []store.Range{store.Key("/u/1")}}); len(r.Else) != 0 {
		s.Error("a transaction that succeeded answered with its else ranges")
	}
}

func revisions(s *suite) {
	before := s.get("/a").Revision
	if before < 1 {
		s.Fatalf("an empty store has revision %d; there must be one to watch from", before)
	}
	same := func(what string, now int64) {
		s.Helper()
		if now != before {
			s.Errorf("%s moved the revision from %d to %d", what, before, now)
		}
	}
	same("deleting nothing", s.txn(store.Txn{Then: []store.Op{store.Delete{Key: "/a"}}}).Revision)
	same("a failed comparison", s.txn(store.Txn{If: []store.Compare{store.Present("/a")}, Then: []store.Op{store.Put{Key: "/a"}}}).Revision)
	same("an empty transaction", s.txn(store.Txn{}).Revision)
	lease := s.grant(time.Hour)
	same("a grant", s.get("/a").Revision)
	if err := s.Revoke(s.ctx, lease); err != nil {
		s.Fatal(err)
	}
	same("revoking a lease without keys", s.get("/a").Revision)
	if r := s.txn(store.Txn{Then: []store.Op{store.Put{Key: "/a"}, store.Put{Key: "/b"}}}); r.Revision != before+1 {
		s.Errorf("a transaction of two puts moved the revision from %d to %d", before, r.Revision)
	}
}

func deleteAndPutAgain(s *suite) {
	s.put("/d/a", "1")
	s.put("/d/b", "1")
	s.put("/e", "1")
	s.txn(store.Txn{Then: []store.Op{store.Delete{Key: "/d/", Prefix: true}, store.Delete{Key: "/d/a"}}})
	if p := s.read(store.Prefix("/")); len(p.KVs) != 1 {
		s.Errorf("after the deletion: %v", keys(p))
	}
	r := s.put("/d/a", "2")
	kv, _ := s.get("/d/a").First()
	if kv.CreateRevision != r || kv.Version != 1 {
		s.Errorf("after delete and put: %+v, want a new history at %d", kv, r)
	}
}

func badRequests(s *suite) {
	before := s.get("/x").Revision
	many := make([]store.Op, store.MaxOps+1)
	for i := range many {
		many[i] = store.Put{Key: fmt.Sprintf("/m/%d", i)}
	}
	for name, t := range map[string]store.Txn{
		"a key without slash":    {Then: []store.Op{store.Put{Key: "x"}}},
		"an empty key":           {Then: []store.Op{store.Put{}}},
		"a long key":             {Then: []store.Op{store.Put{Key: "/" + strings.Repeat("x", store.MaxKey)}}},
		"a large value":          {Then: []store.Op{store.Put{Key: "/x", Value: make([]byte, store.MaxValue+1)}}},
		"large values":           {Then: []store.Op{store.Put{Key: "/x", Value: make([]byte, store.MaxValue/2)}, store.Put{Key: "/y", Value: make([]byte, store.MaxValue/2)}}},
		"many operations":        {Then: many},
		"two puts of one key":    {Then: []store.Op{store.Put{Key: "/x"}, store.Put{Key: "/x"}}},
		"put and delete":         {Then: []store.Op{store.Put{Key: "/x"}, store.Delete{Key: "/x"}}},
		"put and delete prefix":  {Then: []store.Op{store.Delete{Key: "/", Prefix: true}, store.Put{Key: "/x"}}},
		"an empty operation":     {Then: []store.Op{nil}},
		"an empty comparison":    {If: []store.Compare{{Key: "/x"}}},
		"a comparison of no key": {If: []store.Compare{store.Absent("")}},
		"an empty else range":    {Else: []store.Range{{}}},
	} {
		var bad *store.RequestError
		if _, err := s.Txn(s.ctx, t); !errors.As(err, &bad) {
			s.Errorf("%s: error %v, want *RequestError", name, err)
		}
	}
	var bad *store.RequestError
	if _, err := s.Get(s.ctx, store.Range{Key: "/x", Limit: 3}); !errors.As(err, &bad) {
		s.Errorf("a limit without prefix: %v", err)
	}
	if _, err := s.Grant(s.ctx, time.Millisecond); !errors.As(err, &bad) {
		s.Errorf("a TTL of a millisecond: %v", err)
	}
	if p := s.read(store.Prefix("/")); p.Revision != before || len(p.KVs) != 0 {
		s.Errorf("bad requests left %v", keys(p))
	}
}

func valuesAreCopies(s *suite) {
	watch := s.watch("/v", 0)
	mine := []byte("abc")
	s.txn(store.Txn{Then: []store.Op{store.Put{Key: "/v", Value: mine}}})
	mine[0] = 'X'
	s.next(watch).Events[0].KV.Value[0] = 'Y'
	kv, _ := s.get("/v").First()
	kv.Value[1] = 'Z'
	if kv, _ := s.get("/v").First(); string(kv.Value) != "abc" {
		s.Errorf("the stored value was changed from outside to %q", kv.Value)
	}
	if u := s.next(s.watch("/v", kv.ModRevision)); string(u.Events[0].KV.Value) != "abc" {
		s.Errorf("the history was changed from outside to %q", u.Events[0].KV.Value)
	}
}

func leaseExpires(s *suite) {
	short, long := s.grant(5*time.Second), s.grant(time.Hour)
	s.putLease("/s/1", short)
	s.putLease("/s/2", short)
	s.putLease("/s/3", long)
	s.put("/s/4", "no lease")
	watch := s.watch("/s/", 0)
	s.Advance(10 * time.Second)
	u := s.next(watch)
	if len(u.Events) != 2 || !u.Events[0].Deleted || !u.Events[1].Deleted {
		s.Fatalf("the end of a lease with two keys gave %+v", u)
	}
	if got := keys(s.read(store.Prefix("/s/"))); !slices.Equal(got, []string{"/s/3", "/s/4"}) {
		s.Errorf("left after expiry: %v", got)
	}
	if err := s.KeepAlive(s.ctx, short); !errors.Is(err, store.ErrLeaseNotFound) {
		s.Errorf("KeepAlive of an expired lease: %v", err)
	}
	if _, err := s.Txn(s.ctx, store.Txn{Then: []store.Op{store.Put{Key: "/s/5", Lease: short}}}); !errors.Is(err, store.ErrLeaseNotFound) {
		s.Errorf("put with an expired lease: %v", err)
	}
}

func keepAlive(s *suite) {
	kept, marker := s.grant(10*time.Second), s.grant(15*time.Second)
	s.putLease("/kept", kept)
	s.putLease("/marker", marker)
	watch := s.watch("/", 0)
	for range 3 {
		s.Advance(6 * time.Second)
		if err := s.KeepAlive(s.ctx, kept); err != nil {
			s.Fatalf("KeepAlive: %v", err)
		}
	}
	if u := s.next(watch); u.Events[0].KV.Key != "/marker" {
		s.Fatalf("deleted: %+v, want only /marker", u)
	}
	if len(s.get("/kept").KVs) != 1 {
		s.Error("the key of a lease that was kept alive is gone")
	}
	s.Advance(11 * time.Second)
	if u := s.next(watch); u.Events[0].KV.Key != "/kept" {
		s.Errorf("deleted: %+v, want /kept", u)
	}
}

func revoke(s *suite) {
	lease := s.grant(time.Hour)
	for i := range 10 {
		s.putLease(fmt.Sprintf("/r/%d", i), lease)
	}
	watch := s.watch("/r/", 0)
	if err := s.Revoke(s.ctx, lease); err != nil {
		s.Fatal(err)
	}
	if u := s.next(watch); len(u.Events) != 10 {
		s.Errorf("revocation deleted %d keys at once, want 10", len(u.Events))
	}
	if p := s.read(store.Prefix("/r/")); len(p.KVs) != 0 {
		s.Errorf("left: %v", keys(p))
	}
	if err := s.Revoke(s.ctx, lease); !errors.Is(err, store.ErrLeaseNotFound) {
		s.Errorf("second Revoke: %v", err)
	}
}

func leaseMoves(s *suite) {
	a, b := s.grant(time.Hour), s.grant(time.Hour)
	s.putLease("/moved", a)
	s.putLease("/moved", b)
	s.putLease("/freed", a)
	s.put("/freed", "no lease any more")
	s.putLease("/deleted", a)
	s.txn(store.Txn{Then: []store.Op{store.Delete{Key: "/deleted"}}})
	s.put("/deleted", "again")
	if err := s.Revoke(s.ctx, a); err != nil {
		s.Fatal(err)
	}
	if got := keys(s.read(store.Prefix("/"))); !slices.Equal(got, []string{"/deleted", "/freed", "/moved"}) {
		s.Errorf("left after revoking the earlier lease: %v", got)
	}
	if kv, _ := s.get("/moved").First(); kv.Lease != b {
		s.Errorf("lease of /moved is %d, want %d", kv.Lease, b)
	}
	if err := s.Revoke(s.ctx, b); err != nil {
		s.Fatal(err)
	}
	if p := s.get("/moved"); len(p.KVs) != 0 {
		s.Error("/moved outlived its lease")
	}
}

func unknownLeases(s *suite) {
	if a, b := s.grant(time.Hour), s.grant(time.Hour); a == 0 || b == 0 || a == b {
		s.Errorf("leases %d and %d", a, b)
	}
	if err := s.KeepAlive(s.ctx, 4711); !errors.Is(err, store.ErrLeaseNotFound) {
		s.Errorf("KeepAlive: %v", err)
	}
	if err := s.Revoke(s.ctx, 4711); !errors.Is(err, store.ErrLeaseNotFound) {
		s.Errorf("Revoke: %v", err)
	}
}

func watchOrder(s *suite) {
	watch := s.watch("/w/", 0)
	var want []int64
	for i := range 100 {
		want = append(want, s.put(fmt.Sprintf("/w/%d", i%7), fmt.Sprint(i)))
		s.put("/other", "x")
	}
	for i, rev := range want {
		u := s.next(watch)
		if u.Revision != rev || len(u.Events) != 1 || string(u.Events[0].KV.Value) != fmt.Sprint(i) || u.Events[0].KV.ModRevision != rev {
			s.Fatalf("update %d: %+v, want revision %d", i, u, rev)
		}
	}
}

func watchFromRevision(s *suite) {
	first := s.put("/w/1", "1")
	s.put("/w/2", "2")
	at := s.read(store.Prefix("/w/")).Revision
	s.put("/w/3", "3")
	if u := s.next(s.watch("/w/", at+1)); u.Events[0].KV.Key != "/w/3" {
		s.Errorf("after the state: %+v", u)
	}
	if u := s.next(s.watch("/w/", first)); u.Revision != first {
		s.Errorf("from a past revision: %+v", u)
	}
	future := s.watch("/w/", at+3)
	s.put("/w/4", "too early")
	rev := s.put("/w/5", "5")
	if u := s.next(future); u.Revision != rev {
		s.Errorf("from a future revision %d: %+v", rev, u)
	}
}

func watchTransaction(s *suite) {
	s.put("/w/old", "1")
	watch := s.watch("/w/", 0)
	r := s.txn(store.Txn{Then: []store.Op{store.Put{Key: "/w/new"}, store.Delete{Key: "/w/old"}, store.Put{Key: "/other"}}})
	u := s.next(watch)
	if u.Revision != r.Revision || len(u.Events) != 2 {
		s.Fatalf("got %+v", u)
	}
	for _, e := range u.Events {
		if e.Deleted != (e.KV.Key == "/w/old") || e.KV.ModRevision != r.Revision {
			s.Errorf("event %+v", e)
		}
	}
}

func slowWatcher(s *suite) {
	watch := s.watch("/w/", 0)
	// More than any engine may keep for a watcher that does not read.
	value := strings.Repeat("x", store.MaxValue-100)
	const n = 40
	var last int64
	for i := range n {
		last = s.put(fmt.Sprintf("/w/%d", i%3), value)
	}
	seen := int64(0)
	for u := range watch {
		var behind *store.FellBehindError
		if errors.As(u.Err, &behind) {
			return // told; the channel was closed or will be
		}
		if seen = u.Revision; seen == last {
			return // an engine may also have kept everything
		}
	}
	s.Errorf("the watch ended at revision %d of %d without a word", seen, last)
}

func watchEnds(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	watch, err := s.Watch(ctx, "/w/", 0)
	if err != nil {
		s.Fatal(err)
	}
	cancel()
	s.mustClose(watch)
	unread, err := s.Watch(s.ctx, "/w/", 0)
	if err != nil {
		s.Fatal(err)
	}
	s.put("/w/1", "1") // the watcher does not read it
	if err := s.Close(); err != nil {
		s.Fatal(err)
	}
	s.mustClose(unread)
}

func competition(s *suite) {
	const writers, rounds = 16, 10
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[string]int{}
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				key := fmt.Sprintf("/address/%d", i)
				r, err := s.Txn(s.ctx, store.Txn{If: []store.Compare{store.Absent(key)}, Then: []store.Op{store.Put{Key: key, Value: []byte{byte(w)}}}})
				if err != nil {
					s.Error(err)
					return
				}
				if r.Succeeded {
					mu.Lock()
					won[key]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for i := range rounds {
		if n := won[fmt.Sprintf("/address/%d", i)]; n != 1 {
			s.Errorf("address %d was given to %d writers", i, n)
		}
	}
}

func readYourWrites(s *suite) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			key := fmt.Sprintf("/y/%d", w)
			for i := range 20 {
				value := []byte(fmt.Sprint(i))
				r, err := s.Txn(s.ctx, store.Txn{Then: []store.Op{store.Put{Key: key, Value: value}}})
				if err != nil {
					s.Error(err)
					return
				}
				p, err := s.Get(s.ctx, store.Key(key))
				if err != nil {
					s.Error(err)
					return
				}
				if kv, _ := p.First(); !bytes.Equal(kv.Value, value) || p.Revision < r.Revision {
					s.Errorf("wrote %q at %d, read %q at %d", value, r.Revision, kv.Value, p.Revision)
				}
			}
		})
	}
	wg.Wait()
}

func closed(s *suite) {
	if err := s.Close(); err != nil {
		s.Fatal(err)
	}
	if err := s.Close(); err != nil {
		s.Errorf("second Close: %v", err)
	}
	_, getErr := s.Get(s.ctx, store.Key("/x"))
	_, txnErr := s.Txn(s.ctx, store.Txn{Then: []store.Op{store.Put{Key: "/x"}}})
	_, grantErr := s.Grant(s.ctx, time.Hour)
	_, watchErr := s.Watch(s.ctx, "/", 0)
	for name, err := range map[string]error{
		"Get": getErr, "Txn": txnErr, "Grant": grantErr, "Watch": watchErr,
		"KeepAlive": s.KeepAlive(s.ctx, 1), "Revoke": s.Revoke(s.ctx, 1),
	} {
		if !errors.Is(err, store.ErrClosed) {
			s.Errorf("%s after Close: %v", name, err)
		}
	}
}

func endedContext(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := s.Txn(ctx, store.Txn{Then: []store.Op{store.Put{Key: "/x"}}}); !errors.Is(err, context.Canceled) {
		s.Errorf("Txn: %v", err)
	}
	if _, err := s.Get(ctx, store.Key("/x")); !errors.Is(err, context.Canceled) {
		s.Errorf("Get: %v", err)
	}
	if p := s.get("/x"); len(p.KVs) != 0 {
		s.Error("a transaction whose context had ended was applied")
	}
}

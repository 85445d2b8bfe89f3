package bolt

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"

	"sallyport/store"
)

// tx is one bbolt transaction, with the changes of one batch. Requests in it
// see each other's changes in the order of the queue.
type tx struct {
	path                   string
	kv, leases, keys, meta *bbolt.Bucket
	revision               int64
	updates                []store.Update
	changed                bool
	err                    error // first failed write: the whole batch is rolled back
}

func open(path string, b *bbolt.Tx) *tx {
	x := &tx{
		path:   path,
		kv:     b.Bucket(bucketKV),
		leases: b.Bucket(bucketLeases),
		keys:   b.Bucket(bucketLeaseKeys),
		meta:   b.Bucket(bucketMeta),
	}
	x.revision = int64(number(x.meta.Get(keyRevision)))
	return x
}

// finish stores the revision, or says why there is nothing to commit.
func (x *tx) finish() error {
	if x.err == nil && !x.changed {
		return errUnchanged
	}
	x.put(x.meta, keyRevision, octets(uint64(x.revision)))
	return x.err
}

// txn is If, Then, Else.
func (x *tx) txn(t store.Txn) (store.Result, error) {
	holds, err := x.holds(t.If)
	if err != nil {
		return store.Result{}, err
	}
	if !holds {
		pages, err := x.readAll(t.Else)
		return store.Result{Revision: x.revision, Else: pages}, err
	}
	if err := x.apply(t.Then); err != nil {
		return store.Result{}, err
	}
	return store.Result{Succeeded: true, Revision: x.revision}, nil
}

func (x *tx) holds(conditions []store.Compare) (bool, error) {
	for _, c := range conditions {
		kv, exists, err := x.get(c.Key)
		if err != nil || !c.Holds(kv, exists) {
			return false, err
		}
	}
	return true, nil
}

// apply makes all changes at the next revision. What can fail is read first, so
// that an error means that nothing was changed.
func (x *tx) apply(ops []store.Op) error {
	var next []change
	for _, op := range ops {
		var err error
		if next, err = x.plan(next, op); err != nil {
			return err
		}
	}
	x.change(next)
	return nil
}

// change is one key before and after.
type change struct {
	old, kv        store.KV
	exists, remove bool
}

func (x *tx) plan(next []change, op store.Op) ([]change, error) {
	switch op := op.(type) {
	case store.Put:
		if op.Lease != 0 && x.leases.Get(octets(uint64(op.Lease))) == nil {
			return nil, store.ErrLeaseNotFound
		}
		old, exists, err := x.get(op.Key)
		kv := store.KV{Key: op.Key, Value: bytes.Clone(op.Value), Lease: op.Lease}
		return append(next, change{old: old, exists: exists, kv: kv}), err
	case store.Delete:
		page, err := x.read(store.Range{Key: op.Key, Prefix: op.Prefix})
		for _, kv := range page.KVs {
			next = append(next, change{old: kv, exists: true, remove: true})
		}
		return next, err
	}
	return next, nil
}

// change writes the changes, in one revision and one Update.
func (x *tx) change(changes []change) {
	if len(changes) == 0 {
		return
	}
	x.revision++
	x.changed = true
	update := store.Update{Revision: x.revision}
	gone := make(map[string]bool) // two prefixes in one Txn may name a key twice
	for _, c := range changes {
		if c.remove {
			if !gone[c.old.Key] {
				gone[c.old.Key] = true
				update.Events = append(update.Events, x.remove(c.old))
			}
			continue
		}
		update.Events = append(update.Events, x.set(c))
	}
	x.updates = append(x.updates, update)
}

func (x *tx) set(c change) store.Event {
	kv := c.kv
	kv.ModRevision = x.revision
	kv.CreateRevision, kv.Version = x.revision, 1
	if c.exists {
		kv.CreateRevision, kv.Version = c.old.CreateRevision, c.old.Version+1
	}
	if c.old.Lease != kv.Lease {
		x.unbind(c.old)
		x.bind(kv)
	}
	x.put(x.kv, []byte(kv.Key), encode(kv))
	return store.Event{KV: kv}
}

func (x *tx) remove(kv store.KV) store.Event {
	x.unbind(kv)
	x.delete(x.kv, []byte(kv.Key))
	return store.Event{Deleted: true, KV: store.KV{Key: kv.Key, ModRevision: x.revision}}
}

// bind notes in the lease's index that it holds the key.
func (x *tx) bind(kv store.KV) {
	if kv.Lease != 0 {
		x.put(x.keys, leaseKey(kv.Lease, kv.Key), nil)
	}
}

func (x *tx) unbind(kv store.KV) {
	if kv.Lease != 0 {
		x.delete(x.keys, leaseKey(kv.Lease, kv.Key))
	}
}

func leaseKey(id store.LeaseID, key string) []byte {
	return append(octets(uint64(id)), key...)
}

func (x *tx) grant(ttl int64) (store.LeaseID, error) {
	id, err := x.leases.NextSequence()
	if err != nil {
		return 0, err
	}
	x.changed = true
	x.put(x.leases, octets(id), octets(uint64(ttl)))
	return store.LeaseID(id), nil
}

// revoke ends a lease and deletes its keys.
func (x *tx) revoke(id store.LeaseID) error {
	name := octets(uint64(id))
	if x.leases.Get(name) == nil {
		return store.ErrLeaseNotFound
	}
	var changes []change
	c := x.keys.Cursor()
	for k, _ := c.Seek(name); bytes.HasPrefix(k, name); k, _ = c.Next() {
		kv, exists, err := x.get(string(k[len(name):]))
		if err != nil {
			return err
		}
		if exists {
			changes = append(changes, change{old: kv, remove: true})
		}
	}
	x.change(changes)
	x.changed = true
	x.delete(x.leases, name)
	return nil
}

func (x *tx) get(key string) (kv store.KV, exists bool, err error) {
	b := x.kv.Get([]byte(key))
	if b == nil {
		return store.KV{}, false, nil
	}
	kv, err = decode(x.path, []byte(key), b)
	return kv, err == nil, err
}

func (x *tx) readAll(ranges []store.Range) ([]store.Page, error) {
	var pages []store.Page
	for _, r := range ranges {
		p, err := x.read(r)
		if err != nil {
			return nil, err
		}
		pages = append(pages, p)
	}
	return pages, nil
}

func (x *tx) read(r store.Range) (store.Page, error) {
	page := store.Page{Revision: x.revision}
	if !r.Prefix {
		kv, exists, err := x.get(r.Key)
		if exists {
			page.KVs = []store.KV{kv}
		}
		return page, err
	}
	prefix, start := []byte(r.Key), []byte(r.Key)
	if r.After >= r.Key {
		start = append([]byte(r.After), 0) // the least key that is greater
	}
	c := x.kv.Cursor()
	for k, v := c.Seek(start); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if r.Limit > 0 && len(page.KVs) == r.Limit {
			page.More = true
			break
		}
		kv, err := decode(x.path, k, v)
		if err != nil {
			return store.Page{}, err
		}
		page.KVs = append(page.KVs, kv)
	}
	return page, nil
}

func (x *tx) put(b *bbolt.Bucket, key, value []byte) {
	if err := b.Put(key, value); x.err == nil {
		x.err = err
	}
}

func (x *tx) delete(b *bbolt.Bucket, key []byte) {
	if err := b.Delete(key); x.err == nil {
		x.err = err
	}
}

func octets(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// number reads what octets wrote; anything else is 0.
func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// Package store is the contract for state that must outlive a process: users,
// devices, certificates issued and revoked, address leases, the session
// directory.
//
// The semantics are etcd's, so that a single gateway (package bolt) and a fleet
// (an etcd engine) pass the same conformance suite (package storetest): one
// revision counter for the whole store, compare-and-set over several keys,
// leases that delete their keys, watches by prefix from a revision. Keys are
// '/'-separated paths such as /pki/issued/1f, values are small octet strings.
//
// An engine keeps only the current version of each key. A watch can therefore
// start in the recent past only; [FellBehindError] says when that past is gone.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits that every engine enforces. They are under etcd's defaults (1.5 MiB
// per request, 128 operations per transaction), so that what one gateway wrote
// can move to a fleet.
const (
	MaxKey   = 1 << 10 // octets
	MaxValue = 1 << 20 // octets; the largest value is a few KiB
	MaxOps   = 128     // comparisons, Then operations or Else ranges in one Txn
	MaxTxn   = 1 << 20 // octets of keys and values in one Txn
	MinTTL   = time.Second
)

// Store is the seven-method contract. All methods are safe for concurrent use.
// A method returns the context's error when ctx ends first; a write may then
// still have happened.
type Store interface {
	// Get reads one key or a range of keys, as of now: it sees every write
	// acknowledged before it was called.
	Get(ctx context.Context, r Range) (Page, error)

	// Txn applies t.Then if every comparison in t.If holds, else reads t.Else.
	// All of it happens at one revision or not at all, and it is on disk (with
	// a fleet: on a majority's disks) when Txn returns.
	Txn(ctx context.Context, t Txn) (Result, error)

	// Grant makes a lease that lives for ttl (at least [MinTTL]) from now and
	// from each KeepAlive. When it ends, its keys are deleted at one revision.
	// A restart of a single gateway's store gives every lease its whole TTL
	// again: nobody could have kept it alive meanwhile.
	Grant(ctx context.Context, ttl time.Duration) (LeaseID, error)

	// KeepAlive lets the lease start its TTL anew, or fails with
	// [ErrLeaseNotFound].
	KeepAlive(ctx context.Context, id LeaseID) error

	// Revoke ends a lease and deletes its keys, or fails with
	// [ErrLeaseNotFound].
	Revoke(ctx context.Context, id LeaseID) error

	// Watch reports changes of keys that begin with prefix, in order and
	// without a gap, from revision from on (0: from now on). Read a state with
	// Get and watch from its Revision+1 to miss nothing. The channel is closed
	// when ctx ends or the store closes. A watcher that is too slow, or asks
	// for a revision that is no longer kept, gets a last Update whose Err is a
	// *FellBehindError; writers never wait for a watcher.
	Watch(ctx context.Context, prefix string, from int64) (<-chan Update, error)

	// Close ends all watches and waits for writes in progress. Methods called
	// later fail with [ErrClosed].
	Close() error
}

// Range selects one key, or with Prefix all keys that begin with Key.
type Range struct {
	Key    string
	Prefix bool
	After  string // with Prefix: only keys greater than After, to read page by page
	Limit  int    // with Prefix: at most so many keys; 0 = all
}

// Key is the range of exactly one key.
func Key(key string) Range { return Range{Key: key} }

// Prefix is the range of all keys that begin with prefix.
func Prefix(prefix string) Range { return Range{Key: prefix, Prefix: true} }

// Page is the answer to a Range: keys in ascending order.
type Page struct {
	Revision int64 // the store's, at the moment of reading
	KVs      []KV
	More     bool // Limit cut the answer; go on with After = the last key
}

// First returns the first key-value pair, if there is one.
func (p Page) First() (KV, bool) {
	if len(p.KVs) == 0 {
		return KV{}, false
	}
	return p.KVs[0], true
}

// KV is a key, its value and its history. Value belongs to the receiver.
type KV struct {
	Key            string
	Value          []byte
	CreateRevision int64 // the store's revision when the key came into being
	ModRevision    int64 // ... when it was last put
	Version        int64 // number of puts since it came into being, from 1
	Lease          LeaseID
}

// LeaseID names a lease; 0 is none.
type LeaseID int64

// Txn is a transaction: etcd's If(...).Then(...).Else(...). A key may be
// changed by one operation only.
type Txn struct {
	If   []Compare
	Then []Op
	Else []Range
}

// Result is the answer to a Txn.
type Result struct {
	Succeeded bool  // every comparison held, Then was applied
	Revision  int64 // the store's revision after it
	Else      []Page
}

// Op is a change: a [Put] or a [Delete].
type Op interface{ op() }

// Put sets a key. It also moves the key to Lease (0: to none), which must exist.
type Put struct {
	Key   string
	Value []byte
	Lease LeaseID
}

// Delete removes a key, or with Prefix all keys that begin with Key. Deleting
// what is not there is no error and no change.
type Delete struct {
	Key    string
	Prefix bool
}

func (Put) op()    {}
func (Delete) op() {}

// Target is the property of a key that a [Compare] looks at.
type Target uint8

// The properties. For a key that is absent each number is 0, and comparing its
// value fails whatever the value.
const (
	CreateRevision Target = iota + 1
	ModRevision
	Version
	Value
)

// Relation is how a [Compare] compares the key's property (left) with what is
// given (right).
type Relation uint8

// The relations. Values compare as octet strings.
const (
	Equal Relation = iota + 1
	NotEqual
	Less
	Greater
)

// Compare is one condition of a Txn.
type Compare struct {
	Key    string
	Target Target
	Is     Relation
	Number int64  // for CreateRevision, ModRevision and Version
	Value  []byte // for Value
}

// Absent holds when the key does not exist.
func Absent(key string) Compare {
	return Compare{Key: key, Target: CreateRevision, Is: Equal}
}

// Present holds when the key exists.
func Present(key string) Compare {
	return Compare{Key: key, Target: CreateRevision, Is: NotEqual}
}

// Unchanged holds when the key was last put at the revision of kv.
func Unchanged(kv KV) Compare {
	return Compare{Key: kv.Key, Target: ModRevision, Is: Equal, Number: kv.ModRevision}
}

// ValueIs holds when the key exists and has that value.
func ValueIs(key string, value []byte) Compare {
	return Compare{Key: key, Target: Value, Is: Equal, Value: value}
}

// Update is what a watcher gets: all changes of one revision that it asked for.
type Update struct {
	Revision int64
	Events   []Event
	Err      error // *FellBehindError, in the last Update before the close
}

// Event is one change. KV of a deletion has the key and, as ModRevision, the
// revision of the deletion.
type Event struct {
	Deleted bool
	KV      KV
}

// Errors that callers branch on.
var (
	ErrLeaseNotFound = errors.New("store: no such lease, or it has expired")
	ErrClosed        = errors.New("store: the store is closed")
)

// FellBehindError ends a watch: changes since Wanted are no longer kept. Read
// the state again and watch from its revision.
type FellBehindError struct {
	Wanted, Oldest int64 // revisions
}

// Error names both revisions.
func (e *FellBehindError) Error() string {
	return fmt.Sprintf("store: watch fell behind: revision %d is gone, the oldest kept is %d", e.Wanted, e.Oldest)
}

// RequestError says that a request is malformed or over a limit; nothing was
// changed.
type RequestError struct{ Reason string }

// Error gives the reason.
func (e *RequestError) Error() string { return "store: bad request: " + e.Reason }

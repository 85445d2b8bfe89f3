package store

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// CheckRange returns a *RequestError for a range no engine accepts.
func CheckRange(r Range) error {
	switch {
	case r.Limit < 0:
		return badRequest("limit %d is negative", r.Limit)
	case !r.Prefix && (r.After != "" || r.Limit > 0):
		return badRequest("After and Limit need Prefix")
	}
	return checkKey(r.Key)
}

// CheckTxn returns a *RequestError for a transaction no engine accepts.
func CheckTxn(t Txn) error {
	if n := max(len(t.If), len(t.Then), len(t.Else)); n > MaxOps {
		return badRequest("%d operations are over the limit of %d", n, MaxOps)
	}
	size := 0
	for _, c := range t.If {
		size += len(c.Key) + len(c.Value)
		if err := checkCompare(c); err != nil {
			return err
		}
	}
	for _, op := range t.Then {
		n, err := checkOp(op)
		if err != nil {
			return err
		}
		size += n
	}
	for _, r := range t.Else {
		size += len(r.Key)
		if err := CheckRange(r); err != nil {
			return err
		}
	}
	if size > MaxTxn {
		return badRequest("transaction of %d octets is over the limit of %d", size, MaxTxn)
	}
	return checkOverlap(t.Then)
}

func checkCompare(c Compare) error {
	if c.Target < CreateRevision || c.Target > Value {
		return badRequest("comparison of %q has no target", c.Key)
	}
	if c.Is < Equal || c.Is > Greater {
		return badRequest("comparison of %q has no relation", c.Key)
	}
	return checkKey(c.Key)
}

func checkOp(op Op) (size int, err error) {
	switch op := op.(type) {
	case Put:
		if len(op.Value) > MaxValue {
			return 0, badRequest("value of %q has %d octets, the limit is %d", op.Key, len(op.Value), MaxValue)
		}
		return len(op.Key) + len(op.Value), checkKey(op.Key)
	case Delete:
		return len(op.Key), checkKey(op.Key)
	}
	return 0, badRequest("operation %T is neither Put nor Delete", op)
}

// checkOverlap refuses two changes of one key: what they mean would depend on
// their order, and etcd refuses them too. A prefix may be deleted twice.
func checkOverlap(ops []Op) error {
	puts := make(map[string]bool)
	for _, op := range ops {
		if p, ok := op.(Put); ok {
			if puts[p.Key] {
				return badRequest("%q is put twice", p.Key)
			}
			puts[p.Key] = true
		}
	}
	for _, op := range ops {
		d, ok := op.(Delete)
		if !ok {
			continue
		}
		for key := range puts {
			if key == d.Key || d.Prefix && strings.HasPrefix(key, d.Key) {
				return badRequest("%q is put and deleted", key)
			}
		}
	}
	return nil
}

func checkKey(key string) error {
	switch {
	case !strings.HasPrefix(key, "/"):
		return badRequest("key %q does not begin with /", shorten(key))
	case len(key) > MaxKey:
		return badRequest("key of %d octets is over the limit of %d", len(key), MaxKey)
	}
	return nil
}

// shorten keeps a key that came from elsewhere from filling a log line.
func shorten(s string) string { return s[:min(len(s), 64)] }

// Holds reports whether the condition holds for kv; exists says whether there
// is such a key.
func (c Compare) Holds(kv KV, exists bool) bool {
	order := 0
	switch c.Target {
	case CreateRevision:
		order = cmp.Compare(kv.CreateRevision, c.Number)
	case ModRevision:
		order = cmp.Compare(kv.ModRevision, c.Number)
	case Version:
		order = cmp.Compare(kv.Version, c.Number)
	case Value:
		if !exists {
			return false
		}
		order = bytes.Compare(kv.Value, c.Value)
	}
	switch c.Is {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case Less:
		return order < 0
	case Greater:
		return order > 0
	}
	return false
}

func badRequest(format string, args ...any) error {
	return &RequestError{Reason: fmt.Sprintf(format, args...)}
}

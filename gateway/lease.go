package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sallyport/store"
)

// leaseTimeout bounds the wait for the disk in the middle of a login.
const leaseTimeout = 10 * time.Second

// lease gives a device its addresses in a zone, and has them on disk before the
// peer hears of them: after a crash nobody else may get them first.
func (g *Gateway) lease(z *zone, device string, from addressing, want4, want6 bool) (lease, error) {
	l, changed, lost, err := z.pool.acquire(device, from, want4, want6, time.Now())
	if err != nil {
		return lease{}, err
	}
	if !changed {
		return l, nil
	}
	ops := make([]store.Op, 0, 1+len(lost))
	for _, d := range lost {
		ops = append(ops, store.Delete{Key: leaseKey(z.config.Name, d)})
	}
	value, err := json.Marshal(l)
	if err != nil {
		return lease{}, err
	}
	ops = append(ops, store.Put{Key: leaseKey(z.config.Name, device), Value: value})
	ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
	defer cancel()
	if _, err := g.store.Txn(ctx, store.Txn{Then: ops}); err != nil {
		return lease{}, fmt.Errorf("gateway: the lease of %q could not be stored: %w", device, err)
	}
	return l, nil
}

func leaseKey(zone, device string) string { return leasesKey + zone + "/" + device }

// restoreLeases reads the stored leases into pools that are new.
func (g *Gateway) restoreLeases(ctx context.Context, r *realm) error {
	for _, z := range r.order {
		if leases, _ := z.pool.used(); leases > 0 {
			continue // carried over with its leases
		}
		prefix := leasesKey + z.config.Name + "/"
		page, err := g.store.Get(ctx, store.Prefix(prefix))
		if err != nil {
			return fmt.Errorf("gateway: reading leases: %w", err)
		}
		for _, kv := range page.KVs {
			var l lease
			if err := json.Unmarshal(kv.Value, &l); err != nil {
				return fmt.Errorf("gateway: record %q in the state is damaged: %w", kv.Key, err)
			}
			z.pool.restore(strings.TrimPrefix(kv.Key, prefix), l)
		}
	}
	return nil
}

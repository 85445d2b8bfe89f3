package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/config"
	"sallyport/store"
)

// Use is the last time that a device, or a user without one, came in by one
// protocol with one kind of client: what a plan to move to IKEv2 is made from.
type Use struct {
	Device   string    `json:"device"`         // or what stands in its place, without the number of the seat
	User     string    `json:"user,omitempty"` // ours, or REALM:NAME of a RADIUS server; empty: an outside CA's
	Identity string    `json:"identity"`       // that was proved
	Protocol string    `json:"protocol"`       // ikev2 or l2tp
	Client   string    `json:"client"`         // kind of software
	Zone     string    `json:"zone"`
	Machine  string    `json:"machine,omitempty"` // of L2TP: certificate, psk or group-psk
	Last     time.Time `json:"last"`
}

// usesKey is where they live: then device, protocol and client. A device so has
// a few records, and a user by password not more for having many seats.
const usesKey = "/uses/"

func (u *Use) key() string { return usesKey + u.Device + "/" + u.Protocol + "/" + u.Client }

const (
	// usesWritten is how often records go to the disk: a crash loses as much.
	usesWritten = 10 * time.Second
	// maxPendingUses bounds what waits for that: more than can log in meanwhile.
	maxPendingUses = 65536
	// maxForeignUses bounds the records of those whom others vouch for: a RADIUS
	// server or another CA can name any number of them. The oldest one goes.
	maxForeignUses = 20000
	// forgetUse is when a record has nothing to say any more.
	forgetUse = 400 * 24 * time.Hour
	// longestIdentity is what is kept of an identity: a certificate's subject may
	// be a page.
	longestIdentity = 256
)

// coarse is how much newer a use must be to be written again.
var coarse = map[string]time.Duration{config.L2TP: time.Hour, config.IKEv2: 24 * time.Hour}

// uses are the records on their way to the store. It is safe for concurrent
// use, and note never waits for the disk: event loops call it.
type uses struct {
	flushing sync.Mutex // one at a time

	mu      sync.Mutex
	pending map[string]Use       // by key
	written map[string]time.Time // what the store has, by key
	lost    int
}

// note takes a use that is new enough.
func (t *uses) note(u Use) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := u.key()
	if last, ok := t.written[key]; ok && u.Last.Sub(last) < coarse[u.Protocol] {
		return
	}
	if _, ok := t.pending[key]; !ok && len(t.pending) >= maxPendingUses {
		t.lost++
		return
	}
	if t.pending == nil {
		t.pending = make(map[string]Use)
	}
	t.pending[key] = u
}

// take empties what waits.
func (t *uses) take() (all []Use, lost int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, lost = slices.Collect(maps.Values(t.pending)), t.lost
	t.pending, t.lost = nil, 0
	return all, lost
}

// crowdedOut are the foreign records that are in the way of new ones, the oldest
// first and not more than a transaction takes; it forgets them.
func (t *uses) crowdedOut(add []Use, most int) (keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	coming := map[string]bool{}
	for _, u := range add {
		if foreign(u.Device) {
			coming[u.key()] = true
		}
	}
	for key := range t.written {
		if foreign(strings.TrimPrefix(key, usesKey)) && !coming[key] {
			keys = append(keys, key)
		}
	}
	over := max(0, len(keys)+len(coming)-most)
	slices.SortFunc(keys, func(a, b string) int { return t.written[a].Compare(t.written[b]) })
	keys = slices.Clone(keys[:min(over, len(keys), store.MaxOps-maxUsesTxn)])
	for _, key := range keys {
		delete(t.written, key)
	}
	return keys
}

// wrote notes what the store has now.
func (t *uses) wrote(all []Use) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.written == nil {
		t.written = make(map[string]time.Time)
	}
	for _, u := range all {
		t.written[u.key()] = u.Last
	}
}

// useOf is a session as a use.
func (l *live) useOf(now time.Time) Use {
	device := l.admission.Device
	if isSeat(device) {
		device, _, _ = strings.Cut(device, "#")
	}
	return Use{
		Device: device, User: l.user(), Identity: l.admission.Identity[:min(len(l.admission.Identity), longestIdentity)],
		Protocol: l.terms.zone.config.Protocol, Client: fmt.Sprint(l.kind), Zone: l.admission.Zone,
		Machine: l.terms.proof.machine, Last: now.UTC().Truncate(time.Second),
	}
}

// noteUse records a session. Where no zone is reached by L2TP, nobody has to be
// moved away from it, and nothing is recorded.
func (g *Gateway) noteUse(l *live, now time.Time) {
	if slices.ContainsFunc(g.realm.Load().order, func(z *zone) bool { return z.speaks(config.L2TP) }) {
		g.uses.note(l.useOf(now))
	}
}

// keepUses writes what was noted until ctx ends, and then once more. It ends
// sessions at the end of their last day, too.
func (g *Gateway) keepUses(ctx context.Context) {
	if err := g.sweepUses(ctx, time.Now()); err != nil && ctx.Err() == nil {
		g.log.Error("the records of who uses L2TP were not looked through", "err", err)
	}
	tick := time.NewTicker(usesWritten)
	defer tick.Stop()
	today := time.Now().UTC().YearDay()
	for more := true; more; {
		select {
		case <-ctx.Done():
			more = false
		case now := <-tick.C:
			if day := now.UTC().YearDay(); day != today {
				today = day
				g.cutOffAll(now)
			}
		}
		if err := g.flushUses(context.WithoutCancel(ctx)); err != nil {
			g.log.Error("who uses L2TP could not be recorded; it is tried again", "err", err)
		}
	}
}

// maxUsesTxn is how many records are written at a time; with those that they
// crowd out they fit in a transaction.
const maxUsesTxn = store.MaxOps / 2

// flushUses writes what waits. What cannot be written waits on.
func (g *Gateway) flushUses(ctx context.Context) error {
	g.uses.flushing.Lock()
	defer g.uses.flushing.Unlock()
	all, lost := g.uses.take()
	if lost > 0 {
		g.log.Warn("too many logins at once: some are missing in sallyport migrate plan until they come again", "lost", lost)
	}
	all = slices.DeleteFunc(all, func(u Use) bool { return g.staleUse(u, u.Last) })
	for chunk := range slices.Chunk(all, maxUsesTxn) {
		if err := g.writeUses(ctx, chunk); err != nil {
			for _, u := range all { // note drops those that were written
				g.uses.note(u)
			}
			return err
		}
	}
	return nil
}

func (g *Gateway) writeUses(ctx context.Context, chunk []Use) error {
	var ops []store.Op
	for _, u := range chunk {
		value, err := json.Marshal(u)
		if err != nil {
			return err
		}
		ops = append(ops, store.Put{Key: u.key(), Value: value})
	}
	if slices.ContainsFunc(chunk, func(u Use) bool { return foreign(u.Device) }) {
		for _, key := range g.uses.crowdedOut(chunk, maxForeignUses) {
			ops = append(ops, store.Delete{Key: key})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	if _, err := g.store.Txn(ctx, store.Txn{Then: ops}); err != nil {
		return err
	}
	g.uses.wrote(chunk)
	return nil
}

// sweepUses removes what belongs to nobody any more, learns what the store has,
// and notes the sessions that are up: one that lasts for weeks is in use.
func (g *Gateway) sweepUses(ctx context.Context, now time.Time) error {
	g.uses.flushing.Lock()
	defer g.uses.flushing.Unlock()
	all, err := g.storedUses(ctx)
	if err != nil {
		return err
	}
	var gone []store.Op
	kept := all[:0]
	for _, u := range all {
		if g.staleUse(u, now) {
			gone = append(gone, store.Delete{Key: u.key()})
		} else {
			kept = append(kept, u)
		}
	}
	for ops := range slices.Chunk(gone, store.MaxOps) {
		if _, err := g.store.Txn(ctx, store.Txn{Then: ops}); err != nil {
			return err
		}
	}
	g.uses.mu.Lock()
	g.uses.written = nil
	g.uses.mu.Unlock()
	g.uses.wrote(kept)
	for _, l := range g.table.matching(func(*live) bool { return true }) {
		g.noteUse(l, now)
	}
	return nil
}

// storedUses reads all records. One that is damaged is not worth a gateway that
// does not start: the next login writes it anew.
func (s *State) storedUses(ctx context.Context) (all []Use, err error) {
	page, err := s.store.Get(ctx, store.Prefix(usesKey))
	if err != nil {
		return nil, fmt.Errorf("gateway: reading who uses L2TP: %w", err)
	}
	for _, kv := range page.KVs {
		var u Use
		if err := json.Unmarshal(kv.Value, &u); err != nil || u.key() != kv.Key {
			s.log.Warn("a damaged record of who uses L2TP is left out", "key", kv.Key, "err", err)
			continue
		}
		all = append(all, u)
	}
	return all, nil
}

// staleUse tells whether a record is somebody's who is not here any more, or who
// had the name before: then it is not shown, and soon removed.
func (s *State) staleUse(u Use, now time.Time) bool {
	if now.Sub(u.Last) > forgetUse {
		return true
	}
	if foreign(u.Device) {
		return false
	}
	if name, ok := seatOwner(u.Device); ok {
		owner, _ := s.registry.User(name)
		return s.registry.userAllowed(name) != "" || u.Last.Before(owner.Created)
	}
	d, _ := s.registry.Device(u.Device)
	return s.registry.allowed(u.Device) != "" || u.Last.Before(d.Created)
}

// forgottenUses removes those of a device, or of what stands in its place.
func forgottenUses(device string) store.Op {
	return store.Delete{Key: usesKey + device + "/", Prefix: true}
}

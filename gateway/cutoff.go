package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport/config"
	"sallyport/protocol/ike"
	"sallyport/store"
)

// The end of L2TP: a day for a zone, in the configuration, and one for a user,
// in the user's record. Both are the last day in force, in UTC.

// Date is a day of the calendar in UTC, written 2027-06-30; empty: none.
type Date string

// day is the date as the configuration has it.
func (d Date) day() config.Day {
	t, _ := time.Parse(time.DateOnly, string(d))
	return config.Day{Time: t}
}

func dateOf(d config.Day) Date {
	if d.IsZero() {
		return ""
	}
	return Date(d.Format(time.DateOnly))
}

func (d Date) check() error {
	if _, err := time.Parse(time.DateOnly, string(d)); d != "" && err != nil {
		return &InvalidError{Reason: fmt.Sprintf("%q is no date", string(d)), Hint: "write it as 2027-06-30, in UTC; it is the last day in force"}
	}
	return nil
}

// mayUseL2TP refuses a user whose L2TP has ended. It comes after the proof, so
// that nobody else learns of it.
func (l *login) mayUseL2TP(user string, now time.Time) error {
	u, _ := l.g.registry.User(user)
	if l.base == nil || !u.L2TPUntil.day().Over(now) {
		return nil
	}
	return refusal("move the user to IKEv2, see: sallyport migrate plan; or give more time: sallyport user set "+u.Name+" --l2tp-until DATE",
		"the user %q could use L2TP until %s", u.Name, u.L2TPUntil)
}

// cutOff tells why a session over L2TP must end; empty: it may stay.
func (g *Gateway) cutOff(l *live, now time.Time) string {
	if l.terms.zone.speaks(config.IKEv2) {
		return ""
	}
	if z, ok := g.realm.Load().zones[l.admission.Zone]; ok && z.config.Cutoff.Over(now) {
		return fmt.Sprintf("its zone took L2TP until %s: move it to IKEv2", z.config.Cutoff)
	}
	if u, ok := g.registry.User(l.user()); ok && u.L2TPUntil.day().Over(now) {
		return fmt.Sprintf("its user could use L2TP until %s: move it to IKEv2", u.L2TPUntil)
	}
	return ""
}

// keepMigration is the hourly work for those who are to leave L2TP. That it
// fails keeps nothing else from being done.
func (g *Gateway) keepMigration(ctx context.Context, now time.Time) {
	g.cutOffAll(now)
	if err := errors.Join(g.sweepUses(ctx, now), g.warnCutOffs(ctx, now)); err != nil && ctx.Err() == nil {
		g.log.Error("the records of who uses L2TP were not looked through; it is tried again in an hour", "err", err)
	}
}

// cutOffAll ends the sessions whose day is over.
func (g *Gateway) cutOffAll(now time.Time) {
	for _, l := range g.table.matching(func(*live) bool { return true }) {
		if why := g.cutOff(l, now); why != "" {
			g.log.Info("cutting", "session", l.id, "device", l.admission.Device, "reason", why)
			l.session.Do(ike.CloseSession{Reason: why})
		}
	}
}

// warnedAhead are how many days before an end it is told of.
var warnedAhead = []int{1, 7, 30}

// ending is an end of L2TP that is near.
type ending struct {
	of    string // "zone printers", or "users"
	day   config.Day
	users int // that still use L2TP and whom it concerns
}

// mark is the warning that is due: 30, 7 or 1; 0: none.
func (e ending) mark(now time.Time) int {
	left := int(e.day.Sub(now.UTC().Truncate(24*time.Hour)) / (24 * time.Hour))
	for _, m := range warnedAhead {
		if left <= m {
			return m
		}
	}
	return 0
}

// warnedKey holds which warnings were given: a restart does not repeat them.
const warnedKey = "/migration/warned"

// warnCutOffs tells of ends 30 days, 7 days and a day before, each once: of a
// gateway that was off on the day, at its next occasion.
func (g *Gateway) warnCutOffs(ctx context.Context, now time.Time) error {
	page, err := g.store.Get(ctx, store.Key(warnedKey))
	if err != nil {
		return err
	}
	before := map[string]int{}
	if kv, ok := page.First(); ok {
		if err := json.Unmarshal(kv.Value, &before); err != nil {
			g.log.Warn("a damaged record in the state is made anew", "key", warnedKey, "err", err)
		}
	}
	plan, err := g.State.planMigration(ctx, now)
	if err != nil {
		return err
	}
	given := map[string]int{} // of ends that are still ahead: the record does not grow
	for _, e := range endings(g.Config(), plan, now) {
		key, mark := fmt.Sprintf("%s %s", e.of, e.day), e.mark(now)
		if mark == 0 {
			continue
		}
		if given[key] = mark; cmp.Or(before[key], mark+1) > mark {
			g.log.Warn("L2TP ends soon", "of", e.of, "last-day", e.day.String(), "users", e.users, "hint", "see who is left: sallyport migrate plan")
		}
	}
	if maps.Equal(given, before) {
		return nil
	}
	value, err := json.Marshal(given)
	if err != nil {
		return err
	}
	_, err = g.store.Txn(ctx, store.Txn{Then: []store.Op{store.Put{Key: warnedKey, Value: value}}})
	return err
}

// endings are those that are not over: of zones, and of users, who are counted
// together where they have the same day.
func endings(cfg *config.Config, plan MigrationPlan, now time.Time) (out []ending) {
	for _, z := range cfg.Zones.Of(config.L2TP) {
		if z.Cutoff.IsZero() || z.Cutoff.Over(now) {
			continue
		}
		e := ending{of: "zone " + z.Name, day: z.Cutoff}
		for _, u := range plan.Users {
			if u.Needs && slices.ContainsFunc(u.L2TP, func(use Use) bool { return use.Zone == z.Name }) {
				e.users++
			}
		}
		out = append(out, e)
	}
	byDay := map[Date]int{}
	for _, u := range plan.Users {
		if u.Needs && u.OwnUntil != "" && !u.OwnUntil.day().Over(now) {
			byDay[u.OwnUntil]++
		}
	}
	for _, d := range slices.Sorted(maps.Keys(byDay)) {
		out = append(out, ending{of: "users", day: d.day(), users: byDay[d]})
	}
	return out
}

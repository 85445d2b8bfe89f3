package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"math/big"
	"net/netip"
	"sync"
	"time"

	"sallyport/config"
	aaa "sallyport/gateway/radius"
	"sallyport/protocol/ike"
	"sallyport/protocol/radius"
)

// account is what is kept of a live session for accounting and for the limits
// of time that a RADIUS server sets.
type account struct {
	record     radius.Record   // what all records of the session have in common
	accounting *aaa.Accounting // nil: the session is not accounted for
	calling    string          // Calling-Station-Id: where the peer was at first
	called     string

	// Under the table's lock, since a CoA request changes them.
	class   [][]byte
	interim time.Duration
	idle    time.Duration
	ends    time.Time    // zero: never
	next    time.Time    // when it is told of again
	usage   radius.Usage // of Child SAs that are gone
	heard   time.Time    // the last packet over one of those
	cause   radius.TerminateCause
	over    bool // its Stop is told
}

// accounts are the sessions that have one. It is safe for concurrent use.
type accounts struct {
	mu  sync.Mutex
	all map[*live]bool
}

func (a *accounts) add(l *live) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[*live]bool)
	}
	a.all[l] = true
}

func (a *accounts) remove(l *live) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, l)
}

func (a *accounts) list() (all []*live) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for l := range a.all {
		all = append(all, l)
	}
	return all
}

// newSessionID is unique over restarts: the time, and chance.
func newSessionID() string {
	var b [5]byte
	rand.Read(b[:])
	return new(big.Int).SetInt64(time.Now().Unix()).Text(36) + "-" + new(big.Int).SetBytes(b[:]).Text(36)
}

// nasPort describes a client (RFC 2865, Sections 5.30 and 5.31; RFC 2869,
// Section 5.17).
func nasPort(z *zone, calling, called string) []radius.Attribute {
	port := []radius.Attribute{
		radius.Uint32Attr(radius.NASPortType, radius.PortVirtual),
		radius.Uint32Attr(radius.ServiceType, radius.ServiceFramed),
		radius.TextAttr(radius.CallingStationID, calling),
		radius.TextAttr(radius.CalledStationID, called),
		radius.TextAttr(radius.NASPortID, z.config.Protocol), // we have two ports
	}
	if z.speaks(config.L2TP) {
		port = append(port, radius.Uint32Attr(radius.FramedProtocol, framedPPP))
	}
	return port
}

const framedPPP = 1 // RFC 2865, Section 5.7

// station is an end of a session: an address, for ports change.
func station(a netip.AddrPort) string { return a.Addr().Unmap().String() }

// openAccount begins the account of a session; none where the zone has no
// servers. Those may end and change sessions though they take no accounting.
func (g *Gateway) openAccount(l *live, z *zone, ev ike.Established) {
	s, by := g.realms[z.config.RADIUS], l.terms.granted
	if s == nil {
		return
	}
	a := &account{
		accounting: s.accounting, interim: s.interim(), calling: station(ev.Remote), called: station(ev.Local),
		record: radius.Record{
			SessionID: newSessionID(), UserName: cmp.Or(l.terms.user, l.admission.Identity), Authentic: radius.AuthenticLocal,
			IPv4: l.terms.leased.IPv4,
		},
	}
	if v6 := l.terms.leased.IPv6.Addr(); v6.IsValid() {
		a.record.IPv6 = []netip.Addr{v6}
	}
	if by != nil {
		a.class, a.interim, a.idle = by.class, cmp.Or(by.interim, a.interim), by.idle
		a.record.SessionID, a.record.UserName, a.record.Authentic, a.record.CUI = by.session, by.user, radius.AuthenticRADIUS, by.cui
		if by.timeout > 0 {
			a.ends = l.since.Add(by.timeout)
		}
	}
	a.record.Attributes = nasPort(z, a.calling, a.called)
	a.plan(l.since)
	g.table.update(func() { l.account = a })
	g.accounts.add(l)
	g.tell(l, a, radius.AcctStart, time.Now())
}

// plan chooses when the session is told of again: up to a tenth of the interval
// early, so that a thousand that came at once do not stay together.
func (a *account) plan(now time.Time) {
	if a.next = (time.Time{}); a.interim > 0 {
		early, _ := rand.Int(rand.Reader, big.NewInt(int64(a.interim/10)))
		a.next = now.Add(a.interim - time.Duration(early.Int64()))
	}
}

// tell makes a record of the session.
func (g *Gateway) tell(l *live, a *account, status radius.StatusType, now time.Time) {
	if a.accounting == nil {
		return
	}
	r := a.record
	r.Status, r.Time, r.Duration = status, now, now.Sub(l.since)
	if status != radius.AcctStart {
		r.Usage = g.used(l)
	}
	var err error
	g.table.update(func() {
		if a.over { // an update after the Stop would open the session again
			return
		}
		r.Class, r.Cause, a.over = a.class, a.cause, status == radius.AcctStop
		err = a.accounting.Add(r) // in this order; it never waits
	})
	if err != nil {
		g.log.Warn("an accounting record is lost", "session", l.id, "status", status.String(), "err", err)
	}
}

// used counts what went through all Child SAs of a session.
func (g *Gateway) used(l *live) (u radius.Usage) {
	g.table.update(func() { // as one: between the two a Child SA may go
		u = l.account.usage
		for _, spi := range l.children {
			u = g.plus(u, l, spi)
		}
	})
	return u
}

// plus adds what a Child SA has carried of a session.
func (g *Gateway) plus(u radius.Usage, l *live, spi uint32) radius.Usage {
	if st, ok := g.plane.Stats(spi); ok {
		before := l.before[spi]
		u.InOctets, u.OutOctets = u.InOctets+st.BytesIn-before.InOctets, u.OutOctets+st.BytesOut-before.OutOctets
		u.InPackets, u.OutPackets = u.InPackets+st.PacketsIn-before.InPackets, u.OutPackets+st.PacketsOut-before.OutPackets
	}
	return u
}

// childGone keeps the counts of a Child SA that the plane is about to forget.
func (g *Gateway) childGone(l *live, spi uint32) {
	g.table.update(func() {
		l.children = without(l.children, spi)
		a := l.account
		if a == nil {
			return
		}
		a.usage = g.plus(a.usage, l, spi)
		if st, ok := g.plane.Stats(spi); ok && st.LastInbound.After(a.heard) {
			a.heard = st.LastInbound
		}
	})
}

// closeAccount ends the account.
func (g *Gateway) closeAccount(l *live, ev ike.Closed) {
	a := l.account
	if a == nil {
		return
	}
	g.accounts.remove(l)
	g.table.update(func() {
		if a.cause == 0 {
			a.cause = g.causeOf(l, ev)
		}
	})
	g.tell(l, a, radius.AcctStop, time.Now())
}

// causeOf is a close in RADIUS' words (RFC 2866, Section 5.10).
func (g *Gateway) causeOf(l *live, ev ike.Closed) radius.TerminateCause {
	switch {
	case ev.Reason == ike.ClosedByPeer:
		return radius.CauseUserRequest
	case ev.Reason == ike.ClosedTimeout:
		return radius.CauseLostCarrier
	case ev.Reason == ike.ClosedExpired:
		return radius.CauseSessionTimeout
	case g.closing.Load(): // also where the peer did not answer the DELETE in time
		return radius.CauseNASReboot
	case ev.Reason == ike.ClosedByUs && l.replaced:
		return radius.CauseNASRequest
	case ev.Reason == ike.ClosedByUs:
		return radius.CauseAdminReset
	}
	return radius.CauseNASError
}

// keepAccounts looks at every account once a second until ctx ends.
func (g *Gateway) keepAccounts(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, l := range g.accounts.list() {
				g.keepAccount(l, now)
			}
		}
	}
}

// keepAccount ends a session whose time is up, and tells of one whose turn it
// is.
func (g *Gateway) keepAccount(l *live, now time.Time) {
	a := l.account
	var idle time.Duration
	var ended, due bool
	g.table.update(func() {
		idle, ended = a.idle, !a.ends.IsZero() && !now.Before(a.ends)
		if due = !a.next.IsZero() && !now.Before(a.next); due {
			a.plan(now)
		}
	})
	switch {
	case ended:
		g.end(l, radius.CauseSessionTimeout, "its time is up: the RADIUS server allowed "+now.Sub(l.since).Round(time.Second).String())
	case idle > 0 && now.Sub(l.since) > idle && g.silence(l, now) > idle:
		g.end(l, radius.CauseIdleTimeout, "it was silent for longer than the RADIUS server allows")
	case due:
		g.tell(l, a, radius.AcctInterim, now)
	}
}

// silence is how long nothing came from the peer.
func (g *Gateway) silence(l *live, now time.Time) time.Duration {
	last := l.since
	g.table.update(func() {
		if heard := l.account.heard; heard.After(last) {
			last = heard
		}
		for _, spi := range l.children {
			if st, ok := g.plane.Stats(spi); ok && st.LastInbound.After(last) {
				last = st.LastInbound
			}
		}
	})
	return now.Sub(last)
}

// end closes a session for a cause that its Stop tells.
func (g *Gateway) end(l *live, cause radius.TerminateCause, reason string) {
	g.table.update(func() { l.account.cause = cause })
	l.session.Do(ike.CloseSession{Reason: reason})
}

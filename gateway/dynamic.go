package gateway

import (
	"net/netip"

	"sallyport/protocol/ike"
	"sallyport/protocol/radius"
)

// change does what a realm's server asks of live sessions (RFC 5176): of all
// that fit, or of none.
func (g *Gateway) change(realm string, c *radius.Change) radius.ErrorCause {
	found := g.table.matching(func(l *live) bool {
		return l.account != nil && l.zone.config.RADIUS == realm && c.Match.Fits(l.identityForRADIUS())
	})
	if len(found) == 0 {
		return radius.CauseSessionNotFound
	}
	if c.Disconnect {
		for _, l := range found {
			g.table.update(func() {
				l.account.cause = radius.CauseAdminReset
				if c.Update.Class != nil {
					l.account.class = c.Update.Class
				}
			})
			l.session.Do(ike.CloseSession{Reason: "disconnected by the RADIUS server"})
		}
		return 0
	}
	for _, l := range found { // another group is another set of addresses and selectors: not of a live session
		if c.Update.FilterIDs != nil && (len(c.Update.FilterIDs) != 1 || c.Update.FilterIDs[0] != l.terms.group) {
			return radius.CauseUnsupportedAttribute
		}
	}
	for _, l := range found {
		g.table.update(func() { l.account.apply(l, &c.Update) })
	}
	return 0
}

// apply changes what a CoA request may. Times count from the beginning of the
// session.
func (a *account) apply(l *live, u *radius.Update) {
	if u.SessionTimeout != nil {
		a.ends = l.since.Add(*u.SessionTimeout)
	}
	if u.IdleTimeout != nil {
		a.idle = *u.IdleTimeout
	}
	if u.Interim != nil && *u.Interim != a.interim {
		a.interim = *u.Interim
		a.plan(l.since)
	}
	if u.Class != nil {
		a.class = u.Class
	}
}

// identityForRADIUS is what a session is found by; under the table's lock.
func (l *live) identityForRADIUS() *radius.SessionIdentity {
	a := l.account
	return &radius.SessionIdentity{
		UserName: a.record.UserName, CUI: a.record.CUI, SessionID: a.session,
		CallingStationID: l.remote.Addr().Unmap().String(), NASPortID: "ikev2",
		IPv4: a.record.IPv4, IPv6: append([]netip.Addr(nil), a.record.IPv6...),
	}
}

package gateway

import (
	"time"

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
	for _, l := range found {
		if cause := l.mayChange(&c.Update); cause != 0 {
			return cause
		}
	}
	for _, l := range found {
		g.table.update(func() { l.account.apply(l, &c.Update) })
	}
	return 0
}

// mayChange is 0, or why a CoA request cannot be followed while the session
// lives: another group is another set of addresses and selectors, and a client
// that was told when to prove itself anew (RFC 4478) cannot be told otherwise.
func (l *live) mayChange(u *radius.Update) radius.ErrorCause {
	if u.FilterIDs != nil && (len(u.FilterIDs) != 1 || u.FilterIDs[0] != l.terms.group) {
		return radius.CauseUnsupportedAttribute
	}
	told := l.admission.AuthLifetime
	if t := u.SessionTimeout; t != nil && told > 0 && (*t == 0 || *t > told) {
		return radius.CauseInvalidValue
	}
	return 0
}

// apply changes what a CoA request may. Times count from the beginning of the
// session; 0 is none.
func (a *account) apply(l *live, u *radius.Update) {
	if u.SessionTimeout != nil {
		if a.ends = (time.Time{}); *u.SessionTimeout > 0 {
			a.ends = l.since.Add(*u.SessionTimeout)
		}
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

// identityForRADIUS is what a session is found by: what its records say, though
// the peer may have moved since.
func (l *live) identityForRADIUS() *radius.SessionIdentity {
	a := l.account
	return &radius.SessionIdentity{
		UserName: a.record.UserName, CUI: a.record.CUI, SessionID: a.record.SessionID,
		CallingStationID: a.calling, CalledStationID: a.called, NASPortID: l.zone.config.Protocol,
		IPv4: a.record.IPv4, IPv6: a.record.IPv6,
	}
}

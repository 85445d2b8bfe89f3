package gateway

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

// Prefixes of what stands in a device's place for a user who proves a password,
// or whom a RADIUS server knows. No device name has a colon.
const (
	userPrefix   = "user:"   // then the name of a user of ours
	radiusPrefix = "radius:" // then the realm, a colon and the name that the server gave
)

const (
	// maxSeats is how many machines a user without limit may have at a time: each
	// holds addresses, and a password that is passed around shows.
	maxSeats = 16
	// seatHeld is how long a seat is kept for a login under way.
	seatHeld = 30 * time.Second
)

// seat is what stands in a device's place for the session of a user without
// one: one of the machines that the user may have at a time, for addresses and
// for make-before-break. claim and remote are the client's word alone, and only
// tell machines of one user apart: a login takes the seat of the session that
// it seems to come back to, else a free one, else the oldest. Two machines
// behind one NAT may claim the same, as some clients send the user's name: a
// session that is alive gives its seat up to its own port alone.
func (g *Gateway) seat(owner string, t *terms, claim ikemsg.ID, remote netip.AddrPort) (device string, err error) {
	now := time.Now()
	most := cmp.Or(t.limits.Sessions, maxSeats)
	taken := g.table.seats(owner, most)
	back := slices.IndexFunc(taken, func(l *live) bool {
		return l.claim == claim.String() && (g.remoteOf(l) == remote || !g.alive(l))
	})
	if back >= 0 {
		return taken[back].admission.Device, nil
	}
	for n := range most {
		if d := seatName(owner, n); g.table.hold(d, claim.String(), now) {
			return d, nil
		}
	}
	if t.limits.Rejects() || len(taken) == 0 {
		return "", refusal("disconnect one of them, or raise user.sessions of the zone or group", "%q has %d sessions already, which is the limit", ownerName(owner), most)
	}
	return slices.MinFunc(taken, func(a, b *live) int { return cmp.Compare(a.id, b.id) }).admission.Device, nil
}

// seatName is the name of a user's n-th seat.
func seatName(owner string, n int) string {
	if n == 0 {
		return owner
	}
	return fmt.Sprintf("%s#%d", owner, n+1)
}

// seatOwner is the user of a seat of ours.
func seatOwner(device string) (user string, ok bool) {
	rest, ok := strings.CutPrefix(device, userPrefix)
	user, _, _ = strings.Cut(rest, "#")
	return user, ok
}

// isSeat tells a seat from a device.
func isSeat(device string) bool {
	return strings.HasPrefix(device, userPrefix) || strings.HasPrefix(device, radiusPrefix)
}

// ownerName is whose seat it is, for a person.
func ownerName(owner string) string {
	if user, ok := seatOwner(owner); ok {
		return user
	}
	return owner
}

// judgedElsewhere tells whether a session came in on the word of servers whom
// its zone does not ask any more, as with a CA that is not trusted any more.
func judgedElsewhere(device string, z *zone) bool {
	rest, ok := strings.CutPrefix(device, radiusPrefix)
	realm, _, _ := strings.Cut(rest, ":")
	return ok && realm != z.config.RADIUS
}

// foreign tells whether somebody else keeps the record of a device: another CA,
// or a RADIUS server.
func foreign(device string) bool {
	return outsider(device) || strings.HasPrefix(device, radiusPrefix)
}

func (g *Gateway) remoteOf(l *live) (a netip.AddrPort) {
	g.table.update(func() { a = l.remote })
	return a
}

// full tells why a user may have no further session; empty: may. A session of
// the same device is replaced, and does not count.
func (g *Gateway) full(t *terms, device string) string {
	if t.user == "" || t.limits.Sessions == 0 || !t.limits.Rejects() {
		return ""
	}
	if n := g.table.others(t.user, device); n >= t.limits.Sessions {
		return fmt.Sprintf("the user %q has %d sessions on other devices already, which is the limit", t.user, n)
	}
	return ""
}

// thin ends what a user has above the limit, now that l is there: the oldest,
// or l itself where the zone rejects and two came at once.
func (g *Gateway) thin(l *live) {
	most := l.terms.limits.Sessions
	if l.terms.user == "" || most == 0 {
		return
	}
	if why := g.full(l.terms, l.admission.Device); why != "" {
		l.session.Do(ike.CloseSession{Reason: why})
		return
	}
	for _, o := range g.table.oldest(l, most) {
		g.table.supersede(o, fmt.Sprintf("replaced: the user %q may have %d sessions, and a newer one came", l.terms.user, most))
	}
}

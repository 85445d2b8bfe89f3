package gateway

import (
	"net/netip"
	"strings"

	"sallyport/protocol/ike/ikemsg"
)

// Prefixes of what stands in a device's place for a user who proves a password,
// or whom a RADIUS server knows. No device name has a colon.
const (
	userPrefix   = "user:"   // then the name of a user of ours
	radiusPrefix = "radius:" // then the realm, a colon and the name that the server gave
)

// seat is what stands in a device's place for the session of a user without
// one: a machine of the user's, for addresses and for make-before-break. claim
// and remote are its word alone, and only tell machines of one user apart.
func (g *Gateway) seat(owner string, t *terms, claim ikemsg.ID, remote netip.AddrPort) (device string, err error) {
	return owner, nil
}

// seatOwner is the user of a seat of ours.
func seatOwner(device string) (user string, ok bool) {
	rest, ok := strings.CutPrefix(device, userPrefix)
	user, _, _ = strings.Cut(rest, "#")
	return user, ok
}

// foreign tells whether somebody else keeps the record of a device: another CA,
// or a RADIUS server.
func foreign(device string) bool {
	return outsider(device) || strings.HasPrefix(device, radiusPrefix)
}

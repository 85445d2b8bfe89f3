// Package legacy is one peer of the legacy zone as one machine: IKEv1, the L2TP
// tunnel inside of its Child SAs, and the PPP link inside of that. It joins
// machines that do not know each other, and speaks to its runtime in the words
// of [ike.Session], so that a gateway sees a session like any other.
//
// # What proves what
//
// IKEv1 proves a machine, or with a group's pre-shared key nothing. The user is
// proved by EAP inside PPP, and only then is there an Established event. Until
// then the session is half-open: it may send and receive L2TP and PPP, and not
// one packet.
//
// # What stays when keys change
//
// The tunnel belongs to the peer and not to a Child SA (RFC 3193, Section 4.1):
// a new Child SA carries the same call, and a peer that runs main mode anew from
// the same place, as the same machine, goes on where it was ([engine.Join]).
//
// # Restarts
//
// A client that has crashed comes back with a new tunnel inside of what may be
// the old session. Then the session says Closed, and Established once more when
// the new link has authenticated. So it does when a client negotiates LCP anew
// in the call that is there: it may log in as somebody else.
package legacy

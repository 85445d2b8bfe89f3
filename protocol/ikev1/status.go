package ikev1

import (
	"net/netip"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// Dead tells that the session is over and can be dropped.
func (s *Session) Dead() bool { return s.phase == phaseDead }

// Role is our role in main mode.
func (s *Session) Role() Role { return s.role }

// Established is when the peer was authenticated; zero = not yet.
func (s *Session) Established() time.Time { return s.established }

// Cookies are those of the current ISAKMP SA, ours first; zero without one.
func (s *Session) Cookies() (ours, peers uint64) {
	if s.sa == nil {
		return 0, 0
	}
	if s.sa.initiator {
		return uint64(s.sa.cookieI), uint64(s.sa.cookieR)
	}
	return uint64(s.sa.cookieR), uint64(s.sa.cookieI)
}

// Suite is that of the current ISAKMP SA; zero without one.
func (s *Session) Suite() suite.IKE {
	if s.sa == nil {
		return suite.IKE{}
	}
	return s.sa.suite
}

// Method is how the peer authenticated.
func (s *Session) Method() suite.AuthMethod1 { return s.method }

// PeerKind is the fingerprint.
func (s *Session) PeerKind() PeerKind { return s.kind }

// Admission is who the peer is; nil before Established.
func (s *Session) Admission() *Admission { return s.admission }

// PeerID is the ID the peer authenticated with.
func (s *Session) PeerID() isakmp.ID { return s.peerID }

// Path is the current outer path.
func (s *Session) Path() (local, remote netip.AddrPort) { return s.path.local, s.path.remote }

// NAT tells which side is behind a NAT.
func (s *Session) NAT() (local, remote bool) { return s.natLocal, s.natRemote }

// LastHeard is when an authenticated message of the peer was last seen here.
func (s *Session) LastHeard() time.Time { return s.lastHeard }

// Counts are the messages that changed nothing.
func (s *Session) Counts() Counts { return s.counts }

// SAs are the ESP SAs.
func (s *Session) SAs() []SAStatus {
	var all []SAStatus
	for _, c := range s.children {
		all = append(all, SAStatus{SPIIn: c.spiIn, SPIOut: c.spiOut, Suite: c.suite, Created: c.created, Expires: c.expireAt, Outbound: c.spiIn == s.outbound})
	}
	return all
}

// Adopt takes over the ISAKMP and ESP SAs of an older session of the same peer:
// the same identity, on the same outer path. The older one is Dead afterwards
// without a Closed event, its cookies and SPIs are this session's, and nothing
// is deleted. The caller makes sure that both were admitted as the same. It is
// false, and nothing changes, when the two do not fit.
func (s *Session) Adopt(old *Session, now time.Time, out *Out) bool {
	if s == old || s.phase != phaseUp || old.phase != phaseUp || s.path != old.path || string(s.peerID.Octets()) != string(old.peerID.Octets()) {
		return false
	}
	if s.contact {
		old.abandoned(now, out)
	}
	for _, c := range old.children {
		s.serial++
		c.serial = s.serial
	}
	// What this session made itself is newer.
	for _, c := range s.children {
		s.serial++
		c.serial = s.serial
	}
	s.children = append(old.children, s.children...)
	if s.outbound == 0 {
		s.outbound = old.outbound
	}
	for _, sa := range old.isakmpSAs() {
		if sa.up() {
			// strongSwan waits for the responder to delete what it has replaced, and
			// cannot connect anew before.
			sa.dropAt, sa.rekeyAt = now.Add(lingerOld), time.Time{}
			s.old = append([]*isakmpSA{sa}, s.old...)
			out.Events = append(out.Events, CookieAdded{uint64(sa.ours())})
		} else {
			old.dropISAKMP(now, sa, out)
		}
	}
	for len(s.old) > maxOld {
		s.retire(now, s.old[0], out)
	}
	for _, q := range old.quicks {
		if q.sa.up() && q.answer != nil && len(s.quicks) < maxQuicks { // a job of the older one ends with it
			s.quicks = append(s.quicks, q)
		} else {
			s.wantAgain(q)
		}
	}
	old.phase = phaseDead
	old.forgetAll()
	s.advance(now, out)
	return true
}

// abandoned: the peer has said INITIAL-CONTACT, and knows nothing of what this
// session has (RFC 2407, Section 4.6.3.3). Kept, it would hold the session up
// when the peer has left in order.
func (s *Session) abandoned(now time.Time, out *Out) {
	for _, c := range s.children {
		out.Events = append(out.Events, SADown{c.spiIn, "the peer began anew"})
	}
	for _, sa := range s.isakmpSAs() {
		s.dropISAKMP(now, sa, out)
	}
	s.quicks, s.children, s.outbound = nil, nil, 0
}

package legacy

import (
	"net/netip"

	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Path is the current outer path.
func (s *Session) Path() (local, remote netip.AddrPort) { return s.path[0], s.path[1] }

// NAT tells which side is behind a NAT.
func (s *Session) NAT() (local, remote bool) { return s.ike.NAT() }

// SPIs are the cookies of the current ISAKMP SA.
func (s *Session) SPIs() (ours, peers ikemsg.SPI) {
	o, p := s.ike.Cookies()
	return ikemsg.SPI(o), ikemsg.SPI(p)
}

// PeerKind is the fingerprint of the peer.
func (s *Session) PeerKind() ike.PeerKind { return s.kind }

// Suite is that of the current ISAKMP SA.
func (s *Session) Suite() suite.IKE { return s.suite }

// Leased are the addresses of the peer.
func (s *Session) Leased() ike.Leased {
	if s.call == nil {
		return ike.Leased{}
	}
	return s.call.leased
}

// Children appends the Child SAs, with the selectors of the call inside.
func (s *Session) Children(to []ike.ChildStatus) []ike.ChildStatus {
	for _, a := range s.sas {
		if s.call != nil && s.call.carried != nil {
			a.TSLocal, a.TSRemote = s.call.carried.Local, s.call.carried.Remote
		}
		to = append(to, a)
	}
	return to
}

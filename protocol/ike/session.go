package ike

import (
	"net/netip"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Session is one peer: an IKE SA, the IKE SAs that replace it by rekeying, and
// its Child SAs. It is not safe for concurrent use.
type Session struct{}

// NewResponder answers first, an IKE_SA_INIT request that a Front accepted.
// When the request is refused, the session is Dead at once and out holds the
// answer.
func NewResponder(cfg *Config, now time.Time, first Datagram, out *Out) *Session { return nil }

// NewInitiator starts a set-up.
func NewInitiator(cfg *Config, c Connect, now time.Time, out *Out) *Session { return nil }

// Receive takes one IKE datagram that carries one of our SPIs, or a
// retransmitted IKE_SA_INIT of this session's peer. d.Data is not kept.
func (s *Session) Receive(now time.Time, d Datagram, out *Out) {}

// Timeout does what is due at now.
func (s *Session) Timeout(now time.Time, out *Out) {}

// Done takes the answer to the outstanding job; any other is ignored.
func (s *Session) Done(now time.Time, r Result, out *Out) {}

// Do takes a command.
func (s *Session) Do(now time.Time, c Command, out *Out) {}

// Deadline is when Timeout wants to be called next; zero = never.
func (s *Session) Deadline() time.Time { return time.Time{} }

// Dead tells that the session is over: its Closed event is out, and it can be
// dropped.
func (s *Session) Dead() bool { return false }

// Role is our role in the first IKE_SA_INIT.
func (s *Session) Role() Role { return 0 }

// Established is when authentication was complete; zero = not yet.
func (s *Session) Established() time.Time { return time.Time{} }

// SPIs are those of the current IKE SA, ours first.
func (s *Session) SPIs() (ours, peers ikemsg.SPI) { return 0, 0 }

// Suite is that of the current IKE SA; zero before IKE_SA_INIT is done.
func (s *Session) Suite() suite.IKE { return suite.IKE{} }

// PeerKind is the fingerprint as far as known.
func (s *Session) PeerKind() PeerKind { return 0 }

// Admission is who the peer is; nil before Established.
func (s *Session) Admission() *Admission { return nil }

// PeerID is the ID the peer authenticated with.
func (s *Session) PeerID() ikemsg.ID { return ikemsg.ID{} }

// Leased is what a responder assigned to the peer, or an initiator was given.
func (s *Session) Leased() Leased { return Leased{} }

// Path is the current outer path.
func (s *Session) Path() (local, remote netip.AddrPort) { return }

// NAT tells which side is behind a NAT, as far as detected.
func (s *Session) NAT() (local, remote bool) { return }

// Children appends the status of each Child SA.
func (s *Session) Children(to []ChildStatus) []ChildStatus { return to }

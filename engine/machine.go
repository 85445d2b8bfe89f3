package engine

import (
	"net/netip"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Machine is what a shard runs for one peer. [ike.Session] is one; builds with
// the legacy zone have another, which a [Legacy] makes. It is called from one
// event loop, with what [ike.Session] promises for each method.
type Machine interface {
	Receive(now time.Time, d ike.Datagram, out *ike.Out)
	Timeout(now time.Time, out *ike.Out)
	Done(now time.Time, r ike.Result, out *ike.Out)
	Do(now time.Time, c ike.Command, out *ike.Out)
	Deadline() time.Time
	Dead() bool
	Release()

	// For those who look on.
	Path() (local, remote netip.AddrPort)
	NAT() (local, remote bool)
	SPIs() (ours, peers ikemsg.SPI)
	PeerKind() ike.PeerKind
	Suite() suite.IKE
	Leased() ike.Leased
	Children(to []ike.ChildStatus) []ike.ChildStatus
}

// Legacy makes the machines of IKE version 1, in builds that have them.
type Legacy interface {
	// First judges a datagram of version 1 that names no session of ours. Readers
	// call it, concurrently; it keeps nothing of d. Cost is as in [ike.Verdict].
	First(now time.Time, d ike.Datagram) (cost int, ok bool)
	// New makes the machine for what First let through.
	New(ids IDs, now time.Time, first ike.Datagram, out *ike.Out) Machine
}

// IDs are a shard's: cookies and SPIs lead back to it.
type IDs struct {
	Cookie   func() ikemsg.SPI
	ChildSPI func() uint32
	Heard    func(spiIn uint32) time.Time // as in [ike.Config]
}

// InnerMessage is the value of an [ike.Extra]: as a command an L2TP message
// that came inside of a Child SA, as an event one to send.
type InnerMessage struct {
	SPIIn uint32
	Port  uint16 // the peer's inner UDP port
	Data  []byte
}

// Join is the value of an [ike.Extra] event: the machine's peer has proved to
// be the one of that key. When another machine of the same shard has said so
// before and lives, that one absorbs this one. First messages of one source
// address go to one shard, so that a peer that authenticates anew meets itself.
// A machine whose peer has moved says its new key.
type Join struct{ Key string }

// absorber is a machine that can take over what a newer one of the same peer
// has agreed on. From then on the newer one's datagrams come to it, and the
// results of its jobs, under numbers that the two do not share. It is false, and
// nothing has changed, when it cannot.
type absorber interface {
	Absorb(now time.Time, newer Machine, out *ike.Out) bool
}

var _ Machine = (*ike.Session)(nil)

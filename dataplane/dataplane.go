// Package dataplane is what moves packets once IKE has agreed on keys: the
// interface, its values, and Null, the plane that moves nothing.
//
// Packets never pass through the event loops. The engine tells the plane which
// security associations exist (Apply); the plane tells the engine what only it
// can see (Events): first traffic, spent lifetimes, a peer that moved.
package dataplane

import (
	"net/netip"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// Encap is how ESP travels.
type Encap uint8

// Forced UDP encapsulation is the default: one socket path serves NAT and no
// NAT alike (RFC 3948). Raw is IP protocol 50, for peers that insist.
const (
	UDP Encap = iota
	Raw
)

// ChildSA is one pair of ESP security associations, as IKE agreed on it.
// It is immutable once given to a plane; only the limits of its Rate may change.
type ChildSA struct {
	SPIIn  uint32 // chosen by us; the key of this Child SA everywhere
	SPIOut uint32 // chosen by the peer

	Suite         suite.ESP
	KeyIn, KeyOut secret.Bytes // per direction: encryption key with salt, then integrity key

	Local, Remote netip.AddrPort // outer addresses as of now
	Encap         Encap

	// TSLocal and TSRemote are the negotiated selectors from our side. An inner
	// packet that arrives must come from TSRemote and go to TSLocal; that is the
	// inner source check (the assigned address is the only TSRemote of a device).
	TSLocal, TSRemote []ikemsg.TrafficSelector

	Replay Window
	Limits Limits
	Rate   *Rate // of the session, shared with its other Child SAs; nil: no limit

	// Transport marks a Child SA in transport mode, which protects UDP port 1701
	// and nothing else (RFC 3193). It carries L2TP: TSLocal and TSRemote are not
	// used, and packets flow as long as it has a Call.
	Transport bool
	Call      *Call

	// Device names the TUN device of the session's packets; empty: the first one.
	// Devices do not know each other's Child SAs: a packet from one never leaves
	// through a Child SA of another.
	Device string

	// Outbound tells whether traffic to TSRemote uses this Child SA at once. The
	// responder of a rekey installs the inbound half first and switches on the
	// peer's DELETE or its first packet (RFC 7296, Section 2.8).
	Outbound bool
}

// Call is an L2TP call with an open PPP link (RFC 2661; RFC 1661), all of a
// session's Child SAs sharing the one value: a rekey changes keys and nothing
// inside. It is immutable.
type Call struct {
	LocalPort, RemotePort uint16 // inner UDP ports: ours, and the one the peer's L2TP comes from
	Tunnel, Session       uint16 // ours: what the peer's data messages carry
	PeerTunnel            uint16 // the peer's: what ours carry
	PeerSession           uint16
	Sequenced             bool  // the peer requires Ns in data messages (RFC 2661, Section 5.4)
	ShortProtocol         bool  // the peer takes PPP protocol numbers of one octet (RFC 1661, Section 6.5)
	ShortAddress          bool  // and frames without address and control (Section 6.6)
	MTU                   int   // largest inner packet that the peer takes: its MRU; 0: the default of 1500
	Rate                  *Rate // of the session; nil: no limit
	// Local and Remote are what TSLocal and TSRemote are to a tunnel: an inner
	// packet that arrives must come from Remote and go to Local.
	Local, Remote []ikemsg.TrafficSelector
}

// Window is an anti-replay window in packets; 0 means DefaultWindow.
type Window uint32

// DefaultWindow is large enough for multi-queue senders (RFC 6479).
const DefaultWindow Window = 4096

// Limits end a Child SA by volume. Zero fields mean no limit of that kind; the
// plane always stops before a sequence number would repeat. Time limits belong
// to the IKE machine, and Expires is the plane's own last line: past it, no
// packet is sealed or opened even if the control side is stuck.
type Limits struct {
	SoftBytes, HardBytes     uint64
	SoftPackets, HardPackets uint64
	Expires                  time.Time
}

// Change is one step of Apply.
type Change interface{ change() }

// Add installs a Child SA, inbound half first, so that no packet of the peer
// can arrive before its keys.
type Add struct{ SA ChildSA }

// UseOutbound switches outbound traffic of these selectors to this Child SA.
type UseOutbound struct{ SPIIn uint32 }

// Remove deletes a Child SA and clears its keys.
type Remove struct{ SPIIn uint32 }

// Move changes the outer addresses after MOBIKE or an authenticated NAT
// rebinding.
type Move struct {
	SPIIn         uint32
	Local, Remote netip.AddrPort
}

// SetCall opens a call on a Child SA in transport mode, or closes it with nil.
// Outbound traffic to the call's Remote uses the Child SA at once when that is
// the one in use outbound.
type SetCall struct {
	SPIIn uint32
	Call  *Call
}

func (Add) change()         {}
func (UseOutbound) change() {}
func (Remove) change()      {}
func (Move) change()        {}
func (SetCall) change()     {}

// EventKind says what the plane saw.
type EventKind uint8

// What only the plane can see.
const (
	FirstInbound EventKind = iota + 1 // first authenticated packet on this Child SA
	SoftLimit                         // rekey now; sent once per Child SA
	HardLimit                         // the plane stopped using this Child SA; sent once
	PeerMoved                         // authenticated packet, newer than the window, from another outer address
)

// Event is one observation, keyed by the inbound SPI.
type Event struct {
	Kind   EventKind
	SPIIn  uint32
	Remote netip.AddrPort // for PeerMoved: where the packet came from
}

// Stats are the counters of one Child SA. Bytes are inner packet octets.
type Stats struct {
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64
	LastInbound           time.Time // zero: nothing yet; granularity one second
	ReplayDrops           uint64
	AuthDrops             uint64
	SelectorDrops         uint64
	RateDrops             uint64 // above the session's Rate; those that came in are in PacketsIn and BytesIn too
}

// Plane moves packets. Apply and Stats may be called from any goroutine.
type Plane interface {
	// Apply makes the changes in order. It returns the first error and leaves
	// the changes before it in force.
	Apply(...Change) error
	// Stats reports one Child SA; false when it does not exist.
	Stats(spiIn uint32) (Stats, bool)
	// Close stops the workers and clears every key.
	Close() error
}

// Control carries IKE past the plane, because both share UDP port 4500. The
// userspace plane and the engine's own sockets implement it.
type Control interface {
	// SendIKE sends one IKE message; on port 4500 the non-ESP marker is added
	// here (RFC 3948, Section 2.2).
	SendIKE(local, remote netip.AddrPort, msg []byte) error
}

// Inner carries L2TP past the plane: what a Child SA in transport mode brought
// and the plane does not move itself, and the answers. The userspace plane
// implements it.
type Inner interface {
	// SendInner seals one L2TP message into the Child SA, as a UDP datagram from
	// port 1701 to that port.
	SendInner(spiIn uint32, port uint16, msg []byte) error
}

// Upcalls are what a plane calls. They must not block; msg is only valid
// during the call.
type Upcalls struct {
	IKE   func(local, remote netip.AddrPort, msg []byte)
	Event func(Event)
	// Inner takes an L2TP message of a Child SA in transport mode that is no
	// packet of its Call: a control message, a PPP frame of another protocol than
	// IP, and what a host asks its link about (DHCP, router solicitation). Port is
	// the inner source port. The plane bounds how many
	// come of one Child SA.
	Inner func(spiIn uint32, port uint16, msg []byte)
}

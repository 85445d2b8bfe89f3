package userspace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"

	"sallyport/dataplane"
)

// cargo is what a Child SA carries: the packets of its selectors, bare in
// tunnel mode, as PPP frames of an L2TP call in transport mode. All Child SAs of
// a session share the cargo of its call, as they share the call.
type cargo struct {
	local, remote selectors
	mtu           int             // largest packet, however wide the path
	rate          *dataplane.Rate // nil: no limit

	// For a call alone:
	call   *dataplane.Call // nil: packets travel bare
	users  int             // Child SAs that carry it; under the plane's mu
	size   int             // octets in front of each packet
	header [maxPrefix]byte
	ns     *atomic.Uint32 // of the next data message; nil: they are not numbered
}

func bareCargo(local, remote selectors, rate *dataplane.Rate) *cargo {
	return &cargo{local: local, remote: remote, mtu: math.MaxInt, rate: rate}
}

// callCargo makes the octets that precede each packet of a call: UDP, L2TP
// (RFC 2661, Section 3.1) and PPP (RFC 1661, Section 2). The Length field is
// left out as Windows and Apple leave it out, but for numbered messages.
func callCargo(c *dataplane.Call) *cargo {
	g := &cargo{local: c.Local, remote: c.Remote, mtu: c.MTU, rate: c.Rate, call: c}
	if g.mtu == 0 {
		g.mtu = defaultMRU
	}
	h := g.header[:0]
	h = binary.BigEndian.AppendUint16(h, c.LocalPort)
	h = binary.BigEndian.AppendUint16(h, c.RemotePort)
	h = append(h, 0, 0, 0, 0) // UDP length and checksum
	if c.Sequenced {
		h = binary.BigEndian.AppendUint16(h, l2tpLength|l2tpSequence|l2tpVersion)
		h = append(h, 0, 0)
	} else {
		h = binary.BigEndian.AppendUint16(h, l2tpVersion)
	}
	h = binary.BigEndian.AppendUint16(h, c.PeerTunnel)
	h = binary.BigEndian.AppendUint16(h, c.PeerSession)
	if c.Sequenced {
		h = append(h, 0, 0, 0, 0) // Ns and Nr
		g.ns = new(atomic.Uint32)
	}
	if !c.ShortAddress {
		h = append(h, pppAddress, pppControl)
	}
	if !c.ShortProtocol {
		h = append(h, 0)
	}
	g.size = len(append(h, pppIPv4))
	return g
}

// defaultMRU is what every PPP peer takes (RFC 1661, Section 6.1).
const defaultMRU = 1500

// maxPrefix is the longest header: UDP, L2TP with Length, Ns and Nr, PPP.
const maxPrefix = udpHeaderSize + 12 + 4

// Offsets in the header of a call, for what differs from packet to packet.
const (
	udpLengthAt   = 4
	udpChecksumAt = 6
	l2tpLengthAt  = udpHeaderSize + 2 // both only when messages are numbered
	l2tpNsAt      = udpHeaderSize + 8
)

// put writes the header in front of the packet that stands in b behind room
// for it.
func (g *cargo) put(b []byte, v6 bool, ns uint32) {
	copy(b, g.header[:g.size])
	binary.BigEndian.PutUint16(b[udpLengthAt:], uint16(len(b)))
	if v6 {
		b[g.size-1] = pppIPv6
	} else {
		b[g.size-1] = pppIPv4
	}
	if g.ns != nil {
		binary.BigEndian.PutUint16(b[l2tpLengthAt:], uint16(len(b)-udpHeaderSize))
		binary.BigEndian.PutUint16(b[l2tpNsAt:], uint16(ns))
	}
}

// number takes n numbers for data messages, and returns the first.
func (g *cargo) number(n int) uint32 {
	if g.ns == nil {
		return 0
	}
	return g.ns.Add(uint32(n)) - uint32(n)
}

// next is the ESP next header of a packet.
func (g *cargo) next(in *inner) uint8 {
	if g.size > 0 {
		return protoUDP
	}
	return in.nextHeader()
}

// ecn is the outer ECN field of a packet. No L2TP client is known to carry a
// mark inwards when it opens a packet, so none may be set on the way (RFC 6040,
// Section 4.3, compatibility mode).
func (g *cargo) ecn(in *inner) uint8 {
	if g.size > 0 {
		return notECT
	}
	return in.tos & ecnMask
}

// limit is the largest packet of one family that goes on pa in one piece.
// IPv6 takes 1280 octets for granted.
func (g *cargo) limit(pa *path, v6 bool) int {
	n := max(0, pa.payload-g.size)
	if v6 {
		n = max(n, minIPv6MTU)
	}
	return min(n, g.mtu)
}

// prefixes are the routes to what g carries; none for a call that is not there.
func (g *cargo) prefixes() []netip.Prefix {
	if g == nil {
		return nil
	}
	return g.remote.prefixes()
}

func checkCall(c *dataplane.Call) error {
	switch {
	case c.Tunnel == 0 || c.Session == 0 || c.PeerTunnel == 0 || c.PeerSession == 0:
		return errors.New("a call has no tunnel or session zero (RFC 2661, Section 3.1)")
	case c.LocalPort == 0 || c.RemotePort == 0:
		return errors.New("a call needs both UDP ports")
	case c.MTU < 0 || c.MTU > math.MaxUint16:
		return fmt.Errorf("a call with an MTU of %d", c.MTU)
	}
	return nil
}

// hold returns the cargo of c for one more Child SA. A call that takes the
// place of old goes on with its numbers when it is the same session.
func (p *Plane) hold(c *dataplane.Call, old *cargo) *cargo {
	g := p.calls[c]
	if g == nil {
		g = callCargo(c)
		if old != nil && old.ns != nil && g.ns != nil && old.call.Tunnel == c.Tunnel && old.call.Session == c.Session {
			g.ns = old.ns
		}
		p.calls[c] = g
	}
	g.users++
	return g
}

// release gives back what hold gave.
func (p *Plane) release(g *cargo) {
	if g == nil || g.call == nil {
		return
	}
	if g.users--; g.users == 0 {
		delete(p.calls, g.call)
	}
}

// setCall opens, changes or closes the call of sa. Workers see the old call or
// the new one, and a packet between the two meets a Child SA without a call.
func (p *Plane) setCall(sa *childSA, c *dataplane.Call) error {
	if !sa.transport {
		return fmt.Errorf("userspace: Child SA %08x is in tunnel mode and takes no call", sa.spiIn)
	}
	old := sa.cargo.Load()
	var g *cargo
	if c != nil {
		if err := checkCall(c); err != nil {
			return fmt.Errorf("userspace: Child SA %08x: %w", sa.spiIn, err)
		}
		g = p.hold(c, old)
		if g.ns != nil && old == nil && g.users == 1 {
			g.ns.Store(sa.out.ns.Load())
		}
	}
	sa.cargo.Store(g)
	if sa.used != 0 {
		sa.device.routes.set(sa, old.prefixes(), g.prefixes())
	}
	p.release(old)
	return nil
}

package simnet

import (
	"fmt"
	"net/netip"
	"time"
)

// NAT is a port-translating box as in homes: one outside port for each inside
// address and port whatever the destination, and nothing comes in but from
// where something went out to.
type NAT struct {
	// Idle is how long a mapping lives after the last datagram from inside;
	// zero for ever.
	Idle time.Duration

	net      *Network
	outside  netip.Addr
	nextPort uint16
	inside   map[netip.AddrPort]*mapping
	ports    map[uint16]*mapping
}

type mapping struct {
	inside netip.AddrPort
	port   uint16
	used   time.Time
	peers  map[netip.AddrPort]bool
}

// firstPort is where outside ports begin: not one that IKE uses itself.
const firstPort = 20000

// NAT attaches a box whose outside address is public.
func (n *Network) NAT(outside netip.Addr) *NAT {
	nat := &NAT{net: n, nextPort: firstPort}
	nat.Rebind(outside, 0)
	return nat
}

// Rebind forgets every mapping, as a reboot does. New ones stand at outside (a
// zero address for the same as before) and take ports from port on (0 to go on
// with unused ones).
func (t *NAT) Rebind(outside netip.Addr, port uint16) {
	if outside.IsValid() {
		delete(t.net.nats, t.outside)
		if t.net.nats[outside] != nil {
			panic(fmt.Sprintf("simnet: two NATs at %v", outside))
		}
		t.outside = outside
		t.net.nats[outside] = t
	}
	if port != 0 {
		t.nextPort = port
	}
	t.inside = make(map[netip.AddrPort]*mapping)
	t.ports = make(map[uint16]*mapping)
}

// out translates the source of a datagram that leaves.
func (t *NAT) out(now time.Time, from, to netip.AddrPort) netip.AddrPort {
	m := t.inside[from]
	if m == nil || t.expired(now, m) {
		m = &mapping{inside: from, port: t.nextPort, peers: make(map[netip.AddrPort]bool)}
		t.nextPort++
		t.inside[from] = m
		t.ports[m.port] = m
	}
	m.used = now
	m.peers[to] = true
	return netip.AddrPortFrom(t.outside, m.port)
}

// in translates the destination of a datagram that arrives, if it may enter.
func (t *NAT) in(now time.Time, from, to netip.AddrPort) (inside netip.AddrPort, ok bool) {
	m := t.ports[to.Port()]
	if m == nil || t.expired(now, m) || !m.peers[from] {
		return netip.AddrPort{}, false
	}
	return m.inside, true
}

func (t *NAT) expired(now time.Time, m *mapping) bool {
	return t.Idle > 0 && now.Sub(m.used) >= t.Idle
}

package ike

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

// natHash is the content of NAT_DETECTION_*_IP (RFC 7296, Section 2.23).
// SHA-1 is fixed by the RFC and hides nothing here; it only compares.
func natHash(spiI, spiR ikemsg.SPI, a netip.AddrPort) []byte {
	b := make([]byte, 0, 34)
	b = binary.BigEndian.AppendUint64(b, uint64(spiI))
	b = binary.BigEndian.AppendUint64(b, uint64(spiR))
	b = append(b, a.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, a.Port())
	sum := sha1.Sum(b)
	return sum[:]
}

// natPayloads tell the peer where we think that both ends are. When the
// policy forces UDP encapsulation, our source is a lie, and the peer finds a
// NAT where there is none.
func (s *Session) natPayloads(spiI, spiR ikemsg.SPI, p path) []ikemsg.Payload {
	source := natHash(spiI, spiR, p.local)
	if s.cfg.Policy.ForceEncap {
		s.cfg.random(source)
	}
	return []ikemsg.Payload{
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionSourceIP, Data: source},
		&ikemsg.Notify{Type: ikemsg.NotifyNATDetectionDestinationIP, Data: natHash(spiI, spiR, p.remote)},
	}
}

// detectNAT compares the peer's hashes with the path on which they came. A
// peer may send several sources, one per address it has. It reports whether
// the peer can do NAT traversal at all.
func (s *Session) detectNAT(spiI, spiR ikemsg.SPI, ps []ikemsg.Payload, p path) bool {
	var source, destination, sourceFits, destinationFits bool
	for n := range ikemsg.All[*ikemsg.Notify](ps) {
		switch n.Type {
		case ikemsg.NotifyNATDetectionSourceIP:
			source = true
			sourceFits = sourceFits || bytes.Equal(n.Data, natHash(spiI, spiR, p.remote))
		case ikemsg.NotifyNATDetectionDestinationIP:
			destination = true
			destinationFits = destinationFits || bytes.Equal(n.Data, natHash(spiI, spiR, p.local))
		}
	}
	if !source || !destination {
		return false
	}
	s.natRemote, s.natLocal = !sourceFits, !destinationFits
	s.encap = s.natRemote || s.natLocal || s.cfg.Policy.ForceEncap
	return true
}

func addrPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

// armKeepalive starts keepalives when we are the one behind the NAT (RFC
// 3948, Section 4).
func (s *Session) armKeepalive(now time.Time) {
	if s.natLocal && s.phase == phaseUp {
		s.keepalive = now.Add(s.cfg.Policy.keepalive())
	} else {
		s.keepalive = time.Time{}
	}
}

var keepaliveData = []byte{0xff}

func (s *Session) sendKeepalive(now time.Time, out *Out) {
	out.Send = append(out.Send, Datagram{Local: s.path.local, Remote: s.path.remote, Data: keepaliveData, Keepalive: true})
	s.armKeepalive(now)
}

// follow moves to where an authentic new message came from, if this peer may
// move like that (RFC 7296, Section 2.23; trap 20): it is behind a NAT, we are
// not (else an attacker on the path could turn us around), and MOBIKE does not
// govern its addresses.
func (s *Session) follow(p path, out *Out) {
	if p.remote == s.path.remote || !s.natRemote || s.natLocal || s.mobike || s.phase != phaseUp {
		return
	}
	s.moveTo(path{s.path.local, p.remote}, out)
}

// moveTo changes the path of the IKE SA and of its Child SAs.
func (s *Session) moveTo(p path, out *Out) {
	s.path = p
	s.moveChildren(p, out)
}

func (s *Session) moveChildren(p path, out *Out) {
	m := Moved{Local: p.local, Remote: p.remote, Encap: s.encap}
	for _, c := range s.children {
		if c.installed {
			m.Children = append(m.Children, c.spiIn)
		}
	}
	out.Events = append(out.Events, m)
}

// planeEvent takes what the data plane saw on an authenticated ESP packet.
func (s *Session) planeEvent(now time.Time, e PlaneEvent, out *Out) {
	c := s.childIn(e.SPIIn)
	if c == nil {
		return
	}
	switch e.Kind {
	case FirstInbound:
		s.heard(now)
		c.unproven = time.Time{}
		s.switchOutbound(c, out)
	case SoftLimit:
		if c.state == childLive && c.want == wantNothing && s.mayRekey(c) {
			c.want = wantRekey
		}
	case HardLimit:
		if c.state == childLive {
			c.want = wantDelete
		}
	case PeerMoved:
		s.heard(now)
		if e.Remote.IsValid() {
			s.follow(path{s.path.local, e.Remote}, out)
		}
	}
}

package ikev1

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"sallyport/protocol/ikev1/isakmp"
)

// natHash is the content of NAT-D: the negotiated hash over cookies, address
// and port (RFC 3947, Section 3.2). It hides nothing; it only compares.
func (sa *isakmpSA) natHash(a netip.AddrPort) []byte {
	prf, err := sa.prf()
	if err != nil {
		return nil
	}
	port := binary.BigEndian.AppendUint16(nil, a.Port())
	return prf.Hash(cookies(sa.cookieI, sa.cookieR), a.Addr().Unmap().WithZone("").AsSlice(), port)
}

// natPayloads tell the peer where we think that both ends are: it first, then
// we. To force UDP encapsulation one of them is a lie: a responder's is about
// the peer, so that this believes itself behind a NAT. A lie about the server
// would stop Windows.
func (s *Session) natPayloads(sa *isakmpSA) []isakmp.Payload {
	if sa.natt == nattNone {
		return nil
	}
	remote, local := sa.natHash(s.path.remote), sa.natHash(s.path.local)
	if s.cfg.Policy.ForceEncap && !s.natLocal && !s.natRemote {
		lie := local
		if s.role == Responder {
			lie = remote
		}
		s.cfg.random(lie)
		s.encap = true
	}
	draft := sa.natt == nattDraft
	return []isakmp.Payload{&isakmp.NATD{Draft: draft, Hash: remote}, &isakmp.NATD{Draft: draft, Hash: local}}
}

// detectNAT compares the peer's hashes with the path on which they came. The
// first is how the peer sees us, the others are addresses that it has.
func (s *Session) detectNAT(sa *isakmpSA, ps []isakmp.Payload, p path) {
	var all []*isakmp.NATD
	for n := range isakmp.All[*isakmp.NATD](ps) {
		if n.Draft == (sa.natt == nattDraft) {
			all = append(all, n)
		}
	}
	if sa.natt == nattNone || len(all) < 2 {
		sa.natt = nattNone // it said that it could, and does not
		return
	}
	s.natLocal, s.natRemote = !bytes.Equal(all[0].Hash, sa.natHash(p.local)), true
	for _, n := range all[1:] {
		if bytes.Equal(n.Hash, sa.natHash(p.remote)) {
			s.natRemote = false
		}
	}
	s.encap = s.encap || s.natLocal || s.natRemote
}

// floatPorts moves an initiator to port 4500 when there is a NAT (RFC 3947,
// Section 4).
func (s *Session) floatPorts(sa *isakmpSA) {
	if sa.natt == nattNone || !s.encap {
		s.encap = false
		return
	}
	port := func(p uint16) uint16 {
		if p == 0 {
			return nattPort
		}
		return p
	}
	s.path.local = netip.AddrPortFrom(s.path.local.Addr(), port(s.connect.NATTLocal))
	s.path.remote = netip.AddrPortFrom(s.path.remote.Addr(), port(s.connect.NATTRemote))
}

// originals are the NAT-OA payloads of quick mode: what we call both ends (RFC
// 3947, Section 5.2).
func (s *Session) originals(sa *isakmpSA, initiator bool) []isakmp.Payload {
	i, r := s.path.local.Addr().Unmap(), s.path.remote.Addr().Unmap()
	if !initiator {
		i, r = r, i
	}
	draft := sa.natt == nattDraft
	return []isakmp.Payload{&isakmp.NATOA{Draft: draft, Addr: i.WithZone("")}, &isakmp.NATOA{Draft: draft, Addr: r.WithZone("")}}
}

// armKeepalive starts keepalives when we are the one behind the NAT (RFC 3948,
// Section 4), or the one who was made to believe it.
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

// mayMove: only a peer behind a NAT changes its address, and only when we are
// not behind one, else somebody on the way could turn us around (RFC 7296,
// Section 2.23, says of IKEv2 what RFC 3947 leaves open).
func (s *Session) mayMove() bool { return s.natRemote && !s.natLocal && s.phase == phaseUp }

// follow moves to where the peer was heard. The caller is sure that what came
// from there is new: a replayed message must not turn us around (trap 20).
func (s *Session) follow(remote netip.AddrPort, out *Out) {
	if remote == s.path.remote || !s.mayMove() {
		return
	}
	s.path.remote = remote
	m := Moved{Local: s.path.local, Remote: remote}
	for _, c := range s.children {
		m.SPIs = append(m.SPIs, c.spiIn)
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
		s.confirmed(now, c, out)
	case SoftLimit:
		if c.state == childLive {
			c.rekeyAt, c.due = time.Time{}, true
		}
	case HardLimit:
		s.deleteChild(now, c, "volume limit reached", out)
	case PeerMoved:
		s.heard(now)
		if e.Remote.IsValid() {
			s.follow(e.Remote, out)
		}
	}
}

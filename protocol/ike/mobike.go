package ike

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

// move is MOBIKE work that is due (RFC 4555).
type move struct {
	update bool // initiator: tell the new path
	check  bool // responder: see whether the peer is where it says
	again  bool // one of them was under way on an IKE SA that was replaced
	seen   []byte
}

func (s *Session) moving() *move {
	if s.move == nil {
		s.move = &move{}
	}
	return s.move
}

func (m *move) due() bool { return m.update || m.check || m.again }

// ---- Initiator: it decides about addresses (Section 3.1)

// addressChanged takes the new path from the runtime. What is unanswered goes
// out again at once from there, with the same message ID (Section 3.5).
func (s *Session) addressChanged(now time.Time, c LocalAddressChanged, out *Out) {
	if s.phase != phaseUp || !s.mobike || s.role != Initiator {
		s.close(now, ClosedByUs, 0, errAddress, out)
		return
	}
	s.path.local = c.Local
	if c.Remote.IsValid() {
		s.path.remote = c.Remote
	}
	s.moving().update = true
	if s.sa.pending != nil {
		s.sendPending(s.sa, out)
	}
}

// addressUpdate is our UPDATE_SA_ADDRESSES.
type addressUpdate struct{ path path }

// sendMove sends the address update or the return check that is due.
func (s *Session) sendMove(now time.Time, out *Out) {
	if s.role == Initiator {
		*s.move = move{seen: s.move.seen}
		ps := []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyUpdateSAAddresses}}
		ps = append(ps, s.natPayloads(s.sa.spiI, s.sa.spiR, s.path)...)
		s.request(now, s.sa, ikemsg.ExchangeInformational, &addressUpdate{s.path}, ps, out)
		return
	}
	s.move = nil
	ex := &returnCheck{path: s.path, cookie: make([]byte, cookie2Size)}
	s.cfg.random(ex.cookie)
	s.request(now, s.sa, ikemsg.ExchangeInformational, ex, []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyCookie2, Data: ex.cookie}}, out)
}

// answered moves the Child SAs once the responder agrees.
func (ex *addressUpdate) answered(s *Session, now time.Time, _ *ikeSA, in *inbound, out *Out) {
	if n := errorNotify(in.payloads); n != nil {
		s.close(now, ClosedByPeer, 0, fmt.Errorf("ike: %v: the peer does not accept our new address: %v", s.path.remote, n.Type), out)
		return
	}
	if s.path != ex.path {
		s.moving().update = true // moved again meanwhile
		return
	}
	s.detectNAT(s.sa.spiI, s.sa.spiR, in.payloads, in.path)
	s.noticeMapping(in.payloads)
	s.moving().update = false
	s.armKeepalive(now)
	s.moveChildren(s.path, out)
}

// noticeMapping compares how the responder sees us with the time before: a
// change means that the NAT has a new mapping, and an update is due (Section
// 3.8).
func (s *Session) noticeMapping(ps []ikemsg.Payload) {
	n, ok := ikemsg.FindNotify(ps, ikemsg.NotifyNATDetectionDestinationIP)
	if !ok || !s.mobike || s.role != Initiator {
		return
	}
	m := s.moving()
	if m.seen != nil && !bytes.Equal(m.seen, n.Data) {
		m.update = true
	}
	m.seen = bytes.Clone(n.Data)
}

// ---- Responder

// cookie2Size is within the 8 to 64 octets of Section 4.2.5.
const cookie2Size = 16

// serveAddresses handles the address notifies of an INFORMATIONAL request and
// gives what belongs in the answer.
func (s *Session) serveAddresses(in *inbound, out *Out) []ikemsg.Payload {
	var ps []ikemsg.Payload
	if n, ok := ikemsg.FindNotify(in.payloads, ikemsg.NotifyCookie2); ok {
		ps = append(ps, n) // Section 4.2.5: as it came
	}
	_, update := ikemsg.FindNotify(in.payloads, ikemsg.NotifyUpdateSAAddresses)
	if !s.mobike || s.phase != phaseUp {
		return ps
	}
	if update && s.role == Responder {
		if n, ok := ikemsg.FindNotify(in.payloads, ikemsg.NotifyNoNATsAllowed); ok && !untranslated(n.Data, in.path) {
			return append(ps, &ikemsg.Notify{Type: ikemsg.NotifyUnexpectedNATDetected})
		}
		s.peerUpdates(in, out)
	}
	if _, nat := ikemsg.FindNotify(in.payloads, ikemsg.NotifyNATDetectionSourceIP); nat {
		ps = append(ps, s.natPayloads(s.sa.spiI, s.sa.spiR, in.path)...)
	}
	return ps
}

// peerUpdates follows UPDATE_SA_ADDRESSES: the IKE SA at once, ESP only after
// the new address has answered, or a peer could aim its traffic at somebody
// else (Section 3.7).
func (s *Session) peerUpdates(in *inbound, out *Out) {
	before := s.path
	s.path = in.path
	s.detectNAT(s.sa.spiI, s.sa.spiR, in.payloads, in.path)
	if s.cfg.Policy.NoReturnCheck || before.remote.Addr() == in.path.remote.Addr() {
		s.moveChildren(s.path, out)
		return
	}
	s.moving().check = true
}

// untranslated compares NO_NATS_ALLOWED (Section 4.2.6) with the path:
// source address, destination address, source port, destination port.
func untranslated(data []byte, p path) bool {
	want := append(p.remote.Addr().Unmap().AsSlice(), p.local.Addr().Unmap().AsSlice()...)
	want = binary.BigEndian.AppendUint16(want, p.remote.Port())
	want = binary.BigEndian.AppendUint16(want, p.local.Port())
	return bytes.Equal(data, want)
}

// returnCheck is our COOKIE2 to a new address of the peer.
type returnCheck struct {
	path   path
	cookie []byte
}

func (ex *returnCheck) answered(s *Session, now time.Time, _ *ikeSA, in *inbound, out *Out) {
	n, ok := ikemsg.FindNotify(in.payloads, ikemsg.NotifyCookie2)
	switch {
	case !ok || !bytes.Equal(n.Data, ex.cookie):
		// Section 4.2.5: then the IKE SA must be closed.
		s.close(now, ClosedProtocol, 0, errors.New("ike: the peer did not return COOKIE2"), out)
	case s.path != ex.path:
		s.moving().check = true // moved again meanwhile
	default:
		s.moveChildren(s.path, out)
	}
}

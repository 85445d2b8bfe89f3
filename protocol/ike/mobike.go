package ike

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

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
	// A responder that rekeyed the IKE SA and lost our answer knows only the old
	// one, and cannot learn of the new one at our old address.
	for _, sa := range append(slices.Clone(s.old), s.sa) {
		sa.wantUpdate = true
		if sa.pending != nil {
			s.sendPending(sa, out)
		}
	}
}

// addressUpdate is our UPDATE_SA_ADDRESSES.
type addressUpdate struct{ path path }

func (s *Session) sendUpdate(now time.Time, sa *ikeSA, out *Out) {
	sa.wantUpdate = false
	ps := []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyUpdateSAAddresses}}
	ps = append(ps, s.natPayloads(sa.spiI, sa.spiR, s.path)...)
	s.request(now, sa, ikemsg.ExchangeInformational, &addressUpdate{s.path}, ps, out)
}

// answered moves the Child SAs once the responder agrees.
func (ex *addressUpdate) answered(s *Session, now time.Time, sa *ikeSA, in *inbound, out *Out) {
	if sa != s.sa {
		return // the current IKE SA tells the same
	}
	if n := errorNotify(in.payloads); n != nil {
		s.close(now, ClosedByPeer, 0, fmt.Errorf("ike: %v: the peer does not accept our new address: %v", s.path.remote, n.Type), out)
		return
	}
	if s.path != ex.path {
		sa.wantUpdate = true // moved again meanwhile
		return
	}
	s.detectNAT(sa.spiI, sa.spiR, in.payloads, in.path)
	s.noticeMapping(in.payloads)
	sa.wantUpdate = false
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
	if s.natSeen != nil && !bytes.Equal(s.natSeen, n.Data) {
		s.sa.wantUpdate = true
	}
	s.natSeen = bytes.Clone(n.Data)
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
	s.sa.wantCheck = true
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

func (s *Session) sendCheck(now time.Time, out *Out) {
	s.sa.wantCheck = false
	ex := &returnCheck{path: s.path, cookie: make([]byte, cookie2Size)}
	s.cfg.random(ex.cookie)
	s.request(now, s.sa, ikemsg.ExchangeInformational, ex, []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyCookie2, Data: ex.cookie}}, out)
}

func (ex *returnCheck) answered(s *Session, now time.Time, _ *ikeSA, in *inbound, out *Out) {
	n, ok := ikemsg.FindNotify(in.payloads, ikemsg.NotifyCookie2)
	switch {
	case !ok || !bytes.Equal(n.Data, ex.cookie):
		// Section 4.2.5: then the IKE SA must be closed.
		s.close(now, ClosedProtocol, 0, errors.New("ike: the peer did not return COOKIE2"), out)
	case s.path != ex.path:
		s.sa.wantCheck = true // moved again meanwhile
	default:
		s.moveChildren(s.path, out)
	}
}

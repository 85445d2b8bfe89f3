package legacy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"sallyport/dataplane"
	"sallyport/engine"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/ikev1"
)

func datagramV1(d ike.Datagram) ikev1.Datagram {
	return ikev1.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data, Keepalive: d.Keepalive}
}

// withIKE calls the machine of IKEv1 and carries out what it wants.
func (s *Session) withIKE(now time.Time, out *ike.Out, call func(*ikev1.Out)) {
	var o ikev1.Out
	call(&o)
	s.fromIKE(now, &o, out)
}

func (s *Session) fromIKE(now time.Time, o *ikev1.Out, out *ike.Out) {
	for _, ev := range o.Events {
		s.ikeEvent(now, ev, out)
	}
	for _, d := range o.Send {
		out.Send = append(out.Send, ike.Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data, Keepalive: d.Keepalive})
	}
	for _, j := range o.Jobs {
		s.ikeJob(j, out)
	}
}

// ikeJob puts a job of IKEv1 into the words of IKE.
func (s *Session) ikeJob(j ikev1.Job, out *ike.Out) {
	var t ike.Task
	switch task := j.Task.(type) {
	case ikev1.GenerateKE:
		t = ike.GenerateKE{Group: task.Group}
	case ikev1.SharedSecret:
		t = ike.SharedSecret{KE: task.KE, Peer: task.Peer}
	default:
		t = ike.Work{Run: func() (any, error) { return s.cfg.Ask(task) }}
	}
	of := s.ike
	s.ask(t, out, func(now time.Time, r ike.Result, out *ike.Out) {
		s.owner().withIKE(now, out, func(o *ikev1.Out) { of.Done(now, ikev1.Result{ID: j.ID, Value: r.Value, Err: r.Err}, o) })
	})
}

// owner is who a job of this session belongs to by now.
func (s *Session) owner() *Session {
	for s.heir != nil {
		s = s.heir
	}
	return s
}

func (s *Session) ikeEvent(now time.Time, ev ikev1.Event, out *ike.Out) {
	switch ev := ev.(type) {
	case ikev1.CookieAdded:
		out.Events = append(out.Events, ike.SPIAdded{SPI: ikemsg.SPI(ev.Cookie)})
	case ikev1.CookieRemoved:
		out.Events = append(out.Events, ike.SPIRemoved{SPI: ikemsg.SPI(ev.Cookie)})
	case ikev1.Established:
		s.proven(ev, out)
	case ikev1.SAUp:
		s.saUp(now, ev.SA, out)
	case ikev1.SAOutbound:
		s.outbound = ev.SPIIn
		out.Events = append(out.Events, ike.ChildOutbound{SPIIn: ev.SPIIn})
	case ikev1.SADown:
		s.saDown(now, ev, out)
	case ikev1.Moved:
		s.path = [2]netip.AddrPort{ev.Local, ev.Remote}
		out.Events = append(out.Events, ike.Moved{Local: ev.Local, Remote: ev.Remote, Encap: true, Children: ev.SPIs})
		s.join(out)
	case ikev1.Refused:
		out.Events = append(out.Events, ike.Refused{Record: recordOf(ev.Record)})
	case ikev1.Closed:
		if s.reason == 0 { // else it only carries out what was decided here
			s.reason, s.err = reasons[ev.Reason], ev.Err
		}
	}
}

// proven notes who the machine is. A peer that runs main mode anew, from the
// same place and as the same, goes on with its session.
func (s *Session) proven(ev ikev1.Established, out *ike.Out) {
	s.proof, s.kind, s.suite = ev.Admission, kindOf(ev.PeerKind), ev.Suite
	s.path = [2]netip.AddrPort{ev.Local, ev.Remote}
	s.claim = ikemsg.ID{Kind: ikemsg.IDType(ev.PeerID.Type), Data: slices.Clone(ev.PeerID.Data)}
	s.method = ev.Method
	s.join(out)
}

// join says who is at the other end: the same identity, proved the same way, at
// the same place.
func (s *Session) join(out *ike.Out) {
	key := fmt.Sprintf("%v %v %v %d %x", s.path[0], s.path[1], s.method, s.claim.Kind, s.claim.Data)
	out.Events = append(out.Events, ike.Extra{Value: engine.Join{Key: key}})
}

// Absorb implements the engine's wish for a peer that came back: the newer
// machine's keys serve from now on, and this one's tunnel goes on in them. Who
// has come by a key that others have too gets the call only when a frame of it
// has come in: the ids of tunnel and session are known to its owner alone.
func (s *Session) Absorb(now time.Time, newer engine.Machine, out *ike.Out) bool {
	n, ok := newer.(*Session)
	if !ok || s.dead || !s.leaving.IsZero() {
		return false
	}
	var o ikev1.Out
	if !n.ike.Adopt(s.ike, now, &o) {
		return false
	}
	n.settled()
	n.heir = s
	maps.Copy(s.jobs, n.jobs)
	s.ike, s.proof, s.suite = n.ike, n.proof, n.suite
	s.sas = append(s.sas, n.sas...)
	s.doubt = !s.cfg.Proven(s.proof)
	for _, a := range n.sas {
		s.bare = time.Time{}
		switch {
		case s.doubt:
			s.doubted = append(s.doubted, a.SPIIn)
		case s.call != nil && s.call.carried != nil:
			out.Events = append(out.Events, ike.Extra{Value: dataplane.SetCall{SPIIn: a.SPIIn, Call: s.call.carried}})
		}
	}
	// The cookies of both lead here already.
	o.Events = slices.DeleteFunc(o.Events, func(ev ikev1.Event) bool { _, added := ev.(ikev1.CookieAdded); return added })
	s.fromIKE(now, &o, out)
	s.settle(now, out)
	return true
}

// saUp installs a Child SA, with the call that goes on in it.
func (s *Session) saUp(now time.Time, sa ikev1.SA, out *ike.Out) {
	encap := dataplane.Raw
	if sa.Encap {
		encap = dataplane.UDP
	}
	child := dataplane.ChildSA{
		SPIIn: sa.SPIIn, SPIOut: sa.SPIOut, Suite: sa.Suite, KeyIn: sa.KeyIn, KeyOut: sa.KeyOut,
		Local: sa.Local, Remote: sa.Remote, Encap: encap, Transport: true, Device: s.cfg.Device, Outbound: sa.Outbound,
		Limits: s.limits(sa),
	}
	switch {
	case s.doubt:
		s.doubted = append(s.doubted, sa.SPIIn)
	case s.call != nil:
		child.Call = s.call.carried
	}
	if sa.Outbound || s.outbound == 0 {
		s.outbound = sa.SPIIn
	}
	s.bare = time.Time{}
	s.sas = append(s.sas, ike.ChildStatus{SPIIn: sa.SPIIn, SPIOut: sa.SPIOut, Suite: sa.Suite, Created: now, Expires: sa.Expires})
	for i := range s.sas {
		s.sas[i].Replaced = s.sas[i].Replaced || s.sas[i].SPIIn == sa.Replaces
	}
	out.Events = append(out.Events, ike.Extra{Value: dataplane.Add{SA: child}})
}

// limits are ours and those that the peer proposed, whichever come first.
func (s *Session) limits(sa ikev1.SA) dataplane.Limits {
	of := s.cfg.Limits
	return dataplane.Limits{
		SoftBytes: least(of.SoftBytes, sa.SoftBytes), HardBytes: least(of.HardBytes, sa.HardBytes),
		SoftPackets: of.SoftPackets, HardPackets: of.HardPackets, Expires: sa.Expires,
	}
}

// least is the lower limit; 0 is none.
func least(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// saDown removes one. Without any, nothing of L2TP can be said any more
// (RFC 3193, Section 4.3).
func (s *Session) saDown(now time.Time, ev ikev1.SADown, out *ike.Out) {
	s.sas = slices.DeleteFunc(s.sas, func(a ike.ChildStatus) bool { return a.SPIIn == ev.SPIIn })
	s.doubted = slices.DeleteFunc(s.doubted, func(spi uint32) bool { return spi == ev.SPIIn })
	if s.outbound == ev.SPIIn {
		s.outbound = 0
		if n := len(s.sas); n > 0 {
			s.outbound = s.sas[n-1].SPIIn
		}
	}
	if s.from == ev.SPIIn {
		s.from = 0
	}
	out.Events = append(out.Events, ike.ChildDown{SPIIn: ev.SPIIn, Reason: ev.Reason})
	if len(s.sas) == 0 {
		s.bare = now
	}
}

// believe ends the doubt about the Child SA that a frame of the call came in.
func (s *Session) believe(out *ike.Out) {
	if !slices.Contains(s.doubted, s.from) {
		return
	}
	s.doubt, s.doubted = false, nil
	if s.call.carried != nil {
		s.carry(s.call.carried, out)
	}
}

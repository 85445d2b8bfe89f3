package legacy

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/hostconf"
	"sallyport/protocol/ppp/pppmsg"
)

// call is an L2TP call with its PPP link.
type call struct {
	up     l2tp.CallUp
	link   *ppp.Link
	opened ppp.Opened

	conversation ike.Conversation // of the login under way; nil: none
	admission    *ike.Admission   // nil: not logged in
	leased       ike.Leased
	carried      *dataplane.Call // what the plane moves; nil: no network yet
	host         *hostconf.Link  // nil: likewise
	advertise    time.Time       // when a router advertisement is due; zero: never
}

// maxJobs is how many jobs of earlier calls may be under way when a new one
// comes: a client that dials faster than a directory answers must not fill the
// queue of the workers, which is bounded by what each session may ask alone.
const maxJobs = 4

// dial starts the link of a new call.
func (s *Session) dial(now time.Time, up l2tp.CallUp, out *ike.Out) {
	s.hangUp()
	if len(s.jobs) >= maxJobs {
		s.refuseCall(now, up.Session, "earlier logins are still under way", out)
		return
	}
	s.call = &call{up: up}
	s.withPPP(now, out, func(o *ppp.Out) { s.call.link = ppp.New(s.cfg.PPP, now, o) })
}

// hangUp forgets the call.
func (s *Session) hangUp() {
	if s.call != nil && s.call.conversation != nil {
		s.call.conversation.Close()
	}
	s.call = nil
}

// frame takes a PPP frame: the plane sends up what is not its own, among it the
// questions of a host about its link.
func (s *Session) frame(now time.Time, frame []byte, out *ike.Out) {
	f, err := pppmsg.ParseFrame(frame)
	if err == nil && (f.Protocol == pppmsg.IPv4 || f.Protocol == pppmsg.IPv6) {
		if s.call.host == nil {
			return
		}
		if reply := s.call.host.Answer(now, f.Data); reply != nil {
			s.sendPacket(reply, out)
		}
		return
	}
	s.withPPP(now, out, func(o *ppp.Out) { s.call.link.Receive(now, frame, o) })
}

func (s *Session) sendPacket(packet []byte, out *ike.Out) {
	f := pppmsg.Frame{Protocol: pppmsg.IPv4, Data: packet}
	if packet[0]>>4 == 6 {
		f.Protocol = pppmsg.IPv6
	}
	s.sendFrame(f.Append(nil), out)
}

// withPPP calls the link and carries out what it wants.
func (s *Session) withPPP(now time.Time, out *ike.Out, do func(*ppp.Out)) {
	c := s.call
	var o ppp.Out
	do(&o)
	for _, ev := range o.Events {
		if s.call != c {
			return // the call is over
		}
		s.pppEvent(now, ev, out)
	}
	if s.call != c {
		return
	}
	for _, frame := range o.Send {
		s.sendFrame(frame, out)
	}
	for _, j := range o.Jobs {
		s.pppJob(c, j, out)
	}
}

func (s *Session) pppEvent(now time.Time, ev ppp.Event, out *ike.Out) {
	switch ev := ev.(type) {
	case ppp.Opened:
		s.call.opened = ev
		s.loginAgain(now, out)
	case ppp.NetworkUp:
		s.networkUp(now, ev, out)
	case ppp.NetworkDown:
		s.carry(nil, out)
		s.call.host, s.call.advertise = nil, time.Time{}
	case ppp.Refused:
		s.refused(now, ike.StagePPP, false, ev.Reason, ev.Hint, out)
	case ppp.Down:
		s.linkDown(now, ev, out)
	}
}

// loginAgain is an LCP that begins anew in a call that was up. The peer will
// log in again, maybe as somebody else, so that it is another session to all
// who count or revoke.
func (s *Session) loginAgain(now time.Time, out *ike.Out) {
	if s.up {
		s.awaitSetup(now)
		s.down(ike.ClosedByPeer, out)
	}
}

// linkDown ends the call with its link. PPP has told the peer what it may know;
// the reason may be why a login failed, and that is for the record alone.
func (s *Session) linkDown(now time.Time, ev ppp.Down, out *ike.Out) {
	session := s.call.up.Session
	s.callGone(now, ev.Reason, ev.ByPeer, out)
	if s.leaving.IsZero() {
		s.refuseCall(now, session, "", out)
	}
}

// pppJob puts a job of the link into the words of IKE.
func (s *Session) pppJob(c *call, j ppp.Job, out *ike.Out) {
	done := func(now time.Time, value any, err error, out *ike.Out) {
		if s.call == c {
			s.withPPP(now, out, func(o *ppp.Out) { c.link.Done(now, ppp.Result{ID: j.ID, Value: value, Err: err}, o) })
		}
	}
	switch t := j.Task.(type) {
	case ppp.EAP:
		s.ask(s.eapTask(c, t), out, func(now time.Time, r ike.Result, out *ike.Out) {
			value, err := c.step(r)
			done(now, value, err, out)
		})
	case ppp.Assign:
		s.ask(s.leaseTask(c, t), out, func(now time.Time, r ike.Result, out *ike.Out) {
			value, err := s.assigned(c, r)
			done(now, value, err, out)
		})
	}
}

// eapTask begins a conversation, or goes on with it.
func (s *Session) eapTask(c *call, t ppp.EAP) *ike.EAP {
	if t.Packet == nil {
		if c.conversation != nil {
			c.conversation.Close()
		}
		c.conversation, c.admission = s.cfg.NewEAP(), nil
	}
	return &ike.EAP{
		Conversation: c.conversation, Packet: t.Packet, Lossy: true, Role: ike.Responder, PeerID: s.claim, Before: s.cfg.Before(s.proof),
		PeerKind: s.kind, Suite: s.suite, Local: s.path[0], Remote: s.path[1],
	}
}

var errNoStep = errors.New("the login could not go on; the gateway's log says why")

// step is what the conversation said.
func (c *call) step(r ike.Result) (ppp.EAPStep, error) {
	step, ok := r.Value.(ike.EAPStep)
	if r.Err != nil || !ok {
		return ppp.EAPStep{}, refusalOf(r.Err)
	}
	out := ppp.EAPStep{Packet: step.Packet}
	switch {
	case step.Failure != nil:
		out.Failure = &ppp.Refusal{Reason: step.Failure.Reason, Hint: step.Failure.Hint}
	case step.Success != nil:
		step.Success.MSK.Clear() // IPsec has keys of its own
		c.admission, out.Success = step.Success.Admission, true
		// It holds a TLS connection, and one of the places of logins under way.
		c.conversation.Close()
		c.conversation = nil
	}
	return out, nil
}

// leaseTask asks for addresses as a CFG_REQUEST would.
func (s *Session) leaseTask(c *call, t ppp.Assign) *ike.Lease {
	l := &ike.Lease{Identity: c.admission.Identity, Device: c.admission.Device, Zone: c.admission.Zone, Value: c.admission.Value}
	if t.Wants4 {
		l.Request.Attributes = append(l.Request.Attributes, ikemsg.CPAttribute{Type: ikemsg.InternalIP4Address})
	}
	if t.Wants6 {
		l.Request.Attributes = append(l.Request.Attributes, ikemsg.CPAttribute{Type: ikemsg.InternalIP6Address})
	}
	return l
}

// assigned is what the pool gave.
func (s *Session) assigned(c *call, r ike.Result) (ppp.Assigned, error) {
	leased, ok := r.Value.(ike.Leased)
	if r.Err != nil || !ok {
		return ppp.Assigned{}, refusalOf(r.Err)
	}
	c.leased = leased
	return ppp.Assigned{IPv4: leased.IPv4, IPv6: leased.IPv6, DNS: leased.DNS}, nil
}

// refusalOf is an error of a backend as the link wants it.
func refusalOf(err error) error {
	if err == nil {
		return &ppp.Refusal{Reason: errNoStep.Error()}
	}
	if r, ok := errors.AsType[*ike.Refusal](err); ok {
		return &ppp.Refusal{Reason: r.Reason, Hint: r.Hint}
	}
	return &ppp.Refusal{Reason: err.Error()}
}

// networkUp lets packets flow, and the first time says that the session is
// established.
func (s *Session) networkUp(now time.Time, ev ppp.NetworkUp, out *ike.Out) {
	c := s.call
	if !s.up {
		s.up, s.established, s.limit = true, true, time.Time{}
		s.settled()
		out.Events = append(out.Events, ike.Established{
			Admission: c.admission, PeerID: s.claim, PeerKind: s.kind, Suite: s.suite, Local: s.path[0], Remote: s.path[1],
		})
	}
	s.tell(now, c, ev)
	s.carry(&dataplane.Call{
		LocalPort: l2tpPort, RemotePort: s.port,
		Tunnel: c.up.Tunnel, Session: c.up.Session, PeerTunnel: c.up.PeerTunnel, PeerSession: c.up.PeerSession,
		Sequenced: c.up.Sequenced, ShortProtocol: c.opened.ShortProtocol, ShortAddress: c.opened.ShortAddress, MTU: c.opened.PeerMRU,
		Local: c.admission.Policy.Local, Remote: selectorsOf(ev),
	}, out)
}

const l2tpPort = 1701

// tell prepares what the host at the other end is told about its link, and with
// IPv6 tells it at once.
func (s *Session) tell(now time.Time, c *call, ev ppp.NetworkUp) {
	host := s.cfg.Host
	host.DNS = c.leased.DNS
	c.host = &hostconf.Link{Config: &host, IPv4: ev.IPv4, Prefix: ev.IPv6, InterfaceID: ev.InterfaceID}
	c.advertise = time.Time{}
	if ev.IPv6.IsValid() {
		c.advertise = now
	}
}

// advertise sends what is due of router advertisements.
func (s *Session) advertise(now time.Time, out *ike.Out) {
	if c := s.call; c != nil && due(c.advertise, now) {
		c.advertise = now.Add(hostconf.AdvertiseEvery)
		s.sendPacket(c.host.Advertise(), out)
	}
}

// selectorsOf are the addresses that the client may send from.
func selectorsOf(ev ppp.NetworkUp) (out []ikemsg.TrafficSelector) {
	for _, p := range []netip.Prefix{hostPrefix(ev.IPv4), ev.IPv6} {
		if p.IsValid() {
			out = append(out, ikemsg.PrefixSelector(p))
		}
	}
	return out
}

func hostPrefix(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// carry gives every Child SA the call, or takes it away with nil.
func (s *Session) carry(c *dataplane.Call, out *ike.Out) {
	if s.call != nil {
		s.call.carried = c
	}
	for _, a := range s.sas {
		if c == nil || !slices.Contains(s.doubted, a.SPIIn) {
			out.Events = append(out.Events, ike.Extra{Value: dataplane.SetCall{SPIIn: a.SPIIn, Call: c}})
		}
	}
}

// shut takes the call off the plane.
func (s *Session) shut(out *ike.Out) {
	if s.call != nil && s.call.carried != nil {
		s.carry(nil, out)
	}
}

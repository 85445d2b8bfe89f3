package l2tp

import (
	"fmt"
	"time"

	"sallyport/internal/secret"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// tunnelState is a state of RFC 2661, Section 7.2.1. There, a tunnel that has
// ended is idle; here it is over while it still acknowledges (Section 5.7).
type tunnelState uint8

const (
	over tunnelState = iota
	waitCtlReply
	waitCtlConn
	tunnelEstablished
)

// tunnelStep is an action of RFC 2661, Section 7.2.1.
type tunnelStep uint8

const (
	ignoreMessage tunnelStep = iota // "clean up" where there is nothing
	connectTunnel                   // send SCCCN, tunnel-open event
	openTunnel                      // tunnel-open event
	stopTunnel                      // send StopCCN, clean up
	clearTunnel                     // clean up
	toCall                          // Sections 7.4 and 7.5
)

// tunnelTable is RFC 2661, Section 7.2.1, for what arrives on a tunnel that
// exists. Two events of it are no rows, because they bring no tunnel id:
// Endpoint.opening has them. In the state idle, SCCRP, SCCCN and StopCCN have
// no tunnel to go to, and are dropped. Before a tunnel is established, what is
// about calls comes in an improper sequence (Section 7.1); HELLO never does.
var tunnelTable = [...][l2tpmsg.SLI + 1]tunnelStep{
	over: {},
	waitCtlReply: {
		l2tpmsg.SCCRQ: stopTunnel, l2tpmsg.SCCRP: connectTunnel, l2tpmsg.SCCCN: stopTunnel, l2tpmsg.StopCCN: clearTunnel,
		l2tpmsg.OCRQ: stopTunnel, l2tpmsg.OCRP: stopTunnel, l2tpmsg.OCCN: stopTunnel,
		l2tpmsg.ICRQ: stopTunnel, l2tpmsg.ICRP: stopTunnel, l2tpmsg.ICCN: stopTunnel,
		l2tpmsg.CDN: stopTunnel, l2tpmsg.WEN: stopTunnel, l2tpmsg.SLI: stopTunnel,
	},
	waitCtlConn: {
		l2tpmsg.SCCRQ: stopTunnel, l2tpmsg.SCCRP: stopTunnel, l2tpmsg.SCCCN: openTunnel, l2tpmsg.StopCCN: clearTunnel,
		l2tpmsg.OCRQ: stopTunnel, l2tpmsg.OCRP: stopTunnel, l2tpmsg.OCCN: stopTunnel,
		l2tpmsg.ICRQ: stopTunnel, l2tpmsg.ICRP: stopTunnel, l2tpmsg.ICCN: stopTunnel,
		l2tpmsg.CDN: stopTunnel, l2tpmsg.WEN: stopTunnel, l2tpmsg.SLI: stopTunnel,
	},
	tunnelEstablished: {
		l2tpmsg.SCCRQ: stopTunnel, l2tpmsg.SCCRP: stopTunnel, l2tpmsg.SCCCN: stopTunnel, l2tpmsg.StopCCN: clearTunnel,
		l2tpmsg.OCRQ: toCall, l2tpmsg.OCRP: toCall, l2tpmsg.OCCN: toCall,
		l2tpmsg.ICRQ: toCall, l2tpmsg.ICRP: toCall, l2tpmsg.ICCN: toCall,
		l2tpmsg.CDN: toCall, l2tpmsg.WEN: toCall, l2tpmsg.SLI: toCall,
	},
}

// tunnel is one control connection.
type tunnel struct {
	e       *Endpoint
	id      uint16 // ours; the peer's is in the channel
	state   tunnelState
	channel channel
	calls   []*call

	request uint64 // hash of the peer's SCCRQ
	framing uint32 // the peer's Framing Capabilities

	began time.Time
	heard time.Time // when the peer last showed life
	limit time.Time // when the state must have changed; zero = never

	setup *setup // until established
}

// setup is what a tunnel needs only until it is established.
type setup struct {
	tie       [8]byte // our Tie Breaker, if we dialled
	challenge []byte  // ours; nil = none
	up        TunnelUp
}

// receive takes a control message for this tunnel.
func (t *tunnel) receive(now time.Time, m incoming, out *Out) {
	t.heard = now
	t.channel.acknowledge(now, m.header.Nr)
	if len(m.body) > 0 { // a ZLB is never acknowledged, or two ends would do so for ever
		for _, m := range t.channel.receive(m) {
			t.deliver(now, m, out)
		}
	}
	t.channel.flush(now, out)
}

// deliver takes a message in order.
func (t *tunnel) deliver(now time.Time, m incoming, out *Out) {
	if t.state == over {
		return
	}
	avps, err := l2tpmsg.ParseAVPs(m.body)
	if err != nil {
		t.stopFor(now, &fault{code: l2tpmsg.ErrorLength, text: err.Error()}, out)
		return
	}
	b, f := t.e.cfg.judge(avps)
	if b.kind == 0 && f == nil {
		return // unknown, and not mandatory
	}
	t.step(now, m.header, b, f, out)
}

// step looks an event up and does what the table says.
func (t *tunnel) step(now time.Time, h l2tpmsg.ControlHeader, b body, f *fault, out *Out) {
	what := tunnelTable[t.state][b.kind]
	if f != nil && what != clearTunnel && what != toCall {
		t.stopFor(now, f, out)
		return
	}
	switch what {
	case connectTunnel:
		t.connect(now, b, out)
	case openTunnel:
		if t.proven(now, b, out) {
			t.established(now, out)
		}
	case stopTunnel:
		t.stop(now, l2tpmsg.Result{Code: uint16(l2tpmsg.StopStateMachine)}, fmt.Sprintf("the peer sent %v out of order", b.kind), "", out)
	case clearTunnel:
		t.clear(now, b, out)
	case toCall:
		t.toCall(now, h, b, f, out)
	}
}

// dial sends the SCCRQ.
func (t *tunnel) dial(now time.Time, out *Out) {
	t.state = waitCtlReply
	t.e.cfg.random(t.setup.tie[:])
	avps := append(t.introduce(), l2tpmsg.Octets(l2tpmsg.TieBreaker, t.setup.tie[:]))
	t.push(0, l2tpmsg.SCCRQ, append(avps, t.challengePeer()...), out)
}

// introduce is what SCCRQ and SCCRP say of us. Bearer Capabilities are for
// those who can place outgoing calls.
func (t *tunnel) introduce() []l2tpmsg.AVP {
	c := t.e.cfg
	avps := []l2tpmsg.AVP{
		l2tpmsg.U16(l2tpmsg.ProtocolVersion, ourVersion),
		l2tpmsg.U32(l2tpmsg.FramingCapability, l2tpmsg.FramingSync|l2tpmsg.FramingAsync),
		l2tpmsg.U16(l2tpmsg.FirmwareRevision, c.Firmware),
		l2tpmsg.Octets(l2tpmsg.HostName, []byte(cut(c.HostName, "sallyport"))),
	}
	if c.VendorName != "" {
		avps = append(avps, l2tpmsg.Octets(l2tpmsg.VendorName, []byte(cut(c.VendorName, ""))))
	}
	return append(avps,
		l2tpmsg.U16(l2tpmsg.AssignedTunnelID, t.id),
		l2tpmsg.U16(l2tpmsg.ReceiveWindowSize, uint16(c.window())))
}

// cut bounds one of our names; a Host Name must not be empty.
func cut(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s[:min(len(s), maxName)]
}

// ourVersion is the value of the Protocol Version AVP: version 1, revision 0
// (RFC 2661, Section 4.4.3).
const ourVersion = 0x0100

// challengePeer makes the Challenge AVP, if the peer is to prove the secret.
func (t *tunnel) challengePeer() []l2tpmsg.AVP {
	if len(t.e.cfg.Secret) == 0 {
		return nil
	}
	t.setup.challenge = make([]byte, 16)
	t.e.cfg.random(t.setup.challenge)
	return []l2tpmsg.AVP{l2tpmsg.Octets(l2tpmsg.Challenge, t.setup.challenge)}
}

// accept takes the SCCRQ that the tunnel is made of: Ns 0.
func (t *tunnel) accept(now time.Time, b body, f *fault, out *Out) {
	t.state = waitCtlConn
	t.channel.nr, t.channel.owe = 1, true
	if f != nil {
		t.stopFor(now, f, out)
	} else {
		t.answer(now, b, out)
	}
	t.channel.flush(now, out)
}

// answer sends the SCCRP.
func (t *tunnel) answer(now time.Time, b body, out *Out) {
	if !t.meet(now, b, out) {
		return
	}
	avps := append(t.introduce(), t.respond(l2tpmsg.SCCRP, b)...)
	t.push(0, l2tpmsg.SCCRP, append(avps, t.challengePeer()...), out)
}

// connect takes an SCCRP and sends the SCCCN.
func (t *tunnel) connect(now time.Time, b body, out *Out) {
	if !t.meet(now, b, out) || !t.proven(now, b, out) {
		return
	}
	if t.push(0, l2tpmsg.SCCCN, t.respond(l2tpmsg.SCCCN, b), out) {
		t.established(now, out)
	}
}

// meet learns who the peer is from its SCCRQ or SCCRP, and stops where that is
// not acceptable.
func (t *tunnel) meet(now time.Time, b body, out *Out) bool {
	t.channel.peer = b.u16(l2tpmsg.AssignedTunnelID)
	window, announced := b.find(l2tpmsg.ReceiveWindowSize)
	_, challenged := b.find(l2tpmsg.Challenge)
	version := b.u16(l2tpmsg.ProtocolVersion)
	firmware, _ := b.find(l2tpmsg.FirmwareRevision)
	framing, _ := b.find(l2tpmsg.FramingCapability)
	t.framing = framing.U32()
	t.setup.up = TunnelUp{
		Tunnel: t.id, PeerTunnel: t.channel.peer, HostName: b.text(l2tpmsg.HostName), VendorName: b.text(l2tpmsg.VendorName),
		Firmware: firmware.U16(), Window: peerWindow,
	}
	switch {
	case t.channel.peer == 0:
		t.stopFor(now, &fault{code: l2tpmsg.ErrorValue, text: "Assigned Tunnel ID 0"}, out)
	case version>>8 != ourVersion>>8:
		t.stop(now, l2tpmsg.Result{Code: uint16(l2tpmsg.StopVersion), Error: ourVersion},
			fmt.Sprintf("the peer speaks version %d.%d of L2TP, not 1.0", version>>8, version&0xff), "", out)
	case announced && window.U16() == 0:
		t.stopFor(now, &fault{code: l2tpmsg.ErrorValue, text: "Receive Window Size 0"}, out)
	case challenged && len(t.e.cfg.Secret) == 0:
		t.unauthorized(now, "a Challenge, and no tunnel secret here", hintSecret, out)
	default:
		if announced {
			t.setup.up.Window = int(window.U16())
			t.channel.setWindow(t.setup.up.Window)
		}
		return true
	}
	return false
}

// respond answers the Challenge of an SCCRQ or SCCRP, if it has one.
func (t *tunnel) respond(kind l2tpmsg.MessageType, b body) []l2tpmsg.AVP {
	a, ok := b.find(l2tpmsg.Challenge)
	if !ok {
		return nil
	}
	return []l2tpmsg.AVP{l2tpmsg.Respond(kind, a.Value, t.e.cfg.Secret)}
}

// proven checks the Challenge Response of an SCCRP or SCCCN (RFC 2661, Section
// 5.1.1), and stops where there should be another one.
func (t *tunnel) proven(now time.Time, b body, out *Out) bool {
	if t.setup.challenge == nil {
		return true
	}
	got, ok := b.find(l2tpmsg.ChallengeResponse)
	want := l2tpmsg.Respond(b.kind, t.setup.challenge, t.e.cfg.Secret)
	switch {
	case !ok:
		t.unauthorized(now, "no Challenge Response", "configure the tunnel secret at the peer, or at neither end", out)
	case !secret.Bytes(got.Value).Equal(want.Value):
		t.unauthorized(now, "a wrong Challenge Response", "both ends need the same tunnel secret", out)
	default:
		return true
	}
	return false
}

func (t *tunnel) unauthorized(now time.Time, text, hint string, out *Out) {
	t.stop(now, l2tpmsg.Result{Code: uint16(l2tpmsg.StopNotAuthorized), Text: text}, text, hint, out)
}

// established is the tunnel-open event of RFC 2661, Section 7.2.1.
func (t *tunnel) established(now time.Time, out *Out) {
	out.event(t.setup.up)
	t.state, t.setup = tunnelEstablished, nil
	t.limit = now.Add(lonelyTime)
	for _, c := range t.calls {
		t.requestCall(now, c, out)
	}
}

// push queues a control message and gives the tunnel up when the peer has let
// too many wait. It is false then.
func (t *tunnel) push(session uint16, kind l2tpmsg.MessageType, avps []l2tpmsg.AVP, out *Out) bool {
	if t.channel.push(session, kind, avps) {
		return true
	}
	t.lost(fmt.Sprintf("%d control messages are not acknowledged", maxQueue), out)
	return false
}

// clear takes a StopCCN (RFC 2661, Section 5.7).
func (t *tunnel) clear(now time.Time, b body, out *Out) {
	r := b.result()
	t.ended(TunnelDown{
		ByPeer: true, Result: l2tpmsg.StopCode(r.Code), Error: r.Error,
		Reason: "the peer closed the tunnel: " + explain(l2tpmsg.StopCode(r.Code), r),
	}, "", out)
	t.channel.abandon()
	t.linger(now)
}

// stopFor ends the tunnel for a message that is wrong.
func (t *tunnel) stopFor(now time.Time, f *fault, out *Out) {
	r := l2tpmsg.Result{Code: uint16(l2tpmsg.StopError), Error: f.code, Text: f.text}
	t.stop(now, r, "the peer sent what is no L2TP: "+f.text, f.hint, out)
}

// stop sends StopCCN and ends the tunnel. The text goes to the peer, the reason
// to our own people.
func (t *tunnel) stop(now time.Time, r l2tpmsg.Result, reason, hint string, out *Out) {
	r.Text = r.Text[:min(len(r.Text), maxText)]
	avps := []l2tpmsg.AVP{l2tpmsg.U16(l2tpmsg.AssignedTunnelID, t.id), r.AVP()}
	if !t.push(0, l2tpmsg.StopCCN, avps, out) {
		return
	}
	t.channel.hurry()
	t.ended(TunnelDown{Result: l2tpmsg.StopCode(r.Code), Error: r.Error, Reason: reason}, hint, out)
	t.linger(now)
}

// lost ends a tunnel whose peer does not answer; nothing lingers.
func (t *tunnel) lost(reason string, out *Out) {
	t.ended(TunnelDown{Reason: reason}, "", out)
	t.e.forget(t)
}

// ended tells that a tunnel is over, with its calls, and forgets them.
func (t *tunnel) ended(d TunnelDown, hint string, out *Out) {
	if t.state == over {
		return
	}
	if t.setup != nil {
		out.event(Refused{ByPeer: d.ByPeer, Reason: d.Reason, Hint: hint})
	} else {
		for _, c := range t.calls {
			if c.state == callEstablished {
				out.event(CallDown{Session: c.id, ByPeer: d.ByPeer, Reason: d.Reason})
			}
		}
		d.Tunnel = t.id
		out.event(d)
	}
	t.state, t.calls, t.setup = over, nil, nil
	t.channel.narrow()
}

// linger keeps what is over for one cycle of retransmission, to acknowledge
// what is repeated and to repeat our own last words (RFC 2661, Sections 5.7
// and 5.8).
func (t *tunnel) linger(now time.Time) {
	t.limit = now.Add(fullCycle)
	t.e.retire(t)
}

// timeout does what is due.
func (t *tunnel) timeout(now time.Time, out *Out) {
	if t.channel.timeout(now, t.heard) {
		t.lost(fmt.Sprintf("the peer has acknowledged nothing for %v", fullCycle), out)
		return
	}
	switch {
	case !due(t.limit, now):
	case t.state == over:
		t.e.forget(t)
		return
	case t.state == tunnelEstablished:
		t.stop(now, l2tpmsg.Result{Code: uint16(l2tpmsg.StopGeneral)}, "no call uses the tunnel", "", out)
	default:
		t.stop(now, l2tpmsg.Result{Code: uint16(l2tpmsg.StopGeneral)}, fmt.Sprintf("the tunnel did not come up within %v", setupTime), "", out)
	}
	t.callTimeouts(now, out)
	if due(t.helloDue(), now) {
		t.hello(out)
	}
	t.channel.flush(now, out)
}

// hello asks for a sign of life. A HELLO that was never acknowledged is sent
// again in place of a new one.
func (t *tunnel) hello(out *Out) {
	if t.channel.paused {
		t.channel.paused = false
		return
	}
	t.push(0, l2tpmsg.HELLO, nil, out)
}

// helloDue is when the peer has been silent for long enough (RFC 2661, Section
// 5.5); zero while an answer is expected anyway.
func (t *tunnel) helloDue() time.Time {
	if t.state != tunnelEstablished || t.e.cfg.hello() < 0 || t.channel.busy() {
		return time.Time{}
	}
	return t.heard.Add(t.e.cfg.hello())
}

func (t *tunnel) deadline() time.Time {
	d := earliest(t.channel.due, t.limit)
	d = earliest(d, t.helloDue())
	for _, c := range t.calls {
		d = earliest(d, c.limit)
	}
	return d
}

// due tells whether a time has come; zero never does.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earliest is the first of two times, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// explain puts a result into words. The peer's text is quoted.
func explain[C fmt.Stringer](code C, r l2tpmsg.Result) string {
	s := code.String()
	if r.Code == 0 {
		s = "no valid result code"
	}
	if r.Error != l2tpmsg.ErrorNone {
		s += ", " + r.Error.String()
	}
	if r.Text != "" {
		s += fmt.Sprintf(", %q", r.Text[:min(len(r.Text), maxText)])
	}
	return s
}

package l2tp

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// callState is a state of RFC 2661, Sections 7.4.1 (LAC) and 7.4.2 (LNS).
type callState uint8

const (
	idle callState = iota
	waitTunnel
	waitReply
	waitConnect
	callEstablished
)

// callStep is an action of RFC 2661, Sections 7.4 and 7.5.
type callStep uint8

const (
	ignoreCall  callStep = iota // "clean up" where there is nothing
	answerCall                  // send ICRP
	connectCall                 // send ICCN, prepare for data
	openCall                    // prepare for data
	refuseCall                  // send CDN, clean up
	clearCall                   // clean up
)

type callRow = [l2tpmsg.SLI + 1]callStep

// callTable is RFC 2661, Sections 7.4.1 and 7.4.2, for what arrives. Outgoing
// calls (Section 7.5) never leave the state idle: an OCRQ is not acceptable, and
// nobody has sent one that the others could answer. A row is used in the
// state idle for messages that no call here belongs to. WEN and SLI tell
// nothing that PPP in user space could use.
var callTable = map[Role][callEstablished + 1]callRow{
	LAC: {
		idle: {
			l2tpmsg.ICRQ: refuseCall, // only a LAC sends it
			l2tpmsg.OCRQ: refuseCall, l2tpmsg.OCRP: refuseCall,
		},
		waitReply: {
			l2tpmsg.ICRQ: refuseCall, l2tpmsg.ICRP: connectCall, l2tpmsg.ICCN: clearCall, l2tpmsg.CDN: clearCall,
			l2tpmsg.OCRQ: refuseCall, l2tpmsg.OCRP: refuseCall, l2tpmsg.OCCN: refuseCall,
		},
		callEstablished: {
			l2tpmsg.ICRQ: refuseCall, l2tpmsg.ICRP: refuseCall, l2tpmsg.ICCN: refuseCall, l2tpmsg.CDN: clearCall,
			l2tpmsg.OCRQ: refuseCall, l2tpmsg.OCRP: refuseCall, l2tpmsg.OCCN: refuseCall,
		},
	},
	LNS: {
		idle: {
			l2tpmsg.ICRQ: answerCall, l2tpmsg.ICRP: refuseCall,
			l2tpmsg.OCRQ: refuseCall, // only an LNS sends it
		},
		waitConnect: {
			l2tpmsg.ICRQ: refuseCall, l2tpmsg.ICRP: refuseCall, l2tpmsg.ICCN: openCall, l2tpmsg.CDN: clearCall,
			l2tpmsg.OCRQ: refuseCall, l2tpmsg.OCRP: refuseCall, l2tpmsg.OCCN: refuseCall,
		},
		callEstablished: {
			l2tpmsg.ICRQ: refuseCall, l2tpmsg.ICRP: refuseCall, l2tpmsg.ICCN: refuseCall, l2tpmsg.CDN: clearCall,
			l2tpmsg.OCRQ: refuseCall, l2tpmsg.OCRP: refuseCall, l2tpmsg.OCCN: refuseCall,
		},
	},
}

// call is one PPP link, a session of the tunnel.
type call struct {
	id, peer  uint16 // ours, and the peer's; 0 while that is not known
	state     callState
	required  bool   // the LAC wants Ns in every data message
	sequenced bool   // ours have it now
	ns        uint16 // of our next data message that has it
	serial    uint32
	limit     time.Time // when it must be up; zero once it is
	held      [][]byte  // PPP frames that came before their call was up
	asked     *CallUp   // what the ICRQ said, until then
}

// toCall takes a message about a call.
func (t *tunnel) toCall(now time.Time, h l2tpmsg.ControlHeader, b body, f *fault, out *Out) {
	c := t.addressed(h, b)
	known := c != nil
	if !known {
		c = &call{peer: b.u16(l2tpmsg.AssignedSessionID)}
	}
	what := callTable[t.e.cfg.Role][c.state][b.kind]
	switch {
	case f == nil, what == clearCall, b.kind == l2tpmsg.CDN:
	case !known && c.peer == 0: // no call that it could be about
		t.stopFor(now, f, out)
		return
	default:
		t.refuse(now, c, l2tpmsg.Result{Code: uint16(l2tpmsg.CallError), Error: f.code, Text: f.text},
			"the peer sent what is no L2TP: "+f.text, f.hint, out)
		return
	}
	switch what {
	case answerCall:
		t.answerCall(now, c, b, out)
	case connectCall:
		t.connectCall(now, c, b, out)
	case openCall:
		_, c.required = b.find(l2tpmsg.SequencingRequired)
		t.callUp(c, out)
	case refuseCall:
		t.refuse(now, c, l2tpmsg.Result{Code: uint16(l2tpmsg.CallError), Error: l2tpmsg.ErrorSessionID, Text: outOfPlace(b.kind)}, outOfPlace(b.kind), "", out)
	case clearCall:
		t.hungUp(now, c, b, out)
	}
}

// outOfPlace says why a message about a call is refused.
func outOfPlace(kind l2tpmsg.MessageType) string {
	switch kind {
	case l2tpmsg.OCRQ, l2tpmsg.OCRP, l2tpmsg.OCCN:
		return fmt.Sprintf("%v: outgoing calls are not supported", kind)
	}
	return fmt.Sprintf("%v out of order", kind)
}

// addressed finds the call that a message is about: by our id in the header,
// else by the peer's own in the Assigned Session ID, which is how an ICRQ
// repeats itself, and a CDN comes from a peer that has not learned our id (RFC
// 2661, Section 4.4.4).
func (t *tunnel) addressed(h l2tpmsg.ControlHeader, b body) *call {
	if h.Session != 0 {
		return t.call(h.Session)
	}
	peer := b.u16(l2tpmsg.AssignedSessionID)
	i := slices.IndexFunc(t.calls, func(c *call) bool { return peer != 0 && c.peer == peer })
	if i < 0 {
		return nil
	}
	return t.calls[i]
}

// call finds a call by our id.
func (t *tunnel) call(id uint16) *call {
	for _, c := range t.calls {
		if c.id == id {
			return c
		}
	}
	return nil
}

// requestCall sends the ICRQ of a call that has waited for its tunnel.
func (t *tunnel) requestCall(now time.Time, c *call, out *Out) {
	c.state, c.limit = waitReply, now.Add(setupTime)
	t.limit = time.Time{}
	t.push(0, l2tpmsg.ICRQ, []l2tpmsg.AVP{
		l2tpmsg.U16(l2tpmsg.AssignedSessionID, c.id),
		l2tpmsg.U32(l2tpmsg.CallSerialNumber, c.serial),
	}, out)
}

// answerCall takes an ICRQ and sends the ICRP.
func (t *tunnel) answerCall(now time.Time, c *call, b body, out *Out) {
	switch {
	case c.peer == 0:
		t.stopFor(now, &fault{code: l2tpmsg.ErrorValue, text: "Assigned Session ID 0"}, out)
		return
	case len(t.calls) >= t.e.cfg.maxCalls():
		t.refuse(now, c, l2tpmsg.Result{Code: uint16(l2tpmsg.CallNoFacilities), Error: l2tpmsg.ErrorResources},
			fmt.Sprintf("the peer has %d calls already", len(t.calls)), "", out)
		return
	}
	serial, _ := b.find(l2tpmsg.CallSerialNumber)
	c.id, c.serial = t.e.newID(), serial.U32()
	c.state, c.limit = waitConnect, now.Add(setupTime)
	c.asked = &CallUp{CallingNumber: b.text(l2tpmsg.CallingNumber), CalledNumber: b.text(l2tpmsg.CalledNumber)}
	t.calls = append(t.calls, c)
	t.limit = time.Time{}
	t.push(c.peer, l2tpmsg.ICRP, []l2tpmsg.AVP{l2tpmsg.U16(l2tpmsg.AssignedSessionID, c.id)}, out)
}

// lineSpeed is what we say of a line that does not exist, in bits per second.
const lineSpeed = 100_000_000

// connectCall takes an ICRP and sends the ICCN.
func (t *tunnel) connectCall(now time.Time, c *call, b body, out *Out) {
	c.peer = b.u16(l2tpmsg.AssignedSessionID)
	if c.peer == 0 {
		t.refuse(now, c, l2tpmsg.Result{Code: uint16(l2tpmsg.CallError), Error: l2tpmsg.ErrorValue}, "Assigned Session ID 0", "", out)
		return
	}
	framing := uint32(l2tpmsg.FramingSync)
	if t.framing&l2tpmsg.FramingSync == 0 { // a peer must not be asked for what it has not said (Section 4.4.3)
		framing = l2tpmsg.FramingAsync
	}
	sent := t.push(c.peer, l2tpmsg.ICCN, []l2tpmsg.AVP{
		l2tpmsg.U32(l2tpmsg.TxConnectSpeed, lineSpeed),
		l2tpmsg.U32(l2tpmsg.FramingType, framing),
	}, out)
	if sent {
		t.callUp(c, out)
	}
}

// callUp opens the call for data, which may already be there: LCP does not wait
// for the ICCN to overtake it.
func (t *tunnel) callUp(c *call, out *Out) {
	var up CallUp
	if c.asked != nil {
		up = *c.asked
	}
	up.Tunnel, up.PeerTunnel, up.Session, up.PeerSession = t.id, t.channel.peer, c.id, c.peer
	up.Serial, up.Sequenced = c.serial, c.required
	c.state, c.limit, c.asked, c.sequenced = callEstablished, time.Time{}, nil, c.required
	out.event(up)
	for _, ppp := range c.held {
		out.event(Frame{c.id, ppp})
	}
	c.held = nil
}

// refuse sends CDN and ends the call. The text goes to the peer, the reason to
// our own people.
func (t *tunnel) refuse(now time.Time, c *call, r l2tpmsg.Result, reason, hint string, out *Out) {
	if c.id == 0 { // it never was one; the CDN must name an id of ours all the same
		c.id = t.e.newID()
	}
	r.Text = r.Text[:min(len(r.Text), maxText)]
	t.callEnded(now, c, CallDown{Result: l2tpmsg.CallCode(r.Code), Error: r.Error, Reason: reason}, hint, out)
	t.push(c.peer, l2tpmsg.CDN, []l2tpmsg.AVP{r.AVP(), l2tpmsg.U16(l2tpmsg.AssignedSessionID, c.id)}, out)
}

// closeCall hangs up for a command.
func (t *tunnel) closeCall(now time.Time, cmd CloseCall, out *Out) {
	c := t.call(cmd.Session)
	if c == nil {
		return
	}
	if cmd.Result == 0 {
		cmd.Result = l2tpmsg.CallAdministrative
	}
	reason := said("we hung up", cmd.Text)
	if c.state == waitTunnel { // the peer does not know of it
		t.callEnded(now, c, CallDown{Reason: reason}, "", out)
		return
	}
	t.refuse(now, c, l2tpmsg.Result{Code: uint16(cmd.Result), Error: cmd.Error, Text: cmd.Text}, reason, "", out)
}

// hungUp takes a CDN, or what means the same.
func (t *tunnel) hungUp(now time.Time, c *call, b body, out *Out) {
	if b.kind != l2tpmsg.CDN {
		t.callEnded(now, c, CallDown{ByPeer: true, Reason: outOfPlace(b.kind)}, "", out)
		return
	}
	r := b.result()
	t.callEnded(now, c, CallDown{
		ByPeer: true, Result: l2tpmsg.CallCode(r.Code), Error: r.Error,
		Reason: "the peer hung up: " + explain(l2tpmsg.CallCode(r.Code), r),
	}, "", out)
}

// callEnded forgets a call and tells its end.
func (t *tunnel) callEnded(now time.Time, c *call, d CallDown, hint string, out *Out) {
	if c.state == callEstablished {
		d.Session = c.id
		out.event(d)
	} else {
		out.event(Refused{ByPeer: d.ByPeer, Reason: d.Reason, Hint: hint})
	}
	i := slices.Index(t.calls, c)
	if i < 0 {
		return
	}
	t.calls = slices.Delete(t.calls, i, i+1)
	if len(t.calls) == 0 {
		t.calls = nil
		t.limit = now.Add(lonelyTime)
	}
}

// callTimeouts ends calls that have not come up in time.
func (t *tunnel) callTimeouts(now time.Time, out *Out) {
	for _, c := range slices.Clone(t.calls) {
		if due(c.limit, now) {
			t.refuse(now, c, l2tpmsg.Result{Code: uint16(l2tpmsg.CallTimeout)}, fmt.Sprintf("the call did not come up within %v", setupTime), "", out)
		}
	}
}

// frame takes a data message of this tunnel's.
func (t *tunnel) frame(now time.Time, h l2tpmsg.DataHeader, ppp []byte, out *Out) {
	t.heard = now
	c := t.call(h.Session)
	if c == nil {
		return
	}
	switch {
	case len(ppp) == 0:
	case c.state == callEstablished:
		// The LNS says by its own messages whether a LAC's have Ns (RFC 2661,
		// Section 5.4).
		if t.e.cfg.Role == LAC {
			c.sequenced = c.required || h.Sequenced
		}
		out.event(Frame{c.id, ppp})
	case len(c.held) < maxHeld && len(ppp) <= maxFrame:
		c.held = append(c.held, bytes.Clone(ppp))
	}
}

// appendFrame builds a data message.
func (t *tunnel) appendFrame(b []byte, c *call, ppp []byte) []byte {
	h := l2tpmsg.DataHeader{Tunnel: t.channel.peer, Session: c.peer, Sequenced: c.sequenced, Ns: c.ns}
	if c.sequenced {
		c.ns++
	}
	return append(h.Append(b), ppp...)
}

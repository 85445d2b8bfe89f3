package l2tp

import (
	"bytes"
	"hash/fnv"
	"slices"
	"time"

	"sallyport/protocol/l2tp/l2tpmsg"
)

// Endpoint is all of L2TP with one authenticated peer.
type Endpoint struct {
	cfg   *Config
	live  *tunnel
	ended []*tunnel // these still acknowledge
	calls uint32    // how many we have dialled: the last Call Serial Number
}

// NewEndpoint makes an Endpoint without a tunnel.
func NewEndpoint(cfg *Config) *Endpoint { return &Endpoint{cfg: cfg} }

// Connect opens a tunnel and one incoming call in it (LAC). It does nothing
// while there is a tunnel.
func (e *Endpoint) Connect(now time.Time, out *Out) {
	if e.cfg.Role != LAC {
		out.event(Refused{Reason: "an LNS does not dial"})
		return
	}
	if e.live != nil {
		return
	}
	t := e.begin(now)
	e.calls++
	t.calls = append(t.calls, &call{id: e.newID(), state: waitTunnel, serial: e.calls})
	t.dial(now, out)
	t.channel.flush(now, out)
}

// begin makes the live tunnel.
func (e *Endpoint) begin(now time.Time) *tunnel {
	e.live = &tunnel{
		e: e, id: e.newID(), channel: newChannel(e.cfg.window()),
		began: now, heard: now, limit: now.Add(setupTime), setup: &setup{},
	}
	return e.live
}

// Receive takes one L2TP message of the peer's, control or data. What belongs
// to no tunnel is dropped without an answer.
func (e *Endpoint) Receive(now time.Time, msg []byte, out *Out) {
	if !l2tpmsg.IsControl(msg) {
		e.receiveData(now, msg, out)
		return
	}
	h, content, err := l2tpmsg.ParseControlHeader(msg)
	if err != nil || len(msg) > maxControl {
		return
	}
	m := incoming{h, content}
	if h.Tunnel == 0 {
		e.unaddressed(now, m, out)
		return
	}
	if t := e.tunnel(h.Tunnel); t != nil {
		t.receive(now, m, out)
	}
}

func (e *Endpoint) receiveData(now time.Time, msg []byte, out *Out) {
	h, ppp, err := l2tpmsg.ParseData(msg)
	if err != nil || e.live == nil || h.Tunnel != e.live.id || e.live.state != tunnelEstablished {
		return
	}
	e.live.frame(now, h, ppp, out)
}

// tunnel finds a tunnel by our id.
func (e *Endpoint) tunnel(id uint16) *tunnel {
	if e.live != nil && e.live.id == id {
		return e.live
	}
	for _, t := range e.ended {
		if t.id == id {
			return t
		}
	}
	return nil
}

// unaddressed takes a message of a peer that does not know our tunnel id yet:
// an SCCRQ, or the StopCCN of one who no longer wants its tunnel.
func (e *Endpoint) unaddressed(now time.Time, m incoming, out *Out) {
	avps, err := l2tpmsg.ParseAVPs(m.body)
	if err != nil {
		return
	}
	b, f := e.cfg.judge(avps)
	switch b.kind {
	case l2tpmsg.SCCRQ:
		e.opening(now, m, b, f, out)
	case l2tpmsg.StopCCN:
		if t := e.ofPeer(b.u16(l2tpmsg.AssignedTunnelID)); t != nil {
			t.receive(now, m, out)
		}
	}
}

// ofPeer finds a tunnel by the peer's id: the live one, or the last of those that
// acknowledge what is repeated.
func (e *Endpoint) ofPeer(id uint16) *tunnel {
	same := func(t *tunnel) bool { return id != 0 && t.channel.peer == id }
	if e.live != nil && same(e.live) {
		return e.live
	}
	for _, t := range slices.Backward(e.ended) {
		if same(t) {
			return t
		}
	}
	return nil
}

// opening takes an SCCRQ: the events of RFC 2661, Section 7.2.1 that come
// without a tunnel id.
func (e *Endpoint) opening(now time.Time, m incoming, b body, f *fault, out *Out) {
	peer, request := b.u16(l2tpmsg.AssignedTunnelID), hash(m.body)
	if t := e.repeated(now, m, peer, request); t != nil {
		t.receive(now, m, out)
		return
	}
	var waiting []*call
	switch {
	case m.header.Ns != 0: // a tunnel begins at 0
		return
	case peer == 0:
		out.event(Refused{Reason: "an SCCRQ without a valid Assigned Tunnel ID: there is nobody to answer"})
		return
	case e.live == nil && e.cfg.Role == LAC: // nobody dials a client
		return
	case e.live == nil:
	case e.live.state == waitCtlReply:
		if !e.loseTie(b, out) {
			return
		}
		waiting = e.live.calls
	default:
		// Trap 36: the client has begun anew. What it does not know any more, it
		// need not be told.
		e.live.ended(TunnelDown{ByPeer: true, Reason: "the peer began anew"}, "", out)
	}
	t := e.begin(now)
	t.calls, t.request, t.channel.peer = waiting, request, peer
	t.accept(now, b, f, out)
}

// repeated finds the tunnel of an SCCRQ that comes once more, from the peer or
// from the network. Some clients give every tunnel the same id, so it is not
// enough that the id is the same: the message must be too, within the time in
// which it may be repeated. Whoever has said more than SCCRQ on a tunnel that
// is over has no reason to repeat it, and dials again.
func (e *Endpoint) repeated(now time.Time, m incoming, peer uint16, request uint64) *tunnel {
	same := func(t *tunnel) bool {
		return m.header.Ns == 0 && t.channel.peer == peer && t.request == request && now.Before(t.began.Add(fullCycle))
	}
	if e.live != nil && same(e.live) {
		return e.live
	}
	for _, t := range e.ended {
		if same(t) && t.channel.nr == 1 {
			return t
		}
	}
	return nil
}

// hash tells messages apart; it need not stand up to attacks, which would be on
// the peer itself.
func hash(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// loseTie compares Tie Breakers when both ends have sent an SCCRQ (RFC 2661,
// Section 4.4.3): the lower one wins, and having one wins over having none. The
// loser's tunnel goes without a word; its calls use the winner's.
func (e *Endpoint) loseTie(b body, out *Out) bool {
	theirs, ok := b.find(l2tpmsg.TieBreaker)
	if !ok {
		return false
	}
	switch bytes.Compare(e.live.setup.tie[:], theirs.Value) {
	case -1:
		return false
	case 0:
		e.live.ended(TunnelDown{Reason: "both ends dialled at once, with the same tie breaker"}, "", out)
		e.live = nil
		return false
	}
	return true
}

// Heard tells that a data message of the live tunnel's arrived elsewhere. The
// peer then needs no HELLO, and one that it did not answer is forgiven.
func (e *Endpoint) Heard(now time.Time) {
	if e.live != nil && now.After(e.live.heard) {
		e.live.heard = now
	}
}

// Timeout does what is due. It is to be called at Deadline, and may be at any
// time.
func (e *Endpoint) Timeout(now time.Time, out *Out) {
	for _, t := range append(slices.Clone(e.ended), e.live) {
		if t != nil && due(t.deadline(), now) {
			t.timeout(now, out)
		}
	}
}

// Deadline is when Timeout is due; zero for never. Every other call may change
// it.
func (e *Endpoint) Deadline() time.Time {
	var d time.Time
	if e.live != nil {
		d = e.live.deadline()
	}
	for _, t := range e.ended {
		d = earliest(d, t.deadline())
	}
	return d
}

// Do carries out a command. One for what is not there does nothing.
func (e *Endpoint) Do(now time.Time, c Command, out *Out) {
	t := e.live
	if t == nil {
		if _, ok := c.(Abandon); ok {
			e.ended = nil
		}
		return
	}
	switch c := c.(type) {
	case CloseCall:
		t.closeCall(now, c, out)
	case CloseTunnel:
		if c.Result == 0 {
			c.Result = l2tpmsg.StopGeneral
		}
		t.stop(now, l2tpmsg.Result{Code: uint16(c.Result), Error: c.Error, Text: c.Text}, said("we closed the tunnel", c.Text), "", out)
	case Abandon:
		t.lost(c.Reason, out)
		e.ended = nil
		return
	}
	t.channel.flush(now, out)
}

// said adds to a reason of ours what the peer was told.
func said(reason, text string) string {
	if text == "" {
		return reason
	}
	return reason + ": " + text
}

// AppendFrame appends the data message of a PPP frame. It is false for a
// session without a call that is up. In a message with Ns, that stands at octet
// 6.
func (e *Endpoint) AppendFrame(b []byte, session uint16, ppp []byte) ([]byte, bool) {
	if e.live == nil {
		return b, false
	}
	c := e.live.call(session)
	if c == nil || c.state != callEstablished {
		return b, false
	}
	return e.live.appendFrame(b, c, ppp), true
}

// Idle tells whether there is nothing left, live or lingering.
func (e *Endpoint) Idle() bool { return e.live == nil && len(e.ended) == 0 }

// retire moves a tunnel to those that only acknowledge. The oldest makes room.
func (e *Endpoint) retire(t *tunnel) {
	if e.live == t {
		e.live = nil
	}
	if len(e.ended) >= maxEnded {
		e.ended = slices.Delete(e.ended, 0, len(e.ended)-maxEnded+1)
	}
	e.ended = append(e.ended, t)
}

// forget drops a tunnel.
func (e *Endpoint) forget(t *tunnel) {
	if e.live == t {
		e.live = nil
	}
	e.ended = slices.DeleteFunc(e.ended, func(x *tunnel) bool { return x == t })
	if len(e.ended) == 0 {
		e.ended = nil
	}
}

// newID makes an id that is not 0 and that no tunnel or call here has. A
// chooser that insists on what is taken is overruled.
func (e *Endpoint) newID() uint16 {
	var id uint16
	for range 64 {
		if id = e.cfg.newID(); id != 0 && !e.taken(id) {
			return id
		}
	}
	for id == 0 || e.taken(id) {
		id++
	}
	return id
}

func (e *Endpoint) taken(id uint16) bool {
	return e.tunnel(id) != nil || e.live != nil && e.live.call(id) != nil
}

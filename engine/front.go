package engine

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

// front is one stateless judge of first requests. A peer that retries with a
// cookie has the same address, port and SPI, so it meets the same one; several
// exist so that readers do not wait for each other.
type front struct {
	mu    sync.Mutex
	judge *ike.Front
}

// reset gives the front the thresholds of a new profile. Cookies that were
// given out before become stale, which costs their peers one round trip.
func (f *front) reset(p *Profile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.judge = nil
	if p != nil {
		f.judge = ike.NewFront(p.Policy)
	}
}

func (f *front) receive(now time.Time, d ike.Datagram, load ike.Load) ike.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.judge == nil {
		return ike.Verdict{}
	}
	return f.judge.Receive(now, d, load)
}

// receive takes every IKE datagram from the plane's readers. It runs on their
// goroutines and leaves nothing behind for what the front does not accept.
func (e *Engine) receive(local, remote netip.AddrPort, msg []byte) {
	if !e.started.Load() {
		return
	}
	h, err := ikemsg.ParseHeader(msg)
	if err != nil {
		e.counters.drop(ike.DropMalformed)
		return
	}
	d := ike.Datagram{Local: local, Remote: remote, Data: msg}
	legacy := e.legacy.Load()
	switch {
	case (h.Major == 2 || h.Major == 1 && legacy != nil) && ourSPI(h) != 0:
		e.route(h, d)
	case h.Major == 1 && legacy != nil:
		e.firstLegacy(*legacy, h, d)
	default:
		e.first(h, d)
	}
}

// ourSPI is the one of the two SPIs that we chose. The sender's flag tells: the
// original initiator sends to the responder's SPI (RFC 7296, Section 3.1). In
// version 1 there is no such flag, and we are the responder (RFC 2408, Section
// 3.1).
func ourSPI(h ikemsg.Header) ikemsg.SPI {
	if h.Major == 1 || h.Flags&ikemsg.FlagInitiator != 0 {
		return h.SPIr
	}
	return h.SPIi
}

// route queues a datagram for the shard in the low bits of its SPI.
func (e *Engine) route(h ikemsg.Header, d ike.Datagram) {
	n := int(uint64(ourSPI(h)) & (1<<e.shardBits - 1))
	if n >= len(e.shards) {
		e.unknownSPI(time.Now(), h, d)
		return
	}
	d.Data = append([]byte(nil), d.Data...)
	if !e.shards[n].inbox.put(item{class: classPacket, what: d}) {
		e.counters.queueFull.Add(1)
	}
}

// first lets the front judge a datagram that names no session of ours.
func (e *Engine) first(h ikemsg.Header, d ike.Datagram) {
	key := initKey{h.SPIi, d.Remote}
	hash := maphash.Comparable(e.seed, key)
	now := time.Now()
	v := e.fronts[hash%uint64(len(e.fronts))].receive(now, d, e.halfOpen.load())
	if v.Reason != 0 {
		e.counters.drop(v.Reason)
	}
	switch v.Action {
	case ike.Reply:
		if v.Reason == ike.DropCookie {
			// Not limited: a cookie is never longer than what came, and a limit
			// would keep out the office behind the one address it comes from.
			e.send(ike.Datagram{Local: d.Local, Remote: d.Remote, Data: v.Reply})
			return
		}
		e.reply(now, d, v.Reply)
	case ike.Accept:
		if profile := e.responder.Load(); profile != nil {
			e.admit(hash, initial{datagram: d, profile: profile, half: &half{key: key, addr: d.Remote.Addr(), cost: v.Cost}})
		}
	}
}

// firstLegacy does the same for version 1. All that comes from one address goes
// to one shard: see [Join].
func (e *Engine) firstLegacy(l Legacy, h ikemsg.Header, d ike.Datagram) {
	cost, ok := l.First(time.Now(), d)
	if !ok {
		e.counters.drop(ike.DropVersion1)
		return
	}
	hash := maphash.Comparable(e.seed, d.Remote.Addr())
	e.admit(hash, initial{datagram: d, legacy: l, half: &half{key: initKey{h.SPIi, d.Remote}, addr: d.Remote.Addr(), cost: cost}})
}

// admit gives an accepted first request to a shard, within the bounds.
func (e *Engine) admit(hash uint64, in initial) {
	limits := e.limits.Load()
	switch {
	case int(e.sessions.Load()) >= limits.Sessions:
		e.counters.sessionsFull.Add(1)
		return
	case e.workers.busy():
		e.counters.workersBusy.Add(1)
		return
	}
	if !e.halfOpen.begin(in.half, limits) {
		e.counters.halfOpenFull.Add(1)
		return
	}
	in.datagram.Data = append([]byte(nil), in.datagram.Data...)
	if !e.shards[hash%uint64(len(e.shards))].inbox.put(item{class: classInitial, what: in}) {
		e.halfOpen.end(in.half)
		e.counters.queueFull.Add(1)
	}
}

// unknownSPI answers a request for an SPI we do not have with an unprotected
// INVALID_IKE_SPI, so that a peer of an earlier run learns that we restarted
// (RFC 7296, Section 2.21.4). Few answers per second, never to a response, and
// never longer than what came.
func (e *Engine) unknownSPI(now time.Time, h ikemsg.Header, d ike.Datagram) {
	e.counters.drop(ike.DropUnknownSPI)
	if h.Flags&ikemsg.FlagResponse != 0 || h.Major != 2 {
		return
	}
	m := ikemsg.Message{
		Header: ikemsg.Header{
			SPIi: h.SPIi, SPIr: h.SPIr, Major: 2, Exchange: h.Exchange, MessageID: h.MessageID,
			Flags: h.Flags&ikemsg.FlagInitiator ^ ikemsg.FlagInitiator | ikemsg.FlagResponse,
		},
		Payloads: []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyInvalidIKESPI}},
	}
	answer, err := m.Append(nil)
	if err != nil || len(answer) > len(d.Data) {
		return
	}
	e.reply(now, d, answer)
}

// reply sends an answer to a stranger, if the rate allows.
func (e *Engine) reply(now time.Time, d ike.Datagram, answer []byte) {
	if !e.replies.allow(now, d.Remote.Addr()) {
		e.counters.repliesLimited.Add(1)
		return
	}
	e.send(ike.Datagram{Local: d.Local, Remote: d.Remote, Data: answer})
}

// keepaliver is the part of a plane that can send a NAT keepalive, which goes
// out without non-ESP marker (RFC 3948, Section 2.3).
type keepaliver interface {
	SendKeepalive(local, remote netip.AddrPort) error
}

func (e *Engine) send(d ike.Datagram) {
	var err error
	if k, ok := e.control.(keepaliver); d.Keepalive && ok {
		err = k.SendKeepalive(d.Local, d.Remote)
	} else {
		err = e.control.SendIKE(d.Local, d.Remote, d.Data)
	}
	if err != nil {
		e.counters.sendErrors.Add(1)
	}
}

// planeEvent queues what the plane saw for the shard of the Child SA.
func (e *Engine) planeEvent(ev dataplane.Event) {
	n := int(ev.SPIIn & (1<<e.shardBits - 1))
	if !e.started.Load() || n >= len(e.shards) {
		return
	}
	it := item{class: classOwed, what: ev}
	if ev.Kind == dataplane.PeerMoved {
		it.class = classMoved
	}
	if !e.shards[n].inbox.put(it) {
		e.counters.queueFull.Add(1)
	}
}

// inner queues an L2TP message for the shard of the Child SA that brought it.
func (e *Engine) inner(spiIn uint32, port uint16, msg []byte) {
	n := int(spiIn & (1<<e.shardBits - 1))
	if !e.started.Load() || n >= len(e.shards) {
		return
	}
	m := InnerMessage{SPIIn: spiIn, Port: port, Data: append([]byte(nil), msg...)}
	if !e.shards[n].inbox.put(item{class: classInner, what: m}) {
		e.counters.queueFull.Add(1)
	}
}

// sendInner sends an L2TP message inside of a Child SA.
func (e *Engine) sendInner(m InnerMessage) {
	in, ok := e.plane.(dataplane.Inner)
	if !ok || in.SendInner(m.SPIIn, m.Port, m.Data) != nil {
		e.counters.sendErrors.Add(1)
	}
}

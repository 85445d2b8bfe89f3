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
	if h.Major == 2 && ourSPI(h) != 0 {
		e.route(h, d)
		return
	}
	e.first(h, d)
}

// ourSPI is the one of the two SPIs that we chose, by the sender's flag: the
// original initiator sends to the responder's SPI (RFC 7296, Section 3.1).
func ourSPI(h ikemsg.Header) ikemsg.SPI {
	if h.Flags&ikemsg.FlagInitiator != 0 {
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
		e.admit(hash, key, d, v.Cost)
	}
}

// admit gives an accepted first request to a shard, within the bounds.
func (e *Engine) admit(hash uint64, key initKey, d ike.Datagram, cost int) {
	profile, limits := e.responder.Load(), e.limits.Load()
	switch {
	case profile == nil:
		return
	case int(e.sessions.Load()) >= limits.Sessions:
		e.counters.sessionsFull.Add(1)
		return
	case e.workers.busy():
		e.counters.workersBusy.Add(1)
		return
	}
	in := initial{datagram: d, profile: profile, half: &half{key: key, addr: d.Remote.Addr(), cost: cost}}
	if !e.halfOpen.begin(in.half, limits) {
		e.counters.halfOpenFull.Add(1)
		return
	}
	in.datagram.Data = append([]byte(nil), d.Data...)
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

package l2tp

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/simnet"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// seeds is how many paths are tried. Each is different.
const seeds = 3000

// TestAnyPathBringsCallsUpAndTakesThemDown: five bad minutes, in which both ends
// hang up and crash and the client dials again whenever it is cut off, three
// good ones, and an end.
func TestAnyPathBringsCallsUpAndTakesThemDown(t *testing.T) {
	n := uint64(seeds)
	if testing.Short() {
		n /= 20
	}
	first := 0
	for seed := range n {
		w := newWorld(t, seed)
		w.onTheWay = w.bounded
		w.redial = true
		w.net.Link = simnet.Link{Loss: 0.25, Duplicate: 0.2, Reorder: 0.3, Delay: 30 * time.Millisecond, Jitter: 50 * time.Millisecond}
		w.lac.connect()
		w.run(31 * time.Second)
		if len(of[CallUp](w.lac)) > 0 && len(of[CallUp](w.lns)) > 0 {
			first++
		}
		for range 27 {
			w.run(10 * time.Second)
			w.tryFrame(w.lac)
			w.tryFrame(w.lns)
			w.disturb()
		}
		w.net.Link = simnet.Link{Delay: 30 * time.Millisecond}
		w.run(3 * time.Minute)
		if !w.agree() {
			t.Fatalf("seed %d: no call on a good path:\nclient %s\ngateway %s", seed, w.show(w.lac), w.show(w.lns))
		}
		w.redial = false
		w.closeSomehow(seed)
		w.run(3 * time.Minute)
		if w.bothAreDone(); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if got := float64(first) / float64(n); got < 0.9 {
		t.Errorf("only %.0f %% are up within 31 seconds on a path that loses a quarter", 100*got)
	}
}

// bounded holds what may never grow, and that frames come inside calls.
func (w *world) bounded(p *end) {
	all := p.e.ended
	if p.e.live != nil {
		all = append([]*tunnel{p.e.live}, all...)
	}
	for _, t := range all {
		c := &t.channel
		if len(c.queue) > maxQueue || len(c.early) >= max(c.ours, 1) || c.ever > len(c.queue) || c.sent > c.ever || len(t.calls) > maxCalls {
			w.t.Fatalf("the %s has %+v", p.name, c)
		}
		for _, call := range t.calls {
			if len(call.held) > maxHeld {
				w.t.Fatalf("the %s holds %d frames", p.name, len(call.held))
			}
		}
	}
	if len(p.e.ended) > maxEnded {
		w.t.Fatalf("the %s keeps %d tunnels", p.name, len(p.e.ended))
	}
	if err := orderly(p.events); err != nil {
		w.t.Fatalf("the %s: %v%s", p.name, err, w.show(p))
	}
}

// orderly holds events to the promise of the package: ups and downs in pairs,
// calls inside tunnels, frames inside calls.
func orderly(events []Event) error {
	tunnel, calls := uint16(0), map[uint16]bool{}
	for _, e := range events {
		switch e := e.(type) {
		case TunnelUp:
			if tunnel != 0 {
				return fmt.Errorf("tunnel %d came up inside %d", e.Tunnel, tunnel)
			}
			tunnel = e.Tunnel
		case TunnelDown:
			if tunnel != e.Tunnel || e.Tunnel == 0 || len(calls) > 0 || e.Reason == "" {
				return fmt.Errorf("%+v, where tunnel %d was up with %v", e, tunnel, calls)
			}
			tunnel = 0
		case CallUp:
			if tunnel != e.Tunnel || e.Session == 0 || e.PeerSession == 0 || e.PeerTunnel == 0 || calls[e.Session] {
				return fmt.Errorf("%+v, where tunnel %d was up with %v", e, tunnel, calls)
			}
			calls[e.Session] = true
		case CallDown:
			if !calls[e.Session] || e.Reason == "" {
				return fmt.Errorf("%+v, with the calls %v", e, calls)
			}
			delete(calls, e.Session)
		case Frame:
			if !calls[e.Session] {
				return fmt.Errorf("a frame of session %d, with the calls %v", e.Session, calls)
			}
		case Refused:
			if e.Reason == "" {
				return fmt.Errorf("%+v", e)
			}
		}
	}
	return nil
}

// tryFrame sends a frame if there is a call.
func (w *world) tryFrame(p *end) {
	if t := p.e.live; t != nil && len(t.calls) > 0 {
		if b, ok := p.e.AppendFrame(nil, t.calls[0].id, []byte("\xff\x03\xc0\x21")); ok {
			p.host.Send(simnet.Datagram{Local: p.addr, Remote: p.other().addr, Data: b})
		}
	}
}

// disturb does now and then what people and machines do.
func (w *world) disturb() {
	p := []*end{w.lac, w.lns}[w.net.Rand.IntN(2)]
	switch w.net.Rand.IntN(12) {
	case 0:
		p.do(CloseTunnel{Text: "of a sudden"})
	case 1:
		if t := p.e.live; t != nil && len(t.calls) > 0 {
			p.do(CloseCall{Session: t.calls[0].id})
		}
	case 2:
		p.crash()
		w.net.At(w.now().Add(time.Second), w.lac.connect)
	case 3:
		p.e.Timeout(w.now(), &p.out) // before its time
		p.drain()
	case 4:
		p.do(Abandon{"the last security association is gone"})
	}
}

// agree tells whether both ends have one and the same call up.
func (w *world) agree() bool {
	a, b := w.lac.e.live, w.lns.e.live
	if a == nil || b == nil || len(a.calls) != 1 || len(b.calls) != 1 {
		return false
	}
	x, y := a.calls[0], b.calls[0]
	return a.channel.peer == b.id && b.channel.peer == a.id && x.peer == y.id && y.peer == x.id &&
		x.state == callEstablished && y.state == callEstablished
}

func (w *world) closeSomehow(seed uint64) {
	p := []*end{w.lac, w.lns}[seed%2]
	switch seed / 2 % 4 {
	case 0:
		p.do(CloseTunnel{Text: "done"})
	case 1:
		p.do(CloseCall{Session: p.e.live.calls[0].id, Result: l2tpmsg.CallLostCarrier})
	case 2:
		p.do(CloseCall{Session: p.e.live.calls[0].id})
		p.do(CloseTunnel{Result: l2tpmsg.StopShutdown})
	case 3:
		p.do(CloseTunnel{})
		p.other().do(CloseTunnel{})
	}
}

// TestBothEndsGiveUpWhenThePathIsCut: the one that had something to say after
// 31 seconds, the other after its HELLO.
func TestBothEndsGiveUpWhenThePathIsCut(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	w.net.Link.Loss = 1
	w.run(60*time.Second + fullCycle - time.Second)
	for _, p := range []*end{w.lac, w.lns} {
		if n := p.count(l2tpmsg.HELLO); n != transmissions || len(of[TunnelDown](p)) != 0 {
			t.Errorf("after 90 seconds the %s sent HELLO %d times:%s", p.name, n, w.show(p))
		}
	}
	w.run(2 * time.Second)
	w.bothAreDone()
	if d, _ := last[TunnelDown](w.lns); d.ByPeer || d.Reason != "the peer has acknowledged nothing for 31s" {
		t.Errorf("%+v", d)
	}
	if d, _ := last[CallDown](w.lns); d.ByPeer || d.Reason != "the peer has acknowledged nothing for 31s" {
		t.Errorf("%+v", d)
	}
}

func TestHelloKeepsAQuietTunnelUp(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	w.run(time.Hour)
	if !w.agree() {
		t.Fatalf("%s\n%s", w.show(w.lac), w.show(w.lns))
	}
	// The HELLO of one end is life for the other: which one asks does not matter.
	if n := w.lac.count(l2tpmsg.HELLO) + w.lns.count(l2tpmsg.HELLO); n < 30 || n > 120 {
		t.Errorf("%d HELLOs in an hour", n)
	}
}

func TestTrafficElsewhereMakesHelloNeedless(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	for range 120 {
		w.run(30 * time.Second)
		w.lac.e.Heard(w.now())
		w.lns.e.Heard(w.now())
	}
	if n := w.lac.count(l2tpmsg.HELLO) + w.lns.count(l2tpmsg.HELLO); n != 0 || !w.agree() {
		t.Errorf("%d HELLOs in an hour of traffic", n)
	}
}

func TestHelloCanBeTurnedOff(t *testing.T) {
	w := newWorld(t, 1)
	w.lac.cfg.Hello, w.lns.cfg.Hello = -1, -1
	w.up()
	w.run(time.Hour)
	if n := w.lac.count(l2tpmsg.HELLO) + w.lns.count(l2tpmsg.HELLO); n != 0 || !w.agree() {
		t.Errorf("%d HELLOs", n)
	}
	if !w.lac.e.Deadline().IsZero() {
		t.Errorf("the client wants to be woken at %v", w.lac.e.Deadline())
	}
}

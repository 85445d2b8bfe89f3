package legacy

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/l2tp/l2tpmsg"
)

// TestADialThatNeverLogsInIsNotForEver: who dials anew within IPsec and never
// logs in is held to the one time for the set-up.
func TestADialThatNeverLogsInIsNotForEver(t *testing.T) {
	w := newWorld(t, 1)
	a := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
	a.stops = stopLCP
	a.dial()
	for range 30 {
		w.run(10 * time.Second)
		if a.lac == nil {
			continue
		}
		a.withL2TP(func(o *l2tp.Out) { a.lac.Do(w.now(), l2tp.CloseTunnel{}, o) })
		a.link = nil
		w.net.At(w.now().Add(100*time.Millisecond), func() {
			if a.lac != nil {
				a.withL2TP(func(o *l2tp.Out) { a.lac.Connect(w.now(), o) })
			}
		})
	}
	w.g.empty()
	w.g.wantCount(0, 0)
}

// TestARestartThatNeverLogsIn: after Closed the session waits for the set-up
// time, and then is gone.
func TestARestartThatNeverLogsIn(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	c.crash()
	c.stops = stopLCP
	c.dial()
	w.run(30 * time.Second)
	if p.up || p.gone {
		t.Fatalf("up %t, gone %t: the session should wait for its client", p.up, p.gone)
	}
	w.run(2 * time.Minute)
	c.crash()
	w.run(time.Minute)
	w.g.wantCount(1, 1)
	w.g.empty()
}

// TestAClientThatStopsIsForgotten wherever it stops, after the time for the
// set-up, with a word about how far it came.
func TestAClientThatStopsIsForgotten(t *testing.T) {
	for _, c := range []struct {
		name  string
		stops stop
		why   ike.CloseReason
		stage ike.Stage
	}{
		{"after main mode", stopMain, ike.ClosedChildless, ike.StageQuickMode},
		{"after quick mode", stopQuick, ike.ClosedHalfOpen, ike.StageL2TP},
		{"after SCCRQ", stopSCCRQ, ike.ClosedHalfOpen, ike.StageL2TP},
		{"after the call", stopCall, ike.ClosedHalfOpen, ike.StagePPP},
		{"after LCP", stopLCP, ike.ClosedHalfOpen, ike.StagePPP},
		{"during EAP", stopEAP, ike.ClosedHalfOpen, ike.StagePPP},
		{"with its addresses", stopIPCP, ike.ClosedHalfOpen, ike.StagePPP},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			a := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
			a.stops = c.stops
			a.dial()
			w.run(20 * time.Second)
			if n := len(w.g.live()); n != 1 {
				t.Fatalf("%d sessions live after 20 s", n)
			}
			w.run(2 * time.Minute)
			w.g.wantClosed(c.why)
			p := w.g.all[0]
			last := p.closed[len(p.closed)-1]
			if got := w.g.leased > 0; got != (c.stops == stopIPCP) {
				t.Errorf("leased: %t", got)
			}
			if last.Err == nil {
				t.Error("Closed says nothing of what was missing")
			}
			w.g.wantRecord(c.stage, "", "")
			a.crash()
			w.run(5 * time.Minute)
			w.g.empty()
			w.g.wantCount(0, 0)
		})
	}
}

var errBroken = errors.New("the directory does not answer")

// TestRefusalsAreOnRecord: every way of not coming in has a reason, mostly a
// hint, and an end.
func TestRefusalsAreOnRecord(t *testing.T) {
	hinted := &ike.Refusal{Reason: "the card is revoked", Hint: "issue another"}
	for _, x := range []struct {
		name         string
		change       func(*world, *client)
		stage        ike.Stage
		reason, hint string
	}{
		{"main mode", func(w *world, _ *client) {
			w.g.admit = func(*ikev1.Authenticate) error { return &ikev1.Refusal{Reason: "not this machine", Hint: "enrol it"} }
		}, ike.StageMainMode, "not this machine", "enrol it"},
		{"EAP refuses", func(w *world, _ *client) { w.g.logins.verdict = func(string) error { return hinted } },
			ike.StagePPP, "the card is revoked", "issue another"},
		{"EAP refuses with last words", func(w *world, _ *client) {
			w.g.logins.alert, w.g.logins.verdict = true, func(string) error { return hinted }
		}, ike.StagePPP, "the card is revoked", "issue another"},
		{"EAP breaks", func(w *world, _ *client) { w.g.logins.broken = errBroken }, ike.StagePPP, "the directory does not answer", ""},
		{"the peer naks EAP", func(_ *world, c *client) { c.naks = true }, ike.StagePPP, "no common method", "EAP-TLS"},
		{"the peer naks to MS-CHAP", func(_ *world, c *client) { c.ppp.Wanted.Protocol, c.ppp.Wanted.Data = 0xc223, []byte{0x81} },
			ike.StagePPP, "mschapv2", "EAP-TLS"},
		{"no lease", func(w *world, _ *client) {
			w.g.lease = func(*ike.Lease) (ike.Leased, error) {
				return ike.Leased{}, &ike.Refusal{Reason: "the pool is empty", Hint: "enlarge it"}
			}
		}, ike.StagePPP, "the pool is empty", "enlarge it"},
		{"the store of leases breaks", func(w *world, _ *client) {
			w.g.lease = func(*ike.Lease) (ike.Leased, error) { return ike.Leased{}, errBroken }
		}, ike.StagePPP, "the directory does not answer", ""},
		{"L2TP with a tunnel secret", func(_ *world, c *client) { c.l2tp.Secret = []byte("secret") }, ike.StageL2TP, "tunnel secret", "tunnel authentication"},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, 1)
			c := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
			x.change(w, c)
			c.dial()
			w.run(30 * time.Second)
			w.g.wantRecord(x.stage, x.reason, x.hint)
			w.run(3 * time.Minute)
			w.g.wantCount(0, 0)
			w.g.empty()
		})
	}
}

// TestThePeerIsNotToldWhyItsLoginFailed: the reason is for the record. It went
// out in the CDN, where a holder of the group's key could read which names
// exist.
func TestThePeerIsNotToldWhyItsLoginFailed(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
	w.g.logins.verdict = func(string) error { return &ike.Refusal{Reason: "there is no user of this name"} }
	cdns, send := 0, w.g.send
	w.g.send = func(d simnet.Datagram) {
		if p, ok := w.parsePacket(d.Data); ok {
			m, err := l2tpmsg.Parse(p.msg)
			if kind, _, _ := m.Type(); err == nil && kind == l2tpmsg.CDN {
				cdns++
			}
			if bytes.Contains(p.msg, []byte("no user")) {
				t.Errorf("the peer reads %q", p.msg)
			}
		}
		send(d)
	}
	c.dial()
	w.run(time.Minute)
	w.g.wantRecord(ike.StagePPP, "there is no user of this name", "")
	if cdns == 0 {
		t.Error("nothing hung up")
	}
}

// TestADeadClientIsNoticed: it vanishes without a word.
func TestADeadClientIsNoticed(t *testing.T) {
	for name, change := range map[string]func(*world){
		"by DPD":      func(w *world) { w.g.cfg.L2TP.Hello, w.g.cfg.PPP.Echo = -1, -1 },
		"by HELLO":    func(w *world) { w.g.cfg.IKE.DPD, w.g.cfg.PPP.Echo = -1, -1 },
		"by LCP Echo": func(w *world) { w.g.cfg.IKE.DPD, w.g.cfg.L2TP.Hello = -1, -1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			change(w)
			c, p := established(w)
			c.crash()
			w.run(10 * time.Minute)
			if !p.gone {
				t.Errorf("ten minutes later the session is up %t", p.up)
			}
			w.g.wantClosed(ike.ClosedTimeout)
			w.g.wantCount(1, 1)
		})
	}
}

// TestAJobThatNeverComesBackEndsTheSession in bounded time.
func TestAJobThatNeverComesBackEndsTheSession(t *testing.T) {
	for name, held := range map[string]func(ike.Task) bool{
		"a key pair":                       func(t ike.Task) bool { _, ok := t.(ike.GenerateKE); return ok },
		"the pre-shared key, or the proof": func(t ike.Task) bool { _, ok := t.(ike.Work); return ok },
		"EAP":                              func(t ike.Task) bool { _, ok := t.(*ike.EAP); return ok },
		"a lease":                          func(t ike.Task) bool { _, ok := t.(*ike.Lease); return ok },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.g.held = held
			c := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
			c.dial()
			w.run(3 * time.Minute)
			c.crash()
			w.run(3 * time.Minute)
			w.g.empty()
			w.g.wantCount(0, 0)
			if n := w.g.all[0].maxJobs; n > 2 {
				t.Errorf("%d jobs at a time", n)
			}
		})
	}
}

// TestAJobThatComesTooLateChangesNothing: the call that asked is over.
func TestAJobThatComesTooLateChangesNothing(t *testing.T) {
	seeds(t, 100, func(t *testing.T, w *world) {
		slow := func() time.Duration { return time.Duration(w.net.Rand.IntN(3000)) * time.Millisecond }
		w.delay = slow
		c := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
		c.again = true
		c.dial()
		for range 5 {
			w.run(time.Duration(w.net.Rand.IntN(20000)) * time.Millisecond)
			c.crash()
			c.dial()
		}
		w.until("alice is up", c.up)
		c.works()
		c.leave()
		w.run(5 * time.Minute)
		w.g.empty()
	})
}

// TestADialLeavesFewJobs: who dials again and again while the directory is slow
// does not fill the queue of the workers.
func TestADialLeavesFewJobs(t *testing.T) {
	w := newWorld(t, 1)
	w.g.held = func(t ike.Task) bool { _, ok := t.(*ike.EAP); return ok }
	a := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
	a.stops = stopLCP
	a.dial()
	for range 200 {
		w.run(200 * time.Millisecond)
		if a.lac != nil {
			a.withL2TP(func(o *l2tp.Out) { a.lac.Do(w.now(), l2tp.CloseTunnel{}, o) })
			a.link = nil
			a.withL2TP(func(o *l2tp.Out) { a.lac.Connect(w.now(), o) })
		}
	}
	if n := w.g.all[0].maxJobs; n > maxJobs || n < 2 {
		t.Errorf("%d jobs at a time", n)
	}
	if n := w.g.logins.open; n > 1 {
		t.Errorf("%d conversations are open", n)
	}
	w.run(5 * time.Minute)
	w.g.empty()
}

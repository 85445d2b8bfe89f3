package ikev1

import (
	"testing"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

func TestPhase2Rekeys(t *testing.T) {
	for _, who := range []string{"client", "gateway"} {
		for _, nat := range []bool{false, true} {
			w := newWorld(t, 1, nat)
			w.up()
			w.works()
			by := w.c
			if who == "gateway" {
				by = w.g
			}
			old := by.outbound
			by.do(RekeyPhase2{})
			w.run(time.Second)
			if by.outbound == old || len(by.installed) != 2 {
				t.Fatalf("%s rekeys: outbound %x was %x, %d SAs", who, by.outbound, old, len(by.installed))
			}
			if by.installed[by.outbound].Replaces != old {
				t.Errorf("%+v replaces something else than %x", by.installed[by.outbound], old)
			}
			w.works()
			w.run(20 * time.Second)
			w.settled(1)
			w.works()
		}
	}
}

// TestADay lets two ends with short lifetimes run on a lossy network.
func TestADay(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		w := newWorld(t, seed, seed%2 == 0)
		for _, n := range []*node{w.c, w.g} {
			n.policy.Lifetime1, n.policy.Lifetime2 = 20*time.Minute, 5*time.Minute
		}
		w.up()
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0.1, 0.1, 0.2
		for range 12 * 60 {
			w.run(10 * time.Second)
			if w.c.session() == nil || w.g.session() == nil {
				t.Fatalf("seed %d at %v: client %+v, gateway %+v", seed, w.now(), w.c.closed, w.g.closed)
			}
			w.c.traffic()
			w.run(time.Second)
			w.g.traffic()
			if len(w.c.installed) == 0 || len(w.g.installed) == 0 || w.c.outbound == 0 || w.g.outbound == 0 {
				t.Fatalf("seed %d at %v: client %v %x, gateway %v %x", seed, w.now(), w.c.installed, w.c.outbound, w.g.installed, w.g.outbound)
			}
			if len(w.c.installed) > 4 || len(w.g.installed) > 4 || len(w.g.cookies) > 4 {
				t.Fatalf("seed %d: SAs pile up: %d and %d, %d cookies", seed, len(w.c.installed), len(w.g.installed), len(w.g.cookies))
			}
		}
		w.net.Link.Loss, w.net.Link.Duplicate, w.net.Link.Reorder = 0, 0, 0
		w.run(10 * time.Minute)
		w.works()
	}
}

func TestPhase1Rekeys(t *testing.T) {
	for _, nat := range []bool{false, true} {
		w := newWorld(t, 1, nat)
		w.up()
		w.works()
		old, _ := w.c.session().Cookies()
		sas := w.c.session().SAs()
		w.c.do(RekeyPhase1{})
		w.run(2 * time.Second)
		now, _ := w.c.session().Cookies()
		if now == old || len(w.g.est) != 2 || len(w.g.sessions) != 2 || !w.g.sessions[0].Dead() || w.g.sessions[1].Dead() {
			t.Fatalf("cookie %x was %x, gateway has %d sessions, closed %+v", now, old, len(w.g.sessions), w.g.closed)
		}
		w.run(20 * time.Second)
		w.settled(1)
		if after := w.c.session().SAs(); after[0].SPIIn != sas[0].SPIIn {
			t.Error("the ESP SA was replaced with the ISAKMP SA")
		}
		w.works()
		w.c.do(RekeyPhase2{})
		w.run(20 * time.Second)
		w.settled(1)
		w.works()
		if len(w.c.closed)+len(w.g.closed) > 0 {
			t.Errorf("%+v %+v", w.c.closed, w.g.closed)
		}
	}
}

func TestAdoptionWantsTheSamePeerAndPath(t *testing.T) {
	w := newWorld(t, 1, false)
	w.up()
	s := w.g.session()
	var out Out
	if s.Adopt(s, w.now(), &out) {
		t.Error("a session adopts itself")
	}
	other := *s
	other.peerID.Data = []byte("somebody else")
	if s.Adopt(&other, w.now(), &out) || other.Dead() {
		t.Error("a session adopts another peer's")
	}
	other = *s
	other.path.remote = w.c.addr
	other.path.local = w.c.addr
	if s.Adopt(&other, w.now(), &out) {
		t.Error("a session adopts one from elsewhere")
	}
	if len(out.Events) > 0 {
		t.Errorf("%+v", out.Events)
	}
}

// Both sides start at once: two SAs replace one, and whatever is deleted, there
// is always one left that both have.
func TestCrossingRekeys(t *testing.T) {
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 30
	}
	crossed := 0
	for seed := range seeds {
		w := newWorld(t, seed, seed%2 == 0)
		w.up()
		w.works()
		w.net.Link.Loss, w.net.Link.Reorder = 0.1, 0.3
		w.c.do(RekeyPhase2{})
		w.run(time.Duration(w.rng.IntN(25)) * time.Millisecond)
		w.g.do(RekeyPhase2{})
		for range 60 {
			w.run(time.Second)
			if len(w.c.installed) == 3 {
				crossed++
			}
			w.c.traffic()
			w.g.traffic()
			if len(w.c.installed) == 0 || len(w.g.installed) == 0 {
				t.Fatalf("seed %d: nothing is left", seed)
			}
		}
		w.net.Link.Loss, w.net.Link.Reorder = 0, 0
		w.run(time.Minute)
		w.works()
	}
	if crossed == 0 {
		t.Error("no rekeys crossed")
	}
}

func TestVolumeLimits(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	old := w.g.outbound
	w.g.do(PlaneEvent{Kind: SoftLimit, SPIIn: old})
	w.run(20 * time.Second)
	w.settled(1)
	if w.g.outbound == old {
		t.Error("the soft limit rekeys nothing")
	}
	w.g.do(PlaneEvent{Kind: HardLimit, SPIIn: w.g.outbound})
	if len(w.g.installed) != 0 {
		t.Errorf("the hard limit leaves %v", w.g.installed)
	}
	w.run(5 * time.Second)
	w.works() // the client asked for another
}

func TestLesserLifetimeCounts(t *testing.T) {
	for _, c := range []struct{ client, gateway, want time.Duration }{
		{time.Hour, 24 * time.Hour, time.Hour}, {24 * time.Hour, 10 * time.Minute, 10 * time.Minute}, {time.Second, time.Hour, minLifetime},
	} {
		w := newWorld(t, 1, false)
		w.c.policy.Lifetime2, w.g.policy.Lifetime2 = c.client, c.gateway
		w.up()
		for _, sa := range w.g.installed {
			if got := sa.Expires.Sub(w.now()); got < c.want-2*time.Second || got > c.want+2*time.Second {
				t.Errorf("client %v, gateway %v: %v", c.client, c.gateway, got)
			}
		}
	}
}

func TestSessionWithoutESPEnds(t *testing.T) {
	w := newWorld(t, 1, true)
	w.c.policy.Phase2 = phase2("aes128gcm16")
	w.start()
	w.run(3 * time.Minute)
	if len(w.g.closed) != 1 || len(w.c.closed) != 1 || w.g.session() != nil {
		t.Fatalf("%+v %+v", w.g.closed, w.c.closed)
	}
}

func TestWaivedIntegrityIsMarked(t *testing.T) {
	for text, waived := range map[string]bool{"aes256-sha1": true, "aes256-sha256": false, "aes256gcm16": false} {
		c := choice{proposed: proposed{encr: must(suite.ParseL2TPProposal(suite.ProtocolESP, text, true)).Of(suite.Encr)[0]}}
		if i := must(suite.ParseL2TPProposal(suite.ProtocolESP, text, true)).Of(suite.Integ); len(i) > 0 {
			c.integ = i[0]
		}
		if c.esp().Waived != waived {
			t.Errorf("%s: waived is %v", text, c.esp().Waived)
		}
	}
}

func TestDeleteOfOneSA(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	w.g.do(DeleteSA{SPIIn: w.g.outbound})
	w.run(5 * time.Second)
	w.works() // the client asks for another at once
	w.settled(1)
}

// ---- Dead peers (RFC 3706)

func TestDeadPeerIsNoticed(t *testing.T) {
	for _, who := range []string{"client", "gateway"} {
		w := newWorld(t, 1, true)
		w.up()
		w.works()
		dead, alive := w.c, w.g
		if who == "gateway" {
			dead, alive = w.g, w.c
		}
		w.mangle = func(from *node, d Datagram) []Datagram {
			if from == dead {
				return nil
			}
			return []Datagram{d}
		}
		w.run(3 * time.Minute)
		if len(alive.closed) != 1 || alive.closed[0].Reason != ClosedTimeout || len(alive.installed) > 0 {
			t.Errorf("%s is dead: %+v", who, alive.closed)
		}
	}
}

func TestQuietPeersLive(t *testing.T) {
	w := newWorld(t, 1, true)
	w.c.policy.DPD = -1
	w.up()
	w.run(time.Hour / 2)
	if len(w.g.closed)+len(w.c.closed) > 0 {
		t.Fatalf("%+v %+v", w.g.closed, w.c.closed)
	}
	w.works()
}

// ESP is a sign of life: nobody asks while there is traffic (trap 23).
func TestTrafficPostponesTheProbe(t *testing.T) {
	w := newWorld(t, 1, false)
	w.up()
	w.works()
	before := w.c.sent + w.g.sent
	for range 20 {
		w.run(30 * time.Second)
		w.c.traffic()
		w.g.traffic()
	}
	if got := w.c.sent + w.g.sent - before; got > 0 {
		t.Errorf("%d messages beside the traffic", got)
	}
}

// Windows does not speak RFC 3706: nobody asks it.
func TestPeersWithoutDPDAreNotAsked(t *testing.T) {
	w := newWorld(t, 1, false)
	w.up()
	for _, n := range []*node{w.c, w.g} {
		n.session().sa.dpd = false
	}
	before := w.c.sent + w.g.sent
	w.run(20 * time.Minute)
	if got := w.c.sent + w.g.sent - before; got > 0 {
		t.Errorf("%d messages", got)
	}
}

// silence loses what one side sends in quick mode.
func silence(w *world, who *node) {
	w.mangle = func(from *node, d Datagram) []Datagram {
		if h, err := isakmp.ParseHeader(d.Data); err == nil && from == who && h.Exchange == isakmp.ExchangeQuick {
			return nil
		}
		return []Datagram{d}
	}
}

func TestFirstQuickModeWithoutAnswer(t *testing.T) {
	w := newWorld(t, 1, true)
	silence(w, w.g)
	w.start()
	w.run(3 * time.Minute)
	if len(w.c.closed) != 1 || len(w.g.closed) != 1 || len(w.g.installed) > 0 {
		t.Fatalf("%+v %+v", w.c.closed, w.g.closed)
	}
}

func TestRekeyIsTriedAgain(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	old := w.c.outbound
	silence(w, w.g)
	w.c.do(RekeyPhase2{})
	w.run(2 * time.Minute)
	if w.c.outbound != old || w.c.session() == nil {
		t.Fatalf("outbound %x was %x, %+v", w.c.outbound, old, w.c.closed)
	}
	w.mangle = nil
	w.run(2 * time.Minute)
	if w.c.outbound == old {
		t.Error("nobody tried again")
	}
	w.works()
}

// An error with a right hash ends a rekey, and not the SA that was to be
// replaced.
func TestRefusedRekeyLeavesTheOldSA(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	old := w.c.outbound
	w.g.policy.Phase2 = phase2("aes128gcm16")
	w.c.do(RekeyPhase2{})
	w.run(5 * time.Second)
	if len(w.g.records) != 1 || len(w.c.records) != 1 || !w.c.records[0].ByPeer || w.c.outbound != old {
		t.Fatalf("%+v %+v", w.g.records, w.c.records)
	}
	w.works()
}

func TestMainModeThatReplacesIsTriedAgain(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	old, _ := w.c.session().Cookies()
	w.mangle = func(from *node, d Datagram) []Datagram {
		if h, err := isakmp.ParseHeader(d.Data); err == nil && from == w.g && h.Exchange == isakmp.ExchangeMain {
			return nil
		}
		return []Datagram{d}
	}
	w.c.do(RekeyPhase1{})
	w.run(2 * time.Minute)
	if now, _ := w.c.session().Cookies(); now != old || len(w.c.closed) > 0 {
		t.Fatalf("%+v", w.c.closed)
	}
	w.works()
	w.mangle = nil
	w.run(2 * time.Minute)
	if now, _ := w.c.session().Cookies(); now == old {
		t.Error("nobody tried again")
	}
	w.settled(1)
	w.works()
}

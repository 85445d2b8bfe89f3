package ikev1

import (
	"testing"
	"time"

	"sallyport/protocol/ikev1/isakmp"
)

// Sequence numbers belong to an ISAKMP SA. A peer that had just proved that it
// lives, by a new main mode, was given up because of a probe of the old one.
func TestProbeDoesNotOutliveItsISAKMPSA(t *testing.T) {
	w := newWorld(t, 1, true)
	w.g.policy.DPD = -1
	w.up()
	w.mangle = func(from *node, d Datagram) []Datagram {
		if h, err := isakmp.ParseHeader(d.Data); err == nil && from == w.g && h.Exchange == isakmp.ExchangeInformational {
			return nil
		}
		return []Datagram{d}
	}
	w.run(65 * time.Second)
	if w.c.session().probe == nil {
		t.Fatal("the client does not ask")
	}
	w.c.do(RekeyPhase1{})
	w.run(time.Second)
	w.mangle = nil
	w.run(3 * time.Minute)
	if len(w.c.closed) > 0 {
		t.Fatalf("%+v", w.c.closed)
	}
	w.works()
}

// A rekey of the gateway that is under way ends with its ISAKMP SA. The ESP SA
// that it was for still has to be replaced.
func TestRekeyThatLosesItsISAKMPSAIsTriedAgain(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"adopted": func(*world) {},
		"deleted": func(w *world) { w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 5, true, w.deleteISAKMP())) },
	} {
		w := newWorld(t, 1, true)
		w.up()
		w.works()
		old := w.g.outbound
		silence(w, w.g)
		w.g.do(RekeyPhase2{})
		lose(w)
		w.c.do(RekeyPhase1{})
		w.run(time.Second)
		w.mangle = nil
		w.run(2 * time.Minute)
		if w.g.outbound == old {
			t.Errorf("%s: nobody tried again", name)
		}
		w.settled(1)
		w.works()
	}
}

// A main mode that took too long is dropped while its last job is out. The answer
// brought it back, without its keys, in place of the ISAKMP SA that worked.
func TestLateJobOfADroppedMainModeChangesNothing(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	w.mangle = func(from *node, d Datagram) []Datagram {
		if h, err := isakmp.ParseHeader(d.Data); err == nil && from == w.g && h.Exchange == isakmp.ExchangeMain && h.Flags&isakmp.FlagEncryption != 0 {
			w.c.jobDelay = defaultHalfOpen + 5*time.Second // for the judgement of message 6
		}
		return []Datagram{d}
	}
	w.c.do(RekeyPhase1{})
	w.run(defaultHalfOpen + time.Second)
	w.mangle, w.c.jobDelay = nil, 0
	w.run(5 * time.Second)
	if s := w.c.session(); s == nil || s.sa.up() && s.sa.keys.encr == nil {
		t.Fatalf("the ISAKMP SA was replaced by one without keys: %+v", w.c.closed)
	}
	w.works()
	w.c.do(RekeyPhase2{})
	w.run(time.Minute)
	w.settled(1)
	w.works()
}

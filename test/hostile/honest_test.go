package hostile

import (
	"testing"
	"time"
)

// TestTheHostilePeerCanBeHonest proves the harness: what is refused later is
// refused for what it does, not because the attacker cannot speak.
func TestTheHostilePeerCanBeHonest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	p := w.newPeer(w.enrol("mallory", "laptop-m")).mustConnect()
	if !p.ping(p.leased, 5*time.Second) {
		t.Errorf("no echo through the attacker's own tunnel from %v", p.leased)
	}
	if !p.alive() {
		t.Error("the gateway does not answer a liveness check")
	}
	p.gone()
	w.eventually(5*time.Second, "the session ends", func() bool { return len(w.sessions()) == 0 })
	w.unharmed()
}

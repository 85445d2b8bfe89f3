package hostile

import (
	"context"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

// TestRevocationCutsLiveTunnelsInUnderASecond measures from the moment the
// administrator presses return to the last echo that still came back, with the
// real client and with one that ignores the DELETE.
func TestRevocationCutsLiveTunnelsInUnderASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	deaf := w.newPeer(w.enrol("mallory", "deaf")).mustConnect()
	deaf.mute = true
	bystander := w.newPeer(w.enrol("bob", "other")).mustConnect()
	tunnel := w.connect("friend", w.enrol("mallory", "laptop"))
	tunnel.up(w, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := w.lab.At("friend").AwaitPing(ctx, inside4); err != nil {
		t.Fatal(err)
	}
	flow, err := w.lab.At("friend").StartFlow(t.Context(), w.lab.At("inside"), inside4, 200, 64)
	w.must(err)
	if !deaf.ping(deaf.leased, 5*time.Second) || !bystander.ping(bystander.leased, 5*time.Second) {
		t.Fatal("the tunnels do not work before")
	}
	time.Sleep(300 * time.Millisecond)

	lastEcho, stop, stopped := time.Time{}, make(chan struct{}), make(chan struct{})
	go func() { // the deaf one's own echoes
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if deaf.ping(deaf.leased, 20*time.Millisecond) {
				lastEcho = time.Now()
			}
		}
	}()
	told := make(chan time.Time, 1)
	go func() {
		<-deaf.deleted
		told <- time.Now()
	}()
	pressed := time.Now()
	w.sallyport("user", "revoke", "mallory")
	returned := time.Now()
	time.Sleep(1500 * time.Millisecond)
	close(stop)
	<-stopped
	r := flow.Stop(0)

	for _, m := range []struct {
		what string
		at   time.Time
	}{{"the real client's last echo", r.LastBack}, {"the deaf client's last echo", lastEcho}} {
		if m.at.IsZero() {
			t.Errorf("%s: there was none at all", m.what)
		}
		if took := m.at.Sub(pressed); took > time.Second {
			t.Errorf("%s came %v after the call", m.what, took)
		} else {
			t.Logf("%s: %v after the call, which took %v", m.what, took.Round(time.Millisecond), returned.Sub(pressed).Round(time.Millisecond))
		}
	}
	select {
	case at := <-told:
		if took := at.Sub(pressed); took > time.Second {
			t.Errorf("the DELETE came %v after the call", took)
		} else {
			t.Logf("the DELETE: %v after the call", took.Round(time.Millisecond))
		}
	default:
		t.Error("no DELETE came")
	}
	if deaf.ping(deaf.leased, 300*time.Millisecond) {
		t.Error("the deaf client still gets through")
	}
	if !bystander.ping(bystander.leased, 5*time.Second) {
		t.Error("another user's tunnel was cut, too")
	}
	if err := w.newPeer(deaf.who).connect(); refusal(err) != ikemsg.NotifyAuthenticationFailed {
		t.Errorf("the revoked device tries again: %v, want AUTHENTICATION_FAILED", err)
	}
	if n := tunnel.reports.count(`"connected"`); n != 1 {
		t.Errorf("the real client was connected %d times", n)
	}
	w.unharmed()
}

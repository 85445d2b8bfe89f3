package legacy

import (
	"testing"
	"time"

	"sallyport/internal/lab/labtest"
)

// TestAFirewallThatWasFlushedComesBack: a restart of the host's own firewall
// flushes what others have in there.
func TestAFirewallThatWasFlushedComesBack(t *testing.T) {
	l := labtest.Open(t, drawing, "nft")
	g := serve(t, l.At("gateway"), printers)
	held := func() bool {
		var status struct {
			Zones []struct {
				L2TP struct {
					Firewall struct {
						InForce bool `json:"in_force"`
					}
				}
			}
		}
		if err := g.ask(t, &status, "status"); err != nil {
			t.Fatal(err)
		}
		return len(status.Zones) == 1 && status.Zones[0].L2TP.Firewall.InForce
	}
	if !held() {
		t.Fatal("the firewall is not in force at first")
	}
	if out, err := g.host.Run(within(t, 10*time.Second), "nft", "flush", "ruleset"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if held() {
		t.Fatal("the rules were flushed, and status says that they are in force")
	}
	for end := time.Now().Add(15 * time.Second); !held(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the firewall does not come back")
		}
	}
}

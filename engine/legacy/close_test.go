package legacy

import (
	"testing"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/l2tp"
	"sallyport/protocol/ppp"
)

func TestACleanEndBySide(t *testing.T) {
	for name, end := range map[string]func(*client){
		"Terminate-Request first": func(c *client) { c.leave() },
		"StopCCN first":           func(c *client) { c.again = false; c.hangUp() },
		"Delete only":             func(c *client) { c.again = false; c.closeIKE() },
		"Terminate-Request alone": func(c *client) {
			c.withPPP(func(o *ppp.Out) { c.link.Do(c.w.now(), ppp.Close{}, o) })
			c.crash()
		},
	} {
		t.Run(name, func(t *testing.T) {
			seeds(t, 20, func(t *testing.T, w *world) {
				c, _ := established(w)
				end(c)
				w.run(5 * time.Minute)
				w.g.wantCount(1, 1)
				w.g.wantClosed(ike.ClosedByPeer)
				w.g.empty()
			})
		})
	}
}

// TestCloseSessionEndsEverythingInOrder: Terminate-Request, StopCCN and Delete
// reach the client, and the plane loses the call at once.
func TestCloseSessionEndsEverythingInOrder(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	c.stops = stopEAP // and does not hang up by itself
	w.g.do(p, ike.CloseSession{Reason: "revoked"})
	for _, a := range w.g.sas {
		if a.call != nil {
			t.Error("the plane still has the call")
		}
	}
	w.g.wantCount(1, 1)
	w.g.wantClosed(ike.ClosedByUs)
	w.run(time.Second)
	if c.link != nil || c.ike == nil {
		t.Error("the client still has a link, or has no IKE any more")
	}
	w.run(time.Minute)
	c.wantLog("network down", "tunnel down: the peer closed the tunnel: being shut down, \"revoked\"", "is over: IKE 2")
	w.g.wantCount(1, 1)
	w.g.empty()
}

func TestCloseSessionBeforeTheLogin(t *testing.T) {
	for _, after := range []time.Duration{20, 60, 100, 150, 200, 250, 300, 350, 400, 3000} {
		w := newWorld(t, 1)
		c := w.client("alice", "192.168.1.2", w.nat("203.0.113.7"))
		c.dial()
		w.run(after * time.Millisecond)
		w.g.do(w.g.only(), ike.CloseSession{Reason: "the gateway shuts down"})
		w.run(time.Minute)
		w.g.wantClosed(ike.ClosedByUs)
		w.g.wantCount(0, 0)
		w.g.empty()
	}
}

// TestNobodyComesInDuringTheFarewell: a client that dials at once when it is
// told to go gets no second call from the session that is closing.
func TestNobodyComesInDuringTheFarewell(t *testing.T) {
	w := newWorld(t, 1)
	w.delay = nil
	c, p := established(w)
	w.g.do(p, ike.CloseSession{Reason: "revoked"})
	c.lac = l2tp.NewEndpoint(c.l2tp)
	c.withL2TP(func(o *l2tp.Out) { c.lac.Connect(w.now(), o) })
	w.run(farewell - 100*time.Millisecond)
	w.g.wantCount(1, 1)
	w.run(time.Minute)
	c.crash()
	w.run(time.Minute)
	w.g.wantCount(1, 1)
	w.g.empty()
}

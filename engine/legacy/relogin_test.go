package legacy

import (
	"testing"
	"time"

	"sallyport/protocol/ike"
	"sallyport/protocol/ppp"
	"sallyport/protocol/ppp/hostconf"
)

// TestAnEstablishedSessionHoldsNoConversation: a login takes 100 KB, and there
// may be so many at one time.
func TestAnEstablishedSessionHoldsNoConversation(t *testing.T) {
	w := newWorld(t, 1)
	established(w)
	if n := w.g.logins.open; n != 0 {
		t.Errorf("%d conversations are open", n)
	}
}

// renegotiate begins a new link in the call that is there.
func (c *client) renegotiate(user string) {
	c.user, c.network, c.link = user, nil, nil
	c.withPPP(func(o *ppp.Out) { c.link = ppp.New(c.ppp, c.w.now(), o) })
}

// TestAnotherLoginInTheSameCallIsAnotherSession: LCP may begin anew at any time
// (RFC 1661, Section 3.4), and then somebody else may log in. Who was in before
// is out, with the account, the addresses and what can be revoked.
func TestAnotherLoginInTheSameCallIsAnotherSession(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	c.renegotiate("mallory")
	c.wantUp()
	w.g.wantCount(2, 1)
	w.g.wantClosed(ike.ClosedByPeer)
	if n := len(p.est); n != 2 || p.est[1].Admission.Identity != "mallory" {
		t.Errorf("established as %+v", p.est)
	}
	c.leave()
	w.run(time.Minute)
	w.g.empty()
}

// TestALoginThatIsRefusedLater: it was in, and does not get in again.
func TestALoginThatIsRefusedLater(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	w.g.logins.verdict = func(string) error { return &ike.Refusal{Reason: "revoked meanwhile"} }
	c.renegotiate("alice")
	w.run(20 * time.Second)
	w.g.wantRecord(ike.StagePPP, "revoked meanwhile", "")
	w.g.wantCount(1, 1)
	w.run(3 * time.Minute)
	if !p.gone {
		t.Error("the session is still there")
	}
	w.g.empty()
}

// TestALinkWithoutLoginIsToldNothing: once LCP begins anew, advertisements of
// the network that was are not for who is there now.
func TestALinkWithoutLoginIsToldNothing(t *testing.T) {
	w := newWorld(t, 1)
	c, p := established(w)
	w.run(hostconf.AdvertiseEvery - 30*time.Second) // the next one is near
	c.stops = stopLCP
	c.renegotiate("mallory")
	w.run(time.Second)
	told := c.told
	if told == 0 {
		t.Error("nothing was advertised while the network was up")
	}
	if p.up {
		t.Error("the session is up without a login")
	}
	w.run(10 * time.Minute)
	if c.told != told {
		t.Errorf("%d advertisements came to a link without login", c.told-told)
	}
	w.g.empty()
}

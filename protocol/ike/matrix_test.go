package ike

import (
	"net/netip"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
)

func TestEveryCertificateKind(t *testing.T) {
	kinds := []string{"ecdsa256", "ecdsa384", "ed25519", "rsa2048", "big"}
	for _, ik := range kinds {
		for _, rk := range kinds {
			t.Run(ik+"_"+rk, func(t *testing.T) {
				w := newWorld(t, 2)
				w.i.cred = pkiOf().credential(ik, w.i.name)
				w.r.cred = pkiOf().credential(rk, w.r.name)
				w.up()
				w.settled(1)
			})
		}
	}
}

func TestEverySuite(t *testing.T) {
	for _, c := range []struct{ ike, esp string }{
		{"aes256gcm16-prfsha256-ecp521", "aes256gcm16-ecp384"}, // the worked suite of M3.2
		{"aes128gcm16-prfsha384-ecp384", "aes128gcm16-ecp256"},
		{"chacha20poly1305-prfsha512-x25519", "chacha20poly1305-x25519"},
		{"aes256-sha256-modp2048", "aes256-sha256-modp2048"},
		{"aes128-sha384-modp3072", "aes128-sha384-modp3072"},
		{"aes256-sha512-ecp256", "aes256-sha512-ecp521-noesn"},
		{"aes192gcm16-prfsha256-modp4096", "aes192gcm16-esn"},
	} {
		t.Run(c.ike, func(t *testing.T) {
			w := newWorld(t, 3)
			for _, p := range []*peer{w.i, w.r} {
				p.policy.IKE = ikeProposals(c.ike)
				p.child.ESP = espProposals(c.esp)
			}
			w.up()
			if got := w.i.session.Suite(); got != w.r.session.Suite() || got.KE != groups(ikeProposals(c.ike))[0] {
				t.Errorf("suites %v and %v", got, w.r.session.Suite())
			}
			for range 2 {
				for _, p := range []*peer{w.i, w.r} {
					p.do(RekeyChild{p.onlyChild()})
					w.run(20 * time.Second)
					w.settled(1)
					p.do(RekeyIKE{})
					w.run(20 * time.Second)
					w.settled(1)
				}
			}
			made := w.i.installed[w.i.onlyChild()].Suite
			if gs := groups(espProposals(c.esp)); len(gs) > 0 && made.KE != gs[0] {
				t.Errorf("no PFS after rekeys: %v", made)
			}
		})
	}
}

func TestCloseFromEitherSide(t *testing.T) {
	for _, who := range []string{"initiator", "responder"} {
		t.Run(who, func(t *testing.T) {
			w := newWorld(t, 4)
			w.up()
			p := map[string]*peer{"initiator": w.i, "responder": w.r}[who]
			p.do(CloseSession{"test"})
			w.run(time.Second)
			if p.closed == nil || p.closed.Reason != ClosedByUs || p.other().closed == nil || p.other().closed.Reason != ClosedByPeer {
				t.Errorf("closed %+v, other side %+v", p.closed, p.other().closed)
			}
		})
	}
}

func TestMOBIKEMovesAfterTheReturnCheck(t *testing.T) {
	w := newWorld(t, 5)
	w.up()
	w.i.move("203.0.113.9:4500", nil)
	w.i.do(LocalAddressChanged{Local: w.i.addr})
	w.run(time.Second)
	_, remote := w.r.session.Path()
	if remote != w.i.addr {
		t.Errorf("responder's path ends at %v, want %v", remote, w.i.addr)
	}
	for _, p := range []*peer{w.i, w.r} {
		if m := lastMoved(p); m == nil || len(m.Children) != 1 || m.Children[0] != p.onlyChild() {
			t.Errorf("%s: moved %+v", p.name, m)
		}
	}
	w.settled(1)
}

func lastMoved(p *peer) *Moved {
	for i := len(p.events) - 1; i >= 0; i-- {
		if m, ok := p.events[i].(Moved); ok {
			return &m
		}
	}
	return nil
}

func TestVanishedPeerIsNoticed(t *testing.T) {
	w := newWorld(t, 6)
	w.up()
	w.net.Link.Loss = 1
	w.run(10 * time.Minute)
	for _, p := range []*peer{w.i, w.r} {
		if p.closed == nil || p.closed.Reason != ClosedTimeout {
			t.Errorf("%s: %+v, want a time-out", p.name, p.closed)
		}
	}
}

func TestNATIsDetectedAndKeptOpen(t *testing.T) {
	w := newWorld(t, 7)
	w.i.move("192.168.1.2:500", w.net.NAT(netip.MustParseAddr("203.0.113.77")))
	w.up()
	if l, r := w.i.session.NAT(); !l || r {
		t.Errorf("initiator sees NAT local %v remote %v", l, r)
	}
	if l, r := w.r.session.NAT(); l || !r {
		t.Errorf("responder sees NAT local %v remote %v", l, r)
	}
	local, _ := w.i.session.Path()
	if local.Port() != 4500 || !w.i.installed[w.i.onlyChild()].Encap {
		t.Errorf("local %v encap %v: want port 4500 and UDP encapsulation", local, w.i.installed[w.i.onlyChild()].Encap)
	}
	keepalives := func() (n int) {
		for _, d := range w.log {
			if d.Keepalive {
				if d.Local.Addr() != w.i.addr.Addr() {
					t.Errorf("keepalive from %v, only who is behind the NAT sends them", d.Local)
				}
				n++
			}
		}
		return n
	}
	w.run(time.Minute)
	if n := keepalives(); n != 3 {
		t.Errorf("%d keepalives in a minute, want 3", n)
	}
}

func TestForcedEncapsulationFakesANAT(t *testing.T) {
	for _, who := range []string{"initiator", "responder"} {
		t.Run(who, func(t *testing.T) {
			w := newWorld(t, 8)
			w.i.policy.ForceEncap = who == "initiator"
			w.r.policy.ForceEncap = who == "responder"
			w.up()
			for _, p := range []*peer{w.i, w.r} {
				if !p.installed[p.onlyChild()].Encap {
					t.Errorf("%s: raw ESP", p.name)
				}
			}
		})
	}
}

func TestAuthLifetimeIsAnnouncedAndKept(t *testing.T) {
	w := newWorld(t, 9)
	w.r.lifetime = time.Hour
	w.up()
	w.run(56 * time.Minute)
	var due *ReauthDue
	for _, e := range w.i.events {
		if r, ok := e.(ReauthDue); ok {
			due = &r
		}
	}
	if due == nil {
		t.Fatal("the initiator was not told to authenticate anew")
	}
	if left := due.Before.Sub(w.now()); left < time.Minute || left > 5*time.Minute {
		t.Errorf("%v are left for it", left)
	}
	w.run(10 * time.Minute)
	if w.r.closed == nil || w.r.closed.Reason != ClosedExpired || w.i.closed == nil || w.i.closed.Reason != ClosedByPeer {
		t.Errorf("responder %+v, initiator %+v", w.r.closed, w.i.closed)
	}
}

func TestCookieThenGroupThenTunnel(t *testing.T) {
	w := newWorld(t, 10)
	w.r.policy.CookieThreshold = 1 // every request needs one
	w.i.policy.IKE = ikeProposals("aes256gcm16-prfsha256-modp3072-ecp256")
	w.up()
	if w.r.session.Suite().KE.ID != 19 {
		t.Errorf("group %v", w.r.session.Suite().KE)
	}
	if n := inits(w, w.i); n != 3 { // first, with cookie, with cookie and the other group
		t.Errorf("%d IKE_SA_INIT requests, want 3", n)
	}
}

func inits(w *world, from *peer) (n int) {
	for _, d := range w.log {
		h, err := ikemsg.ParseHeader(d.Data)
		if err == nil && h.Exchange == ikemsg.ExchangeIKESAInit && d.Local.Addr() == from.addr.Addr() {
			n++
		}
	}
	return n
}

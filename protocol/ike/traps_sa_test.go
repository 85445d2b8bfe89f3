package ike

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"sallyport/protocol/ike/ikemsg"
	"sallyport/protocol/suite"
)

// The traps of an established session.

// both gives a command to both ends at the same moment.
func (w *world) both(c func(p *peer) Command) {
	w.i.do(c(w.i))
	w.r.do(c(w.r))
}

func rekeyOnly(p *peer) Command { return RekeyChild{p.onlyChild()} }

func TestTrap04_InvalidKEDoesNotLoseTheCollision(t *testing.T) {
	won := map[string]int{}
	for seed := range uint64(20) {
		w := newWorld(t, seed)
		// Each prefers another group for its own rekey, so both get INVALID_KE.
		w.i.child.ESP = espProposals("aes256gcm16-ecp256-ecp384")
		w.r.child.ESP = espProposals("aes256gcm16-ecp384")
		w.up()
		old := w.i.onlyChild()
		w.both(rekeyOnly)
		w.run(10 * time.Minute)
		w.settled(1)
		if w.i.onlyChild() == old {
			t.Fatal("nothing was rekeyed")
		}
		won[w.winner()]++
	}
	if len(won) == 0 {
		t.Error("no rekey at all")
	}
}

// winner says who initiated the exchange that made the present Child SA.
func (w *world) winner() string {
	for _, p := range []*peer{w.i, w.r} {
		if c := p.installed[p.onlyChild()]; c.Outbound {
			return p.name
		}
	}
	return ""
}

func TestTrap05_SimultaneousChildRekey(t *testing.T) {
	won := map[string]int{}
	for seed := range uint64(40) {
		w := newWorld(t, seed)
		w.up()
		w.both(rekeyOnly)
		w.run(200 * time.Millisecond)
		// Traffic never stops: an outbound Child SA exists on both ends throughout.
		w.run(time.Minute)
		w.settled(1)
		won[w.winner()]++
		for _, p := range []*peer{w.i, w.r} {
			for _, e := range p.events {
				if r, ok := e.(Refused); ok {
					t.Errorf("%s: %+v", p.name, r.Record)
				}
			}
		}
	}
	if len(won) != 2 {
		t.Errorf("in 40 collisions the nonces always favoured one side: %v", won)
	}
}

func TestTrap05_LateAndCrossingRequests(t *testing.T) {
	// The peer finished its rekey and is deleting the old Child SA, or has.
	w := newWorld(t, 5)
	w.up()
	old := w.r.onlyChild()
	oldOfPeer := w.i.onlyChild()
	var seen []ikemsg.NotifyType
	w.mangle = func(p *peer, d Datagram) []Datagram {
		h, _ := ikemsg.ParseHeader(d.Data)
		if p == w.i && h.Exchange == ikemsg.ExchangeInformational && h.Flags&ikemsg.FlagResponse != 0 && len(seen) == 0 {
			// The client is deleting, its DELETE is out: now comes the late request.
			seen = append(seen, 0)
		}
		return []Datagram{d}
	}
	w.r.do(RekeyChild{old})
	w.run(25 * time.Millisecond) // request and answer have crossed; the DELETE is out
	if w.r.childState(old) != childReplaced {
		t.Fatalf("state of the old Child SA: %d", w.r.childState(old))
	}
	w.mangle = nil
	request := childRequest("aes256gcm16-ecp256", anywhere, anywhere, rekeySA(oldOfPeer))
	wantNotify(t, "rekey of a Child SA being deleted", w.says(w.i, ikemsg.ExchangeCreateChildSA, request...), ikemsg.NotifyTemporaryFailure)
	w.run(10 * time.Second)
	answer := w.says(w.i, ikemsg.ExchangeCreateChildSA, request...)
	wantNotify(t, "rekey of a deleted Child SA", answer, ikemsg.NotifyChildSANotFound)
	if n, ok := ikemsg.FindNotify(answer, ikemsg.NotifyChildSANotFound); ok && binary.BigEndian.Uint32(n.SPI) != oldOfPeer {
		t.Errorf("CHILD_SA_NOT_FOUND for SPI %x, want %x", n.SPI, oldOfPeer)
	}
	// CVE-2023-38710: REKEY_SA with a strange protocol and SPI.
	for _, n := range []*ikemsg.Notify{
		{Type: ikemsg.NotifyRekeySA, Protocol: ikemsg.ProtoIKE, SPI: make([]byte, 8)},
		{Type: ikemsg.NotifyRekeySA},
	} {
		ps := childRequest("aes256gcm16-ecp256", anywhere, anywhere, n)
		wantNotify(t, "REKEY_SA of nothing", w.says(w.i, ikemsg.ExchangeCreateChildSA, ps...), ikemsg.NotifyChildSANotFound)
	}
	w.settled(1)
}

func (p *peer) childState(spi uint32) childState {
	c := p.session.childIn(spi)
	if c == nil {
		p.w.t.Fatalf("%s: no Child SA %x", p.name, spi)
	}
	return c.state
}

func TestTrap05_ChildRequestsWaitForAnIKERekeyAndTheOtherWay(t *testing.T) {
	w := newWorld(t, 5)
	w.up()
	w.net.Link.Delay = 10 * time.Second // what is under way stays under way
	w.r.do(RekeyIKE{})
	request := childRequest("aes256gcm16-ecp256", anywhere, anywhere, rekeySA(w.i.onlyChild()))
	wantNotify(t, "child rekey during an IKE rekey", w.says(w.i, ikemsg.ExchangeCreateChildSA, request...), ikemsg.NotifyTemporaryFailure)
	deleted := w.says(w.i, ikemsg.ExchangeInformational, deleteESP(w.i.onlyChild()))
	if d, ok := ikemsg.Find[*ikemsg.Delete](deleted); !ok || len(d.SPIs) != 1 {
		t.Errorf("child DELETE during an IKE rekey: %s", describe(deleted))
	}

	w = newWorld(t, 5)
	w.up()
	w.net.Link.Delay = 10 * time.Second
	w.r.do(RekeyChild{w.r.onlyChild()})
	wantNotify(t, "IKE rekey during a child rekey", w.says(w.i, ikemsg.ExchangeCreateChildSA, ikeRekeyRequest(w.i)...), ikemsg.NotifyTemporaryFailure)
}

func ikeRekeyRequest(p *peer) []ikemsg.Payload {
	ke := must(suite.GenerateKE(p.session.Suite().KE))
	return []ikemsg.Payload{
		offer([]suite.Proposal{{Protocol: suite.ProtocolIKE, Transforms: suiteTransforms(p.session.Suite())}}, ikemsg.ProtoIKE, []byte{1, 2, 3, 4, 5, 6, 7, 8}, false),
		&ikemsg.Nonce{Data: slices.Repeat([]byte{0xee}, 32)},
		&ikemsg.KE{Group: p.session.Suite().KE.ID, Data: ke.Public()},
	}
}

func TestTrap06_SimultaneousIKERekey(t *testing.T) {
	won := map[bool]int{}
	for seed := range uint64(40) {
		w := newWorld(t, seed)
		w.up()
		spi, children := w.i.session.sa.spiI, w.i.onlyChild()
		w.both(func(*peer) Command { return RekeyIKE{} })
		w.run(time.Minute)
		w.settled(1)
		if w.i.session.sa.spiI == spi || w.i.onlyChild() != children {
			t.Fatal("the IKE SA is the old one, or the Child SA is another one")
		}
		won[w.i.session.sa.initiator]++
		if w.says(w.i, ikemsg.ExchangeInformational) == nil || w.says(w.r, ikemsg.ExchangeInformational) == nil {
			t.Error("the new IKE SA does not work")
		}
	}
	if len(won) != 2 {
		t.Errorf("in 40 collisions the nonces always favoured one side: %v", won)
	}
}

func TestTrap06_TheOldIKESATakesOnlyItsDelete(t *testing.T) {
	w := newWorld(t, 6)
	w.up()
	old := w.i.session.sa
	w.intercept(w.i, ikemsg.ExchangeInformational, false, func([]ikemsg.Payload) []ikemsg.Payload { return nil }) // the DELETE is delayed
	w.i.do(RekeyIKE{})
	w.run(500 * time.Millisecond)
	if w.r.session.sa.spiI == old.spiI {
		t.Fatal("not rekeyed")
	}
	old.pending = nil
	if ps := w.saysOn(w.i, old, ikemsg.ExchangeInformational); ps != nil {
		t.Errorf("a liveness check on the old IKE SA was answered: %s", describe(ps))
	}
	wantNotify(t, "new Child SA on the old IKE SA", w.saysOn(w.i, old, ikemsg.ExchangeCreateChildSA, childRequest("aes256gcm16", anywhere, anywhere)...), ikemsg.NotifyTemporaryFailure)
	wantEmpty(t, "DELETE of the old IKE SA", w.saysOn(w.i, old, ikemsg.ExchangeInformational, &ikemsg.Delete{Protocol: ikemsg.ProtoIKE}))
	if len(w.r.session.old) != 0 || w.r.session.Dead() {
		t.Errorf("%d old IKE SAs, dead %v", len(w.r.session.old), w.r.session.Dead())
	}
}

func TestTrap06_TemporaryFailureIsRetriedAndCapped(t *testing.T) {
	for _, what := range []string{"child", "IKE"} {
		w := newWorld(t, 6)
		w.up()
		tries := 0
		w.intercept(w.r, ikemsg.ExchangeCreateChildSA, true, func([]ikemsg.Payload) []ikemsg.Payload {
			tries++
			return []ikemsg.Payload{&ikemsg.Notify{Type: ikemsg.NotifyTemporaryFailure}}
		})
		for range maxOld { // so many IKE SAs await their DELETE that no more are made
			w.r.session.old = append(w.r.session.old, &ikeSA{})
		}
		if what == "child" {
			w.i.do(RekeyChild{w.i.onlyChild()})
		} else {
			w.i.do(RekeyIKE{})
		}
		w.run(time.Second)
		if tries != 1 {
			t.Errorf("%s: %d tries in the first second: it must wait", what, tries)
		}
		w.run(30 * time.Minute)
		if tries < 5 || tries > maxRefused+1 || w.i.closed == nil || w.i.closed.Reason != ClosedProtocol {
			t.Errorf("%s: %d tries, then %+v", what, tries, w.i.closed)
		}
	}
}

func TestTrap07_OrderOfARekey(t *testing.T) {
	w := newWorld(t, 7)
	w.up()
	oldI, oldR := w.i.onlyChild(), w.r.onlyChild()
	w.intercept(w.i, ikemsg.ExchangeInformational, false, func([]ikemsg.Payload) []ikemsg.Payload { return nil }) // hold the DELETE
	w.i.do(RekeyChild{oldI})
	w.run(500 * time.Millisecond)
	newI, newR := w.i.onlyChild(), w.r.onlyChild()
	if !w.i.outbound[newI] {
		t.Error("the initiator of the rekey does not send on the new Child SA")
	}
	if w.r.outbound[newR] {
		t.Error("the responder sends on the new Child SA before it knows that the initiator has it")
	}
	if w.r.installed[newR].Replaces != oldR {
		t.Errorf("the new Child SA replaces %x, want %x", w.r.installed[newR].Replaces, oldR)
	}
	w.r.do(PlaneEvent{Kind: FirstInbound, SPIIn: newR})
	if !w.r.outbound[newR] {
		t.Error("the first inbound packet did not switch the responder's traffic")
	}
	w.mangle = nil
	w.run(3 * time.Second) // the DELETE is retransmitted
	for _, c := range []struct {
		p   *peer
		spi uint32
	}{{w.i, oldI}, {w.r, oldR}} {
		if _, there := c.p.installed[c.spi]; !there {
			t.Errorf("%s: the old Child SA is gone at once, late packets are lost", c.p.name)
		}
	}
	w.run(10 * time.Second)
	w.settled(1)
}

func TestTrap07_DeleteOfTheOldBeforeTheAnswer(t *testing.T) {
	w := newWorld(t, 7)
	w.up()
	old, oldOfPeer := w.r.onlyChild(), w.i.onlyChild()
	var answer []Datagram
	w.mangle = func(p *peer, d Datagram) []Datagram {
		if h, _ := ikemsg.ParseHeader(d.Data); p == w.i && h.Exchange == ikemsg.ExchangeCreateChildSA && answer == nil {
			answer = []Datagram{d}
			return nil
		}
		return []Datagram{d}
	}
	w.r.do(RekeyChild{old})
	w.run(50 * time.Millisecond)
	wantDelete, ok := ikemsg.Find[*ikemsg.Delete](w.says(w.i, ikemsg.ExchangeInformational, deleteESP(oldOfPeer)))
	if !ok || wantDelete.SPIs[0] != old {
		t.Fatalf("DELETE while being rekeyed: %+v", wantDelete)
	}
	w.r.deliver(Datagram{Local: answer[0].Remote, Remote: answer[0].Local, Data: answer[0].Data})
	if len(w.r.live()) != 1 || w.r.session.Dead() {
		t.Fatalf("%d live Child SAs after the late answer", len(w.r.live()))
	}
	if c := w.r.installed[w.r.onlyChild()]; !c.Outbound {
		t.Error("the successor gets no traffic")
	}
}

func TestTrap08_DeletesThatCross(t *testing.T) {
	w := newWorld(t, 8)
	w.up()
	w.i.do(CreateChild{w.i.child})
	w.run(time.Second)
	w.settled(2)
	first := w.i.live()[0]
	w.i.do(DeleteChild{first.spiIn})
	w.r.do(DeleteChild{first.spiOut})
	w.run(time.Second)
	w.settled(1)
	for _, d := range w.log[len(w.log)-4:] {
		h := must(ikemsg.ParseHeader(d.Data))
		if h.Flags&ikemsg.FlagResponse == 0 {
			continue
		}
		from := map[bool]*peer{true: w.i, false: w.r}[d.Local.Addr() == w.i.addr.Addr()]
		if ps := own(t, from.session.sa, d.Data); len(ps) != 0 {
			t.Errorf("the answer to a crossing DELETE names it again: %s", describe(ps))
		}
	}
	wantEmpty(t, "DELETE of an unknown SPI", w.says(w.i, ikemsg.ExchangeInformational, deleteESP(0x12345678)))
	wantEmpty(t, "DELETE with no SPI", w.says(w.i, ikemsg.ExchangeInformational, deleteESP()))
	// Delete then Notify on the dead SA (CVE-2023-38712).
	wantEmpty(t, "DELETE of the IKE SA with more behind it", w.says(w.i, ikemsg.ExchangeInformational,
		&ikemsg.Delete{Protocol: ikemsg.ProtoIKE}, deleteESP(w.i.onlyChild()), &ikemsg.Notify{Type: ikemsg.NotifyAuthenticationFailed}))
	if w.r.closed == nil || w.r.closed.Reason != ClosedByPeer {
		t.Errorf("%+v", w.r.closed)
	}
}

func TestTrap08_BothDeleteTheIKESA(t *testing.T) {
	w := newWorld(t, 8)
	w.up()
	w.both(func(*peer) Command { return CloseSession{} })
	w.run(time.Second)
	for _, p := range []*peer{w.i, w.r} {
		if p.closed == nil || p.closed.Reason != ClosedByUs {
			t.Errorf("%s: %+v", p.name, p.closed)
		}
	}
}

func TestBrokenAnswerToARekeyLeavesNothingBehind(t *testing.T) {
	w := newWorld(t, 1)
	w.up()
	n := 0
	w.intercept(w.r, ikemsg.ExchangeCreateChildSA, true, func(ps []ikemsg.Payload) []ikemsg.Payload {
		if n++; n > 1 {
			return ps
		}
		return slices.DeleteFunc(ps, func(p ikemsg.Payload) bool { _, ok := p.(*ikemsg.Nonce); return ok })
	})
	w.i.do(RekeyChild{w.i.onlyChild()})
	w.run(2 * time.Minute)
	if n < 2 || len(w.i.records) != 1 {
		t.Errorf("%d answers, records %+v", n, w.i.records)
	}
	w.run(5 * time.Minute)
	w.settled(1)
}

package ikev1

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"sallyport/protocol/ikev1/isakmp"
	"sallyport/protocol/suite"
)

// elsewhere is where somebody sits who sees what passes and repeats it.
var elsewhere = netip.MustParseAddrPort("203.0.113.99:4500")

// A message 3 without our cookie proves nothing about where the peer is: it
// must not make a key pair, nor an answer to an address that may be a victim's.
func TestMessage3WithoutOurCookieIsNotAnswered(t *testing.T) {
	w := newWorld(t, 1, false)
	w.mangle = func(from *node, d Datagram) []Datagram {
		m, err := isakmp.Parse(bytes.Clone(d.Data))
		if err == nil && from == w.c && m.Header.Exchange == isakmp.ExchangeMain && m.Header.CookieR != 0 {
			m.Header.CookieR = 0
			d.Data = must(m.Append(nil))
		}
		return []Datagram{d}
	}
	w.start()
	w.run(2 * time.Second)
	if w.g.sent != 1 || len(w.g.tasks) != 0 {
		t.Errorf("%d messages were sent, and there was work: %T", w.g.sent, w.g.tasks)
	}
}

// overhear is what a node sends of one exchange type from now on.
func (w *world) overhear(n *node, x isakmp.ExchangeType) *[]Datagram {
	var all []Datagram
	w.mangle = func(by *node, d Datagram) []Datagram {
		if h, err := isakmp.ParseHeader(d.Data); err == nil && by == n && h.Exchange == x {
			all = append(all, Datagram{Local: d.Local, Remote: d.Remote, Data: bytes.Clone(d.Data)})
		}
		return []Datagram{d}
	}
	return &all
}

// Both sides hash with one key, so what the gateway has sent is authentic when
// it comes back to it. Its own R-U-THERE was answered, turned the gateway to
// where it came from, and made it deaf to the numbers of the peer; the answer,
// sent back in turn, was a sign of life of a peer that is gone.
func TestOwnProbeThatComesBackChangesNothing(t *testing.T) {
	w := newWorld(t, 1, true)
	w.c.policy.DPD = -1
	w.up()
	w.works()
	peers := w.c.session().sa
	w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 5, true, peers.dpdNotify(isakmp.NotifyRUThere, 7)))
	probes := w.overhear(w.g, isakmp.ExchangeInformational)
	w.run(90 * time.Second)
	if len(*probes) == 0 {
		t.Fatal("the gateway has not asked")
	}
	_, before := w.g.session().Path()
	heard, sent := w.g.session().LastHeard(), w.g.sent
	for _, d := range *probes {
		w.g.deliver(Datagram{Local: d.Local, Remote: elsewhere, Data: d.Data})
	}
	if _, after := w.g.session().Path(); after != before || w.g.sent != sent || w.g.session().LastHeard() != heard {
		t.Errorf("the gateway went from %v to %v, sent %d messages, heard the peer at %v", before, after, w.g.sent-sent, w.g.session().LastHeard())
	}
	sent = w.g.sent
	w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 6, true, peers.dpdNotify(isakmp.NotifyRUThere, 8)))
	if w.g.sent != sent+1 {
		t.Error("the peer's next R-U-THERE is not answered")
	}
}

// The gateway's own quick mode, sent back to it when it has forgotten it, was
// taken for one of the peer.
func TestOwnQuickModeThatComesBackMakesNoSA(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	sent := w.overhear(w.g, isakmp.ExchangeQuick)
	w.g.do(RekeyPhase2{})
	w.run(answerKept + 10*time.Second)
	if len(*sent) == 0 || len(w.g.session().quicks) > 0 {
		t.Fatal("no quick mode, or it is still known")
	}
	installed, answers := len(w.g.installed), w.g.sent
	for _, d := range *sent {
		w.g.deliver(Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
	}
	if len(w.g.installed) != installed || w.g.sent != answers {
		t.Errorf("%d SAs were %d, %d answers", len(w.g.installed), installed, w.g.sent-answers)
	}
}

// A gateway that refuses says so with an error that it would believe itself.
func TestOwnErrorThatComesBackEndsNoQuickMode(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	errs := w.overhear(w.g, isakmp.ExchangeInformational)
	offer := w.c.policy.offerPhase2([]byte{9, 9, 9, 9}, suite.Transform{}, true, nattRFC)
	w.g.deliver(w.fromClient(isakmp.ExchangeQuick, 9, true, offer, &isakmp.Nonce{Data: make([]byte, 16)}))
	if len(*errs) != 1 {
		t.Fatalf("%d errors for a quick mode without identities", len(*errs))
	}
	records := len(w.g.records)
	silence(w, w.c) // a quick mode of the gateway stays open
	w.g.do(RekeyPhase2{})
	for _, d := range *errs {
		w.g.deliver(Datagram{Local: d.Local, Remote: d.Remote, Data: d.Data})
	}
	if len(w.g.records) != records || !w.g.session().quicksOut() {
		t.Errorf("the gateway refuses itself: %+v", w.g.records[records:])
	}
}

// Probes come every minute for hours. They pushed the message IDs of the other
// exchanges out of the memory against replays.
func TestReplayAfterManyProbesIsNoticed(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	contact := w.fromClient(isakmp.ExchangeInformational, 5, true, &isakmp.Notify{DOI: 1, Protocol: 1, Type: isakmp.NotifyInitialContact})
	w.g.deliver(contact)
	peers := w.c.session().sa
	var probes []Datagram
	for n := range uint32(40) {
		probes = append(probes, w.fromClient(isakmp.ExchangeInformational, 1000+n, true, peers.dpdNotify(isakmp.NotifyRUThere, 7+n)))
		w.g.deliver(probes[n])
	}
	events := len(w.g.events)
	w.g.deliver(contact)
	if len(w.g.events) != events {
		t.Errorf("a replay says %+v", w.g.events[events:])
	}
	heard, sent := w.g.session().LastHeard(), w.g.sent
	w.run(10 * time.Second)
	for _, d := range probes {
		w.g.deliver(d)
	}
	if w.g.session().LastHeard() != heard || w.g.sent != sent {
		t.Error("old probes are a sign of life, or answered")
	}
}

// A forged refusal shortens the wait for a true answer, and for no other: who
// answers after it may take its time with the rest of main mode.
func TestForgedRefusalIsForgottenWhenTheAnswerComes(t *testing.T) {
	w := newWorld(t, 1, true)
	begun := w.now()
	w.mangle = func(from *node, d Datagram) []Datagram {
		m, err := isakmp.Parse(d.Data)
		if err != nil || from != w.g || m.Header.Exchange != isakmp.ExchangeMain {
			return []Datagram{d}
		}
		if _, first := isakmp.Find[*isakmp.SA](m.Payloads); first {
			forged := isakmp.Message{Header: m.Header, Payloads: []isakmp.Payload{&isakmp.Notify{DOI: 1, Protocol: 1, Type: isakmp.NotifyNoProposalChosen}}}
			forged.Header.Exchange, forged.Header.MessageID = isakmp.ExchangeInformational, 1
			return []Datagram{{Local: d.Local, Remote: d.Remote, Data: must(forged.Append(nil))}, d}
		}
		if w.now().Sub(begun) < refusalGrace+time.Second {
			return nil // message 4 is lost for a while
		}
		return []Datagram{d}
	}
	w.start()
	w.run(15 * time.Second)
	w.wantUp()
	w.works()
}

// Only a NAT gives message 5 another address. Where there is none, a copy that
// comes first from somewhere else must not take the session there.
func TestCopyOfMessage5FromElsewhereMovesNobodyWithoutNAT(t *testing.T) {
	for _, force := range []bool{false, true} {
		w := newWorld(t, 1, false)
		w.g.policy.ForceEncap = force
		w.mangle = func(from *node, d Datagram) []Datagram {
			h, err := isakmp.ParseHeader(d.Data)
			if err == nil && from == w.c && h.Exchange == isakmp.ExchangeMain && h.Flags&isakmp.FlagEncryption != 0 {
				local := netip.AddrPortFrom(w.g.addr.Addr(), nattPort)
				w.g.deliver(Datagram{Local: local, Remote: elsewhere, Data: bytes.Clone(d.Data)})
			}
			return []Datagram{d}
		}
		w.start()
		w.run(2 * time.Second)
		if s := w.g.session(); s != nil && s.path.remote == elsewhere {
			t.Errorf("forced encapsulation %v: the gateway talks to %v", force, s.path.remote)
			continue
		}
		w.wantUp()
	}
}

// Windows rekeys by volume, within seconds of a fast transfer. Sixteen message
// IDs were soon forgotten, and eight old quick modes at once, which nobody
// confirms, shut out the peer's own.
func TestReplayAfterManyQuickModesIsNoticed(t *testing.T) {
	w := newWorld(t, 1, true)
	w.up()
	w.works()
	var quick []Datagram
	w.mangle = func(from *node, d Datagram) []Datagram {
		if h, err := isakmp.ParseHeader(d.Data); err == nil && from == w.c && h.Exchange == isakmp.ExchangeQuick {
			quick = append(quick, Datagram{Local: d.Remote, Remote: w.g.session().path.remote, Data: bytes.Clone(d.Data)})
		}
		return []Datagram{d}
	}
	for range 40 {
		w.c.do(RekeyPhase2{})
		w.run(answerKept + time.Second)
	}
	w.mangle = nil
	installed := len(w.g.installed)
	for _, d := range quick {
		w.g.deliver(d)
	}
	if len(w.g.installed) != installed {
		t.Errorf("%d SAs were %d", len(w.g.installed), installed)
	}
	for n := range uint32(3 * maxSeen) {
		w.g.deliver(w.fromClient(isakmp.ExchangeInformational, 1<<20+n, true, w.deleteNothing()))
	}
	if got := len(w.g.session().sa.seen); got > maxSeen {
		t.Errorf("%d message IDs are kept", got)
	}
}

func (w *world) deleteNothing() *isakmp.Delete {
	return &isakmp.Delete{DOI: 1, Protocol: isakmp.ProtoESP, SPIs: [][]byte{{1, 2, 3, 4}}}
}

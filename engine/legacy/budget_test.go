package legacy

import (
	"runtime"
	"testing"
	"testing/cryptotest"
	"time"

	"sallyport/engine"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

// sessionBudget is what an idle, established session may keep on the heap, with
// all of IKEv1, L2TP and PPP in it. The plane and the gateway's tables have their
// own budgets.
const sessionBudget = 8 << 10

func TestHeapPerEstablishedSession(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	in := newZone(t)
	for _, part := range []struct {
		name   string
		keep   func(*Session) any
		budget int
	}{
		{"IKEv1", func(s *Session) any { return s.ike }, sessionBudget},
		{"L2TP", func(s *Session) any { return s.l2tp }, sessionBudget},
		{"PPP", func(s *Session) any { return s.call.link }, sessionBudget},
		{"all of it", func(s *Session) any { return s }, sessionBudget},
	} {
		const n = 100
		keep := make([]any, 0, n)
		in.session()
		before := heap()
		for range n {
			keep = append(keep, part.keep(in.session()))
		}
		in.g = nil
		size := (heap() - before) / n
		t.Logf("%s: %d octets", part.name, size)
		if size > part.budget || size < 100 {
			t.Errorf("%s of an idle session: %d octets, the budget is %d", part.name, size, part.budget)
		}
		runtime.KeepAlive(keep)
	}
}

// inZone is what the sessions of a zone have in common, kept apart from the
// world in which each is made.
type inZone struct {
	t   *testing.T
	g   *gate // of the session that is being made
	cfg *Config
	ids engine.IDs
}

func newZone(t *testing.T) *inZone {
	in := &inZone{t: t}
	in.g = makeWorld(t, 1).g
	c := *in.g.cfg
	c.Ask = func(task any) (any, error) { return in.g.ask(task) }
	c.NewEAP = func() ike.Conversation { return in.g.logins.begin() }
	tunnels := *c.L2TP
	tunnels.NewID, c.L2TP = nil, &tunnels
	in.cfg = &c
	in.ids = engine.IDs{
		Cookie:   func() ikemsg.SPI { return in.g.ownIDs().Cookie() },
		ChildSPI: func() uint32 { return in.g.ownIDs().ChildSPI() },
		Heard:    func(spi uint32) time.Time { return in.g.heard(spi) },
	}
	return in
}

// session is one that is established, and has been quiet for a while.
func (in *inZone) session() *Session {
	w := makeWorld(in.t, 1)
	w.g.cfg, w.g.chosen, in.g = in.cfg, &in.ids, w.g
	c, p := established(w)
	w.run(3 * time.Minute) // what is kept to answer copies is gone
	c.works()
	return p.m
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

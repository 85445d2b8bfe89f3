package legacy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"sallyport/engine"
	"sallyport/internal/simnet"
	"sallyport/protocol/ike"
	"sallyport/protocol/ikev1"
	"sallyport/protocol/suite"
)

// The world of the tests: a gateway, which does what a shard and a data plane
// do, and clients of IKEv1, L2TP and PPP, on a network that loses, repeats and
// reorders all of it alike. Time is simulated.

var (
	begin   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	gateway = netip.MustParseAddr("198.51.100.1")
)

// world is what all the machines of a test take time, dice and jobs from.
type world struct {
	t       testing.TB
	net     *simnet.Network
	g       *gate
	clients []*client
	delay   func() time.Duration // of a job; nil: at once
}

func newWorld(t *testing.T, seed uint64) *world {
	cryptotest.SetGlobalRandom(t, seed)
	return makeWorld(t, seed)
}

func makeWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, net: simnet.New(seed, begin)}
	w.net.Link.Delay = 10 * time.Millisecond
	w.delay = func() time.Duration { return time.Duration(1+w.net.Rand.IntN(20)) * time.Millisecond }
	w.g = newGate(w)
	return w
}

func (w *world) now() time.Time { return w.net.Now() }

func (w *world) run(d time.Duration) { w.net.Run(w.now().Add(d)) }

// until lets time pass until what is true, for a minute or two at most.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for range 3000 { // a NAT that forgets costs a client a minute, and it dials anew
		if is() {
			return
		}
		w.run(100 * time.Millisecond)
	}
	w.t.Fatalf("after five minutes still not: %s\n%s", what, w.g.story())
}

// later runs a job in its time.
func (w *world) later(f func()) {
	if w.delay == nil {
		f()
		return
	}
	w.net.At(w.now().Add(w.delay()), f)
}

func proposals(p suite.Protocol, text string) []suite.Proposal {
	o, err := suite.ParseL2TPProposal(p, text, true)
	if err != nil {
		panic(err)
	}
	return []suite.Proposal{o}
}

func testPolicy() *ikev1.Policy {
	return &ikev1.Policy{
		Phase1: proposals(suite.ProtocolIKE, "aes256-sha256-ecp256"), Phase2: proposals(suite.ProtocolESP, "aes256-sha256"),
		Methods: []suite.AuthMethod1{suite.AuthPSK1},
	}
}

// live are the sessions that are not over.
func (g *gate) live() (out []*peer) {
	for _, p := range g.all {
		if !p.gone {
			out = append(out, p)
		}
	}
	return out
}

// the one session that lives.
func (g *gate) only() *peer {
	g.w.t.Helper()
	live := g.live()
	if len(live) != 1 {
		g.w.t.Fatalf("%d sessions live, want one\n%s", len(live), g.story())
	}
	return live[0]
}

// count is how often sessions said Established and Closed.
func (g *gate) count() (established, closed int) {
	for _, p := range g.all {
		established += len(p.est)
		if len(p.est) > 0 {
			closed += len(p.closed)
		}
	}
	return established, closed
}

func (g *gate) records() (out []ike.Record) {
	for _, p := range g.all {
		out = append(out, p.records...)
	}
	return out
}

// story tells of all sessions, for failures.
func (g *gate) story() string {
	var b strings.Builder
	for i, p := range g.all {
		fmt.Fprintf(&b, "session %d: gone %t, up %t, jobs %d, %d Established, closed %+v\n", i, p.gone, p.up, p.jobs, len(p.est), p.closed)
		for _, r := range p.records {
			fmt.Fprintf(&b, "\trecord: %v: %s (%s)\n", r.Stage, r.Reason, r.Fix)
		}
	}
	for _, c := range g.w.clients {
		fmt.Fprintf(&b, "%s: %s\n", c.name, strings.Join(c.log[max(0, len(c.log)-12):], "; "))
	}
	return b.String()
}

// empty checks that nothing is left.
func (g *gate) empty() {
	t := g.w.t
	t.Helper()
	for _, p := range g.all {
		switch {
		case !p.gone:
			t.Errorf("a session is left: up %t, closed %+v, deadline in %v", p.up, p.closed, p.m.Deadline().Sub(g.w.now()))
		case p.up:
			t.Error("a session ended, and was never Closed after Established")
		case p.jobs != 0 && g.held == nil:
			t.Errorf("%d jobs are left", p.jobs)
		case p.leases != 0 && len(p.est) == 0: // one that was Closed before has nobody to tell
			t.Errorf("%d leases were never returned", p.leases)
		}
	}
	if len(g.sas)+len(g.bySPI)+len(g.first)+len(g.joined) != 0 {
		t.Errorf("left: %d SAs, %d SPIs, %d first messages, %d peers", len(g.sas), len(g.bySPI), len(g.first), len(g.joined))
	}
	if g.logins.open != 0 {
		t.Errorf("%d conversations are open", g.logins.open)
	}
	if t.Failed() {
		t.Log(g.story())
	}
}

// working is the session that a client's packets go through.
func (g *gate) working(c *client) *peer {
	g.w.t.Helper()
	for _, p := range g.live() {
		if a := g.inUse(p); p.up && a != nil && a.call != nil && p.admits.Identity == c.user && c.sas[a.spiOut] != nil {
			return p
		}
	}
	g.w.t.Fatalf("no session of %s works\n%s", c.name, g.story())
	return nil
}

func (g *gate) wantCount(established, closed int) {
	g.w.t.Helper()
	if e, c := g.count(); e != established || c != closed {
		g.w.t.Errorf("%d Established and %d Closed, want %d and %d\n%s", e, c, established, closed, g.story())
	}
}

// wantClosed checks why the last session that closed did so.
func (g *gate) wantClosed(why ike.CloseReason) {
	g.w.t.Helper()
	for _, p := range slices.Backward(g.all) {
		if n := len(p.closed); n > 0 {
			if got := p.closed[n-1].Reason; got != why {
				g.w.t.Errorf("Closed because %q, want %q\n%s", engine.CloseText(got), engine.CloseText(why), g.story())
			}
			return
		}
	}
	g.w.t.Fatal("nothing was Closed")
}

// wantRecord checks that there is one such record.
func (g *gate) wantRecord(stage ike.Stage, reason, hint string) {
	g.w.t.Helper()
	n := 0
	for _, r := range g.records() {
		if r.Stage == stage && strings.Contains(r.Reason, reason) && strings.Contains(r.Fix, hint) {
			n++
		}
	}
	if n != 1 {
		g.w.t.Errorf("%d records of %v with %q and %q, want one\n%s", n, stage, reason, hint, g.story())
	}
}

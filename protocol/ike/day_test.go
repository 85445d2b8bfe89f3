package ike

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/simnet"
)

// A day on a bad link: 30 % of the datagrams are lost, some come twice, late
// and out of order; both ends rekey Child SA and IKE SA, by their lifetimes
// and on command, often at the same moment. On every third day the client moves
// about with MOBIKE, on every third it sits behind a NAT that reboots. At its
// end the link gets well, and both ends must have the same one IKE SA and one Child SA, and nothing else.
func TestDayOfLossAndRekeys(t *testing.T) {
	seeds := 1000
	if testing.Short() {
		seeds = 50
	}
	var total dayStats
	for seed := range seeds {
		st := simulateDay(t, uint64(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		total.add(st)
	}
	t.Logf("%d days: %+v", seeds, total)
	if total.childCollisions < seeds/2 || total.ikeCollisions < seeds/4 {
		t.Errorf("only %+v: the days are too quiet to prove anything", total)
	}
}

type dayStats struct {
	sent, childRekeys, ikeRekeys   int
	childCollisions, ikeCollisions int
	moves                          int
}

func (a *dayStats) add(b dayStats) {
	a.sent += b.sent
	a.childRekeys += b.childRekeys
	a.ikeRekeys += b.ikeRekeys
	a.childCollisions += b.childCollisions
	a.ikeCollisions += b.ikeCollisions
	a.moves += b.moves
}

func simulateDay(t *testing.T, seed uint64) dayStats {
	w := newWorld(t, seed)
	rng := rand.New(rand.NewPCG(seed, 99))
	for _, p := range []*peer{w.i, w.r} {
		p.policy.Retransmit = Retransmit{First: 500 * time.Millisecond, Max: 8 * time.Second, Tries: 40}
		p.policy.DPD = 20 * time.Minute
		p.policy.Lifetime = Lifetime{Soft: 4 * time.Hour, Hard: 6 * time.Hour, Jitter: time.Duration(rng.IntN(600)+1) * time.Millisecond}
		p.child.Lifetime = Lifetime{Soft: 100 * time.Minute, Hard: 3 * time.Hour, Jitter: time.Duration(rng.IntN(600)+1) * time.Millisecond}
		p.child.ESP = espProposals("aes256gcm16-x25519", "aes256gcm16")
		p.child.PFSOptional = seed%4 != 0
		if seed%4 != 0 { // most days without PFS: the machine is under test, not the curve
			p.child.ESP = espProposals("aes256gcm16")
		}
		p.policy.IKE = ikeProposals("aes256gcm16-prfsha256-x25519")
	}
	var nat *simnet.NAT
	if seed%3 == 2 {
		w.i.policy.NoMOBIKE = true
		nat = w.net.NAT(netip.MustParseAddr("203.0.113.77"))
		w.i.move("192.168.1.2:500", nat)
	}
	w.up()
	w.log = nil
	w.mangle = func(from *peer, d Datagram) []Datagram { w.log = nil; return []Datagram{d} }
	well := w.net.Link
	w.net.Link = simnet.Link{Loss: 0.3, Duplicate: 0.1, Reorder: 0.2, Corrupt: 0.01, Delay: 100 * time.Millisecond, Jitter: 400 * time.Millisecond}

	var st dayStats
	day := w.now().Add(24 * time.Hour)
	for w.now().Before(day) {
		w.run(time.Duration(rng.IntN(240)+1) * time.Minute)
		for _, p := range rng.Perm(2) {
			p := []*peer{w.i, w.r}[p]
			if p.session.Dead() {
				t.Fatalf("seed %d: %s died: %+v", seed, p.name, p.closed)
			}
			switch rng.IntN(3) {
			case 0:
				if live := p.live(); len(live) > 0 {
					p.do(RekeyChild{live[0].spiIn})
				}
			case 1:
				p.do(RekeyIKE{})
			}
			w.run(time.Duration(rng.IntN(300)) * time.Millisecond)
		}
		switch {
		case rng.IntN(2) == 0:
		case seed%3 == 1:
			w.i.move(fmt.Sprintf("203.0.113.%d:4500", 1+rng.IntN(250)), nil)
			w.i.do(LocalAddressChanged{Local: w.i.addr})
			st.moves++
		case seed%3 == 2:
			nat.Rebind(netip.Addr{}, 0)
			w.i.traffic(20) // shows the new port
			st.moves++
		}
	}
	w.net.Link = well
	w.run(10 * time.Minute)
	for n := 0; w.busy() && n < 10; n++ {
		w.run(10 * time.Second) // a lifetime may have ended at this very moment
	}
	w.settled(1)
	if _, remote := w.r.session.Path(); nat == nil && remote.Addr() != w.i.addr.Addr() {
		t.Errorf("seed %d: the responder's path ends at %v, the client is at %v", seed, remote, w.i.addr)
	}
	for _, p := range []*peer{w.i, w.r} {
		st.sent += p.sent
		st.ikeCollisions += p.threeSPIs
		successors := map[uint32]int{}
		for _, e := range p.events {
			switch e := e.(type) {
			case ChildUp:
				if e.Child.Replaces != 0 {
					st.childRekeys++
					if successors[e.Child.Replaces]++; successors[e.Child.Replaces] == 2 {
						st.childCollisions++ // the winner installs both
					}
				}
			case SPIAdded:
				st.ikeRekeys++
			case Refused:
				t.Errorf("seed %d: %s: refused: %s", seed, p.name, fmt.Sprintf("%+v", e.Record))
			}
		}
	}
	return st
}

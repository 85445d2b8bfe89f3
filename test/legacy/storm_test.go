package legacy

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	control "sallyport/gateway"
	"sallyport/internal/bench/l2tpload"
	"sallyport/internal/lab/labtest"
)

// storm is how many clients come back at once.
const storm = 1000

const stormDrawing = `
	clients  198.51.100.77/24  --  198.51.100.10/24  gateway
	gateway 10.20.30.1/24 -- 10.20.30.9/24 printer
	clients  default  gateway
	printer  default  gateway
`

// TestAThousandClientsComeBackAtOnce is the end of a power cut: clients behind
// one address vanish without a word and come back in the same moment, from the
// same ports, while the gateway still believes in all of their old sessions.
func TestAThousandClientsComeBackAtOnce(t *testing.T) {
	l := labtest.Open(t, stormDrawing, "nft")
	g, people := prepareCrowd(t, l.At("gateway"), storm, 1)
	g.start(t)
	var places []netip.AddrPort
	for i := range storm {
		places = append(places, netip.AddrPortFrom(netip.MustParseAddr("198.51.100.77"), uint16(20000+i)))
	}
	s := &stormTest{T: t, g: g, c: g.crowd(t, l.At("clients"), places, people)}

	s.allIn("at first")
	s.allLeave()
	empty := s.memory() // with what the gateway remembers of everybody: certificates, leases

	s.allIn("before the power cut")
	full := s.memory()
	s.c.Vanish()
	s.allIn("all at once, after it")
	s.wantZone(storm)
	s.wantMemory("after the storm", full)
	s.allLeave()
	s.wantMemory("when all have left", empty)
}

// wantMemory is what tells a leak: a tenth more is the spread of a heap.
func (s *stormTest) wantMemory(when string, want uint64) {
	s.Helper()
	have := s.memory()
	s.Logf("%s: %.1f MB live, before that %.1f MB", when, float64(have)/1e6, float64(want)/1e6)
	if have > want+want/10 {
		s.Errorf("%s: %d octets live, and before it were %d", when, have, want)
	}
}

func (s *stormTest) allLeave() {
	s.Helper()
	if err := s.c.Leave(within(s.T, 20*time.Second)); err != nil {
		s.Error(err)
	}
	s.empty()
}

type stormTest struct {
	*testing.T
	g *gateway
	c *l2tpload.Crowd
}

// allIn connects everybody at once, and sees that each has its own address and
// its own traffic.
func (s *stormTest) allIn(when string) {
	s.Helper()
	r, err := s.c.Connect(within(s.T, 2*time.Minute), storm)
	s.Logf("%s: %d up in %.1f s, %.0f a second; %d failed", when, r.Done, r.Elapsed.Seconds(), r.PerSecond, r.Failed)
	if err != nil || r.Done != storm {
		s.Fatalf("%s: %d of %d are up: %v, the last failed with %q", when, r.Done, storm, err, r.LastError)
	}
	s.wantWork(when)
}

func (s *stormTest) wantWork(when string) {
	s.Helper()
	have := map[netip.Addr]bool{}
	for _, c := range s.c.Clients() {
		have[c.Inner] = true
	}
	if len(have) != storm {
		s.Errorf("%s: %d clients have %d addresses", when, storm, len(have))
	}
	e, err := s.c.Run(within(s.T, 30*time.Second), l2tpload.Echo{To: printer, Count: 3, Size: 200})
	if err != nil || e.Foreign > 0 {
		s.Errorf("%s: %v; %d packets of others", when, err, e.Foreign)
	}
}

// memory is the gateway's live heap.
func (s *stormTest) memory() uint64 {
	s.Helper()
	var m control.Memory
	s.call("POST", "/v1/memory", struct{}{}, &m)
	return m.LiveHeap
}

func (s *stormTest) call(method, path string, in, out any) {
	s.Helper()
	c, ok := control.Dial(filepath.Join(s.g.dir, "control"))
	if !ok {
		s.Fatal("the control socket does not answer")
	}
	defer c.Close()
	if err := c.Call(within(s.T, 10*time.Second), method, path, in, out); err != nil {
		s.Fatal(err)
	}
}

func (s *stormTest) zone() (st control.Status, z control.ZoneStatus) {
	s.Helper()
	s.call("GET", "/v1/status", nil, &st)
	return st, st.Zones[0]
}

// wantZone holds the gateway to one session and one lease a client.
func (s *stormTest) wantZone(sessions int) {
	s.Helper()
	if st, z := s.zone(); st.Sessions != sessions || z.Sessions != sessions || z.Leases != storm {
		s.Errorf("the gateway has %d sessions, %d of the zone, and %d leases; want %d and one lease for each of %d clients", st.Sessions, z.Sessions, z.Leases, sessions, storm)
	}
}

// empty waits until no session is left, of the engine's machines too.
func (s *stormTest) empty() {
	s.Helper()
	ctx := within(s.T, 45*time.Second)
	for {
		st, z := s.zone()
		if st.Sessions == 0 && z.Sessions == 0 && st.Engine.Sessions == 0 {
			break
		}
		if !pause(ctx) {
			s.Fatalf("all have left, and the gateway has %d sessions, %d of the zone and %d machines: %+v", st.Sessions, z.Sessions, st.Engine.Sessions, *st.Engine)
		}
	}
	s.wantZone(0)
}

// pause waits a moment; false: there is no time left.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(100 * time.Millisecond):
		return true
	}
}

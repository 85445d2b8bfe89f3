package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/dataplane"
	"sallyport/protocol/ike"
	"sallyport/protocol/ike/ikemsg"
)

// settle waits until nothing happens any more at this instant.
func settle(t *testing.T, d time.Duration) {
	t.Helper()
	time.Sleep(d)
	synctest.Wait()
}

// TestThousandSessions sets sessions up between two engines and closes them:
// both planes hold the same keys, and nothing is left at the end.
func TestThousandSessions(t *testing.T) { exchange(t, 1000, time.Minute) }

// TestDayOfRekeys lets a day pass, with some thirty rekeys of each session.
func TestDayOfRekeys(t *testing.T) { exchange(t, 40, 24*time.Hour) }

func exchange(t *testing.T, sessions int, d time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, clients := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		gateway.SetLimits(Limits{PerSource: sessions})
		for i := range sessions {
			clients.connect(t, gateway, uint16(1000+i))
		}
		settle(t, time.Minute)
		wantPaired(t, gateway, clients, sessions)
		settle(t, d)
		wantPaired(t, gateway, clients, sessions)
		if n := count[ike.Closed](gateway.testBackend); n != 0 {
			t.Errorf("%d sessions ended meanwhile", n)
		}
		closeBoth(t, clients, gateway)
		for _, h := range []*host{gateway, clients} {
			if left := h.sizes(); left != "" {
				t.Errorf("%v still holds %s", h.addr, left)
			}
		}
	})
}

func closeBoth(t *testing.T, hosts ...*host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, h := range hosts {
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

// wantPaired checks that each SA that is in use has its other end with the same
// keys.
func wantPaired(t *testing.T, a, b *host, sessions int) {
	t.Helper()
	there := b.plane.SAs()
	pairs := 0
	for spi, sa := range a.plane.SAs() {
		other, ok := there[sa.SPIOut]
		if !ok {
			continue // one that was rekeyed and lingers for late packets
		}
		if other.SPIOut != spi || !bytes.Equal(sa.KeyIn, other.KeyOut) || !bytes.Equal(sa.KeyOut, other.KeyIn) {
			t.Errorf("SA %08x and its other end %08x do not agree", spi, sa.SPIOut)
		}
		if sa.Outbound && other.Outbound {
			pairs++
		}
	}
	if pairs < sessions {
		t.Fatalf("%d pairs of SAs carry traffic both ways, want %d at least", pairs, sessions)
	}
	if n := a.Stats().Sessions; n != sessions {
		t.Errorf("%d sessions, want %d", n, sessions)
	}
	if n := a.Stats().HalfOpen; n != 0 {
		t.Errorf("%d half-open, want none", n)
	}
}

func TestSPIsNameTheirShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		for i := range 32 {
			client.connect(t, gateway, uint16(1000+i))
		}
		settle(t, time.Second)
		used := make(map[uint64]bool)
		for n, sh := range gateway.shards {
			for spi := range maps.Keys(sh.bySPI) {
				used[uint64(spi)&3] = true
				if uint64(spi)&3 != uint64(n) {
					t.Errorf("SPI %x is in shard %d", spi, n)
				}
			}
			for spi := range maps.Keys(sh.byChild) {
				if uint64(spi&3) != uint64(n) {
					t.Errorf("child SPI %x is in shard %d", spi, n)
				}
			}
		}
		if len(used) != 3 {
			t.Errorf("sessions are in %d of 3 shards", len(used))
		}
		closeBoth(t, client, gateway)
	})
}

// TestPanicEndsOneSessionOnly lets the machine of one peer panic and checks
// that its keys are gone and that all others live on.
func TestPanicEndsOneSessionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		var log bytes.Buffer
		gateway := net.join(t, "192.0.2.1", slog.New(slog.NewTextHandler(&log, nil)))
		client := net.join(t, "198.51.100.7", nil)
		var mu sync.Mutex
		var victims []*Session
		gateway.hook = func(s *Session, ev ike.Event) {
			if up, ok := ev.(ike.Established); ok && up.Remote.Port() < 1003 {
				mu.Lock()
				victims = append(victims, s)
				mu.Unlock()
				panic("a defect that a peer found")
			}
		}
		for i := range 20 {
			client.connect(t, gateway, uint16(1000+i))
		}
		settle(t, time.Second)
		if st := gateway.Stats(); st.Panics != 3 || st.Sessions != 17 {
			t.Errorf("%d panics and %d sessions, want 3 and 17", st.Panics, st.Sessions)
		}
		if n := len(gateway.plane.SAs()); n != 17 {
			t.Errorf("%d SAs in the plane, want 17", n)
		}
		if n := strings.Count(log.String(), "stack="); n != 1 {
			t.Errorf("the stack was logged %d times, want once:\n%s", n, log.String())
		}
		for _, s := range victims {
			s.Do(ike.RekeyIKE{}) // a command to a session that is gone is no event
		}
		settle(t, time.Hour)
		if n := gateway.Stats().Sessions; n != 17 {
			t.Errorf("an hour later %d sessions, want 17", n)
		}
		closeBoth(t, client, gateway)
		if left := gateway.sizes(); left != "" {
			t.Errorf("the gateway still holds %s", left)
		}
	})
}

func TestPanicInAJobRefusesThatPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		gateway.authed = func(a *ike.Authenticate) {
			if a.Remote.Port() == 1001 {
				panic("a certificate that nobody expected")
			}
		}
		client.connect(t, gateway, 1000)
		client.connect(t, gateway, 1001)
		settle(t, time.Second)
		if st := gateway.Stats(); st.Panics != 1 || st.Established != 1 {
			t.Errorf("%d panics, %d established, want 1 and 1", st.Panics, st.Established)
		}
		closeBoth(t, client, gateway)
	})
}

// firstRequest captures a real IKE_SA_INIT request.
func firstRequest(t *testing.T, net *lan, client *host) []byte {
	t.Helper()
	nowhere := &host{addr: netip.MustParseAddr("203.0.113.1")}
	s := client.connect(t, nowhere, 9)
	settle(t, 0)
	net.mu.Lock()
	defer net.mu.Unlock()
	s.Do(ike.CloseSession{})
	return net.sent[0].Data
}

// TestFloodIsBounded sends first requests from spoofed sources: what the
// gateway keeps is bounded, and a real client gets in through a cookie.
func TestFloodIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		request := firstRequest(t, &net, client)
		rng := rand.New(rand.NewPCG(1, 2))
		flood := func(n int) {
			for range n {
				binary.BigEndian.PutUint64(request, rng.Uint64())
				src := netip.AddrFrom4([4]byte{byte(rng.Uint32() | 1), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())})
				gateway.Upcalls().IKE(netip.AddrPortFrom(gateway.addr, 500), netip.AddrPortFrom(src, 500), request)
			}
			synctest.Wait()
		}
		flood(5000)
		st := gateway.Stats()
		if st.HalfOpen > 20 {
			t.Errorf("%d half-open sessions, want few: the rest was asked for a cookie", st.HalfOpen)
		}
		if st.Dropped["no cookie yet"] < 4000 {
			t.Errorf("dropped: %v, want nearly all for lack of a cookie", st.Dropped)
		}
		client.connect(t, gateway, 1000)
		for range 10 {
			flood(100)
			settle(t, 100*time.Millisecond)
		}
		if n := gateway.Stats().Established; n != 1 {
			t.Errorf("the real client did not get in: %d established", n)
		}
		settle(t, time.Hour)
		if st := gateway.Stats(); st.HalfOpen != 0 || st.Sessions != 1 {
			t.Errorf("an hour later %d half-open, %d sessions, want 0 and 1", st.HalfOpen, st.Sessions)
		}
		closeBoth(t, client, gateway)
	})
}

// TestOneSourceIsBounded: a host that does return cookies cannot hold more
// than its share.
func TestOneSourceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		gateway.SetLimits(Limits{PerSource: 5})
		net.drop = func(_, remote netip.AddrPort, msg []byte) bool { // IKE_AUTH never arrives
			h, err := ikemsg.ParseHeader(msg)
			return err == nil && h.Exchange == ikemsg.ExchangeIKEAuth
		}
		for i := range 50 {
			client.connect(t, gateway, uint16(1000+i))
		}
		settle(t, 5*time.Second)
		if n := gateway.Stats().HalfOpen; n != 5 {
			t.Errorf("%d half-open sessions of one source, want 5", n)
		}
		if n := gateway.Stats().Dropped["too many half-open"]; n < 45 {
			t.Errorf("%d refused for too many, want 45 at least", n)
		}
		closeBoth(t, client)
		net.leave(client)
		settle(t, time.Hour)
		closeBoth(t, gateway)
		if left := gateway.sizes(); left != "" {
			t.Errorf("the gateway still holds %s", left)
		}
	})
}

// TestCopiesOfTheFirstRequestMakeOneSession: RFC 7296, Section 2.1.
func TestCopiesOfTheFirstRequestMakeOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		var copies atomic.Int32
		net.drop = func(_, remote netip.AddrPort, msg []byte) bool { // no answer but the cookie arrives
			h, err := ikemsg.ParseHeader(msg)
			if err == nil && remote.Addr() == gateway.addr {
				copies.Add(1)
			}
			return err == nil && h.SPIr != 0
		}
		client.connect(t, gateway, 1000)
		settle(t, 20*time.Second)
		if st := gateway.Stats(); st.Sessions != 1 || st.HalfOpen != 1 || copies.Load() < 5 {
			t.Errorf("%d copies of a request made %d sessions, %d half-open, want one", copies.Load(), st.Sessions, st.HalfOpen)
		}
		settle(t, time.Hour)
		closeBoth(t, client, gateway)
		if left := gateway.sizes(); left != "" {
			t.Errorf("the gateway still holds %s", left)
		}
	})
}

// TestUnknownSPI: a request for a session of an earlier run is told so, few
// times a second, a response never (RFC 7296, Section 2.21.4).
func TestUnknownSPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway := net.join(t, "192.0.2.1", nil)
		request := make([]byte, 80)
		binary.BigEndian.PutUint64(request, 0x1111)
		binary.BigEndian.PutUint64(request[8:], 0x2220)
		copy(request[16:], []byte{46, 0x20, 37, 0x08, 0, 0, 0, 9, 0, 0, 0, 80, 0, 0, 0, 52})
		stranger := netip.MustParseAddrPort("203.0.113.77:4500")
		for range 2 * maxRepliesPerSource {
			gateway.Upcalls().IKE(netip.AddrPortFrom(gateway.addr, 4500), stranger, request)
		}
		synctest.Wait()
		if n := len(net.sent); n != maxRepliesPerSource {
			t.Fatalf("%d answers in one second, want %d", n, maxRepliesPerSource)
		}
		m, err := ikemsg.Parse(net.sent[0].Data)
		if err != nil || len(net.sent[0].Data) > len(request) {
			t.Fatalf("answer of %d octets: %v", len(net.sent[0].Data), err)
		}
		if _, ok := ikemsg.FindNotify(m.Payloads, ikemsg.NotifyInvalidIKESPI); !ok || m.Header.Flags != ikemsg.FlagResponse || m.Header.MessageID != 9 {
			t.Errorf("answer is %+v", m)
		}
		net.sent = nil
		settle(t, 2*time.Second)
		request[19] |= byte(ikemsg.FlagResponse)
		gateway.Upcalls().IKE(netip.AddrPortFrom(gateway.addr, 4500), stranger, request)
		synctest.Wait()
		if len(net.sent) != 0 {
			t.Error("a response was answered")
		}
		closeBoth(t, gateway)
	})
}

func TestGarbageIsCountedAndNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway := net.join(t, "192.0.2.1", nil)
		rng := rand.New(rand.NewPCG(3, 4))
		const datagrams = 20000
		for range datagrams {
			b := make([]byte, rng.IntN(200))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			if len(b) > 17 && rng.IntN(2) == 0 {
				b[17] = 0x20 // IKEv2 after all
			}
			gateway.Upcalls().IKE(netip.AddrPortFrom(gateway.addr, 500), netip.MustParseAddrPort("203.0.113.77:500"), b)
		}
		synctest.Wait()
		var dropped uint64
		for _, n := range gateway.Stats().Dropped {
			dropped += n
		}
		if dropped < datagrams || gateway.Stats().Sessions != 0 {
			t.Errorf("%d of %d dropped, %d sessions", dropped, datagrams, gateway.Stats().Sessions)
		}
		closeBoth(t, gateway)
	})
}

func TestSilentPeerIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		client.connect(t, gateway, 1000)
		settle(t, time.Second)
		net.leave(client)
		settle(t, 10*time.Minute)
		if left := gateway.sizes(); left != "" {
			t.Errorf("ten minutes after the peer vanished the gateway holds %s", left)
		}
		closeBoth(t, client, gateway)
	})
}

func TestClosingWithoutAnswerClearsTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		client.connect(t, gateway, 1000)
		settle(t, time.Second)
		net.leave(gateway)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.Close(ctx); err == nil {
			t.Error("the client heard an answer from a gateway that is gone")
		}
		if left := client.sizes(); left != "" {
			t.Errorf("the closed client still holds %s", left)
		}
		if n := count[ike.Closed](client.testBackend); n != 1 {
			t.Errorf("%d Closed events, want 1", n)
		}
	})
}

func TestPlaneThatRefusesClosesTheChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net lan
		gateway, client := net.join(t, "192.0.2.1", nil), net.join(t, "198.51.100.7", nil)
		gateway.Engine.plane = refusing{gateway.plane}
		client.connect(t, gateway, 1000)
		settle(t, time.Second)
		if n := len(client.plane.SAs()); n != 0 {
			t.Errorf("the client believes in %d SAs that the gateway could not install", n)
		}
		closeBoth(t, client, gateway)
	})
}

type refusing struct{ *dataplane.Null }

func (refusing) Apply(changes ...dataplane.Change) error {
	if _, ok := changes[0].(dataplane.Add); ok {
		return context.DeadlineExceeded
	}
	return nil
}

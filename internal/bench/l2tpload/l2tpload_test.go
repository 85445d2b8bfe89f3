package l2tpload

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sallyport/protocol/ppp"
)

var (
	here  = netip.MustParseAddr("10.62.0.2")
	there = netip.MustParseAddr("10.20.30.9")
	begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func TestPacketsOfOthersAreCounted(t *testing.T) {
	mark := func(number byte) []byte { return append([]byte(echoText), 0, 0, 0, number, 0, 0, 0, 1) }
	id := []byte{0, 0, 0, 1}
	for what, c := range map[string]struct {
		packet           []byte
		answers, foreign int
	}{
		"its own answer":              {icmp(icmpReply, there, here, id, mark(7)), 1, 0},
		"a packet to another address": {icmp(icmpReply, there, netip.MustParseAddr("10.62.0.3"), id, mark(7)), 0, 1},
		"the answer of another":       {icmp(icmpReply, there, here, id, mark(8)), 0, 1},
		"an answer without a mark":    {icmp(icmpReply, there, here, id, []byte("who are you?")), 0, 0},
		"half a packet":               {icmp(icmpReply, there, here, id, mark(7))[:25], 0, 0},
	} {
		m := &member{crowd: &Crowd{}, number: 7, state: up, net: ppp.NetworkUp{IPv4: here}}
		e := &echo{Echo: Echo{Count: 1}, runs: map[*member]*run{m: {waiting: map[uint32]time.Time{1: begin}}}, open: 1}
		m.crowd.echo = e
		m.packet(begin, c.packet)
		if e.report.Answers != c.answers || e.report.Foreign != c.foreign || e.open != 1-c.answers {
			t.Errorf("%s: %+v, %d wait", what, e.report, e.open)
		}
	}
}

func TestAnEchoHasItsChecksums(t *testing.T) {
	p := icmp(icmpEcho, here, there, []byte{1, 2, 3, 4}, []byte("odd"))
	if checksum(p[:ipHeader]) != 0 || checksum(p[ipHeader:]) != 0 {
		t.Errorf("%x", p)
	}
}

func TestTimersComeInOrder(t *testing.T) {
	var heap timers
	all := make([]*member, 5)
	for i, seconds := range []int{3, 1, 4, 2, 5} {
		all[i] = &member{number: i, index: notInHeap}
		heap.set(all[i], begin.Add(time.Duration(seconds)*time.Second))
	}
	heap.set(all[2], begin)       // earlier
	heap.set(all[1], time.Time{}) // never
	heap.set(all[1], time.Time{})
	var order []int
	for len(heap) > 0 {
		order = append(order, heap[0].number)
		heap.set(heap[0], time.Time{})
	}
	if want := []int{2, 3, 0, 4}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

func TestOpenRefusesTwoClientsAtOnePlace(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:45017")
	cfg := Config{Gateway: netip.MustParseAddr("127.0.0.1"), Private: here}
	if _, err := Open(cfg, []netip.AddrPort{at, at}, []Person{{}}); err == nil {
		t.Error("it was accepted")
	}
}

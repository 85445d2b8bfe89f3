package simnet

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("198.51.100.1")
	addrC = netip.MustParseAddr("203.0.113.1")
	home  = netip.MustParseAddr("192.168.1.10")
	portA = netip.AddrPortFrom(addrA, 500)
	portB = netip.AddrPortFrom(addrB, 500)
)

// sink is a machine that keeps what it gets.
type sink struct {
	got []Datagram
	at  []time.Duration // since start
}

func (s *sink) machine() Machine {
	return Machine{Receive: func(now time.Time, d Datagram) {
		s.got = append(s.got, d)
		s.at = append(s.at, now.Sub(start))
	}}
}

func text(from, to netip.AddrPort, s string) Datagram {
	return Datagram{Local: from, Remote: to, Data: []byte(s)}
}

func TestPerfectLinkDeliversInOrder(t *testing.T) {
	n := New(1, start)
	n.Link.Delay = 30 * time.Millisecond
	var b sink
	a := n.Host(addrA, nil, (&sink{}).machine())
	n.Host(addrB, nil, b.machine())
	for i := range 100 {
		n.At(start.Add(time.Duration(i)*time.Millisecond), func() { a.Send(text(portA, portB, fmt.Sprint(i))) })
	}
	n.Run(start.Add(time.Second))
	if len(b.got) != 100 {
		t.Fatalf("%d of 100 arrived", len(b.got))
	}
	for i, d := range b.got {
		if string(d.Data) != fmt.Sprint(i) || d.Local != portB || d.Remote != portA {
			t.Errorf("datagram %d is %q from %v to %v", i, d.Data, d.Remote, d.Local)
		}
		if want := time.Duration(30+i) * time.Millisecond; b.at[i] != want {
			t.Errorf("datagram %d arrived after %v, want %v", i, b.at[i], want)
		}
	}
	if want := (Counters{Sent: 100, Delivered: 100}); n.Count != want {
		t.Errorf("counted %+v", n.Count)
	}
	if n.Now() != start.Add(time.Second) {
		t.Errorf("the clock stands at %v", n.Now())
	}
}

// chatter is a day of traffic with everything that can go wrong, as a hash and
// a length of the trace.
func chatter(seed uint64) (hash uint64, events int) {
	n := New(seed, start)
	n.Link = Link{Loss: 0.3, Duplicate: 0.2, Reorder: 0.2, Corrupt: 0.1, Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}
	h := fnv.New64()
	n.Trace = func(now time.Time, event string, from, to netip.AddrPort, data []byte) {
		events++
		fmt.Fprintln(h, now.UnixNano(), event, from, to)
		h.Write(data)
	}
	nat := n.NAT(addrC)
	var a, b *Host
	due := start
	a = n.Host(home, nat, Machine{
		Receive:  func(time.Time, Datagram) {},
		Deadline: func() time.Time { return due },
		Timeout: func(now time.Time) {
			due = now.Add(2*time.Second + time.Duration(n.Rand.IntN(2000))*time.Millisecond)
			a.Send(text(netip.AddrPortFrom(home, 4500), portB, now.String()))
		},
	})
	b = n.Host(addrB, nil, Machine{Receive: func(_ time.Time, d Datagram) { b.Send(d) }})
	for hour := range 24 {
		n.At(start.Add(time.Duration(hour)*time.Hour), func() { nat.Rebind(netip.Addr{}, 0) })
	}
	n.Run(start.Add(24 * time.Hour))
	return h.Sum64(), events
}

func TestSameSeedSameDay(t *testing.T) {
	h1, n1 := chatter(7)
	h2, n2 := chatter(7)
	h3, _ := chatter(8)
	if h1 != h2 || n1 != n2 {
		t.Errorf("two days of seed 7 differ: %d and %d events", n1, n2)
	}
	if h1 == h3 {
		t.Error("seeds 7 and 8 give the same day")
	}
	if n1 < 50000 {
		t.Errorf("a day has only %d events", n1)
	}
}

// within says whether count out of n is what the rate promises, within five
// standard deviations.
func within(count, n int, rate float64) bool {
	sigma := math.Sqrt(float64(n) * rate * (1 - rate))
	return math.Abs(float64(count)-float64(n)*rate) <= 5*sigma+0.5
}

func TestRatesAreHonoured(t *testing.T) {
	const sent = 10000
	for _, l := range []Link{
		{}, {Loss: 0.3}, {Loss: 1}, {Duplicate: 0.25}, {Duplicate: 1}, {Corrupt: 0.1}, {Corrupt: 1}, {Reorder: 0.5},
		{Loss: 0.3, Duplicate: 0.2, Reorder: 0.1, Corrupt: 0.05, Delay: time.Millisecond, Jitter: time.Millisecond},
	} {
		n := New(3, start)
		n.Link = l
		var b sink
		a := n.Host(addrA, nil, Machine{})
		n.Host(addrB, nil, b.machine())
		payload := strings.Repeat("x", 40)
		for i := range sent {
			n.At(start.Add(time.Duration(i)*time.Second), func() { a.Send(text(portA, portB, payload)) })
		}
		n.Run(start.Add(sent * 2 * time.Second))
		c := n.Count
		arrived := sent - c.Lost
		if !within(c.Lost, sent, l.Loss) || !within(c.Duplicated, arrived, l.Duplicate) ||
			!within(c.Corrupted, arrived, l.Corrupt) || !within(c.Reordered, arrived+c.Duplicated, l.Reorder) {
			t.Errorf("%+v gives %+v", l, c)
		}
		if c.Delivered != arrived+c.Duplicated || len(b.got) != c.Delivered {
			t.Errorf("%+v: %+v do not add up with %d received", l, c, len(b.got))
		}
		changed := 0
		for _, d := range b.got {
			if diff := differentBits(d.Data, payload); diff == 1 {
				changed++
			} else if diff != 0 {
				t.Fatalf("%d bits differ", diff)
			}
		}
		if changed < c.Corrupted || l.Duplicate == 0 && changed != c.Corrupted {
			t.Errorf("%+v: %d arrived corrupted, %d were counted", l, changed, c.Corrupted)
		}
	}
}

func differentBits(got []byte, want string) (n int) {
	for i := range got {
		for x := got[i] ^ want[i]; x != 0; x &= x - 1 {
			n++
		}
	}
	return n
}

func TestReorderingAndDelay(t *testing.T) {
	n := New(5, start)
	n.Link = Link{Reorder: 0.2, Delay: 10 * time.Millisecond, Jitter: 2 * time.Millisecond}
	var b sink
	a := n.Host(addrA, nil, Machine{})
	n.Host(addrB, nil, b.machine())
	const sent = 2000
	for i := range sent {
		n.At(start.Add(time.Duration(i)*5*time.Millisecond), func() { a.Send(text(portA, portB, fmt.Sprint(i))) })
	}
	n.Run(start.Add(time.Minute))
	late, swapped, last := 0, 0, -1
	for k, d := range b.got {
		var i int
		fmt.Sscan(string(d.Data), &i)
		took := b.at[k] - time.Duration(i)*5*time.Millisecond
		if took < 10*time.Millisecond || took > 52*time.Millisecond {
			t.Fatalf("datagram %d took %v", i, took)
		}
		if took > 12*time.Millisecond {
			late++
		}
		if i < last {
			swapped++
		}
		last = max(last, i)
	}
	if late != n.Count.Reordered || swapped < sent/10 {
		t.Errorf("%d held back, %d counted, %d out of order", late, n.Count.Reordered, swapped)
	}
}

func TestReceiversShareNothing(t *testing.T) {
	n := New(1, start)
	n.Link.Duplicate = 1
	var got []string
	n.Host(addrB, nil, Machine{Receive: func(_ time.Time, d Datagram) {
		got = append(got, string(d.Data))
		clear(d.Data) // as decryption in place does
	}})
	a := n.Host(addrA, nil, Machine{})
	d := text(portA, portB, "secret")
	a.Send(d)
	d.Data[0] = 'X' // as the reuse of a buffer does
	n.Run(start.Add(time.Second))
	if len(got) != 2 || got[0] != "secret" || got[1] != "secret" {
		t.Errorf("got %q", got)
	}
}

func TestTimeoutsAreOnTime(t *testing.T) {
	n := New(1, start)
	var calls []string
	timer := func(name string, plan ...time.Duration) Machine {
		due := start.Add(plan[0])
		return Machine{
			Deadline: func() time.Time { return due },
			Timeout: func(now time.Time) {
				calls = append(calls, fmt.Sprintf("%s %v", name, now.Sub(start)))
				if plan = plan[1:]; len(plan) == 0 {
					due = time.Time{} // never
					return
				}
				due = start.Add(plan[0])
			},
		}
	}
	n.Host(addrA, nil, timer("a", 2*time.Second, 5*time.Second, 4*time.Second, time.Hour))
	n.Host(addrB, nil, timer("b", 3*time.Second))
	n.At(start.Add(3*time.Second), func() { calls = append(calls, "event") })
	n.Run(start.Add(time.Minute))
	// A deadline that has passed is due at once; events go before timeouts.
	want := "a 2s, event, b 3s, a 5s, a 5s"
	if got := strings.Join(calls, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	n.Run(start.Add(time.Hour))
	if got := calls[len(calls)-1]; got != "a 1h0m0s" {
		t.Errorf("at the end of Run: %s", got)
	}
}

func TestEndlessTimeoutsPanic(t *testing.T) {
	n := New(1, start)
	n.Host(addrA, nil, Machine{Timeout: func(time.Time) {}, Deadline: func() time.Time { return start }})
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, addrA.String()) || !strings.Contains(got, "without end") {
			t.Errorf("panic says %s", got)
		}
	}()
	n.Run(start.Add(time.Second))
}

func TestCutLosesBothWaysAndNothingElse(t *testing.T) {
	n := New(1, start)
	var at [3]sink
	addrs := []netip.Addr{addrA, addrB, addrC}
	var hosts []*Host
	for i := range at {
		hosts = append(hosts, n.Host(addrs[i], nil, at[i].machine()))
	}
	one := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 32) }
	n.Cut(start.Add(10*time.Second), start.Add(20*time.Second), one(addrA), one(addrB))
	for second := range 30 {
		n.At(start.Add(time.Duration(second)*time.Second), func() {
			for i, h := range hosts {
				for j, to := range addrs {
					if i != j {
						h.Send(text(netip.AddrPortFrom(addrs[i], 500), netip.AddrPortFrom(to, 500), fmt.Sprint(i)))
					}
				}
			}
		})
	}
	n.Run(start.Add(time.Minute))
	count := func(s sink, from string) (n int) {
		for _, d := range s.got {
			if string(d.Data) == from {
				n++
			}
		}
		return n
	}
	for i, row := range [][3]int{{0, 20, 30}, {20, 0, 30}, {30, 30, 0}} {
		for j, want := range row {
			if got := count(at[i], fmt.Sprint(j)); got != want {
				t.Errorf("%v got %d datagrams from %v, want %d", addrs[i], got, addrs[j], want)
			}
		}
	}
	if n.Count.Cut != 20 {
		t.Errorf("%d counted as cut", n.Count.Cut)
	}
}

func TestMTU(t *testing.T) {
	n := New(1, start)
	n.Link.MTU = 1280
	var b sink
	a := n.Host(addrA, nil, Machine{})
	n.Host(addrB, nil, b.machine())
	for _, size := range []int{1279, 1280, 1281, 9000} {
		a.Send(Datagram{Local: portA, Remote: portB, Data: make([]byte, size)})
	}
	n.Run(start.Add(time.Second))
	if len(b.got) != 2 || n.Count.TooLong != 2 {
		t.Errorf("%d arrived, %d were too long", len(b.got), n.Count.TooLong)
	}
}

func TestMove(t *testing.T) {
	n := New(1, start)
	var a, b sink
	ha, hb := n.Host(addrA, nil, a.machine()), n.Host(addrB, nil, b.machine())
	portC := netip.AddrPortFrom(addrC, 500)
	n.At(start.Add(time.Second), func() { hb.Send(text(portB, portA, "in flight")) })
	n.Link.Delay = time.Millisecond
	n.At(start.Add(time.Second), func() { ha.Move(addrC, nil) })
	n.At(start.Add(2*time.Second), func() {
		ha.Send(text(portA, portB, "from the old address"))
		ha.Send(text(portC, portB, "from the new address"))
		hb.Send(text(portB, portC, "to the new address"))
	})
	n.Run(start.Add(time.Minute))
	if len(b.got) != 1 || string(b.got[0].Data) != "from the new address" {
		t.Errorf("b got %q", b.got)
	}
	if len(a.got) != 1 || string(a.got[0].Data) != "to the new address" || n.Count.NoRoute != 2 {
		t.Errorf("a got %q, %d without a route", a.got, n.Count.NoRoute)
	}
	defer func() {
		if recover() == nil {
			t.Error("two hosts stand at one address")
		}
	}()
	ha.Move(addrB, nil)
}

// A stop-and-wait sender, the smallest machine that survives the network, over
// many seeds: everything arrives, once and in order.
func TestStopAndWait(t *testing.T) {
	for seed := range uint64(200) {
		n := New(seed, start)
		n.Link = Link{Loss: 0.3, Duplicate: 0.2, Reorder: 0.2, Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}
		const messages = 50
		var sender, receiver *Host
		sending, expected := byte(0), byte(0)
		var got []byte
		due := start
		sender = n.Host(addrA, nil, Machine{
			Deadline: func() time.Time { return due },
			Timeout: func(now time.Time) {
				sender.Send(Datagram{Local: portA, Remote: portB, Data: []byte{sending}})
				due = now.Add(200 * time.Millisecond)
			},
			Receive: func(now time.Time, d Datagram) {
				if d.Data[0] != sending {
					return
				}
				due = now
				if sending++; sending == messages {
					due = time.Time{}
				}
			},
		})
		receiver = n.Host(addrB, nil, Machine{Receive: func(_ time.Time, d Datagram) {
			if d.Data[0] == expected {
				got = append(got, expected)
				expected++
			}
			receiver.Send(d)
		}})
		n.Run(start.Add(time.Hour))
		var want []byte
		for i := range byte(messages) {
			want = append(want, i)
		}
		if !bytes.Equal(got, want) || sending != messages {
			t.Fatalf("seed %d: got %v, the sender stands at %d", seed, got, sending)
		}
	}
}

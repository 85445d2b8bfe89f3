package simnet

import (
	"net/netip"
	"testing"
	"time"
)

// echo answers everything with its own text and remembers who asked.
type echo struct {
	host *Host
	from []netip.AddrPort
}

func (e *echo) machine() Machine {
	return Machine{Receive: func(_ time.Time, d Datagram) {
		e.from = append(e.from, d.Remote)
		e.host.Send(d)
	}}
}

// behindNATs is an echo server in public and two homes with the same private
// address inside.
func behindNATs() (n *Network, nats [2]*NAT, homes [2]*Host, got [2]*sink, server *echo) {
	n = New(1, start)
	server = &echo{}
	server.host = n.Host(addrB, nil, server.machine())
	for i, outside := range []netip.Addr{addrA, addrC} {
		nats[i] = n.NAT(outside)
		got[i] = &sink{}
		homes[i] = n.Host(home, nats[i], got[i].machine())
	}
	return n, nats, homes, got, server
}

var inside = netip.AddrPortFrom(home, 4500)

func outside(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

func wantFrom(t *testing.T, e *echo, want ...netip.AddrPort) {
	t.Helper()
	if len(e.from) != len(want) {
		t.Fatalf("the server heard %v, want %v", e.from, want)
	}
	for i := range want {
		if e.from[i] != want[i] {
			t.Errorf("datagram %d came from %v, want %v", i, e.from[i], want[i])
		}
	}
}

func TestNATTranslatesBothWays(t *testing.T) {
	n, _, homes, got, server := behindNATs()
	other := netip.AddrPortFrom(home, 500)
	homes[0].Send(text(inside, portB, "one"))
	homes[1].Send(text(inside, portB, "two"))
	homes[0].Send(text(other, portB, "three"))
	homes[0].Send(text(inside, portB, "four"))
	n.Run(start.Add(time.Second))
	wantFrom(t, server, outside(addrA, 20000), outside(addrC, 20000), outside(addrA, 20001), outside(addrA, 20000))
	if len(got[0].got) != 3 || len(got[1].got) != 1 {
		t.Fatalf("answers: %v and %v", got[0].got, got[1].got)
	}
	if d := got[1].got[0]; d.Local != inside || d.Remote != portB || string(d.Data) != "two" {
		t.Errorf("the answer is %+v", d)
	}
	if d := got[0].got[1]; d.Local != other || string(d.Data) != "three" {
		t.Errorf("the answer is %+v", d)
	}
}

func TestNATLetsOnlyAnswersIn(t *testing.T) {
	n, _, homes, got, _ := behindNATs()
	attacker := n.Host(netip.MustParseAddr("198.51.100.66"), nil, Machine{})
	from := netip.MustParseAddrPort("198.51.100.66:500")
	attacker.Send(text(from, outside(addrA, 20000), "before there is a mapping"))
	homes[0].Send(text(inside, portB, "hello"))
	n.Run(start.Add(time.Second))
	attacker.Send(text(from, outside(addrA, 20000), "to the mapping of another"))
	attacker.Send(text(from, netip.AddrPortFrom(home, 4500), "to the private address"))
	n.Run(start.Add(2 * time.Second))
	if len(got[0].got) != 1 || n.Count.Filtered != 2 || n.Count.NoRoute != 1 {
		t.Errorf("got %v, counted %+v", got[0].got, n.Count)
	}
}

func TestNATRebind(t *testing.T) {
	n, nats, homes, got, server := behindNATs()
	moved := netip.MustParseAddr("203.0.113.77")
	homes[0].Send(text(inside, portB, "one"))
	n.Run(start.Add(time.Second))
	nats[0].Rebind(netip.Addr{}, 0)
	server.host.Send(text(portB, outside(addrA, 20000), "to the old port"))
	homes[0].Send(text(inside, portB, "two"))
	n.Run(start.Add(2 * time.Second))
	nats[0].Rebind(moved, 20000)
	homes[0].Send(text(inside, portB, "three"))
	server.host.Send(text(portB, outside(addrA, 20001), "to the old address"))
	n.Run(start.Add(3 * time.Second))
	wantFrom(t, server, outside(addrA, 20000), outside(addrA, 20001), outside(moved, 20000))
	if len(got[0].got) != 3 || n.Count.Filtered != 1 || n.Count.NoRoute != 1 {
		t.Errorf("got %v, counted %+v", got[0].got, n.Count)
	}
	defer func() {
		if recover() == nil {
			t.Error("two NATs stand at one address")
		}
	}()
	nats[0].Rebind(addrC, 0)
}

func TestNATForgetsIdleMappings(t *testing.T) {
	n, nats, homes, got, server := behindNATs()
	nats[0].Idle = 30 * time.Second
	send := func(second int) {
		n.At(start.Add(time.Duration(second)*time.Second), func() { homes[0].Send(text(inside, portB, "keepalive")) })
	}
	for _, second := range []int{0, 29, 58, 88, 90} { // 30 seconds pass before the fourth
		send(second)
	}
	n.At(start.Add(119*time.Second), func() { server.host.Send(text(portB, outside(addrA, 20001), "in time")) })
	n.At(start.Add(120*time.Second), func() { server.host.Send(text(portB, outside(addrA, 20001), "late")) })
	n.Run(start.Add(time.Hour))
	first, second := outside(addrA, 20000), outside(addrA, 20001)
	wantFrom(t, server, first, first, first, second, second)
	if last := got[0].got[len(got[0].got)-1]; string(last.Data) != "in time" || n.Count.Filtered != 1 {
		t.Errorf("the last to enter is %q, %d filtered", last.Data, n.Count.Filtered)
	}
}

func TestNeighboursBehindOneNATTalkDirectly(t *testing.T) {
	n := New(1, start)
	nat := n.NAT(addrA)
	var got sink
	neighbour := netip.MustParseAddrPort("192.168.1.11:500")
	n.Host(neighbour.Addr(), nat, got.machine())
	h := n.Host(home, nat, Machine{})
	h.Send(text(inside, neighbour, "hello"))
	n.Run(start.Add(time.Second))
	if len(got.got) != 1 || got.got[0].Remote != inside {
		t.Errorf("got %v", got.got)
	}
}

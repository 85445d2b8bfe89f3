package userspace

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sallyport/dataplane"
	"sallyport/protocol/suite"
)

// The ids of the call between a, the client, and b.
const (
	tunnelA, sessionA = 0x0A01, 0x0A02
	tunnelB, sessionB = 0x0B01, 0x0B02
)

// overL2TP puts a Child SA of couple into transport mode, with a call in it.
func overL2TP(change ...func(a, b *dataplane.Call)) func(a, b *dataplane.ChildSA) {
	return func(a, b *dataplane.ChildSA) {
		ca := &dataplane.Call{
			LocalPort: 1701, RemotePort: 1701, Tunnel: tunnelA, Session: sessionA, PeerTunnel: tunnelB, PeerSession: sessionB,
			MTU: 1400, Local: a.TSLocal, Remote: a.TSRemote,
		}
		cb := &dataplane.Call{
			LocalPort: 1701, RemotePort: 1701, Tunnel: tunnelB, Session: sessionB, PeerTunnel: tunnelA, PeerSession: sessionA,
			MTU: 1400, Local: b.TSLocal, Remote: b.TSRemote,
		}
		for _, f := range change {
			f(ca, cb)
		}
		a.Transport, a.Call, a.TSLocal, a.TSRemote = true, ca, nil, nil
		b.Transport, b.Call, b.TSLocal, b.TSRemote = true, cb, nil, nil
	}
}

func numbered(a, b *dataplane.Call) { a.Sequenced, b.Sequenced = true, true }

func short(a, b *dataplane.Call) {
	a.ShortAddress, a.ShortProtocol, b.ShortAddress, b.ShortProtocol = true, true, true, true
}

func outside6(a, b *dataplane.ChildSA) {
	pa, pb := netip.MustParseAddrPort("["+outerA6+"]:4500"), netip.MustParseAddrPort("["+outerB6+"]:4500")
	a.Local, a.Remote, b.Local, b.Remote = pa, pb, pb, pa
}

// pathMTU sets the path of a Child SA to that MTU, whatever this machine has.
func (o *offline) pathMTU(spi uint32, mtu int) {
	sa := o.spis.lookup(spi)
	pa := sa.path.Load()
	sa.path.Store(newPath(pa.local, pa.remote, pa.raw, pa.socket, mtu, sa.out.base))
}

// opened are the payloads of the ESP packets on the wire, as b's key opens them.
func (l *wireLog) opened(t testing.TB, b *offline, spi uint32) (out [][]byte) {
	t.Helper()
	for _, p := range l.packets() {
		payload, next, _, err := b.spis.lookup(spi).in.esp.Open(bytes.Clone(p))
		if err != nil || next != protoUDP {
			t.Fatalf("next header %d, %v", next, err)
		}
		out = append(out, payload)
	}
	return out
}

func TestL2TPArrivesAsTheSamePackets(t *testing.T) {
	forms := map[string][]func(a, b *dataplane.ChildSA){
		"plain":    {overL2TP()},
		"numbered": {overL2TP(numbered)},
		"short":    {overL2TP(short)},
		"IPv6":     {overL2TP(), outside6},
		"all":      {overL2TP(short, numbered), outside6},
	}
	for form, change := range forms {
		for name, e := range allESP {
			for _, c := range []struct {
				name    string
				s       spec
				n, size int
			}{
				{"TCPv4", tcpAB4, 60000, 1300},
				{"TCPv4 in tiny parts", tcpAB4, 50, 7},
				{"TCPv6", tcpAB6, 40001, 1300},
				{"UDPv4", udpAB4, 12345, 1200},
				{"one segment", tcpAB4, 100, 1300},
			} {
				t.Run(form+"/"+name+"/"+c.name, func(t *testing.T) {
					a, b := couple(t, e, change...)
					a.pathMTU(0x1001, 1500)
					h, pkt, want := superPacket(c.s, c.n, c.size)
					a.out(h, pkt)
					b.inTrains(a.wire.datagrams)
					wantPackets(t, b.singles(), want)
					for _, p := range b.singles() {
						verify(t, p)
					}
					if c.n == 60000 && len(a.wire.datagrams) > 2 {
						t.Errorf("one flow left in %d messages", len(a.wire.datagrams))
					}
					if len(b.inner) != 0 {
						t.Errorf("a packet of the call was handed up: %+v", b.inner)
					}
				})
			}
		}
	}
}

func TestTheHeaderOfACallIsRFC2661s(t *testing.T) {
	other := func(a, _ *dataplane.Call) { a.RemotePort = 50001 }
	for _, c := range []struct {
		name   string
		change func(a, b *dataplane.ChildSA)
		s      spec
		want   string // UDP, L2TP, PPP
	}{
		{"plain", overL2TP(), tcpAB4, "06a506a5003a0000 00020b010b02 ff030021"},
		{"IPv6 inside", overL2TP(), tcpAB6, "06a506a5004e0000 00020b010b02 ff030057"},
		{"short", overL2TP(short), tcpAB4, "06a506a500370000 00020b010b02 21"},
		{"numbered", overL2TP(numbered), tcpAB4, "06a506a500400000 480200380b010b0200000000 ff030021"},
		{"another port", overL2TP(other), tcpAB4, "06a5c351003a0000 00020b010b02 ff030021"},
	} {
		a, b := couple(t, gcm128, c.change)
		a.out(vnetHeader{}, c.s.build())
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got := a.wire.opened(t, b, 0x2001)
		if len(got) != 1 || !bytes.Equal(got[0], append(want, c.s.build()...)) {
			t.Errorf("%s: %x, want %x and the packet", c.name, got, want)
		}
	}
}

func TestUDPOverIPv6HasAChecksumAndOverIPv4None(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP(), outside6)
	s := tcpAB4
	for n := range 40 {
		s.payload = random(uint64(n), n)
		a.out(vnetHeader{}, s.build())
	}
	for _, d := range a.wire.opened(t, b, 0x2001) {
		pkt := spec{src: outerA6, dst: outerB6, proto: protoUDP, sport: 1701, dport: 1701, payload: d[8:]}.build()
		if !bytes.Equal(pkt[40:], d) {
			t.Fatalf("datagram %x, want %x", d, pkt[40:])
		}
	}
	sa, _ := pairOf(gcm128, 9, true)
	overL2TP()(&sa, &dataplane.ChildSA{})
	sa.Local = netip.MustParseAddrPort("[::]:4500")
	if err := a.Apply(dataplane.Add{SA: sa}); err == nil {
		t.Error("without our address the checksum would be wrong, and the Child SA was taken")
	}
}

func TestNumbersGoOnAcrossRekeysAndChangedCalls(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP(numbered))
	first, last := uint16(0), uint16(0)
	send := func(spi uint32) {
		t.Helper()
		a.wire.datagrams = nil
		h, pkt, _ := superPacket(tcpAB4, 3000, 1000)
		a.out(h, pkt)
		for _, d := range a.wire.opened(t, b, spi) {
			last = binary.BigEndian.Uint16(d[16:])
			if last != first {
				t.Fatalf("Ns %d, want %d", last, first)
			}
			first++
		}
	}
	send(0x2001)
	nextA, nextB := pairOf(gcm128, 2, false)
	overL2TP(numbered)(&nextA, &nextB)
	nextA.Call = a.spis.lookup(0x1001).cargo.Load().call
	a.apply(dataplane.Add{SA: nextA})
	b.apply(dataplane.Add{SA: nextB})
	send(0x2002)
	a.apply(dataplane.Remove{SPIIn: 0x1001})
	send(0x2002)
	wider := *nextA.Call // IPv6 came up
	a.apply(dataplane.SetCall{SPIIn: 0x1002, Call: &wider})
	send(0x2002)
	if last != 11 {
		t.Errorf("the last Ns is %d, want 11", last)
	}
	a.spis.lookup(0x1002).cargo.Load().ns.Store(65535) // modulo 2**16
	first = 65535
	send(0x2002)
	if len(a.calls) != 1 {
		t.Errorf("%d calls are remembered, want the one", len(a.calls))
	}
	other := wider
	other.Session++
	a.apply(dataplane.SetCall{SPIIn: 0x1002, Call: &other})
	first = 0
	send(0x2002)
	a.apply(dataplane.Remove{SPIIn: 0x1002})
	if len(a.calls) != 0 {
		t.Errorf("%d calls are remembered without a Child SA", len(a.calls))
	}
}

// apply is Apply of changes that must work.
func (o *offline) apply(changes ...dataplane.Change) {
	o.t.Helper()
	if err := o.Apply(changes...); err != nil {
		o.t.Fatal(err)
	}
}

func TestMessagesOfTheEventLoopAndOfThePlaneAreNumberedInOneLine(t *testing.T) {
	a, _ := couple(t, gcm128, overL2TP(numbered))
	sa := a.spis.lookup(0x1001)
	call := sa.cargo.Load().call
	a.apply(dataplane.SetCall{SPIIn: 0x1001})
	lcp := func(ns uint16) []byte {
		return binary.BigEndian.AppendUint16([]byte{0x08, 2, 0, 1, 0, 2}, ns)
	}
	ns := func(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[6:]) }
	var msg []byte
	for n := range uint16(5) { // LCP, before the call opens
		msg = append(lcp(n), 0, 0, 0xFF, 3, 0xC0, 0x21)
		sa.numberInner(msg)
		if ns(msg) != n {
			t.Fatalf("Ns %d of the event loop was changed to %d", n, ns(msg))
		}
	}
	a.apply(dataplane.SetCall{SPIIn: 0x1001, Call: call})
	if n := sa.cargo.Load().number(3); n != 5 {
		t.Errorf("the call's first message has Ns %d, want 5", n)
	}
	sa.numberInner(msg) // an echo of the event loop
	if ns(msg) != 8 {
		t.Errorf("Ns %d after eight messages", ns(msg))
	}
	control := slices.Concat([]byte{0xC8, 2, 0, 12, 0, 1, 0, 0, 0, 7, 0, 9})
	want := bytes.Clone(control)
	if sa.numberInner(control); !bytes.Equal(control, want) {
		t.Error("a control message has numbers of its own")
	}
}

// TestThePathMTUOfACall holds the table that LCP's MRU is chosen by: the
// largest inner packet for each outer path and suite.
func TestThePathMTUOfACall(t *testing.T) {
	cbcSHA1 := 8 + 16 + 12 // what ESP adds but for padding: header, IV, ICV
	for _, c := range []struct {
		name            string
		path            int
		v6              bool
		sha1, sha2, gcm int
		header          int // of L2TP
	}{
		{"Ethernet", 1500, false, 1404, 1404, 1420, 6},
		{"Ethernet, with Length", 1500, false, 1402, 1402, 1418, 8},
		{"Ethernet, numbered", 1500, false, 1398, 1398, 1414, 12},
		{"IPv6 outside", 1500, true, 1388, 1388, 1400, 6},
		{"PPPoE", 1492, false, 1404, 1404, 1412, 6},
		{"path of 1400", 1400, false, 1308, 1308, 1320, 6},
		{"path of 1280", 1280, false, 1196, 1180, 1200, 6},
	} {
		outerA, outerB := outerA4, outerB4
		outer := 20 + 8
		if c.v6 {
			outerA, outerB, outer = outerA6, outerB6, 40+8
		}
		at := func(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 4500) }
		g := &cargo{mtu: 9000, size: udpHeaderSize + c.header + 4}
		for name, want := range map[string]int{"sha1": c.sha1, "sha2": c.sha2, "gcm": c.gcm} {
			var got int
			switch e := map[string]suite.ESP{"sha2": cbcSHA2, "gcm": gcm128}[name]; name {
			case "sha1": // by waiver only; its sizes are arithmetic
				body := c.path - outer - cbcSHA1
				got = g.limit(&path{payload: body - body%16 - 2}, false)
			default:
				sa, _ := pairOf(e, 1, c.v6)
				s, err := newChildSA(&sa, newDevice("", true), 0)
				if err != nil {
					t.Fatal(err)
				}
				got = g.limit(newPath(at(outerA), at(outerB), false, 0, c.path, s.out.base), false)
			}
			if got != want {
				t.Errorf("%s, %s: the largest packet is %d, want %d", c.name, name, got, want)
			}
		}
	}
	c := &dataplane.Call{}
	if got := callCargo(c).size; got != 8+6+4 {
		t.Errorf("a plain header of %d octets", got)
	}
	if got := callCargo(&dataplane.Call{Sequenced: true}).size; got != 8+12+4 || maxPrefix < got {
		t.Errorf("a numbered header of %d octets", got)
	}
	if got := callCargo(&dataplane.Call{ShortAddress: true, ShortProtocol: true}).size; got != 8+6+1 {
		t.Errorf("a short header of %d octets", got)
	}
}

func TestPacketsTooBigForACallAreAnswered(t *testing.T) {
	for _, c := range []struct {
		name           string
		path, mru      int
		limit4, limit6 int
	}{
		{"the path decides", 1400, 1500, 1320, 1320},
		{"the peer's MRU decides", 1500, 1300, 1300, 1300},
		{"IPv6 takes 1280 octets for granted", 1200, 1500, 1120, 1280},
		{"but not from a peer that does not", 1200, 1200, 1120, 1200},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := couple(t, gcm128, overL2TP(func(a, _ *dataplane.Call) { a.MTU = c.mru }))
			a.pathMTU(0x1001, c.path)
			for _, f := range []struct {
				s     spec
				limit int
			}{{tcpAB4, c.limit4}, {tcpAB6, c.limit6}} {
				a.frames.frames, a.wire.datagrams = nil, nil
				ip := len(f.s.build())
				f.s.payload = make([]byte, f.limit-ip)
				a.out(vnetHeader{}, f.s.build())
				if n := len(a.wire.opened(t, b, 0x2001)); n != 1 || len(a.frames.frames) != 0 {
					t.Fatalf("a packet of %d octets did not leave", f.limit)
				}
				f.s.payload = make([]byte, f.limit-ip+1)
				a.out(vnetHeader{}, f.s.build())
				if len(a.wire.datagrams) != 1 || len(a.frames.frames) != 1 {
					t.Fatalf("a packet of %d octets left", f.limit+1)
				}
				icmp := a.frames.frames[0][vnetSize:]
				verify(t, icmp)
				mtu := int(binary.BigEndian.Uint16(icmp[26:]))
				if icmp[0]>>4 == 6 {
					mtu = int(binary.BigEndian.Uint32(icmp[44:]))
				}
				if mtu != f.limit {
					t.Errorf("ICMP names %d octets, want %d", mtu, f.limit)
				}
			}
		})
	}
}

func TestNoMarkOfCongestionIsMadeForAnL2TPPeer(t *testing.T) {
	a, _ := couple(t, gcm128, overL2TP())
	s := tcpAB4
	s.tos = ect0
	a.out(vnetHeader{}, s.build())
	if got := a.wire.datagrams[0].tos; got != notECT {
		t.Errorf("outer TOS %#x: the peer would lose a mark", got)
	}
}

// TestTrap34_FiveClientsBehindOneNATAreFiveSAs: one outer address, the same
// private address, the same ports and the same ids chosen by every client.
func TestTrap34_FiveClientsBehindOneNATAreFiveSAs(t *testing.T) {
	gateway := newOffline(t)
	const clients = 5
	var peers []client
	addr := func(i int) string { return fmt.Sprintf("10.60.0.%d", 10+i) }
	for i := range clients {
		sa, sb := pairOf(gcm128, uint32(i+1), false)
		overL2TP(func(a, b *dataplane.Call) {
			a.Local, b.Remote = hosts(addr(i)), hosts(addr(i))
			b.Tunnel, a.PeerTunnel = tunnelB+uint16(i), tunnelB+uint16(i) // ours differ, theirs do not
		})(&sa, &sb)
		sb.Remote = netip.MustParseAddrPort(fmt.Sprintf("192.0.2.1:%d", 40000+i))
		gateway.apply(dataplane.Add{SA: sb})
		p := newOffline(t)
		p.apply(dataplane.Add{SA: sa})
		peers = append(peers, client{p, sa.SPIIn})
	}
	wantOnly := func(i int) {
		t.Helper()
		s := spec{src: addr(i), dst: innerB4, proto: protoTCP, sport: 4000, dport: 80, payload: random(uint64(i), 99)}
		gateway.frames.frames, peers[i].wire.datagrams = nil, nil
		peers[i].out(vnetHeader{}, s.build())
		gateway.in(fmt.Sprintf("192.0.2.1:%d", 40000+i), 0, peers[i].wire.packets()...)
		wantPackets(t, gateway.singles(), [][]byte{s.build()})
		back := spec{src: innerB4, dst: addr(i), proto: protoTCP, sport: 80, dport: 4000, payload: random(uint64(i), 77)}
		gateway.wire.datagrams = nil
		gateway.out(vnetHeader{}, back.build())
		for j, p := range peers {
			p.frames.frames = nil
			p.in(outerB4+":4500", 0, gateway.wire.packets()...)
			if got := len(p.singles()); got != 0 != (i == j) {
				t.Fatalf("client %d got %d packets of client %d", j, got, i)
			}
		}
	}
	for i := range clients {
		wantOnly(i)
	}
	// One leaves, and the others do not notice.
	gateway.apply(dataplane.Remove{SPIIn: 0x2003})
	for _, i := range []int{0, 1, 3, 4} {
		wantOnly(i)
	}
	// None may use the call of another, nor its address.
	inTunnel := func(tunnel uint16, src string) {
		gateway.frames.frames = nil
		pkt := spec{src: src, dst: innerB4, proto: protoTCP}.build()
		gateway.in("192.0.2.1:40000", 0, peers[0].message(l2tpMessage(0, 0, tunnel, sessionB, ppp([]byte{0, 0x21}, pkt)...)))
		if len(gateway.frames.frames) != 0 {
			t.Errorf("client 0 sent from %s in tunnel %#x", src, tunnel)
		}
	}
	inTunnel(tunnelB+1, addr(1))
	inTunnel(tunnelB+1, addr(0))
	inTunnel(tunnelB, addr(1))
}

// TestTrap35_ARekeyKeepsTheCall: the new Child SA gets the call's packets when
// it is put in use, and the old one still opens what is on its way.
func TestTrap35_ARekeyKeepsTheCall(t *testing.T) {
	a, b := couple(t, gcm128, overL2TP())
	spi := func() uint32 {
		t.Helper()
		b.wire.datagrams = nil
		b.out(vnetHeader{}, spec{src: innerB4, dst: innerA4, proto: protoTCP}.build())
		if len(b.wire.packets()) != 1 {
			t.Fatal("the packet did not leave")
		}
		return binary.BigEndian.Uint32(b.wire.packets()[0])
	}
	nextA, nextB := pairOf(gcm128, 2, false)
	overL2TP()(&nextA, &nextB)
	nextB.Call, nextB.Outbound = b.spis.lookup(0x2001).cargo.Load().call, false
	b.apply(dataplane.Add{SA: nextB})
	a.apply(dataplane.Add{SA: nextA})
	if got := spi(); got != 0x1001 {
		t.Errorf("before the peer used it: SPI %08x", got)
	}
	late := client{a, 0x1001}.message(l2tpMessage(0, 0, tunnelB, sessionB, ppp([]byte{0, 0x21}, tcpAB4.build())...))
	a.out(vnetHeader{}, tcpAB4.build()) // the initiator uses the new one at once
	b.in(fromA, 0, a.wire.packets()...)
	b.in(fromA, 0, late)
	wantPackets(t, b.singles(), [][]byte{tcpAB4.build(), tcpAB4.build()})
	b.apply(dataplane.UseOutbound{SPIIn: 0x2002})
	if got := spi(); got != 0x1002 {
		t.Errorf("in use: SPI %08x", got)
	}
	// A call that changes while both are there does not go back to the old one.
	wider := *nextB.Call
	b.apply(dataplane.SetCall{SPIIn: 0x2002, Call: &wider}, dataplane.SetCall{SPIIn: 0x2001, Call: &wider})
	if got := spi(); got != 0x1002 {
		t.Errorf("after the call changed: SPI %08x", got)
	}
	b.apply(dataplane.Remove{SPIIn: 0x2001})
	if got := spi(); got != 0x1002 {
		t.Errorf("after the old one went: SPI %08x", got)
	}
	b.apply(dataplane.SetCall{SPIIn: 0x2002})
	b.out(vnetHeader{}, spec{src: innerB4, dst: innerA4, proto: protoTCP}.build())
	b.wantCount("no_route", 1)
	if n := b.devices[0].routes.table.Load().Size(); n != 0 {
		t.Errorf("%d routes are left of a closed call", n)
	}
	b.apply(dataplane.SetCall{SPIIn: 0x2002, Call: &wider})
	if got := spi(); got != 0x1002 {
		t.Errorf("opened again: SPI %08x", got)
	}
	b.apply(dataplane.Remove{SPIIn: 0x2002})
	if n := len(b.calls) + b.devices[0].routes.table.Load().Size(); n != 0 {
		t.Errorf("%d calls and routes are left", n)
	}
}

func TestACallThatIsNotInUseOutboundHasNoRoutes(t *testing.T) {
	_, b := couple(t, gcm128, overL2TP(), func(_, b *dataplane.ChildSA) { b.Call, b.Outbound = nil, false })
	_, other := pairOf(gcm128, 1, false)
	overL2TP()(&dataplane.ChildSA{}, &other)
	b.apply(dataplane.SetCall{SPIIn: 0x2001, Call: other.Call})
	b.out(vnetHeader{}, spec{src: innerB4, dst: innerA4, proto: protoTCP}.build())
	b.wantCount("no_route", 1)
	b.apply(dataplane.UseOutbound{SPIIn: 0x2001})
	b.out(vnetHeader{}, spec{src: innerB4, dst: innerA4, proto: protoTCP}.build())
	if len(b.wire.datagrams) != 1 {
		t.Error("the packet did not leave")
	}
}

func TestSetCallSaysWhatIsWrong(t *testing.T) {
	a, _ := couple(t, gcm128)
	b, _ := couple(t, gcm128, overL2TP())
	good := *b.spis.lookup(0x1001).cargo.Load().call
	bad := func(change func(*dataplane.Call)) error {
		c := good
		change(&c)
		return b.Apply(dataplane.SetCall{SPIIn: 0x1001, Call: &c})
	}
	for name, err := range map[string]error{
		"tunnel mode":     a.Apply(dataplane.SetCall{SPIIn: 0x1001, Call: &good}),
		"unknown SPI":     b.Apply(dataplane.SetCall{SPIIn: 0x7777, Call: &good}),
		"tunnel zero":     bad(func(c *dataplane.Call) { c.Tunnel = 0 }),
		"session zero":    bad(func(c *dataplane.Call) { c.PeerSession = 0 }),
		"port zero":       bad(func(c *dataplane.Call) { c.RemotePort = 0 }),
		"an MTU too wide": bad(func(c *dataplane.Call) { c.MTU = 70000 }),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if b.spis.lookup(0x1001).cargo.Load().call == nil || len(b.calls) != 1 {
		t.Error("a refused call took the place of the open one")
	}
}

func TestTheL2TPPathDoesNotAllocate(t *testing.T) {
	for name, change := range map[string][]func(a, b *dataplane.ChildSA){
		"plain": {overL2TP()}, "numbered over IPv6": {overL2TP(numbered), outside6},
	} {
		for kind, s := range map[string]spec{"TCPv4": tcpAB4, "TCPv6": tcpAB6, "UDPv4": udpAB4} {
			a, b := couple(t, gcm128, change...)
			a.pathMTU(0x1001, 1500)
			if n := testing.AllocsPerRun(100, trip(a, b, s)); n != 0 {
				t.Errorf("%s, %s: %v allocations for a frame of 24 packets", name, kind, n)
			}
			if st, _ := b.Stats(0x2001); st.PacketsIn < 100*23 || st.SelectorDrops+st.AuthDrops+st.ReplayDrops > 0 || b.count("inner_malformed") > 0 {
				t.Errorf("the packets did not arrive: %+v", st)
			}
		}
	}
}

func BenchmarkL2TP(b *testing.B) {
	p, q := couple(b, gcm256, overL2TP())
	benchmarkPath(b, p, q)
}

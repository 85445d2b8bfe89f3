package userspace

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// spec describes a packet that a test builds.
type spec struct {
	src, dst     string
	proto        uint8
	sport, dport uint16
	seq, ack     uint32
	flags        uint8
	options      []byte // TCP options, whole words
	payload      []byte
	id           uint16
	tos          uint8
	noDF         bool
	offset       uint16 // IPv4 fragment field: flags and offset beside DF
	noChecksum   bool
}

// build makes a correct IPv4 or IPv6 packet.
func (s spec) build() []byte {
	src, dst := netip.MustParseAddr(s.src), netip.MustParseAddr(s.dst)
	l4 := s.transport()
	var pkt []byte
	if src.Is4() {
		pkt = make([]byte, 20, 20+len(l4)+64)
		pkt[0], pkt[1], pkt[8], pkt[9] = 0x45, s.tos, 64, s.proto
		binary.BigEndian.PutUint16(pkt[2:], uint16(20+len(l4)))
		binary.BigEndian.PutUint16(pkt[4:], s.id)
		frag := s.offset
		if !s.noDF {
			frag |= 0x4000
		}
		binary.BigEndian.PutUint16(pkt[6:], frag)
		copy(pkt[12:], src.AsSlice())
		copy(pkt[16:], dst.AsSlice())
		setIPv4Checksum(pkt, 20)
	} else {
		pkt = make([]byte, 40, 40+len(l4)+64)
		pkt[0], pkt[1], pkt[6], pkt[7] = 0x60|s.tos>>4, s.tos<<4, s.proto, 64
		binary.BigEndian.PutUint16(pkt[4:], uint16(len(l4)))
		copy(pkt[8:], src.AsSlice())
		copy(pkt[24:], dst.AsSlice())
	}
	header := len(pkt)
	pkt = append(pkt, l4...)
	field := map[uint8]int{protoTCP: 16, protoUDP: 6, protoICMP: 2, protoICMPv6: 2}[s.proto]
	if field != 0 && !s.noChecksum {
		naiveChecksum(pkt, header, field, s.proto)
	}
	return pkt
}

func (s spec) transport() []byte {
	switch s.proto {
	case protoTCP:
		b := make([]byte, 20, 20+len(s.options)+len(s.payload))
		binary.BigEndian.PutUint16(b, s.sport)
		binary.BigEndian.PutUint16(b[2:], s.dport)
		binary.BigEndian.PutUint32(b[4:], s.seq)
		binary.BigEndian.PutUint32(b[8:], s.ack)
		b[12] = byte((20 + len(s.options)) / 4 << 4)
		b[13] = s.flags
		binary.BigEndian.PutUint16(b[14:], 1000)
		return append(append(b, s.options...), s.payload...)
	case protoUDP:
		b := make([]byte, 8)
		binary.BigEndian.PutUint16(b, s.sport)
		binary.BigEndian.PutUint16(b[2:], s.dport)
		binary.BigEndian.PutUint16(b[4:], uint16(8+len(s.payload)))
		return append(b, s.payload...)
	case protoICMP, protoICMPv6:
		return append([]byte{byte(s.sport >> 8), byte(s.sport), 0, 0, 0, 1, 0, 1}, s.payload...)
	}
	return s.payload
}

// naiveChecksum is RFC 1071 as a textbook has it, independent of type sum.
func naiveChecksum(pkt []byte, header, field int, proto uint8) {
	l4 := pkt[header:]
	l4[field], l4[field+1] = 0, 0
	c := naiveSum(l4)
	if proto != protoICMP {
		if pkt[0]>>4 == 4 {
			c += naiveSum(pkt[12:20])
		} else {
			c += naiveSum(pkt[8:40])
		}
		c += uint32(proto) + uint32(len(l4))
	}
	for c>>16 != 0 {
		c = c&0xFFFF + c>>16
	}
	v := ^uint16(c)
	if v == 0 && proto == protoUDP {
		v = 0xFFFF
	}
	binary.BigEndian.PutUint16(l4[field:], v)
}

func naiveSum(b []byte) (c uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		c += uint32(b[i])<<8 | uint32(b[i+1])
		c = c&0xFFFF + c>>16
	}
	if len(b)%2 == 1 {
		c += uint32(b[len(b)-1]) << 8
	}
	return c
}

// verify reports what is wrong with a packet as a receiver would see it.
func verify(t *testing.T, pkt []byte) {
	t.Helper()
	var in inner
	if !in.parse(pkt) {
		t.Fatalf("not a packet: %x", pkt)
	}
	if in.length != len(pkt) {
		t.Errorf("length field %d in %d octets", in.length, len(pkt))
	}
	want := bytes.Clone(pkt)
	if !in.v6 {
		want[10], want[11] = 0, 0
		c := naiveSum(want[:in.l4])
		for c>>16 != 0 {
			c = c&0xFFFF + c>>16
		}
		binary.BigEndian.PutUint16(want[10:], ^uint16(c))
	}
	if field := map[uint8]int{protoTCP: 16, protoUDP: 6, protoICMP: 2, protoICMPv6: 2}[in.proto]; field != 0 {
		naiveChecksum(want, in.l4, field, in.proto)
	}
	if !bytes.Equal(want, pkt) {
		t.Errorf("wrong checksum:\n%x, want\n%x", pkt, want)
	}
}

func TestChecksumAgreesWithTheTextbook(t *testing.T) {
	r := rand.New(rand.NewPCG(1071, 0))
	for n := range 700 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.IntN(3) == 0 {
				b[i] = 0xFF
			}
		}
		want := naiveSum(b)
		for want>>16 != 0 {
			want = want&0xFFFF + want>>16
		}
		var got [2]byte
		sum(0).add(b).put(got[:])
		if v := binary.BigEndian.Uint16(got[:]); v != uint16(want) && !(v == 0 && want == 0xFFFF || v == 0xFFFF && want == 0) {
			t.Fatalf("length %d: %04x, want %04x", n, v, want)
		}
	}
}

func TestInnerParserReadsWhatSelectorsNeed(t *testing.T) {
	ext := func(next uint8, rest ...byte) []byte { return append([]byte{next}, rest...) }
	udp := spec{src: "fd00::1", dst: "fd00::2", proto: protoUDP, sport: 53, dport: 99, payload: []byte("hi")}.transport()
	for _, c := range []struct {
		name  string
		pkt   []byte
		proto uint8
		ports [2]uint16
		has   bool
		plain bool
	}{
		{"TCP over IPv4", spec{src: "10.0.0.1", dst: "10.0.0.2", proto: protoTCP, sport: 80, dport: 4000}.build(), protoTCP, [2]uint16{80, 4000}, true, true},
		{"first fragment", spec{src: "10.0.0.1", dst: "10.0.0.2", proto: protoUDP, sport: 5, dport: 6, offset: 0x2000, noDF: true}.build(), protoUDP, [2]uint16{5, 6}, true, false},
		{"later fragment", spec{src: "10.0.0.1", dst: "10.0.0.2", proto: protoUDP, sport: 5, dport: 6, offset: 0x0010, noDF: true}.build(), protoUDP, [2]uint16{}, false, false},
		{"ICMP type and code", spec{src: "10.0.0.1", dst: "10.0.0.2", proto: protoICMP, sport: 0x0301}.build(), protoICMP, [2]uint16{0x0301, 0x0301}, true, true},
		{"GRE has no ports", spec{src: "10.0.0.1", dst: "10.0.0.2", proto: 47, payload: make([]byte, 8)}.build(), 47, [2]uint16{}, false, true},
		{"UDP over IPv6", spec{src: "fd00::1", dst: "fd00::2", proto: protoUDP, sport: 53, dport: 99}.build(), protoUDP, [2]uint16{53, 99}, true, true},
		{"behind hop-by-hop options", spec{src: "fd00::1", dst: "fd00::2", proto: protoHopByHop, payload: append(ext(protoUDP, make([]byte, 7)...), udp...)}.build(), protoUDP, [2]uint16{53, 99}, true, false},
		{"first IPv6 fragment", spec{src: "fd00::1", dst: "fd00::2", proto: protoFragment, payload: append(ext(protoUDP, 0, 0, 1, 0, 0, 0, 1), udp...)}.build(), protoUDP, [2]uint16{53, 99}, true, false},
		{"later IPv6 fragment", spec{src: "fd00::1", dst: "fd00::2", proto: protoFragment, payload: append(ext(protoUDP, 0, 0, 8, 0, 0, 0, 1), udp...)}.build(), protoUDP, [2]uint16{}, false, false},
	} {
		var in inner
		if !in.parse(c.pkt) {
			t.Errorf("%s: not parsed", c.name)
			continue
		}
		if in.proto != c.proto || [2]uint16{in.srcPort, in.dstPort} != c.ports || in.ports != c.has || in.plain != c.plain {
			t.Errorf("%s: got %+v", c.name, in)
		}
	}
}

func TestInnerParserRefusesEveryPrefix(t *testing.T) {
	for _, s := range []spec{
		{src: "10.0.0.1", dst: "10.0.0.2", proto: protoTCP, payload: []byte("abc")},
		{src: "fd00::1", dst: "fd00::2", proto: protoUDP, payload: []byte("abc")},
	} {
		pkt := s.build()
		for n := range pkt {
			var in inner
			if in.parse(pkt[:n]) {
				t.Errorf("%d of %d octets parsed", n, len(pkt))
			}
		}
	}
}

func TestIPv6ExtensionChainIsBounded(t *testing.T) {
	chain := bytes.Repeat([]byte{protoDstOpts, 0, 0, 0, 0, 0, 0, 0}, 100)
	var in inner
	if in.parse(spec{src: "fd00::1", dst: "fd00::2", proto: protoDstOpts, payload: chain}.build()) {
		t.Error("100 extension headers were walked")
	}
}

// FuzzInner is the parser of decrypted packets: what it says must lie inside
// the packet.
func FuzzInner(f *testing.F) {
	f.Add(spec{src: "10.0.0.1", dst: "10.0.0.2", proto: protoTCP, payload: []byte("abc")}.build())
	f.Add(spec{src: "fd00::1", dst: "fd00::2", proto: protoFragment, payload: make([]byte, 20)}.build())
	f.Add(spec{src: "fd00::1", dst: "fd00::2", proto: protoHopByHop, payload: make([]byte, 24)}.build())
	f.Add([]byte{0x45})
	f.Fuzz(func(t *testing.T, b []byte) {
		var in inner
		if !in.parse(b) {
			return
		}
		if in.length > len(b) || in.l4 > in.length || in.l4 < ipv4HeaderSize {
			t.Fatalf("%+v for %d octets", in, len(b))
		}
		pkt := bytes.Clone(b[:in.length])
		for outer := range uint8(4) {
			applyECN(pkt, &in, outer)
		}
		c := newTestCoalescer(t)
		c.add(pkt, &in)
		c.add(pkt, &in)
		c.flush()
	})
}

func TestRangesBecomeTheFewestPrefixes(t *testing.T) {
	for _, c := range []struct {
		start, end string
		want       []string
	}{
		{"10.0.0.0", "10.0.0.255", []string{"10.0.0.0/24"}},
		{"0.0.0.0", "255.255.255.255", []string{"0.0.0.0/0"}},
		{"10.0.0.1", "10.0.0.6", []string{"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"}},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []string{"::/0"}},
		{"fd00::7", "fd00::7", []string{"fd00::7/128"}},
		{"255.255.255.254", "255.255.255.255", []string{"255.255.255.254/31"}},
		{"10.0.0.2", "10.0.0.1", nil},
		{"10.0.0.2", "fd00::1", nil},
	} {
		got := rangePrefixes(netip.MustParseAddr(c.start), netip.MustParseAddr(c.end))
		if len(got) != len(c.want) {
			t.Errorf("%s-%s: %v, want %v", c.start, c.end, got, c.want)
			continue
		}
		for i := range got {
			if got[i].String() != c.want[i] {
				t.Errorf("%s-%s: %v, want %v", c.start, c.end, got, c.want)
			}
		}
	}
	worst := rangePrefixes(netip.MustParseAddr("::1"), netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"))
	if len(worst) != 254 {
		t.Errorf("the worst range has %d prefixes, want 254", len(worst))
	}
}

func TestSelectorsMatchByAddressProtocolAndPort(t *testing.T) {
	ts := func(proto uint8, from, to uint16) selectors {
		return selectors{{Protocol: proto, StartPort: from, EndPort: to, Start: netip.MustParseAddr("10.0.0.5"), End: netip.MustParseAddr("10.0.0.9")}}
	}
	tcp := spec{src: "10.0.0.1", dst: "10.0.0.5", proto: protoTCP, sport: 1, dport: 443}
	frag := spec{src: "10.0.0.1", dst: "10.0.0.5", proto: protoTCP, offset: 9, noDF: true}
	for _, c := range []struct {
		name string
		s    selectors
		pkt  spec
		want bool
	}{
		{"any port", ts(0, 0, 65535), tcp, true},
		{"the port", ts(protoTCP, 443, 443), tcp, true},
		{"another port", ts(protoTCP, 444, 500), tcp, false},
		{"another protocol", ts(protoUDP, 0, 65535), tcp, false},
		{"a later fragment fits any port", ts(protoTCP, 0, 65535), frag, true},
		{"a later fragment does not fit a port", ts(protoTCP, 443, 443), frag, false},
		{"a later fragment fits OPAQUE", ts(protoTCP, 65535, 0), frag, true},
		{"a whole packet does not fit OPAQUE", ts(protoTCP, 65535, 0), tcp, false},
		{"below the range", ts(0, 0, 65535), spec{src: "10.0.0.1", dst: "10.0.0.4", proto: protoTCP}, false},
		{"above the range", ts(0, 0, 65535), spec{src: "10.0.0.1", dst: "10.0.0.10", proto: protoTCP}, false},
		{"IPv6 does not fit IPv4", ts(0, 0, 65535), spec{src: "fd00::1", dst: "::ffff:10.0.0.5", proto: protoTCP}, false},
		{"no selector fits nothing", nil, tcp, false},
	} {
		var in inner
		if !in.parse(c.pkt.build()) {
			t.Fatal(c.name)
		}
		if got := c.s.match(in.dst, &in, in.dstPort); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestECNFollowsRFC6040(t *testing.T) {
	for _, src := range []string{"10.0.0.1", "fd00::1"} {
		dst := map[string]string{"10.0.0.1": "10.0.0.2", "fd00::1": "fd00::2"}[src]
		for innerECN := range uint8(4) {
			for outer := range uint8(4) {
				pkt := spec{src: src, dst: dst, proto: protoTCP, tos: 0xB8 | innerECN}.build()
				var in inner
				in.parse(pkt)
				want := decapsulated[innerECN][outer]
				if keep := applyECN(pkt, &in, outer); keep != (want != ecnDrop) {
					t.Errorf("inner %d outer %d: kept %v", innerECN, outer, keep)
				} else if keep {
					verify(t, pkt)
					in.parse(pkt)
					if in.tos != 0xB8|want {
						t.Errorf("inner %d outer %d: TOS %02x, want %02x", innerECN, outer, in.tos, 0xB8|want)
					}
				}
			}
		}
	}
	if decapsulated[notECT][ce] != ecnDrop || decapsulated[ect0][ce] != ce || decapsulated[ect0][ect1] != ect1 {
		t.Error("the table departs from RFC 6040, Figure 4")
	}
}

func TestRoutesPreferTheNewestAndFallBackToWiderOnes(t *testing.T) {
	sel := func(proto uint8, from, to string) selectors {
		return selectors{{Protocol: proto, EndPort: 65535, Start: netip.MustParseAddr(from), End: netip.MustParseAddr(to)}}
	}
	all := sel(0, "0.0.0.0", "255.255.255.255")
	r := newRoutes()
	child := func(spi uint32, remote selectors) *childSA {
		sa := &childSA{spiIn: spi, used: uint64(spi)}
		sa.cargo.Store(bareCargo(all, remote, nil))
		return sa
	}
	use := func(sa *childSA) { r.set(sa, nil, sa.cargo.Load().prefixes()) }
	remove := func(sa *childSA) { r.set(sa, sa.cargo.Load().prefixes(), nil) }
	wide := child(1, sel(0, "10.0.0.0", "10.255.255.255"))
	narrow := child(2, sel(protoTCP, "10.1.1.1", "10.1.1.1"))
	newer := child(3, sel(0, "10.0.0.0", "10.255.255.255"))
	use(wide)
	use(narrow)
	ask := func(proto uint8, dst string) uint32 {
		var in inner
		in.parse(spec{src: "10.9.9.9", dst: dst, proto: proto}.build())
		sa, _, _ := r.lookup(&in)
		if sa == nil {
			return 0
		}
		return sa.spiIn
	}
	want := func(proto uint8, dst string, spi uint32, why string) {
		t.Helper()
		if got := ask(proto, dst); got != spi {
			t.Errorf("%s: SA %d, want %d", why, got, spi)
		}
	}
	want(protoTCP, "10.1.1.1", 2, "TCP to the narrow one's host")
	want(protoUDP, "10.1.1.1", 1, "UDP to that host fits only the wider SA")
	want(protoTCP, "11.0.0.1", 0, "no SA")
	use(newer)
	use(wide) // again: it stays behind
	want(protoTCP, "10.2.2.2", 3, "after a rekey")
	remove(newer)
	want(protoTCP, "10.2.2.2", 1, "the older is used again")
	remove(wide)
	remove(narrow)
	want(protoTCP, "10.1.1.1", 0, "all removed")
	if n := r.table.Load().Size(); n != 0 {
		t.Errorf("%d routes are left", n)
	}
}

func TestSPITableFindsWhatWasInserted(t *testing.T) {
	var table spiTable
	for spi := uint32(300); spi < 20300; spi++ {
		table.insert(&childSA{spiIn: spi << 3})
	}
	for spi := uint32(300); spi < 20300; spi += 2 {
		table.remove(spi << 3)
	}
	n := 0
	table.all(func(*childSA) { n++ })
	if n != 10000 {
		t.Errorf("%d entries are left, want 10000", n)
	}
	for spi := uint32(300); spi < 20300; spi++ {
		sa := table.lookup(spi << 3)
		if (sa != nil) != (spi%2 == 1) {
			t.Fatalf("SPI %x: %v", spi<<3, sa)
		}
	}
	if table.lookup(7) != nil {
		t.Error("an unknown SPI was found")
	}
}

func TestSequenceNumbersEndBeforeTheyRepeat(t *testing.T) {
	sa := &childSA{lastSeq: 100, softSeq: 80}
	total, asked := 0, false
	for range 50 {
		first, ask, ok := sa.reserve(7)
		if !ok {
			continue
		}
		asked = asked || ask
		if first != uint64(total)+1 || first+6 > 100 {
			t.Fatalf("numbers %d to %d after %d", first, first+6, total)
		}
		total += 7
	}
	if total != 98 || !asked {
		t.Errorf("%d numbers given out, rekey asked %v", total, asked)
	}
	if _, _, ok := sa.reserve(1); ok {
		t.Error("a number was given out after the end")
	}
}

func TestTooBigIsAWholeICMPPacket(t *testing.T) {
	v4 := spec{src: "10.0.0.1", dst: "10.0.0.2", proto: protoUDP, payload: make([]byte, 1400)}.build()
	b := make([]byte, 1500)
	n := buildTooBig4(b, v4, 1300)
	verify(t, b[:n])
	if n != 576 || b[20] != 3 || b[21] != 4 || binary.BigEndian.Uint16(b[26:]) != 1300 || !bytes.Equal(b[28:n], v4[:n-28]) {
		t.Errorf("ICMP: %x", b[:n])
	}
	if !bytes.Equal(b[12:16], v4[16:20]) || !bytes.Equal(b[16:20], v4[12:16]) {
		t.Error("the error must go back to the sender")
	}
	v6 := spec{src: "fd00::1", dst: "fd00::2", proto: protoTCP, payload: make([]byte, 1400)}.build()
	n = buildTooBig6(b, v6, 1280)
	verify(t, b[:n])
	if n != 1280 || b[40] != 2 || binary.BigEndian.Uint32(b[44:]) != 1280 || !bytes.Equal(b[48:n], v6[:n-48]) {
		t.Errorf("ICMPv6: %x", b[:n])
	}
}

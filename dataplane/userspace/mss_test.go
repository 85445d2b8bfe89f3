package userspace

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"sallyport/dataplane"
)

// syn is a SYN with these options, filled up to whole words.
func syn(v6 bool, options ...byte) spec {
	s := tcpAB4
	if v6 {
		s = tcpAB6
	}
	for len(options)%4 != 0 {
		options = append(options, optEnd)
	}
	s.flags, s.options = tcpSYN, options
	return s
}

func mss(v uint16) []byte { return binary.BigEndian.AppendUint16([]byte{optMSS, optMSSSize}, v) }

func TestTheSegmentSizeOfASYNFitsTheTunnel(t *testing.T) {
	nop, timestamps := []byte{optNOP}, []byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 0}
	const limit4, limit6 = 1360, 1340 // of packets of 1400 octets
	for _, c := range []struct {
		name          string
		before, after []byte
	}{
		{"alone", mss(1460), mss(limit4)},
		{"65535", mss(65535), mss(limit4)},
		{"one too many", mss(limit4 + 1), mss(limit4)},
		{"small enough", mss(limit4), mss(limit4)},
		{"as small as can be", mss(0), mss(0)},
		{"at an odd offset", slices.Concat(nop, mss(1460)), slices.Concat(nop, mss(limit4))},
		{"behind others", slices.Concat(nop, nop, timestamps, mss(9000)), slices.Concat(nop, nop, timestamps, mss(limit4))},
		{"twice", slices.Concat(mss(1460), mss(9000)), slices.Concat(mss(limit4), mss(limit4))},
		{"behind the end of options", []byte{optEnd, 2, 4, 5, 0xB4}, []byte{optEnd, 2, 4, 5, 0xB4}},
		{"an option of length zero", []byte{9, 0, 2, 4, 5, 0xB4}, []byte{9, 0, 2, 4, 5, 0xB4}},
		{"an option of length one", []byte{9, 1, 2, 4, 5, 0xB4}, []byte{9, 1, 2, 4, 5, 0xB4}},
		{"an option beyond the end", []byte{9, 200, 2, 4, 5, 0xB4}, []byte{9, 200, 2, 4, 5, 0xB4}},
		{"an MSS of another length", []byte{2, 6, 5, 0xB4, 5, 0xB4}, []byte{2, 6, 5, 0xB4, 5, 0xB4}},
		{"an MSS cut off", []byte{1, 1, 2, 4}, []byte{1, 1, 2, 4}},
		{"a kind without length at the end", []byte{1, 1, 1, 2}, []byte{1, 1, 1, 2}},
		{"none", nil, nil},
	} {
		for _, v6 := range []bool{false, true} {
			pkt, want := syn(v6, c.before...).build(), syn(v6, c.after...).build()
			limit := 1400
			if v6 {
				limit += limit4 - limit6 // so that the table holds for both
			}
			var in inner
			in.parse(pkt)
			changed := isSYN(pkt, &in) && clampMSS(pkt, &in, limit)
			if !bytes.Equal(pkt, want) || changed == bytes.Equal(c.before, c.after) {
				t.Errorf("%s, IPv6 %v: changed %v\n%x, want\n%x", c.name, v6, changed, pkt, want)
			}
		}
	}
}

func TestTheChecksumFollowsEverySegmentSize(t *testing.T) {
	for v := range uint16(65535) {
		for _, options := range [][]byte{mss(v), append([]byte{optNOP}, mss(v)...)} {
			s := syn(false, options...)
			s.seq = uint32(v) * 2654435761
			pkt := s.build()
			var in inner
			in.parse(pkt)
			clampMSS(pkt, &in, 100)
			if got := binary.BigEndian.Uint16(pkt[20+20+len(options)-2:]); got > 60 {
				t.Fatalf("%d became %d", v, got)
			}
			verify(t, pkt)
			if t.Failed() {
				t.Fatalf("segment size %d", v)
			}
		}
	}
}

func TestAWrongChecksumOfASYNStaysWrong(t *testing.T) {
	pkt := syn(false, mss(1460)...).build()
	pkt[25]++ // the sequence number, after the checksum was made
	var in inner
	in.parse(pkt)
	if !clampMSS(pkt, &in, 1400) {
		t.Fatal("not changed")
	}
	l4 := pkt[20:]
	if pseudoHeader(pkt, false, protoTCP, len(l4)).add(l4).valid() {
		t.Error("a damaged segment was repaired")
	}
}

func TestOnlySYNsAreChanged(t *testing.T) {
	for name, change := range map[string]func(*spec){
		"an ACK":            func(s *spec) { s.flags = tcpACK },
		"a later fragment":  func(s *spec) { s.noDF, s.offset = true, 8 },
		"UDP":               func(s *spec) { s.proto = protoUDP },
		"another protocol":  func(s *spec) { s.proto, s.payload = 47, bytes.Repeat([]byte{2, 4, 0xFF, 0xFF}, 20) },
		"half a TCP header": func(s *spec) { s.proto, s.payload, s.noChecksum = 200, make([]byte, 10), true },
	} {
		s := syn(false, mss(1460)...)
		change(&s)
		pkt := s.build()
		if name == "half a TCP header" {
			pkt[9] = protoTCP
			setIPv4Checksum(pkt, 20)
		}
		var in inner
		if in.parse(pkt); isSYN(pkt, &in) {
			t.Errorf("%s was taken for a SYN", name)
		}
	}
}

// TestSYNsAreClampedBothWaysInEveryTunnel: a stands for the client. What leaves
// it and what reaches b is the same packet, so each is looked at alone.
func TestSYNsAreClampedBothWaysInEveryTunnel(t *testing.T) {
	tunnel := func(_, _ *dataplane.ChildSA) {}
	for name, change := range map[string]func(a, b *dataplane.ChildSA){"tunnel": tunnel, "L2TP": overL2TP()} {
		for _, v6 := range []bool{false, true} {
			for _, partial := range []bool{false, true} {
				for _, ack := range []uint8{0, tcpACK} {
					s := syn(v6, mss(1460)...)
					s.flags |= ack
					want := func(o *offline, spi uint32) []byte {
						sa := o.spis.lookup(spi)
						size := sa.cargo.Load().limit(sa.path.Load(), v6) - 40
						if v6 {
							size -= 20
						}
						w := s
						w.options = mss(uint16(size))
						return w.build()
					}
					a, b := couple(t, gcm128, change)
					a.pathMTU(0x1001, 1400)
					b.pathMTU(0x2001, 9000)
					if name == "L2TP" {
						b.pathMTU(0x2001, 1500) // the call's own MTU of 1400 is what holds
					}
					pkt, h := s.build(), vnetHeader{}
					if partial {
						var in inner
						in.parse(pkt)
						h = vnetHeader{flags: vnetNeedsChecksum, checksumStart: uint16(in.l4), checksumOffset: 16}
						pseudoHeader(pkt, v6, protoTCP, len(pkt)-in.l4).put(pkt[in.l4+16:])
					}
					a.out(h, pkt)
					b.in(fromA, 0, a.wire.packets()...)
					wantPackets(t, b.singles(), [][]byte{want(a, 0x1001)})
					a.wantCount("mss_clamped", 1)

					a, b = couple(t, gcm128, change) // inbound: the sender does not clamp
					a.pathMTU(0x1001, 9000)
					b.pathMTU(0x2001, 1400)
					if name == "L2TP" {
						wide := *a.spis.lookup(0x1001).cargo.Load().call
						wide.MTU = 9000
						a.apply(dataplane.SetCall{SPIIn: 0x1001, Call: &wide})
					}
					a.out(vnetHeader{}, s.build())
					b.in(fromA, 0, a.wire.packets()...)
					a.wantCount("mss_clamped", 0)
					b.wantCount("mss_clamped", 1)
					wantPackets(t, b.singles(), [][]byte{want(b, 0x2001)})
				}
			}
		}
	}
}

func TestClampingDoesNotAllocate(t *testing.T) {
	pkt := syn(false, mss(1460)...).build()
	var in inner
	in.parse(pkt)
	n := testing.AllocsPerRun(100, func() {
		binary.BigEndian.PutUint16(pkt[42:], 1460)
		if !isSYN(pkt, &in) || !clampMSS(pkt, &in, 1400) {
			t.Fatal("not changed")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzClampMSS: whatever stands where options should, a packet keeps its
// length, only its segment sizes and checksum change, and a right checksum
// stays right.
func FuzzClampMSS(f *testing.F) {
	f.Add(mss(1460), false)
	f.Add([]byte{1, 2, 4, 5, 0xB4, 9, 0, 0}, true)
	f.Add([]byte{3, 3, 7, 2, 4, 0xFF, 0xFF, 2}, false)
	f.Fuzz(func(t *testing.T, options []byte, v6 bool) {
		if len(options) > 40 {
			return
		}
		s := syn(v6, slices.Clone(options)...)
		pkt := s.build()
		before := bytes.Clone(pkt)
		var in inner
		in.parse(pkt)
		changed := clampMSS(pkt, &in, 1400)
		if changed == bytes.Equal(before, pkt) {
			t.Fatalf("changed %v: %x", changed, pkt)
		}
		verify(t, pkt)
		if !bytes.Equal(before[:in.l4+16], pkt[:in.l4+16]) {
			t.Fatalf("more than the options changed: %x", pkt)
		}
	})
}

package userspace

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
	"sallyport/protocol/suite"
)

// offline is a plane without device and sockets: the packet path itself, fed
// and read by a test.
type offline struct {
	*Plane
	t        testing.TB
	sender   *sender
	receiver *receiver
	frames   *frameLog
	wire     *wireLog
	events   []dataplane.Event
	others   []*frameLog // of the devices beside the first
	inner    []innerMessage
}

// innerMessage is one L2TP message as it was handed up.
type innerMessage struct {
	spi  uint32
	port uint16
	msg  string
}

func (o *offline) sinks() []frameSink {
	out := []frameSink{o.frames}
	for range o.devices[1:] {
		l := &frameLog{keep: true}
		o.others = append(o.others, l)
		out = append(out, l)
	}
	return out
}

// frameLog keeps what was written to the TUN device.
type frameLog struct {
	frames [][]byte
	keep   bool
	refuse func(h vnetHeader) error
}

func (l *frameLog) writeFrame(iov []unix.Iovec) error {
	if !l.keep {
		return nil
	}
	frame := gather(iov)
	if l.refuse != nil {
		var h vnetHeader
		h.parse(frame)
		if err := l.refuse(h); err != nil {
			return err
		}
	}
	l.frames = append(l.frames, frame)
	return nil
}

func gather(iov []unix.Iovec) (out []byte) {
	for _, v := range iov {
		out = append(out, unsafe.Slice(v.Base, v.Len)...)
	}
	return out
}

// wireLog keeps what was sent.
type wireLog struct {
	datagrams []datagram
	keep      bool
	refuse    func(segment int) error
}

type datagram struct {
	data    []byte
	segment int
	tos     uint8
}

func (l *wireLog) send(_ *call, msgs []mmsghdr) (int, error) {
	if !l.keep {
		return len(msgs), nil
	}
	for i := range msgs {
		d := datagram{data: bytes.Clone(bytesOf(msgs[i].hdr.Iov))}
		d.segment, d.tos = controlOf(&msgs[i])
		if l.refuse != nil {
			if err := l.refuse(d.segment); err != nil {
				return i, err
			}
		}
		l.datagrams = append(l.datagrams, d)
	}
	return len(msgs), nil
}

func bytesOf(v *unix.Iovec) []byte { return unsafe.Slice(v.Base, v.Len) }

// controlOf reads the control messages of a datagram that is sent.
func controlOf(m *mmsghdr) (segment int, tos uint8) {
	for b := unsafe.Slice(m.hdr.Control, m.hdr.Controllen); len(b) >= unix.SizeofCmsghdr; {
		n := binary.NativeEndian.Uint64(b)
		level, kind := binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		switch {
		case level == unix.SOL_UDP && kind == unix.UDP_SEGMENT:
			segment = int(binary.NativeEndian.Uint16(b[16:]))
		case level == unix.IPPROTO_IP && kind == unix.IP_TOS, level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS:
			tos = uint8(binary.NativeEndian.Uint32(b[16:]))
		}
		b = b[min((n+7)&^7, uint64(len(b))):]
	}
	return segment, tos
}

// packets are the datagrams as they travel, one by one.
func (l *wireLog) packets() (out [][]byte) {
	for _, d := range l.datagrams {
		size := d.segment
		if size == 0 {
			size = len(d.data)
		}
		for b := d.data; len(b) > 0; b = b[min(size, len(b)):] {
			out = append(out, b[:min(size, len(b))])
		}
	}
	return out
}

// newOffline has a first device and those named.
func newOffline(t testing.TB, devices ...string) *offline {
	t.Helper()
	o := &offline{t: t, frames: &frameLog{keep: true}, wire: &wireLog{keep: true}}
	cfg := Config{Upcalls: dataplane.Upcalls{
		Event: func(e dataplane.Event) { o.events = append(o.events, e) },
		Inner: func(spi uint32, port uint16, msg []byte) {
			o.inner = append(o.inner, innerMessage{spi, port, string(msg)})
		},
	}}
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	meter, err := newPathMeter(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(meter.close)
	cfg.Queues = 1
	p := newPlane(cfg)
	p.meter = meter
	for i, name := range append([]string{"vpn0"}, devices...) {
		d := newDevice(name, true)
		d.index, d.queues, d.uso = i, make([]*tunQueue, 1), true
		p.devices = append(p.devices, d)
	}
	for _, a := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		s := &socket{local: netip.AddrPortFrom(a, 4500)}
		p.ike, p.rawS = append(p.ike, s), append(p.rawS, s)
	}
	l := p.lanes[0]
	o.Plane = p
	o.sender = newSender(p, l, p.devices[0], o.frames)
	o.sender.batch.sinks = func(*path) messageSink { return o.wire }
	o.sender.now = seconds(o.elapsed())
	o.receiver = newReceiver(p, l, p.ike[0], kindNATT, o.sinks())
	o.receiver.now = seconds(o.elapsed())
	return o
}

// couple makes two offline planes with one Child SA between them.
func couple(t testing.TB, e suite.ESP, change ...func(a, b *dataplane.ChildSA)) (a, b *offline) {
	t.Helper()
	a, b = newOffline(t), newOffline(t)
	saA, saB := pairOf(e, 1, false)
	for _, f := range change {
		f(&saA, &saB)
	}
	if err := a.Apply(dataplane.Add{SA: saA}); err != nil {
		t.Fatal(err)
	}
	if err := b.Apply(dataplane.Add{SA: saB}); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// out gives a frame to the plane as if the TUN device had.
func (o *offline) out(h vnetHeader, pkt []byte) {
	h.put(o.sender.frame)
	n := vnetSize + copy(o.sender.frame[vnetSize:], pkt)
	o.sender.handle(n)
	o.sender.batch.flush()
}

// in gives datagrams from the address to the plane.
func (o *offline) in(from string, tos uint8, datagrams ...[]byte) {
	var name [unix.SizeofSockaddrInet6]byte
	putSockaddr(name[:], netip.MustParseAddrPort(from))
	for _, d := range datagrams {
		o.receiver.info = received{tos: tos}
		o.receiver.datagrams(name[:], bytes.Clone(d))
	}
	o.receiver.flush()
}

// inTrains gives whole trains to the plane, as UDP_GRO does.
func (o *offline) inTrains(trains []datagram) {
	var name [unix.SizeofSockaddrInet6]byte
	putSockaddr(name[:], netip.MustParseAddrPort(fromA))
	for _, d := range trains {
		o.receiver.info = received{segment: d.segment, tos: d.tos}
		o.receiver.datagrams(name[:], bytes.Clone(d.data))
		o.receiver.flush()
	}
}

const fromA = outerA4 + ":4500"

// singles are the frames of the TUN device cut into packets again, as the
// kernel would.
func (o *offline) singles() (out [][]byte) {
	o.t.Helper()
	for _, f := range o.frames.frames {
		out = append(out, cut(o.t, f)...)
	}
	return out
}

// cut is the kernel's half of generic segmentation offload, written apart from
// the segmenter: it copies.
func cut(t testing.TB, frame []byte) (out [][]byte) {
	t.Helper()
	var h vnetHeader
	h.parse(frame)
	pkt := frame[vnetSize:]
	if h.gsoType == gsoNone {
		return [][]byte{pkt}
	}
	if h.flags != vnetNeedsChecksum {
		t.Fatalf("a joined frame must ask for its checksum: %+v", h)
	}
	var in inner
	if !in.parse(pkt) || in.length != len(pkt) {
		t.Fatalf("joined frame is no packet: %x", pkt[:40])
	}
	var partial [2]byte
	pseudoHeader(pkt, in.v6, in.proto, len(pkt)-in.l4).put(partial[:])
	if got := pkt[int(h.checksumStart)+int(h.checksumOffset):][:2]; !bytes.Equal(got, partial[:]) {
		t.Errorf("partial checksum %x, want the pseudo header's %x", got, partial)
	}
	header, payload := pkt[:h.hdrLen], pkt[h.hdrLen:]
	for i := 0; len(payload) > 0; i++ {
		n := min(int(h.gsoSize), len(payload))
		p := append(bytes.Clone(header), payload[:n]...)
		payload = payload[n:]
		last := len(payload) == 0
		if in.v6 {
			binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
		} else {
			binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
			binary.BigEndian.PutUint16(p[4:], binary.BigEndian.Uint16(header[4:])+uint16(i))
			setIPv4Checksum(p, in.l4)
		}
		l4 := p[in.l4:]
		field := 16
		if in.proto == protoUDP {
			field = 6
			binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
		} else {
			binary.BigEndian.PutUint32(l4[4:], binary.BigEndian.Uint32(l4[4:])+uint32(i*int(h.gsoSize)))
			if i > 0 {
				l4[13] &^= tcpCWR
			}
			if !last {
				l4[13] &^= tcpFIN | tcpPSH
			}
		}
		naiveChecksum(p, in.l4, field, in.proto)
		out = append(out, p)
	}
	return out
}

func newTestCoalescer(t testing.TB) *coalescer {
	d := newDevice("vpn0", true)
	d.uso = true
	return newCoalescer(&lane{plane: &Plane{}}, d, &frameLog{keep: true})
}

package userspace

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Sizes of an inbound batch.
const (
	gatherPackets = 512 // more than four full trains
	flowMemory    = 16  // latest flows looked at for one more segment
	frameIovecs   = 2 * 70
)

// coalescer gathers opened packets and writes them to the TUN device. Segments
// of one TCP or UDP flow that follow each other go as one frame which the
// kernel takes whole (generic receive offload); only slices are gathered, no
// octet is copied. Packets of one flow keep their order.
type coalescer struct {
	lane    *lane
	device  *device
	writer  frameSink
	packets [gatherPackets]gathered
	n       int
	flows   [gatherPackets]flow
	nflows  int

	iov    [frameIovecs]unix.Iovec
	header [vnetSize + maxHeaders]byte
	blank  [vnetSize]byte // the vnet header of a packet that goes alone
}

type gathered struct {
	data []byte
	next int32 // in the same flow, or -1
}

// flow is what becomes one frame: a packet, or several that follow each other.
type flow struct {
	key         uint64 // ports and address bits; 0 for what is never joined
	first, last int32
	count       int
	v6          bool
	proto       uint8
	l4          int
	hdrLen      int
	size        int    // payload of each packet but the last
	total       int    // octets of the joined packet
	nextSeq     uint32 // TCP sequence number that would follow
	open        bool
	checked     bool // the first packet's checksum was verified
}

func newCoalescer(l *lane, d *device, w frameSink) *coalescer {
	return &coalescer{lane: l, device: d, writer: w}
}

func (c *coalescer) reset() { c.n, c.nflows = 0, 0 }

// full tells that the batch must be flushed before more packets are added.
func (c *coalescer) full() bool { return c.n == gatherPackets }

// add takes one packet that was checked against its SA. pkt must stay
// untouched until flush.
func (c *coalescer) add(pkt []byte, in *inner) {
	i := int32(c.n)
	c.n++
	c.packets[i] = gathered{data: pkt, next: -1}
	f := flow{first: i, last: i, count: 1, total: len(pkt)}
	if c.device.segment.Load() {
		f.describe(pkt, in, c.device.uso)
	}
	if f.key != 0 {
		if old := c.find(&f, pkt); old != nil && c.join(old, &f, pkt) {
			c.packets[old.last].next = i
			old.last = i
			return
		}
	}
	c.flows[c.nflows] = f
	c.nflows++
}

// describe decides whether the packet may be joined with others.
func (f *flow) describe(pkt []byte, in *inner, uso bool) {
	if !in.plain || !in.ports {
		return
	}
	f.v6, f.proto, f.l4 = in.v6, in.proto, in.l4
	l4 := pkt[in.l4:]
	switch {
	case in.proto == protoTCP && len(l4) >= 20:
		header := int(l4[12]>>4) * 4
		if header < 20 || header > len(l4) {
			return
		}
		f.hdrLen = in.l4 + header
		f.size = len(l4) - header
		f.nextSeq = binary.BigEndian.Uint32(l4[4:]) + uint32(f.size)
		f.open = f.size > 0 && l4[13] == tcpACK // PSH and FIN end a flow, the rest is never joined
	case in.proto == protoUDP && uso && len(l4) > 8 && int(binary.BigEndian.Uint16(l4[4:])) == len(l4):
		f.hdrLen = in.l4 + 8
		f.size = len(l4) - 8
		f.open = l4[6]|l4[7] != 0
	default:
		return
	}
	f.key = flowKey(pkt, in)
}

// flowKey tells most flows apart; find compares the whole.
func flowKey(pkt []byte, in *inner) uint64 {
	end := ipv4HeaderSize
	if in.v6 {
		end = ipv6HeaderSize
	}
	addr := binary.LittleEndian.Uint32(pkt[end-4:]) ^ binary.LittleEndian.Uint32(pkt[end-8:])
	return uint64(binary.LittleEndian.Uint32(pkt[in.l4:]))<<32 | uint64(addr) | 1
}

// find returns the latest frame of the same flow. Only that one may be
// extended, or packets would overtake each other.
func (c *coalescer) find(f *flow, pkt []byte) *flow {
	for i := c.nflows - 1; i >= max(0, c.nflows-flowMemory); i-- {
		old := &c.flows[i]
		if old.key == f.key && old.proto == f.proto && old.v6 == f.v6 && old.l4 == f.l4 &&
			sameEnds(c.packets[old.first].data, pkt, f) {
			return old
		}
	}
	return nil
}

func sameEnds(a, b []byte, f *flow) bool {
	from, to := 12, 20
	if f.v6 {
		from, to = 8, 40
	}
	return bytes.Equal(a[from:to], b[from:to]) && bytes.Equal(a[f.l4:f.l4+4], b[f.l4:f.l4+4])
}

// join appends packet f to old when the kernel, cutting the frame again, would
// produce exactly these packets.
func (c *coalescer) join(old, f *flow, pkt []byte) bool {
	first := c.packets[old.first].data
	if !old.open || f.hdrLen != old.hdrLen || f.size == 0 || f.size > old.size ||
		old.total+f.size > 65535 || old.count == trainMax || !sameIPHeader(first, pkt, f.v6) {
		return false
	}
	ends := f.size < old.size
	if f.proto == protoTCP {
		flags := pkt[f.l4+13]
		if flags&^(tcpPSH|tcpFIN) != tcpACK || old.nextSeq != binary.BigEndian.Uint32(pkt[f.l4+4:]) ||
			!sameTCPHeader(first[f.l4:], pkt[f.l4:], f.hdrLen-f.l4) {
			return false
		}
		ends = ends || flags != tcpACK
	} else if !f.open {
		return false
	}
	// A frame goes to the kernel as "checksum to be finished", which would make
	// a wrong one right; so each is verified before it disappears.
	if !old.checked {
		if old.checked = f.checksumValid(first); !old.checked {
			old.open = false
			return false
		}
	}
	if !f.checksumValid(pkt) {
		return false
	}
	old.count++
	old.total += f.size
	old.nextSeq = f.nextSeq
	old.open = !ends
	return true
}

func (f *flow) checksumValid(pkt []byte) bool {
	if !f.v6 && !sum(0).add(pkt[:f.l4]).valid() {
		return false
	}
	l4 := pkt[f.l4:]
	return pseudoHeader(pkt, f.v6, f.proto, len(l4)).add(l4).valid()
}

// sameIPHeader compares what the kernel copies to every segment: version, TOS,
// TTL and the DF bit. The IPv4 identification of segments is free (RFC 6864).
func sameIPHeader(a, b []byte, v6 bool) bool {
	if v6 {
		return bytes.Equal(a[:4], b[:4]) && a[7] == b[7]
	}
	return a[1] == b[1] && a[6] == b[6] && a[8] == b[8]
}

// sameTCPHeader compares acknowledgement, window, urgent pointer and options.
func sameTCPHeader(a, b []byte, n int) bool {
	return bytes.Equal(a[8:13], b[8:13]) && bytes.Equal(a[14:16], b[14:16]) && bytes.Equal(a[18:n], b[18:n])
}

// flush writes every frame.
func (c *coalescer) flush() {
	c.lane.counters.FramesWritten.Add(uint64(c.nflows))
	for i := range c.nflows {
		c.write(&c.flows[i])
	}
	c.reset()
}

func (c *coalescer) write(f *flow) {
	if f.count == 1 {
		c.writeSingle(c.packets[f.first].data)
		return
	}
	n := c.gather(f)
	err := c.writer.writeFrame(c.iov[:n])
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIO) {
		// Some kernels refuse joined frames (Linux 6.6.44 and others checked the
		// vnet header wrongly). One at a time always works.
		if errors.Is(err, unix.EINVAL) {
			c.device.segment.Store(false)
			c.lane.counters.JoinRefused.Add(1)
		}
		for i := f.first; i >= 0; i = c.packets[i].next {
			c.writeSingle(c.packets[i].data)
		}
		return
	}
	if err != nil {
		c.lane.counters.TUNErrors.Add(1)
	}
}

func (c *coalescer) writeSingle(pkt []byte) {
	setIovec(&c.iov[0], c.blank[:])
	setIovec(&c.iov[1], pkt)
	if c.writer.writeFrame(c.iov[:2]) != nil {
		c.lane.counters.TUNErrors.Add(1)
	}
}

// gather lays out the joined frame: a header of its own, so that the packets
// stay as they came, then each payload where it is.
func (c *coalescer) gather(f *flow) int {
	c.joinedHeader(f)
	setIovec(&c.iov[0], c.header[:vnetSize+f.hdrLen])
	n := 1
	for i := f.first; i >= 0; i = c.packets[i].next {
		setIovec(&c.iov[n], c.packets[i].data[f.hdrLen:])
		n++
	}
	return n
}

func setIovec(v *unix.Iovec, b []byte) {
	v.Base = &b[0]
	v.SetLen(len(b))
}

func (c *coalescer) joinedHeader(f *flow) {
	h := vnetHeader{
		flags: vnetNeedsChecksum, hdrLen: uint16(f.hdrLen), gsoSize: uint16(f.size),
		checksumStart: uint16(f.l4), checksumOffset: 16, gsoType: gsoTCPv4,
	}
	pkt := c.header[vnetSize : vnetSize+f.hdrLen]
	copy(pkt, c.packets[f.first].data)
	if f.v6 {
		h.gsoType = gsoTCPv6
		binary.BigEndian.PutUint16(pkt[4:], uint16(f.total-ipv6HeaderSize))
	} else {
		binary.BigEndian.PutUint16(pkt[2:], uint16(f.total))
		setIPv4Checksum(pkt, f.l4)
	}
	l4 := pkt[f.l4:]
	if f.proto == protoUDP {
		h.gsoType, h.checksumOffset = gsoUDP, 6
		binary.BigEndian.PutUint16(l4[4:], uint16(f.total-f.l4))
	} else {
		l4[13] = c.packets[f.last].data[f.l4+13] // PSH or FIN of the last
	}
	pseudoHeader(pkt, f.v6, f.proto, f.total-f.l4).put(l4[h.checksumOffset:])
	h.put(c.header[:])
}

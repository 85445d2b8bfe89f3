package userspace

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"sallyport/protocol/esp"
)

// Sizes of an outbound batch: room for several trains, so that a train cut at
// the end of one frame can be filled up by the next.
const (
	batchArena    = 512 << 10
	batchMessages = 128
	controlSize   = 96 // source address, UDP_SEGMENT and TOS
)

// sendOctets is how much is gathered before a batch is sent while more frames
// are waiting: a full train goes at once, single packets go many in one call.
const sendOctets = 32 << 10

// batch collects sealed packets and sends them. Packets of equal size on one
// path make a train, which the kernel cuts (UDP_SEGMENT); a shorter one ends it.
type batch struct {
	plane *Plane
	lane  *lane
	sinks func(*path) messageSink
	arena []byte
	used  int
	sent  int // messages already sent
	n     int // messages in all

	trains  [batchMessages]train
	msgs    [batchMessages]mmsghdr
	iov     [batchMessages]unix.Iovec
	control [batchMessages][controlSize]byte
	call    *call
}

// train is one message of a batch.
type train struct {
	path  *path
	sa    *childSA
	start int
	bytes int
	size  int // of each packet but the last
	count int
	ecn   uint8
	full  bool
}

func newBatch(p *Plane, l *lane) *batch {
	return &batch{plane: p, lane: l, sinks: l.socket, arena: make([]byte, batchArena), call: newSendCall()}
}

// seal appends one ESP packet to the batch. The caller has made room.
func (b *batch) seal(sa *childSA, pa *path, sealer *esp.Outbound, seq uint64, next, ecn uint8, pkt []byte) {
	size := sealer.Size(len(pkt))
	t := b.train(sa, pa, size, ecn)
	sealer.Seal(b.arena[b.used:b.used:len(b.arena)], seq, next, pkt)
	b.used += size
	t.bytes += size
	t.count++
	t.full = size < t.size || t.count == trainMax || t.bytes+t.size > datagramMax || !b.mayTrain(pa, size)
}

// train is the message that a packet of that size joins.
func (b *batch) train(sa *childSA, pa *path, size int, ecn uint8) *train {
	if b.n > b.sent {
		t := &b.trains[b.n-1]
		if !t.full && t.path == pa && size <= t.size && t.ecn == ecn {
			return t
		}
	}
	t := &b.trains[b.n]
	*t = train{path: pa, sa: sa, start: b.used, size: size, ecn: ecn}
	b.n++
	return t
}

// mayTrain: the kernel cuts trains of packets that fit the path, and only on
// UDP sockets (a raw ESP socket has no such thing).
func (b *batch) mayTrain(pa *path, size int) bool {
	return !pa.raw && size <= pa.largest && b.plane.udpSegment.Load()
}

// reserve makes room for n packets of at most that size.
func (b *batch) reserve(n, size int) {
	if b.used+n*size > len(b.arena) || b.n+n > batchMessages {
		b.flush()
	}
}

// sendFull sends the trains that can grow no more, when that is worth a call.
func (b *batch) sendFull() {
	if b.sent == b.n || b.used-b.trains[b.sent].start < sendOctets {
		return
	}
	end := b.n
	if end > b.sent && !b.trains[end-1].full {
		end--
	}
	b.send(end)
	if b.sent == b.n {
		b.reset()
	}
}

// flush sends everything.
func (b *batch) flush() {
	b.send(b.n)
	b.reset()
}

func (b *batch) reset() { b.used, b.sent, b.n = 0, 0, 0 }

// send sends the messages before end, in runs on the same socket.
func (b *batch) send(end int) {
	for b.sent < end {
		first := b.sent
		pa := b.trains[first].path
		n := 1
		for first+n < end && sameSocket(b.trains[first+n].path, pa) {
			n++
		}
		b.sent = first + n // also when it fails: a message is never sent twice
		b.sendRun(b.sinks(pa), first, n)
	}
}

func sameSocket(a, b *path) bool { return a.socket == b.socket && a.raw == b.raw }

func (b *batch) sendRun(s messageSink, first, n int) {
	for i := first; i < first+n; i++ {
		b.build(i)
	}
	for n > 0 {
		sent, err := s.send(b.call, b.msgs[first:first+n])
		if sent > 0 {
			b.lane.counters.MessagesSent.Add(uint64(sent))
			first, n = first+sent, n-sent
			continue
		}
		if err == nil || b.plane.closed.Load() {
			return
		}
		b.refused(s, first, err)
		first, n = first+1, n-1
	}
}

// build writes the kernel's form of message i.
func (b *batch) build(i int) {
	t := &b.trains[i]
	ctl := &b.control[i]
	n := copy(ctl[:], t.path.source[:t.path.srcLen])
	if t.count > 1 {
		c := ctl[n:]
		n += putControl(c, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
		*(*uint16)(unsafe.Pointer(&c[unix.SizeofCmsghdr])) = uint16(t.size)
	}
	if t.ecn != 0 {
		n += putECN(ctl[n:], t.path.remote.Addr().Is6(), t.ecn)
	}
	b.iov[i].Base = &b.arena[t.start]
	b.iov[i].SetLen(t.bytes)
	h := &b.msgs[i].hdr
	h.Name, h.Namelen = &t.path.name[0], t.path.nameLen
	h.Iov = &b.iov[i]
	h.SetIovlen(1)
	h.Control = nil
	if n > 0 {
		h.Control = &ctl[0]
	}
	h.SetControllen(n)
}

// gsoRefusals is how many trains the kernel may refuse before trains are given
// up: one path with a small MTU must not slow every other.
const gsoRefusals = 8

// refused deals with a message that the kernel did not take. A train is sent
// again one packet at a time, and only when that works was it the train's
// fault: EIO means an interface without checksum offload, EINVAL and EMSGSIZE
// mostly a path narrower than we believed. A source address that went away is
// EINVAL too, and must not cost everybody the offload.
func (b *batch) refused(s messageSink, i int, err error) {
	t := &b.trains[i]
	c := &b.lane.counters
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.EINVAL) {
		b.plane.remeasure(t.sa)
	}
	if t.count == 1 || !b.sendSingly(s, i) {
		c.SendErrors.Add(uint64(t.count))
		return
	}
	c.SegmentRefused.Add(1)
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) && b.plane.gsoRefused.Add(1) >= gsoRefusals {
		b.plane.udpSegment.Store(false)
	}
}

// sendSingly sends the packets of a train one by one and ends at the first that
// is refused. It tells whether all have left.
func (b *batch) sendSingly(s messageSink, i int) bool {
	t := &b.trains[i]
	whole := *t
	defer func() { *t = whole }()
	for off := 0; off < whole.bytes; off += whole.size {
		t.start, t.bytes, t.count = whole.start+off, min(whole.size, whole.bytes-off), 1
		b.build(i)
		if n, err := s.send(b.call, b.msgs[i:i+1]); n == 0 && err != nil {
			return false
		}
	}
	return true
}

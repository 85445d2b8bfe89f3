package userspace

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/dataplane"
)

// frameMax is the largest frame from the TUN device: vnet header and 64 KiB.
const frameMax = vnetSize + 65536

// sender is the outbound half of a lane: one TUN queue in, UDP out.
type sender struct {
	plane  *Plane
	lane   *lane
	device *device
	buf    []byte // frameHeadroom, then frame
	frame  []byte
	batch  *batch
	seg    segmenter
	in     inner
	at     time.Duration // of the plane's clock, once for each round
	now    int64         // the same in seconds
	big    tooBig
}

func newSender(p *Plane, l *lane, d *device, w frameSink) *sender {
	buf := make([]byte, frameHeadroom+frameMax+frameTailroom)
	return &sender{
		plane: p, lane: l, device: d,
		buf: buf, frame: buf[frameHeadroom:],
		batch: newBatch(p, l),
		big:   newTooBig(w),
	}
}

// run reads until the plane is closed. Whatever happens in a round, a panic
// included, the next round begins afresh.
func (s *sender) run() {
	var pause backoff
	for !s.plane.closed.Load() {
		err := s.round()
		if err != nil && !s.plane.closed.Load() {
			s.lane.counters.TUNErrors.Add(1)
			s.plane.trouble(&pause, "read from "+s.device.name, err)
			continue
		}
		pause.reset()
	}
}

// round waits for a frame, then takes frames as long as there are any.
func (s *sender) round() (err error) {
	defer s.plane.contain("outbound", s.lane, s.batch.reset)
	n, err := s.device.queues[s.lane.index].read(s.frame[:frameMax], true)
	if err != nil {
		return err
	}
	s.at = s.plane.elapsed()
	s.now = seconds(s.at)
	for range roundMax {
		s.handle(n)
		s.batch.sendFull()
		n, err = s.device.queues[s.lane.index].read(s.frame[:frameMax], false)
		if err != nil {
			break
		}
	}
	if err == nil {
		s.handle(n) // the round is long enough; this one was read already
	}
	s.batch.flush()
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return err
}

// roundMax bounds a round, so that the clock is read now and then and nothing
// waits in the batch for ever.
const roundMax = 256

// handle takes one frame: parse, find the SA, cut, seal.
func (s *sender) handle(n int) {
	c := &s.lane.counters
	c.FramesRead.Add(1)
	if n < vnetSize {
		c.FrameMalformed.Add(1)
		return
	}
	var h vnetHeader
	h.parse(s.frame)
	pkt := s.frame[vnetSize:n]
	if !s.in.parse(pkt) {
		c.FrameMalformed.Add(1)
		return
	}
	pkt = pkt[:s.in.length]
	sa, g, known := s.device.routes.lookup(&s.in)
	if sa == nil {
		if known {
			c.OutboundSelector.Add(1)
		} else {
			c.NoRoute.Add(1)
		}
		return
	}
	const at = frameHeadroom + vnetSize
	if !s.seg.start(&h, s.buf[:at+len(pkt)], at, &s.in) {
		c.FrameMalformed.Add(1)
		return
	}
	s.seal(sa, g, pkt)
}

// seal sends the packets of the prepared frame through sa, as g has them. The
// checksum of a SYN is finished by now: the kernel never hands one over as part
// of a longer frame.
func (s *sender) seal(sa *childSA, g *cargo, pkt []byte) {
	if !sa.usable(s.now) {
		s.lane.counters.Expired.Add(1)
		s.plane.hardLimit(sa)
		return
	}
	pa := sa.path.Load()
	limit := g.limit(pa, s.in.v6)
	if s.in.dontFrag && s.seg.largest > limit {
		s.lane.counters.TooBig.Add(1)
		s.big.report(pkt, &s.in, limit, s.now)
		return
	}
	if !s.seg.gso && isSYN(pkt, &s.in) && clampMSS(pkt, &s.in, limit) {
		s.lane.counters.MSSClamped.Add(1)
	}
	n := s.seg.count
	if g.rate != nil {
		if n = s.admit(sa, g.rate); n == 0 {
			return
		}
	}
	first, ask, ok := sa.reserve(uint64(n))
	if !ok {
		s.lane.counters.Expired.Add(1)
		s.plane.hardLimit(sa)
		return
	}
	bytes := s.sealAll(sa, g, pa, first, n)
	soft, hard := sa.spent(sa.out.packets.Add(uint64(n)), sa.out.bytes.Add(uint64(bytes)))
	s.plane.limits(sa, soft || ask, hard)
}

// sealAll puts the first n packets of the prepared frame into the batch, under
// the sequence numbers from first on, and returns their octets.
func (s *sender) sealAll(sa *childSA, g *cargo, pa *path, first uint64, n int) (bytes int) {
	sealer := sa.lane(s.lane.index)
	room := sealer.Size(g.size + s.seg.largest)
	next, ecn, ns := g.next(&s.in), g.ecn(&s.in), g.number(n)
	for seq := first; seq < first+uint64(n); seq++ {
		p := s.seg.packet(g.size)
		bytes += len(p) - g.size
		if g.size > 0 {
			g.put(p, s.in.v6, ns)
			pa.finishUDP(p)
			ns++
		}
		s.batch.reserve(1, room)
		s.batch.seal(sa, pa, sealer, seq, next, ecn, p)
	}
	return bytes
}

// admit is how many packets of the prepared frame are within the session's
// rate: all, or the first ones. Of 64 KiB from TCP only the tail is lost then:
// what arrives is acknowledged, and tells the sender what to send again.
func (s *sender) admit(sa *childSA, rate *dataplane.Rate) (n int) {
	if rate.TakeOut(s.at, s.seg.octets()) {
		return s.seg.count
	}
	for n < s.seg.count-1 && rate.TakeOut(s.at, s.seg.largest) {
		n++
	}
	dropped := uint64(s.seg.count - n)
	sa.out.overRate.Add(dropped)
	s.lane.counters.OverRate.Add(dropped)
	return n
}

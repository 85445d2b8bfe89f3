package userspace

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// frameMax is the largest frame from the TUN device: vnet header and 64 KiB.
const frameMax = vnetSize + 65536

// sender is the outbound half of a lane: one TUN queue in, UDP out.
type sender struct {
	plane *Plane
	lane  *lane
	frame []byte
	batch *batch
	seg   segmenter
	in    inner
	at    time.Duration // of the plane's clock, once for each round
	now   int64         // the same in seconds
	big   tooBig
}

func newSender(p *Plane, l *lane, w frameSink) *sender {
	return &sender{
		plane: p, lane: l,
		frame: make([]byte, frameMax+frameTailroom),
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
			s.plane.trouble(&pause, "read from "+s.plane.name, err)
			continue
		}
		pause.reset()
	}
}

// round waits for a frame, then takes frames as long as there are any.
func (s *sender) round() (err error) {
	defer s.plane.contain("outbound", s.lane, s.batch.reset)
	n, err := s.lane.queue.read(s.frame[:frameMax], true)
	if err != nil {
		return err
	}
	s.at = s.plane.elapsed()
	s.now = seconds(s.at)
	for range roundMax {
		s.handle(n)
		s.batch.sendFull()
		n, err = s.lane.queue.read(s.frame[:frameMax], false)
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
	pkt := s.frame[vnetSize:n:len(s.frame)]
	if !s.in.parse(pkt) {
		c.FrameMalformed.Add(1)
		return
	}
	pkt = pkt[:s.in.length]
	sa, known := s.plane.routes.lookup(&s.in)
	if sa == nil {
		if known {
			c.OutboundSelector.Add(1)
		} else {
			c.NoRoute.Add(1)
		}
		return
	}
	if !s.seg.start(&h, pkt, &s.in) {
		c.FrameMalformed.Add(1)
		return
	}
	s.seal(sa, pkt)
}

// seal sends the packets of the prepared frame through sa.
func (s *sender) seal(sa *childSA, pkt []byte) {
	if !sa.usable(s.now) {
		s.lane.counters.Expired.Add(1)
		s.plane.hardLimit(sa)
		return
	}
	pa := sa.path.Load()
	if s.in.dontFrag && s.seg.largest > s.in.limit(pa.innerMTU) {
		s.lane.counters.TooBig.Add(1)
		s.big.report(pkt, &s.in, pa.innerMTU, s.now)
		return
	}
	n := s.seg.count
	if sa.rate != nil {
		if n = s.admit(sa); n == 0 {
			return
		}
	}
	sealer := sa.lane(s.lane.index)
	room := sealer.Size(s.seg.largest)
	first, ask, ok := sa.reserve(uint64(n))
	if !ok {
		s.lane.counters.Expired.Add(1)
		s.plane.hardLimit(sa)
		return
	}
	bytes := 0
	for seq := first; seq < first+uint64(n); seq++ {
		p := s.seg.packet()
		bytes += len(p)
		s.batch.reserve(1, room)
		s.batch.seal(sa, pa, sealer, seq, &s.in, p)
	}
	packets := sa.out.packets.Add(uint64(n))
	total := sa.out.bytes.Add(uint64(bytes))
	soft, hard := sa.spent(packets, total)
	s.plane.limits(sa, soft || ask, hard)
}

// admit is how many packets of the prepared frame are within the session's
// rate: all, or the first ones. Of 64 KiB from TCP only the tail is lost then:
// what arrives is acknowledged, and tells the sender what to send again.
func (s *sender) admit(sa *childSA) (n int) {
	if sa.rate.TakeOut(s.at, s.seg.octets()) {
		return s.seg.count
	}
	for n < s.seg.count-1 && sa.rate.TakeOut(s.at, s.seg.largest) {
		n++
	}
	dropped := uint64(s.seg.count - n)
	sa.out.overRate.Add(dropped)
	s.lane.counters.OverRate.Add(dropped)
	return n
}

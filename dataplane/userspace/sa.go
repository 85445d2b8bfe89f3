package userspace

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/dataplane"
	"sallyport/internal/secret"
	"sallyport/protocol/esp"
	"sallyport/protocol/suite"
)

// childSA is one installed Child SA. Its keys and limits never change; what
// changes is atomic or, for the inbound half, under in.mu.
type childSA struct {
	spiIn, spiOut uint32
	device        *device
	raw           bool
	transport     bool         // UDP port 1701 alone; else tunnel mode
	keyIn, keyOut secret.Bytes // kept only to be cleared
	limits        dataplane.Limits
	expires       int64  // seconds of the plane's clock
	lastSeq       uint64 // the last number that may be used outbound
	softSeq       uint64 // asks for a rekey well before lastSeq
	used          uint64 // when it was last put in use outbound, 0 for never; under Plane.mu

	cargo    atomic.Pointer[cargo] // nil: transport mode without a call
	path     atomic.Pointer[path]
	measured atomic.Int64 // second in which the path was last looked at again
	stopped  atomic.Bool  // hard limit, expiry or removal: nothing is sealed or opened
	softSent atomic.Bool
	hardSent atomic.Bool

	in  inboundHalf
	out outboundHalf
}

// inboundHalf is hit by one worker at a time: the kernel's SO_REUSEPORT hash
// sends one peer's 4-tuple to one socket. When the peer moves, two workers can
// meet here for a moment, so a mutex is held for each run of packets of the
// same SA in a batch (up to 64 packets): it keeps window, cipher scratch space
// and counters together for about 20 ns a run.
type inboundHalf struct {
	mu        sync.Mutex
	esp       *esp.Inbound
	packets   uint64
	bytes     uint64
	last      int64 // second of the last authenticated packet, 0 for none
	replay    uint64
	auth      uint64
	selector  uint64
	overRate  uint64
	innerFull time.Duration  // when messages may be handed up in a burst again
	moved     netip.AddrPort // the last address reported as PeerMoved
	movedTime int64
}

// outboundHalf is used by every worker: one sequence, a sealer for each.
type outboundHalf struct {
	seq      atomic.Uint64 // the last number given out
	packets  atomic.Uint64
	bytes    atomic.Uint64
	selector atomic.Uint64
	overRate atomic.Uint64
	ns       atomic.Uint32   // that a data message would have before there is a call
	lanes    []*esp.Outbound // by worker of the device; made by that worker on first use
	base     *esp.Outbound   // only ever cloned
}

// softSeqShare: a rekey is asked for when 1/8 of the sequence numbers is left,
// as a backstop for configurations without a packet limit.
const softSeqShare = 8

func newChildSA(sa *dataplane.ChildSA, d *device, expires int64) (*childSA, error) {
	in, err := newCipher(sa.Suite, sa.KeyIn)
	if err != nil {
		return nil, fmt.Errorf("inbound: %w", err)
	}
	out, err := newCipher(sa.Suite, sa.KeyOut)
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	window := sa.Replay
	if window == 0 {
		window = dataplane.DefaultWindow
	}
	s := &childSA{
		spiIn: sa.SPIIn, spiOut: sa.SPIOut, device: d, raw: sa.Encap == dataplane.Raw,
		transport: sa.Transport, keyIn: sa.KeyIn, keyOut: sa.KeyOut, limits: sa.Limits,
		lastSeq: math.MaxUint32, expires: expires,
	}
	if !sa.Transport {
		s.cargo.Store(bareCargo(sa.TSLocal, sa.TSRemote, sa.Rate))
	}
	if sa.Suite.ESN {
		s.lastSeq = math.MaxUint64 - 1
	}
	s.softSeq = s.lastSeq - s.lastSeq/softSeqShare
	s.in.esp = esp.NewInbound(sa.SPIIn, sa.Suite.ESN, in, uint32(window))
	s.out.base = esp.NewOutbound(sa.SPIOut, sa.Suite.ESN, out)
	s.out.lanes = make([]*esp.Outbound, len(d.queues))
	return s, nil
}

func newCipher(e suite.ESP, key []byte) (suite.Cipher, error) {
	encKey, integKey := e.KeySizes()
	if encKey == 0 || len(key) != encKey+integKey {
		return nil, fmt.Errorf("key material of %d octets, the suite needs %d", len(key), encKey+integKey)
	}
	return e.NewCipher(key[:encKey], key[encKey:])
}

// lane is the sealer of one worker.
func (s *childSA) lane(worker int) *esp.Outbound {
	l := s.out.lanes[worker]
	if l == nil {
		l = s.out.base.Clone()
		s.out.lanes[worker] = l
	}
	return l
}

// reserve takes n sequence numbers. It is false when they are spent: a number
// that repeats would repeat a nonce (RFC 4303, Section 3.3.3; RFC 4106, Section
// 2), so the SA ends instead. ask is true when it is time for a rekey.
func (s *childSA) reserve(n uint64) (first uint64, ask, ok bool) {
	last := s.out.seq.Add(n)
	if last > s.lastSeq || last < n {
		s.out.seq.Store(s.lastSeq) // stay at the end; stopped keeps later callers out
		return 0, false, false
	}
	return last - n + 1, last >= s.softSeq, true
}

// usable tells whether the SA may still be used at that time.
func (s *childSA) usable(now int64) bool { return !s.stopped.Load() && now < s.expires }

// spent compares one direction's totals with the limits.
func (s *childSA) spent(packets, bytes uint64) (soft, hard bool) {
	l := &s.limits
	hard = reached(packets, l.HardPackets) || reached(bytes, l.HardBytes)
	soft = hard || reached(packets, l.SoftPackets) || reached(bytes, l.SoftBytes)
	return soft, hard
}

func reached(n, limit uint64) bool { return limit != 0 && n >= limit }

// stats reads the counters; start is the zero of the plane's clock.
func (s *childSA) stats(start time.Time) dataplane.Stats {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	st := dataplane.Stats{
		PacketsIn: s.in.packets, BytesIn: s.in.bytes,
		PacketsOut: s.out.packets.Load(), BytesOut: s.out.bytes.Load(),
		ReplayDrops: s.in.replay, AuthDrops: s.in.auth,
		SelectorDrops: s.in.selector + s.out.selector.Load(),
		RateDrops:     s.in.overRate + s.out.overRate.Load(),
	}
	if s.in.last != 0 {
		st.LastInbound = start.Add(time.Duration(s.in.last) * time.Second)
	}
	return st
}

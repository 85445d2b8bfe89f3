package esp

// MaxWindow bounds the window: 64 Ki packets are 8 KiB of bitmap per SA, and
// Extend needs it to be far below 2^31.
const MaxWindow = 1 << 16

// Window is the anti-replay window of one inbound SA (RFC 4303, Section 3.4.3),
// kept as a ring of 64-bit blocks so that moving it clears whole words and
// never shifts (RFC 6479). It holds at least the size asked for. It is not safe
// for concurrent use.
type Window struct {
	top    uint64   // highest number accepted
	size   uint64   // numbers in (top-size, top] are judged one by one
	blocks []uint64 // one more than size needs (RFC 6479, Section 2)
}

// NewWindow makes a window of size packets, rounded up to whole blocks, at
// least 64 and at most MaxWindow. The ring is not a power of two: that would
// double the memory of the usual window to save a division.
func NewWindow(size uint32) *Window {
	n := (uint64(min(max(size, 64), MaxWindow)) + 63) / 64
	return &Window{size: n * 64, blocks: make([]uint64, n+1)}
}

// Top is the highest sequence number accepted so far.
func (w *Window) Top() uint64 { return w.top }

// Extend infers the 64-bit number of a packet that carries its low half: the
// one nearest the window (RFC 4303, Appendix A2.1). It is false for a number
// that would lie before the first one.
func (w *Window) Extend(low uint32) (uint64, bool) {
	topHigh, topLow := w.top>>32, uint32(w.top)
	bottom := topLow - uint32(w.size) + 1 // modulo 2^32
	if uint64(topLow) >= w.size-1 {       // Case A: the window lies in one subspace
		if low >= bottom {
			return topHigh<<32 | uint64(low), true
		}
		return (topHigh+1)<<32 | uint64(low), topHigh != 1<<32-1
	}
	if low >= bottom { // Case B: the window reaches back into the subspace before
		return (topHigh-1)<<32 | uint64(low), topHigh != 0
	}
	return topHigh<<32 | uint64(low), true
}

// Fresh tells whether seq may be accepted: not zero (RFC 4303, Section 3.3.3:
// the first packet sent is 1), not left of the window, not seen.
func (w *Window) Fresh(seq uint64) bool {
	switch {
	case seq == 0:
		return false
	case seq > w.top:
		return true
	case w.top-seq >= w.size:
		return false
	}
	return w.blocks[w.block(seq)]&(1<<(seq%64)) == 0
}

// Accept marks a Fresh number as seen and tells whether it moved the window to
// the right.
func (w *Window) Accept(seq uint64) (newest bool) {
	if seq > w.top {
		w.advance(seq)
		newest = true
	}
	w.blocks[w.block(seq)] |= 1 << (seq % 64)
	return newest
}

// advance clears the blocks that the window enters.
func (w *Window) advance(seq uint64) {
	steps := min(seq/64-w.top/64, uint64(len(w.blocks)))
	for b := range steps {
		w.blocks[(seq/64-b)%uint64(len(w.blocks))] = 0
	}
	w.top = seq
}

func (w *Window) block(seq uint64) uint64 { return seq / 64 % uint64(len(w.blocks)) }

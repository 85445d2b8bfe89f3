package esp

import (
	"math/rand/v2"
	"testing"
)

// setModel is the window as RFC 4303, Section 3.4.3 words it: every number ever
// accepted, and the highest.
type setModel struct {
	seen map[uint64]bool
	top  uint64
	size uint64
}

func (m *setModel) fresh(seq uint64) bool {
	return seq != 0 && !m.seen[seq] && (seq > m.top || m.top-seq < m.size)
}

func (m *setModel) accept(seq uint64) bool {
	newest := seq > m.top
	m.seen[seq] = true
	m.top = max(m.top, seq)
	return newest
}

func TestWindowAgreesWithASetOfNumbers(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 6479))
		size := []uint32{64, 128, 1024, 4096}[seed%4]
		w := NewWindow(size)
		m := &setModel{seen: map[uint64]bool{}, size: uint64(size)}
		for i := range 20000 {
			seq := nextNumber(r, m.top, uint64(size))
			if got, want := w.Fresh(seq), m.fresh(seq); got != want {
				t.Fatalf("seed %d step %d: number %d with top %d and size %d: fresh %v, want %v", seed, i, seq, m.top, size, got, want)
			}
			if m.fresh(seq) {
				if got, want := w.Accept(seq), m.accept(seq); got != want {
					t.Fatalf("seed %d step %d: number %d newest %v, want %v", seed, i, seq, got, want)
				}
			}
			if w.Top() != m.top {
				t.Fatalf("seed %d: top %d, want %d", seed, w.Top(), m.top)
			}
		}
	}
}

// nextNumber draws mostly near the window, with steps over its edges, jumps
// over whole windows, and now and then anything.
func nextNumber(r *rand.Rand, top, size uint64) uint64 {
	switch r.IntN(20) {
	case 0:
		return top + 1 + r.Uint64N(4*size)
	case 1:
		return top - min(top, r.Uint64N(3*size))
	case 2:
		return r.Uint64N(2*top + 2)
	case 3:
		return top - min(top, size-1+r.Uint64N(3)) // the left edge
	case 4:
		return 0
	default:
		return top + 3 - min(top+3, r.Uint64N(size/2))
	}
}

func TestExtendFindsTheNumberThatWasSent(t *testing.T) {
	// RFC 4303, Appendix A: whatever the receiver's top, a number less than a
	// window behind it or less than 2^32 - window ahead is inferred exactly.
	r := rand.New(rand.NewPCG(4303, 0))
	for range 200000 {
		size := uint64([]uint32{64, 1024, 4096, MaxWindow}[r.IntN(4)])
		w := NewWindow(uint32(size))
		switch r.IntN(3) {
		case 0:
			w.top = r.Uint64N(1 << 33)
		case 1:
			w.top = (1+r.Uint64N(5))<<32 + r.Uint64N(2*size) - size // around the wrap
		case 2:
			w.top = r.Uint64N(1 << 62)
		}
		var sent uint64
		if r.IntN(2) == 0 {
			sent = w.top - min(w.top, r.Uint64N(size))
		} else {
			sent = w.top + 1 + r.Uint64N(1<<32-size-1)
		}
		got, ok := w.Extend(uint32(sent))
		if !ok || got != sent {
			t.Fatalf("top %#x, size %d: sent %#x, inferred %#x (%v)", w.top, size, sent, got, ok)
		}
	}
}

func TestExtendRefusesNumbersBeforeTheFirst(t *testing.T) {
	w := NewWindow(64)
	w.Accept(10)
	if got, ok := w.Extend(0xFFFFFFF0); ok {
		t.Errorf("a number before the first was extended to %#x", got)
	}
}

func TestWindowSizeIsBounded(t *testing.T) {
	for size, want := range map[uint32]uint64{0: 64, 1: 64, 65: 128, 4096: 4096, 1 << 31: MaxWindow} {
		if w := NewWindow(size); w.size != want {
			t.Errorf("window of %d holds %d, want %d", size, w.size, want)
		}
	}
}

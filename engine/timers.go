package engine

import "time"

// timers is a binary heap of peers by their next deadline: one entry per
// session, whatever the session waits for. The index in each peer makes a
// change of deadline a sift, not a search.
type timers struct{ heap []*Session }

// instant is a deadline in nanoseconds since the engine started; never is the
// deadline of a session that waits for nothing. Eight octets instead of the 24
// of a time.Time, and monotonic.
type instant int64

const never instant = 1<<63 - 1

// notInHeap is the index of a peer without deadline.
const notInHeap = -1

// set gives p a new deadline.
func (t *timers) set(p *Session, at instant) {
	switch {
	case at == never:
		t.remove(p)
	case p.index == notInHeap:
		p.deadline, p.index = at, int32(len(t.heap))
		t.heap = append(t.heap, p)
		t.up(int(p.index))
	case at != p.deadline:
		p.deadline = at
		t.up(int(p.index))
		t.down(int(p.index))
	}
}

// remove takes p out, if it is in.
func (t *timers) remove(p *Session) {
	if p.index == notInHeap {
		return
	}
	i, last := int(p.index), len(t.heap)-1
	t.swap(i, last)
	t.heap[last] = nil
	t.heap = t.heap[:last]
	p.index = notInHeap
	if i < last {
		t.up(i)
		t.down(i)
	}
}

// next returns the earliest deadline.
func (t *timers) next() (*Session, bool) {
	if len(t.heap) == 0 {
		return nil, false
	}
	return t.heap[0], true
}

func (t *timers) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].index, t.heap[j].index = int32(i), int32(j)
}

func (t *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t.heap[parent].deadline <= t.heap[i].deadline {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t *timers) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(t.heap) && t.heap[child].deadline < t.heap[least].deadline {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}

// since converts a wall or monotonic time to an instant; the zero time is never.
func since(start, t time.Time) instant {
	if t.IsZero() {
		return never
	}
	return instant(t.Sub(start))
}

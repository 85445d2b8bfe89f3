package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTimersFireInOrder holds the heap against a sorted list, through many
// changes and removals.
func TestTimersFireInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var h timers
	sessions := make([]*Session, 500)
	want := make(map[*Session]instant)
	for i := range sessions {
		sessions[i] = &Session{index: notInHeap}
	}
	for range 20_000 {
		s := sessions[rng.IntN(len(sessions))]
		switch rng.IntN(4) {
		case 0:
			h.set(s, never)
			delete(want, s)
		default:
			at := instant(rng.IntN(1000))
			h.set(s, at)
			want[s] = at
		}
	}
	var expected, got []instant
	for _, at := range want {
		expected = append(expected, at)
	}
	slices.Sort(expected)
	for {
		s, ok := h.next()
		if !ok {
			break
		}
		if s.deadline != want[s] {
			t.Fatalf("a session fires at %d, was set to %d", s.deadline, want[s])
		}
		got = append(got, s.deadline)
		h.remove(s)
	}
	if !slices.Equal(got, expected) {
		t.Errorf("%d timers fired out of order or not at all, want %d in order", len(got), len(expected))
	}
}

// TestMailboxBoundsEachClass: a flood of one class leaves room for the others.
func TestMailboxBoundsEachClass(t *testing.T) {
	m := newMailbox()
	for c := range classOwed {
		taken := 0
		for range capacity[c] + 100 {
			if m.put(item{class: c}) {
				taken++
			}
		}
		if taken != capacity[c] {
			t.Errorf("class %d took %d items, want %d", c, taken, capacity[c])
		}
	}
	if !m.put(item{class: classOwed}) {
		t.Error("a job's result was dropped")
	}
	if n := len(m.take(nil)); n != capacity[classInitial]+capacity[classPacket]+capacity[classInner]+capacity[classMoved]+1 {
		t.Errorf("%d items came out", n)
	}
	if !m.put(item{class: classInitial}) {
		t.Error("an emptied mailbox takes nothing")
	}
	m.close()
	if m.put(item{class: classOwed}) {
		t.Error("a closed mailbox took an item")
	}
}

func TestJobsOfEstablishedSessionsGoFirst(t *testing.T) {
	var order []uint64
	release, done := make(chan struct{}), make(chan struct{})
	const first, newcomer, rekey = 1, 2, 3
	w := newWorkers(1, func(w work) {
		if w.id == first {
			<-release
		} else {
			order = append(order, w.id)
		}
		done <- struct{}{}
	})
	w.submit(work{id: first}, true)
	w.submit(work{id: newcomer}, false)
	w.submit(work{id: rekey}, true)
	close(release)
	for range 3 {
		<-done
	}
	w.close()
	if !slices.Equal(order, []uint64{rekey, newcomer}) {
		t.Errorf("order %v", order)
	}
}

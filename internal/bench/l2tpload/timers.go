package l2tpload

import (
	"container/heap"
	"time"
)

// timers is a heap of clients by their next deadline.
type timers []*member

// notInHeap is the index of a client that waits for nothing.
const notInHeap = -1

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push is for package heap.
func (t *timers) Push(x any) {
	m := x.(*member)
	m.index = len(*t)
	*t = append(*t, m)
}

// Pop is for package heap.
func (t *timers) Pop() any {
	old := *t
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	m.index = notInHeap
	return m
}

// set gives a client a deadline; zero: none.
func (t *timers) set(m *member, due time.Time) {
	switch {
	case due.IsZero() && m.index == notInHeap:
	case due.IsZero():
		heap.Remove(t, m.index)
	case m.index == notInHeap:
		m.due = due
		heap.Push(t, m)
	case !m.due.Equal(due):
		m.due = due
		heap.Fix(t, m.index)
	}
}

// expire runs what is due, each client once.
func (c *Crowd) expire(now time.Time) {
	var all []*member
	for len(c.timers) > 0 && !c.timers[0].due.After(now) {
		all = append(all, heap.Pop(&c.timers).(*member))
	}
	for _, m := range all {
		m.timeout(now)
	}
	if c.echo != nil {
		c.echo.timeout(now)
	}
}

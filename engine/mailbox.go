package engine

import "sync"

// class is the kind of a mailbox item. Each class has its own bound, so that a
// flood of one never displaces another.
type class uint8

const (
	classInitial class = iota // IKE_SA_INIT requests that passed the front
	classPacket               // datagrams for an SPI of ours
	classInner                // L2TP messages of the legacy zone
	classMoved                // the plane saw a peer at a new address
	classOwed                 // job results, commands, plane events: bounded by what they belong to
	classes
)

// capacity bounds each class per shard. Full means drop and count: a peer
// retransmits, and the plane reports a moved peer again with its next packet.
var capacity = [classes]int{
	classInitial: 256,  // half a second of set-ups at the rate one core sustains
	classPacket:  4096, // 4 MB at 1 KB each: one message for each of 4096 sessions
	classInner:   4096, // likewise; the plane bounds what one Child SA may bring
	classMoved:   1024, // a router reboot moves all its clients at once
	classOwed:    1 << 30,
}

// item is one thing for a shard to do.
type item struct {
	class   class
	session *Session // nil: found by an SPI in what
	what    any
}

// mailbox is the bounded inbox of a shard: many writers, one reader that takes
// everything at once, so that the lock is held once per batch.
type mailbox struct {
	mu     sync.Mutex
	items  []item
	queued [classes]int
	closed bool
	wake   chan struct{} // capacity 1: "look again"
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// put adds an item; false means its class is full or the shard has stopped.
func (m *mailbox) put(it item) bool {
	m.mu.Lock()
	if m.closed || m.queued[it.class] >= capacity[it.class] {
		m.mu.Unlock()
		return false
	}
	m.queued[it.class]++
	m.items = append(m.items, it)
	first := len(m.items) == 1
	m.mu.Unlock()
	if first {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take returns all items and leaves spare as the next buffer.
func (m *mailbox) take(spare []item) []item {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = spare[:0]
	m.queued = [classes]int{}
	return items
}

// close refuses every later item and returns those left.
func (m *mailbox) close() []item {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	items := m.items
	m.items = nil
	return items
}

package engine

import (
	"runtime"
	"sync"

	"sallyport/protocol/ike"
)

// work is one job of one session, to be run outside the shard.
type work struct {
	session *Session
	id      uint64
	task    ike.Task
}

// workers is the job pool. Its queues need no bound of their own: a session
// has few jobs at a time, half-open sessions are bounded, and the front stops
// letting new ones in while the queue of newcomers is long.
type workers struct {
	mu       sync.Mutex
	ready    sync.Cond
	known    []work // rekeys and the like of established sessions go first
	new      []work
	closed   bool
	finished sync.WaitGroup
	do       func(work) // runs one job and delivers its result
}

// maxQueuedNewcomers is how many jobs of half-open sessions may wait before
// the front drops first requests: at 1 ms each on one worker, the last of them
// is served before its peer retransmits for the second time.
const maxQueuedNewcomers = 1024

// processors leaves one processor to packets and shards where there is a choice.
func processors() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// newWorkers starts n workers that call do for each job.
func newWorkers(n int, do func(work)) *workers {
	w := &workers{do: do}
	w.ready.L = &w.mu
	for range n {
		w.finished.Go(w.loop)
	}
	return w
}

// submit queues a job; established sessions overtake newcomers.
func (w *workers) submit(j work, established bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if established {
		w.known = append(w.known, j)
	} else {
		w.new = append(w.new, j)
	}
	w.ready.Signal()
}

func (w *workers) loop() {
	for {
		j, ok := w.next()
		if !ok {
			return
		}
		w.do(j)
	}
}

func (w *workers) next() (work, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for _, q := range [2]*[]work{&w.known, &w.new} {
			if len(*q) > 0 && !w.closed {
				j := (*q)[0]
				(*q)[0] = work{}
				*q = (*q)[1:]
				return j, true
			}
		}
		if w.closed {
			return work{}, false
		}
		w.ready.Wait()
	}
}

// busy reports whether newcomers wait too long already.
func (w *workers) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.new) >= maxQueuedNewcomers
}

// close drops what waits and returns when every worker has finished.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.known, w.new = nil, nil
	w.ready.Broadcast()
	w.mu.Unlock()
	w.finished.Wait()
}

package storetest

import (
	"sync"
	"time"
)

// Clock is a clock that stands until it is moved, for engines that take one.
// The zero value stands at some moment.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	alarms map[chan time.Time]time.Time
}

// Now is the moment the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// At returns a channel that receives when the clock reaches t.
func (c *Clock) At(t time.Time) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	alarm := make(chan time.Time, 1)
	if c.alarms == nil {
		c.alarms = make(map[chan time.Time]time.Time)
	}
	c.alarms[alarm] = t
	c.ring()
	return alarm
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.ring()
}

func (c *Clock) ring() {
	for alarm, t := range c.alarms {
		if !c.now.Before(t) {
			alarm <- c.now
			delete(c.alarms, alarm)
		}
	}
}

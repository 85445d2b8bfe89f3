package cli

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// progress speaks of work that takes long, by the clock: also while one step of
// it takes minutes.
type progress struct {
	doing atomic.Value // string
	stop  func()
}

// progress begins to speak after a while, until its end. Nobody else may talk
// before that.
func (e *Env) progress() *progress {
	const pause = 2 * time.Second
	p := &progress{}
	quit, done := make(chan struct{}), make(chan struct{})
	p.stop = sync.OnceFunc(func() { close(quit); <-done })
	go func() {
		defer close(done)
		t := time.NewTicker(pause)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-t.C:
				if doing, ok := p.doing.Load().(string); ok {
					e.Say("%s", doing)
				}
			}
		}
	}()
	return p
}

// at says what is being done from now on.
func (p *progress) at(format string, args ...any) { p.doing.Store(fmt.Sprintf(format, args...)) }

// end is silence from now on.
func (p *progress) end() { p.stop() }

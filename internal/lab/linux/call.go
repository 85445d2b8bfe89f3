package linux

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// call and answer are the lines that go over the serial line, as JSON.
//
// The guest's terminal holds four kilobytes, and what comes when it is full
// makes it deaf for good. So there is never more than one call on its way, and
// a long argument goes by a file.
type call struct {
	ID    uint64
	Work  string          // the name given to Inside
	Arg   json.RawMessage // or, when it is long,
	File  string          // the file in mailbox that has it
	Bound time.Duration   // how long the work may take; 0: as long as it likes
}

type answer struct {
	ID     uint64
	Got    bool // not the answer yet: the call has left the line
	Result json.RawMessage
	Error  string
}

const (
	maxArg = 1000 // octets of an argument that still goes over the line

	// mailbox is a directory of the host, which the guest reads.
	mailbox      = "/run/uml-mail"
	guestMailbox = "/run/mail"
)

// Work is a function that runs inside of guests.
type Work[A, R any] struct{ name string }

// works are the functions by name. The program is the same on both sides, so
// both have the same.
var works = map[string]func(context.Context, json.RawMessage) (any, error){}

// Inside declares a function that can be run in a guest. It is called from the
// initialisation of a package's variables, so that the guest, which is another
// process of the same program, knows it too:
//
//	var hostname = linux.Inside("hostname", func(ctx context.Context, _ struct{}) (string, error) {
//		return os.Hostname()
//	})
//	...
//	name, err := hostname.On(ctx, pc, struct{}{})
//
// Argument and result travel as JSON. The function runs in a goroutine of the
// guest's first process; what it leaves running there goes on.
func Inside[A, R any](name string, f func(context.Context, A) (R, error)) Work[A, R] {
	if _, ok := works[name]; ok {
		panic(fmt.Sprintf("linux: two functions are called %q", name))
	}
	works[name] = func(ctx context.Context, text json.RawMessage) (any, error) {
		var arg A
		if err := json.Unmarshal(text, &arg); err != nil {
			return nil, err
		}
		return f(ctx, arg)
	}
	return Work[A, R]{name}
}

// On runs the function in a guest and waits for it. The result counts also
// beside an error.
func (w Work[A, R]) On(ctx context.Context, g *Guest, arg A) (result R, err error) {
	text, err := json.Marshal(arg)
	if err != nil {
		return result, err
	}
	c := call{Work: w.name, Arg: text}
	if end, ok := ctx.Deadline(); ok {
		c.Bound = max(time.Until(end), 1)
	}
	a, err := g.ask(ctx, c)
	if err != nil {
		return result, fmt.Errorf("linux: %s: %s: %w", g.Name, w.name, err)
	}
	if len(a.Result) > 0 {
		if err := json.Unmarshal(a.Result, &result); err != nil {
			return result, fmt.Errorf("linux: %s: %s: its result: %w", g.Name, w.name, err)
		}
	}
	if a.Error != "" {
		return result, fmt.Errorf("linux: %s: %s", g.Name, a.Error)
	}
	return result, nil
}

// answerGrace is how much longer than the work's own bound its answer may take.
const answerGrace = 2 * time.Second

func (g *Guest) ask(ctx context.Context, c call) (answer, error) {
	reply := make(chan answer, 1)
	if err := g.register(&c, reply); err != nil {
		return answer{}, err
	}
	defer g.forget(c.ID)
	if err := g.send(ctx, c); err != nil {
		return answer{}, err
	}
	select {
	case a, ok := <-reply:
		if ok {
			return a, nil
		}
		return answer{}, g.why()
	case <-ctx.Done():
	}
	select { // the guest knows more about what did not end in time
	case a, ok := <-reply:
		if ok {
			return a, nil
		}
	case <-time.After(answerGrace):
	}
	return answer{}, ctx.Err()
}

// register gives a call its number and a place to answer to.
func (g *Guest) register(c *call, reply chan answer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return g.broken
	}
	g.last++
	c.ID = g.last
	g.waiting[c.ID] = reply
	return nil
}

// send puts a call on the line when the one before has left it.
func (g *Guest) send(ctx context.Context, c call) error {
	if len(c.Arg) > maxArg {
		c.File = fmt.Sprint(c.ID)
		if err := g.host.WriteFile(filepath.Join(mailbox, g.Name, c.File), c.Arg, 0o600); err != nil {
			return err
		}
		c.Arg = nil
	}
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	select {
	case g.turn <- struct{}{}:
	case <-g.ended:
		return g.why()
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = g.line.Write(append(line, '\n'))
	return err
}

func (g *Guest) forget(id uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, id)
}

func (g *Guest) why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}

// listen hands the answers of the guest to whoever waits for them.
func (g *Guest) listen() {
	answers := json.NewDecoder(g.line)
	for {
		var a answer
		if err := answers.Decode(&a); err != nil {
			g.breaks(err)
			return
		}
		if a.ID == 0 {
			close(g.booted)
			continue
		}
		if a.Got {
			<-g.turn
			continue
		}
		g.mu.Lock()
		if reply, ok := g.waiting[a.ID]; ok {
			reply <- a
			delete(g.waiting, a.ID)
		}
		g.mu.Unlock()
	}
}

// breaks tells all who wait that there will be no answer.
func (g *Guest) breaks(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = fmt.Errorf("the guest answers no more: %w", err)
	close(g.ended)
	for id, reply := range g.waiting {
		close(reply)
		delete(g.waiting, id)
	}
}

// serve does the work that is asked for, in the guest, until the line ends.
func serve(line io.ReadWriter) error {
	var mu sync.Mutex
	calls := json.NewDecoder(bufio.NewReader(line))
	for {
		var c call
		if err := calls.Decode(&c); err != nil {
			return err
		}
		say := func(a answer) {
			text := must(json.Marshal(a))
			mu.Lock()
			defer mu.Unlock()
			line.Write(append(text, '\n'))
		}
		say(answer{ID: c.ID, Got: true})
		go func() { say(do(c)) }()
	}
}

// do does one piece of work.
func do(c call) answer {
	ctx, cancel := context.WithCancel(context.Background())
	if c.Bound > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.Bound)
	}
	defer cancel()
	a := answer{ID: c.ID}
	f, ok := works[c.Work]
	if !ok {
		a.Error = fmt.Sprintf("no function is called %q", c.Work)
		return a
	}
	if c.File != "" {
		var err error
		if c.Arg, err = os.ReadFile(filepath.Join(guestMailbox, c.File)); err != nil {
			a.Error = fmt.Sprintf("%s: its argument: %v", c.Work, err)
			return a
		}
	}
	result, err := f(ctx, c.Arg)
	a.Result = must(json.Marshal(result))
	if err != nil {
		a.Error = fmt.Sprintf("%s: %v", c.Work, err)
	}
	return a
}

// must is for what the program itself made: it always has a JSON form.
func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

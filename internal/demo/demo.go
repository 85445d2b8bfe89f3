// Package demo shows Sallyport at work on one machine: a gateway, a client
// behind a NAT router and a host inside, each in a network namespace, running
// this very program by the commands that an administrator would type.
//
// Everything lives in the namespaces and in memory, so that nothing is left
// behind, whatever ends the demo.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"sallyport/internal/lab"
)

// Options say what the demo does and where it talks.
type Options struct {
	Program string    // path of the sallyport program
	Client  string    // "sallyport" or "strongswan"
	Out     io.Writer // the story
}

// limit ends a demo that hangs; a good one takes a fraction of it.
const limit = 60 * time.Second

// The people and places of the story.
const (
	gatewayName = "vpn.example.org"
	user        = "alice"
	device      = "alice-laptop"
)

var (
	gatewayAddr = netip.MustParseAddr("198.51.100.10")
	inside4     = netip.MustParseAddr("10.9.0.10")
	inside6     = netip.MustParseAddr("fd00:9::10")
)

// Clients are the values of Options.Client.
var Clients = []string{"sallyport", "strongswan"}

// show is a running demo.
type show struct {
	Options
	ctx     context.Context
	lab     *lab.Lab
	gateway *lab.Host
	client  *lab.Host
	inside  *lab.Host
	tunnel  client
	step    int
	started time.Time
}

// Run plays the demo to its end. When ctx ends early, everything is removed
// all the same.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("demo: not finished after %v", limit))
	defer cancel()
	s := &show{Options: o, ctx: ctx, started: time.Now()}
	if s.lab, err = lab.Open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()

	s.prologue()
	for _, step := range []func() error{
		s.buildNetwork,
		s.setUpGateway,
		s.serve,
		s.enrol,
		s.connect,
		s.showSuites,
		s.ping,
		s.resolve,
		s.transfer,
		s.revoke,
		s.comeBack,
	} {
		if err := step(); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// explain prefers the cause of an interruption to what it broke.
func (s *show) explain(err error) error {
	if s.ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(s.ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errors.New("demo: interrupted")
}

func (s *show) prologue() {
	s.say(`A Sallyport gateway, a client behind a NAT router and a host inside, all on this
machine, in network namespaces of their own. Your own network is not touched.

  client -------- router -------- gateway -------- inside
  192.168.77.2    NAT             198.51.100.10    10.9.0.10
  fd00:77::2                      %-16s fd00:9::10, a name server`, gatewayName)
}

func (s *show) remove() error {
	started := time.Now()
	err := s.lab.Close()
	s.next("Removed everything: processes, interfaces, namespaces, keys (%v)", round(time.Since(started)))
	s.say("\nThe demo took %v.", round(time.Since(s.started)))
	return err
}

// next begins a step with its headline.
func (s *show) next(format string, args ...any) {
	s.step++
	fmt.Fprintf(s.Out, "\n%2d. %s\n", s.step, fmt.Sprintf(format, args...))
}

// say continues a step.
func (s *show) say(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }

// note is a detail of a step.
func (s *show) note(format string, args ...any) { fmt.Fprintf(s.Out, "    "+format+"\n", args...) }

func round(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d < 10*time.Second:
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

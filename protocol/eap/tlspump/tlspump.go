// Package tlspump drives crypto/tls one flight at a time, for protocols that
// carry TLS inside packets of their own, as EAP does.
//
// crypto/tls wants a connection it can wait on. A Pump gives it one in memory:
// when TLS wants to read and nothing is there, the flight is complete, and the
// handshake stands still as a coroutine until the next octets are fed. There
// is no goroutine that runs by itself, no channel and no lock: Flight computes
// in the goroutine that calls it, and a panic inside TLS or inside one of the
// callbacks of the tls.Config surfaces there too.
//
// After the handshake there is no coroutine any more: Read and Write work at
// once on the records at hand.
package tlspump

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"runtime"
	"time"

	"sallyport/internal/secret"
)

// MaxFlight bounds, in octets, what one flight may hold in either direction.
// The largest real flights are certificate chains, of 6 KB or so; 64 KiB is
// what the largest handshake message of crypto/tls needs.
const MaxFlight = 64 << 10

// Errors of a Pump that is used against its order.
var (
	ErrClosed   = errors.New("tlspump: closed")
	errTooLarge = fmt.Errorf("tlspump: a TLS flight is over %d octets", MaxFlight)
	errNotYet   = errors.New("tlspump: the TLS handshake is not complete")
)

// Pump is one TLS connection. It is for one goroutine at a time: whoever runs
// Flight in a pool keeps its hands off until that returned.
//
// Close releases it; a Pump that is dropped without Close is released when the
// garbage collector finds it.
type Pump struct {
	c       *conversation
	next    func() (struct{}, bool)
	stop    func()
	cleanup runtime.Cleanup
}

// conversation is what the coroutine knows. It must not lead to the Pump, or
// a forgotten Pump would never be collected.
type conversation struct {
	tls      *tls.Conn
	in, out  []byte
	overflow bool
	wait     func(struct{}) bool // yields to Flight; nil outside of the handshake
	err      error               // how the handshake ended
	complete bool
	closed   bool

	server bool // ours is the server's end
	read   bool // the server's first flight was read, and
	bound  bool // agrees to the extended master secret
}

// Client makes the client's end. config is not copied and must not change.
func Client(config *tls.Config) *Pump { return start(tls.Client, config, false) }

// Server makes the server's end. config is not copied and must not change.
func Server(config *tls.Config) *Pump { return start(tls.Server, config, true) }

func start(end func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config, server bool) *Pump {
	c := &conversation{server: server}
	c.tls = end(wire{c}, config)
	p := &Pump{c: c}
	p.next, p.stop = iter.Pull(c.handshake)
	p.cleanup = runtime.AddCleanup(p, func(stop func()) { stop() }, p.stop)
	return p
}

// handshake is the body of the coroutine.
func (c *conversation) handshake(yield func(struct{}) bool) {
	c.wait = yield
	c.err = c.tls.Handshake()
	c.complete = c.err == nil
	c.wait = nil
}

// Feed hands over what the other end sent: all of one flight, or more. The
// octets are copied.
func (p *Pump) Feed(octets []byte) error {
	switch {
	case p.c.closed:
		return ErrClosed
	case len(p.c.in)+len(octets) > MaxFlight:
		return errTooLarge
	}
	if !p.c.server {
		p.c.first(octets)
	}
	p.c.in = append(p.c.in, octets...)
	return nil
}

// first looks at the first flight of the server, whichever end that is.
func (c *conversation) first(flight []byte) {
	if !c.read && len(flight) > 0 {
		c.read, c.bound = true, isBound(flight)
	}
}

// Flight lets TLS work on what was fed until it needs more, or the handshake
// ends, and returns what is to be sent, which may be empty. complete tells
// that the handshake has succeeded at this end. With an error the flight may
// still hold the alert for the other end.
//
// It takes as long as the cryptography and the callbacks of the config do: run
// it where that may take milliseconds. Once the handshake is over it only
// collects what Write and Read left to be sent.
func (p *Pump) Flight() (flight []byte, complete bool, err error) {
	c := p.c
	if c.closed {
		return nil, false, ErrClosed
	}
	if !c.complete && c.err == nil {
		if _, waiting := p.next(); !waiting {
			p.release()
		}
	}
	flight, c.out = c.out, nil
	if c.server {
		c.first(flight)
	}
	if c.overflow {
		return nil, c.complete, errTooLarge
	}
	return flight, c.complete, c.err
}

// Read returns the application data among the octets fed so far, without
// waiting for more; nothing at all is no error. A warning: TLS itself may want
// to answer, so collect the Flight afterwards.
func (p *Pump) Read() ([]byte, error) {
	if err := p.established(); err != nil {
		return nil, err
	}
	var plain []byte
	var chunk [2048]byte
	for {
		n, err := p.c.tls.Read(chunk[:])
		plain = append(plain, chunk[:n]...)
		if errors.Is(err, errDry) {
			return plain, nil
		}
		if err != nil {
			return plain, err
		}
	}
}

// Write encrypts plain; the records are in the next Flight.
func (p *Pump) Write(plain []byte) error {
	if err := p.established(); err != nil {
		return err
	}
	_, err := p.c.tls.Write(plain)
	return err
}

// State describes the connection; it is meaningful after the handshake.
func (p *Pump) State() tls.ConnectionState { return p.c.tls.ConnectionState() }

// Bound tells whether the keys are this connection's alone: in TLS 1.3 always,
// in TLS 1.2 when both ends used the extended master secret (RFC 7627). Without
// it somebody in the middle can have two connections with the same keys.
func (p *Pump) Bound() bool {
	return p.c.complete && (p.c.bound || p.State().Version >= tls.VersionTLS13)
}

// Export derives n octets of key material (RFC 5705; RFC 8446, Section 7.5).
// Ask Bound first. Of a connection that is not bound crypto/tls exports only
// with GODEBUG tlsunsafeekm=1, which go.mod sets for the whole program.
func (p *Pump) Export(label string, context []byte, n int) (secret.Bytes, error) {
	if err := p.established(); err != nil {
		return nil, err
	}
	state := p.c.tls.ConnectionState()
	return state.ExportKeyingMaterial(label, context, n)
}

// RemoteAlert is the alert that the other end sent, when err comes from one.
func RemoteAlert(err error) (string, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return "", false
	}
	return op.Err.Error(), true
}

// Close releases everything. It may be called more than once, but not while
// Flight runs.
func (p *Pump) Close() {
	if p.c.closed {
		return
	}
	p.c.closed = true
	p.release()
	p.c.in, p.c.out = nil, nil
}

func (p *Pump) release() {
	p.cleanup.Stop()
	p.stop()
}

func (p *Pump) established() error {
	switch {
	case p.c.closed:
		return ErrClosed
	case !p.c.complete:
		return errNotYet
	}
	return nil
}

// wire is the connection that crypto/tls sees.
type wire struct{ c *conversation }

// Read serves what was fed. During the handshake it waits in Flight; later it
// reports errDry.
func (w wire) Read(b []byte) (int, error) {
	for len(w.c.in) == 0 {
		if w.c.wait == nil {
			return 0, errDry
		}
		if !w.c.wait(struct{}{}) {
			return 0, ErrClosed
		}
	}
	n := copy(b, w.c.in)
	if w.c.in = w.c.in[n:]; len(w.c.in) == 0 {
		w.c.in = nil
	}
	return n, nil
}

// Write keeps the octets for Flight.
func (w wire) Write(b []byte) (int, error) {
	if len(w.c.out)+len(b) > MaxFlight {
		w.c.overflow = true
		return 0, errTooLarge
	}
	w.c.out = append(w.c.out, b...)
	return len(b), nil
}

// There is no network, no address and no time here.

func (wire) Close() error                     { return nil }
func (wire) LocalAddr() net.Addr              { return nil }
func (wire) RemoteAddr() net.Addr             { return nil }
func (wire) SetDeadline(time.Time) error      { return nil }
func (wire) SetReadDeadline(time.Time) error  { return nil }
func (wire) SetWriteDeadline(time.Time) error { return nil }

// dry says that all octets are read. It is temporary in the sense of package
// net, so that crypto/tls does not take it for the end of the connection.
type dry struct{}

var errDry error = dry{}

func (dry) Error() string   { return "tlspump: no octets left" }
func (dry) Timeout() bool   { return false }
func (dry) Temporary() bool { return true }

var (
	_ net.Conn  = wire{}
	_ net.Error = dry{}
	_ io.Reader = wire{}
)
